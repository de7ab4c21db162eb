//! Drives the RTL alone: a small machine, memory, page tables, and a log of what the machine showed in each cycle.
//!
//! Contract: sections 1 (cycles), 3 (ports), 10 (monitor). SDM: none. Counterpart: none.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, VecDeque};

use twinwalk::config::{Config, TlbSpec};
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::model::mmu_pkg::*;

use crate::machines_support::{QUICK, provider};

/// Tables: PML4 at 0x1000, PDPT at 0x2000, PD at 0x3000, PTs at 0x4000 and 0x5000. Page n of the first 1024 has frame 0x100 + n.
pub const ROOT: u64 = 0x1000;
pub const TABLE: u64 = 0x27;
pub const LEAF: u64 = 0x67;
pub const ACCESSED: u64 = 0x20;
pub const DIRTY: u64 = 0x40;

pub fn pte(page: u64) -> u64 {
    0x4000 + 8 * page
}

pub fn pa(page: u64) -> u64 {
    (0x100 + page) << 12
}

/// The bits of a cell whose bytes are enabled.
fn enabled_bits(byte_enables: u8) -> u64 {
    (0..8)
        .filter(|byte| byte_enables >> byte & 1 != 0)
        .fold(0, |bits, byte| bits | 0xff << (8 * byte))
}

/// A small machine: H = 1, S = 2.
pub fn small() -> Config {
    let mut config = Config::default();
    config.ports.queue_entries = 4;
    config.miss_queue.entries = 4;
    config.walkers.count = 2;
    config.itlb = TlbSpec::new(1, [(2, 2), (1, 1), (1, 1)]);
    config.dtlb = TlbSpec::new(1, [(2, 2), (1, 1), (1, 1)]);
    config.stlb = TlbSpec::new(2, [(8, 4), (1, 2), (1, 1)]);
    config
}

pub fn recipe(config: &Config) -> Recipe {
    Recipe::new(config, QUICK)
}

pub fn library(recipe: &Recipe) -> Library {
    try_library(recipe).expect("the machine can be built")
}

pub fn try_library(recipe: &Recipe) -> Result<Library, impl std::error::Error + use<>> {
    provider().loaded_library(recipe, &mut |_| {})
}

#[derive(Clone, Copy)]
pub struct Offer {
    pub port: usize,
    pub id: u8,
    pub va: u64,
    pub kind: u8,
}

pub fn read(port: usize, id: u8, page: u64) -> Offer {
    let kind = if port == 0 { KIND_FETCH } else { KIND_READ };
    let va = page << 12;
    Offer { port, id, va, kind }
}

pub fn write(port: usize, id: u8, page: u64) -> Offer {
    Offer {
        kind: KIND_WRITE,
        ..read(port, id, page)
    }
}

/// A machine, its memory, and what it showed in each cycle since the log was cleared.
pub struct Bench {
    pub rtl: Rtl,
    pub cells: BTreeMap<u64, u64>,
    pub latency: u64,
    pub cycle: u64,
    /// (due cycle, id, data)
    pub answers: VecDeque<(u64, u8, u64)>,
    /// Operation offered until it is taken.
    pub control: Option<(u8, u64)>,
    /// Address that goes with it, if it is INVPCID, which is of type 0.
    pub control_addr: u64,
    /// PKRU of every request.
    pub pkru: u32,
    pub resp_ready: [bool; 3],
    pub memory_ready: bool,
    pub log: Vec<Outputs>,
}

impl Bench {
    pub fn new(config: &Config, recipe: &Recipe, latency: u64) -> Self {
        let mut bench = Self::off(config, recipe, latency, InitialRegisters::Random(9));
        bench.boot();
        bench
    }

    /// The machine before its first edge.
    pub fn off(config: &Config, recipe: &Recipe, latency: u64, initial: InitialRegisters) -> Self {
        let mut cells = BTreeMap::from([
            (0x1000, 0x2000 | TABLE),
            (0x2000, 0x3000 | TABLE),
            (0x3000, 0x4000 | TABLE),
            (0x3008, 0x5000 | TABLE),
        ]);
        for page in 0..1024 {
            cells.insert(pte(page), pa(page) | LEAF);
        }
        let rtl = Rtl::new(config, &library(recipe), initial).expect("the machine can be made");
        Self {
            rtl,
            cells,
            latency,
            cycle: 0,
            answers: VecDeque::new(),
            control: None,
            control_addr: 0,
            pkru: 0,
            resp_ready: [true; 3],
            memory_ready: true,
            log: Vec::new(),
        }
    }

    /// A cycle under reset, and paging on.
    pub fn boot(&mut self) {
        self.rtl.tick(&Inputs::default());
        for (op, data) in [
            (CTRL_WRMSR_EFER, 0x900),
            (CTRL_MOV_CR4, 0x20),
            (CTRL_MOV_CR3, ROOT),
            (CTRL_MOV_CR0, 0x8001_0001),
        ] {
            self.operate(op, data);
        }
        self.clear();
    }

    pub fn clear(&mut self) {
        self.cycle = 0;
        assert!(self.answers.is_empty(), "memory has work left");
        self.log.clear();
    }

    pub fn operate(&mut self, op: u8, data: u64) {
        assert!(self.attempt(op, data), "#GP");
    }

    /// Whether the operation ends without #GP.
    pub fn attempt(&mut self, op: u8, data: u64) -> bool {
        self.control = Some((op, data));
        for _ in 0..1000 {
            self.tick(&[]);
            let shown = self.log.last().expect("a cycle").control;
            if self.control.is_none() && shown.resp_valid != 0 {
                return shown.resp_gp == 0;
            }
        }
        panic!("a control operation hangs");
    }

    pub fn inputs(&mut self, offers: &[Offer]) -> Inputs {
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
            port.req_pkru = self.pkru;
        }
        if let Some((op, data)) = self.control {
            inputs.control.valid = 1;
            inputs.control.op = op;
            inputs.control.data = data;
            inputs.control.addr = self.control_addr;
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

    pub fn tick(&mut self, offers: &[Offer]) -> Outputs {
        let inputs = self.inputs(offers);
        let outputs = *self.rtl.tick(&inputs);
        let memory = outputs.memory;
        if memory.req_valid != 0 && self.memory_ready {
            let cell = self.cells.entry(memory.req_addr).or_default();
            let held = *cell;
            let enabled = enabled_bits(memory.req_be);
            if memory.req_op == MEM_COMPARE_AND_SET && held & enabled == memory.req_expected {
                *cell = held & !enabled | memory.req_wdata;
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
    pub fn run(&mut self, cycles: u64, offers: &[(u64, Offer)]) {
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

    pub fn no_assertion_failed(&self) {
        assert!(self.rtl.errors().is_empty(), "{:?}", self.rtl.errors());
    }

    /// Brings pages into a level by reading them and letting the machine come to rest.
    pub fn warm(&mut self, offers: &[Offer]) {
        for offer in offers {
            self.clear();
            self.run(4 * 30 + 40 * self.latency, &[(0, *offer)]);
        }
        self.clear();
    }

    /// (cycle, port, id, status, pa) of each response.
    pub fn responses(&self) -> Vec<(u64, usize, u8, u8, u64)> {
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
    pub fn lookups(&self, port: usize) -> Vec<(u64, u8, u8, u8)> {
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
    pub fn walks(&self) -> Vec<(u64, usize, WalkEvent)> {
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

    pub fn ops(&self) -> Vec<(u64, usize, u8)> {
        self.walks()
            .iter()
            .map(|(cycle, walker, event)| (*cycle, *walker, event.op))
            .collect()
    }
}
