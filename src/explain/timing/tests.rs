//! The formula on every machine, what disturbs it, and that a difference is found.
//!
//! Contract: 12. SDM: none. Counterpart: none.

use super::*;
use crate::config::{Source, load, presets};
use crate::model::Mmu;

fn config(preset: &str, set: &[&str]) -> Config {
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    load(&Source::Preset(preset.to_owned()), &set)
        .expect("a valid machine")
        .config
}

fn timing(config: &Config) -> Timing {
    let mut timing = of_model(config).expect("it answers");
    add_rtl(&mut timing, config, || Ok::<_, Hang>(Mmu::new(config))).expect("it answers");
    timing
}

#[test]
fn on_every_preset_the_formula_holds_or_the_row_says_why_not() {
    for preset in presets::ALL {
        let config = config(preset.name, &[]);
        let timing = timing(&config);
        assert_eq!(timing.rows.len() + timing.absent.len(), CASES.len());
        let disturbed = config.memory.jitter_cycles > 0 || config.memory.table_cache.ways > 0;
        for row in &timing.rows {
            assert!(!row.is_wrong(), "{}: {row:?}", preset.name);
            match row.formula_cycles {
                Some(cycles) => {
                    assert_eq!(cycles, row.model_cycles, "{}: {row:?}", preset.name)
                }
                None => assert!(
                    disturbed && row.reason.is_some(),
                    "{}: {row:?}",
                    preset.name
                ),
            }
        }
    }
}

#[test]
fn the_default_machine_has_every_case_and_others_say_which_they_have_not() {
    assert_eq!(timing(&Config::default()).absent, Vec::<&str>::new());
    let absent = timing(&config("no-psc", &[])).absent;
    for level in ["PML5E", "PML4E", "PDPTE", "PDE"] {
        let case = format!("walk from a cached {level}");
        assert!(absent.contains(&case.as_str()), "{absent:?}");
    }
    let absent = timing(&config("stlb-only", &[])).absent;
    assert!(absent.contains(&"hit in the DTLB"), "{absent:?}");
}

#[test]
fn jitter_a_narrow_memory_and_a_cache_of_tables_are_named_and_no_number_is_given() {
    for (set, reason) in [
        ("memory.jitter_cycles=40", "memory.jitter_cycles: up to 40"),
        (
            "memory.accept_interval_cycles=99",
            "memory.accept_interval_cycles: accesses are 99",
        ),
        (
            "memory.table_cache.ways=2",
            "memory.table_cache: an access whose line is there takes 14",
        ),
    ] {
        let timing = timing(&config("default", &[set]));
        let row = |name| timing.rows.iter().find(|row| row.case == name).expect(name);
        let walk = row("set-accessed-path");
        assert_eq!(walk.formula_cycles, None);
        assert!(
            walk.reason
                .as_ref()
                .is_some_and(|text| text.contains(reason)),
            "{walk:?}"
        );
        assert_eq!(row("stlb-hit").formula_cycles, Some(10));
    }
}

#[test]
fn a_prefetch_is_over_before_the_next_access() {
    let config = config("prefetch", &[]);
    assert!(config.prefetch.next_page);
    assert!(
        timing(&config)
            .rows
            .iter()
            .all(|row| row.formula_cycles.is_some())
    );
}

#[test]
fn another_machine_and_a_formula_that_fails_without_reason_are_found() {
    let config = Config::default();
    let mut slower = config.clone();
    slower.stlb.hit_latency_cycles += 1;
    let mut timing = of_model(&config).expect("it answers");
    add_rtl(&mut timing, &config, || Ok::<_, Hang>(Mmu::new(&slower))).expect("it answers");
    let wrong = |row: &&Row| row.is_wrong();
    let wrong: Vec<_> = timing
        .rows
        .iter()
        .filter(wrong)
        .map(|row| row.case)
        .collect();
    assert!(
        wrong.contains(&"stlb-hit") && !wrong.contains(&"dtlb-hit"),
        "{wrong:?}"
    );
    let case = CASES
        .iter()
        .find(|case| case.name == "stlb-hit")
        .expect("it is there");
    let record = case
        .measure(&slower, Mmu::new(&slower))
        .expect("it answers");
    let row = case
        .row(&record.expect("an access"), &config)
        .expect("a formula");
    assert!(row.is_wrong() && row.rtl_cycles.is_none(), "{row:?}");
}
