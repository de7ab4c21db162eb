//! The performance counters: what they count, and under which names.
//!
//! Contract: 10.2. SDM vol. 3B, chapter "Performance Monitoring" (events of the kind; the contract's definitions hold). Counterpart:
//! `rtl/performance_counters.sv`.
//!
//! A hit in the first level counts nowhere here. What a cycle counts by its state is counted when the cycle performs, or is passed over.

use serde::{Serialize, Serializer};

use crate::arch::PageSize;

use super::mmu::Mmu;
use super::mmu_pkg::{
    KIND_FETCH, KIND_READ, KIND_WRITE, LOOKUP_HIT_4K, LOOKUP_MISS, Outputs, PERF_COUNTERS,
};
use super::statistics::Statistics;
use super::tlb::size_of_code;
use super::walker::{End, WalkState};

/// Kinds of requests: read, write, fetch.
const KINDS: usize = 3;
/// Counters of one kind.
pub(super) const OF_A_KIND: usize = PERF_COUNTERS / KINDS;

// Offsets among the counters of a kind, and the counters behind them.
const MISS_CAUSES_A_WALK: usize = 0;
const WALK_COMPLETED: usize = 1;
const WALK_FAULTED: usize = 4;
const WALK_PENDING: usize = 5;
const WALK_ACTIVE: usize = 6;
const STLB_HIT: usize = 7;
pub(super) const PAGE_WALKER_LOADS: usize = 30;
pub(super) const TLB_FLUSH: usize = 31;

/// A counter: its name, and what it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// As `perf` and the vendors' event lists write it: `dtlb_load_misses.walk_completed_4k`.
    pub name: &'static str,
    /// What it counts, and where that differs from the vendors' event of the name.
    pub meaning: &'static str,
}

/// The ten events of a kind of requests, under the prefix of that kind.
macro_rules! events_of_a_kind {
    ($prefix:literal, $requests:literal) => {
        [
            Event {
                name: concat!($prefix, ".miss_causes_a_walk"),
                meaning: concat!(
                    $requests,
                    " that cause a page walk of any page size, completed or not. Also those whose page was found in a TLB with rights that \
                     deny the access or, for a write, with D = 0; a request that waits for another one's walk causes none, and a walk that \
                     begins again from CR3 is one."
                ),
            },
            Event {
                name: concat!($prefix, ".walk_completed_4k"),
                meaning: concat!(
                    "Page walks completed for ",
                    $requests,
                    ", to 4 KiB pages. Without those that fault, which Intel's event of the name counts too."
                ),
            },
            Event {
                name: concat!($prefix, ".walk_completed_2m_4m"),
                meaning: concat!(
                    "Page walks completed for ",
                    $requests,
                    ", to 2 MiB or 4 MiB pages. Without those that fault, which Intel's event of the name counts too."
                ),
            },
            Event {
                name: concat!($prefix, ".walk_completed_1g"),
                meaning: concat!(
                    "Page walks completed for ",
                    $requests,
                    ", to 1 GiB pages. Without those that fault, which Intel's event of the name counts too."
                ),
            },
            Event {
                name: concat!($prefix, ".walk_faulted"),
                meaning: concat!(
                    "Page walks for ",
                    $requests,
                    " that end in a page fault or a bus error. Intel counts them as completed, by page size, and has no event of this name."
                ),
            },
            Event {
                name: concat!($prefix, ".walk_pending"),
                meaning: concat!(
                    "Page walks outstanding for ",
                    $requests,
                    " in each cycle, added up: walkers that are busy, from the cycle after one is taken to that in which it ends."
                ),
            },
            Event {
                name: concat!($prefix, ".walk_active"),
                meaning: concat!(
                    "Cycles in which at least one walker is busy with a page walk for ",
                    $requests,
                    "."
                ),
            },
            Event {
                name: concat!($prefix, ".stlb_hit_4k"),
                meaning: concat!(
                    $requests,
                    " that miss the first-level TLB and hit in the second, to 4 KiB pages; the rights allow them."
                ),
            },
            Event {
                name: concat!($prefix, ".stlb_hit_2m_4m"),
                meaning: concat!(
                    $requests,
                    " that miss the first-level TLB and hit in the second, to 2 MiB or 4 MiB pages, also where it keeps them in pieces; \
                     the rights allow them."
                ),
            },
            Event {
                name: concat!($prefix, ".stlb_hit_1g"),
                meaning: concat!(
                    $requests,
                    " that miss the first-level TLB and hit in the second, to 1 GiB pages, also where it keeps them in pieces; the rights \
                     allow them."
                ),
            },
        ]
    };
}

const OF_READS: [Event; OF_A_KIND] = events_of_a_kind!("dtlb_load_misses", "loads");
const OF_WRITES: [Event; OF_A_KIND] = events_of_a_kind!("dtlb_store_misses", "stores");
const OF_FETCHES: [Event; OF_A_KIND] = events_of_a_kind!("itlb_misses", "instruction fetches");

/// The counters, by the contract's numbers.
pub const EVENTS: [Event; PERF_COUNTERS] = events();

const fn events() -> [Event; PERF_COUNTERS] {
    let mut all = [Event {
        name: "",
        meaning: "",
    }; PERF_COUNTERS];
    let mut number = 0;
    while number < OF_A_KIND {
        all[OF_A_KIND * KIND_READ as usize + number] = OF_READS[number];
        all[OF_A_KIND * KIND_WRITE as usize + number] = OF_WRITES[number];
        all[OF_A_KIND * KIND_FETCH as usize + number] = OF_FETCHES[number];
        number += 1;
    }
    all[PAGE_WALKER_LOADS] = Event {
        name: "page_walker_loads",
        meaning: "Reads of paging-structure entries by the walkers, those for prefetches included. Intel's event of the name tells apart \
                  which cache had the line.",
    };
    all[TLB_FLUSH] = Event {
        name: "tlb_flush",
        meaning: "Invalidations of TLBs and paging-structure caches by an operation: of everything, of a PCID, or of a page, whether \
                  anything was there or not. Not what a page fault removes.",
    };
    all
}

/// The values of all counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerformanceCounters([u64; PERF_COUNTERS]);

impl Default for PerformanceCounters {
    fn default() -> Self {
        Self::ZERO
    }
}

/// The values under their names, in the contract's order.
impl Serialize for PerformanceCounters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.named())
    }
}

impl PerformanceCounters {
    /// After reset.
    pub const ZERO: Self = Self([0; PERF_COUNTERS]);

    /// Those that a machine shows.
    pub const fn shown(outputs: &Outputs) -> Self {
        Self(outputs.perf)
    }

    /// By the contract's numbers.
    #[inline]
    pub const fn values(&self) -> &[u64; PERF_COUNTERS] {
        &self.0
    }

    /// Each under its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EVENTS.iter().map(|event| event.name).zip(self.0)
    }

    /// The counter of that name.
    pub fn of(&self, name: &str) -> Option<u64> {
        self.named()
            .find_map(|(own, value)| (own == name).then_some(value))
    }

    #[inline]
    const fn add(&mut self, kind: u8, offset: usize, count: u64) {
        let number = OF_A_KIND * kind as usize + offset;
        self.0[number] = self.0[number].wrapping_add(count);
    }

    /// A walker takes a request of `kind`.
    #[inline]
    pub(super) const fn count_taken(&mut self, kind: u8) {
        self.add(kind, MISS_CAUSES_A_WALK, 1);
    }

    /// A walk of a request of `kind` ended.
    #[inline]
    pub(super) const fn count_end(&mut self, kind: u8, end: Option<End>) {
        let offset = match end {
            Some(End::Translated(size)) => WALK_COMPLETED + size.array_index(),
            _ => WALK_FAULTED,
        };
        self.add(kind, offset, 1);
    }

    /// In each of that many cycles `walkers` walkers, at least one, have a request of `kind`.
    #[inline]
    pub(super) const fn count_walking(&mut self, kind: u8, walkers: u64, cycles: u64) {
        self.add(kind, WALK_PENDING, walkers.wrapping_mul(cycles));
        self.add(kind, WALK_ACTIVE, cycles);
    }

    /// A request of `kind` was looked up in the STLB, with this code and, if that is of a hit, a page of the size of the code `page_size`.
    #[inline]
    pub(super) const fn count_stlb(&mut self, kind: u8, code: u8, page_size: u8) {
        if code >= LOOKUP_HIT_4K && code < LOOKUP_MISS {
            self.count_stlb_hits(kind, page_size, 1);
        }
    }

    /// So many requests of `kind` hit in the STLB, pages of the size of the code `page_size`.
    #[inline]
    pub(super) const fn count_stlb_hits(&mut self, kind: u8, page_size: u8, hits: u64) {
        let size: PageSize = size_of_code(page_size as u64);
        self.add(kind, STLB_HIT + size.array_index(), hits);
    }

    /// So many walks of requests of `kind`, one after another, led to 4 KiB pages, with `reads` and `cycles` each.
    pub(super) const fn count_plain_walks(
        &mut self,
        kind: u8,
        walks: u64,
        reads: u64,
        cycles: u64,
    ) {
        self.add(kind, MISS_CAUSES_A_WALK, walks);
        self.add(kind, WALK_COMPLETED, walks);
        self.count_walking(kind, 1, walks.wrapping_mul(cycles));
        self.count_loads(walks.wrapping_mul(reads));
    }

    /// A read is transferred on the memory port.
    #[inline]
    pub(super) const fn count_load(&mut self) {
        self.count_loads(1);
    }

    /// So many reads are transferred on the memory port.
    #[inline]
    pub(super) const fn count_loads(&mut self, reads: u64) {
        self.0[PAGE_WALKER_LOADS] = self.0[PAGE_WALKER_LOADS].wrapping_add(reads);
    }

    /// An operation performs an invalidation.
    #[inline]
    pub(super) const fn count_flush(&mut self) {
        self.0[TLB_FLUSH] = self.0[TLB_FLUSH].wrapping_add(1);
    }

    /// The sum over all kinds.
    fn of_all_kinds(&self, offset: usize) -> u64 {
        let of_kind = |kind| self.0[OF_A_KIND * kind + offset];
        (0..KINDS).map(of_kind).fold(0, u64::wrapping_add)
    }

    /// The laws that the counters obey, by themselves and with the statistics of the same cycles. `under_way`: by kind, the walkers that
    /// have a request; `walkers`: those that the machine has.
    ///
    /// # Errors
    /// The first law that is broken, with the figures.
    pub fn check_conservation(
        &self,
        statistics: &Statistics,
        under_way: [u64; 3],
        walkers: u64,
    ) -> Result<(), String> {
        for (kind, under_way) in under_way.into_iter().enumerate() {
            let of = &self.0[OF_A_KIND * kind..][..OF_A_KIND];
            let prefix = EVENTS[OF_A_KIND * kind].name.split('.').next();
            let prefix = prefix.unwrap_or_default();
            let ended: u64 = of[WALK_COMPLETED..=WALK_FAULTED].iter().sum();
            if of[MISS_CAUSES_A_WALK] != ended + under_way {
                return Err(format!(
                    "{prefix}: {} walks caused are not {ended} ended and {under_way} under way",
                    of[MISS_CAUSES_A_WALK]
                ));
            }
            let (pending, active) = (of[WALK_PENDING], of[WALK_ACTIVE]);
            if active > pending || pending > walkers * active {
                return Err(format!(
                    "{prefix}: {pending} cycles of walks in {active} cycles with one, and {walkers} walkers"
                ));
            }
            // START, READ, READ_WAIT, EXAMINE and DONE are five cycles at the least.
            if pending < 5 * ended {
                return Err(format!(
                    "{prefix}: {ended} walks ended in only {pending} cycles"
                ));
            }
        }
        self.check_statistics(statistics, under_way.iter().sum())
    }

    /// The laws that tie them to the statistics.
    fn check_statistics(&self, statistics: &Statistics, under_way: u64) -> Result<(), String> {
        let Statistics {
            walks,
            prefetches,
            stlb,
            control,
            ..
        } = statistics;
        let completed = (WALK_COMPLETED..WALK_FAULTED)
            .map(|offset| self.of_all_kinds(offset))
            .sum::<u64>();
        let of_prefetches = prefetches.walked.saturating_sub(prefetches.stopped);
        let hits = (STLB_HIT..OF_A_KIND)
            .map(|offset| self.of_all_kinds(offset))
            .sum::<u64>();
        let started = statistics.walks_of_requests();
        let caused = self.of_all_kinds(MISS_CAUSES_A_WALK);
        let laws = [
            (
                "walks faulted",
                self.of_all_kinds(WALK_FAULTED),
                walks.faulted + walks.aborted,
                0,
            ),
            ("STLB hits", hits, stlb.hits, 0),
            (
                "page walker loads",
                self.0[PAGE_WALKER_LOADS],
                walks.memory_reads,
                0,
            ),
            // A walk is caused before its START performs.
            ("walks caused", caused, started, under_way),
            ("walks completed", walks.completed, completed, of_prefetches),
        ];
        for (name, more, less, most) in laws {
            if more < less || more - less > most {
                return Err(format!(
                    "{name}: {more} and {less} differ by other than 0 to {most}"
                ));
            }
        }
        // One may have performed and not been answered.
        let operations = control.operations - control.general_protections;
        if self.0[TLB_FLUSH] > operations + 1 {
            return Err(format!(
                "{} TLB flushes by {operations} operations",
                self.0[TLB_FLUSH]
            ));
        }
        Ok(())
    }
}

impl Mmu {
    /// The performance counters, as a cycle that begins now shows them.
    #[inline]
    pub const fn performance_counters(&self) -> &PerformanceCounters {
        &self.counters
    }

    /// By kind, the walkers that have a request of it.
    #[inline]
    pub fn walks_under_way(&self) -> [u64; 3] {
        let mut kinds = [0; KINDS];
        for walker in &self.walkers[..self.spec.walkers] {
            if walker.state() != WalkState::Idle && !walker.has_prefetch() {
                let request = &self.miss_queue.entry(walker.owner()).request;
                kinds[request.access.kind as usize] += 1;
            }
        }
        kinds
    }

    /// Counts the walkers that are busy, for that many cycles in which they stay so.
    #[inline]
    pub(super) fn count_walkers(&mut self, cycles: u64) {
        for (kind, walkers) in self.walks_under_way().into_iter().enumerate() {
            if walkers > 0 {
                self.counters.count_walking(kind as u8, walkers, cycles);
            }
        }
    }

    /// Brings what [`Mmu::show`] drove in a quiet cycle to `cycles` quiet cycles later: the counters of walks go on.
    pub fn show_later(&self, cycles: u64, outputs: &mut Outputs) {
        let under_way = self.walks_under_way();
        if under_way == [0; KINDS] {
            return;
        }
        let mut later = PerformanceCounters::shown(outputs);
        for (kind, walkers) in under_way.into_iter().enumerate() {
            if walkers > 0 {
                later.count_walking(kind as u8, walkers, cycles);
            }
        }
        outputs.perf = later.0;
    }

    /// The laws that statistics and performance counters obey at any time.
    ///
    /// # Errors
    /// The first law that is broken, with the figures.
    pub fn check_conservation(&self) -> Result<(), String> {
        self.statistics.check_conservation()?;
        let (under_way, walkers) = (self.walks_under_way(), self.spec.walkers as u64);
        self.counters
            .check_conservation(&self.statistics, under_way, walkers)
    }
}
