//! The paging-structure caches: one for PDEs, PDPTEs, PML4Es and PML5Es each, fully associative, true least recently used.
//!
//! Contract: 4.2 (format of an entry), 4.4 (matching), 8.2 (look-up), 8.5 (fill, drop), 9.3 (invalidation). SDM vol. 3A, 4.10.3
//! (paging-structure caches). Counterpart: `rtl/psc.sv`.

use crate::arch::{Invalidation, Level, PageRights, PagingMode};

use super::mmu_pkg::{ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, PSC_LEVELS};
use super::recency::Recency;
use super::tlb::{pack_rights, unpack_rights};

/// Bits 35:0 of a tag: va\[56:21\], with zeros beyond the prefix.
const PREFIX: u64 = (1 << 36) - 1;
/// The lowest bit of va in a tag.
const PREFIX_SHIFT: u32 = 21;
const PCID_SHIFT: u32 = 36;
/// Bits 39:0 of a data word: the frame of a table.
const FRAME: u64 = (1 << 40) - 1;
/// The tag of an invalid way; a valid one has bits 63:48 clear.
const INVALID: u64 = u64::MAX;

/// What a paging-structure entry, used or cached, leads to: the frame number of a table, and the rights of the path so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TablePointer {
    pub frame: u64,
    pub rights: PageRights,
}

/// One cache. Equal if valid entries and ranks are.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Psc {
    /// The bits of a prefix that count at this level, in the mode.
    prefix_mask: u64,
    tags: Vec<u64>,
    data: Vec<u64>,
    /// A bit for each way that holds nothing.
    free: u64,
    recency: Recency,
}

/// A bit for each of `entries` ways, 0 to 64.
const fn all_ways(entries: usize) -> u64 {
    match entries {
        0 => 0,
        entries => u64::MAX >> (64 - entries),
    }
}

impl Psc {
    fn new(cache: usize, entries: usize) -> Self {
        Self {
            prefix_mask: PREFIX >> (9 * cache) << (9 * cache),
            tags: vec![INVALID; entries],
            data: vec![0; entries],
            free: all_ways(entries),
            recency: Recency::new(1, entries),
        }
    }

    #[inline]
    fn tag(&self, va: u64, pcid: u16) -> u64 {
        va >> PREFIX_SHIFT & self.prefix_mask | u64::from(pcid) << PCID_SHIFT
    }

    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        self.tags.iter().position(|kept| *kept == tag)
    }

    /// The end of contract 8.5, first item. The cache must have entries.
    fn fill(&mut self, tag: u64, data: u64) -> ArrayEvent {
        let way = self
            .find(tag)
            .or_else(|| (self.free != 0).then(|| self.free.trailing_zeros() as usize))
            .unwrap_or_else(|| self.recency.oldest(0));
        let held = self.tags[way] != INVALID;
        let (victim_tag, victim_data) = if held {
            (self.tags[way], self.data[way])
        } else {
            (0, 0)
        };
        self.tags[way] = tag;
        self.data[way] = data;
        self.free &= !(1 << way);
        self.recency.touch(0, way);
        ArrayEvent {
            op: ARRAY_FILL,
            way: way as u8,
            set: 0,
            reserved: 0,
            removed: u64::from(held) << way,
            tag,
            data,
            victim_tag,
            victim_data,
        }
    }

    /// Removes the valid entries whose tag `covers` names, and reports them: nothing, if nothing was removed.
    fn remove_where(&mut self, covers: impl Fn(u64) -> bool) -> ArrayEvent {
        let mut removed = 0;
        for (way, tag) in self.tags.iter_mut().enumerate() {
            if *tag != INVALID && covers(*tag) {
                removed |= 1 << way;
                *tag = INVALID;
                self.data[way] = 0;
            }
        }
        if removed == 0 {
            return ArrayEvent::default();
        }
        self.free |= removed;
        ArrayEvent {
            op: ARRAY_INVALIDATE,
            removed,
            ..ArrayEvent::default()
        }
    }
}

/// The four caches, by the contract's numbers: 0 = PDE, 1 = PDPTE, 2 = PML4E, 3 = PML5E.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PscCaches([Psc; PSC_LEVELS]);

impl PscCaches {
    /// Empty caches of that many entries; one of none neither matches nor holds anything.
    pub fn new(entries: [u32; PSC_LEVELS]) -> Self {
        Self(std::array::from_fn(|cache| {
            Psc::new(cache, entries[cache] as usize)
        }))
    }

    /// Empties them and brings back the first ranks.
    pub fn reset(&mut self) {
        for cache in &mut self.0 {
            cache.tags.fill(INVALID);
            cache.data.fill(0);
            cache.free = all_ways(cache.tags.len());
            cache.recency.reset();
        }
    }

    /// The mode has changed: what a PDE translates does not depend on bit 21 of an address in 32-bit paging. The cache of PDEs must be
    /// empty, unless the prefix stays as it was.
    pub fn enter(&mut self, mode: PagingMode) {
        let beyond = mode.index_shift(Level::Pd) - PREFIX_SHIFT;
        self.0[0].prefix_mask = PREFIX >> beyond << beyond;
    }

    /// The lowest of the first `caches` caches, those of levels that the mode has, that matches; it is touched, and what it holds.
    pub fn look_up(&mut self, va: u64, pcid: u16, caches: usize) -> Option<(usize, TablePointer)> {
        for (number, cache) in self.0.iter_mut().take(caches).enumerate() {
            if let Some(way) = cache.find(cache.tag(va, pcid)) {
                cache.recency.touch(0, way);
                let pointer = TablePointer {
                    frame: cache.data[way] & FRAME,
                    rights: unpack_rights(cache.data[way]),
                };
                return Some((number, pointer));
            }
        }
        None
    }

    /// Fills the cache `number` with the entry that leads `va` to a table; nothing, if that cache has no entries.
    pub fn fill(&mut self, number: usize, va: u64, pcid: u16, pointer: TablePointer) -> ArrayEvent {
        let cache = &mut self.0[number];
        if cache.tags.is_empty() {
            return ArrayEvent::default();
        }
        let tag = cache.tag(va, pcid);
        cache.fill(tag, pointer.frame | pack_rights(pointer.rights))
    }

    /// Removes from the cache `number` what matches `va` in `pcid`.
    pub fn drop_address(&mut self, number: usize, va: u64, pcid: u16) -> ArrayEvent {
        let cache = &mut self.0[number];
        let tag = cache.tag(va, pcid);
        cache.remove_where(|kept| kept == tag)
    }

    /// Removes from the cache `number` what `invalidation` covers.
    pub fn invalidate(&mut self, number: usize, invalidation: &Invalidation) -> ArrayEvent {
        self.0[number].remove_where(|tag| match *invalidation {
            Invalidation::None => false,
            Invalidation::Page { pcid, .. } | Invalidation::Context { pcid, .. } => {
                tag >> PCID_SHIFT == u64::from(pcid.raw())
            }
            Invalidation::AllNonGlobal | Invalidation::All => true,
        })
    }

    /// Valid entries of the cache `number`.
    #[cfg(test)]
    pub fn occupancy(&self, number: usize) -> u64 {
        self.0[number]
            .tags
            .iter()
            .filter(|tag| **tag != INVALID)
            .count() as u64
    }
}
