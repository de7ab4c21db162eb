//! Reads the binary form.
//!
//! Contract: none. SDM: none. Counterpart: `writer.rs`.

use super::super::error::TraceError;
use super::super::file::Compression;
use super::super::input::Input;
use super::super::open::{BATCH_REFERENCES, Metadata, TraceFormat, TraceReader};
use super::super::reference::{Counts, MemoryReference, ReferenceKind};
use super::blocks::Blocks;
use super::{
    BLOCK_REFERENCES, BlockCounts, BlockHeader, KIND_REFERENCES, PAYLOAD_LIMIT_BYTES, code,
};

/// Bytes behind the operands that a decoder may look at, though not use.
const PADDING_BYTES: usize = 16;

/// A streaming reader of the binary form, in constant memory.
///
/// A reference is handed out only after the checksum of its block was found right.
#[derive(Debug)]
pub struct BinaryReader {
    blocks: Blocks,
    block: Block,
    failed: Option<TraceError>,
}

/// A block whose checksums are right, and how far it is decoded.
#[derive(Debug, Default)]
struct Block {
    /// Offset in the trace of its header.
    offset: u64,
    /// What the header promises.
    promised: BlockCounts,
    /// What was found so far.
    found: Counts,
    /// Tags, operands, padding.
    payload: Vec<u8>,
    /// Operand bytes in all, and used.
    operand_bytes: usize,
    operand: usize,
    /// Tags used.
    tag: usize,
    bases: [u64; 3],
}

impl BinaryReader {
    /// A reader of `input`, which stands at the first byte of the file header.
    ///
    /// # Errors
    /// [`TraceError::Truncated`], [`TraceError::Corrupt`], [`TraceError::TooNew`], and what reading says.
    /// [`TraceError::Runs`]: the file has runs; [`super::RunReader`] reads them.
    pub fn new(input: Input) -> Result<Self, TraceError> {
        Self::of_blocks(Blocks::new(input)?)
    }

    /// A reader of `blocks`, which stand at the first.
    ///
    /// # Errors
    /// [`TraceError::Runs`].
    pub(super) fn of_blocks(blocks: Blocks) -> Result<Self, TraceError> {
        if blocks.has_runs {
            return Err(TraceError::Runs {
                file: blocks.input.file().to_owned(),
            });
        }
        Ok(Self {
            blocks,
            block: Block::default(),
            failed: None,
        })
    }

    fn advance(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        while !self.blocks.ended && batch.len() < BATCH_REFERENCES {
            if self.block.is_decoded() {
                self.next_block()?;
                continue;
            }
            let offset = self.block.offset;
            self.block
                .decode(batch)
                .map_err(|problem| self.blocks.corrupt(offset, problem))?;
        }
        Ok(())
    }

    /// Reads blocks up to one of references, or to the end.
    fn next_block(&mut self) -> Result<(), TraceError> {
        let mut payload = std::mem::take(&mut self.block.payload);
        let found = self.blocks.next(
            KIND_REFERENCES,
            PAYLOAD_LIMIT_BYTES,
            PADDING_BYTES,
            &mut payload,
        )?;
        if let Some((offset, header)) = found {
            self.block = Block::new(offset, &header, payload).ok_or_else(|| {
                self.blocks
                    .corrupt(offset, "a block contradicts its own header")
            })?;
        }
        Ok(())
    }
}

impl TraceReader for BinaryReader {
    fn format(&self) -> TraceFormat {
        TraceFormat::Binary
    }

    fn compression(&self) -> Option<Compression> {
        self.blocks.input.compression()
    }

    fn consumed_bytes(&self) -> u64 {
        self.blocks.input.consumed_bytes()
    }

    fn metadata(&self) -> Metadata {
        self.blocks.metadata
    }

    fn read_batch(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        batch.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Err(error) = self.advance(batch) {
            self.blocks.ended = true;
            if batch.is_empty() {
                return Err(error);
            }
            self.failed = Some(error);
        }
        Ok(())
    }
}

impl BlockCounts {
    pub(super) const fn stores(self) -> u32 {
        self.total
            .saturating_sub(self.fetches)
            .saturating_sub(self.loads)
    }
}

impl Block {
    /// The block of references in `payload`, padding included; `None` if the header's numbers cannot be.
    fn new(offset: u64, header: &BlockHeader, payload: Vec<u8>) -> Option<Self> {
        let counts = header.counts;
        let total = counts.total as usize;
        let named = u64::from(counts.fetches) + u64::from(counts.loads);
        if total == 0 || total > BLOCK_REFERENCES || named > u64::from(counts.total) {
            return None;
        }
        Some(Self {
            offset,
            promised: counts,
            operand_bytes: (header.payload_bytes as usize).checked_sub(total)?,
            payload,
            ..Self::default()
        })
    }

    const fn is_decoded(&self) -> bool {
        self.tag == self.promised.total as usize
    }

    /// Decodes references into `batch` until it is full or the block is at its end.
    fn decode(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), &'static str> {
        const MISCODED: &str = "a reference is coded in a way that does not exist";
        let (tags, operands) = self.payload.split_at(self.promised.total as usize);
        let room = BATCH_REFERENCES - batch.len();
        let end = tags.len().min(self.tag + room);
        let mut bases = self.bases;
        let mut operand = self.operand;
        let mut found = [0; 3];
        batch.reserve(end - self.tag);
        for &tag in &tags[self.tag..end] {
            let row = &TAGS[usize::from(tag)];
            let bytes = operands.get(operand..).and_then(<[u8]>::first_chunk);
            let raw = u64::from_le_bytes(*bytes.ok_or(MISCODED)?) & row.mask;
            // The operand's sign is its top bit: this extends it.
            let distance = (raw ^ row.sign).wrapping_sub(row.sign);
            operand += usize::from(row.width_bytes);
            let mut size_bytes = row.size_bytes;
            if size_bytes == 0 {
                let bytes = operands.get(operand..).and_then(<[u8]>::first_chunk);
                size_bytes = u16::from_le_bytes(*bytes.ok_or(MISCODED)?);
                operand += 2;
            }
            let address = bases[row.kind_of_base as usize].wrapping_add(distance);
            bases[row.kind as usize] =
                address.wrapping_add(u64::from(size_bytes & row.advance_mask));
            found[row.kind as usize] += 1;
            batch.push(MemoryReference::new(row.kind, address, size_bytes).ok_or(MISCODED)?);
        }
        self.bases = bases;
        self.operand = operand;
        self.tag = end;
        self.found.fetches += found[0];
        self.found.loads += found[1];
        self.found.stores += found[2];
        if self.is_decoded() {
            self.check_end()?;
        }
        Ok(())
    }

    /// Checks that exactly what the header promised was there.
    fn check_end(&self) -> Result<(), &'static str> {
        let promised = Counts {
            fetches: u64::from(self.promised.fetches),
            loads: u64::from(self.promised.loads),
            stores: u64::from(self.promised.stores()),
        };
        if self.operand != self.operand_bytes || self.found != promised {
            return Err("a block has not what its header says");
        }
        Ok(())
    }
}

/// What a tag means.
#[derive(Debug, Clone, Copy)]
struct TagRow {
    /// The bytes of the distance, and its top bit.
    mask: u64,
    sign: u64,
    /// 0: stands apart. Out of range, so that no reference comes of it: there is no such tag.
    size_bytes: u16,
    /// All ones for a fetch: the next one is expected behind it.
    advance_mask: u16,
    width_bytes: u8,
    kind: ReferenceKind,
    kind_of_base: ReferenceKind,
}

static TAGS: [TagRow; 256] = {
    let mut rows = [tag_row(0); 256];
    let mut tag = 0;
    while tag < 256 {
        rows[tag] = tag_row(tag as u8);
        tag += 1;
    }
    rows
};

const fn tag_row(tag: u8) -> TagRow {
    const NONE: u16 = u16::MAX;
    let (head, nibble) = (tag >> 4, (tag & 15) as usize);
    let widths = code::WIDTHS.len() as u8;
    let (kind, kind_of_base, width_bytes) = if head == code::STORE_WHERE_LOADED {
        (ReferenceKind::Store, ReferenceKind::Load, 0)
    } else {
        let kind = ReferenceKind::ALL[(head / widths) as usize];
        (kind, kind, code::WIDTHS[(head % widths) as usize])
    };
    let size_bytes = match kind {
        ReferenceKind::Fetch => nibble as u16,
        _ if nibble < code::DATA_SIZES.len() => code::DATA_SIZES[nibble],
        _ => NONE,
    };
    let (mask, sign) = match width_bytes {
        0 => (0, 0),
        bytes => (
            u64::MAX >> (64 - 8 * bytes as u32),
            1 << (8 * bytes as u32 - 1),
        ),
    };
    TagRow {
        mask,
        sign,
        size_bytes,
        advance_mask: match kind {
            ReferenceKind::Fetch => u16::MAX,
            _ => 0,
        },
        width_bytes,
        kind,
        kind_of_base,
    }
}
