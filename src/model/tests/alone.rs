//! The fast path against the meaning: the same steps, one at a time, both ways.

use proptest::prelude::*;

use super::bench::*;
use super::random::{self, Paging, Step};
use crate::config::Config;
use crate::model::mmu_pkg::PortIn;
use crate::model::{Memory, Mmu, OneAtATime, Statistics};

/// The rule of the front end, ticked.
fn ticked(config: &Config, memory: Memory) -> Bench {
    let mut bench = Bench::off(config);
    bench.memory = memory;
    bench
}

/// Runs the steps both ways and compares all there is after each.
fn compare(config: &Config, seed: u64, steps: &[Step]) -> Result<Statistics, TestCaseError> {
    let memory = random::memory(config, seed);
    let mut slow = ticked(config, memory.clone());
    let mut fast = OneAtATime::new(config, memory);
    prop_assert_eq!(fast.cycles(), config.sweep_cycles() as u64);
    for step in steps {
        match step {
            Step::Store(address, value) => {
                slow.store(*address, *value);
                fast.store(*address, *value).unwrap();
            }
            Step::Operate(operation) => {
                prop_assert_eq!(slow.operate(*operation), fast.control(operation));
            }
            Step::Ask(port, request) => {
                slow.forget();
                let before = fast.statistics().clone();
                let expected = slow.ask(*port, *request);
                let alone = fast.translate(*port, request);
                prop_assert_eq!(alone.response, expected.response, "{:?}", request);
                prop_assert_eq!(alone.accepted_at, expected.accepted_at);
                prop_assert_eq!(alone.responded_at, expected.responded_at, "{:?}", request);
                let (first, second) = slow.codes(*port);
                prop_assert_eq!(alone.first_level, first[0]);
                prop_assert_eq!(alone.stlb, second.first().copied().unwrap_or(0));
                let (reads, sets) = (slow.reads().len(), slow.compare_and_sets().len());
                prop_assert_eq!(alone.memory_reads as usize, reads);
                prop_assert_eq!(alone.compare_and_sets as usize, sets);
                let walks = &fast.statistics().walks;
                if !config.prefetch.next_page {
                    prop_assert_eq!(walks.memory_reads - before.walks.memory_reads, reads as u64);
                }
            }
        }
        prop_assert_eq!(fast.statistics(), slow.mmu.statistics());
        prop_assert_eq!(fast.statistics(), &slow.observed);
        prop_assert_eq!(fast.performance_counters(), slow.mmu.performance_counters());
        prop_assert!(
            *fast.mmu() == slow.mmu,
            "the machines differ after {:?}",
            step
        );
        if let Err(law) = fast.mmu().check_conservation() {
            return Err(TestCaseError::fail(law));
        }
    }
    prop_assert!(*fast.memory() == slow.memory, "the memories differ");
    Ok(fast.statistics().clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn one_at_a_time_is_in_every_way_the_same_as_ticking(
        config in random::config(),
        seed in any::<u64>(),
        steps in random::steps(60),
    ) {
        compare(&config, seed, &steps)?;
    }
}

/// The comparison above must have met what can go wrong.
#[test]
fn the_steps_that_are_compared_meet_every_case() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = (random::config(), any::<u64>(), random::steps(150));
    let mut least = [0u64; 16];
    for _ in 0..60 {
        let (config, seed, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let s = compare(&config, seed, &steps).unwrap();
        let met = [
            s.itlb.hits,
            s.dtlb.hits,
            s.dtlb.denied,
            s.dtlb.dirty_clear,
            s.dtlb.bypassed,
            s.stlb.hits,
            s.stlb.denied + s.stlb.dirty_clear,
            s.psc[0].hits,
            s.psc[1].hits,
            s.psc[2].hits + s.psc[3].hits,
            s.walks.restarted,
            s.walks.faulted,
            s.walks.aborted,
            s.walks.compare_and_sets,
            s.responses.general_protections,
            s.control.operations - s.control.general_protections,
        ];
        for (sum, more) in least.iter_mut().zip(met) {
            *sum += more;
        }
    }
    assert!(least.iter().all(|count| *count >= 20), "{least:?}");
    let strategy = random::steps_in(Paging::TwoLevel, 150);
    let strategy = (random::config(), any::<u64>(), strategy);
    let mut least = [0u64; 12];
    for _ in 0..40 {
        let (config, seed, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let s = compare(&config, seed, &steps).unwrap();
        let met = [
            s.itlb.hits_by_size[0],
            s.itlb.hits_by_size[1],
            s.dtlb.hits_by_size[0],
            s.dtlb.hits_by_size[1],
            s.dtlb.denied,
            s.dtlb.dirty_clear,
            s.stlb.hits_by_size[1],
            s.psc[0].hits,
            s.walks.restarted,
            s.walks.faulted,
            s.walks.aborted,
            s.walks.compare_and_sets,
        ];
        for (sum, more) in least.iter_mut().zip(met) {
            *sum += more;
        }
    }
    assert!(least.iter().all(|count| *count >= 20), "{least:?}");
}

/// And machines of every kind, in which what they are bears on what happens.
#[test]
fn the_machines_that_are_compared_are_of_every_kind() {
    use crate::config::{Replacement, Serves, WalkerOrder};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = (random::config(), any::<u64>(), random::steps(80));
    let mut met = [0u64; 14];
    for _ in 0..150 {
        let (config, seed, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let s = compare(&config, seed, &steps).unwrap();
        let levels = [
            (&config.itlb, &s.itlb),
            (&config.dtlb, &s.dtlb),
            (&config.stlb, &s.stlb),
        ];
        for (spec, counts) in levels {
            let present = || spec.arrays.iter().filter(|array| array.ways > 0);
            let hits = |kind: bool| if kind { counts.hits } else { 0 };
            for (policy, met) in Replacement::ALL.into_iter().zip(&mut met) {
                *met += hits(present().any(|array| array.replacement == policy));
            }
            met[7] += hits(present().any(|array| array.page_sizes.len() > 1));
            met[8] += hits(present().any(|array| !array.sets.is_power_of_two()));
            met[9] += hits(present().any(|array| array.serves != Serves::All));
        }
        let of = |kind: bool, count: u64| if kind { count } else { 0 };
        let evictions = s.tlb_arrays[8..].iter().map(|array| array.evictions);
        met[10] += of(config.stlb.inclusive, evictions.sum());
        met[11] += of(config.fractures(), s.dtlb.hits_by_size[0]);
        met[12] += of(config.psc.pde.sets > 1, s.psc[0].hits);
        met[13] += of(config.walkers.order == WalkerOrder::Oldest, s.walks.started);
    }
    assert!(met.iter().all(|count| *count >= 20), "{met:?}");
}

/// Two pages of one set must never both be pages hit last, whatever the array is like.
#[test]
fn pages_that_share_sets_in_any_way_are_hit_as_if_ticked() {
    use crate::arch::PageSize::{self, Size2M, Size4K};
    use crate::arch::registers::{cr0, cr4, efer};
    use crate::config::{Replacement, Serves, TlbArraySpec};
    use crate::model::Operation;
    use crate::model::memory::hash;
    let array = |sizes: &[PageSize], sets, replacement, serves| TlbArraySpec {
        page_sizes: sizes.to_vec(),
        sets,
        ways: 2,
        replacement,
        serves,
    };
    for replacement in Replacement::ALL {
        let of = |sizes: &[PageSize], sets| array(sizes, sets, replacement, Serves::All);
        let for_reads = |sizes: &[PageSize], sets| array(sizes, sets, replacement, Serves::Reads);
        let for_writes = |sizes: &[PageSize], sets| array(sizes, sets, replacement, Serves::Writes);
        for arrays in [
            vec![of(&[Size4K], 3), of(&[Size2M], 1)],
            vec![of(&[Size4K], 12)],
            vec![of(&[Size4K, Size2M], 4)],
            vec![of(&[Size4K], 2), of(&[Size4K], 3), of(&[Size2M], 2)],
            // Other sets for reads than for writes, of all sizes or of one.
            vec![for_reads(&[Size4K], 2), for_writes(&[Size4K], 3)],
            vec![
                for_reads(&[Size4K], 2),
                for_reads(&[Size4K], 1),
                for_writes(&[Size4K], 2),
                of(&[Size2M], 2),
            ],
            vec![
                for_reads(&[Size4K, Size2M], 2),
                for_writes(&[Size4K, Size2M], 3),
            ],
        ] {
            let mut config = small();
            config.dtlb.arrays = arrays;
            let mut slow = Bench::off(&config);
            for page in 0..16 {
                slow.map(page << 12, Size4K, 0x10_0000_0000 | page << 12 | ALL);
            }
            slow.map(1 << 21, Size2M, 0x20_0000_0000 | ALL);
            let mut fast = OneAtATime::new(&config, slow.memory.clone());
            slow.enable(cr4::PAE);
            for (op, value) in [
                (3, efer::LME | efer::NXE),
                (2, cr4::PAE),
                (1, ROOT),
                (0, cr0::PG | cr0::PE | cr0::WP),
                (2, cr4::PAE),
            ] {
                assert!(!fast.control(&Operation::new(op, value)));
            }
            for step in 0..400 {
                let draw = hash(1, step, 0);
                // Few pages in turn, often the same again.
                let page = [0, 1, 3, 6, 12, 13, 0x200, 0x203][(draw >> 8) as usize % 8];
                let page = if draw.is_multiple_of(2) {
                    3 * (step / 2 % 3)
                } else {
                    page
                };
                let va = page << 12;
                let request = if draw >> 4 & 1 == 0 {
                    write(va)
                } else {
                    read(va)
                };
                let response = fast.translate(DATA, &request).response;
                assert_eq!(response, slow.ask(DATA, request).response);
                assert!(*fast.mmu() == slow.mmu, "{:?} in step {step}", config.dtlb);
            }
        }
    }
}

#[test]
fn a_page_hit_last_answers_by_bits_31_to_0_in_32_bit_paging_and_not_beyond_the_mode() {
    use crate::arch::PageSize;
    use crate::model::Operation;
    let mut tables = Bench::on_32_bit(&small());
    tables.map(0x40_0000, PageSize::Size4M, 0x80_0000 | ALL);
    let mut fast = OneAtATime::new(&small(), tables.memory);
    let set_up = |fast: &mut OneAtATime, cr4: u64, efer: u64| {
        for (op, value) in [(0, 1), (3, efer), (2, cr4), (1, ROOT), (0, 1 << 31 | 1)] {
            assert!(!fast.control(&Operation::new(op, value)));
        }
    };
    set_up(&mut fast, crate::arch::registers::cr4::PSE, 0);
    for (va, pa, first_level) in [
        (0x40_0123, 0x80_0123, 4),
        (0x40_0123, 0x80_0123, 2),
        (0x60_0123, 0xa0_0123, 2),
        (0x60_0123 | 5 << 32, 0xa0_0123, 2),
        (0x60_0456, 0xa0_0456, 2),
    ] {
        let alone = fast.translate(DATA, &read(va));
        assert_eq!((alone.response.pa, alone.first_level), (pa, first_level));
        assert_eq!(alone.response.page_size, 3);
    }
    assert_eq!(fast.statistics().dtlb.hits_by_size, [0, 4, 0]);
    // The same address in 4-level paging, with the same root: its PML4E is that PDE and the one below it, whose P is 0.
    set_up(&mut fast, crate::arch::registers::cr4::PAE, 1 << 8);
    assert_eq!(fast.translate(DATA, &read(0x60_0456)).response.status, 1);
}

#[test]
fn a_hit_on_the_page_hit_last_in_its_set_changes_nothing_but_counts() {
    let mut slow = Bench::on(&small());
    slow.map(0x1000, crate::arch::PageSize::Size4K, 0x5000 | ALL);
    slow.ask(DATA, read(0x1000));
    slow.ask(DATA, read(0x1008));
    let before = slow.mmu.clone();
    let mut memory = slow.memory.clone();
    let mut fast = before.clone();
    let alone = fast.translate_alone(DATA, &read(0x1ff8), &mut memory, before.now());
    assert_eq!(alone.response.pa, 0x5ff8);
    let mut but_counts = before.clone();
    but_counts.now = fast.now;
    but_counts.statistics = fast.statistics.clone();
    assert!(fast == but_counts);
    assert_eq!(
        fast.statistics().dtlb.hits,
        before.statistics().dtlb.hits + 1
    );
}

#[test]
fn a_request_may_come_later_than_the_present_cycle() {
    let mut slow = Bench::on(&small());
    slow.map(0x1000, crate::arch::PageSize::Size4K, 0x5000 | ALL);
    let (mut fast, mut memory): (Mmu, Memory) = (slow.mmu.clone(), slow.memory.clone());
    slow.tick([PortIn::default(); 3]);
    slow.idle(9);
    let later = slow.mmu.now();
    let alone = fast.translate_alone(DATA, &read(0x1000), &mut memory, later);
    let answer = slow.ask(DATA, read(0x1000));
    assert_eq!(
        (alone.accepted_at, alone.responded_at),
        (later, answer.responded_at)
    );
    assert!(fast == slow.mmu);
}

#[test]
fn a_page_hit_last_is_forgotten_when_the_other_port_drops_it() {
    let mut slow = Bench::on(&small());
    slow.map(0x1000, crate::arch::PageSize::Size4K, 0x5000 | (ALL & !RW));
    slow.ask(FETCH, fetch(0x1000));
    let (mut fast, mut memory): (Mmu, Memory) = (slow.mmu.clone(), slow.memory.clone());
    for (port, request) in [
        (FETCH, fetch(0x1000)),
        (DATA, write(0x1000)),
        (FETCH, fetch(0x1000)),
    ] {
        let now = fast.now();
        let alone = fast.translate_alone(port, &request, &mut memory, now);
        assert_eq!(alone.responded_at, slow.ask(port, request).responded_at);
    }
    assert_eq!(fast.statistics().itlb.misses, 2);
    assert!(fast == slow.mmu);
}
