//! Contract 6 to 8 where requests meet: merging, retries, a full queue, walkers side by side, the prefetch. Cycles by hand from section 12.

use super::bench::*;
use crate::arch::PageSize;
use crate::config::Config;
use crate::model::miss_queue::MissQueue;
use crate::model::mmu_pkg::{Outputs, PortIn};
use crate::model::{Operation, Request};

const VA: u64 = 0x40_0000;
const FRAME: u64 = 0x8000_0000;

/// Two data ports, two walkers, no paging-structure caches, memory of one cycle.
fn wide() -> Config {
    let mut config = small_without_psc();
    config.ports.data_ports = 2;
    config.walkers.count = 2;
    config
}

fn with_id(request: Request, id: u8) -> Request {
    Request { id, ..request }
}

/// Presents each request at its port in the present cycle, and goes on for so many cycles. The first cycle.
fn at_once(bench: &mut Bench, requests: &[(usize, Request)], cycles: u64) -> u64 {
    let from = bench.mmu.now();
    let mut ports = [PortIn::default(); 3];
    for (port, request) in requests {
        ports[*port] = request.presented();
    }
    bench.tick(ports);
    bench.idle(cycles);
    from
}

/// (cycle, id) of the answers.
fn answers(bench: &Bench) -> Vec<(u64, u8)> {
    let shown = |outputs: &Outputs| {
        outputs
            .ports
            .iter()
            .find(|port| port.resp_valid != 0)
            .copied()
    };
    let seen = bench.seen(shown);
    seen.into_iter()
        .map(|(cycle, port)| (cycle, port.resp_id))
        .collect()
}

#[test]
fn a_merged_miss_is_answered_two_cycles_after_its_primary_became_free() {
    let mut bench = Bench::on(&wide());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let both = [(1, with_id(read(VA), 1)), (2, with_id(read(VA + 8), 2))];
    let from = at_once(&mut bench, &both, 60);
    // H + S + 5 + 4 (M + 2) = 19 to the first valid cycle, so DONE performs in from + 18 = d.
    assert_eq!(answers(&bench), [(from + 19, 1), (from + 20, 2)]);
    assert_eq!(bench.codes(1).0, [4]);
    assert_eq!(bench.codes(2).0, [8, 1]);
    assert_eq!(bench.reads().len(), 4);
    let s = bench.mmu.statistics();
    assert_eq!((s.dtlb.merged, s.dtlb.retries, s.walks.started), (1, 1, 1));
}

#[test]
fn misses_of_two_pages_walk_side_by_side_and_commit_one_after_the_other() {
    let mut bench = Bench::on(&wide());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA + 0x1000, PageSize::Size4K, FRAME | ALL);
    let both = [
        (1, with_id(read(VA), 1)),
        (2, with_id(read(VA + 0x1000), 2)),
    ];
    let from = at_once(&mut bench, &both, 60);
    // The second is looked up in the STLB a cycle later, and stays a cycle behind all the way.
    assert_eq!(answers(&bench), [(from + 19, 1), (from + 20, 2)]);
    assert!(bench.mmu.statistics().walks.parallel_cycles > 10);
}

#[test]
fn a_port_that_is_refused_is_served_first_from_then_on() {
    let mut config = wide();
    config.miss_queue.entries = 1;
    let mut bench = Bench::on(&config);
    for page in 0..3 {
        bench.map(VA + 0x1000 * page, PageSize::Size4K, FRAME | ALL);
    }
    let requests = [
        (1, with_id(read(VA), 1)),
        (2, with_id(read(VA + 0x1000), 2)),
    ];
    let from = at_once(&mut bench, &requests, 2);
    // The entry is free again from d + 1 on: the second takes it there, as if accepted H cycles before.
    let mut ports = [PortIn::default(); 3];
    ports[1] = with_id(read(VA + 0x2000), 3).presented();
    bench.tick(ports);
    bench.idle(80);
    let expected = [(from + 19, 1), (from + 37, 2), (from + 55, 3)];
    assert_eq!(answers(&bench), expected);
    assert!(!bench.mmu.miss_queue.owed());
    assert_eq!(bench.mmu.statistics().miss_queue.full, 3);
}

#[test]
fn three_ports_that_always_miss_share_the_only_entry_evenly() {
    let mut config = wide();
    config.miss_queue.entries = 1;
    let mut bench = Bench::on(&config);
    for page in 0..64 {
        bench.map(VA + 0x1000 * page, PageSize::Size4K, FRAME | ALL);
    }
    let (mut page, mut answers) = (0, [0u32; 3]);
    for _ in 0..4000 {
        let mut ports = [PortIn::default(); 3];
        for (number, port) in ports.iter_mut().enumerate() {
            // Far more pages than any array holds, and each port at a place of its own.
            let va = VA + 0x1000 * ((page + 21 * number as u64) % 64);
            *port = if number == 0 { fetch(va) } else { read(va) }.presented();
        }
        page += 1;
        let outputs = bench.tick(ports);
        for (answers, port) in answers.iter_mut().zip(&outputs.ports) {
            *answers += u32::from(port.resp_valid);
        }
    }
    let least = answers.iter().min().unwrap();
    let most = answers.iter().max().unwrap();
    assert!(*least > 50 && most - least <= 2, "{answers:?}");
}

#[test]
fn a_port_that_is_owed_its_turn_keeps_it_whoever_else_is_refused_meanwhile() {
    let mut queue = MissQueue::new(1);
    queue.pass_turn(0b001, 0b110);
    assert_eq!(
        (queue.owed(), queue.service_order(3).next()),
        (true, Some(1))
    );
    // Held up, or refused again, or one of its port in RETRY came first.
    queue.pass_turn(0b100, 0b001);
    assert_eq!(
        (queue.owed(), queue.service_order(3).next()),
        (true, Some(1))
    );
    queue.pass_turn(0b010, 0b101);
    assert_eq!(
        (queue.owed(), queue.service_order(3).next()),
        (true, Some(2))
    );
    queue.pass_turn(0b100, 0);
    assert_eq!(
        (queue.owed(), queue.service_order(3).next()),
        (false, Some(2))
    );
}

#[test]
fn an_invlpg_while_a_request_waits_sends_it_to_walk_by_itself() {
    let mut bench = Bench::on(&wide());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let both = [(1, with_id(read(VA), 1)), (2, with_id(read(VA), 2))];
    at_once(&mut bench, &both, 6);
    bench.control = Operation::new(4, 0x1000).presented();
    bench.idle(1);
    bench.control.valid = 0;
    bench.idle(80);
    // The primary answers without a fill, so the one that waited misses again.
    assert_eq!(bench.codes(2).0, [8, 4]);
    let filled: Vec<u8> = bench
        .seen(|outputs| {
            outputs
                .monitor
                .walk
                .iter()
                .find(|walk| walk.op == 3)
                .copied()
        })
        .into_iter()
        .map(|(_, walk)| walk.filled)
        .collect();
    assert_eq!(filled, [0, 1]);
}

#[test]
fn the_page_after_one_that_was_walked_is_prefetched_into_the_stlb() {
    let mut config = wide();
    config.prefetch.next_page = true;
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA + 0x1000, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    bench.idle(40);
    bench.forget();
    let answer = bench.ask(DATA, read(VA + 0x1000));
    assert_eq!(bench.codes(DATA), (vec![4], vec![1]));
    // H + S + 2.
    assert_eq!(answer.cycles(), 4);
    let prefetches = bench.mmu.statistics().prefetches;
    assert_eq!(
        (prefetches.triggered, prefetches.walked, prefetches.filled),
        (1, 1, 1)
    );
}

#[test]
fn a_prefetch_that_meets_a_clear_accessed_bit_stops_and_sets_nothing() {
    let mut config = wide();
    config.prefetch.next_page = true;
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA + 0x1000, PageSize::Size4K, FRAME | (ALL & !A));
    bench.ask(DATA, read(VA));
    bench.idle(40);
    let prefetches = bench.mmu.statistics().prefetches;
    assert_eq!((prefetches.stopped, prefetches.filled), (1, 0));
    assert!(bench.compare_and_sets().is_empty());
}
