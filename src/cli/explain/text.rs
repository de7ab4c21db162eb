//! What `explain` says to a person: plain lines of at most 100 columns.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::Write as _;

use super::report::{InTrace, Machine, Report, Situated};
use crate::cli::grouped;
use crate::explain::situation::Situation;
use crate::explain::split::Split;
use crate::explain::timeline::{Formula, Timeline};
use crate::explain::walk::{Asked, Ended, EntryRead, Rights, Walked};
use crate::tables::units::binary_size;

/// Columns that a line may take.
const WIDTH: usize = 100;

/// The text of a report.
pub fn text(report: &Report) -> String {
    let mut out = Text::default();
    out.split(&report.split);
    if let Some(access) = &report.access {
        out.situated(access, &report.machine);
    }
    if let Some(trace) = &report.trace {
        out.in_trace(trace, &report.machine);
    }
    out.text
}

#[derive(Default)]
struct Text {
    text: String,
}

impl Text {
    /// A line: `head`, and behind it `tail`, which is wrapped under its own beginning.
    fn line(&mut self, head: &str, tail: &str) {
        let indent = head.chars().count();
        let mut line = head.to_owned();
        let mut columns = indent;
        for (number, word) in tail.split(' ').enumerate() {
            let width = word.chars().count();
            if number > 0 && columns + 1 + width > WIDTH {
                self.end(&line);
                line = " ".repeat(indent);
                columns = indent;
            } else if number > 0 {
                line.push(' ');
                columns += 1;
            }
            line.push_str(word);
            columns += width;
        }
        self.end(&line);
    }

    fn end(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn headline(&mut self, text: &str) {
        self.text.push('\n');
        self.line("", text);
        self.end(&"-".repeat(text.chars().count().min(WIDTH)));
    }

    fn split(&mut self, split: &Split) {
        self.line(
            "",
            &format!(
                "Address {} in {} ({}-bit linear addresses)",
                split.address, split.mode_name, split.mode
            ),
        );
        self.text.push('\n');
        let canonical = if split.canonical { "yes" } else { "no" };
        if split.mode > 32 {
            self.line("Canonical: ", &format!("{canonical}; {}", split.because));
        } else {
            self.line(
                "Canonical: ",
                &format!("every address is; {}", split.because),
            );
        }
        if !split.canonical {
            self.line(
                "           ",
                "an access to it is a general protection fault, and no table is read;",
            );
            self.line(
                "           ",
                &format!(
                    "sign-extended from bit {} it would be {}",
                    split.mode - 1,
                    split.sign_extended
                ),
            );
        }
        self.text.push('\n');
        self.end("  bits  part                  binary     hex  decimal  the entry stands at");
        for index in &split.indices {
            let bits = format!("{}:{}", index.high_bit, index.low_bit);
            let part = format!("{} index", index.table);
            let entry = format!(
                "{}: table of {} + {} x {:#x} (+ {})",
                index.entry, index.table_from, index.entry_bytes, index.index, index.offset_bytes
            );
            let hex = format!("{:#x}", index.index);
            self.line(
                &format!(
                    "{bits:>6}  {part:<11} {:>16}  {hex:>6}  {:>7}  ",
                    index.binary, index.index
                ),
                &entry,
            );
        }
        if let Some(page) = split.pages.first() {
            let bits = page.offset_bits as usize;
            let binary = format!("{:0bits$b}", page.offset.0);
            let range = format!("{}:0", bits - 1);
            let hex = page.offset.to_string();
            self.line(
                &format!(
                    "{range:>6}  {:<11} {binary:>16}  {hex:>6}  {:>7}  ",
                    "offset", page.offset.0
                ),
                "the byte in a page of 4 KiB",
            );
        }
        self.text.push('\n');
        self.end(
            "  page size  mapped by  page number         offset      offset bits  page begins at",
        );
        for page in &split.pages {
            let size = binary_size(u128::from(page.size_bytes));
            let (number, offset) = (page.page_number.to_string(), page.offset.to_string());
            let bits = format!("{}:0", page.offset_bits - 1);
            self.end(&format!(
                "  {size:<9}  {:<9}  {number:<18}  {offset:<10}  {bits:<11}  {}",
                page.mapped_by, page.first_address
            ));
        }
    }

    fn situation(&mut self, situation: &Situation) {
        self.line("Set:      ", &situation.set.join(", "));
        let pcid = match situation.pcid {
            0 => String::new(),
            pcid => format!(", PCID {pcid:#x}"),
        };
        self.line("Root:     ", &format!("CR3 {}{pcid}", situation.cr3));
    }

    fn situated(&mut self, access: &Situated, machine: &Machine) {
        self.headline("The situation");
        let maps = match access.mappings.len() {
            0 => "nothing".to_owned(),
            _ => access.mappings.join("; "),
        };
        self.line("Mapped:   ", &format!("{maps} (tables: {})", access.tables));
        self.situation(&access.situation);
        for walk in &access.walks {
            self.headline(&format!("By the manual: {}", asked(&walk.access)));
            self.walk(walk);
        }
        let again = access.runs.len() > access.walks.len();
        for (number, run) in access.runs.iter().enumerate() {
            let which = match number {
                0 => "cold".to_owned(),
                1 if again => "the same once more".to_owned(),
                number => format!("access number {}", number + 1),
            };
            self.headline(&format!(
                "On the machine {}: {}, {which}",
                machine.name, run.kind
            ));
            self.run(run, machine);
        }
    }

    fn in_trace(&mut self, trace: &InTrace, machine: &Machine) {
        let found = &trace.found;
        self.headline(&format!("In {}", trace.file));
        self.line(
            "Found:    ",
            &format!(
                "reference {}, a {} of {} bytes at {}: number {} to this page",
                grouped(found.reference),
                found.kind,
                found.size_bytes,
                found.address,
                grouped(found.occurrence)
            ),
        );
        let previous = match found.previous {
            None => "never before".to_owned(),
            Some(previous) if previous == found.reference => {
                "by the same reference, which crosses into it".to_owned()
            }
            Some(previous) => format!(
                "by reference {}, {} before",
                grouped(previous),
                grouped(found.reference - previous)
            ),
        };
        self.line("Last:     ", &previous);
        let before = found.fetches_before + found.loads_before + found.stores_before;
        self.line(
            "Before:   ",
            &format!(
                "{} references: {} fetches, {} loads, {} stores, on {} pages of 4 KiB",
                grouped(before),
                grouped(found.fetches_before),
                grouped(found.loads_before),
                grouped(found.stores_before),
                grouped(found.pages_before)
            ),
        );
        let placed = match found.physical_page {
            Some(page) => format!(
                "the page of {} at {} lies at {page}",
                found.page_size, found.page
            ),
            None => "the address is not canonical, and has no page".to_owned(),
        };
        self.line(
            "Mapped:   ",
            &format!(
                "{placed}; pages {}, seed {}",
                trace.mapping.pages.name(),
                trace.mapping.seed
            ),
        );
        self.line("Presented:", &format!(" {}", trace.front_end));
        self.situation(&trace.situation);
        self.headline(&format!("By the manual: {}", asked(&trace.walk.access)));
        self.walk(&trace.walk);
        if trace.run.memory_reads == 0 {
            self.line(
                "",
                "(So a walk would go. The machine read none of these entries: a TLB had the page, as below.)",
            );
        }
        self.headline(&format!(
            "On the machine {}, after all that came before",
            machine.name
        ));
        self.run(&trace.run, machine);
    }

    fn walk(&mut self, walk: &Walked) {
        for (number, entry) in walk.entries.iter().enumerate() {
            self.entry(number + 1, entry);
        }
        if !walk.rules.is_empty() {
            self.end("Rules of access (SDM 4.6, contract 11):");
            for rule in &walk.rules {
                let verdict = if rule.denies { "DENIES" } else { "passes" };
                self.line(&format!("  {verdict}  {:<11}", rule.name), &rule.because);
            }
        }
        self.ended(&walk.outcome);
    }

    fn entry(&mut self, number: usize, entry: &EntryRead) {
        let head = format!("{number}. {:<6} ", entry.entry);
        self.line(
            &head,
            &format!(
                "at {} + {} x {:#x} = {} holds {:#018x}: {}",
                entry.table,
                entry.entry_bytes,
                entry.index,
                entry.address,
                entry.value.0,
                entry.meaning
            ),
        );
        for field in &entry.fields {
            let is_filler = matches!(field.name, "ignored" | "reserved");
            if is_filler && field.value.0 == 0 {
                continue;
            }
            let single = field.high_bit == field.low_bit;
            let bits = if single {
                field.low_bit.to_string()
            } else {
                format!("{}:{}", field.high_bit, field.low_bit)
            };
            let value = if single {
                field.value.0.to_string()
            } else {
                field.value.to_string()
            };
            let wrong = if field.violation {
                " <- RESERVED HERE, AND SET"
            } else {
                ""
            };
            self.line(
                &format!("   {bits:>6}  {:<8}  {value:<14}  ", field.name),
                &format!("{}{wrong}", field.about),
            );
        }
        if let Some(rights) = &entry.rights {
            self.line("   rights so far: ", &rights_text(rights));
        }
        if let Some(update) = &entry.update {
            self.line(
                "   then ",
                &format!(
                    "{} set by compare-and-set: {:#018x} becomes {:#018x}",
                    update.sets, update.expected.0, update.new.0
                ),
            );
        }
        self.text.push('\n');
    }

    fn ended(&mut self, ended: &Ended) {
        match ended {
            Ended::Translated {
                physical_address,
                page_size,
                pat_index,
                global,
                paging_off,
            } => {
                if *paging_off {
                    self.line("Outcome: ", &format!("paging is off: bits 31:0 are the physical address, {physical_address}; nothing is checked"));
                    return;
                }
                let global = if *global { ", global" } else { "" };
                self.line(
                    "Outcome: ",
                    &format!("allowed; physical address {physical_address}, in a page of {page_size}{global}; PAT index {pat_index}"),
                );
            }
            Ended::PageFault {
                error_code,
                bits,
                cr2,
                because,
            } => {
                self.line("Outcome: ", &format!("page fault, because {because}"));
                self.end(&format!("         error code {error_code:#x}, CR2 {cr2}:"));
                for bit in bits {
                    self.line(
                        &format!(
                            "           bit {}  {:<4}  {}  ",
                            bit.bit, bit.name, bit.value
                        ),
                        &bit.because,
                    );
                }
            }
            Ended::GeneralProtection => {
                self.line("Outcome: ", "general protection, error code 0: the address is not canonical. No entry is read");
            }
            Ended::BusError { address } => {
                self.line(
                    "Outcome: ",
                    &format!("bus error: no memory stands at {address}, where an entry should"),
                );
            }
        }
    }

    fn run(&mut self, run: &Timeline, machine: &Machine) {
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
        let stlb = run.stlb.map_or("not asked".to_owned(), str::to_owned);
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

fn asked(asked: &Asked) -> String {
    let mut text = format!(
        "{} of {} at CPL {} ({} access",
        asked.kind, asked.address, asked.cpl, asked.mode
    );
    if asked.implicit {
        text.push_str(", implicit");
    }
    if asked.ac {
        text.push_str(", AC = 1");
    }
    if asked.pkru.0 != 0 {
        let _ = write!(text, ", PKRU {}", asked.pkru);
    }
    text + ")"
}

fn rights_text(rights: &Rights) -> String {
    let yes = |allowed| if allowed { "yes" } else { "no" };
    let mut text = format!(
        "user mode {}, write {}, execute {}",
        yes(rights.user),
        yes(rights.writable),
        yes(!rights.execute_disable)
    );
    if rights.protection_key != 0 {
        let _ = write!(text, ", key {}", rights.protection_key);
    }
    text
}
