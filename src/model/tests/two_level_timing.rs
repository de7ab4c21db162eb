//! Contract 12 in 32-bit paging: the formulas for one request alone, for pages of 4 KiB and of 4 MiB, and of a merged miss.

use super::bench::*;
use crate::arch::PageSize;
use crate::config::MemorySpec;
use crate::model::Request;
use crate::model::mmu_pkg::PortIn;

const VA: u64 = 0x8764_3000;
const FRAME: u64 = 0x3000_0000;
/// The other half of a 4 MiB page.
const HALF: u64 = 1 << 21;
/// The next 4 MiB.
const NEXT: u64 = 1 << 22;

/// H of the ITLB, H of the DTLB, S and M.
const LATENCIES: [(u32, u32, u32, u32); 4] =
    [(1, 1, 1, 1), (2, 1, 7, 50), (1, 5, 3, 2), (63, 4, 63, 9)];

/// Runs `case` for each port and set of latencies: (machine, port, H, S, M).
fn for_each(case: impl Fn(&mut Bench, usize, u64, u64, u64)) {
    for (itlb, dtlb, stlb, memory) in LATENCIES {
        for port in [FETCH, DATA] {
            let mut config = small();
            config.itlb.hit_latency_cycles = itlb;
            config.dtlb.hit_latency_cycles = dtlb;
            config.stlb.hit_latency_cycles = stlb;
            config.memory = MemorySpec {
                latency_cycles: memory,
                jitter_cycles: 0,
                size_bytes: Some(1 << 30),
                ..MemorySpec::default()
            };
            let hit = if port == FETCH { itlb } else { dtlb };
            let mut bench = Bench::on_32_bit(&config);
            case(&mut bench, port, hit.into(), stlb.into(), memory.into());
        }
    }
}

fn request(port: usize, va: u64) -> Request {
    if port == FETCH { fetch(va) } else { read(va) }
}

#[test]
fn the_formulas_hold_for_pages_of_4_kib() {
    for_each(|bench, port, h, s, m| {
        let walk = |accesses: u64| h + s + 5 + accesses * (m + 2);
        bench.map(VA, PageSize::Size4K, FRAME | ALL);
        bench.map(VA ^ HALF, PageSize::Size4K, FRAME | ALL & !A);
        bench.map(VA ^ NEXT, PageSize::Size4K, FRAME | ALL & !A);
        let pde = bench.entry_at(VA ^ NEXT, 2);
        bench.store_entry(pde, bench.entry(pde) & !A);
        assert_eq!(bench.ask(port, request(port, VA)).cycles(), walk(2));
        assert_eq!(bench.ask(port, request(port, VA)).cycles(), h + 1);
        let other = FETCH + DATA - port;
        let other_hit = bench.ask(other, request(other, VA)).cycles();
        let hit = |port| bench.mmu.spec.hit_cycles[port];
        assert_eq!(other_hit, hit(other) + s + 2);
        // From the cached PDE, which covers both halves of 4 MiB: one read, one compare-and-set.
        assert_eq!(bench.ask(port, request(port, VA ^ HALF)).cycles(), walk(2));
        // Two reads, two compare-and-sets.
        assert_eq!(bench.ask(port, request(port, VA ^ NEXT)).cycles(), walk(4));
        // Not present, from a cached PDE: a restart.
        let gone = bench.ask(port, request(port, VA ^ 0x1000));
        assert_eq!(gone.response.status, 1);
        assert_eq!(gone.cycles(), walk(2) + 1 + (m + 2));
    });
}

#[test]
fn the_formulas_hold_for_pages_of_4_mib() {
    for_each(|bench, port, h, s, m| {
        let walk = |accesses: u64| h + s + 5 + accesses * (m + 2);
        bench.map(VA, PageSize::Size4M, FRAME | ALL);
        bench.map(VA ^ NEXT, PageSize::Size4M, FRAME | ALL & !(A | D));
        assert_eq!(bench.ask(port, request(port, VA)).cycles(), walk(1));
        assert_eq!(bench.ask(port, request(port, VA ^ HALF)).cycles(), h + 1);
        let other = FETCH + DATA - port;
        let other_hit = bench.ask(other, request(other, VA ^ HALF)).cycles();
        assert_eq!(other_hit, bench.mmu.spec.hit_cycles[other] + s + 2);
        assert_eq!(bench.ask(port, request(port, VA ^ NEXT)).cycles(), walk(2));
        if port == DATA {
            // D clear in the first level: one read, one compare-and-set.
            let answer = bench.ask(port, write(VA ^ NEXT));
            assert_eq!(answer.cycles(), h + 4 + 2 * (m + 2));
        }
        // Denied in the first level, and from CR3: one read.
        bench.map(VA ^ (4 * NEXT), PageSize::Size4M, FRAME | ALL & !US);
        let mut supervisor = request(port, VA ^ (4 * NEXT));
        supervisor.access.cpl = 0;
        bench.ask(port, supervisor);
        let denied = bench.ask(port, request(port, VA ^ (4 * NEXT) ^ HALF));
        assert_eq!(
            (denied.response.status, denied.cycles()),
            (1, h + 4 + m + 2)
        );
        // Memory ends below the table: a bus error, after two reads.
        let pde = bench.entry_at(VA ^ (5 * NEXT), 2);
        bench.store_entry(pde, 1 << 30 | ALL);
        let aborted = bench.ask(port, request(port, VA ^ (5 * NEXT)));
        assert_eq!((aborted.response.status, aborted.cycles()), (3, walk(2)));
    });
}

#[test]
fn a_merged_miss_in_a_4_kib_piece_of_a_4_mib_page_is_answered_2_cycles_after_its_primary() {
    let mut config = small_without_psc();
    config.ports.data_ports = 2;
    let mut bench = Bench::on_32_bit(&config);
    bench.map(VA, PageSize::Size4M, FRAME | ALL);
    let from = bench.mmu.now();
    let mut ports = [PortIn::default(); 3];
    // The second by an address that is the same in bits 31:0 alone.
    ports[1] = read(VA).presented();
    ports[2] = read(VA | 8 | 1 << 40).presented();
    bench.tick(ports);
    bench.idle(40);
    assert_eq!((bench.codes(1).0, bench.codes(2).0), (vec![4], vec![8, 2]));
    let answered = |port: usize| {
        bench.seen(|outputs| (outputs.ports[port].resp_valid != 0).then_some(()))[0].0
    };
    // H + S + 5 + (M + 2) = 10, so that d = from + 9.
    assert_eq!((answered(1), answered(2)), (from + 10, from + 11));
}
