//! What a vector expects against what was seen, bit for bit.
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8. Counterpart: none.

use super::implementation::{Answer, Observed, Performance};
use super::vector::{Case, Step};
use crate::arch::Level;

/// Bit 5 of an entry.
const ACCESSED: u64 = 1 << 5;

/// One thing that is not as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The vector number of the exception: `vec`.
    Vector,
    /// The error code: `ec_sdm`.
    ErrorCode,
    /// The linear address of a page fault: `cr2`.
    Cr2,
    /// The physical address: `pa`.
    PhysicalAddress,
    /// The entry of that index: `after`.
    Entry(usize),
}

impl Difference {
    /// The field of the vector, as in `after[2]`.
    pub fn field(&self) -> String {
        match self {
            Self::Vector => "vec".to_owned(),
            Self::ErrorCode => "ec_sdm".to_owned(),
            Self::Cr2 => "cr2".to_owned(),
            Self::PhysicalAddress => "pa".to_owned(),
            Self::Entry(index) => format!("after[{index}]"),
        }
    }
}

/// A step that did not hold, or a case that went wrong otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The step, from 0; `None` if it is none's.
    pub step: Option<usize>,
    /// What differs; empty if `failure` or `stray` says it.
    pub differences: Vec<Difference>,
    /// What was seen of the step.
    pub observed: Option<Observed>,
    /// Why the case came no further, or what else went wrong.
    pub failure: Option<String>,
    /// A cell that the case does not list and that was written: (address, value).
    pub stray: Option<(u64, u64)>,
}

/// Everything in which `performance` is not what `case` expects: at most one mismatch a step, and one of the case as a whole.
pub fn judge(case: &Case, performance: &Performance) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (index, (step, observed)) in case.steps.iter().zip(&performance.steps).enumerate() {
        let differences = compare(case, step, observed);
        if !differences.is_empty() {
            mismatches.push(Mismatch {
                step: Some(index),
                differences,
                observed: Some(observed.clone()),
                failure: None,
                stray: None,
            });
        }
    }
    let came_to = performance.steps.len();
    if performance.failure.is_some() || !performance.stray.is_empty() || came_to < case.steps.len()
    {
        mismatches.push(Mismatch {
            step: (came_to < case.steps.len()).then_some(came_to),
            differences: Vec::new(),
            observed: None,
            failure: performance.failure.clone(),
            stray: performance.stray.first().copied(),
        });
    }
    mismatches
}

fn compare(case: &Case, step: &Step, observed: &Observed) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut note = |differs: bool, difference| {
        if differs {
            differences.push(difference);
        }
    };
    let (want, got) = (&step.expected, &observed.answer);
    // A bus error has no vector number, no more than a success; it must not pass for one.
    let bus = *got == Answer::BusError;
    note(bus || want.vec() != got.vec(), Difference::Vector);
    note(want.ec_sdm() != got.ec_sdm(), Difference::ErrorCode);
    note(want.cr2() != got.cr2(), Difference::Cr2);
    note(want.pa() != got.pa(), Difference::PhysicalAddress);
    for (index, value) in step.after.iter().enumerate() {
        let found = observed.after.get(index).copied();
        let differs = found.is_none_or(|found| (found ^ value) & compared(case, index) != 0);
        note(differs, Difference::Entry(index));
    }
    differences
}

/// The bits of entry `index` that are compared: all, but for the observer's quirk.
pub(super) fn compared(case: &Case, index: usize) -> u64 {
    let is_level_3 = case
        .entries
        .get(index)
        .is_some_and(|entry| entry.level == Level::Pdpt);
    if is_level_3 && case.has_quirk(Case::QUIRK_1G_ACCESSED) {
        !ACCESSED
    } else {
        u64::MAX
    }
}
