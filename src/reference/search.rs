//! The search for a legal combination of entry values that explains a response, or an update of an entry.
//!
//! Contract: 8.4 (what an entry does), 11 (rights). SDM vol. 3A, 4.10.2 and 4.10.3 (what is cached), 4.10.4 (what may be stale).
//! Counterpart: none in hardware.
//!
//! # What counts as a combination
//! A chain of entries from a root down, where each entry may have any value that its word held while the PCID was current, not longer
//! ago than the horizon of the translation that comes of it. Horizons are those of the moment in which the request was accepted.
//! The levels choose independently: a newer entry above may refer to a table whose older contents are used.
//!
//! * A *translation* needs A in every entry, and D in the leaf of a write. Not global: a chain of the request's PCID, all of it within
//!   the horizon of its page. Global (G, and PGE is set): a chain of any PCID, its leaf within the horizon of the page, the entries
//!   above within that of the paging-structure caches of that PCID at the time.
//! * An entry that is *not present* or has a *reserved bit* is never cached: it has to have stood there in the life of the request. So
//!   has a word beyond the end of memory: it always does.
//! * [`Reading::Contract`]: of a fault and of a bus error the whole chain, from the root that is current, is of the life of the request,
//!   and entries above the last have A. [`Reading::Manual`]: the entries above may come from the paging-structure caches,
//!   and a denial from stale TLB entries too.
//!
//! Rights are combined over the chain and judged for the request as it is.

use std::ops::ControlFlow;

use crate::arch::{
    Decoded, Entry, EntryRules, EntrySlot, Level, PageFaultCode, PageRights, PageSize, Pcid,
    PhysicalAddress, Registers, rights,
};
use crate::model::mmu_pkg::PortOut;

use super::history::{Candidate, History, NOW};
use super::horizon::{Horizons, PscTimeline, Reading, Snapshot};
use super::image::Image;
use super::observer::{Change, Request};
use super::payload;

/// Entries looked at before a search gives up. It then says that it is not complete.
pub const NODE_LIMIT: u32 = 50_000;
/// Different outcomes that a search remembers, for the report.
pub const OUTCOME_LIMIT: usize = 8;

/// What the search looks for.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// This response.
    Response(PortOut),
    /// A request that may change an entry so: of 4 bytes, just those, at their address.
    Update(Change),
}

/// The entries of a chain: addresses and values from the root down, and the root table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    /// Address of the root table.
    pub root: u64,
    /// Address and value of each entry; those above the leaf first.
    pub entries: [(u64, u64); Level::COUNT],
    /// How many there are.
    pub len: usize,
}

/// A translation that the search found, with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The chain.
    pub chain: Chain,
    /// Its leaf is a global translation.
    pub global: bool,
    /// Whether every entry still has that value, and the root is current.
    pub fresh: bool,
}

/// What the search found.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The first chain that reaches the goal; for a fault its chain up to the entry at fault.
    pub matched: Option<Match>,
    /// Different outcomes, at most [`OUTCOME_LIMIT`]. A search that reached its goal stops at the second.
    pub outcomes: Vec<PortOut>,
    /// Nothing was left out: neither had history been forgotten, nor were there too many combinations.
    pub complete: bool,
}

/// Buffers that one search leaves to the next.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Tables that were followed already, with what stood above them: key, `oldest`, `needed`.
    followed: Vec<(u64, u64, u64)>,
    candidates: [Vec<Candidate>; Level::COUNT + 1],
    outcomes: Vec<PortOut>,
}

/// All that a search reads.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its horizons.
    pub snapshot: &'a Snapshot,
    /// By which reading.
    pub reading: Reading,
    /// The registers, unchanged in the life of the request.
    pub registers: &'a Registers,
    /// How entries decode under them.
    pub rules: &'a EntryRules,
    /// What words held.
    pub history: &'a History,
    /// Memory now.
    pub image: &'a Image,
    /// Invalidations, for what the paging-structure caches of other PCIDs could hold.
    pub horizons: &'a Horizons,
}

/// Runs the search.
///
/// `scratch` is only room; the answer does not depend on it.
pub fn search(question: &Question<'_>, goal: Goal, scratch: &mut Scratch) -> Verdict {
    let mut outcomes = std::mem::take(&mut scratch.outcomes);
    outcomes.clear();
    let mut search = Search {
        question: *question,
        goal,
        scratch,
        outcomes,
        pcid: question.registers.current_pcid(),
        current_until: NOW,
        timeline: question
            .horizons
            .psc_timeline(question.registers.current_pcid()),
        above_global: [0; 3],
        bound: 0,
        chain: Chain::default(),
        matched: None,
        nodes: 0,
        complete: true,
    };
    // A break only means that there is nothing left to learn.
    let _ = search.run();
    Verdict {
        matched: search.matched,
        outcomes: search.outcomes,
        complete: search.complete,
    }
}

/// Hands the outcomes' room back for the next search.
pub fn recycle(verdict: Verdict, scratch: &mut Scratch) {
    scratch.outcomes = verdict.outcomes;
}

struct Search<'a, 's> {
    question: Question<'a>,
    goal: Goal,
    scratch: &'s mut Scratch,
    outcomes: Vec<PortOut>,
    /// The PCID whose chains are followed at the moment, and until when it was current.
    pcid: Pcid,
    current_until: u64,
    /// When its paging-structure caches were emptied.
    timeline: PscTimeline<'a>,
    /// How old entries above a global leaf may be, by array of the page size.
    above_global: [u64; 3],
    /// Nothing older than this can be of use.
    bound: u64,
    chain: Chain,
    matched: Option<Match>,
    nodes: u32,
    complete: bool,
}

/// A partial chain: what its entries above the next one add up to.
#[derive(Clone, Copy)]
struct Above {
    table: u64,
    rights: PageRights,
    /// The earliest end of a value used so far, taken down to the last cycle that makes a difference.
    oldest: u64,
    /// What the paging-structure caches could hold when all of them had come to stand, is not older than this.
    needed: u64,
    /// All of them have A.
    accessed: bool,
}

impl Search<'_, '_> {
    fn run(&mut self) -> ControlFlow<()> {
        self.follow_context(self.pcid, NOW)?;
        if !self.question.registers.pge() || matches!(self.goal, Goal::Update(_)) {
            return ControlFlow::Continue(());
        }
        let current = self.pcid;
        // Only a context that was current after the page's globals were last removed can have made one since.
        let (contexts, forgotten) = self
            .question
            .history
            .contexts(self.question.snapshot.global[0]);
        self.complete &= !forgotten;
        for (pcid, current_until) in contexts {
            if pcid != current {
                self.follow_context(pcid, current_until)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn follow_context(&mut self, pcid: Pcid, current_until: u64) -> ControlFlow<()> {
        let question = self.question;
        self.pcid = pcid;
        self.current_until = current_until;
        self.scratch.followed.clear();
        self.timeline = question.horizons.psc_timeline(pcid);
        self.bound = question.snapshot.non_global[0];
        if question.registers.pge() {
            self.above_global = question
                .snapshot
                .global
                .map(|cycle| self.timeline.as_of(cycle));
            self.bound = if self.is_current() {
                self.bound.min(self.above_global[0])
            } else {
                self.above_global[0]
            };
        }
        let Some(level) = question.registers.paging_mode().root() else {
            return ControlFlow::Continue(());
        };
        let mut roots = std::mem::take(&mut self.scratch.candidates[Level::COUNT]);
        self.complete &= question.history.roots(pcid, self.bound, &mut roots);
        let mut flow = ControlFlow::Continue(());
        for root in roots.iter().copied() {
            self.chain = Chain {
                root: root.value,
                ..Chain::default()
            };
            let above = Above {
                table: root.value,
                rights: PageRights::ALL,
                oldest: self.class(root.last),
                needed: self.needed(&root),
                accessed: true,
            };
            flow = self.follow(level, above);
            if flow.is_break() {
                break;
            }
        }
        self.scratch.candidates[Level::COUNT] = roots;
        flow
    }

    const fn is_current(&self) -> bool {
        self.current_until == NOW
    }

    /// Tries every value of the entry of `level` in the table above.
    fn follow(&mut self, level: Level, above: Above) -> ControlFlow<()> {
        let question = self.question;
        if !self.met(above.oldest, above.needed) || self.was_followed(level, &above) {
            return ControlFlow::Continue(());
        }
        let mode = question.registers.paging_mode();
        let table = PhysicalAddress::new(above.table);
        let at = mode.entry_address(table, level, question.request.va);
        let (address, slot) = (at.raw(), EntrySlot::of(mode, at));
        if !question.image.contains(address) {
            return if self.of_own_walk(above.oldest, NOW) {
                self.reached(payload::bus_error(question.request), false, above.oldest)
            } else {
                ControlFlow::Continue(())
            };
        }
        if let Goal::Update(change) = self.goal
            && change.address == address
            && above.oldest >= question.snapshot.psc
            && self.may_update(level, &change, above.rights)
        {
            self.matched = Some(Match {
                chain: self.chain,
                global: false,
                fresh: false,
            });
            return ControlFlow::Break(());
        }
        let mut values = std::mem::take(&mut self.scratch.candidates[level.array_index()]);
        self.complete &= question.history.values(
            question.image,
            EntrySlot::cell(at).raw(),
            self.pcid,
            self.current_until,
            self.bound,
            &mut values,
        );
        if slot != EntrySlot::Whole {
            take_halves(&mut values, slot);
        }
        let mut flow = ControlFlow::Continue(());
        for candidate in &values {
            flow = self.try_value(level, address, above, *candidate);
            if flow.is_break() {
                break;
            }
        }
        self.scratch.candidates[level.array_index()] = values;
        flow
    }

    /// Whether the same table was followed with the same rights above it, by a chain that stood longer: then nothing new can come of it.
    ///
    /// If not, it counts as followed from here on.
    fn was_followed(&mut self, level: Level, above: &Above) -> bool {
        let rights = u64::from(above.rights.writable)
            | u64::from(above.rights.user) << 1
            | u64::from(above.rights.execute_disable) << 2;
        // Tables are 4 KiB aligned, which leaves 12 bits.
        let key =
            above.table | rights | u64::from(above.accessed) << 3 | u64::from(level.number()) << 4;
        let (oldest, needed) = (above.oldest, above.needed);
        let followed = &mut self.scratch.followed;
        if followed
            .iter()
            .any(|known| known.0 == key && known.1 >= oldest && known.2 <= needed)
        {
            return true;
        }
        followed.push((key, oldest, needed));
        false
    }

    fn try_value(
        &mut self,
        level: Level,
        address: u64,
        above: Above,
        candidate: Candidate,
    ) -> ControlFlow<()> {
        self.nodes += 1;
        if self.nodes > NODE_LIMIT {
            self.complete = false;
            return ControlFlow::Break(());
        }
        let depth = self.chain.len;
        self.chain.entries[depth] = (address, candidate.value);
        self.chain.len = depth + 1;
        let question = self.question;
        let entry = Entry(candidate.value);
        let flow = match question.rules.decode(level, entry) {
            Decoded::NotPresent => {
                let code = PageFaultCode::not_present(&question.request.access, question.registers);
                self.fault_of_own_walk(code, above, candidate)
            }
            Decoded::Reserved { .. } => {
                let code =
                    PageFaultCode::reserved_bit(&question.request.access, question.registers);
                self.fault_of_own_walk(code, above, candidate)
            }
            Decoded::Leaf(size) => self.leaf(size, entry, above, candidate),
            Decoded::Table => self.table(level, entry, above, candidate),
        };
        self.chain.len = depth;
        flow
    }

    fn table(
        &mut self,
        level: Level,
        entry: Entry,
        above: Above,
        candidate: Candidate,
    ) -> ControlFlow<()> {
        // Whoever goes below has set A before, by the contract; by the manual, who ends in a fault may not have.
        if !entry.accessed() && self.question.reading == Reading::Contract {
            return ControlFlow::Continue(());
        }
        let Some(below) = level.below() else {
            return ControlFlow::Continue(());
        };
        let above = Above {
            table: entry.table().raw(),
            rights: above.rights.through_table(entry),
            oldest: self.class(above.oldest.min(candidate.last)),
            needed: above.needed.max(self.needed(&candidate)),
            accessed: above.accessed && entry.accessed(),
        };
        self.follow(below, above)
    }

    fn leaf(
        &mut self,
        size: PageSize,
        entry: Entry,
        above: Above,
        candidate: Candidate,
    ) -> ControlFlow<()> {
        let question = self.question;
        let request = question.request;
        let index = size.array_index();
        let last = candidate.last;
        let global = entry.global() && question.registers.pge();
        let cached = if global {
            last >= question.snapshot.global[index] && above.oldest >= self.above_global[index]
        } else {
            self.is_current() && last.min(above.oldest) >= question.snapshot.non_global[index]
        };
        let cached = cached && self.met(above.oldest, above.needed.max(self.needed(&candidate)));
        let rights = above.rights.through_leaf(entry);
        match rights::judge(rights, &request.access, question.registers) {
            Ok(()) => {
                let used = above.accessed
                    && entry.accessed()
                    && (entry.dirty() || !request.access.is_write());
                if !cached || !used {
                    return ControlFlow::Continue(());
                }
                let pa = entry.frame(size).raw() | (request.va & size.offset_mask());
                let response = payload::translated(request, pa, size, entry.memory_type(size));
                self.reached(response, global, above.oldest.min(last))
            }
            Err(code) => {
                let stale = question.reading == Reading::Manual && cached;
                if !stale && !self.of_own_walk(above.oldest, last) {
                    return ControlFlow::Continue(());
                }
                self.reached(
                    payload::page_fault(request, code),
                    global,
                    above.oldest.min(last),
                )
            }
        }
    }

    /// The last horizon that is not later than `oldest`: chains whose ends lie between the same two horizons are equally legal.
    fn class(&self, oldest: u64) -> u64 {
        if oldest == NOW {
            return NOW;
        }
        let snapshot = self.question.snapshot;
        let mut class = match self.question.reading {
            Reading::Contract => self.timeline.as_of(oldest),
            Reading::Manual => 0,
        };
        let mut consider = |horizon: u64| {
            if horizon <= oldest && horizon > class {
                class = horizon;
            }
        };
        snapshot
            .non_global
            .into_iter()
            .chain(self.above_global)
            .for_each(&mut consider);
        consider(snapshot.psc);
        consider(self.question.request.accepted_cycle);
        class
    }

    /// How old entries above may be at most to have met `candidate`, in the paging-structure caches, when it had come to stand.
    fn needed(&self, candidate: &Candidate) -> u64 {
        match self.question.reading {
            Reading::Contract if candidate.first > 0 => self.timeline.alive_in(candidate.first),
            Reading::Contract | Reading::Manual => 0,
        }
    }

    /// Whether entries above, one of which ended in cycle `oldest`, can have met the others of the chain; the request's own walk
    /// may have kept what the caches held when it started.
    fn met(&self, oldest: u64, needed: u64) -> bool {
        oldest >= needed || self.is_current() && oldest >= self.question.snapshot.psc
    }

    fn fault_of_own_walk(
        &mut self,
        code: PageFaultCode,
        above: Above,
        candidate: Candidate,
    ) -> ControlFlow<()> {
        if !self.of_own_walk(above.oldest, candidate.last) {
            return ControlFlow::Continue(());
        }
        let oldest = above.oldest.min(candidate.last);
        self.reached(
            payload::page_fault(self.question.request, code),
            false,
            oldest,
        )
    }

    /// Whether a walk for this very request can have met a last entry that stood until `last`, below entries of which one stood
    /// until `oldest` only.
    fn of_own_walk(&self, oldest: u64, last: u64) -> bool {
        let life = self.question.request.accepted_cycle;
        let above_since = match self.question.reading {
            Reading::Contract => life,
            Reading::Manual => self.question.snapshot.psc.min(life),
        };
        self.is_current() && last >= life && oldest >= above_since
    }

    /// Whether the request may change the entry of `level` as `change` says.
    fn may_update(&self, level: Level, change: &Change, above: PageRights) -> bool {
        let question = self.question;
        let access = &question.request.access;
        let (before, after) = (Entry(change.before), Entry(change.after));
        match question.rules.decode(level, before) {
            Decoded::NotPresent | Decoded::Reserved { .. } => false,
            Decoded::Table => after == before.after_use_as_table(),
            Decoded::Leaf(_) => {
                let allowed =
                    rights::judge(above.through_leaf(before), access, question.registers).is_ok();
                let used = after == before.after_use_as_leaf(access.is_write());
                let accessed = after == before.with_accessed();
                (allowed && used) || (question.reading == Reading::Manual && accessed)
            }
        }
    }

    /// A chain ends here, legally, with `response`. Breaks when there is nothing left to learn.
    fn reached(&mut self, response: PortOut, global: bool, oldest: u64) -> ControlFlow<()> {
        let Goal::Response(wanted) = self.goal else {
            return ControlFlow::Continue(());
        };
        if response == wanted && self.matched.is_none() {
            self.matched = Some(Match {
                chain: self.chain,
                global,
                fresh: oldest == NOW,
            });
        }
        if self.outcomes.len() < OUTCOME_LIMIT && !self.outcomes.contains(&response) {
            self.outcomes.push(response);
        }
        if self.matched.is_some() && self.outcomes.len() > 1 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Makes of what a cell held what one entry of 4 bytes in it held: values that differ in the other one alone are one.
fn take_halves(values: &mut Vec<Candidate>, slot: EntrySlot) {
    let mut kept = 0;
    for index in 0..values.len() {
        let mut half = values[index];
        half.value = slot.extract(half.value).raw();
        let (known, _) = values.split_at_mut(kept);
        if let Some(same) = known.iter_mut().find(|known| known.value == half.value) {
            same.first = same.first.min(half.first);
            same.last = same.last.max(half.last);
        } else {
            values[kept] = half;
            kept += 1;
        }
    }
    values.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_neighbour_in_the_cell_held_does_not_count() {
        let held = |value, first, last| Candidate { value, first, last };
        let mut values = vec![
            held(0x7_0000_0001, 10, NOW),
            held(0x3_0000_0001, 5, 9),
            held(0x3_0000_0009, 0, 4),
        ];
        let mut high = values.clone();
        take_halves(&mut values, EntrySlot::Low);
        let found: Vec<_> = values.iter().map(|c| (c.value, c.first, c.last)).collect();
        assert_eq!(found, [(1, 5, NOW), (9, 0, 4)]);
        take_halves(&mut high, EntrySlot::High);
        let found: Vec<_> = high.iter().map(|c| (c.value, c.first, c.last)).collect();
        assert_eq!(found, [(7, 10, NOW), (3, 0, 9)]);
    }
}
