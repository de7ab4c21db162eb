//! Short scripts for the test machine under all three checks: 57-bit addresses, two trees of tables, one access or operation after the other.
//!
//! Contract: 3, 13 (drivers). SDM: none. Counterpart: `random.rs`, random operations for the same machine.

use twinwalk::arch::Capabilities;
use twinwalk::model::mmu_pkg::*;
use twinwalk::reference::finding::{Finding, Rule};
use twinwalk::reference::horizon::Reading;
use twinwalk::reference::image::Image;
use twinwalk::reference::observer::Store;
use twinwalk::reference::provenance::Provenance;
use twinwalk::reference::staleness::Staleness;

use super::bugs::Bug;
use super::machine::Machine;
use super::random::{MEMORY_BYTES, roomy};

/// The root; the tables below it follow, each 4 KiB on, down to the page table. The second tree begins at [`OTHER`], in the same way.
pub const ROOT: u64 = 0x1_0000;
const OTHER: u64 = 0x2_0000;
/// An address whose index is 1 at every level.
pub const VA: u64 = 0x0001_0080_4020_1000;
/// P, U/S and A: no writes, so that a write faults.
pub const PAGE: u64 = 0x25;
/// P, R/W, U/S and A.
const TABLE: u64 = 0x27;
/// PAE, PGE, LA57, PCIDE.
pub const CR4: u64 = 1 << 5 | 1 << 7 | 1 << 12 | 1 << 17;
/// Cycles from the accept of a read to its answer.
const LATENCY_CYCLES: u64 = 5;
/// More than any script takes.
const LAST_CYCLE: u64 = 4000;

/// A step; each begins when all before it is over, except what follows [`Step::Begin`].
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// An access in user mode through a port, of a kind, and its answer.
    Access(usize, u64, u8),
    /// The same without waiting for the answer.
    Begin(usize, u64, u8),
    /// Cycles that pass.
    Wait(u64),
    /// Another agent stores.
    Store(u64, u64),
    /// A control operation, and its answer.
    Control(ControlIn),
}

pub fn control(op: u8, data: u64) -> ControlIn {
    ControlIn {
        valid: 1,
        op,
        data,
        ..ControlIn::default()
    }
}

/// A fetch through port 0, a read through port 1.
pub fn access(port: usize, va: u64) -> Step {
    Step::Access(port, va, if port == 0 { KIND_FETCH } else { KIND_READ })
}

/// The table of a level, 1 to 5, in a tree.
fn table(tree: u64, level: u64) -> u64 {
    tree + 0x1000 * (5 - level)
}

/// The entry of the first tree that translates [`VA`] at a level.
pub fn entry_of(level: u64) -> u64 {
    table(ROOT, level) + 8
}

/// An entry of a level that refers to the second tree.
pub fn other_table(level: u64) -> u64 {
    table(OTHER, level - 1) | TABLE
}

/// Both trees: pages 1 and 2 of the page table, with frames of their own in each.
fn image() -> Image {
    let mut words = Vec::new();
    for (tree, frame) in [(ROOT, 0x5_0000), (OTHER, 0x7_0000)] {
        for level in 2..=5 {
            words.push((table(tree, level) + 8, table(tree, level - 1) | TABLE));
        }
        for page in 1..=2 {
            words.push((table(tree, 1) + 8 * page, (frame + 0x1000 * page) | PAGE));
        }
    }
    Image::new(MEMORY_BYTES, words)
}

/// What is offered to the machine, and what is on its way.
#[derive(Default)]
struct Driver {
    request: Option<(usize, PortIn)>,
    control: Option<ControlIn>,
    /// Requests and operations that are offered or not answered.
    open: usize,
    ids: u8,
    wait: u64,
    waits_for_all: bool,
    answer: Option<(u64, u64)>,
}

impl Driver {
    fn begin(&mut self, step: Step, stores: &mut Vec<Store>) {
        match step {
            Step::Access(port, va, kind) | Step::Begin(port, va, kind) => {
                self.waits_for_all = matches!(step, Step::Access(..));
                self.ids = self.ids.wrapping_add(1);
                let request = PortIn {
                    req_valid: 1,
                    req_id: self.ids,
                    req_kind: kind,
                    req_size_bytes: 8,
                    req_cpl: 3,
                    req_va: va,
                    ..PortIn::default()
                };
                self.request = Some((port, request));
                self.open += 1;
            }
            Step::Wait(cycles) => self.wait = cycles,
            Step::Store(address, value) => stores.push(Store { address, value }),
            Step::Control(operation) => {
                self.waits_for_all = true;
                self.control = Some(operation);
                self.open += 1;
            }
        }
    }

    /// Whether the next step may begin in this cycle: what is offered and not yet accepted holds it back.
    fn is_ready(&mut self) -> bool {
        self.wait = self.wait.saturating_sub(1);
        let free = self.request.is_none() && self.control.is_none();
        free && self.wait == 0 && (self.open == 0 || !self.waits_for_all)
    }

    /// The inputs of a cycle.
    fn drive(&mut self, cycle: u64, outputs: &Outputs, memory: &mut Image) -> Inputs {
        let mut inputs = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        for port in 0..2 {
            if let Some((_, request)) = self.request.filter(|(of, _)| *of == port) {
                inputs.ports[port] = request;
            }
            inputs.ports[port].resp_ready = 1;
            if inputs.ports[port].req_valid & outputs.ports[port].req_ready != 0 {
                self.request = None;
            }
            self.open -= usize::from(outputs.ports[port].resp_valid);
        }
        inputs.control = self.control.unwrap_or_default();
        inputs.control.resp_ready = 1;
        if inputs.control.valid & outputs.control.ready != 0 {
            self.control = None;
        }
        self.open -= usize::from(outputs.control.resp_valid);
        if let Some((_, data)) = self.answer.filter(|(due, _)| *due <= cycle) {
            inputs.memory.resp_valid = 1;
            inputs.memory.resp_last = 1;
            inputs.memory.resp_data = data;
            self.answer = None;
        }
        inputs.memory.req_ready = 1;
        let request = &outputs.memory;
        if request.req_valid != 0 {
            let data = memory.read(request.req_addr);
            if request.req_op == MEM_COMPARE_AND_SET && data == request.req_expected {
                memory.write(request.req_addr, request.req_wdata);
            }
            self.answer = Some((cycle + LATENCY_CYCLES, data));
        }
        inputs
    }
}

/// Runs a script on the machine with `bug`: the rules that provenance, the contract's reading and the manual's find broken first.
pub fn play(script: &[Step], bug: Bug) -> [Option<Rule>; 3] {
    let capabilities = Capabilities::new(46, true, true).expect("46 bits are supported");
    let mut memory = image();
    let mut machine = Machine::new(capabilities, roomy(), bug);
    let mut provenance = Provenance::new(&roomy().config(), image());
    let mut contract = Staleness::new(capabilities, image(), Reading::Contract);
    let mut manual = Staleness::new(capabilities, image(), Reading::Manual);
    let boot = [
        control(CTRL_WRMSR_EFER, 0x900),
        control(CTRL_MOV_CR4, CR4 & !(1 << 17)),
        control(CTRL_MOV_CR3, ROOT),
        control(CTRL_MOV_CR0, 0x8001_0001),
        control(CTRL_MOV_CR4, CR4),
    ];
    let boot = boot.map(Step::Control);
    let mut steps = boot.iter().chain(script).copied();
    let mut driver = Driver::default();
    let mut found = [None; 3];
    for cycle in 0..LAST_CYCLE {
        let outputs = machine.tick(cycle);
        let mut stores = Vec::new();
        if driver.is_ready() {
            match steps.next() {
                Some(step) => driver.begin(step, &mut stores),
                None => return found,
            }
        }
        for store in &stores {
            memory.write(store.address, store.value);
        }
        let inputs = driver.drive(cycle, &outputs, &mut memory);
        let rule = |result: Result<(), Finding>| result.err().map(|finding| finding.rule);
        if found[0].is_none() {
            found[0] = rule(provenance.observe(cycle, &inputs, &outputs, &stores));
        }
        if found[1].is_none() {
            found[1] = rule(contract.observe(cycle, &inputs, &outputs, &stores));
        }
        if found[2].is_none() {
            found[2] = rule(manual.observe(cycle, &inputs, &outputs, &stores));
        }
        machine.transfer(cycle, &inputs, &outputs);
    }
    panic!("the script does not end: {script:?}");
}
