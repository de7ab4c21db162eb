//! What a machine is: the default, the presets, what the RTL is told, the hash.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

use std::fs;

use super::{beside, is_fixed, manifest, preset, values_within, with};
use crate::arch::PageSize;
use crate::config::{
    ArraySpec, Config, Level, Origin, Replacement, Serves, Source, WalkerOrder, load, presets,
    schema,
};

#[test]
fn the_default_preset_states_the_default_machine() {
    assert_eq!(preset("default"), Config::default());
    let loaded = load::load(&Source::Preset("default".to_owned()), &[]).expect("valid");
    let unstated: Vec<String> = loaded
        .values()
        .into_iter()
        .filter(|value| value.origin == Origin::Default)
        .map(|value| value.key)
        .collect();
    assert_eq!(
        unstated,
        ["memory.size_bytes"],
        "it follows from MAXPHYADDR"
    );
}

#[test]
fn the_presets_are_valid_differ_and_together_press_on_the_extremes() {
    let machines: Vec<Config> = presets::ALL
        .iter()
        .map(|entry| preset(entry.name))
        .collect();
    for (index, machine) in machines.iter().enumerate() {
        machine.validate().expect("valid");
        assert!(!presets::ALL[index].about().is_empty());
        for other in &machines[..index] {
            assert_ne!(machine.hash(), other.hash());
            assert_ne!(machine.rtl_parameters(), other.rtl_parameters());
        }
    }
    let any = |holds: &dyn Fn(&Config) -> bool| machines.iter().any(holds);
    let arrays = |machine: &Config| Level::ALL.map(|level| machine.arrays(level));
    assert!(any(&|machine| machine.capabilities.maxphyaddr_bits == 36));
    assert!(any(&|machine| machine.capabilities.maxphyaddr_bits == 52));
    assert!(any(&|machine| !machine.capabilities.page_1g));
    assert!(any(&|machine| !machine.capabilities.five_level));
    assert!(any(&|machine| machine.ports.queue_entries == 1));
    assert!(any(&|machine| machine.ports.queue_entries == 16));
    assert!(any(&|machine| machine.memory.latency_cycles == 1));
    assert!(any(&|machine| machine.memory.jitter_cycles > 0));
    assert!(any(&|machine| machine.psc_entries() == [0; 4]));
    assert!(any(&|machine| machine.psc_entries() == [1; 4]));
    assert!(any(&|machine| arrays(machine)[2] == [ArraySpec::ABSENT; 4]));
    assert!(any(&|machine| arrays(machine)[0] == [ArraySpec::ABSENT; 4]
        && arrays(machine)[1] == [ArraySpec::ABSENT; 4]));
    assert!(any(&|machine| machine.array(Level::Dtlb, PageSize::Size4K)
        == ArraySpec::of_size(PageSize::Size4K, 2, 1)));
    assert!(any(&|machine| machine
        .array(Level::Dtlb, PageSize::Size4K)
        .ways
        == 64));
    assert!(any(
        &|machine| machine.sweep_cycles() == 1 || machine.sweep_cycles() == 2
    ));
    assert!(any(&|machine| machine.sweep_cycles() >= 256));
    for policy in Replacement::WITH_RTL {
        let tlb = |machine: &Config| {
            let arrays = arrays(machine);
            let mut arrays = arrays.iter().flatten().filter(|array| array.is_present());
            arrays.any(|array| array.replacement == policy)
        };
        let psc = |machine: &Config| {
            let mut caches = machine.psc_arrays().into_iter();
            caches.any(|cache| cache.ways > 0 && cache.replacement == policy)
        };
        assert!(any(&tlb), "{policy:?}");
        assert!(any(&psc), "{policy:?}");
    }
    assert!(any(&Config::fractures));
    assert!(any(&|machine| machine.stlb.inclusive));
    assert!(any(&|machine| machine.walkers.order == WalkerOrder::Oldest));
    assert!(any(&|machine| {
        let mut dtlb = arrays(machine)[1].into_iter();
        dtlb.any(|array| array.serves != Serves::All)
    }));
    assert!(any(&|machine| machine
        .psc_arrays()
        .iter()
        .any(|cache| cache.sets > 1)));
}

#[test]
fn the_rtl_is_told_each_parameter_of_the_contract_once() {
    let names: Vec<&str> = Config::default()
        .rtl_parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let contract = fs::read_to_string(manifest("docs/contract.md")).expect("the contract");
    let mut expected = Vec::new();
    for row in contract.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).expect("a first cell");
        for pattern in cell.split('`').skip(1).step_by(2) {
            expected.extend(expand(pattern));
        }
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
}

/// `{A,B}_C` means `A_C` and `B_C`.
fn expand(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return vec![pattern.to_owned()];
    };
    let (words, after) = rest.split_once('}').expect("a closing brace");
    words
        .split(',')
        .flat_map(|word| expand(&format!("{before}{word}{after}")))
        .collect()
}

#[test]
fn an_absent_array_has_no_way_one_set_and_no_part_in_the_sweep() {
    let machine = with(&[
        "stlb.arrays.0.ways=0",
        "stlb.arrays.1.ways=0",
        "stlb.arrays.2.ways=0",
    ])
    .expect("valid")
    .config;
    for size in PageSize::ARRAYS {
        assert_eq!(machine.array(Level::Stlb, size), ArraySpec::ABSENT);
    }
    assert_eq!(machine.sweep_cycles(), 16, "the sets of the DTLB");
    assert_eq!(Config::default().sweep_cycles(), 128);
    let bare = with(&["itlb.arrays=[]", "dtlb.arrays=[]", "stlb.arrays=[]"]).expect("valid");
    assert_eq!(bare.config.sweep_cycles(), 1);
}

#[test]
fn memory_is_the_whole_physical_space_unless_it_is_said() {
    assert_eq!(Config::default().memory_size_bytes(), 1 << 46);
    let machine = with(&["capabilities.maxphyaddr_bits=36"]).expect("valid");
    assert_eq!(machine.config.memory_size_bytes(), 1 << 36);
    let machine = with(&["memory.size_bytes=8192"]).expect("valid");
    assert_eq!(machine.config.memory_size_bytes(), 8192);
}

#[test]
fn machines_that_mean_the_same_have_the_same_hash() {
    let default = Config::default().hash();
    assert_eq!(default.len(), 16);
    let same = [
        vec!["memory.size_bytes=0x4000_0000_0000"],
        vec![
            r#"itlb.arrays=[{page_sizes=["4k"],sets=8,ways=8},{page_sizes=["4k"],sets=3,ways=0},{page_sizes=["2m"],sets=1,ways=8},{page_sizes=["1g"],sets=1,ways=4}]"#,
        ],
    ];
    for settings in same {
        assert_eq!(with(&settings).expect("valid").config.hash(), default);
    }
    let sizes = |sizes| {
        let setting = format!("stlb.arrays.0.page_sizes={sizes}");
        with(&[&setting]).expect("valid").config.hash()
    };
    assert_eq!(sizes(r#"["4k", "2m"]"#), sizes(r#"["2m", "4k"]"#));
    let without = |more| {
        let settings = ["psc.pde.ways=0", more];
        with(&settings).expect("valid").config
    };
    let (one, other) = (without("psc.pde.sets=1"), without("psc.pde.sets=7"));
    assert_eq!(one.hash(), other.hash());
    assert_eq!(one.rtl_parameters(), other.rtl_parameters());
    let absent = with(&["stlb.arrays.2.ways=0"]).expect("valid").config;
    let absent_otherwise = with(&["stlb.arrays.2.ways=0", "stlb.arrays.2.sets=64"])
        .expect("valid")
        .config;
    assert_eq!(absent.hash(), absent_otherwise.hash());
    assert_eq!(absent.rtl_parameters(), absent_otherwise.rtl_parameters());
}

/// The order of arrays is that of their numbers, which decide where a page stands.
#[test]
fn machines_that_list_their_arrays_in_another_order_have_other_hashes() {
    let listed = |first: &str, second: &str| {
        let array = |size| format!("{{page_sizes=[\"{size}\"],sets=2,ways=2}}");
        let setting = format!("itlb.arrays=[{},{}]", array(first), array(second));
        with(&[&setting]).expect("valid").config
    };
    let (one, other) = (listed("4k", "2m"), listed("2m", "4k"));
    assert_ne!(one.hash(), other.hash());
    assert_ne!(one.rtl_parameters(), other.rtl_parameters());
}

#[test]
fn every_key_acts_on_the_hash() {
    let default = Config::default();
    for key in schema::keys() {
        if key.path.ends_with("page_sizes") {
            continue; // moves the whole array: below
        }
        let path = key.path.replace(".N.", ".0.");
        if is_fixed(&path) {
            continue;
        }
        let others = beside(&path);
        let hash = |value: Option<String>| {
            let own = value.map(|value| format!("{path}={value}"));
            let settings: Vec<String> = others.iter().cloned().chain(own).collect();
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            with(&settings).ok().map(|loaded| loaded.config.hash())
        };
        let before = hash(None);
        let changed = values_within(&key.rule)
            .into_iter()
            .filter_map(|value| hash(Some(value)))
            .any(|hash| Some(hash) != before);
        assert!(changed, "{path}");
    }
    let moved = with(&[
        "stlb.arrays.1.ways=0",
        r#"stlb.arrays.1.page_sizes=["1g"]"#,
        r#"stlb.arrays.2.page_sizes=["2m"]"#,
    ]);
    assert_ne!(moved.expect("valid").config.hash(), default.hash());
}

#[test]
fn each_key_moves_its_own_rtl_parameter_and_no_other() {
    for (setting, expected) in [
        ("capabilities.maxphyaddr_bits=52", "MAXPHYADDR=52"),
        ("capabilities.page_1g=false", "PAGE_1G=0"),
        ("capabilities.five_level=false", "FIVE_LEVEL=0"),
        ("ports.data_ports=2", "DATA_PORTS=2"),
        ("ports.queue_entries=9", "QUEUE_ENTRIES=9"),
        ("miss_queue.entries=16", "MISS_QUEUE_ENTRIES=16"),
        ("walkers.count=4", "WALKERS=4"),
        ("prefetch.next_page=true", "PREFETCH_NEXT_PAGE=1"),
        ("itlb.hit_latency_cycles=9", "ITLB_HIT_CYCLES=9"),
        ("dtlb.hit_latency_cycles=9", "DTLB_HIT_CYCLES=9"),
        ("stlb.hit_latency_cycles=9", "STLB_HIT_CYCLES=9"),
        ("itlb.arrays.0.sets=64", "ITLB_A_SETS=64"),
        ("itlb.arrays.1.ways=9", "ITLB_B_WAYS=9"),
        ("itlb.arrays.2.ways=9", "ITLB_C_WAYS=9"),
        ("dtlb.arrays.0.ways=9", "DTLB_A_WAYS=9"),
        ("dtlb.arrays.1.sets=64", "DTLB_B_SETS=64"),
        ("dtlb.arrays.2.sets=64", "DTLB_C_SETS=64"),
        ("stlb.arrays.0.sets=64", "STLB_A_SETS=64"),
        ("stlb.arrays.1.sets=64", "STLB_B_SETS=64"),
        ("stlb.arrays.2.ways=9", "STLB_C_WAYS=9"),
        ("psc.pml5e.ways=9", "PSC_PML5E_WAYS=9"),
        ("psc.pml4e.ways=9", "PSC_PML4E_WAYS=9"),
        ("psc.pdpte.ways=9", "PSC_PDPTE_WAYS=9"),
        ("psc.pde.ways=9", "PSC_PDE_WAYS=9"),
        ("walkers.order=oldest", "WALKER_ORDER=1"),
        ("stlb.inclusive=true", "STLB_INCLUSIVE=1"),
        (r#"itlb.arrays.0.page_sizes=["2m", "4k"]"#, "ITLB_A_SIZES=3"),
        ("dtlb.arrays.0.replacement=nru", "DTLB_A_POLICY=3"),
        ("dtlb.arrays.1.serves=reads", "DTLB_B_SERVES=1"),
        ("dtlb.arrays.2.serves=writes", "DTLB_C_SERVES=2"),
        ("stlb.arrays.2.replacement=tree-plru", "STLB_C_POLICY=1"),
        ("psc.pml5e.sets=3", "PSC_PML5E_SETS=3"),
        ("psc.pml4e.replacement=fifo", "PSC_PML4E_POLICY=2"),
        ("psc.pde.replacement=random", "PSC_PDE_POLICY=4"),
        ("memory.latency_cycles=9", ""),
    ] {
        let machine = with(&[setting]).expect("valid").config;
        let moved: Vec<String> = machine
            .rtl_parameters()
            .into_iter()
            .zip(Config::default().rtl_parameters())
            .filter(|(new, old)| new != old)
            .map(|((name, value), _)| format!("{name}={value}"))
            .collect();
        assert_eq!(moved.join(" "), expected, "{setting}");
    }
}

#[test]
fn paging_structure_caches_are_numbered_as_in_the_contract() {
    let settings = [
        "psc.pde.ways=1",
        "psc.pdpte.ways=2",
        "psc.pml4e.ways=3",
        "psc.pml5e.ways=4",
    ];
    let machine = with(&settings).expect("valid").config;
    assert_eq!(machine.psc_entries(), [1, 2, 3, 4]);
}
