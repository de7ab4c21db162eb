//! Batches of cases through several implementations, each on a thread of its own, with one tally.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! The result does not depend on the threads: an implementation performs the cases in their order, and tallies are kept apart.

use std::collections::BTreeMap;
use std::thread;

use super::implementation::{Answer, Implementation};
use super::judge::{Mismatch, judge};
use super::vector::Case;

/// Mismatches of an implementation that are kept to be shown.
pub const FINDINGS_MAX: usize = 5;

/// A mismatch with what a report needs.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The file of the case, as it was given.
    pub file: String,
    /// The case.
    pub case: Case,
    /// What differs.
    pub mismatch: Mismatch,
    /// Whether the case fails from reset too. Otherwise something was left over from the cases before it.
    pub fails_alone: bool,
}

/// What one implementation came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Steps that did not hold, and cases that went wrong otherwise.
    pub mismatches: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// What was performed, the same for every implementation: counted by what the vectors expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases.
    pub cases: u64,
    /// Steps.
    pub steps: u64,
    /// Values of entries compared.
    pub entries: u64,
    /// Steps that translate.
    pub translated: u64,
    /// Steps that raise #GP.
    pub general_protections: u64,
    /// Steps that raise #PF, by error code.
    pub page_faults: BTreeMap<u32, u64>,
    /// Cases by quirk.
    pub quirks: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, case: &Case) {
        self.cases += 1;
        for quirk in &case.quirks {
            *self.quirks.entry(quirk.clone()).or_default() += 1;
        }
        for step in &case.steps {
            self.steps += 1;
            self.entries += step.after.len() as u64;
            match step.expected {
                Answer::Translated { .. } | Answer::BusError => self.translated += 1,
                Answer::GeneralProtection => self.general_protections += 1,
                Answer::PageFault { code, .. } => *self.page_faults.entry(code).or_default() += 1,
            }
        }
    }
}

/// Cases on several implementations.
#[derive(Debug, Default)]
pub struct Suite {
    /// What was performed.
    pub counts: Counts,
    /// What each implementation came to, in the order in which they are passed.
    pub tallies: Vec<Tally>,
}

impl Suite {
    /// Performs `cases` of `file` on all of `implementations`, which must be the same in every call.
    pub fn run(
        &mut self,
        file: &str,
        cases: &[Case],
        implementations: &mut [&mut dyn Implementation],
    ) {
        for case in cases {
            self.counts.add(case);
        }
        self.tallies
            .resize_with(implementations.len(), Tally::default);
        let pairs = implementations.iter_mut().zip(&mut self.tallies);
        thread::scope(|scope| {
            for (implementation, tally) in pairs {
                scope.spawn(|| {
                    for case in cases {
                        perform(file, case, *implementation, tally);
                    }
                });
            }
        });
    }

    /// All mismatches.
    pub fn mismatches(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.mismatches).sum()
    }
}

fn perform(file: &str, case: &Case, implementation: &mut dyn Implementation, tally: &mut Tally) {
    let mismatches = judge(case, &implementation.perform(case));
    if mismatches.is_empty() {
        return;
    }
    tally.mismatches += mismatches.len() as u64;
    implementation.restart();
    let room = FINDINGS_MAX.saturating_sub(tally.findings.len());
    if room == 0 {
        return;
    }
    let fails_alone = !judge(case, &implementation.perform(case)).is_empty();
    implementation.restart();
    let kept = mismatches.into_iter().take(room);
    tally.findings.extend(kept.map(|mismatch| Finding {
        file: file.to_owned(),
        case: case.clone(),
        mismatch,
        fails_alone,
    }));
}
