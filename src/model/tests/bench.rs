//! A machine that is ticked, cycle by cycle, with its memory, page tables in it, and a record of what its monitor said.

use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{Access, AccessKind, PageSize, PagingMode};
use crate::config::{Config, MemorySpec, PscArraySpec, PscSpec, TlbSpec, WalkersSpec};

use crate::model::mmu_pkg::{ControlIn, Inputs, Outputs, PREFETCH_ENTRY, PortIn};
use crate::model::{Memory, Mmu, Operation, Request, Response, Statistics};

pub const P: u64 = 1;
pub const RW: u64 = 2;
pub const US: u64 = 4;
pub const A: u64 = 1 << 5;
pub const D: u64 = 1 << 6;
pub const PS: u64 = 1 << 7;
pub const G: u64 = 1 << 8;
pub const XD: u64 = 1 << 63;
/// A user page that may be written, with A and D set.
pub const ALL: u64 = P | RW | US | A | D;

pub const FETCH: usize = 0;
pub const DATA: usize = 1;
pub const ROOT: u64 = 0x10_0000;

/// A small machine: one walker, one cycle of latency everywhere, arrays of two ways, two entries in each paging-structure cache.
pub fn small() -> Config {
    Config {
        itlb: TlbSpec::new(1, [(2, 2), (1, 2), (1, 2)]),
        dtlb: TlbSpec::new(1, [(2, 2), (1, 2), (1, 2)]),
        stlb: TlbSpec::new(1, [(4, 2), (2, 2), (1, 2)]),
        psc: PscSpec {
            pml5e: PscArraySpec::of_entries(2),
            pml4e: PscArraySpec::of_entries(2),
            pdpte: PscArraySpec::of_entries(2),
            pde: PscArraySpec::of_entries(2),
        },
        walkers: WalkersSpec {
            count: 1,
            ..WalkersSpec::default()
        },
        memory: MemorySpec {
            latency_cycles: 1,
            jitter_cycles: 0,
            size_bytes: None,
            ..MemorySpec::default()
        },
        ..Config::default()
    }
}

/// The same without paging-structure caches.
pub fn small_without_psc() -> Config {
    let mut config = small();
    config.psc = PscSpec {
        pml5e: PscArraySpec::of_entries(0),
        pml4e: PscArraySpec::of_entries(0),
        pdpte: PscArraySpec::of_entries(0),
        pde: PscArraySpec::of_entries(0),
    };
    config
}

pub fn user(kind: AccessKind) -> Access {
    Access::new(kind, 3)
}

pub fn read(va: u64) -> Request {
    Request {
        va,
        access: user(AccessKind::Read),
        id: 1,
    }
}

pub fn write(va: u64) -> Request {
    Request {
        va,
        access: user(AccessKind::Write),
        id: 2,
    }
}

pub fn fetch(va: u64) -> Request {
    Request {
        va,
        access: user(AccessKind::Fetch),
        id: 3,
    }
}

/// Whether the transaction that memory is shown belongs to a request, not to the prefetch.
fn of_request(outputs: &Outputs) -> bool {
    let walker = outputs.queues.walker[usize::from(outputs.memory.req_id)];
    walker >> 3 & 31 != u32::from(PREFETCH_ENTRY)
}

/// What a request came to.
#[derive(Clone, Debug)]
pub struct Answer {
    pub response: Response,
    pub accepted_at: u64,
    pub responded_at: u64,
}

impl Answer {
    /// From the cycle of the accept to the first cycle of the response.
    pub fn cycles(&self) -> u64 {
        self.responded_at - self.accepted_at
    }
}

/// A machine, its memory, page tables, and every cycle's outputs since [`Bench::forget`].
#[derive(Clone)]
pub struct Bench {
    pub mmu: Mmu,
    pub memory: Memory,
    pub observed: Statistics,
    pub record: Vec<(u64, Outputs)>,
    pub control: ControlIn,
    /// Memory accepts nothing.
    pub memory_is_stalled: bool,
    next_table: u64,
}

impl Bench {
    /// Past the reset sweep, paging off.
    pub fn off(config: &Config) -> Self {
        let mut bench = Self {
            mmu: Mmu::new(config),
            memory: Memory::new(&config.memory, 1),
            observed: Statistics::new(config),
            record: Vec::new(),
            control: ControlIn::default(),
            memory_is_stalled: false,
            next_table: ROOT + 0x1000,
        };
        while !bench.mmu.is_at_rest() {
            bench.tick([PortIn::default(); 3]);
        }
        bench
    }

    /// In 4-level paging with WP, NXE and PGE, and the root table at [`ROOT`].
    pub fn on(config: &Config) -> Self {
        let mut bench = Self::off(config);
        bench.enable(cr4::PAE | cr4::PGE);
        bench
    }

    /// In 32-bit paging with WP, PGE and PSE, and the root table at [`ROOT`].
    pub fn on_32_bit(config: &Config) -> Self {
        let mut bench = Self::off(config);
        bench.enable(cr4::PGE | cr4::PSE);
        bench
    }

    /// With PAE into 4-level or 5-level paging and with NXE, without it into 32-bit paging.
    pub fn enable(&mut self, cr4: u64) {
        let long_mode = if cr4 & cr4::PAE != 0 {
            efer::LME | efer::NXE
        } else {
            0
        };
        for (op, value) in [
            (3, long_mode),
            (2, cr4 & !cr4::PCIDE),
            (1, ROOT),
            (0, cr0::PG | cr0::PE | cr0::WP),
            (2, cr4),
        ] {
            assert!(!self.operate(Operation::new(op, value)));
        }
        self.forget();
    }

    /// One cycle.
    pub fn tick(&mut self, ports: [PortIn; 3]) -> Outputs {
        let cycle = self.mmu.now();
        let mut inputs = Inputs {
            rst_n: 1,
            ports,
            control: self.control,
            memory: self.memory.inputs(cycle, self.memory_is_stalled),
            ..Inputs::default()
        };
        for port in &mut inputs.ports {
            port.resp_ready = 1;
        }
        let mut outputs = Outputs::default();
        self.mmu.tick(&inputs, &mut outputs);
        self.memory.step(cycle, &inputs.memory, &outputs.memory);
        self.observed.observe(&inputs, &outputs);
        self.record.push((cycle, outputs));
        outputs
    }

    pub fn idle(&mut self, cycles: u64) {
        for _ in 0..cycles {
            self.tick([PortIn::default(); 3]);
        }
    }

    /// One request alone, from the present cycle until its response.
    pub fn ask(&mut self, port: usize, request: Request) -> Answer {
        let mut ports = [PortIn::default(); 3];
        ports[port] = request.presented();
        let mut accepted_at = None;
        for _ in 0..100_000 {
            let cycle = self.mmu.now();
            let outputs = self.tick(ports);
            if ports[port].req_valid != 0 && outputs.ports[port].req_ready != 0 {
                accepted_at = Some(cycle);
                ports[port].req_valid = 0;
            }
            if outputs.ports[port].resp_valid != 0 {
                return Answer {
                    response: Response::shown(&outputs.ports[port]),
                    accepted_at: accepted_at.unwrap(),
                    responded_at: cycle,
                };
            }
        }
        panic!("no response to {request:?}");
    }

    /// One control operation alone, until its response; whether it was #GP.
    pub fn operate(&mut self, operation: Operation) -> bool {
        self.control = operation.presented();
        for _ in 0..100_000 {
            let outputs = self.tick([PortIn::default(); 3]);
            if outputs.control.ready != 0 {
                self.control.valid = 0;
            }
            if outputs.control.resp_valid != 0 {
                return outputs.control.resp_gp != 0;
            }
        }
        panic!("no response to {operation:?}");
    }

    pub fn forget(&mut self) {
        self.record.clear();
    }

    /// What `pick` finds in the recorded cycles, each with its cycle.
    pub fn seen<T>(&self, pick: impl Fn(&Outputs) -> Option<T>) -> Vec<(u64, T)> {
        let found = |(cycle, outputs): &(u64, Outputs)| Some((*cycle, pick(outputs)?));
        self.record.iter().filter_map(found).collect()
    }

    /// The addresses that walks of requests read, in order.
    pub fn reads(&self) -> Vec<u64> {
        let read = |outputs: &Outputs| {
            let memory = &outputs.memory;
            (memory.req_valid != 0 && memory.req_op == 0 && of_request(outputs))
                .then_some(memory.req_addr)
        };
        self.seen(read)
            .into_iter()
            .map(|(_, address)| address)
            .collect()
    }

    /// The compare-and-sets of the walker: (address, expected, new).
    pub fn compare_and_sets(&self) -> Vec<(u64, u64, u64)> {
        let found = self.seen(|outputs| {
            let memory = &outputs.memory;
            let transaction = (memory.req_addr, memory.req_expected, memory.req_wdata);
            (memory.req_valid != 0 && memory.req_op == 2).then_some(transaction)
        });
        found
            .into_iter()
            .map(|(_, transaction)| transaction)
            .collect()
    }

    /// (op, level of the paging-structure cache, filled) of the walks.
    pub fn walks(&self) -> Vec<(u8, u8, u8)> {
        let found = self.seen(|outputs| {
            let walk = outputs.monitor.walk[0];
            (walk.op != 0).then_some((walk.op, walk.psc_level, walk.filled))
        });
        found.into_iter().map(|(_, walk)| walk).collect()
    }

    /// The codes of the first-level look-ups of `port`, and of the STLB's look-ups.
    pub fn codes(&self, port: usize) -> (Vec<u8>, Vec<u8>) {
        let codes = |pick: &dyn Fn(&Outputs) -> u8| {
            let found = self.seen(|outputs| Some(pick(outputs)).filter(|code| *code != 0));
            found.into_iter().map(|(_, code)| code).collect()
        };
        (
            codes(&|outputs| outputs.monitor.lookup[port]),
            codes(&|outputs| match outputs.monitor.stlb_entry {
                PREFETCH_ENTRY => 0,
                _ => outputs.monitor.stlb_lookup,
            }),
        )
    }

    pub fn cell(&self, address: u64) -> u64 {
        self.memory.read_u64(address).unwrap()
    }

    pub fn store(&mut self, address: u64, value: u64) {
        self.memory.write_u64(address, value).unwrap();
    }

    /// The address of the entry of `level` on the path of `va`, whose tables exist down to there.
    pub fn entry_at(&self, va: u64, level: u32) -> u64 {
        let mut table = ROOT;
        let mut at = self.levels();
        loop {
            let address = if self.has_32_bit_paging() {
                table + 4 * (va >> (2 + 10 * at) & 0x3ff)
            } else {
                table + 8 * (va >> (3 + 9 * at) & 0x1ff)
            };
            if at == level {
                return address;
            }
            table = self.entry(address) & 0xf_ffff_ffff_f000;
            at -= 1;
        }
    }

    fn has_32_bit_paging(&self) -> bool {
        self.mmu.control.mode() == PagingMode::TwoLevel
    }

    /// The entry at `address`: 8 bytes, in 32-bit paging 4.
    pub fn entry(&self, address: u64) -> u64 {
        let cell = self.cell(address & !7);
        if self.has_32_bit_paging() {
            cell >> (8 * (address & 4)) & 0xffff_ffff
        } else {
            cell
        }
    }

    /// Stores the entry at `address`, and nothing beside it.
    pub fn store_entry(&mut self, address: u64, entry: u64) {
        if !self.has_32_bit_paging() {
            self.store(address, entry);
            return;
        }
        let (shift, cell) = (8 * (address & 4), self.cell(address & !7));
        let others = cell & !(0xffff_ffff << shift);
        self.store(address & !7, others | entry << shift);
    }

    fn levels(&self) -> u32 {
        if self.has_32_bit_paging() {
            2
        } else if self.mmu.control.registers().cr4() & cr4::LA57 != 0 {
            5
        } else {
            4
        }
    }

    /// Maps the page of `va` of `size` to `leaf`, an entry as it stands in memory; tables above it allow everything and have A set.
    pub fn map(&mut self, va: u64, size: PageSize, leaf: u64) {
        let leaf_level = u32::from(size.leaf_level().number());
        for level in (leaf_level + 1..=self.levels()).rev() {
            let address = self.entry_at(va, level);
            if self.entry(address) == 0 {
                let table = self.next_table;
                self.next_table += 0x1000;
                self.store_entry(address, table | P | RW | US | A);
            }
        }
        let address = self.entry_at(va, leaf_level);
        let page_size = if leaf_level > 1 { PS } else { 0 };
        self.store_entry(address, leaf | page_size);
    }
}
