//! A machine with one bug at a time: each is caught, and by the rule that names it.
//!
//! Contract: 5 to 11. SDM vol. 3A, 4.10. Counterpart: `staleness_random.rs`, the same without bugs; `staleness_architectural.rs` has the
//! rules that only a broken link or a hand-made stream can break.

use crate::staleness_support::bugs::Bug;
use crate::staleness_support::caught::{CYCLES, Check, architectural, caught, provenance};
use crate::staleness_support::random::{Plan, run_with};
use twinwalk::reference::finding::{Figures, Finding, Rule};

// Links and control.

#[test]
fn a_register_write_that_does_not_wait_is_caught() {
    provenance(Bug::RegisterWriteDoesNotWait, &[Rule::Registers]);
    architectural(Bug::RegisterWriteDoesNotWait, &[Rule::Serialisation]);
}

#[test]
fn a_request_accepted_during_a_register_write_is_caught() {
    provenance(Bug::AcceptsDuringRegisterWrite, &[Rule::Serialisation]);
    architectural(Bug::AcceptsDuringRegisterWrite, &[Rule::Serialisation]);
}

#[test]
fn a_wrong_general_protection_of_an_operation_is_caught() {
    provenance(Bug::FaultInverted, &[Rule::ControlFault]);
    architectural(Bug::FaultInverted, &[Rule::ControlFault]);
}

#[test]
fn a_control_response_in_the_performing_cycle_is_caught() {
    provenance(Bug::InvlpgAnswersAtOnce, &[Rule::ControlResponse]);
}

#[test]
fn a_register_bit_that_does_not_show_is_caught() {
    provenance(Bug::WriteProtectReadsAsZero, &[Rule::Registers]);
    architectural(Bug::WriteProtectReadsAsZero, &[Rule::Registers]);
}

#[test]
fn a_transaction_of_two_beats_is_caught() {
    provenance(Bug::TwoBeats, &[Rule::MemoryTransaction]);
}

// Look-ups and responses.

#[test]
fn a_miss_that_does_not_wait_for_one_of_its_page_is_caught() {
    provenance(Bug::MissesDoNotMerge, &[Rule::Lookup]);
}

#[test]
fn a_miss_that_waits_for_one_that_may_be_stale_is_caught() {
    provenance(Bug::WaitsForOneWithoutRight, &[Rule::Lookup]);
}

#[test]
fn a_queue_that_shows_another_primary_is_caught() {
    provenance(Bug::QueueShowsWrongPrimary, &[Rule::QueueState]);
}

#[test]
fn a_look_up_during_a_sweep_is_caught() {
    provenance(Bug::LookUpDuringSweep, &[Rule::LookupState]);
}

#[test]
fn a_hit_that_ignores_rights_is_caught() {
    provenance(Bug::HitIgnoresRights, &[Rule::Lookup, Rule::StlbLookup]);
    architectural(Bug::HitIgnoresRights, &[Rule::Translation]);
}

#[test]
fn a_write_that_hits_with_dirty_clear_and_does_not_walk_is_caught() {
    provenance(Bug::HitIgnoresDirty, &[Rule::Lookup, Rule::StlbLookup]);
    architectural(Bug::HitIgnoresDirty, &[Rule::Translation]);
}

#[test]
fn a_hit_in_the_entry_of_another_pcid_is_caught() {
    provenance(Bug::HitIgnoresPcid, &[Rule::Lookup, Rule::StlbLookup]);
    architectural(Bug::HitIgnoresPcid, &[Rule::Translation]);
}

#[test]
fn a_response_that_merges_a_large_frame_wrongly_is_caught() {
    provenance(Bug::OffsetOf4KOnly, &[Rule::ResponseOrigin]);
    architectural(Bug::OffsetOf4KOnly, &[Rule::Translation]);
}

#[test]
fn a_page_fault_for_an_address_that_is_not_canonical_is_caught() {
    provenance(Bug::NonCanonicalFaults, &[Rule::ResponseOrigin]);
    architectural(Bug::NonCanonicalFaults, &[Rule::PageFault]);
}

#[test]
fn an_error_code_without_its_user_bit_is_caught() {
    provenance(Bug::ErrorCodeWithoutUser, &[Rule::ResponseOrigin]);
    architectural(Bug::ErrorCodeWithoutUser, &[Rule::PageFault]);
}

// Walks.

#[test]
fn a_walk_that_reads_the_neighbour_of_an_entry_is_caught() {
    provenance(Bug::IndexOffByOne, &[Rule::WalkTransaction]);
    architectural(
        Bug::IndexOffByOne,
        &[Rule::Translation, Rule::PageFault, Rule::EntryUpdateOwner],
    );
}

#[test]
fn a_restart_that_uses_the_caches_again_is_caught() {
    provenance(Bug::RestartUsesCache, &[Rule::WalkStart]);
}

#[test]
fn a_fault_of_a_walk_that_started_in_a_cache_is_caught() {
    provenance(Bug::FaultFromCache, &[Rule::FaultFromCr3]);
    caught(
        Bug::FaultFromCache,
        Check::Contract,
        &[Rule::PageFault, Rule::BusError],
    );
}

#[test]
fn a_bus_error_reported_as_a_page_fault_is_caught() {
    provenance(Bug::BusErrorAsPageFault, &[Rule::WalkEnd]);
    architectural(Bug::BusErrorAsPageFault, &[Rule::PageFault]);
}

#[test]
fn a_cache_keyed_by_the_index_of_one_level_is_caught() {
    provenance(Bug::PscByIndexAlone, &[Rule::FillContent, Rule::WalkStart]);
    architectural(
        Bug::PscByIndexAlone,
        &[Rule::Translation, Rule::EntryUpdateOwner],
    );
}

// Updates of entries.

#[test]
fn a_walk_that_sets_no_accessed_bit_is_caught() {
    provenance(Bug::NoAccessed, &[Rule::WalkTransaction]);
    caught(Bug::NoAccessed, Check::Manual, &[Rule::Translation]);
}

#[test]
fn a_write_that_sets_no_dirty_bit_is_caught() {
    provenance(Bug::NoDirty, &[Rule::CompareAndSet, Rule::WalkEnd]);
    caught(Bug::NoDirty, Check::Manual, &[Rule::Translation]);
}

#[test]
fn a_dirty_bit_in_a_table_entry_is_caught() {
    provenance(
        Bug::DirtyInTable,
        &[Rule::CompareAndSet, Rule::WalkTransaction],
    );
    architectural(Bug::DirtyInTable, &[Rule::EntryUpdateOwner]);
}

#[test]
fn an_update_of_a_leaf_that_denies_is_caught() {
    provenance(Bug::UpdatesBeforeDenial, &[Rule::WalkTransaction]);
    architectural(Bug::UpdatesBeforeDenial, &[Rule::EntryUpdateOwner]);
}

#[test]
fn an_entry_written_back_over_a_newer_one_is_caught() {
    provenance(Bug::EntryWrittenBack, &[Rule::WalkTransaction]);
    architectural(
        Bug::EntryWrittenBack,
        &[Rule::EntryUpdate, Rule::EntryUpdateOwner],
    );
}

#[test]
fn a_walk_that_ignores_a_lost_race_is_caught() {
    provenance(
        Bug::LostRaceIgnored,
        &[Rule::WalkTransaction, Rule::WalkEnd, Rule::ResponseOrigin],
    );
    caught(Bug::LostRaceIgnored, Check::Manual, &[Rule::Translation]);
}

// Fills.

#[test]
fn a_fill_with_the_rights_of_the_leaf_alone_is_caught() {
    provenance(Bug::LeafRightsAlone, &[Rule::FillContent]);
    architectural(Bug::LeafRightsAlone, &[Rule::Translation]);
}

#[test]
fn a_cached_table_without_the_rights_above_it_is_caught() {
    provenance(Bug::PscWithoutRights, &[Rule::FillContent]);
    caught(
        Bug::PscWithoutRights,
        Check::Contract,
        &[Rule::Translation, Rule::EntryUpdateOwner],
    );
}

#[test]
fn a_global_entry_filled_with_pge_clear_is_caught() {
    provenance(Bug::GlobalWithoutPge, &[Rule::FillContent]);
    architectural(Bug::GlobalWithoutPge, &[Rule::Translation]);
}

#[test]
fn a_fill_by_a_walk_that_faults_is_caught() {
    provenance(Bug::FaultingWalkFills, &[Rule::FillSource]);
    architectural(Bug::FaultingWalkFills, &[Rule::Translation]);
}

#[test]
fn a_fill_that_leaves_two_matching_ways_is_caught() {
    provenance(Bug::FillLeavesConflicts, &[Rule::OneMatch]);
}

#[test]
fn a_victim_that_is_not_reported_is_caught() {
    provenance(Bug::VictimNotReported, &[Rule::FillReplacement]);
}

#[test]
fn a_fill_that_evicts_two_ways_is_caught() {
    provenance(Bug::FillEvictsTwo, &[Rule::FillReplacement]);
}

#[test]
fn a_fill_beside_the_way_that_it_replaces_is_caught() {
    provenance(Bug::FillBesideConflict, &[Rule::FillReplacement]);
}

#[test]
fn a_walk_that_leaves_the_l1_array_unfilled_is_caught() {
    provenance(Bug::L1NotFilled, &[Rule::FillRight]);
}

#[test]
fn a_walk_that_fills_over_an_invalidation_is_caught() {
    provenance(Bug::WalkKeepsRight, &[Rule::FillAge, Rule::FillRight]);
}

#[test]
fn an_stlb_hit_that_fills_over_an_invalidation_is_caught() {
    provenance(Bug::StlbHitKeepsRight, &[Rule::FillAge, Rule::FillRight]);
}

#[test]
fn an_stlb_hit_that_leaves_the_l1_array_unfilled_is_caught() {
    provenance(Bug::StlbHitDoesNotFill, &[Rule::FillRight]);
}

// Drops and invalidations.

#[test]
fn a_page_fault_that_drops_nothing_is_caught() {
    // With one walker nothing of the page is left when its walk from CR3 ends; what is left to lose is the other ports' right to fill.
    provenance(Bug::PageFaultDropsNothing, &[Rule::FillRight]);
    caught(
        Bug::PageFaultDropsNothing,
        Check::Contract,
        &[Rule::Translation],
    );
}

#[test]
fn a_denied_hit_that_drops_nothing_is_caught() {
    provenance(Bug::DenialDropsNothing, &[Rule::RemovalMissing]);
}

#[test]
fn a_sweep_that_leaves_out_the_last_row_is_caught() {
    provenance(Bug::SweepStopsEarly, &[Rule::RemovalMissing]);
    architectural(Bug::SweepStopsEarly, &[Rule::Translation]);
}

#[test]
fn a_sweep_that_takes_one_way_a_row_is_caught() {
    provenance(Bug::SweepTakesOneWayARow, &[Rule::RemovalMissing]);
    architectural(Bug::SweepTakesOneWayARow, &[Rule::Translation]);
}

#[test]
fn an_invpcid_of_the_current_pcid_in_place_of_its_own_is_caught() {
    provenance(
        Bug::OfCurrentPcid,
        &[Rule::RemovalMissing, Rule::RemovalExcess],
    );
}

#[test]
fn an_invlpg_that_removes_its_whole_set_is_caught() {
    provenance(Bug::InvlpgRemovesTheSet, &[Rule::RemovalExcess]);
}

#[test]
fn a_finding_names_cycle_rule_what_was_seen_and_what_is_allowed() {
    let plan = Plan {
        bug: Bug::OffsetOf4KOnly,
        ..Plan::new(1, CYCLES)
    };
    let outcome = run_with(&plan, [false, true, false]).contract;
    let finding: Finding = outcome.map(|_: Figures| ()).expect_err("the bug is caught");
    let text = finding.to_string();
    assert!(
        text.contains(&format!("cycle {}", finding.cycle)) && text.contains("translation"),
        "{text}"
    );
    assert!(
        finding.seen.contains("accepted in cycle") && finding.allowed.contains("translated to"),
        "{text}"
    );
}
