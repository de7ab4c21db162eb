//! The histories of this directory on RTL with a bug: the assertions of the test that is named for it fail, with no other twin to compare
//! with.
//!
//! Contract: none. SDM: none. Counterpart: `../seeded`, the bugs.

use crate::lockstep_support::history::that_pass_with_a_bug;

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
        "invlpg-of-the-address-before",
        "races::a_selective_flush_goes_by_its_own_address_and_context_and_not_by_those_of_the_last_request",
    ),
    (
        "invpcid-1-of-the-current-context",
        "races::a_selective_flush_goes_by_its_own_address_and_context_and_not_by_those_of_the_last_request",
    ),
    (
        "cr3-removes-the-context-it-leaves",
        "races::a_selective_flush_goes_by_its_own_address_and_context_and_not_by_those_of_the_last_request",
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
    ("page-fault-fills", "walk::a_walk_that_faults_fills_no_tlb"),
    (
        "tlb-rights-frozen",
        "rights::a_right_that_is_given_back_needs_no_walk",
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
    (
        "access-that-ends-with-its-page",
        "modes::an_access_that_crosses_a_page_reports_the_page_that_is_missing",
    ),
];

#[test]
#[ignore = "builds the RTL for each bug, which takes minutes: just must-fail"]
fn each_history_fails_on_rtl_that_has_its_bug() {
    let missed = that_pass_with_a_bug("regress", CAUGHT);
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_history_that_fails_without_the_bug_in_its_rtl_is_no_proof() {
    let missed = that_pass_with_a_bug("regress", &[("no-such-bug", CAUGHT[0].1)]);
    assert_eq!(missed.len(), 1, "it counts as one that was caught");
}
