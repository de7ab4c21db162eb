//! A miss of the first level, in a machine that keeps nothing but 4 KiB pages, where each stands in a set that is simple to tell.
//!
//! Contract: 7.2 to 7.5, 8.2 to 8.5 and 12, of which it is a short cut. Counterpart: none.
//!
//! What the general path (`plain`) does, without what such a machine cannot do: what an array holds is copied as it is kept, and nothing is
//! asked twice. Everything is looked at first; where anything is otherwise than usual nothing has happened, and the general path goes.

use crate::arch::{AccessKind, Decoded, Entry, Level, PageSize, PagingMode, PhysicalAddress};
use crate::model::memory::Memory;
use crate::model::mmu::Mmu;
use crate::model::mmu_pkg::{LOOKUP_HIT_4K, LOOKUP_MISS, PSC_LEVELS};
use crate::model::psc::TablePointer;
use crate::model::spec::STLB;
use crate::model::tlb::{Kept, TlbEntry, Wanted, page_number};
use crate::model::walker::{End, LEVEL_BELOW_CACHE};

use super::plain::NOWHERE;
use super::{ENTRY, WALKER};

impl Mmu {
    /// A translation of `kind` at `va`, in the context entered, that is accepted in cycle `from`, and that nothing in the one array of `level` matches: the cycles from its accept
    /// to the offer of the next, if it is one that this path serves; else nothing has happened.
    #[inline]
    pub(in crate::model) fn miss_simply(
        &mut self,
        level: usize,
        va: u64,
        kind: AccessKind,
        memory: &mut Memory,
        from: u64,
    ) -> Option<u64> {
        let page = page_number(va);
        let (first, first_set) = self.places.of(level, kind).only_4k(page)?;
        let (second, second_set) = self.places.of(STLB, kind).only_4k(page)?;
        let mode = self.control.mode();
        if mode == PagingMode::TwoLevel || !mode.is_canonical(va) || self.spec.inclusive {
            return None;
        }
        let wanted = Wanted::new(page, PageSize::Size4K, self.control.pcid());
        if self.tlb[first].find(first_set, wanted).is_some() {
            return None;
        }
        let [hit_cycles, stlb_cycles] = [self.spec.hit_cycles[level], self.spec.hit_cycles[STLB]];
        if let Some(slot) = self.tlb[second].find(second_set, wanted) {
            let kept = self.tlb[second].kept(slot);
            let allowed = self.recent.allowed(kept.data());
            if allowed >> kind as u8 & 1 == 0 || kept.is_global() {
                return None;
            }
            self.tlb[second].hit(slot);
            self.count_simply(level, LOOKUP_HIT_4K);
            let page_size = kept.entry().page_size();
            self.counters
                .count_stlb(kind as u8, LOOKUP_HIT_4K, page_size);
            self.fill_simply(first, first_set, kept);
            self.remember_simply(level, va, first, kept, allowed);
            return Some(hit_cycles + stlb_cycles + 3);
        }
        let to_start = hit_cycles + stlb_cycles + 3;
        let (walk_cycles, kept, allowed) = self.walk_simply(va, kind, memory, from + to_start)?;
        self.count_simply(level, LOOKUP_MISS);
        self.fill_simply(second, second_set, kept);
        self.fill_simply(first, first_set, kept);
        self.remember_simply(level, va, first, kept, allowed);
        Some(to_start + walk_cycles + 1)
    }

    /// `kept`, of the array `first`, was filled at `level`.
    #[inline(always)]
    fn remember_simply(&mut self, level: usize, va: u64, first: usize, kept: Kept, allowed: u8) {
        if self.tlb[first].hits_as_filled() {
            self.recent.put_simple(level, va, kept.entry(), allowed);
        } else {
            self.recent.forget_page(level, va);
        }
    }

    /// Counts a request that missed in the first level, and came to `code` in the STLB.
    #[inline(always)]
    fn count_simply(&mut self, level: usize, code: u8) {
        self.statistics.count_only_miss();
        self.statistics.count_look_up(level, LOOKUP_MISS, false);
        self.statistics.count_look_up(STLB, code, false);
        self.statistics.requests += 1;
        self.statistics.responses.translated += 1;
        self.miss_queue.stlb_order.choose(ENTRY);
        self.commit_order.choose(if code == LOOKUP_MISS {
            WALKER
        } else {
            self.spec.walkers
        });
    }

    #[inline(always)]
    fn fill_simply(&mut self, number: usize, set: usize, kept: Kept) {
        let array = &mut self.tlb[number];
        let displaced = array.way_of_absent(set);
        array.fill_kept(set, displaced, kept);
        let counts = &mut self.statistics.tlb_arrays[number];
        counts.fills += 1;
        counts.evictions += u64::from(displaced.is_some());
    }

    /// The walk, with START in cycle `start`: the cycles to DONE, with both, what arrays keep of the page, and the kinds of access that this
    /// allows.
    #[inline(always)]
    fn walk_simply(
        &mut self,
        va: u64,
        kind: AccessKind,
        memory: &mut Memory,
        start: u64,
    ) -> Option<(u64, Kept, u8)> {
        if !memory.is_uniform() {
            return None;
        }
        let mode = self.control.mode();
        let root = mode.root()?;
        let registers = self.control.registers();
        let pcid = self.control.pcid();
        let matched = self.psc.find_lowest(va, pcid, root.array_index());
        let (mut at, mut path) = match &matched {
            Some(found) => (LEVEL_BELOW_CACHE[found.cache], found.pointer),
            None => {
                let frame = registers.root_table().frame_number();
                (root, TablePointer { frame, ..NOWHERE })
            }
        };
        let below = at.array_index();
        let mut recorded = [NOWHERE; PSC_LEVELS];
        while at != Level::Pt {
            let table = PhysicalAddress::from_masked(path.frame << 12);
            let entry = Entry(memory.look(mode.entry_address(table, at, va).raw())?);
            if self.control.entry_rules().decode(at, entry) != Decoded::Table || !entry.accessed() {
                return None;
            }
            path = TablePointer {
                frame: entry.table().frame_number(),
                rights: path.rights.through_table(entry),
            };
            at = at.below()?;
            recorded[at.array_index()] = path;
        }
        let table = PhysicalAddress::from_masked(path.frame << 12);
        let leaf = Entry(memory.look_at_leaf(va, mode.entry_address(table, at, va).raw())?);
        let Decoded::Leaf(size) = self.control.entry_rules().decode(at, leaf) else {
            return None;
        };
        let rights = path.rights.through_leaf(leaf);
        let entry = TlbEntry::of_leaf(va, size, leaf, rights, registers);
        let allowed = self.recent.allowed(entry.data);
        let write = matches!(kind, AccessKind::Write);
        if leaf != leaf.after_use_as_leaf(write)
            || allowed >> kind as u8 & 1 == 0
            || entry.is_global()
        {
            return None;
        }
        let reads = below as u32 + 1;
        let walk_cycles = memory.accept_reads(start + 1, reads) + 1 - start;
        self.miss_queue.walk_order.choose(ENTRY);
        self.memory_port.transferred(WALKER);
        let walks = &mut self.statistics.walks;
        walks.started += 1;
        walks.completed += 1;
        walks.memory_reads += u64::from(reads);
        walks.cycles += walk_cycles;
        self.statistics.walk_latency_cycles.add(walk_cycles);
        let kind = kind as u8;
        self.counters.count_taken(kind);
        self.counters.count_walking(kind, 1, walk_cycles);
        self.counters
            .count_end(kind, Some(End::Translated(PageSize::Size4K)));
        self.counters.count_loads(u64::from(reads));
        let cache = matched.as_ref().map(|found| found.cache);
        self.statistics.count_psc_look_up(cache, root.array_index());
        if let Some(found) = &matched {
            self.psc.touch(found);
        }
        for (cache, pointer) in recorded.into_iter().enumerate().take(below) {
            let displaced = self.psc.fill_absent(cache, va, pcid, pointer);
            let counts = &mut self.statistics.psc_arrays[cache];
            counts.evictions += u64::from(displaced);
            counts.fills += u64::from(self.psc.has(cache));
        }
        Some((walk_cycles, Kept::new(entry), allowed))
    }
}
