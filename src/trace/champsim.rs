//! Traces for ChampSim: records of one instruction each, of 64 bytes, or of 96 in the form for CloudSuite.
//!
//! Contract: none. SDM: none. Counterpart: none. `docs/traces.md` has the layout.
//!
//! A record has no length of its instruction and no sizes of its operands: [`super::assumed`] says what is assumed. The length follows
//! from the next record, so that a record is handed out when the next has been read.

use super::assumed;
use super::error::TraceError;
use super::open::TraceFormat;
use super::reference::{MemoryReference, ReferenceKind};
use super::source::{Parser, Source};

/// Where things stand in a record: the instruction pointer at 0, two flags at 8, stores, then loads.
#[derive(Debug, Clone, Copy)]
struct Layout {
    bytes: usize,
    stores: usize,
    loads: usize,
}

/// `input_instr`: 2 destination registers, 4 source registers, 2 stores, 4 loads.
const USUAL: Layout = Layout {
    bytes: 64,
    stores: 16,
    loads: 32,
};
/// `cloudsuite_instr`: 4 destination registers, 4 source registers, 6 bytes unused, 4 stores, 4 loads, an address-space number of 2 bytes,
/// 6 bytes unused.
const CLOUDSUITE: Layout = Layout {
    bytes: 96,
    stores: 24,
    loads: 56,
};
/// Loads of either layout end here, relative to their start.
const LOADS_BYTES: usize = 32;

/// What is read of a record.
#[derive(Debug, Clone, Copy)]
struct Instruction {
    address: u64,
    branches: bool,
    /// Loads, then stores; 0 where there is none.
    operands: [(ReferenceKind, u64); 8],
}

impl Layout {
    /// The instruction of a record of `self.bytes` bytes; or why it is none.
    fn parse(self, record: &[u8]) -> Result<Instruction, &'static str> {
        let number = |at: usize| {
            let bytes = record.get(at..at + 8).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let (Some(&is_branch), Some(&taken)) = (record.get(8), record.get(9)) else {
            return Err("a record is too short");
        };
        if is_branch > 1 || taken > 1 {
            return Err("a flag of a ChampSim record is neither 0 nor 1");
        }
        let loads = (self.loads..self.loads + LOADS_BYTES).step_by(8);
        let stores = (self.stores..self.loads).step_by(8);
        let places = loads
            .map(|at| (ReferenceKind::Load, at))
            .chain(stores.map(|at| (ReferenceKind::Store, at)));
        let mut operands = [(ReferenceKind::Load, 0); 8];
        for (operand, (kind, at)) in operands.iter_mut().zip(places) {
            *operand = (kind, number(at));
        }
        Ok(Instruction {
            address: number(0),
            branches: taken == 1,
            operands,
        })
    }

    /// Whether every whole record in `start` could be one. A file that is `whole` has no part of a record at its end.
    fn recognise(self, start: &[u8], whole: bool) -> bool {
        let records = start.chunks_exact(self.bytes);
        if records.len() == 0 || whole && !records.remainder().is_empty() {
            return false;
        }
        records.into_iter().all(|record| {
            self.parse(record).is_ok_and(|instruction| {
                let operands = instruction.operands.iter();
                instruction.address != 0
                    && is_canonical(instruction.address)
                    && operands
                        .into_iter()
                        .all(|(_, address)| is_canonical(*address))
            })
        })
    }
}

/// Whether it is an address of 48 bits. (No trace of a program has another.)
const fn is_canonical(address: u64) -> bool {
    let sign = address as i64 >> 47;
    sign == 0 || sign == -1
}

/// The form that `start`, the beginning of a file, is in, if it is in either; `more` says that the file goes on behind it.
pub(super) fn recognise(start: &[u8], more: bool) -> Option<TraceFormat> {
    if USUAL.recognise(start, !more) {
        Some(TraceFormat::ChampSim)
    } else if CLOUDSUITE.recognise(start, !more) {
        Some(TraceFormat::CloudSuite)
    } else if !more && USUAL.recognise(start, false) {
        // Cut off: the reader says where.
        Some(TraceFormat::ChampSim)
    } else {
        None
    }
}

/// The parser of records of 64 bytes.
#[derive(Debug, Default)]
pub(super) struct ChampSim(Option<Instruction>);

/// The parser of records of 96 bytes.
#[derive(Debug, Default)]
pub(super) struct CloudSuite(Option<Instruction>);

impl Parser for ChampSim {
    const FORMAT: TraceFormat = TraceFormat::ChampSim;
    const FETCHES_ARE_INSTRUCTIONS: bool = true;

    fn step(
        &mut self,
        source: &mut Source,
        batch: &mut Vec<MemoryReference>,
    ) -> Result<bool, TraceError> {
        let record = source.take_record::<{ USUAL.bytes }>()?;
        let next = record.map(|record| USUAL.parse(&record)).transpose();
        advance(&mut self.0, next, source, batch)
    }
}

impl Parser for CloudSuite {
    const FORMAT: TraceFormat = TraceFormat::CloudSuite;
    const FETCHES_ARE_INSTRUCTIONS: bool = true;

    fn step(
        &mut self,
        source: &mut Source,
        batch: &mut Vec<MemoryReference>,
    ) -> Result<bool, TraceError> {
        let record = source.take_record::<{ CLOUDSUITE.bytes }>()?;
        let next = record.map(|record| CLOUDSUITE.parse(&record)).transpose();
        advance(&mut self.0, next, source, batch)
    }
}

/// Hands out the instruction before `next`, whose length `next` tells.
fn advance(
    waiting: &mut Option<Instruction>,
    next: Result<Option<Instruction>, &'static str>,
    source: &Source,
    batch: &mut Vec<MemoryReference>,
) -> Result<bool, TraceError> {
    let (next, problem) = match next {
        Ok(next) => (next, None),
        Err(problem) => (None, Some(problem)),
    };
    if let Some(instruction) = std::mem::replace(waiting, next) {
        batch.extend(match next {
            Some(next) => {
                assumed::fetch_to(instruction.address, next.address, instruction.branches)
            }
            None => assumed::fetch(instruction.address),
        });
        let operands = instruction.operands.iter();
        batch.extend(
            operands
                .filter(|(_, address)| *address != 0)
                .filter_map(|&(kind, address)| assumed::data(kind, address)),
        );
    }
    match problem {
        None => Ok(next.is_some()),
        Some(problem) => Err(source.unsuitable(
            problem.to_owned(),
            "give a trace for ChampSim as it is published; --trace-format champsim reads records of 64 bytes, champsim-cloudsuite of 96",
        )),
    }
}
