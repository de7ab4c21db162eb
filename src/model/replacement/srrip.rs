//! Static re-reference interval prediction: a value of two bits a way, of how far off its next use is held to be.
//!
//! Contract: 1.6, policy 5. SDM: none. Counterpart: `rtl/policy_srrip.sv`.

/// The values of the ways of every set of one array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::model) struct Srrip {
    /// A bit for each way.
    all: u64,
    values: Vec<Values>,
}

/// The values of the ways of a set: their higher bits, and their lower.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Values {
    high: u64,
    low: u64,
}

impl Values {
    /// The ways of the greatest value, and that value.
    #[inline]
    const fn greatest(self, all: u64) -> (u64, u64) {
        let Self { high, low } = self;
        if high & low != 0 {
            (high & low, 3)
        } else if high != 0 {
            (high, 2)
        } else if low != 0 {
            (low, 1)
        } else {
            (all, 0)
        }
    }
}

impl Srrip {
    /// The values after reset: all 3. `ways` is 0 to 64.
    pub fn new(sets: usize, ways: usize) -> Self {
        let all = u64::MAX.checked_shr(64 - ways as u32).unwrap_or(0);
        Self {
            all,
            values: vec![
                Values {
                    high: all,
                    low: all
                };
                sets
            ],
        }
    }

    /// Brings back the values after reset.
    pub fn reset(&mut self) {
        let all = self.all;
        self.values.fill(Values {
            high: all,
            low: all,
        });
    }

    /// `way` of `set` was hit: its next use is near.
    #[inline]
    pub fn hit(&mut self, set: usize, way: usize) {
        let values = &mut self.values[set];
        values.high &= !(1 << way);
        values.low &= !(1 << way);
    }

    /// `way` of `set` was filled: all age until one has the greatest value there is; then its next use is held to be far off, but not the
    /// farthest.
    #[inline]
    pub fn fill(&mut self, set: usize, way: usize) {
        let all = self.all;
        let values = &mut self.values[set];
        let Values { high, low } = *values;
        let aged = match values.greatest(all).1 {
            3 => *values,
            // 0, 1, 2 become 1, 2, 3.
            2 => Values {
                high: high | low,
                low: !low & all,
            },
            // 0, 1 become 2, 3.
            1 => Values { high: all, low },
            _ => Values {
                high: all,
                low: all,
            },
        };
        *values = Values {
            high: aged.high | 1 << way,
            low: aged.low & !(1 << way),
        };
    }

    /// The lowest way of `set` of the greatest value. There must be ways.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        self.values[set].greatest(self.all).0.trailing_zeros() as usize
    }
}
