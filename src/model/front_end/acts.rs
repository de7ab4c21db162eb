//! The front end while requests miss: from cycle to cycle in which a unit acts, from a reference that does not hit, until only hits are in
//! flight again.
//!
//! Contract: 13.1. Counterpart: none.
//!
//! The machine is under an agenda (`agenda`) as long as it misses; control operations, which come when nothing is in flight, are ticked.
//! Answers are taken when they are pushed, one cycle ahead, since nothing keeps them from being transferred in the next; where the machine must
//! be shown as it is (`close`), those that are not transferred yet are put back.

use super::ticks::{NOT_YET, Recorder};
use super::{Answered, FrontEnd, SLOTS};
use crate::model::alone::Alone;
use crate::model::mmu_pkg::{MAX_PORTS, PREFETCH_ENTRY};
use crate::model::port::{Request, Response};
use crate::model::spec::Spec;

/// References in a row before which nothing missed, after which the machine goes back to arithmetic.
const HITS: u64 = 16;

/// When the answers of a port that were taken are transferred, in ascending cycles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfers {
    last: u64,
    /// Bit k: one is transferred k cycles before the last.
    before: u64,
}

impl Transfers {
    pub const NONE: Self = Self { last: 0, before: 0 };

    /// One more, in `cycle`.
    #[inline]
    pub fn add(&mut self, cycle: u64) {
        debug_assert!(self.before == 0 || cycle > self.last);
        let shift = u32::try_from(cycle - self.last).unwrap_or(u32::MAX);
        self.before = self.before.checked_shl(shift).unwrap_or(0) | 1;
        self.last = cycle;
    }

    /// How many are transferred in `cycle` or later: none lies further ahead than a hit takes.
    #[inline]
    fn from(&self, cycle: u64) -> u64 {
        match self.last.checked_sub(cycle) {
            Some(ahead) => u64::from((self.before & ((2 << ahead.min(62)) - 1)).count_ones()),
            None => 0,
        }
    }
}

impl FrontEnd {
    /// The machine comes under an agenda, if it is not.
    #[inline]
    fn open(&mut self) {
        if !self.acting {
            self.come_under_agenda();
        }
    }

    #[inline(never)]
    fn come_under_agenda(&mut self) {
        self.acting = true;
        self.missed = self.count;
        self.agenda = self.mmu.agenda();
        self.quiet_until = 0;
        self.transfers = [Transfers::NONE; MAX_PORTS];
        let now = self.mmu.now();
        for port in 0..self.mmu.spec.ports {
            if let Some(response) = self.mmu.take_response(port) {
                let what = &mut self.answered[usize::from(response.id) % SLOTS].what;
                what.response = response;
                what.responded_at = now;
                self.transfers[port].add(now);
            }
        }
    }

    /// The machine is no longer under an agenda: it is as it would be if it had been ticked.
    pub(super) fn close(&mut self) {
        if !self.acting {
            return;
        }
        self.acting = false;
        let now = self.mmu.now();
        self.mmu.close(&mut self.agenda);
        // From the last to the first, so that requests that are put back come before those that they are older than.
        for number in (self.retired..self.count).rev() {
            let slot = number as usize % SLOTS;
            let Answered { port, what, .. } = self.answered[slot];
            if what.responded_at == NOT_YET || what.responded_at < now {
                continue;
            }
            let port = usize::from(port);
            self.answered[slot].what.responded_at = NOT_YET;
            if what.responded_at == now {
                self.mmu.put_back(port, what.response);
            } else {
                self.answered[slot].what.first_level = 0;
                let (code, response) = (what.first_level, &what.response);
                let request = &self.requests[slot];
                self.mmu
                    .put_back_hit(port, request, what.accepted_at, code, response);
            }
        }
    }

    /// The next cycle in which a unit acts, unless that is `limit` or later; whether there was one.
    #[inline]
    fn act_before(&mut self, limit: u64) -> bool {
        limit > self.quiet_until && self.act_next_before(limit)
    }

    fn act_next_before(&mut self, limit: u64) -> bool {
        // Walkers change nothing for look-ups, so that they go on until something else acts.
        let looks_up = self.mmu.next_look_up();
        let until = limit.min(looks_up);
        let acts = loop {
            let (cycle, walks_only) = self.mmu.next_act(&self.agenda, &self.memory);
            if !walks_only || cycle >= until {
                break cycle;
            }
            self.mmu.now = cycle;
            let accessed = self.mmu.act_on_walks(&mut self.agenda, &mut self.memory);
            if let Some((owner, read)) = accessed {
                self.record_access_of(owner, read);
            }
        };
        let next = acts.min(looks_up);
        if next >= limit {
            self.quiet_until = next;
            return false;
        }
        self.mmu.now = next;
        let mut recorder = Recorder {
            answered: &mut self.answered,
            slots: &mut self.slots,
            transfers: Some(&mut self.transfers),
        };
        if looks_up < acts && self.mmu.look_up_known(&mut recorder) {
            return true;
        }
        let accessed = self.mmu.act(
            &mut self.agenda,
            &mut self.memory,
            looks_up == next,
            &mut recorder,
        );
        if let Some((owner, read)) = accessed {
            self.record_access_of(owner, read);
        }
        true
    }

    /// Performs what acts before cycle `limit`, and goes there.
    fn act_up_to(&mut self, limit: u64) {
        while self.act_before(limit) {}
        self.mmu.now = self.mmu.now.max(limit);
    }

    /// Performs what acts until the reference of that number has its answer, or nothing acts any more.
    #[inline]
    fn act_until_answered(&mut self, number: u64) {
        while !self.is_answered(number) && self.act_before(u64::MAX) {}
        debug_assert!(self.is_answered(number));
    }

    /// Goes to the cycle in which the next reference is first offered.
    pub(super) fn act_to_offer(&mut self, answered: &mut impl FnMut(&Answered)) {
        self.open();
        while self.retired + self.window <= self.count {
            self.act_until_answered(self.retired);
            self.retire(answered);
        }
        self.act_up_to(self.free_from.max(self.answered_by + 1));
        if !self.stores.is_empty() {
            self.perform_stores();
        }
    }

    /// The same; if then only hits are in flight, and have been for a while, that ends ticking.
    pub(super) fn catch_up(&mut self, answered: &mut impl FnMut(&Answered)) {
        self.act_to_offer(answered);
        if !self.mmu.has_no_miss() {
            self.missed = self.count;
        } else if self.count - self.missed >= HITS && self.mmu.has_only_hits() {
            self.close();
            self.leave_ticking();
        }
    }

    /// Whether `port` is ready for a request in this cycle.
    #[inline]
    fn accepts_now(&self, port: usize) -> bool {
        let leaving = self.transfers[port].from(self.mmu.now());
        self.mmu.ports[port].outstanding() + leaving < self.mmu.spec.queue_entries
    }

    /// The next reference, in the cycle in which it is first offered: goes to that in which it is accepted.
    pub(super) fn accept(&mut self, port: usize, request: Request) {
        self.open();
        while !self.accepts_now(port) {
            let now = self.mmu.now();
            let leaving = self.transfers[port].from(now) > 0;
            let limit = if leaving { now + 1 } else { u64::MAX };
            if !self.act_before(limit) {
                self.mmu.now = limit;
            }
        }
        let now = self.mmu.now();
        let level = Spec::first_level(port);
        if self.hits.in_order && self.mmu.recent.knows(level, &request) {
            // What acts in this cycle does not depend on what is accepted in it.
            while self.act_before(now + 1) {}
            if let Some((code, response)) = self.known_hit_at(port, &request, now) {
                self.pass_hit(port, &request, now, code, response);
                return;
            }
        }
        let looked_up_at = now + self.mmu.spec.hit_cycles[level];
        self.quiet_until = self.quiet_until.min(looked_up_at);
        self.mmu.accept_in(now, port, request);
        let what = Alone::new(Response::NONE, now, NOT_YET - 1);
        self.present(port, request, now, what);
    }

    /// The next reference, which needs no preparation if it is known to hit: whether that was so, and its answer certain, while others miss.
    #[inline]
    pub(super) fn hit_while_acting(&mut self, port: usize, request: &Request) -> bool {
        if !self.acting || self.mmu.has_no_miss() || !self.stores.is_empty() {
            return false;
        }
        let full = self.retired + self.window <= self.count;
        let mut offered_at = self.free_from.max(self.answered_by + 1);
        if full {
            let oldest = &self.answered[self.retired as usize % SLOTS].what;
            if oldest.responded_at == NOT_YET {
                return false;
            }
            offered_at = offered_at.max(oldest.responded_at + 1);
        }
        let now = self.mmu.now().max(offered_at);
        let Some((code, response)) = self.known_hit_at(port, request, now) else {
            return false;
        };
        let leaving = self.transfers[port].from(now);
        if self.mmu.ports[port].outstanding() + leaving >= self.mmu.spec.queue_entries {
            return false;
        }
        if full {
            self.retire(&mut |_| {});
        }
        self.mmu.now = now;
        self.missed = self.count;
        self.pass_hit(port, request, now, code, response);
        true
    }

    /// What a request that is accepted in cycle `now` comes to, if it is known to hit, and nothing acts before it is looked up: what comes
    /// later is looked up later.
    #[inline]
    fn known_hit_at(&self, port: usize, request: &Request, now: u64) -> Option<(u8, Response)> {
        let level = Spec::first_level(port);
        let certain = self.hits.in_order
            && self.quiet_until > now + self.mmu.spec.hit_cycles[level]
            && self.mmu.looks_up_in_time(port);
        if certain {
            self.mmu.recent.hit(level, request)
        } else {
            None
        }
    }

    /// A reference of which that is known is accepted in cycle `now`.
    #[inline]
    fn pass_hit(
        &mut self,
        port: usize,
        request: &Request,
        now: u64,
        first_level: u8,
        response: Response,
    ) {
        let level = Spec::first_level(port);
        let looked_up_at = now + self.mmu.spec.hit_cycles[level];
        self.mmu.pass_hit(level, first_level, &response);
        self.transfers[port].add(looked_up_at + 1);
        let what = Alone {
            first_level,
            ..Alone::new(response, now, looked_up_at)
        };
        self.present(port, *request, now, what);
    }

    /// The next reference is accepted in cycle `now`.
    #[inline]
    fn present(&mut self, port: usize, request: Request, now: u64, what: Alone) {
        let slot = self.count as usize % SLOTS;
        self.requests[slot] = request;
        self.answered[slot] = Answered {
            number: self.count,
            port: port as u8,
            retried: 0,
            what,
        };
        self.count += 1;
        self.free_from = now + 1 + self.gap_cycles;
    }

    /// Until every reference has its answer: to the cycle after the last.
    pub(super) fn act_until_all_answered(&mut self) {
        self.open();
        let mut last = 0;
        for number in self.retired..self.count {
            self.act_until_answered(number);
            last = last.max(self.answered[number as usize % SLOTS].what.responded_at + 1);
        }
        self.act_up_to(last);
        self.close();
    }

    /// A memory access of a walk for the entry `owner` of the miss queue, or for the prefetch, is transferred.
    #[inline]
    pub(super) fn record_access_of(&mut self, owner: usize, read: bool) {
        if owner != usize::from(PREFETCH_ENTRY) {
            let what = &mut self.answered[usize::from(self.slots[owner])].what;
            what.memory_reads += u32::from(read);
            what.compare_and_sets += u32::from(!read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_counted_from_a_cycle_on_however_far_the_ones_before_them_lie_back() {
        let mut transfers = Transfers::NONE;
        assert_eq!(transfers.from(0), 0);
        for cycle in [3, 5, 6, 1000] {
            transfers.add(cycle);
        }
        assert_eq!(
            [999, 1000, 1001].map(|cycle| transfers.from(cycle)),
            [1, 1, 0]
        );
        for cycle in [1001, 1003] {
            transfers.add(cycle);
        }
        let counted = [1000, 1001, 1002, 1003, 1004].map(|cycle| transfers.from(cycle));
        assert_eq!(counted, [3, 2, 1, 1, 0]);
    }
}
