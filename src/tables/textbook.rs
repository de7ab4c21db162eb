//! The figures that textbooks give about page tables, each computed by [`cost`]; and what is true where texts in circulation err.
//!
//! Contract: none. SDM vol. 3A, 4.3 and 4.5. Counterpart: none.

use serde::Serialize;

use super::units::{binary_size, power};
use super::{AddressRange, Cost, PageUnit, Ranges, TableMode, TablesError, cost};
use crate::arch::{Level, PageSize, PagingMode, VirtualAddress};

/// Where the one page of a minimal process lies: where a program linked at a fixed address begins on Linux. Any other place costs the same.
const FIRST_PAGE: u64 = 0x40_0000;
/// Processes that the textbook counts.
const PROCESSES: u64 = 100;
/// The physical memory that the textbook divides into frames.
const MEMORY_BYTES: u64 = 16 << 30;
/// The address that the textbook splits.
const ADDRESS: u64 = 0x7fff_1234_0abc;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Amount {
    /// What tables (and pages, where the figure says so) take.
    #[serde(rename = "size_bytes")]
    SizeBytes(u64),
    /// How much can be mapped.
    #[serde(rename = "reach_bytes")]
    ReachBytes(u64),
    /// Pages of an address space.
    #[serde(rename = "pages")]
    Pages(u64),
    /// Frames of physical memory.
    #[serde(rename = "frames")]
    Frames(u64),
    /// Entries of a TLB.
    #[serde(rename = "tlb_entries")]
    TlbEntries(u64),
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::SizeBytes(bytes) | Self::ReachBytes(bytes) => {
                f.write_str(&binary_size(u128::from(bytes)))
            }
            Self::Pages(count) => write!(f, "{} pages", power(count)),
            Self::Frames(count) => write!(f, "{} frames", power(count)),
            Self::TlbEntries(1) => f.write_str("1 entry"),
            Self::TlbEntries(count) => write!(f, "{} entries", power(count)),
        }
    }
}

/// A figure of the textbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What it is about.
    pub figure: &'static str,
    /// How much it is.
    #[serde(flatten)]
    pub amount: Amount,
    /// How it comes about.
    pub because: String,
}

/// Something that texts in circulation get wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// What it is about.
    pub about: String,
    /// What is true.
    pub truth: String,
    /// Why.
    pub because: String,
}

/// The page: figures, and corrections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Textbook {
    /// The figures, in the order in which a lecture has them.
    pub figures: Vec<Figure>,
    /// What is true where texts err.
    pub corrections: Vec<Correction>,
}

/// What a minimal process has mapped: one page.
pub fn minimal_process() -> Ranges {
    AddressRange::new(FIRST_PAGE, PageSize::Size4K.bytes())
        .into_iter()
        .collect()
}

/// Computes the page.
///
/// # Errors
/// None in practice: every range is in the reach of its tables.
pub fn textbook() -> Result<Textbook, TablesError> {
    let mut figures = flat()?;
    figures.extend(trees()?);
    figures.extend(reach_and_tlb()?);
    Ok(Textbook {
        figures,
        corrections: vec![
            reach_of_57_bits(),
            offset_of_an_address(),
            saving_of_a_tree()?,
        ],
    })
}

/// Tables with an entry for everything.
fn flat() -> Result<Vec<Figure>, TablesError> {
    let process = minimal_process();
    let by_word = cost(TableMode::FlatByWord32, PageUnit::Word, &process)?;
    let by_page = cost(TableMode::FlatByPage32, PageUnit::Size4K, &process)?;
    let wide = cost(TableMode::FlatByPage48, PageUnit::Size4K, &process)?;
    let memory: Ranges = AddressRange::new(0, MEMORY_BYTES).into_iter().collect();
    let frames = cost(TableMode::FlatByPage48, PageUnit::Size4K, &memory)?.pages;
    let page = binary_size(u128::from(by_page.page_size_bytes));
    Ok(vec![
        Figure {
            figure: "flat table by word, 32-bit addresses",
            amount: Amount::SizeBytes(by_word.size_bytes),
            because: each_entry(&by_word, "words"),
        },
        Figure {
            figure: "flat table by page, 32-bit addresses",
            amount: Amount::SizeBytes(by_page.size_bytes),
            because: each_entry(&by_page, "pages"),
        },
        Figure {
            figure: "the same of 100 processes",
            amount: Amount::SizeBytes(by_page.size_bytes * PROCESSES),
            because: format!(
                "{PROCESSES} tables of {}: each process has its own",
                binary_size(u128::from(by_page.size_bytes))
            ),
        },
        Figure {
            figure: "pages of a 48-bit address space",
            amount: Amount::Pages(room(&wide)),
            because: format!(
                "{} in pages of {page}",
                binary_size(u128::from(TableMode::FlatByPage48.reach_bytes()))
            ),
        },
        Figure {
            figure: "flat table by page, 48-bit addresses",
            amount: Amount::SizeBytes(wide.size_bytes),
            because: each_entry(&wide, "pages"),
        },
        Figure {
            figure: "frames in 16 GiB of memory",
            amount: Amount::Frames(frames),
            because: format!(
                "{} in frames of {page}",
                binary_size(u128::from(MEMORY_BYTES))
            ),
        },
    ])
}

/// Entries that the lowest level has room for.
fn room(cost: &Cost) -> u64 {
    cost.levels.last().map_or(0, |level| level.entries)
}

fn each_entry(cost: &Cost, units: &str) -> String {
    let entries = room(cost);
    format!(
        "{} {units} of {}, an entry of {} bytes each",
        power(entries),
        binary_size(u128::from(cost.page_size_bytes)),
        cost.size_bytes / entries
    )
}

/// Tables that are there only where something is mapped.
fn trees() -> Result<Vec<Figure>, TablesError> {
    let minimal = |mode| cost(mode, PageUnit::Size4K, &minimal_process());
    let (two, four, five) = (
        minimal(TableMode::TwoLevel)?,
        minimal(TableMode::FourLevel)?,
        minimal(TableMode::FiveLevel)?,
    );
    let directory = cost(TableMode::TwoLevel, PageUnit::Size4M, &minimal_process())?;
    let tables = |figure, cost: &Cost| Figure {
        figure,
        amount: Amount::SizeBytes(cost.size_bytes),
        because: levels(cost),
    };
    let with_page = |figure, cost: &Cost| Figure {
        figure,
        amount: Amount::SizeBytes(cost.size_bytes + cost.mapped_bytes),
        because: format!(
            "{} tables and {} page of {}",
            cost.tables,
            cost.pages,
            binary_size(u128::from(cost.page_size_bytes))
        ),
    };
    Ok(vec![
        tables("two-level tables of one page", &two),
        Figure {
            figure: "page directory alone, pages of 4 MiB",
            amount: Amount::SizeBytes(directory.size_bytes),
            because: each_entry(&directory, "pages"),
        },
        tables("four-level tables of one page", &four),
        with_page("minimal four-level process, with its page", &four),
        with_page("minimal five-level process, with its page", &five),
    ])
}

/// How many tables of each level, from the root down: `1 PD + 1 PT`.
fn levels(cost: &Cost) -> String {
    let parts: Vec<String> = cost
        .levels
        .iter()
        .map(|level| format!("{} {}", power(level.tables), level.level))
        .collect();
    parts.join(" + ")
}

fn reach_and_tlb() -> Result<Vec<Figure>, TablesError> {
    let size = PageUnit::Size2M;
    let region: Ranges = AddressRange::new(0, TableMode::FourLevel.unit_bytes(size))
        .into_iter()
        .collect();
    let mut figures = vec![
        reach("reach of four levels", TableMode::FourLevel),
        reach("reach of five levels", TableMode::FiveLevel),
    ];
    for (figure, unit) in [
        ("TLB entries for 2 MiB in pages of 4 KiB", PageUnit::Size4K),
        ("TLB entries for 2 MiB in pages of 2 MiB", size),
    ] {
        let cost = cost(TableMode::FourLevel, unit, &region)?;
        figures.push(Figure {
            figure,
            amount: Amount::TlbEntries(cost.pages),
            because: format!(
                "one a page, of {}",
                binary_size(u128::from(cost.page_size_bytes))
            ),
        });
    }
    Ok(figures)
}

fn reach(figure: &'static str, mode: TableMode) -> Figure {
    let levels = mode.levels(PageUnit::Size4K).unwrap_or_default();
    let offset_bits = levels.last().map_or(0, |leaf| leaf.index_shift);
    let indices: Vec<String> = levels
        .iter()
        .map(|level| level.index_bits.to_string())
        .collect();
    Figure {
        figure,
        amount: Amount::ReachBytes(mode.reach_bytes()),
        because: format!(
            "{} + {offset_bits} = {} bits of address",
            indices.join(" + "),
            mode.address_bits()
        ),
    }
}

fn reach_of_57_bits() -> Correction {
    let mode = TableMode::FiveLevel;
    let bytes = mode.reach_bytes();
    Correction {
        about: format!("{} bits of address", mode.address_bits()),
        truth: format!("reach {}, not 129", binary_size(u128::from(bytes))),
        because: format!(
            "2^{} bytes are {} of 2^50 each; in decimal units {} PB: neither is 129",
            mode.address_bits(),
            bytes >> 50,
            bytes / 1_000_000_000_000_000
        ),
    }
}

fn offset_of_an_address() -> Correction {
    let size = PageSize::Size4K;
    let address = VirtualAddress::new_truncate(ADDRESS, PagingMode::FourLevel);
    let number = address.page_number(size);
    let index = |level| format!("{:#x}", address.index(level));
    Correction {
        about: format!("{:#x} in pages of 4 KiB", address.raw()),
        truth: format!(
            "page number {number:#x}, offset {:#x}; indices PML4 {}, PDPT {}, PD {}, PT {}",
            address.offset(size),
            index(Level::Pml4),
            index(Level::Pdpt),
            index(Level::Pd),
            index(Level::Pt)
        ),
        because: format!(
            "the offset has {} bits, exactly three hexadecimal digits; an index has 9, which is no whole number of digits: \
             the PT index is {number:#x} modulo 512, not its last digits {:x}",
            size.shift(),
            number & 0xfff
        ),
    }
}

fn saving_of_a_tree() -> Result<Correction, TablesError> {
    let mode = TableMode::TwoLevel;
    let whole: Ranges = AddressRange::new(0, mode.reach_bytes())
        .into_iter()
        .collect();
    let minimal = cost(mode, PageUnit::Size4K, &minimal_process())?;
    let tree = cost(mode, PageUnit::Size4K, &whole)?;
    let flat = cost(TableMode::FlatByPage32, PageUnit::Size4K, &whole)?;
    let size = |cost: &Cost| binary_size(u128::from(cost.size_bytes));
    Ok(Correction {
        about: "several levels against a flat table".to_owned(),
        truth: format!(
            "save where little is mapped ({} against {}), and cost more where all is ({} against {})",
            size(&minimal),
            size(&flat),
            size(&tree),
            size(&flat)
        ),
        because: format!(
            "with all of {} mapped, the lowest level is the flat table ({}), and the levels above it come on top",
            binary_size(u128::from(mode.reach_bytes())),
            levels(&tree)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(page: &Textbook, figure: &str) -> Amount {
        let found = page.figures.iter().find(|entry| entry.figure == figure);
        found
            .unwrap_or_else(|| panic!("no figure {figure:?}"))
            .amount
    }

    #[test]
    fn the_textbook_has_the_figures_of_the_textbooks() {
        let page = textbook().expect("in reach");
        for (figure, expected) in [
            (
                "flat table by word, 32-bit addresses",
                Amount::SizeBytes(4 << 30),
            ),
            (
                "flat table by page, 32-bit addresses",
                Amount::SizeBytes(4 << 20),
            ),
            ("the same of 100 processes", Amount::SizeBytes(400 << 20)),
            ("pages of a 48-bit address space", Amount::Pages(1 << 36)),
            (
                "flat table by page, 48-bit addresses",
                Amount::SizeBytes(512 << 30),
            ),
            ("frames in 16 GiB of memory", Amount::Frames(1 << 22)),
            (
                "page directory alone, pages of 4 MiB",
                Amount::SizeBytes(4 << 10),
            ),
            (
                "minimal four-level process, with its page",
                Amount::SizeBytes(20 << 10),
            ),
            ("reach of four levels", Amount::ReachBytes(256 << 40)),
            ("reach of five levels", Amount::ReachBytes(128 << 50)),
            (
                "TLB entries for 2 MiB in pages of 4 KiB",
                Amount::TlbEntries(512),
            ),
            (
                "TLB entries for 2 MiB in pages of 2 MiB",
                Amount::TlbEntries(1),
            ),
        ] {
            assert_eq!(amount(&page, figure), expected, "{figure}");
        }
    }

    #[test]
    fn what_texts_get_wrong_is_put_right() {
        let page = textbook().expect("in reach");
        let truths: Vec<&str> = page.corrections.iter().map(|entry| &*entry.truth).collect();
        assert_eq!(truths[0], "reach 128 PiB, not 129");
        assert_eq!(
            truths[1],
            "page number 0x7fff12340, offset 0xabc; indices PML4 0xff, PDPT 0x1fc, PD 0x91, PT 0x140"
        );
    }
}
