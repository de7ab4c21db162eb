//! The corpora of the fuzz targets, each input once through its target: what was found stays found, and no target rots.
//!
//! Contract: none. SDM: none. Counterpart: `fuzz/` (docs/fuzzing.md), where the targets search for further inputs.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod targets;

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("config", targets::config),
    ("design", targets::design),
    ("map", targets::map),
    ("operations", targets::operations),
    ("setting", targets::setting),
    ("stimulus", targets::stimulus),
    ("trace", targets::trace),
    ("vectors", targets::vectors),
    #[cfg(feature = "rtl-static")]
    ("lockstep", targets::lockstep),
];

fn names(directory: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_of_the_corpora_goes_through_its_target() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let inputs = names(&format!("fuzz/corpus/{name}"));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            if catch_unwind(|| target(&bytes)).is_err() {
                failed.push(input);
            }
        }
    }
    assert!(failed.is_empty(), "these inputs are findings: {failed:?}");
}

#[test]
fn every_target_is_a_program_and_has_a_corpus() {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let programs: Vec<String> = names("fuzz/fuzz_targets").iter().map(stem).collect();
    let corpora: Vec<String> = names("fuzz/corpus").iter().map(stem).collect();
    assert_eq!(programs, corpora);
    let manifest = include_str!("../fuzz/Cargo.toml");
    for program in &programs {
        assert!(
            manifest.contains(&format!("name = \"{program}\"")),
            "{program}"
        );
        let known = program == "lockstep" || TARGETS.iter().any(|(name, _)| name == program);
        assert!(known, "{program} is not among the targets of this test");
    }
}

#[test]
fn a_machine_that_is_not_what_it_is_judged_as_is_a_finding() {
    let caught = names("fuzz/corpus/operations").iter().any(|input| {
        let bytes = fs::read(input).unwrap();
        let judged = || {
            targets::operations_judged_as(&bytes, |config| config.capabilities.page_1g = false);
        };
        catch_unwind(judged).is_err()
    });
    assert!(caught, "no input of the corpus reaches a page of 1 GiB");
}
