//! One table of the manual's fields per kind of entry, and what is driven by it: the bit view and the printed form.
//!
//! Contract: none of its own. SDM vol. 3A, 4.3 and 4.5 (formats of the paging-structure entries).
//! Counterpart: `entry` does the same by shift and mask on the hot path; the tests here hold the two equal.

use std::fmt;

use bitvec::field::BitField;
use bitvec::prelude::{BitArray, BitSlice, Lsb0};

use super::address::{Capabilities, PageSize};
use super::entry::{Decoded, Entry, EntryRules};
use super::mode::{Level, PagingMode};
use super::registers::Registers;

/// What kind of entry 64 present bits are: their level, and whether they map a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// PML5E, refers to a PML4 table.
    Pml5e,
    /// PML4E, refers to a page-directory-pointer table.
    Pml4e,
    /// PDPTE that refers to a page directory.
    PdpteTable,
    /// PDPTE that maps a 1 GiB page.
    PdptePage,
    /// PDE that refers to a page table.
    PdeTable,
    /// PDE that maps a 2 MiB page.
    PdePage,
    /// PTE, maps a 4 KiB page.
    Pte,
    /// PDE of 32-bit paging that refers to a page table.
    Pde32Table,
    /// PDE of 32-bit paging that maps a 4 MiB page.
    Pde32Page,
    /// PTE of 32-bit paging, maps a 4 KiB page.
    Pte32,
}

/// How a field is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// One bit with a meaning.
    Flag,
    /// A number.
    Number,
    /// Bits of a physical address, in place; those from MAXPHYADDR up are reserved.
    Address,
    /// Bits 39:32 of a physical address; those from MAXPHYADDR up are reserved.
    HighAddress,
    /// XD: a flag while EFER.NXE = 1, else reserved.
    ExecuteDisable,
    /// PS of a PDPTE that refers to a table: 0, or reserved where the machine has no 1 GiB pages.
    PageSizeIf1G,
    /// Must be 0.
    Reserved,
    /// Software's to use.
    Ignored,
}

/// A field: bits `high` to `low` of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    /// The manual's name; `ignored` and `reserved` where it has none.
    pub name: &'static str,
    /// Its highest bit.
    pub high: u8,
    /// Its lowest bit.
    pub low: u8,
    /// How it is to be read.
    pub role: Role,
    /// What it says, in a few words.
    pub about: &'static str,
}

impl Field {
    /// A mask of its bits in the entry.
    pub const fn mask(&self) -> u64 {
        (u64::MAX >> (63 - self.high)) & (u64::MAX << self.low)
    }

    /// Those of its bits that are reserved on a machine with `capabilities` under EFER.NXE = `nxe`.
    pub const fn reserved_mask(&self, capabilities: &Capabilities, nxe: bool) -> u64 {
        match self.role {
            Role::Reserved => self.mask(),
            Role::Address => self.mask() & !capabilities.maxphyaddr.mask(),
            Role::HighAddress => self.mask() & capabilities.maxphyaddr.reserved_pse_36_bits(),
            Role::ExecuteDisable if !nxe => self.mask(),
            Role::PageSizeIf1G if !capabilities.page_1g => self.mask(),
            Role::ExecuteDisable | Role::PageSizeIf1G => 0,
            Role::Flag | Role::Number | Role::Ignored => 0,
        }
    }
}

const fn flag(name: &'static str, at: u8, about: &'static str) -> Field {
    field(name, at, at, Role::Flag, about)
}

const fn field(name: &'static str, high: u8, low: u8, role: Role, about: &'static str) -> Field {
    Field {
        name,
        high,
        low,
        role,
        about,
    }
}

const fn ignored(high: u8, low: u8) -> Field {
    field("ignored", high, low, Role::Ignored, "software's to use")
}

const P: Field = flag("P", 0, "present");
const RW: Field = flag("R/W", 1, "writes allowed");
const US: Field = flag("U/S", 2, "user-mode accesses allowed");
const PWT: Field = flag("PWT", 3, "page-level write-through");
const PCD: Field = flag("PCD", 4, "page-level cache disable");
const A: Field = flag("A", 5, "accessed");
const D: Field = flag("D", 6, "dirty");
const PS_PAGE: Field = flag("PS", 7, "page size: maps a page");
const PS_TABLE: Field = flag("PS", 7, "page size: 0, refers to a table");
const PS_TABLE_IF_1G: Field = field(
    "PS",
    7,
    7,
    Role::PageSizeIf1G,
    "page size: 0, refers to a table",
);
const PS_RESERVED: Field = field("PS", 7, 7, Role::Reserved, "must be 0 at this level");
const PAT_4K: Field = flag("PAT", 7, "page-attribute table");
const PAT_LARGE: Field = flag("PAT", 12, "page-attribute table");
const G: Field = flag("G", 8, "global, while CR4.PGE = 1");
const KEY: Field = field(
    "key",
    62,
    59,
    Role::Number,
    "protection key, while CR4.PKE = 1",
);
const XD: Field = field(
    "XD",
    63,
    63,
    Role::ExecuteDisable,
    "execute disable, while EFER.NXE = 1",
);
const TABLE: Field = field("address", 51, 12, Role::Address, "the table's address");

const fn frame(low: u8) -> Field {
    field("address", 51, low, Role::Address, "the page's address")
}

const fn reserved(high: u8, low: u8) -> Field {
    field("reserved", high, low, Role::Reserved, "must be 0")
}

/// An entry that refers to a table, with `ps` in bit 7.
const fn table_fields(ps: Field) -> [Field; 12] {
    [
        P,
        RW,
        US,
        PWT,
        PCD,
        A,
        ignored(6, 6),
        ps,
        ignored(11, 8),
        TABLE,
        ignored(62, 52),
        XD,
    ]
}

/// A leaf above the page table, whose page begins at address bit `low`.
const fn large_page_fields(low: u8) -> [Field; 16] {
    [
        P,
        RW,
        US,
        PWT,
        PCD,
        A,
        D,
        PS_PAGE,
        G,
        ignored(11, 9),
        PAT_LARGE,
        reserved(low - 1, 13),
        frame(low),
        ignored(58, 52),
        KEY,
        XD,
    ]
}

static PDE32_TABLE_FIELDS: [Field; 10] = [
    P,
    RW,
    US,
    PWT,
    PCD,
    A,
    ignored(6, 6),
    flag("PS", 7, "page size: 0, or CR4.PSE = 0: refers to a table"),
    ignored(11, 8),
    field("address", 31, 12, Role::Address, "the table's address"),
];
static PDE32_PAGE_FIELDS: [Field; 14] = [
    P,
    RW,
    US,
    PWT,
    PCD,
    A,
    D,
    PS_PAGE,
    G,
    ignored(11, 9),
    PAT_LARGE,
    field(
        "addr high",
        20,
        13,
        Role::HighAddress,
        "bits 39:32 of the page's address",
    ),
    reserved(21, 21),
    field(
        "address",
        31,
        22,
        Role::Address,
        "bits 31:22 of the page's address",
    ),
];
static PTE32_FIELDS: [Field; 11] = [
    P,
    RW,
    US,
    PWT,
    PCD,
    A,
    D,
    PAT_4K,
    G,
    ignored(11, 9),
    field("address", 31, 12, Role::Address, "the page's address"),
];
static UPPER_FIELDS: [Field; 12] = table_fields(PS_RESERVED);
static PDPTE_TABLE_FIELDS: [Field; 12] = table_fields(PS_TABLE_IF_1G);
static PDE_TABLE_FIELDS: [Field; 12] = table_fields(PS_TABLE);
static PDPTE_PAGE_FIELDS: [Field; 16] = large_page_fields(30);
static PDE_PAGE_FIELDS: [Field; 16] = large_page_fields(21);
static PTE_FIELDS: [Field; 14] = [
    P,
    RW,
    US,
    PWT,
    PCD,
    A,
    D,
    PAT_4K,
    G,
    ignored(11, 9),
    frame(12),
    ignored(58, 52),
    KEY,
    XD,
];

impl EntryKind {
    /// Every kind, highest level first, those of 32-bit paging last.
    pub const ALL: [Self; 10] = [
        Self::Pml5e,
        Self::Pml4e,
        Self::PdpteTable,
        Self::PdptePage,
        Self::PdeTable,
        Self::PdePage,
        Self::Pte,
        Self::Pde32Table,
        Self::Pde32Page,
        Self::Pte32,
    ];

    /// The kind of a present entry of `level` in `mode`; `None` for a leaf where no leaf may stand, a PTE that is none, and a level that
    /// 32-bit paging does not have. Other modes than that one have alike what they have.
    pub const fn of(mode: PagingMode, level: Level, leaf: bool) -> Option<Self> {
        if matches!(mode, PagingMode::TwoLevel) {
            return match (level, leaf) {
                (Level::Pd, false) => Some(Self::Pde32Table),
                (Level::Pd, true) => Some(Self::Pde32Page),
                (Level::Pt, true) => Some(Self::Pte32),
                _ => None,
            };
        }
        match (level, leaf) {
            (Level::Pml5, false) => Some(Self::Pml5e),
            (Level::Pml4, false) => Some(Self::Pml4e),
            (Level::Pdpt, false) => Some(Self::PdpteTable),
            (Level::Pdpt, true) => Some(Self::PdptePage),
            (Level::Pd, false) => Some(Self::PdeTable),
            (Level::Pd, true) => Some(Self::PdePage),
            (Level::Pt, true) => Some(Self::Pte),
            (Level::Pml5 | Level::Pml4, true) | (Level::Pt, false) => None,
        }
    }

    /// Its level.
    pub const fn level(self) -> Level {
        match self {
            Self::Pml5e => Level::Pml5,
            Self::Pml4e => Level::Pml4,
            Self::PdpteTable | Self::PdptePage => Level::Pdpt,
            Self::PdeTable | Self::PdePage | Self::Pde32Table | Self::Pde32Page => Level::Pd,
            Self::Pte | Self::Pte32 => Level::Pt,
        }
    }

    /// Size of the page that it maps, or `None` if it refers to a table.
    pub const fn page_size(self) -> Option<PageSize> {
        match self {
            Self::Pml5e | Self::Pml4e | Self::PdpteTable | Self::PdeTable | Self::Pde32Table => {
                None
            }
            Self::PdptePage => Some(PageSize::Size1G),
            Self::PdePage => Some(PageSize::Size2M),
            Self::Pde32Page => Some(PageSize::Size4M),
            Self::Pte | Self::Pte32 => Some(PageSize::Size4K),
        }
    }

    /// The manual's name, with what it does where its level has two kinds.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pml5e => "PML5E",
            Self::Pml4e => "PML4E",
            Self::PdpteTable => "PDPTE (page directory)",
            Self::PdptePage => "PDPTE (1 GiB page)",
            Self::PdeTable => "PDE (page table)",
            Self::PdePage => "PDE (2 MiB page)",
            Self::Pte => "PTE (4 KiB page)",
            Self::Pde32Table => "PDE of 4 bytes (page table)",
            Self::Pde32Page => "PDE of 4 bytes (4 MiB page)",
            Self::Pte32 => "PTE of 4 bytes (4 KiB page)",
        }
    }

    /// Its fields, from bit 0 up, without gap or overlap, to bit 63 or, with 4 bytes, bit 31.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Pml5e | Self::Pml4e => &UPPER_FIELDS,
            Self::PdpteTable => &PDPTE_TABLE_FIELDS,
            Self::PdptePage => &PDPTE_PAGE_FIELDS,
            Self::PdeTable => &PDE_TABLE_FIELDS,
            Self::PdePage => &PDE_PAGE_FIELDS,
            Self::Pte => &PTE_FIELDS,
            Self::Pde32Table => &PDE32_TABLE_FIELDS,
            Self::Pde32Page => &PDE32_PAGE_FIELDS,
            Self::Pte32 => &PTE32_FIELDS,
        }
    }

    /// Its field of that name. `ignored` and `reserved` name no single field, and are not found.
    pub fn field(self, name: &str) -> Option<&'static Field> {
        self.fields()
            .iter()
            .find(|field| field.name == name && !matches!(field.name, "ignored" | "reserved"))
    }

    /// The bits that are reserved in it on a machine with `capabilities` under EFER.NXE = `nxe`.
    pub fn reserved_mask(self, capabilities: &Capabilities, nxe: bool) -> u64 {
        self.fields().iter().fold(0, |mask, field| {
            mask | field.reserved_mask(capabilities, nxe)
        })
    }
}

/// An entry seen as a row of bits, read and written by the table's fields.
///
/// For tools and tests; it is slower than [`Entry`] and means the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView {
    kind: EntryKind,
    bits: BitArray<[u64; 1], Lsb0>,
}

impl EntryView {
    /// `entry` seen as one of `kind`.
    pub fn new(kind: EntryKind, entry: Entry) -> Self {
        Self {
            kind,
            bits: BitArray::new([entry.raw()]),
        }
    }

    /// The entry.
    pub fn entry(&self) -> Entry {
        Entry(self.bits.data[0])
    }

    /// The kind that it is seen as.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// All 64 bits; bit 0 first.
    pub fn bits(&self) -> &BitSlice<u64, Lsb0> {
        &self.bits
    }

    /// The bits of `field` as a number, its lowest bit as bit 0.
    pub fn load(&self, field: &Field) -> u64 {
        self.bits[usize::from(field.low)..=usize::from(field.high)].load_le()
    }

    /// Writes the lower bits of `value` into `field`.
    pub fn store(&mut self, field: &Field, value: u64) {
        let width = u32::from(field.high - field.low) + 1;
        let value = value & (u64::MAX >> (64 - width));
        self.bits[usize::from(field.low)..=usize::from(field.high)].store_le(value);
    }

    /// The field of that name as a number; `None` if the kind has no such field.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.kind.field(name).map(|field| self.load(field))
    }

    /// Writes the field of that name, and says whether the kind has it.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        match self.kind.field(name) {
            Some(field) => {
                self.store(field, value);
                true
            }
            None => false,
        }
    }

    /// The address field in place: a physical address, with the bits below it zero.
    pub fn address(&self) -> u64 {
        let part = |field: &Field| match field.role {
            Role::Address => self.load(field) << field.low,
            Role::HighAddress => self.load(field) << 32,
            _ => 0,
        };
        let fields = self.kind.fields().iter();
        fields.fold(0, |address, field| address | part(field))
    }
}

/// An entry, decoded for a person: one line per field when displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The level at which the entry was found.
    pub level: Level,
    /// The entry.
    pub entry: Entry,
    /// What it means there.
    pub decoded: Decoded,
    /// Its kind; `None` if it is not present.
    pub kind: Option<EntryKind>,
    /// Its fields, highest bit first.
    pub lines: Vec<DescribedField>,
}

/// One field of a [`Description`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedField {
    /// Name, position and role.
    pub field: Field,
    /// Its bits as a number; of an address, the address.
    pub value: u64,
    /// Set if its value is one of the reasons for a reserved-bit fault.
    pub violation: bool,
}

/// An entry that is not present, whatever its level.
static NOT_PRESENT_FIELDS: [Field; 2] = [P, ignored(63, 1)];
/// The same of 4 bytes.
static NOT_PRESENT_32_FIELDS: [Field; 2] = [P, ignored(31, 1)];

/// Decodes `entry` of `level` field by field, as a machine with `capabilities` reads it under `registers`.
///
/// Only 32-bit paging matters as a mode: 5-level paging has every level, and 4-level paging reads those that it has alike.
pub fn describe(
    level: Level,
    entry: Entry,
    registers: &Registers,
    capabilities: &Capabilities,
) -> Description {
    let mode = match registers.paging_mode() {
        PagingMode::TwoLevel => PagingMode::TwoLevel,
        _ => PagingMode::FiveLevel,
    };
    let rules = EntryRules::new(mode, capabilities, registers.nxe(), registers.pse());
    let kind = entry
        .present()
        .then(|| EntryKind::of(mode, level, rules.is_leaf(level, entry)))
        .flatten();
    let absent = match mode {
        PagingMode::TwoLevel => &NOT_PRESENT_32_FIELDS[..],
        _ => &NOT_PRESENT_FIELDS[..],
    };
    let fields = kind.map_or(absent, EntryKind::fields);
    let lines = fields
        .iter()
        .rev()
        .map(|field| {
            let in_place = entry.raw() & field.mask();
            let violated = in_place & field.reserved_mask(capabilities, registers.nxe());
            DescribedField {
                field: *field,
                value: match field.role {
                    Role::Address => in_place,
                    Role::HighAddress => in_place >> field.low << 32,
                    _ => in_place >> field.low,
                },
                violation: violated != 0,
            }
        })
        .collect();
    Description {
        level,
        entry,
        decoded: rules.decode(level, entry),
        kind,
        lines,
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.map_or(self.level.entry_name(), EntryKind::name);
        write!(f, "{name} {}", self.entry)?;
        match self.decoded {
            Decoded::NotPresent => f.write_str(": not present")?,
            Decoded::Reserved { bits } => write!(f, ": reserved bits set ({bits:#x})")?,
            Decoded::Table | Decoded::Leaf(_) => {}
        }
        for line in &self.lines {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DescribedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field {
            name,
            high,
            low,
            about,
            ..
        } = self.field;
        let place = if high == low {
            format!("{high}")
        } else {
            format!("{high}:{low}")
        };
        let value = if high == low {
            format!("{}", self.value)
        } else {
            format!("{:#x}", self.value)
        };
        write!(f, "  {place:>5}  {name:<8}  {value:<18}  {about}")?;
        if self.violation {
            f.write_str(" (reserved here, and set)")?;
        }
        Ok(())
    }
}
