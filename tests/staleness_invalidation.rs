//! The architectural check on hand-made streams: what each invalidation must remove, and the staleness that stays legal.
//!
//! Contract: 9.3. SDM vol. 3A, 4.10. Counterpart: `staleness_architectural.rs`, the rules one by one.

use crate::staleness_support::stream::*;
use twinwalk::arch::{Access, AccessKind, PageSize};
use twinwalk::model::mmu_pkg::*;
use twinwalk::reference::finding::{InvalidationKind, Rule};
use twinwalk::reference::horizon::Reading;
use twinwalk::reference::observer::Store;

const READ: AccessKind = AccessKind::Read;
const WRITE: AccessKind = AccessKind::Write;
const OLD: u64 = 0x10_0000;
const NEW: u64 = 0x20_0000;
const ALL: [Reading; 2] = [Reading::Contract, Reading::Manual];

fn four_level(reading: Reading) -> Stream {
    Stream::booted(reading, PML4, PAE | PGE | PCIDE)
}

// Every invalidation, with every entry of the chain.

/// An invalidation of page 0 in the PCID 0, which is current.
fn invalidate(stream: &mut Stream, kind: InvalidationKind, cr4: u64) {
    match kind {
        InvalidationKind::MovCr0 => {
            stream.control(CTRL_MOV_CR4, cr4 & !PCIDE);
            stream.control(CTRL_MOV_CR0, 0x1_0001);
            stream.control(CTRL_MOV_CR0, 0x8001_0001);
        }
        InvalidationKind::MovCr3 => {
            let root = if cr4 & LA57 != 0 { PML5 } else { PML4 };
            stream.control(CTRL_MOV_CR3, root);
        }
        InvalidationKind::MovCr4 => stream.control(CTRL_MOV_CR4, cr4 ^ PGE),
        InvalidationKind::WrmsrEfer => stream.control(CTRL_WRMSR_EFER, 0x100),
        InvalidationKind::Invlpg => stream.control(CTRL_INVLPG, 0xff8),
        InvalidationKind::InvpcidAddress => stream.invpcid(0, 0, 0xff8),
        InvalidationKind::InvpcidContext => stream.invpcid(1, 0, 0),
        InvalidationKind::InvpcidAll => stream.invpcid(2, 0, 0),
        InvalidationKind::InvpcidAllButGlobals => stream.invpcid(3, 0, 0),
        InvalidationKind::PageFault => {
            // Denied before and after: by the leaf of both frames.
            let request = stream.ask(0xff8, Access::new(AccessKind::Fetch, 3));
            stream
                .answer_fault(&request, 0x15)
                .expect("the fetch is denied");
        }
    }
}

/// For each level of the chain, the entry and the value that leads to the new frame.
fn rewrites(five_level: bool) -> Vec<(u64, u64)> {
    let mut rewrites = vec![
        (PT, NEW | LEAF),
        (PD, PT_2 | TABLE),
        (PDPT, PD_2 | TABLE),
        (PML4, PDPT_2 | TABLE),
    ];
    if five_level {
        rewrites.push((PML5, PML4_2 | TABLE));
    }
    rewrites
}

#[test]
fn after_every_invalidation_no_older_entry_of_any_level_is_used() {
    let xd = 1 << 63;
    for reading in ALL {
        for kind in InvalidationKind::ALL {
            for five_level in [false, true] {
                for (address, value) in rewrites(five_level) {
                    let cr4 = PAE | PGE | PCIDE | if five_level { LA57 } else { 0 };
                    let mut stream =
                        Stream::booted(reading, if five_level { PML5 } else { PML4 }, cr4);
                    let faults = kind == InvalidationKind::PageFault;
                    if faults {
                        stream.store(PT, OLD | LEAF | xd);
                        stream.store(PT_2, NEW | LEAF | xd);
                        stream.control(CTRL_INVLPG, 0);
                    }
                    let value = if faults && address == PT {
                        value | xd
                    } else {
                        value
                    };
                    let what = format!("{reading:?} {kind:?} {address:#x}");
                    stream.read(0, OLD).unwrap();
                    stream.store(address, value);
                    stream
                        .read(0, OLD)
                        .unwrap_or_else(|finding| panic!("{what}: {finding}"));
                    stream
                        .read(0, NEW)
                        .unwrap_or_else(|finding| panic!("{what}: {finding}"));
                    invalidate(&mut stream, kind, cr4);
                    stream
                        .read(0, NEW)
                        .unwrap_or_else(|finding| panic!("{what}: {finding}"));
                    let figures = stream.figures();
                    assert_eq!(figures.stale_observed, 1, "{what}");
                    breaks(stream.read(0, OLD), Rule::Translation);
                }
            }
        }
    }
}

#[test]
fn every_kind_of_invalidation_counts_what_it_removed_stale() {
    for kind in InvalidationKind::ALL {
        let cr4 = PAE | PGE | PCIDE;
        let mut stream = four_level(Reading::Contract);
        let xd = if kind == InvalidationKind::PageFault {
            1 << 63
        } else {
            0
        };
        stream.store(PT, OLD | LEAF | xd);
        stream.control(CTRL_INVLPG, 0);
        stream.read(0, OLD).unwrap();
        stream.store(PT, NEW | LEAF | xd);
        invalidate(&mut stream, kind, cr4);
        assert_eq!(
            stream.figures().stale_removed.iter().sum::<u64>(),
            1,
            "{kind:?}"
        );
        let counted = if kind == InvalidationKind::MovCr0 {
            InvalidationKind::MovCr4
        } else {
            kind
        };
        assert_eq!(
            stream.figures().stale_removed[counted as usize],
            1,
            "{kind:?}"
        );
    }
}

#[test]
fn a_request_accepted_before_an_invalidation_may_be_answered_from_before() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PT, NEW | LEAF);
        let before = stream.ask(0, user(READ));
        stream.control(CTRL_INVLPG, 0);
        let after = stream.ask(0x8, user(READ));
        stream
            .answer_translated(&before, OLD, PageSize::Size4K)
            .unwrap();
        breaks(
            stream.answer_translated(&after, OLD + 8, PageSize::Size4K),
            Rule::Translation,
        );
    }
}

#[test]
fn an_entry_that_is_rewritten_while_the_invalidation_performs_may_show_either_value() {
    for frame in [OLD, NEW] {
        let mut stream = four_level(Reading::Contract);
        stream.begin(ControlIn {
            op: CTRL_INVLPG,
            ..ControlIn::default()
        });
        stream
            .cycle(
                |_, _| {},
                &[Store {
                    address: PT,
                    value: NEW | LEAF,
                }],
            )
            .unwrap();
        stream.end(false).unwrap();
        stream.read(0, frame).unwrap();
    }
}

#[test]
fn a_page_fault_of_another_page_removes_nothing_of_this_one() {
    let mut stream = four_level(Reading::Contract);
    stream.store(PT, NEW | LEAF);
    stream.store(PT + 8, 0);
    let request = stream.ask(0x1000, user(READ));
    stream.answer_fault(&request, 4).unwrap();
    stream.read(0, OLD).unwrap();
}

// PCIDs and globals.

#[test]
fn entries_of_one_pcid_do_not_serve_another() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.control(CTRL_MOV_CR3, PML4 | 1);
        stream.store(PT, NEW | LEAF);
        stream.control(CTRL_MOV_CR3, PML4 | 2 | 1 << 63);
        stream.read(0, NEW).unwrap();
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn entries_of_a_pcid_survive_while_another_is_current() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.control(CTRL_MOV_CR3, PML4 | 1);
        stream.control(CTRL_MOV_CR3, PML4 | 2);
        stream.store(PT, NEW | LEAF);
        stream.control(CTRL_INVLPG, 0);
        stream.invpcid(1, 2, 0);
        stream.control(CTRL_MOV_CR3, PML4 | 1 | 1 << 63);
        stream.read(0, OLD).unwrap();
        stream.invpcid(1, 1, 0);
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_value_that_stood_only_while_another_pcid_was_current_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.control(CTRL_MOV_CR3, PML4 | 1);
    stream.control(CTRL_MOV_CR3, PML4 | 2);
    stream.store(PT, 0x55_5000 | LEAF);
    stream.store(PT, NEW | LEAF);
    stream.control(CTRL_MOV_CR3, PML4 | 1 | 1 << 63);
    stream.read(0, OLD).unwrap();
    breaks(stream.read(0, 0x55_5000), Rule::Translation);
}

#[test]
fn an_old_root_serves_its_pcid_after_a_switch_that_keeps_what_is_cached() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.control(CTRL_MOV_CR3, PML4_2 | 1 << 63);
        stream.read(0, OLD).unwrap();
        stream.read(0, NEW).unwrap();
        stream.control(CTRL_MOV_CR3, PML4_2);
        stream.read(0, NEW).unwrap();
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_switch_without_pcids_removes_what_the_old_root_gave() {
    for reading in ALL {
        let mut stream = Stream::booted(reading, PML4, PAE | PGE);
        stream.control(CTRL_MOV_CR3, PML4_2);
        stream.read(0, NEW).unwrap();
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

/// A global page at address 0, seen under PCID 1, then changed and made non-global, then PCID 2 with the same root.
fn global_stream(reading: Reading, cr4: u64) -> Stream {
    let mut stream = Stream::booted(reading, PML4 | 1, cr4);
    stream.store(PT, OLD | LEAF | G);
    stream.read(0, OLD).unwrap();
    stream.store(PT, NEW | LEAF);
    stream.control(CTRL_MOV_CR3, PML4 | 2);
    stream
}

#[test]
fn globals_survive_switches_and_invalidations_of_contexts() {
    for reading in ALL {
        let mut stream = global_stream(reading, PAE | PGE | PCIDE);
        stream.control(CTRL_MOV_CR3, PML4 | 2);
        stream.invpcid(0, 2, 0);
        stream.invpcid(1, 1, 0);
        stream.invpcid(3, 0, 0);
        stream.read(0, OLD).unwrap();
        stream.read(0, NEW).unwrap();
    }
}

#[test]
fn globals_die_by_invlpg_in_any_pcid_by_invpcid_2_and_by_a_change_of_pge() {
    for reading in ALL {
        for kind in [
            InvalidationKind::Invlpg,
            InvalidationKind::InvpcidAll,
            InvalidationKind::MovCr4,
        ] {
            let mut stream = global_stream(reading, PAE | PGE | PCIDE);
            invalidate(&mut stream, kind, PAE | PGE | PCIDE);
            stream.read(0, NEW).unwrap();
            breaks(stream.read(0, OLD), Rule::Translation);
        }
    }
}

#[test]
fn smep_and_a_page_fault_remove_globals_by_the_contract_alone() {
    for reading in ALL {
        for by_fault in [false, true] {
            let mut stream = global_stream(reading, PAE | PGE | PCIDE);
            if by_fault {
                stream.store(PT, NEW | LEAF & !2);
                let request = stream.ask(0, user(WRITE));
                stream.answer_fault(&request, 7).unwrap();
            } else {
                stream.control(CTRL_MOV_CR4, PAE | PGE | PCIDE | SMEP);
            }
            let result = stream.read(0, OLD);
            match reading {
                Reading::Contract => breaks(result, Rule::Translation),
                Reading::Manual => result.unwrap(),
            }
        }
    }
}

#[test]
fn a_global_leaf_serves_one_pcid_only_while_pge_is_clear() {
    for reading in ALL {
        let mut stream = global_stream(reading, PAE | PCIDE);
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_global_leaf_dies_with_its_pcid_while_pge_is_clear() {
    for reading in ALL {
        let mut stream = Stream::booted(reading, PML4, PAE | PCIDE);
        stream.store(PT, OLD | LEAF | G);
        stream.store(PT, NEW | LEAF | G);
        stream.control(CTRL_MOV_CR3, PML4);
        stream.read(0, NEW).unwrap();
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_global_that_died_does_not_come_back_with_the_pcid_that_made_it() {
    for reading in ALL {
        let mut stream = Stream::booted(reading, PML4 | 1, PAE | PGE | PCIDE);
        stream.store(PT, OLD | LEAF | G);
        stream.store(PT, NEW | LEAF);
        stream.control(CTRL_MOV_CR3, PML4 | 2);
        stream.control(CTRL_INVLPG, 0);
        stream.control(CTRL_MOV_CR3, PML4 | 1 | 1 << 63);
        stream.control(CTRL_MOV_CR3, PML4 | 2 | 1 << 63);
        stream.read(0, NEW).unwrap();
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_global_entry_does_not_come_of_table_entries_that_its_own_pcid_no_longer_kept() {
    for reading in ALL {
        let mut stream = Stream::booted(reading, PML4 | 1, PAE | PGE | PCIDE);
        stream.store(PT, 0x55_5000 | LEAF | G);
        stream.store(PD, PT_2 | TABLE);
        // Empties the caches of PCID 1; then the page's globals go under PCID 2.
        stream.control(CTRL_INVLPG, 0x7000);
        stream.control(CTRL_MOV_CR3, PML4 | 2);
        stream.control(CTRL_INVLPG, 0);
        stream.control(CTRL_MOV_CR3, PML4 | 1 | 1 << 63);
        stream.read(0, NEW).unwrap();
        breaks(stream.read(0, 0x55_5000), Rule::Translation);
    }
}

#[test]
fn a_global_entry_may_come_of_table_entries_that_only_its_own_pcid_kept() {
    for reading in ALL {
        // Under PCID 1 the directory entry is cached; under PCID 2 INVLPG removes the page's globals, not the directory entry of PCID 1.
        let mut stream = Stream::booted(reading, PML4 | 1, PAE | PGE | PCIDE);
        stream.store(PT, OLD | LEAF | G);
        stream.control(CTRL_MOV_CR3, PML4 | 2);
        stream.store(PD, PT_2 | TABLE);
        stream.control(CTRL_INVLPG, 0);
        stream.read(0, NEW).unwrap();
        // Back under PCID 1 a walk by the old directory entry makes a global entry, which then serves PCID 2.
        stream.control(CTRL_MOV_CR3, PML4 | 1 | 1 << 63);
        stream.control(CTRL_MOV_CR3, PML4 | 2 | 1 << 63);
        stream.read(0, OLD).unwrap();
    }
}

// Page sizes, and what stands behind stale tables.

#[test]
fn a_page_and_a_large_page_may_both_be_cached_for_one_address() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PD, 0x40_0000 | LARGE);
        stream.read(0x1000, OLD + 0x1000).unwrap();
        stream
            .read_sized(0x1000, 0x40_0000, PageSize::Size2M)
            .unwrap();
        stream.control(CTRL_INVLPG, 0x1000);
        stream
            .read_sized(0x1000, 0x40_0000, PageSize::Size2M)
            .unwrap();
        breaks(stream.read(0x1000, OLD + 0x1000), Rule::Translation);
    }
}

#[test]
fn invlpg_of_another_part_removes_a_large_page_and_leaves_a_small_one() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PD, 0x40_0000 | LARGE);
        stream.store(PD, PT_2 | TABLE);
        stream.control(CTRL_INVLPG, 0x5000);
        stream.read(0x1000, OLD + 0x1000).unwrap();
        stream.read(0x1000, NEW + 0x1000).unwrap();
        breaks(
            stream.read_sized(0x1000, 0x40_0000, PageSize::Size2M),
            Rule::Translation,
        );
    }
}

#[test]
fn a_large_page_with_g_dies_like_any_other_while_pge_is_clear() {
    for reading in ALL {
        let mut stream = Stream::booted(reading, PML4, PAE | PCIDE);
        stream.store(PD, 0x40_0000 | LARGE | G);
        stream.store(PD, PT_2 | TABLE);
        stream.control(CTRL_INVLPG, 0x5000);
        breaks(
            stream.read_sized(0x1000, 0x40_0000, PageSize::Size2M),
            Rule::Translation,
        );
    }
}

#[test]
fn a_gigabyte_page_dies_by_invlpg_of_any_part_of_it() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PDPT, 0x4000_0000 | LARGE);
    stream.store(PDPT, PD | TABLE);
    stream
        .read_sized(0x1000, 0x4000_0000, PageSize::Size1G)
        .unwrap();
    stream.control(CTRL_INVLPG, 0x3fff_f000);
    breaks(
        stream.read_sized(0x1000, 0x4000_0000, PageSize::Size1G),
        Rule::Translation,
    );
}

#[test]
fn a_stale_table_may_be_followed_into_what_it_was_reused_for() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PD, PT_2 | TABLE);
        // The old page table is free, and somebody else writes into it.
        stream.store(PT, 0x77_7000 | LEAF);
        stream.read(0, 0x77_7000).unwrap();
        assert_eq!(stream.figures().stale_observed, 1);
        stream.control(CTRL_INVLPG, 0);
        breaks(stream.read(0, 0x77_7000), Rule::Translation);
    }
}

#[test]
fn after_invlpg_of_any_address_a_stale_table_gives_no_leaf_that_was_written_later() {
    let mut stream = four_level(Reading::Contract);
    stream.store(PD, PT_2 | TABLE);
    stream.control(CTRL_INVLPG, 0x7000);
    stream.store(PT, 0x77_7000 | LEAF);
    // What was cached as a whole before may live on.
    stream.read(0, OLD).unwrap();
    stream.read(0, NEW).unwrap();
    breaks(stream.read(0, 0x77_7000), Rule::Translation);
}

#[test]
fn a_walk_under_way_may_keep_a_stale_table_over_an_invlpg_of_another_address() {
    let mut stream = four_level(Reading::Contract);
    stream.store(PD, PT_2 | TABLE);
    let request = stream.ask(0, user(READ));
    stream.control(CTRL_INVLPG, 0x7000);
    stream.store(PT, 0x77_7000 | LEAF);
    stream
        .answer_translated(&request, 0x77_7000, PageSize::Size4K)
        .unwrap();
}

#[test]
fn rights_are_combined_over_the_stale_chain_and_judged_afresh() {
    let mut stream = four_level(Reading::Contract);
    stream.store(PD, PT | TABLE & !2);
    let request = stream.ask(0, user(WRITE));
    // By the old directory entry.
    stream
        .answer_translated(&request, OLD, PageSize::Size4K)
        .unwrap();
    let request = stream.ask(0, user(WRITE));
    // By the new one.
    stream.answer_fault(&request, 7).unwrap();
    let supervisor = Access::new(WRITE, 0);
    let request = stream.ask(0, supervisor);
    breaks(
        stream.answer_translated(&request, OLD, PageSize::Size4K),
        Rule::Translation,
    );
}
