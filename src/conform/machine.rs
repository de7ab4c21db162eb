//! Cases on a twin: real control operations bring it into the case's paging, and real requests make the accesses.
//!
//! Contract: sections 3 (ports), 9 (control). SDM vol. 3A, 4.1.2 (entering paging), 4.10.4.1 (flushes). Counterpart:
//! `implementation`, which does the same for the reference.
//!
//! **Between two cases** the machine leaves paging, by MOV to CR0, which flushes every TLB and paging-structure cache; memory is exchanged;
//! EFER, CR4 and CR3 are written where they change; MOV to CR0 enters paging again. Nothing is looked up while paging is off, so that nothing is
//! cached at the first step. A reset in each case costs more sweeps (with random registers 3.25 a case against 2.87: from reset, NXE and PGE
//! change wherever they are set, and their change flushes), and would leave untested that leaving paging flushes. A case that does not hold is performed
//! once more from reset by [`super::suite`], which says whether it fails alone.

use std::collections::BTreeMap;

use super::implementation::{Answer, Implementation, Observed, Performance};
use super::vector::{Case, Step};
use crate::arch::AccessKind;
use crate::arch::registers::cr0;
use crate::config::Config;
use crate::cosim::ticked::Ticked;
use crate::cosim::twin::Twin;
use crate::model::mmu_pkg::{
    CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, CTRL_WRMSR_EFER, STATUS_GENERAL_PROTECTION,
    STATUS_PAGE_FAULT, STATUS_TRANSLATED,
};
use crate::model::{Memory, Operation, Request, Response};

/// The ports of fetches and of data.
const FETCH_PORT: usize = 0;
const DATA_PORT: usize = 1;
/// Seed of the memory's jitter, where the configuration has any.
const SEED: u64 = 1;

/// Twins of one kind: one machine for each MAXPHYADDR.
pub struct Twins<T> {
    name: &'static str,
    machines: BTreeMap<u32, Machine<T>>,
}

struct Machine<T> {
    ticked: Ticked<T>,
    /// What was last written to CR0, CR3, CR4, EFER; 0 after reset.
    written: [u64; 4],
    failed_assertions: u64,
    /// It must be reset before it is used again.
    stale: bool,
}

impl<T: Twin> Twins<T> {
    /// No machine yet. `name` is what reports call them.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            machines: BTreeMap::new(),
        }
    }

    /// Adds the machine of `config`, which must be valid, for its MAXPHYADDR. `twin` is in reset, or new.
    pub fn add(&mut self, config: &Config, twin: T) {
        let machine = Machine {
            ticked: Ticked::new(config, twin, Memory::new(&config.memory, SEED), false),
            written: [0; 4],
            failed_assertions: 0,
            stale: false,
        };
        self.machines
            .insert(config.capabilities.maxphyaddr_bits, machine);
    }

    /// Whether there is a machine for that MAXPHYADDR.
    pub fn has(&self, maxphyaddr_bits: u32) -> bool {
        self.machines.contains_key(&maxphyaddr_bits)
    }
}

impl<T: Twin + Send> Implementation for Twins<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn perform(&mut self, case: &Case) -> Performance {
        let mut performance = Performance::default();
        let bits = case.capabilities.maxphyaddr.bits();
        match self.machines.get_mut(&bits) {
            Some(machine) => machine.perform(case, &mut performance),
            None => {
                performance.failure = Some(format!("there is no machine with MAXPHYADDR {bits}"));
            }
        }
        performance
    }

    fn restart(&mut self) {
        for machine in self.machines.values_mut() {
            machine.stale = true;
        }
    }
}

impl<T: Twin> Machine<T> {
    fn perform(&mut self, case: &Case, performance: &mut Performance) {
        if std::mem::take(&mut self.stale) {
            self.ticked.reset();
            self.written = [0; 4];
        }
        if let Err(failure) = self.try_perform(case, performance) {
            performance.failure = Some(failure);
            self.stale = true;
        }
        let failed = self.ticked.twin().failed_assertions();
        if failed != self.failed_assertions {
            self.failed_assertions = failed;
            // The first of all is named; a later one of another kind is at least counted.
            let first = self.ticked.twin().first_failed_assertion();
            let text = first.map_or_else(String::new, |(_, text)| text);
            performance.failure = Some(format!("an assertion failed: {text}"));
        }
    }

    fn try_perform(&mut self, case: &Case, performance: &mut Performance) -> Result<(), String> {
        self.enter(case)?;
        for step in &case.steps {
            let answer = self.access(step)?;
            let memory = self.ticked.memory();
            let after = case.entries.iter();
            performance.steps.push(Observed {
                answer,
                // Where no memory is, nothing is kept.
                after: after
                    .map(|entry| entry.take_from(memory.read_u64(entry.cell()).unwrap_or(0)))
                    .collect(),
            });
        }
        let contents = self.ticked.memory().contents();
        performance.note_stray(case, contents.into_iter());
        Ok(())
    }

    /// Brings the machine into the paging of `case`, with nothing cached and the case's entries in memory.
    fn enter(&mut self, case: &Case) -> Result<(), String> {
        let [was_cr0, was_cr3, was_cr4, was_efer] = self.written;
        if was_cr0 & cr0::PG != 0 {
            self.write(CTRL_MOV_CR0, "CR0", was_cr0 & !cr0::PG)?;
        }
        let memory = self.ticked.memory_mut();
        memory.clear();
        for entry in &case.entries {
            let held = memory.read_u64(entry.cell()).unwrap_or(0);
            memory
                .write_u64(entry.cell(), entry.put_into(held))
                .map_err(|error| format!("{error}; memory.size_bytes is too small"))?;
        }
        if case.efer != was_efer {
            self.write(CTRL_WRMSR_EFER, "EFER", case.efer)?;
        }
        if case.cr4 != was_cr4 {
            self.write(CTRL_MOV_CR4, "CR4", case.cr4)?;
        }
        if case.cr3 != was_cr3 {
            self.write(CTRL_MOV_CR3, "CR3", case.cr3)?;
        }
        self.write(CTRL_MOV_CR0, "CR0", case.cr0)?;
        self.written = [case.cr0, case.cr3, case.cr4, case.efer];
        Ok(())
    }

    fn write(&mut self, op: u8, name: &str, value: u64) -> Result<(), String> {
        match self.ticked.control(&Operation::new(op, value)) {
            Ok(false) => Ok(()),
            Ok(true) => Err(format!("the write of {value:#x} to {name} raised #GP")),
            Err(hang) => Err(hang.to_string()),
        }
    }

    fn access(&mut self, step: &Step) -> Result<Answer, String> {
        let port = match step.access.kind {
            AccessKind::Fetch => FETCH_PORT,
            AccessKind::Read | AccessKind::Write => DATA_PORT,
        };
        let request = Request {
            va: step.va,
            access: step.access,
            id: 0,
        };
        let response = self
            .ticked
            .translate(port, &request)
            .map_err(|hang| hang.to_string())?;
        Ok(answer_of(&response))
    }
}

fn answer_of(response: &Response) -> Answer {
    match response.status {
        STATUS_TRANSLATED => Answer::Translated { pa: response.pa },
        STATUS_PAGE_FAULT => Answer::PageFault {
            code: response.error_code.into(),
            cr2: response.va,
        },
        STATUS_GENERAL_PROTECTION => Answer::GeneralProtection,
        _ => Answer::BusError,
    }
}
