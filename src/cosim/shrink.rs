//! Delta debugging: a stimulus that fails, cut down to a small one that still fails.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! Pieces of the operation sequence are left out, from large to small, as long as the run still fails in the same way; then cells of the
//! memory image; then stalls, gaps and the fields of requests are made plain. The result is not the smallest there is: no single piece of
//! it can be left out. Equal inputs give equal results, since what bounds the search is a number of runs and not time.

use super::stall::StallRates;
use super::stimulus::{Action, Operation, Stimulus};

/// What a run of a candidate came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It fails in the same way, after so many operations.
    Fails {
        /// Operations that happened.
        operations: u64,
    },
    /// It does not.
    Passes,
}

/// A stimulus cut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// The smallest that was found to fail.
    pub stimulus: Stimulus,
    /// Runs that it took.
    pub trials: u64,
    /// Whether the search came to its end, and not to that of the runs it was given.
    pub complete: bool,
}

/// Most runs that a search takes.
pub const DEFAULT_TRIALS: u64 = 4_000;

/// Cuts `stimulus` down with at most `most_trials` runs of `run`, which says whether a candidate fails in the way in question.
///
/// If the stimulus itself does not fail, it comes back as it is.
pub fn shrink(
    stimulus: &Stimulus,
    most_trials: u64,
    run: &mut dyn FnMut(&Stimulus) -> Trial,
) -> Shrunk {
    let mut search = Search {
        best: stimulus.clone(),
        trials: 0,
        most_trials,
        run,
    };
    if !search.accept(stimulus.clone()) {
        return Shrunk {
            stimulus: stimulus.clone(),
            trials: search.trials,
            complete: true,
        };
    }
    loop {
        let before = search.best.clone();
        search.drop_stalls();
        search.drop_operations();
        search.drop_cells();
        search.simplify_operations();
        if search.best == before || search.is_spent() {
            return Shrunk {
                complete: !search.is_spent(),
                trials: search.trials,
                stimulus: search.best,
            };
        }
    }
}

struct Search<'a> {
    best: Stimulus,
    trials: u64,
    most_trials: u64,
    run: &'a mut dyn FnMut(&Stimulus) -> Trial,
}

impl Search<'_> {
    fn is_spent(&self) -> bool {
        self.trials >= self.most_trials
    }

    /// Takes a candidate for the best one if it fails; what comes after the failure is cut off.
    fn accept(&mut self, mut candidate: Stimulus) -> bool {
        if self.is_spent() {
            return false;
        }
        self.trials += 1;
        let Trial::Fails { operations } = (self.run)(&candidate) else {
            return false;
        };
        candidate
            .operations
            .truncate(usize::try_from(operations).unwrap_or(usize::MAX));
        self.best = candidate;
        true
    }

    fn drop_stalls(&mut self) {
        if self.best.setup.stalls != StallRates::NONE {
            let mut candidate = self.best.clone();
            candidate.setup.stalls = StallRates::NONE;
            self.accept(candidate);
        }
    }

    /// Leaves out pieces of the operations: halves, quarters, and so on to single ones.
    fn drop_operations(&mut self) {
        let mut piece = self.best.operations.len().div_ceil(2);
        while piece > 0 {
            let mut start = 0;
            while start < self.best.operations.len() && !self.is_spent() {
                let end = (start + piece).min(self.best.operations.len());
                let mut candidate = self.best.clone();
                candidate.operations.drain(start..end);
                if !self.accept(candidate) {
                    start += piece;
                }
            }
            piece /= 2;
        }
    }

    fn drop_cells(&mut self) {
        let mut piece = self.best.setup.image.len().div_ceil(2);
        while piece > 0 {
            let addresses: Vec<u64> = self.best.setup.image.keys().copied().collect();
            for some in addresses.chunks(piece) {
                let mut candidate = self.best.clone();
                for address in some {
                    candidate.setup.image.remove(address);
                }
                if candidate != self.best {
                    self.accept(candidate);
                }
            }
            piece /= 2;
        }
    }

    /// Gaps to 0, or halved; requests without what they do not need.
    fn simplify_operations(&mut self) {
        let mut index = 0;
        while index < self.best.operations.len() && !self.is_spent() {
            for plainer in plainer(&self.best.operations[index]) {
                let mut candidate = self.best.clone();
                candidate.operations[index] = plainer;
                if self.accept(candidate) {
                    break;
                }
            }
            index += 1;
        }
    }
}

/// Operations that are plainer than this one, the plainest first.
fn plainer(operation: &Operation) -> Vec<Operation> {
    let mut list = Vec::new();
    let mut push = |candidate: Operation| {
        if candidate != *operation {
            list.push(candidate);
        }
    };
    push(Operation {
        gap_cycles: 0,
        ..*operation
    });
    push(Operation {
        gap_cycles: operation.gap_cycles / 2,
        ..*operation
    });
    if let Action::Request(request) = operation.action {
        let mut plain = request;
        plain.access.pkru = 0;
        plain.size_bytes = 1;
        plain.va &= !0xfff;
        push(Operation {
            action: Action::Request(plain),
            ..*operation
        });
        let mut plain = request;
        plain.access.ac = false;
        plain.access.implicit_supervisor = false;
        push(Operation {
            action: Action::Request(plain),
            ..*operation
        });
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::stimulus::Store;

    fn store(address: u64, gap_cycles: u32) -> Operation {
        Operation {
            gap_cycles,
            action: Action::Store(Store { address, value: 1 }),
        }
    }

    /// Fails once the stores 0x10, 0x20 and 0x30 have happened in this order, the last with a gap of at least 3.
    fn trial(stimulus: &Stimulus) -> Trial {
        let mut wanted = [0x10u64, 0x20, 0x30].into_iter().peekable();
        for (index, operation) in stimulus.operations.iter().enumerate() {
            let Action::Store(done) = operation.action else {
                continue;
            };
            if wanted.peek() == Some(&done.address)
                && (done.address != 0x30 || operation.gap_cycles >= 3)
            {
                wanted.next();
            }
            if wanted.peek().is_none() {
                return Trial::Fails {
                    operations: index as u64 + 1,
                };
            }
        }
        Trial::Passes
    }

    fn long() -> Stimulus {
        let mut stimulus = Stimulus::default();
        stimulus.setup.stalls = StallRates::uniform(100);
        stimulus.setup.image = (0..100).map(|cell| (8 * cell, cell)).collect();
        stimulus.operations = (0..5_000).map(|n| store(0x1000 + 8 * n, 1)).collect();
        stimulus.operations[700] = store(0x10, 9);
        stimulus.operations[1800] = store(0x20, 9);
        stimulus.operations[4100] = store(0x30, 9);
        stimulus
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let shrunk = shrink(&long(), DEFAULT_TRIALS, &mut trial);
        assert_eq!(
            shrunk.stimulus.operations,
            [store(0x10, 0), store(0x20, 0), store(0x30, 4)]
        );
        assert_eq!(shrunk.stimulus.setup.image.len(), 0);
        assert_eq!(shrunk.stimulus.setup.stalls, StallRates::NONE);
        assert!(
            shrunk.complete && shrunk.trials < 1_000,
            "{}",
            shrunk.trials
        );
    }

    #[test]
    fn a_stimulus_that_passes_comes_back_as_it_is() {
        let shrunk = shrink(&long(), DEFAULT_TRIALS, &mut |_| Trial::Passes);
        assert_eq!((shrunk.stimulus, shrunk.trials), (long(), 1));
    }

    #[test]
    fn the_search_ends_when_its_runs_are_spent() {
        let shrunk = shrink(&long(), 5, &mut trial);
        assert!(shrunk.trials <= 5 && !shrunk.complete);
        assert!(matches!(trial(&shrunk.stimulus), Trial::Fails { .. }));
    }
}
