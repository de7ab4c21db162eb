//! The reference: the walk as the manual states it, with no time, no caches, and no state but memory and control registers.
//!
//! Contract: none; both twins must be allowed by it. SDM vol. 3A, 4.5 to 4.8.
//! Counterpart: none in hardware; `rtl/` and `crate::model` are held against it.

pub mod account;
pub mod finding;
pub mod geometry;
pub mod history;
pub mod horizon;
pub mod image;
pub mod memory;
pub mod observer;
pub mod payload;
pub mod provenance;
pub mod search;
pub mod shadow;
pub mod staleness;
pub mod walk;

#[cfg(test)]
mod tests;

pub use memory::{PhysicalMemory, SparseMemory};
pub use walk::{EntryUse, Translation, Walk, WalkObserver, WalkStep, trace, walk, walk_observed};
