//! The fast path: one request with nothing else in flight, where time is arithmetic.
//!
//! Contract: 12, which follows from 5 to 8. Counterpart: none; the RTL knows cycles only.
//!
//! The blocks are those of [`Mmu::tick`]: the same look-ups, fills and steps of the walker, in the same order. What differs is that
//! nobody else can act in between, so the cycle in which each step performs is a sum, memory is asked directly, and there is no
//! monitor. A test runs the same requests both ways and compares everything.
//!
//! In front of that stand the pages that were hit last, for which not even the arrays are asked (`recents`). And a walk that meets
//! nothing but entries as it will leave them is no machine at all, but a sum (`plain`).

mod hit;
mod lean;
mod misses;
mod plain;

use super::memory::Memory;
use super::miss_queue::{MissEntry, MissState};
use super::mmu::Mmu;
use super::mmu_pkg::{LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_MISS, LOOKUP_NONE, MemoryOut};
use super::monitor::Unseen;
use super::port::{LookUp, Request, Response};
use super::prefetch::PrefetchState;
use super::spec::{STLB, Spec};
use super::walker::WalkState;

pub(super) use hit::Found;
pub(super) use lean::Lean;
pub(super) use misses::Misses;

/// What became of a request that was alone in the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alone {
    /// The answer.
    pub response: Response,
    /// The cycle in which the request was accepted.
    pub accepted_at: u64,
    /// The cycle in which the response was transferred: the first in which it was valid.
    pub responded_at: u64,
    /// The code of the first-level look-up (contract 6): 1 to 7.
    pub first_level: u8,
    /// The code of the STLB look-up (contract 7.1): 1 to 6, or 0 if there was none.
    pub stlb: u8,
    /// Entries that the walk read.
    pub memory_reads: u32,
    /// Compare-and-sets that the walk issued.
    pub compare_and_sets: u32,
}

/// The entry of the miss queue and the walker that a request takes when all are free.
const ENTRY: usize = 0;
const WALKER: usize = 0;

impl Mmu {
    /// Translates `request`, which `port` accepts in cycle `now`, and whose response is transferred as soon as it is valid; the machine
    /// is then in the cycle after.
    ///
    /// Everything is as if the cycles had been ticked, with a memory that is never stalled. A prefetch that a walk triggered may be under
    /// way then. The machine must be at rest ([`Mmu::is_at_rest`]), no response of `memory` under way, `now` not in the past, and `port` one that exists.
    #[inline(always)]
    pub fn translate_alone(
        &mut self,
        port: usize,
        request: &Request,
        memory: &mut Memory,
        now: u64,
    ) -> Alone {
        debug_assert!(self.is_at_rest() && now >= self.now && port < self.spec.ports);
        let level = Spec::first_level(port);
        let Some((first_level, response)) = self.recent.hit(level, request) else {
            return self.translate_looking_up(port, request, memory, now);
        };
        self.statistics.count_hits(level, first_level, 1);
        let looked_up_at = now + self.spec.hit_cycles[level];
        self.now = looked_up_at + 2;
        self.statistics.cycles = self.now;
        Alone {
            first_level,
            ..Alone::new(response, now, looked_up_at)
        }
    }

    /// Counts the request and its response, and goes on to the cycle after.
    #[inline]
    fn answered_alone(&mut self, alone: Alone) -> Alone {
        self.statistics.requests += 1;
        self.statistics.count_response(&alone.response);
        self.now = alone.responded_at + 1;
        self.statistics.cycles = self.now;
        alone
    }

    /// The rest of [`Mmu::translate_alone`]: the arrays must be asked.
    #[inline(never)]
    fn translate_looking_up(
        &mut self,
        port: usize,
        request: &Request,
        memory: &mut Memory,
        now: u64,
    ) -> Alone {
        let mut request = *request;
        self.cut(&mut request);
        let request = &request;
        let level = Spec::first_level(port);
        self.enter(&request.access);
        if self
            .hit_simply(level, request.va, request.access.kind)
            .is_some()
            && let Some((first_level, response)) = self.recent.hit(level, request)
        {
            self.statistics.count_look_up(level, first_level, false);
            let looked_up_at = now + self.spec.hit_cycles[level];
            return self.answered_alone(Alone {
                first_level,
                ..Alone::new(response, now, looked_up_at)
            });
        }
        match self.look_up_alone(level, request) {
            Ok(found) => {
                let looked_up_at = now + self.spec.hit_cycles[level];
                self.statistics.count_look_up(level, found.code, false);
                let response = Response::translated(request, found.size, found.entry);
                self.answered_alone(Alone {
                    first_level: found.code,
                    ..Alone::new(response, now, looked_up_at)
                })
            }
            Err(code) => self.translate_missing(port, request, code, memory, now),
        }
    }

    /// Looks `request` up in the arrays of its first level: what a hit comes to, which is not counted yet, or the code of another look-up.
    #[inline]
    pub(super) fn look_up_alone(&mut self, level: usize, request: &Request) -> Result<LookUp, u8> {
        if self.bypass(request).is_some() {
            return Err(LOOKUP_BYPASS);
        }
        let found = self.look_up_level(level, request);
        if found.code < LOOKUP_MISS {
            self.remember(level, request, &found);
            Ok(found)
        } else {
            Err(found.code)
        }
    }

    /// A request that its look-up in the first level, which came to `code`, 4 to 7, did not translate.
    pub(super) fn translate_missing(
        &mut self,
        port: usize,
        request: &Request,
        code: u8,
        memory: &mut Memory,
        now: u64,
    ) -> Alone {
        let level = Spec::first_level(port);
        self.statistics.count_look_up(level, code, false);
        let alone = match self.bypass(request).filter(|_| code == LOOKUP_BYPASS) {
            Some(response) => Alone::new(response, now, now + self.spec.hit_cycles[level]),
            None => {
                self.recent.forget_page(level, request.va);
                self.miss_alone(port, request, code, memory, now)
            }
        };
        self.answered_alone(Alone {
            first_level: code,
            ..alone
        })
    }

    /// A first-level look-up came to `code`, 4 to 6: STLB and walk as needed.
    fn miss_alone(
        &mut self,
        port: usize,
        request: &Request,
        code: u8,
        memory: &mut Memory,
        now: u64,
    ) -> Alone {
        let level = Spec::first_level(port);
        self.statistics.count_only_miss();
        let mut to_walk_at = now + self.spec.hit_cycles[level];
        let mut from_cr3 = code == LOOKUP_DENIED;
        // Nothing of the page stands in the arrays.
        let mut absent = false;
        let mut stlb = LOOKUP_NONE;
        if code == LOOKUP_MISS {
            self.miss_queue.stlb_order.choose(ENTRY);
            let found = self.look_up_level(STLB, request);
            self.count_stlb_look_up(request, &found);
            // STLB_WAIT in the cycle after the look-up in the first level.
            let result_at = to_walk_at + 1 + self.spec.hit_cycles[STLB];
            self.commit_order.choose(self.spec.walkers);
            if found.code < LOOKUP_MISS {
                self.fill_alone(level, request, found.size, found.entry, true);
                let response = Response::translated(request, found.size, found.entry);
                return Alone {
                    stlb: found.code,
                    ..Alone::new(response, now, result_at)
                };
            }
            to_walk_at = result_at;
            from_cr3 = found.code == LOOKUP_DENIED;
            absent = found.code == LOOKUP_MISS;
            stlb = found.code;
        }
        let kind = request.access.kind as u8;
        self.counters.count_taken(kind);
        // WALK_WAIT, and the walker in IDLE, in the cycle after; START in the next.
        let start = to_walk_at + 2;
        let plain = if from_cr3 {
            None
        } else {
            self.walk_plainly(level, request, memory, start, absent)
        };
        let walk = plain.unwrap_or_else(|| {
            let entry = MissEntry {
                state: MissState::Walking,
                from_cr3,
                ..MissEntry::missed(port, *request, code, to_walk_at)
            };
            self.miss_queue.set(ENTRY, entry);
            self.miss_queue.walk_order.choose(ENTRY);
            self.walkers[WALKER].take(ENTRY, request.va);
            self.walk_alone(memory, start)
        });
        // The walker was busy from START to DONE, in the cycle before that of the answer.
        self.counters
            .count_walking(kind, 1, walk.responded_at - start);
        Alone {
            stlb,
            accepted_at: now,
            ..walk
        }
    }

    /// The walk of the miss that the walker has taken, from START in cycle `start` on, step by step.
    #[inline(never)]
    fn walk_alone(&mut self, memory: &mut Memory, start: u64) -> Alone {
        debug_assert!(memory.next_event().is_none());
        let (mut memory_reads, mut compare_and_sets) = (0, 0);
        let mut cycle = start;
        while self.walkers[WALKER].state() != WalkState::Done {
            match self.walkers[WALKER].state() {
                WalkState::Start => {
                    self.commit_order.choose(WALKER);
                    self.start_walk(WALKER, cycle, &mut Unseen);
                    cycle += 1;
                }
                WalkState::Examine => {
                    self.examine(WALKER, false);
                    cycle += 1;
                }
                // READ and CAS; nothing waits here but for memory that is busy with the access before.
                state => {
                    let compare_and_set = state == WalkState::Cas;
                    compare_and_sets += u32::from(compare_and_set);
                    memory_reads += u32::from(!compare_and_set);
                    let mut transaction = MemoryOut::default();
                    self.walkers[WALKER].show(&mut transaction);
                    self.walk_requested(WALKER);
                    cycle = memory.accepts_at(cycle);
                    let access = memory.accept(cycle, &transaction);
                    self.walk_answered(WALKER, access.data, access.error);
                    cycle += access.delay_cycles + 1;
                }
            }
        }
        self.commit_order.choose(WALKER);
        let ended = self.end_walk(WALKER, cycle, &mut Unseen);
        // A walker that has an entry of the miss queue always answers.
        let response = ended.map_or(Response::NONE, |(_, response)| response);
        self.back_invalidate(&mut Unseen);
        self.probe_alone(cycle + 1);
        Alone {
            memory_reads,
            compare_and_sets,
            ..Alone::new(response, start, cycle)
        }
    }

    /// The cycle after a walk, in which its response is transferred, and the prefetch that it triggered, if any, has its probe.
    fn probe_alone(&mut self, cycle: u64) {
        if self.prefetch.state() == PrefetchState::Probe {
            self.statistics.cycles = cycle;
            self.statistics.count_state(1, false, true, false);
            self.probe(&mut Unseen);
        }
    }
}

impl Alone {
    /// A response pushed in cycle `pushed_at`, to a request that met no look-up.
    #[inline]
    pub(super) const fn new(response: Response, accepted_at: u64, pushed_at: u64) -> Self {
        Self {
            response,
            accepted_at,
            responded_at: pushed_at + 1,
            first_level: LOOKUP_NONE,
            stlb: LOOKUP_NONE,
            memory_reads: 0,
            compare_and_sets: 0,
        }
    }
}
