//! A real trace, one reference at a time: by arithmetic, by ticking the model, and by ticking the RTL, with the same figures.
//!
//! Contract: 10 (monitor), 12, 13. SDM: none. Counterpart: none.

use std::path::Path;

use twinwalk::cli::run::requests;
use twinwalk::config::{Config, Source, load, presets};
use twinwalk::cosim::ticked::Ticked;
use twinwalk::model::{Answered, FrontEnd, Memory, Mmu, OneAtATime};
use twinwalk::trace::open::open;
use twinwalk::trace::{MemoryReference, OpenOptions, PageSplit, References};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");

fn window(count: usize) -> Vec<MemoryReference> {
    let reader = open(Path::new(SHIPPED), OpenOptions::default()).expect("the shipped trace");
    let references = PageSplit::new(References::new(reader)).take(count);
    references.collect::<Result<_, _>>().expect("it is whole")
}

/// Runs the references by arithmetic and by ticking; everything that is counted must be the same.
fn compare(config: &Config, references: &[MemoryReference]) {
    let mapping = requests::mapping(config).expect("it can be mapped");
    let mut memory = Memory::new(&config.memory, 1);
    let addresses = references.iter().map(|reference| reference.address());
    for entry in mapping.build(addresses).expect("no conflict") {
        memory
            .write_u64(entry.address.raw(), entry.value)
            .expect("inside memory");
    }
    let mut one = OneAtATime::new(config, memory.clone());
    let mut ticked = Ticked::new(config, Mmu::new(config), memory, true);
    for operation in &requests::boot(config, &mapping) {
        assert_eq!(ticked.control(operation), Ok(one.control(operation)));
    }
    for reference in references {
        let (port, request) = requests::request(reference, requests::privilege(config));
        let alone = one.translate(port, &request);
        assert_eq!(
            ticked.translate(port, &request),
            Ok(alone.response),
            "{reference:?}"
        );
    }
    assert_eq!(ticked.cycles(), one.cycles());
    assert_eq!(ticked.statistics(), one.statistics());
    assert_eq!(one.statistics().check_conservation(), Ok(()));
    assert_eq!(
        one.statistics().responses.translated,
        references.len() as u64
    );
}

#[test]
fn arithmetic_and_ticking_agree_on_every_preset_and_page_size() {
    let references = window(15_000);
    for preset in presets::ALL {
        for pages in ["4k", "2m", "mixed"] {
            let mut settings = vec![format!("mapping.pages=\"{pages}\"")];
            if preset.name == "narrow" {
                // Its own memory is too small for this trace.
                settings.push("memory.size_bytes=0x10_0000_0000".to_owned());
            }
            let loaded = load(&Source::Preset(preset.name.to_owned()), &settings).expect("valid");
            compare(&loaded.config, &references);
        }
    }
}

/// Runs the references through the front end by arithmetic and by ticking; everything that is counted must be the same.
fn compare_overlapped(config: &Config, references: &[MemoryReference]) {
    let mapping = requests::mapping(config).expect("it can be mapped");
    let mut memory = Memory::new(&config.memory, 1);
    let addresses = references.iter().map(|reference| reference.address());
    for entry in mapping.build(addresses).expect("no conflict") {
        memory
            .write_u64(entry.address.raw(), entry.value)
            .expect("inside memory");
    }
    let mut front_end = FrontEnd::new(config, memory.clone());
    let mut ticked = Ticked::new(config, Mmu::new(config), memory, true);
    let mut translated = 0;
    let mut count =
        |answered: &Answered| translated += u64::from(answered.what.response.status == 0);
    for operation in &requests::boot(config, &mapping) {
        let general_protection = front_end.control(operation, &mut count);
        assert_eq!(ticked.control(operation), Ok(general_protection));
    }
    for reference in references {
        let (_, request) = requests::request(reference, requests::privilege(config));
        front_end.translate(&request, &mut count);
        assert_eq!(ticked.present(&request), Ok(()));
    }
    front_end.finish(&mut count);
    assert_eq!(ticked.finish(), Ok(()));
    assert_eq!(ticked.cycles(), front_end.cycles());
    assert_eq!(ticked.statistics(), front_end.statistics());
    assert_eq!(front_end.statistics().check_conservation(), Ok(()));
    assert_eq!(translated, references.len() as u64);
}

#[test]
fn arithmetic_and_ticking_agree_on_a_trace_in_a_window() {
    let references = window(15_000);
    for preset in presets::ALL {
        for (window, gap) in [(1, 3), (4, 0), (16, 0), (64, 2)] {
            let mut settings = vec![
                format!("front_end.window={window}"),
                format!("front_end.issue_gap_cycles={gap}"),
            ];
            if preset.name == "narrow" {
                // Its own memory is too small for this trace.
                settings.push("memory.size_bytes=0x10_0000_0000".to_owned());
            }
            let loaded = load(&Source::Preset(preset.name.to_owned()), &settings).expect("valid");
            compare_overlapped(&loaded.config, &references);
        }
    }
}

#[cfg(feature = "rtl")]
mod rtl {
    use std::process::Command;

    use serde_json::Value as Json;

    use super::SHIPPED;

    /// The figures of `twinwalk run`, with verilated machines kept beside the build.
    fn figures(backend: &str, arguments: &[&str]) -> Json {
        let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(["run", "--json", "--trace", SHIPPED, "--backend", backend])
            .args(arguments)
            .env("XDG_CACHE_HOME", crate::machines_support::CACHE_HOME)
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).expect("one JSON value")
    }

    fn agree(arguments: &[&str]) {
        let (mut model, rtl) = (figures("model", arguments), figures("rtl", arguments));
        assert_eq!(rtl["backend"], "rtl");
        assert!(
            model["walks"]["started"].as_u64() > Some(0),
            "the window must make it walk: {arguments:?}"
        );
        model["backend"] = "rtl".into();
        assert_eq!(model, rtl, "{arguments:?}");
    }

    #[test]
    fn model_and_rtl_give_the_same_figures_whatever_the_mapping_and_memory() {
        let window = ["--skip", "700000", "--count", "30000"];
        for more in [
            &[][..],
            &["--pages", "2m"],
            &["--pages", "1g"],
            &["--set", "front_end.fetch_block_bytes=32"],
            &[
                "--pages",
                "mixed",
                "--set",
                "mapping.levels=5",
                "--set",
                "mapping.accessed_dirty=\"set\"",
            ],
            &[
                "--set",
                "memory.jitter_cycles=13",
                "--set",
                "memory.latency_cycles=3",
            ],
            &[
                "--set",
                "memory.latency_cycles=20",
                "--set",
                "memory.accept_interval_cycles=30",
                "--set",
                "memory.outstanding=2",
                "--set",
                "memory.table_cache={ sets = 4, ways = 3, latency_cycles = 5 }",
            ],
            &[
                "--set",
                "mapping.writable=false",
                "--set",
                "mapping.user=false",
            ],
        ] {
            agree(&[&window, more].concat());
        }
    }

    /// Lookups and misses of ITLB, DTLB and STLB.
    fn counts(figures: &Json) -> [[u64; 2]; 3] {
        ["itlb", "dtlb", "stlb"].map(|level| {
            ["lookups", "misses"].map(|key| figures[level][key].as_u64().expect("a count"))
        })
    }

    /// What simulators without a notion of time agree on for this trace and these TLBs: cold start, in program order, a modify being a load and
    /// a store, and an access that crosses a page looked up in both.
    #[test]
    fn the_textbook_machine_counts_what_anybody_can_count() {
        let whole = figures("model", &["--config", "preset:textbook"]);
        let known = [[6_943_919, 151], [3_079_242, 8_998], [9_149, 1_319]];
        assert_eq!(counts(&whole), known);
        let prefix = ["--config", "preset:textbook", "--count", "200000"];
        agree(&prefix);
        assert!(counts(&figures("rtl", &prefix))[1][1] > 50);
    }

    #[test]
    fn model_and_rtl_give_the_same_figures_on_other_machines() {
        for preset in ["preset:tiny", "preset:no-psc", "preset:l1-only"] {
            agree(&["--count", "20000", "--config", preset, "--pages", "mixed"]);
        }
    }
}
