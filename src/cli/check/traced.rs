//! `twinwalk check --trace`: the references of a real trace through both twins.
//!
//! Contract: section 3. SDM: none. Counterpart: none.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::regression::Case;
use super::report::{Failed, Traced, Verdict};
use super::{Args, Library};
use crate::cli::error::CliError;
use crate::cli::machine::Machines;
use crate::cli::output::Context;
use crate::cli::{Outcome, grouped};
use crate::config::{Config, Loaded};
use crate::cosim::divergence::{Finding, FirstDivergence, write_replay};
use crate::cosim::lockstep::{Lockstep, Pulse, Report};
use crate::cosim::stimulus::Setup;
use crate::cosim::story::{self, Story};
use crate::cosim::traced::{TraceSource, TraceTrouble};
use crate::model::Mmu;
use crate::trace::open::open;
use crate::trace::{MappingError, OpenOptions};

/// How a trace went.
struct Run {
    report: Report,
    traced: Traced,
}

/// Runs the trace at `path` through both twins.
///
/// # Errors
/// The trace or its mapping is refused; there is no RTL.
pub fn run(
    args: &Args,
    path: &Path,
    loaded: &Loaded,
    library: Option<&Library>,
    limit: Option<Duration>,
    context: &mut Context,
) -> Result<Outcome, CliError> {
    let config = &loaded.config;
    let most = args.ops.unwrap_or(u64::MAX);
    let setup = TraceSource::setup(config, &path.display().to_string(), args.seed);
    let source = source(args, config, path, most)?;
    let begin = Instant::now();
    let progress = context.progress(if most == u64::MAX { 0 } else { most }, "operations");
    let mut watch = |pulse: Pulse| {
        progress.set(pulse.operations);
        let is_over = limit.is_some_and(|limit| begin.elapsed() >= limit);
        if is_over {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let run = lockstep(args, config, &setup, source, library, &mut watch)?;
    drop(progress);
    if run.report.operations == 0 && run.report.finding.is_none() && run.report.stopped {
        return Err(super::nothing_ran());
    }
    let failed: Vec<Failed> = match &run.report.finding {
        None => Vec::new(),
        Some(finding) => {
            let replay = write_trace_replay(args, path, config, &setup, &run.report, context);
            let again = super::again(replay.as_deref());
            let story = story_of(args, path, config, &setup, library, finding);
            let divergence = FirstDivergence::new(finding, replay, story);
            vec![Failed {
                name: path.display().to_string(),
                case: path.display().to_string(),
                operation: "reference".to_owned(),
                operations: run.report.operations,
                again,
                finding: finding.clone(),
                divergence,
            }]
        }
    };
    let pages = serde_json::to_value(config.mapping.pages).unwrap_or_default();
    let verdict = Verdict {
        loaded,
        what: format!(
            "{} references of {}, front end {}, no warm-up, pages {}, mapping seed {}",
            grouped(run.traced.references),
            path.display(),
            config.front_end,
            pages.as_str().unwrap_or("by rule"),
            config.mapping.seed
        ),
        implementations: args.on.implementations(),
        counters: &run.report.counters,
        keys: vec![
            ("references", json!(run.traced.references)),
            ("translations", json!(run.traced.translations)),
            ("trace", json!(path)),
            ("seed", json!(args.seed)),
        ],
        failed: &failed,
        missed: &[],
        guest: None,
        traced: Some(run.traced),
        coverage: None,
    };
    let case = Case {
        name: path.display().to_string(),
        ran: 1,
        due: None,
    };
    super::say(args, &verdict, &[case], context)
}

fn source(args: &Args, config: &Config, path: &Path, most: u64) -> Result<TraceSource, CliError> {
    let options = OpenOptions {
        format: args.format.trace_format,
        ..OpenOptions::default()
    };
    let reader = open(path, options)?;
    TraceSource::new(config, reader, most).map_err(mapping_error)
}

const fn traced(source: &TraceSource) -> Traced {
    Traced {
        references: source.references(),
        translations: source.translations(),
    }
}

fn mapping_error(error: MappingError) -> CliError {
    CliError::new(error, error.remedy())
}

fn lockstep(
    args: &Args,
    config: &Config,
    setup: &Setup,
    source: TraceSource,
    library: Option<&Library>,
    watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>,
) -> Result<Run, CliError> {
    let options = args.judging.options();
    let model = Mmu::new(config);
    let (report, run_so_far, trouble) = match library {
        None => {
            let mut run = Lockstep::alone(config, setup, source, model, options)
                .with_reference(config, setup);
            let report = run.run(watch);
            (
                report,
                traced(run.source()),
                run.into_source().into_trouble(),
            )
        }
        Some(library) => {
            let rtl = Machines::instance(config, library, setup.seed)?;
            let mut run = Lockstep::pair(config, setup, source, model, rtl, options)
                .with_reference(config, setup);
            let report = run.run(watch);
            (
                report,
                traced(run.source()),
                run.into_source().into_trouble(),
            )
        }
    };
    match trouble {
        None => Ok(Run {
            report,
            traced: run_so_far,
        }),
        Some(TraceTrouble::Trace(error)) => Err(error.into()),
        Some(TraceTrouble::Mapping(error)) => Err(mapping_error(error)),
    }
}

/// Runs the trace again, as far as the difference, and tells its story. Standard input cannot be read again.
fn story_of(
    args: &Args,
    path: &Path,
    config: &Config,
    setup: &Setup,
    library: Option<&Library>,
    finding: &Finding,
) -> Option<Story> {
    if path.as_os_str() == "-" {
        return None;
    }
    let again = source(args, config, path, args.ops.unwrap_or(u64::MAX)).ok()?;
    let options = args.judging.options();
    match library {
        None => story::of_model(config, setup, again, options, finding),
        Some(library) => {
            let rtl = Machines::instance(config, library, setup.seed).ok()?;
            story::of_pair(config, setup, again, rtl, options, finding)
        }
    }
}

/// Reads the trace again, as far as the difference, into a replay file. Standard input cannot be read again.
fn write_trace_replay(
    args: &Args,
    path: &Path,
    config: &Config,
    setup: &Setup,
    report: &Report,
    context: &mut Context,
) -> Option<std::path::PathBuf> {
    if path.as_os_str() == "-" {
        context.note("no replay file: standard input cannot be read a second time\nremedy: keep the trace in a file");
        return None;
    }
    let replay = args
        .replays
        .join(format!("replay-{}-trace.stim", &config.hash()[..8]));
    let mut again = source(args, config, path, u64::MAX).ok()?;
    match write_replay(&replay, setup, &mut again, report.operations) {
        Ok(()) => Some(replay),
        Err(error) => {
            context.note(&format!(
                "{error}\nremedy: name a writable directory with --replays"
            ));
            None
        }
    }
}
