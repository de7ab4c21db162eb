//! `twinwalk check --coverage`: which lines of the RTL ran, and which combinations occurred, added up in a folder.
//!
//! Contract: none. SDM: none. Counterpart: none; `docs/coverage.md` says how to read the folder.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::Value as Json;

use super::Library;
use crate::cli::error::CliError;
use crate::cli::machine::Machines;
use crate::cli::output::Context;
use crate::config::{Config, Loaded};
use crate::cosim::counters::Counters;
use crate::cosim::coverage::collect::Streams;
use crate::cosim::coverage::folder::{Coverage, Folder, FolderError, Run};
use crate::cosim::coverage::lines::{Share, Source};
use crate::cosim::coverage::page;
use crate::cosim::coverage::points::Points;
use crate::cosim::coverage::waivers::{OWN, Waivers};

/// What `--coverage` takes.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Coverage")]
pub struct CoverageArgs {
    /// Count which lines and bits of the RTL run and which combinations occur, and add it to what earlier runs, of any machine, have left in
    /// DIR: coverage.md, coverage.json, and coverage.dat in Verilator's form (docs/coverage.md). The operations are others than without:
    /// steered scenes among the random ones reach what these seldom do
    #[arg(long, value_name = "DIR", conflicts_with_all = ["trace", "rtl"])]
    coverage: Option<PathBuf>,
    /// Leave the bits out: the build of the machine takes seconds instead of a minute
    #[arg(long, requires = "coverage")]
    no_toggles: bool,
    /// Fail if less of the lines in DIR ran
    #[arg(long, value_name = "PERCENT", requires = "coverage", value_parser = parse_percent)]
    least_lines: Option<f64>,
    /// Fail if less of the cells in DIR that can be reached were
    #[arg(long, value_name = "PERCENT", requires = "coverage", value_parser = parse_percent)]
    least_cells: Option<f64>,
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.parse::<f64>().ok();
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "give a number from 0 to 100".to_owned())
}

/// What there is to say of coverage.
pub struct CoverageReport {
    coverage: Coverage,
    /// What of it fails the run.
    wrong: Vec<String>,
    place: String,
}

impl CoverageArgs {
    /// Whether anything is counted.
    pub const fn is_on(&self) -> bool {
        self.coverage.is_some()
    }

    /// The machine, which counts of itself what was asked for.
    ///
    /// # Errors
    /// As [`Machines::library`].
    pub fn library(&self, config: &Config, context: &mut Context) -> Result<Library, CliError> {
        Machines::open()?.library_with_coverage(config, !self.no_toggles, context)
    }

    /// Where streams leave what they count.
    pub fn streams(&self, keep_going: bool) -> Option<Streams> {
        self.is_on().then(|| Streams::new(keep_going))
    }

    /// Adds a campaign to the folder; `None` if nothing was counted.
    ///
    /// # Errors
    /// The folder cannot be used, or the waivers cannot be read.
    pub fn finish(
        &self,
        streams: Option<Streams>,
        loaded: &Loaded,
        what: &str,
        counters: &Counters,
        library: Option<&Library>,
    ) -> Result<Option<CoverageReport>, CliError> {
        let (Some(directory), Some(streams)) = (&self.coverage, streams) else {
            return Ok(None);
        };
        let waivers = Waivers::parse(OWN)
            .map_err(|error| CliError::new(error, "mend rtl/coverage.toml, and build again"))?
            .with_verilator(&library.map_or_else(String::new, version));
        let run = Run {
            machine: loaded.name.clone(),
            config_hash: loaded.config.hash(),
            what: what.to_owned(),
            operations: counters.ops,
            cycles: counters.cycles,
        };
        let sources = library.map_or_else(Vec::new, sources);
        let folder = Folder::open(directory).map_err(|error| refuse(&error))?;
        let coverage = folder
            .add(&loaded.config, run, &streams.finish(), &sources, &waivers)
            .map_err(|error| refuse(&error))?;
        let mut wrong = page::wrong(&coverage);
        let shares = [
            ("lines that ran", coverage.rtl.lines, self.least_lines),
            ("cells reached", coverage.cells(), self.least_cells),
        ];
        wrong.extend(
            shares
                .into_iter()
                .filter_map(|(name, share, least)| short(name, share, least?)),
        );
        Ok(Some(CoverageReport {
            coverage,
            wrong,
            place: directory.display().to_string(),
        }))
    }
}

/// What is said of a share that is less than it should be.
fn short(name: &str, share: Share, least: f64) -> Option<String> {
    let percent = share.percent();
    (percent < least).then(|| format!("{name}: {percent:.2} %, at least {least} % are due"))
}

/// What a machine has counted of itself.
///
/// # Errors
/// It cannot be written or read: the place for temporary files is full, or this Verilator writes another form.
#[cfg(feature = "rtl")]
pub fn points_of(rtl: &mut crate::cosim::rtl::Rtl) -> Result<Points, CliError> {
    let remedy = "make room in the directory of temporary files (TMPDIR)";
    let directory = tempfile::tempdir().map_err(|error| CliError::new(error, remedy))?;
    let path = directory.path().join("points.dat");
    rtl.write_coverage(&path)
        .map_err(|error| CliError::new(error, remedy))?;
    let text = std::fs::read_to_string(&path).map_err(|error| CliError::new(error, remedy))?;
    Points::parse(&text).map_err(|error| {
        CliError::new(
            format_args!("the counts of the RTL: {error}"),
            "use a Verilator that the RTL is tested with, 5.006 or later",
        )
    })
}

/// Nothing: there is no RTL.
///
/// # Errors
/// None.
#[cfg(not(feature = "rtl"))]
pub fn points_of(rtl: &mut crate::cosim::twin::NoTwin) -> Result<Points, CliError> {
    match *rtl {}
}

#[cfg(feature = "rtl")]
fn sources(_library: &Library) -> Vec<Source<'static>> {
    crate::cosim::library::own_sources().to_vec()
}

#[cfg(not(feature = "rtl"))]
const fn sources(_library: &Library) -> Vec<Source<'static>> {
    Vec::new()
}

#[cfg(feature = "rtl")]
fn version(library: &Library) -> String {
    library.verilator_version()
}

#[cfg(not(feature = "rtl"))]
const fn version(_library: &Library) -> String {
    String::new()
}

fn refuse(error: &FolderError) -> CliError {
    let remedy = match error {
        FolderError::Io { .. } => "name a writable directory with --coverage",
        FolderError::Form { .. } | FolderError::Other { .. } => {
            "remove the directory, or name another one with --coverage"
        }
    };
    CliError::new(error, remedy)
}

impl CoverageReport {
    /// Whether nothing of it fails the run.
    pub const fn holds(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The value of the key `coverage`.
    pub fn json(&self) -> Json {
        let mut figures = page::figures(&self.coverage);
        if let Json::Object(map) = &mut figures {
            map.insert("directory".to_owned(), self.place.clone().into());
            map.insert("operations".to_owned(), "steered".into());
            map.insert("wrong".to_owned(), self.wrong.clone().into());
        }
        figures
    }

    /// The lines for a person.
    pub fn text(&self) -> String {
        let mut text = page::summary(&self.coverage);
        for line in &self.wrong {
            if !text.contains(line.as_str()) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.push_str(&format!(
            "coverage is in {}; steered scenes stood among the random operations, which without --coverage are others (docs/coverage.md)\n",
            self.place
        ));
        text
    }
}
