//! Behaviour of the reading and judging of vectors, on vectors made by hand.
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8. Counterpart: `tests/cli_conform.rs`, which does the same through the command, on the RTL too.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::implementation::Answer;
use super::suite::FINDINGS_MAX;
use super::*;
use crate::arch::registers::cr0;
use crate::config::Config;
use crate::cosim::twin::Twin;
use crate::model::Mmu;
use crate::model::mmu_pkg::{CTRL_MOV_CR0, Inputs, Outputs};
use crate::trace::Input;

const VA: u64 = 0x7fff_1234_0ab8;

/// A user page at `frame`, read and then written by user code.
fn valid(frame: u64) -> Value {
    let index = |level: u32| VA >> (3 + 9 * level) & 0x1ff;
    let place = |table: u64, level| format!("{:#x}", table + 8 * index(level));
    let pa = format!("{:#x}", frame | VA & 0xfff);
    let leaf = |bits: u64| format!("{:#x}", frame | bits);
    json!({
        "id": "hand-1", "maxphy": 46, "levels": 4,
        "cr0": "0x80010011", "cr3": "0x1000", "cr4": "0xa0", "efer": "0xd00", "pkru": "0x0", "wp": 1,
        "ent": [[4, place(0x1000, 4), "0x2007"], [3, place(0x2000, 3), "0x3007"],
                [2, place(0x3000, 2), "0x4007"], [1, place(0x4000, 1), leaf(7)]],
        "steps": [
            {"k": "r", "cpl": 3, "ac": 0, "va": format!("{VA:#x}"), "vec": null, "ec_sdm": null, "cr2": null,
             "pa": pa, "after": ["0x2027", "0x3027", "0x4027", leaf(0x27)]},
            {"k": "w", "cpl": 3, "ac": 0, "va": format!("{VA:#x}"), "vec": null, "ec_sdm": null, "cr2": null,
             "pa": pa, "after": ["0x2027", "0x3027", "0x4027", leaf(0x67)]}],
        "quirk": []
    })
}

/// The same page with XD set, fetched by user code.
fn denied() -> Value {
    let mut value = valid(0x5000);
    value["ent"][3][2] = json!("0x8000000000005007");
    value["steps"] = json!([{
        "k": "x", "cpl": 3, "ac": 0, "va": format!("{VA:#x}"), "vec": 14, "ec_sdm": 0x15, "cr2": format!("{VA:#x}"),
        "pa": null, "after": ["0x2027", "0x3027", "0x4027", "0x8000000000005007"]}]);
    value
}

/// In 32-bit paging, a user page of 4 MiB above 4 GiB, written, and beside its PDE in the same cell the PDE of a page of 4 KiB, read. Keys
/// that deny everything and NXE are set, and must not matter.
fn narrow() -> Value {
    let written = "0xc092e087";
    json!({
        "id": "hand-32", "maxphy": 46, "levels": 2,
        "cr0": "0x80010011", "cr3": "0x1018", "cr4": "0x400010", "efer": "0x800", "pkru": "0xffffffff", "pse": 1,
        "ent": [[2, "0x1804", written], [2, "0x1800", "0x2007"], [1, "0x2ffc", "0x85005"]],
        "steps": [
            {"k": "w", "cpl": 3, "ac": 0, "va": "0x80512340", "vec": null, "ec_sdm": null, "cr2": null,
             "pa": "0x97c0912340", "after": ["0xc092e0e7", "0x2007", "0x85005"]},
            {"k": "x", "cpl": 0, "ac": 0, "va": "0x803ff008", "vec": null, "ec_sdm": null, "cr2": null,
             "pa": "0x85008", "after": ["0xc092e0e7", "0x2027", "0x85025"]},
            {"k": "w", "cpl": 3, "ac": 0, "va": "0x803ff008", "vec": 14, "ec_sdm": 7, "cr2": "0x803ff008",
             "pa": null, "after": ["0xc092e0e7", "0x2027", "0x85025"]}]
    })
}

fn parse(value: &Value) -> Result<Case, VectorError> {
    Case::parse("f.jsonl", 7, value.to_string().as_bytes())
}

fn case(value: &Value) -> Case {
    parse(value).expect("a valid vector")
}

fn model() -> Twins<Mmu> {
    let config = Config::default();
    let mut twins = Twins::new("model");
    twins.add(&config, Mmu::new(&config));
    twins
}

fn mismatches(cases: &[Case], implementation: &mut dyn Implementation) -> Tally {
    let mut suite = Suite::default();
    suite.run("f.jsonl", cases, &mut [implementation]);
    suite.tallies.remove(0)
}

#[test]
fn reference_and_model_do_what_the_manual_says() {
    let cases = [case(&valid(0x5000)), case(&denied()), case(&valid(0x5000))];
    assert_eq!(mismatches(&cases, &mut Reference).mismatches, 0);
    assert_eq!(mismatches(&cases, &mut model()).mismatches, 0);
}

#[test]
fn in_32_bit_paging_reference_and_model_do_what_the_manual_says() {
    let mut without_pse = narrow();
    without_pse["cr4"] = json!("0x400000");
    without_pse["pse"] = json!(0);
    // PS is ignored: the PDE leads to a table, in which nothing is present.
    without_pse["steps"] = json!([{
        "k": "w", "cpl": 3, "ac": 0, "va": "0x80512340", "vec": 14, "ec_sdm": 6, "cr2": "0x80512340",
        "pa": null, "after": ["0xc092e0a7", "0x2007", "0x85005"]}]);
    let mut reserved = narrow();
    reserved["ent"][0][2] = json!("0xc0b2e087");
    reserved["ent"][1][2] = json!("0x0");
    reserved["steps"] = json!([
        {"k": "r", "cpl": 3, "ac": 0, "va": "0x80512340", "vec": 14, "ec_sdm": 13, "cr2": "0x80512340",
         "pa": null, "after": ["0xc0b2e087", "0x0", "0x85005"]},
        {"k": "x", "cpl": 3, "ac": 0, "va": "0x803ff008", "vec": 14, "ec_sdm": 4, "cr2": "0x803ff008",
         "pa": null, "after": ["0xc0b2e087", "0x0", "0x85005"]}]);
    let cases = [narrow(), valid(0x5000), without_pse, reserved, narrow()].map(|v| case(&v));
    assert_eq!(mismatches(&cases, &mut Reference).mismatches, 0);
    assert_eq!(mismatches(&cases, &mut model()).mismatches, 0);
    let mut wrong = narrow();
    wrong["steps"][0]["after"][1] = json!("0x2027");
    assert_eq!(mismatches(&[case(&wrong)], &mut Reference).mismatches, 1);
}

#[test]
fn one_flipped_bit_in_any_expectation_is_a_mismatch_of_that_field() {
    let page = valid as fn(u64) -> Value;
    let fault = (|_| denied()) as fn(u64) -> Value;
    let wrong: [(_, &str, Value, &str); 8] = [
        (page, "/steps/1/after/3", json!("0x5027"), "after[3]"),
        (
            page,
            "/steps/1/after/0",
            json!("0x8000000000002027"),
            "after[0]",
        ),
        (page, "/steps/0/pa", json!("0x200000005ab8"), "pa"),
        (page, "/steps/1/pa", json!("0x5ab9"), "pa"),
        (fault, "/steps/0/ec_sdm", json!(0x14), "ec_sdm"),
        (fault, "/steps/0/ec_sdm", json!(0x8015), "ec_sdm"),
        (fault, "/steps/0/cr2", json!("0x7fff12340ab9"), "cr2"),
        (
            fault,
            "/steps/0/after/3",
            json!("0x8000000000005027"),
            "after[3]",
        ),
    ];
    for (base, pointer, value, field) in wrong {
        let mut changed = base(0x5000);
        *changed.pointer_mut(pointer).expect("it is there") = value;
        for implementation in [&mut Reference as &mut dyn Implementation, &mut model()] {
            let tally = mismatches(&[case(&changed)], implementation);
            assert_eq!(tally.mismatches, 1, "{pointer}");
            assert_eq!(tally.findings[0].mismatch.differences.len(), 1);
            assert_eq!(tally.findings[0].mismatch.differences[0].field(), field);
            assert!(tally.findings[0].fails_alone);
        }
    }
}

#[test]
fn a_mismatch_is_shown_with_every_entry_decoded() {
    let mut value = valid(0x5000);
    value["steps"][1]["after"][3] = json!("0x5027");
    let tally = mismatches(&[case(&value)], &mut Reference);
    let text = show(&tally.findings[0], "reference");
    for part in [
        "reference: f.jsonl, line 7: hand-1, step 2 of 2\n",
        "  access     write of 0x7fff12340ab8, CPL 3, AC 0\n",
        "  PTE (4 KiB page) at 0x4a00\n",
        "    63:0             0x5027              0x5027              0x5067              <- differs\n",
        "    6      D         0                   0                   1                   <- differs\n",
        "    51:12  address   0x5000              0x5000              0x5000\n",
        "  PML4E at 0x17f8\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn only_the_accessed_bit_of_a_level_3_entry_is_excused_by_the_quirk() {
    let mut value = valid(0x5000);
    value["steps"][0]["after"][1] = json!("0x3007");
    value["steps"][1]["after"][1] = json!("0x3007");
    assert_eq!(mismatches(&[case(&value)], &mut Reference).mismatches, 2);
    value["quirk"] = json!(["a_1g_fault"]);
    assert_eq!(mismatches(&[case(&value)], &mut Reference).mismatches, 0);
    value["steps"][1]["after"][1] = json!("0x3047");
    assert_eq!(mismatches(&[case(&value)], &mut Reference).mismatches, 1);
    value["steps"][1]["after"][1] = json!("0x3007");
    value["steps"][1]["after"][2] = json!("0x4007");
    assert_eq!(mismatches(&[case(&value)], &mut Reference).mismatches, 1);
}

#[test]
fn a_cell_that_the_case_does_not_list_must_not_be_written() {
    let case = case(&denied());
    let mut performance = Reference.perform(&case);
    assert!(judge(&case, &performance).is_empty());
    performance.stray.push((0x9000, 1));
    let found = judge(&case, &performance);
    assert_eq!(found[0].stray, Some((0x9000, 1)));
    performance = Reference.perform(&case);
    performance.steps.clear();
    assert_eq!(judge(&case, &performance)[0].step, Some(0));
    performance = Reference.perform(&case);
    performance.failure = Some("hangs".to_owned());
    assert_eq!(judge(&case, &performance).len(), 1);
    performance.failure = None;
    performance.steps[0].answer = Answer::BusError;
    assert_eq!(judge(&case, &performance).len(), 1);
}

/// A machine that never leaves paging, so that nothing flushes it between two cases with the same registers.
struct NeverLeaves(Mmu);

impl Twin for NeverLeaves {
    fn name(&self) -> &'static str {
        "never leaves"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let mut inputs = *inputs;
        if inputs.control.op == CTRL_MOV_CR0 {
            inputs.control.data |= cr0::PG;
        }
        self.0.tick(&inputs, outputs);
    }
}

#[test]
fn what_is_left_over_from_the_case_before_is_a_mismatch_that_is_said_to_be_that() {
    let config = Config::default();
    let mut twins = Twins::new("stale");
    twins.add(&config, NeverLeaves(Mmu::new(&config)));
    let tally = mismatches(&[case(&valid(0x5000)), case(&valid(0x6000))], &mut twins);
    assert!(tally.mismatches >= 1);
    assert_eq!(tally.findings[0].case.entries[3].value, 0x6007);
    assert!(!tally.findings[0].fails_alone);
    assert!(show(&tally.findings[0], "stale").contains("from reset the case holds"));
}

/// A machine that does not answer after reset.
struct Dead;

impl Twin for Dead {
    fn name(&self) -> &'static str {
        "dead"
    }

    fn tick(&mut self, _: &Inputs, outputs: &mut Outputs) {
        *outputs = Outputs::default();
    }
}

#[test]
fn a_machine_that_hangs_is_a_mismatch_in_every_case_and_few_are_kept() {
    let mut config = Config::default();
    config.memory.latency_cycles = 1;
    let mut twins = Twins::new("dead");
    twins.add(&config, Dead);
    let cases = vec![case(&denied()); FINDINGS_MAX + 2];
    let tally = mismatches(&cases, &mut twins);
    assert_eq!(tally.mismatches, cases.len() as u64);
    assert_eq!(tally.findings.len(), FINDINGS_MAX);
    assert!(show(&tally.findings[0], "dead").contains("no answer"));
}

#[test]
fn what_is_wrong_with_a_vector_is_said_with_file_line_field_and_remedy() {
    let table: [(&str, Option<Value>, &str); 33] = [
        ("/id", None, "id"),
        ("/id", Some(json!("a\nb")), "id"),
        ("/maxphy", Some(json!(35)), "maxphy"),
        ("/maxphy", Some(json!(53)), "maxphy"),
        ("/maxphy", Some(json!("46")), "maxphy"),
        ("/levels", Some(json!(3)), "levels"),
        ("/levels", Some(json!(5)), "levels"),
        ("/cr0", Some(json!("80010011")), "cr0"),
        ("/cr0", Some(json!("0x10011")), "cr0"),
        ("/cr0", Some(json!("0x180010011")), "cr0"),
        ("/cr3", Some(json!("0x400000001000")), "cr3"),
        ("/cr4", Some(json!("0x80")), "cr4"),
        ("/cr4", Some(json!("0x200a0")), "cr4"),
        ("/efer", Some(json!("0xc00")), "efer"),
        ("/pkru", Some(json!("0x100000000")), "pkru"),
        ("/wp", Some(json!(0)), "wp"),
        ("/ent", Some(json!("none")), "ent"),
        ("/ent/0", Some(json!([4, "0x17f8"])), "ent[0]"),
        ("/ent/0/0", Some(json!(3)), "ent[0][0]"),
        ("/ent/2/0", Some(json!(3.5)), "ent[2][0]"),
        ("/ent/1/0", Some(json!(2)), "ent[1][0]"),
        ("/ent/3/0", Some(json!(4)), "ent[3][0]"),
        ("/ent/1/1", Some(json!("0x2ff4")), "ent[1][1]"),
        ("/ent/1/1", Some(json!("0x400000000000")), "ent[1][1]"),
        ("/ent/1/2", Some(json!("0xg")), "ent[1][2]"),
        ("/steps", Some(json!([])), "steps"),
        ("/steps/1/k", Some(json!("rw")), "steps[1].k"),
        ("/steps/0/cpl", Some(json!(4)), "steps[0].cpl"),
        ("/steps/0/va", Some(json!("0x7fff12340abc")), "steps[0].va"),
        ("/steps/0/vec", Some(json!(6)), "steps[0].vec"),
        ("/steps/0/pa", None, "steps[0].pa"),
        ("/steps/0/cr2", Some(json!("0x0")), "steps[0].cr2"),
        ("/steps/1/after", Some(json!(["0x2027"])), "steps[1].after"),
    ];
    for (pointer, value, field) in table {
        let mut changed = valid(0x5000);
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        match value {
            Some(value) => *changed.pointer_mut(pointer).expect("it is there") = value,
            None => {
                let parent = changed.pointer_mut(parent).expect("it is there");
                parent.as_object_mut().expect("an object").remove(key);
            }
        }
        let error = parse(&changed).expect_err(pointer);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("f.jsonl: line 7: {field}: ")),
            "{text}"
        );
        assert!(!error.remedy().is_empty());
    }
}

#[test]
fn what_32_bit_paging_cannot_be_is_refused_with_its_field() {
    let table = [
        ("/cr4", json!("0x400030"), "cr4"),
        ("/efer", json!("0x900"), "efer"),
        ("/pse", json!(0), "pse"),
        ("/ent/0/0", json!(4), "ent[0][0]"),
        ("/ent/0/1", json!("0x1802"), "ent[0][1]"),
        ("/ent/0/2", json!("0x1c092e087"), "ent[0][2]"),
        ("/steps/0/va", json!("0x180512340"), "steps[0].va"),
        (
            "/steps/0/after/0",
            json!("0x1c092e0e7"),
            "steps[0].after[0]",
        ),
        ("/steps/2/cr2", json!("0x1803ff008"), "steps[2].cr2"),
        ("/steps/2/vec", json!(13), "steps[2].vec"),
    ];
    for (pointer, value, place) in table {
        let mut changed = narrow();
        *changed.pointer_mut(pointer).expect("it is there") = value;
        let refused = parse(&changed).expect_err(pointer).to_string();
        assert!(
            refused.starts_with(&format!("f.jsonl: line 7: {place}: ")),
            "{refused}"
        );
    }
}

#[test]
fn a_line_that_is_not_json_is_named_with_its_column() {
    let text = valid(0x5000).to_string();
    let error = Case::parse("f", 3, &text.as_bytes()[..100]).expect_err("cut off");
    assert!(
        error
            .to_string()
            .starts_with("f: line 3, column 100: not JSON: "),
        "{error}"
    );
    let error = Case::parse("f", 3, b"[1]").expect_err("no object");
    assert!(
        error.to_string().starts_with("f: line 3: the line: "),
        "{error}"
    );
}

fn reader(text: Vec<u8>) -> Reader {
    Reader::new(Input::new("f", std::io::Cursor::new(text), None).expect("opens"))
}

#[test]
fn a_line_of_a_file_that_is_cut_off_is_named_with_the_column_where_it_ends() {
    let line = valid(0x5000).to_string();
    // In the middle of a string, where what ends the line could pass for a part of it.
    let cut = line.rfind('"').expect("a string");
    for end in ["\n", "\r\n", ""] {
        let text = format!("{line}\n{}{end}", &line[..cut]);
        let mut reader = reader(text.into_bytes());
        reader.next_case().expect("the first line is whole");
        let error = reader.next_case().expect_err("cut off").to_string();
        let place = format!("f: line 2, column {cut}: not JSON: EOF");
        assert!(error.starts_with(&place), "{error}");
    }
}

#[test]
fn a_file_is_read_to_its_last_line_with_or_without_an_end_and_an_empty_one_is_refused() {
    let line = valid(0x5000).to_string();
    for text in [
        format!("{line}\n\n  \r\n{line}"),
        format!("{line}\n\n\n{line}\n"),
    ] {
        let mut reader = reader(text.into_bytes());
        let lines = [1, 4].map(|line| {
            (
                line,
                reader.next_case().expect("reads").expect("a case").line,
            )
        });
        assert!(lines.iter().all(|(want, got)| want == got), "{lines:?}");
        assert!(reader.next_case().expect("reads").is_none());
    }
    for text in ["", "\n \n"] {
        let error = reader(text.into()).next_case().expect_err("nothing there");
        assert!(matches!(error, VectorError::Empty { .. }), "{error}");
    }
    let error = reader(vec![b' '; 3 << 20])
        .next_case()
        .expect_err("too long");
    assert!(
        matches!(error, VectorError::LongLine { line: 1, .. }),
        "{error}"
    );
}

#[test]
fn memory_of_the_reader_does_not_grow_with_the_file() {
    let line = format!("{}\n", valid(0x5000));
    let mut reader = reader(line.repeat(5000).into_bytes());
    let mut cases = 0;
    while reader.next_case().expect("reads").is_some() {
        cases += 1;
        assert!(reader.buffered_bytes() < 1 << 18);
    }
    assert_eq!(cases, 5000);
}

/// What may stand where a value was.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<u64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(format!("{n:#x}"))),
        (0u64..8).prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<String>().prop_map(|text| json!(text)),
        Just(json!([])),
        Just(json!({})),
    ]
}

fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| places(value, format!("{at}/{key}"), all)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| places(value, format!("{at}/{index}"), all)),
        _ => {}
    }
    all.push(at);
}

/// Whatever the line: a case that can be performed, or an error that names file and line.
fn check_line(text: &[u8]) {
    match Case::parse("f.jsonl", 7, text) {
        Ok(mut case) => {
            let performance = Reference.perform(&case);
            let found = judge(&case, &performance);
            // One machine will do, whatever the width: this is about panics.
            case.capabilities = Config::default().arch_capabilities();
            let _ = model().perform(&case);
            for mismatch in found {
                let finding = Finding {
                    file: "f".to_owned(),
                    case: case.clone(),
                    mismatch,
                    fails_alone: true,
                };
                assert!(show(&finding, "reference").ends_with('\n'));
            }
        }
        Err(error) => {
            assert!(error.to_string().starts_with("f.jsonl: line 7"), "{error}");
            assert!(!error.remedy().is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_with_bytes_changed_is_a_case_or_an_error_and_never_a_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
        which in any::<bool>(),
    ) {
        let base = if which { valid(0x5000) } else { denied() };
        let mut text = base.to_string().into_bytes();
        for (at, byte, how) in edits {
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => text.truncate(at.max(1)),
            }
        }
        check_line(&text);
    }

    #[test]
    fn a_line_with_values_changed_is_a_case_or_an_error_and_never_a_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any_value()), 1..4),
        which in any::<bool>(),
    ) {
        let mut value = if which { valid(0x5000) } else { denied() };
        for (at, new) in edits {
            let mut all = Vec::new();
            places(&value, String::new(), &mut all);
            let place = &all[at.index(all.len())];
            *value.pointer_mut(place).expect("it is there") = new;
        }
        check_line(value.to_string().as_bytes());
    }
}
