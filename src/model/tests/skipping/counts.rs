//! What the performance counters of a crowded machine count in a cycle, by what the state was and what was seen to perform.
//!
//! Contract: 10.2, each line of the table taken literally. Counterpart: none.

use proptest::prelude::*;

use super::Crowd;
use crate::model::Mmu;
use crate::model::mmu_pkg::{Inputs, MEM_READ, Outputs};
use crate::model::walker::{End, WalkState};

impl Crowd {
    /// The counters show what they were, and go on by what this cycle had.
    pub(super) fn check_counts(
        &self,
        before: &Mmu,
        inputs: &Inputs,
        outputs: &Outputs,
    ) -> Result<(), TestCaseError> {
        prop_assert_eq!(&outputs.perf, before.performance_counters().values());
        let mut perf = outputs.perf;
        let kind = |entry: usize| before.miss_queue.entry(entry).request.access.kind as usize;
        let mut busy = [0; 3];
        for (number, walker) in before.walkers.iter().enumerate() {
            let now = &self.mmu.walkers[number];
            if walker.state() == WalkState::Idle {
                if now.state() != WalkState::Idle && now.owner() < 16 {
                    perf[10 * kind(now.owner())] += 1;
                }
                continue;
            }
            if walker.owner() < 16 {
                busy[kind(walker.owner())] += 1;
            }
        }
        for (kind, busy) in busy.into_iter().enumerate() {
            perf[10 * kind + 5] += busy;
            perf[10 * kind + 6] += u64::from(busy > 0);
        }
        for (number, walk) in outputs.monitor.walk.iter().enumerate() {
            if walk.entry >= 16 {
                continue;
            }
            let first = 10 * kind(usize::from(walk.entry));
            match (walk.op, before.walkers[number].end()) {
                (3, Some(End::Translated(size))) => perf[first + [1, 2, 3, 2][size as usize]] += 1,
                (3, end) => prop_assert!(false, "translated, and {:?}", end),
                (4 | 5, _) => perf[first + 4] += 1,
                _ => {}
            }
        }
        let entry = usize::from(outputs.monitor.stlb_entry);
        if entry < 16 && (1..=3).contains(&outputs.monitor.stlb_lookup) {
            let tag = self.mmu.miss_queue.entry(entry).found.entry.tag;
            perf[10 * kind(entry) + [7, 8, 9, 8][(tag >> 60 & 3) as usize]] += 1;
        }
        let (asked, shown) = (&inputs.memory, &outputs.memory);
        let read = shown.req_valid != 0 && asked.req_ready != 0 && shown.req_op == MEM_READ;
        perf[30] += u64::from(read);
        if before.decide().control_performs {
            let invalidation = before.control.clone().execute(&before.spec.capabilities);
            perf[31] += u64::from(!invalidation.is_none());
        }
        prop_assert_eq!(&perf, self.mmu.performance_counters().values());
        Ok(())
    }
}
