//! An [account](Account) of a refused response in words: one sentence, and lines for a report.
//!
//! Contract: none. SDM vol. 3A, 4.10. Counterpart: none.

use std::fmt::Write as _;

use super::events::EntryBits;
use crate::arch::{Decoded, Invalidation, Level};
use crate::reference::account::{Account, EntryAccount, Outdated, Removal};
use crate::reference::finding::InvalidationKind;
use crate::reference::history::NOW;
use crate::reference::payload::describe;

/// Older values of an entry that a report shows.
const MOST_OLDER: usize = 3;
/// Legal outcomes that a sentence names.
const MOST_LEGAL: usize = 3;

/// An account in words. `unit` is what time is counted in, `cycle` or `event`.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// The account.
    pub account: &'a Account,
    /// What time is counted in.
    pub unit: &'a str,
}

impl Words<'_> {
    /// Why the response is refused, in one sentence without a full stop.
    pub fn reason(&self) -> String {
        let Self { account, unit } = *self;
        if account.entries.is_empty() && account.now.resp_status != account.response.resp_status {
            return "no entry has a say in it: paging is off, or the address is not canonical"
                .to_owned();
        }
        if account.now == account.response {
            let write = account.request.access.is_write();
            let lacks = |entry: &&EntryAccount| {
                let is_leaf = matches!(entry.decoded, Decoded::Leaf(_));
                !entry.now.accessed() || write && is_leaf && !entry.now.dirty()
            };
            return match account.entries.iter().find(lacks) {
                Some(entry) => format!(
                    "the {} at {:#x} has {} clear: nobody may translate by it before that is set in memory",
                    entry.level.entry_name(),
                    entry.address,
                    if entry.now.accessed() { "D" } else { "A" }
                ),
                None => "memory says the same by now, but did not when it was answered".to_owned(),
            };
        }
        match (account.once_legal, account.outdated.first()) {
            (true, Some(old)) => {
                let place = place(old);
                let mut text = format!(
                    "it follows from the value {:#x} of {place}, which stood until {unit} {} only",
                    old.value, old.last_cycle
                );
                let covers = |removal: &&Removal| removal.effective_cycle > old.last_cycle;
                if let Some(removal) = account.covering.iter().find(covers) {
                    let (what, done) = (removal_name(removal), removal.completed_cycle);
                    // Writing into a string does not fail.
                    let _ = write!(
                        text,
                        "; {what}, complete in {unit} {done}, covers the page, and the request came after it"
                    );
                }
                text
            }
            (true, None) => {
                "it follows from values that memory held, but not from a combination that may be cached together".to_owned()
            }
            (false, _) => "it follows from no values that memory is known to have held".to_owned(),
        }
    }

    /// The outcomes that are legal, that of memory as it stands first.
    pub fn legal(&self) -> String {
        if self.account.now == self.account.response && !self.account.entries.is_empty() {
            return format!(
                "{}, when A, and for a write D, have been set",
                describe(&self.account.now)
            );
        }
        let others = self.account.legal.iter().map(describe);
        let mut all = vec![describe(&self.account.now)];
        for other in others {
            if !all.contains(&other) {
                all.push(other);
            }
        }
        let more = all.len().saturating_sub(MOST_LEGAL);
        all.truncate(MOST_LEGAL);
        let mut text = all.join("; or ");
        if more > 0 {
            let _ = write!(text, "; or {more} more");
        }
        text
    }

    /// The whole in one sentence: who asked, what came, why that is wrong, and what was legal.
    pub fn sentence(&self) -> String {
        let request = &self.account.request;
        format!(
            "{} of {:#x} by CPL {}, accepted in {} {}: {} is not legal: {}; legal: {}",
            request.access.kind,
            request.va,
            request.access.cpl,
            self.unit,
            request.accepted_cycle,
            describe(&self.account.response),
            self.reason(),
            self.legal(),
        )
    }

    /// The walk of memory as it stands, a line for each entry, and one for each older value that is legal there.
    pub fn walk(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in &self.account.entries {
            let name = entry.level.entry_name();
            lines.push(format!(
                "{name:<5} at {:#x} holds {}{}",
                entry.address,
                EntryBits(entry.now.raw()),
                meaning(entry)
            ));
            for old in entry.older.iter().take(MOST_OLDER) {
                let until = if old.last == NOW {
                    "and may be seen still".to_owned()
                } else {
                    format!("until {} {}", self.unit, old.last)
                };
                lines.push(format!("      or legally {} {until}", EntryBits(old.value)));
            }
            let more = entry.older.len().saturating_sub(MOST_OLDER);
            if more > 0 {
                lines.push(format!("      or {more} older values, legally"));
            }
        }
        lines.push(format!("which gives: {}", describe(&self.account.now)));
        lines
    }

    /// The values that explain the response and are too old, a line each.
    pub fn outdated(&self) -> Vec<String> {
        let line = |old: &Outdated| {
            let value = EntryBits(old.value);
            format!(
                "{} = {value}, until {} {}",
                place(old),
                self.unit,
                old.last_cycle
            )
        };
        self.account.outdated.iter().map(line).collect()
    }

    /// The last invalidations that cover the page, a line each.
    pub fn covering(&self) -> Vec<String> {
        let unit = self.unit;
        let line = |removal: &Removal| {
            let globals = match removal.invalidation {
                Invalidation::Page { pcid, .. } if pcid != self.account.pcid => {
                    " (of global pages)"
                }
                _ => "",
            };
            format!(
                "{}{globals}: nothing older than {unit} {}, for requests from {unit} {} on",
                removal_name(removal),
                removal.effective_cycle,
                removal.completed_cycle
            )
        };
        self.account.covering.iter().map(line).collect()
    }
}

fn place(old: &Outdated) -> String {
    match old.level {
        Some(level) => format!("the {} at {:#x}", level.entry_name(), old.address),
        None => "CR3".to_owned(),
    }
}

fn meaning(entry: &EntryAccount) -> String {
    match entry.decoded {
        Decoded::NotPresent => ", not present".to_owned(),
        Decoded::Reserved { bits } => format!(", reserved bits {bits:#x} are set"),
        Decoded::Table => {
            let below = entry.level.below().map_or("table", Level::table_name);
            format!(", {below} at {:#x}", entry.now.table().raw())
        }
        Decoded::Leaf(size) => format!(
            ", a page of {} at {:#x}",
            size.name(),
            entry.now.frame(size).raw()
        ),
    }
}

/// What removed something, as an assembler or a manual writes it.
fn removal_name(removal: &Removal) -> String {
    let what = match removal.kind {
        InvalidationKind::MovCr0 => "MOV CR0",
        InvalidationKind::MovCr3 => "MOV CR3",
        InvalidationKind::MovCr4 => "MOV CR4",
        InvalidationKind::WrmsrEfer => "WRMSR EFER",
        InvalidationKind::Invlpg => "INVLPG",
        InvalidationKind::InvpcidAddress => "INVPCID type 0",
        InvalidationKind::InvpcidContext => "INVPCID type 1",
        InvalidationKind::InvpcidAll => "INVPCID type 2",
        InvalidationKind::InvpcidAllButGlobals => "INVPCID type 3",
        InvalidationKind::PageFault => "a page fault",
    };
    match removal.invalidation {
        Invalidation::Page { va, pcid, .. } => {
            format!("{what} of {:#x} in PCID {:#x}", va.raw(), pcid.raw())
        }
        Invalidation::Context { pcid, .. } => format!("{what} of PCID {:#x}", pcid.raw()),
        _ => what.to_owned(),
    }
}
