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
use crate::trace::{
    Counts, LazyTables, Mapping, MappingError, MemoryReference, OpenOptions, References,
    TraceFormat, TraceReader, Translated,
};

/// References between two reports of progress.
const STRIDE: u64 = 1 << 14;
/// No page has this number.
const NO_PAGE: u64 = u64::MAX;

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
        let mut references = References::new(self.open(context)?);
        let progress = self
            .count
            .map(|count| context.progress(count, "references"));
        self.leave_out(&mut references)?;
        let mut passed = Passed {
            source: references.reader().metadata().source,
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
            tables: LazyTables::new(mapping),
            touched: [NO_PAGE; 2],
            privilege: requests::privilege(config),
            machine,
        };
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut result = Ok(());
        while left > 0
            && result.is_ok()
            && let Some(reference) = references.next()
        {
            left -= 1;
            result = feed.pass(&reference?, &mut passed);
            report(progress.as_ref(), passed.counts.total());
        }
        if result.is_ok() {
            result = feed.machine.finish().map_err(Step::Broken);
        }
        passed.pages = feed.tables.pages().count(crate::arch::PageSize::Size4K);
        let known =
            references.reader().metadata().fetches_are_instructions && passed.counts.fetches > 0;
        passed.instructions = known.then_some(passed.counts.fetches);
        match result {
            Ok(()) if passed.counts.total() == 0 => Err(self.empty().into()),
            Ok(()) => Ok(passed),
            Err(Step::Mapping(error)) => Err(error.into()),
            Err(Step::Broken(broken)) => Err(Ended::Broken(passed, broken)),
        }
    }

    /// With a count, progress is in references; else in bytes of the file.
    fn open(&self, context: &Context) -> Result<Box<dyn TraceReader>, CliError> {
        if self.count.is_none() {
            return trace::open(self.path, self.format, context);
        }
        let options = OpenOptions {
            format: self.format,
            progress: None,
        };
        Ok(crate::trace::open::open(self.path, options)?)
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

fn report(progress: Option<&Progress>, done: u64) {
    if let Some(progress) = progress
        && done.is_multiple_of(STRIDE)
    {
        progress.set(done);
    }
}

/// Why a reference could not pass.
enum Step {
    Mapping(MappingError),
    Broken(Broken),
}

/// Feeds references, with the table entries that each needs in memory before it is presented.
struct Feed<'a> {
    translated: Translated,
    tables: LazyTables,
    /// The page touched last through each port, which has its entries.
    touched: [u64; 2],
    privilege: u8,
    machine: &'a mut AnyMachine,
}

impl Feed<'_> {
    #[inline]
    fn pass(&mut self, reference: &MemoryReference, passed: &mut Passed) -> Result<(), Step> {
        passed.counts.add(reference.kind());
        passed.crossings += u64::from(reference.crosses_page());
        let mut parts = self.translated.parts(reference);
        parts.try_for_each(|part| self.translate(&part))
    }

    #[inline]
    fn translate(&mut self, part: &MemoryReference) -> Result<(), Step> {
        let (port, request) = requests::request(part, self.privilege);
        if self.touched[port] != part.page() {
            self.touch(part).map_err(Step::Mapping)?;
            self.touched[port] = part.page();
        }
        self.machine.translate(&request).map_err(Step::Broken)
    }

    fn touch(&mut self, part: &MemoryReference) -> Result<(), MappingError> {
        if let Some(path) = self.tables.touch(part.address())? {
            for entry in path.iter() {
                self.machine.store(entry.address.raw(), entry.value);
            }
        }
        Ok(())
    }
}
