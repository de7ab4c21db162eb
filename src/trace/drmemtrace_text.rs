//! DynamoRIO's traces as text: what drmemtrace's tool `view` and the sample client `memtrace_simple` write.
//!
//! Contract: none. SDM: none. Counterpart: `drmemtrace.rs`. `docs/traces.md` says what is accepted.

use super::drmemtrace::{push, unusable};
use super::open::TraceFormat;
use super::reference::{MemoryReference, ReferenceKind};
use super::source::{LineParser, Problem, decimal, hexadecimal, words};

const NO_REFERENCE: &str = "not `KIND SIZE byte(s) @ 0xADDRESS`";

/// What the first lines said that the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tool {
    #[default]
    Unknown,
    View,
    /// Its results stand below the records.
    ViewEnded,
    Simple,
}

/// The parser of lines.
#[derive(Debug, Default)]
pub(super) struct DrmemtraceText(Tool);

impl LineParser for DrmemtraceText {
    const FORMAT: TraceFormat = TraceFormat::DrmemtraceText;
    const FETCHES_ARE_INSTRUCTIONS: bool = true;

    fn line(&mut self, line: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), Problem> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        match self.0 {
            Tool::Unknown if text == b"Output format:" => self.0 = Tool::View,
            Tool::Unknown if text.starts_with(b"Format: <data address>: <data size>") => {
                self.0 = Tool::Simple;
            }
            Tool::Unknown => return Err("before the heading of the trace".into()),
            Tool::View if text == b"View tool results:" => self.0 = Tool::ViewEnded,
            Tool::View => return view(text, batch),
            Tool::ViewEnded => {}
            Tool::Simple => simple(text, batch)?,
        }
        Ok(())
    }

    fn is_certain(&self) -> bool {
        self.0 != Tool::Unknown
    }
}

/// A line of `view`: record, instruction, thread, then what happened.
fn view(text: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), Problem> {
    if text.starts_with(b"<--record#->") || text.iter().all(|byte| *byte == b'-') {
        return Ok(());
    }
    let mut parts = text.splitn(2, |byte| *byte == b':');
    let (Some(_), Some(rest)) = (parts.next(), parts.next()) else {
        return Err("not `RECORD INSTRUCTION: THREAD ...`".into());
    };
    let mut words = words(rest);
    let Some(thread) = words.next() else {
        return Err("nothing behind the numbers".into());
    };
    let Some(name) = words.next() else {
        // The rest of the bytes of a long instruction: one word.
        return match hexadecimal(thread) {
            Some(_) => Ok(()),
            None => Err(NO_REFERENCE.into()),
        };
    };
    let kind = match name {
        b"ifetch" => ReferenceKind::Fetch,
        b"read" => ReferenceKind::Load,
        b"write" => ReferenceKind::Store,
        _ if name.starts_with(b"<") => return marker(words.by_ref().collect()),
        _ if name.starts_with(b"pref") || name == b"iflush" || name == b"dflush" => return Ok(()),
        // The rest of the bytes of a long instruction.
        _ if name.len() == 2 && hexadecimal(name).is_some() => return Ok(()),
        _ => return Err(NO_REFERENCE.into()),
    };
    let size = words.next().and_then(decimal);
    let size = size.and_then(|size| u16::try_from(size).ok());
    let (Some(size), Some(b"byte(s)"), Some(b"@")) = (size, words.next(), words.next()) else {
        return Err(NO_REFERENCE.into());
    };
    let address = words.next().filter(|word| word.starts_with(b"0x"));
    let address = address.and_then(hexadecimal).ok_or(NO_REFERENCE)?;
    if text.ends_with(b" non-fetched instruction") {
        return Ok(());
    }
    Ok(push(kind, address, size, batch)?)
}

/// `<marker: NAME VALUE>`, from the name on. One of them says what kind of trace it is.
fn marker(words: Vec<&[u8]>) -> Result<(), Problem> {
    let [b"filetype", value, ..] = words[..] else {
        return Ok(());
    };
    let file_type = value.strip_suffix(b">").and_then(hexadecimal);
    match file_type.and_then(unusable) {
        Some((what, remedy)) => Err(Problem::Trace(what.to_owned(), remedy)),
        None => Ok(()),
    }
}

/// A line of `memtrace_simple`: `ADDRESS: SIZE, r`, or `w`, or the name of an instruction.
fn simple(text: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), &'static str> {
    const NOT_SIMPLE: &str = "not `0xADDRESS: SIZE, KIND`";
    let mut words = words(text);
    let (Some(address), Some(size), Some(name), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(NOT_SIMPLE);
    };
    let address = address.strip_suffix(b":").and_then(hexadecimal);
    let size = size.strip_suffix(b",").and_then(decimal);
    let size = size.and_then(|size| u16::try_from(size).ok());
    let (Some(address), Some(size)) = (address, size) else {
        return Err(NOT_SIMPLE);
    };
    let kind = match name {
        b"r" => ReferenceKind::Load,
        b"w" => ReferenceKind::Store,
        _ => ReferenceKind::Fetch,
    };
    push(kind, address, size, batch)
}
