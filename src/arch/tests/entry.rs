//! Tests of what an entry means at its level, against the table of fields, with seeded mistakes.
//!
//! Contract: 8.4. SDM vol. 3A, 4.3, 4.5, 4.7. Counterpart: none.

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::{any_capabilities, any_word, every_capability};
use crate::arch::entry::bit;
use crate::arch::{
    Capabilities, Decoded, Entry, EntryKind, EntryRules, EntryView, Level, PageSize, PagingMode,
};

/// A decoder under test: machine, NXE, level, entry.
type Decoder = fn(&Capabilities, bool, Level, Entry) -> Decoded;

/// The hot path.
fn hot_path(capabilities: &Capabilities, nxe: bool, level: Level, entry: Entry) -> Decoded {
    EntryRules::new(PagingMode::FiveLevel, capabilities, nxe, true).decode(level, entry)
}

/// The same, from the table of fields and the bit view alone.
fn by_table(capabilities: &Capabilities, nxe: bool, level: Level, entry: Entry) -> Decoded {
    let of = |leaf| EntryKind::of(PagingMode::FiveLevel, level, leaf);
    let leaf = match (of(false), of(true)) {
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (table, _) => {
            let kind = table.expect("a level has entries of some kind");
            let ps = EntryView::new(kind, entry).get("PS") == Some(1);
            ps && (level != Level::Pdpt || capabilities.page_1g)
        }
    };
    meaning(of(leaf), capabilities, nxe, entry)
}

/// What `entry` means as one of `kind`.
fn meaning(
    kind: Option<EntryKind>,
    capabilities: &Capabilities,
    nxe: bool,
    entry: Entry,
) -> Decoded {
    let kind = kind.expect("there is an entry of that kind");
    let view = EntryView::new(kind, entry);
    if view.get("P") == Some(0) {
        return Decoded::NotPresent;
    }
    let bits = kind
        .fields()
        .iter()
        .filter(|field| view.load(field) != 0)
        .fold(0, |bits, field| {
            bits | entry.raw() & field.reserved_mask(capabilities, nxe)
        });
    match (bits, kind.page_size()) {
        (0, None) => Decoded::Table,
        (0, Some(size)) => Decoded::Leaf(size),
        (bits, _) => Decoded::Reserved { bits },
    }
}

/// The first disagreement of `decoder` with the table over every machine and every entry of at most two bits beside P.
fn first_disagreement(decoder: Decoder) -> Option<(Level, Entry)> {
    for capabilities in every_capability().filter(|capabilities| capabilities.five_level) {
        for nxe in [false, true] {
            for level in Level::ALL {
                for (a, b) in (0..64).flat_map(|a| (a..64).map(move |b| (a, b))) {
                    let absent = Entry(!bit::P & (1 << a | 1 << b));
                    for entry in [absent, Entry(bit::P | absent.raw())] {
                        let want = by_table(&capabilities, nxe, level, entry);
                        if decoder(&capabilities, nxe, level, entry) != want {
                            return Some((level, entry));
                        }
                    }
                }
            }
        }
    }
    None
}

#[test]
fn the_hot_path_decodes_as_the_table_does() {
    assert_eq!(first_disagreement(hot_path), None);
}

#[test]
fn every_seeded_mistake_in_decoding_is_noticed() {
    let mistakes: [(&str, Decoder); 7] = [
        (
            "PAT of a large leaf is reserved",
            |capabilities, nxe, level, entry| match hot_path(capabilities, nxe, level, entry) {
                Decoded::Leaf(PageSize::Size2M | PageSize::Size1G)
                    if entry.raw() & bit::PAT_LARGE != 0 =>
                {
                    Decoded::Reserved {
                        bits: bit::PAT_LARGE,
                    }
                }
                other => other,
            },
        ),
        (
            "PS of a PML4E is ignored",
            |capabilities, nxe, level, entry| {
                let entry = match level {
                    Level::Pml4 => Entry(entry.raw() & !bit::PS),
                    _ => entry,
                };
                hot_path(capabilities, nxe, level, entry)
            },
        ),
        (
            "1 GiB pages are always there",
            |capabilities, nxe, level, entry| {
                let capabilities = Capabilities {
                    page_1g: true,
                    ..*capabilities
                };
                hot_path(&capabilities, nxe, level, entry)
            },
        ),
        ("XD is never reserved", |capabilities, _, level, entry| {
            hot_path(capabilities, true, level, entry)
        }),
        (
            "one address bit too few is reserved",
            |capabilities, nxe, level, entry| {
                let wider = Entry(entry.raw() & !(1 << capabilities.maxphyaddr.bits().min(51)));
                hot_path(capabilities, nxe, level, wider)
            },
        ),
        ("P is not looked at", |capabilities, nxe, level, entry| {
            hot_path(capabilities, nxe, level, Entry(entry.raw() | bit::P))
        }),
        (
            "bit 21 of a 1 GiB leaf is address",
            |capabilities, nxe, level, entry| {
                let cleared = match level {
                    Level::Pdpt if entry.raw() & bit::PS != 0 => Entry(entry.raw() & !(1 << 21)),
                    _ => entry,
                };
                hot_path(capabilities, nxe, level, cleared)
            },
        ),
    ];
    for (name, decoder) in mistakes {
        assert!(first_disagreement(decoder).is_some(), "not noticed: {name}");
    }
}

#[test]
fn an_entry_that_is_not_present_has_no_reserved_bits() {
    let capabilities = Capabilities::new(36, false, true).expect("a width in range");
    for level in Level::ALL {
        let entry = Entry(!bit::P);
        assert_eq!(
            hot_path(&capabilities, false, level, entry),
            Decoded::NotPresent
        );
    }
}

#[test]
fn ps_in_a_pdpte_is_a_page_or_reserved_by_capability() {
    let entry = Entry(bit::P | bit::PS);
    let with = Capabilities::new(52, true, true).expect("a width in range");
    let without = Capabilities::new(52, false, true).expect("a width in range");
    let leaf = Decoded::Leaf(PageSize::Size1G);
    assert_eq!(hot_path(&with, true, Level::Pdpt, entry), leaf);
    let reserved = Decoded::Reserved { bits: bit::PS };
    assert_eq!(hot_path(&without, true, Level::Pdpt, entry), reserved);
}

#[test]
fn without_1g_pages_the_low_address_bits_of_a_pdpte_with_ps_are_no_further_fault() {
    let without = Capabilities::new(52, false, true).expect("a width in range");
    let entry = Entry(bit::P | bit::PS | 1 << 13 | 1 << 29);
    let reserved = Decoded::Reserved { bits: bit::PS };
    assert_eq!(hot_path(&without, true, Level::Pdpt, entry), reserved);
}

#[test]
fn four_level_paging_decodes_its_levels_as_five_level_paging_does() {
    for capabilities in every_capability() {
        let four = EntryRules::new(PagingMode::FourLevel, &capabilities, false, true);
        let five = EntryRules::new(PagingMode::FiveLevel, &capabilities, false, true);
        for level in PagingMode::FourLevel
            .spec()
            .levels
            .iter()
            .map(|row| row.level)
        {
            for position in 1..64 {
                let entry = Entry(bit::P | 1 << position);
                assert_eq!(four.decode(level, entry), five.decode(level, entry));
            }
        }
    }
}

/// A decoder of 32-bit paging under test: machine, PSE, level, entry.
type Decoder32 = fn(&Capabilities, bool, Level, Entry) -> Decoded;

fn hot_path_32(capabilities: &Capabilities, pse: bool, level: Level, entry: Entry) -> Decoded {
    EntryRules::new(PagingMode::TwoLevel, capabilities, false, pse).decode(level, entry)
}

fn by_table_32(capabilities: &Capabilities, pse: bool, level: Level, entry: Entry) -> Decoded {
    let leaf = level == Level::Pt || pse && entry.raw() & bit::PS != 0;
    let kind = EntryKind::of(PagingMode::TwoLevel, level, leaf);
    meaning(kind, capabilities, false, entry)
}

/// As [`first_disagreement`], over every entry of 4 bytes with at most two bits beside P.
fn first_disagreement_32(decoder: Decoder32) -> Option<(Level, Entry)> {
    for capabilities in every_capability() {
        for (pse, level) in [false, true]
            .into_iter()
            .flat_map(|pse| [(pse, Level::Pt), (pse, Level::Pd)])
        {
            for (a, b) in (0..32).flat_map(|a| (a..32).map(move |b| (a, b))) {
                for ps in [0, bit::PS] {
                    let entry = Entry(1 << a | 1 << b | ps);
                    let want = by_table_32(&capabilities, pse, level, entry);
                    if decoder(&capabilities, pse, level, entry) != want {
                        return Some((level, entry));
                    }
                }
            }
        }
    }
    None
}

#[test]
fn entries_of_4_bytes_decode_as_the_table_does() {
    assert_eq!(first_disagreement_32(hot_path_32), None);
}

#[test]
fn every_seeded_mistake_in_decoding_entries_of_4_bytes_is_noticed() {
    let mistakes: [(&str, Decoder32); 4] = [
        ("PS counts without PSE", |capabilities, _, level, entry| {
            hot_path_32(capabilities, true, level, entry)
        }),
        ("PS never counts", |capabilities, _, level, entry| {
            hot_path_32(capabilities, false, level, entry)
        }),
        (
            "bit 21 is not reserved",
            |capabilities, pse, level, entry| {
                let cleared = match level {
                    Level::Pd if entry.raw() & bit::PS != 0 => Entry(entry.raw() & !(1 << 21)),
                    _ => entry,
                };
                hot_path_32(capabilities, pse, level, cleared)
            },
        ),
        (
            "every machine has 40 address bits",
            |capabilities, pse, level, entry| {
                let wide = Capabilities {
                    maxphyaddr: crate::arch::MaxPhyAddr::MAX,
                    ..*capabilities
                };
                hot_path_32(&wide, pse, level, entry)
            },
        ),
    ];
    for (name, decoder) in mistakes {
        assert!(
            first_disagreement_32(decoder).is_some(),
            "not noticed: {name}"
        );
    }
}

#[test]
fn a_4_mib_page_may_lie_above_4_gib() {
    let leaf = Entry(bit::P | bit::PS | 0x12 << 13 | 0x8040_0000 | bit::PAT_LARGE);
    assert_eq!(leaf.frame(PageSize::Size4M).raw(), 0x12_8040_0000);
    assert_eq!(leaf.memory_type(PageSize::Size4M).pat_index(), 4);
    let placed = Entry(Entry::frame_bits(PageSize::Size4M, 0x12_8040_0000));
    assert_eq!(placed.raw(), 0x12 << 13 | 0x8040_0000);
    let narrow = Capabilities::new(36, false, false).expect("a width in range");
    let decode = |entry| hot_path_32(&narrow, true, Level::Pd, Entry(entry));
    let inside = leaf.raw() & !(0x10 << 13);
    assert_eq!(decode(inside), Decoded::Leaf(PageSize::Size4M));
    let bits = 0x10 << 13;
    assert_eq!(decode(leaf.raw()), Decoded::Reserved { bits });
}

#[test]
fn the_bits_of_an_address_are_read_back_as_it() {
    for size in PageSize::ALL {
        let width = if size == PageSize::Size4M { 40 } else { 52 };
        for shift in size.shift()..width {
            let address = 1 << shift;
            let leaf = Entry(Entry::frame_bits(size, address));
            assert_eq!(leaf.frame(size).raw(), address, "{size}");
        }
        assert_eq!(Entry::frame_bits(size, size.offset_mask()), 0, "{size}");
    }
}

#[test]
fn the_pat_index_is_4_pat_2_pcd_and_pwt() {
    let large = Entry(bit::PAT_LARGE | bit::PWT);
    assert_eq!(large.memory_type(PageSize::Size2M).pat_index(), 5);
    assert_eq!(large.memory_type(PageSize::Size1G).pat_index(), 5);
    assert_eq!(large.memory_type(PageSize::Size4K).pat_index(), 1);
    let small = Entry(bit::PAT_4K | bit::PCD);
    assert_eq!(small.memory_type(PageSize::Size4K).pat_index(), 6);
    assert_eq!(small.memory_type(PageSize::Size2M).pat_index(), 2);
}

proptest! {
    #[test]
    fn the_hot_path_decodes_any_word_as_the_table_does(
        capabilities in any_capabilities(), nxe in any::<bool>(), raw in any_word(), level in 0..5usize,
    ) {
        let (level, entry) = (Level::ALL[level], Entry(raw));
        prop_assert_eq!(
            hot_path(&capabilities, nxe, level, entry),
            by_table(&capabilities, nxe, level, entry)
        );
    }

    #[test]
    fn using_an_entry_sets_accessed_and_dirty_and_nothing_else(raw in any_word(), write in any::<bool>()) {
        let entry = Entry(raw);
        prop_assert_eq!(entry.after_use_as_table().raw(), raw | 0x20);
        prop_assert_eq!(entry.after_use_as_leaf(write).raw(), raw | if write { 0x60 } else { 0x20 });
    }
}
