//! Random operations of the hard kind, made from a seed as they are needed.
//!
//! Contract: every section is pressed on. SDM vol. 3A, 4.6 to 4.10. Counterpart: none.
//!
//! A stream is one machine from reset on, of a bounded number of operations. Each has a temper of its own: how dense operations
//! come, how often tables change, how slow memory is, how the links stall. Within a stream short scenes follow each
//! other: a burst of requests over a small working set, entries rewritten under the machine's feet, invalidations and stores timed
//! to meet a walk, changes of address space, rights, PCID and mode. Tables are few and point at each other in every way ([`world`]), so
//! that pages collide in sets, alias, and change their size.

pub mod prng;
pub mod races;
pub mod registers;
mod scenes;
mod steered;
mod stream;
pub mod world;

use std::collections::VecDeque;

use crate::arch::{Access, AccessKind, PagingMode};
use crate::config::Config;

pub use self::stream::RandomStream;

use self::prng::Prng;
use self::registers::Registry;
use self::world::{Address, World};
use super::stimulus::{Action, Control, Operation, OperationSource, Request};

/// How often a stream enters 32-bit paging, of 1000 times: the usual stream.
const TWO_LEVEL_PERMILLE: u64 = 110;
/// The same of a stream that is mostly there, of which there is one in eight; together a fifth of all time.
const MOSTLY_TWO_LEVEL_PERMILLE: u64 = 850;

/// What kind of stream it is.
#[derive(Debug, Clone)]
struct Temper {
    /// Weights of the scenes.
    scenes: [u64; Scene::COUNT],
    /// Weights of the gap classes: none, a few cycles, some, about a walk.
    gaps: [u64; 4],
    /// Addresses in the working set.
    working_set: usize,
    /// Of 1000 scenes, those that are steered ([`steered`]): 0 but where coverage is counted.
    steered_permille: u64,
    /// Of 1000 times that paging is entered, those in 32-bit paging.
    two_level_permille: u64,
    /// Cycles that a memory access takes, about.
    access_cycles: u64,
    /// Cycles from the accept of a request to the result of the STLB, for the fetch port and for the data ports.
    stlb_result_cycles: [u64; 2],
}

/// A short piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Scene {
    /// Requests over the working set.
    Burst,
    /// Requests to one page with changing rights.
    Contexts,
    /// A read, then a write to the same page.
    ReadThenWrite,
    /// Entries rewritten, invalidated or not, and used again.
    Rewrite,
    /// A store that may hit between the read of an entry and its compare-and-set.
    Race,
    /// An invalidation that may hit a walk.
    InvalidateDuringWalk,
    /// Two misses that ask for the walker at once: a sweep holds up the STLB's results of both, or both are denied in the first level.
    HeldUp,
    /// Two pages that follow each other, for the prefetch.
    NextPage,
    /// Invalidations by themselves.
    Invalidate,
    /// Another address space.
    Switch,
    /// A bit of a control register.
    Adjust,
    /// PCIDE.
    Pcide,
    /// Writes that are refused.
    Mischief,
    /// Paging off, and on again in any mode.
    Mode,
    /// An address that is not canonical.
    NonCanonical,
    /// Wait for everything, or for some cycles.
    Pause,
}

impl Scene {
    const COUNT: usize = 16;
    const ALL: [Self; Self::COUNT] = [
        Self::Burst,
        Self::Contexts,
        Self::ReadThenWrite,
        Self::Rewrite,
        Self::Race,
        Self::InvalidateDuringWalk,
        Self::HeldUp,
        Self::NextPage,
        Self::Invalidate,
        Self::Switch,
        Self::Adjust,
        Self::Pcide,
        Self::Mischief,
        Self::Mode,
        Self::NonCanonical,
        Self::Pause,
    ];
    /// The usual mixture.
    const WEIGHTS: [u64; Self::COUNT] = [
        400, 90, 70, 110, 130, 80, 50, 30, 40, 40, 25, 15, 35, 6, 25, 40,
    ];
}

/// A random stream. Made from (configuration, seed, number of the stream), and nothing else.
#[derive(Debug, Clone)]
pub struct Generator {
    prng: Prng,
    world: World,
    registry: Registry,
    temper: Temper,
    ports: u8,
    working_set: Vec<Address>,
    queue: VecDeque<Operation>,
    left: u64,
    scenes_until_change: u64,
}

impl Generator {
    fn new(
        config: &Config,
        two_level_permille: u64,
        world: World,
        mut prng: Prng,
        operations: u64,
    ) -> Self {
        let memory = &config.memory;
        let mut scenes = Scene::WEIGHTS;
        // Each stream favours two scenes.
        for _ in 0..2 {
            scenes[prng.below(Scene::COUNT as u64 - 2) as usize] *= 3;
        }
        let temper = Temper {
            scenes,
            gaps: prng.pick(&[
                [70, 20, 8, 2],
                [40, 30, 20, 10],
                [20, 20, 30, 30],
                [95, 5, 0, 0],
            ]),
            working_set: prng.pick(&[3, 6, 12, 24, 80, 200]),
            steered_permille: 0,
            two_level_permille,
            access_cycles: u64::from(memory.latency_cycles)
                + u64::from(memory.jitter_cycles) / 2
                + u64::from(memory.accept_interval_cycles)
                + 1,
            stlb_result_cycles: [&config.itlb, &config.dtlb].map(|l1| {
                1 + u64::from(l1.hit_latency_cycles) + u64::from(config.stlb.hit_latency_cycles)
            }),
        };
        let mut generator = Self {
            registry: Registry::new(config.arch_capabilities()),
            ports: config.ports() as u8,
            working_set: Vec::new(),
            queue: VecDeque::new(),
            left: operations,
            scenes_until_change: 0,
            temper,
            world,
            prng,
        };
        if generator.prng.chance(300) {
            // With paging off, as after reset.
            generator.change_working_set();
            generator.burst();
        }
        let mode = generator.choose_mode();
        generator.enter_paging(mode);
        generator
    }

    fn push(&mut self, action: Action) {
        self.push_after(0, action);
    }

    fn push_after(&mut self, gap_cycles: u64, action: Action) {
        self.queue.push_back(Operation {
            gap_cycles: gap_cycles as u32,
            action,
        });
    }

    fn push_controls(&mut self, controls: Vec<Control>) {
        for control in controls {
            let gap = self.gap();
            self.push_after(gap, Action::Control(control));
        }
    }

    /// A gap between two operations, by the temper.
    fn gap(&mut self) -> u64 {
        match self.prng.weighted(&self.temper.gaps) {
            0 => 0,
            1 => self.prng.between(1, 4),
            2 => self.prng.between(5, 20),
            _ => self.during_walk(),
        }
    }

    /// A number of cycles within which a walk that begins now is likely to be under way.
    fn during_walk(&mut self) -> u64 {
        let longest = 8 + 5 * self.temper.access_cycles;
        self.prng.below(longest.min(400))
    }

    /// The next scenes; at least one operation.
    fn refill(&mut self) {
        if self.scenes_until_change == 0 {
            self.change_working_set();
            self.scenes_until_change = self.prng.between(10, 200);
        }
        self.scenes_until_change -= 1;
        // Without steering no number is drawn: the usual streams stay what they are.
        if self.temper.steered_permille > 0 && self.prng.chance(self.temper.steered_permille) {
            return self.steered_scene();
        }
        match Scene::ALL[self.prng.weighted(&self.temper.scenes)] {
            Scene::Burst => self.burst(),
            Scene::Contexts => self.contexts(),
            Scene::ReadThenWrite => self.read_then_write(),
            Scene::Rewrite => self.rewrite(),
            Scene::Race => self.race(),
            Scene::InvalidateDuringWalk => self.invalidate_during_walk(),
            Scene::HeldUp => self.held_up(),
            Scene::NextPage => self.next_page(),
            Scene::Invalidate => self.invalidate(),
            Scene::Switch => {
                self.controls(|registry, world, prng, out| registry.switch(world, prng, out))
            }
            Scene::Adjust => self.controls(|registry, _, prng, out| registry.adjust(prng, out)),
            Scene::Pcide => {
                self.controls(|registry, world, prng, out| registry.toggle_pcide(world, prng, out))
            }
            Scene::Mischief => self.controls(|registry, _, prng, out| registry.mischief(prng, out)),
            Scene::Mode => self.mode(),
            Scene::NonCanonical => self.non_canonical(),
            Scene::Pause => self.pause(),
        }
    }

    fn controls(&mut self, make: impl FnOnce(&mut Registry, &World, &mut Prng, &mut Vec<Control>)) {
        let mut controls = Vec::new();
        make(
            &mut self.registry,
            &self.world,
            &mut self.prng,
            &mut controls,
        );
        self.push_controls(controls);
    }

    /// A mode to enter; of 5 levels only where the machine has them.
    fn choose_mode(&mut self) -> PagingMode {
        if self.prng.chance(self.temper.two_level_permille) {
            PagingMode::TwoLevel
        } else if self.prng.chance(450) {
            PagingMode::FiveLevel
        } else {
            PagingMode::FourLevel
        }
    }

    fn enter_paging(&mut self, mode: PagingMode) {
        self.controls(|registry, world, prng, out| registry.enter_paging(mode, world, prng, out));
    }

    fn change_working_set(&mut self) {
        self.working_set.clear();
        let mut address = self.world.address(&mut self.prng);
        for _ in 0..self.temper.working_set {
            self.working_set.push(address);
            // Every other address lies near the one before: it shares part of its path.
            address = match self.prng.below(4) {
                0 => self.world.neighbour(address, 2, &mut self.prng),
                1 => self.world.neighbour(address, 3, &mut self.prng),
                _ => self.world.address(&mut self.prng),
            };
        }
    }

    /// An address of the working set; those in front more often.
    fn hot(&mut self) -> u64 {
        let length = self.working_set.len() as u64;
        let first = self.prng.below(length);
        let index = if self.prng.chance(500) {
            self.prng.below(first + 1)
        } else {
            first
        };
        let mode = self.registry.mode();
        let va = self.working_set[index as usize].in_mode(mode);
        if mode == PagingMode::TwoLevel && self.prng.chance(300) {
            registers::with_upper_half(va, &mut self.prng)
        } else {
            va
        }
    }

    fn access(&mut self, kind: AccessKind) -> Access {
        Access {
            kind,
            cpl: self.prng.pick(&[0, 0, 0, 3, 3, 3, 1, 2]),
            ac: self.prng.chance(600),
            implicit_supervisor: self.prng.chance(60),
            pkru: self.prng.pick(&[
                0,
                0,
                0,
                0,
                0,
                0,
                0x8,
                0x4,
                0xc00,
                0xc000_0000,
                0x5555_5554,
                0xaaaa_aaaa,
            ]),
        }
    }

    fn kind(&mut self) -> AccessKind {
        match self.prng.below(10) {
            0..3 => AccessKind::Fetch,
            3..7 => AccessKind::Read,
            _ => AccessKind::Write,
        }
    }

    fn request(&mut self, gap_cycles: u64, va: u64, access: Access) {
        let port = match access.kind {
            AccessKind::Fetch => 0,
            _ => self.prng.between(1, u64::from(self.ports) - 1) as u8,
        };
        let size = self.prng.pick(&[1u64, 4, 8, 16, 64]);
        // Those of 16 bytes end with their page: what is behind it must not be taken for part of them.
        let va = match size {
            16 => (va & !0xfff) | 0xff0,
            _ => va,
        };
        let size_bytes = size.min(0x1000 - (va & 0xfff)) as u8;
        self.push_after(
            gap_cycles,
            Action::Request(Request {
                port,
                va,
                access,
                size_bytes,
            }),
        );
    }
}

impl OperationSource for Generator {
    fn next_operation(&mut self) -> Option<Operation> {
        self.left = self.left.checked_sub(1)?;
        while self.queue.is_empty() {
            self.refill();
        }
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::stimulus::config_text::check_operation;

    #[test]
    fn a_seed_means_the_same_operations_and_another_seed_others() {
        let config = Config::default();
        let operations = |seed, stream| {
            let mut generator = RandomStream::new(&config, seed, stream, 3_000).generator;
            std::iter::from_fn(move || generator.next_operation()).collect::<Vec<_>>()
        };
        assert_eq!(operations(1, 0).len(), 3_000);
        assert_eq!(operations(1, 0), operations(1, 0));
        assert_ne!(operations(1, 0), operations(2, 0));
        assert_ne!(operations(1, 0), operations(1, 1));
    }

    /// Where in its page the access ends; the last of all pages ends where no address is.
    fn end_in_page(request: &Request) -> u64 {
        request.va % 0x1000 + u64::from(request.size_bytes)
    }

    #[test]
    fn every_operation_can_be_asked_of_the_machine() {
        for preset in crate::config::presets::ALL {
            let source = crate::config::load::Source::Preset(preset.name.to_owned());
            let config = crate::config::load::load(&source, &[]).unwrap().config;
            for stream in 0..4 {
                let mut random = RandomStream::new(&config, 9, stream, 5_000);
                assert_eq!(random.setup.machine("x").unwrap(), random.config);
                while let Some(operation) = random.generator.next_operation() {
                    assert_eq!(
                        check_operation(&operation, &random.config),
                        Ok(()),
                        "{}",
                        preset.name
                    );
                    if let Action::Request(request) = operation.action {
                        assert!(end_in_page(&request) <= 0x1000);
                    }
                }
            }
        }
    }

    /// Requests by the mode in which they take effect, as far as the order of operations says it, over many streams.
    #[test]
    fn a_fifth_of_all_requests_is_made_in_32_bit_paging_and_some_streams_are_mostly_there() {
        let config = Config::default();
        let (mut all, mut narrow, mut mostly, mut upper) = (0u64, 0u64, 0, 0u64);
        for stream in 0..200 {
            let mut generator = RandomStream::new(&config, 11, stream, 10_000).generator;
            let mut registry = Registry::new(config.arch_capabilities());
            let (mut here, mut there) = (0u64, 0u64);
            while let Some(operation) = generator.next_operation() {
                match operation.action {
                    Action::Control(control) => registry.follow(&control),
                    Action::Request(request) => {
                        here += 1;
                        let two_level = registry.get().paging_mode() == PagingMode::TwoLevel;
                        there += u64::from(two_level);
                        upper += u64::from(two_level && request.va >> 32 != 0);
                    }
                    _ => {}
                }
            }
            all += here;
            narrow += there;
            mostly += u32::from(there * 3 > here * 2);
        }
        let percent = 100 * narrow / all;
        assert!((15..28).contains(&percent), "{percent}");
        assert!((15..40).contains(&mostly), "{mostly}");
        assert!(upper * 10 > narrow * 2, "{upper} of {narrow}");
    }

    #[test]
    fn every_kind_of_operation_occurs_and_some_accesses_end_with_their_page() {
        let config = Config::default();
        let mut kinds = std::collections::BTreeMap::new();
        let mut ending = 0;
        for stream in 0..8 {
            let mut random = RandomStream::new(&config, 4, stream, 20_000);
            while let Some(operation) = random.generator.next_operation() {
                if let Action::Request(request) = operation.action {
                    ending += u32::from(end_in_page(&request) == 0x1000);
                }
                let text = operation.action.to_string();
                let verb = text.split(' ').next().unwrap_or_default().to_owned();
                *kinds.entry(verb).or_insert(0u32) += 1;
            }
        }
        for verb in [
            "fetch", "read", "write", "store", "store4", "drain", "idle", "cr0", "cr3", "cr4",
            "efer", "invlpg", "invpcid",
        ] {
            assert!(
                kinds.get(verb).is_some_and(|count| *count > 160),
                "{verb}: {kinds:?}"
            );
        }
        assert!(ending > 16_000, "{ending}");
    }
}
