//! The cross of invalidations and what of a miss they meet.
//!
//! Contract: 7 (states of an entry), 8 (states of a walker, drops, the prefetch), 9 (control). SDM vol. 3A, 4.10.4. Counterpart: none.

use super::cells::{Axis, Cross};
use super::machine::{cached_start, keeps_any, most_walks};
use crate::config::{Config, Level, Serves};
use crate::model::liveness::WalkerWord;
use crate::model::mmu_pkg::{
    MISS_FREE, MISS_RETRY, MISS_STLB_BUSY, MISS_STLB_WAIT, MISS_WAITING, MISS_WALK_WAIT,
    MISS_WALKING, PREFETCH_ENTRY, Queues, miss_state,
};

/// What invalidates, or changes registers.
pub mod kind {
    /// INVLPG.
    pub const INVLPG: usize = 0;
    /// INVPCID of type 0; the other types follow.
    pub const INVPCID: usize = 1;
    /// MOV CR0.
    pub const MOV_CR0: usize = 5;
    /// MOV CR3 that invalidates.
    pub const MOV_CR3: usize = 6;
    /// MOV CR3 with bit 63, which does not.
    pub const MOV_CR3_KEEP: usize = 7;
    /// MOV CR4.
    pub const MOV_CR4: usize = 8;
    /// WRMSR EFER.
    pub const WRMSR_EFER: usize = 9;
    /// A drop in the START of a walk from CR3.
    pub const DROP_AT_START: usize = 10;
    /// A drop in the DONE of a page fault.
    pub const DROP_AT_FAULT: usize = 11;
}

/// Phases of the walk of a request: STLB_WAIT to RETRY, START, five states by level, DONE.
const WALK: usize = 6;
/// `PHASES`: DONE of the walk of a request.
const DONE: usize = 32;
/// `PHASES`: the prefetch in PROBE; then WALK_WAIT, START, three states by level, DONE.
const PREFETCH: usize = 33;
const PREFETCH_START: usize = PREFETCH + 2;
const PREFETCH_DONE: usize = 51;

/// What the invalidation meets.
const PHASES: &[&str] = &[
    "nothing",
    "STLB_WAIT",
    "STLB_BUSY",
    "WALK_WAIT",
    "WAITING",
    "RETRY",
    "START",
    "READ of a PTE",
    "READ of a PDE",
    "READ of a PDPTE",
    "READ of a PML4E",
    "READ of a PML5E",
    "READ_WAIT of a PTE",
    "READ_WAIT of a PDE",
    "READ_WAIT of a PDPTE",
    "READ_WAIT of a PML4E",
    "READ_WAIT of a PML5E",
    "EXAMINE of a PTE",
    "EXAMINE of a PDE",
    "EXAMINE of a PDPTE",
    "EXAMINE of a PML4E",
    "EXAMINE of a PML5E",
    "CAS of a PTE",
    "CAS of a PDE",
    "CAS of a PDPTE",
    "CAS of a PML4E",
    "CAS of a PML5E",
    "CAS_WAIT of a PTE",
    "CAS_WAIT of a PDE",
    "CAS_WAIT of a PDPTE",
    "CAS_WAIT of a PML4E",
    "CAS_WAIT of a PML5E",
    "DONE",
    "prefetch: PROBE",
    "prefetch: WALK_WAIT",
    "prefetch: START",
    "prefetch: READ of a PTE",
    "prefetch: READ of a PDE",
    "prefetch: READ of a PDPTE",
    "prefetch: READ of a PML4E",
    "prefetch: READ of a PML5E",
    "prefetch: READ_WAIT of a PTE",
    "prefetch: READ_WAIT of a PDE",
    "prefetch: READ_WAIT of a PDPTE",
    "prefetch: READ_WAIT of a PML4E",
    "prefetch: READ_WAIT of a PML5E",
    "prefetch: EXAMINE of a PTE",
    "prefetch: EXAMINE of a PDE",
    "prefetch: EXAMINE of a PDPTE",
    "prefetch: EXAMINE of a PML4E",
    "prefetch: EXAMINE of a PML5E",
    "prefetch: DONE",
];

/// Invalidations.
pub const INVALIDATIONS: Cross = Cross {
    name: "invalidations",
    about: "each invalidation, register write and drop that performs, with each miss and prefetch that it meets, and in which state",
    axes: &[
        Axis {
            name: "what",
            values: &[
                "INVLPG",
                "INVPCID 0",
                "INVPCID 1",
                "INVPCID 2",
                "INVPCID 3",
                "MOV CR0",
                "MOV CR3",
                "MOV CR3, keeping",
                "MOV CR4",
                "WRMSR EFER",
                "drop at a start",
                "drop at a page fault",
            ],
        },
        Axis {
            name: "meets",
            values: PHASES,
        },
    ],
    unreachable,
};

/// What is in flight, a bit for each of `PHASES`; `own` is the walker whose drop it is, and the entry that it walks for.
pub fn phases(queues: &Queues, own: Option<(usize, u8)>) -> u64 {
    let mut met = 0u64;
    for (entry, word) in queues.miss.iter().enumerate() {
        if own.is_some_and(|(_, mine)| usize::from(mine) == entry) {
            continue;
        }
        met |= match miss_state(*word) {
            MISS_FREE | MISS_WALKING => 0,
            MISS_STLB_WAIT => 1 << 1,
            MISS_STLB_BUSY => 1 << 2,
            MISS_WALK_WAIT => 1 << 3,
            MISS_WAITING => 1 << 4,
            MISS_RETRY => 1 << 5,
            _ => 0,
        };
    }
    for (number, word) in queues.walker.iter().enumerate() {
        let walker = WalkerWord::new(number, *word);
        if own.is_some_and(|(mine, _)| mine == number) {
            continue;
        }
        let of_prefetch = walker.entry == PREFETCH_ENTRY;
        let first = if of_prefetch { PREFETCH_START } else { WALK };
        let level = (walker.level.clamp(1, 5) - 1) as usize;
        let state = walker.state as usize;
        met |= match state {
            0 => 0,
            1 => 1 << first,
            7 if of_prefetch => 1 << PREFETCH_DONE,
            7 => 1 << DONE,
            _ => 1 << (first + 1 + 5 * (state - 2) + level),
        };
    }
    met |= match queues.prefetch & 3 {
        1 => 1 << PREFETCH,
        2 => 1 << (PREFETCH + 1),
        _ => 0,
    };
    if met == 0 { 1 } else { met }
}

fn unreachable(config: &Config, values: &[usize]) -> Option<&'static str> {
    let &[what, phase] = values else {
        return None;
    };
    let of_request = (1..PREFETCH).contains(&phase);
    let of_prefetch = phase >= PREFETCH;
    let walks = (WALK..=DONE).contains(&phase) || phase >= PREFETCH_START;
    let is_drop = what >= kind::DROP_AT_START;
    if of_prefetch && !config.prefetch.next_page {
        return Some("the machine has no prefetch (2, PREFETCH_NEXT_PAGE)");
    }
    if PHASES[phase].ends_with("PML5E") && !config.capabilities.five_level {
        return Some("the machine has no 5-level paging (2, FIVE_LEVEL)");
    }
    if of_request && (kind::MOV_CR0..=kind::WRMSR_EFER).contains(&what) {
        return Some("a register write performs when no request is outstanding (9.1)");
    }
    if phase == PREFETCH && (kind::MOV_CR0..=kind::WRMSR_EFER).contains(&what) {
        return Some(
            "PROBE performs in the cycle after the last DONE at the latest, whose answer is outstanding still (7.4, 8.6, 9.1)",
        );
    }
    if matches!(phase, 4 | 5) && config.miss_queue.entries < 2 {
        return Some("one miss at a time: none waits for another (7.1)");
    }
    if is_drop && of_request && config.miss_queue.entries < 2 {
        return Some("one miss at a time, and the drop is its own (8.5)");
    }
    if is_drop && walks && most_walks(config) < 2 {
        return Some("one walk at a time, and the drop is its own (8.5)");
    }
    if what == kind::DROP_AT_START && !starts_from_cr3(config) {
        return Some(
            "no hit that can be denied and no cached start: no walk has from_cr3 (8.2, 8.4)",
        );
    }
    None
}

/// Whether any walk drops at its start: after a denied hit, or begun again.
fn starts_from_cr3(config: &Config) -> bool {
    (1..4).any(|mode| {
        let keeps = |level| {
            [Serves::Reads, Serves::Writes].map(|kind| keeps_any(config, level, kind, mode))
        };
        cached_start(config, mode, 1)
            || Level::ALL
                .into_iter()
                .any(|level| keeps(level).contains(&true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_a_miss_and_of_a_walker_is_a_phase_of_its_own() {
        assert_eq!(PHASES.len(), PREFETCH_DONE + 1);
        assert_eq!((PHASES[WALK], PHASES[DONE]), ("START", "DONE"));
        assert_eq!(PHASES[PREFETCH_START], "prefetch: START");
        let mut queues = Queues::default();
        let met = |queues: &Queues| {
            let met = phases(queues, None);
            let names = (0..PHASES.len()).filter(|phase| met >> phase & 1 != 0);
            names.map(|phase| PHASES[phase]).collect::<Vec<_>>()
        };
        assert_eq!(met(&queues), ["nothing"]);
        // An entry in WALKING whose walker compares and sets a PDPTE, and another in RETRY.
        (queues.miss[0], queues.miss[2]) = (MISS_WALKING, MISS_RETRY);
        queues.walker[1] = 5 | 3 << 8;
        assert_eq!(met(&queues), ["RETRY", "CAS of a PDPTE"]);
        let own = phases(&queues, Some((1, 0)));
        assert_eq!(own, 1 << 5);
        queues.prefetch = 3;
        queues.walker[0] = 4 | u32::from(PREFETCH_ENTRY) << 3 | 5 << 8;
        assert_eq!(
            met(&queues),
            ["RETRY", "CAS of a PDPTE", "prefetch: EXAMINE of a PML5E"]
        );
    }

    #[test]
    fn a_register_write_meets_the_prefetch_alone() {
        let mut config = Config::default();
        config.prefetch.next_page = true;
        let why = |what, phase| {
            INVALIDATIONS.why_unreachable(&config, INVALIDATIONS.index(&[what, phase]))
        };
        assert!(why(kind::MOV_CR3, WALK).is_some());
        assert_eq!(why(kind::MOV_CR3, PREFETCH_DONE), None);
        assert_eq!(why(kind::INVLPG, WALK), None);
        config.prefetch.next_page = false;
        let why = INVALIDATIONS.why_unreachable(
            &config,
            INVALIDATIONS.index(&[kind::MOV_CR3, PREFETCH_DONE]),
        );
        assert!(why.is_some());
    }
}
