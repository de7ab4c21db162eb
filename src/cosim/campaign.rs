//! A campaign: many random streams, on many threads, with one answer that does not depend on how many.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! Work is cut into streams, numbered through. Threads take the next number. The first stream in the order of the numbers that was found
//! wrong is *the* finding; what is counted are the streams up to it, or all of them if the campaign keeps going. A campaign that is
//! bounded by time counts the streams that were begun in time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::counters::Counters;
use super::lockstep::{Pulse, Report};

/// Operations of a stream: so many that everything warms up, so few that a replay is of a size that a person can handle.
pub const STREAM_OPERATIONS: u64 = 50_000;

/// One stream of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The number in the order of the campaign.
    pub number: u64,
    /// The seed.
    pub seed: u64,
    /// The number of the stream within the seed.
    pub stream: u64,
    /// How many operations.
    pub operations: u64,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// First seed.
    pub first_seed: u64,
    /// Last seed, included.
    pub last_seed: u64,
    /// Operations for each seed; `None`: until time is up, seeds taken in turn.
    pub operations: Option<u64>,
}

impl Plan {
    /// Seeds in all.
    fn seeds(&self) -> u64 {
        self.last_seed
            .saturating_sub(self.first_seed)
            .saturating_add(1)
    }

    /// Operations in all, if there is an end.
    pub fn total_operations(&self) -> Option<u64> {
        self.operations
            .map(|operations| operations.saturating_mul(self.seeds()))
    }

    /// Streams of each seed, if there is an end.
    pub fn streams_of_a_seed(&self) -> Option<u64> {
        self.operations
            .map(|operations| operations.div_ceil(STREAM_OPERATIONS))
    }

    /// The job of that number, or `None` after the last.
    pub fn job(&self, number: u64) -> Option<Job> {
        let seeds = self.seeds();
        let Some(total) = self.operations else {
            let seed = self.first_seed + number % seeds;
            return Some(Job {
                number,
                seed,
                stream: number / seeds,
                operations: STREAM_OPERATIONS,
            });
        };
        let streams = total.div_ceil(STREAM_OPERATIONS);
        let stream = number.checked_rem(streams)?;
        let index = number / streams;
        let operations = (total - stream * STREAM_OPERATIONS).min(STREAM_OPERATIONS);
        (index < seeds).then(|| Job {
            number,
            seed: self.first_seed + index,
            stream,
            operations,
        })
    }
}

/// A stream that was found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub job: Job,
    /// How it went; its finding is there.
    pub report: Report,
}

/// How a campaign went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Counts of the streams that count.
    pub counters: Counters,
    /// Streams that count.
    pub streams: u64,
    /// By seed, how many of them came to an end of their own.
    pub ended: BTreeMap<u64, u64>,
    /// The streams that were found wrong, in order: one, or all if the campaign kept going.
    pub failures: Vec<Failure>,
    /// Whether time was up before the plan's end.
    pub timed_out: bool,
    /// The greatest difference in the latency of one request, where latencies are compared.
    pub latency_difference_cycles: Option<u64>,
}

/// Runs one stream, and asks at every pulse whether to go on.
pub type RunStream<'a, E> =
    dyn Fn(&Job, &mut dyn FnMut(Pulse) -> ControlFlow<()>) -> Result<Report, E> + Sync + 'a;

/// How a campaign is run.
pub struct Settings<'a> {
    /// Threads, at least 1.
    pub jobs: usize,
    /// Go on after a finding.
    pub keep_going: bool,
    /// Asked now and then; `true`: time is up.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
    /// Told how many more operations are done.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

struct Shared<'a, E> {
    settings: &'a Settings<'a>,
    next: AtomicU64,
    /// The lowest number that was found wrong; streams after it need not be run.
    lowest_failure: AtomicU64,
    timed_out: AtomicBool,
    results: Mutex<BTreeMap<u64, (Job, Report)>>,
    error: Mutex<Option<E>>,
}

/// Runs the plan. `run` runs one stream, and asks the closure that it is given at every pulse whether to go on.
///
/// # Errors
/// The first error of `run`: a stream could not be run at all.
pub fn run<E: Send>(
    plan: &Plan,
    settings: &Settings<'_>,
    run: &RunStream<'_, E>,
) -> Result<Summary, E> {
    let shared = Shared {
        settings,
        next: AtomicU64::new(0),
        lowest_failure: AtomicU64::new(u64::MAX),
        timed_out: AtomicBool::new(false),
        results: Mutex::new(BTreeMap::new()),
        error: Mutex::new(None),
    };
    std::thread::scope(|scope| {
        for _ in 1..settings.jobs.max(1) {
            scope.spawn(|| work(plan, &shared, run));
        }
        work(plan, &shared, run);
    });
    if let Some(error) = shared
        .error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        return Err(error);
    }
    let results = shared
        .results
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let last = if settings.keep_going {
        u64::MAX
    } else {
        shared.lowest_failure.into_inner()
    };
    let mut summary = Summary {
        timed_out: shared.timed_out.into_inner(),
        ..Summary::default()
    };
    for (number, (job, report)) in results {
        if number > last {
            break;
        }
        summary.counters.add(&report.counters);
        summary.streams += 1;
        *summary.ended.entry(job.seed).or_default() += u64::from(!report.stopped);
        summary.latency_difference_cycles = summary
            .latency_difference_cycles
            .max(report.latency_difference_cycles);
        if report.finding.is_some() {
            summary.failures.push(Failure { job, report });
        }
    }
    Ok(summary)
}

fn work<E: Send>(plan: &Plan, shared: &Shared<'_, E>, run: &RunStream<'_, E>) {
    let settings = shared.settings;
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number > shared.lowest_failure.load(Ordering::Relaxed) && !settings.keep_going {
            return;
        }
        let Some(job) = plan.job(number) else {
            return;
        };
        if (settings.is_over)() {
            shared.timed_out.store(true, Ordering::Relaxed);
            return;
        }
        let mut reported = 0;
        let mut watch = |pulse: Pulse| {
            (settings.progress)(pulse.operations - reported);
            reported = pulse.operations;
            let needless =
                !settings.keep_going && number > shared.lowest_failure.load(Ordering::Relaxed);
            if needless || (settings.is_over)() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        match run(&job, &mut watch) {
            Ok(report) => {
                (settings.progress)(report.operations.saturating_sub(reported));
                shared
                    .timed_out
                    .fetch_or(report.stopped && (settings.is_over)(), Ordering::Relaxed);
                if report.finding.is_some() {
                    shared.lowest_failure.fetch_min(number, Ordering::Relaxed);
                }
                lock(&shared.results).insert(number, (job, report));
            }
            Err(error) => {
                // Nobody else need begin anything.
                shared.lowest_failure.store(0, Ordering::Relaxed);
                lock(&shared.error).get_or_insert(error);
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A thread that panicked has left a whole value: every change is one insertion.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::comparators::Comparator;
    use crate::cosim::divergence::Finding;

    fn report(operations: u64, fails: bool) -> Report {
        let finding = Finding {
            cycle: 1,
            comparator: Comparator::Bus,
            signal: String::new(),
            model: String::new(),
            rtl: String::new(),
            labels: crate::cosim::divergence::TWINS,
            details: Vec::new(),
            context: Vec::new(),
        };
        Report {
            counters: Counters {
                ops: operations,
                ..Counters::default()
            },
            finding: fails.then_some(finding),
            operations,
            stopped: false,
            latency_difference_cycles: None,
        }
    }

    fn go(plan: &Plan, jobs: usize, keep_going: bool, failing: &[u64]) -> Summary {
        let settings = Settings {
            jobs,
            keep_going,
            is_over: &|| false,
            progress: &|_| {},
        };
        run::<()>(plan, &settings, &|job, _| {
            Ok(report(job.operations, failing.contains(&job.number)))
        })
        .unwrap()
    }

    #[test]
    fn the_answer_does_not_depend_on_the_number_of_threads() {
        let plan = Plan {
            first_seed: 3,
            last_seed: 9,
            operations: Some(2 * STREAM_OPERATIONS + 7),
        };
        assert_eq!(
            plan.total_operations(),
            Some(7 * (2 * STREAM_OPERATIONS + 7))
        );
        for failing in [&[][..], &[5], &[17, 4, 9]] {
            for keep_going in [false, true] {
                let alone = go(&plan, 1, keep_going, failing);
                for jobs in [2, 8] {
                    assert_eq!(go(&plan, jobs, keep_going, failing), alone);
                }
            }
        }
        let all = go(&plan, 2, false, &[]);
        assert_eq!(
            (all.streams, all.counters.ops),
            (21, plan.total_operations().unwrap())
        );
        let first = go(&plan, 2, false, &[17, 4, 9]);
        assert_eq!(
            (
                first.streams,
                first.failures.len(),
                first.failures[0].job.seed
            ),
            (5, 1, 4)
        );
        assert_eq!(go(&plan, 2, true, &[17, 4, 9]).failures.len(), 3);
    }

    #[test]
    fn without_an_end_the_seeds_are_taken_in_turn() {
        let plan = Plan {
            first_seed: 1,
            last_seed: 3,
            operations: None,
        };
        let jobs: Vec<_> = (0..4)
            .filter_map(|number| plan.job(number))
            .map(|job| (job.seed, job.stream))
            .collect();
        assert_eq!(jobs, [(1, 0), (2, 0), (3, 0), (1, 1)]);
    }

    #[test]
    fn an_error_ends_the_campaign() {
        let plan = Plan {
            first_seed: 1,
            last_seed: 1,
            operations: Some(1_000_000),
        };
        let settings = Settings {
            jobs: 3,
            keep_going: true,
            is_over: &|| false,
            progress: &|_| {},
        };
        assert_eq!(
            run(&plan, &settings, &|_, _| Err::<Report, _>("no machine")),
            Err("no machine")
        );
    }

    #[test]
    fn the_last_of_all_seeds_can_be_run() {
        let plan = Plan {
            first_seed: u64::MAX,
            last_seed: u64::MAX,
            operations: Some(STREAM_OPERATIONS + 1),
        };
        let seeds: Vec<_> = (0..)
            .map_while(|number| plan.job(number))
            .map(|job| job.seed)
            .collect();
        assert_eq!(seeds, [u64::MAX; 2]);
    }

    #[test]
    fn no_operations_are_no_streams() {
        let plan = Plan {
            first_seed: 1,
            last_seed: 1,
            operations: Some(0),
        };
        assert_eq!(plan.job(0), None);
    }
}
