//! Both twins: in lockstep, on histories, and on the work that shows what a parameter does.
//!
//! One binary, because linking the crate takes longer than most of these tests.
//!
//! Contract: as each module says. SDM: as each module says. Counterpart: none.

#[cfg_attr(
    not(feature = "rtl"),
    allow(dead_code, reason = "rows are run where there are both twins")
)]
mod knobs_support;
#[cfg(feature = "rtl")]
mod lockstep_support;
mod machines_support;
#[cfg(feature = "rtl")]
mod seeded_support;

mod gups;
mod knobs;
mod lockstep_model;
mod lockstep_rtl;
mod races;
mod regress;
mod sdm_caching;
