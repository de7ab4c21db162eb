//! What a run exercised and compared, counted from the cycles of one twin.
//!
//! Contract: sections 3, 7, 8, 9, 10. SDM: none. Counterpart: none.
//!
//! Only what is valid is counted: a transfer, not an offer; an event, not a cycle in which the port is compared and idle. The counts of
//! a run in which the twins agree are those of both.

use std::collections::{BTreeMap, VecDeque};

use serde::{Serialize, Serializer};

use super::events::paging_mode;
use super::stimulus::{ControlKind, Store};
use crate::arch::registers::cr4;
use crate::arch::{PageFaultCode, PageSize, PagingMode};
use crate::config::{Config, Level};
use crate::model::liveness::MissWord;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, ControlOut, Inputs, LOOKUP_DENIED,
    LOOKUP_DIRTY_CLEAR, LOOKUP_HIT_1G, LOOKUP_HIT_4K, LOOKUP_MERGED, LOOKUP_MISS, MAX_PORTS,
    MEM_COMPARE_AND_SET, MEM_READ, MISS_FREE, MISS_WALK_WAIT, MISS_WALKING, Outputs,
    PREFETCH_ENTRY, PortOut, Queues, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION,
    STATUS_PAGE_FAULT, STATUS_TRANSLATED, TLB_ARRAYS, WALK_BUS_ERROR, WALK_PAGE_FAULT,
    WALK_RESTART, WALK_START, WALK_STOPPED, WALK_TRANSLATED, byte_mask, miss_state,
};
use crate::reference::finding::InvalidationKind;

/// Page-fault error codes have six bits in this machine.
pub const FAULT_CODES: usize = 64;

/// Page faults by error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultCounts(pub [u64; FAULT_CODES]);

impl Default for FaultCounts {
    fn default() -> Self {
        Self([0; FAULT_CODES])
    }
}

impl FaultCounts {
    /// Page faults of every code.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many had all bits of `mask`.
    pub fn with(&self, mask: u32) -> u64 {
        self.count(|code| code.has(mask))
    }

    /// How many had none of the bits of `mask`.
    pub fn without(&self, mask: u32) -> u64 {
        self.count(|code| code.raw() & mask == 0)
    }

    fn count(&self, want: impl Fn(PageFaultCode) -> bool) -> u64 {
        self.nonzero()
            .filter(|(code, _)| want(*code))
            .map(|(_, count)| count)
            .sum()
    }

    /// The codes that occurred.
    pub fn nonzero(&self) -> impl Iterator<Item = (PageFaultCode, u64)> {
        (0..)
            .map(PageFaultCode)
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
    }
}

impl Serialize for FaultCounts {
    /// An object from the code in hexadecimal to its count, codes that did not occur left out.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let map: BTreeMap<String, u64> = self
            .nonzero()
            .map(|(code, count)| (format!("{:#04x}", code.raw()), count))
            .collect();
        map.serialize(serializer)
    }
}

/// Live stale entries that were removed, by what removed them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StaleRemovals(pub [u64; InvalidationKind::COUNT]);

impl StaleRemovals {
    /// How many `kind` removed.
    pub const fn by(&self, kind: InvalidationKind) -> u64 {
        self.0[kind as usize]
    }
}

impl Serialize for StaleRemovals {
    /// An object from the kind to its count, every kind named.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(InvalidationKind::ALL.map(|kind| (kind.name(), self.by(kind))))
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The counts of a run. The names are the keys of `--json`.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            /// Page faults by error code.
            pub faults: FaultCounts,
            /// Live stale entries that were removed.
            pub stale_removed: StaleRemovals,
        }

        impl Counters {
            /// Adds the counts of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (mine, theirs) in self.faults.0.iter_mut().zip(other.faults.0) {
                    *mine += theirs;
                }
                for (mine, theirs) in self.stale_removed.0.iter_mut().zip(other.stale_removed.0) {
                    *mine += theirs;
                }
            }
        }
    };
}

counters! {
    /// Operations of the stimulus that happened.
    ops,
    /// Cycles after reset.
    cycles,
    /// Responses transferred, each compared in every cycle that it stood.
    responses_compared,
    /// Page-table cells compared in the memory images at the end.
    entries_compared,
    /// Memory transactions: requests accepted and responses.
    bus_compared,
    /// Fills of TLB arrays and paging-structure caches, with set, way and content.
    fills_compared,
    /// Invalidations and drops that removed something from an array, one for each array.
    removals_compared,
    /// Valid entries that a fill pushed out.
    evictions,
    /// Reads of memory accepted.
    memory_reads,
    /// Requests accepted.
    requests,
    /// General-protection responses.
    general_protections,
    /// Bus-error responses.
    bus_errors,
    /// Walks started; a restart is no new walk.
    walks,
    /// Requests that a walker took while another was waiting for one too.
    walks_contended,
    /// Of these, those in a higher entry of the miss queue, taken while a lower one was waiting.
    walks_out_of_entry_order,
    /// Walks that started while another was under way.
    walks_in_parallel,
    /// Walks that ended in a translation.
    walks_translated,
    /// Walks that ended in a page fault.
    walks_faulted,
    /// Walks that ended in a bus error.
    walks_bus_error,
    /// Walks that began again at CR3, because what they had met through a cached entry would have been a fault or a bus error.
    walk_restarts,
    /// Walks that began below an entry of a paging-structure cache.
    cached_starts,
    /// Walks that ended in a translation and had lost the right to fill.
    fills_forfeited,
    /// Misses that waited for another of the same page.
    merged_misses,
    /// Misses that were looked up again because what they waited for was over.
    retries,
    /// Of these, look-ups that missed again: the entry was never filled, or had gone.
    retries_missed,
    /// Hits while a miss of the same port was outstanding.
    hits_under_miss,
    /// Responses that overtook an older request of their port.
    responses_out_of_order,
    /// Times that the miss queue became full.
    miss_queue_full,
    /// Walks of the prefetch that started.
    prefetch_walks,
    /// Walks of the prefetch that filled.
    prefetch_fills,
    /// Walks of the prefetch that were stopped.
    prefetch_stops,
    /// INVLPG and INVPCID that took effect while a walk was in flight.
    invalidations_during_walk,
    /// Times that 32-bit paging was entered.
    two_level_entered,
    /// Walks started in 32-bit paging.
    two_level_walks,
    /// Requests accepted in 32-bit paging with bits in the upper half of the address.
    two_level_upper_halves,
    /// Fills with 4 MiB pages, and with pieces of them.
    fills_4m,
    /// Fills of TLB arrays with a piece of a page.
    fills_of_pieces,
    /// Times that the first level lost what an inclusive STLB had evicted.
    back_invalidations,
    /// Responses with an address above 4 GiB in 32-bit paging.
    pse_36_translated,
    /// Page faults for a reserved bit in 32-bit paging.
    two_level_reserved,
    /// Changes of CR4.PSE in 32-bit paging.
    pse_changed,
    /// Compare-and-sets of an entry of 4 bytes that succeeded although the other half of the cell had changed since the entry was read.
    changed_beside,
    /// Control operations answered.
    control_operations,
    /// Of these, refused with #GP.
    control_refused,
    /// Compare-and-sets.
    compare_and_sets,
    /// Compare-and-sets that failed, because another agent had changed the entry.
    ad_races_lost,
    /// Stores of other agents.
    stores,
    /// First-level look-ups with a translated hit.
    l1_hits,
    /// First-level look-ups without a match.
    l1_misses,
    /// Second-level look-ups with a translated hit.
    stlb_hits,
    /// Second-level look-ups without a match.
    stlb_misses,
    /// Hits, at either level, that rights denied.
    denied_hits,
    /// Hits of writes, at either level, on an entry with D clear.
    dirty_clear_hits,
    /// Responses that had one legal outcome only.
    single_outcome,
    /// Responses that showed a legal outcome other than that of memory as it stood.
    stale_observed,
    /// Responses that the wide staleness check could not judge, because older history had been dropped to stay bounded.
    unjudged,
    /// Failed assertions of the RTL.
    assertions_failed,
    /// Runs in which nothing moved any more.
    hangs,
    /// Runs that were found wrong.
    mismatches,
}

/// Counts the cycles of one twin.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    counters: Counters,
    walks_in_flight: u64,
    /// What the queues held in the cycle before.
    queues: Queues,
    /// Entries that the miss queue has.
    miss_queue_entries: usize,
    /// What leaves the STLB leaves the first level too.
    inclusive: bool,
    /// The STLB evicted an entry in the cycle before.
    evicted: bool,
    /// Ids of the requests under way, by port, oldest first.
    outstanding: [VecDeque<u8>; MAX_PORTS],
    /// `expected` of the compare-and-sets that are not answered, and the bits that it is about, by id.
    expected: BTreeMap<u8, (u64, u64)>,
    /// What memory answered last, by id.
    answered: BTreeMap<u8, u64>,
    /// Mode and CR4 in the cycle before.
    mode: PagingMode,
    cr4: u64,
    /// An invalidation was accepted in the cycle before; it takes effect in this one.
    invalidation_performs: bool,
    /// It took effect during a walk; its answer will say whether it did anything.
    invalidation_met_walk: bool,
}

impl Counter {
    /// A counter for a machine of `config`.
    pub fn new(config: &Config) -> Self {
        Self {
            miss_queue_entries: config.miss_queue.entries as usize,
            inclusive: config.stlb.inclusive,
            ..Self::default()
        }
    }

    /// The counts so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a cycle into account.
    pub fn observe(&mut self, inputs: &Inputs, outputs: &Outputs, stores: &[Store]) {
        self.counters.cycles += 1;
        self.counters.stores += stores.len() as u64;
        self.modes(&outputs.control);
        if outputs.queues != self.queues {
            self.queues(&outputs.queues);
        }
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if shown.resp_valid & pins.resp_ready != 0 {
                self.response(shown);
                let waiting = &mut self.outstanding[port];
                let place = waiting.iter().position(|id| *id == shown.resp_id);
                self.counters.responses_out_of_order += u64::from(place.is_some_and(|at| at > 0));
                place.map(|at| waiting.remove(at));
            }
            if pins.req_valid & shown.req_ready != 0 {
                self.counters.requests += 1;
                let ignored = self.mode == PagingMode::TwoLevel && pins.req_va >> 32 != 0;
                self.counters.two_level_upper_halves += u64::from(ignored);
                self.outstanding[port].push_back(pins.req_id);
            }
        }
        self.bus(inputs, outputs);
        self.walks(outputs);
        self.control(inputs, outputs);
        let monitor = &outputs.monitor;
        for event in monitor.tlb.iter().chain(&monitor.psc) {
            self.array(event);
        }
        self.tlbs(&monitor.tlb);
        for (port, code) in monitor.lookup.into_iter().enumerate() {
            if code != 0 {
                self.lookup(code, true);
                self.overlap(port, code, monitor.lookup_retry[port] != 0, &outputs.queues);
            }
        }
        if monitor.stlb_entry != PREFETCH_ENTRY {
            self.lookup(monitor.stlb_lookup, false);
        }
    }

    /// The registers of a cycle.
    fn modes(&mut self, shown: &ControlOut) {
        let mode = paging_mode(shown);
        if mode == PagingMode::TwoLevel {
            let counters = &mut self.counters;
            if self.mode != mode {
                counters.two_level_entered += 1;
            } else {
                counters.pse_changed += u64::from((self.cr4 ^ shown.cr4) & cr4::PSE != 0);
            }
        }
        (self.mode, self.cr4) = (mode, shown.cr4);
    }

    /// The queues have changed since the cycle before.
    fn queues(&mut self, queues: &Queues) {
        let entries = self.miss_queue_entries.min(queues.miss.len());
        let is_full = |queues: &Queues| {
            entries > 0
                && queues.miss[..entries]
                    .iter()
                    .all(|word| miss_state(*word) != MISS_FREE)
        };
        self.counters.miss_queue_full += u64::from(is_full(queues) && !is_full(&self.queues));
        let before = &self.queues.miss;
        let waited = |entry: &usize| miss_state(before[*entry]) == MISS_WALK_WAIT;
        let granted = (0..before.len())
            .filter(waited)
            .find(|entry| miss_state(queues.miss[*entry]) == MISS_WALKING);
        if let Some(granted) = granted {
            let others = || (0..before.len()).filter(waited);
            self.counters.walks_contended += u64::from(others().count() > 1);
            self.counters.walks_out_of_entry_order +=
                u64::from(others().any(|entry| entry < granted));
        }
        self.queues = *queues;
    }

    /// A look-up in L1, in its relation to what else is outstanding.
    fn overlap(&mut self, port: usize, code: u8, retries: bool, queues: &Queues) {
        let counters = &mut self.counters;
        counters.merged_misses += u64::from(code == LOOKUP_MERGED);
        if retries {
            counters.retries += 1;
            counters.retries_missed += u64::from(code == LOOKUP_MISS);
        } else if code <= LOOKUP_HIT_1G {
            let of_port = |word: &&u32| {
                miss_state(**word) != MISS_FREE && usize::from(MissWord::new(**word).port) == port
            };
            counters.hits_under_miss += u64::from(queues.miss.iter().any(|word| of_port(&word)));
        }
    }

    /// A response. The registers wait for it, so that the mode is that of its request.
    fn response(&mut self, shown: &PortOut) {
        let counters = &mut self.counters;
        let two_level = self.mode == PagingMode::TwoLevel;
        counters.responses_compared += 1;
        match shown.resp_status {
            STATUS_TRANSLATED => {
                counters.pse_36_translated += u64::from(two_level && shown.resp_pa >> 32 != 0);
            }
            STATUS_PAGE_FAULT => {
                let code = PageFaultCode(u32::from(shown.resp_error_code));
                counters.faults.0[code.raw() as usize % FAULT_CODES] += 1;
                let reserved = two_level && code.has(PageFaultCode::RSVD);
                counters.two_level_reserved += u64::from(reserved);
            }
            STATUS_GENERAL_PROTECTION => counters.general_protections += 1,
            STATUS_BUS_ERROR => counters.bus_errors += 1,
            _ => {}
        }
    }

    fn bus(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        if pins.resp_valid & shown.resp_ready != 0 {
            self.counters.bus_compared += 1;
            let before = self.answered.insert(pins.resp_id, pins.resp_data);
            if let Some((expected, mask)) = self.expected.remove(&pins.resp_id)
                && pins.resp_error == 0
            {
                let lost = (pins.resp_data ^ expected) & mask != 0;
                // The answer before was that of the entry's read, or of a compare-and-set of it that was lost.
                let beside = before.is_some_and(|data| (data ^ pins.resp_data) & !mask != 0);
                self.counters.ad_races_lost += u64::from(lost);
                self.counters.changed_beside += u64::from(beside && !lost);
            }
        }
        if shown.req_valid & pins.req_ready != 0 {
            self.counters.bus_compared += 1;
            self.counters.memory_reads += u64::from(shown.req_op == MEM_READ);
            if shown.req_op == MEM_COMPARE_AND_SET {
                self.counters.compare_and_sets += 1;
                let mask = byte_mask(shown.req_be);
                self.expected
                    .insert(shown.req_id, (shown.req_expected, mask));
            }
        }
    }

    fn walks(&mut self, outputs: &Outputs) {
        let counters = &mut self.counters;
        for event in &outputs.monitor.walk {
            match event.op {
                WALK_START => {
                    counters.walks_in_parallel += u64::from(self.walks_in_flight > 0);
                    if event.entry == PREFETCH_ENTRY {
                        counters.prefetch_walks += 1;
                        self.walks_in_flight += 1;
                        continue;
                    }
                    counters.walks += 1;
                    counters.two_level_walks += u64::from(self.mode == PagingMode::TwoLevel);
                    counters.cached_starts += u64::from(event.psc_level != 0);
                    self.walks_in_flight += 1;
                    continue;
                }
                WALK_RESTART => {
                    counters.walk_restarts += 1;
                    continue;
                }
                WALK_STOPPED => counters.prefetch_stops += 1,
                WALK_TRANSLATED if event.entry == PREFETCH_ENTRY => {
                    counters.prefetch_fills += u64::from(event.filled);
                }
                WALK_TRANSLATED => {
                    counters.walks_translated += 1;
                    counters.fills_forfeited += u64::from(event.filled == 0);
                }
                WALK_PAGE_FAULT => counters.walks_faulted += 1,
                WALK_BUS_ERROR => counters.walks_bus_error += 1,
                _ => continue,
            }
            self.walks_in_flight = self.walks_in_flight.saturating_sub(1);
        }
    }

    fn control(&mut self, inputs: &Inputs, outputs: &Outputs) {
        if std::mem::take(&mut self.invalidation_performs) {
            self.invalidation_met_walk = self.walks_in_flight > 0;
        }
        let (pins, shown) = (&inputs.control, &outputs.control);
        if shown.resp_valid & pins.resp_ready != 0 {
            let refused = shown.resp_gp != 0;
            self.counters.control_operations += 1;
            self.counters.control_refused += u64::from(refused);
            let met_walk = std::mem::take(&mut self.invalidation_met_walk);
            self.counters.invalidations_during_walk += u64::from(met_walk && !refused);
        }
        if pins.valid & shown.ready != 0 {
            // With paging off LA57 alone decides; in 32-bit paging every address will do.
            let mode = match paging_mode(shown) {
                PagingMode::Off if shown.cr4 & cr4::LA57 != 0 => PagingMode::FiveLevel,
                PagingMode::Off => PagingMode::FourLevel,
                mode => mode,
            };
            self.invalidation_performs = match pins.op {
                op if op == ControlKind::Invlpg as u8 => mode.is_canonical(pins.data),
                op => op == ControlKind::Invpcid as u8,
            };
        }
    }

    fn array(&mut self, event: &ArrayEvent) {
        let counters = &mut self.counters;
        match event.op {
            ARRAY_FILL => {
                counters.fills_compared += 1;
                counters.evictions += u64::from(event.removed.count_ones());
            }
            ARRAY_INVALIDATE => counters.removals_compared += 1,
            _ => {}
        }
    }

    /// What only TLB arrays have.
    fn tlbs(&mut self, events: &[ArrayEvent; TLB_ARRAYS]) {
        let counters = &mut self.counters;
        let fills = events.iter().filter(|event| event.op == ARRAY_FILL);
        for event in fills {
            let (kept, size) = (event.tag >> 58 & 3, event.tag >> 60 & 3);
            counters.fills_4m += u64::from(size == PageSize::Size4M as u64);
            counters.fills_of_pieces += u64::from(kept != size);
        }
        if !self.inclusive {
            return;
        }
        let (first_level, stlb) = events.split_at(Level::Stlb.first_array());
        // Of what control removes in that cycle it cannot be told apart, and need not.
        let removes = first_level.iter().any(|event| event.op == ARRAY_INVALIDATE);
        counters.back_invalidations += u64::from(std::mem::take(&mut self.evicted) && removes);
        self.evicted = stlb.iter().any(|event| {
            let page = ((1 << 45) - 1) | (3 << 58);
            let live = event.removed >> (event.way & 63) & 1 != 0;
            event.op == ARRAY_FILL && live && (event.tag ^ event.victim_tag) & page != 0
        });
    }

    fn lookup(&mut self, code: u8, first_level: bool) {
        let counters = &mut self.counters;
        match code {
            LOOKUP_HIT_4K..=LOOKUP_HIT_1G if first_level => counters.l1_hits += 1,
            LOOKUP_HIT_4K..=LOOKUP_HIT_1G => counters.stlb_hits += 1,
            LOOKUP_MISS if first_level => counters.l1_misses += 1,
            LOOKUP_MISS => counters.stlb_misses += 1,
            LOOKUP_DENIED => counters.denied_hits += 1,
            LOOKUP_DIRTY_CLEAR => counters.dirty_clear_hits += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
