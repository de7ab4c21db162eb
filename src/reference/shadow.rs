//! TLB arrays and paging-structure caches as the monitor's fills and removals say that they are.
//!
//! Contract: 4 (formats, matching), 7.3 (fill), 9.3 (coverage), 10 (monitor). SDM vol. 3A, 4.10.2, 4.10.3.
//! Counterpart: `rtl/tlb.sv` and `rtl/psc.sv` hold the truth that this one shadows.
//!
//! # What it guarantees
//! An entry is here if and only if the monitor has shown its fill and not its removal; with the chain of entry reads that it was
//! decoded from. It knows no geometry: sets and ways are those that the monitor names. That a page stands in one set only is
//! checked, that it is the right one is not.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::arch::{Invalidation, Level, PageRights, PageSize, PagingMode, Pcid};

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
#[derive(Debug, Clone)]
pub struct TlbShadow {
    size: PageSize,
    ways: Vec<Option<TlbEntry>>,
    /// Live ways of each set.
    live: Vec<u64>,
    /// Page number to the set and the ways that hold it.
    pages: HashMap<u64, (u16, u64), FixedState>,
}

impl TlbShadow {
    /// An empty array of pages of `size`.
    pub fn new(size: PageSize) -> Self {
        Self {
            size,
            ways: Vec::new(),
            live: Vec::new(),
            pages: HashMap::with_hasher(FixedState::default()),
        }
    }

    /// The page size that it holds.
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// Makes it an array of pages of `size`, which it must be empty for.
    pub fn set_size(&mut self, size: PageSize) {
        self.size = size;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ways.clear();
        self.live.clear();
        self.pages.clear();
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

    /// The set and the ways that hold a page of the number `page`, of any PCID.
    #[inline]
    pub fn holding(&self, page: u64) -> (u16, u64) {
        self.pages.get(&page).copied().unwrap_or((0, 0))
    }

    /// The set and those ways that hold `page` and satisfy `wanted`.
    #[inline]
    pub fn ways_where(&self, page: u64, mut wanted: impl FnMut(&TlbWords) -> bool) -> (u16, u64) {
        let (set, ways) = self.holding(page);
        let mut found = 0;
        for way in bits(ways) {
            if self
                .entry(set, way)
                .is_some_and(|entry| wanted(&entry.words))
            {
                found |= 1 << way;
            }
        }
        (set, found)
    }

    /// The live ways of `set` that `invalidation` covers.
    pub fn covered(&self, set: u16, invalidation: &Invalidation) -> u64 {
        let covered = |way: &u32| {
            self.entry(set, *way)
                .is_some_and(|entry| entry.words.covered_by(self.size, invalidation))
        };
        bits(self.live_ways(set))
            .filter(covered)
            .fold(0, |mask, way| mask | 1 << way)
    }

    /// Removes an entry, and returns it.
    pub fn remove(&mut self, set: u16, way: u32) -> Option<TlbEntry> {
        let entry = self
            .ways
            .get_mut(usize::from(set) * MAX_WAYS + way as usize)?
            .take()?;
        self.live[usize::from(set)] &= !(1 << way);
        let page = entry.words.page(self.size);
        if let Some((_, ways)) = self.pages.get_mut(&page) {
            *ways &= !(1 << way);
            if *ways == 0 {
                self.pages.remove(&page);
            }
        }
        Some(entry)
    }

    /// Puts an entry where none is. Returns false, and does nothing, if its page stands in another set.
    #[must_use]
    pub fn insert(&mut self, set: u16, way: u32, entry: TlbEntry) -> bool {
        let holding = self
            .pages
            .entry(entry.words.page(self.size))
            .or_insert((set, 0));
        if holding.0 != set {
            return false;
        }
        holding.1 |= 1 << way;
        let sets = usize::from(set) + 1;
        if self.live.len() < sets {
            self.live.resize(sets, 0);
            self.ways.resize(sets * MAX_WAYS, None);
        }
        self.live[usize::from(set)] |= 1 << way;
        self.ways[usize::from(set) * MAX_WAYS + way as usize] = Some(entry);
        true
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
    ways: Vec<Option<PscEntry>>,
}

impl PscShadow {
    /// An empty cache of entries of `level`.
    pub const fn new(level: Level) -> Self {
        Self {
            level,
            ways: Vec::new(),
        }
    }

    /// The level whose entries it holds.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ways.clear();
    }

    /// The entry in a way, if it is live.
    pub fn entry(&self, way: u32) -> Option<&PscEntry> {
        self.ways.get(way as usize)?.as_ref()
    }

    /// The ways whose entries satisfy `wanted`.
    pub fn ways_where(&self, mut wanted: impl FnMut(&PscWords) -> bool) -> u64 {
        let mut found = 0;
        for (way, entry) in self.ways.iter().enumerate() {
            if entry.as_ref().is_some_and(|entry| wanted(&entry.words)) {
                found |= 1 << way;
            }
        }
        found
    }

    /// The ways that match `va` under `pcid` in `mode`.
    pub fn matching(&self, va: u64, mode: PagingMode, pcid: Pcid) -> u64 {
        let tag = PscWords::new(va, mode, self.level, pcid, 0, PageRights::ALL).tag;
        self.ways_where(|words| words.tag == tag)
    }

    /// Removes an entry, and returns it.
    pub fn remove(&mut self, way: u32) -> Option<PscEntry> {
        self.ways.get_mut(way as usize)?.take()
    }

    /// Puts an entry where none is.
    pub fn insert(&mut self, way: u32, entry: PscEntry) {
        let way = way as usize;
        if self.ways.len() <= way {
            self.ways.resize(way + 1, None);
        }
        self.ways[way] = Some(entry);
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
    use crate::arch::Entry;

    const PCID: Pcid = Pcid::new_truncate(0x5a5);

    fn entry(words: TlbWords) -> TlbEntry {
        TlbEntry {
            words,
            lineage: Arc::new(Lineage {
                root: 0,
                links: Vec::new(),
            }),
        }
    }

    #[test]
    fn an_array_finds_its_entries_by_page_and_loses_what_is_removed() {
        let mut array = TlbShadow::new(PageSize::Size4K);
        let words = |pcid| {
            TlbWords::new(
                0x3000,
                PageSize::Size4K,
                pcid,
                false,
                Entry(1),
                PageRights::ALL,
            )
        };
        assert!(array.insert(1, 0, entry(words(PCID))));
        assert!(array.insert(1, 3, entry(words(Pcid::ZERO))));
        assert!(!array.insert(2, 0, entry(words(PCID))));
        assert_eq!(array.holding(3), (1, 0b1001));
        assert_eq!(array.ways_where(3, |words| words.serves(PCID)), (1, 1));
        assert_eq!(
            array.covered(
                1,
                &Invalidation::Context {
                    pcid: PCID,
                    globals: false
                }
            ),
            1
        );
        assert!(array.remove(1, 0).is_some() && array.remove(1, 0).is_none());
        assert_eq!(
            (array.live_ways(1), array.holding(3)),
            (0b1000, (1, 0b1000))
        );
    }
}
