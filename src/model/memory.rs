//! Testbench memory behind one twin: sparse, with latency, jitter and an end.
//!
//! Contract: 13, and the memory port of 3. SDM: none of its own. Counterpart: none; the harness around either twin uses this file,
//! with one instance for each.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::arch::{BusError, PhysicalAddress};
use crate::config::MemorySpec;

use super::mmu_pkg::{MEM_COMPARE_AND_SET, MEM_READ, MemoryIn, MemoryOut};

const PAGE_SHIFT: u32 = 12;
const CELLS_PER_PAGE: usize = 512;
/// Lines of the cache in front of the page index.
const LINES: usize = 64;
const NO_PAGE: u64 = u64::MAX;

/// The hash of contract 13: a permutation of (seed, stream, index) into 64 bits that look random.
///
/// Each word passes a finalizer of shifts and multiplications, so that consecutive indices have nothing in common.
#[inline]
pub const fn hash(seed: u64, stream: u64, index: u64) -> u64 {
    finalize(finalize(finalize(seed).wrapping_add(stream)).wrapping_add(index))
}

const fn finalize(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// A response that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    /// The first cycle in which it may be driven.
    due: u64,
    /// The number of its accept.
    number: u64,
    id: u8,
    error: bool,
    data: u64,
}

/// What an access that was accepted comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// What memory held before; 0 with an error.
    pub data: u64,
    /// No memory stands at the address.
    pub error: bool,
    /// Cycles from the accept to the response: latency and jitter, at least 1.
    pub delay_cycles: u64,
}

/// Memory of 64-bit cells that hold 0 where nothing was written, with one port.
///
/// Time is the caller's: in each cycle it performs the stores of other agents ([`Memory::write_u64`]), then drives
/// [`Memory::inputs`] into the machine, then reports the cycle's transfers by [`Memory::step`].
#[derive(Clone, Debug)]
pub struct Memory {
    size_bytes: u64,
    latency_cycles: u64,
    jitter_cycles: u64,
    seed: u64,
    /// Accepts so far: the number of the next.
    accepts: u64,
    /// By (due cycle, number of accept).
    pending: Vec<Pending>,
    cells: Cells,
}

impl Memory {
    /// Memory in which nothing was written. `seed` decides the jitter. Without a size it never answers with a bus error: then it
    /// covers every physical address that there is.
    pub fn new(spec: &MemorySpec, seed: u64) -> Self {
        Self {
            size_bytes: spec.size_bytes.unwrap_or(1 << 52),
            latency_cycles: u64::from(spec.latency_cycles.max(1)),
            jitter_cycles: u64::from(spec.jitter_cycles),
            seed,
            accepts: 0,
            pending: Vec::with_capacity(16),
            cells: Cells::default(),
        }
    }

    /// The cell at `address`, whose lowest three bits do not count.
    ///
    /// # Errors
    /// No memory stands there.
    pub fn read_u64(&self, address: u64) -> Result<u64, BusError> {
        self.check(address)?;
        Ok(self.cells.read(address))
    }

    /// A store of another agent into the cell at `address`, whose lowest three bits do not count.
    ///
    /// # Errors
    /// No memory stands there.
    pub fn write_u64(&mut self, address: u64, value: u64) -> Result<(), BusError> {
        self.check(address)?;
        self.cells.write(address, value);
        Ok(())
    }

    fn check(&self, address: u64) -> Result<(), BusError> {
        if address < self.size_bytes {
            Ok(())
        } else {
            Err(BusError {
                address: PhysicalAddress::new(address),
            })
        }
    }

    /// What it drives in `cycle`, from its state; with `stalled` it accepts nothing.
    #[inline]
    pub fn inputs(&self, cycle: u64, stalled: bool) -> MemoryIn {
        let mut driven = MemoryIn {
            req_ready: u8::from(!stalled),
            ..MemoryIn::default()
        };
        if let Some(pending) = self.pending.first().filter(|pending| pending.due <= cycle) {
            driven.resp_valid = 1;
            driven.resp_id = pending.id;
            driven.resp_error = u8::from(pending.error);
            driven.resp_last = 1;
            driven.resp_data = pending.data;
        }
        driven
    }

    /// The transfers of `cycle`, in which it drove `driven` and the machine `outputs`.
    #[inline]
    pub fn step(&mut self, cycle: u64, driven: &MemoryIn, outputs: &MemoryOut) {
        if driven.resp_valid != 0 && outputs.resp_ready != 0 {
            self.pending.remove(0);
        }
        if outputs.req_valid == 0 || driven.req_ready == 0 {
            return;
        }
        let number = self.accepts;
        let access = self.accept(outputs);
        let due = cycle + access.delay_cycles;
        // A later accept waits behind those that are due in the same cycle.
        let place = self.pending.partition_point(|pending| pending.due <= due);
        self.pending.insert(
            place,
            Pending {
                due,
                number,
                id: outputs.req_id,
                error: access.error,
                data: access.data,
            },
        );
    }

    /// Accepts a request of one beat and performs it, without a word on when the response is driven.
    #[inline]
    pub fn accept(&mut self, request: &MemoryOut) -> Access {
        debug_assert!(request.req_beats == 1, "transfers have one beat");
        let delay_cycles = self.latency_cycles + self.next_jitter();
        let address = request.req_addr;
        if address >= self.size_bytes {
            return Access {
                data: 0,
                error: true,
                delay_cycles,
            };
        }
        let data = self.cells.read_cached(address);
        match request.req_op {
            MEM_READ => {}
            MEM_COMPARE_AND_SET => {
                if data == request.req_expected {
                    self.cells.write(address, request.req_wdata);
                }
            }
            _ => {
                let mask = byte_mask(request.req_be);
                self.cells
                    .write(address, data & !mask | request.req_wdata & mask);
            }
        }
        Access {
            data,
            error: false,
            delay_cycles,
        }
    }

    /// The jitter of the next accept, which is counted.
    #[inline]
    fn next_jitter(&mut self) -> u64 {
        const PORT: u64 = 0;
        let number = self.accepts;
        self.accepts += 1;
        if self.jitter_cycles == 0 {
            return 0;
        }
        hash(self.seed, PORT, number) % (self.jitter_cycles + 1)
    }

    /// The first cycle in which it drives a response, if one is under way.
    #[inline]
    pub fn next_event(&self) -> Option<u64> {
        self.pending.first().map(|pending| pending.due)
    }

    /// Every cell that does not hold 0, by address: (address, value).
    pub fn contents(&self) -> Vec<(u64, u64)> {
        self.cells.contents()
    }
}

/// Equal if they answer alike from now on: contents, what is under way, and what decides latency and jitter.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        let timing = |memory: &Self| {
            (
                memory.size_bytes,
                memory.latency_cycles,
                memory.jitter_cycles,
                memory.seed,
                memory.accepts,
            )
        };
        timing(self) == timing(other)
            && self.pending == other.pending
            && self.contents() == other.contents()
    }
}

/// A mask of the bytes that byte enables name.
const fn byte_mask(enables: u8) -> u64 {
    let mut mask = 0;
    let mut byte = 0;
    while byte < 8 {
        if enables >> byte & 1 != 0 {
            mask |= 0xff << (8 * byte);
        }
        byte += 1;
    }
    mask
}

type Page = Box<[u64; CELLS_PER_PAGE]>;

/// Cells in pages, found by a hash of the page number; a small direct-mapped cache stands before that, for the walks.
#[derive(Clone, Debug)]
struct Cells {
    index: HashMap<u64, u32, FixedState>,
    pages: Vec<Page>,
    /// Page number and index into `pages`.
    lines: [(u64, u32); LINES],
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            index: HashMap::with_hasher(FixedState::default()),
            pages: Vec::new(),
            lines: [(NO_PAGE, 0); LINES],
        }
    }
}

impl Cells {
    const fn place(address: u64) -> (u64, usize) {
        let cell = (address >> 3) as usize % CELLS_PER_PAGE;
        (address >> PAGE_SHIFT, cell)
    }

    fn read(&self, address: u64) -> u64 {
        let (page, cell) = Self::place(address);
        self.index
            .get(&page)
            .map_or(0, |index| self.pages[*index as usize][cell])
    }

    #[inline]
    fn read_cached(&mut self, address: u64) -> u64 {
        let (page, cell) = Self::place(address);
        self.find(page)
            .map_or(0, |index| self.pages[index as usize][cell])
    }

    /// The index of a page that exists.
    #[inline]
    fn find(&mut self, page: u64) -> Option<u32> {
        let line = &mut self.lines[page as usize % LINES];
        if line.0 == page {
            return Some(line.1);
        }
        let index = *self.index.get(&page)?;
        *line = (page, index);
        Some(index)
    }

    fn write(&mut self, address: u64, value: u64) {
        let (page, cell) = Self::place(address);
        let index = match self.find(page) {
            Some(index) => index,
            None if value == 0 => return,
            None => {
                let index = self.pages.len() as u32;
                self.pages.push(Box::new([0; CELLS_PER_PAGE]));
                self.index.insert(page, index);
                index
            }
        };
        self.pages[index as usize][cell] = value;
    }

    fn contents(&self) -> Vec<(u64, u64)> {
        let mut pages: Vec<_> = self.index.iter().collect();
        pages.sort_unstable();
        let cells_of = |(page, index): (&u64, &u32)| {
            let first = *page << PAGE_SHIFT;
            let cells = self.pages[*index as usize].iter().enumerate();
            cells
                .filter(|(_, value)| **value != 0)
                .map(|(cell, value)| (first + 8 * cell as u64, *value))
                .collect::<Vec<_>>()
        };
        pages.into_iter().flat_map(cells_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(latency_cycles: u32, jitter_cycles: u32, size_bytes: Option<u64>) -> Memory {
        let spec = MemorySpec {
            latency_cycles,
            jitter_cycles,
            size_bytes,
        };
        Memory::new(&spec, 7)
    }

    fn request(op: u8, address: u64, expected: u64, wdata: u64) -> MemoryOut {
        MemoryOut {
            req_valid: 1,
            req_op: op,
            req_beats: 1,
            req_be: 0xff,
            resp_ready: 1,
            req_addr: address,
            req_wdata: wdata,
            req_expected: expected,
            ..MemoryOut::default()
        }
    }

    /// Steps through `cycles` cycles with the requests of some of them; the answers: (cycle, data, error).
    fn run(
        memory: &mut Memory,
        cycles: u64,
        requests: &[(u64, MemoryOut)],
    ) -> Vec<(u64, u64, bool)> {
        let mut answers = Vec::new();
        for cycle in 0..cycles {
            let driven = memory.inputs(cycle, false);
            if driven.resp_valid != 0 {
                answers.push((cycle, driven.resp_data, driven.resp_error != 0));
            }
            let idle = MemoryOut {
                resp_ready: 1,
                ..MemoryOut::default()
            };
            let found = requests.iter().find(|(at, _)| *at == cycle);
            memory.step(cycle, &driven, found.map_or(&idle, |(_, request)| request));
        }
        answers
    }

    #[test]
    fn cells_hold_zero_where_nothing_was_written() {
        let mut memory = memory(1, 0, None);
        assert_eq!(memory.read_u64(0x1238), Ok(0));
        memory.write_u64(0x1238, 5).unwrap();
        memory.write_u64(0xf_ffff_ffff_fff8, 6).unwrap();
        assert_eq!(memory.read_u64(0x1238), Ok(5));
        assert_eq!(memory.read_u64(0x1230), Ok(0));
        assert_eq!(memory.contents(), [(0x1238, 5), (0xf_ffff_ffff_fff8, 6)]);
    }

    #[test]
    fn an_answer_comes_latency_cycles_after_the_accept() {
        for latency in [1, 2, 50] {
            let mut memory = memory(latency, 0, None);
            memory.write_u64(0x40, 9).unwrap();
            let answers = run(&mut memory, 100, &[(3, request(MEM_READ, 0x40, 0, 0))]);
            assert_eq!(answers, [(3 + u64::from(latency), 9, false)]);
        }
    }

    #[test]
    fn one_answer_a_cycle_in_order_of_due_cycle_and_accept() {
        let mut memory = memory(4, 9, None);
        let requests: Vec<_> = (0..40)
            .map(|cycle| (cycle, request(MEM_READ, 8 * cycle, 0, 0)))
            .collect();
        for cycle in 0..40 {
            memory.write_u64(8 * cycle, cycle + 1).unwrap();
        }
        let answers = run(&mut memory, 100, &requests);
        let mut expected: Vec<_> = (0..40)
            .map(|number| (number + 4 + hash(7, 0, number) % 10, number))
            .collect();
        expected.sort_unstable();
        let mut free_from = 0;
        for ((cycle, data, _), (due, number)) in answers.iter().zip(&expected) {
            free_from = free_from.max(*due);
            assert_eq!((*cycle, *data), (free_from, number + 1));
            free_from += 1;
        }
        assert_eq!(answers.len(), 40);
    }

    #[test]
    fn a_read_samples_when_accepted_and_not_when_answered() {
        let mut memory = memory(5, 0, None);
        memory.write_u64(0x40, 1).unwrap();
        let driven = memory.inputs(0, false);
        memory.step(0, &driven, &request(MEM_READ, 0x40, 0, 0));
        memory.write_u64(0x40, 2).unwrap();
        assert_eq!(memory.inputs(5, false).resp_data, 1);
    }

    #[test]
    fn a_compare_and_set_stores_only_if_memory_holds_what_is_expected() {
        let mut memory = memory(1, 0, None);
        memory.write_u64(0x40, 1).unwrap();
        let accesses = [(0, 1, 3), (1, 1, 4), (2, 3, 5)].map(|(cycle, expected, new)| {
            (cycle, request(MEM_COMPARE_AND_SET, 0x40, expected, new))
        });
        let answers = run(&mut memory, 9, &accesses);
        assert_eq!(answers, [(1, 1, false), (2, 3, false), (3, 3, false)]);
        assert_eq!(memory.read_u64(0x40), Ok(5));
    }

    #[test]
    fn a_write_stores_the_bytes_that_are_enabled() {
        let mut memory = memory(1, 0, None);
        memory.write_u64(0x40, 0x1122_3344_5566_7788).unwrap();
        let mut write = request(super::super::mmu_pkg::MEM_WRITE, 0x40, 0, u64::MAX);
        write.req_be = 0b1000_0001;
        memory.accept(&write);
        assert_eq!(memory.read_u64(0x40), Ok(0xff22_3344_5566_77ff));
    }

    #[test]
    fn memory_answers_with_a_bus_error_from_its_size_on() {
        let mut memory = memory(1, 0, Some(0x2000));
        assert!(memory.read_u64(0x1ff8).is_ok());
        assert!(memory.read_u64(0x2000).is_err());
        assert!(memory.write_u64(0x2000, 1).is_err());
        let answers = run(&mut memory, 5, &[(0, request(MEM_COMPARE_AND_SET, 0x2000, 0, 1))]);
        assert_eq!(answers, [(1, 0, true)]);
        assert_eq!(memory.contents(), []);
    }

    #[test]
    fn a_stalled_memory_accepts_nothing() {
        let mut memory = memory(1, 0, None);
        let driven = memory.inputs(0, true);
        memory.step(0, &driven, &request(MEM_COMPARE_AND_SET, 0x40, 0, 1));
        assert_eq!((memory.contents(), memory.next_event()), (vec![], None));
    }

    #[test]
    fn jitter_is_a_function_of_seed_and_accept_and_spreads_over_its_range() {
        let mut seen = [0; 4];
        let mut memory = memory(1, 3, None);
        for number in 0..400 {
            let delay = memory.accept(&request(MEM_READ, 0, 0, 0)).delay_cycles;
            assert_eq!(delay, 1 + hash(7, 0, number) % 4);
            seen[delay as usize - 1] += 1;
        }
        assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
    }
}
