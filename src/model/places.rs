//! Where a page stands at each level: kept size, array and set.
//!
//! Contract: 2.1. SDM vol. 3A, 4.10.2.2 (a page may be kept in several entries). Counterpart: the choice of array and set in `rtl/`.
//!
//! What depends on the parameters and the mode alone is drawn up when the mode changes: for each level, for reads and writes of the DTLB
//! apart, the kept sizes, smallest first, each with its arrays.

use crate::arch::{AccessKind, PageSize, PagingMode};
use crate::config::{ARRAYS_OF_A_LEVEL, ArraySpec, Serves};

use super::mmu_pkg::{LOOKUP_HIT_4K, TLB_ARRAYS};
use super::tlb::{inner_bits, page_mask};

/// The remainder by a number that is not known before the machine is: 1 to 4096.
///
/// Exact for dividends below 2^52, by two multiplications: with c the next integer from 2^64 / d up, n mod d is the integer part of
/// d (c n mod 2^64) / 2^64, if n d stays below 2^64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Modulo {
    divisor: u64,
    /// 2^64 / d, rounded up; 0 where `divisor` is a power of two.
    inverse: u64,
}

impl Modulo {
    /// The remainder by `divisor`.
    pub const fn new(divisor: u32) -> Self {
        let divisor = divisor as u64;
        let inverse = if divisor.is_power_of_two() {
            0
        } else {
            u64::MAX / divisor + 1
        };
        Self { divisor, inverse }
    }

    /// Whether the remainder is the low bits of the dividend.
    #[inline]
    pub const fn is_mask(self) -> bool {
        self.inverse == 0
    }

    /// `dividend`, below 2^52, mod the divisor.
    #[inline]
    pub const fn of(self, dividend: u64) -> usize {
        if self.is_mask() {
            return (dividend & (self.divisor - 1)) as usize;
        }
        let fraction = self.inverse.wrapping_mul(dividend);
        ((fraction as u128 * self.divisor as u128) >> 64) as usize
    }
}

/// Where the pages of one kept size stand at a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The kept size, and the code of a hit of it.
    pub size: PageSize,
    pub hit: u8,
    /// The bits of a page number that count.
    pub page_mask: u64,
    inner_bits: u32,
    /// There is one array, and a page number's low bits, those of the mask, are its set.
    simple: bool,
    set_mask: u64,
    /// The arrays, by the contract's numbers, and how many of them there are.
    arrays: [u8; ARRAYS_OF_A_LEVEL],
    count: u8,
    sets: [Modulo; ARRAYS_OF_A_LEVEL],
}

impl Place {
    /// The array, by the contract's number, and the set, of the page whose number, va\[56:12\], is `page`.
    #[inline]
    pub fn of(&self, page: u64) -> (usize, usize) {
        if self.simple {
            let set = page >> self.inner_bits & self.set_mask;
            return (usize::from(self.arrays[0]), set as usize);
        }
        self.of_many(page)
    }

    /// The same, if there is one array, in which a page's set is simple to tell.
    #[inline(always)]
    pub const fn if_simple(&self, page: u64) -> Option<(usize, usize)> {
        if !self.simple {
            return None;
        }
        let set = page >> self.inner_bits & self.set_mask;
        Some((self.arrays[0] as usize, set as usize))
    }

    /// Out of line and to one side, so that the ordinary machine pays for nothing of it.
    #[cold]
    #[inline(never)]
    fn of_many(&self, page: u64) -> (usize, usize) {
        let v = page >> self.inner_bits;
        let (number, rest) = match self.count {
            1 => (0, v),
            2 => (v & 1, v >> 1),
            3 => (v % 3, v / 3),
            _ => (v & 3, v >> 2),
        };
        let number = number as usize;
        (usize::from(self.arrays[number]), self.sets[number].of(rest))
    }
}

/// Where pages stand at one level, for requests of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Places {
    /// One for each size that is kept, smallest first; the first `len` of them.
    places: [Place; 3],
    len: usize,
    /// By number of the page's size: how many of `places` are not greater than it.
    not_greater: [u8; 3],
}

impl Places {
    /// Of arrays of one level, of which the first has the contract's number `first`, those that serve `kind`.
    fn new(first: usize, arrays: &[ArraySpec], kind: Serves, mode: PagingMode) -> Self {
        const NOWHERE: Place = Place {
            size: PageSize::Size4K,
            hit: 0,
            page_mask: 0,
            inner_bits: 0,
            simple: false,
            set_mask: 0,
            arrays: [0; ARRAYS_OF_A_LEVEL],
            count: 0,
            sets: [Modulo::new(1); ARRAYS_OF_A_LEVEL],
        };
        let mut all = Self {
            places: [NOWHERE; 3],
            len: 0,
            not_greater: [0; 3],
        };
        let occurring = if mode == PagingMode::TwoLevel { 2 } else { 3 };
        for (index, size) in mode.array_page_sizes().iter().enumerate().take(occurring) {
            let mut place = Place {
                size: *size,
                hit: LOOKUP_HIT_4K + index as u8,
                page_mask: page_mask(*size),
                inner_bits: inner_bits(*size),
                ..NOWHERE
            };
            for (number, array) in arrays.iter().enumerate() {
                if array.serves as u8 & kind as u8 != 0 && array.holds(*size) {
                    let at = usize::from(place.count);
                    place.arrays[at] = (first + number) as u8;
                    place.sets[at] = Modulo::new(array.sets);
                    place.count += 1;
                }
            }
            if place.count > 0 {
                place.simple = place.count == 1 && place.sets[0].is_mask();
                place.set_mask = place.sets[0].divisor - 1;
                all.places[all.len] = place;
                all.len += 1;
            }
            all.not_greater[index] = all.len as u8;
        }
        all
    }

    /// The kept sizes, smallest first.
    #[inline]
    pub fn all(&self) -> &[Place] {
        &self.places[..self.len]
    }

    /// The array, and the bits of a page number that are its set, where pages of no other size than 4 KiB are kept, in one array.
    pub fn only_4k(&self) -> Option<(usize, u64)> {
        let [place] = self.all() else { return None };
        let fits = place.simple && place.size == PageSize::Size4K;
        fits.then_some((usize::from(place.arrays[0]), place.set_mask))
    }

    /// Where pages of the smallest kept size stand, if any are kept.
    #[inline(always)]
    pub fn smallest(&self) -> Option<&Place> {
        self.all().first()
    }

    /// Where a page of `size`, or of what is left of it in pieces of `size`, is kept; none if it is not.
    #[inline]
    pub fn of_size(&self, size: PageSize) -> Option<&Place> {
        let not_greater = usize::from(self.not_greater[size.array_index()]);
        self.places[..not_greater.min(self.len)].last()
    }

    /// Where pages of the kept size `size` stand, if there are any.
    #[inline]
    pub fn of_kept_size(&self, size: PageSize) -> Option<&Place> {
        self.of_size(size).filter(|place| place.size == size)
    }
}

/// Where pages stand at every level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AllPlaces {
    /// ITLB, DTLB for reads, STLB, DTLB for writes.
    levels: [Places; 4],
    /// How many of them differ in what sets they have a page in: the last is left out where it is as that of reads.
    distinct: usize,
}

/// The number of the DTLB among the levels, and of its writes among [`AllPlaces`].
const DTLB: usize = 1;
const DTLB_WRITES: usize = 3;

impl AllPlaces {
    /// Of a machine with these arrays in `mode`.
    pub fn new(arrays: &[ArraySpec; TLB_ARRAYS], mode: PagingMode) -> Self {
        let of = |level: usize, kind| {
            let first = ARRAYS_OF_A_LEVEL * level;
            let own = &arrays[first..first + ARRAYS_OF_A_LEVEL];
            Places::new(first, own, kind, mode)
        };
        let levels = [
            of(0, Serves::All),
            of(DTLB, Serves::Reads),
            of(2, Serves::All),
            of(DTLB, Serves::Writes),
        ];
        let distinct = if levels[DTLB] == levels[DTLB_WRITES] {
            DTLB_WRITES
        } else {
            levels.len()
        };
        Self { levels, distinct }
    }

    /// Where the pages of requests of `kind` stand at `level`.
    #[inline]
    pub fn of(&self, level: usize, kind: AccessKind) -> &Places {
        let number = if level == DTLB && matches!(kind, AccessKind::Write) {
            DTLB_WRITES
        } else {
            level
        };
        &self.levels[number & DTLB_WRITES]
    }

    /// Where pages stand, at every level and for every kind of request.
    pub fn everywhere(&self) -> &[Places] {
        &self.levels[..self.distinct]
    }

    /// The same for the levels before the STLB.
    pub fn in_first_levels(&self) -> impl Iterator<Item = &Places> {
        let levels = self.everywhere().iter().enumerate();
        levels.filter_map(|(number, places)| (number != super::spec::STLB).then_some(places))
    }
}
