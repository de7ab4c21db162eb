//! Every disturbing operation at every cycle offset of what it may disturb, on both twins, held against the reference.
//!
//! Contract: 7, 8, 9. SDM vol. 3A, 4.10.4, 4.10.5. Counterpart: `src/cosim/generator/races.rs`, which makes the stimuli.

#![cfg(feature = "rtl")]

use crate::lockstep_support::{BUSY, library, preset, run_stimulus};
use twinwalk::cosim::generator::races::{self, Paging, SITUATIONS};
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::lockstep::Options;

/// Runs every pair of `paging` on the machine of `name`, and returns how often an invalidation met a walk, a request waited for another, and a
/// walk went on beside another.
fn race(paging: &Paging, name: &str) -> [u64; 3] {
    let config = races::machine(&preset(name));
    let library = library(&Recipe::new(&config, BUSY));
    let mut met = [0; 3];
    for situation in SITUATIONS {
        for disturbance in paging.disturbances {
            let stimulus = races::stimulus(paging, &config, situation, disturbance)
                .expect("every machine has room");
            let report = run_stimulus(&stimulus, &config, &library, Options::default());
            assert_eq!(
                report.finding, None,
                "{}: {} against {} on {name}",
                paging.name, disturbance.name, situation.name
            );
            let counters = &report.counters;
            met[0] += counters.invalidations_during_walk;
            met[1] += counters.merged_misses;
            met[2] += counters.walks_in_parallel;
        }
    }
    met
}

/// Runs every pair on the machine of `name` in both formats: walks of two levels are shorter, and meet less.
fn race_in_both(name: &str) {
    for (paging, least) in [(races::FOUR_LEVEL, 1_000), (races::TWO_LEVEL, 500)] {
        let [invalidations, ..] = race(&paging, name);
        assert!(invalidations > least, "{}: {invalidations}", paging.name);
    }
}

#[test]
fn nothing_that_meets_one_walk_or_two_leaves_anything_stale() {
    for (paging, least) in [(races::FOUR_LEVEL, 1_000), (races::TWO_LEVEL, 500)] {
        let met = race(&paging, "default");
        assert!(
            met.iter().all(|times| *times > least),
            "{}: {met:?}",
            paging.name
        );
    }
}

#[test]
fn nor_on_the_smallest_machine() {
    race_in_both("tiny");
}

#[test]
fn nor_with_the_prefetch_beside_the_requests() {
    race_in_both("parallel");
}
