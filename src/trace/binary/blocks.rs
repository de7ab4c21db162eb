//! The blocks of a binary file, whatever they hold: headers, checksums, running count and trailer.
//!
//! Contract: none. SDM: none. Counterpart: `writer.rs` and `runs.rs` write them.

use super::super::error::TraceError;
use super::super::input::Input;
use super::super::open::Metadata;
use super::{
    BLOCK_HEADER_BYTES, BlockHeader, FLAG_FETCH_IS_INSTRUCTION, FLAG_RUNS, FLAGS_KNOWN,
    HEADER_BYTES, KIND_END, MAGIC, MAJOR_VERSION, TOTALS_BYTES, Totals, source_of, u32_at,
};

/// A file from its first block on.
#[derive(Debug)]
pub(super) struct Blocks {
    pub input: Input,
    pub metadata: Metadata,
    /// The file has runs in place of references.
    pub has_runs: bool,
    /// Offset in the trace of what follows the present block.
    offset: u64,
    totals: Totals,
    blocks_crc: crc32fast::Hasher,
    pub ended: bool,
}

impl Blocks {
    /// The blocks behind the file header at which `input` stands.
    ///
    /// # Errors
    /// [`TraceError::Truncated`], [`TraceError::Corrupt`], [`TraceError::TooNew`], and what reading says.
    pub fn new(mut input: Input) -> Result<Self, TraceError> {
        let mut header = [0; HEADER_BYTES];
        let count = input.fill(&mut header)?;
        let (metadata, has_runs) = parse_header(input.file(), &header, count)?;
        Ok(Self {
            input,
            metadata,
            has_runs,
            offset: HEADER_BYTES as u64,
            totals: Totals::default(),
            blocks_crc: crc32fast::Hasher::new(),
            ended: false,
        })
    }

    /// The next block of that kind: its offset, its header, and its payload, whose checksum is right, with `padding` bytes of 0 behind it.
    /// None at the end, once the trailer has been found right.
    ///
    /// # Errors
    /// As [`Blocks::new`].
    pub fn next(
        &mut self,
        kind: [u8; 4],
        limit_bytes: usize,
        padding: usize,
        payload: &mut Vec<u8>,
    ) -> Result<Option<(u64, BlockHeader)>, TraceError> {
        while !self.ended {
            let offset = self.offset;
            let mut bytes = [0; BLOCK_HEADER_BYTES];
            self.read_whole(&mut bytes, "a block header")?;
            let (header, crc) = BlockHeader::from_bytes(&bytes)
                .ok_or_else(|| self.corrupt(offset, "the checksum of a block header is wrong"))?;
            let payload_bytes = header.payload_bytes as usize;
            if payload_bytes > limit_bytes {
                let problem = format!(
                    "a block says that it has {payload_bytes} bytes, more than the {limit_bytes} that one may have"
                );
                return Err(self.corrupt(offset, &problem));
            }
            if header.first_reference != self.totals.counts.total() {
                return Err(self.corrupt(offset, "a block is missing or out of order"));
            }
            // At most the limit, whatever the header said.
            payload.clear();
            payload.resize(payload_bytes + padding, 0);
            self.read_whole(&mut payload[..payload_bytes], "the rest of a block")?;
            if crc32fast::hash(&payload[..payload_bytes]) != header.payload_crc {
                return Err(self.corrupt(offset, "the checksum of a block is wrong"));
            }
            if header.kind == KIND_END {
                self.end(offset, &header, payload)?;
                continue;
            }
            if header.kind != kind && !header.is_optional() {
                return Err(TraceError::TooNew {
                    file: self.input.file().to_owned(),
                    offset,
                    what: format!("a block of the kind \"{}\"", header.kind.escape_ascii()),
                });
            }
            self.totals.blocks += 1;
            self.blocks_crc.update(&crc.to_le_bytes());
            if header.kind == kind {
                let counts = &mut self.totals.counts;
                counts.fetches += u64::from(header.counts.fetches);
                counts.loads += u64::from(header.counts.loads);
                counts.stores += u64::from(header.counts.stores());
                return Ok(Some((offset, header)));
            }
        }
        Ok(None)
    }

    /// Checks the trailer, and that nothing follows.
    fn end(&mut self, offset: u64, header: &BlockHeader, payload: &[u8]) -> Result<(), TraceError> {
        self.totals.blocks_crc = self.blocks_crc.clone().finalize();
        let expected = self.totals.to_bytes();
        if header.payload_bytes as usize != TOTALS_BYTES || payload[..TOTALS_BYTES] != expected {
            return Err(self.corrupt(
                offset,
                "the totals do not agree with the blocks before them",
            ));
        }
        if self.input.fill(&mut [0])? > 0 {
            return Err(self.corrupt(self.offset, "something follows the end of the trace"));
        }
        self.ended = true;
        Ok(())
    }

    fn read_whole(&mut self, bytes: &mut [u8], what: &'static str) -> Result<(), TraceError> {
        let count = self.input.fill(bytes)?;
        self.offset += count as u64;
        if count < bytes.len() {
            return Err(TraceError::Truncated {
                file: self.input.file().to_owned(),
                offset: self.offset,
                expected: what,
            });
        }
        Ok(())
    }

    pub fn corrupt(&self, offset: u64, problem: &str) -> TraceError {
        corrupt(self.input.file(), offset, problem)
    }
}

/// Checks a file header of which `count` bytes could be read: what is known of the trace, and whether it has runs.
fn parse_header(
    file: &str,
    header: &[u8; HEADER_BYTES],
    count: usize,
) -> Result<(Metadata, bool), TraceError> {
    if !MAGIC.starts_with(&header[..count.min(MAGIC.len())]) {
        return Err(corrupt(
            file,
            0,
            "not a binary trace: its first bytes are others",
        ));
    }
    if count < HEADER_BYTES {
        return Err(TraceError::Truncated {
            file: file.to_owned(),
            offset: count as u64,
            expected: "the rest of the file header",
        });
    }
    if crc32fast::hash(&header[..28]) != u32_at(header, 28) {
        return Err(corrupt(file, 0, "the checksum of the file header is wrong"));
    }
    let too_new = |offset, what| TraceError::TooNew {
        file: file.to_owned(),
        offset,
        what,
    };
    let major = u16::from_le_bytes([header[8], header[9]]);
    if major != MAJOR_VERSION {
        return Err(too_new(8, format!("version {major} of the binary form")));
    }
    let flags = u32_at(header, 12);
    if flags & !FLAGS_KNOWN != 0 {
        return Err(too_new(12, format!("a file with the flags {flags:#x}")));
    }
    let metadata = Metadata {
        source: source_of(u32_at(header, 16)),
        fetches_are_instructions: flags & FLAG_FETCH_IS_INSTRUCTION != 0,
    };
    Ok((metadata, flags & FLAG_RUNS != 0))
}

fn corrupt(file: &str, offset: u64, problem: &str) -> TraceError {
    TraceError::Corrupt {
        file: file.to_owned(),
        offset,
        problem: problem.to_owned(),
    }
}
