//! Text of Linux's perf: samples of memory accesses, as `perf script` and `perf mem -D report` write them.
//!
//! Contract: none. SDM: none. Counterpart: none. `docs/traces.md` says what is accepted.
//!
//! Samples are not a trace: between two of them lie thousands of references. No sizes: [`super::assumed`] says what is assumed.

use super::assumed;
use super::open::TraceFormat;
use super::reference::{MemoryReference, ReferenceKind};
use super::source::{LineParser, Problem, hexadecimal, words};

/// How the columns of `perf mem -D report` begin.
const REPORT_HEADING: &[u8] = b"# PID, TID, IP, ADDR, ";
/// Fields of a line of the report.
const REPORT_IP: usize = 2;
const REPORT_ADDRESS: usize = 3;
/// `mem_op` of `perf_mem_data_src`: bits 4:0.
const OP_STORE: u64 = 4;
/// An address and an instruction pointer have at least so many digits, so that a number of something else is not taken for one.
const LEAST_DIGITS: usize = 4;

/// The parser of lines.
#[derive(Debug, Default)]
pub(super) struct Perf {
    /// In a report: the field that holds the data source.
    report_source: Option<usize>,
}

impl LineParser for Perf {
    const FORMAT: TraceFormat = TraceFormat::Perf;
    const FETCHES_ARE_INSTRUCTIONS: bool = false;

    fn line(&mut self, line: &[u8], batch: &mut Vec<MemoryReference>) -> Result<(), Problem> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        if let Some(names) = text.strip_prefix(REPORT_HEADING) {
            let mut names = names.split(|byte| *byte == b',');
            let place = names.position(|name| name.trim_ascii() == b"DSRC");
            let place = place.ok_or("the heading of the report has no DSRC")?;
            self.report_source = Some(REPORT_ADDRESS + 1 + place);
            return Ok(());
        }
        if text.starts_with(b"#") {
            return Ok(());
        }
        let (kind, address, instruction) = match self.report_source {
            Some(source) => report(text, source)?,
            None => script(text)?,
        };
        if instruction != 0 {
            batch.extend(assumed::fetch(instruction));
        }
        if address != 0 {
            batch.extend(assumed::data(kind, address));
        }
        Ok(())
    }

    fn is_certain(&self) -> bool {
        self.report_source.is_some()
    }
}

type Sample = (ReferenceKind, u64, u64);

/// A line of the report: fields by blanks or by commas.
fn report(text: &[u8], source: usize) -> Result<Sample, &'static str> {
    const NOT_REPORT: &str = "not a line of `perf mem -D report`";
    let fields: Vec<&[u8]> = text
        .split(|byte| byte.is_ascii_whitespace() || *byte == b',')
        .filter(|field| !field.is_empty())
        .take(source + 1)
        .collect();
    let field = |index: usize| fields.get(index).copied().ok_or(NOT_REPORT);
    let address = field(REPORT_ADDRESS)?;
    // perf writes the first address of a report with a 016 in front that was to be its width. No other begins with a zero.
    let address = match address.strip_prefix(b"0x016") {
        Some(digits) if !digits.is_empty() => hexadecimal(digits),
        _ => hexadecimal(address),
    };
    let (Some(address), Some(instruction), Some(source)) = (
        address,
        hexadecimal(field(REPORT_IP)?),
        hexadecimal(field(source)?),
    ) else {
        return Err(NOT_REPORT);
    };
    let kind = if source & OP_STORE != 0 {
        ReferenceKind::Store
    } else {
        ReferenceKind::Load
    };
    Ok((kind, address, instruction))
}

/// A line of `perf script`: anything, the event and a colon, the address, perhaps where the data came from, the instruction pointer.
fn script(text: &[u8]) -> Result<Sample, &'static str> {
    const NO_ADDRESS: &str = "no address of data and no instruction pointer";
    let is_event = |word: &[u8]| {
        let name = word.strip_suffix(b":").unwrap_or_default();
        name.iter()
            .any(|byte| !byte.is_ascii_digit() && *byte != b'.')
    };
    let mut words: Vec<&[u8]> = words(text).collect();
    let event = words.iter().position(|word| is_event(word));
    let name = event.map_or(&b""[..], |at| words[at]).to_ascii_lowercase();
    words.drain(..event.map_or(0, |at| at + 1));
    let (address, rest, operation) = match find(text, b"|OP ") {
        Some(at) => {
            // ADDRESS SOURCE |OP LOAD|LVL ...|BLK N/A WEIGHT... INSTRUCTION SYMBOL
            let numbers = leading_numbers(&words);
            let address = match numbers[..] {
                [address, _] => address,
                _ => return Err(NO_ADDRESS),
            };
            let last = text.iter().rposition(|byte| *byte == b'|').unwrap_or(at);
            (address, &text[last + 1..], &text[at + 4..])
        }
        None => match leading_numbers(&words)[..] {
            [address, instruction, ..] => {
                return Ok((kind_of(&name), pointer(address)?, pointer(instruction)?));
            }
            _ => return Err(NO_ADDRESS),
        },
    };
    // `BLK N/A`, `LCK No`, `BLK Data Addr`: words up to the first number.
    let words: Vec<&[u8]> = self::words(rest)
        .skip(1)
        .skip_while(|word| !word.iter().any(u8::is_ascii_digit) || hexadecimal(word).is_none())
        .collect();
    let mut numbers = leading_numbers(&words);
    // A symbol such as `add` looks like a number, but has no digit.
    if numbers.len() > 1
        && let Some(last) = numbers.last()
        && !last.iter().any(u8::is_ascii_digit)
    {
        numbers.pop();
    }
    let instruction = numbers.last().ok_or(NO_ADDRESS)?;
    Ok((kind_of(operation), pointer(address)?, pointer(instruction)?))
}

/// `STORE` or a name with it: a store; anything else is taken for a load.
fn kind_of(name: &[u8]) -> ReferenceKind {
    let name = name.split(|byte| *byte == b'|').next().unwrap_or(name);
    match find(&name.to_ascii_lowercase(), b"store") {
        Some(_) => ReferenceKind::Store,
        None => ReferenceKind::Load,
    }
}

fn leading_numbers<'a>(words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let numbers = words.iter().copied();
    numbers
        .take_while(|word| !word.starts_with(b"0x") && hexadecimal(word).is_some())
        .collect()
}

fn pointer(text: &[u8]) -> Result<u64, &'static str> {
    match text {
        b"0" => Ok(0),
        _ if text.len() < LEAST_DIGITS => Err("an address of less than four digits"),
        _ => hexadecimal(text).ok_or("an address that is not hexadecimal"),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
