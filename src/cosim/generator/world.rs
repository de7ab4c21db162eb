//! The page tables that random operations play with: few tables that point at each other in every way, and few addresses that collide.
//!
//! Contract: sections 4.4 (sets), 8.4 (entries). SDM vol. 3A, 4.5. Counterpart: none.
//!
//! A shadow of memory holds what the generator wrote, without the A and D bits that the machine has set since: another agent's store
//! overwrites those, as it may.

use std::collections::BTreeMap;

use super::prng::Prng;
use crate::arch::PageSize;
use crate::arch::entry::bit;
use crate::config::{Config, Level};
use crate::cosim::stimulus::Store;
use crate::cosim::stimulus::layout::{entry_in, level_shift};

/// Tables of each level, 1 to 5: few, so that every table is reached on several paths.
const TABLES: [usize; 6] = [0, 6, 5, 3, 3, 2];
/// Levels of tables.
const LEVELS: u8 = 5;

/// What an address is made of: an index for each level, and an offset in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    indices: [u16; 6],
    offset: u16,
}

impl Address {
    /// The canonical address with these indices, in 57 bits if `wide`, else in 48.
    pub fn canonical(&self, wide: bool) -> u64 {
        let mut va = u64::from(self.offset);
        for level in 1..=LEVELS {
            va |= u64::from(self.indices[usize::from(level)]) << level_shift(level);
        }
        let unused_bits = if wide { 7 } else { 16 };
        ((va << unused_bits) as i64 >> unused_bits) as u64
    }
}

/// Tables, the addresses that lead through them, and what was written there.
#[derive(Debug, Clone)]
pub struct World {
    /// Physical addresses of the tables of each level.
    tables: [Vec<u64>; 6],
    /// Indices in use at each level.
    indices: [Vec<u16>; 6],
    shadow: BTreeMap<u64, u64>,
    maxphyaddr_bits: u32,
    memory_bytes: u64,
    page_1g: bool,
}

impl World {
    /// A world for `config`, whose memory size says where tables may stand.
    pub fn new(config: &Config, prng: &mut Prng) -> Self {
        let mut world = Self {
            tables: Default::default(),
            indices: Default::default(),
            shadow: BTreeMap::new(),
            maxphyaddr_bits: config.arch_capabilities().maxphyaddr.bits(),
            memory_bytes: config.memory_size_bytes(),
            page_1g: config.capabilities.page_1g,
        };
        let frames = (world.memory_bytes >> 12).max(1);
        for (tables, count) in world.tables.iter_mut().zip(TABLES) {
            tables.extend((0..count).map(|_| prng.below(frames) << 12));
        }
        world.choose_indices(config, prng);
        for level in 1..=LEVELS {
            for table in world.tables[usize::from(level)].clone() {
                for index in world.indices[usize::from(level)].clone() {
                    let entry = world.entry(level, prng);
                    world.shadow.insert(table + 8 * u64::from(index), entry);
                }
            }
        }
        world
    }

    /// Indices that put many pages into one set of each array.
    fn choose_indices(&mut self, config: &Config, prng: &mut Prng) {
        let stride = |size: PageSize| {
            let sets = Level::ALL.map(|level| config.array(level, size).sets);
            // A stride of 512 or more means that the index of the next level decides; any stride below makes indices collide.
            u64::from(sets.into_iter().max().unwrap_or(1)).clamp(1, 128)
        };
        let top = prng.below(512) as u16;
        self.indices[5] = vec![0, top, 0x1ff];
        self.indices[4] = vec![
            prng.below(256) as u16,
            0x100 + prng.below(256) as u16,
            0x1ff,
        ];
        for (level, size, count) in [
            (3, PageSize::Size1G, 3),
            (2, PageSize::Size2M, 4),
            (1, PageSize::Size4K, 4),
        ] {
            let stride = stride(size);
            let base = prng.below(stride);
            let places = 512 / stride;
            for _ in 0..count {
                self.indices[level].push((base + stride * prng.below(places)) as u16);
            }
            self.indices[level].push(prng.below(512) as u16);
        }
        for indices in &mut self.indices {
            indices.sort_unstable();
            indices.dedup();
        }
    }

    /// The image at cycle 0.
    pub fn image(&self) -> &BTreeMap<u64, u64> {
        &self.shadow
    }

    /// A random address.
    pub fn address(&self, prng: &mut Prng) -> Address {
        let mut indices = [0; 6];
        for (level, index) in indices.iter_mut().enumerate().skip(1) {
            *index = prng.pick(&self.indices[level]);
        }
        Address {
            indices,
            offset: (prng.below(0xfc0)) as u16,
        }
    }

    /// An address that differs from `near` below the entry of `level` only, so that both share their paths down to it.
    pub fn neighbour(&self, near: Address, level: u8, prng: &mut Prng) -> Address {
        let mut other = self.address(prng);
        for upper in level..=LEVELS {
            other.indices[usize::from(upper)] = near.indices[usize::from(upper)];
        }
        other
    }

    /// A table for CR3: mostly of the root's level.
    pub fn root(&self, wide: bool, prng: &mut Prng) -> u64 {
        if prng.chance(5) {
            return self.outside(prng);
        }
        let level = match prng.chance(20) {
            true => prng.between(1, LEVELS.into()) as usize,
            false if wide => 5,
            false => 4,
        };
        prng.pick(&self.tables[level])
    }

    /// The cells of the entries that translate `va` from `root`, from the root's level down, as the shadow has them.
    pub fn path(&self, root: u64, va: u64, wide: bool) -> Vec<(u64, u8)> {
        let mut cells = Vec::with_capacity(LEVELS.into());
        let mut table = root;
        for level in (1..=if wide { 5 } else { 4 }).rev() {
            let cell = entry_in(table, va, level);
            cells.push((cell, level));
            let entry = self.shadow.get(&cell).copied().unwrap_or(0);
            if entry & bit::P == 0 || level == 1 || (level <= 3 && entry & bit::PS != 0) {
                break;
            }
            table = entry & bit::ADDRESS;
        }
        cells
    }

    /// A frame at which no memory stands, if there is one.
    fn outside(&self, prng: &mut Prng) -> u64 {
        let end = 1u64 << self.maxphyaddr_bits;
        if self.memory_bytes >= end {
            return prng.pick(&self.tables[1]);
        }
        let frames = (end - self.memory_bytes) >> 12;
        self.memory_bytes + (prng.below(frames.max(1)) << 12)
    }

    /// A random entry for a table of `level`: mostly of use, sometimes absent, reserved or pointing nowhere.
    pub fn entry(&self, level: u8, prng: &mut Prng) -> u64 {
        let is_leaf = match level {
            1 => true,
            2 => prng.chance(350),
            3 => prng.chance(250),
            _ => false,
        };
        let mut entry = if is_leaf {
            self.leaf(level, prng)
        } else {
            self.table_entry(level, prng)
        };
        entry |= bit::P;
        // Rights are ANDed over the path, so a table must seldom withhold one, or nothing would be allowed in the end.
        let (rw, us, xd) = if is_leaf {
            (850, 900, 80)
        } else {
            (985, 985, 15)
        };
        for (mask, permille) in [
            (bit::RW, rw),
            (bit::US, us),
            (bit::A, 700),
            (bit::PWT, 200),
            (bit::PCD, 200),
            (bit::XD, xd),
        ] {
            if prng.chance(permille) {
                entry |= mask;
            }
        }
        if prng.chance(150) {
            // Ignored bits: 11:9 and 58:52.
            entry |= prng.bits() & 0x07f0_0000_0000_0e00;
        }
        let (absent, reserved) = match (is_leaf, level) {
            (false, _) => (8, 5),
            (true, 1) => (50, 20),
            // Each low bit of a large page is reserved, so there is more to get wrong.
            (true, _) => (50, 90),
        };
        if prng.chance(absent) {
            entry &= !bit::P;
        }
        if prng.chance(reserved) {
            entry |= self.reserved_bit(level, is_leaf, prng);
        }
        entry
    }

    fn leaf(&self, level: u8, prng: &mut Prng) -> u64 {
        let size_mask = (1u64 << level_shift(level)) - 1;
        let frame = prng.bits() & bit::ADDRESS & ((1 << self.maxphyaddr_bits) - 1) & !size_mask;
        let mut entry = frame | if level == 1 { 0 } else { bit::PS };
        entry |= prng.pick(&[0u64, 0, 1, 5, 15]) << bit::KEY_SHIFT;
        let pat = if level == 1 {
            bit::PAT_4K
        } else {
            bit::PAT_LARGE
        };
        for (mask, permille) in [(bit::D, 450), (bit::G, 250), (pat, 200)] {
            if prng.chance(permille) {
                entry |= mask;
            }
        }
        entry
    }

    fn table_entry(&self, level: u8, prng: &mut Prng) -> u64 {
        let below = match prng.below(1000) {
            0..4 => return self.outside(prng),
            // A table of any level, this one included: software does that to see its own tables.
            4..20 => prng.between(1, LEVELS.into()) as usize,
            _ => usize::from(level) - 1,
        };
        let mut entry = prng.pick(&self.tables[below]);
        // Bits 6, 8 and 62:59 of an entry that refers to a table are ignored.
        if prng.chance(100) {
            entry |= prng.bits() & 0x7800_0000_0000_0140;
        }
        entry
    }

    /// One bit that is reserved in an entry of this kind, whatever EFER says; 0 if there is none.
    fn reserved_bit(&self, level: u8, is_leaf: bool, prng: &mut Prng) -> u64 {
        let mut candidates = bit::ADDRESS & !((1 << self.maxphyaddr_bits) - 1);
        if is_leaf && level > 1 {
            let inside = ((1 << level_shift(level)) - 1) & !0x1fff;
            // At times inside the page only, where there are few bits beside those above MAXPHYADDR.
            candidates = if prng.chance(500) {
                inside
            } else {
                candidates | inside
            };
        }
        if level >= 4 || (level == 3 && !self.page_1g) {
            candidates |= bit::PS;
        }
        if candidates == 0 {
            return 0;
        }
        // Whoever forgets a bit forgets the first or the last of a field.
        match prng.below(4) {
            0 => 1 << candidates.trailing_zeros(),
            1 => 1 << candidates.ilog2(),
            _ => {
                let number = prng.below(candidates.count_ones().into());
                // Takes the lowest ones away until it is the lowest.
                let rest = (0..number).fold(candidates, |rest, _| rest & (rest - 1));
                1 << rest.trailing_zeros()
            }
        }
    }

    /// A store into the cell of an entry of `level`, of a kind that `prng` chooses.
    pub fn mutation(&mut self, cell: u64, level: u8, prng: &mut Prng) -> Option<Store> {
        let old = self.shadow.get(&cell).copied().unwrap_or(0);
        // Most damage is done to leaves: what breaks an upper entry breaks everything below it until it is rewritten.
        let damage = if level == 1 || old & bit::PS != 0 {
            4
        } else {
            1
        };
        let value = match prng.weighted(&[
            300,
            300,
            12 * damage,
            200,
            4 * damage,
            8 * damage,
            3 * damage,
            2,
        ]) {
            0 => old & !(bit::A | bit::D),
            1 => self.entry(level, prng),
            2 => {
                old ^ prng.pick(&[
                    bit::RW,
                    bit::RW,
                    bit::US,
                    bit::US,
                    bit::XD,
                    bit::G,
                    bit::G,
                    bit::PWT,
                ])
            }
            3 => self.entry(level, prng) & !(bit::A | bit::D),
            4 => old ^ bit::P,
            5 => old ^ (prng.pick(&[1u64, 4, 15]) << bit::KEY_SHIFT),
            6 => old ^ self.reserved_bit(level, old & bit::PS != 0, prng),
            _ => prng.bits(),
        };
        self.store(cell, value)
    }

    /// A store of a leaf that may be used for anything, A set, into a cell of an entry of `level`; `None` where no leaf may stand.
    pub fn open_leaf(&mut self, cell: u64, level: u8, prng: &mut Prng) -> Option<Store> {
        if level > 3 || level == 3 && !self.page_1g {
            return None;
        }
        let value = self.leaf(level, prng) | bit::P | bit::RW | bit::US | bit::A;
        self.store(cell, value & !(0xf << bit::KEY_SHIFT))
    }

    /// The store of `old` with A and D as given: what hardware and other agents fight over.
    pub fn clear_accessed_dirty(&mut self, cell: u64) -> Option<Store> {
        let old = self.shadow.get(&cell).copied().unwrap_or(0);
        self.store(cell, old & !(bit::A | bit::D))
    }

    /// A store that leaves the meaning of an entry alone and changes an ignored bit: any compare-and-set under way must fail.
    pub fn touch(&mut self, cell: u64) -> Option<Store> {
        let old = self.shadow.get(&cell).copied().unwrap_or(0);
        self.store(cell, old ^ 1 << 9)
    }

    /// A cell that the addresses lead to, with its level.
    pub fn cell(&self, prng: &mut Prng) -> (u64, u8) {
        let level = prng.between(1, LEVELS.into()) as u8;
        let table = prng.pick(&self.tables[usize::from(level)]);
        let index = prng.pick(&self.indices[usize::from(level)]);
        (table + 8 * u64::from(index), level)
    }

    fn store(&mut self, address: u64, value: u64) -> Option<Store> {
        if address >= self.memory_bytes {
            return None;
        }
        self.shadow.insert(address, value);
        Some(Store { address, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_has_pages_of_every_size_and_paths_that_share_tables() {
        let config = Config::default();
        let mut prng = Prng::new(5, 0);
        let world = World::new(&config, &mut prng);
        let root = world.tables[4][0];
        let mut levels = [0u32; 6];
        for _ in 0..2_000 {
            let address = world.address(&mut prng);
            let path = world.path(root, address.canonical(false), false);
            levels[usize::from(path.last().map_or(0, |cell| cell.1))] += 1;
        }
        assert!(
            levels[1] > 200 && levels[2] > 100 && levels[3] > 50,
            "{levels:?}"
        );
        assert!(world.image().len() < 500);
    }

    #[test]
    fn addresses_are_canonical_in_both_widths() {
        let config = Config::default();
        let mut prng = Prng::new(6, 0);
        let world = World::new(&config, &mut prng);
        for _ in 0..200 {
            let address = world.address(&mut prng);
            assert!(crate::arch::PagingMode::FourLevel.is_canonical(address.canonical(false)));
            assert!(crate::arch::PagingMode::FiveLevel.is_canonical(address.canonical(true)));
        }
    }
}
