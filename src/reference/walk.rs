//! The timeless walk: one access, translated or refused, with the accessed and dirty bits that it leaves behind.
//!
//! Contract: 8.4 (what an entry does, not when). SDM vol. 3A, 4.3 and 4.5 (walks), 4.6 (rights), 4.7 (faults),
//! 4.8 (accessed and dirty).
//! Counterpart: `rtl/walker.sv` and `crate::model::walker`, which do the same in time.
//!
//! The rule for A and D, which the manual leaves open and this project promises: A is set in each table entry when the
//! walk uses it, before it goes below; A and D of the leaf only when the access is allowed, both in one operation; nothing
//! is written to an entry that is not present or has a reserved bit set. Each bit is set by compare-and-set, and when that
//! fails, the value that came back is decoded in the entry's place. A's set on the way stay, also if the walk then faults.

use crate::arch::{
    Access, BusError, Capabilities, Decoded, Denials, Entry, EntryRules, EntrySlot, Level,
    MemoryTypeBits, Outcome, PageFaultCode, PageRights, PageSize, PhysicalAddress, Registers,
    VirtualAddress, rights,
};

use super::memory::PhysicalMemory;

/// An entry that a translation used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryUse {
    /// Its level.
    pub level: Level,
    /// Where it stands.
    pub address: PhysicalAddress,
    /// Its value after the walk's own update: A is set, and in the leaf of a write D.
    pub entry: Entry,
}

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Translation {
    /// The physical address of the access.
    pub address: PhysicalAddress,
    /// Size of its page; 4 KiB with paging off.
    pub page_size: PageSize,
    /// What the path allows; [`PageRights::ALL`] with paging off.
    pub rights: PageRights,
    /// PAT, PCD and PWT of the leaf; all clear with paging off.
    pub memory_type: MemoryTypeBits,
    /// D of the leaf, after the walk; false with paging off.
    pub dirty: bool,
    /// G of the leaf while CR4.PGE = 1.
    pub global: bool,
    used: [Option<EntryUse>; Level::COUNT],
}

impl Translation {
    /// The translation while paging is off: the lower 32 bits of the address, no entry read, no right checked.
    pub const fn paging_off(raw: u64) -> Self {
        Self {
            address: PhysicalAddress::from_masked(raw & 0xffff_ffff),
            page_size: PageSize::Size4K,
            rights: PageRights::ALL,
            memory_type: MemoryTypeBits {
                pat: false,
                pcd: false,
                pwt: false,
            },
            dirty: false,
            global: false,
            used: [None; Level::COUNT],
        }
    }

    /// The entries used, from the root down to the leaf; none with paging off.
    pub fn entries(&self) -> impl Iterator<Item = &EntryUse> {
        self.used.iter().rev().flatten()
    }

    /// The leaf; `None` with paging off.
    pub fn leaf(&self) -> Option<&EntryUse> {
        self.used[self.page_size.leaf_level().array_index()].as_ref()
    }
}

/// One thing that a walk did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WalkStep {
    /// Paging is off: the address is physical.
    PagingOff,
    /// The address is not canonical.
    NonCanonical,
    /// An entry was read.
    Read {
        /// Its level.
        level: Level,
        /// Its index in its table, 0 to 511; in 32-bit paging 0 to 1023.
        index: u64,
        /// Where it stands.
        address: PhysicalAddress,
        /// What was read.
        entry: Entry,
    },
    /// The entry in hand was decoded: after a read, or after a compare-and-set that failed.
    Decoded {
        /// Its level.
        level: Level,
        /// The entry.
        entry: Entry,
        /// What it means there.
        decoded: Decoded,
    },
    /// The rights of the whole path were judged.
    Judged {
        /// The rights.
        rights: PageRights,
        /// The rules that deny; empty if the access is allowed.
        denials: Denials,
    },
    /// A, or A and D, were to be set. It took place if `found` equals `expected`.
    CompareAndSet {
        /// The entry's level.
        level: Level,
        /// Where it stands.
        address: PhysicalAddress,
        /// What the walk had read.
        expected: Entry,
        /// The same with the bits set.
        new: Entry,
        /// What stood there.
        found: Entry,
    },
    /// The bus answered a read or a compare-and-set with an error.
    BusError {
        /// Level of the entry.
        level: Level,
        /// Where it would stand.
        address: PhysicalAddress,
    },
}

/// Who is told of a walk's steps, in their order. `()` listens to none, at no cost; a `Vec` keeps them.
pub trait WalkObserver {
    /// The walk did `step`.
    fn step(&mut self, step: WalkStep);
}

impl WalkObserver for () {
    #[inline]
    fn step(&mut self, _: WalkStep) {}
}

impl WalkObserver for Vec<WalkStep> {
    fn step(&mut self, step: WalkStep) {
        self.push(step);
    }
}

/// A walk with its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// What it did, in order.
    pub steps: Vec<WalkStep>,
    /// How it ended.
    pub outcome: Outcome<Translation>,
}

/// Translates `address` for `access`, and sets A and D in `memory` as the rule says.
pub fn walk<M: PhysicalMemory>(
    registers: &Registers,
    capabilities: &Capabilities,
    access: &Access,
    address: u64,
    memory: &mut M,
) -> Outcome<Translation> {
    walk_observed(registers, capabilities, access, address, memory, &mut ())
}

/// As [`walk`], and keeps its steps.
pub fn trace<M: PhysicalMemory>(
    registers: &Registers,
    capabilities: &Capabilities,
    access: &Access,
    address: u64,
    memory: &mut M,
) -> Walk {
    let mut steps = Vec::new();
    let outcome = walk_observed(registers, capabilities, access, address, memory, &mut steps);
    Walk { steps, outcome }
}

/// As [`walk`], and tells `observer` of each step.
pub fn walk_observed<M: PhysicalMemory, O: WalkObserver>(
    registers: &Registers,
    capabilities: &Capabilities,
    access: &Access,
    address: u64,
    memory: &mut M,
    observer: &mut O,
) -> Outcome<Translation> {
    if !registers.paging() {
        observer.step(WalkStep::PagingOff);
        return Outcome::Translated(Translation::paging_off(address));
    }
    let Ok(address) = VirtualAddress::try_new(address, registers.paging_mode()) else {
        observer.step(WalkStep::NonCanonical);
        return Outcome::GeneralProtection;
    };
    let run = Run {
        registers,
        access,
        rules: registers.entry_rules(capabilities),
        address,
        memory,
        observer,
    };
    match run.walk_down() {
        Ok(translation) => Outcome::Translated(translation),
        Err(Stop::PageFault(code)) => Outcome::PageFault(code),
        Err(Stop::Bus) => Outcome::BusError,
    }
}

/// Why a walk ends without a translation.
enum Stop {
    PageFault(PageFaultCode),
    Bus,
}

/// An entry that was used: decoded, judged if it is a leaf, and its bits set.
enum Used {
    Table(Entry),
    Leaf(Entry, PageSize, PageRights),
}

/// One walk in progress.
struct Run<'a, M, O> {
    registers: &'a Registers,
    access: &'a Access,
    rules: EntryRules,
    address: VirtualAddress,
    memory: &'a mut M,
    observer: &'a mut O,
}

impl<M: PhysicalMemory, O: WalkObserver> Run<'_, M, O> {
    fn walk_down(mut self) -> Result<Translation, Stop> {
        let mut table = self.registers.root_table();
        let mut rights = PageRights::ALL;
        let mut used = [None; Level::COUNT];
        for row in self.address.mode().spec().levels {
            let level = row.level;
            let mode = self.address.mode();
            let at = mode.entry_address(table, level, self.address.raw());
            let (entry, leaf) = match self.use_entry(level, at, rights)? {
                Used::Table(entry) => (entry, None),
                Used::Leaf(entry, size, rights) => (entry, Some((size, rights))),
            };
            used[level.array_index()] = Some(EntryUse {
                level,
                address: at,
                entry,
            });
            if let Some((size, rights)) = leaf {
                return Ok(self.translation(entry, size, rights, used));
            }
            rights = rights.through_table(entry);
            table = entry.table();
        }
        unreachable!("at the lowest level of every mode, a present entry is a leaf")
    }

    /// Reads the entry at `at` and uses it, again and again until its bits are set in the value that was judged.
    ///
    /// Each further round means that somebody else has changed the entry in between.
    fn use_entry(
        &mut self,
        level: Level,
        at: PhysicalAddress,
        above: PageRights,
    ) -> Result<Used, Stop> {
        let mut entry = self.read(level, at)?;
        loop {
            let decoded = self.rules.decode(level, entry);
            self.observer.step(WalkStep::Decoded {
                level,
                entry,
                decoded,
            });
            let (new, used) = match decoded {
                Decoded::NotPresent => {
                    let code = PageFaultCode::not_present(self.access, self.registers);
                    return Err(Stop::PageFault(code));
                }
                Decoded::Reserved { .. } => {
                    let code = PageFaultCode::reserved_bit(self.access, self.registers);
                    return Err(Stop::PageFault(code));
                }
                Decoded::Table => {
                    let new = entry.after_use_as_table();
                    (new, Used::Table(new))
                }
                Decoded::Leaf(size) => {
                    let rights = above.through_leaf(entry);
                    self.judge(rights)?;
                    let new = entry.after_use_as_leaf(self.access.is_write());
                    (new, Used::Leaf(new, size, rights))
                }
            };
            if new == entry {
                return Ok(used);
            }
            let found = self.compare_and_set(level, at, entry, new)?;
            if found == entry {
                return Ok(used);
            }
            entry = found;
        }
    }

    fn judge(&mut self, path: PageRights) -> Result<(), Stop> {
        self.observer.step(WalkStep::Judged {
            rights: path,
            denials: rights::denials(path, self.access, self.registers),
        });
        rights::judge(path, self.access, self.registers).map_err(Stop::PageFault)
    }

    fn read(&mut self, level: Level, at: PhysicalAddress) -> Result<Entry, Stop> {
        match self.memory.read_u64(EntrySlot::cell(at)) {
            Ok(raw) => {
                let entry = self.slot(at).extract(raw);
                self.observer.step(WalkStep::Read {
                    level,
                    index: self.address.index(level),
                    address: at,
                    entry,
                });
                Ok(entry)
            }
            Err(error) => Err(self.bus_error(level, error)),
        }
    }

    fn compare_and_set(
        &mut self,
        level: Level,
        at: PhysicalAddress,
        expected: Entry,
        new: Entry,
    ) -> Result<Entry, Stop> {
        let slot = self.slot(at);
        let done = self.memory.compare_and_set(
            EntrySlot::cell(at),
            slot.mask(),
            slot.place(expected),
            slot.place(new),
        );
        match done {
            Ok(raw) => {
                let found = slot.extract(raw);
                self.observer.step(WalkStep::CompareAndSet {
                    level,
                    address: at,
                    expected,
                    new,
                    found,
                });
                Ok(found)
            }
            Err(error) => Err(self.bus_error(level, error)),
        }
    }

    /// Where the entry at `at` stands in its cell.
    const fn slot(&self, at: PhysicalAddress) -> EntrySlot {
        EntrySlot::of(self.address.mode(), at)
    }

    fn bus_error(&mut self, level: Level, error: BusError) -> Stop {
        self.observer.step(WalkStep::BusError {
            level,
            address: error.address,
        });
        Stop::Bus
    }

    fn translation(
        &self,
        leaf: Entry,
        page_size: PageSize,
        rights: PageRights,
        used: [Option<EntryUse>; Level::COUNT],
    ) -> Translation {
        let frame = leaf.frame(page_size).raw();
        Translation {
            address: PhysicalAddress::from_masked(frame | self.address.offset(page_size)),
            page_size,
            rights,
            memory_type: leaf.memory_type(page_size),
            dirty: leaf.dirty(),
            global: leaf.global() && self.registers.pge(),
            used,
        }
    }
}
