//! `twinwalk replay`: run a stimulus file on both twins, with a wave of what went wrong, or cut down to what matters.
//!
//! Contract: every section. SDM: none. Counterpart: none.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::{Value as Json, json};

#[cfg(feature = "rtl")]
use super::check::compare::Compare;
#[cfg(feature = "rtl")]
use super::check::design::Guested;
use super::check::report::{GuestReport, counters_json, counters_table, unjudged};
use super::check::{FOUND, GuestArgs, JudgingArgs, Library, On, compare_without_rtl, found_line};
use super::error::CliError;
use super::machine::{Machines, Stretch, rtl_none};
use super::output::Context;
use super::{Outcome, golden::stimulus_error};
use crate::config::Config;
use crate::cosim::divergence::{Finding, FirstDivergence, write_replay};
use crate::cosim::lockstep::{Lockstep, Options, Report};
use crate::cosim::shrink::{DEFAULT_TRIALS, Shrunk, Trial, shrink};
use crate::cosim::stimulus::Stimulus;
use crate::cosim::story::{self, Story};
use crate::golden::suite;
use crate::model::Mmu;

mod window;

/// Run a stimulus or replay file again, on both twins
///
/// The file says everything: machine, seed, stalls, memory, operations (docs/stim.md). It is compared and judged as by `check`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk replay replay-a4461d01-1-0.stim
          twinwalk replay replay-a4461d01-1-0.stim --shrink
          twinwalk replay replay-a4461d01-1-0.min.stim --wave failing.fst --chrome failing.json

A file that `check --rtl` wrote names the design and runs on it; --rtl names another place of it.")]
pub struct Args {
    /// The file
    file: PathBuf,
    /// Write a wave of RTL and model: from 500 cycles before the difference to 20 after it; without a difference, the whole run.
    /// FILE.gtkw beside it has GTKWave show what differs
    #[arg(long, value_name = "FILE.fst")]
    wave: Option<PathBuf>,
    /// Write requests, misses, walks and transfers of both sides as spans for a trace viewer (Perfetto, chrome://tracing): from 10,000 cycles
    /// before the difference to 20 after it; without a difference, the whole run
    #[arg(long, value_name = "FILE.json")]
    chrome: Option<PathBuf>,
    /// Cut the file down to a small one that still fails in the same way, written beside it as NAME.min.stim
    #[arg(long)]
    shrink: bool,
    /// Which twins run; `model` holds the model alone against the reference
    #[arg(long, value_enum, default_value_t = On::Both)]
    on: On,
    #[command(flatten)]
    guest: GuestArgs,
    #[command(flatten)]
    judging: JudgingArgs,
}

/// Runs `twinwalk replay`.
///
/// # Errors
/// The file is refused, there is no RTL, or a file cannot be written.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    let (stimulus, config) = suite::load(&args.file).map_err(|error| stimulus_error(&error))?;
    if args.wave.is_some() && args.on == On::Model {
        return Err(CliError::new(
            "--wave is of the RTL, and --on model runs without it",
            "leave out --on model",
        ));
    }
    let rig = Rig::open(&args, &stimulus, &config, context)?;
    let options = args.judging.options();
    let report = rig.run(&stimulus, &config, options)?;
    let divergence = match &report.finding {
        None => None,
        Some(finding) => {
            let story = rig.story(&stimulus, &config, options, finding)?;
            Some(FirstDivergence::new(
                finding,
                Some(args.file.clone()),
                story,
            ))
        }
    };
    let window = window::Window {
        rig: &rig,
        stimulus: &stimulus,
        config: &config,
        finding: report.finding.as_ref(),
        options,
    };
    let save = match &args.wave {
        Some(wave) => Some(window.write_wave(wave, context)?),
        None => None,
    };
    if let Some(chrome) = &args.chrome {
        window.write_chrome(chrome)?;
    }
    let shrunk = match (args.shrink, &report.finding) {
        (true, Some(_)) => Some(shrink_file(
            &args, &stimulus, &config, &rig, &report, context,
        )?),
        _ => None,
    };
    let guest = rig.report(&report);
    let mut object = match &guest {
        None => counters_json(&report.counters),
        Some(guest) => guest.counters.clone(),
    };
    if let Json::Object(map) = &mut object {
        map.insert("file".to_owned(), json!(args.file));
        map.insert("seed".to_owned(), json!(stimulus.setup.seed));
        map.insert("config_hash".to_owned(), json!(config.hash()));
        let rtl = guest.as_ref().map(|guest| guest.rtl.clone());
        map.insert("rtl".to_owned(), rtl.unwrap_or_else(|| json!(config.rtl())));
        map.insert("first_divergence".to_owned(), json!(divergence));
        map.insert("wave".to_owned(), json!(args.wave));
        map.insert("wave_save".to_owned(), json!(save));
        map.insert("chrome".to_owned(), json!(args.chrome));
        map.insert(
            "shrunk".to_owned(),
            json!(shrunk.as_ref().map(|(path, _)| path)),
        );
    }
    context.object(&object)?;
    context.text(&text(
        &args,
        &stimulus,
        &config,
        (&report, divergence.as_ref()),
        guest.as_ref(),
        shrunk.as_ref(),
    ))?;
    let unjudged = unjudged(guest.as_ref(), &report.counters);
    Ok(if report.finding.is_none() && unjudged.is_none() {
        Outcome::Held
    } else {
        Outcome::Difference
    })
}

fn text(
    args: &Args,
    stimulus: &Stimulus,
    config: &Config,
    (report, divergence): (&Report, Option<&FirstDivergence>),
    guest: Option<&GuestReport>,
    shrunk: Option<&(PathBuf, Shrunk)>,
) -> String {
    let mut text = format!(
        "{}: config hash {}, seed {}\n",
        args.file.display(),
        config.hash(),
        stimulus.setup.seed
    );
    if let Some(line) = rtl_none(config) {
        text.push_str(&format!("{line}\n"));
    }
    match guest {
        None => text.push_str(&counters_table(&report.counters)),
        Some(guest) => text.push_str(&format!("{}\n{}", guest.line, guest.table)),
    }
    if let Some(line) = unjudged(guest, &report.counters) {
        text.push_str(&format!("{line}\n"));
    }
    match &report.finding {
        None => text.push_str("no difference\n"),
        Some(finding) => {
            let story = divergence.and_then(|divergence| divergence.story.as_ref());
            text.push_str(&finding.report(story));
        }
    }
    if let Some((path, shrunk)) = shrunk {
        text.push_str(&format!(
            "cut down from {} to {} operations in {} runs{}: {}\n",
            stimulus.operations.len(),
            shrunk.stimulus.operations.len(),
            shrunk.trials,
            if shrunk.complete {
                ""
            } else {
                ", and not to the end"
            },
            path.display()
        ));
    } else if args.shrink {
        text.push_str("there is nothing to cut down: the run holds\n");
    }
    if let Some(wave) = &args.wave {
        let save = window::save_path(wave);
        text.push_str(&format!(
            "wave: {} (gtkwave {} shows what differs)\n",
            wave.display(),
            save.display()
        ));
    }
    if let Some(chrome) = &args.chrome {
        text.push_str(&format!(
            "spans: {} (for ui.perfetto.dev; 1 us is 1 cycle)\n",
            chrome.display()
        ));
    }
    text
}

/// What a stimulus runs on.
enum Rig {
    /// The model alone.
    Model,
    /// Both twins.
    Both(Library),
    /// A user's design.
    #[cfg(feature = "rtl")]
    Guest(Box<Guested>),
}

impl Rig {
    fn open(
        args: &Args,
        stimulus: &Stimulus,
        config: &Config,
        context: &mut Context,
    ) -> Result<Self, CliError> {
        if args.on == On::Model {
            return match args.guest.compare {
                Some(_) => Err(compare_without_rtl()),
                None => Ok(Self::Model),
            };
        }
        #[cfg(feature = "rtl")]
        if let Some(guest) = open_guest(args, stimulus, config, context)? {
            return Ok(Self::Guest(Box::new(guest)));
        }
        #[cfg(not(feature = "rtl"))]
        let _ = stimulus;
        if args.guest.compare.is_some() {
            return Err(compare_without_rtl());
        }
        Ok(Self::Both(Machines::open()?.library(
            config,
            Stretch::Minutes,
            context,
        )?))
    }

    /// One run of a stimulus.
    fn run(
        &self,
        stimulus: &Stimulus,
        config: &Config,
        options: Options,
    ) -> Result<Report, CliError> {
        let setup = &stimulus.setup;
        let operations = stimulus.operations.clone().into_iter();
        let model = Mmu::new(config);
        let mut go_on = |_| ControlFlow::Continue(());
        match self {
            Self::Model => Ok(Lockstep::alone(config, setup, operations, model, options)
                .with_reference(config, setup)
                .run(&mut go_on)),
            Self::Both(library) => {
                let rtl = Machines::instance(config, library, setup.seed)?;
                let mut run = Lockstep::pair(config, setup, operations, model, rtl, options)
                    .with_reference(config, setup);
                Ok(run.run(&mut go_on))
            }
            #[cfg(feature = "rtl")]
            Self::Guest(guest) => guest.run(config, setup, operations, options, &mut go_on),
        }
    }

    /// The story of what a run of a stimulus found.
    fn story(
        &self,
        stimulus: &Stimulus,
        config: &Config,
        options: Options,
        finding: &Finding,
    ) -> Result<Option<Story>, CliError> {
        let setup = &stimulus.setup;
        let operations = stimulus.operations.clone().into_iter();
        match self {
            Self::Model => Ok(story::of_model(config, setup, operations, options, finding)),
            Self::Both(library) => {
                let rtl = Machines::instance(config, library, setup.seed)?;
                Ok(story::of_pair(
                    config, setup, operations, rtl, options, finding,
                ))
            }
            #[cfg(feature = "rtl")]
            Self::Guest(guest) => Ok(guest.story(config, setup, operations, options, finding)),
        }
    }

    /// What there is to say of a user's design.
    fn report(&self, report: &Report) -> Option<GuestReport> {
        match self {
            Self::Model | Self::Both(_) => {
                let _ = report;
                None
            }
            #[cfg(feature = "rtl")]
            Self::Guest(guest) => {
                Some(guest.report(&report.counters, report.latency_difference_cycles))
            }
        }
    }
}

/// The design of `--rtl`, else the one that the file names.
#[cfg(feature = "rtl")]
fn open_guest(
    args: &Args,
    stimulus: &Stimulus,
    config: &Config,
    context: &mut Context,
) -> Result<Option<Guested>, CliError> {
    let named = Guested::named_in(&stimulus.setup.about)?;
    let (path, hash, compare) = match (&args.guest.rtl, named) {
        (None, None) => return Ok(None),
        (Some(path), None) => (path.clone(), None, Compare::Untimed),
        (Some(path), Some((_, hash, compare))) => (path.clone(), Some(hash), compare),
        (None, Some((path, hash, compare))) => (path, Some(hash), compare),
    };
    let compare = args.guest.compare.unwrap_or(compare);
    let guest = Guested::open(&path, compare, context)?;
    if hash.is_some_and(|hash| hash != guest.design().hash()) {
        context.note(&format!(
            "{}: the design, or its machine, has changed since {} was written",
            path.display(),
            args.file.display()
        ));
    }
    let ports = guest.design().config().ports();
    if ports != config.ports() {
        return Err(CliError::new(
            format_args!(
                "{} is of a machine with {} ports, and the design {} has {ports}",
                args.file.display(),
                config.ports(),
                path.display()
            ),
            "give a file of a machine with as many ports, or set ports.data_ports in it",
        ));
    }
    Ok(Some(guest))
}

fn shrink_file(
    args: &Args,
    stimulus: &Stimulus,
    config: &Config,
    rig: &Rig,
    report: &Report,
    context: &mut Context,
) -> Result<(PathBuf, Shrunk), CliError> {
    let wanted = report.finding.as_ref().map(|finding| finding.comparator);
    let options = args.judging.options();
    let mut trouble = None;
    let progress = context.progress(DEFAULT_TRIALS, "runs");
    let shrunk = shrink(stimulus, DEFAULT_TRIALS, &mut |candidate| {
        progress.add(1);
        match rig.run(candidate, config, options) {
            Ok(report) if report.finding.as_ref().map(|finding| finding.comparator) == wanted => {
                Trial::Fails {
                    operations: report.operations,
                }
            }
            Ok(_) => Trial::Passes,
            Err(error) => {
                trouble.get_or_insert(error);
                Trial::Passes
            }
        }
    });
    drop(progress);
    if let Some(error) = trouble {
        return Err(error);
    }
    let path = smaller_path(&args.file);
    let operations = shrunk.stimulus.operations.clone();
    let count = operations.len() as u64;
    // The smaller file parts in another cycle, and maybe at another signal, than the one that it was cut from.
    let mut setup = shrunk.stimulus.setup.clone();
    setup.about.retain(|line| !line.starts_with(FOUND));
    let smaller = rig.run(&shrunk.stimulus, config, options)?;
    setup.about.extend(smaller.finding.as_ref().map(found_line));
    write_replay(&path, &setup, &mut operations.into_iter(), count)
        .map_err(|error| CliError::new(error, "make the directory of the file writable"))?;
    Ok((path, shrunk))
}

/// `name.stim` to `name.min.stim`.
fn smaller_path(file: &Path) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(".min.stim");
    file.with_file_name(name)
}
