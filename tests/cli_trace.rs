//! Behaviour of `twinwalk trace`: what it reads, writes and refuses. The formats themselves are tested beside their code.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

/// Two fetches, a load, a store that crosses a page, a modify: 6 references on 3 pages.
const LACKEY: &str =
    "I  00401000,3\n L 1ffeffe7e0,8\nI  00401003,7\n S 1ffeffeffc,8\n M 1ffeffe7e8,8\n";

fn twinwalk(directory: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that refuses its arguments does not read, and that is no failure here.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn object(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

#[test]
fn text_from_standard_input_is_imported_and_found_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let imported = twinwalk(
        directory.path(),
        &["trace", "import", "-", "a.twt.zst", "--json"],
        LACKEY.as_bytes(),
    );
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    assert_eq!(stderr(&imported), "");
    let found = twinwalk(
        directory.path(),
        &["trace", "info", "a.twt.zst", "--json"],
        b"",
    );
    assert_eq!(
        object(&found),
        object(&imported),
        "an import says what is in the file"
    );
    let found = object(&found);
    assert_eq!(found["format"], "binary");
    assert_eq!(found["source"], "lackey");
    assert_eq!(found["compression"], "zstd");
    assert_eq!(found["references"], 6);
    assert_eq!(found["translations"]["stores"], 3);
    assert_eq!(found["instructions"], 2);
    assert_eq!(found["pages"]["4k"], 3);
    let text = twinwalk(
        directory.path(),
        &["trace", "info", "-", "--json"],
        LACKEY.as_bytes(),
    );
    assert_eq!(object(&text)["counts"], found["counts"]);
    assert_eq!(object(&text)["pages"], found["pages"]);
}

#[test]
fn count_ends_an_import_early() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let arguments = ["trace", "import", "-", "a.twt", "--count", "2", "--json"];
    let imported = twinwalk(directory.path(), &arguments, LACKEY.as_bytes());
    assert_eq!(object(&imported)["references"], 2);
}

#[test]
fn a_person_is_told_references_instructions_and_pages() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = twinwalk(directory.path(), &["trace", "info", "-"], LACKEY.as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    for expected in [
        "references",
        "translations",
        "Instructions: 2.",
        "3 of 4 KiB",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
}

#[test]
fn a_trace_that_is_refused_leaves_the_output_as_it_was() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = directory.path().join("kept.twt");
    fs::write(&output, "as it was").expect("written");
    for (input, expected) in [
        (&b""[..], "is empty"),
        (b"I  0400", "byte 0: not a trace in a known format"),
        (
            b"I  00401000,3\n L 10,8\nwhat is this\n",
            "line 3, byte 22: ",
        ),
    ] {
        let refused = twinwalk(
            directory.path(),
            &["trace", "import", "-", "kept.twt"],
            input,
        );
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(expected), "{}", stderr(&refused));
        assert!(
            stderr(&refused).contains("\nremedy: "),
            "{}",
            stderr(&refused)
        );
        assert_eq!(refused.stdout, b"");
    }
    assert_eq!(fs::read(&output).expect("still there"), b"as it was");
    assert_eq!(
        fs::read_dir(directory.path()).expect("readable").count(),
        1,
        "nothing else is left"
    );
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (arguments, expected) in [
        (
            &["trace", "info", "missing.twt"][..],
            "missing.twt: cannot be opened",
        ),
        (
            &["trace", "import", "-", "no/such/directory.twt"],
            "no/such/directory.twt: ",
        ),
        (&["trace", "import", "-", "."], ".: cannot be written"),
        (
            &["trace", "info", "-", "--trace-format", "dinero"],
            "the formats are lackey, binary",
        ),
    ] {
        let output = twinwalk(directory.path(), arguments, LACKEY.as_bytes());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn a_recording_without_a_name_never_replaces_a_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = directory.path().join("true.twt.zst");
    fs::write(&output, "as it was").expect("written");
    let refused = twinwalk(
        directory.path(),
        &["trace", "record", "--json", "--", "/bin/true"],
        b"",
    );
    assert_eq!(refused.status.code(), Some(2));
    let object = object(&refused);
    assert_eq!(object["error"], "true.twt.zst: is there already");
    assert!(
        object["remedy"]
            .as_str()
            .expect("a remedy")
            .contains("--out")
    );
    assert_eq!(fs::read(&output).expect("still there"), b"as it was");
}

#[cfg(target_os = "linux")]
#[test]
fn recording_keeps_standard_output_for_the_answer_or_says_that_valgrind_is_missing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let arguments = [
        "trace",
        "record",
        "--json",
        "--",
        "/bin/echo",
        "from the program",
    ];
    let recorded = twinwalk(directory.path(), &arguments, b"");
    let object = object(&recorded);
    match recorded.status.code() {
        Some(0) => {
            assert!(object["references"].as_u64().expect("a count") > 10_000);
            assert_eq!(object["status"], "exit status: 0");
            assert_eq!(object["stopped"], false);
            assert!(stderr(&recorded).contains("from the program"));
            assert!(directory.path().join("echo.twt.zst").exists());
        }
        code => {
            assert_eq!(code, Some(2));
            assert!(
                object["remedy"]
                    .as_str()
                    .expect("a remedy")
                    .contains("valgrind")
            );
            assert!(!directory.path().join("echo.twt.zst").exists());
        }
    }
}
