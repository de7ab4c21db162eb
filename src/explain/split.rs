//! Which bits of a linear address are what: indices, page numbers, offsets, and whether it is canonical.
//!
//! Contract: 6 (canonical), 8.3 (indices). SDM vol. 3A, 4.3 (32-bit paging), 4.5 (4-level and 5-level paging); vol. 1, 3.3.7.1.
//! Counterpart: none.
//!
//! Everything is read from the table of modes in [`crate::arch`], whatever their number of levels, index bits and entry bytes.

use serde::Serialize;

use super::Hex;
use crate::arch::{LevelSpec, ModeSpec, PagingMode};

/// The mode whose tables translate linear addresses of that many bits, 32, 48 or 57, if there is one.
pub fn mode_of(bits: u32) -> Option<PagingMode> {
    let fits = |mode: &PagingMode| mode.address_bits() == bits && mode.root().is_some();
    PagingMode::ALL.into_iter().find(fits)
}

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    /// The address.
    pub address: Hex,
    /// Bits of a linear address: 32, 48 or 57.
    pub mode: u32,
    /// The manual's name of the mode.
    pub mode_name: &'static str,
    /// Whether it may be used.
    pub canonical: bool,
    /// Why, or why not.
    pub because: String,
    /// The address that the mode takes it for: above its translated bits copies of the highest of them, in 32-bit paging zeros.
    pub extended: Hex,
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
    pub entry: &'static str,
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
    pub table_from: &'static str,
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
    pub mapped_by: &'static str,
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
pub fn split(address: u64, mode: PagingMode) -> Split {
    let spec = mode.spec();
    let extended = mode.extend(address);
    let taken = meant(address, mode);
    Split {
        address: Hex(address),
        mode: spec.address_bits,
        mode_name: spec.name,
        canonical: mode.is_canonical(address),
        because: because(address, spec, extended),
        extended: Hex(extended),
        indices: indices(taken, spec),
        pages: pages(taken, spec),
    }
}

/// The linear address that `address` stands for in `mode`: itself, but for upper bits that are ignored.
pub fn meant(address: u64, mode: PagingMode) -> u64 {
    if mode.spec().canonical {
        address
    } else {
        mode.extend(address)
    }
}

/// Why an address is canonical, or why not.
fn because(address: u64, spec: &ModeSpec, extended: u64) -> String {
    let bits = spec.address_bits;
    let upper = address >> bits;
    let top = bits - 1;
    let sign = address >> top & 1;
    let all = if sign == 1 { u64::MAX >> bits } else { 0 };
    match (spec.canonical, extended == address) {
        (false, true) => format!("bits 63:{bits} are ignored; here they are 0"),
        (false, false) => {
            format!("bits 63:{bits} are {upper:#x}, and are ignored: it is taken for {extended:#x}")
        }
        (true, true) => {
            let half = if sign == 1 { "upper" } else { "lower" };
            format!("bits 63:{bits} repeat bit {top}, which is {sign}: the {half} half")
        }
        (true, false) => format!(
            "bits 63:{bits} are {upper:#x}, and must repeat bit {top}, which is {sign}: {all:#x}"
        ),
    }
}

fn indices(address: u64, spec: &ModeSpec) -> Vec<Index> {
    let mut above = "CR3";
    let entry_bytes = u64::from(spec.entry_bytes);
    let index = |row: &LevelSpec| {
        let width = row.index_bits;
        let index = address >> row.index_shift & ((1 << width) - 1);
        let entry = row.level.entry_name();
        Index {
            table: row.level.table_name(),
            entry,
            high_bit: row.index_shift + width - 1,
            low_bit: row.index_shift,
            index,
            binary: format!("{index:0width$b}", width = width as usize),
            entry_bytes,
            offset_bytes: Hex(index * entry_bytes),
            table_from: std::mem::replace(&mut above, entry),
            covers_bytes: 1 << row.index_shift,
        }
    };
    spec.levels.iter().map(index).collect()
}

/// The pages that entries of the mode map, smallest first.
fn pages(address: u64, spec: &ModeSpec) -> Vec<PagePart> {
    let part = |row: &LevelSpec| {
        let size = row.page_size?;
        Some(PagePart {
            size: size.name(),
            size_bytes: size.bytes(),
            mapped_by: row.level.entry_name(),
            page_number: Hex(address >> size.shift()),
            offset_bits: size.shift(),
            offset: Hex(address & size.offset_mask()),
            first_address: Hex(address & !size.offset_mask()),
        })
    };
    spec.levels.iter().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arch::{Level, VirtualAddress};

    fn of(address: u64, bits: u32) -> Split {
        split(address, mode_of(bits).expect("there is one"))
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
        assert_eq!(split.extended, Hex(0xffff_8000_0000_0000));
        assert!(of(0x0000_8000_0000_0000, 57).canonical);
    }

    #[test]
    fn the_upper_half_of_an_address_of_32_bit_paging_is_ignored_and_said() {
        let (narrow, wide) = (of(0xc0de_1234, 32), of(0xffff_0001_c0de_1234, 32));
        assert_eq!(
            wide.because,
            "bits 63:32 are 0xffff0001, and are ignored: it is taken for 0xc0de1234"
        );
        assert!(wide.canonical && narrow.canonical);
        assert_eq!(wide.indices, narrow.indices);
        assert_eq!(wide.pages, narrow.pages);
    }

    proptest! {
        #[test]
        fn it_says_what_the_architecture_says(raw in any::<u64>(), width in 0_usize..3) {
            let bits = [32, 48, 57][width];
            let mode = mode_of(bits).expect("there is one");
            let split = of(raw, bits);
            prop_assert_eq!(split.canonical, mode.is_canonical(raw));
            prop_assert_eq!(split.extended.0, mode.extend(raw));
            let address = VirtualAddress::new_truncate(raw, mode);
            for (index, row) in split.indices.iter().zip(mode.spec().levels) {
                prop_assert_eq!(index.index, address.index(row.level));
                prop_assert_eq!(index.entry, row.level.entry_name());
            }
            prop_assert_eq!(split.indices.last().map(|index| index.index), Some(address.index(Level::Pt)));
            let sizes: Vec<_> = mode.spec().levels.iter().rev().filter_map(|row| row.page_size).collect();
            prop_assert_eq!(split.pages.len(), sizes.len());
            for (page, size) in split.pages.iter().zip(sizes) {
                prop_assert_eq!(page.size_bytes, size.bytes());
                prop_assert_eq!(page.offset.0, address.offset(size));
                if split.canonical {
                    prop_assert_eq!(page.first_address.0, address.align_down(size).raw());
                }
            }
        }
    }
}
