//! What every invalidation and page fault must end, and what happens when it spares one place: each TLB, each paging-structure cache, a
//! walk in flight. Each is caught, by both checks wherever software can tell.
//!
//! Contract: 8.5, 9.3. SDM vol. 3A, 4.10.4.1. Counterpart: `staleness_must_fail.rs`, all other rules.
//!
//! A register write waits until nothing is outstanding, so that no walk of a request is in flight over one (contract 9.1): a write that does
//! not wait is what `a_register_write_that_does_not_wait_is_caught` finds, and for the walk of a prefetch there is the seeded bug
//! `both-register-write-spares-the-prefetch`.

use crate::staleness_support::bugs::Bug;
use crate::staleness_support::caught::provenance;
use crate::staleness_support::script::{
    CR4, PAGE, ROOT, Step, VA, access, control, entry_of, other_table, play,
};
use twinwalk::model::mmu_pkg::*;
use twinwalk::reference::finding::Rule;

/// Every operation that invalidates, with the INVPCID type.
const OPERATIONS: [(u8, u64); 9] = [
    (CTRL_MOV_CR0, 0),
    (CTRL_MOV_CR3, 0),
    (CTRL_MOV_CR4, 0),
    (CTRL_WRMSR_EFER, 0),
    (CTRL_INVLPG, 0),
    (CTRL_INVPCID, 0),
    (CTRL_INVPCID, 1),
    (CTRL_INVPCID, 2),
    (CTRL_INVPCID, 3),
];

#[test]
fn an_invalidation_that_spares_one_level_of_tlbs_is_caught() {
    for (op, kind) in OPERATIONS {
        for level in 0..3 {
            provenance(Bug::Spares { op, kind, level }, &[Rule::RemovalMissing]);
        }
    }
}

#[test]
fn an_invalidation_that_spares_one_paging_structure_cache_is_caught() {
    for (op, kind) in OPERATIONS {
        for cache in 0..4 {
            provenance(Bug::SparesPsc { op, kind, cache }, &[Rule::RemovalMissing]);
        }
    }
}

#[test]
fn an_invalidation_that_spares_globals_is_caught() {
    let globals_too = [
        (CTRL_MOV_CR0, 0),
        (CTRL_MOV_CR4, 0),
        (CTRL_WRMSR_EFER, 0),
        (CTRL_INVLPG, 0),
        (CTRL_INVPCID, 2),
    ];
    for (op, kind) in globals_too {
        provenance(Bug::SparesGlobals { op, kind }, &[Rule::RemovalMissing]);
    }
}

#[test]
fn a_walk_in_flight_that_fills_over_an_invalidation_is_caught() {
    for (op, kind) in OPERATIONS.into_iter().filter(|(op, _)| *op >= CTRL_INVLPG) {
        let bug = Bug::WalkKeepsRightOver { op, kind };
        provenance(bug, &[Rule::FillAge, Rule::FillRight, Rule::Lookup]);
    }
}

#[test]
fn a_page_fault_that_spares_one_level_of_tlbs_is_caught() {
    for level in 0..3 {
        provenance(Bug::DropSpares { level }, &[Rule::RemovalMissing]);
    }
}

#[test]
fn a_page_fault_that_spares_one_paging_structure_cache_is_caught() {
    for cache in 0..4 {
        provenance(Bug::DropSparesPsc { cache }, &[Rule::RemovalMissing]);
    }
}

/// Another agent moves the page of [`VA`] to another frame.
fn moves_the_page() -> Step {
    Step::Store(entry_of(1), 0x9_0000 | PAGE)
}

/// Another agent puts the second tree in the place of what the entry in a paging-structure cache refers to.
fn moves_the_table(cache: usize) -> Step {
    let level = cache as u64 + 2;
    Step::Store(entry_of(level), other_table(level))
}

/// An operation of the matrix, for an address and PCID 0.
fn invalidates(op: u8, kind: u64, va: u64) -> Step {
    let data = match op {
        CTRL_MOV_CR3 => ROOT,
        // PGE goes off.
        CTRL_MOV_CR4 => CR4 & !(1 << 7),
        CTRL_INVLPG => va,
        _ => 0,
    };
    Step::Control(ControlIn {
        kind,
        addr: va,
        ..control(op, data)
    })
}

/// INVLPG, INVPCID of each type, MOV CR3 and MOV CR4.
fn of_the_matrix() -> impl Iterator<Item = (u8, u64)> {
    let others = [CTRL_MOV_CR0, CTRL_WRMSR_EFER];
    OPERATIONS
        .into_iter()
        .filter(move |(op, _)| !others.contains(op))
}

/// By which ports a page is cached and then used, so that what serves is the ITLB, the DTLB, the STLB.
const PORTS: [(usize, usize); 3] = [(0, 0), (1, 1), (1, 0)];

/// Nothing is wrong with the script on a machine without bugs; with `bug`, the monitor shows it, and the responses show it by either reading.
#[track_caller]
fn shows(bug: Bug, script: &[Step]) {
    assert_eq!(play(script, Bug::None), [None; 3], "sound, {bug:?}");
    let stale = Some(Rule::Translation);
    let found = play(script, bug);
    assert_eq!(found, [Some(Rule::RemovalMissing), stale, stale], "{bug:?}");
}

#[test]
fn responses_show_each_tlb_that_an_invalidation_spares() {
    for (op, kind) in of_the_matrix() {
        for (level, (before, behind)) in PORTS.into_iter().enumerate() {
            let script = [
                access(before, VA),
                moves_the_page(),
                invalidates(op, kind, VA),
                access(behind, VA),
            ];
            shows(Bug::Spares { op, kind, level }, &script);
        }
    }
}

#[test]
fn responses_show_each_paging_structure_cache_that_an_invalidation_spares() {
    for (op, kind) in of_the_matrix() {
        for cache in 0..4 {
            let script = [
                access(1, VA),
                moves_the_table(cache),
                invalidates(op, kind, VA + 0x1000),
                access(1, VA + 0x1000),
            ];
            shows(Bug::SparesPsc { op, kind, cache }, &script);
        }
    }
}

#[test]
fn responses_show_a_walk_in_flight_that_fills_over_an_invalidation() {
    for (op, kind) in of_the_matrix().filter(|(op, _)| *op >= CTRL_INVLPG) {
        let bug = Bug::WalkKeepsRightOver { op, kind };
        let mut found = 0;
        for cycles in 1..70 {
            let script = [
                Step::Begin(1, VA, KIND_READ),
                Step::Wait(cycles),
                moves_the_page(),
                invalidates(op, kind, VA),
                access(1, VA),
            ];
            assert_eq!(play(&script, Bug::None), [None; 3], "{bug:?}, {cycles}");
            let [provenance, contract, manual] = play(&script, bug);
            assert_eq!(contract, manual, "{bug:?}, {cycles}");
            assert!(
                contract.is_none() || provenance.is_some(),
                "{bug:?}, {cycles}"
            );
            found += usize::from(contract == Some(Rule::Translation));
        }
        assert!(found > 0, "{bug:?}");
    }
}

#[test]
fn responses_show_each_tlb_that_a_page_fault_spares() {
    for (level, (before, behind)) in PORTS.into_iter().enumerate() {
        // The page is read-only: the write faults.
        let script = [
            access(before, VA),
            moves_the_page(),
            Step::Access(1, VA, KIND_WRITE),
            access(behind, VA),
        ];
        shows(Bug::DropSpares { level }, &script);
    }
}

#[test]
fn responses_show_each_paging_structure_cache_that_a_page_fault_spares() {
    for cache in 0..4 {
        let script = [
            access(1, VA),
            moves_the_table(cache),
            // A fault of the page itself: for another page below the same entry only the monitor shows it.
            Step::Access(1, VA + 0x1000, KIND_WRITE),
            access(1, VA + 0x1000),
        ];
        shows(Bug::DropSparesPsc { cache }, &script);
    }
}
