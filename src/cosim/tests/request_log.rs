//! Rows against what the front end by arithmetic says of each request, and against the contract's sums.

use super::*;
use crate::cosim::requester;
use crate::cosim::ticked::Ticked;
use crate::model::{Answered, FrontEnd, Memory, Mmu, Operation};
use crate::trace::{MemoryReference, ReferenceKind};

/// The machine, with 4 reads and no compare-and-set in a walk from CR3.
fn config(window: u32) -> Config {
    let mut config = Config::default();
    config.front_end.window = window;
    config.mapping.accessed_dirty = crate::trace::AccessedDirty::Set;
    config
}

/// The rows of reads and writes at these addresses, compared with what arithmetic says.
fn rows(config: &Config, references: &[(u64, ReferenceKind)]) -> Vec<Row> {
    let mapping = requester::mapping(config).expect("it can be mapped");
    let boot = requester::boot(config, &mapping)
        .map(|control| Operation::new(control.kind as u8, control.data));
    let mut memory = Memory::new(&config.memory, 1);
    let addresses = references.iter().map(|(address, _)| *address);
    for entry in mapping.build(addresses).expect("no conflict") {
        memory
            .write_u64(entry.address.raw(), entry.value)
            .expect("inside memory");
    }
    let mut ticked = Ticked::new(config, Mmu::new(config), memory.clone(), false).with_rows(config);
    let mut front_end = FrontEnd::new(config, memory);
    let mut answers = Vec::new();
    let mut put = |answered: &Answered| answers.push(*answered);
    for operation in &boot {
        assert_eq!(
            ticked.control(operation),
            Ok(front_end.control(operation, &mut put))
        );
    }
    let mut rows = Vec::new();
    for (address, kind) in references {
        let reference = MemoryReference::new(*kind, *address, 1).expect("one byte");
        let (_, access) = requester::access(&reference, requester::privilege(config));
        let request = Request {
            va: *address,
            access,
            id: 0,
        };
        ticked.present(&request).expect("it answers");
        front_end.translate(&request, &mut put);
        rows.extend(std::iter::from_fn(|| ticked.next_row()));
    }
    ticked.finish().expect("it answers");
    front_end.finish(&mut put);
    rows.extend(std::iter::from_fn(|| ticked.next_row()));
    assert_eq!(rows.len(), references.len());
    for (number, (row, answered)) in rows.iter().zip(&answers).enumerate() {
        let what = &answered.what;
        assert_eq!(row.request.id, number as u8);
        assert_eq!(row.request.va, references[number].0);
        assert_eq!(row.port, answered.port);
        assert_eq!(row.accepted_at, what.accepted_at);
        assert_eq!(row.responded_at, what.responded_at);
        assert_eq!(row.response, what.response);
        assert_eq!(row.memory_reads, what.memory_reads);
        assert_eq!(row.compare_and_sets, what.compare_and_sets);
        assert_eq!(row.cycles.iter().sum::<u64>(), row.latency_cycles());
    }
    rows
}

/// The causes that are not 0.
fn causes(row: &Row) -> Vec<(Cause, u64)> {
    let all = Cause::ALL.iter().map(|(cause, _)| *cause).zip(row.cycles);
    all.filter(|(_, cycles)| *cycles > 0).collect()
}

const PAGE: u64 = 0x40_0000;

#[test]
fn alone_the_causes_are_the_terms_of_the_contracts_sums() {
    let config = config(1);
    let latency = u64::from(config.memory.latency_cycles);
    let read = |page: u64| (PAGE + (page << 12), ReferenceKind::Load);
    // So many pages of one set that the first is no longer in the DTLB, but in the STLB.
    let mut references: Vec<_> = (0..200).map(read).collect();
    references.extend([read(0), read(0), (1 << 47, ReferenceKind::Load)]);
    let rows = rows(&config, &references);
    assert_eq!(rows[0].answered_by, AnsweredBy::Walk);
    // 12: H + S + 5 + (n + c)(M + 2), with n = 4 and c = 0.
    assert_eq!(
        causes(&rows[0]),
        [
            (Cause::FirstLevel, 1),
            (Cause::StlbWait, 1),
            (Cause::Stlb, 7),
            (Cause::WalkerWait, 1),
            (Cause::WalkStep, 1 + 4 * 2 + 1),
            (Cause::Memory, 4 * latency),
            (Cause::Response, 1),
        ]
    );
    let [stlb, first_level, not_canonical] = &rows[200..] else {
        panic!("three more");
    };
    assert_eq!(stlb.answered_by, AnsweredBy::Stlb);
    assert_eq!(
        causes(stlb),
        [
            (Cause::FirstLevel, 1),
            (Cause::StlbWait, 1),
            (Cause::Stlb, 7),
            (Cause::Response, 1)
        ]
    );
    assert_eq!(first_level.answered_by, AnsweredBy::FirstLevel);
    assert_eq!(
        causes(first_level),
        [(Cause::FirstLevel, 1), (Cause::Response, 1)]
    );
    assert_eq!(not_canonical.answered_by, AnsweredBy::None);
    assert!(!not_canonical.is_translated());
}

#[test]
fn in_a_window_requests_merge_and_wait_for_walkers_commits_and_the_queue() {
    let mut config = config(16);
    config.miss_queue.entries = 4;
    config.walkers.count = 2;
    config.memory.accept_interval_cycles = 4;
    let references: Vec<_> = (0..400_u64)
        .map(|n| {
            let kind = [ReferenceKind::Load, ReferenceKind::Store][(n % 3 == 2) as usize];
            (PAGE + ((n / 2 * 7919 % 300) << 12) + n * 8 % 4096, kind)
        })
        .collect();
    let rows = rows(&config, &references);
    for (cause, name) in Cause::ALL {
        let total: u64 = rows.iter().map(|row| row.cycles[cause as usize]).sum();
        assert!(total > 0, "nothing has {name}");
    }
    let merged = rows
        .iter()
        .find(|row| row.cycles[Cause::Merged as usize] > 0);
    let merged = merged.expect("some merge");
    assert!(merged.cycles[Cause::Retry as usize] > 0);
    assert_eq!(merged.memory_reads, 0);
    assert_eq!(merged.answered_by, AnsweredBy::FirstLevel);
}
