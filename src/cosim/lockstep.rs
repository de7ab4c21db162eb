//! Lockstep: model and RTL side by side, cycle by cycle, with everything compared and both held against the reference.
//!
//! Contract: sections 1 (cycles), 13 (drivers). SDM: none. Counterpart: none.
//!
//! In each cycle both sides are stepped, each by its own driver; then the outputs are compared, the assertions of the RTL are asked,
//! and the checkers see the cycle. The first thing that is wrong ends the run. A run without RTL is the same without the comparison.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::checkers;
use super::comparators::{Comparator, Difference, Silenced, differences};
use super::counters::{Counter, Counters};
use super::coverage::sampler::Sampler;
use super::divergence::{Finding, Recent, TWINS};
use super::groups::{Group, Groups};
use super::side::Side;
use super::stall::{Link, StallRates};
use super::stimulus::{Feed, OperationSource, Setup, Store};
use super::twin::{NoTwin, Twin};
use super::watchdog::Watchdog;
use crate::config::Config;
use crate::model::mmu_pkg::{Inputs, MAX_WALKERS, MEM_READ, Outputs};

/// Judges the stream of one twin, cycle by cycle.
pub trait Checker {
    /// Under which name it can be silenced.
    fn comparator(&self) -> Comparator;

    /// Judges a cycle.
    ///
    /// # Errors
    /// The first thing that is not allowed. The checker is not asked again.
    fn observe(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), CheckerFinding>;

    /// Adds what it counted to the counts of the run.
    fn count(&self, counters: &mut Counters);
}

impl<C: Checker + ?Sized> Checker for &mut C {
    fn comparator(&self) -> Comparator {
        (**self).comparator()
    }

    fn observe(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), CheckerFinding> {
        (**self).observe(cycle, inputs, outputs, stores)
    }

    fn count(&self, counters: &mut Counters) {
        (**self).count(counters);
    }
}

/// What a checker does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckerFinding {
    /// The rule that was broken.
    pub rule: String,
    /// What was seen.
    pub seen: String,
    /// What the rule allows.
    pub allowed: String,
}

/// How a run is judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Tick the model in every cycle, instead of passing over those in which nothing can change.
    pub no_skip: bool,
    /// Comparators that keep quiet.
    pub silenced: Silenced,
    /// The groups of outputs that the RTL has; what the others show is not compared.
    pub groups: Groups,
    /// Cycles without progress, with something outstanding, that are called a hang; `None`: by [`hang_bound_cycles`].
    pub hang_bound_cycles: Option<u64>,
    /// Open cycles within which each request is to be answered; `None`: those of contract 14.
    pub liveness_bound_cycles: Option<u64>,
    /// Cycles in which the sides go on after what was found, each for itself: for twins that show what they do.
    pub run_on_cycles: u64,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was exercised and compared.
    pub counters: Counters,
    /// What was found wrong first.
    pub finding: Option<Finding>,
    /// Operations that happened on either side: as many as a replay needs.
    pub operations: u64,
    /// Whether the caller stopped it before the end of the stimulus.
    pub stopped: bool,
    /// The greatest difference in the latency of one request, where latencies are compared ([`super::judged`]).
    pub latency_difference_cycles: Option<u64>,
}

/// How far a run has come, for whoever watches it.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    /// Cycles so far.
    pub cycles: u64,
    /// Operations so far.
    pub operations: u64,
}

/// Cycles between two pulses.
pub(super) const PULSE_CYCLES: u64 = 4096;

/// The most cycles that a machine with this configuration can need between two moves that a requester sees.
///
/// While something is outstanding, some request is walked, or comes to be after a prefetch of 5 reads at most; its walk is over after at most 5 reads
/// and 5 compare-and-sets, begun twice: 25 memory accesses, and twice that leaves room for walkers that take turns at the memory port. Every
/// lost race adds one, and needs a store, which is progress. On top come sweeps and look-ups. Stalls stretch each of these; the bound allows a
/// hundred cycles for each, which a link at the highest rate exceeds less than once in a hundred. A request that is passed over while others
/// move is the watchdog's business.
pub fn hang_bound_cycles(config: &Config, stalls: &StallRates) -> u64 {
    let memory = &config.memory;
    let highest = Link::all()
        .map(|link| u64::from(stalls.get(link)))
        .max()
        .unwrap_or(0);
    let stall_cycles = if highest == 0 {
        0
    } else {
        100_000 / (1000 - highest)
    };
    let busy_cycles = MAX_WALKERS as u64 * u64::from(memory.accept_interval_cycles);
    let delay_cycles = u64::from(memory.latency_cycles) + u64::from(memory.jitter_cycles);
    let access = delay_cycles + busy_cycles + stall_cycles + 2;
    1_000 + 64 * access + 4 * u64::from(config.sweep_cycles())
}

/// A run of two twins, or of one.
pub struct Lockstep<'a, M, R, S> {
    model: Side<M>,
    rtl: Option<Side<R>>,
    feed: Feed<S>,
    options: Options,
    hang_bound_cycles: u64,
    settle_cycles: u64,
    counter: Counter,
    watchdogs: [Watchdog; 2],
    checkers: Vec<Box<dyn Checker + 'a>>,
    /// Counts the cells of coverage.
    sampler: Option<&'a mut Sampler>,
    recent: [Recent; 2],
    /// Cells of the image, and those written since: they are compared at the end, with all others that do not hold 0.
    cells: BTreeSet<u64>,
    /// Whether a side broke the protocol.
    broken: bool,
}

impl<'a, M: Twin, S: OperationSource> Lockstep<'a, M, NoTwin, S> {
    /// A run of one twin alone.
    pub fn alone(config: &Config, setup: &Setup, source: S, model: M, options: Options) -> Self {
        Self::new(config, setup, source, model, None, options)
    }
}

impl<'a, M: Twin, R: Twin, S: OperationSource> Lockstep<'a, M, R, S> {
    /// A run of both twins over one stimulus. The stimulus must fit the machine ([`Setup::machine`]).
    pub fn pair(
        config: &Config,
        setup: &Setup,
        source: S,
        model: M,
        rtl: R,
        options: Options,
    ) -> Self {
        Self::new(config, setup, source, model, Some(rtl), options)
    }

    fn new(
        config: &Config,
        setup: &Setup,
        source: S,
        model: M,
        rtl: Option<R>,
        options: Options,
    ) -> Self {
        let bound = options.hang_bound_cycles;
        Self {
            model: Side::new(model, config, setup, !options.no_skip),
            rtl: rtl.map(|rtl| Side::new(rtl, config, setup, false)),
            feed: Feed::new(source),
            hang_bound_cycles: bound.unwrap_or_else(|| hang_bound_cycles(config, &setup.stalls)),
            settle_cycles: u64::from(config.sweep_cycles()) + 8,
            options,
            watchdogs: [
                Watchdog::new(config, options.liveness_bound_cycles),
                Watchdog::new(config, options.liveness_bound_cycles),
            ],
            counter: Counter::new(config),
            checkers: Vec::new(),
            sampler: None,
            recent: [Recent::new(config), Recent::new(config)],
            cells: setup.image.keys().copied().collect(),
            broken: false,
        }
    }

    /// Adds a checker of the model's stream, which is the RTL's too as long as nothing differs.
    #[must_use]
    pub fn with_checker(mut self, checker: Box<dyn Checker + 'a>) -> Self {
        self.checkers.push(checker);
        self
    }

    /// Adds the checkers of the reference, over the model's stream: whether it is allowed, and follows from what was read.
    #[must_use]
    pub fn with_reference(mut self, config: &Config, setup: &Setup) -> Self {
        self.checkers.extend(checkers::both(config, setup));
        self
    }

    /// Counts the cells of coverage in the cycles in which the sides agree.
    #[must_use]
    pub fn with_sampler(mut self, sampler: Option<&'a mut Sampler>) -> Self {
        self.sampler = sampler;
        self
    }

    /// Runs to the end of the stimulus, to the first thing that is wrong, or until `watch` breaks off.
    pub fn run(&mut self, watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>) -> Report {
        let mut stopped = false;
        let mut finding = None;
        while !self.is_done() {
            finding = self.step().err();
            if finding.is_some() {
                break;
            }
            let cycles = self.model.cycle();
            if cycles.is_multiple_of(PULSE_CYCLES) {
                let operations = self.model.driver.position();
                if watch(Pulse { cycles, operations }).is_break() {
                    stopped = true;
                    break;
                }
            }
        }
        if finding.is_none() && !stopped {
            finding = self.settle().err();
        }
        if finding.is_none() {
            finding = self.compare_memory().err();
        }
        let report = self.report(finding.map(|finding| *finding), stopped);
        if report.finding.is_some() {
            self.run_on();
        }
        report
    }

    /// Goes on after a finding, without comparing or judging. A side that broke the protocol cannot be driven further.
    fn run_on(&mut self) {
        for _ in 0..self.options.run_on_cycles {
            if self.broken {
                return;
            }
            self.broken = self.model.step(&mut self.feed).is_err();
            let mut position = self.model.driver.position();
            if let Some(rtl) = &mut self.rtl {
                self.broken |= rtl.step(&mut self.feed).is_err();
                position = position.min(rtl.driver.position());
            }
            self.feed.release(position);
        }
    }

    /// The first side: the model's, or that of the one twin there is.
    pub const fn first_side(&self) -> &Side<M> {
        &self.model
    }

    /// Where the operations come from.
    pub const fn source(&self) -> &S {
        self.feed.source()
    }

    /// Ends with the twins, and gives the source back.
    pub fn into_source(self) -> S {
        self.feed.into_source()
    }

    fn is_done(&self) -> bool {
        self.model.driver.is_done() && self.rtl.as_ref().is_none_or(|rtl| rtl.driver.is_done())
    }

    /// Some cycles more, in which nothing may happen that was not asked for.
    fn settle(&mut self) -> Result<(), Box<Finding>> {
        for _ in 0..self.settle_cycles {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Box<Finding>> {
        let cycle = self.model.cycle();
        let protocol = self.model.step(&mut self.feed);
        let model_protocol = protocol.err().map(|error| ("model", error));
        let mut rtl_protocol = None;
        self.remember_cells();
        self.recent[0].push(
            cycle,
            &self.model.inputs,
            &self.model.outputs,
            &self.model.stores,
        );
        let mut position = self.model.driver.position();
        if let Some(rtl) = &mut self.rtl {
            rtl_protocol = rtl.step(&mut self.feed).err().map(|error| ("rtl", error));
            self.recent[1].push(cycle, &rtl.inputs, &rtl.outputs, &rtl.stores);
            position = position.min(rtl.driver.position());
        }
        self.feed.release(position);
        self.broken = model_protocol.is_some() || rtl_protocol.is_some();
        self.compare_outputs(cycle)?;
        self.check_assertions(cycle)?;
        if let Some((side, error)) = model_protocol.or(rtl_protocol) {
            // A twin that answers what was not asked cannot be driven any further, silenced or not.
            return Err(self.finding(
                cycle,
                Comparator::Protocol,
                side,
                error.to_string(),
                "an answer to what was asked",
            ));
        }
        self.counter
            .observe(&self.model.inputs, &self.model.outputs, &self.model.stores);
        if let Some(sampler) = &mut self.sampler {
            sampler.observe(&self.model.inputs, &self.model.outputs);
        }
        self.run_checkers(cycle)?;
        self.check_progress(cycle)
    }

    fn remember_cells(&mut self) {
        for store in &self.model.stores {
            self.cells.insert(store.address);
        }
        let (pins, shown) = (&self.model.inputs.memory, &self.model.outputs.memory);
        if shown.req_valid & pins.req_ready != 0 && shown.req_op != MEM_READ {
            self.cells.insert(shown.req_addr);
        }
        if let Some(rtl) = &self.rtl {
            let (pins, shown) = (&rtl.inputs.memory, &rtl.outputs.memory);
            if shown.req_valid & pins.req_ready != 0 && shown.req_op != MEM_READ {
                self.cells.insert(shown.req_addr);
            }
        }
    }

    fn compare_outputs(&mut self, cycle: u64) -> Result<(), Box<Finding>> {
        let Some(rtl) = &self.rtl else {
            return Ok(());
        };
        if self.model.outputs == rtl.outputs {
            return Ok(());
        }
        // Of a group that the RTL lacks its outputs are 0.
        let due = self.options.groups.of(&self.model.outputs);
        if due == rtl.outputs {
            return Ok(());
        }
        let mut found = differences(&due, &rtl.outputs, self.options.silenced).into_iter();
        let Some(first) = found.next() else {
            return Ok(());
        };
        let details = found.map(|other| describe(&other)).collect();
        let mut finding = self.finding(
            cycle,
            first.comparator,
            &first.signal,
            first.model,
            first.rtl,
        );
        finding.details = details;
        Err(finding)
    }

    fn check_assertions(&self, cycle: u64) -> Result<(), Box<Finding>> {
        if self.failed_assertions() == 0 || self.options.silenced.contains(Comparator::Assertions) {
            return Ok(());
        }
        let of_rtl = self
            .rtl
            .as_ref()
            .and_then(|rtl| rtl.twin.first_failed_assertion());
        let first = of_rtl.or_else(|| self.model.twin.first_failed_assertion());
        let (at, text) = first.unwrap_or((None, "an assertion without a message".to_owned()));
        let signal = format!("assertion: {text}");
        Err(self.finding(
            at.unwrap_or(cycle),
            Comparator::Assertions,
            &signal,
            "holds",
            "fails",
        ))
    }

    fn failed_assertions(&self) -> u64 {
        let of_rtl = self
            .rtl
            .as_ref()
            .map_or(0, |rtl| rtl.twin.failed_assertions());
        of_rtl + self.model.twin.failed_assertions()
    }

    fn run_checkers(&mut self, cycle: u64) -> Result<(), Box<Finding>> {
        let Self {
            checkers,
            model,
            options,
            ..
        } = self;
        let mut found = None;
        for checker in checkers
            .iter_mut()
            .filter(|checker| !options.silenced.contains(checker.comparator()))
        {
            let judged = checker.observe(cycle, &model.inputs, &model.outputs, &model.stores);
            if let Err(finding) = judged {
                found = Some((checker.comparator(), finding));
                break;
            }
        }
        match found {
            None => Ok(()),
            Some((comparator, finding)) => {
                let signal = format!("rule {}", finding.rule);
                let allowed = format!("allowed: {}", finding.allowed);
                Err(self.finding(cycle, comparator, &signal, finding.seen, allowed))
            }
        }
    }

    /// Whether either side has stood still for too long, or passed a request over.
    fn check_progress(&mut self, cycle: u64) -> Result<(), Box<Finding>> {
        if self.options.silenced.contains(Comparator::Hangs) {
            return Ok(());
        }
        self.check_liveness(cycle)?;
        let waits = |driver: &super::driver::Driver| {
            let still = cycle.saturating_sub(driver.last_progress());
            (still > self.hang_bound_cycles && !driver.is_quiet())
                .then(|| driver.describe_waiting())
        };
        let model = waits(&self.model.driver);
        let rtl = self.rtl.as_ref().and_then(|rtl| waits(&rtl.driver));
        if model.is_none() && rtl.is_none() {
            return Ok(());
        }
        let word = |hangs: bool| if hangs { "hangs" } else { "moves" };
        let signal = format!("no progress for {} cycles", self.hang_bound_cycles);
        let texts = (word(model.is_some()), word(rtl.is_some()));
        let mut finding = self.finding(cycle, Comparator::Hangs, &signal, texts.0, texts.1);
        let outputs = [
            Some(&self.model.outputs),
            self.rtl.as_ref().map(|rtl| &rtl.outputs),
        ];
        let sides = ["model", "rtl"].into_iter().zip([model, rtl]);
        for (((side, waiting), watchdog), outputs) in sides.zip(&self.watchdogs).zip(outputs) {
            if let (Some(mut lines), Some(outputs)) = (waiting, outputs) {
                if side == "model" || self.options.groups.contains(Group::Queues) {
                    lines.extend(watchdog.describe(outputs));
                }
                let lines = lines.into_iter();
                finding
                    .details
                    .extend(lines.map(|line| format!("{side}: {line}")));
            }
        }
        Err(finding)
    }

    /// Whether a request waits for longer than the contract lets it.
    fn check_liveness(&mut self, cycle: u64) -> Result<(), Box<Finding>> {
        let [of_model, of_rtl] = &mut self.watchdogs;
        let model = of_model.observe(&self.model.inputs, &self.model.outputs);
        let rtl = match &self.rtl {
            Some(rtl) => of_rtl.observe(&rtl.inputs, &rtl.outputs),
            None => None,
        };
        if model.is_none() && rtl.is_none() {
            return Ok(());
        }
        let word = |late: bool| if late { "does not answer" } else { "answers" };
        let texts = (word(model.is_some()), word(rtl.is_some()));
        let signal = "a request past its bound";
        let mut finding = self.finding(cycle, Comparator::Hangs, signal, texts.0, texts.1);
        for (side, lines) in [("model", model), ("rtl", rtl)] {
            let lines = lines.into_iter().flatten();
            finding
                .details
                .extend(lines.map(|line| format!("{side}: {line}")));
        }
        Err(finding)
    }

    /// The memory images, cell by cell.
    fn compare_memory(&mut self) -> Result<(), Box<Finding>> {
        let Some(rtl) = &self.rtl else {
            return Ok(());
        };
        if self.options.silenced.contains(Comparator::Memory) {
            return Ok(());
        }
        let (ours, theirs) = (&self.model.memory, &rtl.memory);
        self.cells.extend(
            ours.contents()
                .into_iter()
                .chain(theirs.contents())
                .map(|(address, _)| address),
        );
        for address in &self.cells {
            let (ours, theirs) = (ours.read_u64(*address), theirs.read_u64(*address));
            if ours != theirs {
                let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
                let signal = format!("memory cell {address:#x}");
                let cycle = self.model.cycle();
                return Err(self.finding(
                    cycle,
                    Comparator::Memory,
                    &signal,
                    hex(ours),
                    hex(theirs),
                ));
            }
        }
        Ok(())
    }

    #[cold]
    fn finding(
        &self,
        cycle: u64,
        comparator: Comparator,
        signal: &str,
        model: impl Into<String>,
        rtl: impl Into<String>,
    ) -> Box<Finding> {
        let mut context = vec![(self.model.twin.name(), self.recent[0].events())];
        if let Some(side) = &self.rtl {
            context.push((side.twin.name(), self.recent[1].events()));
        }
        Box::new(Finding {
            cycle,
            comparator,
            signal: signal.to_owned(),
            model: model.into(),
            rtl: rtl.into(),
            labels: TWINS,
            details: Vec::new(),
            context,
        })
    }

    fn report(&self, finding: Option<Finding>, stopped: bool) -> Report {
        let mut counters = self.counter.counters().clone();
        let mut operations = self.model.driver.position();
        counters.ops = operations;
        if let Some(rtl) = &self.rtl {
            operations = operations.max(rtl.driver.position());
            counters.entries_compared = self.cells.len() as u64;
        }
        counters.assertions_failed = self.failed_assertions();
        for checker in &self.checkers {
            checker.count(&mut counters);
        }
        if let Some(finding) = &finding {
            counters.mismatches = 1;
            counters.hangs = u64::from(finding.comparator == Comparator::Hangs);
        }
        Report {
            counters,
            finding,
            operations,
            stopped,
            latency_difference_cycles: None,
        }
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn describe(difference: &Difference) -> String {
    format!(
        "also {}: model {}, rtl {}",
        difference.signal, difference.model, difference.rtl
    )
}
