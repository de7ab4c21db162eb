//! Random traffic through the RTL alone, resets, and assertions that fail when what they guard is broken.
//!
//! Contract: sections 1 (reset) and 5 to 9. SDM: none of its own. Counterpart: none; `lockstep_rtl.rs` compares with the model.

#![cfg(feature = "rtl")]

use std::collections::BTreeMap;

use crate::rtl_support::*;
use twinwalk::config::{Config, TlbSpec};
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::rtl::InitialRegisters;
use twinwalk::model::mmu_pkg::*;

// ---- random traffic ---------------------------------------------------------------------------------------------------

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn parallel() -> Config {
    let mut config = small();
    config.ports.data_ports = 2;
    config.walkers.count = 4;
    config.miss_queue.entries = 5;
    config.prefetch.next_page = true;
    config.psc.pde.ways = 1;
    config.psc.pdpte.ways = 0;
    config.stlb = TlbSpec::new(3, [(2, 2), (1, 1), (1, 0)]);
    config
}

/// Random requests, INVLPGs and writes of registers, answers of memory out of order, stalls. Every request must be answered, with the right
/// address; a bug shows as a wrong answer, as a request that is not answered, or as a failed assertion, which is what is returned.
fn traffic(config: &Config, recipe: &Recipe, seed: u64, cycles: u64) -> Result<[u64; 8], String> {
    let mut bench = Bench::new(config, recipe, 1);
    let mut random = Random(seed | 1);
    let ports = 1 + config.ports.data_ports as usize;
    let mut outstanding: Vec<BTreeMap<u8, Offer>> = vec![BTreeMap::new(); ports];
    let mut offered: Vec<Option<Offer>> = vec![None; ports];
    let mut id = 0u8;
    let mut counts = [0u64; 8];
    let mut quiet = 0;
    for page in 0..64 {
        bench.cells.insert(pte(page), pa(page) | 7);
        bench.cells.insert(pte(512 + page), pa(512 + page) | LEAF);
    }
    for cycle in 0.. {
        let drain = cycle >= cycles;
        for (port, offer) in offered.iter_mut().enumerate() {
            if offer.is_none() && !drain && random.below(3) != 0 {
                id = id.wrapping_add(1);
                let page = random.below(6) + 512 * random.below(2) + 32 * random.below(2);
                *offer = Some(if port > 0 && random.below(4) == 0 {
                    write(port, id, page)
                } else {
                    read(port, id, page)
                });
            }
            bench.resp_ready[port] = random.below(8) != 0;
        }
        if bench.control.is_none() && !drain && random.below(40) == 0 {
            bench.control = Some(match random.below(4) {
                0 => (CTRL_MOV_CR3, ROOT),
                _ => (CTRL_INVLPG, random.below(6) << 12),
            });
        }
        bench.latency = 1 + random.below(30);
        bench.memory_ready = random.below(4) != 0;
        let now: Vec<Offer> = offered.iter().flatten().copied().collect();
        let outputs = bench.tick(&now);
        if !bench.rtl.errors().is_empty() {
            return Err(format!("{:?}", bench.rtl.errors()));
        }
        // Memory answers the first that is due; the order is not that of the requests.
        bench
            .answers
            .make_contiguous()
            .sort_by_key(|answer| answer.0);
        quiet += 1;
        for port in 0..ports {
            let shown = &outputs.ports[port];
            if let Some(offer) = offered[port]
                && shown.req_ready != 0
            {
                outstanding[port].insert(offer.id, offer);
                offered[port] = None;
            }
            if shown.resp_valid != 0 && bench.resp_ready[port] {
                quiet = 0;
                counts[0] += 1;
                let Some(offer) = outstanding[port].remove(&shown.resp_id) else {
                    return Err(format!(
                        "cycle {cycle}: port {port} answers id {}",
                        shown.resp_id
                    ));
                };
                if (shown.resp_status, shown.resp_pa) != (STATUS_TRANSLATED, pa(offer.va >> 12)) {
                    return Err(format!("cycle {cycle}: {:x} gives {:x?}", offer.va, shown));
                }
            }
            counts[1] += u64::from(outputs.monitor.lookup[port] == LOOKUP_MERGED);
            counts[2] += u64::from(outputs.monitor.lookup_retry[port] != 0);
        }
        counts[3] += u64::from(
            outputs.queues.walker[..config.walkers.count as usize]
                .iter()
                .all(|walker| walker & 7 != 0),
        );
        counts[4] += u64::from(
            outputs.queues.miss[..config.miss_queue.entries as usize]
                .iter()
                .all(|miss| miss & 7 != 0),
        );
        for walk in &outputs.monitor.walk {
            counts[5] += u64::from(walk.op == WALK_STOPPED);
            counts[6] += u64::from(walk.entry == PREFETCH_ENTRY && walk.filled != 0);
        }
        counts[7] += u64::from(outputs.memory.req_op == MEM_COMPARE_AND_SET);
        if quiet > 3000 {
            return Err(format!(
                "cycle {cycle}: nothing was answered for long: {outputs:x?}"
            ));
        }
        if drain
            && bench.control.is_none()
            && outstanding.iter().all(BTreeMap::is_empty)
            && offered.iter().all(Option::is_none)
        {
            return Ok(counts);
        }
        bench.log.clear();
    }
    unreachable!("the loop has no end of its own")
}

#[test]
fn random_traffic_is_answered_rightly_and_no_assertion_fails() {
    let mut single = parallel();
    single.miss_queue.entries = 1;
    single.walkers.count = 1;
    let mut three = parallel();
    three.walkers.count = 3;
    three.miss_queue.entries = 16;
    three.ports.queue_entries = 16;
    for (name, config) in [
        ("parallel", parallel()),
        ("single", single),
        ("three", three),
        ("small", small()),
    ] {
        let mut total = [0; 8];
        for seed in 1..=4 {
            match traffic(&config, &recipe(&config), seed * 7919, 15_000) {
                Ok(counts) => total
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count),
                Err(finding) => panic!("{name}, seed {seed}: {finding}"),
            }
        }
        println!(
            "{name}: responses, merged, retries, all walkers busy, queue full, stopped, prefetched, compare-and-sets: {total:?}"
        );
        assert!(total[0] > 1_000 && total[7] > 0, "{name}: {total:?}");
        if config.miss_queue.entries > 4 {
            assert!(total.iter().all(|&count| count > 20), "{name}: {total:?}");
        }
    }
}

/// Requests of all ports in every cycle in which they may be, and the outputs of each cycle.
fn busy(bench: &mut Bench) -> Vec<Outputs> {
    let mut ids = [0u8; 3];
    for _ in 0..1_500 {
        let offers: Vec<Offer> = (0..3)
            .map(|port| read(port, ids[port], u64::from(ids[port] / 3 % 24)))
            .collect();
        let outputs = bench.tick(&offers);
        for (id, port) in ids.iter_mut().zip(outputs.ports) {
            *id = id.wrapping_add(port.req_ready);
        }
    }
    bench.no_assertion_failed();
    std::mem::take(&mut bench.log)
}

#[test]
fn nothing_before_a_reset_is_seen_after_it() {
    let config = parallel();
    let begin = |initial| {
        let mut bench = Bench::off(&config, &recipe(&config), 7, initial);
        bench.boot();
        bench
    };
    let first = busy(&mut begin(InitialRegisters::Zeros));
    for initial in [InitialRegisters::Ones, InitialRegisters::Random(3)] {
        assert!(first == busy(&mut begin(initial)), "{initial:?}");
    }
    // A reset in the middle of everything.
    let mut bench = begin(InitialRegisters::Random(4));
    busy(&mut bench);
    assert!(
        bench
            .rtl
            .outputs()
            .queues
            .walker
            .iter()
            .any(|walker| *walker != 0)
    );
    bench.answers.clear();
    bench.boot();
    assert!(first == busy(&mut bench), "after a reset");
}

// ---- the assertions bite ----------------------------------------------------------------------------------------------

/// Each with a passage of the RTL, what stands in its place, and the assertion that is to fail first.
const BROKEN: [[&str; 4]; 11] = [
    [
        "miss_queue.sv",
        "    left = is_free;",
        "    left = '1;",
        "an_entry_is_taken_only_when_it_is_free",
    ],
    [
        "miss_queue.sv",
        "            left[entry[p]] = 1'b0;",
        "",
        "two_ports_never_take_one_entry",
    ],
    [
        "miss_queue.sv",
        "if (walk_take_i) state_q[index_t'(walk_entry_i)] <= MissWalking;",
        "",
        "a_commit_is_for_an_entry_that_is_busy_or_walks",
    ],
    [
        "walkers.sv",
        "      taken_owner = owner_t'(entry_o);",
        "",
        "no_two_walkers_hold_one_entry",
    ],
    [
        "miss_queue.sv",
        "    if (revoke_i) begin",
        "    if (1'b0) begin",
        "a_lost_right_to_fill_is_not_used",
    ],
    [
        "miss_queue.sv",
        "= request_q[commit_entry].id;",
        "= request_q[commit_entry].id + 8'd128;",
        "a_response_answers_an_outstanding_request",
    ],
    [
        "memory_port.sv",
        "assign asks = held_q != '0 ? held_q : want_i;",
        "assign asks = want_i;",
        "the_payload_is_stable_until_ready",
    ],
    [
        "commit.sv",
        "    if (by_walker) begin",
        "    if (commits) begin",
        "at_most_one_commits_in_a_cycle",
    ],
    [
        "commit.sv",
        "      if (!passed_over_i) begin",
        "      begin",
        "a_look_up_gives_way_once_only",
    ],
    [
        "commit.sv",
        "    if (!busy_i && !back_invalidates_i) begin",
        "    if (!back_invalidates_i) begin",
        "nothing_commits_while_control_is_busy",
    ],
    [
        "walkers.sv",
        "    if (take_o) begin\n      takes = idle & (~idle + walkers_t'(1));",
        "    if (take_o) begin\n      takes = idle;",
        "at_most_one_walker_takes_a_walk",
    ],
];

#[test]
fn what_an_assertion_guards_makes_it_fail_when_it_is_broken() {
    let config = parallel();
    for [file, passage, replacement, assertion] in BROKEN {
        let mut recipe = recipe(&config);
        recipe
            .patch(file, passage, replacement)
            .expect("the passage is there once");
        let finding = traffic(&config, &recipe, 5, 15_000).expect_err(assertion);
        println!("{assertion}: {finding}");
        assert!(
            finding.contains(assertion),
            "{assertion} was to fail, but: {finding}"
        );
    }
}
