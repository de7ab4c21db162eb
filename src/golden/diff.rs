//! The difference of two texts, line by line, with a little of what stands around it.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::Write as _;

/// Lines around a change that are shown.
const CONTEXT_LINES: usize = 3;
/// Beyond this many lines in each text, what differs is shown as one block instead of being matched line by line.
const MATCHED_LINES: usize = 4_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Kept,
    Removed,
    Added,
}

/// The changes from `old` to `new`: lines that begin with `-` or `+`, between lines that are the same in both. Empty if they are equal.
pub fn lines(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
        (old.lines().collect(), new.lines().collect());
    let changes = script(&old_lines, &new_lines);
    if changes.iter().all(|(change, _)| *change == Change::Kept) {
        return "(they differ in line ends, or in the end of the last line)\n".to_owned();
    }
    render(&changes)
}

/// Every line of either text, in order, with what became of it.
fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Change, &'a str)> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - start;
    let end = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let (old_middle, new_middle) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let mut changes: Vec<_> = old[..start]
        .iter()
        .map(|line| (Change::Kept, *line))
        .collect();
    if old_middle.len() > MATCHED_LINES || new_middle.len() > MATCHED_LINES {
        changes.extend(old_middle.iter().map(|line| (Change::Removed, *line)));
        changes.extend(new_middle.iter().map(|line| (Change::Added, *line)));
    } else {
        match_lines(old_middle, new_middle, &mut changes);
    }
    changes.extend(
        old[old.len() - end..]
            .iter()
            .map(|line| (Change::Kept, *line)),
    );
    changes
}

/// Keeps a longest common subsequence.
fn match_lines<'a>(old: &[&'a str], new: &[&'a str], changes: &mut Vec<(Change, &'a str)>) {
    let width = new.len() + 1;
    // lengths[i * width + j]: of the longest common subsequence of old[i..] and new[j..].
    let mut lengths = vec![0u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            changes.push((Change::Kept, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
        {
            changes.push((Change::Removed, old[i]));
            i += 1;
        } else {
            changes.push((Change::Added, new[j]));
            j += 1;
        }
    }
}

fn render(changes: &[(Change, &str)]) -> String {
    let near = |index: usize| {
        let from = index.saturating_sub(CONTEXT_LINES);
        let to = (index + CONTEXT_LINES + 1).min(changes.len());
        changes[from..to]
            .iter()
            .any(|(change, _)| *change != Change::Kept)
    };
    let mut text = String::new();
    let mut gap = false;
    for (index, (change, line)) in changes.iter().enumerate() {
        if !near(index) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push_str("  ...\n");
        }
        let sign = match change {
            Change::Kept => ' ',
            Change::Removed => '-',
            Change::Added => '+',
        };
        // Writing into a string does not fail.
        let _ = writeln!(text, "{sign} {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(lines("a\nb\n", "a\nb\n"), "");
        assert_ne!(lines("a\nb\n", "a\nb"), "");
    }

    #[test]
    fn a_change_is_shown_between_its_neighbours() {
        let old: String = (0..20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n10\n", "\nten\nand more\n");
        assert_eq!(
            lines(&old, &new),
            "  ...\n  7\n  8\n  9\n- 10\n+ ten\n+ and more\n  11\n  12\n  13\n"
        );
    }

    #[test]
    fn a_line_that_moves_keeps_the_others() {
        assert_eq!(lines("a\nb\nc\n", "b\nc\na\n"), "- a\n  b\n  c\n+ a\n");
    }
}
