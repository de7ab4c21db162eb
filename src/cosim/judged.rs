//! A machine of any structure under a driver of its own, judged by what software and the bus can see; beside it, if that is asked for, the
//! model, with which the cycles of each request are compared.
//!
//! Contract: sections 1.3 (links), 3 (ports), 9 (control), 13 (drivers). SDM vol. 3A, 4.10. Counterpart: none; [`super::lockstep`]
//! compares every output in every cycle.
//!
//! What is judged: every response, every change of an entry and every register by the [architectural check](Staleness) with
//! [`Reading::Manual`]; every link; the assertions of the design; that something moves; memory at the end. Two machines of other timing
//! part in the order of races, and both orders are legal: so contents are judged, never compared with the model's.

use std::ops::ControlFlow;

use super::comparators::Comparator;
use super::counters::{Counter, Counters};
use super::divergence::{Finding, JUDGED, Recent, TWINS};
use super::latency::{Apart, Latencies};
use super::links::Links;
use super::lockstep::{Options, PULSE_CYCLES, Pulse, Report, hang_bound_cycles};
use super::side::Side;
use super::stimulus::{Feed, OperationSource, Setup};
use super::twin::Twin;
use crate::config::Config;
use crate::model::Mmu;
use crate::reference::account::Account;
use crate::reference::horizon::Reading;
use crate::reference::image::Image;
use crate::reference::staleness::Staleness;

/// Cycles at the end, in which nothing may happen that was not asked for.
const SETTLE_CYCLES: u64 = 256;

/// A run of one machine, alone or beside the model.
pub struct Judged<T, S> {
    rtl: Side<T>,
    beside: Option<Beside>,
    feed: Feed<S>,
    options: Options,
    hang_bound_cycles: u64,
    counter: Counter,
    staleness: Staleness,
    links: Links,
    recent: Recent,
    /// Whether the machine broke the protocol.
    broken: bool,
}

/// The model, and what its requests took.
struct Beside {
    model: Side<Mmu>,
    latencies: Latencies,
    hang_bound_cycles: u64,
}

impl<T: Twin, S: OperationSource> Judged<T, S> {
    /// A run of `twin`, of which `config` says what it can do. The stimulus must fit that machine ([`Setup::machine`]).
    pub fn new(config: &Config, setup: &Setup, source: S, twin: T, options: Options) -> Self {
        let cells = setup
            .image
            .iter()
            .map(|(address, value)| (*address, *value));
        let image = Image::new(config.memory_size_bytes(), cells);
        let bound = options.hang_bound_cycles;
        Self {
            rtl: Side::new(twin, config, setup, false),
            beside: None,
            feed: Feed::new(source),
            hang_bound_cycles: bound.unwrap_or_else(|| hang_bound_cycles(config, &setup.stalls)),
            options,
            counter: Counter::new(config),
            // A design may keep large pages in pieces whatever the machine that it is held against does.
            staleness: Staleness::new(config.arch_capabilities(), image, Reading::Manual)
                .in_pieces(true),
            links: Links::default(),
            recent: Recent::new(config),
            broken: false,
        }
    }

    /// The same beside the model of `config`: of each request the cycles from accept to response may differ by `bound_cycles`.
    #[must_use]
    pub fn bounded(mut self, config: &Config, setup: &Setup, bound_cycles: u64) -> Self {
        self.beside = Some(Beside {
            model: Side::new(Mmu::new(config), config, setup, !self.options.no_skip),
            latencies: Latencies::new(bound_cycles),
            hang_bound_cycles: hang_bound_cycles(config, &setup.stalls),
        });
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
            let cycles = self.rtl.cycle();
            if cycles.is_multiple_of(PULSE_CYCLES) {
                let operations = self.rtl.driver.position();
                if watch(Pulse { cycles, operations }).is_break() {
                    stopped = true;
                    break;
                }
            }
        }
        if finding.is_none() && !stopped {
            finding = (0..SETTLE_CYCLES).find_map(|_| self.step().err());
        }
        if finding.is_none() {
            finding = self.judge_memory().err();
        }
        let report = self.report(finding.map(|finding| *finding), stopped);
        if report.finding.is_some() {
            self.run_on();
        }
        report
    }

    /// What the reference knows of the response that it refused; `None` if the run did not end with one.
    pub fn account(&self) -> Option<Account> {
        self.staleness.account()
    }

    /// Goes on after a finding, without judging. A machine that broke the protocol cannot be driven further.
    fn run_on(&mut self) {
        for _ in 0..self.options.run_on_cycles {
            if self.broken {
                return;
            }
            self.broken = self.rtl.step(&mut self.feed).is_err();
            let mut position = self.rtl.driver.position();
            if let Some(beside) = &mut self.beside {
                // As in `step`.
                let _ = beside.model.step(&mut self.feed);
                position = position.min(beside.model.driver.position());
            }
            self.feed.release(position);
        }
    }

    fn is_done(&self) -> bool {
        let model_is_done = |beside: &Beside| beside.model.driver.is_done();
        self.rtl.driver.is_done() && self.beside.as_ref().is_none_or(model_is_done)
    }

    fn step(&mut self) -> Result<(), Box<Finding>> {
        let cycle = self.rtl.cycle();
        let protocol = self.rtl.step(&mut self.feed);
        self.broken = protocol.is_err();
        let Side {
            inputs,
            outputs,
            stores,
            driver,
            ..
        } = &self.rtl;
        self.recent.push(cycle, inputs, outputs, stores);
        self.counter.observe(inputs, outputs, stores);
        let mut position = driver.position();
        let mut apart = Ok(());
        if let Some(beside) = &mut self.beside {
            apart = beside.latencies.observe(1, cycle, inputs, outputs);
            // The model keeps to the contract; what it does is looked at elsewhere.
            let _ = beside.model.step(&mut self.feed);
            position = position.min(beside.model.driver.position());
            let model = &beside.model;
            apart = apart.and(
                beside
                    .latencies
                    .observe(0, cycle, &model.inputs, &model.outputs),
            );
        }
        self.feed.release(position);
        self.check_assertions(cycle)?;
        self.judge(cycle)?;
        if let Err(error) = protocol {
            // A machine that answers what was not asked cannot be driven any further, silenced or not.
            let allowed = "an answer to what was asked, once";
            return Err(self.finding(
                cycle,
                Comparator::Protocol,
                &error.to_string(),
                "seen",
                allowed,
            ));
        }
        self.check_links(cycle)?;
        self.check_latency(cycle, apart)?;
        self.check_progress(cycle)
    }

    fn hears(&self, comparator: Comparator) -> bool {
        !self.options.silenced.contains(comparator)
    }

    fn check_assertions(&self, cycle: u64) -> Result<(), Box<Finding>> {
        if self.rtl.twin.failed_assertions() == 0 || !self.hears(Comparator::Assertions) {
            return Ok(());
        }
        let first = self.rtl.twin.first_failed_assertion();
        let (at, text) = first.unwrap_or((None, "an assertion without a message".to_owned()));
        let signal = format!("assertion: {text}");
        Err(self.finding(
            at.unwrap_or(cycle),
            Comparator::Assertions,
            &signal,
            "fails",
            "holds",
        ))
    }

    fn judge(&mut self, cycle: u64) -> Result<(), Box<Finding>> {
        if !self.hears(Comparator::Staleness) {
            return Ok(());
        }
        let Side {
            inputs,
            outputs,
            stores,
            ..
        } = &self.rtl;
        let judged = self.staleness.observe(cycle, inputs, outputs, stores);
        judged.map_err(|found| {
            let signal = format!("rule {}", found.rule);
            self.finding(
                cycle,
                Comparator::Staleness,
                &signal,
                found.seen,
                found.allowed,
            )
        })
    }

    fn check_links(&mut self, cycle: u64) -> Result<(), Box<Finding>> {
        if !self.hears(Comparator::Protocol) {
            return Ok(());
        }
        let kept = self.links.observe(&self.rtl.inputs, &self.rtl.outputs);
        kept.map_err(|broken| {
            let signal = format!("{}: an offer does not stay until it is taken", broken.link);
            self.finding(
                cycle,
                Comparator::Protocol,
                &signal,
                broken.now,
                broken.before,
            )
        })
    }

    fn check_latency(&self, cycle: u64, apart: Result<(), Apart>) -> Result<(), Box<Finding>> {
        let (Err(apart), Some(_)) = (apart, &self.beside) else {
            return Ok(());
        };
        if !self.hears(Comparator::Latency) {
            return Ok(());
        }
        let text = |(latency, accepted): (u64, u64)| {
            format!("{latency} cycles from the accept in cycle {accepted} to the response")
        };
        let [model, rtl] = apart.sides.map(text);
        let signal = format!("latency of {}", apart.request);
        let mut finding = self.finding(cycle, Comparator::Latency, &signal, rtl, model);
        finding.labels = TWINS;
        Err(finding)
    }

    /// Whether the machine, or the model beside it, has stood still for too long.
    fn check_progress(&self, cycle: u64) -> Result<(), Box<Finding>> {
        if !self.hears(Comparator::Hangs) {
            return Ok(());
        }
        let driver = &self.rtl.driver;
        let hangs = |driver: &super::driver::Driver, bound: u64| {
            cycle.saturating_sub(driver.last_progress()) > bound && !driver.is_quiet()
        };
        if hangs(driver, self.hang_bound_cycles) {
            let signal = format!("no progress for {} cycles", self.hang_bound_cycles);
            let mut finding = self.finding(cycle, Comparator::Hangs, &signal, "hangs", "an answer");
            finding.details = driver.describe_waiting();
            return Err(finding);
        }
        if let Some(beside) = &self.beside
            && hangs(&beside.model.driver, beside.hang_bound_cycles)
        {
            let signal = format!(
                "no progress of the model for {} cycles",
                beside.hang_bound_cycles
            );
            return Err(self.finding(cycle, Comparator::Hangs, &signal, "moves", "hangs"));
        }
        Ok(())
    }

    /// Memory at the end: what the image of the check holds, which took in every legal change and no other.
    fn judge_memory(&self) -> Result<(), Box<Finding>> {
        if !self.hears(Comparator::Memory) || !self.hears(Comparator::Staleness) {
            return Ok(());
        }
        let image = self.staleness.image();
        let contents = self.rtl.memory.contents().into_iter();
        let wrong = contents
            .map(|(address, value)| (address, value, image.read(address)))
            .find(|(_, value, allowed)| value != allowed);
        match wrong {
            None => Ok(()),
            Some((address, value, allowed)) => {
                let signal = format!("memory cell {address:#x}");
                let texts = [value, allowed].map(|value| format!("{value:#x}"));
                let [seen, allowed] = texts;
                Err(self.finding(self.rtl.cycle(), Comparator::Memory, &signal, seen, allowed))
            }
        }
    }

    #[cold]
    fn finding(
        &self,
        cycle: u64,
        comparator: Comparator,
        signal: &str,
        seen: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Box<Finding> {
        Box::new(Finding {
            cycle,
            comparator,
            signal: signal.to_owned(),
            model: allowed.into(),
            rtl: seen.into(),
            labels: JUDGED,
            details: Vec::new(),
            context: vec![(self.rtl.twin.name(), self.recent.events())],
        })
    }

    fn report(&self, finding: Option<Finding>, stopped: bool) -> Report {
        let mut counters: Counters = self.counter.counters().clone();
        let mut operations = self.rtl.driver.position();
        counters.ops = operations;
        counters.entries_compared = self.rtl.memory.contents().len() as u64;
        counters.assertions_failed = self.rtl.twin.failed_assertions();
        let figures = self.staleness.figures();
        counters.single_outcome = figures.single_outcome;
        counters.stale_observed = figures.stale_observed;
        counters.unjudged = figures.unjudged;
        counters.stale_removed.0 = figures.stale_removed;
        if let Some(beside) = &self.beside {
            operations = operations.max(beside.model.driver.position());
        }
        if let Some(finding) = &finding {
            counters.mismatches = 1;
            counters.hangs = u64::from(finding.comparator == Comparator::Hangs);
        }
        let latencies = self.beside.as_ref().map(|beside| &beside.latencies);
        Report {
            counters,
            finding,
            operations,
            stopped,
            latency_difference_cycles: latencies.map(Latencies::greatest_difference),
        }
    }
}
