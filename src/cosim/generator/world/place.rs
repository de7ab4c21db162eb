//! Addresses as indices that mean something in every mode, and the places of entries.
//!
//! Contract: 1.5 (index bits), 8.3 (entries of 4 and of 8 bytes). SDM vol. 3A, 4.3 and 4.5. Counterpart: none.

use crate::arch::{EntrySlot, Level, PagingMode, PhysicalAddress};

/// What an address is made of: an index for each level, and an offset in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// By level.
    pub(super) indices: [u16; 6],
    /// Those of 32-bit paging, by level, less 1.
    pub(super) two_level: [u16; 2],
    pub(super) offset: u16,
}

impl Address {
    /// The canonical address with these indices in `mode`.
    pub fn in_mode(&self, mode: PagingMode) -> u64 {
        let mut va = u64::from(self.offset);
        for row in mode.spec().levels {
            let number = usize::from(row.level.number());
            let index = match mode {
                PagingMode::TwoLevel => self.two_level[number - 1],
                _ => self.indices[number],
            };
            va |= u64::from(index) << row.index_shift;
        }
        mode.extend(va)
    }
}

/// An entry of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where it stands.
    pub address: u64,
    /// Its level, 1 to 5.
    pub level: u8,
    /// The mode to whose tables it belongs, which says how long it is.
    pub mode: PagingMode,
}

impl Place {
    /// Its place in the cell.
    pub(super) fn slot(self) -> EntrySlot {
        EntrySlot::of(self.mode, PhysicalAddress::from_masked(self.address))
    }

    /// The cell that it stands in.
    pub const fn cell(self) -> u64 {
        self.address & !7
    }

    /// The entry behind it in its table.
    pub fn next(self) -> Option<Self> {
        let address = self.address + self.mode.entry_bytes();
        (address & 0xfff != 0).then_some(Self { address, ..self })
    }

    /// The entry that shares its cell; of 8 bytes itself.
    pub const fn beside(self) -> Self {
        let address = match self.mode {
            PagingMode::TwoLevel => self.address ^ 4,
            _ => self.address,
        };
        Self { address, ..self }
    }

    /// Bytes of a page that it maps.
    pub fn page_bytes(self) -> u64 {
        let level = Level::from_number(self.level);
        1 << level.map_or(12, |level| self.mode.index_shift(level))
    }
}
