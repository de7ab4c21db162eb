//! Traces, from outside the library.
//!
//! One binary, because linking the crate takes longer than most of these tests.
//!
//! Contract: as each module says. SDM: as each module says. Counterpart: none.

mod trace_files;
mod trace_formats;
mod trace_record;
mod trace_shipped;
