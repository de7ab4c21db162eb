//! Loading: the default machine, then a file or a preset, then `key=value` on top; and where each value came from.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin, Problem};
use super::provenance::{self, Assumed, Provenance};
use super::schema::{self, Rule};
use super::tree::{Node, Value, join};
use super::{Config, presets, validate};

/// The most that is read of a file: a configuration is a few kilobytes.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Where a configuration comes from, before `key=value` is laid on top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// The default machine.
    #[default]
    Default,
    /// A preset of that name.
    Preset(String),
    /// A TOML file.
    File(PathBuf),
}

impl Source {
    /// What `--config` takes: `preset:NAME`, else a path.
    pub fn parse(text: impl AsRef<OsStr>) -> Self {
        let text = text.as_ref();
        match text.to_str().and_then(|text| text.strip_prefix("preset:")) {
            Some(name) => Self::Preset(name.to_owned()),
            None => Self::File(PathBuf::from(text)),
        }
    }
}

/// A valid configuration that remembers where each of its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What a summary calls it: `default`, `preset:NAME` or the file's path, how many values were set on top, and, of a described processor, how
    /// many of its parameters are assumed.
    pub name: String,
    /// How much of a described processor is assumed; none of a machine that describes no processor.
    pub assumed: Option<Assumed>,
    tree: Node,
    provenance: Option<provenance::Table>,
}

/// One value in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Dotted path.
    pub key: String,
    /// The value as TOML writes it.
    pub value: String,
    /// The value as JSON.
    pub json: serde_json::Value,
    /// Where it came from.
    pub origin: Origin,
    /// Where its figure comes from, if it describes a processor and was not set on top.
    pub provenance: Option<Provenance>,
}

/// Loads `source`, and lays each `key=value` of `settings` on it, in order.
///
/// # Errors
/// [`ConfigError`], with the place, the key, the value and what is allowed.
pub fn load(source: &Source, settings: &[String]) -> Result<Loaded, ConfigError> {
    let mut tree = default_tree()?;
    let mut provenance = None;
    let mut name = match source {
        Source::Default => "default".to_owned(),
        Source::Preset(preset) => {
            let mut document = preset_tree(preset)?;
            provenance = provenance::Table::take(&mut document)?;
            tree.overlay(document);
            format!("preset:{preset}")
        }
        Source::File(path) => {
            let text = read(path)?;
            let mut document = Node::from_document(&text, &|line| Origin::File {
                path: path.clone(),
                line,
            })?;
            provenance = provenance::Table::take(&mut document)?;
            tree.overlay(document);
            path.display().to_string()
        }
    };
    let rule = schema::rule();
    for argument in settings {
        set(&mut tree, &rule, argument)?;
    }
    if !settings.is_empty() {
        name.push_str(&format!(" with {} set", settings.len()));
    }
    let mut loaded = Loaded {
        config: typed(&tree, &rule)?,
        name,
        assumed: None,
        tree,
        provenance,
    };
    loaded.count_assumed();
    Ok(loaded)
}

/// The configuration that `text` lays on the default machine; `name` stands for the text in errors.
///
/// # Errors
/// As [`load`].
pub fn from_toml(text: &str, name: &str) -> Result<Config, ConfigError> {
    let mut tree = default_tree()?;
    let mut document = Node::from_document(text, &|line| Origin::File {
        path: PathBuf::from(name),
        line,
    })?;
    provenance::Table::take(&mut document)?;
    tree.overlay(document);
    typed(&tree, &schema::rule())
}

impl Config {
    /// Whether every value is in range and none contradicts another.
    ///
    /// # Errors
    /// [`ConfigError`] for the first that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        typed(&tree_of(self, &Origin::Program)?, &schema::rule()).map(|_| ())
    }

    /// The configuration as a TOML file that states every value.
    ///
    /// # Errors
    /// [`Problem::Refused`] if a value is beyond what TOML can write; never for a valid configuration.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| {
            Problem::Refused {
                place: Origin::Program,
                key: "configuration".to_owned(),
                value: error.to_string(),
                allowed: schema::rule().to_string(),
            }
            .into()
        })
    }
}

impl Loaded {
    /// Every value in effect, in the order of the documentation. A value that follows from others, because nobody gave it, is among them.
    pub fn values(&self) -> Vec<Effective> {
        self.effective_tree()
            .leaves()
            .into_iter()
            .map(|(key, node)| Effective {
                value: node.to_toml(),
                json: node.to_json(),
                origin: node.origin.clone(),
                provenance: self.provenance_of(&key, &node.origin),
                key,
            })
            .collect()
    }

    fn provenance_of(&self, key: &str, origin: &Origin) -> Option<Provenance> {
        let table = self.provenance.as_ref()?;
        let set = matches!(origin, Origin::Set { .. });
        (!set && provenance::describes_the_machine(key)).then(|| table.of(key))
    }

    fn count_assumed(&mut self) {
        if self.provenance.is_none() {
            return;
        }
        let values = self.values();
        let is_assumed = |value: &&Effective| value.provenance == Some(Provenance::Assumed);
        let assumed = Assumed {
            assumed: values.iter().filter(is_assumed).count(),
            parameters: values
                .iter()
                .filter(|value| provenance::describes_the_machine(&value.key))
                .count(),
        };
        self.name.push_str(&format!(" ({assumed})"));
        self.assumed = Some(assumed);
    }

    /// The values in effect as a TOML file, with the origin of each as a comment behind it; of a described processor with the provenance of
    /// each.
    pub fn to_annotated_toml(&self) -> String {
        let mut out = String::new();
        write_table(&self.effective_tree(), "", &mut out);
        if self.provenance.is_some() {
            out.push_str(&format!("\n[{}]\n", provenance::TABLE));
        }
        for value in self.values() {
            if let Some(provenance) = value.provenance {
                out.push_str(&format!("\"{}\" = \"{provenance}\"\n", value.key));
            }
        }
        out
    }

    fn effective_tree(&self) -> Node {
        let mut tree = self.tree.clone();
        if tree.at(&["memory", "size_bytes"]).is_none() {
            let size_bytes = Node {
                origin: Origin::Default,
                value: Value::Integer(i128::from(self.config.memory_size_bytes())),
            };
            // The section is there: the typed configuration came from it.
            let _ = tree.put(&["memory", "size_bytes"], size_bytes);
        }
        tree
    }
}

fn write_table(node: &Node, path: &str, out: &mut String) {
    let Value::Table(entries) = &node.value else {
        return;
    };
    let is_section = |node: &Node| match &node.value {
        Value::Table(_) => true,
        Value::List(items) => {
            !items.is_empty()
                && items
                    .iter()
                    .all(|item| matches!(item.value, Value::Table(_)))
        }
        _ => false,
    };
    // Values before sections: in TOML a value belongs to the section above it.
    for (key, value) in entries.iter().filter(|(_, value)| !is_section(value)) {
        let assignment = format!("{key} = {}", value.to_toml());
        out.push_str(&format!("{assignment:<36} # {}\n", value.origin));
    }
    for (key, value) in entries.iter().filter(|(_, value)| is_section(value)) {
        let path = join(path, key);
        match &value.value {
            Value::List(items) => {
                for item in items {
                    out.push_str(&format!("\n[[{path}]]\n"));
                    write_table(item, &path, out);
                }
            }
            _ => {
                out.push_str(&format!(
                    "{}[{path}]\n",
                    if out.is_empty() { "" } else { "\n" }
                ));
                write_table(value, &path, out);
            }
        }
    }
}

/// The typed configuration of a tree that holds against every rule.
fn typed(tree: &Node, rule: &Rule) -> Result<Config, ConfigError> {
    validate::check_rules(tree, rule, "")?;
    let config =
        serde_json::from_value(tree.to_json()).map_err(|error| untyped(tree, rule, &error))?;
    validate::check_relations(&config, tree)?;
    Ok(config)
}

/// The rules let a value pass that its type refuses: it stands below a key that only its type describes.
fn untyped(tree: &Node, rule: &Rule, error: &serde_json::Error) -> ConfigError {
    let mut path = Vec::new();
    let node = typed_place(tree, rule, &mut path).unwrap_or(tree);
    Problem::Contradiction {
        place: node.origin.clone(),
        key: path.join("."),
        value: node.to_toml(),
        reason: super::error::excerpt(&error.to_string()),
        allowed: Rule::Typed.to_string(),
    }
    .into()
}

/// The first value whose rule is [`Rule::Typed`], if there is one.
fn typed_place<'a>(node: &'a Node, rule: &Rule, path: &mut Vec<String>) -> Option<&'a Node> {
    let Rule::Table { keys } = rule else {
        return (*rule == Rule::Typed).then_some(node);
    };
    keys.iter().find_map(|key| {
        let child = node.get(&key.name)?;
        path.push(key.name.clone());
        let found = typed_place(child, &key.rule, path);
        if found.is_none() {
            path.pop();
        }
        found
    })
}

fn default_tree() -> Result<Node, ConfigError> {
    tree_of(&Config::default(), &Origin::Default)
}

fn tree_of(config: &Config, origin: &Origin) -> Result<Node, ConfigError> {
    Node::from_document(&config.to_toml()?, &|_| origin.clone())
}

fn preset_tree(name: &str) -> Result<Node, ConfigError> {
    let preset = presets::find(name).ok_or_else(|| Problem::UnknownPreset {
        name: name.to_owned(),
        known: presets::ALL.iter().map(|preset| preset.name).collect(),
    })?;
    Node::from_document(preset.toml, &|line| Origin::Preset {
        name: name.to_owned(),
        line,
    })
}

pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error| -> ConfigError {
        Problem::Unreadable {
            path: path.to_owned(),
            error,
        }
        .into()
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(FILE_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT_BYTES {
        return Err(Problem::TooLarge {
            path: path.to_owned(),
            limit_bytes: FILE_LIMIT_BYTES,
        }
        .into());
    }
    String::from_utf8(bytes).map_err(|error| {
        Problem::NotText {
            path: path.to_owned(),
            offset: error.utf8_error().valid_up_to(),
        }
        .into()
    })
}

/// Lays one `key=value` on the tree.
fn set(tree: &mut Node, rule: &Rule, argument: &str) -> Result<(), ConfigError> {
    let setting = |problem: String| -> ConfigError {
        Problem::Setting {
            argument: argument.to_owned(),
            problem,
        }
        .into()
    };
    let (key, text) = argument
        .split_once('=')
        .ok_or_else(|| setting("there is no \"=\" in it".to_owned()))?;
    let path: Vec<&str> = key.trim().split('.').collect();
    if path.iter().any(|segment| segment.is_empty()) {
        return Err(setting("a part of the key is empty".to_owned()));
    }
    let origin = Origin::Set {
        argument: argument.to_owned(),
    };
    let text = text.trim();
    let value = match Node::from_value(text, &origin) {
        Ok(value) => value,
        // Shells eat quotes, so a bare word does where a word is wanted.
        Err(_) if takes_words(rule, &path) => Node {
            origin,
            value: Value::Text(text.to_owned()),
        },
        Err(error) => {
            return Err(match error.problem() {
                Problem::Syntax { message, .. } => {
                    setting(format!("the value is not TOML: {message}"))
                }
                _ => error,
            });
        }
    };
    tree.put(&path, value).map_err(setting)
}

/// Whether the rule at a path is for words.
fn takes_words(rule: &Rule, path: &[&str]) -> bool {
    let end = path.iter().try_fold(rule, |rule, segment| match rule {
        Rule::Table { keys } => keys
            .iter()
            .find(|key| key.name == *segment)
            .map(|key| &key.rule),
        Rule::List { item, .. } => Some(item.as_ref()),
        _ => None,
    });
    matches!(end, Some(Rule::Choice(_) | Rule::Text))
}
