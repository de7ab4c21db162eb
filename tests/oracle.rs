//! `tests/qemu/run`, which boots QEMU for fresh paging vectors: what it refuses, what it does about a machine that fails (played by a
//! stand-in), and, where QEMU is there (`--include-ignored`), that seeds repeat and that one wrong answer among fresh vectors is found.
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8. Counterpart: `tests/qemu`; `must_fail_oracle.rs` has misreadings that all three share.

#![cfg(all(feature = "rtl", target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::oracle_support::{fresh, oracle};
use serde_json::{Value, json};
use tempfile::TempDir;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// It must end with exit code 2, say all of `words`, and leave no vectors behind.
fn refused(output: &Output, directory: &Path, words: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for word in words {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    let left: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name != "bin")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// What `tests/qemu/run` says where `qemu-system-x86_64` is this shell script.
fn with_stand_in(script: &str, arguments: &[&str], words: &[&str]) {
    let directory = TempDir::new().expect("a directory");
    let programs = directory.path().join("bin");
    fs::create_dir(&programs).expect("a directory");
    let stand_in = programs.join("qemu-system-x86_64");
    let place = "for argument; do case $argument in file,id=console,path=*) printed=${argument#*path=} ;; esac; done";
    let version = "[ \"$1\" != --version ] || { echo stand-in; exit 0; }";
    fs::write(
        &stand_in,
        format!("#!/bin/sh\n{version}\n{place}\n{script}\n"),
    )
    .expect("it can be written");
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).expect("it can run");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = oracle(directory.path(), arguments)
        .env("PATH", format!("{}:{path}", programs.display()))
        .output()
        .expect("it runs");
    refused(&output, directory.path(), words);
}

const SMALL: [&str; 6] = ["5", "--machines", "4:40", "--cases", "3", "--no-conform"];

#[test]
fn arguments_that_make_no_sense_are_refused_with_what_to_give() {
    let cases: [(&[&str], &[&str]); 11] = [
        (&[], &["usage:"]),
        (&["seven"], &["SEED is 'seven'", "decimal or 0x"]),
        (&["4294967296"], &["at most 4294967295"]),
        (&["1", "2"], &["one seed is enough"]),
        (&["1", "--fast"], &["no option --fast"]),
        (&["1", "--cases"], &["--cases needs a value"]),
        (&["1", "--machines", "3:40"], &["'3:40' is no machine"]),
        (&["1", "--machines", "4:36,2:36"], &["'2:36' is no machine"]),
        (&["1", "--machines", ""], &["--machines is empty"]),
        (&["1", "--machines", "4:36,2:40,4:36"], &["4:36 twice"]),
        (&["1", "--cases", "1"], &["one for each machine"]),
    ];
    for (arguments, words) in cases {
        let directory = TempDir::new().expect("a directory");
        let output = oracle(directory.path(), arguments)
            .output()
            .expect("it runs");
        refused(&output, directory.path(), words);
    }
}

/// Exit code 1 would say that an implementation is wrong.
#[test]
fn a_place_that_cannot_be_written_to_is_named_and_no_mismatch() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("bin");
    fs::write(&file, "").expect("it can be written");
    let output = oracle(&file, &SMALL).output().expect("it runs");
    refused(
        &output,
        directory.path(),
        &["nothing can be written to", "--out DIR"],
    );
}

#[test]
fn without_qemu_it_says_what_installs_it() {
    let directory = TempDir::new().expect("a directory");
    let programs = directory.path().join("bin");
    fs::create_dir(&programs).expect("a directory");
    for name in ["bash", "dirname"] {
        let found = ["/bin", "/usr/bin"].map(|place| Path::new(place).join(name));
        let found = found.iter().find(|path| path.exists()).expect(name);
        symlink(found, programs.join(name)).expect("a link");
    }
    let output = oracle(directory.path(), &SMALL)
        .env("PATH", &programs)
        .output()
        .expect("it runs");
    refused(
        &output,
        directory.path(),
        &[
            "no qemu-system-x86_64",
            "./bootstrap oracle",
            "qemu-system-x86",
        ],
    );
}

#[test]
fn a_machine_that_hangs_is_ended_and_named() {
    let arguments = [&SMALL[..], &["--seconds", "1"]].concat();
    with_stand_in(
        "echo line >\"$printed\"; sleep 60",
        &arguments,
        &["4 levels, MAXPHYADDR 40", "not done after 1 s", "1 cases"],
    );
}

#[test]
fn output_that_is_cut_short_is_no_output() {
    with_stand_in(
        "echo line >\"$printed\"; exit 33",
        &SMALL,
        &["1 lines instead of 3", "cut short"],
    );
}

#[test]
fn what_the_guest_says_when_it_gives_up_is_passed_on() {
    with_stand_in(
        "printf 'line\\noracle gave up: it rains\\n' >\"$printed\"; exit 35",
        &SMALL,
        &["gave up: it rains"],
    );
}

#[test]
fn what_qemu_says_when_it_does_not_start_is_passed_on() {
    with_stand_in(
        "echo 'no memory' >&2; exit 1",
        &SMALL,
        &["no memory", "exit code 1"],
    );
}

#[test]
#[ignore = "needs QEMU: just must-fail"]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let of = |seed| {
        let directory = TempDir::new().expect("a directory");
        fs::read(fresh(directory.path(), seed, "5:52", 300)).expect("it can be read")
    };
    let first = of("77");
    assert!(first == of("0x4d"), "seed 77 gave other bytes");
    assert!(first != of("78"), "seed 78 gave the same bytes");
}

/// One bit of a line, in whichever field the line has: the address where an access went, an entry afterwards, or the error code.
fn corrupt(case: &mut Value, field: &str) -> bool {
    let step = &mut case["steps"][0];
    let flip = |value: &Value, bit: u64| -> Value {
        let text = value.as_str().expect("a wide number");
        let number = u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal");
        json!(format!("{:#x}", number ^ bit))
    };
    match field {
        "pa" if !step["pa"].is_null() => step["pa"] = flip(&step["pa"], 1 << 12),
        "after" => step["after"][0] = flip(&step["after"][0], 1 << 6),
        "ec_sdm" if step["vec"] == 14 => {
            step["ec_sdm"] = json!(step["ec_sdm"].as_u64().expect("a code") ^ 4);
        }
        _ => return false,
    }
    true
}

#[test]
#[ignore = "needs QEMU: just must-fail"]
fn one_wrong_answer_among_fresh_vectors_is_found_by_each_implementation() {
    let directory = TempDir::new().expect("a directory");
    let vectors = fresh(directory.path(), "99", "4:46", 400);
    let text = fs::read_to_string(&vectors).expect("it can be read");
    let conform = |text: &str| {
        fs::write(&vectors, text).expect("it can be written");
        let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(["conform", "--json"])
            .arg(&vectors)
            .output()
            .expect("it runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
        (output.status.code(), report)
    };
    let (code, report) = conform(&text);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["cases"], 400);
    for field in ["pa", "after", "ec_sdm"] {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let place = (200..400)
            .find(|&place| {
                let mut case: Value = serde_json::from_str(&lines[place]).expect("a case");
                let is_done = corrupt(&mut case, field);
                lines[place] = case.to_string();
                is_done
            })
            .expect("a case that has the field");
        let (code, report) = conform(&lines.join("\n"));
        assert_eq!(code, Some(1), "{field}");
        let found = &report["mismatches"];
        assert_eq!(found, &json!({"reference": 1, "model": 1, "rtl": 1}));
        let first = &report["first_mismatches"][0];
        assert_eq!(first["line"], json!(place + 1), "{first}");
        assert!(
            first["fields"].to_string().contains(field),
            "{field}: {first}"
        );
    }
}
