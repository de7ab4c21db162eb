//! Contract 2.1, 4.1, 4.4, 6, 7.5, 9.1: arrays of several sizes and for reads or writes, pages in pieces, sets of any number.

use super::bench::*;
use crate::arch::PageSize::{self, Size1G, Size2M, Size4K};
use crate::config::{Config, PscArraySpec, Replacement, Serves, TlbArraySpec};
use crate::model::Operation;
use crate::model::mmu_pkg::ArrayEvent;

const VA: u64 = 0x40_0000_0000;
const FRAME: u64 = 0x8000_0000;

/// An array of these sizes, sets and ways.
fn array(page_sizes: &[PageSize], sets: u32, ways: u32) -> TlbArraySpec {
    TlbArraySpec {
        page_sizes: page_sizes.to_vec(),
        sets,
        ways,
        replacement: Replacement::Lru,
        serves: Serves::All,
    }
}

/// The small machine with these arrays in DTLB and STLB.
fn machine(dtlb: &[TlbArraySpec], stlb: &[TlbArraySpec]) -> Config {
    let mut config = small();
    config.dtlb.arrays = dtlb.to_vec();
    config.stlb.arrays = stlb.to_vec();
    config
}

/// The fills of an array.
fn fills(bench: &Bench, number: usize) -> Vec<ArrayEvent> {
    let filled = |outputs: &crate::model::mmu_pkg::Outputs| {
        Some(outputs.monitor.tlb[number]).filter(|event| event.op == 1)
    };
    let seen = bench.seen(filled).into_iter();
    seen.map(|(_, event)| event).collect()
}

#[test]
fn a_page_that_the_first_level_cannot_keep_whole_is_kept_in_pieces_around_what_was_asked() {
    let config = machine(
        &[array(&[Size4K], 4, 2)],
        &[array(&[Size4K], 4, 2), array(&[Size2M], 2, 2)],
    );
    let mut bench = Bench::on(&config);
    bench.map(VA, Size2M, FRAME | ALL);
    for offset in [0x5123, 0x5fff, 0x6000, 0x6008, 0x1f_ffff] {
        let response = bench.ask(DATA, read(VA + offset)).response;
        assert_eq!((response.pa, response.page_size), (FRAME + offset, 1));
    }
    assert_eq!(bench.codes(DATA), (vec![4, 1, 4, 1, 4], vec![4, 2, 2]));
    let pieces = fills(&bench, 4);
    let whole = fills(&bench, 9);
    assert_eq!(
        (pieces.len(), whole.len(), fills(&bench, 8).len()),
        (3, 1, 0)
    );
    assert_eq!(whole[0].tag, VA >> 12 | 1 << 58 | 1 << 60);
    for (piece, page) in pieces.iter().zip([5u64, 6, 0x1ff]) {
        assert_eq!(piece.tag, ((VA >> 12) + page) | 1 << 60);
        assert_eq!(piece.data & ((1 << 40) - 1), (FRAME >> 12) + page);
        assert_eq!(u64::from(piece.set), page % 4);
    }
    assert_eq!(bench.mmu.statistics().dtlb.hits_by_size, [2, 0, 0]);
}

#[test]
fn invlpg_of_one_piece_sweeps_every_piece_away_in_a_machine_that_fractures() {
    let config = machine(&[array(&[Size4K], 4, 2)], &[array(&[Size2M], 2, 2)]);
    let mut bench = Bench::on(&config);
    bench.map(VA, Size2M, FRAME | ALL);
    bench.map(VA + 0x40_0000, Size2M, FRAME | ALL);
    for offset in [0x0, 0x1000, 0x2000, 0x3000, 0x40_0000] {
        bench.ask(DATA, read(VA + offset));
    }
    bench.forget();
    let from = bench.mmu.now();
    bench.operate(Operation::new(4, VA + 0x1f_f000));
    // Accepted in `from`, performs row by row from the next cycle on.
    let rows = bench.seen(|outputs| {
        let event = outputs.monitor.tlb[4];
        (event.op == 2).then_some((event.set, event.removed))
    });
    let expected: Vec<_> = (0..4)
        .map(|row| (from + 1 + row, (row as u16, 1)))
        .collect();
    assert_eq!(rows, expected);
    bench.forget();
    bench.ask(DATA, read(VA + 0x40_0000));
    bench.ask(DATA, read(VA + 0x1000));
    assert_eq!(bench.codes(DATA), (vec![1, 4], vec![4]));
}

#[test]
fn a_level_keeps_of_an_stlb_entry_no_more_than_that_holds() {
    // 1 GiB pages in pieces of 2 MiB in the STLB, of which the first level keeps 4 KiB.
    let config = machine(&[array(&[Size4K], 1, 1)], &[array(&[Size2M], 1, 4)]);
    let mut bench = Bench::on(&config);
    bench.map(VA, Size1G, FRAME | ALL | G);
    for offset in [0x1234_5678, 0x0, 0x1234_5678, 0x1230_0abc] {
        let response = bench.ask(DATA, read(VA + offset)).response;
        assert_eq!((response.pa, response.page_size), (FRAME + offset, 2));
    }
    assert_eq!(bench.codes(DATA), (vec![4; 4], vec![4, 4, 2, 2]));
    let last = *fills(&bench, 4).last().unwrap();
    assert_eq!(last.tag, (VA + 0x1230_0000) >> 12 | 1 << 57 | 2 << 60);
    // The STLB keeps pieces of 4 KiB, the first level 2 MiB pages whole: the walk fills both, the STLB alone only itself.
    let config = machine(&[array(&[Size2M], 1, 1)], &[array(&[Size4K], 1, 4)]);
    let mut bench = Bench::on(&config);
    bench.map(VA, Size2M, FRAME | ALL);
    bench.map(VA + 0x20_0000, Size2M, FRAME | ALL);
    for offset in [0x0, 0x1000, 0x20_0000, 0x0, 0x0] {
        bench.ask(DATA, read(VA + offset));
    }
    assert_eq!(bench.codes(DATA), (vec![4, 2, 4, 4, 4], vec![4, 4, 1, 1]));
    assert_eq!((fills(&bench, 4).len(), fills(&bench, 8).len()), (2, 2));
}

#[test]
fn reads_and_writes_are_looked_up_in_the_arrays_that_serve_them() {
    let mut loads = array(&[Size4K], 1, 2);
    let mut stores = loads.clone();
    loads.serves = Serves::Reads;
    stores.serves = Serves::Writes;
    let config = machine(&[loads, stores], &[array(&[Size4K], 4, 2)]);
    let mut bench = Bench::on(&config);
    bench.map(VA, Size4K, FRAME | ALL);
    for request in [read(VA), read(VA), write(VA), write(VA), read(VA)] {
        assert_eq!(bench.ask(DATA, request).response.pa, FRAME);
    }
    assert_eq!(bench.codes(DATA), (vec![4, 1, 4, 1, 1], vec![4, 1]));
    assert_eq!((fills(&bench, 4).len(), fills(&bench, 5).len()), (1, 1));
    bench.operate(Operation::new(4, VA));
    assert!(bench.mmu.tlb.iter().all(|array| array.occupancy() == 0));
}

#[test]
fn the_pages_of_one_size_take_turns_in_the_arrays_that_hold_it_and_sets_need_no_power_of_two() {
    let arrays = [array(&[Size4K], 3, 1), array(&[Size4K], 5, 1)];
    let mut bench = Bench::on(&machine(&arrays, &[array(&[Size4K], 7, 2)]));
    let pages = [0u64, 1, 2, 3, 10, 11, 0x1ff];
    for page in pages {
        bench.map(VA + (page << 12), Size4K, FRAME | ALL);
        bench.ask(DATA, read(VA + (page << 12)));
    }
    let v = |page: u64| (VA >> 12) + page;
    let sets = |number: u64, count: u64| -> Vec<u64> {
        let own = pages.iter().filter(|page| v(**page) % 2 == number);
        own.map(|page| v(*page) / 2 % count).collect()
    };
    let seen = |number| -> Vec<u64> {
        let events = fills(&bench, number).into_iter();
        events.map(|event| u64::from(event.set)).collect()
    };
    assert_eq!((seen(4), seen(5)), (sets(0, 3), sets(1, 5)));
    let expected: Vec<u64> = pages.iter().map(|page| v(*page) % 7).collect();
    assert_eq!(seen(8), expected);
}

#[test]
fn of_matches_of_several_sizes_the_smallest_counts_and_a_drop_takes_them_all() {
    let config = machine(&[array(&[Size4K, Size2M], 1, 4)], &[array(&[Size4K], 1, 1)]);
    let mut bench = Bench::on(&config);
    bench.map(VA, Size4K, FRAME | ALL & !D);
    bench.ask(DATA, read(VA));
    // A 2 MiB page takes the table's place, and nobody says so. A write must set D, and finds it.
    let pde = bench.entry_at(VA, 2);
    bench.store(pde, (2 * FRAME) | ALL | PS);
    bench.ask(DATA, write(VA + 0x1000));
    assert_eq!(bench.mmu.tlb[4].occupancy(), 2);
    bench.forget();
    assert_eq!(bench.ask(DATA, read(VA)).response.pa, FRAME);
    assert_eq!(
        bench.ask(DATA, read(VA + 0x1000)).response.pa,
        2 * FRAME + 0x1000
    );
    assert_eq!(bench.codes(DATA).0, [1, 2]);
    // The page goes, and the fault of a write, for which the smaller page has D clear, drops both.
    bench.store(pde, 0);
    bench.forget();
    bench.ask(DATA, write(VA));
    let removed = bench.seen(|outputs| {
        let event = outputs.monitor.tlb[4];
        (event.op == 2).then_some((event.removed, event.victim_tag, event.tag))
    });
    // Each by its kept size, though they stand in one set.
    assert_eq!(
        removed.first().map(|(_, ways)| *ways),
        Some((0b01, 0, 0b10))
    );
}

#[test]
fn a_paging_structure_cache_with_sets_is_indexed_by_its_level() {
    let mut config = small();
    let shape = PscArraySpec {
        sets: 3,
        ways: 1,
        replacement: Replacement::Random,
    };
    config.psc.pde = shape;
    config.psc.pdpte = shape;
    let mut bench = Bench::on(&config);
    let bases = [
        VA,
        VA + (1 << 21),
        VA + (5 << 21),
        VA + (1 << 30),
        VA + (7 << 30),
    ];
    for va in bases {
        bench.map(va, Size4K, FRAME | ALL);
        bench.ask(DATA, read(va));
    }
    for (cache, shift) in [(0, 21), (1, 30)] {
        let filled = bench.seen(|outputs| {
            let event = outputs.monitor.psc[cache];
            (event.op == 1).then_some((event.tag << 21 >> shift, u64::from(event.set)))
        });
        assert!(filled.len() >= 3, "{filled:?}");
        for (_, (v, set)) in filled {
            assert_eq!(set, v % 3);
        }
    }
    // Two of three sets of one way: what stands in them is found again.
    bench.forget();
    bench.operate(Operation::new(4, 0));
    let removed = bench.seen(|outputs| {
        let event = outputs.monitor.psc[0];
        (event.op == 2).then_some((event.set, event.removed, event.victim_tag, event.tag))
    });
    // One way a set: the bit of an entry is its set. Of three prefixes two share a set.
    let sets = [
        VA,
        VA + (1 << 21),
        VA + (5 << 21),
        VA + (1 << 30),
        VA + (7 << 30),
    ]
    .map(|va| 1u64 << ((va >> 21) % 3));
    let entries = sets.iter().fold(0, |all, entry| all | entry);
    assert!(entries.count_ones() >= 2);
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].1, (0, entries, 0, 0));
    assert_eq!(bench.mmu.psc.occupancy(0), 0);
}
