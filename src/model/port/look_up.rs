//! The look-up of a request in the first level, and what it does.
//!
//! Contract: 6, of a request in RETRY and of the oldest of a port. SDM vol. 3A, 4.5 (canonical addresses), 4.6 (rights at each access).
//! Counterpart: `rtl/port.sv`.

use super::{LookUp, Request, Response, Waiting};
use crate::model::miss_queue::MissEntry;
use crate::model::mmu::{Cycle, Mmu};
use crate::model::mmu_pkg::{LOOKUP_BYPASS, LOOKUP_MISS, LOOKUP_NONE, MAX_PORTS};
use crate::model::monitor::Sink;
use crate::model::spec::Spec;
use crate::model::tlb::{Slot, Wanted, page_number};

impl Mmu {
    /// Pushes a response of `port`, unless who takes it does so at once.
    #[inline]
    pub(in crate::model) fn respond(
        &mut self,
        port: usize,
        response: Response,
        sink: &mut impl Sink,
    ) {
        if sink.answer(port, &response, self.now) {
            self.ports[port].outstanding -= 1;
            self.statistics.count_response(&response);
        } else {
            self.ports[port].respond(response);
        }
    }

    /// Looks `request` up in all arrays of a level at once, and touches the way if that is a hit: codes 1 to 6 of contract 6.
    #[inline]
    pub(in crate::model) fn look_up_level(&mut self, level: usize, request: &Request) -> LookUp {
        let Some((found, array, slot)) = self.find_in_level(level, request) else {
            return LookUp::MISS;
        };
        if found.code < LOOKUP_MISS {
            self.tlb[array].hit(slot);
        }
        found
    }

    /// The response of a request that is not looked up: code 7 of contract 6.
    #[inline]
    pub(in crate::model) fn bypass(&self, request: &Request) -> Option<Response> {
        let registers = self.control.registers();
        if !registers.paging() {
            Some(Response::untranslated(request))
        } else if !self.control.mode().is_canonical(request.va) {
            Some(Response::general_protection(request))
        } else {
            None
        }
    }

    /// What a look-up of `request` at a level that matches would come to, and the array and the way, which is not touched.
    #[inline(always)]
    pub(in crate::model) fn find_in_level(
        &self,
        level: usize,
        request: &Request,
    ) -> Option<(LookUp, usize, Slot)> {
        let page = page_number(request.va);
        let pcid = self.control.pcid();
        for place in self.places.of(level, request.access.kind).all() {
            let page = page & place.page_mask;
            let (array, set) = place.of(page);
            let (tlb, size) = (&self.tlb[array], place.size);
            if tlb.is_untouched() {
                continue;
            }
            if let Some(slot) = tlb.find(set, Wanted::new(page, size, pcid)) {
                let entry = tlb.entry(slot);
                let code = entry.judge(request, place.hit, self.control.registers());
                return Some((LookUp { code, size, entry }, array, slot));
            }
        }
        None
    }

    /// Whether a look-up of `request` in the first level of `port` would answer it.
    pub(in crate::model) fn would_answer(&self, port: usize, request: &Request) -> bool {
        self.bypass(request).is_some()
            || self
                .find_in_level(Spec::first_level(port), request)
                .is_some_and(|(found, ..)| found.code < LOOKUP_MISS)
    }

    /// Whether the requests of `port` that were not looked up yet are all going to be answered, each as soon as it may be looked up.
    pub(in crate::model) fn port_has_only_hits(&self, port: usize) -> bool {
        self.ports[port].requests.iter().all(|waiting| {
            waiting.from_cycle >= self.now && self.would_answer(port, &waiting.request)
        })
    }

    /// Contract 6 for every port.
    pub(in crate::model) fn look_up_first_levels(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.busy || cycle.drop || cycle.back_invalidates {
            return;
        }
        let in_retry = cycle.entries.retry;
        let mut missed = [LOOKUP_NONE; MAX_PORTS];
        let (mut looked_up, mut some_missed) = (0, false);
        for (port, missed) in missed.iter_mut().enumerate() {
            if port == self.spec.ports {
                break;
            }
            if in_retry == 0 && self.ports[port].due(self.now).is_none() {
                continue;
            }
            let level = Spec::first_level(port);
            if cycle.pushes_to == Some(port) || cycle.fills_level[level] {
                continue;
            }
            if in_retry != 0
                && let Some((number, request)) = self.miss_queue.retried(in_retry, port)
            {
                self.look_up_again(port, number, request, cycle.remembers, sink);
            } else if let Some(request) = self.ports[port].due(self.now).copied() {
                let code = self.look_up_oldest(port, &request, cycle.remembers, sink);
                *missed = code;
                looked_up |= 1 << port;
                some_missed |= code != LOOKUP_NONE;
            }
        }
        let mut refused = 0;
        if some_missed {
            refused = self.take_entries(cycle, &missed, sink);
        }
        if refused != 0 || self.miss_queue.owed() {
            self.miss_queue.pass_turn(looked_up & !refused, refused);
        }
    }

    /// Contract 6 for the oldest request of a port: the code if it needs an entry of the miss queue, else 0, when it has been answered.
    #[inline]
    fn look_up_oldest(
        &mut self,
        port: usize,
        request: &Request,
        remembers: bool,
        sink: &mut impl Sink,
    ) -> u8 {
        let level = Spec::first_level(port);
        let known = if remembers {
            self.recent.hit(level, request)
        } else {
            None
        };
        let (code, response) = if let Some(known) = known {
            known
        } else if let Some(response) = self.bypass(request) {
            (LOOKUP_BYPASS, response)
        } else {
            let found = self.look_up_level(level, request);
            if found.code >= LOOKUP_MISS {
                return found.code;
            }
            if remembers {
                self.remember(level, request, &found);
            }
            let response = Response::translated(request, found.size, found.entry);
            (found.code, response)
        };
        self.answer_oldest(port, code, response, sink);
        LOOKUP_NONE
    }

    /// The oldest request of a port leaves its queue with the response to its look-up.
    #[inline]
    pub(in crate::model) fn answer_oldest(
        &mut self,
        port: usize,
        code: u8,
        response: Response,
        sink: &mut impl Sink,
    ) {
        self.ports[port].drop_oldest();
        self.respond(port, response, sink);
        sink.lookup(port, code, 0, response.id, false);
        self.statistics
            .count_look_up(Spec::first_level(port), code, false);
    }

    /// Contract 6 for the request in RETRY of the entry `number`.
    fn look_up_again(
        &mut self,
        port: usize,
        number: usize,
        request: Request,
        remembers: bool,
        sink: &mut impl Sink,
    ) {
        let level = Spec::first_level(port);
        let found = self.look_up_level(level, &request);
        if found.code < LOOKUP_MISS {
            if remembers {
                self.remember(level, &request, &found);
            }
            let response = Response::translated(&request, found.size, found.entry);
            self.respond(port, response, sink);
            self.miss_queue.free(number);
        } else {
            let entry = MissEntry::missed(port, request, found.code, self.now);
            self.miss_queue.set(number, entry);
        }
        sink.lookup(port, found.code, number, request.id, true);
        self.statistics.count_look_up(level, found.code, true);
    }

    /// Whether the oldest request of `port`, once it may be looked up, would be refused while no entry of the miss queue is FREE.
    pub(in crate::model) fn would_be_refused(&self, port: usize) -> bool {
        let Some(Waiting { request, .. }) = self.ports[port].requests.front() else {
            return false;
        };
        !self.would_answer(port, request)
    }
}
