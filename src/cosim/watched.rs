//! A twin whose cycles somebody looks at, and the window around a finding that is worth looking at.
//!
//! Contract: section 1 (cycles). SDM: none. Counterpart: none.

use super::events::EventLog;
use super::stimulus::Store;
use super::twin::Twin;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// Cycles that go on after the cycle of a finding.
pub const AFTER_CYCLES: u64 = 20;

/// A twin that is ticked in every cycle, and a function that is told of each cycle without reset, from 0 on.
pub struct Watched<T, F> {
    twin: T,
    watch: F,
    cycle: u64,
    stores: Vec<Store>,
}

impl<T: Twin, F: FnMut(u64, &Inputs, &Outputs, &[Store])> Watched<T, F> {
    /// `twin`, in reset.
    pub const fn new(twin: T, watch: F) -> Self {
        Self {
            twin,
            watch,
            cycle: 0,
            stores: Vec::new(),
        }
    }
}

impl<T: Twin, F: FnMut(u64, &Inputs, &Outputs, &[Store])> Twin for Watched<T, F> {
    fn name(&self) -> &'static str {
        self.twin.name()
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.twin.tick(inputs, outputs);
        if inputs.rst_n != 0 {
            (self.watch)(self.cycle, inputs, outputs, &self.stores);
            self.cycle += 1;
        }
        self.stores.clear();
    }

    fn hear_stores(&mut self, stores: &[Store]) {
        self.stores.extend_from_slice(stores);
    }

    fn failed_assertions(&self) -> u64 {
        self.twin.failed_assertions()
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        self.twin.first_failed_assertion()
    }
}

/// Writes what happened in each cycle as one line of text.
#[derive(Debug)]
pub struct EventLine {
    log: EventLog,
    lines: String,
    line: String,
}

impl EventLine {
    /// Over a log at cycle 0.
    pub const fn new(log: EventLog) -> Self {
        Self {
            log,
            lines: String::new(),
            line: String::new(),
        }
    }

    /// What happened in this cycle: kind and facts of each event, with a semicolon between two; empty if nothing happened.
    pub fn of(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs, stores: &[Store]) -> &str {
        self.lines.clear();
        self.line.clear();
        self.log
            .write_cycle(cycle, inputs, outputs, stores, &mut self.lines);
        for event in self.lines.lines() {
            if !self.line.is_empty() {
                self.line.push(';');
            }
            // The cycle comes first.
            for word in event.split_whitespace().skip(1) {
                if !self.line.is_empty() {
                    self.line.push(' ');
                }
                self.line.push_str(word);
            }
        }
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::cosim::events::ArrayNames;
    use crate::model::Mmu;

    fn out_of_reset() -> Inputs {
        Inputs {
            rst_n: 1,
            ..Inputs::default()
        }
    }

    #[test]
    fn each_cycle_without_reset_is_told_with_its_number_and_its_stores() {
        let mut told = Vec::new();
        let mmu = Mmu::new(&Config::default());
        let mut twin = Watched::new(mmu, |cycle, _: &Inputs, _: &Outputs, stores: &[Store]| {
            told.push((cycle, stores.len()));
        });
        let mut outputs = Outputs::ZERO;
        twin.tick(&Inputs::default(), &mut outputs);
        for cycle in 0..3 {
            if cycle == 1 {
                let store = Store {
                    address: 8,
                    value: 1,
                };
                twin.hear_stores(&[store]);
            }
            twin.tick(&out_of_reset(), &mut outputs);
        }
        assert_eq!(told, [(0, 0), (1, 1), (2, 0)]);
    }

    #[test]
    fn the_events_of_a_cycle_are_one_line_without_its_number() {
        let mut events = EventLine::new(EventLog::new(ArrayNames::new(&Config::default())));
        let mut inputs = out_of_reset();
        let mut outputs = Outputs::ZERO;
        assert_eq!(events.of(6, &inputs, &outputs, &[]), "");
        inputs.ports[1].req_valid = 1;
        inputs.ports[1].req_va = 0x1234;
        outputs.ports[1].req_ready = 1;
        outputs.control.cr3 = 0x1000;
        let line = events.of(7, &inputs, &outputs, &[]);
        assert_eq!(
            line,
            "request data1 #0 read 0x1234 cpl 0; register cr3 = 0x1000"
        );
    }
}
