//! Short histories on both twins: run in lockstep against the reference, then recorded, so that a test can say what must and must not
//! be seen.
//!
//! Contract: none. SDM: none. Counterpart: `docs/stim.md`, the language of the histories.
//!
//! With `TWINWALK_SEEDED_RTL` naming a bug of `tests/seeded`, a history runs on the RTL with that bug and on nothing else: what then fails is
//! what the test itself asserts, not the comparison of the twins.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;

use twinwalk::config::Config;
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::lockstep::{Options, Report};
use twinwalk::cosim::rtl::Library;
use twinwalk::cosim::stimulus::parse::parse;
use twinwalk::golden::trace::record;
use twinwalk::model::Mmu;

use super::{QUICK, library, rtl, run_stimulus};

/// The name of the bug that the RTL of this run has, if any.
pub const SEEDED: &str = "TWINWALK_SEEDED_RTL";

/// What a test says as soon as it has RTL with the bug. One that fails before that has shown nothing.
const BUILT: &str = "this RTL has the bug";

/// What a history did.
pub struct History {
    /// Of the run in lockstep.
    pub report: Report,
    /// What the RTL did, as text; of the model it is the same.
    pub trace: String,
}

/// The recipe of `config`, with the seeded bug if there is one.
fn recipe(config: &Config, seeded: Option<&str>) -> Recipe {
    let mut recipe = Recipe::new(config, QUICK);
    if let Some(name) = seeded {
        let bugs = crate::seeded_support::bugs();
        let bug = bugs.iter().find(|bug| bug.name == name);
        for edit in &bug.expect("a bug has that name").edit {
            let file = edit.file.strip_prefix("rtl/").expect("a bug of the RTL");
            recipe
                .patch(file, &edit.find, &edit.replace)
                .expect("the passage is there");
        }
    }
    recipe
}

/// The RTL of `config`, found once in each thread.
fn machine(config: &Config, seeded: Option<&str>) -> Rc<Library> {
    type Found = Vec<(Vec<(&'static str, u64)>, Rc<Library>)>;
    thread_local!(static FOUND: RefCell<Found> = const { RefCell::new(Vec::new()) });
    let parameters = config.rtl_parameters();
    FOUND.with_borrow_mut(|found| {
        if let Some((_, library)) = found.iter().find(|(known, _)| *known == parameters) {
            return Rc::clone(library);
        }
        let library = Rc::new(library(&recipe(config, seeded)));
        if seeded.is_some() {
            println!("{BUILT}");
        }
        found.push((parameters, Rc::clone(&library)));
        library
    })
}

/// Runs a stimulus, given without its first line.
#[track_caller]
pub fn run(text: &str) -> History {
    let stimulus = match parse("history", &format!("twinwalk-stim 1\n{text}")) {
        Ok(stimulus) => stimulus,
        Err(error) => panic!("the history is not valid: {error}\n{text}"),
    };
    let config = stimulus.setup.machine("history").expect("it fits");
    let seeded = std::env::var(SEEDED).ok();
    let library = machine(&config, seeded.as_deref());
    let report = run_stimulus(&stimulus, &config, &library, Options::default());
    let trace = record("history", &stimulus, &config, rtl(&config, &library, 1));
    let trace = trace.unwrap_or_else(|finding| panic!("the RTL does not run: {finding:?}\n{text}"));
    if seeded.is_none() {
        assert_eq!(report.finding, None, "{text}");
        let of_model = record("history", &stimulus, &config, Mmu::new(&config)).expect("it runs");
        assert_eq!(trace, of_model, "{text}");
    }
    History { report, trace }
}

/// How many lines have all of `words`.
pub fn lines(trace: &str, words: &[&str]) -> usize {
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    trace.lines().filter(has_all).count()
}

/// What follows the last line that has `mark`.
#[track_caller]
pub fn after<'a>(trace: &'a str, mark: &str) -> &'a str {
    let at = trace.rfind(mark);
    &trace[at.unwrap_or_else(|| panic!("there is no `{mark}`:\n{trace}"))..]
}

/// The responses in the order of the trace, each from its port on.
pub fn responses(trace: &str) -> Vec<&str> {
    let is_response = |line: &&str| line.split_whitespace().nth(1) == Some("response");
    trace
        .lines()
        .filter(is_response)
        .filter_map(|line| line.split_once("response "))
        .map(|(_, what)| what.trim())
        .collect()
}

/// Asserts that the responses are these, in this order; each is given by its last part.
///
/// A fault is given up to its code, as in `page fault at 0x1000, error code 0x5`.
#[track_caller]
pub fn answers(trace: &str, expected: &[&str]) {
    let found = responses(trace);
    let same = |(is, due): (&&str, &&str)| {
        // "data1 #0 pa 0x9000 4k pat": the port and the number do not matter.
        let what = is.splitn(3, ' ').nth(2).unwrap_or_default();
        let what = what.split_once(" (").map_or(what, |(what, _)| what);
        what == *due
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(same);
    assert!(all, "found {found:#?}, not {expected:#?}, in\n{trace}");
}

/// How many walks start.
pub fn walks(trace: &str) -> usize {
    lines(trace, &[" walk  ", "starts"])
}

/// The last stretch of a trace with all that happens behind its last request.
#[track_caller]
pub fn last_request(trace: &str) -> &str {
    after(trace, " request ")
}

/// Runs a test of a module of this binary on RTL with a bug, for each pair of a bug and a test: the tests that do not fail, with what they
/// say.
///
/// A test that fails for want of that RTL (no such bug, its passage is gone, it does not compile) is among them.
pub fn that_pass_with_a_bug(module: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let binary = std::env::current_exe().expect("the test has a name");
    let mut passing = Vec::new();
    for (bug, test) in pairs {
        let run = Command::new(&binary)
            .args(["--exact", &format!("{module}::{test}")])
            .env(SEEDED, bug)
            .output()
            .expect("the test runs");
        let said = String::from_utf8_lossy(&run.stdout);
        let failed = said.contains("test result: FAILED. 0 passed; 1 failed");
        let built = said.contains(BUILT);
        let verdict = match (failed, built) {
            (true, true) => "fails",
            (true, false) => "NEVER HAD THE BUG",
            (false, _) => "PASSES",
        };
        println!("{bug}: {test} {verdict}");
        if !(failed && built) {
            passing.push(format!("{bug} in {test}: {said}"));
        }
    }
    passing
}
