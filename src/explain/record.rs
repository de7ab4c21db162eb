//! The model, ticked, with its ports and its monitor looked at in every cycle: what was done for a request, and when.
//!
//! Contract: 3 (links), 10 and 10.1 (monitor). SDM: none. Counterpart: none; `src/cosim/events.rs` shows everything in a cycle, this what
//! concerns one request.
//!
//! Requests are numbered in the order in which they are accepted. Which request a look-up, a walk, a memory access and a fill belong to
//! follows from ports, entries of the miss queue and walkers; each cycle of a request belongs to one [`Cause`], so that causes add up to
//! the latency.

use std::cell::Cell;
use std::collections::VecDeque;

use serde::Serialize;

use crate::arch::Access;
use crate::cosim::events::{PSC_NAMES, PscEntry, TLB_NAMES, TlbEntry};
use crate::cosim::twin::Twin;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ARRAY_NONE, ArrayEvent, Inputs, LOOKUP_BYPASS, LOOKUP_MERGED, LOOKUP_MISS,
    LOOKUP_NONE, MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, MEM_COMPARE_AND_SET, MISS_FREE, MISS_RETRY,
    MISS_STLB_BUSY, MISS_STLB_WAIT, MISS_WAITING, MISS_WALK_WAIT, MISS_WALKING, Outputs, Queues,
    WALK_NONE, WALK_RESTART, WALK_START, WalkEvent, miss_state,
};
use crate::model::{Mmu, Request, Response};

/// States of a walker in a word of `mon_walker_o` (contract 10.1).
mod walker_state {
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
    const fn of(miss: u32, walker: u32) -> Self {
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
        /// Its address.
        address: u64,
        /// Of a compare-and-set: expected and new value.
        compare_and_set: Option<(u64, u64)>,
    },
    /// Memory answered.
    Answered {
        /// The walker.
        walker: usize,
        /// The level of the entry.
        level: u8,
        /// What stood there; none with a bus error.
        data: Option<u64>,
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
        array: &'static str,
        /// Its set; none of a paging-structure cache.
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
        array: &'static str,
        /// Its set; none of a paging-structure cache.
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
    entry: Option<usize>,
    /// Its answer is in the response queue.
    answered: bool,
    requested_at: u64,
    expected: Option<u64>,
}

impl Record {
    /// Cycles from the accept to the first cycle of the answer; `None` while there is none.
    pub fn latency_cycles(&self) -> Option<u64> {
        self.responded.map(|(at, _)| at - self.accepted_at)
    }

    /// The access that was asked for.
    pub const fn access(&self) -> &Access {
        &self.request.access
    }

    fn add(&mut self, cycle: u64, what: What) {
        self.events.push(Event { cycle, what });
    }

    fn count(&mut self, cause: Cause) {
        self.causes[cause as usize] += 1;
    }
}

/// A change of an array that waits for its owner to be known.
struct Change {
    cycle: u64,
    what: What,
}

/// The model with its monitor looked at.
pub struct Recorder {
    mmu: Mmu,
    /// The cycle that is ticked next.
    cycle: u64,
    accepted: u64,
    /// By port the numbers of the requests that have not been looked up.
    waiting: [VecDeque<u64>; MAX_PORTS],
    /// The number of the request in each entry of the miss queue.
    owners: [u64; MAX_MISS_QUEUE_ENTRIES],
    before: Queues,
    /// Changes of arrays in the cycle before that no walk made: the result of the STLB did.
    changes: Vec<Change>,
    /// The first request to record, and how many from there on.
    watched: Cell<(u64, u64)>,
    records: Vec<Record>,
}

impl Recorder {
    /// The model `mmu`, in its reset state, with nobody watched.
    pub fn new(mmu: Mmu) -> Self {
        Self {
            mmu,
            cycle: 0,
            accepted: 0,
            waiting: Default::default(),
            owners: [0; MAX_MISS_QUEUE_ENTRIES],
            before: Queues::default(),
            changes: Vec::new(),
            watched: Cell::new((0, 0)),
            records: Vec::new(),
        }
    }

    /// Records `count` requests from the number `first` on. To be said before the first of them is presented.
    pub fn watch(&self, first: u64, count: u64) {
        self.watched.set((first, count));
    }

    /// What was recorded, in the order of the accepts.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Whether every request that is to be recorded has its answer.
    pub fn is_complete(&self) -> bool {
        let (_, count) = self.watched.get();
        let answered = self
            .records
            .iter()
            .filter(|record| record.responded.is_some());
        answered.count() as u64 == count
    }

    /// Takes note of a cycle.
    fn note(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let cycle = self.cycle;
        if self.records.iter().any(|record| record.responded.is_none()) {
            self.note_transitions(&outputs.queues);
            self.note_responses(outputs);
            self.note_causes(&outputs.queues);
        }
        self.note_look_ups(outputs);
        if self.records.iter().any(|record| record.responded.is_none()) {
            self.note_stlb(outputs);
            self.note_memory(inputs, outputs);
            self.note_walks(outputs);
        }
        self.note_accepts(inputs, outputs);
        self.before = outputs.queues;
        self.cycle = cycle + 1;
    }

    /// The record of the request in an entry of the miss queue, if it is recorded.
    fn owner(&mut self, entry: usize) -> Option<&mut Record> {
        let number = *self.owners.get(entry)?;
        let record = self
            .records
            .iter_mut()
            .find(|record| record.number == number)?;
        (record.entry == Some(entry)).then_some(record)
    }

    /// What performed in the cycle before and shows in the queues now: results of the STLB, grants, EXAMINE.
    fn note_transitions(&mut self, now: &Queues) {
        let cycle = self.cycle.saturating_sub(1);
        let before = self.before;
        let changes = std::mem::take(&mut self.changes);
        for entry in 0..MAX_MISS_QUEUE_ENTRIES {
            let (was, is) = (miss_state(before.miss[entry]), miss_state(now.miss[entry]));
            let walker = walker_of(now, entry);
            let Some(record) = self.owner(entry) else {
                continue;
            };
            if was == MISS_STLB_BUSY && is != MISS_STLB_BUSY {
                let answers = is == MISS_FREE;
                record.add(cycle, What::StlbResult { answers });
                for change in &changes {
                    record.add(change.cycle, change.what.clone());
                }
            }
            if was == MISS_WALK_WAIT
                && is == MISS_WALKING
                && let Some(walker) = walker
            {
                record.add(cycle, What::Granted { walker });
            }
            if is == MISS_FREE && was != MISS_FREE {
                record.entry = None;
                record.answered = true;
            }
        }
        for (walker, (was, is)) in before.walker.iter().zip(now.walker).enumerate() {
            if was & 7 != walker_state::EXAMINE {
                continue;
            }
            let next = match is & 7 {
                walker_state::START => Next::Restart,
                walker_state::CAS => Next::CompareAndSet,
                walker_state::DONE => Next::Done,
                _ => Next::Read,
            };
            let level = (was >> 8 & 7) as u8;
            if let Some(record) = self.owner((was >> 3 & 0x1f) as usize) {
                record.add(
                    cycle,
                    What::Examined {
                        walker,
                        level,
                        next,
                    },
                );
            }
        }
    }

    fn note_responses(&mut self, outputs: &Outputs) {
        for (port, shown) in outputs.ports.iter().enumerate() {
            if shown.resp_valid == 0 {
                continue;
            }
            let cycle = self.cycle;
            let answered = self.records.iter_mut().find(|record| {
                record.port == port
                    && record.responded.is_none()
                    && record.request.id == shown.resp_id
            });
            if let Some(record) = answered {
                let response = Response::shown(shown);
                record.responded = Some((cycle, response));
                record.add(cycle, What::Responded(response));
            }
        }
    }

    /// What this cycle belongs to, of each request that is under way.
    fn note_causes(&mut self, queues: &Queues) {
        let open = self
            .records
            .iter_mut()
            .filter(|record| record.responded.is_none());
        for record in open {
            let cause = match record.entry {
                Some(entry) => {
                    let walker = walker_of(queues, entry);
                    let state = walker.map_or(0, |walker| queues.walker[walker] & 7);
                    Cause::of(miss_state(queues.miss[entry]), state)
                }
                None if record.answered => Cause::Response,
                None => Cause::FirstLevel,
            };
            record.count(cause);
        }
    }

    fn note_look_ups(&mut self, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        for port in 0..MAX_PORTS {
            let code = monitor.lookup[port];
            if code == LOOKUP_NONE {
                continue;
            }
            let retry = monitor.lookup_retry[port] != 0;
            let entry = monitor.lookup_entry[port];
            let slot = usize::from(entry) % MAX_MISS_QUEUE_ENTRIES;
            let takes = (LOOKUP_MISS..LOOKUP_BYPASS).contains(&code) || code == LOOKUP_MERGED;
            let number = if retry {
                self.owners[slot]
            } else {
                self.waiting[port].pop_front().unwrap_or(u64::MAX)
            };
            if takes {
                self.owners[slot] = number;
            }
            let cycle = self.cycle;
            let found = self
                .records
                .iter_mut()
                .find(|record| record.number == number);
            let Some(record) = found else { continue };
            if retry {
                record.retried = code;
            } else {
                record.first_level = code;
            }
            record.entry = takes.then_some(slot);
            record.answered = !takes;
            record.add(cycle, What::LookUp { code, retry, entry });
        }
    }

    fn note_stlb(&mut self, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        let (code, cycle) = (monitor.stlb_lookup, self.cycle);
        if code != LOOKUP_NONE
            && let Some(record) = self.owner(usize::from(monitor.stlb_entry))
        {
            record.stlb = code;
            record.add(cycle, What::StlbLookUp { code });
        }
    }

    fn note_memory(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        let cycle = self.cycle;
        if pins.resp_valid != 0 && shown.resp_ready != 0 {
            let (walker, entry, level) = self.walker(outputs, pins.resp_id);
            if let Some(record) = self.owner(entry) {
                let expected = record.expected.take();
                let data = (pins.resp_error == 0).then_some(pins.resp_data);
                let what = What::Answered {
                    walker,
                    level,
                    data,
                    delay_cycles: cycle - record.requested_at,
                    took_place: expected.map(|expected| data == Some(expected)),
                };
                record.add(cycle, what);
            }
        }
        if shown.req_valid != 0 && pins.req_ready != 0 {
            let (walker, entry, level) = self.walker(outputs, shown.req_id);
            if let Some(record) = self.owner(entry) {
                let sets = shown.req_op == MEM_COMPARE_AND_SET;
                record.accesses.reads += u32::from(!sets);
                record.accesses.compare_and_sets += u32::from(sets);
                record.requested_at = cycle;
                record.expected = sets.then_some(shown.req_expected);
                let what = What::Requested {
                    walker,
                    level,
                    address: shown.req_addr,
                    compare_and_set: sets.then_some((shown.req_expected, shown.req_wdata)),
                };
                record.add(cycle, what);
            }
        }
    }

    /// A walker by the id of its memory accesses: its number, its entry of the miss queue, its level.
    fn walker(&self, outputs: &Outputs, id: u8) -> (usize, usize, u8) {
        let walker = usize::from(id) % outputs.queues.walker.len();
        let word = outputs.queues.walker[walker];
        (walker, (word >> 3 & 0x1f) as usize, (word >> 8 & 7) as u8)
    }

    /// Starts and ends of walks, and what they and results of the STLB change in arrays: at most one of them in a cycle.
    fn note_walks(&mut self, outputs: &Outputs) {
        let cycle = self.cycle;
        let mut changes = changes(cycle, outputs);
        for (walker, event) in outputs.monitor.walk.iter().enumerate() {
            if event.op == WALK_NONE {
                continue;
            }
            let entry = usize::from(event.entry);
            let word = outputs.queues.miss.get(entry).copied().unwrap_or(0);
            let changed = std::mem::take(&mut changes);
            let Some(record) = self.owner(entry) else {
                continue;
            };
            record.add(cycle, walk_event(walker, event, word));
            match event.op {
                WALK_START => record.psc_level = (event.psc_level != 0).then_some(event.psc_level),
                WALK_RESTART => record.before_restart = Some(std::mem::take(&mut record.accesses)),
                _ => {}
            }
            for change in changed {
                record.add(change.cycle, change.what);
            }
        }
        self.changes = changes;
    }

    fn note_accepts(&mut self, inputs: &Inputs, outputs: &Outputs) {
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if pins.req_valid == 0 || shown.req_ready == 0 {
                continue;
            }
            let number = self.accepted;
            self.accepted += 1;
            self.waiting[port].push_back(number);
            let (first, count) = self.watched.get();
            if number < first || number - first >= count {
                continue;
            }
            let request = Request::captured(pins);
            let mut record = Record {
                number,
                port,
                request,
                accepted_at: self.cycle,
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
                expected: None,
            };
            record.add(self.cycle, What::Accepted(request));
            record.count(Cause::FirstLevel);
            self.records.push(record);
        }
    }
}

/// The walker that has an entry of the miss queue.
fn walker_of(queues: &Queues, entry: usize) -> Option<usize> {
    let has = |word: &u32| word & 7 != 0 && (word >> 3 & 0x1f) as usize == entry;
    queues.walker.iter().position(has)
}

/// The start or the end of a walk, of a request whose word in the miss queue is `word`.
fn walk_event(walker: usize, event: &WalkEvent, word: u32) -> What {
    match event.op {
        WALK_START | WALK_RESTART => What::Started {
            walker,
            psc_level: event.psc_level,
            from_cr3: word >> 14 & 1 != 0,
            restart: event.op == WALK_RESTART,
        },
        op => What::Ended {
            walker,
            op,
            fills: event.filled != 0,
        },
    }
}

/// What changed in arrays and caches in a cycle.
fn changes(cycle: u64, outputs: &Outputs) -> Vec<Change> {
    let monitor = &outputs.monitor;
    let tlb = TLB_NAMES.iter().zip(&monitor.tlb);
    let psc = PSC_NAMES.iter().zip(&monitor.psc);
    let text_of_tlb = |tag, data| TlbEntry { tag, data }.to_string();
    let text_of_psc = |tag, data| PscEntry { tag, data }.to_string();
    let tlb = tlb.map(|(name, event)| change(name, Some(event.set), event, text_of_tlb));
    let psc = psc.map(|(name, event)| change(name, None, event, text_of_psc));
    let all = tlb.chain(psc).flatten();
    all.map(|what| Change { cycle, what }).collect()
}

fn change(
    array: &'static str,
    set: Option<u16>,
    event: &ArrayEvent,
    text: fn(u64, u64) -> String,
) -> Option<What> {
    match event.op {
        ARRAY_NONE => None,
        ARRAY_FILL => Some(What::Filled {
            array,
            set,
            way: event.way,
            entry: text(event.tag, event.data),
            victim: (event.removed >> (event.way & 63) & 1 != 0)
                .then(|| text(event.victim_tag, event.victim_data)),
        }),
        _ => Some(What::Removed {
            array,
            set,
            ways: event.removed,
        }),
    }
}

impl Twin for Recorder {
    fn name(&self) -> &'static str {
        "model"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.mmu.tick(inputs, outputs);
        if inputs.rst_n != 0 {
            self.note(inputs, outputs);
        }
    }
}
