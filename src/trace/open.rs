//! Opening a trace: its compression and format are found by content; and what every reader of a format does.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt;
use std::iter::FusedIterator;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::assumed;
use super::binary::{self, BinaryReader, RunReader};
use super::champsim::{self, ChampSim, CloudSuite};
use super::csv::Csv;
use super::drmemtrace::{self, Drmemtrace};
use super::drmemtrace_text::DrmemtraceText;
use super::error::{Excerpt, TraceError};
use super::file::Compression;
use super::input::{Input, Progress};
use super::lackey::{self, LackeyReader};
use super::perf::Perf;
use super::pinatrace::Pinatrace;
use super::reference::MemoryReference;
use super::source::{self, FormatReader};

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
    /// ChampSim's records of 64 bytes.
    ChampSim,
    /// ChampSim's records of 96 bytes.
    #[serde(rename = "champsim-cloudsuite")]
    CloudSuite,
    /// Records of DynamoRIO's drmemtrace.
    Drmemtrace,
    /// Text of drmemtrace's tool view, or of the sample client memtrace_simple.
    #[serde(rename = "drmemtrace-text")]
    DrmemtraceText,
    /// Samples of Linux's perf, as text.
    Perf,
    /// Text of Pin's sample tool pinatrace.
    Pinatrace,
    /// A table with a heading.
    Csv,
}

impl TraceFormat {
    /// Every format.
    pub const ALL: [Self; 9] = [
        Self::Lackey,
        Self::Binary,
        Self::ChampSim,
        Self::CloudSuite,
        Self::Drmemtrace,
        Self::DrmemtraceText,
        Self::Perf,
        Self::Pinatrace,
        Self::Csv,
    ];

    /// Its name, as commands and outputs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lackey => "lackey",
            Self::Binary => "binary",
            Self::ChampSim => "champsim",
            Self::CloudSuite => "champsim-cloudsuite",
            Self::Drmemtrace => "drmemtrace",
            Self::DrmemtraceText => "drmemtrace-text",
            Self::Perf => "perf",
            Self::Pinatrace => "pinatrace",
            Self::Csv => "csv",
        }
    }

    /// Its number in the header of the binary form, as the format that a trace was first read from; 0 for the binary form itself, since
    /// what is imported from that keeps what it names.
    pub const fn number(self) -> u32 {
        match self {
            Self::Binary => 0,
            Self::Lackey => 1,
            Self::ChampSim => 2,
            Self::CloudSuite => 3,
            Self::Drmemtrace => 4,
            Self::DrmemtraceText => 5,
            Self::Perf => 6,
            Self::Pinatrace => 7,
            Self::Csv => 8,
        }
    }

    /// The format of a number other than 0. One that is not known is as good as none.
    pub fn from_number(number: u32) -> Option<Self> {
        let mut known = Self::ALL.into_iter().filter(|format| format.number() > 0);
        known.find(|format| format.number() == number)
    }

    /// What is assumed of a trace that was first read from this format, because it does not say so; one sentence each.
    pub const fn assumptions(self) -> &'static [&'static str] {
        match self {
            Self::ChampSim | Self::CloudSuite => {
                &[assumed::LENGTHS_FROM_SEQUENCE, assumed::DATA_OF_8]
            }
            Self::Perf => &[
                assumed::INSTRUCTIONS_OF_4,
                assumed::DATA_OF_8,
                assumed::LOADS,
            ],
            Self::Pinatrace => &[assumed::INSTRUCTIONS_OF_4, assumed::DATA_OF_8],
            Self::Lackey | Self::Binary | Self::Drmemtrace | Self::DrmemtraceText | Self::Csv => {
                &[]
            }
        }
    }

    /// What a trace that was first read from this format leaves out, where that is most of a program; one sentence.
    pub const fn incomplete(self) -> Option<&'static str> {
        match self {
            Self::Perf => Some(
                "samples, not a trace: most references are missing, so hit rates and cycles are not those of the program",
            ),
            Self::Pinatrace => Some(
                "instructions without an operand in memory are missing, and with them their fetches",
            ),
            _ => None,
        }
    }

    /// How a line of a text format reads, for messages.
    pub(super) const fn line_remedy(self) -> &'static str {
        match self {
            Self::Lackey => {
                "remove or mend the line; lackey writes `I  ADDRESS,SIZE`, ` L ADDRESS,SIZE`, ` S` and ` M` (keep the program's own output apart with valgrind's --log-file)"
            }
            Self::DrmemtraceText => {
                "remove or mend the line; drmemtrace's view tool writes `RECORD INSTRUCTION: THREAD ifetch SIZE byte(s) @ 0xADDRESS` to standard error (keep the program's own output apart), memtrace_simple `0xADDRESS: SIZE, KIND`"
            }
            Self::Perf => {
                "remove the line, or write the text again with `perf script -F event,addr,data_src,ip` from `perf mem record` or `perf record -d`"
            }
            Self::Pinatrace => {
                "remove or mend the line; pinatrace writes `0xINSTRUCTION: R 0xADDRESS` and `W`"
            }
            Self::Csv => {
                "mend the line; the heading names kind (or type), address (or addr) and size, kinds are fetch, load, store and modify, numbers are decimal or begin with 0x"
            }
            Self::Binary | Self::ChampSim | Self::CloudSuite | Self::Drmemtrace => {
                "copy the file again"
            }
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
    let start = &input.peek(RECOGNISED_BYTES)?.to_vec();
    let found = format.or_else(|| recognise(start));
    let excerpt = Excerpt::new(start.get(..SHOWN_BYTES).unwrap_or(start));
    if start.is_empty() {
        return Err(TraceError::Empty {
            file: input.file().to_owned(),
        });
    }
    match found {
        Some(format) => Ok((format, input)),
        None => Err(match packed(start) {
            Some((what, remedy)) => TraceError::Unsuitable {
                file: input.file().to_owned(),
                offset: 0,
                what: what.to_owned(),
                remedy,
            },
            None => TraceError::UnknownFormat {
                file: input.file().to_owned(),
                start: excerpt,
            },
        }),
    }
}

/// What a file is packed in that is not unpacked here, and what to do.
fn packed(start: &[u8]) -> Option<(&'static str, &'static str)> {
    if start.starts_with(b"PK\x03\x04") {
        Some((
            "a zip archive",
            "unpack it into standard input: unzip -p FILE | twinwalk ... - (for drmemtrace's *.trace.zip that gives the whole trace)",
        ))
    } else if start.starts_with(b"\x04\x22\x4d\x18") {
        Some((
            "compressed with lz4",
            "unpack it into standard input: lz4 -dc FILE | twinwalk ... -",
        ))
    } else if start.starts_with(b"BZh") {
        Some((
            "compressed with bzip2",
            "unpack it into standard input: bzip2 -dc FILE | twinwalk ... -",
        ))
    } else {
        None
    }
}

/// The format of a trace that begins with `start`, decompressed; `None` if it looks like none.
pub fn recognise(start: &[u8]) -> Option<TraceFormat> {
    if start.starts_with(&binary::MAGIC) {
        Some(TraceFormat::Binary)
    } else if drmemtrace::recognise(start) {
        Some(TraceFormat::Drmemtrace)
    } else if let Some(format) = champsim::recognise(start, start.len() == RECOGNISED_BYTES) {
        Some(format)
    } else if lackey::recognise(start) {
        Some(TraceFormat::Lackey)
    } else if source::recognise::<Pinatrace>(start) {
        Some(TraceFormat::Pinatrace)
    } else if source::recognise::<DrmemtraceText>(start) {
        Some(TraceFormat::DrmemtraceText)
    } else if source::recognise::<Csv>(start) {
        Some(TraceFormat::Csv)
    } else if source::recognise::<Perf>(start) {
        Some(TraceFormat::Perf)
    } else {
        None
    }
}

fn reader_of(format: TraceFormat, input: Input) -> Result<Box<dyn TraceReader>, TraceError> {
    Ok(match format {
        TraceFormat::Lackey => Box::new(LackeyReader::new(input)),
        TraceFormat::Binary => Box::new(BinaryReader::new(input)?),
        TraceFormat::ChampSim => Box::new(FormatReader::new(input, ChampSim::default())),
        TraceFormat::CloudSuite => Box::new(FormatReader::new(input, CloudSuite::default())),
        TraceFormat::Drmemtrace => Box::new(FormatReader::new(input, Drmemtrace::default())),
        TraceFormat::DrmemtraceText => {
            Box::new(FormatReader::new(input, DrmemtraceText::default()))
        }
        TraceFormat::Perf => Box::new(FormatReader::new(input, Perf::default())),
        TraceFormat::Pinatrace => Box::new(FormatReader::new(input, Pinatrace::default())),
        TraceFormat::Csv => Box::new(FormatReader::new(input, Csv::default())),
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

    #[test]
    fn names_in_outputs_are_those_of_commands_and_numbers_lead_back() {
        for format in TraceFormat::ALL {
            assert_eq!(serde_json::json!(format), serde_json::json!(format.name()));
            let numbered = (format != TraceFormat::Binary).then_some(format);
            assert_eq!(TraceFormat::from_number(format.number()), numbered);
        }
        assert_eq!(TraceFormat::from_number(9), None);
    }
}
