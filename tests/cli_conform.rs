//! `twinwalk conform` as a person or a script meets it: what holds, what must not, on each implementation; what is refused, and how.
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8. Counterpart: `src/conform/tests.rs`.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// Where the builds have an RTL, all three are asked; MAXPHYADDR is that of the default machine, which may be linked in.
#[cfg(feature = "rtl")]
const ON: (&str, &[&str]) = ("all", &["reference", "model", "rtl"]);
#[cfg(not(feature = "rtl"))]
const ON: (&str, &[&str]) = ("model", &["model"]);

/// A user page read and then written by user code; then a page with XD fetched from. Each entry stands at index 1 of its table.
fn cases() -> [Value; 2] {
    let machine = |id: &str, leaf: &str, steps: Value| {
        json!({
            "id": id, "maxphy": 46, "levels": 4,
            "cr0": "0x80010011", "cr3": "0x1000", "cr4": "0xa0", "efer": "0xd00", "pkru": "0x0",
            "ent": [[4, "0x1008", "0x2007"], [3, "0x2008", "0x3007"], [2, "0x3008", "0x4007"], [1, "0x4008", leaf]],
            "steps": steps, "note": "a field that is not known says nothing"
        })
    };
    let step = |kind: &str, answer: Value, leaf: &str| {
        json!({
            "k": kind, "cpl": 3, "ac": 0, "va": "0x8040201ab8", "vec": answer[0], "ec_sdm": answer[1],
            "cr2": answer[2], "pa": answer[3], "after": ["0x2027", "0x3027", "0x4027", leaf]
        })
    };
    let page = json!([null, null, null, "0x5ab8"]);
    let steps = json!([step("r", page.clone(), "0x5027"), step("w", page, "0x5067")]);
    let leaf = "0x8000000000005007";
    let fault = json!([step("x", json!([14, 0x15, "0x8040201ab8", null]), leaf)]);
    [machine("page", "0x5007", steps), machine("xd", leaf, fault)]
}

fn lines(cases: &[Value]) -> String {
    cases.iter().map(|case| format!("{case}\n")).collect()
}

fn conform(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .arg("conform")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that refuses its arguments does not read, and that is no failure here.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn figures(arguments: &[&str], input: &[u8], code: i32) -> Value {
    let output = conform(&[arguments, &["--json"]].concat(), input);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

#[test]
fn what_the_manual_says_holds_on_every_implementation() {
    let found = figures(&["-", "--on", ON.0], lines(&cases()).as_bytes(), 0);
    assert_eq!(found["cases"], 2);
    assert_eq!(found["steps"], 3);
    assert_eq!(found["entries_compared"], 12);
    assert_eq!(found["translated"], 2);
    assert_eq!(found["page_faults"], json!({"0x15": 1}));
    assert_eq!(found["implementations"], json!(ON.1));
    for name in ON.1 {
        assert_eq!(found["mismatches"][name], 0);
    }
    assert_eq!(found["first_mismatches"], json!([]));
}

#[test]
fn one_flipped_bit_is_a_mismatch_on_every_implementation() {
    let wrong = [
        (0, "/steps/1/after/3", json!("0x5027"), "after[3]"),
        (0, "/steps/0/pa", json!("0x4ab8"), "pa"),
        (1, "/steps/0/ec_sdm", json!(0x14), "ec_sdm"),
    ];
    for (which, pointer, value, field) in wrong {
        let mut cases = cases();
        *cases[which].pointer_mut(pointer).expect("it is there") = value;
        let input = lines(&cases);
        let found = figures(&["-", "--on", ON.0], input.as_bytes(), 1);
        for (name, first) in ON.1.iter().zip(0..) {
            assert_eq!(found["mismatches"][name], 1, "{field}");
            let first = &found["first_mismatches"][first];
            assert_eq!(first["implementation"], json!(name));
            assert_eq!(first["file"], "standard input");
            assert_eq!(first["line"], which + 1);
            assert_eq!(first["fields"], json!([field]));
            assert_eq!(first["fails_alone"], true);
        }
    }
}

#[test]
fn a_person_is_shown_the_mismatch_and_the_figures() {
    let mut cases = cases();
    cases[0]["steps"][1]["after"][3] = json!("0x5027");
    let output = conform(&["-", "--on", "model"], lines(&cases).as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("it is text");
    for part in [
        "model: standard input, line 1: page, step 2 of 2\n",
        "  access     write of 0x8040201ab8, CPL 3, AC 0\n",
        "  machine    MAXPHYADDR 46, 4 levels, CR3 0x1000, WP NXE PGE; PKRU 0x0, without effect\n",
        "  PTE (4 KiB page) at 0x4008\n",
        "    6      D         0                   0                   1                   <- differs\n",
        "Machine: default",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn compressed_files_are_read_as_they_are_and_counted_one_by_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = lines(&cases()).into_bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text).expect("encodes");
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&text).expect("encodes");
    let files = [
        gzip.finish().expect("encodes"),
        xz.finish().expect("encodes"),
        zstd::encode_all(text.as_slice(), 3).expect("encodes"),
        text,
    ];
    let mut arguments = vec!["--on".to_owned(), "reference".to_owned()];
    for (number, bytes) in files.iter().enumerate() {
        // The name says nothing: the content does.
        let path = directory.path().join(format!("{number}"));
        fs::write(&path, bytes).expect("written");
        arguments.push(path.to_str().expect("UTF-8").to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = figures(&arguments, b"", 0);
    assert_eq!(found["cases"], 8);
    let files = found["files"].as_array().expect("a list");
    assert_eq!(files.len(), 4);
    assert!(files.iter().all(|file| file["cases"] == 2));
}

#[test]
fn what_is_refused_is_named_with_file_line_and_field_and_ends_with_2() {
    let mut wrong = cases();
    wrong[1]["ent"][2][0] = json!(4);
    let level = lines(&wrong);
    wrong = cases();
    wrong[1]["steps"][0]["after"][1] = json!("3027");
    let hex = lines(&wrong);
    wrong = cases();
    wrong[1].as_object_mut().expect("an object").remove("cr3");
    let missing = lines(&wrong);
    let cut = lines(&cases())[..900].to_owned();
    for (input, part) in [
        (
            level.as_str(),
            "standard input: line 2: ent[2][0]: level 4 is out of order",
        ),
        (
            &hex,
            "standard input: line 2: steps[0].after[1]: is \"3027\", not a hexadecimal string",
        ),
        (&missing, "standard input: line 2: cr3: is missing"),
        (&cut, "standard input: line 2, column "),
        ("", "standard input: has no vector in it"),
    ] {
        let output = conform(&["-", "--on", "reference", "--json"], input.as_bytes());
        assert_eq!(output.status.code(), Some(2), "{part}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
        let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
        assert!(object["error"].as_str().expect("a message").contains(part));
        assert!(!object["remedy"].as_str().expect("a remedy").is_empty());
    }
}

#[test]
fn a_file_that_is_not_there_and_a_machine_without_five_levels_are_refused() {
    let output = conform(&["nothing.jsonl", "--on", "reference"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nothing.jsonl: cannot be opened"));
    let narrow = [
        "-",
        "--on",
        "model",
        "--set",
        "capabilities.five_level=false",
    ];
    let output = conform(&narrow, lines(&cases()).as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("remedy: add --set capabilities.five_level=true"));
}

#[test]
fn the_size_of_the_machines_memory_does_not_count() {
    let small = ["-", "--on", "model", "--set", "memory.size_bytes=4096"];
    let found = figures(&small, lines(&cases()).as_bytes(), 0);
    assert_eq!(found["mismatches"]["model"], 0);
}

#[cfg(feature = "rtl")]
#[test]
fn the_rtl_without_verilator_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let vectors = directory.path().join("v.jsonl");
    let mut case = cases()[0].clone();
    case["maxphy"] = json!(41);
    fs::write(&vectors, lines(&[case])).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["conform", "--on", "rtl"])
        .arg(&vectors)
        .env("PATH", directory.path())
        .env("XDG_CACHE_HOME", directory.path())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("install Verilator"),
        "{}",
        stderr(&output)
    );
}
