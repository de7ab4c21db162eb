//! Replacement: what leaves a full set of a TLB array or a paging-structure cache.
//!
//! Contract: 1.6. SDM: none. Counterpart: `rtl/policy_*.sv`, of all but `lip`; docs/add-a-policy.md says how one is added.
//!
//! Of every policy this holds, and tests say so: a way that was hit, after which nothing else in its set was touched, may be hit once more
//! without a change. (That it was filled last is not enough: of SRRIP and LIP the first hit behind a fill changes it.) The short cut for pages
//! that were hit last (`recents`) stands on it.

mod fifo;
mod lip;
mod lru;
mod nru;
mod random;
mod srrip;
mod tree_plru;

use crate::config::Replacement;

use fifo::Fifo;
use lip::Lip;
use lru::Lru;
use nru::Nru;
use random::Random;
use srrip::Srrip;
use tree_plru::TreePlru;

/// The replacement state of one array. Equal if every future choice is the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Policy {
    Lru(Lru),
    TreePlru(TreePlru),
    Fifo(Fifo),
    Nru(Nru),
    Random(Random),
    Srrip(Srrip),
    Lip(Lip),
}

impl Policy {
    /// The state after reset of an array of that shape. `ways` is 0 to 64, for a tree 0 or a power of two.
    pub fn new(replacement: Replacement, sets: usize, ways: usize) -> Self {
        match replacement {
            Replacement::Lru => Self::Lru(Lru::new(sets, ways)),
            Replacement::TreePlru => Self::TreePlru(TreePlru::new(sets, ways)),
            Replacement::Fifo => Self::Fifo(Fifo::new(sets, ways)),
            Replacement::Nru => Self::Nru(Nru::new(sets, ways)),
            Replacement::Random => Self::Random(Random::new(ways)),
            Replacement::Srrip => Self::Srrip(Srrip::new(sets, ways)),
            Replacement::Lip => Self::Lip(Lip::new(sets, ways)),
        }
    }

    /// Brings back the state after reset.
    pub fn reset(&mut self) {
        match self {
            Self::Lru(policy) => policy.reset(),
            Self::TreePlru(policy) => policy.reset(),
            Self::Fifo(policy) => policy.reset(),
            Self::Nru(policy) => policy.reset(),
            Self::Random(policy) => policy.reset(),
            Self::Srrip(policy) => policy.reset(),
            Self::Lip(policy) => policy.reset(),
        }
    }

    /// A hit touches `way` of `set`.
    #[inline]
    pub fn hit(&mut self, set: usize, way: usize) {
        match self {
            Self::Lru(policy) => policy.touch(set, way),
            other => other.hit_otherwise(set, way),
        }
    }

    /// Out of line, so that the ordinary policy is all that the path of a hit carries.
    #[inline(never)]
    fn hit_otherwise(&mut self, set: usize, way: usize) {
        match self {
            Self::TreePlru(policy) => policy.touch(set, way),
            Self::Nru(policy) => policy.touch(set, way),
            Self::Srrip(policy) => policy.hit(set, way),
            Self::Lip(policy) => policy.hit(set, way),
            Self::Lru(_) | Self::Fifo(_) | Self::Random(_) => {}
        }
    }

    /// A fill touches `way` of `set`; `displaced`: it was the victim.
    #[inline]
    pub fn fill(&mut self, set: usize, way: usize, displaced: bool) {
        match self {
            Self::Lru(policy) => policy.touch(set, way),
            other => other.fill_otherwise(set, way, displaced),
        }
    }

    #[inline(never)]
    fn fill_otherwise(&mut self, set: usize, way: usize, displaced: bool) {
        match self {
            Self::Fifo(policy) => policy.fill(set, way),
            Self::Random(policy) if displaced => policy.step(),
            Self::Srrip(policy) => policy.fill(set, way),
            Self::Lip(policy) => policy.fill(set, way),
            other => other.hit_otherwise(set, way),
        }
    }

    /// Whether the first hit of a way behind its fill, with nothing of its set touched in between, changes nothing.
    #[inline]
    pub const fn hits_as_filled(&self) -> bool {
        match self {
            Self::Lru(_) | Self::TreePlru(_) | Self::Fifo(_) | Self::Nru(_) | Self::Random(_) => {
                true
            }
            Self::Srrip(_) | Self::Lip(_) => false,
        }
    }

    /// The way that leaves `set`, if that is full. There must be ways.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        match self {
            Self::Lru(policy) => policy.victim(set),
            other => other.victim_otherwise(set),
        }
    }

    #[inline(never)]
    fn victim_otherwise(&self, set: usize) -> usize {
        match self {
            Self::Lru(policy) => policy.victim(set),
            Self::TreePlru(policy) => policy.victim(set),
            Self::Fifo(policy) => policy.victim(set),
            Self::Nru(policy) => policy.victim(set),
            Self::Random(policy) => policy.victim(),
            Self::Srrip(policy) => policy.victim(set),
            Self::Lip(policy) => policy.victim(set),
        }
    }
}
