//! 32-bit paging of the RTL, alone, in cycles and values that follow from the contract by hand.
//!
//! Contract: 1.5, 2, 4, 6, 8.2 to 8.6, 9.3, 11, 12. SDM vol. 3A, 4.3. Counterpart: none; the model's own tests are in `src/model/`.

#![cfg(feature = "rtl")]

use crate::rtl_support::*;
use twinwalk::config::{Config, TlbSpec};
use twinwalk::cosim::rtl::InitialRegisters;
use twinwalk::model::mmu_pkg::*;

/// Page directory, and the page table of its first two entries.
const DIRECTORY: u64 = 0x10000;
const PAGE_TABLE: u64 = 0x11000;
const LARGE: u32 = 0x80;
const LARGE_LEAF: u32 = 0xe7;
const PSE: u64 = 1 << 4;
const PAE: u64 = 1 << 5;
const PGE: u64 = 1 << 7;
const LA57: u64 = 1 << 12;
const PCIDE: u64 = 1 << 17;
const SMEP: u64 = 1 << 20;
const PKE: u64 = 1 << 22;
const LME: u64 = 1 << 8;
const LMA: u64 = 1 << 10;
const NXE: u64 = 1 << 11;
const PAGING: u64 = 0x8001_0001;
const PAGING_OFF: u64 = 0x0001_0001;
const DTLB_2M: usize = 5;
const STLB_2M: usize = 9;
/// Kept size and size of the page in the tag of a whole page of 4 MiB.
const OF_4M: u64 = 3 << 58 | 3 << 60;

/// A machine with memory of latency 3 in 32-bit paging: H = 1, S = 2, so that a walk of n reads and c compare-and-sets answers in
/// 8 + 5 (n + c). Pages 0 to 1023, and 1024 to 2047 again, have the frames 0x100 to 0x4ff.
fn two_level(config: &Config, cr4: u64) -> Bench {
    let mut bench = Bench::off(config, &recipe(config), 3, InitialRegisters::Random(9));
    bench.rtl.tick(&Inputs::default());
    for (op, data) in [
        (CTRL_MOV_CR4, cr4),
        (CTRL_MOV_CR3, DIRECTORY),
        (CTRL_MOV_CR0, PAGING),
    ] {
        bench.operate(op, data);
    }
    for entry in 0..2 {
        put(&mut bench, DIRECTORY + 4 * entry, 0x11027);
    }
    for page in 0..1024 {
        put(&mut bench, PAGE_TABLE + 4 * page, pa(page) as u32 | 0x67);
    }
    bench.clear();
    bench
}

fn small_two_level(cr4: u64) -> Bench {
    two_level(&small(), cr4)
}

/// Stores an entry of 4 bytes and leaves its neighbour.
fn put(bench: &mut Bench, address: u64, entry: u32) {
    let shift = 8 * (address & 4);
    let cell = bench.cells.entry(address & !7).or_default();
    *cell = *cell & !(0xffff_ffff << shift) | u64::from(entry) << shift;
}

fn held(bench: &Bench, address: u64) -> u32 {
    (bench.cells[&(address & !7)] >> (8 * (address & 4))) as u32
}

fn load(id: u8, va: u64) -> Offer {
    let (port, kind) = (1, KIND_READ);
    Offer { port, id, va, kind }
}

fn store(id: u8, va: u64) -> Offer {
    Offer {
        kind: KIND_WRITE,
        ..load(id, va)
    }
}

fn fetch(id: u8, va: u64) -> Offer {
    let (port, kind) = (0, KIND_FETCH);
    Offer { port, id, va, kind }
}

/// Offers one request and runs until the machine rests; the cycle of its answer, and the answer.
fn ask(bench: &mut Bench, offer: Offer) -> (u64, PortOut) {
    bench.clear();
    bench.run(60, &[(0, offer)]);
    let answers = bench.responses();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (cycle, port, id, _, _) = answers[0];
    assert_eq!((port, id), (offer.port, offer.id));
    (cycle, bench.log[cycle as usize].ports[port])
}

/// (cycle, status, pa, page size) of the answer.
fn translated(bench: &mut Bench, offer: Offer) -> (u64, u8, u64, u8) {
    let (cycle, answer) = ask(bench, offer);
    (
        cycle,
        answer.resp_status,
        answer.resp_pa,
        answer.resp_page_size,
    )
}

/// (status, error code, address) of the answer.
fn fault(bench: &mut Bench, offer: Offer) -> (u8, u16, u64) {
    let (_, answer) = ask(bench, offer);
    (answer.resp_status, answer.resp_error_code, answer.resp_va)
}

/// The requests of memory that were shown: (operation, address, byte enables, expected, new value).
fn transfers(bench: &Bench) -> Vec<(u8, u64, u8, u64, u64)> {
    bench
        .log
        .iter()
        .map(|o| o.memory)
        .filter(|m| m.req_valid != 0)
        .map(|m| (m.req_op, m.req_addr, m.req_be, m.req_expected, m.req_wdata))
        .collect()
}

/// The events of one array or cache since the log was cleared.
fn events(bench: &Bench, of: impl Fn(&Monitor) -> ArrayEvent) -> Vec<ArrayEvent> {
    bench
        .log
        .iter()
        .map(|o| of(&o.monitor))
        .filter(|event| event.op != 0)
        .collect()
}

#[test]
fn a_page_of_4_kib_is_found_in_two_reads_of_half_a_cell() {
    let mut bench = small_two_level(0);
    // What lies above bit 31 of the address is not seen, not in the answer, the tags, or whether it is canonical.
    let va = 0xdead_beef_0000_5678;
    assert_eq!(
        translated(&mut bench, load(1, va)),
        (18, 0, pa(5) | 0x678, 0)
    );
    assert_eq!(
        transfers(&bench),
        [
            (MEM_READ, DIRECTORY, 0x0f, 0, 0),
            (MEM_READ, PAGE_TABLE + 16, 0xf0, 0, 0)
        ]
    );
    assert_eq!(events(&bench, |m| m.tlb[4])[0].tag, 5);
    assert_eq!(events(&bench, |m| m.tlb[8])[0].tag, 5);
    // Of the table's path: writable, user, and no XD.
    let cached = events(&bench, |m| m.psc[0])[0];
    assert_eq!((cached.tag, cached.data), (0, 0x11 | 3 << 40));
    assert!(events(&bench, |m| m.psc[1]).is_empty());
    // A hit in H + 1; then a walk from the PDE, which serves the whole of its 4 MiB.
    assert_eq!(translated(&mut bench, load(2, 0x5000)), (2, 0, pa(5), 0));
    assert_eq!(
        translated(&mut bench, load(3, 0x3f_f000)),
        (13, 0, pa(1023), 0)
    );
    let begins = bench.walks()[0].2;
    assert_eq!((begins.op, begins.psc_level), (WALK_START, 2));
    // The next PDE is a high half; of its prefix bit 21 is 0.
    assert_eq!(
        translated(&mut bench, load(4, 0x60_0000)),
        (18, 0, pa(512), 0)
    );
    assert_eq!(transfers(&bench)[0], (MEM_READ, DIRECTORY, 0xf0, 0, 0));
    assert_eq!(events(&bench, |m| m.psc[0])[0].tag, 2);
    assert_eq!(
        translated(&mut bench, load(5, 0x40_1000)),
        (13, 0, pa(1), 0)
    );
    // By the STLB: H + S + 2.
    assert_eq!(translated(&mut bench, fetch(6, 0x5000)), (5, 0, pa(5), 0));
}

#[test]
fn a_page_of_4_mib_is_one_entry_of_the_arrays_of_2_mib() {
    let mut config = small();
    config.dtlb = TlbSpec::new(1, [(2, 2), (4, 1), (1, 1)]);
    config.stlb = TlbSpec::new(2, [(8, 4), (2, 2), (1, 1)]);
    let mut bench = two_level(&config, PSE | PGE);
    // PAT is bit 12; PWT, PCD, G.
    put(
        &mut bench,
        DIRECTORY + 4 * 6,
        0x7e40_0000 | LARGE_LEAF | 0x1118,
    );
    let (cycle, answer) = ask(&mut bench, load(1, 0x01a1_2345));
    assert_eq!((cycle, answer.resp_status), (13, STATUS_TRANSLATED));
    assert_eq!((answer.resp_pa, answer.resp_page_size), (0x7e61_2345, 3));
    assert_eq!(
        (answer.resp_pwt, answer.resp_pcd, answer.resp_pat),
        (1, 1, 1)
    );
    assert_eq!(transfers(&bench), [(MEM_READ, DIRECTORY + 24, 0x0f, 0, 0)]);
    // The row is that of va >> 22, and the low 10 bits of the page number are 0.
    for (array, set) in [(DTLB_2M, 2), (STLB_2M, 0)] {
        let fill = events(&bench, |m| m.tlb[array])[0];
        assert_eq!((fill.op, fill.set), (ARRAY_FILL, set));
        assert_eq!(fill.tag, 0x1800 | 1 << 57 | OF_4M);
        assert_eq!(fill.data & 0xff_ffff_ffff, 0x7e400);
    }
    assert!(events(&bench, |m| m.psc[0]).is_empty());
    // A hit in either half, and not beside it.
    for va in [0x01a0_0000, 0x0180_0040, 0x01bf_f000] {
        let hit = (2, 0, 0x7e40_0000 | va & 0x3f_ffff, 3);
        assert_eq!(translated(&mut bench, load(2, va)), hit);
        assert_eq!(bench.lookups(1), [(1, LOOKUP_HIT_2M, 0, 0)]);
    }
    assert_eq!(fault(&mut bench, load(3, 0x017f_f000)), (1, 0, 0x017f_f000));
    assert_eq!(fault(&mut bench, load(4, 0x01c0_0000)), (1, 0, 0x01c0_0000));
    // By the STLB, which gives it to the ITLB whole.
    assert_eq!(
        translated(&mut bench, fetch(5, 0x0180_1000)),
        (5, 0, 0x7e40_1000, 3)
    );
    assert_eq!(
        events(&bench, |m| m.tlb[1])[0].tag,
        0x1800 | 1 << 57 | OF_4M
    );
    assert_eq!(
        translated(&mut bench, fetch(6, 0x01a0_1000)),
        (2, 0, 0x7e60_1000, 3)
    );
    // A write with D = 0 walks again: H + 4 + 2 (M + 2).
    put(
        &mut bench,
        DIRECTORY + 4 * 7,
        0x0200_0000 | LARGE_LEAF & !0x40,
    );
    assert_eq!(
        translated(&mut bench, load(7, 0x01e0_0000)),
        (13, 0, 0x0220_0000, 3)
    );
    assert_eq!(
        translated(&mut bench, store(8, 0x01c0_0000)),
        (15, 0, 0x0200_0000, 3)
    );
    assert_eq!(held(&bench, DIRECTORY + 4 * 7), 0x0200_0000 | LARGE_LEAF);
}

#[test]
fn the_frame_of_a_large_page_has_up_to_40_bits_and_bit_21_is_reserved() {
    let mut bench = small_two_level(PSE);
    let entry = DIRECTORY + 4 * 9;
    put(&mut bench, entry, 0x8040_0000 | 0x1f_e000 | LARGE_LEAF);
    assert_eq!(
        translated(&mut bench, load(1, 0x0263_4567)),
        (13, 0, 0xff_8063_4567, 3)
    );
    let dtlb = events(&bench, |m| m.tlb[DTLB_2M])[0];
    assert_eq!(dtlb.data & 0xff_ffff_ffff, 0x0ff8_0400);
    let entry = DIRECTORY + 4 * 10;
    put(&mut bench, entry, 0x0020_0000 | LARGE_LEAF);
    assert_eq!(fault(&mut bench, load(2, 0x0280_0000)), (1, 9, 0x0280_0000));
    // Of a table nothing is reserved, nor in a PTE.
    put(&mut bench, DIRECTORY + 4 * 11, 0x0031_1027);
    bench.cells.insert(0x31_1000, 0xffff_f0e7_0000_0000);
    assert_eq!(
        translated(&mut bench, load(3, 0x02c0_1000)),
        (18, 0, 0xffff_f000, 0)
    );
    // Bit 7 of a PTE is PAT.
    assert_eq!(ask(&mut bench, load(4, 0x02c0_1000)).1.resp_pat, 1);
}

#[test]
fn with_36_bits_of_physical_address_bits_21_to_17_of_a_large_page_are_reserved() {
    let mut config = small();
    config.capabilities.maxphyaddr_bits = 36;
    let mut bench = two_level(&config, PSE);
    let entry = DIRECTORY + 4 * 9;
    put(&mut bench, entry, 0x8040_0000 | 0x1_e000 | LARGE_LEAF);
    assert_eq!(
        translated(&mut bench, load(1, 0x0240_0000)),
        (13, 0, 0xf_8040_0000, 3)
    );
    for bit in 17..22 {
        bench.operate(CTRL_MOV_CR3, DIRECTORY);
        put(&mut bench, entry, 0x8040_0000 | 1 << bit | LARGE_LEAF);
        assert_eq!(fault(&mut bench, load(2, 0x0240_0000)), (1, 9, 0x0240_0000));
    }
}

#[test]
fn without_pse_bit_7_of_a_pde_is_ignored_and_pse_empties_everything() {
    let mut bench = small_two_level(0);
    // A table at 0x11000 though bit 7 is set; A is set in it, and D is not. PDE 3 is a high half.
    put(&mut bench, DIRECTORY + 12, 0x11007 | LARGE);
    assert_eq!(
        translated(&mut bench, store(1, 0x00e0_5000)),
        (23, 0, pa(0x205), 0)
    );
    let value = 0x11087 << 32;
    assert_eq!(
        transfers(&bench)[1],
        (
            MEM_COMPARE_AND_SET,
            DIRECTORY + 8,
            0xf0,
            value,
            value | 0x20 << 32
        )
    );
    assert_eq!(held(&bench, DIRECTORY + 12), 0x11027 | LARGE);
    assert_eq!(translated(&mut bench, load(2, 0x00e0_5000)).0, 2);
    // PSE on: all, in its performing cycle the PSCs. Bits 12 and 16 of that entry are PAT and pa[35].
    bench.clear();
    bench.operate(CTRL_MOV_CR4, PSE);
    let removed = events(&bench, |m| m.psc[0]);
    assert_eq!((removed.len(), removed[0].op), (1, ARRAY_INVALIDATE));
    assert_eq!(events(&bench, |m| m.tlb[4]).len(), 1);
    assert_eq!(events(&bench, |m| m.tlb[8]).len(), 1);
    assert_eq!(
        translated(&mut bench, store(3, 0x00e0_5000)),
        (18, 0, 0x8_0020_5000, 3)
    );
    assert_eq!(held(&bench, DIRECTORY + 12), 0x11067 | LARGE);
    // And off.
    bench.clear();
    bench.operate(CTRL_MOV_CR4, 0);
    assert_eq!(events(&bench, |m| m.tlb[STLB_2M]).len(), 1);
    assert_eq!(
        translated(&mut bench, load(4, 0x00e0_5000)),
        (18, 0, pa(0x205), 0)
    );
}

#[test]
fn a_compare_and_set_of_the_high_half_leaves_its_neighbour_alone() {
    let mut bench = small_two_level(0);
    let (low, high) = (PAGE_TABLE + 4 * 6, PAGE_TABLE + 4 * 7);
    put(&mut bench, low, 0x1234_5000);
    put(&mut bench, high, 0x7007);
    // The PTE is read in 12; the neighbour changes before the compare-and-set, which is won all the same.
    bench.run(14, &[(0, store(1, 0x7000))]);
    put(&mut bench, low, 0x9876_5000);
    bench.run(60, &[]);
    assert_eq!(bench.responses(), [(23, 1, 1, 0, 0x7000)]);
    assert_eq!(
        transfers(&bench)[2],
        (MEM_COMPARE_AND_SET, low, 0xf0, 0x7007 << 32, 0x7067 << 32)
    );
    assert_eq!(
        (held(&bench, low), held(&bench, high)),
        (0x9876_5000, 0x7067)
    );
    // The entry itself changes: the race is lost, and what came back, of which the neighbour is no part, is judged.
    put(&mut bench, high, 0x8007);
    bench.operate(CTRL_MOV_CR3, DIRECTORY);
    bench.clear();
    bench.run(14, &[(0, store(2, 0x7000))]);
    put(&mut bench, high, 0x9067);
    bench.run(60, &[]);
    assert_eq!(bench.responses(), [(23, 1, 2, 0, 0x9000)]);
    assert_eq!(
        (held(&bench, low), held(&bench, high)),
        (0x9876_5000, 0x9067)
    );
    // A low half, with a neighbour above it.
    put(&mut bench, low, 0xa007);
    assert_eq!(translated(&mut bench, load(3, 0x6000)), (18, 0, 0xa000, 0));
    assert_eq!(
        transfers(&bench)[1],
        (MEM_COMPARE_AND_SET, low, 0x0f, 0xa007, 0xa027)
    );
    assert_eq!((held(&bench, low), held(&bench, high)), (0xa027, 0x9067));
}

#[test]
fn invlpg_and_invpcid_of_the_other_half_remove_a_page_of_4_mib() {
    let mut bench = small_two_level(PSE);
    put(&mut bench, DIRECTORY + 8, 0x0040_0000 | LARGE_LEAF);
    let page = load(1, 0x0080_0000);
    // INVLPG takes bits 63:32 as 0, also where they would not be canonical; INVPCID refuses those.
    for (op, data, addr) in [
        (CTRL_INVLPG, 0x1234_5678_00a0_0000, 0),
        (CTRL_INVPCID, 0, 0x00bf_f000),
        (CTRL_INVPCID, 0, 0x7777_00a0_0000),
    ] {
        assert_eq!(translated(&mut bench, page).0, 13);
        assert_eq!(translated(&mut bench, page).0, 2);
        bench.clear();
        bench.control_addr = addr;
        bench.operate(op, data);
        for array in [DTLB_2M, STLB_2M] {
            let removed = events(&bench, |m| m.tlb[array]);
            assert_eq!((removed.len(), removed[0].op), (1, ARRAY_INVALIDATE));
        }
    }
    assert_eq!(translated(&mut bench, page).0, 13);
    bench.control_addr = 0x1234_5678_00a0_0000;
    assert!(!bench.attempt(CTRL_INVPCID, 0));
    assert!(!bench.attempt(CTRL_INVPCID, 1));
    bench.operate(CTRL_INVLPG, 0x00c0_0000);
    assert_eq!(translated(&mut bench, page).0, 2);
    // A page fault in the other half drops it: the write is denied, first by the hit and then by the walk from CR3.
    put(&mut bench, DIRECTORY + 8, 0x0040_0000 | LARGE_LEAF & !2);
    bench.operate(CTRL_INVLPG, 0x00a0_0000);
    assert_eq!(translated(&mut bench, page).0, 13);
    assert_eq!(
        fault(&mut bench, store(2, 0x00a0_0000)),
        (1, 3, 0x00a0_0000)
    );
    assert_eq!(events(&bench, |m| m.tlb[STLB_2M])[0].op, ARRAY_INVALIDATE);
}

#[test]
fn keys_and_nxe_have_no_effect_but_smep_tells_of_a_fetch() {
    let mut bench = small_two_level(PKE);
    bench.operate(CTRL_WRMSR_EFER, NXE);
    bench.pkru = !0;
    assert_eq!(translated(&mut bench, store(1, 0x5000)), (18, 0, pa(5), 0));
    assert_eq!(translated(&mut bench, store(2, 0x5000)).0, 2);
    // Not present: a fetch does not say that it is one, while NXE is all there is.
    let nowhere = 0xffff_ffff_c000_5000;
    assert_eq!(fault(&mut bench, fetch(3, nowhere)), (1, 0, 0xc000_5000));
    bench.operate(CTRL_MOV_CR4, PKE | SMEP);
    assert_eq!(fault(&mut bench, fetch(4, nowhere)), (1, 0x10, 0xc000_5000));
    assert_eq!(fault(&mut bench, fetch(5, 0x5000)), (1, 0x11, 0x5000));
}

#[test]
fn the_registers_allow_paging_with_both_or_none_of_lme_and_pae() {
    let config = small();
    let mut bench = Bench::off(&config, &recipe(&config), 3, InitialRegisters::Random(9));
    bench.rtl.tick(&Inputs::default());
    bench.operate(CTRL_MOV_CR4, PAE);
    assert!(!bench.attempt(CTRL_MOV_CR0, PAGING));
    bench.operate(CTRL_WRMSR_EFER, LME);
    bench.operate(CTRL_MOV_CR4, 0);
    assert!(!bench.attempt(CTRL_MOV_CR0, PAGING));
    bench.operate(CTRL_WRMSR_EFER, 0);
    bench.operate(CTRL_MOV_CR0, PAGING);
    let shown = bench.log.last().expect("a cycle").control;
    assert_eq!((shown.cr0, shown.efer), (PAGING, 0));
    for (op, data) in [
        (CTRL_MOV_CR4, PAE),
        (CTRL_MOV_CR4, PCIDE),
        (CTRL_WRMSR_EFER, LME),
    ] {
        assert!(!bench.attempt(op, data), "{op} {data:#x}");
    }
    // LA57 means nothing here, and may change.
    bench.operate(CTRL_MOV_CR4, LA57);
    // CR3 keeps its bits above 31, of which a walk knows nothing.
    bench.operate(CTRL_MOV_CR3, 0x3_0000_0000 | DIRECTORY);
    put(&mut bench, DIRECTORY, 0x11027);
    put(&mut bench, PAGE_TABLE + 20, 0x5067);
    assert_eq!(translated(&mut bench, load(1, 0x5000)), (18, 0, 0x5000, 0));
    let shown = bench.log.last().expect("a cycle").control;
    assert_eq!(shown.cr3, 0x3_0000_0000 | DIRECTORY);
    // And on to 4-level paging, by way of none, which leaves nothing behind.
    bench.operate(CTRL_MOV_CR0, PAGING_OFF);
    for (op, data) in [
        (CTRL_WRMSR_EFER, LME),
        (CTRL_MOV_CR4, PAE),
        (CTRL_MOV_CR3, ROOT),
        (CTRL_MOV_CR0, PAGING),
    ] {
        bench.operate(op, data);
    }
    assert_eq!(bench.log.last().expect("a cycle").control.efer, LME | LMA);
    assert!(!bench.attempt(CTRL_MOV_CR4, 0));
    assert_eq!(translated(&mut bench, load(2, 0x5000)), (28, 0, pa(5), 0));
    bench.operate(CTRL_MOV_CR0, PAGING_OFF);
    assert_eq!(
        translated(&mut bench, load(3, 0x5_0000_5000)),
        (2, 0, 0x5000, 0)
    );
}

#[test]
fn a_prefetch_ends_with_the_address_space_and_keeps_its_walk_when_the_mode_goes() {
    let mut config = small();
    config.prefetch.next_page = true;
    let mut bench = two_level(&config, PSE);
    // The page after the last one would be at 2^32.
    put(&mut bench, DIRECTORY + 0xffc, 0x00c0_0000 | LARGE_LEAF);
    assert_eq!(translated(&mut bench, load(1, 0xffff_f000)).0, 13);
    assert!(bench.log.iter().all(|o| o.queues.prefetch == 0));
    // After a page of 4 MiB comes the next one, in a walk of one read that begins with START in 15.
    put(&mut bench, DIRECTORY + 8, 0x0040_0000 | LARGE_LEAF);
    put(&mut bench, DIRECTORY + 12, 0x0080_0000 | LARGE_LEAF);
    assert_eq!(translated(&mut bench, load(2, 0x00a0_0000)).0, 13);
    assert_eq!(bench.log[13].queues.prefetch, 1 | 1 << 2 | 0xc00 << 12);
    let fills = events(&bench, |m| m.tlb[STLB_2M]);
    assert_eq!(
        (fills[1].tag, fills[1].data & 0xff_ffff),
        (0xc00 | OF_4M, 0x800)
    );
    assert_eq!(
        translated(&mut bench, load(3, 0x00c1_2000)),
        (5, 0, 0x0081_2000, 3)
    );
    // Paging goes off, and comes back with four levels, while the prefetch waits for memory with its read of half a cell.
    put(&mut bench, DIRECTORY + 16, 0x0040_0000 | LARGE_LEAF);
    bench.operate(CTRL_MOV_CR3, DIRECTORY);
    bench.clear();
    bench.run(15, &[(0, load(4, 0x00c0_0000))]);
    bench.memory_ready = false;
    for (op, data) in [
        (CTRL_MOV_CR0, PAGING_OFF),
        (CTRL_WRMSR_EFER, LME),
        (CTRL_MOV_CR4, PAE),
        (CTRL_MOV_CR0, PAGING),
    ] {
        bench.operate(op, data);
    }
    let memory = bench.log.last().expect("a cycle").memory;
    assert_eq!(
        (memory.req_valid, memory.req_addr, memory.req_be),
        (1, DIRECTORY + 16, 0x0f)
    );
    bench.memory_ready = true;
    bench.run(bench.cycle + 30, &[]);
    let last = bench.walks().last().expect("a walk").2;
    assert_eq!((last.op, last.entry), (WALK_STOPPED, PREFETCH_ENTRY));
    assert_eq!(bench.log.last().expect("a cycle").queues.prefetch, 0);
}
