//! Delta debugging: a stimulus that fails, cut down to a small one that still fails.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! What a long stimulus did before its last operations is mostly noise: so at first all is left out but these and what sets the machine up.
//! Then pieces of the operation sequence are left out, from large to small, as long as the run still fails in the same way; then cells of the
//! memory image; then stalls, gaps and the fields of requests are made plain; at last two operations at a time are left out, if many are
//! there still. The result is not the smallest there is: no single piece of it can be left out. Equal inputs give equal results, since what bounds the search is a number of runs and not time.

use std::collections::BTreeSet;

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

/// So few operations are worth more runs each.
const FEW: usize = 64;
/// So few operations are read as they are.
const SMALL: usize = 12;
/// Most groups of a kind that are tried one by one.
const MOST_GROUPS: usize = 64;

/// By what operations belong together: port, page, cell, register.
const GROUPS: [fn(&Action) -> Option<u64>; 4] = [
    |action| match action {
        Action::Request(request) => Some(request.port.into()),
        _ => None,
    },
    |action| match action {
        Action::Request(request) => Some(request.va >> 12),
        _ => None,
    },
    |action| match action {
        Action::Store(store) => Some(store.address),
        Action::StoreHalf(store) => Some(store.address),
        _ => None,
    },
    |action| match action {
        Action::Control(control) => Some(control.kind as u64),
        _ => None,
    },
];

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
    search.keep_tail();
    loop {
        let before = search.best.clone();
        search.drop_stalls();
        search.drop_groups();
        search.drop_operations();
        search.drop_in_time();
        search.drop_cells();
        search.simplify_operations();
        if search.is_spent() || search.best == before && !search.drop_pairs() {
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

    /// Leaves out all but the last operations and what sets the machine up, each from little to much.
    ///
    /// Such candidates run for a short time whether they fail or not, and a long stimulus without a half of it does not.
    fn keep_tail(&mut self) {
        let operations = &self.best.operations;
        let is_request = |it: &Operation| matches!(it.action, Action::Request(_));
        let boot = operations.iter().position(is_request).unwrap_or(0);
        let sets_up = |much: u32, index: usize, action: &Action| match action {
            Action::Control(_) => much > 0 || index < boot,
            Action::Store(_) | Action::StoreHalf(_) => much > 1 || index < boot,
            _ => index < boot,
        };
        let mut tail = 16;
        while 2 * tail <= self.best.operations.len() {
            let first_of_tail = self.best.operations.len() - tail;
            for much in 0..3 {
                let mut candidate = Stimulus {
                    setup: self.best.setup.clone(),
                    operations: Vec::new(),
                };
                let all = self.best.operations.iter().enumerate();
                let kept = all.filter(|(index, it)| {
                    *index >= first_of_tail || sets_up(much, *index, &it.action)
                });
                candidate.operations.extend(kept.map(|(_, it)| *it));
                if self.accept(candidate) {
                    return;
                }
            }
            tail *= 4;
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

    /// Leaves out at once all operations on one port, page, cell or register; of a kind with very many of them none.
    fn drop_groups(&mut self) {
        for group in GROUPS {
            let operations = self.best.operations.iter();
            let groups: BTreeSet<u64> = operations.filter_map(|it| group(&it.action)).collect();
            if groups.len() > MOST_GROUPS {
                continue;
            }
            for wanted in groups {
                let mut candidate = self.best.clone();
                candidate
                    .operations
                    .retain(|it| group(&it.action) != Some(wanted));
                self.accept(candidate);
            }
        }
    }

    /// Leaves out single operations whose time must pass: the one behind comes later instead.
    fn drop_in_time(&mut self) {
        let mut index = 0;
        while index + 1 < self.best.operations.len() && !self.is_spent() {
            if self.best.operations.len() > FEW {
                return;
            }
            let dropped = [1, 8, 24].into_iter().any(|cycles| {
                let mut candidate = self.best.clone();
                let gap = candidate.operations.remove(index).gap_cycles;
                let behind = &mut candidate.operations[index].gap_cycles;
                *behind = behind.saturating_add(gap).saturating_add(cycles);
                self.accept(candidate)
            });
            index += usize::from(!dropped);
        }
    }

    /// Leaves out two operations at a time, none of which can go alone; whether it found any. A result that is small needs none of it.
    fn drop_pairs(&mut self) -> bool {
        let before = self.best.operations.len();
        if before > FEW {
            return false;
        }
        let mut first = 0;
        while first < self.best.operations.len() {
            let mut second = first + 1;
            while second < self.best.operations.len() {
                if self.best.operations.len() <= SMALL || self.is_spent() {
                    return self.best.operations.len() < before;
                }
                let mut candidate = self.best.clone();
                candidate.operations.remove(second);
                candidate.operations.remove(first);
                if !self.accept(candidate) {
                    second += 1;
                }
            }
            first += 1;
        }
        self.best.operations.len() < before
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
    use crate::arch::{Access, AccessKind};
    use crate::cosim::stimulus::{Control, ControlKind, Request, Store};

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

    /// Two stores of which either alone takes the failure away, and a store whose only part is the cycle that it takes.
    #[test]
    fn operations_that_can_go_only_in_pairs_and_those_that_only_take_time_are_left_out() {
        let needed = [0x100u64, 0x108, 0x110, 0x118, 0x120, 0x128, 0x130, 0x138];
        let mut stimulus = Stimulus {
            operations: needed.map(|address| store(address, 0)).to_vec(),
            ..Stimulus::default()
        };
        stimulus.operations.insert(3, store(0x10, 0));
        for pair in 0..4 {
            stimulus
                .operations
                .insert(2 * pair, store(0x20, pair as u32));
            let end = stimulus.operations.len();
            stimulus.operations.insert(end, store(0x20, pair as u32));
        }
        stimulus.operations.push(store(0x28, 0));
        let shrunk = shrink(&stimulus, DEFAULT_TRIALS, &mut |candidate| {
            let all = &candidate.operations;
            let stores = |wanted: u64| {
                let is_it = move |it: &&Operation| matches!(it.action, Action::Store(done) if done.address == wanted);
                all.iter().filter(is_it).count()
            };
            let waited: u32 = all.iter().map(|it| it.gap_cycles).sum();
            let in_time = stores(0x10) > 0 || waited >= 1;
            let has_all = needed.iter().all(|address| stores(*address) == 1);
            let paired = stores(0x20) % 2 == 0 && stores(0x20) > 0;
            if has_all && in_time && paired && stores(0x28) == 1 {
                Trial::Fails {
                    operations: all.len() as u64,
                }
            } else {
                Trial::Passes
            }
        });
        let left = shrunk.stimulus.operations;
        let alike = |wanted: u64| {
            let is_it = |it: &&Operation| matches!(it.action, Action::Store(done) if done.address == wanted);
            left.iter().filter(is_it).count()
        };
        assert_eq!(
            (left.len(), alike(0x10), alike(0x20)),
            (11, 0, 2),
            "{left:?}"
        );
    }

    /// Long candidates are few: what runs cost is their operations.
    #[test]
    fn of_a_long_stimulus_little_is_run_if_its_end_and_its_registers_make_it_fail() {
        let control = Operation::now(Action::Control(Control::new(ControlKind::MovCr3, 0x1000)));
        let mut stimulus = long();
        let read = Action::Request(Request {
            port: 1,
            va: 0x1000,
            access: Access::new(AccessKind::Read, 0),
            size_bytes: 1,
        });
        stimulus.operations = vec![Operation::now(read); 100_000];
        stimulus.operations[40_000] = control;
        stimulus.operations[99_990] = store(0x10, 0);
        let mut run = 0;
        let shrunk = shrink(&stimulus, DEFAULT_TRIALS, &mut |candidate| {
            run += candidate.operations.len();
            let all = &candidate.operations;
            let set_up = all.iter().position(|it| *it == control);
            let last = all.iter().position(|it| *it == store(0x10, 0));
            match (set_up, last) {
                (Some(first), Some(last)) if first < last => Trial::Fails {
                    operations: last as u64 + 1,
                },
                _ => Trial::Passes,
            }
        });
        assert_eq!(shrunk.stimulus.operations, [control, store(0x10, 0)]);
        assert!(run < 110_000, "{run} operations ran");
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
