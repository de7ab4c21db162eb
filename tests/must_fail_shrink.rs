//! Each bug seeded in the RTL, found in a long random stream: what is cut down to is at most 20 operations, in less than two minutes.
//!
//! With `TWINWALK_SHRUNK` set to a directory, the stimuli and what a person reads of them are written there.
//!
//! Contract: the section that each bug offends. SDM: none. Counterpart: `must_fail_rtl.rs`, which builds the machines; `src/cosim/shrink.rs`.

#![cfg(feature = "rtl")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use crate::must_fail_rtl::{for_all, machine};
use crate::seeded_support::{Bug, SeededIn, chosen};
use twinwalk::config::Config;
use twinwalk::config::load::{Source, load};
use twinwalk::cosim::divergence::Finding;
use twinwalk::cosim::generator::RandomStream;
use twinwalk::cosim::library::Provider;
use twinwalk::cosim::lockstep::{Lockstep, Options, Report};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::shrink::{DEFAULT_TRIALS, Trial, shrink};
use twinwalk::cosim::stimulus::{
    Action, Operation, OperationSource, Request, Setup, Stimulus, Store,
};
use twinwalk::cosim::story;
use twinwalk::model::Mmu;

/// Operations of the streams in which the bugs are found.
const OPERATIONS: u64 = 100_000;
/// Operations of a stimulus that is long.
const LONG: usize = 50_000;
/// Most operations that may be left.
const MOST_LEFT: usize = 20;
/// Within as many seconds.
const MOST_SECONDS: f64 = 120.0;

/// One run of some operations.
fn run(
    config: &Config,
    library: &Library,
    setup: &Setup,
    operations: impl OperationSource,
) -> Report {
    let rtl = Rtl::new(config, library, InitialRegisters::Random(setup.seed))
        .expect("the machine can be made");
    let model = Mmu::new(config);
    Lockstep::pair(config, setup, operations, model, rtl, Options::default())
        .with_reference(config, setup)
        .run(&mut |_| ControlFlow::Continue(()))
}

/// The first stream of the bug that fails, as far as it goes, with its machine and what is found.
fn failing(bug: &Bug, config: &Config, library: &Library) -> Option<(Config, Stimulus, Finding)> {
    (bug.seeds.0..=bug.seeds.1).find_map(|seed| {
        let RandomStream {
            config,
            setup,
            mut generator,
        } = RandomStream::new(config, seed, 0, OPERATIONS);
        let report = run(&config, library, &setup, generator.clone());
        let operations = (0..report.operations).map_while(|_| generator.next_operation());
        let stimulus = Stimulus {
            operations: operations.collect(),
            setup,
        };
        Some((config, stimulus, report.finding?))
    })
}

/// The same stimulus as the end of a long one, most of which has nothing to do with what fails: requests and stores before paging is
/// entered, and in `within` as many after it, to the page of the first request.
fn lengthened(stimulus: &Stimulus, within: bool) -> Stimulus {
    let operations = &stimulus.operations;
    let first = operations
        .iter()
        .enumerate()
        .find_map(|(index, it)| match it.action {
            Action::Request(request) => Some((index, request)),
            _ => None,
        });
    let Some((boot, request)) = first else {
        return stimulus.clone();
    };
    let cells: Vec<_> = stimulus.setup.image.iter().collect();
    let before = (0..OPERATIONS as usize).map(|number| {
        let action = if number % 5 == 0 && !cells.is_empty() {
            let (address, value) = cells[number / 5 % cells.len()];
            Action::Store(Store {
                address: *address,
                value: *value,
            })
        } else {
            Action::Request(Request {
                va: 0x1000 * (number as u64 % 97),
                ..request
            })
        };
        Operation {
            gap_cycles: number as u32 % 3,
            action,
        }
    });
    let after = vec![
        Operation {
            gap_cycles: 1,
            action: Action::Request(request)
        };
        OPERATIONS as usize / 2
    ];
    let drain = [Operation::now(Action::Drain)];
    let mut longer = Stimulus {
        setup: stimulus.setup.clone(),
        operations: Vec::new(),
    };
    let share = if within {
        OPERATIONS as usize / 2
    } else {
        OPERATIONS as usize
    };
    longer.operations.extend(before.take(share));
    longer.operations.extend(drain);
    longer.operations.extend(&operations[..boot]);
    if within {
        longer.operations.extend(after);
        longer.operations.extend(drain);
    }
    longer.operations.extend(&operations[boot..]);
    longer
}

/// What a person reads of a stimulus that fails: the finding with its story.
fn report(config: &Config, library: &Library, stimulus: &Stimulus) -> Option<String> {
    let setup = &stimulus.setup;
    let operations = stimulus.operations.clone().into_iter();
    let finding = run(config, library, setup, operations.clone()).finding?;
    let rtl = Rtl::new(config, library, InitialRegisters::Random(setup.seed)).ok()?;
    let told = story::of_pair(config, setup, operations, rtl, Options::default(), &finding)?;
    Some(finding.report(Some(&told)))
}

/// Cuts down: what to say about it, or what is wrong.
fn cut_down(bug: &Bug, provider: &Provider) -> Result<String, String> {
    let config = load(&Source::Preset(bug.preset.clone()), &bug.set)
        .map_err(|error| error.to_string())?
        .config;
    let library = machine(bug, &config, provider)?;
    let (config, stimulus, finding) = failing(bug, &config, &library).ok_or("nothing is found")?;
    // A bug that strikes within some hundred operations is put behind many more, if it waits that long.
    let short = stimulus.operations.len();
    let mut stimulus = stimulus;
    for within in [true, false] {
        if stimulus.operations.len() >= LONG {
            break;
        }
        let mut longer = lengthened(&stimulus, within);
        let operations = longer.operations.clone().into_iter();
        let report = run(&config, &library, &longer.setup, operations);
        let same = report
            .finding
            .is_some_and(|it| it.comparator == finding.comparator);
        if same && report.operations as usize >= LONG {
            longer.operations.truncate(report.operations as usize);
            stimulus = longer;
        }
    }
    let begin = Instant::now();
    let shrunk = shrink(&stimulus, DEFAULT_TRIALS, &mut |candidate| {
        let operations = candidate.operations.clone().into_iter();
        let report = run(&config, &library, &candidate.setup, operations);
        let found = report.finding.as_ref().map(|finding| finding.comparator);
        match found == Some(finding.comparator) {
            true => Trial::Fails {
                operations: report.operations,
            },
            false => Trial::Passes,
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    let left = shrunk.stimulus.operations.len();
    let outcome = format!(
        "found after {short}, {} operations to {left} in {} runs, {seconds:.1} s; cells {} to {}",
        stimulus.operations.len(),
        shrunk.trials,
        stimulus.setup.image.len(),
        shrunk.stimulus.setup.image.len(),
    );
    for (ending, stimulus) in [("", &stimulus), (".min", &shrunk.stimulus)] {
        let report = report(&config, &library, stimulus).ok_or("a story is not told")?;
        // What an assertion says, in front of the story, is as long as it is.
        let mut told = report
            .lines()
            .skip_while(|line| !line.starts_with("about "));
        if report.lines().count() > 65 || told.any(|line| line.chars().count() > 120) {
            return Err(format!("too long a story:\n{report}"));
        }
        if let Ok(directory) = std::env::var("TWINWALK_SHRUNK") {
            let path = PathBuf::from(directory).join(format!("{}{ending}.txt", bug.name));
            std::fs::write(&path, report).expect("it can be written");
            std::fs::write(path.with_extension("stim"), stimulus.to_text())
                .expect("it can be written");
        }
    }
    if left <= MOST_LEFT && seconds < MOST_SECONDS {
        Ok(outcome)
    } else {
        Err(outcome)
    }
}

/// Bugs of three kinds, on machines that other tests build too: for every run of the tests.
const REPRESENTATIVE: [&str; 3] = [
    "answer-to-the-wrong-walker",
    "queue-waits-without-the-right",
    "right-survives-a-drop",
];

#[test]
fn three_bugs_found_in_long_streams_are_cut_down_to_20_operations() {
    let mut bugs = chosen(&[SeededIn::Rtl]);
    bugs.retain(|bug| REPRESENTATIVE.contains(&bug.name.as_str()));
    for_all(&bugs, cut_down);
}

#[test]
#[ignore = "verilates a machine for each bug and runs each thousands of times, which takes many minutes: just must-fail"]
fn must_fail_every_bug_found_in_a_long_stream_is_cut_down_to_20_operations() {
    let mut bugs = chosen(&[SeededIn::Rtl]);
    bugs.retain(|bug| !REPRESENTATIVE.contains(&bug.name.as_str()));
    for_all(&bugs, cut_down);
}
