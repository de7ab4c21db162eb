//! Writes the binary form.
//!
//! Contract: none. SDM: none. Counterpart: `reader.rs`.

use std::io::{self, Write};

use super::super::open::Metadata;
use super::super::reference::{Counts, MemoryReference, ReferenceKind};
use super::{
    BLOCK_REFERENCES, Bases, BlockCounts, BlockHeader, FLAG_FETCH_IS_INSTRUCTION, HEADER_BYTES,
    KIND_END, KIND_REFERENCES, MAGIC, MAJOR_VERSION, MINOR_VERSION, TOTALS_BYTES, Totals, code,
    source_number,
};

/// Writes references as a binary trace, in one pass and in constant memory.
///
/// Without [`BinaryWriter::finish`] there is no trailer, and what was written is a trace that was cut off.
#[derive(Debug)]
pub struct BinaryWriter<W> {
    sink: W,
    bases: Bases,
    tags: Vec<u8>,
    operands: Vec<u8>,
    counts: BlockCounts,
    totals: Totals,
    blocks_crc: crc32fast::Hasher,
}

impl<W: Write> BinaryWriter<W> {
    /// Begins a trace on `sink`, which should be buffered or take large writes well.
    ///
    /// # Errors
    /// What writing says.
    pub fn new(mut sink: W, metadata: Metadata) -> io::Result<Self> {
        sink.write_all(&file_header(metadata, 0))?;
        Ok(Self {
            sink,
            bases: Bases::default(),
            tags: Vec::with_capacity(BLOCK_REFERENCES),
            operands: Vec::with_capacity(2 * BLOCK_REFERENCES),
            counts: BlockCounts::default(),
            totals: Totals::default(),
            blocks_crc: crc32fast::Hasher::new(),
        })
    }

    /// References written so far.
    pub const fn counts(&self) -> Counts {
        self.totals.counts
    }

    /// Writes the next reference of the program.
    ///
    /// # Errors
    /// What writing says.
    #[inline]
    pub fn push(&mut self, reference: MemoryReference) -> io::Result<()> {
        self.encode(reference);
        if self.tags.len() == BLOCK_REFERENCES {
            self.end_block()?;
        }
        Ok(())
    }

    /// Writes the last block and the trailer, and gives the sink back, not flushed.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(mut self) -> io::Result<(W, Counts)> {
        if !self.tags.is_empty() {
            self.end_block()?;
        }
        self.totals.blocks_crc = self.blocks_crc.clone().finalize();
        self.sink.write_all(&trailer(&self.totals))?;
        Ok((self.sink, self.totals.counts))
    }

    fn encode(&mut self, reference: MemoryReference) {
        let (kind, address) = (reference.kind(), reference.address());
        let size = code::size_nibble(kind, reference.size_bytes());
        let base = match kind {
            ReferenceKind::Fetch => self.bases.fetch,
            ReferenceKind::Load => self.bases.load,
            ReferenceKind::Store => self.bases.store,
        };
        let distance = address.wrapping_sub(base) as i64;
        let mut width = code::width_code(distance);
        let mut head = code::head_nibble(kind, width);
        if kind == ReferenceKind::Store && width > 0 && address == self.bases.load {
            head = code::STORE_WHERE_LOADED;
            width = 0;
        }
        self.tags.push(head << 4 | size);
        self.operands
            .extend_from_slice(&distance.to_le_bytes()[..usize::from(code::WIDTHS[width])]);
        if size == code::SIZE_APART {
            self.operands
                .extend_from_slice(&reference.size_bytes().to_le_bytes());
        }
        self.counts.total += 1;
        match kind {
            ReferenceKind::Fetch => {
                self.bases.fetch = address.wrapping_add(u64::from(reference.size_bytes()));
                self.counts.fetches += 1;
            }
            ReferenceKind::Load => {
                self.bases.load = address;
                self.counts.loads += 1;
            }
            ReferenceKind::Store => self.bases.store = address,
        }
        self.totals.counts.add(kind);
    }

    fn end_block(&mut self) -> io::Result<()> {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.tags);
        crc.update(&self.operands);
        let header = BlockHeader {
            kind: KIND_REFERENCES,
            payload_bytes: (self.tags.len() + self.operands.len()) as u32,
            payload_crc: crc.finalize(),
            counts: self.counts,
            first_reference: self.totals.counts.total() - u64::from(self.counts.total),
        }
        .to_bytes();
        self.sink.write_all(&header)?;
        self.sink.write_all(&self.tags)?;
        self.sink.write_all(&self.operands)?;
        self.blocks_crc.update(&header[36..40]);
        self.totals.blocks += 1;
        self.tags.clear();
        self.operands.clear();
        self.counts = BlockCounts::default();
        self.bases = Bases::default();
        Ok(())
    }
}

/// The header of a file, with further flags.
pub(super) fn file_header(metadata: Metadata, flags: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&MAJOR_VERSION.to_le_bytes());
    header[10..12].copy_from_slice(&MINOR_VERSION.to_le_bytes());
    let instructions = if metadata.fetches_are_instructions {
        FLAG_FETCH_IS_INSTRUCTION
    } else {
        0
    };
    header[12..16].copy_from_slice(&(flags | instructions).to_le_bytes());
    header[16..20].copy_from_slice(&source_number(metadata.source).to_le_bytes());
    // 20..28 stay 0.
    let crc = crc32fast::hash(&header[..28]);
    header[28..32].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The trailer of a file: header and payload.
pub(super) fn trailer(totals: &Totals) -> Vec<u8> {
    let payload = totals.to_bytes();
    let header = BlockHeader {
        kind: KIND_END,
        payload_bytes: TOTALS_BYTES as u32,
        payload_crc: crc32fast::hash(&payload),
        counts: BlockCounts::default(),
        first_reference: totals.counts.total(),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&payload);
    bytes
}
