//! What overlaps in the RTL, alone: merging, RETRY, refusals, two walkers, two data ports, in cycles that follow from the contract by hand.
//!
//! Contract: sections 6 to 8 and 12. SDM: none of its own. Counterpart: none; the model's own tests are in `src/model/`.

#![cfg(feature = "rtl")]

use crate::rtl_support::*;
use twinwalk::cosim::library::Recipe;
use twinwalk::model::mmu_pkg::*;

fn bench(latency: u64) -> Bench {
    Bench::new(&small(), &recipe(&small()), latency)
}

#[test]
fn a_request_alone_takes_the_cycles_of_the_table() {
    let mut bench = bench(3);
    // A walk of four reads: H + S + 5 + 4 (M + 2).
    bench.run(40, &[(0, read(1, 7, 5))]);
    assert_eq!(bench.responses(), [(28, 1, 7, 0, pa(5))]);
    // A hit in L1: H + 1.
    bench.clear();
    bench.run(10, &[(0, read(1, 8, 5))]);
    assert_eq!(bench.responses(), [(2, 1, 8, 0, pa(5))]);
    // A hit in the STLB, of the other port: H + S + 2.
    bench.clear();
    bench.run(20, &[(0, read(0, 9, 5))]);
    assert_eq!(bench.responses(), [(5, 0, 9, 0, pa(5))]);
    // A write that hits with D = 0: one read with the PDE cached, one compare-and-set: H + 4 + 2 (M + 2).
    bench.cells.insert(pte(6), pa(6) | (LEAF & !DIRTY));
    bench.warm(&[read(1, 1, 6)]);
    bench.run(40, &[(0, write(1, 2, 6))]);
    assert_eq!(bench.responses(), [(15, 1, 2, 0, pa(6))]);
    assert_eq!(bench.cells[&pte(6)], pa(6) | LEAF);
    // Not present: one read by the PDE cache, the restart's 1 + (M + 2), and four reads of the walk that may fault.
    bench.cells.insert(pte(9), 0);
    bench.clear();
    bench.run(60, &[(0, read(1, 3, 9))]);
    assert_eq!(
        bench.responses(),
        [(28 + 1 + 5, 1, 3, STATUS_PAGE_FAULT, 0)]
    );
}

#[test]
fn a_request_that_misses_the_same_page_waits_and_is_answered_two_cycles_after_the_end() {
    let mut bench = bench(3);
    bench.run(40, &[(0, read(1, 1, 5)), (1, read(1, 2, 5))]);
    // The primary's DONE commits in 27.
    assert_eq!(
        bench.responses(),
        [(28, 1, 1, 0, pa(5)), (29, 1, 2, 0, pa(5))]
    );
    assert_eq!(
        bench.lookups(1),
        [
            (1, LOOKUP_MISS, 0, 0),
            (2, LOOKUP_MERGED, 1, 0),
            (28, LOOKUP_HIT_4K, 1, 1)
        ]
    );
    // WAITING on entry 0: port 1, id 2.
    assert_eq!(bench.log[3].queues.miss[1], 5 | 1 << 3 | 2 << 5);
    // RETRY, then FREE.
    assert_eq!(bench.log[28].queues.miss[1], 6 | 1 << 3 | 2 << 5);
    assert_eq!(bench.log[29].queues.miss, [0; 16]);
}

#[test]
fn ports_merge_in_one_cycle_but_look_up_their_own_level_again() {
    let mut bench = bench(3);
    bench.run(60, &[(0, read(0, 1, 5)), (0, read(1, 2, 5))]);
    assert_eq!(bench.lookups(0), [(1, LOOKUP_MISS, 0, 0)]);
    // Only the ITLB was filled: port 1 misses again, finds the page in the STLB, and is answered S + 2 cycles after that look-up (28).
    assert_eq!(
        bench.lookups(1),
        [(1, LOOKUP_MERGED, 1, 0), (28, LOOKUP_MISS, 1, 1)]
    );
    assert_eq!(
        bench.responses(),
        [(28, 0, 1, 0, pa(5)), (32, 1, 2, 0, pa(5))]
    );
}

#[test]
fn a_hit_is_answered_under_a_miss() {
    let mut bench = bench(3);
    bench.warm(&[read(1, 1, 4)]);
    bench.run(
        40,
        &[(0, read(1, 1, 5)), (1, read(1, 2, 4)), (2, read(1, 3, 4))],
    );
    // The PDE is cached: one read.
    assert_eq!(
        bench.responses(),
        [
            (3, 1, 2, 0, pa(4)),
            (4, 1, 3, 0, pa(4)),
            (13, 1, 1, 0, pa(5))
        ]
    );
}

#[test]
fn two_walkers_walk_at_once_and_one_after_the_other() {
    let offers = [(0, read(1, 1, 5)), (1, read(1, 2, 6))];
    let mut both = bench(10);
    both.warm(&[read(1, 1, 4)]);
    both.run(60, &offers);
    assert_eq!(
        both.responses(),
        [(20, 1, 1, 0, pa(5)), (21, 1, 2, 0, pa(6))]
    );
    assert_eq!(both.ops(), [(6, 0, 1), (7, 1, 1), (19, 0, 3), (20, 1, 3)]);
    assert_eq!(both.log[8].memory.req_id, 1);

    let mut config = small();
    config.walkers.count = 1;
    let mut one = Bench::new(&config, &recipe(&config), 10);
    one.warm(&[read(1, 1, 4)]);
    one.run(60, &offers);
    assert_eq!(
        one.responses(),
        [(20, 1, 1, 0, pa(5)), (35, 1, 2, 0, pa(6))]
    );
}

#[test]
fn walks_that_want_to_commit_in_one_cycle_take_turns() {
    let mut bench = bench(3);
    bench.warm(&[read(1, 1, 4), read(0, 1, 4)]);
    // Port 0 first, and the STLB in order: results due in 4 and 5, walks one cycle apart. The second result (5) and START of walker 0 (6)
    // do not meet; nothing has to wait.
    bench.run(40, &[(0, read(0, 1, 5)), (0, read(1, 2, 6))]);
    assert_eq!(bench.ops(), [(6, 0, 1), (7, 1, 1), (12, 0, 3), (13, 1, 3)]);
    // A third request whose look-up in the STLB is due when DONE commits (12) has to wait, and its result may then go before all.
    bench.clear();
    bench.run(
        60,
        &[(0, read(0, 1, 7)), (0, read(1, 2, 8)), (10, read(1, 3, 10))],
    );
    assert_eq!(bench.lookups(1)[1], (11, LOOKUP_MISS, 2, 0));
    let looked_up: Vec<u64> = (0..)
        .zip(&bench.log)
        .filter(|(_, o)| o.monitor.stlb_lookup != 0)
        .map(|(cycle, _): (u64, _)| cycle)
        .collect();
    // DONE of walker 0 performs in 12: the look-up is passed over; DONE of walker 1, ready in 13, gives way to it and commits in 14.
    assert_eq!(looked_up, [2, 3, 13]);
    let done: Vec<_> = bench.ops().into_iter().filter(|op| op.2 == 3).collect();
    assert_eq!(done[..2], [(12, 0, 3), (14, 1, 3)]);
}

#[test]
fn a_full_queue_refuses_and_serves_the_refused_port_first() {
    let mut config = small();
    config.ports.data_ports = 2;
    config.miss_queue.entries = 1;
    let mut bench = Bench::new(&config, &recipe(&config), 3);
    bench.run(
        140,
        &[
            (0, read(0, 1, 5)),
            (0, read(1, 2, 6)),
            (0, read(2, 3, 7)),
            (1, read(0, 4, 8)),
        ],
    );
    // Port 0 takes the entry in 1 (DONE in 27), and port 1, the first that was refused, in 28, though port 0 asks in every cycle from 2 on.
    assert_eq!(bench.lookups(1), [(28, LOOKUP_MISS, 0, 0)]);
    // With the PDE cached a walk is DONE 11 cycles after the look-up. In 39 that of port 1 fills the DTLB: port 2, refused in 28 and first since,
    // is not looked up, and only port 0 is refused. That does not take its turn from port 2, which comes in 40.
    assert_eq!(bench.lookups(2), [(40, LOOKUP_MISS, 0, 0)]);
    assert_eq!(
        bench.lookups(0),
        [(1, LOOKUP_MISS, 0, 0), (52, LOOKUP_MISS, 0, 0)]
    );
    assert_eq!(
        bench.responses(),
        [
            (28, 0, 1, 0, pa(5)),
            (40, 1, 2, 0, pa(6)),
            (52, 2, 3, 0, pa(7)),
            (64, 0, 4, 0, pa(8))
        ]
    );
}

#[test]
fn a_waiter_inherits_no_fault_and_walks_itself() {
    let mut bench = bench(3);
    bench.cells.insert(pte(5), 0);
    bench.run(80, &[(0, read(1, 1, 5)), (1, write(1, 2, 5))]);
    // DONE of the primary in 27, a drop; the waiter looks up in 28 and takes as long as the primary did after its look-up in 1.
    assert_eq!(
        bench.lookups(1),
        [
            (1, LOOKUP_MISS, 0, 0),
            (2, LOOKUP_MERGED, 1, 0),
            (28, LOOKUP_MISS, 1, 1)
        ]
    );
    assert_eq!(
        bench.responses(),
        [
            (28, 1, 1, STATUS_PAGE_FAULT, 0),
            (55, 1, 2, STATUS_PAGE_FAULT, 0)
        ]
    );
    assert_eq!(bench.log[55].ports[1].resp_error_code, 2);
}

#[test]
fn an_invalidation_while_a_request_waits_takes_the_fill_and_the_waiter_walks_itself() {
    let mut bench = bench(3);
    bench.run(10, &[(0, read(1, 1, 5)), (1, read(1, 2, 5))]);
    bench.control = Some((CTRL_INVLPG, 5 << 12));
    bench.run(80, &[]);
    // Accepted in 10, performs in 11; the right is gone from 12 on.
    let right = |cycle: usize| bench.log[cycle].queues.miss[0] >> 13 & 1;
    assert_eq!((right(11), right(12)), (1, 0));
    assert_eq!(
        bench.walks()[1].2,
        WalkEvent {
            op: WALK_TRANSLATED,
            port: 1,
            ..WalkEvent::ZERO
        }
    );
    assert_eq!(bench.log[27].monitor.tlb, [ArrayEvent::ZERO; TLB_ARRAYS]);
    // The waiter: look-up in 28, and again the whole walk, which fills.
    assert_eq!(
        bench.responses(),
        [(28, 1, 1, 0, pa(5)), (55, 1, 2, 0, pa(5))]
    );
    assert_eq!(bench.log[54].monitor.walk[0].filled, 1);
    // A request that comes after the invalidation does not merge with what began before it.
    bench.clear();
    bench.run(3, &[(0, read(1, 1, 6))]);
    bench.control = Some((CTRL_INVLPG, 6 << 12));
    bench.run(40, &[(7, read(1, 2, 6))]);
    assert_eq!(bench.lookups(1)[1], (8, LOOKUP_MISS, 1, 0));
}

#[test]
fn two_data_ports_look_up_one_level_at_once() {
    let mut config = small();
    config.ports.data_ports = 2;
    let mut bench = Bench::new(&config, &recipe(&config), 3);
    bench.warm(&[read(1, 1, 4), read(2, 1, 6)]);
    // Both in one set, page 4 touched first: then page 6 is the most recent, and a fill takes the way of page 4.
    bench.run(10, &[(0, read(1, 1, 4)), (0, read(2, 2, 6))]);
    assert_eq!(
        bench.responses(),
        [(2, 1, 1, 0, pa(4)), (2, 2, 2, 0, pa(6))]
    );
    bench.clear();
    bench.run(40, &[(0, read(1, 1, 8))]);
    let fill = bench.log[12].monitor.tlb[4];
    assert_eq!((fill.op, fill.victim_tag), (ARRAY_FILL, 4));
    // The other way about.
    bench.warm(&[read(2, 1, 4)]);
    bench.run(10, &[(0, read(1, 1, 8)), (0, read(2, 2, 4))]);
    bench.clear();
    bench.run(40, &[(0, read(2, 1, 6))]);
    let fills: Vec<_> = bench
        .log
        .iter()
        .map(|o| o.monitor.tlb[4])
        .filter(|event| event.op == ARRAY_FILL)
        .collect();
    assert_eq!(fills[0].victim_tag, 8);
    // A fill for port 1 holds port 2 up for its cycle: DONE in 12, the hit of port 2 in 13 instead of 12.
    bench.clear();
    bench.run(40, &[(0, read(1, 1, 20)), (11, read(2, 2, 6))]);
    assert_eq!(bench.lookups(2), [(13, LOOKUP_HIT_4K, 0, 0)]);
}

/// A request of the fetch port is looked up in 27, in which the DONE of the data port's walk of the same page commits.
fn meet_the_end_of_a_walk(recipe: &Recipe) -> Bench {
    let mut bench = Bench::new(&small(), recipe, 3);
    for cycle in 0..60 {
        match cycle {
            0 => bench.tick(&[read(1, 1, 5)]),
            26 => bench.tick(&[read(0, 2, 5)]),
            _ => bench.tick(&[]),
        };
    }
    bench
}

#[test]
fn no_request_merges_with_one_that_ends_in_that_cycle() {
    let bench = meet_the_end_of_a_walk(&recipe(&small()));
    bench.no_assertion_failed();
    assert_eq!(bench.lookups(0), [(27, LOOKUP_MISS, 1, 0)]);
    // It finds the page in the STLB: H + S + 2 from its acceptance.
    assert_eq!(
        bench.responses(),
        [(28, 1, 1, 0, pa(5)), (31, 0, 2, 0, pa(5))]
    );
    let mut broken = recipe(&small());
    broken
        .patch(
            "miss_queue.sv",
            "if (commit_i.frees) accepting[commit_entry] = 1'b0;",
            "",
        )
        .expect("the passage is there once");
    let bench = meet_the_end_of_a_walk(&broken);
    let failures = bench.rtl.errors();
    assert!(
        failures[0]
            .text
            .contains("the_primary_of_a_waiting_entry_is_neither_free_nor_waiting"),
        "{failures:?}"
    );
}
