//! First in, first out: the order of least recently used, which fills alone change.
//!
//! Contract: 1.6, policy 2. SDM: none. Counterpart: `rtl/policy_fifo.sv`.

use super::lru::Lru;

/// The order of the fills of every set of one array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::model) struct Fifo(Lru);

impl Fifo {
    /// The order after reset: way i has rank i.
    pub fn new(sets: usize, ways: usize) -> Self {
        Self(Lru::new(sets, ways))
    }

    /// Brings back the order after reset.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// `way` of `set` was filled.
    #[inline]
    pub fn fill(&mut self, set: usize, way: usize) {
        self.0.touch(set, way);
    }

    /// The way of `set` that was filled first.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        self.0.victim(set)
    }
}
