//! Modes entered with the wrong registers, walks of the wrong depth, and accesses that cross a page.
//!
//! Contract: 3, 8.2, 9.3, 13.1. SDM vol. 3A, 2.5, 4.1, 4.5. Counterpart: `crate::trace::reference`, the split.

use std::cell::RefCell;
use std::fmt::Write;
use std::io::{Cursor, Write as _};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};

use twinwalk::cosim::comparators::Comparator;
use twinwalk::cosim::counters::Counters;
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::lockstep::{Checker, CheckerFinding, Lockstep, Options};
use twinwalk::cosim::stimulus::Store;
use twinwalk::cosim::stimulus::parse::parse;
use twinwalk::cosim::traced::TraceSource;
use twinwalk::model::Mmu;
use twinwalk::model::mmu_pkg::{Inputs, Outputs};
use twinwalk::trace::lackey::LackeyReader;
use twinwalk::trace::{Input, MemoryReference, ReferenceKind};

use crate::lockstep_support::history::{after, answers, lines, run};
use crate::lockstep_support::{QUICK, library, preset, rtl};

/// Row 22: the port takes nothing that crosses; the requester's parts walk and report a page each.
#[test]
fn an_access_that_crosses_a_page_reports_the_page_that_is_missing() {
    let crossing = parse("crossing", "twinwalk-stim 1\nread 0x401ffc size=8\n");
    assert!(crossing.is_err_and(|error| error.to_string().contains("cross a page")));
    let both = "map 0x401000 -> 0x9000 4k rw user A D\nmap 0x402000 -> 0xb000 4k rw user A D\n";
    for (image, below, above) in [
        (both, "pa 0x9ffd 4k", "pa 0xb000 4k"),
        (
            "map 0x401000 -> 0x9000 4k rw user A D\n",
            "pa 0x9ffd 4k",
            "page fault at 0x402000, error code 0x6",
        ),
        (
            "map 0x402000 -> 0xb000 4k rw user A D\n",
            "page fault at 0x401ffd, error code 0x6",
            "pa 0xb000 4k",
        ),
        (
            "map 0x401000 -> 0x9000 4k rw user A D\nmap 0x402000 -> 0xb000 4k user A D\n",
            "pa 0x9ffd 4k",
            "page fault at 0x402000, error code 0x7",
        ),
    ] {
        let whole = MemoryReference::new(ReferenceKind::Store, 0x40_1ffd, 8).expect("8 bytes");
        let (first, second) = whole.split();
        let second = second.expect("it crosses");
        let mut text = format!("tables 0x1000 accessed\nspace s 4\n{image}boot s\n");
        for part in [first, second] {
            text += &format!(
                "write {:#x} size={} user\ndrain\n",
                part.address(),
                part.size_bytes()
            );
        }
        answers(&run(&text).trace, &[below, above]);
    }
}

/// A trace of these references, as text of lackey.
fn traced(references: &[MemoryReference]) -> LackeyReader {
    let mut text = String::new();
    for one in references {
        let letter = match one.kind() {
            ReferenceKind::Fetch => "I ",
            ReferenceKind::Load => " L",
            ReferenceKind::Store => " S",
        };
        let _ = writeln!(text, "{letter} {:x},{}", one.address(), one.size_bytes());
    }
    let input = Input::new("given", Cursor::new(text.into_bytes()), None).expect("it can be read");
    LackeyReader::new(input)
}

/// Notes the requests of a run, with the port and what they were answered.
#[derive(Default)]
struct Notes {
    asked: RefCell<Vec<(usize, u64, u8)>>,
    answered: RefCell<Vec<u64>>,
}

impl Checker for &Notes {
    fn comparator(&self) -> Comparator {
        Comparator::Protocol
    }

    fn observe(
        &mut self,
        _: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        _: &[Store],
    ) -> Result<(), CheckerFinding> {
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if pins.req_valid != 0 && shown.req_ready != 0 {
                let asked = (port, pins.req_va, pins.req_size_bytes);
                self.asked.borrow_mut().push(asked);
            }
            if shown.resp_valid != 0 && pins.resp_ready != 0 {
                self.answered.borrow_mut().push(shown.resp_pa);
            }
        }
        Ok(())
    }

    fn count(&self, _: &mut Counters) {}
}

/// Row 22: what `run` and `check` ask for a reference of a trace, at every offset before the end of a page.
#[test]
fn a_reference_of_a_trace_that_crosses_a_page_asks_for_both_pages_and_no_other() {
    let config = preset("default");
    let library = library(&Recipe::new(&config, QUICK));
    for size in [2u16, 8, 64, 512] {
        let mut given = Vec::new();
        let mut due = Vec::new();
        for before in 0..=size {
            // A new pair of pages for each, so that each of them walks.
            let boundary = 0x1000_0000 + 0x4000 * u64::from(before);
            let address = boundary - u64::from(before);
            for kind in [
                ReferenceKind::Fetch,
                ReferenceKind::Load,
                ReferenceKind::Store,
            ] {
                given.push(MemoryReference::new(kind, address, size).expect("a size"));
                let port = usize::from(kind != ReferenceKind::Fetch);
                if before > 0 {
                    due.push((port, address, before.min(64) as u8));
                }
                if before < size {
                    due.push((port, boundary, (size - before).min(64) as u8));
                }
            }
        }
        let crossings = given.iter().filter(|one| one.crosses_page()).count();
        assert_eq!(crossings, 3 * (usize::from(size) - 1));
        let references = given.len() as u64;
        let setup = TraceSource::setup(&config, "given", 1);
        let source =
            TraceSource::new(&config, Box::new(traced(&given)), u64::MAX).expect("it maps");
        let notes = Notes::default();
        let mut both = Lockstep::pair(
            &config,
            &setup,
            source,
            Mmu::new(&config),
            rtl(&config, &library, 1),
            Options::default(),
        )
        .with_reference(&config, &setup)
        .with_checker(Box::new(&notes));
        let report = both.run(&mut |_| ControlFlow::Continue(()));
        assert_eq!(report.finding, None);
        assert_eq!(both.source().references(), references);
        assert_eq!(both.source().translations(), references + crossings as u64);
        assert_eq!(*notes.asked.borrow(), due);
        assert_eq!(report.counters.faults.total(), 0);
        // Two pages of a crossing lie in two frames: no part is answered from the other's.
        let answered = notes.answered.borrow();
        let offsets = |addresses: &mut dyn Iterator<Item = u64>| {
            addresses.map(|one| one & 0xfff).collect::<Vec<_>>()
        };
        let asked = offsets(&mut due.iter().map(|(_, va, _)| *va));
        assert_eq!(offsets(&mut answered.iter().copied()), asked);
    }
}

/// Row 22: the same in `run`, on either backend, one reference at a time and overlapped: both pages are translated and no third is touched.
#[test]
fn run_translates_both_pages_of_a_reference_that_crosses() {
    // Crossings of three pages in a row, the first of them from 0x10000; and two references that end with a page.
    let trace = "I  00010ffe,4\n L 00011ffc,8\n S 00011fff,2\n L 00011ff8,8\n S 00012ff0,16\n";
    for backend in ["model", "rtl"] {
        for window in ["1", "4"] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
                .args(["run", "--trace", "-", "--json", "--backend", backend])
                .args(["--set", &format!("front_end.window={window}")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the binary runs");
            let mut input = child.stdin.take().expect("a pipe");
            input.write_all(trace.as_bytes()).expect("it reads");
            drop(input);
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{backend}: {output:?}");
            let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(found["references"], 5);
            assert_eq!(found["translations"], 8);
            assert_eq!(found["events"]["page_crossings"], 3);
            assert_eq!(found["pages"], 3);
            assert_eq!(found["itlb"]["lookups"], 2, "{backend}: {found}");
        }
    }
}

/// Row 24: each of the twelve bits, and then none of them.
#[test]
fn pcide_is_not_set_while_cr3_has_low_bits() {
    for bit in 0..12 {
        let trace = run(&format!(
            "space s 4\nmap 0x401000 -> 0x9000 4k rw A D\nboot s PGE\ncr3 s|{:#x}\ndrain\ncr4 PAE|PGE|PCIDE\ndrain\n\
             read 0x401000\ndrain\ncr3 s\ndrain\ncr4 PAE|PGE|PCIDE\ndrain\ncr3 s|{:#x}\ndrain\nread 0x401000\ndrain\n",
            1u64 << bit,
            1u64 << bit
        ))
        .trace;
        let refused = after(&trace, " register  cr3 = 0x1000");
        assert_eq!(lines(&trace, &["#GP"]), 1, "bit {bit}: {trace}");
        assert_eq!(
            lines(&trace, &["register", "cr4 = 0x200a0"]),
            1,
            "bit {bit}: {trace}"
        );
        assert_eq!(lines(refused, &["#GP"]), 0, "{trace}");
        assert_eq!(lines(&trace, &["response", "pa 0x9000 4k"]), 2, "{trace}");
    }
    // Nor outside IA-32e mode.
    let trace = run("cr4 PAE|PCIDE\ndrain\ncr4 PAE\ndrain\n").trace;
    assert_eq!(lines(&trace, &["#GP"]), 1, "{trace}");
    assert_eq!(lines(&trace, &["register", "cr4 = 0x20020"]), 0, "{trace}");
}

/// Row 25.
#[test]
fn bit_63_of_cr3_is_not_stored_and_no_walk_begins_there() {
    for preset in ["default", "tiny"] {
        let trace = run(&format!(
            "config preset:{preset}\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw A D\nmap 0x402000 -> 0xa000 4k rw A D\n\
             boot s PCIDE\nread 0x401000\ndrain\ncr3 s|keep\ndrain\nread 0x401000\ndrain\ncr3 s|pcid=0xfff|keep\ndrain\nread 0x402000\ndrain\n\
             invpcid 2\ndrain\nread 0x402000\ndrain\n"
        ))
        .trace;
        assert_eq!(lines(&trace, &["register", "cr3 = 0x8"]), 0, "{trace}");
        assert_eq!(lines(&trace, &["register", "cr3 = 0x1fff"]), 1, "{trace}");
        assert_eq!(lines(&trace, &["data1 hit 4k"]), 1, "{trace}");
        assert_eq!(lines(&trace, &["memory", " read 0x1000"]), 3, "{trace}");
        answers(
            &trace,
            &[
                "pa 0x9000 4k",
                "pa 0x9000 4k",
                "pa 0xa000 4k",
                "pa 0xa000 4k",
            ],
        );
        // Without PCIDs the bit is reserved.
        let trace = run(&format!(
            "config preset:{preset}\nspace s 4\nmap 0x401000 -> 0x9000 4k rw A D\nboot s\ncr3 s|keep\ndrain\nread 0x401000\ndrain\n"
        ))
        .trace;
        assert_eq!(lines(&trace, &["#GP"]), 1, "{trace}");
        answers(&trace, &["pa 0x9000 4k"]);
    }
}

/// Row 26: by the number of reads, by the address of each, and by what would be found one level lower.
#[test]
fn a_walk_has_as_many_levels_as_the_mode_and_begins_at_the_root() {
    for preset in ["default", "tiny", "no-psc"] {
        for (levels, va) in [
            (4, 0x1234_5678_9000u64),
            (5, 0x1234_5678_9000),
            (5, 0x00ab_cdef_1234_5000),
            (5, 0xff00_0000_0000_0000),
        ] {
            let text = format!(
                "config preset:{preset}\ntables 0x1000 accessed\nspace s {levels}\nmap {va:#x} -> 0x9000 4k rw A D\nboot s\nread {va:#x}\ndrain\n"
            );
            let trace = run(&text).trace;
            answers(&trace, &["pa 0x9000 4k"]);
            assert_eq!(lines(&trace, &["memory", " read "]), levels, "{trace}");
            for level in 1..=levels as u64 {
                let table = 0x1000 * (levels as u64 + 1 - level);
                let index = va >> (12 + 9 * (level - 1)) & 0x1ff;
                let read = format!(" read {:#x}", table + 8 * index);
                let here = trace.lines().filter(|line| line.ends_with(&read)).count();
                assert_eq!(here, 1, "level {level}: {trace}");
            }
        }
    }
    // Bits 56:48 matter with 57 bits, and make the address wrong with 48.
    let text = |levels| {
        format!(
            "tables 0x1000 accessed\nspace s {levels}\nmap 0x401000 -> 0x9000 4k rw A D\nboot s\nread 0x401000\ndrain\nread 0x1000000401000\ndrain\n"
        )
    };
    let absent = "page fault at 0x1000000401000, error code 0x0";
    answers(&run(&text(5)).trace, &["pa 0x9000 4k", absent]);
    answers(
        &run(&text(4)).trace,
        &["pa 0x9000 4k", "general protection"],
    );
}
