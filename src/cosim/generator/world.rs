//! The page tables that random operations play with: few tables that point at each other in every way, and few addresses that collide.
//!
//! Contract: sections 4.4 (sets), 8.4 (entries). SDM vol. 3A, 4.3 and 4.5. Counterpart: none.
//!
//! A shadow of memory holds what the generator wrote, without the A and D bits that the machine has set since: another agent's store
//! overwrites those, as it may. The tables of 32-bit paging are `two_level`'s.

pub mod open;
mod place;
mod two_level;

use std::collections::BTreeMap;

pub use self::place::{Address, Place};

use self::two_level::TwoLevel;
use super::prng::Prng;
use crate::arch::entry::bit;
use crate::arch::{Entry, PageSize, PagingMode, Registers};
use crate::config::{Config, Level, Serves};
use crate::cosim::stimulus::layout::entry_in;
use crate::cosim::stimulus::{Action, HalfStore, Store};

/// Tables of each level, 1 to 5: few, so that every table is reached on several paths.
const TABLES: [usize; 6] = [0, 6, 5, 3, 3, 2];
/// Levels of tables.
const LEVELS: u8 = 5;

/// Sets each bit of `choices` in so many of 1000 cases.
fn choose(entry: &mut u64, choices: &[(u64, u64)], prng: &mut Prng) {
    for (mask, permille) in choices {
        if prng.chance(*permille) {
            *entry |= mask;
        }
    }
}

/// One bit of `candidates`; 0 if there is none. Whoever forgets a bit forgets the first or the last of a field.
fn one_bit(candidates: u64, prng: &mut Prng) -> u64 {
    if candidates == 0 {
        return 0;
    }
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

/// How many pages of `size` lie between two that stand in the same set: of one that keeps such pages and that all others agree with, or else of
/// any, as `prng` chooses. 1 where no level keeps them in that size.
fn stride(config: &Config, size: PageSize, prng: &mut Prng) -> u64 {
    let mut strides = Vec::new();
    for level in Level::ALL {
        for kind in [Serves::Reads, Serves::Writes] {
            let arrays = config.arrays(level).into_iter();
            let keep: Vec<u64> = arrays
                .filter(|array| array.holds(size) && array.serves as u8 & kind as u8 != 0)
                .map(|array| array.sets.into())
                .collect();
            // Pages take turns among the arrays, then among the sets.
            strides.extend(keep.iter().map(|sets| sets * keep.len() as u64));
        }
    }
    strides.sort_unstable();
    strides.dedup();
    let Some(greatest) = strides.last().copied() else {
        return 1;
    };
    if strides.iter().all(|stride| greatest % stride == 0) {
        greatest
    } else {
        prng.pick(&strides)
    }
}

/// Tables, the addresses that lead through them, and what was written there.
#[derive(Debug, Clone)]
pub struct World {
    /// Physical addresses of the tables of each level.
    tables: [Vec<u64>; 6],
    /// Indices in use at each level.
    indices: [Vec<u16>; 6],
    two_level: TwoLevel,
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
            two_level: TwoLevel::new(config, prng),
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
        for (address, level) in world.two_level.places() {
            let entry = world.two_level.entry(level, prng);
            let mode = PagingMode::TwoLevel;
            world.write(
                Place {
                    address,
                    level,
                    mode,
                },
                entry,
            );
        }
        world
    }

    /// Indices that put many pages into one set of each array.
    fn choose_indices(&mut self, config: &Config, prng: &mut Prng) {
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
            // A stride of 512 or more means that the index of the next level decides; any stride below makes indices collide.
            let stride = stride(config, size, prng).clamp(1, 128);
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
            two_level: self.two_level.address(prng),
            offset: (prng.below(0xfc0)) as u16,
        }
    }

    /// An address that differs from `near` below the entry of `level` only, so that both share their paths down to it.
    pub fn neighbour(&self, near: Address, level: u8, prng: &mut Prng) -> Address {
        let mut other = self.address(prng);
        for upper in level..=LEVELS {
            other.indices[usize::from(upper)] = near.indices[usize::from(upper)];
        }
        // Of two levels there is one to share.
        other.two_level[1] = near.two_level[1];
        other
    }

    /// A table for CR3 in `mode`: mostly of the root's level.
    pub fn root(&self, mode: PagingMode, prng: &mut Prng) -> u64 {
        if mode == PagingMode::TwoLevel {
            return self.two_level.root(prng);
        }
        if prng.chance(5) {
            return self.outside(prng);
        }
        let level = match prng.chance(20) {
            true => prng.between(1, LEVELS.into()) as usize,
            false if mode == PagingMode::FiveLevel => 5,
            false => 4,
        };
        prng.pick(&self.tables[level])
    }

    /// The entries that translate `va`, from the root's level down, as the shadow has them.
    pub fn path(&self, registers: &Registers, va: u64) -> Vec<Place> {
        let mode = registers.page_mode();
        let mut places = Vec::with_capacity(LEVELS.into());
        let mut table = registers.root_table().raw();
        for row in mode.spec().levels {
            let level = row.level.number();
            let address = entry_in(mode, table, va, level);
            let place = Place {
                address,
                level,
                mode,
            };
            places.push(place);
            let entry = self.read(place);
            let large = match mode {
                PagingMode::TwoLevel => registers.pse(),
                _ => level <= 3,
            };
            if entry & bit::P == 0 || level == 1 || (large && entry & bit::PS != 0) {
                break;
            }
            table = entry & bit::ADDRESS;
        }
        places
    }

    /// The entry at `place`, as the shadow has it.
    fn read(&self, place: Place) -> u64 {
        let cell = self.shadow.get(&place.cell()).copied().unwrap_or(0);
        place.slot().extract(cell).raw()
    }

    /// Writes the entry at `place`, whose bits above its length are dropped, into the shadow.
    fn write(&mut self, place: Place, entry: u64) {
        let slot = place.slot();
        let cell = self.shadow.entry(place.cell()).or_insert(0);
        *cell = *cell & !slot.mask() | slot.place(Entry(entry));
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
        let choices = [
            (bit::RW, rw),
            (bit::US, us),
            (bit::A, 700),
            (bit::PWT, 200),
            (bit::PCD, 200),
            (bit::XD, xd),
        ];
        choose(&mut entry, &choices, prng);
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
        let size_mask = (1u64 << shift(level)) - 1;
        let frame = prng.bits() & bit::ADDRESS & ((1 << self.maxphyaddr_bits) - 1) & !size_mask;
        let mut entry = frame | if level == 1 { 0 } else { bit::PS };
        entry |= prng.pick(&[0u64, 0, 1, 5, 15]) << bit::KEY_SHIFT;
        let pat = if level == 1 {
            bit::PAT_4K
        } else {
            bit::PAT_LARGE
        };
        choose(
            &mut entry,
            &[(bit::D, 450), (bit::G, 250), (pat, 200)],
            prng,
        );
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
            let inside = ((1 << shift(level)) - 1) & !0x1fff;
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
        one_bit(candidates, prng)
    }

    /// [`World::entry`], or the like of 32-bit paging.
    fn entry_of(&self, place: Place, prng: &mut Prng) -> u64 {
        match place.mode {
            PagingMode::TwoLevel => self.two_level.entry(place.level, prng),
            _ => self.entry(place.level, prng),
        }
    }

    /// A store into an entry, of a kind that `prng` chooses. Of 4 bytes it is seldom a store of the whole cell, which takes back the A and D
    /// that the machine has set beside it.
    pub fn mutation(&mut self, place: Place, prng: &mut Prng) -> Option<Action> {
        let level = place.level;
        let two_level = place.mode == PagingMode::TwoLevel;
        let old = self.read(place);
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
            1 => self.entry_of(place, prng),
            2 if two_level => {
                old ^ prng.pick(&[bit::RW, bit::RW, bit::US, bit::US, bit::G, bit::G, bit::PWT])
            }
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
            3 => self.entry_of(place, prng) & !(bit::A | bit::D),
            4 => old ^ bit::P,
            // A table becomes a page, a page a table; in a PTE it is PAT.
            5 if two_level => old ^ bit::PS,
            5 => old ^ (prng.pick(&[1u64, 4, 15]) << bit::KEY_SHIFT),
            6 if two_level => old ^ self.two_level.reserved_bit(prng),
            6 => old ^ self.reserved_bit(level, old & bit::PS != 0, prng),
            _ => prng.bits(),
        };
        let whole = two_level && prng.chance(100);
        let store = self.store(place, value)?;
        if !whole {
            return Some(store);
        }
        let address = place.cell();
        let value = self.shadow.get(&address).copied().unwrap_or(0);
        Some(Action::Store(Store { address, value }))
    }

    /// A store of a leaf that may be used for anything, A set, into an entry; `None` where no leaf may stand.
    pub fn open_leaf(&mut self, place: Place, prng: &mut Prng) -> Option<Action> {
        let level = place.level;
        let open = bit::P | bit::RW | bit::US | bit::A;
        if place.mode == PagingMode::TwoLevel {
            let value = self.two_level.leaf(level, prng) | open;
            return self.store(place, value);
        }
        if level > 3 || level == 3 && !self.page_1g {
            return None;
        }
        let value = self.leaf(level, prng) | open;
        self.store(place, value & !(0xf << bit::KEY_SHIFT))
    }

    /// The store of `old` with A and D as given: what hardware and other agents fight over.
    pub fn clear_accessed_dirty(&mut self, place: Place) -> Option<Action> {
        let old = self.read(place);
        self.store(place, old & !(bit::A | bit::D))
    }

    /// A store that leaves the meaning of an entry alone and changes an ignored bit: any compare-and-set under way must fail.
    pub fn touch(&mut self, place: Place) -> Option<Action> {
        let old = self.read(place);
        self.store(place, old ^ 1 << 9)
    }

    /// An entry that the addresses lead to in `mode`, mostly.
    pub fn place(&self, mode: PagingMode, prng: &mut Prng) -> Place {
        if (mode == PagingMode::TwoLevel) ^ prng.chance(50) {
            let (address, level) = self.two_level.place(prng);
            return Place {
                address,
                level,
                mode: PagingMode::TwoLevel,
            };
        }
        let level = prng.between(1, LEVELS.into()) as u8;
        let table = prng.pick(&self.tables[usize::from(level)]);
        let index = prng.pick(&self.indices[usize::from(level)]);
        Place {
            address: table + 8 * u64::from(index),
            level,
            mode: PagingMode::FourLevel,
        }
    }

    fn store(&mut self, place: Place, value: u64) -> Option<Action> {
        let address = place.address;
        if address >= self.memory_bytes {
            return None;
        }
        self.write(place, value);
        Some(match place.mode {
            PagingMode::TwoLevel => Action::StoreHalf(HalfStore {
                address,
                value: value as u32,
            }),
            _ => Action::Store(Store { address, value }),
        })
    }
}

/// Lowest bit of a page that an entry of 8 bytes of `level` maps, and of its index.
const fn shift(level: u8) -> u32 {
    3 + 9 * level as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_has_pages_of_every_size_and_paths_that_share_tables() {
        let config = Config::default();
        let mut levels = [0u32; 6];
        for seed in 0..4 {
            let mut prng = Prng::new(seed, 0);
            let world = World::new(&config, &mut prng);
            let mut registers = Registers::RESET;
            let root = world.tables[4][0];
            registers
                .write_cr3(root, &config.arch_capabilities())
                .unwrap();
            for _ in 0..2_000 {
                let va = world.address(&mut prng).in_mode(PagingMode::FourLevel);
                let path = world.path(&registers, va);
                levels[usize::from(path.last().map_or(0, |place| place.level))] += 1;
            }
            assert!(world.image().len() < 500);
        }
        assert!(
            levels[1] > 800 && levels[2] > 400 && levels[3] > 200,
            "{levels:?}"
        );
    }

    #[test]
    fn pages_collide_in_sets_of_any_number_and_in_arrays_that_share_a_size() {
        let mut config = Config::default();
        for level in [&mut config.itlb, &mut config.dtlb, &mut config.stlb] {
            level.arrays.clear();
        }
        let array = |sets| crate::config::TlbArraySpec {
            page_sizes: vec![PageSize::Size4K, PageSize::Size2M],
            sets,
            ways: 2,
            replacement: crate::config::Replacement::Lru,
            serves: Serves::All,
        };
        let strides = |config: &Config, size| {
            let mut prng = Prng::new(1, 0);
            let mut found: Vec<u64> = (0..40).map(|_| stride(config, size, &mut prng)).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        assert_eq!(strides(&config, PageSize::Size4K), [1]);
        config.stlb.arrays = vec![array(3), array(5)];
        assert_eq!(strides(&config, PageSize::Size2M), [6, 10]);
        assert_eq!(strides(&config, PageSize::Size1G), [1]);
        config.dtlb.arrays = vec![array(2)];
        config.stlb.arrays = vec![array(6)];
        assert_eq!(strides(&config, PageSize::Size4K), [6]);
    }

    #[test]
    fn addresses_are_canonical_in_both_widths() {
        let config = Config::default();
        let mut prng = Prng::new(6, 0);
        let world = World::new(&config, &mut prng);
        for _ in 0..200 {
            let address = world.address(&mut prng);
            for mode in [PagingMode::FourLevel, PagingMode::FiveLevel] {
                assert!(mode.is_canonical(address.in_mode(mode)));
            }
        }
    }
}
