//! Behaviour of `twinwalk explain`: the worked examples of its page to the byte, the figures as JSON, a trace as `run` has it, refusals.
//!
//! Contract: 12. SDM vol. 3A, 4.5 to 4.8. Counterpart: none. What is explained is tested beside its code.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::Value as Json;
use twinwalk::cli::{self, Context};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");
/// Two instructions; a load; a store from the load's page into the next; a load and a store to the first page.
const LACKEY: &str =
    "I  00401000,3\n L 1ffeffe7e0,8\nI  00401003,7\n S 1ffeffeffc,8\n M 1ffeffe7e8,8\n";

fn command(command: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .arg(command)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
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

fn explain(arguments: &[&str]) -> Output {
    command("explain", arguments, "")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn object_of(name: &str, arguments: &[&str], input: &str) -> Json {
    let output = command(name, &[arguments, &["--json"]].concat(), input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

fn object(arguments: &[&str]) -> Json {
    object_of("explain", arguments, "")
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

/// Situations that a student meets.
const SITUATIONS: [&[&str]; 12] = [
    &["0x401abc", "--map", "0x401000=0x1234000"],
    &[
        "0x40abcd",
        "--map",
        "0x400000=0x1200000,2m",
        "--access",
        "write",
    ],
    &[
        "0x12345678",
        "--map",
        "0=0x40000000,1g",
        "--access",
        "fetch",
    ],
    &["0x401abc", "--map", "0x401000=0x1234000,pml4e.absent"],
    &["0x401abc", "--map", "0x401000=0x1234000,absent"],
    &["0x40abcd", "--map", "0x400000=0x1200000,2m,bit13=1"],
    &[
        "0x401abc",
        "--map",
        "0x401000=0x1234000",
        "--cpl",
        "0",
        "--cr",
        "smap=1",
    ],
    &[
        "0x401abc",
        "--map",
        "0x401000=0x1234000,nx",
        "--access",
        "fetch",
    ],
    &[
        "0x401abc",
        "--map",
        "0x401000=0x1234000,key=2",
        "--cr",
        "pkru=0x10",
    ],
    &["0x800000000000", "--access", "read"],
    &["0x401abc", "--cr", "pg=0"],
    &[
        "0xff7fffff12340abc",
        "--mode",
        "57",
        "--map",
        "0xff7fffff12340000=0x5000",
    ],
];

#[test]
fn it_is_readable_in_a_terminal_of_100_columns_and_has_no_colour() {
    for arguments in SITUATIONS {
        let output = explain(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
        for line in text(&output.stdout).lines() {
            assert!(line.chars().count() <= 100, "{arguments:?}: {line}");
            assert!(
                !line.contains('\u{1b}') && line.trim_end() == line,
                "{line:?}"
            );
        }
    }
}

#[test]
fn in_json_causes_add_up_to_the_latency_and_the_formula_agrees() {
    for arguments in SITUATIONS {
        let found = object(arguments);
        let access = &found["access"];
        let runs = access["runs"].as_array().expect("runs");
        assert_eq!(runs.len(), 2, "cold, and again");
        for run in runs {
            let causes = run["causes"].as_array().expect("causes");
            let sum: u64 = causes
                .iter()
                .filter_map(|cause| cause["cycles"].as_u64())
                .sum();
            assert_eq!(run["latency_cycles"], sum);
            assert_eq!(run["formula"]["cycles"], sum);
            assert_eq!(run["formula"]["difference_cycles"], 0);
        }
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
fn a_narrow_address_is_split_by_ten_ten_and_twelve_bits() {
    let split = object(&["0xc0de1234", "--mode", "32"])["split"].take();
    assert_eq!(split["indices"][0]["index"], 0x303);
    assert_eq!(split["indices"][1]["entry_bytes"], 4);
    assert_eq!(split["pages"][1]["size"], "4m");
    let output = explain(&["0x100000000", "--mode", "32"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("give one below 0x100000000"));
}

#[test]
fn a_denied_access_names_every_rule_and_the_error_code_bit_by_bit() {
    let found = object(&[
        "0x40abcd",
        "--map",
        "0x400000=0x1200000,2m,ro,key=1",
        "--access",
        "write",
        "--cpl",
        "0",
        "--cr",
        "smap=1,pkru=8",
    ]);
    let walk = &found["access"]["walks"][0];
    let rules = walk["rules"].as_array().expect("rules");
    let denying: Vec<_> = rules.iter().filter(|rule| rule["denies"] == true).collect();
    let names: Vec<_> = denying.iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["write", "SMAP", "key"]);
    assert_eq!(walk["outcome"]["error_code"], 0x23);
    assert_eq!(walk["outcome"]["cr2"], "0x40abcd");
    assert_eq!(walk["outcome"]["bits"].as_array().map(Vec::len), Some(6));
    let response = found["access"]["runs"][0]["response"].as_str();
    assert!(
        response.is_some_and(|text| text.contains("error code 0x23")),
        "{response:?}"
    );
}

#[test]
fn a_write_to_a_clean_page_sets_d_by_compare_and_set_and_walks_once_more() {
    let found = object(&[
        "0x401000",
        "--map",
        "0x401000=0x1234000,d=0",
        "--access",
        "read,write,write",
    ]);
    let access = &found["access"];
    assert!(access["walks"][0]["entries"][3]["update"].is_null());
    assert_eq!(access["walks"][1]["entries"][3]["update"]["sets"], "D");
    let first_levels: Vec<_> = (0..3)
        .map(|run| &access["runs"][run]["first_level"])
        .collect();
    assert_eq!(first_levels, ["miss", "hit, write with D clear", "hit 4k"]);
    assert_eq!(access["runs"][1]["psc"], "PDE");
    assert_eq!(access["runs"][1]["compare_and_sets"], 1);
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
        let run = object_of("run", &["--trace", SHIPPED, "--count", &reference], "");
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

#[test]
fn a_page_that_the_trace_does_not_touch_is_refused_with_the_nearest() {
    let output = command("explain", &["0x1ffeffd000", "--trace", "-"], LACKEY);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr)
            .lines()
            .find(|line| line.starts_with("remedy")),
        Some(
            "remedy: give an address in a page that it touches; nearest: 0x401000 and 0x1ffeffe000"
        )
    );
    let output = command(
        "explain",
        &["0x401000", "--trace", "-", "--occurrence", "9"],
        LACKEY,
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("remedy: give 1 to 2"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_what_is_allowed() {
    for (arguments, place, remedy) in [
        (&["zz"][..], "ADDRESS \"zz\", character 1", "0x7fff12340abc"),
        (
            &["0x1", "--map", "0=0,usr"],
            "--map \"0=0,usr\", character 5",
            "words: user",
        ),
        (
            &["0x1", "--map", "0"],
            "--map \"0\", character 1",
            "give VA=PA",
        ),
        (
            &["0x1", "--map", "0=0", "--map", "0=0x1000"],
            "--map \"0=0x1000\"",
            "map each page once",
        ),
        (
            &["0x1", "--cr", "wp"],
            "--cr \"wp\", character 4",
            "give a number",
        ),
        (&["0x1", "--cr", "pcid=1,pg=0"], "MOV CR4", "leave out pcid"),
        (
            &["0x1", "--access", "read,jump"],
            "--access \"read,jump\", character 6",
            "read, write or fetch",
        ),
        (&["0x1", "--cpl", "4"], "'--cpl <0..3>'", "--help"),
        (&["0x1", "--mode", "33"], "'--mode <BITS>'", "32, 48 or 57"),
        (
            &[
                "0x1",
                "--mode",
                "57",
                "--access",
                "read",
                "--set",
                "capabilities.five_level=false",
            ],
            "#GP",
            "--mode 48",
        ),
        (&["0x1", "--occurrence", "2"], "--trace <FILE>", "--help"),
        (
            &["0x1", "--trace", "-", "--access", "read"],
            "--access",
            "--help",
        ),
        (
            &["0x1", "--trace", "/nonexistent"],
            "/nonexistent",
            "remedy: ",
        ),
        (
            &["0x1", "--trace-format", "lackey"],
            "--trace-format",
            "give --trace",
        ),
    ] {
        let output = explain(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(
            said.contains(place) && said.contains(remedy),
            "{arguments:?}: {said}"
        );
        assert_eq!(text(&output.stdout), "");
    }
}

/// Writes into memory that the test keeps a hold of.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An argument, right or wrong.
fn argument() -> impl Strategy<Value = Vec<String>> {
    let pair = |name: &'static str, value: &'static str| {
        value
            .prop_map(move |value| vec![name.to_owned(), value])
            .boxed()
    };
    prop_oneof![
        pair(
            "--map",
            "0x[0-9a-f]{0,13}000=0x[0-9a-f]{0,10}000(,(2m|1g|4k|ro|nx|absent|d=0|pde.us=0|bit[0-9]{1,2}=[01]|[a-z]{1,4})){0,3}"
        ),
        pair("--map", "\\PC{0,12}"),
        pair(
            "--cr",
            "(wp|smep|smap|pkru|pg|nxe|pcid|ac|[a-z]{1,3})=[0-9]{0,2}"
        ),
        pair(
            "--access",
            "(read|write|fetch|x){1}(,(read|write|fetch)){0,2}"
        ),
        pair("--cpl", "[0-4]"),
        pair("--mode", "(32|48|57|64)"),
        pair(
            "--set",
            "(memory.latency_cycles|memory.size_bytes|capabilities.maxphyaddr_bits)=[0-9]{1,5}"
        ),
        "\\PC{0,9}".prop_map(|other| vec![other]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn whatever_the_arguments_there_is_one_answer_and_no_panic(
        address in "(0x[0-9a-f]{1,16}|[0-9]{1,20}|\\PC{0,6})",
        arguments in prop::collection::vec(argument(), 0..5),
        json in any::<bool>(),
    ) {
        let mut all: Vec<OsString> = vec!["twinwalk".into(), "explain".into(), address.into()];
        all.extend(arguments.iter().flatten().map(OsString::from));
        if json {
            all.insert(1, "--json".into());
        }
        let (stdout, stderr) = (Shared::default(), Shared::default());
        let context = Context::on(json, Box::new(stdout.clone()), Box::new(stderr.clone()));
        let code = cli::run(&all, context);
        let (stdout, stderr) = (stdout.0.lock().expect("no panic"), stderr.0.lock().expect("no panic"));
        match code {
            0 => prop_assert!(!stdout.is_empty() && stderr.is_empty()),
            2 => {
                prop_assert!(text(&stderr).starts_with("error: "), "{}", text(&stderr));
                prop_assert!(json || stdout.is_empty());
            }
            other => prop_assert!(false, "exit code {other}"),
        }
        let is_help = text(&stdout).contains("Usage:");
        if json && !is_help {
            let object: Json = serde_json::from_slice(&stdout).expect("one JSON value");
            prop_assert!(object.is_object());
            prop_assert_eq!(code == 2, object["error"].is_string());
        }
    }
}
