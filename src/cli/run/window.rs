//! The window of a trace: what is left out, what runs, and the page tables that grow with it.
//!
//! Contract: section 3 (the split at a page). SDM: none. Counterpart: none.

use std::path::Path;

use super::figures::{Figures, Snapshot};
use super::intervals::Intervals;
use super::machine::{AnyMachine, Broken};
use super::request_rows::RequestRows;
use super::requests;
use crate::cli::error::CliError;
use crate::cli::output::{Context, grouped};
use crate::cli::progress::Progress;
use crate::cli::trace;
use crate::config::Config;
use crate::model::{FrontEnd, Operation, Unserved};
use crate::trace::{
    Counts, LazyTables, Mapping, MappingError, MemoryReference, Metadata, OpenOptions, Opened,
    References, RunReader, TraceFormat, TraceReader, Translated,
};

/// Which references of which trace, and what is said of them beside the whole.
pub struct Window<'a> {
    /// The trace.
    pub path: &'a Path,
    /// Its format, if it is not to be found by content.
    pub format: Option<TraceFormat>,
    /// References at its start that the machine never sees.
    pub skip: u64,
    /// References after them that run and are not counted.
    pub warmup: u64,
    /// The most that are counted; else all that are left.
    pub count: Option<u64>,
    /// Takes the figures of intervals.
    pub intervals: Option<Intervals>,
    /// Takes the rows of requests; the machine must make them.
    pub rows: Option<RequestRows>,
}

/// What of a trace went through the machine.
#[derive(Debug, Clone)]
pub struct Passed {
    /// What was counted.
    pub figures: Figures,
    /// The format that the trace was first read from, if it is known.
    pub source: Option<TraceFormat>,
    /// Distinct pages of 4 KiB that were touched, in the warm-up too.
    pub pages: u64,
    /// The cycle in which the first reference could be presented.
    pub from_cycle: u64,
}

/// Why a window did not come to its end.
pub enum Ended {
    /// The trace or its mapping is refused.
    Refused(CliError),
    /// The machine is wrong.
    Broken(Box<Passed>, Broken),
}

/// Why it cannot go on.
enum Step {
    Refused(CliError),
    Broken(Broken),
}

impl<E: Into<CliError>> From<E> for Step {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// What was counted when, since the counting began.
struct Tally {
    began: Snapshot,
    counts: Counts,
    crossings: u64,
}

impl Window<'_> {
    /// Brings the machine into paging, then runs the window through it, and completes the files.
    ///
    /// # Errors
    /// The trace cannot be read, is over before the window begins, or cannot be mapped; a file cannot be written; the machine does not answer.
    pub fn run(
        mut self,
        config: &Config,
        mapping: Mapping,
        machine: &mut AnyMachine,
        context: &Context,
    ) -> Result<(Passed, Option<Intervals>), Ended> {
        let refused = |error: CliError| Ended::Refused(error);
        let mut source = match self.open(context).map_err(refused)? {
            Opened::References(reader) => {
                let mut references = References::new(reader);
                self.leave_out(&mut references).map_err(refused)?;
                Source::References(references)
            }
            Opened::Runs(reader) => {
                self.serve_runs(config, machine).map_err(refused)?;
                Source::Runs(reader)
            }
        };
        let progress = self
            .count
            .map(|count| context.progress(count, "references"));
        let boot = requests::boot(config, &mapping);
        let mut feed = Feed {
            translated: Translated::by_blocks(config.front_end.fetch_block_bytes),
            by_blocks: config.front_end.fetch_block_bytes > 0,
            parts: Vec::new(),
            tables: LazyTables::new(mapping),
            privilege: requests::privilege(config),
            machine,
            rows: self.rows.take(),
            reference: self.skip,
        };
        let mut tally = Tally {
            began: feed.machine.snapshot(),
            counts: Counts::default(),
            crossings: 0,
        };
        let mut from_cycle = 0;
        let result = feed.boot(&boot).map_err(Step::Broken).and_then(|()| {
            from_cycle = feed.machine.cycles();
            self.feed(&mut feed, &mut source, &mut tally, progress.as_ref())
        });
        let now = feed.machine.snapshot();
        let metadata = source.metadata();
        let mut figures = tally.until(&now);
        figures.fetches_are_instructions = metadata.fetches_are_instructions;
        let passed = Passed {
            figures,
            source: metadata.source,
            pages: feed.tables.pages().count(crate::arch::PageSize::Size4K),
            from_cycle,
        };
        let law = || check(&tally.began, &now, &passed.figures);
        match result.and_then(|()| law().map_err(Step::Broken)) {
            Ok(()) => {}
            Err(Step::Refused(error)) => return Err(Ended::Refused(error)),
            Err(Step::Broken(broken)) => return Err(Ended::Broken(Box::new(passed), broken)),
        }
        if let Some(rows) = feed.rows {
            rows.finish().map_err(refused)?;
        }
        if let Some(intervals) = &mut self.intervals {
            intervals.finish().map_err(refused)?;
        }
        Ok((passed, self.intervals))
    }

    /// Warms up, and counts; in intervals, if there are any.
    fn feed(
        &mut self,
        feed: &mut Feed<'_>,
        source: &mut Source,
        tally: &mut Tally,
        progress: Option<&Progress>,
    ) -> Result<(), Step> {
        match source {
            Source::References(references) => {
                self.warm_up(feed, references)?;
                self.feed_references(feed, references, tally, progress)
            }
            Source::Runs(reader) => {
                tally.began = feed.machine.border().map_err(Step::Broken)?;
                let order = feed.pass_runs(reader, tally)?;
                if let Some(page) = order {
                    return Err(self.not_as_runs(&format!(
                        "what happens on the page at {page:#x} depends on the order or the kinds of references that stay on their pages"
                    ))
                    .into());
                }
                if tally.counts.total() == 0 {
                    return Err(self.empty().into());
                }
                feed.finish()
            }
        }
    }

    fn warm_up(
        &self,
        feed: &mut Feed<'_>,
        references: &mut References<Box<dyn TraceReader>>,
    ) -> Result<(), Step> {
        let mut left = self.warmup;
        while left > 0 {
            let batch = references.take_batch(left)?;
            if batch.is_empty() {
                return Err(self.too_short(self.skip + self.warmup - left).into());
            }
            left -= batch.len() as u64;
            feed.pass(batch, false, &mut 0)?;
        }
        Ok(())
    }

    /// Feeds what is counted, a batch at a time. What stands behind a border is read before the border, so that no interval is empty.
    fn feed_references(
        &mut self,
        feed: &mut Feed<'_>,
        references: &mut References<Box<dyn TraceReader>>,
        tally: &mut Tally,
        progress: Option<&Progress>,
    ) -> Result<(), Step> {
        let every = self.intervals.as_ref().map_or(u64::MAX, Intervals::every);
        let (mut left, mut until_border) = (self.count.unwrap_or(u64::MAX), every);
        tally.began = feed.machine.border().map_err(Step::Broken)?;
        let mut part = Part::new(tally, tally.began.clone(), feed.reference);
        let mut are_instructions = references.reader().metadata().fetches_are_instructions;
        while left > 0 {
            let most = if until_border == 0 {
                every
            } else {
                until_border
            };
            let batch = references.take_batch(left.min(most))?;
            if batch.is_empty() {
                break;
            }
            if until_border == 0 {
                let now = feed.machine.border().map_err(Step::Broken)?;
                let next = Part::new(tally, now, feed.reference);
                self.end_part(&part, tally, &next.began, are_instructions)?;
                part = next;
                until_border = every;
            }
            until_border -= batch.len() as u64;
            left -= batch.len() as u64;
            for reference in batch {
                tally.counts.add(reference.kind());
            }
            feed.pass(batch, true, &mut tally.crossings)?;
            are_instructions = references.reader().metadata().fetches_are_instructions;
            if let Some(progress) = progress {
                progress.set(tally.counts.total());
            }
        }
        if tally.counts.total() == 0 {
            return Err(self.empty().into());
        }
        feed.finish()?;
        let now = feed.machine.snapshot();
        self.end_part(&part, tally, &now, are_instructions)
    }

    /// Hands on the figures of an interval.
    fn end_part(
        &mut self,
        part: &Part,
        tally: &Tally,
        now: &Snapshot,
        fetches_are_instructions: bool,
    ) -> Result<(), Step> {
        let Some(intervals) = &mut self.intervals else {
            return Ok(());
        };
        let counts = Counts {
            fetches: tally.counts.fetches - part.counts.fetches,
            loads: tally.counts.loads - part.counts.loads,
            stores: tally.counts.stores - part.counts.stores,
        };
        let crossings = tally.crossings - part.crossings;
        let mut figures = Figures::between(&part.began, now, counts, crossings);
        figures.fetches_are_instructions = fetches_are_instructions;
        check(&part.began, now, &figures).map_err(Step::Broken)?;
        intervals.push(part.first_reference, &figures)?;
        Ok(())
    }

    /// Whether runs serve what is asked.
    fn serve_runs(&self, config: &Config, machine: &AnyMachine) -> Result<(), CliError> {
        if self.skip > 0 || self.warmup > 0 || self.count.is_some() || self.intervals.is_some() {
            return Err(
                self.not_as_runs("--skip, --warmup, --count and --interval are in references")
            );
        }
        if self.rows.is_some() {
            return Err(self.not_as_runs("--requests has a row for each reference"));
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
        let warmup = match self.warmup {
            0 => String::new(),
            warmup => format!(" and --warmup {warmup}"),
        };
        CliError::new(
            format_args!(
                "{}: --skip {}{warmup} leaves nothing: the trace has {} references",
                self.path.display(),
                self.skip,
                grouped(references)
            ),
            "skip fewer, or warm up with fewer",
        )
    }

    fn empty(&self) -> CliError {
        if self.skip + self.warmup > 0 {
            return self.too_short(self.skip + self.warmup);
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

impl Tally {
    fn until(&self, now: &Snapshot) -> Figures {
        Figures::between(&self.began, now, self.counts, self.crossings)
    }
}

/// Where an interval began.
struct Part {
    began: Snapshot,
    counts: Counts,
    crossings: u64,
    first_reference: u64,
}

impl Part {
    fn new(tally: &Tally, began: Snapshot, first_reference: u64) -> Self {
        Self {
            began,
            counts: tally.counts,
            crossings: tally.crossings,
            first_reference,
        }
    }
}

/// The laws of conservation, of the figures between two cycles.
fn check(began: &Snapshot, now: &Snapshot, figures: &Figures) -> Result<(), Broken> {
    now.statistics
        .check_since(&began.statistics)
        .and_then(|()| figures.events.check_against(&figures.statistics))
        .map_err(Broken::Conservation)
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
    rows: Option<RequestRows>,
    /// The number of the next reference in the trace.
    reference: u64,
}

impl Feed<'_> {
    fn boot(&mut self, operations: &[Operation]) -> Result<(), Broken> {
        operations
            .iter()
            .try_for_each(|operation| self.machine.control(operation))
    }

    fn pass(
        &mut self,
        batch: &[MemoryReference],
        counted: bool,
        crossings: &mut u64,
    ) -> Result<(), Step> {
        for reference in batch {
            *crossings += u64::from(reference.crosses_page());
        }
        match self.machine {
            AnyMachine::Model(front_end) => {
                let access = requests::access(self.privilege);
                self.reference += batch.len() as u64;
                let mut batch = batch;
                if self.by_blocks {
                    self.parts.clear();
                    for reference in batch {
                        self.parts.extend(self.translated.parts(reference));
                    }
                    batch = &self.parts;
                }
                let mut refused = None;
                {
                    let prepare = &mut prepare(&mut self.tables, &mut refused);
                    front_end.translate_all(batch, &access, requests::asked, prepare);
                }
                Ok(refused.map_or(Ok(()), Err)?)
            }
            AnyMachine::Ticked(_) => {
                for reference in batch {
                    let mut parts = self.translated.parts(reference);
                    parts.try_for_each(|part| self.translate(&part, counted))?;
                    self.reference += 1;
                }
                Ok(())
            }
        }
    }

    fn translate(&mut self, part: &MemoryReference, counted: bool) -> Result<(), Step> {
        let (_, request) = requests::request(part, self.privilege);
        let touched = self.tables.touch(part.address())?;
        for entry in touched.iter().flat_map(|path| path.iter()) {
            self.machine.store(entry.address.raw(), entry.value);
        }
        self.machine.translate(&request).map_err(Step::Broken)?;
        if let Some(rows) = &mut self.rows {
            rows.presented(self.reference, counted);
            self.write_rows()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Step> {
        self.machine.finish().map_err(Step::Broken)?;
        self.write_rows()
    }

    /// The rows of the requests that have their answers.
    fn write_rows(&mut self) -> Result<(), Step> {
        if let Some(rows) = &mut self.rows {
            while let Some(row) = self.machine.next_row() {
                rows.push(&row)?;
            }
        }
        Ok(())
    }

    /// The runs of a trace, a block at a time; the page of one that does not say enough, if there is such a run.
    fn pass_runs(
        &mut self,
        reader: &mut RunReader,
        tally: &mut Tally,
    ) -> Result<Option<u64>, Step> {
        let AnyMachine::Model(front_end) = &mut *self.machine else {
            return Ok(None);
        };
        let access = requests::access(self.privilege);
        let mut runs = Vec::new();
        loop {
            let block = reader.read_block(&mut runs)?;
            if runs.is_empty() {
                return Ok(None);
            }
            tally.counts.fetches += block.references.fetches;
            tally.counts.loads += block.references.loads;
            tally.counts.stores += block.references.stores;
            tally.crossings += block.crossings;
            let mut refused = None;
            let served = {
                let prepare = &mut prepare(&mut self.tables, &mut refused);
                front_end.translate_runs(&runs, &access, requests::run, prepare)
            };
            refused.map_or(Ok(()), Err)?;
            if let Err(Unserved::Order(page)) = served {
                return Ok(Some(page));
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
