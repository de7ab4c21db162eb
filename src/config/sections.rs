//! The sections of a configuration: their keys, ranges and meanings.
//!
//! Contract: sections 2 (parameters) and 13 (memory). SDM: none of its own. Counterpart: the parameters of `rtl/mmu.sv`.
//!
//! A range stands here and nowhere else, as an attribute of the field. The doc comment of a field is its description in the JSON
//! Schema, so it speaks to a person who writes a configuration.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arch::PageSize;

/// How an array chooses what leaves a full set (contract 1.6; what it has not, docs/add-a-policy.md).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Replacement {
    /// The least recently used.
    #[default]
    Lru = 0,
    /// By a binary tree of bits that point away from what was used; the ways are a power of two.
    TreePlru = 1,
    /// The one that was filled first.
    Fifo = 2,
    /// The lowest that was not used since all were.
    Nru = 3,
    /// By a shift register that steps with each such fill.
    Random = 4,
    /// One whose next use is held to be farthest off, by two bits each: near after a hit, far after a fill (static RRIP).
    Srrip = 5,
    /// The least recently used, where a fill makes its way the least recent and only a hit the most (LRU insertion). The model alone has it.
    Lip = 128,
}

impl Replacement {
    /// Every policy, those of the contract first. Codes from 128 on are of the model alone.
    pub const ALL: [Self; 7] = [
        Self::Lru,
        Self::TreePlru,
        Self::Fifo,
        Self::Nru,
        Self::Random,
        Self::Srrip,
        Self::Lip,
    ];
    /// Those that the RTL has too, which are the contract's, at the index of their codes.
    pub const WITH_RTL: [Self; 6] = [
        Self::Lru,
        Self::TreePlru,
        Self::Fifo,
        Self::Nru,
        Self::Random,
        Self::Srrip,
    ];

    /// Whether the RTL has it. What it has not runs on the model alone.
    pub fn has_rtl(self) -> bool {
        Self::WITH_RTL.contains(&self)
    }

    /// The word for it in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::TreePlru => "tree-plru",
            Self::Fifo => "fifo",
            Self::Nru => "nru",
            Self::Random => "random",
            Self::Srrip => "srrip",
            Self::Lip => "lip",
        }
    }
}

/// Which data requests an array of the DTLB serves.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Serves {
    /// Reads alone.
    Reads = 1,
    /// Writes alone.
    Writes = 2,
    /// Both.
    #[default]
    All = 3,
}

/// Which of several entries that wait a free walker takes (contract 8.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum WalkerOrder {
    /// The next in cyclic order of the miss queue's entries.
    #[default]
    Cyclic = 0,
    /// The one that waits longest.
    Oldest = 1,
}

/// `[capabilities]`: what the processor says that it can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapabilitiesSpec {
    /// MAXPHYADDR: physical address bits. Bits from here up to 51 are reserved in every paging-structure entry.
    #[schemars(range(min = 36, max = 52))]
    pub maxphyaddr_bits: u32,
    /// Whether 1 GiB pages exist. Without them bit 7 of a PDPTE is reserved.
    pub page_1g: bool,
    /// Whether CR4.LA57 may be set: 57-bit linear addresses and five levels.
    pub five_level: bool,
}

impl Default for CapabilitiesSpec {
    fn default() -> Self {
        Self {
            maxphyaddr_bits: 46,
            page_1g: true,
            five_level: true,
        }
    }
}

/// `[ports]`: the ports into the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortsSpec {
    /// Data ports, beside the one fetch port.
    #[schemars(range(min = 1, max = 2))]
    pub data_ports: u32,
    /// Requests that each port accepts before it has answered the first.
    #[schemars(range(min = 1, max = 16))]
    pub queue_entries: u32,
}

impl Default for PortsSpec {
    fn default() -> Self {
        Self {
            data_ports: 1,
            queue_entries: 4,
        }
    }
}

/// `[miss_queue]`: where requests that missed their first-level TLB wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissQueueSpec {
    /// Requests that miss at a time, of all ports together; merged ones count.
    #[schemars(range(min = 1, max = 16))]
    pub entries: u32,
}

impl Default for MissQueueSpec {
    fn default() -> Self {
        Self { entries: 8 }
    }
}

/// `[walkers]`: the hardware page walkers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WalkersSpec {
    /// Walks at a time.
    #[schemars(range(min = 1, max = 4))]
    pub count: u32,
    /// Which of several misses that wait a free walker takes.
    pub order: WalkerOrder,
}

impl Default for WalkersSpec {
    fn default() -> Self {
        Self {
            count: 2,
            order: WalkerOrder::Cyclic,
        }
    }
}

/// `[prefetch]`: what is translated before it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefetchSpec {
    /// After a page was walked, the next one is walked into the STLB.
    pub next_page: bool,
}

/// `[front_end]`: how the references of a trace are presented to the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontEndSpec {
    /// References under way at a time: one is presented only when all that stand this many before it were answered. 1: one at a time.
    #[schemars(range(min = 1, max = 64))]
    pub window: u32,
    /// Cycles between the accept of a reference and the next one's being presented.
    #[schemars(range(min = 0, max = 65535))]
    pub issue_gap_cycles: u32,
    /// Instruction fetches in the same aligned block of this size, one after the other, are one look-up of the ITLB. 0: each is one.
    #[schemars(extend("enum" = [0, 16, 32, 64]))]
    pub fetch_block_bytes: u32,
}

impl Default for FrontEndSpec {
    fn default() -> Self {
        Self {
            window: 1,
            issue_gap_cycles: 0,
            fetch_block_bytes: 0,
        }
    }
}

impl fmt::Display for FrontEndSpec {
    /// What a person should know of it beside a figure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.window {
            1 => f.write_str("one reference at a time")?,
            window => write!(f, "a window of {window} references")?,
        }
        match self.issue_gap_cycles {
            0 => {}
            1 => f.write_str(", a cycle apart")?,
            gap => write!(f, ", {gap} cycles apart")?,
        }
        match self.fetch_block_bytes {
            0 => Ok(()),
            bytes => write!(f, ", instructions in blocks of {bytes} bytes"),
        }
    }
}

/// `[itlb]`, `[dtlb]`, `[stlb]`: one level of the TLB hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlbSpec {
    /// Cycles that a look-up takes.
    #[schemars(range(min = 1, max = 63))]
    pub hit_latency_cycles: u32,
    /// Whether what leaves this level leaves the levels before it too; only the second level may be so.
    pub inclusive: bool,
    /// The arrays of the level. A page of a size that none holds is kept in pieces of the greatest smaller size that one does; where none
    /// does, it is neither looked up nor kept at this level.
    #[schemars(length(max = 4))]
    pub arrays: Vec<TlbArraySpec>,
}

impl TlbSpec {
    /// A level with arrays of `[4 KiB, 2 MiB, 1 GiB]`, each (sets, ways); an array without ways is left out.
    pub fn new(hit_latency_cycles: u32, arrays: [(u32, u32); 3]) -> Self {
        let arrays = PageSize::ARRAYS
            .into_iter()
            .zip(arrays)
            .filter(|&(_, (_, ways))| ways > 0)
            .map(|(size, (sets, ways))| TlbArraySpec {
                page_sizes: vec![size],
                sets,
                ways,
                replacement: Replacement::Lru,
                serves: Serves::All,
            })
            .collect();
        Self {
            hit_latency_cycles,
            inclusive: false,
            arrays,
        }
    }
}

/// One array of a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlbArraySpec {
    /// The page sizes that the array holds. In 32-bit paging "2m" stands for 4 MiB pages.
    #[schemars(length(min = 1, max = 3))]
    pub page_sizes: Vec<PageSize>,
    /// Sets; 1 makes the array fully associative.
    #[schemars(range(min = 1, max = 4096))]
    pub sets: u32,
    /// Ways; 0: the level has no such array.
    #[schemars(range(min = 0, max = 64))]
    pub ways: u32,
    /// What leaves a full set; "tree-plru" needs a power of two of ways.
    #[serde(default)]
    pub replacement: Replacement,
    /// Which data requests the array serves; of the DTLB only.
    #[serde(default)]
    pub serves: Serves,
}

/// `[psc]`: the paging-structure caches, one for each level of entry that is not a leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PscSpec {
    /// The cache of PML5 entries.
    pub pml5e: PscArraySpec,
    /// The cache of PML4 entries.
    pub pml4e: PscArraySpec,
    /// The cache of page-directory-pointer-table entries.
    pub pdpte: PscArraySpec,
    /// The cache of page-directory entries.
    pub pde: PscArraySpec,
}

/// `[psc.pde]` and its like: one paging-structure cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PscArraySpec {
    /// Sets; 1 makes the cache fully associative.
    #[schemars(range(min = 1, max = 64))]
    pub sets: u32,
    /// Ways; 0: there is no such cache.
    #[schemars(range(min = 0, max = 64))]
    pub ways: u32,
    /// What leaves a full set; "tree-plru" needs a power of two of ways.
    pub replacement: Replacement,
}

impl PscArraySpec {
    /// A fully associative cache of that many entries, least recently used; none with 0.
    pub const fn of_entries(entries: u32) -> Self {
        Self {
            sets: 1,
            ways: entries,
            replacement: Replacement::Lru,
        }
    }

    /// Entries in all.
    pub const fn entries(self) -> u32 {
        self.sets * self.ways
    }
}

impl Default for PscSpec {
    fn default() -> Self {
        Self {
            pml5e: PscArraySpec::of_entries(2),
            pml4e: PscArraySpec::of_entries(4),
            pdpte: PscArraySpec::of_entries(8),
            pde: PscArraySpec::of_entries(32),
        }
    }
}

/// `[memory]`: the memory behind the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemorySpec {
    /// Cycles from the accept of an access to its response.
    #[schemars(range(min = 1, max = 65535))]
    pub latency_cycles: u32,
    /// Most cycles that are added to the latency, by a hash of the seed and the number of the access.
    #[schemars(range(min = 0, max = 65535))]
    pub jitter_cycles: u32,
    /// Accesses under way at a time: while so many were accepted and not answered, none is accepted.
    #[schemars(range(min = 1, max = 64))]
    pub outstanding: u32,
    /// Cycles from the accept of one access to the earliest accept of the next: 1 for one in each cycle; more for less bandwidth.
    #[schemars(range(min = 1, max = 1000))]
    pub accept_interval_cycles: u32,
    /// The cache for lines of page tables.
    pub table_cache: TableCacheSpec,
    /// Bytes of memory, from address 0; an access beyond them is a bus error. A multiple of 4096. Default: the whole physical space,
    /// 2^MAXPHYADDR bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4096, max = 4503599627370496u64), extend("multipleOf" = 4096))]
    pub size_bytes: Option<u64>,
}

impl Default for MemorySpec {
    fn default() -> Self {
        Self {
            latency_cycles: 50,
            jitter_cycles: 0,
            outstanding: 64,
            accept_interval_cycles: 1,
            table_cache: TableCacheSpec::default(),
            size_bytes: None,
        }
    }
}

/// `[memory.table_cache]`: a cache in front of memory for the lines that hold page tables, as a processor's data caches hold them. It
/// decides latencies alone: what is read is always what memory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableCacheSpec {
    /// Sets of lines of 64 bytes; 1 makes the cache fully associative.
    #[schemars(range(min = 1, max = 65536))]
    pub sets: u32,
    /// Ways, least recently used; 0: there is no such cache.
    #[schemars(range(min = 0, max = 32))]
    pub ways: u32,
    /// Cycles from the accept of an access whose line is there to its response; at most those of memory.
    #[schemars(range(min = 1, max = 65535))]
    pub latency_cycles: u32,
}

impl Default for TableCacheSpec {
    fn default() -> Self {
        Self {
            sets: 64,
            ways: 0,
            latency_cycles: 14,
        }
    }
}
