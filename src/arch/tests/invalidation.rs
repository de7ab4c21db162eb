//! Tests of what an invalidation covers, against the contract's table.
//!
//! Contract: 4.4, 9.3. SDM vol. 3A, 4.10.4.1. Counterpart: none.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::arch::{Invalidation, PageSize, PagingMode, Pcid, VirtualAddress};

const MODE: PagingMode = PagingMode::FourLevel;

fn va(raw: u64) -> VirtualAddress {
    VirtualAddress::new(raw, MODE)
}

fn pcid(raw: u64) -> Pcid {
    Pcid::new_truncate(raw)
}

#[test]
fn a_pcid_has_12_bits() {
    assert_eq!(Pcid::try_new(0xfff).map(Pcid::raw), Some(0xfff));
    assert_eq!(Pcid::try_new(0x1000), None);
    assert_eq!(pcid(0x1234).raw(), 0x234);
}

#[test]
fn an_address_in_the_middle_of_a_large_page_covers_the_whole_page() {
    let page = Invalidation::Page {
        va: va(0x4031_2345),
        pcid: pcid(1),
        globals: false,
    };
    assert!(page.covers_tlb_entry(va(0x4000_0000), PageSize::Size1G, pcid(1), false));
    assert!(page.covers_tlb_entry(va(0x4020_0000), PageSize::Size2M, pcid(1), false));
    assert!(page.covers_tlb_entry(va(0x4031_2000), PageSize::Size4K, pcid(1), false));
    assert!(!page.covers_tlb_entry(va(0x4020_0000), PageSize::Size4K, pcid(1), false));
    assert!(!page.covers_tlb_entry(va(0x4040_0000), PageSize::Size2M, pcid(1), false));
}

#[test]
fn invlpg_takes_globals_of_any_pcid_and_invpcid_of_an_address_none() {
    let with = |globals| Invalidation::Page {
        va: va(0x5000),
        pcid: pcid(1),
        globals,
    };
    let covers = |invalidation: Invalidation, context, global| {
        invalidation.covers_tlb_entry(va(0x5000), PageSize::Size4K, pcid(context), global)
    };
    assert!(covers(with(true), 2, true));
    assert!(covers(with(true), 1, true));
    assert!(!covers(with(true), 2, false));
    assert!(!covers(with(false), 1, true));
    assert!(covers(with(false), 1, false));
}

#[test]
fn the_smep_flush_takes_globals_and_one_context() {
    let smep = Invalidation::Context {
        pcid: pcid(3),
        globals: true,
    };
    let covers =
        |context, global| smep.covers_tlb_entry(va(0), PageSize::Size4K, pcid(context), global);
    assert!(covers(3, false) && covers(3, true) && covers(9, true));
    assert!(!covers(9, false));
    assert!(smep.covers_psc_entry(pcid(3)) && !smep.covers_psc_entry(pcid(9)));
}

#[test]
fn all_but_globals_still_empties_every_paging_structure_cache() {
    assert!(Invalidation::AllNonGlobal.covers_psc_entry(pcid(7)));
    let page = va(0x8000);
    let size = PageSize::Size4K;
    assert!(!Invalidation::AllNonGlobal.covers_tlb_entry(page, size, pcid(7), true));
    assert!(Invalidation::AllNonGlobal.covers_tlb_entry(page, size, pcid(7), false));
}

#[test]
fn an_invalidation_is_printed_in_words() {
    let page = Invalidation::Page {
        va: va(0x5000),
        pcid: pcid(0x45),
        globals: true,
    };
    assert_eq!(page.to_string(), "page 0x5000 of PCID 0x045 and globals");
    assert_eq!(
        Invalidation::AllNonGlobal.to_string(),
        "everything but globals"
    );
}

fn any_invalidation() -> impl Strategy<Value = Invalidation> {
    (0..5u8, 0..4u64, 0..4u64, any::<bool>()).prop_map(|(kind, page, context, globals)| {
        let pcid = pcid(context);
        match kind {
            0 => Invalidation::None,
            1 => Invalidation::Page {
                va: va(page << 20),
                pcid,
                globals,
            },
            2 => Invalidation::Context { pcid, globals },
            3 => Invalidation::AllNonGlobal,
            _ => Invalidation::All,
        }
    })
}

proptest! {
    #[test]
    fn any_invalidation_covers_what_the_contracts_table_says(
        invalidation in any_invalidation(),
        page in 0..4u64, size in 0..3usize, context in 0..4u64, global in any::<bool>(),
    ) {
        let size = PageSize::ARRAYS[size];
        let entry = va(page << 20).align_down(size);
        let context = pcid(context);
        let (tlb, psc) = match invalidation {
            Invalidation::None => (false, false),
            Invalidation::Page { va, pcid, globals } => {
                let equal = va.align_down(size) == entry;
                let local = !global && context == pcid;
                (equal && (local || global && globals), context == pcid)
            }
            Invalidation::Context { pcid, globals: false } => {
                (!global && context == pcid, context == pcid)
            }
            Invalidation::Context { pcid, globals: true } => {
                (global || context == pcid, context == pcid)
            }
            Invalidation::AllNonGlobal => (!global, true),
            Invalidation::All => (true, true),
        };
        prop_assert_eq!(invalidation.covers_tlb_entry(entry, size, context, global), tlb);
        prop_assert_eq!(invalidation.covers_psc_entry(context), psc);
        prop_assert!(!(invalidation.is_none() && (tlb || psc)));
    }
}
