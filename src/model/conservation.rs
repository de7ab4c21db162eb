//! The laws that the figures obey: nothing is lost between two counters.
//!
//! Contract: 5 to 8, whose steps hand a request from one counter to the next. Counterpart: none.

use super::statistics::{ArrayStatistics, Statistics};

impl Statistics {
    /// The laws that the figures obey at any time. What is in flight explains a difference of at most the number of requests
    /// outstanding; with none outstanding, the laws are equations.
    ///
    /// # Errors
    /// The first law that is broken, with the figures.
    pub fn check_conservation(&self) -> Result<(), String> {
        let Some(outstanding) = self.requests.checked_sub(self.responses.total()) else {
            return Err(format!(
                "{} responses to only {} requests",
                self.responses.total(),
                self.requests
            ));
        };
        self.check_levels()?;
        let Self {
            itlb, dtlb, stlb, ..
        } = self;
        let retries = itlb.retries + dtlb.retries;
        let looked_up = itlb.lookups + itlb.bypassed + dtlb.lookups + dtlb.bypassed;
        let Some(taken) = looked_up.checked_sub(retries) else {
            return Err(format!(
                "{retries} of only {looked_up} look-ups were retries"
            ));
        };
        let merged = itlb.merged + dtlb.merged;
        within("merged misses", merged, "retries", retries, outstanding)?;
        within(
            "requests",
            self.requests,
            "looked up or bypassed",
            taken,
            outstanding,
        )?;
        let missed = itlb.plain_misses() + dtlb.plain_misses();
        within(
            "first-level misses",
            missed,
            "STLB look-ups",
            stlb.lookups,
            outstanding,
        )?;
        let refused = itlb.denied + itlb.dirty_clear + dtlb.denied + dtlb.dirty_clear;
        let to_walk = stlb.misses + refused;
        let walks_of_requests = self.walks_of_requests();
        within(
            "misses to walk",
            to_walk,
            "walks of requests started",
            walks_of_requests,
            outstanding,
        )?;
        self.check_prefetches()?;
        self.check_walks(outstanding)?;
        self.check_arrays()?;
        let faults: u64 = self.responses.page_faults_by_code.iter().sum();
        within(
            "page faults",
            self.responses.page_faults,
            "page faults by code",
            faults,
            0,
        )
    }

    fn check_levels(&self) -> Result<(), String> {
        let levels = [
            ("itlb", &self.itlb),
            ("dtlb", &self.dtlb),
            ("stlb", &self.stlb),
        ];
        for (name, level) in levels {
            let by_size = level.hits_by_size.iter().sum();
            if level.lookups != level.hits + level.misses {
                return Err(format!(
                    "{name}: {} look-ups are not {} hits and {} misses",
                    level.lookups, level.hits, level.misses
                ));
            }
            within(
                &format!("{name} hits"),
                level.hits,
                "hits by size",
                by_size,
                0,
            )?;
            if level.misses < level.denied + level.dirty_clear + level.merged {
                return Err(format!(
                    "{name}: only {} misses, of which {} denied, {} with D clear and {} merged",
                    level.misses, level.denied, level.dirty_clear, level.merged
                ));
            }
        }
        if self.stlb.bypassed + self.stlb.merged + self.stlb.retries != 0 {
            return Err("stlb: requests bypassed it, merged or were retried there".to_owned());
        }
        Ok(())
    }

    fn check_walks(&self, outstanding: u64) -> Result<(), String> {
        let walks = &self.walks;
        let ended = walks.completed + walks.faulted + walks.aborted + walks.stopped;
        // One walk may be that of a prefetch.
        let in_flight = (outstanding + 1).min(self.capacity.walkers);
        within(
            "walks started",
            walks.started,
            "walks ended",
            ended,
            in_flight,
        )?;
        let under_way = self.walking_since.iter().flatten().count() as u64;
        within(
            "walks started",
            walks.started,
            "walks ended or under way",
            ended + under_way,
            0,
        )?;
        self.check_latencies(ended)?;
        let begun = walks.started + walks.restarted;
        let cached: u64 = self.psc.iter().map(|level| level.hits).sum();
        // Only a walk from a cached entry restarts, at most once.
        if walks.restarted > cached || cached > walks.started {
            return Err(format!(
                "{} restarts, {cached} starts from a paging-structure cache, {} walks",
                walks.restarted, walks.started
            ));
        }
        if walks.memory_reads > 5 * begun || walks.memory_reads + under_way + walks.stopped < ended
        {
            return Err(format!(
                "{} reads cannot be of {begun} walks and restarts",
                walks.memory_reads
            ));
        }
        if walks.races_lost > walks.compare_and_sets {
            return Err(format!(
                "{} races lost in {} compare-and-sets",
                walks.races_lost, walks.compare_and_sets
            ));
        }
        let faulted = self.responses.page_faults;
        within(
            "walks that faulted",
            walks.faulted,
            "page faults",
            faulted,
            outstanding,
        )?;
        let errors = self.responses.bus_errors;
        within(
            "walks that aborted",
            walks.aborted,
            "bus errors",
            errors,
            outstanding,
        )
    }

    /// Every walk of a request that ended is in the histogram, and with none of prefetches its cycles are all cycles.
    fn check_latencies(&self, ended: u64) -> Result<(), String> {
        let latencies = &self.walk_latency_cycles;
        let of_prefetches = self.prefetches.walked;
        within(
            "walks ended",
            ended,
            "walks of which the latency is known",
            latencies.count(),
            of_prefetches,
        )?;
        let slack = if of_prefetches == 0 { 0 } else { u64::MAX };
        within(
            "cycles of walks",
            self.walks.cycles,
            "cycles in the histogram of latencies",
            latencies.sum_cycles(),
            slack,
        )
    }

    /// Walks begun that are not of prefetches.
    pub const fn walks_of_requests(&self) -> u64 {
        self.walks.started.saturating_sub(self.prefetches.walked)
    }

    /// A prefetch that is triggered ends in its probe, in a walk, or is given up before.
    fn check_prefetches(&self) -> Result<(), String> {
        let prefetches = &self.prefetches;
        let ended = prefetches.probe_hits + prefetches.walked;
        if ended > prefetches.triggered || prefetches.walked > self.walks.started {
            return Err(format!(
                "{} prefetches found in the STLB and {} walked, of {} triggered and {} walks",
                prefetches.probe_hits, prefetches.walked, prefetches.triggered, self.walks.started
            ));
        }
        if prefetches.stopped + prefetches.filled > prefetches.walked
            || prefetches.stopped != self.walks.stopped
        {
            return Err(format!(
                "{} prefetches stopped and {} filled, of {} walked, with {} walks stopped",
                prefetches.stopped, prefetches.filled, prefetches.walked, self.walks.stopped
            ));
        }
        Ok(())
    }

    fn check_arrays(&self) -> Result<(), String> {
        let capacity = &self.capacity;
        let tlb = self.tlb_arrays.iter().zip(&capacity.tlb_entries);
        let psc = self.psc_arrays.iter().zip(&capacity.psc_entries);
        for (number, (counts, entries)) in tlb.enumerate() {
            let name = format!("TLB array {number}");
            check_array(&name, counts, *entries)?;
        }
        for (number, (counts, entries)) in psc.enumerate() {
            check_array(
                &format!("paging-structure cache {number}"),
                counts,
                *entries,
            )?;
        }
        for (number, level) in self.psc.iter().enumerate() {
            if level.hits > level.lookups {
                return Err(format!(
                    "paging-structure cache {number}: {} hits in {} look-ups",
                    level.hits, level.lookups
                ));
            }
        }
        Ok(())
    }
}

/// Checks that an array holds between none and all of its entries.
fn check_array(name: &str, counts: &ArrayStatistics, entries: u64) -> Result<(), String> {
    let held = counts.occupancy(name)?;
    if held > entries {
        return Err(format!(
            "{name}: {held} entries would be valid in {entries}"
        ));
    }
    Ok(())
}

/// Checks that `later` lags behind `earlier` by at most `in_flight`.
fn within(
    earlier_name: &str,
    earlier: u64,
    later_name: &str,
    later: u64,
    in_flight: u64,
) -> Result<(), String> {
    if later <= earlier && earlier - later <= in_flight {
        return Ok(());
    }
    Err(format!(
        "{earlier} {earlier_name}, but {later} {later_name}, with {in_flight} in flight"
    ))
}
