//! The architectural check: wide, for anyone's RTL. It knows what software and the bus can know, and not the monitor.
//!
//! Contract: 3 (ports), 9 (control); nothing of its timing. SDM vol. 3A, 4.6 to 4.8, 4.10.
//! Counterpart: none in hardware; [`super::provenance`] is the tight check of this project's own twins.
//!
//! # What it guarantees
//! Of a stream that passes:
//! * Every translated response follows from entry values that memory held since the last invalidation that covers the page, all of them
//!   accessed, the leaf of a write dirty, rights judged for that request. Which combinations count is said in [`super::search`].
//! * Every page fault and bus error follows from an entry that stood there, or from a table beyond memory, in the life of the request.
//! * Paging off and non-canonical addresses are answered without regard to memory.
//! * The machine changes memory only by setting A, or A and D, of entries that an outstanding request may use so.
//! * Everything that [`super::observer`] guarantees.
//!
//! # When an invalidation counts
//! It covers requests that are accepted from the cycle on in which its response shows; a request accepted before may still be answered
//! from before. It may take effect as early as in its own accept, a register write as early as nothing is outstanding; values
//! that stood in that cycle or later are legal after it. A page fault covers requests accepted from the cycle on in which it shows, and
//! may have dropped what it drops as early as when its request was accepted. Between these two cycles the check is wide; that
//! is where it gives way to machines with other timing.
//!
//! # What it does not guarantee
//! * That staleness is *possible* in time: values are combined freely, also a newer one above with an older one below, and whether
//!   or not anybody walked that address then. A machine may pass that answers from values it cannot have cached.
//! * Anything about a response that it counts as `unjudged`: history is bounded ([`super::history`]), and what was forgotten
//!   may have explained it. A run that wants to be believed asserts that this figure is 0.
//! * That entries die when nothing stale is ever asked for, that fills happen, or that anything ends. Replacement, hit rates and time are
//!   not looked at.
//! * Reads of the machine: they change nothing.

use std::collections::VecDeque;

use crate::arch::{
    Capabilities, EntryRules, EntrySlot, Invalidation, PageSize, PagingMode, Pcid, PhysicalAddress,
    Registers, VirtualAddress,
};
use crate::model::mmu_pkg::{
    Inputs, MAX_PORTS, Outputs, PortOut, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION,
    STATUS_PAGE_FAULT, STATUS_TRANSLATED,
};

use super::account::{Account, Removal, account};
use super::finding::{Figures, Finding, InvalidationKind, Rule};
use super::history::History;
use super::horizon::{Horizons, Reading, Snapshot};
use super::image::Image;
use super::observer::{Answer, Change, Events, Observer, Operation, Request, Store};
use super::payload;
use super::search::{Chain, Goal, Match, Question, Scratch, recycle, search};

/// Bits of an entry in which a cached copy may lag behind memory without being stale: A and D.
const ACCESSED_DIRTY: u64 = crate::arch::entry::bit::A | crate::arch::entry::bit::D;
/// Translations remembered as delivered, for the figures alone.
const DELIVERED: usize = 256;
/// Removals remembered, for accounts alone.
const REMOVALS: usize = 1024;

/// A request that is not answered yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    request: Request,
    snapshot: Snapshot,
}

/// A translation that was delivered: the machine may hold it.
#[derive(Debug, Clone, Copy)]
struct Delivered {
    va: u64,
    mode: PagingMode,
    size: PageSize,
    pcid: Pcid,
    global: bool,
    chain: Chain,
}

/// The architectural check of one stream.
///
/// Feed it every cycle from reset on. After an error it must not be used further.
#[derive(Debug, Clone)]
pub struct Staleness {
    reading: Reading,
    observer: Observer,
    events: Events,
    history: History,
    horizons: Horizons,
    rules: EntryRules,
    /// The earliest cycle in which the operation under way can have taken effect.
    effective_cycle: u64,
    open: [Vec<Open>; MAX_PORTS],
    delivered: Box<[Option<Delivered>]>,
    figures: Figures,
    scratch: Scratch,
    /// The last operations and page faults that removed something, oldest first.
    removals: VecDeque<Removal>,
    /// The response that was refused.
    refused: Option<(Open, PortOut, Vec<PortOut>)>,
}

impl Staleness {
    /// A check of a machine with `capabilities` over `image`, by `reading`.
    ///
    /// [`Reading::Contract`] is for this project's twins and for a design that follows the contract, [`Reading::Manual`] for any other.
    pub fn new(capabilities: Capabilities, image: Image, reading: Reading) -> Self {
        let rules = Registers::RESET.entry_rules(&capabilities);
        Self {
            reading,
            observer: Observer::new(capabilities, image, false),
            events: Events::default(),
            history: History::default(),
            horizons: Horizons::new(reading),
            rules,
            effective_cycle: 0,
            open: Default::default(),
            delivered: vec![None; DELIVERED].into(),
            figures: Figures::default(),
            scratch: Scratch::default(),
            removals: VecDeque::new(),
            refused: None,
        }
    }

    /// The same of a machine that keeps pages in pieces, if `fractures` says so: a page fault then drops the piece alone (contract 8.5).
    #[must_use]
    pub fn in_pieces(mut self, fractures: bool) -> Self {
        self.horizons = self.horizons.in_pieces(fractures);
        self
    }

    /// What was counted so far.
    pub const fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Memory as the machine and the stores have left it.
    pub const fn image(&self) -> &Image {
        self.observer.image()
    }

    /// The registers by which the machine translates.
    pub const fn registers(&self) -> &Registers {
        self.observer.registers()
    }

    /// What is known of the response that was refused last; `None` if none was.
    pub fn account(&self) -> Option<Account> {
        let (open, response, legal) = self.refused.as_ref()?;
        let question = Self::question(
            &self.observer,
            self.reading,
            &self.rules,
            &self.history,
            &self.horizons,
            open,
        );
        let removals = self.removals.iter();
        let capabilities = self.observer.capabilities();
        Some(account(
            &question,
            *response,
            legal.clone(),
            removals,
            capabilities,
        ))
    }

    /// Judges one cycle. `stores` are those of other agents that perform in it.
    ///
    /// # Errors
    /// The rule that was broken; the first group of [`Rule`], and those of the architectural check.
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
        if events.reset {
            self.reset(cycle);
        }
        for answer in &events.answers {
            self.judge(cycle, answer)?;
        }
        self.observer
            .performs(cycle, inputs, outputs, stores, events)?;
        if let Some(operation) = &events.performed {
            self.perform(cycle, operation);
        }
        if let Some(operation) = &events.completed {
            self.complete(cycle, operation);
        }
        for change in &events.changes {
            self.change(cycle, change)?;
        }
        for request in &events.requests {
            let registers = self.observer.registers();
            let (mode, pcid) = (registers.paging_mode(), registers.current_pcid());
            let snapshot = self.horizons.snapshot(request.va, mode, pcid);
            self.open[usize::from(request.port)].push(Open {
                request: *request,
                snapshot,
            });
        }
        Ok(())
    }

    fn reset(&mut self, cycle: u64) {
        self.horizons.record_everything(cycle, cycle);
        self.history.settle(None, cycle, cycle);
        self.open.iter_mut().for_each(Vec::clear);
        self.delivered.fill(None);
        self.rules = Registers::RESET.entry_rules(self.observer.capabilities());
    }

    fn perform(&mut self, cycle: u64, operation: &Operation) {
        self.effective_cycle = operation.accepted_cycle;
        if operation.writes_register {
            self.effective_cycle = cycle;
            self.rules = operation.after.entry_rules(self.observer.capabilities());
            if operation.after.paging() {
                let pcid = operation.after.current_pcid();
                self.history
                    .begin(pcid, operation.after.root_table().raw(), cycle);
            }
        }
    }

    fn complete(&mut self, cycle: u64, operation: &Operation) {
        let registers = &operation.after;
        if operation.writes_register {
            let current = (registers.current_pcid(), registers.root_table().raw());
            let until = self.effective_cycle.saturating_sub(1);
            self.history
                .settle(registers.paging().then_some(current), until, cycle);
        }
        if !operation.invalidation.is_none() {
            self.horizons
                .record(&operation.invalidation, self.effective_cycle, cycle);
            self.forget_delivered(&operation.invalidation, operation.kind);
            self.remember(Removal {
                kind: operation.kind,
                invalidation: operation.invalidation,
                effective_cycle: self.effective_cycle,
                completed_cycle: cycle,
            });
        }
    }

    fn remember(&mut self, removal: Removal) {
        if self.removals.len() == REMOVALS {
            self.removals.pop_front();
        }
        self.removals.push_back(removal);
    }

    /// A word of memory has changed, by another agent or by the machine.
    fn change(&mut self, cycle: u64, change: &Change) -> Result<(), Finding> {
        if !change.by_machine {
            self.history.replace(
                change.address,
                change.before,
                cycle.saturating_sub(1),
                cycle,
            );
            if self.history.wants_pruning() {
                self.prune();
            }
            return Ok(());
        }
        let change = &self.entry_change(change);
        let bits = change.before ^ change.after;
        let text = |change: &Change| {
            format!(
                "{:#x} becomes {:#x} at {:#x}",
                change.before, change.after, change.address
            )
        };
        if bits & !ACCESSED_DIRTY != 0 || change.before & bits != 0 {
            let allowed = "a change that sets A, or A and D, and nothing else";
            return Err(Finding::new(
                cycle,
                Rule::EntryUpdate,
                text(change),
                allowed,
            ));
        }
        self.figures.entry_updates += 1;
        let mut complete = true;
        for open in self.open.iter().flatten() {
            let question = Self::question(
                &self.observer,
                self.reading,
                &self.rules,
                &self.history,
                &self.horizons,
                open,
            );
            let verdict = search(&question, Goal::Update(*change), &mut self.scratch);
            if verdict.matched.is_some() {
                return Ok(());
            }
            complete &= verdict.complete;
        }
        if !complete {
            self.figures.unjudged += 1;
            return Ok(());
        }
        let allowed = "an update of an entry that an outstanding request comes by and may use";
        Err(Finding::new(
            cycle,
            Rule::EntryUpdateOwner,
            text(change),
            allowed,
        ))
    }

    /// A change by the machine, of an entry of 4 bytes where those are in force and no other changed.
    fn entry_change(&self, change: &Change) -> Change {
        let mode = self.observer.registers().paging_mode();
        let changed = change.before ^ change.after;
        let high = u64::from(changed & 0xffff_ffff == 0);
        let at = PhysicalAddress::new(change.address | (4 * high));
        match EntrySlot::of(mode, at) {
            slot if slot != EntrySlot::Whole && changed & !slot.mask() == 0 => Change {
                address: at.raw(),
                before: slot.extract(change.before).raw(),
                after: slot.extract(change.after).raw(),
                ..*change
            },
            _ => *change,
        }
    }

    fn question<'a>(
        observer: &'a Observer,
        reading: Reading,
        rules: &'a EntryRules,
        history: &'a History,
        horizons: &'a Horizons,
        open: &'a Open,
    ) -> Question<'a> {
        Question {
            request: &open.request,
            snapshot: &open.snapshot,
            reading,
            registers: observer.registers(),
            rules,
            history,
            image: observer.image(),
            horizons,
        }
    }

    fn judge(&mut self, cycle: u64, answer: &Answer) -> Result<(), Finding> {
        let port = &mut self.open[usize::from(answer.request.port)];
        let Some(position) = port.iter().position(|open| open.request == answer.request) else {
            let allowed = "one response for each request";
            return Err(Finding::new(
                cycle,
                Rule::ResponseId,
                "a second response",
                allowed,
            ));
        };
        let open = port.remove(position);
        let registers = self.observer.registers();
        self.figures.responses += 1;
        if let Some(allowed) = payload::bypass(&open.request, registers) {
            self.figures.single_outcome += 1;
            if answer.response != allowed {
                self.refused = Some((open, answer.response, vec![allowed]));
                return Err(self.finding(cycle, answer, &[allowed]));
            }
            return Ok(());
        }
        let question = Self::question(
            &self.observer,
            self.reading,
            &self.rules,
            &self.history,
            &self.horizons,
            &open,
        );
        let verdict = search(
            &question,
            Goal::Response(answer.response),
            &mut self.scratch,
        );
        match &verdict.matched {
            Some(matched) => {
                if verdict.outcomes.len() == 1 && verdict.complete {
                    self.figures.single_outcome += 1;
                }
                self.delivered(cycle, answer, matched);
            }
            None if !verdict.complete => self.figures.unjudged += 1,
            None => {
                let finding = self.finding(cycle, answer, &verdict.outcomes);
                self.refused = Some((open, answer.response, verdict.outcomes));
                return Err(finding);
            }
        }
        recycle(verdict, &mut self.scratch);
        Ok(())
    }

    /// Accounts for a legal response, and lets a page fault drop what it drops.
    fn delivered(&mut self, cycle: u64, answer: &Answer, matched: &Match) {
        let request = &answer.request;
        let registers = self.observer.registers();
        let now = || {
            payload::of_memory(
                request,
                registers,
                self.observer.capabilities(),
                self.observer.image(),
            )
        };
        if !matched.fresh && now() != answer.response {
            self.figures.stale_observed += 1;
        }
        let pcid = registers.current_pcid();
        if answer.response.resp_status == STATUS_PAGE_FAULT {
            let va = VirtualAddress::new_truncate(request.va, registers.paging_mode());
            self.horizons.record_drop(
                request.va,
                registers.paging_mode(),
                pcid,
                request.accepted_cycle,
            );
            let invalidation = Invalidation::Page {
                va,
                pcid,
                globals: true,
            };
            self.forget_delivered(&invalidation, InvalidationKind::PageFault);
            self.remember(Removal {
                kind: InvalidationKind::PageFault,
                invalidation,
                effective_cycle: request.accepted_cycle,
                completed_cycle: cycle,
            });
            return;
        }
        if answer.response.resp_status != STATUS_TRANSLATED {
            return;
        }
        let Some(size) = PageSize::from_code(answer.response.resp_page_size) else {
            return;
        };
        let page = request.va >> 12;
        let slot = (page ^ (page >> 8) ^ (u64::from(pcid.raw()) * 7)) as usize % DELIVERED;
        let translation = Delivered {
            va: request.va,
            mode: registers.paging_mode(),
            size,
            pcid,
            global: matched.global,
            chain: matched.chain,
        };
        self.delivered[slot] = Some(translation);
    }

    /// Counts which delivered translations `invalidation` covers, and which of them are stale by now.
    fn forget_delivered(&mut self, invalidation: &Invalidation, kind: InvalidationKind) {
        let registers = self.observer.registers();
        let (pcid, root) = (registers.current_pcid(), registers.root_table().raw());
        let image = self.observer.image();
        for slot in &mut self.delivered {
            let Some(known) = slot else { continue };
            let page = VirtualAddress::new_truncate(known.va, known.mode);
            if !invalidation.covers_tlb_entry(page, known.size, known.pcid, known.global) {
                continue;
            }
            let entries = &known.chain.entries[..known.chain.len];
            let changed = entries.iter().any(|(address, value)| {
                let slot = EntrySlot::of(known.mode, PhysicalAddress::new(*address));
                let now = slot.extract(image.read(*address)).raw();
                (now ^ value) & !ACCESSED_DIRTY != 0
            });
            let moved = known.pcid == pcid && known.chain.root != root;
            self.figures.removed[kind as usize] += 1;
            self.figures.stale_removed[kind as usize] += u64::from(changed || moved);
            *slot = None;
        }
    }

    fn prune(&mut self) {
        let globals = self.observer.registers().pge();
        let oldest_open = self.open.iter().flatten().map(|open| {
            let snapshot = &open.snapshot;
            if globals {
                snapshot.everything
            } else {
                snapshot.non_global[0].min(open.request.accepted_cycle)
            }
        });
        let oldest_open = oldest_open.min().unwrap_or(u64::MAX);
        let horizons = &self.horizons;
        self.history.prune(|pcid| {
            let floor = if globals {
                horizons.everything()
            } else {
                horizons.context(pcid)
            };
            floor.min(oldest_open)
        });
    }

    #[cold]
    fn finding(&self, cycle: u64, answer: &Answer, outcomes: &[PortOut]) -> Finding {
        let request = &answer.request;
        let rule = match answer.response.resp_status {
            STATUS_PAGE_FAULT => Rule::PageFault,
            STATUS_GENERAL_PROTECTION => Rule::GeneralProtection,
            STATUS_BUS_ERROR => Rule::BusError,
            _ => Rule::Translation,
        };
        let mut allowed: Vec<String> = outcomes.iter().map(payload::describe).collect();
        let mut seen = payload::describe(&answer.response);
        if allowed.contains(&seen) {
            // The difference is in a field that the words leave out.
            allowed = outcomes
                .iter()
                .map(|outcome| format!("{outcome:?}"))
                .collect();
            seen = format!("{:?}", answer.response);
        }
        if allowed.is_empty() {
            allowed.push("nothing: no chain of entries leads to an outcome".into());
        }
        let who = format!(
            "{} of {:#x} by CPL {} on port {}, id {}, accepted in cycle {}",
            request.access.kind,
            request.va,
            request.access.cpl,
            request.port,
            request.id,
            request.accepted_cycle
        );
        Finding::new(
            cycle,
            rule,
            format!("{seen}, for the {who}"),
            allowed.join("; or "),
        )
    }
}
