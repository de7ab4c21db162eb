//! Sets of 4 KiB pages: what a trace touches, and which tables that takes.
//!
//! Contract: none. SDM: none. Counterpart: none.

use foldhash::fast::FixedState;
use std::collections::HashMap;

use super::error::TraceError;
use super::open::TraceReader;
use crate::arch::PageSize;

/// Pages of a word.
const WORD_PAGES: u64 = 64;
/// Words of 64 pages in a region of 2 MiB.
const WORDS: usize = 8;

/// A set of 4 KiB pages of the linear address space.
///
/// Kept as one bit a page in words of 64 pages: dense sets cost half a byte a page, the sparsest about 34 bytes.
#[derive(Debug, Clone, Default)]
pub struct PageSet {
    /// Bits of 64 pages by page number / 64.
    words: HashMap<u64, u64, FixedState>,
    pages: u64,
}

impl PageSet {
    /// A set without pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the page of `address` in. Says whether it was not there before.
    #[inline]
    pub fn insert(&mut self, address: u64) -> bool {
        let page = address >> PageSize::Size4K.shift();
        let word = self.words.entry(page / WORD_PAGES).or_insert(0);
        let bit = 1 << (page % WORD_PAGES);
        let new = *word & bit == 0;
        *word |= bit;
        self.pages += u64::from(new);
        new
    }

    /// Whether the page of `address` is in the set.
    pub fn contains(&self, address: u64) -> bool {
        let page = address >> PageSize::Size4K.shift();
        self.words
            .get(&(page / WORD_PAGES))
            .is_some_and(|word| word >> (page % WORD_PAGES) & 1 == 1)
    }

    /// Number of distinct pages of `size` that have a page of the set in them.
    pub fn count(&self, size: PageSize) -> u64 {
        if size == PageSize::Size4K {
            return self.pages;
        }
        let word_shift = PageSize::Size4K.shift() + WORD_PAGES.ilog2();
        let words_log2 = size.shift() - word_shift;
        let numbers = self.words.keys().map(|word| word >> words_log2);
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len() as u64
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The regions of 2 MiB that have a page of the set, by number (address / 2 MiB) in ascending order.
    pub fn regions(&self) -> Vec<Region> {
        let words = self.words.iter();
        let mut words: Vec<(u64, u64)> = words.map(|(&number, &word)| (number, word)).collect();
        words.sort_unstable();
        let mut regions: Vec<Region> = Vec::new();
        for (word, bits) in words {
            let number = word / WORDS as u64;
            if regions.last().is_none_or(|last| last.number != number) {
                regions.push(Region {
                    number,
                    words: [0; WORDS],
                });
            }
            if let Some(region) = regions.last_mut() {
                region.words[(word % WORDS as u64) as usize] = bits;
            }
        }
        regions
    }
}

impl Extend<u64> for PageSet {
    /// Puts the pages of the addresses in.
    fn extend<T: IntoIterator<Item = u64>>(&mut self, addresses: T) {
        for address in addresses {
            self.insert(address);
        }
    }
}

impl FromIterator<u64> for PageSet {
    /// The pages of the addresses.
    fn from_iter<T: IntoIterator<Item = u64>>(addresses: T) -> Self {
        let mut set = Self::new();
        set.extend(addresses);
        set
    }
}

/// The pages that a trace touches, read to its end. Memory grows with the number of distinct pages, not with the length.
///
/// # Errors
/// What is wrong with the trace.
pub fn touched(reader: &mut dyn TraceReader) -> Result<PageSet, TraceError> {
    let mut pages = PageSet::new();
    let mut batch = Vec::new();
    loop {
        reader.read_batch(&mut batch)?;
        if batch.is_empty() {
            return Ok(pages);
        }
        for &reference in &batch {
            let (first, second) = reference.split();
            for part in [Some(first), second].into_iter().flatten() {
                pages.insert(part.address());
            }
        }
    }
}

/// The pages of a [`PageSet`] in one region of 2 MiB: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its number: address / 2 MiB.
    pub number: u64,
    words: [u64; WORDS],
}

impl Region {
    /// Its first address.
    pub const fn address(&self) -> u64 {
        self.number << PageSize::Size2M.shift()
    }

    /// The pages of it in the set, by position in the region: 0 to 511, ascending.
    pub fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        let words = self.words;
        (0..WORDS).flat_map(move |index| {
            let mut word = words[index];
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                (word != 0).then(|| {
                    word &= word - 1;
                    index as u64 * 64 + u64::from(bit)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_set_has_no_page_of_any_size() {
        assert!(PageSet::new().is_empty());
        assert!(
            PageSize::ARRAYS
                .iter()
                .all(|&size| PageSet::new().count(size) == 0)
        );
    }

    proptest! {
        #[test]
        fn a_page_set_is_the_set_of_page_numbers(
            addresses in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..1 << 24, 0u64..1 << 34], 0..200),
        ) {
            let set: PageSet = addresses.iter().copied().collect();
            let expected: BTreeSet<u64> = addresses.iter().map(|address| address >> 12).collect();
            let listed: Vec<u64> = set
                .regions()
                .iter()
                .flat_map(|region| region.pages().map(|page| region.number * 512 + page))
                .collect();
            prop_assert_eq!(listed, expected.iter().copied().collect::<Vec<_>>());
            for size in PageSize::ARRAYS {
                let numbers: BTreeSet<u64> = addresses.iter().map(|address| address >> size.shift()).collect();
                prop_assert_eq!(set.count(size), numbers.len() as u64);
            }
            prop_assert!(addresses.iter().all(|&address| set.contains(address)));
            prop_assert!(!set.contains(!0) || expected.contains(&(!0 >> 12)));
        }
    }
}
