//! What the test machine is built of, and where pages stand in it.
//!
//! Contract: 2, 2.1, 4.4. SDM: none. Counterpart: none; independent of `reference::geometry`, which it exercises.

use twinwalk::arch::PageSize;
use twinwalk::config::{Config, PscArraySpec, Replacement, Serves, TlbArraySpec, TlbSpec};
use twinwalk::model::mmu_pkg::{PSC_LEVELS, TLB_ARRAYS};

/// log2 of the bytes of a page, by its code.
pub const SHIFTS: [u32; 3] = [12, 21, 30];

/// The bits of an address that count where sets are counted: va[56:0].
pub fn counted(va: u64) -> u64 {
    va & ((1 << 57) - 1)
}

/// One TLB array. `sizes`: a bit for each code; `serves`: 1 reads and fetches, 2 writes.
#[derive(Clone, Copy)]
pub struct ArrayShape {
    pub sizes: u8,
    pub sets: usize,
    pub ways: usize,
    pub serves: u8,
}

impl ArrayShape {
    pub const NONE: Self = Self::of(0, 1, 0);

    /// An array that serves all requests.
    pub const fn of(sizes: u8, sets: usize, ways: usize) -> Self {
        Self {
            sizes,
            sets,
            ways,
            serves: 3,
        }
    }

    pub const fn serving(self, serves: u8) -> Self {
        Self { serves, ..self }
    }
}

/// Sizes and latencies.
#[derive(Clone)]
pub struct Shape {
    /// By array number.
    pub tlb: [ArrayShape; TLB_ARRAYS],
    /// Sets and ways.
    pub psc: [(usize, usize); PSC_LEVELS],
    pub inclusive: bool,
    pub queue_entries: usize,
    pub hit_cycles: [u64; 3],
}

/// One array a page size at each level: sets and ways, three of a level after the other.
pub fn one_a_size(sizes: [(usize, usize); 9]) -> [ArrayShape; TLB_ARRAYS] {
    std::array::from_fn(|array| match array % 4 {
        3 => ArrayShape::NONE,
        size => {
            let (sets, ways) = sizes[array / 4 * 3 + size];
            ArrayShape::of(1 << size, sets, ways)
        }
    })
}

impl Shape {
    fn serving(&self, level: usize, write: bool, size: usize) -> Vec<usize> {
        let asked = if write { 2 } else { 1 };
        let holds = |index: &usize| {
            let array = self.tlb[*index];
            array.ways > 0 && array.sizes >> size & 1 != 0 && array.serves & asked != 0
        };
        (4 * level..4 * level + 4).filter(holds).collect()
    }

    /// The size in which `level` keeps a page of `size`.
    pub fn kept(&self, level: usize, write: bool, size: usize) -> Option<usize> {
        let holds = |size: &usize| !self.serving(level, write, *size).is_empty();
        (0..=size).rev().find(holds)
    }

    /// Array and set of the page of that kept size around `va`.
    pub fn place(&self, level: usize, write: bool, va: u64, kept: usize) -> Option<(usize, usize)> {
        let arrays = self.serving(level, write, kept);
        let page = (counted(va) >> SHIFTS[kept]) as usize;
        let array = *arrays.get(page.checked_rem(arrays.len())?)?;
        Some((array, page / arrays.len() % self.tlb[array].sets))
    }

    /// The sets of an array in which pages around `va` would stand, each with the kept size.
    pub fn sets_of(&self, array: usize, va: u64) -> Vec<(usize, usize)> {
        let mut sets = Vec::new();
        for (write, kept) in [false, true]
            .into_iter()
            .flat_map(|w| [0, 1, 2].map(|k| (w, k)))
        {
            match self.place(array / 4, write, va, kept) {
                Some((at, set)) if at == array && !sets.contains(&(set, kept)) => {
                    sets.push((set, kept));
                }
                _ => {}
            }
        }
        sets
    }

    /// Whether some level keeps pages in pieces.
    pub fn fractures(&self) -> bool {
        let mut cases = (0..3).flat_map(|level| [(level, false), (level, true)]);
        cases.any(|(level, write)| {
            [1, 2].into_iter().any(|size| {
                self.kept(level, write, size)
                    .is_some_and(|kept| kept < size)
            })
        })
    }

    /// The same machine as a configuration, with 46 physical address bits, 1 GiB pages and five levels.
    pub fn config(&self) -> Config {
        let level = |number: usize| {
            let arrays = self.tlb[4 * number..4 * number + 4].iter();
            let arrays = arrays
                .filter(|array| array.ways > 0)
                .map(|array| TlbArraySpec {
                    page_sizes: PageSize::ARRAYS
                        .into_iter()
                        .filter(|size| array.sizes >> size.array_index() & 1 != 0)
                        .collect(),
                    sets: array.sets as u32,
                    ways: array.ways as u32,
                    replacement: Replacement::Lru,
                    serves: [Serves::Reads, Serves::Writes, Serves::All]
                        [usize::from(array.serves) - 1],
                });
            TlbSpec {
                hit_latency_cycles: self.hit_cycles[number] as u32,
                inclusive: number == 2 && self.inclusive,
                arrays: arrays.collect(),
            }
        };
        let mut config = Config {
            itlb: level(0),
            dtlb: level(1),
            stlb: level(2),
            ..Config::default()
        };
        let psc = self.psc.map(|(sets, ways)| PscArraySpec {
            sets: sets as u32,
            ways: ways as u32,
            replacement: Replacement::Lru,
        });
        [
            config.psc.pde,
            config.psc.pdpte,
            config.psc.pml4e,
            config.psc.pml5e,
        ] = psc;
        config.validate().expect("the shape is one of a machine");
        config
    }
}
