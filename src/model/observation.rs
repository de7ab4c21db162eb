//! The figures of a machine, drawn from its inputs and outputs.
//!
//! Contract: 10 (monitor), 3 (links). Counterpart: none; this is what counts for the RTL.

use crate::arch::registers::cr4;

use super::mmu_pkg::{
    Inputs, LOOKUP_DENIED, LOOKUP_NONE, MAX_PORTS, MEM_COMPARE_AND_SET, Outputs, PSC_LEVELS,
    WALK_NONE, WALK_START, WalkEvent,
};
use super::port::Response;
use super::spec::{STLB, Spec};
use super::statistics::Statistics;

/// What an observer remembers from one cycle to the next. It is no figure: two statistics may differ in it and be equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The next walk of this port begins at CR3, because its look-up was denied.
    from_cr3: [bool; MAX_PORTS],
    /// What the compare-and-set that is under way expects.
    expected: Option<u64>,
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
        self.observe_look_ups(outputs);
        for event in &outputs.monitor.walk {
            self.observe_walk(event, outputs);
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

    /// Counts cycles in which no link transferred and the monitor was 0.
    pub fn observe_quiet(&mut self, cycles: u64) {
        self.cycles += cycles;
    }

    fn observe_look_ups(&mut self, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        for (port, code) in monitor.lookup.iter().enumerate() {
            if *code != LOOKUP_NONE {
                self.count_look_up(Spec::first_level(port), *code);
                self.watch.from_cr3[port] = *code == LOOKUP_DENIED;
            }
        }
        if monitor.stlb_lookup != LOOKUP_NONE {
            self.count_look_up(STLB, monitor.stlb_lookup);
            if let Some(from_cr3) = self.watch.from_cr3.get_mut(usize::from(monitor.stlb_port)) {
                *from_cr3 = monitor.stlb_lookup == LOOKUP_DENIED;
            }
        }
    }

    fn observe_walk(&mut self, event: &WalkEvent, outputs: &Outputs) {
        if event.op == WALK_NONE {
            return;
        }
        let from_cr3 = self.watch.from_cr3.get(usize::from(event.port));
        if event.op == WALK_START && from_cr3 == Some(&false) {
            let matched = usize::from(event.psc_level).checked_sub(2);
            let five_level = outputs.control.cr4 & cr4::LA57 != 0;
            self.count_psc_look_up(matched.filter(|cache| *cache < PSC_LEVELS), five_level);
        }
        self.count_walk(event, self.cycles);
    }

    fn observe_memory(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (answer, request) = (&inputs.memory, &outputs.memory);
        if answer.resp_valid != 0
            && request.resp_ready != 0
            && let Some(expected) = self.watch.expected.take()
        {
            let lost = answer.resp_error == 0 && answer.resp_data != expected;
            self.walks.races_lost += u64::from(lost);
        }
        if request.req_valid != 0 && answer.req_ready != 0 {
            let compare_and_set = request.req_op == MEM_COMPARE_AND_SET;
            self.count_memory_request(compare_and_set);
            self.watch.expected = compare_and_set.then_some(request.req_expected);
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
