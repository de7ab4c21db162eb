//! What the machine did, in text: the timeline, the cycles by cause, the formula.
//!
//! Contract: 12. SDM: none. Counterpart: none.

use std::fmt::Write as _;

use super::super::report::Machine;
use super::Text;
use crate::cli::grouped;
use crate::explain::timeline::{Formula, Timeline};

impl Text {
    /// What the machine did for an access.
    pub(super) fn run(&mut self, run: &Timeline, machine: &Machine) {
        self.end("   cycle  after  block       contract  what");
        for event in &run.events {
            let head = format!(
                "{:>8} {:>6}  {:<10}  {:<8}  ",
                event.cycle,
                format!("+{}", event.after_cycles),
                event.block,
                event.contract
            );
            self.line(&head, &event.what);
        }
        self.text.push('\n');
        let stlb = run.stlb.as_deref().unwrap_or("not asked");
        let psc = match (run.psc, run.memory_reads) {
            (Some(entry), _) => format!("hit: {entry}"),
            (None, 0) => "not asked".to_owned(),
            (None, _) => "no hit".to_owned(),
        };
        self.line(
            "",
            &format!(
                "First level: {}.  STLB: {stlb}.  Paging-structure caches: {psc}.",
                run.first_level
            ),
        );
        self.line(
            "",
            &format!(
                "Memory: entries read {}, compare-and-sets {}.",
                run.memory_reads, run.compare_and_sets
            ),
        );
        self.end(&format!(
            "Latency: {} cycles, from accept to answer (contract 12):",
            grouped(run.latency_cycles)
        ));
        for cause in &run.causes {
            self.end(&format!(
                "{:>8}  {:<40}  {}",
                cause.cycles, cause.about, cause.share
            ));
        }
        match &run.formula {
            Some(formula) => self.formula(formula, run, machine),
            None => self.end("No formula: it waited for another miss of its page."),
        }
    }

    fn formula(&mut self, formula: &Formula, run: &Timeline, machine: &Machine) {
        self.line("Formula: ", formula.case);
        self.line(
            "         ",
            &format!(
                "{} = {} = {}",
                formula.letters, formula.numbers, formula.cycles
            ),
        );
        let h = if run.port == "fetch" {
            machine.itlb_hit_cycles
        } else {
            machine.dtlb_hit_cycles
        };
        let mut letters = format!("H = {h}, look-up in the first level");
        if formula.letters.contains('S') {
            let _ = write!(letters, "; S = {}, in the STLB", machine.stlb_hit_cycles);
        }
        if formula.letters.contains('M') {
            let _ = write!(
                letters,
                "; M = {}, memory; n reads, c compare-and-sets",
                machine.memory_latency_cycles
            );
        }
        if formula.letters.contains('\'') {
            letters.push_str("; with ' before the restart");
        }
        self.line("         ", &letters);
        let text = match formula.difference_cycles {
            0 => "Measured: the same.".to_owned(),
            more => {
                let mut text = format!(
                    "Measured: {more:+} cycles, for what else was under way in the machine"
                );
                if machine.memory_jitter_cycles > 0 {
                    let _ = write!(
                        text,
                        ", and for memory's jitter of up to {}",
                        machine.memory_jitter_cycles
                    );
                }
                text + "."
            }
        };
        self.line("         ", &text);
    }
}
