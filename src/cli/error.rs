//! How a command fails: what is wrong, and what to do about it. Bad input and usage end with exit code 2.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt;
use std::io;

use crate::config::ConfigError;

/// Why a command could not do what it was asked to. Shown as `error: ...` and `remedy: ...`.
///
/// A difference between the twins is not an error: it is [`super::Outcome::Difference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    message: String,
    remedy: String,
}

impl CliError {
    /// An error with its remedy. The message names the file and the place in it; the remedy is one line that a person can act on.
    pub fn new(message: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// What is wrong, with the file and the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Standard output cannot be written, for another reason than that its reader went away.
    pub(super) fn standard_output(error: &io::Error) -> Self {
        Self::new(
            format_args!("standard output: cannot be written: {error}"),
            "make room, or send the output elsewhere",
        )
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\nremedy: {}", self.message, self.remedy)
    }
}

impl std::error::Error for CliError {}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(&error, error.remedy())
    }
}
