//! A user's machine as a twin, whose outputs are held to be functions of its state alone.
//!
//! Contract: section 1.2 (no input reaches an output within a cycle). SDM: none. Counterpart: none.
//!
//! The harness settles a machine once with the clock low and takes its outputs. A machine in which an input reaches an output within the
//! cycle would show what depends on the harness, and not on the machine. So in some cycles the inputs are first driven otherwise, and
//! what the machine shows must be the same. That is found as an assertion that fails.

use super::comparators::{Silenced, differences};
use super::rtl::Rtl;
use super::twin::Twin;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// In each of the first cycles after reset, and then in one of so many, the outputs are looked at twice.
const FIRST_CYCLES: u64 = 256;
const INTERVAL_CYCLES: u64 = 17;

/// A user's machine.
#[derive(Debug)]
pub struct Guest {
    rtl: Rtl,
    failure: Option<(u64, String)>,
}

impl Guest {
    /// `rtl`, in reset.
    pub const fn new(rtl: Rtl) -> Self {
        Self { rtl, failure: None }
    }
}

/// Inputs in which everything differs that may differ from one cycle to the next; reset stays.
fn otherwise(inputs: &Inputs) -> Inputs {
    let mut other = *inputs;
    for port in &mut other.ports {
        port.req_valid ^= 1;
        port.resp_ready ^= 1;
        port.req_va = !port.req_va;
        port.req_id = !port.req_id;
    }
    other.control.valid ^= 1;
    other.control.resp_ready ^= 1;
    other.control.data = !other.control.data;
    other.memory.req_ready ^= 1;
    other.memory.resp_valid ^= 1;
    other.memory.resp_data = !other.memory.resp_data;
    other.memory.resp_error ^= 1;
    other
}

impl Twin for Guest {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let cycle = self.rtl.next_cycle();
        let looks_twice = inputs.rst_n != 0
            && self.failure.is_none()
            && (cycle < FIRST_CYCLES || cycle.is_multiple_of(INTERVAL_CYCLES));
        let other = looks_twice.then(|| *self.rtl.probe(&otherwise(inputs)));
        *outputs = *self.rtl.tick(inputs);
        let Some(other) = other.filter(|other| other != outputs) else {
            return;
        };
        let found = differences(outputs, &other, Silenced::NONE);
        let first = found.first().map_or_else(String::new, |signal| {
            format!(
                "{} is {} with these inputs and {} with others",
                signal.signal, signal.model, signal.rtl
            )
        });
        let text = format!("an input reaches an output within the cycle (contract 1.2): {first}");
        self.failure = Some((cycle, text));
    }

    fn failed_assertions(&self) -> u64 {
        Twin::failed_assertions(&self.rtl) + u64::from(self.failure.is_some())
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        let of_design = Twin::first_failed_assertion(&self.rtl);
        of_design.or_else(|| {
            self.failure
                .clone()
                .map(|(cycle, text)| (Some(cycle), text))
        })
    }
}
