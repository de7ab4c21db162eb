//! The crosses of translations: of requests (mode, page, access, outcome, the way to it) and of the prefetch.
//!
//! Contract: 6 (look-ups), 7 (miss queue, STLB), 8 (walks), 11 (rights). SDM vol. 3A, 4.6, 4.7. Counterpart: none.

use super::cells::{Axis, Cross};
use super::machine::{
    MODES, OFF, TWO_LEVEL, bus_errors, cached_start, dirty_clear, has_mode, keeps, keeps_any,
    leaf_size, levels,
};
use crate::config::{Config, Level, Serves};

/// Where a translation ends: the level of its leaf, or of the entry that faults, less 1; or no entry.
pub const PLACES: &[&str] = &[
    "PTE (4K)",
    "PDE (2M, 4M)",
    "PDPTE (1G)",
    "PML4E",
    "PML5E",
    "no entry",
];
/// [`PLACES`]: no entry was read.
pub const NO_ENTRY: usize = 5;

/// Kinds of access: 3 * privilege + kind.
const ACCESSES: &[&str] = &[
    "user read",
    "user write",
    "user fetch",
    "supervisor read",
    "supervisor write",
    "supervisor fetch",
    "implicit supervisor read",
    "implicit supervisor write",
    "implicit supervisor fetch",
];

/// What comes of a request.
pub mod outcome {
    /// An address.
    pub const TRANSLATED: usize = 0;
    /// #GP: the address is not canonical.
    pub const NOT_CANONICAL: usize = 1;
    /// A bus error.
    pub const BUS_ERROR: usize = 2;
    /// #PF: not present.
    pub const NOT_PRESENT: usize = 3;
    /// #PF: a reserved bit.
    pub const RESERVED: usize = 4;
    /// #PF: a supervisor page, by a user.
    pub const USER: usize = 5;
    /// #PF: a fetch of a page that is not executable.
    pub const EXECUTE: usize = 6;
    /// #PF: a fetch of a user page by a supervisor, with SMEP.
    pub const SMEP: usize = 7;
    /// #PF: a write to a page that is read-only.
    pub const WRITE: usize = 8;
    /// #PF: data of a user page, by a supervisor, with SMAP.
    pub const SMAP: usize = 9;
    /// #PF: the protection key.
    pub const KEY: usize = 10;
    /// Their names; of several reasons that deny, the first in this order.
    pub const NAMES: &[&str] = &[
        "translated",
        "not canonical",
        "bus error",
        "not present",
        "reserved bit",
        "denied: supervisor page",
        "denied: not executable",
        "denied: SMEP",
        "denied: read-only",
        "denied: SMAP",
        "denied: key",
    ];
}

/// How the answer was found.
pub mod way {
    /// Without a look-up in an array.
    pub const BYPASS: usize = 0;
    /// In the first level at once.
    pub const FIRST_LEVEL: usize = 1;
    /// In the first level, after the wait for another miss of the page.
    pub const AFTER_WAIT: usize = 2;
    /// In the STLB.
    pub const STLB: usize = 3;
    /// By a walk from CR3.
    pub const WALK: usize = 4;
    /// By a walk from an entry of a paging-structure cache.
    pub const CACHED_WALK: usize = 5;
    /// By a walk that began at such an entry and again at CR3.
    pub const RESTARTED_WALK: usize = 6;
    /// By a walk from CR3 after a hit that rights denied.
    pub const DENIED_HIT: usize = 7;
    /// By a walk after a hit of a write with D clear.
    pub const DIRTY_CLEAR: usize = 8;
    /// Their names.
    pub const NAMES: &[&str] = &[
        "no look-up",
        "first level",
        "first level after a wait",
        "STLB",
        "walk from CR3",
        "walk from a cached entry",
        "walk begun again",
        "walk after a denied hit",
        "walk after a hit with D clear",
    ];
}

/// Requests.
pub const REQUESTS: Cross = Cross {
    name: "translations",
    about: "each response: paging mode, where its walk ends or what page it hits, access, outcome, and how it was found",
    axes: &[
        Axis {
            name: "mode",
            values: MODES,
        },
        Axis {
            name: "place",
            values: PLACES,
        },
        Axis {
            name: "access",
            values: ACCESSES,
        },
        Axis {
            name: "outcome",
            values: outcome::NAMES,
        },
        Axis {
            name: "way",
            values: way::NAMES,
        },
    ],
    unreachable: requests,
};

/// What a request is, in an access of [`ACCESSES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    user: bool,
    write: bool,
    fetch: bool,
}

impl Access {
    const fn new(access: usize) -> Self {
        Self {
            user: access < 3,
            write: access % 3 == 1,
            fetch: access % 3 == 2,
        }
    }

    const fn serves(self) -> Serves {
        if self.write {
            Serves::Writes
        } else {
            Serves::Reads
        }
    }

    const fn level(self) -> Level {
        if self.fetch { Level::Itlb } else { Level::Dtlb }
    }
}

fn requests(config: &Config, values: &[usize]) -> Option<&'static str> {
    let &[mode, place, access, result, how] = values else {
        return None;
    };
    let access = Access::new(access);
    if !has_mode(config, mode) {
        return Some("the machine has no 5-level paging (2, FIVE_LEVEL)");
    }
    if mode == OFF {
        let only = (place, result, how) == (0, outcome::TRANSLATED, way::BYPASS);
        return (!only).then_some(
            "with paging off every request is translated at once, page size 0 (6, code 7)",
        );
    }
    if result == outcome::NOT_CANONICAL {
        if mode == TWO_LEVEL {
            return Some("in 32-bit paging every address is canonical (1.5)");
        }
        let only = (place, how) == (NO_ENTRY, way::BYPASS);
        return (!only).then_some(
            "an address that is not canonical is answered without a look-up (6, code 7)",
        );
    }
    if how == way::BYPASS || place == NO_ENTRY {
        return Some(
            "with paging on a canonical address is looked up, and its walk reads an entry (6, 8.2)",
        );
    }
    if place + 1 > levels(mode) {
        return Some("the mode has fewer levels (1.5)");
    }
    why_no_place(config, mode, place, result)
        .or_else(|| why_no_denial(mode, access, result))
        .or_else(|| why_no_way(config, (mode, place), access, result, how))
}

/// Why nothing of that kind comes of an entry of that level.
fn why_no_place(config: &Config, mode: usize, place: usize, result: usize) -> Option<&'static str> {
    match result {
        outcome::TRANSLATED | outcome::USER.. if leaf_size(config, mode, place + 1).is_none() => {
            Some("no leaf stands at that level (1.5; 8.4, 3 and 4)")
        }
        outcome::RESERVED if (mode, place) == (TWO_LEVEL, 0) => {
            Some("an entry of a page table has no reserved bit in 32-bit paging (8.4, 3)")
        }
        outcome::BUS_ERROR if !bus_errors(config, mode) => {
            Some("memory stands wherever an entry of the mode can point (13)")
        }
        _ => None,
    }
}

/// Why rights do not deny such an access for such a reason.
const fn why_no_denial(mode: usize, access: Access, result: usize) -> Option<&'static str> {
    let Access { user, write, fetch } = access;
    match result {
        outcome::USER if !user => Some("a supervisor may use supervisor pages (11)"),
        outcome::EXECUTE if !fetch || mode == TWO_LEVEL => {
            Some("XD denies fetches, and entries of 4 bytes have none (8.4, 5; 11)")
        }
        outcome::SMEP if !fetch || user => Some("SMEP denies fetches by a supervisor (11)"),
        outcome::WRITE if !write => Some("R/W denies writes (11)"),
        outcome::SMAP if fetch || user => Some("SMAP denies data accesses by a supervisor (11)"),
        outcome::KEY if fetch || mode == TWO_LEVEL => {
            Some("keys deny data accesses, with LMA = 1 (11)")
        }
        _ => None,
    }
}

/// Why the outcome is not found in that way.
fn why_no_way(
    config: &Config,
    (mode, place): (usize, usize),
    access: Access,
    result: usize,
    how: usize,
) -> Option<&'static str> {
    let translated = result == outcome::TRANSLATED;
    let kept = |level| {
        leaf_size(config, mode, place + 1)
            .is_some_and(|size| keeps(config, level, access.serves(), size))
    };
    let (first, kind) = (access.level(), access.serves());
    match how {
        way::FIRST_LEVEL | way::AFTER_WAIT | way::STLB | way::CACHED_WALK if !translated => Some(
            "a fault or a bus error is reported by a walk from CR3 alone (6, codes 5 and 6; 8.4)",
        ),
        way::FIRST_LEVEL | way::AFTER_WAIT if !kept(first) => {
            Some("the first level keeps no page of that size (2.1)")
        }
        way::AFTER_WAIT if config.miss_queue.entries < 2 => {
            Some("one miss at a time: none waits for another (7.1)")
        }
        way::AFTER_WAIT
            if config.ports.queue_entries < 2 && (access.fetch || config.ports.data_ports < 2) =>
        {
            Some(
                "one request a port at a time, and none that fills its first level waits with it (7.1)",
            )
        }
        way::STLB if !kept(Level::Stlb) => Some("the STLB keeps no page of that size (2.1)"),
        way::CACHED_WALK if !cached_start(config, mode, place + 1) => {
            Some("no paging-structure cache of a level above (2; 8.2)")
        }
        way::RESTARTED_WALK if !cached_start(config, mode, 1) => {
            Some("no paging-structure cache, so no walk begins at one (2; 8.4)")
        }
        way::RESTARTED_WALK if (mode, place, result) == (TWO_LEVEL, 1, outcome::BUS_ERROR) => Some(
            "in 32-bit paging another root empties the paging-structure caches, so no walk begins at one while the root is not in memory (9.3)",
        ),
        way::DENIED_HIT
            if !keeps_any(config, first, kind, mode)
                && !keeps_any(config, Level::Stlb, kind, mode) =>
        {
            Some("no TLB keeps a page of the mode (2.1)")
        }
        way::DIRTY_CLEAR if !access.write => Some("D = 0 stops writes alone (6, code 6)"),
        way::DIRTY_CLEAR
            if !dirty_clear(config, first, mode) && !dirty_clear(config, Level::Stlb, mode) =>
        {
            Some("what writes look up, writes alone have filled, with D set (2, SERVES)")
        }
        _ => None,
    }
}

/// How a walk of the prefetch ends.
pub mod prefetch_end {
    /// With a translation, and the right to fill.
    pub const FILLED: usize = 0;
    /// With a translation, without that right.
    pub const FORFEITED: usize = 1;
    /// Stopped.
    pub const STOPPED: usize = 2;
}

/// The prefetch.
pub const PREFETCHES: Cross = Cross {
    name: "prefetches",
    about: "each walk of the next-page prefetch: paging mode, where it ends, how, and where it began",
    axes: &[
        Axis {
            name: "mode",
            values: MODES,
        },
        Axis {
            name: "place",
            values: PLACES,
        },
        Axis {
            name: "end",
            values: &["filled", "had lost the right to fill", "stopped"],
        },
        Axis {
            name: "begin",
            values: &["from CR3", "from a cached entry"],
        },
    ],
    unreachable: prefetches,
};

fn prefetches(config: &Config, values: &[usize]) -> Option<&'static str> {
    let &[mode, place, end, begin] = values else {
        return None;
    };
    if !config.prefetch.next_page {
        return Some("the machine has no prefetch (2, PREFETCH_NEXT_PAGE)");
    }
    if !has_mode(config, mode) {
        return Some("the machine has no 5-level paging (2, FIVE_LEVEL)");
    }
    if mode == OFF {
        let only = (place, end, begin) == (NO_ENTRY, prefetch_end::STOPPED, 0);
        return (!only).then_some("a walk that starts with paging off has lost the right to fill, and is stopped at once (8.6)");
    }
    if place == NO_ENTRY {
        let only = (end, begin) == (prefetch_end::STOPPED, 0);
        return (!only).then_some("before it reads an entry it is stopped at its start alone, where it looks at no cache (8.6)");
    }
    if place + 1 > levels(mode) {
        return Some("the mode has fewer levels (1.5)");
    }
    if end != prefetch_end::STOPPED && leaf_size(config, mode, place + 1).is_none() {
        return Some("no leaf stands at that level (1.5; 8.4, 3 and 4)");
    }
    (begin == 1 && !cached_start(config, mode, place + 1))
        .then_some("no paging-structure cache of a level above (2; 8.2)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    fn reachable(cross: &Cross, config: &Config) -> usize {
        let cells = 0..cross.cells();
        cells
            .filter(|index| cross.why_unreachable(config, *index).is_none())
            .count()
    }

    fn preset(name: &str) -> Config {
        let source = Source::Preset(name.to_owned());
        load::load(&source, &[]).expect("valid").config
    }

    #[test]
    fn a_machine_with_less_has_fewer_cells() {
        let all = reachable(&REQUESTS, &preset("default"));
        assert!(all > 1_000, "{all}");
        for name in ["no-psc", "l1-only", "stlb-only"] {
            assert!(reachable(&REQUESTS, &preset(name)) < all, "{name}");
        }
        assert_eq!(reachable(&PREFETCHES, &preset("default")), 0);
        assert!(reachable(&PREFETCHES, &preset("prefetch")) > 30);
    }

    #[test]
    fn what_the_contract_says_is_what_the_cells_say() {
        let config = preset("default");
        let why = |values: &[usize]| REQUESTS.why_unreachable(&config, REQUESTS.index(values));
        // A user's read of a 4 KiB page in 4-level paging.
        let cell = |result, how| why(&[2, 0, 0, result, how]);
        assert_eq!(cell(outcome::TRANSLATED, way::FIRST_LEVEL), None);
        assert_eq!(cell(outcome::USER, way::DENIED_HIT), None);
        assert!(cell(outcome::USER, way::FIRST_LEVEL).is_some());
        assert!(cell(outcome::NOT_PRESENT, way::CACHED_WALK).is_some());
        assert!(cell(outcome::SMAP, way::WALK).is_some());
        assert!(cell(outcome::TRANSLATED, way::DIRTY_CLEAR).is_some());
    }
}
