//! The front end on a machine that is ticked: the RTL, or the model's own meaning.
//!
//! Contract: sections 1.1 (reset), 3 (the requester's side), 13.1. SDM: none. Counterpart: `src/model/front_end.rs`, which follows the same
//! rule by arithmetic; here every cycle is stepped, and the cycles must be the same.

use thiserror::Error;

use crate::config::Config;
use crate::cosim::request_log::{RequestLog, Row};
use crate::cosim::twin::Twin;
use crate::model::mmu_pkg::{ControlIn, Inputs, KIND_FETCH, MAX_WALKERS, Outputs, PortIn};
use crate::model::{Memory, Operation, PerformanceCounters, Request, Response, Statistics};

/// Edges under reset before cycle 0.
const RESET_CYCLES: u32 = 2;
/// Memory accesses that no single step needs: two walks of five entries, each read and set once, are 20.
const ACCESSES_MAX: u64 = 64;
/// Most references that may wait for each other, each with a walk of its own, besides prefetches.
const WAITING_MAX: u64 = 2 * WINDOW_MAX;
/// Widest window.
const WINDOW_MAX: u64 = 64;
/// References whose answers are kept: those in the widest window, and as many before it. Ids have 256 values, a multiple.
const SLOTS: usize = 2 * WINDOW_MAX as usize;
/// An answer that is not known yet.
const NOT_YET: u64 = u64::MAX;
/// Cycles that all other parts of a step never add up to, beside sweeps.
const SLACK_CYCLES: u64 = 4096;

/// A machine did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cycle {cycle}: no answer to what was presented in cycle {presented} ({what})")]
pub struct Hang {
    /// The cycle in which it was given up.
    pub cycle: u64,
    /// The first cycle in which it was presented.
    pub presented: u64,
    /// What was presented.
    pub what: String,
}

/// A twin with its memory, and the front end of contract 13.1.
#[derive(Debug)]
pub struct Ticked<T> {
    twin: T,
    memory: Memory,
    inputs: Inputs,
    outputs: Outputs,
    cycle: u64,
    patience_cycles: u64,
    counts: bool,
    statistics: Statistics,
    window: u64,
    gap_cycles: u64,
    data_ports: u64,
    /// References presented so far, and those of data among them.
    count: u64,
    data_count: u64,
    /// The first reference that has no answer yet.
    oldest: u64,
    /// By number mod [`SLOTS`]: the cycle of the answer.
    answered_at: [u64; SLOTS],
    answers: [Response; SLOTS],
    /// The first cycle that the accept of the last reference, or an operation, leaves for the next reference.
    free_from: u64,
    /// Stores that wait for what comes next to be offered.
    stores: Vec<(u64, u64)>,
    log: Option<Box<RequestLog>>,
}

impl<T: Twin> Ticked<T> {
    /// A machine of `config`, which must be valid, out of reset. `counts`: statistics are drawn from its monitor, in every cycle.
    pub fn new(config: &Config, twin: T, memory: Memory, counts: bool) -> Self {
        let memory_spec = &config.memory;
        let delay = u64::from(memory_spec.latency_cycles)
            + u64::from(memory_spec.jitter_cycles)
            + MAX_WALKERS as u64 * u64::from(memory_spec.accept_interval_cycles);
        let mut ticked = Self {
            twin,
            memory,
            inputs: Inputs::default(),
            outputs: Outputs::default(),
            cycle: 0,
            patience_cycles: SLACK_CYCLES
                + 2 * u64::from(config.sweep_cycles())
                + WAITING_MAX * ACCESSES_MAX * (delay + 2)
                + u64::from(config.front_end.issue_gap_cycles),
            counts,
            statistics: Statistics::new(config),
            window: u64::from(config.front_end.window).clamp(1, WINDOW_MAX),
            gap_cycles: u64::from(config.front_end.issue_gap_cycles),
            data_ports: u64::from(config.ports.data_ports.max(1)),
            count: 0,
            data_count: 0,
            oldest: 0,
            answered_at: [NOT_YET; SLOTS],
            answers: [Response::default(); SLOTS],
            free_from: 0,
            stores: Vec::new(),
            log: None,
        };
        ticked.tick_reset();
        ticked
    }

    /// The same, and from each request a row is made; they are to be taken with [`Ticked::next_row`].
    #[must_use]
    pub fn with_rows(mut self, config: &Config) -> Self {
        self.log = Some(Box::new(RequestLog::new(config)));
        self
    }

    /// The row of the oldest request of which it was not taken, if that has its answer.
    pub fn next_row(&mut self) -> Option<Row> {
        self.log.as_mut()?.next_answered()
    }

    /// Resets the machine. What was presented and not answered is never answered; memory keeps its cells, and time goes on.
    pub fn reset(&mut self) {
        self.memory.reset();
        self.stores.clear();
        if let Some(log) = &mut self.log {
            log.reset();
        }
        self.oldest = self.count;
        self.free_from = self.cycle;
        self.tick_reset();
    }

    fn tick_reset(&mut self) {
        self.inputs = Inputs::default();
        for _ in 0..RESET_CYCLES {
            self.twin.tick(&self.inputs, &mut self.outputs);
        }
        self.inputs.rst_n = 1;
        for port in &mut self.inputs.ports {
            port.resp_ready = 1;
        }
        self.inputs.control.resp_ready = 1;
    }

    /// The next reference, through `port`, which must exist, 0 for a fetch, 1 and up for data; and its answer, for which it waits.
    ///
    /// # Errors
    /// The machine does not answer. It must not be used further.
    pub fn translate(&mut self, port: usize, request: &Request) -> Result<Response, Hang> {
        self.offer(port, request)?;
        let presented = self.cycle;
        while self.outputs.ports[port].resp_valid == 0 {
            self.wait(presented, || format!("{request:x?} on port {port}"))?;
        }
        Ok(Response {
            id: request.id,
            ..Response::shown(&self.outputs.ports[port])
        })
    }

    /// The next reference, a fetch or one of data as its kind says, through the port that the rule gives it. Its answer comes later.
    ///
    /// # Errors
    /// As [`Ticked::translate`].
    pub fn present(&mut self, request: &Request) -> Result<(), Hang> {
        if request.access.kind as u8 == KIND_FETCH {
            return self.offer(0, request);
        }
        let port = 1 + self.data_count % self.data_ports;
        self.data_count += 1;
        self.offer(port as usize, request)
    }

    /// The answers to the references from the number `from` on, in order, as far as all before them have theirs. Those to the last 128
    /// references that were presented can be asked for.
    pub fn answers(&self, from: u64) -> impl Iterator<Item = &Response> {
        debug_assert!(from + SLOTS as u64 >= self.count);
        (from..self.oldest).map(|number| &self.answers[number as usize % SLOTS])
    }

    /// Goes to the cycle in which the next reference is first offered, and no further: the figures are then those of that cycle, and what is in
    /// flight stays so. What follows is the same as without.
    ///
    /// # Errors
    /// As [`Ticked::translate`].
    pub fn settle(&mut self) -> Result<(), Hang> {
        let presented = self.cycle;
        while self.oldest + self.window <= self.count || self.cycle < self.free_from {
            self.wait(presented, || "the references in flight".to_owned())?;
        }
        Ok(())
    }

    /// What the twin's performance counters show in the cycle that comes next, which the figures end with.
    pub fn performance_counters(&mut self) -> PerformanceCounters {
        self.twin.performance_counters()
    }

    /// Waits until the reference may be offered, and offers it until it is accepted.
    fn offer(&mut self, port: usize, request: &Request) -> Result<(), Hang> {
        let (presented, what) = (self.cycle, || format!("{request:x?} on port {port}"));
        while self.oldest + self.window <= self.count || self.cycle < self.free_from {
            self.wait(presented, what)?;
        }
        self.perform_stores();
        self.inputs.ports[port] = PortIn {
            resp_ready: 1,
            req_id: self.count as u8,
            ..request.presented()
        };
        self.answered_at[self.count as usize % SLOTS] = NOT_YET;
        self.count += 1;
        let presented = self.cycle;
        loop {
            self.wait(presented, what)?;
            if self.outputs.ports[port].req_ready != 0 {
                self.inputs.ports[port].req_valid = 0;
                self.free_from = self.cycle + self.gap_cycles;
                return Ok(());
            }
        }
    }

    /// Waits for all answers.
    ///
    /// # Errors
    /// As [`Ticked::translate`].
    pub fn finish(&mut self) -> Result<(), Hang> {
        let presented = self.cycle;
        while self.oldest < self.count {
            self.wait(presented, || "the last references".to_owned())?;
        }
        self.perform_stores();
        Ok(())
    }

    /// One cycle, unless it has been long enough since `presented`.
    fn wait(&mut self, presented: u64, what: impl Fn() -> String) -> Result<(), Hang> {
        if self.cycle - presented >= self.patience_cycles {
            return Err(self.hang(presented, what()));
        }
        self.step();
        Ok(())
    }

    fn perform_stores(&mut self) {
        for (address, value) in self.stores.drain(..) {
            let stored = self.memory.write_u64(address, value);
            debug_assert!(stored.is_ok());
        }
    }

    /// Notes the answers of the cycle that is just over.
    fn note_answers(&mut self) {
        for shown in self
            .outputs
            .ports
            .iter()
            .filter(|port| port.resp_valid != 0)
        {
            let slot = usize::from(shown.resp_id) % SLOTS;
            self.answered_at[slot] = self.cycle;
            self.answers[slot] = Response::shown(shown);
        }
        while self.oldest < self.count && self.answered_at[self.oldest as usize % SLOTS] != NOT_YET
        {
            self.oldest += 1;
        }
    }

    /// The next control operation; whether it raised #GP.
    ///
    /// # Errors
    /// As [`Ticked::translate`].
    pub fn control(&mut self, operation: &Operation) -> Result<bool, Hang> {
        self.finish()?;
        let presented = self.cycle;
        self.inputs.control = operation.presented();
        while self.cycle - presented < self.patience_cycles {
            self.step();
            if self.outputs.control.ready != 0 {
                self.inputs.control = ControlIn {
                    valid: 0,
                    ..self.inputs.control
                };
            }
            if self.outputs.control.resp_valid != 0 {
                self.free_from = self.cycle;
                return Ok(self.outputs.control.resp_gp != 0);
            }
        }
        Err(self.hang(presented, format!("{operation:x?}")))
    }

    /// Another agent's store, in the cycle in which the next step begins.
    ///
    /// # Errors
    /// No memory stands there.
    pub fn store(&mut self, address: u64, value: u64) -> Result<(), crate::arch::BusError> {
        self.memory.read_u64(address)?;
        self.stores.push((address, value));
        Ok(())
    }

    fn step(&mut self) {
        self.inputs.memory = self.memory.inputs(self.cycle, false);
        self.twin.tick(&self.inputs, &mut self.outputs);
        self.memory
            .step(self.cycle, &self.inputs.memory, &self.outputs.memory);
        if self.counts {
            self.statistics.observe(&self.inputs, &self.outputs);
        }
        if let Some(log) = &mut self.log {
            log.observe(self.cycle, &self.inputs, &self.outputs);
        }
        self.note_answers();
        self.cycle += 1;
    }

    fn hang(&self, presented: u64, what: String) -> Hang {
        Hang {
            cycle: self.cycle,
            presented,
            what,
        }
    }

    /// The number of the cycle after the last answer.
    pub const fn cycles(&self) -> u64 {
        self.cycle
    }

    /// What the monitor showed since reset; all 0 if it was not to be counted.
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Its memory.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Its memory, to be changed between two steps.
    pub const fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// The machine.
    pub const fn twin(&self) -> &T {
        &self.twin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mmu;
    use crate::model::mmu_pkg::CTRL_MOV_CR3;

    /// Never ready, never an answer.
    struct Dead;

    impl Twin for Dead {
        fn name(&self) -> &'static str {
            "dead"
        }

        fn tick(&mut self, _: &Inputs, outputs: &mut Outputs) {
            *outputs = Outputs::default();
        }
    }

    #[test]
    fn a_machine_that_never_answers_is_given_up_and_the_report_says_on_what() {
        let config = Config::default();
        let mut dead = Ticked::new(&config, Dead, Memory::new(&config.memory, 1), false);
        let hang = dead
            .control(&Operation::new(CTRL_MOV_CR3, 0))
            .expect_err("it hangs");
        assert!(hang.to_string().contains("presented in cycle 0"), "{hang}");
    }

    #[test]
    fn after_a_reset_all_is_as_at_first() {
        let config = Config::default();
        let memory = Memory::new(&config.memory, 1);
        let mut ticked = Ticked::new(&config, Mmu::new(&config), memory, false);
        let operation = Operation::new(CTRL_MOV_CR3, 0x1000);
        assert_eq!(ticked.control(&operation), Ok(false));
        let first_cycles = ticked.cycles();
        ticked.reset();
        assert_eq!(ticked.control(&operation), Ok(false));
        assert_eq!(ticked.cycles(), 2 * first_cycles);
    }

    #[test]
    fn the_first_operation_is_answered_as_soon_as_by_arithmetic() {
        let config = Config::default();
        let memory = Memory::new(&config.memory, 1);
        let mut ticked = Ticked::new(&config, Mmu::new(&config), memory.clone(), true);
        let mut one = crate::model::OneAtATime::new(&config, memory);
        let operation = Operation::new(CTRL_MOV_CR3, 0x1000);
        assert_eq!(ticked.control(&operation), Ok(one.control(&operation)));
        assert_eq!(ticked.cycles(), one.cycles());
        assert_eq!(ticked.statistics(), one.statistics());
        assert_eq!(ticked.performance_counters(), *one.performance_counters());
    }
}
