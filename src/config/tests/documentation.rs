//! The schema and the page of documentation say what the types say.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

use std::fs;

use serde_json::Value as Json;

use super::{from_text, manifest};
use crate::arch::PageSize;
use crate::config::provenance::TABLE;
use crate::config::schema::{self, Rule};
use crate::config::{ArraySpec, Config, Level, Source, load, presets};

#[test]
fn the_schema_describes_every_key_and_has_the_default_machine_as_default() {
    let schema = schema::json_schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], Json::Null);
    let sections = schema["properties"].as_object().expect("sections");
    let default = Config::default().canonical_json();
    // Not a parameter: it says where parameters come from.
    for (name, section) in sections.iter().filter(|(name, _)| *name != TABLE) {
        check_defaults(name, section, &default[name]);
    }
    let array = &schema["properties"]["stlb"]["properties"]["arrays"]["items"];
    assert_eq!(
        array["required"],
        serde_json::json!(["page_sizes", "sets", "ways"])
    );
    for key in schema::keys() {
        assert!(!key.description.is_empty(), "{}", key.path);
        assert_ne!(key.rule, Rule::Typed, "{}", key.path);
    }
}

#[test]
fn the_documentation_lists_every_key_with_its_range_default_and_meaning() {
    let page = fs::read_to_string(manifest("docs/configuration.md")).expect("the page");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `") && !line.starts_with("| `preset:"))
        .collect();
    let expected: Vec<String> = schema::keys().iter().map(documented).collect();
    assert_eq!(
        rows,
        expected,
        "\nThe table should be:\n{}\n",
        expected.join("\n")
    );
    for entry in presets::ALL {
        assert!(
            page.contains(&format!("| `preset:{}` |", entry.name)),
            "{}",
            entry.name
        );
    }
}

#[test]
fn the_file_in_the_documentation_is_valid() {
    let page = fs::read_to_string(manifest("docs/configuration.md")).expect("the page");
    let (_, rest) = page.split_once("```toml\n").expect("a file");
    let (file, _) = rest.split_once("```").expect("its end");
    let machine = from_text(file.as_bytes()).expect("valid").config;
    assert_eq!(
        machine.array(Level::Dtlb, PageSize::Size1G),
        ArraySpec::ABSENT
    );
}

/// Every key of a table, and of the tables in it, is described and has its value of the default machine.
fn check_defaults(path: &str, table: &Json, default: &Json) {
    for (key, property) in table["properties"].as_object().expect("keys") {
        let path = format!("{path}.{key}");
        let description = property["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{path}");
        assert!(!description.contains('\n'), "{path}");
        if property["type"] == "object" {
            assert_eq!(property["required"], Json::Null, "{path}");
            check_defaults(&path, property, &default[key]);
        } else {
            assert_eq!(property["default"], default[key], "{path}");
        }
    }
}

/// The row of a key. Under `N` it has the values of each array in turn.
fn documented(key: &schema::Key) -> String {
    let loaded = load::load(&Source::Default, &[]).expect("valid");
    let (before, after) = key.path.split_once('N').unwrap_or((&key.path, ""));
    let default: Vec<String> = loaded
        .values()
        .into_iter()
        .filter(|value| value.key.starts_with(before) && value.key.ends_with(after))
        .map(|value| value.value)
        .collect();
    let default = match key.path.as_str() {
        "memory.size_bytes" => "2^MAXPHYADDR".to_owned(),
        _ => default.join(", "),
    };
    format!(
        "| `{}` | {} | {default} | {} |",
        key.path, key.rule, key.description
    )
}
