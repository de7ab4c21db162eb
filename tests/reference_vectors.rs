//! Reference and model against the sample of paging vectors that an independent x86-64 implementation produced (`tests/vectors/README.md`).
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8.
//! Counterpart: `tests/cli_conform.rs` and the CI, which take the sample through `twinwalk conform`, on the RTL too.

use std::path::Path;

use twinwalk::arch::{Capabilities, MaxPhyAddr, PageFaultCode, VirtualAddress};
use twinwalk::config::Config;
use twinwalk::conform::{Answer, Case, Implementation, Reader, Reference, Suite, Twins};
use twinwalk::model::Mmu;

const FILES: [&str; 4] = ["qemu-m40-l2", "qemu-m40-l4", "qemu-m40-l5", "qemu-m52-l5"];

fn sample() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in FILES {
        let path = format!("tests/vectors/{name}.jsonl.gz");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut reader = Reader::open(&path, None).expect("the sample can be opened");
        while let Some(case) = reader.next_case().expect("the sample is sound") {
            cases.push(case);
        }
    }
    cases
}

fn run(cases: &[Case], implementation: &mut dyn Implementation) -> Suite {
    let mut suite = Suite::default();
    suite.run("sample", cases, &mut [implementation]);
    suite
}

#[test]
fn reference_and_model_agree_with_every_case_of_the_sample() {
    let mut model = Twins::new("model");
    for maxphyaddr_bits in [40, 52] {
        let mut config = Config::default();
        config.capabilities.maxphyaddr_bits = maxphyaddr_bits;
        config.memory.latency_cycles = 3;
        model.add(&config, Mmu::new(&config));
    }
    let mut reference = Reference;
    let mut suite = Suite::default();
    suite.run("sample", &sample(), &mut [&mut reference, &mut model]);
    assert_eq!(suite.mismatches(), 0, "{:#?}", suite.tallies);
    assert_eq!(suite.counts.cases, 4000);
    assert!(suite.counts.steps > 4000, "{} steps", suite.counts.steps);
    assert!(suite.counts.entries > 13_000, "{}", suite.counts.entries);
}

#[test]
fn the_sample_holds_every_error_code_and_every_quirk() {
    let counts = run(&sample(), &mut Reference).counts;
    let codes = [
        0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 16, 17, 20, 21, 25, 29, 33, 35, 37, 39,
    ];
    for code in codes {
        let count = counts.page_faults.get(&code);
        let name = PageFaultCode(code);
        assert!(count.is_some_and(|count| *count >= 10), "{name}: {count:?}");
    }
    assert!(counts.general_protections >= 100);
    assert!(counts.translated >= 1000);
    assert!(counts.quirks["rsvd_p"] >= 100);
    assert!(counts.quirks["a_1g_fault"] >= 50);
}

#[test]
fn a_machine_of_another_width_is_noticed() {
    let mut cases = sample();
    for case in &mut cases {
        case.capabilities =
            Capabilities::new(MaxPhyAddr::MAX_BITS, true, true).expect("the widest");
    }
    let (narrow, wide): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .partition(|case| case.id.starts_with("own-m40"));
    assert!(run(&narrow, &mut Reference).mismatches() > 0);
    assert_eq!(run(&wide, &mut Reference).mismatches(), 0);
}

#[test]
fn every_canonical_verdict_of_the_sample_is_that_of_the_address_type() {
    for case in sample() {
        for step in &case.steps {
            let refused = VirtualAddress::try_new(step.va, case.registers.paging_mode()).is_err();
            let expected = step.expected == Answer::GeneralProtection;
            assert_eq!(refused, expected, "{}", case.id);
        }
    }
}
