//! Contract 13: when testbench memory answers, and what.

use crate::config::{MemorySpec, TableCacheSpec};
use crate::model::Memory;
use crate::model::memory::hash;
use crate::model::mmu_pkg::{MEM_COMPARE_AND_SET, MEM_READ, MEM_WRITE, MemoryOut};

fn memory(latency_cycles: u32, jitter_cycles: u32, size_bytes: Option<u64>) -> Memory {
    let spec = MemorySpec {
        latency_cycles,
        jitter_cycles,
        size_bytes,
        ..MemorySpec::default()
    };
    Memory::new(&spec, 7)
}

fn request(op: u8, address: u64, expected: u64, wdata: u64) -> MemoryOut {
    MemoryOut {
        req_valid: 1,
        req_op: op,
        req_beats: 1,
        req_be: 0xff,
        resp_ready: 1,
        req_addr: address,
        req_wdata: wdata,
        req_expected: expected,
        ..MemoryOut::default()
    }
}

/// Steps through `cycles` cycles with the requests of some of them; the answers: (cycle, data, error).
fn run(memory: &mut Memory, cycles: u64, requests: &[(u64, MemoryOut)]) -> Vec<(u64, u64, bool)> {
    let mut answers = Vec::new();
    for cycle in 0..cycles {
        let driven = memory.inputs(cycle, false);
        if driven.resp_valid != 0 {
            answers.push((cycle, driven.resp_data, driven.resp_error != 0));
        }
        let idle = MemoryOut {
            resp_ready: 1,
            ..MemoryOut::default()
        };
        let found = requests.iter().find(|(at, _)| *at == cycle);
        memory.step(cycle, &driven, found.map_or(&idle, |(_, request)| request));
    }
    answers
}

#[test]
fn cells_hold_zero_where_nothing_was_written() {
    let mut memory = memory(1, 0, None);
    assert_eq!(memory.read_u64(0x1238), Ok(0));
    memory.write_u64(0x1238, 5).unwrap();
    memory.write_u64(0xf_ffff_ffff_fff8, 6).unwrap();
    assert_eq!(memory.read_u64(0x1238), Ok(5));
    assert_eq!(memory.read_u64(0x1230), Ok(0));
    assert_eq!(memory.contents(), [(0x1238, 5), (0xf_ffff_ffff_fff8, 6)]);
}

#[test]
fn an_answer_comes_latency_cycles_after_the_accept() {
    for latency in [1, 2, 50] {
        let mut memory = memory(latency, 0, None);
        memory.write_u64(0x40, 9).unwrap();
        let answers = run(&mut memory, 100, &[(3, request(MEM_READ, 0x40, 0, 0))]);
        assert_eq!(answers, [(3 + u64::from(latency), 9, false)]);
    }
}

#[test]
fn one_answer_a_cycle_in_order_of_due_cycle_and_accept() {
    let mut memory = memory(4, 9, None);
    let requests: Vec<_> = (0..40)
        .map(|cycle| (cycle, request(MEM_READ, 8 * cycle, 0, 0)))
        .collect();
    for cycle in 0..40 {
        memory.write_u64(8 * cycle, cycle + 1).unwrap();
    }
    let answers = run(&mut memory, 100, &requests);
    let mut expected: Vec<_> = (0..40)
        .map(|number| (number + 4 + hash(7, 0, number) % 10, number))
        .collect();
    expected.sort_unstable();
    let mut free_from = 0;
    for ((cycle, data, _), (due, number)) in answers.iter().zip(&expected) {
        free_from = free_from.max(*due);
        assert_eq!((*cycle, *data), (free_from, number + 1));
        free_from += 1;
    }
    assert_eq!(answers.len(), 40);
}

#[test]
fn a_read_samples_when_accepted_and_not_when_answered() {
    let mut memory = memory(5, 0, None);
    memory.write_u64(0x40, 1).unwrap();
    let driven = memory.inputs(0, false);
    memory.step(0, &driven, &request(MEM_READ, 0x40, 0, 0));
    memory.write_u64(0x40, 2).unwrap();
    assert_eq!(memory.inputs(5, false).resp_data, 1);
}

#[test]
fn a_compare_and_set_stores_only_if_memory_holds_what_is_expected() {
    let mut memory = memory(1, 0, None);
    memory.write_u64(0x40, 1).unwrap();
    let accesses = [(0, 1, 3), (1, 1, 4), (2, 3, 5)]
        .map(|(cycle, expected, new)| (cycle, request(MEM_COMPARE_AND_SET, 0x40, expected, new)));
    let answers = run(&mut memory, 9, &accesses);
    assert_eq!(answers, [(1, 1, false), (2, 3, false), (3, 3, false)]);
    assert_eq!(memory.read_u64(0x40), Ok(5));
}

#[test]
fn a_write_stores_the_bytes_that_are_enabled() {
    let mut memory = memory(1, 0, None);
    memory.write_u64(0x40, 0x1122_3344_5566_7788).unwrap();
    let mut write = request(MEM_WRITE, 0x40, 0, u64::MAX);
    write.req_be = 0b1000_0001;
    memory.accept(0, &write);
    assert_eq!(memory.read_u64(0x40), Ok(0xff22_3344_5566_77ff));
}

#[test]
fn a_request_with_a_wrong_number_of_beats_is_served_as_one_beat() {
    for beats in [0, 2, 0xff] {
        let mut memory = memory(1, 0, None);
        memory.write_u64(0x40, 9).unwrap();
        let mut read = request(MEM_READ, 0x40, 0, 0);
        read.req_beats = beats;
        let answers = run(&mut memory, 20, &[(0, read)]);
        assert_eq!(answers, [(1, 9, false)]);
    }
}

#[test]
fn memory_answers_with_a_bus_error_from_its_size_on() {
    let mut memory = memory(1, 0, Some(0x2000));
    assert!(memory.read_u64(0x1ff8).is_ok());
    assert!(memory.read_u64(0x2000).is_err());
    assert!(memory.write_u64(0x2000, 1).is_err());
    let answers = run(
        &mut memory,
        5,
        &[(0, request(MEM_COMPARE_AND_SET, 0x2000, 0, 1))],
    );
    assert_eq!(answers, [(1, 0, true)]);
    assert_eq!(memory.contents(), []);
}

#[test]
fn a_stalled_memory_accepts_nothing() {
    let mut memory = memory(1, 0, None);
    let driven = memory.inputs(0, true);
    memory.step(0, &driven, &request(MEM_COMPARE_AND_SET, 0x40, 0, 1));
    assert_eq!((memory.contents(), memory.next_event()), (vec![], None));
}

#[test]
fn jitter_is_a_function_of_seed_and_accept_and_spreads_over_its_range() {
    let mut seen = [0; 4];
    let mut memory = memory(1, 3, None);
    for number in 0..400 {
        let delay = memory
            .accept(number, &request(MEM_READ, 0, 0, 0))
            .delay_cycles;
        assert_eq!(delay, 1 + hash(7, 0, number) % 4);
        seen[delay as usize - 1] += 1;
    }
    assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
}

#[test]
fn nothing_that_was_accepted_before_a_reset_is_answered() {
    let mut memory = memory(5, 0, None);
    memory.step(
        0,
        &memory.inputs(0, false),
        &request(MEM_COMPARE_AND_SET, 0x40, 0, 1),
    );
    assert_eq!(memory.next_event(), Some(5));
    memory.reset();
    assert_eq!(
        (memory.next_event(), memory.inputs(5, false).resp_valid),
        (None, 0)
    );
    assert_eq!(memory.read_u64(0x40), Ok(1));
}

/// Offers reads of `addresses` one after the other, each as soon as the one before was taken; accepted and answered in which cycles.
fn offered(memory: &mut Memory, addresses: &[u64]) -> (Vec<u64>, Vec<(u64, u8)>) {
    let (mut accepted, mut answered) = (Vec::new(), Vec::new());
    for cycle in 0..1000 {
        let driven = memory.inputs(cycle, false);
        if driven.resp_valid != 0 {
            answered.push((cycle, driven.resp_id));
        }
        let mut wanted = request(MEM_READ, 0, 0, 0);
        wanted.req_id = accepted.len() as u8;
        match addresses.get(accepted.len()) {
            Some(address) => wanted.req_addr = *address,
            None => wanted.req_valid = 0,
        }
        memory.step(cycle, &driven, &wanted);
        if driven.req_ready & wanted.req_valid != 0 {
            accepted.push(cycle);
        }
    }
    (accepted, answered)
}

#[test]
fn accepts_stand_their_interval_apart() {
    let spec = MemorySpec {
        latency_cycles: 10,
        accept_interval_cycles: 4,
        ..MemorySpec::default()
    };
    let mut memory = Memory::new(&spec, 1);
    let (accepted, answered) = offered(&mut memory, &[0, 64, 128]);
    assert_eq!(accepted, [0, 4, 8]);
    assert_eq!(answered, [(10, 0), (14, 1), (18, 2)]);
    assert_eq!((memory.accepts_at(5), memory.accepts_at(90)), (12, 90));
}

#[test]
fn no_more_are_under_way_than_the_limit_and_an_answer_frees_its_place_for_the_next_cycle() {
    let spec = MemorySpec {
        latency_cycles: 10,
        outstanding: 2,
        ..MemorySpec::default()
    };
    let (accepted, answered) = offered(&mut Memory::new(&spec, 1), &[0, 64, 128, 192]);
    assert_eq!(accepted, [0, 1, 11, 12]);
    assert_eq!(answered, [(10, 0), (11, 1), (21, 2), (22, 3)]);
}

#[test]
fn a_line_that_is_in_the_table_cache_is_answered_sooner_and_the_least_recent_leaves() {
    let spec = MemorySpec {
        latency_cycles: 50,
        jitter_cycles: 3,
        accept_interval_cycles: 100,
        table_cache: TableCacheSpec {
            sets: 2,
            ways: 2,
            latency_cycles: 7,
        },
        size_bytes: Some(0x10000),
        ..MemorySpec::default()
    };
    // Set 0: lines 0, 2 and 4; the access of line 0 between them makes line 2 the least recent. The bus error changes nothing.
    let addresses = [0, 0x38, 0x80, 0x20, 0x1_0000, 0x100, 0x0, 0x80, 0x40];
    let (accepted, answered) = offered(&mut Memory::new(&spec, 1), &addresses);
    let delays: Vec<u64> = accepted
        .iter()
        .zip(&answered)
        .map(|(from, (to, _))| to - from)
        .collect();
    let hits: Vec<bool> = delays.iter().map(|delay| *delay == 7).collect();
    let expected = [false, true, false, true, false, false, true, false, false];
    assert_eq!(hits, expected, "{delays:?}");
    let slow = delays.iter().filter(|delay| **delay != 7);
    assert!(
        slow.clone().all(|delay| (50..=53).contains(delay)),
        "{delays:?}"
    );
}
