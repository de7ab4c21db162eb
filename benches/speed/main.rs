//! Speed of the model: beside the verilated RTL, and beside a simulator without time.
//!
//! Contract: 13. SDM: none. Counterpart: none.
//!
//! `just bench [--no-rtl] [TRACE...]`: further traces by path, in any format that `run` reads. Passes of all sides take turns, so that what
//! slows the computer down slows all of them down; every ratio is the median of those of the passes, and beside it stands what is due of it, and
//! whether that holds. Exit code 1: the model is less than 100 times as fast as the RTL, or than 50 times in a window; 2: the sides disagree.

mod against;
mod clock;
mod rtl;
mod timeless;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Passes of each side.
const PASSES: usize = 15;
/// The trace that comes with the project.
const TRACE: &str = "traces/gcc10m.twt.zst";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<bool> {
    let mut traces = Vec::new();
    let mut with_rtl = true;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            // What `cargo bench` passes on.
            Some("--bench") => {}
            Some("--no-rtl") => with_rtl = false,
            Some(option) if option.starts_with('-') => {
                return Err(format!("{option}: no such option; [--no-rtl] [TRACE...]").into());
            }
            _ => traces.push(PathBuf::from(argument)),
        }
    }
    against::run(&traces)?;
    Ok(!with_rtl || rtl::run()?)
}

/// What is due of a ratio, and whether it holds.
fn against_due(ratio: f64, due: f64) -> String {
    let verdict = if ratio >= due { "holds" } else { "is missed" };
    format!("{due} due: {verdict}")
}
