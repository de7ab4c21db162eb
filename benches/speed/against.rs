//! The model beside a simulator without time, on the machine of the textbook.
//!
//! Contract: 13.1. SDM: none. Counterpart: `timeless.cpp`.
//!
//! In the memory of either side the trace lies as references, and as runs; neither reads a file, nor draws up runs, nor makes page tables
//! while the clock runs, but for the whole command, which does all three.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::clock::Clock;
use super::timeless::{self, Misses, Timeless};
use super::{Outcome, PASSES, TRACE, against_due};
use twinwalk::cli::run::requests;
use twinwalk::cli::table;
use twinwalk::config::{Config, Source, load};
use twinwalk::model::{Answered, FrontEnd, Memory, Operation, Statistics};
use twinwalk::trace::open::open;
use twinwalk::trace::{
    Content, MemoryReference, Metadata, OpenOptions, PageSet, ReferenceKind, References, Run,
    RunBuilder, TraceFile,
};

/// References of the window of one row, walkers, and the bandwidth of memory: accesses under way, and cycles from one accept to the next.
const WINDOW: u32 = 16;
const WALKERS: u32 = 4;
const MEMORY_OUTSTANDING: u32 = 10;
const MEMORY_INTERVAL_CYCLES: u32 = 2;
/// GUPS: pairs of a load and a store, the first address, the bytes, the seed.
const GUPS: (usize, u64, u64, u64) = (500_000, 0x7e00_0000_0000, 4 << 30, 88_172_645_463_325_252);

/// A trace, and the least ratios that are due: fed references, fed runs, in a window, and the whole command; 0: none.
struct Workload {
    name: String,
    references: Vec<MemoryReference>,
    due: [f64; 4],
}

/// Measures and prints.
pub fn run(further: &[PathBuf]) -> Outcome<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed");
    std::fs::create_dir_all(&work)?;
    let program = timeless::build(root, &work)?;
    let mut workloads = vec![read(&root.join(TRACE))?];
    for path in further {
        workloads.push(read(path)?);
    }
    workloads.push(gups());
    println!(
        "Beside a simulator without time: machine preset:textbook, {PASSES} passes of each side that take turns, {}.\n\
         Model: rustc, {}. Timeless: {}.",
        Clock::name(),
        flags(),
        timeless::COMPILER
    );
    for workload in &workloads {
        compare(&program, &work, workload)?;
    }
    Ok(())
}

const fn flags() -> &'static str {
    match (cfg!(debug_assertions), cfg!(target_feature = "avx2")) {
        (true, _) => "with debug assertions",
        (_, true) => "optimised, for this computer (native)",
        (_, false) => "optimised, for any computer of its kind",
    }
}

/// The ratios that are due of a trace of that name.
fn due(name: &str) -> [f64; 4] {
    match name {
        "gcc10m" => [1.0, 3.0, 0.5, 0.8],
        "hashjoin10m" => [1.0, 0.0, 0.15, 0.0],
        "gups1m" => [0.6, 0.0, 0.2, 0.0],
        _ => [0.0; 4],
    }
}

fn read(path: &Path) -> Outcome<Workload> {
    eprintln!("reading {}", path.display());
    let reader = open(path, OpenOptions::default())?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file.split('.').next().unwrap_or_default().to_owned();
    Ok(Workload {
        references: References::new(reader).collect::<Result<_, _>>()?,
        due: due(&name),
        name,
    })
}

/// Updates of random words, by Marsaglia's generator of shifts and XORs.
fn gups() -> Workload {
    let (pairs, base, bytes, mut x) = GUPS;
    let mut references = Vec::with_capacity(2 * pairs);
    for _ in 0..pairs {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let address = base + (x % (bytes / 8)) * 8;
        for kind in [ReferenceKind::Load, ReferenceKind::Store] {
            references.extend(MemoryReference::new(kind, address, 8));
        }
    }
    Workload {
        name: "gups1m".to_owned(),
        references,
        due: due("gups1m"),
    }
}

/// A machine, with the tables of a trace in memory, in which nothing was asked yet.
struct Machine {
    config: Config,
    memory: Memory,
    boot: [Operation; 4],
}

impl Machine {
    fn new(config: Config, references: &[MemoryReference]) -> Outcome<Self> {
        let mapping = requests::mapping(&config)?;
        let mut memory = Memory::new(&config.memory, config.mapping.seed);
        let mut pages = PageSet::new();
        for reference in references {
            let (first, second) = reference.split();
            pages.insert(first.address());
            if let Some(second) = second {
                pages.insert(second.address());
            }
        }
        for entry in mapping.build_for(&pages)? {
            memory
                .write_u64(entry.address.raw(), entry.value)
                .map_err(|_| "a table lies outside memory")?;
        }
        Ok(Self {
            boot: requests::boot(&config, &mapping),
            config,
            memory,
        })
    }

    /// Seconds of `feed`, and what the machine then has counted.
    fn time(&self, feed: impl FnOnce(&mut FrontEnd)) -> (f64, Statistics) {
        let mut front_end = FrontEnd::new(&self.config, self.memory.clone());
        for operation in &self.boot {
            front_end.control(operation, &mut |_: &Answered| {});
        }
        let clock = Clock::start();
        feed(&mut front_end);
        front_end.finish(&mut |_: &Answered| {});
        (clock.seconds(), front_end.statistics().clone())
    }
}

/// Seconds of each side, pass by pass.
#[derive(Default)]
struct Sides {
    timeless: Vec<timeless::Pass>,
    /// Fed references, runs, references in a window; the whole command.
    model: [Vec<f64>; 4],
}

fn compare(program: &Path, work: &Path, workload: &Workload) -> Outcome<()> {
    let references = &workload.references;
    eprintln!("{}: {} references", workload.name, references.len());
    let mut runs: Vec<Run> = Vec::new();
    let mut builder = RunBuilder::new();
    for reference in references {
        builder.push(*reference, &mut |run| runs.push(run));
    }
    builder.finish(&mut |run| runs.push(run));
    let textbook = load(&Source::Preset("textbook".to_owned()), &[])?.config;
    let machine = Machine::new(textbook.clone(), references)?;
    let mut windowed = textbook;
    windowed.front_end.window = WINDOW;
    windowed.walkers.count = WALKERS;
    windowed.memory.outstanding = MEMORY_OUTSTANDING;
    windowed.memory.accept_interval_cycles = MEMORY_INTERVAL_CYCLES;
    windowed.miss_queue.entries = WINDOW;
    windowed.ports.queue_entries = WINDOW;
    let windowed = Machine::new(windowed, references)?;
    let access = requests::access(requests::privilege(&machine.config));
    let path = work.join("runs.twr.zst");
    write_runs(&path, &runs, references)?;

    let mut timeless = Timeless::start(program, &work.join("timeless.words"), references)?;
    let mut sides = Sides::default();
    let mut window_cycles = 0;
    let ready = &mut |_: &mut FrontEnd, _: u64| true;
    for _ in 0..PASSES {
        let (pass, misses) = timeless.pass()?;
        sides.timeless.push(pass);
        let (seconds, one) = machine.time(|front_end| {
            front_end.translate_all(references, &access, requests::asked, ready);
        });
        sides.model[0].push(seconds);
        let (seconds, other) = machine.time(|front_end| {
            let served = front_end.translate_runs(&runs, &access, requests::run, ready);
            assert!(served.is_ok(), "the machine of the textbook takes runs");
        });
        sides.model[1].push(seconds);
        if one != other || misses_of(&one) != misses {
            return Err("the sides have not counted the same".into());
        }
        let (seconds, windowed) = windowed.time(|front_end| {
            front_end.translate_all(references, &access, requests::asked, ready);
        });
        sides.model[2].push(seconds);
        window_cycles = windowed.cycles;
        sides.model[3].push(command_seconds(&path)?);
    }
    report(workload, runs.len(), &sides, window_cycles);
    Ok(())
}

/// What the simulator without time counts, too.
fn misses_of(counted: &Statistics) -> Misses {
    let s = counted;
    let (i, d) = (&s.itlb, &s.dtlb);
    [i.lookups, d.lookups, i.misses, d.misses, s.stlb.misses]
}

fn write_runs(path: &Path, runs: &[Run], references: &[MemoryReference]) -> Outcome<()> {
    let metadata = Metadata {
        source: None,
        fetches_are_instructions: true,
    };
    let mut file = TraceFile::create_with(path, metadata, Content::Runs)?;
    for reference in references {
        file.push(*reference)?;
    }
    let written = file.finish()?;
    if written.runs < Some(runs.len() as u64) {
        return Err("the file has fewer runs than the trace".into());
    }
    Ok(())
}

/// The whole command, from the file to the answer, by time of day.
fn command_seconds(path: &Path) -> Outcome<f64> {
    let begin = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["run", "--json", "--config", "preset:textbook", "--trace"])
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let seconds = begin.elapsed().as_secs_f64();
    if status.success() {
        Ok(seconds)
    } else {
        Err(format!("twinwalk run: {status}").into())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(workload: &Workload, runs: usize, sides: &Sides, window_cycles: u64) {
    let count = workload.references.len() as f64;
    let names = [
        "one at a time, fed references".to_owned(),
        "one at a time, fed runs".to_owned(),
        format!(
            "{WINDOW} outstanding, {WALKERS} walkers; memory: {MEMORY_OUTSTANDING} under way, one every {MEMORY_INTERVAL_CYCLES} cycles"
        ),
        "whole command, runs, .zst".to_owned(),
    ];
    let ratio = |model: &[f64], side: fn(&timeless::Pass) -> f64| {
        let passes = sides.timeless.iter().zip(model);
        median(
            passes
                .map(|(timeless, model)| side(timeless) / model)
                .collect(),
        )
    };
    let mut rows = Vec::new();
    for ((name, model), due) in names.into_iter().zip(&sides.model).zip(workload.due) {
        let to_textbook = ratio(model, |pass| pass.references);
        rows.push(vec![
            name,
            format!("{:.1}", count / median(model.clone()) / 1e6),
            format!("{to_textbook:.2}"),
            if due > 0.0 {
                against_due(to_textbook, due)
            } else {
                "-".to_owned()
            },
            format!("{:.2}", ratio(model, |pass| pass.runs)),
            format!("{:.2}", ratio(model, |pass| pass.ordered_references)),
            format!("{:.2}", ratio(model, |pass| pass.ordered_runs)),
        ]);
    }
    let side = |pick: fn(&timeless::Pass) -> f64| {
        let seconds = median(sides.timeless.iter().map(pick).collect());
        format!("{:.0}", count / seconds / 1e6)
    };
    println!(
        "\n{}: {} references, {runs} runs; in a window {:.2} cycles each. Timeless, million references a second: time stamps {}, from runs {}; \
         ways in order {}, from runs {}.",
        workload.name,
        workload.references.len(),
        window_cycles as f64 / count,
        side(|pass| pass.references),
        side(|pass| pass.runs),
        side(|pass| pass.ordered_references),
        side(|pass| pass.ordered_runs),
    );
    print!(
        "{}",
        table(
            &[
                "model",
                "million a second",
                "to time stamps",
                "due",
                "to those from runs",
                "to ordered",
                "to those from runs",
            ],
            &rows
        )
    );
}
