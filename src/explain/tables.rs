//! The tables that hold given mappings, and where they stand.
//!
//! Contract: 8.3 (where the walker looks). SDM vol. 3A, 4.5. Counterpart: none.
//!
//! Tables take the lowest frames that no mapping uses, from 0x1000 on, in the order in which they are needed.

use std::collections::BTreeMap;

use super::ExplainError;
use super::map::MapSpec;
use crate::arch::{Entry, EntrySlot, LevelSpec, PagingMode, PhysicalAddress};

/// Size of a table's frame.
const FRAME_BYTES: u64 = 4096;

/// Tables in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where the root table stands.
    pub root: u64,
    /// Their cells of 8 bytes that are not 0, by address.
    pub words: BTreeMap<u64, u64>,
    /// How many tables there are.
    pub tables: usize,
}

/// An entry that was given to a mapping.
#[derive(Debug, Clone, Copy)]
struct Given {
    value: u64,
    /// It differs from an ordinary one, or maps a page: nobody else may want another.
    fixed: bool,
    leaf: bool,
    /// Which mapping.
    by: usize,
}

/// Builds the tables of `maps`.
struct Builder<'a> {
    maps: &'a [MapSpec],
    mode: PagingMode,
    /// The first address that tables cannot have.
    limit: u64,
    next: u64,
    /// By depth and the address bits that select it.
    tables: BTreeMap<(usize, u64), u64>,
    entries: BTreeMap<u64, Given>,
}

/// The tables of `maps`, which are of `mode`, in a memory of `memory_bytes`.
///
/// # Errors
/// Two mappings want different entries in one place; there is no room.
pub fn build(maps: &[MapSpec], mode: PagingMode, memory_bytes: u64) -> Result<Image, ExplainError> {
    // What an entry of 4 bytes, and CR3 in that mode, can refer to.
    let reach = match mode {
        PagingMode::TwoLevel => 1 << 32,
        _ => u64::MAX,
    };
    let mut builder = Builder {
        maps,
        mode,
        limit: memory_bytes.min(reach),
        next: FRAME_BYTES,
        tables: BTreeMap::new(),
        entries: BTreeMap::new(),
    };
    let root = builder.frame()?;
    builder.tables.insert((0, 0), root);
    for number in 0..maps.len() {
        builder.add(number)?;
    }
    Ok(Image {
        root,
        tables: builder.tables.len(),
        words: builder.words(),
    })
}

impl Builder<'_> {
    /// A frame that nothing uses.
    fn frame(&mut self) -> Result<u64, ExplainError> {
        loop {
            let frame = self.next;
            let page = |map: &&MapSpec| frame >> map.size.shift() == map.pa >> map.size.shift();
            match self.maps.iter().find(page) {
                Some(map) => self.next = map.pa.saturating_add(map.size.bytes()),
                None if frame >= self.limit => {
                    return Err(ExplainError::new(
                        "--map",
                        format_args!("no room is left for tables below {:#x}", self.limit),
                        "map pages at higher physical addresses, or fewer; or raise memory.size_bytes",
                    ));
                }
                None => {
                    self.next = frame + FRAME_BYTES;
                    return Ok(frame);
                }
            }
        }
    }

    fn add(&mut self, number: usize) -> Result<(), ExplainError> {
        let map = &self.maps[number];
        let mut table = self.tables[&(0, 0)];
        for (depth, row) in self.mode.spec().levels.iter().enumerate() {
            let start = PhysicalAddress::from_masked(table);
            let at = self.mode.entry_address(start, row.level, map.va).raw();
            if row.level == map.leaf {
                let entry = Given {
                    value: map.leaf_entry(),
                    fixed: true,
                    leaf: true,
                    by: number,
                };
                return self.give(at, row, entry);
            }
            table = self.below((depth + 1, map.va >> row.index_shift))?;
            let (value, fixed) = map.table_entry(row.level, table);
            let entry = Given {
                value,
                fixed,
                leaf: false,
                by: number,
            };
            self.give(at, row, entry)?;
        }
        Ok(())
    }

    /// The table of that depth for these address bits.
    fn below(&mut self, key: (usize, u64)) -> Result<u64, ExplainError> {
        if let Some(table) = self.tables.get(&key) {
            return Ok(*table);
        }
        let table = self.frame()?;
        self.tables.insert(key, table);
        Ok(table)
    }

    /// Puts an entry in its place, unless somebody else wants another there.
    fn give(&mut self, at: u64, row: &LevelSpec, new: Given) -> Result<(), ExplainError> {
        let Some(old) = self.entries.get_mut(&at) else {
            self.entries.insert(at, new);
            return Ok(());
        };
        if old.value == new.value && old.leaf == new.leaf {
            return Ok(());
        }
        if old.leaf == new.leaf && (!old.fixed || !new.fixed) {
            if new.fixed {
                *old = new;
            }
            return Ok(());
        }
        Err(ExplainError::new(
            format_args!("--map {:?}", self.maps[new.by].text),
            format_args!(
                "it wants another {} than --map {:?}: {:#x} against {:#x}",
                row.level, self.maps[old.by].text, new.value, old.value
            ),
            "map each page once, and give what differs in an entry that two pages share to one of them only",
        ))
    }

    /// The entries in cells of 8 bytes.
    fn words(&self) -> BTreeMap<u64, u64> {
        let mut words = BTreeMap::new();
        for (at, given) in &self.entries {
            let at = PhysicalAddress::from_masked(*at);
            let placed = EntrySlot::of(self.mode, at).place(Entry(given.value));
            *words.entry(EntrySlot::cell(at).raw()).or_insert(0) |= placed;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in(mode: PagingMode, maps: &[&str]) -> Result<Image, ExplainError> {
        let parse = |text: &&str| MapSpec::parse(text, mode).expect(text);
        let maps: Vec<_> = maps.iter().map(parse).collect();
        build(&maps, mode, 1 << 46)
    }

    fn built(maps: &[&str]) -> Result<Image, ExplainError> {
        built_in(PagingMode::FourLevel, maps)
    }

    #[test]
    fn tables_take_the_lowest_frames_that_no_page_uses() {
        let image = built(&["0x7fff12340000=0x2000"]).expect("it can be built");
        assert_eq!(image.root, 0x1000);
        assert_eq!(image.tables, 4);
        let words: Vec<_> = image.words.into_iter().collect();
        // PML4E 0xff, PDPTE 0x1fc, PDE 0x91, PTE 0x140; frame 2 is the page's.
        assert_eq!(
            words,
            [
                (0x17f8, 0x3027),
                (0x3fe0, 0x4027),
                (0x4488, 0x5027),
                (0x5a00, 0x2067)
            ]
        );
    }

    #[test]
    fn a_large_page_at_address_0_pushes_tables_behind_it() {
        assert_eq!(built(&["0=0,1g"]).expect("it can be built").root, 1 << 30);
    }

    #[test]
    fn entries_of_4_bytes_share_their_cells() {
        let maps = [
            "0xc0de0000=0x10000",
            "0xc0de1000=0x11000,ro",
            "0xc0800000=0x1280000000,4m",
        ];
        let image = built_in(PagingMode::TwoLevel, &maps).expect("it can be built");
        assert_eq!((image.root, image.tables), (0x1000, 2));
        let words: Vec<_> = image.words.into_iter().collect();
        // PDEs 0x302 and 0x303; PTEs 0x1e0 and 0x1e1.
        assert_eq!(
            words,
            [(0x1c08, 0x2027_8002_40e7), (0x2780, 0x1_1065_0001_0067)]
        );
    }

    #[test]
    fn pages_share_tables_and_what_differs_in_a_shared_entry_holds_for_both() {
        let image = built(&["0=0x10000", "0x1000=0x11000,pde.us=0"]).expect("no conflict");
        assert_eq!(image.tables, 4);
        assert_eq!(image.words[&0x3000], 0x4023);
        let other = built(&["0=0x10000,pde.us=0", "0x1000=0x11000"]).expect("no conflict");
        assert_eq!(image, other);
    }

    #[test]
    fn two_mappings_of_one_place_are_refused() {
        for maps in [
            ["0=0x10000", "0=0x11000"],
            ["0=0x10000", "0=0x200000,2m"],
            ["0=0x200000,2m", "0x1000=0x10000"],
            ["0=0x10000,pde.us=0", "0x1000=0x11000,pde.rw=0"],
        ] {
            let error = built(&maps).expect_err("a conflict");
            assert!(error.problem.contains(maps[0]), "{error}");
        }
        assert!(built(&["0=0x10000", "0=0x10000"]).is_ok());
    }

    #[test]
    fn where_pages_fill_memory_there_is_no_room() {
        let mode = PagingMode::FourLevel;
        let map = MapSpec::parse("0=0,1g", mode).expect("right");
        let error = build(&[map], mode, 1 << 30).expect_err("no room");
        assert!(error.problem.contains("no room is left"), "{error}");
    }
}
