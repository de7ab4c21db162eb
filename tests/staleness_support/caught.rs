//! The machine with a bug, run until the check that is named has found it, and nothing else.
//!
//! Contract: none. SDM: none. Counterpart: `bugs.rs`, the bugs.

use std::collections::BTreeSet;

use twinwalk::reference::finding::{Finding, Rule};

use super::bugs::Bug;
use super::places::Shape;
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

fn finding(bug: Bug, check: Check, shapes: [fn() -> Shape; 2], seed: u64) -> Option<Rule> {
    let five_level = !seed.is_multiple_of(2);
    let shape = shapes[usize::from(five_level)]();
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
    caught_in([small, roomy], bug, check, rules);
}

/// The same on machines of these shapes in turn.
#[track_caller]
pub fn caught_in(shapes: [fn() -> Shape; 2], bug: Bug, check: Check, rules: &[Rule]) {
    let mut missing: BTreeSet<Rule> = rules.iter().copied().collect();
    for seed in 0..SEEDS {
        if let Some(rule) = finding(bug, check, shapes, seed) {
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
