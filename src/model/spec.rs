//! What a machine is built with, in the form in which the model uses it.
//!
//! Contract: 2. Counterpart: the parameters of `rtl/mmu.sv`.

use crate::arch::{Capabilities, PageSize};
use crate::config::{ARRAYS_OF_A_LEVEL, ArraySpec, Config, Level, PscArraySpec, WalkerOrder};

use super::mmu_pkg::{MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, MAX_WALKERS, PSC_LEVELS, TLB_ARRAYS};
use super::replacement::Policy;

/// The number of the STLB among the levels; its arrays follow those of ITLB and DTLB.
pub(super) const STLB: usize = Level::Stlb as usize;

/// The immutable half of a machine: drawn from a valid [`Config`] once, and never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spec {
    /// Fetch port and data ports, 2 to [`MAX_PORTS`].
    pub ports: usize,
    /// Requests accepted and not yet answered, per port.
    pub queue_entries: u64,
    /// Entries of the miss queue, 1 to 16.
    pub miss_queue_entries: usize,
    /// Page walkers, 1 to 4.
    pub walkers: usize,
    /// The page after one that was walked is prefetched.
    pub prefetch: bool,
    /// Latency of a look-up in ITLB, DTLB and STLB.
    pub hit_cycles: [u64; 3],
    /// The arrays, by the contract's numbers.
    pub arrays: [ArraySpec; TLB_ARRAYS],
    /// The paging-structure caches, by the contract's numbers.
    pub psc: [PscArraySpec; PSC_LEVELS],
    /// What leaves the STLB leaves the first level too.
    pub inclusive: bool,
    /// Some level keeps pages in pieces (contract 2.1).
    pub fractures: bool,
    /// Which entry a free walker takes.
    pub walker_order: WalkerOrder,
    /// MAXPHYADDR, 1 GiB pages, five levels.
    pub capabilities: Capabilities,
    /// Cycles of a sweep, at least 1.
    pub sweep_cycles: u64,
}

impl Spec {
    /// The parameters of `config`, which must be valid.
    pub fn new(config: &Config) -> Self {
        let mut arrays = [ArraySpec::ABSENT; TLB_ARRAYS];
        for level in Level::ALL {
            let first = level.first_array();
            let own = config.arrays(level);
            arrays[first..first + own.len()].copy_from_slice(&own);
        }
        Self {
            ports: (config.ports() as usize).min(MAX_PORTS),
            queue_entries: u64::from(config.ports.queue_entries),
            miss_queue_entries: (config.miss_queue.entries as usize)
                .clamp(1, MAX_MISS_QUEUE_ENTRIES),
            walkers: (config.walkers.count as usize).clamp(1, MAX_WALKERS),
            prefetch: config.prefetch.next_page,
            hit_cycles: Level::ALL.map(|level| u64::from(config.tlb(level).hit_latency_cycles)),
            arrays,
            psc: config.psc_arrays(),
            inclusive: config.stlb.inclusive,
            fractures: config.fractures(),
            walker_order: config.walkers.order,
            capabilities: config.arch_capabilities(),
            sweep_cycles: u64::from(config.sweep_cycles()),
        }
    }

    /// Whether every level keeps 4 KiB pages alone, in one array, and what leaves the STLB may stay in the first level.
    pub fn is_simple(&self) -> bool {
        let of_level = |level: Level| {
            let own = &self.arrays[level.first_array()..][..ARRAYS_OF_A_LEVEL];
            let mut present = own.iter().filter(|array| array.entries() > 0);
            present.clone().count() == 1
                && present
                    .all(|array| array.holds(PageSize::Size4K) && array.sizes.count_ones() == 1)
        };
        !self.inclusive && Level::ALL.into_iter().all(of_level)
    }

    /// By first level: a hit of what was filled last in its set changes nothing.
    pub fn hits_as_filled(&self) -> [bool; 2] {
        [0, 1].map(|level| {
            let own = &self.arrays[ARRAYS_OF_A_LEVEL * level..][..ARRAYS_OF_A_LEVEL];
            own.iter().all(|array| {
                array.entries() == 0 || Policy::new(array.replacement, 1, 1).hits_as_filled()
            })
        })
    }

    /// The level that serves `port` first: 0, the ITLB, for the fetch port; 1, the DTLB, for the others.
    #[inline]
    pub const fn first_level(port: usize) -> usize {
        if port == 0 { 0 } else { 1 }
    }
}
