//! What is refused, with its place and a remedy; and one answer to whatever arguments.
//!
//! Contract: none. SDM: none. Counterpart: none.

use proptest::prelude::*;

use super::{LACKEY, SHIPPED, explain};
use crate::cli_support::{assert_one_answer, command, text};

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
        (
            &["0x1", "--mode", "32", "--trace", SHIPPED],
            "traces are mapped in 4- or 5-level tables only",
            "remedy: give --mode 48 or 57",
        ),
        (
            &["0x1", "--mode", "32", "--map", "0=0,2m"],
            "32-bit paging has no pages of 2m",
            "the page sizes are 4k, 4m",
        ),
        (
            &["0x1", "--mode", "32", "--cr", "pcid=1"],
            "MOV CR4",
            "leave out pcid",
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
            "0x[0-9a-f]{0,13}000=0x[0-9a-f]{0,10}000(,(2m|1g|4k|4m|ro|nx|absent|d=0|pde.us=0|bit[0-9]{1,2}=[01]|[a-z]{1,4})){0,3}"
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
        assert_one_answer("explain", &[vec![address], arguments.concat()].concat(), json);
    }
}
