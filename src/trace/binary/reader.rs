//! Reads the binary form.
//!
//! Contract: none. SDM: none. Counterpart: `writer.rs`.

use super::super::error::TraceError;
use super::super::file::Compression;
use super::super::input::Input;
use super::super::open::{BATCH_REFERENCES, Metadata, TraceFormat, TraceReader};
use super::super::reference::{Counts, MemoryReference, ReferenceKind};
use super::{
    BLOCK_HEADER_BYTES, BLOCK_REFERENCES, BlockCounts, BlockHeader, FLAG_FETCH_IS_INSTRUCTION,
    FLAGS_KNOWN, HEADER_BYTES, KIND_END, KIND_REFERENCES, MAGIC, MAJOR_VERSION,
    PAYLOAD_LIMIT_BYTES, TOTALS_BYTES, Totals, code, source_of, u32_at,
};

/// Bytes behind the operands that a decoder may look at, though not use.
const PADDING_BYTES: usize = 16;

/// A streaming reader of the binary form, in constant memory.
///
/// A reference is handed out only after the checksum of its block was found right.
#[derive(Debug)]
pub struct BinaryReader {
    input: Input,
    metadata: Metadata,
    /// Offset in the trace of what follows the present block.
    offset: u64,
    block: Block,
    totals: Totals,
    blocks_crc: crc32fast::Hasher,
    ended: bool,
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
    pub fn new(mut input: Input) -> Result<Self, TraceError> {
        let mut header = [0; HEADER_BYTES];
        let count = input.fill(&mut header)?;
        let metadata = parse_header(input.file(), &header, count)?;
        Ok(Self {
            input,
            metadata,
            offset: HEADER_BYTES as u64,
            block: Block::default(),
            totals: Totals::default(),
            blocks_crc: crc32fast::Hasher::new(),
            ended: false,
            failed: None,
        })
    }

    fn advance(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        while !self.ended && batch.len() < BATCH_REFERENCES {
            if self.block.is_decoded() {
                self.next_block()?;
                continue;
            }
            let offset = self.block.offset;
            self.block
                .decode(batch)
                .map_err(|problem| self.corrupt(offset, problem))?;
        }
        Ok(())
    }

    /// Reads blocks up to one of references, or to the end.
    fn next_block(&mut self) -> Result<(), TraceError> {
        while !self.ended && self.block.is_decoded() {
            let offset = self.offset;
            let mut bytes = [0; BLOCK_HEADER_BYTES];
            self.read_whole(&mut bytes, "a block header")?;
            let (header, crc) = BlockHeader::from_bytes(&bytes)
                .ok_or_else(|| self.corrupt(offset, "the checksum of a block header is wrong"))?;
            let payload_bytes = header.payload_bytes as usize;
            if payload_bytes > PAYLOAD_LIMIT_BYTES {
                let problem = format!(
                    "a block says that it has {payload_bytes} bytes, more than the {PAYLOAD_LIMIT_BYTES} that one may have"
                );
                return Err(self.corrupt(offset, &problem));
            }
            if header.first_reference != self.totals.counts.total() {
                return Err(self.corrupt(offset, "a block is missing or out of order"));
            }
            // At most PAYLOAD_LIMIT_BYTES, whatever the header said.
            let mut payload = std::mem::take(&mut self.block.payload);
            payload.clear();
            payload.resize(payload_bytes + PADDING_BYTES, 0);
            self.read_whole(&mut payload[..payload_bytes], "the rest of a block")?;
            if crc32fast::hash(&payload[..payload_bytes]) != header.payload_crc {
                return Err(self.corrupt(offset, "the checksum of a block is wrong"));
            }
            self.take_block(offset, &header, crc, payload)?;
        }
        Ok(())
    }

    fn take_block(
        &mut self,
        offset: u64,
        header: &BlockHeader,
        crc: u32,
        payload: Vec<u8>,
    ) -> Result<(), TraceError> {
        match header.kind {
            KIND_REFERENCES => {
                self.block = Block::new(offset, header, payload)
                    .ok_or_else(|| self.corrupt(offset, "a block contradicts its own header"))?;
                let counts = &mut self.totals.counts;
                counts.fetches += u64::from(header.counts.fetches);
                counts.loads += u64::from(header.counts.loads);
                counts.stores += u64::from(header.counts.stores());
            }
            KIND_END => return self.end(offset, header, &payload),
            _ if header.is_optional() => self.block.payload = payload,
            kind => {
                return Err(TraceError::TooNew {
                    file: self.input.file().to_owned(),
                    offset,
                    what: format!("a block of the kind \"{}\"", kind.escape_ascii()),
                });
            }
        }
        self.totals.blocks += 1;
        self.blocks_crc.update(&crc.to_le_bytes());
        Ok(())
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

    fn corrupt(&self, offset: u64, problem: &str) -> TraceError {
        corrupt(self.input.file(), offset, problem)
    }
}

impl TraceReader for BinaryReader {
    fn format(&self) -> TraceFormat {
        TraceFormat::Binary
    }

    fn compression(&self) -> Option<Compression> {
        self.input.compression()
    }

    fn consumed_bytes(&self) -> u64 {
        self.input.consumed_bytes()
    }

    fn metadata(&self) -> Metadata {
        self.metadata
    }

    fn read_batch(&mut self, batch: &mut Vec<MemoryReference>) -> Result<(), TraceError> {
        batch.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Err(error) = self.advance(batch) {
            self.ended = true;
            if batch.is_empty() {
                return Err(error);
            }
            self.failed = Some(error);
        }
        Ok(())
    }
}

impl BlockCounts {
    const fn stores(self) -> u32 {
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

/// Checks a file header of which `count` bytes could be read.
fn parse_header(
    file: &str,
    header: &[u8; HEADER_BYTES],
    count: usize,
) -> Result<Metadata, TraceError> {
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
    Ok(Metadata {
        source: source_of(u32_at(header, 16)),
        fetches_are_instructions: flags & FLAG_FETCH_IS_INSTRUCTION != 0,
    })
}

fn corrupt(file: &str, offset: u64, problem: &str) -> TraceError {
    TraceError::Corrupt {
        file: file.to_owned(),
        offset,
        problem: problem.to_owned(),
    }
}
