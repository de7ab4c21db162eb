//! The pages hit last in the first-level TLBs, so that hitting them again is a comparison and a count.
//!
//! Contract: 6, of which it is a short cut. Counterpart: none; the RTL looks at all ways at once.
//!
//! A page stands here as long as no register and no array in its way has changed since it was hit, and its entry was the last of its set
//! to be touched: hitting it again changes nothing. Whatever the replacement, that holds of what was hit; of what was filled it holds but
//! under SRRIP, where the first hit behind a fill changes the set, so that there a fill brings no page here. For each level there are as many slots, found by the low bits
//! of the page number, as keep two 4 KiB pages of one set in one slot. Pages of larger kept sizes stand in other arrays, so that of them
//! one stands here at a time. Where an array holds them beside 4 KiB pages, or reads and writes have other sets, there is one slot in all.

use crate::arch::entry::bit;
use crate::arch::rights::denials;
use crate::arch::{Access, AccessKind, PageSize, Registers};
use crate::config::{ARRAYS_OF_A_LEVEL, ArraySpec, Serves};

use super::mmu_pkg::{LOOKUP_HIT_4K, STATUS_TRANSLATED, TLB_ARRAYS};
use super::port::{LookUp, Request, Response};
use super::tlb::{TlbEntry, rights_number, rights_of_number};

/// Most slots of a level.
const SLOTS: usize = 16;
/// A page that cannot be: va\[63:12\] has 52 bits.
const NO_PAGE: u64 = u64::MAX;
/// A context that cannot be: bits 31:4 of one are 0.
const NO_CONTEXT: u64 = u64::MAX;

/// How far a data word is shifted, and where the memory type then begins: its bits 50:48, above which there is nothing.
const WORD_SHIFT: u32 = 12;
const MEMORY_TYPE_SHIFT: u32 = 48 + WORD_SHIFT;

/// How many hits of one kind [`Tally`] has room for.
pub(super) const TALLY_LIMIT: u32 = (1 << TALLY_BITS) - 1;
const TALLY_BITS: u32 = 10;

/// Hits of the two first levels by kept size, in one word, so that counting one is an addition: 10 bits for each, of which the number is
/// 3 x level + kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally(u64);

impl Tally {
    /// No hit.
    pub const NEVER: Self = Self(u64::MAX);

    /// One hit of an entry of that kept size, by its number.
    pub const fn one(level: usize, kept: u8) -> Self {
        Self(1 << (TALLY_BITS * (3 * level as u32 + kept as u32)))
    }

    /// Counts what `other` counts.
    #[inline(always)]
    pub const fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    /// Hits of `level`, by number of the kept size.
    #[inline]
    pub fn of(self, level: usize) -> [u64; 3] {
        std::array::from_fn(|kept| {
            self.0 >> (TALLY_BITS * (3 * level + kept) as u32) & u64::from(TALLY_LIMIT)
        })
    }
}

/// A 4 KiB page, or a part of that size of a larger one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Recent {
    /// By kind of access va\[63:12\], if the entry allowed it in the context, as requests are taken: in 32-bit paging bits 63:32 of va are
    /// 0. A request that comes with others is not known here, and asks the arrays.
    pages: [u64; 3],
    /// The data word of the 4 KiB, shifted so that pa\[51:12\] stands in place, and the memory type at the upper end, where nothing is above it.
    /// What other bits hold has no meaning.
    word: u64,
    /// A hit.
    one: Tally,
    /// The code of a hit of the entry's kept size, less that of 4 KiB.
    kept: u8,
    /// The size of the entry's page, as in a response.
    page_size: u8,
}

impl Recent {
    const NONE: Self = Self {
        pages: [NO_PAGE; 3],
        word: 0,
        one: Tally(0),
        kept: 0,
        page_size: 0,
    };
}

/// The pages of one level.
#[derive(Clone, Debug)]
struct Level {
    /// Slots in use, less one.
    mask: u64,
    /// The slot in which a page of a larger kept size stands, if one does.
    large: usize,
    /// An entry may serve reads and not writes, or writes and not reads: what stands here stands here for one kind alone.
    split: bool,
    /// Some slot has a page.
    some: bool,
}

/// The pages hit last in ITLB and DTLB. No state of the machine: two machines may differ in it and be equal.
#[derive(Clone, Debug)]
pub(super) struct Recents {
    /// The context in which all of them were hit.
    context: u64,
    /// By number of an entry's rights, the kinds of access that they allow in the context, a bit each.
    grants: [u8; 8],
    levels: [Level; 2],
    /// Those of the ITLB, then those of the DTLB.
    slots: [Recent; 2 * SLOTS],
}

impl PartialEq for Recents {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Recents {
    /// None, for a machine with these arrays.
    pub fn new(arrays: &[ArraySpec; TLB_ARRAYS]) -> Self {
        let levels = [0, 1].map(|level| {
            let own = &arrays[ARRAYS_OF_A_LEVEL * level..][..ARRAYS_OF_A_LEVEL];
            let split = own.iter().any(|array| array.serves != Serves::All);
            Level {
                mask: if split { 0 } else { slots(own) as u64 - 1 },
                large: SLOTS * level,
                split,
                some: false,
            }
        });
        Self {
            context: NO_CONTEXT,
            grants: [0; 8],
            levels,
            slots: [Recent::NONE; 2 * SLOTS],
        }
    }

    /// Whether some entry may serve reads and not writes, or writes and not reads.
    pub fn is_split(&self) -> bool {
        self.levels.iter().any(|level| level.split)
    }

    /// The slot of the page of `va` at `level`.
    #[inline(always)]
    const fn slot(&self, level: usize, va: u64) -> usize {
        let within = (va >> 12 & self.levels[level & 1].mask) as usize;
        (SLOTS * (level & 1)) | (within & (SLOTS - 1))
    }

    /// Arrays of several levels, or registers, change, or any page may be touched.
    #[inline]
    pub fn forget(&mut self) {
        for level in 0..self.levels.len() {
            if self.levels[level].some {
                self.forget_level(level);
            }
        }
    }

    fn forget_level(&mut self, level: usize) {
        for slot in &mut self.slots[SLOTS * level..][..SLOTS] {
            slot.pages = [NO_PAGE; 3];
        }
        self.levels[level].some = false;
    }

    /// The entry that a request of `va` leads to at `level` may be filled or touched.
    #[inline]
    pub fn forget_page(&mut self, level: usize, va: u64) {
        let slot = self.slot(level, va);
        self.slots[slot].pages = [NO_PAGE; 3];
        self.slots[self.levels[level].large].pages = [NO_PAGE; 3];
    }

    /// Pages that are hit from now on are hit by requests that differ from this one in address and kind at most.
    #[inline]
    pub fn enter(&mut self, access: &Access, registers: &Registers) {
        if self.is_in(access) {
            return;
        }
        self.forget();
        self.context = context(access);
        self.grants = [0; 8];
        if registers.protection_keys() {
            // There a page's key decides, too.
            return;
        }
        for (number, grants) in self.grants.iter_mut().enumerate() {
            for kind in AccessKind::ALL {
                let denied = denials(
                    rights_of_number(number),
                    &Access { kind, ..*access },
                    registers,
                );
                *grants |= u8::from(denied.is_empty()) << kind as u8;
            }
        }
    }

    /// Whether pages are hit in the context of `access`.
    #[inline]
    pub fn is_in(&self, access: &Access) -> bool {
        self.context == context(access)
    }

    /// Registers were written: nothing that was known holds any more.
    pub fn leave(&mut self) {
        self.forget();
        self.context = NO_CONTEXT;
    }

    /// The kinds of access that an entry with this data word answers in the context, a bit each; none, if that is not known.
    #[inline(always)]
    pub const fn allowed(&self, data: u64) -> u8 {
        let (number, dirty) = rights_number(data);
        let writes = 1 << AccessKind::Write as u8;
        self.grants[number] & if dirty { !0 } else { !writes }
    }

    /// An entry of the kept size of 4 KiB, of the page of `va`, was touched last of its set at `level`: what a hit of it counts.
    #[inline(always)]
    pub fn put_simple(&mut self, level: usize, va: u64, entry: TlbEntry, allowed: u8) -> Tally {
        let number = self.slot(level, va);
        let own = &mut self.levels[level & 1];
        own.some = true;
        let page = va >> 12;
        // Of a level that is split the entry serves one kind; the other is to ask for itself.
        let allowed = if own.split { 0 } else { allowed };
        let of = |kind: AccessKind| {
            if allowed >> kind as u8 & 1 != 0 {
                page
            } else {
                NO_PAGE
            }
        };
        let one = Tally::one(level & 1, 0);
        // Field by field: a copy of the whole would have to wait for its parts.
        let slot = &mut self.slots[number];
        slot.pages[0] = of(AccessKind::Read);
        slot.pages[1] = of(AccessKind::Write);
        slot.pages[2] = of(AccessKind::Fetch);
        slot.word = entry.data << WORD_SHIFT;
        slot.one = one;
        slot.kept = 0;
        slot.page_size = entry.page_size();
        one
    }

    /// `found`, of a code 1 to 3, was hit or filled at `level` by `request`, and is the most recent of its set, or is to be before anything
    /// else there is looked up. The context of `request` must have been entered. `may_write`: a write of the same context would hit, too.
    #[inline]
    pub fn remember(&mut self, level: usize, request: &Request, found: &LookUp, may_write: bool) {
        let number = self.slot(level, request.va);
        let page = request.va >> 12;
        let kept = found.code - LOOKUP_HIT_4K;
        let own = &mut self.levels[level];
        if kept > 0 {
            if own.large != number {
                self.slots[own.large].pages = [NO_PAGE; 3];
            }
            own.large = number;
        }
        own.some = true;
        let slot = &mut self.slots[number];
        if own.split || !slot.pages.contains(&page) {
            *slot = Recent {
                pages: [NO_PAGE; 3],
                word: found.entry.data << WORD_SHIFT
                    | found.entry.physical(request.va, found.size) & bit::ADDRESS,
                one: Tally::one(level, kept),
                kept,
                page_size: found.entry.page_size(),
            };
        }
        slot.pages[request.access.kind as usize] = page;
        if !own.split {
            if may_write {
                slot.pages[AccessKind::Write as usize] = page;
            } else if matches!(request.access.kind, AccessKind::Write) {
                // Who may write may read (contract 11).
                slot.pages[AccessKind::Read as usize] = page;
            }
        }
    }

    /// The code of contract 6 and the response of a request to a page that stands here.
    #[inline(always)]
    pub fn hit(&self, level: usize, request: &Request) -> Option<(u8, Response)> {
        let recent = &self.slots[self.slot(level, request.va)];
        let kind = request.access.kind as usize;
        if request.va >> 12 != recent.pages[kind] || self.context != context(&request.access) {
            return None;
        }
        let response = Response {
            id: request.id,
            status: STATUS_TRANSLATED,
            page_size: recent.page_size,
            memory_type: (recent.word >> MEMORY_TYPE_SHIFT) as u8,
            error_code: 0,
            pa: recent.word & bit::ADDRESS | request.va & 0xfff,
            va: 0,
        };
        Some((LOOKUP_HIT_4K + recent.kept, response))
    }

    /// Whether the page of a request stands here.
    #[inline(always)]
    pub fn knows(&self, level: usize, request: &Request) -> bool {
        self.context == context(&request.access)
            && self.tally(level, request.va, request.access.kind).is_some()
    }

    /// A hit of a request to the page of `va`, in the context, if that page stands here.
    #[inline(always)]
    pub fn tally(&self, level: usize, va: u64, kind: AccessKind) -> Option<Tally> {
        let recent = &self.slots[self.slot(level, va)];
        (recent.pages[kind as usize] == va >> 12).then_some(recent.one)
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
const fn context(access: &Access) -> u64 {
    (access.pkru as u64) << 32
        | (access.implicit_supervisor as u64) << 3
        | (access.ac as u64) << 2
        | access.cpl as u64 & 3
}
