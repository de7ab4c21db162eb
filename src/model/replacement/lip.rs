//! LRU insertion: the order of use, in which what is filled stands last until it is hit.
//!
//! Contract: none; the model alone has it. SDM: none. Counterpart: none.
//!
//! As LRU (contract 1.6, policy 0), but that a fill gives its way the greatest rank: every way whose rank was greater has it decreased by one. So
//! what is used once passes through one way of its set, and what was hit stays.

use super::lru::Lru;

/// The order of every set of one array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::model) struct Lip(Lru);

impl Lip {
    /// The order after reset: way i has rank i. `ways` is 0 to 64.
    pub fn new(sets: usize, ways: usize) -> Self {
        Self(Lru::new(sets, ways))
    }

    /// Brings back the order after reset.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// `way` of `set` was hit: it is the most recent.
    #[inline]
    pub fn hit(&mut self, set: usize, way: usize) {
        self.0.touch(set, way);
    }

    /// `way` of `set` was filled: it is the least recent.
    #[inline]
    pub fn fill(&mut self, set: usize, way: usize) {
        self.0.put_last(set, way);
    }

    /// The way of `set` that is the least recent.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        self.0.victim(set)
    }
}
