//! Traces as runs: `trace import --runs`, and `run` of what it wrote, against `run` of the references, key by key.
//!
//! Contract: 13.1 with a window of 1. SDM: none. Counterpart: none; `src/model/tests/many.rs` does the same of random traces and machines.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");

fn twinwalk(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn held(arguments: &[&str]) -> Json {
    let output = twinwalk(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

/// Refused with exit code 2; what is said of it.
fn refused(arguments: &[&str]) -> String {
    let output = twinwalk(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The runs of the trace at `from`, in a file beside `directory`'s others.
fn runs_of(from: &str, directory: &Path, count: &str) -> String {
    let path = directory.join("runs.twr.zst").display().to_string();
    let written = held(&[
        "trace", "import", from, &path, "--runs", "--count", count, "--json",
    ]);
    assert!(written["runs"].as_u64() > Some(0));
    path
}

/// All that `run` says of a trace but its name.
fn figures(trace: &str, more: &[&str]) -> Json {
    let mut found = held(&[&["run", "--json", "--trace", trace], more].concat());
    found["trace"] = Json::Null;
    found
}

#[test]
fn the_whole_shipped_trace_counts_as_runs_what_it_counts_as_references() {
    let directory = tempfile::tempdir().expect("a directory");
    let runs = runs_of(SHIPPED, directory.path(), "100000000");
    for machine in ["preset:textbook", "preset:default"] {
        let machine = ["--config", machine];
        assert_eq!(figures(&runs, &machine), figures(SHIPPED, &machine));
    }
}

#[test]
fn on_every_machine_that_takes_them_and_every_mapping_runs_count_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let count = "300000";
    let runs = runs_of(SHIPPED, directory.path(), count);
    for machine_name in ["tiny", "no-psc", "wide", "inclusive", "mixed"] {
        for pages in ["4k", "2m", "mixed"] {
            let preset = format!("preset:{machine_name}");
            let machine = [
                ["--config", preset.as_str()],
                ["--pages", pages],
                ["--set", "front_end.window=1"],
                ["--set", "front_end.issue_gap_cycles=9"],
                ["--set", "prefetch.next_page=false"],
            ];
            let machine = machine.concat();
            let references = figures(SHIPPED, &[&machine[..], &["--count", count]].concat());
            let output = twinwalk(&[&["run", "--json", "--trace", &runs], &machine[..]].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code() == Some(0)
                    || said.contains("arrays of the DTLB")
                    || said.contains("keeps no 4 KiB page")
                    // There misses of the one stream take written pages away from the other.
                    || machine_name == "inclusive" && said.contains("depends on the order or the kinds"),
                "{preset} {pages}: {said}"
            );
            if output.status.code() == Some(0) {
                assert_eq!(figures(&runs, &machine), references, "{preset} {pages}");
            }
        }
    }
}

#[test]
fn info_counts_the_references_that_runs_were_made_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let runs = runs_of(SHIPPED, directory.path(), "100000");
    let found = held(&["trace", "info", &runs, "--json"]);
    assert_eq!(found["references"], 100_000);
    let plain = directory.path().join("plain.twt").display().to_string();
    let expected = held(&[
        "trace", "import", SHIPPED, &plain, "--count", "100000", "--json",
    ]);
    for key in ["counts", "pages", "instructions", "source"] {
        assert_eq!(found[key], expected[key], "{key}");
    }
    assert_eq!(found["translations"], Json::Null);
}

#[test]
fn what_runs_cannot_serve_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let runs = runs_of(SHIPPED, directory.path(), "100000");
    let remedy = "run the trace that it was made from";
    for (more, why) in [
        (
            ["--set", "front_end.window=16"],
            "a window of more than one reference",
        ),
        (
            ["--set", "prefetch.next_page=true"],
            "a prefetch beside the references",
        ),
        (
            ["--set", "front_end.fetch_block_bytes=16"],
            "fetches by blocks (front_end.fetch_block_bytes)",
        ),
        (["--count", "5"], "--interval are in references"),
        (["--skip", "5"], "--interval are in references"),
        (["--warmup", "5"], "--interval are in references"),
        (["--interval", "5"], "--interval are in references"),
        (
            ["--set", "mapping.writable=false"],
            "depends on the order or the kinds",
        ),
    ] {
        let said = refused(&[&["run", "--trace", &runs], &more[..]].concat());
        assert!(said.contains(why) && said.contains(remedy), "{said}");
    }
    for reader in [
        vec!["check", "--trace", &runs],
        vec!["trace", "import", &runs, "other.twt"],
    ] {
        let said = refused(&reader);
        assert!(said.contains("these are needed here one by one"), "{said}");
        assert!(
            said.contains("give the trace that it was made from"),
            "{said}"
        );
    }
}

#[test]
fn a_changed_byte_of_a_file_of_runs_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("runs.twr").display().to_string();
    held(&[
        "trace", "import", SHIPPED, &path, "--runs", "--count", "20000", "--json",
    ]);
    let good = fs::read(&path).expect("it is there");
    for at in [
        0,
        9,
        13,
        40,
        60,
        74,
        90,
        good.len() / 2,
        good.len() - 50,
        good.len() - 1,
    ] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        fs::write(&path, &bad).expect("written");
        refused(&["run", "--trace", &path, "--trace-format", "binary"]);
    }
    fs::write(&path, &good[..good.len() - 30]).expect("written");
    assert!(refused(&["run", "--trace", &path]).contains("cut off"));
    fs::write(&path, &good).expect("written");
    figures(&path, &[]);
}
