//! How far back a cached translation may reach: the cycle of the last invalidation that covers it.
//!
//! Contract: 8.5 (drop), 9.3 (what each invalidation removes). SDM vol. 3A, 4.10.4.1 (operations that invalidate).
//! Counterpart: none in hardware.
//!
//! # What it guarantees
//! A query returns a cycle H such that anything cached for that page and context, and still alive, was made from entry values that
//! memory held in cycle H or later. H is the greatest such cycle that the recorded operations justify, with three exceptions that
//! err on the wide side: when more than [`PAGE_LIMIT`] single pages are on record, the single pages are forgotten; of each
//! context only the last [`PSC_HISTORY`] operations can be asked for by their time; and what a page fault drops is recorded for its page
//! alone, so a paging-structure-cache entry that wrongly survives it is found when that page is used again, and not by a neighbour below the
//! same entry. (The provenance check finds it in its own cycle.) What a page fault drops of a machine that keeps pages in pieces
//! ([`Horizons::in_pieces`]) is the piece alone: it is then recorded for the 4 KiB around its address, of pages of every size.
//!
//! # Two readings
//! [`Reading::Contract`] is what this machine removes. [`Reading::Manual`] is what any processor must remove; it is less:
//! INVPCID of one address spares paging-structure-cache entries of other addresses, SMEP 0 to 1 spares globals, and so does a page fault.
//! WRMSR EFER that changes NXE removes everything in both, although the manual is silent: entries decoded under the other
//! meaning of bit 63 could not be judged.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::arch::{Invalidation, PageSize, PagingMode, Pcid};

/// Single pages on record before they are forgotten.
pub const PAGE_LIMIT: usize = 1 << 16;
/// Operations of a context whose cycles are kept, for [`PscTimeline`].
pub const PSC_HISTORY: usize = 32;

/// By which reading a machine is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reading {
    /// As the contract has it: an invalidation removes all that this machine removes, and a fault follows from a walk from CR3.
    Contract,
    /// As the manual has it for any processor: an invalidation removes what it must, and a fault may follow from stale entries.
    Manual,
}

/// An operation that removed paging-structure-cache entries.
#[derive(Debug, Clone, Copy, Default)]
struct Removal {
    /// What survived it was made from values of this cycle or later.
    effective: u64,
    /// It was complete then.
    completed: u64,
}

/// What is known of one PCID since the last invalidation of everything.
#[derive(Debug, Clone, Default)]
struct Context {
    /// Its non-global TLB entries were removed.
    tlb: u64,
    /// Its paging-structure-cache entries were removed, in rising order.
    psc: Vec<Removal>,
}

/// The record of invalidations.
#[derive(Debug, Clone)]
pub struct Horizons {
    reading: Reading,
    /// The machine may keep pages in pieces.
    in_pieces: bool,
    /// Everything.
    all: Removal,
    /// Everything but globals, in rising order.
    non_global: Vec<Removal>,
    /// Every global TLB entry.
    globals: u64,
    contexts: HashMap<u16, Context, FixedState>,
    /// Non-global TLB entries of one page of one context, keyed by [`page_key`].
    pages: HashMap<u64, u64, FixedState>,
    /// Global TLB entries of one page, keyed by [`page_key`] with PCID 0.
    global_pages: HashMap<u64, u64, FixedState>,
}

/// One key of page number, size and PCID. Page numbers have at most 45 bits that count, in 57-bit paging.
#[inline]
const fn page_key(va: u64, size: PageSize, pcid: Pcid) -> u64 {
    let number = (va >> size.shift()) & ((1 << 45) - 1);
    number | (size as u64) << 45 | (pcid.raw() as u64) << 47
}

/// The last cycle on record for the page of `size` around `va`, or for the 4 KiB around it.
#[inline]
fn last_of_page(
    record: &HashMap<u64, u64, FixedState>,
    va: u64,
    size: PageSize,
    pcid: Pcid,
) -> u64 {
    let of = |size| record.get(&page_key(va, size, pcid)).copied().unwrap_or(0);
    match size {
        PageSize::Size4K => of(size),
        _ => of(size).max(of(PageSize::Size4K)),
    }
}

/// Appends to a rising list that keeps [`PSC_HISTORY`] elements.
fn push(list: &mut Vec<Removal>, removal: Removal) {
    if list
        .last()
        .is_some_and(|last| last.effective >= removal.effective)
    {
        return;
    }
    if list.len() == PSC_HISTORY {
        list.remove(0);
    }
    list.push(removal);
}

/// How far back what survived may reach: by the last removal of a rising list that `counts`.
fn last_of(list: &[Removal], counts: impl Fn(&Removal) -> bool) -> u64 {
    list.iter()
        .rev()
        .find(|removal| counts(removal))
        .map_or(0, |removal| removal.effective)
}

/// The horizons of one request, as they were when it was accepted: what is invalidated later may still answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// For a non-global TLB entry of the request's page and context, by array of the page size.
    pub non_global: [u64; 3],
    /// For the leaf of a global TLB entry of the page, by array of the page size.
    pub global: [u64; 3],
    /// For a paging-structure-cache entry of the context.
    pub psc: u64,
    /// For anything at all.
    pub everything: u64,
}

/// When paging-structure-cache entries of one PCID were removed, as far as that is still known: where it is not, horizons are 0.
#[derive(Debug, Clone, Copy)]
pub struct PscTimeline<'a> {
    context: &'a [Removal],
    non_global: &'a [Removal],
    all: Removal,
}

impl PscTimeline<'_> {
    /// For an entry that was alive when everything had happened that takes effect until `cycle`.
    pub fn as_of(&self, cycle: u64) -> u64 {
        self.after(|removal| removal.effective <= cycle)
    }

    /// For an entry that was alive in `cycle` or later: only what was complete by then is sure to have removed anything.
    pub fn alive_in(&self, cycle: u64) -> u64 {
        self.after(|removal| removal.completed <= cycle)
    }

    #[inline]
    fn after(&self, counts: impl Fn(&Removal) -> bool) -> u64 {
        let all = if counts(&self.all) {
            self.all.effective
        } else {
            0
        };
        last_of(self.context, &counts)
            .max(last_of(self.non_global, &counts))
            .max(all)
    }
}

impl Horizons {
    /// Nothing recorded: everything may reach back to cycle 0.
    pub fn new(reading: Reading) -> Self {
        Self {
            reading,
            in_pieces: false,
            all: Removal::default(),
            non_global: Vec::new(),
            globals: 0,
            contexts: HashMap::with_hasher(FixedState::default()),
            pages: HashMap::with_hasher(FixedState::default()),
            global_pages: HashMap::with_hasher(FixedState::default()),
        }
    }

    /// The same of a machine that keeps pages in pieces, if `fractures` says so.
    #[must_use]
    pub const fn in_pieces(mut self, fractures: bool) -> Self {
        self.in_pieces = fractures;
        self
    }

    /// `invalidation` is complete since cycle `completed`: what it covers was made from values that memory held in cycle `effective` or
    /// later.
    ///
    /// The cycles of successive calls rise.
    pub fn record(&mut self, invalidation: &Invalidation, effective: u64, completed: u64) {
        let removal = Removal {
            effective,
            completed,
        };
        match *invalidation {
            Invalidation::None => {}
            Invalidation::Page { va, pcid, globals } => {
                let sizes = va.mode().array_page_sizes();
                self.record_page(va.raw(), sizes, pcid, globals, effective);
                // INVLPG drops every paging-structure-cache entry of the context; by the manual, INVPCID those of the address
                // alone, which `record_page` has taken care of.
                if globals || self.reading == Reading::Contract {
                    push(
                        &mut self.contexts.entry(pcid.raw()).or_default().psc,
                        removal,
                    );
                }
            }
            Invalidation::Context { pcid, globals } => {
                let context = self.contexts.entry(pcid.raw()).or_default();
                context.tlb = effective;
                push(&mut context.psc, removal);
                if globals && self.reading == Reading::Contract {
                    self.globals = effective;
                }
            }
            Invalidation::AllNonGlobal => push(&mut self.non_global, removal),
            Invalidation::All => self.record_everything(effective, completed),
        }
    }

    /// A page fault was delivered for `va` of `mode` in context `pcid`, and dropped what it used, in `cycle` or later.
    ///
    /// `cycle` may lie before cycles that were recorded already.
    pub fn record_drop(&mut self, va: u64, mode: PagingMode, pcid: Pcid, cycle: u64) {
        let sizes = mode.array_page_sizes();
        let kept = if self.in_pieces { &sizes[..1] } else { sizes };
        self.record_page(va, kept, pcid, self.reading == Reading::Contract, cycle);
    }

    /// As [`Invalidation::All`], also for the reset of the machine.
    pub fn record_everything(&mut self, effective: u64, completed: u64) {
        self.all = Removal {
            effective,
            completed,
        };
        self.non_global.clear();
        self.contexts.clear();
        self.pages.clear();
        self.global_pages.clear();
    }

    /// Entries of `va`'s pages of these sizes are gone. The smallest is among them, and stands for the pieces of every size around `va`.
    fn record_page(&mut self, va: u64, sizes: &[PageSize], pcid: Pcid, globals: bool, cycle: u64) {
        if self.pages.len() + self.global_pages.len() > PAGE_LIMIT {
            self.pages.clear();
            self.global_pages.clear();
        }
        let set = |map: &mut HashMap<u64, u64, FixedState>, key| {
            let at = map.entry(key).or_insert(cycle);
            *at = cycle.max(*at);
        };
        for &size in sizes {
            set(&mut self.pages, page_key(va, size, pcid));
            if globals {
                set(&mut self.global_pages, page_key(va, size, Pcid::ZERO));
            }
        }
    }

    /// For a non-global TLB entry of the page of `size` around `va`, made under `pcid`: for its leaf and all entries above.
    pub fn non_global(&self, va: u64, size: PageSize, pcid: Pcid) -> u64 {
        let page = last_of_page(&self.pages, va, size, pcid);
        let context = self
            .contexts
            .get(&pcid.raw())
            .map_or(0, |context| context.tlb);
        page.max(context).max(self.everything_but_globals())
    }

    /// For a global TLB entry of the page of `size` around `va`, made under any PCID: for its leaf.
    ///
    /// The entries above may be older, as far as [`PscTimeline::as_of`] of the PCID under which it was made, at that cycle.
    pub fn global(&self, va: u64, size: PageSize) -> u64 {
        let page = last_of_page(&self.global_pages, va, size, Pcid::ZERO);
        page.max(self.globals).max(self.all.effective)
    }

    /// For a paging-structure-cache entry of `pcid`.
    pub fn psc(&self, pcid: Pcid) -> u64 {
        self.psc_timeline(pcid).as_of(u64::MAX)
    }

    /// When paging-structure-cache entries of `pcid` were removed.
    pub fn psc_timeline(&self, pcid: Pcid) -> PscTimeline<'_> {
        let context = self
            .contexts
            .get(&pcid.raw())
            .map_or(&[] as &[Removal], |context| &context.psc);
        PscTimeline {
            context,
            non_global: &self.non_global,
            all: self.all,
        }
    }

    /// Every horizon that matters to a request for `va` in `mode` under `pcid`.
    pub fn snapshot(&self, va: u64, mode: PagingMode, pcid: Pcid) -> Snapshot {
        let context = self.context(pcid);
        let globals = self.globals.max(self.all.effective);
        let mut snapshot = Snapshot {
            non_global: [context; 3],
            global: [globals; 3],
            psc: self.psc(pcid),
            everything: self.all.effective,
        };
        for &size in mode.array_page_sizes() {
            let index = size.array_index();
            snapshot.non_global[index] = context.max(last_of_page(&self.pages, va, size, pcid));
            let global = last_of_page(&self.global_pages, va, size, Pcid::ZERO);
            snapshot.global[index] = globals.max(global);
        }
        // What removed the page's translations removed what is cached of the path to it.
        snapshot.psc = snapshot.psc.max(snapshot.non_global[0]);
        snapshot
    }

    /// For anything non-global of `pcid`, of any page: the least that [`Horizons::non_global`] and [`Horizons::psc`] can return.
    pub fn context(&self, pcid: Pcid) -> u64 {
        let context = self
            .contexts
            .get(&pcid.raw())
            .map_or(0, |context| context.tlb);
        context.max(self.everything_but_globals())
    }

    /// For anything at all.
    #[inline]
    pub const fn everything(&self) -> u64 {
        self.all.effective
    }

    fn everything_but_globals(&self) -> u64 {
        last_of(&self.non_global, |_| true).max(self.all.effective)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{PagingMode, VirtualAddress};

    const VA: u64 = 0x0000_1234_5678_9000;
    const ONE: Pcid = Pcid::new_truncate(1);
    const TWO: Pcid = Pcid::new_truncate(2);

    fn page(va: u64, pcid: Pcid, globals: bool) -> Invalidation {
        Invalidation::Page {
            va: VirtualAddress::new(va, PagingMode::FourLevel),
            pcid,
            globals,
        }
    }

    #[test]
    fn invlpg_covers_the_page_in_its_context_and_globals_and_every_psc_entry_of_the_context() {
        let mut horizons = Horizons::new(Reading::Contract);
        horizons.record(&page(VA, ONE, true), 10, 10 + 3);
        assert_eq!(horizons.non_global(VA, PageSize::Size4K, ONE), 10);
        assert_eq!(horizons.non_global(VA, PageSize::Size4K, TWO), 0);
        assert_eq!(horizons.global(VA, PageSize::Size4K), 10);
        assert_eq!(horizons.psc(ONE), 10);
        assert_eq!(horizons.psc(TWO), 0);
        assert_eq!(horizons.non_global(VA + 0x1000, PageSize::Size4K, ONE), 0);
        assert_eq!(horizons.non_global(VA + 0x1000, PageSize::Size2M, ONE), 10);
    }

    #[test]
    fn invpcid_of_an_address_spares_globals_and_by_the_manual_other_addresses() {
        for (reading, psc) in [(Reading::Contract, 10), (Reading::Manual, 0)] {
            let mut horizons = Horizons::new(reading);
            horizons.record(&page(VA, ONE, false), 10, 10 + 3);
            assert_eq!(horizons.non_global(VA, PageSize::Size1G, ONE), 10);
            assert_eq!(horizons.global(VA, PageSize::Size4K), 0);
            assert_eq!(horizons.psc(ONE), psc);
        }
    }

    #[test]
    fn psc_horizons_can_be_asked_for_an_earlier_cycle() {
        let mut horizons = Horizons::new(Reading::Contract);
        horizons.record(&page(VA, ONE, true), 10, 10 + 3);
        horizons.record(&Invalidation::AllNonGlobal, 20, 20 + 3);
        horizons.record(
            &Invalidation::Context {
                pcid: ONE,
                globals: false,
            },
            30,
            30 + 3,
        );
        assert_eq!(horizons.psc_timeline(ONE).as_of(9), 0);
        assert_eq!(horizons.psc_timeline(ONE).as_of(19), 10);
        assert_eq!(horizons.psc_timeline(TWO).as_of(29), 20);
        assert_eq!(horizons.psc(ONE), 30);
        horizons.record(&Invalidation::All, 40, 40 + 3);
        assert_eq!(horizons.psc_timeline(ONE).as_of(39), 0);
        assert_eq!(horizons.psc_timeline(ONE).as_of(40), 40);
    }

    #[test]
    fn an_operation_may_leave_entries_alive_until_it_is_complete() {
        let mut horizons = Horizons::new(Reading::Contract);
        horizons.record(&page(VA, ONE, true), 10, 13);
        assert_eq!(horizons.psc_timeline(ONE).alive_in(12), 0);
        assert_eq!(horizons.psc_timeline(ONE).alive_in(13), 10);
    }

    #[test]
    fn everything_but_globals_leaves_globals_and_everything_does_not() {
        let mut horizons = Horizons::new(Reading::Contract);
        horizons.record(&Invalidation::AllNonGlobal, 5, 5 + 3);
        assert_eq!(
            (
                horizons.non_global(VA, PageSize::Size4K, ONE),
                horizons.global(VA, PageSize::Size4K)
            ),
            (5, 0)
        );
        horizons.record(&Invalidation::All, 8, 8 + 3);
        assert_eq!(
            (horizons.context(TWO), horizons.global(VA, PageSize::Size4K)),
            (8, 8)
        );
    }

    #[test]
    fn a_drop_covers_globals_by_the_contract_alone() {
        for (reading, global) in [(Reading::Contract, 7), (Reading::Manual, 0)] {
            let mut horizons = Horizons::new(reading);
            horizons.record_drop(VA, PagingMode::FourLevel, ONE, 7);
            assert_eq!(horizons.non_global(VA, PageSize::Size4K, ONE), 7);
            assert_eq!(horizons.global(VA, PageSize::Size4K), global);
        }
    }

    #[test]
    fn a_drop_of_a_machine_that_keeps_pieces_covers_the_piece_around_its_address_alone() {
        for in_pieces in [false, true] {
            let mut horizons = Horizons::new(Reading::Contract).in_pieces(in_pieces);
            horizons.record_drop(VA, PagingMode::FourLevel, ONE, 7);
            let other = if in_pieces { 0 } else { 7 };
            for size in [PageSize::Size2M, PageSize::Size1G] {
                for (va, cycle) in [(VA, 7), (VA ^ 0xfff, 7), (VA ^ 0x1000, other)] {
                    assert_eq!(horizons.non_global(va, size, ONE), cycle, "{size} {va:#x}");
                    assert_eq!(horizons.global(va, size), cycle, "{size} {va:#x}");
                    let snapshot = horizons.snapshot(va, PagingMode::FourLevel, ONE);
                    assert_eq!(snapshot.non_global[size.array_index()], cycle);
                }
            }
            horizons.record(&page(VA, ONE, true), 9, 9);
            assert_eq!(horizons.non_global(VA ^ 0x1000, PageSize::Size2M, ONE), 9);
        }
    }

    #[test]
    fn the_record_of_single_pages_is_bounded_and_forgetting_widens() {
        let mut horizons = Horizons::new(Reading::Contract);
        for index in 0..PAGE_LIMIT as u64 {
            horizons.record_drop(index << 12, PagingMode::FourLevel, ONE, 1 + index);
        }
        assert!(horizons.pages.len() + horizons.global_pages.len() <= PAGE_LIMIT + 6);
        assert_eq!(horizons.non_global(0, PageSize::Size4K, ONE), 0);
    }

    /// Two records a page, three at first: the count passes the limit without being equal to it.
    #[test]
    fn the_record_of_single_pages_is_bounded_whatever_it_begins_with() {
        let mut horizons = Horizons::new(Reading::Contract);
        horizons.record(&page(1 << 46, ONE, false), 1, 1);
        for index in 0..PAGE_LIMIT as u64 {
            horizons.record_drop(index << 12, PagingMode::FourLevel, ONE, 1 + index);
        }
        assert!(horizons.pages.len() + horizons.global_pages.len() <= PAGE_LIMIT + 6);
    }
}
