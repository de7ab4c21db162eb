//! The forms that page tables may have: as a table of levels, which flat tables have one of.
//!
//! Contract: none. SDM vol. 3A, 4.3 (32-bit paging), 4.5 (4-level and 5-level paging). Counterpart: none.

use serde::{Serialize, Serializer};

use super::ranges::{AddressRange, Ranges};
use super::units::binary_size;
use crate::arch::{LevelSpec, ModeSpec, PageSize, PagingMode};

/// A form of page tables.
///
/// Flat tables have an entry for each unit of the address space, by word or by page, whether it is mapped or not. The other forms are
/// those of x86: tables of tables, which are there only where something is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableMode {
    /// An entry of 4 bytes for each word of 4 bytes of 32-bit addresses.
    FlatByWord32,
    /// An entry of 8 bytes for each word of 8 bytes of 48-bit addresses.
    FlatByWord48,
    /// The same of 57-bit addresses.
    FlatByWord57,
    /// An entry of 4 bytes for each page of 32-bit addresses.
    FlatByPage32,
    /// An entry of 8 bytes for each page of 48-bit addresses.
    FlatByPage48,
    /// The same of 57-bit addresses.
    FlatByPage57,
    /// 32-bit paging: 10 and 10 index bits, entries of 4 bytes.
    TwoLevel,
    /// 4-level paging: four times 9 index bits, entries of 8 bytes.
    FourLevel,
    /// 5-level paging: five times 9 index bits, entries of 8 bytes.
    FiveLevel,
}

/// What one entry of the lowest table maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageUnit {
    /// A word, as large as an entry: only in flat tables by word.
    Word,
    /// A page of 4 KiB.
    Size4K,
    /// A page of 2 MiB.
    Size2M,
    /// A page of 4 MiB: 32-bit addresses only.
    Size4M,
    /// A page of 1 GiB.
    Size1G,
}

impl PageUnit {
    /// Every unit, smallest first.
    pub const ALL: [Self; 5] = [
        Self::Word,
        Self::Size4K,
        Self::Size2M,
        Self::Size4M,
        Self::Size1G,
    ];

    /// Its name, as commands and outputs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Size4K => "4k",
            Self::Size2M => "2m",
            Self::Size4M => "4m",
            Self::Size1G => "1g",
        }
    }

    /// The unit of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }
}

impl Serialize for PageUnit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One level of a form, from the root down to what maps a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelShape {
    /// What a table of this level is called.
    pub name: &'static str,
    /// Lowest address bit of its index.
    pub index_shift: u32,
    /// Width of its index in bits.
    pub index_bits: u32,
    /// Whether an entry may map a page.
    may_map: bool,
}

impl From<&LevelSpec> for LevelShape {
    fn from(row: &LevelSpec) -> Self {
        Self {
            name: row.level.table_name(),
            index_shift: row.index_shift,
            index_bits: row.index_bits,
            may_map: row.page_size.is_some(),
        }
    }
}

impl TableMode {
    /// Every form.
    pub const ALL: [Self; 9] = [
        Self::FlatByWord32,
        Self::FlatByWord48,
        Self::FlatByWord57,
        Self::FlatByPage32,
        Self::FlatByPage48,
        Self::FlatByPage57,
        Self::TwoLevel,
        Self::FourLevel,
        Self::FiveLevel,
    ];

    /// Its name, as commands and outputs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlatByWord32 => "flat-word-32",
            Self::FlatByWord48 => "flat-word-48",
            Self::FlatByWord57 => "flat-word-57",
            Self::FlatByPage32 => "flat-page-32",
            Self::FlatByPage48 => "flat-page-48",
            Self::FlatByPage57 => "flat-page-57",
            Self::TwoLevel => "two-level",
            Self::FourLevel => "four-level",
            Self::FiveLevel => "five-level",
        }
    }

    /// The form of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The paging mode with as many address bits: of a tree, the one whose tables it is.
    fn paging(self) -> &'static ModeSpec {
        let mode = match self {
            Self::FlatByWord32 | Self::FlatByPage32 | Self::TwoLevel => PagingMode::TwoLevel,
            Self::FlatByWord48 | Self::FlatByPage48 | Self::FourLevel => PagingMode::FourLevel,
            Self::FlatByWord57 | Self::FlatByPage57 | Self::FiveLevel => PagingMode::FiveLevel,
        };
        mode.spec()
    }

    /// Address bits that the tables translate, with those of the offset: 32, 48 or 57.
    pub fn address_bits(self) -> u32 {
        self.paging().address_bits
    }

    /// Bytes of the address space that the tables can map.
    pub fn reach_bytes(self) -> u64 {
        1 << self.address_bits()
    }

    /// Size of an entry in bytes: 4 with 32-bit addresses, else 8.
    pub fn entry_bytes(self) -> u64 {
        u64::from(self.paging().entry_bytes)
    }

    /// log2 of the bytes that a unit has in this form.
    fn unit_shift(self, unit: PageUnit) -> u32 {
        match unit {
            PageUnit::Word => self.entry_bytes().ilog2(),
            PageUnit::Size4K => PageSize::Size4K.shift(),
            PageUnit::Size2M => PageSize::Size2M.shift(),
            PageUnit::Size4M => PageSize::Size4M.shift(),
            PageUnit::Size1G => PageSize::Size1G.shift(),
        }
    }

    /// Bytes that a unit has in this form: of a word as many as of an entry.
    pub fn unit_bytes(self, unit: PageUnit) -> u64 {
        1 << self.unit_shift(unit)
    }

    /// The units that an entry of this form may map, smallest first.
    pub fn units(self) -> Vec<PageUnit> {
        PageUnit::ALL
            .into_iter()
            .filter(|&unit| self.levels(unit).is_some())
            .collect()
    }

    /// The levels from the root down to the one whose entries map `unit`; `None` if there is none. A flat table is one level.
    pub fn levels(self, unit: PageUnit) -> Option<Vec<LevelShape>> {
        let shift = self.unit_shift(unit);
        let flat = LevelShape {
            name: "table",
            index_shift: shift,
            index_bits: self.address_bits() - shift,
            may_map: true,
        };
        match self {
            Self::FlatByWord32 | Self::FlatByWord48 | Self::FlatByWord57 => {
                (unit == PageUnit::Word).then(|| vec![flat])
            }
            Self::FlatByPage32 | Self::FlatByPage48 | Self::FlatByPage57 => {
                // The pages that the machine's tree of that width has, so that the two can be compared.
                self.tree_down_to(shift).map(|_| vec![flat])
            }
            Self::TwoLevel | Self::FourLevel | Self::FiveLevel => self.tree_down_to(shift),
        }
    }

    fn tree_down_to(self, shift: u32) -> Option<Vec<LevelShape>> {
        let rows = self.paging().levels.iter();
        let mut levels: Vec<LevelShape> = rows.map(LevelShape::from).collect();
        let maps = |level: &LevelShape| level.index_shift == shift && level.may_map;
        let leaf = levels.iter().position(maps)?;
        levels.truncate(leaf + 1);
        Some(levels)
    }

    /// The first range that is not in reach: whose addresses have more bits, or are not canonical.
    pub fn beyond_reach(self, ranges: &Ranges) -> Option<AddressRange> {
        let spec = self.paging();
        let in_reach = |range: &&AddressRange| {
            if !spec.canonical {
                return range.last() < self.reach_bytes();
            }
            // The top translated bit and all above: the same in every address of a range that does not cross the gap.
            let upper = |address: u64| address as i64 >> (spec.address_bits - 1);
            let (first, last) = (upper(range.first()), upper(range.last()));
            first == last && (first == 0 || first == -1)
        };
        ranges
            .as_slice()
            .iter()
            .find(|range| !in_reach(range))
            .copied()
    }

    /// The addresses in reach, in words.
    pub fn reach(self) -> String {
        let bits = self.address_bits();
        if !self.paging().canonical {
            return format!("addresses below {:#x}", self.reach_bytes());
        }
        let half = binary_size(u128::from(self.reach_bytes() / 2));
        let upper = u64::MAX << (bits - 1);
        format!("the first {half}, and the last {half} from {upper:#x} on")
    }
}

impl Serialize for TableMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
