//! One paging vector: a machine's registers and page tables, the accesses made, and what came of each.
//!
//! Contract: none. SDM vol. 3A, 4.3, 4.5 to 4.8. Counterpart: none. `docs/conform.md` has the form.

use serde_json::Value;
use thiserror::Error;

use super::implementation::Answer;
use super::node::{FieldError, Node};
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{
    Access, AccessKind, Capabilities, Entry, EntrySlot, Level, MaxPhyAddr, PagingMode,
    PhysicalAddress, Registers,
};
use crate::trace::TraceError;

/// Vector numbers of the two exceptions.
pub const PAGE_FAULT: u32 = 14;
/// General protection: the address is not canonical.
pub const GENERAL_PROTECTION: u32 = 13;
/// The most characters of an `id`.
const ID_CHARACTERS_MAX: usize = 200;
/// The error code has 16 bits.
const ERROR_CODE_MAX: u64 = 0xffff;

/// One line of a vector file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// The line in its file, from 1.
    pub line: u64,
    /// What the machine can do: MAXPHYADDR as the vector says, 1 GiB pages and five levels.
    pub capabilities: Capabilities,
    /// The values to write to CR0, CR3, CR4 and EFER. Bits that the machine does not have are among them.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4, with PCIDE = 0.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
    /// PKRU; it counts only with CR4.PKE = 1.
    pub pkru: u32,
    /// What those registers read as once paging is on.
    pub registers: Registers,
    /// Entries before the first step, top level first. Memory holds 0 elsewhere.
    pub entries: Vec<Listed>,
    /// Accesses in order, at least one.
    pub steps: Vec<Step>,
    /// Where the observer is known to differ from the manual.
    pub quirks: Vec<String>,
}

/// An entry of the page tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its level.
    pub level: Level,
    /// Its physical address below 2^MAXPHYADDR, a multiple of its size.
    pub address: u64,
    /// Its value.
    pub value: u64,
    /// Which bytes of the cell at its address it takes.
    pub slot: EntrySlot,
}

impl Listed {
    /// The address of the cell of 8 bytes in which it stands.
    pub const fn cell(&self) -> u64 {
        self.address & !7
    }

    /// What the cell holds when the entry has its value and the rest is as in `data`.
    pub const fn put_into(&self, data: u64) -> u64 {
        data & !self.slot.mask() | self.slot.place(Entry(self.value))
    }

    /// The entry's bits in a cell that holds `data`.
    pub const fn take_from(&self, data: u64) -> u64 {
        self.slot.extract(data).raw()
    }
}

/// One access, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who asks for what; explicit, of 8 bytes or fewer.
    pub access: Access,
    /// The linear address, a multiple of 8; in 32-bit paging below 2^32.
    pub va: u64,
    /// How it ended.
    pub expected: Answer,
    /// Values of the listed entries afterwards, in their order.
    pub after: Vec<u64>,
}

impl Case {
    /// The quirk of an observer that sets A in a 1 GiB leaf before it checks the leaf's reserved bits and rights.
    pub const QUIRK_1G_ACCESSED: &'static str = "a_1g_fault";

    /// Whether it has that quirk.
    pub fn has_quirk(&self, name: &str) -> bool {
        self.quirks.iter().any(|quirk| quirk == name)
    }

    /// Levels of its paging mode.
    pub const fn levels(&self) -> u8 {
        match self.registers.paging_mode() {
            PagingMode::FiveLevel => 5,
            PagingMode::TwoLevel => 2,
            PagingMode::FourLevel | PagingMode::Off => 4,
        }
    }

    /// The case of one line of JSON.
    ///
    /// # Errors
    /// [`VectorError`] with `file`, `line`, the field and a remedy.
    pub fn parse(file: &str, line: u64, text: &[u8]) -> Result<Self, VectorError> {
        let value: Value = serde_json::from_slice(text).map_err(|error| VectorError::Json {
            file: file.to_owned(),
            line,
            column: error.column(),
            problem: without_place(&error.to_string()),
        })?;
        Self::of(&Node::root(&value), line).map_err(|error| VectorError::Field {
            file: file.to_owned(),
            line,
            field: match error.field.as_str() {
                "" => "the line".to_owned(),
                field => field.to_owned(),
            },
            problem: error.problem,
            remedy: error.remedy,
        })
    }

    fn of(node: &Node<'_>, line: u64) -> Result<Self, FieldError> {
        let id = id(&node.get("id")?)?;
        let maxphy = node.get("maxphy")?;
        let range = (MaxPhyAddr::MIN_BITS.into(), MaxPhyAddr::MAX_BITS.into());
        let bits = maxphy.number(range.0, range.1)? as u32;
        // The range was checked just now.
        let capabilities = Capabilities::new(bits, true, true)
            .map_err(|error| maxphy.error(error, "give a width that exists"))?;
        let levels = node.get("levels")?;
        let mode = match levels.number(2, 5)? {
            2 => PagingMode::TwoLevel,
            4 => PagingMode::FourLevel,
            5 => PagingMode::FiveLevel,
            other => {
                return Err(levels.error(
                    format_args!("is {other}: PAE paging is not in this machine"),
                    "give 2, 4 or 5",
                ));
            }
        };
        let registers = registers(node, mode, &capabilities)?;
        if mode != registers.loaded.paging_mode() {
            return Err(levels.error(
                format_args!(
                    "is {}, which CR4.LA57 contradicts",
                    mode.spec().levels.len()
                ),
                "give 5 levels with CR4.LA57 = 1, and 4 without",
            ));
        }
        let shape = Shape { mode, maxphy: bits };
        let entries = entries(&node.get("ent")?, shape)?;
        let pkru = node.get("pkru")?.hex(32)? as u32;
        let steps = steps(&node.get("steps")?, &entries, pkru, shape)?;
        let [cr0, cr3, cr4, efer] = registers.raw;
        Ok(Self {
            id,
            line,
            capabilities,
            cr0,
            cr3,
            cr4,
            efer,
            pkru,
            registers: registers.loaded,
            entries,
            steps,
            quirks: quirks(node)?,
        })
    }
}

fn id(node: &Node<'_>) -> Result<String, FieldError> {
    let id = node.text()?;
    let fits = (1..=ID_CHARACTERS_MAX).contains(&id.chars().count());
    if fits && !id.chars().any(char::is_control) {
        return Ok(id.to_owned());
    }
    Err(node.error(
        "is no name",
        format_args!("give 1 to {ID_CHARACTERS_MAX} characters that can be printed"),
    ))
}

struct Written {
    raw: [u64; 4],
    loaded: Registers,
}

/// What the widths of a case's numbers depend on.
#[derive(Clone, Copy)]
struct Shape {
    mode: PagingMode,
    maxphy: u32,
}

impl Shape {
    const fn entry_bits(self) -> u32 {
        8 * self.mode.entry_bytes() as u32
    }

    const fn address_bits(self) -> u32 {
        match self.mode {
            PagingMode::TwoLevel => 32,
            _ => 64,
        }
    }
}

/// CR0, CR3, CR4, EFER, and what a machine makes of them.
fn registers(
    node: &Node<'_>,
    mode: PagingMode,
    capabilities: &Capabilities,
) -> Result<Written, FieldError> {
    let raw = [
        node.get("cr0")?.hex(32)?,
        node.get("cr3")?.hex(capabilities.maxphyaddr.bits())?,
        node.get("cr4")?.hex(32)?,
        node.get("efer")?.hex(32)?,
    ];
    let wide = mode != PagingMode::TwoLevel;
    let needed = [
        ("cr0", raw[0], cr0::PE, "PE", true),
        ("cr0", raw[0], cr0::PG, "PG", true),
        ("cr4", raw[2], cr4::PAE, "PAE", wide),
        ("efer", raw[3], efer::LME, "LME", wide),
    ];
    for (name, value, mask, bit, set) in needed {
        if (value & mask != 0) != set {
            let (is, make) = match set {
                true => ("clear", "set"),
                false => ("set", "clear"),
            };
            return Err(node.get(name)?.error(
                format_args!("has {bit} {is}, so {mode} is off"),
                format_args!("{make} {bit}, or give the levels of another mode"),
            ));
        }
    }
    if raw[2] & cr4::PCIDE != 0 {
        return Err(node
            .get("cr4")?
            .error("has PCIDE set", "clear it; vectors are of CR4.PCIDE = 0"));
    }
    decoded(node, &raw)?;
    let [cr0, cr3, cr4, efer] = raw;
    let loaded = Registers::load(cr0, cr3, cr4, efer, capabilities)
        .map_err(|error| node.error(error, "give registers that a processor accepts"))?;
    Ok(Written { raw, loaded })
}

/// The bits that vectors repeat decoded must not contradict the registers, where they are given.
fn decoded(node: &Node<'_>, raw: &[u64; 4]) -> Result<(), FieldError> {
    let bits = [
        ("wp", raw[0] & cr0::WP),
        ("nxe", raw[3] & efer::NXE),
        ("smep", raw[2] & cr4::SMEP),
        ("smap", raw[2] & cr4::SMAP),
        ("pke", raw[2] & cr4::PKE),
        ("pge", raw[2] & cr4::PGE),
        ("la57", raw[2] & cr4::LA57),
        ("pse", raw[2] & cr4::PSE),
        ("pcide", raw[2] & cr4::PCIDE),
    ];
    for (name, in_register) in bits {
        let Some(given) = node.optional(name) else {
            continue;
        };
        let value = given.number(0, 1)?;
        if value != u64::from(in_register != 0) {
            return Err(given.error(
                format_args!("is {value}, which the register contradicts"),
                "leave the field out, or give the value of the bit in cr0, cr4 or efer",
            ));
        }
    }
    Ok(())
}

fn entries(node: &Node<'_>, shape: Shape) -> Result<Vec<Listed>, FieldError> {
    let levels = shape.mode.spec().levels.len() as u64;
    let mut entries: Vec<Listed> = Vec::with_capacity(5);
    for element in node.list()? {
        let [level, address, value] = element.triple()?;
        let number = level.number(1, 5)?;
        let in_order = match entries.last() {
            None => number == levels,
            Some(above) => {
                let above = u64::from(above.level.number());
                number == above || number + 1 == above
            }
        };
        let Some(found) = Level::from_number(number as u8).filter(|_| in_order) else {
            return Err(level.error(
                format_args!("level {number} is out of order"),
                format_args!(
                    "list the entries from level {levels} down, and leave out no level between"
                ),
            ));
        };
        let at = address.hex(shape.maxphy)?;
        aligned(&address, at, shape.mode.entry_bytes())?;
        let place = PhysicalAddress::new_truncate(at, MaxPhyAddr::MAX);
        let listed = Listed {
            level: found,
            address: at,
            value: value.hex(shape.entry_bits())?,
            slot: EntrySlot::of(shape.mode, place),
        };
        let twice = entries.iter().find(|entry| entry.address == at);
        if twice.is_some_and(|entry| entry.value != listed.value) {
            return Err(value.error(
                format_args!("contradicts the other entry at {at:#x}"),
                "give every entry of one address the same value",
            ));
        }
        entries.push(listed);
    }
    Ok(entries)
}

fn aligned(node: &Node<'_>, address: u64, bytes: u64) -> Result<(), FieldError> {
    if address.is_multiple_of(bytes) {
        return Ok(());
    }
    Err(node.error(
        format_args!("{address:#x} is not a multiple of {bytes}"),
        format_args!("give the address of {bytes} aligned bytes"),
    ))
}

fn steps(
    node: &Node<'_>,
    entries: &[Listed],
    pkru: u32,
    shape: Shape,
) -> Result<Vec<Step>, FieldError> {
    let mut steps = Vec::with_capacity(3);
    for element in node.list()? {
        steps.push(step(&element, entries, pkru, shape)?);
    }
    if steps.is_empty() {
        return Err(node.error("is empty", "give at least one access"));
    }
    Ok(steps)
}

fn step(node: &Node<'_>, entries: &[Listed], pkru: u32, shape: Shape) -> Result<Step, FieldError> {
    let kind = node.get("k")?;
    let text = kind.text()?;
    let letter = |kind: &AccessKind| text.chars().eq([kind.letter()]);
    let Some(found) = AccessKind::ALL.into_iter().find(letter) else {
        return Err(kind.error(
            format_args!("is {:?}", text.chars().take(20).collect::<String>()),
            "give \"r\", \"w\" or \"x\"",
        ));
    };
    let mut access = Access::new(found, node.get("cpl")?.number(0, 3)? as u8);
    access.ac = node.get("ac")?.number(0, 1)? != 0;
    access.pkru = pkru;
    let address = node.get("va")?;
    let va = address.hex(shape.address_bits())?;
    aligned(&address, va, 8)?;
    let listed = node.get("after")?;
    let mut after = Vec::with_capacity(entries.len());
    for value in listed.list()? {
        after.push(value.hex(shape.entry_bits())?);
    }
    if after.len() != entries.len() {
        return Err(listed.error(
            format_args!("has {} values for {} entries", after.len(), entries.len()),
            "give one value for each element of ent, in the same order",
        ));
    }
    Ok(Step {
        access,
        va,
        expected: answer(node, shape)?,
        after,
    })
}

fn answer(node: &Node<'_>, shape: Shape) -> Result<Answer, FieldError> {
    let vector = node.get("vec")?;
    let number = match vector.is_null() {
        true => None,
        false => Some(vector.number(0, 255)? as u32),
    };
    let absent = |name: &str| match node.optional(name) {
        None => Ok(()),
        Some(given) => Err(given.error(
            format_args!(
                "is given, and vec is {}",
                number.map_or("null".to_owned(), |n| n.to_string())
            ),
            "give null; cr2 and ec_sdm belong to a fault, pa to a success",
        )),
    };
    match number {
        None => {
            absent("ec_sdm")?;
            absent("cr2")?;
            let pa = node.get("pa")?.hex(shape.maxphy)?;
            Ok(Answer::Translated { pa })
        }
        Some(PAGE_FAULT) => {
            absent("pa")?;
            let code = node.get("ec_sdm")?.number(0, ERROR_CODE_MAX)? as u32;
            let cr2 = node.get("cr2")?.hex(shape.address_bits())?;
            Ok(Answer::PageFault { code, cr2 })
        }
        Some(GENERAL_PROTECTION) if shape.mode == PagingMode::TwoLevel => Err(vector.error(
            "is 13, and every address of 32-bit paging is canonical",
            "give null or 14 (page fault)",
        )),
        Some(GENERAL_PROTECTION) => {
            absent("pa")?;
            absent("cr2")?;
            if let Some(code) = node.optional("ec_sdm") {
                code.number(0, 0)?;
            }
            Ok(Answer::GeneralProtection)
        }
        Some(other) => Err(vector.error(
            format_args!("is {other}"),
            "give null, 14 (page fault) or 13 (general protection)",
        )),
    }
}

fn quirks(node: &Node<'_>) -> Result<Vec<String>, FieldError> {
    let Some(given) = node.optional("quirk") else {
        return Ok(Vec::new());
    };
    let mut quirks = Vec::new();
    for quirk in given.list()? {
        quirks.push(quirk.text()?.to_owned());
    }
    Ok(quirks)
}

/// A message of the JSON parser without the place at its end, which is always line 1.
fn without_place(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].to_owned()
}

/// Why a file of vectors was refused. [`VectorError::remedy`] says what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VectorError {
    /// The file cannot be read or decompressed.
    #[error(transparent)]
    Input(#[from] TraceError),
    /// A line is too long to be a vector.
    #[error("{file}: line {line}: is longer than {limit_bytes} bytes")]
    LongLine {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The most that is read of one.
        limit_bytes: usize,
    },
    /// A line is not JSON.
    #[error("{file}: line {line}, column {column}: not JSON: {problem}")]
    Json {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The byte in it, from 1.
        column: usize,
        /// What the parser says.
        problem: String,
    },
    /// A field is missing or wrong.
    #[error("{file}: line {line}: {field}: {problem}")]
    Field {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The field, as in `steps[0].after[2]`.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// There is not one vector.
    #[error("{file}: has no vector in it")]
    Empty {
        /// The file.
        file: String,
    },
}

impl VectorError {
    /// What a person can do about it, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Input(TraceError::Unreadable { .. }) => {
                "give the path of a file of vectors that can be read, or - for standard input".to_owned()
            }
            Self::Input(error) => error.remedy(),
            Self::LongLine { .. } | Self::Json { .. } => {
                "give one JSON object on each line, as it is or compressed with gzip, xz or zstd; docs/conform.md has the form".to_owned()
            }
            Self::Field { remedy, .. } => remedy.clone(),
            Self::Empty { .. } => "make or copy the file again; it should have one JSON object on each line".to_owned(),
        }
    }
}
