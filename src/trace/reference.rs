//! One memory reference of a program, and the split of an access that crosses a page.
//!
//! Contract: section 3 (a request stays within one 4 KiB page; the requester splits what crosses). SDM vol. 3A, 4.1: a page boundary
//! separates two translations. Counterpart: none; the split happens in front of the ports of both twins.

use std::iter::FusedIterator;

use serde::{Deserialize, Serialize};

use crate::arch::{AccessKind, PageSize};

/// What a reference does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum ReferenceKind {
    /// Fetches an instruction.
    Fetch = 0,
    /// Reads data.
    Load = 1,
    /// Writes data.
    Store = 2,
}

impl ReferenceKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Fetch, Self::Load, Self::Store];

    /// The kind of access that it asks of the machine.
    #[inline]
    pub const fn access_kind(self) -> AccessKind {
        match self {
            Self::Fetch => AccessKind::Fetch,
            Self::Load => AccessKind::Read,
            Self::Store => AccessKind::Write,
        }
    }
}

/// One reference: so many bytes from a linear address on.
///
/// Guaranteed: 1 to [`MemoryReference::MAX_SIZE_BYTES`] bytes, so that at most one page boundary is crossed. Not guaranteed: that the
/// address is canonical, nor that the last byte does not lie beyond the end of the address space (it then continues at 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryReference {
    address: u64,
    size_bytes: u16,
    kind: ReferenceKind,
}

impl MemoryReference {
    /// The most bytes that one reference may have: a 4 KiB page. (The longest of an x86 instruction are the state saves of XSAVE.)
    pub const MAX_SIZE_BYTES: u16 = 4096;

    /// The most bytes that a request of the machine's port may have.
    pub const PORT_SIZE_BYTES: u16 = 64;

    /// A reference, or `None` unless `size_bytes` is 1 to [`MemoryReference::MAX_SIZE_BYTES`].
    #[inline]
    pub const fn new(kind: ReferenceKind, address: u64, size_bytes: u16) -> Option<Self> {
        if size_bytes == 0 || size_bytes > Self::MAX_SIZE_BYTES {
            return None;
        }
        Some(Self {
            address,
            size_bytes,
            kind,
        })
    }

    /// What it does.
    #[inline]
    pub const fn kind(self) -> ReferenceKind {
        self.kind
    }

    /// The linear address of its first byte.
    #[inline]
    pub const fn address(self) -> u64 {
        self.address
    }

    /// Its size in bytes: 1 to [`MemoryReference::MAX_SIZE_BYTES`].
    #[inline]
    pub const fn size_bytes(self) -> u16 {
        self.size_bytes
    }

    /// Its size as a port takes it: at most [`MemoryReference::PORT_SIZE_BYTES`]. One translation covers all of a page, so that the rest
    /// of a longer access needs no request of its own.
    #[inline]
    pub const fn port_size_bytes(self) -> u16 {
        if self.size_bytes > Self::PORT_SIZE_BYTES {
            Self::PORT_SIZE_BYTES
        } else {
            self.size_bytes
        }
    }

    /// The number of the 4 KiB page of its first byte.
    #[inline]
    pub const fn page(self) -> u64 {
        self.address >> PageSize::Size4K.shift()
    }

    /// The same bytes, otherwise used.
    #[inline]
    pub const fn with_kind(self, kind: ReferenceKind) -> Self {
        Self { kind, ..self }
    }

    /// Whether first and last byte lie in different 4 KiB pages.
    #[inline]
    pub const fn crosses_page(self) -> bool {
        (self.address & PageSize::Size4K.offset_mask()) + self.size_bytes as u64
            > PageSize::Size4K.bytes()
    }

    /// The parts within one page each, lower one first: the reference itself, or what lies in either of its two pages.
    #[inline]
    pub const fn split(self) -> (Self, Option<Self>) {
        if self.crosses_page() {
            let (first, second) = self.split_crossing();
            (first, Some(second))
        } else {
            (self, None)
        }
    }

    /// What lies in the aligned block of 2^`shift` bytes (at most a page) of its first byte, and what is left.
    fn cut(self, shift: u32) -> (Self, Option<Self>) {
        let mask = (1 << shift) - 1;
        let room = mask - (self.address & mask) + 1;
        if u64::from(self.size_bytes) <= room {
            return (self, None);
        }
        let head = Self {
            size_bytes: room as u16,
            ..self
        };
        let rest = Self {
            address: self.address.wrapping_add(room),
            size_bytes: self.size_bytes - room as u16,
            ..self
        };
        (head, Some(rest))
    }

    /// Seldom needed, so kept out of line.
    #[cold]
    const fn split_crossing(self) -> (Self, Self) {
        let boundary = (self.address | PageSize::Size4K.offset_mask()).wrapping_add(1);
        let below = boundary.wrapping_sub(self.address) as u16;
        let first = Self {
            size_bytes: below,
            ..self
        };
        let second = Self {
            address: boundary,
            size_bytes: self.size_bytes - below,
            ..self
        };
        (first, second)
    }
}

/// References by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Instruction fetches.
    pub fetches: u64,
    /// Data reads.
    pub loads: u64,
    /// Data writes.
    pub stores: u64,
}

impl Counts {
    /// References in all.
    pub const fn total(&self) -> u64 {
        self.fetches
            .saturating_add(self.loads)
            .saturating_add(self.stores)
    }

    /// Counts one reference of `kind`.
    #[inline]
    pub const fn add(&mut self, kind: ReferenceKind) {
        match kind {
            ReferenceKind::Fetch => self.fetches += 1,
            ReferenceKind::Load => self.loads += 1,
            ReferenceKind::Store => self.stores += 1,
        }
    }
}

/// Puts the parts of an access that crosses a 4 KiB page in its place, lower page first; passes on errors and all else as it is.
///
/// ```
/// use twinwalk::trace::{MemoryReference, PageSplit, ReferenceKind};
/// let store = MemoryReference::new(ReferenceKind::Store, 0x1ffc, 8).expect("8 bytes are allowed");
/// let parts: Vec<_> = PageSplit::new([Ok::<_, ()>(store)].into_iter()).flatten().collect();
/// assert_eq!(parts.iter().map(|part| part.address()).collect::<Vec<_>>(), [0x1ffc, 0x2000]);
/// ```
#[derive(Debug, Clone)]
pub struct PageSplit<I> {
    references: I,
    second: Option<MemoryReference>,
}

impl<I> PageSplit<I> {
    /// The adaptor over `references`.
    pub const fn new(references: I) -> Self {
        Self {
            references,
            second: None,
        }
    }
}

impl<I, E> Iterator for PageSplit<I>
where
    I: Iterator<Item = Result<MemoryReference, E>>,
{
    type Item = Result<MemoryReference, E>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(second) = self.second.take() {
            return Some(Ok(second));
        }
        match self.references.next()? {
            Ok(reference) => {
                let (first, second) = reference.split();
                self.second = second;
                Some(Ok(first))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.second.is_some());
        let (low, high) = self.references.size_hint();
        let high = high.and_then(|high| high.checked_mul(2)?.checked_add(waiting));
        (low.saturating_add(waiting), high)
    }
}

/// What references ask the machine to translate: the parts of [`MemoryReference::split`], and of instruction fetches, where blocks are
/// asked for, the blocks that a fetch unit reads.
///
/// A fetch unit that reads aligned blocks of B bytes holds the block that it read last. An instruction's bytes are taken block by block
/// in ascending order: what lies in the block that is held needs nothing; of any other block the part of the instruction that lies in it is
/// translated, and that block is held from then on. Loads and stores change nothing about it. `docs/front-end.md` states the rule.
///
/// ```
/// use twinwalk::trace::{MemoryReference, ReferenceKind, Translated};
/// let mut translated = Translated::by_blocks(16);
/// let mut count = |address| {
///     let fetch = MemoryReference::new(ReferenceKind::Fetch, address, 4).expect("4 bytes are allowed");
///     translated.parts(&fetch).count()
/// };
/// // Two blocks by straight code, and back: three look-ups.
/// assert_eq!([count(0x00), count(0x04), count(0x0e), count(0x12), count(0x00)], [1, 0, 1, 0, 1]);
/// ```
#[derive(Debug, Clone)]
pub struct Translated {
    /// Log2 of the bytes of a block, if there are blocks.
    block_shift: Option<u32>,
    /// The number of the block that is held.
    held: Option<u64>,
}

impl Translated {
    /// Blocks of `block_bytes`, a power of two up to 4096; 0: each fetch is a look-up. None is held.
    pub const fn by_blocks(block_bytes: u32) -> Self {
        let block_shift = match block_bytes.checked_ilog2() {
            Some(shift) if shift <= PageSize::Size4K.shift() => Some(shift),
            _ => None,
        };
        Self {
            block_shift,
            held: None,
        }
    }

    /// The parts of `reference` to translate, in order; each lies within a page.
    #[inline]
    pub fn parts(&mut self, reference: &MemoryReference) -> Parts {
        match self.block_shift {
            Some(shift) if matches!(reference.kind, ReferenceKind::Fetch) => {
                self.blocks(reference, shift)
            }
            _ => {
                let (first, second) = reference.split();
                Parts {
                    next: Some(first),
                    rest: second,
                    shift: PageSize::Size4K.shift(),
                }
            }
        }
    }

    fn blocks(&mut self, reference: &MemoryReference, shift: u32) -> Parts {
        let last_byte = u64::from(reference.size_bytes - 1);
        let first = reference.address >> shift;
        let last = reference.address.wrapping_add(last_byte) >> shift;
        let (head, rest) = reference.cut(shift);
        if self.held.replace(last) != Some(first) {
            return Parts {
                next: Some(head),
                rest,
                shift,
            };
        }
        let cut = rest.map(|rest| rest.cut(shift));
        Parts {
            next: cut.map(|(head, _)| head),
            rest: cut.and_then(|(_, rest)| rest),
            shift,
        }
    }
}

/// See [`Translated::parts`].
#[derive(Debug, Clone)]
pub struct Parts {
    /// What comes next.
    next: Option<MemoryReference>,
    /// What is left behind that, not cut yet.
    rest: Option<MemoryReference>,
    shift: u32,
}

impl Iterator for Parts {
    type Item = MemoryReference;

    #[inline]
    fn next(&mut self) -> Option<MemoryReference> {
        let next = self.next.take()?;
        if let Some(rest) = self.rest.take() {
            let (head, rest) = rest.cut(self.shift);
            self.next = Some(head);
            self.rest = rest;
        }
        Some(next)
    }
}

impl FusedIterator for Parts {}

impl<I, E> FusedIterator for PageSplit<I> where I: FusedIterator<Item = Result<MemoryReference, E>> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn load(address: u64, size_bytes: u16) -> MemoryReference {
        MemoryReference::new(ReferenceKind::Load, address, size_bytes).expect("a size in range")
    }

    #[test]
    fn an_access_up_to_the_last_byte_of_a_page_is_one_translation() {
        assert_eq!(load(0x1ff8, 8).split(), (load(0x1ff8, 8), None));
        assert_eq!(load(0x1000, 4096).split(), (load(0x1000, 4096), None));
    }

    #[test]
    fn an_access_one_byte_further_is_two() {
        assert_eq!(
            load(0x1ff9, 8).split(),
            (load(0x1ff9, 7), Some(load(0x2000, 1)))
        );
    }

    #[test]
    fn an_access_across_the_end_of_the_address_space_continues_at_zero() {
        let (first, second) = load(u64::MAX - 1, 8).split();
        assert_eq!((first, second), (load(u64::MAX - 1, 2), Some(load(0, 6))));
    }

    #[test]
    fn a_reference_of_no_byte_or_of_more_than_a_page_does_not_exist() {
        assert_eq!(MemoryReference::new(ReferenceKind::Fetch, 0, 0), None);
        assert_eq!(MemoryReference::new(ReferenceKind::Fetch, 0, 4097), None);
    }

    #[test]
    fn a_reference_takes_sixteen_bytes_of_memory() {
        assert_eq!(size_of::<MemoryReference>(), 16);
    }

    fn fetch(address: u64, size_bytes: u16) -> MemoryReference {
        load(address, size_bytes).with_kind(ReferenceKind::Fetch)
    }

    fn addresses(translated: &mut Translated, reference: MemoryReference) -> Vec<u64> {
        let parts = translated.parts(&reference);
        parts.map(MemoryReference::address).collect()
    }

    #[test]
    fn instructions_in_the_block_of_the_one_before_are_no_look_up_and_a_way_back_is() {
        let mut translated = Translated::by_blocks(32);
        for (address, size_bytes, expected) in [
            (0x1000, 4, vec![0x1000]),
            (0x1004, 4, vec![]),
            // Across into the next block, of which four bytes follow.
            (0x101e, 6, vec![0x1020]),
            (0x1024, 4, vec![]),
            // Back, forth, and to a block at the same place of another page.
            (0x1010, 2, vec![0x1010]),
            (0x1030, 2, vec![0x1030]),
            (0x2030, 2, vec![0x2030]),
            // A jump across two borders.
            (0x101f, 34, vec![0x101f, 0x1020, 0x1040]),
            (0x1040, 1, vec![]),
        ] {
            let found = addresses(&mut translated, fetch(address, size_bytes));
            assert_eq!(found, expected, "{address:#x}");
            // Data is in nobody's way.
            assert_eq!(addresses(&mut translated, load(address, 1)), [address]);
        }
    }

    #[test]
    fn without_blocks_every_fetch_is_a_look_up() {
        let mut translated = Translated::by_blocks(0);
        assert_eq!(addresses(&mut translated, fetch(0x1000, 4)), [0x1000]);
        assert_eq!(addresses(&mut translated, fetch(0x1000, 4)), [0x1000]);
        assert_eq!(
            addresses(&mut translated, fetch(0x1ffe, 4)),
            [0x1ffe, 0x2000]
        );
    }

    #[test]
    fn a_port_is_never_offered_more_than_it_takes() {
        assert_eq!(load(0, 512).port_size_bytes(), 64);
        assert_eq!(load(0, 63).port_size_bytes(), 63);
    }

    proptest! {
        #[test]
        fn the_parts_lie_within_a_page_and_are_together_the_whole(
            address in any::<u64>(),
            size_bytes in 1..=MemoryReference::MAX_SIZE_BYTES,
        ) {
            let whole = load(address, size_bytes);
            let parts: Vec<_> = PageSplit::new([Ok::<_, ()>(whole)].into_iter())
                .map(|part| part.expect("no error was put in"))
                .collect();
            prop_assert!(parts.iter().all(|part| !part.crosses_page()));
            let mut next = address;
            for part in &parts {
                prop_assert_eq!(part.address(), next);
                next = next.wrapping_add(u64::from(part.size_bytes()));
            }
            prop_assert_eq!(next, address.wrapping_add(u64::from(size_bytes)));
            prop_assert_eq!(parts.len(), 1 + usize::from(whole.crosses_page()));
            let parts_again: Vec<_> = Translated::by_blocks(0).parts(&whole).collect();
            prop_assert_eq!(parts, parts_again);
        }

        #[test]
        fn blocks_are_looked_up_whenever_they_change(
            fetches in prop::collection::vec((0u64..200, 1u16..70), 1..40), shift in 4u32..=6,
        ) {
            let mut translated = Translated::by_blocks(1 << shift);
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            for (address, size_bytes) in fetches {
                // On either side of the end of the address space.
                let address = address.wrapping_sub(100);
                for byte in 0..u64::from(size_bytes) {
                    expected.push(address.wrapping_add(byte) >> shift);
                }
                for part in translated.parts(&fetch(address, size_bytes)) {
                    let last = part.address() + u64::from(part.size_bytes() - 1);
                    prop_assert_eq!(part.address() >> shift, last >> shift);
                    found.push(last >> shift);
                }
            }
            expected.dedup();
            prop_assert_eq!(found, expected);
        }
    }
}
