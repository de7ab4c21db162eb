//! What is laid on what, and that each value knows where it came from.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

use std::io::Write;

use super::{refusal, with};
use crate::arch::PageSize;
use crate::config::{ArraySpec, Level, Origin, Source, load};
use crate::trace::PagePolicy;

#[test]
fn settings_are_typed_by_toml_and_the_last_one_wins() {
    let machine = with(&[
        "dtlb.arrays.0.ways=8",
        " memory.latency_cycles = 0x20 ",
        "memory.latency_cycles=0b111",
        "capabilities.page_1g=false",
        "itlb.arrays.0.page_sizes=['4k']",
        "itlb.arrays.1.page_sizes.0=2m",
        "mapping.pages=mixed",
    ])
    .expect("valid")
    .config;
    assert_eq!(machine.array(Level::Dtlb, PageSize::Size4K).ways, 8);
    assert_eq!(machine.memory.latency_cycles, 7);
    assert!(!machine.capabilities.page_1g);
    assert_eq!(machine.mapping.pages, PagePolicy::Mixed);
}

#[test]
fn a_setting_may_add_an_array_to_a_level() {
    let add = r#"stlb.arrays.0={page_sizes=["2m"],sets=2,ways=2}"#;
    let machine = with(&["stlb.arrays=[]", add]).expect("valid").config;
    assert_eq!(
        machine.array(Level::Stlb, PageSize::Size2M),
        ArraySpec::of_size(PageSize::Size2M, 2, 2)
    );
    assert_eq!(
        machine.array(Level::Stlb, PageSize::Size4K),
        ArraySpec::ABSENT
    );
}

#[test]
fn a_setting_that_leads_nowhere_says_where_it_ends() {
    for (argument, expected) in [
        ("dtlb", "there is no \"=\" in it"),
        ("=1", "a part of the key is empty"),
        ("dtlb..ways=1", "a part of the key is empty"),
        (
            "dtlb.arrays.9.ways=1",
            "the list has 3 elements, and none at 9",
        ),
        (
            "dtlb.arrays.first.ways=1",
            "first stands where a list needs an index",
        ),
        (
            "dtlb.arrays.-1.ways=1",
            "-1 stands where a list needs an index",
        ),
        ("l3.arrays=1", "there is no table l3"),
        (
            "ports.queue_entries.x=1",
            "there is nothing below which x could be",
        ),
        ("ports.queue_entries=four", "the value is not TOML: "),
        ("ports.queue_entries=", "the value is not TOML: "),
        ("ports.queue_entries=1 2", "the value is not TOML: "),
        ("ports.queue=1", "there is no key ports.queue"),
    ] {
        let message = refusal(&[argument]).to_string();
        assert!(message.contains(expected), "{argument}: {message}");
        assert!(
            message.starts_with(&format!("--set {argument}: ")),
            "{message}"
        );
    }
}

#[test]
fn a_message_repeats_only_the_beginning_of_a_long_argument_and_no_control_character() {
    let message = refusal(&[&format!("a.\u{1b}[2J{}=1", "x".repeat(5000))]).to_string();
    assert!(message.len() < 400, "{}", message.len());
    assert!(!message.contains('\u{1b}'), "{message}");
}

#[test]
fn each_value_knows_where_it_came_from() {
    let settings = ["psc.pde.ways=3".to_owned()];
    let loaded = load::load(&Source::Preset("tiny".to_owned()), &settings).expect("valid");
    assert_eq!(loaded.name, "preset:tiny with 1 set");
    let origin = |key: &str| {
        let values = loaded.values();
        let value = values.iter().find(|value| value.key == key);
        value.expect(key).origin.to_string()
    };
    assert_eq!(origin("psc.pde.ways"), "--set psc.pde.ways=3");
    assert_eq!(origin("dtlb.hit_latency_cycles"), "default");
    assert_eq!(origin("memory.size_bytes"), "default");
    assert!(origin("psc.pml4e.ways").starts_with("preset tiny, line "));
    assert!(origin("dtlb.arrays.0.sets").starts_with("preset tiny, line "));

    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(b"# mine\n[memory]\njitter_cycles = 9\n")
        .expect("written");
    let loaded = load::load(&Source::File(file.path().to_owned()), &[]).expect("valid");
    let values = loaded.values();
    let jitter = values
        .iter()
        .find(|value| value.key == "memory.jitter_cycles")
        .expect("there");
    assert_eq!(
        jitter.origin,
        Origin::File {
            path: file.path().to_owned(),
            line: 3
        }
    );
}

#[test]
fn values_are_listed_in_the_order_of_the_sections_and_not_of_the_alphabet() {
    let keys: Vec<String> = with(&[])
        .expect("valid")
        .values()
        .into_iter()
        .map(|value| value.key)
        .collect();
    let place = |key: &str| keys.iter().position(|name| name == key).expect(key);
    let in_order = [
        "capabilities.maxphyaddr_bits",
        "capabilities.five_level",
        "ports.queue_entries",
        "itlb.arrays.2.ways",
        "dtlb.hit_latency_cycles",
        "memory.jitter_cycles",
        "mapping.seed",
        "mapping.accessed_dirty",
    ];
    assert!(in_order.map(place).is_sorted(), "{keys:?}");
}
