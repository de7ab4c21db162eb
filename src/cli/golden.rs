//! `twinwalk golden`: compare the golden traces on every implementation, or rewrite them.
//!
//! Contract: every section; see `golden/`. SDM: none. Counterpart: none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::json;

use super::error::CliError;
use super::machine::{Machines, Stretch, require_rtl};
use super::output::Context;
use super::{Outcome, table};
use crate::config::Config;
use crate::cosim::twin::Twin;
use crate::golden::suite::{self, Implementation, Scenario, SuiteError, Verdict};
use crate::model::Mmu;

/// Compare the golden traces with what model and RTL do, or bless what they do
///
/// For each TOPIC/SCENARIO.stim below the directory the trace beside it, SCENARIO.snap, must be reproduced to the byte by every
/// implementation.
/// Without RTL (no Verilator, or a build without the feature `rtl`) the model alone is compared, and the summary says so; nothing is blessed
/// then, unless --on model asks for it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk golden
          twinwalk golden pcid --bless      write the traces whose name contains pcid, after showing what changes
          twinwalk golden --on both         fail if there is no RTL")]
pub struct Args {
    /// Only scenarios whose name (topic/scenario) contains this; with a * in it, only those that it matches as a whole
    pattern: Option<String>,
    /// Compare, and write nothing (the default)
    #[arg(long, conflicts_with = "bless")]
    check: bool,
    /// Write the traces that changed, after showing how; all refused while the implementations differ in any
    #[arg(long)]
    bless: bool,
    /// The directory with the scenarios
    #[arg(long, value_name = "DIR", default_value = "golden")]
    dir: PathBuf,
    /// Implementations to run; `both` ends with exit code 2 where there is no RTL
    #[arg(long, value_enum, default_value_t = On::Available)]
    on: On,
}

/// Which implementations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum On {
    /// The model, and the RTL if it is there
    Available,
    /// Model and RTL
    Both,
    /// The model alone
    Model,
    /// The RTL alone
    Rtl,
}

#[derive(Default)]
struct Tally {
    same: u64,
    new: u64,
    changed: u64,
    failed: u64,
    blessed: u64,
}

/// Runs `twinwalk golden`.
///
/// # Errors
/// A scenario is refused, files cannot be read or written, or the RTL was asked for and is not there.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    let scenarios = suite::find(&args.dir, args.pattern.as_deref())?;
    if scenarios.is_empty() {
        return Err(CliError::new(
            format_args!("{}: no scenario matches", args.dir.display()),
            "give a part of a name as topic/scenario, or another directory with --dir",
        ));
    }
    // What one twin does is not blessed in the name of both.
    let on = match args.on {
        On::Available if args.bless => On::Both,
        on => on,
    };
    let rtl = match (on, Machines::open()) {
        (On::Model, _) => None,
        (_, Ok(machines)) => Some(machines),
        (On::Available, Err(error)) => {
            context.note(&format!("the model alone: {}", error.message()));
            None
        }
        (On::Both | On::Rtl, Err(error)) => return Err(error),
    };
    let rtl = match rtl {
        Some(machines) => available(&scenarios, machines, on, context)?,
        None => None,
    };
    compare(&args, &scenarios, rtl, context)
}

#[cfg(feature = "rtl")]
type Library = crate::cosim::rtl::Library;
#[cfg(not(feature = "rtl"))]
type Library = ();

/// The library of every machine that the scenarios need, by its hash. `None` if there is no RTL, and that is allowed.
fn available(
    scenarios: &[Scenario],
    machines: Machines,
    on: On,
    context: &mut Context,
) -> Result<Option<BTreeMap<String, Library>>, CliError> {
    let mut configs = BTreeMap::new();
    for scenario in scenarios {
        let (_, config) = suite::load(&scenario.stimulus).map_err(SuiteError::from)?;
        // The model alone would not be what was asked for: there is RTL, and it cannot be this machine.
        require_rtl(&config)?;
        configs.insert(config.hash(), config);
    }
    let (hashes, configs): (Vec<_>, Vec<_>) = configs.into_iter().unzip();
    let found = machines.libraries(&configs, Stretch::Moments, context);
    let mut libraries = BTreeMap::new();
    for (hash, library) in hashes.into_iter().zip(found) {
        match library {
            Ok(library) => libraries.insert(hash, library),
            Err(error) if on == On::Available && libraries.is_empty() => {
                context.note(&format!("the model alone: {}", error.message()));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
    }
    Ok(Some(libraries))
}

fn compare(
    args: &Args,
    scenarios: &[Scenario],
    libraries: Option<BTreeMap<String, Library>>,
    context: &mut Context,
) -> Result<Outcome, CliError> {
    let mut implementations = Vec::new();
    if args.on != On::Rtl {
        let make = |config: &Config, _seed| Ok(Box::new(Mmu::new(config)) as Box<dyn Twin>);
        implementations.push(Implementation {
            name: "model",
            make: Box::new(make),
        });
    }
    if let Some(libraries) = &libraries {
        let make = move |config: &Config, seed| {
            let library = libraries
                .get(&config.hash())
                .ok_or("no machine was built for it")?;
            let twin = Machines::instance(config, library, seed)
                .map_err(|error| error.message().to_owned())?;
            Ok(Box::new(twin) as Box<dyn Twin>)
        };
        implementations.push(Implementation {
            name: "rtl",
            make: Box::new(make),
        });
    }
    let names: Vec<&str> = implementations
        .iter()
        .map(|implementation| implementation.name)
        .collect();
    let mut tally = Tally::default();
    let mut changes = Vec::new();
    let progress = context.progress(scenarios.len() as u64, "traces");
    for scenario in scenarios {
        let verdict = suite::run(scenario, &mut implementations)?;
        if let Some(trace) = settle(scenario, verdict, &mut tally, context)? {
            changes.push((scenario, trace));
        }
        progress.add(1);
    }
    drop(progress);
    if args.bless && tally.failed > 0 {
        context
            .text("nothing is blessed while the implementations differ or a run goes wrong\n")?;
    } else if args.bless {
        for (scenario, trace) in changes {
            suite::bless(scenario, &trace)?;
            tally.blessed += 1;
        }
    }
    summarize(args, scenarios.len() as u64, &names, &tally, context)
}

/// Says what became of a scenario. Gives the trace that its snapshot should be, if it is not.
fn settle(
    scenario: &Scenario,
    verdict: Verdict,
    tally: &mut Tally,
    context: &mut Context,
) -> Result<Option<String>, CliError> {
    let name = &scenario.name;
    Ok(match verdict {
        Verdict::Same => {
            tally.same += 1;
            None
        }
        Verdict::New { trace } => {
            tally.new += 1;
            context.text(&format!("{name}: no snapshot yet\n"))?;
            Some(trace)
        }
        Verdict::Changed { trace, diff } => {
            tally.changed += 1;
            context.text(&format!("{name}: changed (- snapshot, + now)\n{diff}"))?;
            Some(trace)
        }
        Verdict::Differ { diff } => {
            tally.failed += 1;
            context.text(&format!(
                "{name}: model and RTL differ (- model, + rtl)\n{diff}"
            ))?;
            None
        }
        Verdict::Failed {
            implementation,
            report,
        } => {
            tally.failed += 1;
            context.text(&format!(
                "{name}: the run went wrong on {implementation}\n{report}"
            ))?;
            None
        }
    })
}

fn summarize(
    args: &Args,
    traces: u64,
    names: &[&str],
    tally: &Tally,
    context: &mut Context,
) -> Result<Outcome, CliError> {
    context.object(&json!({
        "traces": traces,
        "same": tally.same,
        "changed": tally.changed,
        "new": tally.new,
        "failed": tally.failed,
        "blessed": tally.blessed,
        "implementations": names,
    }))?;
    let rows = vec![vec![
        names.join(", "),
        traces.to_string(),
        tally.same.to_string(),
        tally.changed.to_string(),
        tally.new.to_string(),
        tally.failed.to_string(),
        tally.blessed.to_string(),
    ]];
    let headline = [
        "ran on", "traces", "same", "changed", "new", "failed", "blessed",
    ];
    context.text(&table(&headline, &rows))?;
    let open = tally.changed + tally.new - tally.blessed;
    if tally.failed == 0 && open == 0 {
        return Ok(Outcome::Held);
    }
    if open > 0 && !args.bless {
        context.text("what changed is written by: twinwalk golden --bless\n")?;
    }
    Ok(Outcome::Difference)
}

impl From<SuiteError> for CliError {
    fn from(error: SuiteError) -> Self {
        match &error {
            SuiteError::Io {
                what: "cannot be written",
                ..
            } => Self::new(&error, "make the directory writable, or make room"),
            SuiteError::Io { .. } => {
                Self::new(&error, "name an existing, readable directory with --dir")
            }
            SuiteError::Stimulus(inner) => stimulus_error(inner),
            SuiteError::Implementation { .. } => Self::new(
                &error,
                "see `twinwalk check`, which says what the RTL needs",
            ),
        }
    }
}

/// A refused stimulus as a command's error: the place in the message, the remedy apart.
pub(super) fn stimulus_error(error: &crate::cosim::stimulus::StimulusError) -> CliError {
    CliError::new(error.place_and_problem(), &error.remedy)
}
