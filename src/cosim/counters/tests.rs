//! What is counted of a cycle, and what is not.
//!
//! Contract: sections 3, 8, 10. SDM: none. Counterpart: `counters.rs`.

use super::*;

#[test]
fn offers_that_are_not_taken_are_not_counted() {
    let mut counter = Counter::default();
    let mut inputs = Inputs::default();
    let mut outputs = Outputs::default();
    inputs.ports[1].req_valid = 1;
    outputs.ports[1].resp_valid = 1;
    outputs.memory.req_valid = 1;
    counter.observe(&inputs, &outputs, &[]);
    assert_eq!(
        *counter.counters(),
        Counters {
            cycles: 1,
            ..Counters::default()
        }
    );
}

#[test]
fn a_compare_and_set_that_finds_another_value_is_a_lost_race() {
    let mut counter = Counter::default();
    let mut inputs = Inputs::default();
    let mut outputs = Outputs::default();
    outputs.memory.resp_ready = 1;
    for answer in [7, 8] {
        (inputs.memory.req_ready, inputs.memory.resp_valid) = (1, 0);
        outputs.memory.req_valid = 1;
        outputs.memory.req_op = MEM_COMPARE_AND_SET;
        outputs.memory.req_be = 0xff;
        outputs.memory.req_expected = 7;
        counter.observe(&inputs, &outputs, &[]);
        outputs.memory.req_valid = 0;
        (inputs.memory.resp_valid, inputs.memory.resp_data) = (1, answer);
        counter.observe(&inputs, &outputs, &[]);
    }
    assert_eq!(counter.counters().compare_and_sets, 2);
    assert_eq!(counter.counters().ad_races_lost, 1);
    assert_eq!(counter.counters().bus_compared, 4);
}

/// A counter whose machine is in 32-bit paging from now on, and that machine's outputs.
fn in_32_bit_paging() -> (Counter, Outputs) {
    let mut counter = Counter::default();
    let mut outputs = Outputs::default();
    outputs.control.cr0 = crate::arch::registers::cr0::PE | crate::arch::registers::cr0::PG;
    counter.observe(&Inputs::default(), &outputs, &[]);
    (counter, outputs)
}

#[test]
fn an_entry_of_4_bytes_is_lost_by_its_own_half_only() {
    // The other half changes; this one; both.
    for (found, lost, beside) in [
        (0xbbbb_0000_0007, 0, 1),
        (0xaaaa_0000_0008, 1, 0),
        (0xbbbb_0000_0008, 1, 0),
        (0xaaaa_0000_0007, 0, 0),
    ] {
        let (mut counter, mut outputs) = in_32_bit_paging();
        let mut inputs = Inputs::default();
        outputs.memory.resp_ready = 1;
        outputs.memory.req_be = 0x0f;
        outputs.memory.req_expected = 7;
        for (op, answer) in [(0, 0xaaaa_0000_0007), (MEM_COMPARE_AND_SET, found)] {
            (inputs.memory.req_ready, inputs.memory.resp_valid) = (1, 0);
            (outputs.memory.req_valid, outputs.memory.req_op) = (1, op);
            counter.observe(&inputs, &outputs, &[]);
            outputs.memory.req_valid = 0;
            (inputs.memory.resp_valid, inputs.memory.resp_data) = (1, answer);
            counter.observe(&inputs, &outputs, &[]);
        }
        let counted = counter.counters();
        assert_eq!(
            (counted.ad_races_lost, counted.changed_beside),
            (lost, beside),
            "{found:#x}"
        );
    }
}

#[test]
fn what_happens_in_32_bit_paging_is_counted_apart() {
    let (mut counter, mut outputs) = in_32_bit_paging();
    let mut inputs = Inputs::default();
    outputs.control.cr4 = cr4::PSE;
    outputs.monitor.walk[0].op = WALK_START;
    outputs.monitor.tlb[5].op = ARRAY_FILL;
    outputs.monitor.tlb[5].tag = 3 << 58 | 3 << 60;
    outputs.monitor.tlb[4].op = ARRAY_FILL;
    inputs.ports[1].req_valid = 1;
    inputs.ports[1].req_va = 1 << 32;
    outputs.ports[1].req_ready = 1;
    inputs.ports[1].resp_ready = 1;
    outputs.ports[1].resp_valid = 1;
    outputs.ports[1].resp_pa = 1 << 32;
    inputs.ports[0].resp_ready = 1;
    outputs.ports[0].resp_valid = 1;
    outputs.ports[0].resp_status = STATUS_PAGE_FAULT;
    outputs.ports[0].resp_error_code = 0x9;
    let counts = |counter: &Counter| {
        let c = counter.counters();
        [
            c.two_level_entered,
            c.two_level_walks,
            c.two_level_upper_halves,
            c.fills_4m,
            c.pse_36_translated,
            c.two_level_reserved,
            c.pse_changed,
        ]
    };
    counter.observe(&inputs, &outputs, &[]);
    assert_eq!(counts(&counter), [1; 7]);
    // The same in 4-level paging, which has no such page.
    outputs.monitor.tlb[5].tag = 1 << 58 | 1 << 60;
    outputs.control.efer = crate::arch::registers::efer::LMA;
    counter.observe(&inputs, &outputs, &[]);
    assert_eq!(counts(&counter), [1; 7]);
}

#[test]
fn an_invlpg_in_32_bit_paging_takes_effect_whatever_the_upper_half() {
    for (efer, expected) in [(0, 1), (crate::arch::registers::efer::LMA, 0)] {
        let (mut counter, mut outputs) = in_32_bit_paging();
        outputs.control.efer = efer;
        let mut inputs = Inputs::default();
        inputs.control.valid = 1;
        inputs.control.op = ControlKind::Invlpg as u8;
        inputs.control.data = 1 << 60;
        outputs.control.ready = 1;
        outputs.monitor.walk[0].op = WALK_START;
        counter.observe(&inputs, &outputs, &[]);
        inputs.control = Default::default();
        (outputs.control.ready, outputs.monitor.walk[0].op) = (0, 0);
        counter.observe(&inputs, &outputs, &[]);
        outputs.control.resp_valid = 1;
        inputs.control.resp_ready = 1;
        counter.observe(&inputs, &outputs, &[]);
        assert_eq!(counter.counters().invalidations_during_walk, expected);
    }
}

#[test]
fn an_invalidation_counts_if_it_takes_effect_during_a_walk_and_is_not_refused() {
    for (walk, gp, expected) in [(true, 0, 1), (false, 0, 0), (true, 1, 0)] {
        let mut counter = Counter::default();
        let mut inputs = Inputs::default();
        let mut outputs = Outputs::default();
        inputs.control.valid = 1;
        inputs.control.op = ControlKind::Invpcid as u8;
        outputs.control.ready = 1;
        counter.observe(&inputs, &outputs, &[]);
        inputs.control = Default::default();
        outputs.control.ready = 0;
        outputs.monitor.walk[0].op = if walk { WALK_START } else { 0 };
        counter.observe(&inputs, &outputs, &[]);
        outputs.monitor.walk[0].op = 0;
        (outputs.control.resp_valid, outputs.control.resp_gp) = (1, gp);
        inputs.control.resp_ready = 1;
        counter.observe(&inputs, &outputs, &[]);
        assert_eq!(counter.counters().invalidations_during_walk, expected);
    }
}

#[test]
fn faults_are_written_by_code() {
    let mut faults = FaultCounts::default();
    faults.0[0x15] = 3;
    faults.0[0] = 1;
    assert_eq!(
        serde_json::to_string(&faults).unwrap(),
        r#"{"0x00":1,"0x15":3}"#
    );
    assert_eq!(
        (
            faults.total(),
            faults.with(PageFaultCode::I),
            faults.without(PageFaultCode::P)
        ),
        (4, 3, 1)
    );
}

#[test]
fn pieces_are_counted_and_what_an_inclusive_second_level_takes_from_the_first() {
    let fill = |tag, victim_tag, removed| ArrayEvent {
        op: ARRAY_FILL,
        removed,
        tag,
        victim_tag,
        ..ArrayEvent::default()
    };
    let removal = ArrayEvent {
        op: ARRAY_INVALIDATE,
        removed: 1,
        ..ArrayEvent::default()
    };
    // Evicted; replaced in place; the target was invalid.
    for (event, evicts) in [
        (fill(7 | 1 << 60, 8, 1), true),
        (fill(7 | 1 << 60, 7, 1), false),
        (fill(7 | 1 << 60, 0, 0), false),
    ] {
        for inclusive in [false, true] {
            let mut config = Config::default();
            config.stlb.inclusive = inclusive;
            let mut counter = Counter::new(&config);
            let mut outputs = Outputs::default();
            outputs.monitor.tlb[8] = event;
            counter.observe(&Inputs::default(), &outputs, &[]);
            outputs.monitor.tlb[8] = ArrayEvent::default();
            outputs.monitor.tlb[4] = removal;
            counter.observe(&Inputs::default(), &outputs, &[]);
            counter.observe(&Inputs::default(), &outputs, &[]);
            let counted = counter.counters();
            assert_eq!(counted.back_invalidations, u64::from(evicts && inclusive));
            assert_eq!(counted.fills_of_pieces, 1);
        }
    }
}
