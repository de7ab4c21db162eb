//! The contents of the testbench memory: 64-bit cells, most of which hold 0 and take no room.
//!
//! Contract: 13. SDM: none. Counterpart: none; `memory.rs` is the memory with its port.

mod frames;

use frames::Frames;

const CELLS_PER_LINE: usize = 4;
const LINE_SHIFT: u32 = 5;
const FRAME_SHIFT: u32 = 12;
const LINES_PER_FRAME: u64 = 1 << (FRAME_SHIFT - LINE_SHIFT);
/// Slots of the table at first.
const LEAST_SLOTS_LOG2: u32 = 10;
/// So many lines of a frame, and it is kept as a whole. What its lines took stays taken, so that this is half of them: a frame of a page in
/// each line then takes no more for each page than one line does in the sparsest form.
const MANY_LINES: u32 = 64;
/// Frames whose lines are counted at a time.
const FILLING: usize = 2048;

/// Cells next to each other, of which at least one was written.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Address / 32.
    number: u64,
    cells: [u64; CELLS_PER_LINE],
}

/// A frame, and how many of its lines were written since it was counted, at most.
#[derive(Clone, Copy, Debug)]
struct Filling {
    frame: u64,
    lines: u32,
}

impl Filling {
    const NONE: Self = Self {
        frame: u64::MAX,
        lines: 0,
    };
}

/// Cells in short lines, found by a hash of the line's number; and those of frames with many lines in whole frames.
///
/// Page tables of a dense region are such frames: an entry there is found in one step and read in another, and the steps of several entries do
/// not wait for each other. Lines are short, because the tables of a sparse set of pages hold few entries each; and in a table of their own, of four bytes a slot, because
/// that of the standard library takes as much again as the lines. 262,144 pages, no two of which share a table or a line of a directory,
/// take 27 MiB.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// What stands here of a frame that is kept as a whole has no meaning.
    lines: Vec<Line>,
    frames: Frames,
    /// By frame number modulo [`FILLING`]. To lose count of a frame keeps it in lines, and no more.
    filling: Box<[Filling]>,
    /// By open addressing: 0, or 1 + an index into `lines`.
    slots: Box<[u32]>,
    slots_log2: u32,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            frames: Frames::default(),
            filling: vec![Filling::NONE; FILLING].into_boxed_slice(),
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
        if let Some(frame) = self.frames.find(address >> FRAME_SHIFT) {
            return self.frames.cell(frame, address);
        }
        self.read_of_line(address)
    }

    #[inline]
    fn read_of_line(&self, address: u64) -> u64 {
        let (number, cell) = Self::place(address);
        match self.find(number) {
            Ok(line) => self.lines[line].cells[cell],
            Err(_) => 0,
        }
    }

    /// The cell at `address`, whose frame may be the one that `hint` names; and a hint of it for the next time. Any hint will do.
    #[inline]
    pub(super) fn read_by_hint(&self, address: u64, hint: u32) -> (u64, u32) {
        let number = address >> FRAME_SHIFT;
        if self.frames.is(hint as usize, number) {
            return (self.frames.cell(hint as usize, address), hint);
        }
        match self.frames.find(number) {
            Some(frame) => (self.frames.cell(frame, address), frame as u32),
            None => (self.read_of_line(address), hint),
        }
    }

    /// The cell at `address`, if `hint` names its frame; else of no meaning.
    #[inline]
    pub(super) fn guess(&self, address: u64, hint: u32) -> u64 {
        self.frames.cell(hint as usize, address)
    }

    /// Writes the cell at `address`.
    pub(super) fn write(&mut self, address: u64, value: u64) {
        if let Some(frame) = self.frames.find(address >> FRAME_SHIFT) {
            self.frames.write(frame, address, value);
            return;
        }
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
                self.count_line(address >> FRAME_SHIFT);
            }
        }
    }

    /// A line of `frame` was added.
    fn count_line(&mut self, frame: u64) {
        let filling = &mut self.filling[frame as usize % FILLING];
        if filling.frame != frame {
            *filling = Filling { frame, lines: 0 };
        }
        filling.lines += 1;
        if filling.lines >= MANY_LINES {
            self.keep_whole(frame);
        }
    }

    #[cold]
    fn keep_whole(&mut self, frame: u64) {
        let Some(index) = self.frames.add(frame) else {
            return;
        };
        for number in frame * LINES_PER_FRAME..(frame + 1) * LINES_PER_FRAME {
            let Ok(line) = self.find(number) else {
                continue;
            };
            let first = number << LINE_SHIFT;
            for (cell, value) in self.lines[line].cells.into_iter().enumerate() {
                self.frames.write(index, first + 8 * cell as u64, value);
            }
        }
    }

    /// Every cell that does not hold 0, by address.
    pub(super) fn contents(&self) -> Vec<(u64, u64)> {
        let lines = self.lines.iter().filter(|line| {
            let frame = line.number / LINES_PER_FRAME;
            self.frames.find(frame).is_none()
        });
        let cells = lines.flat_map(|line| {
            let first = line.number << LINE_SHIFT;
            let cells = line.cells.iter().enumerate();
            cells.map(move |(cell, value)| (first + 8 * cell as u64, *value))
        });
        let cells = cells.chain(self.frames.all());
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
            writes in prop::collection::vec((prop_oneof![4 => 0u64..1 << 14, 1 => any::<u64>()], 0u64..3), 0..3000),
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
                for hint in [0, 1, u32::MAX] {
                    let (read, better) = cells.read_by_hint(*address, hint);
                    prop_assert_eq!(read, *value);
                    prop_assert_eq!(cells.read_by_hint(*address, better), (*value, better));
                    if cells.frames.is(better as usize, address >> FRAME_SHIFT) {
                        prop_assert_eq!(cells.guess(*address, better), *value);
                    }
                }
                let next = address.wrapping_add(8);
                prop_assert_eq!(cells.read(next), expected.get(&next).copied().unwrap_or(0));
            }
            expected.retain(|_, value| *value != 0);
            prop_assert_eq!(cells.contents(), expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_frame_is_kept_as_a_whole_once_many_of_its_lines_are_written() {
        let mut cells = Cells::default();
        // Frames far from each other, line by line in turn; and two whose counts take each other's place.
        let frames = [3, 700, (1 << 40) - 1, 5, 5 + FILLING as u64];
        for line in 0..LINES_PER_FRAME {
            for frame in frames {
                let address = frame << FRAME_SHIFT | line << LINE_SHIFT;
                cells.write(address, frame + line);
                let whole = frame % FILLING as u64 != 5 && line + 1 >= u64::from(MANY_LINES);
                let kept = cells.frames.find(frame).is_some();
                assert_eq!(kept, whole, "frame {frame:#x}, line {line}");
            }
        }
        for line in 0..LINES_PER_FRAME {
            for frame in frames {
                let address = frame << FRAME_SHIFT | line << LINE_SHIFT;
                assert_eq!(cells.read(address), frame + line);
                assert_eq!(cells.read(address + 8), 0);
            }
        }
        assert_eq!(cells.contents().len() as u64, 5 * LINES_PER_FRAME);
    }

    #[test]
    fn slots_are_at_most_three_quarters_full_and_doubled_no_sooner() {
        let mut cells = Cells::default();
        let mut slots = cells.slots.len();
        for frame in 0..20_000u64 {
            cells.write(frame << FRAME_SHIFT, 1);
            let (lines, now) = (cells.lines.len(), cells.slots.len());
            assert!(lines * 4 <= now * 3, "{lines} lines in {now} slots");
            assert!(now == slots || now == 2 * slots && lines * 4 > slots * 3);
            slots = now;
        }
        assert!(slots > Cells::default().slots.len());
    }

    #[test]
    fn frames_are_found_however_many_there_are() {
        let mut cells = Cells::default();
        for frame in 0..500u64 {
            for line in 0..u64::from(MANY_LINES) {
                cells.write(frame << FRAME_SHIFT | line << LINE_SHIFT, frame + 1);
            }
        }
        for frame in 0..500u64 {
            assert!(cells.frames.find(frame).is_some());
            assert_eq!(cells.read(frame << FRAME_SHIFT), frame + 1);
        }
        assert_eq!(cells.frames.find(500), None);
    }
}
