//! `--interval`: the figures of every so many references, as objects of `--json`, rows of a file and lines of a table.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::figures::Figures;
use super::row_file::{Cell, Column, Kind, RowFile};
use crate::cli::error::CliError;
use crate::cli::{grouped, table};
use crate::config::Config;
use crate::model::{Events, Statistics};
use crate::trace::Counts;

/// Lines of the person's table; more are left out there.
const LINES_MAX: usize = 24;
/// The columns that come first; all others follow by name.
const FIRST: [&str; 9] = [
    "first_reference",
    "references",
    "fetches",
    "loads",
    "stores",
    "translations",
    "cycles",
    "instructions",
    "mpki",
];

/// Takes the figures of intervals as they come.
pub struct Intervals {
    /// References of each.
    every: u64,
    keeps_objects: bool,
    objects: Vec<Json>,
    lines: Vec<Vec<String>>,
    left_out: u64,
    file: Option<RowFile>,
    columns: Vec<Column>,
}

impl Intervals {
    /// Intervals of `every` references. `objects`: they are kept for `--json`, else for a table. `path`: they are written there, too.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn new(
        config: &Config,
        every: u64,
        objects: bool,
        path: Option<&Path>,
    ) -> Result<Self, CliError> {
        let columns = columns(config);
        let file = path
            .map(|path| RowFile::create(path, columns.clone()))
            .transpose()?;
        Ok(Self {
            every,
            keeps_objects: objects,
            objects: Vec::new(),
            lines: Vec::new(),
            left_out: 0,
            file,
            columns,
        })
    }

    /// References of each.
    pub const fn every(&self) -> u64 {
        self.every
    }

    /// The next interval, which began with the reference of that number in the trace.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push(&mut self, first_reference: u64, figures: &Figures) -> Result<(), CliError> {
        let mut object = figures.json();
        object["first_reference"] = json!(first_reference);
        if let Some(file) = &mut self.file {
            let cells = leaves(&object);
            let cell = |column: &Column| {
                let found = cells.iter().find(|(name, _)| *name == column.name);
                found.map_or(Cell::Empty, |(_, value)| cell_of(value, column.kind))
            };
            let row: Vec<Cell> = self.columns.iter().map(cell).collect();
            file.push(&row)?;
        }
        if self.keeps_objects {
            self.objects.push(object);
        } else if self.lines.len() < LINES_MAX {
            self.lines.push(line(first_reference, figures));
        } else {
            self.left_out += 1;
        }
        Ok(())
    }

    /// Completes the file, if there is one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> Result<(), CliError> {
        self.file.take().map_or(Ok(()), RowFile::finish)
    }

    /// The array of `--json`.
    pub fn json(&self) -> Json {
        json!(self.objects)
    }

    /// The table for a person.
    pub fn text(&self) -> String {
        let headline = [
            "interval from reference",
            "references",
            "cycles",
            "ITLB misses",
            "DTLB misses",
            "STLB misses",
            "walks",
            "walk cycles: p50",
            "p99",
        ];
        let mut text = table(&headline, &self.lines);
        if self.left_out > 0 {
            text += &format!(
                "and {} more: --json and --interval-file have them all\n",
                grouped(self.left_out)
            );
        }
        text
    }
}

fn line(first_reference: u64, figures: &Figures) -> Vec<String> {
    let s = &figures.statistics;
    let latencies = s.walk_latency_cycles.summary();
    let percentile = |cycles: Option<u64>| cycles.map_or("-".to_owned(), grouped);
    let mut line: Vec<String> = [
        first_reference + 1,
        figures.counts.total(),
        s.cycles,
        s.itlb.misses,
        s.dtlb.misses,
        s.stlb.misses,
        s.walks.started,
    ]
    .map(grouped)
    .into();
    line.extend([percentile(latencies.p50), percentile(latencies.p99)]);
    line
}

/// The columns of a row: the numbers of the JSON object, each under its path. What is null where nothing was counted may be empty.
fn columns(config: &Config) -> Vec<Column> {
    let nothing = Figures {
        counts: Counts::default(),
        crossings: 0,
        fetches_are_instructions: false,
        statistics: Statistics::new(config),
        events: Events::default(),
    };
    let mut object = nothing.json();
    object["first_reference"] = json!(0);
    let mut columns: Vec<Column> = leaves(&object)
        .into_iter()
        .map(|(name, value)| {
            let real = name.ends_with("mpki") || name.ends_with("mean");
            Column {
                kind: if real { Kind::Real } else { Kind::Whole },
                nullable: value.is_null(),
                name,
            }
        })
        .collect();
    let rank = |column: &Column| {
        let first = FIRST.iter().position(|name| *name == column.name);
        first.unwrap_or(FIRST.len())
    };
    columns.sort_by(|one, other| (rank(one), &one.name).cmp(&(rank(other), &other.name)));
    columns
}

/// All numbers and nulls of an object, under their paths; what has no fixed keys is left out.
fn leaves(object: &Json) -> Vec<(String, &Json)> {
    fn collect<'a>(path: &str, value: &'a Json, out: &mut Vec<(String, &'a Json)>) {
        let mut inside = |key: &str, value: &'a Json| {
            let key = key.replace('.', "_");
            let below = match path {
                "" => key,
                path => format!("{path}_{key}"),
            };
            collect(&below, value, out);
        };
        match value {
            Json::Object(_) if path == "faults_by_code" => {}
            Json::Object(entries) => entries.iter().for_each(|(key, value)| inside(key, value)),
            Json::Array(elements) => {
                for (size, value) in ["4k", "2m_4m", "1g"].iter().zip(elements) {
                    inside(size, value);
                }
            }
            value => out.push((path.to_owned(), value)),
        }
    }
    let mut out = Vec::new();
    collect("", object, &mut out);
    out
}

fn cell_of(value: &Json, kind: Kind) -> Cell {
    match kind {
        Kind::Real => value.as_f64().map_or(Cell::Empty, Cell::Real),
        _ => value.as_u64().map_or(Cell::Empty, Cell::Whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_stands_for_every_number_and_has_a_name_of_its_own() {
        let columns = columns(&Config::default());
        let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names[..FIRST.len()], FIRST);
        for expected in [
            "dtlb_hits_by_size_2m_4m",
            "events_dtlb_load_misses_walk_active",
            "walks_latency_cycles_p99_9",
            "walks_completed_by_size_1g",
            "events_tlb_flush_stlb_any",
        ] {
            assert!(names.contains(&expected), "{expected} of {names:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), columns.len());
        let nullable = columns.iter().filter(|column| column.nullable);
        assert!(
            nullable
                .clone()
                .any(|column| column.name == "walks_latency_cycles_mean"
                    && column.kind == Kind::Real)
        );
    }
}
