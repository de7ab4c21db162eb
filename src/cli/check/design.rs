//! `twinwalk check --rtl`, and the same of `replay`: a user's own RTL in the place of the project's.
//!
//! Contract: section 3 (its ports). SDM: none. Counterpart: `docs/byo.md`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::compare::Compare;
use super::report::{GuestReport, counters_json};
use crate::cli::error::CliError;
use crate::cli::machine::Machines;
use crate::cli::output::Context;
use crate::cli::{grouped, table};
use crate::config::Config;
use crate::cosim::counters::Counters;
use crate::cosim::design::Design;
use crate::cosim::divergence::Finding;
use crate::cosim::floors::{self, Missed};
use crate::cosim::groups::{Group, Groups};
use crate::cosim::guest::Guest;
use crate::cosim::judged::Judged;
use crate::cosim::lockstep::{Lockstep, Options, Pulse, Report};
use crate::cosim::rtl::Library;
use crate::cosim::stimulus::{OperationSource, Setup};
use crate::cosim::story::{self, Story};
use crate::cosim::twin::Twin;
use crate::cosim::verilate::Trace;
use crate::model::Mmu;

/// A user's design that is built, and how it is compared.
pub struct Guested {
    design: Design,
    library: Library,
    compare: Compare,
}

/// What a replay file's header begins the line with that names the design.
pub const RTL: &str = "rtl: ";

impl Guested {
    /// Reads the design and builds it.
    ///
    /// # Errors
    /// The design is refused; there is no Verilator.
    pub fn open(path: &Path, compare: Compare, context: &mut Context) -> Result<Self, CliError> {
        let design = Design::load(path)?;
        let library = Machines::open()?.guest_library(&design, Trace::None, context)?;
        // That the parameters are as asked for is known by a machine alone: now, and not in the middle of a campaign.
        Machines::guest(&design, &library, 0)?;
        Ok(Self {
            design,
            library,
            compare,
        })
    }

    /// The design that the header of a replay file names, with its comparison; `None` of a file without such a line.
    ///
    /// # Errors
    /// The line is none of ours.
    pub fn named_in(about: &[String]) -> Result<Option<(PathBuf, String, Compare)>, CliError> {
        let Some(line) = about.iter().find_map(|line| line.strip_prefix(RTL)) else {
            return Ok(None);
        };
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (compare, hash, path) = (word(), word(), word());
        match Compare::parse(compare) {
            Ok(compare) if !path.is_empty() => {
                Ok(Some((PathBuf::from(path), hash.to_owned(), compare)))
            }
            _ => Err(CliError::new(
                format_args!("the line `about {RTL}{line}` does not name a design"),
                "name it with --rtl DESIGN.toml, and the comparison with --compare",
            )),
        }
    }

    /// The line of a replay file's header that names the design: comparison, hash, path.
    pub fn replay_line(&self) -> String {
        let path = &self.design.spec.path;
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        format!(
            "{RTL}{} {} {}",
            self.compare,
            self.design.hash(),
            path.display()
        )
    }

    /// The design.
    pub const fn design(&self) -> &Design {
        &self.design
    }

    /// The groups that it has.
    pub fn groups(&self) -> Groups {
        self.library.groups()
    }

    /// Which implementations run.
    pub const fn implementations(&self) -> &'static [&'static str] {
        match self.compare {
            Compare::Exact | Compare::Bounded(_) => &["model", "rtl"],
            Compare::Untimed => &["rtl"],
        }
    }

    /// One run.
    ///
    /// # Errors
    /// The machine cannot be made.
    pub fn run<S: OperationSource>(
        &self,
        config: &Config,
        setup: &Setup,
        source: S,
        options: Options,
        watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>,
    ) -> Result<Report, CliError> {
        let twins = (Mmu::new(config), self.twin(setup.seed)?);
        Ok(self.run_with(config, setup, source, twins, options, watch))
    }

    /// Whether the model runs in lockstep beside the design.
    pub fn is_exact(&self) -> bool {
        self.compare == Compare::Exact
    }

    /// One run of a model, which is of use where it runs in lockstep, and of a twin that is made of the design.
    pub fn run_with<M: Twin, T: Twin, S: OperationSource>(
        &self,
        config: &Config,
        setup: &Setup,
        source: S,
        (model, twin): (M, T),
        options: Options,
        watch: &mut dyn FnMut(Pulse) -> ControlFlow<()>,
    ) -> Report {
        let options = self.options(options);
        let judged = |twin, source| Judged::new(config, setup, source, twin, options);
        match self.compare {
            Compare::Exact => Lockstep::pair(config, setup, source, model, twin, options)
                .with_reference(config, setup)
                .run(watch),
            Compare::Bounded(cycles) => judged(twin, source)
                .bounded(config, setup, cycles)
                .run(watch),
            Compare::Untimed => judged(twin, source).run(watch),
        }
    }

    /// The story of what a run found; `None` if it does not happen again.
    pub fn story<S: OperationSource>(
        &self,
        config: &Config,
        setup: &Setup,
        source: S,
        options: Options,
        finding: &Finding,
    ) -> Option<Story> {
        let twin = self.twin(setup.seed).ok()?;
        let options = self.options(options);
        match self.compare {
            Compare::Exact => story::of_pair(config, setup, source, twin, options, finding),
            Compare::Bounded(cycles) => {
                let judged = (options, Some(cycles));
                story::of_design(config, setup, source, twin, judged, finding)
            }
            Compare::Untimed => {
                story::of_design(config, setup, source, twin, (options, None), finding)
            }
        }
    }

    fn options(&self, options: Options) -> Options {
        Options {
            groups: self.groups(),
            hang_bound_cycles: Some(self.design.spec.hang_cycles),
            ..options
        }
    }

    /// A machine of the design.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn twin(&self, seed: u64) -> Result<Guest, CliError> {
        Machines::guest(&self.design, &self.library, seed).map(Guest::new)
    }

    /// A machine of the design that can write waves.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn with_waves(
        &self,
        seed: u64,
        context: &mut Context,
    ) -> Result<crate::cosim::rtl::Rtl, CliError> {
        let library = Machines::open()?.guest_library(&self.design, Trace::Fst, context)?;
        Machines::guest(&self.design, &library, seed)
    }

    /// What a verdict says of the design beside what it says of every run.
    pub fn report(
        &self,
        counters: &Counters,
        latency_difference_cycles: Option<u64>,
    ) -> GuestReport {
        GuestReport {
            rtl: self.json(),
            counters: self.counters_json(counters),
            line: self.line(),
            table: self.table(counters, latency_difference_cycles),
            latency_difference_cycles,
        }
    }

    /// The floors that a run has missed.
    pub fn missed(&self, counters: &Counters) -> Vec<Missed> {
        let config = self.design.config();
        if self.compare == Compare::Exact && self.groups() == Groups::ALL {
            floors::missed(config, counters)
        } else {
            floors::missed_from_outside(config, counters)
        }
    }

    /// The value of the key `rtl`.
    fn json(&self) -> Json {
        json!({
            "name": self.design.spec.name,
            "top": self.design.spec.top,
            "compare": self.compare.to_string(),
            "groups": self.groups().names(),
            "hash": self.design.hash(),
        })
    }

    /// What the counts are, as JSON keys: null what is of a group that the design does not have.
    fn counters_json(&self, counters: &Counters) -> Json {
        let mut object = counters_json(counters);
        if let Json::Object(map) = &mut object {
            for (key, needs) in OF_GROUPS {
                if !needs.iter().all(|group| self.groups().contains(*group)) {
                    map.insert((*key).to_owned(), Json::Null);
                }
            }
            if self.compare == Compare::Exact && self.groups() != Groups::ALL {
                // Counted by the check that sees the model's arrays, of which those of the design are not known to be copies.
                map.insert("stale_removed".to_owned(), Json::Null);
            }
        }
        object
    }

    /// What is compared, in one line.
    fn line(&self) -> String {
        let groups = match self.groups().names() {
            names if names.is_empty() => "none".to_owned(),
            names => names.join(", "),
        };
        let how = match self.compare {
            Compare::Exact => "every output in every cycle, and judged by the reference",
            Compare::Bounded(_) => "the latency of each request; judged by the reference",
            Compare::Untimed => "judged by the reference",
        };
        format!(
            "rtl: {} (yours, top {}), compared: {}, {how}; groups of the monitor: {groups}",
            self.design.spec.name, self.design.spec.top, self.compare
        )
    }

    /// The counts as a table, without what the design does not show.
    fn table(&self, counters: &Counters, latency_difference_cycles: Option<u64>) -> String {
        let c = counters;
        let judged = match self.compare {
            Compare::Exact => "compared",
            Compare::Bounded(_) | Compare::Untimed => "judged",
        };
        let mut rows: Vec<(String, u64)> = vec![
            ("operations".to_owned(), c.ops),
            ("cycles".to_owned(), c.cycles),
            (format!("responses {judged}"), c.responses_compared),
            ("  with one legal outcome only".to_owned(), c.single_outcome),
            (
                "  that showed a stale outcome, legally".to_owned(),
                c.stale_observed,
            ),
            (
                "  that could not be judged (must be 0)".to_owned(),
                c.unjudged,
            ),
            ("page faults".to_owned(), c.faults.total()),
            ("general protections".to_owned(), c.general_protections),
            ("bus errors".to_owned(), c.bus_errors),
            (
                "responses out of order".to_owned(),
                c.responses_out_of_order,
            ),
            (format!("memory transfers {judged}"), c.bus_compared),
            ("  reads".to_owned(), c.memory_reads),
            ("  compare-and-sets".to_owned(), c.compare_and_sets),
            (
                "  of these lost to another agent".to_owned(),
                c.ad_races_lost,
            ),
            (
                "cells of memory judged at the end".to_owned(),
                c.entries_compared,
            ),
            ("control operations".to_owned(), c.control_operations),
            ("  of these refused".to_owned(), c.control_refused),
            ("stores by another agent".to_owned(), c.stores),
            ("assertions failed".to_owned(), c.assertions_failed),
            ("hangs".to_owned(), c.hangs),
        ];
        if let Some(cycles) = latency_difference_cycles {
            rows.push((
                "greatest difference of latencies, cycles".to_owned(),
                cycles,
            ));
        }
        let of_groups: [(&str, u64, &[Group]); 7] = [
            ("first-level hits", c.l1_hits, &[Group::Lookup]),
            ("second-level hits", c.stlb_hits, &[Group::Stlb]),
            ("walks", c.walks, &[Group::Walk]),
            (
                "walks begun at a cached entry",
                c.cached_starts,
                &[Group::Walk],
            ),
            ("fills", c.fills_compared, &[Group::Tlb, Group::Psc]),
            ("removals", c.removals_compared, &[Group::Tlb, Group::Psc]),
            (
                "times that the miss queue was full",
                c.miss_queue_full,
                &[Group::Queues],
            ),
        ];
        for (name, count, needs) in of_groups {
            if needs.iter().all(|group| self.groups().contains(*group)) {
                rows.push((name.to_owned(), count));
            }
        }
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, count)| vec![name, grouped(count)])
            .collect();
        table(&["", "count"], &rows)
    }
}

/// Which counts need which groups.
const OF_GROUPS: &[(&str, &[Group])] = &[
    ("fills_compared", &[Group::Tlb, Group::Psc]),
    ("removals_compared", &[Group::Tlb, Group::Psc]),
    ("evictions", &[Group::Tlb, Group::Psc]),
    ("walks", &[Group::Walk]),
    ("walks_contended", &[Group::Queues]),
    ("walks_out_of_entry_order", &[Group::Queues]),
    ("walks_in_parallel", &[Group::Walk]),
    ("walks_translated", &[Group::Walk]),
    ("walks_faulted", &[Group::Walk]),
    ("walks_bus_error", &[Group::Walk]),
    ("walk_restarts", &[Group::Walk]),
    ("cached_starts", &[Group::Walk]),
    ("fills_forfeited", &[Group::Walk]),
    ("merged_misses", &[Group::Lookup]),
    ("retries", &[Group::Lookup]),
    ("retries_missed", &[Group::Lookup]),
    ("hits_under_miss", &[Group::Lookup, Group::Queues]),
    ("miss_queue_full", &[Group::Queues]),
    ("prefetch_walks", &[Group::Walk]),
    ("prefetch_fills", &[Group::Walk]),
    ("prefetch_stops", &[Group::Walk]),
    ("invalidations_during_walk", &[Group::Walk]),
    ("two_level_walks", &[Group::Walk]),
    ("fills_4m", &[Group::Tlb]),
    ("fills_of_pieces", &[Group::Tlb]),
    ("back_invalidations", &[Group::Tlb]),
    // What an id was used for before is known of the contract's walkers alone.
    ("changed_beside", &[Group::Queues]),
    ("l1_hits", &[Group::Lookup]),
    ("l1_misses", &[Group::Lookup]),
    ("stlb_hits", &[Group::Stlb]),
    ("stlb_misses", &[Group::Stlb]),
    ("denied_hits", &[Group::Lookup, Group::Stlb]),
    ("dirty_clear_hits", &[Group::Lookup, Group::Stlb]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_replay_file_names_design_and_comparison() {
        let about = |line: &str| vec!["random operations".to_owned(), line.to_owned()];
        let found = Guested::named_in(&about("rtl: bounded:7 0123456789abcdef /a b/DESIGN.toml"));
        let found = found.unwrap().unwrap();
        assert_eq!(found.0, Path::new("/a b/DESIGN.toml"));
        assert_eq!(
            (found.1.as_str(), found.2),
            ("0123456789abcdef", Compare::Bounded(7))
        );
        assert_eq!(Guested::named_in(&about("found: x")).unwrap(), None);
        assert!(Guested::named_in(&about("rtl: sideways x y")).is_err());
    }

    #[test]
    fn every_count_of_a_group_is_a_count() {
        let object = counters_json(&Counters::default());
        for (key, _) in OF_GROUPS {
            assert!(object.get(key).is_some(), "{key}");
        }
    }
}
