//! The performance counters of the RTL, alone, in numbers that follow from the contract by hand.
//!
//! Contract: section 10.2; 8 and 12 for the cycles of a walk. SDM: none. Counterpart: none; the model's own tests are in `src/model/`.

#![cfg(feature = "rtl")]

use crate::rtl_support::*;
use twinwalk::config::{Config, TlbArraySpec, TlbSpec};
use twinwalk::model::mmu_pkg::*;

const LARGE: u64 = 0x80;
const READ: usize = 0;
const WRITE: usize = 10;
const FETCH: usize = 20;
/// Counters of a kind.
const CAUSES: usize = 0;
const COMPLETED_4K: usize = 1;
const COMPLETED_2M_4M: usize = 2;
const COMPLETED_1G: usize = 3;
const FAULTED: usize = 4;
const PENDING: usize = 5;
const ACTIVE: usize = 6;
const STLB_HIT_4K: usize = 7;
const STLB_HIT_2M_4M: usize = 8;
const STLB_HIT_1G: usize = 9;
const LOADS: usize = 30;
const FLUSHES: usize = 31;

fn bench(config: &Config) -> Bench {
    Bench::new(config, &recipe(config), 3)
}

/// What was counted since the log was cleared, up to its last cycle: the counters that moved, and by how much.
fn counted(bench: &Bench) -> Vec<(usize, u64)> {
    let (first, last) = (&bench.log[0].perf, &bench.log[bench.log.len() - 1].perf);
    (0..PERF_COUNTERS)
        .filter(|&n| first[n] != last[n])
        .map(|n| (n, last[n] - first[n]))
        .collect()
}

/// Offers one request, runs until the machine rests, and tells what was counted.
fn count(bench: &mut Bench, offer: Offer) -> Vec<(usize, u64)> {
    bench.clear();
    bench.run(60, &[(0, offer)]);
    assert_eq!(bench.responses().len(), 1);
    counted(bench)
}

fn at(offer: Offer, va: u64) -> Offer {
    Offer { va, ..offer }
}

/// Offers an operation of control, and tells what was counted until its answer was taken, and whether it was #GP.
fn operate(bench: &mut Bench, op: u8, data: u64) -> (Vec<(usize, u64)>, bool) {
    bench.clear();
    let done = bench.attempt(op, data);
    bench.run(bench.cycle + 2, &[]);
    (counted(bench), !done)
}

/// A walk of one kind that begins behind a cached entry and reads `loads`, which keeps its walker for `cycles`.
fn walk(kind: usize, end: usize, cycles: u64, loads: u64) -> [(usize, u64); 5] {
    [
        (kind + CAUSES, 1),
        (kind + end, 1),
        (kind + PENDING, cycles),
        (kind + ACTIVE, cycles),
        (LOADS, loads),
    ]
}

#[test]
fn what_a_cycle_counts_shows_in_the_next_one() {
    let mut bench = bench(&small());
    // Taken in 5, START in 6, reads transferred in 7, 12, 17 and 22, DONE in 27: the walker is not IDLE in 22 cycles.
    let found = count(&mut bench, read(1, 1, 1));
    assert_eq!(found, walk(READ, COMPLETED_4K, 22, 4));
    let before = bench.log[0].perf;
    for (counter, cycle) in [
        (CAUSES, 5),
        (COMPLETED_4K, 27),
        (PENDING, 6),
        (ACTIVE, 6),
        (LOADS, 7),
    ] {
        let shown = |cycle: usize| bench.log[cycle].perf[counter] - before[counter];
        assert_eq!((shown(cycle), shown(cycle + 1)), (0, 1), "{counter}");
    }
    assert_eq!(bench.log[28].perf, bench.log[59].perf);
}

#[test]
fn a_walk_is_counted_by_the_kind_of_its_request_and_the_size_of_its_page() {
    let mut bench = bench(&small());
    count(&mut bench, read(1, 1, 1));
    let found = count(&mut bench, read(1, 1, 2));
    assert_eq!(found, walk(READ, COMPLETED_4K, 7, 1));
    let found = count(&mut bench, read(0, 1, 3));
    assert_eq!(found, walk(FETCH, COMPLETED_4K, 7, 1));
    // A compare-and-set keeps the walker, and is no load.
    bench.cells.insert(pte(4), pa(4) | (LEAF & !DIRTY));
    let found = count(&mut bench, write(1, 1, 4));
    assert_eq!(found, walk(WRITE, COMPLETED_4K, 12, 1));
    bench.cells.insert(0x3010, 0x80_0000 | LEAF | LARGE);
    bench.cells.insert(0x2008, 0x8000_0000 | LEAF | LARGE);
    let found = count(&mut bench, at(write(1, 1, 0), 0x40_0000));
    assert_eq!(found, walk(WRITE, COMPLETED_2M_4M, 7, 1));
    let found = count(&mut bench, at(read(0, 1, 0), 0x4000_0000));
    assert_eq!(found, walk(FETCH, COMPLETED_1G, 7, 1));
    // What hits L1, or is not canonical, counts nowhere.
    assert_eq!(count(&mut bench, write(1, 1, 4)), []);
    assert_eq!(count(&mut bench, at(read(1, 1, 0), 1 << 60)), []);
}

#[test]
fn a_page_of_4_mib_is_counted_with_those_of_2_mib() {
    let mut bench = bench(&small());
    for (op, data) in [
        (CTRL_MOV_CR0, 1),
        (CTRL_WRMSR_EFER, 0),
        (CTRL_MOV_CR4, 0x10),
        (CTRL_MOV_CR0, 0x8001_0001),
    ] {
        bench.operate(op, data);
    }
    bench.cells.insert(0x1008, 0x80_0000 | LEAF | LARGE);
    let offer = at(read(1, 1, 0), 0x80_0000);
    let found = count(&mut bench, offer);
    assert_eq!(found, walk(READ, COMPLETED_2M_4M, 7, 1));
    let found = count(&mut bench, at(read(0, 1, 0), 0x80_0000));
    assert_eq!(found, [(FETCH + STLB_HIT_2M_4M, 1)]);
}

#[test]
fn a_hit_in_the_stlb_is_counted_by_the_size_of_the_page_even_where_a_piece_is_kept() {
    // The STLB keeps pages of 1 GiB in pieces of 4 KiB.
    let mut config = small();
    config.stlb = TlbSpec {
        arrays: vec![TlbArraySpec {
            page_sizes: vec![twinwalk::arch::PageSize::Size4K],
            ..config.stlb.arrays[0].clone()
        }],
        ..config.stlb
    };
    let mut bench = bench(&config);
    bench.cells.insert(0x3010, 0x80_0000 | LEAF | LARGE);
    bench.cells.insert(0x2008, 0x8000_0000 | LEAF | LARGE);
    for (va, counter) in [
        (0x1000, STLB_HIT_4K),
        (0x40_1000, STLB_HIT_2M_4M),
        (0x4000_1000, STLB_HIT_1G),
    ] {
        count(&mut bench, at(read(0, 1, 0), va));
        let found = count(&mut bench, at(read(1, 1, 0), va));
        assert_eq!(found, [(READ + counter, 1)]);
        assert_eq!(bench.log[2].monitor.stlb_lookup, LOOKUP_HIT_4K);
    }
    // The other kinds: a fetch and a write of what a read brought.
    count(&mut bench, read(1, 1, 2));
    let found = count(&mut bench, read(0, 1, 2));
    assert_eq!(found, [(FETCH + STLB_HIT_4K, 1)]);
    count(&mut bench, read(0, 1, 4));
    let found = count(&mut bench, write(1, 1, 4));
    assert_eq!(found, [(WRITE + STLB_HIT_4K, 1)]);
}

#[test]
fn a_walk_that_restarts_and_faults_is_one_walk() {
    let mut bench = bench(&small());
    count(&mut bench, read(1, 1, 1));
    // START in 6, EXAMINE in 11, START again in 12, four reads, DONE in 33.
    bench.cells.insert(pte(7), 0);
    let found = count(&mut bench, write(1, 1, 7));
    assert_eq!(bench.ops(), [(6, 0, 1), (12, 0, 2), (33, 0, 4)]);
    assert_eq!(found, walk(WRITE, FAULTED, 28, 5));
}

#[test]
fn walk_pending_counts_walkers_and_walk_active_cycles() {
    let mut bench = bench(&small());
    count(&mut bench, read(1, 1, 1));
    // Not IDLE in 6 to 12 and in 7 to 13.
    bench.clear();
    bench.run(60, &[(0, read(1, 1, 2)), (1, read(1, 2, 4))]);
    let loads = (LOADS, 2);
    let both = [
        (CAUSES, 2),
        (COMPLETED_4K, 2),
        (PENDING, 14),
        (ACTIVE, 8),
        loads,
    ];
    assert_eq!(counted(&bench), both);
    // Of two kinds each is counted by itself.
    bench.clear();
    bench.run(60, &[(0, read(1, 1, 6)), (1, write(1, 2, 8))]);
    let mut each = walk(READ, COMPLETED_4K, 7, 2)[..4].to_vec();
    each.extend(walk(WRITE, COMPLETED_4K, 7, 2));
    assert_eq!(counted(&bench), each);
    // A request that waits for another one's walk causes none.
    bench.clear();
    bench.run(60, &[(0, read(1, 1, 10)), (1, read(1, 2, 10))]);
    assert_eq!(bench.responses().len(), 2);
    assert_eq!(counted(&bench), walk(READ, COMPLETED_4K, 7, 1));
}

#[test]
fn a_prefetch_is_counted_in_what_the_walkers_load_alone() {
    let mut config = small();
    config.prefetch.next_page = true;
    let mut bench = bench(&config);
    // Its probe is no look-up of a request; its walk reads one entry.
    let found = count(&mut bench, read(1, 1, 5));
    assert_eq!(bench.ops()[3], (36, 0, 3));
    assert_eq!(found, walk(READ, COMPLETED_4K, 22, 5));
    // After page 4 it finds page 5 in the STLB.
    let found = count(&mut bench, read(1, 1, 4));
    assert_eq!(bench.log[13].monitor.stlb_lookup, LOOKUP_HIT_4K);
    assert_eq!(found, walk(READ, COMPLETED_4K, 7, 1));
    let found = count(&mut bench, read(1, 1, 6));
    assert_eq!(found, [(READ + STLB_HIT_4K, 1)]);
}

#[test]
fn an_operation_that_invalidates_is_one_flush_however_long_its_sweep() {
    let mut bench = bench(&small());
    // EFER.NXE and CR3, of the four that turned paging on.
    assert_eq!(bench.tick(&[]).perf[FLUSHES], 2);
    let flush = (vec![(FLUSHES, 1)], false);
    assert_eq!(operate(&mut bench, CTRL_INVLPG, 0x1000), flush);
    assert_eq!(operate(&mut bench, CTRL_MOV_CR3, ROOT), flush);
    assert_eq!(operate(&mut bench, CTRL_MOV_CR4, 0xa0), flush);
    // Shown in the cycle behind that in which it performs, which is the one behind its acceptance.
    bench.clear();
    bench.operate(CTRL_INVPCID, 0);
    let shown = [0, 1, 2].map(|cycle| bench.log[cycle].perf[FLUSHES]);
    assert_eq!(shown, [5, 5, 6]);
    // Nothing to invalidate: an address that is not canonical, a register that changes no translation, #GP.
    let nothing = |refused| (vec![], refused);
    assert_eq!(operate(&mut bench, CTRL_INVLPG, 1 << 60), nothing(false));
    assert_eq!(
        operate(&mut bench, CTRL_MOV_CR0, 0x8000_0001),
        nothing(false)
    );
    assert_eq!(operate(&mut bench, CTRL_MOV_CR3, 1 << 63), nothing(true));
    // A drop is none.
    bench.cells.insert(pte(7), 0);
    let found = count(&mut bench, read(1, 1, 7));
    assert_eq!(found, walk(READ, FAULTED, 22, 4));
}

#[test]
fn reset_clears_every_counter_and_its_sweep_counts_nothing() {
    let mut bench = bench(&small());
    count(&mut bench, read(1, 1, 1));
    bench.rtl.tick(&Inputs::default());
    bench.clear();
    bench.run(40, &[]);
    assert!(bench.log.iter().all(|o| o.perf == [0; PERF_COUNTERS]));
}
