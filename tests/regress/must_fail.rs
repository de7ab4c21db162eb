//! The histories of this directory on RTL with a bug: the assertions of the test that is named for it fail, with no other twin to compare
//! with.
//!
//! Contract: none. SDM: none. Counterpart: `../seeded`, the bugs.

use std::process::Command;

use super::lockstep_support::history::SEEDED;

/// A bug, and the test whose assertions it breaks.
const CAUGHT: &[(&str, &str)] = &[
    (
        "invlpg-spares-globals",
        "flush::an_invlpg_in_the_middle_of_a_huge_page_leaves_no_piece_of_it",
    ),
    (
        "invlpg-spares-globals",
        "flush::globals_hit_after_a_switch_survive_the_flush_of_a_pcid_and_die_with_invlpg",
    ),
    (
        "tlb-context-takes-globals",
        "flush::globals_hit_after_a_switch_survive_the_flush_of_a_pcid_and_die_with_invlpg",
    ),
    (
        "invpcid-0-takes-globals",
        "flush::globals_hit_after_a_switch_survive_the_flush_of_a_pcid_and_die_with_invlpg",
    ),
    (
        "pcid-upper-half-lost",
        "flush::what_is_not_global_does_not_serve_another_context",
    ),
    (
        "tlb-fill-leaves-a-conflict",
        "flush::a_global_fill_beside_the_entry_of_a_context_is_no_second_match",
    ),
    (
        "psc-forgets-the-pcid",
        "flush::an_invlpg_of_one_address_leaves_no_paging_structure_entry_of_the_current_pcid",
    ),
    (
        "walker-unaligned-huge-page",
        "walk::a_huge_page_whose_frame_is_not_aligned_is_not_taken",
    ),
    (
        "tlb-huge-page-merge",
        "walk::the_frame_of_a_huge_page_is_merged_at_its_own_size_on_every_path",
    ),
    (
        "tlb-rights-frozen",
        "rights::rights_that_change_after_the_fill_bind_the_next_hit",
    ),
    (
        "ad-set-before-the-fault",
        "updates::a_walk_that_must_fault_sets_neither_accessed_nor_dirty",
    ),
    (
        "ad-lost-race-taken-for-won",
        "updates::an_entry_that_changes_between_its_read_and_its_update_is_not_brought_back",
    ),
    (
        "pcide-with-a-pcid-set",
        "modes::pcide_is_not_set_while_cr3_has_low_bits",
    ),
];

#[test]
#[ignore = "builds the RTL for each bug, which takes minutes: just must-fail"]
fn each_history_fails_on_rtl_that_has_its_bug() {
    let binary = std::env::current_exe().expect("the test has a name");
    let mut missed = Vec::new();
    for (bug, test) in CAUGHT {
        let run = Command::new(&binary)
            .args(["--exact", test])
            .env(SEEDED, bug)
            .output()
            .expect("the test runs");
        let said = String::from_utf8_lossy(&run.stdout);
        let failed = said.contains("test result: FAILED. 0 passed; 1 failed");
        println!("{bug}: {test} {}", if failed { "fails" } else { "PASSES" });
        if !failed {
            missed.push(format!("{bug} in {test}: {said}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
