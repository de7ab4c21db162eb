//! `twinwalk check`: model and RTL in lockstep over random operations, both held against the reference.
//!
//! Contract: every section. SDM: none. Counterpart: none.

pub(super) mod compare;
mod coverage;
#[cfg(feature = "rtl")]
pub(super) mod design;
mod regression;
pub(super) mod report;
mod traced;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde_json::json;

use self::compare::Compare;
use self::coverage::CoverageArgs;
use self::regression::{Case, RegressionArgs};
use self::report::{Failed, Verdict};
use super::Outcome;
use super::config::ConfigArgs;
use super::error::CliError;
use super::machine::{Machines, Stretch};
use super::output::Context;
use super::trace::FormatArgs;
use crate::config::Config;
use crate::cosim::campaign::{self, Failure, Job, Plan, Settings, Summary};
use crate::cosim::comparators::{Comparator, Silenced};
use crate::cosim::coverage::collect::{Counted, Streams};
use crate::cosim::coverage::sampler::Sampler;
use crate::cosim::divergence::{Finding, FirstDivergence, write_replay};
use crate::cosim::floors;
use crate::cosim::generator::RandomStream;
use crate::cosim::lockstep::{Lockstep, Options, Pulse, Report};
use crate::cosim::stimulus::OperationSource as _;
use crate::cosim::story::{self, Story};
use crate::model::Mmu;

/// Bare `check` runs as long.
const BARE_SECONDS: u64 = 10;

/// Hold model and RTL against each other, cycle by cycle, and both against the reference
///
/// Random operations of the hard kind (docs/stim.md says which), made from the seed: the same seed and machine give the same run. Without
/// --ops and --minutes it runs for 10 seconds. Every response, memory transaction, fill, eviction, walk and look-up is compared in the
/// cycle in which it happens, and the memory images at the end. The first difference ends the run, with the cycles before it and a replay
/// file. A run that has exercised too little fails too.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk check
          twinwalk check --config preset:tiny --seed 7 --ops 1000000
          twinwalk check --seeds 1..20 --minutes 5 --keep-going
          twinwalk check --seeds 1..1000 --shard 2/5 --keep-going --junit part2.xml
          twinwalk check --rtl DESIGN.toml --ops 1000000")]
pub struct Args {
    #[command(flatten)]
    machine: ConfigArgs,
    /// The seed
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// Several seeds, both ends included
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<(u64, u64)>,
    /// Random operations for each seed; with --trace, the most references of the trace that are taken
    #[arg(long, value_name = "N", visible_alias = "count", value_parser = clap::value_parser!(u64).range(1..))]
    ops: Option<u64>,
    /// The references of a trace instead of random operations (- is standard input); pages are placed by the machine's [mapping]
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    /// Stop after so many minutes
    #[arg(long, value_name = "M", value_parser = parse_minutes)]
    minutes: Option<f64>,
    /// Threads; the answer does not depend on them. Without it, as many as the computer runs at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Go on after a difference, and count them
    #[arg(long)]
    keep_going: bool,
    /// Which twins run; `model` holds the model alone against the reference
    #[arg(long, value_enum, default_value_t = On::Both)]
    on: On,
    #[command(flatten)]
    guest: GuestArgs,
    /// Where replay files are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    replays: PathBuf,
    #[command(flatten)]
    regression: RegressionArgs,
    #[command(flatten)]
    judging: JudgingArgs,
    #[command(flatten)]
    coverage: CoverageArgs,
}

/// A user's own RTL: shared by `check` and `replay`.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Your own RTL")]
pub(super) struct GuestArgs {
    /// Your own RTL in the place of the project's, behind an adapter to the documented port (docs/byo.md); the machine is in the file
    #[arg(long, value_name = "DESIGN.toml", conflicts_with = "on")]
    pub(super) rtl: Option<PathBuf>,
    /// How it is compared: exact (every output of the groups that it has, in each cycle), bounded:N (the latency of each request differs
    /// from the model's by at most N cycles), untimed (not at all). It is judged by the reference in each case [default: untimed]
    #[arg(long, value_name = "exact|bounded:N|untimed", value_parser = Compare::parse)]
    pub(super) compare: Option<Compare>,
}

/// Which twins run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum On {
    /// Model and RTL, compared
    Both,
    /// The model alone
    Model,
}

impl On {
    /// The names of the twins that run.
    pub(super) const fn implementations(self) -> &'static [&'static str] {
        match self {
            Self::Both => &["model", "rtl"],
            Self::Model => &["model"],
        }
    }
}

/// How a run is judged: shared by `check` and `replay`.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct JudgingArgs {
    /// Tick the model in every cycle, instead of passing over those in which nothing can change; the answer is the same
    #[arg(long)]
    no_skip: bool,
    /// Let a comparator keep quiet, to prove that it is the one that catches a bug: responses, control, bus, fills, walks, lookups, queues,
    /// memory, assertions, protocol, hangs, provenance, staleness, latency
    #[arg(long, value_name = "COMPARATOR", value_parser = parse_comparator)]
    silence: Vec<Comparator>,
}

impl JudgingArgs {
    /// The options of a run.
    pub(super) fn options(&self) -> Options {
        let silenced = self
            .silence
            .iter()
            .fold(Silenced::NONE, |set, comparator| set.with(*comparator));
        Options {
            no_skip: self.no_skip,
            silenced,
            ..Options::default()
        }
    }
}

fn parse_comparator(text: &str) -> Result<Comparator, String> {
    Comparator::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Comparator::ALL.into_iter().map(Comparator::name).collect();
        format!("give one of {}", names.join(", "))
    })
}

fn parse_seeds(text: &str) -> Result<(u64, u64), String> {
    let parse = |part: &str| part.parse::<u64>().map_err(|error| error.to_string());
    let (first, last) = text
        .split_once("..")
        .ok_or("give two numbers as in 1..20")?;
    let (first, last) = (parse(first)?, parse(last)?);
    if first <= last {
        Ok((first, last))
    } else {
        Err("the first must not be above the last".to_owned())
    }
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text
        .parse()
        .map_err(|_| "give a number of minutes, such as 0.5".to_owned())?;
    if minutes > 0.0 && minutes <= 1e6 {
        Ok(minutes)
    } else {
        Err("give more than 0 and at most 1000000 minutes".to_owned())
    }
}

#[cfg(feature = "rtl")]
pub(super) type Library = crate::cosim::rtl::Library;
#[cfg(not(feature = "rtl"))]
pub(super) type Library = ();

/// Runs `twinwalk check`.
///
/// # Errors
/// The machine or the trace is refused, or there is no RTL.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    args.regression.prepare()?;
    if let Some(design) = &args.guest.rtl {
        return run_guest(&args, design, context);
    }
    if args.guest.compare.is_some() {
        return Err(compare_without_rtl());
    }
    let loaded = args.machine.load()?;
    if args.trace.is_none() && args.format.trace_format.is_some() {
        return Err(CliError::new(
            "--trace-format is of a trace, and there is none",
            "name the trace with --trace, or leave out --trace-format",
        ));
    }
    let library = match args.on {
        On::Both if args.coverage.is_on() => Some(args.coverage.library(&loaded.config, context)?),
        On::Both => Some(Machines::open()?.library(&loaded.config, Stretch::Minutes, context)?),
        On::Model => None,
    };
    let minutes = args
        .minutes
        .map(|minutes| Duration::from_secs_f64(60.0 * minutes));
    if let Some(trace) = &args.trace {
        return traced::run(&args, trace, &loaded, library.as_ref(), minutes, context);
    }
    let streams = args.coverage.streams(args.keep_going);
    let stream_of = |job: &Job| stream(&loaded.config, job, streams.is_some());
    let run = |job: &Job, watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>| {
        let options = args.judging.options();
        let stream = stream_of(job);
        random_stream(
            &stream,
            library.as_ref(),
            job,
            options,
            streams.as_ref(),
            watch,
        )
    };
    let (plan, summary) = campaign(&args, context, &run)?;
    let failed = write_replays(
        &args.replays,
        &loaded.config,
        &stream_of,
        &summary.failures,
        None,
        &|stream, finding| story_of(library.as_ref(), stream, args.judging.options(), finding),
        context,
    );
    let what = what(&plan, &summary);
    let coverage =
        args.coverage
            .finish(streams, &loaded, &what, &summary.counters, library.as_ref())?;
    // The floors speak of a run that came to its end, and of the usual mixture of operations.
    let missed = if failed.is_empty() && !args.coverage.is_on() {
        floors::missed(&loaded.config, &summary.counters)
    } else {
        Vec::new()
    };
    let verdict = Verdict {
        loaded: &loaded,
        what,
        implementations: args.on.implementations(),
        counters: &summary.counters,
        keys: keys(&plan, &summary),
        failed: &failed,
        missed: &missed,
        guest: None,
        traced: None,
        coverage,
    };
    say(&args, &verdict, &cases(&plan, &summary), context)
}

/// Runs `twinwalk check --rtl`.
#[cfg(feature = "rtl")]
fn run_guest(args: &Args, path: &Path, context: &mut Context) -> Result<Outcome, CliError> {
    if args.machine.config.is_some() || !args.machine.set.is_empty() {
        return Err(CliError::new(
            "--config and --set are refused beside --rtl: the machine of a design stands in its DESIGN.toml",
            format_args!("give them in [machine] of {}", path.display()),
        ));
    }
    if args.trace.is_some() || args.format.trace_format.is_some() {
        return Err(CliError::new(
            "--trace is refused beside --rtl, which takes random operations",
            "leave out --trace and --trace-format",
        ));
    }
    let compare = args.guest.compare.unwrap_or(Compare::Untimed);
    let guest = design::Guested::open(path, compare, context)?;
    let loaded = &guest.design().spec.machine;
    let run = |job: &Job, watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>| {
        let options = args.judging.options();
        let RandomStream {
            config,
            setup,
            generator,
        } = RandomStream::new(&loaded.config, job.seed, job.stream, job.operations);
        guest.run(&config, &setup, generator, options, watch)
    };
    let (plan, summary) = campaign(args, context, &run)?;
    let line = Some(guest.replay_line());
    let failures = &summary.failures;
    let told = |stream: &RandomStream, finding: &Finding| {
        let RandomStream {
            config,
            setup,
            generator,
        } = stream;
        let options = args.judging.options();
        guest.story(config, setup, generator.clone(), options, finding)
    };
    let failed = write_replays(
        &args.replays,
        &loaded.config,
        &|job| stream(&loaded.config, job, false),
        failures,
        line,
        &told,
        context,
    );
    let missed = if failed.is_empty() {
        guest.missed(&summary.counters)
    } else {
        Vec::new()
    };
    let verdict = Verdict {
        loaded,
        what: what(&plan, &summary),
        implementations: guest.implementations(),
        counters: &summary.counters,
        keys: keys(&plan, &summary),
        failed: &failed,
        missed: &missed,
        guest: Some(guest.report(&summary.counters, summary.latency_difference_cycles)),
        traced: None,
        coverage: None,
    };
    say(args, &verdict, &cases(&plan, &summary), context)
}

#[cfg(not(feature = "rtl"))]
fn run_guest(_args: &Args, _path: &Path, _context: &mut Context) -> Result<Outcome, CliError> {
    Machines::open().map(|_| Outcome::Held)
}

/// `--compare` is of a user's design.
pub(super) fn compare_without_rtl() -> CliError {
    CliError::new(
        "--compare says how a design of yours is compared, and there is none",
        "name it with --rtl DESIGN.toml, or leave out --compare",
    )
}

/// What a campaign ran, for the first line of the summary.
fn what(plan: &Plan, summary: &Summary) -> String {
    let seeds = if plan.first_seed == plan.last_seed {
        format!("seed {}", plan.first_seed)
    } else {
        format!("seeds {}..{}", plan.first_seed, plan.last_seed)
    };
    format!("random operations, {seeds}, {} streams", summary.streams)
}

fn keys(plan: &Plan, summary: &Summary) -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("seed", json!(plan.first_seed)),
        ("last_seed", json!(plan.last_seed)),
        ("streams", json!(summary.streams)),
    ]
}

/// The test cases of a campaign: the seeds that were begun, and one for all behind them that were due; there may be very many of those.
fn cases(plan: &Plan, summary: &Summary) -> Vec<Case> {
    let due = plan.streams_of_a_seed();
    let case = |name, ran| Case { name, ran, due };
    let mut cases: Vec<Case> = summary
        .ended
        .iter()
        .map(|(seed, ran)| case(format!("seed {seed}"), *ran))
        .collect();
    let last = summary.ended.last_key_value().map(|(seed, _)| *seed);
    if due.is_some()
        && let Some(last) = last.filter(|last| *last < plan.last_seed)
    {
        let name = format!("seeds {}..{}", last + 1, plan.last_seed);
        cases.push(case(name, 0));
    }
    cases
}

fn say(
    args: &Args,
    verdict: &Verdict<'_>,
    cases: &[Case],
    context: &mut Context,
) -> Result<Outcome, CliError> {
    args.regression.tell(verdict, cases, context)?;
    context.object(&verdict.json())?;
    context.text(&verdict.text())?;
    Ok(if verdict.holds() {
        Outcome::Held
    } else {
        Outcome::Difference
    })
}

/// A run that compared nothing must not be taken for one that held.
fn nothing_ran() -> CliError {
    CliError::new(
        "--minutes: time was up before anything was compared",
        "give more minutes, or leave --minutes out",
    )
}

/// The random streams that the arguments ask for, each of them by `run`.
fn campaign(
    args: &Args,
    context: &mut Context,
    run: &campaign::RunStream<'_, CliError>,
) -> Result<(Plan, Summary), CliError> {
    let seeds = args.seeds.unwrap_or((args.seed, args.seed));
    let (first_seed, last_seed) = args.regression.seeds(seeds)?;
    let plan = Plan {
        first_seed,
        last_seed,
        operations: args.ops,
    };
    let minutes = args
        .minutes
        .map(|minutes| Duration::from_secs_f64(60.0 * minutes));
    let bare = Duration::from_secs(BARE_SECONDS);
    let limit = minutes.or(args.ops.is_none().then_some(bare));
    let begin = Instant::now();
    let progress = match (plan.total_operations(), limit) {
        (Some(total), _) => context.progress(total, "operations"),
        (None, limit) => context.progress(limit.unwrap_or_default().as_secs(), "seconds"),
    };
    let by_time = plan.operations.is_none();
    let settings = Settings {
        jobs: args.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        ),
        keep_going: args.keep_going,
        is_over: &|| limit.is_some_and(|limit| begin.elapsed() >= limit),
        progress: &|operations| {
            if by_time {
                progress.set(begin.elapsed().as_secs());
            } else {
                progress.add(operations);
            }
        },
    };
    let summary = campaign::run(&plan, &settings, run)?;
    if summary.counters.ops == 0 && summary.failures.is_empty() {
        return Err(nothing_ran());
    }
    Ok((plan, summary))
}

/// The stream of a job; steered where coverage is counted.
fn stream(config: &Config, job: &Job, steered: bool) -> RandomStream {
    let stream = RandomStream::new(config, job.seed, job.stream, job.operations);
    if steered { stream.steered() } else { stream }
}

/// One random stream, on both twins or on the model alone.
fn random_stream(
    stream: &RandomStream,
    library: Option<&Library>,
    job: &Job,
    options: Options,
    streams: Option<&Streams>,
    watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>,
) -> Result<Report, CliError> {
    let model = Mmu::new(&stream.config);
    let RandomStream {
        config,
        setup,
        generator,
    } = stream;
    let mut sampler = streams.map(|_| Sampler::new(config));
    let mut counted = Counted::nothing();
    let report = match library {
        None => Lockstep::alone(config, setup, generator.clone(), model, options)
            .with_reference(config, setup)
            .with_sampler(sampler.as_mut())
            .run(watch),
        Some(library) => {
            let mut rtl = Machines::instance(config, library, setup.seed)?;
            let report = Lockstep::pair(config, setup, generator.clone(), model, &mut rtl, options)
                .with_reference(config, setup)
                .with_sampler(sampler.as_mut())
                .run(watch);
            if streams.is_some() {
                counted.points = coverage::points_of(&mut rtl)?;
            }
            report
        }
    };
    if let (Some(streams), Some(sampler)) = (streams, sampler) {
        counted.cells = sampler.into_cells();
        streams.put(job.number, counted, report.finding.is_some());
    }
    Ok(report)
}

/// Of how many failures the story is told.
const MOST_STORIES: usize = 3;

/// The story of what a random stream came to.
fn story_of(
    library: Option<&Library>,
    stream: &RandomStream,
    options: Options,
    finding: &Finding,
) -> Option<Story> {
    let RandomStream {
        config,
        setup,
        generator,
    } = stream;
    let operations = generator.clone();
    match library {
        None => story::of_model(config, setup, operations, options, finding),
        Some(library) => {
            let rtl = Machines::instance(config, library, setup.seed).ok()?;
            story::of_pair(config, setup, operations, rtl, options, finding)
        }
    }
}

/// What a replay file says about how it ended when it was written.
pub(super) const FOUND: &str = "found: ";

/// The line of a replay file's header that says what was found.
pub(super) fn found_line(finding: &Finding) -> String {
    let [model, rtl] = finding.labels;
    format!(
        "{FOUND}cycle {}, {}: {model} {}, {rtl} {}",
        finding.cycle, finding.signal, finding.model, finding.rtl
    )
}

/// The kind of the last of so many operations of a stream.
fn last_operation(mut stream: RandomStream, operations: u64) -> String {
    let last = (0..operations)
        .map_while(|_| stream.generator.next_operation())
        .last();
    last.map_or("none", |operation| operation.action.name())
        .to_owned()
}

/// How to run a replay file again.
fn again(replay: Option<&Path>) -> String {
    replay.map_or_else(String::new, |path| {
        format!("again: twinwalk replay {}\n", path.display())
    })
}

/// Writes a replay file for each failure, with a line about a user's design in its header. That one cannot be written is said, and changes nothing about the difference.
fn write_replays(
    directory: &Path,
    config: &Config,
    stream_of: &dyn Fn(&Job) -> RandomStream,
    failures: &[Failure],
    design: Option<String>,
    tell: &dyn Fn(&RandomStream, &Finding) -> Option<Story>,
    context: &mut Context,
) -> Vec<Failed> {
    let mut failed = Vec::new();
    for Failure { job, report } in failures {
        let Some(finding) = &report.finding else {
            continue;
        };
        let mut stream = stream_of(job);
        // Each takes as long as the run itself; the first ones are enough to read.
        let story = (failed.len() < MOST_STORIES)
            .then(|| tell(&stream, finding))
            .flatten();
        stream.setup.about.extend(design.clone());
        stream.setup.about.push(found_line(finding));
        let path = directory.join(format!(
            "replay-{}-{}-{}.stim",
            &config.hash()[..8],
            job.seed,
            job.stream
        ));
        let written = write_replay(
            &path,
            &stream.setup,
            &mut stream.generator,
            report.operations,
        );
        if let Err(error) = &written {
            context.note(&format!(
                "{error}\nremedy: name a writable directory with --replays"
            ));
        }
        let replay = written.is_ok().then_some(path);
        failed.push(Failed {
            name: format!("seed {}, stream {}", job.seed, job.stream),
            case: format!("seed {}", job.seed),
            operation: last_operation(stream_of(job), report.operations),
            operations: report.operations,
            again: again(replay.as_deref()),
            divergence: FirstDivergence::new(finding, replay, story),
            finding: finding.clone(),
        });
    }
    failed
}
