//! The table: for each parameter a machine and work that make it act, and the figure that shows it.
//!
//! Contract: 2 (parameters), 13 (memory, front end). SDM: none. Counterpart: none.

use super::work::{Order, Rule, Work};
use super::{Moves, Row};
use Moves::{Away, Down, Refused, Up};

const PAGE: u64 = 1 << 12;
/// What an entry of each level that is no leaf covers.
const PDE: u64 = 1 << 21;
const PDPTE: u64 = 1 << 30;
const PML4E: u64 = 1 << 39;
const PML5E: u64 = 1 << 48;
/// Regions of 1 GiB that far apart, and one more, find different places in memory.
const FAR: u64 = PML5E + PDPTE;

/// A machine that a few pages fill, and that is quickly verilated.
macro_rules! small {
    ($($more:expr),* $(,)?) => {
        &[
            "ports.queue_entries=2",
            "miss_queue.entries=2",
            "walkers.count=1",
            "itlb.arrays=[{page_sizes=[\"4k\"],sets=2,ways=2}]",
            "dtlb.arrays=[{page_sizes=[\"4k\"],sets=2,ways=2}]",
            "stlb.arrays=[{page_sizes=[\"4k\"],sets=4,ways=2}]",
            "psc.pde.ways=2",
            "psc.pdpte.ways=2",
            "psc.pml4e.ways=2",
            "psc.pml5e.ways=2",
            $($more),*
        ]
    };
}

/// Every policy, the ordinary one first.
const POLICIES: &[&str] = &[
    "\"lru\"",
    "\"fifo\"",
    "\"tree-plru\"",
    "\"nru\"",
    "\"random\"",
    "\"srrip\"",
    "\"lip\"",
];
/// Pages in turn.
const fn round(kind: char, stride: u64, places: u64, count: u64) -> Work {
    Work::Run(Rule {
        kind,
        stride,
        places,
        count,
        order: Order::Round,
    })
}

/// Pages as they are drawn.
const fn drawn(kind: char, stride: u64, places: u64) -> Work {
    Work::Run(Rule {
        kind,
        stride,
        places,
        count: 600,
        order: Order::Drawn,
    })
}

/// Six pages in turn fill the first level of the small machine, twelve the second.
const FETCHES: Work = round('f', PAGE, 6, 60);
const LOADS: Work = round('l', PAGE, 6, 60);
const FAR_LOADS: Work = round('l', PAGE, 12, 120);
/// Many pages, each once: nothing is found.
const MISSES: Work = round('l', PAGE, 200, 200);
/// A program that runs straight on.
const STRAIGHT: Work = round('f', 4, 400, 800);
/// The first of it, to be looked at.
const ONE_STORE: Work = Work::First(Rule {
    kind: 'l',
    stride: PAGE,
    places: 1,
    count: 1,
    order: Order::Round,
});

const fn row(
    key: &'static str,
    base: &'static [&'static str],
    values: &'static [&'static str],
    work: Work,
    figure: &'static str,
    moves: Moves,
) -> Row {
    Row {
        key,
        base,
        values,
        work,
        figure,
        moves,
    }
}

/// The caches of entries that are no leaves, each by three entries in turn where it holds two.
macro_rules! psc_rows {
    ($cache:literal, $stride:expr, [$($base:expr),*]) => {
        [
            row(concat!("psc.", $cache, ".sets"), small![$($base),*], &["1", "2"],
                round('l', $stride, 3, 30), concat!("/psc/", $cache, "/hits"), Up),
            row(concat!("psc.", $cache, ".ways"), small![$($base),*], &["2", "4"],
                round('l', $stride, 3, 30), concat!("/psc/", $cache, "/hits"), Up),
            row(concat!("psc.", $cache, ".replacement"), small![$($base,)* concat!("psc.", $cache, ".ways=4")], POLICIES,
                drawn('l', $stride, 6), concat!("/psc/", $cache, "/hits"), Away),
        ]
    };
}

/// All of it.
pub fn rows() -> Vec<Row> {
    [
        CAPABILITIES.as_slice(),
        &LEVELS,
        &MISSES_AND_WALKS,
        &psc_rows!("pde", PDE, []),
        &psc_rows!("pdpte", PDPTE, []),
        &psc_rows!("pml4e", PML4E, []),
        &psc_rows!("pml5e", FAR, ["mapping.levels=5"]),
        &MEMORY,
        &FRONT_END,
        &MAPPING,
    ]
    .concat()
}

const ANSWER: &str = "/access/runs/0/response";

const CAPABILITIES: [Row; 3] = [
    // Bit 41 of an entry is of the address, or reserved.
    row(
        "capabilities.maxphyaddr_bits",
        small![],
        &["46", "40"],
        Work::Access(48, "0x40001000=0x1234000,bit41=1"),
        ANSWER,
        Away,
    ),
    row(
        "capabilities.page_1g",
        small![],
        &["true", "false"],
        Work::Access(48, "0x40000000=0x80000000,1g"),
        ANSWER,
        Away,
    ),
    row(
        "capabilities.five_level",
        small![],
        &["true", "false"],
        Work::Access(57, "0x40001000=0x1234000"),
        "/exit",
        Up,
    ),
];

const LEVELS: [Row; 22] = [
    row(
        "itlb.arrays.N.page_sizes",
        small!["mapping.pages=\"2m\""],
        &["[\"4k\"]", "[\"4k\", \"2m\"]"],
        FETCHES,
        "/itlb/misses",
        Down,
    ),
    row(
        "itlb.arrays.N.sets",
        small![],
        &["2", "4"],
        FETCHES,
        "/itlb/misses",
        Down,
    ),
    row(
        "itlb.arrays.N.ways",
        small![],
        &["2", "4"],
        FETCHES,
        "/itlb/misses",
        Down,
    ),
    row(
        "itlb.arrays.N.replacement",
        small!["itlb.arrays.0.ways=4"],
        POLICIES,
        drawn('f', PAGE, 12),
        "/itlb/misses",
        Away,
    ),
    row(
        "itlb.arrays.N.serves",
        small![],
        &["\"all\"", "\"reads\"", "\"writes\""],
        FETCHES,
        "/itlb/misses",
        Refused,
    ),
    row(
        "itlb.hit_latency_cycles",
        small![],
        &["1", "3"],
        FETCHES,
        "/cycles",
        Up,
    ),
    row(
        "itlb.inclusive",
        small![],
        &["false", "true"],
        FETCHES,
        "/itlb/misses",
        Refused,
    ),
    row(
        "dtlb.arrays.N.page_sizes",
        small!["mapping.pages=\"2m\""],
        &["[\"4k\"]", "[\"4k\", \"2m\"]"],
        LOADS,
        "/dtlb/misses",
        Down,
    ),
    row(
        "dtlb.arrays.N.sets",
        small![],
        &["2", "4"],
        LOADS,
        "/dtlb/misses",
        Down,
    ),
    row(
        "dtlb.arrays.N.ways",
        small![],
        &["2", "4"],
        LOADS,
        "/dtlb/misses",
        Down,
    ),
    row(
        "dtlb.arrays.N.replacement",
        small!["dtlb.arrays.0.ways=4"],
        POLICIES,
        drawn('l', PAGE, 12),
        "/dtlb/misses",
        Away,
    ),
    // What serves the other kind alone keeps nothing of this one.
    row(
        "dtlb.arrays.N.serves",
        small![],
        &["\"all\"", "\"reads\""],
        round('s', PAGE, 2, 40),
        "/dtlb/misses",
        Up,
    ),
    row(
        "dtlb.arrays.N.serves",
        small![],
        &["\"all\"", "\"writes\""],
        round('l', PAGE, 2, 40),
        "/dtlb/misses",
        Up,
    ),
    row(
        "dtlb.hit_latency_cycles",
        small![],
        &["1", "3"],
        LOADS,
        "/cycles",
        Up,
    ),
    row(
        "dtlb.inclusive",
        small![],
        &["false", "true"],
        LOADS,
        "/dtlb/misses",
        Refused,
    ),
    row(
        "stlb.arrays.N.page_sizes",
        small!["mapping.pages=\"2m\""],
        &["[\"4k\"]", "[\"4k\", \"2m\"]"],
        FAR_LOADS,
        "/stlb/misses",
        Down,
    ),
    row(
        "stlb.arrays.N.sets",
        small![],
        &["4", "8"],
        FAR_LOADS,
        "/stlb/misses",
        Down,
    ),
    row(
        "stlb.arrays.N.ways",
        small![],
        &["2", "4"],
        FAR_LOADS,
        "/stlb/misses",
        Down,
    ),
    row(
        "stlb.arrays.N.replacement",
        small!["stlb.arrays.0.ways=4"],
        POLICIES,
        drawn('l', PAGE, 24),
        "/stlb/misses",
        Away,
    ),
    row(
        "stlb.arrays.N.serves",
        small![],
        &["\"all\"", "\"reads\"", "\"writes\""],
        LOADS,
        "/stlb/misses",
        Refused,
    ),
    row(
        "stlb.hit_latency_cycles",
        small![],
        &["1", "3"],
        FAR_LOADS,
        "/cycles",
        Up,
    ),
    // Four pages stand in the first level; two of them leave the second.
    row(
        "stlb.inclusive",
        small!["stlb.arrays.0.sets=1"],
        &["false", "true"],
        round('l', PAGE, 4, 40),
        "/dtlb/misses",
        Up,
    ),
];

const MISSES_AND_WALKS: [Row; 6] = [
    row(
        "ports.data_ports",
        small!["ports.queue_entries=1", "front_end.window=8"],
        &["1", "2"],
        MISSES,
        "/cycles",
        Down,
    ),
    row(
        "ports.queue_entries",
        small![
            "front_end.window=8",
            "miss_queue.entries=8",
            "walkers.count=2"
        ],
        &["1", "8"],
        MISSES,
        "/cycles",
        Down,
    ),
    row(
        "miss_queue.entries",
        small![
            "front_end.window=8",
            "ports.queue_entries=8",
            "walkers.count=2"
        ],
        &["1", "4"],
        MISSES,
        "/cycles",
        Down,
    ),
    row(
        "walkers.count",
        small![
            "front_end.window=8",
            "ports.queue_entries=8",
            "miss_queue.entries=8"
        ],
        &["1", "2"],
        MISSES,
        "/cycles",
        Down,
    ),
    // Which of several is served decides what is merged and what is still there later.
    row(
        "walkers.order",
        small![
            "front_end.window=16",
            "ports.queue_entries=16",
            "ports.data_ports=2",
            "miss_queue.entries=4"
        ],
        &["\"cyclic\"", "\"oldest\""],
        drawn('l', PDE, 24),
        "/cycles",
        Away,
    ),
    // From the second round on each page is walked for already when it is asked for; in the first it is not mapped yet.
    row(
        "prefetch.next_page",
        small![
            "front_end.issue_gap_cycles=400",
            "mapping.accessed_dirty=\"set\""
        ],
        &["false", "true"],
        round('l', PAGE, 40, 120),
        "/stlb/misses",
        Down,
    ),
];

const MEMORY: [Row; 8] = [
    row(
        "memory.latency_cycles",
        &[],
        &["20", "60"],
        MISSES,
        "/cycles",
        Up,
    ),
    row(
        "memory.jitter_cycles",
        &[],
        &["0", "30"],
        MISSES,
        "/cycles",
        Up,
    ),
    row(
        "memory.outstanding",
        &["front_end.window=8"],
        &["64", "1"],
        MISSES,
        "/cycles",
        Up,
    ),
    row(
        "memory.accept_interval_cycles",
        &["front_end.window=8"],
        &["1", "90"],
        MISSES,
        "/cycles",
        Up,
    ),
    // A table stands beyond the end of memory, or in it.
    row(
        "memory.size_bytes",
        &[],
        &["0x4000_0000", "0x8000_0000"],
        Work::Access(48, "0x40001000=0x1234000,pde.address=0x60000000"),
        ANSWER,
        Away,
    ),
    row(
        "memory.table_cache.ways",
        &["memory.table_cache.sets=4"],
        &["0", "2"],
        MISSES,
        "/cycles",
        Down,
    ),
    row(
        "memory.table_cache.sets",
        &["memory.table_cache.ways=1"],
        &["1", "64"],
        round('l', PDE, 200, 200),
        "/cycles",
        Down,
    ),
    row(
        "memory.table_cache.latency_cycles",
        &["memory.table_cache.ways=4"],
        &["5", "40"],
        MISSES,
        "/cycles",
        Up,
    ),
];

const FRONT_END: [Row; 3] = [
    row(
        "front_end.window",
        &[],
        &["1", "8"],
        MISSES,
        "/cycles",
        Down,
    ),
    row(
        "front_end.issue_gap_cycles",
        &[],
        &["0", "1000"],
        MISSES,
        "/cycles",
        Up,
    ),
    row(
        "front_end.fetch_block_bytes",
        &[],
        &["0", "16", "32", "64"],
        STRAIGHT,
        "/itlb/lookups",
        Down,
    ),
];

const MAPPING: [Row; 6] = [
    row(
        "mapping.pages",
        &[],
        &["\"4k\"", "\"2m\"", "\"1g\"", "\"mixed\""],
        round('l', PAGE, 1200, 1200),
        "/walks/started",
        Down,
    ),
    row(
        "mapping.levels",
        &[],
        &["4", "5"],
        MISSES,
        "/walks/memory_reads",
        Up,
    ),
    row(
        "mapping.seed",
        &["memory.jitter_cycles=30"],
        &["1", "2"],
        MISSES,
        "/cycles",
        Away,
    ),
    row(
        "mapping.accessed_dirty",
        &[],
        &["\"clear\"", "\"set\""],
        MISSES,
        "/walks/compare_and_sets",
        Down,
    ),
    row(
        "mapping.user",
        &[],
        &["true", "false"],
        ONE_STORE,
        "/trace/walk/access/cpl",
        Down,
    ),
    row(
        "mapping.writable",
        &[],
        &["true", "false"],
        ONE_STORE,
        "/trace/walk/entries/3/rights/writable",
        Away,
    ),
];
