//! The walk as the manual states it, with each entry decoded field by field, rights summed up, and the verdict.
//!
//! Contract: 8.4 (entries), 11 (rights). SDM vol. 3A, 4.5 to 4.8. Counterpart: none; [`crate::reference::trace`] walks.

use serde::Serialize;

use super::Hex;
use super::rules::{CodeBit, Rule, code_bits, rules};
use super::split::meant;
use crate::arch::{
    Access, Capabilities, Decoded, Entry, Level, Outcome, PageFaultCode, PageRights, Registers,
    describe,
};
use crate::reference::{PhysicalMemory, Translation, WalkStep, trace};

/// Who asks for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The linear address.
    pub address: Hex,
    /// `read`, `write` or `fetch`.
    pub kind: String,
    /// The privilege level.
    pub cpl: u8,
    /// `user` or `supervisor`.
    pub mode: &'static str,
    /// EFLAGS.AC.
    pub ac: bool,
    /// Whether it is an implicit supervisor access.
    pub implicit: bool,
    /// PKRU.
    pub pkru: Hex,
}

impl Asked {
    /// An access to `address`.
    pub fn new(address: u64, access: &Access) -> Self {
        Self {
            address: Hex(address),
            kind: access.kind.to_string(),
            cpl: access.cpl,
            mode: if access.user_mode() {
                "user"
            } else {
                "supervisor"
            },
            ac: access.ac,
            implicit: access.implicit_supervisor,
            pkru: Hex(u64::from(access.pkru)),
        }
    }
}

/// One access, as the manual has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Walked {
    /// The access.
    pub access: Asked,
    /// The entries that were read, from the root's down.
    pub entries: Vec<EntryRead>,
    /// What each rule of access rights says; empty if the walk did not come so far.
    pub rules: Vec<Rule>,
    /// How it ends.
    pub outcome: Ended,
}

/// An entry that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryRead {
    /// Its level: `PDE`.
    pub entry: &'static str,
    /// The table that it stands in.
    pub table: Hex,
    /// Its index there.
    pub index: u64,
    /// Size of an entry in bytes.
    pub entry_bytes: u64,
    /// Where it stands.
    pub address: Hex,
    /// Its bits.
    pub value: Hex,
    /// What it is: `PDE (2 MiB page)`.
    pub kind: &'static str,
    /// What it comes to.
    pub meaning: String,
    /// Its fields, highest bit first.
    pub fields: Vec<FieldRead>,
    /// The rights of the path down to here; none if the walk ends here otherwise than by rights.
    pub rights: Option<Rights>,
    /// The compare-and-set of A and D, if there was one.
    pub update: Option<Update>,
}

/// A field of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldRead {
    /// The manual's name.
    pub name: &'static str,
    /// Its highest bit.
    pub high_bit: u8,
    /// Its lowest bit.
    pub low_bit: u8,
    /// Its value; of an address, the address.
    pub value: Hex,
    /// What it says.
    pub about: &'static str,
    /// Whether it is a reason for a reserved-bit fault.
    pub violation: bool,
}

/// The rights of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// U/S of every entry.
    pub user: bool,
    /// R/W of every entry.
    pub writable: bool,
    /// XD of any entry.
    pub execute_disable: bool,
    /// The key of the leaf.
    pub protection_key: u8,
}

impl From<PageRights> for Rights {
    fn from(rights: PageRights) -> Self {
        Self {
            user: rights.user,
            writable: rights.writable,
            execute_disable: rights.execute_disable,
            protection_key: rights.protection_key,
        }
    }
}

/// A compare-and-set of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Update {
    /// The bits that it sets: `A`, `D` or `A and D`.
    pub sets: &'static str,
    /// What must stand there.
    pub expected: Hex,
    /// What then stands there.
    pub new: Hex,
}

/// How an access ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum Ended {
    /// It may go ahead.
    Translated {
        /// The physical address.
        physical_address: Hex,
        /// Size of the page: `4k`.
        page_size: &'static str,
        /// 4·PAT + 2·PCD + PWT of the leaf.
        pat_index: u8,
        /// G of the leaf, while CR4.PGE = 1.
        global: bool,
        /// Paging is off: no entry was read.
        paging_off: bool,
    },
    /// #PF.
    PageFault {
        /// The error code.
        error_code: u32,
        /// Its bits, lowest first.
        bits: Vec<CodeBit>,
        /// What CR2 holds.
        cr2: Hex,
        /// Why, in a line.
        because: String,
    },
    /// #GP(0): the address is not canonical.
    GeneralProtection,
    /// No memory stands where an entry should.
    BusError {
        /// Where it should.
        address: Hex,
    },
}

/// Translates `address` in `memory`, in which accessed and dirty bits are set, and says what was done.
pub fn explain<M: PhysicalMemory>(
    registers: &Registers,
    capabilities: &Capabilities,
    access: &Access,
    address: u64,
    memory: &mut M,
) -> Walked {
    let walk = trace(registers, capabilities, access, address, memory);
    let taken = meant(address, registers.paging_mode());
    let mut walked = Walked {
        access: Asked::new(taken, access),
        entries: Vec::new(),
        rules: Vec::new(),
        outcome: Ended::GeneralProtection,
    };
    let mut teller = Teller {
        registers,
        capabilities,
        access,
        above: PageRights::ALL,
        bus_error_at: 0,
        walked: &mut walked,
    };
    for step in &walk.steps {
        teller.tell(step);
    }
    let bus_error_at = teller.bus_error_at;
    walked.outcome = match walk.outcome {
        Outcome::Translated(translation) => translated(&translation, registers),
        Outcome::PageFault(code) => page_fault(code, access, registers, taken, &walked),
        Outcome::GeneralProtection => Ended::GeneralProtection,
        Outcome::BusError => Ended::BusError {
            address: Hex(bus_error_at),
        },
    };
    walked
}

fn translated(translation: &Translation, registers: &Registers) -> Ended {
    Ended::Translated {
        physical_address: Hex(translation.address.raw()),
        page_size: translation.page_size.name(),
        pat_index: translation.memory_type.pat_index(),
        global: translation.global,
        paging_off: !registers.paging(),
    }
}

fn page_fault(
    code: PageFaultCode,
    access: &Access,
    registers: &Registers,
    address: u64,
    walked: &Walked,
) -> Ended {
    let denying: Vec<_> = walked.rules.iter().filter(|rule| rule.denies).collect();
    let last = walked.entries.last().map_or("entry", |entry| entry.entry);
    let because = if denying.is_empty() {
        let reserved = code.has(PageFaultCode::RSVD);
        let what = if reserved {
            "has a reserved bit set"
        } else {
            "is not present"
        };
        format!("the {last} {what}")
    } else {
        let names: Vec<_> = denying.iter().map(|rule| rule.name).collect();
        format!("the access is denied by: {}", names.join(", "))
    };
    Ended::PageFault {
        error_code: code.raw(),
        bits: code_bits(code, access, registers),
        cr2: Hex(address),
        because,
    }
}

/// Turns steps into entries.
struct Teller<'a> {
    registers: &'a Registers,
    capabilities: &'a Capabilities,
    access: &'a Access,
    /// The rights of the path above the entry in hand.
    above: PageRights,
    bus_error_at: u64,
    walked: &'a mut Walked,
}

impl Teller<'_> {
    fn tell(&mut self, step: &WalkStep) {
        match *step {
            WalkStep::PagingOff | WalkStep::NonCanonical => {}
            WalkStep::Read {
                level,
                index,
                address,
                entry,
            } => self.read(level, index, address.raw(), entry),
            WalkStep::Decoded { entry, decoded, .. } => self.decoded(entry, decoded),
            WalkStep::Judged { rights, .. } => {
                self.walked.rules = rules(rights, self.access, self.registers);
            }
            WalkStep::CompareAndSet { expected, new, .. } => {
                if let Some(last) = self.walked.entries.last_mut() {
                    last.update = Some(Update {
                        sets: bits_set(expected, new),
                        expected: Hex(expected.raw()),
                        new: Hex(new.raw()),
                    });
                }
            }
            WalkStep::BusError { address, .. } => self.bus_error_at = address.raw(),
        }
    }

    fn read(&mut self, level: Level, index: u64, address: u64, entry: Entry) {
        let description = describe(level, entry, self.registers, self.capabilities);
        let entry_bytes = self.registers.paging_mode().entry_bytes();
        let fields = description.lines.iter().map(|line| FieldRead {
            name: line.field.name,
            high_bit: line.field.high,
            low_bit: line.field.low,
            value: Hex(line.value),
            about: line.field.about,
            violation: line.violation,
        });
        self.walked.entries.push(EntryRead {
            entry: level.entry_name(),
            table: Hex(address - entry_bytes * index),
            index,
            entry_bytes,
            address: Hex(address),
            value: Hex(entry.raw()),
            kind: description
                .kind
                .map_or(level.entry_name(), |kind| kind.name()),
            meaning: String::new(),
            fields: fields.collect(),
            rights: None,
            update: None,
        });
    }

    fn decoded(&mut self, entry: Entry, decoded: Decoded) {
        let (meaning, rights) = match decoded {
            Decoded::NotPresent => (
                "not present: the walk ends with a page fault".to_owned(),
                None,
            ),
            Decoded::Reserved { bits } => {
                let places: Vec<_> = (0..64_u32)
                    .rev()
                    .filter(|bit| bits >> bit & 1 != 0)
                    .map(|bit| bit.to_string())
                    .collect();
                let noun = if places.len() == 1 { "bit" } else { "bits" };
                let places = places.join(", ");
                (
                    format!("reserved {noun} {places} set: the walk ends with a page fault"),
                    None,
                )
            }
            Decoded::Table => {
                let rights = self.above.through_table(entry);
                (
                    format!("refers to the table at {}", entry.table()),
                    Some(rights),
                )
            }
            Decoded::Leaf(size) => {
                let rights = self.above.through_leaf(entry);
                let size_name = crate::tables::units::binary_size(u128::from(size.bytes()));
                let frame = entry.frame(size);
                (
                    format!("maps the page of {size_name} at {frame}"),
                    Some(rights),
                )
            }
        };
        if let Some(rights) = rights {
            self.above = rights;
        }
        if let Some(last) = self.walked.entries.last_mut() {
            last.meaning = meaning;
            last.rights = rights.map(Rights::from);
        }
    }
}

/// The names of the bits that an update sets.
fn bits_set(expected: Entry, new: Entry) -> &'static str {
    let accessed = !expected.accessed() && new.accessed();
    let dirty = !expected.dirty() && new.dirty();
    match (accessed, dirty) {
        (true, true) => "A and D",
        (false, true) => "D",
        _ => "A",
    }
}
