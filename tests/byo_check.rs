//! `twinwalk check --rtl` on `examples/byo-mmu`: the second MMU passes, and each bug that is seeded in it is found by what is named for it.
//!
//! Contract: 3 (ports). SDM vol. 3A, 4.10. Counterpart: `byo_example.rs`, what can be told of it without running it.

use std::path::Path;
use std::process::{Command, Output};

use crate::byo_support::{DESIGN, bugs, example, seeded};
use crate::machines_support::CACHE_HOME;
use crate::seeded_support::Bug;

/// The check of the design in a directory; replay files stay in one of their own, which is gone afterwards.
fn check(directory: &Path, (first, last): (u64, u64), operations: u64) -> Output {
    let replays = tempfile::tempdir().expect("a directory can be made");
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .env("XDG_CACHE_HOME", CACHE_HOME)
        .args(["check", "--rtl"])
        .arg(directory.join(DESIGN))
        .args(["--seeds", &format!("{first}..{last}")])
        .args(["--ops", &operations.to_string()])
        .arg("--replays")
        .arg(replays.path())
        .output()
        .expect("the check runs")
}

/// It must be found, by one of those that are named for it first, at the signal that is.
fn must_be_found(bug: &Bug) {
    let output = check(seeded(bug).path(), bug.seeds, bug.operations);
    let text = String::from_utf8_lossy(&output.stdout);
    let name = &bug.name;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{name}: {text}{errors}");
    let found: Vec<_> = text
        .lines()
        .filter(|line| line.contains("(found by: "))
        .collect();
    let [line] = found[..] else {
        panic!("{name}: {text}");
    };
    let finders = &bug.finders()[0];
    let by = |finder: &&str| line.contains(&format!("(found by: {finder})"));
    let names: Vec<_> = finders.iter().map(|finder| finder.name()).collect();
    assert!(names.iter().any(by), "{name}: {line}, not by {names:?}");
    assert!(
        line.contains(&bug.signal),
        "{name}: {line}, not {}",
        bug.signal
    );
    let refused = line.contains("rule translation") || line.contains("rule page-fault");
    let told = [
        "why it is not legal:",
        "what is legal:",
        "the walk of memory as it stands:",
    ];
    let tells = told.iter().all(|title| text.contains(title));
    assert_eq!(refused, tells, "{name}: {text}");
    println!("{name}: {line}");
}

#[test]
fn the_second_mmu_passes() {
    let output = check(&example(), (1, 2), 20_000);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
}

/// One of the entries' bits, which no answer shows, and one of the glue.
#[test]
fn a_bug_that_is_seeded_in_it_is_found() {
    let quick = [
        "dirty-in-every-entry-of-the-path",
        "id-follows-the-next-request",
    ];
    let chosen: Vec<_> = bugs()
        .into_iter()
        .filter(|bug| quick.contains(&&*bug.name))
        .collect();
    assert_eq!(chosen.len(), quick.len());
    chosen.iter().for_each(must_be_found);
}

#[test]
#[ignore = "builds the design for each bug, which takes a minute: just must-fail"]
fn every_bug_that_is_seeded_in_it_is_found() {
    bugs().iter().for_each(must_be_found);
}
