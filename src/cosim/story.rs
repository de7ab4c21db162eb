//! The story of a first divergence: what differed, the page concerned, what happened to it before, its walk, and where it stands.
//!
//! Contract: sections 4 (formats), 10 (monitor). SDM: none. Counterpart: none.
//!
//! A story is told after the run that failed: the same stimulus runs again, up to the finding, with both sides watched in every cycle.
//! It is short on purpose. What both sides agree on stands there once; a line that one side has alone begins with its name.

mod fields;
mod log;
mod mirror;
mod tell;
mod text;

use std::ops::ControlFlow;

use serde::Serialize;

use super::comparators::Comparator;
use super::divergence::Finding;
use super::judged::Judged;
use super::lockstep::{Lockstep, Options};
use super::stimulus::{OperationSource, Setup};
use super::twin::{NoTwin, Twin};
use crate::config::Config;
use crate::model::Mmu;

/// What a person wants to know of a finding first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// What the columns are: model and rtl, or one of them alone.
    pub sides: Vec<&'static str>,
    /// What the finding is about: a page and a request.
    pub subject: Subject,
    /// The parts of the cycle's outputs that differ, that of the finding first.
    pub differs: Vec<Differing>,
    /// What the reference says of the response, if it is what refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// What happened to the page before, oldest first.
    pub before: Vec<Line>,
    /// How many lines of `before` were left out, as older than these.
    pub before_left_out: usize,
    /// The last walk of the page.
    pub walk: Vec<Line>,
    /// The sets in which the page may stand, as they were when the cycle began.
    pub sets: Vec<Set>,
}

/// What the reference says of a response that it has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Why.
    pub reason: String,
    /// The outcomes that were legal.
    pub legal: String,
    /// The walk of memory as it stands: each entry, and below it older values that are legal there.
    pub walk: Vec<String>,
    /// The values that the response follows from, and that no invalidation should have left.
    pub outdated: Vec<String>,
    /// The last invalidations that cover the page, the last one first.
    pub covering: Vec<String>,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Subject {
    /// The address, if there is one.
    pub va: Option<u64>,
    /// The first address of its page.
    pub page: Option<u64>,
    /// The size of the page by what is known of it: `4k` if nothing is.
    pub page_size: &'static str,
    /// The PCID that counts in the cycle: that of CR3, 0 without CR4.PCIDE.
    pub pcid: u64,
    /// The request, in words.
    pub request: String,
}

/// A part of the outputs that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// What it is called.
    pub part: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// What it is called.
    pub name: &'static str,
    /// What the model shows.
    pub model: String,
    /// What the RTL shows.
    pub rtl: String,
    /// Whether they differ.
    pub differs: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    pub cycle: u64,
    /// The side on which it happened; `None`: on both alike.
    pub side: Option<&'static str>,
    /// What.
    pub text: String,
}

/// A set in which the page may stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Set {
    /// The array or cache.
    pub array: String,
    /// Its set.
    pub set: u64,
    /// How many ways it has.
    pub ways: u32,
    /// How many hold something, on each side.
    pub valid: Vec<usize>,
    /// Those to look at.
    pub shown: Vec<Way>,
}

/// A way that holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Its number.
    pub way: u64,
    /// The side on which it holds this; `None`: on both alike.
    pub side: Option<&'static str>,
    /// Whether it is of the page.
    pub of_the_page: bool,
    /// What it holds.
    pub entry: String,
    /// The cycle of its fill.
    pub filled: u64,
    /// The cycle of the last look-up that hit it.
    pub hit: Option<u64>,
}

/// The story of what a run of both twins found; `None` if it does not happen again.
pub fn of_pair<R: Twin>(
    config: &Config,
    setup: &Setup,
    operations: impl OperationSource,
    rtl: R,
    options: Options,
    finding: &Finding,
) -> Option<Story> {
    let logs = [log::shared(config), log::shared(config)];
    let model = log::Watched::new(Mmu::new(config), logs[0].clone());
    let rtl = log::Watched::new(rtl, logs[1].clone());
    let mut run = Lockstep::pair(config, setup, operations, model, rtl, options)
        .with_checker(Box::new(log::Stores(logs.to_vec())))
        .with_reference(config, setup);
    let again = run.run(&mut |_| ControlFlow::Continue(())).finding?;
    let is_same = (again.cycle, &again.signal) == (finding.cycle, &finding.signal);
    is_same.then(|| tell::tell(config, finding, &[&logs[0].borrow(), &logs[1].borrow()]))
}

/// The same of a run of the model alone.
pub fn of_model(
    config: &Config,
    setup: &Setup,
    operations: impl OperationSource,
    options: Options,
    finding: &Finding,
) -> Option<Story> {
    let log = log::shared(config);
    let model = log::Watched::new(Mmu::new(config), log.clone());
    let mut run: Lockstep<'_, _, NoTwin, _> =
        Lockstep::alone(config, setup, operations, model, options)
            .with_checker(Box::new(log::Stores(vec![log.clone()])))
            .with_reference(config, setup);
    let again = run.run(&mut |_| ControlFlow::Continue(())).finding?;
    let is_same = (again.cycle, &again.signal) == (finding.cycle, &finding.signal);
    is_same.then(|| tell::tell(config, finding, &[&log.borrow()]))
}

/// The same of a user's design that was judged, `bound_cycles` from the model if that was held beside it.
pub fn of_design<R: Twin>(
    config: &Config,
    setup: &Setup,
    operations: impl OperationSource,
    design: R,
    (options, bound_cycles): (Options, Option<u64>),
    finding: &Finding,
) -> Option<Story> {
    let log = log::shared(config);
    let watched = log::WatchedAlone(log::Watched::new(design, log.clone()));
    let mut run = Judged::new(config, setup, operations, watched, options);
    if let Some(cycles) = bound_cycles {
        run = run.bounded(config, setup, cycles);
    }
    let again = run.run(&mut |_| ControlFlow::Continue(())).finding?;
    let is_same = (again.cycle, &again.signal) == (finding.cycle, &finding.signal);
    let account = match finding.comparator {
        Comparator::Staleness => run.account(),
        _ => None,
    };
    is_same.then(|| tell::tell_judged(config, finding, &log.borrow(), account.as_ref()))
}

#[cfg(test)]
mod tests;
