//! The save file of GTKWave beside a wave: the signals of the finding, of both sides, with the marker at its cycle.
//!
//! Contract: section 3 (ports). SDM: none. Counterpart: `beside.rs`, which has the scopes.

use std::fmt::Write as _;
use std::path::Path;

use super::Written;
use super::beside::{SCOPE, TEXT_BYTES, outputs, width_bits};
use crate::cosim::divergence::Finding;
use crate::cosim::side::RESET_CYCLES;

/// Time units of a cycle, as in `shim/harness.cpp`.
const CYCLE_UNITS: u64 = 10;
/// Cycles that the window of GTKWave begins before the finding.
const BEFORE_CYCLES: u64 = 20;
/// The differing signals that come first, before what else belongs to them.
const MOST_DIFFERING: usize = 12;

/// GTKWave's codes of how a signal is shown: right-justified, and one of binary, hexadecimal, decimal, ASCII; and of a comment.
const BINARY: u32 = 0x28;
const HEXADECIMAL: u32 = 0x22;
const DECIMAL: u32 = 0x24;
const ASCII: u32 = 0x820;
const COMMENT: u32 = 0x200;

/// The time in a wave at which a cycle begins.
pub const fn time(cycle: u64) -> u64 {
    (cycle + RESET_CYCLES as u64) * CYCLE_UNITS
}

impl Written {
    /// The names of the signals that a finding is about: those that differ in its cycle, else the one that it names.
    pub fn of_finding(&self, finding: Option<&Finding>) -> Vec<String> {
        let Some(finding) = finding else {
            return Vec::new();
        };
        match &self.differing {
            Some((cycle, names)) if *cycle == finding.cycle => names.clone(),
            _ => vec![finding.signal.clone()],
        }
    }
}

/// What is to be seen in the wave.
#[derive(Debug)]
pub struct Save<'a> {
    /// The wave.
    pub wave: &'a Path,
    /// The top module.
    pub top: &'a str,
    /// Whether the wave has the model's signals.
    pub has_model: bool,
    /// The cycle of the finding.
    pub cycle: Option<u64>,
    /// The names of the signals that differ; what is no output is passed over.
    pub signals: Vec<String>,
}

impl Save<'_> {
    /// The file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A path that is not absolute is looked for where GTKWave was started.
        let wave = std::path::absolute(self.wave).unwrap_or_else(|_| self.wave.to_owned());
        // Writing into a string does not fail.
        let _ = writeln!(text, "[dumpfile] \"{}\"", wave.display());
        if let Some(cycle) = self.cycle {
            let start = time(cycle.saturating_sub(BEFORE_CYCLES));
            let _ = writeln!(text, "[timestart] {start}");
            let marker = time(cycle);
            let _ = writeln!(text, "*-6.5 {marker}{}", " -1".repeat(26));
        }
        text.push_str("[size] 1600 900\n[sst_width] 200\n[signals_width] 480\n");
        let _ = writeln!(text, "[treeopen] TOP.{}.", self.top);
        let _ = writeln!(text, "[treeopen] TOP.{}.{SCOPE}.", self.top);
        let mut list = List { text };
        list.comment("cycle and events");
        list.line(
            DECIMAL,
            &format!("TOP.{}.u_twinwalk_probe.cycle_q", self.top),
        );
        let beside = format!("TOP.{}.{SCOPE}", self.top);
        let last = TEXT_BYTES * 8 - 1;
        let mut named = |code, name: &str, range: &str| {
            list.line(
                code,
                &alias(&name.replace('.', " "), &format!("{beside}.{name}{range}")),
            );
        };
        let range = format!("[{last}:0]");
        named(ASCII, "rtl.event", &range);
        if self.has_model {
            named(ASCII, "model.event", &range);
            named(BINARY, "model.differs", "");
            named(ASCII, "model.differing", &range);
        }
        let known: Vec<&String> = self
            .signals
            .iter()
            .filter(|name| is_output(base(name)))
            .collect();
        if !known.is_empty() {
            list.comment("what differs: rtl, model");
        }
        for name in known.iter().take(MOST_DIFFERING) {
            self.both_sides(&mut list, name);
        }
        if let Some(first) = known.first() {
            list.comment("what belongs to it: rtl, model");
            for name in family(first) {
                if !known.contains(&&name) {
                    self.both_sides(&mut list, &name);
                }
            }
        }
        list.text
    }

    fn both_sides(&self, list: &mut List, name: &str) {
        let bits = width_bits(base(name));
        let (code, range) = match bits {
            1 => (BINARY, String::new()),
            bits => (HEXADECIMAL, format!("[{}:0]", bits - 1)),
        };
        list.line(code, &format!("TOP.{}.{name}{range}", self.top));
        if self.has_model {
            let scope = format!("TOP.{}.{SCOPE}", self.top);
            let signal = alias(
                &format!("model {name}"),
                &format!("{scope}.model.{name}{range}"),
            );
            list.line(code, &signal);
        }
    }
}

struct List {
    text: String,
}

impl List {
    fn line(&mut self, code: u32, signal: &str) {
        let _ = writeln!(self.text, "@{code:x}\n{signal}");
    }

    fn comment(&mut self, text: &str) {
        let _ = writeln!(self.text, "@{COMMENT:x}\n-{text}");
    }
}

/// A signal under another name, which has no dots: GTKWave shows what is behind the last.
fn alias(name: &str, signal: &str) -> String {
    format!("+{{{name}}} {signal}")
}

/// A name without its element.
fn base(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

fn is_output(name: &str) -> bool {
    outputs().any(|output| output == name)
}

/// The outputs of the same link or array, of the same element.
fn family(name: &str) -> Vec<String> {
    let element = &name[base(name).len()..];
    let segments = if name.starts_with("mon_") { 2 } else { 1 };
    let key = |name: &str| -> Vec<String> {
        let parts = base(name).split('_').take(segments);
        parts.map(str::to_owned).collect()
    };
    let wanted = key(name);
    let same = outputs().filter(|output| key(output) == wanted);
    same.map(|output| format!("{output}{element}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(signals: &[&str]) -> String {
        Save {
            wave: Path::new("/x/a.fst"),
            top: "mmu",
            has_model: true,
            cycle: Some(100),
            signals: signals.iter().map(|name| (*name).to_owned()).collect(),
        }
        .text()
    }

    #[test]
    fn what_differs_stands_first_on_both_sides_and_what_belongs_to_it_follows() {
        let text = save(&["mon_tlb_tag_o[5]", "resp_valid_o[1]"]);
        let at = |line: &str| {
            let place = text.lines().position(|found| found == line);
            place.unwrap_or_else(|| panic!("{line}: {text}"))
        };
        let rtl = at("TOP.mmu.mon_tlb_tag_o[5][63:0]");
        let model = "+{model mon_tlb_tag_o[5]} TOP.mmu.twinwalk.model.mon_tlb_tag_o[5][63:0]";
        assert_eq!(at(model), rtl + 2);
        assert!(at("+{model resp_valid_o[1]} TOP.mmu.twinwalk.model.resp_valid_o[1]") > rtl);
        assert!(at("TOP.mmu.mon_tlb_victim_data_o[5][63:0]") > rtl);
        assert!(!text.contains("mon_tlb_tag_o[4]") && !text.contains("resp_pa_o"));
        assert_eq!(text.matches("TOP.mmu.mon_tlb_tag_o").count(), 1);
        assert!(text.starts_with("[dumpfile] \"/x/a.fst\"\n[timestart] 820\n*-6.5 1020 -1"));
    }

    #[test]
    fn a_rule_or_an_assertion_is_no_signal() {
        let text = save(&["rule 4.10.4"]);
        assert!(!text.contains("rule 4.10.4") && !text.contains("belongs"));
        assert!(text.contains("twinwalk.model.differs"));
    }
}
