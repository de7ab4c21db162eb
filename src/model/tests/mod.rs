//! Tests of the whole model, and what they share: page tables, a machine that is ticked, random stimulus.
//!
//! Contract: all of it. Counterpart: none.

mod alone;
mod arrays;
mod bench;
mod block_arrays;
mod block_control;
mod block_inclusion;
mod block_look_up;
mod block_removal;
mod block_walker;
mod front_end;
mod lean;
mod literal;
mod many;
mod memory;
mod overlap;
mod performance_counters;
mod places;
mod random;
mod replacement;
mod skipping;
mod statistics;
mod timing;
mod two_level;
mod two_level_timing;
