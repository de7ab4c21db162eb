//! One reference at a time, each with its answer at once: the front end with a window of 1 and no gap, for callers that want each answer
//! before they ask further.
//!
//! Contract: 13.1 with W = 1 and G = 0. Counterpart: none.

use crate::config::Config;

use super::{Answered, FrontEnd, Operation};
use crate::model::alone::Alone;
use crate::model::memory::Memory;
use crate::model::mmu::Mmu;
use crate::model::performance_counters::PerformanceCounters;
use crate::model::port::Request;
use crate::model::statistics::Statistics;

/// A machine with its memory, fed one reference at a time.
#[derive(Clone, PartialEq, Debug)]
pub struct OneAtATime {
    front_end: FrontEnd,
}

impl OneAtATime {
    /// A machine of `config`, which must be valid, out of reset, and past the reset sweep. What the configuration says of the front end
    /// does not count.
    pub fn new(config: &Config, memory: Memory) -> Self {
        Self {
            front_end: FrontEnd::with_window(config, memory, 1, 0),
        }
    }

    /// The next reference, through `port`, which must exist: 0 for a fetch, 1 and up for data.
    #[inline(always)]
    pub fn translate(&mut self, port: usize, request: &Request) -> Alone {
        let from = self.front_end.mmu.now();
        self.front_end.translate_alone(port, request, from)
    }

    /// The next control operation; whether it raised #GP.
    pub fn control(&mut self, operation: &Operation) -> bool {
        self.front_end.control(operation, &mut |_: &Answered| {})
    }

    /// Another agent's store, in the cycle in which the next step begins.
    ///
    /// # Errors
    /// No memory stands there.
    pub fn store(&mut self, address: u64, value: u64) -> Result<(), crate::arch::BusError> {
        self.front_end.store(address, value)
    }

    /// The number of the cycle after the last answer.
    #[inline]
    pub const fn cycles(&self) -> u64 {
        self.front_end.mmu.now()
    }

    /// What was counted since reset.
    #[inline]
    pub const fn statistics(&self) -> &Statistics {
        self.front_end.mmu.statistics()
    }

    /// The performance counters since reset.
    #[inline]
    pub const fn performance_counters(&self) -> &PerformanceCounters {
        self.front_end.mmu.performance_counters()
    }

    /// The machine.
    pub const fn mmu(&self) -> &Mmu {
        &self.front_end.mmu
    }

    /// The memory.
    pub const fn memory(&self) -> &Memory {
        &self.front_end.memory
    }

    /// The machine and its memory.
    pub fn into_parts(self) -> (Mmu, Memory) {
        (self.front_end.mmu, self.front_end.memory)
    }
}
