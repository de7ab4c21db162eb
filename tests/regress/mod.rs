//! Bugs that memory-management units have shipped with, each as a short history on both twins, named for what went wrong.
//!
//! Contract: 6 to 9, 11. SDM vol. 3A, 4.5 to 4.10. Counterpart: `../seeded`, such bugs in this machine.
//!
//! Each history runs in lockstep, held against the reference and the bound of contract 14; what the RTL's trace must and must not show
//! is asserted on top. That those assertions catch something by themselves is shown in `must_fail.rs`.

#![cfg(feature = "rtl")]

mod flush;
mod modes;
mod must_fail;
mod races;
mod rights;
mod updates;
mod walk;
