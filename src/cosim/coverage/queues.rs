//! The crosses of queues and arbiters: miss queue, commit, memory port; and of control operations.
//!
//! Contract: 6 (taking an entry), 7.1, 7.4 (commit), 8.3 (memory port), 9 (control). SDM: none. Counterpart: none.

use super::cells::{Axis, Cross};
use super::machine::{
    MODES, bus_errors, cached_start, dirty_clear, has_mode, keeps_any, most_walks,
};
use crate::config::{Config, Level, Serves};

/// How full the miss queue is, at the start of the cycle.
pub mod fill {
    /// No entry is taken.
    pub const EMPTY: usize = 0;
    /// Some are, and more than one is free.
    pub const SOME: usize = 1;
    /// One is free.
    pub const LAST: usize = 2;
    /// None is free.
    pub const FULL: usize = 3;
}

/// What a look-up in L1 comes to.
pub mod event {
    /// A hit.
    pub const HIT: usize = 0;
    /// No look-up was needed.
    pub const BYPASS: usize = 1;
    /// A miss takes an entry.
    pub const MISS: usize = 2;
    /// A miss takes an entry, and waits for another.
    pub const MERGED: usize = 3;
    /// A denied hit takes an entry.
    pub const DENIED: usize = 4;
    /// A hit with D clear takes an entry.
    pub const DIRTY: usize = 5;
    /// A request could be looked up, and nothing is shown: it is refused, or held up.
    pub const WAITS: usize = 6;
    /// A request in RETRY hits; one that misses, that is denied, and that meets D clear follow.
    pub const RETRY_HIT: usize = 7;
    /// A request in RETRY misses.
    pub const RETRY_MISS: usize = 8;
    /// A request in RETRY is denied.
    pub const RETRY_DENIED: usize = 9;
    /// A request in RETRY meets D clear.
    pub const RETRY_DIRTY: usize = 10;
}

/// The miss queue.
pub const MISS_QUEUE: Cross = Cross {
    name: "miss queue",
    about: "each look-up in the first level, and each cycle in which a due request finds the queue full: how full the miss queue is, and what comes of it",
    axes: &[
        Axis {
            name: "queue",
            values: &["empty", "more than one free", "one free", "full"],
        },
        Axis {
            name: "look-up",
            values: &[
                "hit",
                "none needed",
                "miss",
                "merged",
                "denied",
                "D clear",
                "refused or held up",
                "retry hits",
                "retry misses",
                "retry is denied",
                "retry meets D clear",
            ],
        },
    ],
    unreachable: miss_queue,
};

fn miss_queue(config: &Config, values: &[usize]) -> Option<&'static str> {
    let &[queue, what] = values else {
        return None;
    };
    let entries = config.miss_queue.entries;
    let alone = entries < 2;
    let modes = || (1..4).filter(|mode| has_mode(config, *mode));
    let kept = modes().any(|mode| {
        keeps_any(config, Level::Itlb, Serves::Reads, mode)
            || [Serves::Reads, Serves::Writes]
                .into_iter()
                .any(|kind| keeps_any(config, Level::Dtlb, kind, mode))
    });
    let dirty = modes().any(|mode| dirty_clear(config, Level::Dtlb, mode));
    if queue == fill::LAST && alone {
        return Some("one entry: with it free the queue is empty (2, MISS_QUEUE_ENTRIES)");
    }
    if queue == fill::SOME && entries < 3 {
        return Some(
            "too few entries for one that is taken and two that are free (2, MISS_QUEUE_ENTRIES)",
        );
    }
    match what {
        event::MISS..=event::DIRTY if queue == fill::FULL => {
            Some("without a FREE entry a request is refused (6)")
        }
        event::WAITS if queue != fill::FULL => {
            Some("counted with a full queue alone: else a request in RETRY may come first (6)")
        }
        event::RETRY_HIT..=event::RETRY_DIRTY | event::MERGED if alone => {
            Some("one miss at a time: none waits for another (7.1)")
        }
        event::RETRY_HIT..=event::RETRY_DIRTY if queue == fill::EMPTY => {
            Some("a request in RETRY has an entry (7)")
        }
        event::HIT | event::DENIED | event::RETRY_HIT | event::RETRY_DENIED if !kept => {
            Some("the first level keeps no page (2.1)")
        }
        event::DIRTY | event::RETRY_DIRTY if !dirty => {
            Some("no first level that writes look up is filled by reads (2, SERVES)")
        }
        _ => None,
    }
}

/// What commits.
pub mod winner {
    /// START.
    pub const START: usize = 0;
    /// START of a restart.
    pub const RESTART: usize = 1;
    /// DONE, translated.
    pub const TRANSLATED: usize = 2;
    /// DONE, page fault.
    pub const PAGE_FAULT: usize = 3;
    /// DONE, bus error.
    pub const BUS_ERROR: usize = 4;
    /// DONE of a prefetch that was stopped.
    pub const STOPPED: usize = 5;
    /// The result of the STLB.
    pub const RESULT: usize = 6;
}

/// The commit.
pub const COMMITS: Cross = Cross {
    name: "commits",
    about: "each commit: what it is, how many walkers are not idle, and how many others are in START or DONE",
    axes: &[
        Axis {
            name: "commits",
            values: &[
                "START",
                "START again",
                "DONE translated",
                "DONE page fault",
                "DONE bus error",
                "DONE stopped",
                "result of the STLB",
            ],
        },
        Axis {
            name: "walkers",
            values: &[
                "0 walkers",
                "1 walker",
                "2 walkers",
                "3 walkers",
                "4 walkers",
            ],
        },
        Axis {
            name: "others",
            values: &["alone", "1 other", "2 others", "3 others", "4 others"],
        },
    ],
    unreachable: commits,
};

fn commits(config: &Config, values: &[usize]) -> Option<&'static str> {
    let &[what, active, others] = values else {
        return None;
    };
    let result = what == winner::RESULT;
    let requests = config.miss_queue.entries as usize - usize::from(result);
    let most =
        (requests + usize::from(config.prefetch.next_page)).min(config.walkers.count as usize);
    if active > most {
        return Some(
            "there are not so many walkers, or not so many misses (2, WALKERS, MISS_QUEUE_ENTRIES)",
        );
    }
    if others + usize::from(!result) > active {
        return Some("others that are in START or DONE are walkers that are not idle (8)");
    }
    match what {
        winner::RESTART if (1..4).all(|mode| !cached_start(config, mode, 1)) => {
            Some("no paging-structure cache, so no walk begins at one (2; 8.4)")
        }
        winner::BUS_ERROR if (1..4).all(|mode| !bus_errors(config, mode)) => {
            Some("memory stands wherever an entry can point (13)")
        }
        winner::STOPPED if !config.prefetch.next_page => {
            Some("the machine has no prefetch (2, PREFETCH_NEXT_PAGE)")
        }
        _ => None,
    }
}

/// The memory port.
pub const MEMORY_PORT: Cross = Cross {
    name: "memory port",
    about: "each cycle in which the memory port offers a request: what it is, whether it is taken, how many are not answered, and how many other walkers want one",
    axes: &[
        Axis {
            name: "request",
            values: &["read", "compare-and-set"],
        },
        Axis {
            name: "link",
            values: &["stalled", "taken"],
        },
        Axis {
            name: "outstanding",
            values: &[
                "0 outstanding",
                "1 outstanding",
                "2 outstanding",
                "3 outstanding",
            ],
        },
        Axis {
            name: "others",
            values: &["no other", "1 other", "2 others", "3 others"],
        },
    ],
    unreachable: |config, values| {
        let &[_, _, outstanding, others] = values else {
            return None;
        };
        (outstanding + others + 1 > most_walks(config))
            .then_some("a walker wants or has one access at a time (3; 8.3)")
    },
};

/// Operations, in the order of the axis: those of `ctrl_op_i` up to INVLPG, then INVPCID by type.
pub const OPERATIONS: &[&str] = &[
    "MOV CR0",
    "MOV CR3",
    "MOV CR4",
    "WRMSR EFER",
    "INVLPG",
    "INVPCID 0",
    "INVPCID 1",
    "INVPCID 2",
    "INVPCID 3",
    "INVPCID of no type",
];

/// Control operations.
pub const CONTROL: Cross = Cross {
    name: "control",
    about: "each control operation: in which mode it was accepted, with requests outstanding or not, and whether it was refused",
    axes: &[
        Axis {
            name: "operation",
            values: OPERATIONS,
        },
        Axis {
            name: "mode",
            values: MODES,
        },
        Axis {
            name: "machine",
            values: &["nothing outstanding", "requests outstanding"],
        },
        Axis {
            name: "answer",
            values: &["performed", "#GP"],
        },
    ],
    unreachable: |config, values| {
        let &[operation, mode, _, answer] = values else {
            return None;
        };
        if !has_mode(config, mode) {
            return Some("the machine has no 5-level paging (2, FIVE_LEVEL)");
        }
        match (OPERATIONS[operation], answer) {
            ("INVLPG", 1) => Some("INVLPG is never refused (9.3)"),
            ("INVPCID of no type", 0) => Some("a type above 3 is refused (9.3)"),
            _ => None,
        }
    },
};
