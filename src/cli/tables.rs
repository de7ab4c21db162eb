//! `twinwalk tables`: what page tables cost, for ranges, for a trace, for so many processes; bare, the figures of the textbooks.
//!
//! Contract: none. SDM vol. 3A, 4.3 and 4.5. Counterpart: none. `docs/tables.md` explains the figures.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::Outcome;
use super::error::CliError;
use super::output::{Context, grouped, table};
use super::trace::{FormatArgs, open};
use crate::tables::textbook::{Textbook, minimal_process, textbook};
use crate::tables::units::{binary_size, power};
use crate::tables::{AddressRange, Cost, PageUnit, Ranges, TableMode, TablesError, cost};
use crate::trace::pages;

/// Say what page tables cost: flat by word or page, with two, four or five levels, at each page size
///
/// What is mapped is given by ranges or by the pages that a trace touches; without either, it is one page of 4 KiB. Without any argument
/// the figures of the textbooks are computed and printed. Each process has tables of its own; none are shared.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk tables
          twinwalk tables --range 0x400000+16M --range 0x7ffffffde000+132K
          twinwalk tables --trace traces/gcc10m.twt.zst --mode four-level --mode five-level
          twinwalk tables --processes 100 --mode flat-page-32 --json")]
pub struct Args {
    /// Addresses that are mapped: START+SIZE, decimal or 0x..., with K, M, G, T or P; may be repeated
    #[arg(
        long,
        value_name = "START+SIZE",
        conflicts_with = "trace",
        allow_hyphen_values = true
    )]
    range: Vec<String>,
    /// A trace, whose pages are mapped; - is standard input. gzip, xz and zstd are unpacked
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    /// So many processes, each with tables of its own: 1 to 1,000,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    processes: Option<u32>,
    /// Only this form: flat-word-32, -48, -57, flat-page-32, -48, -57, two-level, four-level, five-level; may be repeated
    #[arg(long, value_name = "FORM", value_parser = parse_mode)]
    mode: Vec<TableMode>,
    /// Only this page size: word, 4k, 2m, 4m, 1g; may be repeated
    #[arg(long, value_name = "SIZE", value_parser = parse_unit)]
    pages: Vec<PageUnit>,
}

fn parse_mode(name: &str) -> Result<TableMode, String> {
    TableMode::from_name(name).ok_or_else(|| {
        let names = TableMode::ALL.map(TableMode::name).join(", ");
        format!("the forms are {names}")
    })
}

fn parse_unit(name: &str) -> Result<PageUnit, String> {
    PageUnit::from_name(name).ok_or_else(|| {
        let names = PageUnit::ALL.map(PageUnit::name).join(", ");
        format!("the page sizes are {names}")
    })
}

impl Args {
    fn is_bare(&self) -> bool {
        self.range.is_empty()
            && self.trace.is_none()
            && self.processes.is_none()
            && self.mode.is_empty()
            && self.pages.is_empty()
    }

    /// The page sizes to show of a form. One that is asked for by name must have one of the sizes that are.
    fn units_of(&self, mode: TableMode) -> Result<Vec<PageUnit>, TablesError> {
        let mut units = mode.units();
        units.retain(|unit| self.pages.is_empty() || self.pages.contains(unit));
        match self.pages.first() {
            Some(&unit) if units.is_empty() && !self.mode.is_empty() => {
                Err(TablesError::NoSuchPage { mode, unit })
            }
            _ => Ok(units),
        }
    }
}

/// Runs `twinwalk tables`.
///
/// # Errors
/// A range or the trace is refused; no form that was asked for has such pages, or reaches what is mapped.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    if args.trace.is_none() && args.format.trace_format.is_some() {
        return Err(CliError::new(
            "--trace-format is given without a trace",
            "give --trace FILE, or leave out --trace-format",
        ));
    }
    if args.is_bare() {
        let page = textbook().map_err(|error| refused(&error, "the textbook"))?;
        context.object(&page)?;
        context.text(&textbook_text(&page))?;
        return Ok(Outcome::Held);
    }
    let (source, ranges) = mapped(&args, context)?;
    let report = Report::new(&args, source, &ranges)?;
    context.object(&report)?;
    context.text(&report.text())?;
    Ok(Outcome::Held)
}

/// What is mapped, and how to call where that comes from.
fn mapped(args: &Args, context: &Context) -> Result<(String, Ranges), CliError> {
    if let Some(path) = &args.trace {
        let mut reader = open(path, args.format.trace_format, context)?;
        let pages = pages::touched(&mut *reader)?;
        return Ok((format!("trace {}", path.display()), Ranges::from(&pages)));
    }
    if args.range.is_empty() {
        return Ok(("a minimal process".to_owned(), minimal_process()));
    }
    let parse = |text: &String| {
        AddressRange::parse(text).map_err(|error| {
            CliError::new(
                format_args!("--range {text:?}: {error}"),
                "give START+SIZE, such as 0x400000+16M: decimal or 0x..., and K, M, G, T or P for 2^10 to 2^50",
            )
        })
    };
    let ranges: Ranges = args.range.iter().map(parse).collect::<Result<_, _>>()?;
    let source = match args.range.len() {
        1 => "1 range".to_owned(),
        count => format!("{count} ranges"),
    };
    Ok((source, ranges))
}

/// A refusal, with the place that it comes from.
fn refused(error: &TablesError, source: &str) -> CliError {
    let remedy = match error {
        TablesError::NoSuchPage { mode, .. } => {
            let names: Vec<_> = mode.units().into_iter().map(PageUnit::name).collect();
            format!("give --pages {}", names.join(" or "))
        }
        TablesError::OutOfReach { .. } => {
            "give addresses in reach, or a --mode that reaches further: 48 bits, or 57".to_owned()
        }
    };
    CliError::new(format_args!("{source}: {error}"), remedy)
}

/// What is printed about a mapping.
#[derive(Serialize)]
struct Report<'a> {
    source: String,
    ranges: &'a Ranges,
    ranges_size_bytes: u128,
    processes: u32,
    costs: Vec<Priced>,
    out_of_reach: Vec<OutOfReach>,
}

/// A cost, and that of all processes.
#[derive(Serialize)]
struct Priced {
    #[serde(flatten)]
    cost: Cost,
    all_processes_size_bytes: u128,
}

/// A form that cannot map what is to be mapped.
#[derive(Serialize)]
struct OutOfReach {
    mode: TableMode,
    #[serde(flatten)]
    range: AddressRange,
}

impl<'a> Report<'a> {
    fn new(args: &Args, source: String, ranges: &'a Ranges) -> Result<Self, CliError> {
        let processes = args.processes.unwrap_or(1);
        let asked = |mode: &TableMode| args.mode.is_empty() || args.mode.contains(mode);
        let mut report = Self {
            source,
            ranges,
            ranges_size_bytes: ranges.size_bytes(),
            processes,
            costs: Vec::new(),
            out_of_reach: Vec::new(),
        };
        let mut refusal = None;
        for mode in TableMode::ALL.into_iter().filter(asked) {
            let units = args
                .units_of(mode)
                .map_err(|error| refused(&error, "--pages"))?;
            for unit in units {
                match cost(mode, unit, ranges) {
                    Ok(cost) => report.costs.push(Priced {
                        all_processes_size_bytes: u128::from(cost.size_bytes)
                            * u128::from(processes),
                        cost,
                    }),
                    Err(error) => {
                        report.note_out_of_reach(&error);
                        refusal = Some(error);
                    }
                }
            }
        }
        match refusal {
            Some(error) if report.costs.is_empty() => Err(refused(&error, &report.source)),
            _ => Ok(report),
        }
    }

    fn note_out_of_reach(&mut self, error: &TablesError) {
        if let TablesError::OutOfReach { mode, range } = *error
            && self.out_of_reach.iter().all(|entry| entry.mode != mode)
        {
            self.out_of_reach.push(OutOfReach { mode, range });
        }
    }

    fn text(&self) -> String {
        let mut headline = vec!["form", "page", "tables by level", "tables", "size"];
        headline.extend(["entries used", "pages"]);
        let all_of = format!("all {} processes", grouped(u64::from(self.processes)));
        if self.processes > 1 {
            headline.push(&all_of);
        }
        let rows: Vec<Vec<String>> = self.costs.iter().map(|priced| self.row(priced)).collect();
        let mut text = format!(
            "Mapped: {}, {} in {}; {} with tables of {} own.\n{}",
            self.source,
            binary_size(self.ranges_size_bytes),
            counted(self.ranges.as_slice().len() as u64, "piece"),
            counted(u64::from(self.processes), "process"),
            if self.processes == 1 { "its" } else { "their" },
            table(&headline, &rows)
        );
        for entry in &self.out_of_reach {
            text.push_str(&format!(
                "{} tables do not reach {}: they map {}.\n",
                entry.mode.name(),
                entry.range,
                entry.mode.reach()
            ));
        }
        text
    }

    fn row(&self, priced: &Priced) -> Vec<String> {
        let cost = &priced.cost;
        let mut row = vec![
            cost.mode.name().to_owned(),
            cost.page_size.name().to_owned(),
            cost.levels
                .iter()
                .map(|level| power(level.tables))
                .collect::<Vec<_>>()
                .join(" + "),
            grouped(cost.tables),
            binary_size(u128::from(cost.size_bytes)),
            grouped(cost.entries_used),
            grouped(cost.pages),
        ];
        if self.processes > 1 {
            row.push(binary_size(priced.all_processes_size_bytes));
        }
        row
    }
}

/// `1 piece`, `2 pieces`, `2 processes`.
fn counted(count: u64, noun: &str) -> String {
    let plural = match count {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", grouped(count))
}

fn textbook_text(page: &Textbook) -> String {
    let rows: Vec<Vec<String>> = page
        .figures
        .iter()
        .map(|entry| {
            let amount = entry.amount.to_string();
            vec![entry.figure.to_owned(), amount, entry.because.clone()]
        })
        .collect();
    let mut text = format!(
        "What page tables cost, as the textbooks count it. Each figure is computed.\n{}",
        table(&["figure", "amount", "because"], &rows)
    );
    text.push_str("\nWhere texts in circulation err, or leave half out:\n");
    for entry in &page.corrections {
        text.push_str(&format!(
            "* {}: {}.\n  Because {}.\n",
            entry.about, entry.truth, entry.because
        ));
    }
    text.push_str("\nYour own: `twinwalk tables --range 0x400000+16M`, `--trace FILE`, `--processes N`; `--help` says more.\n");
    text
}
