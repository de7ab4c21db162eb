//! The contents of the testbench memory: 64-bit cells, most of which hold 0 and take no room.
//!
//! Contract: 13. SDM: none. Counterpart: none; `memory.rs` is the memory with its port.

const CELLS_PER_LINE: usize = 4;
const LINE_SHIFT: u32 = 5;
/// Slots of the table at first.
const LEAST_SLOTS_LOG2: u32 = 10;

/// Cells next to each other, of which at least one was written.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Address / 32.
    number: u64,
    cells: [u64; CELLS_PER_LINE],
}

/// Cells in short lines, found by a hash of the line's number.
///
/// Short, because the tables of a sparse set of pages hold few entries each; and in a table of their own, of four bytes a slot, because
/// that of the standard library takes as much again as the lines. 262,144 pages, no two of which share a table or a line of a directory,
/// take 27 MiB.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    lines: Vec<Line>,
    /// By open addressing: 0, or 1 + an index into `lines`.
    slots: Box<[u32]>,
    slots_log2: u32,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            slots: vec![0; 1 << LEAST_SLOTS_LOG2].into_boxed_slice(),
            slots_log2: LEAST_SLOTS_LOG2,
        }
    }
}

impl Cells {
    const fn place(address: u64) -> (u64, usize) {
        let cell = (address >> 3) as usize % CELLS_PER_LINE;
        (address >> LINE_SHIFT, cell)
    }

    /// The cell at `address`; 0 where nothing was written.
    #[inline]
    pub(super) fn read(&self, address: u64) -> u64 {
        let (number, cell) = Self::place(address);
        match self.find(number) {
            Ok(line) => self.lines[line].cells[cell],
            Err(_) => 0,
        }
    }

    /// Writes the cell at `address`.
    pub(super) fn write(&mut self, address: u64, value: u64) {
        let (number, cell) = Self::place(address);
        match self.find(number) {
            Ok(line) => self.lines[line].cells[cell] = value,
            Err(_) if value == 0 => {}
            Err(slot) => {
                let mut cells = [0; CELLS_PER_LINE];
                cells[cell] = value;
                self.lines.push(Line { number, cells });
                self.slots[slot] = self.lines.len() as u32;
                // At most three quarters: few steps from slot to slot, and always an empty one to end them.
                if self.lines.len() * 4 > self.slots.len() * 3 {
                    self.grow();
                }
            }
        }
    }

    /// Every cell that does not hold 0, by address.
    pub(super) fn contents(&self) -> Vec<(u64, u64)> {
        let lines = self.lines.iter();
        let cells = lines.flat_map(|line| {
            let first = line.number << LINE_SHIFT;
            let cells = line.cells.iter().enumerate();
            cells.map(move |(cell, value)| (first + 8 * cell as u64, *value))
        });
        let mut contents: Vec<_> = cells.filter(|(_, value)| *value != 0).collect();
        contents.sort_unstable();
        contents
    }

    /// The index of a line; or else the slot that it would have.
    #[inline]
    fn find(&self, number: u64) -> Result<usize, usize> {
        // Neighbours come far from each other by the golden ratio.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut slot = (number.wrapping_mul(GOLDEN) >> (64 - self.slots_log2)) as usize;
        loop {
            let Some(line) = (self.slots[slot] as usize).checked_sub(1) else {
                return Err(slot);
            };
            if self.lines[line].number == number {
                return Ok(line);
            }
            slot = (slot + 1) % (1 << self.slots_log2);
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.slots_log2 += 1;
        // The old slots go first, so that both need no room at a time.
        self.slots = Box::default();
        self.slots = vec![0; 1 << self.slots_log2].into_boxed_slice();
        for line in 0..self.lines.len() {
            if let Err(slot) = self.find(self.lines[line].number) {
                self.slots[slot] = line as u32 + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn cells_are_a_map_in_which_what_is_absent_is_zero(
            writes in prop::collection::vec((prop_oneof![0u64..1 << 14, any::<u64>()], 0u64..3), 0..3000),
        ) {
            let mut cells = Cells::default();
            let mut expected = BTreeMap::new();
            for (address, value) in writes {
                let address = address & !7;
                cells.write(address, value);
                expected.insert(address, value);
                prop_assert_eq!(cells.read(address), value);
            }
            for (address, value) in &expected {
                prop_assert_eq!(cells.read(*address), *value);
                let next = address.wrapping_add(8);
                prop_assert_eq!(cells.read(next), expected.get(&next).copied().unwrap_or(0));
            }
            expected.retain(|_, value| *value != 0);
            prop_assert_eq!(cells.contents(), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
