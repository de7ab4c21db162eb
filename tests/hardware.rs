//! The RTL alone, driven cycle by cycle.
//!
//! One binary, because linking the crate takes longer than most of these tests.
//!
//! Contract: as each module says. SDM: as each module says. Counterpart: none.

#![cfg(feature = "rtl")]

mod machines_support;
mod rtl_support;

mod rtl_arrays;
mod rtl_counters;
mod rtl_overlap;
mod rtl_prefetch;
mod rtl_traffic;
mod rtl_two_level;
