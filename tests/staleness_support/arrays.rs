//! TLB arrays and paging-structure caches of the test machine.
//!
//! Contract: 1.6, 4, 7.3, 8.5, 9.3. SDM: none. Counterpart: none; independent of the shadow arrays that it exercises.

use twinwalk::arch::Invalidation;
use twinwalk::model::mmu_pkg::{ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent};

use super::places::SHIFTS;

/// Bits of the page number in a TLB tag.
pub const PAGE_MASK: u64 = (1 << 45) - 1;

/// The page number of `va` as the tags of pages of the size of that code have it.
pub fn page(va: u64, size: usize) -> u64 {
    (va >> 12 & PAGE_MASK) >> (SHIFTS[size] - 12) << (SHIFTS[size] - 12)
}

/// What one way holds, and its rank.
#[derive(Clone, Copy, Default)]
pub struct Way {
    pub valid: bool,
    pub tag: u64,
    pub data: u64,
    pub rank: usize,
}

impl Way {
    pub fn global(&self) -> bool {
        self.tag >> 57 & 1 != 0
    }

    pub fn tlb_pcid(&self) -> u64 {
        self.tag >> 45 & 0xfff
    }

    pub fn kept(&self) -> usize {
        (self.tag >> 58 & 3) as usize
    }

    /// The size of the page in the tables.
    pub fn size(&self) -> usize {
        (self.tag >> 60 & 3) as usize
    }

    /// Whether it is the page of that kept size around `va`.
    pub fn holds(&self, kept: usize, va: u64) -> bool {
        self.kept() == kept && self.tag & PAGE_MASK == page(va, kept)
    }

    pub fn psc_pcid(&self) -> u64 {
        self.tag >> 36 & 0xfff
    }
}

/// Sets of ways.
#[derive(Clone)]
pub struct Array {
    pub sets: usize,
    pub ways: usize,
    /// A fill takes an invalid way rather than the one that it must replace.
    pub beside: bool,
    cells: Vec<Way>,
}

impl Array {
    pub fn new(sets: usize, ways: usize) -> Self {
        let way = |index: usize| Way {
            rank: index % ways.max(1),
            ..Way::default()
        };
        Self {
            sets,
            ways,
            beside: false,
            cells: (0..sets * ways).map(way).collect(),
        }
    }

    /// Makes a valid way of `set` but `spared` invalid, and says which.
    pub fn remove_another(&mut self, set: usize, spared: usize) -> Option<usize> {
        let ways = self.set_mut(set);
        let other = (0..ways.len()).find(|way| *way != spared && ways[*way].valid)?;
        ways[other].valid = false;
        Some(other)
    }

    pub fn set(&self, set: usize) -> &[Way] {
        &self.cells[set * self.ways..(set + 1) * self.ways]
    }

    fn set_mut(&mut self, set: usize) -> &mut [Way] {
        &mut self.cells[set * self.ways..(set + 1) * self.ways]
    }

    /// The lowest way of `set` that holds the page of the kept size around `va` for `pcid`.
    pub fn find(&self, set: usize, kept: usize, va: u64, pcid: u64) -> Option<usize> {
        let hit = |way: &Way| {
            way.valid && way.holds(kept, va) && (way.global() || way.tlb_pcid() == pcid)
        };
        self.set(set).iter().position(hit)
    }

    pub fn touch(&mut self, set: usize, way: usize) {
        let rank = self.set(set)[way].rank;
        for other in self
            .set_mut(set)
            .iter_mut()
            .filter(|other| other.rank < rank)
        {
            other.rank += 1;
        }
        self.set_mut(set)[way].rank = 0;
    }

    /// Makes every way of `set` invalid of which `goes` says so, as a row of a sweep.
    pub fn remove(&mut self, set: usize, goes: impl Fn(&Way) -> bool, event: &mut ArrayEvent) {
        let removed = self.take(set, goes);
        if removed != 0 {
            event.op = ARRAY_INVALIDATE;
            event.set = set as u16;
            event.removed = removed;
        }
    }

    /// The same of the entries of one kept size, as of one page: each size has its own place in the event.
    pub fn remove_kept(
        &mut self,
        (set, kept): (usize, usize),
        goes: impl Fn(&Way) -> bool,
        event: &mut ArrayEvent,
    ) {
        let removed = self.take(set, |way| way.kept() == kept && goes(way));
        if removed == 0 {
            return;
        }
        event.op = ARRAY_INVALIDATE;
        match kept {
            0 => (event.set, event.removed) = (set as u16, removed),
            1 => (event.victim_tag, event.tag) = (set as u64, removed),
            _ => (event.victim_data, event.data) = (set as u64, removed),
        }
    }

    fn take(&mut self, set: usize, goes: impl Fn(&Way) -> bool) -> u64 {
        let mut removed = 0;
        for (index, way) in self.set_mut(set).iter_mut().enumerate() {
            if way.valid && goes(way) {
                way.valid = false;
                removed |= 1 << index;
            }
        }
        removed
    }

    /// Fills `set`; `conflicts` tells which ways may not stay. `in_place`: a conflict is replaced alone.
    pub fn fill(
        &mut self,
        set: usize,
        tag: u64,
        data: u64,
        conflicts: impl Fn(&Way) -> bool,
        event: &mut ArrayEvent,
    ) {
        if self.ways == 0 {
            return;
        }
        let ways = self.set(set);
        let conflict: Vec<usize> = (0..self.ways)
            .filter(|way| ways[*way].valid && conflicts(&ways[*way]))
            .collect();
        let invalid = ways.iter().position(|way| !way.valid);
        let oldest = ways.iter().position(|way| way.rank + 1 == self.ways);
        let lowest = conflict.first().copied();
        let fitting = if self.beside {
            invalid.or(lowest)
        } else {
            lowest.or(invalid)
        };
        let target = fitting.or(oldest).expect("ranks are a permutation");
        let victim = ways[target];
        let mut removed = u64::from(victim.valid) << target;
        for way in conflict {
            removed |= 1 << way;
            self.set_mut(set)[way].valid = false;
        }
        let rank = victim.rank;
        self.set_mut(set)[target] = Way {
            valid: true,
            tag,
            data,
            rank,
        };
        self.touch(set, target);
        *event = ArrayEvent {
            op: ARRAY_FILL,
            way: target as u8,
            set: set as u16,
            removed,
            tag,
            data,
            victim_tag: if victim.valid { victim.tag } else { 0 },
            victim_data: if victim.valid { victim.data } else { 0 },
            ..ArrayEvent::default()
        };
    }
}

/// Whether `invalidation` removes a TLB entry, written down anew from contract 9.3.
pub fn tlb_goes(invalidation: &Invalidation, way: &Way) -> bool {
    match *invalidation {
        Invalidation::None => false,
        Invalidation::Page { va, pcid, globals } => {
            let shift = SHIFTS[way.size()] - 12;
            let same = (way.tag & PAGE_MASK) >> shift == (va.raw() >> 12 & PAGE_MASK) >> shift;
            same && if way.global() {
                globals
            } else {
                way.tlb_pcid() == u64::from(pcid.raw())
            }
        }
        Invalidation::Context { pcid, globals } => {
            if way.global() {
                globals
            } else {
                way.tlb_pcid() == u64::from(pcid.raw())
            }
        }
        Invalidation::AllNonGlobal => !way.global(),
        Invalidation::All => true,
    }
}

/// Whether it removes a paging-structure-cache entry.
pub fn psc_goes(invalidation: &Invalidation, way: &Way) -> bool {
    match *invalidation {
        Invalidation::None => false,
        Invalidation::Page { pcid, .. } | Invalidation::Context { pcid, .. } => {
            way.psc_pcid() == u64::from(pcid.raw())
        }
        Invalidation::AllNonGlobal | Invalidation::All => true,
    }
}
