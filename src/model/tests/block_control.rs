//! Contract 9: the registers, when operations perform, and what they remove.

use super::bench::*;
use crate::arch::PageSize;
use crate::arch::registers::{CR3_NO_FLUSH, cr0, cr4, efer};
use crate::model::Operation;
use crate::model::mmu_pkg::PortIn;
use crate::model::tlb::Wanted;

const VA: u64 = 0x40_0000;
const FRAME: u64 = 0x8000_0000;

/// 5-level capable, in 4-level paging with PCIDE and PGE, CR3 = ROOT with PCID 1.
fn with_pcids() -> Bench {
    let mut bench = Bench::off(&small());
    bench.enable(cr4::PAE | cr4::PGE | cr4::PCIDE);
    assert!(!bench.operate(Operation::new(1, ROOT | 1)));
    bench
}

#[test]
fn operations_raise_gp_as_the_table_says_and_then_nothing_changes() {
    let paging = cr0::PG | cr0::PE;
    let descriptor = |kind, data, addr| Operation {
        op: 5,
        data,
        addr,
        kind,
    };
    let cases = [
        (Operation::new(0, 1 << 32 | paging), true),
        (Operation::new(0, cr0::PG), true),
        (Operation::new(0, cr0::PE), true), // PG 1 to 0 with PCIDE
        (Operation::new(0, paging | cr0::WP | 0x7ffe_0000), false),
        (Operation::new(1, 1 << 46), true),
        (Operation::new(1, 1 << 62), true),
        (Operation::new(1, CR3_NO_FLUSH | ROOT | 5), false),
        (Operation::new(2, 1 << 32 | cr4::PAE), true),
        (Operation::new(2, cr4::PAE | cr4::PCIDE | cr4::LA57), true),
        (Operation::new(2, cr4::PCIDE), true),
        (
            Operation::new(2, cr4::PAE | cr4::PCIDE | cr4::SMEP | 1 << 9),
            false,
        ),
        (Operation::new(3, 1 << 32 | efer::LME), true),
        (Operation::new(3, efer::NXE), true),
        (Operation::new(3, efer::LME | 1), false),
        (Operation::new(4, 1 << 47), false),
        (descriptor(4, 0, 0), true),
        (descriptor(0, 1 << 12, 0), true),
        (descriptor(2, 1 << 12, 0), true),
        (descriptor(0, 5, 1 << 47), true),
        (descriptor(1, 5, 1 << 47), false),
        (descriptor(3, 5, 1 << 47), false),
    ];
    for (operation, general_protection) in cases {
        let mut bench = with_pcids();
        bench.map(VA, PageSize::Size4K, FRAME | ALL);
        bench.ask(DATA, read(VA));
        let before = (
            *bench.mmu.control.registers(),
            bench.mmu.tlb.clone(),
            bench.mmu.psc.clone(),
        );
        assert_eq!(
            bench.operate(operation),
            general_protection,
            "{operation:?}"
        );
        if general_protection {
            assert_eq!(*bench.mmu.control.registers(), before.0);
            assert!(bench.mmu.tlb == before.1 && bench.mmu.psc == before.2);
        }
    }
    let mut bench = Bench::on(&small());
    assert!(bench.operate(descriptor(0, 5, 0)), "a PCID while PCIDE = 0");
    assert!(bench.operate(descriptor(1, 5, 0)), "a PCID while PCIDE = 0");
    assert!(
        bench.operate(Operation::new(1, CR3_NO_FLUSH | ROOT)),
        "bit 63 while PCIDE = 0"
    );
    bench.operate(Operation::new(1, ROOT | 8));
    assert!(
        bench.operate(Operation::new(2, cr4::PAE | cr4::PCIDE)),
        "CR3[11:0] is not 0"
    );
    let mut bench = Bench::off(&small());
    assert!(bench.operate(Operation::new(2, cr4::PCIDE)), "LMA = 0");
    bench.operate(Operation::new(2, cr4::PAE));
    assert!(bench.operate(Operation::new(0, paging)), "PAE without LME");
    bench.operate(Operation::new(3, efer::LME));
    bench.operate(Operation::new(2, 0));
    assert!(bench.operate(Operation::new(0, paging)), "LME without PAE");
    bench.operate(Operation::new(3, 0));
    assert!(!bench.operate(Operation::new(0, paging)), "32-bit paging");
    for (operation, what) in [
        (Operation::new(2, cr4::PAE), "PAE changes with PG = 1"),
        (Operation::new(2, cr4::PCIDE), "LMA = 0"),
        (Operation::new(3, efer::LME), "LME changes with PG = 1"),
    ] {
        assert!(bench.operate(operation), "{what}");
    }
    assert!(!bench.operate(Operation::new(2, cr4::LA57)), "LMA = 0");
    let mut config = small();
    config.capabilities.five_level = false;
    let mut bench = Bench::off(&config);
    assert!(
        bench.operate(Operation::new(2, cr4::LA57)),
        "no five levels"
    );
}

#[test]
fn registers_keep_the_bits_that_exist_and_lma_follows_pg_and_lme() {
    let mut bench = Bench::off(&small());
    let shown = |bench: &mut Bench| {
        let control = bench.tick([PortIn::default(); 3]).control;
        [control.cr0, control.cr3, control.cr4, control.efer]
    };
    bench.operate(Operation::new(3, 0xffff_ffff));
    bench.operate(Operation::new(2, 0xffff_ffff & !cr4::PCIDE & !cr4::LA57));
    bench.operate(Operation::new(1, (1 << 46) - 1));
    let cr4_bits = cr4::EXISTING & !cr4::PCIDE & !cr4::LA57;
    let efer_bits = efer::LME | efer::NXE;
    assert_eq!(shown(&mut bench), [0, (1 << 46) - 1, cr4_bits, efer_bits]);
    bench.operate(Operation::new(0, 0xffff_ffff));
    let cr0_bits = cr0::PG | cr0::WP | cr0::PE;
    assert_eq!(
        shown(&mut bench),
        [cr0_bits, (1 << 46) - 1, cr4_bits, efer_bits | efer::LMA]
    );
    bench.operate(Operation::new(1, ROOT));
    bench.operate(Operation::new(2, cr4_bits | cr4::PCIDE));
    bench.operate(Operation::new(1, CR3_NO_FLUSH | ROOT | 7));
    assert_eq!(shown(&mut bench)[1], ROOT | 7, "bit 63 is not stored");
}

#[test]
fn a_register_write_waits_until_nothing_is_outstanding_and_keeps_requests_out_meanwhile() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = read(VA).presented();
    // The operation and a request of the other port are taken in the same cycle.
    ports[FETCH] = fetch(VA).presented();
    bench.control = Operation::new(1, ROOT | 0x1000).presented();
    let first = bench.mmu.now();
    bench.tick(ports);
    bench.control.valid = 0;
    for _ in 0..80 {
        bench.tick(ports);
    }
    let answers =
        bench.seen(|outputs| (outputs.ports.iter().any(|port| port.resp_valid != 0)).then_some(()));
    let last = answers
        .iter()
        .map(|(cycle, ())| *cycle)
        .filter(|cycle| *cycle > first)
        .nth(1)
        .unwrap();
    let performed = last + 1;
    let shown = bench.seen(|outputs| (outputs.control.cr3 == ROOT | 0x1000).then_some(()));
    assert_eq!(shown[0].0, performed + 1, "the register shows from P + 1");
    let responded = bench.seen(|outputs| (outputs.control.resp_valid != 0).then_some(()));
    assert_eq!(responded[0].0, performed + 4, "four rows are swept");
    let open = bench.seen(|outputs| Some(outputs.ports[0].req_ready).filter(|ready| *ready != 0));
    let closed: Vec<u64> = open
        .iter()
        .map(|(cycle, _)| *cycle)
        .filter(|cycle| *cycle > first)
        .collect();
    assert_eq!(
        closed[0], responded[0].0,
        "requests are let in again in RESP"
    );
}

#[test]
fn an_invalidation_performs_in_the_cycle_after_its_accept_with_requests_in_flight() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL);
    bench.ask(DATA, read(VA));
    bench.forget();
    let start = bench.mmu.now();
    bench.control = Operation::new(4, VA).presented();
    let mut ports = [PortIn::default(); 3];
    ports[DATA] = read(VA).presented();
    bench.tick(ports);
    bench.control.valid = 0;
    bench.idle(30);
    let removed = bench.seen(|outputs| (outputs.monitor.tlb[4].op == 2).then_some(()));
    assert_eq!(removed, [(start + 1, ())]);
    let responded = bench.seen(|outputs| (outputs.control.resp_valid != 0).then_some(()));
    assert_eq!(responded, [(start + 2, ())]);
    // The look-up would have been in the busy cycle; it comes one later, and misses.
    let look_up =
        bench.seen(|outputs| Some(outputs.monitor.lookup[DATA]).filter(|code| *code != 0));
    assert_eq!(look_up, [(start + 2, 4)]);
}

#[test]
fn a_sweep_removes_one_row_a_cycle_and_the_paging_structure_caches_at_once() {
    let mut bench = Bench::on(&small());
    for page in 0..4 {
        bench.map(VA + (page << 12), PageSize::Size4K, FRAME | ALL);
        bench.ask(DATA, read(VA + (page << 12)));
    }
    bench.forget();
    let start = bench.mmu.now();
    bench.operate(Operation {
        op: 5,
        data: 0,
        addr: 0,
        kind: 2,
    });
    for (array, sets) in [(4, 2), (8, 4)] {
        let rows = bench.seen(|outputs| {
            let event = outputs.monitor.tlb[array];
            (event.op == 2).then_some(u64::from(event.set))
        });
        let expected: Vec<_> = (0..sets).map(|row| (start + 1 + row, row)).collect();
        assert_eq!(rows, expected);
    }
    let psc = bench.seen(|outputs| (outputs.monitor.psc[0].op == 2).then_some(()));
    assert_eq!(psc, [(start + 1, ())]);
    let responded = bench.seen(|outputs| (outputs.control.resp_valid != 0).then_some(()));
    assert_eq!(responded, [(start + 5, ())]);
}

/// What is left of four entries after `operation`, in the order in which they were made: of PCID 1, of PCID 2, global of PCID 2, and of
/// PCID 1 again for another page; and of the PDEs' cache, of PCID 1 and 2.
fn left_after(operation: Operation) -> ([bool; 4], [bool; 2]) {
    let mut config = small();
    config.dtlb = crate::config::TlbSpec::new(1, [(4, 4), (1, 2), (1, 2)]);
    let mut bench = Bench::off(&config);
    bench.enable(cr4::PAE | cr4::PGE | cr4::PCIDE);
    let pages = [(1, 0, 0), (2, 0x1000, 0), (2, 0x2000, G), (1, 0x3000, 0)];
    let switch = |bench: &mut Bench, pcid: u64| {
        assert!(!bench.operate(Operation::new(1, CR3_NO_FLUSH | ROOT | pcid)));
    };
    for (pcid, offset, global) in pages {
        bench.map(VA + offset, PageSize::Size4K, FRAME | ALL | global);
        switch(&mut bench, pcid);
        bench.ask(DATA, read(VA + offset));
    }
    switch(&mut bench, 1);
    let general_protection = bench.operate(operation);
    assert!(!general_protection);
    let held = pages.map(|(pcid, offset, _)| {
        let page = (VA + offset) >> 12;
        let wanted = Wanted::new(page, PageSize::Size4K, pcid as u16);
        bench.mmu.tlb[4].find((page & 3) as usize, wanted).is_some()
    });
    let cached = [1, 2].map(|pcid| bench.mmu.psc.look_up(VA, pcid, 3).is_some());
    (held, cached)
}

#[test]
fn each_invalidation_removes_what_the_table_says_and_no_more() {
    let invpcid = |kind, data, addr| Operation {
        op: 5,
        data,
        addr,
        kind,
    };
    let on = cr4::PAE | cr4::PGE | cr4::PCIDE;
    let cases = [
        // INVLPG: that page of the current PCID or global; the paging-structure caches of the current PCID.
        (
            Operation::new(4, VA + 0xfff),
            [false, true, true, true],
            [false, true],
        ),
        (
            Operation::new(4, VA + 0x1000),
            [true, true, true, true],
            [false, true],
        ),
        (
            Operation::new(4, VA + 0x2000),
            [true, true, false, true],
            [false, true],
        ),
        (
            Operation::new(4, 1 << 47),
            [true, true, true, true],
            [true, true],
        ),
        // INVPCID: one address without globals, one context, everything, everything but globals.
        (
            invpcid(0, 2, VA + 0x1000),
            [true, false, true, true],
            [true, false],
        ),
        (
            invpcid(0, 2, VA + 0x2000),
            [true, true, true, true],
            [true, false],
        ),
        (invpcid(1, 1, 0), [false, true, true, false], [false, true]),
        (invpcid(1, 2, 0), [true, false, true, true], [true, false]),
        (invpcid(2, 0, 0), [false; 4], [false; 2]),
        (invpcid(3, 0, 0), [false, false, true, false], [false; 2]),
        // MOV CR3: the PCID that is loaded, or nothing.
        (
            Operation::new(1, ROOT | 2),
            [true, false, true, true],
            [true, false],
        ),
        (
            Operation::new(1, CR3_NO_FLUSH | ROOT | 2),
            [true; 4],
            [true; 2],
        ),
        // MOV CR4: PGE changes, PCIDE 1 to 0, SMEP 0 to 1, another bit.
        (Operation::new(2, on & !cr4::PGE), [false; 4], [false; 2]),
        (Operation::new(2, on & !cr4::PCIDE), [false; 4], [false; 2]),
        (
            Operation::new(2, on | cr4::SMEP),
            [false, true, false, false],
            [false, true],
        ),
        (Operation::new(2, on | cr4::SMAP), [true; 4], [true; 2]),
        // WRMSR EFER: NXE changes, or not.
        (Operation::new(3, efer::LME), [false; 4], [false; 2]),
        (
            Operation::new(3, efer::LME | efer::NXE),
            [true; 4],
            [true; 2],
        ),
        // MOV CR0 with PG still set.
        (Operation::new(0, cr0::PG | cr0::PE), [true; 4], [true; 2]),
    ];
    for (operation, held, cached) in cases {
        assert_eq!(left_after(operation), (held, cached), "{operation:?}");
    }
}

#[test]
fn paging_off_removes_everything() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size4K, FRAME | ALL | G);
    bench.ask(DATA, read(VA));
    assert!(!bench.operate(Operation::new(0, cr0::PE)));
    assert!(bench.mmu.tlb.iter().all(|array| array.occupancy() == 0));
    assert!((0..4).all(|cache| bench.mmu.psc.occupancy(cache) == 0));
}

#[test]
fn invlpg_in_the_middle_of_a_large_page_removes_it_from_every_level() {
    let mut bench = Bench::on(&small());
    bench.map(VA, PageSize::Size2M, FRAME | ALL);
    bench.ask(DATA, read(VA));
    bench.ask(FETCH, fetch(VA));
    bench.operate(Operation::new(4, VA + 0x12_3456));
    assert!(bench.mmu.tlb.iter().all(|array| array.occupancy() == 0));
}

#[test]
fn operations_are_answered_one_at_a_time_and_the_answer_waits_for_its_ready() {
    let mut bench = Bench::on(&small());
    bench.control = Operation::new(4, VA).presented();
    bench.control.resp_ready = 0;
    bench.idle(10);
    let ready = bench.seen(|outputs| Some(outputs.control.ready).filter(|ready| *ready != 0));
    let answered =
        bench.seen(|outputs| Some(outputs.control.resp_valid).filter(|valid| *valid != 0));
    assert_eq!((ready.len(), answered.len()), (1, 8));
    bench.control.resp_ready = 1;
    bench.control.valid = 0;
    bench.idle(2);
    assert!(bench.mmu.is_at_rest());
}
