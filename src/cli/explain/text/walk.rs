//! A walk in text: entries with their fields, rules, and how it ends.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::Write as _;

use super::Text;
use crate::explain::Hex;
use crate::explain::walk::{Asked, Ended, EntryRead, FieldRead, Rights, Walked};

impl Text {
    /// An access as the manual has it.
    pub(super) fn walk(&mut self, walk: &Walked) {
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
        let bits = |value: Hex| {
            let columns = 2 + 2 * entry.entry_bytes as usize;
            format!("{:#0columns$x}", value.0)
        };
        self.line(
            &format!("{number}. {:<6} ", entry.entry),
            &format!(
                "at {} + {} x {:#x} = {} holds {}: {}",
                entry.table,
                entry.entry_bytes,
                entry.index,
                entry.address,
                bits(entry.value),
                entry.meaning
            ),
        );
        let names = entry.fields.iter().map(|field| field.name.len());
        let name_columns = names.max().unwrap_or(0).max(8);
        for field in &entry.fields {
            let is_filler = matches!(field.name, "ignored" | "reserved");
            if !is_filler || field.value.0 != 0 {
                self.field(field, name_columns);
            }
        }
        if let Some(rights) = &entry.rights {
            self.line("   rights so far: ", &rights_text(rights));
        }
        if let Some(update) = &entry.update {
            self.line(
                "   then ",
                &format!(
                    "{} set by compare-and-set: {} becomes {}",
                    update.sets,
                    bits(update.expected),
                    bits(update.new)
                ),
            );
        }
        self.text.push('\n');
    }

    fn field(&mut self, field: &FieldRead, name_columns: usize) {
        let (bits, value) = if field.high_bit == field.low_bit {
            (field.low_bit.to_string(), field.value.0.to_string())
        } else {
            let bits = format!("{}:{}", field.high_bit, field.low_bit);
            (bits, field.value.to_string())
        };
        let wrong = if field.violation {
            " <- RESERVED HERE, AND SET"
        } else {
            ""
        };
        self.line(
            &format!("   {bits:>6}  {:<name_columns$}  {value:<14}  ", field.name),
            &format!("{}{wrong}", field.about),
        );
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
}

/// Who asks for what, in a line.
pub(super) fn asked(asked: &Asked) -> String {
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
