//! The walker: reads the entries of a path, sets A and D, and answers what the TLBs could not.
//!
//! Contract: 8. SDM vol. 3A, 4.5 (the walk), 4.6 (rights), 4.7 (page faults), 4.8 (accessed and dirty flags), 4.10.3.2 (walks from
//! a paging-structure cache). Counterpart: `rtl/walker.sv`.
//!
//! [`Walker`] is the state and what a step does to it; the `impl Mmu` below it is what START and DONE do to the rest of the machine.
//! The steps know no time: ticking takes one a cycle, and the fast path takes them as fast as it can and adds up the cycles.

use crate::arch::rights::judge;
use crate::arch::{
    Decoded, Entry, EntryRules, Level, PageFaultCode, PageRights, PageSize, PhysicalAddress,
    Registers,
};

use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{
    MEM_COMPARE_AND_SET, MEM_READ, MemoryIn, MemoryOut, PSC_LEVELS, WALK_BUS_ERROR,
    WALK_PAGE_FAULT, WALK_RESTART, WALK_START, WALK_TRANSLATED, WalkEvent,
};
use super::monitor::Sink;
use super::port::{Request, Response};
use super::psc::TablePointer;
use super::spec::{STLB, Spec};
use super::stlb::{MissEntry, MissState};
use super::tlb::TlbEntry;

/// The walker's states, as contract 8 names them.
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

/// How a walk ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The kept entry maps the page, with the rights of the whole path.
    Translated(PageSize),
    /// The access faults with this code.
    PageFault(PageFaultCode),
    /// A read or a compare-and-set met a bus error.
    BusError,
}

/// The walker. While idle, everything but `last_port` is as after reset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Walker {
    state: WalkState,
    /// The port whose miss is walked.
    port: usize,
    /// The port last taken: the next in cyclic order has precedence.
    last_port: usize,
    /// START would perform as a restart.
    restarts: bool,
    /// The walk began at a paging-structure-cache entry.
    cached: bool,
    /// The level of the entry to read next, or being read and examined.
    level: Level,
    /// The table in which that entry stands, and the rights of the path above.
    path: TablePointer,
    /// What was read at each level that leads to a table, by number of paging-structure cache.
    recorded: [Option<TablePointer>; PSC_LEVELS],
    /// The kept entry and error, and the value that a compare-and-set would put in its place.
    entry: Entry,
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

    /// Idle, with `last_port` such that port 0 of `ports` has precedence.
    pub const fn new(ports: usize) -> Self {
        Self::idle(ports - 1)
    }

    const fn idle(last_port: usize) -> Self {
        Self {
            state: WalkState::Idle,
            port: 0,
            last_port,
            restarts: false,
            cached: false,
            level: Level::Pt,
            path: Self::ROOT,
            recorded: [None; PSC_LEVELS],
            entry: Entry(0),
            error: false,
            replacement: Entry(0),
            end: None,
        }
    }

    /// Its state in this cycle.
    #[inline]
    pub const fn state(&self) -> WalkState {
        self.state
    }

    /// The port whose miss it has; meaningful unless idle.
    #[inline]
    pub const fn port(&self) -> usize {
        self.port
    }

    /// How the walk ends; from the last EXAMINE on.
    #[inline]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Contract 8.1: takes the miss of `port`.
    #[inline]
    pub fn take(&mut self, port: usize) {
        self.port = port;
        self.last_port = port;
        self.state = WalkState::Start;
    }

    /// The address of the entry to read or to set.
    #[inline]
    fn entry_address(&self, va: u64) -> u64 {
        let table = PhysicalAddress::new(self.path.frame << 12);
        table.entry_address(va >> self.level.shift() & 0x1ff).raw()
    }

    /// Drives the memory request port (contract 8.3); nothing but `resp_ready` unless in READ or CAS.
    #[inline]
    pub fn show(&self, va: u64, memory: &mut MemoryOut) {
        memory.resp_ready = 1;
        if self.state != WalkState::Read && self.state != WalkState::Cas {
            return;
        }
        memory.req_valid = 1;
        memory.req_beats = 1;
        memory.req_be = 0xff;
        memory.req_addr = self.entry_address(va);
        if self.state == WalkState::Read {
            memory.req_op = MEM_READ;
        } else {
            memory.req_op = MEM_COMPARE_AND_SET;
            memory.req_wdata = self.replacement.raw();
            memory.req_expected = self.entry.raw();
        }
    }

    /// READ or CAS: the request is transferred.
    #[inline]
    pub fn requested(&mut self) {
        self.state = match self.state {
            WalkState::Read => WalkState::ReadWait,
            _ => WalkState::CasWait,
        };
    }

    /// READ_WAIT or CAS_WAIT: the response is transferred. Whether a compare-and-set lost its race.
    #[inline]
    pub fn answered(&mut self, data: u64, error: bool) -> bool {
        let lost = self.state == WalkState::CasWait && !error && data != self.entry.raw();
        self.entry = match self.state {
            _ if error => Entry(0),
            WalkState::CasWait if !lost => self.replacement,
            _ => Entry(data),
        };
        self.error = error;
        self.replacement = Entry(0);
        self.state = WalkState::Examine;
        lost
    }

    /// Contract 8.2: begins at the table that `start`, of the paging-structure cache of that number, leads to, or at the root.
    #[inline]
    pub fn begin(&mut self, start: Option<(usize, TablePointer)>, registers: &Registers) {
        let (level, path) = match start {
            Some((number, pointer)) => (LEVEL_BELOW_CACHE[number], pointer),
            None => (
                registers.paging_mode().root().unwrap_or(Level::Pml4),
                TablePointer {
                    frame: registers.root_table().frame_number(),
                    ..Self::ROOT
                },
            ),
        };
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
                port: self.port,
                restarts: true,
                ..Self::idle(self.last_port)
            };
            return true;
        }
        self.end = Some(end);
        self.state = WalkState::Done;
        false
    }
}

/// The level at which a walk begins that found its start in the paging-structure cache of that number.
const LEVEL_BELOW_CACHE: [Level; PSC_LEVELS] = [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4];

impl Mmu {
    /// Contract 8: one cycle of the walker.
    pub(super) fn step_walker(&mut self, cycle: &Cycle, memory: &MemoryIn, sink: &mut impl Sink) {
        match self.walker.state {
            WalkState::Idle => {
                let ports = self.spec.ports;
                let next = (1..=ports)
                    .map(|step| (self.walker.last_port + step) % ports)
                    .find(|port| cycle.miss[*port] == MissState::WalkWait);
                if let Some(port) = next {
                    self.miss[port].state = MissState::Walking;
                    self.walker.take(port);
                }
            }
            WalkState::Start => {
                if !cycle.busy {
                    self.start_walk(self.now, sink);
                }
            }
            WalkState::Read | WalkState::Cas => {
                if memory.req_ready != 0 {
                    self.statistics
                        .count_memory_request(self.walker.state == WalkState::Cas);
                    self.walker.requested();
                }
            }
            WalkState::ReadWait | WalkState::CasWait => {
                if memory.resp_valid != 0 {
                    self.walk_answered(memory.resp_data, memory.resp_error != 0);
                }
            }
            WalkState::Examine => self.examine(),
            WalkState::Done => {
                if !cycle.busy {
                    let (port, response) = self.end_walk(self.now, sink);
                    self.ports[port].respond(response);
                }
            }
        }
    }

    /// The response to a read or a compare-and-set.
    #[inline]
    pub(super) fn walk_answered(&mut self, data: u64, error: bool) {
        if self.walker.answered(data, error) {
            self.statistics.walks.races_lost += 1;
        }
    }

    /// EXAMINE performs.
    #[inline]
    pub(super) fn examine(&mut self) {
        let entry = &mut self.miss[self.walker.port];
        if self.walker.examine(
            &entry.request,
            self.control.registers(),
            self.control.entry_rules(),
        ) {
            entry.from_cr3 = true;
        }
    }

    /// START performs, in cycle `now` (contract 8.2).
    #[inline]
    pub(super) fn start_walk(&mut self, now: u64, sink: &mut impl Sink) {
        let port = self.walker.port;
        let registers = *self.control.registers();
        let MissEntry {
            request, from_cr3, ..
        } = self.miss[port];
        let start = if from_cr3 {
            self.drop_address(port, sink);
            None
        } else {
            let five_level = registers.paging_mode().root() == Some(Level::Pml5);
            let start = self
                .psc
                .look_up(request.va, self.control.pcid(), five_level);
            let matched = start.map(|(number, _)| number);
            self.statistics.count_psc_look_up(matched, five_level);
            start
        };
        let event = WalkEvent {
            op: if self.walker.restarts {
                WALK_RESTART
            } else {
                WALK_START
            },
            port: port as u8,
            psc_level: start.map_or(0, |(number, _)| number as u8 + 2),
            entry: 0,
            filled: 0,
        };
        sink.walk(event);
        self.statistics.count_walk(&event, now);
        self.walker.begin(start, &registers);
    }

    /// DONE performs, in cycle `now` (contract 8.5): the port and its response, which the caller hands over.
    #[inline]
    pub(super) fn end_walk(&mut self, now: u64, sink: &mut impl Sink) -> (usize, Response) {
        let port = self.walker.port;
        let MissEntry {
            request,
            right_to_fill,
            ..
        } = self.miss[port];
        let mut event = WalkEvent {
            op: WALK_TRANSLATED,
            port: port as u8,
            ..WalkEvent::default()
        };
        let response = match self.walker.end {
            Some(End::Translated(size)) => {
                let (leaf, rights) = (self.walker.entry, self.walker.path.rights);
                let entry =
                    TlbEntry::of_leaf(request.va, size, leaf, rights, self.control.registers());
                if right_to_fill {
                    event.filled = 1;
                    self.fill_after_walk(port, &request, size, entry, sink);
                }
                Response::translated(&request, size, entry)
            }
            Some(End::PageFault(code)) => {
                event.op = WALK_PAGE_FAULT;
                self.drop_address(port, sink);
                Response::page_fault(&request, code)
            }
            Some(End::BusError) | None => {
                event.op = WALK_BUS_ERROR;
                Response::bus_error(&request)
            }
        };
        sink.walk(event);
        self.statistics.count_walk(&event, now);
        self.miss[port] = MissEntry::FREE;
        self.walker = Walker::idle(self.walker.last_port);
        (port, response)
    }

    /// The first item of contract 8.5: STLB, first level, and the paging-structure caches of the levels that were read.
    #[inline]
    fn fill_after_walk(
        &mut self,
        port: usize,
        request: &Request,
        size: PageSize,
        entry: TlbEntry,
        sink: &mut impl Sink,
    ) {
        self.fill_array(STLB, size, entry, sink);
        self.fill_array(Spec::first_level(port), size, entry, sink);
        let pcid = self.control.pcid();
        for cache in 0..PSC_LEVELS {
            if let Some(pointer) = self.walker.recorded[cache] {
                let event = self.psc.fill(cache, request.va, pcid, pointer);
                sink.psc(cache, &event);
                self.statistics.count_psc_event(cache, &event);
            }
        }
    }
}
