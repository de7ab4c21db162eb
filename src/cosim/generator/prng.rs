//! The generator's random numbers: xoshiro256** of our own, so that a seed means the same operations for ever.
//!
//! Contract: none. SDM: none. Counterpart: none.

/// A stream of random numbers. Equal seeds give equal streams, whatever libraries are linked.
#[derive(Debug, Clone)]
pub struct Prng {
    state: [u64; 4],
}

impl Prng {
    /// The stream that belongs to a seed and the number of a stream within it.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            state: std::array::from_fn(|word| {
                crate::model::memory::hash(seed, stream, word as u64)
            }),
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `end`, which must not be 0. The bias is at most `end` / 2^64.
    pub fn below(&mut self, end: u64) -> u64 {
        debug_assert!(end > 0);
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `permille` of 1000 cases.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One element of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// The index of one of `weights`, each as likely as its weight says; they must not all be 0.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut point = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if point < *weight {
                return index;
            }
            point -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut prng = Prng::new(1, 0);
        let numbers: Vec<u64> = (0..3).map(|_| prng.bits()).collect();
        let mut again = Prng::new(1, 0);
        assert!(numbers.iter().all(|number| *number == again.bits()));
        let mut other = Prng::new(1, 1);
        assert!(numbers.iter().all(|number| *number != other.bits()));
    }

    #[test]
    fn numbers_spread_evenly_over_their_range() {
        let mut prng = Prng::new(3, 0);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[prng.between(10, 16) as usize - 10] += 1;
        }
        assert!(
            seen.iter().all(|count| (9_500..10_500).contains(count)),
            "{seen:?}"
        );
        let heavy = (0..10_000)
            .filter(|_| prng.weighted(&[1, 0, 9]) == 2)
            .count();
        assert!((8_800..9_200).contains(&heavy));
    }
}
