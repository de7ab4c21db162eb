//! A folder of coverage: what runs have added to it, read, added to, and written whole.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! `coverage.dat` has the points in Verilator's form, `coverage.json` all figures and the counts of the cells, `coverage.md` the table for
//! a person. Each is written beside its place and renamed. Runs of other machines and seeds add to what is there; a line or a
//! cell counts if it occurred in any of them. A lock keeps two runs from adding at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cells::{Cross, Impossible, impossible};
use super::collect::Counted;
use super::lines::{RtlCoverage, Share, Source};
use super::page;
use super::points::Points;
use super::sampler::ALL;
use super::waivers::{WaiverError, Waivers};
use crate::config::Config;

const POINTS: &str = "coverage.dat";
const FIGURES: &str = "coverage.json";
const TABLE: &str = "coverage.md";
const LOCK: &str = ".lock";

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it was not written by this program.
    #[error("{path}: {reason}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is about other RTL, or was written by another version.
    #[error("{path}: what is there is {what}, and cannot be added to")]
    Other {
        /// The file.
        path: String,
        /// What it is of.
        what: &'static str,
    },
}

/// A run that added to a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The name of the machine.
    pub machine: String,
    /// Its configuration.
    pub config_hash: String,
    /// What was run.
    pub what: String,
    /// Operations.
    pub operations: u64,
    /// Cycles.
    pub cycles: u64,
}

/// A cross, over all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossCoverage {
    /// The cross.
    pub name: &'static str,
    /// What it crosses.
    pub about: &'static str,
    /// Of each cell how often it occurred; `None`: no machine can reach it.
    pub counts: Vec<Option<u64>>,
    /// Cells that no machine reaches, by reason.
    pub unreachable: BTreeMap<String, u64>,
}

impl CrossCoverage {
    /// Of the cells that can be reached, those that were.
    pub fn share(&self) -> Share {
        let reachable = self.counts.iter().flatten();
        Share {
            covered: reachable.clone().filter(|count| **count > 0).count() as u64,
            total: reachable.count() as u64,
        }
    }

    /// The cells that can be reached and were not.
    pub fn holes(&self, cross: &Cross) -> Vec<String> {
        let cells = self.counts.iter().enumerate();
        cells
            .filter(|(_, count)| **count == Some(0))
            .map(|(index, _)| cross.cell_name(index))
            .collect()
    }
}

/// All that a folder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The digest of the RTL; empty where none ran.
    pub rtl_digest: String,
    /// The runs, in the order in which they were added.
    pub runs: Vec<Run>,
    /// Lines, branches, bits.
    pub rtl: RtlCoverage,
    /// The crosses, in the order of [`ALL`].
    pub crosses: Vec<CrossCoverage>,
    /// Cells that occurred and cannot.
    pub impossible: Vec<String>,
    /// What is wrong with the waivers.
    pub waivers: Vec<String>,
}

impl Coverage {
    /// Of the cells of all crosses that can be reached, those that were.
    pub fn cells(&self) -> Share {
        let mut all = Share::default();
        for share in self.crosses.iter().map(CrossCoverage::share) {
            all.covered += share.covered;
            all.total += share.total;
        }
        all
    }
}

/// The part of `coverage.json` that is read again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    rtl_digest: String,
    runs: Vec<Run>,
    /// By cross, cells that can be reached, with their counts.
    cells: BTreeMap<String, BTreeMap<String, u64>>,
    impossible: Vec<String>,
}

/// A folder that is being added to; others wait until it is dropped.
#[derive(Debug)]
pub struct Folder {
    directory: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder, if it is not there, and waits until nobody else adds to it.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn open(directory: &Path) -> Result<Self, FolderError> {
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| FolderError::Io { path, source }
        };
        fs::create_dir_all(directory).map_err(io(directory))?;
        let path = directory.join(LOCK);
        let lock = File::create(&path).map_err(io(&path))?;
        lock.lock().map_err(io(&path))?;
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// Adds a run on a machine to what is there, and writes all of it.
    ///
    /// # Errors
    /// What is there cannot be read or added to, or the folder cannot be written.
    pub fn add(
        &self,
        config: &Config,
        run: Run,
        counted: &Counted,
        sources: &[Source<'_>],
        waivers: &Waivers,
    ) -> Result<Coverage, FolderError> {
        let mut points = match self.read(POINTS)? {
            None => Points::default(),
            Some(text) => {
                Points::parse(&text).map_err(|error| self.form(POINTS, error.to_string()))?
            }
        };
        points.add(&counted.points);
        let mut stored: Stored = match self.read(FIGURES)? {
            None => Stored::default(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| self.form(FIGURES, error.to_string()))?,
        };
        let digest = digest(sources);
        if !stored.rtl_digest.is_empty() && !digest.is_empty() && stored.rtl_digest != digest {
            return Err(self.other("of other RTL"));
        }
        let crosses = self.crosses(config, counted, &stored)?;
        stored
            .impossible
            .extend(impossible(&ALL, config, &counted.cells).iter().map(said));
        stored.runs.push(run);
        let (rtl, wrong) = if points.is_empty() {
            (RtlCoverage::default(), Vec::new())
        } else {
            RtlCoverage::new(&points, sources, waivers)
        };
        let coverage = Coverage {
            rtl_digest: if digest.is_empty() {
                stored.rtl_digest
            } else {
                digest
            },
            runs: stored.runs,
            rtl,
            crosses,
            impossible: stored.impossible,
            waivers: wrong.iter().map(WaiverError::to_string).collect(),
        };
        self.write(POINTS, &points.text())?;
        self.write(FIGURES, &page::json(&coverage))?;
        self.write(TABLE, &page::markdown(&coverage))?;
        Ok(coverage)
    }

    /// The crosses with what this run counted and what is stored.
    fn crosses(
        &self,
        config: &Config,
        counted: &Counted,
        stored: &Stored,
    ) -> Result<Vec<CrossCoverage>, FolderError> {
        let mut crosses = Vec::new();
        for (number, cross) in ALL.iter().enumerate() {
            let empty = BTreeMap::new();
            let known = stored.cells.get(cross.name).unwrap_or(&empty);
            let mut read = 0;
            let mut unreachable = BTreeMap::new();
            let mut counts = Vec::with_capacity(cross.cells());
            for (index, count) in counted.cells.of(number).iter().enumerate() {
                let before = known.get(&cross.cell_name(index));
                read += usize::from(before.is_some());
                let why = cross.why_unreachable(config, index);
                counts.push(match (why, before) {
                    (Some(reason), None) => {
                        *unreachable.entry(reason.to_owned()).or_default() += 1;
                        None
                    }
                    (_, before) => Some(before.unwrap_or(&0).saturating_add(*count)),
                });
            }
            if read != known.len() {
                return Err(self.other("of another version of the crosses"));
            }
            crosses.push(CrossCoverage {
                name: cross.name,
                about: cross.about,
                counts,
                unreachable,
            });
        }
        Ok(crosses)
    }

    fn read(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.directory.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io {
                path: path.display().to_string(),
                source,
            }),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), FolderError> {
        let path = self.directory.join(name);
        let io = |source| FolderError::Io {
            path: path.display().to_string(),
            source,
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).map_err(io)?;
        file.write_all(text.as_bytes()).map_err(io)?;
        file.persist(&path).map_err(|error| io(error.error))?;
        Ok(())
    }

    fn form(&self, name: &str, reason: String) -> FolderError {
        FolderError::Form {
            path: self.directory.join(name).display().to_string(),
            reason,
        }
    }

    fn other(&self, what: &'static str) -> FolderError {
        FolderError::Other {
            path: self.directory.join(FIGURES).display().to_string(),
            what,
        }
    }
}

fn said(impossible: &Impossible) -> String {
    let Impossible {
        cross,
        cell,
        count,
        reason,
    } = impossible;
    format!("{cross}: {cell}: {count} times, although: {reason}")
}

/// A digest of the RTL; empty of none.
fn digest(sources: &[Source<'_>]) -> String {
    if sources.is_empty() {
        return String::new();
    }
    let mut hasher = blake3::Hasher::new();
    for (name, text) in sources {
        for part in [name, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: [Source<'static>; 1] = [("a.sv", "one\ntwo\n")];

    fn run(name: &str) -> Run {
        Run {
            machine: name.to_owned(),
            config_hash: "0".to_owned(),
            what: "seed 1".to_owned(),
            operations: 1,
            cycles: 2,
        }
    }

    fn counted(line: u32, cell: &[usize]) -> Counted {
        let mut counted = Counted::nothing();
        let text = format!(
            "# SystemC::Coverage-3\n\
             C '\u{1}f\u{2}a.sv\u{1}l\u{2}1\u{1}n\u{2}1\u{1}page\u{2}v_line/a\u{1}o\u{2}block\u{1}S\u{2}1\u{1}h\u{2}T' {}\n\
             C '\u{1}f\u{2}a.sv\u{1}l\u{2}2\u{1}n\u{2}1\u{1}page\u{2}v_line/a\u{1}o\u{2}block\u{1}S\u{2}2\u{1}h\u{2}T' {}\n",
            u32::from(line == 1),
            u32::from(line == 2),
        );
        counted.points = Points::parse(&text).expect("in the form");
        counted.cells.hit(0, ALL[0].index(cell));
        counted
    }

    /// A user's read in 4-level paging that hits in the first level, and in 5-level paging.
    const HIT: [usize; 5] = [2, 0, 0, 0, 1];
    const HIT_5: [usize; 5] = [3, 0, 0, 0, 1];

    #[test]
    fn runs_of_other_machines_add_to_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut narrow = Config::default();
        narrow.capabilities.five_level = false;
        let add = |config: &Config, counted: &Counted| {
            let folder = Folder::open(folder.path()).expect("usable");
            folder
                .add(config, run("m"), counted, &SOURCES, &Waivers::default())
                .expect("can be added")
        };
        let first = add(&narrow, &counted(1, &HIT));
        let share = |covered, total| Share { covered, total };
        assert_eq!(first.rtl.lines, share(1, 2));
        let five = ALL[0].index(&HIT_5);
        assert_eq!(first.crosses[0].counts[five], None);
        let second = add(&Config::default(), &counted(2, &HIT_5));
        assert_eq!((second.rtl.lines, second.runs.len()), (share(2, 2), 2));
        assert_eq!(second.crosses[0].counts[five], Some(1));
        assert_eq!(second.crosses[0].counts[ALL[0].index(&HIT)], Some(1));
        assert!(second.crosses[0].share().total > first.crosses[0].share().total);
        // A machine that cannot reach a cell takes nothing away.
        let third = add(&narrow, &counted(1, &HIT));
        assert_eq!(third.crosses[0].counts[five], Some(1));
        assert_eq!(third.cells().total, second.cells().total);
        assert_eq!(third.impossible, [""; 0]);
        for name in [POINTS, FIGURES, TABLE] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn a_hole_is_a_hole_and_a_cell_that_cannot_be_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(folder.path()).expect("usable");
        let mut narrow = Config::default();
        narrow.capabilities.five_level = false;
        let coverage = folder
            .add(
                &narrow,
                run("m"),
                &counted(1, &HIT_5),
                &SOURCES,
                &Waivers::default(),
            )
            .expect("can be added");
        let [found] = coverage.impossible.as_slice() else {
            panic!("{:?}", coverage.impossible);
        };
        assert!(found.contains("5-level, PTE (4K), user read"), "{found}");
        let holes = coverage.crosses[0].holes(&ALL[0]);
        assert!(holes.contains(&ALL[0].cell_name(ALL[0].index(&HIT))));
        let page = page::markdown(&coverage);
        // The page lists the first of them.
        assert!(page.contains(&format!("* {}\n", holes[0])));
        assert!(page.contains("| a.sv | 2 | `two` |"), "{page}");
    }

    #[test]
    fn what_was_counted_of_other_rtl_is_not_added_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(folder.path()).expect("usable");
        let none = Waivers::default();
        let counted = counted(1, &HIT);
        let config = Config::default();
        folder
            .add(&config, run("m"), &counted, &SOURCES, &none)
            .expect("can be added");
        let other = [("a.sv", "one\nthree\n")];
        let refused = folder.add(&config, run("m"), &counted, &other, &none);
        assert!(matches!(refused, Err(FolderError::Other { .. })));
    }
}
