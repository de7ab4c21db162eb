//! What the streams of a campaign counted, added in their order, so that the answer does not depend on the number of threads.
//!
//! Contract: none. SDM: none. Counterpart: [`crate::cosim::campaign`], whose rule it follows: of streams that end with a finding the first
//! in order is the last that counts, unless the campaign keeps going.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cells::Cells;
use super::points::Points;
use super::sampler::ALL;

/// What was counted in one stream, or in several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Of the RTL; none, if it did not run.
    pub points: Points,
    /// Of the crosses.
    pub cells: Cells,
}

impl Counted {
    /// Nothing.
    pub fn nothing() -> Self {
        Self {
            points: Points::default(),
            cells: Cells::new(&ALL),
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.points.add(&other.points);
        self.cells.add(&other.cells);
    }
}

/// The streams of a campaign.
#[derive(Debug)]
pub struct Streams {
    keep_going: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The number of the stream that is added next.
    next: u64,
    /// A stream ended with a finding: those behind it do not count.
    ended: bool,
    /// Those that came before their turn, and whether they ended with a finding.
    early: BTreeMap<u64, (Counted, bool)>,
    sum: Counted,
}

impl Streams {
    /// None yet.
    pub fn new(keep_going: bool) -> Self {
        Self {
            keep_going,
            state: Mutex::new(State {
                next: 0,
                ended: false,
                early: BTreeMap::new(),
                sum: Counted::nothing(),
            }),
        }
    }

    /// Takes what stream `number` counted; `found`: it ended with a finding.
    pub fn put(&self, number: u64, counted: Counted, found: bool) {
        let mut state = self.lock();
        state.early.insert(number, (counted, found));
        while let Some((counted, found)) = {
            let next = state.next;
            state.early.remove(&next)
        } {
            state.add(&counted, found && !self.keep_going);
        }
    }

    /// What they counted together.
    pub fn finish(self) -> Counted {
        let keep_going = self.keep_going;
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        // A number may be missing where time was up.
        for (counted, found) in std::mem::take(&mut state.early).into_values() {
            state.add(&counted, found && !keep_going);
        }
        state.sum
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, counted: &Counted, ends: bool) {
        if !self.ended {
            self.sum.add(counted);
        }
        self.ended |= ends;
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(cell: usize) -> Counted {
        let mut counted = Counted::nothing();
        counted.cells.hit(0, cell);
        counted
    }

    fn sum(order: &[u64], failing: u64, keep_going: bool) -> Counted {
        let streams = Streams::new(keep_going);
        for number in order {
            streams.put(*number, counted(*number as usize), *number == failing);
        }
        streams.finish()
    }

    #[test]
    fn the_sum_does_not_depend_on_the_order_in_which_streams_end() {
        for keep_going in [false, true] {
            let alone = sum(&[0, 1, 2, 3], 2, keep_going);
            assert_eq!(sum(&[3, 1, 0, 2], 2, keep_going), alone);
            assert_eq!(sum(&[2, 3, 1, 0], 2, keep_going), alone);
            // The one behind the finding counts if the campaign keeps going.
            assert_eq!(alone.cells.of(0)[3], u64::from(keep_going));
            assert_eq!(alone.cells.of(0)[2], 1);
        }
    }

    #[test]
    fn a_stream_that_never_began_leaves_a_gap_and_no_more() {
        let sum = sum(&[0, 2], 9, false);
        assert_eq!(&sum.cells.of(0)[..3], [1, 0, 1]);
    }
}
