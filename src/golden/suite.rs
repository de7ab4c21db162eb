//! The scenarios of a directory: found, run on every implementation, compared with their snapshots, blessed.
//!
//! Contract: none. SDM: none. Counterpart: `golden/`.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{diff, snapshot, trace};
use crate::config::Config;
use crate::cosim::stimulus::config_text::check_operation;
use crate::cosim::stimulus::{Stimulus, StimulusError, parse};
use crate::cosim::twin::Twin;

/// A stimulus with its place and its snapshot's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scenario {
    /// `topic/scenario`, or deeper; the path below the directory without the suffix.
    pub name: String,
    /// The stimulus file.
    pub stimulus: PathBuf,
    /// The snapshot file, there or not.
    pub snapshot: PathBuf,
}

/// Why the suite cannot be run. A difference is not an error.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// A directory or file cannot be read or written.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A stimulus is refused.
    #[error(transparent)]
    Stimulus(#[from] StimulusError),
    /// An implementation cannot be made for the scenario's machine.
    #[error("{scenario}: there is no {implementation}: {reason}")]
    Implementation {
        /// The scenario.
        scenario: String,
        /// Which implementation.
        implementation: &'static str,
        /// Why.
        reason: String,
    },
}

/// Finds the scenarios below `directory` whose name contains `pattern`, or matches it if it has a `*`; sorted by name.
///
/// # Errors
/// [`SuiteError::Io`] if a directory cannot be read.
pub fn find(directory: &Path, pattern: Option<&str>) -> Result<Vec<Scenario>, SuiteError> {
    let mut found = Vec::new();
    collect(directory, "", &mut found)?;
    if let Some(pattern) = pattern {
        found.retain(|scenario| matches(pattern, &scenario.name));
    }
    found.sort();
    Ok(found)
}

fn collect(directory: &Path, prefix: &str, found: &mut Vec<Scenario>) -> Result<(), SuiteError> {
    let failed = |source| SuiteError::Io {
        path: directory.to_owned(),
        what: "cannot be listed",
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), found)?;
        } else if let Some(stem) = name.strip_suffix(".stim") {
            let scenario = format!("{prefix}{stem}");
            found.push(Scenario {
                name: scenario,
                snapshot: path.with_extension("snap"),
                stimulus: path,
            });
        }
    }
    Ok(())
}

/// Whether `name` contains `pattern`; with `*` in the pattern, whether it matches as a whole.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name.contains(pattern);
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let pieces: Vec<&str> = rest.split('*').collect();
    let Some((last, middle)) = pieces.split_last() else {
        return true;
    };
    for piece in middle {
        let Some(at) = name.find(piece) else {
            return false;
        };
        name = &name[at + piece.len()..];
    }
    name.ends_with(last)
}

/// An implementation that traces are recorded on.
pub struct Implementation<'a> {
    /// `model` or `rtl`.
    pub name: &'static str,
    /// Makes a twin, in reset, for a machine; else the reason why there is none.
    #[allow(
        clippy::type_complexity,
        reason = "a closure and its result, named where they are used"
    )]
    pub make: Box<dyn FnMut(&Config, u64) -> Result<Box<dyn Twin>, String> + 'a>,
}

/// What became of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every implementation reproduces the snapshot to the byte.
    Same,
    /// The implementations agree, and the snapshot is not there yet.
    New {
        /// The trace.
        trace: String,
    },
    /// The implementations agree, and differ from the snapshot.
    Changed {
        /// The trace.
        trace: String,
        /// From the snapshot to the trace.
        diff: String,
    },
    /// The implementations differ: nothing may be blessed.
    Differ {
        /// From the first to the second.
        diff: String,
    },
    /// A run went wrong by itself.
    Failed {
        /// On which implementation.
        implementation: &'static str,
        /// The report.
        report: String,
    },
}

/// Runs a scenario on every implementation and compares.
///
/// # Errors
/// The stimulus is refused, or there is no machine for it.
pub fn run(
    scenario: &Scenario,
    implementations: &mut [Implementation<'_>],
) -> Result<Verdict, SuiteError> {
    let (stimulus, config) = load(&scenario.stimulus)?;
    let mut agreed: Option<(&'static str, String)> = None;
    for implementation in implementations {
        let name = implementation.name;
        let twin = (implementation.make)(&config, stimulus.setup.seed).map_err(|reason| {
            SuiteError::Implementation {
                scenario: scenario.name.clone(),
                implementation: name,
                reason,
            }
        })?;
        let text = match trace::record(&scenario.name, &stimulus, &config, twin) {
            Ok(text) => text,
            Err(finding) => {
                return Ok(Verdict::Failed {
                    implementation: name,
                    report: finding.report(None),
                });
            }
        };
        match &agreed {
            None => agreed = Some((name, text)),
            Some((_, first)) if *first == text => {}
            Some((_, first)) => {
                return Ok(Verdict::Differ {
                    diff: diff::lines(first, &text),
                });
            }
        }
    }
    let trace = agreed.map(|(_, text)| text).unwrap_or_default();
    let failed = |source| SuiteError::Io {
        path: scenario.snapshot.clone(),
        what: "cannot be read",
        source,
    };
    Ok(match snapshot::read(&scenario.snapshot).map_err(failed)? {
        None => Verdict::New { trace },
        Some(text) if text == snapshot::file_text(&trace) => Verdict::Same,
        Some(text) => {
            let old = snapshot::trace_in(&text).unwrap_or(&text);
            Verdict::Changed {
                diff: diff::lines(old, &trace),
                trace,
            }
        }
    })
}

/// Reads a stimulus and the machine that it was made for.
///
/// # Errors
/// It is refused, or does not fit its machine.
pub fn load(path: &Path) -> Result<(Stimulus, Config), StimulusError> {
    let stimulus = parse::load(path)?;
    let name = path.display().to_string();
    let config = stimulus.setup.machine(&name)?;
    for operation in &stimulus.operations {
        check_operation(operation, &config).map_err(|problem| StimulusError {
            file: name.clone(),
            line: 0,
            column: 0,
            problem,
            remedy: "change the operation, or the machine (`config`, `set`)".to_owned(),
        })?;
    }
    Ok((stimulus, config))
}

/// Writes the snapshot of a scenario.
///
/// # Errors
/// [`SuiteError::Io`]; the old snapshot is as it was.
pub fn bless(scenario: &Scenario, trace: &str) -> Result<(), SuiteError> {
    snapshot::write(&scenario.snapshot, trace).map_err(|source| SuiteError::Io {
        path: scenario.snapshot.clone(),
        what: "cannot be written",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mmu;

    #[test]
    fn a_pattern_is_part_of_a_name_or_matches_it_with_stars() {
        for (pattern, name, expected) in [
            ("walk", "fault/walk-error", true),
            ("", "anything", true),
            ("fault/*", "fault/write", true),
            ("fault/*", "a/fault/write", false),
            ("*write", "fault/write", true),
            ("*write", "fault/writes", false),
            ("f*t/w*e", "fault/write", true),
            ("f*x/w*e", "fault/write", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
    #[test]
    fn every_golden_trace_is_what_the_model_does_to_the_byte() {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
        let scenarios = find(directory, None).expect("the directory is there");
        assert!(scenarios.len() >= 25, "{} scenarios", scenarios.len());
        let make = |config: &Config, _| Ok(Box::new(Mmu::new(config)) as Box<dyn Twin>);
        let mut model = [Implementation {
            name: "model",
            make: Box::new(make),
        }];
        for scenario in scenarios {
            let verdict = run(&scenario, &mut model).expect("the machine is there");
            assert_eq!(verdict, Verdict::Same, "{}", scenario.name);
        }
    }
}
