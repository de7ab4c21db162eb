//! Many mutants in one machine: built once for each machine, run once for each mutant.
//!
//! Contract: none. SDM: none. Counterpart: `trial.rs`, which builds a machine for each mutant.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use twinwalk::cosim::verilate::Optimisation;

use crate::build::{Emitted, Made};
use crate::campaign::Candidate;
use crate::guards::{Guarded, apply, number};
use crate::judge::{Found, judge};
use crate::machines::Machine;
use crate::trial::{Bench, Cost, HUNG, LONG_RUNS, SHORTEST_LIMIT, Verdict, assert_sound, lock};

/// Mutants of a machine at most: each makes it a little slower.
const MOST: usize = 150;

/// Fewer than these are run sooner than a machine is optimised.
const WORTH_OPTIMISING: usize = 20;

/// Does `run` with all of `inputs` on some threads, which are numbered, until one fails.
pub fn for_all<T: Sync>(
    inputs: &[T],
    jobs: usize,
    run: impl Fn(usize, &T) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let error = Mutex::new(None);
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let (next, error, run) = (&next, &error, &run);
            scope.spawn(move || {
                while let Some(input) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if lock(error).is_some() {
                        return;
                    }
                    if let Err(found) = run(job, input) {
                        lock(error).get_or_insert(found);
                    }
                }
            });
        }
    });
    let error = error.into_inner().ok().flatten();
    error.map_or(Ok(()), Err)
}

/// A mutant on its way.
struct Entry {
    candidate: Candidate,
    guarded: Guarded,
    state: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    is_over: bool,
    /// The machines that hold it, by which number, and how long they take without it.
    held: Vec<(Machine, PathBuf, u32, f64)>,
    run_seconds: f64,
}

/// A machine with some mutants.
struct Built {
    library: PathBuf,
    emitted: Emitted,
    members: Vec<usize>,
}

/// Writes down what became of a mutant.
pub type Keep<'a> = dyn Fn(&Candidate, &Verdict, Cost) -> Result<(), String> + Sync + 'a;

/// How many mutants are tried.
pub struct Batches<'a> {
    pub bench: &'a Bench,
    /// On these, in turn.
    pub machines: &'a [Machine],
    /// Where they are built.
    pub folder: &'a Path,
    /// Threads.
    pub jobs: usize,
    pub keep: &'a Keep<'a>,
}

impl Batches<'_> {
    /// Tries all that can be chosen when a machine is run; gives back the others.
    pub fn run(
        &self,
        candidates: Vec<Candidate>,
        constants: &BTreeSet<String>,
    ) -> Result<Vec<Candidate>, String> {
        let mut alone = Vec::new();
        let mut entries = Vec::new();
        for candidate in candidates {
            let source = self
                .bench
                .sources
                .iter()
                .find(|(name, _)| *name == candidate.file);
            match source.and_then(|(_, text)| Guarded::of(text, &candidate.mutation, constants)) {
                Some(guarded) => entries.push(Entry {
                    candidate,
                    guarded,
                    state: Mutex::default(),
                }),
                None => alone.push(candidate),
            }
        }
        for &machine in self.machines {
            let left: Vec<usize> = (0..entries.len())
                .filter(|&index| !lock(&entries[index].state).is_over)
                .collect();
            let built = Mutex::new(Vec::new());
            let refused = Mutex::new(BTreeSet::new());
            for_all(&group(&entries, &left), self.jobs, |_, batch| {
                self.build(machine, &entries, batch, &built, &refused)
            })?;
            for index in refused.into_inner().unwrap_or_default() {
                // What is refused behind a choice may yet be a machine by itself.
                alone.push(entries[index].candidate.clone());
                lock(&entries[index].state).is_over = true;
            }
            self.run_machine(machine, &entries, &built.into_inner().unwrap_or_default())?;
        }
        let left: Vec<usize> = (0..entries.len())
            .filter(|&index| !lock(&entries[index].state).is_over)
            .collect();
        for_all(&left, self.jobs, |job, index| {
            self.finish(&entries[*index], job)
        })?;
        // What was built is of no use any more; that it cannot be removed is no trouble.
        let _ = fs::remove_dir_all(self.folder.join("batches"));
        Ok(alone)
    }

    /// Verilates a machine with these mutants.
    fn verilate(
        &self,
        machine: Machine,
        entries: &[Entry],
        members: &[usize],
        work: &Path,
    ) -> Result<Option<Emitted>, String> {
        let choice = |index: &usize| {
            let entry = &entries[*index];
            (entry.candidate.file.clone(), entry.guarded.clone())
        };
        let choices: Vec<(String, Guarded)> = members.iter().map(choice).collect();
        let sources = apply(&self.bench.sources, &choices);
        let made = self
            .bench
            .builder
            .verilate(&sources, &machine.config()?, work)?;
        Ok(match made {
            Made::Done(emitted) => Some(emitted),
            Made::Refused(_) => None,
        })
    }

    /// Those of `members` that Verilator takes, which refuses one of them at least.
    fn sift(
        &self,
        machine: Machine,
        entries: &[Entry],
        members: &[usize],
        work: &Path,
    ) -> Result<Vec<usize>, String> {
        let mut taken = Vec::new();
        if members.len() > 1 {
            let (left, right) = members.split_at(members.len() / 2);
            for half in [left, right] {
                match self.verilate(machine, entries, half, work)? {
                    Some(_) => taken.extend(half),
                    None => taken.extend(self.sift(machine, entries, half, work)?),
                }
            }
        }
        Ok(taken)
    }

    /// Builds a machine with these mutants, without those that are refused.
    fn build(
        &self,
        machine: Machine,
        entries: &[Entry],
        members: &[usize],
        built: &Mutex<Vec<Built>>,
        refused: &Mutex<BTreeSet<usize>>,
    ) -> Result<(), String> {
        let [first, ..] = members else { return Ok(()) };
        let work = self
            .folder
            .join("batches")
            .join(format!("{}-{first}", machine.name));
        let mut members = members.to_vec();
        let mut emitted = self.verilate(machine, entries, &members, &work)?;
        if emitted.is_none() {
            let taken = self.sift(machine, entries, &members, &work)?;
            lock(refused).extend(members.iter().filter(|index| !taken.contains(index)));
            members = taken;
            emitted = self.verilate(machine, entries, &members, &work)?;
        }
        let optimisation = if members.len() < WORTH_OPTIMISING {
            Optimisation::None
        } else {
            Optimisation::Basic
        };
        let made = self
            .bench
            .builder
            .compile(&machine.config()?, &work, optimisation)?;
        match (emitted, made) {
            (Some(emitted), Made::Done(library)) => lock(built).push(Built {
                library,
                emitted,
                members,
            }),
            _ => lock(refused).extend(members),
        }
        Ok(())
    }

    /// Runs each mutant that these machines hold, shortly.
    fn run_machine(
        &self,
        machine: Machine,
        entries: &[Entry],
        built: &[Built],
    ) -> Result<(), String> {
        for built in built {
            // Without a choice it is the sound machine.
            let seconds = assert_sound(machine, &built.library, self.bench.budgets.short)?;
            let limit = SHORTEST_LIMIT.max(Duration::from_secs_f64(seconds * HUNG));
            let numbered: Vec<(u32, usize)> = built
                .members
                .iter()
                .enumerate()
                .map(|(place, index)| (number(place), *index))
                .collect();
            for_all(&numbered, self.jobs, |_, &(number, index)| {
                if !is_held(&built.emitted, number) {
                    return Ok(());
                }
                let entry = &entries[index];
                let begin = Instant::now();
                let judged = judge(
                    machine,
                    &built.library,
                    number,
                    self.bench.budgets.short,
                    limit,
                )?;
                let mut state = lock(&entry.state);
                state.run_seconds += begin.elapsed().as_secs_f64();
                state
                    .held
                    .push((machine, built.library.clone(), number, seconds));
                match judged.found {
                    Some(found) => self.killed(entry, &mut state, machine, found),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    fn killed(
        &self,
        entry: &Entry,
        state: &mut Progress,
        machine: Machine,
        found: Found,
    ) -> Result<(), String> {
        state.is_over = true;
        let cost = Cost {
            build_seconds: 0.0,
            run_seconds: state.run_seconds,
        };
        (self.keep)(&entry.candidate, &Verdict::Killed(machine, found), cost)
    }

    /// Runs what has survived longer, and asks which machines contain it after all.
    fn finish(&self, entry: &Entry, job: usize) -> Result<(), String> {
        let mut state = lock(&entry.state);
        let Candidate {
            file,
            mutation,
            is_brief,
            ..
        } = &entry.candidate;
        let machines: Vec<Machine> = state.held.iter().map(|(machine, ..)| *machine).collect();
        let work = self.folder.join(format!("work-{job}"));
        let containing = self.bench.containing(file, mutation, &machines, &work)?;
        let budget = self.bench.budgets.long;
        let held: Vec<_> = state
            .held
            .iter()
            .filter(|(machine, ..)| containing.contains(machine))
            .cloned()
            .collect();
        if !is_brief && budget.streams > 0 {
            for (machine, library, number, seconds) in held.into_iter().take(LONG_RUNS) {
                let begin = Instant::now();
                let found = self
                    .bench
                    .longer(machine, (&library, number), &library, seconds)?;
                state.run_seconds += begin.elapsed().as_secs_f64();
                if let Some(found) = found {
                    return self.killed(entry, &mut state, machine, found);
                }
            }
        }
        let verdict = if containing.is_empty() {
            Verdict::SameMachine
        } else {
            Verdict::Survived(containing)
        };
        let cost = Cost {
            build_seconds: 0.0,
            run_seconds: state.run_seconds,
        };
        (self.keep)(&entry.candidate, &verdict, cost)
    }
}

/// Whether the choice of that number is in what Verilator emitted.
fn is_held(emitted: &Emitted, number: u32) -> bool {
    let text = format!("0x{number:x}U");
    emitted.values().any(|file| {
        file.windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

/// Batches of mutants that do not overlap.
fn group(entries: &[Entry], left: &[usize]) -> Vec<Vec<usize>> {
    let overlap = |one: &Entry, other: &Entry| {
        let (a, b) = (&one.guarded.span, &other.guarded.span);
        one.candidate.file == other.candidate.file && a.start < b.end && b.start < a.end
    };
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for &index in left {
        let fits = |batch: &&mut Vec<usize>| {
            batch.len() < MOST
                && batch
                    .iter()
                    .all(|&other| !overlap(&entries[index], &entries[other]))
        };
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(index),
            None => batches.push(vec![index]),
        }
    }
    batches
}
