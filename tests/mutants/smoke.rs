//! The test of itself, as `cargo test` runs it: the mutator, and a few mutants of the smallest machine.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use crate::batch::Batches;
use crate::build::{Builder, sources};
use crate::campaign::{Candidate, Record};
use crate::equivalent;
use crate::guards::{Guarded, apply, constant_functions};
use crate::judge::{Budget, judge};
use crate::machines::MACHINES;
use crate::mutate::{Mutation, Operator, mutations};
use crate::report;
use crate::trial::{Bench, Budgets, Verdict, lock};

type Test = fn() -> Result<(), String>;

const TESTS: [(&str, Test); 6] = [
    ("every_operator_makes_the_changes_that_it_says", operators),
    (
        "assertions_comments_and_parameters_are_not_mutated",
        skipped,
    ),
    (
        "no_entry_of_the_list_of_equivalent_mutants_is_stale",
        no_stale_entry,
    ),
    ("a_choice_is_made_of_what_can_wait_for_it", choices),
    ("who_survives_is_listed_and_counts", survivors_are_listed),
    (
        "a_few_mutants_are_killed_and_survive_where_nobody_looks",
        few_mutants,
    ),
];

/// Runs the tests that these words name part of: all, if there is none.
pub fn run(words: &[String]) -> ExitCode {
    if words.iter().any(|word| word == "--list") {
        for (name, _) in TESTS {
            println!("mutants::{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let mut failed = 0;
    let mut ran = 0;
    for (name, test) in TESTS {
        let path = format!("mutants::{name}");
        if !filters.is_empty() && !filters.iter().any(|filter| path.contains(filter.as_str())) {
            continue;
        }
        ran += 1;
        match test() {
            Ok(()) => println!("test {path} ... ok"),
            Err(error) => {
                failed += 1;
                println!("test {path} ... FAILED\n{error}");
            }
        }
    }
    println!(
        "test result: {}. {} passed; {failed} failed",
        if failed == 0 { "ok" } else { "FAILED" },
        ran - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn made(operator: Operator, text: &str) -> Vec<String> {
    let of_it = mutations(text)
        .into_iter()
        .filter(|mutation| mutation.operator == operator);
    of_it.map(|mutation| mutation.shown(text).after).collect()
}

fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, not {expected:?}"))
    }
}

/// An operator, a text, and what becomes of it.
type Case = (Operator, &'static str, &'static [&'static str]);

const CASES: [Case; 15] = [
    (
        Operator::Swap,
        "assign a = b && c;",
        &["assign a = b || c;"],
    ),
    (Operator::Swap, "assign a = b <= c;", &["assign a = b < c;"]),
    (Operator::Swap, "assign a = &b;", &["assign a = |b;"]),
    (
        Operator::Swap,
        "if (b < c) a <= -d;",
        &["if (b <= c) a <= -d;"],
    ),
    (Operator::DropNegation, "assign a = !b;", &["assign a = b;"]),
    (
        Operator::AddNegation,
        "if (b) a <= c;",
        &["if (!(b)) a <= c;"],
    ),
    (
        Operator::SwapArms,
        "assign a = b ? c ? d : e : f;",
        &[
            "assign a = b ? f : c ? d : e;",
            "assign a = b ? c ? e : d : f;",
        ],
    ),
    (
        Operator::StuckCondition,
        "assign a = b ? c : d;",
        &["assign a = 1'b1 ? c : d;", "assign a = 1'b0 ? c : d;"],
    ),
    (
        Operator::DropOperand,
        "assign a = b && (c || d) && e;",
        &[
            "assign a = b && e;",
            "assign a = (c || d) && e;",
            "assign a = b && (c || d);",
            "assign a = b && (c) && e;",
            "assign a = b && (d) && e;",
        ],
    ),
    (
        Operator::StuckValue,
        "assign a = b[1];",
        &["assign a = '0;", "assign a = '1;"],
    ),
    (
        Operator::Literal,
        "assign a = b + 3'd7;",
        &["assign a = b + 3'd0;", "assign a = b + 3'd6;"],
    ),
    (
        Operator::Range,
        "assign a = b[C:1];",
        &[
            "assign a = b[(C) - 1:1];",
            "assign a = b[C:2];",
            "assign a = b[C:0];",
        ],
    ),
    (
        Operator::Range,
        "logic [W-1:0] a;",
        &["logic [(W-1) - 1:0] a;", "logic [W-1:(0) + 1] a;"],
    ),
    (
        Operator::DropUpdate,
        "always_ff @(posedge c) a[1] <= b;",
        &["always_ff @(posedge c) ;"],
    ),
    (
        Operator::DropAssignment,
        "always_comb begin a = b; if (c) a.d = e; end",
        &["always_comb begin a = b; if (c) ; end"],
    ),
];

fn operators() -> Result<(), String> {
    for (operator, text, expected) in CASES {
        let mut found = made(operator, text);
        let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        found.sort();
        expected.sort();
        equal(text, &found, &expected)?;
    }
    // Lines keep their numbers, and a mutant says where it stands.
    let text = "module m;\nalways_comb begin : choose\n  a = b; // why\n  a =\n    c;\nend\n";
    for mutation in mutations(text) {
        equal(
            "lines",
            &mutation.apply(text).lines().count(),
            &text.lines().count(),
        )?;
    }
    let dropped = mutations(text)
        .into_iter()
        .find(|mutation| mutation.operator == Operator::DropAssignment);
    let shown = dropped.ok_or("nothing is left out")?.shown(text);
    equal(
        "place",
        &(shown.line, shown.within.as_str(), shown.before.as_str()),
        &(4, "choose", "a = c;"),
    )
}

fn skipped() -> Result<(), String> {
    for text in [
        "// assign a = b && c;",
        "/* assign a = b && c; */",
        "module m #(parameter int A = 3) ();",
        "import p::*;",
        "`ifndef SYNTHESIS\nalways_ff a <= b && c;\n`endif",
        "assign unused_a = b && c;",
        "localparam bit IsLegal = A == 3;",
        "if (A > 3) begin : gen_refused $error(\"A && B\"); end",
        "(* keep = 1 *)",
    ] {
        let found = mutations(text);
        equal(text, &found.len(), &0)?;
    }
    // Each file of the RTL has places, and of every operator there are some.
    let mut operators = BTreeSet::new();
    for (name, text) in sources()? {
        let found = mutations(&text);
        if found.is_empty() && !name.ends_with("_sva.sv") {
            return Err(format!("{name}: nothing to mutate"));
        }
        operators.extend(found.into_iter().map(|mutation| mutation.operator));
    }
    equal("operators", &operators.len(), &Operator::ALL.len())
}

fn no_stale_entry() -> Result<(), String> {
    let sources = sources()?;
    let list = equivalent::read()?;
    equal(
        "stale entries",
        &equivalent::stale(&list, &sources),
        &Vec::new(),
    )?;
    if list.iter().any(|entry| entry.reason.trim().is_empty()) {
        return Err("an entry without a reason".to_owned());
    }
    // Of sources that read otherwise every entry is stale.
    let others: Vec<(String, String)> = sources
        .into_iter()
        .map(|(name, _)| (name, String::new()))
        .collect();
    equal(
        "entries of other sources",
        &equivalent::stale(&list, &others).len(),
        &list.len(),
    )
}

fn choices() -> Result<(), String> {
    let constants = BTreeSet::from(["constant".to_owned()]);
    let first = |text: &str, operator| {
        let found = mutations(text)
            .into_iter()
            .find(|mutation| mutation.operator == operator);
        let mutation = found.ok_or_else(|| format!("nothing to change in {text}"))?;
        let guarded = Guarded::of(text, &mutation, &constants);
        Ok::<_, String>(guarded.map(|guarded| {
            let sources = vec![("x.sv".to_owned(), text.to_owned())];
            apply(&sources, &[("x.sv".to_owned(), guarded)])[1]
                .1
                .clone()
        }))
    };
    let chosen = "mutant_pkg::chosen == 32'h5eed0001";
    for (operator, text, expected) in [
        (
            Operator::Swap,
            "assign a = b && c;",
            Some(format!(
                "always_comb begin if ({chosen})  a = b || c; else  a = b && c; end"
            )),
        ),
        (
            Operator::DropUpdate,
            "always_ff @(posedge c) if (d) a <= b;",
            Some(format!(
                "always_ff @(posedge c) if (d) begin if ({chosen}) ; else a <= b; end"
            )),
        ),
        (
            Operator::StuckCondition,
            "always_comb if (d) a = b;",
            Some(format!("always_comb if (({chosen}) ? (1'b1) : (d)) a = b;")),
        ),
        (
            Operator::Swap,
            "function logic f(logic a); return a && b; endfunction",
            Some(format!(
                "function logic f(logic a); begin if ({chosen}) return a || b; else return a && b; end endfunction"
            )),
        ),
        (
            Operator::Swap,
            "function logic constant(logic a); return a && b; endfunction",
            None,
        ),
        (Operator::Literal, "localparam int A = 3;", None),
        (
            Operator::StuckCondition,
            "if (A) begin : gen assign b = c; end",
            None,
        ),
    ] {
        equal(text, &first(text, operator)?, &expected)?;
    }
    Ok(())
}

fn survivors_are_listed() -> Result<(), String> {
    let record = |verdict: &str| Record {
        file: "x.sv".to_owned(),
        operator: "swap".to_owned(),
        line: 7,
        within: "choose".to_owned(),
        before: "a = b && c;".to_owned(),
        after: "a = b || c;".to_owned(),
        copy: 0,
        verdict: verdict.to_owned(),
        reason: None,
        found: None,
        machines: vec!["compact".to_owned()],
        build_seconds: 1.0,
        run_seconds: 1.0,
    };
    let verdicts = [
        "killed",
        "killed",
        "killed",
        "survived",
        "equivalent",
        "same machine",
    ];
    let (text, percentage) = report::summary(&verdicts.map(record), 1.0);
    equal("percentage", &percentage, &75.0)?;
    for part in [
        "Survivors: 1\nrtl/x.sv:7 in choose, swap\n- a = b && c;\n+ a = b || c;\n  on compact",
        "| x.sv | 5 | 3 | 1 | 1 | 1 | 0 |",
        "5 valid mutants: 3 killed, 1 survived, 1 equivalent. Of those that are not equivalent 75.0 % are killed.",
    ] {
        if !text.contains(part) {
            return Err(format!("`{part}` is not in\n{text}"));
        }
    }
    Ok(())
}

/// A mutation of a file by what it makes of a line.
fn chosen(bench: &Bench, file: &str, after: &str) -> Result<Mutation, String> {
    let source = bench
        .sources
        .iter()
        .find(|(name, _)| name == file)
        .ok_or("no such file")?;
    let found = mutations(&source.1)
        .into_iter()
        .find(|mutation| mutation.shown(&source.1).after == after);
    found.ok_or_else(|| format!("{file}: no mutation makes `{after}`"))
}

/// Changes that a thousand operations find.
const KILLED: [(&str, &str); 2] = [
    ("examine.sv", "if (!(error_i)) begin"),
    ("control.sv", "if (!(performs)) begin"),
];

/// A change of what the machine does not contain.
const NOT_CONTAINED: (&str, &str) = ("policy_nru.sv", "if (!rst_ni) used_q <= '0;");

/// The same in one machine, with what it does not contain.
fn together(bench: &Bench, place: &Path) -> Result<(), String> {
    let mut candidates = Vec::new();
    for (file, after) in KILLED.into_iter().chain([NOT_CONTAINED]) {
        let mutation = chosen(bench, file, after)?;
        let source = bench.sources.iter().find(|(name, _)| name == file);
        let shown = mutation.shown(source.map_or("", |(_, text)| text));
        candidates.push(Candidate {
            deck: 0,
            file: file.to_owned(),
            mutation,
            shown,
            copy: 0,
            is_brief: false,
        });
    }
    let verdicts = Mutex::new(BTreeMap::new());
    let keep = |candidate: &Candidate, verdict: &Verdict, _| {
        lock(&verdicts).insert(candidate.file.clone(), verdict.clone());
        Ok(())
    };
    let batches = Batches {
        bench,
        machines: &MACHINES[..1],
        folder: place,
        jobs: 2,
        keep: &keep,
    };
    let alone = batches.run(candidates, &constant_functions(&bench.sources))?;
    equal("for a machine of their own", &alone.len(), &0)?;
    let verdicts = lock(&verdicts);
    let verdict = |file: &str| verdicts.get(file);
    let found = (
        verdict(KILLED[0].0),
        verdict(KILLED[1].0),
        verdict(NOT_CONTAINED.0),
    );
    match found {
        (Some(Verdict::Killed(..)), Some(Verdict::Killed(..)), Some(Verdict::SameMachine)) => {
            Ok(())
        }
        other => Err(format!("together: {other:?}")),
    }
}

fn few_mutants() -> Result<(), String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants/smoke");
    let budget = |operations, silenced| Budget {
        first_seed: 1,
        streams: 1,
        operations,
        silenced,
    };
    let short = budget(1_000, false);
    let long = Budget {
        streams: 0,
        ..short
    };
    let bench = Bench::new(sources()?, Builder::new(&place)?, Budgets { short, long });
    let tried = |(file, after)| {
        let mutation = chosen(&bench, file, after)?;
        let tried = bench.alone(file, &mutation, &MACHINES[..1], &place, false)?;
        Ok::<_, String>(tried.0)
    };
    match tried(NOT_CONTAINED)? {
        Verdict::SameMachine => {}
        other => return Err(format!("{NOT_CONTAINED:?}: {other:?}")),
    }
    // The sound machine survives, else each of these would be an error.
    match tried(KILLED[0])? {
        Verdict::Killed(..) => {}
        other => return Err(format!("{:?}: {other:?}", KILLED[0])),
    }
    together(&bench, &place)?;
    // What was killed alone is found by nobody where nobody looks, and where nothing is done.
    let library = place.join(MACHINES[0].name).join("machine.so");
    for blind in [budget(1_000, true), budget(0, false)] {
        let judged = judge(MACHINES[0], &library, 0, blind, Duration::from_secs(60))?;
        equal("found", &judged.found.is_none(), &true)?;
    }
    Ok(())
}
