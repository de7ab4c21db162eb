//! A mismatch for a person who checks it by hand: the access, and each entry decoded, before, expected and got.
//!
//! Contract: none. SDM vol. 3A, 4.5 (formats of the entries). Counterpart: `crate::arch::fields`, which has the fields.

use std::fmt::Write as _;

use super::implementation::Answer;
use super::judge::{Difference, compared};
use super::suite::Finding;
use super::vector::{Case, Listed, PAGE_FAULT};
use crate::arch::fields::{EntryKind, Role};
use crate::arch::{Entry, EntryRules, EntrySlot, Level, PageFaultCode, PagingMode};

/// The lines of `finding` on the implementation `name`; the last one ends with a newline.
pub fn show(finding: &Finding, name: &str) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, finding, name);
    out
}

fn write(out: &mut String, finding: &Finding, name: &str) -> std::fmt::Result {
    let Finding {
        file,
        case,
        mismatch,
        fails_alone,
    } = finding;
    let at = mismatch.step.map_or(String::new(), |step| {
        format!(", step {} of {}", step + 1, case.steps.len())
    });
    writeln!(
        out,
        "{name}: {file}, line {}: {}{at}",
        case.line,
        case.id.escape_default()
    )?;
    let step = mismatch.step.and_then(|index| case.steps.get(index));
    if let Some(step) = step {
        writeln!(
            out,
            "  access     {} of {:#x}, CPL {}, AC {}",
            step.access.kind,
            step.va,
            step.access.cpl,
            u8::from(step.access.ac)
        )?;
    }
    writeln!(out, "  machine    {}", machine(case))?;
    if let Some(failure) = &mismatch.failure {
        writeln!(out, "  failure    {failure}")?;
    }
    if let Some((address, value)) = mismatch.stray {
        writeln!(
            out,
            "  memory     the cell at {address:#x}, which the case does not list, holds {value:#x}"
        )?;
    }
    if !fails_alone {
        writeln!(
            out,
            "  note       from reset the case holds: something is left over from the cases before it"
        )?;
    }
    if let (Some(step), Some(observed)) = (step, &mismatch.observed) {
        for difference in &mismatch.differences {
            let (want, got) = match difference {
                Difference::Entry(_) => continue,
                _ => (
                    value(difference, &step.expected),
                    value(difference, &observed.answer),
                ),
            };
            writeln!(
                out,
                "  {:<9}  expected {want}, got {got}",
                difference.field()
            )?;
        }
        for (index, entry) in case.entries.iter().enumerate() {
            let values = Values {
                before: before(case, mismatch.step, index),
                expected: step.after.get(index).copied().unwrap_or_default(),
                got: observed.after.get(index).copied().unwrap_or_default(),
            };
            write_entry(out, case, entry, &values, compared(case, index))?;
        }
    }
    Ok(())
}

/// The entry before the step, as the vector has it.
fn before(case: &Case, step: Option<usize>, index: usize) -> u64 {
    let earlier = step
        .and_then(|step| step.checked_sub(1))
        .and_then(|step| case.steps.get(step))
        .and_then(|step| step.after.get(index));
    let at_first = || case.entries.get(index).map(|entry| &entry.value);
    earlier.or_else(at_first).copied().unwrap_or_default()
}

fn machine(case: &Case) -> String {
    let registers = &case.registers;
    let bits = [
        ("WP", registers.wp()),
        ("NXE", registers.nxe()),
        ("SMEP", registers.smep()),
        ("SMAP", registers.smap()),
        ("PKE", registers.pke()),
        ("PGE", registers.pge()),
    ];
    let set: Vec<_> = bits
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| *name)
        .collect();
    format!(
        "MAXPHYADDR {}, {} levels, CR3 {:#x}, {}; PKRU {:#x}{}",
        case.capabilities.maxphyaddr.bits(),
        case.levels(),
        registers.cr3(),
        if set.is_empty() {
            "no bit of CR0, CR4, EFER beyond paging".to_owned()
        } else {
            set.join(" ")
        },
        case.pkru,
        if registers.pke() {
            ""
        } else {
            ", without effect"
        }
    )
}

/// What `answer` has in the field of `difference`.
pub fn value(difference: &Difference, answer: &Answer) -> String {
    let hex = |value: Option<u64>| value.map_or("null".to_owned(), |value| format!("{value:#x}"));
    match difference {
        Difference::Vector => match (answer, answer.vec()) {
            (Answer::BusError, _) => "a bus error".to_owned(),
            (_, None) => "null".to_owned(),
            (_, Some(PAGE_FAULT)) => "14 (#PF)".to_owned(),
            (_, Some(other)) => format!("{other} (#GP)"),
        },
        Difference::ErrorCode => match (answer, answer.ec_sdm()) {
            (_, None) => "null".to_owned(),
            (Answer::PageFault { .. }, Some(code)) => PageFaultCode(code).to_string(),
            (_, Some(code)) => code.to_string(),
        },
        Difference::Cr2 => hex(answer.cr2()),
        Difference::PhysicalAddress => hex(answer.pa()),
        Difference::Entry(_) => String::new(),
    }
}

struct Values {
    before: u64,
    expected: u64,
    got: u64,
}

fn write_entry(
    out: &mut String,
    case: &Case,
    entry: &Listed,
    values: &Values,
    mask: u64,
) -> std::fmt::Result {
    let nxe = case.registers.nxe();
    let rules = case.registers.entry_rules(&case.capabilities);
    let kind = kind(case.registers.paging_mode(), entry.level, values, &rules);
    let present = |value: u64| Entry(value).present();
    writeln!(
        out,
        "  {} at {:#x}{}",
        kind.map_or(entry.level.entry_name(), EntryKind::name),
        entry.address,
        if present(values.before) {
            ""
        } else {
            ", not present"
        }
    )?;
    let all = [values.before, values.expected, values.got];
    let columns = all.map(|value| format!("{value:#x}"));
    let row = |out: &mut String, left: &str, columns: &[String; 3], note: &str| {
        let [before, expected, got] = columns;
        let line = format!("    {left:<16} {before:<18}  {expected:<18}  {got:<18}  {note}");
        writeln!(out, "{}", line.trim_end())
    };
    let heads = ["before", "expected", "got"].map(str::to_owned);
    row(out, "bits   field", &heads, "")?;
    let differs = |bits: u64| match (values.expected ^ values.got) & bits {
        0 => "",
        bits if bits & mask == 0 => "differs, and is not compared (quirk a_1g_fault)",
        _ => "<- differs",
    };
    let all_bits = match entry.slot {
        EntrySlot::Whole => "63:0",
        EntrySlot::Low | EntrySlot::High => "31:0",
    };
    row(out, all_bits, &columns, differs(u64::MAX))?;
    for field in kind.map_or(&[][..], EntryKind::fields).iter().rev() {
        let places = match field.high == field.low {
            true => field.low.to_string(),
            false => format!("{}:{}", field.high, field.low),
        };
        let shown = all.map(|value| {
            let in_place = value & field.mask();
            match (field.role, field.high == field.low) {
                (Role::Address, _) => format!("{in_place:#x}"),
                (Role::HighAddress, _) => format!("{:#x}", in_place >> field.low << 32),
                (_, true) => (in_place >> field.low).to_string(),
                (_, false) => format!("{:#x}", in_place >> field.low),
            }
        });
        let reserved = field.reserved_mask(&case.capabilities, nxe) & values.before;
        let note = match (differs(field.mask()), reserved) {
            ("", 0) => "",
            ("", _) => "reserved here, and set",
            (differs, _) => differs,
        };
        row(out, &format!("{places:<6} {}", field.name), &shown, note)?;
    }
    Ok(())
}

/// The kind by which the three values are decoded; of an entry that is never present, that of a table, and of a PTE a page's.
fn kind(mode: PagingMode, level: Level, values: &Values, rules: &EntryRules) -> Option<EntryKind> {
    let of = |value: u64| {
        let entry = Entry(value);
        entry
            .present()
            .then(|| EntryKind::of(mode, level, rules.is_leaf(level, entry)))
            .flatten()
    };
    of(values.before)
        .or_else(|| of(values.expected))
        .or_else(|| of(values.got))
        .or_else(|| EntryKind::of(mode, level, level == Level::Pt))
}
