//! A configuration as a tree of values, each of which knows where it came from; layers are laid on each other here.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! The tree keeps the order of the text that it was read from, so that `config show` prints keys in the order of the documentation.

use serde_json::{Number, Value as Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin, Problem};

/// A value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub origin: Origin,
    pub value: Value,
}

/// What a value may be in TOML.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Table(Vec<(String, Node)>),
    List(Vec<Node>),
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// What the project has no use for, as it was written: dates, and integers beyond any range.
    Other(String),
}

impl Node {
    /// The tree of a TOML document. `origin` makes the origin of a line, counted from 1.
    pub fn from_document(
        text: &str,
        origin: &dyn Fn(usize) -> Origin,
    ) -> Result<Self, ConfigError> {
        let lines = Lines::new(text);
        match DeTable::parse(text) {
            Ok(table) => Ok(Self {
                origin: origin(1),
                value: Value::from_table(table.get_ref(), &|at| origin(lines.line(at))),
            }),
            Err(error) => Err(syntax_error(&error, text, &lines, origin)),
        }
    }

    /// The tree of one TOML value, as it stands to the right of `=`.
    pub fn from_value(text: &str, origin: &Origin) -> Result<Self, ConfigError> {
        let lines = Lines::new(text);
        match DeValue::parse(text) {
            Ok(value) => Ok(Self {
                origin: origin.clone(),
                value: Value::from_toml(value.get_ref(), &|_| origin.clone()),
            }),
            Err(error) => Err(syntax_error(&error, text, &lines, &|_| origin.clone())),
        }
    }

    /// Lays `upper` on this tree: tables are joined key by key, everything else is replaced.
    pub fn overlay(&mut self, upper: Self) {
        match (&mut self.value, upper) {
            (
                Value::Table(entries),
                Self {
                    value: Value::Table(upper_entries),
                    ..
                },
            ) => {
                for (key, upper) in upper_entries {
                    match entries.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, node)) => node.overlay(upper),
                        None => entries.push((key, upper)),
                    }
                }
            }
            (_, upper) => *self = upper,
        }
    }

    /// The value under `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value at a path of table keys and list indices.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, segment| match &node.value {
                Value::List(items) => items.get(segment.parse::<usize>().ok()?),
                _ => node.get(segment),
            })
    }

    /// Puts `new` at a path of table keys and list indices. A table takes a new key, and a list an index one beyond its end.
    ///
    /// On failure, says which part of the path leads nowhere.
    pub fn put(&mut self, path: &[&str], new: Self) -> Result<(), String> {
        let Some((segment, rest)) = path.split_first() else {
            self.overlay(new);
            return Ok(());
        };
        match &mut self.value {
            Value::Table(entries) => {
                if let Some((_, node)) = entries.iter_mut().find(|(name, _)| name == segment) {
                    return node.put(rest, new);
                }
                if !rest.is_empty() {
                    return Err(format!("there is no table {segment}"));
                }
                entries.push(((*segment).to_owned(), new));
                Ok(())
            }
            Value::List(items) => {
                let count = items.len();
                let index: usize = segment.parse().map_err(|_| {
                    format!("{segment} stands where a list needs an index, from 0 on")
                })?;
                if let Some(node) = items.get_mut(index) {
                    node.put(rest, new)
                } else if index == count && rest.is_empty() {
                    items.push(new);
                    Ok(())
                } else {
                    Err(format!(
                        "the list has {count} elements, and none at {index}"
                    ))
                }
            }
            _ => Err(format!("there is nothing below which {segment} could be")),
        }
    }

    /// Every value that is not a table or a list of tables, with its dotted path, in order.
    pub fn leaves(&self) -> Vec<(String, &Self)> {
        let mut leaves = Vec::new();
        self.collect_leaves(String::new(), &mut leaves);
        leaves
    }

    fn collect_leaves<'a>(&'a self, path: String, leaves: &mut Vec<(String, &'a Self)>) {
        match &self.value {
            Value::Table(entries) => {
                for (key, node) in entries {
                    node.collect_leaves(join(&path, key), leaves);
                }
            }
            Value::List(items)
                if items
                    .iter()
                    .any(|item| matches!(item.value, Value::Table(_))) =>
            {
                for (index, node) in items.iter().enumerate() {
                    node.collect_leaves(join(&path, &index.to_string()), leaves);
                }
            }
            _ => leaves.push((path, self)),
        }
    }

    /// The tree as JSON, for the typed [`super::Config`]. What JSON cannot hold becomes text, which no key takes.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Table(entries) => entries
                .iter()
                .map(|(key, node)| (key.clone(), node.to_json()))
                .collect(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Boolean(value) => Json::Bool(*value),
            Value::Integer(value) => Number::from_i128(*value)
                .map_or_else(|| Json::String(value.to_string()), Json::Number),
            Value::Float(value) => Number::from_f64(*value)
                .map_or_else(|| Json::String(value.to_string()), Json::Number),
            Value::Text(value) | Value::Other(value) => Json::String(value.clone()),
        }
    }

    /// The value as TOML writes it, on one line.
    pub fn to_toml(&self) -> String {
        match &self.value {
            Value::Table(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, node)| format!("{} = {}", toml_key(key), node.to_toml()))
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_toml).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            // The debug form always has a point or an exponent, as TOML demands.
            Value::Float(value) => format!("{value:?}"),
            Value::Text(value) => toml_text(value),
            Value::Other(value) => value.clone(),
        }
    }
}

impl Value {
    fn from_table(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Self {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts keys; their places give the order of the text back.
        entries.sort_by_key(|(key, _)| key.span().start);
        Self::Table(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let node = Node {
                        origin: origin(key.span().start),
                        value: Self::from_toml(value.get_ref(), origin),
                    };
                    (key.get_ref().to_string(), node)
                })
                .collect(),
        )
    }

    fn from_toml(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| Self::Other(integer.to_string()), Self::Integer),
            DeValue::Float(float) => float
                .as_str()
                .parse()
                .map_or_else(|_| Self::Other(float.to_string()), Self::Float),
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Datetime(date) => Self::Other(date.to_string()),
            DeValue::Array(items) => Self::List(
                items
                    .iter()
                    .map(|item: &Spanned<DeValue<'_>>| Node {
                        origin: origin(item.span().start),
                        value: Self::from_toml(item.get_ref(), origin),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Self::from_table(table, origin),
        }
    }
}

/// A key as TOML writes it: in quotes where it must.
fn toml_key(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) {
        key.to_owned()
    } else {
        toml_text(key)
    }
}

/// `text` as a TOML string in quotes.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A dotted path one segment longer.
pub(super) fn join(path: &str, segment: &str) -> String {
    if path.is_empty() {
        segment.to_owned()
    } else {
        format!("{path}.{segment}")
    }
}

fn syntax_error(
    error: &toml::de::Error,
    text: &str,
    lines: &Lines,
    origin: &dyn Fn(usize) -> Origin,
) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let line = lines.line(offset);
    let start = lines.starts.get(line - 1).copied().unwrap_or(0);
    let before = text.get(start..offset).unwrap_or("");
    Problem::Syntax {
        place: origin(line),
        column: before.chars().count() + 1,
        message: super::error::excerpt(error.message()),
    }
    .into()
}

/// Where the lines of a text begin.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(after_newlines).collect(),
        }
    }

    /// The line of a byte offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset).max(1)
    }
}
