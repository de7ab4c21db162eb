//! One verilated machine behind a safe type: the only unsafe code of the project.
//!
//! Contract sections 1 (cycles), 3 (ports), 10 (monitor) and 13 (the harness). Counterpart: `shim/harness.cpp` and `shim/twinwalk.h`, whose
//! table of functions `loaded.rs` mirrors.
//!
//! [`Library`] is a machine that can be made, linked in (feature `rtl-static`) or loaded from a shared library with a runtime of its own;
//! [`Rtl`] is one made machine. The types are the same for both kinds. The crate `verilated` governs the runtime of the linked kind: how
//! unset registers begin, the version it reports, and its VCD waves.
//!
//! # Why this is sound
//!
//! * A library is used only if its table has our version and sizes, and a loaded one only if it exports the key under which it was
//!   built. The cache it came from belongs to the user who runs and is closed to others.
//! * A handle belongs to one [`Rtl`], which gives it out to nobody and needs `&mut` for every call that evaluates. It may move between
//!   threads: the harness makes the machine's context the calling thread's own on every call.
//! * The harness cuts inputs to their ports' widths, so no byte of an [`Inputs`] can make the model index outside an array.

#![allow(
    unsafe_code,
    reason = "a verilated machine is C++ behind function pointers; the rest of the crate has none, and Cargo.toml denies it"
)]

use crate::config::Config;
use crate::model::mmu_pkg::{Inputs, Outputs};

mod error;
mod loaded;
mod room;
mod wave;

pub use error::RtlError;
use loaded::Machine;
pub use loaded::{InitialRegisters, Library};
use wave::Wave;
pub use wave::WaveFormat;

/// Failed assertions that are kept; a broken machine may fail in every cycle.
const FAILURES_MAX: usize = 256;

/// An assertion of the RTL that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionFailure {
    /// The contract's cycle that ended with the edge at which it failed; `None` under reset.
    pub cycle: Option<u64>,
    /// Where and what, as the RTL says it.
    pub text: String,
}

/// One verilated machine.
pub struct Rtl {
    // Before the machine, so that it is dropped first: it holds pointers into the model.
    wave: Option<Wave>,
    machine: Machine,
    outputs: Outputs,
    /// The contract's number of the next cycle; `None` until the first cycle without reset.
    cycle: Option<u64>,
    error_count: u32,
    failures: Vec<AssertionFailure>,
}

// SAFETY: the harness binds the machine's context to the calling thread in every call, and `Rtl` owns machine and waves alone.
unsafe impl Send for Rtl {}

impl std::fmt::Debug for Rtl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rtl")
            .field("library", &self.machine.library)
            .field("cycle", &self.cycle)
            .finish_non_exhaustive()
    }
}

impl Rtl {
    /// Makes a machine, and asserts that the RTL was elaborated with the parameters of `config`.
    ///
    /// All inputs are 0, so the machine is under reset; it has seen no clock edge.
    ///
    /// # Errors
    /// If the parameters differ, or the machine cannot be made.
    pub fn new(
        config: &Config,
        library: &Library,
        initial: InitialRegisters,
    ) -> Result<Self, RtlError> {
        Self::with_parameters(&config.rtl_parameters(), library, initial)
    }

    /// The same of any design: `parameters` are those that it was to be elaborated with.
    ///
    /// # Errors
    /// As [`Rtl::new`].
    pub fn with_parameters<N: AsRef<str>>(
        parameters: &[(N, u64)],
        library: &Library,
        initial: InitialRegisters,
    ) -> Result<Self, RtlError> {
        let machine = Machine::new(library, initial)?;
        compare_parameters(parameters, &machine.parameters())?;
        Ok(Self {
            wave: None,
            machine,
            outputs: Outputs::default(),
            cycle: None,
            error_count: 0,
            failures: Vec::new(),
        })
    }

    /// One cycle: drives all inputs, settles once with the clock low, samples the outputs, then the rising edge.
    ///
    /// `rst_n` = 0 in the inputs is a cycle under reset; the first cycle without is cycle 0.
    pub fn tick(&mut self, inputs: &Inputs) -> &Outputs {
        let cycle = if inputs.rst_n == 0 {
            None
        } else {
            Some(self.cycle.unwrap_or(0))
        };
        // SAFETY: the handle is live; the pointers are valid for the call and of the sizes that were compared.
        let errors = unsafe {
            (self.machine.api().tick)(self.machine.handle.as_ptr(), inputs, &raw mut self.outputs)
        };
        if errors != self.error_count {
            self.error_count = errors;
            self.fetch_failures(cycle);
        }
        self.cycle = cycle.map(|cycle| cycle + 1);
        &self.outputs
    }

    /// Drives the inputs, settles with the clock low and samples, without an edge: no state changes. Two calls with different inputs
    /// show whether an input reaches an output within a cycle.
    pub fn probe(&mut self, inputs: &Inputs) -> &Outputs {
        // SAFETY: as in `tick`.
        unsafe {
            (self.machine.api().probe)(self.machine.handle.as_ptr(), inputs, &raw mut self.outputs)
        };
        &self.outputs
    }

    /// The outputs that the last [`tick`](Self::tick) or [`probe`](Self::probe) sampled.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The contract's number of the next cycle without reset.
    pub fn next_cycle(&self) -> u64 {
        self.cycle.unwrap_or(0)
    }

    /// Assertions that have failed so far, with repetitions.
    pub fn error_count(&self) -> u32 {
        self.error_count
    }

    /// The failed assertions, the first 256 of them, oldest first.
    pub fn errors(&self) -> &[AssertionFailure] {
        &self.failures
    }

    fn fetch_failures(&mut self, cycle: Option<u64>) {
        let mut text = vec![0u8; 1 << 16];
        // SAFETY: the handle is live and the buffer valid for its length.
        let length = unsafe {
            (self.machine.api().messages)(
                self.machine.handle.as_ptr(),
                text.as_mut_ptr().cast(),
                text.len(),
            )
        };
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
        let says = |line| str::split_once(line, "%Error: ").or_else(|| line.split_once("%Fatal: "));
        for failure in text.lines().filter_map(says) {
            if self.failures.len() < FAILURES_MAX {
                self.failures.push(AssertionFailure {
                    cycle,
                    text: failure.1.to_owned(),
                });
            }
        }
    }
}

impl Drop for Rtl {
    fn drop(&mut self) {
        // A wave that nobody closed is still worth having; there is nobody to tell if it cannot be.
        let _ = self.close_wave();
    }
}

fn compare_parameters<N: AsRef<str>>(
    config: &[(N, u64)],
    rtl: &[(String, u64)],
) -> Result<(), RtlError> {
    let show =
        |value: Option<u64>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
    let in_rtl = |name: &str| {
        rtl.iter()
            .find(|(found, _)| found == name)
            .map(|&(_, value)| value)
    };
    let in_config = |name: &str| {
        config
            .iter()
            .find(|(found, _)| found.as_ref() == name)
            .map(|(_, value)| *value)
    };
    let names = config
        .iter()
        .map(|(name, _)| name.as_ref())
        .chain(rtl.iter().map(|(name, _)| name.as_str()));
    for name in names {
        if in_rtl(name) != in_config(name) {
            let (rtl, config) = (show(in_rtl(name)), show(in_config(name)));
            return Err(RtlError::Parameter {
                name: name.to_owned(),
                rtl,
                config,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/rtl.rs"]
mod tests;
