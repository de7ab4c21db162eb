//! The figures of a part of a run: what was counted between two cycles.
//!
//! Contract: none. SDM: none. Counterpart: none.

use super::statistics::{
    ArrayStatistics, ControlStatistics, LevelStatistics, MissQueueStatistics, PrefetchStatistics,
    PscStatistics, ResponseStatistics, Statistics, WalkStatistics,
};

/// Figures that grow.
trait Since {
    /// What was counted since it stood at `earlier`.
    fn since(&self, earlier: &Self) -> Self;
}

impl Since for u64 {
    fn since(&self, earlier: &Self) -> Self {
        debug_assert!(self >= earlier, "a figure shrank");
        self.wrapping_sub(*earlier)
    }
}

impl<T: Since, const N: usize> Since for [T; N] {
    fn since(&self, earlier: &Self) -> Self {
        std::array::from_fn(|number| self[number].since(&earlier[number]))
    }
}

/// Field by field; naming all of them, so that none is forgotten.
macro_rules! since {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl Since for $type {
            fn since(&self, earlier: &Self) -> Self {
                Self { $($field: self.$field.since(&earlier.$field)),* }
            }
        }
    )*};
}

since! {
    LevelStatistics { lookups, hits, misses, hits_by_size, denied, dirty_clear, merged, retries, bypassed }
    PscStatistics { lookups, hits }
    MissQueueStatistics { full }
    PrefetchStatistics { triggered, probe_hits, walked, stopped, filled }
    WalkStatistics {
        started, restarted, completed, faulted, aborted, stopped, memory_reads, compare_and_sets, races_lost, cycles, parallel_cycles
    }
    ArrayStatistics { fills, evictions, invalidations }
    ResponseStatistics { translated, page_faults, page_faults_by_code, general_protections, bus_errors }
    ControlStatistics { operations, general_protections }
}

impl Statistics {
    /// What was counted in the cycles since the same machine's figures stood at `earlier`: each event where it performs. Of a request that was
    /// in flight then, the accept and the look-ups so far are in `earlier`, its later look-ups, the end of its walk with all of the walk's
    /// cycles, and its response in what this returns. It has nothing of what is under way: a law of
    /// conservation can be asked of figures since reset only, or with [`Statistics::check_since`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            cycles: self.cycles.since(&earlier.cycles),
            requests: self.requests.since(&earlier.requests),
            responses: self.responses.since(&earlier.responses),
            itlb: self.itlb.since(&earlier.itlb),
            dtlb: self.dtlb.since(&earlier.dtlb),
            stlb: self.stlb.since(&earlier.stlb),
            psc: self.psc.since(&earlier.psc),
            walks: self.walks.since(&earlier.walks),
            walk_latency_cycles: self.walk_latency_cycles.since(&earlier.walk_latency_cycles),
            miss_queue: self.miss_queue.since(&earlier.miss_queue),
            prefetches: self.prefetches.since(&earlier.prefetches),
            tlb_arrays: self.tlb_arrays.since(&earlier.tlb_arrays),
            psc_arrays: self.psc_arrays.since(&earlier.psc_arrays),
            control: self.control.since(&earlier.control),
            ..Self::zero(self.capacity.clone())
        }
    }

    /// Requests accepted and not yet answered.
    pub const fn in_flight(&self) -> u64 {
        self.requests.saturating_sub(self.responses.total())
    }

    /// Walks started and not yet ended, those of prefetches among them.
    pub fn walks_under_way(&self) -> u64 {
        self.walking_since.iter().flatten().count() as u64
    }

    /// The laws of a part of a run, from `earlier` to these figures: they hold at both ends, and what was in flight at the one is answered,
    /// or in flight at the other.
    ///
    /// # Errors
    /// The first law that is broken, with the figures.
    pub fn check_since(&self, earlier: &Self) -> Result<(), String> {
        earlier.check_conservation()?;
        self.check_conservation()?;
        let part = self.since(earlier);
        for (name, level) in [
            ("itlb", &part.itlb),
            ("dtlb", &part.dtlb),
            ("stlb", &part.stlb),
        ] {
            let by_size = level.hits_by_size.iter().sum();
            equal(
                &format!("{name} look-ups"),
                level.lookups,
                "hits and misses",
                level.hits + level.misses,
            )?;
            equal(&format!("{name} hits"), level.hits, "hits by size", by_size)?;
        }
        let came = part.requests + earlier.in_flight();
        let went = part.responses.total() + self.in_flight();
        equal(
            "requests, those in flight at first included",
            came,
            "answered or in flight at last",
            went,
        )?;
        let walks = &part.walks;
        let ended = walks.completed + walks.faulted + walks.aborted + walks.stopped;
        let begun = walks.started + earlier.walks_under_way();
        equal(
            "walks, those under way at first included",
            begun,
            "ended or under way at last",
            ended + self.walks_under_way(),
        )
    }
}

fn equal(one_name: &str, one: u64, other_name: &str, other: u64) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    Err(format!("{one} {one_name}, but {other} {other_name}"))
}
