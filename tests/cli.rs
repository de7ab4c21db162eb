//! The command line, run as a user runs it.
//!
//! One binary, because linking the crate takes longer than most of these tests.
//!
//! Contract: as each module says. SDM: as each module says. Counterpart: none.

mod cli_support;
mod machines_support;

mod cli_config;
mod cli_conform;
mod cli_coverage;
mod cli_explain;
mod cli_lockstep;
mod cli_rtl_none;
mod cli_run;
mod cli_runs;
mod cli_tables;
mod cli_timing;
mod cli_trace;
mod fetch_blocks;
mod golden;
mod peak_memory;
mod run_agrees;
mod run_requests;
mod soak;
