//! Tests of the mapping: nothing shares a frame, tables lead where the rule says, and order does not matter.
//!
//! Contract: none. SDM vol. 3A, 4.5. Counterpart: `place.rs`, `build.rs`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::place::Permutation;
use super::*;
use crate::arch::{Capabilities, Decoded, Entry, EntryRules, Level};

fn capabilities(maxphyaddr_bits: u32) -> Capabilities {
    Capabilities::new(maxphyaddr_bits, true, true).expect("a width in range")
}

fn mapping(spec: &MappingSpec, bits: u32) -> Mapping {
    Mapping::new(spec, &capabilities(bits), None).expect("a valid mapping")
}

/// Walks tables as a machine does: the physical address and the page size.
fn walk(mapping: &Mapping, tables: &BTreeMap<u64, u64>, address: u64, bits: u32) -> Option<Placed> {
    let rules = EntryRules::new(mapping.mode(), &capabilities(bits), true, false);
    let mut table = mapping.root();
    for row in mapping.mode().spec().levels {
        let index = address >> row.level.shift() & 0x1ff;
        let entry = Entry(*tables.get(&table.entry_address(index).raw())?);
        match rules.decode(row.level, entry) {
            Decoded::Table => table = entry.table(),
            Decoded::Leaf(size) => {
                let offset = address & size.offset_mask();
                let address = PhysicalAddress::new(entry.frame(size).raw() | offset);
                return Some(Placed { address, size });
            }
            Decoded::NotPresent | Decoded::Reserved { .. } => return None,
        }
    }
    None
}

fn by_address(entries: &[TableEntry]) -> BTreeMap<u64, u64> {
    let map: BTreeMap<u64, u64> = entries.iter().map(|e| (e.address.raw(), e.value)).collect();
    assert_eq!(map.len(), entries.len(), "two entries in one place");
    map
}

#[test]
fn a_permutation_sends_no_two_numbers_to_one() {
    for bits in 0..=13 {
        for key in 0..20 {
            let permutation = Permutation::new(key, bits);
            let images: BTreeSet<u64> = (0..1 << bits).map(|n| permutation.apply(n)).collect();
            assert_eq!(images.len(), 1 << bits);
            assert!(images.iter().all(|&image| image < 1 << bits));
        }
    }
}

#[test]
fn a_permutation_scatters_neighbours() {
    for key in 0..20 {
        let permutation = Permutation::new(key, 33);
        let near = (0..1000)
            .filter(|&n| permutation.apply(n).abs_diff(permutation.apply(n + 1)) < 1 << 20)
            .count();
        assert!(near < 20, "{near} of 1000 neighbours stay near, key {key}");
        let upper = (0..1000)
            .filter(|&n| permutation.apply(n) >> 32 == 1)
            .count();
        assert!(
            (350..650).contains(&upper),
            "{upper} of 1000 in the upper half, key {key}"
        );
    }
}

/// The rule is a promise: traces, goldens and figures rest on it.
#[test]
fn the_rule_places_a_page_where_it_always_did() {
    let mapping = mapping(&MappingSpec::default(), 46);
    let path: Vec<_> = mapping
        .entries_for(0x7fff_ffff_e123)
        .iter()
        .map(|entry| format!("{:#x}: {:#x}", entry.address.raw(), entry.value))
        .collect();
    assert_eq!(
        path,
        [
            "0x391bc7e17f8: 0x7f946927007",
            "0x7f946927ff8: 0x96838721007",
            "0x96838721ff8: 0x141681e8b007",
            "0x141681e8bff0: 0x267ca06c3007",
        ]
    );
    let placed = mapping.translate(0x7fff_ffff_e123).expect("canonical");
    assert_eq!(placed.address.raw(), 0x267c_a06c_3123);
}

#[test]
fn each_policy_maps_pages_of_its_sizes() {
    for (policy, expected) in [
        (PagePolicy::Size4K, vec![PageSize::Size4K]),
        (PagePolicy::Size2M, vec![PageSize::Size2M]),
        (PagePolicy::Size1G, vec![PageSize::Size1G]),
        (PagePolicy::Mixed, PageSize::ARRAYS.to_vec()),
    ] {
        let spec = MappingSpec {
            pages: policy,
            ..MappingSpec::default()
        };
        let mapping = mapping(&spec, 46);
        let found: BTreeSet<PageSize> = (0..400u64)
            .filter_map(|n| Some(mapping.translate(n << 28)?.size))
            .collect();
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            expected,
            "{policy:?}"
        );
    }
}

#[test]
fn a_mixed_mapping_has_the_shares_that_it_promises() {
    let spec = MappingSpec {
        pages: PagePolicy::Mixed,
        ..MappingSpec::default()
    };
    let share = |mapping: &Mapping, size| {
        let count = (0..40_000u64)
            .filter(|n| {
                mapping
                    .translate(n * 0x8720_0000)
                    .is_some_and(|placed| placed.size == size)
            })
            .count();
        count as f64 / 40_000.0
    };
    let with_1g = mapping(&spec, 46);
    for (size, expected) in [
        (PageSize::Size1G, 0.25),
        (PageSize::Size2M, 0.375),
        (PageSize::Size4K, 0.375),
    ] {
        assert!((share(&with_1g, size) - expected).abs() < 0.02, "{size}");
    }
    let no_1g = Capabilities {
        page_1g: false,
        ..capabilities(46)
    };
    let without = Mapping::new(&spec, &no_1g, None).expect("valid without 1 GiB pages");
    assert_eq!(share(&without, PageSize::Size1G), 0.0);
    assert!((share(&without, PageSize::Size2M) - 0.5).abs() < 0.02);
}

#[test]
fn accessed_and_dirty_and_rights_are_as_the_spec_says() {
    use crate::arch::entry::bit;
    let spec = MappingSpec {
        accessed_dirty: AccessedDirty::Set,
        user: false,
        writable: false,
        ..MappingSpec::default()
    };
    let path = mapping(&spec, 46).entries_for(0x1000);
    let (leaf, above) = path.split_last().expect("four entries");
    assert_eq!(leaf.value & 0xfff, bit::P | bit::A | bit::D);
    assert!(
        above
            .iter()
            .all(|entry| entry.value & 0xfff == bit::P | bit::RW | bit::US | bit::A)
    );
    let path = mapping(&MappingSpec::default(), 46).entries_for(0x1000);
    assert!(
        path.iter()
            .all(|entry| entry.value & 0xfff == bit::P | bit::RW | bit::US)
    );
}

#[test]
fn an_address_that_is_not_canonical_has_no_entries() {
    let mapping = mapping(&MappingSpec::default(), 46);
    assert!(mapping.entries_for(0x8000_0000_0000).is_empty());
    assert_eq!(mapping.translate(0x8000_0000_0000), None);
    assert_eq!(mapping.build([0x8000_0000_0000]), Ok(vec![]));
    assert_eq!(mapping.entries_for(0xffff_8000_0000_0000).len(), 4);
}

#[test]
fn addresses_that_would_meet_are_refused_whatever_their_order() {
    let mapping = mapping(&MappingSpec::default(), 36);
    assert_eq!(mapping.window_bytes(), 1 << 35);
    let expected = MappingError::Conflict {
        first: 0x4000_0000,
        second: 0x8_4000_0000,
        window_bytes: 1 << 35,
    };
    let (low, high) = (0x4000_0000u64, 0x8_4000_3000u64);
    assert_eq!(mapping.build([low, high]), Err(expected));
    assert_eq!(mapping.build([high, low]), Err(expected));
    for order in [[low, high], [high, low]] {
        let mut lazy = LazyTables::new(mapping.clone());
        assert!(lazy.touch(order[0]).is_ok());
        assert_eq!(lazy.touch(order[1]), Err(expected));
    }
}

#[test]
fn what_the_machine_does_not_have_is_refused() {
    let refused = |spec: MappingSpec, capabilities: Capabilities, memory| {
        Mapping::new(&spec, &capabilities, memory).expect_err("refused")
    };
    let spec = MappingSpec::default;
    let with = capabilities(46);
    let without = Capabilities {
        page_1g: false,
        five_level: false,
        ..with
    };
    assert_eq!(
        refused(
            MappingSpec {
                levels: 3,
                ..spec()
            },
            with,
            None
        ),
        MappingError::Levels { levels: 3 }
    );
    assert_eq!(
        refused(
            MappingSpec {
                levels: 5,
                ..spec()
            },
            without,
            None
        ),
        MappingError::NoFiveLevel
    );
    assert_eq!(
        refused(
            MappingSpec {
                pages: PagePolicy::Size1G,
                ..spec()
            },
            without,
            None
        ),
        MappingError::No1G
    );
    let small = refused(spec(), with, Some((1 << 32) - 4096));
    assert!(matches!(small, MappingError::TooSmall { .. }), "{small}");
    assert!(Mapping::new(&spec(), &with, Some(1 << 32)).is_ok());
}

#[test]
fn every_policy_is_found_by_its_name_and_reads_as_it_is_written() {
    for policy in PagePolicy::ALL {
        assert_eq!(PagePolicy::from_name(policy.name()), Some(policy));
        assert_eq!(
            toml::Value::try_from(policy).expect("writes").as_str(),
            Some(policy.name())
        );
    }
    let spec = MappingSpec::default();
    let text = toml::to_string(&spec).expect("writes");
    assert_eq!(toml::from_str::<MappingSpec>(&text).expect("reads"), spec);
    assert!(toml::from_str::<MappingSpec>(&format!("{text}\nsize = 1")).is_err());
}

fn any_spec() -> impl Strategy<Value = MappingSpec> {
    (
        any::<u64>(),
        0..4usize,
        any::<bool>(),
        4..=5u32,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(seed, policy, set, levels, user, writable)| MappingSpec {
            seed: seed >> 1,
            pages: PagePolicy::ALL[policy],
            accessed_dirty: if set {
                AccessedDirty::Set
            } else {
                AccessedDirty::Clear
            },
            levels,
            user,
            writable,
        })
}

/// Addresses as programs use them, dense ones, and any canonical ones of 48 bits.
fn any_address() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..1 << 24,
        0x5555_5555_0000u64..0x5555_5600_0000,
        0x7fff_0000_0000u64..0x8000_0000_0000,
        0xffff_ffff_8000_0000u64..0xffff_ffff_9000_0000,
        any::<u64>()
            .prop_map(|a| (a << 16) as i64 as u64)
            .prop_map(|a| ((a as i64) >> 16) as u64),
    ]
}

proptest! {
    #[test]
    fn the_tables_lead_every_page_where_the_rule_says_and_no_two_pages_to_one_frame(
        spec in any_spec(), bits in 36..=52u32, addresses in prop::collection::vec(any_address(), 1..60),
    ) {
        let mapping = mapping(&spec, bits);
        let built = mapping.build(addresses.iter().copied());
        if bits >= 49 {
            prop_assert!(built.is_ok(), "48-bit addresses all fit");
        }
        let Ok(entries) = built else { return Ok(()) };
        prop_assert!(entries.windows(2).all(|pair| pair[0].address < pair[1].address));
        let tables = by_address(&entries);
        let table_frames: BTreeSet<u64> = tables.keys().map(|address| address >> 12).collect();
        let mut owners = BTreeMap::new();
        for &address in &addresses {
            let placed = mapping.translate(address).expect("canonical");
            prop_assert_eq!(walk(&mapping, &tables, address, bits), Some(placed));
            let path = mapping.entries_for(address);
            prop_assert!(path.iter().all(|entry| tables[&entry.address.raw()] == entry.value));
            // The 4 KiB frame: of any page size, it must belong to one linear page alone.
            let frame = placed.address.raw() >> 12;
            prop_assert!(frame < 1 << (bits - 12));
            prop_assert_eq!(*owners.entry(frame).or_insert(address >> 12), address >> 12);
            prop_assert!(!table_frames.contains(&frame));
            prop_assert!(frame >= mapping.free_bytes() >> 12);
            // Large pages reach beyond the frame: no table may stand anywhere in them.
            let start = placed.address.raw() & !placed.size.offset_mask();
            let end = start + placed.size.bytes();
            prop_assert!(tables.range(start..end).next().is_none());
        }
        prop_assert!(*table_frames.first().expect("a root") >= mapping.free_bytes() >> 12);
    }

    #[test]
    fn pages_of_different_sizes_never_overlap(
        spec in any_spec(), base in any_address(), offsets in prop::collection::vec(0u64..1 << 32, 1..60),
    ) {
        let mapping = mapping(&MappingSpec { pages: PagePolicy::Mixed, ..spec }, 46);
        let mut spans = BTreeMap::new();
        for offset in offsets {
            let address = ((base.wrapping_add(offset) << 16) as i64 >> 16) as u64;
            let placed = mapping.translate(address).expect("canonical");
            let mask = placed.size.offset_mask();
            let linear = address & !mask;
            let start = placed.address.raw() & !mask;
            let span = *spans.entry(start).or_insert((linear, placed.size));
            prop_assert_eq!(span, (linear, placed.size));
        }
        let mut end = 0;
        for (start, (_, size)) in spans {
            prop_assert!(start >= end);
            end = start + size.bytes();
        }
    }

    #[test]
    fn lazy_tables_grow_to_what_is_built_at_once_in_any_order(
        spec in any_spec(), addresses in prop::collection::vec(any_address(), 1..60).prop_shuffle(),
    ) {
        let mapping = mapping(&spec, 50);
        let built = by_address(&mapping.build(addresses.iter().copied()).expect("fits"));
        let mut lazy = LazyTables::new(mapping);
        let mut grown = BTreeMap::new();
        for &address in &addresses {
            for entry in lazy.touch(address).expect("fits").iter().flat_map(|path| path.iter()) {
                prop_assert_eq!(grown.insert(entry.address.raw(), entry.value), None, "given out twice");
            }
            prop_assert_eq!(lazy.touch(address), Ok(None));
        }
        prop_assert_eq!(grown, built);
    }

    #[test]
    fn placement_changes_with_the_seed(seed in 0..1u64 << 62, address in any_address()) {
        let place = |seed| {
            let mapping = mapping(&MappingSpec { seed, ..MappingSpec::default() }, 46);
            (mapping.root(), mapping.translate(address))
        };
        prop_assert_ne!(place(seed), place(seed + 1));
        prop_assert_eq!(place(seed), place(seed));
    }

    #[test]
    fn a_memory_smaller_than_the_address_space_is_never_left(
        size_bytes in 1u64 << 34..1 << 46, levels in 4..=5u32, address in any_address(),
    ) {
        let spec = MappingSpec { levels, ..MappingSpec::default() };
        let mapping = Mapping::new(&spec, &capabilities(46), Some(size_bytes)).expect("large enough");
        let placed = mapping.translate(address).expect("canonical");
        prop_assert!(placed.address.raw() < size_bytes);
        prop_assert!(mapping.entries_for(address).iter().all(|entry| entry.address.raw() + 8 <= size_bytes));
        prop_assert!(Level::ALL.iter().all(|&level| mapping.table(level, 0).raw() < size_bytes));
    }
}
