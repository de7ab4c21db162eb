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
use crate::model::mmu_pkg::PREFETCH_ENTRY;
use crate::model::port::{Request, Response};

/// References in a row before which nothing missed, after which the machine goes back to arithmetic.
const HITS: u64 = 16;

impl FrontEnd {
    /// The machine comes under an agenda, if it is not.
    fn open(&mut self) {
        if !self.acting {
            self.acting = true;
            self.missed = self.count;
            self.agenda = self.mmu.agenda();
            let now = self.mmu.now();
            for port in 0..self.mmu.spec.ports {
                if let Some(response) = self.mmu.take_response(port) {
                    let what = &mut self.answered[usize::from(response.id) % SLOTS].what;
                    what.response = response;
                    what.responded_at = now;
                    self.transfers[port] = now;
                }
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
        for number in self.retired..self.count {
            let answered = &mut self.answered[number as usize % SLOTS];
            if answered.what.responded_at != NOT_YET && answered.what.responded_at >= now {
                answered.what.responded_at = NOT_YET;
                let Answered { port, what, .. } = *answered;
                self.mmu.put_back(usize::from(port), what.response);
            }
        }
    }

    /// The next cycle in which a unit acts, unless that is `limit` or later; whether there was one.
    #[inline]
    fn act_before(&mut self, limit: u64) -> bool {
        let acts = self.mmu.next_act(&self.agenda, &self.memory);
        let looks_up = self.mmu.next_look_up();
        let next = acts.min(looks_up);
        if next >= limit {
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
        let leaves = u64::from(self.transfers[port] >= self.mmu.now());
        self.mmu.ports[port].outstanding() + leaves < self.mmu.spec.queue_entries
    }

    /// The next reference, in the cycle in which it is first offered: goes to that in which it is accepted.
    pub(super) fn accept(&mut self, port: usize, request: Request) {
        self.open();
        while !self.accepts_now(port) {
            let after = self.transfers[port] + 1;
            let limit = if after > self.mmu.now() {
                after
            } else {
                u64::MAX
            };
            if !self.act_before(limit) {
                self.mmu.now = limit;
            }
        }
        let now = self.mmu.now();
        let slot = self.count as usize % SLOTS;
        self.requests[slot] = request;
        self.answered[slot] = Answered {
            number: self.count,
            port: port as u8,
            retried: 0,
            what: Alone::new(Response::NONE, now, NOT_YET - 1),
        };
        self.count += 1;
        self.free_from = now + 1 + self.gap_cycles;
        self.mmu.accept(port, request);
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
