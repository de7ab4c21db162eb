//! What `run` says: the figures as JSON keys, and a summary for a person.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::window::Passed;
use crate::cli::machine::rtl_none;
use crate::cli::{grouped, table, trace};
use crate::config::{FrontEndSpec, Loaded};
use crate::model::Statistics;
use crate::model::statistics::{ArrayStatistics, LevelStatistics};
use crate::trace::TraceFormat;

/// Arrays of each TLB level, one a page size.
const ARRAYS_PER_LEVEL: usize = 3;
/// The levels in the order of the arrays' numbers.
const LEVELS: [&str; 3] = ["itlb", "dtlb", "stlb"];
/// The paging-structure caches in the order of the contract's numbers, and what a hit in each does.
const PSC: [(&str, &str); 4] = [
    ("pde", "walk starts at the page table"),
    ("pdpte", "walk starts at the directory"),
    ("pml4e", "walk starts at the PDPT"),
    ("pml5e", "walk starts at the PML4"),
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
    /// What of it ran.
    pub passed: &'a Passed,
    /// What was counted since reset.
    pub statistics: &'a Statistics,
    /// What is wrong with the machine.
    pub broken: Option<String>,
}

impl Report<'_> {
    fn cycles(&self) -> u64 {
        self.statistics.cycles - self.passed.from_cycle
    }

    fn per_kilo_instruction(&self, count: u64) -> Option<f64> {
        self.passed
            .instructions
            .map(|instructions| 1000.0 * count as f64 / instructions as f64)
    }

    /// The object of `--json`.
    pub fn json(&self) -> Json {
        let Self {
            statistics: s,
            passed,
            loaded,
            ..
        } = self;
        json!({
            "backend": self.backend,
            "machine": loaded.name,
            "config_hash": loaded.config.hash(),
            "rtl": loaded.config.rtl(),
            "trace": self.trace,
            "trace_source": passed.source,
            "trace_assumptions": passed.source.map_or(&[][..], TraceFormat::assumptions),
            "trace_incomplete": passed.source.and_then(TraceFormat::incomplete),
            "mapping": loaded.config.mapping,
            "front_end": self.front_end_json(),
            "skipped": self.skip,
            "warmup": 0,
            "references": passed.counts.total(),
            "fetches": passed.counts.fetches,
            "loads": passed.counts.loads,
            "stores": passed.counts.stores,
            "translations": s.requests,
            "pages": passed.pages,
            "setup_cycles": passed.from_cycle,
            "cycles": self.cycles(),
            "instructions": passed.instructions,
            "mpki": self.per_kilo_instruction(s.walks_of_requests()),
            "itlb": self.level_json(&s.itlb),
            "dtlb": self.level_json(&s.dtlb),
            "stlb": self.level_json(&s.stlb),
            "psc": self.psc_json(),
            "walks": s.walks,
            "faults": {
                "page_faults": s.responses.page_faults,
                "by_code": faults_by_code(s),
                "general_protections": s.responses.general_protections,
                "bus_errors": s.responses.bus_errors,
            },
            "events": self.events_json(),
            "failure": self.broken,
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

    /// What happened beside look-ups and walks: each key counts one kind of event.
    fn events_json(&self) -> Json {
        let s = self.statistics;
        let mut events = json!({
            "page_crossings": self.passed.crossings,
            "control_operations": s.control.operations,
        });
        let mut put = |name: &str, arrays: &[ArrayStatistics]| {
            let sum = |pick: fn(&ArrayStatistics) -> u64| arrays.iter().map(pick).sum::<u64>();
            events[format!("{name}_fills")] = json!(sum(|array| array.fills));
            events[format!("{name}_evictions")] = json!(sum(|array| array.evictions));
            events[format!("{name}_invalidations")] = json!(sum(|array| array.invalidations));
        };
        for (name, arrays) in LEVELS.iter().zip(s.tlb_arrays.chunks(ARRAYS_PER_LEVEL)) {
            put(name, arrays);
        }
        put("psc", &s.psc_arrays);
        events
    }

    /// The summary for a person.
    pub fn text(&self) -> String {
        let mut text = self.head();
        text.push_str(&self.look_ups_table());
        text.push_str(&self.totals());
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
        let total = passed.counts.total();
        let first = self.skip + 1;
        let bits = |policy| json!(policy).as_str().unwrap_or_default().to_owned();
        format!(
            "Machine:   {} on the {} (configuration hash {})\n{}\
             Trace:     {}, references {} to {}: {} fetches, {} loads, {} stores on {} pages of 4 KiB\n\
             {}\
             Mapping:   {} pages, {} levels, placed by seed {}; accessed and dirty bits {} at first\n\
             Front end: {}\n\
             Warm-up:   none; TLBs and caches are empty at the first reference\n",
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
            grouped(self.skip + total),
            grouped(passed.counts.fetches),
            grouped(passed.counts.loads),
            grouped(passed.counts.stores),
            grouped(passed.pages),
            self.caveats(),
            mapping.pages.name(),
            mapping.levels,
            mapping.seed,
            bits(mapping.accessed_dirty),
            self.loaded.config.front_end,
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
        let s = self.statistics;
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
        let Self {
            statistics: s,
            passed,
            ..
        } = self;
        let by_blocks = match self.loaded.config.front_end.fetch_block_bytes {
            0 => "",
            _ => "; of fetches one for each block, not for each instruction",
        };
        let w = &s.walks;
        let total = passed.counts.total();
        let instructions = passed
            .instructions
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
             {special_text}Faults:       {fault_text}\n",
            grouped(total),
            grouped(s.requests),
            grouped(passed.crossings),
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
        )
    }
}

fn faults_by_code(statistics: &Statistics) -> Json {
    // A plain structure of numbers: this does not fail.
    json!(statistics.responses)["page_faults_by_code"].take()
}
