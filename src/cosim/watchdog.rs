//! The watchdog beside a twin: every accepted request is answered within the bound, and if one is not, who waits for whom.
//!
//! Contract: 14. SDM: none. Counterpart: none; `src/model/liveness.rs` has the bound, and reads what the queues show.
//!
//! The bound counts open cycles: those in which nothing outside the machine holds it up. A machine that stands still altogether is found
//! much sooner, by [`super::lockstep::hang_bound_cycles`]; this finds a request that is passed over for ever.

use std::collections::VecDeque;

use super::stimulus::ControlKind;
use crate::config::Config;
use crate::model::liveness::{liveness_bound_cycles, lost_race_cycles, who_waits_for_whom};
use crate::model::mmu_pkg::{
    Inputs, MAX_PORTS, MAX_WALKERS, MEM_COMPARE_AND_SET, Outputs, byte_mask,
};

/// A request that is not answered.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    id: u8,
    /// The cycle of its accept.
    accepted: u64,
    /// What the clock of open cycles showed then.
    from: u64,
}

/// Watches one twin.
#[derive(Debug, Clone)]
pub struct Watchdog {
    bound_cycles: u64,
    lost_race_cycles: u64,
    ports: usize,
    cycle: u64,
    /// Open cycles so far, less what lost races add to the bound.
    clock: u64,
    /// Of those, cycles that lost races have still to take back.
    credit: u64,
    waiting: [VecDeque<Waiting>; MAX_PORTS],
    /// `expected` of each walker's compare-and-set under way, and the bits that it compares.
    expected: [Option<(u64, u64)>; MAX_WALKERS],
    /// An invalidation was accepted, and its answer does not show yet: control may be busy.
    invalidates: bool,
}

impl Watchdog {
    /// A watchdog for a machine of `config`; `bound_cycles`: another bound than the contract's.
    pub fn new(config: &Config, bound_cycles: Option<u64>) -> Self {
        Self {
            bound_cycles: bound_cycles.unwrap_or_else(|| liveness_bound_cycles(config)),
            lost_race_cycles: lost_race_cycles(config),
            ports: (config.ports() as usize).min(MAX_PORTS),
            cycle: 0,
            clock: 0,
            credit: 0,
            waiting: Default::default(),
            expected: [None; MAX_WALKERS],
            invalidates: false,
        }
    }

    /// Takes a cycle into account, which must be the next. What waits longer than it may, if anything does: one line for each request.
    pub fn observe(&mut self, inputs: &Inputs, outputs: &Outputs) -> Option<Vec<String>> {
        self.invalidates &= outputs.control.resp_valid == 0;
        let taken = inputs.ports[..self.ports]
            .iter()
            .all(|port| port.resp_ready != 0);
        if taken && inputs.memory.req_ready != 0 && !self.invalidates {
            if self.credit > 0 {
                self.credit -= 1;
            } else {
                self.clock += 1;
            }
        }
        self.races(inputs, outputs);
        let mut late = false;
        for (port, waiting) in self.waiting.iter_mut().enumerate().take(self.ports) {
            let (pins, shown) = (&inputs.ports[port], &outputs.ports[port]);
            if shown.resp_valid & pins.resp_ready != 0 {
                let answered = waiting.iter().position(|it| it.id == shown.resp_id);
                answered.map(|at| waiting.remove(at));
            }
            if pins.req_valid & shown.req_ready != 0 {
                waiting.push_back(Waiting {
                    id: pins.req_id,
                    accepted: self.cycle,
                    from: self.clock,
                });
            }
            // The oldest has waited longest.
            late |= waiting
                .front()
                .is_some_and(|it| self.clock - it.from > self.bound_cycles);
        }
        let (pins, shown) = (&inputs.control, &outputs.control);
        if pins.valid & shown.ready != 0 {
            self.invalidates =
                pins.op == ControlKind::Invlpg as u8 || pins.op == ControlKind::Invpcid as u8;
        }
        self.cycle += 1;
        late.then(|| self.describe(outputs))
    }

    /// Each lost race takes the clock of everybody back.
    fn races(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        if pins.resp_valid != 0
            && let Some(expected) = self.expected.get_mut(usize::from(pins.resp_id))
            && let Some((value, bits)) = expected.take()
            && (pins.resp_data ^ value) & bits != 0
            && pins.resp_error == 0
        {
            self.credit += self.lost_race_cycles;
        }
        if shown.req_valid & pins.req_ready != 0
            && shown.req_op == MEM_COMPARE_AND_SET
            && let Some(expected) = self.expected.get_mut(usize::from(shown.req_id))
        {
            *expected = Some((shown.req_expected, byte_mask(shown.req_be)));
        }
    }

    /// Who waits for whom, one line for each request that is not answered.
    pub fn describe(&self, outputs: &Outputs) -> Vec<String> {
        let chain = |port: usize, waiting: &Waiting| {
            let chain = who_waits_for_whom(&outputs.queues, port as u8, waiting.id);
            format!("{chain} (accepted in cycle {})", waiting.accepted)
        };
        let of_port = |(port, waiting)| {
            let waiting: &VecDeque<Waiting> = waiting;
            waiting.iter().map(move |it| chain(port, it))
        };
        self.waiting.iter().enumerate().flat_map(of_port).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(config: &Config) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.memory.req_ready = 1;
        for port in &mut inputs.ports[..config.ports() as usize] {
            port.resp_ready = 1;
        }
        inputs
    }

    /// Cycles until a request that is never answered is called late; in every `n`-th cycle `hold` changes the inputs.
    fn late_after(hold: fn(&mut Inputs), n: u64) -> u64 {
        let config = Config::default();
        let mut watchdog = Watchdog::new(&config, Some(50));
        let mut outputs = Outputs::default();
        outputs.ports[1].req_ready = 1;
        outputs.queues.miss[2] = 3 | 1 << 3 | 9 << 5;
        for cycle in 0..1_000 {
            let mut inputs = open(&config);
            inputs.ports[1].req_valid = u8::from(cycle == 0);
            inputs.ports[1].req_id = 9;
            if cycle % n == 1 {
                hold(&mut inputs);
            }
            if let Some(lines) = watchdog.observe(&inputs, &outputs) {
                let line = "port 1 id 9: entry 2, WALK_WAIT (accepted in cycle 0)";
                assert_eq!(lines, [line]);
                return cycle;
            }
        }
        panic!("never late");
    }

    #[test]
    fn a_request_that_is_never_answered_is_late_after_the_bound_in_open_cycles() {
        assert_eq!(late_after(|_| {}, 2), 51);
        let stalls: [fn(&mut Inputs); 2] = [
            |inputs| inputs.memory.req_ready = 0,
            |inputs| inputs.ports[0].resp_ready = 0,
        ];
        for stall in stalls {
            assert_eq!(late_after(stall, 2), 102);
        }
    }

    #[test]
    fn a_late_request_is_named_with_the_cycle_of_its_accept() {
        let config = Config::default();
        let mut watchdog = Watchdog::new(&config, Some(50));
        let lines = (0..1_000).find_map(|cycle| {
            let (mut inputs, mut outputs) = (open(&config), Outputs::default());
            outputs.ports[1].req_ready = 1;
            inputs.ports[1].req_valid = u8::from(cycle == 7);
            watchdog.observe(&inputs, &outputs)
        });
        let lines = lines.expect("it is late");
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("(accepted in cycle 7)"), "{lines:?}");
    }

    /// Cycles until a request is late beside a compare-and-set that expects 7, and is answered so in cycle 2.
    fn late_beside_a_compare_and_set(data: u64, error: u8) -> Option<u64> {
        let config = Config::default();
        let mut watchdog = Watchdog::new(&config, Some(50));
        (0..1_000).find(|cycle| {
            let (mut inputs, mut outputs) = (open(&config), Outputs::default());
            outputs.ports[1].req_ready = 1;
            inputs.ports[1].req_valid = u8::from(*cycle == 0);
            outputs.memory.req_valid = u8::from(*cycle == 1);
            outputs.memory.req_op = MEM_COMPARE_AND_SET;
            outputs.memory.req_be = 0x0f;
            outputs.memory.req_expected = 7;
            inputs.memory.resp_valid = u8::from(*cycle == 2);
            inputs.memory.resp_data = data;
            inputs.memory.resp_error = error;
            watchdog.observe(&inputs, &outputs).is_some()
        })
    }

    #[test]
    fn a_lost_race_gives_more_time_and_a_bus_error_does_not() {
        let race = lost_race_cycles(&Config::default());
        assert_eq!(late_beside_a_compare_and_set(7, 0), Some(51));
        assert_eq!(late_beside_a_compare_and_set(8, 0), Some(51 + race));
        assert_eq!(late_beside_a_compare_and_set(0, 1), Some(51));
        // What changed beside the entry of 4 bytes was not compared.
        assert_eq!(late_beside_a_compare_and_set(7 | 1 << 32, 0), Some(51));
    }

    #[test]
    fn a_request_that_is_answered_is_not_late() {
        let config = Config::default();
        let mut watchdog = Watchdog::new(&config, Some(50));
        for cycle in 0..1_000 {
            let (mut inputs, mut outputs) = (open(&config), Outputs::default());
            inputs.ports[0].req_valid = u8::from(cycle % 40 == 0);
            outputs.ports[0].req_ready = 1;
            outputs.ports[0].resp_valid = u8::from(cycle % 40 == 39);
            assert_eq!(watchdog.observe(&inputs, &outputs), None);
        }
    }
}
