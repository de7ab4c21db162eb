//! Tables of references in CSV: a heading that names the columns, a reference a line.
//!
//! Contract: none. SDM: none. Counterpart: none. `docs/traces.md` has the names.
//!
//! Lines are cut by this project, so that a quote that is never closed cannot take all memory; fields by csv-core.

use csv_core::{ReadRecordResult, Reader};

use super::open::TraceFormat;
use super::reference::{MemoryReference, ReferenceKind};
use super::source::{LineParser, Problem, decimal, hexadecimal};

/// The most columns of a table.
const MOST_COLUMNS: usize = 64;
/// The most characters of a line, without its quotes.
const MOST_BYTES: usize = 4096;

/// Where the columns stand.
#[derive(Debug, Clone, Copy)]
struct Columns {
    kind: usize,
    address: usize,
    size: usize,
    count: usize,
}

/// The parser of lines.
#[derive(Default)]
pub(super) struct Csv {
    columns: Option<Columns>,
}

impl LineParser for Csv {
    const FORMAT: TraceFormat = TraceFormat::Csv;
    const FETCHES_ARE_INSTRUCTIONS: bool = true;

    fn line(&mut self, line: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), Problem> {
        // What spreadsheets put in front of UTF-8.
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let mut text = [0; MOST_BYTES];
        let mut ends = [0; MOST_COLUMNS];
        let count = split(line, &mut text, &mut ends)?;
        let field = |index: usize| {
            let end = ends[..count].get(index).copied().unwrap_or(0);
            let start = index.checked_sub(1).map_or(0, |before| ends[before]);
            text.get(start..end).unwrap_or_default().trim_ascii()
        };
        let Some(columns) = self.columns else {
            self.columns = Some(heading((0..count).map(field))?);
            return Ok(());
        };
        if count != columns.count {
            return Err("another number of fields than the heading".into());
        }
        let address = number(field(columns.address)).ok_or(
            "the address is neither 0x and 1 to 16 hexadecimal digits nor a decimal number",
        )?;
        let size_bytes = number(field(columns.size))
            .and_then(|size| u16::try_from(size).ok())
            .filter(|size| (1..=MemoryReference::MAX_SIZE_BYTES).contains(size))
            .ok_or("the size is not a number from 1 to 4096")?;
        let kinds: &[ReferenceKind] = match &*field(columns.kind).to_ascii_lowercase() {
            b"fetch" | b"f" | b"i" | b"ifetch" | b"instruction" | b"x" => &[ReferenceKind::Fetch],
            b"load" | b"l" | b"read" | b"r" => &[ReferenceKind::Load],
            b"store" | b"s" | b"write" | b"w" => &[ReferenceKind::Store],
            b"modify" | b"m" => &[ReferenceKind::Load, ReferenceKind::Store],
            _ => return Err("the kind is none of fetch, load, store and modify".into()),
        };
        let references = kinds.iter();
        batch
            .extend(references.filter_map(|&kind| MemoryReference::new(kind, address, size_bytes)));
        Ok(())
    }

    fn missing(&self) -> Option<&'static str> {
        self.columns
            .is_none()
            .then_some("the heading with the columns kind, address and size")
    }

    fn is_certain(&self) -> bool {
        self.columns.is_some()
    }
}

/// Cuts a line into fields: their text one after the other, and where each ends. Says how many.
fn split(
    line: &[u8],
    text: &mut [u8; MOST_BYTES],
    ends: &mut [usize; MOST_COLUMNS],
) -> Result<usize, &'static str> {
    let mut reader = Reader::new();
    let (result, taken, written, count) = reader.read_record(line, text, ends);
    match result {
        ReadRecordResult::Record if taken == line.len() => return Ok(count),
        // A carriage return within a line would begin another.
        ReadRecordResult::Record => return Err("a carriage return within the line"),
        ReadRecordResult::OutputFull => return Err("fields of more than 4096 characters"),
        ReadRecordResult::OutputEndsFull => return Err("more than 64 fields"),
        ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
    }
    // A newline ends the record, unless it stands in a quoted field.
    let (Some(text), Some(ends)) = (text.get_mut(written..), ends.get_mut(count..)) else {
        return Err("more than 64 fields");
    };
    match reader.read_record(b"\n", text, ends) {
        (ReadRecordResult::Record, _, _, more) => Ok(count + more),
        (ReadRecordResult::InputEmpty, ..) => Err("a quote is not closed in the line"),
        _ => Err("more than 64 fields"),
    }
}

/// The columns by their names, in any case.
fn heading<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<Columns, &'static str> {
    let (mut kind, mut address, mut size) = (None, None, None);
    let mut count = 0;
    for (index, name) in names.enumerate() {
        let column = match &*name.to_ascii_lowercase() {
            b"kind" | b"type" | b"op" | b"access" => &mut kind,
            b"address" | b"addr" | b"va" | b"vaddr" => &mut address,
            b"size" | b"size_bytes" | b"bytes" | b"length" => &mut size,
            _ => &mut None,
        };
        if column.replace(index).is_some() {
            return Err("two columns of the heading mean the same");
        }
        count = index + 1;
    }
    match (kind, address, size) {
        (Some(kind), Some(address), Some(size)) => Ok(Columns {
            kind,
            address,
            size,
            count,
        }),
        (None, ..) => Err("the heading has no column kind"),
        (_, None, _) => Err("the heading has no column address"),
        (.., None) => Err("the heading has no column size"),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    match text {
        [b'0', b'x' | b'X', ..] => hexadecimal(text),
        _ => decimal(text),
    }
}
