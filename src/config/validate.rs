//! What is refused: values against their rules, and values against each other.
//!
//! Contract: section 2 gives the ranges; section 13 that of the memory. SDM: none. Counterpart: the elaboration checks of `rtl/mmu.sv`.

use crate::arch::PageSize;
use crate::trace::PagePolicy;

use super::error::{ConfigError, Origin, Problem};
use super::schema::{Rule, TableKey};
use super::tree::{Node, Value, join};
use super::{Config, Level, Replacement, Serves};

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
    check_serves(config, tree)?;
    check_psc(config, tree)?;
    check_inclusion(config, tree)?;
    check_memory(config, tree)?;
    check_mapping(config, tree)
}

fn check_level(config: &Config, level: Level, tree: &Node) -> Result<(), ConfigError> {
    let name = level.name();
    for (index, array) in config.tlb(level).arrays.iter().enumerate() {
        let index = index.to_string();
        let path = |key| [name, "arrays", &index, key];
        let sizes = &array.page_sizes;
        if (1..sizes.len()).any(|at| sizes[..at].contains(&sizes[at])) {
            return Err(contradiction(
                tree,
                &path("page_sizes"),
                "a page size stands in it twice".to_owned(),
                "each page size once".to_owned(),
            ));
        }
        if level != Level::Dtlb && array.serves != Serves::All {
            return Err(contradiction(
                tree,
                &path("serves"),
                format!("the {name} makes no difference between reads and writes"),
                "\"all\", or leave it out".to_owned(),
            ));
        }
        check_tree(tree, &path("replacement"), array.replacement, array.ways)?;
    }
    if level != Level::Stlb && config.tlb(level).inclusive {
        return Err(contradiction(
            tree,
            &[name, "inclusive"],
            "there is no level before it".to_owned(),
            "false".to_owned(),
        ));
    }
    Ok(())
}

/// A page of a kept size stands in one set of an array only if what holds the size serves all requests, or else one kind of them each.
fn check_serves(config: &Config, tree: &Node) -> Result<(), ConfigError> {
    for size in PageSize::ARRAYS {
        let arrays = config.dtlb.arrays.iter().enumerate();
        let holding =
            arrays.filter(|(_, array)| array.ways > 0 && array.page_sizes.contains(&size));
        let (all, apart): (Vec<_>, Vec<_>) =
            holding.partition(|(_, array)| array.serves == Serves::All);
        let (Some((all, _)), Some((apart, _))) = (all.first(), apart.first()) else {
            continue;
        };
        // What serves one kind says so; what serves all may leave it out, and then has no place.
        return Err(contradiction(
            tree,
            &["dtlb", "arrays", &apart.to_string(), "serves"],
            format!("dtlb.arrays.{all} holds {size} pages too, and serves all requests"),
            format!(
                "\"all\"; or \"reads\" or \"writes\", for every array of the dtlb that holds {size} pages"
            ),
        ));
    }
    Ok(())
}

/// A tree of bits has a power of two of leaves.
fn check_tree(
    tree: &Node,
    path: &[&str],
    replacement: Replacement,
    ways: u32,
) -> Result<(), ConfigError> {
    if replacement != Replacement::TreePlru || ways == 0 || ways.is_power_of_two() {
        return Ok(());
    }
    Err(contradiction(
        tree,
        path,
        format!("the tree of tree-plru has a power of two of leaves, and there are {ways} ways"),
        "\"lru\", \"fifo\", \"nru\", \"random\", \"srrip\", \"lip\", or 1, 2, 4, ... 64 ways"
            .to_owned(),
    ))
}

fn check_psc(config: &Config, tree: &Node) -> Result<(), ConfigError> {
    let caches = ["pde", "pdpte", "pml4e", "pml5e"].into_iter();
    for (name, cache) in caches.zip(config.psc_arrays()) {
        check_tree(
            tree,
            &["psc", name, "replacement"],
            cache.replacement,
            cache.ways,
        )?;
        if cache.entries() > 64 {
            return Err(contradiction(
                tree,
                &["psc", name, "ways"],
                format!(
                    "{} sets of {} ways are {} entries",
                    cache.sets,
                    cache.ways,
                    cache.entries()
                ),
                format!("0 to {}, for 64 entries in all", 64 / cache.sets.max(1)),
            ));
        }
    }
    Ok(())
}

/// An inclusive STLB must be able to say of what leaves it where it stands in the first level.
fn check_inclusion(config: &Config, tree: &Node) -> Result<(), ConfigError> {
    if !config.stlb.inclusive {
        return Ok(());
    }
    let refused = |reason| {
        let allowed = "false, or arrays that keep each page size as the first levels do".to_owned();
        contradiction(tree, &["stlb", "inclusive"], reason, allowed)
    };
    for level in [Level::Itlb, Level::Dtlb] {
        for kind in [Serves::Reads, Serves::Writes] {
            for size in PageSize::ARRAYS {
                let kept = |level| config.kept_size(level, kind, size);
                let (first, second) = (kept(level), kept(Level::Stlb));
                if first.is_some() && first != second {
                    return Err(refused(format!(
                        "the {} keeps {size} pages otherwise than the stlb",
                        level.name()
                    )));
                }
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
    let cache = &config.memory.table_cache;
    let latency_cycles = config.memory.latency_cycles;
    if cache.ways > 0 && cache.latency_cycles > latency_cycles {
        return Err(contradiction(
            tree,
            &["memory", "table_cache", "latency_cycles"],
            format!("memory itself answers in {latency_cycles} cycles (memory.latency_cycles)"),
            format!("1 to {latency_cycles}; or memory.table_cache.ways = 0, for no cache"),
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
