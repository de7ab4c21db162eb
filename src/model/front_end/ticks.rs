//! The front end while it ticks the machine: for control operations, and, with a window of 1, beside a prefetch.
//!
//! Contract: 13.1. Counterpart: none.

use super::acts::Transfers;
use super::{Answered, FrontEnd, SLOTS};
use crate::model::alone::Alone;
use crate::model::control::ControlState;
use crate::model::mmu_pkg::{
    ArrayEvent, ControlIn, LOOKUP_BYPASS, LOOKUP_MERGED, LOOKUP_MISS, MAX_MISS_QUEUE_ENTRIES,
    MAX_PORTS, MEM_READ, MemoryOut, WalkEvent,
};
use crate::model::monitor::Sink;
use crate::model::port::{Request, Response};

/// What a cycle showed and transferred.
pub(super) struct Shown {
    /// The control port was ready.
    pub control_ready: bool,
    /// The answer to an operation was transferred; whether it was #GP.
    pub control_answer: Option<bool>,
}

/// Writes what performs into the records of the references.
pub(super) struct Recorder<'a> {
    pub answered: &'a mut [Answered; SLOTS],
    pub slots: &'a mut [u8; MAX_MISS_QUEUE_ENTRIES],
    /// By port, when the responses are transferred that were taken when they were pushed; none, if responses are left in their queues.
    pub transfers: Option<&'a mut [Transfers; MAX_PORTS]>,
}

impl Sink for Recorder<'_> {
    #[inline]
    fn lookup(&mut self, _port: usize, code: u8, entry: usize, id: u8, retry: bool) {
        if retry {
            self.answered[usize::from(self.slots[entry])].retried = code;
            return;
        }
        let slot = id % SLOTS as u8;
        self.answered[usize::from(slot)].what.first_level = code;
        if (LOOKUP_MISS..LOOKUP_BYPASS).contains(&code) || code == LOOKUP_MERGED {
            self.slots[entry] = slot;
        }
    }

    #[inline]
    fn answer(&mut self, port: usize, response: &Response, now: u64) -> bool {
        let Some(transfers) = &mut self.transfers else {
            return false;
        };
        transfers[port].add(now + 1);
        let what = &mut self.answered[usize::from(response.id) % SLOTS].what;
        what.response = *response;
        what.responded_at = now + 1;
        true
    }

    #[inline]
    fn stlb_lookup(&mut self, _port: usize, entry: usize, code: u8) {
        if let Some(slot) = self.slots.get(entry) {
            self.answered[usize::from(*slot)].what.stlb = code;
        }
    }

    #[inline]
    fn walk(&mut self, _walker: usize, _event: WalkEvent) {}

    #[inline]
    fn tlb(&mut self, _array: usize, _event: &ArrayEvent) {}

    #[inline]
    fn psc(&mut self, _cache: usize, _event: &ArrayEvent) {}
}

impl FrontEnd {
    /// One cycle, with a request offered at a port or none, and these control inputs.
    pub(super) fn cycle(
        &mut self,
        offered: Option<(usize, &Request)>,
        control: ControlIn,
    ) -> Shown {
        let now = self.mmu.now();
        let driven = self.memory.inputs(now, false);
        let mut wanted = MemoryOut {
            resp_ready: 1,
            ..MemoryOut::default()
        };
        if let Some(walker) = self.mmu.shown_walker() {
            self.mmu.walkers[walker].show(&mut wanted);
            wanted.req_id = walker as u8;
            // Memory may be busy with other accesses; then it is shown again.
            if driven.req_ready != 0 {
                let owner = self.mmu.walkers[walker].owner();
                self.record_access_of(owner, wanted.req_op == MEM_READ);
            }
        }
        let ports = self.mmu.spec.ports;
        let ready = offered.is_some_and(|(port, _)| self.mmu.accepts(port));
        let mut responds = [false; MAX_PORTS];
        for (port, responds) in responds.iter_mut().enumerate().take(ports) {
            *responds = self.mmu.ports[port].responds();
        }
        let control_was = self.mmu.control.state();
        let mut recorder = Recorder {
            answered: &mut self.answered,
            slots: &mut self.slots,
            transfers: None,
        };
        self.mmu.recent.forget();
        self.mmu.perform(&driven, &mut recorder);
        self.memory.step(now, &driven, &wanted);
        for port in (0..ports).filter(|port| responds[*port]) {
            if let Some(response) = self.mmu.take_response(port) {
                let answered = &mut self.answered[usize::from(response.id) % SLOTS];
                answered.what.response = response;
                answered.what.responded_at = now;
            }
        }
        if let Some((port, request)) = offered.filter(|_| ready) {
            self.mmu.accept(port, *request);
        }
        let control_ready = control_was == ControlState::Idle;
        let control_answer = (control_was == ControlState::Resp && control.resp_ready != 0)
            .then(|| self.mmu.answer_control());
        if control_ready && control.valid != 0 {
            self.mmu.control.accept(&control);
        }
        self.mmu.end_cycle();
        Shown {
            control_ready,
            control_answer,
        }
    }

    /// Passes over quiet cycles, up to `limit` at most, as far as no link has anything to transfer but a request that is offered and not
    /// accepted.
    pub(super) fn skip_to(&mut self, limit: u64) {
        let now = self.mmu.now();
        if (0..self.mmu.spec.ports).any(|port| self.mmu.ports[port].responds())
            || self.mmu.shown_walker().is_some()
        {
            return;
        }
        let quiet = self.mmu.next_event().unwrap_or(u64::MAX);
        let memory = self.memory.next_event().unwrap_or(u64::MAX);
        let until = now.saturating_add(quiet).min(memory).min(limit);
        // Were there nothing ahead at all, time would stand still rather than run away.
        if until != u64::MAX && until > now {
            self.mmu.skip(until - now);
        }
    }

    /// The stores that waited perform, in this cycle.
    pub(super) fn perform_stores(&mut self) {
        for (address, value) in self.stores.drain(..) {
            let stored = self.memory.write_u64(address, value);
            debug_assert!(stored.is_ok());
        }
    }

    /// Whether the reference of that number has its answer.
    #[inline]
    pub(super) fn is_answered(&self, number: u64) -> bool {
        let answered = &self.answered[number as usize % SLOTS];
        answered.what.responded_at != NOT_YET
    }

    /// A window of 1: goes to the cycle in which the next reference is first offered.
    pub(super) fn pass_to_offer(&mut self) {
        while self.mmu.now() < self.free_from {
            self.skip_to(self.free_from);
            if self.mmu.now() < self.free_from {
                self.cycle(None, ControlIn::default());
            }
        }
        self.perform_stores();
    }

    /// A window of 1: a reference that may be offered from cycle `from` on, while a prefetch may be under way.
    #[inline(never)]
    pub(super) fn translate_beside_prefetch(
        &mut self,
        port: usize,
        request: &Request,
        from: u64,
    ) -> Alone {
        if self.mmu.is_at_rest() {
            let memory = &mut self.memory;
            return self.mmu.translate_alone(port, request, memory, from);
        }
        while self.mmu.now() < from && !self.mmu.is_at_rest() {
            self.skip_to(from);
            if self.mmu.now() < from {
                self.cycle(None, ControlIn::default());
            }
        }
        self.perform_stores();
        if self.mmu.is_at_rest() {
            let memory = &mut self.memory;
            return self.mmu.translate_alone(port, request, memory, from);
        }
        let slot = usize::from(request.id) % SLOTS;
        self.answered[slot].what = Alone::new(Response::NONE, from, NOT_YET - 1);
        self.cycle(Some((port, request)), ControlIn::default());
        while self.answered[slot].what.responded_at == NOT_YET {
            self.skip_to(u64::MAX);
            self.cycle(None, ControlIn::default());
        }
        self.answered[slot].what
    }
}

/// The cycle of an answer that is not known yet.
pub(super) const NOT_YET: u64 = u64::MAX;
