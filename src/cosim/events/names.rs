//! What arrays and caches are called: by their level and the page sizes that they hold.
//!
//! Contract: 2 (numbers of arrays). SDM: none. Counterpart: none.

use std::sync::Arc;

use crate::arch::PageSize;
use crate::config::{ARRAYS_OF_A_LEVEL, ArraySpec, Config, Level, Serves};
use crate::model::mmu_pkg::{PSC_LEVELS, TLB_ARRAYS};

/// Names of the paging-structure caches by the contract's numbers.
const PSC_NAMES: [&str; PSC_LEVELS] = ["psc.pde", "psc.pdpte", "psc.pml4e", "psc.pml5e"];

/// The names of a machine's arrays, and what else of them a line of text depends on. Copies share them.
#[derive(Debug, Clone)]
pub struct ArrayNames {
    machine: Arc<Names>,
}

#[derive(Debug)]
struct Names {
    tlb: [String; TLB_ARRAYS],
    /// Arrays that hold several page sizes.
    several: [bool; TLB_ARRAYS],
    /// Sets and ways of the caches.
    psc: [(u32, u32); PSC_LEVELS],
}

impl ArrayNames {
    /// Those of a machine of `config`.
    pub fn new(config: &Config) -> Self {
        let mut tlb: [String; TLB_ARRAYS] = Default::default();
        let mut several = [false; TLB_ARRAYS];
        for level in Level::ALL {
            let first = level.first_array();
            let arrays = config.arrays(level);
            tlb[first..first + ARRAYS_OF_A_LEVEL].clone_from_slice(&names(level, &arrays));
            for (several, array) in several[first..].iter_mut().zip(arrays) {
                *several = array.sizes.count_ones() > 1;
            }
        }
        let psc = config.psc_arrays().map(|cache| (cache.sets, cache.ways));
        Self {
            machine: Arc::new(Names { tlb, several, psc }),
        }
    }

    /// The name of a TLB array, by the contract's number: `dtlb.4k`, `stlb.4k+2m`; with what it serves where that is not all, and with its
    /// letter where another has the same name. An array that the machine does not have is called by its letter alone.
    pub fn tlb(&self, array: usize) -> &str {
        self.machine.tlb.get(array).map_or("tlb?", String::as_str)
    }

    /// Whether a TLB array holds several page sizes.
    pub fn holds_several(&self, array: usize) -> bool {
        self.machine
            .several
            .get(array)
            .is_some_and(|several| *several)
    }

    /// The name of a paging-structure cache, by the contract's number: `psc.pde`.
    pub fn psc(&self, cache: usize) -> &'static str {
        PSC_NAMES.get(cache).copied().unwrap_or("psc?")
    }

    /// Whether a paging-structure cache has more than one set.
    pub fn psc_has_sets(&self, cache: usize) -> bool {
        let psc = self.machine.psc.get(cache);
        psc.is_some_and(|(sets, _)| *sets > 1)
    }

    /// Ways of each set of a paging-structure cache; 0 where there is no such cache.
    pub fn psc_ways(&self, cache: usize) -> u32 {
        let psc = self.machine.psc.get(cache);
        psc.map_or(0, |(_, ways)| *ways)
    }
}

/// The names of a level's arrays.
fn names(level: Level, arrays: &[ArraySpec; ARRAYS_OF_A_LEVEL]) -> [String; ARRAYS_OF_A_LEVEL] {
    let plain = arrays.each_ref().map(|array| plain_name(level, *array));
    std::array::from_fn(|index| {
        let letter = ["a", "b", "c", "d"][index % ARRAYS_OF_A_LEVEL];
        match &plain[index] {
            None => format!("{}.{letter}", level.name()),
            Some(name)
                if plain
                    .iter()
                    .flatten()
                    .filter(|other| *other == name)
                    .count()
                    > 1 =>
            {
                format!("{name}.{letter}")
            }
            Some(name) => name.clone(),
        }
    })
}

/// Level, page sizes and what it serves; `None` of an array that is absent.
fn plain_name(level: Level, array: ArraySpec) -> Option<String> {
    let held = PageSize::ARRAYS
        .into_iter()
        .filter(|size| array.holds(*size));
    let sizes: Vec<&str> = held.map(PageSize::name).collect();
    let serves = match array.serves {
        Serves::All => "",
        Serves::Reads => ".reads",
        Serves::Writes => ".writes",
    };
    (!sizes.is_empty()).then(|| format!("{}.{}{serves}", level.name(), sizes.join("+")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    fn names_of(preset: &str) -> Vec<String> {
        let source = Source::Preset(preset.to_owned());
        let config = load::load(&source, &[]).expect("valid").config;
        let names = ArrayNames::new(&config);
        (0..TLB_ARRAYS)
            .map(|array| names.tlb(array).to_owned())
            .collect()
    }

    #[test]
    fn an_array_of_one_size_is_called_by_it() {
        let names = names_of("default");
        assert_eq!(names[4..8], ["dtlb.4k", "dtlb.2m", "dtlb.1g", "dtlb.d"]);
        assert_eq!(
            (names[0].as_str(), names[10].as_str()),
            ("itlb.4k", "stlb.1g")
        );
    }

    #[test]
    fn arrays_that_sizes_do_not_tell_apart_have_what_they_serve_or_their_letter() {
        let names = names_of("mixed");
        assert_eq!(
            names[4..8],
            [
                "dtlb.4k.reads.a",
                "dtlb.4k.reads.b",
                "dtlb.2m+1g.reads",
                "dtlb.4k+2m+1g.writes"
            ]
        );
        assert_eq!(names[8..11], ["stlb.4k+2m", "stlb.4k", "stlb.2m"]);
    }

    #[test]
    fn no_two_arrays_of_any_preset_have_the_same_name() {
        for preset in crate::config::presets::ALL {
            let mut names = names_of(preset.name);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), TLB_ARRAYS, "{}", preset.name);
        }
    }
}
