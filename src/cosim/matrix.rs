//! Random machines: valid configurations made from a seed, weighted to the ends of what each parameter may be.
//!
//! Contract: section 2 (parameters) and 13 (memory). SDM: none. Counterpart: none; `just matrix` runs them.
//!
//! A seed means the same machine for as long as the parameters are the same. The front end and the mapping of a trace are left as the
//! default machine has them: random operations do not use them.

use std::fmt::Write as _;

use super::events::ArrayNames;
use super::generator::prng::Prng;
use crate::arch::{MaxPhyAddr, PageSize};
use crate::config::{
    ARRAYS_OF_A_LEVEL, Config, Level, MemorySpec, PscArraySpec, Replacement, Serves,
    TableCacheSpec, TlbArraySpec, TlbSpec, WalkerOrder,
};

/// Entries of an array that are drawn at most: with all ways of all sets the largest takes longer to build than to check.
const MOST_ENTRIES: u64 = 4096 * 2;
/// Entries of a paging-structure cache (contract 2).
const MOST_PSC_ENTRIES: u64 = 64;
/// Number of the stream of random numbers: streams of operations of the same seed do not share it.
const STREAM: u64 = 0x6d61_7472_6978;

/// The machine of a seed. It is valid.
pub fn draw(seed: u64) -> Config {
    let mut prng = Prng::new(seed, STREAM);
    let prng = &mut prng;
    let mut config = Config::default();
    config.capabilities.maxphyaddr_bits = between(MaxPhyAddr::MIN_BITS, MaxPhyAddr::MAX_BITS, prng);
    config.capabilities.page_1g = prng.chance(700);
    config.capabilities.five_level = prng.chance(700);
    config.ports.data_ports = between(1, 2, prng);
    config.ports.queue_entries = between(1, 16, prng);
    config.miss_queue.entries = between(1, 16, prng);
    config.walkers.count = between(1, 4, prng);
    config.walkers.order = prng.pick(&[WalkerOrder::Cyclic, WalkerOrder::Oldest]);
    config.prefetch.next_page = prng.chance(400);
    for cache in [
        &mut config.psc.pml5e,
        &mut config.psc.pml4e,
        &mut config.psc.pdpte,
        &mut config.psc.pde,
    ] {
        *cache = psc(prng);
    }
    config.memory = memory(config.capabilities.maxphyaddr_bits, prng);
    levels(&mut config, prng);
    config
}

/// A number from `low` to `high`: often an end, or next to one; else small numbers more often than large ones.
fn between(low: u32, high: u32, prng: &mut Prng) -> u32 {
    let (low, high) = (u64::from(low), u64::from(high));
    let value = match prng.below(10) {
        0 | 1 => low,
        2 => high,
        3 => (low + 1).min(high),
        4 => prng.between(low, high),
        _ => {
            let bits = (high - low + 1).ilog2();
            let top = 1u64 << prng.between(0, bits.into());
            low + prng.below(top).min(high - low)
        }
    };
    value as u32
}

fn policy(prng: &mut Prng) -> Replacement {
    prng.pick(&Replacement::WITH_RTL)
}

/// Ways from `low` to `most`, that `replacement` can have.
fn ways(low: u32, most: u32, replacement: Replacement, prng: &mut Prng) -> u32 {
    let ways = between(low, most, prng);
    match replacement {
        Replacement::TreePlru if ways > 0 => 1 << ways.ilog2(),
        _ => ways,
    }
}

fn psc(prng: &mut Prng) -> PscArraySpec {
    let replacement = policy(prng);
    let sets = if prng.chance(500) {
        1
    } else {
        between(1, 64, prng)
    };
    let most = (MOST_PSC_ENTRIES / u64::from(sets)) as u32;
    PscArraySpec {
        sets,
        ways: ways(0, most, replacement, prng),
        replacement,
    }
}

/// Latencies are mostly short: a slow memory makes for few operations in the same time.
fn memory(maxphyaddr_bits: u32, prng: &mut Prng) -> MemorySpec {
    let mut cycles = |low| match prng.below(50) {
        0 => 65_535,
        1..10 => low,
        _ => between(low, 120, prng),
    };
    let (latency_cycles, jitter_cycles) = (cycles(1), cycles(0));
    let pages = 1u64 << (maxphyaddr_bits - 12);
    let size_bytes = match prng.below(8) {
        0..4 => None,
        4 => Some(pages),
        5 if prng.chance(300) => Some(1),
        _ => {
            let most = pages >> prng.below(16);
            Some(prng.between(256, most))
        }
    };
    // Less bandwidth, like more latency, makes for few operations in the same time.
    let outstanding = if prng.chance(400) {
        between(1, 4, prng)
    } else {
        64
    };
    let accept_interval_cycles = match prng.below(50) {
        0 => 1000,
        1..15 => between(2, 40, prng),
        _ => 1,
    };
    let mut table_cache = TableCacheSpec::default();
    if prng.chance(400) {
        let latency_cycles = match prng.below(3) {
            0 => latency_cycles,
            _ => between(1, latency_cycles.min(20), prng),
        };
        table_cache = TableCacheSpec {
            sets: between(1, 65_536, prng),
            ways: between(1, 32, prng),
            latency_cycles,
        };
    }
    MemorySpec {
        latency_cycles,
        jitter_cycles,
        outstanding,
        accept_interval_cycles,
        table_cache,
        size_bytes: size_bytes.map(|pages| pages << 12),
    }
}

fn levels(config: &mut Config, prng: &mut Prng) {
    let inclusive = prng.chance(350);
    // All that an inclusive STLB asks is that every level which keeps pages keeps them in the same sizes: so the levels hold the same ones.
    let shared = subset(&PageSize::ARRAYS, prng);
    for level in Level::ALL {
        let cover = inclusive.then_some(shared.as_slice());
        let spec = TlbSpec {
            hit_latency_cycles: between(1, 63, prng),
            inclusive: false,
            arrays: arrays(level, cover, prng),
        };
        match level {
            Level::Itlb => config.itlb = spec,
            Level::Dtlb => config.dtlb = spec,
            Level::Stlb => config.stlb = spec,
        }
    }
    serve_alike(&mut config.dtlb.arrays, prng);
    config.stlb.inclusive = inclusive;
    if config.validate().is_err() {
        // Reads and writes are served apart, and one of them not in all sizes; or there is no STLB before a first level.
        for array in &mut config.dtlb.arrays {
            array.serves = Serves::All;
        }
        config.stlb.inclusive = false;
        let without = config.clone();
        config.stlb.inclusive = true;
        if config.validate().is_err() {
            *config = without;
        }
    }
}

/// Of the arrays that hold a size all come to serve both kinds of requests, or each one of them.
fn serve_alike(arrays: &mut [TlbArraySpec], prng: &mut Prng) {
    let mut apart = None;
    // What serves in another way is another for the sizes that it holds beside.
    loop {
        let mixed = PageSize::ARRAYS.into_iter().find(|size| {
            let holding = arrays
                .iter()
                .filter(|array| array.page_sizes.contains(size));
            let is_all = |array: &TlbArraySpec| array.serves == Serves::All;
            holding.clone().any(is_all) && !holding.clone().all(is_all)
        });
        let Some(size) = mixed else {
            return;
        };
        let apart = *apart.get_or_insert_with(|| prng.chance(500));
        for array in arrays
            .iter_mut()
            .filter(|array| array.page_sizes.contains(&size))
        {
            if !apart {
                array.serves = Serves::All;
            } else if array.serves == Serves::All {
                array.serves = prng.pick(&[Serves::Reads, Serves::Writes]);
            }
        }
    }
}

/// The arrays of a level, none to four. `cover`: together they hold these sizes, and no others.
fn arrays(level: Level, cover: Option<&[PageSize]>, prng: &mut Prng) -> Vec<TlbArraySpec> {
    let count = prng.pick(&[0, 1, 1, 2, 2, 3, 3, 3, 4, 4]);
    let sizes = cover.unwrap_or(&PageSize::ARRAYS);
    let mut arrays: Vec<TlbArraySpec> = (0..count).map(|_| array(level, sizes, prng)).collect();
    if let (Some(sizes), false) = (cover, arrays.is_empty()) {
        for size in sizes {
            if !arrays.iter().any(|array| array.page_sizes.contains(size)) {
                let index = prng.below(arrays.len() as u64) as usize;
                arrays[index].page_sizes.push(*size);
            }
        }
    }
    debug_assert!(arrays.len() <= ARRAYS_OF_A_LEVEL, "as many as there may be");
    // An array without ways is listed now and then; it must not be the one that holds a size.
    if cover.is_none() && prng.chance(100) && !arrays.is_empty() {
        let index = prng.below(arrays.len() as u64) as usize;
        arrays[index].ways = 0;
    }
    arrays
}

fn array(level: Level, sizes: &[PageSize], prng: &mut Prng) -> TlbArraySpec {
    let replacement = policy(prng);
    // Few entries are under pressure, many are slow.
    let most_sets = prng.pick(&[4, 4, 16, 16, 64, 4096]);
    let sets = between(1, most_sets, prng);
    let most = (MOST_ENTRIES / u64::from(sets)).min(64) as u32;
    let most_ways = most.min(prng.pick(&[4, 8, 64]));
    TlbArraySpec {
        page_sizes: subset(sizes, prng),
        sets,
        ways: ways(1, most_ways, replacement, prng),
        replacement,
        serves: match level {
            Level::Dtlb => prng.pick(&[Serves::All, Serves::All, Serves::Reads, Serves::Writes]),
            Level::Itlb | Level::Stlb => Serves::All,
        },
    }
}

/// Some of `sizes`, at least one, in any order; one alone as often as not.
fn subset(sizes: &[PageSize], prng: &mut Prng) -> Vec<PageSize> {
    if prng.chance(500) {
        return vec![prng.pick(sizes)];
    }
    let mut left = sizes.to_vec();
    let count = prng.between(1, sizes.len() as u64);
    (0..count)
        .map(|_| left.remove(prng.below(left.len() as u64) as usize))
        .collect()
}

/// What a machine is, in a few lines for a person.
pub fn describe(config: &Config) -> String {
    let names = ArrayNames::new(config);
    let mut text = format!(
        "{} ports of {}, {} misses, {} walkers ({:?}), prefetch {}, inclusive {}, MAXPHYADDR {}, 1g {}, la57 {}\n",
        config.ports(),
        config.ports.queue_entries,
        config.miss_queue.entries,
        config.walkers.count,
        config.walkers.order,
        config.prefetch.next_page,
        config.stlb.inclusive,
        config.capabilities.maxphyaddr_bits,
        config.capabilities.page_1g,
        config.capabilities.five_level,
    );
    for level in Level::ALL {
        let _ = write!(
            text,
            "{} in {} cycles:",
            level.name(),
            config.tlb(level).hit_latency_cycles
        );
        for (index, array) in config.arrays(level).into_iter().enumerate() {
            if array.is_present() {
                let name = names.tlb(level.first_array() + index);
                let _ = write!(
                    text,
                    " {name} {}x{} {:?}",
                    array.sets, array.ways, array.replacement
                );
            }
        }
        text.push('\n');
    }
    for (index, cache) in config.psc_arrays().into_iter().enumerate() {
        let name = names.psc(index);
        let shape = cache.replacement;
        let _ = write!(text, "{name} {}x{} {shape:?}  ", cache.sets, cache.ways);
    }
    let memory = &config.memory;
    let _ = writeln!(
        text,
        "\nmemory of {:#x} bytes in {} to {} cycles, {} at a time, {} cycles apart, table cache {}x{} in {}",
        config.memory_size_bytes(),
        memory.latency_cycles,
        memory.latency_cycles + memory.jitter_cycles,
        memory.outstanding,
        memory.accept_interval_cycles,
        memory.table_cache.sets,
        memory.table_cache.ways,
        memory.table_cache.latency_cycles
    );
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::*;
    use crate::config::load;
    use crate::config::schema::{self, Rule};

    const DRAWS: u64 = 600;

    #[test]
    fn every_draw_is_valid_and_survives_being_written_and_a_seed_means_the_same() {
        let mut hashes = BTreeSet::new();
        for seed in 0..DRAWS {
            let config = draw(seed);
            config.validate().expect("valid");
            // What is drawn is checked, and what the model alone has cannot be.
            assert_eq!(config.without_rtl(), []);
            assert_eq!(draw(seed), config);
            let text = config.to_toml().expect("TOML");
            assert_eq!(load::from_toml(&text, "drawn").expect("valid"), config);
            hashes.insert(config.hash());
            let lines = describe(&config).lines().count();
            assert_eq!(lines, 6);
        }
        assert_eq!(hashes.len() as u64, DRAWS);
    }

    /// The values at a path of keys, in which `N` stands for every index.
    fn values<'a>(json: &'a Json, path: &str, found: &mut BTreeSet<String>) {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        let mut go = |json: &'a Json| match rest {
            "" => drop(found.insert(json.to_string())),
            rest => values(json, rest, found),
        };
        match json {
            Json::Array(items) if key == "N" => items.iter().for_each(go),
            json => json.get(key).into_iter().for_each(&mut go),
        }
    }

    #[test]
    fn every_word_and_both_ends_of_every_range_are_drawn() {
        let drawn: Vec<Json> = (0..DRAWS)
            .map(|seed| serde_json::to_value(draw(seed)).expect("JSON"))
            .collect();
        for key in schema::keys() {
            let section = key.path.split('.').next().unwrap_or_default();
            if matches!(section, "front_end" | "mapping") {
                continue;
            }
            let mut found = BTreeSet::new();
            for config in &drawn {
                values(config, &key.path, &mut found);
            }
            let fixed = key.path.ends_with(".serves") && section != "dtlb"
                || key.path.ends_with(".inclusive") && section != "stlb";
            let expected: Vec<String> = match &key.rule {
                _ if fixed => continue,
                Rule::Boolean => vec!["true".to_owned(), "false".to_owned()],
                Rule::Integer { min, max, .. } => vec![min.to_string(), max.to_string()],
                Rule::Choice(words) => {
                    let alone = Replacement::ALL
                        .into_iter()
                        .filter(|policy| !policy.has_rtl());
                    let alone: Vec<_> = alone.map(Replacement::name).collect();
                    let words = words.iter().filter(|word| !alone.contains(&word.as_str()));
                    words.map(|word| format!("\"{word}\"")).collect()
                }
                Rule::List { .. } => ["\"4k\"", "\"2m\"", "\"1g\"", "\"1g\",\"4k\",\"2m\""]
                    .map(|sizes| format!("[{sizes}]"))
                    .into(),
                rule => panic!("{}: {rule}", key.path),
            };
            for value in expected {
                assert!(found.contains(&value), "{} = {value}", key.path);
            }
        }
    }

    #[test]
    fn machines_of_every_kind_are_drawn() {
        let machines: Vec<Config> = (0..DRAWS).map(draw).collect();
        let count = |holds: &dyn Fn(&Config) -> bool| {
            machines.iter().filter(|machine| holds(machine)).count()
        };
        assert!(count(&Config::fractures) > 100);
        assert!(count(&|machine| machine.stlb.inclusive && !machine.dtlb.arrays.is_empty()) > 50);
        let apart = |machine: &Config| {
            let mut arrays = machine.dtlb.arrays.iter();
            arrays.any(|array| array.serves != Serves::All)
        };
        assert!(count(&apart) > 100 && count(&|machine| !apart(machine)) > 100);
        assert!(count(&|machine| machine.sweep_cycles() > 512) > 10);
        for level in Level::ALL {
            for arrays in 0..=ARRAYS_OF_A_LEVEL {
                let has = |machine: &Config| {
                    let present = machine.arrays(level).into_iter();
                    present.filter(|array| array.is_present()).count() == arrays
                };
                assert!(count(&has) > 10, "{} {arrays}", level.name());
            }
        }
    }
}
