//! The figures of a machine, drawn from its inputs and outputs.
//!
//! Contract: 10 (monitor), 3 (links). Counterpart: none; this is what counts for the RTL.

use crate::arch::registers::{cr0, cr4, efer};

use super::mmu_pkg::{
    ControlOut, Inputs, LOOKUP_NONE, MAX_WALKERS, MEM_COMPARE_AND_SET, Outputs, PREFETCH_ENTRY,
    PSC_LEVELS, Queues, WALK_NONE, WALK_START, WalkEvent, byte_mask,
};
use super::port::Response;
use super::spec::{STLB, Spec};
use super::statistics::Statistics;

/// What an observer remembers from one cycle to the next. It is no figure: two statistics may differ in it and be equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// What the compare-and-set of each walker that is under way expects, and of which bits.
    expected: [Option<(u64, u64)>; MAX_WALKERS],
}

impl PartialEq for Watch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Watch {}

impl Statistics {
    /// Counts one cycle of a machine from what went in and came out. Every cycle since reset must pass here, in order, or through
    /// [`Statistics::observe_quiet`]. A cycle with `rst_n` = 0 sets all to zero.
    pub fn observe(&mut self, inputs: &Inputs, outputs: &Outputs) {
        if inputs.rst_n == 0 {
            self.reset();
            return;
        }
        self.observe_state(outputs, 1);
        self.observe_look_ups(outputs);
        for (walker, event) in outputs.monitor.walk.iter().enumerate() {
            self.observe_walk(walker, event, outputs);
        }
        self.observe_memory(inputs, outputs);
        for (array, event) in outputs.monitor.tlb.iter().enumerate() {
            self.count_tlb_event(array, event);
        }
        for (cache, event) in outputs.monitor.psc.iter().enumerate() {
            self.count_psc_event(cache, event);
        }
        self.observe_transfers(inputs, outputs);
        self.cycles += 1;
    }

    /// Counts cycles in which no link transferred and the monitor showed nothing that performs; `shown` is what each of them showed.
    pub fn observe_quiet(&mut self, shown: &Outputs, cycles: u64) {
        if cycles > 0 {
            self.observe_state(shown, cycles);
            self.cycles += cycles;
        }
    }

    fn observe_state(&mut self, outputs: &Outputs, cycles: u64) {
        const STATE: u32 = 7;
        const PROBE: u64 = 1;
        let Queues {
            miss,
            walker,
            prefetch,
        } = &outputs.queues;
        let taken = |word: &u32| word & STATE != 0;
        let full = miss
            .iter()
            .take(self.capacity.miss_queue_entries)
            .all(taken);
        let parallel = walker.iter().filter(|word| taken(word)).count() >= 2;
        self.count_state(cycles, full, prefetch & 3 == PROBE, parallel);
    }

    fn observe_look_ups(&mut self, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        for (port, code) in monitor.lookup.iter().enumerate() {
            if *code != LOOKUP_NONE {
                let retry = monitor.lookup_retry[port] != 0;
                self.count_look_up(Spec::first_level(port), *code, retry);
            }
        }
        if monitor.stlb_lookup == LOOKUP_NONE {
            return;
        }
        if monitor.stlb_entry == PREFETCH_ENTRY {
            self.count_probe(monitor.stlb_lookup);
        } else {
            self.count_look_up(STLB, monitor.stlb_lookup, false);
        }
    }

    fn observe_walk(&mut self, walker: usize, event: &WalkEvent, outputs: &Outputs) {
        if event.op == WALK_NONE {
            return;
        }
        if event.op == WALK_START && looks_up_caches(event, &outputs.queues) {
            let matched = usize::from(event.psc_level).checked_sub(2);
            let caches = caches_in_mode(&outputs.control);
            self.count_psc_look_up(matched.filter(|cache| *cache < PSC_LEVELS), caches);
        }
        self.count_walk(walker, event, self.cycles);
    }

    fn observe_memory(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (answer, request) = (&inputs.memory, &outputs.memory);
        if answer.resp_valid != 0
            && request.resp_ready != 0
            && let Some(slot) = self.watch.expected.get_mut(usize::from(answer.resp_id))
            && let Some((expected, bits)) = slot.take()
        {
            let lost = answer.resp_error == 0 && (answer.resp_data ^ expected) & bits != 0;
            self.walks.races_lost += u64::from(lost);
        }
        if request.req_valid != 0 && answer.req_ready != 0 {
            let compare_and_set = request.req_op == MEM_COMPARE_AND_SET;
            self.count_memory_request(compare_and_set);
            if let Some(slot) = self.watch.expected.get_mut(usize::from(request.req_id)) {
                let bits = byte_mask(request.req_be);
                *slot = compare_and_set.then_some((request.req_expected, bits));
            }
        }
    }

    fn observe_transfers(&mut self, inputs: &Inputs, outputs: &Outputs) {
        for (asked, shown) in inputs.ports.iter().zip(&outputs.ports) {
            if shown.resp_valid != 0 && asked.resp_ready != 0 {
                self.count_response(&Response::shown(shown));
            }
            self.requests += u64::from(asked.req_valid != 0 && shown.req_ready != 0);
        }
        if outputs.control.resp_valid != 0 && inputs.control.resp_ready != 0 {
            self.count_control(outputs.control.resp_gp != 0);
        }
    }
}

/// How many paging-structure caches a walk looks in under these registers: those of the levels that the mode has.
const fn caches_in_mode(control: &ControlOut) -> usize {
    if control.cr0 & cr0::PG != 0 && control.efer & efer::LMA == 0 {
        1
    } else if control.cr4 & cr4::LA57 != 0 {
        4
    } else {
        3
    }
}

/// Whether a START, not a restart, looks the paging-structure caches up: of a request unless its walk begins at CR3, of a prefetch with
/// the right to fill.
fn looks_up_caches(event: &WalkEvent, queues: &Queues) -> bool {
    if event.entry == PREFETCH_ENTRY {
        return queues.prefetch >> 2 & 1 != 0;
    }
    let word = queues.miss.get(usize::from(event.entry));
    word.is_some_and(|word| word >> 14 & 1 == 0)
}
