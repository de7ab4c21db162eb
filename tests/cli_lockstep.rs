//! `twinwalk check`, `replay` and `golden` as a person or a script meets them: exit codes, what is printed where, what is written.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn twinwalk(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it is text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

const GOLDEN: &str = "golden/walk/four-level-4k.stim";

#[test]
fn check_prints_one_object_with_the_promised_keys() {
    let output = twinwalk(&[
        "check",
        "--on",
        "model",
        "--config",
        "preset:tiny",
        "--ops",
        "3000",
        "--json",
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let object = json(&output);
    for key in [
        "ops",
        "cycles",
        "responses_compared",
        "entries_compared",
        "bus_compared",
        "fills_compared",
        "walks",
        "faults",
        "merged_misses",
        "invalidations_during_walk",
        "ad_races_lost",
        "stale_observed",
        "single_outcome",
        "assertions_failed",
        "hangs",
        "mismatches",
        "seed",
        "config_hash",
        "first_divergence",
    ] {
        assert!(object.get(key).is_some(), "{key}");
    }
    assert_eq!(object["ops"], 3000);
    assert_eq!(object["first_divergence"], Value::Null);
    assert!(
        object["faults"]
            .as_object()
            .is_some_and(|faults| faults.contains_key("0x00"))
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let run = |jobs: &str, skip: &[&str]| {
        let mut arguments = vec![
            "check",
            "--on",
            "model",
            "--config",
            "preset:no-psc",
            "--seeds",
            "4..7",
            "--ops",
            "2000",
            "--json",
        ];
        arguments.extend(["--jobs", jobs]);
        arguments.extend(skip);
        let output = twinwalk(&arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    let alone = run("1", &[]);
    assert_eq!(run("4", &[]), alone);
    assert_eq!(run("2", &["--no-skip"]), alone);
}

#[test]
fn a_trace_runs_through_the_model_and_is_held_against_the_reference() {
    let directory = tempfile::tempdir().expect("a directory");
    let trace = directory.path().join("t.lackey");
    fs::write(
        &trace,
        "I  04000000,4\n L 1ffefff000,8\n S 1ffefffffc,8\n M 05000000,4\n",
    )
    .expect("it is written");
    let trace = trace.to_str().expect("a name");
    let output = twinwalk(&["check", "--on", "model", "--trace", trace, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let object = json(&output);
    // The store crosses a page, and the modification is a load and a store.
    for (key, count) in [
        ("references", 5),
        ("translations", 6),
        ("responses_compared", 6),
    ] {
        assert_eq!(object[key], Value::from(count), "{key}");
    }
    // `run` says the same, and either counts what it takes before the split.
    for (figures, arguments) in [
        ([5, 6], &["run", "--trace", trace, "--json"][..]),
        ([3, 4], &["run", "--trace", trace, "--json", "--count", "3"]),
        (
            [3, 4],
            &[
                "check", "--on", "model", "--trace", trace, "--json", "--ops", "3",
            ],
        ),
    ] {
        let object = json(&twinwalk(arguments));
        let found = (&object["references"], &object["translations"]);
        assert_eq!(
            found,
            (&Value::from(figures[0]), &Value::from(figures[1])),
            "{arguments:?}"
        );
    }
    assert_eq!(object["mismatches"], 0);
    fs::write(directory.path().join("bad"), "what is this\n").expect("it is written");
    let bad = directory.path().join("bad");
    let output = twinwalk(&[
        "check",
        "--on",
        "model",
        "--trace",
        bad.to_str().expect("a name"),
    ]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("remedy: "), "{}", stderr(&output));
}

#[test]
fn replay_runs_a_stimulus_and_refuses_what_is_none() {
    let output = twinwalk(&["replay", GOLDEN, "--on", "model", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(json(&output)["walks"], 1);
    let output = twinwalk(&["replay", GOLDEN, "--on", "model", "--shrink"]);
    assert!(
        stdout(&output).contains("nothing to cut down"),
        "{}",
        stdout(&output)
    );
    for (arguments, expected) in [
        (
            &["replay", "no-such-file.stim", "--on", "model"][..],
            "no-such-file.stim: cannot be read",
        ),
        (
            &["replay", "Cargo.toml", "--on", "model"],
            "Cargo.toml:1:1: this is not a stimulus",
        ),
        (
            &["replay", GOLDEN, "--on", "model", "--wave", "x.fst"],
            "--wave is of the RTL",
        ),
    ] {
        let output = twinwalk(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(stderr(&output).contains("remedy: "), "{}", stderr(&output));
    }
}

#[test]
fn replay_writes_spans_for_a_trace_viewer_and_says_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("spans.json");
    let name = path.to_str().expect("a name");
    let replay = |name: &str, more: &[&str]| {
        let mut arguments = vec!["replay", GOLDEN, "--on", "model", "--chrome", name];
        arguments.extend(more);
        twinwalk(&arguments)
    };
    let output = replay(name, &[]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains(&format!("spans: {name}")), "{said}");
    let text = fs::read_to_string(&path).expect("the file is there");
    let trace: Value = serde_json::from_str(&text).expect("it is JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    let spans = events.iter().filter(|event| event["ph"] == "X");
    assert!(spans.count() > 5, "{text}");
    assert_eq!(json(&replay(name, &["--json"]))["chrome"], name);
    let refused = replay("/nonexistent/spans.json", &[]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("/nonexistent/spans.json: cannot be written"));
}

#[test]
fn bad_options_of_check_end_with_2() {
    for arguments in [
        &["check", "--seeds", "5..2"][..],
        &["check", "--seeds", "five"],
        &["check", "--minutes", "-1"],
        &["check", "--minutes", "0"],
        &["check", "--minutes", "1e-9", "--on", "model"],
        &["check", "--ops", "0"],
        &["check", "--trace-format", "binary", "--on", "model"],
        &[
            "check",
            "--trace",
            "traces/gcc10m.twt.zst",
            "--trace-format",
            "lackey",
            "--on",
            "model",
        ],
        &["check", "--jobs", "0"],
        &["check", "--silence", "everything"],
        &["check", "--config", "preset:none"],
        &["check", "--set", "stlb.hit_latency_cycles=0"],
        &["check", "--trace", "no-such-trace", "--on", "model"],
    ] {
        let output = twinwalk(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stdout(&output));
    }
}

/// A directory with one scenario in it.
fn scenario(directory: &Path) -> (String, std::path::PathBuf) {
    let topic = directory.join("topic");
    fs::create_dir(&topic).expect("it is made");
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN),
        topic.join("one.stim"),
    )
    .expect("it is copied");
    (
        directory.to_str().expect("a name").to_owned(),
        topic.join("one.snap"),
    )
}

#[test]
fn golden_writes_nothing_unless_it_blesses() {
    let directory = tempfile::tempdir().expect("a directory");
    let (name, snapshot) = scenario(directory.path());
    let output = twinwalk(&["golden", "--dir", &name, "--on", "model", "--json"]);
    assert_eq!((code(&output), &json(&output)["new"]), (1, &Value::from(1)));
    assert!(!snapshot.exists());

    let output = twinwalk(&["golden", "--dir", &name, "--on", "model", "--bless"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let first = fs::read_to_string(&snapshot).expect("it was written");
    assert!(
        first.starts_with("---\nsource: tests/golden.rs\n---\ntrace 1 of topic/one\n"),
        "{first}"
    );
    let output = twinwalk(&[
        "golden", "--dir", &name, "--on", "model", "--check", "--json",
    ]);
    assert_eq!(
        (code(&output), &json(&output)["same"]),
        (0, &Value::from(1))
    );

    let changed = first.replace("pa 0x9234", "pa 0x9235");
    fs::write(&snapshot, &changed).expect("it is written");
    let output = twinwalk(&["golden", "--dir", &name, "--on", "model"]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(text.contains("-      63  response  data1 #0 pa 0x9235 4k\n+      63  response  data1 #0 pa 0x9234 4k\n"), "{text}");
    assert_eq!(fs::read_to_string(&snapshot).expect("it is there"), changed);

    let output = twinwalk(&[
        "golden", "one", "--dir", &name, "--on", "model", "--bless", "--json",
    ]);
    assert_eq!(
        (code(&output), &json(&output)["blessed"]),
        (0, &Value::from(1))
    );
    assert_eq!(fs::read_to_string(&snapshot).expect("it is there"), first);
    let left: Vec<_> = fs::read_dir(directory.path().join("topic"))
        .expect("it is there")
        .collect();
    assert_eq!(left.len(), 2, "no temporary file is left");
}

#[test]
fn golden_says_what_is_wrong_with_a_stimulus_and_leaves_the_rest_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (name, snapshot) = scenario(directory.path());
    fs::write(
        directory.path().join("topic/two.stim"),
        "twinwalk-stim 1\nread 5 port=9\n",
    )
    .expect("it is written");
    let output = twinwalk(&[
        "golden", "two", "--dir", &name, "--on", "model", "--bless", "--json",
    ]);
    assert_eq!(code(&output), 2);
    assert!(
        json(&output)["error"]
            .as_str()
            .is_some_and(|error| error.contains("two.stim:2:13")),
        "{}",
        stdout(&output)
    );
    assert!(!snapshot.exists());
    let output = twinwalk(&["golden", "three", "--dir", &name, "--on", "model"]);
    assert_eq!(code(&output), 2);
    let output = twinwalk(&["golden", "--dir", "no-such-directory", "--on", "model"]);
    assert_eq!(code(&output), 2);
}

#[test]
fn golden_blesses_nothing_in_the_name_of_both_where_there_is_no_rtl() {
    let directory = tempfile::tempdir().expect("a directory");
    let (name, snapshot) = scenario(directory.path());
    // Not the machine that a build may have linked in.
    let stimulus = snapshot.with_extension("stim");
    let text = fs::read_to_string(&stimulus).expect("it is there");
    let (first, rest) = text.split_once('\n').expect("lines");
    fs::write(
        &stimulus,
        format!("{first}\nset memory.latency_cycles=51\n{rest}"),
    )
    .expect("it is written");
    let without_tools = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(arguments)
            .env("PATH", directory.path())
            .env("XDG_CACHE_HOME", directory.path().join("cache"))
            .output()
            .expect("the binary runs")
    };
    let output = without_tools(&["golden", "--dir", &name]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("the model alone: "));
    let output = without_tools(&["golden", "--dir", &name, "--bless"]);
    assert_eq!(code(&output), 2, "{}", stdout(&output));
    assert!(stderr(&output).contains("remedy: "), "{}", stderr(&output));
    assert!(!snapshot.exists());
    let output = without_tools(&["golden", "--dir", &name, "--bless", "--on", "model"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(snapshot.exists());
}
