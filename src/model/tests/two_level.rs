//! 32-bit paging: 1.5 (addresses), 2 (arrays), 4.2 (prefix), 8.2 to 8.6 (walks of entries of 4 bytes, prefetch) and 9.3, for pages of 4 KiB
//! and of 4 MiB.

use super::bench::*;
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{AccessKind, PageSize};
use crate::config::Config;
use crate::model::mmu_pkg::{MEM_COMPARE_AND_SET, Outputs, PortIn};
use crate::model::{Operation, Request};

const VA: u64 = 0x8764_3000;
const FRAME: u64 = 0x3000_0000;
/// The other half of a 4 MiB page.
const HALF: u64 = 1 << 21;
/// The next 4 MiB.
const NEXT: u64 = 1 << 22;

/// Asks, and what it came to: status, physical address, page size, error code.
fn outcome(bench: &mut Bench, port: usize, request: Request) -> (u8, u64, u8, u16) {
    let response = bench.ask(port, request).response;
    let (pa, code) = (response.pa, response.error_code);
    (response.status, pa, response.page_size, code)
}

fn nothing_is_held(bench: &Bench) -> bool {
    let mut arrays = bench.mmu.tlb.iter();
    arrays.all(|array| array.occupancy() == 0)
}

/// (address, byte enables, expected, new) of the compare-and-sets.
fn sets(bench: &Bench) -> Vec<(u64, u8, u64, u64)> {
    let found = bench.seen(|outputs| {
        let m = &outputs.memory;
        let shown = (m.req_addr, m.req_be, m.req_expected, m.req_wdata);
        (m.req_valid != 0 && m.req_op == MEM_COMPARE_AND_SET).then_some(shown)
    });
    found.into_iter().map(|(_, set)| set).collect()
}

#[test]
fn bits_63_to_32_of_an_address_are_taken_as_0_also_by_the_fault_that_reports_it() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    for upper in [0, 1 << 32, 1 << 47, 1 << 63, 0xffff_ffff << 32] {
        let response = bench.ask(DATA, read(VA | upper | 0x123)).response;
        assert_eq!((response.status, response.pa), (0, FRAME | 0x123));
        let response = bench.ask(DATA, read(VA | upper | 0x5123)).response;
        let expected = (1, VA | 0x5123, 0b100);
        assert_eq!(
            (response.status, response.va, response.error_code),
            expected
        );
    }
    let s = bench.mmu.statistics();
    assert_eq!((s.dtlb.hits, s.responses.general_protections), (4, 0));
    // With paging off they are ignored, and the address is no other.
    assert!(!bench.operate(Operation::new(0, cr0::PE)));
    assert_eq!(bench.ask(DATA, read(VA | 7 << 32)).response.pa, VA);
}

#[test]
fn a_4_mib_page_stands_in_the_arrays_named_for_2_mib_with_code_3_in_its_answers() {
    for memory_type in 0..8u64 {
        let mut bench = Bench::on_32_bit(&small());
        let bits = (memory_type & 3) << 3 | (memory_type >> 2) << 12;
        bench.map(VA, PageSize::Size4M, FRAME | ALL | G | bits);
        for address in [VA, VA ^ HALF, VA & !0xfff | 0xabc] {
            let response = bench.ask(DATA, read(address)).response;
            assert_eq!(response.pa, FRAME | address & 0x3f_ffff);
            assert_eq!(response.page_size, 3);
            assert_eq!(u64::from(response.memory_type), memory_type);
        }
        assert_eq!(bench.codes(DATA), (vec![4, 2, 2], vec![4]));
        let fills = bench.seen(|outputs| Some(outputs.monitor).filter(|m| m.tlb[5].op == 1));
        let (_, monitor) = fills[0];
        // Bits 22 and up choose the row: the first level has one, the STLB two.
        assert_eq!((monitor.tlb[5].set, monitor.tlb[9].set), (0, 1));
        let (tag, data) = (monitor.tlb[9].tag, monitor.tlb[9].data);
        // Both sizes of the tag have code 3.
        assert_eq!(tag, VA >> 22 << 10 | 1 << 57 | 3 << 58 | 3 << 60);
        let rights = 0b1011 << 40;
        let kept_type = (memory_type & 3) << 48 | (memory_type >> 2) << 50;
        assert_eq!(data, FRAME >> 12 | rights | kept_type);
        let s = bench.mmu.statistics();
        assert_eq!((s.dtlb.hits_by_size, s.tlb_arrays[5].fills), ([0, 2, 0], 1));
    }
}

#[test]
fn a_pte_of_4_bytes_has_its_pat_in_bit_7_and_neither_key_nor_xd() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL | PS | 2 << 3);
    // Were the other half of its cell taken for its own: key 15, XD.
    let at = bench.entry_at(VA, 1);
    bench.store_entry(at ^ 4, 0xffff_ffff);
    assert!(!bench.operate(Operation::new(2, cr4::PSE | cr4::PKE)));
    let pkru = |request: Request| Request {
        access: crate::arch::Access {
            pkru: u32::MAX,
            ..request.access
        },
        ..request
    };
    for (port, request) in [(DATA, read(VA)), (DATA, write(VA)), (FETCH, fetch(VA))] {
        for _ in 0..2 {
            let response = bench.ask(port, pkru(request)).response;
            assert_eq!((response.status, response.pa), (0, FRAME));
            assert_eq!(response.memory_type, 0b110);
        }
    }
    let fills = bench.seen(|outputs| Some(outputs.monitor.tlb[4]).filter(|event| event.op == 1));
    assert_eq!(fills[0].1.data, FRAME >> 12 | 0b1011 << 40 | 0b110 << 48);
}

#[test]
fn nxe_is_without_effect_and_a_fetch_is_told_apart_by_smep_alone() {
    let mut bench = Bench::on_32_bit(&small());
    assert!(!bench.operate(Operation::new(3, efer::NXE)));
    bench.map(VA, PageSize::Size4K, FRAME | ALL & !US);
    assert_eq!(bench.ask(FETCH, fetch(VA)).response.error_code, 0b101);
    assert!(!bench.operate(Operation::new(2, cr4::PSE | cr4::SMEP)));
    assert_eq!(bench.ask(FETCH, fetch(VA)).response.error_code, 0b1_0101);
}

#[test]
fn bits_20_to_13_of_a_4_mib_leaf_are_address_bits_up_to_the_width_and_those_above_reserved() {
    for (width, reserved) in [
        (36, 0x3e_0000),
        (38, 0x38_0000),
        (40, 0x20_0000),
        (52, 0x20_0000),
    ] {
        let mut config = small();
        config.capabilities.maxphyaddr_bits = width;
        for bit in 13..=21 {
            let mut bench = Bench::on_32_bit(&config);
            bench.map(VA, PageSize::Size4M, FRAME | ALL | 1 << bit);
            let expected = if reserved >> bit & 1 != 0 {
                (1, 0, 0, 0b1101)
            } else {
                (0, FRAME | VA & 0x3f_ffff | 1 << (bit + 19), 3, 0)
            };
            for _ in 0..2 {
                assert_eq!(
                    outcome(&mut bench, DATA, read(VA)),
                    expected,
                    "{width} {bit}"
                );
            }
        }
    }
}

#[test]
fn while_pse_is_clear_bit_7_of_a_pde_is_ignored_and_a_change_of_pse_removes_everything() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let pde = bench.entry_at(VA, 2);
    // Bits 21:13 are those of the table, none of them reserved.
    bench.store_entry(pde, bench.entry(pde) | PS);
    assert!(!bench.operate(Operation::new(2, cr4::PGE)));
    assert_eq!(outcome(&mut bench, DATA, read(VA)), (0, FRAME, 0, 0));
    assert_eq!(bench.mmu.psc.occupancy(0), 1);
    assert!(!bench.operate(Operation::new(2, cr4::PGE | cr4::PSE)));
    assert!(nothing_is_held(&bench) && bench.mmu.psc.occupancy(0) == 0);
    bench.store_entry(pde, FRAME | ALL | PS);
    assert_eq!(bench.ask(DATA, read(VA)).response.page_size, 3);
    assert!(!bench.operate(Operation::new(2, cr4::PGE)));
    assert!(nothing_is_held(&bench));
}

#[test]
fn a_walk_enables_the_half_in_which_the_entry_stands_and_sets_bits_there_alone() {
    // PTE and PDE in the lower half, or in the upper.
    for (va, be) in [(VA & !(NEXT | 0x1000), 0x0f), (VA | NEXT | 0x1000, 0xf0)] {
        let shift = if be == 0x0f { 0 } else { 32 };
        let mut bench = Bench::on_32_bit(&small());
        bench.map(va, PageSize::Size4K, FRAME | ALL & !(A | D));
        let path = [bench.entry_at(va, 2), bench.entry_at(va, 1)];
        let mut expected = Vec::new();
        for (at, bits) in path.into_iter().zip([A, A | D]) {
            bench.store_entry(at, bench.entry(at) & !A);
            bench.store_entry(at ^ 4, 0x1234_5678);
            let old = bench.entry(at);
            expected.push((at & !7, be, old << shift, (old | bits) << shift));
        }
        assert_eq!(bench.ask(DATA, write(va)).response.status, 0);
        assert_eq!(sets(&bench), expected);
        let enables = bench
            .seen(|outputs| Some(outputs.memory.req_be).filter(|_| outputs.memory.req_valid != 0));
        assert!(enables.len() == 4 && enables.iter().all(|(_, shown)| *shown == be));
        assert_eq!(bench.reads(), path.map(|at| at & !7));
        for (at, bits) in path.into_iter().zip([A, A | D]) {
            assert_eq!(bench.entry(at) & (A | D), bits);
            assert_eq!(bench.entry(at ^ 4), 0x1234_5678);
        }
    }
}

/// Asks for a write to `va`, and stores `value` at `at` as soon as the walk has read the cell of its PTE.
fn write_racing(bench: &mut Bench, va: u64, at: u64, value: u64) -> Outputs {
    let pte = bench.entry_at(va, 1);
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = write(va).presented();
    loop {
        let outputs = bench.tick(ports);
        if outputs.ports[DATA].req_ready != 0 {
            ports[DATA].req_valid = 0;
        }
        let memory = &outputs.memory;
        if memory.req_valid != 0 && memory.req_op == 0 && memory.req_addr == pte & !7 {
            bench.store_entry(at, value);
        }
        if outputs.ports[DATA].resp_valid != 0 {
            return outputs;
        }
    }
}

#[test]
fn a_race_is_lost_by_a_change_of_the_entry_and_never_by_one_of_its_neighbour() {
    for va in [VA & !0x1000, VA | 0x1000] {
        let set_up = || {
            let mut bench = Bench::on_32_bit(&small());
            bench.map(va, PageSize::Size4K, FRAME | ALL & !(A | D));
            let pte = bench.entry_at(va, 1);
            bench.store_entry(pte ^ 4, 0x0700_0000 | ALL);
            (bench, pte)
        };
        let (mut bench, pte) = set_up();
        let outputs = write_racing(&mut bench, va, pte ^ 4, 0x0600_0000 | P);
        assert_eq!(outputs.ports[DATA].resp_pa, FRAME);
        let left = (bench.entry(pte), bench.entry(pte ^ 4));
        assert_eq!(left, (FRAME | ALL, 0x0600_0000 | P));
        let walks = bench.mmu.statistics().walks;
        assert_eq!((walks.compare_and_sets, walks.races_lost), (1, 0));
        assert_eq!(bench.observed.walks, walks);
        // The entry itself: what came back is decoded in its place.
        let (mut bench, pte) = set_up();
        let outputs = write_racing(&mut bench, va, pte, 0x2000_0000 | ALL & !D);
        assert_eq!(outputs.ports[DATA].resp_pa, 0x2000_0000);
        assert_eq!(bench.entry(pte), 0x2000_0000 | ALL);
        assert_eq!(bench.entry(pte ^ 4), 0x0700_0000 | ALL);
        let walks = bench.mmu.statistics().walks;
        assert_eq!((walks.compare_and_sets, walks.races_lost), (2, 1));
        assert_eq!(bench.observed.walks, walks);
    }
}

#[test]
fn a_pde_is_cached_for_both_halves_of_its_4_mib() {
    let mut bench = Bench::off(&small());
    // LA57 is without effect; the caches of upper levels have nothing to look for.
    bench.enable(cr4::PSE | cr4::LA57);
    bench.map(VA | HALF, PageSize::Size4K, FRAME | ALL);
    bench.map(VA & !HALF, PageSize::Size4K, FRAME | 0x1000 | ALL);
    bench.ask(DATA, read(VA | HALF));
    bench.ask(DATA, read(VA & !HALF));
    assert_eq!(bench.walks(), [(1, 0, 0), (3, 0, 1), (1, 2, 0), (3, 0, 1)]);
    let fills = bench.seen(|outputs| Some(outputs.monitor.psc[0].tag).filter(|tag| *tag != 0));
    let tags: Vec<u64> = fills.into_iter().map(|(_, tag)| tag).collect();
    assert_eq!(tags, [VA >> 22 << 1]);
    let s = bench.mmu.statistics();
    assert_eq!((s.psc[0].lookups, s.psc[0].hits), (2, 1));
    assert!(s.psc[1..].iter().all(|level| level.lookups == 0));
    assert_eq!(s, &bench.observed);
}

#[test]
fn invlpg_in_the_other_half_of_a_4_mib_page_removes_it_from_every_level() {
    let invpcid = |addr| Operation {
        op: 5,
        data: 0,
        addr,
        kind: 0,
    };
    let upper = 0xffff_8000 << 32;
    for (operation, global) in [
        (Operation::new(4, VA ^ HALF), G),
        (Operation::new(4, VA ^ HALF | 0x1234 << 32), G),
        (invpcid(VA ^ HALF), 0),
        (invpcid(VA ^ HALF | upper), 0),
    ] {
        let mut bench = Bench::on_32_bit(&small());
        bench.map(VA, PageSize::Size4M, FRAME | ALL | global);
        bench.map(VA ^ NEXT, PageSize::Size4M, FRAME | ALL);
        for address in [VA, VA ^ NEXT] {
            bench.ask(DATA, read(address));
            bench.ask(FETCH, fetch(address));
        }
        assert!(!bench.operate(operation));
        bench.forget();
        for address in [VA, VA ^ NEXT] {
            bench.ask(DATA, read(address));
        }
        // The neighbour is still there.
        assert_eq!(bench.codes(DATA), (vec![4, 2], vec![4]), "{operation:?}");
    }
    let mut bench = Bench::on_32_bit(&small());
    assert!(
        bench.operate(invpcid(1 << 47)),
        "not canonical, by LA57 in any mode"
    );
}

#[test]
fn a_drop_takes_a_4_mib_page_out_of_every_level_from_either_half() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4M, FRAME | ALL & !RW);
    bench.ask(FETCH, fetch(VA));
    bench.ask(DATA, read(VA));
    bench.forget();
    assert_eq!(
        outcome(&mut bench, DATA, write(VA ^ HALF)),
        (1, 0, 0, 0b111)
    );
    let removed = bench.seen(|outputs| {
        let arrays = outputs.monitor.tlb.iter().enumerate();
        let removing = arrays.filter(|(_, event)| event.op == 2);
        let numbers: Vec<usize> = removing.map(|(number, _)| number).collect();
        (!numbers.is_empty()).then_some(numbers)
    });
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].1, [1, 5, 9]);
    assert!(nothing_is_held(&bench));
    // And a cached PDE: a page that is not there, in the other half.
    bench.map(VA ^ NEXT, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA ^ NEXT));
    assert_eq!(bench.mmu.psc.occupancy(0), 1);
    bench.ask(DATA, read(VA ^ NEXT ^ HALF));
    assert_eq!(bench.mmu.psc.occupancy(0), 0);
}

/// A machine that prefetches, with two walkers.
fn prefetching() -> Config {
    let mut config = small_without_psc();
    config.prefetch.next_page = true;
    config.walkers.count = 2;
    config
}

#[test]
fn the_page_after_the_last_is_at_0_and_not_prefetched() {
    for size in [PageSize::Size4K, PageSize::Size4M] {
        for (last, triggered) in [(0xffff_ffff, 0), (0x7fff_ffff, 1)] {
            let page = last & !size.offset_mask();
            let next = (page + size.bytes()) & 0xffff_ffff;
            let mut bench = Bench::on_32_bit(&prefetching());
            bench.map(page, size, FRAME | ALL);
            bench.map(next, size, FRAME | ALL);
            bench.ask(DATA, read(last));
            bench.idle(40);
            let prefetches = bench.mmu.statistics().prefetches;
            let expected = (triggered, triggered, triggered);
            let met = (prefetches.triggered, prefetches.walked, prefetches.filled);
            assert_eq!(met, expected, "{size} {last:#x}");
            let shown = bench.seen(|outputs| Some(outputs.queues.prefetch).filter(|w| *w != 0));
            assert!(shown.iter().all(|(_, word)| word & !0xfff == next));
            assert_eq!(shown.is_empty(), triggered == 0);
        }
    }
}

#[test]
fn a_prefetch_that_outlives_its_mode_reads_4_bytes_to_its_end_and_fills_nothing() {
    let mut bench = Bench::on_32_bit(&prefetching());
    let first = VA & !0x1000;
    let next = first | 0x1000;
    bench.map(first, PageSize::Size4K, FRAME | ALL);
    bench.map(next, PageSize::Size4K, FRAME | ALL);
    let pde = bench.entry_at(next, 2);
    bench.ask(DATA, read(first));
    bench.memory_is_stalled = true;
    bench.idle(10);
    let paging = cr0::PG | cr0::PE;
    let modes = [
        (0, cr0::PE),
        (3, efer::LME),
        (2, cr4::PAE),
        (1, ROOT + 0x8000),
        (0, paging),
    ];
    for (op, value) in modes {
        assert!(!bench.operate(Operation::new(op, value)));
        let shown = bench.tick([PortIn::default(); 3]).memory;
        let be = if pde & 4 == 0 { 0x0f } else { 0xf0 };
        assert_eq!((shown.req_valid, shown.req_addr), (1, pde & !7));
        assert_eq!(shown.req_be, be);
    }
    bench.memory_is_stalled = false;
    bench.idle(10);
    let s = bench.mmu.statistics();
    assert_eq!((s.prefetches.stopped, s.prefetches.filled), (1, 0));
    assert!(nothing_is_held(&bench) && bench.mmu.is_at_rest());
}

#[test]
fn arrays_change_their_shape_with_the_mode() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4M, FRAME | ALL);
    bench.ask(DATA, read(VA));
    assert!(!bench.operate(Operation::new(0, cr0::PE)));
    assert!(nothing_is_held(&bench));
    // In 4-level paging the halves are two pages.
    bench.store(ROOT, 0);
    bench.enable(cr4::PAE);
    bench.map(VA | HALF, PageSize::Size2M, FRAME | ALL);
    bench.map(VA & !HALF, PageSize::Size2M, 0x4000_0000 | ALL);
    let low = VA & 0x1f_ffff;
    for _ in 0..2 {
        let upper = outcome(&mut bench, DATA, read(VA | HALF));
        assert_eq!(upper, (0, FRAME | low, 1, 0));
        let lower = outcome(&mut bench, DATA, read(VA & !HALF));
        assert_eq!(lower, (0, 0x4000_0000 | low, 1, 0));
    }
    assert_eq!(bench.codes(DATA).0, [4, 4, 2, 2]);
    // Out of reset it is as ever.
    let mut one = Bench::on_32_bit(&small());
    let reset = crate::model::mmu_pkg::Inputs::default();
    one.mmu.tick(&reset, &mut Outputs::default());
    assert!(one.mmu == crate::model::Mmu::new(&small()));
}

#[test]
fn rights_are_anded_over_the_two_levels_also_from_a_cached_pde() {
    let mut bench = Bench::on_32_bit(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA ^ HALF, PageSize::Size4K, FRAME | ALL);
    let pde = bench.entry_at(VA, 2);
    bench.store_entry(pde, bench.entry(pde) & !RW);
    assert_eq!(bench.ask(DATA, read(VA)).response.status, 0);
    let mut supervisor = write(VA ^ HALF);
    supervisor.access.cpl = 0;
    supervisor.access.kind = AccessKind::Write;
    assert_eq!(bench.ask(DATA, supervisor).response.error_code, 0b11);
    assert_eq!(bench.ask(DATA, write(VA ^ HALF)).response.error_code, 0b111);
}
