//! Floors: what a run of random operations must have exercised, below which it fails as vacuous.
//!
//! Contract: none. SDM: none. Counterpart: `docs/stim.md` (random operations).
//!
//! A floor is a number for each million operations, at most half of what the poorest preset reaches. Of a machine that is no preset, which may be
//! poorer in any respect, a part of it is asked (`POORER`), and only what it can reach. A run is asked for its share, from
//! [`FEWEST_OPERATIONS`] on: a shorter one is a stream or two, and streams differ by design. Chance weighs the more the fewer there are: a share
//! of fewer than `SURE_COUNT` is asked for in part, and of 32-bit paging any share below `EVEN_OPERATIONS`.

use super::counters::Counters;
use crate::arch::{PageFaultCode, PageSize};
use crate::config::load::{Source, load};
use crate::config::{ArraySpec, Config, Level, Serves, TlbArraySpec, presets};
use crate::reference::finding::InvalidationKind;

/// Runs of fewer operations are not held against the floors.
pub const FEWEST_OPERATIONS: u64 = 100_000;

/// From this share on a run is asked for all of it; below, for the part that the share is of this: of 50 for 25, of less than 10 for none.
const SURE_COUNT: u128 = 100;

/// From as many operations on streams that differ make up for each other; a run of half as many is asked for half of its share.
const EVEN_OPERATIONS: u128 = 1_000_000;

/// A machine that is no preset is asked for one of so many.
const POORER: u64 = 20;

/// What a machine must have, to be asked for a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A TLB array that holds pages that there are.
    Tlb,
    /// A TLB array that keeps for writes what a read has filled.
    Dirty,
    /// A level that keeps 4 MiB pages, if in pieces.
    Large,
    /// A level that keeps pages in pieces.
    Pieces,
    /// An inclusive STLB of few entries, before a first level.
    Inclusive,
    /// Paging-structure caches of levels that there are.
    Psc,
    /// Memory that ends below MAXPHYADDR.
    MemoryEnd,
    /// More than one entry in the miss queue.
    MissQueue,
    /// More than one walker.
    Walkers,
    /// The prefetch.
    Prefetch,
    /// More than one request a port.
    Queue,
    /// The same, and a first-level TLB of the data ports.
    FirstLevel,
    /// More requests than entries in the miss queue.
    Requests,
}

/// One floor.
struct Floor {
    name: &'static str,
    per_million: u64,
    needs: Needs,
    count: fn(&Counters) -> u64,
}

/// A floor that was missed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Missed {
    /// What was not exercised.
    pub name: &'static str,
    /// How often it was.
    pub count: u64,
    /// How often it must be.
    pub floor: u64,
}

macro_rules! floors {
    ($($name:literal, $per_million:literal, $needs:ident, $count:expr;)*) => {
        &[$(Floor { name: $name, per_million: $per_million, needs: Needs::$needs, count: $count }),*]
    };
}

/// Floors of 32-bit paging, which some streams are in most of the time, and others hardly ever.
const UNEVEN_FLOORS: &[Floor] = floors! {
    "times that 32-bit paging was entered", 50, Nothing, |c| c.two_level_entered;
    "walks in 32-bit paging", 30_000, Nothing, |c| c.two_level_walks;
    "addresses of 32-bit paging with an upper half", 15_000, Nothing, |c| c.two_level_upper_halves;
    "fills with 4 MiB pages", 1_000, Large, |c| c.fills_4m;
    "addresses above 4 GiB in 32-bit paging", 5_000, Nothing, |c| c.pse_36_translated;
    "page faults in 32-bit paging, reserved bit", 500, Nothing, |c| c.two_level_reserved;
    "changes of PSE in 32-bit paging", 60, Nothing, |c| c.pse_changed;
    "compare-and-sets beside a change", 60, Nothing, |c| c.changed_beside;
};

const FLOORS: &[Floor] = floors! {
    "walks", 150_000, Nothing, |c| c.walks;
    "walks that another miss waited beside", 100, MissQueue, |c| c.walks_contended;
    "walks of a higher entry before a lower one", 10, MissQueue, |c| c.walks_out_of_entry_order;
    "walks in parallel", 10_000, Walkers, |c| c.walks_in_parallel;
    "merged misses", 5_000, MissQueue, |c| c.merged_misses;
    "look-ups of merged misses again", 5_000, MissQueue, |c| c.retries;
    "of these, misses again", 1_000, MissQueue, |c| c.retries_missed;
    "times that the miss queue was full", 1_000, Requests, |c| c.miss_queue_full;
    "hits under a miss", 1_000, FirstLevel, |c| c.hits_under_miss;
    "responses out of order", 1_000, Queue, |c| c.responses_out_of_order;
    "walks of the prefetch", 1_000, Prefetch, |c| c.prefetch_walks;
    "fills of the prefetch", 100, Prefetch, |c| c.prefetch_fills;
    "stops of the prefetch", 100, Prefetch, |c| c.prefetch_stops;
    "walks that fault", 80_000, Nothing, |c| c.walks_faulted;
    "page faults, not present", 20_000, Nothing, |c| c.faults.without(PageFaultCode::P);
    "page faults, reserved bit", 10_000, Nothing, |c| c.faults.with(PageFaultCode::RSVD);
    "page faults, rights", 30_000, Nothing, |c| c.faults.with(PageFaultCode::P) - c.faults.with(PageFaultCode::RSVD);
    "page faults, protection key", 3_000, Nothing, |c| c.faults.with(PageFaultCode::PK);
    "page faults of writes", 30_000, Nothing, |c| c.faults.with(PageFaultCode::W);
    "page faults of fetches", 20_000, Nothing, |c| c.faults.with(PageFaultCode::I);
    "page faults in user mode", 50_000, Nothing, |c| c.faults.with(PageFaultCode::U);
    "general protections", 400, Nothing, |c| c.general_protections;
    "bus errors", 500, MemoryEnd, |c| c.bus_errors;
    "compare-and-sets", 12_000, Nothing, |c| c.compare_and_sets;
    "A/D races lost", 200, Nothing, |c| c.ad_races_lost;
    "invalidations during a walk", 5_000, Nothing, |c| c.invalidations_during_walk;
    "walks that lost the right to fill", 20_000, MissQueue, |c| c.fills_forfeited;
    "walks that lost the right to fill, with one miss at a time", 8_000, Nothing, |c| c.fills_forfeited;
    "fills with pieces of pages", 500, Pieces, |c| c.fills_of_pieces;
    "back-invalidations", 100, Inclusive, |c| c.back_invalidations;
    "control operations refused", 1_500, Nothing, |c| c.control_refused;
    "stores by another agent", 20_000, Nothing, |c| c.stores;
    "hits", 35_000, Tlb, |c| c.l1_hits + c.stlb_hits;
    "hits that rights deny", 6_000, Tlb, |c| c.denied_hits;
    "hits of writes with D clear", 900, Dirty, |c| c.dirty_clear_hits;
    "evictions", 5_000, Tlb, |c| c.evictions;
    "removals", 50_000, Tlb, |c| c.removals_compared;
    "walks from a cached entry", 15_000, Psc, |c| c.cached_starts;
    "restarts", 2_500, Psc, |c| c.walk_restarts;
    "responses with one legal outcome", 300_000, Nothing, |c| c.single_outcome;
    "stale outcomes seen", 3_000, Tlb, |c| c.stale_observed;
    "stale entries removed by MOV CR0", 5, Tlb, |c| c.stale_removed.by(InvalidationKind::MovCr0);
    "stale entries removed by MOV CR3", 2_000, Tlb, |c| c.stale_removed.by(InvalidationKind::MovCr3);
    "stale entries removed by MOV CR4", 400, Tlb, |c| c.stale_removed.by(InvalidationKind::MovCr4);
    "stale entries removed by WRMSR EFER", 60, Tlb, |c| c.stale_removed.by(InvalidationKind::WrmsrEfer);
    "stale entries removed by INVLPG", 500, Tlb, |c| c.stale_removed.by(InvalidationKind::Invlpg);
    "stale entries removed by INVPCID 0", 100, Tlb, |c| c.stale_removed.by(InvalidationKind::InvpcidAddress);
    "stale entries removed by INVPCID 1", 500, Tlb, |c| c.stale_removed.by(InvalidationKind::InvpcidContext);
    "stale entries removed by INVPCID 2", 500, Tlb, |c| c.stale_removed.by(InvalidationKind::InvpcidAll);
    "stale entries removed by INVPCID 3", 500, Tlb, |c| c.stale_removed.by(InvalidationKind::InvpcidAllButGlobals);
    "stale entries removed by a page fault", 1_500, Tlb, |c| c.stale_removed.by(InvalidationKind::PageFault);
};

/// What can be seen of a design without a monitor. What a design does inside is its own affair, and so is how fast it is; so a part
/// ([`POORER`]) of each is asked.
const OUTSIDE_FLOORS: &[Floor] = floors! {
    "responses", 500_000, Nothing, |c| c.responses_compared;
    "memory reads", 300_000, Nothing, |c| c.memory_reads;
    "page faults, not present", 20_000, Nothing, |c| c.faults.without(PageFaultCode::P);
    "page faults, reserved bit", 10_000, Nothing, |c| c.faults.with(PageFaultCode::RSVD);
    "page faults, rights", 30_000, Nothing, |c| c.faults.with(PageFaultCode::P) - c.faults.with(PageFaultCode::RSVD);
    "page faults, protection key", 3_000, Nothing, |c| c.faults.with(PageFaultCode::PK);
    "page faults of writes", 30_000, Nothing, |c| c.faults.with(PageFaultCode::W);
    "page faults of fetches", 20_000, Nothing, |c| c.faults.with(PageFaultCode::I);
    "page faults in user mode", 50_000, Nothing, |c| c.faults.with(PageFaultCode::U);
    "general protections", 400, Nothing, |c| c.general_protections;
    "bus errors", 500, MemoryEnd, |c| c.bus_errors;
    "compare-and-sets", 12_000, Nothing, |c| c.compare_and_sets;
    "control operations", 50_000, Nothing, |c| c.control_operations;
    "control operations refused", 1_500, Nothing, |c| c.control_refused;
    "stores by another agent", 20_000, Nothing, |c| c.stores;
    "responses with one legal outcome", 300_000, Nothing, |c| c.single_outcome;
    "stale outcomes seen", 1_000, Tlb, |c| c.stale_observed;
    "stale translations that MOV CR3 covers", 2_000, Nothing, |c| c.stale_removed.by(InvalidationKind::MovCr3);
    "stale translations that INVLPG covers", 500, Nothing, |c| c.stale_removed.by(InvalidationKind::Invlpg);
    "stale translations that INVPCID covers", 500, Nothing, |c| invpcid(c);
};

fn invpcid(counters: &Counters) -> u64 {
    [
        InvalidationKind::InvpcidAddress,
        InvalidationKind::InvpcidContext,
        InvalidationKind::InvpcidAll,
        InvalidationKind::InvpcidAllButGlobals,
    ]
    .into_iter()
    .map(|kind| counters.stale_removed.by(kind))
    .sum()
}

/// The floors that a run of a user's design has missed, of which nothing is known but what its required ports show.
pub fn missed_from_outside(config: &Config, counters: &Counters) -> Vec<Missed> {
    if counters.ops < FEWEST_OPERATIONS {
        return Vec::new();
    }
    missed_of(
        OUTSIDE_FLOORS.iter().map(|floor| (floor, false)),
        config,
        counters,
        POORER,
    )
}

/// The floors that a run of `counters.ops` random operations on `config` has missed.
pub fn missed(config: &Config, counters: &Counters) -> Vec<Missed> {
    if counters.ops < FEWEST_OPERATIONS {
        return Vec::new();
    }
    let is_preset = presets::ALL.iter().any(|preset| {
        let loaded = load(&Source::Preset(preset.name.to_owned()), &[]);
        loaded.is_ok_and(|loaded| loaded.config == *config)
    });
    let part = if is_preset { 1 } else { POORER };
    let even = FLOORS.iter().map(|floor| (floor, false));
    let uneven = UNEVEN_FLOORS.iter().map(|floor| (floor, true));
    missed_of(even.chain(uneven), config, counters, part)
}

/// Of these floors, each of which is uneven or not, those that were missed.
fn missed_of(
    floors: impl Iterator<Item = (&'static Floor, bool)>,
    config: &Config,
    counters: &Counters,
    part: u64,
) -> Vec<Missed> {
    let exists = |size| size != PageSize::Size1G || config.capabilities.page_1g;
    let holds_some = |array: ArraySpec| {
        let mut sizes = PageSize::ARRAYS.into_iter().filter(|size| exists(*size));
        array.is_present() && sizes.any(|size| array.holds(size))
    };
    let holds = |level| config.arrays(level).into_iter().any(holds_some);
    let has = |needs: Needs| match needs {
        Needs::Nothing => true,
        Needs::Tlb => Level::ALL.into_iter().any(holds),
        Needs::Large => Level::ALL.into_iter().any(|level| {
            let kinds = [Serves::Reads, Serves::Writes].into_iter();
            kinds
                .map(|kind| config.kept_size(level, kind, PageSize::Size2M))
                .any(|kept| kept.is_some())
        }),
        Needs::Pieces => config.fractures(),
        Needs::Dirty => {
            let mut data = config.arrays(Level::Dtlb).into_iter();
            holds(Level::Stlb) || data.any(|array| array.serves == Serves::All && holds_some(array))
        }
        Needs::Inclusive => {
            let few = |array: &TlbArraySpec| array.sets * array.ways <= 64;
            config.stlb.inclusive
                && config.stlb.arrays.iter().all(few)
                && (holds(Level::Itlb) || holds(Level::Dtlb))
        }
        Needs::Psc => {
            let levels = 3 + usize::from(config.capabilities.five_level);
            let entries = config.psc_arrays().map(|cache| cache.entries());
            entries[..levels].iter().any(|entries| *entries > 0)
        }
        Needs::MemoryEnd => {
            config.memory_size_bytes() <= config.arch_capabilities().maxphyaddr.mask()
                || config.memory.size_bytes.is_none()
        }
        Needs::MissQueue => config.miss_queue.entries > 1,
        Needs::Walkers => config.walkers.count > 1 && config.miss_queue.entries > 1,
        Needs::Prefetch => config.prefetch.next_page,
        Needs::Queue => config.ports.queue_entries > 1 && config.miss_queue.entries > 1,
        Needs::FirstLevel => {
            config.ports.queue_entries > 1 && config.miss_queue.entries > 1 && holds(Level::Dtlb)
        }
        Needs::Requests => config.ports() * config.ports.queue_entries >= config.miss_queue.entries,
    };
    floors
        .filter(|(floor, _)| has(floor.needs))
        .map(|(floor, uneven)| Missed {
            name: floor.name,
            count: (floor.count)(counters),
            floor: asked(floor.per_million, counters.ops, uneven, part),
        })
        .filter(|missed| missed.count < missed.floor)
        .collect()
}

/// How many a run of `ops` operations is asked for, of a machine that is asked for one of `part`.
fn asked(per_million: u64, ops: u64, uneven: bool, part: u64) -> u64 {
    let ops = u128::from(ops);
    let mut share = u128::from(per_million) * ops / 1_000_000 / u128::from(part);
    if uneven {
        share = share * ops.min(EVEN_OPERATIONS) / EVEN_OPERATIONS;
    }
    (share * share.min(SURE_COUNT) / SURE_COUNT) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_does_nothing_is_vacuous_and_a_run_too_short_is_not() {
        let mut config = Config::default();
        config.prefetch.next_page = true;
        config.stlb.inclusive = true;
        // For pieces: no array for 1 GiB pages.
        for level in [&mut config.itlb, &mut config.dtlb, &mut config.stlb] {
            level.arrays.truncate(2);
        }
        for array in &mut config.stlb.arrays {
            (array.sets, array.ways) = (4, 4);
        }
        config.validate().expect("valid");
        let counters = |ops| Counters {
            ops,
            ..Counters::default()
        };
        let all = FLOORS.len() + UNEVEN_FLOORS.len();
        assert_eq!(missed(&config, &counters(1_000_000_000)).len(), all);
        assert_eq!(missed(&config, &counters(FEWEST_OPERATIONS - 1)), []);
        let first = |config| missed(config, &counters(200_000)).remove(0);
        let (drawn, preset) = (first(&config), first(&Config::default()));
        assert_eq!((drawn.name, drawn.count, drawn.floor), ("walks", 0, 1_500));
        assert_eq!((preset.name, preset.floor), ("walks", 30_000));
    }

    #[test]
    fn a_small_share_is_asked_for_in_part_and_one_of_streams_that_differ_by_their_number() {
        let even = |ops| asked(60, ops, false, 1);
        assert_eq!([100_000, 200_000, 1_000_000].map(even), [0, 1, 36]);
        assert_eq!([2_000_000, 10_000_000].map(even), [120, 600]);
        let uneven = |ops| asked(30_000, ops, true, 1);
        assert_eq!([100_000, 500_000].map(uneven), [300, 7_500]);
        assert_eq!([1_000_000, 3_000_000].map(uneven), [30_000, 90_000]);
        assert_eq!(asked(30_000, 100_000, false, POORER), 150);
    }

    /// The page says what the code asks for.
    #[test]
    fn the_floors_are_documented() {
        let page = include_str!("../../docs/stim.md");
        for Floor {
            name, per_million, ..
        } in FLOORS.iter().chain(UNEVEN_FLOORS)
        {
            let line = format!("| {} | {name} |", crate::cli::grouped(*per_million));
            assert!(
                page.contains(&line),
                "docs/stim.md must have the line: {line}"
            );
        }
        let page = include_str!("../../docs/byo.md");
        for floor in OUTSIDE_FLOORS {
            let line = format!(
                "| {} | {} |",
                crate::cli::grouped(floor.per_million),
                floor.name
            );
            assert!(
                page.contains(&line),
                "docs/byo.md must have the line: {line}"
            );
        }
    }

    #[test]
    fn a_design_that_shows_nothing_is_vacuous_and_one_without_caches_need_not_be_stale() {
        let mut config = Config::default();
        let counters = |ops| Counters {
            ops,
            ..Counters::default()
        };
        let missed = |config: &Config, ops| missed_from_outside(config, &counters(ops));
        assert_eq!(missed(&config, 1_000_000_000).len(), OUTSIDE_FLOORS.len());
        assert_eq!(missed(&config, FEWEST_OPERATIONS - 1), []);
        assert_eq!(missed(&config, FEWEST_OPERATIONS)[0].floor, 2_500);
        for level in [&mut config.itlb, &mut config.dtlb, &mut config.stlb] {
            level.arrays.clear();
        }
        let left = missed(&config, 1_000_000_000);
        assert_eq!(left.len(), OUTSIDE_FLOORS.len() - 1);
        assert!(
            left.iter()
                .all(|missed| missed.name != "stale outcomes seen")
        );
    }

    #[test]
    fn a_machine_is_not_asked_for_what_it_cannot_do() {
        let mut config = Config::default();
        config.psc.pde.ways = 0;
        config.psc.pdpte.ways = 0;
        config.psc.pml4e.ways = 0;
        config.psc.pml5e.ways = 0;
        let counters = Counters {
            ops: 1_000_000_000,
            ..Counters::default()
        };
        let is_asked = |config: &Config, name| {
            let missed = missed(config, &counters);
            missed.iter().any(|missed| missed.name == name)
        };
        for name in [
            "restarts",
            "back-invalidations",
            "fills with pieces of pages",
        ] {
            assert!(!is_asked(&config, name), "{name}");
        }
        // A cache of entries that there are not, and arrays of pages that there are not.
        config.psc.pml5e.ways = 1;
        assert!(is_asked(&config, "restarts"));
        config.capabilities.five_level = false;
        assert!(!is_asked(&config, "restarts"));
        let dirty = "hits of writes with D clear";
        config.capabilities.page_1g = false;
        config.stlb.arrays.clear();
        config.dtlb.arrays.remove(0);
        config.dtlb.arrays[0].serves = Serves::Writes;
        assert!(is_asked(&config, "hits") && !is_asked(&config, dirty));
        config.dtlb.arrays[0].serves = Serves::All;
        assert!(is_asked(&config, dirty));
    }
}
