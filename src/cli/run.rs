//! `twinwalk run`: a trace through one machine, one reference at a time, and what the machine counted.
//!
//! Contract: sections 3 and 13 (the requester); the front end's rule stands in `src/model/front_end.rs`. SDM: none. Counterpart: none.

pub mod requests;

mod machine;
mod report;
mod window;

use std::path::PathBuf;

use clap::Args as ClapArgs;

use self::machine::{AnyMachine, Broken};
use self::report::Report;
use self::window::{Ended, Window};
use super::Outcome;
use super::config::ConfigArgs;
use super::error::CliError;
use super::machine::Machines;
use super::output::Context;
use super::trace::FormatArgs;
use crate::trace::{MappingError, PagePolicy};

/// Run a trace through one machine, and count what its TLBs, caches and walker do
///
/// One reference at a time: the next is presented in the cycle after the answer to the one before. Pages are placed by the rule in the
/// section `mapping` of the configuration; a reference that crosses a page is two translations. The machine is cold at the first reference
/// of the window. Model and RTL give the same figures, to the cycle; the model is much faster. Exit code 1 if the machine is found to be
/// wrong by itself: no answer, a failed assertion of the RTL, or figures that do not add up.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk run --trace traces/gcc10m.twt.zst
          twinwalk run --trace traces/gcc10m.twt.zst --skip 1000000 --count 100000 --pages 2m --backend rtl
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
    /// The most references to run after that; without it, all that are left
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
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
    let mut machine = match args.backend {
        Backend::Model => AnyMachine::model(config),
        Backend::Rtl => {
            let machines = Machines::open()?;
            let seed = config.mapping.seed;
            AnyMachine::rtl(
                config,
                Machines::instance(config, &machines.library(config, context)?, seed)?,
            )
        }
    };
    let window = Window::new(&args.trace, args.format.trace_format, args.skip, args.count);
    let ended = window.run(config, mapping, &mut machine, context);
    let (passed, broken) = match ended {
        Ok(passed) => (passed, None),
        Err(Ended::Refused(error)) => return Err(error),
        Err(Ended::Broken(passed, broken)) => (passed, Some(broken)),
    };
    let broken = broken.or_else(|| machine.judge().err());
    let report = Report {
        loaded: &loaded,
        backend: args.backend.name(),
        trace: &args.trace,
        skip: args.skip,
        passed: &passed,
        statistics: machine.statistics(),
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
