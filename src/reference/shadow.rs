//! TLB arrays and paging-structure caches as the monitor's fills and removals say that they are.
//!
//! Contract: 4 (formats, matching), 7.3 (fill), 9.3 (coverage), 10 (monitor). SDM vol. 3A, 4.10.2, 4.10.3.
//! Counterpart: `rtl/tlb.sv` and `rtl/psc.sv` hold the truth that this one shadows.
//!
//! # What it guarantees
//! An entry is here if and only if the monitor has shown its fill and not its removal; with the chain of entry reads that it was
//! decoded from. Sets and ways are those that the monitor names; whether they are the right ones, [`super::geometry`] knows.

use std::sync::Arc;

use crate::arch::{Invalidation, Level, PageRights, PagingMode, Pcid};

mod words;

pub use words::{Lineage, Link, PscWords, TlbWords, page_number, prefix};

/// Ways that an event's masks have room for.
pub const MAX_WAYS: usize = 64;

/// A live TLB entry.
#[derive(Debug, Clone)]
pub struct TlbEntry {
    /// What it holds.
    pub words: TlbWords,
    /// What it was decoded from.
    pub lineage: Arc<Lineage>,
}

/// One TLB array.
#[derive(Debug, Clone, Default)]
pub struct TlbShadow {
    ways: Vec<Option<TlbEntry>>,
    /// Live ways of each set.
    live: Vec<u64>,
}

impl TlbShadow {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ways.clear();
        self.live.clear();
    }

    /// The entry in a way, if it is live.
    pub fn entry(&self, set: u16, way: u32) -> Option<&TlbEntry> {
        self.ways
            .get(usize::from(set) * MAX_WAYS + way as usize)?
            .as_ref()
    }

    /// Live ways of a set.
    pub fn live_ways(&self, set: u16) -> u64 {
        self.live.get(usize::from(set)).copied().unwrap_or(0)
    }

    /// Sets that were ever filled, and those below.
    pub fn sets(&self) -> usize {
        self.live.len()
    }

    /// The live ways of `set` whose entries satisfy `wanted`.
    #[inline]
    pub fn ways_where(&self, set: u16, mut wanted: impl FnMut(&TlbWords) -> bool) -> u64 {
        let mut found = 0;
        for way in bits(self.live_ways(set)) {
            if self
                .entry(set, way)
                .is_some_and(|entry| wanted(&entry.words))
            {
                found |= 1 << way;
            }
        }
        found
    }

    /// The live ways of `set` that `invalidation` covers.
    pub fn covered(&self, set: u16, invalidation: &Invalidation) -> u64 {
        self.ways_where(set, |words| words.covered_by(invalidation))
    }

    /// Removes an entry, and returns it.
    pub fn remove(&mut self, set: u16, way: u32) -> Option<TlbEntry> {
        let entry = self
            .ways
            .get_mut(usize::from(set) * MAX_WAYS + way as usize)?
            .take()?;
        self.live[usize::from(set)] &= !(1 << way);
        Some(entry)
    }

    /// Puts an entry where none is.
    pub fn insert(&mut self, set: u16, way: u32, entry: TlbEntry) {
        let sets = usize::from(set) + 1;
        if self.live.len() < sets {
            self.live.resize(sets, 0);
            self.ways.resize(sets * MAX_WAYS, None);
        }
        self.live[usize::from(set)] |= 1 << way;
        self.ways[usize::from(set) * MAX_WAYS + way as usize] = Some(entry);
    }
}

/// A live paging-structure-cache entry.
#[derive(Debug, Clone)]
pub struct PscEntry {
    /// What it holds.
    pub words: PscWords,
    /// What it was decoded from.
    pub lineage: Arc<Lineage>,
}

/// One paging-structure cache.
#[derive(Debug, Clone)]
pub struct PscShadow {
    level: Level,
    /// Ways of a set.
    width: u32,
    /// The ways of the sets, one set after the other.
    ways: Vec<Option<PscEntry>>,
}

impl PscShadow {
    /// An empty cache of entries of `level`, of `sets` sets of `width` ways.
    pub fn new(level: Level, sets: u32, width: u32) -> Self {
        Self {
            level,
            width,
            ways: vec![None; (sets * width) as usize],
        }
    }

    /// The level whose entries it holds.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ways.fill(None);
    }

    fn ways_of(&self, set: u16) -> &[Option<PscEntry>] {
        let first = usize::from(set) * self.width as usize;
        self.ways
            .get(first..first + self.width as usize)
            .unwrap_or_default()
    }

    fn way_mut(&mut self, set: u16, way: u32) -> Option<&mut Option<PscEntry>> {
        let index = usize::from(set) * self.width as usize + way as usize;
        self.ways.get_mut(index).filter(|_| way < self.width)
    }

    /// The entry in a way, if it is live.
    pub fn entry(&self, set: u16, way: u32) -> Option<&PscEntry> {
        self.ways_of(set).get(way as usize)?.as_ref()
    }

    /// How many sets it has; 0 without ways.
    pub fn sets(&self) -> u16 {
        (self.ways.len() as u32)
            .checked_div(self.width)
            .unwrap_or(0) as u16
    }

    /// The ways of `set` whose entries satisfy `wanted`.
    pub fn ways_where(&self, set: u16, mut wanted: impl FnMut(&PscWords) -> bool) -> u64 {
        let mut found = 0;
        for (way, entry) in self.ways_of(set).iter().enumerate() {
            if entry.as_ref().is_some_and(|entry| wanted(&entry.words)) {
                found |= 1 << way;
            }
        }
        found
    }

    /// The ways of `set` that match `va` under `pcid` in `mode`.
    pub fn matching(&self, set: u16, va: u64, mode: PagingMode, pcid: Pcid) -> u64 {
        let tag = PscWords::new(va, mode, self.level, pcid, 0, PageRights::ALL).tag;
        self.ways_where(set, |words| words.tag == tag)
    }

    /// Removes an entry, and returns it.
    pub fn remove(&mut self, set: u16, way: u32) -> Option<PscEntry> {
        self.way_mut(set, way)?.take()
    }

    /// Puts an entry where none is. Returns false, and does nothing, if there is no such place.
    #[must_use]
    pub fn insert(&mut self, set: u16, way: u32, entry: PscEntry) -> bool {
        let place = self.way_mut(set, way);
        place.map(|place| *place = Some(entry)).is_some()
    }
}

/// The positions of the set bits, lowest first.
#[inline]
pub fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lowest < u64::BITS).then_some(lowest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Entry, PageSize};

    const PCID: Pcid = Pcid::new_truncate(0x5a5);

    fn lineage() -> Arc<Lineage> {
        Arc::new(Lineage {
            root: 0,
            links: Vec::new(),
        })
    }

    fn entry(words: TlbWords) -> TlbEntry {
        let lineage = lineage();
        TlbEntry { words, lineage }
    }

    #[test]
    fn an_array_holds_what_was_put_into_it_and_loses_what_is_removed() {
        let mut array = TlbShadow::default();
        let size = PageSize::Size4K;
        let words =
            |pcid| TlbWords::new(0x3000, size, size, pcid, false, Entry(1), PageRights::ALL);
        array.insert(1, 0, entry(words(PCID)));
        array.insert(1, 3, entry(words(Pcid::ZERO)));
        assert_eq!(array.ways_where(1, |words| words.holds(size, 3)), 0b1001);
        assert_eq!(array.ways_where(2, |_| true), 0);
        assert_eq!(array.ways_where(1, |words| words.serves(PCID)), 1);
        let context = Invalidation::Context {
            pcid: PCID,
            globals: false,
        };
        assert_eq!(array.covered(1, &context), 1);
        assert!(array.remove(1, 0).is_some() && array.remove(1, 0).is_none());
        assert_eq!(array.live_ways(1), 0b1000);
    }

    #[test]
    fn a_cache_of_two_sets_keeps_them_apart_and_has_no_third() {
        let mut cache = PscShadow::new(Level::Pd, 2, 3);
        let words = PscWords::new(
            0x20_0000,
            PagingMode::FourLevel,
            Level::Pd,
            PCID,
            0,
            PageRights::ALL,
        );
        let entry = PscEntry {
            words,
            lineage: lineage(),
        };
        assert!(cache.insert(1, 2, entry.clone()));
        assert!(!cache.insert(2, 0, entry.clone()) && !cache.insert(0, 3, entry));
        let matching = |set| cache.matching(set, 0x20_0000, PagingMode::FourLevel, PCID);
        assert_eq!((matching(0), matching(1), cache.sets()), (0, 0b100, 2));
        assert!(cache.remove(1, 2).is_some() && cache.entry(1, 2).is_none());
    }
}
