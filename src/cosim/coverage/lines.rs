//! Lines, branches and bits of the RTL, put together from the points of all machines.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! What stands at one place of the source (file, line, column, kind and what it is) counts as one, whatever machine or instance it
//! ran in. A line is covered if everything that lists it ran; a line that no machine elaborates is not there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::points::{Kind, Points};
use super::waivers::{WaiverError, Waivers};

/// A source file: its name without a directory, and its text.
pub type Source<'a> = (&'a str, &'a str);

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many ran.
    pub covered: u64,
    /// How many there are.
    pub total: u64,
}

impl Share {
    /// In percent; of nothing all ran.
    pub fn percent(self) -> f64 {
        if self.total == 0 {
            return 100.0;
        }
        100.0 * self.covered as f64 / self.total as f64
    }

    fn count(&mut self, covered: bool) {
        self.total += 1;
        self.covered += u64::from(covered);
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.covered += other.covered;
    }
}

/// A line that did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Its number.
    pub line: u32,
    /// Its text, without the blanks around it.
    pub text: String,
    /// Why it cannot run, if that is known.
    pub waived: Option<String>,
}

/// What of a file ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileCoverage {
    /// Its name.
    pub file: String,
    /// Lines, those that are waived left out.
    pub lines: Share,
    /// Lines that are waived.
    pub waived: u64,
    /// Arms of branches, also those that are not written.
    pub branches: Share,
    /// Bits that changed.
    pub toggles: Share,
    /// The lines that did not run.
    pub gaps: Vec<Gap>,
    /// Why the file is left out of the sums, if it is.
    pub left_out: Option<String>,
}

/// What of the RTL ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RtlCoverage {
    /// Lines, those that are waived left out.
    pub lines: Share,
    /// Lines that are waived.
    pub waived: u64,
    /// Arms of branches.
    pub branches: Share,
    /// Bits.
    pub toggles: Share,
    /// File by file.
    pub files: Vec<FileCoverage>,
}

/// One place of the source: line, column, kind, what it is.
type Place<'a> = (u32, u32, Kind, &'a str);

/// What was counted of one file.
#[derive(Default)]
struct Counted<'a> {
    places: BTreeMap<Place<'a>, u64>,
    lines: BTreeMap<u32, BTreeSet<Place<'a>>>,
}

impl RtlCoverage {
    /// Puts the points together; `sources` are the files that were verilated. What is wrong with the waivers comes beside.
    pub fn new(
        points: &Points,
        sources: &[Source<'_>],
        waivers: &Waivers,
    ) -> (Self, Vec<WaiverError>) {
        let mut counted: BTreeMap<&str, Counted<'_>> = BTreeMap::new();
        for point in points.iter() {
            let name = point.file.rsplit('/').next().unwrap_or(point.file);
            if !sources.iter().any(|(source, _)| *source == name) {
                continue;
            }
            let file = counted.entry(name).or_default();
            let place = (point.line, point.column, point.kind, point.comment);
            *file.places.entry(place).or_default() += point.count;
            for line in point.source_lines() {
                file.lines.entry(line).or_default().insert(place);
            }
        }
        let (waived, mut errors) = waived_lines(sources, waivers);
        let mut rtl = Self::default();
        for (name, counted) in counted {
            let text = sources.iter().find(|(source, _)| *source == name);
            let file = file_coverage(
                name,
                text.map_or("", |(_, text)| text),
                &counted,
                waivers,
                &waived,
                &mut errors,
            );
            if file.left_out.is_none() {
                rtl.lines.add(file.lines);
                rtl.branches.add(file.branches);
                rtl.toggles.add(file.toggles);
                rtl.waived += file.waived;
            }
            rtl.files.push(file);
        }
        (rtl, errors)
    }
}

/// (file, line) of each waiver with its reason, and the waivers that match none.
fn waived_lines<'a>(
    sources: &[Source<'_>],
    waivers: &'a Waivers,
) -> (BTreeMap<(&'a str, u32), &'a str>, Vec<WaiverError>) {
    let mut waived = BTreeMap::new();
    let mut errors = Vec::new();
    for waiver in &waivers.line {
        let source = sources.iter().find(|(name, _)| *name == waiver.file);
        match waiver.find(source.map(|(_, text)| *text)) {
            Ok(line) => {
                waived.insert((waiver.file.as_str(), line), waiver.reason.as_str());
            }
            Err(error) => errors.push(error),
        }
    }
    (waived, errors)
}

fn file_coverage(
    name: &str,
    text: &str,
    counted: &Counted<'_>,
    waivers: &Waivers,
    waived: &BTreeMap<(&str, u32), &str>,
    errors: &mut Vec<WaiverError>,
) -> FileCoverage {
    let mut file = FileCoverage {
        file: name.to_owned(),
        left_out: waivers.left_out(name).map(str::to_owned),
        ..FileCoverage::default()
    };
    for ((_, _, kind, _), count) in &counted.places {
        match kind {
            Kind::Branch => file.branches.count(*count > 0),
            Kind::Toggle => file.toggles.count(*count > 0),
            Kind::Line | Kind::Other => {}
        }
    }
    let texts: Vec<&str> = text.lines().map(str::trim).collect();
    for (line, places) in &counted.lines {
        let ran = places.iter().all(|place| counted.places[place] > 0);
        let reason = waived.get(&(name, *line));
        let index = (*line as usize).checked_sub(1);
        let text = index.and_then(|at| texts.get(at)).copied().unwrap_or("");
        if ran && reason.is_some() {
            errors.push(WaiverError::Ran {
                file: name.to_owned(),
                line: *line,
                text: text.to_owned(),
            });
        }
        if !ran {
            file.gaps.push(Gap {
                line: *line,
                text: text.to_owned(),
                waived: reason.map(|reason| (*reason).to_owned()),
            });
        }
        if !ran && reason.is_some() {
            file.waived += 1;
        } else {
            file.lines.count(ran);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: [Source<'static>; 2] =
        [("a.sv", "one\n  two\nthree\n"), ("a_sva.sv", "assert\n")];

    fn point(
        file: &str,
        line: u32,
        column: u32,
        page: &str,
        comment: &str,
        lines: &str,
        count: u64,
    ) -> String {
        format!(
            "C '\u{1}f\u{2}x/{file}\u{1}l\u{2}{line}\u{1}n\u{2}{column}\u{1}page\u{2}{page}\u{1}o\u{2}{comment}\u{1}S\u{2}{lines}\u{1}h\u{2}T' {count}\n"
        )
    }

    fn points(two: u64) -> Points {
        let mut text = "# SystemC::Coverage-3\n".to_owned();
        text += &point("a.sv", 1, 1, "v_line/a__A1", "block", "1,3", 4);
        // Line 2 in two machines; it ran in one of them at most.
        text += &point("a.sv", 2, 3, "v_branch/a__A1", "if", "2", 0);
        text += &point("a.sv", 2, 3, "v_branch/a__A2", "if", "2", two);
        text += &point("a.sv", 2, 4, "v_branch/a__A1", "else", "", 1);
        text += &point("a.sv", 1, 9, "v_toggle/a__A1", "x[0]", "", 0);
        text += &point("a_sva.sv", 1, 1, "v_line/b", "block", "1", 0);
        text += &point("twinwalk_probe.sv", 1, 1, "v_line/b", "block", "1", 0);
        Points::parse(&text).expect("in the form")
    }

    fn waivers(text: &str) -> Waivers {
        let text = format!(
            "[[group]]\nsuffix = \"_sva.sv\"\nreason = \"checks\"\n[[line]]\nfile = \"a.sv\"\ntext = \"{text}\"\nreason = \"r\"\n"
        );
        Waivers::parse(&text).expect("in the form")
    }

    fn share(covered: u64, total: u64) -> Share {
        Share { covered, total }
    }

    #[test]
    fn a_line_that_ran_in_any_machine_counts_and_a_gap_is_shown_with_its_text() {
        let none = Waivers::default();
        let (rtl, errors) = RtlCoverage::new(&points(1), &SOURCES, &none);
        assert_eq!((rtl.lines, errors.len()), (share(3, 4), 0));
        let (rtl, _) = RtlCoverage::new(&points(0), &SOURCES[..1], &none);
        assert_eq!((rtl.lines, rtl.branches), (share(2, 3), share(1, 2)));
        assert_eq!(rtl.toggles, share(0, 1));
        assert_eq!(
            (
                rtl.files[0].gaps[0].line,
                rtl.files[0].gaps[0].text.as_str()
            ),
            (2, "two")
        );
    }

    #[test]
    fn a_waiver_takes_its_line_out_and_a_group_its_files() {
        let (rtl, errors) = RtlCoverage::new(&points(0), &SOURCES, &waivers("two"));
        assert_eq!((rtl.lines, rtl.waived), (share(2, 2), 1));
        assert_eq!(errors, []);
        assert_eq!(rtl.files[1].left_out.as_deref(), Some("checks"));
    }

    #[test]
    fn a_waiver_of_a_line_that_ran_or_that_is_gone_is_an_error() {
        let (_, errors) = RtlCoverage::new(&points(1), &SOURCES, &waivers("two"));
        assert!(matches!(
            errors.as_slice(),
            [WaiverError::Ran { line: 2, .. }]
        ));
        let (_, errors) = RtlCoverage::new(&points(0), &SOURCES, &waivers("four"));
        assert!(matches!(errors.as_slice(), [WaiverError::NoLine { .. }]));
    }
}
