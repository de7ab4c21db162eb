//! The lines that a cycle makes.
//!
//! Contract: sections 1.5, 3, 4, 10. SDM: none. Counterpart: `events.rs`.

use super::*;
use crate::config::{Config, Source, load};
use crate::model::mmu_pkg::ARRAY_INVALIDATE;

/// A log of the default machine.
fn log() -> EventLog {
    EventLog::new(ArrayNames::new(&Config::default()))
}

fn lines(inputs: &Inputs, outputs: &Outputs) -> String {
    let mut out = String::new();
    log().write_cycle(7, inputs, outputs, &[], &mut out);
    out
}

#[test]
fn a_quiet_cycle_has_no_lines_and_an_offer_is_not_a_transfer() {
    let mut inputs = Inputs::default();
    assert_eq!(lines(&inputs, &Outputs::default()), "");
    inputs.ports[1].req_valid = 1;
    assert_eq!(lines(&inputs, &Outputs::default()), "");
    let mut outputs = Outputs::default();
    outputs.ports[1].req_ready = 1;
    assert_eq!(
        lines(&inputs, &outputs),
        "      7  request   data1 #0 read 0x0 cpl 0\n"
    );
}

#[test]
fn a_fill_shows_its_entry_and_what_it_replaced() {
    let mut outputs = Outputs::default();
    outputs.monitor.tlb[4] = ArrayEvent {
        op: ARRAY_FILL,
        way: 1,
        set: 2,
        removed: 0b110,
        tag: 0x1fff_ffff_ffff | 5 << 45 | 1 << 57,
        data: 0x12345 | 1 << 40 | 1 << 43 | 9 << 44,
        victim_tag: 3,
        victim_data: 4 | 1 << 41 | 1 << 42,
        ..ArrayEvent::default()
    };
    let text = lines(&Inputs::default(), &outputs);
    let expected = "      7  fill      dtlb.4k set 2 way 1: va 0xfffffffffffff000 pa 0x12345000 pcid 5 global rw dirty key 9\n\
                    \u{20}     7  evict     dtlb.4k set 2 way 1: va 0x3000 pa 0x4000 pcid 0 ro user xd\n\
                    \u{20}     7  evict     dtlb.4k set 2 ways 2\n";
    assert_eq!(text, expected);
}

#[test]
fn a_piece_says_what_it_is_of_and_an_array_of_several_sizes_which_it_is() {
    let source = Source::Preset("mixed".to_owned());
    let config = load::load(&source, &[]).expect("valid").config;
    let mut outputs = Outputs::default();
    let piece = ArrayEvent {
        op: ARRAY_FILL,
        tag: 0x200 | 1 << 58 | 2 << 60,
        data: 0x4_0200 | 1 << 40,
        ..ArrayEvent::default()
    };
    outputs.monitor.tlb[8] = piece;
    outputs.monitor.tlb[10] = piece;
    outputs.monitor.tlb[7].op = 2;
    outputs.monitor.tlb[7].removed = 2;
    outputs.monitor.psc[0] = ArrayEvent {
        op: ARRAY_FILL,
        set: 2,
        ..ArrayEvent::default()
    };
    let mut out = String::new();
    let mut log = EventLog::new(ArrayNames::new(&config));
    log.write_cycle(7, &Inputs::default(), &outputs, &[], &mut out);
    let text = "piece of 1g va 0x200000 pa 0x40200000 pcid 0 rw";
    let expected = format!(
        "      7  remove    dtlb.4k+2m+1g.writes set 0 ways 1\n\
         \u{20}     7  fill      stlb.4k+2m set 0 way 0: 2m {text}\n\
         \u{20}     7  fill      stlb.2m set 0 way 0: {text}\n\
         \u{20}     7  fill      psc.pde set 2 way 0: va 0x0 table 0x0 pcid 0 ro\n"
    );
    assert_eq!(out, expected);
}

#[test]
fn a_removal_is_shown_place_by_place_and_of_a_cache_set_by_set() {
    let source = Source::Preset("mixed".to_owned());
    let settings = ["psc.pde.sets=4".to_owned(), "psc.pde.ways=2".to_owned()];
    let config = load::load(&source, &settings).expect("valid").config;
    let mut outputs = Outputs::default();
    let removal = ArrayEvent {
        op: ARRAY_INVALIDATE,
        ..ArrayEvent::default()
    };
    // The places of 4 KiB, of 2 MiB and of 1 GiB; the first alone, as of a row; the second alone.
    outputs.monitor.tlb[7] = ArrayEvent {
        removed: 0b101,
        tag: 0b10,
        data: 1,
        ..removal
    };
    outputs.monitor.tlb[8] = ArrayEvent {
        set: 3,
        removed: 1,
        ..removal
    };
    outputs.monitor.tlb[10] = ArrayEvent {
        victim_tag: 2,
        tag: 1,
        ..removal
    };
    outputs.monitor.psc[0] = ArrayEvent {
        removed: 0b11_00_01_00,
        ..removal
    };
    let mut out = String::new();
    let mut log = EventLog::new(ArrayNames::new(&config));
    log.write_cycle(7, &Inputs::default(), &outputs, &[], &mut out);
    let expected = "      7  remove    dtlb.4k+2m+1g.writes set 0 ways 0,2\n\
                    \u{20}     7  remove    dtlb.4k+2m+1g.writes set 0 ways 1\n\
                    \u{20}     7  remove    dtlb.4k+2m+1g.writes set 0 ways 0\n\
                    \u{20}     7  remove    stlb.4k+2m set 3 ways 0\n\
                    \u{20}     7  remove    stlb.2m set 2 ways 0\n\
                    \u{20}     7  remove    psc.pde set 1 ways 0\n\
                    \u{20}     7  remove    psc.pde set 3 ways 0,1\n";
    assert_eq!(out, expected);
}

/// The lines of cycles in 32-bit paging, the register event of the first left out.
fn lines_of_32_bit_paging(cycles: &mut [(Inputs, Outputs)], stores: &[Store]) -> String {
    let mut log = EventLog {
        registers: [cr0::PE | cr0::PG, 0, 0, 0],
        ..log()
    };
    let mut out = String::new();
    for (inputs, outputs) in cycles {
        outputs.control.cr0 = cr0::PE | cr0::PG;
        log.write_cycle(7, inputs, outputs, stores, &mut out);
    }
    out
}

#[test]
fn an_entry_of_4_bytes_is_shown_at_its_own_address_and_what_stands_beside_it_apart() {
    let mut cycles = [(); 4].map(|()| (Inputs::default(), Outputs::default()));
    for (turn, be) in [(0, 0xf0), (2, 0x0f)] {
        let (inputs, outputs) = &mut cycles[turn];
        inputs.memory.req_ready = 1;
        outputs.memory.req_valid = 1;
        outputs.memory.req_op = if turn == 0 {
            MEM_READ
        } else {
            MEM_COMPARE_AND_SET
        };
        outputs.memory.req_addr = 0x2008;
        outputs.memory.req_be = be;
        outputs.memory.req_expected = 0x9003;
        outputs.memory.req_wdata = 0x9023;
        let (inputs, outputs) = &mut cycles[turn + 1];
        inputs.memory.resp_valid = 1;
        inputs.memory.resp_data = 0xa067_0000_9003;
        outputs.memory.resp_ready = 1;
    }
    assert_eq!(
        lines_of_32_bit_paging(&mut cycles, &[]),
        "      7  memory    #0 read 0x200c (4 bytes)\n\
         \u{20}     7  memory    #0 gives 0xa067 (P RW US A D) beside 0x9003\n\
         \u{20}     7  memory    #0 compare-and-set 0x2008 (4 bytes) from 0x9003 to 0x9023 (P RW A)\n\
         \u{20}     7  memory    #0 gives 0x9003 (P RW) beside 0xa067\n"
    );
}

#[test]
fn in_32_bit_paging_pages_are_of_4m_and_a_cell_has_two_entries() {
    let mut cycles = [(Inputs::default(), Outputs::default())];
    let (inputs, outputs) = &mut cycles[0];
    outputs.monitor.lookup[1] = LOOKUP_HIT_2M;
    outputs.monitor.tlb[5] = ArrayEvent {
        op: ARRAY_FILL,
        tag: 0xffc00 | 3 << 58 | 3 << 60,
        data: 0xff_ffc00 | 1 << 40,
        ..ArrayEvent::default()
    };
    outputs.ports[1].resp_valid = 1;
    inputs.ports[1].resp_ready = 1;
    outputs.ports[1].resp_page_size = 3;
    outputs.ports[1].resp_pa = 0xff_ffc0_1234;
    let store = Store {
        address: 0x1000,
        value: 0x9003_0000_0001,
    };
    assert_eq!(
        lines_of_32_bit_paging(&mut cycles, &[store]),
        "      7  store     0x1000 = 0x1 (P), 0x9003 (P RW)\n\
         \u{20}     7  dtlb      data1 hit 4m\n\
         \u{20}     7  fill      dtlb.2m set 0 way 0: va 0xffc00000 pa 0xffffc00000 pcid 0 rw\n\
         \u{20}     7  response  data1 #0 pa 0xffffc01234 4m\n"
    );
}

#[test]
fn byte_enables_that_no_entry_has_are_shown() {
    let mut cycles = [(Inputs::default(), Outputs::default())];
    let (inputs, outputs) = &mut cycles[0];
    inputs.memory.req_ready = 1;
    outputs.memory.req_valid = 1;
    outputs.memory.req_be = 0x3c;
    let text = lines_of_32_bit_paging(&mut cycles, &[]);
    assert_eq!(text, "      7  memory    #0 read 0x0 (bytes 0x3c)\n");
}

#[test]
fn registers_are_shown_when_they_change() {
    let mut outputs = Outputs::default();
    outputs.control.cr3 = 0x5000;
    let mut log = log();
    let mut out = String::new();
    log.write_cycle(1, &Inputs::default(), &outputs, &[], &mut out);
    log.write_cycle(2, &Inputs::default(), &outputs, &[], &mut out);
    assert_eq!(out, "      1  register  cr3 = 0x5000\n");
}
