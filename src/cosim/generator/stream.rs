//! A random stream: the machine that it runs on, its stalls, its tables, and the generator of its operations.
//!
//! Contract: section 13. SDM: none. Counterpart: none.

use super::prng::Prng;
use super::world::World;
use super::{Generator, MOSTLY_TWO_LEVEL_PERMILLE, TWO_LEVEL_PERMILLE};
use crate::config::{Config, MemorySpec};
use crate::cosim::stall::{Link, StallRates};
use crate::cosim::stimulus::{ConfigText, Setup};

/// Memory of a random stream, if the configuration does not say: so much that tables may stand at high addresses, and not all that
/// can be addressed, so that some entries point to where no memory is.
const MEMORY_SHARE: (u64, u64) = (3, 4);

/// Memory of some of these streams: less than 4 GiB, so that some entries of 32-bit paging point to where no memory is, too.
const SMALL_MEMORY_BYTES: u64 = 3 << 30;

/// A stream and the machine that it runs on.
#[derive(Debug, Clone)]
pub struct RandomStream {
    /// The machine: as asked for, with a memory that suits the stream.
    pub config: Config,
    /// Header and memory image.
    pub setup: Setup,
    /// The operations.
    pub generator: Generator,
}

/// Of 1000 scenes of a steered stream, those that are steered.
const STEERED_PERMILLE: u64 = 600;

/// Makes the draws of the bandwidth other than those of everything else.
const BANDWIDTH: u64 = 0x6261_6e64;

/// Every fourth stream has a memory that takes less than one access a cycle, or few at a time, or a cache for the lines of tables.
fn draw_bandwidth(memory: &mut MemorySpec, prng: &mut Prng) {
    if prng.chance(250) {
        memory.accept_interval_cycles = prng.between(1, 12) as u32;
        memory.outstanding = prng.between(1, 4) as u32;
        let cache = &mut memory.table_cache;
        cache.ways = prng.below(3) as u32;
        cache.sets = prng.between(1, 8) as u32;
        cache.latency_cycles = 1;
    }
    let cache = &mut memory.table_cache;
    cache.latency_cycles = cache.latency_cycles.min(memory.latency_cycles);
}

impl RandomStream {
    /// Stream number `stream` of `seed`, of `operations` operations.
    ///
    /// Every fourth stream runs with latency and jitter as configured; the others draw theirs, because what meets what depends on them.
    pub fn new(config: &Config, seed: u64, stream: u64, operations: u64) -> Self {
        let mut prng = Prng::new(seed, stream);
        let mut config = config.clone();
        if stream % 4 != 3 {
            config.memory.latency_cycles = match prng.weighted(&[5, 3, 1]) {
                0 => prng.between(1, 4) as u32,
                1 => prng.between(5, 20) as u32,
                _ => prng.between(21, 60) as u32,
            };
            config.memory.jitter_cycles = if prng.chance(500) {
                prng.between(1, 12) as u32
            } else {
                0
            };
        }
        draw_bandwidth(&mut config.memory, &mut Prng::new(seed ^ BANDWIDTH, stream));
        if config.memory.size_bytes.is_none() {
            let share = if prng.chance(250) {
                SMALL_MEMORY_BYTES
            } else {
                config.memory_size_bytes() / MEMORY_SHARE.1 * MEMORY_SHARE.0
            };
            config.memory.size_bytes = Some(share & !0xfff);
        }
        let stalls = stall_rates(config.ports() as u8, &mut prng);
        let world = World::new(&config, &mut prng);
        let setup = Setup {
            about: vec![format!("random operations: seed {seed}, stream {stream}")],
            config: ConfigText::of(&config),
            seed: prng.bits(),
            stalls,
            front_end: false,
            image: world.image().clone(),
        };
        // By number, so that a run of a few streams has its share.
        let two_level_permille = match stream % 8 {
            2 => MOSTLY_TWO_LEVEL_PERMILLE,
            _ => TWO_LEVEL_PERMILLE,
        };
        let generator = Generator::new(&config, two_level_permille, world, prng, operations);
        Self {
            config,
            setup,
            generator,
        }
    }
}

impl RandomStream {
    /// The same stream with steered scenes among the usual ones, which make what random ones seldom do: where coverage is counted.
    #[must_use]
    pub fn steered(mut self) -> Self {
        self.generator.steer(STEERED_PERMILLE);
        self.setup.about.push("with steered scenes".to_owned());
        self
    }
}

/// Stalls of a stream: mostly none or mild, sometimes heavy, sometimes one link that is hardly ever ready.
fn stall_rates(ports: u8, prng: &mut Prng) -> StallRates {
    match prng.weighted(&[40, 30, 20, 10]) {
        0 => StallRates::NONE,
        1 => StallRates::uniform(prng.between(10, 150) as u16),
        2 => StallRates::uniform(prng.between(200, 600) as u16),
        _ => {
            let mut rates = StallRates::NONE;
            let port = prng.below(ports.into()) as u8;
            let links = [
                Link::Request(port),
                Link::Response(port),
                Link::Control,
                Link::ControlResponse,
                Link::Memory,
            ];
            rates.set(prng.pick(&links), prng.between(700, 900) as u16);
            rates
        }
    }
}
