//! The commands of the binary `twinwalk`: their arguments, what they print, and how they end.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! A command is a module with `Args` (clap) and `run(args, &mut Context) -> Result<Outcome, CliError>`, one variant of `Command`, and
//! one arm in its `run`. It writes through [`Context`] alone. Only this module and what is below it print.
//!
//! Exit codes: 0 all held, 1 a check found a difference, 2 bad input or usage.

pub mod check;
pub mod config;
pub mod conform;
mod error;
pub mod explain;
pub mod golden;
mod machine;
mod output;
mod progress;
pub mod replay;
pub mod run;
pub mod tables;
pub mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

pub use error::CliError;
pub use output::{Context, grouped, table};
pub use progress::Progress;

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All held: exit code 0.
    Held,
    /// A check found a difference: exit code 1.
    Difference,
}

impl Outcome {
    const fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Difference => 1,
        }
    }
}

/// Exit code of bad input and usage.
const EXIT_BAD_INPUT: u8 = 2;

/// One x86-64 memory-management unit, built twice: the RTL and a cycle model, held equal in every cycle.
#[derive(Debug, Parser)]
#[command(name = "twinwalk", version, about, after_help = EXIT_CODES)]
struct Cli {
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all held, 1 a check found a difference, 2 bad input or usage.
`twinwalk COMMAND --help` says more, with an example.";

/// One variant a command; its arguments are beside the code that runs it.
#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Config(config::Args),
    Conform(conform::Args),
    Explain(explain::Args),
    Golden(golden::Args),
    Replay(replay::Args),
    Run(run::Args),
    Tables(tables::Args),
    Trace(trace::Args),
}

impl Command {
    fn run(self, context: &mut Context) -> Result<Outcome, CliError> {
        match self {
            Self::Check(args) => check::run(args, context),
            Self::Config(args) => config::run(args, context),
            Self::Conform(args) => conform::run(args, context),
            Self::Explain(args) => explain::run(args, context),
            Self::Golden(args) => golden::run(args, context),
            Self::Replay(args) => replay::run(args, context),
            Self::Run(args) => run::run(args, context),
            Self::Tables(args) => tables::run(args, context),
            Self::Trace(args) => trace::run(args, context),
        }
    }
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let context = Context::standard(wants_json(&arguments));
    ExitCode::from(run(&arguments, context))
}

/// Runs the command that `arguments` (the program's name first) ask for; returns the exit code.
pub fn run(arguments: &[OsString], mut context: Context) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &mut context),
    };
    let result = cli.command.run(&mut context).and_then(|outcome| {
        context.flush()?;
        Ok(outcome)
    });
    match result {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            context.failure(&error);
            // Nothing is left to be said about it on standard output.
            let _ = context.flush();
            EXIT_BAD_INPUT
        }
    }
}

/// Help and version are answers; everything else that clap has to say is a mistake in usage.
fn usage(error: &clap::Error, context: &mut Context) -> u8 {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let printed = context.answer(&text).and_then(|()| context.flush());
        return match printed {
            Ok(()) => Outcome::Held.exit_code(),
            Err(error) => {
                context.failure(&error);
                EXIT_BAD_INPUT
            }
        };
    }
    context.note(text.trim_end());
    if context.is_json() {
        let message = text.lines().next().unwrap_or_default();
        let object = serde_json::json!({
            "error": message.trim_start_matches("error: "),
            "remedy": "see --help",
        });
        // The mistake is on standard error; that standard output fails too changes nothing.
        let _ = context.object(&object).and_then(|()| context.flush());
    }
    EXIT_BAD_INPUT
}

/// Whether `--json` is among the arguments of twinwalk itself. Asked before they are parsed, so that a mistake in the others is
/// answered in JSON too.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .skip(1)
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}
