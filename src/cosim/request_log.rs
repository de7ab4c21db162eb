//! One row a request: what became of it, and where its cycles went.
//!
//! Contract: 5 to 8 (what a request waits for), 10 and 10.1 (where it is seen). SDM: none. Counterpart: none; the rows of either twin are drawn
//! from its outputs alone, which are equal in every cycle, and so are the rows.
//!
//! A request that is accepted in cycle a and answered in cycle r has a latency of r - a cycles. Each of the cycles a + 1 to r has one cause: what
//! the request does, or waits for, in that cycle. So the causes sum to the latency.

use std::collections::VecDeque;

use crate::config::Config;
use crate::model::mmu_pkg::{
    Inputs, LOOKUP_HIT_4K, LOOKUP_MISS, LOOKUP_NONE, MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, MEM_READ,
    MISS_FREE, MISS_RETRY, MISS_STLB_BUSY, MISS_STLB_WAIT, MISS_WAITING, MISS_WALK_WAIT, Outputs,
    STATUS_TRANSLATED, WALK_NONE, WALK_RESTART, WALK_START, miss_state,
};
use crate::model::{Request, Response};

/// Causes of a cycle.
pub const CAUSES: usize = 12;

/// What a request does in a cycle, or waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
#[repr(usize)]
pub enum Cause {
    /// The latency of the first-level look-up: the `xTLB_HIT_CYCLES` cycles after the accept (contract 5), whatever else happens in them.
    FirstLevel,
    /// In the request queue after that: behind older requests of the port, behind requests of the port in RETRY, while the look-up is held up (contract 6), or
    /// refused because the miss queue is full. The cycle in which it is looked up then is the last of these.
    Queue,
    /// In STLB_WAIT (contract 7.2): waiting for its turn at the STLB; the cycle of the look-up is the last of these.
    StlbWait,
    /// In STLB_BUSY until the result is due (contract 7.3): the latency of the STLB.
    Stlb,
    /// The result of the STLB is due, or the walker is in START or DONE, and does not commit yet (contract 7.4).
    CommitWait,
    /// In WALK_WAIT (contract 8.1): waiting for a walker; the cycle in which one takes it is the last of these.
    WalkerWait,
    /// The walker acts: START or DONE performs, an access is transferred to memory, or an entry is examined (contract 8.2 to 8.5).
    WalkStep,
    /// The walker is in READ or CAS, and its access is not transferred: another walker's is, or memory is not ready (contract 8.3).
    MemoryPortWait,
    /// The walker is in READ_WAIT or CAS_WAIT: waiting for the answer of memory.
    Memory,
    /// In WAITING (contract 7.1): merged into another request's miss, whose end it waits for.
    Merged,
    /// In RETRY (contract 6): waiting for its look-up again; the cycle of the look-up is the last of these.
    Retry,
    /// The response is pushed, and in the response queue until it is transferred: one cycle where it is alone there.
    Response,
}

impl Cause {
    /// All of them, in the order of a request's way; and the column that each has.
    pub const ALL: [(Self, &'static str); CAUSES] = [
        (Self::FirstLevel, "first_level_cycles"),
        (Self::Queue, "queue_cycles"),
        (Self::StlbWait, "stlb_wait_cycles"),
        (Self::Stlb, "stlb_cycles"),
        (Self::CommitWait, "commit_wait_cycles"),
        (Self::WalkerWait, "walker_wait_cycles"),
        (Self::WalkStep, "walk_step_cycles"),
        (Self::MemoryPortWait, "memory_port_wait_cycles"),
        (Self::Memory, "memory_cycles"),
        (Self::Merged, "merged_cycles"),
        (Self::Retry, "retry_cycles"),
        (Self::Response, "response_cycles"),
    ];
}

/// What answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnsweredBy {
    /// Nothing was looked up: paging is off, or the address is not canonical.
    #[default]
    None,
    /// The first level, at once or after it waited for another miss.
    FirstLevel,
    /// The STLB.
    Stlb,
    /// A walk, with a translation or a fault.
    Walk,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The request; its id is its number mod 256.
    pub request: Request,
    /// The port that it went through.
    pub port: u8,
    /// The cycle of the accept, from reset.
    pub accepted_at: u64,
    /// The cycle in which the response was transferred.
    pub responded_at: u64,
    /// The answer.
    pub response: Response,
    /// What answered it.
    pub answered_by: AnsweredBy,
    /// Walks that a walker began for it.
    pub walks: u32,
    /// Of these, walks that began again from CR3.
    pub restarts: u32,
    /// Entries that its own walks read.
    pub memory_reads: u32,
    /// Compare-and-sets that its own walks issued, won or lost.
    pub compare_and_sets: u32,
    /// Cycles, by the number of the cause.
    pub cycles: [u64; CAUSES],
}

impl Row {
    /// Cycles from the accept to the answer: the sum of the causes.
    pub const fn latency_cycles(&self) -> u64 {
        self.responded_at - self.accepted_at
    }

    /// Whether the answer is a translation.
    pub const fn is_translated(&self) -> bool {
        self.response.status == STATUS_TRANSLATED
    }
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    row: Row,
    /// In the request queue of its port, from which it may be looked up from that cycle on.
    queued: Option<u64>,
    /// The cycle from which the STLB's result is due.
    due_from: u64,
    is_answered: bool,
}

const NOTHING: UnderWay = UnderWay {
    row: Row {
        request: Request::NONE,
        port: 0,
        accepted_at: 0,
        responded_at: 0,
        response: Response::NONE,
        answered_by: AnsweredBy::None,
        walks: 0,
        restarts: 0,
        memory_reads: 0,
        compare_and_sets: 0,
        cycles: [0; CAUSES],
    },
    queued: None,
    due_from: 0,
    is_answered: false,
};

/// Ids, and so requests that can be told apart.
const IDS: usize = 256;

/// Watches the outputs of a machine, and puts rows together. No two outstanding requests may have the same id, whatever their ports: so it is
/// with the front end of contract 13.1, whose window is narrower than there are ids.
#[derive(Debug)]
pub struct RequestLog {
    /// Latencies of the look-ups in ITLB, DTLB and STLB.
    hit_cycles: [u64; 3],
    /// By id.
    requests: Vec<UnderWay>,
    /// By port: the ids of the requests in its queue.
    queued: [VecDeque<u8>; MAX_PORTS],
    /// The ids of all that were accepted and not handed out, oldest first.
    order: VecDeque<u8>,
}

impl RequestLog {
    /// A log of a machine of `config`, out of reset.
    pub fn new(config: &Config) -> Self {
        let levels = [&config.itlb, &config.dtlb, &config.stlb];
        Self {
            hit_cycles: levels.map(|level| u64::from(level.hit_latency_cycles)),
            requests: vec![NOTHING; IDS],
            queued: Default::default(),
            order: VecDeque::with_capacity(IDS),
        }
    }

    /// The machine is reset: what was under way is never answered, and has no row.
    pub fn reset(&mut self) {
        self.requests.fill(NOTHING);
        self.queued.iter_mut().for_each(VecDeque::clear);
        self.order.clear();
    }

    /// Watches one cycle; every one must pass here, in order.
    pub fn observe(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        self.count_accesses(inputs, outputs);
        self.attribute(cycle, inputs, outputs);
        self.follow(cycle, outputs);
        self.transfer(cycle, inputs, outputs);
    }

    /// The oldest request that is not handed out, if it has its answer.
    pub fn next_answered(&mut self) -> Option<Row> {
        let request = &self.requests[usize::from(*self.order.front()?)];
        if !request.is_answered {
            return None;
        }
        self.order.pop_front();
        let row = request.row;
        let sum: u64 = row.cycles.iter().sum();
        debug_assert_eq!(sum, row.latency_cycles(), "{row:?}");
        Some(row)
    }

    fn count_accesses(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let memory = &outputs.memory;
        if memory.req_valid == 0 || inputs.memory.req_ready == 0 {
            return;
        }
        if let Some(id) = walked_id(outputs, usize::from(memory.req_id)) {
            let row = &mut self.requests[id].row;
            row.memory_reads += u32::from(memory.req_op == MEM_READ);
            row.compare_and_sets += u32::from(memory.req_op != MEM_READ);
        }
    }

    /// Gives this cycle of every request a cause, by what the queues hold in it.
    fn attribute(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        if self.order.is_empty() {
            return;
        }
        let mut waits: [(u8, u32, Option<usize>); MAX_MISS_QUEUE_ENTRIES] =
            [(0, MISS_FREE, None); MAX_MISS_QUEUE_ENTRIES];
        for (wait, word) in waits.iter_mut().zip(&outputs.queues.miss) {
            *wait = (id_of(*word) as u8, miss_state(*word), None);
        }
        for (walker, word) in outputs.queues.walker.iter().enumerate() {
            if let Some(entry) = entry_of(*word) {
                waits[entry].2 = Some(walker);
            }
        }
        for id in &self.order {
            let request = &mut self.requests[usize::from(*id)];
            if request.is_answered {
                continue;
            }
            let in_miss_queue = || {
                waits
                    .iter()
                    .find(|wait| wait.1 != MISS_FREE && wait.0 == *id)
            };
            let cause = match request.queued {
                Some(from) if cycle <= from => Cause::FirstLevel,
                Some(_) => Cause::Queue,
                None => {
                    in_miss_queue().map_or(Cause::Response, |(_, state, walker)| match *state {
                        MISS_STLB_WAIT => Cause::StlbWait,
                        MISS_STLB_BUSY if cycle <= request.due_from => Cause::Stlb,
                        MISS_STLB_BUSY => Cause::CommitWait,
                        MISS_WALK_WAIT => Cause::WalkerWait,
                        MISS_WAITING => Cause::Merged,
                        MISS_RETRY => Cause::Retry,
                        _ => walker.map_or(Cause::WalkStep, |walker| {
                            cause_of_walk(walker, inputs, outputs)
                        }),
                    })
                }
            };
            request.row.cycles[cause as usize] += 1;
        }
    }

    /// Notes what performs.
    fn follow(&mut self, cycle: u64, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        for (port, code) in monitor.lookup.iter().enumerate() {
            if *code == LOOKUP_NONE {
                continue;
            }
            let id = if monitor.lookup_retry[port] != 0 {
                missed_id(outputs, monitor.lookup_entry[port])
            } else {
                self.queued[port].pop_front().map(usize::from)
            };
            let Some(id) = id else { continue };
            let request = &mut self.requests[id];
            request.queued = None;
            if (LOOKUP_HIT_4K..LOOKUP_MISS).contains(code) {
                request.row.answered_by = AnsweredBy::FirstLevel;
            }
        }
        if monitor.stlb_lookup != LOOKUP_NONE
            && let Some(id) = missed_id(outputs, monitor.stlb_entry)
        {
            let request = &mut self.requests[id];
            request.due_from = cycle + self.hit_cycles[2];
            if monitor.stlb_lookup < LOOKUP_MISS {
                request.row.answered_by = AnsweredBy::Stlb;
            }
        }
        for (walker, event) in monitor.walk.iter().enumerate() {
            if event.op != WALK_NONE
                && let Some(id) = walked_id(outputs, walker)
            {
                let row = &mut self.requests[id].row;
                row.walks += u32::from(event.op == WALK_START);
                row.restarts += u32::from(event.op == WALK_RESTART);
                // The last of its events is DONE, which answers.
                row.answered_by = AnsweredBy::Walk;
            }
        }
    }

    fn transfer(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        for (port, (asked, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if shown.resp_valid != 0 && asked.resp_ready != 0 {
                let request = &mut self.requests[usize::from(shown.resp_id)];
                request.row.responded_at = cycle;
                request.row.response = Response::shown(shown);
                request.is_answered = true;
            }
            if asked.req_valid != 0 && shown.req_ready != 0 {
                let hit_cycles = self.hit_cycles[usize::from(port != 0)];
                self.requests[usize::from(asked.req_id)] = UnderWay {
                    row: Row {
                        request: Request::captured(asked),
                        port: port as u8,
                        accepted_at: cycle,
                        ..NOTHING.row
                    },
                    queued: Some(cycle + hit_cycles),
                    ..NOTHING
                };
                self.queued[port].push_back(asked.req_id);
                self.order.push_back(asked.req_id);
            }
        }
    }
}

/// What a walker does in this cycle.
fn cause_of_walk(walker: usize, inputs: &Inputs, outputs: &Outputs) -> Cause {
    let acts = outputs.monitor.walk[walker].op != WALK_NONE;
    let memory = &outputs.memory;
    let transfers = memory.req_valid != 0
        && inputs.memory.req_ready != 0
        && usize::from(memory.req_id) == walker;
    match outputs.queues.walker[walker] & 7 {
        START | DONE if !acts => Cause::CommitWait,
        READ | CAS if !transfers => Cause::MemoryPortWait,
        READ_WAIT | CAS_WAIT => Cause::Memory,
        _ => Cause::WalkStep,
    }
}

// States of a walker (contract 10.1).
const START: u32 = 1;
const READ: u32 = 2;
const READ_WAIT: u32 = 3;
const CAS: u32 = 5;
const CAS_WAIT: u32 = 6;
const DONE: u32 = 7;

/// The id of the request that a word of `mon_miss_o` shows.
const fn id_of(word: u32) -> usize {
    (word >> 5 & 0xff) as usize
}

/// The id of the request in an entry of the miss queue; none for the prefetch.
fn missed_id(outputs: &Outputs, entry: u8) -> Option<usize> {
    let word = outputs.queues.miss.get(usize::from(entry))?;
    Some(id_of(*word))
}

/// The entry of the miss queue that a word of `mon_walker_o` shows; none of an idle walker or for the prefetch.
fn entry_of(word: u32) -> Option<usize> {
    let entry = (word >> 3 & 0x1f) as usize;
    (word & 7 != 0 && entry < MAX_MISS_QUEUE_ENTRIES).then_some(entry)
}

/// The id of the request that a walker walks for.
fn walked_id(outputs: &Outputs, walker: usize) -> Option<usize> {
    let word = outputs.queues.walker.get(walker)?;
    missed_id(outputs, entry_of(*word)? as u8)
}

#[cfg(test)]
#[path = "tests/request_log.rs"]
mod tests;
