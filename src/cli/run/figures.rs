//! The figures of a run, or of an interval of it: what was counted between two cycles.
//!
//! Contract: 10, 10.2. SDM: none. Counterpart: none. `docs/run.md` defines each figure, from the docstrings of the types that hold them.

use serde_json::{Value as Json, json};

use crate::config::{ARRAYS_OF_A_LEVEL, Level};
use crate::model::events::Events;
use crate::model::statistics::{ArrayStatistics, LevelStatistics};
use crate::model::{PerformanceCounters, Statistics};
use crate::trace::Counts;

/// The paging-structure caches in the order of the contract's numbers, and what a hit in each does.
pub const PSC: [(&str, &str); 4] = [
    ("pde", "walk starts at the page table"),
    ("pdpte", "walk starts at the directory"),
    ("pml4e", "walk starts at the PDPT"),
    ("pml5e", "walk starts at the PML4"),
];

/// The keys of [`Figures::json`] that no type's docstrings define; `*` stands for the name of a level or cache.
pub const KEYS: [(&str, &str); 28] = [
    (
        "first_reference",
        "Of an interval: the number of its first reference in the trace, from 0; references that were skipped have numbers too.",
    ),
    ("references", "References that were presented."),
    ("fetches", "Of these, instruction fetches."),
    ("loads", "Of these, data reads."),
    ("stores", "Of these, data writes."),
    (
        "translations",
        "Requests that the machine accepted: one a reference, two for one that crosses a page.",
    ),
    (
        "cycles",
        "Cycles from the border at the beginning to that at the end; at last, to the cycle after the last answer.",
    ),
    (
        "instructions",
        "Fetches, where the trace has one for each instruction; else null.",
    ),
    (
        "mpki",
        "Walks begun for requests, for each 1000 instructions; null where these are not known.",
    ),
    ("itlb", "The first level, for fetches."),
    ("dtlb", "The first level, for loads and stores."),
    ("stlb", "The second level."),
    (
        "*.mpki",
        "Misses of the level for each 1000 instructions, or null.",
    ),
    ("psc", "The paging-structure caches."),
    ("psc.*.misses", "Look-ups that are no hits."),
    ("walks", "Page walks, of requests and prefetches together."),
    (
        "walks.completed_by_size",
        "Walks of requests that found a page of 4 KiB, of 2 MiB or 4 MiB, of 1 GiB.",
    ),
    ("miss_queue", "The miss queue."),
    ("prefetches", "The next-page prefetch."),
    ("faults", "Responses that are no translations."),
    ("faults.page_faults", "Page faults."),
    (
        "faults.by_code",
        "Page faults by error code; codes that did not occur are left out.",
    ),
    (
        "faults.general_protections",
        "Addresses that are not canonical.",
    ),
    ("faults.bus_errors", "Walks that met a bus error."),
    (
        "events",
        "The performance counters, and what happened beside look-ups and walks.",
    ),
    (
        "events.page_crossings",
        "References that crossed a page of 4 KiB.",
    ),
    (
        "events.control_operations",
        "Control operations that were answered: none, since those that bring the machine into paging are over before the first reference.",
    ),
    ("events.page_walker_loads", "See the performance counters."),
];

/// Of each level's arrays, and those of the paging-structure caches, together.
pub const ARRAY_EVENTS: [(&str, &str); 3] = [
    ("events.*_fills", "Entries put in."),
    (
        "events.*_evictions",
        "Entries that a fill displaced: the victim, or any that conflicted.",
    ),
    (
        "events.*_invalidations",
        "Entries that invalidations, back-invalidations and drops removed.",
    ),
];

/// What a machine had counted in a cycle.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Statistics since reset.
    pub statistics: Statistics,
    /// Performance counters since reset.
    pub counters: PerformanceCounters,
}

/// What was counted between two cycles, and how many references were presented.
#[derive(Debug, Clone)]
pub struct Figures {
    /// References by kind.
    pub counts: Counts,
    /// References that crossed a page: two translations each.
    pub crossings: u64,
    /// Fetches are instructions.
    pub fetches_are_instructions: bool,
    /// What was counted.
    pub statistics: Statistics,
    /// What the performance counters counted.
    pub events: Events,
}

impl Figures {
    /// The figures from `earlier` to `later`.
    pub fn between(earlier: &Snapshot, later: &Snapshot, counts: Counts, crossings: u64) -> Self {
        Self {
            counts,
            crossings,
            fetches_are_instructions: false,
            statistics: later.statistics.since(&earlier.statistics),
            events: Events::between(&earlier.counters, &later.counters),
        }
    }

    /// Instructions; `None` where fetches do not say, or there are none.
    pub fn instructions(&self) -> Option<u64> {
        let known = self.fetches_are_instructions && self.counts.fetches > 0;
        known.then_some(self.counts.fetches)
    }

    /// So many for each 1000 instructions.
    pub fn per_kilo_instruction(&self, count: u64) -> Option<f64> {
        self.instructions()
            .map(|instructions| 1000.0 * count as f64 / instructions as f64)
    }

    /// As keys of `--json`.
    pub fn json(&self) -> Json {
        let s = &self.statistics;
        json!({
            "references": self.counts.total(),
            "fetches": self.counts.fetches,
            "loads": self.counts.loads,
            "stores": self.counts.stores,
            "translations": s.requests,
            "cycles": s.cycles,
            "instructions": self.instructions(),
            "mpki": self.per_kilo_instruction(s.walks_of_requests()),
            "itlb": self.level_json(&s.itlb),
            "dtlb": self.level_json(&s.dtlb),
            "stlb": self.level_json(&s.stlb),
            "psc": self.psc_json(),
            "walks": self.walks_json(),
            "miss_queue": s.miss_queue,
            "prefetches": s.prefetches,
            "faults": {
                "page_faults": s.responses.page_faults,
                "by_code": faults_by_code(s),
                "general_protections": s.responses.general_protections,
                "bus_errors": s.responses.bus_errors,
            },
            "events": self.events_json(),
        })
    }

    fn level_json(&self, level: &LevelStatistics) -> Json {
        let mut object = json!(level);
        object["mpki"] = json!(self.per_kilo_instruction(level.misses));
        object
    }

    fn psc_json(&self) -> Json {
        let levels = PSC
            .iter()
            .zip(&self.statistics.psc)
            .map(|((name, _), counts)| {
                let misses = counts.lookups - counts.hits;
                (
                    (*name).to_owned(),
                    json!({ "lookups": counts.lookups, "hits": counts.hits, "misses": misses }),
                )
            });
        Json::Object(levels.collect())
    }

    fn walks_json(&self) -> Json {
        let s = &self.statistics;
        let mut object = json!(s.walks);
        object["completed_by_size"] = json!([
            self.events.sum(|kind| kind.walk_completed_4k),
            self.events.sum(|kind| kind.walk_completed_2m_4m),
            self.events.sum(|kind| kind.walk_completed_1g),
        ]);
        object["latency_cycles"] = json!(s.walk_latency_cycles);
        object
    }

    /// The performance counters, and what happened beside look-ups and walks: each key counts one kind of event.
    fn events_json(&self) -> Json {
        let s = &self.statistics;
        let mut events = json!(self.events);
        events["page_crossings"] = json!(self.crossings);
        events["control_operations"] = json!(s.control.operations);
        let mut put = |name: &str, arrays: &[ArrayStatistics]| {
            let sum = |pick: fn(&ArrayStatistics) -> u64| arrays.iter().map(pick).sum::<u64>();
            events[format!("{name}_fills")] = json!(sum(|array| array.fills));
            events[format!("{name}_evictions")] = json!(sum(|array| array.evictions));
            events[format!("{name}_invalidations")] = json!(sum(|array| array.invalidations));
        };
        for (level, arrays) in Level::ALL
            .iter()
            .zip(s.tlb_arrays.chunks(ARRAYS_OF_A_LEVEL))
        {
            put(level.name(), arrays);
        }
        put("psc", &s.psc_arrays);
        events
    }
}

fn faults_by_code(statistics: &Statistics) -> Json {
    // A plain structure of numbers: this does not fail.
    json!(statistics.responses)["page_faults_by_code"].take()
}

impl Events {
    /// The laws between performance counters and statistics of the same cycles. Both count an event in the cycle in which it performs, so
    /// that most are equations; only what a walker has taken and not started is between the two.
    ///
    /// # Errors
    /// The first law that is broken, with the figures.
    pub fn check_against(&self, statistics: &Statistics) -> Result<(), String> {
        let walks = &statistics.walks;
        let prefetches = &statistics.prefetches;
        let equations = [
            (
                "stlb_hit",
                self.sum(|kind| kind.stlb_hit),
                statistics.stlb.hits,
            ),
            (
                "walk_faulted",
                self.sum(|kind| kind.walk_faulted),
                walks.faulted + walks.aborted,
            ),
            (
                "page_walker_loads",
                self.page_walker_loads,
                walks.memory_reads,
            ),
        ];
        for (name, counted, expected) in equations {
            if counted != expected {
                return Err(format!(
                    "{counted} events {name}, but {expected} in the statistics"
                ));
            }
        }
        let completed = self.sum(|kind| kind.walk_completed);
        let latencies = statistics.walk_latency_cycles.count();
        if prefetches.walked == 0 && completed != walks.completed
            || completed + self.sum(|kind| kind.walk_faulted) != latencies
        {
            return Err(format!(
                "{completed} events walk_completed, but {} walks completed and {latencies} latencies are known",
                walks.completed
            ));
        }
        let slack = crate::model::mmu_pkg::MAX_WALKERS as u64;
        let (taken, started) = (
            self.sum(|kind| kind.miss_causes_a_walk),
            statistics.walks_of_requests(),
        );
        if taken.abs_diff(started) > slack {
            return Err(format!(
                "{taken} events miss_causes_a_walk, but {started} walks of requests started"
            ));
        }
        for kind in self.kinds() {
            if kind.walk_active > kind.walk_pending || kind.walk_active > statistics.cycles {
                return Err(format!(
                    "walk_active is {}, but walk_pending {} in {} cycles",
                    kind.walk_active, kind.walk_pending, statistics.cycles
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn an_event_that_the_statistics_do_not_know_of_breaks_a_law() {
        let nothing = Statistics::new(&Config::default());
        assert_eq!(Events::default().check_against(&nothing), Ok(()));
        let wrong: [fn(&mut Events); 6] = [
            |events| events.itlb_misses.stlb_hit = 1,
            |events| events.itlb_misses.walk_faulted = 1,
            |events| events.dtlb_load_misses.walk_completed = 1,
            |events| events.dtlb_store_misses.miss_causes_a_walk = 9,
            |events| events.dtlb_store_misses.walk_active = 1,
            |events| events.page_walker_loads = 1,
        ];
        for (number, spoil) in wrong.into_iter().enumerate() {
            let mut events = Events::default();
            spoil(&mut events);
            assert!(events.check_against(&nothing).is_err(), "{number}");
        }
    }
}
