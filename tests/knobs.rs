//! Every parameter acts: for each there is a machine and work with which another value changes a figure that is named, in both twins.
//!
//! Contract: 2 (parameters), 13 (memory, front end). SDM: none. Counterpart: none. The table is `knobs_support/table.rs`.
//!
//! `just knobs` runs all rows on the RTL too, which verilates a machine for most of them; the ordinary test those that need no machine of
//! their own, and a few small ones.

#![cfg_attr(
    not(feature = "rtl"),
    allow(dead_code, reason = "the half that the RTL runs")
)]

use crate::knobs_support::table::rows;
use crate::knobs_support::work::{Order, Rule, Work};
use crate::knobs_support::{Moves, Row, gaps};

/// A row that holds.
const ROW: Row = Row {
    key: "dtlb.arrays.N.ways",
    base: &["dtlb.arrays=[{page_sizes=[\"4k\"],sets=1,ways=2}]"],
    values: &["2", "4"],
    work: Work::Run(Rule {
        kind: 'l',
        stride: 4096,
        places: 3,
        count: 30,
        order: Order::Round,
    }),
    figure: "/dtlb/misses",
    moves: Moves::Down,
};

#[test]
fn every_parameter_has_a_row_and_every_row_a_parameter() {
    assert_eq!(gaps(&rows()), Vec::<String>::new());
}

#[test]
fn a_parameter_without_a_row_a_row_without_a_parameter_and_a_word_in_no_row_are_found() {
    let mut without: Vec<Row> = rows();
    without.retain(|row| row.key != "walkers.count");
    assert_eq!(gaps(&without), ["walkers.count has no row"]);
    let mut beyond = rows();
    beyond.push(Row {
        key: "walkers.colour",
        ..ROW
    });
    assert_eq!(gaps(&beyond), ["walkers.colour is no parameter"]);
    let mut unsaid = rows();
    unsaid.retain(|row| row.key != "walkers.order");
    unsaid.push(Row {
        key: "walkers.order",
        values: &["\"cyclic\"", "\"cyclic\""],
        ..ROW
    });
    assert_eq!(gaps(&unsaid), ["walkers.order: no row has \"oldest\""]);
}

#[test]
fn every_parameter_changes_its_figure_on_the_model() {
    let wrong: Vec<String> = rows().iter().filter_map(|row| row.judge().err()).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_row_is_found_that_does_not_act_or_acts_the_other_way() {
    assert_eq!(ROW.judge(), Ok(()));
    let wrong = |row: Row, about: &str| {
        let error = row.judge().expect_err(about);
        assert!(error.contains(about), "{error}");
    };
    wrong(
        Row {
            values: &["2", "2"],
            ..ROW
        },
        "is the same machine",
    );
    wrong(
        Row {
            values: &["2"],
            ..ROW
        },
        "there is no second value",
    );
    wrong(
        Row {
            moves: Moves::Up,
            ..ROW
        },
        "which is not Up",
    );
    wrong(
        Row {
            figure: "/dtlb/hit",
            ..ROW
        },
        "no figure /dtlb/hit",
    );
    wrong(
        Row {
            moves: Moves::Refused,
            ..ROW
        },
        "is not refused by its name",
    );
    // It acts on what is translated, and this work finds all in the second level's first way.
    let idle = Row {
        key: "stlb.arrays.N.ways",
        values: &["2", "4"],
        base: &[],
        moves: Moves::Away,
        figure: "/stlb/misses",
        ..ROW
    };
    wrong(idle, "which is not Away");
}

#[cfg(feature = "rtl")]
mod rtl {
    use super::{ROW, rows};
    use crate::knobs_support::twins::{judge, rtl, seen};
    use crate::knobs_support::{Moves, Row};

    /// Those of the rows with machines of their own that the ordinary test runs too: small, with one machine in common.
    const QUICK: [&str; 3] = [
        "dtlb.arrays.N.ways",
        "psc.pde.ways",
        "stlb.hit_latency_cycles",
    ];

    /// The rows with a machine, in order: whether the RTL of the two values is one machine, and whether the ordinary test runs it.
    fn chosen(choose: impl Fn(&Row) -> bool) -> Vec<Row> {
        let machines = rows().into_iter().filter(|row| row.moves != Moves::Refused);
        machines.filter(|row| choose(row)).collect()
    }

    fn hold(rows: &[Row]) {
        let wrong: Vec<String> = rows.iter().filter_map(|row| judge(row).err()).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn what_stands_around_the_machine_acts_the_same_in_the_rtl() {
        let around = chosen(Row::is_outside_the_rtl);
        assert_eq!(around.len(), 17, "memory, front end and mapping");
        hold(&around);
    }

    #[test]
    fn a_few_small_machines_act_the_same_in_the_rtl() {
        let few = chosen(|row| QUICK.contains(&row.key));
        assert_eq!(few.len(), QUICK.len());
        hold(&few);
    }

    #[test]
    #[ignore = "verilates a machine for each row: just knobs"]
    fn every_parameter_acts_the_same_in_the_rtl() {
        hold(&chosen(|row| !row.is_outside_the_rtl()));
    }

    #[test]
    fn a_twin_with_another_value_is_found() {
        let row = rows()
            .into_iter()
            .find(|row| row.key == QUICK[0])
            .unwrap_or(ROW);
        let [first, second] = row.pair();
        let model = twinwalk::model::Mmu::new(&first);
        assert_ne!(
            seen(&first, &row.work, model),
            seen(&second, &row.work, rtl(&second))
        );
    }
}
