//! Text of pinatrace, a sample tool of Intel's Pin: `INSTRUCTION: R ADDRESS` and `W`, `#eof` at the end.
//!
//! Contract: none. SDM: none. Counterpart: none. `docs/traces.md` says what is accepted.
//!
//! It names only instructions that use memory, and no sizes: [`super::assumed`] says what is assumed.

use super::assumed;
use super::open::TraceFormat;
use super::reference::{MemoryReference, ReferenceKind};
use super::source::{LineParser, Problem, hexadecimal, words};

const END: &[u8] = b"#eof";
const NOT_PINATRACE: &str = "not `0xINSTRUCTION: R 0xADDRESS` or `W`";

/// The parser of lines.
#[derive(Debug, Default)]
pub(super) struct Pinatrace {
    /// The instruction of the line before: consecutive lines of one are one execution.
    instruction: Option<u64>,
    ended: bool,
}

impl LineParser for Pinatrace {
    const FORMAT: TraceFormat = TraceFormat::Pinatrace;
    const FETCHES_ARE_INSTRUCTIONS: bool = false;
    const UNENDED: &[u8] = END;

    fn line(&mut self, line: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), Problem> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err("something follows #eof".into());
        }
        if text == END {
            self.ended = true;
            return Ok(());
        }
        let mut words = words(text);
        let (Some(instruction), Some(kind), Some(address), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(NOT_PINATRACE.into());
        };
        let kind = match kind {
            b"R" => ReferenceKind::Load,
            b"W" => ReferenceKind::Store,
            _ => return Err(NOT_PINATRACE.into()),
        };
        let instruction = instruction.strip_suffix(b":").and_then(pointer);
        let (Some(instruction), Some(address)) = (instruction, pointer(address)) else {
            return Err(NOT_PINATRACE.into());
        };
        if self.instruction.replace(instruction) != Some(instruction) {
            batch.extend(assumed::fetch(instruction));
        }
        batch.extend(assumed::data(kind, address));
        Ok(())
    }

    fn missing(&self) -> Option<&'static str> {
        (!self.ended).then_some("the line #eof, which pinatrace writes when the program ends,")
    }
}

/// A pointer as C libraries print it.
fn pointer(text: &[u8]) -> Option<u64> {
    match text {
        b"(nil)" => Some(0),
        [b'0', b'x', ..] => hexadecimal(text),
        _ => None,
    }
}
