//! Races: every disturbing operation at every cycle offset of what it may disturb.
//!
//! Contract: 7 (merging, the right to fill), 8 (walks), 9 (invalidations), 13. SDM vol. 3A, 4.10.4, 4.10.5. Counterpart: none.
//!
//! A *situation* is one request or a few, from a known state: one walk, two walks at a time, a walk and what waits for it, an STLB hit on its
//! way, a denied hit. A *disturbance* is one operation. For each pair of them there is one stimulus, which repeats the situation with the
//! disturbance in cycle 0, 1, 2, ... after the first request, until well behind the end of the last walk; afterwards each
//! time the pages are asked for again, so that what should have gone and did not is seen.
//!
//! The situations are the same in 4-level and in 32-bit paging, since their addresses mean pages in both; tables and disturbances differ.

use std::fmt::Write as _;

use crate::config::{Config, MemorySpec};
use crate::cosim::stimulus::parse::parse;
use crate::cosim::stimulus::{ConfigText, Stimulus, StimulusError};

/// Latency of memory in races, at most: offsets are many enough.
const MEMORY_LATENCY_CYCLES: u32 = 3;

/// The tables of 4-level paging. `PAGE` and `NEXT` stand in one page table, `FAR` in another, `LARGE` is a 2 MiB page; `other` maps `PAGE` elsewhere.
const IMAGE: &str = "\
space s 4
table pdpt
table pd
table pt
table far
table other
cell other+8 = page 4k 0x1a000 rw user A D
";
/// What another agent stores before each repetition. The first line of each situation's own follows.
const RESTORE: &str = "\
store s = table pdpt rw user
store pdpt = table pd rw user
store pd+16 = table pt rw user
store pd+24 = table far rw user
store pd+32 = page 2m 0x400000 rw user
store pt+8 = page 4k 0x9000 rw user
store pt+16 = page 4k 0xa000 user
store far+8 = page 4k 0xb000 rw user
";
/// The same with A set in every table entry, so that walks read and set nothing above the leaf.
const RESTORE_ACCESSED: &str = "\
store s = table pdpt rw user A
store pdpt = table pd rw user A
store pd+16 = table pt rw user A
store pd+24 = table far rw user A
store pd+32 = page 2m 0x400000 rw user A
store pt+8 = page 4k 0x9000 rw user A
store pt+16 = page 4k 0xa000 user A
store far+8 = page 4k 0xb000 rw user A
";
/// The tables of 32-bit paging: the same pages, but that those of `FAR` stand in the one page table, and the large page has 4 MiB. `pt` has a
/// neighbour of `PAGE` in its cell.
const TWO_LEVEL_IMAGE: &str = "\
space s 2
table pt
table other
cell4 other+4 = page 4k 0x1a000 rw user A D
";
const TWO_LEVEL_RESTORE: &str = "\
store4 s+4 = table pt rw user
store4 s+8 = page 4m 0x400000 rw user
store4 pt = page 4k 0xc000 rw user
store4 pt+4 = page 4k 0x9000 rw user
store4 pt+8 = page 4k 0xa000 user
store4 pt+2052 = page 4k 0xb000 rw user
";
const TWO_LEVEL_RESTORE_ACCESSED: &str = "\
store4 s+4 = table pt rw user A
store4 s+8 = page 4m 0x400000 rw user A
store4 pt = page 4k 0xc000 rw user A
store4 pt+4 = page 4k 0x9000 rw user A
store4 pt+8 = page 4k 0xa000 user A
store4 pt+2052 = page 4k 0xb000 rw user A
";

/// A mode in which situations are disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// The name, as tests and reports use it.
    pub name: &'static str,
    /// What may disturb in it.
    pub disturbances: &'static [Disturbance],
    image: &'static str,
    restore: &'static str,
    restore_accessed: &'static str,
    boot: &'static str,
    /// The entry of `PAGE`, and the word that stores to it.
    leaf: &'static str,
    /// Accesses of a walk at most: with A set, and without.
    accesses: [u64; 2],
}

/// 4-level paging.
pub const FOUR_LEVEL: Paging = Paging {
    name: "4-level",
    disturbances: FOUR_LEVEL_DISTURBANCES,
    image: IMAGE,
    restore: RESTORE,
    restore_accessed: RESTORE_ACCESSED,
    boot: "boot s WP NXE PGE PCIDE\n",
    leaf: "store pt+8",
    accesses: [5, 9],
};
/// 32-bit paging.
pub const TWO_LEVEL: Paging = Paging {
    name: "32-bit",
    disturbances: TWO_LEVEL_DISTURBANCES,
    image: TWO_LEVEL_IMAGE,
    restore: TWO_LEVEL_RESTORE,
    restore_accessed: TWO_LEVEL_RESTORE_ACCESSED,
    boot: "boot s WP NXE PSE PGE\n",
    leaf: "store4 pt+4",
    accesses: [3, 5],
};

/// What is asked for after each repetition.
const ASK_AGAIN: &str = "\
drain
read 0x401000 user
read 0x402000 user
read 0x601000 user
fetch 0x401040 user
read 0x800000 user
drain
";

/// One request or a few, from a known state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The name, as tests and reports use it.
    pub name: &'static str,
    /// Requests before, which are answered before those that count; `LEAF` is [`Paging::leaf`].
    before: &'static str,
    /// The requests that count; the disturbance comes a number of cycles after the first.
    requests: &'static str,
    /// Tables have A set, so that the walk is short.
    accessed: bool,
    /// Walks that may follow each other.
    walks: u64,
}

const fn situation(
    name: &'static str,
    accessed: bool,
    walks: u64,
    before: &'static str,
    requests: &'static str,
) -> Situation {
    Situation {
        name,
        before,
        requests,
        accessed,
        walks,
    }
}

/// Every situation.
pub const SITUATIONS: &[Situation] = &[
    situation("walk", false, 1, "", "read 0x401000 user\n"),
    situation("walk-of-a-write", true, 1, "", "write 0x401000 user\n"),
    situation(
        "two-walks",
        true,
        2,
        "",
        "read 0x401000 user\nfetch 0x601000 user\n",
    ),
    situation(
        "two-walks-in-one-table",
        false,
        2,
        "",
        "read 0x401000 user\nfetch 0x402000 user\n",
    ),
    situation(
        "merged-across-ports",
        true,
        2,
        "",
        "fetch 0x401000 user\nread 0x401008 user\n",
    ),
    situation(
        "merged-in-one-port",
        true,
        2,
        "",
        "read 0x401000 user\nread 0x401008 user\nwrite 0x401010 user\n",
    ),
    situation(
        "stlb-hit",
        true,
        1,
        "fetch 0x401000 user\n",
        "read 0x401000 user\n",
    ),
    situation(
        "hit-under-miss",
        true,
        1,
        "read 0x601000 user\n",
        "read 0x401000 user\nread 0x601008 user\n",
    ),
    situation(
        "dirty-clear-hit",
        true,
        1,
        "read 0x401000 user\n",
        "write 0x401000 user\n",
    ),
    situation(
        "denied-hit",
        true,
        2,
        "read 0x402000 user\n",
        "write 0x402000 user\nread 0x402000 user\n",
    ),
    situation(
        "fault-behind-a-cached-entry",
        true,
        2,
        "read 0x402000 user\nLEAF = page 4k 0x9000 absent\n",
        "read 0x401000 user\nfetch 0x401000 user\n",
    ),
    situation("large-page", true, 1, "", "read 0x812340 user\n"),
];

/// A disturbing operation: its name, the line, and what puts things right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    /// The name, as tests and reports use it.
    pub name: &'static str,
    line: &'static str,
    undo: &'static str,
}

const fn disturbance(name: &'static str, line: &'static str, undo: &'static str) -> Disturbance {
    Disturbance { name, line, undo }
}

/// Every disturbance of 4-level paging.
const FOUR_LEVEL_DISTURBANCES: &[Disturbance] = &[
    disturbance("invlpg", "invlpg 0x401000", ""),
    disturbance("invlpg-of-another-page", "invlpg 0x601000", ""),
    disturbance("invpcid-0", "invpcid 0 va=0x401000", ""),
    disturbance("invpcid-1", "invpcid 1", ""),
    disturbance("invpcid-1-of-another-context", "invpcid 1 pcid=5", ""),
    disturbance("invpcid-2", "invpcid 2", ""),
    disturbance("invpcid-3", "invpcid 3", ""),
    disturbance("cr3", "cr3 s", ""),
    disturbance("cr3-keep", "cr3 s|keep", ""),
    disturbance("cr3-of-another-context", "cr3 s|pcid=5", "cr3 s"),
    disturbance("cr4", "cr4 PAE|PCIDE", "cr4 PAE|PCIDE|PGE"),
    disturbance("efer", "efer LME", "efer LME|NXE"),
    disturbance("leaf-moves", "store pt+8 = page 4k 0x15000 rw user A D", ""),
    disturbance("leaf-goes", "store pt+8 = page 4k 0x9000 absent", ""),
    disturbance(
        "leaf-loses-its-bits",
        "store pt+8 = page 4k 0x9000 rw user",
        "",
    ),
    disturbance("leaf-loses-rights", "store pt+8 = page 4k 0x9000 A", ""),
    disturbance("table-changes", "store pd+16 = table other rw user A", ""),
    disturbance("table-goes", "store pd+16 = table pt absent", ""),
    disturbance("memory-stalls", "hold memory 7", ""),
    disturbance("response-stalls", "hold response1 7", ""),
    disturbance("another-reader", "read 0x401020 user", ""),
    disturbance("another-writer", "write 0x401020 user", ""),
    disturbance("another-fetch", "fetch 0x401020 user", ""),
    disturbance(
        "a-fault-of-the-page",
        "write 0x401020 pkru=0xffffffff user",
        "",
    ),
];

/// Every disturbance of 32-bit paging.
const TWO_LEVEL_DISTURBANCES: &[Disturbance] = &[
    disturbance("invlpg", "invlpg 0xfedcba9800401000", ""),
    disturbance("invlpg-of-another-page", "invlpg 0x601000", ""),
    disturbance("invlpg-of-the-other-half", "invlpg 0xa00000", ""),
    disturbance("invpcid-0", "invpcid 0 va=0x401000", ""),
    disturbance("invpcid-2", "invpcid 2", ""),
    disturbance("cr3", "cr3 s|0x100000000", ""),
    disturbance("cr4-pse", "cr4 PGE", "cr4 PSE|PGE"),
    disturbance("efer", "efer 0", "efer NXE"),
    disturbance(
        "leaf-moves",
        "store4 pt+4 = page 4k 0x15000 rw user A D",
        "",
    ),
    disturbance("leaf-goes", "store4 pt+4 = page 4k 0x9000 absent", ""),
    disturbance(
        "leaf-loses-its-bits",
        "store4 pt+4 = page 4k 0x9000 rw user",
        "",
    ),
    disturbance("leaf-loses-rights", "store4 pt+4 = page 4k 0x9000 A", ""),
    disturbance(
        "neighbour-changes",
        "store4 pt = page 4k 0xc000 rw user bits=0x200",
        "",
    ),
    disturbance("both-change", "store pt = 0x150270000c227", ""),
    disturbance("table-changes", "store4 s+4 = table other rw user A", ""),
    disturbance("table-goes", "store4 s+4 = table pt absent", ""),
    disturbance(
        "table-becomes-a-page",
        "store4 s+4 = page 4m 0x1200000000 rw user A",
        "",
    ),
    disturbance("memory-stalls", "hold memory 7", ""),
    disturbance("another-reader", "read 0xffffffff00401020 user", ""),
    disturbance("another-writer", "write 0x401020 user", ""),
    disturbance("a-neighbour-of-the-page", "write 0x400020 user", ""),
];

/// The machine on which races are run: that of `config`, with a fast and even memory.
pub fn machine(config: &Config) -> Config {
    let mut config = config.clone();
    let memory = &mut config.memory;
    memory.latency_cycles = memory.latency_cycles.min(MEMORY_LATENCY_CYCLES);
    memory.jitter_cycles = 0;
    memory.outstanding = MemorySpec::default().outstanding;
    memory.accept_interval_cycles = 1;
    memory.table_cache.ways = 0;
    config
}

/// Offsets from 0 on that cover a situation, up to some cycles after its last walk.
fn offsets(config: &Config, paging: &Paging, situation: &Situation) -> u64 {
    let access = u64::from(config.memory.latency_cycles) + 3;
    let accesses = paging.accesses[usize::from(!situation.accessed)];
    let look_ups = u64::from(
        config
            .dtlb
            .hit_latency_cycles
            .max(config.itlb.hit_latency_cycles),
    ) + u64::from(config.stlb.hit_latency_cycles);
    look_ups + 8 + situation.walks * (accesses * access + 4)
}

/// The stimulus of a situation and one of `paging`'s disturbances, on a machine of [`machine`].
///
/// # Errors
/// Memory is too small for the tables and pages.
pub fn stimulus(
    paging: &Paging,
    config: &Config,
    situation: &Situation,
    disturbance: &Disturbance,
) -> Result<Stimulus, StimulusError> {
    let restore = if situation.accessed {
        paging.restore_accessed
    } else {
        paging.restore
    };
    let before = situation.before.replace("LEAF", paging.leaf);
    let mut text = format!("twinwalk-stim 1\n{}{}", paging.image, paging.boot);
    for offset in 0..offsets(config, paging, situation) {
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "{restore}invpcid 2\ndrain\n{}drain\n{}+{offset} {}\n{ASK_AGAIN}",
            before, situation.requests, disturbance.line
        );
        for line in disturbance.undo.lines() {
            let _ = write!(text, "{line}\ndrain\n");
        }
    }
    let mut name = format!("{} against {}", disturbance.name, situation.name);
    if *paging != FOUR_LEVEL {
        name = format!("{name}, in {} paging", paging.name);
    }
    let mut stimulus = parse(&name, &text)?;
    stimulus.setup.about = vec![format!("race: {name}, at every offset")];
    stimulus.setup.config = ConfigText::of(config);
    stimulus.setup.machine(&name)?;
    Ok(stimulus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::stimulus::Action;
    use crate::cosim::stimulus::config_text::check_operation;

    #[test]
    fn every_pair_is_a_stimulus_that_every_preset_can_run() {
        for preset in crate::config::presets::ALL {
            let source = crate::config::load::Source::Preset(preset.name.to_owned());
            let config = machine(&crate::config::load::load(&source, &[]).unwrap().config);
            for situation in SITUATIONS {
                for paging in [FOUR_LEVEL, TWO_LEVEL] {
                    for disturbance in paging.disturbances {
                        let stimulus = stimulus(&paging, &config, situation, disturbance).unwrap();
                        for operation in &stimulus.operations {
                            assert_eq!(check_operation(operation, &config), Ok(()));
                        }
                    }
                }
            }
        }
    }

    /// The situations ask for the same pages in both modes: what the timeless walk makes of the tables is a translation, or the one fault that is meant.
    #[test]
    fn the_tables_of_both_modes_map_what_the_situations_ask_for() {
        use crate::arch::{Outcome, PageSize, PhysicalAddress, Registers};
        use crate::cosim::generator::registers::Registry;
        use crate::cosim::stimulus::CellWrite;
        use crate::reference::memory::SparseMemory;
        use crate::reference::walk::walk;

        let config = machine(&Config::default());
        let capabilities = config.arch_capabilities();
        for paging in [FOUR_LEVEL, TWO_LEVEL] {
            let (situation, disturbance) = (&SITUATIONS[1], &paging.disturbances[0]);
            let stimulus = stimulus(&paging, &config, situation, disturbance).unwrap();
            let mut registry = Registry::new(capabilities);
            let mut memory = SparseMemory::new(config.memory_size_bytes());
            let mut sizes = [0u32; 4];
            for operation in stimulus.operations {
                let write: CellWrite = match operation.action {
                    Action::Control(control) => {
                        registry.follow(&control);
                        continue;
                    }
                    Action::Request(request) => {
                        let registers: &Registers = registry.get();
                        let outcome = walk(
                            registers,
                            &capabilities,
                            &request.access,
                            request.va,
                            &mut memory,
                        );
                        let Outcome::Translated(translation) = outcome else {
                            panic!("{}: {request}: {outcome:?}", paging.name);
                        };
                        sizes[translation.page_size as usize] += 1;
                        continue;
                    }
                    Action::Store(store) => store.into(),
                    Action::StoreHalf(store) => store.into(),
                    _ => continue,
                };
                let cell = PhysicalAddress::new(write.address);
                let store = write.over(memory.peek(cell));
                memory.poke(cell, store.value).unwrap();
            }
            let large = [PageSize::Size2M, PageSize::Size4M][usize::from(paging == TWO_LEVEL)];
            assert!(sizes[0] > 50 && sizes[large as usize] > 10, "{sizes:?}");
            assert_eq!(sizes.iter().sum::<u32>(), sizes[0] + sizes[large as usize]);
        }
    }

    #[test]
    fn the_disturbance_comes_in_every_cycle_from_the_first_request_to_behind_the_last_walk() {
        let config = machine(&Config::default());
        let stimulus = stimulus(
            &FOUR_LEVEL,
            &config,
            &SITUATIONS[0],
            &FOUR_LEVEL_DISTURBANCES[0],
        )
        .unwrap();
        let gaps: Vec<u32> = stimulus
            .operations
            .iter()
            .filter(|operation| matches!(operation.action, Action::Control(control) if control.data == 0x401000))
            .map(|operation| operation.gap_cycles)
            .collect();
        // Four entries, each read and set, with latency 3; look-ups, the walker's own cycles.
        assert!(gaps.len() > 8 * 5 + 8 + 5, "{}", gaps.len());
        assert!(
            gaps.iter()
                .enumerate()
                .all(|(index, gap)| *gap as usize == index)
        );
    }
}
