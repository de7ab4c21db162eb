//! How long walks take: a histogram of cycles, from which percentiles are read.
//!
//! Contract: 8 (START to DONE), 10. SDM: none. Counterpart: none; of the RTL it is drawn from the monitor, as all statistics.

use serde::{Serialize, Serializer};

/// Lengths below this many cycles are counted each by itself.
pub const EXACT_BELOW_CYCLES: u64 = 1 << EXACT_BITS;
/// From there on, each doubling of the length is cut into so many ranges of equal width: what is read is too great by less than 1/128.
pub const RANGES_PER_DOUBLING: u64 = 1 << RANGE_BITS;

const EXACT_BITS: u32 = 14;
const RANGE_BITS: u32 = 7;

/// Lengths in cycles, counted. The memory that it takes is bounded, at most 180 KiB.
///
/// Two histograms are equal if they were given the same lengths, or lengths of the same ranges with the same sum.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LatencyHistogram {
    /// By range; no longer than the longest length needs.
    counts: Vec<u64>,
    count: u64,
    sum_cycles: u64,
}

/// The figures of a histogram. Percentiles are by nearest rank: the least length that at least so many of all do not exceed.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct LatencySummary {
    /// Walks of requests that ended, with a translation or a fault; those of prefetches are not among them.
    pub count: u64,
    /// Their cycles in the mean; null if there are none, as all that follow.
    pub mean: Option<f64>,
    /// Half of the walks took no more cycles. Exact below 16,384 cycles; above, too great by less than 1/128, as all that follow.
    pub p50: Option<u64>,
    /// 90 % of the walks took no more cycles.
    pub p90: Option<u64>,
    /// 99 % of the walks took no more cycles.
    pub p99: Option<u64>,
    /// 99.9 % of the walks took no more cycles.
    #[serde(rename = "p99.9")]
    pub p99_9: Option<u64>,
    /// The longest walk.
    pub max: Option<u64>,
}

impl LatencyHistogram {
    /// One more of that length.
    #[inline]
    pub fn add(&mut self, cycles: u64) {
        self.add_many(cycles, 1);
    }

    /// So many more of that length, at least one.
    #[inline]
    pub fn add_many(&mut self, cycles: u64, count: u64) {
        let range = range_of(cycles);
        if range >= self.counts.len() {
            self.counts.resize(range + 1, 0);
        }
        self.counts[range] += count;
        self.count += count;
        self.sum_cycles += count * cycles;
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their cycles, added up.
    pub const fn sum_cycles(&self) -> u64 {
        self.sum_cycles
    }

    /// What was added since this histogram was like `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        for (count, before) in counts.iter_mut().zip(&earlier.counts) {
            *count -= before;
        }
        let used = counts.iter().rposition(|count| *count > 0);
        counts.truncate(used.map_or(0, |last| last + 1));
        Self {
            counts,
            count: self.count - earlier.count,
            sum_cycles: self.sum_cycles - earlier.sum_cycles,
        }
    }

    /// The least length that at least `permille` thousandths of all do not exceed, 0 to 1000; `None` of none at all.
    pub fn percentile(&self, permille: u64) -> Option<u64> {
        let rank = u128::from(self.count) * u128::from(permille);
        let rank = rank.div_ceil(1000).max(1);
        let mut so_far = 0;
        for (range, count) in self.counts.iter().enumerate() {
            so_far += u128::from(*count);
            if so_far >= rank {
                return Some(last_of(range));
            }
        }
        None
    }

    /// Its figures.
    pub fn summary(&self) -> LatencySummary {
        let mean = self.sum_cycles as f64 / self.count as f64;
        LatencySummary {
            count: self.count,
            mean: (self.count > 0).then_some(mean),
            p50: self.percentile(500),
            p90: self.percentile(900),
            p99: self.percentile(990),
            p99_9: self.percentile(999),
            max: self.percentile(1000),
        }
    }
}

impl Serialize for LatencyHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.summary().serialize(serializer)
    }
}

#[inline]
fn range_of(cycles: u64) -> usize {
    if cycles < EXACT_BELOW_CYCLES {
        return cycles as usize;
    }
    let doubling = cycles.ilog2();
    let within = (cycles >> (doubling - RANGE_BITS)) % RANGES_PER_DOUBLING;
    (EXACT_BELOW_CYCLES + u64::from(doubling - EXACT_BITS) * RANGES_PER_DOUBLING + within) as usize
}

/// The greatest length of a range.
fn last_of(range: usize) -> u64 {
    let Some(above) = (range as u64).checked_sub(EXACT_BELOW_CYCLES) else {
        return range as u64;
    };
    let shift = EXACT_BITS - RANGE_BITS + (above / RANGES_PER_DOUBLING) as u32;
    let first = (RANGES_PER_DOUBLING + above % RANGES_PER_DOUBLING) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        for cycles in lengths {
            histogram.add(cycles);
        }
        histogram
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list_by_nearest_rank() {
        let mut lengths: Vec<u64> = (0..1777).map(|n| n * n * 31 % 16_384).collect();
        let histogram = of(lengths.iter().copied());
        lengths.sort_unstable();
        for permille in [1, 500, 900, 990, 999, 1000] {
            let rank = (lengths.len() * permille).div_ceil(1000);
            let expected = lengths[rank - 1];
            assert_eq!(histogram.percentile(permille as u64), Some(expected));
        }
        let mean = lengths.iter().sum::<u64>() as f64 / 1777.0;
        assert_eq!(histogram.summary().mean, Some(mean));
    }

    #[test]
    fn a_range_has_one_length_at_first_and_then_a_width_of_one_in_128() {
        for cycles in (0..70_000).chain([1 << 20, (1 << 40) + 12_345, u64::MAX]) {
            let last = last_of(range_of(cycles));
            assert!(last >= cycles, "{cycles}: {last}");
            if cycles < EXACT_BELOW_CYCLES {
                assert_eq!(last, cycles);
            } else {
                assert!(last - cycles < cycles / 128, "{cycles}: {last}");
            }
        }
        assert!(range_of(u64::MAX) * 8 < 180 << 10);
    }

    #[test]
    fn a_difference_is_the_histogram_of_what_came_in_between() {
        let earlier = of([5, 5, 900]);
        let later = of([5, 5, 900, 7, 5]);
        assert_eq!(later.since(&earlier), of([7, 5]));
        assert_eq!(later.since(&later), of([]));
        assert_eq!(of([]).summary(), LatencySummary::default());
    }
}
