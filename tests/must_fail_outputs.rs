//! Bugs seeded in what is told of a run (rows of requests and of intervals, lines of events), each in a copy that no build contains: the unit
//! test that is named for it fails.
//!
//! Contract: none. SDM: none. Counterpart: `must_fail_rust.rs`, bugs that `check` finds; the bugs are in `tests/seeded_outputs/`.

use std::fs;

use crate::seeded_support::{output_bugs, root};

#[test]
fn no_build_contains_a_bug_in_what_is_told_and_the_documentation_has_each() {
    let page = fs::read_to_string(root().join("docs/must-fail.md")).expect("the page can be read");
    let bugs = output_bugs();
    for module in ["request_log", "intervals", "events"] {
        let count = bugs.iter().filter(|bug| bug.test.contains(module)).count();
        assert!(count >= 2, "{count} bugs in {module}");
    }
    for bug in bugs {
        let (name, test) = (&bug.name, &bug.test);
        let short = test.rsplit("::").next().unwrap_or_default();
        let row = format!("| `{name}` | {} | {} | `{short}` |", bug.topic, bug.what);
        assert!(page.contains(&row), "docs/must-fail.md lacks: {row}");
        for edit in &bug.edit {
            let text = fs::read_to_string(root().join(&edit.file)).expect("it can be read");
            assert_eq!(text.matches(&edit.find).count(), 1, "{name}: {}", edit.file);
            assert!(!text.contains(&edit.replace), "{name}: {}", edit.file);
        }
    }
}

#[cfg(feature = "rtl")]
#[test]
#[ignore = "builds the tests of the library for each bug, which takes minutes: just must-fail"]
fn every_bug_in_what_is_told_is_found_by_the_test_named_for_it() {
    use crate::seeded_support::chosen_output_bugs;
    use crate::seeded_support::copy::Copy;

    let copy = Copy::new("seeded-outputs");
    let mut wrong = Vec::new();
    for bug in chosen_output_bugs() {
        let outcome = copy.fails(&bug.edit, &bug.test);
        match &outcome {
            Ok((true, _)) => println!("{:<34} {}", bug.name, bug.test),
            other => wrong.push(format!("{}: {other:?}", bug.name)),
        }
    }
    // Without a bug they pass; else what fails above would prove nothing.
    let mut tests: Vec<String> = chosen_output_bugs()
        .into_iter()
        .map(|bug| bug.test)
        .collect();
    tests.dedup();
    for test in tests {
        match copy.fails(&[], &test) {
            Ok((false, _)) => {}
            other => wrong.push(format!("without a bug: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
