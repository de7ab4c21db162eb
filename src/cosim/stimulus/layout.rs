//! Page tables that a stimulus file builds by name: address spaces, tables, mappings.
//!
//! Contract: none of its own; entries are those of section 8.4. SDM vol. 3A, 4.3 and 4.5. Counterpart: `docs/stim.md` (memory image).
//!
//! The rule is fixed, so that a file means the same tables everywhere: each table takes the next free 4 KiB frame from
//! `tables ADDRESS` on, in the order in which the lines of the file need them, and within a `map` from the root down. An entry
//! that refers to a table has P, R/W and U/S set, and A if the file said `accessed`. Entries of an address space of two levels have 4 bytes.

use std::collections::BTreeMap;

use crate::arch::entry::bit;
use crate::arch::{Entry, EntrySlot, Level, PageSize, PagingMode, PhysicalAddress};

/// Where tables are taken from unless the file says otherwise.
pub const FIRST_TABLE: u64 = 0x1000;

/// A root table and the number of levels that a walk from it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Physical address of the root table.
    pub root: u64,
    /// 2 (32-bit paging), 4 or 5.
    pub levels: u8,
}

impl Space {
    /// The paging mode whose tables it has.
    pub const fn mode(self) -> PagingMode {
        match self.levels {
            2 => PagingMode::TwoLevel,
            5 => PagingMode::FiveLevel,
            _ => PagingMode::FourLevel,
        }
    }

    /// End of the physical addresses that its entries can name.
    const fn end(self) -> u64 {
        match self.mode() {
            PagingMode::TwoLevel => 1 << 32,
            _ => 1 << 52,
        }
    }
}

/// What a file has built so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    next_table: u64,
    accessed: bool,
    spaces: BTreeMap<String, Space>,
    tables: BTreeMap<String, u64>,
    current: Option<String>,
    /// The image: cell address to value.
    pub image: BTreeMap<u64, u64>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            next_table: FIRST_TABLE,
            accessed: false,
            spaces: BTreeMap::new(),
            tables: BTreeMap::new(),
            current: None,
            image: BTreeMap::new(),
        }
    }
}

/// Address of the entry that translates `va` in the table of `level`, 1 to 5, that starts at `table`.
pub const fn entry_in(mode: PagingMode, table: u64, va: u64, level: u8) -> u64 {
    match Level::from_number(level) {
        Some(level) => table + mode.entry_bytes() * mode.index(level, va),
        None => table,
    }
}

/// Where the entry at `address` stands: its cell, and its place in there.
fn place(mode: PagingMode, address: u64) -> (u64, EntrySlot) {
    let address = PhysicalAddress::from_masked(address);
    (EntrySlot::cell(address).raw(), EntrySlot::of(mode, address))
}

/// Whether a present entry of `level` in an address space is a large page; in 32-bit paging as with CR4.PSE = 1.
const fn is_large(entry: u64, level: u8) -> bool {
    entry & bit::PS != 0 && level <= 3
}

impl Layout {
    /// Takes tables from `address` on, with A set in their entries or not.
    pub fn set_tables(&mut self, address: u64, accessed: bool) {
        self.next_table = address;
        self.accessed = accessed;
    }

    /// The next frame, which must be below `end`.
    fn take_table(&mut self, end: u64) -> Result<u64, String> {
        let table = self.next_table;
        self.next_table = table
            .checked_add(0x1000)
            .filter(|_| table < end)
            .ok_or_else(|| {
                format!("the tables reach the end of what an entry can name, {end:#x}")
            })?;
        Ok(table)
    }

    fn check_new_name(&self, name: &str) -> Result<(), String> {
        if self.spaces.contains_key(name) || self.tables.contains_key(name) {
            Err(format!("the name `{name}` is already taken"))
        } else {
            Ok(())
        }
    }

    /// A new address space with an empty root table; `map` goes there from now on.
    pub fn add_space(&mut self, name: &str, levels: u8) -> Result<(), String> {
        self.check_new_name(name)?;
        let mut space = Space { root: 0, levels };
        space.root = self.take_table(space.end())?;
        self.spaces.insert(name.to_owned(), space);
        self.current = Some(name.to_owned());
        Ok(())
    }

    /// A new table that nothing refers to yet.
    pub fn add_table(&mut self, name: &str) -> Result<(), String> {
        self.check_new_name(name)?;
        let table = self.take_table(1 << 52)?;
        self.tables.insert(name.to_owned(), table);
        Ok(())
    }

    /// The address space `name`, or the one named last.
    pub fn space(&self, name: Option<&str>) -> Result<Space, String> {
        let name = name
            .or(self.current.as_deref())
            .ok_or("no address space has been named yet")?;
        self.spaces
            .get(name)
            .copied()
            .ok_or_else(|| format!("there is no address space `{name}`"))
    }

    /// The address that a name stands for: a table's, or an address space's root.
    pub fn named(&self, name: &str) -> Option<u64> {
        let root = self.spaces.get(name).map(|space| space.root);
        root.or_else(|| self.tables.get(name).copied())
    }

    /// The entry at `address` of a table of `mode`.
    fn entry(&self, mode: PagingMode, address: u64) -> u64 {
        let (cell, slot) = place(mode, address);
        let value = self.image.get(&cell).copied().unwrap_or(0);
        slot.extract(value).raw()
    }

    /// States the entry at `address` of a table of `mode`. Of 4 bytes it leaves the other half of its cell as it is.
    pub fn set_entry(&mut self, mode: PagingMode, address: u64, entry: u64) {
        let (cell, slot) = place(mode, address);
        let value = self.image.entry(cell).or_insert(0);
        *value = *value & !slot.mask() | slot.place(Entry(entry));
    }

    /// Address of the entry of `level` on the path of `va`, as the image has it.
    pub fn entry_address(&self, space: Space, va: u64, level: u8) -> Result<u64, String> {
        if level > space.levels {
            return Err(format!(
                "the address space has {} levels only",
                space.levels
            ));
        }
        let mode = space.mode();
        let mut table = space.root;
        for upper in (level + 1..=space.levels).rev() {
            let entry = self.entry(mode, entry_in(mode, table, va, upper));
            if entry & bit::P == 0 || is_large(entry, upper) {
                return Err(format!(
                    "no table of level {} is mapped for {va:#x}",
                    upper - 1
                ));
            }
            table = entry & bit::ADDRESS;
        }
        Ok(entry_in(mode, table, va, level))
    }

    /// Maps the page of `size` at `va` with the leaf `leaf`, making the tables that are missing.
    pub fn map(&mut self, space: Space, va: u64, size: PageSize, leaf: u64) -> Result<(), String> {
        let mode = space.mode();
        if !mode
            .spec()
            .levels
            .iter()
            .any(|row| row.page_size == Some(size))
        {
            return Err(format!(
                "an address space of {} levels has no pages of {size}",
                space.levels
            ));
        }
        if mode == PagingMode::TwoLevel && leaf >> 32 != 0 {
            return Err(format!("the entry {leaf:#x} does not fit in 4 bytes"));
        }
        let leaf_level = size.leaf_level().number();
        let mut table = space.root;
        for level in (leaf_level + 1..=space.levels).rev() {
            let address = entry_in(mode, table, va, level);
            let mut entry = self.entry(mode, address);
            if entry & bit::P == 0 {
                entry = self.take_table(space.end())? | bit::P | bit::RW | bit::US;
                if self.accessed {
                    entry |= bit::A;
                }
                self.set_entry(mode, address, entry);
            } else if is_large(entry, level) {
                return Err(format!("{va:#x} lies in a larger page already mapped"));
            }
            table = entry & bit::ADDRESS;
        }
        let address = entry_in(mode, table, va, leaf_level);
        if self.entry(mode, address) != 0 {
            return Err(format!("{va:#x} is mapped already"));
        }
        self.set_entry(mode, address, leaf);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_taken_in_order_from_the_root_down() {
        let mut layout = Layout::default();
        layout.set_tables(0x1_0000, true);
        layout.add_space("a", 4).unwrap();
        let space = layout.space(None).unwrap();
        layout
            .map(space, 0x20_1000, PageSize::Size4K, 0x5001)
            .unwrap();
        let image: Vec<_> = layout.image.iter().map(|(a, v)| (*a, *v)).collect();
        assert_eq!(
            image,
            [
                (0x1_0000, 0x1_1027),
                (0x1_1000, 0x1_2027),
                (0x1_2008, 0x1_3027),
                (0x1_3008, 0x5001)
            ]
        );
        assert_eq!(layout.entry_address(space, 0x20_1fff, 1), Ok(0x1_3008));
        assert_eq!(layout.entry_address(space, 0x20_1fff, 4), Ok(0x1_0000));
        assert!(layout.entry_address(space, 0x8000_0000, 1).is_err());
        assert!(layout.entry_address(space, 0, 5).is_err());
    }

    #[test]
    fn entries_of_4_bytes_share_a_cell_and_tables_stay_below_4_gib() {
        let mut layout = Layout::default();
        layout.set_tables(0x1_0000, false);
        layout.add_space("a", 2).unwrap();
        let space = layout.space(None).unwrap();
        for (va, size, leaf) in [
            (0xffc0_1000, PageSize::Size4K, 0x5001),
            (0xffc0_0000, PageSize::Size4K, 0x6001),
            (0xff80_0000, PageSize::Size4M, 0xc0_0083),
        ] {
            layout.map(space, va, size, leaf).unwrap();
        }
        let image: Vec<_> = layout.image.iter().map(|(a, v)| (*a, *v)).collect();
        assert_eq!(
            image,
            [(0x1_0ff8, 0x1_1007_00c0_0083), (0x1_1000, 0x5001_0000_6001)]
        );
        assert_eq!(layout.entry_address(space, 0xffc0_1fff, 1), Ok(0x1_1004));
        assert_eq!(layout.entry_address(space, 0xffc0_1fff, 2), Ok(0x1_0ffc));
        assert!(layout.entry_address(space, 0xff80_0000, 1).is_err());
        assert!(layout.entry_address(space, 0, 3).is_err());
        for (va, size, leaf) in [
            (0xff80_1000, PageSize::Size4K, 1),
            (0, PageSize::Size2M, 0x83),
            (0, PageSize::Size1G, 0x83),
            (0, PageSize::Size4K, 1 << 63 | 1),
        ] {
            assert!(layout.map(space, va, size, leaf).is_err(), "{va:#x} {size}");
        }
        layout.set_tables(1 << 32, false);
        assert!(layout.map(space, 0, PageSize::Size4K, 1).is_err());
        assert!(layout.add_space("b", 2).is_err());
        assert!(layout.add_space("c", 4).is_ok());
        let wide = layout.space(None).unwrap();
        assert!(layout.map(wide, 0, PageSize::Size4M, 0x83).is_err());
    }

    #[test]
    fn a_page_inside_a_larger_one_is_refused() {
        let mut layout = Layout::default();
        layout.add_space("a", 5).unwrap();
        let space = layout.space(Some("a")).unwrap();
        layout
            .map(space, 0x4000_0000, PageSize::Size1G, 0x83)
            .unwrap();
        let inside = layout.map(space, 0x4000_1000, PageSize::Size4K, 1);
        assert_eq!(
            inside,
            Err("0x40001000 lies in a larger page already mapped".to_owned())
        );
        assert!(
            layout
                .map(space, 0x4000_0000, PageSize::Size1G, 0x83)
                .is_err()
        );
        assert!(layout.add_table("a").is_err());
    }
}
