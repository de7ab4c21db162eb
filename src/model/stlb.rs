//! The shared second-level TLB: which entry of the miss queue is looked up, and what its result does; fills and drops of all levels.
//!
//! Contract: 7.2 (look-up), 7.3 (result), 7.5 (fill), 8.5 (drop). SDM: none of its own. Counterpart: `rtl/stlb.sv`.

use crate::arch::PageSize;

use super::miss_queue::{MissEntry, MissState};
use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{LOOKUP_DENIED, LOOKUP_MISS, PSC_LEVELS};
use super::monitor::Sink;
use super::port::{LookUp, Response};
use super::spec::{STLB, Spec};
use super::tlb::TlbEntry;

impl Mmu {
    /// Contract 7.2: of the entries that wait, the next in order is looked up.
    pub(super) fn look_up_stlb(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.busy {
            return;
        }
        let waiting = cycle.states.of(MissState::StlbWait);
        self.miss_queue.passed_over = waiting != 0 && cycle.stlb_is_held_up();
        if cycle.stlb_is_held_up() {
            return;
        }
        let Some(number) = self.miss_queue.stlb_order.next_of(waiting) else {
            return;
        };
        self.miss_queue.stlb_order.choose(number);
        let entry = *self.miss_queue.entry(number);
        let found = self.look_up_level(STLB, &entry.request);
        self.miss_queue.set(
            number,
            MissEntry {
                state: MissState::StlbBusy,
                result_from: self.now + self.spec.hit_cycles[STLB],
                found,
                ..entry
            },
        );
        sink.stlb_lookup(usize::from(entry.port), number, found.code);
        self.statistics.count_look_up(STLB, found.code, false);
    }

    /// Contract 7.3: the result of an entry commits.
    pub(super) fn finish_stlb(&mut self, number: usize, sink: &mut impl Sink) {
        let entry = *self.miss_queue.entry(number);
        if entry.found.code >= LOOKUP_MISS {
            self.miss_queue.set(
                number,
                MissEntry {
                    state: MissState::WalkWait,
                    from_cr3: entry.found.code == LOOKUP_DENIED,
                    found: LookUp::NONE,
                    result_from: 0,
                    ..entry
                },
            );
            return;
        }
        let LookUp {
            size, entry: held, ..
        } = entry.found;
        let port = usize::from(entry.port);
        self.ports[port].respond(Response::translated(&entry.request, size, held));
        if entry.right_to_fill {
            self.fill_array(Spec::first_level(port), size, held, sink);
        }
        self.miss_queue.free(number);
    }

    /// Contract 7.5 for the array of `size` at `level`, if the level has one.
    #[inline]
    pub(super) fn fill_array(
        &mut self,
        level: usize,
        size: PageSize,
        entry: TlbEntry,
        sink: &mut impl Sink,
    ) {
        let array = &mut self.tlb[level][size.array_index()];
        if array.is_present() {
            let event = array.fill(entry);
            let number = 3 * level + size.array_index();
            sink.tlb(number, &event);
            self.statistics.count_tlb_event(number, &event);
        }
    }

    /// Contract 8.5: a drop of the address of the request in the miss entry `own`.
    pub(super) fn drop_address(&mut self, own: usize, sink: &mut impl Sink) {
        let va = self.miss_queue.entry(own).request.va;
        let pcid = self.control.pcid();
        self.recent.forget();
        for (number, array) in self.tlb.iter_mut().flatten().enumerate() {
            let event = array.drop_address(va, pcid);
            sink.tlb(number, &event);
            self.statistics.count_tlb_event(number, &event);
        }
        for cache in 0..PSC_LEVELS {
            let event = self.psc.drop_address(cache, va, pcid);
            sink.psc(cache, &event);
            self.statistics.count_psc_event(cache, &event);
        }
        self.miss_queue.take_rights(Some(own));
        self.prefetch.end_or_lose_right();
    }
}
