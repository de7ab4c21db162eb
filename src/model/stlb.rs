//! The miss entries, one a port, and the look-up in the shared second-level TLB.
//!
//! Contract: 7. SDM: none of its own. Counterpart: `rtl/stlb.sv`.

use crate::arch::PageSize;

use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{LOOKUP_DENIED, LOOKUP_MISS};
use super::monitor::Sink;
use super::port::{LookUp, Request, Response};
use super::spec::{STLB, Spec};
use super::tlb::TlbEntry;

/// Where the miss of a port stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MissState {
    /// No miss: the port may look up.
    Free,
    /// Waits for its turn at the STLB.
    StlbWait,
    /// Looked up in the STLB; the result is under way.
    StlbBusy,
    /// Waits for the walker.
    WalkWait,
    /// The walker has it.
    Walking,
}

/// The miss entry of a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MissEntry {
    pub state: MissState,
    pub request: Request,
    /// The walk is to begin at CR3, after a drop.
    pub from_cr3: bool,
    /// What the walk or the STLB finds may be put into TLBs and paging-structure caches.
    pub right_to_fill: bool,
    /// STLB_BUSY: the first cycle in which the result may perform.
    pub result_from: u64,
    /// STLB_BUSY: what the look-up came to.
    pub found: LookUp,
}

impl MissEntry {
    pub const FREE: Self = Self {
        state: MissState::Free,
        request: Request::NONE,
        from_cr3: false,
        right_to_fill: false,
        result_from: 0,
        found: LookUp::NONE,
    };

    /// An entry that leaves FREE.
    pub const fn new(request: Request, state: MissState) -> Self {
        Self {
            state,
            request,
            right_to_fill: true,
            ..Self::FREE
        }
    }

    /// Whether it is in STLB_BUSY, and late enough for its result.
    #[inline]
    pub fn result_is_due(&self, now: u64) -> bool {
        self.state == MissState::StlbBusy && self.result_from <= now
    }

    /// Whether its result would fill an array of the first level.
    #[inline]
    pub const fn result_fills(&self) -> bool {
        self.right_to_fill && self.found.code < LOOKUP_MISS
    }
}

impl Mmu {
    /// Contract 7.1: of the entries that wait, the one of the lowest port is looked up.
    pub(super) fn look_up_stlb(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.busy || cycle.done || cycle.drop {
            return;
        }
        let waiting = cycle.miss[..self.spec.ports]
            .iter()
            .position(|state| *state == MissState::StlbWait);
        let Some(port) = waiting else { return };
        let request = self.miss[port].request;
        let found = self.look_up_level(STLB, &request);
        self.miss[port] = MissEntry {
            state: MissState::StlbBusy,
            result_from: self.now + self.spec.hit_cycles[STLB],
            found,
            ..self.miss[port]
        };
        sink.stlb_lookup(port, found.code);
        self.statistics.count_look_up(STLB, found.code);
    }

    /// Contract 7.2: the results that are due.
    pub(super) fn finish_stlb(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        for port in 0..self.spec.ports {
            if !cycle.result[port] {
                continue;
            }
            let entry = self.miss[port];
            if entry.found.code >= LOOKUP_MISS {
                self.miss[port] = MissEntry {
                    state: MissState::WalkWait,
                    from_cr3: entry.found.code == LOOKUP_DENIED,
                    found: LookUp::NONE,
                    result_from: 0,
                    ..entry
                };
                continue;
            }
            let LookUp {
                size, entry: held, ..
            } = entry.found;
            self.ports[port].respond(Response::translated(&entry.request, size, held));
            if entry.right_to_fill {
                self.fill_array(Spec::first_level(port), size, held, sink);
            }
            self.miss[port] = MissEntry::FREE;
        }
    }

    /// Contract 7.3 for the array of `size` at `level`, if the level has one.
    #[inline]
    pub(super) fn fill_array(
        &mut self,
        level: usize,
        size: PageSize,
        entry: TlbEntry,
        sink: &mut impl Sink,
    ) {
        let array = &mut self.tlb[level][size as usize];
        if array.is_present() {
            let event = array.fill(entry);
            let number = 3 * level + size as usize;
            sink.tlb(number, &event);
            self.statistics.count_tlb_event(number, &event);
        }
    }

    /// Contract 8.5: a drop of the address of the request in the miss entry `own`.
    pub(super) fn drop_address(&mut self, own: usize, sink: &mut impl Sink) {
        let va = self.miss[own].request.va;
        let pcid = self.control.pcid();
        self.recent.forget();
        for (number, array) in self.tlb.iter_mut().flatten().enumerate() {
            let event = array.drop_address(va, pcid);
            sink.tlb(number, &event);
            self.statistics.count_tlb_event(number, &event);
        }
        for cache in 0..super::mmu_pkg::PSC_LEVELS {
            let event = self.psc.drop_address(cache, va, pcid);
            sink.psc(cache, &event);
            self.statistics.count_psc_event(cache, &event);
        }
        for (port, entry) in self.miss.iter_mut().enumerate() {
            // The walker's own entry keeps its right; a free one has none.
            if port != own {
                entry.right_to_fill = false;
            }
        }
    }
}
