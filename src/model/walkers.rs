//! The walkers together, and what START and DONE of one do to the rest of the machine.
//!
//! Contract: 8.1 (granting), 8.2 (START), 8.3, 8.5 (DONE), 8.6 (prefetch). SDM vol. 3A, 4.10.3.2 (walks from a paging-structure cache).
//! Counterpart: `rtl/walkers.sv`; what commits, `rtl/commit.sv`.

use crate::arch::{Level, PageSize};

use super::miss_queue::{MissEntry, MissState, numbers};
use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{
    MAX_WALKERS, MemoryIn, PREFETCH_ENTRY, WALK_BUS_ERROR, WALK_PAGE_FAULT, WALK_RESTART,
    WALK_START, WALK_STOPPED, WALK_TRANSLATED, WalkEvent,
};
use super::monitor::Sink;
use super::port::Response;
use super::prefetch::Prefetch;
use super::spec::{STLB, Spec};
use super::tlb::TlbEntry;
use super::walker::{End, WalkState, Walker};

impl Mmu {
    /// The entry of the miss queue that a walker has; none if it has the prefetch. The walker must not be idle.
    #[inline]
    pub(super) fn walk_entry(&self, walker: usize) -> Option<&MissEntry> {
        let walker = &self.walkers[walker];
        (!walker.has_prefetch()).then(|| self.miss_queue.entry(walker.owner()))
    }

    /// Contract 8.1 and 8.6: who waits gets a walker, if this cycle grants one.
    pub(super) fn grant_walker(&mut self, cycle: &Cycle) {
        let Some((walker, owner)) = cycle.grant else {
            return;
        };
        if owner == usize::from(PREFETCH_ENTRY) {
            let va = self.prefetch.request().va;
            self.walkers[walker].take(owner, va);
            self.walk_prefetch();
            return;
        }
        let request = &self.miss_queue.entry(owner).request;
        let va = request.va;
        self.counters.count_taken(request.access.kind as u8);
        self.miss_queue.move_to(owner, MissState::Walking);
        self.miss_queue.walk_order.choose(owner);
        self.walkers[walker].take(owner, va);
    }

    /// Contract 8.3 and 8.4: the walkers in READ to CAS_WAIT, and the memory port.
    pub(super) fn step_walkers(&mut self, cycle: &Cycle, memory: &MemoryIn) {
        let waiting = cycle.walkers.of(WalkState::ReadWait) | cycle.walkers.of(WalkState::CasWait);
        let answered = usize::from(memory.resp_id);
        if memory.resp_valid != 0 && answered < MAX_WALKERS && waiting >> answered & 1 != 0 {
            self.walk_answered(answered, memory.resp_data, memory.resp_error != 0);
        }
        for number in numbers(cycle.walkers.of(WalkState::Examine)) {
            self.examine(number, cycle.prefetch.right_to_fill());
        }
        match cycle.shown {
            Some(walker) if memory.req_ready != 0 => self.walk_requested(walker),
            shown => self.memory_port.hold(shown),
        }
    }

    /// The request of a walker is transferred.
    #[inline]
    pub(super) fn walk_requested(&mut self, walker: usize) {
        let compare_and_set = self.walkers[walker].state() == WalkState::Cas;
        self.statistics.count_memory_request(compare_and_set);
        if !compare_and_set {
            self.counters.count_load();
        }
        self.walkers[walker].requested();
        self.memory_port.transferred(walker);
    }

    /// The response to a read or a compare-and-set.
    #[inline]
    pub(super) fn walk_answered(&mut self, walker: usize, data: u64, error: bool) {
        if self.walkers[walker].answered(data, error) {
            self.statistics.walks.races_lost += 1;
        }
    }

    /// EXAMINE performs; `prefetch_right`: the right to fill that the prefetch has in this cycle.
    #[inline]
    pub(super) fn examine(&mut self, walker: usize, prefetch_right: bool) {
        let (registers, rules) = (self.control.registers(), self.control.entry_rules());
        let walker = &mut self.walkers[walker];
        if walker.has_prefetch() {
            walker.examine_prefetch(prefetch_right, rules);
            return;
        }
        let owner = walker.owner();
        let request = &self.miss_queue.entry(owner).request;
        if walker.examine(request, registers, rules) {
            self.miss_queue.set_from_cr3(owner);
        }
    }

    /// START performs, in cycle `now` (contract 8.2).
    #[inline]
    pub(super) fn start_walk(&mut self, walker: usize, now: u64, sink: &mut impl Sink) {
        // Cache 0 is that of PDEs, and there is none of PTEs: one cache for each level below the root.
        let caches = self.control.mode().root().map_or(0, Level::array_index);
        let Walker {
            owner,
            va,
            restarts,
            ..
        } = self.walkers[walker];
        let (port, from_cr3) = self
            .walk_entry(walker)
            .map_or((0, false), |entry| (entry.port, entry.from_cr3));
        let stopped = owner == PREFETCH_ENTRY && !self.prefetch.right_to_fill();
        let mut start = None;
        if from_cr3 {
            self.drop_address(usize::from(owner), sink);
        } else if !stopped {
            start = self.psc.look_up(va, self.control.pcid(), caches);
            let matched = start.map(|(number, _)| number);
            self.statistics.count_psc_look_up(matched, caches);
        }
        let event = WalkEvent {
            op: if restarts { WALK_RESTART } else { WALK_START },
            port,
            entry: owner,
            psc_level: start.map_or(0, |(number, _)| number as u8 + 2),
            filled: 0,
        };
        sink.walk(walker, event);
        self.statistics.count_walk(walker, &event, now);
        if stopped {
            self.walkers[walker].stop();
        } else {
            self.walkers[walker].begin(start, self.control.registers());
        }
    }

    /// DONE performs, in cycle `now` (contract 8.5): the port and its response, which the caller hands over. None for a prefetch.
    #[inline]
    pub(super) fn end_walk(
        &mut self,
        walker: usize,
        now: u64,
        sink: &mut impl Sink,
    ) -> Option<(usize, Response)> {
        let owner = self.walkers[walker].owner();
        let Some(&MissEntry {
            port,
            request,
            right_to_fill,
            ..
        }) = self.walk_entry(walker)
        else {
            self.end_prefetch(walker, now, sink);
            return None;
        };
        let mut event = WalkEvent {
            op: WALK_TRANSLATED,
            port,
            entry: owner as u8,
            ..WalkEvent::ZERO
        };
        let end = self.walkers[walker].end();
        self.counters.count_end(request.access.kind as u8, end);
        let response = match end {
            Some(End::Translated(size)) => {
                let entry = self.translation(walker, size);
                if right_to_fill {
                    event.filled = 1;
                    let level = Spec::first_level(usize::from(port));
                    self.fill_level(STLB, &request, size, entry, sink);
                    self.fill_level(level, &request, size, entry, sink);
                    self.fill_caches(walker, sink);
                    self.trigger_prefetch(request.va, size);
                }
                Response::translated(&request, size, entry)
            }
            Some(End::PageFault(code)) => {
                event.op = WALK_PAGE_FAULT;
                self.drop_address(owner, sink);
                Response::page_fault(&request, code)
            }
            Some(End::BusError | End::Stopped) | None => {
                event.op = WALK_BUS_ERROR;
                Response::bus_error(&request)
            }
        };
        sink.walk(walker, event);
        self.statistics.count_walk(walker, &event, now);
        self.miss_queue.free(owner);
        self.walkers[walker] = Walker::IDLE;
        Some((usize::from(port), response))
    }

    /// DONE of a prefetch performs (contract 8.6).
    fn end_prefetch(&mut self, walker: usize, now: u64, sink: &mut impl Sink) {
        let mut event = WalkEvent {
            op: WALK_STOPPED,
            entry: PREFETCH_ENTRY,
            ..WalkEvent::ZERO
        };
        if let Some(End::Translated(size)) = self.walkers[walker].end() {
            event.op = WALK_TRANSLATED;
            if self.prefetch.right_to_fill() {
                event.filled = 1;
                let entry = self.translation(walker, size);
                let request = self.prefetch.request();
                self.fill_level(STLB, &request, size, entry, sink);
                self.fill_caches(walker, sink);
            }
        }
        sink.walk(walker, event);
        self.statistics.count_walk(walker, &event, now);
        self.prefetch = Prefetch::FREE;
        self.walkers[walker] = Walker::IDLE;
    }

    /// The entry that a walk which found a page of `size` makes.
    #[inline]
    fn translation(&self, walker: usize, size: PageSize) -> TlbEntry {
        let walker = &self.walkers[walker];
        let (leaf, rights) = (walker.entry, walker.path.rights);
        TlbEntry::of_leaf(walker.va, size, leaf, rights, self.control.registers())
    }

    /// The paging-structure caches of the levels that were read are filled.
    #[inline]
    fn fill_caches(&mut self, walker: usize, sink: &mut impl Sink) {
        let pcid = self.control.pcid();
        let Walker { va, recorded, .. } = self.walkers[walker];
        for (cache, pointer) in recorded.into_iter().enumerate() {
            if let Some(pointer) = pointer {
                let event = self.psc.fill(cache, va, pcid, pointer);
                sink.psc(cache, &event);
                self.statistics.count_psc_event(cache, &event);
            }
        }
    }
}
