//! The trace of a stimulus on one twin, as text.
//!
//! Contract: sections 3, 4, 10 give the events. SDM: none. Counterpart: `golden/**/*.snap`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use crate::arch::PagingMode;
use crate::config::Config;
use crate::cosim::comparators::Comparator;
use crate::cosim::counters::Counters;
use crate::cosim::divergence::Finding;
use crate::cosim::events::{ArrayNames, CellBits, EventLog};
use crate::cosim::lockstep::{Checker, CheckerFinding, Lockstep, Options};
use crate::cosim::stimulus::{Stimulus, Store};
use crate::cosim::twin::Twin;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// Version of the trace's text.
pub const TRACE_VERSION: u32 = 1;

/// Writes down what happens, and finds nothing wrong with it.
#[derive(Debug)]
struct Recorder {
    log: EventLog,
    text: String,
    /// Cells of which the machine transferred a half: they hold entries of 4 bytes.
    halved: BTreeSet<u64>,
}

impl Checker for Recorder {
    fn comparator(&self) -> Comparator {
        Comparator::Protocol
    }

    fn observe(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), CheckerFinding> {
        self.log
            .write_cycle(cycle, inputs, outputs, stores, &mut self.text);
        let shown = &outputs.memory;
        if shown.req_valid != 0 && shown.req_be != 0xff {
            self.halved.insert(shown.req_addr);
        }
        Ok(())
    }

    fn count(&self, _counters: &mut Counters) {}
}

/// Runs `stimulus` on `twin` and returns the trace. `name` is the scenario's, as `topic/scenario`.
///
/// The trace says nothing of which twin it was, because it must not depend on that.
///
/// # Errors
/// The first thing that was wrong with the run itself: a hang, a failed assertion, a link that broke its rules.
pub fn record<T: Twin>(
    name: &str,
    stimulus: &Stimulus,
    config: &Config,
    twin: T,
) -> Result<String, Box<Finding>> {
    let mut recorder = Recorder {
        log: EventLog::new(ArrayNames::new(config)),
        text: String::new(),
        halved: BTreeSet::new(),
    };
    let operations = stimulus.operations.clone().into_iter();
    let (report, changes) = {
        let mut run = Lockstep::alone(
            config,
            &stimulus.setup,
            operations,
            twin,
            Options::default(),
        )
        .with_checker(Box::new(&mut recorder));
        let report = run.run(&mut |_| ControlFlow::Continue(()));
        (report, run.first_side().memory.contents())
    };
    if let Some(finding) = report.finding {
        return Err(Box::new(finding));
    }
    let mut text = header(name, stimulus, config);
    text.push_str(&recorder.text);
    entries(stimulus, &changes, &recorder.halved, &mut text);
    statistics(&report.counters, &mut text);
    Ok(text)
}

fn header(name: &str, stimulus: &Stimulus, config: &Config) -> String {
    let machine = stimulus.setup.config.base.as_deref().unwrap_or("default");
    let with = match stimulus.setup.config.overrides.len() {
        0 => String::new(),
        count => format!(" with {count} set"),
    };
    let mut text = format!(
        "trace {TRACE_VERSION} of {name}\nmachine {machine}{with}, config hash {}, seed {}\n",
        config.hash(),
        stimulus.setup.seed
    );
    for line in &stimulus.setup.about {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push_str("\n  cycle  event\n");
    text
}

/// Page-table cells that hold something else than at first.
fn entries(
    stimulus: &Stimulus,
    contents: &[(u64, u64)],
    halved: &BTreeSet<u64>,
    text: &mut String,
) {
    let image = &stimulus.setup.image;
    let gone = image.iter().filter(|(address, value)| {
        **value != 0
            && contents
                .binary_search_by_key(*address, |cell| cell.0)
                .is_err()
    });
    let mut changed: Vec<(u64, u64, u64)> =
        gone.map(|(address, value)| (*address, *value, 0)).collect();
    for (address, value) in contents {
        let before = image.get(address).copied().unwrap_or(0);
        if before != *value {
            changed.push((*address, before, *value));
        }
    }
    changed.sort_unstable();
    text.push_str("\nentries changed\n");
    if changed.is_empty() {
        text.push_str("  none\n");
    }
    for (address, before, after) in changed {
        let mode = match halved.contains(&address) {
            true => PagingMode::TwoLevel,
            false => PagingMode::FourLevel,
        };
        let [before, after] = [before, after].map(|value| CellBits { value, mode });
        let _ = writeln!(text, "  {address:#x}: {before} to {after}");
    }
}

fn statistics(counters: &Counters, text: &mut String) {
    let c = counters;
    let _ = writeln!(
        text,
        "\nstatistics\n  {} cycles, {} requests, {} responses, {} page faults, {} general protections, {} bus errors\n  \
         L1 {} hits, {} misses; STLB {} hits, {} misses; {} denied hits, {} hits with D clear\n  \
         {} walks: {} translated, {} faulted, {} bus errors, {} restarts, {} from a cache\n  \
         {} memory transfers, {} compare-and-sets, {} of them lost; {} fills, {} evictions, {} removals",
        c.cycles,
        c.requests,
        c.responses_compared,
        c.faults.total(),
        c.general_protections,
        c.bus_errors,
        c.l1_hits,
        c.l1_misses,
        c.stlb_hits,
        c.stlb_misses,
        c.denied_hits,
        c.dirty_clear_hits,
        c.walks,
        c.walks_translated,
        c.walks_faulted,
        c.walks_bus_error,
        c.walk_restarts,
        c.cached_starts,
        c.bus_compared,
        c.compare_and_sets,
        c.ad_races_lost,
        c.fills_compared,
        c.evictions,
        c.removals_compared
    );
}
