//! A small machine by the contract, for the checkers to watch, with bugs that can be switched on: two ports, an entry of the miss queue for
//! each, one walker, no prefetch.
//!
//! Contract: 5 to 10. SDM: none. Counterpart: none; written for the tests alone, and slow.

use std::collections::VecDeque;

use twinwalk::arch::{
    Access, AccessKind, Capabilities, Invalidation, Level, PageRights, PageSize, Registers, rights,
};
use twinwalk::model::mmu_pkg::*;

use super::arrays::{Array, PAGE_MASK, Way, page};
use super::bugs::Bug;
use super::places::{SHIFTS, Shape};

mod control;
mod walker;

use walker::{End, WalkState, Walker};

#[derive(Clone, Copy)]
struct Asked {
    cycle: u64,
    id: u8,
    va: u64,
    access: Access,
}

#[derive(Clone, Copy, PartialEq)]
enum MissState {
    Free,
    StlbWait,
    StlbBusy {
        since: u64,
        code: u8,
        tag: u64,
        data: u64,
    },
    WalkWait,
    Walking,
    /// Waits for the other port's entry.
    Waiting,
    Retry,
}

struct Port {
    queue: VecDeque<Asked>,
    responses: VecDeque<PortOut>,
    outstanding: usize,
    state: MissState,
    miss: Option<Asked>,
    from_cr3: bool,
    right: bool,
    /// The right to fill as its entry shows it: what it should be, so that a bug of keeping it is not given away.
    right_shown: bool,
    /// The cycle in which a new request took its entry with a plain miss.
    taken: Option<u64>,
}

impl MissState {
    /// Whether a request may wait for an entry in this state.
    fn is_a_primary(self) -> bool {
        matches!(
            self,
            Self::StlbWait | Self::StlbBusy { .. } | Self::WalkWait | Self::Walking
        )
    }
}

impl Port {
    /// What its entry shows (contract 10.1).
    fn shown(&self, port: u32) -> u32 {
        let state = match self.state {
            MissState::Free => return 0,
            MissState::StlbWait => 1,
            MissState::StlbBusy { .. } => 2,
            MissState::WalkWait => 3,
            MissState::Walking => 4,
            MissState::Waiting => 5,
            MissState::Retry => 6,
        };
        let id = self.miss.map_or(0, |asked| u32::from(asked.id));
        let who = state | port << 3 | id << 5;
        match self.state {
            MissState::Waiting => who | (1 - port) << 15,
            MissState::Retry => who,
            _ => who | u32::from(self.right_shown) << 13 | u32::from(self.from_cr3) << 14,
        }
    }
}

/// What commits in a cycle (contract 7.4), besides a start.
struct Commits {
    /// The STLB result of this port.
    result: Option<usize>,
    /// The walker's end.
    done: bool,
    cycle: u64,
    /// The entries that a request could wait for when the cycle began.
    stood: [bool; 2],
}

#[derive(Clone, Copy)]
enum Control {
    ResetSweep(usize),
    Idle,
    Pending(ControlIn),
    Sweep {
        row: usize,
        op: u8,
        kind: u64,
        invalidation: Invalidation,
    },
    Respond {
        gp: bool,
    },
}

pub struct Machine {
    capabilities: Capabilities,
    bug: Bug,
    shape: Shape,
    registers: Registers,
    control: Control,
    ports: Vec<Port>,
    walker: Walker,
    last_port: usize,
    tlb: Vec<Array>,
    psc: Vec<Array>,
    /// What an inclusive STLB evicted.
    evicted: Option<Way>,
}

impl Machine {
    pub fn new(capabilities: Capabilities, shape: Shape, bug: Bug) -> Self {
        let port = || Port {
            queue: VecDeque::new(),
            responses: VecDeque::new(),
            outstanding: 0,
            state: MissState::Free,
            miss: None,
            from_cr3: false,
            right: false,
            right_shown: false,
            taken: None,
        };
        let walker = Walker {
            state: WalkState::Idle,
            port: 0,
            cached: false,
            level: Level::Pml4,
            table: 0,
            rights: PageRights::ALL,
            recorded: Vec::new(),
            entry: 0,
            error: false,
        };
        let tlb = shape
            .tlb
            .iter()
            .map(|array| Array::new(array.sets, array.ways));
        let psc = shape
            .psc
            .iter()
            .map(|(sets, ways)| Array::new(*sets, *ways));
        Self {
            capabilities,
            bug,
            registers: Registers::RESET,
            control: Control::ResetSweep(0),
            ports: vec![port(), port()],
            walker,
            last_port: 1,
            tlb: tlb.collect(),
            psc: psc.collect(),
            evicted: None,
            shape,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn sweep_cycles(&self) -> usize {
        self.tlb
            .iter()
            .filter(|array| array.ways > 0)
            .map(|array| array.sets)
            .max()
            .unwrap_or(1)
    }

    fn pcid(&self) -> u64 {
        self.registers.current_pcid().raw().into()
    }

    /// The outputs of a cycle; what performs in it has performed, what its transfers do has not.
    pub fn tick(&mut self, cycle: u64) -> Outputs {
        let mut outputs = self.links();
        let performing = match self.control {
            Control::Pending(op) if op.op >= CTRL_INVLPG || self.drained() => Some(op),
            _ => None,
        };
        let busy = performing.is_some()
            || matches!(self.control, Control::Sweep { .. } | Control::ResetSweep(_));
        let monitor = &mut outputs.monitor;
        let evicted = if busy { None } else { self.evicted.take() };
        let commits = !busy && evicted.is_none();
        let walking = self.walker.state;
        let start = matches!(walking, WalkState::Start { .. }) && commits;
        let done = matches!(walking, WalkState::Done(_)) && commits;
        let from_cr3 = self.ports[self.walker.port].from_cr3;
        let drop =
            (start && from_cr3) || matches!(walking, WalkState::Done(End::PageFault(_))) && done;
        let result = self
            .result_port(cycle)
            .filter(|_| commits && !start && !done);
        if let Some(evicted) = evicted {
            self.back_invalidate(&evicted, monitor);
        }
        let evicts = evicted.is_some() && !self.has(Bug::LooksUpWhileEvicting);
        let commits = Commits {
            cycle,
            result,
            done,
            stood: std::array::from_fn(|port| self.ports[port].state.is_a_primary()),
        };
        let filling = self.filling_ports(&commits);
        self.take_miss();
        if !busy && !drop && !done {
            self.stlb_look_up(cycle, monitor);
        }
        for (port, filling) in filling.iter().enumerate() {
            let blocked = busy && !self.has(Bug::LookUpDuringSweep);
            if !blocked && !evicts && !drop && !filling && !self.answers(&commits, port) {
                self.l1_look_up(cycle, port, &commits, monitor);
            }
        }
        if let Some(port) = result {
            self.stlb_result(port, monitor);
        }
        match walking {
            WalkState::Start { restart } if start => self.start(restart, monitor),
            WalkState::Examine => self.examine(),
            WalkState::Done(end) if done => self.done(end, monitor),
            _ => {}
        }
        if let Some(op) = performing {
            self.perform(&op, monitor);
        } else {
            self.sweep(monitor);
        }
        outputs
    }

    fn drained(&self) -> bool {
        self.ports.iter().all(|port| port.outstanding == 0)
            || self.has(Bug::RegisterWriteDoesNotWait)
    }

    fn links(&self) -> Outputs {
        let mut outputs = Outputs::default();
        let writing = match self.control {
            Control::Pending(op) => op.op < CTRL_INVLPG,
            Control::Sweep { op, .. } => op < CTRL_INVLPG,
            Control::ResetSweep(_) => true,
            _ => false,
        };
        for (port, out) in self.ports.iter().zip(&mut outputs.ports) {
            if let Some(response) = port.responses.front() {
                *out = *response;
                out.resp_valid = 1;
            }
            let open = port.outstanding < self.shape.queue_entries;
            out.req_ready =
                (open && (!writing || self.has(Bug::AcceptsDuringRegisterWrite))).into();
        }
        let control = &mut outputs.control;
        control.ready = matches!(self.control, Control::Idle).into();
        if let Control::Respond { gp } = self.control {
            control.resp_valid = 1;
            control.resp_gp = gp.into();
        }
        let invlpg = matches!(self.control, Control::Pending(op) if op.op == CTRL_INVLPG);
        if invlpg && self.has(Bug::InvlpgAnswersAtOnce) {
            control.resp_valid = 1;
        }
        (control.cr0, control.cr3) = (self.registers.cr0(), self.registers.cr3());
        (control.cr4, control.efer) = (self.registers.cr4(), self.registers.efer());
        if self.has(Bug::WriteProtectReadsAsZero) {
            control.cr0 &= !(1 << 16);
        }
        for (entry, port) in self.ports.iter().enumerate() {
            outputs.queues.miss[entry] = port.shown(entry as u32);
            if port.state == MissState::Waiting && self.has(Bug::QueueShowsWrongPrimary) {
                outputs.queues.miss[entry] ^= 1 << 15;
            }
        }
        let memory = &mut outputs.memory;
        memory.resp_ready = 1;
        let (op, new) = match self.walker.state {
            WalkState::Read => (MEM_READ, 0),
            WalkState::Cas { new } if self.has(Bug::EntryWrittenBack) => (MEM_WRITE, new),
            WalkState::Cas { new } => (MEM_COMPARE_AND_SET, new),
            _ => return outputs,
        };
        (
            memory.req_valid,
            memory.req_op,
            memory.req_beats,
            memory.req_be,
        ) = (1, op, 1, 0xff);
        memory.req_addr = self.entry_address();
        memory.req_wdata = new;
        if op == MEM_COMPARE_AND_SET {
            memory.req_expected = self.walker.entry;
        }
        if self.has(Bug::TwoBeats) {
            memory.req_beats = 2;
        }
        outputs
    }

    /// The port whose STLB result is due: the oldest.
    fn result_port(&self, cycle: u64) -> Option<usize> {
        let since = |port: &usize| match self.ports[*port].state {
            MissState::StlbBusy { since, .. } => since,
            _ => u64::MAX,
        };
        let oldest = [0, 1].into_iter().min_by_key(since)?;
        let from = since(&oldest).checked_add(self.shape.hit_cycles[2])?;
        (cycle >= from).then_some(oldest)
    }

    /// Whether `port` is answered by what commits.
    fn answers(&self, commits: &Commits, port: usize) -> bool {
        let by_result = commits.result == Some(port)
            && matches!(self.ports[port].state, MissState::StlbBusy { code, .. } if code <= LOOKUP_HIT_1G);
        by_result || commits.done && self.walker.port == port
    }

    /// Which ports have an L1 array filled in this cycle.
    fn filling_ports(&self, commits: &Commits) -> [bool; 2] {
        let walker_fills = commits.done && self.walker.state == WalkState::Done(End::Translated);
        std::array::from_fn(|index| {
            let port = &self.ports[index];
            let write = port.miss.is_some_and(|asked| asked.access.is_write());
            let l1 = |size: usize| self.shape.kept(index, write, size).is_some();
            let by_walk = walker_fills
                && self.walker.port == index
                && port.right
                && l1(self.leaf_size() as usize);
            let by_stlb = match port.state {
                MissState::StlbBusy { code, tag, .. } if commits.result == Some(index) => {
                    let kept = (tag >> 58 & 3) as usize;
                    code <= LOOKUP_HIT_1G && port.right && l1(kept)
                }
                _ => false,
            };
            by_walk || by_stlb
        })
    }

    fn leaf_size(&self) -> PageSize {
        PageSize::ARRAYS[self.walker.level.array_index().min(2)]
    }

    /// The code of a look-up in a level, and where it hit.
    fn look_up(&self, level: usize, asked: &Asked) -> (u8, Option<(usize, usize, usize)>) {
        let write = asked.access.is_write();
        for kept in 0..3 {
            let Some((index, set)) = self.shape.place(level, write, asked.va, kept) else {
                continue;
            };
            let array = &self.tlb[index];
            let pcid = self.lookup_pcid(array, set, kept, asked.va);
            let Some(way) = array.find(set, kept, asked.va, pcid) else {
                continue;
            };
            let data = array.set(set)[way].data;
            let rights = PageRights {
                writable: data >> 40 & 1 != 0,
                user: data >> 41 & 1 != 0,
                execute_disable: data >> 42 & 1 != 0,
                protection_key: (data >> 44 & 15) as u8,
            };
            let denied = rights::judge(rights, &asked.access, &self.registers).is_err();
            let clean = asked.access.is_write() && data >> 43 & 1 == 0;
            let code = if denied && !self.has(Bug::HitIgnoresRights) {
                LOOKUP_DENIED
            } else if clean && !self.has(Bug::HitIgnoresDirty) {
                LOOKUP_DIRTY_CLEAR
            } else {
                LOOKUP_HIT_4K + kept as u8
            };
            return (code, Some((index, set, way)));
        }
        (LOOKUP_MISS, None)
    }

    fn lookup_pcid(&self, array: &Array, set: usize, kept: usize, va: u64) -> u64 {
        let mut ways = array.set(set).iter();
        let any = ways.find(|way| way.valid && way.holds(kept, va));
        match any {
            Some(way) if self.has(Bug::HitIgnoresPcid) => way.tlb_pcid(),
            _ => self.pcid(),
        }
    }

    fn translated(&self, asked: &Asked, tag: u64, data: u64) -> PortOut {
        let (kept, size) = ((tag >> 58 & 3) as usize, (tag >> 60 & 3) as u8);
        let offset = asked.va & ((1 << SHIFTS[kept]) - 1);
        let offset = if self.has(Bug::OffsetOf4KOnly) {
            offset & 0xfff
        } else {
            offset
        };
        PortOut {
            resp_id: asked.id,
            resp_pa: (data & ((1 << 40) - 1)) << 12 | offset,
            resp_page_size: if self.has(Bug::AnswersWithTheKeptSize) {
                kept as u8
            } else {
                size
            },
            resp_pwt: (data >> 48 & 1) as u8,
            resp_pcd: (data >> 49 & 1) as u8,
            resp_pat: (data >> 50 & 1) as u8,
            ..PortOut::default()
        }
    }

    /// The request that `port` looks up next, and whether it does so again.
    fn candidate(&mut self, cycle: u64, port: usize) -> Option<(Asked, bool)> {
        let hit_cycles = self.shape.hit_cycles[port];
        let port = &mut self.ports[port];
        if port.state == MissState::Retry {
            return port.miss.map(|asked| (asked, true));
        }
        let due = |asked: &&Asked| cycle >= asked.cycle + hit_cycles;
        port.queue.front().filter(due)?;
        if port.state != MissState::Free {
            return None;
        }
        port.queue.pop_front().map(|asked| (asked, false))
    }

    fn l1_look_up(&mut self, cycle: u64, port: usize, commits: &Commits, monitor: &mut Monitor) {
        let Some((asked, retries)) = self.candidate(cycle, port) else {
            return;
        };
        if !self.registers.paging() {
            monitor.lookup[port] = LOOKUP_BYPASS;
            let response = PortOut {
                resp_id: asked.id,
                resp_pa: asked.va & 0xffff_ffff,
                ..PortOut::default()
            };
            self.ports[port].responses.push_back(response);
            return;
        }
        if !self.registers.paging_mode().is_canonical(asked.va) {
            monitor.lookup[port] = LOOKUP_BYPASS;
            let status = if self.has(Bug::NonCanonicalFaults) {
                STATUS_PAGE_FAULT
            } else {
                STATUS_GENERAL_PROTECTION
            };
            let response = PortOut {
                resp_id: asked.id,
                resp_status: status,
                ..PortOut::default()
            };
            self.ports[port].responses.push_back(response);
            return;
        }
        let (mut code, place) = self.look_up(port, &asked);
        let waits = !retries && !self.has(Bug::MissesDoNotMerge);
        if code == LOOKUP_MISS && waits && self.accepts(1 - port, &asked, commits) {
            code = LOOKUP_MERGED;
        }
        monitor.lookup[port] = code;
        monitor.lookup_retry[port] = retries.into();
        let entry = &mut self.ports[port];
        if let (LOOKUP_HIT_4K..=LOOKUP_HIT_1G, Some((array, set, way))) = (code, place) {
            if retries {
                entry.state = MissState::Free;
                monitor.lookup_entry[port] = port as u8;
            }
            self.tlb[array].touch(set, way);
            let Way { tag, data, .. } = self.tlb[array].set(set)[way];
            let response = self.translated(&asked, tag, data);
            self.ports[port].responses.push_back(response);
            return;
        }
        monitor.lookup_entry[port] = port as u8;
        entry.miss = Some(asked);
        entry.taken = (code == LOOKUP_MISS && !retries).then_some(cycle);
        entry.from_cr3 = code == LOOKUP_DENIED;
        (entry.right, entry.right_shown) = (true, true);
        entry.state = match code {
            LOOKUP_MISS => MissState::StlbWait,
            LOOKUP_MERGED => MissState::Waiting,
            _ => MissState::WalkWait,
        };
    }

    /// Whether a request may wait for the entry of `port`.
    fn accepts(&self, port: usize, asked: &Asked, commits: &Commits) -> bool {
        let entry = &self.ports[port];
        let waits = commits.stood[port] || entry.taken == Some(commits.cycle);
        let same = entry
            .miss
            .is_some_and(|miss| (miss.va ^ asked.va) >> 12 & PAGE_MASK == 0);
        let right = entry.right || self.has(Bug::WaitsForOneWithoutRight);
        waits && same && right && !self.answers(commits, port)
    }

    /// The entry of `port` becomes free.
    fn free(&mut self, port: usize) {
        self.ports[port].state = MissState::Free;
        let other = &mut self.ports[1 - port];
        if other.state == MissState::Waiting {
            other.state = MissState::Retry;
        }
    }

    fn stlb_look_up(&mut self, cycle: u64, monitor: &mut Monitor) {
        let waiting = |port: &usize| self.ports[*port].state == MissState::StlbWait;
        let Some(port) = (0..2).find(waiting) else {
            return;
        };
        let Some(asked) = self.ports[port].miss else {
            return;
        };
        let (code, place) = self.look_up(2, &asked);
        monitor.stlb_lookup = code;
        monitor.stlb_port = port as u8;
        monitor.stlb_entry = port as u8;
        let mut way = Way::default();
        if let Some((array, set, index)) = place {
            way = self.tlb[array].set(set)[index];
            if code <= LOOKUP_HIT_1G {
                self.tlb[array].touch(set, index);
            }
        }
        self.ports[port].state = MissState::StlbBusy {
            since: cycle,
            code,
            tag: way.tag,
            data: way.data,
        };
    }

    fn stlb_result(&mut self, port: usize, monitor: &mut Monitor) {
        let MissState::StlbBusy {
            code, tag, data, ..
        } = self.ports[port].state
        else {
            return;
        };
        if code > LOOKUP_HIT_1G {
            self.ports[port].state = MissState::WalkWait;
            self.ports[port].from_cr3 |= code == LOOKUP_DENIED;
            return;
        }
        let Some(asked) = self.ports[port].miss else {
            return;
        };
        let response = self.translated(&asked, tag, data);
        self.ports[port].responses.push_back(response);
        if self.ports[port].right && !self.has(Bug::StlbHitDoesNotFill) {
            let kept = (tag >> 58 & 3) as usize;
            self.fill_level(port, &asked, kept, tag, data, monitor);
        }
        self.free(port);
    }

    /// 7.5: fills a level with what has `tag` and `data`, of a page or a piece of `size`.
    fn fill_level(
        &mut self,
        level: usize,
        asked: &Asked,
        size: usize,
        tag: u64,
        data: u64,
        monitor: &mut Monitor,
    ) {
        let write = asked.access.is_write() && !self.has(Bug::WriteFillsForReads);
        let Some(kept) = self.shape.kept(level, write, size) else {
            return;
        };
        let Some((index, set)) = self.shape.place(level, write, asked.va, kept) else {
            return;
        };
        let within = asked.va & ((1 << SHIFTS[size]) - 1) & !((1 << SHIFTS[kept]) - 1);
        let tag = tag & !PAGE_MASK & !(3 << 58) | page(asked.va, kept) | (kept as u64) << 58;
        let data = if self.has(Bug::PieceOfTheFirstFrame) {
            data
        } else {
            data | within >> 12
        };
        let set = if self.has(Bug::FillsTheNextSet) {
            (set + 1) % self.tlb[index].sets
        } else {
            set
        };
        self.fill_tlb(index, set, tag, data, monitor);
    }

    fn fill_tlb(&mut self, index: usize, set: usize, tag: u64, data: u64, monitor: &mut Monitor) {
        let leaves_conflicts = self.has(Bug::FillLeavesConflicts);
        let array = &mut self.tlb[index];
        array.beside = self.bug == Bug::FillBesideConflict;
        let new = Way {
            valid: true,
            tag,
            data,
            ..Way::default()
        };
        let conflicts = |old: &Way| {
            let same = old.kept() == new.kept() && old.tag & PAGE_MASK == tag & PAGE_MASK;
            same && !leaves_conflicts
                && (new.global() || old.global() || new.tlb_pcid() == old.tlb_pcid())
        };
        array.fill(set, tag, data, conflicts, &mut monitor.tlb[index]);
        let event = &monitor.tlb[index];
        let victim = Way {
            valid: event.removed >> event.way & 1 != 0,
            tag: event.victim_tag,
            data: event.victim_data,
            rank: 0,
        };
        if index >= 8 && self.shape.inclusive && victim.valid && !conflicts(&victim) {
            self.evicted = Some(victim);
        }
        let event = &mut monitor.tlb[index];
        if self.bug == Bug::FillEvictsTwo
            && let Some(other) = array.remove_another(set, event.way.into())
        {
            event.removed |= 1 << other;
        }
        if self.bug == Bug::VictimNotReported {
            monitor.tlb[index].victim_tag = 0;
            monitor.tlb[index].victim_data = 0;
        }
    }

    /// 7.6.
    fn back_invalidate(&mut self, evicted: &Way, monitor: &mut Monitor) {
        let va = (evicted.tag & PAGE_MASK) << 12;
        let goes = |way: &Way| {
            let same = way.holds(evicted.kept(), va) && way.global() == evicted.global();
            same && (way.global() || way.tlb_pcid() == evicted.tlb_pcid())
        };
        let first_level = if self.has(Bug::EvictsFromTheStlbAlone) {
            0..0
        } else {
            0..8
        };
        for array in first_level {
            for (set, kept) in self.shape.sets_of(array, va) {
                if kept == evicted.kept() {
                    self.tlb[array].remove_kept((set, kept), goes, &mut monitor.tlb[array]);
                }
            }
        }
        let keeps_right = self.has(Bug::EvictedKeepsRight);
        for port in &mut self.ports {
            match port.state {
                MissState::StlbBusy { code, tag, .. }
                    if code != LOOKUP_MISS && tag == evicted.tag =>
                {
                    port.right &= keeps_right;
                    port.right_shown = false;
                }
                _ => {}
            }
        }
    }

    /// The transfers of the cycle.
    pub fn transfer(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        for ((port, input), output) in self.ports.iter_mut().zip(&inputs.ports).zip(&outputs.ports)
        {
            if output.resp_valid & input.resp_ready != 0 {
                port.responses.pop_front();
                port.outstanding -= 1;
            }
            if input.req_valid & output.req_ready != 0 {
                port.outstanding += 1;
                let kind = [AccessKind::Read, AccessKind::Write, AccessKind::Fetch]
                    [usize::from(input.req_kind)];
                let access = Access {
                    kind,
                    cpl: input.req_cpl,
                    ac: input.req_ac != 0,
                    implicit_supervisor: input.req_implicit_supervisor != 0,
                    pkru: input.req_pkru,
                };
                port.queue.push_back(Asked {
                    cycle,
                    id: input.req_id,
                    va: input.req_va,
                    access,
                });
            }
        }
        if matches!(self.control, Control::Respond { .. })
            && outputs.control.resp_valid & inputs.control.resp_ready != 0
        {
            self.control = Control::Idle;
        }
        if outputs.control.ready & inputs.control.valid != 0 {
            self.control = Control::Pending(inputs.control);
        }
        self.memory(inputs, outputs);
    }
}
