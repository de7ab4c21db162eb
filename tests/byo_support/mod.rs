//! The second MMU of `examples/byo-mmu`: its files, its seeded bugs, and a copy of the design with one of them.
//!
//! Contract: none. SDM: none. Counterpart: `examples/byo-mmu/README.md`.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod wrapper;

use std::fs;
use std::path::{Path, PathBuf};

use crate::seeded_support::{Bug, bugs_of, root};

/// Where it is in the checkout.
pub const EXAMPLE: &str = "examples/byo-mmu";
/// Packages first: the order of `DESIGN.toml`, which a test holds against this one.
pub const FILES: [&str; 6] = [
    "rtl/bmmu_pkg.sv",
    "rtl/bmmu_tlb.sv",
    "rtl/bmmu_regs.sv",
    "rtl/bmmu_walker.sv",
    "rtl/bmmu.sv",
    "adapter.sv",
];
/// What tells the check about it.
pub const DESIGN: &str = "DESIGN.toml";

/// The directory of the design.
pub fn example() -> PathBuf {
    root().join(EXAMPLE)
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The bugs to seed in it, by name.
pub fn bugs() -> Vec<Bug> {
    bugs_of(&format!("{EXAMPLE}/bugs"))
}

/// The design with a bug's edits, in a directory of its own. Each edit must be of one passage.
pub fn seeded(bug: &Bug) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    fs::create_dir(directory.path().join("rtl")).expect("a directory can be made");
    for file in FILES.into_iter().chain([DESIGN]) {
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
