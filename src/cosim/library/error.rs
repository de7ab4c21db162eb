//! Why there is no machine.
//!
//! Contract: none. Counterpart: none.

use std::path::PathBuf;

use thiserror::Error;

use crate::cosim::cache::CacheError;
use crate::cosim::rtl::RtlError;

/// Why there is no machine. Messages name the remedy; all of these are bad input or a bad installation (exit 2), never a difference.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// Verilator or the C++ compiler is missing or does not run.
    #[error("{0}")]
    Tool(String),
    /// Verilator refused the sources or the parameters.
    #[error("Verilator refused the RTL:\n{output}")]
    Verilate {
        /// The first lines of what it said.
        output: String,
    },
    /// Verilator refused a user's design.
    #[error("Verilator refused the design:\n{output}")]
    Guest {
        /// What it said, from the first error on, with the user's paths.
        output: String,
    },
    /// The top of a user's design does not have the ports of contract 3, or is made of files that were not named.
    #[error("{message}")]
    GuestPorts {
        /// What is wrong: one line for each port.
        message: String,
        /// What to do about it.
        remedy: String,
    },
    /// The C++ compiler failed.
    #[error("`{compiler}` failed on {what}; is there space left below `{}`?\n{output}", directory.display())]
    Compile {
        /// The program.
        compiler: String,
        /// The file that was compiled.
        what: String,
        /// Where it worked.
        directory: PathBuf,
        /// The first lines of what it said.
        output: String,
    },
    /// A patch does not fit the sources.
    #[error("patch of `{file}`: {reason}")]
    Patch {
        /// The source file that was to be changed.
        file: String,
        /// Why it was not.
        reason: String,
    },
    /// The cache directory cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The library that was built cannot be loaded.
    #[error(transparent)]
    Load(#[from] RtlError),
    /// A file of the build cannot be written.
    #[error("cannot write `{}`: {source}; free some space, or choose another cache directory (XDG_CACHE_HOME)", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
