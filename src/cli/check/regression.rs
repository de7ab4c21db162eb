//! A daily regression: a part of the seeds for each of several computers, failures in groups, and what a pipeline reads of them.
//!
//! Contract: none. SDM: none. Counterpart: none; `docs/regression.md` is the page for users.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args as ClapArgs;
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::report::{Failed, Verdict};
use crate::cli::error::CliError;
use crate::cli::output::Context;
use crate::cli::{grouped, table};
use crate::cosim::divergence::write_atomically;
use crate::cosim::floors::Missed;

/// What a pipeline wants of a run.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "In a pipeline (docs/regression.md)")]
pub(super) struct RegressionArgs {
    /// Write the result as JUnit XML: a test case for each seed
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
    /// Run part I of N of the seeds, in which each seed is in one part
    #[arg(long, value_name = "I/N", requires = "seeds")]
    shard: Option<Shard>,
    /// Also print each group of failures as an annotation, on standard error
    #[arg(long, value_enum, value_name = "WHOSE")]
    annotations: Option<Annotations>,
}

/// Whose annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Annotations {
    /// Workflow commands of GitHub Actions
    Github,
}

/// A part of the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    /// From 1.
    part: u64,
    parts: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "give the part and the number of parts, as in 2/5".to_owned();
        let (part, parts) = text.split_once('/').ok_or_else(error)?;
        let part = part.parse().map_err(|_| error())?;
        let parts = parts.parse().map_err(|_| error())?;
        if (1..=parts).contains(&part) {
            Ok(Self { part, parts })
        } else {
            Err("the part is at least 1 and at most the number of parts".to_owned())
        }
    }
}

impl Shard {
    /// Its seeds of those from `first` to `last`, if it has any. Parts differ by one seed at most, and follow each other.
    fn of(self, first: u64, last: u64) -> Option<(u64, u64)> {
        let seeds = u128::from(last - first) + 1;
        let bound = |part: u64| seeds * u128::from(part) / u128::from(self.parts);
        let (begin, end) = (bound(self.part - 1), bound(self.part));
        // Both are below 2^64, since the seeds are.
        (begin < end).then(|| (first + begin as u64, first + (end - 1) as u64))
    }
}

impl RegressionArgs {
    /// The seeds of this part.
    ///
    /// # Errors
    /// There are more parts than seeds, and this one has none.
    pub(super) fn seeds(&self, (first, last): (u64, u64)) -> Result<(u64, u64), CliError> {
        let Some(shard) = self.shard else {
            return Ok((first, last));
        };
        shard.of(first, last).ok_or_else(|| {
            CliError::new(
                format_args!(
                    "--shard {}/{}: no seed of {first}..{last} falls into this part",
                    shard.part, shard.parts
                ),
                "give at most as many parts as there are seeds",
            )
        })
    }

    /// Makes sure that the file can be written, before hours are run.
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn prepare(&self) -> Result<(), CliError> {
        let Some(path) = &self.junit else {
            return Ok(());
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        tempfile::tempfile_in(directory)
            .map(drop)
            .map_err(|error| unwritable(path, &error))
    }

    /// Writes what the pipeline reads of a run. `cases`: by name what was run, with what it ran for.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn tell(
        &self,
        verdict: &Verdict<'_>,
        cases: &[Case],
        context: &mut Context,
    ) -> Result<(), CliError> {
        if self.annotations.is_some() {
            for line in annotations(verdict) {
                context.note(&line);
            }
        }
        let Some(path) = &self.junit else {
            return Ok(());
        };
        write_junit(path, &suite(verdict, cases)).map_err(|error| unwritable(path, &error))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(
        format_args!("--junit {}: cannot be written: {error}", path.display()),
        "name a file in a directory that exists and can be written",
    )
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// As [`Failed::case`] of its failures.
    pub name: String,
    /// Streams of it that were run to their end or to a difference.
    pub ran: u64,
    /// Streams that were due; `None` if there is no such number.
    pub due: Option<u64>,
}

/// Failures that are probably one: the same signal, with the same kind of operation before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    /// The signal, without addresses.
    pub signal: String,
    /// Who found it.
    pub comparator: String,
    /// The kind of the last operation before it.
    pub operation: String,
    /// How many.
    pub count: u64,
    /// Which ones, by name.
    pub runs: Vec<String>,
    /// The replay file of the one with the fewest operations.
    pub replay: Option<PathBuf>,
}

/// The failures in groups, those with most members first.
pub(super) fn groups(failed: &[Failed]) -> Vec<Group> {
    let mut by_kind: BTreeMap<(String, String, String), Vec<&Failed>> = BTreeMap::new();
    for one in failed {
        let signal = without_addresses(&one.finding.signal);
        let comparator = one.finding.comparator.to_string();
        let kind = (signal, comparator, one.operation.clone());
        by_kind.entry(kind).or_default().push(one);
    }
    let mut groups: Vec<Group> = by_kind
        .into_iter()
        .map(|((signal, comparator, operation), members)| Group {
            signal,
            comparator,
            operation,
            count: members.len() as u64,
            runs: members.iter().map(|one| one.name.clone()).collect(),
            replay: members
                .iter()
                .min_by_key(|one| one.operations)
                .and_then(|one| one.divergence.replay.clone()),
        })
        .collect();
    // Stable: groups of one size stay in the order of their signals.
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

/// Addresses differ from run to run where the cause is one.
fn without_addresses(signal: &str) -> String {
    let words = signal.split_whitespace();
    let kept: Vec<&str> = words.filter(|word| !word.starts_with("0x")).collect();
    kept.join(" ")
}

/// The groups as a table; nothing if there is but one run with a difference.
pub(super) fn groups_table(failed: &[Failed]) -> String {
    if failed.len() < 2 {
        return String::new();
    }
    let rows: Vec<Vec<String>> = groups(failed)
        .into_iter()
        .map(|group| {
            let replay = group.replay.map(|path| path.display().to_string());
            vec![
                grouped(group.count),
                group.signal,
                group.operation,
                replay.unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &["runs", "signal", "last operation before", "shortest replay"],
        &rows,
    )
}

fn suite(verdict: &Verdict<'_>, cases: &[Case]) -> TestSuite {
    let hash = verdict.loaded.config.hash();
    let name = format!("twinwalk check: {}", verdict.loaded.name);
    let mut suite = TestSuite::new(name.as_str());
    suite.add_property(Property::new("config_hash", hash.as_str()));
    suite.add_property(Property::new("what", verdict.what.as_str()));
    let mut add = |name: &str, status| {
        let mut case = TestCase::new(name, status);
        case.set_classname(format!("twinwalk.check.{hash}"));
        suite.add_test_case(case);
    };
    for case in cases {
        let failures = verdict.failed.iter().filter(|one| one.case == case.name);
        add(&case.name, status_of(case, &failures.collect::<Vec<_>>()));
    }
    if verdict.failed.is_empty() {
        add("exercised enough", status_of_floors(verdict));
    }
    suite
}

fn status_of(case: &Case, failures: &[&Failed]) -> TestCaseStatus {
    let Some(first) = failures.first() else {
        if case.due.is_some_and(|due| case.ran < due) {
            let mut status = TestCaseStatus::skipped();
            let due = case.due.unwrap_or_default();
            status.set_message(format!(
                "time was up, or another failure ended the run: {} of {due} streams ran",
                case.ran
            ));
            return status;
        }
        return TestCaseStatus::success();
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(first.finding.comparator.to_string());
    status.set_message(headline(first));
    let mut text = String::new();
    for one in failures {
        // Writing into a string does not fail.
        let report = one.finding.report(one.divergence.story.as_ref());
        let _ = writeln!(text, "{}: {report}{}", one.name, one.again);
    }
    status.set_description(text);
    status
}

/// A failure in one line, with what repeats it.
fn headline(one: &Failed) -> String {
    let finding = &one.finding;
    let [first, second] = finding.labels;
    format!(
        "{}: cycle {}, {}: {first} {}, {second} {}; {}",
        one.name,
        finding.cycle,
        finding.signal,
        finding.model,
        finding.rtl,
        one.again.trim_end()
    )
}

fn status_of_floors(verdict: &Verdict<'_>) -> TestCaseStatus {
    if verdict.holds() {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type("vacuous");
    let lines: Vec<String> = verdict.missed.iter().map(missed_line).collect();
    status.set_message(if lines.is_empty() {
        "responses could not be judged".to_owned()
    } else {
        lines.join("; ")
    });
    status
}

fn missed_line(missed: &Missed) -> String {
    let Missed { name, count, floor } = missed;
    format!("{name}: {count}, at least {floor} are due")
}

fn write_junit(path: &Path, suite: &TestSuite) -> std::io::Result<()> {
    let mut report = quick_junit::Report::new("twinwalk");
    report.add_test_suite(suite.clone());
    write_atomically(path, |out| {
        report.serialize(out).map_err(std::io::Error::other)
    })
}

/// A workflow command for each group, and one for floors that were missed.
fn annotations(verdict: &Verdict<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups(verdict.failed) {
        let of_group = |one: &&Failed| group.runs.contains(&one.name);
        let Some(first) = verdict.failed.iter().find(of_group) else {
            continue;
        };
        let title = format!("{} ({} runs)", group.signal, group.count);
        lines.push(error_command(&title, &headline(first)));
    }
    for missed in verdict.missed {
        lines.push(error_command(
            "the run says too little",
            &missed_line(missed),
        ));
    }
    lines
}

/// `::error`, whose text must not hold what ends it.
fn error_command(title: &str, message: &str) -> String {
    let plain = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let title = plain(title).replace(':', "%3A").replace(',', "%2C");
    format!("::error title={title}::{}", plain(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::comparators::Comparator;
    use crate::cosim::divergence::{Finding, FirstDivergence, TWINS};
    use proptest::prelude::*;

    fn failed(name: &str, signal: &str, operation: &str, operations: u64) -> Failed {
        let finding = Finding {
            cycle: 7,
            comparator: Comparator::Bus,
            signal: signal.to_owned(),
            model: "1".to_owned(),
            rtl: "2".to_owned(),
            labels: TWINS,
            details: Vec::new(),
            context: Vec::new(),
        };
        Failed {
            name: name.to_owned(),
            case: name.to_owned(),
            operation: operation.to_owned(),
            operations,
            again: "again: twinwalk replay x.stim\n".to_owned(),
            divergence: FirstDivergence::new(
                &finding,
                Some(PathBuf::from(format!("{name}.stim"))),
                None,
            ),
            finding,
        }
    }

    #[test]
    fn failures_of_one_signal_and_operation_are_one_group_led_by_the_shortest() {
        let failures = [
            failed("seed 1", "memory cell 0x1000", "write", 90),
            failed("seed 2", "mon_tlb_op_o[2]", "invlpg", 5),
            failed("seed 3", "memory cell 0x2008", "write", 40),
            failed("seed 4", "memory cell 0x2008", "fetch", 40),
        ];
        let groups = groups(&failures);
        let told: Vec<_> = groups
            .iter()
            .map(|group| (group.signal.as_str(), group.operation.as_str(), group.count))
            .collect();
        assert_eq!(
            told,
            [
                ("memory cell", "write", 2),
                ("memory cell", "fetch", 1),
                ("mon_tlb_op_o[2]", "invlpg", 1)
            ]
        );
        assert_eq!(groups[0].replay, Some(PathBuf::from("seed 3.stim")));
        assert_eq!(groups[0].runs, ["seed 1", "seed 3"]);
    }

    #[test]
    fn a_command_keeps_its_line_and_its_title() {
        assert_eq!(
            error_command("a: b, c", "50 %\nnext"),
            "::error title=a%3A b%2C c::50 %25%0Anext"
        );
    }

    #[test]
    fn a_case_that_did_not_run_to_its_end_is_skipped_and_not_passed() {
        let case = |ran| Case {
            name: "seed 1".to_owned(),
            ran,
            due: Some(2),
        };
        assert!(matches!(
            status_of(&case(2), &[]),
            TestCaseStatus::Success { .. }
        ));
        assert!(matches!(
            status_of(&case(1), &[]),
            TestCaseStatus::Skipped { .. }
        ));
        let one = failed("seed 1", "x", "read", 1);
        assert!(matches!(
            status_of(&case(1), &[&one]),
            TestCaseStatus::NonSuccess { .. }
        ));
    }

    proptest! {
        #[test]
        fn every_seed_is_in_one_part(first: u64, more in 0u64..1000, parts in 1u64..40) {
            let last = first.saturating_add(more);
            let mut next = Some(first);
            for part in 1..=parts {
                if let Some((begin, end)) = (Shard { part, parts }).of(first, last) {
                    prop_assert_eq!(Some(begin), next);
                    prop_assert!(begin <= end);
                    next = end.checked_add(1);
                }
            }
            prop_assert_eq!(next, last.checked_add(1));
        }
    }
}
