//! Why a trace could not be read, written or recorded: which file, where in it, and what to do.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt;
use std::io;

use thiserror::Error;

use super::file::Compression;
use super::open::TraceFormat;

/// Why a trace was refused. [`TraceError::remedy`] says what to do about it.
///
/// `file` is the path as it was given, or `standard input`. Offsets are in bytes from the start of the *decompressed* trace, unless the
/// compression itself is damaged; then they are in bytes of the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be opened.
    #[error("{file}: cannot be opened: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Reading failed half way.
    #[error("{file}: reading failed at byte {offset} of the file: {error}")]
    Read {
        /// The file.
        file: String,
        /// Bytes of the file that had been read.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The compressed stream is cut off or damaged.
    #[error(
        "{file}: the {compression} stream is damaged or cut off near byte {offset} of the file: {error}"
    )]
    Damaged {
        /// The file.
        file: String,
        /// How it is compressed.
        compression: Compression,
        /// Bytes of the file that had been read: the damage lies before.
        offset: u64,
        /// What the decoder said.
        error: io::Error,
    },
    /// There is not one byte.
    #[error("{file}: is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// No format is recognised.
    #[error("{file}: byte 0: not a trace in a known format; it begins with {start}")]
    UnknownFormat {
        /// The file.
        file: String,
        /// The first bytes.
        start: Excerpt,
    },
    /// A line of a text format cannot be understood.
    #[error("{file}: line {line}, byte {offset}: {problem}: {text}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Offset of the first byte of the line.
        offset: u64,
        /// The format that it is not of.
        format: TraceFormat,
        /// What is wrong.
        problem: &'static str,
        /// The line, or its beginning.
        text: Excerpt,
    },
    /// The last line of a text format has no end.
    #[error(
        "{file}: line {line}, byte {offset}: the last line has no end, so the trace may have been cut off: {text}"
    )]
    UnfinishedLine {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Offset of the first byte of the line.
        offset: u64,
        /// The line, or its beginning.
        text: Excerpt,
    },
    /// A binary trace of a version or with a feature that this reader does not know.
    #[error("{file}: byte {offset}: {what} is not known to this version of Twinwalk")]
    TooNew {
        /// The file.
        file: String,
        /// Where it says so.
        offset: u64,
        /// What is not known.
        what: String,
    },
    /// A binary trace has runs, where references are needed one by one.
    #[error(
        "{file}: has runs on pages, not the references themselves, and these are needed here one by one"
    )]
    Runs {
        /// The file.
        file: String,
    },
    /// A binary trace contradicts itself or its checksums.
    #[error("{file}: byte {offset}: {problem}")]
    Corrupt {
        /// The file.
        file: String,
        /// Offset of the part that is wrong.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// It is not what this project can use.
    #[error("{file}: byte {offset}: {what}")]
    Unsuitable {
        /// The file.
        file: String,
        /// Where it says so.
        offset: u64,
        /// What it is.
        what: String,
        /// What a person can do about it.
        remedy: &'static str,
    },
    /// A trace ends too early.
    #[error("{file}: byte {offset}: the trace is cut off: {expected} should follow")]
    Truncated {
        /// The file.
        file: String,
        /// Length of what is there.
        offset: u64,
        /// What is missing.
        expected: &'static str,
    },
    /// A trace cannot be written.
    #[error("{file}: {doing}: {error}")]
    Unwritable {
        /// The file.
        file: String,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A program that recording needs is not there.
    #[error("{program}: is not installed, or not in the search path")]
    ValgrindMissing {
        /// What was called.
        program: String,
    },
    /// Recording could not be started or waited for.
    #[error("{program}: {doing}: {error}")]
    Record {
        /// What was called.
        program: String,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The program ended without one reference.
    #[error("{command}: nothing was recorded; valgrind ended with {status}")]
    NothingRecorded {
        /// The command.
        command: String,
        /// How valgrind ended.
        status: String,
    },
}

impl TraceError {
    /// What a person can do about it, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "give the path of a trace that can be read, or - for standard input".to_owned()
            }
            Self::Read { .. } => "check the disk or the program that feeds the pipe, and run again".to_owned(),
            Self::Damaged { compression, .. } => format!(
                "copy or compress the file again; `{} -t FILE` tests it",
                compression.program()
            ),
            Self::Empty { .. } => "record or copy the trace again; the program that made it wrote nothing".to_owned(),
            Self::UnknownFormat { .. } => format!(
                "give a trace in one of the formats {}, as it is or compressed with gzip, xz or zstd; --trace-format names the format where it cannot be seen",
                TraceFormat::list()
            ),
            Self::Line { format, .. } => format.line_remedy().to_owned(),
            Self::Unsuitable { remedy, .. } => (*remedy).to_owned(),
            Self::UnfinishedLine { .. } => {
                "record or copy the trace again, or remove the last line; if it is whole, end it with a newline".to_owned()
            }
            Self::TooNew { .. } => {
                "read it with the version of Twinwalk that wrote it or a newer one, or import the original trace again".to_owned()
            }
            Self::Runs { .. } => {
                "give the trace that it was made from; runs serve `twinwalk run` of the model, one reference at a time, and `twinwalk trace info`".to_owned()
            }
            Self::Corrupt { .. } => "copy the file again, or import the original trace again".to_owned(),
            Self::Truncated { .. } => {
                "copy the file again, or import the original trace again; the recording or the copy did not end".to_owned()
            }
            Self::Unwritable { .. } => {
                "give a path in an existing directory that may be written and has room; an existing file there is unchanged".to_owned()
            }
            Self::ValgrindMissing { .. } => {
                "install it (Debian, Ubuntu: apt-get install -y valgrind), or record elsewhere with `valgrind --tool=lackey --trace-mem=yes` and import the text"
                    .to_owned()
            }
            Self::Record { .. } => {
                "record by hand with `valgrind --tool=lackey --trace-mem=yes --log-file=FILE COMMAND`, and import FILE".to_owned()
            }
            Self::NothingRecorded { .. } => {
                "check that the command exists and runs; valgrind's own message stands above".to_owned()
            }
        }
    }
}

/// The beginning of some bytes, fit for a message: at most [`Excerpt::LIMIT_BYTES`], everything but printable ASCII escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    start: Vec<u8>,
    cut: bool,
}

impl Excerpt {
    /// The most bytes that are shown.
    pub const LIMIT_BYTES: usize = 48;

    /// The beginning of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let start = bytes.get(..Self::LIMIT_BYTES).unwrap_or(bytes);
        Self {
            start: start.to_vec(),
            cut: start.len() < bytes.len(),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.start.escape_ascii())?;
        if self.cut {
            f.write_str("...")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_bounded_and_has_no_control_character() {
        let shown = Excerpt::new(&[b"\x1b[2Jab\n".as_slice(), &[b'x'; 4000]].concat()).to_string();
        assert!(shown.starts_with("\"\\x1b[2Jab\\nxxx"), "{shown}");
        assert!(shown.ends_with("x\"...") && shown.len() < 80, "{shown}");
        assert_eq!(Excerpt::new(b"ab").to_string(), "\"ab\"");
    }
}
