//! Where the pages of a trace lie in physical memory, and the tables that map them: by rule, from address and seed.
//!
//! Contract: 8.3 and 8.4 (entries as the walker reads them). SDM vol. 3A, 4.5 (4-level and 5-level paging). Counterpart: none; both
//! twins read the same tables. `docs/traces.md` states the rule.
//!
//! Nothing depends on the order in which pages are touched: a page's frame and a table's frame are functions of (address, seed) alone,
//! so that windows of a trace, other machines and other page sizes see the same placement.
//!
//! # The rule
//!
//! Physical memory of 2^P bytes is cut like this, each part the upper half of what the one above it left:
//!
//! | frames | hold |
//! | --- | --- |
//! | upper half | pages |
//! | half of the rest | page tables |
//! | half of the rest | page directories |
//! | half of the rest | page-directory-pointer tables |
//! | half of the rest | PML4 tables |
//! | half of the rest | PML5 tables |
//! | what remains, from address 0 | nothing: free for others |
//!
//! A table goes to the slot `permutation(prefix)` of its part, where the prefix is the address bits that select the table, and the
//! permutation is one of all slots, drawn by seed and level. A page goes where three permutations put it: one of the blocks of 1 GiB of
//! the part, by the address's number of 1 GiB; one of the 512 pieces of 2 MiB in the block, by the next 9 address bits; one of the 512
//! frames in the piece, by the next 9. The second permutation is drawn by seed and block, the third by seed and piece. A page of 1 GiB
//! takes the first step only, one of 2 MiB two. Permutations never send two numbers to one, so no two pages share a frame, whatever their
//! sizes, and no two tables; parts are disjoint, so tables and pages are.
//!
//! # Where memory is smaller than the address space
//!
//! Then numbers are taken modulo the number of blocks or slots, and addresses that are equal modulo the size of the pages' part (2^(P-1)
//! bytes) would meet. That is never done silently: the first 1 GiB region to claim a block owns it, and another is refused
//! ([`MappingError::Conflict`]) by [`Mapping::build`] and [`LazyTables`]. Whether a set of pages is refused does not depend on their order.
//! Tables need no check of their own: page tables and directories meet only where pages do, and for the few above there is always room
//! (that is what the least size of memory is for).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::arch::{PageSize, PagingMode, PhysicalAddress};

mod build;
mod place;

pub use build::LazyTables;
pub use place::{EntryPath, Mapping};

/// The page sizes of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub enum PagePolicy {
    /// Every page has 4 KiB.
    #[default]
    #[serde(rename = "4k")]
    Size4K,
    /// Every page has 2 MiB.
    #[serde(rename = "2m")]
    Size2M,
    /// Every page has 1 GiB.
    #[serde(rename = "1g")]
    Size1G,
    /// By a hash of region and seed: a quarter of all regions of 1 GiB are one page; of the others, half of all regions of 2 MiB are one
    /// page; the rest has pages of 4 KiB. Without 1 GiB pages in the machine the first step is left out.
    #[serde(rename = "mixed")]
    Mixed,
}

impl PagePolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Size4K, Self::Size2M, Self::Size1G, Self::Mixed];

    /// Its name, as commands and files write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size4K => "4k",
            Self::Size2M => "2m",
            Self::Size1G => "1g",
            Self::Mixed => "mixed",
        }
    }

    /// The policy of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

/// Accessed and dirty bits before the first access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessedDirty {
    /// A clear in every entry and D in every leaf: the machine sets them as it goes.
    #[default]
    Clear,
    /// A set in every entry and D in every leaf: no access needs to set one.
    Set,
}

/// `[mapping]`: page tables for a trace, by rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingSpec {
    /// Draws the places of pages and tables, and the page sizes of a mixed mapping.
    #[schemars(range(min = 0, max = 9223372036854775807u64))]
    pub seed: u64,
    /// The page sizes.
    pub pages: PagePolicy,
    /// Accessed and dirty bits before the first access.
    pub accessed_dirty: AccessedDirty,
    /// Levels of the tables: 4 (48-bit linear addresses) or 5 (57-bit).
    #[schemars(range(min = 4, max = 5))]
    pub levels: u32,
    /// Whether pages may be used in user mode.
    pub user: bool,
    /// Whether pages may be written.
    pub writable: bool,
}

impl Default for MappingSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            pages: PagePolicy::default(),
            accessed_dirty: AccessedDirty::default(),
            levels: 4,
            user: true,
            writable: true,
        }
    }
}

impl MappingSpec {
    /// The paging mode of its levels, if there is one.
    pub const fn mode(&self) -> Option<PagingMode> {
        match self.levels {
            4 => Some(PagingMode::FourLevel),
            5 => Some(PagingMode::FiveLevel),
            _ => None,
        }
    }
}

/// Why pages cannot be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MappingError {
    /// A number of levels that no mode has.
    #[error("mapping.levels = {levels} is refused: there are 4 and 5")]
    Levels {
        /// The number that was given.
        levels: u32,
    },
    /// 5 levels on a machine that has 4.
    #[error(
        "mapping.levels = 5 is refused: the machine has no 5-level paging (capabilities.five_level = false)"
    )]
    NoFiveLevel,
    /// 1 GiB pages on a machine without.
    #[error(
        "mapping.pages = \"1g\" is refused: the machine has no pages of 1 GiB (capabilities.page_1g = false)"
    )]
    No1G,
    /// Too little physical memory to put a mapping in.
    #[error(
        "a memory of {size_bytes} bytes is too small for a mapping by rule: it takes {minimum_bytes} at least"
    )]
    TooSmall {
        /// Physical memory.
        size_bytes: u64,
        /// The least.
        minimum_bytes: u64,
    },
    /// Two regions of the address space would lie in one place.
    #[error(
        "the regions of 1 GiB at {first:#x} and {second:#x} cannot both be mapped: they are equal modulo the {window_bytes:#x} bytes of physical memory that hold pages"
    )]
    Conflict {
        /// First address of the region with the lower address.
        first: u64,
        /// First address of the other.
        second: u64,
        /// Size of the part of physical memory that holds pages.
        window_bytes: u64,
    },
}

impl MappingError {
    /// What a person can do about it, in one line.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Levels { .. } => "give mapping.levels 4 or 5",
            Self::NoFiveLevel => "give mapping.levels = 4, or capabilities.five_level = true",
            Self::No1G => "give another mapping.pages, or capabilities.page_1g = true",
            Self::TooSmall { .. } => "raise memory.size_bytes, or leave it out",
            Self::Conflict { .. } => {
                "raise capabilities.maxphyaddr_bits (52 holds every 48-bit address), and leave out memory.size_bytes"
            }
        }
    }
}

/// One entry of a paging structure, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableEntry {
    /// Where its 8 bytes stand: a multiple of 8.
    pub address: PhysicalAddress,
    /// What they are.
    pub value: u64,
}

/// Where a linear address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The physical address.
    pub address: PhysicalAddress,
    /// The size of the page.
    pub size: PageSize,
}

#[cfg(test)]
mod tests;
