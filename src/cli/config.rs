//! `twinwalk config`: what the parameters are, where each came from, what they may be; and the `--config` and `--set` of every command.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

mod timing;

use std::ffi::OsString;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value as Json, json};

use self::timing::On;
use super::Outcome;
use super::error::CliError;
use super::machine::rtl_none;
use super::output::{Context, table};
use crate::config::{self, Loaded, Source, presets, schema};
use crate::cosim::matrix;
use crate::explain::timing::Row;

/// The machine that a command works on.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Machine")]
pub struct ConfigArgs {
    /// The machine: a TOML file, or preset:NAME (`twinwalk config presets` lists them). Without it the default machine
    #[arg(long, value_name = "FILE|preset:NAME")]
    pub config: Option<OsString>,
    /// One parameter on top, in TOML syntax, such as dtlb.arrays.0.ways=8. May be given again
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// Loads the machine.
    ///
    /// # Errors
    /// Whatever is wrong with the file, the preset or a `--set`.
    pub fn load(&self) -> Result<Loaded, CliError> {
        let source = match &self.config {
            Some(text) => Source::parse(text),
            None => Source::Default,
        };
        Ok(config::load(&source, &self.set)?)
    }
}

/// Show the parameters of a machine, their ranges, or the presets
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(ShowArgs),
    Schema(SchemaArgs),
    Presets(PresetsArgs),
    Random(RandomArgs),
}

/// Print every parameter in effect, and where it came from; the output is itself a configuration file
///
/// With --timing it prints instead the cycles of each isolated case: hits, walks from CR3 and from each paging-structure cache, with bits to
/// set, page faults, denied hits; by the formula of the contract, measured on the model and on the RTL. Where memory does not answer in a
/// fixed time (jitter, a cache of tables, accesses kept apart) the formula does not hold, and the row says why. Exit code 1 if model and RTL
/// differ, or the formula from them without such a reason.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples: twinwalk config show --config preset:tiny --set memory.latency_cycles=20
          twinwalk config show --timing
          twinwalk config show --timing --on model --config preset:zen4 --json")]
struct ShowArgs {
    /// Print the cycles of each isolated case in place of the parameters
    #[arg(long)]
    timing: bool,
    /// Whose cycles
    #[arg(long, value_enum, default_value_t = On::Both, requires = "timing")]
    on: On,
    #[command(flatten)]
    machine: ConfigArgs,
}

/// Print the JSON Schema of a configuration file, for editors that complete and check while one types
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example: twinwalk config schema > twinwalk.schema.json")]
struct SchemaArgs {}

/// List the presets
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example: twinwalk config presets")]
struct PresetsArgs {}

/// Print a random machine as a configuration file; the same seed gives the same machine
///
/// Every parameter of the machine and its memory is drawn, and the ends of its range often. `just matrix` checks such machines.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example: twinwalk config random --seed 7 > seven.toml && twinwalk check --config seven.toml"
)]
struct RandomArgs {
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs `twinwalk config`.
///
/// # Errors
/// A configuration is refused, or standard output cannot be written.
pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CliError> {
    match args.command {
        Command::Show(args) => return show(&args, context),
        Command::Schema(SchemaArgs {}) => print_schema(context)?,
        Command::Presets(PresetsArgs {}) => list_presets(context)?,
        Command::Random(args) => print_random(&args, context)?,
    }
    Ok(Outcome::Held)
}

fn show(args: &ShowArgs, context: &mut Context) -> Result<Outcome, CliError> {
    let machine = args.machine.load()?;
    let timing = match args.timing {
        true => Some(timing::measure(&machine.config, args.on, context)?),
        false => None,
    };
    let hash = machine.config.hash();
    let parameters: Vec<Json> = machine
        .values()
        .into_iter()
        .map(|value| {
            json!({
                "key": value.key,
                "value": value.json,
                "origin": value.origin.to_string(),
                "provenance": value.provenance.map(|provenance| provenance.name()),
            })
        })
        .collect();
    // What the model alone has is built with none.
    let has_rtl = machine.config.without_rtl().is_empty();
    let rtl_parameters: Option<serde_json::Map<String, Json>> = has_rtl.then(|| {
        let parameters = machine.config.rtl_parameters().into_iter();
        parameters
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect()
    });
    let mut object = json!({
        "machine": machine.name,
        "config_hash": hash,
        "rtl": machine.config.rtl(),
        "assumed": machine.assumed.map(|count| count.assumed),
        "parameters": parameters,
        "config": machine.config.canonical_json(),
        "rtl_parameters": rtl_parameters,
    });
    if let Some(timing) = &timing {
        object["timing"] = timing::json(timing);
        object["timing_absent"] = json!(timing.absent);
    }
    context.object(&object)?;
    let name: String = machine.name.escape_debug().collect();
    let none = rtl_none(&machine.config);
    let Some(timing) = timing else {
        context.text(&format!("# Machine: {name}; configuration hash {hash}\n"))?;
        if let Some(line) = &none {
            context.text(&format!("# {line}\n"))?;
        }
        context.text("\n")?;
        context.text(&machine.to_annotated_toml())?;
        return Ok(Outcome::Held);
    };
    context.text(&format!("Machine: {name} (configuration hash {hash})\n"))?;
    if let Some(line) = &none {
        context.text(&format!("{line}\n"))?;
    }
    context.text(&timing::text(&machine.config, &timing))?;
    Ok(if timing.rows.iter().any(Row::is_wrong) {
        Outcome::Difference
    } else {
        Outcome::Held
    })
}

/// The schema is one JSON object, so it is the same with and without `--json`.
fn print_schema(context: &mut Context) -> Result<(), CliError> {
    let schema = schema::json_schema();
    context.object(&schema)?;
    context.text(&format!("{schema:#}\n"))
}

fn print_random(args: &RandomArgs, context: &mut Context) -> Result<(), CliError> {
    let config = matrix::draw(args.seed);
    let hash = config.hash();
    context.object(&json!({
        "seed": args.seed,
        "config_hash": hash,
        "config": config.canonical_json(),
    }))?;
    context.text(&format!(
        "# Random machine, seed {}; configuration hash {hash}\n",
        args.seed
    ))?;
    for line in matrix::describe(&config).lines() {
        context.text(&format!("# {}\n", line.trim_end()))?;
    }
    context.text(&format!("\n{}", config.to_toml()?))
}

fn list_presets(context: &mut Context) -> Result<(), CliError> {
    let mut rows = Vec::new();
    let mut objects = Vec::new();
    for preset in presets::ALL {
        let machine = config::load(&Source::Preset(preset.name.to_owned()), &[])?;
        let hash = machine.config.hash();
        objects.push(json!({
            "name": preset.name,
            "about": preset.about(),
            "config_hash": hash,
            "config": machine.config.canonical_json(),
        }));
        rows.push(vec![
            format!("preset:{}", preset.name),
            hash,
            preset.about(),
        ]);
    }
    context.object(&json!({ "presets": objects }))?;
    context.text(&table(&["preset", "hash", "what it is for"], &rows))
}
