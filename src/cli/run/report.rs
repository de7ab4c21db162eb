//! What `run` says: the figures as JSON keys, and a summary for a person.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::figures::PSC;
use super::intervals::Intervals;
use super::window::Passed;
use crate::cli::machine::rtl_none;
use crate::cli::{grouped, table, trace};
use crate::config::{FrontEndSpec, Loaded};
use crate::trace::TraceFormat;

/// The events of each kind of request, as they are named in [`crate::model::events::MissEvents`].
const EVENTS: [&str; 12] = [
    "miss_causes_a_walk",
    "walk_completed",
    "walk_completed_4k",
    "walk_completed_2m_4m",
    "walk_completed_1g",
    "walk_faulted",
    "walk_pending",
    "walk_active",
    "stlb_hit",
    "stlb_hit_4k",
    "stlb_hit_2m_4m",
    "stlb_hit_1g",
];

/// What there is to say about a run.
pub struct Report<'a> {
    /// The machine's parameters.
    pub loaded: &'a Loaded,
    /// Which twin ran.
    pub backend: &'static str,
    /// The trace.
    pub trace: &'a Path,
    /// References left out at its start.
    pub skip: u64,
    /// References after them that ran uncounted.
    pub warmup: u64,
    /// What of it ran.
    pub passed: &'a Passed,
    /// The figures of intervals.
    pub intervals: Option<&'a Intervals>,
    /// What is wrong with the machine.
    pub broken: Option<String>,
}

impl Report<'_> {
    fn cycles(&self) -> u64 {
        self.passed.figures.statistics.cycles
    }

    /// The object of `--json`: the figures, and what they are of.
    pub fn json(&self) -> Json {
        let Self { passed, loaded, .. } = self;
        let mut object = passed.figures.json();
        let mut put = |key: &str, value: Json| object[key] = value;
        put("backend", json!(self.backend));
        put("machine", json!(loaded.name));
        put("config_hash", json!(loaded.config.hash()));
        put("rtl", json!(loaded.config.rtl()));
        put("trace", json!(self.trace));
        put("trace_source", json!(passed.source));
        put(
            "trace_assumptions",
            json!(passed.source.map_or(&[][..], TraceFormat::assumptions)),
        );
        put(
            "trace_incomplete",
            json!(passed.source.and_then(TraceFormat::incomplete)),
        );
        put("mapping", json!(loaded.config.mapping));
        put("front_end", self.front_end_json());
        put("skipped", json!(self.skip));
        put("warmup", json!(self.warmup));
        put("pages", json!(passed.pages));
        put("setup_cycles", json!(passed.from_cycle));
        put("failure", json!(self.broken));
        if let Some(intervals) = self.intervals {
            put("intervals", intervals.json());
        }
        object
    }

    /// The summary for a person.
    pub fn text(&self) -> String {
        let mut text = self.head();
        text.push_str(&self.look_ups_table());
        text.push_str(&self.totals());
        text.push_str(&self.events_table());
        if let Some(intervals) = self.intervals {
            text.push_str(&intervals.text());
        }
        if let Some(broken) = &self.broken {
            // Writing into a string does not fail.
            let _ = writeln!(
                text,
                "The machine is wrong, and the figures are those so far: {broken}"
            );
        }
        text
    }

    fn head(&self) -> String {
        let Self { loaded, passed, .. } = self;
        let mapping = &loaded.config.mapping;
        let counts = &passed.figures.counts;
        let total = counts.total();
        let first = self.skip + self.warmup + 1;
        let bits = |policy| json!(policy).as_str().unwrap_or_default().to_owned();
        format!(
            "Machine:   {} on the {} (configuration hash {})\n{}\
             Trace:     {}, references {} to {}: {} fetches, {} loads, {} stores on {} pages of 4 KiB\n\
             {}\
             Mapping:   {} pages, {} levels, placed by seed {}; accessed and dirty bits {} at first\n\
             Front end: {}\n\
             Warm-up:   {}\n",
            loaded.name,
            if self.backend == "rtl" {
                "RTL"
            } else {
                "cycle model"
            },
            loaded.config.hash(),
            rtl_none(&loaded.config).map_or(String::new(), |line| format!("           {line}\n")),
            self.trace.display(),
            grouped(first),
            grouped(self.skip + self.warmup + total),
            grouped(counts.fetches),
            grouped(counts.loads),
            grouped(counts.stores),
            grouped(passed.pages),
            self.caveats(),
            mapping.pages.name(),
            mapping.levels,
            mapping.seed,
            bits(mapping.accessed_dirty),
            self.loaded.config.front_end,
            self.warm_up(),
        )
    }

    fn warm_up(&self) -> String {
        if self.warmup == 0 {
            return "none; TLBs and caches are empty at the first reference".to_owned();
        }
        format!(
            "{} references, on TLBs and caches that were empty before",
            grouped(self.warmup)
        )
    }

    /// What is assumed of the trace, or missing in it.
    fn caveats(&self) -> String {
        let lines = trace::caveats(self.passed.source).into_iter();
        lines.map(|line| format!("           {line}")).collect()
    }

    /// Contract 13.1: the window and the gap, under their names in the configuration; a window of one without a gap has a name.
    fn front_end_json(&self) -> Json {
        let front_end = &self.loaded.config.front_end;
        if *front_end == FrontEndSpec::default() {
            return json!("one-at-a-time");
        }
        json!(front_end)
    }

    fn look_ups_table(&self) -> String {
        let s = &self.passed.figures.statistics;
        let mut rows = Vec::new();
        for (name, level) in [
            ("ITLB: first level, fetches", &s.itlb),
            ("DTLB: first level, loads and stores", &s.dtlb),
            ("STLB: second level, what the first lacks", &s.stlb),
        ] {
            rows.push(self.row(name, level.lookups, level.hits));
        }
        for ((name, effect), counts) in PSC.iter().zip(&s.psc) {
            if counts.lookups > 0 {
                let name = format!("{} cache: {effect}", name.to_uppercase());
                rows.push(self.row(&name, counts.lookups, counts.hits));
            }
        }
        table(
            &[
                "",
                "look-ups",
                "hits",
                "misses",
                "hit rate",
                "misses per 1000 instructions",
            ],
            &rows,
        )
    }

    fn row(&self, name: &str, lookups: u64, hits: u64) -> Vec<String> {
        let misses = lookups - hits;
        let rate = match lookups {
            0 => "-".to_owned(),
            lookups => format!("{:.3} %", 100.0 * hits as f64 / lookups as f64),
        };
        let mpki = self
            .passed
            .figures
            .per_kilo_instruction(misses)
            .map_or("not known".to_owned(), |mpki| format!("{mpki:.3}"));
        vec![
            name.to_owned(),
            grouped(lookups),
            grouped(hits),
            grouped(misses),
            rate,
            mpki,
        ]
    }

    fn totals(&self) -> String {
        let passed = self.passed;
        let s = &passed.figures.statistics;
        let by_blocks = match self.loaded.config.front_end.fetch_block_bytes {
            0 => "",
            _ => "; of fetches one for each block, not for each instruction",
        };
        let w = &s.walks;
        let total = passed.figures.counts.total();
        let instructions = passed
            .figures
            .instructions()
            .map_or("not known from this trace".to_owned(), grouped);
        let faults = &s.responses;
        let found = faults.page_faults + faults.general_protections + faults.bus_errors;
        let fault_text = match found {
            0 => "none".to_owned(),
            _ => format!(
                "{} page faults, {} general protections, {} bus errors",
                grouped(faults.page_faults),
                grouped(faults.general_protections),
                grouped(faults.bus_errors)
            ),
        };
        let special = s.dtlb.dirty_clear + s.dtlb.denied + s.itlb.denied;
        let special_text = match special {
            0 => String::new(),
            _ => format!(
                "              (first-level misses include {} stores to a page not yet dirty and {} denied accesses, which walk without \
                 asking the STLB)\n",
                grouped(s.dtlb.dirty_clear),
                grouped(s.dtlb.denied + s.itlb.denied)
            ),
        };
        format!(
            "References:   {} ({} translations: {} cross a page{by_blocks})\n\
             Instructions: {instructions}\n\
             Cycles:       {} ({:.3} a reference), after {} to set the machine up\n\
             Walks:        {} started, {} completed, {} faulted, {} aborted; {} reads and {} compare-and-sets of entries; {} cycles\n\
             {}\
             {special_text}Faults:       {fault_text}\n",
            grouped(total),
            grouped(s.requests),
            grouped(passed.figures.crossings),
            grouped(self.cycles()),
            self.cycles() as f64 / total.max(1) as f64,
            grouped(passed.from_cycle),
            grouped(w.started),
            grouped(w.completed),
            grouped(w.faulted),
            grouped(w.aborted),
            grouped(w.memory_reads),
            grouped(w.compare_and_sets),
            grouped(w.cycles),
            self.latencies(),
        )
    }

    /// How long the walks of requests took.
    fn latencies(&self) -> String {
        let summary = self.passed.figures.statistics.walk_latency_cycles.summary();
        let (Some(mean), Some(p50), Some(p90), Some(p99), Some(p99_9), Some(max)) = (
            summary.mean,
            summary.p50,
            summary.p90,
            summary.p99,
            summary.p99_9,
            summary.max,
        ) else {
            return String::new();
        };
        let [p50, p90, p99, p99_9, max] = [p50, p90, p99, p99_9, max].map(grouped);
        format!(
            "              each {mean:.1} cycles in the mean; 50 % at most {p50}, 90 % {p90}, 99 % {p99}, 99.9 % {p99_9}, all {max}\n"
        )
    }

    /// The performance counters, by kind of request.
    fn events_table(&self) -> String {
        let events = &self.passed.figures.events;
        let headline = [
            "events",
            "dtlb_load_misses",
            "dtlb_store_misses",
            "itlb_misses",
        ];
        let kinds = events.kinds().map(|kind| json!(kind));
        let rows: Vec<Vec<String>> = EVENTS
            .iter()
            .map(|name| {
                let counts = kinds
                    .iter()
                    .map(|kind| grouped(kind[*name].as_u64().unwrap_or(0)));
                std::iter::once((*name).to_owned()).chain(counts).collect()
            })
            .collect();
        format!(
            "{}page_walker_loads: {}; tlb_flush.stlb_any: {}\n",
            table(&headline, &rows),
            grouped(events.page_walker_loads),
            grouped(events.tlb_flush.stlb_any)
        )
    }
}
