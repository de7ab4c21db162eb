//! A file of paging vectors, line by line: plain or compressed, in constant memory.
//!
//! Contract: none. SDM: none. Counterpart: none; `crate::trace::input` decompresses.

use std::path::Path;

use super::vector::{Case, VectorError};
use crate::trace::{Input, Progress};

/// The most bytes of a line. A vector of the longest kind has some 2,000.
const LINE_LIMIT_BYTES: usize = 1 << 20;
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// The cases of a file, from front to back.
#[derive(Debug)]
pub struct Reader {
    input: Input,
    buffer: Vec<u8>,
    /// How much of the buffer was used up.
    taken: usize,
    line: u64,
    cases: u64,
    ended: bool,
}

impl Reader {
    /// Opens the file at `path`; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be opened, or not even its beginning can be read.
    pub fn open(path: &Path, progress: Option<Progress>) -> Result<Self, VectorError> {
        Ok(Self::new(Input::open(path, progress)?))
    }

    /// The cases in `input`.
    pub const fn new(input: Input) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            taken: 0,
            line: 0,
            cases: 0,
            ended: false,
        }
    }

    /// How messages call the file.
    pub fn file(&self) -> &str {
        self.input.file()
    }

    /// Bytes that wait to be used.
    #[cfg(test)]
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next case; `None` at the end. Lines of blanks alone are passed over.
    ///
    /// # Errors
    /// The file cannot be read further, a line is no vector, or there was none in the whole file.
    pub fn next_case(&mut self) -> Result<Option<Case>, VectorError> {
        while let Some(length) = self.next_line()? {
            self.line += 1;
            // Without its end, which an error in a line that is cut off would be placed behind.
            let text = self.buffer[self.taken..self.taken + length].trim_ascii_end();
            self.taken += length;
            if text.is_empty() {
                continue;
            }
            let case = Case::parse(self.input.file(), self.line, text)?;
            self.cases += 1;
            return Ok(Some(case));
        }
        if self.cases == 0 {
            return Err(VectorError::Empty {
                file: self.file().to_owned(),
            });
        }
        Ok(None)
    }

    /// The bytes of the next line with its end, at the front of what is left of the buffer; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<usize>, VectorError> {
        let mut searched = 0;
        loop {
            let waiting = &self.buffer[self.taken..];
            if let Some(end) = waiting[searched..].iter().position(|&byte| byte == b'\n') {
                return Ok(Some(searched + end + 1));
            }
            searched = waiting.len();
            if searched > LINE_LIMIT_BYTES {
                return Err(VectorError::LongLine {
                    file: self.file().to_owned(),
                    line: self.line + 1,
                    limit_bytes: LINE_LIMIT_BYTES,
                });
            }
            if self.ended {
                return Ok((searched > 0).then_some(searched));
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let have = self.buffer.len();
            self.buffer.resize(have + CHUNK_BYTES, 0);
            let count = self.input.read(&mut self.buffer[have..])?;
            self.buffer.truncate(have + count);
            self.ended = count == 0;
        }
    }
}
