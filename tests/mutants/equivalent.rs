//! Changes that change nothing anybody can see, each with its reason: `equivalent.toml`.
//!
//! Contract: none. SDM: none. Counterpart: `docs/mutants.md`.

use std::fs;

use serde::Deserialize;

use crate::build::{Sources, root};
use crate::mutate::{Shown, mutations};

/// One change, by the text of its lines, so that it is found wherever they move.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    /// The file, as `rtl/x.sv`.
    file: String,
    /// The named block, function or module.
    within: String,
    /// The lines that it changes.
    before: String,
    /// What they become.
    after: String,
    /// Why nobody can see it.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    equivalent: Vec<Equivalent>,
}

impl Equivalent {
    pub fn is(&self, file: &str, shown: &Shown) -> bool {
        let same = |of: &str, other: &str| of == other;
        self.file.strip_prefix("rtl/") == Some(file)
            && same(&self.within, &shown.within)
            && same(&self.before, &shown.before)
            && same(&self.after, &shown.after)
    }
}

/// Reads the list.
pub fn read() -> Result<Vec<Equivalent>, String> {
    let path = root().join("tests/mutants/equivalent.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: File =
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(file.equivalent)
}

/// Those that the mutator does not make of these sources: their lines are gone, or read otherwise.
pub fn stale(list: &[Equivalent], sources: &Sources) -> Vec<String> {
    let mut stale = Vec::new();
    for entry in list {
        let source = sources
            .iter()
            .find(|(name, _)| entry.file.strip_prefix("rtl/") == Some(name));
        let is_made = source.is_some_and(|(name, text)| {
            let made = mutations(text);
            made.iter()
                .any(|mutation| entry.is(name, &mutation.shown(text)))
        });
        if !is_made {
            stale.push(format!(
                "{}, in {}: `{}` to `{}`",
                entry.file, entry.within, entry.before, entry.after
            ));
        }
    }
    stale
}
