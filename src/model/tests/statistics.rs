//! The figures: that their laws can fail, what they mean on known sequences, and how they are written.

use super::bench::*;
use crate::arch::PageSize;
use crate::model::Statistics;
use crate::model::mmu_pkg::PortIn;

const VA: u64 = 0x40_0000;
const FRAME: u64 = 0x8000_0000;

/// A run with hits, misses, walks, a restart, a fault and an invalidation.
fn run() -> Bench {
    let mut bench = Bench::on(&small());
    for page in 0..3 {
        bench.map(VA + (page << 12), PageSize::Size4K, FRAME | ALL & !D);
    }
    for request in [
        read(VA),
        write(VA),
        read(VA),
        read(VA + 0x1000),
        read(VA + 0x2000),
    ] {
        bench.ask(DATA, request);
    }
    bench.ask(FETCH, fetch(VA));
    bench.ask(DATA, read(VA + 0x5000));
    bench.ask(DATA, read(1 << 47));
    bench.operate(crate::model::Operation::new(4, VA));
    bench
}

#[test]
fn figures_are_what_happened() {
    let bench = run();
    let s = bench.mmu.statistics();
    assert_eq!((s.itlb.lookups, s.itlb.hits, s.itlb.misses), (1, 0, 1));
    assert_eq!((s.dtlb.lookups, s.dtlb.hits, s.dtlb.misses), (6, 1, 5));
    assert_eq!(
        (s.dtlb.hits_by_size, s.dtlb.dirty_clear, s.dtlb.bypassed),
        ([1, 0, 0], 1, 1)
    );
    assert_eq!((s.stlb.lookups, s.stlb.hits, s.stlb.misses), (5, 1, 4));
    // Four walks from nothing known or a cached PDE, and that of the write; the fault walks twice.
    let walks = s.walks;
    assert_eq!(
        (
            walks.started,
            walks.restarted,
            walks.completed,
            walks.faulted
        ),
        (5, 1, 4, 1)
    );
    assert_eq!(
        (walks.memory_reads, walks.compare_and_sets),
        (4 + 1 + 1 + 1 + 1 + 4, 1)
    );
    assert_eq!((s.psc[0].lookups, s.psc[0].hits), (5, 4));
    assert_eq!(
        (s.psc[1].lookups, s.psc[2].lookups, s.psc[3].lookups),
        (1, 1, 0)
    );
    assert_eq!(
        (
            s.responses.total(),
            s.responses.page_faults,
            s.responses.general_protections
        ),
        (8, 1, 1)
    );
    assert_eq!(s.responses.page_faults_by_code[0b100], 1);
    // From START to DONE, both included: 2 and 3 for each access.
    assert_eq!(walks.cycles, 5 * 2 + 1 + 3 * (12 + 1));
    assert_eq!((s.requests, s.cycles), (8, bench.mmu.now()));
    assert_eq!(s.control.operations, 6);
}

#[test]
fn psc_look_ups_count_only_caches_that_exist() {
    let mut bench = Bench::on(&small_without_psc());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    assert!(
        bench
            .mmu
            .statistics()
            .psc
            .iter()
            .all(|psc| psc.lookups == 0)
    );
}

type Wrong = (&'static str, fn(&mut Statistics));

/// Each law is broken by some figure that is wrong.
#[test]
fn a_figure_that_is_wrong_breaks_a_law() {
    let sound = run().mmu.statistics().clone();
    sound.check_conservation().unwrap();
    let wrongs: [Wrong; 21] = [
        ("requests", |s| s.requests -= 1),
        ("translated", |s| s.responses.translated += 1),
        ("faults by code", |s| {
            s.responses.page_faults_by_code[4] -= 1
        }),
        ("itlb look-ups", |s| s.itlb.lookups += 1),
        ("itlb misses", |s| s.itlb.misses -= 1),
        ("dtlb hits", |s| s.dtlb.hits += 1),
        ("dtlb hits by size", |s| s.dtlb.hits_by_size[1] += 1),
        ("dtlb denied", |s| s.dtlb.denied += 1),
        ("dtlb dirty clear", |s| s.dtlb.dirty_clear -= 1),
        ("dtlb bypassed", |s| s.dtlb.bypassed += 1),
        ("stlb bypassed", |s| s.stlb.bypassed += 1),
        ("stlb denied", |s| s.stlb.denied += 9),
        ("walks started", |s| s.walks.started += 1),
        ("walks completed", |s| s.walks.completed -= 1),
        ("walks faulted", |s| s.walks.faulted += 1),
        ("walks restarted", |s| s.walks.restarted += 9),
        ("memory reads", |s| s.walks.memory_reads = 2),
        ("races", |s| s.walks.races_lost += 2),
        ("fills", |s| s.tlb_arrays[3].fills += 9),
        ("evictions", |s| s.tlb_arrays[6].evictions += 9),
        ("psc invalidations", |s| s.psc_arrays[0].invalidations += 9),
    ];
    for (name, wrong) in wrongs {
        let mut figures = sound.clone();
        wrong(&mut figures);
        assert!(figures.check_conservation().is_err(), "{name}");
    }
}

#[test]
fn what_is_in_flight_breaks_no_law() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let mut ports = [crate::model::mmu_pkg::PortIn::default(); 3];
    ports[DATA] = read(VA).presented();
    ports[FETCH] = fetch(VA).presented();
    for _ in 0..60 {
        bench.tick(ports);
        bench.mmu.statistics().check_conservation().unwrap();
        assert_eq!(bench.mmu.statistics(), &bench.observed);
    }
}

#[test]
fn an_observer_that_misses_a_cycle_is_found_out() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let observed = bench.observed.clone();
    bench.ask(DATA, read(VA));
    assert_eq!(bench.mmu.statistics(), &bench.observed);
    assert_ne!(bench.mmu.statistics(), &observed);
}

#[test]
fn figures_are_written_under_the_names_of_the_field() {
    let json = serde_json::to_value(run().mmu.statistics()).unwrap();
    assert_eq!(json["dtlb"]["lookups"], 6);
    assert_eq!(json["psc"]["pde"]["hits"], 4);
    assert_eq!(json["walks"]["started"], 5);
    assert_eq!(json["responses"]["page_faults_by_code"]["0x04"], 1);
}

#[test]
fn a_request_in_flight_where_a_part_begins_or_ends_is_counted_at_that_end() {
    let mut bench = run();
    let before = bench.mmu.statistics().clone();
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = read(VA + 0x9000).presented();
    while bench.tick(ports).ports[DATA].req_ready == 0 {}
    bench.idle(1);
    let between = bench.mmu.statistics().clone();
    bench.idle(200);
    let after = bench.mmu.statistics().clone();
    let in_flight = [&before, &between, &after].map(|figures| figures.in_flight());
    assert_eq!(in_flight, [0, 1, 0]);
    assert_eq!(between.check_since(&before), Ok(()));
    assert_eq!(after.check_since(&between), Ok(()));
    let part = after.since(&between);
    assert_eq!((part.requests, part.responses.total()), (0, 1));
}

#[test]
fn a_part_of_a_run_has_what_came_in_between_and_its_laws_can_fail() {
    let mut bench = run();
    let earlier = bench.mmu.statistics().clone();
    bench.ask(DATA, read(VA + 0x9000));
    bench.ask(FETCH, fetch(VA));
    bench.ask(FETCH, fetch(VA));
    let later = bench.mmu.statistics().clone();
    let part = later.since(&earlier);
    assert_eq!((part.itlb.lookups, part.itlb.hits), (2, 1));
    assert_eq!((part.walks.started, part.walks.faulted), (2, 1));
    assert_eq!((part.requests, part.responses.page_faults), (3, 1));
    assert_eq!(part.walk_latency_cycles.count(), 2);
    assert_eq!(part.walk_latency_cycles.sum_cycles(), part.walks.cycles);
    assert_eq!(later.check_since(&earlier), Ok(()));
    let mut wrong = later.clone();
    wrong.itlb.lookups += 1;
    assert!(wrong.check_since(&earlier).is_err());
    let mut wrong = later;
    wrong.walk_latency_cycles.add(1);
    assert!(wrong.check_conservation().is_err());
}
