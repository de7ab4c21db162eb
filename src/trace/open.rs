//! Opening a trace: its compression and format are found by content; and what every reader of a format does.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt;
use std::iter::FusedIterator;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::binary::{self, BinaryReader, RunReader};
use super::error::{Excerpt, TraceError};
use super::file::Compression;
use super::input::{Input, Progress};
use super::lackey::{self, LackeyReader};
use super::reference::MemoryReference;

/// The most references that a reader hands out at a time.
pub const BATCH_REFERENCES: usize = 8192;
/// Bytes of a file that its format is recognised by.
const RECOGNISED_BYTES: usize = 64 << 10;
/// Bytes that a message shows of a file in no known format.
const SHOWN_BYTES: usize = 16;

/// A format of traces. A further one is a variant here, a reader, and a line in [`recognise`] and in what opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TraceFormat {
    /// Text of valgrind's tool lackey.
    Lackey,
    /// The project's own binary form.
    Binary,
}

impl TraceFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Lackey, Self::Binary];

    /// Its name, as commands and outputs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lackey => "lackey",
            Self::Binary => "binary",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Every name, for messages.
    pub(super) fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known about a trace as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The format that the trace was first read from, if it is known: that of a binary trace's original.
    pub source: Option<TraceFormat>,
    /// Whether each fetch is one instruction, so that counting fetches counts instructions.
    pub fetches_are_instructions: bool,
}

/// Reads the references of a trace in program order, a batch at a time, in constant memory.
pub trait TraceReader: Send {
    /// The format that is read.
    fn format(&self) -> TraceFormat;

    /// How the file is compressed, if it is.
    fn compression(&self) -> Option<Compression>;

    /// Bytes of the file consumed so far (compressed ones).
    fn consumed_bytes(&self) -> u64;

    /// What is known about the trace as a whole.
    fn metadata(&self) -> Metadata;

    /// Replaces what is in `batch` by the next references, at most [`BATCH_REFERENCES`]. Empty afterwards: the trace is over, and has been
    /// found whole as far as its format can tell.
    ///
    /// # Errors
    /// What is wrong with the trace, after everything that came before it was handed out; from then on the trace is over.
    fn read_batch(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError>;
}

/// How to open a trace.
#[derive(Default)]
pub struct OpenOptions {
    /// The format, where it is not to be found by content.
    pub format: Option<TraceFormat>,
    /// Is told how many bytes of the file have been consumed.
    pub progress: Option<Progress>,
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("format", &self.format)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

/// Opens the trace at `path` (`-`: standard input).
///
/// # Errors
/// [`TraceError::Unreadable`], [`TraceError::Empty`], [`TraceError::UnknownFormat`], and what reading its beginning may say.
pub fn open(path: &Path, options: OpenOptions) -> Result<Box<dyn TraceReader>, TraceError> {
    open_input(Input::open(path, options.progress)?, options.format)
}

/// A trace that may have runs in place of references.
pub enum Opened {
    /// References, one by one.
    References(Box<dyn TraceReader>),
    /// Runs.
    Runs(RunReader),
}

/// The same of a trace that may have runs.
///
/// # Errors
/// As [`open`].
pub fn open_either(path: &Path, options: OpenOptions) -> Result<Opened, TraceError> {
    let (format, input) = found(Input::open(path, options.progress)?, options.format)?;
    if format == TraceFormat::Binary {
        return Ok(match binary::open(input)? {
            Ok(reader) => Opened::References(Box::new(reader)),
            Err(runs) => Opened::Runs(runs),
        });
    }
    Ok(Opened::References(reader_of(format, input)?))
}

/// A reader of `input` in `format`, or in the one that its content shows.
///
/// # Errors
/// As [`open`].
pub fn open_input(
    input: Input,
    format: Option<TraceFormat>,
) -> Result<Box<dyn TraceReader>, TraceError> {
    let (format, input) = found(input, format)?;
    reader_of(format, input)
}

/// The format that is asked for, or that the content of `input` shows.
fn found(
    mut input: Input,
    format: Option<TraceFormat>,
) -> Result<(TraceFormat, Input), TraceError> {
    let start = input.peek(RECOGNISED_BYTES)?;
    let found = format.or_else(|| recognise(start));
    let excerpt = Excerpt::new(start.get(..SHOWN_BYTES).unwrap_or(start));
    if start.is_empty() {
        return Err(TraceError::Empty {
            file: input.file().to_owned(),
        });
    }
    match found {
        Some(format) => Ok((format, input)),
        None => Err(TraceError::UnknownFormat {
            file: input.file().to_owned(),
            start: excerpt,
        }),
    }
}

/// The format of a trace that begins with `start`, decompressed; `None` if it looks like none.
pub fn recognise(start: &[u8]) -> Option<TraceFormat> {
    if start.starts_with(&binary::MAGIC) {
        Some(TraceFormat::Binary)
    } else if lackey::recognise(start) {
        Some(TraceFormat::Lackey)
    } else {
        None
    }
}

fn reader_of(format: TraceFormat, input: Input) -> Result<Box<dyn TraceReader>, TraceError> {
    Ok(match format {
        TraceFormat::Lackey => Box::new(LackeyReader::new(input)),
        TraceFormat::Binary => Box::new(BinaryReader::new(input)?),
    })
}

/// The references of a reader one by one, until the first error.
#[derive(Debug)]
pub struct References<R> {
    reader: R,
    batch: Vec<MemoryReference>,
    next: usize,
    over: bool,
}

impl<R: TraceReader> References<R> {
    /// The references of `reader` from its present place on.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            batch: Vec::with_capacity(BATCH_REFERENCES),
            next: 0,
            over: false,
        }
    }

    /// The next references, as many as are at hand, `most` at most; none at the end.
    ///
    /// # Errors
    /// What is wrong with the trace. It is then over.
    pub fn take_batch(&mut self, most: u64) -> Result<&[MemoryReference], TraceError> {
        if self.next == self.batch.len() && !self.over {
            self.next = 0;
            if let Err(error) = self.reader.read_batch(&mut self.batch) {
                self.batch.clear();
                self.over = true;
                return Err(error);
            }
            self.over = self.batch.is_empty();
        }
        let left = self.batch.len() - self.next;
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(left);
        let from = self.next;
        self.next += count;
        Ok(&self.batch[from..from + count])
    }

    /// The reader below. It is ahead of this iterator by up to a batch.
    pub const fn reader(&self) -> &R {
        &self.reader
    }
}

impl<R: TraceReader> Iterator for References<R> {
    type Item = Result<MemoryReference, TraceError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.batch.len() {
            if self.over {
                return None;
            }
            self.next = 0;
            if let Err(error) = self.reader.read_batch(&mut self.batch) {
                self.batch.clear();
                self.over = true;
                return Some(Err(error));
            }
            self.over = self.batch.is_empty();
        }
        let reference = self.batch.get(self.next).copied()?;
        self.next += 1;
        Some(Ok(reference))
    }
}

impl<R: TraceReader> FusedIterator for References<R> {}

impl<R: TraceReader + ?Sized> TraceReader for Box<R> {
    fn format(&self) -> TraceFormat {
        (**self).format()
    }

    fn compression(&self) -> Option<Compression> {
        (**self).compression()
    }

    fn consumed_bytes(&self) -> u64 {
        (**self).consumed_bytes()
    }

    fn metadata(&self) -> Metadata {
        (**self).metadata()
    }

    fn read_batch(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        (**self).read_batch(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::reference::PageSplit;
    use std::io::Cursor;

    fn open_bytes(
        bytes: &[u8],
        format: Option<TraceFormat>,
    ) -> Result<Box<dyn TraceReader>, TraceError> {
        open_input(Input::new("t", Cursor::new(bytes.to_vec()), None)?, format)
    }

    const TEXT: &[u8] = b"==1== x\nI  04001ffe,3\n S 04002000,16\n";

    #[test]
    fn text_is_found_through_every_compression_and_without() {
        let packed = Compression::ALL.map(|compression| compression.pack(TEXT));
        for bytes in packed.iter().map(Vec::as_slice).chain([TEXT]) {
            let reader = open_bytes(bytes, None).expect("opens");
            assert_eq!(reader.format(), TraceFormat::Lackey);
            let split: Vec<_> = PageSplit::new(References::new(reader)).flatten().collect();
            assert_eq!(split.len(), 3);
        }
    }

    #[test]
    fn an_unknown_format_is_named_with_how_it_begins() {
        let error = open_bytes(b"\x7fELF\x02", None).err().expect("no trace");
        assert!(matches!(error, TraceError::UnknownFormat { .. }), "{error}");
        assert!(
            error
                .to_string()
                .ends_with("it begins with \"\\x7fELF\\x02\""),
            "{error}"
        );
        assert!(error.remedy().contains("lackey, binary"));
    }

    #[test]
    fn the_format_that_was_asked_for_is_read_whatever_the_content() {
        let reader = open_bytes(b"hello\n", Some(TraceFormat::Lackey)).expect("opens");
        let error = References::new(reader)
            .next()
            .expect("an error")
            .expect_err("not lackey");
        assert!(matches!(error, TraceError::Line { line: 1, .. }), "{error}");
        assert!(open_bytes(TEXT, Some(TraceFormat::Binary)).is_err());
    }

    #[test]
    fn an_empty_file_and_a_missing_one_are_refused_by_name() {
        assert!(matches!(
            open_bytes(b"", None),
            Err(TraceError::Empty { .. })
        ));
        let error = open(Path::new("."), OpenOptions::default())
            .err()
            .expect("a directory");
        assert!(matches!(error, TraceError::Unreadable { .. }), "{error}");
        let error = open(Path::new("no/such/trace"), OpenOptions::default())
            .err()
            .expect("missing");
        assert!(
            error
                .to_string()
                .starts_with("no/such/trace: cannot be opened"),
            "{error}"
        );
    }

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in TraceFormat::ALL {
            assert_eq!(TraceFormat::from_name(format.name()), Some(format));
        }
        assert_eq!(TraceFormat::from_name("elf"), None);
    }
}
