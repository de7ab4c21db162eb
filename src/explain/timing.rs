//! The cycles of each isolated case on a machine: the formula of the contract beside what a twin takes.
//!
//! Contract: 12 (the formulas). SDM: none. Counterpart: none; both twins are measured alike, by their ports.
//!
//! A case is a few accesses of a machine fresh out of reset, the last of which is measured. Whether it met what the case is about is read
//! from its record: a machine without a first level has no hit there, and then has no such row. Between two accesses lies time enough for a
//! prefetch to end.

mod cases;
#[cfg(test)]
mod tests;

use serde::Serialize;

use self::cases::CASES;
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
