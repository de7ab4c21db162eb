//! Where a page stands in the TLBs, and an entry in the paging-structure caches, by the parameters of the machine.
//!
//! Contract: 2, 2.1 (kept size, array, set), 4.4 (set of a paging-structure cache). SDM: none.
//! Counterpart: none in hardware; written from the contract for the checkers alone.

use crate::arch::{AccessKind, Level, PageSize, PagingMode};
use crate::config::{ArraySpec, Config, Level as Tlb, PscArraySpec, Serves};
use crate::model::mmu_pkg::{PSC_LEVELS, TLB_ARRAYS};

/// Where a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The array, by the contract's number.
    pub array: usize,
    /// The set.
    pub set: u16,
    /// The kept size.
    pub kept: PageSize,
}

/// Arrays and caches of a machine.
#[derive(Debug, Clone)]
pub struct Geometry {
    tlb: [ArraySpec; TLB_ARRAYS],
    psc: [PscArraySpec; PSC_LEVELS],
    inclusive: bool,
    fractures: bool,
}

/// Kinds of requests that may find different arrays at a level.
const KINDS: [AccessKind; 2] = [AccessKind::Read, AccessKind::Write];

/// Whether `array` serves requests of `kind`; a fetch meets only arrays that serve all.
const fn serves(array: ArraySpec, kind: AccessKind) -> bool {
    let asked = match kind {
        AccessKind::Read | AccessKind::Fetch => Serves::Reads,
        AccessKind::Write => Serves::Writes,
    };
    array.serves as u8 & asked as u8 != 0
}

/// The bits of an address that count: those that tags have.
const fn counted(va: u64) -> u64 {
    va & ((1 << 57) - 1)
}

/// The page size at position `index` of `mode`; `None` if the mode does not have it.
fn size_of(mode: PagingMode, index: usize) -> Option<PageSize> {
    let size = *mode.array_page_sizes().get(index)?;
    (mode != PagingMode::TwoLevel || size != PageSize::Size1G).then_some(size)
}

/// The sizes of `mode`, smallest first.
fn sizes(mode: PagingMode) -> impl DoubleEndedIterator<Item = PageSize> {
    (0..3).filter_map(move |index| size_of(mode, index))
}

impl Geometry {
    /// That of a machine of `config`.
    pub fn new(config: &Config) -> Self {
        let mut tlb = [ArraySpec::ABSENT; TLB_ARRAYS];
        for level in Tlb::ALL {
            let own = config.arrays(level);
            tlb[level.first_array()..][..own.len()].copy_from_slice(&own);
        }
        let mut geometry = Self {
            tlb,
            psc: config.psc_arrays(),
            inclusive: config.stlb.inclusive,
            fractures: false,
        };
        // 2 MiB pages, and 1 GiB pages if there are any. Those of 4 MiB share the arrays of 2 MiB.
        let large = [PageSize::Size2M, PageSize::Size1G];
        let exist = &large[..1 + usize::from(config.capabilities.page_1g)];
        geometry.fractures = Tlb::ALL.into_iter().any(|level| {
            let pairs = KINDS
                .into_iter()
                .flat_map(|kind| exist.iter().map(move |size| (kind, *size)));
            pairs.into_iter().any(|(kind, size)| {
                let kept = geometry.kept(level, kind, size, PagingMode::FourLevel);
                kept.is_some_and(|kept| kept != size)
            })
        });
        geometry
    }

    /// What leaves the STLB leaves the first level too.
    pub const fn inclusive(&self) -> bool {
        self.inclusive
    }

    /// Some level keeps pages in pieces: an invalidation of one page sweeps.
    pub const fn fractures(&self) -> bool {
        self.fractures
    }

    /// Ways of a TLB array; 0 if there is none of that number.
    pub fn ways(&self, array: usize) -> u32 {
        self.tlb.get(array).map_or(0, |array| array.ways)
    }

    /// Sets and ways of a paging-structure cache.
    pub fn psc(&self, cache: usize) -> (u32, u32) {
        self.psc
            .get(cache)
            .map_or((1, 0), |cache| (cache.sets, cache.ways))
    }

    /// The arrays of `level` that serve `kind` and hold `size`, in order.
    fn holding(&self, level: Tlb, kind: AccessKind, size: PageSize) -> impl Iterator<Item = usize> {
        let first = level.first_array();
        let holds = move |index: &usize| {
            let array = self.tlb[*index];
            array.ways > 0 && array.sizes >> size.array_index() & 1 != 0 && serves(array, kind)
        };
        (first..first + 4).filter(holds)
    }

    /// The size in which `level` keeps a page of `size`, for requests of `kind`; the greatest that it holds and that is not greater.
    pub fn kept(
        &self,
        level: Tlb,
        kind: AccessKind,
        size: PageSize,
        mode: PagingMode,
    ) -> Option<PageSize> {
        sizes(mode)
            .rev()
            .find(|kept| *kept <= size && self.holding(level, kind, *kept).next().is_some())
    }

    /// Where the page of the kept size `kept` around `va` stands for requests of `kind`, if `level` holds that size for them.
    pub fn place(&self, level: Tlb, kind: AccessKind, va: u64, kept: PageSize) -> Option<Place> {
        let count = self.holding(level, kind, kept).count() as u64;
        let page = counted(va) >> kept.shift();
        let number = page.checked_rem(count)?;
        let array = self.holding(level, kind, kept).nth(number as usize)?;
        let set = page / count % u64::from(self.tlb[array].sets);
        Some(Place {
            array,
            set: set as u16,
            kept,
        })
    }

    /// Where a look-up of `va` for `kind` searches, smallest kept size first.
    pub fn searched(
        &self,
        level: Tlb,
        kind: AccessKind,
        va: u64,
        mode: PagingMode,
    ) -> impl Iterator<Item = Place> {
        sizes(mode).filter_map(move |kept| self.place(level, kind, va, kept))
    }

    /// The sets of array `array` in which pages around `va` would stand, of any size that it holds and for any kind of request.
    pub fn sets_of(&self, array: usize, va: u64, mode: PagingMode) -> impl Iterator<Item = Place> {
        let level = Tlb::ALL[(array / 4).min(2)];
        let places = move |kind| self.searched(level, kind, va, mode);
        let mut found: Vec<Place> = Vec::new();
        for place in KINDS.into_iter().flat_map(places) {
            if place.array == array && !found.contains(&place) {
                found.push(place);
            }
        }
        found.into_iter()
    }

    /// The set of a paging-structure cache in which the entry for `va` stands.
    pub fn psc_set(&self, level: Level, va: u64, mode: PagingMode) -> u16 {
        let (sets, _) = self.psc(level.array_index().wrapping_sub(1));
        let index = counted(va) >> mode.index_shift(level);
        (index % u64::from(sets)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    fn geometry(settings: &[&str]) -> Geometry {
        let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
        let loaded = load::load(&Source::Default, &settings).expect("valid");
        Geometry::new(&loaded.config)
    }

    const FOUR: PagingMode = PagingMode::FourLevel;
    const TWO: PagingMode = PagingMode::TwoLevel;

    #[test]
    fn a_page_is_kept_at_the_greatest_size_that_its_level_holds_for_that_kind_and_not_above_its_own()
     {
        let machine = geometry(&[
            r#"dtlb.arrays=[{page_sizes=["4k"],sets=1,ways=1,serves="reads"},{page_sizes=["1g","2m"],sets=1,ways=1,serves="writes"}]"#,
            "itlb.arrays=[]",
        ]);
        let kept = |kind, size, mode| machine.kept(Tlb::Dtlb, kind, size, mode);
        use AccessKind::{Read, Write};
        use PageSize::{Size1G, Size2M, Size4K, Size4M};
        assert_eq!(kept(Read, Size1G, FOUR), Some(Size4K));
        assert_eq!(kept(Read, Size4M, TWO), Some(Size4K));
        assert_eq!(kept(Write, Size1G, FOUR), Some(Size1G));
        assert_eq!(kept(Write, Size2M, FOUR), Some(Size2M));
        assert_eq!(kept(Write, Size4M, TWO), Some(Size4M));
        assert_eq!(kept(Write, Size4K, FOUR), None);
        assert_eq!(
            machine.kept(Tlb::Itlb, AccessKind::Fetch, Size4K, FOUR),
            None
        );
        assert!(machine.fractures() && !geometry(&[]).fractures());
    }

    #[test]
    fn a_machine_without_1g_pages_does_not_fracture_them() {
        let without = |more| geometry(&["stlb.arrays.2.ways=0", more]).fractures();
        assert!(without("capabilities.page_1g=true"));
        assert!(!without("capabilities.page_1g=false"));
    }

    #[test]
    fn pages_of_one_size_take_turns_among_the_arrays_that_hold_it_and_then_among_the_sets() {
        let machine = geometry(&[
            r#"stlb.arrays=[{page_sizes=["4k","2m"],sets=3,ways=1},{page_sizes=["1g"],sets=1,ways=1},{page_sizes=["4k"],sets=5,ways=1}]"#,
        ]);
        let place = |page: u64, kept: PageSize| {
            let at = machine.place(Tlb::Stlb, AccessKind::Read, page << kept.shift(), kept);
            let at = at.expect("it holds them");
            (at.array, at.set)
        };
        let small: Vec<_> = (0..8).map(|page| place(page, PageSize::Size4K)).collect();
        assert_eq!(
            small,
            [
                (8, 0),
                (10, 0),
                (8, 1),
                (10, 1),
                (8, 2),
                (10, 2),
                (8, 0),
                (10, 3)
            ]
        );
        assert_eq!(place(7, PageSize::Size2M), (8, 1));
        assert_eq!(place(7, PageSize::Size1G), (9, 0));
        let va = 7 << 21 | 4 << 12;
        let sets: Vec<_> = machine
            .sets_of(8, va, FOUR)
            .map(|at| (at.set, at.kept))
            .collect();
        let page = (7 << 9 | 4) / 2 % 3;
        assert_eq!(sets, [(page, PageSize::Size4K), (1, PageSize::Size2M)]);
    }

    #[test]
    fn of_what_serves_reads_and_what_serves_writes_each_has_a_page_in_one_set_of_its_own() {
        let machine = geometry(&[
            r#"dtlb.arrays=[{page_sizes=["4k"],sets=1,ways=1,serves="reads"},{page_sizes=["4k"],sets=4,ways=1,serves="writes"},{page_sizes=["4k"],sets=4,ways=1,serves="reads"}]"#,
        ]);
        let sets = |array| -> Vec<u16> {
            let places = machine.sets_of(array, 0x7000, FOUR);
            places.map(|at| at.set).collect()
        };
        assert_eq!([sets(4), sets(5), sets(6)], [vec![], vec![3], vec![3]]);
    }

    #[test]
    fn the_set_of_a_paging_structure_cache_follows_the_index_of_its_level() {
        let machine = geometry(&["psc.pde.sets=3", "psc.pde.ways=2", "psc.pml4e.sets=2"]);
        let va = 5 << 21 | 7 << 39;
        assert_eq!(
            machine.psc_set(Level::Pd, va, FOUR),
            ((va >> 21) % 3) as u16
        );
        assert_eq!(machine.psc_set(Level::Pml4, va, FOUR), 1);
        assert_eq!(machine.psc_set(Level::Pd, 5 << 22, TWO), 2);
    }
}
