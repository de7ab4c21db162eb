//! Every parameter acts: what a row of the table says, and how a row is judged on the commands as a user runs them.
//!
//! Contract: 2 (parameters), 13 (memory, front end). SDM: none. Counterpart: none.

pub mod table;
#[cfg(feature = "rtl")]
pub mod twins;
pub mod work;

use std::ffi::OsString;
use std::io::{Write, sink};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use twinwalk::cli::{self, Context};
use twinwalk::config::schema::{self, Rule};
use twinwalk::config::{Config, Source, load};

use work::Work;

/// Where the figure of every value lies that is not the row's first, seen from that of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// Theory says above.
    Up,
    /// Theory says below.
    Down,
    /// Theory says elsewhere.
    Away,
    /// The value is refused, as one that nothing but another level may have: the error names the key.
    Refused,
}

/// A parameter, the machine and the work that make it act, and the figure that shows it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The parameter, as [`schema::keys`] names it: `N` for the index of an array, which is 0 here.
    pub key: &'static str,
    /// What differs from the default machine, by `KEY=VALUE`.
    pub base: &'static [&'static str],
    /// The values, as TOML has them. The RTL runs the first two.
    pub values: &'static [&'static str],
    /// What runs.
    pub work: Work,
    /// The figure: the place in the object of `run --json` or, of a single access, of `explain --json`.
    pub figure: &'static str,
    /// Where it goes.
    pub moves: Moves,
}

impl Row {
    /// The settings of the machine with a value.
    pub fn settings(&self, value: &str) -> Vec<String> {
        let base = self.base.iter().map(|text| (*text).to_owned());
        let key = self.key.replace(".N.", ".0.");
        base.chain([format!("{key}={value}")]).collect()
    }

    /// The machine with a value, which must be a valid one.
    pub fn config(&self, value: &str) -> Config {
        let loaded = load(&Source::Default, &self.settings(value));
        loaded
            .unwrap_or_else(|error| panic!("{}: {error}", self.key))
            .config
    }

    /// The machines that the RTL is built for: those of the first two values.
    pub fn pair(&self) -> [Config; 2] {
        [0, 1].map(|at| self.config(self.values[at]))
    }

    /// Whether the first two values are one machine of the RTL: what differs stands around it.
    pub fn is_outside_the_rtl(&self) -> bool {
        let [first, second] = self.pair();
        first.rtl_parameters() == second.rtl_parameters()
    }

    /// Holds the row against the commands on the model.
    ///
    /// # Errors
    /// What does not hold.
    pub fn judge(&self) -> Result<(), String> {
        let Some((first, others)) = self.values.split_first() else {
            return Err(format!("{}: there is no value", self.key));
        };
        if others.is_empty() {
            return Err(format!("{}: there is no second value", self.key));
        }
        let before = self.figure_of(first)?;
        for other in others {
            self.judge_value(&before, first, other)?;
        }
        Ok(())
    }

    fn judge_value(&self, before: &Json, first: &str, other: &str) -> Result<(), String> {
        let place = format!("{} from {first} to {other}", self.key);
        let answer = self.work.answer(&self.settings(other));
        if self.moves == Moves::Refused {
            let error = answer["error"].as_str().unwrap_or_default();
            let key = self.key.replace(".N.", ".0.");
            return if answer["exit"] == 2 && error.contains(&key) {
                Ok(())
            } else {
                Err(format!("{place}: is not refused by its name: {answer}"))
            };
        }
        if self.config(first).hash() == self.config(other).hash() {
            return Err(format!("{place}: is the same machine"));
        }
        let after = self.figure_in(&answer)?;
        let holds = match (self.moves, before.as_f64(), after.as_f64()) {
            (Moves::Up, Some(before), Some(after)) => after > before,
            (Moves::Down, Some(before), Some(after)) => after < before,
            (Moves::Away, _, _) => after != *before,
            _ => false,
        };
        if holds {
            return Ok(());
        }
        Err(format!(
            "{place}: {} was {before} and is {after}, which is not {:?}",
            self.figure, self.moves
        ))
    }

    /// The figure with a value.
    fn figure_of(&self, value: &str) -> Result<Json, String> {
        self.figure_in(&self.work.answer(&self.settings(value)))
    }

    fn figure_in(&self, answer: &Json) -> Result<Json, String> {
        let found = answer.pointer(self.figure).filter(|found| !found.is_null());
        found
            .cloned()
            .ok_or_else(|| format!("{}: no figure {} in {answer}", self.key, self.figure))
    }
}

/// What is wrong with `rows` as the table of all parameters: those that have no row, rows of none, words of a choice that no row has.
pub fn gaps(rows: &[Row]) -> Vec<String> {
    let keys = schema::keys();
    let mut gaps = Vec::new();
    for key in &keys {
        let of_key = || rows.iter().filter(|row| row.key == key.path);
        if of_key().next().is_none() {
            gaps.push(format!("{} has no row", key.path));
        }
        if let Rule::Choice(words) = &key.rule {
            let covered = |word: &String| {
                of_key().any(|row| row.values.contains(&format!("\"{word}\"").as_str()))
            };
            let words = words.iter().filter(|word| !covered(word));
            gaps.extend(words.map(|word| format!("{}: no row has \"{word}\"", key.path)));
        }
    }
    let strange = rows
        .iter()
        .filter(|row| !keys.iter().any(|key| key.path == row.key));
    gaps.extend(strange.map(|row| format!("{} is no parameter", row.key)));
    gaps
}

/// A writer whose bytes can be read afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The object that `twinwalk ARGUMENTS... --json` prints, and under `exit` its exit code.
pub fn command(arguments: &[String]) -> Json {
    let all = ["twinwalk", "--json"].into_iter().map(OsString::from);
    let all: Vec<_> = all.chain(arguments.iter().map(OsString::from)).collect();
    let stdout = Shared::default();
    let context = Context::on(true, Box::new(stdout.clone()), Box::new(sink()));
    let code = cli::run(&all, context);
    let bytes = stdout.0.lock().expect("no panic").clone();
    let mut answer: Json = serde_json::from_slice(&bytes).expect("one JSON value");
    answer["exit"] = json!(code);
    answer
}
