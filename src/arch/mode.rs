//! The paging modes as a data table: levels, index bits, entry bytes, where a leaf may stand, which bits are reserved.
//!
//! Contract: 1.5 (levels), 8.4 (reserved bits). SDM vol. 3A, 4.1.1 (modes), 4.5 (4-level and 5-level paging).
//! Counterpart: `rtl/mmu_pkg.sv` (levels and their shifts).
//!
//! A further mode is a further row of [`MODES`] (and a variant of [`PagingMode`]), not a further code path: what walks
//! reads `levels` from the root down and asks each row where it may end. What depends on the machine's build or on
//! control registers (MAXPHYADDR, 1 GiB pages, NXE) is applied to the table by [`super::EntryRules`].

use std::fmt;

use super::address::PageSize;
use super::entry::bit;

/// How linear addresses are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum PagingMode {
    /// CR0.PG = 0: the lower 32 bits of the linear address are the physical address.
    #[default]
    Off = 0,
    /// 4-level paging: 48-bit linear addresses.
    FourLevel = 1,
    /// 5-level paging: 57-bit linear addresses.
    FiveLevel = 2,
}

/// A level of the paging structures, named for its table. The order is that of height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Page table: its entries are PTEs.
    Pt = 1,
    /// Page directory: PDEs.
    Pd = 2,
    /// Page-directory-pointer table: PDPTEs.
    Pdpt = 3,
    /// PML4 table: PML4Es.
    Pml4 = 4,
    /// PML5 table: PML5Es.
    Pml5 = 5,
}

impl Level {
    /// Number of levels that any mode may have.
    pub const COUNT: usize = 5;
    /// Every level, lowest first.
    pub const ALL: [Self; Self::COUNT] = [Self::Pt, Self::Pd, Self::Pdpt, Self::Pml4, Self::Pml5];

    /// The number by which manuals and vectors call it: 1 for a PTE's level to 5 for a PML5E's.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The level of that number, 1 to 5.
    #[inline]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Pt),
            2 => Some(Self::Pd),
            3 => Some(Self::Pdpt),
            4 => Some(Self::Pml4),
            5 => Some(Self::Pml5),
            _ => None,
        }
    }

    /// Position in arrays over levels: 0 to 4.
    #[inline]
    pub const fn array_index(self) -> usize {
        self as usize - 1
    }

    /// The lowest linear-address bit that this level's index takes: 12, 21, 30, 39 or 48.
    #[inline]
    pub const fn shift(self) -> u32 {
        3 + 9 * self as u32
    }

    /// The level below, or `None` below the page table.
    #[inline]
    pub const fn below(self) -> Option<Self> {
        Self::from_number(self as u8 - 1)
    }

    /// Size of the page that a leaf of this level maps, or `None` where no leaf may stand in any mode.
    #[inline]
    pub const fn page_size(self) -> Option<PageSize> {
        match self {
            Self::Pt => Some(PageSize::Size4K),
            Self::Pd => Some(PageSize::Size2M),
            Self::Pdpt => Some(PageSize::Size1G),
            Self::Pml4 | Self::Pml5 => None,
        }
    }

    /// The manual's name of an entry of this level.
    pub const fn entry_name(self) -> &'static str {
        match self {
            Self::Pt => "PTE",
            Self::Pd => "PDE",
            Self::Pdpt => "PDPTE",
            Self::Pml4 => "PML4E",
            Self::Pml5 => "PML5E",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry_name())
    }
}

/// Where a leaf may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafRule {
    /// Every entry refers to a table.
    Never,
    /// Every entry maps a page.
    Always,
    /// An entry with PS = 1 maps a page.
    PageSizeBit,
    /// An entry with PS = 1 maps a page if the machine has 1 GiB pages; else PS is reserved.
    PageSizeBitIf1G,
}

/// One level of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelSpec {
    /// Which level.
    pub level: Level,
    /// Lowest linear-address bit of its index.
    pub index_shift: u32,
    /// Width of its index in bits.
    pub index_bits: u32,
    /// Where a leaf may stand.
    pub leaf: LeafRule,
    /// Bits reserved in an entry that refers to a table, whatever the machine and the control registers.
    pub reserved_in_table: u64,
    /// Bits reserved in a leaf, likewise.
    pub reserved_in_leaf: u64,
}

/// One mode: a row of [`MODES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeSpec {
    /// Which mode.
    pub mode: PagingMode,
    /// The manual's name.
    pub name: &'static str,
    /// Width of a translated linear address in bits.
    pub address_bits: u32,
    /// Whether the bits above must repeat the top translated one; if not, they are ignored.
    pub canonical: bool,
    /// Size of an entry in bytes; 0 where there is none.
    pub entry_bytes: u32,
    /// Whether bit 63 of an entry is XD (reserved while EFER.NXE = 0).
    pub execute_disable: bool,
    /// Whether protection keys apply to user pages (CR4.PKE).
    pub protection_keys: bool,
    /// From the root down; empty with paging off.
    pub levels: &'static [LevelSpec],
}

const fn level(level: Level, leaf: LeafRule, in_table: u64, in_leaf: u64) -> LevelSpec {
    LevelSpec {
        level,
        index_shift: level.shift(),
        index_bits: 9,
        leaf,
        reserved_in_table: in_table,
        reserved_in_leaf: in_leaf,
    }
}

/// Bits 20:13 of a PDE that maps a 2 MiB page; bit 12 is PAT.
const RESERVED_2M: u64 = 0x1f_e000;
/// Bits 29:13 of a PDPTE that maps a 1 GiB page; bit 12 is PAT.
const RESERVED_1G: u64 = 0x3fff_e000;

/// The levels of 5-level paging; 4-level paging is the same without the first.
static LONG_MODE_LEVELS: [LevelSpec; 5] = [
    level(Level::Pml5, LeafRule::Never, bit::PS, 0),
    level(Level::Pml4, LeafRule::Never, bit::PS, 0),
    level(Level::Pdpt, LeafRule::PageSizeBitIf1G, 0, RESERVED_1G),
    level(Level::Pd, LeafRule::PageSizeBit, 0, RESERVED_2M),
    level(Level::Pt, LeafRule::Always, 0, 0),
];

/// Every mode, at the index of its [`PagingMode`].
pub static MODES: [ModeSpec; 3] = [
    ModeSpec {
        mode: PagingMode::Off,
        name: "paging off",
        address_bits: 32,
        canonical: false,
        entry_bytes: 0,
        execute_disable: false,
        protection_keys: false,
        levels: &[],
    },
    ModeSpec {
        mode: PagingMode::FourLevel,
        name: "4-level paging",
        address_bits: 48,
        canonical: true,
        entry_bytes: 8,
        execute_disable: true,
        protection_keys: true,
        levels: LONG_MODE_LEVELS.split_at(1).1,
    },
    ModeSpec {
        mode: PagingMode::FiveLevel,
        name: "5-level paging",
        address_bits: 57,
        canonical: true,
        entry_bytes: 8,
        execute_disable: true,
        protection_keys: true,
        levels: &LONG_MODE_LEVELS,
    },
];

impl PagingMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Off, Self::FourLevel, Self::FiveLevel];

    /// The row of [`MODES`] that describes it.
    #[inline]
    pub fn spec(self) -> &'static ModeSpec {
        &MODES[self as usize]
    }

    /// Width of a translated linear address in bits: 32 with paging off, else 48 or 57.
    #[inline]
    pub const fn address_bits(self) -> u32 {
        match self {
            Self::Off => 32,
            Self::FourLevel => 48,
            Self::FiveLevel => 57,
        }
    }

    /// The level at which a walk begins; `None` with paging off.
    #[inline]
    pub const fn root(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::FourLevel => Some(Level::Pml4),
            Self::FiveLevel => Some(Level::Pml5),
        }
    }

    /// Whether `raw` may be used as a linear address: always with paging off.
    #[inline]
    pub const fn is_canonical(self, raw: u64) -> bool {
        self.sign_extend(raw) == raw
    }

    /// `raw` with the bits above the top translated one replaced by copies of it; unchanged with paging off.
    #[inline]
    pub const fn sign_extend(self, raw: u64) -> u64 {
        let unused_bits = match self {
            Self::Off => return raw,
            Self::FourLevel | Self::FiveLevel => 64 - self.address_bits(),
        };
        (((raw << unused_bits) as i64) >> unused_bits) as u64
    }
}

impl fmt::Display for PagingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().name)
    }
}
