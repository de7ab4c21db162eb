//! The model beside the verilated RTL and a bare CAM, and the ratio that the model must reach.
//!
//! Contract: 13, and the front end of `src/model/front_end.rs`. SDM: none. Counterpart: `cam.sv` and `cam.cpp`, the CAM.
//!
//! Model and RTL run the same references, one at a time and then in a window, from the same page tables, which are made before the clock
//! starts, as is the reading of the trace. The clock is the processor time of this thread, where the system tells it, so that other programs do not count; passes of all
//! sides take turns, and their medians are compared. The RTL is built as fast as it gets: -O2, no assertions, waves, coverage, no comparison, no statistics. The model counts all its statistics.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::clock::Clock;
use super::{Outcome, PASSES, TRACE, against_due};
use twinwalk::cli::run::requests;
use twinwalk::cli::{grouped, table};
use twinwalk::config::Config;
use twinwalk::cosim::cache::Cache;
use twinwalk::cosim::library::{Provider, Recipe};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::ticked::Ticked;
use twinwalk::cosim::verilate::Flags;
use twinwalk::model::{Answered, FrontEnd, Memory, OneAtATime, Operation};
use twinwalk::trace::open::open;
use twinwalk::trace::{MemoryReference, OpenOptions, PageSplit, References};

/// The ratio of references a second, model to RTL, that is due: one at a time, and in a window.
const DUE_RATIO: f64 = 400.0;
const DUE_RATIO_WINDOWED: f64 = 50.0;
/// The least of both that is a success.
const LEAST_RATIO: f64 = 100.0;
const LEAST_RATIO_WINDOWED: f64 = 50.0;
/// The part of the CAM's cycles a second that is due of the RTL: it is no slouch that makes the model look fast.
const DUE_OF_CAM: f64 = 0.1;
/// References of the front end's window, in the second part.
const FRONT_END_WINDOW: u32 = 16;
/// Runs of the model through the whole trace, windowed, in a pass.
const WINDOWED_ROUNDS: u64 = 1;
/// Runs of the model through the whole trace in a pass, so that it lasts long enough for any clock.
const MODEL_ROUNDS: u64 = 5;
/// References from the start of the trace that a pass of the RTL takes.
const WINDOW_REFERENCES: usize = 400_000;
/// Runs of the model through that window in a pass.
const WINDOW_ROUNDS: u64 = 100;
/// Cycles of a pass of the CAM.
const CAM_CYCLES: u64 = 2_000_000;

/// Measures and prints; whether the model is as many times as fast as the RTL as it must be.
pub fn run() -> Outcome<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed");
    std::fs::create_dir_all(&work)?;
    eprintln!("building the RTL and the CAM, if they are not there from last time");
    let flags = Flags {
        assertions: false,
        ..Flags::DEFAULT
    };
    let config = Config::default();
    let provider = Provider::open(&work.join("machines"), Cache::DEFAULT_LIMIT_BYTES)?;
    let library = provider.loaded_library(&Recipe::new(&config, flags), &mut |_| {})?;
    let cam = build_cam(root, &work)?;
    eprintln!("reading {TRACE}");
    let begin = Instant::now();
    let workload = Workload::read(&config, &root.join(TRACE))?;
    let prepared = begin.elapsed().as_secs_f64();
    let windowed = workload.windowed();

    let mut sides = Sides::default();
    for pass in 1..=PASSES {
        eprintln!("pass {pass} of {PASSES}");
        sides
            .model
            .push(workload.model(workload.references.len(), MODEL_ROUNDS));
        sides.rtl.push(workload.rtl(&library, WINDOW_REFERENCES)?);
        sides
            .model_window
            .push(workload.model(WINDOW_REFERENCES, WINDOW_ROUNDS));
        sides.cam.push(cam_seconds(&cam)?);
        sides
            .windowed
            .push(windowed.model_windowed(windowed.references.len(), WINDOWED_ROUNDS));
        sides
            .rtl_windowed
            .push(windowed.rtl_windowed(&library, WINDOW_REFERENCES)?);
        sides
            .windowed_window
            .push(windowed.model_windowed(WINDOW_REFERENCES, WINDOW_ROUNDS / 10));
    }
    let (model, rtl) = (Median::of(&sides.model), Median::of(&sides.rtl));
    let window = Median::of(&sides.model_window);
    window.must_agree(&rtl)?;
    let (model_w, rtl_w) = (Median::of(&sides.windowed), Median::of(&sides.rtl_windowed));
    let window_w = Median::of(&sides.windowed_window);
    window_w.must_agree(&rtl_w)?;
    print!("{}", report(&model, &window, &rtl, &sides, prepared));
    print!("{}", report_windowed(&model_w, &window_w, &rtl_w));
    let ratio = model.references_per_second() / rtl.references_per_second();
    let ratio_w = model_w.references_per_second() / rtl_w.references_per_second();
    println!(
        "Model to RTL, references a second: {ratio:.0} times one at a time ({}), {ratio_w:.0} times in a window of {FRONT_END_WINDOW} ({})",
        against_due(ratio, DUE_RATIO),
        against_due(ratio_w, DUE_RATIO_WINDOWED)
    );
    let per_cam = rtl_over_cam(&rtl, &sides);
    println!(
        "RTL to CAM, cycles a second: {per_cam:.2} ({})",
        against_due(per_cam, DUE_OF_CAM)
    );
    Ok(ratio >= LEAST_RATIO && ratio_w >= LEAST_RATIO_WINDOWED)
}

/// Cycles a second of the RTL, of those of the CAM.
fn rtl_over_cam(rtl: &Median, sides: &Sides) -> f64 {
    let mut cams = sides.cam.clone();
    cams.sort_by(f64::total_cmp);
    (rtl.cycles as f64 / rtl.seconds) * cams[cams.len() / 2] / CAM_CYCLES as f64
}

const HEADLINE: [&str; 6] = [
    "",
    "translations",
    "cycles each",
    "million a second",
    "million cycles/s",
    "passes",
];

fn report(model: &Median, window: &Median, rtl: &Median, sides: &Sides, prepared: f64) -> String {
    let mut cams = sides.cam.clone();
    cams.sort_by(f64::total_cmp);
    let cam = CAM_CYCLES as f64 / cams[cams.len() / 2];
    let mut rows = vec![
        model.row("model, whole trace"),
        window.row("model, its beginning"),
        rtl.row("RTL, its beginning"),
    ];
    let spread = format!("{:.3}..{:.3} s", cams[0], cams[cams.len() - 1]);
    rows.push(vec![
        "CAM of 64 entries".into(),
        "-".into(),
        "-".into(),
        "-".into(),
        millions(cam),
        spread,
    ]);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Default machine, {TRACE}, 4k pages, one reference at a time; medians of {PASSES} passes that take turns, one thread, {}.\n\
         Model: {}. RTL: verilated, g++ -O2; no assertions, waves, coverage, comparison or statistics. CAM: g++ -O2.\n\
         Reading the trace and making the page tables ({prepared:.2} s) is outside of every figure.",
        Clock::name(),
        if cfg!(debug_assertions) {
            "with debug assertions"
        } else {
            "optimised build, no debug assertions; counts its statistics"
        },
    );
    text.push_str(&table(&HEADLINE, &rows));
    let per_cycle = (model.cycles as f64 / model.seconds) / (rtl.cycles as f64 / rtl.seconds);
    let _ = writeln!(
        text,
        "Model to RTL, cycles a second: {per_cycle:.0} times; on the beginning alone, references a second: {:.0} times.\n\
         CAM to RTL, cycles a second: {:.1} times.",
        window.references_per_second() / rtl.references_per_second(),
        cam / (rtl.cycles as f64 / rtl.seconds),
    );
    text
}

fn report_windowed(model: &Median, window: &Median, rtl: &Median) -> String {
    let rows = [
        model.row("model, whole trace"),
        window.row("model, its beginning"),
        rtl.row("RTL, its beginning"),
    ];
    format!(
        "\nThe same in a window of {FRONT_END_WINDOW} references, without a gap.\n{}\
         Model to RTL, on the beginning alone, references a second: {:.0} times.\n",
        table(&HEADLINE, &rows),
        window.references_per_second() / rtl.references_per_second(),
    )
}

fn millions(per_second: f64) -> String {
    format!("{:.2}", per_second / 1e6)
}

/// Of the physical addresses in their order: what either side is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Checksum(u64);

impl Checksum {
    #[inline]
    fn add(&mut self, address: u64) {
        self.0 = self.0.rotate_left(1) ^ address;
    }
}

/// One pass of one side.
#[derive(Clone, Copy)]
struct Pass {
    references: u64,
    cycles: u64,
    checksum: Checksum,
    seconds: f64,
}

#[derive(Default)]
struct Sides {
    model: Vec<Pass>,
    model_window: Vec<Pass>,
    rtl: Vec<Pass>,
    cam: Vec<f64>,
    windowed: Vec<Pass>,
    windowed_window: Vec<Pass>,
    rtl_windowed: Vec<Pass>,
}

/// The median of the passes of one side, which all had the same work.
struct Median {
    references: u64,
    cycles: u64,
    checksum: Checksum,
    seconds: f64,
    fastest: f64,
    slowest: f64,
}

impl Median {
    fn of(passes: &[Pass]) -> Self {
        let mut seconds: Vec<f64> = passes.iter().map(|pass| pass.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        Self {
            references: passes[0].references,
            cycles: passes[0].cycles,
            checksum: passes[0].checksum,
            seconds: seconds[seconds.len() / 2],
            fastest: seconds[0],
            slowest: seconds[seconds.len() - 1],
        }
    }

    fn references_per_second(&self) -> f64 {
        self.references as f64 / self.seconds
    }

    /// Both must have had the same answers in the same time.
    fn must_agree(&self, rtl: &Self) -> Outcome<()> {
        if (self.cycles, self.checksum) == (rtl.cycles, rtl.checksum) {
            return Ok(());
        }
        Err(format!(
            "model and RTL differ: {} and {} cycles, addresses {:?} and {:?}",
            self.cycles, rtl.cycles, self.checksum, rtl.checksum
        )
        .into())
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            grouped(self.references),
            format!("{:.2}", self.cycles as f64 / self.references as f64),
            millions(self.references_per_second()),
            millions(self.cycles as f64 / self.seconds),
            format!("{:.3}..{:.3} s", self.fastest, self.slowest),
        ]
    }
}

/// The references, none of which crosses a page, and memory with the tables of all their pages.
struct Workload {
    config: Config,
    references: Vec<MemoryReference>,
    memory: Memory,
    boot: [Operation; 4],
    privilege: u8,
}

impl Workload {
    fn read(config: &Config, path: &Path) -> Outcome<Self> {
        let reader = open(path, OpenOptions::default())?;
        let references = PageSplit::new(References::new(reader)).collect::<Result<Vec<_>, _>>()?;
        let mapping = requests::mapping(config)?;
        let mut memory = Memory::new(&config.memory, config.mapping.seed);
        for entry in mapping.build(references.iter().map(|reference| reference.address()))? {
            memory
                .write_u64(entry.address.raw(), entry.value)
                .map_err(|_| "a table lies outside memory")?;
        }
        Ok(Self {
            boot: requests::boot(config, &mapping),
            privilege: requests::privilege(config),
            config: config.clone(),
            references,
            memory,
        })
    }

    /// The same for a front end with a window.
    fn windowed(&self) -> Self {
        let mut config = self.config.clone();
        config.front_end.window = FRONT_END_WINDOW;
        Self {
            config,
            references: self.references.clone(),
            memory: self.memory.clone(),
            ..*self
        }
    }

    /// As [`Workload::model`], through the front end.
    fn model_windowed(&self, count: usize, rounds: u64) -> Pass {
        let (mut cycles, mut sum, mut seconds) = (0, Checksum::default(), 0.0);
        for _ in 0..rounds {
            let mut front_end = FrontEnd::new(&self.config, self.memory.clone());
            for operation in &self.boot {
                front_end.control(operation, &mut |_: &Answered| {});
            }
            let mut checksum = Checksum::default();
            let mut put = |answered: &Answered| checksum.add(answered.what.response.pa);
            let (from, clock) = (front_end.cycles(), Clock::start());
            for reference in &self.references[..count] {
                let (_, request) = requests::request(reference, self.privilege);
                front_end.translate(&request, &mut put);
            }
            front_end.finish(&mut put);
            seconds += clock.seconds() / rounds as f64;
            (cycles, sum) = (front_end.cycles() - from, checksum);
        }
        Pass {
            references: count as u64,
            cycles,
            checksum: sum,
            seconds,
        }
    }

    /// The RTL, by the same rule.
    fn rtl_windowed(&self, library: &Library, count: usize) -> Outcome<Pass> {
        let rtl = Rtl::new(&self.config, library, InitialRegisters::Random(1))?;
        let mut ticked = Ticked::new(&self.config, rtl, self.memory.clone(), false);
        for operation in &self.boot {
            ticked.control(operation)?;
        }
        let (mut checksum, mut answered) = (Checksum::default(), 0);
        let (from, clock) = (ticked.cycles(), Clock::start());
        for number in 0..=count {
            match self.references[..count].get(number) {
                Some(reference) => {
                    ticked.present(&requests::request(reference, self.privilege).1)?
                }
                None => ticked.finish()?,
            }
            for response in ticked.answers(answered) {
                checksum.add(response.pa);
                answered += 1;
            }
        }
        Ok(Pass {
            references: count as u64,
            cycles: ticked.cycles() - from,
            seconds: clock.seconds(),
            checksum,
        })
    }

    /// `rounds` runs, each of a new machine; the time is their mean.
    fn model(&self, count: usize, rounds: u64) -> Pass {
        let (mut cycles, mut sum, mut seconds) = (0, Checksum::default(), 0.0);
        for _ in 0..rounds {
            let mut one = OneAtATime::new(&self.config, self.memory.clone());
            for operation in &self.boot {
                one.control(operation);
            }
            let mut checksum = Checksum::default();
            let (from, clock) = (one.cycles(), Clock::start());
            for reference in &self.references[..count] {
                let (port, request) = requests::request(reference, self.privilege);
                checksum.add(one.translate(port, &request).response.pa);
            }
            seconds += clock.seconds() / rounds as f64;
            (cycles, sum) = (one.cycles() - from, checksum);
        }
        Pass {
            references: count as u64,
            cycles,
            checksum: sum,
            seconds,
        }
    }

    fn rtl(&self, library: &Library, count: usize) -> Outcome<Pass> {
        let rtl = Rtl::new(&self.config, library, InitialRegisters::Random(1))?;
        let mut ticked = Ticked::new(&self.config, rtl, self.memory.clone(), false);
        for operation in &self.boot {
            ticked.control(operation)?;
        }
        let mut checksum = Checksum::default();
        let (from, clock) = (ticked.cycles(), Clock::start());
        for reference in &self.references[..count] {
            let (port, request) = requests::request(reference, self.privilege);
            checksum.add(ticked.translate(port, &request)?.pa);
        }
        Ok(Pass {
            references: count as u64,
            cycles: ticked.cycles() - from,
            seconds: clock.seconds(),
            checksum,
        })
    }
}

fn build_cam(root: &Path, work: &Path) -> Outcome<PathBuf> {
    let sources = root.join("benches/speed");
    // What was built names its sources by their whole paths: those of another checkout have a folder of their own.
    let mut hasher = DefaultHasher::new();
    sources.hash(&mut hasher);
    let directory = work.join(format!("cam-{:016x}", hasher.finish()));
    let output = Command::new("verilator")
        .args([
            "--cc",
            "--exe",
            "--build",
            "--top-module",
            "cam",
            "-CFLAGS",
            "-O2",
            "-MAKEFLAGS",
            "OPT_FAST=-O2",
        ])
        .arg("--Mdir")
        .arg(&directory)
        .args([sources.join("cam.sv"), sources.join("cam.cpp")])
        .output()
        .map_err(|error| {
            format!("verilator: {error}; install it (Debian: apt-get install verilator g++ make)")
        })?;
    if !output.status.success() {
        return Err(format!(
            "verilator refused the CAM: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(directory.join("Vcam"))
}

fn cam_seconds(program: &Path) -> Outcome<f64> {
    let output = Command::new(program).arg(CAM_CYCLES.to_string()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (hits, seconds) = text
        .trim()
        .split_once(' ')
        .ok_or("the CAM printed no figures")?;
    if hits.parse::<u64>()? == 0 {
        return Err("the CAM never hit: it was not exercised".into());
    }
    Ok(seconds.parse()?)
}
