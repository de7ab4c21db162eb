//! Many mutants: which are drawn, on how many threads, and what is written down of each, so that a campaign that was ended goes on.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::batch::{Batches, for_all};
use crate::build::{Builder, sources};
use crate::draw::{Deck, Name, deal, deck, is_wanted, top_up};
use crate::equivalent::{self, Equivalent};
use crate::guards::constant_functions;
use crate::judge::{Budget, Found};
use crate::machines::{MACHINES, Machine, order_for};
use crate::mutate::{Mutation, Shown, mutations};
use crate::report;
use crate::trial::{Bench, Budgets, Cost, Verdict, lock};

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Args)]
pub struct Drawn {
    /// Mutants that machines contain and tools take
    #[arg(long, default_value_t = 300)]
    count: usize,
    /// Which ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Of this file alone, as rtl/x.sv
    #[arg(long)]
    file: Option<String>,
}

#[derive(Debug, Args)]
pub struct Campaign {
    #[command(flatten)]
    drawn: Drawn,
    /// Mutants at a time
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// Go on with the campaign in this folder
    #[arg(long)]
    resume: Option<PathBuf>,
    /// With --resume: run those again that survived
    #[arg(long, requires = "resume")]
    again: bool,
    /// Operations of each of the 4 short streams
    #[arg(long, default_value_t = 5_000)]
    operations: u64,
    /// Operations of each of the 4 long streams, for those that survive the short ones; 0: none
    #[arg(long, default_value_t = 50_000)]
    long_operations: u64,
    /// Every comparator keeps quiet: all survive
    #[arg(long)]
    silenced: bool,
    /// Of those that are to be found, the percentage that must be
    #[arg(long, default_value_t = 97.0)]
    floor: f64,
}

/// Shows what the mutator makes.
#[derive(Debug, Args)]
pub struct List {
    /// Of this file alone, as rtl/x.sv
    #[arg(long)]
    file: Option<String>,
}

impl List {
    pub fn run(&self) -> Result<(), String> {
        for (name, text) in sources()? {
            if is_wanted(&name, self.file.as_deref()) {
                for mutation in mutations(&text) {
                    let shown = mutation.shown(&text);
                    println!("{}", report::diff(&name, mutation.operator.name(), &shown));
                }
            }
        }
        Ok(())
    }
}

/// What became of a mutant, as a line of the campaign's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub file: String,
    pub operator: String,
    pub line: usize,
    pub within: String,
    pub before: String,
    pub after: String,
    /// Of several changes in a file that look the same, which one.
    pub copy: usize,
    /// `not compiling`, `same machine`, `killed`, `survived` or `equivalent`.
    pub verdict: String,
    /// Of what did not compile what the tool says; of an equivalent why it is one.
    pub reason: Option<String>,
    pub found: Option<Found>,
    /// The machine that it was found on, or those that it survived on.
    pub machines: Vec<String>,
    pub build_seconds: f64,
    pub run_seconds: f64,
}

impl Record {
    pub fn shown(&self) -> Shown {
        let Self {
            line,
            within,
            before,
            after,
            ..
        } = self.clone();
        Shown {
            line,
            within,
            before,
            after,
        }
    }

    /// Whether there was something to find.
    pub fn is_valid(&self) -> bool {
        !["not compiling", "same machine"].contains(&self.verdict.as_str())
    }
}

/// A mutant that was drawn.
#[derive(Clone)]
pub struct Candidate {
    /// The number of its deck.
    pub deck: usize,
    pub file: String,
    pub mutation: Mutation,
    pub shown: Shown,
    pub copy: usize,
    /// It is one that is listed as equivalent.
    pub is_brief: bool,
}

/// What has been found out so far.
struct State {
    decks: Vec<Deck>,
    done: Vec<Record>,
    log: fs::File,
}

struct Shared<'a> {
    state: Mutex<State>,
    bench: &'a Bench,
    equivalents: &'a [Equivalent],
    count: usize,
    begin: Instant,
}

impl Shared<'_> {
    /// Draws what is wanted; of what is known no more than the record.
    fn draw(&self, known: &mut BTreeMap<Name, Record>) -> Vec<Candidate> {
        let mut state = lock(&self.state);
        let State { decks, done, .. } = &mut *state;
        let mut drawn = Vec::new();
        loop {
            for (index, deck) in decks.iter_mut().enumerate() {
                while deck.wants() {
                    let card = deck.next;
                    deck.next += 1;
                    if let Some(record) = known.remove(&deck.name(card)) {
                        deck.valid += usize::from(record.is_valid());
                        done.push(record);
                        continue;
                    }
                    deck.in_flight += 1;
                    let (mutation, shown, copy) = deck.cards[card].clone();
                    let mut listed = self.equivalents.iter();
                    drawn.push(Candidate {
                        deck: index,
                        is_brief: listed.any(|entry| entry.is(&deck.file, &shown)),
                        file: deck.file.clone(),
                        mutation,
                        shown,
                        copy,
                    });
                }
            }
            if !drawn.is_empty() {
                return drawn;
            }
            top_up(decks, self.count);
            if !decks.iter().any(Deck::wants) {
                return drawn;
            }
        }
    }

    /// Writes down what became of a mutant, and says so.
    fn keep(&self, candidate: &Candidate, verdict: &Verdict, cost: Cost) -> Result<(), String> {
        let record = self.record(candidate, verdict, cost)?;
        let mut state = lock(&self.state);
        let line = serde_json::to_string(&record).map_err(|error| error.to_string())?;
        writeln!(state.log, "{line}").map_err(|error| error.to_string())?;
        let deck = &mut state.decks[candidate.deck];
        deck.in_flight -= 1;
        deck.valid += usize::from(record.is_valid());
        let valid: usize = state.decks.iter().map(|deck| deck.valid).sum();
        let by = record.found.as_ref().map_or(String::new(), |found| {
            format!(" by {} ({})", found.by, found.signal)
        });
        eprintln!(
            "{:6.0} s {valid:4} of {}: rtl/{}:{} {}: {}{by} on {}",
            self.begin.elapsed().as_secs_f64(),
            self.count,
            record.file,
            record.line,
            record.operator,
            record.verdict,
            record.machines.join(", "),
        );
        state.done.push(record);
        Ok(())
    }

    fn record(
        &self,
        candidate: &Candidate,
        verdict: &Verdict,
        cost: Cost,
    ) -> Result<Record, String> {
        let Candidate {
            file,
            mutation,
            shown,
            copy,
            ..
        } = candidate;
        let mut listed = self.equivalents.iter();
        let equivalent = listed.find(|entry| entry.is(file, shown));
        let operator = mutation.operator.name();
        let mut record = Record {
            file: file.clone(),
            operator: operator.to_owned(),
            line: shown.line,
            within: shown.within.clone(),
            before: shown.before.clone(),
            after: shown.after.clone(),
            copy: *copy,
            verdict: String::new(),
            reason: None,
            found: None,
            machines: Vec::new(),
            build_seconds: cost.build_seconds,
            run_seconds: cost.run_seconds,
        };
        let name = |machine: &Machine| machine.name.to_owned();
        let verdict = match verdict {
            Verdict::NotCompiling(why) => {
                record.reason = Some(why.clone());
                "not compiling"
            }
            Verdict::SameMachine => "same machine",
            Verdict::Killed(_, found) if equivalent.is_some() => {
                let shown = report::diff(file, operator, shown);
                let Found { by, signal, .. } = found;
                return Err(format!(
                    "equivalent.toml is wrong: {by} finds {signal} in\n{shown}"
                ));
            }
            Verdict::Killed(machine, found) => {
                record.machines = vec![name(machine)];
                record.found = Some(found.clone());
                "killed"
            }
            Verdict::Survived(machines) => {
                record.machines = machines.iter().map(name).collect();
                record.reason = equivalent.map(|equivalent| equivalent.reason.clone());
                if equivalent.is_some() {
                    "equivalent"
                } else {
                    "survived"
                }
            }
        };
        record.verdict = verdict.to_owned();
        Ok(record)
    }

    /// Draws and tries, until there are as many as are wanted.
    fn work(
        &self,
        folder: &Path,
        jobs: usize,
        mut known: BTreeMap<Name, Record>,
    ) -> Result<(), String> {
        let constants = constant_functions(&self.bench.sources);
        loop {
            let drawn = self.draw(&mut known);
            if drawn.is_empty() {
                return Ok(());
            }
            let keep = |candidate: &Candidate, verdict: &Verdict, cost| {
                self.keep(candidate, verdict, cost)
            };
            let batches = Batches {
                bench: self.bench,
                machines: &MACHINES,
                folder,
                jobs,
                keep: &keep,
            };
            let alone = batches.run(drawn, &constants)?;
            for_all(&alone, jobs, |job, candidate| {
                let place = folder.join(format!("work-{job}"));
                let Candidate {
                    file,
                    mutation,
                    is_brief,
                    ..
                } = candidate;
                let (verdict, cost) =
                    self.bench
                        .alone(file, mutation, &order_for(file), &place, *is_brief)?;
                self.keep(candidate, &verdict, cost)
            })?;
        }
    }
}

impl Campaign {
    /// Runs the campaign; whether enough was found.
    pub fn run(&self) -> Result<bool, String> {
        let folder = self.resume.clone().unwrap_or_else(|| {
            let file = self
                .drawn
                .file
                .as_deref()
                .unwrap_or("all")
                .replace('/', "-");
            let name = format!(
                "mutants/seed-{}-of-{}-{file}",
                self.drawn.seed, self.drawn.count
            );
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
        });
        let (drawn, known) = self.begin(&folder)?;
        let all = sources()?;
        let equivalents = equivalent::read()?;
        let stale = equivalent::stale(&equivalents, &all);
        if !stale.is_empty() {
            return Err(format!(
                "equivalent.toml speaks of what is not there: {}",
                stale.join("; ")
            ));
        }
        let wanted = all
            .iter()
            .filter(|(name, _)| is_wanted(name, drawn.file.as_deref()));
        let mut decks: Vec<Deck> = wanted
            .map(|(name, text)| deck(name, text, drawn.seed))
            .collect();
        if decks.is_empty() {
            return Err(format!(
                "there is no file {}",
                drawn.file.unwrap_or_default()
            ));
        }
        deal(&mut decks, drawn.count);
        let results = folder.join("results.jsonl");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&results)
            .map_err(|error| format!("{}: {error}", results.display()))?;
        let builder = Builder::new(&folder)?;
        let bench = Bench::new(all, builder, self.budgets());
        let shared = Shared {
            state: Mutex::new(State {
                decks,
                done: Vec::new(),
                log,
            }),
            bench: &bench,
            equivalents: &equivalents,
            count: drawn.count,
            begin: Instant::now(),
        };
        eprintln!("{}", results.display());
        let outcome = shared.work(&folder, self.jobs.max(1), known);
        let seconds = shared.begin.elapsed().as_secs_f64();
        let state = shared
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for job in 0..self.jobs.max(1) {
            // What is left there is of no use; that it cannot be removed is no trouble.
            let _ = fs::remove_dir_all(folder.join(format!("work-{job}")));
        }
        outcome?;
        let (text, percentage) = report::summary(&state.done, seconds);
        println!("{text}");
        Ok(percentage >= self.floor)
    }

    fn budgets(&self) -> Budgets {
        let budget = |first_seed, streams, operations| Budget {
            first_seed,
            streams,
            operations,
            silenced: self.silenced,
        };
        let long_streams = if self.long_operations == 0 { 0 } else { 4 };
        Budgets {
            short: budget(1, 4, self.operations),
            long: budget(101, long_streams, self.long_operations),
        }
    }

    /// What is drawn, and what is known of it already.
    fn begin(&self, folder: &Path) -> Result<(Drawn, BTreeMap<Name, Record>), String> {
        let (what, results) = (folder.join("campaign.json"), folder.join("results.jsonl"));
        let failed =
            |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        if self.resume.is_none() {
            fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
            let text = serde_json::to_string(&self.drawn).map_err(|error| error.to_string())?;
            fs::write(&what, text).map_err(|error| failed(&what, &error))?;
            fs::write(&results, "").map_err(|error| failed(&results, &error))?;
            return Ok((self.drawn.clone(), BTreeMap::new()));
        }
        let text = fs::read_to_string(&what).map_err(|error| failed(&what, &error))?;
        let drawn = serde_json::from_str(&text).map_err(|error| failed(&what, &error))?;
        let text = fs::read_to_string(&results).map_err(|error| failed(&results, &error))?;
        let mut known = BTreeMap::new();
        let mut kept = String::new();
        for line in text.lines() {
            // The last line of a campaign that was killed may be cut short.
            let Ok(record) = serde_json::from_str::<Record>(line) else {
                continue;
            };
            if self.again && record.verdict == "survived" {
                continue;
            }
            kept.push_str(line);
            kept.push('\n');
            let name = (
                record.file.clone(),
                record.within.clone(),
                record.before.clone(),
                record.after.clone(),
                record.copy,
            );
            known.insert(name, record);
        }
        fs::write(&results, kept).map_err(|error| failed(&results, &error))?;
        Ok((drawn, known))
    }
}
