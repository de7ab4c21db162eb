//! Behaviour of `twinwalk explain`: the worked examples of its page to the byte, the figures as JSON, a trace as `run` has it, refusals.
//!
//! Contract: 12. SDM vol. 3A, 4.5 to 4.8. Counterpart: none. What is explained is tested beside its code.

mod narrow;
mod refused;
mod situations;

use std::fs;
use std::process::Output;

use serde_json::Value as Json;

use crate::cli_support::{command, object_of, text};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");
/// Two instructions; a load; a store from the load's page into the next; a load and a store to the first page.
const LACKEY: &[u8] =
    b"I  00401000,3\n L 1ffeffe7e0,8\nI  00401003,7\n S 1ffeffeffc,8\n M 1ffeffe7e8,8\n";

fn explain(arguments: &[&str]) -> Output {
    command("explain", arguments, b"")
}

fn object(arguments: &[&str]) -> Json {
    object_of("explain", arguments, b"")
}

/// The worked examples of the page: each the arguments, and what is printed.
fn examples() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explain.md");
    let page = fs::read_to_string(path).expect("the page can be read");
    let blocks = page.split("```text\n$ twinwalk explain ").skip(1);
    let example = |block: &str| {
        let (block, _) = block.split_once("```\n").expect("its end");
        let (arguments, printed) = block.split_once('\n').expect("what is printed");
        (arguments.to_owned(), printed.to_owned())
    };
    blocks.map(example).collect()
}

#[test]
fn the_page_prints_what_the_command_prints_to_the_byte() {
    let examples = examples();
    assert!(examples.len() >= 4, "an example of each use");
    for (arguments, printed) in examples {
        let split: Vec<&str> = arguments.split(' ').collect();
        let output = explain(&split);
        assert_eq!(output.status.code(), Some(0), "{arguments}");
        let remedy = format!(
            "if the command is right, put what `twinwalk explain {arguments}` prints into docs/explain.md"
        );
        for (found, expected) in text(&output.stdout).lines().zip(printed.lines()) {
            assert_eq!(found, expected, "{remedy}");
        }
        assert!(text(&output.stdout) == printed, "{remedy}");
    }
}

#[test]
fn the_readme_shows_lines_that_the_command_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let page = fs::read_to_string(path).expect("the page can be read");
    let (_, block) = page.split_once("$ twinwalk explain ").expect("an example");
    let (block, _) = block.split_once("```").expect("its end");
    let (arguments, lines) = block.split_once('\n').expect("what is printed");
    let output = explain(&arguments.split(' ').collect::<Vec<_>>());
    for line in lines.lines().filter(|line| *line != "...") {
        assert!(
            text(&output.stdout).lines().any(|printed| printed == line),
            "{line}"
        );
    }
}

#[test]
fn the_address_of_the_textbook_is_split_as_the_textbook_has_it() {
    let found = object(&["0x7fff12340abc"]);
    let split = &found["split"];
    assert_eq!(split["canonical"], true);
    assert_eq!(split["pages"][0]["page_number"], "0x7fff12340");
    assert_eq!(split["pages"][0]["offset"], "0xabc");
    assert_eq!(split["indices"][3]["table"], "PT");
    assert_eq!(split["indices"][3]["index"], 0x140);
    assert!(found["access"].is_null() && found["trace"].is_null());
}

#[test]
fn a_reference_of_a_trace_ends_in_the_cycle_in_which_run_ends_after_as_many() {
    for occurrence in ["1", "7", "5000"] {
        let found = object(&[
            "0x1ffefffabc",
            "--trace",
            SHIPPED,
            "--occurrence",
            occurrence,
        ]);
        let trace = &found["trace"];
        let reference = trace["found"]["reference"]
            .as_u64()
            .expect("a number")
            .to_string();
        let run = object_of("run", &["--trace", SHIPPED, "--count", &reference], b"");
        let end = run["setup_cycles"].as_u64().zip(run["cycles"].as_u64());
        let (setup, cycles) = end.expect("cycles");
        // The run is over in the cycle after the last answer.
        assert_eq!(
            trace["run"]["responded_at"],
            setup + cycles - 1,
            "{occurrence}"
        );
    }
}

#[test]
fn a_trace_from_standard_input_is_explained_up_to_the_second_part_of_a_crossing_reference() {
    let found = object_of("explain", &["0x1ffefff000", "--trace", "-"], LACKEY);
    let found = &found["trace"]["found"];
    assert_eq!(found["reference"], 4);
    assert_eq!(found["kind"], "store");
    assert_eq!(found["size_bytes"], 4);
    assert!(found["previous"].is_null());
    assert_eq!(found["fetches_before"], 2);
}
