//! Page tables that a stimulus file builds by name: address spaces, tables, mappings.
//!
//! Contract: none of its own; entries are those of section 8.4. SDM vol. 3A, 4.5. Counterpart: `docs/stim.md` (memory image).
//!
//! The rule is fixed, so that a file means the same tables everywhere: each table takes the next free 4 KiB frame from
//! `tables ADDRESS` on, in the order in which the lines of the file need them, and within a `map` from the root down. An entry
//! that refers to a table has P, R/W and U/S set, and A if the file said `accessed`.

use std::collections::BTreeMap;

use crate::arch::PageSize;
use crate::arch::entry::bit;

/// Where tables are taken from unless the file says otherwise.
pub const FIRST_TABLE: u64 = 0x1000;

/// A root table and the number of levels that a walk from it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Physical address of the root table.
    pub root: u64,
    /// 4 or 5.
    pub levels: u8,
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

/// Shift of the index of `level`, 1 to 5, in an address.
pub const fn level_shift(level: u8) -> u32 {
    12 + 9 * (level as u32 - 1)
}

/// Address of the entry that translates `va` in the table of `level` that starts at `table`.
pub const fn entry_in(table: u64, va: u64, level: u8) -> u64 {
    table + 8 * ((va >> level_shift(level)) & 0x1ff)
}

impl Layout {
    /// Takes tables from `address` on, with A set in their entries or not.
    pub fn set_tables(&mut self, address: u64, accessed: bool) {
        self.next_table = address;
        self.accessed = accessed;
    }

    fn take_table(&mut self) -> Result<u64, String> {
        let table = self.next_table;
        self.next_table = table
            .checked_add(0x1000)
            .filter(|_| table < 1 << 52)
            .ok_or("the tables reach the end of the address space")?;
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
        let root = self.take_table()?;
        self.spaces.insert(name.to_owned(), Space { root, levels });
        self.current = Some(name.to_owned());
        Ok(())
    }

    /// A new table that nothing refers to yet.
    pub fn add_table(&mut self, name: &str) -> Result<(), String> {
        self.check_new_name(name)?;
        let table = self.take_table()?;
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

    fn cell(&self, address: u64) -> u64 {
        self.image.get(&address).copied().unwrap_or(0)
    }

    /// Address of the entry of `level` on the path of `va`, as the image has it.
    pub fn entry_address(&self, space: Space, va: u64, level: u8) -> Result<u64, String> {
        if level > space.levels {
            return Err(format!(
                "the address space has {} levels only",
                space.levels
            ));
        }
        let mut table = space.root;
        for upper in (level + 1..=space.levels).rev() {
            let entry = self.cell(entry_in(table, va, upper));
            if entry & bit::P == 0 || (entry & bit::PS != 0 && upper <= 3) {
                return Err(format!(
                    "no table of level {} is mapped for {va:#x}",
                    upper - 1
                ));
            }
            table = entry & bit::ADDRESS;
        }
        Ok(entry_in(table, va, level))
    }

    /// Maps the page of `size` at `va` with the leaf `leaf`, making the tables that are missing.
    pub fn map(&mut self, space: Space, va: u64, size: PageSize, leaf: u64) -> Result<(), String> {
        let leaf_level = 1 + size as u8;
        let mut table = space.root;
        for level in (leaf_level + 1..=space.levels).rev() {
            let address = entry_in(table, va, level);
            let mut entry = self.cell(address);
            if entry & bit::P == 0 {
                entry = self.take_table()? | bit::P | bit::RW | bit::US;
                if self.accessed {
                    entry |= bit::A;
                }
                self.image.insert(address, entry);
            } else if entry & bit::PS != 0 && level <= 3 {
                return Err(format!("{va:#x} lies in a larger page already mapped"));
            }
            table = entry & bit::ADDRESS;
        }
        let address = entry_in(table, va, leaf_level);
        if self.cell(address) != 0 {
            return Err(format!("{va:#x} is mapped already"));
        }
        self.image.insert(address, leaf);
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
