//! What the judge says of events, through the border: memory by callback, wrong reports, serialisation, updates.
//!
//! Contract: 9.1 (serialisation). SDM vol. 3A, 4.8, 4.10. Counterpart: `tests/staleness_architectural.rs` of the library.

use std::ffi::c_void;

use twinwalk_reference::Judge;
use twinwalk_reference::abi::{
    Access, Code, Features, Memory, Outcome, Verdict, Walk, struct_size,
};
use twinwalk_reference::border::{
    twinwalk_reference_create, twinwalk_reference_destroy, twinwalk_set_memory, twinwalk_translate,
};

const PTE: u64 = 0x4008;

fn features() -> Features {
    Features {
        struct_size: struct_size(0),
        maxphyaddr_bits: 46,
        page_1g: 1,
        five_level: 1,
        memory_size_bytes: 1 << 24,
        ..Features::default()
    }
}

const fn access(kind: u8) -> Access {
    Access {
        struct_size: struct_size(1),
        pkru: 0,
        kind,
        cpl: 3,
        ac: 0,
        implicit_supervisor: 0,
        reserved: [0; 4],
    }
}

fn to(pa: u64) -> Outcome {
    Outcome {
        pa,
        ..Outcome::default()
    }
}

/// 4-level paging, in which 0x1000 is mapped to 0x9000 with that PTE.
fn judge(pte: u64) -> Judge {
    let mut judge = Judge::new(&features()).unwrap();
    for table in [0x1000, 0x2000, 0x3000] {
        judge.store(table, (table + 0x1000) | 0x27).unwrap();
    }
    judge.store(PTE, pte).unwrap();
    judge
        .load_registers(0x8001_0001, 0x1000, 0x20, 0x100)
        .unwrap();
    judge
}

#[test]
fn an_update_that_sets_a_is_legal_and_any_other_change_by_the_machine_is_not() {
    let mut judge = judge(0x9007);
    assert_eq!(
        judge.update(PTE, 0x9027),
        Ok(Verdict::Illegal),
        "nobody asked"
    );
    let mut judge = self::judge(0x9007);
    judge.request(7, 0x1000, &access(0)).unwrap();
    assert_eq!(judge.update(PTE, 0x9027), Ok(Verdict::Legal));
    assert_eq!(judge.response(7, &to(0x9000)), Ok(Verdict::Legal));
    judge.request(8, 0x1000, &access(0)).unwrap();
    assert_eq!(
        judge.update(PTE, 0x902f),
        Ok(Verdict::Illegal),
        "{}",
        judge.explanation()
    );
    assert!(judge.explanation().contains("rule entry-update"));
}

#[test]
fn an_answer_without_a_set_is_refused_with_the_reason() {
    let mut judge = judge(0x9007);
    judge.request(1, 0x1000, &access(0)).unwrap();
    assert_eq!(judge.response(1, &to(0x9000)), Ok(Verdict::Illegal));
    assert!(
        judge
            .explanation()
            .contains("the PTE at 0x4008 has A clear"),
        "{}",
        judge.explanation()
    );
    assert!(
        judge
            .account()
            .contains("PTE   at 0x4008 holds 0x9007 (P RW US)"),
        "{}",
        judge.account()
    );
    assert_eq!(judge.figures().illegal, 1);
}

#[test]
fn after_a_refused_answer_the_judge_goes_on() {
    let mut judge = judge(0x9067);
    for (tag, pa, verdict) in [(1, 0x8000, Verdict::Illegal), (1, 0x9000, Verdict::Legal)] {
        judge.request(tag, 0x1000, &access(0)).unwrap();
        assert_eq!(judge.response(tag, &to(pa)), Ok(verdict));
    }
    assert_eq!(judge.figures().outstanding, 0);
}

#[test]
fn reports_that_cannot_be_are_errors_and_do_nothing() {
    let mut judge = judge(0x9067);
    let code =
        |result: Result<Verdict, twinwalk_reference::judge::Refused>| result.unwrap_err().code;
    assert_eq!(code(judge.response(1, &to(0))), Code::UnknownTag);
    judge.request(1, 0x1000, &access(0)).unwrap();
    assert_eq!(
        code(judge.request(1, 0x1000, &access(0))),
        Code::DuplicateTag
    );
    assert_eq!(code(judge.request(2, 0x1000, &access(3))), Code::Argument);
    assert_eq!(code(judge.store(1 << 24, 0)), Code::Argument);
    assert_eq!(code(judge.store(4, 0)), Code::Argument);
    assert_eq!(code(judge.complete_operation(false)), Code::Order);
    assert_eq!(code(judge.accept_operation(6, 0, 0, 0)), Code::Argument);
    let loaded = judge.load_registers(0, 0, 0, 0).unwrap_err();
    assert_eq!(loaded.code, Code::Order);
    assert_eq!(judge.response(1, &to(0x9000)), Ok(Verdict::Legal));
    let refused = judge.load_registers(0x8000_0001, 0, 0x20, 0).unwrap_err();
    assert_eq!(refused.code, Code::Registers);
    for tag in 0..768 {
        judge.request(tag, 0x1000, &access(0)).unwrap();
    }
    assert_eq!(code(judge.request(768, 0x1000, &access(0))), Code::TooMany);
}

#[test]
fn a_register_write_that_overtakes_a_request_is_refused_until_reset() {
    let mut judge = judge(0x9067);
    judge.request(1, 0x1000, &access(0)).unwrap();
    judge.accept_operation(1, 0x1000, 0, 0).unwrap();
    assert_eq!(judge.complete_operation(false), Ok(Verdict::Illegal));
    assert_eq!(judge.store(0, 0).unwrap_err().code, Code::Lost);
    judge.reset();
    assert_eq!(judge.store(0, 0), Ok(Verdict::Legal));
}

#[test]
fn an_operation_with_the_wrong_fault_is_refused_and_taken_as_it_should_have_been() {
    let mut judge = judge(0x9067);
    judge.accept_operation(1, 1 << 60, 0, 0).unwrap();
    assert_eq!(judge.complete_operation(false), Ok(Verdict::Illegal));
    assert_eq!(judge.registers().cr3(), 0x1000);
    judge.accept_operation(4, 0x1000, 0, 0).unwrap();
    assert_eq!(judge.complete_operation(false), Ok(Verdict::Legal));
}

/// Tables below 0x5000 that map 0x1000 to 0x9000; nothing beyond.
unsafe extern "C" fn read(context: *mut c_void, address: u64, value: *mut u64) -> i32 {
    let entry = match address {
        0x1000 | 0x2000 | 0x3000 => (address + 0x1000) | 7,
        PTE => 0x9007,
        0..0x5000 => 0,
        _ => return 1,
    };
    // SAFETY: the test hands in a counter, the library a place for the value.
    unsafe {
        *context.cast::<u32>() += 1;
        *value = entry;
    }
    0
}

#[test]
fn a_walk_reads_the_users_memory_and_says_which_bits_it_would_set() {
    let features = features();
    let mut reads = 0_u32;
    let memory = Memory {
        struct_size: struct_size(5),
        reserved: 0,
        context: (&raw mut reads).cast(),
        read: Some(read),
    };
    let mut walk = Walk {
        struct_size: struct_size(3),
        ..Walk::default()
    };
    let write = access(1);
    let mut reference = std::ptr::null_mut();
    // SAFETY: everything is ours and lives until the end.
    unsafe {
        assert_eq!(
            twinwalk_reference_create(&raw const features, &raw mut reference),
            0
        );
        assert_eq!(twinwalk_set_memory(reference, &raw const memory), 0);
        let loaded = twinwalk_reference::border::twinwalk_load_registers(
            reference,
            0x8001_0001,
            0x1000,
            0x20,
            0x100,
        );
        assert_eq!(loaded, 0);
        assert_eq!(
            twinwalk_translate(reference, 0x1234, &raw const write, &raw mut walk),
            0
        );
        twinwalk_reference_destroy(reference);
    }
    assert_eq!(
        (
            walk.outcome.status,
            walk.outcome.pa,
            walk.entry_count,
            reads
        ),
        (0, 0x9234, 4, 4)
    );
    let bits: Vec<_> = walk.entries[..4]
        .iter()
        .map(|entry| (entry.level, entry.before ^ entry.after))
        .collect();
    assert_eq!(bits, [(4, 0x20), (3, 0x20), (2, 0x20), (1, 0x60)]);
}
