//! Model and RTL in lockstep, both held against the reference: short sequences by proptest, random streams, golden traces, replays, and
//! registers that begin at anything.
//!
//! Contract: every section. SDM: none. Counterpart: `lockstep_model.rs`, which holds up the harness itself.

#![cfg(feature = "rtl")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use crate::lockstep_support::{BUSY, QUICK, library, preset, rtl, run_stimulus, run_stream};
use proptest::prelude::*;
use twinwalk::arch::{Access, AccessKind};
use twinwalk::config::Config;
use twinwalk::cosim::divergence::Finding;
use twinwalk::cosim::generator::RandomStream;
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::lockstep::{Lockstep, Options};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::signals::signals;
use twinwalk::cosim::stimulus::{
    Action, Control, ControlKind, Operation, OperationSource, Request, Stimulus, Store, parse,
};
use twinwalk::cosim::twin::Twin;
use twinwalk::cosim::watched::{AFTER_CYCLES, Watched};
use twinwalk::cosim::wave::{Model, Plan, WINDOW_CYCLES, WithWave, Written, save::time};
use twinwalk::golden::suite::{self, Implementation, Verdict};
use twinwalk::golden::trace::record;
use twinwalk::model::Mmu;
use twinwalk::model::mmu_pkg::{Inputs, Outputs};

/// The smallest machine, built once for all tests of this file.
fn tiny() -> &'static (Config, Library) {
    static TINY: OnceLock<(Config, Library)> = OnceLock::new();
    TINY.get_or_init(|| {
        let config = preset("tiny");
        let library = library(&Recipe::new(&config, BUSY));
        (config, library)
    })
}

/// The machine with the most in flight.
fn parallel() -> &'static (Config, Library) {
    static PARALLEL: OnceLock<(Config, Library)> = OnceLock::new();
    PARALLEL.get_or_init(|| {
        let config = preset("parallel");
        let library = library(&Recipe::new(&config, BUSY));
        (config, library)
    })
}

#[test]
fn the_twins_agree_on_random_streams_and_the_reference_allows_them() {
    let (config, library) = tiny();
    for stream in 0..4 {
        let stream = RandomStream::new(config, 3, stream, 8_000);
        let report = run_stream(&stream, library, Options::default());
        assert_eq!(report.finding, None);
        assert!(report.counters.entries_compared > 20 && report.counters.single_outcome > 1_000);
    }
}

#[test]
fn skipping_beside_the_rtl_changes_not_one_byte() {
    for (config, library) in [tiny(), parallel()] {
        for stream in 0..2 {
            let stream = RandomStream::new(config, 8, stream, 4_000);
            let ticking = Options {
                no_skip: true,
                ..Options::default()
            };
            let skipping = run_stream(&stream, library, Options::default());
            assert_eq!(skipping.finding, None);
            assert_eq!(skipping, run_stream(&stream, library, ticking));
        }
    }
}

#[test]
fn both_twins_reproduce_the_golden_traces_of_the_smallest_machine() {
    let (tiny, library) = tiny();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut ran = 0;
    for scenario in suite::find(&directory, None).expect("the directory is there") {
        let (_, config) = suite::load(&scenario.stimulus).expect("it is valid");
        if config.rtl_parameters() != tiny.rtl_parameters() {
            continue;
        }
        let model = |config: &Config, _| Ok(Box::new(Mmu::new(config)) as Box<dyn Twin>);
        let hardware =
            |config: &Config, seed| Ok(Box::new(rtl(config, library, seed)) as Box<dyn Twin>);
        let mut implementations = [
            Implementation {
                name: "model",
                make: Box::new(model),
            },
            Implementation {
                name: "rtl",
                make: Box::new(hardware),
            },
        ];
        let verdict = suite::run(&scenario, &mut implementations).expect("it runs");
        assert_eq!(verdict, Verdict::Same, "{}", scenario.name);
        ran += 1;
    }
    assert!(ran >= 25, "{ran} traces of the smallest machine");
}

#[test]
fn nothing_depends_on_what_registers_hold_before_reset() {
    let (config, library) = tiny();
    let stream = RandomStream::new(config, 17, 0, 600);
    let mut generator = stream.generator.clone();
    let operations = std::iter::from_fn(|| generator.next_operation()).collect();
    let stimulus = Stimulus {
        setup: stream.setup.clone(),
        operations,
    };
    let trace = |initial| {
        let twin = Rtl::new(&stream.config, library, initial).expect("the machine can be made");
        record("x", &stimulus, &stream.config, twin).expect("it runs")
    };
    let zeros = trace(InitialRegisters::Zeros);
    assert_eq!(trace(InitialRegisters::Ones), zeros);
    for seed in 1..6 {
        assert_eq!(trace(InitialRegisters::Random(seed)), zeros);
    }
}

/// Two pages of 4 KiB in one set, one of 2 MiB and one of 1 GiB, and what may become of their entries.
fn image() -> Stimulus {
    let text = "twinwalk-stim 1\n\
        config preset:tiny\n\
        set memory.size_bytes=0x100000\n\
        tables 0x1000\n\
        space one 4\n\
        map 0x1000 -> 0x9000 4k rw user\n\
        map 0x3000 -> 0xa000 4k rw G\n\
        map 0x200000 -> 0x400000 2m user\n\
        map 0x40000000 -> 0x0 1g rw user A\n\
        boot one PGE PCIDE NXE WP\n";
    parse::parse("image", text).expect("it is valid")
}

const CELLS: [u64; 6] = [0x1000, 0x2000, 0x3000, 0x3008, 0x4008, 0x4018];
const VALUES: [u64; 11] = [
    0,
    0x2007,
    0x3007,
    0x4007,
    0x4027,
    0x9003,
    0x9067,
    0x40_0083,
    0x40_2083,
    0x20_0027,
    0x8000_0000_0000_9007,
];
const ADDRESSES: [u64; 6] = [0x1008, 0x3000, 0x20_0040, 0x3f_f000, 0x4000_1000, 0x5000];

fn request() -> impl Strategy<Value = Action> {
    let kinds = prop_oneof![
        Just(AccessKind::Fetch),
        Just(AccessKind::Read),
        Just(AccessKind::Write)
    ];
    (
        kinds,
        prop::sample::select(&ADDRESSES[..]),
        prop_oneof![Just(0u8), Just(3)],
    )
        .prop_map(|(kind, va, cpl)| {
            let port = u8::from(kind != AccessKind::Fetch);
            Action::Request(Request {
                port,
                va,
                access: Access::new(kind, cpl),
                size_bytes: 8,
            })
        })
}

/// A cell becomes one of the others' values, or loses, or gains, a bit that matters.
fn store() -> impl Strategy<Value = Action> {
    (
        prop::sample::select(&CELLS[..]),
        prop::sample::select(&VALUES[..]),
    )
        .prop_map(|(address, value)| Action::Store(Store { address, value }))
}

fn control() -> impl Strategy<Value = Action> {
    let va = prop::sample::select(&ADDRESSES[..]);
    let write = |kind, value| Just(Control::new(kind, value));
    prop_oneof![
        va.clone()
            .prop_map(|va| Control::new(ControlKind::Invlpg, va)),
        (0u64..=4, 0u64..3, va).prop_map(|(invpcid_type, data, addr)| Control {
            kind: ControlKind::Invpcid,
            data,
            addr,
            invpcid_type
        }),
        (0u64..3, any::<bool>()).prop_map(|(pcid, keep)| {
            Control::new(ControlKind::MovCr3, 0x1000 | pcid | u64::from(keep) << 63)
        }),
        write(ControlKind::MovCr4, 0x2_00a0),
        write(ControlKind::MovCr4, 0x2_0020),
        write(ControlKind::MovCr4, 0x12_00a0),
        write(ControlKind::MovCr0, 0x8000_0001),
        write(ControlKind::MovCr0, 0x8001_0001),
    ]
    .prop_map(Action::Control)
}

fn operation() -> impl Strategy<Value = Operation> {
    let action =
        prop_oneof![6 => request(), 2 => store(), 2 => control(), 1 => Just(Action::Drain)];
    (prop_oneof![3 => Just(0u32), 2 => 1u32..40], action)
        .prop_map(|(gap_cycles, action)| Operation { gap_cycles, action })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_twins_agree_on_every_short_sequence_and_the_reference_allows_it(
        operations in prop::collection::vec(operation(), 1..120),
        seed in 0u64..1000,
        stalls in prop_oneof![Just(0u16), 1u16..600],
    ) {
        let (_, library) = tiny();
        let mut stimulus = image();
        stimulus.setup.seed = seed;
        stimulus.setup.stalls = twinwalk::cosim::stall::StallRates::uniform(stalls);
        stimulus.operations.extend(operations);
        let config = stimulus.setup.machine("image").expect("it is valid");
        let report = run_stimulus(&stimulus, &config, library, Options::default());
        prop_assert_eq!(report.finding, None);
    }
}

/// A seeded bug, its report, its replay file, what is left of it when it is cut down, and the wave of its window.
#[test]
fn a_difference_comes_with_its_cycles_a_replay_a_story_and_a_wave() {
    use twinwalk::cosim::divergence::write_replay;
    use twinwalk::cosim::shrink::{Trial, shrink};
    use twinwalk::cosim::verilate::{Flags, Trace};

    let config = preset("tiny");
    let mut recipe = Recipe::new(
        &config,
        Flags {
            trace: Trace::Fst,
            ..QUICK
        },
    );
    recipe
        .patch(
            "control.sv",
            "rule = RulePageAndGlobals;",
            "rule = RulePage;",
        )
        .expect("the passage is there");
    let library = library(&recipe);
    let (stream, report) = (0..60)
        .map(|stream| RandomStream::new(&config, 1, stream, 1_500))
        .find_map(|stream| {
            let report = run_stream(&stream, &library, Options::default());
            report.finding.is_some().then_some((stream, report))
        })
        .expect("INVLPG that spares globals is found");
    let finding = report.finding.expect("it is there");
    let text = finding.report(None);
    assert!(
        text.contains(&format!("first difference: cycle {}", finding.cycle)),
        "{text}"
    );
    assert!(
        text.contains("before, and the cycle, model:")
            && text.contains("before, and the cycle, rtl:"),
        "{text}"
    );
    assert!(text.contains("invlpg"), "{text}");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("replay.stim");
    write_replay(
        &path,
        &stream.setup,
        &mut stream.generator.clone(),
        report.operations,
    )
    .expect("it is written");
    let (again, config) = suite::load(&path).expect("it is read");
    let second = run_stimulus(&again, &config, &library, Options::default());
    assert_eq!(second.finding.as_ref(), Some(&finding));

    let shrunk = shrink(&again, 1_500, &mut |candidate| {
        let report = run_stimulus(candidate, &config, &library, Options::default());
        let same = report
            .finding
            .is_some_and(|found| found.comparator == finding.comparator);
        if same {
            Trial::Fails {
                operations: report.operations,
            }
        } else {
            Trial::Passes
        }
    });
    let story = shrunk.stimulus.to_text();
    assert!(shrunk.stimulus.operations.len() <= 12, "{story}");
    assert!(story.contains("invlpg"), "{story}");

    let path = directory.path().join("window.fst");
    check_wave(&path, &again, &config, &library, &finding);
}

/// Writes the wave of a finding, and reads it back: it holds what the model showed, and differs from the RTL where the finding says.
fn check_wave(
    path: &Path,
    stimulus: &Stimulus,
    config: &Config,
    library: &Library,
    finding: &Finding,
) {
    let mut shown = Vec::new();
    let watched = Watched::new(
        Mmu::new(config),
        |_, _: &Inputs, outputs: &Outputs, _: &[Store]| {
            shown.push(*outputs);
        },
    );
    let options = Options {
        run_on_cycles: AFTER_CYCLES,
        ..Options::default()
    };
    let model = Model::default();
    let plan = Plan {
        path: path.to_owned(),
        first_cycle: finding.cycle.saturating_sub(WINDOW_CYCLES),
        model: Some(model.clone()),
        options,
    };
    let mut written = Written::default();
    let rtl = rtl(config, library, stimulus.setup.seed);
    let report = Lockstep::pair(
        config,
        &stimulus.setup,
        stimulus.operations.clone().into_iter(),
        model.watch(watched, config),
        WithWave::new(rtl, config, plan, &mut written),
        options,
    )
    .run(&mut |_| ControlFlow::Continue(()));
    assert_eq!(report.finding.map(|found| found.cycle), Some(finding.cycle));
    assert!(written.trouble.is_none(), "{:?}", written.trouble);
    let (cycle, differing) = written.differing.expect("outputs differ");
    assert_eq!(cycle, finding.cycle);
    assert!(differing.contains(&finding.signal), "{differing:?}");
    assert_eq!(shown.len() as u64, finding.cycle + 1 + AFTER_CYCLES);

    let wave = ReadWave::new(path);
    let first = finding.cycle.saturating_sub(WINDOW_CYCLES);
    let (mut parted, mut compared) = (Vec::new(), 0);
    for (cycle, outputs) in (0..).zip(&shown).skip(first as usize) {
        for signal in signals(outputs) {
            let name = signal.name.to_string();
            let Some(value) = wave.number(&format!("mmu.twinwalk.model.{name}"), cycle) else {
                continue;
            };
            assert_eq!(value, signal.value, "{name} in cycle {cycle}");
            compared += 1;
            if wave.number(&format!("mmu.{name}"), cycle) != Some(value) {
                parted.push((cycle, name));
            }
        }
        let differs = wave.number("mmu.twinwalk.model.differs", cycle);
        let expected = parted.last().is_some_and(|(last, _)| *last == cycle);
        assert_eq!(differs, Some(expected.into()), "cycle {cycle}");
    }
    let cycles = shown.len() - first as usize;
    assert!(compared >= 180 * cycles, "{compared} in {cycles} cycles");
    assert_eq!(parted.first().map(|(cycle, _)| *cycle), Some(finding.cycle));
    assert!(parted.contains(&(finding.cycle, finding.signal.clone())));
    let events = |side: &str| wave.text(&format!("mmu.twinwalk.{side}.event"), finding.cycle);
    assert!(events("model").contains("remove"), "{}", events("model"));
    assert_ne!(events("model"), events("rtl"));
}

/// A wave by the names of its signals.
struct ReadWave {
    wave: wellen::simple::Waveform,
    names: std::collections::BTreeMap<String, wellen::SignalRef>,
}

impl ReadWave {
    fn new(path: &Path) -> Self {
        let mut wave = wellen::simple::read(path).expect("a wave");
        let mut names = std::collections::BTreeMap::new();
        let hierarchy = wave.hierarchy();
        for var in hierarchy.iter_vars() {
            let full = var.full_name(hierarchy).replace(".[", "[");
            let Some(name) = full.strip_prefix("TOP.") else {
                continue;
            };
            // The element of an array of single bits looks like the place of a bit.
            if let Some(index) = var.index().filter(|index| index.length() == 1) {
                names.insert(format!("{name}[{}]", index.lsb()), var.signal_ref());
            }
            names.insert(name.to_owned(), var.signal_ref());
        }
        let all: Vec<wellen::SignalRef> = names.values().copied().collect();
        wave.load_signals(&all);
        Self { wave, names }
    }

    /// The value in the first half of a cycle, with the clock low, as bits; `None` of a signal that is not there.
    fn bits(&self, name: &str, cycle: u64) -> Option<String> {
        let at = time(cycle);
        let table = self.wave.time_table();
        let index = table.partition_point(|time| *time <= at).checked_sub(1)?;
        let signal = self.wave.get_signal(*self.names.get(name)?)?;
        let offset = signal.get_offset(index as u32)?;
        signal.get_value_at(&offset, 0).to_bit_string()
    }

    fn number(&self, name: &str, cycle: u64) -> Option<u64> {
        let bits = self.bits(name, cycle)?;
        Some(u64::from_str_radix(&bits, 2).expect("two-valued bits"))
    }

    fn text(&self, name: &str, cycle: u64) -> String {
        let bits = self.bits(name, cycle).expect("the signal is there");
        let bytes = bits.as_bytes().chunks(8).map(|byte| {
            let byte = std::str::from_utf8(byte).expect("digits");
            u8::from_str_radix(byte, 2).expect("two-valued bits")
        });
        let bytes = bytes.skip_while(|byte| *byte == 0).collect();
        String::from_utf8(bytes).expect("ASCII")
    }
}
