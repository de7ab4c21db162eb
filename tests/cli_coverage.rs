//! `check --coverage`: runs add up in a folder, the same on any number of threads, and what is not so fails.
//!
//! Contract: none. SDM: none. Counterpart: `src/cosim/coverage`, whose tests have the parts.

#![cfg(feature = "rtl")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::cli_support::text;
use crate::machines_support::CACHE_HOME;

/// Runs `twinwalk check --coverage FOLDER` on a small machine, without bits: with them it takes a minute to compile.
fn check(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["check", "--config", "preset:tiny", "--no-toggles", "--json"])
        .arg("--coverage")
        .arg(folder)
        .arg("--replays")
        .arg(folder)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("XDG_CACHE_HOME", CACHE_HOME)
        .output()
        .expect("the binary runs")
}

fn coverage(output: &Output) -> Json {
    let object: Json = serde_json::from_slice(&output.stdout).expect("one JSON value");
    object["coverage"].clone()
}

fn covered(coverage: &Json, of: &str) -> u64 {
    coverage[of]["covered"].as_u64().expect("a count")
}

#[test]
fn runs_add_up_in_a_folder_whatever_the_threads_and_what_falls_short_fails() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [one, two] = folders.each_ref().map(tempfile::TempDir::path);
    let seeds = ["--seeds", "1..2", "--ops", "3000"];
    let first = check(one, &[&seeds[..], &["--jobs", "1"]].concat());
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let parallel = check(two, &[&seeds[..], &["--jobs", "2"]].concat());
    assert_eq!(
        parallel.status.code(),
        Some(0),
        "{}",
        text(&parallel.stderr)
    );
    for name in ["coverage.dat", "coverage.json", "coverage.md"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).expect("text");
        assert_eq!(read(one), read(two), "{name}");
    }
    let first = coverage(&first);
    let lines = first["lines"]["percent"].as_f64().expect("a number");
    assert!(lines > 60.0, "{first}");
    assert_eq!(first["impossible"], Json::Array(Vec::new()));
    assert!(covered(&first, "cells") > 300, "{first}");
    // Another seed adds, and takes nothing away.
    let more = check(one, &["--seed", "3", "--ops", "3000"]);
    assert_eq!(more.status.code(), Some(0), "{}", text(&more.stderr));
    let more = coverage(&more);
    assert!(covered(&more, "cells") > covered(&first, "cells"));
    assert!(covered(&more, "lines") >= covered(&first, "lines"));
    assert_eq!(more["runs"], 2);
    let page = std::fs::read_to_string(one.join("coverage.md")).expect("text");
    assert!(page.contains("| walker.sv |") && page.contains("### translations"));
    // What falls short of what is due is a difference, and says so.
    let short = check(
        two,
        &["--seed", "3", "--ops", "100", "--least-cells", "99.9"],
    );
    assert_eq!(short.status.code(), Some(1), "{}", text(&short.stderr));
    let wrong = coverage(&short)["wrong"][0].clone();
    assert!(
        wrong
            .as_str()
            .is_some_and(|text| text.starts_with("cells reached: "))
    );
}

#[test]
fn a_folder_of_something_else_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("coverage.dat"), "something else\n").expect("writable");
    let output = check(folder.path(), &["--on", "model", "--ops", "100"]);
    assert_eq!(output.status.code(), Some(2));
    let object: Json = serde_json::from_slice(&output.stdout).expect("one JSON value");
    let error = object["error"].as_str().expect("an error");
    assert!(error.contains("coverage.dat: line 1"), "{error}");
    let kept = std::fs::read_to_string(folder.path().join("coverage.dat")).expect("text");
    assert_eq!(kept, "something else\n");
}
