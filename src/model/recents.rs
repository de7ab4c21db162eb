//! The pages hit last in the first-level TLBs, so that hitting them again is a comparison and a count.
//!
//! Contract: 6, of which it is a short cut. Counterpart: none; the RTL looks at all ways at once.
//!
//! A page stands here as long as no register and no array in its way has changed since it was hit, and its entry was the last of its set
//! to be touched, by a hit: hitting it again changes nothing, whatever the replacement. (A fill brings no page here: under SRRIP the first hit
//! behind one changes the set.) For each level there are as many slots, found by the low bits
//! of the page number, as keep two 4 KiB pages of one set in one slot. Pages of larger kept sizes stand in other arrays, so that of them
//! one stands here at a time. Where an array holds them beside 4 KiB pages, or reads and writes have other sets, there is one slot in all.

use crate::arch::PageSize;
use crate::config::{ARRAYS_OF_A_LEVEL, ArraySpec, Serves};

use super::mmu_pkg::{LOOKUP_HIT_4K, STATUS_TRANSLATED, TLB_ARRAYS};
use super::port::{LookUp, Request, Response};

/// Most slots of a level.
const SLOTS: usize = 16;
/// A page that cannot be: va\[63:12\] has 52 bits.
const NO_PAGE: u64 = u64::MAX;
/// A context that cannot be: bits 31:4 of one are 0.
const NO_CONTEXT: u64 = u64::MAX;

/// A 4 KiB page, or a part of that size of a larger one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Recent {
    /// va\[63:12\], as requests are taken: in 32-bit paging bits 63:32 of va are 0. A request that comes with others is not known here, and
    /// asks the arrays.
    page: u64,
    /// pa\[51:12\], in place.
    frame: u64,
    /// By kind of access: the context that the entry allowed.
    granted: [u64; 3],
    /// The code of a hit of the entry's kept size, less that of 4 KiB.
    kept: u8,
    /// Size and memory type of the entry, as in a response.
    page_size: u8,
    memory_type: u8,
}

impl Recent {
    const NONE: Self = Self {
        page: NO_PAGE,
        frame: 0,
        granted: [NO_CONTEXT; 3],
        kept: 0,
        page_size: 0,
        memory_type: 0,
    };
}

/// The pages of one level.
#[derive(Clone, Debug)]
struct Level {
    slots: [Recent; SLOTS],
    /// Slots in use, less one.
    mask: usize,
    /// The slot in which a page of a larger kept size stands, if one does.
    large: usize,
    /// An entry may serve reads and not writes, or writes and not reads: what stands here stands here for one kind alone.
    split: bool,
    /// Some slot has a page.
    some: bool,
}

impl Level {
    #[inline]
    const fn slot(&self, request: &Request) -> usize {
        (request.va >> 12) as usize & self.mask & (SLOTS - 1)
    }

    fn forget(&mut self) {
        for slot in &mut self.slots {
            slot.page = NO_PAGE;
        }
        self.some = false;
    }
}

/// The pages hit last in ITLB and DTLB. No state of the machine: two machines may differ in it and be equal.
#[derive(Clone, Debug)]
pub(super) struct Recents([Level; 2]);

impl PartialEq for Recents {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Recents {
    /// None, for a machine with these arrays.
    pub fn new(arrays: &[ArraySpec; TLB_ARRAYS]) -> Self {
        Self([0, 1].map(|level| {
            let own = &arrays[ARRAYS_OF_A_LEVEL * level..][..ARRAYS_OF_A_LEVEL];
            let split = own.iter().any(|array| array.serves != Serves::All);
            Level {
                slots: [Recent::NONE; SLOTS],
                mask: if split { 0 } else { slots(own) - 1 },
                large: 0,
                split,
                some: false,
            }
        }))
    }

    /// Arrays of several levels, or registers, change, or any page may be touched.
    #[inline]
    pub fn forget(&mut self) {
        for level in &mut self.0 {
            if level.some {
                level.forget();
            }
        }
    }

    /// The entry that `request` leads to at `level` may be filled or touched.
    #[inline]
    pub fn forget_page(&mut self, level: usize, request: &Request) {
        let level = &mut self.0[level];
        let slot = level.slot(request);
        level.slots[slot].page = NO_PAGE;
        level.slots[level.large].page = NO_PAGE;
    }

    /// `found`, of a code 1 to 3, was hit at `level`, and is the most recent of its set, or is to be before anything else there is looked up.
    #[inline]
    pub fn remember(&mut self, level: usize, request: &Request, found: &LookUp) {
        let level = &mut self.0[level];
        let number = level.slot(request);
        let page = request.va >> 12;
        let kept = found.code - LOOKUP_HIT_4K;
        if kept > 0 {
            if level.large != number {
                level.slots[level.large].page = NO_PAGE;
            }
            level.large = number;
        }
        level.some = true;
        let split = level.split;
        let slot = &mut level.slots[number];
        if slot.page != page || split {
            *slot = Recent {
                page,
                frame: found.entry.physical(request.va, found.size) & !0xfff,
                kept,
                page_size: found.entry.page_size(),
                memory_type: found.entry.memory_type(),
                granted: [NO_CONTEXT; 3],
            };
        }
        slot.granted[request.access.kind as usize] = context(request);
    }

    /// The code of contract 6 and the response of a request to a page that stands here.
    #[inline(always)]
    pub fn hit(&self, level: usize, request: &Request) -> Option<(u8, Response)> {
        let level = &self.0[level];
        let recent = &level.slots[level.slot(request)];
        let kind = request.access.kind as usize;
        if request.va >> 12 != recent.page || recent.granted[kind] != context(request) {
            return None;
        }
        let response = Response {
            id: request.id,
            status: STATUS_TRANSLATED,
            page_size: recent.page_size,
            memory_type: recent.memory_type,
            error_code: 0,
            pa: recent.frame | request.va & 0xfff,
            va: 0,
        };
        Some((LOOKUP_HIT_4K + recent.kept, response))
    }
}

/// As many slots for the pages of a level with these arrays as keep two 4 KiB pages of one set in one slot.
fn slots(arrays: &[ArraySpec]) -> usize {
    let of_4k_pages = || arrays.iter().filter(|array| array.holds(PageSize::Size4K));
    if of_4k_pages().any(|array| array.sizes.count_ones() > 1) {
        return 1;
    }
    // Two pages share a set of one of m arrays if their numbers are equal modulo m times its sets.
    let count = of_4k_pages().count();
    let shared = of_4k_pages().map(|array| count * array.sets as usize);
    let powers = shared.map(|sets| 1 << sets.trailing_zeros());
    powers.min().unwrap_or(1).min(SLOTS)
}

/// All of a request, besides address and kind, that bears on its rights.
#[inline]
const fn context(request: &Request) -> u64 {
    let access = &request.access;
    (access.pkru as u64) << 32
        | (access.implicit_supervisor as u64) << 3
        | (access.ac as u64) << 2
        | access.cpl as u64 & 3
}
