//! Tests of the count: against the tables that the project builds, against a count page by page, and at the ends of address spaces.
//!
//! Contract: none. SDM vol. 3A, 4.3 and 4.5. Counterpart: `mod.rs`, `mode.rs`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::arch::{Capabilities, PageSize};
use crate::trace::{LazyTables, Mapping, MappingSpec, PagePolicy};

/// Tables and entries that are present, by level: 1 for page tables to 5.
type Built = BTreeMap<u32, (u64, u64)>;

fn range(first: u64, size_bytes: u64) -> AddressRange {
    AddressRange::new(first, size_bytes).expect("a range")
}

fn one_page() -> Ranges {
    [range(0x40_0000, 4096)].into_iter().collect()
}

/// What the project's own builder allocates, when each 4 KiB page of the ranges is touched.
fn built(levels: u32, pages: PagePolicy, seed: u64, ranges: &Ranges) -> Built {
    let spec = MappingSpec {
        seed,
        pages,
        levels,
        ..MappingSpec::default()
    };
    let capabilities = Capabilities::new(52, true, true).expect("a width in range");
    let mapping = Mapping::new(&spec, &capabilities, None).expect("a valid mapping");
    // Each level has the lower half of what the one below it has: the place of a table says its level.
    let pages_at = mapping.window_bytes().ilog2();
    let mut lazy = LazyTables::new(mapping);
    let mut entries = BTreeSet::new();
    for range in ranges.as_slice() {
        let mut page = range.first() & !0xfff;
        loop {
            if let Some(path) = lazy.touch(page).expect("no two regions meet") {
                for entry in path.iter() {
                    assert!(entries.insert(entry.address.raw()), "given out twice");
                }
            }
            match page.checked_add(4096) {
                Some(next) if next <= range.last() => page = next,
                _ => break,
            }
        }
    }
    let mut frames: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    let mut built = Built::new();
    for address in entries {
        let level = pages_at - address.ilog2();
        frames.entry(level).or_default().insert(address >> 12);
        built.entry(level).or_default().1 += 1;
    }
    for (level, frames) in frames {
        built.entry(level).or_default().0 = frames.len() as u64;
    }
    built
}

/// The same of a cost.
fn counted(cost: &Cost) -> Built {
    let number = |name: &str| match name {
        "PT" => 1,
        "PD" => 2,
        "PDPT" => 3,
        "PML4" => 4,
        "PML5" => 5,
        other => panic!("{other} is no table of x86"),
    };
    let figures = |level: &LevelCost| (number(level.level), (level.tables, level.entries_used));
    cost.levels.iter().map(figures).collect()
}

/// A count that sets every index of every page down.
fn page_by_page(mode: TableMode, unit: PageUnit, ranges: &Ranges) -> Vec<(u64, u64)> {
    let shapes = mode.levels(unit).expect("the size exists");
    let linear = |address: u64| address & (u64::MAX >> (64 - mode.address_bits()));
    let mut paths: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); shapes.len()];
    for range in ranges.as_slice() {
        let mut address = range.first();
        while address <= range.last() {
            for (shape, path) in shapes.iter().zip(&mut paths) {
                path.insert(linear(address) >> shape.index_shift);
            }
            let Some(next) = (address | (mode.unit_bytes(unit) - 1)).checked_add(1) else {
                break;
            };
            address = next;
        }
    }
    let mut tables = 1;
    let mut figures = Vec::new();
    for path in paths {
        figures.push((tables, path.len() as u64));
        tables = path.len() as u64;
    }
    figures
}

/// Some ranges, near and far, in both halves of a canonical address space, or in 32 bits.
fn some_ranges(address_bits: u32) -> impl Strategy<Value = Ranges> {
    let half = address_bits - 1;
    let place = prop_oneof![
        0u64..1 << 24,
        0u64..1 << 31,
        any::<u64>().prop_map(move |bits| bits & ((1 << half) - 1)),
        Just((1 << half) - 1),
    ];
    let upper = prop_oneof![3 => Just(false), 1 => Just(true)];
    let size = prop_oneof![1u64..0x3000, 1u64..0x60_0000];
    prop::collection::vec((place, upper, size), 1..6).prop_map(move |parts| {
        let in_half = |(place, upper, size): (u64, bool, u64)| {
            let size = size.min((1 << half) - place);
            let base = match (upper, address_bits) {
                (false, _) => 0,
                (true, 32) => 1 << 31,
                (true, _) => u64::MAX << half,
            };
            range(base + place, size)
        };
        parts.into_iter().map(in_half).collect()
    })
}

const POLICIES: [(PagePolicy, PageUnit); 3] = [
    (PagePolicy::Size4K, PageUnit::Size4K),
    (PagePolicy::Size2M, PageUnit::Size2M),
    (PagePolicy::Size1G, PageUnit::Size1G),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_count_of_four_levels_is_what_the_builder_allocates(ranges in some_ranges(48), seed in 0u64..1 << 32) {
        for (policy, unit) in POLICIES {
            let cost = cost(TableMode::FourLevel, unit, &ranges).expect("in reach");
            prop_assert_eq!(counted(&cost), built(4, policy, seed, &ranges));
        }
    }

    #[test]
    fn the_count_of_five_levels_is_what_the_builder_allocates(
        low in some_ranges(48),
        upper in 0u64..1 << 8,
        seed in 0u64..1 << 32,
    ) {
        // All in one part of 2^48 bytes, anywhere in the first half: 52 bits of memory hold no two pages that differ above bit 50 only.
        let low = low.as_slice().iter().filter(|range| range.last() < 1 << 47);
        let ranges: Ranges = low
            .map(|low| range(upper << 48 | low.first(), low.last() - low.first() + 1))
            .collect();
        prop_assume!(!ranges.as_slice().is_empty());
        for (policy, unit) in POLICIES {
            let cost = cost(TableMode::FiveLevel, unit, &ranges).expect("in reach");
            prop_assert_eq!(counted(&cost), built(5, policy, seed, &ranges));
        }
    }

    #[test]
    fn the_count_of_every_form_is_a_count_page_by_page(
        narrow in some_ranges(32),
        wide in some_ranges(48),
        widest in some_ranges(57),
    ) {
        for mode in TableMode::ALL {
            let ranges = match mode.address_bits() {
                32 => &narrow,
                48 => &wide,
                _ => &widest,
            };
            // Words are counted by the same code; millions of them take a set too long.
            for unit in mode.units().into_iter().filter(|unit| *unit != PageUnit::Word) {
                let cost = cost(mode, unit, ranges).expect("in reach");
                let figures: Vec<_> = cost.levels.iter().map(|level| (level.tables, level.entries_used)).collect();
                prop_assert_eq!(figures, page_by_page(mode, unit, ranges));
                prop_assert!(u128::from(cost.mapped_bytes) >= ranges.size_bytes());
                let sizes: u64 = cost.levels.iter().map(|level| level.size_bytes).sum();
                prop_assert_eq!(cost.size_bytes, sizes);
                prop_assert!(cost.levels.iter().all(|level| level.entries_used <= level.entries));
            }
        }
    }
}

#[test]
fn a_page_more_or_a_page_less_is_not_what_the_builder_allocates() {
    let near: Ranges = [range(0x1f_f000, 0x1000)].into_iter().collect();
    let across: Ranges = [range(0x1f_f000, 0x2000)].into_iter().collect();
    let count = |ranges| counted(&cost(TableMode::FourLevel, PageUnit::Size4K, ranges).unwrap());
    let build = |ranges| built(4, PagePolicy::Size4K, 1, ranges);
    assert_eq!(count(&near), build(&near));
    assert_eq!(count(&across), build(&across));
    assert_ne!(count(&near), build(&across));
    assert_ne!(count(&across), build(&near));
}

#[test]
fn nothing_mapped_costs_a_root_table() {
    let nothing = Ranges::default();
    let tree = cost(TableMode::FiveLevel, PageUnit::Size4K, &nothing).expect("in reach");
    assert_eq!((tree.tables, tree.size_bytes, tree.pages), (1, 4096, 0));
    let flat = cost(TableMode::FlatByPage32, PageUnit::Size4K, &nothing).expect("in reach");
    assert_eq!((flat.tables, flat.size_bytes, flat.pages), (1, 4 << 20, 0));
}

#[test]
fn tables_of_a_tree_have_4_kib_whatever_the_mode() {
    for mode in [
        TableMode::TwoLevel,
        TableMode::FourLevel,
        TableMode::FiveLevel,
    ] {
        for unit in mode.units() {
            let cost = cost(mode, unit, &one_page()).expect("in reach");
            assert_eq!(cost.size_bytes, cost.tables * PageSize::Size4K.bytes());
        }
    }
}

#[test]
fn a_large_page_saves_the_levels_below_it() {
    for (mode, unit, tables) in [
        (TableMode::TwoLevel, PageUnit::Size4K, 2),
        (TableMode::TwoLevel, PageUnit::Size4M, 1),
        (TableMode::FourLevel, PageUnit::Size4K, 4),
        (TableMode::FourLevel, PageUnit::Size2M, 3),
        (TableMode::FourLevel, PageUnit::Size1G, 2),
        (TableMode::FiveLevel, PageUnit::Size4K, 5),
    ] {
        assert_eq!(
            cost(mode, unit, &one_page()).expect("in reach").tables,
            tables
        );
    }
}

#[test]
fn every_form_can_map_all_that_it_reaches_and_nothing_beyond() {
    for mode in TableMode::ALL {
        let (bits, reach) = (mode.address_bits(), mode.reach_bytes());
        let (whole, beyond): (Vec<_>, _) = if bits == 32 {
            (vec![range(0, reach)], range(reach - 1, 2))
        } else {
            let upper = u64::MAX << (bits - 1);
            (
                vec![range(0, reach / 2), range(upper, reach / 2)],
                range(reach / 2 - 1, 2),
            )
        };
        let whole: Ranges = whole.into_iter().collect();
        for unit in mode.units() {
            let full = cost(mode, unit, &whole).expect("in reach");
            assert_eq!(full.mapped_bytes, reach, "{mode:?}");
            assert!(
                full.levels
                    .iter()
                    .all(|level| level.entries == level.entries_used)
            );
            let refused = cost(mode, unit, &[beyond].into_iter().collect());
            assert_eq!(
                refused,
                Err(TablesError::OutOfReach {
                    mode,
                    range: beyond
                })
            );
        }
    }
}

#[test]
fn forms_have_the_page_sizes_of_their_width() {
    let names = |mode: TableMode| {
        mode.units()
            .into_iter()
            .map(PageUnit::name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(TableMode::FlatByWord48), ["word"]);
    assert_eq!(names(TableMode::TwoLevel), ["4k", "4m"]);
    assert_eq!(names(TableMode::FlatByPage32), ["4k", "4m"]);
    for mode in [
        TableMode::FlatByPage57,
        TableMode::FourLevel,
        TableMode::FiveLevel,
    ] {
        assert_eq!(names(mode), ["4k", "2m", "1g"]);
    }
    assert_eq!(
        cost(TableMode::TwoLevel, PageUnit::Size2M, &one_page()),
        Err(TablesError::NoSuchPage {
            mode: TableMode::TwoLevel,
            unit: PageUnit::Size2M
        })
    );
}
