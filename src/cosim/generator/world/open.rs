//! Paths laid out on purpose, and what is done to them: what steered operations need of the tables.
//!
//! Contract: 8.4 (entries). SDM vol. 3A, 4.3 and 4.5. Counterpart: none.

use super::{Place, Prng, World};
use crate::arch::entry::bit;
use crate::arch::{PagingMode, Registers};
use crate::cosim::stimulus::Action;
use crate::cosim::stimulus::layout::entry_in;

/// What is done to an entry on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Not present.
    Absent,
    /// A reserved bit.
    Reserved,
    /// It points to where no memory stands.
    Outside,
    /// Not writable.
    ReadOnly,
    /// A supervisor's.
    Supervisor,
    /// Not executable.
    NotExecutable,
    /// Another protection key.
    Key,
    /// A and D clear.
    Unused,
    /// D clear.
    Clean,
}

impl Damage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Absent,
        Self::Reserved,
        Self::Outside,
        Self::ReadOnly,
        Self::Supervisor,
        Self::NotExecutable,
        Self::Key,
        Self::Unused,
        Self::Clean,
    ];
}

impl World {
    /// Lays out a path for `va` that ends in a leaf at `leaf` or, where none may stand there, below, and that allows everything: its places from
    /// the root down, and the stores that make it. No place, if the root stands where no memory is.
    pub fn open_path(
        &mut self,
        registers: &Registers,
        va: u64,
        leaf: u8,
        prng: &mut Prng,
    ) -> (Vec<Place>, Vec<Action>) {
        let mode = registers.page_mode();
        let mut places = Vec::new();
        let mut stores = Vec::new();
        let mut table = registers.root_table().raw();
        for row in mode.spec().levels {
            let level = row.level.number();
            let place = Place {
                address: entry_in(mode, table, va, level),
                level,
                mode,
            };
            let is_leaf = level == 1
                || level == leaf
                    && match mode {
                        PagingMode::TwoLevel => registers.pse(),
                        _ => level == 2 || level == 3 && self.page_1g,
                    };
            let old = self.read(place);
            let store = if is_leaf {
                self.open_leaf(place, prng)
            } else {
                let open = bit::P | bit::RW | bit::US;
                let usable = old & (open | bit::PS | bit::XD) == open
                    && self.is_table(mode, old & bit::ADDRESS)
                    && old & self.above() == 0;
                if usable && prng.chance(700) {
                    places.push(place);
                    table = old & bit::ADDRESS;
                    continue;
                }
                let below = self.table_below(mode, level, prng);
                let used = if prng.chance(800) { bit::A } else { 0 };
                self.store(place, below | open | used)
            };
            let Some(store) = store else {
                return (Vec::new(), stores);
            };
            stores.push(store);
            places.push(place);
            table = self.read(place) & bit::ADDRESS;
            if is_leaf {
                break;
            }
        }
        (places, stores)
    }

    /// A frame for CR3 at which no memory stands, if there is one.
    pub fn nowhere(&self, mode: PagingMode, prng: &mut Prng) -> u64 {
        match mode {
            PagingMode::TwoLevel => self.two_level.outside(prng),
            _ => self.outside(prng),
        }
    }

    /// Address bits that no entry may have.
    const fn above(&self) -> u64 {
        bit::ADDRESS & !((1 << self.maxphyaddr_bits) - 1)
    }

    fn is_table(&self, mode: PagingMode, address: u64) -> bool {
        match mode {
            PagingMode::TwoLevel => self.two_level.is_page_table(address),
            _ => self.tables.iter().any(|tables| tables.contains(&address)),
        }
    }

    fn table_below(&self, mode: PagingMode, level: u8, prng: &mut Prng) -> u64 {
        match mode {
            PagingMode::TwoLevel => self.two_level.page_table(prng),
            _ => prng.pick(&self.tables[usize::from(level) - 1]),
        }
    }

    /// Opens the leaf beside a leaf: of a page that shares the path down to it.
    pub fn open_beside(&mut self, leaf: Place, prng: &mut Prng) -> Option<Action> {
        let address = leaf.address ^ leaf.mode.entry_bytes();
        self.open_leaf(Place { address, ..leaf }, prng)
    }

    /// Does something to an entry; `None` where memory is not, or where it means nothing.
    pub fn damage(&mut self, place: Place, damage: Damage, prng: &mut Prng) -> Option<Action> {
        let old = self.read(place);
        let two_level = place.mode == PagingMode::TwoLevel;
        let is_leaf = place.level == 1 || old & bit::PS != 0;
        let value = match damage {
            Damage::Absent => old & !bit::P,
            Damage::Reserved if two_level => old | bit::PS | self.two_level.reserved_bit(prng),
            Damage::Reserved => old | self.reserved_bit(place.level, is_leaf, prng),
            Damage::Outside if is_leaf => return None,
            Damage::Outside => {
                let frame = match two_level {
                    true => self.two_level.outside(prng),
                    false => self.outside(prng),
                };
                old & !bit::ADDRESS | frame
            }
            Damage::ReadOnly => old & !bit::RW,
            Damage::Supervisor => old & !bit::US,
            Damage::NotExecutable if two_level => return None,
            Damage::NotExecutable => old | bit::XD,
            Damage::Key if two_level => return None,
            Damage::Key => old ^ 1 << bit::KEY_SHIFT,
            Damage::Unused => old & !(bit::A | bit::D),
            Damage::Clean => old & !bit::D,
        };
        self.store(place, value)
    }

    /// What an entry holds, to store it again after it was damaged.
    pub fn held(&self, place: Place) -> u64 {
        self.read(place)
    }

    /// Stores what an entry held.
    pub fn restore(&mut self, place: Place, held: u64) -> Option<Action> {
        self.store(place, held)
    }
}
