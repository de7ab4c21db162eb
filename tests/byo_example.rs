//! `examples/byo-mmu`, the second MMU, as far as it can be told without running it: the glue is small, the RTL lints, and each seeded bug
//! is an edit of one passage that leaves a design which still lints.
//!
//! Contract: 3 (ports). SDM: none. Counterpart: `examples/byo-mmu/README.md`.

#![cfg(feature = "rtl")]

mod seeded_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use seeded_support::{Bug, SeededIn, bugs_of, root};

const EXAMPLE: &str = "examples/byo-mmu";
/// Packages first: the order of `DESIGN.toml`, which a test holds against this one.
const FILES: [&str; 6] = [
    "rtl/bmmu_pkg.sv",
    "rtl/bmmu_tlb.sv",
    "rtl/bmmu_regs.sv",
    "rtl/bmmu_walker.sv",
    "rtl/bmmu.sv",
    "adapter.sv",
];

fn example() -> PathBuf {
    root().join(EXAMPLE)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn bugs() -> Vec<Bug> {
    bugs_of(&format!("{EXAMPLE}/bugs"))
}

/// What Verilator says of the design in a directory, all its warnings on.
fn lint(directory: &Path, parameters: &[&str]) -> Result<(), String> {
    let output = Command::new("verilator")
        .args([
            "--lint-only",
            "-Wall",
            "--assert",
            "--top-module",
            "adapter",
        ])
        .args(parameters)
        .args(FILES)
        .current_dir(directory)
        .output()
        .expect("Verilator runs");
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The design with a bug's edits, in a directory of its own.
fn seeded(bug: &Bug) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    fs::create_dir(directory.path().join("rtl")).expect("a directory can be made");
    for file in FILES {
        let mut text = read(&example().join(file));
        for edit in &bug.edit {
            if edit.file == format!("{EXAMPLE}/{file}") {
                let name = &bug.name;
                assert_eq!(text.matches(&edit.find).count(), 1, "{name}: {}", edit.find);
                text = text.replacen(&edit.find, &edit.replace, 1);
            }
        }
        fs::write(directory.path().join(file), text).expect("a file can be written");
    }
    directory
}

#[test]
fn the_glue_is_less_than_100_lines() {
    let lines = |file: &str| read(&example().join(file)).lines().count();
    let glue = lines("adapter.sv") + lines("DESIGN.toml");
    assert!(glue < 100, "{glue} lines");
}

#[test]
fn the_design_file_names_every_source_and_the_machine_that_its_parameters_say() {
    let design: toml::Table = read(&example().join("DESIGN.toml")).parse().expect("TOML");
    let files: Vec<_> = design["design"]["files"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    assert_eq!(files, FILES);
    let config = twinwalk::config::Config::default();
    let can = &config.capabilities;
    let said = |name: &str| design["design"]["parameters"][name].as_integer();
    assert_eq!(said("PORTS"), Some(i64::from(config.ports())));
    assert_eq!(said("MAXPHYADDR"), Some(i64::from(can.maxphyaddr_bits)));
    assert_eq!(said("PAGE_1G"), Some(i64::from(can.page_1g)));
    assert_eq!(said("FIVE_LEVEL"), Some(i64::from(can.five_level)));
}

#[test]
fn it_lints_without_a_warning_and_without_a_waiver_for_any_parameters() {
    for parameters in [
        &[] as &[&str],
        &["-GPORTS=3", "-GENTRIES=1", "-GMAXPHYADDR=52"],
        &[
            "-GENTRIES=24",
            "-GMAXPHYADDR=36",
            "-GPAGE_1G=0",
            "-GFIVE_LEVEL=0",
        ],
    ] {
        lint(&example(), parameters).unwrap_or_else(|said| panic!("{parameters:?}: {said}"));
    }
    for file in FILES {
        assert!(!read(&example().join(file)).contains("lint_off"), "{file}");
    }
}

#[test]
fn a_width_warning_fails_the_lint() {
    let bug = Bug {
        edit: vec![seeded_support::Edit {
            file: format!("{EXAMPLE}/rtl/bmmu_walker.sv"),
            find: "assign root = top + 3'd1;".into(),
            replace: "assign root = top + 4'd1;".into(),
        }],
        ..bugs().swap_remove(0)
    };
    assert!(lint(seeded(&bug).path(), &[]).is_err());
}

/// What a passage that is left out leaves unused aside, no warning may point at a bug: it would not need a run to be found.
#[test]
fn every_seeded_bug_is_told_in_the_readme_and_edits_one_passage() {
    let readme = read(&example().join("README.md"));
    let bugs = bugs();
    assert!(bugs.len() >= 8, "{}", bugs.len());
    for bug in &bugs {
        assert_eq!(bug.seeded_in, SeededIn::Rtl, "{}", bug.name);
        assert!(
            readme.contains(&format!("(bugs/{}.toml)", bug.name)),
            "{}",
            bug.name
        );
        assert!(readme.contains(&bug.what), "{}: {}", bug.name, bug.what);
        for edit in &bug.edit {
            assert!(
                FILES
                    .iter()
                    .any(|file| edit.file == format!("{EXAMPLE}/{file}")),
                "{}",
                edit.file
            );
        }
        let directory = seeded(bug);
        if let Err(said) = lint(directory.path(), &["-Wno-UNUSEDSIGNAL"]) {
            panic!("{}: {said}", bug.name);
        }
    }
}
