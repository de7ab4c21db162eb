//! The paging-structure caches: one for PDEs, PDPTEs, PML4Es and PML5Es each, set-associative.
//!
//! Contract: 4.2 (format of an entry), 4.4 (matching), 8.2 (look-up), 8.5 (fill, drop), 9.3 (invalidation). SDM vol. 3A, 4.10.3
//! (paging-structure caches). Counterpart: `rtl/psc.sv`.

use crate::arch::{Invalidation, Level, PageRights, PagingMode};
use crate::config::PscArraySpec;

use super::mmu_pkg::{ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, PSC_LEVELS};
use super::places::Modulo;
use super::replacement::Policy;
use super::tlb::{pack_rights, unpack_rights};
use super::ways::matching;

/// The bits of an address that tags have, and by which sets are counted.
const ADDRESS: u64 = (1 << 57) - 1;
/// Bits 35:0 of a tag: va\[56:21\], with zeros beyond the prefix.
const PREFIX: u64 = (1 << 36) - 1;
/// The lowest bit of va in a tag.
const PREFIX_SHIFT: u32 = 21;
const PCID_SHIFT: u32 = 36;
/// Bits 39:0 of a data word: the frame of a table.
const FRAME: u64 = (1 << 40) - 1;
/// The tag of an invalid way; a valid one has bits 63:48 clear.
const INVALID: u64 = u64::MAX;
/// Counts of valid entries by the low bits of their prefix.
const COUNTS: usize = 1024;

/// What a paging-structure entry, used or cached, leads to: the frame number of a table, and the rights of the path so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TablePointer {
    pub frame: u64,
    pub rights: PageRights,
}

/// An entry that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Match {
    /// The number of its cache.
    pub cache: usize,
    set: usize,
    way: usize,
    pub pointer: TablePointer,
}

/// One cache. Equal if valid entries and replacement state are.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Psc {
    /// The bits of a prefix that count at this level, in the mode.
    prefix_mask: u64,
    /// How many low bits of va lie below that prefix.
    shift: u32,
    /// The same in the mode in which it is least: counts go by it, so that they outlast a change of mode, with what is yet to be swept.
    least_shift: u32,
    ways: usize,
    sets: Modulo,
    /// Set by set.
    tags: Vec<u64>,
    data: Vec<u64>,
    /// How many valid entries, at most 64, have these low bits in the prefix that counts, in whatever context. Where there is none, no way
    /// need be asked: most walks of a program that jumps about find nothing here. It follows from the tags.
    counts: Box<[u8; COUNTS]>,
    /// Ways of any set that have no entry.
    free: usize,
    policy: Policy,
}

impl Psc {
    fn new(cache: usize, spec: PscArraySpec) -> Self {
        let (sets, ways) = (spec.sets as usize, spec.ways as usize);
        let least_shift = PREFIX_SHIFT + 9 * cache as u32;
        let mut empty = Self {
            prefix_mask: 0,
            shift: 0,
            least_shift,
            ways,
            sets: Modulo::new(spec.sets),
            tags: vec![INVALID; sets * ways],
            data: vec![0; sets * ways],
            counts: Box::new([0; COUNTS]),
            free: sets * ways,
            policy: Policy::new(spec.replacement, sets, ways),
        };
        empty.index_by(least_shift);
        empty
    }

    /// The level of its entries translates va from bit `shift` on.
    const fn index_by(&mut self, shift: u32) {
        let beyond = shift - PREFIX_SHIFT;
        self.shift = shift;
        self.prefix_mask = PREFIX >> beyond << beyond;
    }

    /// Contract 4.4.
    #[inline]
    const fn set_of(&self, va: u64) -> usize {
        self.sets.of((va & ADDRESS) >> self.shift)
    }

    #[inline]
    fn tag(&self, va: u64, pcid: u16) -> u64 {
        va >> PREFIX_SHIFT & self.prefix_mask | u64::from(pcid) << PCID_SHIFT
    }

    /// Which of the counts those of `tag` are.
    #[inline(always)]
    const fn count_of(&self, tag: u64) -> usize {
        count_by(self.least_shift, tag)
    }

    /// A way holds `tag` from now on, and no longer `before`; either may be [`INVALID`].
    #[inline(always)]
    fn count(&mut self, before: u64, tag: u64) {
        if before != INVALID {
            self.counts[self.count_of(before)] -= 1;
        }
        if tag != INVALID {
            self.counts[self.count_of(tag)] += 1;
        }
    }

    /// The way of `set` that has `tag`, which is valid.
    #[inline(always)]
    fn find_valid(&self, set: usize, tag: u64) -> Option<usize> {
        if self.counts[self.count_of(tag)] == 0 {
            return None;
        }
        self.find(set, tag)
    }

    /// The way of `set` that has `tag`. In line: who always asks the same cache then always goes the same way.
    #[inline(always)]
    fn find(&self, set: usize, tag: u64) -> Option<usize> {
        let tags = &self.tags[set * self.ways..][..self.ways];
        let matching = matching(tags, |kept| kept == tag);
        (matching != 0).then_some(matching.trailing_zeros() as usize)
    }

    /// The end of contract 8.5, first item. The cache must have entries.
    fn fill(&mut self, set: usize, tag: u64, data: u64) -> ArrayEvent {
        let held_or_free = match self.find(set, tag) {
            None if self.free > 0 => self.find(set, INVALID),
            held => held,
        };
        let way = held_or_free.unwrap_or_else(|| self.policy.victim(set));
        let index = set * self.ways + way;
        let held = self.tags[index] != INVALID;
        self.free -= usize::from(!held);
        let (victim_tag, victim_data) = if held {
            (self.tags[index], self.data[index])
        } else {
            (0, 0)
        };
        self.count(self.tags[index], tag);
        self.tags[index] = tag;
        self.data[index] = data;
        self.policy.fill(set, way, held_or_free.is_none());
        ArrayEvent {
            op: ARRAY_FILL,
            way: way as u8,
            set: set as u16,
            reserved: 0,
            removed: u64::from(held) << way,
            tag,
            data,
            victim_tag,
            victim_data,
        }
    }

    /// Removes the valid entries, in any set, whose tag `covers` names, and reports them: nothing, if nothing was removed. They may be of
    /// several sets, so the report numbers entries, set by set, and names no set.
    fn remove_where(&mut self, covers: impl Fn(u64) -> bool) -> ArrayEvent {
        let mut removed = 0u64;
        for (number, tag) in self.tags.iter_mut().enumerate() {
            if *tag != INVALID && covers(*tag) {
                removed |= 1 << number;
                self.counts[count_by(self.least_shift, *tag)] -= 1;
                *tag = INVALID;
                self.data[number] = 0;
            }
        }
        if removed == 0 {
            return ArrayEvent::default();
        }
        self.free += removed.count_ones() as usize;
        ArrayEvent {
            op: ARRAY_INVALIDATE,
            removed,
            ..ArrayEvent::default()
        }
    }
}

/// The number of the count of `tag`, whose prefix counts from bit `shift` of va on.
#[inline(always)]
const fn count_by(shift: u32, tag: u64) -> usize {
    ((tag & PREFIX) >> (shift - PREFIX_SHIFT)) as usize % COUNTS
}

/// The four caches, by the contract's numbers: 0 = PDE, 1 = PDPTE, 2 = PML4E, 3 = PML5E.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PscCaches([Psc; PSC_LEVELS]);

impl PscCaches {
    /// Empty caches; one without ways neither matches nor holds anything.
    pub fn new(specs: &[PscArraySpec; PSC_LEVELS]) -> Self {
        Self(std::array::from_fn(|cache| Psc::new(cache, specs[cache])))
    }

    /// Empties them and brings back the first replacement state.
    pub fn reset(&mut self) {
        for cache in &mut self.0 {
            cache.tags.fill(INVALID);
            cache.data.fill(0);
            cache.counts.fill(0);
            cache.free = cache.tags.len();
            cache.policy.reset();
        }
    }

    /// The mode has changed: what a PDE translates does not depend on bit 21 of an address in 32-bit paging. The cache of PDEs must be
    /// empty, unless the prefix stays as it was.
    pub fn enter(&mut self, mode: PagingMode) {
        self.0[0].index_by(mode.index_shift(Level::Pd));
    }

    /// The lowest of the first `caches` caches, those of levels that the mode has, that matches; it is touched, and what it holds.
    pub fn look_up(&mut self, va: u64, pcid: u16, caches: usize) -> Option<(usize, TablePointer)> {
        let found = self.find_lowest(va, pcid, caches)?;
        self.touch(&found);
        Some((found.cache, found.pointer))
    }

    /// The same, without touching it.
    #[inline]
    pub fn find_lowest(&self, va: u64, pcid: u16, caches: usize) -> Option<Match> {
        if caches == 0 {
            return None;
        }
        // Nearly all walks begin below the lowest, or the one above it.
        self.find_in(0, va, pcid)
            .or_else(|| self.find_in(1 % caches, va, pcid))
            .or_else(|| self.find_above(va, pcid, caches))
    }

    #[inline(never)]
    fn find_above(&self, va: u64, pcid: u16, caches: usize) -> Option<Match> {
        (2..caches).find_map(|number| self.find_in(number, va, pcid))
    }

    #[inline(always)]
    fn find_in(&self, number: usize, va: u64, pcid: u16) -> Option<Match> {
        let cache = &self.0[number];
        let set = cache.set_of(va);
        let way = cache.find_valid(set, cache.tag(va, pcid))?;
        let data = cache.data[set * cache.ways + way];
        let pointer = TablePointer {
            frame: data & FRAME,
            rights: unpack_rights(data),
        };
        Some(Match {
            cache: number,
            set,
            way,
            pointer,
        })
    }

    /// A hit touches what matched.
    #[inline]
    pub fn touch(&mut self, found: &Match) {
        self.0[found.cache].policy.hit(found.set, found.way);
    }

    /// Whether the cache `number` has entries.
    #[inline]
    pub fn has(&self, number: usize) -> bool {
        !self.0[number].tags.is_empty()
    }

    /// As [`PscCaches::fill`], of a tag that the cache does not have; whether a valid entry was displaced.
    #[inline]
    pub fn fill_absent(
        &mut self,
        number: usize,
        va: u64,
        pcid: u16,
        pointer: TablePointer,
    ) -> bool {
        let cache = &mut self.0[number];
        if cache.tags.is_empty() {
            return false;
        }
        let set = cache.set_of(va);
        let free = if cache.free > 0 {
            cache.find(set, INVALID)
        } else {
            None
        };
        cache.free -= usize::from(free.is_some());
        let way = free.unwrap_or_else(|| cache.policy.victim(set));
        let index = set * cache.ways + way;
        let tag = cache.tag(va, pcid);
        cache.count(cache.tags[index], tag);
        cache.tags[index] = tag;
        cache.data[index] = pointer.frame | pack_rights(pointer.rights);
        cache.policy.fill(set, way, free.is_none());
        free.is_none()
    }

    /// Fills the cache `number` with the entry that leads `va` to a table; nothing, if that cache has no entries.
    pub fn fill(&mut self, number: usize, va: u64, pcid: u16, pointer: TablePointer) -> ArrayEvent {
        let cache = &mut self.0[number];
        if cache.tags.is_empty() {
            return ArrayEvent::default();
        }
        let tag = cache.tag(va, pcid);
        let set = cache.set_of(va);
        cache.fill(set, tag, pointer.frame | pack_rights(pointer.rights))
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
