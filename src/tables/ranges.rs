//! Sets of linear addresses: what a process has mapped.
//!
//! Contract: none. SDM: none. Counterpart: none.

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::units::parse_number;
use crate::arch::PageSize;
use crate::trace::PageSet;

/// Addresses from `first` to `last`, both included: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AddressRange {
    #[serde(serialize_with = "hexadecimal", rename = "first_address")]
    first: u64,
    #[serde(serialize_with = "hexadecimal", rename = "last_address")]
    last: u64,
}

fn hexadecimal<S: Serializer>(address: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{address:#x}"))
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("character {character}: {problem}")]
pub struct RangeError {
    /// The place in the text, counted in characters from 1.
    pub character: usize,
    /// What is wrong there.
    pub problem: String,
}

impl AddressRange {
    /// The `size_bytes` from `first` on; `None` if they are none, or go beyond the last address, 2^64 - 1.
    pub const fn new(first: u64, size_bytes: u64) -> Option<Self> {
        if size_bytes == 0 {
            return None;
        }
        match first.checked_add(size_bytes - 1) {
            Some(last) => Some(Self { first, last }),
            None => None,
        }
    }

    /// Its first address.
    pub const fn first(self) -> u64 {
        self.first
    }

    /// Its last address.
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Reads `START+SIZE`, numbers as [`parse_number`] reads them.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let Some((start, size)) = text.split_once('+') else {
            return Err(RangeError {
                character: text.chars().count() + 1,
                problem: "a + and a size are missing".to_owned(),
            });
        };
        let size_at = start.chars().count() + 1;
        let number = |text: &str, at: usize| {
            parse_number(text).map_err(|error| RangeError {
                character: at + error.character,
                problem: error.problem,
            })
        };
        let (first, size_bytes) = (number(start, 0)?, number(size, size_at)?);
        Self::new(first, size_bytes).ok_or_else(|| RangeError {
            character: size_at + 1,
            problem: if size_bytes == 0 {
                "a range of 0 bytes maps nothing".to_owned()
            } else {
                "the range goes beyond the last address, 2^64 - 1".to_owned()
            },
        })
    }
}

impl std::fmt::Display for AddressRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x} to {:#x}", self.first, self.last)
    }
}

/// A set of addresses: ranges in ascending order, with a gap between any two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Ranges {
    ranges: Vec<AddressRange>,
}

impl Ranges {
    /// The ranges, ascending.
    pub fn as_slice(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// Number of addresses in the set: bytes. Wide, because all of 2^64 may be in it.
    pub fn size_bytes(&self) -> u128 {
        let size = |range: &AddressRange| u128::from(range.last - range.first) + 1;
        self.ranges.iter().map(size).sum()
    }

    /// Number of distinct values of the bits from `shift` (1 to 63) on, below `address_bits`, that the addresses of the set have.
    ///
    /// Holds for sets whose order is still ascending without the bits above: canonical ones.
    pub(super) fn distinct(&self, shift: u32, address_bits: u32) -> u64 {
        let mask = u64::MAX >> (64 - address_bits);
        let number = |address: u64| (address & mask) >> shift;
        let mut count = 0;
        let mut before = None;
        for range in &self.ranges {
            let (first, last) = (number(range.first), number(range.last));
            count += last - first + u64::from(before != Some(first));
            before = Some(last);
        }
        count
    }
}

impl FromIterator<AddressRange> for Ranges {
    /// The union of the ranges.
    fn from_iter<T: IntoIterator<Item = AddressRange>>(ranges: T) -> Self {
        let mut sorted: Vec<AddressRange> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut ranges: Vec<AddressRange> = Vec::new();
        for range in sorted {
            match ranges.last_mut() {
                Some(before) if range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => ranges.push(range),
            }
        }
        Self { ranges }
    }
}

impl From<&PageSet> for Ranges {
    /// The pages of 4 KiB of the set.
    fn from(pages: &PageSet) -> Self {
        let size = PageSize::Size4K;
        let pages = pages.regions().into_iter().flat_map(|region| {
            let address = region.address();
            region.pages().map(move |page| {
                let first = address | page << size.shift();
                AddressRange {
                    first,
                    last: first | size.offset_mask(),
                }
            })
        });
        pages.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn range(first: u64, size_bytes: u64) -> AddressRange {
        AddressRange::new(first, size_bytes).expect("a range")
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_one() {
        let set: Ranges = [range(0x3000, 1), range(0x1000, 0x1000), range(0x2000, 5)]
            .into_iter()
            .collect();
        assert_eq!(set.as_slice(), [range(0x1000, 0x1005), range(0x3000, 1)]);
        assert_eq!(set.size_bytes(), 0x1006);
    }

    #[test]
    fn the_whole_address_space_is_a_range_of_2_to_the_64_bytes() {
        let half = 1 << 63;
        let set: Ranges = [range(half, half), range(0, half)].into_iter().collect();
        assert_eq!(set.as_slice().len(), 1);
        assert_eq!(set.size_bytes(), 1 << 64);
        assert_eq!(AddressRange::new(half, half + 1), None);
    }

    #[test]
    fn a_text_that_is_no_range_is_refused_at_its_place() {
        for (text, character) in [
            ("", 1),
            ("0x1000", 7),
            ("0x1000+", 8),
            ("0x1000+0", 8),
            ("0x10g0+1", 5),
            ("1+2+3", 4),
            ("0xffffffffffffffff+2", 20),
        ] {
            let error = AddressRange::parse(text).expect_err(text);
            assert_eq!(error.character, character, "{text}: {error}");
        }
        assert_eq!(
            AddressRange::parse("0x400000+16M"),
            Ok(range(0x40_0000, 16 << 20))
        );
    }

    proptest! {
        #[test]
        fn a_set_of_pages_as_ranges_has_the_same_pages(
            addresses in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..1 << 22, Just(u64::MAX)], 0..100),
        ) {
            let pages: PageSet = addresses.iter().copied().collect();
            let ranges = Ranges::from(&pages);
            prop_assert_eq!(ranges.size_bytes(), u128::from(pages.count(PageSize::Size4K)) << 12);
            prop_assert!(addresses.iter().all(|address| ranges
                .as_slice()
                .iter()
                .any(|range| range.first <= *address && *address <= range.last)));
        }

        #[test]
        fn distinct_counts_what_a_set_of_numbers_counts(
            parts in prop::collection::vec((0u64..1 << 14, 1u64..300), 0..20),
            shift in 1u32..12,
        ) {
            let set: Ranges = parts.iter().map(|&(first, size)| range(first, size)).collect();
            let numbers: BTreeSet<u64> = parts
                .iter()
                .flat_map(|&(first, size)| (first..first + size).map(|address| address >> shift))
                .collect();
            prop_assert_eq!(set.distinct(shift, 32), numbers.len() as u64);
        }
    }
}
