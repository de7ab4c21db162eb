//! Paging-structure entries on the hot path: shifts and masks, and what an entry means at its level.
//!
//! Contract: 8.4 (what an entry means). SDM vol. 3A, 4.3 and 4.5 (formats), 4.7 (reserved bits), 4.8 (accessed and dirty).
//! Counterpart: `rtl/mmu_pkg.sv` and `rtl/walker.sv`; `fields` states the same bits as a table, and tests hold the two equal.

use std::fmt;

use super::address::{Capabilities, PageSize, PhysicalAddress};
use super::mode::{LeafRule, Level, PagingMode};

/// Masks of the bits of an entry, by the manual's names.
pub mod bit {
    /// Present.
    pub const P: u64 = 1 << 0;
    /// Writes allowed.
    pub const RW: u64 = 1 << 1;
    /// User-mode accesses allowed.
    pub const US: u64 = 1 << 2;
    /// Page-level write-through.
    pub const PWT: u64 = 1 << 3;
    /// Page-level cache disable.
    pub const PCD: u64 = 1 << 4;
    /// Accessed.
    pub const A: u64 = 1 << 5;
    /// Dirty; in a leaf only.
    pub const D: u64 = 1 << 6;
    /// Page size, in a PDE and a PDPTE.
    pub const PS: u64 = 1 << 7;
    /// PAT in a PTE: the bit that is PS above.
    pub const PAT_4K: u64 = 1 << 7;
    /// Global; in a leaf only.
    pub const G: u64 = 1 << 8;
    /// PAT in a leaf of more than 4 KiB.
    pub const PAT_LARGE: u64 = 1 << 12;
    /// Bits 51:12, an address.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    /// Bits 31:22, an address: of a 4 MiB leaf.
    pub const ADDRESS_4M: u64 = 0xffc0_0000;
    /// Bits 20:13 of a 4 MiB leaf: bits 39:32 of the page's address (PSE-36).
    pub const ADDRESS_4M_HIGH: u64 = 0xff << ADDRESS_4M_HIGH_SHIFT;
    /// Lowest bit of those.
    pub const ADDRESS_4M_HIGH_SHIFT: u32 = 13;
    /// Bits 62:59, the protection key of a leaf.
    pub const KEY: u64 = 0xf << KEY_SHIFT;
    /// Lowest bit of the protection key.
    pub const KEY_SHIFT: u32 = 59;
    /// Execute disable.
    pub const XD: u64 = 1 << 63;
}

/// A paging-structure entry: any 64 bits; of 32-bit paging its 4 bytes as they stand in memory, the upper half 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Entry(pub u64);

impl Entry {
    /// The bits.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Bit 0: whether any other bit has a meaning.
    #[inline]
    pub const fn present(self) -> bool {
        self.0 & bit::P != 0
    }

    /// Bit 1, R/W.
    #[inline]
    pub const fn writable(self) -> bool {
        self.0 & bit::RW != 0
    }

    /// Bit 2, U/S.
    #[inline]
    pub const fn user(self) -> bool {
        self.0 & bit::US != 0
    }

    /// Bit 5, A.
    #[inline]
    pub const fn accessed(self) -> bool {
        self.0 & bit::A != 0
    }

    /// Bit 6, D: of a leaf.
    #[inline]
    pub const fn dirty(self) -> bool {
        self.0 & bit::D != 0
    }

    /// Bit 8, G: of a leaf. Whether it counts is CR4.PGE's to say.
    #[inline]
    pub const fn global(self) -> bool {
        self.0 & bit::G != 0
    }

    /// Bit 63, XD. Reserved while EFER.NXE = 0, so an entry that decodes then has it clear; 0 in 32-bit paging.
    #[inline]
    pub const fn execute_disable(self) -> bool {
        self.0 & bit::XD != 0
    }

    /// Bits 62:59: the protection key of a leaf, 0 to 15.
    #[inline]
    pub const fn protection_key(self) -> u8 {
        ((self.0 >> bit::KEY_SHIFT) & 0xf) as u8
    }

    /// Bits 51:12 as the address of a table.
    #[inline]
    pub const fn table(self) -> PhysicalAddress {
        PhysicalAddress::from_masked(self.0 & bit::ADDRESS)
    }

    /// The address of the page of `size` that this leaf maps.
    ///
    /// Bits inside the page (PAT, reserved ones) are not part of it.
    #[inline]
    pub const fn frame(self, size: PageSize) -> PhysicalAddress {
        match size {
            PageSize::Size4M => {
                let high = (self.0 & bit::ADDRESS_4M_HIGH) >> bit::ADDRESS_4M_HIGH_SHIFT;
                PhysicalAddress::from_masked(self.0 & bit::ADDRESS_4M | high << 32)
            }
            PageSize::Size4K | PageSize::Size2M | PageSize::Size1G => {
                PhysicalAddress::from_masked(self.0 & bit::ADDRESS & !size.offset_mask())
            }
        }
    }

    /// The bits in which a leaf of `size` holds `address`: what [`Entry::frame`] reads. Of 4 MiB pages those at and above bit 40 are lost.
    #[inline]
    pub const fn frame_bits(size: PageSize, address: u64) -> u64 {
        match size {
            PageSize::Size4M => {
                let high = address >> 32 << bit::ADDRESS_4M_HIGH_SHIFT & bit::ADDRESS_4M_HIGH;
                address & bit::ADDRESS_4M | high
            }
            PageSize::Size4K | PageSize::Size2M | PageSize::Size1G => {
                address & bit::ADDRESS & !size.offset_mask()
            }
        }
    }

    /// PAT, PCD and PWT of a leaf of `size`, as they stand.
    #[inline]
    pub const fn memory_type(self, size: PageSize) -> MemoryTypeBits {
        let pat = match size {
            PageSize::Size4K => bit::PAT_4K,
            PageSize::Size2M | PageSize::Size1G | PageSize::Size4M => bit::PAT_LARGE,
        };
        MemoryTypeBits {
            pat: self.0 & pat != 0,
            pcd: self.0 & bit::PCD != 0,
            pwt: self.0 & bit::PWT != 0,
        }
    }

    /// The entry with A set.
    #[inline]
    pub const fn with_accessed(self) -> Self {
        Self(self.0 | bit::A)
    }

    /// What a walk leaves behind in a table entry that it uses: A set.
    #[inline]
    pub const fn after_use_as_table(self) -> Self {
        self.with_accessed()
    }

    /// What an allowed access leaves behind in the leaf: A set, and D for a write.
    #[inline]
    pub const fn after_use_as_leaf(self, write: bool) -> Self {
        Self(self.0 | bit::A | if write { bit::D } else { 0 })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:#018x})", self.0)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl From<u64> for Entry {
    fn from(raw: u64) -> Self {
        Self(raw)
    }
}

/// PAT, PCD and PWT of a leaf: passed on as they stand, for who knows the PAT register to interpret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MemoryTypeBits {
    /// Bit 7 of a PTE, bit 12 of a larger leaf.
    pub pat: bool,
    /// Bit 4.
    pub pcd: bool,
    /// Bit 3.
    pub pwt: bool,
}

impl MemoryTypeBits {
    /// The index into the PAT register: 4·PAT + 2·PCD + PWT (SDM vol. 3A, 4.9.2).
    #[inline]
    pub const fn pat_index(self) -> u8 {
        (self.pat as u8) << 2 | (self.pcd as u8) << 1 | self.pwt as u8
    }
}

/// What an entry means at its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decoded {
    /// P = 0: nothing else in the entry counts.
    NotPresent,
    /// P = 1 and a reserved bit is set.
    Reserved {
        /// The reserved bits that are set.
        bits: u64,
    },
    /// Refers to the table of the level below, at [`Entry::table`].
    Table,
    /// Maps a page of this size, at [`Entry::frame`].
    Leaf(PageSize),
}

/// The reserved bits and leaf positions of a mode on a machine, folded into one mask per level.
///
/// Depends on the mode, on [`Capabilities`], EFER.NXE and CR4.PSE, and on nothing else: make it anew when one of them changes
/// ([`super::Registers::entry_rules`]), not for each entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRules {
    /// An entry is a leaf if it has this bit. P at a level where every entry is a leaf, none where none is.
    leaf_bit: [u64; Level::COUNT],
    reserved_in_table: [u64; Level::COUNT],
    reserved_in_leaf: [u64; Level::COUNT],
    /// The size of the page that a leaf maps.
    page_size: [PageSize; Level::COUNT],
}

impl EntryRules {
    /// The rules of `mode` on a machine with `capabilities`, under EFER.NXE = `nxe` and CR4.PSE = `pse`.
    ///
    /// With paging off there is no level, and nothing may be decoded.
    pub fn new(mode: PagingMode, capabilities: &Capabilities, nxe: bool, pse: bool) -> Self {
        let spec = mode.spec();
        let mut rules = Self {
            leaf_bit: [0; Level::COUNT],
            reserved_in_table: [0; Level::COUNT],
            reserved_in_leaf: [0; Level::COUNT],
            page_size: [PageSize::Size4K; Level::COUNT],
        };
        let mut everywhere = match spec.entry_bytes {
            8 => capabilities.maxphyaddr.reserved_entry_bits(),
            _ => 0,
        };
        if spec.execute_disable && !nxe {
            everywhere |= bit::XD;
        }
        for row in spec.levels {
            let index = row.level.array_index();
            rules.reserved_in_table[index] = row.reserved_in_table | everywhere;
            rules.reserved_in_leaf[index] = row.reserved_in_leaf | everywhere;
            if let Some(size) = row.page_size {
                rules.page_size[index] = size;
            }
            if spec.pse_36 && row.page_size == Some(PageSize::Size4M) {
                rules.reserved_in_leaf[index] |= capabilities.maxphyaddr.reserved_pse_36_bits();
            }
            match row.leaf {
                LeafRule::PageSizeBitIfPse if pse => rules.leaf_bit[index] = bit::PS,
                LeafRule::PageSizeBitIfPse => {}
                LeafRule::Never => {}
                LeafRule::Always => rules.leaf_bit[index] = bit::P,
                LeafRule::PageSizeBit => rules.leaf_bit[index] = bit::PS,
                LeafRule::PageSizeBitIf1G if capabilities.page_1g => {
                    rules.leaf_bit[index] = bit::PS;
                }
                LeafRule::PageSizeBitIf1G => rules.reserved_in_table[index] |= bit::PS,
            }
        }
        rules
    }

    /// Whether a present `entry` of `level` would be a leaf, whatever its reserved bits.
    #[inline]
    pub const fn is_leaf(&self, level: Level, entry: Entry) -> bool {
        entry.0 & self.leaf_bit[level.array_index()] != 0
    }

    /// The bits that are reserved in `entry` at `level`, set or not.
    #[inline]
    pub const fn reserved_bits(&self, level: Level, entry: Entry) -> u64 {
        if self.is_leaf(level, entry) {
            self.reserved_in_leaf[level.array_index()]
        } else {
            self.reserved_in_table[level.array_index()]
        }
    }

    /// What `entry` means at `level`.
    #[inline]
    pub const fn decode(&self, level: Level, entry: Entry) -> Decoded {
        if !entry.present() {
            return Decoded::NotPresent;
        }
        let bits = entry.0 & self.reserved_bits(level, entry);
        if bits != 0 {
            return Decoded::Reserved { bits };
        }
        if self.is_leaf(level, entry) {
            return Decoded::Leaf(self.page_size[level.array_index()]);
        }
        Decoded::Table
    }
}
