//! Automatic mutation of the RTL: small changes, each of which a check must find (`just mutants`, docs/mutants.md).
//!
//! Contract: none. SDM: none. Counterpart: `tests/seeded/`, bugs that were thought of by a person.
//!
//! Without arguments, as `cargo test` runs it, it is a test of itself that takes seconds.

mod batch;
mod build;
mod campaign;
mod draw;
mod equivalent;
mod guards;
mod judge;
mod machines;
mod mutate;
mod process;
mod report;
mod smoke;
mod syntax;
mod tokens;
mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Automatic mutation of the RTL.
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw mutants, and see what finds each
    Campaign(campaign::Campaign),
    /// Show every change that can be made of a file
    List(campaign::List),
    /// Run one machine beside the model: what a campaign does in processes of their own
    Judge(judge::Judge),
}

fn main() -> ExitCode {
    // `cargo test` gives the names of tests, and options for whoever runs them.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !["campaign", "list", "judge", "help"].contains(&words.first().map_or("", String::as_str)) {
        return smoke::run(&words);
    }
    let outcome = match Cli::parse().command {
        Command::Campaign(campaign) => campaign.run(),
        Command::List(list) => list.run().map(|()| true),
        Command::Judge(judge) => judge.run().map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}{error}", judge::REFUSED);
            ExitCode::from(2)
        }
    }
}
