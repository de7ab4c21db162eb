//! An entry in the cell of 8 bytes that memory transfers: all of it, or with entries of 4 bytes one half.
//!
//! Contract: 3 (byte enables), 8.3 (where an entry of 4 bytes stands). SDM vol. 3A, 4.3 (32-bit paging).
//! Counterpart: `rtl/walker.sv`.

use super::address::PhysicalAddress;
use super::entry::Entry;
use super::mode::PagingMode;

/// Which bytes of its cell an entry takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntrySlot {
    /// All 8 bytes.
    Whole,
    /// The 4 bytes of the lower addresses.
    Low,
    /// The 4 bytes of the higher addresses.
    High,
}

impl EntrySlot {
    /// The slot of the entry at `address`, which is a multiple of the size of an entry of `mode`.
    #[inline]
    pub const fn of(mode: PagingMode, address: PhysicalAddress) -> Self {
        match mode {
            PagingMode::TwoLevel if address.raw() & 4 != 0 => Self::High,
            PagingMode::TwoLevel => Self::Low,
            PagingMode::Off | PagingMode::FourLevel | PagingMode::FiveLevel => Self::Whole,
        }
    }

    /// The slot that a transfer with these byte enables is about, if it is one that an entry can be in.
    #[inline]
    pub const fn of_byte_enables(byte_enables: u8) -> Option<Self> {
        match byte_enables {
            0xff => Some(Self::Whole),
            0x0f => Some(Self::Low),
            0xf0 => Some(Self::High),
            _ => None,
        }
    }

    /// The address of the cell in which the entry at `address` stands.
    #[inline]
    pub const fn cell(address: PhysicalAddress) -> PhysicalAddress {
        PhysicalAddress::from_masked(address.raw() & !7)
    }

    /// Bytes of the cell before the entry: where it begins.
    #[inline]
    pub const fn offset_bytes(self) -> u64 {
        match self {
            Self::Whole | Self::Low => 0,
            Self::High => 4,
        }
    }

    /// The byte enables of a transfer of the entry, one bit a byte.
    #[inline]
    pub const fn byte_enables(self) -> u8 {
        match self {
            Self::Whole => 0xff,
            Self::Low => 0x0f,
            Self::High => 0xf0,
        }
    }

    /// A mask of the entry's bits in the cell.
    #[inline]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Whole => u64::MAX,
            Self::Low => 0xffff_ffff,
            Self::High => 0xffff_ffff << 32,
        }
    }

    /// The entry in a cell that holds `data`.
    #[inline]
    pub const fn extract(self, data: u64) -> Entry {
        Entry(match self {
            Self::Whole => data,
            Self::Low => data & 0xffff_ffff,
            Self::High => data >> 32,
        })
    }

    /// `entry` where it stands in its cell, the rest 0.
    #[inline]
    pub const fn place(self, entry: Entry) -> u64 {
        match self {
            Self::Whole => entry.raw(),
            Self::Low => entry.raw() & 0xffff_ffff,
            Self::High => entry.raw() << 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_4_bytes_stands_in_the_half_that_bit_2_of_its_address_names() {
        let at = |address| EntrySlot::of(PagingMode::TwoLevel, PhysicalAddress::new(address));
        assert_eq!((at(0x1000), at(0x1ffc)), (EntrySlot::Low, EntrySlot::High));
        assert_eq!(
            EntrySlot::of(PagingMode::FourLevel, PhysicalAddress::new(0x1004)),
            EntrySlot::Whole
        );
        assert_eq!(EntrySlot::cell(PhysicalAddress::new(0x1ffc)).raw(), 0x1ff8);
    }

    #[test]
    fn other_byte_enables_are_of_no_slot() {
        for enables in [0x00, 0x01, 0x3c, 0xf8, 0xfe] {
            assert_eq!(EntrySlot::of_byte_enables(enables), None);
        }
    }

    #[test]
    fn what_is_placed_is_extracted_again_and_touches_no_other_byte() {
        for slot in [EntrySlot::Whole, EntrySlot::Low, EntrySlot::High] {
            let entry = slot.extract(0xfedc_ba98_7654_3210);
            assert_eq!(slot.place(entry), 0xfedc_ba98_7654_3210 & slot.mask());
            let bytes = (0..8).filter(|byte| slot.mask() >> (8 * byte) & 0xff != 0);
            let enables = bytes.fold(0, |enables, byte| enables | 1 << byte);
            assert_eq!(slot.byte_enables(), enables);
            assert_eq!(EntrySlot::of_byte_enables(enables), Some(slot));
            assert_eq!(slot.offset_bytes(), u64::from(enables.trailing_zeros()));
        }
    }
}
