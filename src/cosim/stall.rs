//! Stalls of the links around a twin, as a function of (seed, link, cycle): they replay, and can be looked up ahead of time.
//!
//! Contract: section 13 (a link is stalled in cycle t if hash(seed, link, t) mod 1000 < its permille). SDM: none.
//! Counterpart: none; the harness around either twin uses this file.

use std::fmt;

use crate::model::mmu_pkg::MAX_PORTS;

/// The links that the harness can stall.
///
/// A stalled request or control link *begins* no offer in that cycle; an offer that stands is never withdrawn. A stalled
/// response or memory link has `ready` = 0 in that cycle. Memory's answers are delayed by jitter instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Requests into a port.
    Request(u8),
    /// Responses of a port.
    Response(u8),
    /// Control operations.
    Control,
    /// Answers to control operations.
    ControlResponse,
    /// Requests to memory.
    Memory,
}

impl Link {
    /// How many links there are.
    pub const COUNT: usize = 2 * MAX_PORTS + 3;

    /// The link's number in the hash, 0 to [`Link::COUNT`] - 1. Ports must be below [`MAX_PORTS`].
    pub const fn index(self) -> usize {
        match self {
            Self::Request(port) => port as usize,
            Self::Response(port) => MAX_PORTS + port as usize,
            Self::Control => 2 * MAX_PORTS,
            Self::ControlResponse => 2 * MAX_PORTS + 1,
            Self::Memory => 2 * MAX_PORTS + 2,
        }
    }

    /// The link with the number `index`, if there is one.
    pub const fn from_index(index: usize) -> Option<Self> {
        const PORTS_END: usize = 2 * MAX_PORTS;
        if index < MAX_PORTS {
            return Some(Self::Request(index as u8));
        }
        if index < PORTS_END {
            return Some(Self::Response((index - MAX_PORTS) as u8));
        }
        match index - PORTS_END {
            0 => Some(Self::Control),
            1 => Some(Self::ControlResponse),
            2 => Some(Self::Memory),
            _ => None,
        }
    }

    /// Every link, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).filter_map(Self::from_index)
    }

    /// The link that a file names, as [`fmt::Display`] writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|link| link.to_string() == name)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(port) => write!(f, "request{port}"),
            Self::Response(port) => write!(f, "response{port}"),
            Self::Control => f.write_str("control"),
            Self::ControlResponse => f.write_str("control-response"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// How often each link stalls, in thousandths of the cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StallRates {
    permille: [u16; Link::COUNT],
}

impl StallRates {
    /// The highest rate that is accepted. A link that moves in one cycle of twenty still lets every run end, and lets the
    /// watchdog tell a hang from bad luck.
    pub const MAX_PERMILLE: u16 = 950;

    /// No link ever stalls.
    pub const NONE: Self = Self {
        permille: [0; Link::COUNT],
    };

    /// Every link stalls at the same rate, at most [`Self::MAX_PERMILLE`].
    pub fn uniform(permille: u16) -> Self {
        Self {
            permille: [permille.min(Self::MAX_PERMILLE); Link::COUNT],
        }
    }

    /// The rate of `link`, 0 to [`Self::MAX_PERMILLE`].
    pub const fn get(&self, link: Link) -> u16 {
        self.permille[link.index()]
    }

    /// Sets the rate of `link`, at most [`Self::MAX_PERMILLE`].
    pub fn set(&mut self, link: Link, permille: u16) {
        self.permille[link.index()] = permille.min(Self::MAX_PERMILLE);
    }
}

/// The stream of the first link in the hash of contract 13; the streams below are those of memory's jitter.
const FIRST_STREAM: u64 = 16;

/// The stalls of one run: immutable, and the same for both twins without being shared between them.
#[derive(Debug, Clone)]
pub struct Stalls {
    rates: StallRates,
    keys: [u64; Link::COUNT],
}

impl Stalls {
    /// The stalls that `seed` and `rates` mean.
    pub fn new(seed: u64, rates: StallRates) -> Self {
        let keys =
            std::array::from_fn(|link| mix(mix(seed).wrapping_add(FIRST_STREAM + link as u64)));
        Self { rates, keys }
    }

    /// Whether `link` is stalled in `cycle`.
    #[inline]
    pub fn is_stalled(&self, link: Link, cycle: u64) -> bool {
        let index = link.index();
        let permille = self.rates.permille[index];
        permille != 0 && mix(self.keys[index].wrapping_add(cycle)) % 1000 < u64::from(permille)
    }

    /// The first cycle from `cycle` on in which `link` is not stalled.
    ///
    /// Takes at most a few hundred steps in practice, since rates are bounded by [`StallRates::MAX_PERMILLE`].
    #[inline]
    pub fn next_ready(&self, link: Link, cycle: u64) -> u64 {
        let mut cycle = cycle;
        while self.is_stalled(link, cycle) {
            cycle += 1;
        }
        cycle
    }
}

/// The finishing function of the generator SplitMix64, of which contract 13's hash is three: every bit of the result depends on every
/// bit of `value`.
#[inline]
const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_has_a_number_and_a_name_of_its_own() {
        let links: Vec<Link> = Link::all().collect();
        assert_eq!(links.len(), Link::COUNT);
        for (index, link) in links.iter().enumerate() {
            assert_eq!(link.index(), index);
            assert_eq!(Link::from_name(&link.to_string()), Some(*link));
        }
        assert_eq!(Link::from_name("response7"), None);
    }

    #[test]
    fn a_link_stalls_about_as_often_as_its_rate_says() {
        for permille in [0u16, 10, 500, 950] {
            let stalls = Stalls::new(7, StallRates::uniform(permille));
            let stalled = (0..100_000)
                .filter(|cycle| stalls.is_stalled(Link::Memory, *cycle))
                .count() as i64;
            let expected = i64::from(permille) * 100;
            assert!((stalled - expected).abs() < 700, "{permille}: {stalled}");
        }
    }

    #[test]
    fn a_stall_is_the_hash_of_seed_link_and_cycle() {
        let stalls = Stalls::new(11, StallRates::uniform(300));
        for link in Link::all() {
            for cycle in 0..200 {
                let stream = FIRST_STREAM + link.index() as u64;
                let expected = crate::model::memory::hash(11, stream, cycle) % 1000 < 300;
                assert_eq!(stalls.is_stalled(link, cycle), expected);
            }
        }
    }

    #[test]
    fn links_of_one_seed_do_not_stall_in_step() {
        let stalls = Stalls::new(1, StallRates::uniform(500));
        let same = (0..10_000)
            .filter(|cycle| {
                stalls.is_stalled(Link::Memory, *cycle) == stalls.is_stalled(Link::Control, *cycle)
            })
            .count();
        assert!((4_500..5_500).contains(&same), "{same}");
    }

    #[test]
    fn next_ready_is_the_first_cycle_without_a_stall() {
        let stalls = Stalls::new(3, StallRates::uniform(900));
        for start in 0..500 {
            let ready = stalls.next_ready(Link::Response(1), start);
            assert!(!stalls.is_stalled(Link::Response(1), ready));
            assert!((start..ready).all(|cycle| stalls.is_stalled(Link::Response(1), cycle)));
        }
    }

    #[test]
    fn rates_are_bounded_so_that_no_run_can_stand_still() {
        let mut rates = StallRates::uniform(1000);
        assert_eq!(rates.get(Link::Control), StallRates::MAX_PERMILLE);
        rates.set(Link::Control, 999);
        assert_eq!(rates.get(Link::Control), StallRates::MAX_PERMILLE);
    }
}
