//! The front end while only first-level hits are in flight: each reference is a sum, and the machine is put together when it is needed.
//!
//! Contract: 13.1, and 5 and 6, from which the sums follow. Counterpart: none.
//!
//! No array is filled meanwhile, so whether a reference hits does not depend on when it is looked up; but it makes a way the most recent
//! of its set, and that must not be seen before its time. So touches wait in a list, in order, until their cycle is over. Figures are
//! counted at once, and taken back for what is in flight when the machine is put together.
//!
//! Where neither window nor queues can ever hold up a hit, and the look-ups of ITLB and DTLB take so nearly the same time that whatever
//! is accepted after a hit acts after its look-up only, the answer of a hit is certain when it is accepted. After as many hits in a row as
//! can be in flight, answers are then handed out *at once*, and all that is kept of a reference is what it takes to put it back.

use super::many::level_of;
use super::{Answered, FrontEnd, SLOTS};
use crate::arch::{Access, AccessKind};
use crate::model::alone::Alone;
use crate::model::mmu::Mmu;
use crate::model::mmu_pkg::{LOOKUP_BYPASS, LOOKUP_HIT_4K, LOOKUP_MISS, MAX_PORTS};
use crate::model::port::{Request, Response};
use crate::model::recents::Tally;
use crate::model::spec::Spec;
use crate::model::tlb::Slot;

/// A hit touches a way in a cycle.
#[derive(Clone, Copy, Debug)]
struct Touch {
    cycle: u64,
    array: u8,
    slot: Slot,
}

const NO_TOUCH: Touch = Touch {
    cycle: 0,
    array: 0,
    slot: Slot { set: 0, way: 0 },
};

/// Touches that wait: more than requests can be in request queues, 16 on each of three ports.
const TOUCHES: usize = 128;

/// What is kept while only hits are in flight.
#[derive(Clone, Debug)]
pub(super) struct Hits {
    touches: [Touch; TOUCHES],
    waiting: usize,
    /// What is accepted after a hit is not looked up before it, and if in the same cycle, in the other level.
    pub(super) in_order: bool,
    /// The number of outstanding requests can reach its limit although all of them hit.
    limited: bool,
    /// Answers may be handed out at once, after this many hits in a row; none if never.
    depth: Option<u64>,
    /// The number of the first of the hits in a row.
    since: u64,
    /// Answers are handed out at once.
    at_once: bool,
    /// By level and array: hits that are not in the figures yet.
    uncounted: [[u64; 3]; 2],
    /// For each port the requests so far, and the cycles of the answers to the last of them, by number mod 16.
    accepts: [u64; MAX_PORTS],
    answers: [[u64; 16]; MAX_PORTS],
}

impl Hits {
    pub fn new(mmu: &Mmu, window: u32) -> Self {
        let [itlb, dtlb, _] = mmu.spec.hit_cycles;
        let slowest = itlb.max(dtlb);
        // A hit is in flight for its look-up and two cycles more.
        let limited = mmu.spec.queue_entries < slowest + 2;
        let certain = !limited && itlb.abs_diff(dtlb) <= 1 && u64::from(window) >= slowest + 2;
        Self {
            touches: [NO_TOUCH; TOUCHES],
            waiting: 0,
            in_order: itlb.abs_diff(dtlb) <= 1,
            limited,
            depth: (certain && slowest + 2 <= SLOTS as u64).then_some(slowest + 2),
            since: 0,
            at_once: false,
            uncounted: [[0; 3]; 2],
            accepts: [0; MAX_PORTS],
            answers: [[0; 16]; MAX_PORTS],
        }
    }

    /// The first cycle from `from` on in which `port` is ready.
    #[inline]
    fn ready_from(&self, port: usize, from: u64, queue_entries: u64) -> u64 {
        let number = self.accepts[port];
        if number < queue_entries {
            return from;
        }
        from.max(self.answers[port][(number - queue_entries) as usize % 16] + 1)
    }

    /// A request of `port` is answered in `cycle`.
    #[inline]
    fn answer(&mut self, port: usize, cycle: u64) {
        self.answers[port][self.accepts[port] as usize % 16] = cycle;
        self.accepts[port] += 1;
    }
}

impl FrontEnd {
    /// The next reference, if answers are handed out at once, and it is to a page hit before.
    #[inline(always)]
    pub(super) fn hit_at_once(&mut self, port: usize, request: &Request) -> Option<Answered> {
        if !self.hits.at_once {
            return None;
        }
        let level = Spec::first_level(port);
        let (code, response) = self.mmu.recent.hit(level, request)?;
        self.hits.uncounted[level][usize::from(code - LOOKUP_HIT_4K) % 3] += 1;
        Some(self.answer_at_once(port, request, code, response))
    }

    /// Whether answers are handed out at once, and no more than so many hits can be in flight.
    #[inline]
    pub(super) fn is_at_once_within(&self, depth: usize) -> bool {
        self.hits.at_once && self.hits.depth.is_some_and(|needed| needed <= depth as u64)
    }

    /// References that hit, while answers are handed out at once, and after which at least as many follow as can be in flight.
    pub(super) fn pass_at_once(&mut self, hits: Tally) {
        self.count_at_once(hits);
        for level in 0..self.hits.uncounted.len() {
            let count: u64 = hits.of(level).iter().sum();
            self.count += count;
            self.free_from += count * (1 + self.gap_cycles);
            self.data_count += count * level as u64;
        }
    }

    /// Counts what hit while answers are handed out at once.
    pub(super) fn count_at_once(&mut self, hits: Tally) {
        for (level, counts) in self.hits.uncounted.iter_mut().enumerate() {
            let by_size = hits.of(level);
            counts
                .iter_mut()
                .zip(by_size)
                .for_each(|(sum, more)| *sum += more);
        }
    }

    /// The next translation but so many that are known to hit, while answers are handed out at once: what it counts, if it is one of a 4 KiB
    /// page that hits. If not, nothing has happened.
    #[inline(never)]
    pub(super) fn hit_ahead(
        &mut self,
        known: u64,
        kind: AccessKind,
        va: u64,
        access: &Access,
    ) -> Option<Tally> {
        let level = level_of(kind);
        let mut request = Request {
            va,
            access: Access { kind, ..*access },
            id: 0,
        };
        self.mmu.cut(&mut request);
        if self.mmu.bypass(&request).is_some() {
            return None;
        }
        let (found, array, slot) = self.mmu.find_in_level(level, &request)?;
        // Of a larger page another part may have been asked for, and this one be new to who prepares.
        if found.code != LOOKUP_HIT_4K {
            return None;
        }
        let at = self.free_from + known * (1 + self.gap_cycles);
        self.touch_later(at, at + self.mmu.spec.hit_cycles[level], array, slot);
        self.mmu.remember(level, &request, &found);
        Some(Tally::one(level, 0))
    }

    /// A translation that hits, while answers are handed out at once, and is counted otherwise: what it takes to put it back. The cycles of
    /// its accept and its answer.
    #[inline(always)]
    pub(super) fn keep_at_once(&mut self, port: usize, request: &Request) -> (u64, u64) {
        let at = self.free_from;
        let responded_at = at + self.mmu.spec.hit_cycles[Spec::first_level(port)] + 1;
        let slot = self.count as usize % SLOTS;
        self.requests[slot] = *request;
        let kept = &mut self.answered[slot];
        kept.port = port as u8;
        kept.what.accepted_at = at;
        kept.what.responded_at = responded_at;
        self.count += 1;
        self.free_from = at + 1 + self.gap_cycles;
        (at, responded_at)
    }

    /// The answer to a hit, and what it takes to put it back.
    #[inline(always)]
    fn answer_at_once(
        &mut self,
        port: usize,
        request: &Request,
        first_level: u8,
        response: Response,
    ) -> Answered {
        let number = self.count;
        let (at, responded_at) = self.keep_at_once(port, request);
        let what = Alone {
            first_level,
            ..Alone::new(response, at, responded_at - 1)
        };
        Answered {
            number,
            port: port as u8,
            retried: 0,
            what,
        }
    }

    /// From now on answers are handed out at once, those of all that is in flight first.
    fn begin_at_once(&mut self, answered: &mut impl FnMut(&Answered)) {
        for number in self.reported..self.count {
            answered(&self.answered[number as usize % SLOTS]);
        }
        self.hits.at_once = true;
    }

    /// Answers are no longer handed out at once: the last hits are as if they had not been.
    pub(super) fn end_at_once(&mut self) {
        let Some(depth) = self.hits.depth.filter(|_| self.hits.at_once) else {
            return;
        };
        self.hits.at_once = false;
        for (level, arrays) in std::mem::take(&mut self.hits.uncounted)
            .into_iter()
            .enumerate()
        {
            for (code, count) in (LOOKUP_HIT_4K..).zip(arrays) {
                self.mmu.statistics.count_hits(level, code, count);
            }
        }
        self.reported = self.count;
        self.retired = self.count - depth;
        for number in self.retired..self.count {
            let slot = number as usize % SLOTS;
            let Answered { port, what, .. } = self.answered[slot];
            let level = Spec::first_level(usize::from(port));
            let (first_level, response) = self.hit_of(level, &self.requests[slot]);
            self.answered[slot] = Answered {
                number,
                port,
                retried: 0,
                what: Alone {
                    first_level,
                    ..Alone::new(response, what.accepted_at, what.responded_at - 1)
                },
            };
        }
    }

    /// The code and the response of a request that hits, or is not looked up.
    fn hit_of(&self, level: usize, request: &Request) -> (u8, Response) {
        if let Some(response) = self.mmu.bypass(request) {
            return (LOOKUP_BYPASS, response);
        }
        let found = self.mmu.find_in_level(level, request);
        debug_assert!(found.is_some());
        found.map_or((LOOKUP_BYPASS, Response::NONE), |(found, ..)| {
            let response = Response::translated(request, found.size, found.entry);
            (found.code, response)
        })
    }

    /// The next reference, if it hits. Otherwise the machine is in the cycle in which it is accepted, and goes on from there.
    #[inline]
    pub(super) fn hits(
        &mut self,
        port: usize,
        request: &Request,
        answered: &mut impl FnMut(&Answered),
    ) -> bool {
        let level = Spec::first_level(port);
        if self.hits.at_once {
            let at = self.free_from;
            let looked_up_at = at + self.mmu.spec.hit_cycles[level];
            let Some((code, response)) = self.look_up_hit(level, request, at, looked_up_at) else {
                self.end_at_once();
                self.materialize(at);
                return false;
            };
            self.count_hit(level, code, &response);
            answered(&self.answer_at_once(port, request, code, response));
            return true;
        }
        if self.count - self.retired == self.window {
            self.retire(answered);
        }
        let mut at = self.free_from.max(self.answered_by + 1);
        if self.hits.limited {
            at = self.hits.ready_from(port, at, self.mmu.spec.queue_entries);
        }
        let looked_up_at = at + self.mmu.spec.hit_cycles[level];
        let (code, response) = match self.mmu.recent.hit(level, request) {
            Some(found) => found,
            None => match self.look_up_hit(level, request, at, looked_up_at) {
                Some(found) => found,
                None => {
                    self.materialize(at);
                    return false;
                }
            },
        };
        self.count_hit(level, code, &response);
        let slot = self.count as usize % SLOTS;
        self.requests[slot] = *request;
        self.answered[slot] = Answered {
            number: self.count,
            port: port as u8,
            retried: 0,
            what: Alone {
                first_level: code,
                ..Alone::new(response, at, looked_up_at)
            },
        };
        if self.hits.limited {
            self.hits.answer(port, looked_up_at + 1);
        }
        self.count += 1;
        self.free_from = at + 1 + self.gap_cycles;
        let depth = self.hits.depth;
        if depth.is_some_and(|depth| self.count - self.hits.since >= depth) {
            self.begin_at_once(answered);
        }
        true
    }

    #[inline]
    fn count_hit(&mut self, level: usize, code: u8, response: &Response) {
        self.mmu.statistics.count_look_up(level, code, false);
        self.mmu.statistics.count_response(response);
        self.mmu.statistics.requests += 1;
    }

    /// Asks the arrays; none if the request needs the miss queue. `at`: the cycle of its accept.
    #[inline(never)]
    fn look_up_hit(
        &mut self,
        level: usize,
        request: &Request,
        at: u64,
        looked_up_at: u64,
    ) -> Option<(u8, Response)> {
        if let Some(response) = self.mmu.bypass(request) {
            return Some((LOOKUP_BYPASS, response));
        }
        let (found, array, slot) = self.mmu.find_in_level(level, request)?;
        if found.code >= LOOKUP_MISS {
            return None;
        }
        self.touch_later(at, looked_up_at, array, slot);
        self.mmu.remember(level, request, &found);
        let response = Response::translated(request, found.size, found.entry);
        Some((found.code, response))
    }

    /// A request that is accepted in cycle `at` is going to touch a way.
    #[inline]
    fn touch_later(&mut self, at: u64, cycle: u64, array: usize, slot: Slot) {
        if self.hits.waiting == TOUCHES {
            self.touch_before(at);
        }
        self.hits.touches[self.hits.waiting] = Touch {
            cycle,
            array: array as u8,
            slot,
        };
        self.hits.waiting += 1;
    }

    /// Performs the touches of the cycles before `cycle`; the others go on waiting.
    fn touch_before(&mut self, cycle: u64) {
        let mut left = 0;
        for number in 0..self.hits.waiting {
            let touch = self.hits.touches[number];
            if touch.cycle < cycle {
                self.mmu.tlb[usize::from(touch.array)].hit(touch.slot);
            } else {
                self.hits.touches[left] = touch;
                left += 1;
            }
        }
        self.hits.waiting = left;
    }

    /// Puts the machine into the state of `cycle`, in which what is in flight is in its queues, and goes over to ticking.
    pub(super) fn materialize(&mut self, cycle: u64) {
        self.touch_before(cycle);
        self.hits.waiting = 0;
        if cycle > self.mmu.now {
            // Nobody missed in the cycle before.
            self.mmu.statistics.was.full = false;
        }
        self.mmu.now = cycle;
        self.mmu.statistics.cycles = cycle;
        for number in self.retired..self.count {
            let slot = number as usize % SLOTS;
            let Answered { port, what, .. } = self.answered[slot];
            if what.responded_at < cycle {
                continue;
            }
            let port = usize::from(port);
            if what.responded_at == cycle {
                self.mmu.put_back(port, what.response);
                self.answered[slot].what.responded_at = u64::MAX;
                continue;
            }
            self.mmu.statistics.take_back_response(&what.response);
            let level = Spec::first_level(port);
            self.mmu.statistics.take_back_hit(level, what.first_level);
            let hit_cycles = self.mmu.spec.hit_cycles[level];
            self.mmu.ports[port].accept(self.requests[slot], what.accepted_at, hit_cycles);
            self.answered[slot].what.responded_at = u64::MAX;
            self.answered[slot].what.first_level = 0;
        }
        self.ticking = true;
    }

    /// The same in the cycle in which the next reference is first offered.
    pub(super) fn materialize_at_offer(&mut self, answered: &mut impl FnMut(&Answered)) {
        self.end_at_once();
        if self.count - self.retired == self.window {
            self.retire(answered);
        }
        let at = self.free_from.max(self.answered_by + 1);
        self.materialize(at);
    }

    /// The same in the cycle after the last answer.
    pub(super) fn materialize_at_end(&mut self) {
        let last = (self.retired..self.count)
            .map(|number| self.answered[number as usize % SLOTS].what.responded_at)
            .fold(self.answered_by, u64::max);
        // Nothing may have been presented since the machine was in a cycle of its own.
        let cycle = self.mmu.now().max(last + 1);
        self.materialize(cycle);
    }

    /// Ends ticking if nothing but hits is in flight, each in time: takes them out of the machine.
    pub(super) fn leave_ticking(&mut self) {
        let now = self.mmu.now();
        if !self.mmu.has_only_hits() {
            return;
        }
        for port in 0..self.mmu.spec.ports {
            let level = Spec::first_level(port);
            self.hits.accepts[port] = 16;
            self.hits.answers[port] = [0; 16];
            while let Some(response) = self.mmu.take_response(port) {
                let what = &mut self.answered[usize::from(response.id) % SLOTS].what;
                what.response = response;
                what.responded_at = now;
                self.hits.answer(port, now);
            }
            while let Some(waiting) = self.mmu.ports[port].take_waiting() {
                let request = waiting.request;
                let slot = usize::from(request.id) % SLOTS;
                let looked_up_at = waiting.from_cycle;
                if let Some((code, response)) = self.look_up_hit(level, &request, now, looked_up_at)
                {
                    self.mmu.statistics.count_look_up(level, code, false);
                    self.mmu.statistics.count_response(&response);
                    let what = &mut self.answered[slot].what;
                    what.first_level = code;
                    what.response = response;
                    what.responded_at = looked_up_at + 1;
                }
                self.hits.answer(port, looked_up_at + 1);
            }
        }
        // Two data ports may have been taken out in another order than that of their cycles.
        let waiting = self.hits.waiting;
        self.hits.touches[..waiting].sort_unstable_by_key(|touch| (touch.cycle, touch.array));
        self.mmu.recent.forget();
        self.hits.since = self.count;
        self.ticking = false;
    }
}
