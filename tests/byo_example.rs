//! `examples/byo-mmu`, the second MMU, as far as it can be told without running it: the glue is small, the RTL lints, and each seeded bug
//! is an edit of one passage that leaves a design which still lints.
//!
//! Contract: 3 (ports). SDM: none. Counterpart: `examples/byo-mmu/README.md`.

use std::path::Path;
use std::process::Command;

use crate::byo_support::{DESIGN, EXAMPLE, FILES, bugs, example, read, seeded};
use crate::seeded_support::{Bug, Edit, SeededIn};

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

#[test]
fn the_glue_is_less_than_100_lines() {
    let lines = |file: &str| read(&example().join(file)).lines().count();
    let glue = lines("adapter.sv") + lines(DESIGN);
    assert!(glue < 100, "{glue} lines");
}

#[test]
fn the_design_file_names_every_source_and_the_machine_that_its_parameters_say() {
    let design: toml::Table = read(&example().join(DESIGN)).parse().expect("TOML");
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
        edit: vec![Edit {
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
