//! Testbench memory behind one twin: sparse, with latency, jitter and an end.
//!
//! Contract: 13, and the memory port of 3. SDM: none of its own. Counterpart: none; the harness around either twin uses this file,
//! with one instance for each.

use crate::arch::{BusError, PhysicalAddress};
use crate::config::MemorySpec;

use super::mmu_pkg::{MEM_COMPARE_AND_SET, MEM_READ, MemoryIn, MemoryOut, byte_mask};

const PAGE_SHIFT: u32 = 12;
const CELLS_PER_PAGE: usize = 512;
/// Places of the smallest table of pages.
const LEAST_PLACES: usize = 64;
/// No page has this number: an address has 64 bits.
const NO_PAGE: u64 = u64::MAX;
/// An odd number whose multiples are spread well in their upper halves.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

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

/// By the number of a region of 2 MiB, modulo [`TABLES`], where the cells of its page table begin, as far as that is known. It may be wrong.
#[derive(Clone, Debug)]
struct Tables(Vec<u64>);

/// Page tables of which [`Memory::expect`] knows.
const TABLES: usize = 4096;

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
    tables: Tables,
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
            tables: Tables(vec![0; TABLES]),
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

    /// Accepts a request and performs its one beat, without a word on when the response is driven. A twin that asks for another number of
    /// beats is at fault, which the comparators and the provenance check say; the memory must live to let them.
    #[inline]
    pub fn accept(&mut self, request: &MemoryOut) -> Access {
        let delay_cycles = self.latency_cycles + self.next_jitter();
        let address = request.req_addr;
        if address >= self.size_bytes {
            return Access {
                data: 0,
                error: true,
                delay_cycles,
            };
        }
        let data = self.cells.read(address);
        match request.req_op {
            MEM_READ => {}
            MEM_COMPARE_AND_SET => {
                let mask = byte_mask(request.req_be);
                if (data ^ request.req_expected) & mask == 0 {
                    self.cells
                        .write(address, data & !mask | request.req_wdata & mask);
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

    /// The cell at `address`, for a read that may be accepted later; none if that would be a bus error.
    #[inline]
    pub fn look(&self, address: u64) -> Option<u64> {
        (address < self.size_bytes).then(|| self.cells.read(address))
    }

    /// As [`Memory::look`], of the entry of a page table that is used for `va`: [`Memory::expect`] then knows where those of its neighbours
    /// stand.
    #[inline]
    pub fn look_at_leaf(&mut self, va: u64, address: u64) -> Option<u64> {
        if address >= self.size_bytes {
            return None;
        }
        let (page, cell) = Cells::place(address);
        let Ok(index) = self.cells.find(page) else {
            return Some(0);
        };
        let first = index * CELLS_PER_PAGE;
        self.tables.0[(va >> 21) as usize % TABLES] = first as u64;
        Some(self.cells.cells[first + cell])
    }

    /// The entry of a page table that a walk for `va` would read, as far as one can guess: of no meaning. But to ask for those of several
    /// addresses at a time brings them near sooner than if each walk has to wait for its own.
    #[inline]
    pub fn expect(&self, va: u64) -> u64 {
        let first = self.tables.0[(va >> 21) as usize % TABLES] as usize;
        let cell = first + (va >> 12) as usize % CELLS_PER_PAGE;
        self.cells.cells.get(cell).copied().unwrap_or(0)
    }

    /// Accepts so many reads one after the other, whose cells are known: the cycles of all from accept to response.
    #[inline]
    pub fn accept_reads(&mut self, reads: u32) -> u64 {
        let latency_cycles = u64::from(reads) * self.latency_cycles;
        if self.jitter_cycles == 0 {
            self.accepts += u64::from(reads);
            return latency_cycles;
        }
        latency_cycles + (0..reads).map(|_| self.next_jitter()).sum::<u64>()
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

    /// Forgets the cells: all hold 0 again. What is under way is answered as it was accepted.
    pub fn clear(&mut self) {
        self.cells = Cells::default();
    }

    /// Forgets what is under way: after the machine was reset, nothing that was accepted before is answered. Cells keep their values.
    pub fn reset(&mut self) {
        self.pending.clear();
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

/// Cells in pages, found by a hash of the page number, which is open to the next free place.
#[derive(Clone, Debug, Default)]
struct Cells {
    /// For each place the number of a page, or [`NO_PAGE`], and which of `cells` are its. A power of two of places, or none.
    numbers: Vec<u64>,
    indices: Vec<u32>,
    /// Page by page.
    cells: Vec<u64>,
    pages: usize,
}

impl Cells {
    const fn place(address: u64) -> (u64, usize) {
        let cell = (address >> 3) as usize % CELLS_PER_PAGE;
        (address >> PAGE_SHIFT, cell)
    }

    #[inline]
    fn read(&self, address: u64) -> u64 {
        let (page, cell) = Self::place(address);
        let found = self.find(page).ok();
        found.map_or(0, |index| self.cells[index * CELLS_PER_PAGE + cell])
    }

    /// The index of a page that exists, else the place at which it would stand.
    #[inline]
    fn find(&self, page: u64) -> Result<usize, usize> {
        let mask = self.numbers.len().wrapping_sub(1);
        let mut place = (page.wrapping_mul(SPREAD) >> 32) as usize & mask;
        while let Some(number) = self.numbers.get(place) {
            if *number == page {
                return Ok(self.indices[place] as usize);
            }
            if *number == NO_PAGE {
                break;
            }
            place = (place + 1) & mask;
        }
        Err(place)
    }

    fn write(&mut self, address: u64, value: u64) {
        let (page, cell) = Self::place(address);
        let index = match self.find(page) {
            Ok(index) => index,
            Err(_) if value == 0 => return,
            Err(_) => self.add(page),
        };
        self.cells[index * CELLS_PER_PAGE + cell] = value;
    }

    /// A page of zeros, in a table of which at most half the places are taken.
    fn add(&mut self, page: u64) -> usize {
        if 2 * self.pages >= self.numbers.len() {
            self.spread(2 * self.numbers.len().max(LEAST_PLACES / 2));
        }
        let index = self.pages;
        if let Err(place) = self.find(page) {
            self.numbers[place] = page;
            self.indices[place] = index as u32;
        }
        self.pages += 1;
        self.cells.resize(self.pages * CELLS_PER_PAGE, 0);
        index
    }

    fn spread(&mut self, places: usize) {
        let numbers = std::mem::replace(&mut self.numbers, vec![NO_PAGE; places]);
        let indices = std::mem::replace(&mut self.indices, vec![0; places]);
        for (number, index) in numbers.into_iter().zip(indices) {
            if number != NO_PAGE
                && let Err(place) = self.find(number)
            {
                self.numbers[place] = number;
                self.indices[place] = index;
            }
        }
    }

    fn contents(&self) -> Vec<(u64, u64)> {
        let places = self.numbers.iter().zip(&self.indices);
        let mut pages: Vec<_> = places.filter(|(number, _)| **number != NO_PAGE).collect();
        pages.sort_unstable();
        let cells_of = |(page, index): (&u64, &u32)| {
            let first = *page << PAGE_SHIFT;
            let cells = &self.cells[*index as usize * CELLS_PER_PAGE..][..CELLS_PER_PAGE];
            cells
                .iter()
                .enumerate()
                .filter(|(_, value)| **value != 0)
                .map(|(cell, value)| (first + 8 * cell as u64, *value))
                .collect::<Vec<_>>()
        };
        pages.into_iter().flat_map(cells_of).collect()
    }
}
