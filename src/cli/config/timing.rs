//! `twinwalk config show --timing`: the cycles of each isolated case, by the contract's formula, in the model and in the RTL.
//!
//! Contract: 12. SDM: none. Counterpart: none. [`crate::explain::timing`] measures.

use serde_json::{Value as Json, json};

use crate::cli::error::CliError;
use crate::cli::machine::{Machines, Stretch};
use crate::cli::output::{Context, table};
use crate::config::Config;
use crate::explain::timing::{Row, Timing, add_rtl, of_model};

#[cfg(feature = "rtl")]
type Library = crate::cosim::rtl::Library;
#[cfg(not(feature = "rtl"))]
type Library = ();

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum On {
    /// The cycle model alone
    Model,
    /// The model, and the RTL, verilated
    Both,
}

/// Measures the machine of `config`.
///
/// # Errors
/// There is no RTL where it was asked for, or a twin does not answer.
pub fn measure(config: &Config, on: On, context: &mut Context) -> Result<Timing, CliError> {
    let mut timing = of_model(config)?;
    if on == On::Both {
        let machines = Machines::open()?;
        add(
            &mut timing,
            config,
            &machines.library(config, Stretch::Moments, context)?,
        )?;
    }
    Ok(timing)
}

/// Measures the RTL of `library` too.
fn add(timing: &mut Timing, config: &Config, library: &Library) -> Result<(), CliError> {
    let fresh = || Machines::instance(config, library, config.mapping.seed);
    add_rtl::<_, CliError>(timing, config, fresh)
}

/// The rows as `--json` has them.
pub fn json(timing: &Timing) -> Json {
    json!(timing.rows)
}

/// The table, and what it means.
pub fn text(config: &Config, timing: &Timing) -> String {
    let headline = ["case", "formula", "cycles", "model", "RTL"];
    let cells = |row: &Row| {
        let cycles = match row.formula_cycles {
            Some(cycles) => format!("{} = {cycles}", row.numbers),
            None => "does not hold".to_owned(),
        };
        let rtl = row
            .rtl_cycles
            .map_or("-".to_owned(), |cycles| cycles.to_string());
        let model = row.model_cycles.to_string();
        vec![
            row.about.to_owned(),
            row.formula.clone(),
            cycles,
            model,
            rtl,
        ]
    };
    let rows: Vec<_> = timing.rows.iter().map(cells).collect();
    let mut text = table(&headline, &rows);
    text += &format!(
        "Cycles from the accept of a request alone in the machine to its answer (contract 12).\n\
         H = {} for fetches, {} for data; S = {}; M = {}; n reads of entries, c compare-and-sets, n' and c' before a restart.\n",
        config.itlb.hit_latency_cycles,
        config.dtlb.hit_latency_cycles,
        config.stlb.hit_latency_cycles,
        config.memory.latency_cycles,
    );
    let mut reasons: Vec<&str> = timing
        .rows
        .iter()
        .filter_map(|row| row.reason.as_deref())
        .collect();
    reasons.dedup();
    for reason in reasons {
        text += &format!(
            "The formula does not hold where memory does not answer in M cycles: {reason}.\n"
        );
    }
    if !timing.absent.is_empty() {
        text += &format!("Not on this machine: {}.\n", timing.absent.join("; "));
    }
    for row in timing.rows.iter().filter(|row| row.is_wrong()) {
        text += &format!("DIFFERENCE: {}\n", row.about);
    }
    text
}
