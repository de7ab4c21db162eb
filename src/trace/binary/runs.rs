//! Runs in the binary form: a file in which they stand in place of the references. `docs/traces.md` has it byte by byte.
//!
//! Contract: none. SDM: none. Counterpart: none; writer and reader stand here side by side.
//!
//! The payload of a block is the number of its runs and that of its references that cross a page, then three columns of a byte a run (tag,
//! fetches, data references), then the operands of all runs one after the other.

use std::io::{self, Write};

use super::super::error::TraceError;
use super::super::file::Compression;
use super::super::input::Input;
use super::super::open::Metadata;
use super::super::reference::{Counts, MemoryReference, ReferenceKind};
use super::super::runs::{Run, RunBuilder};
use super::blocks::Blocks;
use super::writer::{file_header, trailer};
use super::{BlockCounts, BlockHeader, FLAG_RUNS, KIND_RUNS, Totals, code, u32_at};

/// The most runs of a block. A reference adds two at most, and the end one more.
const BLOCK_RUNS: usize = 1 << 15;
const FULL_RUNS: usize = BLOCK_RUNS - 4;
/// The most references of a block, so that no count of it overflows.
const BLOCK_REFERENCES: u32 = 1 << 30;
/// Bytes of a payload before the columns.
const COUNTS_BYTES: usize = 8;
/// The longest code of a run: a byte of each column, eight of distance, four of each count.
const RUN_BYTES: usize = 3 + 8 + 4 + 4;
const LIMIT_BYTES: usize = COUNTS_BYTES + BLOCK_RUNS * RUN_BYTES;
/// In a column of counts: the count stands among the operands.
const COUNT_APART: u8 = 255;
/// Bytes behind the operands that a decoder may look at, though not use.
const PADDING_BYTES: usize = 16;
/// Page numbers have so many bits.
const PAGE_BITS: u32 = 52;

/// Writes references as a file of runs, in one pass and in constant memory.
///
/// Without [`RunWriter::finish`] there is no trailer, and what was written is a trace that was cut off.
#[derive(Debug)]
pub struct RunWriter<W> {
    sink: W,
    builder: RunBuilder,
    runs: Vec<Run>,
    counts: BlockCounts,
    crossings: u32,
    totals: Totals,
    blocks_crc: crc32fast::Hasher,
    /// Runs in all blocks that were written.
    written: u64,
}

impl<W: Write> RunWriter<W> {
    /// Begins a trace on `sink`, which should be buffered or take large writes well.
    ///
    /// # Errors
    /// What writing says.
    pub fn new(mut sink: W, metadata: Metadata) -> io::Result<Self> {
        sink.write_all(&file_header(metadata, FLAG_RUNS))?;
        Ok(Self {
            sink,
            builder: RunBuilder::new(),
            runs: Vec::with_capacity(BLOCK_RUNS),
            counts: BlockCounts::default(),
            crossings: 0,
            totals: Totals::default(),
            blocks_crc: crc32fast::Hasher::new(),
            written: 0,
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
        let kind = reference.kind();
        self.counts.total += 1;
        self.counts.fetches += u32::from(kind == ReferenceKind::Fetch);
        self.counts.loads += u32::from(kind == ReferenceKind::Load);
        self.crossings += u32::from(reference.crosses_page());
        self.totals.counts.add(kind);
        let runs = &mut self.runs;
        self.builder.push(reference, &mut |run| runs.push(run));
        if self.runs.len() >= FULL_RUNS || self.counts.total >= BLOCK_REFERENCES {
            let runs = &mut self.runs;
            self.builder.cut(&mut |run| runs.push(run));
            self.end_block()?;
        }
        Ok(())
    }

    /// Writes the last block and the trailer, and gives the sink back, not flushed; and the number of runs.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(mut self) -> io::Result<(W, Counts, u64)> {
        let runs = &mut self.runs;
        std::mem::take(&mut self.builder).finish(&mut |run| runs.push(run));
        if !self.runs.is_empty() {
            self.end_block()?;
        }
        self.totals.blocks_crc = self.blocks_crc.clone().finalize();
        self.sink.write_all(&trailer(&self.totals))?;
        Ok((self.sink, self.totals.counts, self.written))
    }

    fn end_block(&mut self) -> io::Result<()> {
        let payload = encode(&self.runs, self.crossings);
        let header = BlockHeader {
            kind: KIND_RUNS,
            payload_bytes: payload.len() as u32,
            payload_crc: crc32fast::hash(&payload),
            counts: self.counts,
            first_reference: self.totals.counts.total() - u64::from(self.counts.total),
        }
        .to_bytes();
        self.sink.write_all(&header)?;
        self.sink.write_all(&payload)?;
        self.blocks_crc.update(&header[36..40]);
        self.totals.blocks += 1;
        self.written += self.runs.len() as u64;
        self.runs.clear();
        self.counts = BlockCounts::default();
        self.crossings = 0;
        Ok(())
    }
}

fn encode(runs: &[Run], crossings: u32) -> Vec<u8> {
    let count = runs.len();
    let mut payload = vec![0; COUNTS_BYTES + 3 * count];
    payload[0..4].copy_from_slice(&(count as u32).to_le_bytes());
    payload[4..8].copy_from_slice(&crossings.to_le_bytes());
    let mut pages = [0u64; 2];
    for (number, run) in runs.iter().enumerate() {
        let page = &mut pages[usize::from(run.kind() != ReferenceKind::Fetch)];
        let distance = run.page().wrapping_sub(*page) as i64;
        *page = run.page();
        let width = code::width_code(distance);
        payload[COUNTS_BYTES + number] = code::head_nibble(run.kind(), width) << 4;
        payload.extend_from_slice(&distance.to_le_bytes()[..usize::from(code::WIDTHS[width])]);
        for (column, translations) in [(1, run.fetches()), (2, run.data())] {
            let apart = translations >= u32::from(COUNT_APART);
            payload[COUNTS_BYTES + column * count + number] = if apart {
                COUNT_APART
            } else {
                translations as u8
            };
            if apart {
                payload.extend_from_slice(&translations.to_le_bytes());
            }
        }
    }
    payload
}

/// A streaming reader of a file of runs, in constant memory.
///
/// A run is handed out only after the checksum of its block was found right.
#[derive(Debug)]
pub struct RunReader {
    blocks: Blocks,
    payload: Vec<u8>,
    /// Streams that have begun.
    begun: [bool; 2],
    /// The last run is one of a single reference, as that of a trace must be.
    single: bool,
}

/// What the header of a block of runs says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// References by kind, before the split at pages.
    pub references: Counts,
    /// Those that cross a page: two translations each.
    pub crossings: u64,
}

impl RunReader {
    pub(super) const fn new(blocks: Blocks) -> Self {
        Self {
            blocks,
            payload: Vec::new(),
            begun: [false; 2],
            single: true,
        }
    }

    /// What is known about the trace as a whole.
    pub const fn metadata(&self) -> Metadata {
        self.blocks.metadata
    }

    /// How the file is compressed, if it is.
    pub fn compression(&self) -> Option<Compression> {
        self.blocks.input.compression()
    }

    /// Bytes of the file consumed so far (compressed ones).
    pub fn consumed_bytes(&self) -> u64 {
        self.blocks.input.consumed_bytes()
    }

    /// Replaces what is in `runs` by those of the next block: what it counts. Empty afterwards: the trace is over, and has been found whole.
    ///
    /// # Errors
    /// What is wrong with the trace. It is then over.
    pub fn read_block(&mut self, runs: &mut Vec<Run>) -> Result<RunCounts, TraceError> {
        runs.clear();
        let found = self
            .blocks
            .next(KIND_RUNS, LIMIT_BYTES, PADDING_BYTES, &mut self.payload)?;
        let Some((offset, header)) = found else {
            if !self.single {
                let problem = "the last reference of the trace does not stand alone";
                return Err(self.blocks.corrupt(0, problem));
            }
            return Ok(RunCounts::default());
        };
        let counts = self.decode(&header, runs);
        counts.map_err(|problem| {
            runs.clear();
            self.blocks.ended = true;
            self.blocks.corrupt(offset, problem)
        })
    }

    fn decode(
        &mut self,
        header: &BlockHeader,
        runs: &mut Vec<Run>,
    ) -> Result<RunCounts, &'static str> {
        const SHORT: &str = "a block contradicts its own header";
        const MISCODED: &str = "a run is coded in a way that does not exist";
        let bytes = header.payload_bytes as usize;
        if bytes < COUNTS_BYTES {
            return Err(SHORT);
        }
        let count = u32_at(&self.payload, 0) as usize;
        let crossings = u32_at(&self.payload, 4);
        if count == 0 || count > BLOCK_RUNS || COUNTS_BYTES + 3 * count > bytes {
            return Err(SHORT);
        }
        let (columns, operands) = self.payload[COUNTS_BYTES..].split_at(3 * count);
        let (tags, counts) = columns.split_at(count);
        let (fetches, data) = counts.split_at(count);
        let operand_bytes = bytes - COUNTS_BYTES - 3 * count;
        let mut operand = 0;
        let mut pages = [0u64; 2];
        let mut sums = [0u64; 2];
        runs.reserve(count);
        for ((tag, fetches), data) in tags.iter().zip(fetches).zip(data) {
            let head = &HEADS[usize::from(*tag)];
            let raw = operands.get(operand..).and_then(<[u8]>::first_chunk);
            let raw = u64::from_le_bytes(*raw.ok_or(MISCODED)?) & head.mask;
            // The operand's sign is its top bit: this extends it.
            let distance = (raw ^ head.sign).wrapping_sub(head.sign);
            operand += usize::from(head.width_bytes);
            let stream = usize::from(head.kind != ReferenceKind::Fetch);
            let page = pages[stream].wrapping_add(distance);
            pages[stream] = page;
            self.begun[stream] = true;
            let mut translations = [u32::from(*fetches), u32::from(*data)];
            for translations in &mut translations {
                if *translations == u32::from(COUNT_APART) {
                    let bytes = operands.get(operand..).and_then(<[u8]>::first_chunk);
                    *translations = u32::from_le_bytes(*bytes.ok_or(MISCODED)?);
                    operand += 4;
                }
            }
            let [fetches, data] = translations;
            let stays = (fetches == 0 || self.begun[0]) && (data == 0 || self.begun[1]);
            let run = Run::new(head.kind, page, fetches, data);
            if page >> PAGE_BITS != 0 || !head.exists || !stays {
                return Err(MISCODED);
            }
            runs.push(run.ok_or(MISCODED)?);
            sums[0] += u64::from(fetches);
            sums[1] += u64::from(data);
        }
        let total = header.counts.total;
        let named = u64::from(header.counts.fetches) + u64::from(header.counts.loads);
        if operand != operand_bytes
            || named > u64::from(total)
            || sums[0] + sums[1] != u64::from(total) + u64::from(crossings)
            || sums[0] < u64::from(header.counts.fetches)
            || sums[1] < u64::from(total - header.counts.fetches)
        {
            return Err("a block has not what its header says");
        }
        self.single = runs.last().is_none_or(|run| run.translations() == 1);
        Ok(RunCounts {
            references: Counts {
                fetches: u64::from(header.counts.fetches),
                loads: u64::from(header.counts.loads),
                stores: u64::from(header.counts.stores()),
            },
            crossings: u64::from(crossings),
        })
    }
}

/// What a tag means.
#[derive(Debug, Clone, Copy)]
struct Head {
    mask: u64,
    sign: u64,
    width_bytes: u8,
    kind: ReferenceKind,
    exists: bool,
}

static HEADS: [Head; 256] = {
    let mut heads = [head(0); 256];
    let mut tag = 0;
    while tag < 256 {
        heads[tag] = head(tag as u8);
        tag += 1;
    }
    heads
};

const fn head(tag: u8) -> Head {
    let widths = code::WIDTHS.len() as u8;
    let number = tag >> 4;
    let exists = tag & 15 == 0 && number < 3 * widths;
    let kind = ReferenceKind::ALL[if exists { number / widths } else { 0 } as usize];
    let width_bytes = code::WIDTHS[(number % widths) as usize];
    let (mask, sign) = match width_bytes {
        0 => (0, 0),
        bytes => (
            u64::MAX >> (64 - 8 * bytes as u32),
            1 << (8 * bytes as u32 - 1),
        ),
    };
    Head {
        mask,
        sign,
        width_bytes,
        kind,
        exists,
    }
}

/// A reader of either kind of binary file.
///
/// # Errors
/// As [`super::BinaryReader::new`], but of runs.
pub fn open(input: Input) -> Result<Result<super::BinaryReader, RunReader>, TraceError> {
    let blocks = Blocks::new(input)?;
    if blocks.has_runs {
        return Ok(Err(RunReader::new(blocks)));
    }
    super::BinaryReader::of_blocks(blocks).map(Ok)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn write(references: &[MemoryReference]) -> Vec<u8> {
        let metadata = Metadata {
            source: None,
            fetches_are_instructions: true,
        };
        let mut writer = RunWriter::new(Vec::new(), metadata).expect("writes to memory");
        for reference in references {
            writer.push(*reference).expect("writes to memory");
        }
        writer.finish().expect("writes to memory").0
    }

    fn read(bytes: &[u8]) -> Result<(Vec<Run>, Counts, u64), TraceError> {
        let input = Input::new("t", Cursor::new(bytes.to_vec()), None)?;
        let Err(mut reader) = open(input)? else {
            return Ok(Default::default());
        };
        let (mut all, mut runs) = (Vec::new(), Vec::new());
        let (mut counts, mut crossings) = (Counts::default(), 0);
        loop {
            let block = reader.read_block(&mut runs)?;
            if runs.is_empty() {
                return Ok((all, counts, crossings));
            }
            all.append(&mut runs);
            counts.fetches += block.references.fetches;
            counts.loads += block.references.loads;
            counts.stores += block.references.stores;
            crossings += block.crossings;
        }
    }

    fn runs_of(references: &[MemoryReference]) -> Vec<Run> {
        let (mut builder, mut runs) = (RunBuilder::new(), Vec::new());
        for reference in references {
            builder.push(*reference, &mut |run| runs.push(run));
        }
        builder.finish(&mut |run| runs.push(run));
        runs
    }

    fn references() -> impl Strategy<Value = Vec<MemoryReference>> {
        let address = prop_oneof![
            any::<u64>(),
            0u64..1 << 14,
            (1u64 << 47)..(1 << 47) + (1 << 20)
        ];
        let one = (
            prop::sample::select(ReferenceKind::ALL.to_vec()),
            address,
            1u16..=4096,
            1usize..400,
        );
        prop::collection::vec(one, 0..20).prop_map(|drawn| {
            let drawn = drawn.into_iter().flat_map(|(kind, address, size, times)| {
                std::iter::repeat_n(MemoryReference::new(kind, address, size), times)
            });
            drawn.flatten().collect()
        })
    }

    proptest! {
        #[test]
        fn the_runs_that_are_read_are_those_of_the_references(references in references()) {
            let (runs, counts, crossings) = read(&write(&references)).expect("it is whole");
            prop_assert_eq!(runs, runs_of(&references));
            let mut expected = Counts::default();
            references.iter().for_each(|reference| expected.add(reference.kind()));
            prop_assert_eq!(counts, expected);
            let crossing = references.iter().filter(|reference| reference.crosses_page());
            prop_assert_eq!(crossings, crossing.count() as u64);
        }

        #[test]
        fn a_flipped_bit_never_passes(references in references(), at in any::<prop::sample::Index>(), bit in 0u32..8) {
            let mut bytes = write(&references);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes).is_err());
        }

        /// Behind right checksums, too.
        #[test]
        fn no_payload_whatever_makes_the_reader_panic(payload in prop::collection::vec(any::<u8>(), 0..60), small in any::<bool>()) {
            let mut payload = payload;
            if small && payload.len() >= 8 {
                payload[..8].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
            }
            let header = BlockHeader {
                kind: KIND_RUNS,
                payload_bytes: payload.len() as u32,
                payload_crc: crc32fast::hash(&payload),
                counts: BlockCounts { total: 2, fetches: 1, loads: 1 },
                first_reference: 0,
            };
            let metadata = Metadata { source: None, fetches_are_instructions: false };
            let mut bytes = file_header(metadata, FLAG_RUNS).to_vec();
            bytes.extend_from_slice(&header.to_bytes());
            bytes.extend_from_slice(&payload);
            prop_assert!(read(&bytes).is_err());
        }
    }

    #[test]
    fn a_trace_of_many_blocks_is_read_whole() {
        let references: Vec<_> = (0..100_000u64)
            .filter_map(|number| MemoryReference::new(ReferenceKind::Load, number << 12, 8))
            .collect();
        let (runs, counts, _) = read(&write(&references)).expect("it is whole");
        assert_eq!((runs.len(), counts.loads), (100_000, 100_000));
    }
}
