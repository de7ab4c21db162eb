//! What page tables cost: how many tables of each level, how many bytes, how many entries used, for given mappings.
//!
//! Contract: none. SDM vol. 3A, 4.3 and 4.5. Counterpart: none. `docs/tables.md` explains the figures.
//!
//! Every figure comes from [`cost`], which counts, and knows no figure by heart. It does not build tables, so that the whole of a 57-bit
//! address space costs no more time than one page; that it counts what [`crate::trace::LazyTables`] builds is tested.
//!
//! | module | says |
//! | --- | --- |
//! | [`mode`] | the forms of page tables, as levels of indices |
//! | [`ranges`] | what is mapped |
//! | [`textbook`] | the figures that textbooks give |
//! | [`units`] | sizes as people write them |
//!
//! ```
//! use twinwalk::tables::{AddressRange, PageUnit, Ranges, TableMode, cost};
//! let ranges: Ranges = AddressRange::parse("0x400000+16M").into_iter().collect();
//! let cost = cost(TableMode::FourLevel, PageUnit::Size4K, &ranges).expect("in reach");
//! // 8 page tables, and one table of each level above.
//! assert_eq!((cost.tables, cost.size_bytes), (11, 11 * 4096));
//! ```

pub mod mode;
pub mod ranges;
pub mod textbook;
pub mod units;

use serde::Serialize;
use thiserror::Error;

pub use mode::{LevelShape, PageUnit, TableMode};
pub use ranges::{AddressRange, RangeError, Ranges};

/// What the tables of one level cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LevelCost {
    /// What a table of this level is called.
    pub level: &'static str,
    /// How many there are.
    pub tables: u64,
    /// Entries that they have room for.
    pub entries: u64,
    /// Entries that are present.
    pub entries_used: u64,
    /// What they take, in bytes.
    pub size_bytes: u64,
}

/// What page tables cost that map a set of ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The form of the tables.
    pub mode: TableMode,
    /// What an entry of the lowest level maps.
    pub page_size: PageUnit,
    /// Its size in bytes.
    pub page_size_bytes: u64,
    /// Tables of all levels.
    pub tables: u64,
    /// What they take, in bytes.
    pub size_bytes: u64,
    /// Entries that are present, of all levels.
    pub entries_used: u64,
    /// Pages (or words) mapped: entries present in the lowest level.
    pub pages: u64,
    /// What these pages have in bytes: the ranges, rounded to pages.
    pub mapped_bytes: u64,
    /// By level, from the root down.
    pub levels: Vec<LevelCost>,
}

/// Why a cost cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TablesError {
    /// The form has no entry for pages of that size.
    #[error("{} tables have no pages of size {}", mode.name(), unit.name())]
    NoSuchPage {
        /// The form.
        mode: TableMode,
        /// The page size.
        unit: PageUnit,
    },
    /// An address that the form cannot map.
    #[error("{} tables do not reach {range}: they map {}", mode.name(), mode.reach())]
    OutOfReach {
        /// The form.
        mode: TableMode,
        /// The first range that is not in reach.
        range: AddressRange,
    },
}

/// What tables of a form cost in which the pages of one size that hold `ranges` are mapped, and nothing else is.
///
/// A root table is there always, for the register that points at it needs one; others only where they lead to a page. Tables hold the
/// whole of their entries, used or not.
///
/// # Errors
/// [`TablesError`].
pub fn cost(mode: TableMode, unit: PageUnit, ranges: &Ranges) -> Result<Cost, TablesError> {
    let shapes = mode
        .levels(unit)
        .ok_or(TablesError::NoSuchPage { mode, unit })?;
    if let Some(range) = mode.beyond_reach(ranges) {
        return Err(TablesError::OutOfReach { mode, range });
    }
    let mut tables = 1;
    let mut levels = Vec::with_capacity(shapes.len());
    for shape in &shapes {
        let entries = tables << shape.index_bits;
        let entries_used = ranges.distinct(shape.index_shift, mode.address_bits());
        levels.push(LevelCost {
            level: shape.name,
            tables,
            entries,
            entries_used,
            size_bytes: entries * mode.entry_bytes(),
        });
        // Each entry in use leads to a table of its own.
        tables = entries_used;
    }
    let pages = tables;
    let sum = |figure: fn(&LevelCost) -> u64| levels.iter().map(figure).sum();
    Ok(Cost {
        mode,
        page_size: unit,
        page_size_bytes: mode.unit_bytes(unit),
        tables: sum(|level| level.tables),
        size_bytes: sum(|level| level.size_bytes),
        entries_used: sum(|level| level.entries_used),
        pages,
        mapped_bytes: pages * mode.unit_bytes(unit),
        levels,
    })
}

#[cfg(test)]
mod tests;
