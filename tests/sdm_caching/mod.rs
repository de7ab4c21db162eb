//! What the manual says about TLBs, paging-structure caches, PCIDs, globals and each invalidation: a sentence in our words, the shortest
//! history that would show a violation, and what must be seen of it on both twins.
//!
//! Contract: 4, 8.5, 9.3. SDM vol. 3A, 4.10.1 to 4.10.5. Counterpart: `crate::reference`, the same rules as checks of random operations.
//!
//! No emulator in common use has these caches, so nothing but the manual can be asked. The rows are in the modules beside this; here is what runs
//! them. What the manual allows and this machine does not do (to keep a stale entry is allowed, never required) is no row, except
//! where the contract says what this machine does: such rows say so.

#![cfg(feature = "rtl")]

mod cached;
mod invalidated;
mod software;

use std::collections::{BTreeMap, BTreeSet};

use crate::lockstep_support::history::{
    SEEDED, after, lines, responses, run, that_pass_with_a_bug, walks,
};
use cached::CACHED;
use invalidated::INVALIDATED;
use software::SOFTWARE;

/// What a trace must show.
enum Must {
    /// The answers of all requests, in order: `0xPA`, or `#PF` and the error code, or `#GP`.
    Answers(&'static [&'static str]),
    /// So many walks start in all.
    Walks(usize),
    /// So many lines have all of the words, behind the last place that has the first one; `""`: anywhere; [`CELLS`]: of the cells that
    /// are not what they were at first.
    Lines(&'static str, usize, &'static [&'static str]),
}

/// Where [`Must::Lines`] looks at what memory holds in the end.
const CELLS: &str = "cells";

/// A sentence of the manual.
struct Row {
    section: &'static str,
    sentence: &'static str,
    history: &'static str,
    must: &'static [Must],
}

const fn row(
    section: &'static str,
    sentence: &'static str,
    history: &'static str,
    must: &'static [Must],
) -> Row {
    Row {
        section,
        sentence,
        history,
        must,
    }
}

/// Every sentence.
fn rows() -> impl Iterator<Item = &'static Row> {
    CACHED.iter().chain(INVALIDATED).chain(SOFTWARE)
}

/// What each history finds: two spaces, `s` and `t`, with other frames for the same addresses. The root of `s` is 0x1000, that of `t` 0x20000.
const IMAGE: &str = "\
tables 0x1000 accessed
space s 4
map 0x401000 -> 0x9000 4k rw user A D
map 0x402000 -> 0xa000 4k rw user A D
map 0x403000 -> 0xb000 4k rw user A D G
map 0x601000 -> 0xc000 4k rw user A D
map 0x800000 -> 0xe00000 2m rw user A D
map 0xa00000 -> 0x1000000 2m rw user A D G
map 0x40000000 -> 0x80000000 1g rw user A D
map 0x80000000 -> 0xc0000000 1g rw user A D G
tables 0x20000 accessed
space t 4
map 0x401000 -> 0x19000 4k rw user A D
map 0x402000 -> 0x1a000 4k rw user A D
map 0x403000 -> 0x1b000 4k rw user A D
map 0x601000 -> 0x1c000 4k rw user A D
";

/// The machines: the ordinary one, and one without a second level of TLBs.
const MACHINES: [&str; 2] = ["default", "l1-only"];

/// An answer as the rows write it.
fn short(response: &str) -> String {
    let words: Vec<&str> = response.split_whitespace().collect();
    if response.contains("general protection") {
        return "#GP".to_owned();
    }
    match (words.get(2), response.split_once("error code ")) {
        (_, Some((_, code))) => format!("#PF {}", code.split(' ').next().unwrap_or_default()),
        (Some(&"pa"), None) => words[3].to_owned(),
        _ => response.to_owned(),
    }
}

/// What is wrong with `row` on a machine, or nothing.
fn trouble(row: &Row, machine: &str) -> Option<String> {
    // A line of a row is an operation that happens when all before it is over.
    let operations: String = row
        .history
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| match line.strip_suffix(" &") {
            Some(line) => format!("{line}\n"),
            None => format!("{line}\ndrain\n"),
        })
        .collect();
    let trace = run(&format!(
        "config preset:{machine}\nset memory.latency_cycles=6\nset memory.jitter_cycles=0\n{IMAGE}{operations}"
    ))
    .trace;
    row.must.iter().find_map(|must| {
        let (due, found) = match must {
            Must::Answers(due) => {
                let found: Vec<String> = responses(&trace).into_iter().map(short).collect();
                (due.join(", "), found.join(", "))
            }
            Must::Walks(due) => (due.to_string(), walks(&trace).to_string()),
            Must::Lines(mark, due, words) => {
                let (events, cells) = trace.split_once("\nentries changed").unwrap_or_default();
                let found = match *mark {
                    "" => lines(events, words),
                    CELLS => lines(cells, words),
                    mark => lines(after(events, mark), words),
                };
                (
                    format!("{due} of {words:?}"),
                    format!("{found} of {words:?}"),
                )
            }
        };
        (due != found).then(|| {
            format!(
                "{} {}\n  on {machine}: {found}, and not {due}, in\n{trace}",
                row.section, row.sentence
            )
        })
    })
}

#[test]
fn each_sentence_of_the_manual_on_caching_holds_on_both_twins() {
    // With a bug one machine is enough.
    let machines = if std::env::var_os(SEEDED).is_some() {
        1
    } else {
        MACHINES.len()
    };
    let troubles: Vec<String> = MACHINES[..machines]
        .iter()
        .flat_map(|machine| rows().filter_map(|row| trouble(row, machine)))
        .collect();
    assert!(
        troubles.is_empty(),
        "{} rows fail:\n{}",
        troubles.len(),
        troubles.join("\n\n")
    );
}

#[test]
fn every_section_on_caching_has_its_sentences() {
    let mut count = BTreeMap::new();
    for row in rows() {
        let section: String = row
            .section
            .splitn(4, '.')
            .take(3)
            .collect::<Vec<_>>()
            .join(".");
        *count.entry(section).or_insert(0) += 1;
        assert!(
            !row.must.is_empty() && row.sentence.ends_with('.'),
            "{}",
            row.sentence
        );
    }
    println!("{} sentences: {count:?}", rows().count());
    let due = ["4.10.1", "4.10.2", "4.10.3", "4.10.4", "4.10.5"];
    assert_eq!(count.keys().map(String::as_str).collect::<Vec<_>>(), due);
    assert!(rows().count() >= 25);
    let sentences: BTreeSet<&str> = rows().map(|row| row.sentence).collect();
    assert_eq!(sentences.len(), rows().count());
}

/// Bugs of `../seeded` in what the sentences are about.
const CAUGHT: [&str; 20] = [
    "cr3-removes-the-context-it-leaves",
    "cr4-pcide-off-spares-globals",
    "cr4-smep-spares-globals",
    "drop-spares-globals",
    "global-without-pge",
    "invlpg-of-any-address",
    "invlpg-of-the-address-before",
    "invlpg-spares-globals",
    "invpcid-0-takes-globals",
    "invpcid-1-of-the-current-context",
    "invpcid-2-spares-globals",
    "invpcid-3-one-context",
    "pcid-upper-half-lost",
    "pcide-with-a-pcid-set",
    "psc-entry-grants-writes",
    "psc-forgets-the-pcid",
    "psc-highest-level-counts",
    "right-survives-an-invalidation",
    "tlb-context-takes-globals",
    "tlb-rights-frozen",
];

#[test]
#[ignore = "builds the RTL for each bug, which takes minutes: just must-fail"]
fn a_bug_in_what_a_sentence_is_about_breaks_a_row() {
    let test = "each_sentence_of_the_manual_on_caching_holds_on_both_twins";
    let missed = that_pass_with_a_bug("sdm_caching", &CAUGHT.map(|bug| (bug, test)));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
