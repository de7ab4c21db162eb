//! Contract 8: the walk, accessed and dirty, restarts, drops, and who may fill.

use super::bench::*;
use crate::arch::PageSize;
use crate::arch::registers::cr4;
use crate::model::mmu_pkg::{Outputs, PortIn};
use crate::model::{Operation, Request};

const VA: u64 = 0x7f12_3456_7000;
const FRAME: u64 = 0x8000_0000;

#[test]
fn a_walk_reads_the_entries_of_the_path_from_the_root_down() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    let path: Vec<u64> = (1..=4)
        .rev()
        .map(|level| bench.entry_at(VA, level))
        .collect();
    assert_eq!(bench.reads(), path);
    assert!(bench.compare_and_sets().is_empty());
}

#[test]
fn a_walk_begins_at_the_lowest_paging_structure_cache_that_matches() {
    let mut bench = Bench::off(&small());
    bench.enable(cr4::PAE | cr4::LA57);
    for (flip, psc_level, reads) in [(0, 0, 5), (12, 2, 1), (21, 3, 2), (30, 4, 3), (39, 5, 4)] {
        let va = if flip == 0 { VA } else { VA ^ 1 << flip };
        bench.map(va, PageSize::Size4K, FRAME | ALL);
        bench.forget();
        bench.ask(DATA, read(va));
        assert_eq!(bench.walks(), [(1, psc_level, 0), (3, 0, 1)]);
        assert_eq!(bench.reads().len(), reads);
    }
}

#[test]
fn a_walk_fills_stlb_first_level_and_the_cache_of_each_level_read_in_one_cycle() {
    let mut bench = Bench::on(&small());
    bench.map(
        VA,
        PageSize::Size4K,
        FRAME | ALL | G | XD | 5 << 59 | 3 << 3 | PS,
    );
    bench.ask(DATA, read(VA));
    let fills = bench.seen(|outputs| (outputs.monitor.walk[0].op == 3).then_some(outputs.monitor));
    let [(_, monitor)] = fills[..] else {
        panic!("one walk")
    };
    let arrays: Vec<usize> = (0..12)
        .filter(|array| monitor.tlb[*array].op == 1)
        .collect();
    assert_eq!(arrays, [4, 8]);
    let tag = VA >> 12 & ((1 << 45) - 1) | 1 << 57;
    // R/W, U/S, XD, D, key 5, PWT, PCD, PAT.
    let data = FRAME >> 12 | 0b1111 << 40 | 5 << 44 | 0b111 << 48;
    assert_eq!((monitor.tlb[4].tag, monitor.tlb[4].data), (tag, data));
    assert_eq!((monitor.tlb[8].tag, monitor.tlb[8].data), (tag, data));
    for cache in 0..3 {
        let event = monitor.psc[cache];
        let table = bench.cell(bench.entry_at(VA, cache as u32 + 2)) & 0xf_ffff_ffff_f000;
        assert_eq!(event.op, 1);
        assert_eq!(event.tag, VA >> 21 >> (9 * cache) << (9 * cache));
        assert_eq!(event.data, table >> 12 | 0b11 << 40);
    }
    assert_eq!(monitor.psc[3].op, 0);
}

#[test]
fn accessed_is_set_on_the_way_down_even_if_the_walk_then_faults() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | (ALL & !(US | A | D)));
    for level in 2..=4 {
        let at = bench.entry_at(VA, level);
        bench.store(at, bench.cell(at) & !A);
    }
    let answer = bench.ask(DATA, write(VA));
    assert_eq!(
        (answer.response.status, answer.response.error_code),
        (1, 0b111)
    );
    for level in 2..=4 {
        assert_eq!(bench.cell(bench.entry_at(VA, level)) & (A | D), A);
    }
    let leaf = bench.cell(bench.entry_at(VA, 1));
    assert_eq!(
        leaf & (A | D),
        0,
        "the leaf of a denied access is not touched"
    );
}

#[test]
fn accessed_and_dirty_of_the_leaf_are_set_in_one_operation_and_dirty_only_for_writes() {
    for (request, bits) in [(read(VA), A), (write(VA), A | D)] {
        let mut bench = Bench::on(&small());
        bench.map(VA, PageSize::Size4K, FRAME | ALL & !(A | D));
        bench.ask(DATA, request);
        let pte = bench.entry_at(VA, 1);
        let clear = FRAME | ALL & !(A | D);
        assert_eq!(bench.compare_and_sets(), [(pte, clear, clear | bits)]);
        assert_eq!(bench.cell(pte), clear | bits);
    }
}

/// Asks, and stores into memory as soon as the walker has read `address` for the `nth` time.
fn ask_racing(
    bench: &mut Bench,
    request: Request,
    address: u64,
    nth: usize,
    value: u64,
) -> Outputs {
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = request.presented();
    let mut reads = 0;
    loop {
        let outputs = bench.tick(ports);
        if outputs.ports[DATA].req_ready != 0 {
            ports[DATA].req_valid = 0;
        }
        let memory = &outputs.memory;
        if memory.req_valid != 0 && memory.req_op == 0 && memory.req_addr == address {
            reads += 1;
            if reads == nth {
                bench.store(address, value);
            }
        }
        if outputs.ports[DATA].resp_valid != 0 {
            return outputs;
        }
    }
}

#[test]
fn a_lost_race_decodes_what_came_back_and_never_overwrites_it() {
    let clear = FRAME | ALL & !(A | D);
    for (newer, status) in [
        (0x9000_0000 | ALL, 0),
        (0x9000_0000 | ALL & !(A | D), 0),
        (0, 1),
        (0x9000_0000 | ALL & !(US | A), 1),
    ] {
        let mut bench = Bench::on(&small());
        bench.map(VA, PageSize::Size4K, clear);
        let pte = bench.entry_at(VA, 1);
        let outputs = ask_racing(&mut bench, read(VA), pte, 1, newer);
        assert_eq!(outputs.ports[DATA].resp_status, status);
        let expected_pa = if status == 0 { 0x9000_0000 } else { 0 };
        assert_eq!(outputs.ports[DATA].resp_pa, expected_pa);
        let set = if status == 0 { newer | A } else { newer };
        assert_eq!(bench.cell(pte), set);
        assert_eq!(bench.mmu.statistics().walks.races_lost, 1);
    }
}

#[test]
fn a_lost_race_on_a_leaf_does_not_keep_the_rights_of_the_value_that_lost() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL & !(RW | A | D));
    let pte = bench.entry_at(VA, 1);
    ask_racing(&mut bench, read(VA), pte, 1, FRAME | ALL);
    // Filled with R/W = 1, so that a write hits.
    bench.forget();
    assert_eq!(bench.ask(DATA, write(VA)).response.status, 0);
    assert_eq!(bench.codes(DATA).0, [1]);
}

#[test]
fn a_fault_through_a_cached_entry_is_walked_again_from_cr3_before_it_is_reported() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    // Another table stands in the PDE, and the cache does not know: the page is present there only.
    let (pde, table) = (bench.entry_at(VA, 2), 0x66_0000);
    bench.store(pde, table | ALL);
    bench.store(table + 8 * ((VA ^ 0x1000) >> 12 & 0x1ff), 0x7000 | ALL);
    bench.forget();
    let answer = bench.ask(DATA, read(VA ^ 0x1000));
    assert_eq!((answer.response.status, answer.response.pa), (0, 0x7000));
    assert_eq!(bench.walks(), [(1, 2, 0), (2, 0, 0), (3, 0, 1)]);
    // The restart dropped the PDE's entry of the cache; the walk filled it anew.
    let psc = bench.seen(|outputs| Some(outputs.monitor.psc[0].op).filter(|op| *op != 0));
    assert_eq!(psc.iter().map(|(_, op)| *op).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_bus_error_through_a_cached_entry_is_walked_again_too_and_changes_no_array() {
    let mut config = small();
    config.memory.size_bytes = Some(0x40_0000);
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    let pdpte = bench.entry_at(VA, 3);
    let other = bench.entry_at(VA ^ 0x20_0000, 2);
    bench.store(other, 0x40_0000 | ALL);
    bench.forget();
    let answer = bench.ask(DATA, read(VA ^ 0x20_0000));
    assert_eq!((answer.response.status, answer.response.va), (3, 0));
    assert_eq!(bench.walks(), [(1, 3, 0), (2, 0, 0), (5, 0, 0)]);
    let done = bench.seen(|outputs| (outputs.monitor.walk[0].op == 5).then_some(outputs.monitor));
    assert!(done[0].1.tlb.iter().all(|event| event.op == 0));
    assert!(done[0].1.psc.iter().all(|event| event.op == 0));
    assert_eq!(
        bench
            .reads()
            .iter()
            .filter(|address| **address == pdpte)
            .count(),
        1
    );
}

#[test]
fn reserved_bits_fault_at_every_level_and_a_missing_entry_outranks_a_denial_above() {
    for (level, size, bit) in [
        (1, PageSize::Size4K, 1 << 46),
        (2, PageSize::Size4K, 1 << 51),
        (2, PageSize::Size2M, 1 << 13),
        (2, PageSize::Size2M, 1 << 20),
        (3, PageSize::Size4K, 1 << 47),
        (3, PageSize::Size1G, 1 << 29),
        (4, PageSize::Size4K, PS),
    ] {
        let mut bench = Bench::on(&small());
        bench.map(VA, size, 0x8000_0000 | ALL);
        let at = bench.entry_at(VA, level);
        bench.store(at, bench.cell(at) | bit);
        let answer = bench.ask(DATA, write(VA));
        assert_eq!(
            (answer.response.status, answer.response.error_code),
            (1, 0b1111)
        );
        assert_eq!(answer.response.va, VA);
    }
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, 0);
    let pde = bench.entry_at(VA, 2);
    bench.store(pde, bench.cell(pde) & !US);
    assert_eq!(bench.ask(DATA, read(VA)).response.error_code, 0b100);
}

#[test]
fn page_size_in_a_pdpte_is_reserved_without_1g_pages() {
    let mut config = small();
    config.capabilities.page_1g = false;
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size1G, 0x8000_0000 | ALL);
    assert_eq!(bench.ask(DATA, read(VA)).response.error_code, 0b1101);
}

#[test]
fn xd_is_reserved_while_nxe_is_clear_and_fetches_are_told_apart_with_nxe_or_smep() {
    let mut bench = Bench::off(&small());
    for (op, value) in [(3, 1 << 8), (2, cr4::PAE), (1, ROOT), (0, 1 << 31 | 1)] {
        assert!(!bench.operate(Operation::new(op, value)));
    }
    bench.map(VA, PageSize::Size4K, FRAME | ALL | XD);
    assert_eq!(bench.ask(FETCH, fetch(VA)).response.error_code, 0b1101);
    assert!(!bench.operate(Operation::new(2, cr4::PAE | cr4::SMEP)));
    assert_eq!(bench.ask(FETCH, fetch(VA)).response.error_code, 0b1_1101);
    assert!(!bench.operate(Operation::new(3, 1 << 8 | 1 << 11)));
    assert_eq!(bench.ask(FETCH, fetch(VA)).response.error_code, 0b1_0101);
    assert_eq!(bench.ask(DATA, read(VA)).response.status, 0);
}

#[test]
fn rights_are_anded_and_xd_is_ored_over_the_path_also_from_a_cached_entry() {
    for (level, clear) in [(2, RW), (3, US), (4, RW)] {
        let mut bench = Bench::on(&small());
        bench.map(VA, PageSize::Size4K, FRAME | ALL);
        bench.map(VA ^ 0x1000, PageSize::Size4K, FRAME | ALL);
        let at = bench.entry_at(VA, level);
        bench.store(at, bench.cell(at) & !clear);
        let mut supervisor = read(VA);
        supervisor.access.cpl = 0;
        assert_eq!(bench.ask(DATA, supervisor).response.status, 0);
        // The neighbour begins at the cached PDE, whose rights are those of the path.
        assert_eq!(
            bench.ask(DATA, write(VA ^ 0x1000)).response.error_code,
            0b111
        );
    }
}

#[test]
fn a_page_fault_drops_the_address_everywhere_and_fills_nothing() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(FETCH, fetch(VA));
    bench.ask(DATA, read(VA));
    let pte = bench.entry_at(VA, 1);
    bench.store(pte, 0);
    // A write would be allowed by the stale entry; a key denies it, and the walk finds the page gone.
    let mut supervisor = write(VA);
    supervisor.access.cpl = 0;
    bench.operate(Operation::new(2, cr4::PAE | cr4::PGE | cr4::SMAP));
    bench.forget();
    let answer = bench.ask(DATA, supervisor);
    assert_eq!(
        (answer.response.status, answer.response.error_code),
        (1, 0b10)
    );
    assert_eq!(bench.walks(), [(1, 0, 0), (4, 0, 0)]);
    let empty = |bench: &Bench| bench.mmu.tlb.iter().all(|array| array.occupancy() == 0);
    assert!(empty(&bench));
    assert_eq!(bench.ask(FETCH, fetch(VA)).response.status, 1);
    assert!(empty(&bench));
}

/// Both ports present a request in the same cycle; what the walker did, by port.
fn both(
    bench: &mut Bench,
    first: Request,
    second: Request,
    cycles: u64,
) -> Vec<(u64, (u8, u8, u8))> {
    let mut ports = [PortIn::default(); 3];
    ports[FETCH] = first.presented();
    ports[DATA] = second.presented();
    bench.tick(ports);
    bench.idle(cycles);
    bench.seen(|outputs| {
        let walk = outputs.monitor.walk[0];
        (walk.op != 0).then_some((walk.op, walk.port, walk.filled))
    })
}

#[test]
fn of_two_misses_that_wait_the_walker_takes_the_entry_after_the_one_that_it_took_last() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | (ALL & !US));
    bench.map(VA ^ 0x1000, PageSize::Size4K, FRAME | ALL);
    // A supervisor brings the page into both first-level TLBs, so that a user is denied in both in the same cycle.
    for (port, mut request) in [(FETCH, fetch(VA)), (DATA, read(VA))] {
        request.access.cpl = 0;
        bench.ask(port, request);
    }
    bench.ask(DATA, read(VA ^ 0x1000));
    bench.forget();
    let seen = both(&mut bench, fetch(VA), read(VA), 80);
    let starts = seen.iter().filter(|(_, (op, _, _))| *op == 1);
    let order: Vec<usize> = starts.map(|(_, (_, port, _))| usize::from(*port)).collect();
    assert_eq!(bench.codes(FETCH).0, [5]);
    assert_eq!(bench.codes(DATA).0, [5]);
    // The walks before were alone, of entry 0; entry 1 is that of the data port.
    assert_eq!(order, [DATA, FETCH]);
}

#[test]
fn an_invalidation_during_a_walk_takes_its_right_to_fill_and_the_request_is_answered() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = read(VA).presented();
    bench.tick(ports);
    bench.idle(5);
    // Some other address: any invalidation counts.
    bench.control = Operation::new(4, 0x1000).presented();
    bench.idle(1);
    bench.control.valid = 0;
    bench.idle(40);
    let answers = bench.seen(|outputs| {
        let port = outputs.ports[DATA];
        (port.resp_valid != 0).then_some((port.resp_status, port.resp_pa))
    });
    assert_eq!(
        answers.iter().map(|(_, what)| *what).collect::<Vec<_>>(),
        [(0, FRAME)]
    );
    assert_eq!(bench.walks(), [(1, 0, 0), (3, 0, 0)]);
    assert!(bench.mmu.tlb.iter().all(|array| array.occupancy() == 0));
    assert!((0..4).all(|cache| bench.mmu.psc.occupancy(cache) == 0));
}

#[test]
fn a_drop_takes_the_right_to_fill_of_the_other_port_and_leaves_the_walkers_own() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.map(VA ^ 0x1000, PageSize::Size4K, 0);
    // The fetch faults while the data port waits for the walker.
    let seen = both(&mut bench, fetch(VA ^ 0x1000), read(VA), 80);
    let walks: Vec<_> = seen.into_iter().map(|(_, walk)| walk).collect();
    assert_eq!(walks, [(1, 0, 0), (4, 0, 0), (1, 1, 0), (3, 1, 0)]);
    assert!(bench.mmu.tlb.iter().all(|array| array.occupancy() == 0));
}

#[test]
fn the_result_of_the_stlb_is_what_it_held_when_looked_up_and_fills_only_with_the_right() {
    let mut config = small();
    config.stlb.hit_latency_cycles = 20;
    let mut bench = Bench::on(&config);
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(FETCH, fetch(VA));
    bench.forget();
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = read(VA).presented();
    bench.tick(ports);
    bench.idle(8);
    bench.control = Operation::new(4, VA).presented();
    bench.idle(1);
    bench.control.valid = 0;
    bench.idle(40);
    let answers = bench.seen(|outputs| {
        (outputs.ports[DATA].resp_valid != 0).then_some(outputs.ports[DATA].resp_pa)
    });
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1, FRAME);
    assert_eq!(bench.codes(DATA), (vec![4], vec![1]));
    assert!(bench.mmu.tlb.iter().all(|array| array.occupancy() == 0));
}
