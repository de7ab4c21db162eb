//! A driver: turns the operations of a stimulus into the inputs of one twin, cycle by cycle.
//!
//! Contract: sections 1.3 (links), 3 (obligations of the requester), 13 (drivers). SDM: none. Counterpart: none; each twin has one.
//!
//! The rule by which an operation finds its cycle, the same for both twins:
//!
//! * Operations happen in program order. An operation happens in the first cycle that is at least its gap after the cycle of the one
//!   before it, and in which its link is free; until then it holds back those behind it. Several may happen in one cycle.
//! * A request or control operation *happens* when it takes its link. It is offered (`valid` = 1) from the first cycle in which the link
//!   is not stalled, until it is accepted; then the link is free, from the next cycle on.
//! * A store happens in memory, in that cycle, before any access of the twin.
//! * `hold` stalls a link for some cycles, from its own on.
//! * `drain` waits until every link is free and everything accepted is answered. `idle N` is followed by N cycles at least.

//!
//! A stimulus of the *front end* is presented by the rule of contract 13.1 instead: one reference after the other, in the window and with
//! the gap of the configuration, a store together with the reference behind it, a control operation alone.

use std::collections::VecDeque;
use std::fmt::Write as _;

use thiserror::Error;

use super::stall::{Link, Stalls};
use super::stimulus::{Action, CellWrite, Control, Feed, OperationSource, Request};
use crate::config::FrontEndSpec;
use crate::model::mmu_pkg::{Inputs, MAX_PORTS, Outputs};

/// Something on a link that waits for the other side.
#[derive(Debug, Clone, Copy)]
struct Offer<T> {
    what: T,
    /// The cycle in which it took the link.
    since: u64,
    /// Whether `valid` is 1.
    offered: bool,
    /// Of a request: how many happened before it.
    number: u64,
}

/// A request that was accepted and has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outstanding {
    /// The id under which it went.
    pub id: u8,
    /// What was asked.
    pub request: Request,
    /// The cycle of its accept.
    pub accepted: u64,
    /// How many requests of the stimulus, on any port, happened before it.
    pub number: u64,
}

/// The front end of contract 13.1.
#[derive(Debug, Clone, Copy)]
struct FrontEnd {
    window: u64,
    gap_cycles: u64,
    /// The first cycle in which the gap after the last reference is over.
    gap_over: u64,
}

/// A twin did on a link what the contract rules out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A response with an id that no outstanding request of the port has.
    #[error("port {port} answers request #{id}, which is not outstanding")]
    UnknownId {
        /// The port.
        port: usize,
        /// The id of the response.
        id: u8,
    },
    /// An answer to a control operation that was not accepted, or that is answered already.
    #[error("the control port answers, and no operation is outstanding")]
    UnaskedControlAnswer,
}

/// Drives one twin. See the module for the rule.
#[derive(Debug, Clone)]
pub struct Driver {
    ports: usize,
    stalls: Stalls,
    /// Index of the next operation to happen.
    next: u64,
    /// The first cycle in which the next operation may happen, its own gap not counted.
    base: u64,
    requests: [Option<Offer<Request>>; MAX_PORTS],
    control: Option<Offer<Control>>,
    control_unanswered: Option<(Control, u64)>,
    outstanding: [VecDeque<Outstanding>; MAX_PORTS],
    next_id: [u8; MAX_PORTS],
    /// Requests that have happened.
    requested: u64,
    /// For each link the first cycle in which no `hold` keeps it any more.
    held: [u64; Link::COUNT],
    front_end: Option<FrontEnd>,
    last_progress: u64,
    ended: bool,
}

impl Driver {
    /// A driver for a machine with `ports` ports, at the start of the stimulus.
    pub fn new(ports: usize, stalls: Stalls) -> Self {
        Self {
            ports: ports.min(MAX_PORTS),
            stalls,
            next: 0,
            base: 0,
            requests: [None; MAX_PORTS],
            control: None,
            control_unanswered: None,
            outstanding: std::array::from_fn(|_| VecDeque::with_capacity(16)),
            next_id: [0; MAX_PORTS],
            requested: 0,
            held: [0; Link::COUNT],
            front_end: None,
            last_progress: 0,
            ended: false,
        }
    }

    /// A driver that presents what it is given by the rule of the front end.
    #[must_use]
    pub fn with_front_end(mut self, spec: &FrontEndSpec) -> Self {
        self.front_end = Some(FrontEnd {
            window: spec.window.into(),
            gap_cycles: spec.issue_gap_cycles.into(),
            gap_over: 0,
        });
        self
    }

    /// Index of the next operation to happen: those before it have.
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Whether `link` is stalled in `cycle`: by its rate, or because it is held.
    #[inline]
    pub fn is_stalled(&self, link: Link, cycle: u64) -> bool {
        cycle < self.held[link.index()] || self.stalls.is_stalled(link, cycle)
    }

    /// The first cycle from `cycle` on in which `link` is not stalled, as far as is known by now.
    fn next_ready(&self, link: Link, cycle: u64) -> u64 {
        self.stalls
            .next_ready(link, cycle.max(self.held[link.index()]))
    }

    /// Whether every link is free and everything accepted is answered.
    pub fn is_quiet(&self) -> bool {
        self.control.is_none()
            && self.control_unanswered.is_none()
            && self.requests.iter().all(Option::is_none)
            && self.outstanding.iter().all(VecDeque::is_empty)
    }

    /// Whether the stimulus is over and everything in it answered.
    pub fn is_done(&self) -> bool {
        self.ended && self.is_quiet()
    }

    /// The last cycle in which anything moved on a link of the requester's, or an operation happened.
    pub const fn last_progress(&self) -> u64 {
        self.last_progress
    }

    /// The requests of a port that were accepted and are not answered, oldest first.
    pub fn outstanding(&self, port: usize) -> impl Iterator<Item = &Outstanding> {
        self.outstanding
            .iter()
            .take(self.ports)
            .skip(port)
            .take(1)
            .flatten()
    }

    /// Sets the inputs of `cycle`, memory's apart, and collects the stores that happen in it.
    ///
    /// To be called once for each cycle that is stepped, in order. Payloads of a link keep their last value while `valid` is 0: the
    /// machine must not look at them.
    pub fn drive<S: OperationSource>(
        &mut self,
        cycle: u64,
        feed: &mut Feed<S>,
        inputs: &mut Inputs,
        stores: &mut Vec<CellWrite>,
    ) {
        stores.clear();
        self.take_operations(cycle, feed, stores);
        for port in 0..self.ports {
            self.drive_port(cycle, port, inputs);
        }
        let control = &mut inputs.control;
        control.resp_ready = u8::from(!self.is_stalled(Link::ControlResponse, cycle));
        control.valid = 0;
        let control_stalled = self.is_stalled(Link::Control, cycle);
        if let Some(offer) = &mut self.control {
            offer.offered = offer.offered || !control_stalled;
            control.valid = u8::from(offer.offered);
            control.op = offer.what.kind as u8;
            control.data = offer.what.data;
            control.addr = offer.what.addr;
            control.kind = offer.what.invpcid_type;
        }
    }

    fn drive_port(&mut self, cycle: u64, port: usize, inputs: &mut Inputs) {
        let link = port as u8;
        let pins = &mut inputs.ports[port];
        pins.resp_ready = u8::from(!self.is_stalled(Link::Response(link), cycle));
        pins.req_valid = 0;
        let stalled = self.is_stalled(Link::Request(link), cycle);
        let Some(offer) = &mut self.requests[port] else {
            return;
        };
        offer.offered = offer.offered || !stalled;
        pins.req_valid = u8::from(offer.offered);
        let access = &offer.what.access;
        pins.req_id = match self.front_end {
            Some(_) => offer.number as u8,
            None => self.next_id[port],
        };
        pins.req_kind = access.kind as u8;
        pins.req_size_bytes = offer.what.size_bytes;
        pins.req_cpl = access.cpl;
        pins.req_ac = u8::from(access.ac);
        pins.req_implicit_supervisor = u8::from(access.implicit_supervisor);
        pins.req_pkru = access.pkru;
        pins.req_va = offer.what.va;
    }

    /// Lets the operations happen that may in `cycle`.
    fn take_operations<S: OperationSource>(
        &mut self,
        cycle: u64,
        feed: &mut Feed<S>,
        stores: &mut Vec<CellWrite>,
    ) {
        while !self.ended && self.base <= cycle {
            let Some(operation) = feed.get(self.next) else {
                self.ended = true;
                return;
            };
            match self.front_end {
                None if self.base + u64::from(operation.gap_cycles) > cycle => return,
                Some(front_end) if self.front_end_waits(&front_end, &operation.action, cycle) => {
                    return;
                }
                _ => {}
            }
            let mut pause_cycles = 0;
            match operation.action {
                Action::Request(what) => {
                    // A port that the machine does not have was refused when the stimulus was checked against the configuration.
                    let port = usize::from(what.port).min(self.ports - 1);
                    if self.requests[port].is_some()
                        || self.outstanding[port].len() >= usize::from(u8::MAX)
                    {
                        return;
                    }
                    self.requests[port] = Some(Offer {
                        what,
                        since: cycle,
                        offered: false,
                        number: self.requested,
                    });
                    self.requested += 1;
                }
                Action::Control(what) => {
                    if self.control.is_some() {
                        return;
                    }
                    self.control = Some(Offer {
                        what,
                        since: cycle,
                        offered: false,
                        number: 0,
                    });
                }
                Action::Store(store) => stores.push(store.into()),
                Action::StoreHalf(store) => stores.push(store.into()),
                Action::Drain if !self.is_quiet() => return,
                Action::Drain => {}
                Action::Idle { cycles } => pause_cycles = u64::from(cycles),
                Action::Hold { link, cycles } => {
                    self.held[link.index()] = cycle + u64::from(cycles);
                }
            }
            self.next += 1;
            self.base = cycle + pause_cycles;
            self.last_progress = self.base;
        }
    }

    /// Whether the front end has still to wait with `action` in `cycle`.
    fn front_end_waits(&self, front_end: &FrontEnd, action: &Action, cycle: u64) -> bool {
        match action {
            Action::Request(_) | Action::Store(_) | Action::StoreHalf(_) => {
                cycle < front_end.gap_over || self.window_is_closed(front_end)
            }
            Action::Control(_) => !self.is_quiet(),
            Action::Drain | Action::Idle { .. } | Action::Hold { .. } => false,
        }
    }

    /// Whether the next reference waits for a move of the twin's.
    fn window_is_closed(&self, front_end: &FrontEnd) -> bool {
        let offered = self.requests.iter().any(Option::is_some);
        let oldest = self
            .outstanding
            .iter()
            .flatten()
            .map(|request| request.number)
            .min();
        offered
            || self.control.is_some()
            || self.control_unanswered.is_some()
            || oldest.is_some_and(|number| number + front_end.window <= self.requested)
    }

    /// Takes note of what moved in `cycle`, which had these inputs and outputs.
    ///
    /// # Errors
    /// [`ProtocolError`] if the twin answers what was not asked.
    pub fn sample(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
    ) -> Result<(), ProtocolError> {
        for port in 0..self.ports {
            self.sample_port(cycle, port, inputs, outputs)?;
        }
        let (pins, shown) = (&inputs.control, &outputs.control);
        if shown.resp_valid != 0 && pins.resp_ready != 0 {
            if self.control_unanswered.take().is_none() {
                return Err(ProtocolError::UnaskedControlAnswer);
            }
            self.last_progress = cycle;
        }
        if pins.valid != 0
            && shown.ready != 0
            && let Some(offer) = self.control.take()
        {
            self.control_unanswered = Some((offer.what, cycle));
            self.last_progress = cycle;
            if let Some(front_end) = &mut self.front_end {
                front_end.gap_over = 0;
            }
        }
        Ok(())
    }

    fn sample_port(
        &mut self,
        cycle: u64,
        port: usize,
        inputs: &Inputs,
        outputs: &Outputs,
    ) -> Result<(), ProtocolError> {
        let (pins, shown) = (&inputs.ports[port], &outputs.ports[port]);
        if shown.resp_valid != 0 && pins.resp_ready != 0 {
            let id = shown.resp_id;
            let waiting = &mut self.outstanding[port];
            let found = waiting.iter().position(|request| request.id == id);
            let index = found.ok_or(ProtocolError::UnknownId { port, id })?;
            waiting.remove(index);
            self.last_progress = cycle;
        }
        if pins.req_valid != 0
            && shown.req_ready != 0
            && let Some(offer) = self.requests[port].take()
        {
            let id = pins.req_id;
            self.outstanding[port].push_back(Outstanding {
                id,
                request: offer.what,
                accepted: cycle,
                number: offer.number,
            });
            // Ids of outstanding requests differ, also on a machine that lets 255 requests overtake one.
            let waiting = &self.outstanding[port];
            let mut ids = (1..=u8::MAX).map(|more| id.wrapping_add(more));
            let is_free = |id: &u8| waiting.iter().all(|request| request.id != *id);
            self.next_id[port] = ids.find(is_free).unwrap_or_else(|| id.wrapping_add(1));
            if let Some(front_end) = &mut self.front_end {
                front_end.gap_over = cycle + 1 + front_end.gap_cycles;
            }
            self.last_progress = cycle;
        }
        Ok(())
    }

    /// The first cycle from `cycle` on in which the driver may do anything of its own accord, the moves of the twin apart: an operation
    /// whose gap ends, an offer whose stall ends. `u64::MAX` if it waits for the twin.
    ///
    /// Only an operation that waits for its gap is counted, not one that waits for its link: a free link is a move of the twin's, after
    /// which the caller asks again.
    pub fn next_event<S: OperationSource>(&self, cycle: u64, feed: &mut Feed<S>) -> u64 {
        let mut earliest = u64::MAX;
        for port in 0..self.ports {
            if self.requests[port].is_some_and(|offer| !offer.offered) {
                earliest = earliest.min(self.next_ready(Link::Request(port as u8), cycle));
            }
        }
        if self.control.is_some_and(|offer| !offer.offered) {
            earliest = earliest.min(self.next_ready(Link::Control, cycle));
        }
        if !self.ended {
            earliest = earliest.min(self.next_operation(cycle, feed));
        }
        earliest
    }

    fn next_operation<S: OperationSource>(&self, cycle: u64, feed: &mut Feed<S>) -> u64 {
        let Some(operation) = feed.get(self.next) else {
            return cycle;
        };
        if let Some(front_end) = &self.front_end {
            return match operation.action {
                Action::Request(_) | Action::Store(_) | Action::StoreHalf(_)
                    if self.window_is_closed(front_end) =>
                {
                    u64::MAX
                }
                Action::Request(_) | Action::Store(_) | Action::StoreHalf(_) => {
                    cycle.max(front_end.gap_over)
                }
                Action::Control(_) | Action::Drain if !self.is_quiet() => u64::MAX,
                _ => cycle.max(self.base),
            };
        }
        let due = (self.base + u64::from(operation.gap_cycles)).max(cycle);
        let held = match operation.action {
            Action::Request(what) => {
                self.requests[usize::from(what.port).min(MAX_PORTS - 1)].is_some()
            }
            Action::Control(_) => self.control.is_some(),
            Action::Drain => !self.is_quiet(),
            Action::Store(_) | Action::StoreHalf(_) | Action::Idle { .. } | Action::Hold { .. } => {
                false
            }
        };
        if held { u64::MAX } else { due }
    }

    /// Who waits for whom, one line each: for the report of a hang.
    pub fn describe_waiting(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for port in 0..self.ports {
            if let Some(offer) = &self.requests[port] {
                lines.push(format!(
                    "port {port} has not accepted `{}`, offered from cycle {}",
                    offer.what, offer.since
                ));
            }
            let waiting = &self.outstanding[port];
            if let Some(oldest) = waiting.front() {
                let mut line = format!(
                    "port {port} has not answered #{} `{}`, accepted in cycle {}",
                    oldest.id, oldest.request, oldest.accepted
                );
                if waiting.len() > 1 {
                    let _ = write!(line, ", nor {} more", waiting.len() - 1);
                }
                lines.push(line);
            }
        }
        if let Some(offer) = &self.control {
            lines.push(format!(
                "the control port has not accepted `{}`, offered from cycle {}",
                offer.what, offer.since
            ));
        }
        if let Some((control, since)) = &self.control_unanswered {
            lines.push(format!(
                "the control port has not answered `{control}`, accepted in cycle {since}"
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests;
