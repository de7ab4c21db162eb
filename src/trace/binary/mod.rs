//! The binary form of a trace: its layout, and the code of one reference. `docs/traces.md` has it byte by byte.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! A file is a header, blocks, and a trailer; each has a CRC-32 of its own, so that no bit can change unnoticed, and the trailer has the
//! totals and a CRC-32 over those of all blocks, so that none can be missing, doubled or foreign. A block decodes without the ones before
//! it, and its length is bounded, so that a reader needs a fixed amount of memory, whatever a length field says.
//!
//! Room for what is to come: a block has a kind of four letters. A reader skips a kind that it does not know if the first letter is in
//! lower case, and refuses it otherwise. Runs are a kind of block, in files with a flag of their own.

mod blocks;
mod reader;
mod runs;
mod writer;

pub use reader::BinaryReader;
pub use runs::{RunCounts, RunReader, RunWriter, open};
pub use writer::BinaryWriter;

use super::open::TraceFormat;
use super::reference::{Counts, ReferenceKind};

/// The first bytes of every file: one that is not ASCII, the name, and line ends that a transfer as text would change.
pub const MAGIC: [u8; 8] = *b"\x89TWT\r\n\x1a\n";
/// A reader of this version reads every file of the same major version.
const MAJOR_VERSION: u16 = 1;
/// Raised when something is added that a reader of the same major version may skip.
const MINOR_VERSION: u16 = 0;
/// Length of the file header and of a block header.
const HEADER_BYTES: usize = 32;
const BLOCK_HEADER_BYTES: usize = 40;
/// Length of the trailer's payload.
const TOTALS_BYTES: usize = 48;
/// The most references in one block.
const BLOCK_REFERENCES: usize = 1 << 15;
/// The longest code of a reference: tag, eight bytes of distance, two of size.
const REFERENCE_BYTES: usize = 11;
/// The longest payload of a block of any kind.
const PAYLOAD_LIMIT_BYTES: usize = BLOCK_REFERENCES * REFERENCE_BYTES;

/// References, delta-coded.
const KIND_REFERENCES: [u8; 4] = *b"REFS";
/// Runs, delta-coded.
const KIND_RUNS: [u8; 4] = *b"RUNS";
/// The trailer: the totals.
const KIND_END: [u8; 4] = *b"ENDT";

/// File flag: each fetch is one instruction.
const FLAG_FETCH_IS_INSTRUCTION: u32 = 1;
/// File flag: the blocks hold runs in place of references.
const FLAG_RUNS: u32 = 2;
/// Every file flag that this version knows. A file with another is refused: flags change what blocks mean.
const FLAGS_KNOWN: u32 = FLAG_FETCH_IS_INSTRUCTION | FLAG_RUNS;

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockHeader {
    kind: [u8; 4],
    payload_bytes: u32,
    payload_crc: u32,
    /// References in this block; 0 in a block of another kind.
    counts: BlockCounts,
    /// References in all blocks before.
    first_reference: u64,
}

/// References of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct BlockCounts {
    total: u32,
    fetches: u32,
    loads: u32,
}

impl BlockHeader {
    fn to_bytes(self) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.kind);
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.counts.total.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.counts.fetches.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.counts.loads.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_reference.to_le_bytes());
        // 32..36 stay 0.
        let crc = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that `bytes` are, and its checksum; `None` if that is wrong.
    fn from_bytes(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Option<(Self, u32)> {
        let crc = u32_at(bytes, 36);
        if crc32fast::hash(&bytes[..36]) != crc {
            return None;
        }
        let header = Self {
            kind: [bytes[0], bytes[1], bytes[2], bytes[3]],
            payload_bytes: u32_at(bytes, 4),
            payload_crc: u32_at(bytes, 8),
            counts: BlockCounts {
                total: u32_at(bytes, 12),
                fetches: u32_at(bytes, 16),
                loads: u32_at(bytes, 20),
            },
            first_reference: u64_at(bytes, 24),
        };
        Some((header, crc))
    }

    /// Whether a reader that does not know the kind may skip the block.
    const fn is_optional(&self) -> bool {
        self.kind[0].is_ascii_lowercase()
    }
}

/// The totals of a file, as its trailer has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Totals {
    counts: Counts,
    /// Blocks between header and trailer, of any kind.
    blocks: u64,
    /// CRC-32 over the header checksums of all blocks, in order, little-endian.
    blocks_crc: u32,
}

impl Totals {
    fn to_bytes(self) -> [u8; TOTALS_BYTES] {
        let mut bytes = [0; TOTALS_BYTES];
        bytes[0..8].copy_from_slice(&self.counts.total().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.counts.fetches.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.counts.loads.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.counts.stores.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.blocks_crc.to_le_bytes());
        bytes
    }
}

/// The number at `at`, little-endian. The caller's arrays are long enough.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The number at `at`, little-endian. The caller's arrays are long enough.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// The number of a source format in the file header; 0 is unknown.
fn source_number(source: Option<TraceFormat>) -> u32 {
    source.map_or(0, TraceFormat::number)
}

/// The source format of a number. One that is not known is as good as none.
fn source_of(number: u32) -> Option<TraceFormat> {
    TraceFormat::from_number(number)
}

/// The code of a reference: a tag of one byte, and an operand of 0 to 10 bytes.
///
/// The tag's high nibble is kind and width of the distance, `5 * kind + width`, or [`STORE_WHERE_LOADED`]; its low nibble the size.
mod code {
    use super::ReferenceKind;

    /// Bytes of a distance, by its code.
    pub const WIDTHS: [u8; 5] = [0, 1, 2, 5, 8];
    /// High nibble: a store at the address of the last load, without a distance. The second half of each modify is one.
    pub const STORE_WHERE_LOADED: u8 = 15;
    /// Low nibble: the size stands in two bytes behind the distance.
    pub const SIZE_APART: u8 = 0;
    /// Sizes of data by the low nibble; of an instruction the nibble is the size.
    pub const DATA_SIZES: [u16; 13] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 6, 10];

    /// The low nibble for a size.
    pub fn size_nibble(kind: ReferenceKind, size_bytes: u16) -> u8 {
        let nibble = match kind {
            ReferenceKind::Fetch => (size_bytes < 16).then_some(size_bytes as usize),
            _ => DATA_SIZES.iter().position(|&size| size == size_bytes),
        };
        nibble.map_or(SIZE_APART, |nibble| nibble as u8)
    }

    /// The code of the least width that holds `distance`.
    pub fn width_code(distance: i64) -> usize {
        WIDTHS
            .iter()
            .position(|&bytes| {
                let unused = 64 - 8 * u32::from(bytes);
                match unused {
                    64 => distance == 0,
                    _ => distance << unused >> unused == distance,
                }
            })
            .unwrap_or(WIDTHS.len() - 1)
    }

    /// The high nibble for a kind and a width code.
    pub fn head_nibble(kind: ReferenceKind, width: usize) -> u8 {
        (WIDTHS.len() * kind as usize + width) as u8
    }
}

/// Where the distances of a block count from: each block begins with zeroes.
#[derive(Debug, Clone, Copy, Default)]
struct Bases {
    /// The end of the last fetch.
    fetch: u64,
    /// The address of the last load.
    load: u64,
    /// The address of the last store.
    store: u64,
}

#[cfg(test)]
mod tests;
