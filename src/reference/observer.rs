//! What software and the bus can know from a stream of inputs and outputs, without the monitor: requests, responses, control
//! operations with the cycle in which they perform, transactions, and memory.
//!
//! Contract: 1.3 (links), 3 (ports), 5 (outstanding requests), 9 (control), 13 (memory). SDM vol. 3A, 2.5.
//! Counterpart: none in hardware. Both checkers stand on this one.
//!
//! # What it guarantees
//! Every response answers an outstanding request, once, and keeps its payload until it is transferred; control answers each
//! operation once, with the #GP that the operation deserves; the registers show what was written; no request meets a register write;
//! memory answers with what it held. Each of these is a [`Rule`] of the first group.
//!
//! # What it does not
//! It does not check that `ready` and `valid` move in the right cycles, that links other than responses are stable, that anything
//! ever ends, or the obligations of the requester: the comparison of the twins and the assertions of the RTL do. In a cycle with
//! `rst_n` = 0 it looks at nothing but the stores, and forgets all but memory.
//!
//! # Order
//! A cycle is fed in two steps, because an answer that shows in cycle t cannot depend on what memory becomes in t:
//! [`Observer::answers`], then [`Observer::performs`].

use crate::arch::{Capabilities, Registers};
use crate::model::mmu_pkg::{self as pkg, Inputs, MAX_PORTS, Outputs, PortIn, PortOut};

use super::finding::{Finding, Rule};
use super::image::Image;

mod events;

pub use events::{Answer, Change, Events, Operation, Request, Store, Transaction};

/// Where the control port is, as seen from outside.
#[derive(Debug, Clone, Copy)]
enum Control {
    Idle,
    Pending(Operation),
    Performed(Operation),
    Answering,
}

/// The reconstruction. Feed it every cycle, once each of [`Observer::answers`] and [`Observer::performs`].
#[derive(Debug, Clone)]
pub struct Observer {
    capabilities: Capabilities,
    /// Whether registers must show a new value in the very cycle that the contract names, or only when the operation is complete.
    exact: bool,
    image: Image,
    registers: Registers,
    outstanding: [Vec<Request>; MAX_PORTS],
    outstanding_count: usize,
    shown: [Option<PortOut>; MAX_PORTS],
    control: Control,
    in_flight: Vec<Transaction>,
}

impl Observer {
    /// An observer of a machine in reset, over `image`. `exact`: register outputs are held to contract 9.1 by the cycle.
    pub fn new(capabilities: Capabilities, image: Image, exact: bool) -> Self {
        Self {
            capabilities,
            exact,
            image,
            registers: Registers::RESET,
            outstanding: Default::default(),
            outstanding_count: 0,
            shown: [None; MAX_PORTS],
            control: Control::Idle,
            in_flight: Vec::new(),
        }
    }

    /// Memory as it stands: at [`Observer::answers`] before the stores of the cycle, after [`Observer::performs`] behind them.
    #[inline]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The registers by which the machine judges: the new value from the cycle after the one in which the write performs.
    #[inline]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// What the machine is built with.
    #[inline]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// First step of a cycle: the responses that show for the first time.
    ///
    /// # Errors
    /// [`Rule::ResponseId`], [`Rule::ResponseStable`].
    #[inline]
    pub fn answers(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        events: &mut Events,
    ) -> Result<(), Finding> {
        events.clear();
        if inputs.rst_n == 0 {
            events.reset = true;
            return Ok(());
        }
        for (port, output) in outputs.ports.iter().enumerate() {
            if output.resp_valid != 0 {
                self.answer(cycle, port, output, events)?;
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        cycle: u64,
        port: usize,
        output: &PortOut,
        events: &mut Events,
    ) -> Result<(), Finding> {
        let response = PortOut {
            req_ready: 0,
            ..*output
        };
        if let Some(shown) = self.shown[port] {
            if shown != response {
                let (seen, allowed) = (
                    format!("port {port} changes to {response:?}"),
                    format!("{shown:?}"),
                );
                return Err(Finding::new(cycle, Rule::ResponseStable, seen, allowed));
            }
            return Ok(());
        }
        self.shown[port] = Some(response);
        let Some(request) = self.outstanding[port]
            .iter()
            .find(|request| request.id == output.resp_id)
        else {
            let ids: Vec<u8> = self.outstanding[port]
                .iter()
                .map(|request| request.id)
                .collect();
            let seen = format!("a response with id {} on port {port}", output.resp_id);
            return Err(Finding::new(
                cycle,
                Rule::ResponseId,
                seen,
                format!("one of the outstanding ids {ids:?}"),
            ));
        };
        events.answers.push(Answer {
            request: *request,
            response,
        });
        Ok(())
    }

    /// Second step of a cycle: what performs, memory, and what is accepted.
    ///
    /// # Errors
    /// The other rules of the first group of [`Rule`].
    #[inline]
    pub fn performs(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
        events: &mut Events,
    ) -> Result<(), Finding> {
        if inputs.rst_n == 0 {
            self.reset();
        } else {
            self.check_registers(cycle, outputs)?;
            if !matches!(self.control, Control::Idle) || outputs.control.resp_valid != 0 {
                self.advance_control(cycle, inputs, outputs, events)?;
            }
        }
        for store in stores {
            self.change(store.address & !7, store.value, false, events);
        }
        if inputs.rst_n == 0 {
            return Ok(());
        }
        if inputs.memory.resp_valid & outputs.memory.resp_ready != 0 {
            self.memory_response(cycle, inputs, events)?;
        }
        if outputs.memory.req_valid & inputs.memory.req_ready != 0 {
            self.memory_accept(cycle, outputs, events)?;
        }
        for (port, (input, output)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if output.resp_valid & input.resp_ready != 0 {
                self.shown[port] = None;
                self.outstanding[port].retain(|request| request.id != output.resp_id);
                self.outstanding_count = self.outstanding.iter().map(Vec::len).sum();
            }
            if input.req_valid & output.req_ready != 0 {
                self.accept(cycle, port, input, events)?;
            }
        }
        if inputs.control.valid & outputs.control.ready != 0 {
            self.control = Control::Pending(Operation::new(
                cycle,
                &inputs.control,
                &self.registers,
                &self.capabilities,
            ));
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.registers = Registers::RESET;
        self.outstanding.iter_mut().for_each(Vec::clear);
        self.outstanding_count = 0;
        self.shown = [None; MAX_PORTS];
        self.control = Control::Idle;
        self.in_flight.clear();
    }

    fn change(&mut self, address: u64, after: u64, by_machine: bool, events: &mut Events) {
        if self.image.contains(address) {
            let before = self.image.write(address, after);
            if before != after {
                events.changes.push(Change {
                    address,
                    before,
                    after,
                    by_machine,
                });
            }
        }
    }

    fn accept(
        &mut self,
        cycle: u64,
        port: usize,
        input: &PortIn,
        events: &mut Events,
    ) -> Result<(), Finding> {
        let writing = match &self.control {
            Control::Pending(operation) | Control::Performed(operation) => {
                operation.writes_register
            }
            Control::Idle | Control::Answering => false,
        };
        if writing {
            let seen = format!("a request accepted on port {port} during a register write");
            return Err(Finding::new(
                cycle,
                Rule::Serialisation,
                seen,
                "none until the write is complete",
            ));
        }
        let request = Request::new(port, cycle, input, self.registers.paging_mode());
        self.outstanding[port].push(request);
        self.outstanding_count += 1;
        events.requests.push(request);
        Ok(())
    }

    /// The registers shown in a cycle, against the ones that hold, or while a write is under way, may hold.
    fn check_registers(&self, cycle: u64, outputs: &Outputs) -> Result<(), Finding> {
        let shown = &outputs.control;
        let shows = |registers: &Registers| {
            shown.cr3 == registers.cr3()
                && shown.cr0 == registers.cr0()
                && shown.cr4 == registers.cr4()
                && shown.efer == registers.efer()
        };
        // Between the accept and the completion another machine may have written, or not yet; ours may not choose.
        let other = match &self.control {
            Control::Pending(operation) => !self.exact && shows(&operation.after),
            Control::Performed(operation) => {
                !self.exact && outputs.control.resp_valid == 0 && shows(&operation.before)
            }
            Control::Idle | Control::Answering => false,
        };
        if other || shows(&self.registers) {
            return Ok(());
        }
        let seen = format!(
            "cr0 {:#x}, cr3 {:#x}, cr4 {:#x}, efer {:#x}",
            shown.cr0, shown.cr3, shown.cr4, shown.efer
        );
        let r = &self.registers;
        let allowed = format!(
            "cr0 {:#x}, cr3 {:#x}, cr4 {:#x}, efer {:#x}",
            r.cr0(),
            r.cr3(),
            r.cr4(),
            r.efer()
        );
        Err(Finding::new(cycle, Rule::Registers, seen, allowed))
    }

    fn advance_control(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        events: &mut Events,
    ) -> Result<(), Finding> {
        if let Control::Pending(operation) = self.control
            && (!operation.writes_register || self.outstanding_count == 0)
        {
            self.registers = operation.after;
            self.control = Control::Performed(operation);
            events.performed = Some(operation);
        }
        if outputs.control.resp_valid == 0 {
            return Ok(());
        }
        match self.control {
            Control::Performed(operation) => {
                if (outputs.control.resp_gp != 0) != operation.general_protection {
                    let seen = format!("ctrl_resp_gp_o = {}", outputs.control.resp_gp);
                    let allowed = format!("{}", u8::from(operation.general_protection));
                    return Err(Finding::new(cycle, Rule::ControlFault, seen, allowed));
                }
                events.completed = Some(operation);
                self.control = Control::Answering;
            }
            Control::Pending(_) => {
                let seen = "a register write completed while requests are outstanding";
                return Err(Finding::new(
                    cycle,
                    Rule::Serialisation,
                    seen,
                    "completion after the last response",
                ));
            }
            Control::Idle => {
                let seen = "a control response without an operation";
                return Err(Finding::new(
                    cycle,
                    Rule::ControlResponse,
                    seen,
                    "one response for each operation",
                ));
            }
            Control::Answering => {}
        }
        if inputs.control.resp_ready != 0 {
            self.control = Control::Idle;
        }
        Ok(())
    }

    fn memory_accept(
        &mut self,
        cycle: u64,
        outputs: &Outputs,
        events: &mut Events,
    ) -> Result<(), Finding> {
        let request = &outputs.memory;
        if request.req_beats != 1
            || request.req_op > pkg::MEM_COMPARE_AND_SET
            || request.req_addr & 7 != 0
        {
            let seen = format!(
                "op {}, {} beats at {:#x}",
                request.req_op, request.req_beats, request.req_addr
            );
            let allowed = "a read, write or compare-and-set of one beat at a multiple of 8";
            return Err(Finding::new(cycle, Rule::MemoryTransaction, seen, allowed));
        }
        let transaction = Transaction {
            cycle,
            id: request.req_id,
            op: request.req_op,
            address: request.req_addr,
            byte_enables: request.req_be,
            expected: request.req_expected,
            new: request.req_wdata,
            before: self.image.read(request.req_addr),
            error: !self.image.contains(request.req_addr),
        };
        if transaction.op == pkg::MEM_WRITE || transaction.has_set() {
            let mask = transaction.mask();
            let after = transaction.before & !mask | transaction.new & mask;
            self.change(transaction.address, after, true, events);
        }
        self.in_flight.push(transaction);
        events.accepted_transaction = Some(transaction);
        Ok(())
    }

    fn memory_response(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        events: &mut Events,
    ) -> Result<(), Finding> {
        let response = &inputs.memory;
        let position = self
            .in_flight
            .iter()
            .position(|transaction| transaction.id == response.resp_id);
        let seen = || {
            format!(
                "data {:#x}, error {}, for id {}",
                response.resp_data, response.resp_error, response.resp_id
            )
        };
        let Some(position) = position else {
            return Err(Finding::new(
                cycle,
                Rule::MemoryResponse,
                seen(),
                "an answer to a transaction in flight",
            ));
        };
        let transaction = self.in_flight.remove(position);
        let right = (response.resp_error != 0) == transaction.error
            && (transaction.error
                || transaction.op == pkg::MEM_WRITE
                || response.resp_data == transaction.before);
        if !right {
            let allowed = format!(
                "data {:#x}, error {}: what {:#x} held in cycle {}",
                transaction.before,
                u8::from(transaction.error),
                transaction.address,
                transaction.cycle
            );
            return Err(Finding::new(cycle, Rule::MemoryResponse, seen(), allowed));
        }
        events.answered_transaction = Some(transaction);
        Ok(())
    }
}
