//! A twin, ticked, with its ports and its monitor looked at in every cycle: what was done for a request, and when.
//!
//! Contract: 3 (links), 10 and 10.1 (monitor). SDM: none. Counterpart: none; `src/cosim/events.rs` shows everything in a cycle, this what
//! concerns one request.
//!
//! Requests are numbered in the order in which they are accepted. Which request a look-up, a walk, a memory access and a fill belong to
//! follows from ports, entries of the miss queue and walkers; each cycle of a request belongs to one [`Cause`], so that causes add up to
//! the latency.

use std::cell::Cell;
use std::collections::VecDeque;

use super::events::{Cause, Next, Record, What, walker_state};
use crate::arch::EntrySlot;
use crate::config::Config;
use crate::cosim::events::{ArrayNames, PscEntry, TlbEntry, paging_mode, removal};
use crate::cosim::twin::Twin;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ARRAY_NONE, ArrayEvent, Inputs, LOOKUP_BYPASS, LOOKUP_MERGED, LOOKUP_MISS,
    LOOKUP_NONE, MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, MEM_COMPARE_AND_SET, MISS_FREE, MISS_STLB_BUSY,
    MISS_WALK_WAIT, MISS_WALKING, Outputs, Queues, WALK_NONE, WALK_RESTART, WALK_START, WalkEvent,
    miss_state,
};
use crate::model::{Mmu, Request, Response};

/// A change of an array that waits for its owner to be known.
struct Change {
    cycle: u64,
    what: What,
}

/// A twin with its monitor looked at: the model, unless it is said which.
pub struct Recorder<T = Mmu> {
    twin: T,
    names: ArrayNames,
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
    /// The model of `config`, in its reset state, with nobody watched.
    pub fn new(config: &Config) -> Self {
        Self::of(config, Mmu::new(config))
    }
}

impl<T> Recorder<T> {
    /// A twin of `config`, in its reset state, with nobody watched.
    pub fn of(config: &Config, twin: T) -> Self {
        Self {
            twin,
            names: ArrayNames::new(config),
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
                let entry = (pins.resp_error == 0).then(|| record.slot.extract(pins.resp_data));
                let what = What::Answered {
                    walker,
                    level,
                    entry,
                    delay_cycles: cycle - record.requested_at,
                    took_place: expected.map(|expected| entry == Some(expected)),
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
                let slot = EntrySlot::of_byte_enables(shown.req_be);
                record.slot = slot.unwrap_or(EntrySlot::Whole);
                let of = |data| record.slot.extract(data);
                let compare_and_set = sets.then(|| (of(shown.req_expected), of(shown.req_wdata)));
                record.expected = compare_and_set.map(|(expected, _)| expected);
                let what = What::Requested {
                    walker,
                    level,
                    cell: shown.req_addr,
                    slot: record.slot,
                    compare_and_set,
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
        let mut changes = changes(&self.names, cycle, outputs);
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
            let mode = paging_mode(&outputs.control);
            let record = Record::accepted(number, port, request, mode, self.cycle);
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
fn changes(names: &ArrayNames, cycle: u64, outputs: &Outputs) -> Vec<Change> {
    let monitor = &outputs.monitor;
    let happened = |event: &(usize, &ArrayEvent)| event.1.op != ARRAY_NONE;
    let mut all = Vec::new();
    for (number, event) in monitor.tlb.iter().enumerate().filter(happened) {
        let name = names.tlb(number);
        if event.op == ARRAY_FILL {
            let several = names.holds_several(number);
            let text = |tag, data| TlbEntry { tag, data }.text(several);
            all.push(filled(name, Some(event.set), event, text));
        } else {
            all.extend(removed(name, true, removal::of_tlb(event)));
        }
    }
    for (number, event) in monitor.psc.iter().enumerate().filter(happened) {
        let (name, has_sets) = (names.psc(number), names.psc_has_sets(number));
        if event.op == ARRAY_FILL {
            let text = |tag, data| PscEntry { tag, data }.to_string();
            all.push(filled(name, has_sets.then_some(event.set), event, text));
        } else {
            let losses = removal::of_psc(event, names.psc_ways(number));
            all.extend(removed(name, has_sets, losses));
        }
    }
    let change = |what| Change { cycle, what };
    all.into_iter().map(change).collect()
}

fn filled(
    array: &str,
    set: Option<u16>,
    event: &ArrayEvent,
    text: impl Fn(u64, u64) -> String,
) -> What {
    What::Filled {
        array: array.to_owned(),
        set,
        way: event.way,
        entry: text(event.tag, event.data),
        victim: (event.removed >> (event.way & 63) & 1 != 0)
            .then(|| text(event.victim_tag, event.victim_data)),
    }
}

/// One for each set that loses something.
fn removed(array: &str, has_sets: bool, losses: Vec<(u64, u64)>) -> impl Iterator<Item = What> {
    losses.into_iter().map(move |(set, ways)| What::Removed {
        array: array.to_owned(),
        set: has_sets.then_some(set as u16),
        ways,
    })
}

impl<T: Twin> Twin for Recorder<T> {
    fn name(&self) -> &'static str {
        self.twin.name()
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.twin.tick(inputs, outputs);
        if inputs.rst_n != 0 {
            self.note(inputs, outputs);
        }
    }

    fn failed_assertions(&self) -> u64 {
        self.twin.failed_assertions()
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        self.twin.first_failed_assertion()
    }
}
