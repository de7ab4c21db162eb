//! Contract 7.6 and 8.1: an STLB that includes the first level, and which entry a free walker takes.

use super::bench::*;
use crate::arch::PageSize::Size4K;
use crate::config::{Config, TlbSpec, WalkerOrder};
use crate::model::Request;
use crate::model::miss_queue::{MissEntry, MissQueue};
use crate::model::mmu_pkg::{Outputs, PortIn};

const VA: u64 = 0x40_0000;
const FRAME: u64 = 0x8000_0000;

/// An STLB of one entry, which includes first levels of four.
fn machine(inclusive: bool) -> Config {
    let mut config = small();
    config.itlb = TlbSpec::new(1, [(1, 4), (1, 0), (1, 0)]);
    config.dtlb = TlbSpec::new(1, [(1, 4), (1, 0), (1, 0)]);
    config.stlb = TlbSpec::new(1, [(1, 1), (1, 0), (1, 0)]);
    config.stlb.inclusive = inclusive;
    config.capabilities.page_1g = false;
    config
}

fn removals(bench: &Bench) -> Vec<(u64, Vec<usize>)> {
    bench.seen(|outputs: &Outputs| {
        let arrays = outputs.monitor.tlb.iter().enumerate();
        let removing = arrays.filter(|(_, event)| event.op == 2);
        let numbers: Vec<usize> = removing.map(|(number, _)| number).collect();
        (!numbers.is_empty()).then_some(numbers)
    })
}

#[test]
fn what_a_fill_displaces_from_the_stlb_leaves_the_first_level_in_the_next_cycle() {
    for inclusive in [false, true] {
        let mut bench = Bench::on(&machine(inclusive));
        for page in 0..2 {
            bench.map(VA + (page << 12), Size4K, FRAME | ALL);
        }
        bench.ask(FETCH, fetch(VA));
        bench.ask(DATA, read(VA));
        bench.forget();
        bench.ask(DATA, read(VA + 0x1000));
        let done = bench.seen(|outputs| (outputs.monitor.walk[0].op == 3).then_some(()));
        let expected = if inclusive {
            vec![(done[0].0 + 1, vec![0, 4])]
        } else {
            Vec::new()
        };
        assert_eq!(removals(&bench), expected);
        bench.forget();
        bench.ask(DATA, read(VA));
        assert_eq!(bench.codes(DATA).0, [if inclusive { 4 } else { 1 }]);
    }
}

#[test]
fn an_entry_with_d_clear_that_a_walk_replaces_is_not_evicted() {
    let mut bench = Bench::on(&machine(true));
    bench.map(VA, Size4K, FRAME | ALL & !D);
    bench.ask(FETCH, fetch(VA));
    bench.ask(DATA, read(VA));
    bench.forget();
    bench.ask(DATA, write(VA));
    bench.idle(5);
    assert!(removals(&bench).is_empty());
    assert!(bench.mmu.tlb[0].occupancy() == 1 && bench.mmu.tlb[4].occupancy() == 1);
}

#[test]
fn a_page_hit_last_is_forgotten_when_it_leaves_the_stlb() {
    let mut slow = Bench::on(&machine(true));
    for page in 0..2 {
        slow.map(VA + (page << 12), Size4K, FRAME | ALL);
    }
    let (mut fast, mut memory) = (slow.mmu.clone(), slow.memory.clone());
    let mut codes = Vec::new();
    for (port, request) in [
        (FETCH, fetch(VA)),
        (FETCH, fetch(VA)),
        (FETCH, fetch(VA)),
        (DATA, read(VA + 0x1000)),
        (FETCH, fetch(VA)),
    ] {
        let now = fast.now();
        let alone = fast.translate_alone(port, &request, &mut memory, now);
        assert_eq!(alone.responded_at, slow.ask(port, request).responded_at);
        codes.push(alone.first_level);
    }
    assert_eq!(codes, [4, 1, 1, 4, 4]);
    assert!(fast == slow.mmu);
}

#[test]
fn nothing_is_looked_up_in_the_first_level_while_the_back_invalidation_performs() {
    let mut bench = Bench::on(&machine(true));
    for page in 0..2 {
        bench.map(VA + (page << 12), Size4K, FRAME | ALL);
    }
    bench.ask(FETCH, fetch(VA));
    let mut tried = bench.clone();
    tried.forget();
    tried.ask(DATA, read(VA + 0x1000));
    let done = tried.seen(|outputs| (outputs.monitor.walk[0].op == 3).then_some(()))[0].0;
    // A fetch that could be looked up in the very cycle after DONE is looked up one later, and misses.
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = read(VA + 0x1000).presented();
    bench.forget();
    bench.tick(ports);
    while bench.mmu.now() < done {
        bench.tick([PortIn::default(); 3]);
    }
    ports = [PortIn::default(); 3];
    ports[FETCH] = fetch(VA).presented();
    bench.tick(ports);
    bench.idle(5);
    let look_up =
        bench.seen(|outputs| Some(outputs.monitor.lookup[FETCH]).filter(|code| *code != 0));
    assert_eq!(look_up[0], (done + 2, 4));
}

#[test]
fn a_result_of_the_stlb_whose_entry_was_evicted_meanwhile_fills_nothing() {
    for inclusive in [false, true] {
        let mut config = machine(inclusive);
        config.stlb.hit_latency_cycles = 40;
        let mut bench = Bench::on(&config);
        for page in 0..2 {
            bench.map(VA + (page << 12), Size4K, FRAME | ALL);
        }
        bench.ask(FETCH, fetch(VA));
        bench.forget();
        let present = |bench: &mut Bench, request: Request| {
            let mut ports = [PortIn::default(); 3];
            ports[DATA] = request.presented();
            bench.tick(ports);
        };
        present(&mut bench, read(VA + 0x1000));
        bench.idle(39);
        // Looked up in the STLB before the walk of the other displaces it there.
        present(&mut bench, read(VA));
        bench.idle(120);
        assert_eq!(bench.codes(DATA), (vec![4, 4], vec![4, 1]));
        let answered = bench.seen(|outputs| (outputs.ports[DATA].resp_valid != 0).then_some(()));
        assert_eq!(answered.len(), 2);
        let held = [0, 4, 8].map(|array| bench.mmu.tlb[array].occupancy());
        assert_eq!(held, if inclusive { [0, 1, 1] } else { [1, 2, 1] });
    }
}

#[test]
fn a_result_of_the_stlb_fills_nothing_if_what_was_evicted_has_its_tag_with_other_data() {
    for inclusive in [false, true] {
        let mut config = machine(inclusive);
        config.stlb.hit_latency_cycles = 60;
        config.prefetch.next_page = true;
        let mut bench = Bench::on(&config);
        bench.map(VA, Size4K, FRAME | ALL & !D);
        bench.map(VA + 0x1000, Size4K, FRAME | ALL);
        // The page of 4 KiB stands in the DTLB and, with the page after it, in the STLB: the last alone. So once more, with nothing after.
        let after = bench.entry_at(VA + 0x1000, 1);
        bench.store(after, 0);
        bench.ask(DATA, read(VA));
        bench.idle(100);
        assert_eq!([4, 8].map(|array| bench.mmu.tlb[array].occupancy()), [1, 1]);
        bench.store(after, FRAME | ALL);
        bench.forget();
        let mut ports = [PortIn::default(); 3];
        ports[FETCH] = fetch(VA).presented();
        bench.tick(ports);
        bench.idle(2);
        // The fetch keeps what it found, D clear. A write sets D, which puts the page's new entry in place of that; and the page after
        // displaces it.
        ports = [PortIn::default(); 3];
        ports[DATA] = write(VA).presented();
        bench.tick(ports);
        bench.idle(120);
        let fills = bench.seen(|outputs| {
            let event = outputs.monitor.tlb[8];
            (event.op == 1).then_some((event.tag & 0xf_ffff, event.victim_data >> 43 & 1))
        });
        let fills: Vec<_> = fills.into_iter().map(|(_, fill)| fill).collect();
        assert_eq!(fills, [(VA >> 12, 0), ((VA >> 12) + 1, 1)]);
        assert_eq!(bench.codes(FETCH), (vec![4], vec![1]));
        let held = [0, 4, 8].map(|array| bench.mmu.tlb[array].occupancy());
        assert_eq!(held, if inclusive { [0, 0, 1] } else { [1, 1, 1] });
    }
}

#[test]
fn a_free_walker_takes_the_entry_that_waits_longest_or_the_next_in_order() {
    let mut queue = MissQueue::new(4);
    for (number, since) in [(0, 9), (1, 7), (3, 7)] {
        queue.set(number, MissEntry::missed(DATA, read(VA), 6, since));
    }
    queue.walk_order.choose(1);
    assert_eq!(queue.next_to_walk(0b1011, WalkerOrder::Cyclic), Some(3));
    assert_eq!(queue.next_to_walk(0b1011, WalkerOrder::Oldest), Some(1));
    assert_eq!(queue.next_to_walk(0b1001, WalkerOrder::Oldest), Some(3));
    assert_eq!(queue.next_to_walk(0b0001, WalkerOrder::Oldest), Some(0));
    assert_eq!(queue.next_to_walk(0, WalkerOrder::Oldest), None);
}
