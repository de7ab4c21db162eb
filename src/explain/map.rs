//! The syntax of a mapping: `VA=PA`, and what differs from an ordinary page, such as `0x400000=0x1200000,2m,ro,pde.us=0`.
//!
//! Contract: none. SDM vol. 3A, 4.5 (formats of the entries). Counterpart: none. `docs/explain.md` explains the syntax.
//!
//! Which fields an entry has is read from the manual's table in [`crate::arch::fields`].

use super::{ExplainError, number, parts};
use crate::arch::entry::bit;
use crate::arch::fields::Role;
use crate::arch::{
    Entry, EntryKind, Field, LeafRule, Level, LevelSpec, MaxPhyAddr, PageSize, PagingMode,
};

/// The option that mappings stand in.
const OPTION: &str = "--map";
/// What an ordinary entry has: present, writable, for user mode, accessed.
const ORDINARY: u64 = bit::P | bit::RW | bit::US | bit::A;

/// Words for fields: the word, the field, its value.
const WORDS: [(&str, &str, u64); 9] = [
    ("user", "us", 1),
    ("super", "us", 0),
    ("rw", "rw", 1),
    ("ro", "rw", 0),
    ("x", "xd", 0),
    ("nx", "xd", 1),
    ("global", "g", 1),
    ("present", "p", 1),
    ("absent", "p", 0),
];

/// A change to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// The level of the entry.
    level: Level,
    /// The bits that it decides.
    mask: u64,
    /// Their values, in place.
    value: u64,
}

/// One mapping: a page, and how its entries differ from ordinary ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapSpec {
    /// As it was written.
    pub text: String,
    /// The page's first linear address.
    pub va: u64,
    /// Its first physical address.
    pub pa: u64,
    /// The level whose entry maps it.
    pub leaf: Level,
    /// The page's size.
    pub size: PageSize,
    /// The entry that maps it, without what differs.
    ordinary: u64,
    changes: Vec<Change>,
}

impl MapSpec {
    /// Reads a mapping for tables of `mode`.
    ///
    /// # Errors
    /// What is wrong, at which character, and what is allowed.
    pub fn parse(text: &str, mode: PagingMode) -> Result<Self, ExplainError> {
        Parser { text, mode }.parse()
    }

    /// The entry of `level` that refers to the table at `table`, and whether it differs from an ordinary one.
    pub fn table_entry(&self, level: Level, table: u64) -> (u64, bool) {
        let ordinary = ORDINARY | table;
        let entry = self.changed(level, ordinary);
        (entry, entry != ordinary)
    }

    /// The entry that maps the page.
    pub fn leaf_entry(&self) -> u64 {
        self.changed(self.leaf, self.ordinary)
    }

    fn changed(&self, level: Level, entry: u64) -> u64 {
        let changes = self.changes.iter().filter(|change| change.level == level);
        changes.fold(entry, |entry, change| entry & !change.mask | change.value)
    }
}

/// A mapping as it is read.
struct Parser<'a> {
    text: &'a str,
    mode: PagingMode,
}

impl Parser<'_> {
    fn error(
        &self,
        character: usize,
        problem: impl std::fmt::Display,
        remedy: impl std::fmt::Display,
    ) -> ExplainError {
        ExplainError::at(OPTION, self.text, character, problem, remedy)
    }

    fn parse(&self) -> Result<MapSpec, ExplainError> {
        let Some((va_text, rest)) = self.text.split_once('=') else {
            return Err(self.error(
                1,
                "there is no =",
                "give VA=PA, such as 0x400000=0x1234000, and attributes after it: ,2m,ro",
            ));
        };
        let mut parts = parts(rest, va_text.chars().count() + 2);
        // There is a first part, if an empty one.
        let (pa_place, pa_text) = parts.next().unwrap_or((1, ""));
        let attributes: Vec<_> = parts.collect();
        let (row, size) = self.leaf_row(&attributes)?;
        let blanks = va_text.chars().take_while(|c| c.is_whitespace()).count();
        let va = number(OPTION, self.text, 1 + blanks, va_text.trim())?;
        let pa = number(OPTION, self.text, pa_place, pa_text)?;
        self.check_va(va, size)?;
        self.check_pa(pa, pa_place, size)?;
        let mut changes = Vec::new();
        for (place, attribute) in attributes {
            if size_of(attribute).is_none() {
                changes.push(self.change(place, attribute, row.level)?);
            }
        }
        let ps = if row.leaf == LeafRule::Always {
            0
        } else {
            bit::PS
        };
        Ok(MapSpec {
            text: self.text.to_owned(),
            va,
            pa,
            leaf: row.level,
            size,
            ordinary: ORDINARY | bit::D | ps | Entry::frame_bits(size, pa),
            changes,
        })
    }

    /// The levels whose entries may map a page, with its size, smallest first.
    fn leaves(&self) -> impl Iterator<Item = (&'static LevelSpec, PageSize)> {
        let rows = self.mode.spec().levels.iter().rev();
        rows.filter_map(|row| Some((row, row.page_size?)))
    }

    /// The names of the page sizes, smallest first.
    fn sizes(&self) -> String {
        let names: Vec<_> = self.leaves().map(|(_, size)| size.name()).collect();
        names.join(", ")
    }

    /// The level that maps the page, and its size.
    fn leaf_row(
        &self,
        attributes: &[(usize, &str)],
    ) -> Result<(&'static LevelSpec, PageSize), ExplainError> {
        let mut chosen = None;
        for (place, attribute) in attributes {
            let Some(wanted) = size_of(attribute) else {
                continue;
            };
            let leaf = self.leaves().find(|(_, size)| *size == wanted);
            let leaf = leaf.ok_or_else(|| {
                self.error(
                    *place,
                    format_args!("{} has no pages of {attribute}", self.mode),
                    format_args!("the page sizes are {}", self.sizes()),
                )
            })?;
            if chosen.replace(leaf).is_some() {
                return Err(self.error(
                    *place,
                    "a second page size",
                    format_args!("give one of {}; without one it is 4k", self.sizes()),
                ));
            }
        }
        chosen
            .or_else(|| self.leaves().next())
            .ok_or_else(|| self.error(1, "there are no tables with paging off", "leave out --map"))
    }

    fn check_va(&self, va: u64, size: PageSize) -> Result<(), ExplainError> {
        let split = super::split::split(va, self.mode);
        if split.extended.0 != va {
            return Err(self.error(
                1,
                format_args!(
                    "{va:#x} is not an address of {}: {}",
                    split.mode_name, split.because
                ),
                format_args!("give {}", split.extended),
            ));
        }
        self.check_start(1, "linear", va, size)
    }

    fn check_pa(&self, pa: u64, place: usize, size: PageSize) -> Result<(), ExplainError> {
        let bits = match (self.mode, size) {
            // Bits 39:32 stand in bits 20:13 (PSE-36).
            (PagingMode::TwoLevel, PageSize::Size4M) => 40,
            (PagingMode::TwoLevel, _) => 32,
            _ => MaxPhyAddr::MAX_BITS,
        };
        if pa >> bits != 0 {
            return Err(self.error(
                place,
                format_args!("an entry holds a physical address of {bits} bits"),
                format_args!("give one below {:#x}", 1_u64 << bits),
            ));
        }
        self.check_start(place, "physical", pa, size)
    }

    fn check_start(
        &self,
        place: usize,
        kind: &str,
        address: u64,
        size: PageSize,
    ) -> Result<(), ExplainError> {
        if address & size.offset_mask() == 0 {
            return Ok(());
        }
        let first = address & !size.offset_mask();
        let reserved = match size {
            PageSize::Size4K => "",
            PageSize::Size4M => "; the reserved bit is set by bit21=1",
            PageSize::Size2M | PageSize::Size1G => {
                "; a reserved bit is set by bitN=1, such as bit13=1"
            }
        };
        Err(self.error(
            place,
            format_args!("{kind} address {address:#x} is not the start of a page of {size}"),
            format_args!("give {first:#x}{reserved}"),
        ))
    }

    /// One attribute: `WORD`, `FIELD=VALUE`, `bitN=0|1` or `raw=VALUE`, of the leaf, or after `LEVEL.` of the entry above it.
    fn change(&self, place: usize, text: &str, leaf: Level) -> Result<Change, ExplainError> {
        let (level, at, rest) = match text.split_once('.') {
            Some((name, rest)) => {
                let after = place + name.chars().count() + 1;
                (self.level(place, name, leaf)?, after, rest)
            }
            None => (leaf, place, text),
        };
        let written = rest.split('=').next().unwrap_or(rest);
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => {
                let value_at = at + name.chars().count() + 1;
                (name, Some(number(OPTION, self.text, value_at, value)?))
            }
            None => match WORDS.iter().find(|(word, ..)| *word == rest) {
                Some((_, field, value)) => (*field, Some(*value)),
                None => (rest, None),
            },
        };
        let fields = fields_of(self.mode, level, level == leaf);
        let Some(value) = value else {
            return Err(self.unknown(at, written, fields, level));
        };
        let (mask, low) = if name == "raw" {
            (entry_mask(self.mode), 0)
        } else if let Some(digits) = name.strip_prefix("bit") {
            let bits = 8 * self.mode.entry_bytes() as u32;
            let place = digits.parse::<u32>().ok().filter(|place| *place < bits);
            let place = place.ok_or_else(|| {
                self.error(
                    at,
                    format_args!("{name:?} is no bit of an entry"),
                    format_args!("give bit0 to bit{}", bits - 1),
                )
            })?;
            (1 << place, place)
        } else {
            let field = fields.iter().find(|field| key(field) == name);
            let field = field.ok_or_else(|| self.unknown(at, written, fields, level))?;
            match field.role {
                // Given as an address, in place.
                Role::Address => (field.mask(), 0),
                _ => (field.mask(), u32::from(field.low)),
            }
        };
        if value > mask >> low || (value << low) & !mask != 0 {
            return Err(self.error(
                at,
                format_args!("{name}={value:#x} does not fit"),
                format_args!("{name} takes bits of {:#x}", mask >> low),
            ));
        }
        Ok(Change {
            level,
            mask,
            value: value << low,
        })
    }

    /// The level of that name, down to the leaf.
    fn level(&self, place: usize, name: &str, leaf: Level) -> Result<Level, ExplainError> {
        let on_the_way = self.mode.spec().levels.iter().map(|row| row.level);
        let levels: Vec<_> = on_the_way.filter(|level| *level >= leaf).collect();
        let found = levels.iter().find(|level| level_key(**level) == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = levels.iter().map(|level| level_key(*level)).collect();
            self.error(
                place,
                format_args!("{name:?} is no entry on the way to this page"),
                format_args!("the entries are {}", names.join(", ")),
            )
        })
    }

    fn unknown(&self, place: usize, name: &str, fields: &[Field], level: Level) -> ExplainError {
        let mut names: Vec<_> = fields
            .iter()
            .filter(|field| has_key(field))
            .map(key)
            .collect();
        names.dedup();
        let has = |name: &str| names.iter().any(|key| key == name);
        let words = WORDS.iter().filter(|(_, field, _)| has(field));
        let words: Vec<_> = words.map(|(word, ..)| *word).collect();
        self.error(
            place,
            format_args!("{name:?} is no attribute of a {level}"),
            format_args!(
                "page sizes: {}; words: {}; fields of a {level}, each with =VALUE: {}, bitN, raw; an entry above the leaf: {}.FIELD=VALUE",
                self.sizes(),
                words.join(", "),
                names.join(", "),
                self.mode.spec().levels.first().map(|row| level_key(row.level)).unwrap_or_default()
            ),
        )
    }
}

/// The page size of that name, of whatever mode.
fn size_of(name: &str) -> Option<PageSize> {
    PageSize::ALL.into_iter().find(|size| size.name() == name)
}

/// How a level's entries are named in an option: `pml4e`.
fn level_key(level: Level) -> String {
    level.entry_name().to_lowercase()
}

/// How a field is named in an option: the manual's name in lower case, without the stroke, with `_` for a blank.
fn key(field: &Field) -> String {
    field.name.to_lowercase().replace('/', "").replace(' ', "_")
}

/// Whether a field is named at all: `ignored` and `reserved` are several.
fn has_key(field: &Field) -> bool {
    !matches!(field.role, Role::Ignored | Role::Reserved) || field.name == "PS"
}

/// The fields of an entry of `level`.
fn fields_of(mode: PagingMode, level: Level, leaf: bool) -> &'static [Field] {
    EntryKind::of(mode, level, leaf).map_or(&[], EntryKind::fields)
}

/// The bits of an entry.
fn entry_mask(mode: PagingMode) -> u64 {
    u64::MAX >> (64 - 8 * mode.entry_bytes())
}

#[cfg(test)]
mod tests;
