//! The commit arbiter: which of the walkers' STARTs and DONEs, and of the results of the STLB, performs in a cycle.
//!
//! Contract: 7.4. SDM: none. Counterpart: the commit arbiter of `rtl/mmu.sv`.

use super::mmu::{Cycle, Mmu};
use super::monitor::Sink;
use super::spec::Spec;
use super::walker::{End, WalkState, WalkStates};

/// What commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Commit {
    /// START of this walker.
    Start(usize),
    /// DONE of this walker.
    Done(usize),
    /// The result of the STLB for this entry of the miss queue.
    Result(usize),
    /// The same while `passed_over` is 1: the order stays as it is, or walkers could take turns with each other for ever.
    ResultOutOfTurn(usize),
}

impl Mmu {
    /// What commits in a cycle in which control is not busy, given the states of the walkers.
    #[inline]
    pub(super) fn decide_commit(&self, walkers: WalkStates) -> Option<Commit> {
        let result = self
            .miss_queue
            .oldest_result()
            .filter(|number| self.miss_queue.entry(*number).result_from <= self.now);
        if self.miss_queue.passed_over {
            return result.map(Commit::ResultOutOfTurn);
        }
        let results_number = self.spec.walkers;
        let ready = u32::from(result.is_some()) << results_number | walkers.committing();
        let number = self.commit_order.next_of(ready)?;
        if number == results_number {
            return result.map(Commit::Result);
        }
        Some(if walkers.of(WalkState::Start) >> number & 1 != 0 {
            Commit::Start(number)
        } else {
            Commit::Done(number)
        })
    }

    /// Draws from what commits what it does to others in this cycle.
    pub(super) fn decide_effects(&self, cycle: &mut Cycle) {
        match cycle.commit {
            None => {}
            Some(Commit::Start(walker)) => {
                cycle.drop = self.walk_entry(walker).is_some_and(|entry| entry.from_cr3);
            }
            Some(Commit::Done(walker)) => {
                cycle.done = true;
                let Some(entry) = self.walk_entry(walker) else {
                    return;
                };
                let (port, end) = (usize::from(entry.port), self.walkers[walker].end());
                cycle.freed = 1 << self.walkers[walker].owner();
                cycle.pushes_to = Some(port);
                cycle.drop = matches!(end, Some(End::PageFault(_)));
                if let Some(End::Translated(size)) = end {
                    let level = Spec::first_level(port);
                    let places = self.places.of(level, entry.request.access.kind);
                    cycle.fills_level[level] =
                        entry.right_to_fill && places.of_size(size).is_some();
                }
            }
            Some(Commit::Result(number) | Commit::ResultOutOfTurn(number)) => {
                let entry = self.miss_queue.entry(number);
                if entry.found.code >= super::mmu_pkg::LOOKUP_MISS {
                    return;
                }
                let port = usize::from(entry.port);
                let level = Spec::first_level(port);
                cycle.freed = 1 << number;
                cycle.pushes_to = Some(port);
                let places = self.places.of(level, entry.request.access.kind);
                cycle.fills_level[level] =
                    entry.result_fills() && places.of_size(entry.found.size).is_some();
            }
        }
    }

    /// What commits, performs.
    pub(super) fn perform_commit(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        let Some(commit) = cycle.commit else { return };
        match commit {
            Commit::Start(walker) => {
                self.commit_order.choose(walker);
                self.start_walk(walker, self.now, sink);
            }
            Commit::Done(walker) => {
                self.commit_order.choose(walker);
                if let Some((port, response)) = self.end_walk(walker, self.now, sink) {
                    self.respond(port, response, sink);
                }
            }
            Commit::Result(number) => {
                self.commit_order.choose(self.spec.walkers);
                self.finish_stlb(number, sink);
            }
            Commit::ResultOutOfTurn(number) => self.finish_stlb(number, sink),
        }
    }
}
