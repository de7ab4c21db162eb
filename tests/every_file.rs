//! Cargo takes only the binaries that Cargo.toml lists, so a file of tests that is no module of one would never run.
//!
//! Contract: none. SDM: none. Counterpart: `Cargo.toml`, `[[test]]`.

use std::fs;
use std::path::Path;

/// The files and folders of `tests` with Rust in them that no binary has as a module.
fn forgotten(names: &[String], binaries: &[(String, String)]) -> Vec<String> {
    let is_there = |name: &&String| {
        let module = format!("mod {name};");
        binaries
            .iter()
            .any(|(binary, text)| binary == *name || text.lines().any(|line| line == module))
    };
    names
        .iter()
        .filter(|name| !is_there(name))
        .cloned()
        .collect()
}

#[test]
fn each_file_of_tests_is_a_module_of_a_binary_that_cargo_builds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("it can be read");
    let binaries: Vec<(String, String)> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"tests/")?.strip_suffix(".rs\""))
        .map(|name| {
            let path = root.join("tests").join(format!("{name}.rs"));
            let text = fs::read_to_string(path).expect("the root of a binary");
            (name.to_owned(), text)
        })
        .collect();
    assert!(binaries.len() >= 6, "the list in Cargo.toml was found");
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("tests")).expect("a listing") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "rs") || path.join("mod.rs").exists() {
            let name = path.file_stem().expect("a name");
            names.push(name.to_string_lossy().into_owned());
        }
    }
    assert!(names.len() >= 45, "{names:?}");
    let none: Vec<String> = Vec::new();
    assert_eq!(
        forgotten(&names, &binaries),
        none,
        "name it with `mod` in tests/cli.rs or another root"
    );
    names.push("new".to_owned());
    assert_eq!(forgotten(&names, &binaries), ["new"]);
}
