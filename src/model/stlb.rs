//! The shared second-level TLB: which entry of the miss queue is looked up, and what its result does; fills and removals of all levels.
//!
//! Contract: 7.2 (look-up), 7.3 (result), 7.5 (fill), 8.5 (drop), 9.1 (invalidation of a page). SDM: none of its own. Counterpart: `rtl/stlb.sv`.

use crate::arch::{Invalidation, PageSize};

use super::miss_queue::MissEntry;
use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{ARRAY_NONE, ArrayEvent, LOOKUP_MISS, PSC_LEVELS, TLB_ARRAYS};
use super::monitor::Sink;
use super::places::Places;
use super::port::{LookUp, Request, Response};
use super::spec::{STLB, Spec};
use super::tlb::{Filled, TlbEntry, Wanted, add_removal, page_number};

impl Mmu {
    /// Contract 7.2: of the entries that wait, the next in order is looked up.
    pub(super) fn look_up_stlb(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.busy {
            return;
        }
        let waiting = cycle.entries.stlb_wait;
        self.miss_queue.passed_over = waiting != 0 && cycle.stlb_is_held_up();
        if cycle.stlb_is_held_up() {
            return;
        }
        let Some(number) = self.miss_queue.stlb_order.next_of(waiting) else {
            return;
        };
        self.miss_queue.stlb_order.choose(number);
        let &MissEntry { port, request, .. } = self.miss_queue.entry(number);
        let found = self.look_up_level(STLB, &request);
        let result_from = self.now + self.spec.hit_cycles[STLB];
        self.miss_queue.look_up(number, found, result_from);
        sink.stlb_lookup(usize::from(port), number, found.code);
        self.count_stlb_look_up(&request, &found);
    }

    /// Counts a look-up of a request in the STLB.
    #[inline]
    pub(super) fn count_stlb_look_up(&mut self, request: &Request, found: &LookUp) {
        self.statistics.count_look_up(STLB, found.code, false);
        let kind = request.access.kind as u8;
        self.counters
            .count_stlb(kind, found.code, found.entry.page_size());
    }

    /// Contract 7.3: the result of an entry commits.
    pub(super) fn finish_stlb(&mut self, number: usize, sink: &mut impl Sink) {
        if self.miss_queue.entry(number).found.code >= LOOKUP_MISS {
            self.miss_queue.want_walker(number, self.now);
            return;
        }
        let entry = *self.miss_queue.entry(number);
        let LookUp {
            size, entry: held, ..
        } = entry.found;
        let port = usize::from(entry.port);
        self.respond(port, Response::translated(&entry.request, size, held), sink);
        if entry.right_to_fill {
            let level = Spec::first_level(port);
            self.fill_level(level, &entry.request, size, held, sink);
        }
        self.miss_queue.free(number);
    }

    /// Contract 7.5: fills `level`, if it keeps the page, with `entry`, which is of `size`, of a translation of the address of `request`.
    #[inline]
    pub(super) fn fill_level(
        &mut self,
        level: usize,
        request: &Request,
        size: PageSize,
        entry: TlbEntry,
        sink: &mut impl Sink,
    ) {
        let places = self.places.of(level, request.access.kind);
        let Some(place) = places.of_size(size) else {
            return;
        };
        let entry = entry.piece(request.va, size, place.size);
        let (number, set) = place.of(entry.page());
        if level != STLB {
            self.recent.forget_page(level, request.va);
        }
        let Filled { event, evicted } = self.tlb[number].fill(set, entry);
        if evicted && level == STLB {
            self.evict(TlbEntry {
                tag: event.victim_tag,
                data: event.victim_data,
            });
        }
        sink.tlb(number, &event);
        self.statistics.count_tlb_event(number, &event);
    }

    /// Contract 8.5: a drop of the address of the request in the miss entry `own`.
    pub(super) fn drop_address(&mut self, own: usize, sink: &mut impl Sink) {
        let va = self.miss_queue.entry(own).request.va;
        let pcid = self.control.pcid();
        self.recent.forget();
        let mut events = NO_EVENTS;
        for place in self.places.everywhere().iter().flat_map(Places::all) {
            let page = page_number(va) & place.page_mask;
            let (number, set) = place.of(page);
            let wanted = Wanted::new(page, place.size, pcid);
            let removed = self.tlb[number].drop_page(set, wanted);
            add_removal(&mut events[number], place.size, set, removed);
        }
        self.report_removals(&events, sink);
        for cache in 0..PSC_LEVELS {
            let event = self.psc.drop_address(cache, va, pcid);
            sink.psc(cache, &event);
            self.statistics.count_psc_event(cache, &event);
        }
        self.miss_queue.take_rights(Some(own));
        self.prefetch.end_or_lose_right();
    }

    /// Contract 9.1, kind page: removes what `invalidation`, which is for the page of `va`, covers in the sets in which it would stand.
    pub(super) fn invalidate_page(
        &mut self,
        va: u64,
        invalidation: &Invalidation,
        sink: &mut impl Sink,
    ) {
        let mut events = NO_EVENTS;
        for place in self.places.everywhere().iter().flat_map(Places::all) {
            let (number, set) = place.of(page_number(va) & place.page_mask);
            let removed = self.tlb[number].invalidate_page(set, place.size, invalidation);
            add_removal(&mut events[number], place.size, set, removed);
        }
        self.report_removals(&events, sink);
    }

    /// Reports what entries were removed from the arrays.
    pub(super) fn report_removals(
        &mut self,
        events: &[ArrayEvent; TLB_ARRAYS],
        sink: &mut impl Sink,
    ) {
        for (number, event) in events.iter().enumerate() {
            if event.op != ARRAY_NONE {
                sink.tlb(number, event);
                self.statistics.count_tlb_event(number, event);
            }
        }
    }
}

const NO_EVENT: ArrayEvent = ArrayEvent {
    op: ARRAY_NONE,
    way: 0,
    set: 0,
    reserved: 0,
    removed: 0,
    tag: 0,
    data: 0,
    victim_tag: 0,
    victim_data: 0,
};
/// Nothing happens to any array.
pub(super) const NO_EVENTS: [ArrayEvent; TLB_ARRAYS] = [NO_EVENT; TLB_ARRAYS];
