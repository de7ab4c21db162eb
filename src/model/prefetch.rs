//! The next-page prefetch: the page after one that was walked is walked into the STLB.
//!
//! Contract: 8.6, and 10.1 (what it shows). SDM vol. 3A, 4.10.2.3 (TLB entries for pages not asked for), 4.3 and 4.5 (linear addresses).
//! Counterpart: `rtl/prefetch.sv`.

use crate::arch::{Access, AccessKind, PageSize};

use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{LOOKUP_HIT_4K, LOOKUP_MISS, PREFETCH_ENTRY, Queues};
use super::monitor::Sink;
use super::port::Request;
use super::spec::STLB;
use super::tlb::page_number;

/// The states of the prefetch, numbered as contract 10.1 does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PrefetchState {
    Free,
    Probe,
    WalkWait,
    Walking,
}

/// The prefetch. While it is FREE, all else is as after reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prefetch {
    state: PrefetchState,
    right_to_fill: bool,
    va: u64,
}

impl Prefetch {
    pub const FREE: Self = Self {
        state: PrefetchState::Free,
        right_to_fill: false,
        va: 0,
    };

    /// Its state in this cycle.
    #[inline]
    pub const fn state(&self) -> PrefetchState {
        self.state
    }

    /// Whether what its walk finds may be put into the STLB and the paging-structure caches.
    #[inline]
    pub const fn right_to_fill(&self) -> bool {
        self.right_to_fill
    }

    /// The request that its walk is one of: a supervisor read.
    #[inline]
    pub const fn request(&self) -> Request {
        Request {
            va: self.va,
            access: Access::new(AccessKind::Read, 0),
            id: 0,
        }
    }

    /// What takes the right to fill performs: an invalidation, a drop, a register write.
    #[inline]
    pub const fn end_or_lose_right(&mut self) {
        if matches!(self.state, PrefetchState::Walking) {
            self.right_to_fill = false;
        } else {
            *self = Self::FREE;
        }
    }

    /// Drives `mon_prefetch_o`.
    #[inline]
    pub fn show(&self, queues: &mut Queues) {
        queues.prefetch =
            self.state as u64 | u64::from(self.right_to_fill) << 2 | page_number(self.va) << 12;
    }
}

impl Mmu {
    /// A walk of a request to `va` ended in a page of `size`, with the right to fill, in this cycle.
    #[inline]
    pub(super) fn trigger_prefetch(&mut self, va: u64, size: PageSize) {
        if !self.spec.prefetch || self.prefetch.state != PrefetchState::Free {
            return;
        }
        let next = (va | size.offset_mask()).wrapping_add(1) & self.control.address_mask();
        if next != 0 && self.control.mode().is_canonical(next) {
            self.prefetch = Prefetch {
                state: PrefetchState::Probe,
                right_to_fill: true,
                va: next,
            };
        }
    }

    /// PROBE, in a cycle in which the STLB looks nothing up and nothing holds it up.
    pub(super) fn step_probe(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.prefetch.state == PrefetchState::Probe
            && !cycle.busy
            && !cycle.stlb_is_held_up()
            && cycle.entries.stlb_wait == 0
        {
            self.probe(sink);
        }
    }

    /// The STLB is searched for the page of the prefetch.
    pub(super) fn probe(&mut self, sink: &mut impl Sink) {
        let found = self.find_in_level(STLB, &self.prefetch.request());
        let code = found.map_or(LOOKUP_MISS, |(found, ..)| {
            LOOKUP_HIT_4K + found.size.array_index() as u8
        });
        if code < LOOKUP_MISS {
            self.prefetch = Prefetch::FREE;
        } else {
            self.prefetch.state = PrefetchState::WalkWait;
        }
        sink.stlb_lookup(0, usize::from(PREFETCH_ENTRY), code);
        self.statistics.count_probe(code);
    }

    /// A walker takes the prefetch.
    #[inline]
    pub(super) fn walk_prefetch(&mut self) {
        self.prefetch.state = PrefetchState::Walking;
    }
}
