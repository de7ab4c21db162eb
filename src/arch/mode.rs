//! The paging modes as a data table: levels, index bits, entry bytes, where a leaf may stand, which bits are reserved.
//!
//! Contract: 1.5 (levels), 8.4 (reserved bits). SDM vol. 3A, 4.1.1 (modes), 4.3 (32-bit paging), 4.5 (4-level and 5-level paging).
//! Counterpart: `rtl/mmu_pkg.sv` (levels and their shifts).
//!
//! A further mode is a further row of [`MODES`] (and a variant of [`PagingMode`]), not a further code path: what walks
//! reads `levels` from the root down and asks each row where it may end. What depends on the machine's build or on
//! control registers (MAXPHYADDR, 1 GiB pages, NXE) is applied to the table by [`super::EntryRules`].

use std::fmt;

use super::address::{PageSize, PhysicalAddress};
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
    /// 32-bit paging: two levels of 4-byte entries, 32-bit linear addresses. (PAE paging, its sibling, is not in this machine.)
    TwoLevel = 3,
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

    /// The lowest linear-address bit that this level's index takes where tables have 512 entries: 12, 21, 30, 39 or 48.
    ///
    /// In any mode: [`PagingMode::index_shift`].
    #[inline]
    pub const fn shift(self) -> u32 {
        3 + 9 * self as u32
    }

    /// The level below, or `None` below the page table.
    #[inline]
    pub const fn below(self) -> Option<Self> {
        Self::from_number(self as u8 - 1)
    }

    /// The manual's name of a table of this level.
    pub const fn table_name(self) -> &'static str {
        match self {
            Self::Pt => "PT",
            Self::Pd => "PD",
            Self::Pdpt => "PDPT",
            Self::Pml4 => "PML4",
            Self::Pml5 => "PML5",
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
    /// An entry with PS = 1 maps a page while CR4.PSE = 1; else PS is ignored.
    PageSizeBitIfPse,
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
    /// Size of the page that a leaf maps; `None` where none may stand.
    pub page_size: Option<PageSize>,
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
    /// Bits 20:13 of a large leaf are bits 39:32 of its page's address, as far as MAXPHYADDR goes; bits 21 down to there are reserved (PSE-36).
    pub pse_36: bool,
    /// From the root down; empty with paging off.
    pub levels: &'static [LevelSpec],
}

const fn level(
    level: Level,
    leaf: LeafRule,
    page_size: Option<PageSize>,
    in_table: u64,
    in_leaf: u64,
) -> LevelSpec {
    LevelSpec {
        level,
        index_shift: level.shift(),
        index_bits: 9,
        leaf,
        page_size,
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
    level(Level::Pml5, LeafRule::Never, None, bit::PS, 0),
    level(Level::Pml4, LeafRule::Never, None, bit::PS, 0),
    level(
        Level::Pdpt,
        LeafRule::PageSizeBitIf1G,
        Some(PageSize::Size1G),
        0,
        RESERVED_1G,
    ),
    level(
        Level::Pd,
        LeafRule::PageSizeBit,
        Some(PageSize::Size2M),
        0,
        RESERVED_2M,
    ),
    level(Level::Pt, LeafRule::Always, Some(PageSize::Size4K), 0, 0),
];

/// Bit 21 of a PDE that maps a 4 MiB page: no width of the physical address makes it an address bit.
const RESERVED_4M: u64 = 1 << 21;

/// The levels of 32-bit paging.
static TWO_LEVELS: [LevelSpec; 2] = [
    LevelSpec {
        level: Level::Pd,
        index_shift: 22,
        index_bits: 10,
        leaf: LeafRule::PageSizeBitIfPse,
        page_size: Some(PageSize::Size4M),
        reserved_in_table: 0,
        reserved_in_leaf: RESERVED_4M,
    },
    LevelSpec {
        level: Level::Pt,
        index_shift: 12,
        index_bits: 10,
        leaf: LeafRule::Always,
        page_size: Some(PageSize::Size4K),
        reserved_in_table: 0,
        reserved_in_leaf: 0,
    },
];

/// Every mode, at the index of its [`PagingMode`].
pub static MODES: [ModeSpec; 4] = [
    ModeSpec {
        mode: PagingMode::Off,
        name: "paging off",
        address_bits: 32,
        canonical: false,
        entry_bytes: 0,
        execute_disable: false,
        protection_keys: false,
        pse_36: false,
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
        pse_36: false,
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
        pse_36: false,
        levels: &LONG_MODE_LEVELS,
    },
    ModeSpec {
        mode: PagingMode::TwoLevel,
        name: "32-bit paging",
        address_bits: 32,
        canonical: false,
        entry_bytes: 4,
        execute_disable: false,
        protection_keys: false,
        pse_36: true,
        levels: &TWO_LEVELS,
    },
];

impl PagingMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Off, Self::FourLevel, Self::FiveLevel, Self::TwoLevel];

    /// The row of [`MODES`] that describes it.
    #[inline]
    pub fn spec(self) -> &'static ModeSpec {
        &MODES[self as usize]
    }

    /// Width of a translated linear address in bits: 32 with paging off and in 32-bit paging, else 48 or 57.
    #[inline]
    pub const fn address_bits(self) -> u32 {
        match self {
            Self::Off | Self::TwoLevel => 32,
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
            Self::TwoLevel => Some(Level::Pd),
        }
    }

    /// Whether `raw` may be used as a linear address: always with paging off and in 32-bit paging, where the upper bits are ignored.
    #[inline]
    pub const fn is_canonical(self, raw: u64) -> bool {
        match self {
            Self::Off | Self::TwoLevel => true,
            Self::FourLevel | Self::FiveLevel => self.extend(raw) == raw,
        }
    }

    /// `raw` as the address that the mode takes it for: the bits above the top translated one replaced by copies of it, in 32-bit paging
    /// by zeros; unchanged with paging off.
    #[inline]
    pub const fn extend(self, raw: u64) -> u64 {
        let unused_bits = match self {
            Self::Off => return raw,
            Self::TwoLevel => return raw & 0xffff_ffff,
            Self::FourLevel | Self::FiveLevel => 64 - self.address_bits(),
        };
        (((raw << unused_bits) as i64) >> unused_bits) as u64
    }

    /// The lowest linear-address bit that the index of `level` takes in this mode.
    #[inline]
    pub const fn index_shift(self, level: Level) -> u32 {
        match self {
            Self::TwoLevel => 2 + 10 * level as u32,
            Self::Off | Self::FourLevel | Self::FiveLevel => level.shift(),
        }
    }

    /// The index of the linear address `raw` in a table of `level`: 0 to 511, in 32-bit paging 0 to 1023.
    #[inline]
    pub const fn index(self, level: Level, raw: u64) -> u64 {
        let mask = match self {
            Self::TwoLevel => 0x3ff,
            Self::Off | Self::FourLevel | Self::FiveLevel => 0x1ff,
        };
        (raw >> self.index_shift(level)) & mask
    }

    /// Size of an entry in bytes: 4 in 32-bit paging, else 8.
    #[inline]
    pub const fn entry_bytes(self) -> u64 {
        match self {
            Self::TwoLevel => 4,
            Self::Off | Self::FourLevel | Self::FiveLevel => 8,
        }
    }

    /// The address of the entry that the linear address `raw` selects in the table of `level` that starts at `table`.
    #[inline]
    pub const fn entry_address(
        self,
        table: PhysicalAddress,
        level: Level,
        raw: u64,
    ) -> PhysicalAddress {
        table.offset_by(self.entry_bytes() * self.index(level, raw))
    }

    /// The page sizes of the TLB arrays, in the order of their numbers: in 32-bit paging the arrays named for 2 MiB hold 4 MiB pages, and those
    /// for 1 GiB nothing (contract 2).
    #[inline]
    pub const fn array_page_sizes(self) -> &'static [PageSize; 3] {
        match self {
            Self::TwoLevel => &[PageSize::Size4K, PageSize::Size4M, PageSize::Size1G],
            Self::Off | Self::FourLevel | Self::FiveLevel => &PageSize::ARRAYS,
        }
    }
}

impl fmt::Display for PagingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().name)
    }
}
