//! `--requests`: a row a request, with the cycles of each cause.
//!
//! Contract: 5 to 8, 10, by way of `src/cosim/request_log.rs`. SDM: none. Counterpart: none.

use std::collections::VecDeque;
use std::path::Path;

use super::row_file::{Cell, Column, Kind, RowFile};
use crate::arch::AccessKind;
use crate::cli::error::CliError;
use crate::cosim::request_log::{AnsweredBy, Cause, Row};

/// The columns before those of the causes: name, kind, whether a cell may be empty, and what it is.
pub const COLUMNS: [(&str, Kind, bool, &str); 17] = [
    (
        "reference",
        Kind::Whole,
        false,
        "The number of the reference in the trace, from 0; references that were skipped have numbers too.",
    ),
    (
        "number",
        Kind::Whole,
        false,
        "The number of the request, from 0 for the first that ran, warm-up included. A reference that crosses a page is two requests.",
    ),
    ("kind", Kind::Text, false, "`read`, `write` or `fetch`."),
    (
        "port",
        Kind::Whole,
        false,
        "The port: 0 for fetches, 1 and up for data.",
    ),
    (
        "va",
        Kind::Hexadecimal,
        false,
        "The linear address of the first byte.",
    ),
    (
        "accepted_cycle",
        Kind::Whole,
        false,
        "The cycle in which the request was accepted, from reset.",
    ),
    (
        "responded_cycle",
        Kind::Whole,
        false,
        "The cycle in which the response was transferred.",
    ),
    (
        "latency_cycles",
        Kind::Whole,
        false,
        "The difference of the two, and the sum of all columns of causes.",
    ),
    (
        "hit_level",
        Kind::Text,
        false,
        "What answered: `itlb` or `dtlb`, at once or after waiting for another's miss; `stlb`; `walk`; or `none`, if nothing was looked up.",
    ),
    (
        "page_size",
        Kind::Text,
        true,
        "The size of the page in the tables: `4k`, `2m`, `1g` or `4m`; empty without a translation.",
    ),
    (
        "status",
        Kind::Text,
        false,
        "`translated`, `page_fault`, `general_protection` or `bus_error`.",
    ),
    (
        "error_code",
        Kind::Whole,
        true,
        "The error code of a page fault; else empty.",
    ),
    (
        "pa",
        Kind::Hexadecimal,
        true,
        "The physical address; empty without a translation.",
    ),
    (
        "walks",
        Kind::Whole,
        false,
        "Walks that a walker began for this request; a restart from CR3 is not another.",
    ),
    (
        "restarts",
        Kind::Whole,
        false,
        "Of these, walks that began again from CR3.",
    ),
    (
        "memory_reads",
        Kind::Whole,
        false,
        "Entries that its walks read.",
    ),
    (
        "compare_and_sets",
        Kind::Whole,
        false,
        "Compare-and-sets that its walks issued, won or lost.",
    ),
];

/// The file, and which references the rows to come are of.
pub struct RequestRows {
    file: RowFile,
    /// References of which the row is to come: their numbers, and whether they are wanted.
    presented: VecDeque<(u64, bool)>,
    /// The number of the request that the next row is of.
    number: u64,
    cells: Vec<Cell>,
}

impl RequestRows {
    /// Begins the file.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        let of_request = COLUMNS.iter().map(|(name, kind, nullable, _)| Column {
            name: (*name).to_owned(),
            kind: *kind,
            nullable: *nullable,
        });
        let of_causes = Cause::ALL.iter().map(|(_, name)| Column {
            name: (*name).to_owned(),
            kind: Kind::Whole,
            nullable: false,
        });
        Ok(Self {
            file: RowFile::create(path, of_request.chain(of_causes).collect())?,
            presented: VecDeque::new(),
            number: 0,
            cells: Vec::new(),
        })
    }

    /// The reference of this number was presented; it has a row if it is counted, and not of the warm-up.
    pub fn presented(&mut self, reference: u64, counted: bool) {
        self.presented.push_back((reference, counted));
    }

    /// The row of the oldest request.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn push(&mut self, row: &Row) -> Result<(), CliError> {
        let number = self.number;
        self.number += 1;
        match self.presented.pop_front() {
            Some((reference, true)) => {
                self.fill(row, reference, number);
                self.file.push(&self.cells)
            }
            _ => Ok(()),
        }
    }

    fn fill(&mut self, row: &Row, reference: u64, number: u64) {
        let response = &row.response;
        let translated = row.is_translated();
        let kind = match row.request.access.kind {
            AccessKind::Read => "read",
            AccessKind::Write => "write",
            AccessKind::Fetch => "fetch",
        };
        let level = match row.answered_by {
            AnsweredBy::None => "none",
            AnsweredBy::FirstLevel if row.port == 0 => "itlb",
            AnsweredBy::FirstLevel => "dtlb",
            AnsweredBy::Stlb => "stlb",
            AnsweredBy::Walk => "walk",
        };
        const SIZES: [&str; 4] = ["4k", "2m", "1g", "4m"];
        const STATUSES: [&str; 4] = [
            "translated",
            "page_fault",
            "general_protection",
            "bus_error",
        ];
        let when = |condition: bool, cell: Cell| if condition { cell } else { Cell::Empty };
        self.cells.clear();
        self.cells.extend([
            Cell::Whole(reference),
            Cell::Whole(number),
            Cell::Text(kind),
            Cell::Whole(row.port.into()),
            Cell::Whole(row.request.va),
            Cell::Whole(row.accepted_at),
            Cell::Whole(row.responded_at),
            Cell::Whole(row.latency_cycles()),
            Cell::Text(level),
            when(
                translated,
                Cell::Text(SIZES[usize::from(response.page_size) % 4]),
            ),
            Cell::Text(STATUSES[usize::from(response.status) % 4]),
            when(
                response.status == 1,
                Cell::Whole(response.error_code.into()),
            ),
            when(translated, Cell::Whole(response.pa)),
            Cell::Whole(row.walks.into()),
            Cell::Whole(row.restarts.into()),
            Cell::Whole(row.memory_reads.into()),
            Cell::Whole(row.compare_and_sets.into()),
        ]);
        self.cells.extend(row.cycles.map(Cell::Whole));
    }

    /// Completes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<(), CliError> {
        self.file.finish()
    }
}
