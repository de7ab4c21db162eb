//! Behaviour of `twinwalk tables`: the page of the textbooks to the byte, ranges, traces, processes, and what is refused.
//!
//! Contract: none. SDM: none. Counterpart: none. The count itself is tested beside its code.

use std::fs;
use std::process::{Command, Output};

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::cli_support::{assert_one_answer, command, object_of, text};

fn twinwalk(arguments: &[&str], input: &[u8]) -> Output {
    command("tables", arguments, input)
}

fn object(arguments: &[&str], input: &[u8]) -> Json {
    object_of("tables", arguments, input)
}

/// The cost of a form at a page size.
fn cost<'a>(object: &'a Json, mode: &str, page_size: &str) -> &'a Json {
    let costs = object["costs"].as_array().expect("costs");
    costs
        .iter()
        .find(|cost| cost["mode"] == mode && cost["page_size"] == page_size)
        .unwrap_or_else(|| panic!("no {mode} at {page_size}"))
}

/// The golden page: the first block of text in docs/tables.md.
fn golden() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tables.md");
    let page = fs::read_to_string(path).expect("the page can be read");
    let (_, block) = page.split_once("```text\n").expect("a block of text");
    let (block, _) = block.split_once("```\n").expect("its end");
    block.to_owned()
}

#[test]
fn bare_it_prints_the_golden_page_of_the_textbooks_to_the_byte() {
    let output = twinwalk(&[], b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(
        text(&output.stdout),
        golden(),
        "if the new page is right, put what `twinwalk tables` prints into docs/tables.md"
    );
}

#[test]
fn the_golden_page_has_the_figures_of_the_textbooks_and_what_is_true_where_texts_err() {
    let page = golden();
    for figure in [
        " 4 GiB ",
        " 4 MiB ",
        " 400 MiB ",
        " 512 GiB ",
        " 2^36 pages ",
        " 2^22 frames ",
        " 20 KiB ",
        " 256 TiB ",
        " 128 PiB ",
        " 512 entries ",
        " 1 entry ",
        "128 PiB, not 129",
        "page number 0x7fff12340, offset 0xabc",
        "PT 0x140",
    ] {
        assert!(page.contains(figure), "{figure:?} is missing");
    }
}

#[test]
fn the_textbook_in_json_has_units_in_its_keys() {
    let page = object(&[], b"");
    let figures = page["figures"].as_array().expect("figures");
    let figure = |name: &str| {
        figures
            .iter()
            .find(|entry| entry["figure"] == name)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let by_word = figure("flat table by word, 32-bit addresses");
    assert_eq!(by_word["size_bytes"], 4_u64 << 30);
    assert_eq!(figure("frames in 16 GiB of memory")["frames"], 1 << 22);
    assert_eq!(figure("reach of five levels")["reach_bytes"], 1_u64 << 57);
    assert_eq!(page["corrections"].as_array().map(Vec::len), Some(3));
}

#[test]
fn ranges_cost_what_a_pencil_finds() {
    // 16 MiB: 8 page tables; the stack, 132 KiB: one, and a directory and a table above it.
    let ranges = ["--range", "0x400000+16M", "--range", "0x7ffffffde000+132K"];
    let found = object(&ranges, b"");
    assert_eq!(found["ranges_size_bytes"], (16 << 20) + (132 << 10));
    let four = cost(&found, "four-level", "4k");
    assert_eq!(four["tables"], 1 + 2 + 2 + 9);
    assert_eq!(four["size_bytes"], 14 * 4096);
    assert_eq!(four["pages"], 4096 + 33);
    assert_eq!(four["entries_used"], 2 + 2 + 9 + 4129);
    let levels: Vec<_> = four["levels"].as_array().expect("levels").iter().collect();
    assert_eq!(levels[3]["level"], "PT");
    assert_eq!(levels[3]["tables"], 9);
    assert_eq!(cost(&found, "four-level", "2m")["tables"], 5);
    assert_eq!(cost(&found, "five-level", "4k")["tables"], 15);
    let beyond: Vec<_> = found["out_of_reach"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert!(beyond.iter().any(|entry| entry["mode"] == "two-level"));
    assert_eq!(beyond[0]["first_address"], "0x7ffffffde000");
}

#[test]
fn so_many_processes_cost_so_many_times_as_much() {
    let found = object(&["--processes", "100"], b"");
    let flat = cost(&found, "flat-page-32", "4k");
    assert_eq!(flat["size_bytes"], 4 << 20);
    assert_eq!(flat["all_processes_size_bytes"], 400 << 20);
    let four = cost(&found, "four-level", "4k");
    assert_eq!(four["all_processes_size_bytes"], 100 * 16 * 1024);
    // A million flat tables of 57 bits by word are more than 2^64 bytes: exact all the same.
    let most = ["--processes", "1000000", "--mode", "flat-word-57", "--json"];
    let output = twinwalk(&most, b"");
    let expected = format!("{}", (1_u128 << 57) * 1_000_000);
    assert!(text(&output.stdout).contains(&expected));
}

#[test]
fn a_trace_costs_the_same_as_the_ranges_of_its_pages() {
    // A fetch, and a store that crosses from one page to the next.
    let trace = b"I  00401000,3\n S 1ffeffeffc,8\n";
    let of_trace = object(&["--trace", "-"], trace);
    let of_ranges = object(
        &["--range", "0x401000+4K", "--range", "0x1ffeffe000+0x2000"],
        b"",
    );
    assert_eq!(of_trace["costs"], of_ranges["costs"]);
    assert_eq!(of_trace["ranges"], of_ranges["ranges"]);
    assert_eq!(cost(&of_trace, "four-level", "4k")["pages"], 3);
    let shorter = object(&["--trace", "-"], b"I  00401000,3\n");
    assert_ne!(shorter["costs"], of_ranges["costs"]);
}

#[test]
fn a_recorded_trace_has_as_many_pages_as_trace_info_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");
    let found = object(&["--trace", path, "--mode", "four-level"], b"");
    let info = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["trace", "info", path, "--json"])
        .output()
        .expect("the binary runs");
    let info: Json = serde_json::from_slice(&info.stdout).expect("one JSON value");
    for size in ["4k", "2m", "1g"] {
        assert_eq!(
            cost(&found, "four-level", size)["pages"],
            info["pages"][size]
        );
    }
}

#[test]
fn forms_and_page_sizes_can_be_chosen() {
    let found = object(
        &[
            "--mode",
            "four-level",
            "--mode",
            "two-level",
            "--pages",
            "4k",
        ],
        b"",
    );
    let costs = found["costs"].as_array().expect("costs");
    let modes: Vec<_> = costs.iter().map(|cost| &cost["mode"]).collect();
    assert_eq!(modes, ["two-level", "four-level"]);
    let found = object(&["--pages", "4m"], b"");
    assert_eq!(found["costs"].as_array().map(Vec::len), Some(2));
}

#[test]
fn bad_input_ends_with_exit_code_2_its_place_and_a_remedy() {
    for (arguments, place) in [
        (
            &["--range", "0x40x+16M"][..],
            "--range \"0x40x+16M\": character 5:",
        ),
        (&["--range", "0x1000"], "--range \"0x1000\": character 7:"),
        (&["--range", "-1+5"], "--range \"-1+5\": character 1:"),
        (&["--range", "5+0"], "character 3: a range of 0 bytes"),
        (
            &["--range", "0xffffffffffffffff+2"],
            "beyond the last address",
        ),
        (
            &[
                "--range",
                "0x100000000000000+4K",
                "--range",
                "0x8000000000000000+1",
            ],
            "do not reach",
        ),
        (
            &["--mode", "two-level", "--range", "4G+1"],
            "two-level tables do not reach 0x100000000",
        ),
        (
            &["--mode", "two-level", "--pages", "2m"],
            "--pages: two-level tables have no pages of size 2m",
        ),
        (
            &["--trace", "/nonexistent/trace"],
            "/nonexistent/trace: cannot be opened",
        ),
        (&["--trace-format", "lackey"], "--trace-format"),
    ] {
        let output = twinwalk(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        let said = text(&output.stderr);
        assert!(
            said.contains(place) && said.contains("\nremedy: "),
            "{arguments:?}: {said}"
        );
    }
    for arguments in [
        &["--processes", "0"][..],
        &["--processes", "1000001"],
        &["--mode", "six-level"],
        &["--pages", "8k"],
        &["--range", "0+1", "--trace", "x"],
        &["left over"],
    ] {
        let output = twinwalk(&[arguments, &["--json"]].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let object: Json = serde_json::from_slice(&output.stdout).expect("one JSON value");
        assert!(object["error"].is_string() && object["remedy"].is_string());
    }
    let output = twinwalk(&["--trace", "-"], b"no trace at all\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("remedy: "));
}

#[test]
fn help_has_examples_that_run() {
    let help = twinwalk(&["--help"], b"");
    assert_eq!(help.status.code(), Some(0));
    let help = text(&help.stdout).to_owned();
    let (_, examples) = help.split_once("Examples: ").expect("examples");
    let lines: Vec<&str> = examples
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 4);
    for line in lines {
        let arguments: Vec<&str> = line.split_whitespace().skip(2).collect();
        assert_eq!(twinwalk(&arguments, b"").status.code(), Some(0), "{line}");
    }
}

/// An argument: likely ones, with their values near what is right, and anything.
fn argument() -> impl Strategy<Value = Vec<String>> {
    let number = prop_oneof![
        any::<u64>().prop_map(|number| format!("{number:#x}")),
        any::<u64>().prop_map(|number| number.to_string()),
        (0u64..70, "[kKmMgGtTpPeiB]{0,3}").prop_map(|(bits, unit)| format!("{bits}{unit}")),
        (0u32..64).prop_map(|bits| format!("{:#x}", 1u64 << bits)),
        "\\PC{0,6}",
    ];
    let range = prop_oneof![
        (number.clone(), number.clone()).prop_map(|(start, size)| format!("{start}+{size}")),
        "[0-9a-fx+_KMGTPiB-]{0,12}",
    ];
    let modes = prop::sample::select(vec![
        "flat-word-57",
        "flat-page-32",
        "two-level",
        "four-level",
        "five-level",
    ]);
    let pages = prop::sample::select(vec!["word", "4k", "2m", "4m", "1g"]);
    let pair = |flag: &'static str| move |value: String| vec![flag.to_owned(), value];
    prop_oneof![
        6 => range.prop_map(pair("--range")),
        2 => modes.prop_map(|mode| vec!["--mode".to_owned(), mode.to_owned()]),
        2 => pages.prop_map(|unit| vec!["--pages".to_owned(), unit.to_owned()]),
        1 => number.prop_map(pair("--processes")),
        1 => "\\PC{0,10}".prop_map(pair("--mode")),
        1 => "/nonexistent/\\PC{0,6}".prop_map(pair("--trace")),
        1 => "\\PC{0,10}".prop_map(|text| vec![text]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_the_arguments_there_is_one_answer_and_no_panic(
        arguments in prop::collection::vec(argument(), 0..5),
        json in any::<bool>(),
    ) {
        assert_one_answer("tables", &arguments.concat(), json);
    }
}
