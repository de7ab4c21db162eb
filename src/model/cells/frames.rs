//! Frames of memory of which many cells were written, each kept as a whole.
//!
//! Contract: 13. SDM: none. Counterpart: none; `cells.rs` says which frames these are.

/// Cells of a frame of 4 KiB.
const CELLS: usize = 512;
/// Slots of the table at first.
const LEAST_SLOTS_LOG2: u32 = 6;
/// The low bits of a slot: 1 + an index. Above them stands the frame's number, in 40 bits.
const INDEX_BITS: u32 = 24;
const INDEX: u64 = (1 << INDEX_BITS) - 1;

/// Whole frames, found by a hash of the frame's number: one load finds the place of a cell, and one more reads it.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    /// Frame by frame, in the order in which they came.
    cells: Vec<u64>,
    numbers: Vec<u64>,
    /// By open addressing: 0, or a number and 1 + its index.
    slots: Box<[u64]>,
    slots_log2: u32,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            numbers: Vec::new(),
            slots: vec![0; 1 << LEAST_SLOTS_LOG2].into_boxed_slice(),
            slots_log2: LEAST_SLOTS_LOG2,
        }
    }
}

impl Frames {
    /// The index of the frame of that number, if it is kept here.
    #[inline]
    pub fn find(&self, number: u64) -> Option<usize> {
        let mut slot = self.first_slot(number);
        loop {
            let kept = self.slots[slot];
            if kept >> INDEX_BITS == number && kept != 0 {
                return Some((kept & INDEX) as usize - 1);
            }
            if kept == 0 {
                return None;
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    #[inline]
    const fn first_slot(&self, number: u64) -> usize {
        // Neighbours come far from each other by the golden ratio.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        (number.wrapping_mul(GOLDEN) >> (64 - self.slots_log2)) as usize
    }

    /// Keeps the frame of that number, which it does not have, from now on, all of it 0: its index; none, if it has no room.
    pub fn add(&mut self, number: u64) -> Option<usize> {
        let index = self.numbers.len();
        if number >> (64 - INDEX_BITS) != 0 || index as u64 + 1 >= INDEX {
            return None;
        }
        self.numbers.push(number);
        self.cells.resize(self.cells.len() + CELLS, 0);
        // At most half: nearly always the first slot answers.
        if self.numbers.len() * 2 > self.slots.len() {
            self.slots_log2 += 1;
            self.slots = vec![0; 1 << self.slots_log2].into_boxed_slice();
            for kept in 0..index {
                self.enter(kept);
            }
        }
        self.enter(index);
        Some(index)
    }

    fn enter(&mut self, index: usize) {
        let number = self.numbers[index];
        let mut slot = self.first_slot(number);
        while self.slots[slot] != 0 {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = number << INDEX_BITS | (index as u64 + 1);
    }

    /// Whether the frame of that index, which may be any, has that number.
    #[inline]
    pub fn is(&self, index: usize, number: u64) -> bool {
        self.numbers.get(index) == Some(&number)
    }

    /// The cell at `address`, if it is in the frame of that index, which may be any: else of no meaning.
    #[inline]
    pub fn cell(&self, index: usize, address: u64) -> u64 {
        let place = index * CELLS + (address >> 3) as usize % CELLS;
        self.cells.get(place).copied().unwrap_or(0)
    }

    /// Writes the cell at `address`, which is in the frame of that index.
    #[inline]
    pub fn write(&mut self, index: usize, address: u64, value: u64) {
        self.cells[index * CELLS + (address >> 3) as usize % CELLS] = value;
    }

    /// All cells, each with its address.
    pub fn all(&self) -> impl Iterator<Item = (u64, u64)> {
        let frames = self.numbers.iter().zip(self.cells.chunks(CELLS));
        frames.flat_map(|(number, cells)| {
            let cells = cells.iter().enumerate();
            cells.map(move |(cell, value)| ((number << 12) + 8 * cell as u64, *value))
        })
    }
}
