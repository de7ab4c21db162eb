//! The cases, in the order of the contract's table.
//!
//! Contract: 12. SDM: none. Counterpart: none.

use super::{Case, Meets};
use crate::arch::AccessKind::{self, Fetch, Read, Write};

/// The page of the measured access, and what else is mapped: pages that share its path down to each level, and large pages.
const PAGE: &str = "0x401000=0x1234000";
const A: u64 = 0x40_1abc;
/// In the same page table, in another of the same directory, of the same PDPT, of the same PML4, of the same PML5.
const BY_PDE: (&str, u64) = ("0x409000=0x1239000", 0x40_9abc);
const BY_PDPTE: (&str, u64) = ("0xa09000=0x1239000", 0xa0_9abc);
const BY_PML4E: (&str, u64) = ("0x80009000=0x1239000", 0x8000_9abc);
const BY_PML5E: (&str, u64) = ("0x10000009000=0x1239000", 0x100_0000_9abc);
const LARGE: &str = "0x400000=0x1200000,2m";
const HUGE: &str = "0=0x40000000,1g";

const fn case(
    name: &'static str,
    about: &'static str,
    maps: &'static [&'static str],
    accesses: &'static [(u64, AccessKind)],
    meets: Meets,
) -> Case {
    Case {
        name,
        about,
        bits: 48,
        maps,
        controls: "",
        accesses,
        meets,
    }
}

/// A walk from the entry of that level, with so many reads and compare-and-sets.
const fn walk(from: u8, reads: u32, compare_and_sets: u32) -> Meets {
    Meets::Walk {
        from,
        accesses: (reads, compare_and_sets),
    }
}

impl Case {
    const fn of_bits(self, bits: u32) -> Self {
        Self { bits, ..self }
    }

    const fn with(self, controls: &'static str) -> Self {
        Self { controls, ..self }
    }
}

/// Every case, in the order of the contract's table.
pub(super) const CASES: &[Case] = &[
    case("paging-off", "paging off", &[], &[(A, Read)], Meets::Bypass).with("pg=0"),
    case(
        "not-canonical",
        "address not canonical",
        &[PAGE],
        &[(1 << 60, Read)],
        Meets::Bypass,
    ),
    case(
        "itlb-hit",
        "hit in the ITLB",
        &[PAGE],
        &[(A, Fetch), (A, Fetch)],
        Meets::FirstLevel,
    ),
    case(
        "dtlb-hit",
        "hit in the DTLB",
        &[PAGE],
        &[(A, Read), (A, Read)],
        Meets::FirstLevel,
    ),
    case(
        "dtlb-hit-2m",
        "hit in the DTLB, page of 2 MiB",
        &[LARGE],
        &[(A, Read), (A, Read)],
        Meets::FirstLevel,
    ),
    case(
        "dtlb-hit-1g",
        "hit in the DTLB, page of 1 GiB",
        &[HUGE],
        &[(A, Read), (A, Read)],
        Meets::FirstLevel,
    ),
    case(
        "itlb-miss-stlb-hit",
        "fetch that hits in the STLB",
        &[PAGE],
        &[(A, Read), (A, Fetch)],
        Meets::Stlb,
    ),
    case(
        "stlb-hit",
        "read that hits in the STLB",
        &[PAGE],
        &[(A, Fetch), (A, Read)],
        Meets::Stlb,
    ),
    case(
        "stlb-hit-2m",
        "read that hits in the STLB, page of 2 MiB",
        &[LARGE],
        &[(A, Fetch), (A, Read)],
        Meets::Stlb,
    ),
    case(
        "stlb-hit-1g",
        "read that hits in the STLB, page of 1 GiB",
        &[HUGE],
        &[(A, Fetch), (A, Read)],
        Meets::Stlb,
    ),
    case(
        "walk-cr3-32-bit",
        "walk from CR3, 32-bit paging",
        &[PAGE],
        &[(A, Read)],
        walk(0, 2, 0),
    )
    .of_bits(32),
    case(
        "walk-cr3",
        "walk from CR3, 4 levels",
        &[PAGE],
        &[(A, Read)],
        walk(0, 4, 0),
    ),
    case(
        "walk-cr3-5-level",
        "walk from CR3, 5 levels",
        &[PAGE],
        &[(A, Read)],
        walk(0, 5, 0),
    )
    .of_bits(57),
    case(
        "walk-cr3-2m",
        "walk from CR3, page of 2 MiB",
        &[LARGE],
        &[(A, Read)],
        walk(0, 3, 0),
    ),
    case(
        "walk-cr3-1g",
        "walk from CR3, page of 1 GiB",
        &[HUGE],
        &[(A, Read)],
        walk(0, 2, 0),
    ),
    case(
        "walk-pml5e",
        "walk from a cached PML5E",
        &[PAGE, BY_PML5E.0],
        &[(BY_PML5E.1, Read), (A, Read)],
        walk(5, 4, 0),
    )
    .of_bits(57),
    case(
        "walk-pml4e",
        "walk from a cached PML4E",
        &[PAGE, BY_PML4E.0],
        &[(BY_PML4E.1, Read), (A, Read)],
        walk(4, 3, 0),
    ),
    case(
        "walk-pdpte",
        "walk from a cached PDPTE",
        &[PAGE, BY_PDPTE.0],
        &[(BY_PDPTE.1, Read), (A, Read)],
        walk(3, 2, 0),
    ),
    case(
        "walk-pde",
        "walk from a cached PDE",
        &[PAGE, BY_PDE.0],
        &[(BY_PDE.1, Read), (A, Read)],
        walk(2, 1, 0),
    ),
    case(
        "set-accessed",
        "walk from CR3 that sets A of the page",
        &["0x401000=0x1234000,a=0,d=0"],
        &[(A, Read)],
        walk(0, 4, 1),
    ),
    case(
        "set-accessed-dirty",
        "walk from CR3 of a write that sets A and D of the page",
        &["0x401000=0x1234000,a=0,d=0"],
        &[(A, Write)],
        walk(0, 4, 1),
    ),
    case(
        "set-accessed-path",
        "walk from CR3 of a write that sets A of every entry, and D",
        &["0x401000=0x1234000,a=0,d=0,pde.a=0,pdpte.a=0,pml4e.a=0"],
        &[(A, Write)],
        walk(0, 4, 4),
    ),
    case(
        "dirty-clear-hit",
        "write that hits in the DTLB with D = 0",
        &["0x401000=0x1234000,d=0"],
        &[(A, Read), (A, Write)],
        Meets::DirtyClear,
    ),
    case(
        "denied-hit",
        "write that hits in the DTLB and is denied: page fault",
        &["0x401000=0x1234000,ro"],
        &[(A, Read), (A, Write)],
        Meets::Denied,
    ),
    case(
        "fault-pml5e",
        "page fault, PML5E not present",
        &["0x401000=0x1234000,pml5e.absent"],
        &[(A, Read)],
        walk(0, 1, 0),
    )
    .of_bits(57),
    case(
        "fault-pml4e",
        "page fault, PML4E not present",
        &["0x401000=0x1234000,pml4e.absent"],
        &[(A, Read)],
        walk(0, 1, 0),
    ),
    case(
        "fault-pdpte",
        "page fault, PDPTE not present",
        &["0x401000=0x1234000,pdpte.absent"],
        &[(A, Read)],
        walk(0, 2, 0),
    ),
    case(
        "fault-pde",
        "page fault, PDE not present",
        &["0x401000=0x1234000,pde.absent"],
        &[(A, Read)],
        walk(0, 3, 0),
    ),
    case(
        "fault-pte",
        "page fault, PTE not present",
        &["0x401000=0x1234000,absent"],
        &[(A, Read)],
        walk(0, 4, 0),
    ),
    case(
        "fault-cached",
        "page fault reached from a cached PDE: walk and restart",
        &["0x401000=0x1234000,absent", BY_PDE.0],
        &[(BY_PDE.1, Read), (A, Read)],
        Meets::Restart,
    ),
];
