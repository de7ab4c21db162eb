//! A walk with nothing else in flight, as arithmetic: entries that are as the walk leaves them, read from the tables in memory.
//!
//! Contract: 8.2 to 8.5 and 12. SDM vol. 3A, 4.5 (the walk), 4.10.3.2 (walks from a paging-structure cache). Counterpart: none.
//!
//! Such a walk reads entries that are present, have A set (and D, for a write), no reserved bit and the rights; it begins at what the
//! paging-structure caches have. Nothing is set in memory and nothing faults, so that the state in between is seen by nobody. The entries
//! are looked at first; where one is otherwise, nothing has happened yet, and the walk goes step by step.

use super::{Alone, ENTRY, WALKER};
use crate::arch::rights::denials;
use crate::arch::{Decoded, Entry, Level, PageRights, PageSize, PagingMode, PhysicalAddress};
use crate::model::memory::Memory;
use crate::model::mmu::Mmu;
use crate::model::mmu_pkg::{LOOKUP_MISS, PSC_LEVELS};
use crate::model::monitor::Unseen;
use crate::model::port::{LookUp, Request, Response};
use crate::model::psc::{Match, TablePointer};
use crate::model::spec::STLB;
use crate::model::tlb::TlbEntry;
use crate::model::walker::{End, LEVEL_BELOW_CACHE};

/// What the entries on the way of a walk come to.
struct Way {
    start: Option<Match>,
    /// By number of paging-structure cache, as many as `read` says less one, from the highest down.
    recorded: [TablePointer; PSC_LEVELS],
    /// The numbers of the caches to fill: those below this one.
    below: usize,
    reads: u32,
    size: PageSize,
    entry: TlbEntry,
}

pub(super) const NOWHERE: TablePointer = TablePointer {
    frame: 0,
    rights: PageRights::ALL,
};

impl Mmu {
    /// The walk for `request`, of a port of `level`, whose START is in cycle `start`; none if it is not a plain one, and then nothing has
    /// happened. `absent`: neither the first level nor the STLB has anything of the page.
    #[inline]
    pub(super) fn walk_plainly(
        &mut self,
        level: usize,
        request: &Request,
        memory: &mut Memory,
        start: u64,
        absent: bool,
    ) -> Option<Alone> {
        if !memory.is_uniform() {
            return None;
        }
        let way = self.way(request, memory)?;
        // START; for each read the transfer, the wait for its response, EXAMINE; DONE.
        let done = memory.accept_reads(start + 1, way.reads);
        let end = Some(End::Translated(way.size));
        self.counters.count_end(request.access.kind as u8, end);
        self.counters.count_loads(u64::from(way.reads));
        self.miss_queue.walk_order.choose(ENTRY);
        self.commit_order.choose(WALKER);
        self.memory_port.transferred(WALKER);
        let walks = &mut self.statistics.walks;
        walks.started += 1;
        walks.completed += 1;
        walks.memory_reads += u64::from(way.reads);
        walks.cycles += done - start + 1;
        self.statistics.walk_latency_cycles.add(done - start + 1);
        let caches = self.control.mode().root().map_or(0, Level::array_index);
        let matched = way.start.as_ref().map(|found| found.cache);
        self.statistics.count_psc_look_up(matched, caches);
        if let Some(found) = &way.start {
            self.psc.touch(found);
        }
        self.fill_alone(STLB, request, way.size, way.entry, absent);
        self.fill_alone(level, request, way.size, way.entry, absent);
        let pcid = self.control.pcid();
        for cache in way.below + 1 - way.reads as usize..way.below {
            let pointer = way.recorded[cache];
            if self.psc.fill_absent(cache, request.va, pcid, pointer) {
                self.statistics.psc_arrays[cache].evictions += 1;
            }
            self.statistics.psc_arrays[cache].fills += u64::from(self.psc.has(cache));
        }
        self.trigger_prefetch(request.va, way.size);
        self.back_invalidate(&mut Unseen);
        self.probe_alone(done + 1);
        let response = Response::translated(request, way.size, way.entry);
        Some(Alone {
            memory_reads: way.reads,
            ..Alone::new(response, start, done)
        })
    }

    /// The entries on the way of `request`, if they are all plain. Nothing changes.
    #[inline]
    fn way(&self, request: &Request, memory: &Memory) -> Option<Way> {
        let mode = self.control.mode();
        if mode == PagingMode::TwoLevel {
            return None;
        }
        let root = mode.root()?;
        let registers = self.control.registers();
        let start = self
            .psc
            .find_lowest(request.va, self.control.pcid(), root.array_index());
        let (mut at, mut path) = match &start {
            Some(found) => (LEVEL_BELOW_CACHE[found.cache], found.pointer),
            None => (
                root,
                TablePointer {
                    frame: registers.root_table().frame_number(),
                    ..NOWHERE
                },
            ),
        };
        let below = at.array_index();
        let mut recorded = [NOWHERE; PSC_LEVELS];
        let mut reads = 0;
        loop {
            let table = PhysicalAddress::from_masked(path.frame << 12);
            let address = mode.entry_address(table, at, request.va);
            let entry = Entry(memory.look(address.raw())?);
            reads += 1;
            match self.control.entry_rules().decode(at, entry) {
                Decoded::Table if entry.accessed() => {
                    path = TablePointer {
                        frame: entry.table().frame_number(),
                        rights: path.rights.through_table(entry),
                    };
                    at = at.below()?;
                    recorded[at.array_index()] = path;
                }
                Decoded::Leaf(size) => {
                    let rights = path.rights.through_leaf(entry);
                    let write = request.access.is_write();
                    if entry != entry.after_use_as_leaf(write)
                        || !denials(rights, &request.access, registers).is_empty()
                    {
                        return None;
                    }
                    return Some(Way {
                        start,
                        recorded,
                        below,
                        reads,
                        size,
                        entry: TlbEntry::of_leaf(request.va, size, entry, rights, registers),
                    });
                }
                _ => return None,
            }
        }
    }

    /// As `fill_level`, with nobody to see it. The first level then remembers the page, if hitting it would change nothing. `absent`: a look-up of the page at that level has
    /// just found nothing.
    #[inline]
    pub(super) fn fill_alone(
        &mut self,
        level: usize,
        request: &Request,
        size: PageSize,
        entry: TlbEntry,
        absent: bool,
    ) {
        // A global entry is in conflict with those of any context, which a look-up does not see.
        if !absent || entry.is_global() {
            self.fill_level(level, request, size, entry, &mut Unseen);
            return;
        }
        let places = self.places.of(level, request.access.kind);
        let Some(place) = places.of_size(size) else {
            return;
        };
        let entry = entry.piece(request.va, size, place.size);
        let (number, set) = place.of(entry.page());
        let found = LookUp {
            code: place.hit,
            size: place.size,
            entry,
        };
        let array = &mut self.tlb[number];
        let displaced = array.way_of_absent(set);
        if level == STLB
            && self.spec.inclusive
            && let Some(slot) = displaced
        {
            let left = array.entry(slot);
            self.evict(left);
        }
        self.tlb[number].fill_absent(set, displaced, entry);
        let counts = &mut self.statistics.tlb_arrays[number];
        counts.fills += 1;
        counts.evictions += u64::from(displaced.is_some());
        if level != STLB && found.code < LOOKUP_MISS && self.tlb[number].hits_as_filled() {
            self.remember_filled(level, request, &found);
        }
    }
}
