//! The syntax of a mapping: `VA=PA`, and what differs from an ordinary page, such as `0x400000=0x1200000,2m,ro,pde.us=0`.
//!
//! Contract: none. SDM vol. 3A, 4.5 (formats of the entries). Counterpart: none. `docs/explain.md` explains the syntax.
//!
//! Which fields an entry has is read from the manual's table in [`crate::arch::fields`].

use super::split::Mode;
use super::{ExplainError, number, parts};
use crate::arch::entry::bit;
use crate::arch::fields::Role;
use crate::arch::{EntryKind, Field, LeafRule, Level, LevelSpec, MaxPhyAddr, ModeSpec};

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
    /// log2 of the page's size in bytes.
    pub shift: u32,
    changes: Vec<Change>,
}

impl MapSpec {
    /// Reads a mapping for tables of `mode`, which `spec` describes.
    ///
    /// # Errors
    /// What is wrong, at which character, and what is allowed.
    pub fn parse(text: &str, mode: Mode, spec: &ModeSpec) -> Result<Self, ExplainError> {
        Parser { text, mode, spec }.parse()
    }

    /// The entry of `row` that refers to the table at `table`, and whether it differs from an ordinary one.
    pub fn table_entry(&self, row: &LevelSpec, table: u64) -> (u64, bool) {
        let ordinary = ORDINARY | table;
        let entry = self.changed(row.level, ordinary);
        (entry, entry != ordinary)
    }

    /// The entry that maps the page.
    pub fn leaf_entry(&self, row: &LevelSpec) -> u64 {
        let size = if row.leaf == LeafRule::Always {
            0
        } else {
            bit::PS
        };
        self.changed(row.level, ORDINARY | bit::D | size | self.pa)
    }

    fn changed(&self, level: Level, entry: u64) -> u64 {
        let changes = self.changes.iter().filter(|change| change.level == level);
        changes.fold(entry, |entry, change| entry & !change.mask | change.value)
    }
}

/// A mapping as it is read.
struct Parser<'a> {
    text: &'a str,
    mode: Mode,
    spec: &'a ModeSpec,
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
        let row = self.leaf_row(&attributes)?;
        let blanks = va_text.chars().take_while(|c| c.is_whitespace()).count();
        let va = number(OPTION, self.text, 1 + blanks, va_text.trim())?;
        let pa = number(OPTION, self.text, pa_place, pa_text)?;
        self.check_va(va, row.index_shift)?;
        self.check_pa(pa, pa_place, row.index_shift)?;
        let mut changes = Vec::new();
        for (place, attribute) in attributes {
            if self.row_of_size(attribute).is_none() {
                changes.push(self.change(place, attribute, row.level)?);
            }
        }
        Ok(MapSpec {
            text: self.text.to_owned(),
            va,
            pa,
            leaf: row.level,
            shift: row.index_shift,
            changes,
        })
    }

    /// The level that maps pages of the size of that name.
    fn row_of_size(&self, name: &str) -> Option<&'static LevelSpec> {
        let shift = size_shift(name)?;
        let levels = self.spec.levels.iter();
        let mut maps = levels.filter(|row| row.leaf != LeafRule::Never);
        maps.find(|row| row.index_shift == shift)
    }

    /// The names of the page sizes, smallest first.
    fn sizes(&self) -> Vec<&'static str> {
        let named = |name: &&&str| self.row_of_size(name).is_some();
        SIZES
            .iter()
            .map(|(name, _)| name)
            .filter(named)
            .copied()
            .collect()
    }

    fn leaf_row(&self, attributes: &[(usize, &str)]) -> Result<&'static LevelSpec, ExplainError> {
        let mut chosen = None;
        for (place, attribute) in attributes {
            let Some(_) = size_shift(attribute) else {
                continue;
            };
            let sizes = self.sizes().join(", ");
            let row = self.row_of_size(attribute).ok_or_else(|| {
                self.error(
                    *place,
                    format_args!("{} has no pages of {attribute}", self.spec.name),
                    format_args!("the page sizes are {sizes}"),
                )
            })?;
            if chosen.replace(row).is_some() {
                return Err(self.error(
                    *place,
                    "a second page size",
                    format_args!("give one of {sizes}; without one it is 4k"),
                ));
            }
        }
        let lowest = self.spec.levels.last();
        chosen
            .or(lowest)
            .ok_or_else(|| self.error(1, "there are no tables with paging off", "leave out --map"))
    }

    fn check_va(&self, va: u64, shift: u32) -> Result<(), ExplainError> {
        let split = super::split::split(va, self.mode);
        if !split.canonical {
            return Err(self.error(
                1,
                format_args!(
                    "{va:#x} is not an address of {}: {}",
                    split.mode_name, split.because
                ),
                format_args!("give {}", split.sign_extended),
            ));
        }
        self.check_start(1, "linear", va, shift)
    }

    fn check_pa(&self, pa: u64, place: usize, shift: u32) -> Result<(), ExplainError> {
        let bits = match self.mode.entry_bytes() {
            8 => MaxPhyAddr::MAX_BITS,
            bytes => 8 * bytes as u32,
        };
        if pa >> bits != 0 {
            return Err(self.error(
                place,
                format_args!("an entry holds a physical address of {bits} bits"),
                format_args!("give one below {:#x}", 1_u64 << bits),
            ));
        }
        self.check_start(place, "physical", pa, shift)
    }

    fn check_start(
        &self,
        place: usize,
        kind: &str,
        address: u64,
        shift: u32,
    ) -> Result<(), ExplainError> {
        let first = address >> shift << shift;
        if first == address {
            return Ok(());
        }
        let size = SIZES.iter().find(|(_, of)| *of == shift);
        let size = size.map_or("", |(name, _)| name);
        Err(self.error(
            place,
            format_args!("{kind} address {address:#x} is not the start of a page of {size}"),
            format_args!("give {first:#x}; a reserved bit is set by bitN=1, such as bit13=1"),
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
            return Err(self.unknown(at, rest, fields, level));
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
            let field = field.ok_or_else(|| self.unknown(at, name, fields, level))?;
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
        let on_the_way = self.spec.levels.iter().map(|row| row.level);
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
        let words: Vec<_> = WORDS.iter().map(|(word, ..)| *word).collect();
        self.error(
            place,
            format_args!("{name:?} is no attribute of a {level}"),
            format_args!(
                "page sizes: {}; words: {}; fields of a {level}, each with =VALUE: {}, bitN, raw; an entry above the leaf: {}.FIELD=VALUE",
                self.sizes().join(", "),
                words.join(", "),
                names.join(", "),
                self.spec.levels.first().map(|row| level_key(row.level)).unwrap_or_default()
            ),
        )
    }
}

/// Names of page sizes, and log2 of their bytes.
const SIZES: [(&str, u32); 4] = [("4k", 12), ("2m", 21), ("4m", 22), ("1g", 30)];

/// log2 of the bytes of the page size of that name.
fn size_shift(name: &str) -> Option<u32> {
    let found = SIZES.iter().find(|(size, _)| *size == name);
    found.map(|(_, shift)| *shift)
}

/// How a level's entries are named in an option: `pml4e`.
fn level_key(level: Level) -> String {
    level.entry_name().to_lowercase()
}

/// How a field is named in an option: the manual's name in lower case, without the stroke.
fn key(field: &Field) -> String {
    field.name.to_lowercase().replace('/', "")
}

/// Whether a field is named at all: `ignored` and `reserved` are several.
fn has_key(field: &Field) -> bool {
    !matches!(field.role, Role::Ignored | Role::Reserved) || field.name == "PS"
}

/// The fields of an entry of `level`.
fn fields_of(mode: Mode, level: Level, leaf: bool) -> &'static [Field] {
    mode.paging()
        .and_then(|mode| EntryKind::of(mode, level, leaf))
        .map_or(&[], EntryKind::fields)
}

/// The bits of an entry.
fn entry_mask(mode: Mode) -> u64 {
    u64::MAX >> (64 - 8 * mode.entry_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<MapSpec, ExplainError> {
        let mode = Mode::from_bits(48).expect("there is one");
        MapSpec::parse(
            text,
            mode,
            mode.paging().expect("the machine has it").spec(),
        )
    }

    fn leaf(text: &str) -> u64 {
        let map = parse(text).expect(text);
        let mode = Mode::from_bits(48).and_then(Mode::paging).expect("there");
        let rows = mode.spec().levels;
        map.leaf_entry(
            rows.iter()
                .find(|row| row.level == map.leaf)
                .expect("a row"),
        )
    }

    #[test]
    fn an_ordinary_page_is_present_writable_for_user_mode_accessed_and_dirty() {
        assert_eq!(leaf("0x400000=0x1234000"), 0x123_4067);
        assert_eq!(leaf("4M=0x200000,2m"), 0x20_00e7);
        assert_eq!(leaf(" 0 = 1G , 1g "), 0x4000_00e7);
    }

    #[test]
    fn attributes_change_the_leaf_in_their_order_and_entries_above_it_by_name() {
        assert_eq!(leaf("0=0x1000,ro,super,nx,d=0"), 0x8000_0000_0000_1021);
        assert_eq!(leaf("0=0x1000,key=5,g=1"), 0x2800_0000_0000_1167);
        assert_eq!(leaf("0=0x1000,raw=0x99,p=0"), 0x98);
        assert_eq!(leaf("0=0x200000,2m,bit13=1,pat=1"), 0x20_30e7);
        assert_eq!(leaf("0=0x1000,address=0x5000"), 0x5067);
        let map = parse("0=0x1000,pde.us=0,pml4e.ps=1").expect("it is right");
        let mode = Mode::from_bits(48).and_then(Mode::paging).expect("there");
        let entries: Vec<_> = mode.spec().levels[..3]
            .iter()
            .map(|row| map.table_entry(row, 0x3000))
            .collect();
        assert_eq!(entries, [(0x30a7, true), (0x3027, false), (0x3023, true)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_is_allowed() {
        for (text, place, problem) in [
            ("0x400000", 1, "there is no ="),
            ("=0", 1, "a digit is missing"),
            ("0=", 3, "a digit is missing"),
            ("0=0x1000,usr", 10, "\"usr\" is no attribute of a PTE"),
            ("0=0x1000,", 10, "\"\" is no attribute"),
            ("0=0x1000,2m,1g", 13, "a second page size"),
            ("0=0,4m", 5, "4-level paging has no pages of 4m"),
            (
                "0=0x1000,2m",
                3,
                "physical address 0x1000 is not the start of a page of 2m",
            ),
            (
                "0x1234=0",
                1,
                "linear address 0x1234 is not the start of a page of 4k",
            ),
            ("0x800000000000=0", 1, "is not an address of 4-level paging"),
            ("0=1P", 0, ""),
            ("0=8P", 3, "an entry holds a physical address of 52 bits"),
            ("0=0,d=2", 5, "d=0x2 does not fit"),
            ("0=0,bit64=1", 5, "\"bit64\" is no bit of an entry"),
            ("0=0,2m,pte.p=0", 8, "\"pte\" is no entry on the way"),
            ("0=0,pde.d=0", 9, "\"d\" is no attribute of a PDE"),
            ("0=0,d=", 7, "a digit is missing"),
        ] {
            let found = parse(text);
            if place == 0 {
                assert!(found.is_ok(), "{text}: {found:?}");
                continue;
            }
            let error = found.expect_err(text);
            let end = format!("character {place}");
            assert!(error.place.ends_with(&end), "{text}: {error}");
            assert!(error.problem.contains(problem), "{text}: {error}");
            assert!(!error.remedy.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", tail in "(,(pml4e|pde|pte)?[.]?[a-z0-9]{0,6}=?[0-9x]{0,20}){0,4}") {
            let _ = parse(&text);
            let _ = parse(&format!("0=0{tail}"));
        }
    }
}
