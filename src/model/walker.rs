//! One walker: reads the entries of a path, sets A and D, and answers what the TLBs could not.
//!
//! Contract: 8. SDM vol. 3A, 4.3 and 4.5 (the walk), 4.6 (rights), 4.7 (page faults), 4.8 (accessed and dirty flags), 4.10.3.2 (walks from
//! a paging-structure cache). Counterpart: `rtl/walker.sv`, `rtl/examine.sv`.
//!
//! [`Walker`] is the state and what a step does to it; what START and DONE do to the rest of the machine stands in `walkers.rs`. The steps
//! know no time: ticking takes one a cycle, and the fast path takes them as fast as it can and adds up the cycles.

use crate::arch::rights::judge;
use crate::arch::{
    Decoded, Entry, EntryRules, EntrySlot, Level, PageFaultCode, PageRights, PageSize, PagingMode,
    PhysicalAddress, Registers,
};

use super::mmu_pkg::{MEM_COMPARE_AND_SET, MEM_READ, MemoryOut, PREFETCH_ENTRY, PSC_LEVELS};
use super::port::Request;
use super::psc::TablePointer;

/// A walker's states, as contract 8 names them and 10.1 numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WalkState {
    Idle,
    Start,
    Read,
    ReadWait,
    Examine,
    Cas,
    CasWait,
    Done,
}

/// The states of all walkers, in one word: by state, the walkers that are in it, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WalkStates(u32);

impl WalkStates {
    /// All walkers, the contract's most, are idle.
    pub const IDLE: Self = Self(0xf);

    /// The walkers in `state`.
    #[inline]
    pub const fn of(self, state: WalkState) -> u32 {
        self.0 >> (4 * state as u32) & 0xf
    }

    /// Those in START or DONE.
    #[inline]
    pub const fn committing(self) -> u32 {
        self.of(WalkState::Start) | self.of(WalkState::Done)
    }

    /// Those that want the memory port.
    #[inline]
    pub const fn wanting(self) -> u32 {
        self.of(WalkState::Read) | self.of(WalkState::Cas)
    }

    /// Walker `number` is in `state` now.
    #[inline]
    pub const fn set(&mut self, number: usize, state: WalkState) {
        const ALL_STATES: u32 = 0x1111_1111;
        self.0 = self.0 & !(ALL_STATES << number) | 1 << (4 * state as usize + number);
    }
}

/// How a walk ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The kept entry maps the page, with the rights of the whole path.
    Translated(PageSize),
    /// The access faults with this code.
    PageFault(PageFaultCode),
    /// A read or a compare-and-set met a bus error.
    BusError,
    /// A prefetch is given up (contract 8.6).
    Stopped,
}

/// A walker. While it is idle, everything is as after reset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Walker {
    state: WalkState,
    /// The entry of the miss queue that is walked, or [`PREFETCH_ENTRY`].
    pub(super) owner: u8,
    /// The address that is walked.
    pub(super) va: u64,
    /// START would perform as a restart.
    pub(super) restarts: bool,
    /// The mode in which the walk began: a prefetch may outlive it.
    mode: PagingMode,
    /// The walk began at a paging-structure-cache entry.
    cached: bool,
    /// The level of the entry to read next, or being read and examined.
    level: Level,
    /// The table in which that entry stands, and the rights of the path above.
    pub(super) path: TablePointer,
    /// What was read at each level that leads to a table, by number of paging-structure cache.
    pub(super) recorded: [Option<TablePointer>; PSC_LEVELS],
    /// The kept entry and error, and the value that a compare-and-set would put in its place.
    pub(super) entry: Entry,
    error: bool,
    replacement: Entry,
    /// Set from the last EXAMINE on.
    end: Option<End>,
}

impl Walker {
    const ROOT: TablePointer = TablePointer {
        frame: 0,
        rights: PageRights::ALL,
    };

    /// Without a walk.
    pub const IDLE: Self = Self {
        state: WalkState::Idle,
        owner: 0,
        va: 0,
        restarts: false,
        mode: PagingMode::Off,
        cached: false,
        level: Level::Pt,
        path: Self::ROOT,
        recorded: [None; PSC_LEVELS],
        entry: Entry(0),
        error: false,
        replacement: Entry(0),
        end: None,
    };

    /// Its state in this cycle.
    #[inline]
    pub const fn state(&self) -> WalkState {
        self.state
    }

    /// The number of the entry of the miss queue that it has, or [`PREFETCH_ENTRY`]; meaningful unless idle.
    #[inline]
    pub const fn owner(&self) -> usize {
        self.owner as usize
    }

    /// Whether it walks the prefetch.
    #[inline]
    pub const fn has_prefetch(&self) -> bool {
        self.owner == PREFETCH_ENTRY
    }

    /// How the walk ends; from the last EXAMINE on.
    #[inline]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Contract 8.1: takes the request for `va` of the entry `owner` of the miss queue, or of the prefetch.
    #[inline]
    pub fn take(&mut self, owner: usize, va: u64) {
        self.owner = owner as u8;
        self.va = va;
        self.state = WalkState::Start;
    }

    /// The address of the entry to read or to set.
    #[inline]
    const fn entry_address(&self) -> PhysicalAddress {
        let table = PhysicalAddress::from_masked(self.path.frame << 12);
        self.mode.entry_address(table, self.level, self.va)
    }

    /// Where that entry stands in the cell that is transferred.
    #[inline]
    const fn slot(&self) -> EntrySlot {
        EntrySlot::of(self.mode, self.entry_address())
    }

    /// What a cell that holds `data` has of an entry of 4 bytes. Out of line: modes with entries of 8 bytes are not to pay for it.
    #[inline(never)]
    const fn half_of(&self, data: u64) -> Entry {
        self.slot().extract(data)
    }

    /// Its word of contract 10.1.
    #[inline]
    pub fn word(&self) -> u32 {
        let level = match self.state {
            WalkState::Idle => return 0,
            WalkState::Start | WalkState::Done => 0,
            _ => self.level.array_index() as u32 + 1,
        };
        self.state as u32 | u32::from(self.owner) << 3 | level << 8
    }

    /// Drives the memory request port (contract 8.3). It must be in READ or CAS.
    #[inline]
    pub fn show(&self, memory: &mut MemoryOut) {
        memory.req_valid = 1;
        memory.req_beats = 1;
        let slot = self.slot();
        memory.req_be = slot.byte_enables();
        memory.req_addr = EntrySlot::cell(self.entry_address()).raw();
        if self.state == WalkState::Read {
            memory.req_op = MEM_READ;
        } else {
            memory.req_op = MEM_COMPARE_AND_SET;
            memory.req_wdata = slot.place(self.replacement);
            memory.req_expected = slot.place(self.entry);
        }
    }

    /// Whether the entry to read stands in a table of the lowest level.
    #[inline]
    pub const fn reads_leaf(&self) -> bool {
        matches!(self.level, Level::Pt)
    }

    /// READ or CAS: the request is transferred.
    #[inline]
    pub fn requested(&mut self) {
        self.state = match self.state {
            WalkState::Read => WalkState::ReadWait,
            _ => WalkState::CasWait,
        };
    }

    /// READ_WAIT or CAS_WAIT: the response is transferred. Whether a compare-and-set lost its race, which what stands beside the entry in
    /// its cell has no part in.
    #[inline]
    pub fn answered(&mut self, data: u64, error: bool) -> bool {
        let found = match self.mode {
            PagingMode::TwoLevel => self.half_of(data),
            PagingMode::Off | PagingMode::FourLevel | PagingMode::FiveLevel => Entry(data),
        };
        let lost = self.state == WalkState::CasWait && !error && found != self.entry;
        self.entry = match self.state {
            _ if error => Entry(0),
            WalkState::CasWait if !lost => self.replacement,
            _ => found,
        };
        self.error = error;
        self.replacement = Entry(0);
        self.state = WalkState::Examine;
        lost
    }

    /// Contract 8.2: begins at the table that `start`, of the paging-structure cache of that number, leads to, or at the root.
    #[inline]
    pub fn begin(&mut self, start: Option<(usize, TablePointer)>, registers: &Registers) {
        let mode = registers.paging_mode();
        let (level, path) = match start {
            Some((number, pointer)) => (LEVEL_BELOW_CACHE[number], pointer),
            None => (
                mode.root().unwrap_or(Level::Pml4),
                TablePointer {
                    frame: registers.root_table().frame_number(),
                    ..Self::ROOT
                },
            ),
        };
        self.mode = mode;
        self.cached = start.is_some();
        self.level = level;
        self.path = path;
        self.state = WalkState::Read;
    }

    /// Contract 8.4. Whether the walk restarts.
    #[inline]
    pub fn examine(
        &mut self,
        request: &Request,
        registers: &Registers,
        rules: &EntryRules,
    ) -> bool {
        let access = &request.access;
        if self.error {
            return self.conclude(End::BusError);
        }
        match rules.decode(self.level, self.entry) {
            Decoded::NotPresent => self.fault(PageFaultCode::not_present(access, registers)),
            Decoded::Reserved { .. } => self.fault(PageFaultCode::reserved_bit(access, registers)),
            Decoded::Table => {
                let used = self.entry.after_use_as_table();
                if !self.set_in_memory(used) {
                    self.descend();
                }
                false
            }
            Decoded::Leaf(size) => {
                let rights = self.path.rights.through_leaf(self.entry);
                if let Err(code) = judge(rights, access, registers) {
                    return self.fault(code);
                }
                let used = self.entry.after_use_as_leaf(access.is_write());
                if self.set_in_memory(used) {
                    return false;
                }
                self.path.rights = rights;
                self.end = Some(End::Translated(size));
                self.state = WalkState::Done;
                false
            }
        }
    }

    /// EXAMINE of a prefetch (contract 8.6), with or without the right to fill.
    #[inline]
    pub fn examine_prefetch(&mut self, right_to_fill: bool, rules: &EntryRules) {
        let decoded = if right_to_fill && !self.error {
            rules.decode(self.level, self.entry)
        } else {
            Decoded::NotPresent
        };
        match decoded {
            Decoded::Table if self.entry == self.entry.after_use_as_table() => self.descend(),
            Decoded::Leaf(size) if self.entry == self.entry.after_use_as_leaf(false) => {
                self.path.rights = self.path.rights.through_leaf(self.entry);
                self.end = Some(End::Translated(size));
                self.state = WalkState::Done;
            }
            _ => self.stop(),
        }
    }

    /// A prefetch is given up.
    pub fn stop(&mut self) {
        self.end = Some(End::Stopped);
        self.state = WalkState::Done;
    }

    /// If the kept entry is not yet as `used`, next is CAS.
    #[inline]
    fn set_in_memory(&mut self, used: Entry) -> bool {
        let change = used != self.entry;
        if change {
            self.replacement = used;
            self.state = WalkState::Cas;
        }
        change
    }

    /// Goes on to the table that the kept entry refers to, and records it.
    #[inline]
    fn descend(&mut self) {
        let pointer = TablePointer {
            frame: self.entry.table().frame_number(),
            rights: self.path.rights.through_table(self.entry),
        };
        // The entry of a PDE's level fills cache 0, of a PDPTE's cache 1, and so on; no entry of the lowest level is a table.
        self.recorded[self.level.array_index() - 1] = Some(pointer);
        self.path = pointer;
        self.level = self.level.below().unwrap_or(Level::Pt);
        self.state = WalkState::Read;
    }

    #[inline]
    fn fault(&mut self, code: PageFaultCode) -> bool {
        self.conclude(End::PageFault(code))
    }

    /// A bus error or page fault: a walk that began at a cached entry restarts, another is done.
    fn conclude(&mut self, end: End) -> bool {
        if self.cached {
            *self = Self {
                state: WalkState::Start,
                owner: self.owner,
                va: self.va,
                restarts: true,
                ..Self::IDLE
            };
            return true;
        }
        self.end = Some(end);
        self.state = WalkState::Done;
        false
    }
}

/// The level at which a walk begins that found its start in the paging-structure cache of that number.
pub(super) const LEVEL_BELOW_CACHE: [Level; PSC_LEVELS] =
    [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4];
