//! Tests of addresses, widths, page sizes and the table of modes.
//!
//! Contract: 1.5, 6. SDM vol. 3A, 4.1.4, 4.5. Counterpart: none.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{any_paging, any_word};
use crate::arch::mode::MODES;
use crate::arch::{
    AddressError, Capabilities, LeafRule, Level, MaxPhyAddr, PageSize, PagingMode, PhysicalAddress,
    VirtualAddress,
};

#[test]
fn maxphyaddr_is_36_to_52_bits() {
    assert_eq!(
        MaxPhyAddr::new(35),
        Err(AddressError::PhysicalWidth { bits: 35 })
    );
    assert_eq!(
        MaxPhyAddr::new(53),
        Err(AddressError::PhysicalWidth { bits: 53 })
    );
    assert!(Capabilities::new(0, true, true).is_err());
    for bits in 36..=52 {
        let width = MaxPhyAddr::new(bits).expect("a width in range");
        assert_eq!(width.bits(), bits);
        assert_eq!(width.mask().count_ones(), bits);
        assert_eq!(width.reserved_entry_bits().count_ones(), 52 - bits);
        assert_eq!(width.mask() ^ width.reserved_entry_bits(), (1 << 52) - 1);
    }
}

#[test]
fn a_physical_address_is_refused_from_the_first_bit_above_maxphyaddr() {
    let width = MaxPhyAddr::new(40).expect("a width in range");
    let top = (1 << 40) - 1;
    assert_eq!(
        PhysicalAddress::try_new(top, width).map(PhysicalAddress::raw),
        Ok(top)
    );
    let error = AddressError::TooWide {
        raw: 1 << 40,
        bits: 40,
    };
    assert_eq!(PhysicalAddress::try_new(1 << 40, width), Err(error));
    assert_eq!(PhysicalAddress::new_truncate(u64::MAX, width).raw(), top);
    let words =
        "physical address 0x10000000000 does not fit in 40 bits: give one below 0x10000000000";
    assert_eq!(error.to_string(), words);
}

#[test]
#[should_panic(expected = "52 bits at most")]
fn a_physical_constant_above_52_bits_is_a_mistake() {
    let _ = PhysicalAddress::new(1 << 52);
}

#[test]
#[should_panic(expected = "not canonical")]
fn a_linear_constant_that_is_not_canonical_is_a_mistake() {
    let _ = VirtualAddress::new(1 << 47, PagingMode::FourLevel);
}

#[test]
fn the_edges_of_the_canonical_halves_are_where_the_mode_puts_them() {
    let edges = [
        (
            PagingMode::FourLevel,
            0x0000_7fff_ffff_ffff,
            0xffff_8000_0000_0000,
        ),
        (
            PagingMode::FiveLevel,
            0x00ff_ffff_ffff_ffff,
            0xff00_0000_0000_0000,
        ),
    ];
    for (mode, low_end, high_start) in edges {
        assert!(VirtualAddress::try_new(low_end, mode).is_ok());
        assert!(VirtualAddress::try_new(high_start, mode).is_ok());
        assert!(VirtualAddress::try_new(low_end + 1, mode).is_err());
        assert!(VirtualAddress::try_new(high_start - 1, mode).is_err());
        assert_eq!(
            VirtualAddress::new_truncate(low_end + 1, mode).raw(),
            high_start
        );
    }
    let refused = VirtualAddress::try_new(1 << 47, PagingMode::FourLevel).expect_err("refused");
    let words = "address 0x800000000000 is not canonical: bits 63:47 must all be equal";
    assert_eq!(refused.to_string(), words);
}

#[test]
fn an_address_canonical_in_57_bits_need_not_be_in_48() {
    let raw = 0x0000_8000_0000_0000;
    assert!(VirtualAddress::try_new(raw, PagingMode::FourLevel).is_err());
    assert!(VirtualAddress::try_new(raw, PagingMode::FiveLevel).is_ok());
    let (four, five) = (PagingMode::FourLevel, PagingMode::FiveLevel);
    assert_ne!(VirtualAddress::new(0, four), VirtualAddress::new(0, five));
}

/// The modes that walk.
const PAGING: [PagingMode; 3] = [
    PagingMode::FourLevel,
    PagingMode::FiveLevel,
    PagingMode::TwoLevel,
];

#[test]
fn in_32_bit_paging_no_address_is_refused_and_the_lower_half_counts() {
    for raw in [0x8000_1234, 1 << 47 | 0x8000_1234, !0 << 32 | 0x8000_1234] {
        let address = VirtualAddress::try_new(raw, PagingMode::TwoLevel);
        assert_eq!(address.map(VirtualAddress::raw), Ok(0x8000_1234));
    }
    let address = VirtualAddress::new(0xffff_fffc, PagingMode::TwoLevel);
    let indices = [Level::Pd, Level::Pt].map(|level| address.index(level));
    assert_eq!(indices, [0x3ff, 0x3ff]);
    let at =
        PagingMode::TwoLevel.entry_address(PhysicalAddress::new(0x5000), Level::Pd, address.raw());
    assert_eq!(at.raw(), 0x5ffc);
}

#[test]
fn page_sizes_are_ordered_by_size_and_their_codes_go_both_ways() {
    assert!(PageSize::ALL.is_sorted());
    for size in PageSize::ALL {
        assert_eq!(PageSize::from_code(size as u8), Some(size));
    }
    assert_eq!(PageSize::from_code(4), None);
    for (index, size) in PageSize::ARRAYS.into_iter().enumerate() {
        assert_eq!(size.array_index(), index);
    }
}

#[test]
fn with_paging_off_no_address_is_refused() {
    for raw in [0, 1 << 47, 1 << 63, u64::MAX] {
        let address = VirtualAddress::try_new(raw, PagingMode::Off);
        assert_eq!(address.map(VirtualAddress::raw), Ok(raw));
    }
}

#[test]
fn every_mode_stands_at_its_own_place_in_the_table() {
    for (index, mode) in PagingMode::ALL.into_iter().enumerate() {
        assert_eq!(mode as usize, index);
        assert_eq!(MODES[index].mode, mode);
        assert_eq!(mode.spec().address_bits, mode.address_bits());
        assert_eq!(mode.spec().levels.first().map(|row| row.level), mode.root());
    }
}

#[test]
fn the_levels_of_a_mode_take_every_translated_bit_once() {
    for mode in PAGING {
        let mut above = mode.address_bits();
        for row in mode.spec().levels {
            assert_eq!(row.index_shift + row.index_bits, above);
            assert_eq!(row.index_shift, mode.index_shift(row.level));
            assert_eq!(mode.index(row.level, u64::MAX), (1 << row.index_bits) - 1);
            let table_bytes = mode.spec().entry_bytes << row.index_bits;
            assert_eq!(u64::from(table_bytes), PageSize::Size4K.bytes());
            above = row.index_shift;
        }
        assert_eq!(above, PageSize::Size4K.shift());
        assert_eq!(u64::from(mode.spec().entry_bytes), mode.entry_bytes());
    }
}

#[test]
fn every_mode_ends_in_leaves_and_a_leaf_maps_what_its_level_translates() {
    for mode in PAGING {
        let levels = mode.spec().levels;
        assert_eq!(levels.last().map(|row| row.leaf), Some(LeafRule::Always));
        for pair in levels.windows(2) {
            assert_eq!(pair[0].level.below(), Some(pair[1].level));
            assert_ne!(pair[0].leaf, LeafRule::Always);
        }
        for row in levels {
            let size = row.page_size;
            assert_eq!(size.is_some(), row.leaf != LeafRule::Never);
            if let Some(size) = size {
                assert_eq!(size.shift(), row.index_shift);
                assert_eq!(mode.array_page_sizes()[size.array_index()], size);
                assert_eq!(size.leaf_level(), row.level);
            }
        }
    }
}

#[test]
fn levels_and_their_numbers_go_both_ways() {
    for (index, level) in Level::ALL.into_iter().enumerate() {
        assert_eq!(level.array_index(), index);
        assert_eq!(Level::from_number(level.number()), Some(level));
    }
    assert_eq!(Level::from_number(0), None);
    assert_eq!(Level::from_number(6), None);
    assert_eq!(Level::Pt.below(), None);
}

/// The canonical check bit by bit, as the manual words it.
fn upper_bits_repeat_the_top_one(raw: u64, bits: u32) -> bool {
    (bits..64).all(|bit| raw >> bit & 1 == raw >> (bits - 1) & 1)
}

proptest! {
    #[test]
    fn canonical_means_that_every_upper_bit_repeats_the_top_one(raw in any_word(), mode in any_paging()) {
        let canonical = upper_bits_repeat_the_top_one(raw, mode.address_bits());
        prop_assert_eq!(VirtualAddress::try_new(raw, mode).is_ok(), canonical);
        let truncated = VirtualAddress::new_truncate(raw, mode).raw();
        prop_assert!(upper_bits_repeat_the_top_one(truncated, mode.address_bits()));
        prop_assert_eq!((truncated ^ raw) << (64 - mode.address_bits()), 0);
    }

    #[test]
    fn indices_and_offset_make_up_the_address(raw in any_word(), mode in any_paging()) {
        let address = VirtualAddress::new_truncate(raw, mode);
        for size in PageSize::ARRAYS {
            let upper = mode
                .spec()
                .levels
                .iter()
                .filter(|row| row.level >= size.leaf_level())
                .fold(0, |sum, row| sum | address.index(row.level) << row.index_shift);
            prop_assert_eq!(mode.extend(upper | address.offset(size)), address.raw());
            prop_assert_eq!(address.align_down(size).raw() + address.offset(size), address.raw());
            prop_assert_eq!(address.page_number(size) << size.shift(), address.align_down(size).raw());
        }
    }

    #[test]
    fn four_level_addresses_are_those_of_the_crate_x86_64(raw in any::<u64>()) {
        let ours = VirtualAddress::new_truncate(raw, PagingMode::FourLevel);
        let theirs = x86_64::VirtAddr::new_truncate(raw);
        prop_assert_eq!(ours.raw(), theirs.as_u64());
        prop_assert_eq!(ours.index(Level::Pml4), u64::from(theirs.p4_index()));
        prop_assert_eq!(ours.index(Level::Pdpt), u64::from(theirs.p3_index()));
        prop_assert_eq!(ours.index(Level::Pd), u64::from(theirs.p2_index()));
        prop_assert_eq!(ours.index(Level::Pt), u64::from(theirs.p1_index()));
        prop_assert_eq!(ours.offset(PageSize::Size4K), u64::from(theirs.page_offset()));
        let canonical = x86_64::VirtAddr::try_new(raw).is_ok();
        prop_assert_eq!(VirtualAddress::try_new(raw, PagingMode::FourLevel).is_ok(), canonical);
        let physical = x86_64::PhysAddr::try_new(raw).is_ok();
        prop_assert_eq!(PhysicalAddress::try_new(raw, MaxPhyAddr::MAX).is_ok(), physical);
    }
}
