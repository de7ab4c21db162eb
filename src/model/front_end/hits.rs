//! The front end while only first-level hits are in flight: each reference is a sum, and the machine is put together when it is needed.
//!
//! Contract: 13.1, and 5 and 6, from which the sums follow. Counterpart: none.
//!
//! No array is filled meanwhile, so whether a reference hits does not depend on when it is looked up; but it makes a way the most recent
//! of its set, and that must not be seen before its time. So touches wait in a list, in order, until their cycle is over. Figures are
//! counted at once, and taken back for what is in flight when the machine is put together.

use super::{Answered, FrontEnd, SLOTS};
use crate::model::alone::Alone;
use crate::model::mmu::Mmu;
use crate::model::mmu_pkg::{LOOKUP_BYPASS, LOOKUP_MISS, MAX_PORTS};
use crate::model::port::{Request, Response};
use crate::model::spec::Spec;
use crate::model::tlb::Slot;

/// A way is to become the most recent of its set in a cycle.
#[derive(Clone, Copy, Debug)]
struct Touch {
    cycle: u64,
    level: u8,
    size: u8,
    slot: Slot,
}

const NO_TOUCH: Touch = Touch {
    cycle: 0,
    level: 0,
    size: 0,
    slot: Slot { set: 0, way: 0 },
};

/// Touches that wait: more than requests can be in request queues, 16 on each of three ports.
const TOUCHES: usize = 128;

/// What is kept while only hits are in flight.
#[derive(Clone, Debug)]
pub(super) struct Hits {
    touches: [Touch; TOUCHES],
    waiting: usize,
    /// The number of outstanding requests can reach its limit although all of them hit.
    limited: bool,
    /// For each port the requests so far, and the cycles of the answers to the last of them, by number mod 16.
    accepts: [u64; MAX_PORTS],
    answers: [[u64; 16]; MAX_PORTS],
}

impl Hits {
    pub fn new(mmu: &Mmu) -> Self {
        let slowest = mmu.spec.hit_cycles[0].max(mmu.spec.hit_cycles[1]);
        Self {
            touches: [NO_TOUCH; TOUCHES],
            waiting: 0,
            limited: mmu.spec.queue_entries < slowest + 2,
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
    /// The next reference, if it hits. Otherwise the machine is in the cycle in which it is accepted, and ticks from there.
    #[inline]
    pub(super) fn hits(
        &mut self,
        port: usize,
        request: &Request,
        answered: &mut impl FnMut(&Answered),
    ) -> bool {
        if self.count - self.retired == self.window {
            self.retire(answered);
        }
        let level = Spec::first_level(port);
        let mut at = self.free_from.max(self.answered_by + 1);
        if self.hits.limited {
            at = self.hits.ready_from(port, at, self.mmu.spec.queue_entries);
        }
        let looked_up_at = at + self.mmu.spec.hit_cycles[level];
        let (code, response) = match self.mmu.recently_hit(level, request) {
            Some(found) => found,
            None => match self.look_up_hit(level, request, at, looked_up_at) {
                Some(found) => found,
                None => {
                    self.materialize(at);
                    return false;
                }
            },
        };
        self.mmu.statistics.count_look_up(level, code, false);
        self.mmu.statistics.count_response(&response);
        self.mmu.statistics.requests += 1;
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
        true
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
        let (found, slot) = self.mmu.find_in_level(level, request)?;
        if found.code >= LOOKUP_MISS {
            return None;
        }
        if self.hits.waiting == TOUCHES {
            self.touch_before(at);
        }
        self.hits.touches[self.hits.waiting] = Touch {
            cycle: looked_up_at,
            level: level as u8,
            size: found.size as u8,
            slot,
        };
        self.hits.waiting += 1;
        self.mmu.remember_hit(level, request, &found);
        let response = Response::translated(request, found.size, found.entry);
        Some((found.code, response))
    }

    /// Performs the touches of the cycles before `cycle`; the others go on waiting.
    fn touch_before(&mut self, cycle: u64) {
        let mut left = 0;
        for number in 0..self.hits.waiting {
            let touch = self.hits.touches[number];
            if touch.cycle < cycle {
                self.mmu.tlb[usize::from(touch.level)][usize::from(touch.size)].touch(touch.slot);
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
        self.mmu.now = cycle;
        self.mmu.statistics.cycles = cycle;
        for number in self.retired..self.count {
            let slot = number as usize % SLOTS;
            let Answered { port, what, .. } = self.answered[slot];
            if what.responded_at < cycle {
                continue;
            }
            let port = usize::from(port);
            self.mmu.statistics.take_back_response(&what.response);
            if what.responded_at == cycle {
                self.mmu.ports[port].resume_response(what.response);
                continue;
            }
            let level = Spec::first_level(port);
            self.mmu.statistics.take_back_hit(level, what.first_level);
            let hit_cycles = self.mmu.spec.hit_cycles[level];
            self.mmu.ports[port].accept(self.requests[slot], what.accepted_at, hit_cycles);
            self.answered[slot].what.responded_at = u64::MAX;
            self.answered[slot].what.first_level = 0;
        }
        self.ticking = true;
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
        self.hits.touches[..waiting].sort_unstable_by_key(|touch| (touch.cycle, touch.level));
        self.mmu.recent.forget();
        self.ticking = false;
    }
}
