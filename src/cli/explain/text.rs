//! What `explain` says to a person: plain lines of at most 100 columns.
//!
//! Contract: none. SDM: none. Counterpart: none.

mod run;
mod walk;

use self::walk::asked;
use super::report::{InTrace, Machine, Report, Situated};
use crate::cli::grouped;
use crate::explain::situation::Situation;
use crate::explain::split::Split;
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
    if let (Some(line), true) = (
        &report.machine.rtl_none,
        report.access.is_some() || report.trace.is_some(),
    ) {
        out.line("Machine: ", line);
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
        let canonical = match (split.mode, split.canonical) {
            (32, _) => "every address is",
            (_, true) => "yes",
            (_, false) => "no",
        };
        self.line("Canonical: ", &format!("{canonical}; {}", split.because));
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
                    split.extended
                ),
            );
        }
        self.indices(split);
        self.pages(split);
    }

    fn indices(&mut self, split: &Split) {
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
    }

    fn pages(&mut self, split: &Split) {
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
}
