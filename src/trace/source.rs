//! Lines and records of a trace, one after the other in constant memory, with their places; and the reader of every format made of them.
//!
//! Contract: none. SDM: none. Counterpart: none. Lackey text and the binary form have readers of their own, which are faster.

use std::ops::Range;

use super::error::{Excerpt, TraceError};
use super::file::Compression;
use super::input::Input;
use super::open::{BATCH_REFERENCES, Metadata, TraceFormat, TraceReader};
use super::reference::MemoryReference;

/// Bytes that are read at a time. A longer line is refused.
const BUFFER_BYTES: usize = 64 << 10;
/// The most references that one step of a parser may hand out.
pub(super) const MOST_PER_STEP: usize = 64;

/// The bytes of a trace, taken as lines or as records.
#[derive(Debug)]
pub(super) struct Source {
    input: Input,
    buffer: Box<[u8]>,
    /// What was taken last.
    taken: Range<usize>,
    /// What is not taken yet begins where `taken` ends, and ends here.
    end: usize,
    /// Offset in the trace of what was taken last, and of what comes next.
    place: u64,
    offset: u64,
    /// Number of the line that was taken last.
    line: u64,
}

impl Source {
    fn new(input: Input) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            taken: 0..0,
            end: 0,
            place: 0,
            offset: 0,
            line: 0,
        }
    }

    /// Takes the next line, without its newline. Says whether there was one. A last line that does not end is refused, unless it is `last`.
    pub(super) fn take_line(
        &mut self,
        format: TraceFormat,
        last: &[u8],
    ) -> Result<bool, TraceError> {
        let mut searched = 0;
        self.line += 1;
        self.place = self.offset;
        loop {
            let rest = &self.buffer[self.taken.end + searched..self.end];
            if let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
                let length = searched + length;
                self.take(length, 1);
                return Ok(true);
            }
            searched += rest.len();
            if searched == self.buffer.len() {
                self.taken = 0..searched;
                return Err(self.line_error(format, "longer than any line of a trace"));
            }
            if self.refill()? == 0 {
                break;
            }
        }
        let rest = &self.buffer[self.taken.end..self.end];
        if rest.trim_ascii().is_empty() {
            return Ok(false);
        }
        if !last.is_empty() && rest == last {
            self.take(last.len(), 0);
            return Ok(true);
        }
        Err(TraceError::UnfinishedLine {
            file: self.input.file().to_owned(),
            line: self.line,
            offset: self.place,
            text: Excerpt::new(rest),
        })
    }

    /// Takes the next `N` bytes; `None` at the end.
    ///
    /// # Errors
    /// [`TraceError::Truncated`] if the end comes between.
    pub(super) fn take_record<const N: usize>(&mut self) -> Result<Option<[u8; N]>, TraceError> {
        self.place = self.offset;
        while self.end - self.taken.end < N {
            if self.refill()? == 0 {
                if self.end == self.taken.end {
                    return Ok(None);
                }
                return Err(self.truncated("the rest of a record"));
            }
        }
        let record = self.buffer[self.taken.end..].first_chunk().copied();
        self.take(N, 0);
        Ok(record)
    }

    fn take(&mut self, length: usize, separator: usize) {
        let start = self.taken.end;
        // The separator belongs to what was taken, so that the next begins behind it.
        self.taken = start..start + length + separator;
        self.offset += (length + separator) as u64;
    }

    /// The line that was taken last.
    pub(super) fn text(&self) -> &[u8] {
        let taken = &self.buffer[self.taken.clone()];
        let taken = taken.strip_suffix(b"\n").unwrap_or(taken);
        taken.strip_suffix(b"\r").unwrap_or(taken)
    }

    /// Moves what is not taken to the front and reads more behind it. Says how much.
    fn refill(&mut self) -> Result<usize, TraceError> {
        self.buffer.copy_within(self.taken.end..self.end, 0);
        self.end -= self.taken.end;
        self.taken = 0..0;
        let count = self.input.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// The line that was taken last is wrong.
    pub(super) fn line_error(&self, format: TraceFormat, problem: &'static str) -> TraceError {
        TraceError::Line {
            file: self.input.file().to_owned(),
            line: self.line,
            offset: self.place,
            format,
            problem,
            text: Excerpt::new(self.text()),
        }
    }

    /// What was taken last is not for this project.
    pub(super) fn unsuitable(&self, what: String, remedy: &'static str) -> TraceError {
        TraceError::Unsuitable {
            file: self.input.file().to_owned(),
            offset: self.place,
            what,
            remedy,
        }
    }

    /// The trace ends, but `expected` should follow.
    pub(super) fn truncated(&self, expected: &'static str) -> TraceError {
        TraceError::Truncated {
            file: self.input.file().to_owned(),
            offset: self.offset + (self.end - self.taken.end) as u64,
            expected,
        }
    }
}

/// What is particular to a format.
pub(super) trait Parser: Send {
    /// The format.
    const FORMAT: TraceFormat;
    /// Whether each fetch is one instruction.
    const FETCHES_ARE_INSTRUCTIONS: bool;

    /// Takes something from `source` and adds what it says to `batch`, at most [`MOST_PER_STEP`] references. Says whether there was
    /// anything to take; if not, the trace is whole.
    fn step(
        &mut self,
        source: &mut Source,
        batch: &mut Vec<MemoryReference>,
    ) -> Result<bool, TraceError>;
}

/// What is particular to a format of lines.
pub(super) trait LineParser: Send + Default {
    /// The format.
    const FORMAT: TraceFormat;
    /// Whether each fetch is one instruction.
    const FETCHES_ARE_INSTRUCTIONS: bool;
    /// A line that may stand at the end without a newline.
    const UNENDED: &[u8] = b"";

    /// Adds what `line` says to `batch`, at most [`MOST_PER_STEP`] references.
    fn line(&mut self, line: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), Problem>;

    /// At the end of the trace: what is missing, if something is.
    fn missing(&self) -> Option<&'static str> {
        None
    }

    /// Whether a line has been seen that this format alone has.
    fn is_certain(&self) -> bool {
        false
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is not a line of the format.
    Line(&'static str),
    /// It says that the trace is none for this project: what, and what to do.
    Trace(String, &'static str),
}

impl From<&'static str> for Problem {
    fn from(problem: &'static str) -> Self {
        Self::Line(problem)
    }
}

impl<L: LineParser> Parser for L {
    const FORMAT: TraceFormat = L::FORMAT;
    const FETCHES_ARE_INSTRUCTIONS: bool = L::FETCHES_ARE_INSTRUCTIONS;

    fn step(
        &mut self,
        source: &mut Source,
        batch: &mut Vec<MemoryReference>,
    ) -> Result<bool, TraceError> {
        if source.take_line(L::FORMAT, L::UNENDED)? {
            return match self.line(source.text(), batch) {
                Ok(()) => Ok(true),
                Err(Problem::Line(problem)) => Err(source.line_error(L::FORMAT, problem)),
                Err(Problem::Trace(what, remedy)) => Err(source.unsuitable(what, remedy)),
            };
        }
        self.missing()
            .map_or(Ok(false), |expected| Err(source.truncated(expected)))
    }
}

/// Whether the beginning of a file looks like text of `L`: its first whole lines are, up to one that only this format has.
pub(super) fn recognise<L: LineParser>(start: &[u8]) -> bool {
    let mut parser = L::default();
    let mut batch = Vec::new();
    let mut lines = start.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_none() && line != L::UNENDED {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Err(problem) = parser.line(line, &mut batch) {
            // Of the format, but refused: its reader says why.
            return parser.is_certain() || matches!(problem, Problem::Trace(..));
        }
        if parser.is_certain() || !batch.is_empty() {
            return true;
        }
    }
    false
}

/// A streaming reader of a format, in constant memory.
#[derive(Debug)]
pub(super) struct FormatReader<P> {
    source: Source,
    parser: P,
    ended: bool,
    failed: Option<TraceError>,
}

impl<P: Parser> FormatReader<P> {
    /// A reader of `input`, from its present place on.
    pub(super) fn new(input: Input, parser: P) -> Self {
        Self {
            source: Source::new(input),
            parser,
            ended: false,
            failed: None,
        }
    }
}

impl<P: Parser> TraceReader for FormatReader<P> {
    fn format(&self) -> TraceFormat {
        P::FORMAT
    }

    fn compression(&self) -> Option<Compression> {
        self.source.input.compression()
    }

    fn consumed_bytes(&self) -> u64 {
        self.source.input.consumed_bytes()
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            source: Some(P::FORMAT),
            fetches_are_instructions: P::FETCHES_ARE_INSTRUCTIONS,
        }
    }

    fn read_batch(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        batch.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while !self.ended && batch.len() + MOST_PER_STEP <= BATCH_REFERENCES {
            match self.parser.step(&mut self.source, batch) {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.ended = true;
                    if batch.is_empty() {
                        return Err(error);
                    }
                    self.failed = Some(error);
                }
            }
        }
        Ok(())
    }
}

/// The number that hexadecimal digits write, 1 to 16 of them, with or without `0x`.
pub(super) fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = text
        .strip_prefix(b"0x")
        .or_else(|| text.strip_prefix(b"0X"))
        .unwrap_or(text);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0, |number, &byte| {
        Some(number << 4 | u64::from(char::from(byte).to_digit(16)?))
    })
}

/// The number that decimal digits write.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The parts of a line between blanks.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}
