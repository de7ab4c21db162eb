//! Random stimulus of the hard kind: few pages, tables that alias each other, entries rewritten at any time, every operation; and
//! machines from one entry upwards; in 4-level, 5-level and 32-bit paging, and from one of them to another.

use proptest::prelude::*;

use super::bench::*;
use crate::arch::registers::{CR3_NO_FLUSH, cr0, cr4, efer};
use crate::arch::{Access, AccessKind, PageSize};
use crate::config::{
    Config, Level, MemorySpec, PscArraySpec, PscSpec, Replacement, Serves, TlbArraySpec, TlbSpec,
    WalkerOrder,
};
use crate::model::{Memory, Operation, Request};

/// Tables stand here, and alias each other.
const FIRST_TABLE: u64 = 0x10_0000;
const TABLES: u64 = 8;
/// The indices that addresses have, and those of the cells that hold entries.
const INDICES: [u64; 3] = [0, 1, 511];
/// The indices that addresses have in 32-bit paging: both halves of those cells.
const INDICES_32_BIT: [u64; 6] = [0, 1, 2, 3, 1022, 1023];
/// Memory ends here, so that a table beyond is a bus error.
const MEMORY_BYTES: u64 = 0x20_0000;

#[derive(Clone, Debug)]
pub enum Step {
    Ask(usize, Request),
    Store(u64, u64),
    Operate(Operation),
}

/// The paging that steps are made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paging {
    /// 4-level and 5-level paging.
    Long,
    /// 32-bit paging.
    TwoLevel,
}

impl Paging {
    /// The first of the tables, which are others for each.
    const fn first_table(self) -> u64 {
        match self {
            Self::Long => FIRST_TABLE,
            Self::TwoLevel => FIRST_TABLE + 0x1000 * TABLES,
        }
    }
}

fn paging() -> impl Strategy<Value = Paging> {
    prop_oneof![3 => Just(Paging::Long), 2 => Just(Paging::TwoLevel)]
}

/// An array for each page size, or none, least recently used.
fn plain_level() -> BoxedStrategy<TlbSpec> {
    let sets = prop_oneof![Just(1u32), Just(2), Just(4)];
    let array = (sets, prop_oneof![Just(0u32), 1u32..4, Just(17)]);
    let arrays = [array.clone(), array.clone(), array];
    (1u32..9, arrays)
        .prop_map(|(cycles, arrays)| TlbSpec::new(cycles, arrays))
        .boxed()
}

fn replacement() -> impl Strategy<Value = Replacement> {
    proptest::sample::select(&Replacement::ALL[..])
}

/// As many ways as the policy can have.
fn fitting(replacement: Replacement, ways: u32) -> u32 {
    match replacement {
        Replacement::TreePlru if ways > 0 => ways.next_power_of_two(),
        _ => ways,
    }
}

/// Up to four arrays of any sizes, sets, policies, for reads or writes.
fn level() -> BoxedStrategy<TlbSpec> {
    let sets = prop_oneof![3 => Just(1u32), 3 => 2u32..=7, 1 => Just(24)];
    let ways = prop_oneof![Just(0u32), 1u32..4, 1u32..4, Just(17)];
    let sizes = prop_oneof![3 => Just(1usize), 3 => 1usize..8, 1 => Just(7)];
    let serves = prop_oneof![
        4 => Just(Serves::All),
        1 => Just(Serves::Reads),
        1 => Just(Serves::Writes),
    ];
    let array = (sizes, sets, ways, replacement(), serves).prop_map(
        |(sizes, sets, ways, replacement, serves)| TlbArraySpec {
            page_sizes: PageSize::ARRAYS
                .into_iter()
                .filter(|size| sizes >> size.array_index() & 1 != 0)
                .collect(),
            sets,
            ways: fitting(replacement, ways),
            replacement,
            serves,
        },
    );
    (1u32..9, prop::collection::vec(array, 0..=4))
        .prop_map(|(hit_latency_cycles, arrays)| TlbSpec {
            hit_latency_cycles,
            inclusive: false,
            arrays,
        })
        .boxed()
}

fn plain_cache() -> BoxedStrategy<PscArraySpec> {
    prop_oneof![Just(0u32), 1u32..4, Just(20)]
        .prop_map(PscArraySpec::of_entries)
        .boxed()
}

fn cache() -> BoxedStrategy<PscArraySpec> {
    (1u32..=5, 1u32..=6, replacement())
        .prop_map(|(sets, ways, replacement)| PscArraySpec {
            sets,
            ways: fitting(replacement, ways),
            replacement,
        })
        .boxed()
}

/// Contract 2.1: of arrays that hold a size, all serve both kinds or each serves one.
fn stand_once(dtlb: &mut TlbSpec) {
    let share = |a: &TlbArraySpec, b: &TlbArraySpec| {
        let sizes = &b.page_sizes;
        a.page_sizes.iter().any(|size| sizes.contains(size))
    };
    // What shares a size with an array that serves both kinds does so too, and then what shares one with that.
    loop {
        let arrays = dtlb.arrays.clone();
        let for_all = |array: &&TlbArraySpec| array.serves == Serves::All;
        let torn = |array: &&mut TlbArraySpec| {
            array.serves != Serves::All
                && arrays.iter().filter(for_all).any(|all| share(all, array))
        };
        let Some(array) = dtlb.arrays.iter_mut().find(torn) else {
            return;
        };
        array.serves = Serves::All;
    }
}

/// Contract 7.6: the first levels keep what they keep as the STLB does.
fn may_be_inclusive(config: &Config) -> bool {
    [Level::Itlb, Level::Dtlb].into_iter().all(|level| {
        [Serves::Reads, Serves::Writes].into_iter().all(|kind| {
            PageSize::ARRAYS.into_iter().all(|size| {
                let first = config.kept_size(level, kind, size);
                first.is_none() || first == config.kept_size(Level::Stlb, kind, size)
            })
        })
    })
}

pub fn config() -> impl Strategy<Value = Config> {
    let tlb = || prop_oneof![2 => plain_level(), 3 => level()];
    let psc = || prop_oneof![3 => plain_cache(), 2 => cache()];
    let psc = [psc(), psc(), psc(), psc()];
    let capabilities = (36u32..=52, any::<bool>(), any::<bool>());
    let memory = (1u32..20, prop_oneof![Just(0u32), 1u32..9]);
    let overlap = (
        1u32..=2,
        prop_oneof![Just(1u32), Just(2), 3u32..=16],
        (1u32..=4, any::<bool>()),
        any::<bool>(),
    );
    let inclusive = any::<bool>();
    (
        capabilities,
        (1u32..=16, overlap),
        ([tlb(), tlb(), tlb()], inclusive),
        psc,
        memory,
    )
        .prop_map(
            |(
                (bits, page_1g, five_level),
                (queue_entries, (data_ports, miss_entries, (walkers, oldest), next_page)),
                (tlbs, inclusive),
                psc,
                (latency, jitter),
            )| {
                let mut config = Config::default();
                config.capabilities.maxphyaddr_bits = bits;
                config.capabilities.page_1g = page_1g;
                config.capabilities.five_level = five_level;
                config.ports.queue_entries = queue_entries;
                config.ports.data_ports = data_ports;
                config.miss_queue.entries = miss_entries;
                config.walkers.count = walkers;
                config.prefetch.next_page = next_page;
                if oldest {
                    config.walkers.order = WalkerOrder::Oldest;
                }
                [config.itlb, config.dtlb, config.stlb] = tlbs;
                for array in config.itlb.arrays.iter_mut().chain(&mut config.stlb.arrays) {
                    array.serves = Serves::All;
                }
                stand_once(&mut config.dtlb);
                config.stlb.inclusive = inclusive && may_be_inclusive(&config);
                config.psc = PscSpec {
                    pde: psc[0],
                    pdpte: psc[1],
                    pml4e: psc[2],
                    pml5e: psc[3],
                };
                config.memory = MemorySpec {
                    latency_cycles: latency,
                    jitter_cycles: jitter,
                    size_bytes: Some(MEMORY_BYTES),
                    ..MemorySpec::default()
                };
                config
            },
        )
}

fn address(paging: Paging) -> BoxedStrategy<u64> {
    match paging {
        Paging::Long => long_address().boxed(),
        Paging::TwoLevel => short_address().boxed(),
    }
}

/// With bits above 31, which 32-bit paging ignores, now and then.
fn short_address() -> impl Strategy<Value = u64> {
    let index = || prop_oneof![3 => Just(1u64), 2 => proptest::sample::select(&INDICES_32_BIT[..])];
    (index(), index(), 0u64..0x1000, 0u32..16).prop_map(|(pde, pte, offset, spoil)| {
        let address = pde << 22 | pte << 12 | offset;
        match spoil {
            0 => address | 1 << 32,
            1 => address | 0xffff_ffff << 32,
            2 => address | 0x8000 << 32,
            _ => address,
        }
    })
}

fn long_address() -> impl Strategy<Value = u64> {
    let index = proptest::sample::select(&INDICES[..]);
    let indices = [
        index.clone(),
        index.clone(),
        index.clone(),
        index.clone(),
        index,
    ];
    (indices, 0u64..0x1000, 0u32..16).prop_map(|(indices, offset, spoil)| {
        let linear = indices
            .iter()
            .fold(0, |address, index| address << 9 | index);
        let address = linear << 12 | offset;
        match spoil {
            // 48-bit and 57-bit addresses, canonical; or not.
            0 => address ^ (1 << 63),
            1 => address ^ (1 << 52),
            2..=3 => ((address << 7) as i64 >> 7) as u64,
            _ => ((address << 16) as i64 >> 16) as u64,
        }
    })
}

/// A bit that is 1 in so many cases of 64.
fn sometimes(cases: u32, bit: u64) -> impl Strategy<Value = u64> {
    (0u32..64).prop_map(move |at| if at < cases { bit } else { 0 })
}

/// What a cell holds: an entry, or two.
fn entries(paging: Paging) -> BoxedStrategy<u64> {
    match paging {
        Paging::Long => entry().boxed(),
        Paging::TwoLevel => (short_entry(), short_entry())
            .prop_map(|(low, high)| low | high << 32)
            .boxed(),
    }
}

/// An entry of 4 bytes. Of a 4 MiB page bits 13 and 17 are address bits, or bit 17 is reserved, as bit 21 always is.
fn short_entry() -> impl Strategy<Value = u64> {
    let flags = (
        sometimes(62, P),
        sometimes(60, RW),
        sometimes(60, US),
        sometimes(48, A),
        sometimes(32, D),
        sometimes(16, G),
    );
    let flags = flags.prop_map(|(p, rw, us, a, d, g)| p | rw | us | a | d | g);
    let first = Paging::TwoLevel.first_table();
    let frame = prop_oneof![
        20 => (0..TABLES).prop_map(move |table| first + 0x1000 * table),
        8 => proptest::sample::select(
            &[PS, PS | 0x40_0000, PS | 0xffc0_0000, PS | 0x1000, PS | 1 << 13, PS | 1 << 17, PS | 1 << 21][..],
        ),
        1 => sometimes(20, MEMORY_BYTES),
    ];
    (flags, frame).prop_map(|(flags, frame)| flags | frame)
}

fn entry() -> impl Strategy<Value = u64> {
    let flags = (
        sometimes(62, P),
        sometimes(62, RW),
        sometimes(62, US),
        sometimes(48, A),
        sometimes(32, D),
        sometimes(16, G),
        sometimes(2, XD),
        sometimes(12, 1 << 59),
        sometimes(1, 1 << 50),
    );
    let flags = flags.prop_map(|(p, rw, us, a, d, g, xd, key, reserved)| {
        p | rw | us | a | d | g | xd | key | reserved
    });
    let frame = prop_oneof![
        20 => (0..TABLES).prop_map(|table| FIRST_TABLE + 0x1000 * table),
        2 => proptest::sample::select(&[PS, PS | 0x4000_0000, PS | 0x60_0000, PS | 0x1000, PS | 0x2000][..]),
        1 => sometimes(20, MEMORY_BYTES),
    ];
    (flags, frame).prop_map(|(flags, frame)| flags | frame)
}

fn cell(paging: Paging) -> impl Strategy<Value = u64> {
    (0..TABLES, proptest::sample::select(&INDICES[..]))
        .prop_map(move |(table, index)| paging.first_table() + 0x1000 * table + 8 * index)
}

fn request(paging: Paging) -> impl Strategy<Value = (usize, Request)> {
    let kind = prop_oneof![
        2 => Just(AccessKind::Read),
        2 => Just(AccessKind::Write),
        1 => Just(AccessKind::Fetch),
    ];
    let context = (sometimes(32, 3), sometimes(16, 1), sometimes(4, 1));
    let pkru = prop_oneof![3 => Just(0u32), 1 => Just(0x4), 1 => Just(0x8), 1 => Just(0x1)];
    (address(paging), kind, context, pkru).prop_map(|(va, kind, (cpl, ac, implicit), pkru)| {
        let access = Access {
            kind,
            cpl: cpl as u8,
            ac: ac != 0,
            implicit_supervisor: implicit != 0,
            pkru,
        };
        let port = if kind == AccessKind::Fetch {
            FETCH
        } else {
            DATA
        };
        (port, Request { va, access, id: 0 })
    })
}

fn cr4_value(paging: Paging) -> impl Strategy<Value = u64> {
    let long = paging == Paging::Long;
    let bits = (
        sometimes(32, cr4::PGE),
        sometimes(if long { 40 } else { 2 }, cr4::PCIDE),
        sometimes(16, cr4::LA57),
        sometimes(8, cr4::SMEP),
        sometimes(8, cr4::SMAP),
        sometimes(32, cr4::PKE),
        sometimes(if long { 60 } else { 2 }, cr4::PAE),
        sometimes(4, 1 << 32),
        sometimes(if long { 16 } else { 56 }, cr4::PSE),
    );
    bits.prop_map(|(a, b, c, d, e, f, g, h, i)| a | b | c | d | e | f | g | h | i)
}

fn cr3_value(paging: Paging) -> impl Strategy<Value = u64> {
    let pcid = prop_oneof![Just(0u64), Just(1), Just(2)];
    let upper = (sometimes(16, CR3_NO_FLUSH), sometimes(4, 1 << 55));
    (0..TABLES, pcid, upper).prop_map(move |(table, pcid, (keep, wide))| {
        (paging.first_table() + 0x1000 * table) | pcid | keep | wide
    })
}

fn operation(paging: Paging) -> impl Strategy<Value = Operation> {
    let lme = if paging == Paging::Long { 56 } else { 4 };
    let context = prop_oneof![7 => 0u64..3, 1 => Just(1u64 << 12)];
    prop_oneof![
        1 => (sometimes(60, cr0::PG | cr0::PE), sometimes(32, cr0::WP))
            .prop_map(|(pages, wp)| Operation::new(0, pages | wp)),
        4 => cr3_value(paging).prop_map(|value| Operation::new(1, value)),
        2 => cr4_value(paging).prop_map(|value| Operation::new(2, value)),
        1 => (sometimes(lme, efer::LME), sometimes(48, efer::NXE))
            .prop_map(|(lme, nxe)| Operation::new(3, lme | nxe)),
        4 => address(paging).prop_map(|va| Operation::new(4, va)),
        4 => (0u64..5, context, address(paging)).prop_map(|(kind, data, addr)| Operation {
            op: 5,
            data,
            addr,
            kind,
        }),
    ]
}

/// Operations that turn paging on, in four or five levels if there are five, or in 32-bit paging.
fn enabling(paging: Paging) -> impl Strategy<Value = Vec<Step>> {
    (cr4_value(paging), cr3_value(paging), any::<bool>()).prop_map(move |(cr4, cr3, nxe)| {
        let cr3 = cr3 & 0xffff_f000;
        let (pae, efer) = match (paging, nxe) {
            (Paging::Long, _) => (cr4::PAE, efer::LME | efer::NXE),
            (Paging::TwoLevel, true) => (0, efer::NXE),
            (Paging::TwoLevel, false) => (0, 0),
        };
        let cr4 = cr4 & 0xffff_ffff & !cr4::PAE | pae;
        [
            Operation::new(3, efer),
            Operation::new(2, pae),
            Operation::new(2, cr4 & !cr4::PCIDE),
            Operation::new(1, cr3),
            Operation::new(0, cr0::PG | cr0::PE | cr0::WP),
            Operation::new(2, cr4),
        ]
        .map(Step::Operate)
        .to_vec()
    })
}

/// Operations that turn paging off in any mode, and on again in one or the other. Of the first two, one finds PAE as it must be.
fn changing_mode() -> impl Strategy<Value = Vec<Step>> {
    paging().prop_flat_map(enabling).prop_map(|enabling| {
        [
            Operation::new(2, cr4::PAE),
            Operation::new(2, 0),
            Operation::new(0, cr0::PE),
        ]
        .map(Step::Operate)
        .into_iter()
        .chain(enabling)
        .collect()
    })
}

/// A reference and several more to the same page or its neighbour, some by the other port or at the other privilege level.
fn burst(paging: Paging) -> impl Strategy<Value = Vec<Step>> {
    (
        request(paging),
        prop::collection::vec((0u64..8, 0u64..0x1000, any::<bool>()), 0..6),
    )
        .prop_map(|((port, first), repeats)| {
            let mut steps = vec![Step::Ask(port, first)];
            for (which, offset, write) in repeats {
                let mut again = first;
                again.va = again.va & !0xfff | offset;
                if which == 0 {
                    again.va ^= 0x1000;
                }
                let mut side = port;
                if which == 1 {
                    side = FETCH + DATA - port;
                }
                again.access.kind = match (side, write) {
                    (FETCH, _) => AccessKind::Fetch,
                    (_, true) => AccessKind::Write,
                    (_, false) => AccessKind::Read,
                };
                if which == 2 {
                    again.access.cpl ^= 3;
                }
                steps.push(Step::Ask(side, again));
            }
            steps
        })
}

/// An operation between two references to one page, often about that page.
fn around(paging: Paging) -> impl Strategy<Value = Vec<Step>> {
    (request(paging), operation(paging), any::<bool>()).prop_map(
        |((port, request), mut operation, aimed)| {
            match operation.op {
                4 if aimed => operation.data = request.va,
                5 if aimed => operation.addr = request.va,
                _ => {}
            }
            vec![
                Step::Ask(port, request),
                Step::Operate(operation),
                Step::Ask(port, request),
            ]
        },
    )
}

/// Steps in any paging, most of them in one, some changing to another.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    paging().prop_flat_map(move |paging| steps_in(paging, most))
}

/// Steps most of which are in that paging.
pub fn steps_in(paging: Paging, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let store = (cell(paging), entries(paging))
        .prop_map(|(address, value)| vec![Step::Store(address, value)]);
    let group = prop_oneof![
        20 => burst(paging),
        8 => store,
        4 => around(paging),
        2 => enabling(paging),
        1 => changing_mode(),
    ];
    (enabling(paging), prop::collection::vec(group, 0..most)).prop_map(|(first, rest)| {
        first
            .into_iter()
            .chain(rest.into_iter().flatten())
            .collect()
    })
}

/// Memory with tables of random entries.
pub fn memory(config: &Config, seed: u64) -> Memory {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Runs::default(), rng);
    let mut memory = Memory::new(&config.memory, seed);
    for paging in [Paging::Long, Paging::TwoLevel] {
        for table in 0..TABLES {
            for index in INDICES {
                let value = entries(paging).new_tree(&mut runner).unwrap().current();
                let address = paging.first_table() + 0x1000 * table + 8 * index;
                memory.write_u64(address, value).unwrap();
            }
        }
    }
    memory
}
