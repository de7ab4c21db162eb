//! Many mutants: which are drawn, on how many threads, and what is written down of each, so that a campaign that was ended goes on.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use serde::{Deserialize, Serialize};
use twinwalk::cosim::generator::prng::Prng;

use crate::build::{Builder, sources};
use crate::equivalent::{self, Equivalent};
use crate::judge::{Budget, Found};
use crate::machines::order_for;
use crate::mutate::{Mutation, Operator, Shown, mutations};
use crate::report;
use crate::trial::{Bench, Budgets, Verdict};

/// Mutants of a file at least, if it has so many.
const FEWEST_OF_A_FILE: usize = 3;

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

/// A mutant by what a person sees of it: the same in another run, whatever moved.
type Name = (String, String, String, String, usize);

/// A file's mutants, in the order in which they are drawn.
struct Deck {
    file: String,
    cards: Vec<(Mutation, Shown, usize)>,
    sites: usize,
    quota: usize,
    next: usize,
    valid: usize,
    in_flight: usize,
}

impl Deck {
    fn name(&self, card: usize) -> Name {
        let (_, shown, copy) = &self.cards[card];
        (
            self.file.clone(),
            shown.within.clone(),
            shown.before.clone(),
            shown.after.clone(),
            *copy,
        )
    }

    fn wants(&self) -> bool {
        self.valid + self.in_flight < self.quota && self.next < self.cards.len()
    }
}

fn is_wanted(name: &str, file: Option<&str>) -> bool {
    // Assertions are no hardware.
    !name.ends_with("_sva.sv")
        && file.is_none_or(|file| file.strip_prefix("rtl/").unwrap_or(file) == name)
}

/// The mutants of a file, shuffled: of each operator in turn, so that those with many places do not crowd out the others.
fn deck(file: &str, text: &str, seed: u64) -> Deck {
    let name = blake3::hash(file.as_bytes());
    let stream = name
        .as_bytes()
        .iter()
        .take(8)
        .fold(0, |stream, byte| stream << 8 | u64::from(*byte));
    let mut prng = Prng::new(seed, stream);
    let mut by_operator: BTreeMap<Operator, Vec<Mutation>> = BTreeMap::new();
    let all = mutations(text);
    let sites = all.len();
    for mutation in all {
        by_operator
            .entry(mutation.operator)
            .or_default()
            .push(mutation);
    }
    let mut cards = Vec::new();
    let mut copies: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    while !by_operator.is_empty() {
        let mut operators: Vec<Operator> = by_operator.keys().copied().collect();
        while !operators.is_empty() {
            let operator = operators.swap_remove(prng.below(operators.len() as u64) as usize);
            let Some(left) = by_operator.get_mut(&operator) else {
                continue;
            };
            let mutation = left.swap_remove(prng.below(left.len() as u64) as usize);
            if left.is_empty() {
                by_operator.remove(&operator);
            }
            let shown = mutation.shown(text);
            let copy = copies
                .entry((
                    shown.within.clone(),
                    shown.before.clone(),
                    shown.after.clone(),
                ))
                .or_default();
            cards.push((mutation, shown, *copy));
            *copy += 1;
        }
    }
    Deck {
        file: file.to_owned(),
        cards,
        sites,
        quota: 0,
        next: 0,
        valid: 0,
        in_flight: 0,
    }
}

/// Deals `count` mutants out to the files, by their numbers of places.
fn deal(decks: &mut [Deck], count: usize) {
    let sites: usize = decks.iter().map(|deck| deck.sites).sum::<usize>().max(1);
    for deck in decks.iter_mut() {
        deck.quota = (count * deck.sites / sites)
            .max(FEWEST_OF_A_FILE)
            .min(deck.sites);
    }
    top_up(decks, count);
}

/// More of the files with the most places, until `count` are wanted, or there are no more.
fn top_up(decks: &mut [Deck], count: usize) {
    let reachable = |deck: &Deck| {
        if deck.next < deck.cards.len() {
            deck.quota
        } else {
            deck.valid
        }
    };
    while decks.iter().map(reachable).sum::<usize>() < count {
        let with_more = decks
            .iter_mut()
            .filter(|deck| deck.next < deck.cards.len() && deck.quota < deck.sites);
        let Some(deck) = with_more.max_by_key(|deck| deck.sites / (deck.quota + 1)) else {
            return;
        };
        deck.quota += 1;
    }
}

struct State {
    decks: Vec<Deck>,
    known: BTreeMap<Name, Record>,
    done: Vec<Record>,
    error: Option<String>,
    log: fs::File,
}

struct Shared<'a> {
    state: Mutex<State>,
    changed: Condvar,
    bench: &'a Bench,
    equivalents: &'a [Equivalent],
    count: usize,
    begin: Instant,
}

/// What a thread is to do next.
enum Next {
    Card(usize, usize),
    Wait,
    Nothing,
}

impl State {
    /// Draws from the file that is furthest from what is wanted of it.
    fn next(&mut self, count: usize) -> Next {
        loop {
            let wanting = (0..self.decks.len()).filter(|&index| self.decks[index].wants());
            let share = |deck: &Deck| (deck.valid + deck.in_flight) * 1000 / deck.quota.max(1);
            let Some(index) = wanting.min_by_key(|&index| share(&self.decks[index])) else {
                if self.decks.iter().any(|deck| deck.in_flight > 0) {
                    return Next::Wait;
                }
                top_up(&mut self.decks, count);
                if self.decks.iter().any(Deck::wants) {
                    continue;
                }
                return Next::Nothing;
            };
            let deck = &mut self.decks[index];
            let card = deck.next;
            deck.next += 1;
            match self.known.remove(&self.decks[index].name(card)) {
                Some(record) => {
                    self.decks[index].valid += usize::from(record.is_valid());
                    self.done.push(record);
                }
                None => {
                    self.decks[index].in_flight += 1;
                    return Next::Card(index, card);
                }
            }
        }
    }
}

impl Shared<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws and tries until there is nothing left.
    fn work(&self, place: &Path) {
        loop {
            let mut state = self.lock();
            if state.error.is_some() {
                return;
            }
            let (index, card) = match state.next(self.count) {
                Next::Card(index, card) => (index, card),
                Next::Wait => {
                    drop(self.changed.wait(state));
                    continue;
                }
                Next::Nothing => return,
            };
            let file = state.decks[index].file.clone();
            let (mutation, shown, copy) = state.decks[index].cards[card].clone();
            drop(state);
            let outcome = self.try_one(&file, &mutation, &shown, copy, place);
            let mut state = self.lock();
            state.decks[index].in_flight -= 1;
            match outcome.and_then(|record| self.keep(&mut state, record)) {
                Ok(record) => {
                    state.decks[index].valid += usize::from(record.is_valid());
                    state.done.push(record);
                }
                Err(error) => state.error = Some(error),
            }
            self.changed.notify_all();
        }
    }

    fn try_one(
        &self,
        file: &str,
        mutation: &Mutation,
        shown: &Shown,
        copy: usize,
        place: &Path,
    ) -> Result<Record, String> {
        let equivalent = self
            .equivalents
            .iter()
            .find(|equivalent| equivalent.is(file, shown));
        let (verdict, cost) = self.bench.try_mutant(
            file,
            mutation,
            &order_for(file),
            place,
            equivalent.is_some(),
        )?;
        let mut record = Record {
            file: file.to_owned(),
            operator: mutation.operator.name().to_owned(),
            line: shown.line,
            within: shown.within.clone(),
            before: shown.before.clone(),
            after: shown.after.clone(),
            copy,
            verdict: String::new(),
            reason: None,
            found: None,
            machines: Vec::new(),
            build_seconds: cost.build_seconds,
            run_seconds: cost.run_seconds,
        };
        let verdict = match verdict {
            Verdict::NotCompiling(why) => {
                record.reason = Some(why);
                "not compiling"
            }
            Verdict::SameMachine => "same machine",
            Verdict::Killed(machine, found) => {
                if equivalent.is_some() {
                    let shown = report::diff(file, mutation.operator.name(), shown);
                    return Err(format!(
                        "equivalent.toml is wrong: {} finds {} in\n{shown}",
                        found.by, found.signal
                    ));
                }
                record.machines = vec![machine.name.to_owned()];
                record.found = Some(found);
                "killed"
            }
            Verdict::Survived(machines) => {
                record.machines = machines
                    .iter()
                    .map(|machine| machine.name.to_owned())
                    .collect();
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

    /// Writes a record down, and says so.
    fn keep(&self, state: &mut State, record: Record) -> Result<Record, String> {
        let line = serde_json::to_string(&record).map_err(|error| error.to_string())?;
        writeln!(state.log, "{line}").map_err(|error| error.to_string())?;
        let valid: usize = state.decks.iter().map(|deck| deck.valid).sum();
        let by = record.found.as_ref().map_or(String::new(), |found| {
            format!(" by {} ({})", found.by, found.signal)
        });
        eprintln!(
            "{:6.0} s {valid:4} of {}: rtl/{}:{} {}: {}{by} on {} [build {:.1} s, run {:.1} s]",
            self.begin.elapsed().as_secs_f64(),
            self.count,
            record.file,
            record.line,
            record.operator,
            record.verdict,
            record.machines.join(", "),
            record.build_seconds,
            record.run_seconds
        );
        Ok(record)
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
                known,
                done: Vec::new(),
                error: None,
                log,
            }),
            changed: Condvar::new(),
            bench: &bench,
            equivalents: &equivalents,
            count: drawn.count,
            begin: Instant::now(),
        };
        eprintln!("{}", results.display());
        std::thread::scope(|scope| {
            for job in 0..self.jobs.max(1) {
                let place = folder.join(format!("work-{job}"));
                let shared = &shared;
                scope.spawn(move || shared.work(&place));
            }
        });
        let seconds = shared.begin.elapsed().as_secs_f64();
        let state = shared
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for job in 0..self.jobs.max(1) {
            // What is left there is of no use; that it cannot be removed is no trouble.
            let _ = fs::remove_dir_all(folder.join(format!("work-{job}")));
        }
        if let Some(error) = state.error {
            return Err(error);
        }
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
