//! The cache of page-table lines in front of testbench memory: which accesses it answers sooner.
//!
//! Contract: 13. SDM: none. Counterpart: none; the harness around either twin uses it, with one instance for each.

use crate::config::TableCacheSpec;

const LINE_SHIFT: u32 = 6;
/// No line: addresses have 52 bits.
const FREE: u64 = u64::MAX;

/// Lines by set, each set in the order of use. It holds no data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TableCache {
    sets: u64,
    ways: usize,
    latency_cycles: u64,
    /// `ways` lines a set, the most recent first; the free ones stand last.
    lines: Vec<u64>,
}

impl TableCache {
    /// An empty cache; none without ways.
    pub(super) fn new(spec: &TableCacheSpec) -> Option<Self> {
        let (sets, ways) = (spec.sets.max(1), spec.ways as usize);
        (ways > 0).then(|| Self {
            sets: sets.into(),
            ways,
            latency_cycles: spec.latency_cycles.into(),
            lines: vec![FREE; sets as usize * ways],
        })
    }

    /// Cycles from the accept of an access whose line is there to its response.
    pub(super) const fn latency_cycles(&self) -> u64 {
        self.latency_cycles
    }

    /// Whether the line of `address` is there; from now on it is, as the most recent of its set.
    pub(super) fn access(&mut self, address: u64) -> bool {
        let line = address >> LINE_SHIFT;
        let first = (line % self.sets) as usize * self.ways;
        let set = &mut self.lines[first..first + self.ways];
        let found = set.iter().position(|held| *held == line);
        let place = found.unwrap_or(set.len() - 1);
        set[place] = line;
        set[..=place].rotate_right(1);
        found.is_some()
    }
}
