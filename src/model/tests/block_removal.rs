//! Contract 10, op 2: what the monitor names, and the figures count, when entries leave an array; 2.1 and 4.4: sets of addresses with bit 56
//! set; 1.6: when the register of the random policy steps.

use super::bench::*;
use crate::arch::PageSize::{self, Size1G, Size2M, Size4K, Size4M};
use crate::arch::registers::{cr0, cr4};
use crate::arch::{PageRights, PagingMode};
use crate::config::{ArraySpec, Config, PscArraySpec, Replacement, Serves, TlbArraySpec};
use crate::model::Operation;
use crate::model::mmu_pkg::ArrayEvent;
use crate::model::psc::{PscCaches, TablePointer};
use crate::model::tlb::{TlbArray, TlbEntry};

/// In the upper half of the canonical addresses.
const VA: u64 = 0xffff_8a40_1234_5000;
const FRAME: u64 = 0x8000_0000;
/// The first arrays of DTLB and STLB.
const DTLB_A: usize = 4;
const STLB_A: usize = 8;

/// DTLB and STLB each have one array, of these sizes and sets.
fn machine(sizes: &[PageSize], sets: u32) -> Config {
    let array = TlbArraySpec {
        page_sizes: sizes.to_vec(),
        sets,
        ways: 4,
        replacement: Replacement::Lru,
        serves: Serves::All,
    };
    let mut config = small();
    config.dtlb.arrays = vec![array.clone()];
    config.stlb.arrays = vec![array];
    config
}

/// The set of `va`, of a page of `size`, by the words of the contract: va\[56:0\] >> shift, mod sets.
fn set_of(va: u64, size: PageSize, sets: u64) -> u64 {
    ((va & ((1 << 57) - 1)) >> size.shift()) % sets
}

/// The events of an array with this op.
fn events(bench: &Bench, array: usize, op: u8) -> Vec<ArrayEvent> {
    let seen =
        bench.seen(|outputs| Some(outputs.monitor.tlb[array]).filter(|event| event.op == op));
    seen.into_iter().map(|(_, event)| event).collect()
}

/// The way in which the last page of `size` was put into an array, as a mask.
fn way_of(fills: &[ArrayEvent], size: PageSize) -> u64 {
    let of_size = |event: &&ArrayEvent| event.tag >> 58 & 3 == size as u64;
    1 << fills.iter().rfind(of_size).unwrap().way
}

/// Entries of several sizes, up to `largest`, around one address: a table gives way to a page of 2 MiB, and that to one of 1 GiB, and nobody
/// says so. The smallest has D clear.
fn stale(config: &Config, largest: PageSize) -> Bench {
    let mut bench = Bench::on(config);
    bench.map(VA, Size4K, FRAME | ALL & !D);
    bench.ask(DATA, read(VA));
    let pde = bench.entry_at(VA, 2);
    bench.store(pde, (2 * FRAME) | ALL | PS);
    bench.ask(DATA, read(VA + 0x1000));
    if largest == Size1G {
        let pdpte = bench.entry_at(VA, 3);
        bench.store(pdpte, (4 * FRAME) | ALL | PS);
        bench.ask(DATA, read(VA + 0x20_0000));
    }
    bench
}

#[test]
fn invlpg_names_what_it_removes_in_one_place_for_each_kept_size() {
    for sets in [1u64, 2, 3, 5, 7, 24] {
        let mut bench = stale(&machine(&[Size4K, Size2M, Size1G], sets as u32), Size1G);
        let fills = [DTLB_A, STLB_A].map(|array| events(&bench, array, 1));
        bench.forget();
        bench.operate(Operation::new(4, VA));
        for (array, fills) in [DTLB_A, STLB_A].into_iter().zip(&fills) {
            let expected = ArrayEvent {
                op: 2,
                set: set_of(VA, Size4K, sets) as u16,
                removed: way_of(fills, Size4K),
                victim_tag: set_of(VA, Size2M, sets),
                tag: way_of(fills, Size2M),
                victim_data: set_of(VA, Size1G, sets),
                data: way_of(fills, Size1G),
                ..ArrayEvent::default()
            };
            assert_eq!(events(&bench, array, 2), [expected]);
            let counts = bench.mmu.statistics().tlb_arrays[array];
            assert_eq!((counts.fills, counts.invalidations), (3, 3));
            assert_eq!(bench.mmu.tlb[array].occupancy(), 0);
        }
        assert_eq!(bench.mmu.statistics(), &bench.observed);
        bench.observed.check_conservation().unwrap();
    }
}

#[test]
fn a_drop_names_two_sizes_of_one_array_and_nothing_where_the_third_would_stand() {
    for sets in [1u64, 3, 5] {
        let mut bench = stale(&machine(&[Size4K, Size2M, Size1G], sets as u32), Size2M);
        let fills = events(&bench, DTLB_A, 1);
        let pde = bench.entry_at(VA, 2);
        bench.store(pde, 0);
        bench.forget();
        // It hits with D clear, and walks to an entry that is not there.
        assert_eq!(bench.ask(DATA, write(VA)).response.status, 1);
        let expected = ArrayEvent {
            op: 2,
            set: set_of(VA, Size4K, sets) as u16,
            removed: way_of(&fills, Size4K),
            victim_tag: set_of(VA, Size2M, sets),
            tag: way_of(&fills, Size2M),
            ..ArrayEvent::default()
        };
        assert_eq!(events(&bench, DTLB_A, 2), [expected]);
        let counts = bench.mmu.statistics().tlb_arrays[DTLB_A];
        assert_eq!((counts.fills, counts.invalidations), (2, 2));
        assert_eq!(bench.mmu.statistics(), &bench.observed);
    }
}

#[test]
fn a_row_of_a_sweep_names_entries_of_all_sizes_in_one_mask() {
    let mut bench = stale(&machine(&[Size4K, Size2M, Size1G], 1), Size1G);
    bench.forget();
    bench.operate(Operation::new(1, ROOT));
    let expected = ArrayEvent {
        op: 2,
        removed: 0b111,
        ..ArrayEvent::default()
    };
    assert_eq!(events(&bench, DTLB_A, 2), [expected]);
    assert_eq!(bench.mmu.statistics().tlb_arrays[DTLB_A].invalidations, 3);
}

#[test]
fn a_4_mib_page_leaves_from_the_place_of_2_mib_pages() {
    const VA: u64 = 0x8764_3000;
    let mut config = machine(&[Size4K, Size2M], 3);
    // Else it would keep pages of 1 GiB in pieces, and sweep.
    config.capabilities.page_1g = false;
    let mut bench = Bench::on_32_bit(&config);
    bench.map(VA, Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    let pde = bench.entry_at(VA, 2);
    bench.store_entry(pde, 0x3000_0000 | ALL | PS);
    bench.ask(DATA, read(VA + 0x1000));
    let fills = events(&bench, DTLB_A, 1);
    bench.forget();
    bench.operate(Operation::new(4, VA));
    let expected = ArrayEvent {
        op: 2,
        set: set_of(VA, Size4K, 3) as u16,
        removed: way_of(&fills, Size4K),
        victim_tag: set_of(VA, Size4M, 3),
        tag: way_of(&fills, Size4M),
        ..ArrayEvent::default()
    };
    assert_eq!(events(&bench, DTLB_A, 2), [expected]);
    assert_eq!(bench.mmu.statistics(), &bench.observed);
}

#[test]
fn what_an_inclusive_stlb_loses_leaves_from_the_place_of_its_size_alone() {
    let mut config = machine(&[Size4K, Size2M], 3);
    config.itlb.arrays.truncate(2);
    config.stlb.arrays[0].ways = 1;
    config.stlb.inclusive = true;
    config.capabilities.page_1g = false;
    let mut bench = Bench::on(&config);
    // Two large pages of one set of the STLB, and a small one in the set of the DTLB in which they stand.
    let large = VA & !0x1f_ffff;
    let set = set_of(large, Size2M, 3);
    let small = (0..).map(|page| (1 << 40) + (page << 12));
    let small = small
        .into_iter()
        .find(|va| set_of(*va, Size4K, 3) == (set + 1) % 3);
    let small = small.unwrap();
    for (va, size, frame) in [
        (large, Size2M, 2),
        (small, Size4K, 1),
        (large + (3 << 21), Size2M, 3),
    ] {
        bench.map(va, size, (frame * FRAME) | ALL);
        bench.ask(DATA, read(va));
    }
    bench.idle(3);
    let fills = events(&bench, DTLB_A, 1);
    let expected = ArrayEvent {
        op: 2,
        victim_tag: set,
        tag: 1 << fills[0].way,
        ..ArrayEvent::default()
    };
    assert_eq!(events(&bench, DTLB_A, 2), [expected]);
    assert_eq!(bench.mmu.tlb[DTLB_A].occupancy(), 2);
    assert_eq!(bench.mmu.statistics(), &bench.observed);
}

#[test]
fn sets_of_an_address_in_the_upper_half_are_counted_without_its_sign_bits() {
    for sets in [3u64, 5, 6, 7, 24] {
        let mut config = machine(&[Size4K, Size2M, Size1G], sets as u32);
        let shape = PscArraySpec {
            sets: sets as u32,
            ways: 2,
            replacement: Replacement::Lru,
        };
        (config.psc.pde, config.psc.pdpte, config.psc.pml4e) = (shape, shape, shape);
        // Counted with bits 63:57, or without bits 56:48, some would be other sets.
        for (va, size) in [
            (VA, Size4K),
            (VA - (1 << 39), Size2M),
            (!0x3fff_ffff, Size1G),
        ] {
            let mut bench = Bench::on(&config);
            bench.map(va, size, FRAME | ALL);
            for _ in 0..2 {
                assert_eq!(bench.ask(DATA, read(va)).response.status, 0);
            }
            assert_eq!(bench.codes(DATA).0, [4, 1 + size as u8]);
            for array in [DTLB_A, STLB_A] {
                assert_eq!(
                    u64::from(events(&bench, array, 1)[0].set),
                    set_of(va, size, sets)
                );
            }
            let address = va & ((1 << 57) - 1);
            for cache in 0..3 {
                let filled = bench
                    .seen(|outputs| Some(outputs.monitor.psc[cache]).filter(|event| event.op == 1));
                assert_eq!(filled.len(), usize::from(cache >= size.array_index()));
                for (_, event) in filled {
                    assert_eq!(u64::from(event.set), (address >> (21 + 9 * cache)) % sets);
                }
            }
            bench.operate(Operation::new(4, va));
            assert_eq!(bench.mmu.tlb[DTLB_A].occupancy(), 0);
        }
    }
    let with_sign = |sets: u64| (VA >> 12) % sets;
    let without_upper = |sets: u64| ((VA & ((1 << 48) - 1)) >> 12) % sets;
    assert_ne!(set_of(VA, Size4K, 3), with_sign(3));
    assert_ne!(set_of(VA, Size4K, 3), without_upper(3));
}

#[test]
fn the_random_register_steps_in_fills_whose_target_is_the_victim_and_in_no_other() {
    let entry = |page: u64, pcid: u64| TlbEntry {
        tag: page | pcid << 45,
        data: page,
    };
    let spec = ArraySpec {
        sizes: 1,
        sets: 2,
        ways: 3,
        replacement: Replacement::Random,
        serves: Serves::All,
    };
    let mut array = TlbArray::new(spec, false);
    let mut way = |set: usize, entry: TlbEntry| array.fill(set, entry).event.way;
    // Ways that are invalid, and one that holds the same page, even the one that would be the victim: way 1, as 0xace1 mod 3 says.
    for set in 0..2 {
        for page in 0..3u8 {
            assert_eq!(way(set, entry(page.into(), 0)), page);
        }
        assert_eq!(way(set, entry(1, 0)), 1);
        assert_eq!(way(set, entry(2, 0)), 2);
    }
    // 0xace1, 0xe270, 0x7138, 0x389c mod 3, of whichever set.
    let victims: Vec<u8> = (0..4)
        .map(|page| way(page as usize % 2, entry(10 + page, 0)))
        .collect();
    assert_eq!(victims, [1, 2, 1, 2]);
    // The same of a paging-structure cache.
    let shape = PscArraySpec {
        sets: 1,
        ways: 3,
        replacement: Replacement::Random,
    };
    let mut caches = PscCaches::new(&[shape; 4]);
    caches.enter(PagingMode::FourLevel);
    let pointer = TablePointer {
        frame: 1,
        rights: PageRights::ALL,
    };
    let mut way = |prefix: u64| caches.fill(0, prefix << 21, 0, pointer).way;
    assert_eq!([0, 1, 2, 1, 2].map(&mut way), [0, 1, 2, 1, 2]);
    assert_eq!([10, 11, 12, 13].map(&mut way), [1, 2, 1, 2]);
}

#[test]
fn in_32_bit_paging_the_cache_of_pdes_alone_is_looked_up_also_while_la57_is_set() {
    const VA: u64 = 0x8764_3000;
    for la57 in [0, cr4::LA57] {
        let mut config = small();
        config.capabilities.five_level = true;
        let mut bench = Bench::off(&config);
        bench.enable(cr4::PGE | cr4::PSE | la57);
        assert_eq!(bench.mmu.control.mode(), PagingMode::TwoLevel);
        assert_eq!(bench.mmu.control.registers().cr4() & cr4::LA57, la57);
        for page in 0..2 {
            bench.map(VA + (page << 12), Size4K, FRAME | ALL);
            assert_eq!(bench.ask(DATA, read(VA + (page << 12))).response.status, 0);
        }
        assert_eq!(bench.walks(), [(1, 0, 0), (3, 0, 1), (1, 2, 0), (3, 0, 1)]);
        let looked_up = bench
            .mmu
            .statistics()
            .psc
            .map(|cache| (cache.lookups, cache.hits));
        assert_eq!(looked_up, [(2, 1), (0, 0), (0, 0), (0, 0)]);
        assert_eq!(bench.mmu.statistics(), &bench.observed);
        let others = (1..4).map(|cache| bench.mmu.psc.occupancy(cache));
        assert_eq!(others.sum::<u64>(), 0);
        assert!(!bench.operate(Operation::new(0, cr0::PE)));
    }
}
