//! Two ports at once, control in between, links that stall: what must hold in every cycle, and that quiet cycles may be skipped.

use proptest::prelude::*;

use super::bench::*;
use super::random::{self, Step};
use crate::config::Config;
use crate::model::memory::hash;
use crate::model::mmu_pkg::{ControlIn, Inputs, MemoryIn, Monitor, Outputs, PortIn};
use crate::model::{Memory, Mmu, Statistics};

const IDLE: PortIn = PortIn {
    req_valid: 0,
    req_id: 0,
    req_kind: 0,
    req_size_bytes: 0,
    req_cpl: 0,
    req_ac: 0,
    req_implicit_supervisor: 0,
    resp_ready: 0,
    req_pkru: 0,
    reserved: 0,
    req_va: 0,
};

/// Out of reset, and no link offers or takes anything.
const NOTHING: Inputs = Inputs {
    rst_n: 1,
    reserved: [0; 7],
    ports: [IDLE; 3],
    control: ControlIn {
        valid: 0,
        op: 0,
        resp_ready: 0,
        reserved: [0; 5],
        data: 0,
        addr: 0,
        kind: 0,
    },
    memory: MemoryIn {
        req_ready: 0,
        resp_valid: 0,
        resp_id: 0,
        resp_error: 0,
        resp_last: 0,
        reserved: [0; 3],
        resp_data: 0,
    },
};

/// Drives the steps into a machine as fast as its links take them, each link stalled at random: requests of the two ports overtake
/// each other and control operations; stores happen when their turn comes.
struct Crowd {
    mmu: Mmu,
    memory: Memory,
    observed: Statistics,
    seed: u64,
    stall_permille: u64,
    queues: [Vec<PortIn>; 2],
    others: Vec<Step>,
    inputs: Inputs,
    next_id: u8,
    /// The address of the walker's last transaction.
    walked: u64,
    /// Ids that each port owes an answer, oldest first.
    owed: [std::collections::VecDeque<u8>; 2],
    last: Option<Outputs>,
}

impl Crowd {
    fn new(config: &Config, seed: u64, stall_permille: u64, steps: &[Step]) -> Self {
        let mut queues = [Vec::new(), Vec::new()];
        let mut others = Vec::new();
        // The first steps turn paging on; the front end does that, as it should be done.
        let mut one = crate::model::OneAtATime::new(config, random::memory(config, seed));
        let mut enabling = true;
        for step in steps {
            match step {
                Step::Operate(operation) if enabling => {
                    one.control(operation);
                }
                Step::Ask(port, request) => {
                    enabling = false;
                    queues[*port].push(request.presented());
                }
                step => others.push(step.clone()),
            }
        }
        queues.iter_mut().for_each(|queue| queue.reverse());
        others.reverse();
        let observed = one.statistics().clone();
        let (mmu, memory) = one.into_parts();
        Self {
            mmu,
            memory,
            observed,
            seed,
            stall_permille,
            queues,
            others,
            inputs: Inputs {
                rst_n: 1,
                ..Inputs::default()
            },
            next_id: 0,
            walked: 0,
            owed: Default::default(),
            last: None,
        }
    }

    fn stalled(&self, link: u64) -> bool {
        hash(self.seed, 100 + link, self.mmu.now()) % 1000 < self.stall_permille
    }

    fn is_done(&self) -> bool {
        self.queues.iter().all(Vec::is_empty)
            && self.others.is_empty()
            && self.inputs.ports.iter().all(|port| port.req_valid == 0)
            && self.inputs.control.valid == 0
            && self.mmu.is_at_rest()
    }

    /// Decides what the links carry in this cycle.
    fn drive(&mut self) {
        for port in 0..2 {
            let offers = self.inputs.ports[port].req_valid != 0;
            if !offers
                && !self.stalled(port as u64)
                && let Some(mut next) = self.queues[port].pop()
            {
                next.req_id = self.next_id;
                self.next_id = self.next_id.wrapping_add(1);
                self.inputs.ports[port] = next;
            }
            self.inputs.ports[port].resp_ready = u8::from(!self.stalled(10 + port as u64));
        }
        self.inputs.control.resp_ready = u8::from(!self.stalled(20));
        if self.inputs.control.valid == 0 && !self.stalled(21) {
            match self.others.pop() {
                Some(Step::Operate(operation)) => {
                    self.inputs.control = operation.presented();
                }
                Some(Step::Store(address, value)) => {
                    self.memory.write_u64(address, value).unwrap();
                }
                _ => {}
            }
        }
        let cycle = self.mmu.now();
        // Another processor is at the very entry that is being walked.
        let race = hash(self.seed, 23, cycle);
        if race.is_multiple_of(16) {
            let bit = [A, D, RW, 1 << 9, A | D, P][(race >> 8) as usize % 6];
            if let Ok(entry) = self.memory.read_u64(self.walked) {
                self.memory.write_u64(self.walked, entry ^ bit).unwrap();
            }
        }
        self.inputs.memory = self.memory.inputs(cycle, self.stalled(22));
    }

    /// One cycle, and everything that must hold in it.
    fn tick(&mut self) -> Result<(), TestCaseError> {
        self.drive();
        let before = self.mmu.clone();
        let (inputs, outputs) = self.step();
        self.check_who_performs(&before, &outputs)?;
        self.observed.observe(&inputs, &outputs);
        prop_assert_eq!(&self.observed, self.mmu.statistics());
        if let Err(law) = self.observed.check_conservation() {
            return Err(TestCaseError::fail(law));
        }
        self.check_occupancy()?;
        self.check_links(&inputs, &outputs)?;
        // Contract 1.2: the same cycle with nothing at the inputs shows the same.
        let (mut idle, mut shown) = (before, Outputs::default());
        idle.tick(&NOTHING, &mut shown);
        prop_assert_eq!(shown, outputs);
        Ok(())
    }

    /// One cycle of machine and memory with what the links carry.
    fn step(&mut self) -> (Inputs, Outputs) {
        let (inputs, mut outputs) = (self.inputs, Outputs::default());
        let cycle = self.mmu.now();
        self.mmu.tick(&inputs, &mut outputs);
        self.memory.step(cycle, &inputs.memory, &outputs.memory);
        if outputs.memory.req_valid != 0 {
            self.walked = outputs.memory.req_addr;
        }
        for port in 0..2 {
            if outputs.ports[port].req_ready != 0 && inputs.ports[port].req_valid != 0 {
                self.inputs.ports[port] = PortIn::default();
            }
        }
        if outputs.control.ready != 0 && inputs.control.valid != 0 {
            self.inputs.control.valid = 0;
        }
        (inputs, outputs)
    }

    /// Contract 6, 7.1, 7.2, 8.2 and 8.5: who performs in a cycle, and who must wait, by what the state was and what was seen to perform.
    fn check_who_performs(&self, before: &Mmu, outputs: &Outputs) -> Result<(), TestCaseError> {
        use crate::model::control::ControlState::{Pend, Sweep};
        use crate::model::stlb::MissState::{Free, StlbBusy, StlbWait};
        use crate::model::walker::WalkState::{Done, Start};
        let (was, is) = (before.control.state(), self.mmu.control.state());
        let busy = was == Sweep || (was == Pend && is != Pend);
        let walk = outputs.monitor.walk[0];
        let walked = &before.miss[usize::from(walk.port)];
        let done = (3..=5).contains(&walk.op);
        let drop = walk.op == 4 || walk.op == 2 || (walk.op == 1 && walked.from_cr3);
        let state = before.walker.state();
        prop_assert_eq!((1..=2).contains(&walk.op), state == Start && !busy);
        prop_assert_eq!(done, state == Done && !busy);
        for port in 0..2 {
            let entry = &before.miss[port];
            let due = before.ports[port]
                .look_up_from()
                .is_some_and(|from| from <= before.now);
            let looked_up = outputs.monitor.lookup[port] != 0;
            prop_assert_eq!(looked_up, due && entry.state == Free && !busy && !drop);
            let due = entry.state == StlbBusy && entry.result_from <= before.now;
            let finished = entry.state == StlbBusy && self.mmu.miss[port].state != StlbBusy;
            prop_assert_eq!(finished, due && !busy && !drop);
        }
        let waiting = before.miss.iter().position(|entry| entry.state == StlbWait);
        let expected = waiting.filter(|_| !busy && !done && !drop);
        let monitor = &outputs.monitor;
        let looked_up = (monitor.stlb_lookup != 0).then_some(usize::from(monitor.stlb_port));
        prop_assert_eq!(looked_up, expected);
        Ok(())
    }

    /// What the figures imply of the number of valid entries is so.
    fn check_occupancy(&self) -> Result<(), TestCaseError> {
        let statistics = self.mmu.statistics();
        for (number, array) in self.mmu.tlb.iter().flatten().enumerate() {
            prop_assert_eq!(statistics.tlb_occupancy(number), array.occupancy());
        }
        for cache in 0..4 {
            prop_assert_eq!(
                statistics.psc_occupancy(cache),
                self.mmu.psc.occupancy(cache)
            );
        }
        Ok(())
    }

    /// Contract 1.3 and 3: what is offered stands until it is taken; answers come in order, one a request; payloads without meaning are 0.
    fn check_links(&mut self, inputs: &Inputs, outputs: &Outputs) -> Result<(), TestCaseError> {
        for port in 0..2 {
            let (asked, shown) = (&inputs.ports[port], &outputs.ports[port]);
            if shown.resp_valid == 0 {
                let silent = crate::model::mmu_pkg::PortOut {
                    req_ready: shown.req_ready,
                    ..Default::default()
                };
                prop_assert_eq!(*shown, silent);
            } else if asked.resp_ready != 0 {
                prop_assert_eq!(self.owed[port].pop_front(), Some(shown.resp_id));
            }
            if asked.req_valid != 0 && shown.req_ready != 0 {
                self.owed[port].push_back(asked.req_id);
            }
        }
        prop_assert_eq!(outputs.memory.resp_ready, 1);
        if let Some(last) = self.last.take() {
            for port in 0..2 {
                let (before, now) = (last.ports[port], outputs.ports[port]);
                let now = crate::model::mmu_pkg::PortOut {
                    req_ready: before.req_ready,
                    ..now
                };
                // `last` is kept only while its response stands.
                if before.resp_valid != 0 {
                    prop_assert_eq!(before, now);
                }
            }
            if last.memory.req_valid != 0 {
                prop_assert_eq!(last.memory, outputs.memory);
            }
        }
        let mut standing = *outputs;
        for port in 0..2 {
            if inputs.ports[port].resp_ready != 0 {
                standing.ports[port].resp_valid = 0;
            }
        }
        if inputs.memory.req_ready != 0 {
            standing.memory.req_valid = 0;
        }
        self.last = Some(standing);
        Ok(())
    }

    /// On copies: in the cycles that are declared quiet nothing happens, and skipping them is ticking them.
    fn check_quiet(&self) -> Result<(), TestCaseError> {
        let next = self.mmu.next_event();
        let quiet = next.unwrap_or(200).min(200);
        let mut ticked = self.mmu.clone();
        let mut shown = Outputs::default();
        ticked.show(&mut shown);
        for _ in 0..quiet {
            let mut outputs = Outputs::default();
            ticked.tick(&NOTHING, &mut outputs);
            prop_assert_eq!(outputs, shown);
            prop_assert_eq!(outputs.monitor, Monitor::default());
        }
        let mut skipped = self.mmu.clone();
        skipped.skip(quiet);
        prop_assert!(
            skipped == ticked,
            "skipping {} cycles is not ticking them",
            quiet
        );
        if next.is_some() && next == Some(quiet) {
            // And not a cycle too few: the next one does change something.
            let mut passed = ticked.clone();
            passed.now += 1;
            passed.statistics.cycles += 1;
            ticked.tick(&NOTHING, &mut shown);
            prop_assert!(
                passed != ticked,
                "nothing happens after {} quiet cycles",
                quiet
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn figures_links_and_quiet_cycles_hold_in_every_cycle_of_a_crowded_machine(
        config in random::config(),
        seed in any::<u64>(),
        stall_permille in proptest::sample::select(&[0u64, 200, 700][..]),
        steps in random::steps(40),
    ) {
        let mut crowd = Crowd::new(&config, seed, stall_permille, &steps);
        let mut cycles = 0;
        while !crowd.is_done() {
            crowd.check_quiet()?;
            crowd.tick()?;
            cycles += 1;
            prop_assert!(cycles < 200_000, "the machine hangs");
        }
        prop_assert!(crowd.owed.iter().all(|owed| owed.is_empty()));
    }

    #[test]
    fn an_edge_under_reset_leads_from_anywhere_into_the_reset_state(
        config in random::config(),
        seed in any::<u64>(),
        cycles in 0usize..400,
        steps in random::steps(40),
    ) {
        let mut crowd = Crowd::new(&config, seed, 100, &steps);
        for _ in 0..cycles {
            crowd.tick()?;
        }
        let mut inputs = crowd.inputs;
        inputs.rst_n = 0;
        let mut outputs = Outputs::default();
        crowd.mmu.tick(&inputs, &mut outputs);
        crowd.observed.observe(&inputs, &outputs);
        let fresh = Mmu::new(&config);
        prop_assert!(crowd.mmu == fresh);
        prop_assert_eq!(&crowd.observed, fresh.statistics());
        // Held in reset, it shows nothing but that it takes memory's answers.
        crowd.mmu.tick(&inputs, &mut outputs);
        let mut silent = Outputs::default();
        silent.memory.resp_ready = 1;
        prop_assert_eq!(outputs, silent);
        prop_assert!(crowd.mmu == fresh);
    }
}

#[test]
fn the_reset_sweep_is_quiet_but_for_its_last_cycle() {
    let config = small();
    let mut mmu = Mmu::new(&config);
    assert_eq!(mmu.next_event(), Some(3));
    mmu.skip(3);
    assert_eq!(mmu.next_event(), Some(0));
    let mut outputs = Outputs::default();
    mmu.tick(
        &Inputs {
            rst_n: 1,
            ..Inputs::default()
        },
        &mut outputs,
    );
    assert_eq!((outputs.ports[0].req_ready, outputs.control.ready), (0, 0));
    mmu.tick(
        &Inputs {
            rst_n: 1,
            ..Inputs::default()
        },
        &mut outputs,
    );
    assert_eq!((outputs.ports[0].req_ready, outputs.control.ready), (1, 1));
    assert_eq!(mmu.next_event(), None);
}

/// The crowd must have met what can go wrong.
#[test]
fn the_crowd_meets_every_case() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = (random::config(), any::<u64>(), random::steps(150));
    let mut met = [0u64; 8];
    for _ in 0..250 {
        let (config, seed, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let mut crowd = Crowd::new(&config, seed, 300, &steps);
        while !crowd.is_done() {
            let walking = crowd
                .mmu
                .miss
                .iter()
                .any(|entry| entry.state == crate::model::stlb::MissState::Walking);
            let busy = crowd.mmu.decide();
            met[0] += u64::from(busy.control_performs && walking);
            met[1] += u64::from(
                busy.drop
                    && crowd
                        .mmu
                        .miss
                        .iter()
                        .filter(|entry| entry.right_to_fill)
                        .count()
                        > 1,
            );
            met[2] += u64::from(busy.result[0] && busy.result[1]);
            met[3] +=
                u64::from(busy.done && !crowd.mmu.miss[crowd.mmu.walker.port()].right_to_fill);
            let due = crowd
                .mmu
                .miss
                .iter()
                .any(|entry| entry.result_is_due(crowd.mmu.now()));
            met[4] += u64::from(due && (busy.busy || busy.drop));
            let waits = |state| {
                crowd
                    .mmu
                    .miss
                    .iter()
                    .filter(|entry| entry.state == state)
                    .count()
                    > 1
            };
            met[5] += u64::from(waits(crate::model::stlb::MissState::StlbWait));
            met[6] += u64::from(waits(crate::model::stlb::MissState::WalkWait));
            crowd.drive();
            crowd.step();
        }
        met[7] += crowd.mmu.statistics().walks.races_lost;
    }
    assert!(met.iter().all(|count| *count >= 3), "{met:?}");
}
