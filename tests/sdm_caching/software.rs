//! The sentences on what software must do, need not do, and may rely on, as data; `main.rs` runs them.
//!
//! Contract: none. SDM vol. 3A, 4.10.4.2 to 4.10.5. Counterpart: `main.rs`, which has the tables that every history finds.
//!
//! A line of a history is an operation of a stimulus that happens when all before it is over; with ` &` behind it, the next one does not
//! wait for it.

use super::CELLS;
use super::Must::{Answers, Lines};
use super::{Row, row};

/// What software must do, need not do, and may rely on.
pub const SOFTWARE: &[Row] = &[
    row(
        "4.10.4.2",
        "After R/W is cleared and the page invalidated, a write faults.",
        "boot s
         write 0x401000 user
         store pte@0x401000/s = page 4k 0x9000 user A D
         invlpg 0x401000
         write 0x401000 user",
        &[Answers(&["0x9000", "#PF 0x7"])],
    ),
    row(
        "4.10.4.2",
        "After P is cleared and the page invalidated, an access faults.",
        "boot s
         read 0x401000
         store pte@0x401000/s = 0
         invlpg 0x401000
         read 0x401000",
        &[Answers(&["0x9000", "#PF 0x0"])],
    ),
    row(
        "4.10.4.2",
        "After A is cleared and the page invalidated, an access sets A again.",
        "boot s
         read 0x401000
         store pte@0x401000/s = page 4k 0x9000 rw user D
         invlpg 0x401000
         read 0x401000",
        &[Lines("invlpg", 1, &["compare-and-set", "A D"])],
    ),
    row(
        "4.10.4.2",
        "After a table is put in the place of a large page and that invalidated, no address of it is translated from before.",
        "boot s
         read 0x800000
         read 0x9ff000
         store pde@0x800000/s = table 0x4000 rw user A
         invlpg 0x900000
         read 0x801000
         read 0x9ff000",
        &[Answers(&["0xe00000", "0xfff000", "0x9000", "#PF 0x0"])],
    ),
    row(
        "4.10.4.3",
        "Setting P needs no invalidation: at most one more fault, here none.",
        "boot s
         read 0x404000
         store pte@0x404000/s = page 4k 0xd000 rw user A D
         read 0x404000",
        &[Answers(&["#PF 0x0", "0xd000"])],
    ),
    row(
        "4.10.4.3",
        "Setting R/W needs no invalidation: at most one more fault, here none.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 user A
         read 0x401000 user
         store pte@0x401000/s = page 4k 0x9000 rw user A
         write 0x401000 user",
        &[Answers(&["0x9000", "0x9000"])],
    ),
    row(
        "4.10.4.3",
        "Setting U/S or clearing XD needs no invalidation: at most one more fault, here none.",
        "boot s NXE
         store pte@0x401000/s = page 4k 0x9000 rw A D xd
         read 0x401000
         store pte@0x401000/s = page 4k 0x9000 rw user A D
         read 0x401000 user
         fetch 0x401000 user",
        &[Answers(&["0x9000", "0x9000", "0x9000"])],
    ),
    row(
        "4.10.4.3",
        "Raising a right in an upper entry needs no invalidation either.",
        "boot s
         store pdpte@0x401000/s = table 0x3000 user A
         read 0x401000 user
         store pdpte@0x401000/s = table 0x3000 rw user A
         write 0x402000 user
         write 0x401000 user",
        &[Answers(&["0x9000", "0xa000", "0x9000"])],
    ),
    row(
        "4.10.4.3",
        "With D cleared in memory and no invalidation, D may stay clear (here it does); after it, a write sets D.",
        "boot s
         write 0x401000
         store pte@0x401000/s = page 4k 0x9000 rw user A
         write 0x401000
         invlpg 0x401000
         write 0x401000",
        &[
            Lines("", 1, &["compare-and-set"]),
            Lines("invlpg", 1, &["compare-and-set", "A D"]),
        ],
    ),
    row(
        "4.10.4.4",
        "An invalidation may wait until an address is used for another page, and must then come before.",
        "boot s
         read 0x401000
         store pte@0x401000/s = 0
         read 0x402000
         store pte@0x401000/s = page 4k 0xd000 rw user A D
         invlpg 0x401000
         read 0x401000",
        &[Answers(&["0x9000", "0xa000", "0xd000"])],
    ),
    row(
        "4.10.5",
        "An INVLPG that follows the store of another processor also holds for walks that read the entry before.",
        "boot s
         read 0x401000 &
         +34 store pte@0x401000/s = page 4k 0xd000 rw user A D &
         invlpg 0x401000
         read 0x401000",
        &[
            Lines("request", 1, &["response", "pa 0xd000"]),
            Lines("", 1, &["fills nothing"]),
        ],
    ),
    row(
        "4.10.5",
        "An INVLPG that follows the store of another processor holds for walks that began at a cached entry before.",
        "boot s
         read 0x402000
         read 0x401000 &
         +12 store pde@0x401000/s = table 0x23000 rw user A &
         invlpg 0x7fff0000
         read 0x401000",
        &[
            Lines("request", 1, &["response", "pa 0x19000"]),
            Lines("", 1, &["below a cached PDE"]),
            Lines("", 1, &["fills nothing"]),
            Lines("request", 1, &["starts at CR3"]),
        ],
    ),
    row(
        "4.10.5",
        "The update of A and D is atomic: the store of another processor between read and update is not lost.",
        "boot s
         store pte@0x401000/s = page 4k 0x9000 rw user
         write 0x401000 &
         +27 store pte@0x401000/s = page 4k 0xd000 rw user
         read 0x401000",
        &[Lines(CELLS, 1, &["0x4008", "to 0xd067"])],
    ),
    row(
        "4.10.5",
        "A MOV CR3 that follows the store of another processor ends what was cached before, with a walk under way when it is given.",
        "boot s PCIDE
         read 0x402000
         read 0x401000 &
         +5 store pte@0x402000/s = page 4k 0xd000 rw user A D &
         cr3 s
         read 0x402000",
        &[
            Answers(&["0xa000", "0x9000", "0xd000"]),
            Lines("request", 1, &["starts at CR3"]),
        ],
    ),
];
