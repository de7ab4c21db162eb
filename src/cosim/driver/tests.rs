//! When operations happen, what stands on the links, what is refused.
//!
//! Contract: sections 1.3, 13, 13.1. SDM: none. Counterpart: none.

use super::*;
use crate::arch::{Access, AccessKind};
use crate::cosim::stall::StallRates;
use crate::cosim::stimulus::{ControlKind, Operation};

type ListFeed = Feed<std::vec::IntoIter<Operation>>;

fn read(va: u64, gap_cycles: u32) -> Operation {
    let access = Access::new(AccessKind::Read, 3);
    let request = Request {
        port: 1,
        va,
        access,
        size_bytes: 8,
    };
    Operation {
        gap_cycles,
        action: Action::Request(request),
    }
}

fn start(operations: Vec<Operation>, permille: u16) -> (Driver, ListFeed) {
    let stalls = Stalls::new(1, StallRates::uniform(permille));
    (Driver::new(2, stalls), Feed::new(operations.into_iter()))
}

/// Steps a cycle with outputs that are ready for everything and answer nothing; returns the inputs.
fn step(driver: &mut Driver, feed: &mut ListFeed, cycle: u64, outputs: &Outputs) -> Inputs {
    let mut inputs = Inputs::default();
    driver.drive(cycle, feed, &mut inputs, &mut Vec::new());
    driver.sample(cycle, &inputs, outputs).unwrap();
    inputs
}

fn ready() -> Outputs {
    let mut outputs = Outputs::default();
    outputs.ports.iter_mut().for_each(|p| p.req_ready = 1);
    outputs.control.ready = 1;
    outputs
}

#[test]
fn an_offer_stands_unchanged_until_it_is_accepted() {
    let (mut driver, mut feed) = start(vec![read(0x10, 2), read(0x20, 0)], 0);
    let closed = Outputs::default();
    assert_eq!(
        step(&mut driver, &mut feed, 0, &closed).ports[1].req_valid,
        0
    );
    assert_eq!(
        step(&mut driver, &mut feed, 1, &closed).ports[1].req_valid,
        0
    );
    let first = step(&mut driver, &mut feed, 2, &closed).ports[1];
    assert_eq!((first.req_valid, first.req_va, first.req_id), (1, 0x10, 0));
    assert_eq!(step(&mut driver, &mut feed, 3, &ready()).ports[1], first);
    let second = step(&mut driver, &mut feed, 4, &ready()).ports[1];
    assert_eq!(
        (second.req_valid, second.req_va, second.req_id),
        (1, 0x20, 1)
    );
    assert_eq!(
        step(&mut driver, &mut feed, 5, &ready()).ports[1].req_valid,
        0
    );
}

#[test]
fn a_drain_waits_for_the_answer() {
    let drain = Operation::now(Action::Drain);
    let (mut driver, mut feed) = start(vec![read(0x10, 0), drain, read(0x20, 0)], 0);
    step(&mut driver, &mut feed, 0, &ready());
    for cycle in 1..5 {
        assert_eq!(
            step(&mut driver, &mut feed, cycle, &ready()).ports[1].req_valid,
            0
        );
    }
    let mut answer = ready();
    answer.ports[1].resp_valid = 1;
    step(&mut driver, &mut feed, 5, &answer);
    assert_eq!(
        step(&mut driver, &mut feed, 6, &ready()).ports[1].req_va,
        0x20
    );
    assert!(!driver.is_done());
}

#[test]
fn an_answer_to_nothing_is_an_error() {
    let (mut driver, mut feed) = start(vec![], 0);
    let mut inputs = Inputs::default();
    driver.drive(0, &mut feed, &mut inputs, &mut Vec::new());
    assert!(driver.is_done());
    let mut outputs = Outputs::default();
    outputs.ports[1].resp_valid = 1;
    let error = driver.sample(0, &inputs, &outputs);
    assert_eq!(error, Err(ProtocolError::UnknownId { port: 1, id: 0 }));
    let mut outputs = Outputs::default();
    outputs.control.resp_valid = 1;
    let error = driver.sample(0, &inputs, &outputs);
    assert_eq!(error, Err(ProtocolError::UnaskedControlAnswer));
}

#[test]
fn a_stall_delays_the_offer_and_never_withdraws_it() {
    let (mut driver, mut feed) = start(vec![read(0x10, 0)], 900);
    let expected = driver.next_ready(Link::Request(1), 0);
    let mut seen = None;
    for cycle in 0..200 {
        let inputs = step(&mut driver, &mut feed, cycle, &Outputs::default());
        match (inputs.ports[1].req_valid, seen) {
            (1, None) => seen = Some(cycle),
            (valid, Some(_)) => assert_eq!(valid, 1),
            _ => {}
        }
    }
    assert_eq!(seen, Some(expected));
}

#[test]
fn next_event_is_never_later_than_what_the_driver_does() {
    let idle = Operation::now(Action::Idle { cycles: 30 });
    let (mut driver, mut feed) = start(vec![read(0x10, 7), idle, read(0x20, 3)], 500);
    let mut before = Inputs::default();
    for cycle in 0..100 {
        let announced = driver.next_event(cycle, &mut feed);
        let inputs = step(&mut driver, &mut feed, cycle, &Outputs::default());
        if inputs.ports[1].req_valid != before.ports[1].req_valid {
            assert_eq!(announced, cycle);
        }
        before = inputs;
    }
}

#[test]
fn the_report_of_a_hang_names_what_is_unanswered() {
    let control = Operation::now(Action::Control(Control::new(ControlKind::MovCr3, 0x1000)));
    let (mut driver, mut feed) = start(vec![read(0x10, 0), control], 0);
    step(&mut driver, &mut feed, 0, &ready());
    let lines = driver.describe_waiting();
    assert_eq!(
        lines,
        [
            "port 1 has not answered #0 `read 0x10 user`, accepted in cycle 0",
            "the control port has not answered `cr3 0x1000`, accepted in cycle 0"
        ]
    );
}

#[test]
fn a_held_link_is_stalled_for_as_long_as_the_operation_says() {
    let hold = Operation::now(Action::Hold {
        link: Link::Request(1),
        cycles: 3,
    });
    let (mut driver, mut feed) = start(vec![hold, read(0x10, 0)], 0);
    let offered: Vec<u8> = (0..5)
        .map(|cycle| {
            let inputs = step(&mut driver, &mut feed, cycle, &Outputs::default());
            inputs.ports[1].req_valid
        })
        .collect();
    assert_eq!(offered, [0, 0, 0, 1, 1]);
    assert!(driver.is_stalled(Link::Request(1), 2) && !driver.is_stalled(Link::Request(1), 3));
    assert!(!driver.is_stalled(Link::Memory, 0));
}

#[test]
fn the_front_end_keeps_to_its_window_and_its_gap() {
    let reads = (0..4).map(|number| read(0x1000 * number, 9)).collect();
    let (driver, mut feed) = start(reads, 0);
    let mut driver = driver.with_front_end(&FrontEndSpec {
        window: 2,
        issue_gap_cycles: 3,
        ..FrontEndSpec::default()
    });
    let mut offered = Vec::new();
    for cycle in 0..40 {
        let mut outputs = ready();
        // The answer to the first comes in cycle 20, to the second in cycle 10.
        for (at, id) in [(20, 0), (10, 1)] {
            if cycle == at {
                outputs.ports[1].resp_valid = 1;
                outputs.ports[1].resp_id = id;
            }
        }
        let inputs = step(&mut driver, &mut feed, cycle, &outputs);
        if inputs.ports[1].req_valid != 0 {
            offered.push((cycle, inputs.ports[1].req_id));
        }
    }
    // Accepted in 0, so the second in 0 + 1 + 3. The third waits for the first, which is answered in 20; the fourth only for the gap.
    assert_eq!(offered, [(0, 0), (4, 1), (21, 2), (25, 3)]);
}
