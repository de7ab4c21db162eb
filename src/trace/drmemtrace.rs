//! DynamoRIO's drmemtrace, offline traces as they are post-processed: records of 12 bytes (type, size, address).
//!
//! Contract: none. SDM: none. Counterpart: `drmemtrace_text.rs`, the same trace as text. `docs/traces.md` has the record and its types.

use super::error::TraceError;
use super::open::TraceFormat;
use super::reference::{MemoryReference, ReferenceKind};
use super::source::{MOST_PER_STEP, Parser, Source};

const RECORD_BYTES: usize = 12;
/// Versions of the records that are read.
const VERSIONS: std::ops::RangeInclusive<u64> = 2..=6;
/// The longest transfer that is taken for one (the state of AMX has some 11 KiB); what is longer is no size.
const LONGEST_BYTES: u16 = 16 << 10;

/// `trace_type_t`, as far as it matters here.
mod kind {
    pub const READ: u16 = 0;
    pub const WRITE: u16 = 1;
    /// Software prefetches: 2 to 9.
    pub const PREFETCH_LAST: u16 = 9;
    /// Instructions by kind: 10 to 16.
    pub const INSTRUCTION: u16 = 10;
    pub const INSTRUCTION_LAST: u16 = 16;
    pub const HEADER: u16 = 25;
    pub const FOOTER: u16 = 26;
    pub const MARKER: u16 = 28;
    pub const NO_FETCH: u16 = 29;
    pub const MAYBE_FETCH: u16 = 30;
    pub const SYSENTER: u16 = 31;
    pub const TAKEN_JUMP: u16 = 48;
    pub const UNTAKEN_JUMP: u16 = 49;
    /// Several instructions in one record; in traces that are not stored.
    pub const BUNDLE: u16 = 17;
    /// The highest that is known: what is not named above says nothing about memory.
    pub const LAST: u16 = 49;
}

/// `trace_marker_type_t` of the marker that says what kind of trace it is.
const MARKER_FILE_TYPE: u16 = 9;

/// Whether `start` begins as a trace does: a header record with a version.
pub(super) fn recognise(start: &[u8]) -> bool {
    start
        .first_chunk()
        .and_then(header_version)
        .is_some_and(|version| version < 256)
}

fn header_version(record: &[u8; RECORD_BYTES]) -> Option<u64> {
    let (kind, size, address) = fields(record);
    (kind == kind::HEADER && size == 0).then_some(address)
}

fn fields(record: &[u8; RECORD_BYTES]) -> (u16, u16, u64) {
    let [a, b, c, d, address @ ..] = *record;
    (
        u16::from_le_bytes([a, b]),
        u16::from_le_bytes([c, d]),
        u64::from_le_bytes(address),
    )
}

/// What of a file type (`offline_file_type_t`) this project cannot use; if there is such a thing, what it is, and what to do.
pub(super) fn unusable(file_type: u64) -> Option<(&'static str, &'static str)> {
    const FILTERED: u64 = 0x1 | 0x80 | 0x100;
    const BITS_32: u64 = 0x10 | 0x20;
    if file_type & FILTERED != 0 {
        Some((
            "a trace from which a cache has taken the references that hit: TLB figures would mean nothing",
            "record it without -L0I_filter and -L0D_filter",
        ))
    } else if file_type & BITS_32 != 0 {
        Some((
            "a trace of a 32-bit program",
            "record a 64-bit program; the records of others have another layout",
        ))
    } else {
        None
    }
}

/// Adds a reference of any size: one of more than a page as several. A size of 0, which is one that is not known, is a byte.
pub(super) fn push(
    kind: ReferenceKind,
    address: u64,
    size_bytes: u16,
    batch: &mut Vec<MemoryReference>,
) -> Result<(), &'static str> {
    if size_bytes > LONGEST_BYTES {
        return Err("a reference of more than 16384 bytes");
    }
    let (mut address, mut left) = (address, size_bytes.max(1));
    while left > 0 {
        let part = left.min(MemoryReference::MAX_SIZE_BYTES);
        batch.extend(MemoryReference::new(kind, address, part));
        address = address.wrapping_add(u64::from(part));
        left -= part;
    }
    Ok(())
}

const _: () = assert!((LONGEST_BYTES / MemoryReference::MAX_SIZE_BYTES) as usize <= MOST_PER_STEP);

/// The parser of records.
#[derive(Debug, Default)]
pub(super) struct Drmemtrace {
    /// Between header and footer.
    inside: bool,
    /// The instruction before.
    instruction: Option<u64>,
}

impl Drmemtrace {
    fn record(
        &mut self,
        record: &[u8; RECORD_BYTES],
        batch: &mut Vec<MemoryReference>,
    ) -> Result<(), (String, &'static str)> {
        const AGAIN: &str = "post-process the trace again with DynamoRIO, or copy it again";
        const AS_TEXT: &str = "turn it into text with DynamoRIO's view tool (drrun -t drmemtrace -tool view -infile FILE 2>&1), which is read too";
        let (kind, size, address) = fields(record);
        if !self.inside && kind != kind::HEADER {
            return Err((
                "a record stands outside of header and footer".to_owned(),
                AGAIN,
            ));
        }
        let pushed = match kind {
            kind::READ => push(ReferenceKind::Load, address, size, batch),
            kind::WRITE => push(ReferenceKind::Store, address, size, batch),
            kind::INSTRUCTION..=kind::INSTRUCTION_LAST
            | kind::SYSENTER
            | kind::TAKEN_JUMP
            | kind::UNTAKEN_JUMP => {
                self.instruction = Some(address);
                push(ReferenceKind::Fetch, address, size, batch)
            }
            // A repetition of a string instruction: fetched once.
            kind::MAYBE_FETCH if self.instruction.replace(address) != Some(address) => {
                push(ReferenceKind::Fetch, address, size, batch)
            }
            kind::MAYBE_FETCH | kind::NO_FETCH => Ok(()),
            kind::HEADER => {
                self.inside = true;
                if !VERSIONS.contains(&address) {
                    let what =
                        format!("version {address} of drmemtrace's records; 2 to 6 are read");
                    return Err((what, AS_TEXT));
                }
                Ok(())
            }
            kind::FOOTER => {
                self.inside = false;
                Ok(())
            }
            kind::MARKER if size == MARKER_FILE_TYPE => match unusable(address) {
                Some((what, remedy)) => return Err((what.to_owned(), remedy)),
                None => Ok(()),
            },
            kind::BUNDLE => {
                return Err((
                    "a record of several instructions, as in no stored trace".to_owned(),
                    AGAIN,
                ));
            }
            ..=kind::PREFETCH_LAST | ..=kind::LAST => Ok(()),
            _ => return Err((format!("a record of the unknown type {kind}"), AS_TEXT)),
        };
        pushed.map_err(|what| (what.to_owned(), AGAIN))
    }
}

impl Parser for Drmemtrace {
    const FORMAT: TraceFormat = TraceFormat::Drmemtrace;
    const FETCHES_ARE_INSTRUCTIONS: bool = true;

    fn step(
        &mut self,
        source: &mut Source,
        batch: &mut Vec<MemoryReference>,
    ) -> Result<bool, TraceError> {
        match source.take_record()? {
            Some(record) => match self.record(&record, batch) {
                Ok(()) => Ok(true),
                Err((what, remedy)) => Err(source.unsuitable(what, remedy)),
            },
            None if self.inside => Err(source.truncated("the footer")),
            None => Ok(false),
        }
    }
}
