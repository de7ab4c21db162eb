//! Tests of the architecture, one file per module. Each comparator is also shown to fail on seeded mistakes.
//!
//! Contract: the sections that the modules name. SDM: likewise. Counterpart: none.

mod address;
mod control_table;
mod entry;
mod fields;
mod invalidation;
mod registers;
mod rights;

use proptest::prelude::{Strategy, any, prop_oneof};

use super::{Capabilities, MaxPhyAddr, PagingMode};

/// Every machine that differs in what it may be built with.
fn every_capability() -> impl Iterator<Item = Capabilities> {
    (MaxPhyAddr::MIN_BITS..=MaxPhyAddr::MAX_BITS).flat_map(|bits| {
        [false, true].into_iter().flat_map(move |page_1g| {
            [false, true].map(|five_level| {
                Capabilities::new(bits, page_1g, five_level).expect("a width in range")
            })
        })
    })
}

fn any_capabilities() -> impl Strategy<Value = Capabilities> {
    (
        MaxPhyAddr::MIN_BITS..=MaxPhyAddr::MAX_BITS,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(bits, page_1g, five_level)| {
            Capabilities::new(bits, page_1g, five_level).expect("a width in range")
        })
}

fn any_paging() -> impl Strategy<Value = PagingMode> {
    prop_oneof![
        proptest::prelude::Just(PagingMode::FourLevel),
        proptest::prelude::Just(PagingMode::FiveLevel)
    ]
}

/// Random words, and words of few bits, which random ones never are.
fn any_word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64u32, 0..64u32, 0..64u32).prop_map(|(a, b, c)| 1 << a | 1 << b | 1 << c),
        (0..64u32, 0..64u32).prop_map(|(a, b)| !(1 << a | 1 << b)),
    ]
}
