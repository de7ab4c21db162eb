//! Behaviour of `twinwalk run` on the model: what it counts, what it says, what it refuses.
//!
//! Contract: none. SDM: none. Counterpart: `tests/run_agrees.rs`, which holds the RTL to the same figures.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");
/// Two instructions; a load; a store from the load's page into the next; a load and a store to the first: 6 references, 7 translations, 3 pages.
const LACKEY: &str =
    "I  00401000,3\n L 1ffeffe7e0,8\nI  00401003,7\n S 1ffeffeffc,8\n M 1ffeffe7e8,8\n";

fn twinwalk(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .arg("run")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that refuses its arguments does not read, and that is no failure here.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

fn figures(arguments: &[&str], input: &str) -> Json {
    let output = twinwalk(&[arguments, &["--json"]].concat(), input);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

#[test]
fn a_small_trace_from_standard_input_is_counted_to_the_last_walk() {
    let found = figures(&["--trace", "-"], LACKEY);
    assert_eq!(found["backend"], "model");
    assert_eq!(found["references"], 6);
    assert_eq!(found["translations"], 7);
    assert_eq!(found["events"]["page_crossings"], 1);
    assert_eq!(found["instructions"], 2);
    assert_eq!(found["pages"], 3);
    assert_eq!(found["itlb"]["lookups"], 2);
    assert_eq!(found["itlb"]["hits"], 1);
    assert_eq!(found["dtlb"]["lookups"], 5);
    // The first part of the store walks, because the load before it left D clear; then both parts of the modify hit.
    assert_eq!(found["dtlb"]["hits"], 2);
    assert_eq!(found["dtlb"]["dirty_clear"], 1);
    assert_eq!(found["stlb"]["lookups"], 3);
    assert_eq!(found["stlb"]["hits"], 0);
    assert_eq!(found["walks"]["started"], 4);
    assert_eq!(found["walks"]["completed"], 4);
    assert_eq!(found["faults"]["page_faults"], 0);
    assert_eq!(found["mpki"], 2000.0);
    assert_eq!(found["failure"], Json::Null);
}

#[test]
fn the_cycles_are_those_of_the_contract() {
    // Section 12, default machine: H = 1, S = 7; a walk of 4 reads and 4 compare-and-sets, then a hit. Each next reference is presented in
    // the cycle after the answer.
    let show = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["config", "show", "--json"])
        .output()
        .expect("the binary runs");
    let config: Json = serde_json::from_slice(&show.stdout).expect("JSON");
    let latency = config["config"]["memory"]["latency_cycles"]
        .as_u64()
        .expect("a number");
    let found = figures(&["--trace", "-"], "I  00401000,3\nI  00401003,7\n");
    let walk = 1 + 7 + 5 + (4 + 4) * (latency + 2);
    let hit = 1 + 1;
    assert_eq!(found["cycles"], walk + 1 + hit + 1);
}

#[test]
fn instructions_are_not_known_where_nothing_is_fetched() {
    let found = figures(&["--trace", "-"], " L 1ffeffe7e0,8\n S 1ffeffe7e0,8\n");
    assert_eq!(found["instructions"], Json::Null);
    assert_eq!(found["mpki"], Json::Null);
    assert_eq!(found["dtlb"]["mpki"], Json::Null);
}

#[test]
fn windows_are_cut_by_skip_and_count() {
    let window = |skip: &str, count: &str| {
        figures(&["--trace", SHIPPED, "--skip", skip, "--count", count], "")
    };
    let found = window("1000", "5000");
    assert_eq!(found["skipped"], 1000);
    assert_eq!(found["references"], 5000);
    let (first, all) = (window("0", "3000"), window("0", "5000"));
    let rest = window("3000", "2000");
    for kind in ["fetches", "loads", "stores"] {
        let count = |found: &Json| found[kind].as_u64().expect("a count");
        assert_eq!(count(&first) + count(&rest), count(&all), "{kind}");
    }
    // The rest begins cold.
    let misses = |found: &Json| found["itlb"]["misses"].as_u64().expect("a count");
    assert!(misses(&first) + misses(&rest) > misses(&all));
    // A count beyond the end takes what there is.
    let found = figures(&["--trace", "-", "--skip", "4", "--count", "100"], LACKEY);
    assert_eq!(found["references"], 2);
}

#[test]
fn pages_are_a_setting_of_the_mapping() {
    let run = |more: &[&str]| {
        figures(
            &[&["--trace", SHIPPED, "--count", "200000"], more].concat(),
            "",
        )
    };
    let (small, large) = (run(&[]), run(&["--pages", "2m"]));
    assert_eq!(large["mapping"]["pages"], "2m");
    assert_ne!(small["config_hash"], large["config_hash"]);
    let misses = |found: &Json| found["walks"]["started"].as_u64().expect("a count");
    assert!(
        misses(&large) * 4 < misses(&small),
        "{} and {}",
        misses(&large),
        misses(&small)
    );
    let set = run(&["--set", "mapping.pages=\"2m\""]);
    assert_eq!(set["cycles"], large["cycles"]);
    assert_eq!(set["config_hash"], large["config_hash"]);
    let mixed = run(&["--pages", "mixed"]);
    let sizes = &mixed["dtlb"]["hits_by_size"];
    assert!((0..2).all(|size| sizes[size].as_u64() > Some(0)), "{sizes}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let run = || twinwalk(&["--trace", SHIPPED, "--count", "20000", "--json"], "").stdout;
    assert_eq!(run(), run());
}

#[test]
fn a_person_is_told_machine_mapping_front_end_warm_up_and_rates() {
    let output = twinwalk(
        &[
            "--trace",
            SHIPPED,
            "--count",
            "20000",
            "--config",
            "preset:tiny",
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(0));
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    for expected in [
        "Machine:   preset:tiny",
        "references 1 to 20,000",
        "Mapping:   4k pages",
        "Front end: one reference at a time",
        "Warm-up:   none",
        "hit rate",
        "Walks:",
        "Cycles:",
        "Faults:       none",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(
        text.lines()
            .filter(|line| line.starts_with('│'))
            .all(|line| line.ends_with('│'))
    );
}

#[test]
fn what_is_refused_is_named_with_a_remedy_and_exit_2() {
    let conflict = " L 10,8\n L 800000010,8\n";
    for (arguments, input, expected) in [
        (
            &["--trace", "missing.twt"][..],
            "",
            "missing.twt: cannot be opened",
        ),
        (&["--trace", "-"], "", "is empty"),
        (
            &["--trace", "-"],
            "I  0400",
            "not a trace in a known format",
        ),
        (
            &["--trace", "-"],
            "I  00401000,3\n L 10,8\nwhat\n",
            "line 3",
        ),
        (
            &["--trace", "-", "--skip", "7"],
            LACKEY,
            "the trace has 6 references",
        ),
        (
            &["--trace", "-", "--skip", "6"],
            LACKEY,
            "the trace has 6 references",
        ),
        (
            &[
                "--trace",
                "-",
                "--pages",
                "1g",
                "--set",
                "capabilities.page_1g=false",
            ],
            LACKEY,
            "1g",
        ),
        (&["--trace", "-", "--config", "preset:none"], LACKEY, "none"),
        (
            &["--trace", "-", "--set", "capabilities.maxphyaddr_bits=36"],
            conflict,
            "cannot both be mapped",
        ),
    ] {
        let output = twinwalk(arguments, input);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(expected),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains("remedy: "), "{}", stderr(&output));
        assert_eq!(output.stdout, b"");
    }
    for arguments in [
        &[][..],
        &["--trace", "-", "--pages", "8k"],
        &["--trace", "-", "--count", "0"],
        &["--trace", "-", "--backend", "both"],
    ] {
        let output = twinwalk(arguments, LACKEY);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn an_address_that_is_not_canonical_is_a_general_protection_and_no_error() {
    let found = figures(
        &["--trace", "-"],
        " L 8000000000000000,8\n L 1ffeffe7e0,8\n",
    );
    assert_eq!(found["faults"]["general_protections"], 1);
    assert_eq!(found["dtlb"]["bypassed"], 1);
    assert_eq!(found["dtlb"]["lookups"], 1);
}

#[test]
fn stores_to_pages_that_may_not_be_written_are_counted_by_error_code() {
    let found = figures(
        &["--trace", "-", "--set", "mapping.writable=false"],
        " S 1ffeffe7e0,8\n L 1ffeffe7e0,8\n",
    );
    assert_eq!(found["faults"]["page_faults"], 1);
    // Present, write, user.
    assert_eq!(found["faults"]["by_code"]["0x07"], 1);
    assert_eq!(found["walks"]["faulted"], 1);
    assert_eq!(found["walks"]["completed"], 1);
}
