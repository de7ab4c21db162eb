//! Seeded bugs, a user's own design, the list of binaries, and the vectors of an independent implementation.
//!
//! One binary, because linking the crate takes longer than most of these tests.
//!
//! Contract: as each module says. SDM: as each module says. Counterpart: none.

#[cfg(feature = "rtl")]
mod byo_support;
mod machines_support;
mod oracle_support;
mod seeded_support;

#[cfg(feature = "rtl")]
mod byo;
#[cfg(feature = "rtl")]
mod byo_check;
#[cfg(feature = "rtl")]
mod byo_example;
mod every_file;
mod must_fail_oracle;
mod must_fail_outputs;
mod must_fail_rtl;
mod must_fail_rust;
mod must_fail_shrink;
mod oracle;
mod reference_vectors;
