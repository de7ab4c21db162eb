//! The expressions of a stimulus file: addresses by name, entries by their flags, registers by the names of their bits.
//!
//! Contract: none of its own. SDM vol. 3A, 2.5 (registers), 4.3 and 4.5 (entries). Counterpart: `docs/stim.md` (expressions).

use super::ControlKind;
use super::layout::Layout;
use super::lines::{Trouble, Word, Words, clip};
use crate::arch::entry::bit;
use crate::arch::registers::{CR3_NO_FLUSH, cr0, cr4, efer};
use crate::arch::{Entry, PageSize};

const ADDRESS_FORM: &str = "an address is a number, NAME, NAME+NUMBER, or LEVEL@VA[/SPACE] with LEVEL pte, pde, pdpte, pml4e or pml5e";
const FLAG_FORM: &str =
    "flags are rw user xd A D G pwt pcd pat absent key=0..15 bits=NUMBER (bits that are ORed in)";

/// The number of a level's name: `pte` is 1.
fn level_named(name: &str) -> Option<u8> {
    let names = ["pte", "pde", "pdpte", "pml4e", "pml5e"];
    names
        .iter()
        .zip(1..)
        .find(|(n, _)| **n == name)
        .map(|p| p.1)
}

/// A physical address: a number, a name with an offset, or the entry of a level on the path of an address.
pub fn address(word: Word, layout: &Layout) -> Result<u64, Trouble> {
    if word.text.starts_with(|c: char| c.is_ascii_digit()) {
        return word.number();
    }
    if let Some((level, rest)) = word.split_once('@') {
        let number = level_named(level.text).ok_or_else(|| {
            level.trouble(
                format_args!("`{}` is not a level", clip(level.text)),
                ADDRESS_FORM,
            )
        })?;
        let (va, space) = match rest.split_once('/') {
            Some((va, space)) => (va, Some(space)),
            None => (rest, None),
        };
        return layout
            .space(space.map(|s| s.text))
            .and_then(|space| Ok((space, va.number().map_err(|t| t.problem)?)))
            .and_then(|(space, va)| layout.entry_address(space, va, number))
            .map_err(|problem| {
                word.trouble(problem, "name an entry whose tables `map` has built")
            });
    }
    let (name, offset) = match word.split_once('+') {
        Some((name, offset)) => (name, offset.number()?),
        None => (word, 0),
    };
    layout
        .named(name.text)
        .and_then(|base| base.checked_add(offset))
        .ok_or_else(|| {
            name.trouble(
                format_args!("`{}` is not an address", clip(name.text)),
                ADDRESS_FORM,
            )
        })
}

/// The address of a cell: below 2^52 and a multiple of 8.
pub fn cell_address(word: Word, layout: &Layout) -> Result<u64, Trouble> {
    let value = address(word, layout)?;
    if value % 8 == 0 && value < 1 << 52 {
        Ok(value)
    } else {
        Err(word.trouble(
            format_args!("{value:#x} is not the address of a cell"),
            "give a multiple of 8 below 2^52 (an entry of 4 bytes: cell4, store4)",
        ))
    }
}

/// The address of an entry of 4 bytes: below 2^52 and a multiple of 4.
pub fn half_address(word: Word, layout: &Layout) -> Result<u64, Trouble> {
    let value = address(word, layout)?;
    if value % 4 == 0 && value < 1 << 52 {
        Ok(value)
    } else {
        Err(word.trouble(
            format_args!("{value:#x} is not the address of 4 bytes of a cell"),
            "give a multiple of 4 below 2^52",
        ))
    }
}

/// A page size: `4k`, `2m`, `1g` or `4m`.
pub fn page_size(word: Word) -> Result<PageSize, Trouble> {
    PageSize::ALL
        .into_iter()
        .find(|size| size.name() == word.text)
        .ok_or_else(|| {
            word.trouble(
                format_args!("`{}` is not a page size", clip(word.text)),
                "write 4k, 2m, 1g, or in 32-bit paging 4k, 4m",
            )
        })
}

/// Bits of an entry from the flags that are left on the line; `size` is `None` for an entry that refers to a table.
fn flags(words: &mut Words, size: Option<PageSize>) -> Result<u64, Trouble> {
    let mut bits = bit::P;
    let mut absent = false;
    while let Some(word) = words.take() {
        bits |= match word.text {
            "rw" => bit::RW,
            "user" => bit::US,
            "xd" => bit::XD,
            "A" => bit::A,
            "D" => bit::D,
            "G" => bit::G,
            "pwt" => bit::PWT,
            "pcd" => bit::PCD,
            "pat" if size == Some(PageSize::Size4K) => bit::PAT_4K,
            "pat" if size.is_some() => bit::PAT_LARGE,
            "absent" => {
                absent = true;
                0
            }
            _ => match word.split_once('=') {
                Some((key, value)) if key.text == "key" => {
                    value.number_in("the key", 0, 15)? << bit::KEY_SHIFT
                }
                Some((key, value)) if key.text == "bits" => value.number()?,
                _ => {
                    return Err(word.trouble(
                        format_args!("`{}` is not a flag of an entry", clip(word.text)),
                        FLAG_FORM,
                    ));
                }
            },
        };
    }
    Ok(if absent { bits & !bit::P } else { bits })
}

/// A leaf of `size` that maps `pa`, with the flags that are left on the line.
///
/// A `pa` that is not aligned to the page size sets reserved bits: that is allowed, and wanted; but not of 4 MiB pages, whose leaf has other
/// address bits in their place.
pub fn leaf(words: &mut Words, size: PageSize, pa: Word) -> Result<u64, Trouble> {
    let frame = pa.number()?;
    if size == PageSize::Size4M {
        if frame & size.offset_mask() != 0 || frame >> 40 != 0 {
            return Err(pa.trouble(
                format_args!("{frame:#x} is not the address of a 4 MiB page"),
                "give a multiple of 4 MiB below 2^40 (other bits: bits=NUMBER)",
            ));
        }
        return Ok(Entry::frame_bits(size, frame) | bit::PS | flags(words, Some(size))?);
    }
    if frame & !bit::ADDRESS != 0 {
        return Err(pa.trouble(
            format_args!("{frame:#x} is not the address of a frame"),
            "give a multiple of 4096 below 2^52 (other bits: bits=NUMBER)",
        ));
    }
    let ps = if size == PageSize::Size4K { 0 } else { bit::PS };
    Ok(frame | ps | flags(words, Some(size))?)
}

/// The value of a cell: a number, `page SIZE PA FLAGS`, or `table ADDRESS FLAGS`; takes the rest of the line.
pub fn value(words: &mut Words, layout: &Layout, form: &str) -> Result<u64, Trouble> {
    let first = words.expect("a value", form)?;
    match first.text {
        "page" => {
            let size = page_size(words.expect("a page size", form)?)?;
            let pa = words.expect("a physical address", form)?;
            leaf(words, size, pa)
        }
        "table" => {
            let word = words.expect("a table's address", form)?;
            let table = address(word, layout)?;
            if table & !bit::ADDRESS != 0 {
                return Err(word.trouble(
                    format_args!("{table:#x} is not the address of a table"),
                    "give a multiple of 4096 below 2^52",
                ));
            }
            Ok(table | flags(words, None)?)
        }
        _ => {
            let value = first.number()?;
            words.expect_end(form)?;
            Ok(value)
        }
    }
}

/// The value of an entry of 4 bytes: as [`value`], and no bit above 31.
pub fn half_value(words: &mut Words, layout: &Layout, form: &str) -> Result<u32, Trouble> {
    let first = words.peek();
    let value = value(words, layout, form)?;
    u32::try_from(value).map_err(|_| {
        let problem = format_args!("the value {value:#x} does not fit in 4 bytes");
        let remedy = "give one below 2^32: an entry of 4 bytes has no xd and no key";
        match first {
            Some(word) => word.trouble(problem, remedy),
            None => Trouble::new(words.end_column(), problem, remedy),
        }
    })
}

/// Names of the bits of a register.
pub const fn register_bits(kind: ControlKind) -> &'static [(&'static str, u64)] {
    match kind {
        ControlKind::MovCr0 => &[("PE", cr0::PE), ("WP", cr0::WP), ("PG", cr0::PG)],
        ControlKind::MovCr4 => &[
            ("PSE", cr4::PSE),
            ("PAE", cr4::PAE),
            ("PGE", cr4::PGE),
            ("LA57", cr4::LA57),
            ("PCIDE", cr4::PCIDE),
            ("SMEP", cr4::SMEP),
            ("SMAP", cr4::SMAP),
            ("PKE", cr4::PKE),
        ],
        ControlKind::WrmsrEfer => &[("LME", efer::LME), ("LMA", efer::LMA), ("NXE", efer::NXE)],
        ControlKind::MovCr3 => &[("keep", CR3_NO_FLUSH)],
        ControlKind::Invlpg | ControlKind::Invpcid => &[],
    }
}

/// The value for a register: terms joined by `|`, each a number, the name of a bit, and for CR3 an address or `pcid=N`.
pub fn register_value(word: Word, kind: ControlKind, layout: &Layout) -> Result<u64, Trouble> {
    let mut value = 0;
    let mut column = word.column;
    for text in word.text.split('|') {
        let term = Word { text, column };
        column += text.chars().count() + 1;
        value |= register_term(term, kind, layout)?;
    }
    Ok(value)
}

fn register_term(term: Word, kind: ControlKind, layout: &Layout) -> Result<u64, Trouble> {
    if let Some((_, bits)) = register_bits(kind)
        .iter()
        .find(|(name, _)| *name == term.text)
    {
        return Ok(*bits);
    }
    if kind == ControlKind::MovCr3 {
        if let Some((key, number)) = term.split_once('=')
            && key.text == "pcid"
        {
            return number.number_in("the PCID", 0, 0xfff);
        }
        if let Some(root) = layout.named(term.text) {
            return Ok(root);
        }
    }
    term.number().map_err(|_| {
        let names: Vec<&str> = register_bits(kind).iter().map(|(name, _)| *name).collect();
        let more = if kind == ControlKind::MovCr3 {
            ", pcid=0..4095, the name of an address space"
        } else {
            ""
        };
        term.trouble(
            format_args!("`{}` is not a value for {}", clip(term.text), kind.name()),
            format_args!(
                "join with |: numbers, {}{more}",
                if names.is_empty() {
                    "no names".to_owned()
                } else {
                    names.join(", ")
                }
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.add_space("kernel", 4).unwrap();
        let space = layout.space(None).unwrap();
        layout.map(space, 0x1000, PageSize::Size4K, 0x9001).unwrap();
        layout
    }

    fn words(text: &str) -> Words<'_> {
        Words::of(text)
    }

    #[test]
    fn addresses_are_numbers_names_or_entries_of_a_path() {
        let layout = layout();
        let at = |text: &'static str| address(words(text).take().unwrap(), &layout);
        assert_eq!(at("0x10"), Ok(0x10));
        assert_eq!(at("kernel+16"), Ok(0x1010));
        assert_eq!(at("pte@0x1000"), Ok(0x4008));
        assert_eq!(at("pml4e@0x1000/kernel"), Ok(0x1000));
        assert!(at("pte@0x40000000").is_err());
        assert!(at("pxe@0x1000").is_err());
        assert!(at("user").is_err());
    }

    #[test]
    fn values_are_numbers_or_entries_by_their_flags() {
        let layout = layout();
        let of = |text: &'static str| value(&mut words(text), &layout, "");
        assert_eq!(of("0x27"), Ok(0x27));
        assert_eq!(of("page 4k 0x5000 rw A pat"), Ok(0x50a3));
        assert_eq!(
            of("page 2m 0x200000 user G key=5 xd"),
            Ok(0xa800_0000_0020_0185)
        );
        assert_eq!(of("page 1g 0 pat"), Ok(0x1081));
        assert_eq!(of("table kernel rw user A"), Ok(0x1027));
        assert_eq!(of("page 4k 0x5000 absent bits=0x200").map(|v| v & 1), Ok(0));
        assert_eq!(of("page 4m 0xff00400000 rw pat"), Ok(0x5f_f083));
        assert!(of("page 4m 0x200000").is_err());
        assert!(of("page 4m 0x10000000000").is_err());
        assert!(of("page 4k 0x5001").is_err());
        assert!(of("page 3k 0x5000").is_err());
        assert!(of("table 0x5000 pat").is_err());
        assert!(of("0x27 A").is_err());
    }

    #[test]
    fn an_entry_of_4_bytes_has_no_bit_above_31() {
        let layout = layout();
        let of = |text: &'static str| half_value(&mut words(text), &layout, "");
        assert_eq!(of("page 4k 0xfffff000 rw G"), Ok(0xffff_f103));
        assert_eq!(of("table kernel"), Ok(0x1001));
        for (text, column) in [
            ("page 4k 0x5000 xd", 1),
            ("page 4k 0x5000 key=1", 1),
            ("page 4k 0x100000000", 1),
            ("0x100000000", 1),
            ("", 1),
        ] {
            assert_eq!(of(text).map_err(|t| t.column), Err(column), "{text}");
        }
        let at = |text: &'static str| half_address(words(text).take().unwrap(), &layout);
        assert_eq!(at("kernel+4"), Ok(0x1004));
        assert!(at("kernel+2").is_err());
    }

    #[test]
    fn registers_are_joined_from_the_names_of_their_bits() {
        let layout = layout();
        let of =
            |text: &'static str, kind| register_value(words(text).take().unwrap(), kind, &layout);
        assert_eq!(of("PE|PG", ControlKind::MovCr0), Ok(0x8000_0001));
        assert_eq!(
            of("kernel|pcid=3|keep", ControlKind::MovCr3),
            Ok(1 << 63 | 0x1003)
        );
        assert_eq!(
            of("PAE|0x80000000000", ControlKind::MovCr4),
            Ok(0x800_0000_0020)
        );
        let error = of("PAE|SMIP", ControlKind::MovCr4).unwrap_err();
        assert_eq!(error.column, 5);
    }
}
