//! The sentences on invalidation, as data; `main.rs` runs them.
//!
//! Contract: none. SDM vol. 3A, 4.10.4.1. Counterpart: `main.rs`, which has the tables that every history finds.
//!
//! A line of a history is an operation of a stimulus that happens when all before it is over; with ` &` behind it, the next one does not
//! wait for it.

use super::Must::{Answers, Lines, Walks};
use super::{Row, row};

/// What each invalidation ends.
pub const INVALIDATED: &[Row] = &[
    row(
        "4.10.4.1",
        "INVLPG ends the entries of its page under the current PCID.",
        "boot s PCIDE PGE
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         invlpg 0x401abc
         read 0x401000",
        &[Answers(&["0x9000", "0xd000"])],
    ),
    row(
        "4.10.4.1",
        "INVLPG ends global entries of its page, whatever PCID made them.",
        "boot s PCIDE PGE
         read 0x403000
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr3 s|pcid=1
         invlpg 0x403000
         read 0x403000
         cr3 s|keep
         read 0x403000",
        &[Answers(&["0xb000", "0xf000", "0xf000"])],
    ),
    row(
        "4.10.4.1",
        "INVLPG ends all paging-structure entries of the current PCID, whatever its address.",
        "boot s PCIDE PGE
         read 0x401000
         store pde@0x401000/s = table 0x23000 rw user A
         invlpg 0x7f0000000000
         read 0x402000",
        &[
            Answers(&["0x9000", "0x1a000"]),
            Lines("request", 1, &["starts at CR3"]),
        ],
    ),
    row(
        "4.10.4.1",
        "INVLPG of any address in a large page ends its entry.",
        "boot s PCIDE PGE
         read 0x800000
         read 0x40000000
         store pde@0x800000/s = page 2m 0x2000000 rw user A D
         store pdpte@0x40000000/s = page 1g 0x100000000 rw user A D
         invlpg 0x9ff000
         invlpg 0x7ffff000
         read 0x800000
         read 0x40000000",
        &[Answers(&[
            "0xe00000",
            "0x80000000",
            "0x2000000",
            "0x100000000",
        ])],
    ),
    row(
        "4.10.4.1",
        "INVLPG need not end what other PCIDs have for its page (here it does not).",
        "boot s PCIDE PGE
         read 0x401000
         cr3 t|pcid=1
         read 0x401000
         invlpg 0x401000
         cr3 s|keep
         read 0x401000",
        &[Answers(&["0x9000", "0x19000", "0x9000"]), Walks(2)],
    ),
    row(
        "4.10.4.1",
        "INVLPG of an address that is not canonical does nothing.",
        "boot s PCIDE PGE
         read 0x401000
         invlpg 0x1000000401000
         read 0x402000",
        &[
            Answers(&["0x9000", "0xa000"]),
            Lines("", 0, &["remove"]),
            Lines("", 0, &["#GP"]),
        ],
    ),
    row(
        "4.10.4.1",
        "INVPCID 0 ends the entries of an address under a PCID that need not be the current one.",
        "boot s PCIDE PGE
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         cr3 t|pcid=1
         read 0x401000
         invpcid 0 pcid=0 va=0x401000
         read 0x401000
         cr3 s|keep
         read 0x401000",
        &[
            Answers(&["0x9000", "0x19000", "0x19000", "0xd000"]),
            Lines("invpcid", 1, &["starts at CR3"]),
        ],
    ),
    row(
        "4.10.4.1",
        "INVPCID 0 need not end global entries (here it does not).",
        "boot s PCIDE PGE
         read 0x403000
         invpcid 0 pcid=0 va=0x403000
         read 0x403000",
        &[Answers(&["0xb000", "0xb000"]), Walks(1)],
    ),
    row(
        "4.10.4.1",
        "INVPCID 0 ends the paging-structure entries that translate its address under its PCID.",
        "boot s PCIDE PGE
         read 0x401000
         store pde@0x401000/s = table 0x23000 rw user A
         cr3 t|pcid=1
         invpcid 0 pcid=0 va=0x402000
         cr3 s|keep
         read 0x402000",
        &[Answers(&["0x9000", "0x1a000"])],
    ),
    row(
        "4.10.4.1",
        "INVPCID 1 ends every entry of its PCID but globals, in TLBs and paging-structure caches.",
        "boot s PCIDE PGE
         read 0x401000
         read 0x403000
         read 0x800000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         store pde@0x800000/s = page 2m 0x2000000 rw user A D
         cr3 t|pcid=1
         invpcid 1 pcid=0
         cr3 s|keep
         read 0x401000
         read 0x403000
         read 0x800000",
        &[Answers(&[
            "0x9000",
            "0xb000",
            "0xe00000",
            "0xd000",
            "0xb000",
            "0x2000000",
        ])],
    ),
    row(
        "4.10.4.1",
        "INVPCID 1 ends the paging-structure entries of its PCID.",
        "boot s PCIDE PGE
         read 0x401000
         store pml4e@0x401000/s = table 0x21000 rw user A
         cr3 t|pcid=1
         invpcid 1 pcid=0
         cr3 s|keep
         read 0x402000",
        &[Answers(&["0x9000", "0x1a000"])],
    ),
    row(
        "4.10.4.1",
        "INVPCID 1 spares the other PCIDs.",
        "boot s PCIDE PGE
         read 0x401000
         cr3 t|pcid=1
         read 0x401000
         invpcid 1 pcid=0
         read 0x401000
         read 0x402000",
        &[
            Answers(&["0x9000", "0x19000", "0x19000", "0x1a000"]),
            Lines("invpcid", 1, &["below a cached PDE"]),
            Walks(3),
        ],
    ),
    row(
        "4.10.4.1",
        "INVPCID 2 ends everything of every PCID, globals too.",
        "boot s PCIDE PGE
         read 0x401000
         read 0x403000
         read 0x80000000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         store pdpte@0x80000000/s = page 1g 0x100000000 rw user A D G
         cr3 t|pcid=1
         invpcid 2
         cr3 s|keep
         read 0x401000
         read 0x403000
         read 0x80000000",
        &[Answers(&[
            "0x9000",
            "0xb000",
            "0xc0000000",
            "0xd000",
            "0xf000",
            "0x100000000",
        ])],
    ),
    row(
        "4.10.4.1",
        "INVPCID 2 ends the paging-structure entries of every PCID.",
        "boot s PCIDE PGE
         read 0x401000
         store pml4e@0x401000/s = table 0x21000 rw user A
         cr3 t|pcid=1
         invpcid 2
         cr3 s|keep
         read 0x402000",
        &[Answers(&["0x9000", "0x1a000"])],
    ),
    row(
        "4.10.4.1",
        "INVPCID 3 ends everything of every PCID but globals.",
        "boot s PCIDE PGE
         read 0x401000
         read 0x403000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr3 s|pcid=1
         read 0x402000
         store pte@0x402000/s = page 4k 0x30000 rw user A D
         invpcid 3
         read 0x402000
         cr3 s|keep
         read 0x401000
         read 0x403000",
        &[Answers(&[
            "0x9000", "0xb000", "0xa000", "0x30000", "0xd000", "0xb000",
        ])],
    ),
    row(
        "4.10.4.1",
        "INVPCID 3 ends the paging-structure entries of every PCID.",
        "boot s PCIDE PGE
         read 0x401000
         store pml4e@0x401000/s = table 0x21000 rw user A
         cr3 t|pcid=1
         invpcid 3
         cr3 s|keep
         read 0x402000",
        &[Answers(&["0x9000", "0x1a000"])],
    ),
    row(
        "4.10.4.1",
        "An INVPCID that is refused invalidates nothing: a type above 3, bits 63:12, a PCID while PCIDE = 0, an address that is not canonical.",
        "boot s PGE
         read 0x401000
         invpcid 4
         invpcid 1 desc=0x1000
         invpcid 1 pcid=1
         invpcid 0 va=0x1000000401000
         read 0x402000",
        &[
            Lines("", 4, &["#GP"]),
            Lines("", 0, &["remove"]),
            Answers(&["0x9000", "0xa000"]),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR3 with PCIDE = 0 ends all of PCID 000H but globals.",
        "boot s PGE
         read 0x401000
         read 0x403000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr3 s
         read 0x401000
         read 0x403000",
        &[Answers(&["0x9000", "0xb000", "0xd000", "0xb000"])],
    ),
    row(
        "4.10.4.1",
        "MOV CR3 with PCIDE = 0 ends the paging-structure entries, and walks begin at the new root.",
        "boot s PGE
         read 0x401000
         cr3 t
         read 0x402000",
        &[
            Answers(&["0x9000", "0x1a000"]),
            Lines("request", 1, &["starts at CR3"]),
            Lines("request", 1, &["memory", " read 0x20000"]),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR3 with bit 63 = 0 ends what the PCID that it loads has cached.",
        "boot s PCIDE PGE
         read 0x401000
         read 0x403000
         cr3 t|pcid=1
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr3 s
         read 0x401000
         read 0x403000",
        &[Answers(&["0x9000", "0xb000", "0xd000", "0xb000"])],
    ),
    row(
        "4.10.4.1",
        "MOV CR3 with bit 63 = 0 that loads the PCID that is current ends what that has cached.",
        "boot s PCIDE PGE
         cr3 s|pcid=7
         read 0x401000
         store pml4e@0x401000/s = table 0x21000 rw user A
         cr3 s|pcid=7
         read 0x402000",
        &[Answers(&["0x9000", "0x1a000"])],
    ),
    row(
        "4.10.4.1",
        "MOV CR3 with bit 63 = 0 need not end what other PCIDs have cached (here it does not).",
        "boot s PCIDE PGE
         read 0x401000
         cr3 t|pcid=1
         read 0x401000
         cr3 s|keep
         read 0x401000
         read 0x402000",
        &[
            Answers(&["0x9000", "0x19000", "0x9000", "0xa000"]),
            Lines("0x8000000000001000", 1, &["below a cached PDE"]),
            Walks(3),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR3 with bit 63 = 1 ends nothing, need not.",
        "boot s PCIDE PGE
         read 0x401000
         cr3 s|keep
         read 0x401000
         read 0x402000",
        &[
            Answers(&["0x9000", "0x9000", "0xa000"]),
            Lines("", 0, &["remove"]),
            Lines("request", 1, &["below a cached PDE"]),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR4 that clears PGE ends everything, globals too.",
        "boot s PCIDE PGE
         read 0x401000
         read 0x403000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr4 PAE|PCIDE
         read 0x401000
         read 0x403000",
        &[Answers(&["0x9000", "0xb000", "0xd000", "0xf000"])],
    ),
    row(
        "4.10.4.1",
        "MOV CR4 that sets PGE ends everything, of other PCIDs too.",
        "boot s PCIDE
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         cr3 t|pcid=1
         cr4 PAE|PCIDE|PGE
         cr3 s|keep
         read 0x401000
         read 0x402000",
        &[
            Answers(&["0x9000", "0xd000", "0xa000"]),
            Lines("cr4 0x", 1, &["starts at CR3"]),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR4 that clears PCIDE ends everything of every PCID, globals too.",
        "boot s PCIDE PGE
         read 0x401000
         read 0x403000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr4 PAE|PGE
         read 0x401000
         read 0x403000",
        &[Answers(&["0x9000", "0xb000", "0xd000", "0xf000"])],
    ),
    row(
        "4.10.4.1",
        "MOV CR4 that sets SMEP ends what the current PCID has cached.",
        "boot s PCIDE PGE
         read 0x401000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pml4e@0x401000/s = table 0x21000 rw user A
         cr4 PAE|PCIDE|PGE|SMEP
         read 0x402000",
        &[Answers(&["0x9000", "0x1a000"])],
    ),
    row(
        "4.10.4.1",
        "MOV CR4 that sets SMEP may end globals as well (here it does), and leaves other PCIDs what they have.",
        "boot s PCIDE PGE
         read 0x403000
         cr3 t|pcid=1
         read 0x401000
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr4 PAE|PCIDE|PGE|SMEP
         cr3 s|keep
         read 0x403000",
        &[
            Answers(&["0xb000", "0x19000", "0xf000"]),
            Lines("cr3 0x8", 1, &["below a cached PDE"]),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR4 that clears SMEP, or changes SMAP or PKE, need end nothing (here it does not).",
        "boot s PCIDE PGE SMEP
         read 0x401000
         cr4 PAE|PCIDE|PGE
         cr4 PAE|PCIDE|PGE|SMAP
         cr4 PAE|PCIDE|PGE|PKE
         read 0x401000",
        &[
            Answers(&["0x9000", "0x9000"]),
            Lines("", 0, &["remove"]),
            Walks(1),
        ],
    ),
    row(
        "4.10.4.1",
        "MOV CR0 that clears PG ends everything, globals too.",
        "boot s PGE
         read 0x401000
         read 0x403000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         store pte@0x403000/s = page 4k 0xf000 rw user A D G
         cr0 PE
         cr0 PE|PG
         read 0x401000
         read 0x403000",
        &[Answers(&["0x9000", "0xb000", "0xd000", "0xf000"])],
    ),
    row(
        "4.10.4.1",
        "A page fault ends the entries of its page under the current PCID.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 user A
         read 0x401000 user
         store pte@0x401000/s = page 4k 0xd000 user A
         write 0x401000 user
         read 0x401000 user",
        &[Answers(&["0x9000", "#PF 0x7", "0xd000"])],
    ),
    row(
        "4.10.4.1",
        "A page fault ends global entries of its page.",
        "boot s PCIDE PGE
         store pte@0x403000/s = page 4k 0xb000 user A G
         read 0x403000 user
         cr3 s|pcid=1
         store pte@0x403000/s = page 4k 0xf000 user A G
         write 0x403000 user
         read 0x403000 user",
        &[Answers(&["0xb000", "#PF 0x7", "0xf000"])],
    ),
    row(
        "4.10.4.1",
        "A page fault ends the paging-structure entries that its address would use.",
        "boot s
         read 0x401000
         store pde@0x401000/s = table 0x4000 rw user A absent
         read 0x405000
         read 0x402000",
        &[
            Answers(&["0x9000", "#PF 0x0", "#PF 0x0"]),
            Lines("request", 1, &["starts at CR3"]),
        ],
    ),
];
