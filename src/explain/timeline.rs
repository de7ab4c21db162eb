//! What was done for a request as lines of text, its cycles by cause, and the formula of the contract beside the latency.
//!
//! Contract: 12 (the formulas), and the section that each line names. SDM: none. Counterpart: none.

use serde::Serialize;

use super::Hex;
use super::events::{Cause, Event, Next, Record, What};
use crate::arch::{Level, PageFaultCode, PageSize};
use crate::config::Config;
use crate::cosim::events::{EntryBits, port_name};
use crate::model::Response;
use crate::model::mmu_pkg::{
    LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR, LOOKUP_HIT_1G, LOOKUP_HIT_2M, LOOKUP_HIT_4K,
    LOOKUP_MERGED, LOOKUP_MISS, LOOKUP_NONE, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION,
    STATUS_PAGE_FAULT, WALK_BUS_ERROR, WALK_PAGE_FAULT, WALK_TRANSLATED,
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
    pub first_level: &'static str,
    /// What the STLB said; none if it was not asked.
    pub stlb: Option<&'static str>,
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

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The cycle.
    pub cycle: u64,
    /// Cycles since the accept.
    pub after_cycles: u64,
    /// The block that did it.
    pub block: String,
    /// What it did.
    pub what: String,
    /// The section of the contract that says so.
    pub contract: &'static str,
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
            first_level: look_up(record.first_level),
            stlb: (record.stlb != LOOKUP_NONE).then(|| look_up(record.stlb)),
            psc: record.psc_level.map(entry_name),
            memory_reads: record.accesses.reads + before.reads,
            compare_and_sets: record.accesses.compare_and_sets + before.compare_and_sets,
            response: answer(&response),
            events: events.iter().map(|event| line(event, record)).collect(),
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
    let (h, s) = (
        u64::from(first_level),
        u64::from(config.stlb.hit_latency_cycles),
    );
    let m = u64::from(config.memory.latency_cycles);
    let (n, c) = (record.accesses.reads, record.accesses.compare_and_sets);
    let walk = u64::from(n + c) * (m + 2);
    let walk_numbers = format!("({n} + {c})({m} + 2)");
    let (case, letters, numbers, cycles) = match (record.first_level, record.stlb) {
        (LOOKUP_HIT_4K | LOOKUP_HIT_2M | LOOKUP_HIT_1G, _) => (
            "hit in the first level",
            "H + 1".to_owned(),
            format!("{h} + 1"),
            h + 1,
        ),
        (LOOKUP_BYPASS, _) => (
            "paging off, or not canonical",
            "H + 1".to_owned(),
            format!("{h} + 1"),
            h + 1,
        ),
        (LOOKUP_MISS, LOOKUP_HIT_4K | LOOKUP_HIT_2M | LOOKUP_HIT_1G) => (
            "hit in the STLB",
            "H + S + 2".to_owned(),
            format!("{h} + {s} + 2"),
            h + s + 2,
        ),
        (LOOKUP_MISS, _) => (
            "walk of n reads and c compare-and-sets",
            "H + S + 5 + (n + c)(M + 2)".to_owned(),
            format!("{h} + {s} + 5 + {walk_numbers}"),
            h + s + 5 + walk,
        ),
        (LOOKUP_DENIED | LOOKUP_DIRTY_CLEAR, _) => (
            "walk after a first-level hit that is denied or has D = 0",
            "H + 4 + (n + c)(M + 2)".to_owned(),
            format!("{h} + 4 + {walk_numbers}"),
            h + 4 + walk,
        ),
        _ => return None,
    };
    let mut formula = Formula {
        case,
        letters,
        numbers,
        cycles,
        difference_cycles: 0,
    };
    if let Some(before) = record.before_restart {
        let (n, c) = (before.reads, before.compare_and_sets);
        formula.letters.push_str(" + 1 + (n' + c')(M + 2)");
        formula
            .numbers
            .push_str(&format!(" + 1 + ({n} + {c})({m} + 2)"));
        formula.cycles += 1 + u64::from(n + c) * (m + 2);
    }
    formula.difference_cycles = latency_cycles as i64 - formula.cycles as i64;
    Some(formula)
}

/// The code of a look-up in words.
const fn look_up(code: u8) -> &'static str {
    match code {
        LOOKUP_HIT_4K => "hit 4k",
        LOOKUP_HIT_2M => "hit 2m",
        LOOKUP_HIT_1G => "hit 1g",
        LOOKUP_MISS => "miss",
        LOOKUP_DENIED => "hit, denied",
        LOOKUP_DIRTY_CLEAR => "hit, write with D clear",
        LOOKUP_BYPASS => "not asked",
        LOOKUP_MERGED => "miss, merged",
        _ => "none",
    }
}

/// The name of an entry by the number of its level.
fn entry_name(level: u8) -> &'static str {
    Level::from_number(level).map_or("entry", Level::entry_name)
}

fn line(event: &Event, record: &Record) -> Line {
    let (block, what, contract) = say(&event.what, record);
    Line {
        cycle: event.cycle,
        after_cycles: event.cycle - record.accepted_at,
        block,
        what,
        contract,
    }
}

/// The block, what it did, and the section of the contract.
fn say(what: &What, record: &Record) -> (String, String, &'static str) {
    let first_level = if record.port == 0 { "ITLB" } else { "DTLB" };
    let of = |walker: &usize| format!("walker {walker}");
    match what {
        What::Accepted(request) => (
            format!("port {}", port_name(record.port)),
            format!(
                "accepts: {} {:#x}, CPL {}",
                request.access.kind, request.va, request.access.cpl
            ),
            "5",
        ),
        What::LookUp { code, retry, entry } => {
            let again = if *retry { "again: " } else { "" };
            let text = format!("{again}{}", first_level_text(*code, *entry, record));
            (
                first_level.to_owned(),
                text,
                if *code == LOOKUP_MERGED { "7.1" } else { "6" },
            )
        }
        What::StlbLookUp { code } => {
            let text = match *code {
                LOOKUP_MISS => "looked up: no match".to_owned(),
                code => format!("looked up: {}", look_up(code)),
            };
            ("STLB".to_owned(), text, "7.2")
        }
        What::StlbResult { answers: true } => (
            "STLB".to_owned(),
            "result: answers from it".to_owned(),
            "7.3",
        ),
        What::StlbResult { answers: false } => (
            "STLB".to_owned(),
            "result: a walk is needed".to_owned(),
            "7.3",
        ),
        What::Granted { walker } => (of(walker), "takes the miss".to_owned(), "8.1"),
        What::Started {
            walker,
            psc_level,
            from_cr3,
            restart,
        } => (
            of(walker),
            start_text(*psc_level, *from_cr3, *restart),
            if *restart { "8.4" } else { "8.2" },
        ),
        What::Requested {
            level,
            address,
            compare_and_set,
            ..
        } => {
            let name = entry_name(*level);
            let text = match compare_and_set {
                None => format!("read of the {name} at {address:#x}"),
                Some((expected, new)) => {
                    format!(
                        "compare-and-set of the {name} at {address:#x}: {expected:#x} to {new:#x}"
                    )
                }
            };
            ("memory".to_owned(), text, "8.3")
        }
        What::Answered {
            data,
            delay_cycles,
            took_place,
            ..
        } => (
            "memory".to_owned(),
            answer_text(*data, *delay_cycles, *took_place),
            "8.3",
        ),
        What::Examined {
            walker,
            level,
            next,
        } => {
            let text = match next {
                Next::Read => "a table: on to the next level",
                Next::CompareAndSet => "its A or D must be set first",
                Next::Restart => "ends, but began at a cached entry: again from CR3",
                Next::Done => "the walk is over",
            };
            (
                of(walker),
                format!("EXAMINE {}: {text}", entry_name(*level)),
                "8.4",
            )
        }
        What::Ended { walker, op, fills } => (of(walker), end_text(*op, *fills), "8.5"),
        What::Filled {
            array,
            set,
            way,
            entry,
            victim,
        } => {
            let mut text = format!("fills {}: {entry}", place(*set, format!("way {way}")));
            if let Some(victim) = victim {
                text.push_str(&format!("; in place of {victim}"));
            }
            (
                array.clone(),
                text,
                if array.starts_with("psc.") {
                    "8.5"
                } else {
                    "7.5"
                },
            )
        }
        What::Removed { array, set, ways } => {
            let ways: Vec<_> = (0..64)
                .filter(|way| ways >> way & 1 != 0)
                .map(|way: u32| way.to_string())
                .collect();
            let ways = format!("way {}", ways.join(", "));
            (array.clone(), format!("drops {}", place(*set, ways)), "8.5")
        }
        What::Responded(response) => (
            format!("port {}", port_name(record.port)),
            format!("answers: {}", answer(response)),
            "5",
        ),
    }
}

/// Set and way, of a cache the way alone.
fn place(set: Option<u16>, ways: String) -> String {
    set.map_or(ways.clone(), |set| format!("set {set} {ways}"))
}

fn first_level_text(code: u8, entry: u8, record: &Record) -> String {
    let refused = record
        .responded
        .is_some_and(|(_, response)| response.status == STATUS_GENERAL_PROTECTION);
    match code {
        LOOKUP_HIT_4K => "hit in the array of 4K pages".to_owned(),
        LOOKUP_HIT_2M => "hit in the array of 2M pages".to_owned(),
        LOOKUP_HIT_1G => "hit in the array of 1G pages".to_owned(),
        LOOKUP_MISS => format!("no match: waits for the STLB, in miss-queue entry {entry}"),
        LOOKUP_DENIED => {
            format!("match, but its rights deny: walks from CR3, in miss-queue entry {entry}")
        }
        LOOKUP_DIRTY_CLEAR => {
            format!("match, but a write and D = 0: walks, in miss-queue entry {entry}")
        }
        LOOKUP_MERGED => {
            format!("no match: waits for another miss of the page, in miss-queue entry {entry}")
        }
        _ if refused => "not asked: the address is not canonical".to_owned(),
        _ => "not asked: paging is off".to_owned(),
    }
}

fn start_text(psc_level: u8, from_cr3: bool, restart: bool) -> String {
    match (psc_level, from_cr3 || restart) {
        (_, true) => {
            "START at CR3; caches are not asked, and what they hold of the address is dropped"
                .to_owned()
        }
        (0, _) => "START: no paging-structure cache has an entry; begins at CR3".to_owned(),
        (level, _) => format!(
            "START: {} found in its paging-structure cache; begins below it",
            entry_name(level)
        ),
    }
}

fn answer_text(data: Option<u64>, delay_cycles: u64, took_place: Option<bool>) -> String {
    let cycles = if delay_cycles == 1 { "cycle" } else { "cycles" };
    let Some(data) = data else {
        return format!("bus error, after {delay_cycles} {cycles}");
    };
    match took_place {
        None => format!("gives {}, after {delay_cycles} {cycles}", EntryBits(data)),
        Some(true) => format!("set, after {delay_cycles} {cycles}"),
        Some(false) => format!(
            "not set, after {delay_cycles} {cycles}: it holds {}",
            EntryBits(data)
        ),
    }
}

fn end_text(op: u8, fills: bool) -> String {
    match (op, fills) {
        (WALK_TRANSLATED, true) => "DONE: translated; TLBs and caches are filled",
        (WALK_TRANSLATED, false) => "DONE: translated; fills nothing",
        (WALK_PAGE_FAULT, _) => "DONE: page fault; what is cached of the address is dropped",
        (WALK_BUS_ERROR, _) => "DONE: bus error",
        _ => "DONE",
    }
    .to_owned()
}

/// An answer in words.
fn answer(response: &Response) -> String {
    match response.status {
        STATUS_PAGE_FAULT => {
            let code = PageFaultCode(u32::from(response.error_code));
            format!("page fault, error code {code}, CR2 {}", Hex(response.va))
        }
        STATUS_GENERAL_PROTECTION => "general protection".to_owned(),
        STATUS_BUS_ERROR => "bus error".to_owned(),
        _ => {
            let size = PageSize::ALL.get(usize::from(response.page_size));
            let size = size.map_or("", |size| size.name());
            format!("physical address {:#x}, page of {size}", response.pa)
        }
    }
}
