//! A policy that the model alone has: it runs, every output says `rtl: none`, and what needs the RTL refuses it by key and value.
//!
//! Contract: 1.6 has no such policy. SDM: none. Counterpart: none. `docs/add-a-policy.md` explains.

#[cfg(feature = "rtl")]
use std::io::Write as _;

use crate::cli_support::{command, object_of, text};

const KEY: &str = "dtlb.arrays.0.replacement";
const LIP: &str = "dtlb.arrays.0.replacement=lip";
/// Twelve pages again and again: more than the 4 KiB array of this DTLB has, so that by LRU each is gone when it is wanted again.
const SMALL: &str = "dtlb.arrays=[{page_sizes=[\"4k\"],sets=1,ways=8}]";

fn trace() -> Vec<u8> {
    let mut text = "kind,address,size\n".to_owned();
    for number in 0..600 {
        text += &format!("load,{:#x},8\n", 0x40_0000 + (number % 12) * 0x1000);
    }
    text.into_bytes()
}

fn says_none(arguments: &[&str], input: &[u8]) {
    let output = command(
        arguments[0],
        &[&arguments[1..], &["--set", LIP]].concat(),
        input,
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains("rtl: none") && said.contains(KEY),
        "{arguments:?}: {said}"
    );
}

#[test]
fn it_runs_on_the_model_and_every_output_says_that_there_is_no_rtl() {
    says_none(&["run", "--trace", "-"], &trace());
    says_none(&["config", "show"], b"");
    says_none(&["config", "show", "--timing", "--on", "model"], b"");
    says_none(&["explain", "0x401000", "--map", "0x401000=0x1234000"], b"");
    says_none(&["check", "--on", "model", "--ops", "2000"], b"");
    let lip = object_of(
        "run",
        &["--trace", "-", "--set", SMALL, "--set", LIP],
        &trace(),
    );
    assert_eq!(lip["rtl"], "none");
    let lru = object_of("run", &["--trace", "-", "--set", SMALL], &trace());
    assert_eq!(lru["rtl"], "available");
    let misses = |figures: &serde_json::Value| figures["dtlb"]["misses"].as_u64().expect("a count");
    // By LRU each page misses in every round; by LIP all ways but one keep what they have.
    assert_eq!(misses(&lru), 600);
    assert!(misses(&lip) < 300, "{}", misses(&lip));
    let shown = object_of("config", &["show", "--set", LIP], b"");
    assert_eq!(shown["rtl"], "none");
    assert!(shown["rtl_parameters"].is_null());
    let access = ["0x401000", "--map", "0x401000=0x1234000", "--set", LIP];
    assert_eq!(object_of("explain", &access, b"")["machine"]["rtl"], "none");
    let check = ["--on", "model", "--ops", "2000", "--set", LIP];
    assert_eq!(object_of("check", &check, b"")["rtl"], "none");
    // An array without ways is none, and neither is its policy.
    let absent = ["show", "--set", LIP, "--set", "dtlb.arrays.0.ways=0"];
    assert_eq!(object_of("config", &absent, b"")["rtl"], "available");
}

#[cfg(feature = "rtl")]
#[test]
fn what_needs_the_rtl_refuses_it_with_key_value_and_remedy() {
    let refuses = |arguments: &[&str], input: &[u8], key: &str| {
        let output = command(arguments[0], &arguments[1..], input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        for part in [
            &format!("{key} = \"lip\""),
            "rtl: none",
            "remedy: ",
            "\"srrip\"",
            "--on model",
        ] {
            assert!(said.contains(part), "{arguments:?}: {part}: {said}");
        }
        assert!(output.stdout.is_empty(), "{arguments:?}");
    };
    refuses(
        &["run", "--backend", "rtl", "--trace", "-", "--set", LIP],
        &trace(),
        KEY,
    );
    refuses(&["check", "--ops", "10", "--set", LIP], b"", KEY);
    refuses(
        &["check", "--ops", "10", "--set", "psc.pde.replacement=lip"],
        b"",
        "psc.pde.replacement",
    );
    refuses(&["config", "show", "--timing", "--set", LIP], b"", KEY);
    refuses(&["conform", "-", "--on", "rtl", "--set", LIP], b"", KEY);
    let directory = tempfile::tempdir().expect("there is room");
    let topic = directory.path().join("replacement");
    std::fs::create_dir(&topic).expect("there is room");
    let path = topic.join("lip.stim");
    let mut file = std::fs::File::create(&path).expect("there is room");
    let stimulus = "twinwalk-stim 1\nabout LIP.\nconfig preset:tiny\nset dtlb.arrays.0.replacement=\"lip\"\nseed 1\n\n\
                    tables 0x1000 accessed\nspace kernel 4\nmap 0x1000 -> 0x9000 4k rw\n\nboot kernel\nwrite 0x1000\ndrain\n";
    file.write_all(stimulus.as_bytes()).expect("there is room");
    let directory = directory.path().to_str().expect("UTF-8");
    refuses(&["golden", "--dir", directory], b"", KEY);
    let path = path.to_str().expect("UTF-8");
    refuses(&["replay", path], b"", KEY);
    let replayed = object_of("replay", &[path, "--on", "model"], b"");
    assert_eq!(replayed["rtl"], "none");
}
