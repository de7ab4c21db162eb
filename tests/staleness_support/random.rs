//! Random operations of the hard kind for the test machine: few pages, aliasing tables, entries rewritten at any time, every control
//! operation, random latencies and stalls.
//!
//! Contract: 3, 13 (drivers). SDM: none. Counterpart: none.

use std::collections::VecDeque;

use twinwalk::arch::Capabilities;
use twinwalk::model::mmu_pkg::*;
use twinwalk::reference::finding::{Figures, Finding};
use twinwalk::reference::horizon::Reading;
use twinwalk::reference::image::Image;
use twinwalk::reference::observer::Store;
use twinwalk::reference::provenance::Provenance;
use twinwalk::reference::staleness::Staleness;

use super::bugs::Bug;
use super::machine::Machine;
use super::places::{ArrayShape, Shape, one_a_size};

/// Bytes of memory.
pub const MEMORY_BYTES: u64 = 0x10_0000;
/// First table frame of each level, and tables per level: PT, PD, PDPT, PML4, PML5.
const TABLES: [u64; 5] = [0x10_000, 0x18_000, 0x20_000, 0x28_000, 0x30_000];
const TABLES_A_LEVEL: u64 = 3;
/// Indices that addresses use at each level.
const INDICES: [&[u64]; 5] = [&[0, 1, 7], &[0, 1], &[0, 3], &[0, 1, 0x1ff], &[0, 0x1ff]];

/// Cycles from one time that paging goes off to the next.
const PAGING_OFF_EVERY: u64 = 3000;

/// A generator of numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick(&mut self, list: &[u64]) -> u64 {
        list[self.below(list.len() as u64) as usize]
    }
}

/// What a run is made of.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub cycles: u64,
    pub shape: Shape,
    pub five_level: bool,
    pub bug: Bug,
    /// No stores and, after paging is on, no operations: everything hits soon.
    pub quiet: bool,
}

impl Plan {
    pub fn new(seed: u64, cycles: u64) -> Self {
        Self {
            seed,
            cycles,
            shape: small(),
            five_level: false,
            bug: Bug::None,
            quiet: false,
        }
    }
}

/// Small arrays, so that everything collides.
pub fn small() -> Shape {
    let tlb = one_a_size([
        (2, 2),
        (1, 2),
        (1, 1),
        (4, 1),
        (2, 1),
        (1, 2),
        (4, 2),
        (2, 2),
        (1, 2),
    ]);
    Shape {
        tlb,
        psc: [(1, 2); 4],
        inclusive: false,
        queue_entries: 4,
        hit_cycles: [1, 2, 3],
    }
}

/// No large-page arrays in the DTLB, no cache for two of the levels.
pub fn sparse() -> Shape {
    let tlb = one_a_size([
        (1, 1),
        (1, 0),
        (1, 0),
        (1, 2),
        (1, 0),
        (1, 0),
        (1, 1),
        (8, 1),
        (1, 0),
    ]);
    Shape {
        tlb,
        psc: [(1, 1), (1, 0), (1, 3), (1, 0)],
        inclusive: false,
        queue_entries: 1,
        hit_cycles: [3, 1, 1],
    }
}

/// Room for everything, so that entries live long.
pub fn roomy() -> Shape {
    let tlb = one_a_size([
        (8, 4),
        (4, 4),
        (1, 4),
        (8, 4),
        (4, 4),
        (1, 4),
        (16, 8),
        (8, 4),
        (2, 4),
    ]);
    Shape {
        tlb,
        psc: [(1, 8), (1, 8), (1, 4), (1, 4)],
        inclusive: false,
        queue_entries: 8,
        hit_cycles: [1, 1, 4],
    }
}

/// Arrays of several sizes in sets of any number, pages in pieces at every level, reads and writes apart, caches of several sets.
pub fn mixed() -> Shape {
    let tlb = [
        ArrayShape::of(0b011, 3, 2),
        ArrayShape::NONE,
        ArrayShape::NONE,
        ArrayShape::NONE,
        ArrayShape::of(0b001, 2, 2).serving(1),
        ArrayShape::of(0b001, 3, 1).serving(1),
        ArrayShape::of(0b110, 1, 3).serving(1),
        ArrayShape::of(0b111, 1, 4).serving(2),
        ArrayShape::of(0b011, 3, 2),
        ArrayShape::of(0b001, 5, 2),
        ArrayShape::of(0b010, 1, 2),
        ArrayShape::NONE,
    ];
    Shape {
        tlb,
        psc: [(3, 2), (2, 1), (2, 2), (2, 1)],
        inclusive: false,
        queue_entries: 4,
        hit_cycles: [1, 2, 3],
    }
}

/// Pages of 4 KiB alone, whatever their size in the tables.
pub fn pieces() -> Shape {
    let mut shape = roomy();
    for level in 0..3 {
        shape.tlb[4 * level + 1] = ArrayShape::NONE;
        shape.tlb[4 * level + 2] = ArrayShape::NONE;
    }
    shape
}

/// A small inclusive STLB that takes its time, before first levels that are smaller still.
pub fn inclusive() -> Shape {
    let tlb = [
        ArrayShape::of(0b011, 1, 1),
        ArrayShape::of(0b100, 1, 1),
        ArrayShape::NONE,
        ArrayShape::NONE,
        ArrayShape::of(0b001, 2, 1),
        ArrayShape::of(0b110, 3, 1),
        ArrayShape::NONE,
        ArrayShape::NONE,
        ArrayShape::of(0b011, 3, 2),
        ArrayShape::of(0b100, 2, 1),
        ArrayShape::NONE,
        ArrayShape::NONE,
    ];
    Shape {
        tlb,
        psc: [(1, 2); 4],
        inclusive: true,
        queue_entries: 4,
        hit_cycles: [1, 1, 20],
    }
}

/// How a run ended.
pub struct Outcome {
    pub provenance: Result<Figures, Finding>,
    pub contract: Result<Figures, Finding>,
    pub manual: Result<Figures, Finding>,
}

struct Answer {
    due: u64,
    data: u64,
    error: bool,
}

/// Everything outside the machine.
pub struct World {
    random: Random,
    five_level: bool,
    memory: Image,
    requests: [Option<PortIn>; 2],
    next_id: [u8; 2],
    control: Option<ControlIn>,
    boot: VecDeque<ControlIn>,
    answers: VecDeque<Answer>,
    /// Addresses asked for lately: what invalidations and further requests are likely to name.
    recent: [u64; 4],
    /// CR4 and CR3 as they show.
    cr4: u64,
    cr3: u64,
    paging_off_in: u64,
    quiet: bool,
}

fn control(op: u8, data: u64) -> ControlIn {
    ControlIn {
        valid: 1,
        op,
        data,
        ..ControlIn::default()
    }
}

impl World {
    pub fn new(seed: u64, five_level: bool, quiet: bool) -> Self {
        let mut random = Random::new(seed);
        let mut memory = Image::new(MEMORY_BYTES, []);
        for level in 1..=5 {
            for slot in slots(level) {
                let entry = entry(&mut random, level, true);
                memory.write(slot, entry);
            }
        }
        let cr4 = 1 << 5 | 1 << 7 | if five_level { 1 << 12 } else { 0 };
        let boot = [
            control(CTRL_WRMSR_EFER, 0x900),
            control(CTRL_MOV_CR4, cr4),
            control(CTRL_MOV_CR3, TABLES[if five_level { 4 } else { 3 }]),
            control(CTRL_MOV_CR0, 0x8001_0001),
            control(CTRL_MOV_CR4, cr4 | 1 << 17),
        ];
        Self {
            random,
            five_level,
            memory,
            requests: [None; 2],
            next_id: [0; 2],
            control: None,
            boot: boot.into(),
            answers: VecDeque::new(),
            recent: [0; 4],
            cr4: 0,
            cr3: 0,
            paging_off_in: PAGING_OFF_EVERY,
            quiet,
        }
    }

    pub fn image(&self) -> Image {
        self.memory.clone()
    }

    /// An address that was asked for lately, or another.
    fn likely_va(&mut self) -> u64 {
        if self.random.one_in(4) {
            self.va()
        } else {
            self.random.pick(&self.recent.clone())
        }
    }

    fn va(&mut self) -> u64 {
        let index =
            |level: usize, random: &mut Random| random.pick(INDICES[level]) << (12 + 9 * level);
        let mut va = (0..4)
            .map(|level| index(level, &mut self.random))
            .sum::<u64>();
        let top = if self.five_level {
            va |= index(4, &mut self.random);
            56
        } else {
            47
        };
        if va >> top & 1 != 0 {
            va |= !0 << top;
        }
        if self.random.one_in(200) {
            va ^ 1 << 60
        } else {
            va | (self.random.below(8) * 0x1f8)
        }
    }

    fn request(&mut self, port: usize) -> PortIn {
        let kind = if port == 0 {
            KIND_FETCH
        } else {
            self.random.below(2) as u8
        };
        let id = self.next_id[port];
        self.next_id[port] = id.wrapping_add(1);
        let va = if self.random.one_in(3) {
            self.likely_va()
        } else {
            self.va()
        };
        self.recent[self.random.below(4) as usize] = va;
        PortIn {
            req_valid: 1,
            req_id: id,
            req_kind: kind,
            req_size_bytes: 8,
            req_cpl: if self.random.one_in(2) { 3 } else { 0 },
            req_ac: self.random.below(2) as u8,
            req_implicit_supervisor: self.random.one_in(10).into(),
            req_pkru: if self.random.one_in(8) {
                self.random.next() as u32
            } else {
                0
            },
            req_va: va,
            ..PortIn::default()
        }
    }

    fn operation(&mut self) -> ControlIn {
        let current = self.cr3 & 0xfff;
        let other = self.random.below(4);
        let pcid = if self.random.one_in(2) {
            current
        } else {
            other
        };
        let root = TABLES[if self.five_level { 4 } else { 3 }] + 0x1000 * self.random.below(2);
        match self.random.below(20) {
            // Without PCIDs the lower bits must be 0 for them to come back.
            0..=4 if self.cr4 & 1 << 17 == 0 => control(CTRL_MOV_CR3, root),
            0..=4 => control(CTRL_MOV_CR3, root | other | self.random.below(2) << 63),
            5..=9 => control(CTRL_INVLPG, self.likely_va()),
            10..=15 => {
                let context = if self.random.one_in(30) {
                    1 << 13
                } else {
                    pcid
                };
                let kind = self.random.pick(&[0, 0, 0, 1, 1, 2, 3, 4]);
                ControlIn {
                    kind,
                    addr: self.likely_va(),
                    ..control(CTRL_INVPCID, context)
                }
            }
            16 => control(CTRL_MOV_CR0, 0x8000_0001 | self.random.below(2) << 16),
            17 if self.random.one_in(3) => {
                control(CTRL_WRMSR_EFER, 0x100 | self.random.below(2) << 11)
            }
            18 if self.paging_off_in == 0 && self.cr4 & 1 << 17 == 0 => {
                self.paging_off_in = PAGING_OFF_EVERY;
                self.boot.push_back(control(CTRL_MOV_CR0, 0x8001_0001));
                control(CTRL_MOV_CR0, 0x1_0001)
            }
            _ => control(
                CTRL_MOV_CR4,
                self.cr4 ^ 1 << self.random.pick(&[7, 7, 17, 17, 20, 20, 21, 22]),
            ),
        }
    }

    fn stores(&mut self) -> Vec<Store> {
        let mut stores = Vec::new();
        if self.quiet || !self.random.one_in(12) {
            return stores;
        }
        let level = 1 + self.random.below(5);
        let slots = slots(level);
        let address = self.random.pick(&slots);
        let value = match self.random.below(4) {
            // Rights, A and D change most in life; so does a page that comes back.
            0 => self.memory.read(address) ^ 1 << self.random.pick(&[0, 1, 2, 5, 5, 6, 8, 63]),
            1 => self.memory.read(address) & !0x60,
            _ => entry(&mut self.random, level, false),
        };
        stores.push(Store { address, value });
        stores
    }

    /// The inputs of a cycle, and the stores that perform in it; memory is as they, and the accept of the cycle, leave it.
    pub fn drive(&mut self, cycle: u64, outputs: &Outputs) -> (Inputs, Vec<Store>) {
        let mut inputs = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        (self.cr4, self.cr3) = (outputs.control.cr4, outputs.control.cr3);
        for port in 0..2 {
            if self.requests[port].is_none()
                && self.boot.len() < 2
                && (self.quiet || !self.random.one_in(3))
            {
                self.requests[port] = Some(self.request(port));
            }
            inputs.ports[port] = self.requests[port].unwrap_or_default();
            inputs.ports[port].resp_ready = (!self.random.one_in(5)).into();
            if inputs.ports[port].req_valid & outputs.ports[port].req_ready != 0 {
                self.requests[port] = None;
            }
        }
        self.paging_off_in = self.paging_off_in.saturating_sub(1);
        let idle = self.quiet && self.boot.is_empty();
        if self.control.is_none() && !idle && (self.boot.len() > 1 || self.random.one_in(25)) {
            let operation = self.operation_or_boot();
            self.control = Some(operation);
        }
        inputs.control = self.control.unwrap_or_default();
        inputs.control.resp_ready = (!self.random.one_in(4)).into();
        if inputs.control.valid & outputs.control.ready != 0 {
            self.control = None;
        }
        let stores = self.stores();
        for store in &stores {
            self.memory.write(store.address, store.value);
        }
        self.memory(cycle, outputs, &mut inputs);
        (inputs, stores)
    }

    fn operation_or_boot(&mut self) -> ControlIn {
        match self.boot.pop_front() {
            Some(operation) => operation,
            None => self.operation(),
        }
    }

    fn memory(&mut self, cycle: u64, outputs: &Outputs, inputs: &mut Inputs) {
        if self
            .answers
            .front()
            .is_some_and(|answer| answer.due <= cycle)
            && let Some(answer) = self.answers.pop_front()
        {
            inputs.memory.resp_valid = 1;
            inputs.memory.resp_last = 1;
            inputs.memory.resp_error = answer.error.into();
            inputs.memory.resp_data = answer.data;
        }
        inputs.memory.req_ready = (!self.random.one_in(4)).into();
        let request = &outputs.memory;
        if request.req_valid & inputs.memory.req_ready == 0 {
            return;
        }
        let data = self.memory.read(request.req_addr);
        let sets = request.req_op == MEM_COMPARE_AND_SET && data == request.req_expected;
        if sets || request.req_op == MEM_WRITE {
            self.memory.write(request.req_addr, request.req_wdata);
        }
        let error = !self.memory.contains(request.req_addr);
        let due = cycle + 1 + self.random.below(6);
        self.answers.push_back(Answer { due, data, error });
    }
}

/// Addresses of the entries that addresses use at a level, 1 to 5.
fn slots(level: u64) -> Vec<u64> {
    let level = level as usize - 1;
    let tables = (0..TABLES_A_LEVEL).map(|table| TABLES[level] + 0x1000 * table);
    tables
        .flat_map(|table| INDICES[level].iter().map(move |index| table + 8 * index))
        .collect()
}

/// A random entry for a level. `kind`: one that leads somewhere, for a start.
fn entry(random: &mut Random, level: u64, kind: bool) -> u64 {
    if !kind && random.one_in(6) {
        return random.next() & !1;
    }
    let mut value = 1 | random.next() & 0x67;
    if !random.one_in(3) {
        value |= 0x6;
    }
    value |= u64::from(random.one_in(8)) << 63;
    if random.one_in(60) && !kind {
        value |= random.pick(&[1 << 46, 1 << 51, 1 << 7]);
    }
    let leaf = level == 1 || (level <= 3 && random.one_in(3));
    if leaf {
        value |= random.below(2) << 8 | random.below(4) << 59 | (random.below(4) << 3);
        value |= if level == 1 {
            random.below(2) << 7
        } else {
            1 << 7 | random.below(2) << 12
        };
        let misaligned = level > 1 && !kind && random.one_in(20);
        return value
            | (1 + random.below(6)) << (12 + 9 * (level - 1))
            | u64::from(misaligned) << 13;
    }
    if random.one_in(50) && !kind {
        return value | MEMORY_BYTES << 1;
    }
    value | (TABLES[level as usize - 2] + 0x1000 * random.below(TABLES_A_LEVEL))
}

/// Runs a plan under the checks that `with` names: provenance, architectural by the contract, by the manual. Each stops at its first
/// finding, and the run with the last of them.
pub fn run_with(plan: &Plan, with: [bool; 3]) -> Outcome {
    let capabilities = Capabilities::new(46, true, true).expect("46 bits are supported");
    let mut world = World::new(plan.seed, plan.five_level, plan.quiet);
    let mut machine = Machine::new(capabilities, plan.shape.clone(), plan.bug);
    let mut provenance = Provenance::new(&plan.shape.config(), world.image());
    let staleness = |reading| {
        let check = Staleness::new(capabilities, world.image(), reading);
        check.in_pieces(plan.shape.fractures())
    };
    let [mut contract, mut manual] = [Reading::Contract, Reading::Manual].map(staleness);
    let mut findings = [None, None, None];
    for cycle in 0..plan.cycles {
        let outputs = machine.tick(cycle);
        let (inputs, stores) = world.drive(cycle, &outputs);
        if with[0] && findings[0].is_none() {
            findings[0] = provenance.observe(cycle, &inputs, &outputs, &stores).err();
        }
        if with[1] && findings[1].is_none() {
            findings[1] = contract.observe(cycle, &inputs, &outputs, &stores).err();
        }
        if with[2] && findings[2].is_none() {
            findings[2] = manual.observe(cycle, &inputs, &outputs, &stores).err();
        }
        if findings
            .iter()
            .zip(with)
            .all(|(finding, with)| finding.is_some() || !with)
        {
            break;
        }
        machine.transfer(cycle, &inputs, &outputs);
    }
    let [first, second, third] = findings;
    let end = |finding: Option<Finding>, figures: &Figures| finding.map_or(Ok(*figures), Err);
    Outcome {
        provenance: end(first, provenance.figures()),
        contract: end(second, contract.figures()),
        manual: end(third, manual.figures()),
    }
}

/// Runs a plan under all three checks.
pub fn run(plan: &Plan) -> Outcome {
    run_with(plan, [true; 3])
}
