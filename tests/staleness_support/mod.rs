//! What the tests of the staleness checkers share: a small machine by the contract with bugs that can be switched on, random operations
//! for it, and hand-made streams.
//!
//! Contract: see the parts. SDM: none. Counterpart: none.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod arrays;
pub mod bugs;
pub mod caught;
pub mod machine;
pub mod places;
pub mod random;
pub mod script;
pub mod stream;
