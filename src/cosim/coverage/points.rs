//! Verilator's coverage counts: read, added over runs and machines, and written in the same form, which `verilator_coverage` reads too.
//!
//! Contract: none. SDM: none. Counterpart: `verilated_cov.cpp` of Verilator, which writes a machine's counts.
//!
//! A file is a line of header and one line for each point: `C 'KEY' COUNT`. A key is made of fields, each of them `\x01NAME\x02VALUE`:
//! `f` the file, `l` the line, `n` the column, `page` the kind and the module (`v_line/tlb__Az4`), `o` what it is (`if`, `else`, `block`,
//! or the signal of a toggle), `S` the lines that run when it does (`28,30-32`), `h` the place in the hierarchy. Keys of two machines
//! differ in module names and places, since these carry parameters; so merged counts keep each key, and [`super::lines`] puts
//! together what is of one place of the source.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The first line of a file.
const HEADER: &str = "# SystemC::Coverage-3";

/// Counts by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Points {
    counts: BTreeMap<String, u64>,
}

/// Why a file of counts is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PointsError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// What a point counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A block of statements, or an arm of a case.
    Line,
    /// An arm of an `if`, also one that is not written.
    Branch,
    /// A bit that changes.
    Toggle,
    /// A property, or what a later Verilator adds.
    Other,
}

/// A point: the fields of its key, and its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point<'a> {
    /// The file, as Verilator was given it.
    pub file: &'a str,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// What it counts.
    pub kind: Kind,
    /// What it is.
    pub comment: &'a str,
    /// The lines that run when it does, as in `28,30-32`; empty where it has none of its own.
    pub lines: &'a str,
    /// How often.
    pub count: u64,
}

impl Point<'_> {
    /// The lines that run when it does.
    pub fn source_lines(&self) -> Vec<u32> {
        let mut lines = Vec::new();
        for part in self.lines.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
                // No source has more lines; a damaged number must not fill memory.
                lines.extend(first..=last.min(first.saturating_add(100_000)));
            }
        }
        lines
    }
}

impl Points {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not in Verilator's form; the line is named.
    pub fn parse(text: &str) -> Result<Self, PointsError> {
        let mut points = Self::default();
        for (index, line) in text.lines().enumerate() {
            let refuse = |what| PointsError {
                line: index + 1,
                what,
            };
            if index == 0 {
                if line != HEADER {
                    return Err(refuse("a file of counts begins with # SystemC::Coverage-3"));
                }
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, count) = line
                .strip_prefix("C '")
                .and_then(|rest| rest.rsplit_once("' "))
                .ok_or_else(|| refuse("a point is C 'KEY' COUNT"))?;
            let count: u64 = count
                .trim()
                .parse()
                .map_err(|_| refuse("the count is not a number"))?;
            if point(key, count).is_none() {
                return Err(refuse("the key has no file or no line"));
            }
            let total = points.counts.entry(key.to_owned()).or_default();
            *total = total.saturating_add(count);
        }
        if text.is_empty() {
            return Err(PointsError {
                line: 1,
                what: "the file is empty",
            });
        }
        Ok(points)
    }

    /// Adds the counts of another run or machine.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            match self.counts.get_mut(key) {
                Some(total) => *total = total.saturating_add(*count),
                None => {
                    self.counts.insert(key.clone(), *count);
                }
            }
        }
    }

    /// The text of a file, in the order of the keys.
    pub fn text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for (key, count) in &self.counts {
            // Writing into a string does not fail.
            let _ = writeln!(text, "C '{key}' {count}");
        }
        text
    }

    /// Each point, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = Point<'_>> {
        self.counts
            .iter()
            .filter_map(|(key, count)| point(key, *count))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// The fields of a key; `None` if file or line are missing.
fn point(key: &str, count: u64) -> Option<Point<'_>> {
    let field = |name: &str| {
        key.split('\u{1}').find_map(|field| {
            let (found, value) = field.split_once('\u{2}')?;
            (found == name).then_some(value)
        })
    };
    let kind = match field("page").unwrap_or("").split('/').next() {
        Some("v_line") => Kind::Line,
        Some("v_branch") => Kind::Branch,
        Some("v_toggle") => Kind::Toggle,
        _ => Kind::Other,
    };
    Some(Point {
        file: field("f")?,
        line: field("l")?.parse().ok()?,
        column: field("n")
            .and_then(|column| column.parse().ok())
            .unwrap_or(0),
        kind,
        comment: field("o").unwrap_or(""),
        lines: field("S").unwrap_or(""),
        count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Verilator 5.006 writes them.
    const TEXT: &str = "# SystemC::Coverage-3\n\
        C '\u{1}f\u{2}arbiter.sv\u{1}l\u{2}28\u{1}n\u{2}3\u{1}page\u{2}v_line/arbiter__C2\u{1}o\u{2}block\u{1}S\u{2}28,30-32\u{1}h\u{2}TOP.mmu.u_a' 7\n\
        C '\u{1}f\u{2}mmu.sv\u{1}l\u{2}129\u{1}n\u{2}25\u{1}page\u{2}v_toggle/mmu\u{1}o\u{2}va_i[0][3]\u{1}h\u{2}TOP.mmu' 0\n\
        C '\u{1}f\u{2}tlb.sv\u{1}l\u{2}228\u{1}n\u{2}10\u{1}page\u{2}v_branch/tlb__Az4\u{1}o\u{2}else\u{1}h\u{2}TOP.mmu.u_b' 1\n";

    #[test]
    fn a_file_is_read_and_written_without_a_change() {
        let points = Points::parse(TEXT).expect("in the form");
        assert_eq!(points.text(), TEXT);
        let read: Vec<_> = points.iter().collect();
        assert_eq!(read.len(), 3);
        assert_eq!(
            (read[0].file, read[0].line, read[0].column, read[0].kind),
            ("arbiter.sv", 28, 3, Kind::Line)
        );
        assert_eq!(read[0].source_lines(), [28, 30, 31, 32]);
        assert_eq!(
            (read[1].kind, read[1].comment),
            (Kind::Toggle, "va_i[0][3]")
        );
        assert_eq!((read[2].kind, read[2].count), (Kind::Branch, 1));
        assert_eq!(read[2].source_lines(), [0u32; 0]);
    }

    #[test]
    fn counts_of_one_key_add_up_and_those_of_two_machines_stand_beside_each_other() {
        let mut points = Points::parse(TEXT).expect("in the form");
        let other = TEXT.replace("arbiter__C2", "arbiter__C3");
        points.add(&Points::parse(&other).expect("in the form"));
        let counts: Vec<u64> = points.iter().map(|point| point.count).collect();
        assert_eq!(counts, [7, 7, 0, 2]);
        points.add(&Points::parse(TEXT).expect("in the form"));
        let counts: Vec<u64> = points.iter().map(|point| point.count).collect();
        assert_eq!(counts, [14, 7, 0, 3]);
    }

    #[test]
    fn what_is_not_in_the_form_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("something\n", 1),
            ("# SystemC::Coverage-3\nD 'x' 1\n", 2),
            (
                "# SystemC::Coverage-3\n\nC '\u{1}f\u{2}a\u{1}l\u{2}1' many\n",
                3,
            ),
            ("# SystemC::Coverage-3\nC '\u{1}f\u{2}a' 1\n", 2),
        ] {
            assert_eq!(Points::parse(text).map_err(|error| error.line), Err(line));
        }
    }
}
