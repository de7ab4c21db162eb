//! The front end by arithmetic and skipping, against one that ticks every cycle by the rule of contract 13.1.

use proptest::prelude::*;

use super::bench::*;
use super::random::{self, Step};
use crate::arch::PageSize;
use crate::arch::registers::{cr0, cr4, efer};
use crate::config::Config;
use crate::model::mmu_pkg::{ControlIn, Inputs, KIND_FETCH, Outputs, PortIn};
use crate::model::{Answered, FrontEnd, Memory, Mmu, Operation, Request, Response, Statistics};

const VA: u64 = 0x40_0000;

/// What is known of a reference: port, cycles of accept and answer, codes of its look-ups, the answer.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    port: usize,
    accepted_at: u64,
    responded_at: Option<u64>,
    first_level: u8,
    retried: u8,
    stlb: u8,
    response: Option<Response>,
}

/// Contract 13.1, literally.
struct Plain {
    mmu: Mmu,
    memory: Memory,
    observed: Statistics,
    window: u64,
    gap: u64,
    data_ports: usize,
    data: usize,
    known: Vec<Known>,
    entries: [usize; 16],
    /// The first cycle that the accept before, or an operation, allows.
    from: u64,
    stores: Vec<(u64, u64)>,
}

impl Plain {
    fn new(config: &Config, memory: Memory) -> Self {
        Self {
            mmu: Mmu::new(config),
            memory,
            observed: Statistics::new(config),
            window: u64::from(config.front_end.window),
            gap: u64::from(config.front_end.issue_gap_cycles),
            data_ports: config.ports.data_ports as usize,
            data: 0,
            known: Vec::new(),
            entries: [0; 16],
            from: 0,
            stores: Vec::new(),
        }
    }

    fn cycle(&mut self, ports: [PortIn; 3], control: ControlIn) -> Outputs {
        let cycle = self.mmu.now();
        let mut inputs = Inputs {
            rst_n: 1,
            ports,
            control,
            memory: self.memory.inputs(cycle, false),
            ..Inputs::default()
        };
        for port in &mut inputs.ports {
            port.resp_ready = 1;
        }
        let mut outputs = Outputs::default();
        let ids: Vec<u8> = self.mmu.ports.iter().map(|port| port.oldest_id()).collect();
        self.mmu.tick(&inputs, &mut outputs);
        self.memory.step(cycle, &inputs.memory, &outputs.memory);
        self.observed.observe(&inputs, &outputs);
        let monitor = &outputs.monitor;
        for (port, id) in ids.into_iter().enumerate() {
            let entry = usize::from(monitor.lookup_entry[port]);
            let code = monitor.lookup[port];
            if code != 0 && monitor.lookup_retry[port] != 0 {
                self.known[self.entries[entry]].retried = code;
            } else if code != 0 {
                let number = self.latest(id);
                self.known[number].first_level = code;
                if ![1, 2, 3, 7].contains(&code) {
                    self.entries[entry] = number;
                }
            }
            if outputs.ports[port].resp_valid != 0 {
                let response = Response::shown(&outputs.ports[port]);
                let number = self.latest(response.id);
                assert_eq!(self.known[number].responded_at, None);
                self.known[number].responded_at = Some(cycle);
                self.known[number].response = Some(response);
            }
        }
        if monitor.stlb_lookup != 0 && monitor.stlb_entry < 16 {
            let number = self.entries[usize::from(monitor.stlb_entry)];
            self.known[number].stlb = monitor.stlb_lookup;
        }
        outputs
    }

    /// The latest reference with this id.
    fn latest(&self, id: u8) -> usize {
        (0..self.known.len())
            .rev()
            .find(|number| *number as u8 == id)
            .unwrap()
    }

    fn answered(&self, before: u64) -> bool {
        let mut known = self.known.iter().take(before as usize);
        known.all(|known| known.responded_at.is_some())
    }

    fn perform_stores(&mut self) {
        for (address, value) in std::mem::take(&mut self.stores) {
            self.memory.write_u64(address, value).unwrap();
        }
    }

    /// To the cycle in which the next reference is first offered.
    fn settle(&mut self) {
        let number = self.known.len() as u64;
        let before = (number + 1).saturating_sub(self.window);
        while self.mmu.now() < self.from || !self.answered(before) {
            self.cycle([PortIn::default(); 3], ControlIn::default());
        }
        self.perform_stores();
    }

    fn translate(&mut self, request: &Request) {
        self.settle();
        let number = self.known.len() as u64;
        let port = if request.access.kind as u8 == KIND_FETCH {
            0
        } else {
            self.data += 1;
            1 + (self.data - 1) % self.data_ports
        };
        let mut ports = [PortIn::default(); 3];
        ports[port] = PortIn {
            req_id: number as u8,
            ..request.presented()
        };
        self.known.push(Known {
            port,
            accepted_at: 0,
            responded_at: None,
            first_level: 0,
            retried: 0,
            stlb: 0,
            response: None,
        });
        loop {
            let now = self.mmu.now();
            if self.cycle(ports, ControlIn::default()).ports[port].req_ready != 0 {
                self.known[number as usize].accepted_at = now;
                self.from = now + 1 + self.gap;
                return;
            }
        }
    }

    fn finish(&mut self) {
        while !self.answered(self.known.len() as u64) {
            self.cycle([PortIn::default(); 3], ControlIn::default());
        }
        self.perform_stores();
    }

    fn control(&mut self, operation: &Operation) -> bool {
        self.finish();
        let mut control = operation.presented();
        loop {
            let outputs = self.cycle([PortIn::default(); 3], control).control;
            if outputs.ready != 0 {
                control.valid = 0;
            }
            if outputs.resp_valid != 0 {
                self.from = self.mmu.now();
                return outputs.resp_gp != 0;
            }
        }
    }
}

/// Runs the steps both ways and compares all there is.
fn compare(config: &Config, seed: u64, steps: &[Step]) -> Result<Statistics, TestCaseError> {
    compare_from(config, random::memory(config, seed), steps, usize::MAX)
}

/// The same from that memory; before every so many steps the front end settles, which must change nothing.
pub fn compare_from(
    config: &Config,
    memory: Memory,
    steps: &[Step],
    settle_every: usize,
) -> Result<Statistics, TestCaseError> {
    let mut slow = Plain::new(config, memory.clone());
    let mut fast = FrontEnd::new(config, memory);
    let mut answers: Vec<Answered> = Vec::new();
    let mut put = |answered: &Answered| answers.push(*answered);
    let mut begun = false;
    for (number, step) in steps.iter().enumerate() {
        if begun && (number + 1).is_multiple_of(settle_every) {
            slow.settle();
            fast.settle(&mut put);
            prop_assert_eq!(fast.cycles(), slow.mmu.now());
            prop_assert_eq!(fast.statistics(), slow.mmu.statistics());
            prop_assert_eq!(fast.statistics(), &slow.observed);
            prop_assert!(*fast.mmu() == slow.mmu, "settled machines differ");
            prop_assert!(*fast.memory() == slow.memory, "settled memories differ");
        }
        begun |= !matches!(step, Step::Store(..));
        match step {
            Step::Store(address, value) => {
                slow.stores.push((*address, *value));
                fast.store(*address, *value).unwrap();
            }
            Step::Operate(operation) => {
                prop_assert_eq!(slow.control(operation), fast.control(operation, &mut put));
                prop_assert_eq!(fast.statistics(), slow.mmu.statistics());
                prop_assert!(*fast.mmu() == slow.mmu);
            }
            Step::Ask(_, request) => {
                slow.translate(request);
                fast.translate(request, &mut put);
            }
        }
    }
    slow.finish();
    fast.finish(&mut put);
    for (number, known) in slow.known.iter().enumerate() {
        let Some(answered) = answers.get(number) else {
            return Err(TestCaseError::fail("an answer is missing"));
        };
        prop_assert_eq!(answered.number, number as u64);
        let what = &answered.what;
        let same = Known {
            port: usize::from(answered.port),
            accepted_at: what.accepted_at,
            responded_at: Some(what.responded_at),
            first_level: what.first_level,
            retried: answered.retried,
            stlb: what.stlb,
            response: Some(what.response),
        };
        prop_assert_eq!(&same, known, "reference {}", number);
    }
    prop_assert_eq!(answers.len(), slow.known.len());
    prop_assert_eq!(fast.cycles(), slow.mmu.now());
    prop_assert_eq!(fast.statistics(), slow.mmu.statistics());
    prop_assert_eq!(fast.statistics(), &slow.observed);
    prop_assert_eq!(fast.performance_counters(), slow.mmu.performance_counters());
    if let Err(law) = fast.mmu().check_conservation() {
        return Err(TestCaseError::fail(law));
    }
    prop_assert!(*fast.mmu() == slow.mmu, "the machines differ");
    prop_assert!(*fast.memory() == slow.memory, "the memories differ");
    Ok(fast.statistics().clone())
}

/// Random machines with a front end; most have arrays that let requests hit, and few hit latencies.
fn config() -> impl Strategy<Value = Config> {
    let window = prop_oneof![Just(1u32), 2u32..=5, 6u32..=64];
    let gap = prop_oneof![3 => Just(0u32), 1 => 1u32..4, 1 => 4u32..100];
    // What memory has under way at most, and how often it accepts.
    let limits = (
        prop_oneof![2 => Just(64u32), 1 => 1u32..5],
        prop_oneof![2 => Just(1u32), 1 => 2u32..30],
    );
    (random::config(), window, gap, [1u32..=5, 1u32..=5], limits).prop_map(
        |(mut config, window, gap, [fetch, data], (outstanding, interval))| {
            config.memory.outstanding = outstanding;
            config.memory.accept_interval_cycles = interval;
            config.front_end.window = window;
            config.front_end.issue_gap_cycles = gap;
            config.itlb.hit_latency_cycles = fetch;
            config.dtlb.hit_latency_cycles = data;
            config
        },
    )
}

/// Steps of which many are repeated, up to four in turn, so that they hit, often long enough for answers at once.
fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    (
        random::steps(most),
        prop::collection::vec((1usize..=4, 1usize..16), most),
    )
        .prop_map(|(steps, repeats)| {
            let (mut all, mut rest) = (Vec::new(), steps.as_slice());
            for (turn, times) in repeats {
                let asks = rest.iter().take(turn);
                let length = asks
                    .take_while(|step| matches!(step, Step::Ask(..)))
                    .count();
                let (now, later) = rest.split_at(length.max(1).min(rest.len()));
                for _ in 0..if length > 0 { times } else { 1 } {
                    all.extend_from_slice(now);
                }
                rest = later;
            }
            all
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_front_end_is_in_every_way_the_same_as_one_that_ticks(
        config in config(),
        seed in any::<u64>(),
        steps in steps(40),
    ) {
        compare(&config, seed, &steps)?;
    }

    #[test]
    fn a_front_end_that_settles_on_its_way_is_the_same_as_one_that_ticks(
        config in config(),
        seed in any::<u64>(),
        every in 1usize..12,
        steps in steps(40),
    ) {
        compare_from(&config, random::memory(&config, seed), &steps, every)?;
    }
}

#[test]
fn a_window_of_hits_is_accepted_one_a_cycle_and_waits_for_the_queue() {
    let mut config = small();
    config.front_end.window = 8;
    config.dtlb.hit_latency_cycles = 3;
    config.ports.queue_entries = 2;
    let mut fast = FrontEnd::new(&config, Memory::new(&config.memory, 1));
    let mut answers = Vec::new();
    // Paging is off: everything is answered in H + 1.
    for page in 0..5 {
        fast.translate(&read(0x1000 * page), &mut |answered: &Answered| {
            answers.push((answered.what.accepted_at, answered.what.responded_at));
        });
    }
    fast.finish(&mut |answered: &Answered| {
        answers.push((answered.what.accepted_at, answered.what.responded_at));
    });
    // The reset sweep takes 4 cycles. Two at a time: the third is accepted in the cycle after the first answer.
    assert_eq!(answers, [(4, 8), (5, 9), (9, 13), (10, 14), (14, 18)]);
    assert_eq!(fast.cycles(), 19);
}

#[test]
fn a_hit_that_a_drop_holds_up_is_answered_a_cycle_later() {
    for (fetch_cycles, data_cycles) in [(5, 1), (4, 1), (3, 2), (2, 1), (1, 1), (1, 5)] {
        let mut config = small();
        config.front_end.window = 16;
        config.ports.queue_entries = 16;
        config.itlb.hit_latency_cycles = fetch_cycles;
        config.dtlb.hit_latency_cycles = data_cycles;
        let mut tables = Bench::off(&config);
        tables.map(VA, PageSize::Size4K, 0x5000 | (ALL & !RW));
        tables.map(VA + 0x1000, PageSize::Size4K, 0x6000 | (ALL & !RW));
        let set_up = [
            (3, efer::LME | efer::NXE),
            (2, cr4::PAE),
            (1, ROOT),
            (0, cr0::PG | cr0::PE | cr0::WP),
        ];
        let mut steps: Vec<Step> = set_up
            .iter()
            .map(|(op, value)| Step::Operate(Operation::new(*op, *value)))
            .collect();
        // Long runs of hits, the last of them fetches or reads, and then a write that is denied, for which a walk drops the page.
        for last in [fetch(VA + 0x1000), read(VA + 0x1000)] {
            for _ in 0..3 {
                steps.push(Step::Ask(DATA, read(VA)));
                steps.extend(std::iter::repeat_n(Step::Ask(DATA, last), 40));
                steps.push(Step::Ask(DATA, write(VA)));
            }
        }
        let statistics = compare_from(&config, tables.memory, &steps, 7).unwrap();
        // A read right behind the write still hits, so that the next write may find nothing.
        assert!(statistics.dtlb.denied >= 3);
        assert!(statistics.itlb.hits > 100 && statistics.dtlb.hits > 100);
    }
}
