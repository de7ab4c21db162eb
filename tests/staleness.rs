//! The checks of staleness.
//!
//! One binary, because linking the crate takes longer than most of these tests.
//!
//! Contract: as each module says. SDM: as each module says. Counterpart: none.

mod fuzz_corpus;
mod staleness_support;

mod staleness_architectural;
mod staleness_geometry;
mod staleness_invalidation;
mod staleness_matrix;
mod staleness_must_fail;
mod staleness_random;
