//! Testbench memory behind one twin: sparse, with latency, jitter and an end.
//!
//! Contract: 13, and the memory port of 3. SDM: none of its own. Counterpart: none; the harness around either twin uses this file,
//! with one instance for each.

use crate::arch::{BusError, PhysicalAddress};
use crate::config::MemorySpec;

use super::cells::Cells;
use super::mmu_pkg::{MEM_COMPARE_AND_SET, MEM_READ, MemoryIn, MemoryOut, byte_mask};
use super::table_cache::TableCache;

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

/// By the number of a region of 2 MiB, modulo [`TABLES`], a hint where the cells of its page table stand. It may be wrong.
#[derive(Clone, Debug)]
struct Tables(Vec<u32>);

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
    /// Cycles from the accept to the response, at least 1: latency and jitter, or the latency of the cache that holds the line.
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
    /// Accesses that it has under way at most.
    outstanding: usize,
    accept_interval_cycles: u64,
    /// The first cycle in which the last accept no longer keeps it from another; 0 where it never does, since accepts may follow each other.
    accepts_from: u64,
    table_cache: Option<TableCache>,
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
            outstanding: spec.outstanding.max(1) as usize,
            accept_interval_cycles: u64::from(spec.accept_interval_cycles),
            accepts_from: 0,
            table_cache: TableCache::new(&spec.table_cache),
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

    /// The first cycle from `cycle` on in which it is not busy with accepts before, if nothing is under way.
    #[inline]
    pub fn accepts_at(&self, cycle: u64) -> u64 {
        cycle.max(self.accepts_from)
    }

    /// What it drives in `cycle`, from its state; with `stalled` it accepts nothing.
    #[inline]
    pub fn inputs(&self, cycle: u64, stalled: bool) -> MemoryIn {
        let mut driven = MemoryIn {
            req_ready: u8::from(!stalled && self.accepts_in(cycle)),
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
        if outputs.req_valid != 0 && driven.req_ready != 0 {
            self.take(cycle, outputs);
        }
    }

    /// Whether it accepts an access in `cycle`, not stalled.
    #[inline]
    pub fn accepts_in(&self, cycle: u64) -> bool {
        cycle >= self.accepts_from && self.pending.len() < self.outstanding
    }

    /// The first cycle in which it accepts an access, if nothing is answered meanwhile.
    #[inline]
    pub fn next_accept(&self) -> u64 {
        if self.pending.len() < self.outstanding {
            self.accepts_from
        } else {
            u64::MAX
        }
    }

    /// The response of `cycle`, if there is one, is transferred: the id of its request, data, and whether it is a bus error.
    #[inline]
    pub fn respond(&mut self, cycle: u64) -> Option<(usize, u64, bool)> {
        let Pending {
            due,
            id,
            error,
            data,
            ..
        } = *self.pending.first()?;
        if due > cycle {
            return None;
        }
        self.pending.remove(0);
        Some((usize::from(id), data, error))
    }

    /// Accepts a request in `cycle`, and answers it when it is due.
    #[inline]
    pub fn take(&mut self, cycle: u64, outputs: &MemoryOut) {
        let number = self.accepts;
        let access = self.accept(cycle, outputs);
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

    /// Accepts a request in `cycle` and performs its one beat; the caller sees to the response. A twin that asks for another number of
    /// beats is at fault, which the comparators and the provenance check say; the memory must live to let them.
    #[inline]
    pub fn accept(&mut self, cycle: u64, request: &MemoryOut) -> Access {
        self.note_accept(cycle);
        let mut delay_cycles = self.latency_cycles + self.next_jitter();
        let address = request.req_addr;
        if address >= self.size_bytes {
            return Access {
                data: 0,
                error: true,
                delay_cycles,
            };
        }
        if let Some(cache) = &mut self.table_cache
            && cache.access(address)
        {
            delay_cycles = cache.latency_cycles();
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
        let hint = &mut self.tables.0[(va >> 21) as usize % TABLES];
        let (data, better) = self.cells.read_by_hint(address, *hint);
        if better != *hint {
            *hint = better;
        }
        Some(data)
    }

    /// The entry of a page table that a walk for `va` would read, as far as one can guess: of no meaning. But to ask for those of several
    /// addresses at a time brings them near sooner than if each walk has to wait for its own.
    #[inline]
    pub fn expect(&self, va: u64) -> u64 {
        let hint = self.tables.0[(va >> 21) as usize % TABLES];
        self.cells.guess(va >> 9, hint)
    }

    /// Whether an access costs the same wherever its cell stands: then reads may be accepted without their addresses.
    #[inline]
    pub const fn is_uniform(&self) -> bool {
        self.table_cache.is_none()
    }

    /// Whether a walker that has its answer is never kept waiting for the one access that it makes at a time: two cycles lie between a
    /// response and its next request.
    pub fn never_waits(&self) -> bool {
        let cached = self.table_cache.as_ref().map(TableCache::latency_cycles);
        let least_cycles = cached.map_or(self.latency_cycles, |cycles| {
            cycles.min(self.latency_cycles)
        });
        self.accept_interval_cycles <= least_cycles + 2
    }

    /// Accepts so many reads of a walker, of which nothing else is under way, whose cells are known: the first in `cycle` or later, each
    /// other two cycles or more after the response to the one before. The second cycle after the last response. [`Memory::is_uniform`]
    /// must hold.
    #[inline]
    pub fn accept_reads(&mut self, cycle: u64, reads: u32) -> u64 {
        if self.jitter_cycles > 0 || self.spaces_accepts() {
            return self.accept_reads_one_by_one(cycle, reads);
        }
        self.accepts += u64::from(reads);
        cycle + u64::from(reads) * (self.latency_cycles + 2)
    }

    #[inline(never)]
    fn accept_reads_one_by_one(&mut self, cycle: u64, reads: u32) -> u64 {
        (0..reads).fold(cycle, |cycle, _| {
            let accepted_at = self.accepts_at(cycle);
            self.note_accept(accepted_at);
            accepted_at + self.latency_cycles + self.next_jitter() + 2
        })
    }

    /// Cycles from the accept of a walk's read to that of its next, if they are the same for every read, in any cycle.
    pub fn steady_read_cycles(&self) -> Option<u64> {
        let steady = self.is_uniform() && self.jitter_cycles == 0 && !self.spaces_accepts();
        steady.then_some(self.latency_cycles + 2)
    }

    /// So many reads were accepted, in cycles that do not matter.
    pub const fn count_reads(&mut self, reads: u64) {
        self.accepts += reads;
    }

    /// Accepts so far.
    #[inline]
    pub const fn accepts(&self) -> u64 {
        self.accepts
    }

    /// The last accept was so many cycles later than was known.
    #[inline]
    pub const fn put_off(&mut self, cycles: u64) {
        if self.spaces_accepts() {
            self.accepts_from += cycles;
        }
    }

    /// Whether an accept may keep it from another in the cycle after, so that cycles of accepts are of consequence.
    #[inline]
    pub const fn spaces_accepts(&self) -> bool {
        self.accept_interval_cycles > 1
    }

    /// It accepts in `cycle`.
    #[inline]
    const fn note_accept(&mut self, cycle: u64) {
        if self.spaces_accepts() {
            self.accepts_from = cycle + self.accept_interval_cycles;
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

    /// Forgets the cells: all hold 0 again. What is under way is answered as it was accepted.
    pub fn clear(&mut self) {
        self.cells = Cells::default();
    }

    /// Forgets what is under way: after the machine was reset, nothing that was accepted before is answered. Cells keep their values.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.accepts_from = 0;
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
                (memory.outstanding, memory.accept_interval_cycles),
                memory.accepts_from,
                memory.seed,
                memory.accepts,
            )
        };
        timing(self) == timing(other)
            && self.table_cache == other.table_cache
            && self.pending == other.pending
            && self.contents() == other.contents()
    }
}
