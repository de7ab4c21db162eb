//! A run that was found wrong: the first divergent cycle and signal, what came before from both sides, and the replay file.
//!
//! Contract: none. SDM: none. Counterpart: `docs/stim.md` (a replay is a stimulus).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::comparators::Comparator;
use super::events::{ArrayNames, EventLog};
use super::stimulus::{OperationSource, Setup, Store, print};
use super::story::Story;
use crate::config::Config;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// Cycles before the divergent one that a report shows.
pub const CONTEXT_CYCLES: usize = 20;

/// What the two values of a finding are, where two twins are compared.
pub const TWINS: [&str; 2] = ["model", "rtl"];
/// The same where one machine is judged.
pub const JUDGED: [&str; 2] = ["allowed", "seen"];

/// How a line of [`Finding::details`] begins that names another signal that differs.
pub const ALSO: &str = "also ";

/// What was found wrong first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The cycle.
    pub cycle: u64,
    /// Who found it.
    pub comparator: Comparator,
    /// The signal, or what takes its place: a rule, an assertion, a memory cell.
    pub signal: String,
    /// The model's value, or what was seen.
    pub model: String,
    /// The RTL's value, or what is allowed.
    pub rtl: String,
    /// What the two values are: [`TWINS`] or [`JUDGED`].
    pub labels: [&'static str; 2],
    /// More lines that help: other signals that differ in the cycle, who waits for whom.
    pub details: Vec<String>,
    /// Events of the cycles before, and of the cycle itself: the sides by name.
    pub context: Vec<(&'static str, String)>,
}

impl Finding {
    /// The report for a person: with the story, if there is one, in place of the cycles before.
    pub fn report(&self, story: Option<&Story>) -> String {
        let [model, rtl] = self.labels;
        let width = model.len().max(rtl.len());
        let mut text = format!(
            "first difference: cycle {}, {} (found by: {})\n  {model:width$} {}\n  {rtl:width$} {}\n",
            self.cycle, self.signal, self.comparator, self.model, self.rtl
        );
        // A story that has the fields of both sides has the other signals that differ among them.
        let has_fields = story.is_some_and(|story| !story.differs.is_empty());
        for line in &self.details {
            if !(has_fields && line.starts_with(ALSO)) {
                // Writing into a string does not fail.
                let _ = writeln!(text, "  {line}");
            }
        }
        if let Some(story) = story {
            let _ = write!(text, "{story}");
            return text;
        }
        for (side, events) in &self.context {
            let _ = writeln!(
                text,
                "the {CONTEXT_CYCLES} cycles before, and the cycle, {side}:"
            );
            text.push_str(if events.is_empty() {
                "  (nothing happened)\n"
            } else {
                events
            });
        }
        text
    }
}

/// The first divergence as `--json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstDivergence {
    /// The cycle.
    pub cycle: u64,
    /// Who found it.
    pub comparator: String,
    /// The signal, or what takes its place.
    pub signal: String,
    /// The model's value, or what was seen.
    pub model: String,
    /// The RTL's value, or what is allowed.
    pub rtl: String,
    /// The replay file, if it could be written.
    pub replay: Option<PathBuf>,
    /// What happened, if a second run could tell.
    pub story: Option<Story>,
}

impl FirstDivergence {
    /// What `finding` says, with the path of its replay file and its story.
    pub fn new(finding: &Finding, replay: Option<PathBuf>, story: Option<Story>) -> Self {
        Self {
            cycle: finding.cycle,
            comparator: finding.comparator.to_string(),
            signal: finding.signal.clone(),
            model: finding.model.clone(),
            rtl: finding.rtl.clone(),
            replay,
            story,
        }
    }
}

/// The last cycles of one side.
#[derive(Debug)]
pub struct Recent {
    names: ArrayNames,
    frames: VecDeque<Frame>,
}

#[derive(Debug)]
struct Frame {
    cycle: u64,
    inputs: Inputs,
    outputs: Outputs,
    stores: Vec<Store>,
}

impl Recent {
    /// Of a side of a machine of `config`; nothing yet.
    pub fn new(config: &Config) -> Self {
        // One more than is shown: the registers of the cycle before tell which ones changed.
        Self {
            names: ArrayNames::new(config),
            frames: VecDeque::with_capacity(CONTEXT_CYCLES + 2),
        }
    }

    /// Takes a cycle in, and lets the oldest go.
    pub fn push(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs, stores: &[Store]) {
        let mut kept = Vec::new();
        if self.frames.len() == CONTEXT_CYCLES + 2
            && let Some(oldest) = self.frames.pop_front()
        {
            kept = oldest.stores;
            kept.clear();
        }
        kept.extend_from_slice(stores);
        self.frames.push_back(Frame {
            cycle,
            inputs: *inputs,
            outputs: *outputs,
            stores: kept,
        });
    }

    /// The events of the cycles that are kept, as lines.
    pub fn events(&self) -> String {
        let mut log = EventLog::new(self.names.clone());
        let mut text = String::new();
        for (index, frame) in self.frames.iter().enumerate() {
            log.write_cycle(
                frame.cycle,
                &frame.inputs,
                &frame.outputs,
                &frame.stores,
                &mut text,
            );
            if index == 0 && frame.cycle > 0 {
                text.clear();
            }
        }
        text
    }
}

/// A replay file could not be written.
#[derive(Debug, Error)]
#[error("the replay file `{}` cannot be written: {source}", path.display())]
pub struct ReplayError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Writes a stimulus of `setup` and the first `operations` of `source` to `path`, under a temporary name first.
///
/// # Errors
/// [`ReplayError`]; then `path` is as it was.
pub fn write_replay(
    path: &Path,
    setup: &Setup,
    source: &mut dyn OperationSource,
    operations: u64,
) -> Result<(), ReplayError> {
    write_atomically(path, |out| {
        print::write_setup(out, setup)?;
        for _ in 0..operations {
            let Some(operation) = source.next_operation() else {
                break;
            };
            writeln!(out, "{operation}")?;
        }
        Ok(())
    })
    .map_err(|source| ReplayError {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file through a temporary one in the same directory, which is renamed when all is written and synced.
///
/// # Errors
/// Those of the file system; then nothing is left behind, and `path` is as it was.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".twinwalk-")
        .tempfile_in(directory)?;
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private; what it becomes is an ordinary file.
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
