//! What the arrays of one side hold, followed by what its monitor says of them.
//!
//! Contract: 2.1 (places), 4 (formats), 10 (monitor). SDM: none. Counterpart: `src/model/places.rs`, the same rule where the model needs it.

use std::collections::BTreeMap;

use super::log::sign_extended;
use crate::arch::{PageSize, PagingMode};
use crate::config::{ArraySpec, Config, Level, Serves};
use crate::cosim::events::removal;
use crate::model::mmu_pkg::{ARRAY_FILL, ARRAY_INVALIDATE, Outputs, PSC_LEVELS, TLB_ARRAYS};

/// What a way holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub tag: u64,
    pub data: u64,
    /// The cycle of the fill.
    pub filled: u64,
    /// The cycle of the last look-up that hit it.
    pub hit: Option<u64>,
}

/// Arrays and caches; those have the numbers from [`TLB_ARRAYS`] on.
pub(super) struct Mirror {
    arrays: [ArraySpec; TLB_ARRAYS],
    caches: [(u32, u32); PSC_LEVELS],
    held: BTreeMap<(usize, u64, u64), Held>,
}

impl Mirror {
    pub fn new(config: &Config) -> Self {
        let mut arrays = [ArraySpec::ABSENT; TLB_ARRAYS];
        for level in Level::ALL {
            let own = config.arrays(level);
            arrays[level.first_array()..][..own.len()].copy_from_slice(&own);
        }
        Self {
            arrays,
            caches: config.psc_arrays().map(|cache| (cache.sets, cache.ways)),
            held: BTreeMap::new(),
        }
    }

    /// Takes in the array events of a cycle; array, set, way and tag of what is lost by them.
    pub fn apply(&mut self, cycle: u64, outputs: &Outputs) -> Vec<(usize, u64, u64, u64)> {
        let mut lost = Vec::new();
        let arrays = outputs.monitor.tlb.iter().chain(&outputs.monitor.psc);
        for (array, event) in arrays.enumerate() {
            match event.op {
                ARRAY_FILL => {
                    let set = u64::from(event.set);
                    self.remove(array, set, event.removed, &mut lost);
                    let held = Held {
                        tag: event.tag,
                        data: event.data,
                        filled: cycle,
                        hit: None,
                    };
                    self.held.insert((array, set, event.way.into()), held);
                }
                ARRAY_INVALIDATE => {
                    let losses = if array < TLB_ARRAYS {
                        removal::of_tlb(event)
                    } else {
                        removal::of_psc(event, self.caches[array - TLB_ARRAYS].1)
                    };
                    for (set, ways) in losses {
                        self.remove(array, set, ways, &mut lost);
                    }
                }
                _ => {}
            }
        }
        lost
    }

    fn remove(
        &mut self,
        array: usize,
        set: u64,
        ways: u64,
        lost: &mut Vec<(usize, u64, u64, u64)>,
    ) {
        for way in (0..64).filter(|way| ways >> way & 1 != 0) {
            if let Some(held) = self.held.remove(&(array, set, way)) {
                lost.push((array, set, way, held.tag));
            }
        }
    }

    /// A look-up at a level hits what is held of the address.
    pub fn hit(&mut self, cycle: u64, level: usize, va: u64, pcid: u64) {
        let own = 4 * level..4 * level + 4;
        let held = self
            .held
            .iter_mut()
            .filter(|((array, ..), _)| own.contains(array));
        for (_, held) in held.filter(|(_, held)| {
            covers(held.tag, va) && (held.tag >> 57 & 1 != 0 || held.tag >> 45 & 0xfff == pcid)
        }) {
            held.hit = Some(cycle);
        }
    }

    /// A walk begins at what a cache holds of the address.
    pub fn hit_cache(&mut self, cycle: u64, cache: usize, va: u64, pcid: u64) {
        for ((array, ..), held) in &mut self.held {
            if *array == TLB_ARRAYS + cache
                && held.tag >> 36 & 0xfff == pcid
                && cache_covers(cache, held.tag, va)
            {
                held.hit = Some(cycle);
            }
        }
    }

    /// The ways of a set that hold something.
    pub fn set(&self, array: usize, set: u64) -> impl Iterator<Item = (u64, Held)> {
        let row = self.held.range((array, set, 0)..=(array, set, u64::MAX));
        row.map(|((_, _, way), held)| (*way, *held))
    }

    /// How many ways a set has.
    pub fn ways(&self, array: usize) -> u32 {
        match array.checked_sub(TLB_ARRAYS) {
            None => self.arrays[array].ways,
            Some(cache) => self.caches.get(cache).map_or(0, |(_, ways)| *ways),
        }
    }

    /// Whether a way that holds `tag` is of the address.
    pub fn covers(array: usize, tag: u64, va: u64) -> bool {
        match array.checked_sub(TLB_ARRAYS) {
            None => covers(tag, va),
            Some(cache) => cache_covers(cache, tag, va),
        }
    }

    /// The size of the page of `va` that is held somewhere.
    pub fn page_size(&self, va: u64) -> Option<PageSize> {
        let mut tlbs = self
            .held
            .iter()
            .filter(|((array, ..), _)| *array < TLB_ARRAYS);
        let (_, held) = tlbs.find(|(_, held)| covers(held.tag, va))?;
        PageSize::from_code((held.tag >> 60 & 3) as u8)
    }

    /// Arrays and sets in which the page of `va` may stand, whatever its size.
    pub fn places(&self, va: u64, mode: PagingMode) -> Vec<(usize, u64)> {
        let mut places = Vec::new();
        let page = (va & ((1 << 57) - 1)) >> 12;
        for level in Level::ALL {
            for kind in [Serves::Reads, Serves::Writes] {
                for size in mode.array_page_sizes() {
                    let serving: Vec<usize> = (level.first_array()..level.first_array() + 4)
                        .filter(|array| {
                            let spec = &self.arrays[*array];
                            spec.ways > 0
                                && spec.serves as u8 & kind as u8 != 0
                                && spec.holds(*size)
                        })
                        .collect();
                    let number = page >> (size.shift() - 12);
                    let count = serving.len() as u64;
                    let Some(array) = number
                        .checked_rem(count)
                        .and_then(|n| serving.get(n as usize))
                    else {
                        continue;
                    };
                    let rest = number / count;
                    places.push((*array, rest % u64::from(self.arrays[*array].sets.max(1))));
                }
            }
        }
        for row in mode.spec().levels {
            let Some(cache) = (row.level as usize).checked_sub(2) else {
                continue;
            };
            let (sets, ways) = self.caches[cache];
            if ways > 0 {
                let number = (va & ((1 << 57) - 1)) >> row.index_shift;
                places.push((TLB_ARRAYS + cache, number % u64::from(sets.max(1))));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

fn covers(tag: u64, va: u64) -> bool {
    let size = PageSize::from_code((tag >> 58 & 3) as u8).unwrap_or(PageSize::Size4K);
    let page = sign_extended((tag & ((1 << 45) - 1)) << 12);
    (page ^ va) & ((1 << 57) - 1) >> size.shift() << size.shift() == 0
}

fn cache_covers(cache: usize, tag: u64, va: u64) -> bool {
    let shift = 21 + 9 * cache as u32;
    let prefix = sign_extended((tag & ((1 << 36) - 1)) << 21);
    (prefix ^ va) & ((1 << 57) - 1) >> shift << shift == 0
}
