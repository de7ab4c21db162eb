//! The provenance check: tight, for this project's own twins. It uses the monitor, and accounts for every entry and every response.
//!
//! Contract: 4 to 11, what each says of content, cause and order; its cycle counts are the comparison's. SDM vol. 3A, 4.5 to 4.8, 4.10.
//! Counterpart: none in hardware; [`super::staleness`] is the wide check of anyone's RTL.
//!
//! # What it guarantees
//! Of a stream that passes:
//! * *Reads.* Every transaction of the walker is the next one of a walk that goes where the entries lead; a read, and a compare-and-set that
//!   fails, return what memory held in the cycle of the accept. Every compare-and-set expects the entry as it was read, and
//!   sets A, or on the leaf of an allowed access A and for a write D.
//! * *Walks.* Each starts for a miss entry that waits for it, from CR3 (always if the request was denied before) or from the live entry of
//!   the lowest paging-structure cache that matches, and ends as the entries that it read say. Faults and bus errors end
//!   walks from CR3 only.
//! * *Fills.* Each TLB and paging-structure-cache fill is by a walk that ends translated, decodes the chain of entries that this walk read, or
//!   that stand behind the cached entry that it started from, all with A set, to the bit; or it copies the STLB entry as it was
//!   looked up into an L1 array. None has an entry read that is older than the last invalidation which covers it. The right
//!   to fill is kept and lost as the contract says. A fill displaces everything that could match the same address.
//! * *Removals.* Each invalidation and drop removes exactly the live entries that it covers, in the cycle or the row in which it performs. After
//!   a sweep none of them is alive, whatever the number of rows.
//! * *Look-ups.* The code of each look-up is what the live entries say, rights judged for that request under the registers as they are. No
//!   look-up, walk start, walk end or fill happens while an invalidation performs.
//! * *Responses.* Each is that of its own request's look-up or walk, to the bit, in order, and not before it.
//! * Everything that [`super::observer`] guarantees, registers to the cycle.
//!
//! # What it does not guarantee
//! * Which way a fill takes when nothing conflicts (replacement), which set an address belongs to, which of several walks or look-ups goes first,
//!   and how long anything takes: the other twin says so, in lockstep.
//! * That a machine has an array at all: a walk that could have filled an array which was never filled passes.
//! * Byte enables and stability of the memory port.
//!
//! # How
//! Shadow arrays ([`super::shadow`]) are rebuilt from the monitor's fills and removals. Every entry carries its lineage: the entry
//! reads that it was decoded from, with their cycles. The cycles of invalidations ([`super::horizon`]) are kept apart from the
//! right to fill, so that the age of a fill is judged twice, by different means.

use std::collections::VecDeque;

use crate::arch::{Capabilities, EntryRules, Invalidation, Level, PageSize, Pcid, Registers, rights};
use crate::model::mmu_pkg::{
    self as pkg, ARRAY_NONE, Inputs, MAX_PORTS, MAX_WALKERS, Monitor, Outputs, PSC_LEVELS, PortOut, TLB_ARRAYS,
};

use super::finding::{Figures, Finding, InvalidationKind, Rule};
use super::horizon::{Horizons, Reading};
use super::image::Image;
use super::observer::{Answer, Events, Observer, Operation, Request, Store, Transaction};
use super::payload;
use super::shadow::{Link, PscEntry, PscShadow, TlbEntry, TlbShadow, page_number};

mod arrays;
mod walks;

use arrays::{Removal, Wanted};
use walks::{Setting, Step, Walk};

/// First array of the STLB.
const STLB: usize = 6;

/// Where a miss entry stands.
#[derive(Debug, Clone)]
enum MissState {
    StlbWait,
    /// The STLB look-up hit; when the result performs, the entry is free. Seen from here it is used up by the port's next look-up.
    StlbHit {
        array: usize,
        entry: TlbEntry,
        filled: bool,
    },
    WalkWait,
    Walking,
}

/// A port's miss entry.
#[derive(Debug, Clone)]
struct Miss {
    request: Request,
    state: MissState,
    /// The cycle in which it came into that state.
    since: u64,
    from_cr3: bool,
    /// The right to fill.
    right: bool,
}

/// A port, from the accept of a request to its response.
#[derive(Debug, Clone, Default)]
struct Port {
    /// Accepted, not yet looked up.
    queue: VecDeque<Request>,
    miss: Option<Miss>,
    /// Decided in that cycle, not yet shown.
    decided: VecDeque<(u64, PortOut)>,
}

/// An invalidation that performs: once, or row by row from `since` on.
#[derive(Debug, Clone, Copy)]
struct Ongoing {
    invalidation: Invalidation,
    kind: InvalidationKind,
    since: u64,
}

/// The provenance check of one stream.
///
/// Feed it every cycle from reset on. After an error it must not be used further.
#[derive(Debug, Clone)]
pub struct Provenance {
    observer: Observer,
    events: Events,
    /// The registers as they are in the cycle under judgement, before a write that performs in it.
    registers: Registers,
    rules: EntryRules,
    horizons: Horizons,
    tlb: [TlbShadow; TLB_ARRAYS],
    psc: [PscShadow; PSC_LEVELS],
    tlb_present: [bool; TLB_ARRAYS],
    psc_present: [bool; PSC_LEVELS],
    ports: [Port; MAX_PORTS],
    walks: [Option<Walk>; MAX_WALKERS],
    ongoing: Option<Ongoing>,
    /// Control is busy in this cycle.
    busy: bool,
    figures: Figures,
}

impl Provenance {
    /// A check of a machine with `capabilities` over `image`.
    pub fn new(capabilities: Capabilities, image: Image) -> Self {
        let sizes = PageSize::ALL;
        Self {
            observer: Observer::new(capabilities, image, true),
            events: Events::default(),
            registers: Registers::RESET,
            rules: Registers::RESET.entry_rules(&capabilities),
            horizons: Horizons::new(Reading::Contract),
            tlb: std::array::from_fn(|array| TlbShadow::new(sizes[array % 3])),
            psc: [Level::Pd, Level::Pdpt, Level::Pml4, Level::Pml5].map(PscShadow::new),
            tlb_present: [false; TLB_ARRAYS],
            psc_present: [false; PSC_LEVELS],
            ports: Default::default(),
            walks: Default::default(),
            ongoing: None,
            busy: false,
            figures: Figures::default(),
        }
    }

    /// What was counted so far.
    pub const fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Memory as the machine and the stores have left it.
    pub const fn image(&self) -> &Image {
        self.observer.image()
    }

    /// Judges one cycle. `stores` are those of other agents that perform in it.
    ///
    /// # Errors
    /// The rule that was broken; the first group of [`Rule`], and those of the provenance check.
    #[inline]
    pub fn observe(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), Finding> {
        let mut events = std::mem::take(&mut self.events);
        let result = self.step(cycle, inputs, outputs, stores, &mut events);
        self.events = events;
        result
    }

    #[inline]
    fn step(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
        events: &mut Events,
    ) -> Result<(), Finding> {
        self.observer.answers(cycle, inputs, outputs, events)?;
        for answer in &events.answers {
            self.answer(cycle, answer)?;
        }
        self.observer.performs(cycle, inputs, outputs, stores, events)?;
        if events.reset {
            self.reset(cycle);
            return Ok(());
        }
        self.control(cycle, events)?;
        if let Some(transaction) = &events.answered_transaction {
            self.answered(transaction);
        }
        if let Some(transaction) = &events.accepted_transaction {
            self.accepted(transaction)?;
        }
        if self.busy || is_active(&outputs.monitor) {
            self.monitor(cycle, &outputs.monitor)?;
        }
        for request in &events.requests {
            self.ports[usize::from(request.port)].queue.push_back(*request);
        }
        if let Some(operation) = &events.performed {
            self.registers = operation.after;
            self.rules = operation.after.entry_rules(self.observer.capabilities());
        }
        Ok(())
    }

    fn reset(&mut self, cycle: u64) {
        self.registers = Registers::RESET;
        self.rules = Registers::RESET.entry_rules(self.observer.capabilities());
        self.horizons.record_everything(cycle, cycle);
        self.tlb.iter_mut().for_each(TlbShadow::clear);
        self.psc.iter_mut().for_each(PscShadow::clear);
        self.ports = Default::default();
        self.walks = Default::default();
        self.ongoing = None;
        self.busy = false;
    }

    fn answer(&mut self, cycle: u64, answer: &Answer) -> Result<(), Finding> {
        let decided = &mut self.ports[usize::from(answer.request.port)].decided;
        let first = decided.pop_front().filter(|(decided_cycle, _)| *decided_cycle < cycle);
        let Some((_, response)) = first.filter(|(_, response)| *response == answer.response) else {
            let seen = format!("{} for id {}", payload::describe(&answer.response), answer.response.resp_id);
            let allowed = match first {
                Some((_, response)) => format!("{} for id {}", payload::describe(&response), response.resp_id),
                None => "none: no look-up and no walk has decided it".into(),
            };
            return Err(Finding::new(cycle, Rule::ResponseOrigin, seen, allowed));
        };
        self.figures.responses += 1;
        self.figures.single_outcome += 1;
        let image = self.observer.image();
        let now = payload::of_memory(&answer.request, &self.registers, self.observer.capabilities(), image);
        self.figures.stale_observed += u64::from(now != response);
        Ok(())
    }

    /// What performs in the cycle, and whether control is busy.
    fn control(&mut self, cycle: u64, events: &Events) -> Result<(), Finding> {
        if events.completed.is_some() {
            if events.performed.is_some() {
                let allowed = "the cycle after the last one of the operation, or a later one";
                return Err(Finding::new(cycle, Rule::ControlResponse, "a response in the performing cycle", allowed));
            }
            if let Some(ongoing) = self.ongoing.take()
                && !matches!(ongoing.invalidation, Invalidation::Page { .. })
            {
                self.swept(cycle, &ongoing.invalidation, cycle - ongoing.since)?;
            }
        }
        self.busy = self.ongoing.is_some() || events.performed.is_some();
        if let Some(operation) = &events.performed
            && !operation.invalidation.is_none()
        {
            self.invalidate(cycle, operation);
        }
        Ok(())
    }

    fn invalidate(&mut self, cycle: u64, operation: &Operation) {
        self.horizons.record(&operation.invalidation, cycle, cycle);
        for miss in self.ports.iter_mut().filter_map(|port| port.miss.as_mut()) {
            miss.right = false;
        }
        let Operation { invalidation, kind, .. } = *operation;
        self.ongoing = Some(Ongoing { invalidation, kind, since: cycle });
    }

    fn accepted(&mut self, transaction: &Transaction) -> Result<(), Finding> {
        match self.walks.get_mut(usize::from(transaction.id)) {
            Some(Some(walk)) => walk.accepted(transaction),
            _ => {
                let seen = format!("a transaction of walker {} at {:#x}", transaction.id, transaction.address);
                Err(Finding::new(transaction.cycle, Rule::WalkTransaction, seen, "none: it does not walk"))
            }
        }
    }

    fn answered(&mut self, transaction: &Transaction) {
        let setting = Setting { registers: &self.registers, rules: &self.rules };
        if transaction.op == pkg::MEM_COMPARE_AND_SET && transaction.before == transaction.expected {
            self.figures.entry_updates += 1;
        }
        if let Some(Some(walk)) = self.walks.get_mut(usize::from(transaction.id)) {
            walk.answered(transaction, setting);
        }
    }

    /// Everything that the monitor shows in a cycle.
    fn monitor(&mut self, cycle: u64, monitor: &Monitor) -> Result<(), Finding> {
        self.look_ups(cycle, monitor)?;
        let mut wanted = Wanted::default();
        let mut dropped = None;
        for (walker, event) in monitor.walk.iter().enumerate().filter(|(_, event)| event.op != pkg::WALK_NONE) {
            let port = usize::from(event.port);
            if self.busy || port >= MAX_PORTS {
                let seen = format!("walk event {} of port {port}", event.op);
                return Err(Finding::new(cycle, Rule::LookupState, seen, "none while control is busy; an existing port"));
            }
            let drop = match event.op {
                pkg::WALK_START => self.walk_start(cycle, walker, port, event.psc_level)?,
                pkg::WALK_RESTART => self.walk_restart(cycle, walker, port, event.psc_level)?,
                _ => self.walk_end(cycle, walker, port, event, &mut wanted)?,
            };
            if let Some(va) = drop {
                let pcid = self.registers.current_pcid();
                self.take_rights(port);
                self.horizons.record_drop(va, pcid, cycle);
                dropped = Some(Removal::Drop { va, pcid });
            }
        }
        if dropped.is_some() && monitor.lookup.iter().any(|code| *code != pkg::LOOKUP_NONE) {
            let seen = "an L1 look-up in the cycle of a drop";
            return Err(Finding::new(cycle, Rule::LookupState, seen, "none in such a cycle"));
        }
        let removal = dropped.or_else(|| self.performing(cycle));
        self.arrays(cycle, monitor, &mut wanted, removal.as_ref())?;
        self.unfilled(cycle, &wanted)
    }

    /// The part of the invalidation under way that performs in this cycle.
    fn performing(&self, cycle: u64) -> Option<Removal> {
        let ongoing = self.ongoing.as_ref()?;
        let row = cycle - ongoing.since;
        match ongoing.invalidation {
            Invalidation::Page { .. } => (row == 0).then_some(Removal::Page(ongoing.invalidation, ongoing.kind)),
            _ => Some(Removal::Row(ongoing.invalidation, ongoing.kind, row)),
        }
    }

    /// A drop for the request of `port` takes the right to fill from every other miss entry.
    fn take_rights(&mut self, port: usize) {
        for (index, other) in self.ports.iter_mut().enumerate() {
            if let Some(miss) = &mut other.miss
                && index != port
            {
                miss.right = false;
            }
        }
    }

    fn look_ups(&mut self, cycle: u64, monitor: &Monitor) -> Result<(), Finding> {
        for (port, code) in monitor.lookup.iter().enumerate() {
            if *code != pkg::LOOKUP_NONE {
                self.l1_look_up(cycle, port, *code, monitor)?;
            }
        }
        if monitor.stlb_lookup != pkg::LOOKUP_NONE {
            self.stlb_look_up(cycle, usize::from(monitor.stlb_port), monitor)?;
        }
        Ok(())
    }

    fn l1_look_up(&mut self, cycle: u64, port: usize, code: u8, monitor: &Monitor) -> Result<(), Finding> {
        let first_array = if port == 0 { 0 } else { 3 };
        let filling = monitor.tlb[first_array..first_array + 3].iter().any(|event| event.op == pkg::ARRAY_FILL);
        let free = self.ports[port].miss.as_ref().is_none_or(|miss| {
            // Its result performs later than the look-up, and frees it for the next cycle.
            matches!(miss.state, MissState::StlbHit { .. }) && miss.since + 1 < cycle
        });
        let request = self.ports[port].queue.pop_front();
        let Some(request) = request.filter(|_| free && !filling && !self.busy) else {
            let seen = format!("a look-up of port {port} with code {code}");
            let allowed = "a look-up of a waiting request, its miss entry free, without a fill, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        self.retire_miss(cycle, port)?;
        if let Some(response) = payload::bypass(&request, &self.registers) {
            self.ports[port].decided.push_back((cycle, response));
            return self.check_code(cycle, Rule::Lookup, port, code, pkg::LOOKUP_BYPASS);
        }
        let (expected, hit) = self.look_up(first_array, &request);
        self.check_code(cycle, Rule::Lookup, port, code, expected)?;
        let state = match (expected, hit) {
            (pkg::LOOKUP_MISS, _) => MissState::StlbWait,
            (pkg::LOOKUP_DENIED | pkg::LOOKUP_DIRTY_CLEAR, _) | (_, None) => MissState::WalkWait,
            (_, Some((array, entry))) => {
                let response = self.response(array, &entry, &request);
                self.ports[port].decided.push_back((cycle, response));
                return Ok(());
            }
        };
        let from_cr3 = expected == pkg::LOOKUP_DENIED;
        self.ports[port].miss = Some(Miss { request, state, since: cycle, from_cr3, right: true });
        Ok(())
    }

    /// The port's miss entry was freed by the result of an STLB look-up that hit. If it had the right to fill, it filled.
    fn retire_miss(&mut self, cycle: u64, port: usize) -> Result<(), Finding> {
        let Some(miss) = self.ports[port].miss.take() else {
            return Ok(());
        };
        let MissState::StlbHit { array, filled, .. } = miss.state else {
            return Ok(());
        };
        let l1 = array % 3 + if port == 0 { 0 } else { 3 };
        if miss.right && !filled && self.tlb_present[l1] {
            let seen = format!("an STLB hit of port {port} that left TLB array {l1} as it was");
            return Err(Finding::new(cycle, Rule::FillRight, seen, "a fill, by the right to fill"));
        }
        Ok(())
    }

    fn stlb_look_up(&mut self, cycle: u64, port: usize, monitor: &Monitor) -> Result<(), Finding> {
        let walker_ends = monitor.walk.iter().any(|event| event.op >= pkg::WALK_TRANSLATED);
        let waiting = |miss: &&Miss| matches!(miss.state, MissState::StlbWait) && miss.since < cycle;
        let miss = self.ports.get(port).and_then(|port| port.miss.as_ref()).filter(waiting);
        let Some(request) = miss.filter(|_| !walker_ends && !self.busy).map(|miss| miss.request) else {
            let seen = format!("an STLB look-up for port {port}");
            let allowed = "one for a miss entry that waits for it, no walk ending, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        let (expected, hit) = self.look_up(STLB, &request);
        self.check_code(cycle, Rule::StlbLookup, port, monitor.stlb_lookup, expected)?;
        let hit = hit.filter(|_| expected <= pkg::LOOKUP_HIT_1G);
        let decided = hit.as_ref().map(|(array, entry)| (cycle, self.response(*array, entry, &request)));
        let port = &mut self.ports[port];
        port.decided.extend(decided);
        if let Some(miss) = &mut port.miss {
            miss.since = cycle;
            miss.from_cr3 |= expected == pkg::LOOKUP_DENIED;
            miss.state = match hit {
                Some((array, entry)) => MissState::StlbHit { array, entry, filled: false },
                None => MissState::WalkWait,
            };
        }
        Ok(())
    }

    fn check_code(&self, cycle: u64, rule: Rule, port: usize, seen: u8, expected: u8) -> Result<(), Finding> {
        if seen == expected {
            return Ok(());
        }
        let seen = format!("code {seen} for port {port}");
        Err(Finding::new(cycle, rule, seen, format!("code {expected}, by the live entries")))
    }

    /// The code of a look-up in the three arrays from `first_array` on, and the entry that counts.
    fn look_up(&self, first_array: usize, request: &Request) -> (u8, Option<(usize, TlbEntry)>) {
        let pcid = self.registers.current_pcid();
        for (index, array) in self.tlb.iter().enumerate().skip(first_array).take(3) {
            let page = page_number(request.va, array.size());
            let (set, ways) = array.ways_where(page, |words| words.serves(pcid));
            if ways == 0 {
                continue;
            }
            let Some(entry) = array.entry(set, ways.trailing_zeros()) else { continue };
            let code = if rights::judge(entry.words.rights(), &request.access, &self.registers).is_err() {
                pkg::LOOKUP_DENIED
            } else if request.access.is_write() && !entry.words.dirty() {
                pkg::LOOKUP_DIRTY_CLEAR
            } else {
                pkg::LOOKUP_HIT_4K + array.size() as u8
            };
            return (code, Some((index, entry.clone())));
        }
        (pkg::LOOKUP_MISS, None)
    }

    fn response(&self, array: usize, entry: &TlbEntry, request: &Request) -> PortOut {
        let size = self.tlb[array].size();
        payload::translated(request, entry.words.translate(request.va, size), size, entry.words.memory_type())
    }

    /// START of a walk that is not a restart. Returns the address to drop, if it starts from CR3 by a denial.
    fn walk_start(&mut self, cycle: u64, walker: usize, port: usize, level: u8) -> Result<Option<u64>, Finding> {
        let waiting = |miss: &&mut Miss| matches!(miss.state, MissState::WalkWait) && miss.since < cycle;
        let miss = self.ports[port].miss.as_mut().filter(waiting);
        let Some(miss) = miss.filter(|_| self.walks[walker].is_none()) else {
            let seen = format!("walker {walker} starts for port {port}");
            return Err(Finding::new(cycle, Rule::WalkStart, seen, "an idle walker, and a miss entry that waits for a walk"));
        };
        miss.state = MissState::Walking;
        let (request, from_cr3) = (miss.request, miss.from_cr3);
        let pcid = self.registers.current_pcid();
        let cached = if from_cr3 { None } else { self.psc_match(request.va, pcid) };
        let expected = cached.as_ref().map_or(0, |(level, _)| level.number());
        if level != expected {
            let seen = format!("a walk for {:#x} that starts with a cached entry of level {level}", request.va);
            let allowed = format!("level {expected} (0: from CR3)");
            return Err(Finding::new(cycle, Rule::WalkStart, seen, allowed));
        }
        let cached = cached.as_ref().map(|(level, entry)| (*level, entry));
        self.walks[walker] = Walk::start(request, cached, &self.registers);
        Ok(from_cr3.then_some(request.va))
    }

    fn psc_match(&self, va: u64, pcid: Pcid) -> Option<(Level, PscEntry)> {
        let levels = if self.registers.paging_mode().root() == Some(Level::Pml5) { PSC_LEVELS } else { PSC_LEVELS - 1 };
        self.psc[..levels].iter().find_map(|cache| {
            let ways = cache.matching(va, pcid);
            let entry = cache.entry(ways.trailing_zeros()).filter(|_| ways != 0)?;
            Some((cache.level(), entry.clone()))
        })
    }

    fn walk_restart(&mut self, cycle: u64, walker: usize, port: usize, level: u8) -> Result<Option<u64>, Finding> {
        let walk = self.walks[walker].take();
        let failed = walk.filter(|walk| matches!(walk.step, Step::Restart) && usize::from(walk.request.port) == port);
        let Some(walk) = failed.filter(|_| level == 0) else {
            let seen = format!("walker {walker} starts over for port {port}, level {level}");
            let allowed = "a walk that started in a cache and failed, from CR3 now";
            return Err(Finding::new(cycle, Rule::WalkStart, seen, allowed));
        };
        self.walks[walker] = Walk::start(walk.request, None, &self.registers);
        Ok(Some(walk.request.va))
    }

    /// DONE. Returns the address to drop, if it ends with a page fault.
    fn walk_end(
        &mut self,
        cycle: u64,
        walker: usize,
        port: usize,
        event: &pkg::WalkEvent,
        wanted: &mut Wanted,
    ) -> Result<Option<u64>, Finding> {
        let wrong = |rule, allowed: &str| {
            let seen = format!("walker {walker} ends for port {port} with op {}, filled {}", event.op, event.filled);
            Err(Finding::new(cycle, rule, seen, allowed))
        };
        let walk = self.walks[walker].take().filter(|walk| usize::from(walk.request.port) == port);
        let Some((walk, miss)) = walk.zip(self.ports[port].miss.take()) else {
            return wrong(Rule::WalkEnd, "the end of a walk in progress");
        };
        let (response, dropped) = match (event.op, walk.step) {
            (pkg::WALK_TRANSLATED, Step::Translated(result)) => {
                if event.filled != 0 {
                    self.check_age(cycle, walk.request.va, result.size, &result.tlb, Some(&result.psc))?;
                }
                if (event.filled != 0) != miss.right {
                    return wrong(Rule::FillRight, &format!("filled {}", u8::from(miss.right)));
                }
                if miss.right {
                    let l1 = if port == 0 { 0 } else { 3 };
                    wanted.tlb[STLB + result.size as usize] = Some(result.tlb.clone());
                    wanted.tlb[l1 + result.size as usize] = Some(result.tlb);
                    for (level, entry) in result.psc {
                        wanted.psc[level.array_index() - 1] = Some(entry);
                    }
                }
                (result.response, None)
            }
            (pkg::WALK_PAGE_FAULT, Step::PageFault(code)) => {
                (payload::page_fault(&walk.request, code), Some(walk.request.va))
            }
            (pkg::WALK_BUS_ERROR, Step::BusError) => (payload::bus_error(&walk.request), None),
            (pkg::WALK_PAGE_FAULT | pkg::WALK_BUS_ERROR, Step::Restart) => {
                return wrong(Rule::FaultFromCr3, "a restart from CR3: the walk started in a cache");
            }
            (_, step) => return wrong(Rule::WalkEnd, &format!("{step:?}")),
        };
        self.ports[port].decided.push_back((cycle, response));
        Ok(dropped)
    }

    /// Whether every entry read behind a fill is younger than what last removed such an entry. `psc`: of a walk, whose
    /// paging-structure-cache fills, and whose way through them, are judged as well.
    fn check_age(
        &self,
        cycle: u64,
        va: u64,
        size: PageSize,
        tlb: &TlbEntry,
        psc: Option<&[(Level, PscEntry)]>,
    ) -> Result<(), Finding> {
        let pcid = tlb.words.pcid();
        let (leaf, above) = if tlb.words.global() {
            (self.horizons.global(va, size), 0)
        } else {
            let horizon = self.horizons.non_global(va, size, pcid);
            (horizon, horizon)
        };
        let cached = if psc.is_some() { self.horizons.psc(pcid) } else { 0 };
        let links = tlb.lineage.links.split_last();
        let old = |link: &&Link, horizon: u64| link.cycle <= horizon;
        let too_old = links.and_then(|(last, rest)| {
            let last = Some(last).filter(|last| old(last, leaf));
            last.or_else(|| rest.iter().find(|link| old(link, above.max(cached))))
        });
        let Some(link) = too_old else { return Ok(()) };
        let seen = format!("a fill for {va:#x} by the {} read in cycle {}", link.level, link.cycle);
        let horizon = leaf.max(above).max(cached);
        let allowed = format!("entries read after cycle {horizon}, in which an invalidation covered them");
        Err(Finding::new(cycle, Rule::FillAge, seen, allowed))
    }
}

/// Whether the monitor shows anything.
#[inline]
fn is_active(monitor: &Monitor) -> bool {
    let mut any = monitor.stlb_lookup;
    monitor.lookup.iter().for_each(|code| any |= code);
    monitor.walk.iter().for_each(|event| any |= event.op);
    monitor.tlb.iter().chain(&monitor.psc).for_each(|event| any |= event.op);
    any != ARRAY_NONE
}
