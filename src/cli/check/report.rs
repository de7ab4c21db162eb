//! What `check` and `replay` say about a run: the counts as JSON keys and as a table, and the verdict.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::coverage::CoverageReport;
use super::regression::{groups, groups_table};
use crate::cli::machine::rtl_none;
use crate::cli::{grouped, table};
use crate::config::Loaded;
use crate::cosim::counters::Counters;
use crate::cosim::divergence::{Finding, FirstDivergence};
use crate::cosim::floors::Missed;

/// A run or several that were found wrong, with what a person does next.
pub struct Failed {
    /// Which one: a seed and a stream, or a trace.
    pub name: String,
    /// The test case that it belongs to: a seed, or a trace.
    pub case: String,
    /// The kind of the last operation before what was found.
    pub operation: String,
    /// Operations before it.
    pub operations: u64,
    /// How to run it again, a line for each way.
    pub again: String,
    /// What was found.
    pub finding: Finding,
    /// The same, with the replay file, as JSON has it.
    pub divergence: FirstDivergence,
}

/// What there is to say about a run.
pub struct Verdict<'a> {
    /// The machine.
    pub loaded: &'a Loaded,
    /// What was run, for the first line of the summary.
    pub what: String,
    /// Which implementations ran.
    pub implementations: &'static [&'static str],
    /// What was exercised and compared.
    pub counters: &'a Counters,
    /// Keys of JSON beside the counts.
    pub keys: Vec<(&'static str, Json)>,
    /// What was found wrong, in order.
    pub failed: &'a [Failed],
    /// Floors that were missed.
    pub missed: &'a [Missed],
    /// What there is to say of a user's design; `None` of the project's own RTL.
    pub guest: Option<GuestReport>,
    /// What of a trace was run; `None` for random operations, which want another table.
    pub traced: Option<Traced>,
    /// What there is to say of coverage, where it is counted.
    pub coverage: Option<CoverageReport>,
}

/// What there is to say of a user's design (`docs/byo.md`).
pub struct GuestReport {
    /// The value of the key `rtl`.
    pub rtl: Json,
    /// The counts, without what the design does not show.
    pub counters: Json,
    /// What it is and how it was compared, in one line.
    pub line: String,
    /// The counts as a table.
    pub table: String,
    /// The greatest difference of latencies, where they are compared.
    pub latency_difference_cycles: Option<u64>,
}

/// What is said of responses that the check of a user's design could not judge, if there are any.
pub fn unjudged(guest: Option<&GuestReport>, counters: &Counters) -> Option<String> {
    (guest.is_some() && counters.unjudged > 0).then(|| {
        format!(
            "{} responses could not be judged, because older history had been dropped: the run proves too little",
            grouped(counters.unjudged)
        )
    })
}

/// What of a trace was run (`docs/traces.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// References of the trace.
    pub references: u64,
    /// Translations that they asked for.
    pub translations: u64,
}

impl Verdict<'_> {
    /// Whether all held.
    pub fn holds(&self) -> bool {
        self.failed.is_empty()
            && self.missed.is_empty()
            && unjudged(self.guest.as_ref(), self.counters).is_none()
            && self.coverage.as_ref().is_none_or(CoverageReport::holds)
    }

    /// The object of `--json`.
    pub fn json(&self) -> Json {
        let mut object = match &self.guest {
            None => counters_json(self.counters),
            Some(guest) => guest.counters.clone(),
        };
        if let Json::Object(map) = &mut object {
            let first = self.failed.first().map(|failed| &failed.divergence);
            let common = [
                ("machine", json!(self.loaded.name)),
                ("config_hash", json!(self.loaded.config.hash())),
                ("rtl", json!(self.loaded.config.rtl())),
                ("implementations", json!(self.implementations)),
                ("floors_missed", json!(self.missed)),
                ("first_divergence", json!(first)),
                ("failure_groups", json!(groups(self.failed))),
            ];
            map.extend(
                common
                    .into_iter()
                    .chain(self.keys.iter().cloned())
                    .map(|(key, value)| (key.to_owned(), value)),
            );
            if let Some(coverage) = &self.coverage {
                map.insert("coverage".to_owned(), coverage.json());
            }
            if let Some(guest) = &self.guest {
                map.insert("rtl".to_owned(), guest.rtl.clone());
                let difference = json!(guest.latency_difference_cycles);
                map.insert("latency_difference_cycles".to_owned(), difference);
            }
        }
        object
    }

    /// The summary for a person.
    pub fn text(&self) -> String {
        let mut text = format!(
            "machine {} (config hash {}), {}, on {}\n",
            self.loaded.name,
            self.loaded.config.hash(),
            self.what,
            self.implementations.join(" and ")
        );
        if let Some(line) = rtl_none(&self.loaded.config) {
            text.push_str(&format!("{line}\n"));
        }
        if let Some(guest) = &self.guest {
            text.push_str(&format!("{}\n", guest.line));
        }
        text.push_str(&match (self.traced, &self.guest) {
            (None, Some(guest)) => guest.table.clone(),
            (None, None) => counters_table(self.counters),
            (Some(traced), _) => trace_table(self.counters, traced, self.failed.len()),
        });
        for failed in self.failed {
            // Writing into a string does not fail.
            let report = failed.finding.report(failed.divergence.story.as_ref());
            let _ = write!(text, "{}: {report}", failed.name);
            text.push_str(&failed.again);
        }
        text.push_str(&groups_table(self.failed));
        for missed in self.missed {
            let Missed { name, count, floor } = missed;
            let _ = writeln!(text, "vacuous: {name}: {count}, at least {floor} are due");
        }
        if let Some(line) = unjudged(self.guest.as_ref(), self.counters) {
            let _ = writeln!(text, "{line}");
        }
        if let Some(coverage) = &self.coverage {
            text.push_str(&coverage.text());
        }
        let _ = match (self.failed.len(), self.missed.len()) {
            (0, 0) => writeln!(text, "no difference"),
            (0, missed) => writeln!(
                text,
                "no difference, but {missed} floors missed: the run says too little"
            ),
            (1, _) => writeln!(text, "1 run with a difference"),
            (count, _) => writeln!(text, "{count} runs with a difference"),
        };
        text
    }
}

/// The counts as JSON keys.
pub fn counters_json(counters: &Counters) -> Json {
    // A plain structure of numbers: this does not fail.
    serde_json::to_value(counters).unwrap_or_default()
}

/// The counts of a trace as a table for a person who sees one for the first time.
fn trace_table(counters: &Counters, traced: Traced, differences: usize) -> String {
    let c = counters;
    let Traced {
        references,
        translations,
    } = traced;
    let looked_up = c.responses_compared.max(1);
    let share = |count: u64| format!("{:.3} %", 100.0 * count as f64 / looked_up as f64);
    let compared = "equal in both, cycle by cycle";
    let rows: Vec<Vec<String>> = [
        (
            "memory references",
            references,
            "fetches, loads, stores".to_owned(),
        ),
        (
            "translations",
            translations,
            "one a reference, two where it crosses a page".to_owned(),
        ),
        (
            "answered by the first-level TLBs",
            c.l1_hits,
            share(c.l1_hits),
        ),
        (
            "answered by the second-level TLB",
            c.stlb_hits,
            share(c.stlb_hits),
        ),
        ("page walks", c.walks, share(c.walks)),
        (
            "  begun at a paging-structure-cache entry",
            c.cached_starts,
            String::new(),
        ),
        (
            "  for a store to a page not yet dirty",
            c.dirty_clear_hits,
            String::new(),
        ),
        ("  ended in a fault", c.walks_faulted, String::new()),
        (
            "cycles",
            c.cycles,
            format!(
                "{:.2} a reference",
                c.cycles as f64 / references.max(1) as f64
            ),
        ),
        (
            "responses compared",
            c.responses_compared,
            compared.to_owned(),
        ),
        (
            "memory transfers compared",
            c.bus_compared,
            compared.to_owned(),
        ),
        (
            "TLB and cache fills compared",
            c.fills_compared,
            compared.to_owned(),
        ),
        (
            "page-table entries compared",
            c.entries_compared,
            "bit for bit, at the end".to_owned(),
        ),
        ("differences", differences as u64, String::new()),
    ]
    .into_iter()
    .map(|(name, count, remark)| vec![name.to_owned(), grouped(count), remark])
    .collect();
    table(&["", "count", ""], &rows)
}

/// The counts as a table for a person.
pub fn counters_table(counters: &Counters) -> String {
    let c = counters;
    let rows: Vec<Vec<String>> = [
        ("operations", c.ops, "cycles", c.cycles),
        (
            "responses compared",
            c.responses_compared,
            "memory transfers compared",
            c.bus_compared,
        ),
        (
            "fills compared",
            c.fills_compared,
            "page-table entries compared",
            c.entries_compared,
        ),
        (
            "removals compared",
            c.removals_compared,
            "evictions",
            c.evictions,
        ),
        (
            "first-level hits",
            c.l1_hits,
            "second-level hits",
            c.stlb_hits,
        ),
        ("walks", c.walks, "begun at a cached entry", c.cached_starts),
        (
            "merged misses",
            c.merged_misses,
            "of these missed again",
            c.retries_missed,
        ),
        (
            "walks in parallel",
            c.walks_in_parallel,
            "times that the miss queue was full",
            c.miss_queue_full,
        ),
        (
            "hits under a miss",
            c.hits_under_miss,
            "responses out of order",
            c.responses_out_of_order,
        ),
        (
            "walks of the prefetch",
            c.prefetch_walks,
            "of these filled",
            c.prefetch_fills,
        ),
        (
            "walks that faulted",
            c.walks_faulted,
            "walks begun again at CR3",
            c.walk_restarts,
        ),
        (
            "page faults",
            c.faults.total(),
            "general protections",
            c.general_protections,
        ),
        (
            "bus errors",
            c.bus_errors,
            "invalidations during a walk",
            c.invalidations_during_walk,
        ),
        (
            "compare-and-sets",
            c.compare_and_sets,
            "of these lost to another agent",
            c.ad_races_lost,
        ),
        (
            "hits denied",
            c.denied_hits,
            "write hits with D clear",
            c.dirty_clear_hits,
        ),
        (
            "one legal outcome only",
            c.single_outcome,
            "stale outcomes seen",
            c.stale_observed,
        ),
        ("assertions failed", c.assertions_failed, "hangs", c.hangs),
    ]
    .into_iter()
    .map(|(left, a, right, b)| vec![left.to_owned(), grouped(a), right.to_owned(), grouped(b)])
    .collect();
    table(&["", "count", "", "count"], &rows)
}
