//! `just soak`: what it keeps of its runs, and that one difference ends it.
//!
//! Contract: none. SDM: none. Counterpart: `.ci/soak`.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// In the place of the program: each check passes over 1000 cycles, but for the third, which finds a difference.
const TWINWALK: &str = r#"#!/bin/sh
[ "$1" = config ] && exit "${NO_MACHINES:-0}"
[ "$5" = 3 ] && echo 'a difference' >&2
printf '{\n  "config_hash": "00ff",\n  "cycles": 1000,\n  "mismatches": 0,\n  "ops": 50\n}\n'
[ "$5" != 3 ]
"#;

fn soak(folder: &Path, arguments: &[&str]) -> Output {
    soak_with(folder, arguments, "0")
}

/// The same, where drawing a machine ends with that exit code.
fn soak_with(folder: &Path, arguments: &[&str], no_machines: &str) -> Output {
    let program = folder.join("twinwalk");
    fs::write(&program, TWINWALK).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/soak"))
        .args(arguments)
        .env("TWINWALK", program)
        .env("CARGO_TARGET_DIR", folder)
        .env("NO_MACHINES", no_machines)
        .output()
        .unwrap()
}

#[test]
fn a_difference_ends_the_soak_and_each_run_leaves_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["1", "--jobs", "1", "--ops", "50"];
    let output = soak(folder.path(), &arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a difference"), "{said}");
    let again = "check --config ";
    assert!(
        said.contains(again) && said.contains("random-3.toml --seed 3 --ops 50"),
        "{said}"
    );
    let rows = fs::read_to_string(folder.path().join("soak/summary.tsv")).unwrap();
    let outcomes: Vec<&str> = rows
        .lines()
        .map(|row| row.rsplit('\t').next().unwrap())
        .collect();
    assert_eq!(outcomes, ["exit_code", "0", "0", "1"], "{rows}");

    // The same runs once more: kept, and counted once.
    let output = soak(folder.path(), &arguments);
    let total = String::from_utf8(output.stdout).unwrap();
    let counts =
        "2 runs on 1 machines, 100 operations, 2000 compared cycles without a difference; 2 failed";
    assert!(total.contains(counts), "{total}");
}

#[test]
fn a_soak_that_cannot_draw_a_machine_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let output = soak_with(folder.path(), &["1", "--jobs", "1"], "2");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_not_a_number_of_minutes_is_told_how_to_say_it() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["x"][..], &[], &["1", "--jobs", "0"], &["1", "--speed"]] {
        let output = soak(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("just soak MINUTES")
        );
        assert!(!folder.path().join("soak").exists(), "{arguments:?}");
    }
}
