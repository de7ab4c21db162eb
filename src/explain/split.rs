//! Which bits of a linear address are what: indices, page numbers, offsets, and whether it is canonical.
//!
//! Contract: 6 (canonical), 8.3 (indices). SDM vol. 3A, 4.3 (32-bit paging), 4.5 (4-level and 5-level paging); vol. 1, 3.3.7.1.
//! Counterpart: none.
//!
//! Everything is read from the table of levels of a mode, whatever its number of levels, index bits and entry bytes.

use serde::Serialize;

use super::Hex;
use crate::arch::PagingMode;
use crate::tables::{LevelShape, PageUnit, TableMode};

/// Lowest bit of a 4 KiB page's number: where the indices end.
const PAGE_SHIFT: u32 = 12;

/// A form of linear addresses: 32, 48 or 57 bits, and the levels that translate them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    tables: TableMode,
}

impl Mode {
    /// The mode whose linear addresses have that many bits, if there is one.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let fits = |tables: &TableMode| tables.address_bits() == bits && tree(*tables).len() > 1;
        let tables = TableMode::ALL.into_iter().find(fits)?;
        Some(Self { tables })
    }

    /// Bits of a linear address.
    pub fn bits(self) -> u32 {
        self.tables.address_bits()
    }

    /// The paging mode of the machine that translates such addresses; `None` if the machine has none.
    pub fn paging(self) -> Option<PagingMode> {
        let fits = |mode: &PagingMode| {
            let spec = mode.spec();
            spec.address_bits == self.bits() && !spec.levels.is_empty()
        };
        PagingMode::ALL.into_iter().find(fits)
    }

    /// Size of an entry in bytes.
    pub fn entry_bytes(self) -> u64 {
        self.tables.entry_bytes()
    }

    /// Whether the bits above the translated ones must repeat the highest of those.
    pub fn has_canonical_rule(self) -> bool {
        match self.paging() {
            Some(mode) => mode.spec().canonical,
            // What is narrower than 48 bits has the address space of a 32-bit program: nothing stands above.
            None => self.bits() > 32,
        }
    }

    /// The manual's name.
    pub fn name(self) -> String {
        self.paging().map_or_else(
            || format!("{}-bit paging", self.bits()),
            |mode| mode.spec().name.to_owned(),
        )
    }
}

/// The levels down to pages of 4 KiB, from the root on.
fn tree(tables: TableMode) -> Vec<LevelShape> {
    tables.levels(PageUnit::Size4K).unwrap_or_default()
}

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    /// The address.
    pub address: Hex,
    /// Bits of a linear address: 32, 48 or 57.
    pub mode: u32,
    /// The manual's name of the mode.
    pub mode_name: String,
    /// Whether it may be used.
    pub canonical: bool,
    /// Why, or why not.
    pub because: String,
    /// Its translated bits, sign-extended: the canonical address with the same indices.
    pub sign_extended: Hex,
    /// Its index into a table of each level, from the root down.
    pub indices: Vec<Index>,
    /// Page number and offset for each page size.
    pub pages: Vec<PagePart>,
}

/// The index into the table of one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    /// What the table is called: `PML4`.
    pub table: &'static str,
    /// What its entries are called: `PML4E`.
    pub entry: String,
    /// Its highest address bit.
    pub high_bit: u32,
    /// Its lowest address bit.
    pub low_bit: u32,
    /// The index.
    pub index: u64,
    /// The index in binary, all of its bits.
    pub binary: String,
    /// Size of an entry in bytes.
    pub entry_bytes: u64,
    /// Where the entry stands from the start of its table on, in bytes.
    pub offset_bytes: Hex,
    /// Which holds the address of the table: `CR3`, or the entry above.
    pub table_from: String,
    /// Bytes of the address space that one entry covers.
    pub covers_bytes: u64,
}

/// The address as page number and offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PagePart {
    /// The page size: `4k`.
    pub size: &'static str,
    /// In bytes.
    pub size_bytes: u64,
    /// The entry that maps such a page.
    pub mapped_by: String,
    /// The page's number: the address shifted down, with the bits above the translated ones.
    pub page_number: Hex,
    /// Bits of the offset.
    pub offset_bits: u32,
    /// The offset.
    pub offset: Hex,
    /// The page's first address.
    pub first_address: Hex,
}

/// Takes `address` apart as one of `mode`.
pub fn split(address: u64, mode: Mode) -> Split {
    let bits = mode.bits();
    let (sign_extended, canonical, because) = canonical(address, mode);
    Split {
        address: Hex(address),
        mode: bits,
        mode_name: mode.name(),
        canonical,
        because,
        sign_extended: Hex(sign_extended),
        indices: indices(address, mode),
        pages: pages(address, mode),
    }
}

/// The canonical form, whether the address is it, and why.
fn canonical(address: u64, mode: Mode) -> (u64, bool, String) {
    let bits = mode.bits();
    let unused = 64 - bits;
    if !mode.has_canonical_rule() {
        let lower = address << unused >> unused;
        let because = format!(
            "{bits}-bit linear addresses have no bits above {}",
            bits - 1
        );
        return (lower, lower == address, because);
    }
    let top = bits - 1;
    let extended = ((address << unused) as i64 >> unused) as u64;
    let upper = address >> bits;
    let sign = address >> top & 1;
    let all = if sign == 1 { u64::MAX >> bits } else { 0 };
    let because = if extended == address {
        let half = if sign == 1 { "upper" } else { "lower" };
        format!("bits 63:{bits} repeat bit {top}, which is {sign}: the {half} half")
    } else {
        format!(
            "bits 63:{bits} are {upper:#x}, and must repeat bit {top}, which is {sign}: {all:#x}"
        )
    };
    (extended, extended == address, because)
}

fn indices(address: u64, mode: Mode) -> Vec<Index> {
    let mut above: Option<String> = None;
    tree(mode.tables)
        .iter()
        .map(|level| {
            let width = level.index_bits;
            let index = address >> level.index_shift & ((1 << width) - 1);
            let entry = entry_name(level);
            let table_from = match above.replace(entry.clone()) {
                None => "CR3".to_owned(),
                Some(above) => above,
            };
            Index {
                table: level.name,
                entry,
                high_bit: level.index_shift + width - 1,
                low_bit: level.index_shift,
                index,
                binary: format!("{index:0width$b}", width = width as usize),
                entry_bytes: mode.entry_bytes(),
                offset_bytes: Hex(index * mode.entry_bytes()),
                table_from,
                covers_bytes: 1 << level.index_shift,
            }
        })
        .collect()
}

/// The manual's name of an entry: that of the table with an E.
fn entry_name(level: &LevelShape) -> String {
    format!("{}E", level.name)
}

fn pages(address: u64, mode: Mode) -> Vec<PagePart> {
    let levels = tree(mode.tables);
    let units = mode.tables.units();
    let part = |unit: PageUnit| {
        let size_bytes = mode.tables.unit_bytes(unit);
        let shift = size_bytes.ilog2();
        let level = levels.iter().find(|level| level.index_shift == shift)?;
        Some(PagePart {
            size: unit.name(),
            size_bytes,
            mapped_by: entry_name(level),
            page_number: Hex(address >> shift),
            offset_bits: shift,
            offset: Hex(address & (size_bytes - 1)),
            first_address: Hex(address & !(size_bytes - 1)),
        })
    };
    let parts = units.into_iter().filter_map(part);
    parts
        .filter(|part| part.offset_bits >= PAGE_SHIFT)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arch::{Level, PageSize, VirtualAddress};

    fn of(address: u64, bits: u32) -> Split {
        split(address, Mode::from_bits(bits).expect("there is one"))
    }

    #[test]
    fn the_address_of_the_textbook_has_its_page_number_offset_and_indices() {
        let split = of(0x7fff_1234_0abc, 48);
        assert!(split.canonical);
        let indices: Vec<_> = split.indices.iter().map(|index| index.index).collect();
        assert_eq!(indices, [0xff, 0x1fc, 0x91, 0x140]);
        assert_eq!(split.indices[3].binary, "101000000");
        assert_eq!(split.indices[3].offset_bytes, Hex(0xa00));
        assert_eq!(split.pages[0].page_number, Hex(0x7_fff1_2340));
        assert_eq!(split.pages[0].offset, Hex(0xabc));
        assert_eq!(split.pages[1].offset, Hex(0x14_0abc));
    }

    #[test]
    fn a_32_bit_address_has_two_indices_of_ten_bits_and_entries_of_four_bytes() {
        let split = of(0xc0de_1234, 32);
        let indices: Vec<_> = split
            .indices
            .iter()
            .map(|level| (level.table, level.index, level.offset_bytes.0))
            .collect();
        assert_eq!(indices, [("PD", 0x303, 0xc0c), ("PT", 0x1e1, 0x784)]);
        let sizes: Vec<_> = split.pages.iter().map(|page| page.size).collect();
        assert_eq!(sizes, ["4k", "4m"]);
        assert!(split.canonical);
    }

    #[test]
    fn what_is_not_canonical_says_which_bits_are_wrong() {
        let split = of(0x0000_8000_0000_0000, 48);
        assert!(!split.canonical);
        assert_eq!(
            split.because,
            "bits 63:48 are 0x0, and must repeat bit 47, which is 1: 0xffff"
        );
        assert_eq!(split.sign_extended, Hex(0xffff_8000_0000_0000));
        assert!(of(0x0000_8000_0000_0000, 57).canonical);
    }

    proptest! {
        #[test]
        fn it_says_what_the_architecture_says(raw in any::<u64>(), wide in any::<bool>()) {
            let (bits, mode) = if wide { (57, PagingMode::FiveLevel) } else { (48, PagingMode::FourLevel) };
            let split = of(raw, bits);
            prop_assert_eq!(split.canonical, mode.is_canonical(raw));
            prop_assert_eq!(split.sign_extended.0, mode.extend(raw));
            let address = VirtualAddress::new_truncate(raw, mode);
            for (index, row) in split.indices.iter().zip(mode.spec().levels) {
                prop_assert_eq!(index.index, address.index(row.level));
                prop_assert_eq!(&index.entry, row.level.entry_name());
            }
            prop_assert_eq!(split.indices.last().map(|index| index.index), Some(address.index(Level::Pt)));
            for (page, size) in split.pages.iter().zip(PageSize::ARRAYS) {
                prop_assert_eq!(page.size_bytes, size.bytes());
                prop_assert_eq!(page.offset.0, address.offset(size));
            }
        }
    }
}
