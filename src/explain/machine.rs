//! A situation run on the model, or on another twin: each access by itself, in order, the machine cold at the first.
//!
//! Contract: 9 (control), 13.1 with a window of one reference. SDM: none. Counterpart: none.

use std::collections::BTreeMap;

use super::events::Record;
use super::record::Recorder;
use crate::arch::{Access, AccessKind};
use crate::config::Config;
use crate::cosim::ticked::{Hang, Ticked};
use crate::cosim::twin::Twin;
use crate::model::{Memory, Mmu, Operation, Request};

/// The ports of fetches, and of data.
const FETCH_PORT: usize = 0;
const DATA_PORT: usize = 1;

/// Brings the model of `config` by `boot` into a state, with memory that holds `words`, and makes `accesses` of `address`, one after the
/// other. What it did for each.
///
/// # Errors
/// The machine does not answer.
pub fn run(
    config: &Config,
    boot: &[Operation],
    words: &BTreeMap<u64, u64>,
    address: u64,
    accesses: &[Access],
) -> Result<Vec<Record>, Hang> {
    let accesses: Vec<_> = accesses.iter().map(|access| (address, *access)).collect();
    run_on(config, Mmu::new(config), boot, words, &accesses)
}

/// The same on `twin`, a machine of `config` in its reset state, each access of an address of its own.
///
/// # Errors
/// The machine does not answer.
pub fn run_on(
    config: &Config,
    twin: impl Twin,
    boot: &[Operation],
    words: &BTreeMap<u64, u64>,
    accesses: &[(u64, Access)],
) -> Result<Vec<Record>, Hang> {
    let mut memory = Memory::new(&config.memory, config.mapping.seed);
    for (at, value) in words {
        // Tables are laid where memory is.
        let stored = memory.write_u64(*at, *value);
        debug_assert!(stored.is_ok());
    }
    let recorder = Recorder::of(config, twin);
    recorder.watch(0, accesses.len() as u64);
    let mut ticked = Ticked::new(config, recorder, memory, false);
    for operation in boot {
        ticked.control(operation)?;
    }
    for (va, access) in accesses {
        let port = match access.kind {
            AccessKind::Fetch => FETCH_PORT,
            AccessKind::Read | AccessKind::Write => DATA_PORT,
        };
        let request = Request {
            va: *va,
            access: *access,
            id: 0,
        };
        ticked.translate(port, &request)?;
    }
    Ok(ticked.twin().records().to_vec())
}
