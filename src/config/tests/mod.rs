//! Behaviour of the configuration: what a machine is, what is refused and how it is said, what wins, and what is documented.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::schema::Rule;
use super::{Config, ConfigError, Loaded, Source, load};

mod documentation;
mod layers;
mod machine;
mod properties;
mod provenance;
mod refusals;

fn from_text(text: &[u8]) -> Result<Loaded, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text).expect("written");
    load::load(&Source::File(file.path().to_owned()), &[])
}

fn with(settings: &[&str]) -> Result<Loaded, ConfigError> {
    let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
    load::load(&Source::Default, &settings)
}

fn preset(name: &str) -> Config {
    load::load(&Source::Preset(name.to_owned()), &[])
        .expect("a preset is valid")
        .config
}

fn refusal(settings: &[&str]) -> ConfigError {
    with(settings).expect_err(&format!("{settings:?} must be refused"))
}

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Values that a rule takes, its extremes among them, as TOML.
fn values_within(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::Boolean => vec!["true".to_owned(), "false".to_owned()],
        Rule::Integer { min, max, .. } => vec![min.to_string(), max.to_string()],
        Rule::OneOf(values) => values.iter().map(i128::to_string).collect(),
        Rule::Number { min, max } => vec![format!("{min:?}"), format!("{max:?}")],
        Rule::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
        _ => Vec::new(),
    }
}

/// What has to be set beside a key, so that both ends of its range can be.
fn beside(path: &str) -> Vec<String> {
    let other = match path {
        "memory.size_bytes" => "capabilities.maxphyaddr_bits=52".to_owned(),
        "memory.table_cache.sets" => "memory.table_cache.ways=1".to_owned(),
        "memory.table_cache.latency_cycles" => {
            let others = ["memory.table_cache.ways=1", "memory.latency_cycles=65535"];
            return others.map(str::to_owned).to_vec();
        }
        "stlb.arrays.0.replacement" => "stlb.arrays.0.ways=8".to_owned(),
        _ => match path
            .strip_prefix("psc.")
            .and_then(|path| path.strip_suffix(".sets"))
        {
            Some(cache) => format!("psc.{cache}.ways=1"),
            None => return Vec::new(),
        },
    };
    vec![other]
}

/// Whether a key has one value only, because it is written alike at every level and means something at another.
fn is_fixed(path: &str) -> bool {
    let level = |suffix, level: &str| path.ends_with(suffix) && !path.starts_with(level);
    level(".serves", "dtlb.") || level(".inclusive", "stlb.")
}

/// Values that a rule refuses, those just beyond its extremes among them, as TOML.
fn values_beyond(rule: &Rule) -> Vec<String> {
    let mut values = match rule {
        Rule::Integer {
            min,
            max,
            multiple_of,
        } => {
            let mut values = vec![(min - 1).to_string(), (max + 1).to_string()];
            if *multiple_of > 1 {
                values.push((min + 1).to_string());
            }
            values
        }
        Rule::List { item, max, .. } => {
            let item = &values_within(item)[0];
            let many = vec![item.as_str(); *max as usize + 1].join(", ");
            vec!["[]".to_owned(), format!("[{many}]")]
        }
        Rule::OneOf(values) => {
            let max = values.iter().max().expect("values");
            let beyond = [0, 3, 2 * max].into_iter();
            let beyond = beyond.filter(|value| !values.contains(value));
            beyond.map(|value| value.to_string()).collect()
        }
        _ => Vec::new(),
    };
    let types = [
        "\"no such word\"",
        "1979-05-27",
        "{ a = 1 }",
        "nan",
        "99999999999999999999999999999999999999999999",
    ];
    values.extend(types.map(str::to_owned));
    if *rule != Rule::Boolean {
        values.push("true".to_owned());
    }
    if !matches!(rule, Rule::List { .. }) {
        values.push("[1, 2]".to_owned());
    }
    values
}
