//! What is refused: values against their rules, and values against each other.
//!
//! Contract: section 2 gives the ranges; section 13 that of the memory. SDM: none. Counterpart: the elaboration checks of `rtl/mmu.sv`.

use crate::arch::PageSize;
use crate::trace::PagePolicy;

use super::error::{ConfigError, Origin, Problem};
use super::schema::{Rule, TableKey};
use super::tree::{Node, Value, join};
use super::{Config, Level};

/// Holds a tree against a rule: types, ranges, keys that do not exist, keys that are missing.
pub(super) fn check_rules(node: &Node, rule: &Rule, path: &str) -> Result<(), ConfigError> {
    let holds = match (rule, &node.value) {
        (Rule::Table { keys }, Value::Table(entries)) => {
            return check_table(node, keys, entries, path);
        }
        (Rule::List { min, max, item }, Value::List(items)) => {
            let count = items.len() as u64;
            if count < *min || count > *max {
                return Err(refused(node, rule, path));
            }
            for (index, element) in items.iter().enumerate() {
                check_rules(element, item, &join(path, &index.to_string()))?;
            }
            true
        }
        (
            Rule::Integer {
                min,
                max,
                multiple_of,
            },
            Value::Integer(value),
        ) => (min..=max).contains(&value) && value % multiple_of == 0,
        (Rule::OneOf(values), Value::Integer(value)) => values.contains(value),
        (Rule::Number { min, max }, Value::Float(value)) => (min..=max).contains(&value),
        (Rule::Number { min, max }, Value::Integer(value)) => {
            (min..=max).contains(&&(*value as f64))
        }
        (Rule::Choice(words), Value::Text(text)) => words.contains(text),
        (Rule::Boolean, Value::Boolean(_)) | (Rule::Text, Value::Text(_)) | (Rule::Typed, _) => {
            true
        }
        _ => false,
    };
    if holds {
        Ok(())
    } else {
        Err(refused(node, rule, path))
    }
}

fn check_table(
    node: &Node,
    keys: &[TableKey],
    entries: &[(String, Node)],
    path: &str,
) -> Result<(), ConfigError> {
    for (name, value) in entries {
        let path = join(path, name);
        match keys.iter().find(|key| key.name == *name) {
            Some(key) => check_rules(value, &key.rule, &path)?,
            None => {
                return Err(Problem::UnknownKey {
                    place: value.origin.clone(),
                    key: path,
                    known: keys.iter().map(|key| key.name.clone()).collect(),
                }
                .into());
            }
        }
    }
    for key in keys.iter().filter(|key| key.required) {
        if !entries.iter().any(|(name, _)| *name == key.name) {
            return Err(Problem::MissingKey {
                place: node.origin.clone(),
                key: join(path, &key.name),
                allowed: key.rule.to_string(),
            }
            .into());
        }
    }
    Ok(())
}

fn refused(node: &Node, rule: &Rule, path: &str) -> ConfigError {
    Problem::Refused {
        place: node.origin.clone(),
        key: path.to_owned(),
        value: node.to_toml(),
        allowed: rule.to_string(),
    }
    .into()
}

/// Holds the values of a configuration against each other. Each is within its own range already; `tree` says where it came from.
pub(super) fn check_relations(config: &Config, tree: &Node) -> Result<(), ConfigError> {
    for level in Level::ALL {
        check_level(config, level, tree)?;
    }
    check_memory(config, tree)?;
    check_mapping(config, tree)
}

/// At most one array of a level may hold a page size: else two entries for one page could both match.
fn check_level(config: &Config, level: Level, tree: &Node) -> Result<(), ConfigError> {
    let mut holder: [Option<usize>; PageSize::ARRAYS.len()] = [None; PageSize::ARRAYS.len()];
    for (index, array) in config.tlb(level).arrays.iter().enumerate() {
        for &size in &array.page_sizes {
            if let Some(first) = holder[size as usize].replace(index) {
                let index = index.to_string();
                return Err(contradiction(
                    tree,
                    &[level.name(), "arrays", &index, "page_sizes"],
                    format!("{}.arrays.{first} holds {size} pages already", level.name()),
                    "each page size once at a level".to_owned(),
                ));
            }
        }
    }
    Ok(())
}

fn check_memory(config: &Config, tree: &Node) -> Result<(), ConfigError> {
    let bits = config.capabilities.maxphyaddr_bits;
    let space_bytes = config.arch_capabilities().maxphyaddr.mask() + 1;
    if config.memory_size_bytes() > space_bytes {
        return Err(contradiction(
            tree,
            &["memory", "size_bytes"],
            format!(
                "{bits} physical address bits (capabilities.maxphyaddr_bits) reach {space_bytes} bytes"
            ),
            format!("4096 to {space_bytes}"),
        ));
    }
    Ok(())
}

/// A mapping may use only what the machine is capable of.
fn check_mapping(config: &Config, tree: &Node) -> Result<(), ConfigError> {
    if config.mapping.levels == 5 && !config.capabilities.five_level {
        return Err(contradiction(
            tree,
            &["mapping", "levels"],
            "capabilities.five_level is false".to_owned(),
            "4".to_owned(),
        ));
    }
    if config.mapping.pages == PagePolicy::Size1G && !config.capabilities.page_1g {
        let others = PagePolicy::ALL
            .into_iter()
            .filter(|&policy| policy != PagePolicy::Size1G)
            .map(|policy| format!("\"{}\"", policy.name()));
        return Err(contradiction(
            tree,
            &["mapping", "pages"],
            "capabilities.page_1g is false".to_owned(),
            others.collect::<Vec<_>>().join(", "),
        ));
    }
    Ok(())
}

fn contradiction(tree: &Node, path: &[&str], reason: String, allowed: String) -> ConfigError {
    let node = tree.at(path);
    Problem::Contradiction {
        place: node.map_or(Origin::Default, |node| node.origin.clone()),
        key: path.join("."),
        value: node.map(Node::to_toml).unwrap_or_default(),
        reason,
        allowed,
    }
    .into()
}
