//! Contract 12: the formulas for one request alone, for several latencies each, measured from the accept to the first cycle of the
//! response.

use super::bench::*;
use crate::arch::PageSize;
use crate::config::{Config, MemorySpec};
use crate::model::Operation;

const VA: u64 = 0x7f12_3456_7000;
const PAGE: u64 = 0x55_5000;

/// H of the ITLB, H of the DTLB, S and M.
const LATENCIES: [(u32, u32, u32, u32); 5] = [
    (1, 1, 1, 1),
    (2, 1, 7, 50),
    (1, 5, 3, 2),
    (63, 4, 63, 9),
    (3, 63, 1, 400),
];

fn machine(config: Config, latencies: (u32, u32, u32, u32)) -> Config {
    let (itlb, dtlb, stlb, memory) = latencies;
    let mut config = config;
    config.itlb.hit_latency_cycles = itlb;
    config.dtlb.hit_latency_cycles = dtlb;
    config.stlb.hit_latency_cycles = stlb;
    config.memory = MemorySpec {
        latency_cycles: memory,
        jitter_cycles: 0,
        size_bytes: Some(1 << 40),
        ..MemorySpec::default()
    };
    config
}

/// Runs `case` for each port and set of latencies: (machine, port, H, S, M).
fn for_each(config: fn() -> Config, case: impl Fn(&mut Bench, usize, u64, u64, u64)) {
    for latencies in LATENCIES {
        for port in [FETCH, DATA] {
            let (itlb, dtlb, stlb, memory) = latencies;
            let hit = if port == FETCH { itlb } else { dtlb };
            let mut bench = Bench::on(&machine(config(), latencies));
            bench.map(VA, PageSize::Size4K, PAGE | ALL);
            case(&mut bench, port, hit.into(), stlb.into(), memory.into());
        }
    }
}

fn request(port: usize, va: u64) -> crate::model::Request {
    if port == FETCH { fetch(va) } else { read(va) }
}

#[test]
fn an_l1_hit_takes_h_plus_1_cycles() {
    for_each(small, |bench, port, h, _, _| {
        bench.ask(port, request(port, VA));
        for _ in 0..2 {
            assert_eq!(bench.ask(port, request(port, VA)).cycles(), h + 1);
        }
    });
}

#[test]
fn with_paging_off_or_an_address_that_is_not_canonical_a_request_takes_h_plus_1_cycles() {
    for_each(small, |bench, port, h, _, _| {
        let answer = bench.ask(port, request(port, 1 << 47));
        assert_eq!((answer.response.status, answer.cycles()), (2, h + 1));
        assert!(!bench.operate(Operation::new(0, 1)));
        let answer = bench.ask(port, request(port, 0x1234_5678_9abc));
        assert_eq!((answer.response.pa, answer.cycles()), (0x5678_9abc, h + 1));
    });
}

#[test]
fn an_stlb_hit_takes_h_plus_s_plus_2_cycles() {
    for_each(small, |bench, port, h, s, _| {
        let other = if port == FETCH { DATA } else { FETCH };
        bench.ask(other, request(other, VA));
        assert_eq!(bench.ask(port, request(port, VA)).cycles(), h + s + 2);
    });
}

#[test]
fn a_walk_of_n_reads_takes_h_plus_s_plus_5_cycles_and_m_plus_2_for_each() {
    for_each(small, |bench, port, h, s, m| {
        let cycles = |n: u64| h + s + 5 + n * (m + 2);
        assert_eq!(bench.ask(port, request(port, VA)).cycles(), cycles(4));
        for (page, n) in [(VA ^ 0x1000, 1), (VA ^ 0x20_0000, 2), (VA ^ 0x4000_0000, 3)] {
            bench.map(page, PageSize::Size4K, PAGE | ALL);
            assert_eq!(
                bench.ask(port, request(port, page)).cycles(),
                cycles(n),
                "{n} reads"
            );
        }
    });
}

#[test]
fn a_walk_that_ends_at_a_large_page_reads_fewer_entries() {
    for_each(small_without_psc, |bench, port, h, s, m| {
        for (size, n) in [(PageSize::Size2M, 3), (PageSize::Size1G, 2)] {
            let page = VA ^ size.bytes();
            bench.map(page, size, 0x4000_0000 | ALL);
            let answer = bench.ask(port, request(port, page));
            assert_eq!(answer.cycles(), h + s + 5 + n * (m + 2), "{size}");
        }
    });
}

#[test]
fn each_compare_and_set_of_a_walk_takes_m_plus_2_cycles() {
    for_each(small, |bench, port, h, s, m| {
        for level in 1..=4 {
            let at = bench.entry_at(VA, level);
            bench.store(at, bench.cell(at) & !(A | D));
        }
        let answer = bench.ask(port, request(port, VA));
        assert_eq!(answer.cycles(), h + s + 5 + (4 + 4) * (m + 2));
        assert_eq!(bench.compare_and_sets().len(), 4);
    });
}

#[test]
fn a_walk_after_an_l1_hit_that_is_denied_or_has_d_clear_takes_h_plus_4_cycles_and_m_plus_2_for_each()
 {
    for_each(small, |bench, port, h, _, m| {
        // Denied: a supervisor page, which a supervisor brought in. From CR3, so all entries are read.
        let page = VA ^ 0x1000;
        bench.map(page, PageSize::Size4K, PAGE | ALL & !US);
        let mut supervisor = request(port, page);
        supervisor.access.cpl = 0;
        bench.ask(port, supervisor);
        let answer = bench.ask(port, request(port, page));
        assert_eq!(
            (answer.response.status, answer.cycles()),
            (1, h + 4 + 4 * (m + 2))
        );
        if port == DATA {
            // D clear: from the PDE's cache, one read and one compare-and-set.
            let page = VA ^ 0x2000;
            bench.map(page, PageSize::Size4K, PAGE | ALL & !D);
            bench.ask(port, read(page));
            let answer = bench.ask(port, write(page));
            assert_eq!(
                (answer.response.status, answer.cycles()),
                (0, h + 4 + 2 * (m + 2))
            );
        }
    });
}

#[test]
fn a_walk_after_an_stlb_hit_that_is_denied_or_has_d_clear_takes_as_long_as_after_a_miss() {
    for_each(small, |bench, port, h, s, m| {
        let other = if port == FETCH { DATA } else { FETCH };
        let page = VA ^ 0x1000;
        bench.map(page, PageSize::Size4K, PAGE | ALL & !(US | D));
        let supervisor = |port| {
            let mut request = request(port, page);
            request.access.cpl = 0;
            request
        };
        bench.ask(other, supervisor(other));
        bench.forget();
        let answer = bench.ask(port, request(port, page));
        assert_eq!(
            (answer.response.status, answer.cycles()),
            (1, h + s + 5 + 4 * (m + 2))
        );
        assert_eq!(bench.codes(port), (vec![4], vec![5]));
        if port == DATA {
            bench.ask(other, supervisor(other));
            bench.forget();
            let mut store = supervisor(port);
            store.access.kind = crate::arch::AccessKind::Write;
            let answer = bench.ask(port, store);
            assert_eq!(
                (answer.response.status, answer.cycles()),
                (0, h + s + 5 + 2 * (m + 2))
            );
            assert_eq!(bench.codes(port), (vec![4], vec![6]));
        }
    });
}

#[test]
fn a_restart_adds_1_cycle_and_m_plus_2_for_each_access_before_it() {
    for_each(small, |bench, port, h, s, m| {
        bench.ask(port, request(port, VA));
        // A table one level down from the cached PDE, then a second walk that is not present.
        let page = VA ^ 0x1000;
        let answer = bench.ask(port, request(port, page));
        assert_eq!(answer.response.status, 1);
        assert_eq!(answer.cycles(), h + s + 5 + 4 * (m + 2) + 1 + (m + 2));
        // From the cached PDPTE: a PDE read, its A set, a PTE that is not present.
        let page = VA ^ 0x20_0000;
        bench.map(page, PageSize::Size4K, 0);
        bench.ask(port, request(port, VA ^ 0x40_0000));
        bench.ask(port, request(port, VA ^ 0x5000));
        let pde = bench.entry_at(page, 2);
        bench.map(VA ^ 0x60_0000, PageSize::Size4K, PAGE | ALL);
        bench.ask(port, request(port, VA ^ 0x60_0000));
        bench.store(pde, bench.cell(pde) & !A);
        bench.forget();
        let answer = bench.ask(port, request(port, page));
        assert_eq!(bench.walks(), [(1, 3, 0), (2, 0, 0), (4, 0, 0)]);
        assert_eq!(bench.compare_and_sets().len(), 1);
        assert_eq!(
            answer.cycles(),
            h + s + 5 + 4 * (m + 2) + 1 + (2 + 1) * (m + 2)
        );
    });
}

#[test]
fn a_bus_error_takes_as_long_as_any_walk() {
    for_each(small_without_psc, |bench, port, h, s, m| {
        let pde = bench.entry_at(VA, 2);
        bench.store(pde, 1 << 41 | ALL);
        let answer = bench.ask(port, request(port, VA));
        assert_eq!(
            (answer.response.status, answer.cycles()),
            (3, h + s + 5 + 4 * (m + 2))
        );
    });
}

#[test]
fn five_levels_take_one_read_more() {
    for latencies in LATENCIES {
        let (_, h, s, m) = latencies;
        let mut bench = Bench::off(&machine(small_without_psc(), latencies));
        bench.enable(crate::arch::registers::cr4::PAE | crate::arch::registers::cr4::LA57);
        let va = 0x12_3456_789a_b000;
        bench.map(va, PageSize::Size4K, PAGE | ALL);
        let answer = bench.ask(DATA, read(va));
        assert_eq!(answer.response.status, 0);
        assert_eq!(answer.cycles(), u64::from(h + s + 5 + 5 * (m + 2)));
    }
}
