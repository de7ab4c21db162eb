//! The next-page prefetch of the RTL, alone, in cycles that follow from the contract by hand.
//!
//! Contract: section 8.6. SDM: none of its own. Counterpart: none; the model's own tests are in `src/model/`.

#![cfg(feature = "rtl")]

use crate::rtl_support::*;
use twinwalk::config::Config;
use twinwalk::model::mmu_pkg::*;

fn prefetching() -> Config {
    let mut config = small();
    config.prefetch.next_page = true;
    config
}

#[test]
fn a_prefetch_fills_the_stlb_with_the_next_page() {
    let mut bench = Bench::new(&prefetching(), &recipe(&prefetching()), 3);
    bench.run(60, &[(0, read(1, 1, 5))]);
    // DONE in 27: PROBE in 28, WALK_WAIT in 29, START in 30, one read by the PDE cache in 31, DONE in 36.
    assert_eq!(bench.log[28].queues.prefetch, 1 | 1 << 2 | 6 << 12);
    let probe = bench.log[28].monitor;
    assert_eq!(
        (probe.stlb_lookup, probe.stlb_port, probe.stlb_entry),
        (4, 0, 16)
    );
    assert_eq!(bench.log[29].queues.prefetch, 2 | 1 << 2 | 6 << 12);
    assert_eq!(bench.log[30].queues.prefetch, 3 | 1 << 2 | 6 << 12);
    let done = WalkEvent {
        op: WALK_TRANSLATED,
        entry: PREFETCH_ENTRY,
        filled: 1,
        ..WalkEvent::ZERO
    };
    assert_eq!(bench.walks()[3], (36, 0, done));
    let tlb = &bench.log[36].monitor.tlb;
    assert_eq!((tlb[4].op, tlb[8].op, tlb[8].tag), (0, ARRAY_FILL, 6));
    assert_eq!(bench.log[37].queues.prefetch, 0);
    // The request for it finds it in the STLB, and triggers nothing, as it does not walk.
    bench.clear();
    bench.run(40, &[(0, read(1, 2, 6))]);
    assert_eq!(bench.responses(), [(5, 1, 2, 0, pa(6))]);
    assert!(bench.walks().is_empty());
    // After page 4 the prefetch finds page 5: a match in the array of 4 KiB pages, and it is over.
    bench.clear();
    bench.run(40, &[(0, read(1, 3, 4))]);
    assert_eq!(bench.log[13].monitor.stlb_lookup, LOOKUP_HIT_4K);
    assert_eq!(bench.log[14].queues.prefetch, 0);
}

#[test]
fn a_prefetch_is_stopped_where_a_bit_would_be_set_and_by_what_takes_its_right() {
    let mut bench = Bench::new(&prefetching(), &recipe(&prefetching()), 3);
    bench.cells.insert(pte(6), pa(6) | (LEAF & !ACCESSED));
    bench.run(60, &[(0, read(1, 1, 5))]);
    let stopped = WalkEvent {
        op: WALK_STOPPED,
        entry: PREFETCH_ENTRY,
        ..WalkEvent::ZERO
    };
    assert_eq!(bench.walks()[3], (36, 0, stopped));
    assert_eq!(bench.log[36].monitor.tlb, [ArrayEvent::ZERO; TLB_ARRAYS]);
    assert_eq!(bench.cells[&pte(6)], pa(6) | (LEAF & !ACCESSED));
    // An INVLPG, of whatever page, during its walk, which begins with START in 15: performs in 17.
    bench.clear();
    bench.run(16, &[(0, read(1, 1, 8))]);
    assert_eq!(bench.log[15].queues.prefetch & 7, 3 | 1 << 2);
    bench.control = Some((CTRL_INVLPG, 0x1234_5000));
    bench.run(60, &[]);
    assert_eq!(bench.log[18].queues.prefetch & 7, 3);
    assert_eq!(bench.walks()[3].2, stopped);
    // A register that is written frees it where it does not walk yet, and stops it where it does.
    // INVLPG emptied the PSCs: DONE in 27, the answer taken in 28, so that the write performs in 29, when the prefetch is in WALK_WAIT.
    bench.clear();
    bench.run(16, &[(0, read(1, 1, 12))]);
    bench.control = Some((CTRL_MOV_CR0, 0x8000_0001));
    bench.run(60, &[]);
    assert_eq!(bench.log[29].queues.prefetch & 7, 2 | 1 << 2);
    assert_eq!(bench.log[30].queues.prefetch, 0);
    assert_eq!(bench.walks().len(), 2);
    // One read: DONE in 12; the prefetch walks from 15 on, and the write performs in 17.
    bench.clear();
    bench.run(16, &[(0, read(1, 1, 16))]);
    bench.control = Some((CTRL_MOV_CR0, 0x8001_0001));
    bench.run(60, &[]);
    assert_eq!(bench.log[17].queues.prefetch & 7, 3 | 1 << 2);
    assert_eq!(bench.log[18].queues.prefetch & 7, 3);
    assert_eq!(bench.walks()[3].2, stopped);
    bench.no_assertion_failed();
}

#[test]
fn no_prefetch_leaves_the_canonical_addresses() {
    let mut bench = Bench::new(&prefetching(), &recipe(&prefetching()), 3);
    // The last page of the lower half, by entries 511 of four tables.
    for (table, next) in [(0x1000, 0x6000), (0x6000, 0x7000), (0x7000, 0x8000)] {
        bench.cells.insert(
            table + 0x7f8 * u64::from(table == 0x1000) + 0xff8 * u64::from(table != 0x1000),
            next | TABLE,
        );
    }
    bench.cells.insert(0x8ff8, 0x77000 | LEAF);
    // And of the upper half, by entry 511 of the root.
    bench.cells.insert(0x1ff8, 0x6000 | TABLE);
    for va in [0x7fff_ffff_f000, 0xffff_ffff_ffff_f000] {
        let offer = Offer {
            va,
            ..read(1, 1, 0)
        };
        bench.clear();
        bench.run(60, &[(0, offer)]);
        assert_eq!(bench.responses(), [(28, 1, 1, 0, 0x77000)]);
        assert!(bench.log.iter().all(|o| o.queues.prefetch == 0));
    }
}
