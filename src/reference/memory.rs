//! Memory as a walk sees it: reads of entries, and compare-and-set; and a sparse one to walk in.
//!
//! Contract: none; the timed memory port is the model's. SDM vol. 3A, 8.1.2 (locked updates of entries).
//! Counterpart: none in hardware.

use std::collections::BTreeMap;

use crate::arch::{BusError, PhysicalAddress};

/// Physical memory, as far as a walk needs it.
///
/// Every call is one bus transaction. An implementation may count them, and may change memory between two of them, as
/// another processor does. Addresses are multiples of 8.
pub trait PhysicalMemory {
    /// Reads the 8 bytes at `address`.
    ///
    /// # Errors
    /// [`BusError`] if no memory stands there.
    fn read_u64(&mut self, address: PhysicalAddress) -> Result<u64, BusError>;

    /// In one operation: reads the 8 bytes at `address`, and writes the bits `mask` of `new` if those bits equal those of `expected`. Returns
    /// all 8 bytes as it read them, so it wrote if they equal `expected` in `mask`, which names whole bytes.
    ///
    /// # Errors
    /// [`BusError`] if no memory stands there.
    fn compare_and_set(
        &mut self,
        address: PhysicalAddress,
        mask: u64,
        expected: u64,
        new: u64,
    ) -> Result<u64, BusError>;
}

impl<M: PhysicalMemory + ?Sized> PhysicalMemory for &mut M {
    fn read_u64(&mut self, address: PhysicalAddress) -> Result<u64, BusError> {
        (**self).read_u64(address)
    }

    fn compare_and_set(
        &mut self,
        address: PhysicalAddress,
        mask: u64,
        expected: u64,
        new: u64,
    ) -> Result<u64, BusError> {
        (**self).compare_and_set(address, mask, expected, new)
    }
}

/// Memory that reads as zero where nothing was written, and ends at a given size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseMemory {
    words: BTreeMap<u64, u64>,
    size_bytes: u64,
}

impl SparseMemory {
    /// Memory of `size_bytes`; an access that reaches past it is a bus error.
    pub fn new(size_bytes: u64) -> Self {
        Self {
            words: BTreeMap::new(),
            size_bytes,
        }
    }

    /// The 8 bytes at `address`, which is taken down to a multiple of 8; zero outside of memory.
    pub fn peek(&self, address: PhysicalAddress) -> u64 {
        let word = address.raw() & !7;
        self.words.get(&word).copied().unwrap_or(0)
    }

    /// Writes the 8 bytes at `address`, which is taken down to a multiple of 8.
    ///
    /// # Errors
    /// [`BusError`] if no memory stands there.
    pub fn poke(&mut self, address: PhysicalAddress, value: u64) -> Result<(), BusError> {
        let word = self.word(address)?;
        self.words.insert(word, value);
        Ok(())
    }

    /// Every word that is not zero, by address: (address, value).
    pub fn contents(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let words = self.words.iter().map(|(&address, &value)| (address, value));
        words.filter(|&(_, value)| value != 0)
    }

    fn word(&self, address: PhysicalAddress) -> Result<u64, BusError> {
        let word = address.raw() & !7;
        if word + 8 <= self.size_bytes {
            Ok(word)
        } else {
            Err(BusError { address })
        }
    }
}

impl PhysicalMemory for SparseMemory {
    fn read_u64(&mut self, address: PhysicalAddress) -> Result<u64, BusError> {
        let word = self.word(address)?;
        Ok(self.words.get(&word).copied().unwrap_or(0))
    }

    fn compare_and_set(
        &mut self,
        address: PhysicalAddress,
        mask: u64,
        expected: u64,
        new: u64,
    ) -> Result<u64, BusError> {
        let word = self.word(address)?;
        let found = self.words.get(&word).copied().unwrap_or(0);
        if (found ^ expected) & mask == 0 {
            self.words.insert(word, found & !mask | new & mask);
        }
        Ok(found)
    }
}
