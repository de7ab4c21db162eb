//! What the guard counts the instructions of: a trace through the model, many at a time.
//!
//! Contract: 13.1. SDM: none. Counterpart: `.ci/guard`, which runs this under callgrind.
//!
//! `guard WAY COUNT [TRACE]`: the first COUNT references of the shipped trace, or of another, by `references` (one at a time), `runs`, `alone` (one at a time, each
//! with its answer), `window` (16 outstanding), or `nothing` (everything but that, to be taken off the others).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use twinwalk::cli::run::requests;
use twinwalk::config::{Source, load};
use twinwalk::model::{Answered, FrontEnd, Memory, OneAtATime};
use twinwalk::trace::open::open;
use twinwalk::trace::{MemoryReference, OpenOptions, PageSplit, References, Run, RunBuilder};

fn main() -> ExitCode {
    match run() {
        Ok(cycles) => {
            println!("{cycles}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<u64, Box<dyn Error>> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let (way, count, other) = match &words[..] {
        [way, count] => (way, count, None),
        [way, count, other] => (way, count, Some(other)),
        _ => return Err("guard WAY COUNT [TRACE]".into()),
    };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/gcc10m.twt.zst");
    let trace = other.map_or(shipped, PathBuf::from);
    let reader = open(&trace, OpenOptions::default())?;
    let references = PageSplit::new(References::new(reader)).take(count.parse()?);
    let references: Vec<MemoryReference> = references.collect::<Result<_, _>>()?;
    let mut config = load(&Source::Preset("textbook".to_owned()), &[])?.config;
    if way == "window" {
        config.front_end.window = 16;
        config.walkers.count = 4;
    }
    let mapping = requests::mapping(&config)?;
    let mut memory = Memory::new(&config.memory, config.mapping.seed);
    for entry in mapping.build(references.iter().map(|reference| reference.address()))? {
        memory
            .write_u64(entry.address.raw(), entry.value)
            .map_err(|_| "a table lies outside memory")?;
    }
    let mut runs: Vec<Run> = Vec::new();
    let mut builder = RunBuilder::new();
    for reference in &references {
        builder.push(*reference, &mut |run| runs.push(run));
    }
    builder.finish(&mut |run| runs.push(run));
    let privilege = requests::privilege(&config);
    let access = requests::access(privilege);
    let boot = requests::boot(&config, &mapping);
    let ready = &mut |_: &mut FrontEnd, _: u64| true;
    if way == "alone" {
        let mut one = OneAtATime::new(&config, memory);
        for operation in &boot {
            one.control(operation);
        }
        for reference in &references {
            let (port, request) = requests::request(reference, privilege);
            std::hint::black_box(one.translate(port, &request).response.pa);
        }
        return Ok(one.cycles());
    }
    let mut front_end = FrontEnd::new(&config, memory);
    for operation in &boot {
        front_end.control(operation, &mut |_: &Answered| {});
    }
    match way.as_str() {
        "nothing" => {}
        "references" | "window" => {
            front_end.translate_all(&references, &access, requests::asked, ready);
        }
        "runs" => front_end
            .translate_runs(&runs, &access, requests::run, ready)
            .map_err(|_| "the machine does not take the runs")?,
        other => return Err(format!("{other}: no such way").into()),
    }
    front_end.finish(&mut |_: &Answered| {});
    Ok(front_end.cycles())
}
