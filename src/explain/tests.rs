//! What is explained is what happens: the walk against the model, the timeline against the model by arithmetic.
//!
//! Contract: 12. SDM: none. Counterpart: none.

mod traces;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::events::{Cause, Record};
use super::map::MapSpec;
use super::record::Recorder;
use super::situation::{Controls, registers};
use super::split::mode_of;
use super::timeline::Timeline;
use super::walk::{Ended, Walked, explain};
use super::{machine, tables};
use crate::arch::{Access, AccessKind, PageSize, PhysicalAddress};
use crate::config::{Config, Source, load};
use crate::cosim::ticked::Ticked;
use crate::model::mmu_pkg::{
    STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION, STATUS_PAGE_FAULT, STATUS_TRANSLATED,
};
use crate::model::{Memory, OneAtATime, Operation, Request, Response};
use crate::reference::SparseMemory;

/// A situation, as the options give it.
struct Given {
    config: Config,
    boot: Vec<Operation>,
    words: BTreeMap<u64, u64>,
}

fn config(text: &str, set: &[&str]) -> Config {
    let source = Source::parse(std::ffi::OsStr::new(text));
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    load(&source, &set).expect("a valid machine").config
}

fn given(config: Config, bits: u32, maps: &[&str], controls: &str) -> (Given, Controls) {
    let mode = mode_of(bits).expect("there is one");
    let parse = |text: &&str| MapSpec::parse(text, mode).expect(text);
    let maps: Vec<_> = maps.iter().map(parse).collect();
    let image = tables::build(&maps, mode, config.memory_size_bytes()).expect("there is room");
    let mut read = Controls::default();
    if !controls.is_empty() {
        read.read(controls).expect(controls);
    }
    let given = Given {
        boot: read.boot(mode, image.root),
        words: image.words,
        config,
    };
    (given, read)
}

/// The same by arithmetic on time.
fn measured(given: &Given, address: u64, accesses: &[Access]) -> Vec<crate::model::Alone> {
    let mut memory = Memory::new(&given.config.memory, given.config.mapping.seed);
    for (at, value) in &given.words {
        memory.write_u64(*at, *value).expect("memory stands there");
    }
    let mut one = OneAtATime::new(&given.config, memory);
    for operation in &given.boot {
        assert!(!one.control(operation), "{operation:x?}");
    }
    let translate = |access: &Access| {
        let port = usize::from(!access.is_fetch());
        let request = Request {
            va: address,
            access: *access,
            id: 0,
        };
        one.translate(port, &request)
    };
    accesses.iter().map(translate).collect()
}

fn assert_as_measured(record: &Record, alone: &crate::model::Alone, config: &Config) {
    let response = |response: &Response| Response { id: 0, ..*response };
    let (responded_at, answer) = record.responded.expect("an answer");
    let accesses = record.before_restart.unwrap_or_default();
    assert_eq!(response(&answer), response(&alone.response));
    assert_eq!(record.accepted_at, alone.accepted_at);
    assert_eq!(responded_at, alone.responded_at);
    assert_eq!(record.first_level, alone.first_level);
    assert_eq!(record.stlb, alone.stlb);
    assert_eq!(record.accesses.reads + accesses.reads, alone.memory_reads);
    assert_eq!(
        record.accesses.compare_and_sets + accesses.compare_and_sets,
        alone.compare_and_sets
    );
    let latency = record.latency_cycles().expect("an answer");
    assert_eq!(record.causes.iter().sum::<u64>(), latency);
    let timeline = Timeline::of(record, config).expect("an answer");
    assert_eq!(timeline.latency_cycles, latency);
    assert!(timeline.events.is_sorted_by_key(|line| line.cycle));
    let last = timeline.events.last().expect("the answer");
    assert_eq!(last.after_cycles, latency);
}

/// A situation: maps, control bits, privilege level, accesses.
type Situated = (
    &'static [&'static str],
    &'static str,
    u8,
    &'static [AccessKind],
);

/// Situations of every kind in 32-bit paging.
const NARROW_SITUATIONS: [Situated; 12] = {
    use AccessKind::{Fetch, Read, Write};
    [
        (&["0x401000=0x1234000"], "", 3, &[Read, Read, Write]),
        (&["0x400000=0x1400000,4m"], "", 3, &[Write, Fetch, Read]),
        (&["0x400000=0x1280000000,4m"], "", 3, &[Read, Read]),
        (&["0x400000=0x1400000,4m,bit21=1"], "", 3, &[Read, Read]),
        (&["0x400000=0xc00000,4m"], "pse=0", 3, &[Read, Read]),
        (&["0x401000=0x1234000,absent"], "", 3, &[Read, Fetch]),
        (
            &["0x401000=0x1234000,pde.absent"],
            "smep=1",
            0,
            &[Fetch, Write],
        ),
        (&["0x401000=0x1234000"], "smep=1", 0, &[Fetch, Read, Fetch]),
        (&["0x401000=0x1234000"], "smap=1", 0, &[Read, Write]),
        (
            &["0x401000=0x1234000"],
            "pkru=0xffffffff",
            3,
            &[Read, Write],
        ),
        (
            &["0x401000=0x1234000,a=0,d=0,pde.a=0"],
            "",
            3,
            &[Read, Write, Write],
        ),
        (
            &["0x400000=0x1400000,4m,a=0,d=0"],
            "wp=0",
            0,
            &[Read, Write],
        ),
    ]
};

/// Situations of every kind in 4-level paging.
const SITUATIONS: [Situated; 17] = {
    use AccessKind::{Fetch, Read, Write};
    [
        (&["0x401000=0x1234000"], "", 3, &[Read, Read]),
        (&["0x400000=0x1200000,2m"], "", 3, &[Write, Fetch, Read]),
        (&["0=0,1g"], "", 3, &[Read, Write]),
        (&["0x401000=0x1234000,absent"], "", 3, &[Read, Read]),
        (&["0x401000=0x1234000,pde.absent"], "", 3, &[Read, Read]),
        (&["0x401000=0x1234000,pdpte.absent"], "", 0, &[Write, Write]),
        (
            &["0x401000=0x1234000,pml4e.absent"],
            "nxe=0",
            0,
            &[Fetch, Read],
        ),
        (&["0x401000=0x1234000,bit51=1"], "", 3, &[Read, Read]),
        (&["0x400000=0x1200000,2m,bit13=1"], "", 3, &[Write, Write]),
        (&["0x401000=0x1234000"], "smap=1", 0, &[Read, Write]),
        (
            &["0x401000=0x1234000"],
            "smap=1,smep=1,ac=1",
            0,
            &[Read, Fetch, Fetch],
        ),
        (&["0x401000=0x1234000,nx"], "", 3, &[Fetch, Read, Fetch]),
        (
            &["0x401000=0x1234000,key=2"],
            "pkru=0x20",
            3,
            &[Read, Write, Write],
        ),
        (&["0x401000=0x1234000,d=0"], "", 3, &[Read, Write, Write]),
        (
            &["0x401000=0x1234000,a=0,d=0,pml4e.a=0"],
            "pcid=7",
            3,
            &[Write, Read],
        ),
        (&["0x401000=0x1234000,super"], "wp=0", 3, &[Read, Read]),
        (&[], "pg=0", 3, &[Read, Fetch]),
    ]
};

#[test]
fn the_cycles_are_those_that_the_model_measures_and_the_contracts_formula_gives() {
    for machine in [
        "preset:default",
        "preset:tiny",
        "preset:l1-only",
        "preset:no-psc",
    ] {
        let wide = SITUATIONS.map(|situation| (48, situation));
        let narrow = NARROW_SITUATIONS.map(|situation| (32, situation));
        for (bits, (maps, controls, cpl, kinds)) in wide.into_iter().chain(narrow) {
            let config = config(machine, &["capabilities.page_1g=true"]);
            let (given, controls) = given(config, bits, maps, controls);
            let accesses: Vec<_> = kinds
                .iter()
                .map(|kind| controls.access(*kind, cpl))
                .collect();
            let address = 0x40_1abc;
            let records =
                machine::run(&given.config, &given.boot, &given.words, address, &accesses)
                    .expect("it answers");
            let measured = measured(&given, address, &accesses);
            assert_eq!(records.len(), measured.len());
            for (record, alone) in records.iter().zip(&measured) {
                assert_as_measured(record, alone, &given.config);
                let timeline = Timeline::of(record, &given.config).expect("an answer");
                if given.config.memory.jitter_cycles == 0 {
                    let formula = timeline.formula.expect("one request alone");
                    assert_eq!(
                        formula.difference_cycles, 0,
                        "{machine} {maps:?} {formula:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn jitter_of_memory_is_what_the_formula_does_not_know() {
    let config = config("preset:default", &["memory.jitter_cycles=9"]);
    let (given, controls) = given(config, 48, &["0=0x10000"], "");
    let accesses = [controls.access(AccessKind::Read, 3)];
    let records =
        machine::run(&given.config, &given.boot, &given.words, 0, &accesses).expect("it answers");
    assert_as_measured(
        &records[0],
        &measured(&given, 0, &accesses)[0],
        &given.config,
    );
    let timeline = Timeline::of(&records[0], &given.config).expect("an answer");
    let formula = timeline.formula.expect("one request alone");
    assert!((1..=36).contains(&formula.difference_cycles), "{formula:?}");
}

#[test]
fn a_walk_that_began_at_a_cached_entry_and_faults_begins_again_and_the_formula_says_so() {
    let config = Config::default();
    let (given, controls) = given(config, 48, &["0x401000=0x10000"], "");
    let mut memory = Memory::new(&given.config.memory, 1);
    for (at, value) in &given.words {
        memory.write_u64(*at, *value).expect("memory stands there");
    }
    let recorder = Recorder::new(&given.config);
    recorder.watch(1, 1);
    let mut ticked = Ticked::new(&given.config, recorder, memory, false);
    for operation in &given.boot {
        ticked.control(operation).expect("it answers");
    }
    for va in [0x40_1000, 0x40_2000] {
        let request = Request {
            va,
            access: controls.access(AccessKind::Read, 3),
            id: 0,
        };
        ticked.translate(1, &request).expect("it answers");
    }
    let [record] = ticked.twin().records() else {
        panic!("one is watched");
    };
    assert_eq!(record.number, 1);
    let timeline = Timeline::of(record, &given.config).expect("an answer");
    let formula = timeline.formula.expect("one request alone");
    assert_eq!(
        formula.numbers,
        "1 + 7 + 5 + (4 + 0)(50 + 2) + 1 + (1 + 0)(50 + 2)"
    );
    assert_eq!(formula.difference_cycles, 0);
    assert_eq!(timeline.psc, Some("PDE"));
    assert_eq!(record.causes[Cause::Start as usize], 2);
}

/// Whether the model answered what the manual says.
fn is_answer(walked: &Walked, response: &Response) -> bool {
    match &walked.outcome {
        Ended::Translated {
            physical_address,
            page_size,
            ..
        } => {
            response.status == STATUS_TRANSLATED
                && response.pa == physical_address.0
                && PageSize::from_code(response.page_size).map(PageSize::name) == Some(page_size)
        }
        Ended::PageFault {
            error_code, cr2, ..
        } => {
            response.status == STATUS_PAGE_FAULT
                && u32::from(response.error_code) == *error_code
                && response.va == cr2.0
        }
        Ended::GeneralProtection => response.status == STATUS_GENERAL_PROTECTION,
        Ended::BusError { .. } => response.status == STATUS_BUS_ERROR,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_machine_answers_what_the_manual_says_whatever_the_entries(
        bits in any::<bool>(),
        size in 0_usize..3,
        upper in any::<u64>(),
        leaf in any::<u64>(),
        which in 0_u32..64,
        controls in any::<u16>(),
        cpl in 0_u8..4,
        kind in 0_usize..3,
    ) {
        let page = ["4k", "2m", "1g"][size];
        let level = ["pde", "pdpte", "pml4e"][size];
        let map = format!(
            "0=0x40000000,{page},bit{which}={},us={},rw={},xd={},key={},d={},{level}.us={},{level}.rw={},{level}.bit{}=1",
            leaf & 1, leaf >> 1 & 1, leaf >> 2 & 1, leaf >> 3 & 1, leaf >> 4 & 15, leaf >> 8 & 1,
            upper & 1, upper >> 1 & 1, upper >> 2 & 63
        );
        let width = if bits { 57 } else { 48 };
        assert_answers_agree(width, &map, controls, 0xabc, (kind, cpl));
    }

    #[test]
    fn in_32_bit_paging_too_and_whatever_the_upper_half_of_the_address(
        large in any::<bool>(),
        odd in any::<bool>(),
        high in 0_u64..512,
        entries in any::<u64>(),
        which in (0_u32..32, 0_u32..32),
        address in any::<u32>(),
        controls in any::<u16>(),
        cpl in 0_u8..4,
        kind in 0_usize..3,
    ) {
        let on = |bit: u32| entries >> bit & 1;
        // An even index, or the other half of its cell.
        let va = u64::from(odd) << if large { 22 } else { 12 } | 0xc0c0_0000 & !(1 << 22);
        let rights = format!("us={},rw={},a={},d={},bit{}={}", on(0), on(1), on(2), on(3), which.0, on(4));
        let map = if large {
            // Bit 21 is set with the odd ones; which bits of the address are reserved is for the machine's width to say.
            format!("{va:#x}={:#x},4m,{rights},bit21={}", high >> 1 << 32 | 0x4000_0000, high & 1)
        } else {
            format!("{va:#x}=0x40000000,{rights},pde.us={},pde.rw={},pde.bit{}=1", on(5), on(6), which.1)
        };
        let va = u64::from(address) << 32 | va | 0xabc;
        assert_answers_agree(32, &map, controls, va, (kind, cpl));
    }
}

/// Makes an access twice, by the manual and on a machine that is `bits` wide: the answers must be the same.
fn assert_answers_agree(
    bits: u32,
    map: &str,
    controls: u16,
    address: u64,
    (kind, cpl): (usize, u8),
) {
    let on = |bit: u32| controls >> bit & 1;
    let text = format!(
        "wp={},smep={},smap={},pke={},nxe={},ac={},implicit={},pse={},pkru={}",
        on(0),
        on(1),
        on(2),
        on(3),
        on(4),
        on(5),
        on(6),
        on(7),
        u32::from(controls) << 2
    );
    let width = if on(8) == 1 { 38 } else { 46 };
    let width = format!("capabilities.maxphyaddr_bits={width}");
    let config = match bits {
        // Some of the bits that PSE-36 adds are reserved on the narrow machine.
        32 => config("preset:default", &[&width]),
        _ => Config::default(),
    };
    let (given, controls) = given(config, bits, &[map], &text);
    let capabilities = given.config.arch_capabilities();
    let registers = registers(&given.boot, &capabilities).expect("allowed");
    let access = controls.access(AccessKind::ALL[kind], cpl);
    let mut memory = SparseMemory::new(given.config.memory_size_bytes());
    for (at, value) in &given.words {
        memory
            .poke(PhysicalAddress::new(*at), *value)
            .expect("memory stands there");
    }
    let accesses = [access, access];
    let records = machine::run(&given.config, &given.boot, &given.words, address, &accesses)
        .expect("it answers");
    for record in &records {
        let walked = explain(&registers, &capabilities, &access, address, &mut memory);
        let (_, response) = record.responded.expect("an answer");
        assert!(
            is_answer(&walked, &response),
            "{map} {text} {walked:?} {response:?}"
        );
        let timeline = Timeline::of(record, &given.config).expect("an answer");
        let formula = timeline.formula.expect("one request alone");
        assert_eq!(formula.difference_cycles, 0, "{map} {formula:?}");
    }
}
