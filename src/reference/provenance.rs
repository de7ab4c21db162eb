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
//! * *The miss queue.* Each request that missed is in one entry of it, goes from state to state as its look-ups, results and walks say, waits
//!   only for an entry that accepts it, and is looked up again when that one is free. What the queue shows of itself is that.
//! * *The prefetch.* It follows a walk that filled, reads entries and sets nothing, is stopped where a request would fault or set A, and fills the STLB.
//! * *Walks.* Each starts for an entry of the miss queue that waits for it, from CR3 (always if the request was denied before) or from the live entry of
//!   the lowest paging-structure cache that matches, and ends as the entries that it read say. Faults and bus errors end
//!   walks from CR3 only.
//! * *Places.* A page is kept in the size, the array and the set that the machine's parameters say, and looked for there alone.
//! * *Fills.* Each TLB and paging-structure-cache fill is by a walk that ends translated, decodes the chain of entries that this walk read, or
//!   that stand behind the cached entry that it started from, all with A set, to the bit, or a piece of that page; or it copies the STLB entry
//!   as it was looked up, or a piece of it, into an L1 array. Every array that should be filled is. None has an entry read that is older than the last invalidation which covers it. The right
//!   to fill is kept and lost as the contract says. A fill displaces everything that could match the same address.
//! * *Removals.* Each invalidation and drop removes exactly the live entries that it covers, in the cycle or the row in which it performs. After
//!   a sweep none of them is alive, whatever the number of rows. What an inclusive STLB evicts leaves the first level in the next cycle in which
//!   control is not busy, and nothing else performs there.
//! * *Look-ups.* The code of each look-up is what the live entries say, rights judged for that request under the registers as they are. No
//!   look-up, walk start, walk end or fill happens while an invalidation performs.
//! * *Responses.* Each is that of its own request's look-up or walk, to the bit, in order, and not before it.
//! * Everything that [`super::observer`] guarantees, registers to the cycle.
//!
//! # What it does not guarantee
//! * Which way a fill takes when nothing conflicts (replacement), which of several walks or look-ups goes first, and how long anything takes: the
//!   other twin says so, in lockstep.
//! * Of an invalidation that removes from several sets of one array at once, which of them the monitor names.
//! * Stability of the memory port.
//!
//! # How
//! Shadow arrays ([`super::shadow`]) are rebuilt from the monitor's fills and removals. Every entry carries its lineage: the entry
//! reads that it was decoded from, with their cycles. The cycles of invalidations ([`super::horizon`]) are kept apart from the
//! right to fill, so that the age of a fill is judged twice, by different means.

use std::collections::VecDeque;

use crate::arch::{EntryRules, Invalidation, Level, Registers};
use crate::config::{Config, Level as Tlb};
use crate::model::mmu_pkg::{
    self as pkg, ARRAY_NONE, Inputs, MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, MAX_WALKERS, Monitor,
    Outputs, PREFETCH_ENTRY, PSC_LEVELS, PortOut, TLB_ARRAYS,
};

use super::finding::{Figures, Finding, InvalidationKind, Rule};
use super::geometry::Geometry;
use super::horizon::{Horizons, Reading};
use super::image::Image;
use super::observer::{Answer, Events, Observer, Operation, Request, Store, Transaction};
use super::payload;
use super::shadow::{PscShadow, TlbShadow, TlbWords};

mod arrays;
mod look_ups;
mod queues;
mod walk_events;
mod walks;

use arrays::{Removal, Wanted};
use queues::{Miss, Prefetch};
use walks::{Setting, Walk};

/// The level that serves a port first.
const fn first_level(port: usize) -> Tlb {
    if port == 0 { Tlb::Itlb } else { Tlb::Dtlb }
}

/// A port, from the accept of a request to its response.
#[derive(Debug, Clone, Default)]
struct Port {
    /// Accepted, not yet looked up.
    queue: VecDeque<Request>,
    /// Decided, not yet shown. What a cycle decides comes after what it shows, so it shows in a later one.
    decided: VecDeque<PortOut>,
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
    geometry: Geometry,
    tlb: [TlbShadow; TLB_ARRAYS],
    psc: [PscShadow; PSC_LEVELS],
    /// What an inclusive STLB evicted, and the first level may still hold.
    evicted: Option<TlbWords>,
    ports: [Port; MAX_PORTS],
    /// The entries of the miss queue.
    misses: [Option<Miss>; MAX_MISS_QUEUE_ENTRIES],
    /// The entries looked up in the STLB whose result is on its way, oldest first.
    stlb_busy: VecDeque<usize>,
    /// Entries of which one must become free with a result of the last cycle: a look-up then could have waited for them, and did not.
    owed: Vec<u32>,
    prefetch: Option<Prefetch>,
    /// What a walk that ended in the last cycle makes the prefetch, if the machine has one.
    triggered: Option<u64>,
    /// The machine prefetches.
    prefetches: bool,
    walks: [Option<Walk>; MAX_WALKERS],
    /// Answers to walks of the prefetch, which are examined in the cycle after.
    unexamined: [Option<Transaction>; MAX_WALKERS],
    ongoing: Option<Ongoing>,
    /// Control is busy in this cycle.
    busy: bool,
    figures: Figures,
}

impl Provenance {
    /// A check of a machine of `config`, which must be valid, over `image`.
    pub fn new(config: &Config, image: Image) -> Self {
        let capabilities = config.arch_capabilities();
        let geometry = Geometry::new(config);
        let psc = std::array::from_fn(|cache| {
            let (sets, ways) = geometry.psc(cache);
            PscShadow::new(Level::ALL[cache + 1], sets, ways)
        });
        Self {
            observer: Observer::new(capabilities, image, true),
            events: Events::default(),
            registers: Registers::RESET,
            rules: Registers::RESET.entry_rules(&capabilities),
            horizons: Horizons::new(Reading::Contract).in_pieces(geometry.fractures()),
            geometry,
            tlb: Default::default(),
            psc,
            evicted: None,
            ports: Default::default(),
            misses: Default::default(),
            stlb_busy: VecDeque::new(),
            owed: Vec::new(),
            prefetch: None,
            triggered: None,
            prefetches: false,
            walks: Default::default(),
            unexamined: Default::default(),
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
        if inputs.rst_n != 0 {
            self.settle(cycle, &outputs.queues)?;
        }
        self.observer.answers(cycle, inputs, outputs, events)?;
        for answer in &events.answers {
            self.answer(cycle, answer)?;
        }
        self.observer
            .performs(cycle, inputs, outputs, stores, events)?;
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
        if self.busy || self.evicted.is_some() || is_active(&outputs.monitor) {
            self.monitor(cycle, &outputs.monitor)?;
        }
        for request in &events.requests {
            self.ports[usize::from(request.port)]
                .queue
                .push_back(*request);
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
        self.evicted = None;
        self.ports = Default::default();
        self.misses = Default::default();
        self.stlb_busy.clear();
        self.owed.clear();
        self.prefetch = None;
        self.triggered = None;
        self.walks = Default::default();
        self.unexamined = Default::default();
        self.ongoing = None;
        self.busy = false;
    }

    fn answer(&mut self, cycle: u64, answer: &Answer) -> Result<(), Finding> {
        let decided = &mut self.ports[usize::from(answer.request.port)].decided;
        let first = decided.pop_front();
        let Some(response) = first.filter(|response| *response == answer.response) else {
            let seen = format!(
                "{} for id {}",
                payload::describe(&answer.response),
                answer.response.resp_id
            );
            let allowed = match first {
                Some(response) => format!(
                    "{} for id {}",
                    payload::describe(&response),
                    response.resp_id
                ),
                None => "none: no look-up and no walk has decided it".into(),
            };
            return Err(Finding::new(cycle, Rule::ResponseOrigin, seen, allowed));
        };
        self.figures.responses += 1;
        self.figures.single_outcome += 1;
        let image = self.observer.image();
        let now = payload::of_memory(
            &answer.request,
            &self.registers,
            self.observer.capabilities(),
            image,
        );
        self.figures.stale_observed += u64::from(now != response);
        Ok(())
    }

    /// What performs in the cycle, and whether control is busy.
    fn control(&mut self, cycle: u64, events: &Events) -> Result<(), Finding> {
        if events.completed.is_some() {
            if events.performed.is_some() {
                let allowed = "the cycle after the last one of the operation, or a later one";
                return Err(Finding::new(
                    cycle,
                    Rule::ControlResponse,
                    "a response in the performing cycle",
                    allowed,
                ));
            }
            if let Some(ongoing) = self.ongoing.take()
                && self.sweeps(&ongoing.invalidation)
            {
                self.swept(
                    cycle,
                    &ongoing.invalidation,
                    cycle.saturating_sub(ongoing.since),
                )?;
            }
        }
        self.busy = self.ongoing.is_some() || events.performed.is_some();
        if let Some(operation) = &events.performed {
            if operation.writes_register && !operation.general_protection {
                self.end_prefetch();
            }
            if !operation.invalidation.is_none() {
                self.invalidate(cycle, operation);
            }
        }
        Ok(())
    }

    fn invalidate(&mut self, cycle: u64, operation: &Operation) {
        self.horizons.record(&operation.invalidation, cycle, cycle);
        self.take_rights(usize::MAX);
        let Operation {
            invalidation, kind, ..
        } = *operation;
        self.ongoing = Some(Ongoing {
            invalidation,
            kind,
            since: cycle,
        });
    }

    fn accepted(&mut self, transaction: &Transaction) -> Result<(), Finding> {
        match self.walks.get_mut(usize::from(transaction.id)) {
            Some(Some(walk)) => walk.accepted(transaction),
            _ => {
                let seen = format!(
                    "a transaction of walker {} at {:#x}",
                    transaction.id, transaction.address
                );
                Err(Finding::new(
                    transaction.cycle,
                    Rule::WalkTransaction,
                    seen,
                    "none: it does not walk",
                ))
            }
        }
    }

    fn answered(&mut self, transaction: &Transaction) {
        let setting = Setting {
            registers: &self.registers,
            rules: &self.rules,
        };
        self.figures.entry_updates += u64::from(transaction.has_set());
        let walker = usize::from(transaction.id);
        if let Some(Some(walk)) = self.walks.get_mut(walker) {
            if walk.prefetch {
                // Whether it may go on depends on what happens in this cycle.
                self.unexamined[walker] = Some(*transaction);
            } else {
                walk.answered(transaction, setting, true);
            }
        }
    }

    /// Everything that the monitor shows in a cycle.
    fn monitor(&mut self, cycle: u64, monitor: &Monitor) -> Result<(), Finding> {
        let evicted = if self.busy { None } else { self.evicted.take() };
        if evicted.is_some() {
            alone(cycle, monitor)?;
        }
        self.look_ups(cycle, monitor)?;
        let mut wanted = Wanted::default();
        let mut dropped = None;
        for (walker, event) in monitor
            .walk
            .iter()
            .enumerate()
            .filter(|(_, event)| event.op != pkg::WALK_NONE)
        {
            if self.busy || event.entry > PREFETCH_ENTRY {
                let seen = format!("walk event {} of entry {}", event.op, event.entry);
                return Err(Finding::new(
                    cycle,
                    Rule::LookupState,
                    seen,
                    "none while control is busy; an existing entry",
                ));
            }
            let drop = match event.op {
                pkg::WALK_START => self.walk_start(cycle, walker, event)?,
                pkg::WALK_RESTART => self.walk_restart(cycle, walker, event)?,
                _ => self.walk_end(cycle, walker, event, &mut wanted)?,
            };
            if let Some(va) = drop {
                dropped = Some(self.drop_address(cycle, usize::from(event.entry), va));
            }
        }
        let looks_up = monitor.lookup.iter().any(|code| *code != pkg::LOOKUP_NONE)
            || monitor.stlb_lookup != pkg::LOOKUP_NONE;
        if dropped.is_some() && looks_up {
            let seen = "a look-up in the cycle of a drop";
            return Err(Finding::new(
                cycle,
                Rule::LookupState,
                seen,
                "none in such a cycle",
            ));
        }
        let removal = dropped
            .or_else(|| evicted.map(Removal::Evicted))
            .or_else(|| self.performing(cycle));
        if let Some(evicted) = evicted {
            self.take_rights_to(evicted);
        }
        self.arrays(cycle, monitor, &mut wanted, removal.as_ref())?;
        self.unfilled(cycle, &wanted)
    }

    /// The part of the invalidation under way that performs in this cycle.
    fn performing(&self, cycle: u64) -> Option<Removal> {
        let ongoing = self.ongoing.as_ref()?;
        let row = cycle.saturating_sub(ongoing.since);
        if self.sweeps(&ongoing.invalidation) {
            return Some(Removal::Row(ongoing.invalidation, ongoing.kind, row));
        }
        (row == 0).then_some(Removal::Page(ongoing.invalidation, ongoing.kind))
    }

    /// Whether an invalidation is of kind sweep: of one page in a machine that fractures alone.
    const fn sweeps(&self, invalidation: &Invalidation) -> bool {
        !matches!(invalidation, Invalidation::Page { .. }) || self.geometry.fractures()
    }

    /// A drop of `va` for the request of `entry`: every other entry of the miss queue, and the prefetch, loses the right to fill.
    fn drop_address(&mut self, cycle: u64, entry: usize, va: u64) -> Removal {
        self.take_rights(entry);
        let pcid = self.registers.current_pcid();
        let mode = self.registers.paging_mode();
        self.horizons.record_drop(va, mode, pcid, cycle);
        Removal::Drop { va, pcid }
    }
}

/// A back-invalidation performs: no look-up in L1 does, and nothing commits that the monitor shows.
fn alone(cycle: u64, monitor: &Monitor) -> Result<(), Finding> {
    let looks_up = monitor.lookup.iter().any(|code| *code != pkg::LOOKUP_NONE);
    let commits = monitor.walk.iter().any(|event| event.op != pkg::WALK_NONE);
    if looks_up || commits {
        let seen =
            "a look-up in L1, or a start or an end of a walk, in the cycle of a back-invalidation";
        let allowed = "none in such a cycle";
        return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
    }
    Ok(())
}

/// Whether the monitor shows anything.
#[inline]
fn is_active(monitor: &Monitor) -> bool {
    let mut any = monitor.stlb_lookup;
    monitor.lookup.iter().for_each(|code| any |= code);
    monitor.walk.iter().for_each(|event| any |= event.op);
    monitor
        .tlb
        .iter()
        .chain(&monitor.psc)
        .for_each(|event| any |= event.op);
    any != ARRAY_NONE
}
