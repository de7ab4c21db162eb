//! Random operations on a correct machine pass both checks, and the checks have something to bite on.
//!
//! Contract: all. SDM vol. 3A, 4.10. Counterpart: `staleness_must_fail.rs`, the same with bugs.

use crate::staleness_support::random::{Plan, inclusive, mixed, pieces, roomy, run, small, sparse};
use twinwalk::reference::finding::{Figures, InvalidationKind};

fn add(total: &mut Figures, figures: &Figures) {
    total.responses += figures.responses;
    total.single_outcome += figures.single_outcome;
    total.stale_observed += figures.stale_observed;
    total.unjudged += figures.unjudged;
    total.entry_updates += figures.entry_updates;
    total.fills += figures.fills;
    for kind in InvalidationKind::ALL {
        total.stale_removed[kind as usize] += figures.stale_removed[kind as usize];
        total.removed[kind as usize] += figures.removed[kind as usize];
    }
}

#[test]
fn a_correct_machine_passes_under_random_operations_and_leaves_no_figure_at_zero() {
    let mut totals = [Figures::default(); 3];
    for seed in 0..12 {
        for (shape, five_level) in [
            (small(), false),
            (sparse(), false),
            (roomy(), true),
            (roomy(), false),
            (mixed(), true),
            (pieces(), false),
            (inclusive(), false),
        ] {
            let plan = Plan {
                shape,
                five_level,
                ..Plan::new(seed, 20_000)
            };
            let outcome = run(&plan);
            let runs = [outcome.provenance, outcome.contract, outcome.manual];
            for (total, figures) in totals.iter_mut().zip(runs) {
                add(
                    total,
                    &figures.unwrap_or_else(|finding| panic!("seed {seed}: {finding}")),
                );
            }
        }
    }
    for (index, total) in totals.iter().enumerate() {
        assert_eq!(total.responses, totals[0].responses);
        assert!(total.responses > 40_000, "{total:?}");
        assert!(
            total.single_outcome > total.responses / 2 && total.stale_observed > 500,
            "{total:?}"
        );
        assert_eq!(total.unjudged, 0);
        assert!(
            total.entry_updates > 5_000 && (index > 0 || total.fills > 5_000),
            "{total:?}"
        );
        for (name, removed) in total.stale_removed_by_kind() {
            assert!(removed > 0, "{name}: {total:?}");
        }
    }
    let [provenance, contract, manual] = totals;
    assert_eq!(provenance.stale_observed, contract.stale_observed);
    assert_eq!(provenance.stale_observed, manual.stale_observed);
    assert!(contract.single_outcome > manual.single_outcome);
}

#[test]
fn without_stores_every_response_has_one_legal_outcome() {
    let plan = Plan {
        quiet: true,
        shape: roomy(),
        ..Plan::new(5, 20_000)
    };
    let outcome = run(&plan);
    for figures in [outcome.provenance, outcome.contract, outcome.manual] {
        let figures = figures.unwrap_or_else(|finding| panic!("{finding}"));
        assert!(figures.responses > 500, "{figures:?}");
        assert_eq!(
            (figures.single_outcome, figures.stale_observed),
            (figures.responses, 0)
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let figures = || {
        run(&Plan::new(9, 10_000))
            .contract
            .unwrap_or_else(|finding| panic!("{finding}"))
    };
    assert_eq!(figures(), figures());
}
