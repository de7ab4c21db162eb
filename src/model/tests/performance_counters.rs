//! The performance counters, each in the situations in which it counts, or must not.
//!
//! Contract: 10.2. Counterpart: none. Random machines, and the ways of passing time, are in `skipping`, `alone` and `front_end`.

use super::bench::*;
use crate::arch::PageSize;
use crate::arch::registers::{CR3_NO_FLUSH, cr4};
use crate::config::{Config, MemorySpec};
use crate::model::mmu_pkg::{Inputs, Outputs, PERF_COUNTERS, PortIn};
use crate::model::performance_counters::EVENTS;
use crate::model::{Mmu, Operation, PerformanceCounters, Request};

const VA: u64 = 0x40_0000;
const FRAME: u64 = 0x8000_0000;

/// The counters that differ from those before, by name, with what was added, while `what` happened.
fn counted(bench: &mut Bench, what: impl FnOnce(&mut Bench)) -> Vec<(&'static str, u64)> {
    let before = *bench.mmu.performance_counters();
    what(bench);
    bench.mmu.check_conservation().unwrap();
    let after = bench.mmu.performance_counters().named();
    after
        .zip(before.values())
        .map(|((name, after), before)| (name, after - before))
        .filter(|(_, more)| *more > 0)
        .collect()
}

/// The same of a request alone.
fn by(bench: &mut Bench, port: usize, request: Request) -> Vec<(&'static str, u64)> {
    counted(bench, |bench| {
        bench.ask(port, request);
    })
}

/// A walk of so many reads and compare-and-sets takes START, three cycles for each with a latency of 1, and DONE.
const fn walk_cycles(accesses: u64) -> u64 {
    2 + 3 * accesses
}

#[test]
fn the_names_are_those_of_the_contract_and_each_is_defined_once() {
    let suffixes = [
        "miss_causes_a_walk",
        "walk_completed_4k",
        "walk_completed_2m_4m",
        "walk_completed_1g",
        "walk_faulted",
        "walk_pending",
        "walk_active",
        "stlb_hit_4k",
        "stlb_hit_2m_4m",
        "stlb_hit_1g",
    ];
    let prefixes = ["dtlb_load_misses", "dtlb_store_misses", "itlb_misses"];
    let mut names: Vec<String> = prefixes
        .iter()
        .flat_map(|prefix| suffixes.map(|suffix| format!("{prefix}.{suffix}")))
        .collect();
    names.extend(["page_walker_loads", "tlb_flush"].map(str::to_owned));
    let own: Vec<&str> = EVENTS.iter().map(|event| event.name).collect();
    assert_eq!(own, names);
    assert!(EVENTS.iter().all(|event| event.meaning.ends_with('.')));
    let counters = PerformanceCounters::shown(&Outputs {
        perf: std::array::from_fn(|number| number as u64),
        ..Outputs::ZERO
    });
    assert_eq!(counters.of("itlb_misses.walk_faulted"), Some(24));
    assert_eq!(counters.of("tlb_flush"), Some(31));
    assert_eq!(counters.of("tlb_flushes"), None);
    let json = serde_json::to_value(counters).unwrap();
    assert_eq!(json["dtlb_store_misses.stlb_hit_1g"], 19);
}

#[test]
fn a_walk_counts_by_kind_and_by_the_size_of_the_page() {
    for (size, name, reads) in [
        (PageSize::Size4K, "4k", 4),
        (PageSize::Size2M, "2m_4m", 3),
        (PageSize::Size1G, "1g", 2),
    ] {
        for (port, request, prefix) in [
            (DATA, read(0), "dtlb_load_misses"),
            (DATA, write(0), "dtlb_store_misses"),
            (FETCH, fetch(0), "itlb_misses"),
        ] {
            let mut bench = Bench::on(&small());
            bench.map(0, size, FRAME | ALL);
            let cycles = walk_cycles(reads);
            let expected = [
                (format!("{prefix}.miss_causes_a_walk"), 1),
                (format!("{prefix}.walk_completed_{name}"), 1),
                (format!("{prefix}.walk_pending"), cycles),
                (format!("{prefix}.walk_active"), cycles),
                ("page_walker_loads".to_owned(), reads),
            ];
            let seen = by(&mut bench, port, request);
            let seen: Vec<_> = seen
                .iter()
                .map(|(name, n)| (name.to_string(), *n))
                .collect();
            assert_eq!(seen, expected);
            // A hit in the first level counts nowhere.
            assert_eq!(by(&mut bench, port, request), []);
        }
    }
}

#[test]
fn pages_of_4_mib_count_with_those_of_2_mib() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4M, FRAME | ALL);
    let seen = by(&mut bench, DATA, read(VA));
    assert!(seen.contains(&("dtlb_load_misses.walk_completed_2m_4m", 1)));
    assert_eq!(
        by(&mut bench, FETCH, fetch(VA)),
        [("itlb_misses.stlb_hit_2m_4m", 1)]
    );
}

#[test]
fn a_hit_in_the_stlb_counts_by_the_size_of_the_page_and_causes_no_walk() {
    for (size, name) in [
        (PageSize::Size4K, "itlb_misses.stlb_hit_4k"),
        (PageSize::Size2M, "itlb_misses.stlb_hit_2m_4m"),
        (PageSize::Size1G, "itlb_misses.stlb_hit_1g"),
    ] {
        let mut bench = Bench::on(&small());
        bench.map(0, size, FRAME | ALL);
        bench.ask(DATA, read(0));
        assert_eq!(by(&mut bench, FETCH, fetch(0)), [(name, 1)]);
    }
}

#[test]
fn a_page_that_the_stlb_keeps_in_pieces_counts_by_its_own_size() {
    let mut config = small();
    config.stlb.arrays.truncate(1);
    let mut bench = Bench::on(&config);
    bench.map(0, PageSize::Size2M, FRAME | ALL);
    bench.ask(DATA, read(0));
    assert_eq!(
        by(&mut bench, FETCH, fetch(0)),
        [("itlb_misses.stlb_hit_2m_4m", 1)]
    );
    // The look-up itself is of the kept size.
    assert_eq!(bench.mmu.statistics().stlb.hits_by_size, [1, 0, 0]);
}

#[test]
fn what_is_found_and_not_allowed_causes_a_walk_and_is_no_hit_of_the_stlb() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL & !D);
    bench.ask(DATA, read(VA));
    // D = 0 in the DTLB: one read behind the PSC, one compare-and-set.
    let cycles = walk_cycles(2);
    let expected = [
        ("dtlb_store_misses.miss_causes_a_walk", 1),
        ("dtlb_store_misses.walk_completed_4k", 1),
        ("dtlb_store_misses.walk_pending", cycles),
        ("dtlb_store_misses.walk_active", cycles),
        ("page_walker_loads", 1),
    ];
    assert_eq!(by(&mut bench, DATA, write(VA)), expected);
    // Rights deny: from CR3, to a page fault.
    bench.map(VA + 0x1000, PageSize::Size4K, FRAME | ALL & !RW);
    bench.ask(DATA, read(VA + 0x1000));
    let cycles = walk_cycles(4);
    let expected = [
        ("dtlb_store_misses.miss_causes_a_walk", 1),
        ("dtlb_store_misses.walk_faulted", 1),
        ("dtlb_store_misses.walk_pending", cycles),
        ("dtlb_store_misses.walk_active", cycles),
        ("page_walker_loads", 4),
    ];
    assert_eq!(by(&mut bench, DATA, write(VA + 0x1000)), expected);
}

#[test]
fn a_restart_is_the_same_walk() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    // The PDE's cache leads to a PTE that is not present: one read, a START anew, four reads.
    let cycles = walk_cycles(1 + 4) + 1;
    let expected = [
        ("dtlb_load_misses.miss_causes_a_walk", 1),
        ("dtlb_load_misses.walk_faulted", 1),
        ("dtlb_load_misses.walk_pending", cycles),
        ("dtlb_load_misses.walk_active", cycles),
        ("page_walker_loads", 5),
    ];
    assert_eq!(by(&mut bench, DATA, read(VA + 0x1000)), expected);
}

#[test]
fn a_bus_error_counts_as_a_fault() {
    let mut config = small();
    config.memory = MemorySpec {
        size_bytes: Some(0x20_0000),
        ..config.memory
    };
    let mut bench = Bench::on(&config);
    bench.store(ROOT, 0x4000_0000 | P | RW | US | A);
    let answer = bench.ask(FETCH, fetch(0));
    assert_eq!(answer.response.status, 3);
    let counters = bench.mmu.performance_counters();
    assert_eq!(counters.of("itlb_misses.walk_faulted"), Some(1));
    assert_eq!(counters.of("page_walker_loads"), Some(2));
    bench.mmu.check_conservation().unwrap();
}

#[test]
fn what_is_not_looked_up_counts_nowhere() {
    let mut bench = Bench::off(&small());
    assert_eq!(by(&mut bench, DATA, read(VA)), []);
    bench.enable(cr4::PAE);
    assert_eq!(by(&mut bench, DATA, read(1 << 60)), []);
}

#[test]
fn walks_at_a_time_are_pending_each_and_active_once_and_a_merged_request_causes_none() {
    let mut config = Config {
        psc: small().psc,
        memory: small().memory,
        ..Config::default()
    };
    config.walkers.count = 2;
    config.ports.data_ports = 2;
    let mut bench = Bench::on(&config);
    let pages = [VA, 1 << 39 | VA];
    for page in pages {
        bench.map(page, PageSize::Size4K, FRAME | ALL);
    }
    let seen = counted(&mut bench, |bench| {
        let mut ports = [PortIn::default(); 3];
        ports[1] = read(pages[0]).presented();
        ports[2] = read(pages[1]).presented();
        bench.tick(ports);
        // To the page of the one before.
        let mut ports = [PortIn::default(); 3];
        ports[2] = Request {
            id: 7,
            ..read(pages[0] + 8)
        }
        .presented();
        bench.tick(ports);
        bench.idle(200);
    });
    let of = |wanted: &str| {
        let full = format!("dtlb_load_misses.{wanted}");
        seen.iter().find(|(name, _)| *name == full).unwrap().1
    };
    assert_eq!(bench.mmu.statistics().dtlb.merged, 1);
    assert_eq!((of("miss_causes_a_walk"), of("walk_completed_4k")), (2, 2));
    // Either walk alone would take as long; together they get in each other's way.
    let (pending, active) = (of("walk_pending"), of("walk_active"));
    assert!(pending > active && pending <= 2 * active);
    assert!(active >= walk_cycles(4) && pending >= 2 * walk_cycles(4));
    assert_eq!(
        pending - active,
        bench.mmu.statistics().walks.parallel_cycles
    );
}

#[test]
fn a_prefetch_counts_its_reads_alone() {
    let mut config = small();
    config.prefetch.next_page = true;
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA + 0x1000, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    let seen = counted(&mut bench, |bench| bench.idle(50));
    assert_eq!(bench.mmu.statistics().prefetches.filled, 1);
    assert_eq!(seen, [("page_walker_loads", 1)]);
    // What it brought is a hit like any other.
    assert_eq!(
        by(&mut bench, DATA, read(VA + 0x1000)),
        [("dtlb_load_misses.stlb_hit_4k", 1)]
    );
}

#[test]
fn flushes_are_operations_that_perform_an_invalidation_whether_anything_was_there_or_not() {
    let invpcid = |kind, data, addr| Operation {
        op: 5,
        data,
        addr,
        kind,
    };
    let on = cr4::PAE | cr4::PGE;
    for (operation, flushes) in [
        (Operation::new(1, ROOT), 1),
        // CR0 with paging on as before, EFER as before, CR4 as before.
        (Operation::new(0, 0x8001_0001), 0),
        (Operation::new(2, on), 0),
        (Operation::new(2, cr4::PAE), 1),
        (Operation::new(2, on | cr4::SMEP), 1),
        (Operation::new(2, on | cr4::SMAP), 0),
        (Operation::new(4, VA), 1),
        // Not canonical.
        (Operation::new(4, 1 << 60), 0),
        (invpcid(0, 0, VA), 1),
        (invpcid(1, 0, 0), 1),
        (invpcid(2, 0, 0), 1),
        (invpcid(3, 0, 0), 1),
        // #GP.
        (invpcid(4, 0, 0), 0),
        (invpcid(0, 0, 1 << 60), 0),
        (Operation::new(0, 1 << 31), 0),
        // Paging off.
        (Operation::new(0, 1), 1),
    ] {
        let mut bench = Bench::on(&small());
        let seen = counted(&mut bench, |bench| {
            bench.operate(operation);
        });
        let expected = [("tlb_flush", 1)];
        assert_eq!(seen, expected[..flushes], "{operation:x?}");
    }
    let mut bench = Bench::on(&small());
    bench.operate(Operation::new(2, on | cr4::PCIDE));
    let seen = counted(&mut bench, |bench| {
        bench.operate(Operation::new(1, ROOT | CR3_NO_FLUSH | 1));
    });
    assert_eq!(seen, []);
}

#[test]
fn a_flush_shows_in_the_cycle_after_it_performs_and_a_drop_is_none() {
    let mut bench = Bench::on(&small());
    let flushes = |outputs: &Outputs| outputs.perf[31];
    bench.control = Operation::new(4, VA).presented();
    let first = flushes(&bench.tick([PortIn::default(); 3]));
    bench.control.valid = 0;
    let shown: Vec<u64> = (0..2)
        .map(|_| flushes(&bench.tick([PortIn::default(); 3])) - first)
        .collect();
    assert_eq!(shown, [0, 1]);
    // A page fault drops.
    let seen = by(&mut bench, DATA, read(VA));
    assert!(seen.iter().all(|(name, _)| *name != "tlb_flush"));
}

#[test]
fn all_counters_are_0_after_reset() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    let mut outputs = Outputs::default();
    bench.mmu.tick(&Inputs::default(), &mut outputs);
    assert_ne!(outputs.perf, [0; PERF_COUNTERS]);
    bench.mmu.tick(&Inputs::default(), &mut outputs);
    assert_eq!(outputs.perf, [0; PERF_COUNTERS]);
    assert_eq!(*bench.mmu.performance_counters(), PerformanceCounters::ZERO);
    assert!(bench.mmu == Mmu::new(&small()));
}

/// Each counter that is wrong breaks a law, but for those that nothing else counts.
#[test]
fn a_counter_that_is_wrong_breaks_a_law() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    for (port, request) in [(DATA, read(VA)), (FETCH, fetch(VA)), (DATA, read(0))] {
        bench.ask(port, request);
    }
    let check = |perf: [u64; PERF_COUNTERS]| {
        let counters = PerformanceCounters::shown(&Outputs {
            perf,
            ..Outputs::ZERO
        });
        counters.check_conservation(bench.mmu.statistics(), [0; 3], 1)
    };
    let sound = *bench.mmu.performance_counters().values();
    check(sound).unwrap();
    for number in 0..PERF_COUNTERS {
        let mut wrong = sound;
        wrong[number] += 100;
        assert!(check(wrong).is_err(), "{}", EVENTS[number].name);
    }
    let counters = bench.mmu.performance_counters();
    let (statistics, none) = (bench.mmu.statistics(), [0; 3]);
    assert!(
        counters
            .check_conservation(statistics, [1, 0, 0], 1)
            .is_err()
    );
    assert!(counters.check_conservation(statistics, none, 0).is_err());
}
