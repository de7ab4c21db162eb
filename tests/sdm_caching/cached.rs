//! The sentences on what is cached, as data; `main.rs` runs them.
//!
//! Contract: none. SDM vol. 3A, 4.10.1 to 4.10.3. Counterpart: `main.rs`, which has the tables that every history finds.
//!
//! A line of a history is an operation of a stimulus that happens when all before it is over; with ` &` behind it, the next one does not
//! wait for it.

use super::CELLS;
use super::Must::{Answers, Lines, Walks};
use super::{Row, row};

/// What may be cached, and what serves whom.
pub const CACHED: &[Row] = &[
    row(
        "4.10.1",
        "With PCIDE = 0 the current PCID is 000H, whatever CR3[11:0] holds.",
        "boot s PGE
         cr3 s|0x18
         read 0x401000",
        &[
            Lines("", 1, &["fill", "dtlb.4k", "pcid 0 "]),
            Lines("", 1, &["fill", "psc.pde", "pcid 0 "]),
        ],
    ),
    row(
        "4.10.1",
        "With PCIDE = 1 the current PCID is CR3[11:0], and what is cached is tagged with it.",
        "boot s PCIDE PGE
         cr3 s|pcid=0xabc
         read 0x401000",
        &[
            Lines("", 1, &["fill", "dtlb.4k", "pcid 2748 "]),
            Lines("", 1, &["fill", "psc.pml4e", "pcid 2748 "]),
        ],
    ),
    row(
        "4.10.1",
        "An entry of a TLB serves accesses under its own PCID only.",
        "boot s PCIDE PGE
         read 0x401000
         cr3 t|pcid=1
         read 0x401000
         cr3 s|keep
         read 0x401000",
        &[Answers(&["0x9000", "0x19000", "0x9000"]), Walks(2)],
    ),
    row(
        "4.10.1",
        "All twelve bits of the PCID tell contexts apart.",
        "boot s PCIDE PGE
         cr3 s|pcid=0x001
         read 0x401000
         cr3 t|pcid=0x101
         read 0x401000
         cr3 s|pcid=0x801
         read 0x401000
         cr3 t|pcid=0x101|keep
         read 0x401000",
        &[
            Answers(&["0x9000", "0x19000", "0x9000", "0x19000"]),
            Walks(3),
        ],
    ),
    row(
        "4.10.1",
        "An entry of a paging-structure cache serves walks under its own PCID only.",
        "boot s PCIDE PGE
         read 0x401000
         cr3 t|pcid=1
         read 0x402000",
        &[
            Answers(&["0x9000", "0x1a000"]),
            Lines("request", 1, &["starts at CR3"]),
        ],
    ),
    row(
        "4.10.1",
        "PCIDE cannot be set while CR3[11:0] is not 000H: general protection.",
        "boot s PGE
         cr3 s|pcid=3
         cr4 PAE|PGE|PCIDE
         read 0x401000",
        &[
            Lines("", 1, &["#GP"]),
            Lines("", 0, &["cr4 = 0x200a0"]),
            Answers(&["0x9000"]),
        ],
    ),
    row(
        "4.10.2.1",
        "The page number of an entry covers the page at its size: any offset in it is translated without a walk.",
        "boot s
         read 0x800000
         read 0x9ffff8
         read 0x40000000
         read 0x7ffffff8",
        &[
            Answers(&["0xe00000", "0xfffff8", "0x80000000", "0xbffffff8"]),
            Walks(2),
        ],
    ),
    row(
        "4.10.2.2",
        "An entry allows writes only if every entry of the path does.",
        "boot s
         store pde@0x401000/s = table 0x4000 user A
         read 0x401000 user
         write 0x401000 user
         read 0x401000 user",
        &[Answers(&["0x9000", "#PF 0x7", "0x9000"])],
    ),
    row(
        "4.10.2.2",
        "An entry allows user accesses only if every entry of the path does.",
        "boot s
         store pml4e@0x401000/s = table 0x2000 rw A
         read 0x401000
         read 0x401000 user
         read 0x401000",
        &[Answers(&["0x9000", "#PF 0x5", "0x9000"])],
    ),
    row(
        "4.10.2.2",
        "An entry forbids fetches if any entry of the path does.",
        "boot s NXE
         store pdpte@0x401000/s = table 0x3000 rw user A xd
         read 0x401000
         fetch 0x401000
         read 0x401000",
        &[Answers(&["0x9000", "#PF 0x11", "0x9000"])],
    ),
    row(
        "4.10.2.2",
        "An entry holds the protection key of the leaf, and PKRU is applied at each access.",
        "boot s PKE
         store pte@0x401000/s = page 4k 0x9000 rw user A D key=5
         read 0x401000 user
         read 0x401000 user pkru=0x400
         write 0x401000 user pkru=0x800
         write 0x401000 user",
        &[Answers(&["0x9000", "#PF 0x25", "#PF 0x27", "0x9000"])],
    ),
    row(
        "4.10.2.2",
        "CPL and CR0.WP are applied at each access and are no part of an entry: changing them needs no invalidation, and no walk.",
        "boot s WP
         store pte@0x401000/s = page 4k 0x9000 user A D
         read 0x401000 user
         cr0 PE|PG
         write 0x401000",
        &[Answers(&["0x9000", "0x9000"]), Walks(1)],
    ),
    row(
        "4.10.2.2",
        "An entry holds D of the leaf: a write through one with D = 0 sets D in memory first.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 rw user A
         read 0x401000
         write 0x401000",
        &[
            Answers(&["0x9000", "0x9000"]),
            Lines("", 1, &["compare-and-set", "A D"]),
            Lines(CELLS, 0, &["0x4008"]),
        ],
    ),
    row(
        "4.10.2.3",
        "An entry is made only from entries whose A is 1, so a walk sets A before it fills.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 rw user D
         store pde@0x401000/s = table 0x4000 rw user
         read 0x401000",
        &[
            Lines("", 2, &["compare-and-set"]),
            Lines("compare-and-set", 1, &["fill", "dtlb.4k"]),
            Lines(CELLS, 0, &["0x4008"]),
        ],
    ),
    row(
        "4.10.2.3",
        "No entry is made of one that is not present: once present, it translates without invalidation.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 rw user A D absent
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         read 0x401000",
        &[Answers(&["#PF 0x0", "0xd000"])],
    ),
    row(
        "4.10.2.3",
        "No entry is made of one with a reserved bit: once that is clear, it translates without invalidation.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 rw user A D bits=0x8000000000000
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         read 0x401000",
        &[Answers(&["#PF 0x9", "0xd000"])],
    ),
    row(
        "4.10.2.3",
        "What is cached may serve though memory has changed, until it is invalidated (here it does).",
        "boot s
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         read 0x401000
         invlpg 0x401000
         read 0x401000",
        &[Answers(&["0x9000", "0x9000", "0xd000"])],
    ),
    row(
        "4.10.2.3",
        "If several entries may serve one address, what is answered comes from one of them alone (here the smaller).",
        "boot s
         read 0x401000
         store pde@0x401000/s = page 2m 0xc00000 user A D
         invlpg 0x601000
         read 0x405000
         write 0x401000 user",
        &[Answers(&["0x9000", "0xc05000", "0x9000"])],
    ),
    row(
        "4.10.2.4",
        "A global entry serves every PCID while PGE = 1.",
        "boot s PCIDE PGE
         read 0x403000
         cr3 t|pcid=1
         read 0x403000",
        &[Answers(&["0xb000", "0xb000"]), Walks(1)],
    ),
    row(
        "4.10.2.4",
        "Large pages are global by the same bit.",
        "boot s PCIDE PGE
         read 0xa00000
         read 0x80000000
         cr3 t|pcid=1
         read 0xa00008
         read 0x80000008",
        &[
            Answers(&["0x1000000", "0xc0000000", "0x1000008", "0xc0000008"]),
            Walks(2),
        ],
    ),
    row(
        "4.10.2.4",
        "With PGE = 0 the G bit is ignored.",
        "boot s PCIDE
         read 0x403000
         cr3 t|pcid=1
         read 0x403000",
        &[Answers(&["0xb000", "0x1b000"]), Walks(2)],
    ),
    row(
        "4.10.2.4",
        "G in an entry that refers to a table is ignored.",
        "boot s PCIDE PGE
         store pde@0x401000/s = table 0x4000 rw user A G
         read 0x401000
         cr3 t|pcid=1
         read 0x401000",
        &[Answers(&["0x9000", "0x19000"])],
    ),
    row(
        "4.10.2.4",
        "G does not make entries of the paging-structure caches global.",
        "boot s PCIDE PGE
         read 0x403000
         cr3 t|pcid=1
         read 0x402000",
        &[
            Answers(&["0xb000", "0x1a000"]),
            Lines("request", 1, &["starts at CR3"]),
        ],
    ),
    row(
        "4.10.3.1",
        "A cached PDE gives the page table: one entry is read.",
        "boot s
         read 0x401000
         read 0x402000",
        &[
            Answers(&["0x9000", "0xa000"]),
            Lines("request", 1, &["below a cached PDE"]),
            Lines("request", 1, &["memory", " read "]),
        ],
    ),
    row(
        "4.10.3.1",
        "A cached PDPTE gives the page directory: two entries are read.",
        "boot s
         read 0x401000
         read 0x601000",
        &[
            Answers(&["0x9000", "0xc000"]),
            Lines("request", 1, &["below a cached PDPTE"]),
            Lines("request", 2, &["memory", " read "]),
        ],
    ),
    row(
        "4.10.3.1",
        "A cached PML4E gives the page-directory-pointer table: the leaf of 1 GiB is all that is read.",
        "boot s
         read 0x401000
         read 0x40000000",
        &[
            Answers(&["0x9000", "0x80000000"]),
            Lines("request", 1, &["below a cached PML4E"]),
            Lines("request", 1, &["memory", " read "]),
        ],
    ),
    row(
        "4.10.3.1",
        "A cached entry carries R/W of the whole path above: a page below is not writable through it.",
        "boot s
         store pml4e@0x401000/s = table 0x2000 user A
         read 0x401000 user
         write 0x402000 user
         read 0x402000 user",
        &[Answers(&["0x9000", "#PF 0x7", "0xa000"])],
    ),
    row(
        "4.10.3.1",
        "A cached entry carries U/S of the whole path above.",
        "boot s
         store pdpte@0x401000/s = table 0x3000 rw A
         read 0x401000
         read 0x402000 user
         read 0x402000",
        &[Answers(&["0x9000", "#PF 0x5", "0xa000"])],
    ),
    row(
        "4.10.3.1",
        "A cached entry carries XD of the whole path above.",
        "boot s NXE
         store pml4e@0x401000/s = table 0x2000 rw user A xd
         read 0x401000
         fetch 0x402000
         read 0x402000",
        &[Answers(&["0x9000", "#PF 0x11", "0xa000"])],
    ),
    row(
        "4.10.3.1",
        "An entry is cached only with A = 1 in it: a walk sets it first, and never sets bit 6 of it.",
        "boot s
         store pde@0x401000/s = table 0x4000 rw user
         write 0x401000",
        &[
            Lines("", 1, &["compare-and-set"]),
            Lines("compare-and-set", 1, &["fill", "psc.pde"]),
            Lines(CELLS, 0, &["0x3010"]),
        ],
    ),
    row(
        "4.10.3.1",
        "An entry that maps a page is in no paging-structure cache.",
        "boot s
         read 0x800000
         read 0x40000000",
        &[
            Lines("", 0, &["fill", "psc.pde"]),
            Lines("", 1, &["fill", "psc.pdpte"]),
            Lines("", 1, &["fill", "psc.pml4e"]),
        ],
    ),
    row(
        "4.10.3.1",
        "An entry that is not present is not cached: once present, it is used without invalidation.",
        "boot s
         store pde@0x401000/s = table 0x4000 rw user A absent
         read 0x401000
         store pde@0x401000/s = table 0x4000 rw user A
         read 0x401000",
        &[Answers(&["#PF 0x0", "0x9000"])],
    ),
    row(
        "4.10.3.2",
        "A walk may begin at a cached entry, and PML4E and CR3 are then not read.",
        "boot s
         read 0x401000
         store pml4e@0x401000/s = 0
         read 0x402000
         invlpg 0x402000
         read 0x402000",
        &[Answers(&["0x9000", "0xa000", "#PF 0x0"])],
    ),
    row(
        "4.10.3.3",
        "A PML4E that changed is cached in what was made through it as well: one INVLPG ends all of that.",
        "boot s
         read 0x401000
         read 0x601000
         store pml4e@0x401000/s = table 0x21000 rw user A
         invlpg 0x403000
         read 0x402000
         read 0x402008",
        &[Answers(&["0x9000", "0xc000", "0x1a000", "0x1a008"])],
    ),
    row(
        "4.10.3.3",
        "One table that two entries refer to is cached under each prefix by itself.",
        "boot s
         store pde@0x601000/s = table 0x4000 rw user A
         read 0x401000
         read 0x601000
         store pde@0x601000/s = table 0x5000 rw user A
         invlpg 0x601000
         read 0x601000
         read 0x401000",
        &[Answers(&["0x9000", "0x9000", "0xc000", "0x9000"])],
    ),
];
