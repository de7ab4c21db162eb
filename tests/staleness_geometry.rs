//! Arrays of several page sizes, pages in pieces, an inclusive second level, caches of several sets: what is kept or removed in the wrong place
//! is caught, and by the rule that names it.
//!
//! Contract: 2.1, 4.4, 7.5, 7.6, 8.5, 9.3. SDM vol. 3A, 4.10. Counterpart: `staleness_random.rs`, the same machines without bugs.

use crate::staleness_support::bugs::Bug;
use crate::staleness_support::caught::{Check, caught_in};
use crate::staleness_support::places::Shape;
use crate::staleness_support::random::{inclusive, mixed, pieces};
use twinwalk::reference::finding::Rule;

const IN_PIECES: [fn() -> Shape; 2] = [pieces, mixed];
const MIXED: [fn() -> Shape; 2] = [mixed, mixed];
const INCLUSIVE: [fn() -> Shape; 2] = [inclusive, inclusive];

#[track_caller]
fn provenance(shapes: [fn() -> Shape; 2], bug: Bug, rules: &[Rule]) {
    caught_in(shapes, bug, Check::Provenance, rules);
}

#[track_caller]
fn architectural(shapes: [fn() -> Shape; 2], bug: Bug, rules: &[Rule]) {
    caught_in(shapes, bug, Check::Contract, rules);
    caught_in(shapes, bug, Check::Manual, rules);
}

#[test]
fn a_fill_of_another_set_is_caught() {
    provenance(MIXED, Bug::FillsTheNextSet, &[Rule::FillPlace]);
}

#[test]
fn a_write_that_fills_what_serves_reads_is_caught() {
    provenance(MIXED, Bug::WriteFillsForReads, &[Rule::FillSource]);
}

#[test]
fn a_piece_with_the_first_frame_of_its_page_is_caught() {
    provenance(IN_PIECES, Bug::PieceOfTheFirstFrame, &[Rule::FillContent]);
    architectural(IN_PIECES, Bug::PieceOfTheFirstFrame, &[Rule::Translation]);
}

#[test]
fn a_hit_in_a_piece_that_answers_with_its_size_is_caught() {
    provenance(
        IN_PIECES,
        Bug::AnswersWithTheKeptSize,
        &[Rule::ResponseOrigin],
    );
    architectural(IN_PIECES, Bug::AnswersWithTheKeptSize, &[Rule::Translation]);
}

#[test]
fn a_cache_that_uses_one_of_its_sets_is_caught() {
    provenance(MIXED, Bug::PscOfOneSet, &[Rule::FillPlace]);
}

#[test]
fn a_drop_of_every_piece_is_caught() {
    provenance(IN_PIECES, Bug::DropTakesThePage, &[Rule::RemovalExcess]);
}

#[test]
fn invlpg_of_one_piece_alone_is_caught() {
    let rules = [Rule::RemovalMissing, Rule::ControlResponse];
    provenance(IN_PIECES, Bug::InvlpgTakesThePieceAlone, &rules[..1]);
    architectural(
        IN_PIECES,
        Bug::InvlpgTakesThePieceAlone,
        &[Rule::Translation],
    );
}

#[test]
fn a_first_level_that_keeps_what_the_second_evicted_is_caught() {
    provenance(
        INCLUSIVE,
        Bug::EvictsFromTheStlbAlone,
        &[Rule::RemovalMissing],
    );
}

#[test]
fn an_entry_on_its_way_that_fills_after_its_eviction_is_caught() {
    provenance(INCLUSIVE, Bug::EvictedKeepsRight, &[Rule::FillRight]);
}

#[test]
fn a_look_up_beside_a_back_invalidation_is_caught() {
    provenance(INCLUSIVE, Bug::LooksUpWhileEvicting, &[Rule::LookupState]);
}
