//! A machine beside the model, in a process of its own: a change may make it loop, or break the program that runs it.
//!
//! Contract: section 13. SDM: none. Counterpart: none.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};
use twinwalk::cosim::comparators::{Comparator, Silenced};
use twinwalk::cosim::generator::RandomStream;
use twinwalk::cosim::lockstep::{Lockstep, Options};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::model::Mmu;

use crate::build::KEY;
use crate::machines::Machine;
use crate::process;

/// The variable that tells a machine of many mutants which one it is.
pub const CHOSEN: &str = "TWINWALK_MUTANT";
/// How the child begins its last words where it could not judge.
pub const REFUSED: &str = "mutants: ";

/// What a machine is put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Budget {
    /// First seed.
    #[arg(long)]
    pub first_seed: u64,
    /// Streams, one for each seed.
    #[arg(long)]
    pub streams: u64,
    /// Operations of a stream.
    #[arg(long)]
    pub operations: u64,
    /// Every comparator keeps quiet.
    #[arg(long)]
    pub silenced: bool,
}

/// What the child is asked for.
#[derive(Debug, Args)]
pub struct Judge {
    /// The name of the machine.
    #[arg(long)]
    machine: String,
    /// The shared library.
    #[arg(long)]
    library: PathBuf,
    #[command(flatten)]
    budget: Budget,
}

/// What was found, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The comparator, or `timeout` or `crash`.
    pub by: String,
    pub signal: String,
    pub cycle: u64,
    pub seed: u64,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    found: Option<Found>,
    seconds: f64,
}

impl Judge {
    /// Runs the machine, and says how it went in one line.
    pub fn run(&self) -> Result<(), String> {
        let begin = Instant::now();
        let machine = Machine::of_name(&self.machine).ok_or("no such machine")?;
        let config = machine.config()?;
        let library = Library::load(&self.library, KEY).map_err(|error| error.to_string())?;
        let mut options = Options::default();
        if self.budget.silenced {
            options.silenced = Comparator::ALL
                .into_iter()
                .fold(Silenced::NONE, Silenced::with);
        }
        let seeds = self.budget.first_seed..self.budget.first_seed + self.budget.streams;
        let mut found = None;
        for (number, seed) in (0..).zip(seeds) {
            let stream = RandomStream::new(&config, seed, number, self.budget.operations);
            let (config, setup) = (stream.config, stream.setup);
            let initial = InitialRegisters::Random(setup.seed);
            let rtl = match Rtl::new(&config, &library, initial) {
                Ok(rtl) => rtl,
                // The change is one of a parameter, or of what the machine does before its first cycle.
                Err(error) => {
                    found = Some(Found {
                        by: "start".to_owned(),
                        signal: error.to_string(),
                        cycle: 0,
                        seed,
                    });
                    break;
                }
            };
            let report = Lockstep::pair(
                &config,
                &setup,
                stream.generator,
                Mmu::new(&config),
                rtl,
                options,
            )
            .with_reference(&config, &setup)
            .run(&mut |_| ControlFlow::Continue(()));
            if let Some(finding) = report.finding {
                let (by, signal) = (finding.comparator.to_string(), finding.signal);
                found = Some(Found {
                    by,
                    signal,
                    cycle: finding.cycle,
                    seed,
                });
                break;
            }
        }
        let answer = Answer {
            found,
            seconds: begin.elapsed().as_secs_f64(),
        };
        println!(
            "{}",
            serde_json::to_string(&answer).map_err(|error| error.to_string())?
        );
        Ok(())
    }
}

/// How a machine went.
pub struct Judged {
    pub found: Option<Found>,
    pub seconds: f64,
}

/// Has the child judge a machine, of many mutants in one that of the number `chosen`. Longer than `limit` it may not take.
pub fn judge(
    machine: Machine,
    library: &Path,
    chosen: u32,
    budget: Budget,
    limit: Duration,
) -> Result<Judged, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.env(CHOSEN, chosen.to_string());
    command
        .args(["judge", "--machine", machine.name, "--library"])
        .arg(library);
    for (name, value) in [
        ("first-seed", budget.first_seed),
        ("streams", budget.streams),
        ("operations", budget.operations),
    ] {
        command.arg(format!("--{name}")).arg(value.to_string());
    }
    if budget.silenced {
        command.arg("--silenced");
    }
    let ran = process::run(&mut command, limit)?;
    let by = |by: &str, signal: &str| Judged {
        found: Some(Found {
            by: by.to_owned(),
            signal: signal.to_owned(),
            cycle: 0,
            seed: budget.first_seed,
        }),
        seconds: ran.seconds,
    };
    if ran.timed_out {
        return Ok(by("timeout", ""));
    }
    match serde_json::from_str::<Answer>(ran.stdout.trim()) {
        Err(_) if ran.stderr.starts_with(REFUSED) => Err(ran.stderr),
        Ok(answer) => Ok(Judged {
            found: answer.found,
            seconds: answer.seconds,
        }),
        // A machine that breaks the program; its last words say how.
        Err(_) => Ok(by(
            "crash",
            ran.stderr.trim().lines().last().unwrap_or_default(),
        )),
    }
}
