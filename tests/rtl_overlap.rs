//! What overlaps in the RTL, alone: cycles that follow from the contract by hand, random traffic, and assertions that fail when what they
//! guard is broken.
//!
//! Contract: sections 6 to 8 and 12. SDM: none of its own. Counterpart: none; the model's own tests are in `src/model/`.

#![cfg(feature = "rtl")]

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use twinwalk::config::{Config, TlbSpec};
use twinwalk::cosim::library::{Provider, Recipe};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::verilate::{Flags, Optimisation};
use twinwalk::model::mmu_pkg::*;

const QUICK: Flags = Flags {
    optimisation: Optimisation::None,
    ..Flags::DEFAULT
};

/// Tables: PML4 at 0x1000, PDPT at 0x2000, PD at 0x3000, PTs at 0x4000 and 0x5000. Page n of the first 1024 has frame 0x100 + n.
const ROOT: u64 = 0x1000;
const TABLE: u64 = 0x27;
const LEAF: u64 = 0x67;
const ACCESSED: u64 = 0x20;
const DIRTY: u64 = 0x40;

fn pte(page: u64) -> u64 {
    0x4000 + 8 * page
}

fn pa(page: u64) -> u64 {
    (0x100 + page) << 12
}

/// A small machine: H = 1, S = 2.
fn small() -> Config {
    let mut config = Config::default();
    config.ports.queue_entries = 4;
    config.miss_queue.entries = 4;
    config.walkers.count = 2;
    config.itlb = TlbSpec::new(1, [(2, 2), (1, 1), (1, 1)]);
    config.dtlb = TlbSpec::new(1, [(2, 2), (1, 1), (1, 1)]);
    config.stlb = TlbSpec::new(2, [(8, 4), (1, 2), (1, 1)]);
    config
}

fn recipe(config: &Config) -> Recipe {
    Recipe::new(config, QUICK)
}

fn library(recipe: &Recipe) -> Library {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rtl-overlap");
    Provider::open(&directory, 1 << 29)
        .expect("the cache directory can be used")
        .loaded_library(recipe, &mut |_| {})
        .expect("the machine can be built")
}

#[derive(Clone, Copy)]
struct Offer {
    port: usize,
    id: u8,
    va: u64,
    kind: u8,
}

fn read(port: usize, id: u8, page: u64) -> Offer {
    let kind = if port == 0 { KIND_FETCH } else { KIND_READ };
    let va = page << 12;
    Offer { port, id, va, kind }
}

fn write(port: usize, id: u8, page: u64) -> Offer {
    Offer {
        kind: KIND_WRITE,
        ..read(port, id, page)
    }
}

/// A machine, its memory, and what it showed in each cycle since the log was cleared.
struct Bench {
    rtl: Rtl,
    cells: BTreeMap<u64, u64>,
    latency: u64,
    cycle: u64,
    /// (due cycle, id, data)
    answers: VecDeque<(u64, u8, u64)>,
    /// Operation offered until it is taken.
    control: Option<(u8, u64)>,
    resp_ready: [bool; 3],
    memory_ready: bool,
    log: Vec<Outputs>,
}

impl Bench {
    fn new(config: &Config, recipe: &Recipe, latency: u64) -> Self {
        let mut cells = BTreeMap::from([
            (0x1000, 0x2000 | TABLE),
            (0x2000, 0x3000 | TABLE),
            (0x3000, 0x4000 | TABLE),
            (0x3008, 0x5000 | TABLE),
        ]);
        for page in 0..1024 {
            cells.insert(pte(page), pa(page) | LEAF);
        }
        let rtl = Rtl::new(config, &library(recipe), InitialRegisters::Random(9))
            .expect("the machine can be made");
        let mut bench = Self {
            rtl,
            cells,
            latency,
            cycle: 0,
            answers: VecDeque::new(),
            control: None,
            resp_ready: [true; 3],
            memory_ready: true,
            log: Vec::new(),
        };
        bench.rtl.tick(&Inputs::default());
        for (op, data) in [
            (CTRL_WRMSR_EFER, 0x900),
            (CTRL_MOV_CR4, 0x20),
            (CTRL_MOV_CR3, ROOT),
            (CTRL_MOV_CR0, 0x8001_0001),
        ] {
            bench.operate(op, data);
        }
        bench.clear();
        bench
    }

    fn clear(&mut self) {
        self.cycle = 0;
        assert!(self.answers.is_empty(), "memory has work left");
        self.log.clear();
    }

    fn operate(&mut self, op: u8, data: u64) {
        self.control = Some((op, data));
        for _ in 0..1000 {
            self.tick(&[]);
            let shown = self.log.last().expect("a cycle").control;
            if self.control.is_none() && shown.resp_valid != 0 {
                assert_eq!(shown.resp_gp, 0);
                return;
            }
        }
        panic!("a control operation hangs");
    }

    fn inputs(&mut self, offers: &[Offer]) -> Inputs {
        let mut inputs = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        for (port, ready) in inputs.ports.iter_mut().zip(self.resp_ready) {
            port.resp_ready = u8::from(ready);
        }
        for offer in offers {
            let port = &mut inputs.ports[offer.port];
            port.req_valid = 1;
            port.req_id = offer.id;
            port.req_va = offer.va;
            port.req_kind = offer.kind;
            port.req_size_bytes = 8;
        }
        if let Some((op, data)) = self.control {
            inputs.control.valid = 1;
            inputs.control.op = op;
            inputs.control.data = data;
        }
        inputs.control.resp_ready = 1;
        inputs.memory.req_ready = u8::from(self.memory_ready);
        if let Some(&(due, id, data)) = self.answers.front()
            && due <= self.cycle
        {
            self.answers.pop_front();
            inputs.memory.resp_valid = 1;
            inputs.memory.resp_last = 1;
            inputs.memory.resp_id = id;
            inputs.memory.resp_data = data;
        }
        inputs
    }

    fn tick(&mut self, offers: &[Offer]) -> Outputs {
        let inputs = self.inputs(offers);
        let outputs = *self.rtl.tick(&inputs);
        let memory = outputs.memory;
        if memory.req_valid != 0 && self.memory_ready {
            let cell = self.cells.entry(memory.req_addr).or_default();
            let held = *cell;
            if memory.req_op == MEM_COMPARE_AND_SET && held == memory.req_expected {
                *cell = memory.req_wdata;
            }
            self.answers
                .push_back((self.cycle + self.latency, memory.req_id, held));
        }
        if inputs.control.valid != 0 && outputs.control.ready != 0 {
            self.control = None;
        }
        self.cycle += 1;
        self.log.push(outputs);
        outputs
    }

    /// Offers each request in its cycle, which must be that of its acceptance, and runs on until `cycles`.
    fn run(&mut self, cycles: u64, offers: &[(u64, Offer)]) {
        while self.cycle < cycles {
            let now: Vec<Offer> = offers
                .iter()
                .filter(|(cycle, _)| *cycle == self.cycle)
                .map(|(_, offer)| *offer)
                .collect();
            let outputs = self.tick(&now);
            for offer in now {
                assert_eq!(outputs.ports[offer.port].req_ready, 1, "not accepted");
            }
        }
        self.no_assertion_failed();
    }

    fn no_assertion_failed(&self) {
        assert!(self.rtl.errors().is_empty(), "{:?}", self.rtl.errors());
    }

    /// Brings pages into a level by reading them and letting the machine come to rest.
    fn warm(&mut self, offers: &[Offer]) {
        for offer in offers {
            self.clear();
            self.run(4 * 30 + 40 * self.latency, &[(0, *offer)]);
        }
        self.clear();
    }

    /// (cycle, port, id, status, pa) of each response.
    fn responses(&self) -> Vec<(u64, usize, u8, u8, u64)> {
        let mut found = Vec::new();
        for (cycle, outputs) in (0..).zip(&self.log) {
            for (p, port) in outputs.ports.iter().enumerate() {
                if port.resp_valid != 0 {
                    found.push((cycle, p, port.resp_id, port.resp_status, port.resp_pa));
                }
            }
        }
        found
    }

    /// (cycle, code, entry, retry) of each look-up of a port.
    fn lookups(&self, port: usize) -> Vec<(u64, u8, u8, u8)> {
        (0..)
            .zip(&self.log)
            .map(|(cycle, o)| {
                let m = &o.monitor;
                (
                    cycle,
                    m.lookup[port],
                    m.lookup_entry[port],
                    m.lookup_retry[port],
                )
            })
            .filter(|&(_, code, _, _)| code != 0)
            .collect()
    }

    /// (cycle, walker, event) of each event of a walker.
    fn walks(&self) -> Vec<(u64, usize, WalkEvent)> {
        let mut found = Vec::new();
        for (cycle, outputs) in (0..).zip(&self.log) {
            for (w, event) in outputs.monitor.walk.iter().enumerate() {
                if event.op != 0 {
                    found.push((cycle, w, *event));
                }
            }
        }
        found
    }

    fn ops(&self) -> Vec<(u64, usize, u8)> {
        self.walks()
            .iter()
            .map(|(cycle, walker, event)| (*cycle, *walker, event.op))
            .collect()
    }
}

fn bench(latency: u64) -> Bench {
    Bench::new(&small(), &recipe(&small()), latency)
}

#[test]
fn a_request_alone_takes_the_cycles_of_the_table() {
    let mut bench = bench(3);
    // A walk of four reads: H + S + 5 + 4 (M + 2).
    bench.run(40, &[(0, read(1, 7, 5))]);
    assert_eq!(bench.responses(), [(28, 1, 7, 0, pa(5))]);
    // A hit in L1: H + 1.
    bench.clear();
    bench.run(10, &[(0, read(1, 8, 5))]);
    assert_eq!(bench.responses(), [(2, 1, 8, 0, pa(5))]);
    // A hit in the STLB, of the other port: H + S + 2.
    bench.clear();
    bench.run(20, &[(0, read(0, 9, 5))]);
    assert_eq!(bench.responses(), [(5, 0, 9, 0, pa(5))]);
    // A write that hits with D = 0: one read with the PDE cached, one compare-and-set: H + 4 + 2 (M + 2).
    bench.cells.insert(pte(6), pa(6) | (LEAF & !DIRTY));
    bench.warm(&[read(1, 1, 6)]);
    bench.run(40, &[(0, write(1, 2, 6))]);
    assert_eq!(bench.responses(), [(15, 1, 2, 0, pa(6))]);
    assert_eq!(bench.cells[&pte(6)], pa(6) | LEAF);
    // Not present: one read by the PDE cache, the restart's 1 + (M + 2), and four reads of the walk that may fault.
    bench.cells.insert(pte(9), 0);
    bench.clear();
    bench.run(60, &[(0, read(1, 3, 9))]);
    assert_eq!(
        bench.responses(),
        [(28 + 1 + 5, 1, 3, STATUS_PAGE_FAULT, 0)]
    );
}

#[test]
fn a_request_that_misses_the_same_page_waits_and_is_answered_two_cycles_after_the_end() {
    let mut bench = bench(3);
    bench.run(40, &[(0, read(1, 1, 5)), (1, read(1, 2, 5))]);
    // The primary's DONE commits in 27.
    assert_eq!(
        bench.responses(),
        [(28, 1, 1, 0, pa(5)), (29, 1, 2, 0, pa(5))]
    );
    assert_eq!(
        bench.lookups(1),
        [
            (1, LOOKUP_MISS, 0, 0),
            (2, LOOKUP_MERGED, 1, 0),
            (28, LOOKUP_HIT_4K, 1, 1)
        ]
    );
    // WAITING on entry 0: port 1, id 2.
    assert_eq!(bench.log[3].queues.miss[1], 5 | 1 << 3 | 2 << 5);
    // RETRY, then FREE.
    assert_eq!(bench.log[28].queues.miss[1], 6 | 1 << 3 | 2 << 5);
    assert_eq!(bench.log[29].queues.miss, [0; 16]);
}

#[test]
fn ports_merge_in_one_cycle_but_look_up_their_own_level_again() {
    let mut bench = bench(3);
    bench.run(60, &[(0, read(0, 1, 5)), (0, read(1, 2, 5))]);
    assert_eq!(bench.lookups(0), [(1, LOOKUP_MISS, 0, 0)]);
    // Only the ITLB was filled: port 1 misses again, finds the page in the STLB, and is answered S + 2 cycles after that look-up (28).
    assert_eq!(
        bench.lookups(1),
        [(1, LOOKUP_MERGED, 1, 0), (28, LOOKUP_MISS, 1, 1)]
    );
    assert_eq!(
        bench.responses(),
        [(28, 0, 1, 0, pa(5)), (32, 1, 2, 0, pa(5))]
    );
}

#[test]
fn a_hit_is_answered_under_a_miss() {
    let mut bench = bench(3);
    bench.warm(&[read(1, 1, 4)]);
    bench.run(
        40,
        &[(0, read(1, 1, 5)), (1, read(1, 2, 4)), (2, read(1, 3, 4))],
    );
    // The PDE is cached: one read.
    assert_eq!(
        bench.responses(),
        [
            (3, 1, 2, 0, pa(4)),
            (4, 1, 3, 0, pa(4)),
            (13, 1, 1, 0, pa(5))
        ]
    );
}

#[test]
fn two_walkers_walk_at_once_and_one_after_the_other() {
    let offers = [(0, read(1, 1, 5)), (1, read(1, 2, 6))];
    let mut both = bench(10);
    both.warm(&[read(1, 1, 4)]);
    both.run(60, &offers);
    assert_eq!(
        both.responses(),
        [(20, 1, 1, 0, pa(5)), (21, 1, 2, 0, pa(6))]
    );
    assert_eq!(both.ops(), [(6, 0, 1), (7, 1, 1), (19, 0, 3), (20, 1, 3)]);
    assert_eq!(both.log[8].memory.req_id, 1);

    let mut config = small();
    config.walkers.count = 1;
    let mut one = Bench::new(&config, &recipe(&config), 10);
    one.warm(&[read(1, 1, 4)]);
    one.run(60, &offers);
    assert_eq!(
        one.responses(),
        [(20, 1, 1, 0, pa(5)), (35, 1, 2, 0, pa(6))]
    );
}

#[test]
fn walks_that_want_to_commit_in_one_cycle_take_turns() {
    let mut bench = bench(3);
    bench.warm(&[read(1, 1, 4), read(0, 1, 4)]);
    // Port 0 first, and the STLB in order: results due in 4 and 5, walks one cycle apart. The second result (5) and START of walker 0 (6)
    // do not meet; nothing has to wait.
    bench.run(40, &[(0, read(0, 1, 5)), (0, read(1, 2, 6))]);
    assert_eq!(bench.ops(), [(6, 0, 1), (7, 1, 1), (12, 0, 3), (13, 1, 3)]);
    // A third request whose look-up in the STLB is due when DONE commits (12) has to wait, and its result may then go before all.
    bench.clear();
    bench.run(
        60,
        &[(0, read(0, 1, 7)), (0, read(1, 2, 8)), (10, read(1, 3, 10))],
    );
    assert_eq!(bench.lookups(1)[1], (11, LOOKUP_MISS, 2, 0));
    let looked_up: Vec<u64> = (0..)
        .zip(&bench.log)
        .filter(|(_, o)| o.monitor.stlb_lookup != 0)
        .map(|(cycle, _): (u64, _)| cycle)
        .collect();
    // DONE of walker 0 performs in 12: the look-up is passed over; DONE of walker 1, ready in 13, gives way to it and commits in 14.
    assert_eq!(looked_up, [2, 3, 13]);
    let done: Vec<_> = bench.ops().into_iter().filter(|op| op.2 == 3).collect();
    assert_eq!(done[..2], [(12, 0, 3), (14, 1, 3)]);
}

#[test]
fn a_full_queue_refuses_and_serves_the_refused_port_first() {
    let mut config = small();
    config.ports.data_ports = 2;
    config.miss_queue.entries = 1;
    let mut bench = Bench::new(&config, &recipe(&config), 3);
    bench.run(
        140,
        &[
            (0, read(0, 1, 5)),
            (0, read(1, 2, 6)),
            (0, read(2, 3, 7)),
            (1, read(0, 4, 8)),
        ],
    );
    // Port 0 takes the entry in 1 (DONE in 27), and port 1, the first that was refused, in 28, though port 0 asks in every cycle from 2 on.
    assert_eq!(bench.lookups(1), [(28, LOOKUP_MISS, 0, 0)]);
    // With the PDE cached a walk is DONE 11 cycles after the look-up. In 39 that of port 1 fills the DTLB: port 2, refused in 28 and first since,
    // is not looked up, and only port 0 is refused. That does not take its turn from port 2, which comes in 40.
    assert_eq!(bench.lookups(2), [(40, LOOKUP_MISS, 0, 0)]);
    assert_eq!(
        bench.lookups(0),
        [(1, LOOKUP_MISS, 0, 0), (52, LOOKUP_MISS, 0, 0)]
    );
    assert_eq!(
        bench.responses(),
        [
            (28, 0, 1, 0, pa(5)),
            (40, 1, 2, 0, pa(6)),
            (52, 2, 3, 0, pa(7)),
            (64, 0, 4, 0, pa(8))
        ]
    );
}

#[test]
fn a_waiter_inherits_no_fault_and_walks_itself() {
    let mut bench = bench(3);
    bench.cells.insert(pte(5), 0);
    bench.run(80, &[(0, read(1, 1, 5)), (1, write(1, 2, 5))]);
    // DONE of the primary in 27, a drop; the waiter looks up in 28 and takes as long as the primary did after its look-up in 1.
    assert_eq!(
        bench.lookups(1),
        [
            (1, LOOKUP_MISS, 0, 0),
            (2, LOOKUP_MERGED, 1, 0),
            (28, LOOKUP_MISS, 1, 1)
        ]
    );
    assert_eq!(
        bench.responses(),
        [
            (28, 1, 1, STATUS_PAGE_FAULT, 0),
            (55, 1, 2, STATUS_PAGE_FAULT, 0)
        ]
    );
    assert_eq!(bench.log[55].ports[1].resp_error_code, 2);
}

#[test]
fn an_invalidation_while_a_request_waits_takes_the_fill_and_the_waiter_walks_itself() {
    let mut bench = bench(3);
    bench.run(10, &[(0, read(1, 1, 5)), (1, read(1, 2, 5))]);
    bench.control = Some((CTRL_INVLPG, 5 << 12));
    bench.run(80, &[]);
    // Accepted in 10, performs in 11; the right is gone from 12 on.
    let right = |cycle: usize| bench.log[cycle].queues.miss[0] >> 13 & 1;
    assert_eq!((right(11), right(12)), (1, 0));
    assert_eq!(
        bench.walks()[1].2,
        WalkEvent {
            op: WALK_TRANSLATED,
            port: 1,
            ..WalkEvent::ZERO
        }
    );
    assert_eq!(bench.log[27].monitor.tlb, [ArrayEvent::ZERO; 9]);
    // The waiter: look-up in 28, and again the whole walk, which fills.
    assert_eq!(
        bench.responses(),
        [(28, 1, 1, 0, pa(5)), (55, 1, 2, 0, pa(5))]
    );
    assert_eq!(bench.log[54].monitor.walk[0].filled, 1);
    // A request that comes after the invalidation does not merge with what began before it.
    bench.clear();
    bench.run(3, &[(0, read(1, 1, 6))]);
    bench.control = Some((CTRL_INVLPG, 6 << 12));
    bench.run(40, &[(7, read(1, 2, 6))]);
    assert_eq!(bench.lookups(1)[1], (8, LOOKUP_MISS, 1, 0));
}

#[test]
fn two_data_ports_look_up_one_level_at_once() {
    let mut config = small();
    config.ports.data_ports = 2;
    let mut bench = Bench::new(&config, &recipe(&config), 3);
    bench.warm(&[read(1, 1, 4), read(2, 1, 6)]);
    // Both in one set, page 4 touched first: then page 6 is the most recent, and a fill takes the way of page 4.
    bench.run(10, &[(0, read(1, 1, 4)), (0, read(2, 2, 6))]);
    assert_eq!(
        bench.responses(),
        [(2, 1, 1, 0, pa(4)), (2, 2, 2, 0, pa(6))]
    );
    bench.clear();
    bench.run(40, &[(0, read(1, 1, 8))]);
    let fill = bench.log[12].monitor.tlb[3];
    assert_eq!((fill.op, fill.victim_tag), (ARRAY_FILL, 4));
    // The other way about.
    bench.warm(&[read(2, 1, 4)]);
    bench.run(10, &[(0, read(1, 1, 8)), (0, read(2, 2, 4))]);
    bench.clear();
    bench.run(40, &[(0, read(2, 1, 6))]);
    let fills: Vec<_> = bench
        .log
        .iter()
        .map(|o| o.monitor.tlb[3])
        .filter(|event| event.op == ARRAY_FILL)
        .collect();
    assert_eq!(fills[0].victim_tag, 8);
    // A fill for port 1 holds port 2 up for its cycle: DONE in 12, the hit of port 2 in 13 instead of 12.
    bench.clear();
    bench.run(40, &[(0, read(1, 1, 20)), (11, read(2, 2, 6))]);
    assert_eq!(bench.lookups(2), [(13, LOOKUP_HIT_4K, 0, 0)]);
}

fn prefetching() -> Config {
    let mut config = small();
    config.prefetch.next_page = true;
    config
}

#[test]
fn a_prefetch_fills_the_stlb_with_the_next_page() {
    let mut bench = Bench::new(&prefetching(), &recipe(&prefetching()), 3);
    bench.run(60, &[(0, read(1, 1, 5))]);
    // DONE in 27: PROBE in 28, WALK_WAIT in 29, START in 30, one read by the PDE cache in 31, DONE in 36.
    assert_eq!(bench.log[28].queues.prefetch, 1 | 1 << 2 | 6 << 12);
    let probe = bench.log[28].monitor;
    assert_eq!(
        (probe.stlb_lookup, probe.stlb_port, probe.stlb_entry),
        (4, 0, 16)
    );
    assert_eq!(bench.log[29].queues.prefetch, 2 | 1 << 2 | 6 << 12);
    assert_eq!(bench.log[30].queues.prefetch, 3 | 1 << 2 | 6 << 12);
    let done = WalkEvent {
        op: WALK_TRANSLATED,
        entry: PREFETCH_ENTRY,
        filled: 1,
        ..WalkEvent::ZERO
    };
    assert_eq!(bench.walks()[3], (36, 0, done));
    let tlb = &bench.log[36].monitor.tlb;
    assert_eq!((tlb[3].op, tlb[6].op, tlb[6].tag), (0, ARRAY_FILL, 6));
    assert_eq!(bench.log[37].queues.prefetch, 0);
    // The request for it finds it in the STLB, and triggers nothing, as it does not walk.
    bench.clear();
    bench.run(40, &[(0, read(1, 2, 6))]);
    assert_eq!(bench.responses(), [(5, 1, 2, 0, pa(6))]);
    assert!(bench.walks().is_empty());
    // After page 4 the prefetch finds page 5: a match in the array of 4 KiB pages, and it is over.
    bench.clear();
    bench.run(40, &[(0, read(1, 3, 4))]);
    assert_eq!(bench.log[13].monitor.stlb_lookup, LOOKUP_HIT_4K);
    assert_eq!(bench.log[14].queues.prefetch, 0);
}

#[test]
fn a_prefetch_is_stopped_where_a_bit_would_be_set_and_by_what_takes_its_right() {
    let mut bench = Bench::new(&prefetching(), &recipe(&prefetching()), 3);
    bench.cells.insert(pte(6), pa(6) | (LEAF & !ACCESSED));
    bench.run(60, &[(0, read(1, 1, 5))]);
    let stopped = WalkEvent {
        op: WALK_STOPPED,
        entry: PREFETCH_ENTRY,
        ..WalkEvent::ZERO
    };
    assert_eq!(bench.walks()[3], (36, 0, stopped));
    assert_eq!(bench.log[36].monitor.tlb, [ArrayEvent::ZERO; 9]);
    assert_eq!(bench.cells[&pte(6)], pa(6) | (LEAF & !ACCESSED));
    // An INVLPG, of whatever page, during its walk, which begins with START in 15: performs in 17.
    bench.clear();
    bench.run(16, &[(0, read(1, 1, 8))]);
    assert_eq!(bench.log[15].queues.prefetch & 7, 3 | 1 << 2);
    bench.control = Some((CTRL_INVLPG, 0x1234_5000));
    bench.run(60, &[]);
    assert_eq!(bench.log[18].queues.prefetch & 7, 3);
    assert_eq!(bench.walks()[3].2, stopped);
    // A register that is written frees it where it does not walk yet, and stops it where it does.
    // INVLPG emptied the PSCs: DONE in 27, the answer taken in 28, so that the write performs in 29, when the prefetch is in WALK_WAIT.
    bench.clear();
    bench.run(16, &[(0, read(1, 1, 12))]);
    bench.control = Some((CTRL_MOV_CR0, 0x8000_0001));
    bench.run(60, &[]);
    assert_eq!(bench.log[29].queues.prefetch & 7, 2 | 1 << 2);
    assert_eq!(bench.log[30].queues.prefetch, 0);
    assert_eq!(bench.walks().len(), 2);
    // One read: DONE in 12; the prefetch walks from 15 on, and the write performs in 17.
    bench.clear();
    bench.run(16, &[(0, read(1, 1, 16))]);
    bench.control = Some((CTRL_MOV_CR0, 0x8001_0001));
    bench.run(60, &[]);
    assert_eq!(bench.log[17].queues.prefetch & 7, 3 | 1 << 2);
    assert_eq!(bench.log[18].queues.prefetch & 7, 3);
    assert_eq!(bench.walks()[3].2, stopped);
    bench.no_assertion_failed();
}

#[test]
fn no_prefetch_leaves_the_canonical_addresses() {
    let mut bench = Bench::new(&prefetching(), &recipe(&prefetching()), 3);
    // The last page of the lower half, by entries 511 of four tables.
    for (table, next) in [(0x1000, 0x6000), (0x6000, 0x7000), (0x7000, 0x8000)] {
        bench.cells.insert(
            table + 0x7f8 * u64::from(table == 0x1000) + 0xff8 * u64::from(table != 0x1000),
            next | TABLE,
        );
    }
    bench.cells.insert(0x8ff8, 0x77000 | LEAF);
    // And of the upper half, by entry 511 of the root.
    bench.cells.insert(0x1ff8, 0x6000 | TABLE);
    for va in [0x7fff_ffff_f000, 0xffff_ffff_ffff_f000] {
        let offer = Offer {
            va,
            ..read(1, 1, 0)
        };
        bench.clear();
        bench.run(60, &[(0, offer)]);
        assert_eq!(bench.responses(), [(28, 1, 1, 0, 0x77000)]);
        assert!(bench.log.iter().all(|o| o.queues.prefetch == 0));
    }
}

// ---- random traffic ---------------------------------------------------------------------------------------------------

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn parallel() -> Config {
    let mut config = small();
    config.ports.data_ports = 2;
    config.walkers.count = 4;
    config.miss_queue.entries = 5;
    config.prefetch.next_page = true;
    config.psc.pde_entries = 1;
    config.psc.pdpte_entries = 0;
    config.stlb = TlbSpec::new(3, [(2, 2), (1, 1), (1, 0)]);
    config
}

/// Random requests, INVLPGs and writes of registers, answers of memory out of order, stalls. Every request must be answered, with the right
/// address; a bug shows as a wrong answer, as a request that is not answered, or as a failed assertion, which is what is returned.
fn traffic(config: &Config, recipe: &Recipe, seed: u64, cycles: u64) -> Result<[u64; 8], String> {
    let mut bench = Bench::new(config, recipe, 1);
    let mut random = Random(seed | 1);
    let ports = 1 + config.ports.data_ports as usize;
    let mut outstanding: Vec<BTreeMap<u8, Offer>> = vec![BTreeMap::new(); ports];
    let mut offered: Vec<Option<Offer>> = vec![None; ports];
    let mut id = 0u8;
    let mut counts = [0u64; 8];
    let mut quiet = 0;
    for page in 0..64 {
        bench.cells.insert(pte(page), pa(page) | 7);
        bench.cells.insert(pte(512 + page), pa(512 + page) | LEAF);
    }
    for cycle in 0.. {
        let drain = cycle >= cycles;
        for port in 0..ports {
            if offered[port].is_none() && !drain && random.below(3) != 0 {
                id = id.wrapping_add(1);
                let page = random.below(6) + 512 * random.below(2) + 32 * random.below(2);
                offered[port] = Some(if port > 0 && random.below(4) == 0 {
                    write(port, id, page)
                } else {
                    read(port, id, page)
                });
            }
            bench.resp_ready[port] = random.below(8) != 0;
        }
        if bench.control.is_none() && !drain && random.below(40) == 0 {
            bench.control = Some(match random.below(4) {
                0 => (CTRL_MOV_CR3, ROOT),
                _ => (CTRL_INVLPG, random.below(6) << 12),
            });
        }
        bench.latency = 1 + random.below(30);
        bench.memory_ready = random.below(4) != 0;
        let now: Vec<Offer> = offered.iter().flatten().copied().collect();
        let outputs = bench.tick(&now);
        if !bench.rtl.errors().is_empty() {
            return Err(format!("{:?}", bench.rtl.errors()));
        }
        // Memory answers the first that is due; the order is not that of the requests.
        bench
            .answers
            .make_contiguous()
            .sort_by_key(|answer| answer.0);
        quiet += 1;
        for port in 0..ports {
            let shown = &outputs.ports[port];
            if let Some(offer) = offered[port]
                && shown.req_ready != 0
            {
                outstanding[port].insert(offer.id, offer);
                offered[port] = None;
            }
            if shown.resp_valid != 0 && bench.resp_ready[port] {
                quiet = 0;
                counts[0] += 1;
                let Some(offer) = outstanding[port].remove(&shown.resp_id) else {
                    return Err(format!(
                        "cycle {cycle}: port {port} answers id {}",
                        shown.resp_id
                    ));
                };
                if (shown.resp_status, shown.resp_pa) != (STATUS_TRANSLATED, pa(offer.va >> 12)) {
                    return Err(format!("cycle {cycle}: {:x} gives {:x?}", offer.va, shown));
                }
            }
            counts[1] += u64::from(outputs.monitor.lookup[port] == LOOKUP_MERGED);
            counts[2] += u64::from(outputs.monitor.lookup_retry[port] != 0);
        }
        counts[3] += u64::from(
            outputs.queues.walker[..config.walkers.count as usize]
                .iter()
                .all(|walker| walker & 7 != 0),
        );
        counts[4] += u64::from(
            outputs.queues.miss[..config.miss_queue.entries as usize]
                .iter()
                .all(|miss| miss & 7 != 0),
        );
        for walk in &outputs.monitor.walk {
            counts[5] += u64::from(walk.op == WALK_STOPPED);
            counts[6] += u64::from(walk.entry == PREFETCH_ENTRY && walk.filled != 0);
        }
        counts[7] += u64::from(outputs.memory.req_op == MEM_COMPARE_AND_SET);
        if quiet > 3000 {
            return Err(format!(
                "cycle {cycle}: nothing was answered for long: {outputs:x?}"
            ));
        }
        if drain
            && bench.control.is_none()
            && outstanding.iter().all(BTreeMap::is_empty)
            && offered.iter().all(Option::is_none)
        {
            return Ok(counts);
        }
        bench.log.clear();
    }
    unreachable!("the loop has no end of its own")
}

#[test]
fn random_traffic_is_answered_rightly_and_no_assertion_fails() {
    let mut single = parallel();
    single.miss_queue.entries = 1;
    single.walkers.count = 1;
    let mut three = parallel();
    three.walkers.count = 3;
    three.miss_queue.entries = 16;
    three.ports.queue_entries = 16;
    for (name, config) in [
        ("parallel", parallel()),
        ("single", single),
        ("three", three),
        ("small", small()),
    ] {
        let mut total = [0; 8];
        for seed in 1..=4 {
            match traffic(&config, &recipe(&config), seed * 7919, 15_000) {
                Ok(counts) => total
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count),
                Err(finding) => panic!("{name}, seed {seed}: {finding}"),
            }
        }
        println!(
            "{name}: responses, merged, retries, all walkers busy, queue full, stopped, prefetched, compare-and-sets: {total:?}"
        );
        assert!(total[0] > 1_000 && total[7] > 0, "{name}: {total:?}");
        if config.miss_queue.entries > 4 {
            assert!(total.iter().all(|&count| count > 20), "{name}: {total:?}");
        }
    }
}

// ---- the assertions bite ----------------------------------------------------------------------------------------------

/// Each with a passage of the RTL, what stands in its place, and the assertion that is to fail first.
const BROKEN: [[&str; 4]; 11] = [
    [
        "miss_queue.sv",
        "    left = is_free;",
        "    left = '1;",
        "an_entry_is_taken_only_when_it_is_free",
    ],
    [
        "miss_queue.sv",
        "            left[entry[p]] = 1'b0;",
        "",
        "two_ports_never_take_one_entry",
    ],
    [
        "miss_queue.sv",
        "if (walk_take_i) state_q[index_t'(walk_entry_i)] <= MissWalking;",
        "",
        "a_commit_is_for_an_entry_that_is_busy_or_walks",
    ],
    [
        "walkers.sv",
        "      taken_owner = owner_t'(entry_o);",
        "",
        "no_two_walkers_hold_one_entry",
    ],
    [
        "miss_queue.sv",
        "    if (revoke_i) begin",
        "    if (1'b0) begin",
        "a_lost_right_to_fill_is_not_used",
    ],
    [
        "miss_queue.sv",
        "= request_q[commit_entry].id;",
        "= request_q[commit_entry].id + 8'd128;",
        "a_response_answers_an_outstanding_request",
    ],
    [
        "memory_port.sv",
        "assign asks = held_q != '0 ? held_q : want_i;",
        "assign asks = want_i;",
        "the_payload_is_stable_until_ready",
    ],
    [
        "commit.sv",
        "    if (by_walker) begin",
        "    if (commits) begin",
        "at_most_one_commits_in_a_cycle",
    ],
    [
        "commit.sv",
        "      if (!passed_over_i) begin",
        "      begin",
        "a_look_up_gives_way_once_only",
    ],
    [
        "commit.sv",
        "    if (!busy_i) begin",
        "    begin",
        "nothing_commits_while_control_is_busy",
    ],
    [
        "walkers.sv",
        "    if (take_o) begin\n      takes = idle & (~idle + walkers_t'(1));",
        "    if (take_o) begin\n      takes = idle;",
        "at_most_one_walker_takes_a_walk",
    ],
];

/// A request of the fetch port is looked up in 27, in which the DONE of the data port's walk of the same page commits.
fn meet_the_end_of_a_walk(recipe: &Recipe) -> Bench {
    let mut bench = Bench::new(&small(), recipe, 3);
    for cycle in 0..60 {
        match cycle {
            0 => bench.tick(&[read(1, 1, 5)]),
            26 => bench.tick(&[read(0, 2, 5)]),
            _ => bench.tick(&[]),
        };
    }
    bench
}

#[test]
fn no_request_merges_with_one_that_ends_in_that_cycle() {
    let bench = meet_the_end_of_a_walk(&recipe(&small()));
    bench.no_assertion_failed();
    assert_eq!(bench.lookups(0), [(27, LOOKUP_MISS, 1, 0)]);
    // It finds the page in the STLB: H + S + 2 from its acceptance.
    assert_eq!(
        bench.responses(),
        [(28, 1, 1, 0, pa(5)), (31, 0, 2, 0, pa(5))]
    );
    let mut broken = recipe(&small());
    broken
        .patch(
            "miss_queue.sv",
            "if (commit_i.frees) accepting[commit_entry] = 1'b0;",
            "",
        )
        .expect("the passage is there once");
    let bench = meet_the_end_of_a_walk(&broken);
    let failures = bench.rtl.errors();
    assert!(
        failures[0]
            .text
            .contains("the_primary_of_a_waiting_entry_is_neither_free_nor_waiting"),
        "{failures:?}"
    );
}

#[test]
fn what_an_assertion_guards_makes_it_fail_when_it_is_broken() {
    let config = parallel();
    for [file, passage, replacement, assertion] in BROKEN {
        let mut recipe = recipe(&config);
        recipe
            .patch(file, passage, replacement)
            .expect("the passage is there once");
        let finding = traffic(&config, &recipe, 5, 15_000).expect_err(assertion);
        println!("{assertion}: {finding}");
        assert!(
            finding.contains(assertion),
            "{assertion} was to fail, but: {finding}"
        );
    }
}
