//! Not recently used: a bit a way, set by use, and all others cleared when all are set.
//!
//! Contract: 1.6, policy 3. SDM: none. Counterpart: `rtl/policy_nru.sv`.

/// The bits of the ways of every set of one array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::model) struct Nru {
    /// A bit for each way.
    all: u64,
    used: Vec<u64>,
}

impl Nru {
    /// The bits after reset: all 0. `ways` is 0 to 64.
    pub fn new(sets: usize, ways: usize) -> Self {
        Self {
            all: u64::MAX.checked_shr(64 - ways as u32).unwrap_or(0),
            used: vec![0; sets],
        }
    }

    /// Brings back the bits after reset.
    pub fn reset(&mut self) {
        self.used.fill(0);
    }

    /// `way` of `set` was used.
    #[inline]
    pub fn touch(&mut self, set: usize, way: usize) {
        let used = self.used[set] | 1 << way;
        self.used[set] = if used == self.all { 1 << way } else { used };
    }

    /// The lowest way of `set` that was not used; way 0 where there is no other.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        let unused = !self.used[set] & self.all;
        if unused == 0 {
            return 0;
        }
        unused.trailing_zeros() as usize
    }
}
