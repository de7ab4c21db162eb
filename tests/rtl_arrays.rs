//! The arrays of the RTL, alone: replacement, several page sizes in an array, pieces, inclusion, by hand from the contract.
//!
//! Contract: 1.6, 2.1, 4.1, 4.4, 6, 7.5, 7.6, 8.1, 9.3. SDM vol. 3A, 4.10. Counterpart: none; the model's own tests are in `src/model/`.

#![cfg(feature = "rtl")]

use crate::rtl_support::*;
use twinwalk::arch::PageSize;
use twinwalk::config::{Config, Replacement, Serves, TlbArraySpec, TlbSpec, WalkerOrder};
use twinwalk::model::mmu_pkg::*;

const ITLB_A: usize = 0;
const DTLB_A: usize = 4;
const DTLB_B: usize = 5;
const DTLB_D: usize = 7;
const STLB_A: usize = 8;
const PDE: usize = 0;
const LARGE: u64 = 0x80;
/// Sizes in a tag: of the piece that is kept, and of the page.
const KEPT_2M: u64 = 1 << 58;
const KEPT_1G: u64 = 2 << 58;
const PAGE_2M: u64 = 1 << 60;
const PAGE_1G: u64 = 2 << 60;

fn array(sizes: &[PageSize], sets: u32, ways: u32) -> TlbArraySpec {
    TlbArraySpec {
        page_sizes: sizes.to_vec(),
        sets,
        ways,
        replacement: Replacement::Lru,
        serves: Serves::All,
    }
}

fn serving(serves: Serves, array: TlbArraySpec) -> TlbArraySpec {
    TlbArraySpec { serves, ..array }
}

fn bench(config: &Config) -> Bench {
    Bench::new(config, &recipe(config), 3)
}

/// Offers one request and runs until the machine rests; the answer.
fn ask(bench: &mut Bench, offer: Offer) -> PortOut {
    bench.clear();
    bench.run(60, &[(0, offer)]);
    let answers = bench.responses();
    assert_eq!(answers.len(), 1, "{answers:?}");
    bench.log[answers[0].0 as usize].ports[offer.port]
}

fn at(va: u64) -> Offer {
    let (port, id, kind) = (1, 1, KIND_READ);
    Offer { port, id, va, kind }
}

/// (cycle, event) of one TLB array since the log was cleared.
fn events(bench: &Bench, array: usize) -> Vec<(u64, ArrayEvent)> {
    (0..)
        .zip(&bench.log)
        .map(|(cycle, o)| (cycle, o.monitor.tlb[array]))
        .filter(|(_, event)| event.op != 0)
        .collect()
}

/// The one event of an array since the log was cleared.
fn event(bench: &Bench, array: usize) -> ArrayEvent {
    let found = events(bench, array);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1
}

/// Set and ways that a removal by the page names, for 4 KiB, 2 MiB and 1 GiB.
fn removed_by_page(event: ArrayEvent) -> [(u64, u64); 3] {
    assert_eq!((event.op, event.way), (ARRAY_INVALIDATE, 0));
    [
        (u64::from(event.set), event.removed),
        (event.victim_tag, event.tag),
        (event.victim_data, event.data),
    ]
}

fn code(bench: &Bench) -> u8 {
    bench.lookups(1)[0].1
}

/// Fills four ways, hits the last and the second, and fills four times more: the ways that are filled then.
fn victims(bench: &mut Bench, port: usize, array: usize) -> Vec<u8> {
    let mut ways = Vec::new();
    for page in [0, 1, 2, 3, 3, 1, 4, 5, 6, 7] {
        ask(bench, read(port, 1, page));
        ways.extend(events(bench, array).iter().map(|(_, event)| event.way));
    }
    assert_eq!(ways[..4], [0, 1, 2, 3]);
    ways.split_off(4)
}

fn of_policies(itlb: Replacement, dtlb: Replacement) -> Bench {
    let mut config = small();
    for (level, replacement) in [(&mut config.itlb, itlb), (&mut config.dtlb, dtlb)] {
        *level = TlbSpec::new(1, [(1, 4), (1, 1), (1, 1)]);
        level.arrays[0].replacement = replacement;
    }
    bench(&config)
}

#[test]
fn each_policy_names_its_victims_in_its_order() {
    // FIFO: the hits count for nothing. Tree: after the fills all bits are 0; the hits leave b1 = 1, b2 = b3 = 0; way 2 leaves
    // b1 = 0, b3 = 1; way 0 b1 = b2 = 1; way 3 b1 = b3 = 0.
    let mut bench = of_policies(Replacement::Fifo, Replacement::TreePlru);
    assert_eq!(victims(&mut bench, 0, ITLB_A), [0, 1, 2, 3]);
    assert_eq!(victims(&mut bench, 1, DTLB_A), [2, 0, 3, 1]);
    // NRU: the fourth fill clears the others; the hits leave ways 1 and 3 used; way 2 is the last, and clears the others.
    // Random: 0xace1, 0xe270, 0x7138, 0x389c, each mod 4.
    let mut bench = of_policies(Replacement::Nru, Replacement::Random);
    assert_eq!(victims(&mut bench, 0, ITLB_A), [0, 2, 0, 1]);
    assert_eq!(victims(&mut bench, 1, DTLB_A), [1, 0, 0, 0]);
    // SRRIP: 2 2 2 2 by the fills, 2 0 2 0 by the hits; then 2 1 3 1, 2 1 2 1, 2 2 3 2.
    let mut bench = of_policies(Replacement::Srrip, Replacement::Lru);
    assert_eq!(victims(&mut bench, 0, ITLB_A), [0, 2, 0, 2]);
    assert_eq!(victims(&mut bench, 1, DTLB_A), [0, 2, 3, 1]);
}

#[test]
fn with_srrip_a_way_that_was_hit_outlives_fills_of_all_others() {
    let mut bench = of_policies(Replacement::Lru, Replacement::Srrip);
    let mut filled = |pages: &[u64]| -> Vec<u8> {
        let mut ways = Vec::new();
        for &page in pages {
            ask(&mut bench, read(1, 1, page));
            ways.extend(events(&bench, DTLB_A).iter().map(|(_, event)| event.way));
        }
        ways
    };
    // All are hit: 0 0 0 0, and of them the lowest goes: 2 3 3 3. Way 1 is filled and hit: 2 0 3 3.
    assert_eq!(filled(&[0, 1, 2, 3, 0, 1, 2, 3]), [0, 1, 2, 3]);
    assert_eq!(filled(&[4, 5, 5]), [0, 1]);
    // 2 0 2 3, 2 0 2 2; 2 1 3 3, 2 1 2 3, 2 1 2 2; 2 2 3 3, 2 2 2 3, 2 2 2 2; 2 3 3 3.
    let pages: Vec<u64> = (6..16).collect();
    assert_eq!(filled(&pages), [2, 3, 0, 2, 3, 0, 2, 3, 0, 1]);
}

#[test]
fn a_paging_structure_cache_is_replaced_by_srrip() {
    let mut config = small();
    config.psc.pde.sets = 1;
    config.psc.pde.ways = 2;
    config.psc.pde.replacement = Replacement::Srrip;
    let mut bench = bench(&config);
    bench.cells.insert(0x3010, 0x5000 | TABLE);
    bench.cells.insert(0x3018, 0x5000 | TABLE);
    let mut ways = Vec::new();
    // PDE 0 in way 0, PDE 1 in way 1, a hit of PDE 0; then PDE 2 takes way 1, and PDE 3 too, whose value is 2 against 1.
    for page in [0, 0x200, 1, 0x400, 0x600] {
        ask(&mut bench, read(1, 1, page));
        let fills = bench.log.iter().map(|o| o.monitor.psc[PDE]);
        ways.extend(fills.filter(|fill| fill.op != 0).map(|fill| fill.way));
    }
    assert_eq!(ways, [0, 1, 1, 1]);
}

/// The DTLB has one array of 3 sets without 1 GiB pages, the STLB one of 384 sets with all. Page at 4 MiB: 2 MiB; at 1 GiB: 1 GiB.
fn fracturing() -> Bench {
    use PageSize::{Size1G, Size2M, Size4K};
    let mut config = small();
    config.dtlb.arrays = vec![array(&[Size2M, Size4K], 3, 2)];
    config.stlb.arrays = vec![array(&[Size4K, Size2M, Size1G], 384, 2)];
    let mut bench = bench(&config);
    bench.cells.insert(0x3010, 0x80_0000 | LEAF | LARGE);
    bench.cells.insert(0x2008, 0x8000_0000 | LEAF | LARGE);
    bench
}

#[test]
fn an_array_of_several_sizes_keeps_each_in_its_own_set() {
    let mut bench = fracturing();
    let answer = ask(&mut bench, at(0x40_1234));
    assert_eq!((answer.resp_pa, answer.resp_page_size), (0x80_1234, 1));
    let fill = event(&bench, DTLB_A);
    assert_eq!((fill.set, fill.way), (2, 0));
    assert_eq!(fill.tag, 0x400 | KEPT_2M | PAGE_2M);
    assert_eq!(event(&bench, STLB_A).set, 2);
    // Page 5 stands in the same set of the DTLB; each is found by its own size.
    assert_eq!(ask(&mut bench, read(1, 1, 5)).resp_pa, pa(5));
    let fill = event(&bench, DTLB_A);
    assert_eq!((fill.set, fill.way, fill.tag), (2, 1, 5));
    assert_eq!(event(&bench, STLB_A).set, 5);
    ask(&mut bench, at(0x5f_f000));
    assert_eq!(code(&bench), LOOKUP_HIT_2M);
    ask(&mut bench, read(1, 1, 5));
    assert_eq!(code(&bench), LOOKUP_HIT_4K);
    // Page 2 stands there too, and takes the least recently used, which is that of 2 MiB.
    ask(&mut bench, read(1, 1, 2));
    let fill = event(&bench, DTLB_A);
    assert_eq!((fill.set, fill.way, fill.removed), (2, 0, 1));
    assert_eq!(fill.victim_tag, 0x400 | KEPT_2M | PAGE_2M);
}

#[test]
fn a_piece_answers_with_the_size_of_its_page_and_goes_with_any_other_piece() {
    let mut bench = fracturing();
    let answer = ask(&mut bench, at(0x5234_5678));
    assert_eq!((answer.resp_pa, answer.resp_page_size), (0x9234_5678, 2));
    // 2 MiB piece number 657, in set 0; the STLB keeps the page whole.
    let fill = event(&bench, DTLB_A);
    assert_eq!((fill.set, fill.tag), (0, 0x52200 | KEPT_2M | PAGE_1G));
    assert_eq!(fill.data & 0xff_ffff_ffff, 0x92200);
    let fill = event(&bench, STLB_A);
    assert_eq!((fill.set, fill.tag), (1, 0x40000 | KEPT_1G | PAGE_1G));
    let answer = ask(&mut bench, at(0x523f_0000));
    assert_eq!((answer.resp_pa, answer.resp_page_size), (0x923f_0000, 2));
    assert_eq!(code(&bench), LOOKUP_HIT_2M);
    // Another piece by the STLB: number 513.
    let answer = ask(&mut bench, at(0x4020_0040));
    assert_eq!((answer.resp_pa, answer.resp_page_size), (0x8020_0040, 2));
    let fill = event(&bench, DTLB_A);
    assert_eq!(
        (fill.set, fill.way, fill.tag),
        (0, 1, 0x40200 | KEPT_2M | PAGE_1G)
    );
    assert!(bench.walks().is_empty());
    // And a page of 2 MiB and one of 4 KiB that stay.
    ask(&mut bench, at(0x40_0000));
    ask(&mut bench, read(1, 1, 1));
    bench.clear();
    bench.operate(CTRL_INVLPG, 0x7fff_f000);
    let removed = event(&bench, DTLB_A);
    assert_eq!(
        (removed.op, removed.set, removed.removed),
        (ARRAY_INVALIDATE, 0, 3)
    );
    let removed = event(&bench, STLB_A);
    assert_eq!(
        (removed.op, removed.set, removed.removed),
        (ARRAY_INVALIDATE, 1, 1)
    );
    // Taken in 0; rows in 1 to 384; the answer is shown in the next cycle.
    assert_eq!(bench.log.len(), 386);
    ask(&mut bench, at(0x40_0000));
    assert_eq!(code(&bench), LOOKUP_HIT_2M);
    ask(&mut bench, read(1, 1, 1));
    assert_eq!(code(&bench), LOOKUP_HIT_4K);
    // A page fault drops the piece of its address alone: here in the START of the walk of a write that is denied.
    bench.cells.insert(0x2008, 0x8000_0000 | LEAF & !2 | LARGE);
    let stays = at(0x4020_0000);
    ask(&mut bench, at(0x5234_0000));
    ask(&mut bench, stays);
    let (va, kind) = (0x5234_0000, KIND_WRITE);
    let answer = ask(&mut bench, Offer { va, kind, ..stays });
    assert_eq!(answer.resp_status, STATUS_PAGE_FAULT);
    let [_, (set, ways), _] = removed_by_page(event(&bench, DTLB_A));
    assert_eq!((set, ways.count_ones()), (0, 1));
    let removed = removed_by_page(event(&bench, STLB_A));
    assert_eq!(removed, [(0, 0), (0, 0), (1, 1)]);
    ask(&mut bench, stays);
    assert_eq!(code(&bench), LOOKUP_HIT_2M);
}

#[test]
fn a_page_leaves_its_places_of_all_sizes_at_once() {
    use PageSize::{Size1G, Size2M, Size4K};
    let mut config = small();
    config.dtlb.arrays = vec![array(&[Size4K, Size2M, Size1G], 3, 4)];
    let psc = &mut config.psc;
    for cache in [&mut psc.pml5e, &mut psc.pml4e, &mut psc.pdpte, &mut psc.pde] {
        cache.ways = 0;
    }
    let mut bench = bench(&config);
    // Page 0x40206, then 2 MiB page 513 and 1 GiB page 1 around it, while nothing is invalidated: sets 0, 0 and 1.
    bench.cells.insert(0x2008, 0x6000 | TABLE);
    bench.cells.insert(0x6008, 0x5000 | TABLE);
    ask(&mut bench, at(0x4020_6000));
    bench.cells.insert(0x6008, 0x80_0000 | LEAF | LARGE);
    ask(&mut bench, at(0x4020_7000));
    bench.cells.insert(0x2008, 0x8000_0000 | LEAF | LARGE);
    ask(&mut bench, at(0x4000_0000));
    let fill = event(&bench, DTLB_A);
    assert_eq!((fill.set, fill.way), (1, 0));
    // Of the three the smallest counts.
    ask(&mut bench, at(0x4020_6000));
    assert_eq!(code(&bench), LOOKUP_HIT_4K);
    bench.clear();
    bench.operate(CTRL_INVLPG, 0x4020_6000);
    let removed = removed_by_page(event(&bench, DTLB_A));
    assert_eq!(removed, [(0, 1), (0, 2), (1, 1)]);
    // The STLB has an array for each size: page 0x40206 in set 6 of 8.
    let removed = [0, 1, 2].map(|n| removed_by_page(event(&bench, STLB_A + n)));
    assert_eq!(removed[0], [(6, 1), (0, 0), (0, 0)]);
    assert_eq!(removed[1], [(0, 0), (0, 1), (0, 0)]);
    assert_eq!(removed[2], [(0, 0), (0, 0), (0, 1)]);
    ask(&mut bench, at(0x4020_6000));
    assert_eq!(code(&bench), LOOKUP_MISS);
    assert_eq!(bench.walks().len(), 2);
}

#[test]
fn an_array_of_both_kinds_beside_one_of_a_single_kind_is_refused() {
    let mut config = small();
    let of_reads = serving(Serves::Reads, array(&[PageSize::Size4K], 1, 2));
    config.dtlb.arrays.push(of_reads);
    let refused = try_library(&recipe(&config)).map(|_| ());
    let error = refused.expect_err("the parameters are refused").to_string();
    assert!(error.contains("serve reads and writes"), "{error}");
    // With arrays for either kind alone it is a machine.
    config.dtlb.arrays[0].serves = Serves::Writes;
    assert!(try_library(&recipe(&config)).is_ok());
}

#[test]
fn arrays_of_reads_share_beside_one_of_writes() {
    use PageSize::{Size1G, Size2M, Size4K};
    let mut config = small();
    config.dtlb.arrays = vec![
        serving(Serves::Writes, array(&[Size4K, Size2M, Size1G], 3, 2)),
        serving(Serves::Reads, array(&[Size4K], 1, 4)),
        serving(Serves::Reads, array(&[Size2M, Size1G], 1, 2)),
        serving(Serves::Reads, array(&[Size4K], 2, 2)),
    ];
    let mut bench = bench(&config);
    // For reads page 2 stands in the first of the two arrays, page 3 in the second; for writes both in the only one.
    ask(&mut bench, write(1, 1, 2));
    assert_eq!(event(&bench, DTLB_A).set, 2);
    assert!(events(&bench, DTLB_B).is_empty() && events(&bench, DTLB_D).is_empty());
    ask(&mut bench, read(1, 1, 2));
    assert_eq!(code(&bench), LOOKUP_MISS);
    assert_eq!(event(&bench, DTLB_B).set, 0);
    assert!(bench.walks().is_empty());
    ask(&mut bench, read(1, 1, 3));
    assert_eq!(event(&bench, DTLB_D).set, 1);
    ask(&mut bench, write(1, 1, 3));
    assert_eq!(code(&bench), LOOKUP_MISS);
    assert_eq!(event(&bench, DTLB_A).set, 0);
    for offer in [write(1, 1, 2), read(1, 1, 2)] {
        ask(&mut bench, offer);
        assert_eq!(code(&bench), LOOKUP_HIT_4K);
    }
    // An invalidation takes both, at once.
    bench.clear();
    bench.operate(CTRL_INVLPG, 0x2000);
    let [a, b] = [DTLB_A, DTLB_B].map(|array| events(&bench, array));
    assert_eq!((a.len(), b.len(), a[0].0), (1, 1, b[0].0));
    assert_eq!(removed_by_page(a[0].1), [(2, 1), (0, 0), (0, 0)]);
    assert_eq!(removed_by_page(b[0].1), [(0, 1), (0, 0), (0, 0)]);
    assert!(events(&bench, DTLB_D).is_empty());
}

/// One walker that takes the oldest, an inclusive STLB of 4 sets of 1 way for 4 KiB pages, a cache of PDEs of 3 sets of 1 way.
fn inclusive() -> Bench {
    let mut config = small();
    config.stlb = TlbSpec::new(2, [(4, 1), (1, 1), (1, 1)]);
    config.stlb.inclusive = true;
    config.walkers.count = 1;
    config.walkers.order = WalkerOrder::Oldest;
    config.psc.pde.sets = 3;
    config.psc.pde.ways = 1;
    bench(&config)
}

#[test]
fn what_leaves_an_inclusive_stlb_leaves_the_first_level_in_the_next_cycle() {
    let mut bench = inclusive();
    ask(&mut bench, read(1, 1, 0));
    ask(&mut bench, read(0, 1, 0));
    ask(&mut bench, read(1, 1, 4));
    let evicted = events(&bench, STLB_A);
    assert_eq!((evicted.len(), evicted[0].1.removed), (1, 1));
    let done = evicted[0].0;
    // The fill of page 4 goes to way 1 of the DTLB, beside page 0.
    for (array, fills) in [(DTLB_A, 1), (ITLB_A, 0)] {
        let found = events(&bench, array);
        assert_eq!(found.len(), fills + 1);
        assert_eq!(found[fills].0, done + 1);
        let removed = found[fills].1;
        assert_eq!(
            (removed.op, removed.set, removed.removed),
            (ARRAY_INVALIDATE, 0, 1)
        );
    }
    ask(&mut bench, read(1, 1, 0));
    assert_eq!(code(&bench), LOOKUP_MISS);
    assert_eq!(bench.walks().len(), 2);
}

#[test]
fn a_result_that_keeps_what_is_evicted_answers_and_fills_nothing() {
    let mut bench = inclusive();
    ask(&mut bench, read(0, 1, 0));
    // The walk of page 4 reads one entry and is DONE in 12; page 0 was looked up in the STLB in 11, and would be due in 13.
    bench.clear();
    bench.run(60, &[(0, read(1, 1, 4)), (9, read(1, 2, 0))]);
    assert_eq!(bench.log[11].monitor.stlb_lookup, LOOKUP_HIT_4K);
    assert_eq!(events(&bench, STLB_A)[0].0, 12);
    assert_eq!(events(&bench, ITLB_A)[0].0, 13);
    let answers = [(13, 1, 1, 0, pa(4)), (15, 1, 2, 0, pa(0))];
    assert_eq!(bench.responses(), answers);
    let fills = events(&bench, DTLB_A);
    assert_eq!((fills.len(), fills[0].0, fills[0].1.tag), (1, 12, 4));
}

#[test]
fn a_cache_of_pdes_has_sets_and_loses_them_all_at_once() {
    let mut bench = inclusive();
    let psc = |bench: &Bench| -> Vec<ArrayEvent> {
        let events = bench.log.iter().map(|o| o.monitor.psc[PDE]);
        events.filter(|event| event.op != 0).collect()
    };
    bench.cells.insert(0x3018, 0x5000 | TABLE);
    for (page, set) in [(5, 0), (0x205, 1), (0x605, 0)] {
        ask(&mut bench, read(1, 1, page));
        let fill = psc(&bench)[0];
        assert_eq!((fill.op, fill.set, fill.way), (ARRAY_FILL, set, 0));
    }
    assert_eq!(psc(&bench)[0].victim_tag, 0);
    assert_eq!(psc(&bench)[0].removed, 1);
    ask(&mut bench, read(1, 1, 0x206));
    assert_eq!(bench.walks()[0].2.psc_level, 2);
    bench.clear();
    bench.operate(CTRL_MOV_CR3, ROOT);
    // Sets 0 and 1, way 0 of each.
    assert_eq!((psc(&bench)[0].set, psc(&bench)[0].removed), (0, 0b11));
    for page in [0x207, 0x607] {
        ask(&mut bench, read(1, 1, page));
        assert_ne!(bench.walks()[0].2.psc_level, 2);
    }
}

#[test]
fn the_entry_that_waits_longest_is_walked_first() {
    let mut bench = inclusive();
    ask(&mut bench, read(0, 1, 1));
    bench.clear();
    bench.latency = 20;
    // Entry 1 is free again when the STLB has answered page 1, and is taken once more behind entry 2.
    let offers = [(0, 2), (1, 1), (2, 3), (12, 8)];
    let offers: Vec<_> = (0..)
        .zip(offers)
        .map(|(id, (cycle, page))| (cycle, read(1, id, page)))
        .collect();
    bench.run(150, &offers);
    let starts: Vec<u8> = bench
        .walks()
        .iter()
        .filter(|(_, _, event)| event.op == WALK_START)
        .map(|(_, _, event)| event.entry)
        .collect();
    assert_eq!(starts, [0, 2, 1]);
}
