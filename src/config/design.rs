//! DESIGN.toml: a user's own RTL, what its top is elaborated with, the machine that it can be held against, and its bounds.
//!
//! Contract: section 3 (what the top must look like). SDM: none. Counterpart: `docs/byo.md`; `src/cosim/design.rs` reads the files.
//!
//! The keys and ranges stand in the types below, as those of a configuration do; here they are held against the text, with the line of
//! each mistake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::error::{ConfigError, Origin, Problem};
use super::load::{self, Loaded, Source};
use super::schema::{Rule, rule_for};
use super::tree::{Node, Value};
use super::validate::check_rules;

/// A DESIGN.toml as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    design: DesignSection,
    #[serde(default)]
    machine: MachineSection,
    #[serde(default)]
    bounds: BoundsSection,
}

/// `[design]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the tables are read from the tree, which has their lines; here they give the keys"
)]
struct DesignSection {
    /// What reports call it.
    name: String,
    /// The module with the ports of contract 3.
    top: String,
    /// SystemVerilog files in the order in which Verilator gets them, relative to this file.
    #[schemars(length(min = 1, max = 10_000))]
    files: Vec<String>,
    /// Where `include` looks, relative to this file.
    #[serde(default)]
    include_dirs: Vec<String>,
    /// Macros: a text or a number, or true for a macro without a value.
    #[serde(default)]
    defines: BTreeMap<String, Json>,
    /// Parameters of the top: whole numbers from 0 on.
    #[serde(default)]
    parameters: BTreeMap<String, Json>,
}

/// `[machine]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above")]
struct MachineSection {
    /// A configuration file, relative to this file, or preset:NAME.
    #[serde(default)]
    config: Option<String>,
    /// Keys of a configuration on top of it.
    #[serde(default)]
    set: BTreeMap<String, Json>,
}

/// `[bounds]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct BoundsSection {
    /// Cycles in which nothing may move while something is outstanding, before that is called a hang.
    #[schemars(range(min = 10, max = 100_000_000))]
    hang_cycles: u64,
}

impl Default for BoundsSection {
    fn default() -> Self {
        Self {
            hang_cycles: 20_000,
        }
    }
}

/// A file or directory that a DESIGN.toml names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its path, the directory of the DESIGN.toml before it.
    pub path: PathBuf,
    /// How the DESIGN.toml writes it.
    pub written: String,
    /// Under which key.
    pub key: String,
    /// Where.
    pub place: Origin,
}

impl Named {
    /// It is not what it should be.
    pub fn refuse(&self, reason: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
        Problem::Outside {
            place: self.place.clone(),
            key: self.key.clone(),
            value: format!("\"{}\"", self.written),
            reason: reason.into(),
            remedy: remedy.into(),
        }
        .into()
    }
}

/// A DESIGN.toml that holds by itself: the files that it names were not looked at.
#[derive(Debug, Clone)]
pub struct DesignSpec {
    /// The file, as it was given.
    pub path: PathBuf,
    /// What reports call the design.
    pub name: String,
    /// The module with the ports of contract 3.
    pub top: String,
    /// Its files, in order.
    pub files: Vec<Named>,
    /// Where `include` looks.
    pub include_dirs: Vec<Named>,
    /// Macros, with their values if they have any.
    pub defines: Vec<(String, Option<String>)>,
    /// Parameters of the top.
    pub parameters: Vec<(String, u64)>,
    /// The machine: what the design can do, and the model beside it.
    pub machine: Loaded,
    /// Cycles in which nothing may move while something is outstanding.
    pub hang_cycles: u64,
}

/// Reads a DESIGN.toml and the configuration that it starts from.
///
/// # Errors
/// [`ConfigError`] with file, line, key, value and remedy.
pub fn load(path: &Path) -> Result<DesignSpec, ConfigError> {
    let text = load::read(path).map_err(|error| match error.problem() {
        Problem::Unreadable { path, error } => Problem::NoDesign {
            path: path.clone(),
            error: std::io::Error::new(error.kind(), error.to_string()),
        }
        .into(),
        _ => error,
    })?;
    parse(path, &text)
}

/// The same of a text; `path` names it in errors, and what it names lies beside that.
///
/// # Errors
/// As [`load()`], but for the file itself.
pub fn parse(path: &Path, text: &str) -> Result<DesignSpec, ConfigError> {
    let tree = Node::from_document(text, &|line| Origin::File {
        path: path.to_owned(),
        line,
    })?;
    check_rules(&tree, &rule_for::<Written>(), "")?;
    let refused = |place: &Origin, error: &serde_json::Error| -> ConfigError {
        Problem::Outside {
            place: place.clone(),
            key: "design".to_owned(),
            value: path.display().to_string(),
            reason: super::error::excerpt(&error.to_string()),
            remedy: "docs/byo.md has the keys".to_owned(),
        }
        .into()
    };
    check_identifiers(&tree)?;
    let written: Written =
        serde_json::from_value(tree.to_json()).map_err(|error| refused(&tree.origin, &error))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let named = |key: &'static str, list: &[String]| -> Vec<Named> {
        let one = |(index, written): (usize, &String)| {
            let at = ["design", key, &index.to_string()].map(str::to_owned);
            let place = tree.at(&at.each_ref().map(String::as_str));
            Named {
                path: directory.join(written),
                written: written.clone(),
                key: at.join("."),
                place: place.unwrap_or(&tree).origin.clone(),
            }
        };
        list.iter().enumerate().map(one).collect()
    };
    Ok(DesignSpec {
        path: path.to_owned(),
        files: named("files", &written.design.files),
        include_dirs: named("include_dirs", &written.design.include_dirs),
        defines: defines(&tree)?,
        parameters: parameters(&tree)?,
        machine: machine(&tree, directory, &written.machine)?,
        hang_cycles: written.bounds.hang_cycles,
        name: written.design.name,
        top: written.design.top,
    })
}

/// The entries of a table, if it is there.
fn entries<'a>(tree: &'a Node, path: &[&str]) -> &'a [(String, Node)] {
    match tree.at(path).map(|node| &node.value) {
        Some(Value::Table(entries)) => entries,
        _ => &[],
    }
}

fn refuse(node: &Node, key: String, allowed: &str) -> ConfigError {
    Problem::Refused {
        place: node.origin.clone(),
        key,
        value: node.to_toml(),
        allowed: allowed.to_owned(),
    }
    .into()
}

fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    characters.next().is_some_and(begins)
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// Names that go to Verilator's command line.
fn check_identifiers(tree: &Node) -> Result<(), ConfigError> {
    let allowed = "a name of SystemVerilog: letters, digits, _ and $";
    if let Some(node) = tree.at(&["design", "top"])
        && !matches!(&node.value, Value::Text(text) if is_identifier(text))
    {
        return Err(refuse(node, "design.top".to_owned(), allowed));
    }
    if let Some(node) = tree.at(&["design", "name"])
        && !matches!(&node.value, Value::Text(text) if !text.trim().is_empty() && text.len() <= 100)
    {
        return Err(refuse(
            node,
            "design.name".to_owned(),
            "a text of 1 to 100 characters",
        ));
    }
    for table in ["defines", "parameters"] {
        for (name, node) in entries(tree, &["design", table]) {
            if !is_identifier(name) {
                let problem = format!("design.{table}.{name}: the name is none of SystemVerilog");
                return Err(refuse(node, problem, allowed));
            }
        }
    }
    Ok(())
}

fn defines(tree: &Node) -> Result<Vec<(String, Option<String>)>, ConfigError> {
    let value = |name: &str, node: &Node| match &node.value {
        Value::Text(text) if !text.contains(['\n', '\r']) => Ok(Some(text.clone())),
        Value::Integer(value) => Ok(Some(value.to_string())),
        Value::Boolean(true) => Ok(None),
        _ => Err(refuse(
            node,
            format!("design.defines.{name}"),
            "a text on one line, a whole number, or true for a macro without a value",
        )),
    };
    entries(tree, &["design", "defines"])
        .iter()
        .map(|(name, node)| Ok((name.clone(), value(name, node)?)))
        .collect()
}

fn parameters(tree: &Node) -> Result<Vec<(String, u64)>, ConfigError> {
    let rule = Rule::Integer {
        min: 0,
        max: i128::from(i64::MAX),
        multiple_of: 1,
    };
    entries(tree, &["design", "parameters"])
        .iter()
        .map(|(name, node)| match node.value {
            Value::Integer(value) if (0..=i128::from(i64::MAX)).contains(&value) => {
                Ok((name.clone(), value as u64))
            }
            _ => Err(refuse(
                node,
                format!("design.parameters.{name}"),
                &format!("a whole number, {rule}"),
            )),
        })
        .collect()
}

/// The machine that `[machine]` means; its name says where it comes from.
fn machine(tree: &Node, directory: &Path, section: &MachineSection) -> Result<Loaded, ConfigError> {
    let source = match section.config.as_deref().map(Source::parse) {
        None => Source::Default,
        Some(Source::File(path)) => Source::File(directory.join(path)),
        Some(source) => source,
    };
    let place = |path: &[&str]| tree.at(path).unwrap_or(tree).origin.clone();
    let refused =
        |place: Origin, error: ConfigError| ConfigError::from(Problem::Machine { place, error });
    // One after the other, so that a refusal has the line of its key: but together in the end, because values may need each other.
    let mut settings = Vec::new();
    let whole = tree.at(&["machine", "set"]);
    for (key, node) in whole.map(Node::leaves).unwrap_or_default() {
        settings.push(format!("{key}={}", node.to_toml()));
    }
    load::load(&source, &settings).map_err(|error| {
        let of_setting = match error.problem() {
            Problem::Setting { argument, .. } => Some(argument.clone()),
            Problem::UnknownKey {
                place: Origin::Set { argument },
                ..
            }
            | Problem::Refused {
                place: Origin::Set { argument },
                ..
            }
            | Problem::Contradiction {
                place: Origin::Set { argument },
                ..
            } => Some(argument.clone()),
            _ => None,
        };
        let leaves = whole.map(Node::leaves).unwrap_or_default();
        let at = of_setting.and_then(|argument| {
            let mut settings = leaves.iter().zip(&settings);
            settings
                .find(|(_, setting)| **setting == argument)
                .map(|((_, node), _)| node.origin.clone())
        });
        refused(at.unwrap_or_else(|| place(&["machine"])), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "[design]\nname = \"a\"\ntop = \"adapter\"\nfiles = [\"a.sv\", \"../b.sv\"]\n";

    fn spec(text: &str) -> Result<DesignSpec, ConfigError> {
        parse(Path::new("d/DESIGN.toml"), text)
    }

    /// What is said of `GOOD` and these lines, with the remedy.
    fn refusal(more: &str) -> String {
        let error = spec(&format!("{GOOD}{more}")).expect_err(more);
        format!("{error} | {}", error.remedy())
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let design = spec(GOOD).unwrap();
        let paths: Vec<&Path> = design
            .files
            .iter()
            .map(|file| file.path.as_path())
            .collect();
        assert_eq!(paths, [Path::new("d/a.sv"), Path::new("d/../b.sv")]);
        assert_eq!(design.machine.config, crate::config::Config::default());
        assert_eq!(design.hang_cycles, 20_000);
        assert_eq!((design.defines, design.parameters), (vec![], vec![]));
    }

    #[test]
    fn every_key_is_read() {
        let text = "include_dirs = [\"inc\"]\n[design.defines]\nFAST = true\nDEPTH = 4\nNAME = \"x\"\n\
             [design.parameters]\nENTRIES = 16\n[machine]\nconfig = \"preset:tiny\"\n[machine.set]\n\
             \"capabilities.five_level\" = false\nports.data_ports = 2\n[bounds]\nhang_cycles = 500\n";
        let design = spec(&format!("{GOOD}{text}")).unwrap();
        assert_eq!(design.include_dirs[0].path, Path::new("d/inc"));
        let defines = [("FAST", None), ("DEPTH", Some("4")), ("NAME", Some("x"))];
        let defines = defines.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(design.defines, defines);
        assert_eq!(design.parameters, [("ENTRIES".to_owned(), 16)]);
        let config = &design.machine.config;
        assert!(!config.capabilities.five_level && config.ports.data_ports == 2);
        assert_eq!(design.hang_cycles, 500);
        assert_eq!(design.machine.name, "preset:tiny with 2 set");
    }

    #[test]
    fn a_refusal_has_file_line_key_value_and_remedy() {
        let cases = [
            (
                "speed = 3\n",
                "d/DESIGN.toml, line 5: there is no key design.speed | the keys here are",
            ),
            (
                "[bounds]\nhang_cycles = 0\n",
                "d/DESIGN.toml, line 6: bounds.hang_cycles = 0 is refused; allowed: 10 to 100000000 |",
            ),
            (
                "[design.parameters]\nN = -1\n",
                "d/DESIGN.toml, line 6: design.parameters.N = -1 is refused; allowed: a whole number, 0 to ",
            ),
            (
                "[design.parameters]\n\"a b\" = 1\n",
                "the name is none of SystemVerilog",
            ),
            (
                "[design.defines]\nX = false\n",
                "d/DESIGN.toml, line 6: design.defines.X = false is refused; allowed: a text",
            ),
            (
                "[machine]\nconfig = \"preset:none\"\n",
                "there is no preset named \"none\" | give one of",
            ),
            (
                "[machine.set]\n\"dtlb.speed\" = 1\n",
                "d/DESIGN.toml, line 6: the machine is refused: --set dtlb.speed=1: there is no key dtlb.speed | the keys",
            ),
            (
                "[machine.set]\nports.data_ports = 7\n",
                "d/DESIGN.toml, line 6: the machine is refused: --set ports.data_ports=7: ports.data_ports = 7 is refused; allowed: 1 to 2 |",
            ),
            ("files = 3\n", "not TOML"),
        ];
        for (text, part) in cases {
            let said = refusal(text);
            assert!(said.contains(part), "{text}: {said}");
        }
        let missing = spec("[design]\nname = \"a\"\ntop = \"b\"\n")
            .expect_err("no files")
            .to_string();
        assert!(missing.contains("design.files is missing"), "{missing}");
        let top = spec(&GOOD.replace("adapter", "a-b"))
            .expect_err("no name")
            .to_string();
        assert!(top.contains("design.top = \"a-b\" is refused"), "{top}");
    }
}
