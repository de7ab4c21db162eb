//! Many references at a time, and runs of them, against one by one, and that against the ticked machine.

use proptest::prelude::*;

use super::front_end::compare_from;
use super::random::Step;
use crate::arch::{Access, AccessKind, PageSize};
use crate::config::{Config, Replacement, Serves, TableCacheSpec, TlbArraySpec, TlbSpec};
use crate::cosim::matrix;
use crate::model::memory::hash;
use crate::model::{
    Answered, Asked, FrontEnd, Memory, Operation, Request, Run, Statistics, Unserved,
};
use crate::trace::{self, Mapping, MemoryReference, PagePolicy, ReferenceKind, RunBuilder};

/// References of a trace that stays on its pages for a while, on few of them that lie in many regions.
fn references(most: usize) -> impl Strategy<Value = Vec<MemoryReference>> {
    let kind = prop_oneof![
        3 => Just(ReferenceKind::Fetch),
        2 => Just(ReferenceKind::Load),
        1 => Just(ReferenceKind::Store),
    ];
    let page = prop_oneof![
        0u64..6,
        0u64..40,
        (0u64..4).prop_map(|page| page << 9),
        (0u64..3).prop_map(|page| page << 18)
    ];
    let one = (
        kind,
        page,
        prop_oneof![4 => 0u64..4000, 1 => 4090u64..4096],
        1usize..6,
    );
    prop::collection::vec(one, 1..most).prop_map(|drawn| {
        let mut all = Vec::new();
        let mut at = [0u64; 2];
        for (number, (kind, page, offset, times)) in drawn.into_iter().enumerate() {
            let stream = usize::from(kind != ReferenceKind::Fetch);
            if number % 3 == 0 || at[stream] == 0 {
                at[stream] = 0x5500_0000_0000 + (page << 12);
            }
            for time in 0..times {
                let address = at[stream] + (offset + 8 * time as u64) % 4096;
                all.extend(MemoryReference::new(kind, address, 8));
            }
        }
        all
    })
}

/// One small array of 4 KiB pages.
fn simple_array(seed: u64, stream: u64) -> TlbArraySpec {
    let draw = hash(seed, stream, 0);
    TlbArraySpec {
        page_sizes: vec![PageSize::Size4K],
        sets: 1 << (draw % 3),
        ways: 1 << (draw >> 8 & 3),
        replacement: Replacement::ALL[(draw >> 16) as usize % Replacement::ALL.len()],
        serves: Serves::All,
    }
}

/// A machine of the matrix with a window of 1, its mapping and tables for `references`. `lean`: with one array of 4 KiB pages in each level.
fn machine(
    seed: u64,
    gap: u32,
    policy: PagePolicy,
    set: bool,
    lean: bool,
    references: &[MemoryReference],
) -> (Config, Memory, [Operation; 4]) {
    let mut config = matrix::draw(seed);
    if lean {
        config.itlb.arrays = vec![simple_array(seed, 1)];
        config.dtlb.arrays = vec![simple_array(seed, 2)];
        config.stlb.arrays = vec![simple_array(seed, 3)];
        config.stlb.inclusive = seed.is_multiple_of(4);
        config.prefetch.next_page = false;
    }
    if config.stlb.inclusive {
        // So small that entries leave it.
        for array in &mut config.stlb.arrays {
            array.sets = array.sets.min(2);
            array.ways = array.ways.min(2);
        }
    }
    config.memory.size_bytes = None;
    config.front_end.issue_gap_cycles = gap;
    config.mapping.pages = if policy == PagePolicy::Size1G && !config.capabilities.page_1g {
        PagePolicy::Size2M
    } else {
        policy
    };
    config.mapping.accessed_dirty = if set {
        trace::AccessedDirty::Set
    } else {
        trace::AccessedDirty::Clear
    };
    let mapping = Mapping::new(&config.mapping, &config.arch_capabilities(), None).unwrap();
    let mut memory = Memory::new(&config.memory, seed);
    let pages = references.iter().flat_map(|reference| {
        let (first, second) = reference.split();
        [Some(first.address()), second.map(|second| second.address())]
    });
    for entry in mapping.build(pages.flatten()).unwrap() {
        memory.write_u64(entry.address.raw(), entry.value).unwrap();
    }
    let boot = crate::cli::run::requests::boot(&config, &mapping);
    (config, memory, boot)
}

pub(super) fn booted(config: &Config, memory: &Memory, boot: &[Operation; 4]) -> FrontEnd {
    let mut front_end = FrontEnd::new(config, memory.clone());
    for operation in boot {
        front_end.control(operation, &mut |_: &Answered| {});
    }
    front_end
}

pub(super) fn asked(reference: MemoryReference) -> Asked {
    crate::cli::run::requests::asked(reference)
}

fn parts(references: &[MemoryReference]) -> impl Iterator<Item = MemoryReference> {
    references.iter().flat_map(|reference| {
        let (first, second) = reference.split();
        [Some(first), second].into_iter().flatten()
    })
}

pub(super) const ACCESS: Access = Access::new(AccessKind::Read, 3);

/// One by one, and many at a time; what is known of the machine then must be the same. The machine after many.
pub(super) fn compare(
    config: &Config,
    memory: &Memory,
    boot: &[Operation; 4],
    references: &[MemoryReference],
) -> Result<FrontEnd, TestCaseError> {
    let mut one = booted(config, memory, boot);
    for part in parts(references) {
        let access = Access {
            kind: part.kind().access_kind(),
            ..ACCESS
        };
        one.translate(
            &Request {
                va: part.address(),
                access,
                id: 0,
            },
            &mut |_| {},
        );
    }
    one.finish(&mut |_| {});
    let mut many = booted(config, memory, boot);
    let mut seen = std::collections::HashSet::new();
    let mut prepare = |_: &mut FrontEnd, va: u64| {
        seen.insert(va >> 12);
        true
    };
    // In two pieces, so that what is kept in between counts, too.
    let (first, second) = references.split_at(references.len() / 3);
    for piece in [first, second] {
        prop_assert!(many.translate_all(piece, &ACCESS, asked, &mut prepare));
    }
    many.finish(&mut |_| {});
    same(&one, &many)?;
    for part in parts(references) {
        prop_assert!(
            seen.contains(&(part.address() >> 12)),
            "a page was not prepared"
        );
    }
    if let Err(law) = many.mmu().check_conservation() {
        return Err(TestCaseError::fail(law));
    }
    Ok(many)
}

pub(super) fn same(one: &FrontEnd, other: &FrontEnd) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.cycles(), other.cycles());
    prop_assert_eq!(one.statistics(), other.statistics());
    prop_assert_eq!(one.performance_counters(), other.performance_counters());
    prop_assert!(one.mmu() == other.mmu(), "the machines differ");
    prop_assert!(one.memory() == other.memory(), "the memories differ");
    Ok(())
}

fn runs_of(references: &[MemoryReference]) -> Vec<trace::Run> {
    let mut builder = RunBuilder::new();
    let mut runs = Vec::new();
    for reference in references {
        builder.push(*reference, &mut |run| runs.push(run));
    }
    builder.finish(&mut |run| runs.push(run));
    runs
}

/// The runs of the references through a new machine, in two pieces.
pub(super) fn run(
    config: &Config,
    memory: &Memory,
    boot: &[Operation; 4],
    references: &[MemoryReference],
) -> Result<FrontEnd, Unserved> {
    let mut front_end = booted(config, memory, boot);
    let runs = runs_of(references);
    let (first, second) = runs.split_at(runs.len() / 3);
    for piece in [first, second] {
        let drawn = |run| -> Run { crate::cli::run::requests::run(run) };
        front_end.translate_runs(piece, &ACCESS, drawn, &mut |_, _| true)?;
    }
    front_end.finish(&mut |_| {});
    Ok(front_end)
}

fn policies() -> impl Strategy<Value = PagePolicy> {
    prop::sample::select(PagePolicy::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn many_references_and_their_runs_count_what_they_count_one_by_one(
        seed in any::<u64>(),
        lean in any::<bool>(),
        gap in prop_oneof![3 => Just(0u32), 1 => 1u32..100],
        policy in policies(),
        set in any::<bool>(),
        references in references(80),
    ) {
        let (config, memory, boot) = machine(seed, gap, policy, set, lean, &references);
        let many = compare(&config, &memory, &boot, &references)?;
        if booted(&config, &memory, &boot).takes_runs().is_ok()
            && let Ok(runs) = run(&config, &memory, &boot, &references)
        {
            same(&many, &runs)?;
        }
    }

    /// The same in a window, with long stretches of hits.
    #[test]
    fn many_references_in_a_window_count_what_they_count_one_by_one(
        seed in any::<u64>(),
        lean in any::<bool>(),
        window in 2u32..=64,
        gap in prop_oneof![3 => Just(0u32), 1 => 1u32..10],
        hit_cycles in [1u32..=4, 1u32..=4],
        references in references(12),
        times in 1usize..60,
    ) {
        let repeated: Vec<_> = references
            .iter()
            .flat_map(|reference| std::iter::repeat_n(*reference, times))
            .collect();
        let (mut config, memory, boot) = machine(seed, gap, PagePolicy::Size4K, true, lean, &repeated);
        config.front_end.window = window;
        config.ports.queue_entries = 16;
        config.itlb.hit_latency_cycles = hit_cycles[0];
        config.dtlb.hit_latency_cycles = hit_cycles[1];
        compare(&config, &memory, &boot, &repeated)?;
    }

    /// What the references one by one do is what the ticked machine does.
    #[test]
    fn one_by_one_is_as_the_ticked_machine_of_the_matrix(
        seed in any::<u64>(),
        lean in any::<bool>(),
        policy in policies(),
        set in any::<bool>(),
        references in references(30),
    ) {
        let (config, memory, boot) = machine(seed, 0, policy, set, lean, &references);
        let mut steps: Vec<Step> = boot.into_iter().map(Step::Operate).collect();
        steps.extend(parts(&references).map(|part| {
            let access = Access { kind: part.kind().access_kind(), ..ACCESS };
            let port = usize::from(part.kind() != ReferenceKind::Fetch);
            Step::Ask(port, Request { va: part.address(), access, id: 0 })
        }));
        compare_from(&config, memory, &steps, usize::MAX)?;
    }
}

/// The comparison above must have met what can go wrong.
#[test]
fn the_runs_that_are_compared_meet_every_case() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = (
        any::<u64>(),
        any::<bool>(),
        policies(),
        any::<bool>(),
        references(80),
    );
    let mut met = [0u64; 13];
    let mut policies_met = [[0u64; 2]; Replacement::ALL.len()];
    for _ in 0..600 {
        let (seed, lean, policy, set, references) =
            strategy.new_tree(&mut runner).unwrap().current();
        let (config, memory, boot) = machine(seed, 0, policy, set, lean, &references);
        let many = compare(&config, &memory, &boot, &references).unwrap();
        let served = booted(&config, &memory, &boot).takes_runs().is_ok();
        let runs = served.then(|| run(&config, &memory, &boot, &references));
        let s = many.statistics();
        let counted = |condition: bool| u64::from(condition && matches!(runs, Some(Ok(_))));
        let found = [
            counted(s.itlb.hits > 0),
            counted(s.dtlb.hits_by_size[1] > 0),
            counted(s.dtlb.hits_by_size[2] > 0),
            counted(s.stlb.hits > 0),
            counted(s.dtlb.dirty_clear > 0),
            counted(s.psc[0].hits > 0),
            counted(
                config.stlb.inclusive && s.tlb_arrays[8..].iter().any(|array| array.evictions > 0),
            ),
            counted(true),
            u64::from(!served),
            // What waits for memory in between, what a cache of lines answers sooner, and what the short cut for simple machines takes.
            counted(config.memory.accept_interval_cycles > config.memory.latency_cycles + 2),
            counted(
                (2..=config.memory.latency_cycles + 2)
                    .contains(&config.memory.accept_interval_cycles),
            ),
            counted(config.memory.table_cache != TableCacheSpec::default()),
            counted(many.mmu().is_simple && s.walks.completed > 0),
        ];
        for (level, hits) in [(&config.itlb, s.itlb.hits), (&config.dtlb, s.dtlb.hits)] {
            for array in &level.arrays {
                let place = Replacement::ALL
                    .iter()
                    .position(|one| *one == array.replacement);
                let met = &mut policies_met[place.expect("a policy")];
                met[0] += u64::from(hits > 0);
                met[1] += counted(hits > 0);
            }
        }
        for (sum, more) in met.iter_mut().zip(found) {
            *sum += more;
        }
    }
    assert!(met.iter().all(|count| *count >= 3), "{met:?}");
    assert!(
        policies_met.as_flattened().iter().all(|count| *count >= 5),
        "{policies_met:?}"
    );
}

/// A comparison that cannot fail is none: a run that says one reference too many is found.
#[test]
fn a_run_of_one_reference_too_many_is_another_result() {
    let references: Vec<_> = (0..20)
        .filter_map(|number| MemoryReference::new(ReferenceKind::Load, 0x1000 * (number / 7), 8))
        .collect();
    let (config, memory, boot) = (0..)
        .map(|seed| machine(seed, 0, PagePolicy::Size4K, true, true, &references))
        .find(|(config, memory, boot)| booted(config, memory, boot).takes_runs().is_ok())
        .unwrap();
    let mut longer = references.clone();
    longer.insert(2, references[1]);
    let statistics = |references: &[MemoryReference]| -> Statistics {
        run(&config, &memory, &boot, references)
            .unwrap()
            .statistics()
            .clone()
    };
    assert_ne!(statistics(&references), statistics(&longer));
}

/// The counters that are compared are counted: each of walks and hits in the STLB stands above zero behind either short cut.
#[test]
fn every_short_cut_counts_the_performance_counters() {
    let references: Vec<_> = (0..600u64)
        .filter_map(|number| {
            let kind = ReferenceKind::ALL[number as usize % 3];
            MemoryReference::new(kind, 0x5500_0000_0000 + 0x1000 * (number * number % 67), 8)
        })
        .collect();
    for policy in [PagePolicy::Size4K, PagePolicy::Size2M] {
        for (lean, arrays) in [(true, [(4, 2), (0, 0)]), (false, [(4, 2), (2, 2)])] {
            let mut config = Config::default();
            for (level, ways) in [
                (&mut config.itlb, 1),
                (&mut config.dtlb, 1),
                (&mut config.stlb, 6),
            ] {
                let of = |(sets, of_ways): (u32, u32)| (sets, of_ways * ways);
                *level = TlbSpec::new(1, [of(arrays[0]), of(arrays[1]), (0, 0)]);
            }
            config.mapping.pages = policy;
            config.mapping.accessed_dirty = trace::AccessedDirty::Set;
            let mapping = Mapping::new(&config.mapping, &config.arch_capabilities(), None).unwrap();
            let mut memory = Memory::new(&config.memory, 1);
            let pages = references.iter().map(|reference| reference.address());
            for entry in mapping.build(pages).unwrap() {
                memory.write_u64(entry.address.raw(), entry.value).unwrap();
            }
            let boot = crate::cli::run::requests::boot(&config, &mapping);
            let many = compare(&config, &memory, &boot, &references).unwrap();
            assert_eq!(many.mmu().is_simple, lean);
            let runs = run(&config, &memory, &boot, &references).unwrap();
            same(&many, &runs).unwrap();
            let (completed, hit) = match policy {
                PagePolicy::Size4K => ("walk_completed_4k", "stlb_hit_4k"),
                _ => ("walk_completed_2m_4m", "stlb_hit_2m_4m"),
            };
            for prefix in ["dtlb_load_misses", "dtlb_store_misses", "itlb_misses"] {
                for event in [
                    "miss_causes_a_walk",
                    completed,
                    "walk_pending",
                    "walk_active",
                    hit,
                ] {
                    // Two entries hold what one page of 2 MiB needs.
                    if policy == PagePolicy::Size2M && !lean {
                        continue;
                    }
                    let name = format!("{prefix}.{event}");
                    let value = many.performance_counters().of(&name);
                    assert!(value > Some(0), "{name} of {policy:?}: {value:?}");
                }
            }
            let loads = many.performance_counters().of("page_walker_loads");
            assert_eq!(loads, Some(many.statistics().walks.memory_reads));
        }
    }
}

#[test]
fn stores_that_fault_are_not_taken_as_runs_where_they_stay() {
    let store = |offset: u64| MemoryReference::new(ReferenceKind::Store, 0x1000 + offset, 8);
    let references: Vec<_> = (0..5).filter_map(|number| store(8 * number)).collect();
    let mut config = Config::default();
    config.mapping.writable = false;
    let mapping = Mapping::new(&config.mapping, &config.arch_capabilities(), None).unwrap();
    let mut memory = Memory::new(&config.memory, 1);
    for entry in mapping.build([0x1000]).unwrap() {
        memory.write_u64(entry.address.raw(), entry.value).unwrap();
    }
    let boot = crate::cli::run::requests::boot(&config, &mapping);
    let served = run(&config, &memory, &boot, &references);
    assert_eq!(served.err(), Some(Unserved::Order(0x1000)));
    // One store faults like any other reference.
    let one = run(&config, &memory, &boot, &references[..1]).unwrap();
    assert_eq!(one.statistics().responses.page_faults, 1);
}
