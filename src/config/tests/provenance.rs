//! Presets of processors: where each figure comes from, and what summaries say of that.

use super::with;
use crate::config::provenance::Table;
use crate::config::tree::Node;
use crate::config::{Assumed, Origin, Provenance, Source, load, presets};

const FILE: &str = "[provenance]\n\"dtlb.arrays\" = \"cpuid\"\n\"dtlb.arrays.0.ways\" = \"measured\"\n\"walkers\" = \"manual\"\n";

fn take(text: &str) -> Result<Table, String> {
    let mut document = Node::from_document(text, &|line| Origin::Preset {
        name: "test".to_owned(),
        line,
    })
    .expect("TOML");
    Table::take(&mut document)
        .map(|table| table.expect("there is one"))
        .map_err(|error| error.to_string())
}

#[test]
fn the_longest_entry_counts_and_what_no_entry_names_is_assumed() {
    let table = take(FILE).expect("right");
    assert_eq!(table.of("dtlb.arrays.1.ways"), Provenance::Cpuid);
    assert_eq!(table.of("dtlb.arrays.0.ways"), Provenance::Measured);
    assert_eq!(table.of("walkers.count"), Provenance::Manual);
    assert_eq!(table.of("walkers_of_another_kind"), Provenance::Assumed);
    assert_eq!(table.of("stlb.hit_latency_cycles"), Provenance::Assumed);
}

#[test]
fn another_word_and_a_key_that_is_none_are_refused_with_their_line() {
    let error = take("\n[provenance]\n\"dtlb.arrays\" = \"hearsay\"\n").expect_err("no such word");
    for part in [
        "line 3",
        "dtlb.arrays",
        "hearsay",
        "\"cpuid\", \"manual\", \"measured\", \"assumed\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let error = take("[provenance]\n\"dtlb.rays\" = \"cpuid\"\n").expect_err("no such key");
    assert!(
        error.contains("line 2") && error.contains("dtlb.rays"),
        "{error}"
    );
}

#[test]
fn every_figure_of_a_processor_is_stated_and_has_its_provenance() {
    let mut described = 0;
    for preset in presets::ALL {
        let machine = load(&Source::Preset(preset.name.to_owned()), &[]).expect("a preset");
        let Some(assumed) = machine.assumed else {
            continue;
        };
        described += 1;
        let table = take(preset.toml).expect("a table");
        for value in machine.values() {
            let Some(provenance) = value.provenance else {
                continue;
            };
            assert!(table.names(&value.key), "{}: {}", preset.name, value.key);
            let stated = matches!(value.origin, Origin::Preset { .. });
            assert!(
                stated || provenance == Provenance::Assumed || value.key.ends_with(".serves"),
                "{}: {} is the default machine's",
                preset.name,
                value.key
            );
        }
        assert!(0 < assumed.assumed && assumed.assumed < assumed.parameters);
        assert!(
            machine.name.ends_with(&format!("({assumed})")),
            "{}",
            machine.name
        );
    }
    assert_eq!(described, 7);
}

#[test]
fn what_is_set_on_top_is_assumed_by_nobody() {
    let preset = Source::Preset("skylake-sp".to_owned());
    let before = load(&preset, &[])
        .expect("right")
        .assumed
        .expect("a processor");
    let settings = [
        "psc.pde.ways=4".to_owned(),
        "dtlb.arrays.0.ways=8".to_owned(),
    ];
    let after = load(&preset, &settings)
        .expect("right")
        .assumed
        .expect("a processor");
    let fewer = Assumed {
        assumed: before.assumed - 1,
        ..before
    };
    assert_eq!(after, fewer);
    assert_eq!(with(&[]).expect("right").assumed, None);
}

#[test]
fn a_processor_that_was_shown_is_read_back_with_its_provenance() {
    let shown = load(&Source::Preset("zen4".to_owned()), &[]).expect("right");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("zen4.toml");
    std::fs::write(&path, shown.to_annotated_toml()).expect("written");
    let read = load(&Source::File(path), &[]).expect("right");
    assert_eq!(read.config.hash(), shown.config.hash());
    assert_eq!(read.assumed, shown.assumed);
}
