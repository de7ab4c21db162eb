//! What was done for a request in lines, its cycles by cause, and the formula of the contract beside the latency.
//!
//! Contract: 12 (the formulas). SDM: none. Counterpart: none.

use serde::Serialize;

use super::events::{Cause, Record};
use super::lines::{Line, answer, entry_name, look_up};
use crate::config::Config;
use crate::cosim::events::port_name;
use crate::model::mmu_pkg::{
    LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR, LOOKUP_HIT_1G, LOOKUP_HIT_2M, LOOKUP_HIT_4K,
    LOOKUP_MISS, LOOKUP_NONE,
};

/// What the machine did for one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// `read`, `write` or `fetch`.
    pub kind: String,
    /// The port: `fetch`, `data1`.
    pub port: &'static str,
    /// The cycle of its accept.
    pub accepted_at: u64,
    /// The first cycle in which its answer was valid.
    pub responded_at: u64,
    /// The cycles in between.
    pub latency_cycles: u64,
    /// What the first level said.
    pub first_level: String,
    /// What the STLB said; none if it was not asked.
    pub stlb: Option<String>,
    /// The entry of a paging-structure cache at which the walk began: `PDE`.
    pub psc: Option<&'static str>,
    /// Entries read, all in all.
    pub memory_reads: u32,
    /// Compare-and-sets, all in all.
    pub compare_and_sets: u32,
    /// The answer.
    pub response: String,
    /// What was done, by cycle.
    pub events: Vec<Line>,
    /// The cycles by cause. They add up to the latency.
    pub causes: Vec<CauseCycles>,
    /// The formula of contract 12; none of a request that waited for another.
    pub formula: Option<Formula>,
}

/// Cycles of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CauseCycles {
    /// The cause.
    pub cause: Cause,
    /// In words.
    pub about: &'static str,
    /// How many.
    pub cycles: u64,
    /// What they are by the formula, with nothing else in the machine.
    pub share: &'static str,
}

/// A formula of contract 12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Formula {
    /// The case.
    pub case: &'static str,
    /// With letters.
    pub letters: String,
    /// With numbers.
    pub numbers: String,
    /// What it comes to.
    pub cycles: u64,
    /// What was measured above that: what others, and the jitter of memory, cost.
    pub difference_cycles: i64,
}

impl Timeline {
    /// What `record`, on a machine of `config`, says; `None` if it has no answer.
    pub fn of(record: &Record, config: &Config) -> Option<Self> {
        let (responded_at, response) = record.responded?;
        let latency_cycles = responded_at - record.accepted_at;
        let mut events = record.events.clone();
        events.sort_by_key(|event| event.cycle);
        let before = record.before_restart.unwrap_or_default();
        Some(Self {
            kind: record.access().kind.to_string(),
            port: port_name(record.port),
            accepted_at: record.accepted_at,
            responded_at,
            latency_cycles,
            first_level: look_up(record.first_level, record.mode),
            stlb: (record.stlb != LOOKUP_NONE).then(|| look_up(record.stlb, record.mode)),
            psc: record.psc_level.map(entry_name),
            memory_reads: record.accesses.reads + before.reads,
            compare_and_sets: record.accesses.compare_and_sets + before.compare_and_sets,
            response: answer(&response),
            events: events.iter().map(|event| Line::of(event, record)).collect(),
            causes: causes(record),
            formula: formula(record, config, latency_cycles),
        })
    }
}

fn causes(record: &Record) -> Vec<CauseCycles> {
    let counted = Cause::ALL.into_iter().zip(record.causes);
    let counted = counted.filter(|(_, cycles)| *cycles > 0);
    counted
        .map(|(cause, cycles)| {
            let (about, share) = words(cause);
            CauseCycles {
                cause,
                about,
                cycles,
                share,
            }
        })
        .collect()
}

/// A cause in words, and its share of the formula.
const fn words(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::FirstLevel => ("first-level TLB: queue and look-up", "H + 1"),
        Cause::StlbWait => ("waits for its turn in the STLB", "1"),
        Cause::Stlb => ("STLB: look-up until its result", "S"),
        Cause::WalkerWait => ("waits for a walker", "1"),
        Cause::Start => ("walker: START, looks the PSCs up", "1 a start"),
        Cause::Memory => ("memory: reads and compare-and-sets", "(M + 1) each"),
        Cause::Examine => ("walker: EXAMINE, decodes the entry", "1 each"),
        Cause::Done => ("walker: DONE, fills and answers", "1"),
        Cause::Merged => ("waits for another miss of the page", ""),
        Cause::Retry => ("looked up in the first level again", ""),
        Cause::Response => ("waits behind other answers of its port", "0"),
    }
}

/// The formula of a request that met this.
fn formula(record: &Record, config: &Config, latency_cycles: u64) -> Option<Formula> {
    let first_level = match record.port {
        0 => config.itlb.hit_latency_cycles,
        _ => config.dtlb.hit_latency_cycles,
    };
    let h = u64::from(first_level);
    let s = u64::from(config.stlb.hit_latency_cycles);
    let m = u64::from(config.memory.latency_cycles);
    let (n, c) = (record.accesses.reads, record.accesses.compare_and_sets);
    let walk = u64::from(n + c) * (m + 2);
    let (case, letters, numbers, cycles) = match (record.first_level, record.stlb) {
        (LOOKUP_HIT_4K | LOOKUP_HIT_2M | LOOKUP_HIT_1G, _) => {
            ("hit in the first level", "H + 1", format!("{h} + 1"), h + 1)
        }
        (LOOKUP_BYPASS, _) => (
            "paging off, or not canonical",
            "H + 1",
            format!("{h} + 1"),
            h + 1,
        ),
        (LOOKUP_MISS, LOOKUP_HIT_4K | LOOKUP_HIT_2M | LOOKUP_HIT_1G) => (
            "hit in the STLB",
            "H + S + 2",
            format!("{h} + {s} + 2"),
            h + s + 2,
        ),
        (LOOKUP_MISS, _) => (
            "walk of n reads and c compare-and-sets",
            "H + S + 5 + (n + c)(M + 2)",
            format!("{h} + {s} + 5 + ({n} + {c})({m} + 2)"),
            h + s + 5 + walk,
        ),
        (LOOKUP_DENIED | LOOKUP_DIRTY_CLEAR, _) => (
            "walk after a first-level hit that is denied or has D = 0",
            "H + 4 + (n + c)(M + 2)",
            format!("{h} + 4 + ({n} + {c})({m} + 2)"),
            h + 4 + walk,
        ),
        _ => return None,
    };
    let mut formula = Formula {
        case,
        letters: letters.to_owned(),
        numbers,
        cycles,
        difference_cycles: 0,
    };
    if let Some(before) = record.before_restart {
        let (n, c) = (before.reads, before.compare_and_sets);
        formula.letters += " + 1 + (n' + c')(M + 2)";
        formula.numbers += &format!(" + 1 + ({n} + {c})({m} + 2)");
        formula.cycles += 1 + u64::from(n + c) * (m + 2);
    }
    formula.difference_cycles = latency_cycles as i64 - formula.cycles as i64;
    Some(formula)
}
