//! The machine that a trace runs through: the model by arithmetic on time, or the RTL by ticking.
//!
//! Contract: none of its own. SDM: none. Counterpart: none.

use thiserror::Error;

use super::figures::Snapshot;
use crate::config::Config;
use crate::cosim::request_log::Row;
use crate::cosim::ticked::{Hang, Ticked};
use crate::cosim::twin::Twin;
use crate::model::{Answered, FrontEnd, Memory, Operation, Request, Statistics};

/// A machine that is found to be wrong by itself. It ends the run, and with it the command as a check that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Broken {
    /// No answer.
    #[error("{0}")]
    Hang(#[from] Hang),
    /// An assertion of the RTL failed.
    #[error("an assertion of the RTL failed{}: {text}", cycle.map(|cycle| format!(" in cycle {cycle}")).unwrap_or_default())]
    Assertion {
        /// The cycle, unless under reset.
        cycle: Option<u64>,
        /// What it says.
        text: String,
    },
    /// The figures break a law of conservation.
    #[error("the figures do not add up: {0}")]
    Conservation(String),
}

/// Either kind of machine. The RTL is behind a pointer, because builds without RTL have it too, and then never one of it.
pub enum AnyMachine {
    /// The model.
    Model(Box<FrontEnd>),
    /// A twin that is ticked, which counts.
    Ticked(Box<Ticked<Box<dyn Twin>>>),
}

impl AnyMachine {
    /// The model of `config`.
    pub fn model(config: &Config) -> Self {
        Self::Model(Box::new(FrontEnd::new(config, memory(config))))
    }

    /// A twin of `config`, ticked.
    pub fn ticked(config: &Config, twin: impl Twin + 'static) -> Self {
        let twin: Box<dyn Twin> = Box::new(twin);
        Self::Ticked(Box::new(Ticked::new(config, twin, memory(config), true)))
    }

    /// The same, of which rows can be taken.
    pub fn ticked_with_rows(config: &Config, twin: impl Twin + 'static) -> Self {
        let twin: Box<dyn Twin> = Box::new(twin);
        let ticked = Ticked::new(config, twin, memory(config), true);
        Self::Ticked(Box::new(ticked.with_rows(config)))
    }

    /// The next row of a request that has its answer, if rows are made.
    pub fn next_row(&mut self) -> Option<Row> {
        match self {
            Self::Model(_) => None,
            Self::Ticked(ticked) => ticked.next_row(),
        }
    }

    /// Goes to the cycle in which the next reference is first offered, and says what was counted before it.
    ///
    /// # Errors
    /// The machine does not answer.
    pub fn border(&mut self) -> Result<Snapshot, Broken> {
        match self {
            Self::Model(front_end) => front_end.settle(&mut |_: &Answered| {}),
            Self::Ticked(ticked) => ticked.settle()?,
        }
        Ok(self.snapshot())
    }

    /// What was counted until now: after [`AnyMachine::border`], or once all answers are in.
    pub fn snapshot(&mut self) -> Snapshot {
        let counters = match self {
            Self::Model(front_end) => *front_end.performance_counters(),
            Self::Ticked(ticked) => ticked.performance_counters(),
        };
        Snapshot {
            statistics: self.statistics().clone(),
            counters,
        }
    }

    /// Another agent's store, in the cycle in which the next step begins. Tables lie in memory: the mapping was made for its size.
    pub fn store(&mut self, address: u64, value: u64) {
        let stored = match self {
            Self::Model(front_end) => front_end.store(address, value),
            Self::Ticked(ticked) => ticked.store(address, value),
        };
        debug_assert!(stored.is_ok());
    }

    /// The next reference.
    ///
    /// # Errors
    /// The machine does not answer.
    pub fn translate(&mut self, request: &Request) -> Result<(), Broken> {
        match self {
            Self::Model(front_end) => front_end.translate(request, &mut |_: &Answered| {}),
            Self::Ticked(ticked) => ticked.present(request)?,
        }
        Ok(())
    }

    /// Waits for all answers.
    ///
    /// # Errors
    /// The machine does not answer.
    pub fn finish(&mut self) -> Result<(), Broken> {
        match self {
            Self::Model(front_end) => front_end.finish(&mut |_: &Answered| {}),
            Self::Ticked(ticked) => ticked.finish()?,
        }
        Ok(())
    }

    /// The next control operation.
    ///
    /// # Errors
    /// The machine does not answer.
    pub fn control(&mut self, operation: &Operation) -> Result<(), Broken> {
        match self {
            Self::Model(front_end) => {
                front_end.control(operation, &mut |_: &Answered| {});
            }
            Self::Ticked(ticked) => {
                ticked.control(operation)?;
            }
        }
        Ok(())
    }

    /// The number of the cycle after the last answer.
    pub fn cycles(&self) -> u64 {
        match self {
            Self::Model(front_end) => front_end.cycles(),
            Self::Ticked(ticked) => ticked.cycles(),
        }
    }

    /// What was counted since reset.
    pub fn statistics(&self) -> &Statistics {
        match self {
            Self::Model(front_end) => front_end.statistics(),
            Self::Ticked(ticked) => ticked.statistics(),
        }
    }

    /// Whether the machine is sound as far as one can tell by itself.
    ///
    /// # Errors
    /// What is not.
    pub fn judge(&self) -> Result<(), Broken> {
        if let Self::Ticked(ticked) = self
            && let Some((cycle, text)) = ticked.twin().first_failed_assertion()
        {
            return Err(Broken::Assertion { cycle, text });
        }
        self.statistics()
            .check_conservation()
            .map_err(Broken::Conservation)
    }
}

/// The memory behind either. The seed, which decides the jitter, is that of the mapping.
fn memory(config: &Config) -> Memory {
    Memory::new(&config.memory, config.mapping.seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mmu;
    use crate::model::mmu_pkg::{CTRL_MOV_CR3, Inputs, Outputs};

    /// The model, with an assertion that has failed.
    struct Failing(Mmu);

    impl Twin for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }

        fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
            self.0.tick(inputs, outputs);
        }

        fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
            Some((Some(7), "one match at most".to_owned()))
        }
    }

    #[test]
    fn a_failed_assertion_of_the_rtl_is_a_difference_and_a_sound_machine_is_none() {
        let config = Config::default();
        let operation = Operation::new(CTRL_MOV_CR3, 0);
        let mut failing = AnyMachine::ticked(&config, Failing(Mmu::new(&config)));
        assert_eq!(failing.control(&operation), Ok(()));
        let broken = failing.judge().expect_err("an assertion failed");
        assert_eq!(
            broken.to_string(),
            "an assertion of the RTL failed in cycle 7: one match at most"
        );
        let mut sound = AnyMachine::model(&config);
        assert_eq!(sound.control(&operation), Ok(()));
        assert_eq!(sound.judge(), Ok(()));
        assert_eq!(sound.cycles(), failing.cycles());
    }
}
