//! The stimulus: all that happens to a twin from outside, in program order, immutable and shared by both.
//!
//! Contract: section 13 (drivers). SDM: none. Counterpart: none; the text form is defined in `docs/stim.md`.
//!
//! A stimulus is a header (configuration, seed, stalls), the memory image at cycle 0 and a sequence of [`Operation`]s. It says
//! nothing of cycles but gaps: in which cycle an operation happens follows from what the twin's driver sees
//! ([`crate::cosim::driver`]), by the same rule for both.
//!
//! | module | does |
//! | --- | --- |
//! | [`config_text`] | the machine that a stimulus was made for, and what it may ask of it |
//! | [`expressions`] | addresses by name, entries by their flags, registers by the names of their bits |
//! | [`lines`] | a line as words with their columns, numbers, and errors that name file, line, column and remedy |
//! | [`layout`] | page tables that the conveniences `space`, `table` and `map` build, by a documented rule |
//! | [`parse`] | the text form to a [`Stimulus`] |
//! | [`mod@print`] | a [`Stimulus`] to the text form, conveniences expanded |
//! | [`feed`] | operations made as they are needed, a window of them in memory, read by two drivers |

pub mod config_text;
pub mod expressions;
pub mod feed;
pub mod layout;
pub mod lines;
pub mod parse;
pub mod print;

pub use crate::reference::observer::Store;
pub use feed::{Feed, OperationSource};
pub use lines::StimulusError;

use std::collections::BTreeMap;

use super::stall::{Link, StallRates};
use crate::arch::{Access, AccessKind, Entry, EntrySlot, PagingMode, PhysicalAddress};
use crate::model::mmu_pkg::{
    CTRL_INVLPG, CTRL_INVPCID, CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, CTRL_WRMSR_EFER,
};

/// Version of the text form that this build reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// A request as a port takes it, without its id: the driver gives ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    /// The port: 0 for fetches, 1 and up for data.
    pub port: u8,
    /// The address.
    pub va: u64,
    /// Who asks for what.
    pub access: Access,
    /// Bytes from `va` on, 1 to 64, within one 4 KiB page.
    pub size_bytes: u8,
}

/// What a control operation does; the numbers are those of `ctrl_op_i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ControlKind {
    /// MOV to CR0.
    MovCr0 = CTRL_MOV_CR0,
    /// MOV to CR3.
    MovCr3 = CTRL_MOV_CR3,
    /// MOV to CR4.
    MovCr4 = CTRL_MOV_CR4,
    /// WRMSR to EFER.
    WrmsrEfer = CTRL_WRMSR_EFER,
    /// INVLPG.
    Invlpg = CTRL_INVLPG,
    /// INVPCID.
    Invpcid = CTRL_INVPCID,
}

impl ControlKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::MovCr0,
        Self::MovCr3,
        Self::MovCr4,
        Self::WrmsrEfer,
        Self::Invlpg,
        Self::Invpcid,
    ];

    /// The word that files use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MovCr0 => "cr0",
            Self::MovCr3 => "cr3",
            Self::MovCr4 => "cr4",
            Self::WrmsrEfer => "efer",
            Self::Invlpg => "invlpg",
            Self::Invpcid => "invpcid",
        }
    }
}

/// A control operation as the control port takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Control {
    /// What it does.
    pub kind: ControlKind,
    /// The value for a register, INVLPG's address, or the lower quadword of INVPCID's descriptor (the PCID).
    pub data: u64,
    /// The upper quadword of INVPCID's descriptor (the address), else 0.
    pub addr: u64,
    /// INVPCID's type, else 0.
    pub invpcid_type: u64,
}

impl Control {
    /// A write of a register, or INVLPG.
    pub const fn new(kind: ControlKind, data: u64) -> Self {
        Self {
            kind,
            data,
            addr: 0,
            invpcid_type: 0,
        }
    }
}

/// A store of 4 bytes by another agent: one entry of 32-bit paging. The other half of the cell keeps what it holds, in whatever cycle the
/// store performs, so that A and D that the machine has set there stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HalfStore {
    /// Physical address, a multiple of 4.
    pub address: u64,
    /// The 32 bits that stand there from then on.
    pub value: u32,
}

/// A store on its way to memory: some bits of a cell.
///
/// What it leaves in the cell is known when it performs, not before: [`CellWrite::over`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellWrite {
    /// Physical address of the cell, a multiple of 8.
    pub address: u64,
    /// The new bits where they stand in the cell; 0 outside `mask`.
    pub value: u64,
    /// The bits that are written.
    pub mask: u64,
}

impl CellWrite {
    /// The store of the whole cell that this comes to if the cell holds `before`.
    pub const fn over(self, before: u64) -> Store {
        Store {
            address: self.address,
            value: before & !self.mask | self.value,
        }
    }
}

impl From<Store> for CellWrite {
    fn from(store: Store) -> Self {
        Self {
            address: store.address,
            value: store.value,
            mask: u64::MAX,
        }
    }
}

impl From<HalfStore> for CellWrite {
    fn from(store: HalfStore) -> Self {
        let address = PhysicalAddress::from_masked(store.address);
        let slot = EntrySlot::of(PagingMode::TwoLevel, address);
        Self {
            address: EntrySlot::cell(address).raw(),
            value: slot.place(Entry(store.value.into())),
            mask: slot.mask(),
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Offer a request to its port.
    Request(Request),
    /// Offer an operation to the control port.
    Control(Control),
    /// Another agent stores a cell to memory.
    Store(Store),
    /// Another agent stores 4 bytes to memory.
    StoreHalf(HalfStore),
    /// Wait until everything before is accepted and answered.
    Drain,
    /// Let cycles pass.
    Idle {
        /// How many, counted from the operation's own cycle.
        cycles: u32,
    },
    /// Stall a link, whatever its rate.
    Hold {
        /// Which.
        link: Link,
        /// In how many cycles, the operation's own included.
        cycles: u32,
    },
}

impl Action {
    /// The word that begins its line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Request(request) => match request.access.kind {
                AccessKind::Read => "read",
                AccessKind::Write => "write",
                AccessKind::Fetch => "fetch",
            },
            Self::Control(control) => control.kind.name(),
            Self::Store(_) => "store",
            Self::StoreHalf(_) => "store4",
            Self::Drain => "drain",
            Self::Idle { .. } => "idle",
            Self::Hold { .. } => "hold",
        }
    }
}

/// One step of a stimulus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The least number of cycles between the cycle of the operation before and that of this one. 0: the same cycle will do.
    pub gap_cycles: u32,
    /// What it does.
    pub action: Action,
}

impl Operation {
    /// An operation that may happen in the cycle of the one before it.
    pub const fn now(action: Action) -> Self {
        Self {
            gap_cycles: 0,
            action,
        }
    }
}

/// The configuration that a stimulus was made for, as it stands in a file: a base and what changes on top of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigText {
    /// `preset:NAME`; `None` is the default machine.
    pub base: Option<String>,
    /// `key=value`, applied in order.
    pub overrides: Vec<String>,
    /// What [`crate::config::Config::hash`] gave when the file was written; a run with another machine is refused.
    pub hash: Option<String>,
}

/// Everything of a stimulus but its operations: small, whatever the length of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// What the stimulus shows, one element a line.
    pub about: Vec<String>,
    /// The configuration as text.
    pub config: ConfigText,
    /// Seed of stalls, memory jitter and the registers' values before reset.
    pub seed: u64,
    /// How often each link stalls.
    pub stalls: StallRates,
    /// Operations are presented by the front end of the configuration (contract 13.1), and gaps count for nothing.
    pub front_end: bool,
    /// Memory at cycle 0: address (a multiple of 8) to value. Cells that are not named hold 0.
    pub image: BTreeMap<u64, u64>,
}

/// A whole stimulus in memory: what a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stimulus {
    /// Header and memory image.
    pub setup: Setup,
    /// The operations in program order.
    pub operations: Vec<Operation>,
}

#[cfg(test)]
mod tests;
