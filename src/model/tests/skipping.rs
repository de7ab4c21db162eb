//! All ports at once, control in between, links that stall: what must hold in every cycle, and that quiet cycles may be skipped.

mod counts;
mod who_performs;

use proptest::prelude::*;

use super::bench::*;
use super::random::{self, Paging, Step};
use crate::arch::PagingMode;
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
    ports: usize,
    queues: [Vec<PortIn>; 3],
    others: Vec<Step>,
    inputs: Inputs,
    next_id: u8,
    /// The address of the walker's last transaction.
    walked: u64,
    /// Ids that each port owes an answer.
    owed: [std::collections::VecDeque<u8>; 3],
    /// Answers that came before that to an older request of their port.
    overtakes: u64,
    /// For each entry of the miss queue the cycle in which it became WALK_WAIT last.
    walk_wait_since: [u64; 16],
    last: Option<Outputs>,
}

impl Crowd {
    fn new(config: &Config, seed: u64, stall_permille: u64, steps: &[Step]) -> Self {
        let mut queues = [Vec::new(), Vec::new(), Vec::new()];
        let ports = config.ports() as usize;
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
                    let spread = usize::from(*port == DATA && ports == 3 && request.va & 8 != 0);
                    queues[*port + spread].push(request.presented());
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
            ports,
            queues,
            others,
            inputs: Inputs {
                rst_n: 1,
                ..Inputs::default()
            },
            next_id: 0,
            walked: 0,
            owed: Default::default(),
            overtakes: 0,
            walk_wait_since: [0; 16],
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
        for port in 0..self.ports {
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
            // Of two entries of 4 bytes either may be the one that is walked.
            let high = self.mmu.control.mode() == PagingMode::TwoLevel && race >> 16 & 1 != 0;
            let bit = if high { bit << 32 } else { bit };
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
        self.check_who_is_walked(&before)?;
        self.check_counts(&before, &inputs, &outputs)?;
        self.observed.observe(&inputs, &outputs);
        prop_assert_eq!(&self.observed, self.mmu.statistics());
        if let Err(law) = self.mmu.check_conservation() {
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
        for port in 0..self.ports {
            if outputs.ports[port].req_ready != 0 && inputs.ports[port].req_valid != 0 {
                self.inputs.ports[port] = PortIn::default();
            }
        }
        if outputs.control.ready != 0 && inputs.control.valid != 0 {
            self.inputs.control.valid = 0;
        }
        (inputs, outputs)
    }

    /// What the figures imply of the number of valid entries is so.
    fn check_occupancy(&self) -> Result<(), TestCaseError> {
        let statistics = self.mmu.statistics();
        for (number, array) in self.mmu.tlb.iter().enumerate() {
            let (implied, held) = (statistics.tlb_occupancy(number), array.occupancy());
            prop_assert_eq!(implied, held);
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
        for port in 0..self.ports {
            let (asked, shown) = (&inputs.ports[port], &outputs.ports[port]);
            if shown.resp_valid == 0 {
                let silent = crate::model::mmu_pkg::PortOut {
                    req_ready: shown.req_ready,
                    ..Default::default()
                };
                prop_assert_eq!(*shown, silent);
            } else if asked.resp_ready != 0 {
                let place = self.owed[port].iter().position(|id| *id == shown.resp_id);
                prop_assert!(place.is_some(), "an answer that nobody waits for");
                self.overtakes += u64::from(place != Some(0));
                self.owed[port].remove(place.unwrap_or(0));
            }
            if asked.req_valid != 0 && shown.req_ready != 0 {
                self.owed[port].push_back(asked.req_id);
            }
        }
        prop_assert_eq!(outputs.memory.resp_ready, 1);
        if let Some(last) = self.last.take() {
            for port in 0..self.ports {
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
        for port in 0..self.ports {
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
            self.mmu.show_later(1, &mut shown);
            prop_assert_eq!(outputs.monitor, Monitor::default());
        }
        let mut skipped = self.mmu.clone();
        skipped.skip(quiet);
        prop_assert_eq!(&shown.perf, skipped.performance_counters().values());
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
            passed.count_walkers(1);
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
    use crate::model::miss_queue::MissState;
    use crate::model::prefetch::PrefetchState;
    use crate::model::walker::WalkState;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut met = [0u64; 27];
    for number in 0..250 {
        let two_level = number % 3 == 0;
        let steps = if two_level {
            random::steps_in(Paging::TwoLevel, 150).boxed()
        } else {
            random::steps(150).boxed()
        };
        let strategy = (random::config(), any::<u64>(), steps);
        let (config, seed, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let mut crowd = Crowd::new(&config, seed, 300, &steps);
        while !crowd.is_done() {
            let mmu = &crowd.mmu;
            let (states, cycle) = (*mmu.miss_queue.states(), mmu.decide());
            let count = |state| states.of(state).count_ones();
            let entries = (0..16).map(|number| mmu.miss_queue.entry(number));
            let rights = entries.filter(|entry| entry.right_to_fill).count();
            let started = |walker: &crate::model::walker::Walker| {
                matches!(walker.state(), WalkState::Start | WalkState::Done)
            };
            let due = mmu.miss_queue.oldest_result();
            let due = due.filter(|number| mmu.miss_queue.entry(*number).result_from <= mmu.now());
            let walking = |walker: &crate::model::walker::Walker| walker.state() != WalkState::Idle;
            let wanting = mmu
                .walkers
                .iter()
                .filter(|walker| matches!(walker.state(), WalkState::Read | WalkState::Cas));
            let prefetching = mmu.prefetch.state();
            let events = [
                cycle.control_performs && count(MissState::Walking) > 0,
                cycle.drop && rights > 1,
                due.is_some() && mmu.walkers.iter().any(started),
                mmu.walkers.iter().filter(|walker| started(walker)).count() > 1,
                mmu.walkers.iter().filter(|walker| walking(walker)).count() > 2,
                due.is_some() && (cycle.busy || cycle.drop),
                count(MissState::StlbWait) > 1,
                count(MissState::WalkWait) > 1,
                count(MissState::Waiting) > 1,
                count(MissState::Retry) > 1,
                count(MissState::Free) == 0,
                mmu.miss_queue.passed_over,
                wanting.count() > 1,
                prefetching == PrefetchState::Walking && !mmu.prefetch.right_to_fill(),
                prefetching == PrefetchState::WalkWait && count(MissState::WalkWait) > 0,
                cycle.drop && prefetching == PrefetchState::Probe,
            ];
            for (count, event) in met.iter_mut().zip(events) {
                *count += u64::from(event);
            }
            crowd.drive();
            crowd.step();
        }
        let s = crowd.mmu.statistics();
        let figures = [
            s.walks.races_lost,
            s.prefetches.filled,
            s.prefetches.probe_hits,
            s.prefetches.stopped,
            s.walks.parallel_cycles,
            s.dtlb.retries,
            s.dtlb.merged,
            s.itlb.merged,
            // And in 32-bit paging.
            if two_level { s.walks.races_lost } else { 0 },
            if two_level { s.prefetches.filled } else { 0 },
            if two_level { s.dtlb.hits_by_size[1] } else { 0 },
        ];
        for (count, figure) in met[16..].iter_mut().zip(figures) {
            *count += figure;
        }
    }
    assert!(met.iter().all(|count| *count >= 3), "{met:?}");
}
