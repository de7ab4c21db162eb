//! One mutant: built for one machine after another, and run on each that contains it, until something finds it.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use twinwalk::cosim::verilate::Optimisation;

use crate::build::{Builder, Emitted, LIBRARY, Made, Sources};
use crate::judge::{Budget, Found, judge};
use crate::machines::Machine;
use crate::mutate::Mutation;

/// What a machine takes at least before it is called hung: the computer may be busy.
pub const SHORTEST_LIMIT: Duration = Duration::from_secs(30);
/// Machines on which a mutant is run longer.
pub const LONG_RUNS: usize = 4;
/// A machine that takes so many times as long as the sound one is hung.
pub const HUNG: f64 = 10.0;

/// How long mutants are run: first shortly on each machine, then longer on each.
#[derive(Debug, Clone, Copy)]
pub struct Budgets {
    pub short: Budget,
    pub long: Budget,
}

/// The sound machine, for comparison.
struct Sound {
    emitted: Emitted,
    /// Where it was verilated.
    place: PathBuf,
    /// Once it was built: the library, and how long its short runs take.
    ran: Mutex<Option<(PathBuf, f64)>>,
}

/// Where the sound machine is, once it was verilated; who waits for that waits for one machine alone.
type Place = Mutex<Option<Arc<Sound>>>;

/// What became of a mutant.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A tool refuses it.
    NotCompiling(String),
    /// No machine contains the change.
    SameMachine,
    Killed(Machine, Found),
    /// Nothing found it on these machines.
    Survived(Vec<Machine>),
}

/// What a mutant cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub build_seconds: f64,
    pub run_seconds: f64,
}

/// Where mutants are tried.
pub struct Bench {
    pub sources: Sources,
    pub builder: Builder,
    pub budgets: Budgets,
    sound: Mutex<BTreeMap<&'static str, Arc<Place>>>,
}

impl Bench {
    pub fn new(sources: Sources, builder: Builder, budgets: Budgets) -> Self {
        Self {
            sources,
            builder,
            budgets,
            sound: Mutex::default(),
        }
    }

    /// The sources with one change.
    fn changed(&self, file: &str, mutation: &Mutation) -> Sources {
        let change = |(name, text): &(String, String)| {
            let text = if name == file {
                mutation.apply(text)
            } else {
                text.clone()
            };
            (name.clone(), text)
        };
        self.sources.iter().map(change).collect()
    }

    fn sound(&self, machine: Machine, work: &Path) -> Result<Arc<Sound>, String> {
        let place = Arc::clone(lock(&self.sound).entry(machine.name).or_default());
        let mut place = lock(&place);
        if let Some(sound) = &*place {
            return Ok(Arc::clone(sound));
        }
        let work = work.join("sound").join(machine.name);
        match self
            .builder
            .verilate(&self.sources, &machine.config()?, &work)?
        {
            Made::Done(emitted) => {
                let sound = Arc::new(Sound {
                    emitted,
                    place: work,
                    ran: Mutex::default(),
                });
                *place = Some(Arc::clone(&sound));
                Ok(sound)
            }
            Made::Refused(why) => Err(format!("the sound machine {}: {why}", machine.name)),
        }
    }

    /// The library of the sound machine, and how long it takes; it must be found to be sound.
    fn sound_run(&self, machine: Machine, work: &Path) -> Result<(PathBuf, f64), String> {
        let sound = self.sound(machine, work)?;
        let mut ran = lock(&sound.ran);
        if let Some(ran) = &*ran {
            return Ok(ran.clone());
        }
        let config = machine.config()?;
        let made = self
            .builder
            .compile(&config, &sound.place, Optimisation::None)?;
        let library = match made {
            Made::Done(library) => library,
            Made::Refused(why) => return Err(format!("the sound machine {}: {why}", machine.name)),
        };
        let seconds = assert_sound(machine, &library, self.budgets.short)?;
        Ok(ran.insert((library, seconds)).clone())
    }

    /// What a longer run finds in a machine that is `chosen` in its library, of which the sound one takes `seconds` for its short runs.
    pub fn longer(
        &self,
        machine: Machine,
        (library, chosen): (&Path, u32),
        sound: &Path,
        seconds: f64,
    ) -> Result<Option<Found>, String> {
        let Budgets { short, long } = self.budgets;
        let operations = |budget: Budget| (budget.operations * budget.streams).max(1) as f64;
        let limit = Duration::from_secs_f64(seconds * HUNG * operations(long) / operations(short));
        let judged = judge(machine, library, chosen, long, SHORTEST_LIMIT.max(limit))?;
        if judged.found.is_some() {
            // It says nothing where the sound machine is found too.
            assert_sound(machine, sound, long)?;
        }
        Ok(judged.found)
    }

    /// Tries a mutant on these machines, in turn, in a machine of its own. With `is_brief` it is not run longer where nothing found it at first.
    pub fn alone(
        &self,
        file: &str,
        mutation: &Mutation,
        machines: &[Machine],
        work: &Path,
        is_brief: bool,
    ) -> Result<(Verdict, Cost), String> {
        let sources = self.changed(file, mutation);
        let mut cost = Cost::default();
        let mut refused = None;
        let mut survived: Vec<Machine> = Vec::new();
        for &machine in machines {
            let sound = self.sound(machine, work)?;
            let place = work.join(machine.name);
            let begin = Instant::now();
            let made = self
                .builder
                .verilate(&sources, &machine.config()?, &place)?;
            cost.build_seconds += begin.elapsed().as_secs_f64();
            match made {
                Made::Done(emitted) if emitted == sound.emitted => {}
                Made::Done(_) => match self.run(machine, &place, work, &mut cost)? {
                    Made::Refused(why) => refused = Some(why),
                    Made::Done(Some(found)) => return Ok((Verdict::Killed(machine, found), cost)),
                    Made::Done(None) => survived.push(machine),
                },
                Made::Refused(why) => refused = Some(why),
            }
            // What one machine's tools refuse at once the others' do too, unless some have been built.
            if survived.is_empty() && refused.is_some() {
                break;
            }
        }
        if survived.is_empty() {
            let verdict = refused.map_or(Verdict::SameMachine, Verdict::NotCompiling);
            return Ok((verdict, cost));
        }
        if !is_brief && self.budgets.long.streams > 0 {
            for &machine in survived.iter().take(LONG_RUNS) {
                let library = work.join(machine.name).join(LIBRARY);
                let (sound, seconds) = self.sound_run(machine, work)?;
                let begin = Instant::now();
                let found = self.longer(machine, (&library, 0), &sound, seconds)?;
                cost.run_seconds += begin.elapsed().as_secs_f64();
                if let Some(found) = found {
                    return Ok((Verdict::Killed(machine, found), cost));
                }
            }
        }
        Ok((Verdict::Survived(survived), cost))
    }

    /// Which of these machines contain a change.
    pub fn containing(
        &self,
        file: &str,
        mutation: &Mutation,
        machines: &[Machine],
        work: &Path,
    ) -> Result<Vec<Machine>, String> {
        let sources = self.changed(file, mutation);
        let mut found = Vec::new();
        for &machine in machines {
            let sound = self.sound(machine, work)?;
            let place = work.join(machine.name);
            let made = self
                .builder
                .verilate(&sources, &machine.config()?, &place)?;
            if !matches!(made, Made::Done(emitted) if emitted == sound.emitted) {
                found.push(machine);
            }
        }
        Ok(found)
    }

    /// Compiles what was verilated in `place`, and runs it.
    fn run(
        &self,
        machine: Machine,
        place: &Path,
        work: &Path,
        cost: &mut Cost,
    ) -> Result<Made<Option<Found>>, String> {
        let (_, seconds) = self.sound_run(machine, work)?;
        let begin = Instant::now();
        let made = self
            .builder
            .compile(&machine.config()?, place, Optimisation::None)?;
        cost.build_seconds += begin.elapsed().as_secs_f64();
        let library = match made {
            Made::Done(library) => library,
            Made::Refused(why) => return Ok(Made::Refused(why)),
        };
        let begin = Instant::now();
        let limit = SHORTEST_LIMIT.max(Duration::from_secs_f64(seconds * HUNG));
        let judged = judge(machine, &library, 0, self.budgets.short, limit)?;
        cost.run_seconds += begin.elapsed().as_secs_f64();
        Ok(Made::Done(judged.found))
    }
}

/// That the sound machine is found to be sound; how long it takes.
pub fn assert_sound(machine: Machine, library: &Path, budget: Budget) -> Result<f64, String> {
    let judged = judge(machine, library, 0, budget, Duration::from_secs(3600))?;
    match judged.found {
        None => Ok(judged.seconds),
        Some(found) => Err(format!(
            "the sound machine {} is not sound: {found:?}",
            machine.name
        )),
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
