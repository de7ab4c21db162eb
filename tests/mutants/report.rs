//! What a campaign came to: tables by file, by operator and by what found the mutants, and the survivors.
//!
//! Contract: none. SDM: none. Counterpart: `docs/mutants.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::campaign::Record;
use crate::mutate::{Operator, Shown};

/// A mutant as a small diff.
pub fn diff(file: &str, operator: &str, shown: &Shown) -> String {
    let Shown {
        line,
        within,
        before,
        after,
    } = shown;
    format!("rtl/{file}:{line} in {within}, {operator}\n- {before}\n+ {after}")
}

const VERDICTS: [&str; 5] = [
    "killed",
    "survived",
    "equivalent",
    "same machine",
    "not compiling",
];

type Counts<'a> = BTreeMap<&'a str, [usize; VERDICTS.len()]>;

fn table(title: &str, counts: &Counts<'_>, keys: &[&str]) -> String {
    let mut text = format!("| {title} | valid |");
    for verdict in VERDICTS {
        let _ = write!(text, " {verdict} |");
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" --- |".repeat(VERDICTS.len()));
    text.push('\n');
    let mut sum = [0; VERDICTS.len()];
    let mut row = |name: &str, row: [usize; VERDICTS.len()]| {
        let valid: usize = row[..3].iter().sum();
        let _ = write!(text, "| {name} | {valid} |");
        for count in row {
            let _ = write!(text, " {count} |");
        }
        text.push('\n');
    };
    for key in keys {
        let counts = counts.get(key).copied().unwrap_or_default();
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
        row(key, counts);
    }
    row("all", sum);
    text
}

/// The summary for a person, and the percentage that was found of what was to be found.
pub fn summary(records: &[Record], seconds: f64) -> (String, f64) {
    let (mut by_file, mut by_operator): (Counts<'_>, Counts<'_>) =
        (BTreeMap::new(), BTreeMap::new());
    let mut by_finder: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records {
        let Some(verdict) = VERDICTS
            .iter()
            .position(|verdict| *verdict == record.verdict)
        else {
            continue;
        };
        by_file.entry(&record.file).or_default()[verdict] += 1;
        by_operator.entry(&record.operator).or_default()[verdict] += 1;
        if let Some(found) = &record.found {
            *by_finder.entry(&found.by).or_default() += 1;
        }
    }
    let files: Vec<&str> = by_file.keys().copied().collect();
    let operators = Operator::ALL.map(Operator::name);
    let mut text = format!(
        "{}\n{}\n",
        table("file", &by_file, &files),
        table("operator", &by_operator, &operators)
    );
    text.push_str("| found by | mutants |\n| --- | --- |\n");
    for (finder, count) in by_finder {
        let _ = writeln!(text, "| {finder} | {count} |");
    }
    for (verdict, title) in [("survived", "Survivors"), ("equivalent", "Equivalent")] {
        let found: Vec<&Record> = records
            .iter()
            .filter(|record| record.verdict == verdict)
            .collect();
        let _ = writeln!(text, "\n{title}: {}", found.len());
        for record in found {
            let _ = writeln!(
                text,
                "{}",
                diff(&record.file, &record.operator, &record.shown())
            );
            let _ = match &record.reason {
                Some(reason) => writeln!(text, "  {reason}"),
                None => writeln!(text, "  on {}", record.machines.join(", ")),
            };
        }
    }
    let count = |verdict: &str| {
        records
            .iter()
            .filter(|record| record.verdict == verdict)
            .count()
    };
    let (killed, survived, equivalent) = (count("killed"), count("survived"), count("equivalent"));
    let due = killed + survived;
    let percentage = if due == 0 {
        100.0
    } else {
        killed as f64 * 100.0 / due as f64
    };
    let build: f64 = records.iter().map(|record| record.build_seconds).sum();
    let run: f64 = records.iter().map(|record| record.run_seconds).sum();
    let _ = write!(
        text,
        "\n{} valid mutants: {killed} killed, {survived} survived, {equivalent} equivalent. Of those that are not equivalent {percentage:.1} % are killed.\n\
         {seconds:.0} s; over all threads {build:.0} s building, {run:.0} s running",
        due + equivalent
    );
    (text, percentage)
}
