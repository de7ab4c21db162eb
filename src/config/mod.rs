//! The one set of parameters: what a machine is built with, on both sides.
//!
//! Contract: sections 2 (parameters) and 13 (memory). SDM: none of its own. Counterpart: the parameters of `rtl/mmu.sv`, which
//! take their values from [`Config::rtl_parameters`].
//!
//! [`Config`] is plain data with public fields. A `Config` that came from [`load()`] is valid; one that was changed in a
//! program is valid after [`Config::validate`] said so. The ranges stand once, as attributes of the fields: the JSON Schema, the
//! validation and the error messages are all drawn from there.
//!
//! | module | does |
//! | --- | --- |
//! | [`mod@load`] | layers: default, file or preset, `key=value`; the origin of each value |
//! | [`presets`] | the named configurations that every binary carries |
//! | [`schema`] | the JSON Schema, and the list of keys drawn from it |
//! | `sections` | the keys, their ranges and meanings |
//! | `validate` | what is refused |

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arch::{self, MaxPhyAddr, PageSize};
use crate::trace::MappingSpec;

mod error;
pub mod load;
pub mod presets;
pub mod schema;
mod sections;
#[cfg(test)]
mod tests;
mod tree;
mod validate;

pub use error::{ConfigError, Origin, Problem};
pub use load::{Loaded, Source, load};
pub use sections::{
    CapabilitiesSpec, FrontEndSpec, MemorySpec, MissQueueSpec, PortsSpec, PrefetchSpec, PscSpec,
    SET_COUNTS, TlbArraySpec, TlbSpec, WalkersSpec,
};

/// Levels of the TLB hierarchy. The number is that of the contract (section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// First-level TLB of the fetch port.
    Itlb = 0,
    /// First-level TLB of the data ports.
    Dtlb = 1,
    /// Second-level TLB, shared by all ports.
    Stlb = 2,
}

impl Level {
    /// Every level, in the order of the contract's array numbers.
    pub const ALL: [Self; 3] = [Self::Itlb, Self::Dtlb, Self::Stlb];

    /// The name as configurations and statistics write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Itlb => "itlb",
            Self::Dtlb => "dtlb",
            Self::Stlb => "stlb",
        }
    }

    /// The contract's number of the array that holds pages of `size` at this level: 0 to 8.
    pub const fn array_index(self, size: PageSize) -> usize {
        3 * self as usize + size as usize
    }
}

/// Sets and ways of the array that holds one page size at one level. `ways` = 0: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArraySpec {
    /// Sets: a power of two, 1 to 4096. 1 where the array is absent.
    pub sets: u32,
    /// Ways: 0 (absent) to 64.
    pub ways: u32,
}

impl ArraySpec {
    /// What a level has for a page size that it does not hold.
    pub const ABSENT: Self = Self { sets: 1, ways: 0 };

    /// Whether the level holds the page size at all.
    pub const fn is_present(self) -> bool {
        self.ways > 0
    }

    /// Entries in all.
    pub const fn entries(self) -> u32 {
        self.sets * self.ways
    }
}

/// A machine with its memory, and how a trace's pages lie in it: every parameter of the project.
///
/// [`Config::default`] is the one documented default machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the processor says that it can do.
    pub capabilities: CapabilitiesSpec,
    /// The ports into the machine.
    pub ports: PortsSpec,
    /// First-level TLB of the fetch port.
    pub itlb: TlbSpec,
    /// First-level TLB of the data ports.
    pub dtlb: TlbSpec,
    /// Second-level TLB, shared by all ports.
    pub stlb: TlbSpec,
    /// Where requests wait that missed their first-level TLB.
    pub miss_queue: MissQueueSpec,
    /// The hardware page walkers.
    pub walkers: WalkersSpec,
    /// Paging-structure caches.
    pub psc: PscSpec,
    /// What is translated before it is asked for.
    pub prefetch: PrefetchSpec,
    /// The memory behind the machine.
    pub memory: MemorySpec,
    /// How the references of a trace are presented.
    pub front_end: FrontEndSpec,
    /// Page tables for a trace, by rule.
    pub mapping: MappingSpec,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capabilities: CapabilitiesSpec::default(),
            ports: PortsSpec::default(),
            itlb: TlbSpec::new(1, [(8, 8), (1, 8), (1, 4)]),
            dtlb: TlbSpec::new(1, [(16, 4), (8, 4), (1, 4)]),
            stlb: TlbSpec::new(7, [(128, 12), (32, 8), (4, 4)]),
            miss_queue: MissQueueSpec::default(),
            walkers: WalkersSpec::default(),
            psc: PscSpec::default(),
            prefetch: PrefetchSpec::default(),
            memory: MemorySpec::default(),
            front_end: FrontEndSpec::default(),
            mapping: MappingSpec::default(),
        }
    }
}

impl Config {
    /// Fetch port and data ports.
    pub fn ports(&self) -> u32 {
        1 + self.ports.data_ports
    }

    /// One level as it was written.
    pub const fn tlb(&self, level: Level) -> &TlbSpec {
        match level {
            Level::Itlb => &self.itlb,
            Level::Dtlb => &self.dtlb,
            Level::Stlb => &self.stlb,
        }
    }

    /// Sets and ways of the array that holds pages of `size` at `level`; [`ArraySpec::ABSENT`] where the level does not hold them.
    pub fn array(&self, level: Level, size: PageSize) -> ArraySpec {
        self.tlb(level)
            .arrays
            .iter()
            .find(|array| array.ways > 0 && array.page_sizes.contains(&size))
            .map_or(ArraySpec::ABSENT, |array| ArraySpec {
                sets: array.sets,
                ways: array.ways,
            })
    }

    /// Entries of each paging-structure cache, by the contract's numbers: PDE, PDPTE, PML4E, PML5E.
    pub const fn psc_entries(&self) -> [u32; 4] {
        [
            self.psc.pde_entries,
            self.psc.pdpte_entries,
            self.psc.pml4e_entries,
            self.psc.pml5e_entries,
        ]
    }

    /// Cycles that a sweep takes: the most sets that any array present has, at least 1 (contract, section 2). An absent array has one.
    pub fn sweep_cycles(&self) -> u32 {
        Level::ALL
            .into_iter()
            .flat_map(|level| PageSize::ARRAYS.map(|size| self.array(level, size)))
            .map(|array| array.sets)
            .max()
            .unwrap_or(1)
    }

    /// The capabilities as the architecture's rules take them. A MAXPHYADDR out of range, which no valid configuration has, becomes the
    /// nearest that exists.
    pub fn arch_capabilities(&self) -> arch::Capabilities {
        let bits = self
            .capabilities
            .maxphyaddr_bits
            .clamp(MaxPhyAddr::MIN_BITS, MaxPhyAddr::MAX_BITS);
        arch::Capabilities {
            maxphyaddr: MaxPhyAddr::new(bits).unwrap_or(MaxPhyAddr::MAX),
            page_1g: self.capabilities.page_1g,
            five_level: self.capabilities.five_level,
        }
    }

    /// Bytes of memory: as configured, else the whole physical space.
    pub fn memory_size_bytes(&self) -> u64 {
        self.memory
            .size_bytes
            .unwrap_or_else(|| self.arch_capabilities().maxphyaddr.mask() + 1)
    }

    /// The parameters of the RTL's top module under their names there, in the order of the contract (section 2).
    pub fn rtl_parameters(&self) -> Vec<(&'static str, u64)> {
        const ARRAY_NAMES: [[&str; 2]; 9] = [
            ["ITLB_4K_SETS", "ITLB_4K_WAYS"],
            ["ITLB_2M_SETS", "ITLB_2M_WAYS"],
            ["ITLB_1G_SETS", "ITLB_1G_WAYS"],
            ["DTLB_4K_SETS", "DTLB_4K_WAYS"],
            ["DTLB_2M_SETS", "DTLB_2M_WAYS"],
            ["DTLB_1G_SETS", "DTLB_1G_WAYS"],
            ["STLB_4K_SETS", "STLB_4K_WAYS"],
            ["STLB_2M_SETS", "STLB_2M_WAYS"],
            ["STLB_1G_SETS", "STLB_1G_WAYS"],
        ];
        let mut parameters = vec![
            ("MAXPHYADDR", u64::from(self.capabilities.maxphyaddr_bits)),
            ("PAGE_1G", u64::from(self.capabilities.page_1g)),
            ("FIVE_LEVEL", u64::from(self.capabilities.five_level)),
            ("DATA_PORTS", u64::from(self.ports.data_ports)),
            ("QUEUE_ENTRIES", u64::from(self.ports.queue_entries)),
            ("MISS_QUEUE_ENTRIES", u64::from(self.miss_queue.entries)),
            ("WALKERS", u64::from(self.walkers.count)),
            ("PREFETCH_NEXT_PAGE", u64::from(self.prefetch.next_page)),
            ("ITLB_HIT_CYCLES", u64::from(self.itlb.hit_latency_cycles)),
            ("DTLB_HIT_CYCLES", u64::from(self.dtlb.hit_latency_cycles)),
            ("STLB_HIT_CYCLES", u64::from(self.stlb.hit_latency_cycles)),
        ];
        for level in Level::ALL {
            for size in PageSize::ARRAYS {
                let [sets, ways] = ARRAY_NAMES[level.array_index(size)];
                let array = self.array(level, size);
                parameters.push((sets, u64::from(array.sets)));
                parameters.push((ways, u64::from(array.ways)));
            }
        }
        parameters.extend([
            ("PSC_PML5E_ENTRIES", u64::from(self.psc.pml5e_entries)),
            ("PSC_PML4E_ENTRIES", u64::from(self.psc.pml4e_entries)),
            ("PSC_PDPTE_ENTRIES", u64::from(self.psc.pdpte_entries)),
            ("PSC_PDE_ENTRIES", u64::from(self.psc.pde_entries)),
        ]);
        parameters
    }

    /// 16 hexadecimal digits that two configurations share if and only if they mean the same machine: the start of BLAKE3 over
    /// [`Config::canonical_json`].
    pub fn hash(&self) -> String {
        let digest = blake3::hash(self.canonical_json().to_string().as_bytes());
        digest.to_hex()[..16].to_owned()
    }

    /// The configuration as JSON in one fixed form: keys sorted, every value given, arrays in order of page size, absent ones left out.
    pub fn canonical_json(&self) -> serde_json::Value {
        let mut canonical = self.clone();
        for tlb in [
            &mut canonical.itlb,
            &mut canonical.dtlb,
            &mut canonical.stlb,
        ] {
            tlb.arrays.retain(|array| array.ways > 0);
            tlb.arrays.sort_by(|a, b| a.page_sizes.cmp(&b.page_sizes));
        }
        canonical.memory.size_bytes = Some(self.memory_size_bytes());
        // Serialization into a value fails only for maps with keys that are no strings, and there are none.
        serde_json::to_value(&canonical).unwrap_or_default()
    }
}
