//! Sets of 4 KiB pages: what a trace touches, and which tables that takes.
//!
//! Contract: none. SDM: none. Counterpart: none.

use foldhash::fast::FixedState;
use std::collections::HashMap;

use super::error::TraceError;
use super::open::TraceReader;
use crate::arch::PageSize;

/// Pages of 4 KiB in a region of 2 MiB.
const PAGES: u64 = 512;
/// Words of 64 pages in a region of 2 MiB.
const WORDS: usize = 8;

/// A set of 4 KiB pages of the linear address space.
///
/// Kept as one bit a page in regions of 2 MiB: dense sets cost a quarter of a byte a page, the sparsest about 80 bytes.
#[derive(Debug, Clone, Default)]
pub struct PageSet {
    regions: HashMap<u64, [u64; WORDS], FixedState>,
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
        let words = self.regions.entry(page / PAGES).or_insert([0; WORDS]);
        let word = &mut words[(page % PAGES / 64) as usize];
        let bit = 1 << (page % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.pages += u64::from(new);
        new
    }

    /// Whether the page of `address` is in the set.
    pub fn contains(&self, address: u64) -> bool {
        let page = address >> PageSize::Size4K.shift();
        self.regions
            .get(&(page / PAGES))
            .is_some_and(|words| words[(page % PAGES / 64) as usize] >> (page % 64) & 1 == 1)
    }

    /// Number of distinct pages of `size` that have a page of the set in them.
    pub fn count(&self, size: PageSize) -> u64 {
        match size {
            PageSize::Size4K => self.pages,
            PageSize::Size2M => self.regions.len() as u64,
            PageSize::Size4M | PageSize::Size1G => {
                let regions_log2 = size.shift() - PageSize::Size2M.shift();
                let mut numbers: Vec<u64> = self
                    .regions
                    .keys()
                    .map(|region| region >> regions_log2)
                    .collect();
                numbers.sort_unstable();
                numbers.dedup();
                numbers.len() as u64
            }
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// The regions of 2 MiB that have a page of the set, by number (address / 2 MiB) in ascending order.
    pub fn regions(&self) -> Vec<Region> {
        let mut regions: Vec<Region> = self
            .regions
            .iter()
            .map(|(&number, &words)| Region { number, words })
            .collect();
        regions.sort_unstable_by_key(|region| region.number);
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
