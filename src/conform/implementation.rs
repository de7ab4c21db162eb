//! Who performs a case, and what it is seen to do; the reference as the first of them.
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8. Counterpart: `machine`, which does the same for a twin.

use crate::arch::{Outcome, PageFaultCode, PhysicalAddress};
use crate::reference::{SparseMemory, walk};

use super::vector::{Case, GENERAL_PROTECTION, PAGE_FAULT};

/// How an access ends, in the terms of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Translated.
    Translated {
        /// The physical address.
        pa: u64,
    },
    /// Page fault.
    PageFault {
        /// The error code.
        code: u32,
        /// The linear address that CR2 gets.
        cr2: u64,
    },
    /// General protection: the address is not canonical.
    GeneralProtection,
    /// A table stands where no memory is. No vector expects it.
    BusError,
}

impl Answer {
    /// The vector number of the exception, if there is one.
    pub const fn vec(&self) -> Option<u32> {
        match self {
            Self::PageFault { .. } => Some(PAGE_FAULT),
            Self::GeneralProtection => Some(GENERAL_PROTECTION),
            Self::Translated { .. } | Self::BusError => None,
        }
    }

    /// The error code of the exception, if there is one.
    pub const fn ec_sdm(&self) -> Option<u32> {
        match self {
            Self::PageFault { code, .. } => Some(*code),
            Self::GeneralProtection => Some(0),
            Self::Translated { .. } | Self::BusError => None,
        }
    }

    /// CR2 of a page fault.
    pub const fn cr2(&self) -> Option<u64> {
        match self {
            Self::PageFault { cr2, .. } => Some(*cr2),
            Self::Translated { .. } | Self::GeneralProtection | Self::BusError => None,
        }
    }

    /// The physical address of a success.
    pub const fn pa(&self) -> Option<u64> {
        match self {
            Self::Translated { pa } => Some(*pa),
            Self::PageFault { .. } | Self::GeneralProtection | Self::BusError => None,
        }
    }
}

/// What a step was seen to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// How the access ended.
    pub answer: Answer,
    /// Values of the listed entries afterwards, in their order.
    pub after: Vec<u64>,
}

/// What a case was seen to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Performance {
    /// Its steps, as far as it came.
    pub steps: Vec<Observed>,
    /// Cells that the case does not list and that hold something after the last step: (address, value).
    pub stray: Vec<(u64, u64)>,
    /// Why it came no further, or what else went wrong: no answer, a register write refused, an assertion failed.
    pub failure: Option<String>,
}

impl Performance {
    /// Takes note of cells that hold something and that `case` does not list.
    pub(super) fn note_stray(&mut self, case: &Case, contents: impl Iterator<Item = (u64, u64)>) {
        let listed = |cell| {
            let inside = case
                .entries
                .iter()
                .filter(move |entry| entry.cell() == cell);
            inside.fold(0, |mask, entry| mask | entry.slot.mask())
        };
        self.stray
            .extend(contents.filter(|&(cell, value)| value & !listed(cell) != 0));
    }
}

/// Somebody who performs cases.
pub trait Implementation: Send {
    /// What reports call it.
    fn name(&self) -> &'static str;

    /// Performs `case`: its memory and registers, with nothing cached before the first step, then its steps.
    fn perform(&mut self, case: &Case) -> Performance;

    /// Begins anew: the next case must not see anything of those before. For an implementation without state, nothing.
    fn restart(&mut self) {}
}

/// The walk as the manual states it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl Implementation for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn perform(&mut self, case: &Case) -> Performance {
        let width = case.capabilities.maxphyaddr;
        let mut memory = SparseMemory::new(width.mask() + 1);
        let place = |address| PhysicalAddress::new_truncate(address, width);
        for entry in &case.entries {
            // Every address of a case is below 2^MAXPHYADDR, where this memory ends.
            let cell = place(entry.cell());
            let _ = memory.poke(cell, entry.put_into(memory.peek(cell)));
        }
        let mut performance = Performance::default();
        for step in &case.steps {
            let (registers, capabilities) = (&case.registers, &case.capabilities);
            let outcome = walk(registers, capabilities, &step.access, step.va, &mut memory);
            let answer = match outcome {
                Outcome::Translated(found) => Answer::Translated {
                    pa: found.address.raw(),
                },
                Outcome::PageFault(PageFaultCode(code)) => Answer::PageFault { code, cr2: step.va },
                Outcome::GeneralProtection => Answer::GeneralProtection,
                Outcome::BusError => Answer::BusError,
            };
            let after = case.entries.iter();
            performance.steps.push(Observed {
                answer,
                after: after
                    .map(|entry| entry.take_from(memory.peek(place(entry.cell()))))
                    .collect(),
            });
        }
        performance.note_stray(case, memory.contents());
        performance
    }
}
