//! The machine with a bug, run until the check that is named has found it, and nothing else.
//!
//! Contract: none. SDM: none. Counterpart: `bugs.rs`, the bugs.

use std::collections::BTreeSet;

use twinwalk::reference::finding::{Finding, Rule};

use super::bugs::Bug;
use super::random::{Plan, roomy, run_with, small};

/// Seeds tried before a bug counts as missed.
pub const SEEDS: u64 = 60;
pub const CYCLES: u64 = 30_000;

#[derive(Clone, Copy)]
pub enum Check {
    Provenance,
    Contract,
    Manual,
}

fn finding(bug: Bug, check: Check, seed: u64) -> Option<Rule> {
    let (shape, five_level) = if seed.is_multiple_of(2) {
        (small(), false)
    } else {
        (roomy(), true)
    };
    let plan = Plan {
        bug,
        shape,
        five_level,
        ..Plan::new(seed, CYCLES)
    };
    let outcome = match check {
        Check::Provenance => run_with(&plan, [true, false, false]).provenance,
        Check::Contract => run_with(&plan, [false, true, false]).contract,
        Check::Manual => run_with(&plan, [false, false, true]).manual,
    };
    outcome.map_err(|finding: Finding| finding.rule).err()
}

/// Runs `bug` until the check has broken each of `rules`, and asserts that it breaks no other.
#[track_caller]
pub fn caught(bug: Bug, check: Check, rules: &[Rule]) {
    let mut missing: BTreeSet<Rule> = rules.iter().copied().collect();
    for seed in 0..SEEDS {
        if let Some(rule) = finding(bug, check, seed) {
            assert!(
                rules.contains(&rule),
                "{bug:?}, seed {seed}: broke {rule}, not one of {rules:?}"
            );
            missing.remove(&rule);
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("{bug:?}: never broke {missing:?}");
}

#[track_caller]
pub fn provenance(bug: Bug, rules: &[Rule]) {
    caught(bug, Check::Provenance, rules);
}

/// By either reading.
#[track_caller]
pub fn architectural(bug: Bug, rules: &[Rule]) {
    caught(bug, Check::Contract, rules);
    caught(bug, Check::Manual, rules);
}
