//! The cycles of each request, from accept to response, on two sides that drift apart.
//!
//! Contract: section 12 (what counts: the cycle of the accept to the first cycle of `resp_valid`). SDM: none. Counterpart: none.
//!
//! The drivers present the requests of a port in the same order, so the k-th that a port accepts is the same request on both sides,
//! whatever its id and whenever that is.

use std::collections::VecDeque;

use crate::model::mmu_pkg::{Inputs, KIND_FETCH, KIND_WRITE, MAX_PORTS, Outputs, PortIn};

/// A request whose latencies are further apart than they may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// Which one: its number on its port, from 0, and what it asks.
    pub request: String,
    /// Latency and cycle of the accept, on the first side and on the second.
    pub sides: [(u64, u64); 2],
}

/// A request that a side has accepted.
#[derive(Debug, Clone, Copy)]
struct Open {
    id: u8,
    number: u64,
    accepted: u64,
}

/// One port of both sides.
#[derive(Debug, Clone, Default)]
struct Lane {
    /// Requests that a side has accepted and not answered.
    open: [Vec<Open>; 2],
    /// Requests that a side has accepted.
    accepted: [u64; 2],
    /// Of each request that is not answered on both sides: what is known.
    waiting: VecDeque<Waiting>,
    /// The number of the first that waits.
    first: u64,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    input: PortIn,
    /// Latency and cycle of the accept.
    sides: [Option<(u64, u64)>; 2],
}

/// Compares the latencies of two sides.
#[derive(Debug, Clone)]
pub struct Latencies {
    bound_cycles: u64,
    lanes: [Lane; MAX_PORTS],
    compared: u64,
    greatest: u64,
}

impl Latencies {
    /// Latencies may differ by `bound_cycles`.
    pub fn new(bound_cycles: u64) -> Self {
        Self {
            bound_cycles,
            lanes: Default::default(),
            compared: 0,
            greatest: 0,
        }
    }

    /// Requests whose latencies were compared.
    pub const fn compared(&self) -> u64 {
        self.compared
    }

    /// The greatest difference so far.
    pub const fn greatest_difference(&self) -> u64 {
        self.greatest
    }

    /// Takes a cycle of one side into account, the first (0) or the second (1).
    ///
    /// # Errors
    /// The first request whose latencies are too far apart.
    pub fn observe(
        &mut self,
        side: usize,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
    ) -> Result<(), Apart> {
        let mut found = Ok(());
        for (port, lane) in self.lanes.iter_mut().enumerate() {
            let (pins, shown) = (&inputs.ports[port], &outputs.ports[port]);
            let open = &mut lane.open[side];
            if shown.resp_valid != 0
                && let Some(at) = open.iter().position(|open| open.id == shown.resp_id)
            {
                let Open {
                    number, accepted, ..
                } = open.swap_remove(at);
                let latency = cycle - accepted;
                if let Some(both) = lane.answer(side, number, (latency, accepted)) {
                    let difference = both[0].0.abs_diff(both[1].0);
                    self.compared += 1;
                    self.greatest = self.greatest.max(difference);
                    if difference > self.bound_cycles && found.is_ok() {
                        let request = lane.describe(port, number);
                        found = Err(Apart {
                            request,
                            sides: both,
                        });
                    }
                }
                lane.forget();
            }
            if pins.req_valid & shown.req_ready != 0 {
                lane.accept(side, cycle, pins);
            }
        }
        found
    }
}

impl Lane {
    fn accept(&mut self, side: usize, cycle: u64, pins: &PortIn) {
        let number = self.accepted[side];
        self.accepted[side] += 1;
        self.open[side].push(Open {
            id: pins.req_id,
            number,
            accepted: cycle,
        });
        if number - self.first == self.waiting.len() as u64 {
            self.waiting.push_back(Waiting {
                input: *pins,
                sides: [None; 2],
            });
        }
    }

    fn at(&mut self, number: u64) -> Option<&mut Waiting> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.waiting.get_mut(index)
    }

    /// A side has answered; what both took, if the other has too.
    fn answer(&mut self, side: usize, number: u64, took: (u64, u64)) -> Option<[(u64, u64); 2]> {
        let waiting = self.at(number)?;
        waiting.sides[side] = Some(took);
        match waiting.sides {
            [Some(first), Some(second)] => Some([first, second]),
            _ => None,
        }
    }

    fn describe(&mut self, port: usize, number: u64) -> String {
        let Some(Waiting { input, .. }) = self.at(number) else {
            return format!("request {number} of port {port}");
        };
        let kind = match input.req_kind {
            KIND_WRITE => "write",
            KIND_FETCH => "fetch",
            _ => "read",
        };
        format!(
            "request {number} of port {port}, {kind} {:#x}",
            input.req_va
        )
    }

    /// Lets go of what both sides have answered.
    fn forget(&mut self) {
        let is_over = |waiting: &Waiting| waiting.sides.iter().all(Option::is_some);
        while self.waiting.front().is_some_and(is_over) {
            self.waiting.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cycle in which port 1 accepts `accepts` and answers `answers`.
    fn cycle(accepts: Option<u8>, answers: Option<u8>) -> (Inputs, Outputs) {
        let (mut inputs, mut outputs) = (Inputs::default(), Outputs::default());
        outputs.ports[1].req_ready = 1;
        if let Some(id) = accepts {
            (inputs.ports[1].req_valid, inputs.ports[1].req_id) = (1, id);
            inputs.ports[1].req_va = 0x1000 * u64::from(id);
        }
        if let Some(id) = answers {
            (outputs.ports[1].resp_valid, outputs.ports[1].resp_id) = (1, id);
        }
        (inputs, outputs)
    }

    /// Two requests a side; their answers come after so many cycles, on the second side in the other order. The sides are told apart in time.
    fn run(bound: u64, first: [u64; 2], second: [u64; 2]) -> (Result<(), Apart>, u64, u64) {
        let mut latencies = Latencies::new(bound);
        let mut found = Ok(());
        for (side, (start, took)) in [(5, first), (90, second)].into_iter().enumerate() {
            for now in start..start + 60 {
                let accepts = (now - start < 2).then_some((now - start) as u8);
                let answers =
                    (0..2u8).find(|id| now == start + u64::from(*id) + took[usize::from(*id)]);
                let (inputs, outputs) = cycle(accepts, answers);
                let seen = latencies.observe(side, now, &inputs, &outputs);
                found = found.and(seen);
            }
        }
        (found, latencies.compared(), latencies.greatest_difference())
    }

    #[test]
    fn the_same_request_is_compared_however_far_apart_the_sides_are() {
        assert_eq!(run(0, [10, 20], [10, 20]), (Ok(()), 2, 0));
        assert_eq!(run(7, [10, 20], [17, 14]), (Ok(()), 2, 7));
        let (found, compared, greatest) = run(6, [10, 20], [10, 13]);
        let apart = found.expect_err("one too many");
        assert_eq!(apart.request, "request 1 of port 1, read 0x1000");
        assert_eq!(apart.sides, [(20, 6), (13, 91)]);
        assert_eq!((compared, greatest), (2, 7));
    }
}
