//! What a folder of coverage says: as JSON, and as a table for a person.
//!
//! Contract: none. SDM: none. Counterpart: `docs/coverage.md`, which says how to read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::folder::{Coverage, CrossCoverage};
use super::lines::Share;
use super::sampler::ALL;

/// Holes of a cross that the table lists; the JSON has all.
const MOST_HOLES: usize = 200;

fn share(share: Share) -> Json {
    json!({
        "covered": share.covered,
        "total": share.total,
        "percent": (share.percent() * 100.0).round() / 100.0,
    })
}

/// The figures as the keys of `check --json`.
pub fn figures(coverage: &Coverage) -> Json {
    let crosses: serde_json::Map<String, Json> = coverage
        .crosses
        .iter()
        .map(|cross| (cross.name.to_owned(), share(cross.share())))
        .collect();
    json!({
        "lines": share(coverage.rtl.lines),
        "lines_waived": coverage.rtl.waived,
        "branches": share(coverage.rtl.branches),
        "toggles": share(coverage.rtl.toggles),
        "cells": share(coverage.cells()),
        "crosses": crosses,
        "runs": coverage.runs.len(),
        "impossible": coverage.impossible,
        "waivers": coverage.waivers,
    })
}

/// The text of `coverage.json`.
pub fn json(coverage: &Coverage) -> String {
    let mut cells: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let mut holes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut unreachable: BTreeMap<&str, &BTreeMap<String, u64>> = BTreeMap::new();
    for (cross, counted) in ALL.iter().zip(&coverage.crosses) {
        let reached = counted.counts.iter().enumerate();
        let named =
            reached.filter_map(|(index, count)| count.map(|count| (cross.cell_name(index), count)));
        cells.insert(cross.name, named.collect());
        holes.insert(cross.name, counted.holes(cross));
        unreachable.insert(cross.name, &counted.unreachable);
    }
    let object = json!({
        "figures": figures(coverage),
        "rtl_digest": coverage.rtl_digest,
        "runs": coverage.runs,
        "files": coverage.rtl.files,
        "holes": holes,
        "unreachable": unreachable,
        "cells": cells,
        "impossible": coverage.impossible,
    });
    format!("{object:#}\n")
}

fn percent(share: Share) -> String {
    if share.total == 0 {
        "-".to_owned()
    } else {
        format!(
            "{:.2} % ({} of {})",
            share.percent(),
            share.covered,
            share.total
        )
    }
}

/// The lines of the summary for a person.
pub fn summary(coverage: &Coverage) -> String {
    let mut text = String::new();
    let mut say = |name: &str, share: Share, more: &str| {
        // Writing into a string does not fail.
        let _ = writeln!(text, "coverage of {name}: {}{more}", percent(share));
    };
    let runs = format!("; {} runs in the folder", coverage.runs.len());
    let waived = format!(", {} waived{runs}", coverage.rtl.waived);
    say("RTL lines", coverage.rtl.lines, &waived);
    say("RTL branches", coverage.rtl.branches, "");
    say("RTL bits", coverage.rtl.toggles, "");
    say("cells that can be reached", coverage.cells(), "");
    for line in wrong(coverage) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// What fails a run.
pub fn wrong(coverage: &Coverage) -> Vec<String> {
    let impossible = coverage.impossible.iter();
    let impossible =
        impossible.map(|cell| format!("a cell that cannot be reached was reached: {cell}"));
    impossible.chain(coverage.waivers.iter().cloned()).collect()
}

/// The text of `coverage.md`.
pub fn markdown(coverage: &Coverage) -> String {
    let mut text = "# Coverage\n\nHow to read this: docs/coverage.md.\n\n".to_owned();
    text.push_str(
        "| machine | config hash | what | operations | cycles |\n| --- | --- | --- | --- | --- |\n",
    );
    for run in &coverage.runs {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            run.machine, run.config_hash, run.what, run.operations, run.cycles
        );
    }
    for line in wrong(coverage) {
        let _ = writeln!(text, "\n**{line}**");
    }
    rtl(coverage, &mut text);
    crosses(coverage, &mut text);
    text
}

fn rtl(coverage: &Coverage, text: &mut String) {
    text.push_str("\n## RTL\n\n| file | lines | waived | branches | bits |\n| --- | --- | --- | --- | --- |\n");
    let all = &coverage.rtl;
    let mut row = |name: &str, lines, waived: u64, branches, toggles| {
        let _ = writeln!(
            text,
            "| {name} | {} | {waived} | {} | {} |",
            percent(lines),
            percent(branches),
            percent(toggles)
        );
    };
    row("all", all.lines, all.waived, all.branches, all.toggles);
    for file in &all.files {
        let name = match &file.left_out {
            None => file.file.clone(),
            Some(reason) => format!("{} (left out: {reason})", file.file),
        };
        row(&name, file.lines, file.waived, file.branches, file.toggles);
    }
    text.push_str(
        "\n### Lines that did not run\n\n| file | line | text | waived |\n| --- | --- | --- | --- |\n",
    );
    for file in all.files.iter().filter(|file| file.left_out.is_none()) {
        for gap in &file.gaps {
            let _ = writeln!(
                text,
                "| {} | {} | `{}` | {} |",
                file.file,
                gap.line,
                gap.text.replace('|', "\\|"),
                gap.waived.as_deref().unwrap_or("")
            );
        }
    }
}

fn crosses(coverage: &Coverage, text: &mut String) {
    text.push_str("\n## Crosses\n\n| cross | cells | that can be reached | hit | holes |\n| --- | --- | --- | --- | --- |\n");
    for counted in &coverage.crosses {
        let share = counted.share();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            counted.name,
            counted.counts.len(),
            share.total,
            percent(share),
            share.total - share.covered
        );
    }
    for (cross, counted) in ALL.iter().zip(&coverage.crosses) {
        one_cross(cross.axes.iter().map(|axis| axis.name), counted, text);
        let holes = counted.holes(cross);
        for hole in holes.iter().take(MOST_HOLES) {
            let _ = writeln!(text, "* {hole}");
        }
        if holes.len() > MOST_HOLES {
            let _ = writeln!(
                text,
                "* and {} more (coverage.json)",
                holes.len() - MOST_HOLES
            );
        }
    }
}

fn one_cross<'a>(axes: impl Iterator<Item = &'a str>, counted: &CrossCoverage, text: &mut String) {
    let axes: Vec<&str> = axes.collect();
    let _ = writeln!(
        text,
        "\n### {}\n\n{}. Axes: {}.\n\nCells that no machine of these runs reaches:\n",
        counted.name,
        counted.about,
        axes.join(", ")
    );
    for (reason, cells) in &counted.unreachable {
        let _ = writeln!(text, "* {cells}: {reason}");
    }
    text.push_str("\nHoles:\n\n");
}
