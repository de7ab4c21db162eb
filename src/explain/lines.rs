//! What was done for a request in words: a line for each event.
//!
//! Contract: the section that each line names. SDM: none. Counterpart: none.

use serde::Serialize;

use super::Hex;
use super::events::{Event, Next, Record, What};
use super::split::meant;
use crate::arch::{Entry, EntrySlot, Level, PageFaultCode, PageSize, PagingMode};
use crate::cosim::events::{EntryBits, port_name};
use crate::model::Response;
use crate::model::mmu_pkg::{
    LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR, LOOKUP_HIT_1G, LOOKUP_HIT_2M, LOOKUP_HIT_4K,
    LOOKUP_MERGED, LOOKUP_MISS, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION, STATUS_PAGE_FAULT,
    WALK_BUS_ERROR, WALK_PAGE_FAULT, WALK_TRANSLATED,
};

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

impl Line {
    /// What is said of an event of `record`.
    pub(super) fn of(event: &Event, record: &Record) -> Self {
        Self {
            cycle: event.cycle,
            after_cycles: event.cycle - record.accepted_at,
            block: block(&event.what, record),
            what: what(&event.what, record),
            contract: section(&event.what),
        }
    }
}

/// The block that does it.
fn block(what: &What, record: &Record) -> String {
    match what {
        What::Accepted(_) | What::Responded(_) => format!("port {}", port_name(record.port)),
        What::LookUp { .. } if record.port == 0 => "ITLB".to_owned(),
        What::LookUp { .. } => "DTLB".to_owned(),
        What::StlbLookUp { .. } | What::StlbResult { .. } => "STLB".to_owned(),
        What::Requested { .. } | What::Answered { .. } => "memory".to_owned(),
        What::Granted { walker }
        | What::Started { walker, .. }
        | What::Examined { walker, .. }
        | What::Ended { walker, .. } => format!("walker {walker}"),
        What::Filled { array, .. } | What::Removed { array, .. } => (*array).to_owned(),
    }
}

/// The section of the contract that says so.
const fn section(what: &What) -> &'static str {
    match what {
        What::Accepted(_) | What::Responded(_) => "5",
        What::LookUp {
            code: LOOKUP_MERGED,
            ..
        } => "7.1",
        What::LookUp { .. } => "6",
        What::StlbLookUp { .. } => "7.2",
        What::StlbResult { .. } => "7.3",
        What::Granted { .. } => "8.1",
        What::Started { restart: true, .. } | What::Examined { .. } => "8.4",
        What::Started { .. } => "8.2",
        What::Requested { .. } | What::Answered { .. } => "8.3",
        What::Filled { set: Some(_), .. } => "7.5",
        What::Filled { .. } | What::Ended { .. } | What::Removed { .. } => "8.5",
    }
}

/// What is done.
fn what(what: &What, record: &Record) -> String {
    match what {
        What::Accepted(request) => {
            let linear = match meant(request.va, record.mode) {
                linear if linear == request.va => String::new(),
                linear => format!(" for {linear:#x}"),
            };
            let access = request.access;
            format!(
                "accepts: {} {:#x}{linear}, CPL {}",
                access.kind, request.va, access.cpl
            )
        }
        What::LookUp { code, retry, entry } => {
            let again = if *retry { "again: " } else { "" };
            format!("{again}{}", first_level(*code, *entry, record))
        }
        What::StlbLookUp { code: LOOKUP_MISS } => "looked up: no match".to_owned(),
        What::StlbLookUp { code } => format!("looked up: {}", look_up(*code, record.mode)),
        What::StlbResult { answers: true } => "result: answers from it".to_owned(),
        What::StlbResult { answers: false } => "result: a walk is needed".to_owned(),
        What::Granted { .. } => "takes the miss".to_owned(),
        What::Started {
            psc_level,
            from_cr3,
            restart,
            ..
        } => started(*psc_level, *from_cr3 || *restart),
        What::Requested {
            level,
            cell,
            slot,
            compare_and_set,
            ..
        } => requested(*level, *cell, *slot, *compare_and_set),
        What::Answered {
            entry,
            delay_cycles,
            took_place,
            ..
        } => answered(*entry, *delay_cycles, *took_place),
        What::Examined { level, next, .. } => {
            format!("EXAMINE {}: {}", entry_name(*level), follows(*next))
        }
        What::Ended { op, fills, .. } => ended(*op, *fills).to_owned(),
        What::Filled {
            array,
            set,
            way,
            entry,
            victim,
        } => {
            let victim = victim
                .as_ref()
                .map(|victim| format!("; in place of {victim}"));
            let victim = victim.unwrap_or_default();
            // The arrays that are named for the one hold the other in this mode.
            let is_4m = record.mode == PagingMode::TwoLevel && array.ends_with("2m");
            let size = if is_4m { " with a page of 4m" } else { "" };
            format!("fills {}way {way}{size}: {entry}{victim}", of_set(*set))
        }
        What::Removed { set, ways, .. } => {
            let ways = (0..64).filter(|way| ways >> way & 1 != 0);
            let ways: Vec<_> = ways.map(|way: u32| way.to_string()).collect();
            format!("drops {}way {}", of_set(*set), ways.join(", "))
        }
        What::Responded(response) => format!("answers: {}", answer(response)),
    }
}

/// The set; nothing of a cache, which has none.
fn of_set(set: Option<u16>) -> String {
    set.map_or(String::new(), |set| format!("set {set} "))
}

/// The size of the pages that a look-up of this code found, by its array in `mode`.
fn size_found(code: u8, mode: PagingMode) -> Option<PageSize> {
    let array = match code {
        LOOKUP_HIT_4K => 0,
        LOOKUP_HIT_2M => 1,
        LOOKUP_HIT_1G => 2,
        _ => return None,
    };
    Some(mode.array_page_sizes()[array])
}

/// The code of a look-up in words.
pub(super) fn look_up(code: u8, mode: PagingMode) -> String {
    if let Some(size) = size_found(code, mode) {
        return format!("hit {size}");
    }
    let text = match code {
        LOOKUP_MISS => "miss",
        LOOKUP_DENIED => "hit, denied",
        LOOKUP_DIRTY_CLEAR => "hit, write with D clear",
        LOOKUP_BYPASS => "not asked",
        LOOKUP_MERGED => "miss, merged",
        _ => "none",
    };
    text.to_owned()
}

/// The name of an entry by the number of its level.
pub(super) fn entry_name(level: u8) -> &'static str {
    Level::from_number(level).map_or("entry", Level::entry_name)
}

fn first_level(code: u8, entry: u8, record: &Record) -> String {
    let refused = record
        .responded
        .is_some_and(|(_, response)| response.status == STATUS_GENERAL_PROTECTION);
    if let Some(size) = size_found(code, record.mode) {
        return format!("hit in the array of {} pages", size.name().to_uppercase());
    }
    let text = match code {
        LOOKUP_MISS => "no match: waits for the STLB",
        LOOKUP_DENIED => "match, but its rights deny: walks from CR3",
        LOOKUP_DIRTY_CLEAR => "match, but a write and D = 0: walks",
        LOOKUP_MERGED => "no match: waits for another miss of the page",
        _ if refused => return "not asked: the address is not canonical".to_owned(),
        _ => return "not asked: paging is off".to_owned(),
    };
    format!("{text}, in miss-queue entry {entry}")
}

fn started(psc_level: u8, from_cr3: bool) -> String {
    match (psc_level, from_cr3) {
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

fn requested(
    level: u8,
    cell: u64,
    slot: EntrySlot,
    compare_and_set: Option<(Entry, Entry)>,
) -> String {
    let address = cell + slot.offset_bytes();
    let half = match slot {
        EntrySlot::Whole => "",
        EntrySlot::Low => ", the lower half of 8 bytes",
        EntrySlot::High => ", the upper half of 8 bytes",
    };
    let entry = format!("the {} at {address:#x}{half}", entry_name(level));
    match compare_and_set {
        None => format!("read of {entry}"),
        Some((expected, new)) => {
            let (expected, new) = (expected.raw(), new.raw());
            format!("compare-and-set of {entry}: {expected:#x} to {new:#x}")
        }
    }
}

fn answered(entry: Option<Entry>, delay_cycles: u64, took_place: Option<bool>) -> String {
    let cycles = if delay_cycles == 1 { "cycle" } else { "cycles" };
    let after = format!("after {delay_cycles} {cycles}");
    let Some(entry) = entry.map(|entry| EntryBits(entry.raw())) else {
        return format!("bus error, {after}");
    };
    match took_place {
        None => format!("gives {entry}, {after}"),
        Some(true) => format!("set, {after}"),
        Some(false) => format!("not set, {after}: it holds {entry}"),
    }
}

const fn follows(next: Next) -> &'static str {
    match next {
        Next::Read => "a table: on to the next level",
        Next::CompareAndSet => "its A or D must be set first",
        Next::Restart => "ends, but began at a cached entry: again from CR3",
        Next::Done => "the walk is over",
    }
}

const fn ended(op: u8, fills: bool) -> &'static str {
    match (op, fills) {
        (WALK_TRANSLATED, true) => "DONE: translated; TLBs and caches are filled",
        (WALK_TRANSLATED, false) => "DONE: translated; fills nothing",
        (WALK_PAGE_FAULT, _) => "DONE: page fault; what is cached of the address is dropped",
        (WALK_BUS_ERROR, _) => "DONE: bus error",
        _ => "DONE",
    }
}

/// An answer in words.
pub(super) fn answer(response: &Response) -> String {
    match response.status {
        STATUS_PAGE_FAULT => {
            let code = PageFaultCode(u32::from(response.error_code));
            format!("page fault, error code {code}, CR2 {}", Hex(response.va))
        }
        STATUS_GENERAL_PROTECTION => "general protection".to_owned(),
        STATUS_BUS_ERROR => "bus error".to_owned(),
        _ => {
            let size = PageSize::from_code(response.page_size).map_or("", PageSize::name);
            format!("physical address {:#x}, page of {size}", response.pa)
        }
    }
}
