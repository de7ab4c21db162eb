//! Tests of the timeless walk: what it reads, what it writes and when, and how it ends.
//!
//! Contract: 8.4. SDM vol. 3A, 4.5 to 4.8. Counterpart: none.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::memory::{PhysicalMemory, SparseMemory};
use super::walk::{Translation, WalkStep, trace, walk};
use crate::arch::entry::bit;
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{
    Access, AccessKind, BusError, Capabilities, Decoded, Entry, Level, Outcome, PageFaultCode,
    PageSize, PhysicalAddress, Registers,
};

const MEMORY_BYTES: u64 = 1 << 36;
const RWU: u64 = bit::P | bit::RW | bit::US;
const READ: Access = Access::new(AccessKind::Read, 3);
const WRITE: Access = Access::new(AccessKind::Write, 3);

/// A machine, its memory, and a table for every level: the table of level n starts at n * 0x1000.
struct Bench {
    registers: Registers,
    capabilities: Capabilities,
    memory: SparseMemory,
}

impl Bench {
    fn new(more_cr4: u64) -> Self {
        let capabilities = Capabilities::new(40, true, true).expect("a width in range");
        let root = if more_cr4 & cr4::LA57 != 0 { 5 } else { 4 };
        let registers = Registers::load(
            cr0::PG | cr0::PE | cr0::WP,
            root << 12,
            cr4::PAE | more_cr4,
            efer::LME | efer::NXE,
            &capabilities,
        );
        Self {
            registers: registers.expect("legal values"),
            capabilities,
            memory: SparseMemory::new(MEMORY_BYTES),
        }
    }

    /// Where the entry of `level` for `va` stands.
    fn place(level: Level, va: u64) -> PhysicalAddress {
        let index = va >> level.shift() & 0x1ff;
        PhysicalAddress::new(u64::from(level.number()) << 12).entry_address(index)
    }

    fn put(&mut self, level: Level, va: u64, entry: u64) {
        self.memory
            .poke(Self::place(level, va), entry)
            .expect("in memory");
    }

    fn get(&self, level: Level, va: u64) -> u64 {
        self.memory.peek(Self::place(level, va))
    }

    /// Tables with `flags` from the root down to a leaf of `size` at `frame` with `leaf_flags`.
    fn map(&mut self, va: u64, size: PageSize, frame: u64, flags: u64, leaf_flags: u64) {
        for row in self.registers.paging_mode().spec().levels {
            if row.level > size.leaf_level() {
                let below = u64::from(row.level.number() - 1) << 12;
                self.put(row.level, va, below | flags);
            }
        }
        let page_size = match size {
            PageSize::Size4K => 0,
            PageSize::Size2M | PageSize::Size1G | PageSize::Size4M => bit::PS,
        };
        self.put(size.leaf_level(), va, frame | page_size | leaf_flags);
    }

    fn walk(&mut self, access: Access, va: u64) -> Outcome<Translation> {
        walk(
            &self.registers,
            &self.capabilities,
            &access,
            va,
            &mut self.memory,
        )
    }

    fn steps(&mut self, access: Access, va: u64) -> Vec<WalkStep> {
        trace(
            &self.registers,
            &self.capabilities,
            &access,
            va,
            &mut self.memory,
        )
        .steps
    }

    fn fault(&mut self, access: Access, va: u64) -> PageFaultCode {
        match self.walk(access, va) {
            Outcome::PageFault(code) => code,
            other => panic!("a page fault, not {other:?}"),
        }
    }
}

const VA: u64 = 0x1234_5678_9abc;
/// VA in 4-level paging: bits 63:47 are clear.
const _: () = assert!(VA >> 47 == 0);

fn is_write(step: &WalkStep) -> bool {
    matches!(step, WalkStep::CompareAndSet { .. })
}

#[test]
fn each_page_size_keeps_its_own_offset() {
    for (size, frame, want) in [
        (PageSize::Size4K, 0x7_7777_7000, 0x7_7777_7abc),
        (PageSize::Size2M, 0x7_7760_0000, 0x7_7778_9abc),
        (PageSize::Size1G, 0x7_4000_0000, 0x7_5678_9abc),
    ] {
        let mut bench = Bench::new(0);
        bench.map(VA, size, frame, RWU, RWU);
        let found = bench.walk(READ, VA).translated().expect("translated");
        assert_eq!((found.address.raw(), found.page_size), (want, size));
    }
}

#[test]
fn five_levels_are_read_with_la57_and_four_without() {
    for (la57, reads) in [(0, 4), (cr4::LA57, 5)] {
        let mut bench = Bench::new(la57);
        bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
        let found = bench.walk(READ, VA).translated().expect("translated");
        let levels: Vec<_> = found.entries().map(|used| used.level.number()).collect();
        let want: Vec<_> = (1..=reads).rev().collect();
        assert_eq!(levels, want);
        for used in found.entries() {
            assert_eq!(used.address, Bench::place(used.level, VA));
            assert_eq!(used.entry.raw(), bench.get(used.level, VA));
            assert!(used.entry.accessed());
        }
        assert_eq!(found.leaf().map(|used| used.level), Some(Level::Pt));
    }
}

#[test]
fn accessed_is_set_in_each_table_before_the_walk_goes_below() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size2M, 0x60_0000, RWU, RWU);
    let steps = bench.steps(WRITE, VA);
    let names: Vec<_> = steps
        .iter()
        .map(|step| match step {
            WalkStep::Read { level, .. } => format!("read {level}"),
            WalkStep::Decoded { decoded, .. } => match decoded {
                Decoded::Table => "table".to_owned(),
                Decoded::Leaf(size) => format!("leaf {size}"),
                other => format!("{other:?}"),
            },
            WalkStep::Judged { denials, .. } => format!("allowed {}", denials.is_empty()),
            WalkStep::CompareAndSet { expected, new, .. } => {
                format!("set {:#x}", expected.raw() ^ new.raw())
            }
            other => format!("{other:?}"),
        })
        .collect();
    let want = [
        "read PML4E",
        "table",
        "set 0x20",
        "read PDPTE",
        "table",
        "set 0x20",
        "read PDE",
        "leaf 2m",
        "allowed true",
        "set 0x60",
    ];
    assert_eq!(names, want);
}

#[test]
fn a_read_sets_accessed_and_only_a_write_sets_dirty() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
    let found = bench.walk(READ, VA).translated().expect("translated");
    assert!(!found.dirty);
    assert_eq!(bench.get(Level::Pt, VA), 0x9000 | RWU | bit::A);
    let found = bench.walk(WRITE, VA).translated().expect("translated");
    assert!(found.dirty);
    assert_eq!(bench.get(Level::Pt, VA), 0x9000 | RWU | bit::A | bit::D);
    assert_eq!(
        bench.get(Level::Pd, VA) & bit::D,
        0,
        "never in a table entry"
    );
}

#[test]
fn a_walk_that_finds_its_bits_set_writes_nothing() {
    let mut bench = Bench::new(0);
    bench.map(
        VA,
        PageSize::Size4K,
        0x9000,
        RWU | bit::A,
        RWU | bit::A | bit::D,
    );
    let steps = bench.steps(WRITE, VA);
    assert!(!steps.iter().any(is_write));
}

#[test]
fn a_denied_access_leaves_accessed_in_the_tables_and_nothing_in_the_leaf() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU, bit::P | bit::US);
    assert_eq!(bench.fault(WRITE, VA).raw(), 0x7);
    assert_eq!(bench.get(Level::Pt, VA), 0x9000 | bit::P | bit::US);
    for level in [Level::Pml4, Level::Pdpt, Level::Pd] {
        assert_eq!(bench.get(level, VA) & (bit::A | bit::D), bit::A);
    }
}

#[test]
fn a_denied_access_leaves_a_large_leaf_alone_too() {
    for size in [PageSize::Size2M, PageSize::Size1G] {
        let mut bench = Bench::new(0);
        bench.map(VA, size, 0, RWU, bit::P | bit::RW);
        assert_eq!(bench.fault(WRITE, VA).raw(), 0x7);
        assert_eq!(bench.get(size.leaf_level(), VA) & (bit::A | bit::D), 0);
    }
}

#[test]
fn not_present_below_outranks_a_denial_above() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, bit::P, 0);
    assert_eq!(bench.fault(WRITE, VA).raw(), 0x6);
}

#[test]
fn a_reserved_bit_below_outranks_a_denial_above() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, bit::P, bit::P | 1 << 45);
    assert_eq!(bench.fault(WRITE, VA).raw(), 0xf);
}

#[test]
fn a_table_without_rights_denies_at_the_leaf() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
    bench.put(Level::Pdpt, VA, 0x2000 | bit::P | bit::US);
    assert_eq!(bench.fault(WRITE, VA).raw(), 0x7);
    assert!(bench.walk(READ, VA).translated().is_some());
}

#[test]
fn an_entry_that_is_not_present_or_has_a_reserved_bit_is_never_written() {
    for level in [Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt] {
        for bad in [0xf000, RWU | 1 << 41, RWU | 1 << 51] {
            let mut bench = Bench::new(0);
            bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
            bench.put(level, VA, bad);
            let reserved = bad & bit::P != 0;
            let code = bench.fault(READ, VA);
            assert_eq!(code.raw(), if reserved { 0xd } else { 0x4 });
            assert_eq!(bench.get(level, VA), bad);
            for below in Level::ALL.into_iter().filter(|below| *below < level) {
                assert_eq!(bench.get(below, VA) & bit::A, 0, "{below} is not reached");
            }
        }
    }
}

#[test]
fn global_counts_only_with_pge() {
    for (pge, global) in [(0, false), (cr4::PGE, true)] {
        let mut bench = Bench::new(pge);
        bench.map(VA, PageSize::Size4K, 0x9000, RWU | bit::G, RWU | bit::G);
        let found = bench.walk(READ, VA).translated().expect("translated");
        assert_eq!(found.global, global);
    }
}

#[test]
fn global_in_a_table_entry_is_ignored() {
    let mut bench = Bench::new(cr4::PGE);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU | bit::G, RWU);
    let found = bench.walk(READ, VA).translated().expect("translated");
    assert!(!found.global);
}

#[test]
fn memory_type_and_key_are_those_of_the_leaf() {
    let leaf = RWU | bit::PAT_LARGE | bit::PWT | 9 << bit::KEY_SHIFT;
    let mut bench = Bench::new(0);
    let tables = RWU | bit::PCD | 5 << bit::KEY_SHIFT;
    bench.map(VA, PageSize::Size2M, 0x60_0000, tables, leaf);
    let found = bench.walk(READ, VA).translated().expect("translated");
    assert_eq!(found.memory_type.pat_index(), 5);
    assert_eq!(found.rights.protection_key, 9);
    assert_eq!(found.address.raw(), 0x78_9abc);
}

#[test]
fn an_address_that_is_not_canonical_reads_no_entry() {
    let mut bench = Bench::new(0);
    assert_eq!(bench.walk(READ, 1 << 47), Outcome::GeneralProtection);
    assert_eq!(bench.steps(READ, 1 << 47), [WalkStep::NonCanonical]);
    let mut five = Bench::new(cr4::LA57);
    assert_eq!(five.fault(READ, 1 << 47).raw(), 0x4, "canonical in 57 bits");
    assert_eq!(five.walk(READ, 1 << 56), Outcome::GeneralProtection);
}

#[test]
fn with_paging_off_the_lower_32_bits_are_physical_and_nothing_is_read() {
    let mut bench = Bench::new(0);
    bench.registers = Registers::RESET;
    let found = bench.walk(WRITE, 0xdead_8765_4321_0fff).translated();
    let found = found.expect("translated");
    assert_eq!(found.address.raw(), 0x4321_0fff);
    assert_eq!(found.entries().count(), 0);
    assert_eq!(found.leaf(), None);
    assert_eq!(bench.steps(WRITE, 1 << 47), [WalkStep::PagingOff]);
}

#[test]
fn a_table_outside_memory_is_a_bus_error_and_never_a_page_fault() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
    bench.put(Level::Pdpt, VA, MEMORY_BYTES | RWU);
    assert_eq!(bench.walk(WRITE, VA), Outcome::BusError);
    assert_eq!(bench.get(Level::Pml4, VA) & bit::A, bit::A);
    assert_eq!(bench.get(Level::Pdpt, VA) & bit::A, bit::A);
    let last = bench.steps(WRITE, VA).pop();
    let index = VA >> Level::Pd.shift() & 0x1ff;
    let address = PhysicalAddress::new(MEMORY_BYTES).entry_address(index);
    let level = Level::Pd;
    assert_eq!(last, Some(WalkStep::BusError { level, address }));
}

#[test]
fn a_page_outside_memory_is_translated_all_the_same() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, MEMORY_BYTES, RWU, RWU);
    let found = bench.walk(READ, VA).translated().expect("translated");
    assert_eq!(found.address.raw(), MEMORY_BYTES | 0xabc);
}

/// Memory in which somebody else writes `values`, one after the other, to `address` just before a compare-and-set there.
struct Rival {
    memory: SparseMemory,
    address: PhysicalAddress,
    values: Vec<u64>,
}

impl PhysicalMemory for Rival {
    fn read_u64(&mut self, address: PhysicalAddress) -> Result<u64, BusError> {
        self.memory.read_u64(address)
    }

    fn compare_and_set(
        &mut self,
        address: PhysicalAddress,
        mask: u64,
        expected: u64,
        new: u64,
    ) -> Result<u64, BusError> {
        if address == self.address && !self.values.is_empty() {
            let value = self.values.remove(0);
            self.memory.poke(address, value)?;
        }
        self.memory.compare_and_set(address, mask, expected, new)
    }
}

/// A write to VA, mapped to frame 0x9000, while somebody else stores `values` into the entry of `level`.
fn race(level: Level, values: &[u64]) -> (Outcome<Translation>, u64) {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
    let mut rival = Rival {
        memory: bench.memory.clone(),
        address: Bench::place(level, VA),
        values: values.to_vec(),
    };
    let outcome = walk(
        &bench.registers,
        &bench.capabilities,
        &WRITE,
        VA,
        &mut rival,
    );
    let left = rival.memory.peek(rival.address);
    (outcome, left)
}

#[test]
fn a_lost_race_for_the_leaf_decodes_what_came_back() {
    let moved = 0xa000 | RWU | bit::A;
    let (outcome, left) = race(Level::Pt, &[moved]);
    let found = outcome.translated().expect("translated");
    assert_eq!(found.address.raw(), 0xaabc, "the new frame");
    assert_eq!(left, moved | bit::D);
    assert_eq!(found.leaf().map(|used| used.entry), Some(Entry(left)));
}

#[test]
fn after_a_lost_race_nothing_is_read_again() {
    let mut bench = Bench::new(0);
    bench.map(VA, PageSize::Size4K, 0x9000, RWU, RWU);
    let address = Bench::place(Level::Pt, VA);
    let values = vec![0xa000 | RWU];
    let memory = bench.memory.clone();
    let mut rival = Rival {
        memory,
        address,
        values,
    };
    let walk = trace(
        &bench.registers,
        &bench.capabilities,
        &WRITE,
        VA,
        &mut rival,
    );
    let is_read = |step: &&WalkStep| matches!(step, WalkStep::Read { .. });
    assert_eq!(walk.steps.iter().filter(is_read).count(), 4);
    let lost = walk.steps.iter().position(
        |step| matches!(step, WalkStep::CompareAndSet { expected, found, .. } if expected != found),
    );
    let lost = lost.expect("a race was lost");
    let decoded = WalkStep::Decoded {
        level: Level::Pt,
        entry: Entry(0xa000 | RWU),
        decoded: Decoded::Leaf(PageSize::Size4K),
    };
    assert_eq!(walk.steps[lost + 1], decoded);
}

#[test]
fn a_lost_race_may_end_in_any_fault() {
    let read_only = 0x9000 | bit::P | bit::US;
    for (value, code) in [(0, 0x6), (RWU | 1 << 45, 0xf), (read_only, 0x7)] {
        let (outcome, left) = race(Level::Pt, &[value]);
        assert_eq!(outcome, Outcome::PageFault(PageFaultCode(code)));
        assert_eq!(left, value, "the newer value is not written over");
    }
}

#[test]
fn a_lost_race_for_a_table_goes_on_in_the_new_table() {
    let gone = 0x7000 | RWU;
    let (outcome, left) = race(Level::Pd, &[gone]);
    assert_eq!(
        outcome,
        Outcome::PageFault(PageFaultCode(0x6)),
        "0x7000 is empty"
    );
    assert_eq!(left, gone | bit::A);
}

#[test]
fn a_table_that_becomes_a_leaf_in_a_race_is_a_leaf() {
    let leaf = 0x60_0000 | RWU | bit::PS;
    let (outcome, left) = race(Level::Pd, &[leaf]);
    let found = outcome.translated().expect("translated");
    assert_eq!(found.page_size, PageSize::Size2M);
    assert_eq!(left, leaf | bit::A | bit::D);
}

#[test]
fn a_race_lost_to_the_same_bits_needs_no_write() {
    let set = 0x9000 | RWU | bit::A | bit::D;
    let (outcome, left) = race(Level::Pt, &[set]);
    assert!(outcome.translated().is_some());
    assert_eq!(left, set);
}

#[test]
fn a_race_lost_several_times_is_tried_until_it_is_won() {
    let values = [0xa000 | RWU, 0xb000 | RWU, 0xc000 | RWU];
    let (outcome, left) = race(Level::Pt, &values);
    let found = outcome.translated().expect("translated");
    assert_eq!(found.address.raw(), 0xcabc);
    assert_eq!(left, values[2] | bit::A | bit::D);
}

/// Entries in which every way a walk may end has a fair chance.
fn any_entry(level: u64) -> impl Strategy<Value = u64> {
    let rare =
        prop_oneof![6 => proptest::prelude::Just(0u64), 1 => (0..64u32).prop_map(|at| 1 << at)];
    (any::<u64>(), rare).prop_map(move |(random, rare)| {
        let leaf = level == 1 || level <= 3 && random >> 60 == 0;
        let address = if leaf {
            random & 0xf_0000_0000
        } else {
            (level - 1) << 12
        };
        let page_size = if leaf && level > 1 { bit::PS } else { 0 };
        let rights = random & (bit::RW | bit::US | bit::A | bit::D) | bit::P;
        (address | page_size | rights) ^ rare
    })
}

fn any_access() -> impl Strategy<Value = Access> {
    (
        0..3usize,
        0..4u8,
        any::<bool>(),
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(|(kind, cpl, ac, implicit_supervisor, pkru)| Access {
            kind: AccessKind::ALL[kind],
            cpl,
            ac,
            implicit_supervisor,
            pkru,
        })
}

proptest! {
    #[test]
    fn a_walk_adds_accessed_and_dirty_and_a_second_one_adds_nothing(
        entries in (any_entry(5), any_entry(4), any_entry(3), any_entry(2), any_entry(1)),
        access in any_access(),
        more_cr4 in any::<u64>(),
    ) {
        let (e5, e4, e3, e2, e1) = entries;
        let before = [e1, e2, e3, e4, e5];
        let mut bench = Bench::new(more_cr4 & (cr4::LA57 | cr4::SMEP | cr4::SMAP | cr4::PKE));
        for (level, entry) in Level::ALL.into_iter().zip(before) {
            bench.put(level, VA, entry);
        }
        let first = bench.walk(access, VA);
        let after = Level::ALL.map(|level| bench.get(level, VA));
        for (level, (old, new)) in Level::ALL.into_iter().zip(before.into_iter().zip(after)) {
            let set = new ^ old;
            prop_assert_eq!(set & old, 0, "bits are only ever set");
            prop_assert_eq!(set & !(bit::A | bit::D), 0, "{} {:#x}", level, set);
            prop_assert!(set & bit::D == 0 || access.is_write() && first.translated().is_some());
            prop_assert!(set == 0 || old & bit::P != 0);
        }
        let memory = bench.memory.clone();
        let steps = bench.steps(access, VA);
        let writes = steps.iter().filter(|step| is_write(step)).count();
        prop_assert_eq!(writes, 0);
        prop_assert_eq!(bench.walk(access, VA), first);
        prop_assert_eq!(bench.memory, memory);
    }
}

#[test]
fn memory_lists_the_words_that_are_not_zero_by_address() {
    let mut memory = SparseMemory::new(MEMORY_BYTES);
    for (address, value) in [(0x2008, 7), (0x1000, 5), (0x3000, 0)] {
        let address = PhysicalAddress::new(address);
        memory.poke(address, value).expect("in memory");
    }
    let contents: Vec<_> = memory.contents().collect();
    assert_eq!(contents, [(0x1000, 5), (0x2008, 7)]);
}
