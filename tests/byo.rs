//! A user's own RTL in the loop: the project's RTL given as such, behind a wrapper that errs on request, and designs that are refused.
//!
//! Contract: sections 1.2, 1.3 (what is held against any design), 3 (the ports of its top). SDM: none. Counterpart: `docs/byo.md`.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;
use twinwalk::arch::{Access, AccessKind};
use twinwalk::cosim::comparators::Comparator;
use twinwalk::cosim::design::Design;
use twinwalk::cosim::generator::{Generator, RandomStream};
use twinwalk::cosim::groups::Groups;
use twinwalk::cosim::guest::Guest;
use twinwalk::cosim::judged::Judged;
use twinwalk::cosim::lockstep::{Lockstep, Options, Report};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::stimulus::{Action, Operation, OperationSource, Request};
use twinwalk::model::Mmu;

use crate::byo_support::wrapper::{MAGIC, Mode, own_design, root, wrapper};
use crate::machines_support::{CACHE_HOME, QUICK, provider};

/// A design in a directory of its own.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(design: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files.iter().chain([&("DESIGN.toml", design)]) {
            fs::write(directory.path().join(name), text).expect("a file");
        }
        Self { directory }
    }

    fn design(&self) -> PathBuf {
        self.directory.path().join("DESIGN.toml")
    }
}

fn build(design: &Design) -> Library {
    provider()
        .loaded_library(&design.recipe(QUICK), &mut |_| {})
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The generator's operations behind the access that sets the wrapper's mode.
struct Set {
    first: Option<Operation>,
    rest: Generator,
}

impl Set {
    fn new(mode: Mode, rest: Generator) -> Self {
        let access = Access {
            pkru: MAGIC | mode as u32,
            ..Access::new(AccessKind::Read, 0)
        };
        let request = Request {
            port: 1,
            va: 0,
            access,
            size_bytes: 8,
        };
        Self {
            first: Some(Operation::now(Action::Request(request))),
            rest,
        }
    }
}

impl OperationSource for Set {
    fn next_operation(&mut self) -> Option<Operation> {
        self.first.take().or_else(|| self.rest.next_operation())
    }
}

/// How a run compares.
#[derive(Debug, Clone, Copy)]
enum Compare {
    Exact,
    Bounded(u64),
    Untimed,
}

fn run(
    design: &Design,
    library: &Library,
    mode: Mode,
    compare: Compare,
    operations: u64,
) -> Report {
    let RandomStream {
        config,
        setup,
        generator,
    } = RandomStream::new(design.config(), 3, 0, operations);
    let initial = InitialRegisters::Random(setup.seed);
    let rtl = Rtl::with_parameters(&design.spec.parameters, library, initial);
    let twin = Guest::new(rtl.expect("the machine can be made"));
    let source = Set::new(mode, generator);
    let options = Options {
        groups: library.groups(),
        hang_bound_cycles: Some(design.spec.hang_cycles),
        ..Options::default()
    };
    let mut go_on = |_| ControlFlow::Continue(());
    let judged = |twin, source| Judged::new(&config, &setup, source, twin, options);
    match compare {
        Compare::Exact => Lockstep::pair(&config, &setup, source, Mmu::new(&config), twin, options)
            .with_reference(&config, &setup)
            .run(&mut go_on),
        Compare::Bounded(cycles) => {
            let mut run = judged(twin, source).bounded(&config, &setup, cycles);
            run.run(&mut go_on)
        }
        Compare::Untimed => judged(twin, source).run(&mut go_on),
    }
}

fn assert_holds(report: &Report) {
    if let Some(finding) = &report.finding {
        panic!("{}", finding.report(None));
    }
    assert_eq!(report.counters.unjudged, 0);
    assert!(report.counters.responses_compared > 500, "{report:?}");
}

/// Who found it, and at which signal.
fn finder(report: &Report) -> (Comparator, &str) {
    let finding = report.finding.as_ref().expect("it is wrong");
    (finding.comparator, &finding.signal)
}

#[test]
fn the_own_rtl_given_as_a_design_holds_in_every_comparison() {
    let place = Place::new(&own_design("mmu", &[], ""), &[]);
    let design = Design::load(&place.design()).expect("a design");
    let library = build(&design);
    assert_eq!(library.groups(), Groups::ALL);
    for compare in [Compare::Exact, Compare::Bounded(0), Compare::Untimed] {
        let report = run(&design, &library, Mode::Nothing, compare, 3_000);
        assert_holds(&report);
        let difference = report.latency_difference_cycles;
        assert_eq!(
            difference,
            matches!(compare, Compare::Bounded(_)).then_some(0)
        );
        assert!(report.counters.walks > 0 && report.counters.l1_hits > 0);
        assert!(report.counters.stale_observed > 0 && report.counters.single_outcome > 500);
    }
}

/// One machine for all that the wrapper can do: which of it is said by an access.
#[test]
fn a_wrapper_without_a_monitor_is_held_and_what_it_does_wrong_is_found() {
    let place = Place::new(
        &own_design("wrapper", &["wrapper.sv"], ""),
        &[("wrapper.sv", &wrapper())],
    );
    let design = Design::load(&place.design()).expect("a design");
    let library = build(&design);
    assert_eq!(library.groups(), Groups::NONE);
    let run = |mode, compare| run(&design, &library, mode, compare, 3_000);
    for compare in [Compare::Exact, Compare::Bounded(0), Compare::Untimed] {
        let report = run(Mode::Nothing, compare);
        assert_holds(&report);
    }
    let shown = run(Mode::Nothing, Compare::Untimed).counters;
    assert_eq!(
        (shown.walks, shown.l1_hits, shown.fills_compared),
        (0, 0, 0)
    );

    // Late: legal by itself, and found by both that look at cycles.
    assert_holds(&run(Mode::Late, Compare::Untimed));
    assert_eq!(
        finder(&run(Mode::Late, Compare::Exact)),
        (Comparator::Responses, "resp_valid_o[1]")
    );
    let late = run(Mode::Late, Compare::Bounded(2));
    let finding = late.finding.as_ref().expect("5 are more than 2");
    assert_eq!(finding.comparator, Comparator::Latency);
    assert_eq!(finding.signal, "latency of request 0 of port 1, read 0x0");
    assert!(
        finding
            .model
            .starts_with("2 cycles from the accept in cycle "),
        "{}",
        finding.model
    );
    assert!(
        finding
            .rtl
            .starts_with("7 cycles from the accept in cycle "),
        "{}",
        finding.rtl
    );
    let wide = run(Mode::Late, Compare::Bounded(100_000));
    assert_holds(&wide);
    let greatest = wide.latency_difference_cycles.expect("they are compared");
    assert!(greatest >= 5, "{greatest}");
    assert_holds(&run(Mode::Late, Compare::Bounded(greatest)));
    assert_eq!(
        finder(&run(Mode::Late, Compare::Bounded(greatest - 1))).0,
        Comparator::Latency
    );

    let wrong = [
        (
            Mode::FlippedFrame,
            Comparator::Staleness,
            "rule translation",
        ),
        (
            Mode::Silent,
            Comparator::Hangs,
            "no progress for 3000 cycles",
        ),
        (Mode::WrongId, Comparator::Staleness, "rule response-id"),
        (
            Mode::Combinational,
            Comparator::Assertions,
            "req_ready_o[0] is",
        ),
        (
            Mode::Withdrawn,
            Comparator::Protocol,
            "mem_req_valid_o: an offer does not stay",
        ),
        (Mode::WrongMark, Comparator::Staleness, "rule entry-update"),
        (Mode::NoMark, Comparator::Staleness, "rule translation"),
    ];
    for (mode, comparator, signal) in wrong {
        for compare in [Compare::Untimed, Compare::Bounded(100_000)] {
            let report = run(mode, compare);
            let found = finder(&report);
            assert!(
                found.0 == comparator && found.1.contains(signal),
                "{mode:?}: {found:?}"
            );
        }
        let exact = run(mode, Compare::Exact);
        assert!(exact.finding.is_some(), "{mode:?}");
    }
}

fn twinwalk(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .env("XDG_CACHE_HOME", CACHE_HOME)
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the binary runs")
}

fn json(output: &Output) -> Json {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// `examples/byo-mmu` with bit 9, which is software's, set in every entry that it marks.
fn second_design_with_a_bug() -> Place {
    let example = root().join("examples/byo-mmu");
    let read = |name: &str| fs::read_to_string(example.join(name)).expect("the example");
    let adapter = read("adapter.sv");
    let (sound, wrong) = ("{cell_old, cell_new};", "{cell_old, cell_new | 64'h200};");
    assert_eq!(adapter.matches(sound).count(), 1);
    let place = Place::new(
        &read("DESIGN.toml"),
        &[("adapter.sv", &adapter.replace(sound, wrong))],
    );
    let rtl = place.directory.path().join("rtl");
    fs::create_dir(&rtl).expect("a directory");
    for entry in fs::read_dir(example.join("rtl")).expect("the example") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, rtl.join(path.file_name().expect("it has one"))).expect("a copy");
    }
    place
}

#[test]
fn a_finding_is_replayed_on_the_design_that_the_file_names_or_another_and_cut_down() {
    let place = second_design_with_a_bug();
    let directory = place.directory.path();
    let check = |jobs: &str| {
        let arguments = [
            "check",
            "--rtl",
            "DESIGN.toml",
            "--ops",
            "3000",
            "--json",
            "--jobs",
            jobs,
        ];
        let output = twinwalk(&arguments, directory);
        assert_eq!(output.status.code(), Some(1));
        output
    };
    let output = check("1");
    assert_eq!(check("3").stdout, output.stdout);
    let found = json(&output);
    let rtl = &found["rtl"];
    assert_eq!(
        (&rtl["name"], &rtl["top"]),
        (&Json::from("blocking-mmu"), &Json::from("adapter"))
    );
    assert_eq!(
        (&rtl["compare"], &rtl["groups"]),
        (&Json::from("untimed"), &Json::Array(Vec::new()))
    );
    assert_eq!(found["implementations"], Json::from(vec!["rtl"]));
    for key in [
        "walks",
        "l1_hits",
        "stlb_hits",
        "fills_compared",
        "miss_queue_full",
        "latency_difference_cycles",
    ] {
        assert_eq!(found.get(key), Some(&Json::Null), "{key}");
    }
    assert!(found["memory_reads"].as_u64() > Some(0));
    let first = &found["first_divergence"];
    assert_eq!(first["signal"], "rule entry-update");
    let file = first["replay"].as_str().expect("a replay file");

    let replay =
        |arguments: &[&str]| twinwalk(&[&["replay"], arguments, &["--json"]].concat(), directory);
    let again = replay(&[file, "--shrink"]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
    let again = json(&again);
    for key in ["cycle", "signal", "rtl", "model"] {
        assert_eq!(again["first_divergence"][key], first[key], "{key}");
    }
    let smaller = again["shrunk"].as_str().expect("a smaller file");
    let operations = |file: &str| {
        let text = fs::read_to_string(directory.join(file)).expect("a file");
        text.lines()
            .filter(|line| {
                line.starts_with("+") || line.starts_with("read") || line.starts_with("write")
            })
            .count()
    };
    assert!(
        operations(smaller) < operations(file).min(20),
        "{}",
        operations(smaller)
    );
    let text = twinwalk(&["replay", smaller], directory);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains(
            "rtl: blocking-mmu (yours, top adapter), compared: untimed, judged by the reference"
        ),
        "{text}"
    );
    assert!(text.contains("(found by: staleness)\n  allowed "), "{text}");

    // The sound design, of another hash, holds; where the design is gone, another is asked for.
    let example = root().join("examples/byo-mmu/DESIGN.toml");
    let sound = replay(&[smaller, "--rtl", example.to_str().expect("text")]);
    assert_eq!(sound.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&sound.stderr).contains("has changed since"));
    fs::rename(place.design(), directory.join("MOVED.toml")).expect("it moves");
    let gone = replay(&[smaller]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(
        json(&gone)["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("--rtl"))
    );
    assert_eq!(
        replay(&[smaller, "--rtl", "MOVED.toml"]).status.code(),
        Some(1)
    );
}

/// What `check --rtl DESIGN.toml` says of a design that is refused, in its directory.
fn refusal(design: &str, files: &[(&str, &str)]) -> String {
    let place = Place::new(design, files);
    let output = twinwalk(
        &["check", "--rtl", "DESIGN.toml", "--ops", "10"],
        place.directory.path(),
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    said
}

#[test]
fn a_design_that_is_refused_ends_with_2_and_says_why() {
    let design = |more: &str| {
        format!("[design]\nname = \"x\"\ntop = \"bare\"\nfiles = [\"bare.sv\"]\n{more}")
    };
    let bare =
        |text: &str| format!("module bare (\n  input logic clk_i, rst_ni{text}\n);\nendmodule\n");
    let refused = |more: &str, text: &str| refusal(&design(more), &[("bare.sv", &bare(text))]);

    let missing = refusal(&design(""), &[]);
    assert!(
        missing.contains("error: DESIGN.toml, line 4: design.files.0 = \"bare.sv\" is refused: `bare.sv` cannot be read"),
        "{missing}"
    );
    let unknown = refused("colour = 3\n", "");
    assert!(
        unknown.contains("error: DESIGN.toml, line 5: there is no key design.colour"),
        "{unknown}"
    );
    assert!(
        unknown.contains("remedy: the keys here are defines, files, include_dirs"),
        "{unknown}"
    );

    let ports = refused(
        "",
        ",\n  output logic [39:0] resp_pa_o [2], input logic scan_i",
    );
    for line in [
        "the top `bare` has no port `req_valid_i` (input, 1 bit, an unpacked array of 2, contract 3): add it to the adapter",
        "port `resp_pa_o` of the top `bare` is output, 40 bits, an unpacked array of 2; contract 3 has output, 52 bits, an unpacked array of 2",
        "the top `bare` has an input `scan_i`",
        "remedy: mend the adapter; docs/byo.md",
    ] {
        assert!(ports.contains(line), "{line}: {ports}");
    }
    let syntax = refused("", "; oops");
    assert!(
        syntax.contains("Verilator refused the design:\n%Error: bare.sv:2:"),
        "{syntax}"
    );
    let parameter = refused("[design.parameters]\nENTRIES = 4\n", "");
    assert!(
        parameter.contains("error: the top `bare` has no parameter ENTRIES (design.parameters)"),
        "{parameter}"
    );
    let clock = refusal(
        &design(""),
        &[("bare.sv", "module bare (input logic rst_ni); endmodule\n")],
    );
    assert!(
        clock.contains("error: the top `bare` has no port `clk_i` (input, 1 bit, contract 3): add it to the adapter\n"),
        "{clock}"
    );
    let top = refusal(
        &design("").replace("\"bare\"", "\"other\""),
        &[("bare.sv", &bare(""))],
    );
    assert!(
        top.contains("error: there is no module `other` in design.files (design.top)"),
        "{top}"
    );
    let outside = Place::new("", &[("hidden.svh", "// nothing")]);
    let hidden = outside.directory.path().join("hidden.svh");
    let outside = refusal(
        &design(""),
        &[(
            "bare.sv",
            &format!("`include \"{}\"\n{}", hidden.display(), bare("")),
        )],
    );
    assert!(
        outside.contains("which is neither in design.files nor"),
        "{outside}"
    );
}

#[test]
fn options_that_do_not_fit_a_design_are_refused() {
    for (arguments, part) in [
        (
            &["check", "--rtl", "d.toml", "--config", "preset:tiny"] as &[&str],
            "stands in its DESIGN.toml",
        ),
        (
            &["check", "--rtl", "d.toml", "--trace", "t"],
            "--trace is refused beside --rtl",
        ),
        (
            &["check", "--rtl", "d.toml", "--on", "model"],
            "cannot be used with",
        ),
        (
            &["check", "--rtl", "d.toml", "--compare", "bounded"],
            "bounded:N with N from 0 to 1000000",
        ),
        (
            &["check", "--compare", "exact"],
            "name it with --rtl DESIGN.toml",
        ),
        (&["check", "--rtl", "d.toml"], "d.toml: cannot be read"),
    ] {
        let output = twinwalk(arguments, root());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

#[test]
fn failures_of_several_seeds_come_in_groups_and_a_pipeline_reads_them() {
    let place = second_design_with_a_bug();
    let directory = place.directory.path();
    let arguments = [
        "check",
        "--rtl",
        "DESIGN.toml",
        "--seeds",
        "1..8",
        "--shard",
        "2/2",
        "--ops",
        "3000",
        "--keep-going",
        "--junit",
        "out.xml",
        "--annotations",
        "github",
        "--json",
    ];
    let output = twinwalk(&arguments, directory);
    assert_eq!(output.status.code(), Some(1));
    let found = json(&output);
    assert_eq!(
        (&found["seed"], &found["last_seed"]),
        (&Json::from(5), &Json::from(8))
    );
    let groups = found["failure_groups"].as_array().expect("a list");
    assert_eq!(groups[0]["signal"], "rule entry-update");
    let failures: u64 = groups
        .iter()
        .filter_map(|group| group["count"].as_u64())
        .sum();
    assert_eq!(failures, 4, "{groups:?}");
    let annotations = String::from_utf8_lossy(&output.stderr);
    let annotations = annotations
        .lines()
        .filter(|line| line.starts_with("::error title=rule entry-update"));
    assert!(annotations.count() >= 1);

    let xml = fs::read_to_string(directory.join("out.xml")).expect("the file");
    assert!(
        xml.contains("tests=\"4\" skipped=\"0\" failures=\"4\""),
        "{xml}"
    );
    for seed in 5..=8 {
        assert!(xml.contains(&format!("name=\"seed {seed}\"")), "{xml}");
        assert!(xml.contains(&format!("message=\"seed {seed}, stream 0: cycle ")));
    }
    let replay = groups[0]["replay"].as_str().expect("a replay file");
    assert!(
        xml.contains(&format!("again: twinwalk replay {replay}")),
        "{xml}"
    );
    // The same bytes again, on one thread.
    let again = twinwalk(&[&arguments[..], &["--jobs", "1"]].concat(), directory);
    assert_eq!(again.stdout, output.stdout);
    let second = fs::read_to_string(directory.join("out.xml")).expect("the file");
    assert_eq!(second, xml);
}

#[test]
fn parts_and_files_of_a_regression_that_cannot_be_are_refused() {
    let directory = root();
    let refused = |arguments: &[&str], says: &str| {
        let output = twinwalk(
            &[&["check", "--on", "model", "--ops", "10"], arguments].concat(),
            directory,
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    };
    refused(&["--seeds", "1..2", "--shard", "1/3"], "no seed");
    refused(&["--seeds", "1..2", "--shard", "0/3"], "at least 1");
    refused(&["--seeds", "1..2", "--shard", "a/3"], "as in 2/5");
    refused(&["--shard", "1/3"], "--seeds");
    refused(&["--junit", "/nowhere/out.xml"], "cannot be written");
}
