//! **Twinwalk**: one x86-64 memory-management unit, built twice.
//!
//! `rtl/` is the hardware in SystemVerilog; [`model`] is a cycle model in Rust. Both are written from `docs/contract.md`, neither from
//! the other. They agree on every page-table entry bit for bit, and on every response, bus transaction and TLB fill cycle for cycle;
//! where they do not, Twinwalk names the first cycle and the first field in which they part. A third opinion, [`mod@reference`], is the
//! walk as the manual states it, and both twins must stay within what it allows.
//!
//! Exact means: equal to *this* RTL. Nothing here says what silicon does.
//!
//! # Principles
//!
//! * The contract comes first. Where the twins differ, it decides; where it is silent, it is made precise, then a side is mended.
//! * The model is never steered by the RTL: no copied fault, no forced outcome.
//! * State is compared, not only outputs: fills and evictions, walks, entry reads and writes, in the cycle in which they happen.
//! * One set of parameters: [`config::Config`] is what the model takes at run time and what the RTL is elaborated with.
//! * The same seed, configuration and input give the same bytes, on any number of threads.
//! * A check that cannot fail is a defect: each one has a seeded bug that it must catch.
//! * The library prints nothing, reads no environment variable and keeps no global state; `main.rs` and [`cli`] do.
//! * No input makes it panic: bad input is an error that names the file, the place and the remedy.
//!
//! # Modules
//!
//! | module | is |
//! | --- | --- |
//! | [`arch`] | the architecture: addresses, entries, rights, faults, control registers; no time, no caches |
//! | [`mod@reference`] | the walk as the manual states it |
//! | [`config`] | parameters, presets, validation, schema |
//! | [`model`] | the cycle model; the same basenames as `rtl/` |
//! | [`cosim`] | the RTL built, loaded and driven, and the model held against it |
//! | [`conform`] | paging vectors of independent implementations, held against reference, model and RTL |
//! | [`golden`] | golden traces: what both twins must reproduce to the byte |
//! | [`trace`] | traces of real programs, and where their pages lie in memory |
//! | [`tables`] | what page tables cost |
//! | [`explain`] | one translation, step by step |
//! | [`cli`] | the commands of the binary `twinwalk` |
//!
//! A first run of the parts: a configuration, and what it says to the hardware.
//!
//! ```
//! let config = twinwalk::config::Config::default();
//! assert!(config.rtl_parameters().contains(&("MAXPHYADDR", 46)));
//! ```

pub mod arch;
pub mod cli;
pub mod config;
pub mod conform;
pub mod cosim;
pub mod explain;
pub mod golden;
pub mod model;
pub mod reference;
pub mod tables;
pub mod trace;
