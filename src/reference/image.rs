//! Memory as a checker reconstructs it: the initial image, the stores of other agents, and the machine's own transactions.
//!
//! Contract: 13 (testbench memory). SDM: none. Counterpart: none in hardware.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::arch::{BusError, PhysicalAddress};

use super::memory::PhysicalMemory;

/// 64-bit words of a 4 KiB page.
const PAGE_WORDS: usize = 512;

/// Sparse memory of a given size. Reads as 0 where nothing was written.
#[derive(Debug, Clone)]
pub struct Image {
    pages: HashMap<u64, Box<[u64; PAGE_WORDS]>, FixedState>,
    size_bytes: u64,
}

impl Image {
    /// Memory of `size_bytes` that holds `words`, pairs of address and value; an address is taken down to a multiple of 8.
    ///
    /// Words at or beyond the end are dropped: no transaction can reach them.
    pub fn new(size_bytes: u64, words: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut image = Self {
            pages: HashMap::with_hasher(FixedState::default()),
            size_bytes,
        };
        for (address, value) in words {
            image.write(address, value);
        }
        image
    }

    /// Whether the bus answers at `address`.
    #[inline]
    pub const fn contains(&self, address: u64) -> bool {
        address < self.size_bytes
    }

    /// The word at `address`; 0 beyond the end.
    #[inline]
    pub fn read(&self, address: u64) -> u64 {
        self.pages
            .get(&(address >> 12))
            .map_or(0, |page| page[Self::index(address)])
    }

    /// Writes the word at `address`, and returns what it held; nothing beyond the end.
    pub fn write(&mut self, address: u64, value: u64) -> u64 {
        if !self.contains(address) {
            return 0;
        }
        let page = self
            .pages
            .entry(address >> 12)
            .or_insert_with(|| Box::new([0; PAGE_WORDS]));
        std::mem::replace(&mut page[Self::index(address)], value)
    }

    #[inline]
    const fn index(address: u64) -> usize {
        (address >> 3) as usize & (PAGE_WORDS - 1)
    }
}

/// The image as a walk of the reference may use it without leaving a trace: compare-and-sets seem to succeed and write nothing.
pub struct Untouched<'a>(pub &'a Image);

impl PhysicalMemory for Untouched<'_> {
    fn read_u64(&mut self, address: PhysicalAddress) -> Result<u64, BusError> {
        if self.0.contains(address.raw()) {
            Ok(self.0.read(address.raw()))
        } else {
            Err(BusError { address })
        }
    }

    fn compare_and_set(
        &mut self,
        address: PhysicalAddress,
        _mask: u64,
        _expected: u64,
        _new: u64,
    ) -> Result<u64, BusError> {
        self.read_u64(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_holds_zero_until_it_is_written_and_ends_at_its_size() {
        let mut image = Image::new(0x2000, [(0x1008, 7), (0x2000, 9)]);
        assert_eq!(image.read(0x1008), 7);
        assert_eq!(image.read(0x1000), 0);
        assert_eq!(image.read(0x2000), 0);
        assert!(image.contains(0x1fff) && !image.contains(0x2000));
        assert_eq!(image.write(0x1008, 8), 7);
        assert_eq!(image.read(0x1008), 8);
    }

    #[test]
    fn an_untouched_view_accepts_a_compare_and_set_and_keeps_memory() {
        let image = Image::new(0x1000, [(8, 1)]);
        let at = |raw| PhysicalAddress::new_truncate(raw, crate::arch::MaxPhyAddr::MAX);
        assert_eq!(
            Untouched(&image).compare_and_set(at(8), u64::MAX, 1, 0x21),
            Ok(1)
        );
        assert_eq!(image.read(8), 1);
        assert!(Untouched(&image).read_u64(at(0x1000)).is_err());
    }
}
