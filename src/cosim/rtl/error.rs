//! Why a machine cannot be loaded or made, or cannot do what was asked.
//!
//! Contract: none. Counterpart: none.

use std::path::PathBuf;

use thiserror::Error;

/// Why a machine cannot be loaded or made, or cannot do what was asked.
#[derive(Debug, Error)]
pub enum RtlError {
    /// The shared library cannot be opened.
    #[error("cannot load `{}`: {reason}", path.display())]
    Open {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The library is not the one that was asked for.
    #[error("`{}` is not the machine that was asked for: {what} is {found}, expected {expected}", path.display())]
    Mismatch {
        /// The library, or `linked`.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the library has.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The RTL was elaborated with other parameters than the configuration says.
    #[error(
        "the RTL has {name} = {rtl}, the configuration {config}: build the machine from this configuration"
    )]
    Parameter {
        /// The parameter.
        name: String,
        /// What the RTL was elaborated with.
        rtl: String,
        /// What the configuration says.
        config: String,
    },
    /// The machine cannot be made.
    #[error("the machine cannot be made: {0}")]
    Create(String),
    /// Waves or coverage of a machine that was built without.
    #[error("this machine was built without {0}: ask for it in the flags of its recipe")]
    NotBuilt(&'static str),
    /// The wave's or coverage's file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path cannot be handed to the runtime.
    #[error("`{}` cannot be used as a file name here: it has a zero byte", .0.display())]
    Path(PathBuf),
}
