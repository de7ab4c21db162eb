//! Where the figures of a preset come from: how much of a described processor is published, and how much assumed.
//!
//! Contract: none. SDM: none; the CPUID leaves of TLB descriptions are those of the instruction CPUID. Counterpart: none.
//!
//! A configuration that describes a processor has a table `[provenance]`, from keys (or tables of keys, or lists) to words. It takes no part in the
//! machine: neither in its hash nor in its parameters.

use std::fmt;

use super::error::{ConfigError, Problem};
use super::schema::{self, Rule};
use super::tree::{Node, Value};

/// The table's name.
pub const TABLE: &str = "provenance";

/// Sections that describe the experiment, not the machine: nobody publishes them, and they are not counted.
const EXPERIMENT: [&str; 2] = ["front_end", "mapping"];

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// The processor reports it by the instruction CPUID.
    Cpuid,
    /// The vendor's manuals state it.
    Manual,
    /// Somebody measured it on the processor.
    Measured,
    /// Nobody publishes it: a guess.
    Assumed,
}

impl Provenance {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Cpuid, Self::Manual, Self::Measured, Self::Assumed];

    /// The word that a file has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpuid => "cpuid",
            Self::Manual => "manual",
            Self::Measured => "measured",
            Self::Assumed => "assumed",
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many parameters of a machine are assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumed {
    /// Those that nobody publishes.
    pub assumed: usize,
    /// All that describe the machine and its memory.
    pub parameters: usize,
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "assumed: {} of {} parameters",
            self.assumed, self.parameters
        )
    }
}

/// The table of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// Keys or beginnings of keys.
    entries: Vec<(String, Provenance)>,
}

impl Table {
    /// Takes the table out of a document; none if it has none.
    ///
    /// # Errors
    /// A word that is none of the four, or a key that is none of a configuration.
    pub fn take(document: &mut Node) -> Result<Option<Self>, ConfigError> {
        let Value::Table(sections) = &mut document.value else {
            return Ok(None);
        };
        let Some(place) = sections.iter().position(|(name, _)| name == TABLE) else {
            return Ok(None);
        };
        let (_, node) = sections.remove(place);
        let Value::Table(lines) = &node.value else {
            return Err(refused(&node, TABLE, "a table of keys and words"));
        };
        let rule = schema::rule();
        let mut entries = Vec::new();
        for (key, node) in lines {
            let path: Vec<&str> = key.split('.').collect();
            if !leads_somewhere(&rule, &path) {
                return Err(Problem::UnknownKey {
                    place: node.origin.clone(),
                    key: format!("{TABLE}.\"{key}\""),
                    known: schema::keys().into_iter().map(|key| key.path).collect(),
                }
                .into());
            }
            let word = match &node.value {
                Value::Text(word) => word.as_str(),
                _ => "",
            };
            let found = Provenance::ALL.into_iter().find(|one| one.name() == word);
            let names = Provenance::ALL.map(|one| format!("\"{one}\"")).join(", ");
            let provenance =
                found.ok_or_else(|| refused(node, &format!("{TABLE}.\"{key}\""), &names))?;
            entries.push((key.clone(), provenance));
        }
        Ok(Some(Self { entries }))
    }

    /// Where the value of `key` comes from: what the longest entry says that it stands under. What no entry names is assumed.
    pub fn of(&self, key: &str) -> Provenance {
        self.entries
            .iter()
            .filter(|(entry, _)| {
                key.strip_prefix(entry.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .max_by_key(|(entry, _)| entry.len())
            .map_or(Provenance::Assumed, |(_, provenance)| *provenance)
    }

    /// Whether an entry says something of `key`.
    #[cfg(test)]
    pub fn names(&self, key: &str) -> bool {
        self.entries.iter().any(|(entry, _)| {
            key.strip_prefix(entry.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// Whether a value of `key` is one of the machine's, which have a provenance.
pub(super) fn describes_the_machine(key: &str) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    !EXPERIMENT.contains(&section)
}

/// Whether keys of a configuration stand at or under a path.
fn leads_somewhere(rule: &Rule, path: &[&str]) -> bool {
    let Some((segment, rest)) = path.split_first() else {
        return true;
    };
    match rule {
        Rule::Table { keys } => keys
            .iter()
            .find(|key| key.name == *segment)
            .is_some_and(|key| leads_somewhere(&key.rule, rest)),
        Rule::List { item, .. } => segment.parse::<usize>().is_ok() && leads_somewhere(item, rest),
        _ => false,
    }
}

fn refused(node: &Node, key: &str, allowed: &str) -> ConfigError {
    Problem::Refused {
        place: node.origin.clone(),
        key: key.to_owned(),
        value: node.to_toml(),
        allowed: allowed.to_owned(),
    }
    .into()
}
