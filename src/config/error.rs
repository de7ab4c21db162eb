//! Why a configuration was refused: where, which key, which value, what is allowed.
//!
//! Contract: section 2 gives the ranges. SDM: none. Counterpart: none; the RTL asserts the same ranges when it is elaborated.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The default machine.
    Default,
    /// A preset, and the line in it, from 1.
    Preset {
        /// Its name.
        name: String,
        /// The line.
        line: usize,
    },
    /// A file, and the line in it, from 1.
    File {
        /// Its path as it was given.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A `key=value` that was laid on top.
    Set {
        /// The whole argument.
        argument: String,
    },
    /// A program that built the configuration by itself.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset { name, line } => write!(f, "preset {name}, line {line}"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Set { argument } => write!(f, "--set {}", excerpt(argument)),
            Self::Program => f.write_str("program"),
        }
    }
}

/// Why a configuration was refused. [`ConfigError::remedy`] says what to do about it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct ConfigError(Box<Problem>);

impl ConfigError {
    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// What a person can do about it, in one line.
    pub fn remedy(&self) -> String {
        self.0.remedy()
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{}: is larger than {limit_bytes} bytes, which no configuration is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file is not UTF-8.
    #[error("{}, byte {offset}: not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that is wrong.
        offset: usize,
    },
    /// The text is not TOML.
    #[error("{place}, column {column}: not TOML: {message}")]
    Syntax {
        /// Source and line.
        place: Origin,
        /// Column in characters, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// There is no preset of that name.
    #[error("there is no preset named \"{}\"", excerpt(name))]
    UnknownPreset {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// A `--set` that is not `key=value`, or whose key leads nowhere.
    #[error("--set {}: {problem}", excerpt(argument))]
    Setting {
        /// The whole argument.
        argument: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{place}: there is no key {}", excerpt(key))]
    UnknownKey {
        /// Source and line.
        place: Origin,
        /// Dotted path.
        key: String,
        /// The keys that exist in its place.
        known: Vec<String>,
    },
    /// A key that must be given and is not.
    #[error("{place}: {key} is missing; allowed: {allowed}")]
    MissingKey {
        /// Source and line.
        place: Origin,
        /// Dotted path.
        key: String,
        /// What it may be.
        allowed: String,
    },
    /// A value of the wrong type or out of range.
    #[error("{place}: {key} = {} is refused; allowed: {allowed}", excerpt(value))]
    Refused {
        /// Source and line.
        place: Origin,
        /// Dotted path.
        key: String,
        /// The value as it was written.
        value: String,
        /// Type and range.
        allowed: String,
    },
    /// A DESIGN.toml that cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    NoDesign {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A value of a DESIGN.toml that what is outside of the file does not bear out.
    #[error("{place}: {key} = {} is refused: {reason}", excerpt(value))]
    Outside {
        /// File and line.
        place: Origin,
        /// Dotted path.
        key: String,
        /// The value as it was written.
        value: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The machine of a DESIGN.toml is refused.
    #[error("{place}: the machine is refused: {error}")]
    Machine {
        /// File and line of the section.
        place: Origin,
        /// Why.
        error: ConfigError,
    },
    /// A value that is in range, and that another value contradicts.
    #[error(
        "{place}: {key} = {} is refused: {reason}; allowed: {allowed}",
        excerpt(value)
    )]
    Contradiction {
        /// Source and line.
        place: Origin,
        /// Dotted path.
        key: String,
        /// The value as it was written.
        value: String,
        /// What it contradicts.
        reason: String,
        /// What it may be beside the other value.
        allowed: String,
    },
}

impl Problem {
    fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "give the path of a TOML file that can be read, or preset:NAME".to_owned()
            }
            Self::TooLarge { .. } | Self::NotText { .. } => {
                "give a TOML file; `twinwalk config show` prints one to start from".to_owned()
            }
            Self::Syntax { .. } => {
                "mend the line; `twinwalk config show` prints a valid file to start from".to_owned()
            }
            Self::UnknownPreset { known, .. } => format!("give one of {}", known.join(", ")),
            Self::Setting { .. } => {
                "write --set KEY=VALUE, with a dotted key and a TOML value, such as \
                 --set dtlb.arrays.0.ways=8"
                    .to_owned()
            }
            Self::UnknownKey { known, .. } if known.is_empty() => {
                "remove it; `twinwalk config show` lists every key".to_owned()
            }
            Self::UnknownKey { known, .. } => format!("the keys here are {}", known.join(", ")),
            Self::MissingKey { key, allowed, .. } => format!("give {key}: {allowed}"),
            Self::Refused { key, allowed, .. } => {
                format!("give {key} a value that is allowed: {allowed}")
            }
            Self::NoDesign { .. } => {
                "name the DESIGN.toml of your design with --rtl (docs/byo.md)".to_owned()
            }
            Self::Outside { remedy, .. } => remedy.clone(),
            Self::Machine { error, .. } => error.remedy(),
            Self::Contradiction { key, allowed, .. } => {
                format!("change {key}, or what it contradicts: {allowed}")
            }
        }
    }
}

/// At most 80 characters of `text`, without control characters: what a message may repeat of what it was given.
pub(super) fn excerpt(text: &str) -> String {
    const LIMIT_CHARS: usize = 80;
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LIMIT_CHARS {
            out.push_str("...");
            break;
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
