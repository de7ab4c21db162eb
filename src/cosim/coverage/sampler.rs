//! Counts the cells of the crosses from the cycles of one twin; where the twins agree they are those of both.
//!
//! Contract: 3 (links), 6 to 9, 10 (monitor). SDM vol. 3A, 4.6, 4.7. Counterpart: none.
//!
//! Each request is followed from its accept to its response: by its look-ups, by its entry of the miss queue, by the walker that has it.
//! What a walk read is kept by level, because a fault says that rights denied, and not which.

use std::collections::VecDeque;

use super::cells::{Cells, Cross};
use super::invalidation::{INVALIDATIONS, kind, phases};
use super::machine::{FIVE_LEVEL, FOUR_LEVEL, OFF, TWO_LEVEL};
use super::queues::{COMMITS, CONTROL, MEMORY_PORT, MISS_QUEUE, event, fill, winner};
use super::translation::{NO_ENTRY, PREFETCHES, REQUESTS, outcome, prefetch_end, way};
use crate::arch::entry::bit;
use crate::arch::registers::{cr0, cr4};
use crate::arch::{PageFaultCode, PagingMode};
use crate::config::Config;
use crate::cosim::events::paging_mode;
use crate::model::liveness::{MissWord, WalkerWord};
use crate::model::mmu_pkg::{
    CTRL_INVLPG, CTRL_INVPCID, CTRL_MOV_CR3, ControlOut, Inputs, KIND_FETCH, KIND_READ, KIND_WRITE,
    LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR, LOOKUP_HIT_1G, LOOKUP_HIT_4K, LOOKUP_MERGED,
    LOOKUP_NONE, MAX_PORTS, MAX_WALKERS, MEM_READ, MISS_FREE, MISS_STLB_BUSY, Outputs,
    PREFETCH_ENTRY, PortIn, PortOut, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION,
    STATUS_TRANSLATED, WALK_BUS_ERROR, WALK_NONE, WALK_PAGE_FAULT, WALK_RESTART, WALK_START,
    WALK_STOPPED, WALK_TRANSLATED, WalkEvent, byte_mask, miss_state,
};

/// All crosses.
pub const ALL: [Cross; 7] = [
    REQUESTS,
    PREFETCHES,
    INVALIDATIONS,
    MISS_QUEUE,
    COMMITS,
    MEMORY_PORT,
    CONTROL,
];
const OF_REQUESTS: usize = 0;
const OF_PREFETCHES: usize = 1;
const OF_INVALIDATIONS: usize = 2;
const OF_MISS_QUEUE: usize = 3;
const OF_COMMITS: usize = 4;
const OF_MEMORY_PORT: usize = 5;
const OF_CONTROL: usize = 6;

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Tracked {
    mode: usize,
    user: bool,
    implicit: bool,
    ac: bool,
    kind: u8,
    way: usize,
    /// Where its walk ended.
    place: usize,
    /// Which rights denied it.
    denied: usize,
}

/// What is kept of the walk of a walker.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    mode: usize,
    cached: bool,
    /// Entries read since it began, by level.
    entries: [u64; 6],
    /// The level of what was read last; 0: nothing was.
    level: usize,
    /// The access that is not answered.
    access: Option<Access>,
}

#[derive(Debug, Clone, Copy)]
struct Access {
    level: usize,
    compares: bool,
    expected: u64,
    wdata: u64,
    enables: u8,
}

/// A control operation under way.
#[derive(Debug, Clone, Copy)]
struct Operation {
    /// Of the cross of control operations: operation, mode, whether something was outstanding.
    cell: [usize; 3],
    /// Of the cross of invalidations, if it has a part there.
    what: Option<usize>,
    /// Whether it waits until nothing is outstanding.
    serialises: bool,
    performed: bool,
    met: u64,
}

/// Samples the cycles of one run.
#[derive(Debug, Clone)]
pub struct Sampler {
    cells: Cells,
    entries: usize,
    hit_cycles: [u64; MAX_PORTS],
    cycle: u64,
    requests: Vec<Option<Tracked>>,
    /// Requests not yet looked up, by port: id, and the first cycle in which they may be.
    due: [VecDeque<(u8, u64)>; MAX_PORTS],
    outstanding: u64,
    walks: [Walk; MAX_WALKERS],
    operation: Option<Operation>,
    /// Entries in STLB_BUSY in the cycle before, walkers that were not idle, and those in START or DONE.
    before: (u16, usize, usize),
}

impl Sampler {
    /// A sampler for a machine in reset.
    pub fn new(config: &Config) -> Self {
        let hit_cycles = std::array::from_fn(|port| {
            let level = if port == 0 {
                &config.itlb
            } else {
                &config.dtlb
            };
            u64::from(level.hit_latency_cycles)
        });
        Self {
            cells: Cells::new(&ALL),
            entries: config.miss_queue.entries as usize,
            hit_cycles,
            cycle: 0,
            requests: vec![None; MAX_PORTS * 256],
            due: Default::default(),
            outstanding: 0,
            walks: [Walk::default(); MAX_WALKERS],
            operation: None,
            before: (0, 0, 0),
        }
    }

    /// What was counted.
    pub fn into_cells(self) -> Cells {
        self.cells
    }

    /// What was counted so far.
    pub const fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Takes a cycle into account. Every cycle since reset must pass here, in order.
    pub fn observe(&mut self, inputs: &Inputs, outputs: &Outputs) {
        self.perform(outputs);
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if shown.resp_valid & pins.resp_ready != 0 {
                self.respond(port, shown);
            }
        }
        self.commits(outputs);
        self.look_ups(outputs);
        for (walker, event) in outputs.monitor.walk.iter().enumerate() {
            if event.op != WALK_NONE {
                self.walk(walker, event, outputs);
            }
        }
        self.memory(inputs, outputs);
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if pins.req_valid & shown.req_ready != 0 {
                self.accept(port, pins, &outputs.control);
            }
        }
        self.control(inputs, outputs);
        self.cycle += 1;
    }

    fn hit(&mut self, cross: usize, values: &[usize]) {
        self.cells.hit(cross, ALL[cross].index(values));
    }

    fn slot(port: usize, id: u8) -> usize {
        port * 256 + usize::from(id)
    }

    fn accept(&mut self, port: usize, pins: &PortIn, control: &ControlOut) {
        let implicit = pins.req_implicit_supervisor != 0;
        self.requests[Self::slot(port, pins.req_id)] = Some(Tracked {
            mode: mode_of(control),
            user: pins.req_cpl == 3 && !implicit,
            implicit,
            ac: pins.req_ac != 0,
            kind: pins.req_kind,
            way: way::BYPASS,
            place: NO_ENTRY,
            denied: outcome::USER,
        });
        let due = self.cycle + self.hit_cycles[port];
        self.due[port].push_back((pins.req_id, due));
        self.outstanding += 1;
    }

    fn respond(&mut self, port: usize, shown: &PortOut) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let slot = Self::slot(port, shown.resp_id);
        let Some(request) = self.requests[slot].take() else {
            return;
        };
        let code = PageFaultCode(u32::from(shown.resp_error_code));
        let (place, result) = match shown.resp_status {
            // Sizes are coded 4K, 2M, 1G, 4M.
            STATUS_TRANSLATED => {
                let place = [0, 1, 2, 1][usize::from(shown.resp_page_size & 3)];
                (place, outcome::TRANSLATED)
            }
            STATUS_GENERAL_PROTECTION => (NO_ENTRY, outcome::NOT_CANONICAL),
            STATUS_BUS_ERROR => (request.place, outcome::BUS_ERROR),
            _ if !code.has(PageFaultCode::P) => (request.place, outcome::NOT_PRESENT),
            _ if code.has(PageFaultCode::RSVD) => (request.place, outcome::RESERVED),
            _ => (request.place, request.denied),
        };
        let privilege = match (request.user, request.implicit) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let kind = match request.kind {
            KIND_READ => 0,
            KIND_WRITE => 1,
            _ => 2,
        };
        let access = 3 * privilege + kind;
        self.hit(
            OF_REQUESTS,
            &[request.mode, place, access, result, request.way],
        );
    }

    fn look_ups(&mut self, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        let taken = outputs.queues.miss[..self.entries]
            .iter()
            .filter(|word| miss_state(**word) != MISS_FREE)
            .count();
        let queue = match self.entries - taken {
            0 => fill::FULL,
            _ if taken == 0 => fill::EMPTY,
            1 => fill::LAST,
            _ => fill::SOME,
        };
        for port in 0..MAX_PORTS {
            let code = monitor.lookup[port];
            let retry = monitor.lookup_retry[port] != 0;
            if code == LOOKUP_NONE {
                let waits = self.due[port]
                    .front()
                    .is_some_and(|(_, due)| *due <= self.cycle);
                if waits && queue == fill::FULL {
                    self.hit(OF_MISS_QUEUE, &[queue, event::WAITS]);
                }
                continue;
            }
            let what = match (code, retry) {
                (LOOKUP_HIT_4K..=LOOKUP_HIT_1G, false) => event::HIT,
                (LOOKUP_HIT_4K..=LOOKUP_HIT_1G, true) => event::RETRY_HIT,
                (LOOKUP_BYPASS, _) => event::BYPASS,
                (LOOKUP_MERGED, _) => event::MERGED,
                (LOOKUP_DENIED, false) => event::DENIED,
                (LOOKUP_DENIED, true) => event::RETRY_DENIED,
                (LOOKUP_DIRTY_CLEAR, false) => event::DIRTY,
                (LOOKUP_DIRTY_CLEAR, true) => event::RETRY_DIRTY,
                (_, false) => event::MISS,
                (_, true) => event::RETRY_MISS,
            };
            self.hit(OF_MISS_QUEUE, &[queue, what]);
            let id = if retry {
                let entry = usize::from(monitor.lookup_entry[port]);
                outputs
                    .queues
                    .miss
                    .get(entry)
                    .map(|word| MissWord::new(*word).id)
            } else {
                self.due[port].pop_front().map(|(id, _)| id)
            };
            let found = id.and_then(|id| self.requests[Self::slot(port, id)].as_mut());
            if let Some(request) = found {
                match code {
                    LOOKUP_HIT_4K..=LOOKUP_HIT_1G if retry => request.way = way::AFTER_WAIT,
                    LOOKUP_HIT_4K..=LOOKUP_HIT_1G => request.way = way::FIRST_LEVEL,
                    LOOKUP_DENIED => request.way = way::DENIED_HIT,
                    LOOKUP_DIRTY_CLEAR => request.way = way::DIRTY_CLEAR,
                    _ => {}
                }
            }
        }
        if monitor.stlb_lookup != LOOKUP_NONE && monitor.stlb_entry != PREFETCH_ENTRY {
            let to = match monitor.stlb_lookup {
                LOOKUP_HIT_4K..=LOOKUP_HIT_1G => way::STLB,
                LOOKUP_DENIED => way::DENIED_HIT,
                LOOKUP_DIRTY_CLEAR => way::DIRTY_CLEAR,
                _ => return,
            };
            if let Some(request) = self.of_entry(monitor.stlb_entry, outputs) {
                request.way = to;
            }
        }
    }

    /// The request of an entry of the miss queue.
    fn of_entry(&mut self, entry: u8, outputs: &Outputs) -> Option<&mut Tracked> {
        let word = MissWord::new(*outputs.queues.miss.get(usize::from(entry))?);
        let slot = Self::slot(usize::from(word.port), word.id);
        self.requests.get_mut(slot)?.as_mut()
    }

    fn walk(&mut self, number: usize, event: &WalkEvent, outputs: &Outputs) {
        let of_prefetch = event.entry == PREFETCH_ENTRY;
        let word = outputs.queues.miss.get(usize::from(event.entry));
        let from_cr3 = word.is_some_and(|word| word >> 14 & 1 != 0);
        match event.op {
            WALK_START | WALK_RESTART => {
                if event.op == WALK_RESTART || (from_cr3 && !of_prefetch) {
                    self.drops(kind::DROP_AT_START, number, event, outputs);
                }
                let cached = event.psc_level != 0;
                self.walks[number] = Walk {
                    mode: mode_of(&outputs.control),
                    cached,
                    ..Walk::default()
                };
                let restarts = event.op == WALK_RESTART;
                if of_prefetch {
                    return;
                }
                if let Some(request) = self.of_entry(event.entry, outputs)
                    && !matches!(request.way, way::DENIED_HIT | way::DIRTY_CLEAR)
                {
                    request.way = match (restarts, cached) {
                        (true, _) => way::RESTARTED_WALK,
                        (false, true) => way::CACHED_WALK,
                        (false, false) => way::WALK,
                    };
                }
            }
            WALK_TRANSLATED | WALK_STOPPED if of_prefetch => {
                let walk = self.walks[number];
                let place = walk.level.checked_sub(1).unwrap_or(NO_ENTRY);
                let end = match (event.op, event.filled) {
                    (WALK_STOPPED, _) => prefetch_end::STOPPED,
                    (_, 0) => prefetch_end::FORFEITED,
                    _ => prefetch_end::FILLED,
                };
                let begin = usize::from(walk.cached);
                self.hit(OF_PREFETCHES, &[walk.mode, place, end, begin]);
            }
            WALK_PAGE_FAULT | WALK_BUS_ERROR => {
                if event.op == WALK_PAGE_FAULT {
                    self.drops(kind::DROP_AT_FAULT, number, event, outputs);
                }
                let walk = self.walks[number];
                if let Some(request) = self.of_entry(event.entry, outputs) {
                    request.place = walk.level.checked_sub(1).unwrap_or(NO_ENTRY);
                    request.denied = why_denied(&walk, request, &outputs.control);
                }
            }
            _ => {}
        }
    }

    fn drops(&mut self, what: usize, walker: usize, event: &WalkEvent, outputs: &Outputs) {
        let met = phases(&outputs.queues, Some((walker, event.entry)));
        self.met(what, met);
    }

    fn met(&mut self, what: usize, met: u64) {
        let mut rest = met;
        while rest != 0 {
            let phase = rest.trailing_zeros() as usize;
            self.hit(OF_INVALIDATIONS, &[what, phase]);
            rest &= rest - 1;
        }
    }

    /// What committed in this cycle; the result of the STLB shows in the next.
    fn commits(&mut self, outputs: &Outputs) {
        let queues = &outputs.queues;
        let busy = (0..self.entries)
            .filter(|entry| miss_state(queues.miss[*entry]) == MISS_STLB_BUSY)
            .fold(0u16, |busy, entry| busy | 1 << entry);
        let walkers =
            || (0..MAX_WALKERS).map(|number| WalkerWord::new(number, queues.walker[number]));
        let active = walkers().filter(|walker| walker.state != 0).count();
        let wanting = walkers()
            .filter(|walker| walker.state == 1 || walker.state == 7)
            .count();
        let (busy_before, active_before, wanting_before) = self.before;
        if busy_before & !busy != 0 {
            self.hit(OF_COMMITS, &[winner::RESULT, active_before, wanting_before]);
        }
        self.before = (busy, active, wanting);
        for event in &outputs.monitor.walk {
            let what = match event.op {
                WALK_START => winner::START,
                WALK_RESTART => winner::RESTART,
                WALK_TRANSLATED => winner::TRANSLATED,
                WALK_PAGE_FAULT => winner::PAGE_FAULT,
                WALK_BUS_ERROR => winner::BUS_ERROR,
                WALK_STOPPED => winner::STOPPED,
                _ => continue,
            };
            self.hit(OF_COMMITS, &[what, active, wanting.saturating_sub(1)]);
        }
    }

    fn memory(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        if shown.req_valid != 0 {
            let outstanding = self
                .walks
                .iter()
                .filter(|walk| walk.access.is_some())
                .count();
            // READ and CAS.
            let wanting = outputs
                .queues
                .walker
                .iter()
                .filter(|word| matches!(**word & 7, 2 | 5))
                .count();
            let compares = shown.req_op != MEM_READ;
            let values = [
                usize::from(compares),
                usize::from(pins.req_ready != 0),
                outstanding.min(3),
                wanting.saturating_sub(1).min(3),
            ];
            self.hit(OF_MEMORY_PORT, &values);
        }
        if pins.resp_valid & shown.resp_ready != 0
            && let Some(walk) = self.walks.get_mut(usize::from(pins.resp_id))
            && let Some(access) = walk.access.take()
        {
            walk.level = access.level;
            walk.entries[access.level] = access.entry(pins.resp_data);
        }
        if shown.req_valid & pins.req_ready != 0
            && let Some(walk) = self.walks.get_mut(usize::from(shown.req_id))
        {
            let number = usize::from(shown.req_id);
            let word = WalkerWord::new(number, outputs.queues.walker[number]);
            walk.access = Some(Access {
                level: word.level.clamp(1, 5) as usize,
                compares: shown.req_op != MEM_READ,
                expected: shown.req_expected,
                wdata: shown.req_wdata,
                enables: shown.req_be,
            });
        }
    }

    /// The operation under way, in the cycle in which it performs.
    fn perform(&mut self, outputs: &Outputs) {
        let outstanding = self.outstanding;
        let Some(operation) = &mut self.operation else {
            return;
        };
        if operation.performed || operation.serialises && outstanding > 0 {
            return;
        }
        operation.performed = true;
        operation.met = phases(&outputs.queues, None);
    }

    fn control(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.control, &outputs.control);
        if shown.resp_valid & pins.resp_ready != 0
            && let Some(operation) = self.operation.take()
        {
            let refused = shown.resp_gp != 0;
            let [what, mode, busy] = operation.cell;
            self.hit(OF_CONTROL, &[what, mode, busy, usize::from(refused)]);
            if let (Some(what), false) = (operation.what, refused) {
                self.met(what, operation.met);
            }
        }
        if pins.valid & shown.ready != 0 {
            let invpcid = pins.kind.min(4) as usize;
            let number = match pins.op {
                CTRL_INVPCID => 5 + invpcid,
                op => usize::from(op),
            };
            let pcide = shown.cr4 & cr4::PCIDE != 0;
            let what = match pins.op {
                CTRL_INVLPG => is_canonical(shown, pins.data).then_some(kind::INVLPG),
                CTRL_INVPCID => (invpcid < 4).then_some(kind::INVPCID + invpcid),
                CTRL_MOV_CR3 if pcide && pins.data >> 63 != 0 => Some(kind::MOV_CR3_KEEP),
                CTRL_MOV_CR3 => Some(kind::MOV_CR3),
                0 => Some(kind::MOV_CR0),
                2 => Some(kind::MOV_CR4),
                _ => Some(kind::WRMSR_EFER),
            };
            self.operation = Some(Operation {
                cell: [number, mode_of(shown), usize::from(self.outstanding > 0)],
                what,
                serialises: pins.op < CTRL_INVLPG,
                performed: false,
                met: 0,
            });
        }
    }
}

impl Access {
    /// The entry that it left or found, when memory answered `data`.
    const fn entry(self, data: u64) -> u64 {
        let mask = byte_mask(self.enables);
        let won = self.compares && (data ^ self.expected) & mask == 0;
        let cell = if won { self.wdata } else { data };
        if self.enables == 0xf0 {
            cell >> 32
        } else {
            cell & mask
        }
    }
}

/// The value of the axis of modes.
const fn mode_of(control: &ControlOut) -> usize {
    match paging_mode(control) {
        PagingMode::Off => OFF,
        PagingMode::TwoLevel => TWO_LEVEL,
        PagingMode::FourLevel => FOUR_LEVEL,
        PagingMode::FiveLevel => FIVE_LEVEL,
    }
}

/// Whether INVLPG takes the address (contract 9.3): by CR4.LA57, paging on or off.
fn is_canonical(control: &ControlOut, address: u64) -> bool {
    let mode = match paging_mode(control) {
        PagingMode::Off if control.cr4 & cr4::LA57 != 0 => PagingMode::FiveLevel,
        PagingMode::Off => PagingMode::FourLevel,
        mode => mode,
    };
    mode.is_canonical(address)
}

/// The first reason, in the order of [`outcome`], for which the rights of a path deny a request (contract 11).
fn why_denied(walk: &Walk, request: &Tracked, control: &ControlOut) -> usize {
    let path = walk
        .entries
        .iter()
        .enumerate()
        .filter(|(level, _)| *level >= walk.level.max(1));
    // Levels above the root were not read.
    let top = super::machine::levels(walk.mode);
    let read: Vec<u64> = path
        .filter(|(level, _)| *level <= top)
        .map(|(_, entry)| *entry)
        .collect();
    let all = |mask: u64| read.iter().all(|entry| entry & mask != 0);
    let any = |mask: u64| read.iter().any(|entry| entry & mask != 0);
    let (fetch, write) = (request.kind == KIND_FETCH, request.kind == KIND_WRITE);
    let (smep, smap) = (control.cr4 & cr4::SMEP != 0, control.cr4 & cr4::SMAP != 0);
    let protects = request.user || control.cr0 & cr0::WP != 0;
    if request.user && !all(bit::US) {
        outcome::USER
    } else if fetch && any(bit::XD) {
        outcome::EXECUTE
    } else if fetch && !request.user && all(bit::US) && smep {
        outcome::SMEP
    } else if write && !all(bit::RW) && protects {
        outcome::WRITE
    } else if !fetch && !request.user && all(bit::US) && smap && (request.implicit || !request.ac) {
        outcome::SMAP
    } else {
        outcome::KEY
    }
}
