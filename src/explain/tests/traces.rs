//! A reference of a trace has the cycles that it has in `run`.
//!
//! Contract: 13.1. SDM: none. Counterpart: none.

use super::{assert_as_measured, config};
use crate::config::Config;
use crate::cosim::requester;
use crate::explain::in_trace;
use crate::model::{Answered, FrontEnd, Memory, Operation, Request};
use crate::trace::{LazyTables, MemoryReference, ReferenceKind};

/// References over few pages, some of which cross from one to the next.
fn references(count: u64) -> Vec<MemoryReference> {
    let reference = |number: u64| {
        let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ number;
        let kind = ReferenceKind::ALL[(random % 3) as usize];
        let page = 0x40_0000 + (random >> 8) % 40 * 4096 + (random >> 20) % 3 * (1 << 21);
        MemoryReference::new(
            kind,
            page + (random >> 32) % 4096,
            1 + (random >> 50) as u16 % 16,
        )
        .expect("in range")
    };
    (0..count).map(reference).collect()
}

/// Every part of a reference with its answer, as `run` has it.
fn as_run_has_it(
    config: &Config,
    references: &[MemoryReference],
) -> Vec<(MemoryReference, Answered)> {
    let mapping = requester::mapping(config).expect("it is possible");
    let mut front_end = FrontEnd::new(config, Memory::new(&config.memory, config.mapping.seed));
    for control in requester::boot(config, &mapping) {
        front_end.control(
            &Operation::new(control.kind as u8, control.data),
            &mut |_: &Answered| {},
        );
    }
    let mut tables = LazyTables::new(mapping);
    let mut parts = Vec::new();
    let mut answers = Vec::new();
    for reference in references {
        let (first, second) = reference.split();
        for part in [Some(first), second].into_iter().flatten() {
            if let Some(path) = tables.touch(part.address()).expect("no conflict") {
                for entry in path.iter() {
                    front_end
                        .store(entry.address.raw(), entry.value)
                        .expect("memory stands there");
                }
            }
            let (_, access) = requester::access(&part, requester::privilege(config));
            let request = Request {
                va: part.address(),
                access,
                id: 0,
            };
            parts.push(part);
            front_end.translate(&request, &mut |answered: &Answered| answers.push(*answered));
        }
    }
    front_end.finish(&mut |answered: &Answered| answers.push(*answered));
    parts.into_iter().zip(answers).collect()
}

#[test]
fn a_reference_of_a_trace_has_the_cycles_that_it_has_in_run() {
    for set in [
        &[][..],
        &["front_end.window=8", "ports.data_ports=2"],
        &[
            "front_end.window=16",
            "front_end.issue_gap_cycles=2",
            "mapping.pages=\"mixed\"",
        ],
        &["prefetch.next_page=true", "mapping.levels=5"],
        &[
            "mapping.pages=\"2m\"",
            "memory.jitter_cycles=5",
            "front_end.window=4",
        ],
    ] {
        for machine in ["preset:default", "preset:tiny"] {
            let config = config(machine, set);
            let references = references(400);
            let expected = as_run_has_it(&config, &references);
            let address = 0x40_3000;
            let shift = requester::mapping(&config)
                .expect("it is possible")
                .translate(address)
                .expect("canonical")
                .size
                .shift();
            let wanted: Vec<_> = expected
                .iter()
                .filter(|(part, _)| part.address() >> shift == address >> shift)
                .collect();
            for occurrence in [1, 2, 3, wanted.len() as u64] {
                let (part, answered) = wanted[occurrence as usize - 1];
                let found = in_trace::find(
                    &config,
                    references.iter().map(|reference| Ok(*reference)),
                    address,
                    occurrence,
                )
                .expect("it is there");
                assert_eq!(found.found.address.0, part.address());
                assert_eq!(found.record.number, answered.number);
                assert_eq!(found.record.port, usize::from(answered.port));
                assert_eq!(found.record.retried, answered.retried);
                assert_as_measured(&found.record, &answered.what, &config);
            }
        }
    }
}

#[test]
fn a_page_that_a_trace_does_not_touch_is_refused_with_the_pages_nearest_to_it() {
    let config = Config::default();
    let find = |address, occurrence| {
        let references = references(50).into_iter().map(Ok);
        in_trace::find(&config, references, address, occurrence).expect_err("not there")
    };
    let in_trace::InTraceError::Absent {
        found,
        references,
        nearest,
        ..
    } = find(0x50_0000, 1)
    else {
        panic!("it is absent");
    };
    assert_eq!((found, references), (0, 50));
    assert_eq!(nearest.len(), 2);
    assert!(
        nearest[0] < 0x50_0000 && nearest[1] > 0x50_0000,
        "{nearest:x?}"
    );
    let error = find(0x40_0000 + 4096 * 3, 10_000);
    assert!(
        error.to_string().contains("times only, not 10000"),
        "{error}"
    );
}
