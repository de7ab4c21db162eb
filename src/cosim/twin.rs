//! What the harness needs of a twin, and of a checker of its stream: the seams at which model, RTL and reference are plugged in.
//!
//! Contract: section 1 (cycles). SDM: none. Counterpart: none.

use super::stimulus::Store;
use crate::model::mmu_pkg::{Inputs, Outputs};
use crate::model::{Mmu, PerformanceCounters};

/// A machine that can be stepped: the model, the RTL, or anybody's.
pub trait Twin {
    /// What reports call it.
    fn name(&self) -> &'static str;

    /// One cycle: the outputs that the state at its start shows, then the edge that ends it. Everything in `outputs` is written.
    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs);

    /// The stores of other agents in the cycle that is ticked next, if there are any: what a twin that tells of itself needs to know.
    fn hear_stores(&mut self, _stores: &[Store]) {}

    /// How many cycles, the next one included, cannot change anything as long as no link transfers. 0: the next cycle must be ticked.
    fn quiet_cycles(&self) -> u64 {
        0
    }

    /// What the state shows, onto outputs that are all 0: what [`Twin::tick`] would show in the first of the quiet cycles.
    fn show(&self, _outputs: &mut Outputs) {}

    /// What the performance counters (contract 10.2) show in the next cycle.
    fn performance_counters(&mut self) -> PerformanceCounters {
        let mut shown = Outputs::ZERO;
        self.show(&mut shown);
        PerformanceCounters::shown(&shown)
    }

    /// Brings what a quiet cycle shows, the twin not having been told that it passed, to what the next one does: counters may go on.
    fn show_next(&self, _outputs: &mut Outputs) {}

    /// Passes over `cycles` quiet cycles.
    fn skip(&mut self, _cycles: u64) {}

    /// How many assertions have failed so far.
    fn failed_assertions(&self) -> u64 {
        0
    }

    /// The first failed assertion: its cycle, if it was not under reset, and what it says.
    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        None
    }
}

impl Twin for Mmu {
    fn name(&self) -> &'static str {
        "model"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        Self::tick(self, inputs, outputs);
    }

    fn quiet_cycles(&self) -> u64 {
        self.next_event().unwrap_or(u64::MAX)
    }

    fn show(&self, outputs: &mut Outputs) {
        Self::show(self, outputs);
    }

    fn show_next(&self, outputs: &mut Outputs) {
        self.show_later(1, outputs);
    }

    fn skip(&mut self, cycles: u64) {
        Self::skip(self, cycles);
    }
}

#[cfg(feature = "rtl")]
impl Twin for super::rtl::Rtl {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        *outputs = *Self::tick(self, inputs);
    }

    fn performance_counters(&mut self) -> PerformanceCounters {
        let idle = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        PerformanceCounters::shown(self.probe(&idle))
    }

    fn failed_assertions(&self) -> u64 {
        self.error_count().into()
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        self.errors()
            .first()
            .map(|failure| (failure.cycle, failure.text.clone()))
    }
}

macro_rules! forwarded {
    ($($pointer:ty),*) => {$(
impl<T: Twin + ?Sized> Twin for $pointer {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        (**self).tick(inputs, outputs);
    }

    fn hear_stores(&mut self, stores: &[Store]) {
        (**self).hear_stores(stores);
    }

    fn quiet_cycles(&self) -> u64 {
        (**self).quiet_cycles()
    }

    fn show(&self, outputs: &mut Outputs) {
        (**self).show(outputs);
    }

    fn performance_counters(&mut self) -> PerformanceCounters {
        (**self).performance_counters()
    }

    fn show_next(&self, outputs: &mut Outputs) {
        (**self).show_next(outputs);
    }

    fn skip(&mut self, cycles: u64) {
        (**self).skip(cycles);
    }

    fn failed_assertions(&self) -> u64 {
        (**self).failed_assertions()
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        (**self).first_failed_assertion()
    }
}
    )*};
}

forwarded!(Box<T>, &mut T);

/// The twin that is not there: the second one of a run of the model alone.
#[derive(Debug)]
pub enum NoTwin {}

impl Twin for NoTwin {
    fn name(&self) -> &'static str {
        match *self {}
    }

    fn tick(&mut self, _inputs: &Inputs, _outputs: &mut Outputs) {
        match *self {}
    }
}
