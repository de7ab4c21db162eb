//! Who performs in a cycle of a crowded machine, by what the state was and what was seen to perform.
//!
//! Contract: 6, 7 and 8. Counterpart: none.

use proptest::prelude::*;

use super::Crowd;
use crate::config::WalkerOrder;
use crate::model::Mmu;
use crate::model::mmu_pkg::Outputs;

impl Crowd {
    /// Contract 6, 7 and 8: who performs in a cycle, and who must wait, by what the state was and what was seen to perform.
    pub(super) fn check_who_performs(
        &self,
        before: &Mmu,
        outputs: &Outputs,
    ) -> Result<(), TestCaseError> {
        use crate::model::control::ControlState::{Pend, Sweep};
        use crate::model::miss_queue::MissState::{Free, Retry, StlbBusy, StlbWait};
        use crate::model::walker::WalkState::{Done, Start};
        let (was, is) = (before.control.state(), self.mmu.control.state());
        let busy = was == Sweep || (was == Pend && is != Pend);
        let monitor = &outputs.monitor;
        let entry = |number: usize| before.miss_queue.entry(number);
        // What commits: all that may, and the one that was seen to.
        let walkers = before.spec.walkers;
        let oldest = before.miss_queue.oldest_result();
        let due = oldest.filter(|number| entry(*number).result_from <= before.now);
        let mut may = u32::from(due.is_some()) << walkers;
        let mut did = 0;
        for number in 0..walkers {
            let (state, op) = (before.walkers[number].state(), monitor.walk[number].op);
            may |= u32::from(matches!(state, Start | Done)) << number;
            did |= u32::from(op != 0) << number;
            let fits = match op {
                0 => true,
                1 | 2 => state == Start,
                _ => state == Done,
            };
            prop_assert!(fits, "walker {} in {:?} does {}", number, state, op);
        }
        let finished = (0..16)
            .filter(|number| entry(*number).state == StlbBusy)
            .filter(|number| self.mmu.miss_queue.entry(*number).state != StlbBusy)
            .collect::<Vec<_>>();
        did |= (finished.len() as u32) << walkers;
        if before.miss_queue.passed_over {
            may &= 1 << walkers;
        }
        let back = !busy && before.evicted.is_some();
        let next = before.commit_order.next_of(may);
        let next = next.filter(|_| !busy && !back);
        prop_assert_eq!(did, next.map_or(0, |number| 1 << number));
        prop_assert!(finished.iter().all(|number| Some(*number) == due));
        // What it does to others.
        let mut pushes_to = None;
        let mut drop = false;
        for walk in &monitor.walk {
            let of_request = walk.op != 0 && walk.entry < 16;
            let from_cr3 = of_request && entry(usize::from(walk.entry)).from_cr3;
            drop |= walk.op == 4 || walk.op == 2 || (walk.op == 1 && from_cr3);
            if of_request && walk.op >= 3 {
                pushes_to = Some(walk.port);
            }
        }
        let done = monitor.walk.iter().any(|walk| walk.op >= 3);
        for number in &finished {
            if entry(*number).found.code <= 3 {
                pushes_to = Some(entry(*number).port);
            }
        }
        let filled = |level: usize| (0..4).any(|n| monitor.tlb[4 * level + n].op == 1);
        // Who is looked up in the first level.
        let free = before.miss_queue.states().of(Free).count_ones();
        let taken = |port: &usize| {
            monitor.lookup_retry[*port] == 0 && [4, 5, 6, 8].contains(&monitor.lookup[*port])
        };
        let all_taken = (0..self.ports).filter(taken).count() as u32 == free;
        for port in 0..self.ports {
            let in_retry = (0..16).find(|number| {
                entry(*number).state == Retry && usize::from(entry(*number).port) == port
            });
            let due = before.ports[port]
                .look_up_from()
                .is_some_and(|from| from <= before.now);
            let may = !busy
                && !back
                && !drop
                && pushes_to != Some(port as u8)
                && !filled(port.min(1))
                && (due || in_retry.is_some());
            let looked_up = monitor.lookup[port] != 0;
            let refused = in_retry.is_none() && all_taken && before.would_be_refused(port);
            prop_assert!(looked_up == may || (may && refused), "port {}", port);
            prop_assert!(!looked_up || (monitor.lookup_retry[port] != 0) == in_retry.is_some());
            if let Some(number) = in_retry.filter(|_| looked_up) {
                prop_assert_eq!(usize::from(monitor.lookup_entry[port]), number);
            }
        }
        self.check_inclusion(before, busy, outputs)?;
        // Who is looked up in the STLB.
        let held_up = busy || done || drop;
        let waiting = before.miss_queue.states().of(StlbWait);
        let expected = before.miss_queue.stlb_order.next_of(waiting);
        let probing = before.prefetch.state() == crate::model::prefetch::PrefetchState::Probe;
        let expected = expected.or(probing.then_some(16)).filter(|_| !held_up);
        let looked_up = (monitor.stlb_lookup != 0).then_some(usize::from(monitor.stlb_entry));
        prop_assert_eq!(looked_up, expected);
        Ok(())
    }

    /// Contract 8.1: of the entries in WALK_WAIT the first in order, or the one that became so first.
    pub(super) fn check_who_is_walked(&mut self, before: &Mmu) -> Result<(), TestCaseError> {
        use crate::model::miss_queue::MissState::{WalkWait, Walking};
        let waiting: Vec<usize> = (0..16)
            .filter(|number| before.miss_queue.entry(*number).state == WalkWait)
            .collect();
        let taken: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|number| self.mmu.miss_queue.entry(*number).state == Walking)
            .collect();
        prop_assert!(taken.len() <= 1);
        if let [taken] = taken[..] {
            let mask = waiting.iter().fold(0, |mask, number| mask | 1 << number);
            let since = |number: &usize| (self.walk_wait_since[*number], *number);
            let expected = match self.mmu.spec.walker_order {
                WalkerOrder::Cyclic => before.miss_queue.walk_order.next_of(mask),
                WalkerOrder::Oldest => waiting.iter().copied().min_by_key(since),
            };
            prop_assert_eq!(Some(taken), expected);
        }
        for (number, since) in self.walk_wait_since.iter_mut().enumerate() {
            let state = |mmu: &Mmu| mmu.miss_queue.entry(number).state;
            if state(&self.mmu) == WalkWait && state(before) != WalkWait {
                *since = before.now;
            }
        }
        Ok(())
    }

    /// Contract 7.6: what a fill takes from a full set of the STLB is evicted, and leaves the first level at the next chance.
    pub(super) fn check_inclusion(
        &self,
        before: &Mmu,
        busy: bool,
        outputs: &Outputs,
    ) -> Result<(), TestCaseError> {
        const PAGE_AND_KEPT_SIZE: u64 = ((1 << 45) - 1) | 3 << 58;
        const PCID: u64 = 0xfff << 45;
        const GLOBAL: u64 = 1 << 57;
        let arrays = &outputs.monitor.tlb;
        let stays = before.evicted.filter(|_| busy);
        let taken = arrays[8..].iter().find_map(|event| {
            let (old, new) = (event.victim_tag, event.tag);
            let lost = event.op == 1 && event.removed >> event.way & 1 != 0;
            let same_page = (old ^ new) & PAGE_AND_KEPT_SIZE == 0;
            let same_context = (old ^ new) & PCID == 0 || (old | new) & GLOBAL != 0;
            (lost && !(same_page && same_context)).then_some((old, event.victim_data))
        });
        let taken = taken.filter(|_| before.spec.inclusive);
        prop_assert!(stays.is_none() || taken.is_none());
        let stays = stays.map(|entry| (entry.tag, entry.data)).or(taken);
        let evicted = self.mmu.evicted.map(|entry| (entry.tag, entry.data));
        prop_assert_eq!(evicted, stays);
        let Some(evicted) = before.evicted.filter(|_| !busy) else {
            return Ok(());
        };
        prop_assert!(arrays.iter().all(|event| event.op != 1));
        prop_assert!(arrays[8..].iter().all(|event| event.op == 0));
        for number in 0..16 {
            let (was, is) = (
                before.miss_queue.entry(number),
                self.mmu.miss_queue.entry(number),
            );
            let keeps = was.state == crate::model::miss_queue::MissState::StlbBusy
                && was.found.code != 4
                && was.found.entry == evicted;
            let right = was.right_to_fill && !keeps;
            // Whatever was FREE, or may be looked up no more than once a cycle, got no right in this cycle.
            prop_assert_eq!(is.right_to_fill, right);
        }
        Ok(())
    }
}
