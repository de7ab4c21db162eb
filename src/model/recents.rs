//! The pages hit last in the first-level TLBs, so that hitting them again is a comparison and a count.
//!
//! Contract: 6, of which it is a short cut. Counterpart: none; the RTL looks at all ways at once.
//!
//! A page stands here as long as no register and no array in its way has changed since it was hit, and its entry is the most recent of its
//! set: hitting it again changes nothing. For each level there are as many slots as the array of 4 KiB pages has sets, up to a limit, found
//! by the low bits of the page number: two pages of one set then share a slot. Pages of larger arrays have other sets, so that of them one
//! stands here at a time.

use crate::config::ArraySpec;

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
    /// Which array of the level holds the entry.
    array: u8,
    /// Size and memory type of the entry, as in a response.
    page_size: u8,
    memory_type: u8,
}

impl Recent {
    const NONE: Self = Self {
        page: NO_PAGE,
        frame: 0,
        granted: [NO_CONTEXT; 3],
        array: 0,
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
    /// The slot in which a page of a larger array stands, if one does.
    large: usize,
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
            let of_4k_pages = arrays[3 * level];
            let sets = if of_4k_pages.ways > 0 {
                of_4k_pages.sets as usize
            } else {
                1
            };
            Level {
                slots: [Recent::NONE; SLOTS],
                mask: sets.min(SLOTS) - 1,
                large: 0,
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
        let array = found.code - LOOKUP_HIT_4K;
        if array > 0 {
            if level.large != number {
                level.slots[level.large].page = NO_PAGE;
            }
            level.large = number;
        }
        level.some = true;
        let slot = &mut level.slots[number];
        if slot.page != page {
            *slot = Recent {
                page,
                frame: found.entry.physical(request.va, found.size) & !0xfff,
                array,
                page_size: found.size as u8,
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
        Some((LOOKUP_HIT_4K + recent.array, response))
    }
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
