//! The window of a trace: what is left out, what runs, and the page tables that grow with it.
//!
//! Contract: section 3 (the split at a page). SDM: none. Counterpart: none.

use std::path::Path;

use super::machine::{AnyMachine, Broken};
use super::requests;
use crate::cli::error::CliError;
use crate::cli::output::{Context, grouped};
use crate::cli::progress::Progress;
use crate::cli::trace;
use crate::config::Config;
use crate::model::{FrontEnd, Unserved};
use crate::trace::{
    Counts, LazyTables, Mapping, MappingError, MemoryReference, Metadata, OpenOptions, Opened,
    References, RunReader, TraceFormat, TraceReader, Translated,
};

/// Which references of which trace.
pub struct Window<'a> {
    path: &'a Path,
    format: Option<TraceFormat>,
    skip: u64,
    count: Option<u64>,
}

/// What of a trace went through the machine.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// References by kind.
    pub counts: Counts,
    /// References that crossed a page: two translations each.
    pub crossings: u64,
    /// Instructions; `None` where fetches do not say, or there are none.
    pub instructions: Option<u64>,
    /// The format that the trace was first read from, if it is known.
    pub source: Option<TraceFormat>,
    /// Distinct pages of 4 KiB that were touched.
    pub pages: u64,
    /// The cycle in which the first reference could be presented.
    pub from_cycle: u64,
}

/// Why a window did not come to its end.
pub enum Ended {
    /// The trace or its mapping is refused.
    Refused(CliError),
    /// The machine is wrong.
    Broken(Passed, Broken),
}

impl<E: Into<CliError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl<'a> Window<'a> {
    /// At most `count` references of the trace at `path`, after the first `skip`.
    pub const fn new(
        path: &'a Path,
        format: Option<TraceFormat>,
        skip: u64,
        count: Option<u64>,
    ) -> Self {
        Self {
            path,
            format,
            skip,
            count,
        }
    }

    /// Brings the machine into paging, then runs the window through it.
    ///
    /// # Errors
    /// The trace cannot be read, is over before the window begins, or cannot be mapped; the machine does not answer.
    pub fn run(
        &self,
        config: &Config,
        mapping: Mapping,
        machine: &mut AnyMachine,
        context: &Context,
    ) -> Result<Passed, Ended> {
        let opened = self.open(context)?;
        let mut source = match opened {
            Opened::References(reader) => {
                let mut references = References::new(reader);
                self.leave_out(&mut references)?;
                Source::References(references)
            }
            Opened::Runs(reader) => {
                self.serve_runs(config, machine)?;
                Source::Runs(reader)
            }
        };
        let progress = self
            .count
            .map(|count| context.progress(count, "references"));
        let metadata = source.metadata();
        let mut passed = Passed {
            source: metadata.source,
            ..Passed::default()
        };
        for operation in requests::boot(config, &mapping) {
            if let Err(broken) = machine.control(&operation) {
                return Err(Ended::Broken(passed, broken));
            }
        }
        passed.from_cycle = machine.cycles();
        let mut feed = Feed {
            translated: Translated::by_blocks(config.front_end.fetch_block_bytes),
            by_blocks: config.front_end.fetch_block_bytes > 0,
            parts: Vec::new(),
            tables: LazyTables::new(mapping),
            privilege: requests::privilege(config),
            machine,
        };
        let mut result = match &mut source {
            Source::References(references) => {
                self.feed_references(references, &mut feed, &mut passed, progress.as_ref())?
            }
            Source::Runs(reader) => feed.pass_runs(reader, &mut passed)?,
        };
        if result.is_ok() {
            result = feed.machine.finish().map_err(Step::Broken);
        }
        passed.pages = feed.tables.pages().count(crate::arch::PageSize::Size4K);
        let known = metadata.fetches_are_instructions && passed.counts.fetches > 0;
        passed.instructions = known.then_some(passed.counts.fetches);
        match result {
            Ok(()) if passed.counts.total() == 0 => Err(self.empty().into()),
            Ok(()) => Ok(passed),
            Err(Step::Mapping(error)) => Err(error.into()),
            Err(Step::Broken(broken)) => Err(Ended::Broken(passed, broken)),
            Err(Step::Order(page)) => Err(self.not_as_runs(&format!(
                "what happens on the page at {page:#x} depends on the order or the kinds of references that stay on their pages"
            ))
            .into()),
        }
    }

    /// Feeds the window, a batch at a time.
    fn feed_references(
        &self,
        references: &mut References<Box<dyn TraceReader>>,
        feed: &mut Feed<'_>,
        passed: &mut Passed,
        progress: Option<&Progress>,
    ) -> Result<Result<(), Step>, Ended> {
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut result = Ok(());
        while left > 0 && result.is_ok() {
            let batch = references.take_batch(left)?;
            if batch.is_empty() {
                break;
            }
            left -= batch.len() as u64;
            result = feed.pass(batch, passed);
            if let Some(progress) = progress {
                progress.set(passed.counts.total());
            }
        }
        Ok(result)
    }

    /// Whether runs serve what is asked.
    fn serve_runs(&self, config: &Config, machine: &AnyMachine) -> Result<(), CliError> {
        if self.skip > 0 || self.count.is_some() {
            return Err(self.not_as_runs("--skip and --count are in references"));
        }
        if config.front_end.fetch_block_bytes > 0 {
            return Err(self.not_as_runs(
                "fetches by blocks (front_end.fetch_block_bytes) need the address of each",
            ));
        }
        match machine {
            AnyMachine::Model(front_end) => front_end
                .takes_runs()
                .map_err(|has| self.not_as_runs(&format!("the machine has {has}"))),
            AnyMachine::Ticked(_) => Err(self.not_as_runs("the RTL takes references one by one")),
        }
    }

    fn not_as_runs(&self, why: &str) -> CliError {
        CliError::new(
            format_args!(
                "{}: has runs on pages, which do not do here: {why}",
                self.path.display()
            ),
            "run the trace that it was made from",
        )
    }

    /// With a count, progress is in references; else in bytes of the file.
    fn open(&self, context: &Context) -> Result<Opened, CliError> {
        if self.count.is_none() {
            return trace::open_either(self.path, self.format, context);
        }
        let options = OpenOptions {
            format: self.format,
            progress: None,
        };
        Ok(crate::trace::open::open_either(self.path, options)?)
    }

    fn leave_out(&self, references: &mut References<Box<dyn TraceReader>>) -> Result<(), CliError> {
        for number in 0..self.skip {
            match references.next() {
                Some(reference) => drop(reference?),
                None => return Err(self.too_short(number)),
            }
        }
        Ok(())
    }

    fn too_short(&self, references: u64) -> CliError {
        CliError::new(
            format_args!(
                "{}: --skip {} leaves nothing: the trace has {} references",
                self.path.display(),
                self.skip,
                grouped(references)
            ),
            "skip fewer",
        )
    }

    fn empty(&self) -> CliError {
        if self.skip > 0 {
            return self.too_short(self.skip);
        }
        CliError::new(
            format_args!(
                "{}: there is no reference in the trace",
                self.path.display()
            ),
            "record it again: a trace of valgrind's lackey takes --trace-mem=yes",
        )
    }
}

/// What a trace has.
enum Source {
    References(References<Box<dyn TraceReader>>),
    Runs(RunReader),
}

impl Source {
    fn metadata(&self) -> Metadata {
        match self {
            Self::References(references) => references.reader().metadata(),
            Self::Runs(reader) => reader.metadata(),
        }
    }
}

/// Why a reference could not pass.
enum Step {
    Mapping(MappingError),
    Broken(Broken),
    /// Runs do not say enough; a page among those that stay.
    Order(u64),
}

/// Feeds references, with the table entries that each needs in memory before it is presented.
struct Feed<'a> {
    translated: Translated,
    /// What is fetched block by block is translated part by part.
    by_blocks: bool,
    /// The parts of a batch, from one to the next.
    parts: Vec<MemoryReference>,
    tables: LazyTables,
    privilege: u8,
    machine: &'a mut AnyMachine,
}

impl Feed<'_> {
    fn pass(&mut self, batch: &[MemoryReference], passed: &mut Passed) -> Result<(), Step> {
        for reference in batch {
            passed.counts.add(reference.kind());
            passed.crossings += u64::from(reference.crosses_page());
        }
        match self.machine {
            AnyMachine::Model(front_end) => {
                let access = requests::access(self.privilege);
                let mut batch = batch;
                if self.by_blocks {
                    self.parts.clear();
                    for reference in batch {
                        self.parts.extend(self.translated.parts(reference));
                    }
                    batch = &self.parts;
                }
                let tables = &mut self.tables;
                let mut refused = None;
                {
                    let prepare = &mut prepare(tables, &mut refused);
                    front_end.translate_all(batch, &access, requests::asked, prepare);
                }
                refused.map_or(Ok(()), |error| Err(Step::Mapping(error)))
            }
            AnyMachine::Ticked(_) => {
                for reference in batch {
                    let mut parts = self.translated.parts(reference);
                    parts.try_for_each(|part| self.translate(&part))?;
                }
                Ok(())
            }
        }
    }

    fn translate(&mut self, part: &MemoryReference) -> Result<(), Step> {
        let (_, request) = requests::request(part, self.privilege);
        let touched = self.tables.touch(part.address());
        for entry in touched
            .map_err(Step::Mapping)?
            .iter()
            .flat_map(|path| path.iter())
        {
            self.machine.store(entry.address.raw(), entry.value);
        }
        self.machine.translate(&request).map_err(Step::Broken)
    }

    /// The runs of a trace, a block at a time.
    fn pass_runs(
        &mut self,
        reader: &mut RunReader,
        passed: &mut Passed,
    ) -> Result<Result<(), Step>, Ended> {
        let AnyMachine::Model(front_end) = &mut *self.machine else {
            return Ok(Ok(()));
        };
        let access = requests::access(self.privilege);
        let mut runs = Vec::new();
        loop {
            let block = reader.read_block(&mut runs)?;
            if runs.is_empty() {
                return Ok(Ok(()));
            }
            passed.counts.fetches += block.references.fetches;
            passed.counts.loads += block.references.loads;
            passed.counts.stores += block.references.stores;
            passed.crossings += block.crossings;
            let mut refused = None;
            let served = {
                let prepare = &mut prepare(&mut self.tables, &mut refused);
                front_end.translate_runs(&runs, &access, requests::run, prepare)
            };
            if let Some(error) = refused {
                return Ok(Err(Step::Mapping(error)));
            }
            if let Err(Unserved::Order(page)) = served {
                return Ok(Err(Step::Order(page)));
            }
        }
    }
}

/// Puts the table entries that an address needs into memory. What refuses the address ends the run.
fn prepare<'a>(
    tables: &'a mut LazyTables,
    refused: &'a mut Option<MappingError>,
) -> impl FnMut(&mut FrontEnd, u64) -> bool + 'a {
    move |front_end, address| match tables.touch(address) {
        Ok(None) => true,
        Ok(Some(path)) => {
            for entry in path.iter() {
                let stored = front_end.store(entry.address.raw(), entry.value);
                // Tables lie in memory: the mapping was made for its size.
                debug_assert!(stored.is_ok());
            }
            true
        }
        Err(error) => {
            *refused = Some(error);
            false
        }
    }
}
