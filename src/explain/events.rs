//! What is recorded of a request: events by cycle, causes, accesses.
//!
//! Contract: 10 and 10.1 (where it is seen). SDM: none. Counterpart: none; [`super::record`] fills it in.

use serde::Serialize;

use crate::arch::{Access, Entry, EntrySlot, PagingMode};
use crate::model::mmu_pkg::{
    LOOKUP_NONE, MISS_RETRY, MISS_STLB_BUSY, MISS_STLB_WAIT, MISS_WAITING, MISS_WALK_WAIT,
    MISS_WALKING,
};
use crate::model::{Request, Response};

/// States of a walker in a word of `mon_walker_o` (contract 10.1).
pub(super) mod walker_state {
    pub const START: u32 = 1;
    pub const EXAMINE: u32 = 4;
    pub const CAS: u32 = 5;
    pub const DONE: u32 = 7;
}

/// What a request waits for, or what is done for it, in a cycle. The order is that of a request that walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// In its port's queue, and the look-up in the first level.
    FirstLevel,
    /// STLB_WAIT.
    StlbWait,
    /// STLB_BUSY.
    Stlb,
    /// WALK_WAIT.
    WalkerWait,
    /// START of its walker.
    Start,
    /// READ, READ_WAIT, CAS and CAS_WAIT of its walker.
    Memory,
    /// EXAMINE of its walker.
    Examine,
    /// DONE of its walker.
    Done,
    /// WAITING: for another miss of the same page.
    Merged,
    /// RETRY.
    Retry,
    /// Answered, and other answers of its port come first.
    Response,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 11] = [
        Self::FirstLevel,
        Self::StlbWait,
        Self::Stlb,
        Self::WalkerWait,
        Self::Start,
        Self::Memory,
        Self::Examine,
        Self::Done,
        Self::Merged,
        Self::Retry,
        Self::Response,
    ];

    /// That of a request in this state of the miss queue, whose walker, if it has one, is in that state.
    pub(super) const fn of(miss: u32, walker: u32) -> Self {
        match (miss, walker) {
            (MISS_STLB_WAIT, _) => Self::StlbWait,
            (MISS_STLB_BUSY, _) => Self::Stlb,
            (MISS_WALK_WAIT, _) => Self::WalkerWait,
            (MISS_WALKING, walker_state::START) => Self::Start,
            (MISS_WALKING, walker_state::EXAMINE) => Self::Examine,
            (MISS_WALKING, walker_state::DONE) => Self::Done,
            (MISS_WALKING, _) => Self::Memory,
            (MISS_WAITING, _) => Self::Merged,
            (MISS_RETRY, _) => Self::Retry,
            _ => Self::Response,
        }
    }
}

/// What comes after EXAMINE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next level is read.
    Read,
    /// Bits are to be set.
    CompareAndSet,
    /// The walk begins again, from CR3.
    Restart,
    /// The walk is over.
    Done,
}

/// Something that was done for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It was accepted.
    Accepted(Request),
    /// It was looked up in the first level.
    LookUp {
        /// One of the `LOOKUP_` constants.
        code: u8,
        /// After it waited for another.
        retry: bool,
        /// The entry of the miss queue that it takes or has.
        entry: u8,
    },
    /// It was looked up in the STLB.
    StlbLookUp {
        /// One of the `LOOKUP_` constants.
        code: u8,
    },
    /// The result of that came.
    StlbResult {
        /// It was a hit, and answers.
        answers: bool,
    },
    /// A walker took it.
    Granted {
        /// Which.
        walker: usize,
    },
    /// START.
    Started {
        /// The walker.
        walker: usize,
        /// The level of the paging-structure cache that matched, or 0.
        psc_level: u8,
        /// The caches are not asked.
        from_cr3: bool,
        /// It is a restart.
        restart: bool,
    },
    /// Memory accepted a read or a compare-and-set.
    Requested {
        /// The walker.
        walker: usize,
        /// The level of the entry.
        level: u8,
        /// The address of its cell.
        cell: u64,
        /// The part of the cell that it takes.
        slot: EntrySlot,
        /// Of a compare-and-set: expected and new entry.
        compare_and_set: Option<(Entry, Entry)>,
    },
    /// Memory answered.
    Answered {
        /// The walker.
        walker: usize,
        /// The level of the entry.
        level: u8,
        /// The entry that stood there; none with a bus error.
        entry: Option<Entry>,
        /// Cycles since the accept.
        delay_cycles: u64,
        /// Of a compare-and-set: whether it took place.
        took_place: Option<bool>,
    },
    /// EXAMINE.
    Examined {
        /// The walker.
        walker: usize,
        /// The level of the entry.
        level: u8,
        /// What follows.
        next: Next,
    },
    /// DONE.
    Ended {
        /// The walker.
        walker: usize,
        /// One of the `WALK_` constants.
        op: u8,
        /// It had the right to fill.
        fills: bool,
    },
    /// An array or a cache was filled.
    Filled {
        /// Which: `dtlb.4k`.
        array: String,
        /// Its set; none of a paging-structure cache of one.
        set: Option<u16>,
        /// The way.
        way: u8,
        /// The new entry.
        entry: String,
        /// What stood there before.
        victim: Option<String>,
    },
    /// Entries of an array or a cache were dropped.
    Removed {
        /// Which.
        array: String,
        /// Its set; none of a paging-structure cache of one.
        set: Option<u16>,
        /// A bit for each way.
        ways: u64,
    },
    /// The answer was valid.
    Responded(Response),
}

/// Something that was done for a request, in a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The cycle.
    pub cycle: u64,
    /// What.
    pub what: What,
}

/// Accesses of memory for a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accesses {
    /// Reads of entries.
    pub reads: u32,
    /// Compare-and-sets.
    pub compare_and_sets: u32,
}

/// All that was done for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How many requests were accepted before it.
    pub number: u64,
    /// Its port.
    pub port: usize,
    /// What was asked.
    pub request: Request,
    /// The mode in which it was accepted, and is translated: registers are written only while nothing is outstanding.
    pub mode: PagingMode,
    /// The cycle of its accept.
    pub accepted_at: u64,
    /// The cycle in which its answer was valid, and the answer.
    pub responded: Option<(u64, Response)>,
    /// The code of its first look-up in the first level.
    pub first_level: u8,
    /// The code of its look-up in the first level after it waited for another, or 0.
    pub retried: u8,
    /// The code of its look-up in the STLB, or 0.
    pub stlb: u8,
    /// The level of the paging-structure cache at which its walk began, if it was one.
    pub psc_level: Option<u8>,
    /// Accesses of its walk, of a walk that restarted those after that.
    pub accesses: Accesses,
    /// Accesses of its walk before a restart, if there was one.
    pub before_restart: Option<Accesses>,
    /// What was done, in the order of the cycles.
    pub events: Vec<Event>,
    /// Cycles by cause, in the order of [`Cause::ALL`].
    pub causes: [u64; Cause::ALL.len()],
    /// Its entry of the miss queue.
    pub(super) entry: Option<usize>,
    /// Its answer is in the response queue.
    pub(super) answered: bool,
    /// The cycle in which memory accepted the access under way, the part of the cell that it is about, and what a compare-and-set expects.
    pub(super) requested_at: u64,
    pub(super) slot: EntrySlot,
    pub(super) expected: Option<Entry>,
}

impl Record {
    /// The record of a request that was accepted in `cycle`, in `mode`.
    pub(super) fn accepted(
        number: u64,
        port: usize,
        request: Request,
        mode: PagingMode,
        cycle: u64,
    ) -> Self {
        let mut record = Self {
            number,
            port,
            request,
            mode,
            accepted_at: cycle,
            responded: None,
            first_level: LOOKUP_NONE,
            retried: LOOKUP_NONE,
            stlb: LOOKUP_NONE,
            psc_level: None,
            accesses: Accesses::default(),
            before_restart: None,
            events: Vec::new(),
            causes: [0; Cause::ALL.len()],
            entry: None,
            answered: false,
            requested_at: 0,
            slot: EntrySlot::Whole,
            expected: None,
        };
        record.add(cycle, What::Accepted(request));
        record.count(Cause::FirstLevel);
        record
    }

    /// Cycles from the accept to the first cycle of the answer; `None` while there is none.
    pub fn latency_cycles(&self) -> Option<u64> {
        self.responded.map(|(at, _)| at - self.accepted_at)
    }

    /// The access that was asked for.
    pub const fn access(&self) -> &Access {
        &self.request.access
    }

    pub(super) fn add(&mut self, cycle: u64, what: What) {
        self.events.push(Event { cycle, what });
    }

    pub(super) fn count(&mut self, cause: Cause) {
        self.causes[cause as usize] += 1;
    }
}
