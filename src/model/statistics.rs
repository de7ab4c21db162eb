//! What the machine counts, natively and from its monitor, and the laws that the counts obey.
//!
//! Contract: 10 (monitor), from which every figure can be derived. Counterpart: none; the RTL's figures are drawn from its monitor.
//!
//! The model counts as it goes. `observation` derives the same figures from the inputs and outputs of every cycle, of either
//! twin; `conservation` checks the laws. Requests count when accepted, responses when transferred, all else when it performs.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::config::Config;

use super::latency::LatencyHistogram;
use super::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR,
    LOOKUP_HIT_4K, LOOKUP_MERGED, LOOKUP_MISS, MAX_WALKERS, PREFETCH_ENTRY, PSC_LEVELS,
    STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION, STATUS_PAGE_FAULT, STATUS_TRANSLATED, TLB_ARRAYS,
    WALK_BUS_ERROR, WALK_PAGE_FAULT, WALK_RESTART, WALK_START, WALK_STOPPED, WALK_TRANSLATED,
    WalkEvent,
};
use super::observation::Watch;
use super::port::Response;
use super::spec::Spec;

/// Page-fault error codes have six bits.
const FAULT_CODES: usize = 64;
/// The paging-structure caches, by the contract's numbers.
const PSC_NAMES: [&str; PSC_LEVELS] = ["pde", "pdpte", "pml4e", "pml5e"];

/// Look-ups of one TLB level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct LevelStatistics {
    /// Requests that were looked up in the arrays of the level.
    pub lookups: u64,
    /// Look-ups that matched an entry which allows the access.
    pub hits: u64,
    /// All other look-ups.
    pub misses: u64,
    /// Hits by kept size: 4 KiB, 2 MiB (in 32-bit paging 4 MiB), 1 GiB.
    pub hits_by_size: [u64; 3],
    /// Misses that matched an entry whose rights deny the access.
    pub denied: u64,
    /// Misses of writes that matched an entry with D = 0.
    pub dirty_clear: u64,
    /// Misses that were put to wait for another miss of the same page. Always 0 for the STLB.
    pub merged: u64,
    /// Look-ups, hits and misses among them, of requests that had waited for another. Always 0 for the STLB.
    pub retries: u64,
    /// Requests answered without a look-up: paging is off, or the address is not canonical. Always 0 for the STLB.
    pub bypassed: u64,
}

impl LevelStatistics {
    /// Misses that matched nothing, and did not wait for another.
    pub const fn plain_misses(&self) -> u64 {
        self.misses - self.denied - self.dirty_clear - self.merged
    }
}

/// Look-ups of one paging-structure cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct PscStatistics {
    /// Walks that looked for a start, and for which no cache of a lower level had one. 0 for a cache without entries; a walk looks in
    /// those of the levels that the mode has, in 32-bit paging in that of PDEs alone.
    pub lookups: u64,
    /// Walks that began at an entry of this cache.
    pub hits: u64,
}

/// The miss queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct MissQueueStatistics {
    /// How often its last free entry was taken: from then on, requests that need one are refused.
    pub full: u64,
}

/// The prefetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct PrefetchStatistics {
    /// Pages that were to be looked for.
    pub triggered: u64,
    /// Those that the STLB had already.
    pub probe_hits: u64,
    /// Walks begun for the others; the walks' figures have them too.
    pub walked: u64,
    /// Walks given up: an entry was not fit, or the right to fill was lost.
    pub stopped: u64,
    /// Walks that put a translation into the STLB.
    pub filled: u64,
}

/// The walkers, requests and prefetches together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct WalkStatistics {
    /// Walks begun; a restart is not another walk.
    pub started: u64,
    /// Walks that began again from CR3, because a walk from a cached entry ended in a page fault or bus error.
    pub restarted: u64,
    /// Walks that found a translation.
    pub completed: u64,
    /// Walks that ended in a page fault.
    pub faulted: u64,
    /// Walks that ended in a bus error.
    pub aborted: u64,
    /// Walks of prefetches that were given up.
    pub stopped: u64,
    /// Entries read; what a lost compare-and-set brought back is not counted.
    pub memory_reads: u64,
    /// Compare-and-sets issued, won or lost.
    pub compare_and_sets: u64,
    /// Compare-and-sets that found another value than expected.
    pub races_lost: u64,
    /// Cycles of the walks that have ended, from START to DONE, both included; those of walks at the same time are added up.
    pub cycles: u64,
    /// Cycles in which at least two walkers were not idle.
    pub parallel_cycles: u64,
}

/// One array or paging-structure cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct ArrayStatistics {
    /// Entries put in.
    pub fills: u64,
    /// Entries that a fill displaced: the victim, or any that conflicted.
    pub evictions: u64,
    /// Entries that invalidations, back-invalidations and drops removed.
    pub invalidations: u64,
}

impl ArrayStatistics {
    /// Entries that must be valid now.
    ///
    /// # Errors
    /// More entries went than came.
    pub(super) fn occupancy(&self, name: &str) -> Result<u64, String> {
        self.fills
            .checked_sub(self.evictions + self.invalidations)
            .ok_or_else(|| {
                format!(
                    "{name}: {} evictions and {} invalidations of only {} fills",
                    self.evictions, self.invalidations, self.fills
                )
            })
    }
}

/// Responses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ResponseStatistics {
    /// Responses with a physical address.
    pub translated: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults by error code, 0 to 63.
    #[serde(serialize_with = "serialize_faults")]
    pub page_faults_by_code: [u64; FAULT_CODES],
    /// Addresses that are not canonical.
    pub general_protections: u64,
    /// Walks that met a bus error.
    pub bus_errors: u64,
}

impl ResponseStatistics {
    const NONE: Self = Self {
        translated: 0,
        page_faults: 0,
        page_faults_by_code: [0; FAULT_CODES],
        general_protections: 0,
        bus_errors: 0,
    };

    /// All responses.
    pub const fn total(&self) -> u64 {
        self.translated + self.page_faults + self.general_protections + self.bus_errors
    }
}

/// The codes that occurred, as hexadecimal keys in ascending order.
fn serialize_faults<S: Serializer>(
    counts: &[u64; FAULT_CODES],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let occurred = counts.iter().enumerate().filter(|(_, count)| **count != 0);
    serializer.collect_map(occurred.map(|(code, count)| (format!("{code:#04x}"), count)))
}

/// The caches under their names.
fn serialize_psc<S: Serializer>(
    counts: &[PscStatistics; PSC_LEVELS],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(PSC_NAMES.iter().zip(counts))
}

/// Control operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct ControlStatistics {
    /// Operations answered.
    pub operations: u64,
    /// Operations answered with #GP.
    pub general_protections: u64,
}

/// Every figure since reset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Statistics {
    /// Cycles since reset.
    pub cycles: u64,
    /// Requests accepted, on all ports.
    pub requests: u64,
    /// Responses transferred, on all ports.
    pub responses: ResponseStatistics,
    /// First-level TLB of the fetch port.
    pub itlb: LevelStatistics,
    /// First-level TLB of the data ports.
    pub dtlb: LevelStatistics,
    /// Second-level TLB.
    pub stlb: LevelStatistics,
    /// The caches of PDEs, PDPTEs, PML4Es and PML5Es.
    #[serde(serialize_with = "serialize_psc")]
    pub psc: [PscStatistics; PSC_LEVELS],
    /// The walkers.
    pub walks: WalkStatistics,
    /// Cycles of the walks of requests that have ended, from START to DONE, both included.
    pub walk_latency_cycles: LatencyHistogram,
    /// The miss queue.
    pub miss_queue: MissQueueStatistics,
    /// The prefetch.
    pub prefetches: PrefetchStatistics,
    /// TLB arrays, by the contract's numbers.
    pub tlb_arrays: [ArrayStatistics; TLB_ARRAYS],
    /// Paging-structure caches, by the contract's numbers.
    pub psc_arrays: [ArrayStatistics; PSC_LEVELS],
    /// Control operations.
    pub control: ControlStatistics,
    #[serde(skip)]
    pub(super) capacity: Capacity,
    /// For each walker the cycle in which the walk that is under way started.
    #[serde(skip)]
    pub(super) walking_since: [Option<u64>; MAX_WALKERS],
    /// What the state was in the cycle before.
    #[serde(skip)]
    pub(super) was: Was,
    #[serde(skip)]
    pub(super) watch: Watch,
}

/// What must be remembered of the state to count when it changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Was {
    /// No entry of the miss queue was free.
    pub full: bool,
    /// The number, counted from 1, of the last cycle with the prefetch in PROBE.
    pub probing: u64,
}

/// What the machine has room for; fixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Capacity {
    pub tlb_entries: [u64; TLB_ARRAYS],
    pub psc_entries: [u64; PSC_LEVELS],
    pub miss_queue_entries: usize,
    pub walkers: u64,
}

impl Statistics {
    /// All zero, for a machine of this configuration, which must be valid.
    pub fn new(config: &Config) -> Self {
        let spec = Spec::new(config);
        Self::zero(Capacity {
            tlb_entries: spec.arrays.map(|array| u64::from(array.entries())),
            psc_entries: spec.psc.map(|cache| u64::from(cache.entries())),
            miss_queue_entries: spec.miss_queue_entries,
            walkers: spec.walkers as u64,
        })
    }

    pub(super) fn zero(capacity: Capacity) -> Self {
        Self {
            cycles: 0,
            requests: 0,
            responses: ResponseStatistics::NONE,
            itlb: LevelStatistics::default(),
            dtlb: LevelStatistics::default(),
            stlb: LevelStatistics::default(),
            psc: Default::default(),
            walks: WalkStatistics::default(),
            walk_latency_cycles: LatencyHistogram::default(),
            miss_queue: MissQueueStatistics::default(),
            prefetches: PrefetchStatistics::default(),
            tlb_arrays: Default::default(),
            psc_arrays: Default::default(),
            control: ControlStatistics::default(),
            capacity,
            walking_since: [None; MAX_WALKERS],
            was: Was::default(),
            watch: Watch::default(),
        }
    }

    /// All zero again.
    pub fn reset(&mut self) {
        *self = Self::zero(self.capacity.clone());
    }

    #[inline]
    const fn level_mut(&mut self, level: usize) -> &mut LevelStatistics {
        match level {
            0 => &mut self.itlb,
            1 => &mut self.dtlb,
            _ => &mut self.stlb,
        }
    }

    /// Valid entries, now, of the TLB array of that number, as fills and removals imply.
    pub fn tlb_occupancy(&self, array: usize) -> u64 {
        self.tlb_arrays[array].occupancy("").unwrap_or(0)
    }

    /// Valid entries, now, of the paging-structure cache of that number, as fills and removals imply.
    pub fn psc_occupancy(&self, cache: usize) -> u64 {
        self.psc_arrays[cache].occupancy("").unwrap_or(0)
    }

    /// In each of that many cycles, of which this is the first, no entry of the miss queue is free, the prefetch is in PROBE, and at
    /// least two walkers are not idle; or not.
    #[inline]
    pub(super) fn count_state(&mut self, cycles: u64, full: bool, probing: bool, parallel: bool) {
        self.count_full(full);
        if probing {
            self.count_probing(cycles);
        }
        if parallel {
            self.walks.parallel_cycles += cycles;
        }
    }

    /// From some cycle on no entry of the miss queue was free, or one was.
    #[inline]
    pub(super) fn count_full(&mut self, full: bool) {
        self.miss_queue.full += u64::from(full && !self.was.full);
        self.was.full = full;
    }

    /// In each of that many cycles, of which this is the first, the prefetch is in PROBE.
    #[inline]
    pub(super) fn count_probing(&mut self, cycles: u64) {
        // Between two prefetches there is at least one cycle without.
        self.prefetches.triggered += u64::from(self.was.probing != self.cycles);
        self.was.probing = self.cycles + cycles;
    }

    /// A request took an entry of the miss queue when all were free, and left it before another took one.
    #[inline]
    pub(super) fn count_only_miss(&mut self) {
        self.miss_queue.full += u64::from(self.capacity.miss_queue_entries == 1);
    }

    /// The STLB was searched for the page of the prefetch.
    #[inline]
    pub(super) fn count_probe(&mut self, code: u8) {
        self.prefetches.probe_hits += u64::from(code < LOOKUP_MISS);
    }

    /// A look-up of `level` came to `code`; `retry`: of a request in RETRY.
    #[inline]
    pub(super) fn count_look_up(&mut self, level: usize, code: u8, retry: bool) {
        let counts = self.level_mut(level);
        if code == LOOKUP_BYPASS {
            counts.bypassed += 1;
            return;
        }
        counts.lookups += 1;
        counts.retries += u64::from(retry);
        match code {
            LOOKUP_HIT_4K..LOOKUP_MISS => {
                counts.hits += 1;
                counts.hits_by_size[usize::from(code - LOOKUP_HIT_4K)] += 1;
            }
            _ => {
                counts.misses += 1;
                counts.denied += u64::from(code == LOOKUP_DENIED);
                counts.dirty_clear += u64::from(code == LOOKUP_DIRTY_CLEAR);
                counts.merged += u64::from(code == LOOKUP_MERGED);
            }
        }
    }

    /// So many requests came to that code of a hit at `level`, and were answered.
    #[inline(always)]
    pub(super) fn count_hits(&mut self, level: usize, code: u8, count: u64) {
        self.requests += count;
        self.responses.translated += count;
        let counts = self.level_mut(level);
        counts.lookups += count;
        counts.hits += count;
        counts.hits_by_size[usize::from(code - LOOKUP_HIT_4K) % 3] += count;
    }

    /// So many requests, by number of the kept size, hit at `level`, and were answered.
    pub(super) fn count_hits_by_size(&mut self, level: usize, by_size: [u64; 3]) {
        for (code, count) in (LOOKUP_HIT_4K..).zip(by_size) {
            self.count_hits(level, code, count);
        }
    }

    /// So many requests, each the only one in the machine, matched nothing in the first level `level`, and were translated: `hit` in the STLB,
    /// at the kept size of 4 KiB, or by walks.
    pub(super) fn count_misses(&mut self, level: usize, hit: bool, count: u64) {
        self.requests += count;
        self.responses.translated += count;
        if self.capacity.miss_queue_entries == 1 {
            self.miss_queue.full += count;
        }
        let first = self.level_mut(level);
        first.lookups += count;
        first.misses += count;
        self.stlb.lookups += count;
        if hit {
            self.stlb.hits += count;
            self.stlb.hits_by_size[0] += count;
        } else {
            self.stlb.misses += count;
        }
    }

    /// So many walks of requests found translations, with `reads` and `cycles` each, one after another.
    pub(super) fn count_plain_walks(&mut self, count: u64, reads: u64, cycles: u64) {
        self.walks.started += count;
        self.walks.completed += count;
        self.walks.memory_reads += count * reads;
        self.walks.cycles += count * cycles;
        self.walk_latency_cycles.add_many(cycles, count);
    }

    /// The first `caches` paging-structure caches were looked up; `matched` is the lowest that had an entry.
    #[inline]
    pub(super) fn count_psc_look_up(&mut self, matched: Option<usize>, caches: usize) {
        self.count_psc_look_ups(matched, caches, 1);
    }

    /// So many times.
    #[inline]
    pub(super) fn count_psc_look_ups(&mut self, matched: Option<usize>, caches: usize, count: u64) {
        let asked = matched.map_or(caches, |number| number + 1);
        for (number, counts) in self.psc.iter_mut().enumerate().take(asked) {
            if self.capacity.psc_entries[number] > 0 {
                counts.lookups += count;
            }
        }
        if let Some(number) = matched {
            self.psc[number].hits += count;
        }
    }

    /// START or DONE of a walker performed in `cycle`.
    #[inline]
    pub(super) fn count_walk(&mut self, walker: usize, event: &WalkEvent, cycle: u64) {
        let prefetch = event.entry == PREFETCH_ENTRY;
        match event.op {
            WALK_START => {
                self.walks.started += 1;
                self.prefetches.walked += u64::from(prefetch);
                self.walking_since[walker] = Some(cycle);
                return;
            }
            WALK_RESTART => {
                self.walks.restarted += 1;
                return;
            }
            WALK_TRANSLATED => {
                self.walks.completed += 1;
                self.prefetches.filled += u64::from(prefetch && event.filled != 0);
            }
            WALK_PAGE_FAULT => self.walks.faulted += 1,
            WALK_BUS_ERROR => self.walks.aborted += 1,
            WALK_STOPPED => {
                self.walks.stopped += 1;
                self.prefetches.stopped += 1;
            }
            _ => return,
        }
        if let Some(since) = self.walking_since[walker].take() {
            let cycles = cycle - since + 1;
            self.walks.cycles += cycles;
            if !prefetch {
                self.walk_latency_cycles.add(cycles);
            }
        }
    }

    /// A read or a compare-and-set was accepted by memory.
    #[inline]
    pub(super) fn count_memory_request(&mut self, compare_and_set: bool) {
        if compare_and_set {
            self.walks.compare_and_sets += 1;
        } else {
            self.walks.memory_reads += 1;
        }
    }

    /// A TLB array changed, or not.
    #[inline]
    pub(super) fn count_tlb_event(&mut self, array: usize, event: &ArrayEvent) {
        count_array_event(&mut self.tlb_arrays[array], event);
    }

    /// A paging-structure cache changed, or not.
    #[inline]
    pub(super) fn count_psc_event(&mut self, cache: usize, event: &ArrayEvent) {
        count_array_event(&mut self.psc_arrays[cache], event);
    }

    /// A response was transferred.
    #[inline]
    pub(super) fn count_response(&mut self, response: &Response) {
        let counts = &mut self.responses;
        match response.status {
            STATUS_TRANSLATED => counts.translated += 1,
            STATUS_PAGE_FAULT => {
                counts.page_faults += 1;
                counts.page_faults_by_code[usize::from(response.error_code) % FAULT_CODES] += 1;
            }
            STATUS_GENERAL_PROTECTION => counts.general_protections += 1,
            STATUS_BUS_ERROR => counts.bus_errors += 1,
            _ => {}
        }
    }

    /// A response that was counted is yet to be transferred.
    pub(super) fn take_back_response(&mut self, response: &Response) {
        let counts = &mut self.responses;
        match response.status {
            STATUS_TRANSLATED => counts.translated -= 1,
            STATUS_PAGE_FAULT => {
                counts.page_faults -= 1;
                counts.page_faults_by_code[usize::from(response.error_code) % FAULT_CODES] -= 1;
            }
            STATUS_GENERAL_PROTECTION => counts.general_protections -= 1,
            _ => counts.bus_errors -= 1,
        }
    }

    /// A look-up that was counted as a hit, or a request that was counted as bypassed, is yet to be looked up.
    pub(super) fn take_back_hit(&mut self, level: usize, code: u8) {
        let counts = self.level_mut(level);
        if code == LOOKUP_BYPASS {
            counts.bypassed -= 1;
            return;
        }
        counts.lookups -= 1;
        counts.hits -= 1;
        counts.hits_by_size[usize::from(code - LOOKUP_HIT_4K)] -= 1;
    }

    /// The answer to a control operation was transferred.
    pub(super) fn count_control(&mut self, general_protection: bool) {
        self.control.operations += 1;
        self.control.general_protections += u64::from(general_protection);
    }
}

#[inline]
fn count_array_event(counts: &mut ArrayStatistics, event: &ArrayEvent) {
    match event.op {
        ARRAY_FILL => {
            counts.fills += 1;
            counts.evictions += u64::from(event.removed.count_ones());
        }
        // What one page loses at the larger kept sizes stands in masks of its own; else they are 0, those of a paging-structure cache too.
        ARRAY_INVALIDATE => {
            let masks = [event.removed, event.tag, event.data];
            let removed = masks.map(|mask| u64::from(mask.count_ones()));
            counts.invalidations += removed.iter().sum::<u64>();
        }
        _ => {}
    }
}
