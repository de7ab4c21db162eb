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
//! | [`design`] | DESIGN.toml: a user's own RTL, and the machine that it is held against |
//! | [`mod@load`] | layers: default, file or preset, `key=value`; the origin of each value |
//! | [`presets`] | the named configurations that every binary carries |
//! | `provenance` | where the figures of a described processor come from |
//! | [`schema`] | the JSON Schema, and the list of keys drawn from it |
//! | `sections` | the keys, their ranges and meanings |
//! | `validate` | what is refused |

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arch::{self, MaxPhyAddr, PageSize};
use crate::trace::MappingSpec;

pub mod design;
mod error;
pub mod load;
mod parameter_names;
pub mod presets;
mod provenance;
pub mod schema;
mod sections;
#[cfg(test)]
mod tests;
mod tree;
mod validate;

pub use error::{ConfigError, Origin, Problem};
pub use load::{Loaded, Source, load};
pub use parameter_names::PARAMETERS;
pub use provenance::{Assumed, Provenance};
pub use sections::{
    CapabilitiesSpec, FrontEndSpec, MemorySpec, MissQueueSpec, PortsSpec, PrefetchSpec,
    PscArraySpec, PscSpec, Replacement, Serves, TableCacheSpec, TlbArraySpec, TlbSpec, WalkerOrder,
    WalkersSpec,
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

    /// The contract's number of the level's first array (section 2).
    pub const fn first_array(self) -> usize {
        ARRAYS_OF_A_LEVEL * self as usize
    }
}

/// Most arrays that a level may have (contract, section 2).
pub const ARRAYS_OF_A_LEVEL: usize = 4;

/// One array of a level, as the contract's parameters have it. `ways` = 0: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArraySpec {
    /// The page sizes that it holds: bit `PageSize::array_index`. 0 where the array is absent.
    pub sizes: u8,
    /// Sets: 1 to 4096. 1 where the array is absent.
    pub sets: u32,
    /// Ways: 0 (absent) to 64.
    pub ways: u32,
    /// What leaves a full set.
    pub replacement: Replacement,
    /// Which data requests it serves.
    pub serves: Serves,
}

impl ArraySpec {
    /// No array.
    pub const ABSENT: Self = Self {
        sizes: 0,
        sets: 1,
        ways: 0,
        replacement: Replacement::Lru,
        serves: Serves::All,
    };

    /// An array of one page size, least recently used, that serves all requests; absent without ways.
    pub const fn of_size(size: PageSize, sets: u32, ways: u32) -> Self {
        Self {
            sizes: 1 << size.array_index(),
            sets,
            ways,
            ..Self::ABSENT
        }
    }

    /// Whether there is such an array.
    pub const fn is_present(self) -> bool {
        self.ways > 0
    }

    /// Whether it holds pages of `size`.
    pub const fn holds(self, size: PageSize) -> bool {
        self.ways > 0 && self.sizes >> size.array_index() & 1 != 0
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

    /// The arrays of a level, A to D, in the order in which the configuration lists those that have ways.
    pub fn arrays(&self, level: Level) -> [ArraySpec; ARRAYS_OF_A_LEVEL] {
        let mut arrays = [ArraySpec::ABSENT; ARRAYS_OF_A_LEVEL];
        let listed = self.tlb(level).arrays.iter();
        for (array, spec) in arrays.iter_mut().zip(listed.filter(|spec| spec.ways > 0)) {
            *array = ArraySpec {
                sizes: spec
                    .page_sizes
                    .iter()
                    .fold(0, |mask, size| mask | 1 << size.array_index()),
                sets: spec.sets,
                ways: spec.ways,
                replacement: spec.replacement,
                serves: spec.serves,
            };
        }
        arrays
    }

    /// The first array that holds pages of `size` at `level`; [`ArraySpec::ABSENT`] where the level does not hold them.
    pub fn array(&self, level: Level, size: PageSize) -> ArraySpec {
        let mut arrays = self.arrays(level).into_iter();
        arrays
            .find(|array| array.holds(size))
            .unwrap_or(ArraySpec::ABSENT)
    }

    /// The paging-structure caches, by the contract's numbers: PDE, PDPTE, PML4E, PML5E. One without ways has one set, least recently used.
    pub fn psc_arrays(&self) -> [PscArraySpec; 4] {
        let caches = [self.psc.pde, self.psc.pdpte, self.psc.pml4e, self.psc.pml5e];
        caches.map(|cache| match cache.ways {
            0 => PscArraySpec::of_entries(0),
            _ => cache,
        })
    }

    /// Entries of each paging-structure cache, by the contract's numbers.
    pub const fn psc_entries(&self) -> [u32; 4] {
        [
            self.psc.pde.entries(),
            self.psc.pdpte.entries(),
            self.psc.pml4e.entries(),
            self.psc.pml5e.entries(),
        ]
    }

    /// The size in which `level` keeps a page of `size` for requests of `kind` (contract 2.1): its own, or that of a piece, or none.
    pub fn kept_size(&self, level: Level, kind: Serves, size: PageSize) -> Option<PageSize> {
        let arrays = self.arrays(level);
        let holds = |size: &PageSize| {
            let serves = |array: &ArraySpec| array.serves as u8 & kind as u8 != 0;
            arrays
                .iter()
                .any(|array| serves(array) && array.holds(*size))
        };
        let mut sizes = PageSize::ARRAYS.into_iter().rev();
        sizes.find(|kept| *kept <= size && holds(kept))
    }

    /// Whether some level keeps pages of some size in pieces (contract 2.1): then an invalidation of one page sweeps.
    pub fn fractures(&self) -> bool {
        let exists = |size: &PageSize| *size != PageSize::Size1G || self.capabilities.page_1g;
        Level::ALL.into_iter().any(|level| {
            [Serves::Reads, Serves::Writes].into_iter().any(|kind| {
                let mut sizes = PageSize::ARRAYS.into_iter().filter(exists);
                sizes.any(|size| {
                    self.kept_size(level, kind, size)
                        .is_some_and(|kept| kept != size)
                })
            })
        })
    }

    /// Cycles that a sweep takes: the most sets that any array present has, at least 1 (contract, section 2). An absent array has one.
    pub fn sweep_cycles(&self) -> u32 {
        Level::ALL
            .into_iter()
            .flat_map(|level| self.arrays(level))
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

    /// The keys whose values the RTL has nothing for, and these values. A machine with any of them runs on the model alone.
    pub fn without_rtl(&self) -> Vec<(String, Replacement)> {
        let mut found = Vec::new();
        let mut look = |key: String, replacement: Replacement, ways: u32| {
            if ways > 0 && !replacement.has_rtl() {
                found.push((key, replacement));
            }
        };
        for level in Level::ALL {
            for (index, array) in self.tlb(level).arrays.iter().enumerate() {
                let key = format!("{}.arrays.{index}.replacement", level.name());
                look(key, array.replacement, array.ways);
            }
        }
        for (name, cache) in ["pde", "pdpte", "pml4e", "pml5e"]
            .into_iter()
            .zip(self.psc_arrays())
        {
            look(
                format!("psc.{name}.replacement"),
                cache.replacement,
                cache.ways,
            );
        }
        found
    }

    /// What outputs say of the machine's RTL: `none`, if it runs on the model alone.
    pub fn rtl(&self) -> &'static str {
        if self.without_rtl().is_empty() {
            "available"
        } else {
            "none"
        }
    }

    /// The parameters of the RTL's top module under their names there, in the order of [`PARAMETERS`]. Of a machine
    /// [without RTL](Config::without_rtl) some are values that it refuses.
    pub fn rtl_parameters(&self) -> Vec<(&'static str, u64)> {
        let mut values: Vec<u64> = vec![
            self.capabilities.maxphyaddr_bits.into(),
            self.capabilities.page_1g.into(),
            self.capabilities.five_level.into(),
            self.ports.data_ports.into(),
            self.ports.queue_entries.into(),
            self.miss_queue.entries.into(),
            self.walkers.count.into(),
            self.walkers.order as u64,
            self.prefetch.next_page.into(),
            self.itlb.hit_latency_cycles.into(),
            self.dtlb.hit_latency_cycles.into(),
            self.stlb.hit_latency_cycles.into(),
        ];
        for level in Level::ALL {
            for array in self.arrays(level) {
                values.extend([u64::from(array.sizes), array.sets.into()]);
                // An array that is absent still has a shape, which nothing asks for.
                values.extend([array.ways.max(1).into(), array.replacement as u64]);
                if level == Level::Dtlb {
                    values.push(array.serves as u64);
                }
            }
        }
        values.push(self.stlb.inclusive.into());
        for cache in self.psc_arrays().into_iter().rev() {
            let [sets, ways] = [cache.sets, cache.ways].map(u64::from);
            values.extend([sets, ways, cache.replacement as u64]);
        }
        PARAMETERS.into_iter().zip(values).collect()
    }

    /// 16 hexadecimal digits that two configurations share if and only if they mean the same machine: the start of BLAKE3 over
    /// [`Config::canonical_json`], in which `front_end.fetch_block_bytes` is left out if it is 0.
    pub fn hash(&self) -> String {
        let mut canonical = self.canonical_json();
        // A key that came later is left out where it changes nothing, so that a machine keeps its hash.
        if self.front_end.fetch_block_bytes == 0
            && let Some(front_end) = canonical
                .get_mut("front_end")
                .and_then(serde_json::Value::as_object_mut)
        {
            front_end.remove("fetch_block_bytes");
        }
        let digest = blake3::hash(canonical.to_string().as_bytes());
        digest.to_hex()[..16].to_owned()
    }

    /// The configuration as JSON in one fixed form: keys sorted, every value given, absent arrays left out, the page sizes of each in order.
    pub fn canonical_json(&self) -> serde_json::Value {
        let mut canonical = self.clone();
        for tlb in [
            &mut canonical.itlb,
            &mut canonical.dtlb,
            &mut canonical.stlb,
        ] {
            tlb.arrays.retain(|array| array.ways > 0);
            for array in &mut tlb.arrays {
                array.page_sizes.sort_unstable();
                array.page_sizes.dedup();
            }
        }
        let [pde, pdpte, pml4e, pml5e] = self.psc_arrays();
        canonical.psc = PscSpec {
            pml5e,
            pml4e,
            pdpte,
            pde,
        };
        canonical.memory.size_bytes = Some(self.memory_size_bytes());
        if canonical.memory.table_cache.ways == 0 {
            canonical.memory.table_cache = TableCacheSpec::default();
        }
        // Serialization into a value fails only for maps with keys that are no strings, and there are none.
        serde_json::to_value(&canonical).unwrap_or_default()
    }
}
