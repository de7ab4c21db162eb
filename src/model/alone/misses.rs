//! Misses of a lean machine that are yet to be counted: all that is counted of one follows from a few things about it.
//!
//! Contract: 10, 12, 13.1. SDM: none. Counterpart: none.
//!
//! Which kind of access it was, whether the STLB answered, with a page of which size, and else how many entries the walk read: from that
//! follow its cycles, and where the walk began. So a miss is an addition to one of a few numbers, and what those come to is counted once for
//! many.

use super::lean::Lean;
use super::{ENTRY, WALKER};
use crate::arch::AccessKind;
use crate::model::mmu::Mmu;
use crate::model::spec::STLB;

/// Codes of page sizes.
const SIZES: usize = 4;
/// Classes of a kind, and room for more, so that a shift finds those of a kind.
const CLASSES: usize = 16;

/// What became of a miss of the first level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model) enum Class {
    /// The STLB had it: the code of the size of the page.
    Hit(u8),
    /// A walk that read so many entries, 1 to 5.
    Walk(u8),
}

impl Class {
    #[inline(always)]
    const fn number(self) -> usize {
        match self {
            Self::Hit(size) => (size & 3) as usize,
            Self::Walk(reads) => SIZES + (reads & 7) as usize,
        }
    }

    /// Entries that were read.
    pub const fn reads(self) -> u64 {
        match self {
            Self::Hit(_) => 0,
            Self::Walk(reads) => reads as u64,
        }
    }

    const fn of_number(number: usize) -> Self {
        if number < SIZES {
            Self::Hit(number as u8)
        } else {
            Self::Walk((number - SIZES) as u8)
        }
    }
}

/// Misses by kind and class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model) struct Misses {
    counts: [[u32; CLASSES]; 3],
    /// The last of them, if there is one.
    last: Option<(AccessKind, Class)>,
}

impl Misses {
    /// No miss.
    pub const NONE: Self = Self {
        counts: [[0; CLASSES]; 3],
        last: None,
    };

    /// One more.
    #[inline(always)]
    pub const fn add(&mut self, kind: AccessKind, class: Class) {
        self.counts[kind as usize][class.number()] += 1;
        self.last = Some((kind, class));
    }

    /// The last of them, if there is one.
    #[inline]
    pub const fn last(&self) -> Option<(AccessKind, Class)> {
        self.last
    }

    /// How many there are of each kind and class, of those of which there are any.
    pub fn counted(&self) -> impl Iterator<Item = (AccessKind, Class, u64)> {
        AccessKind::ALL.into_iter().flat_map(|kind| {
            let of_kind = self.counts[kind as usize].into_iter().enumerate();
            let some = of_kind.filter(|(_, count)| *count > 0);
            some.map(move |(number, count)| (kind, Class::of_number(number), u64::from(count)))
        })
    }
}

impl Lean {
    /// Cycles of the walk of so many reads, from START to DONE, both included.
    const fn walk_cycles(&self, reads: u8) -> u64 {
        // START; for each read its transfer, the wait for the response, EXAMINE; DONE.
        2 + reads as u64 * self.read_cycles
    }
}

impl Mmu {
    /// Cycles from the accept of a miss of `level` to the offer of the next reference.
    pub(in crate::model) fn miss_cycles(&self, lean: &Lean, level: usize, class: Class) -> u64 {
        let to_stlb = self.spec.hit_cycles[level] + self.spec.hit_cycles[STLB] + 3;
        match class {
            Class::Hit(_) => to_stlb,
            Class::Walk(reads) => to_stlb + lean.walk_cycles(reads) + 1,
        }
    }

    /// Counts `count` misses of a class, all but the entries that they displaced, and those of paging-structure caches, which were counted when
    /// it happened.
    pub(in crate::model) fn count_misses(
        &mut self,
        lean: &Lean,
        kind: AccessKind,
        class: Class,
        count: u64,
    ) {
        let level = Lean::level(kind);
        let hit = matches!(class, Class::Hit(_));
        self.statistics.count_misses(level, hit, count);
        self.statistics.tlb_arrays[lean.homes[level].array].fills += count;
        match class {
            Class::Hit(size) => self.counters.count_stlb_hits(kind as u8, size, count),
            Class::Walk(reads) => {
                let cycles = lean.walk_cycles(reads);
                self.statistics.tlb_arrays[lean.homes[STLB].array].fills += count;
                self.statistics
                    .count_plain_walks(count, u64::from(reads), cycles);
                self.counters
                    .count_plain_walks(kind as u8, count, u64::from(reads), cycles);
                let matched = usize::from(reads) - 1;
                let matched = (matched < lean.caches).then_some(matched);
                self.statistics
                    .count_psc_look_ups(matched, lean.caches, count);
            }
        }
    }

    /// What the orders of contract 1.7 remember of misses, of which `last` was the last; `walked`: there was a walk among them.
    pub(in crate::model) fn note_misses(&mut self, last: Class, walked: bool) {
        self.miss_queue.stlb_order.choose(ENTRY);
        if walked {
            self.miss_queue.walk_order.choose(ENTRY);
            self.memory_port.transferred(WALKER);
        }
        self.commit_order.choose(match last {
            Class::Hit(_) => self.spec.walkers,
            Class::Walk(_) => WALKER,
        });
    }
}
