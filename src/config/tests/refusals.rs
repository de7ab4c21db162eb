//! What is refused, and that place, key, value and range are said.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

use std::fs;
use std::io::Write;

use super::{beside, from_text, is_fixed, refusal, values_beyond, values_within, with};
use crate::config::{Config, Origin, Problem, Source, load, schema};

#[test]
fn every_key_refuses_what_is_beyond_its_range_and_says_key_value_and_range() {
    let keys = schema::keys();
    assert!(keys.len() > 20, "{}", keys.len());
    for key in keys {
        let path = key.path.replace(".N.", ".0.");
        for value in values_beyond(&key.rule) {
            let argument = format!("{path}={value}");
            let error = refusal(&[&argument]);
            let message = error.to_string();
            assert!(message.starts_with("--set "), "{message}");
            assert!(message.contains(&path), "{argument}: {message}");
            assert!(
                message.ends_with(&format!("allowed: {}", key.rule)),
                "{argument}: {message}"
            );
            assert!(!error.remedy().is_empty());
        }
    }
}

#[test]
fn every_key_takes_the_ends_of_its_range() {
    for key in schema::keys() {
        let path = key.path.replace(".N.", ".0.");
        if is_fixed(&path) {
            continue; // `what_has_a_meaning_at_another_level_only_is_refused`
        }
        for value in values_within(&key.rule) {
            let mut settings = beside(&path);
            settings.push(format!("{path}={value}"));
            let loaded = load::load(&Source::Default, &settings);
            assert!(loaded.is_ok(), "{settings:?}: {:?}", loaded.err());
        }
    }
}

#[test]
fn a_value_out_of_range_in_a_file_is_refused_with_file_line_key_value_and_range() {
    let error = from_text(
        b"[dtlb]\narrays = [\n  { page_sizes = [\"4k\"], sets = 4, ways = 4 },\n  { page_sizes = [\"2m\"], sets = 4, ways = 70 },\n]\n",
    )
    .expect_err("70 ways");
    let message = error.to_string();
    assert!(
        message.ends_with(", line 4: dtlb.arrays.1.ways = 70 is refused; allowed: 0 to 64"),
        "{message}"
    );
    let Problem::Refused { place, key, .. } = error.problem() else {
        panic!("{message}");
    };
    assert!(matches!(place, Origin::File { line: 4, .. }), "{place:?}");
    assert_eq!(key, "dtlb.arrays.1.ways");
}

#[test]
fn a_value_that_a_setting_replaces_is_not_judged() {
    let text = b"[memory]\nlatency_cycles = 0\n";
    from_text(text).expect_err("0 cycles");
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text).expect("written");
    let source = Source::File(file.path().to_owned());
    load::load(&source, &["memory.latency_cycles=1".to_owned()]).expect("valid");
}

#[test]
fn mistakes_in_a_file_are_named_with_their_line() {
    let cases: [(&[u8], &str); 9] = [
        (
            b"[ports]\nqueue_entris = 1\n",
            "line 2: there is no key ports.queue_entris",
        ),
        (
            b"[ports]\nqueue_entries = 1\nqueue_entries = 2\n",
            "line 3, column 1: not TOML: duplicate key",
        ),
        (b"[ports]\nqueue_entries = \n", "line 2, column "),
        (
            b"\n\n[[stlb.arrays]]\nways = 2\nsets = 4\n",
            "line 3: stlb.arrays.0.page_sizes is missing; allowed: ",
        ),
        (b"psc = 4\n", "line 1: psc = 4 is refused; allowed: a table"),
        (b"# \xff\n", "byte 2: not UTF-8 text"),
        (
            b"[dtlb]\narrays = [{ page_sizes = [], sets = 1, ways = 1 }]\n",
            "line 2: dtlb.arrays.0.page_sizes = [] is refused; allowed: a list of 1 to 3",
        ),
        (
            b"[dtlb]\narrays = [{ page_sizes = [\"16k\"], sets = 1, ways = 1 }]\n",
            "line 2: dtlb.arrays.0.page_sizes.0 = \"16k\" is refused; allowed: \"4k\", \"2m\", \"1g\"",
        ),
        (
            b"[memory]\nlatency_cycles = 2.0\n",
            "line 2: memory.latency_cycles = 2.0 is refused; allowed: 1 to 65535",
        ),
    ];
    for (file, expected) in cases {
        let error = from_text(file).expect_err(expected);
        let message = error.to_string();
        assert!(message.contains(expected), "{message}\nlacks {expected}");
        assert!(!error.remedy().is_empty());
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let error = refusal(&[
        "memory.size_bytes=0x10_0000_1000",
        "capabilities.maxphyaddr_bits=36",
    ]);
    assert_eq!(
        error.to_string(),
        "--set memory.size_bytes=0x10_0000_1000: memory.size_bytes = 68719480832 is refused: 36 physical address bits \
         (capabilities.maxphyaddr_bits) reach 68719476736 bytes; allowed: 4096 to 68719476736"
    );
    let message = refusal(&["capabilities.five_level=false", "mapping.levels=5"]).to_string();
    assert!(
        message.ends_with(
            "mapping.levels = 5 is refused: capabilities.five_level is false; allowed: 4"
        ),
        "{message}"
    );
    let message = refusal(&["mapping.pages=1g", "capabilities.page_1g=false"]).to_string();
    assert!(
        message.ends_with(
            "mapping.pages = \"1g\" is refused: capabilities.page_1g is false; allowed: \"4k\", \"2m\", \"mixed\""
        ),
        "{message}"
    );
}

#[test]
fn shapes_that_a_machine_cannot_have_are_refused_with_the_reason() {
    for (settings, expected) in [
        (
            vec![r#"itlb.arrays.2.page_sizes=["4k", "2m", "4k"]"#],
            "itlb.arrays.2.page_sizes = [\"4k\", \"2m\", \"4k\"] is refused: a page size stands in it twice; allowed: each page size once",
        ),
        (
            vec!["stlb.arrays.0.replacement=tree-plru"],
            "stlb.arrays.0.replacement = \"tree-plru\" is refused: the tree of tree-plru has a power of two of leaves, and there are 12 ways; \
             allowed: \"lru\", \"fifo\", \"nru\", \"random\", \"srrip\", \"lip\", or 1, 2, 4, ... 64 ways",
        ),
        (
            vec!["psc.pdpte.replacement=tree-plru", "psc.pdpte.ways=6"],
            "and there are 6 ways; allowed: \"lru\", \"fifo\", \"nru\", \"random\", \"srrip\", \"lip\", or 1, 2, 4, ... 64 ways",
        ),
        (
            vec!["psc.pde.sets=3"],
            "psc.pde.ways = 32 is refused: 3 sets of 32 ways are 96 entries; allowed: 0 to 21, for 64 entries in all",
        ),
        (
            vec!["stlb.inclusive=true", "itlb.arrays.1.ways=0"],
            "stlb.inclusive = true is refused: the itlb keeps 2m pages otherwise than the stlb; \
             allowed: false, or arrays that keep each page size as the first levels do",
        ),
        (
            vec!["stlb.inclusive=true", "stlb.arrays.0.ways=0"],
            "stlb.inclusive = true is refused: the itlb keeps 4k pages otherwise than the stlb",
        ),
        (
            vec!["stlb.inclusive=true", "dtlb.arrays.2.serves=reads"],
            "stlb.inclusive = true is refused: the dtlb keeps 1g pages otherwise than the stlb",
        ),
    ] {
        let message = refusal(&settings).to_string();
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    }
    // What looks like it and is allowed: an absent array, a first level that does not keep a size at all.
    for settings in [
        vec![
            "stlb.arrays.0.replacement=tree-plru",
            "stlb.arrays.0.ways=0",
        ],
        vec!["psc.pde.sets=64", "psc.pde.ways=1"],
        vec!["psc.pde.sets=64", "psc.pde.ways=0"],
        vec!["stlb.inclusive=true", "itlb.arrays=[]"],
        vec![r#"stlb.arrays.0.page_sizes=["1g", "4k", "2m"]"#],
    ] {
        with(&settings).expect("valid");
    }
}

#[test]
fn what_has_a_meaning_at_another_level_only_is_refused() {
    for (setting, reason) in [
        (
            "itlb.arrays.0.serves=reads",
            "the itlb makes no difference between reads and writes; allowed: \"all\", or leave it out",
        ),
        (
            "stlb.arrays.2.serves=writes",
            "the stlb makes no difference between reads and writes; allowed: \"all\", or leave it out",
        ),
        (
            "itlb.inclusive=true",
            "there is no level before it; allowed: false",
        ),
        (
            "dtlb.inclusive=true",
            "there is no level before it; allowed: false",
        ),
    ] {
        let message = refusal(&[setting]).to_string();
        assert!(message.ends_with(reason), "{message}");
    }
}

#[test]
fn arrays_of_the_dtlb_that_hold_a_size_serve_alike_or_are_refused() {
    let text = |second: &str, third: &str| {
        format!(
            "[dtlb]\narrays = [\n  {{ page_sizes = [\"4k\"], sets = 4, ways = 4 }},\n  {{ page_sizes = [\"2m\", \"4k\"], sets = 4, ways = {second} }},\n  {{ page_sizes = [\"1g\"], sets = 1, ways = 2, serves = {third} }},\n]\n"
        )
    };
    let error = from_text(text("2, serves = \"writes\"", "\"reads\"").as_bytes())
        .expect_err("4 KiB pages are held in two ways");
    let message = error.to_string();
    assert!(
        message.ends_with(
            ", line 4: dtlb.arrays.1.serves = \"writes\" is refused: dtlb.arrays.0 holds 4k pages too, and serves all requests; \
             allowed: \"all\"; or \"reads\" or \"writes\", for every array of the dtlb that holds 4k pages"
        ),
        "{message}"
    );
    assert!(!error.remedy().is_empty());
    // The key is that of the array that says something, wherever it stands.
    let message = refusal(&[
        "dtlb.arrays.0.serves=reads",
        r#"dtlb.arrays.2.page_sizes=["1g","4k"]"#,
    ])
    .to_string();
    assert!(
        message.starts_with("--set ") && message.contains("dtlb.arrays.0.serves = \"reads\""),
        "{message}"
    );
    // An array without ways holds nothing, and sizes that are held apart may be served apart.
    for accepted in [
        text("0, serves = \"writes\"", "\"reads\""),
        text("2", "\"writes\""),
    ] {
        from_text(accepted.as_bytes()).expect("valid");
    }
}

#[test]
fn a_configuration_that_a_program_made_is_held_to_the_same_rules() {
    Config::default().validate().expect("valid");
    let mut machine = Config::default();
    machine.ports.queue_entries = 17;
    let message = machine.validate().expect_err("17 entries").to_string();
    assert_eq!(
        message,
        "program: ports.queue_entries = 17 is refused; allowed: 1 to 16"
    );
    let mut machine = Config::default();
    machine.memory.size_bytes = Some(u64::MAX);
    machine
        .validate()
        .expect_err("beyond every integer of TOML");
    let mut machine = Config::default();
    machine.dtlb.arrays[1].page_sizes.clear();
    machine.validate().expect_err("an array for nothing");
}

#[test]
fn what_is_no_configuration_file_is_refused_with_its_path() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("missing.toml");
    let huge = directory.path().join("huge.toml");
    fs::write(&huge, vec![b'\n'; (1 << 20) + 1]).expect("written");
    for (path, expected) in [
        (missing.as_path(), "cannot be read"),
        (directory.path(), "cannot be read"),
        (huge.as_path(), "is larger than 1048576 bytes"),
    ] {
        let error = load::load(&Source::File(path.to_owned()), &[]).expect_err(expected);
        let message = error.to_string();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
    let error =
        load::load(&Source::Preset("tony".to_owned()), &[]).expect_err("there is no such preset");
    assert!(error.to_string().contains("\"tony\""), "{error}");
    assert!(error.remedy().contains("tiny"), "{}", error.remedy());
}

#[test]
fn a_file_of_brackets_is_refused_without_exhausting_the_stack() {
    for unit in ["[", "a.", "{a=", "[[a.", "a=[", "'''", "\u{feff}"] {
        from_text(format!("a={}", unit.repeat(200_000)).as_bytes()).expect_err(unit);
        from_text(unit.repeat(200_000).as_bytes()).expect_err(unit);
        refusal(&[&format!("ports={}", unit.repeat(50_000))]);
        refusal(&[&format!("{}=1", unit.repeat(50_000))]);
    }
}

#[test]
fn a_table_cache_that_is_slower_than_memory_is_refused_and_one_that_is_not_there_is_not() {
    let slow = ["memory.latency_cycles=13", "memory.table_cache.ways=1"];
    let message = with(&slow).expect_err("slower than memory").to_string();
    for part in ["memory.table_cache.latency_cycles", "14", "1 to 13"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(with(&slow[..1]).is_ok());
}
