//! Bugs seeded in model, reference and what they share, and bugs seeded in both twins alike: each is built into a private copy of the package,
//! and `twinwalk check` of that copy must end with exit code 1 and name the comparator that is named for the bug. Also: the seeded bugs
//! are in no build, because each passage stands in the tree as it should.
//!
//! Contract: the section that each bug offends. SDM: 4.5 to 4.10. Counterpart: `must_fail_rtl.rs`; the bugs are in `tests/seeded/`.

use std::collections::BTreeSet;
use std::fs;

use crate::seeded_support::{SeededIn, bugs, root};
use twinwalk::cosim::comparators::Comparator;

#[test]
fn no_build_contains_a_seeded_bug() {
    for bug in bugs() {
        for edit in &bug.edit {
            let text =
                fs::read_to_string(root().join(&edit.file)).expect("a source file can be read");
            let count = text.matches(&edit.find).count();
            assert_eq!(
                count, 1,
                "{}: the passage occurs {count} times in {}: {}",
                bug.name, edit.file, edit.find
            );
            assert!(
                !text.contains(&edit.replace),
                "{}: the bug is in {}: {}",
                bug.name,
                edit.file,
                edit.replace
            );
        }
    }
}

#[test]
fn seeded_bugs_are_spread_over_the_machine_and_over_the_comparators() {
    let bugs = bugs();
    let count = |kind| bugs.iter().filter(|bug| bug.seeded_in == kind).count();
    assert!(count(SeededIn::Rtl) >= 12 && count(SeededIn::Arch) >= 6 && count(SeededIn::Both) >= 4);
    assert!(count(SeededIn::Model) >= 3 && count(SeededIn::Reference) >= 3);
    for part in [
        "TLB",
        "STLB",
        "PSC",
        "walker",
        "A/D",
        "PCID",
        "globals",
        "INVLPG",
        "INVPCID 0",
        "INVPCID 1",
        "INVPCID 2",
        "INVPCID 3",
        "CR3",
        "CR4",
        "right to fill",
        "drops",
        "LRU",
        "tree PLRU",
        "FIFO",
        "NRU",
        "random replacement",
        "pieces of pages",
        "inclusive STLB",
        "response routing",
        "miss queue",
        "merging",
        "arbitration",
        "walkers",
        "prefetch",
        "two data ports",
        "32-bit paging",
    ] {
        let is_of_part = |topic: &String| topic.split(", ").any(|one| one == part);
        assert!(
            bugs.iter()
                .any(|bug| bug.seeded_in == SeededIn::Rtl && is_of_part(&bug.topic)),
            "no bug is seeded in {part}"
        );
    }
    let needed: BTreeSet<_> = bugs
        .iter()
        .filter(|bug| bug.then_slips)
        .map(|bug| bug.finders()[0][0])
        .collect();
    // The memory image follows from the bus, and a twin that answers what was not asked cannot be driven on: docs/must-fail.md. Latencies
    // are compared of a user's design alone, and only where outputs are not: tests/byo.rs.
    let subsumed = [
        Comparator::Memory,
        Comparator::Protocol,
        Comparator::Latency,
    ];
    for comparator in Comparator::ALL
        .into_iter()
        .filter(|comparator| !subsumed.contains(comparator))
    {
        assert!(
            needed.contains(&comparator),
            "nothing shows that {comparator} is needed"
        );
    }
}

#[test]
fn every_seeded_bug_is_in_the_table_of_the_documentation() {
    let page = fs::read_to_string(root().join("docs/must-fail.md")).expect("the page can be read");
    for bug in bugs() {
        let row = format!(
            "| `{}` | {} | {} | {} |",
            bug.name,
            bug.topic,
            bug.what,
            bug.found_by.join(" then ")
        );
        assert!(page.contains(&row), "docs/must-fail.md lacks: {row}");
    }
}

#[cfg(feature = "rtl")]
mod built {
    use std::path::Path;
    use std::process::{Command, Output};
    use std::sync::Mutex;
    use std::time::Instant;

    use serde_json::Value;

    use crate::seeded_support::copy::Copy;
    use crate::seeded_support::{Bug, SeededIn, chosen, line};

    /// A run in which nothing moves any more never ends by itself.
    const HANG_MINUTES: &str = "0.1";

    /// Runs `check`, which says what it found as JSON, or else as text.
    fn check(
        copy: &Copy,
        bug: &Bug,
        binary: &Path,
        silenced: &[String],
        as_json: bool,
    ) -> Result<Output, String> {
        let mut command = Command::new(binary);
        let replays = tempfile::tempdir().map_err(|error| error.to_string())?;
        command.args(["check", "--config", &format!("preset:{}", bug.preset)]);
        command.args(as_json.then_some("--json"));
        command.args([
            "--seeds",
            &format!("{}..{}", bug.seeds.0, bug.seeds.1),
            "--ops",
            &bug.operations.to_string(),
        ]);
        command
            .arg("--replays")
            .arg(replays.path())
            .env("XDG_CACHE_HOME", copy.cache());
        for name in silenced.iter().flat_map(|names| names.split(" or ")) {
            command.args(["--silence", name]);
        }
        if silenced.iter().any(|name| name == "hangs") {
            command.args(["--minutes", HANG_MINUTES]);
        }
        command.output().map_err(|error| error.to_string())
    }

    /// Runs the bug: what to say about it, or what is wrong.
    fn run(copy: &Copy, bug: &Bug, binary: &Path) -> Result<String, String> {
        let mut outcome = String::new();
        for (rank, finder) in bug.found_by.iter().enumerate() {
            let output = check(copy, bug, binary, &bug.found_by[..rank], true)?;
            let first = first_divergence(&output)?;
            let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
            let fits = rank > 0 || text("signal").contains(&bug.signal);
            if output.status.code() != Some(1)
                || !finder.split(" or ").any(|name| name == text("comparator"))
                || !fits
            {
                return Err(format!(
                    "exit code {:?}, {first}, and {finder} should find it; {outcome}",
                    output.status.code()
                ));
            }
            let (by, signal) = (text("comparator"), text("signal"));
            if by == "hangs" {
                let output = check(copy, bug, binary, &bug.found_by[..rank], false)?;
                let said = String::from_utf8_lossy(&output.stdout);
                if !bug.says_who_waits(&said) {
                    return Err(format!("says of who waits for whom: {said}"));
                }
            }
            outcome += &format!("{by} in cycle {}: {signal}; ", first["cycle"]);
        }
        if bug.then_slips {
            let first = first_divergence(&check(copy, bug, binary, &bug.found_by, true)?)?;
            if !first.is_null() {
                return Err(format!("does not slip through: {first}; {outcome}"));
            }
            outcome += "silenced: slips through";
        }
        Ok(outcome)
    }

    fn first_divergence(output: &Output) -> Result<Value, String> {
        let object: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
            format!(
                "no JSON ({error}), and says: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        object
            .get("first_divergence")
            .cloned()
            .ok_or_else(|| "the JSON has no first_divergence".to_owned())
    }

    #[test]
    #[ignore = "builds the package for each bug, which takes minutes: just must-fail"]
    fn every_bug_seeded_in_rust_is_found_by_the_checker_named_for_it() {
        let copy = Copy::new("seeded");
        let troubles = Mutex::new(Vec::new());
        let report = |bug: &Bug, outcome: Result<String, String>, begin: Instant| {
            let seconds = begin.elapsed().as_secs_f64();
            match outcome {
                Ok(text) => println!("{}", line(bug, &text, seconds)),
                Err(text) => {
                    println!("{}", line(bug, &format!("WRONG: {text}"), seconds));
                    troubles
                        .lock()
                        .expect("nobody panics")
                        .push(format!("{}: {text}", bug.name));
                }
            }
        };
        // One bug runs while the next one is built.
        std::thread::scope(|scope| {
            let kinds = [
                SeededIn::Arch,
                SeededIn::Model,
                SeededIn::Reference,
                SeededIn::Both,
            ];
            for bug in chosen(&kinds) {
                let begin = Instant::now();
                match copy.build(&bug.name, &bug.edit) {
                    Ok(binary) => {
                        let (copy, report) = (&copy, &report);
                        scope.spawn(move || report(&bug, run(copy, &bug, &binary), begin));
                    }
                    Err(text) => report(&bug, Err(text), begin),
                }
            }
        });
        copy.restore();
        let troubles = troubles.into_inner().expect("nobody panics");
        assert!(troubles.is_empty(), "{}", troubles.join("\n"));
    }
}
