//! The walker of the test machine.
//!
//! Contract: 8. SDM: none. Counterpart: none.

use twinwalk::arch::{Decoded, Entry, Level, PageFaultCode, PageRights, rights};
use twinwalk::model::mmu_pkg::*;

use super::super::arrays::{Way, page};
use super::super::bugs::Bug;
use super::super::places::counted;
use super::{Asked, Machine, MissState};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    Translated,
    PageFault(u16),
    Bus,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum WalkState {
    Idle,
    Start { restart: bool },
    Read,
    ReadWait,
    Examine,
    Cas { new: u64 },
    CasWait { new: u64 },
    Done(End),
}

pub(super) struct Walker {
    pub(super) state: WalkState,
    pub(super) port: usize,
    pub(super) cached: bool,
    pub(super) level: Level,
    pub(super) table: u64,
    pub(super) rights: PageRights,
    pub(super) recorded: Vec<(Level, u64, PageRights)>,
    pub(super) entry: u64,
    pub(super) error: bool,
}

impl Machine {
    /// 8.1.
    pub(super) fn take_miss(&mut self) {
        if self.walker.state != WalkState::Idle {
            return;
        }
        let order = [1, 2].map(|step| (self.last_port + step) % 2);
        if let Some(port) = order
            .into_iter()
            .find(|port| self.ports[*port].state == MissState::WalkWait)
        {
            self.ports[port].state = MissState::Walking;
            self.walker.port = port;
            self.last_port = port;
            self.walker.state = WalkState::Start { restart: false };
        }
    }

    pub(super) fn entry_address(&self) -> u64 {
        let va = self.ports[self.walker.port]
            .miss
            .map_or(0, |asked| asked.va);
        let mut index = va >> self.walker.level.shift() & 0x1ff;
        if self.has(Bug::IndexOffByOne) && self.walker.level == Level::Pt {
            index ^= 1;
        }
        self.walker.table + 8 * index
    }

    fn psc_tag(&self, va: u64, level: Level) -> u64 {
        let kept = (va & ((1 << 57) - 1)) >> level.shift() << level.shift() >> 21;
        // A cache keyed by the index of its own level alone.
        let kept = if self.has(Bug::PscByIndexAlone) {
            kept & (0x1ff << (level.shift() - 21))
        } else {
            kept
        };
        kept | self.pcid() << 36
    }

    /// The set of a paging-structure cache for `va`.
    fn psc_set(&self, va: u64, cache: usize) -> usize {
        if self.has(Bug::PscOfOneSet) {
            return 0;
        }
        let index = counted(va) >> Level::ALL[cache + 1].shift();
        index as usize % self.psc[cache].sets
    }

    /// 8.2.
    pub(super) fn start(&mut self, restart: bool, monitor: &mut Monitor) {
        let port = self.walker.port;
        let Some(asked) = self.ports[port].miss else {
            return;
        };
        let from_cr3 = self.ports[port].from_cr3;
        let levels = if self.registers.paging_mode().root() == Some(Level::Pml5) {
            4
        } else {
            3
        };
        let mut found = None;
        if !from_cr3 || self.has(Bug::RestartUsesCache) {
            found = (0..levels).find_map(|cache| {
                let level = Level::ALL[cache + 1];
                let tag = self.psc_tag(asked.va, level);
                let set = self.psc_set(asked.va, cache);
                let mut ways = self.psc[cache].set(set).iter();
                let way = ways.position(|way| way.valid && way.tag == tag)?;
                Some((cache, (set, way), level))
            });
        }
        let event = &mut monitor.walk[0];
        (event.op, event.port) = (if restart { WALK_RESTART } else { WALK_START }, port as u8);
        event.entry = port as u8;
        let walker = &mut self.walker;
        walker.recorded.clear();
        walker.cached = found.is_some();
        if let Some((cache, (set, way), level)) = found {
            let data = self.psc[cache].set(set)[way].data;
            self.psc[cache].touch(set, way);
            event.psc_level = level.number();
            walker.level = level
                .below()
                .expect("a cached entry is above the lowest level");
            walker.table = (data & ((1 << 40) - 1)) << 12;
            walker.rights = PageRights {
                writable: data >> 40 & 1 != 0,
                user: data >> 41 & 1 != 0,
                execute_disable: data >> 42 & 1 != 0,
                protection_key: 0,
            };
        } else {
            walker.level = self
                .registers
                .paging_mode()
                .root()
                .expect("walks need paging");
            walker.table = self.registers.root_table().raw();
            walker.rights = PageRights::ALL;
        }
        walker.state = WalkState::Read;
        if from_cr3 && !self.has(Bug::DenialDropsNothing) {
            self.drop_address(asked.va, port, monitor);
        }
    }

    fn drop_address(&mut self, va: u64, port: usize, monitor: &mut Monitor) {
        let (pcid, bug) = (self.pcid(), self.bug);
        for (index, array) in self
            .tlb
            .iter_mut()
            .enumerate()
            .filter(|(_, array)| array.ways > 0)
            .filter(|(index, _)| bug != Bug::DropSpares { level: index / 4 })
        {
            for (set, kept) in self.shape.sets_of(index, va) {
                let goes = |way: &Way| {
                    let size = way.size();
                    let whole = page(way.tag << 12, size) == page(va, size);
                    let same = way.holds(kept, va) || bug == Bug::DropTakesThePage && whole;
                    same && (way.global() || way.tlb_pcid() == pcid)
                };
                array.remove_kept((set, kept), goes, &mut monitor.tlb[index]);
            }
        }
        for cache in (0..4).filter(|cache| bug != Bug::DropSparesPsc { cache: *cache }) {
            let tag = self.psc_tag(va, Level::ALL[cache + 1]);
            let set = self.psc_set(va, cache);
            let event = &mut monitor.psc[cache];
            self.psc[cache].remove(set, |way| way.tag == tag, event);
            // The mask is one of entries.
            event.removed <<= set * self.psc[cache].ways;
            event.set = 0;
        }
        self.ports[1 - port].right = false;
        self.ports[1 - port].right_shown = false;
    }

    /// 8.4.
    pub(super) fn examine(&mut self) {
        let Some(asked) = self.ports[self.walker.port].miss else {
            return;
        };
        let rules = self.registers.entry_rules(&self.capabilities);
        let (registers, access) = (self.registers, asked.access);
        let entry = Entry(self.walker.entry);
        let fault = |code: PageFaultCode| End::PageFault(code.raw() as u16);
        let end = if self.walker.error {
            if self.has(Bug::BusErrorAsPageFault) {
                fault(PageFaultCode::not_present(&access, &registers))
            } else {
                End::Bus
            }
        } else {
            match rules.decode(self.walker.level, entry) {
                Decoded::NotPresent => fault(PageFaultCode::not_present(&access, &registers)),
                Decoded::Reserved { .. } => fault(PageFaultCode::reserved_bit(&access, &registers)),
                Decoded::Table => return self.through_table(entry),
                Decoded::Leaf(_) => {
                    let rights = self.walker.rights.through_leaf(entry);
                    let verdict = rights::judge(rights, &access, &registers);
                    let mut new = entry.after_use_as_leaf(access.is_write());
                    if self.has(Bug::NoDirty) {
                        new = entry.with_accessed();
                    }
                    let early = verdict.is_err() && self.has(Bug::UpdatesBeforeDenial);
                    if new != entry && (verdict.is_ok() || early) && !self.has(Bug::NoAccessed) {
                        self.walker.state = WalkState::Cas { new: new.raw() };
                        return;
                    }
                    match verdict {
                        Ok(()) => {
                            self.walker.rights = rights;
                            self.walker.state = WalkState::Done(End::Translated);
                            return;
                        }
                        Err(code) => fault(code),
                    }
                }
            }
        };
        if self.walker.cached && !self.has(Bug::FaultFromCache) {
            self.ports[self.walker.port].from_cr3 = true;
            self.walker.state = WalkState::Start { restart: true };
        } else {
            self.walker.state = WalkState::Done(end);
        }
    }

    fn through_table(&mut self, entry: Entry) {
        let mut new = entry.after_use_as_table();
        if self.has(Bug::DirtyInTable) {
            new = Entry(new.raw() | 1 << 6);
        }
        if new != entry && !self.has(Bug::NoAccessed) {
            self.walker.state = WalkState::Cas { new: new.raw() };
            return;
        }
        let walker = &mut self.walker;
        walker.rights = walker.rights.through_table(entry);
        walker.table = entry.table().raw();
        walker
            .recorded
            .push((walker.level, walker.table, walker.rights));
        walker.level = walker
            .level
            .below()
            .expect("a page table holds leaves only");
        walker.state = WalkState::Read;
    }

    /// 8.5.
    pub(super) fn done(&mut self, end: End, monitor: &mut Monitor) {
        let port = self.walker.port;
        let Some(asked) = self.ports[port].miss else {
            return;
        };
        let event = &mut monitor.walk[0];
        event.port = port as u8;
        event.entry = port as u8;
        self.walker.state = WalkState::Idle;
        self.free(port);
        let response = match end {
            End::Translated => {
                event.op = WALK_TRANSLATED;
                event.filled = self.ports[port].right.into();
                let (size, tag, data) = self.new_entry(&asked);
                if self.ports[port].right {
                    self.fill_by_walk(&asked, size, tag, data, monitor);
                }
                self.translated(&asked, tag, data)
            }
            End::PageFault(code) => {
                event.op = WALK_PAGE_FAULT;
                self.ports[1 - port].right_shown = false;
                if !self.has(Bug::PageFaultDropsNothing) {
                    self.drop_address(asked.va, port, monitor);
                }
                if self.has(Bug::FaultingWalkFills) {
                    let (size, tag, data) = self.new_entry(&asked);
                    self.fill_level(2, &asked, size, tag, data, monitor);
                }
                PortOut {
                    resp_id: asked.id,
                    resp_status: STATUS_PAGE_FAULT,
                    resp_error_code: if self.has(Bug::ErrorCodeWithoutUser) {
                        code & !4
                    } else {
                        code
                    },
                    resp_va: asked.va,
                    ..PortOut::default()
                }
            }
            End::Bus => {
                event.op = WALK_BUS_ERROR;
                PortOut {
                    resp_id: asked.id,
                    resp_status: STATUS_BUS_ERROR,
                    ..PortOut::default()
                }
            }
        };
        self.ports[port].responses.push_back(response);
    }

    fn new_entry(&self, asked: &Asked) -> (usize, u64, u64) {
        let size = self.leaf_size();
        let leaf = Entry(self.walker.entry);
        let rights = self.walker.rights;
        let memory_type = leaf.memory_type(size);
        let global = leaf.global() && (self.registers.pge() || self.has(Bug::GlobalWithoutPge));
        let code = size as u64;
        let mut data = leaf.frame(size).raw() >> 12
            | u64::from(rights.writable) << 40
            | u64::from(rights.user) << 41
            | u64::from(rights.execute_disable) << 42
            | u64::from(leaf.dirty()) << 43
            | u64::from(rights.protection_key) << 44
            | u64::from(memory_type.pwt) << 48
            | u64::from(memory_type.pcd) << 49
            | u64::from(memory_type.pat) << 50;
        if self.has(Bug::LeafRightsAlone) {
            data = data & !(1 << 40) | u64::from(leaf.writable()) << 40;
        }
        (
            size as usize,
            page(asked.va, size as usize)
                | self.pcid() << 45
                | u64::from(global) << 57
                | code << 58
                | code << 60,
            data,
        )
    }

    fn fill_by_walk(
        &mut self,
        asked: &Asked,
        size: usize,
        tag: u64,
        data: u64,
        monitor: &mut Monitor,
    ) {
        let port = self.walker.port;
        self.fill_level(2, asked, size, tag, data, monitor);
        if !self.has(Bug::L1NotFilled) {
            self.fill_level(port, asked, size, tag, data, monitor);
        }
        for (level, table, rights) in self.walker.recorded.clone() {
            let cache = level.array_index() - 1;
            let tag = self.psc_tag(asked.va, level);
            let mut data = table >> 12
                | u64::from(rights.writable) << 40
                | u64::from(rights.user) << 41
                | u64::from(rights.execute_disable) << 42;
            if self.has(Bug::PscWithoutRights) {
                data |= 3 << 40;
            }
            let set = self.psc_set(asked.va, cache);
            self.psc[cache].fill(
                set,
                tag,
                data,
                |old| old.tag == tag,
                &mut monitor.psc[cache],
            );
        }
    }

    pub(super) fn memory(&mut self, inputs: &Inputs, outputs: &Outputs) {
        let accepted = outputs.memory.req_valid & inputs.memory.req_ready != 0;
        let answered = inputs.memory.resp_valid != 0;
        let walker = &mut self.walker;
        match walker.state {
            WalkState::Read if accepted => walker.state = WalkState::ReadWait,
            WalkState::Cas { new } if accepted => walker.state = WalkState::CasWait { new },
            WalkState::ReadWait if answered => {
                walker.entry = inputs.memory.resp_data;
                walker.error = inputs.memory.resp_error != 0;
                walker.state = WalkState::Examine;
            }
            WalkState::CasWait { new } if answered => {
                let won =
                    inputs.memory.resp_data == walker.entry || self.bug == Bug::LostRaceIgnored;
                walker.entry = if won || self.bug == Bug::EntryWrittenBack {
                    new
                } else {
                    inputs.memory.resp_data
                };
                walker.error = inputs.memory.resp_error != 0;
                walker.state = WalkState::Examine;
            }
            _ => {}
        }
    }
}
