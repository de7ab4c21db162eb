//! Who presents requests: references, control operations and stores, in order, with a window and a gap.
//!
//! Contract: 13.1, and the requester's side of 3 and 5. Counterpart: none; a driver of either twin can do the same by ticking, and must
//! then see the same cycles.
//!
//! While nothing but first-level hits is in flight, no array changes, nobody waits for anybody, and each reference is a sum: accepted in
//! `a`, looked up in `a + H`, answered in `a + H + 1` (`hits`). The machine then holds nothing of it. When a reference would not hit, the
//! machine is brought into the very state of the cycle of its accept, queues and all, and goes from act to act of its units, until there are
//! only hits in flight again (`acts`). In a run of hits whose answers nothing can change any more, each is handed out at once. A window of 1
//! goes through [`Mmu::translate_alone`] instead. Control operations are ticked (`ticks`). A test holds all of it against a front end that
//! ticks every cycle.

mod acts;
mod hits;
mod many;
mod one;
mod runs;
mod ticks;

use crate::config::Config;

use super::agenda::Agenda;
use super::alone::{Alone, Lean, Misses};
use super::memory::Memory;
use super::mmu::Mmu;
use super::mmu_pkg::{ControlIn, KIND_FETCH, MAX_MISS_QUEUE_ENTRIES, MAX_PORTS};
use super::performance_counters::PerformanceCounters;
use super::port::{Request, Response};
use super::recents::Tally;
use super::statistics::Statistics;

pub use many::Asked;
pub use one::OneAtATime;
pub use runs::{Run, Unserved};

/// Widest window.
const SLOTS: usize = 64;

/// A control operation, in the form of the control port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// 0 MOV CR0, 1 MOV CR3, 2 MOV CR4, 3 WRMSR EFER, 4 INVLPG, 5 INVPCID.
    pub op: u8,
    /// The value, the address of an INVLPG, or the first quadword of an INVPCID descriptor.
    pub data: u64,
    /// The second quadword of an INVPCID descriptor.
    pub addr: u64,
    /// The type of an INVPCID.
    pub kind: u64,
}

impl Operation {
    /// An operation that has no more than `data`.
    pub const fn new(op: u8, data: u64) -> Self {
        Self {
            op,
            data,
            addr: 0,
            kind: 0,
        }
    }

    /// The control inputs that present it, with `resp_ready` = 1.
    pub fn presented(&self) -> ControlIn {
        ControlIn {
            valid: 1,
            op: self.op,
            resp_ready: 1,
            data: self.data,
            addr: self.addr,
            kind: self.kind,
            ..ControlIn::default()
        }
    }
}

/// What became of a reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// The number of the reference, from 0; its id is that mod 256.
    pub number: u64,
    /// The port that it went through.
    pub port: u8,
    /// The code of its look-up in the first level after it waited for another miss (contract 7.1), or 0.
    pub retried: u8,
    /// Cycles, codes, answer, memory accesses. With `retried`, the look-up in the STLB and the accesses come after that.
    pub what: Alone,
}

impl Answered {
    const NONE: Self = Self {
        number: 0,
        port: 0,
        retried: 0,
        what: Alone::new(Response::NONE, 0, 0),
    };
}

/// A machine with its memory, and who feeds it.
///
/// Until [`FrontEnd::finish`] (or a control operation, which waits for all before it) machine and figures lag behind what was presented.
#[derive(Clone, Debug)]
pub struct FrontEnd {
    mmu: Mmu,
    memory: Memory,
    /// W and G of the rule.
    window: u64,
    gap_cycles: u64,
    data_ports: u64,
    /// References presented so far, and those of data among them.
    count: u64,
    data_count: u64,
    /// References that left the window, answered; all others are in `answered` and `requests`.
    retired: u64,
    /// References whose answer was handed out, at least as many.
    reported: u64,
    /// The first cycle in which the next reference may be offered because of the one before, or of an operation.
    free_from: u64,
    /// The last cycle in which an answer to a reference that left the window was transferred.
    answered_by: u64,
    /// By number mod [`SLOTS`].
    answered: [Answered; SLOTS],
    requests: [Request; SLOTS],
    /// The machine is ticked. Else only hits are in flight, and the machine holds none of them.
    ticking: bool,
    hits: hits::Hits,
    /// Ticking: the machine is under the agenda, which its cycle goes by.
    acting: bool,
    agenda: Agenda,
    transfers: [acts::Transfers; MAX_PORTS],
    /// Acting: before this cycle nothing acts but what is accepted from now on.
    quiet_until: u64,
    /// Ticking: the number of the first reference since the last miss.
    missed: u64,
    /// Ticking: the slot of the request in each entry of the miss queue.
    slots: [u8; MAX_MISS_QUEUE_ENTRIES],
    /// Ticking: stores that wait for the next reference or operation to be offered.
    stores: Vec<(u64, u64)>,
    /// Some reference of many was answered otherwise than by a translation.
    refused: bool,
    /// While many references are taken: the machine as a lean one, if it is.
    lean: Option<Lean>,
    /// Misses that are yet to be counted, and how many were counted last.
    misses: Misses,
    counted_misses: u32,
    /// Of the last access to memory in a chunk, the hits before it that were not counted then.
    accepted_after: Tally,
    /// Of references as runs.
    streams: runs::Streams,
}

/// Equal if machine and memory are, and what was presented.
impl PartialEq for FrontEnd {
    fn eq(&self, other: &Self) -> bool {
        self.mmu == other.mmu && self.memory == other.memory && self.count == other.count
    }
}

impl FrontEnd {
    /// A machine of `config`, which must be valid, out of reset, with the configuration's window and gap.
    pub fn new(config: &Config, memory: Memory) -> Self {
        let front_end = &config.front_end;
        Self::with_window(config, memory, front_end.window, front_end.issue_gap_cycles)
    }

    fn with_window(config: &Config, memory: Memory, window: u32, gap_cycles: u32) -> Self {
        let mut mmu = Mmu::new(config);
        mmu.skip(mmu.next_event().unwrap_or(0));
        let mut front_end = Self {
            hits: hits::Hits::new(&mmu, window),
            mmu,
            memory,
            window: u64::from(window).clamp(1, SLOTS as u64),
            gap_cycles: u64::from(gap_cycles),
            data_ports: u64::from(config.ports.data_ports.max(1)),
            count: 0,
            data_count: 0,
            retired: 0,
            reported: 0,
            free_from: 0,
            answered_by: 0,
            answered: [Answered::NONE; SLOTS],
            requests: [Request::NONE; SLOTS],
            ticking: true,
            acting: false,
            agenda: Agenda::NONE,
            transfers: [acts::Transfers::NONE; MAX_PORTS],
            quiet_until: 0,
            missed: 0,
            slots: [0; MAX_MISS_QUEUE_ENTRIES],
            stores: Vec::with_capacity(SLOTS),
            refused: false,
            lean: None,
            misses: Misses::NONE,
            counted_misses: 0,
            accepted_after: Tally::default(),
            streams: runs::Streams::NEW,
        };
        front_end.cycle(None, ControlIn::default());
        front_end.free_from = front_end.mmu.now();
        front_end
    }

    /// The next reference, a fetch or one of data as its kind says; its id is set here. References whose answers are known are handed to
    /// `answered`, in order; this one at the latest when its window is over.
    #[inline(always)]
    pub fn translate(&mut self, request: &Request, answered: &mut impl FnMut(&Answered)) {
        let port = self.port_of(request);
        let request = Request {
            id: self.count as u8,
            ..*request
        };
        if let Some(known) = self.hit_at_once(port, &request) {
            answered(&known);
            return;
        }
        self.translate_otherwise(port, request, answered);
    }

    /// A reference whose answer is not known at once.
    #[inline(never)]
    fn translate_otherwise(
        &mut self,
        port: usize,
        mut request: Request,
        answered: &mut impl FnMut(&Answered),
    ) {
        // No register is written before it is accepted, so that this is how it will be taken.
        self.mmu.cut(&mut request);
        if self.window == 1 {
            let number = self.count;
            self.count += 1;
            self.retired = self.count;
            let from = self.free_from.max(self.mmu.now());
            let what = self.translate_alone(port, &request, from);
            self.free_from = what.accepted_at + 1 + self.gap_cycles;
            answered(&Answered {
                number,
                port: port as u8,
                retried: 0,
                what,
            });
            return;
        }
        if self.ticking {
            self.catch_up(answered);
        }
        if self.ticking || !self.hits(port, &request, answered) {
            self.accept(port, request);
        }
    }

    /// The port that the rule gives the next reference.
    #[inline]
    const fn port_of(&mut self, request: &Request) -> usize {
        if request.access.kind as u8 == KIND_FETCH {
            return 0;
        }
        // One data port or two.
        let port = 1 + (self.data_count & (self.data_ports - 1));
        self.data_count += 1;
        port as usize
    }

    /// A reference, when none is under way, that is offered in cycle `from`. The machine is in the cycle after the last answer.
    #[inline(always)]
    fn translate_alone(&mut self, port: usize, request: &Request, from: u64) -> Alone {
        if self.mmu.spec.prefetch {
            // Of all things, a prefetch outlives the answers.
            return self.translate_beside_prefetch(port, request, from);
        }
        self.mmu
            .translate_alone(port, request, &mut self.memory, from)
    }

    /// The oldest reference leaves the window. Its answer, which must be known, is handed out, unless it was.
    #[inline]
    fn retire(&mut self, answered: &mut impl FnMut(&Answered)) {
        let oldest = &self.answered[self.retired as usize % SLOTS];
        self.answered_by = self.answered_by.max(oldest.what.responded_at);
        if self.retired == self.reported {
            self.reported += 1;
            answered(oldest);
        }
        self.retired += 1;
    }

    /// The next control operation; whether it raised #GP. All answers before it are handed to `answered`.
    pub fn control(&mut self, operation: &Operation, answered: &mut impl FnMut(&Answered)) -> bool {
        self.finish(answered);
        let mut control = operation.presented();
        loop {
            let shown = self.cycle(None, control);
            if shown.control_ready {
                control.valid = 0;
            }
            if let Some(general_protection) = shown.control_answer {
                self.ticking = true;
                self.free_from = self.mmu.now();
                return general_protection;
            }
        }
    }

    /// Another agent's store, in the cycle in which the next reference or operation is first offered.
    ///
    /// # Errors
    /// No memory stands there.
    pub fn store(&mut self, address: u64, value: u64) -> Result<(), crate::arch::BusError> {
        // While the machine ticks, the cycle of the next offer may lie ahead, and memory is read until then.
        let lies_ahead = if self.window == 1 {
            self.free_from > self.mmu.now() && !self.mmu.is_at_rest()
        } else {
            self.ticking
        };
        if lies_ahead {
            self.memory.read_u64(address)?;
            self.stores.push((address, value));
            return Ok(());
        }
        self.memory.write_u64(address, value)
    }

    /// Waits for all answers. The machine is then in the cycle after the last of them, or after an operation's; stores that came after
    /// have performed.
    pub fn finish(&mut self, answered: &mut impl FnMut(&Answered)) {
        self.end_at_once();
        if self.ticking {
            self.act_until_all_answered();
        } else {
            self.materialize_at_end();
        }
        while self.retired < self.count {
            self.retire(answered);
        }
        self.perform_stores();
    }

    /// Goes to the cycle in which the next reference is first offered, and no further: machine and figures are then those of that cycle, and
    /// what is in flight stays so. What follows is the same as without. Something must have been presented before.
    pub fn settle(&mut self, answered: &mut impl FnMut(&Answered)) {
        self.end_at_once();
        if self.window == 1 {
            self.pass_to_offer();
        } else if self.ticking {
            self.act_to_offer(answered);
            self.close();
        } else {
            self.materialize_at_offer(answered);
        }
    }

    /// The number of the cycle after the last answer, once all are in; or of that in which [`FrontEnd::settle`] left it.
    #[inline]
    pub const fn cycles(&self) -> u64 {
        self.mmu.now()
    }

    /// What was counted since reset, once all answers are in, or [`FrontEnd::settle`] was called last.
    #[inline]
    pub const fn statistics(&self) -> &Statistics {
        self.mmu.statistics()
    }

    /// The performance counters since reset, once all answers are in, or [`FrontEnd::settle`] was called last.
    #[inline]
    pub const fn performance_counters(&self) -> &PerformanceCounters {
        self.mmu.performance_counters()
    }

    /// The machine, once all answers are in.
    pub const fn mmu(&self) -> &Mmu {
        &self.mmu
    }

    /// The memory, once all answers are in.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }
}
