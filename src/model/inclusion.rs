//! Inclusion: what leaves the STLB leaves the first level too.
//!
//! Contract: 7.6. SDM: none of its own. Counterpart: the back-invalidation in `rtl/`.

use super::miss_queue::MissState;
use super::mmu::{Cycle, Mmu};
use super::monitor::Sink;
use super::stlb::NO_EVENTS;
use super::tlb::{TlbEntry, add_removal};

impl Mmu {
    /// A fill of the STLB, in this cycle, displaced `entry`.
    #[inline]
    pub(super) fn evict(&mut self, entry: TlbEntry) {
        if self.spec.inclusive {
            // Nothing commits before this one performs, so that there is at most one.
            debug_assert!(self.evicted.is_none());
            self.evicted = Some(entry);
        }
    }

    /// The back-invalidation performs, if this cycle has one.
    #[inline]
    pub(super) fn step_inclusion(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.back_invalidates {
            self.back_invalidate(sink);
        }
    }

    /// What was evicted, if anything was, leaves the first level, and whoever found it in the STLB may not put it there.
    pub(super) fn back_invalidate(&mut self, sink: &mut impl Sink) {
        let Some(evicted) = self.evicted.take() else {
            return;
        };
        self.recent.forget();
        let mut events = NO_EVENTS;
        for places in self.places.in_first_levels() {
            let Some(place) = places.of_kept_size(evicted.kept_size()) else {
                continue;
            };
            let (number, set) = place.of(evicted.page());
            let removed = self.tlb[number].drop_evicted(set, evicted);
            add_removal(&mut events[number], place.size, set, removed);
        }
        self.report_removals(&events, sink);
        self.miss_queue.take_rights_of(|entry| {
            entry.state == MissState::StlbBusy && entry.found.keeps(evicted.tag)
        });
    }
}
