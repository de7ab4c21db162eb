//! The first levels and their misses in a lean machine: one that keeps nothing but 4 KiB pages, where each stands in a set that is simple to
//! tell, beside a memory that takes the same cycles for each read.
//!
//! Contract: 6, 7.2 to 7.5, 8.2 to 8.5 and 12, of which it is a short cut. Counterpart: none.
//!
//! What the general path (`plain`) does, without what such a machine cannot do: what an array holds is copied as it is kept, nothing is
//! asked twice, and what is counted is counted later (`misses`). Everything is looked at first; where anything is otherwise than usual
//! nothing has happened, and the general path goes.

use super::hit::Found;
use super::misses::{Class, Misses};
use super::plain::NOWHERE;
use crate::arch::{AccessKind, Decoded, Entry, Level, PageSize, PagingMode};
use crate::model::memory::Memory;
use crate::model::mmu::Mmu;
use crate::model::mmu_pkg::PSC_LEVELS;
use crate::model::psc::TablePointer;
use crate::model::spec::STLB;
use crate::model::tlb::{Kept, TlbEntry, Wanted, page_number};
use crate::model::walker::LEVEL_BELOW_CACHE;

/// Where all pages of a level stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model) struct Home {
    /// The array, by the contract's number.
    pub array: usize,
    /// The bits of a page number that are its set.
    set_mask: u64,
}

impl Home {
    #[inline(always)]
    const fn set(self, page: u64) -> usize {
        (page & self.set_mask) as usize
    }
}

/// What of a lean machine stays as it is until a register is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model) struct Lean {
    /// ITLB, DTLB, STLB.
    pub homes: [Home; 3],
    /// How many paging-structure caches the mode has: the number of the level of the root, of those from PT up.
    pub caches: usize,
    /// Cycles from the accept of a walk's read to that of its next.
    pub read_cycles: u64,
    mode: PagingMode,
    pcid: u16,
}

impl Lean {
    /// The level that serves requests of `kind` first.
    #[inline(always)]
    pub const fn level(kind: AccessKind) -> usize {
        match kind {
            AccessKind::Fetch => 0,
            AccessKind::Read | AccessKind::Write => 1,
        }
    }

    #[inline(always)]
    const fn wanted(&self, va: u64) -> Wanted {
        Wanted::new(page_number(va), PageSize::Size4K, self.pcid)
    }
}

impl Mmu {
    /// The machine as a lean one, with `memory`, as long as no register is written; none if it is not.
    pub(in crate::model) fn lean(&self, memory: &Memory) -> Option<Lean> {
        let mode = self.control.mode();
        if !self.is_simple || !matches!(mode, PagingMode::FourLevel | PagingMode::FiveLevel) {
            return None;
        }
        let home = |level, kind| {
            let (array, set_mask) = self.places.of(level, kind).only_4k()?;
            Some(Home { array, set_mask })
        };
        let data = home(1, AccessKind::Read)?;
        if home(1, AccessKind::Write)? != data {
            return None;
        }
        Some(Lean {
            homes: [
                home(0, AccessKind::Fetch)?,
                data,
                home(STLB, AccessKind::Read)?,
            ],
            caches: mode.root()?.array_index(),
            read_cycles: memory.steady_read_cycles()?,
            mode,
            pcid: self.control.pcid(),
        })
    }

    /// As [`Mmu::hit_simply`].
    #[inline(always)]
    pub(in crate::model) fn hit_lean(&mut self, lean: &Lean, va: u64, kind: AccessKind) -> Found {
        let level = Lean::level(kind);
        let home = lean.homes[level];
        if !lean.mode.is_canonical(va) {
            return Found::Otherwise;
        }
        let set = home.set(page_number(va));
        self.hit_in(level, (home.array, set), lean.wanted(va), va, kind)
    }

    /// A translation of `kind` at `va`, in the context entered, which has nothing in its first level ([`Found::Absent`]): whether it is one
    /// that this path serves, and then it is among `misses`; else nothing has happened.
    #[inline(always)]
    pub(in crate::model) fn miss_lean(
        &mut self,
        lean: &Lean,
        va: u64,
        kind: AccessKind,
        memory: &mut Memory,
        misses: &mut Misses,
    ) -> bool {
        let page = page_number(va);
        let level = Lean::level(kind);
        let [first, second] = [lean.homes[level], lean.homes[STLB]];
        let set = second.set(page);
        let array = &mut self.tlb[second.array];
        let (class, kept, allowed) = if let Some(slot) = array.find_here(set, lean.wanted(va)) {
            let kept = array.kept(slot);
            let allowed = self.recent.allowed(kept.data());
            if allowed >> kind as u8 & 1 == 0 || kept.is_global() {
                return false;
            }
            array.hit(slot);
            (Class::Hit(kept.page_size()), kept, allowed)
        } else {
            let Some((reads, kept, allowed)) = self.walk_lean(lean, va, kind, memory) else {
                return false;
            };
            self.fill_lean(second.array, set, kept);
            (Class::Walk(reads), kept, allowed)
        };
        self.fill_lean(first.array, first.set(page), kept);
        if self.hits_as_filled[level] {
            self.recent.put_simple(level, va, kept.entry(), allowed);
        } else {
            self.recent.forget_page(level, va);
        }
        misses.add(kind, class);
        true
    }

    #[inline(always)]
    fn fill_lean(&mut self, number: usize, set: usize, kept: Kept) {
        let displaced = self.tlb[number].fill_kept(set, kept);
        self.statistics.tlb_arrays[number].evictions += u64::from(displaced);
    }

    /// The walk for `va`: the entries that it reads, what arrays keep of the page, and the kinds of access that this allows.
    #[inline(always)]
    fn walk_lean(
        &mut self,
        lean: &Lean,
        va: u64,
        kind: AccessKind,
        memory: &mut Memory,
    ) -> Option<(u8, Kept, u8)> {
        let registers = self.control.registers();
        let rules = self.control.entry_rules();
        let matched = self.psc.find_lowest(va, lean.pcid, lean.caches);
        // Levels from that of the root, or the one below the entry that matched, down to that above PT: by number, as those of the caches.
        let (below, mut path) = match &matched {
            Some(found) => (found.cache, found.pointer),
            None => {
                let frame = registers.root_table().frame_number();
                (lean.caches, TablePointer { frame, ..NOWHERE })
            }
        };
        let mut recorded = [NOWHERE; PSC_LEVELS];
        for number in (1..=below).rev() {
            let level = LEVELS[number];
            let entry = Entry(memory.look(address(path, level, va))?);
            if rules.decode(level, entry) != Decoded::Table || !entry.accessed() {
                return None;
            }
            path = TablePointer {
                frame: entry.table().frame_number(),
                rights: path.rights.through_table(entry),
            };
            recorded[number - 1] = path;
        }
        let leaf = Entry(memory.look_at_leaf(va, address(path, Level::Pt, va))?);
        if !matches!(rules.decode(Level::Pt, leaf), Decoded::Leaf(_)) {
            return None;
        }
        let rights = path.rights.through_leaf(leaf);
        let entry = TlbEntry::of_leaf(va, PageSize::Size4K, leaf, rights, registers);
        let allowed = self.recent.allowed(entry.data);
        let write = matches!(kind, AccessKind::Write);
        if leaf != leaf.after_use_as_leaf(write)
            || allowed >> kind as u8 & 1 == 0
            || entry.is_global()
        {
            return None;
        }
        if let Some(found) = &matched {
            self.psc.touch(found);
        }
        for (cache, pointer) in recorded.into_iter().enumerate().take(below) {
            let displaced = self.psc.fill_absent(cache, va, lean.pcid, pointer);
            let counts = &mut self.statistics.psc_arrays[cache];
            counts.evictions += u64::from(displaced);
            counts.fills += u64::from(self.psc.has(cache));
        }
        Some((below as u8 + 1, Kept::new(entry), allowed))
    }
}

/// The levels by number; of a cache's entries the one below has its number.
const LEVELS: [Level; PSC_LEVELS + 1] = {
    let [pt, pd, pdpt, pml4] = LEVEL_BELOW_CACHE;
    [pt, pd, pdpt, pml4, Level::Pml5]
};

/// Where the entry of `level` for `va` stands in the table at `path`, in a mode with entries of 8 bytes.
#[inline(always)]
const fn address(path: TablePointer, level: Level, va: u64) -> u64 {
    path.frame << 12 | va >> (level.shift() - 3) & 0xff8
}
