//! One translation, step by step: what an address is made of, what its entries say, what the machine did in each cycle.
//!
//! Contract: 5 to 8 and 10 to 12, which the timeline cites. SDM vol. 3A, 4.5 to 4.8. Counterpart: none. `docs/explain.md` explains the
//! command.
//!
//! Nothing here decides a translation: the entries are walked by [`mod@crate::reference`], the cycles are those of [`crate::model`], ticked, with
//! its monitor looked at in every cycle. What is added is words, and the formula of contract 12 beside the latency that was measured.
//!
//! | module | says |
//! | --- | --- |
//! | [`split`] | which bits of an address are what |
//! | [`map`] | the syntax of a mapping: `VA=PA,2m,ro` |
//! | [`tables`] | the tables that hold such mappings |
//! | [`situation`] | control bits and the access |
//! | [`walk`] | the entries field by field, rights, verdict, accessed and dirty bits |
//! | [`rules`] | every rule that may deny an access, and the bits of an error code, with their reasons |
//! | [`events`] | what is recorded of a request |
//! | [`record`] | the model with its monitor looked at: what was done for a request, by cycle |
//! | [`lines`] | each of that as a line |
//! | [`timeline`] | lines, causes and a formula |
//! | [`machine`] | a situation run on the model, or on another twin |
//! | [`timing`] | each isolated case of contract 12 on a machine: the formula beside the cycles |
//! | [`in_trace`] | a reference of a trace, with all that ran before it |

pub mod events;
pub mod in_trace;
pub mod lines;
pub mod machine;
pub mod map;
pub mod record;
pub mod rules;
pub mod situation;
pub mod split;
pub mod tables;
pub mod timeline;
pub mod timing;
pub mod walk;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// An address or the bits of an entry: hexadecimal in text, and in JSON a string, since a number there has 53 bits only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What cannot be explained: the option, the place in it, what is wrong, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct ExplainError {
    /// The option with its value, and the character in it.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
    /// What is allowed.
    pub remedy: String,
}

impl ExplainError {
    /// An error in the whole of an option.
    pub fn new(
        place: impl fmt::Display,
        problem: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        Self {
            place: place.to_string(),
            problem: problem.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// An error at a character of an option's value, counted from 1.
    pub fn at(
        option: &str,
        text: &str,
        character: usize,
        problem: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        Self::new(
            format_args!("{option} {text:?}, character {character}"),
            problem,
            remedy,
        )
    }
}

/// Reads a number, decimal or hexadecimal, at a character of an option's value.
pub(crate) fn number(
    option: &str,
    text: &str,
    character: usize,
    number: &str,
) -> Result<u64, ExplainError> {
    crate::tables::units::parse_number(number).map_err(|error| {
        ExplainError::at(
            option,
            text,
            character + error.character - 1,
            error.problem,
            "give a number: decimal or 0x..., and K, M, G, T or P for 2^10 to 2^50",
        )
    })
}

/// A text in parts between commas: each with the place of its first character, counted from 1, and without the blanks around it.
pub(crate) fn parts(text: &str, first: usize) -> impl Iterator<Item = (usize, &str)> {
    let mut place = first;
    text.split(',').map(move |part| {
        let blanks = part.chars().take_while(|c| c.is_whitespace()).count();
        let here = place + blanks;
        place += part.chars().count() + 1;
        (here, part.trim())
    })
}
