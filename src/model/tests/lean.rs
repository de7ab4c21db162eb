//! What the short cut for lean machines must leave to the general path, and where its misses end.

use super::many::{ACCESS, asked, booted, compare, run, same};
use crate::arch::{Access, AccessKind};
use crate::config::{Config, Source, load};
use crate::model::{Memory, Operation, Request};
use crate::trace::{Mapping, MemoryReference, ReferenceKind, TableEntry};

const FIRST: u64 = 0x5500_0000_0000;
const DIRTY: u64 = 1 << 6;

/// A lean machine with few ways, the entries of the tables for `pages`, and its boot.
fn lean_machine(gap: u32, pages: &[u64]) -> (Config, Vec<TableEntry>, [Operation; 4]) {
    let textbook = load(&Source::Preset("textbook".to_owned()), &[]);
    let mut config = textbook.unwrap().config;
    for (level, ways) in [
        (&mut config.itlb, 1),
        (&mut config.dtlb, 1),
        (&mut config.stlb, 4),
    ] {
        level.arrays[0].sets = 1;
        level.arrays[0].ways = ways;
    }
    config.front_end.issue_gap_cycles = gap;
    let mapping = Mapping::new(&config.mapping, &config.arch_capabilities(), None).unwrap();
    let entries = mapping.build(pages.iter().copied()).unwrap();
    let boot = crate::cli::run::requests::boot(&config, &mapping);
    (config, entries, boot)
}

fn memory_with(config: &Config, entries: &[TableEntry]) -> Memory {
    let mut memory = Memory::new(&config.memory, 1);
    for entry in entries {
        memory.write_u64(entry.address.raw(), entry.value).unwrap();
    }
    memory
}

fn to(kind: ReferenceKind, address: u64) -> MemoryReference {
    MemoryReference::new(kind, address, 1).unwrap()
}

#[test]
fn the_gap_behind_a_miss_that_ends_a_piece_is_no_work_of_the_machine() {
    let [a, b, c] = [FIRST, FIRST + 0x1000, FIRST + 0x20_0000];
    let loads = [a, b, a, c, c, b, a, a].map(|page| to(ReferenceKind::Load, page));
    for gap in [0, 7, 300] {
        let (config, entries, boot) = lean_machine(gap, &[a, b, c]);
        let memory = memory_with(&config, &entries);
        assert!(
            booted(&config, &memory, &boot)
                .mmu()
                .lean(&memory)
                .is_some()
        );
        for count in 1..=loads.len() {
            let many = compare(&config, &memory, &boot, &loads[..count]).unwrap();
            let runs = run(&config, &memory, &boot, &loads[..count]).unwrap();
            same(&many, &runs).unwrap();
        }
    }
}

#[test]
fn a_page_that_hits_does_not_answer_an_address_that_is_not_canonical() {
    let beyond = FIRST | 1 << 60;
    let loads = [
        FIRST,
        FIRST + 0x1000,
        FIRST,
        beyond,
        beyond,
        FIRST,
        beyond + 0x1000,
    ]
    .map(|address| to(ReferenceKind::Load, address));
    let (config, entries, boot) = lean_machine(0, &[FIRST, FIRST + 0x1000]);
    let memory = memory_with(&config, &entries);
    let many = compare(&config, &memory, &boot, &loads).unwrap();
    assert_eq!(many.statistics().responses.translated, 4);
}

#[test]
fn a_walk_leaves_no_bit_clear_that_it_sets() {
    const ACCESSED: u64 = 1 << 5;
    let pages = [FIRST, FIRST + 0x1000, FIRST + 0x20_0000];
    let (config, entries, boot) = lean_machine(0, &pages);
    for clear in [ACCESSED, DIRTY] {
        for number in 0..entries.len() {
            let mut entries = entries.clone();
            entries[number].value &= !clear;
            let memory = memory_with(&config, &entries);
            for kind in [ReferenceKind::Load, ReferenceKind::Store] {
                let references = [0, 1, 2, 0, 1].map(|page| to(kind, pages[page]));
                compare(&config, &memory, &boot, &references).unwrap();
            }
        }
    }
}

#[test]
fn a_global_page_takes_the_place_of_those_of_other_contexts() {
    const GLOBAL: u64 = 1 << 8;
    const PCIDE: u64 = 1 << 17;
    const KEEP: u64 = 1 << 63;
    let (mut config, entries, boot) = lean_machine(0, &[FIRST]);
    for level in [&mut config.itlb, &mut config.dtlb] {
        level.arrays[0].ways = 4;
    }
    let memory = memory_with(&config, &entries);
    // Of the entries of a page that was used the leaf alone has D set.
    let is_leaf = |entry: &&TableEntry| entry.value & DIRTY != 0;
    let leaf = entries.iter().find(is_leaf).unwrap();
    let [_, cr4, cr3, _] = boot;
    let fetch = (AccessKind::Fetch, ReferenceKind::Fetch);
    let load = (AccessKind::Read, ReferenceKind::Load);
    let perform = |many: bool| {
        let mut front_end = booted(&config, &memory, &boot);
        front_end.control(&Operation::new(2, cr4.data | PCIDE), &mut |_| {});
        for (context, order) in [(1, [fetch, load]), (2, [load, fetch])] {
            let word = cr3.data | context | KEEP;
            front_end.control(&Operation::new(1, word), &mut |_| {});
            for (access, reference) in order {
                if many {
                    let references = [to(reference, FIRST)];
                    front_end.translate_all(&references, &ACCESS, asked, &mut |_, _| true);
                    continue;
                }
                let access = Access {
                    kind: access,
                    ..ACCESS
                };
                let request = Request {
                    va: FIRST,
                    access,
                    id: 0,
                };
                front_end.translate(&request, &mut |_| {});
            }
            front_end
                .store(leaf.address.raw(), leaf.value | GLOBAL)
                .unwrap();
        }
        front_end.finish(&mut |_| {});
        front_end
    };
    let (one, many) = (perform(false), perform(true));
    assert_eq!(many.statistics().stlb.hits, 2);
    same(&one, &many).unwrap();
}
