//! What the observer reports of a cycle: requests, answers, operations, transactions, and changes of memory.
//!
//! Contract: 3 (ports), 9.3 (what an operation does), 13 (stores). SDM: none. Counterpart: none in hardware.

use crate::arch::{
    Access, AccessKind, Capabilities, Invalidation, InvpcidDescriptor, PagingMode, Registers,
};
use crate::model::mmu_pkg::{
    self as pkg, CTRL_INVLPG, CTRL_INVPCID, CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, ControlIn,
    PortIn, PortOut,
};

use super::super::finding::InvalidationKind;

/// A store of another agent, performed in a cycle before the machine's own transaction is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store {
    /// Physical address, a multiple of 8.
    pub address: u64,
    /// The 64 bits that stand there from then on.
    pub value: u64,
}

/// A request as it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its port.
    pub port: u8,
    /// Its id, unique among the outstanding requests of the port.
    pub id: u8,
    /// The cycle of the accept.
    pub accepted_cycle: u64,
    /// The linear address; in 32-bit paging its lower half, which is all that counts.
    pub va: u64,
    /// Who asks for what.
    pub access: Access,
}

impl Request {
    pub(super) fn new(port: usize, cycle: u64, input: &PortIn, mode: PagingMode) -> Self {
        let kind = match input.req_kind {
            pkg::KIND_WRITE => AccessKind::Write,
            pkg::KIND_FETCH => AccessKind::Fetch,
            _ => AccessKind::Read,
        };
        Self {
            port: port as u8,
            id: input.req_id,
            accepted_cycle: cycle,
            va: match mode {
                PagingMode::TwoLevel => mode.extend(input.req_va),
                _ => input.req_va,
            },
            access: Access {
                kind,
                cpl: input.req_cpl & 3,
                ac: input.req_ac & 1 != 0,
                implicit_supervisor: input.req_implicit_supervisor & 1 != 0,
                pkru: input.req_pkru,
            },
        }
    }
}

impl Request {
    /// What a prefetch of `va` reads like: a supervisor read.
    pub(in crate::reference) const fn prefetch(va: u64) -> Self {
        Self {
            port: 0,
            id: 0,
            accepted_cycle: 0,
            va,
            access: Access::new(AccessKind::Read, 0),
        }
    }
}

/// A response in the first cycle in which it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it answers.
    pub request: Request,
    /// The payload, with `req_ready` as 0.
    pub response: PortOut,
}

/// A control operation with what it does by the rules of contract 9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The cycle of its transfer.
    pub accepted_cycle: u64,
    /// Whether it writes a register, and so waits until no request is outstanding.
    pub writes_register: bool,
    /// Whether it raises #GP and changes nothing.
    pub general_protection: bool,
    /// The registers before it.
    pub before: Registers,
    /// The registers after it.
    pub after: Registers,
    /// What it removes.
    pub invalidation: Invalidation,
    /// Under which name the figures count that.
    pub kind: InvalidationKind,
}

impl Operation {
    /// What `input` does to `registers`.
    pub(super) fn new(
        cycle: u64,
        input: &ControlIn,
        registers: &Registers,
        capabilities: &Capabilities,
    ) -> Self {
        let mut after = *registers;
        let descriptor = InvpcidDescriptor {
            context: input.data,
            address: input.addr,
        };
        let (kind, result) = match input.op {
            CTRL_MOV_CR0 => (InvalidationKind::MovCr0, after.write_cr0(input.data)),
            CTRL_MOV_CR3 => (
                InvalidationKind::MovCr3,
                after.write_cr3(input.data, capabilities),
            ),
            CTRL_MOV_CR4 => (
                InvalidationKind::MovCr4,
                after.write_cr4(input.data, capabilities),
            ),
            CTRL_INVLPG => (InvalidationKind::Invlpg, Ok(registers.invlpg(input.data))),
            CTRL_INVPCID => {
                let kind = match input.kind {
                    0 => InvalidationKind::InvpcidAddress,
                    1 => InvalidationKind::InvpcidContext,
                    2 => InvalidationKind::InvpcidAll,
                    _ => InvalidationKind::InvpcidAllButGlobals,
                };
                (kind, registers.invpcid(input.kind, &descriptor))
            }
            _ => (InvalidationKind::WrmsrEfer, after.write_efer(input.data)),
        };
        Self {
            accepted_cycle: cycle,
            writes_register: input.op < CTRL_INVLPG,
            general_protection: result.is_err(),
            before: *registers,
            after: if result.is_err() { *registers } else { after },
            invalidation: result.unwrap_or(Invalidation::None),
            kind,
        }
    }
}

/// A memory transaction of the machine, in the cycle in which it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// The cycle of the accept.
    pub cycle: u64,
    /// Its id.
    pub id: u8,
    /// `MEM_READ`, `MEM_WRITE` or `MEM_COMPARE_AND_SET`.
    pub op: u8,
    /// Physical address, a multiple of 8.
    pub address: u64,
    /// `mem_req_be_o`.
    pub byte_enables: u8,
    /// `mem_req_expected_o`.
    pub expected: u64,
    /// `mem_req_wdata_o`.
    pub new: u64,
    /// What memory held before it performed.
    pub before: u64,
    /// Whether the bus answers with an error.
    pub error: bool,
}

impl Transaction {
    /// The bits that its byte enables name.
    pub fn mask(&self) -> u64 {
        pkg::byte_mask(self.byte_enables)
    }

    /// A compare-and-set that found what it expected, and so wrote.
    pub fn has_set(&self) -> bool {
        self.op == pkg::MEM_COMPARE_AND_SET
            && !self.error
            && (self.before ^ self.expected) & self.mask() == 0
    }
}

/// A change of one word of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its address.
    pub address: u64,
    /// What it held.
    pub before: u64,
    /// What it holds from then on.
    pub after: u64,
    /// Whether the machine did it, and not another agent.
    pub by_machine: bool,
}

/// What happened in one cycle. Reused from cycle to cycle: the vectors keep their room.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// The machine is in reset; nothing else is set but `changes`.
    pub reset: bool,
    /// Responses that show for the first time; at most one a port.
    pub answers: Vec<Answer>,
    /// An operation that performs in this cycle, by the rule of contract 9.1.
    pub performed: Option<Operation>,
    /// An operation whose response shows for the first time: it is complete.
    pub completed: Option<Operation>,
    /// Words of memory that changed, in order.
    pub changes: Vec<Change>,
    /// The transaction that was accepted.
    pub accepted_transaction: Option<Transaction>,
    /// The transaction that was answered; the answer was right.
    pub answered_transaction: Option<Transaction>,
    /// Requests that were accepted; at most one a port.
    pub requests: Vec<Request>,
}

impl Events {
    pub(super) fn clear(&mut self) {
        self.reset = false;
        self.answers.clear();
        self.performed = None;
        self.completed = None;
        self.changes.clear();
        self.accepted_transaction = None;
        self.answered_transaction = None;
        self.requests.clear();
    }
}
