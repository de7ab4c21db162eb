//! Tests of the syntax of a mapping.
//!
//! Contract: none. SDM vol. 3A, 4.3 and 4.5. Counterpart: none.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<MapSpec, ExplainError> {
    MapSpec::parse(text, PagingMode::FourLevel)
}

fn leaf_in(mode: PagingMode, text: &str) -> u64 {
    MapSpec::parse(text, mode).expect(text).leaf_entry()
}

fn leaf(text: &str) -> u64 {
    leaf_in(PagingMode::FourLevel, text)
}

#[test]
fn an_ordinary_page_is_present_writable_for_user_mode_accessed_and_dirty() {
    assert_eq!(leaf("0x400000=0x1234000"), 0x123_4067);
    assert_eq!(leaf("4M=0x200000,2m"), 0x20_00e7);
    assert_eq!(leaf(" 0 = 1G , 1g "), 0x4000_00e7);
}

#[test]
fn attributes_change_the_leaf_in_their_order_and_entries_above_it_by_name() {
    assert_eq!(leaf("0=0x1000,ro,super,nx,d=0"), 0x8000_0000_0000_1021);
    assert_eq!(leaf("0=0x1000,key=5,g=1"), 0x2800_0000_0000_1167);
    assert_eq!(leaf("0=0x1000,raw=0x99,p=0"), 0x98);
    assert_eq!(leaf("0=0x200000,2m,bit13=1,pat=1"), 0x20_30e7);
    assert_eq!(leaf("0=0x1000,address=0x5000"), 0x5067);
    let map = parse("0=0x1000,pde.us=0,pml4e.ps=1").expect("it is right");
    let levels = [Level::Pml4, Level::Pdpt, Level::Pd];
    let entries = levels.map(|level| map.table_entry(level, 0x3000));
    assert_eq!(entries, [(0x30a7, true), (0x3027, false), (0x3023, true)]);
}

#[test]
fn entries_of_4_bytes_have_their_own_fields_and_4_mib_pages_bits_39_to_32() {
    let leaf = |text| leaf_in(PagingMode::TwoLevel, text);
    assert_eq!(leaf("0x401000=0xffff0000"), 0xffff_0067);
    assert_eq!(leaf("4M=0x1280400000,4m"), 0x8042_40e7);
    assert_eq!(leaf("4M=0x400000,4m,addr_high=0xff,pat=1"), 0x005f_f0e7);
    assert_eq!(leaf("4M=0x400000,4m,bit21=1"), 0x0060_00e7);
    for (text, place, problem) in [
        ("0=0x100000000", 3, "a physical address of 32 bits"),
        ("0=0x10000000000,4m", 3, "a physical address of 40 bits"),
        ("0x100000000=0", 1, "is not an address of 32-bit paging"),
        ("0=0,2m", 5, "32-bit paging has no pages of 2m"),
        ("0=0,nx", 5, "\"nx\" is no attribute of a PTE"),
        ("0=0,key=1", 5, "\"key\" is no attribute of a PTE"),
        ("0=0,bit32=1", 5, "\"bit32\" is no bit of an entry"),
        ("0=0,raw=0x100000000", 5, "does not fit"),
        ("0=0,pdpte.p=0", 5, "\"pdpte\" is no entry on the way"),
    ] {
        let error = MapSpec::parse(text, PagingMode::TwoLevel).expect_err(text);
        let end = format!("character {place}");
        assert!(error.place.ends_with(&end), "{text}: {error}");
        assert!(error.problem.contains(problem), "{text}: {error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_is_allowed() {
    for (text, place, problem) in [
        ("0x400000", 1, "there is no ="),
        ("=0", 1, "a digit is missing"),
        ("0=", 3, "a digit is missing"),
        ("0=0x1000,usr", 10, "\"usr\" is no attribute of a PTE"),
        ("0=0x1000,", 10, "\"\" is no attribute"),
        ("0=0x1000,2m,1g", 13, "a second page size"),
        ("0=0,4m", 5, "4-level paging has no pages of 4m"),
        (
            "0=0x1000,2m",
            3,
            "physical address 0x1000 is not the start of a page of 2m",
        ),
        (
            "0x1234=0",
            1,
            "linear address 0x1234 is not the start of a page of 4k",
        ),
        ("0x800000000000=0", 1, "is not an address of 4-level paging"),
        ("0=1P", 0, ""),
        ("0=8P", 3, "an entry holds a physical address of 52 bits"),
        ("0=0,d=2", 5, "d=0x2 does not fit"),
        ("0=0,bit64=1", 5, "\"bit64\" is no bit of an entry"),
        ("0=0,2m,pte.p=0", 8, "\"pte\" is no entry on the way"),
        ("0=0,pde.d=0", 9, "\"d\" is no attribute of a PDE"),
        ("0=0,d=", 7, "a digit is missing"),
    ] {
        let found = parse(text);
        if place == 0 {
            assert!(found.is_ok(), "{text}: {found:?}");
            continue;
        }
        let error = found.expect_err(text);
        let end = format!("character {place}");
        assert!(error.place.ends_with(&end), "{text}: {error}");
        assert!(error.problem.contains(problem), "{text}: {error}");
        assert!(!error.remedy.is_empty());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}", tail in "(,(pml4e|pde|pte)?[.]?[a-z0-9]{0,6}=?[0-9x]{0,20}){0,4}") {
        for mode in PagingMode::ALL {
            let _ = MapSpec::parse(&text, mode);
            let _ = MapSpec::parse(&format!("0=0{tail}"), mode);
        }
    }
}
