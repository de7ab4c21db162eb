//! Contract 5 to 7: queues, look-ups in the first level and in the STLB.

use super::bench::*;
use crate::arch::registers::cr4;
use crate::arch::{AccessKind, PageSize};
use crate::config::TlbSpec;
use crate::model::mmu_pkg::PortIn;
use crate::model::{Operation, Request, Response};

const VA: u64 = 0x40_0000;
const FRAME: u64 = 0x8000_0000;

#[test]
fn the_smallest_page_size_that_matches_counts() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size2M, FRAME | ALL & !D);
    assert_eq!(bench.ask(DATA, read(VA + 0x123)).response.page_size, 1);
    // The same address by a 4 KiB page now, of which the TLBs learn by a write that finds D clear.
    let pde = bench.entry_at(VA, 2);
    bench.store(pde, 0);
    bench.map(VA, PageSize::Size4K, 0x7000 | ALL);
    bench.forget();
    assert_eq!(bench.ask(DATA, write(VA)).response.pa, 0x7000);
    let answer = bench.ask(DATA, read(VA + 0x123));
    assert_eq!((answer.response.pa, answer.response.page_size), (0x7123, 0));
    assert_eq!(bench.codes(DATA).0, [6, 1]);
    // Beside it the page of 2 MiB still matches.
    assert_eq!(
        bench.ask(DATA, read(VA + 0x1123)).response.pa,
        FRAME + 0x1123
    );
    assert_eq!(bench.codes(DATA).0, [6, 1, 2]);
}

#[test]
fn the_physical_address_joins_the_frame_with_the_low_bits_of_the_address() {
    for (size, offset) in [
        (PageSize::Size4K, 0xabc),
        (PageSize::Size2M, 0x1f_eabc),
        (PageSize::Size1G, 0x3fff_eabc),
    ] {
        for memory_type in 0..8u64 {
            let mut bench = Bench::on(&small());
            let pat = if size == PageSize::Size4K { 7 } else { 12 };
            let bits = (memory_type & 3) << 3 | (memory_type >> 2) << pat;
            bench.map(0, size, FRAME | ALL | bits);
            for _ in 0..2 {
                let response = bench.ask(DATA, read(offset)).response;
                assert_eq!(response.pa, FRAME + offset);
                assert_eq!(response.page_size, size as u8);
                assert_eq!(u64::from(response.memory_type), memory_type);
            }
        }
    }
}

#[test]
fn a_write_that_hits_with_dirty_clear_walks_again() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL & !D);
    bench.ask(DATA, read(VA));
    bench.ask(DATA, write(VA));
    bench.ask(DATA, write(VA));
    assert_eq!(bench.codes(DATA), (vec![4, 6, 1], vec![4]));
    let pte = bench.entry_at(VA, 1);
    assert_eq!(
        bench.compare_and_sets(),
        [(pte, FRAME | ALL & !D, FRAME | ALL)]
    );
    // The entry with D clear made way for the one with D set, in the same way of the set.
    let fills = bench.seen(|outputs| Some(outputs.monitor.tlb[4]).filter(|event| event.op == 1));
    let (first, second) = (fills[0].1, fills[1].1);
    assert_eq!((second.way, second.removed), (first.way, 1 << first.way));
    assert_eq!(
        (second.victim_tag, second.victim_data),
        (first.tag, first.data)
    );
    assert_eq!(second.data, first.data | 1 << 43);
}

#[test]
fn a_denied_hit_faults_only_if_the_tables_say_so_too() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL & !RW);
    bench.ask(DATA, read(VA));
    let answer = bench.ask(DATA, write(VA));
    assert_eq!(
        (answer.response.status, answer.response.error_code),
        (1, 0b111)
    );
    bench.ask(DATA, read(VA));
    // Rights raised, and nothing invalidated: no spurious fault.
    let pte = bench.entry_at(VA, 1);
    bench.store(pte, FRAME | ALL);
    bench.forget();
    assert_eq!(bench.ask(DATA, write(VA)).response.status, 0);
    assert_eq!(
        (bench.codes(DATA).0, bench.walks()),
        (vec![5], vec![(1, 0, 0), (3, 0, 1)])
    );
}

#[test]
fn a_denied_hit_drops_what_it_used_from_every_array() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL & !RW);
    bench.ask(FETCH, fetch(VA));
    bench.ask(DATA, read(VA));
    bench.forget();
    bench.ask(DATA, write(VA));
    let removed = bench.seen(|outputs| {
        let mask: Vec<usize> = (0..12)
            .filter(|array| outputs.monitor.tlb[*array].op == 2)
            .collect();
        (!mask.is_empty()).then_some(mask)
    });
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].1, [0, 4, 8]);
}

#[test]
fn entries_of_another_pcid_do_not_match_unless_they_are_global() {
    for (global, codes) in [(0, vec![4, 4, 1]), (G, vec![4, 1, 1])] {
        let mut bench = Bench::off(&small());
        bench.enable(cr4::PAE | cr4::PGE | cr4::PCIDE);
        bench.map(VA, PageSize::Size4K, FRAME | ALL | global);
        for pcid in [1, 2, 1] {
            assert!(!bench.operate(Operation::new(1, ROOT | pcid | 1 << 63)));
            bench.ask(DATA, read(VA));
        }
        assert_eq!(bench.codes(DATA).0, codes);
    }
}

#[test]
fn a_page_is_global_only_if_pge_was_set_when_it_was_filled() {
    let mut bench = Bench::off(&small());
    bench.enable(cr4::PAE | cr4::PCIDE);
    bench.map(VA, PageSize::Size4K, FRAME | ALL | G);
    for pcid in [1, 2] {
        bench.operate(Operation::new(1, ROOT | pcid | 1 << 63));
        bench.ask(DATA, read(VA));
    }
    assert_eq!(bench.codes(DATA).0, [4, 4]);
}

#[test]
fn a_level_without_an_array_for_a_page_size_neither_looks_it_up_nor_fills_it() {
    let mut config = small();
    config.dtlb = TlbSpec::new(1, [(2, 0), (1, 0), (1, 2)]);
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size2M, FRAME | ALL);
    for _ in 0..3 {
        bench.ask(DATA, read(VA));
    }
    assert_eq!(bench.codes(DATA), (vec![4, 4, 4], vec![4, 2, 2]));
    let fills = bench.seen(|outputs| (outputs.monitor.tlb[4].op == 1).then_some(()));
    assert!(fills.is_empty());
}

#[test]
fn without_any_array_every_request_walks() {
    let mut config = small();
    let none = TlbSpec::new(1, [(1, 0), (1, 0), (1, 0)]);
    [config.itlb, config.dtlb, config.stlb] = [none.clone(), none.clone(), none];
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    for _ in 0..3 {
        assert_eq!(bench.ask(DATA, read(VA)).response.pa, FRAME);
    }
    assert_eq!(bench.codes(DATA), (vec![4, 4, 4], vec![4, 4, 4]));
}

/// Presents `requests` at a port as fast as it takes them; (cycle of accept or response, request or response).
fn stream(
    bench: &mut Bench,
    port: usize,
    requests: &[Request],
) -> (Vec<u64>, Vec<(u64, Response)>) {
    let (mut accepted, mut responses) = (Vec::new(), Vec::new());
    while responses.len() < requests.len() {
        let mut ports = [PortIn::default(); 3];
        if let Some(next) = requests.get(accepted.len()) {
            ports[port] = next.presented();
        }
        let cycle = bench.mmu.now();
        let outputs = bench.tick(ports);
        if ports[port].req_valid != 0 && outputs.ports[port].req_ready != 0 {
            accepted.push(cycle);
        }
        if outputs.ports[port].resp_valid != 0 {
            responses.push((cycle, Response::shown(&outputs.ports[port])));
        }
    }
    (accepted, responses)
}

#[test]
fn hits_are_answered_one_a_cycle() {
    let mut config = small();
    config.dtlb.hit_latency_cycles = 3;
    config.ports.queue_entries = 16;
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    let (accepted, responses) = stream(&mut bench, DATA, &[read(VA); 30]);
    let first = accepted[0];
    for number in 0..30 {
        assert_eq!(accepted[number], first + number as u64);
        assert_eq!(responses[number].0, first + number as u64 + 4);
    }
}

#[test]
fn a_port_accepts_as_many_requests_as_its_queue_has_entries_and_then_waits_for_a_response() {
    for entries in [1, 2, 16] {
        let mut config = small();
        config.ports.queue_entries = entries;
        let mut bench = Bench::on(&config);
        bench.map(VA, PageSize::Size4K, FRAME | ALL);
        let (accepted, responses) = stream(&mut bench, DATA, &[read(VA); 18]);
        let entries = entries as usize;
        let in_a_row = accepted
            .windows(2)
            .take_while(|pair| pair[1] == pair[0] + 1)
            .count()
            + 1;
        assert_eq!(in_a_row, entries);
        assert_eq!(accepted[entries], responses[0].0 + 1);
    }
}

#[test]
fn a_hit_behind_a_miss_of_its_port_is_answered_before_it() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA + 0x1000, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    bench.forget();
    let mut ports = [PortIn::default(); 3];
    let mut missing = read(VA + 0x1000);
    missing.id = 9;
    ports[DATA] = missing.presented();
    let from = bench.mmu.now();
    bench.tick(ports);
    ports[DATA] = read(VA).presented();
    bench.tick(ports);
    bench.idle(30);
    let answers = bench.seen(|outputs| {
        (outputs.ports[DATA].resp_valid != 0).then_some(outputs.ports[DATA].resp_id)
    });
    // Hit: accept in from + 1, and 2 cycles. Miss: the walk of one entry, from the PDE that is cached, with M = 1: H + S + 5 + 3.
    assert_eq!(answers, [(from + 3, 1), (from + 10, 9)]);
}

#[test]
fn the_stlb_looks_up_in_cyclic_order_of_the_entries_and_answers_one_result_a_cycle() {
    let mut config = small();
    config.stlb.hit_latency_cycles = 4;
    for last in [FETCH, DATA] {
        let mut bench = Bench::on(&config);
        for page in 0..2 {
            bench.map(VA + 0x1000 * page, PageSize::Size4K, FRAME | ALL);
        }
        let mut first = [(FETCH, fetch(VA)), (DATA, read(VA + 0x1000))];
        if last == FETCH {
            first.reverse();
        }
        for (port, request) in first {
            bench.ask(port, request);
        }
        bench.forget();
        let from = bench.mmu.now();
        let mut ports = [PortIn::default(); 3];
        ports[FETCH] = fetch(VA + 0x1000).presented();
        ports[DATA] = read(VA).presented();
        bench.tick(ports);
        bench.idle(12);
        let look_ups = bench.seen(|outputs| {
            let monitor = &outputs.monitor;
            (monitor.stlb_lookup != 0).then_some((
                monitor.stlb_lookup,
                monitor.stlb_port,
                monitor.stlb_entry,
            ))
        });
        // Either earlier miss was alone and took entry 0, so entry 1 comes first now: that of the data port, which is served second.
        assert_eq!(look_ups, [(from + 2, (1, 1, 1)), (from + 3, (1, 0, 0))]);
        let fills = bench.seen(|outputs| {
            let filled = |array: usize| outputs.monitor.tlb[array].op == 1;
            (filled(0) || filled(4)).then_some((filled(0), filled(4)))
        });
        assert_eq!(
            fills,
            [(from + 6, (false, true)), (from + 7, (true, false))]
        );
    }
}

#[test]
fn an_address_that_is_not_canonical_is_general_protection_and_depends_on_la57() {
    for (la57, first_bad) in [(0, 1u64 << 47), (cr4::LA57, 1 << 56)] {
        let mut bench = Bench::off(&small());
        bench.enable(cr4::PAE | la57);
        for va in [first_bad, !first_bad, 1 << 63] {
            for (port, request) in [(FETCH, fetch(va)), (DATA, write(va))] {
                let response = bench.ask(port, request).response;
                assert_eq!((response.status, response.pa, response.va), (2, 0, 0));
            }
        }
        assert_eq!(bench.codes(DATA).0, [7, 7, 7]);
        assert!(bench.reads().is_empty());
        let below = bench.ask(DATA, read(first_bad - 1)).response;
        assert_eq!((below.status, below.va), (1, first_bad - 1));
    }
}

#[test]
fn with_paging_off_the_lower_32_bits_are_the_physical_address() {
    let mut bench = Bench::off(&small());
    for va in [0, 0xffff_ffff_ffff_ffff, 0x8000_1234_5678_9abc] {
        let response = bench.ask(DATA, write(va)).response;
        assert_eq!((response.status, response.pa), (0, va & 0xffff_ffff));
    }
}

#[test]
fn rights_are_judged_at_each_look_up_and_not_frozen_in_an_entry() {
    let mut bench = Bench::off(&small());
    bench.enable(cr4::PAE | cr4::SMAP | cr4::PKE);
    bench.map(VA, PageSize::Size4K, FRAME | ALL | 2 << 59);
    assert_eq!(bench.ask(DATA, read(VA)).response.status, 0);
    let mut supervisor = read(VA);
    supervisor.access.cpl = 0;
    let answer = bench.ask(DATA, supervisor).response;
    assert_eq!((answer.status, answer.error_code), (1, 0b1));
    supervisor.access.ac = true;
    assert_eq!(bench.ask(DATA, supervisor).response.status, 0);
    let mut keyed = read(VA);
    keyed.access.pkru = 1 << 4;
    let answer = bench.ask(DATA, keyed).response;
    assert_eq!((answer.status, answer.error_code), (1, 0b10_0101));
    keyed.access.kind = AccessKind::Fetch;
    assert_eq!(bench.ask(FETCH, keyed).response.status, 0);
}
