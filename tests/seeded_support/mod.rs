//! Seeded bugs: the files of `tests/seeded/`, read and checked against the tree.
//!
//! Contract: none. SDM: none. Counterpart: `docs/must-fail.md`, the table of what catches what.
//!
//! A file has these keys:
//!
//! | key | is |
//! | --- | --- |
//! | `what` | what goes wrong, in one sentence |
//! | `topic` | the part of the machine, for the table |
//! | `seeded_in` | `rtl`: the hardware alone; `arch`: what model and reference share; `model`, `reference`: these alone; `both`: both twins alike |
//! | `preset`, `seeds`, `operations` | the machine, first and last seed, random operations for each seed |
//! | `set` | settings laid on the preset, as `--set` has them; of bugs in the RTL alone |
//! | `found_by` | comparators: the first finds it; with those before it silenced, the next one does. `fills or bus`: whichever comes first |
//! | `signal` | begins, or is part of, what the first one reports |
//! | `details` | is part of a line that the finding by `hangs` has beside its signal: who waits for whom |
//! | `then_slips` | with all of `found_by` silenced nothing finds it |
//! | `[[edit]]` | `file`, `find` (occurs once), `replace`; may be repeated |

#![allow(dead_code, reason = "each test binary uses a part")]

#[cfg(feature = "rtl")]
pub mod copy;

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use twinwalk::cosim::comparators::Comparator;

/// Where the bug is seeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeededIn {
    Rtl,
    Arch,
    Model,
    Reference,
    Both,
}

/// One change of one file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub file: String,
    pub find: String,
    pub replace: String,
}

/// A seeded bug.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    pub what: String,
    pub topic: String,
    pub seeded_in: SeededIn,
    pub preset: String,
    #[serde(default)]
    pub set: Vec<String>,
    pub seeds: (u64, u64),
    pub operations: u64,
    pub found_by: Vec<String>,
    pub signal: String,
    #[serde(default)]
    pub details: String,
    #[serde(default)]
    pub then_slips: bool,
    pub edit: Vec<Edit>,
}

impl Bug {
    /// Whether a finding by `hangs`, with these lines beside its signal, says who waits for whom as it should.
    pub fn says_who_waits(&self, lines: &str) -> bool {
        lines.contains(&self.details)
    }

    /// Who finds it, in order; where it depends on what the bug hits first, one of several.
    pub fn finders(&self) -> Vec<Vec<Comparator>> {
        let find = |name: &str| {
            Comparator::from_name(name)
                .unwrap_or_else(|| panic!("{}: no comparator `{name}`", self.name))
        };
        self.found_by
            .iter()
            .map(|names| names.split(" or ").map(find).collect())
            .collect()
    }
}

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every seeded bug, by name.
pub fn bugs() -> Vec<Bug> {
    bugs_of("tests/seeded")
}

/// Every seeded bug of a directory, by name.
pub fn bugs_of(directory: &str) -> Vec<Bug> {
    toml_files(directory, |name, text| {
        let bug: Bug = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Bug { name, ..bug }
    })
}

/// What the TOML files of a directory say, by name.
fn toml_files<T>(directory: &str, read: impl Fn(String, &str) -> T) -> Vec<T> {
    let entries = fs::read_dir(root().join(directory)).expect("the directory can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a seeded bug can be read");
            let name = path.file_stem().expect("a file has a name");
            read(name.to_string_lossy().into_owned(), &text)
        })
        .collect()
}

/// Whether `TWINWALK_SEEDED` names part of `name`, or is not set.
fn is_wanted(name: &str) -> bool {
    let wanted = std::env::var("TWINWALK_SEEDED").unwrap_or_default();
    wanted.split(',').any(|part| name.contains(part))
}

/// The bugs of `kinds`, those alone that `TWINWALK_SEEDED` names part of, if it is set.
pub fn chosen(kinds: &[SeededIn]) -> Vec<Bug> {
    bugs()
        .into_iter()
        .filter(|bug| kinds.contains(&bug.seeded_in) && is_wanted(&bug.name))
        .collect()
}

/// A misreading of the manual that reference, model and RTL share, so that nothing but vectors can object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Misreading {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    pub what: String,
    pub topic: String,
    /// The machine whose vectors find it: levels and MAXPHYADDR, as `tests/qemu/run` has them.
    pub machine: String,
    pub edit: Vec<Edit>,
}

/// Every shared misreading (`tests/seeded_shared`), by name.
pub fn misreadings() -> Vec<Misreading> {
    toml_files("tests/seeded_shared", |name, text| {
        let found = toml::from_str(text);
        let misreading: Misreading = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        Misreading { name, ..misreading }
    })
}

/// Those of [`misreadings`] that `TWINWALK_SEEDED` names part of, if it is set.
pub fn chosen_misreadings() -> Vec<Misreading> {
    let is_chosen = |misreading: &Misreading| is_wanted(&misreading.name);
    misreadings().into_iter().filter(is_chosen).collect()
}

/// A bug in what is told of a run: rows, lines of events. No checker of the machine sees it, but the unit test that is named for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputBug {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    pub what: String,
    pub topic: String,
    /// The path of the test in the library.
    pub test: String,
    pub edit: Vec<Edit>,
}

/// Every bug in what is told of a run (`tests/seeded_outputs`), by name.
pub fn output_bugs() -> Vec<OutputBug> {
    toml_files("tests/seeded_outputs", |name, text| {
        let bug: OutputBug = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        OutputBug { name, ..bug }
    })
}

/// Those of [`output_bugs`] that `TWINWALK_SEEDED` names part of, if it is set.
pub fn chosen_output_bugs() -> Vec<OutputBug> {
    let is_chosen = |bug: &OutputBug| is_wanted(&bug.name);
    output_bugs().into_iter().filter(is_chosen).collect()
}

/// A line of the table that a run prints.
pub fn line(bug: &Bug, outcome: &str, seconds: f64) -> String {
    format!(
        "{:<34} {:<8} {outcome} [{seconds:.1} s]",
        bug.name,
        bug.found_by.join("+")
    )
}
