//! The cycles of each isolated case on a machine: the formula of the contract beside what a twin takes.
//!
//! Contract: 12 (the formulas). SDM: none. Counterpart: none; both twins are measured alike, by their ports.
//!
//! A case is a few accesses of a machine fresh out of reset, the last of which is measured. Whether it met what the case is about is read
//! from its record: a machine without a first level has no hit there, and then has no such row. Between two accesses lies time enough for a
//! prefetch to end.

use serde::Serialize;

use super::events::Record;
use super::machine::run_on;
use super::map::MapSpec;
use super::situation::Controls;
use super::split::mode_of;
use super::tables::build;
use super::timeline::Timeline;
use crate::arch::{Access, AccessKind};
use crate::config::Config;
use crate::cosim::ticked::Hang;
use crate::cosim::twin::Twin;
use crate::model::mmu_pkg::{
    LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR, LOOKUP_HIT_1G, LOOKUP_HIT_2M, LOOKUP_HIT_4K,
    LOOKUP_MISS, STATUS_PAGE_FAULT,
};

/// Most accesses of memory before a measured one, each of which a prefetch may follow with as many.
const ACCESSES_BEFORE: u32 = 2 * 12;
/// The greatest gap that a front end has.
const MOST_GAP_CYCLES: u32 = 65_535;

/// What the measured access must meet, for the case to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// Paging is off, or the address is not canonical.
    Bypass,
    /// A hit in the first level.
    FirstLevel,
    /// A hit in the STLB.
    Stlb,
    /// A walk from the entry of that level in a paging-structure cache, 0: from CR3, with so many reads and compare-and-sets.
    Walk { from: u8, accesses: (u32, u32) },
    /// A first-level hit of a write with D = 0.
    DirtyClear,
    /// A first-level hit that rights deny.
    Denied,
    /// A walk that begins again from CR3.
    Restart,
}

/// One case: the linear addresses have `bits`, of `maps` `accesses` are made, by user mode.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    about: &'static str,
    bits: u32,
    maps: &'static [&'static str],
    controls: &'static str,
    accesses: &'static [(u64, AccessKind)],
    meets: Meets,
}

/// A case on a machine: formula and measurements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name: `stlb-hit`.
    pub case: &'static str,
    /// In words.
    pub about: &'static str,
    /// The formula, with letters.
    pub formula: String,
    /// With numbers.
    pub numbers: String,
    /// What it comes to; none where it does not hold on this machine.
    pub formula_cycles: Option<u64>,
    /// Why it does not hold.
    pub reason: Option<String>,
    /// What the model takes.
    pub model_cycles: u64,
    /// What the RTL takes; none if it was not asked.
    pub rtl_cycles: Option<u64>,
    /// Whether formula and measurement differ without a reason that is known.
    #[serde(skip)]
    pub unexplained: bool,
}

impl Row {
    /// Whether the twins differ, or the formula from them with no reason.
    pub fn is_wrong(&self) -> bool {
        self.unexplained
            || self
                .rtl_cycles
                .is_some_and(|cycles| cycles != self.model_cycles)
    }
}

/// What was measured of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timing {
    /// The cases that it has.
    pub rows: Vec<Row>,
    /// In words, those that it has not.
    pub absent: Vec<&'static str>,
}

/// Measures every case on the model of `config`.
///
/// # Errors
/// The model does not answer.
pub fn of_model(config: &Config) -> Result<Timing, Hang> {
    let mut timing = Timing::default();
    for case in CASES {
        let twin = crate::model::Mmu::new(config);
        let record = case
            .measure(config, twin)?
            .filter(|record| case.meets.holds(record));
        match record.and_then(|record| case.row(&record, config)) {
            Some(row) => timing.rows.push(row),
            None => timing.absent.push(case.about),
        }
    }
    Ok(timing)
}

/// Adds what another twin takes for the same, each time one fresh out of reset.
///
/// # Errors
/// `fresh` has none, or it does not answer.
pub fn add_rtl<T: Twin, E: From<Hang>>(
    timing: &mut Timing,
    config: &Config,
    mut fresh: impl FnMut() -> Result<T, E>,
) -> Result<(), E> {
    for row in &mut timing.rows {
        let case = CASES.iter().find(|case| case.name == row.case);
        let Some(case) = case else { continue };
        let record = case.measure(config, fresh()?)?;
        // A twin that does not answer at all hangs; that is an error already.
        row.rtl_cycles = record.and_then(|record| record.latency_cycles());
    }
    Ok(())
}

impl Meets {
    fn holds(self, record: &Record) -> bool {
        let is_hit = |code| matches!(code, LOOKUP_HIT_4K | LOOKUP_HIT_2M | LOOKUP_HIT_1G);
        let walked = record.first_level == LOOKUP_MISS && !is_hit(record.stlb);
        match self {
            Self::Bypass => record.first_level == LOOKUP_BYPASS,
            Self::FirstLevel => is_hit(record.first_level),
            Self::Stlb => record.first_level == LOOKUP_MISS && is_hit(record.stlb),
            Self::Walk { from, accesses } => {
                let made = (record.accesses.reads, record.accesses.compare_and_sets);
                walked
                    && record.before_restart.is_none()
                    && record.psc_level.unwrap_or(0) == from
                    && made == accesses
            }
            Self::DirtyClear => record.first_level == LOOKUP_DIRTY_CLEAR,
            Self::Denied => record.first_level == LOOKUP_DENIED,
            Self::Restart => {
                record.before_restart.is_some()
                    && record
                        .responded
                        .is_some_and(|(_, answer)| answer.status == STATUS_PAGE_FAULT)
            }
        }
    }
}

impl Case {
    /// What `twin`, a machine of `config`, does for the last access; none where the machine cannot be brought there.
    fn measure(&self, config: &Config, twin: impl Twin) -> Result<Option<Record>, Hang> {
        let Some(mode) = mode_of(self.bits) else {
            return Ok(None);
        };
        let maps: Result<Vec<_>, _> = self
            .maps
            .iter()
            .map(|map| MapSpec::parse(map, mode))
            .collect();
        let image = maps.and_then(|maps| build(&maps, mode, config.memory_size_bytes()));
        let mut controls = Controls::default();
        let read = match self.controls {
            "" => Ok(()),
            text => controls.read(text),
        };
        let (Ok(image), Ok(())) = (image, read) else {
            return Ok(None);
        };
        let boot = controls.boot(mode, image.root);
        if super::situation::registers(&boot, &config.arch_capabilities()).is_err() {
            return Ok(None);
        }
        let mut alone = config.clone();
        alone.front_end.window = 1;
        alone.front_end.issue_gap_cycles = gap_cycles(config);
        let user = |&(address, kind): &(u64, AccessKind)| (address, controls.access(kind, 3));
        let accesses: Vec<(u64, Access)> = self.accesses.iter().map(user).collect();
        let records = run_on(&alone, twin, &boot, &image.words, &accesses)?;
        Ok(records.last().cloned())
    }

    fn row(&self, record: &Record, config: &Config) -> Option<Row> {
        let formula = Timeline::of(record, config)?.formula?;
        let model_cycles = record.latency_cycles()?;
        let holds = formula.difference_cycles == 0;
        let reasons = if holds {
            String::new()
        } else {
            reasons(config)
        };
        Some(Row {
            case: self.name,
            about: self.about,
            formula: formula.letters,
            numbers: formula.numbers,
            formula_cycles: (holds || reasons.is_empty()).then_some(formula.cycles),
            reason: (!reasons.is_empty()).then_some(reasons.clone()),
            model_cycles,
            rtl_cycles: None,
            unexplained: !holds && reasons.is_empty(),
        })
    }
}

/// Cycles between two accesses in which whatever follows the first, a prefetch with a walk of its own, has ended.
fn gap_cycles(config: &Config) -> u32 {
    let memory = &config.memory;
    let each = memory.latency_cycles + memory.jitter_cycles + memory.accept_interval_cycles + 2;
    let looks_up = config.itlb.hit_latency_cycles
        + config.dtlb.hit_latency_cycles
        + config.stlb.hit_latency_cycles;
    (ACCESSES_BEFORE.saturating_mul(each) + 2 * looks_up + 64).min(MOST_GAP_CYCLES)
}

/// What makes memory answer otherwise than M cycles after a walker wants it.
fn reasons(config: &Config) -> String {
    let memory = &config.memory;
    let mut reasons = Vec::new();
    if memory.table_cache.ways > 0 {
        reasons.push(format!(
            "memory.table_cache: an access whose line is there takes {} cycles",
            memory.table_cache.latency_cycles
        ));
    }
    if memory.jitter_cycles > 0 {
        reasons.push(format!(
            "memory.jitter_cycles: up to {} more an access",
            memory.jitter_cycles
        ));
    }
    if memory.accept_interval_cycles > memory.latency_cycles + 2 {
        reasons.push(format!(
            "memory.accept_interval_cycles: accesses are {} cycles apart",
            memory.accept_interval_cycles
        ));
    }
    reasons.join("; ")
}

use AccessKind::{Fetch, Read, Write};

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
const CASES: &[Case] = &[
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load, presets};
    use crate::model::Mmu;

    fn config(preset: &str, set: &[&str]) -> Config {
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        load(&Source::Preset(preset.to_owned()), &set)
            .expect("a valid machine")
            .config
    }

    fn timing(config: &Config) -> Timing {
        let mut timing = of_model(config).expect("it answers");
        add_rtl(&mut timing, config, || Ok::<_, Hang>(Mmu::new(config))).expect("it answers");
        timing
    }

    #[test]
    fn on_every_preset_the_formula_holds_or_the_row_says_why_not() {
        for preset in presets::ALL {
            let config = config(preset.name, &[]);
            let timing = timing(&config);
            assert_eq!(timing.rows.len() + timing.absent.len(), CASES.len());
            let disturbed = config.memory.jitter_cycles > 0 || config.memory.table_cache.ways > 0;
            for row in &timing.rows {
                assert!(!row.is_wrong(), "{}: {row:?}", preset.name);
                match row.formula_cycles {
                    Some(cycles) => {
                        assert_eq!(cycles, row.model_cycles, "{}: {row:?}", preset.name)
                    }
                    None => assert!(
                        disturbed && row.reason.is_some(),
                        "{}: {row:?}",
                        preset.name
                    ),
                }
            }
        }
    }

    #[test]
    fn the_default_machine_has_every_case_and_others_say_which_they_have_not() {
        assert_eq!(timing(&Config::default()).absent, Vec::<&str>::new());
        let absent = timing(&config("no-psc", &[])).absent;
        for level in ["PML5E", "PML4E", "PDPTE", "PDE"] {
            let case = format!("walk from a cached {level}");
            assert!(absent.contains(&case.as_str()), "{absent:?}");
        }
        let absent = timing(&config("stlb-only", &[])).absent;
        assert!(absent.contains(&"hit in the DTLB"), "{absent:?}");
    }

    #[test]
    fn jitter_a_narrow_memory_and_a_cache_of_tables_are_named_and_no_number_is_given() {
        for (set, reason) in [
            ("memory.jitter_cycles=40", "memory.jitter_cycles: up to 40"),
            (
                "memory.accept_interval_cycles=99",
                "memory.accept_interval_cycles: accesses are 99",
            ),
            (
                "memory.table_cache.ways=2",
                "memory.table_cache: an access whose line is there takes 14",
            ),
        ] {
            let timing = timing(&config("default", &[set]));
            let row = |name| timing.rows.iter().find(|row| row.case == name).expect(name);
            let walk = row("set-accessed-path");
            assert_eq!(walk.formula_cycles, None);
            assert!(
                walk.reason
                    .as_ref()
                    .is_some_and(|text| text.contains(reason)),
                "{walk:?}"
            );
            assert_eq!(row("stlb-hit").formula_cycles, Some(10));
        }
    }

    #[test]
    fn a_prefetch_is_over_before_the_next_access() {
        let config = config("prefetch", &[]);
        assert!(config.prefetch.next_page);
        assert!(
            timing(&config)
                .rows
                .iter()
                .all(|row| row.formula_cycles.is_some())
        );
    }

    #[test]
    fn another_machine_and_a_formula_that_fails_without_reason_are_found() {
        let config = Config::default();
        let mut slower = config.clone();
        slower.stlb.hit_latency_cycles += 1;
        let mut timing = of_model(&config).expect("it answers");
        add_rtl(&mut timing, &config, || Ok::<_, Hang>(Mmu::new(&slower))).expect("it answers");
        let wrong = |row: &&Row| row.is_wrong();
        let wrong: Vec<_> = timing
            .rows
            .iter()
            .filter(wrong)
            .map(|row| row.case)
            .collect();
        assert!(
            wrong.contains(&"stlb-hit") && !wrong.contains(&"dtlb-hit"),
            "{wrong:?}"
        );
        let case = CASES
            .iter()
            .find(|case| case.name == "stlb-hit")
            .expect("it is there");
        let record = case
            .measure(&slower, Mmu::new(&slower))
            .expect("it answers");
        let row = case
            .row(&record.expect("an access"), &config)
            .expect("a formula");
        assert!(row.is_wrong() && row.rtl_cycles.is_none(), "{row:?}");
    }
}
