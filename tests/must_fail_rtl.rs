//! Bugs seeded in the RTL, one at a time, each in a copy that no build contains: the comparator that is named for it finds it first, and
//! where a bug is there to prove a comparator needed, it slips through once that one is silenced.
//!
//! Contract: the section that each bug offends. SDM: none. Counterpart: `must_fail_rust.rs`; the bugs are in `tests/seeded/`.

#![cfg(feature = "rtl")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::seeded_support::{Bug, SeededIn, chosen, line};
use twinwalk::config::Config;
use twinwalk::config::load::{Source, load};
use twinwalk::cosim::comparators::{Comparator, Silenced};
use twinwalk::cosim::divergence::Finding;
use twinwalk::cosim::generator::RandomStream;
use twinwalk::cosim::library::{Provider, Recipe};
use twinwalk::cosim::lockstep::{Lockstep, Options};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::model::Mmu;

use crate::machines_support::{QUICK, provider};

/// The machine with the bug.
pub fn machine(bug: &Bug, config: &Config, provider: &Provider) -> Result<Library, String> {
    let mut recipe = Recipe::new(config, QUICK);
    for edit in &bug.edit {
        let name = edit
            .file
            .strip_prefix("rtl/")
            .ok_or("a file outside rtl/")?;
        recipe
            .patch(name, &edit.find, &edit.replace)
            .map_err(|error| error.to_string())?;
    }
    provider
        .loaded_library(&recipe, &mut |_| {})
        .map_err(|error| error.to_string())
}

/// The first finding over the seeds of the bug, with some comparators silenced.
fn first_finding(
    bug: &Bug,
    config: &Config,
    library: &Library,
    silenced: Silenced,
) -> Option<Finding> {
    let options = Options {
        silenced,
        ..Options::default()
    };
    (bug.seeds.0..=bug.seeds.1).find_map(|seed| {
        let RandomStream {
            config,
            setup,
            generator,
        } = RandomStream::new(config, seed, 0, bug.operations);
        let rtl = Rtl::new(&config, library, InitialRegisters::Random(setup.seed))
            .expect("the machine can be made");
        Lockstep::pair(&config, &setup, generator, Mmu::new(&config), rtl, options)
            .with_reference(&config, &setup)
            .run(&mut |_| ControlFlow::Continue(()))
            .finding
    })
}

/// Runs the bug: what to say about it, or what is wrong.
fn run(bug: &Bug, provider: &Provider) -> Result<String, String> {
    let config = load(&Source::Preset(bug.preset.clone()), &bug.set)
        .map_err(|error| error.to_string())?
        .config;
    let library = machine(bug, &config, provider)?;
    let mut silenced = Silenced::NONE;
    let mut outcome = String::new();
    for (rank, finders) in bug.finders().into_iter().enumerate() {
        let due = &bug.found_by[rank];
        let Some(found) = first_finding(bug, &config, &library, silenced) else {
            return Err(format!("not found: {due} should; {outcome}"));
        };
        let finder = found.comparator;
        let fits = rank > 0 || found.signal.contains(&bug.signal);
        if !finders.contains(&finder) || !fits {
            return Err(format!(
                "found by {finder} in cycle {} as {} (model {}, rtl {}), and {due} should; {outcome}",
                found.cycle, found.signal, found.model, found.rtl
            ));
        }
        if finder == Comparator::Hangs && !bug.says_who_waits(&found.details.join("\n")) {
            return Err(format!("says of who waits for whom: {:?}", found.details));
        }
        outcome += &format!("{finder} in cycle {}: {}; ", found.cycle, found.signal);
        silenced = finders.into_iter().fold(silenced, Silenced::with);
    }
    if bug.then_slips {
        if let Some(found) = first_finding(bug, &config, &library, silenced) {
            return Err(format!(
                "does not slip through: {} finds {}; {outcome}",
                found.comparator, found.signal
            ));
        }
        outcome += "silenced: slips through";
    }
    Ok(outcome)
}

/// Bugs that are caught soon, on one machine: some for every run of the tests.
const REPRESENTATIVE: [&str; 4] = [
    "answer-to-the-wrong-walker",
    "fault-to-the-wrong-port",
    "queue-waits-without-the-right",
    "right-survives-a-drop",
];

/// Without a bug nothing is found in the streams of `bug`; else what it finds there would prove nothing.
fn run_sound(bug: &Bug, provider: &Provider) -> Result<String, String> {
    let config = load(&Source::Preset(bug.preset.clone()), &bug.set)
        .map_err(|error| error.to_string())?
        .config;
    let sound = Bug {
        edit: Vec::new(),
        ..bug.clone()
    };
    let library = machine(&sound, &config, provider)?;
    match first_finding(&sound, &config, &library, Silenced::NONE) {
        None => Ok(format!("preset {}: nothing", bug.preset)),
        Some(found) => Err(format!(
            "without the bug {} finds {} in cycle {}",
            found.comparator, found.signal, found.cycle
        )),
    }
}

/// Does `run` with all of `bugs`, on all threads.
pub fn for_all(bugs: &[Bug], run: fn(&Bug, &Provider) -> Result<String, String>) {
    let next = AtomicUsize::new(0);
    let troubles = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = Instant::now();
                    let outcome = run(bug, provider());
                    let seconds = begin.elapsed().as_secs_f64();
                    match &outcome {
                        Ok(text) => println!("{}", line(bug, text, seconds)),
                        Err(text) => {
                            println!("{}", line(bug, &format!("WRONG: {text}"), seconds));
                            troubles
                                .lock()
                                .expect("nobody panics")
                                .push(format!("{}: {text}", bug.name));
                        }
                    }
                }
            });
        }
    });
    let troubles = troubles.into_inner().expect("nobody panics");
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
}

#[test]
#[ignore = "runs every stream of a seeded bug on the sound machine: just must-fail"]
fn without_a_bug_nothing_is_found_in_the_streams_that_find_the_bugs() {
    let mut bugs = chosen(&[
        SeededIn::Rtl,
        SeededIn::Arch,
        SeededIn::Model,
        SeededIn::Reference,
        SeededIn::Both,
    ]);
    let mut seen = BTreeSet::new();
    bugs.retain(|bug| {
        seen.insert((
            bug.preset.clone(),
            bug.set.clone(),
            bug.seeds,
            bug.operations,
        ))
    });
    for_all(&bugs, run_sound);
}

#[test]
fn a_few_bugs_seeded_in_the_rtl_are_found_by_the_comparators_named_for_them() {
    let mut bugs = chosen(&[SeededIn::Rtl]);
    bugs.retain(|bug| REPRESENTATIVE.contains(&bug.name.as_str()));
    for_all(&bugs, run);
}

#[test]
#[ignore = "verilates a machine for each bug, which takes minutes: just must-fail"]
fn every_bug_seeded_in_the_rtl_is_found_by_the_comparator_named_for_it() {
    let mut bugs = chosen(&[SeededIn::Rtl]);
    bugs.retain(|bug| !REPRESENTATIVE.contains(&bug.name.as_str()));
    for_all(&bugs, run);
}
