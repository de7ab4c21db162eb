//! Linear addresses that carry their paging mode, physical addresses, page sizes, and what the machine is capable of.
//!
//! Contract: 1.5 (page sizes), 6 (canonical). SDM vol. 3A, 4.1.4 (MAXPHYADDR), 4.5 (canonical addresses); vol. 1, 3.3.7.1.
//! Counterpart: `rtl/mmu_pkg.sv` (address widths and the canonical check).

use std::cmp::Ordering;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::mode::{Level, PagingMode};

/// Why an address or a width was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// MAXPHYADDR outside [`MaxPhyAddr::MIN_BITS`]..=[`MaxPhyAddr::MAX_BITS`].
    #[error("MAXPHYADDR of {bits} bits is not supported: give 36 to 52")]
    PhysicalWidth {
        /// The width that was asked for.
        bits: u32,
    },
    /// A physical address with bits at or above MAXPHYADDR.
    #[error(
        "physical address {raw:#x} does not fit in {bits} bits: give one below {:#x}",
        1u64 << bits
    )]
    TooWide {
        /// The address that was given.
        raw: u64,
        /// MAXPHYADDR.
        bits: u32,
    },
}

/// A linear address whose upper bits do not repeat its top translated bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("address {raw:#x} is not canonical: bits 63:{top} must all be equal", top = bits - 1)]
pub struct NonCanonical {
    /// The address that was given.
    pub raw: u64,
    /// Width of a linear address in the mode: 48 or 57.
    pub bits: u32,
}

/// MAXPHYADDR: the width of a physical address, 36 to 52 bits.
///
/// Bits from here up to 51 are reserved in every paging-structure entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxPhyAddr(u8);

impl MaxPhyAddr {
    /// Fewest bits that the machine can be built with.
    pub const MIN_BITS: u32 = 36;
    /// Most bits that the architecture allows.
    pub const MAX_BITS: u32 = 52;
    /// The widest, 52 bits: no address bit of an entry is reserved.
    pub const MAX: Self = Self(52);

    /// The width `bits`.
    ///
    /// # Errors
    /// [`AddressError::PhysicalWidth`] unless `bits` is 36 to 52.
    pub const fn new(bits: u32) -> Result<Self, AddressError> {
        if bits >= Self::MIN_BITS && bits <= Self::MAX_BITS {
            Ok(Self(bits as u8))
        } else {
            Err(AddressError::PhysicalWidth { bits })
        }
    }

    /// The width in bits.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// A mask of the bits that a physical address may have.
    #[inline]
    pub const fn mask(self) -> u64 {
        (1 << self.0) - 1
    }

    /// Bits MAXPHYADDR to 51: reserved in every entry. Zero where MAXPHYADDR is 52.
    #[inline]
    pub const fn reserved_entry_bits(self) -> u64 {
        Self::MAX.mask() & !self.mask()
    }

    /// Bits 20:(M - 19) with M the lesser of 40 and MAXPHYADDR: of the bits 20:13 that hold bits 39:32 of a 4 MiB page's address, those that this
    /// width leaves reserved (SDM vol. 3A, 4.3). Zero from 40 bits up.
    #[inline]
    pub const fn reserved_pse_36_bits(self) -> u64 {
        let high_bits = if self.0 < 40 { self.bits() - 32 } else { 8 };
        (0xff >> high_bits) << (13 + high_bits)
    }
}

/// What the machine is built with: fixed for its life, where [`super::Registers`] change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Width of a physical address.
    pub maxphyaddr: MaxPhyAddr,
    /// Whether a PDPTE may map a 1 GiB page. Without it, bit 7 of a PDPTE is reserved.
    pub page_1g: bool,
    /// Whether CR4.LA57 may be set.
    pub five_level: bool,
}

impl Capabilities {
    /// Capabilities with a MAXPHYADDR of `maxphyaddr_bits`.
    ///
    /// # Errors
    /// [`AddressError::PhysicalWidth`] unless `maxphyaddr_bits` is 36 to 52.
    pub const fn new(
        maxphyaddr_bits: u32,
        page_1g: bool,
        five_level: bool,
    ) -> Result<Self, AddressError> {
        match MaxPhyAddr::new(maxphyaddr_bits) {
            Ok(maxphyaddr) => Ok(Self {
                maxphyaddr,
                page_1g,
                five_level,
            }),
            Err(error) => Err(error),
        }
    }
}

/// Size of a page: its discriminant is the code of contract 1.5. The order is that of size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[repr(u8)]
pub enum PageSize {
    /// 4 KiB, mapped by a PTE.
    #[serde(rename = "4k")]
    Size4K = 0,
    /// 2 MiB, mapped by a PDE.
    #[serde(rename = "2m")]
    Size2M = 1,
    /// 1 GiB, mapped by a PDPTE.
    #[serde(rename = "1g")]
    Size1G = 2,
    /// 4 MiB, mapped by a PDE of 32-bit paging.
    // No TLB array is named for it, so that no configuration names it.
    #[serde(skip)]
    Size4M = 3,
}

impl PageSize {
    /// Every size, smallest first.
    pub const ALL: [Self; 4] = [Self::Size4K, Self::Size2M, Self::Size4M, Self::Size1G];
    /// The sizes for which TLB arrays are named, in the order of their numbers; those of 4-level and 5-level paging.
    pub const ARRAYS: [Self; 3] = [Self::Size4K, Self::Size2M, Self::Size1G];

    /// log2 of the size in bytes: 12, 21, 22 or 30.
    #[inline]
    pub const fn shift(self) -> u32 {
        const SHIFTS: [u32; 4] = [12, 21, 30, 22];
        SHIFTS[self as usize]
    }

    /// The size of that code, 0 to 3 (contract 1.5).
    #[inline]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Size4K),
            1 => Some(Self::Size2M),
            2 => Some(Self::Size1G),
            3 => Some(Self::Size4M),
            _ => None,
        }
    }

    /// The number, 0 to 2, of the TLB array of each level that holds pages of this size (contract 2): 4 MiB pages share that of 2 MiB pages.
    #[inline]
    pub const fn array_index(self) -> usize {
        match self {
            Self::Size4K => 0,
            Self::Size2M | Self::Size4M => 1,
            Self::Size1G => 2,
        }
    }

    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// A mask of the offset inside a page.
    #[inline]
    pub const fn offset_mask(self) -> u64 {
        self.bytes() - 1
    }

    /// The level whose entry maps a page of this size.
    #[inline]
    pub const fn leaf_level(self) -> Level {
        match self {
            Self::Size4K => Level::Pt,
            Self::Size2M | Self::Size4M => Level::Pd,
            Self::Size1G => Level::Pdpt,
        }
    }

    /// The name as commands and files write it: `4k`, `2m`, `1g`, `4m`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size4K => "4k",
            Self::Size2M => "2m",
            Self::Size1G => "1g",
            Self::Size4M => "4m",
        }
    }
}

impl PartialOrd for PageSize {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PageSize {
    fn cmp(&self, other: &Self) -> Ordering {
        self.shift().cmp(&other.shift())
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A physical address.
///
/// Guaranteed: below 2^52. Not guaranteed: that it is below the machine's MAXPHYADDR, unless it came from
/// [`PhysicalAddress::try_new`] or [`PhysicalAddress::new_truncate`] with that width, or from an entry that decoded
/// without a reserved bit; nor that memory stands there (that is the bus's to say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysicalAddress(u64);

impl PhysicalAddress {
    /// `raw`, for values that are known to fit, such as constants.
    ///
    /// # Panics
    /// If `raw` is 2^52 or more. Use [`PhysicalAddress::try_new`] for anything that comes from outside.
    #[inline]
    #[track_caller]
    pub const fn new(raw: u64) -> Self {
        assert!(
            raw <= MaxPhyAddr::MAX.mask(),
            "a physical address has 52 bits at most"
        );
        Self(raw)
    }

    /// The lower 52 bits of `raw`: for what a mask has already cut down.
    #[inline]
    pub(crate) const fn from_masked(raw: u64) -> Self {
        Self(raw & MaxPhyAddr::MAX.mask())
    }

    /// `raw`, if it fits in `width`.
    ///
    /// # Errors
    /// [`AddressError::TooWide`] if a bit at or above MAXPHYADDR is set.
    #[inline]
    pub const fn try_new(raw: u64, width: MaxPhyAddr) -> Result<Self, AddressError> {
        if raw & !width.mask() == 0 {
            Ok(Self(raw))
        } else {
            Err(AddressError::TooWide {
                raw,
                bits: width.bits(),
            })
        }
    }

    /// The bits of `raw` below MAXPHYADDR.
    #[inline]
    pub const fn new_truncate(raw: u64, width: MaxPhyAddr) -> Self {
        Self(raw & width.mask())
    }

    /// The address as a number.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The number of its 4 KiB frame.
    #[inline]
    pub const fn frame_number(self) -> u64 {
        self.0 >> 12
    }

    /// The address of entry `index` of the table that starts here.
    ///
    /// `index` is below 512 and an entry has 8 bytes, so that a table aligned to 4 KiB is never left.
    #[inline]
    pub const fn entry_address(self, index: u64) -> Self {
        Self::from_masked(self.0 + 8 * index)
    }

    /// The address `offset_bytes` further on, which is inside the same table.
    #[inline]
    pub(crate) const fn offset_by(self, offset_bytes: u64) -> Self {
        Self::from_masked(self.0 + offset_bytes)
    }
}

impl fmt::Display for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::LowerHex for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// A linear address together with the paging mode under which it is canonical.
///
/// Guaranteed: bits 63:47 (4-level) or 63:56 (5-level) are equal; in 32-bit paging, bits 63:32 are 0; with paging off, nothing. Not guaranteed: that the
/// machine is still in that mode. A change of mode makes a new address necessary, and that is the reason to carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VirtualAddress {
    raw: u64,
    mode: PagingMode,
}

impl VirtualAddress {
    /// `raw` under `mode`. 32-bit paging takes its lower 32 bits.
    ///
    /// # Errors
    /// [`NonCanonical`] if its upper bits do not repeat the top translated bit. Never with paging off and in 32-bit paging.
    #[inline]
    pub const fn try_new(raw: u64, mode: PagingMode) -> Result<Self, NonCanonical> {
        if mode.is_canonical(raw) {
            Ok(Self::new_truncate(raw, mode))
        } else {
            Err(NonCanonical {
                raw,
                bits: mode.address_bits(),
            })
        }
    }

    /// `raw` under `mode`, with its upper bits replaced as [`PagingMode::extend`] has it.
    #[inline]
    pub const fn new_truncate(raw: u64, mode: PagingMode) -> Self {
        Self {
            raw: mode.extend(raw),
            mode,
        }
    }

    /// `raw` under `mode`, for constants that are canonical by construction.
    ///
    /// # Panics
    /// If `raw` is not canonical. Use [`VirtualAddress::try_new`] for anything that comes from outside.
    #[track_caller]
    pub const fn new(raw: u64, mode: PagingMode) -> Self {
        match Self::try_new(raw, mode) {
            Ok(address) => address,
            Err(_) => panic!("the address is not canonical in this paging mode"),
        }
    }

    /// The address as a number.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.raw
    }

    /// The mode under which it is canonical.
    #[inline]
    pub const fn mode(self) -> PagingMode {
        self.mode
    }

    /// The index that selects this address's entry in a table of `level`: 0 to 511, in 32-bit paging 0 to 1023.
    #[inline]
    pub const fn index(self, level: Level) -> u64 {
        self.mode.index(level, self.raw)
    }

    /// The number of its page of `size`: the address without its offset, shifted down, sign bits kept.
    #[inline]
    pub const fn page_number(self, size: PageSize) -> u64 {
        self.raw >> size.shift()
    }

    /// The offset in its page of `size`, in bytes.
    #[inline]
    pub const fn offset(self, size: PageSize) -> u64 {
        self.raw & size.offset_mask()
    }

    /// The first address of its page of `size`.
    #[inline]
    pub const fn align_down(self, size: PageSize) -> Self {
        Self {
            raw: self.raw & !size.offset_mask(),
            mode: self.mode,
        }
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.raw)
    }
}

impl fmt::LowerHex for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.raw, f)
    }
}
