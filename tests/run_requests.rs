//! `twinwalk run` in parts: warm-up and intervals, with requests in flight at their borders, and a row a request; the same from model and RTL.
//!
//! Contract: 10, 10.2, 13.1. SDM: none. Counterpart: none.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");

/// The figures of `twinwalk run`, with verilated machines kept beside the build.
fn figures(arguments: &[&str], input: &str) -> Json {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["run", "--json"])
        .args(arguments)
        .env("XDG_CACHE_HOME", crate::machines_support::CACHE_HOME)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that refuses its arguments does not read.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

fn shipped(arguments: &[&str]) -> Json {
    figures(&[&["--trace", SHIPPED], arguments].concat(), "")
}

const WINDOW: [&str; 4] = [
    "--set",
    "front_end.window=16",
    "--set",
    "ports.queue_entries=16",
];

/// Keys whose values are no counts.
const APART: [&str; 9] = [
    "max",
    "first_reference",
    "setup_cycles",
    "pages",
    "skipped",
    "warmup",
    "mapping",
    "front_end",
    "intervals",
];

/// The whole numbers that add up: all but percentiles and rates.
fn counts(path: &str, value: &Json, out: &mut Vec<(String, u64)>) {
    match value {
        Json::Object(entries) => {
            for (key, value) in entries {
                let is_percentile = key.len() > 1
                    && key.starts_with('p')
                    && key[1..].starts_with(|c: char| c.is_ascii_digit());
                let adds_up = !is_percentile && !APART.contains(&key.as_str());
                if adds_up {
                    counts(&format!("{path}.{key}"), value, out);
                }
            }
        }
        Json::Array(elements) => {
            for (number, value) in elements.iter().enumerate() {
                counts(&format!("{path}.{number}"), value, out);
            }
        }
        value => out.extend(value.as_u64().map(|count| (path.to_owned(), count))),
    }
}

fn counts_of(value: &Json) -> Vec<(String, u64)> {
    let mut out = Vec::new();
    counts("", value, &mut out);
    out
}

#[test]
fn intervals_add_up_to_the_whole_and_do_not_change_it() {
    for more in [&[][..], &WINDOW] {
        let window = [&["--skip", "700000", "--count", "50000"], more].concat();
        let whole = shipped(&window);
        let cut = shipped(&[&window, &["--interval", "7000"][..]].concat());
        let intervals = cut["intervals"].as_array().expect("an array").clone();
        assert_eq!(intervals.len(), 8);
        assert_eq!(intervals[7]["references"], 1000);
        assert_eq!(intervals[7]["first_reference"], 700_000 + 49_000);
        let mut same = cut.clone();
        same.as_object_mut().expect("an object").remove("intervals");
        assert_eq!(same, whole);
        let all = counts_of(&whole);
        assert!(all.len() > 80);
        for (path, count) in all {
            let of = |interval| {
                counts_of(interval)
                    .into_iter()
                    .find(|(own, _)| *own == path)
            };
            let sum: u64 = intervals
                .iter()
                .filter_map(of)
                .map(|(_, count)| count)
                .sum();
            assert_eq!(sum, count, "{path}");
        }
    }
}

#[test]
fn after_a_warm_up_the_figures_are_those_of_the_interval_that_begins_there() {
    for more in [&[][..], &WINDOW, &["--set", "front_end.issue_gap_cycles=3"]] {
        let base = [&["--skip", "700000", "--interval", "30000"], more].concat();
        let cold = shipped(&[&base, &["--count", "40000"][..]].concat());
        let warm = shipped(&[&base, &["--warmup", "30000", "--count", "10000"][..]].concat());
        assert_eq!(warm["warmup"], 30_000);
        assert_eq!(warm["references"], 10_000);
        assert_eq!(warm["intervals"][0], cold["intervals"][1]);
        assert_eq!(warm["cycles"], cold["intervals"][1]["cycles"]);
        // State is kept: the same references on an empty machine miss more.
        let empty = shipped(&[&["--skip", "730000", "--count", "10000"], more].concat());
        let misses = |found: &Json| found["itlb"]["misses"].as_u64().expect("a count");
        assert!(misses(&warm) < misses(&empty));
    }
}

/// The rule of borders: accepted before it counts before it; look-up, walk and answer count where they perform.
#[test]
fn a_request_in_flight_at_a_border_counts_where_each_thing_performs() {
    let trace = " L 1ffeffe7e0,8\n L 1ffeffe7e8,8\n L 1ffeffe7e8,8\n";
    let arguments = ["--trace", "-", "--interval", "1"];
    let found = figures(&[&arguments[..], &WINDOW].concat(), trace);
    let of = |interval: usize, path: &str| {
        let value = found["intervals"][interval].pointer(path);
        value.and_then(Json::as_u64).expect("a count")
    };
    // One is accepted a cycle, and looked up in the next; the first walks and the others merge and wait for it.
    for (path, expected) in [
        ("/translations", [1, 1, 1]),
        ("/dtlb/lookups", [0, 1, 4]),
        ("/dtlb/merged", [0, 0, 2]),
        ("/walks/started", [0, 0, 1]),
        ("/walks/completed", [0, 0, 1]),
        ("/walks/latency_cycles/count", [0, 0, 1]),
        ("/events/dtlb_load_misses/walk_completed_4k", [0, 0, 1]),
        ("/events/page_walker_loads", [0, 0, 4]),
    ] {
        let counted = [0, 1, 2].map(|interval| of(interval, path));
        assert_eq!(counted, expected, "{path}");
    }
    assert_eq!(of(1, "/cycles"), 1);
}

/// Columns of a file of rows, by name.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).expect("it is there");
    let names = reader.headers().expect("a headline");
    let names: Vec<String> = names.iter().map(str::to_owned).collect();
    let rows = reader
        .records()
        .map(|row| row.expect("a row").iter().map(str::to_owned).collect());
    (names, rows.collect())
}

#[test]
fn rows_of_requests_add_up_to_the_figures_and_their_causes_to_the_latency() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("requests.csv");
    let name = path.to_str().expect("UTF-8");
    let window = [
        &["--skip", "700000", "--warmup", "1000", "--count", "20000"],
        &WINDOW[..],
    ]
    .concat();
    let plain = shipped(&window);
    let found = shipped(&[&window, &["--requests", name][..]].concat());
    assert_eq!(found, plain, "to write rows changes no figure");
    let (names, rows) = table(&path);
    assert_eq!(
        rows.len() as u64,
        found["translations"].as_u64().expect("a count")
    );
    let column = |name: &str| names.iter().position(|own| own == name).expect(name);
    let number = |row: &[String], at: usize| row[at].parse::<u64>().expect("a number");
    let first_cause = column("first_level_cycles");
    let (latency, accepted, responded) = (
        column("latency_cycles"),
        column("accepted_cycle"),
        column("responded_cycle"),
    );
    for row in &rows {
        let causes: u64 = (first_cause..row.len()).map(|at| number(row, at)).sum();
        assert_eq!(causes, number(row, latency), "{row:?}");
        assert_eq!(number(row, responded) - number(row, accepted), causes);
    }
    assert_eq!(rows[0][column("reference")], "701000");
    let level = column("hit_level");
    let hits = |word: &str| rows.iter().filter(|row| row[level] == word).count() as u64;
    // Requests in flight at the border apart, what answers a request is what hit.
    assert!(hits("dtlb").abs_diff(found["dtlb"]["hits"].as_u64().expect("a count")) <= 16);
    assert!(hits("stlb").abs_diff(found["stlb"]["hits"].as_u64().expect("a count")) <= 16);
    assert!(hits("walk").abs_diff(found["walks"]["started"].as_u64().expect("a count")) <= 16);
}

#[test]
fn a_file_of_another_kind_or_in_no_directory_is_refused() {
    for (option, name, expected) in [
        ("--requests", "rows.txt", ".parquet"),
        ("--requests", "/nonexistent/rows.csv", "cannot be written"),
        ("--interval-file", "rows.csv", "--interval"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(["run", "--trace", SHIPPED, "--count", "10", option, name])
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn intervals_are_written_as_csv_and_as_parquet() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("intervals.csv");
    let arguments = ["--count", "3000", "--interval", "1000", "--interval-file"];
    let found = shipped(&[&arguments[..], &[path.to_str().expect("UTF-8")]].concat());
    let (names, rows) = table(&path);
    assert_eq!(rows.len(), 3);
    for (name, pointer) in [
        ("cycles", "/cycles"),
        ("dtlb_hits_by_size_4k", "/dtlb/hits_by_size/0"),
        ("walks_latency_cycles_p99_9", "/walks/latency_cycles/p99.9"),
        (
            "events_itlb_misses_walk_pending",
            "/events/itlb_misses/walk_pending",
        ),
        ("mpki", "/mpki"),
    ] {
        let column = names.iter().position(|own| own == name).expect(name);
        for (row, interval) in rows.iter().zip(found["intervals"].as_array().expect("one")) {
            let value = interval.pointer(pointer).expect(pointer);
            assert_eq!(row[column].parse::<f64>().ok(), value.as_f64(), "{name}");
        }
    }
    let path = directory.path().join("intervals.parquet");
    shipped(&[&arguments[..], &[path.to_str().expect("UTF-8")]].concat());
    assert_eq!(fs::read(path).expect("it is there")[..4], *b"PAR1");
}

#[cfg(feature = "rtl")]
#[test]
fn rows_and_intervals_of_the_rtl_are_those_of_the_model_to_the_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    for (window, end) in [("1", "csv"), ("16", "csv"), ("16", "parquet")] {
        let files = ["model", "rtl"].map(|backend| {
            let path = directory.path().join(format!("{backend}-{window}.{end}"));
            let set = format!("front_end.window={window}");
            let mut found = shipped(&[
                "--backend",
                backend,
                "--skip",
                "700000",
                "--warmup",
                "2000",
                "--count",
                "20000",
                "--interval",
                "3000",
                "--set",
                &set,
                "--set",
                "ports.queue_entries=16",
                "--set",
                "walkers.count=2",
                "--requests",
                path.to_str().expect("UTF-8"),
            ]);
            found["backend"] = Json::Null;
            (found, fs::read(path).expect("it is there"))
        });
        let [(model, of_model), (rtl, of_rtl)] = files;
        assert_eq!(model, rtl, "a window of {window}");
        assert!(
            of_model == of_rtl,
            "the rows differ in a window of {window}"
        );
        assert!(of_model.len() > 100_000);
    }
}
