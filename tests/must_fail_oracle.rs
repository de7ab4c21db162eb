//! Misreadings of the manual that reference, model and RTL share: `twinwalk check` finds nothing, because all three agree, and fresh vectors
//! from QEMU must. Also: the misreadings are in no build, and the documentation has them.
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8. Counterpart: `must_fail_rust.rs`; the misreadings are in `tests/seeded_shared/`.

#![cfg(all(feature = "rtl", target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::oracle_support::fresh;
use crate::seeded_support::copy::Copy;
use crate::seeded_support::{chosen_misreadings, misreadings, root};
use serde_json::Value;
use tempfile::TempDir;

/// Of each machine that is observed.
const CASES: u32 = 2000;

/// What `check` is given: two streams, of which the second is mostly in 32-bit paging.
const SEEDS: &str = "135..136";
const OPERATIONS: &str = "4000";

#[test]
fn no_build_contains_a_shared_misreading_and_the_documentation_has_each() {
    let page = fs::read_to_string(root().join("docs/must-fail.md")).expect("the page can be read");
    let misreadings = misreadings();
    assert!(misreadings.len() >= 4, "only {}", misreadings.len());
    for misreading in misreadings {
        let (name, what) = (&misreading.name, &misreading.what);
        let row = format!("| `{name}` | {} | {what} |", misreading.topic);
        assert!(page.contains(&row), "docs/must-fail.md lacks: {row}");
        for edit in &misreading.edit {
            let text = fs::read_to_string(root().join(&edit.file)).expect("it can be read");
            assert_eq!(text.matches(&edit.find).count(), 1, "{name}: {}", edit.file);
            assert!(!text.contains(&edit.replace), "{name}: {}", edit.file);
        }
    }
}

/// What `binary` says as JSON.
fn report(copy: &Copy, binary: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary)
        .args(arguments)
        .arg("--json")
        .env("XDG_CACHE_HOME", copy.cache())
        .output()
        .expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("no JSON ({error}), and says: {said}")
    })
}

#[test]
#[ignore = "needs QEMU, and builds the package for each misreading, which takes minutes: just must-fail"]
fn what_reference_model_and_rtl_misread_alike_is_found_by_fresh_vectors_alone() {
    let directory = TempDir::new().expect("a directory");
    let misreadings = chosen_misreadings();
    let mut vectors = BTreeMap::new();
    for misreading in &misreadings {
        let machine = &misreading.machine;
        vectors.entry(machine).or_insert_with(|| {
            let of_machine = directory.path().join(machine.replace(':', "-"));
            fs::create_dir(&of_machine).expect("it can be made");
            let file = fresh(&of_machine, "2026", machine, CASES);
            file.to_str().expect("a name").to_owned()
        });
    }
    let copy = Copy::new("seeded-shared");
    let mut wrong = Vec::new();
    let sound = copy.build("sound", &[]).expect("it builds");
    for vectors in vectors.values() {
        let found = report(&copy, &sound, &["conform", vectors]);
        assert_eq!(found["mismatches"]["rtl"], 0, "without a bug: {found}");
    }
    for misreading in &misreadings {
        let name = &misreading.name;
        let binary = copy.build(name, &misreading.edit).expect("it builds");
        let mut check = vec!["check", "--config", "preset:tiny"];
        check.extend(["--ops", OPERATIONS, "--seeds", SEEDS]);
        let checked = report(&copy, &binary, &check);
        let vectors = &vectors[&misreading.machine];
        let found = report(&copy, &binary, &["conform", vectors]);
        let mismatches = ["reference", "model", "rtl"].map(|who| found["mismatches"][who].as_u64());
        println!(
            "{name:<34} check: {} mismatches, conform: {mismatches:?}",
            checked["mismatches"]
        );
        let all_err = mismatches
            .iter()
            .all(|count| count.is_some_and(|count| count > 0));
        if !all_err || checked["mismatches"] != 0 {
            wrong.push(name.clone());
        }
    }
    copy.restore();
    assert!(wrong.is_empty(), "{wrong:?}");
}
