//! One walk, followed entry by entry: which transaction comes next, and how it must end.
//!
//! Contract: 8.2 to 8.5, 11. SDM vol. 3A, 4.5, 4.7, 4.8. Counterpart: `rtl/walker.sv`.

use std::sync::Arc;

use crate::arch::{
    Decoded, Entry, EntryRules, EntrySlot, Level, PageFaultCode, PageRights, PageSize, PagingMode,
    PhysicalAddress, Registers, rights,
};
use crate::model::mmu_pkg::{MEM_COMPARE_AND_SET, MEM_READ, PREFETCH_ENTRY, PortOut, WalkEvent};

use super::super::finding::{Finding, Rule};
use super::super::observer::{Request, Transaction};
use super::super::payload;
use super::super::shadow::{Lineage, Link, PscEntry, PscWords, TlbEntry, TlbWords};

/// What the walk does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// It reads the entry that it has come to.
    Read,
    /// The read was accepted.
    ReadSent,
    /// It sets bits of the entry.
    CompareAndSet { expected: Entry, new: Entry },
    /// The compare-and-set was accepted.
    CompareAndSetSent { expected: Entry, new: Entry },
    /// It started in a cache and failed: it must start over from CR3.
    Restart,
    /// It ends with a translation.
    Translated(Box<Translated>),
    /// It ends with a page fault.
    PageFault(PageFaultCode),
    /// It ends with a bus error.
    BusError,
    /// A walk of the prefetch ends with nothing.
    Stopped,
}

/// What a translated walk leaves behind.
#[derive(Debug, Clone)]
pub(super) struct Translated {
    pub response: PortOut,
    pub size: PageSize,
    pub tlb: TlbEntry,
    /// For each table entry that was read, root first.
    pub psc: Vec<(Level, PscEntry)>,
}

/// A walk in progress.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    pub request: Request,
    /// Its entry of the miss queue.
    pub entry: usize,
    /// It is one of the prefetch.
    pub prefetch: bool,
    pub step: Step,
    /// It started from a paging-structure-cache entry.
    cached: bool,
    /// The mode in which it started, which a walk of the prefetch may outlive.
    pub mode: PagingMode,
    level: Level,
    table: u64,
    rights: PageRights,
    root: u64,
    links: Vec<Link>,
    /// How many of `links` were not read by this walk.
    inherited: usize,
    /// Table and rights behind each entry that was read, in the order of `links`.
    tables: Vec<(u64, PageRights)>,
}

/// The registers and what follows from them, which do not change while a request is outstanding.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub registers: &'a Registers,
    pub rules: &'a EntryRules,
}

impl Walk {
    /// A walk for `entry` that starts from `cached`, the entry and its level, or from CR3; `None` with paging off.
    pub fn start(
        entry: usize,
        request: Request,
        cached: Option<(Level, &PscEntry)>,
        registers: &Registers,
    ) -> Option<Self> {
        let root = registers.root_table().raw();
        let mut walk = Self {
            step: Step::Read,
            cached: cached.is_some(),
            mode: registers.paging_mode(),
            level: registers.paging_mode().root()?,
            table: root,
            root,
            ..Self::stopped(entry, request)
        };
        if let Some((level, entry)) = cached {
            walk.level = level.below()?;
            walk.table = entry.words.table();
            walk.rights = entry.words.rights();
            walk.root = entry.lineage.root;
            walk.links.clone_from(&entry.lineage.links);
            walk.inherited = walk.links.len();
        }
        Some(walk)
    }

    /// A walk of the prefetch that was stopped before it read anything.
    pub fn stopped(entry: usize, request: Request) -> Self {
        Self {
            request,
            entry,
            prefetch: entry == usize::from(PREFETCH_ENTRY),
            step: Step::Stopped,
            cached: false,
            mode: PagingMode::Off,
            level: Level::Pml4,
            table: 0,
            rights: PageRights::ALL,
            root: 0,
            links: Vec::new(),
            inherited: 0,
            tables: Vec::new(),
        }
    }

    /// Whether an event of its walker speaks of it.
    pub fn is_of(&self, event: &WalkEvent) -> bool {
        self.entry == usize::from(event.entry) && self.request.port == event.port
    }

    /// Where the entry stands that it has come to, and which bytes of the cell it takes.
    fn place(&self) -> (u64, EntrySlot) {
        let table = PhysicalAddress::new(self.table);
        let address = self.mode.entry_address(table, self.level, self.request.va);
        (address.raw(), EntrySlot::of(self.mode, address))
    }

    /// A transaction of this walk was accepted.
    pub fn accepted(&mut self, transaction: &Transaction) -> Result<(), Finding> {
        let wrong = |rule, allowed: String| {
            let seen = format!(
                "op {} at {:#x}, byte enables {:#04x}, expected {:#x}, new {:#x}",
                transaction.op,
                transaction.address,
                transaction.byte_enables,
                transaction.expected,
                transaction.new
            );
            Err(Finding::new(transaction.cycle, rule, seen, allowed))
        };
        let (address, slot) = self.place();
        let there =
            transaction.address == address & !7 && transaction.byte_enables == slot.byte_enables();
        match self.step {
            Step::Read => {
                let right = transaction.op == MEM_READ
                    && there
                    && transaction.expected == 0
                    && transaction.new == 0;
                if !right {
                    return wrong(
                        Rule::WalkTransaction,
                        format!("a read of the {} at {address:#x}", self.level),
                    );
                }
                self.step = Step::ReadSent;
            }
            Step::CompareAndSet { expected, new } => {
                let allowed = format!("compare-and-set at {address:#x} of {expected} to {new}");
                if transaction.op != MEM_COMPARE_AND_SET || !there {
                    return wrong(Rule::WalkTransaction, allowed);
                }
                if transaction.expected != slot.place(expected)
                    || transaction.new != slot.place(new)
                {
                    return wrong(Rule::CompareAndSet, allowed);
                }
                self.step = Step::CompareAndSetSent { expected, new };
            }
            _ => {
                return wrong(
                    Rule::WalkTransaction,
                    "no transaction at this point of the walk".into(),
                );
            }
        }
        Ok(())
    }

    /// Its transaction was answered, and the answer is examined. `right`: a walk of the prefetch has the right to fill.
    pub fn answered(&mut self, transaction: &Transaction, setting: Setting<'_>, right: bool) {
        let held = self.place().1.extract(transaction.before);
        let entry = match self.step {
            Step::ReadSent => held,
            Step::CompareAndSetSent { expected, new } if held == expected => new,
            // The race is lost: what came back is decoded in its place.
            Step::CompareAndSetSent { .. } => held,
            _ => return,
        };
        self.step = if self.prefetch && !right {
            Step::Stopped
        } else if transaction.error {
            self.fail(Step::BusError)
        } else {
            self.examine(entry, transaction.cycle, setting)
        };
    }

    /// A failure of a walk that started in a cache is not yet one, and one of the prefetch is none.
    fn fail(&self, end: Step) -> Step {
        if self.prefetch {
            Step::Stopped
        } else if self.cached {
            Step::Restart
        } else {
            end
        }
    }

    /// Its bits have to be set before `entry` may be used: what the prefetch never does.
    fn update(&self, entry: Entry, new: Entry) -> Step {
        if self.prefetch {
            return Step::Stopped;
        }
        Step::CompareAndSet {
            expected: entry,
            new,
        }
    }

    fn examine(&mut self, entry: Entry, cycle: u64, setting: Setting<'_>) -> Step {
        let access = &self.request.access;
        match setting.rules.decode(self.level, entry) {
            Decoded::NotPresent => self.fail(Step::PageFault(PageFaultCode::not_present(
                access,
                setting.registers,
            ))),
            Decoded::Reserved { .. } => self.fail(Step::PageFault(PageFaultCode::reserved_bit(
                access,
                setting.registers,
            ))),
            Decoded::Table => {
                let new = entry.after_use_as_table();
                if new != entry {
                    return self.update(entry, new);
                }
                self.link(entry, cycle);
                self.rights = self.rights.through_table(entry);
                self.table = entry.table().raw();
                self.tables.push((self.table, self.rights));
                match self.level.below() {
                    Some(below) => self.level = below,
                    None => return self.fail(Step::BusError),
                }
                Step::Read
            }
            Decoded::Leaf(size) => {
                let rights = self.rights.through_leaf(entry);
                if let Err(code) = rights::judge(rights, access, setting.registers)
                    && !self.prefetch
                {
                    return self.fail(Step::PageFault(code));
                }
                let new = entry.after_use_as_leaf(access.is_write());
                if new != entry {
                    return self.update(entry, new);
                }
                self.link(entry, cycle);
                Step::Translated(Box::new(self.translated(
                    entry,
                    size,
                    rights,
                    setting.registers,
                )))
            }
        }
    }

    fn link(&mut self, entry: Entry, cycle: u64) {
        let (address, slot) = self.place();
        self.links.push(Link {
            level: self.level,
            address,
            slot,
            value: entry.raw(),
            cycle,
        });
    }

    fn translated(
        &self,
        leaf: Entry,
        size: PageSize,
        rights: PageRights,
        registers: &Registers,
    ) -> Translated {
        let va = self.request.va;
        let pcid = registers.current_pcid();
        let global = leaf.global() && registers.pge();
        let words = TlbWords::new(va, size, size, pcid, global, leaf, rights);
        let lineage = |len: usize| {
            Arc::new(Lineage {
                root: self.root,
                links: self.links[..len].to_vec(),
            })
        };
        let psc = self
            .tables
            .iter()
            .enumerate()
            .map(|(index, (table, rights))| {
                let position = self.inherited + index;
                let level = self.links[position].level;
                (
                    level,
                    PscEntry {
                        words: PscWords::new(va, self.mode, level, pcid, *table, *rights),
                        lineage: lineage(position + 1),
                    },
                )
            });
        Translated {
            response: payload::translated(
                &self.request,
                words.translate(va),
                size,
                leaf.memory_type(size),
            ),
            size,
            tlb: TlbEntry {
                words,
                lineage: lineage(self.links.len()),
            },
            psc: psc.collect(),
        }
    }
}
