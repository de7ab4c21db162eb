//! The JSON Schema of a configuration, and what the rest draws from it: the list of keys, and the rule for each.
//!
//! Contract: section 2 gives the ranges. SDM: none. Counterpart: none.
//!
//! The schema is made from the types in `sections.rs`, so a parameter that is added there is at once in the schema, in the validation
//! and in the error messages.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::Config;
use super::provenance::{Provenance, TABLE};
use super::tree::join;

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// A table with these keys.
    Table {
        /// Its keys, in alphabetical order.
        keys: Vec<TableKey>,
    },
    /// A list.
    List {
        /// Fewest elements.
        min: u64,
        /// Most elements.
        max: u64,
        /// What each may be.
        item: Box<Rule>,
    },
    /// `true` or `false`.
    Boolean,
    /// A whole number from `min` to `max`, divisible by `multiple_of`.
    Integer {
        /// The least.
        min: i128,
        /// The greatest.
        max: i128,
        /// A divisor, 1 for any.
        multiple_of: i128,
    },
    /// One of these whole numbers.
    OneOf(Vec<i128>),
    /// A number from `min` to `max`.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// One of these words.
    Choice(Vec<String>),
    /// Any text.
    Text,
    /// A shape that the list of keys does not describe; the type itself judges it.
    Typed,
}

/// A key of a [`Rule::Table`].
#[derive(Debug, Clone, PartialEq)]
pub struct TableKey {
    /// Its name.
    pub name: String,
    /// What it means, in one line.
    pub description: String,
    /// Whether the type has no value of its own for it: a list's element must give it, and everywhere else the default machine does.
    pub required: bool,
    /// What it may be.
    pub rule: Rule,
}

/// A parameter: one line of the documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Dotted path; `N` stands for the index of a list.
    pub path: String,
    /// What it may be.
    pub rule: Rule,
    /// What it means, in one line.
    pub description: String,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table { .. } => f.write_str("a table"),
            Self::List { min, max, item } => {
                match (min, max) {
                    (min, max) if min == max => write!(f, "a list of exactly {min}")?,
                    (0, &u64::MAX) => f.write_str("a list")?,
                    (0, max) => write!(f, "a list of at most {max}")?,
                    (min, max) => write!(f, "a list of {min} to {max}")?,
                }
                write!(f, ", each: {item}")
            }
            Self::Boolean => f.write_str("true or false"),
            Self::Integer {
                min,
                max,
                multiple_of,
            } => {
                if min == max {
                    write!(f, "{min}")?;
                } else {
                    write!(f, "{min} to {max}")?;
                }
                if *multiple_of != 1 {
                    write!(f, ", a multiple of {multiple_of}")?;
                }
                Ok(())
            }
            Self::OneOf(values) => match (values.first(), values.last()) {
                (Some(first), Some(last)) if are_powers_of_two(values) => {
                    write!(f, "a power of two, {first} to {last}")
                }
                _ => f.write_str(&join_words(values.iter().map(i128::to_string))),
            },
            Self::Number { min, max } => write!(f, "a number, {min} to {max}"),
            Self::Choice(words) => {
                f.write_str(&join_words(words.iter().map(|word| format!("\"{word}\""))))
            }
            Self::Text => f.write_str("a text"),
            Self::Typed => f.write_str("as `twinwalk config schema` says"),
        }
    }
}

fn are_powers_of_two(values: &[i128]) -> bool {
    values.len() > 2 && values.windows(2).all(|pair| pair[1] == 2 * pair[0])
}

fn join_words(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// The JSON Schema (draft 2020-12) of a configuration file. Every key but those of a list's element may be left out: the default machine
/// gives it.
pub fn json_schema() -> Json {
    let mut schema = type_schema::<Config>();
    let defaults = Config::default().canonical_json();
    loosen(&mut schema, Some(&defaults));
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Twinwalk configuration"));
        let words = Provenance::ALL.map(Provenance::name);
        let provenance = json!({
            "description": "Of a described processor: where the figures come from, by key, or beginning of keys",
            "type": "object",
            "additionalProperties": { "enum": words },
        });
        if let Some(Json::Object(properties)) = root.get_mut("properties") {
            properties.insert(TABLE.to_owned(), provenance);
        }
    }
    schema
}

/// The rule of a whole configuration.
pub fn rule() -> Rule {
    rule_of(&type_schema::<Config>())
}

/// The rule of another file whose keys are those of a type.
pub(super) fn rule_for<T: JsonSchema>() -> Rule {
    rule_of(&type_schema::<T>())
}

/// Every parameter, in alphabetical order of its path.
pub fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    collect_keys(&rule(), "", &mut keys);
    keys
}

fn collect_keys(rule: &Rule, path: &str, keys: &mut Vec<Key>) {
    let Rule::Table { keys: table } = rule else {
        return;
    };
    for key in table {
        let path = join(path, &key.name);
        match &key.rule {
            Rule::Table { .. } => collect_keys(&key.rule, &path, keys),
            Rule::List { item, .. } if matches!(**item, Rule::Table { .. }) => {
                collect_keys(item, &join(&path, "N"), keys);
            }
            rule => keys.push(Key {
                path,
                rule: rule.clone(),
                description: key.description.clone(),
            }),
        }
    }
}

/// The schema as the types give it, without references.
fn type_schema<T: JsonSchema>() -> Json {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    join_lines(&mut schema);
    schema
}

/// Doc comments are broken at the width of the source; a description is a line.
fn join_lines(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            for (key, value) in object {
                match value {
                    Json::String(text) if key == "description" => {
                        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                    }
                    value => join_lines(value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(join_lines),
        _ => {}
    }
}

/// Tables that the default machine has require nothing, and their values have its value as default.
fn loosen(schema: &mut Json, default: Option<&Json>) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let Some(default) = default else {
        return;
    };
    if let Some(properties) = object.get_mut("properties").and_then(Json::as_object_mut) {
        for (key, property) in properties {
            loosen(property, default.get(key));
        }
        object.remove("required");
    } else {
        object.insert("default".to_owned(), default.clone());
    }
}

fn rule_of(schema: &Json) -> Rule {
    let Some(schema) = schema.as_object() else {
        return Rule::Typed;
    };
    if let Some(rule) = enumerated(schema) {
        return rule;
    }
    match type_name(schema) {
        Some("object") => table_rule(schema),
        Some("array") => Rule::List {
            min: unsigned(schema, "minItems").unwrap_or(0),
            max: unsigned(schema, "maxItems").unwrap_or(u64::MAX),
            item: Box::new(schema.get("items").map_or(Rule::Typed, rule_of)),
        },
        Some("boolean") => Rule::Boolean,
        Some("integer") => Rule::Integer {
            min: integer(schema, "minimum").unwrap_or(i128::from(i64::MIN)),
            // Above this TOML itself has no integers.
            max: integer(schema, "maximum").unwrap_or(i128::from(i64::MAX)),
            multiple_of: integer(schema, "multipleOf").unwrap_or(1).max(1),
        },
        Some("number") => Rule::Number {
            min: number(schema, "minimum").unwrap_or(f64::MIN),
            max: number(schema, "maximum").unwrap_or(f64::MAX),
        },
        Some("string") => Rule::Text,
        _ => Rule::Typed,
    }
}

fn table_rule(schema: &Map<String, Json>) -> Rule {
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
        return Rule::Typed;
    };
    let required: Vec<&str> = strings(schema.get("required"));
    Rule::Table {
        keys: properties
            .iter()
            .map(|(name, property)| TableKey {
                name: name.clone(),
                description: property
                    .get("description")
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                required: required.contains(&name.as_str()),
                rule: rule_of(property),
            })
            .collect(),
    }
}

/// The rule of a schema that lists its values: an `enum`, or alternatives that are each one word.
fn enumerated(schema: &Map<String, Json>) -> Option<Rule> {
    if let Some(values) = schema.get("enum").and_then(Json::as_array) {
        let integers: Option<Vec<i128>> = values
            .iter()
            .map(|value| value.as_i64().map(i128::from))
            .collect();
        let words: Vec<&str> = strings(schema.get("enum"));
        return match integers {
            Some(integers) => Some(Rule::OneOf(integers)),
            None if words.len() == values.len() => Some(choice(words)),
            None => Some(Rule::Typed),
        };
    }
    let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    let alternatives = alternatives.as_array()?;
    let mut words = Vec::new();
    for alternative in alternatives {
        if let Some(word) = alternative.get("const").and_then(Json::as_str) {
            words.push(word);
        } else if alternative.get("enum").is_some() {
            words.extend(strings(alternative.get("enum")));
        } else {
            return Some(Rule::Typed);
        }
    }
    Some(choice(words))
}

fn choice(words: Vec<&str>) -> Rule {
    Rule::Choice(words.into_iter().map(str::to_owned).collect())
}

fn strings(list: Option<&Json>) -> Vec<&str> {
    list.and_then(Json::as_array)
        .map(|list| list.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default()
}

/// The type, where `null` beside it only says that the key may be left out.
fn type_name(schema: &Map<String, Json>) -> Option<&str> {
    match schema.get("type")? {
        Json::String(name) => Some(name),
        Json::Array(names) => names
            .iter()
            .filter_map(Json::as_str)
            .find(|&name| name != "null"),
        _ => None,
    }
}

fn unsigned(schema: &Map<String, Json>, key: &str) -> Option<u64> {
    schema.get(key).and_then(Json::as_u64)
}

fn integer(schema: &Map<String, Json>, key: &str) -> Option<i128> {
    let value = schema.get(key)?;
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}

fn number(schema: &Map<String, Json>, key: &str) -> Option<f64> {
    schema.get(key).and_then(Json::as_f64)
}
