//! Random updates over far more pages than any TLB reaches (GUPS): what walkers and a deeper miss queue bring, in both twins, against a bound
//! that a pencil finds.
//!
//! Contract: 6 to 8, 12, 13.1. SDM: none. Counterpart: none.
//!
//! The bound. Of an update to one of P pages in 1 GiB, m = 1 - (STLB entries) / P misses. Its walk reads n entries: always the PTE, and the
//! PDE unless the cache of PDEs has it, which it does for (entries) / 512; the one PDPTE is always cached. A and D are set, so nothing is
//! written. From one grant to the next (8.1 to 8.5) a walker is idle for a cycle, and has START, n (M + 2) and DONE: w = 3 + n (M + 2). An entry of the
//! miss queue, from one taking to the next, is looked up in the STLB after a cycle, which takes S and a cycle to commit, waits a cycle for its
//! walker, and until it is FREE again: q = 5 + S + n (M + 2). No more than E = min(`miss_queue.entries`, data ports x `ports.queue_entries`,
//! window) are under way. Each commits three times, and takes the memory port n times. So an update takes, in the mean,
//!
//! ```text
//! m max(w / walkers, q / E, 3, n) cycles
//! ```
//!
//! and a little more, since what waits for a commit, for a fill or for the memory port waits for nothing else meanwhile: not more than 2 %
//! where one of the terms stands out. Less than the bound by more than the noise of the draw, 1 %, cannot be.

#![cfg(feature = "rtl")]

use twinwalk::arch::{Access, AccessKind, PageSize};
use twinwalk::cli::run::requests;
use twinwalk::config::{Config, Level};
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::rtl::{InitialRegisters, Rtl};
use twinwalk::cosim::ticked::Ticked;
use twinwalk::cosim::twin::Twin;
use twinwalk::model::{Answered, FrontEnd, Memory, Operation, Request, Statistics};
use twinwalk::trace::AccessedDirty;

use crate::machines_support::{QUICK, provider};

const UPDATES: usize = 4_000;
const FOOTPRINT: u64 = 1 << 30;
const PAGES: f64 = (FOOTPRINT >> 12) as f64;
/// The updates lie in the 1 GiB from here on, under one PDPTE.
const FROM: u64 = 0x1_0000_0000;
/// By how much a run may take longer than the bound, and less long.
const ABOVE: f64 = 0.02;
const BELOW: f64 = 0.01;

/// The default machine with these walkers, entries of the miss queue and data ports, and a core that would have 32 updates under way.
fn machine(walkers: u32, entries: u32, data_ports: u32) -> Config {
    let mut config = Config::default();
    config.walkers.count = walkers;
    config.miss_queue.entries = entries;
    config.ports.data_ports = data_ports;
    config.ports.queue_entries = 16;
    config.front_end.window = 32;
    config.memory.latency_cycles = 50;
    config.mapping.accessed_dirty = AccessedDirty::Set;
    config
}

/// The cycles of an update that the pencil finds.
fn bound(config: &Config) -> f64 {
    let stlb = config.array(Level::Stlb, PageSize::Size4K);
    let misses = 1.0 - f64::from(stlb.sets * stlb.ways) / PAGES;
    let reads = 2.0 - f64::from(config.psc.pde.ways) / 512.0;
    let walk = reads * f64::from(config.memory.latency_cycles + 2);
    let entries = config
        .miss_queue
        .entries
        .min(config.ports.data_ports * config.ports.queue_entries)
        .min(config.front_end.window);
    let of_walkers = (3.0 + walk) / f64::from(config.walkers.count);
    let of_entries = (5.0 + f64::from(config.stlb.hit_latency_cycles) + walk) / f64::from(entries);
    misses * of_walkers.max(of_entries).max(3.0).max(reads)
}

/// Whether so many cycles an update are as many as the bound says.
fn agrees(cycles: f64, bound: f64) -> bool {
    cycles >= bound * (1.0 - BELOW) && cycles <= bound * (1.0 + ABOVE)
}

/// Updates of 8 bytes, each in a page and at a place drawn from the last one's.
fn updates() -> Vec<Request> {
    let mut state = 1u64;
    let draw = |_| {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        Request {
            va: FROM + (state >> 20) % FOOTPRINT / 8 * 8,
            access: Access::new(AccessKind::Write, 3),
            id: 0,
        }
    };
    (0..UPDATES).map(draw).collect()
}

/// What both twins begin with.
fn prepared(config: &Config, updates: &[Request]) -> (Memory, [Operation; 4]) {
    let mapping = requests::mapping(config).expect("it can be mapped");
    let mut memory = Memory::new(&config.memory, 1);
    for entry in mapping
        .build(updates.iter().map(|update| update.va))
        .expect("no conflict")
    {
        memory
            .write_u64(entry.address.raw(), entry.value)
            .expect("inside memory");
    }
    (memory, requests::boot(config, &mapping))
}

/// Cycles of the updates, and all figures, in the model.
fn in_model(config: &Config, updates: &[Request]) -> (u64, Statistics) {
    let (memory, boot) = prepared(config, updates);
    let mut front_end = FrontEnd::new(config, memory);
    let mut none = |_: &Answered| {};
    for operation in &boot {
        assert!(!front_end.control(operation, &mut none));
    }
    let from = front_end.cycles();
    for update in updates {
        front_end.translate(update, &mut none);
    }
    front_end.finish(&mut none);
    (front_end.cycles() - from, front_end.statistics().clone())
}

/// The same in a twin that is ticked.
fn in_twin(config: &Config, twin: impl Twin, updates: &[Request]) -> (u64, Statistics) {
    let (memory, boot) = prepared(config, updates);
    let mut ticked = Ticked::new(config, twin, memory, true);
    for operation in &boot {
        assert_eq!(ticked.control(operation), Ok(false));
    }
    let from = ticked.cycles();
    for update in updates {
        assert_eq!(ticked.present(update), Ok(()));
    }
    assert_eq!(ticked.finish(), Ok(()));
    (ticked.cycles() - from, ticked.statistics().clone())
}

fn rtl(config: &Config) -> Rtl {
    let library = provider()
        .loaded_library(&Recipe::new(config, QUICK), &mut |_| {})
        .expect("the machine can be built");
    Rtl::new(config, &library, InitialRegisters::Random(1)).expect("it starts")
}

/// Cycles an update in the model, which are as many as the bound says; `with_rtl`: in the RTL they are the same.
fn cycles(config: &Config, with_rtl: bool) -> f64 {
    let updates = updates();
    let (cycles, statistics) = in_model(config, &updates);
    assert_eq!(statistics.responses.translated, UPDATES as u64);
    assert_eq!(statistics.check_conservation(), Ok(()));
    if with_rtl {
        assert!(in_twin(config, rtl(config), &updates) == (cycles, statistics));
    }
    let each = cycles as f64 / UPDATES as f64;
    let bound = bound(config);
    println!(
        "{} walkers, {} entries, {} data ports: {each:.2} cycles, bound {bound:.2}",
        config.walkers.count, config.miss_queue.entries, config.ports.data_ports
    );
    assert!(agrees(each, bound), "{each} cycles, bound {bound}");
    each
}

#[test]
fn walkers_divide_the_cycles_of_random_updates_in_both_twins() {
    let [one, two, four] = [1, 2, 4].map(|walkers| cycles(&machine(walkers, 16, 1), true));
    assert!(one / two > 1.9 && two / four > 1.9, "{one} {two} {four}");
}

#[test]
fn entries_of_the_miss_queue_divide_the_cycles_until_walkers_are_fewer() {
    let [one, two, four, sixteen] =
        [1, 2, 4, 16].map(|entries| cycles(&machine(4, entries, 1), entries == 2));
    assert!(one / two > 1.9 && two / four > 1.9, "{one} {two} {four}");
    assert!(
        four / sixteen > 1.0 && four / sixteen < 1.2,
        "{four} {sixteen}"
    );
}

#[test]
fn a_second_data_port_brings_nothing_where_walkers_are_the_bound() {
    let [one, two] = [1, 2].map(|data_ports| cycles(&machine(4, 16, data_ports), false));
    assert!((one / two - 1.0).abs() < 0.02, "{one} {two}");
}

#[test]
fn the_bound_of_another_machine_is_refused() {
    let (figures, _) = in_model(&machine(4, 16, 1), &updates());
    let each = figures as f64 / UPDATES as f64;
    for other in [machine(2, 16, 1), machine(3, 16, 1), machine(4, 2, 1)] {
        assert!(!agrees(each, bound(&other)));
    }
}
