//! `twinwalk run`: a trace through one machine, and what the machine counted.
//!
//! Contract: sections 3 and 13 (the requester); the front end's rule stands in `src/model/front_end.rs`. SDM: none. Counterpart: none.

pub mod requests;

pub mod figures;
pub mod request_rows;

mod intervals;
mod machine;
mod report;
mod row_file;
mod window;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use self::intervals::Intervals;
use self::machine::{AnyMachine, Broken};
use self::report::Report;
use self::request_rows::RequestRows;
use self::window::{Ended, Window};
use super::Outcome;
use super::config::ConfigArgs;
use super::error::CliError;
use super::machine::{Machines, Stretch};
use super::output::Context;
use super::trace::FormatArgs;
use crate::model::Mmu;
use crate::trace::{MappingError, PagePolicy};

/// Run a trace through one machine, and count what its TLBs, caches and walker do
///
/// By default one reference at a time: the next is presented in the cycle after the answer to the one before; --set front_end.window=N lets so
/// many overlap. Pages are placed by the rule in the section `mapping` of the configuration; a reference that crosses a page is two
/// translations. Of the trace, the references of --skip are left out, those of --warmup run uncounted on a machine that was empty before, and
/// those of --count are counted, in intervals if --interval is given.
///
/// A border between warm-up, intervals and what is counted is a cycle: that in which the first reference behind it is first offered to the
/// machine. The machine's state stays as it is, and nothing waits for it. What performs before that cycle counts before the border, all else
/// behind it. So a request in flight at a border counts as accepted before it, and its answer, its walk with all cycles and latency of the walk, and
/// whatever else is yet to perform, count behind it; the last interval ends with the last answer. docs/run.md defines every figure.
///
/// Model and RTL give the same figures, to the cycle; the model is much faster. Exit code 1 if the machine is found to be wrong by itself: no
/// answer, a failed assertion of the RTL, or figures that do not add up.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk run --trace traces/gcc10m.twt.zst
          twinwalk run --trace traces/gcc10m.twt.zst --skip 1000000 --count 100000 --pages 2m --backend rtl
          twinwalk run --trace traces/gcc10m.twt.zst --warmup 1000000 --interval 500000 --interval-file phases.csv
          twinwalk run --trace traces/gcc10m.twt.zst --count 100000 --set front_end.window=16 --requests requests.parquet
          valgrind --tool=lackey --trace-mem=yes --log-fd=9 ls 9>&1 >/dev/null | twinwalk run --trace -")]
pub struct Args {
    /// The trace; - is standard input. gzip, xz and zstd are unpacked
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
    /// The machine that runs it
    #[arg(long, value_enum, default_value_t = Backend::Model)]
    backend: Backend,
    /// References to leave out at the start of the trace; the machine never sees them
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    /// References to run after that and not to count: they fill TLBs and caches
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup: u64,
    /// The most references to count after that; without it, all that are left
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Figures of every N references that are counted, too, the last interval being what is left
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    interval: Option<u64>,
    /// Write the figures of the intervals to FILE, one row each: .csv, .csv.zst or .parquet
    #[arg(long, value_name = "FILE", requires = "interval", value_parser = row_file::parse_path)]
    interval_file: Option<PathBuf>,
    /// Write one row for each request to FILE, with its cycles by cause: .csv, .csv.zst or .parquet. The model is then ticked, and slower
    #[arg(long, value_name = "FILE", value_parser = row_file::parse_path)]
    requests: Option<PathBuf>,
    /// The page sizes: 4k, 2m, 1g or mixed; the same as --set mapping.pages=...
    #[arg(long, value_name = "SIZES", value_parser = parse_pages)]
    pages: Option<PagePolicy>,
    #[command(flatten)]
    machine: ConfigArgs,
}

/// Which twin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    /// The cycle model
    Model,
    /// The RTL, verilated
    Rtl,
}

impl Backend {
    const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Rtl => "rtl",
        }
    }
}

fn parse_pages(name: &str) -> Result<PagePolicy, String> {
    PagePolicy::from_name(name).ok_or_else(|| {
        let names = PagePolicy::ALL.map(PagePolicy::name).join(", ");
        format!("the page sizes are {names}")
    })
}

impl From<MappingError> for CliError {
    fn from(error: MappingError) -> Self {
        Self::new(error, error.remedy())
    }
}

/// Runs `twinwalk run`.
///
/// # Errors
/// The machine, its mapping or the trace is refused; there is no RTL where it was asked for.
pub fn run(mut args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    if let Some(pages) = args.pages {
        args.machine
            .set
            .push(format!("mapping.pages=\"{}\"", pages.name()));
    }
    let loaded = args.machine.load()?;
    let config = &loaded.config;
    let mapping = requests::mapping(config)?;
    let with_rows = args.requests.is_some();
    let mut machine = match args.backend {
        Backend::Model if with_rows => AnyMachine::ticked_with_rows(config, Mmu::new(config)),
        Backend::Model => AnyMachine::model(config),
        Backend::Rtl => {
            let machines = Machines::open()?;
            let seed = config.mapping.seed;
            let twin = Machines::instance(
                config,
                &machines.library(config, Stretch::Minutes, context)?,
                seed,
            )?;
            if with_rows {
                AnyMachine::ticked_with_rows(config, twin)
            } else {
                AnyMachine::ticked(config, twin)
            }
        }
    };
    let mut window = Window {
        path: &args.trace,
        format: args.format.trace_format,
        skip: args.skip,
        warmup: args.warmup,
        count: args.count,
        intervals: None,
        rows: None,
    };
    if let Some(every) = args.interval {
        let file = args.interval_file.as_deref();
        window.intervals = Some(Intervals::new(config, every, context.is_json(), file)?);
    }
    if let Some(path) = &args.requests {
        window.rows = Some(RequestRows::create(path)?);
    }
    let (passed, intervals, broken) = match window.run(config, mapping, &mut machine, context) {
        Ok((passed, intervals)) => (passed, intervals, None),
        Err(Ended::Refused(error)) => return Err(error),
        Err(Ended::Broken(passed, broken)) => (*passed, None, Some(broken)),
    };
    let broken = broken.or_else(|| machine.judge().err());
    let report = Report {
        loaded: &loaded,
        backend: args.backend.name(),
        trace: &args.trace,
        skip: args.skip,
        warmup: args.warmup,
        passed: &passed,
        intervals: intervals.as_ref(),
        broken: broken.as_ref().map(Broken::to_string),
    };
    context.object(&report.json())?;
    context.text(&report.text())?;
    Ok(if broken.is_none() {
        Outcome::Held
    } else {
        Outcome::Difference
    })
}

#[cfg(test)]
#[path = "run/tests/definitions.rs"]
mod definitions;
