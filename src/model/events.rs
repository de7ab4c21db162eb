//! The performance counters under the names that engineers know from the vendors' lists of performance events.
//!
//! Contract: 10.2 (the counters and their numbers). SDM: none; names as in vendors' lists of events, definitions our own. Counterpart: none;
//! the RTL shows the counters at `perf_o`.

use schemars::JsonSchema;
use serde::Serialize;

use super::mmu_pkg::PERF_COUNTERS;
use super::performance_counters::{OF_A_KIND, PAGE_WALKER_LOADS, PerformanceCounters, TLB_FLUSH};

/// What misses of one kind of request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct MissEvents {
    /// Walks that a walker takes for a request of the kind. A restart from CR3 is not another walk.
    pub miss_causes_a_walk: u64,
    /// Walks that found a translation: the sum of the next three.
    pub walk_completed: u64,
    /// Walks that found a page of 4 KiB, whether or not they had the right to fill.
    pub walk_completed_4k: u64,
    /// Walks that found a page of 2 MiB, in 32-bit paging of 4 MiB.
    pub walk_completed_2m_4m: u64,
    /// Walks that found a page of 1 GiB.
    pub walk_completed_1g: u64,
    /// Walks that ended in a page fault or a bus error.
    pub walk_faulted: u64,
    /// In each cycle the walkers that are not idle with a request of the kind, added up: cycles of walks, waiting for the commit included.
    pub walk_pending: u64,
    /// Cycles in which at least one walker is.
    pub walk_active: u64,
    /// Look-ups that hit in the STLB, and so need no walk: the sum of the next three.
    pub stlb_hit: u64,
    /// Look-ups that hit in the STLB on a page of 4 KiB, by the size of the page in the tables.
    pub stlb_hit_4k: u64,
    /// Look-ups that hit in the STLB on a page of 2 MiB, in 32-bit paging of 4 MiB.
    pub stlb_hit_2m_4m: u64,
    /// Look-ups that hit in the STLB on a page of 1 GiB.
    pub stlb_hit_1g: u64,
}

/// Invalidations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct TlbFlushEvents {
    /// Control operations that performed an invalidation, of whatever extent: each reaches the STLB.
    pub stlb_any: u64,
}

/// All performance counters, and the sums over page sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Events {
    /// Misses of loads in the DTLB.
    pub dtlb_load_misses: MissEvents,
    /// Misses of stores in the DTLB.
    pub dtlb_store_misses: MissEvents,
    /// Misses of fetches in the ITLB.
    pub itlb_misses: MissEvents,
    /// Reads of paging-structure entries that memory accepted, of requests and prefetches.
    pub page_walker_loads: u64,
    /// Invalidations.
    pub tlb_flush: TlbFlushEvents,
}

impl Events {
    /// What the counters counted from when they stood at `earlier` to when they stand at `counters`. They are taken modulo 2^64.
    pub fn between(earlier: &PerformanceCounters, counters: &PerformanceCounters) -> Self {
        let (earlier, counters) = (earlier.values(), counters.values());
        let counted: [u64; PERF_COUNTERS] =
            std::array::from_fn(|number| counters[number].wrapping_sub(earlier[number]));
        Self {
            dtlb_load_misses: MissEvents::of_kind(&counted, 0),
            dtlb_store_misses: MissEvents::of_kind(&counted, 1),
            itlb_misses: MissEvents::of_kind(&counted, 2),
            page_walker_loads: counted[PAGE_WALKER_LOADS],
            tlb_flush: TlbFlushEvents {
                stlb_any: counted[TLB_FLUSH],
            },
        }
    }

    /// The three kinds of request.
    pub const fn kinds(&self) -> [&MissEvents; 3] {
        [
            &self.dtlb_load_misses,
            &self.dtlb_store_misses,
            &self.itlb_misses,
        ]
    }

    /// A figure of all kinds of request together.
    pub fn sum(&self, pick: impl Fn(&MissEvents) -> u64) -> u64 {
        self.kinds().into_iter().map(pick).sum()
    }
}

impl MissEvents {
    fn of_kind(counted: &[u64; PERF_COUNTERS], kind: usize) -> Self {
        let at = |number: usize| counted[OF_A_KIND * kind + number];
        Self {
            miss_causes_a_walk: at(0),
            walk_completed: at(1) + at(2) + at(3),
            walk_completed_4k: at(1),
            walk_completed_2m_4m: at(2),
            walk_completed_1g: at(3),
            walk_faulted: at(4),
            walk_pending: at(5),
            walk_active: at(6),
            stlb_hit: at(7) + at(8) + at(9),
            stlb_hit_4k: at(7),
            stlb_hit_2m_4m: at(8),
            stlb_hit_1g: at(9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mmu_pkg::Outputs;

    #[test]
    fn each_counter_of_the_contract_has_one_name_and_differences_pass_the_wrap() {
        let of = |counters| {
            PerformanceCounters::shown(&Outputs {
                perf: counters,
                ..Outputs::ZERO
            })
        };
        let earlier = of([u64::MAX; PERF_COUNTERS]);
        // Counter n counts n + 1.
        let counters = of(std::array::from_fn(|number| number as u64));
        let events = Events::between(&earlier, &counters);
        assert_eq!(events.dtlb_load_misses.miss_causes_a_walk, 1);
        assert_eq!(events.dtlb_load_misses.walk_completed, 2 + 3 + 4);
        assert_eq!(events.dtlb_store_misses.walk_faulted, 15);
        assert_eq!(events.dtlb_store_misses.walk_pending, 16);
        assert_eq!(events.dtlb_store_misses.walk_active, 17);
        assert_eq!(events.itlb_misses.stlb_hit_4k, 28);
        assert_eq!(events.itlb_misses.stlb_hit, 28 + 29 + 30);
        assert_eq!(events.page_walker_loads, 31);
        assert_eq!(events.tlb_flush.stlb_any, 32);
        assert_eq!(events.sum(|kind| kind.walk_active), 7 + 17 + 27);
    }
}
