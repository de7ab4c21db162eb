//! `docs/run.md` defines each figure once, in the words of the docstrings; and no key of `--json` is without a definition.

use std::fmt::Write as _;

use schemars::{JsonSchema, schema_for};
use serde_json::Value as Json;

use super::figures::{ARRAY_EVENTS, Figures, KEYS};
use super::request_rows::COLUMNS;
use crate::config::Config;
use crate::cosim::request_log::Cause;
use crate::model::events::{Events, MissEvents};
use crate::model::latency::LatencySummary;
use crate::model::performance_counters::EVENTS;
use crate::model::statistics::{
    LevelStatistics, MissQueueStatistics, PrefetchStatistics, PscStatistics, Statistics,
    WalkStatistics,
};
use crate::trace::Counts;

const DOCUMENT: &str = include_str!("../../../../docs/run.md");
const BEGIN: &str = "<!-- begin: drawn from the docstrings -->\n";
const END: &str = "<!-- end -->\n";

/// A description in one line.
fn line(text: &Json) -> String {
    text.as_str().expect("a docstring").replace('\n', " ")
}

/// Where the types stand.
const SOURCES: [&str; 3] = [
    include_str!("../../../model/statistics.rs"),
    include_str!("../../../model/latency.rs"),
    include_str!("../../../model/events.rs"),
];

/// The fields of a type, with their docstrings, in the order of its source.
fn fields<T: JsonSchema>() -> Vec<(String, String)> {
    let schema = schema_for!(T);
    let properties = schema.as_value()["properties"].as_object().expect("fields");
    let head = format!("pub struct {} {{", T::schema_name());
    let source = SOURCES
        .iter()
        .find_map(|source| source.split_once(head.as_str()));
    let (_, body) = source.expect("a source");
    let place = |name: &str| body.find(&format!("pub {}:", name.replace('.', "_")));
    let mut all: Vec<(String, String)> = properties
        .iter()
        .map(|(name, field)| (name.clone(), line(&field["description"])))
        .collect();
    all.sort_by_key(|(name, _)| place(name).expect("a field"));
    all
}

/// The causes of cycles, with their docstrings.
fn causes() -> Vec<(String, String)> {
    let schema = schema_for!(Cause);
    let variants = schema.as_value()["oneOf"].as_array().expect("variants");
    let columns = Cause::ALL.iter().map(|(_, column)| (*column).to_owned());
    assert_eq!(variants.len(), Cause::ALL.len());
    columns
        .zip(variants.iter().map(|variant| line(&variant["description"])))
        .collect()
}

fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
    pairs.into_iter().map(owned).collect()
}

/// The sums among the events, which are no counters.
fn sums() -> Vec<(String, String)> {
    let all = fields::<MissEvents>();
    let is_sum = |name: &str| ["walk_completed", "stlb_hit"].contains(&name);
    all.into_iter().filter(|(name, _)| is_sum(name)).collect()
}

fn section(out: &mut String, title: &str, rows: &[(String, String)]) {
    let _ = write!(out, "### {title}\n\n| | |\n| --- | --- |\n");
    for (name, text) in rows {
        let _ = writeln!(out, "| `{name}` | {} |", text.replace('|', "\\|"));
    }
    out.push('\n');
}

fn definitions() -> String {
    let mut out = String::new();
    section(
        &mut out,
        "The whole, and each of `intervals`",
        &pairs(KEYS.into_iter().chain(ARRAY_EVENTS)),
    );
    section(
        &mut out,
        "`itlb`, `dtlb`, `stlb`",
        &fields::<LevelStatistics>(),
    );
    section(
        &mut out,
        "`psc`: each of `pde`, `pdpte`, `pml4e`, `pml5e`",
        &fields::<PscStatistics>(),
    );
    section(&mut out, "`walks`", &fields::<WalkStatistics>());
    section(
        &mut out,
        "`walks.latency_cycles`",
        &fields::<LatencySummary>(),
    );
    section(&mut out, "`miss_queue`", &fields::<MissQueueStatistics>());
    section(&mut out, "`prefetches`", &fields::<PrefetchStatistics>());
    let counters = EVENTS.map(|event| match event.name {
        "tlb_flush" => ("tlb_flush.stlb_any", event.meaning),
        name => (name, event.meaning),
    });
    section(
        &mut out,
        "`events`: the performance counters",
        &pairs(counters),
    );
    section(
        &mut out,
        "`events`: sums, under each of the three prefixes",
        &sums(),
    );
    section(
        &mut out,
        "`--requests`: columns of a row",
        &pairs(COLUMNS.map(|(name, _, _, text)| (name, text))),
    );
    section(&mut out, "`--requests`: columns of causes", &causes());
    out
}

#[test]
fn the_page_says_of_each_figure_what_its_docstring_says() {
    let (_, rest) = DOCUMENT.split_once(BEGIN).expect("where definitions begin");
    let (found, _) = rest.split_once(END).expect("where they end");
    let expected = format!("\n{}", definitions());
    assert!(
        found == expected,
        "docs/run.md must say, between its two comments:\n{expected}"
    );
}

#[test]
fn no_key_is_without_a_definition() {
    let figures = Figures {
        counts: Counts::default(),
        crossings: 0,
        fetches_are_instructions: false,
        statistics: Statistics::new(&Config::default()),
        events: Events::default(),
    };
    let object = figures.json();
    let defined = |path: &str| KEYS.iter().any(|(name, _)| *name == path);
    for key in object.as_object().expect("an object").keys() {
        assert!(defined(key), "{key}");
    }
    let mut known: Vec<String> = Vec::new();
    let within = |prefix: &str, rows: Vec<(String, String)>| -> Vec<String> {
        rows.into_iter()
            .map(|(name, _)| format!("{prefix}.{name}"))
            .collect()
    };
    for level in ["itlb", "dtlb", "stlb"] {
        known.extend(within(level, fields::<LevelStatistics>()));
    }
    for cache in ["pde", "pdpte", "pml4e", "pml5e"] {
        known.extend(within(&format!("psc.{cache}"), fields::<PscStatistics>()));
    }
    known.extend(within("walks", fields::<WalkStatistics>()));
    known.extend(within("walks.latency_cycles", fields::<LatencySummary>()));
    known.extend(within("miss_queue", fields::<MissQueueStatistics>()));
    known.extend(within("prefetches", fields::<PrefetchStatistics>()));
    for kind in ["dtlb_load_misses", "dtlb_store_misses", "itlb_misses"] {
        known.extend(within(&format!("events.{kind}"), fields::<MissEvents>()));
    }
    known.push("events.tlb_flush.stlb_any".to_owned());
    known.extend(
        KEYS.iter()
            .chain(&ARRAY_EVENTS)
            .map(|(name, _)| (*name).to_owned()),
    );
    let mut paths = Vec::new();
    collect("", &object, &mut paths);
    for path in paths {
        let covered = known
            .iter()
            .any(|name| *name == path || matches(name, &path));
        assert!(covered, "{path} has no definition");
    }
}

/// Whether a definition with a `*` for the name of a level stands for this path.
fn matches(name: &str, path: &str) -> bool {
    name.split_once('*')
        .is_some_and(|(before, after)| path.starts_with(before) && path.ends_with(after))
}

fn collect(path: &str, value: &Json, out: &mut Vec<String>) {
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect(&below, value, out);
            }
        }
        _ => out.push(path.to_owned()),
    }
}
