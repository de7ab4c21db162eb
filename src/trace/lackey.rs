//! Traces as valgrind's tool lackey writes them: `valgrind --tool=lackey --trace-mem=yes`.
//!
//! Contract: none. SDM: none. Counterpart: none. `docs/traces.md` says what is accepted.
//!
//! A line is taken apart in a window of 32 bytes, the first eight digits of the address at once, without a search for its end; only what
//! does not look as lackey writes it goes the slow way, which also finds out what is wrong.

use super::error::{Excerpt, TraceError};
use super::file::Compression;
use super::input::Input;
use super::open::{BATCH_REFERENCES, Metadata, TraceFormat, TraceReader};
use super::reference::{MemoryReference, ReferenceKind};

/// Bytes that are read at a time. A line that is longer and not valgrind's own chatter is refused.
const BUFFER_BYTES: usize = 256 << 10;
/// At least as long as the longest line: three letters, 16 digits, a comma, four digits, a newline.
const WINDOW_BYTES: usize = 32;

/// Lackey writes one `I` line for each instruction.
pub(super) const METADATA: Metadata = Metadata {
    source: Some(TraceFormat::Lackey),
    fetches_are_instructions: true,
};

/// A streaming reader of lackey text, in constant memory.
///
/// A modify is a load and then a store of the same bytes. Lines that valgrind writes about itself (`==PID== ...`) and empty lines are
/// skipped.
#[derive(Debug)]
pub struct LackeyReader {
    input: Input,
    buffer: Box<[u8]>,
    /// The part of the buffer that is not parsed yet.
    start: usize,
    end: usize,
    /// Offset in the trace of `buffer[start]`.
    offset: u64,
    /// Number of the line that begins at `start`, from 1.
    line: u64,
    /// Whether `start` lies inside a line of chatter that did not fit into the buffer.
    in_chatter: bool,
    ended: bool,
    failed: Option<TraceError>,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Reference(MemoryReference),
    /// A load, then a store of the same bytes.
    Modify(MemoryReference),
    /// Not about the program.
    Chatter,
}

impl LackeyReader {
    /// A reader of `input`, from its present place on.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            line: 1,
            in_chatter: false,
            ended: false,
            failed: None,
        }
    }

    /// Parses lines of the buffer until the batch is full or a line does not fit the fast way.
    fn parse_fast(&mut self, batch: &mut Vec<MemoryReference>) {
        let mut at = self.start;
        let mut lines = 0;
        let text = &self.buffer[..self.end];
        while batch.len() + 2 <= BATCH_REFERENCES {
            let Some(window) = text[at..].first_chunk() else {
                break;
            };
            let Some((reference, modify, length)) = parse_window(window) else {
                break;
            };
            batch.push(reference);
            if modify {
                batch.push(reference.with_kind(ReferenceKind::Store));
            }
            at += length;
            lines += 1;
        }
        self.offset += (at - self.start) as u64;
        self.line += lines;
        self.start = at;
    }

    /// Takes one line, whatever it is. Says whether there was one.
    fn parse_one(&mut self, batch: &mut Vec<MemoryReference>) -> Result<bool, TraceError> {
        loop {
            let text = &self.buffer[self.start..self.end];
            if let Some(length) = text.iter().position(|&byte| byte == b'\n') {
                if !std::mem::take(&mut self.in_chatter) {
                    match parse_line(&text[..length])
                        .map_err(|problem| self.error(problem, length))?
                    {
                        Line::Reference(reference) => batch.push(reference),
                        Line::Modify(load) => {
                            batch.extend([load, load.with_kind(ReferenceKind::Store)]);
                        }
                        Line::Chatter => {}
                    }
                }
                self.advance(length + 1);
                self.line += 1;
                return Ok(true);
            }
            if text.len() == self.buffer.len() {
                if !self.in_chatter && !is_chatter(text) {
                    return Err(self.error("longer than any line of a lackey trace", text.len()));
                }
                self.in_chatter = true;
                self.advance(self.buffer.len());
            }
            if !self.refill()? {
                return self.finish();
            }
        }
    }

    /// Moves what is left to the front and reads more behind it. Says whether there was more.
    fn refill(&mut self) -> Result<bool, TraceError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let count = self.input.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count > 0)
    }

    /// At the end of the input: whether the last line was whole.
    fn finish(&mut self) -> Result<bool, TraceError> {
        let rest = &self.buffer[self.start..self.end];
        if self.in_chatter || !rest.trim_ascii().is_empty() {
            return Err(TraceError::UnfinishedLine {
                file: self.input.file().to_owned(),
                line: self.line,
                offset: self.offset,
                text: Excerpt::new(rest),
            });
        }
        Ok(false)
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    fn error(&self, problem: &'static str, length: usize) -> TraceError {
        TraceError::Line {
            file: self.input.file().to_owned(),
            line: self.line,
            offset: self.offset,
            format: TraceFormat::Lackey,
            problem,
            text: Excerpt::new(&self.buffer[self.start..self.start + length]),
        }
    }
}

impl TraceReader for LackeyReader {
    fn format(&self) -> TraceFormat {
        TraceFormat::Lackey
    }

    fn compression(&self) -> Option<Compression> {
        self.input.compression()
    }

    fn consumed_bytes(&self) -> u64 {
        self.input.consumed_bytes()
    }

    fn metadata(&self) -> Metadata {
        METADATA
    }

    fn read_batch(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        batch.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while !self.ended && batch.len() + 2 <= BATCH_REFERENCES {
            if !self.in_chatter {
                self.parse_fast(batch);
            }
            if batch.len() + 2 > BATCH_REFERENCES {
                break;
            }
            match self.parse_one(batch) {
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

/// Whether `start`, the beginning of a file, looks like lackey text: its first line that is not chatter is a reference, or the first line
/// is chatter and no other ends in what is given.
pub(super) fn recognise(start: &[u8]) -> bool {
    let mut chatter = false;
    let mut lines = start.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let whole = lines.peek().is_some();
        match parse_line(line) {
            Ok(Line::Chatter) => chatter |= !line.trim_ascii().is_empty(),
            Ok(_) => return true,
            Err(_) => return !whole && chatter,
        }
    }
    chatter
}

/// A line as lackey writes it, at the start of `window`: the reference, whether it is a modify, and the length with the newline.
/// `None` where anything is unusual.
#[inline]
fn parse_window(window: &[u8; WINDOW_BYTES]) -> Option<(MemoryReference, bool, usize)> {
    let (kind, modify) = match window[..3] {
        [b'I', b' ', b' '] => (ReferenceKind::Fetch, false),
        [b' ', b'L', b' '] => (ReferenceKind::Load, false),
        [b' ', b'S', b' '] => (ReferenceKind::Store, false),
        [b' ', b'M', b' '] => (ReferenceKind::Load, true),
        _ => return None,
    };
    let digits: [u8; 8] = *window[3..].first_chunk()?;
    let mut address = u64::from(eight_hex_digits(digits)?);
    let mut at = 11;
    let last = loop {
        let byte = window[at];
        at += 1;
        match hex_digit(byte) {
            Some(digit) if at <= 3 + 16 => address = address << 4 | digit,
            _ => break byte,
        }
    };
    if last != b',' {
        return None;
    }
    let mut size_bytes = 0;
    while let Some(digit) = decimal_digit(*window.get(at)?) {
        size_bytes = 10 * size_bytes + digit;
        at += 1;
        if size_bytes > MemoryReference::MAX_SIZE_BYTES {
            return None;
        }
    }
    // No digit at all leaves a size of 0, which no reference has.
    if *window.get(at)? != b'\n' {
        return None;
    }
    let reference = MemoryReference::new(kind, address, size_bytes)?;
    Some((reference, modify, at + 1))
}

/// The number that eight hexadecimal digits in lower case write; `None` if they are anything else.
///
/// All eight at once: a letter has bit 6 set and its low nibble is 9 less than its value. Written back as text the value must be what it
/// came from.
#[inline]
fn eight_hex_digits(text: [u8; 8]) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_be_bytes(text);
    let letters = text >> 6 & ONES;
    let nibbles = (text & (0x0f * ONES)) + 9 * letters;
    let above_nine = (nibbles + 6 * ONES) >> 4 & ONES;
    let back = nibbles + 0x30 * ONES + 0x27 * above_nine;
    if back != text || nibbles & (0xf0 * ONES) != 0 {
        return None;
    }
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((quads | quads >> 16) as u32)
}

#[inline]
const fn hex_digit(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some((byte - b'0') as u64),
        b'a'..=b'f' => Some((byte - b'a' + 10) as u64),
        b'A'..=b'F' => Some((byte - b'A' + 10) as u64),
        _ => None,
    }
}

#[inline]
const fn decimal_digit(byte: u8) -> Option<u16> {
    match byte {
        b'0'..=b'9' => Some((byte - b'0') as u16),
        _ => None,
    }
}

/// Any line, without its newline: what it says, or what is wrong with it.
///
/// More is accepted than lackey writes: any number of spaces around the parts, short addresses, capitals, a carriage return at the end.
fn parse_line(line: &[u8]) -> Result<Line, &'static str> {
    const NOT_LACKEY: &str = "not a line of a lackey trace";
    let text = line.trim_ascii();
    if text.is_empty() || is_chatter(line) {
        return Ok(Line::Chatter);
    }
    let (kind, modify) = match text {
        [b'I', b' ', ..] => (ReferenceKind::Fetch, false),
        [b'L', b' ', ..] => (ReferenceKind::Load, false),
        [b'S', b' ', ..] => (ReferenceKind::Store, false),
        [b'M', b' ', ..] => (ReferenceKind::Load, true),
        _ => return Err(NOT_LACKEY),
    };
    let mut parts = text[1..].trim_ascii_start().splitn(2, |&byte| byte == b',');
    let (Some(address), Some(size)) = (parts.next(), parts.next()) else {
        return Err(NOT_LACKEY);
    };
    let address = parse_address(address).ok_or("the address is not 1 to 16 hexadecimal digits")?;
    let reference = parse_size(size)
        .and_then(|size_bytes| MemoryReference::new(kind, address, size_bytes))
        .ok_or("the size is not a number from 1 to 4096")?;
    Ok(if modify {
        Line::Modify(reference)
    } else {
        Line::Reference(reference)
    })
}

fn parse_address(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter()
        .try_fold(0, |address, &byte| Some(address << 4 | hex_digit(byte)?))
}

fn parse_size(text: &[u8]) -> Option<u16> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u16, |size, &byte| {
        size.checked_mul(10)?.checked_add(decimal_digit(byte)?)
    })
}

/// Whether valgrind wrote the line about itself: `==PID== `, `--PID-- ` or `**PID** ` in front, perhaps with a time before the PID.
fn is_chatter(line: &[u8]) -> bool {
    const LONGEST_PREFIX: usize = 48;
    let start = line.get(..LONGEST_PREFIX).unwrap_or(line);
    let [mark @ (b'=' | b'-' | b'*'), second, inner @ ..] = start else {
        return false;
    };
    let digits = inner
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || b":. ".contains(byte));
    let length = digits.count();
    mark == second && length > 0 && inner[length..].starts_with(&[*mark; 2])
}

#[cfg(test)]
mod tests;
