//! Bugs that memory-management units have shipped with, each as a short history on both twins, named for what went wrong.
//!
//! Contract: 6 to 9. SDM vol. 3A, 4.10. Counterpart: `races.rs`, the same at every offset; `tests/seeded`, the bugs themselves.
//!
//! Each history runs in lockstep, held against the reference and the bound of contract 14; what the RTL's trace must and must not show
//! is asserted on top.

#![cfg(feature = "rtl")]

mod lockstep_support;

use std::cell::RefCell;
use std::rc::Rc;

use lockstep_support::{QUICK, library, rtl, run_stimulus};
use twinwalk::config::Config;
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::lockstep::{Options, Report};
use twinwalk::cosim::rtl::Library;
use twinwalk::cosim::stimulus::parse::parse;
use twinwalk::golden::trace::record;
use twinwalk::model::Mmu;

/// Two pages in one table, one in another, and a 2 MiB page.
const TABLES: &str = "\
tables 0x1000 accessed
space s 4
map 0x401000 -> 0x9000 4k rw user A D
map 0x402000 -> 0xa000 4k rw user A D
map 0x601000 -> 0xb000 4k rw user A D
map 0x800000 -> 0xc00000 2m rw user A D
";

/// The RTL of `config`, found once in each thread.
fn machine(config: &Config) -> Rc<Library> {
    type Found = Vec<(Vec<(&'static str, u64)>, Rc<Library>)>;
    thread_local!(static FOUND: RefCell<Found> = const { RefCell::new(Vec::new()) });
    let parameters = config.rtl_parameters();
    FOUND.with_borrow_mut(|found| {
        if let Some((_, library)) = found.iter().find(|(known, _)| *known == parameters) {
            return Rc::clone(library);
        }
        let library = Rc::new(library(&Recipe::new(config, QUICK)));
        found.push((parameters, Rc::clone(&library)));
        library
    })
}

/// Runs a history on both twins; its report, and the trace, which is the same of both.
fn history(header: &str, operations: &str) -> (Report, String) {
    let text = format!("twinwalk-stim 1\n{header}{TABLES}{operations}");
    let stimulus = parse("history", &text).expect("the history is valid");
    let config = stimulus.setup.machine("history").expect("it fits");
    let library = machine(&config);
    let report = run_stimulus(&stimulus, &config, &library, Options::default());
    assert_eq!(report.finding, None, "{operations}");
    let of_rtl = record("history", &stimulus, &config, rtl(&config, &library, 1));
    let of_model = record("history", &stimulus, &config, Mmu::new(&config));
    let (of_rtl, of_model) = (of_rtl.expect("it runs"), of_model.expect("it runs"));
    assert_eq!(of_rtl, of_model);
    (report, of_rtl)
}

/// How many lines have all of `words`.
fn lines(trace: &str, words: &[&str]) -> usize {
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    trace.lines().filter(has_all).count()
}

#[track_caller]
fn answers(trace: &str, expected: &[&str]) {
    for response in expected {
        let count = lines(trace, &["response", response]);
        assert_eq!(count, 1, "`{response}` is answered {count} times:\n{trace}");
    }
    let responses = lines(trace, &[" response "]);
    assert_eq!(responses, expected.len(), "{trace}");
}

/// Row 1.
#[test]
fn a_late_answer_of_memory_to_a_flushed_walk_does_not_feed_the_next_walk() {
    for walkers in ["tiny", "blocking"] {
        for gap in 4..40 {
            let operations = format!(
                "boot s PCIDE PGE\nread 0x401000 user\n+{gap} invpcid 2\nfetch 0x601000 user\nread 0x402000 user\ndrain\n"
            );
            let header = format!(
                "config preset:{walkers}\nset memory.latency_cycles=9\nset memory.jitter_cycles=7\n"
            );
            let (_, trace) = history(&header, &operations);
            answers(&trace, &["pa 0x9000 4k", "pa 0xb000 4k", "pa 0xa000 4k"]);
        }
    }
}

/// Row 2: the walk that is given up here is that of a prefetch, which meets an entry that is not there, or has a reserved bit.
#[test]
fn the_fault_of_a_walk_that_was_given_up_lands_on_nobody() {
    for store in [
        "page 4k 0xa000 absent",
        "page 4k 0xa000 bits=0x8000000000000",
    ] {
        for gap in 0..30 {
            let operations = format!(
                "boot s PCIDE PGE\nstore pte@0x402000 = {store}\nread 0x401000 user\ndrain\n\
                 +{gap} read 0x601000 user\nfetch 0x601000 user\ndrain\n"
            );
            let header =
                "config preset:parallel\nset memory.latency_cycles=5\nset memory.jitter_cycles=0\n";
            let (report, trace) = history(header, &operations);
            assert_eq!(report.counters.faults.total(), 0);
            assert!(report.counters.prefetch_stops > 0, "{trace}");
            assert_eq!(lines(&trace, &["response", "pa 0xb000 4k"]), 2);
        }
    }
}

/// Row 3: the sweep of the arrays takes several cycles, and requests come in each of them.
#[test]
fn a_change_of_the_root_reaches_tlbs_and_walkers_in_one_cycle_for_every_request() {
    for preset in ["tiny", "blocking"] {
        // With no gap they would be accepted together with the write, and so before it performs.
        for gap in 1..16 {
            let operations = format!(
                "space t 4\nmap 0x401000 -> 0x1f000 4k rw user A D\nboot s PCIDE PGE\nread 0x401000 user\nfetch 0x401000 user\ndrain\n\
                 cr3 t\n+{gap} read 0x401000 user\nfetch 0x401000 user\ndrain\n"
            );
            let (_, trace) = history(&format!("config preset:{preset}\n"), &operations);
            let write = trace.rfind("register  cr3 = ").expect("the write shows");
            let after = &trace[write..];
            assert_eq!(lines(after, &["response", "pa 0x9000"]), 0, "{trace}");
            assert_eq!(lines(after, &["response", "pa 0x1f000"]), 2, "{trace}");
        }
    }
}

/// Row 4.
#[test]
fn a_selective_flush_goes_by_its_own_address_and_context_and_not_by_those_of_the_last_request() {
    let operations = "boot s PCIDE PGE\nread 0x401000 user\nread 0x402000 user\nread 0x601000 user\ndrain\n\
         read 0x601000 user\ninvlpg 0x401000\ndrain\n\
         read 0x402000 user\nread 0x401000 user\ndrain\n\
         read 0x402000 user\ninvpcid 0 pcid=5 va=0x402000\ndrain\nread 0x402000 user\ndrain\n";
    let (_, trace) = history("", operations);
    // The page that was named is walked again, and no other; the other context's flush removes nothing.
    assert_eq!(lines(&trace, &[" walk  ", "starts"]), 4, "{trace}");
    let removed = lines(&trace, &["remove", "tlb.4k"]);
    assert_eq!(
        removed, 2,
        "one entry of the DTLB, one of the STLB:\n{trace}"
    );
}

/// Row 20.
#[test]
fn a_fetch_behind_a_data_fault_keeps_its_own_context() {
    for preset in ["tiny", "blocking"] {
        for gap in 0..40 {
            // A user's read of a supervisor page faults; a supervisor's fetch of it does not, and gets nothing of the other's.
            let operations = format!(
                "map 0x403000 -> 0x1c000 4k rw A D\nboot s NXE\nread 0x403000 user\n+{gap} fetch 0x403000\ndrain\n"
            );
            let header = format!("config preset:{preset}\nset memory.jitter_cycles=0\n");
            let (report, trace) = history(&header, &operations);
            assert_eq!(report.counters.faults.total(), 1);
            answers(
                &trace,
                &[
                    "data1 #0 page fault at 0x403000, error code 0x5",
                    "fetch #0 pa 0x1c000 4k",
                ],
            );
        }
    }
}

/// Row 21.
#[test]
fn many_misses_on_one_huge_page_fill_the_miss_queue_and_are_all_answered() {
    for preset in ["l1-only", "blocking", "crowded"] {
        let mut operations = "boot s PCIDE PGE\n".to_owned();
        for page in 0..24u64 {
            let port = 1 + page % 2;
            operations += &format!("read {:#x} user port={port}\n", 0x80_0000 + 0x1000 * page);
            operations += &format!("fetch {:#x} user\n", 0x80_0000 + 0x1000 * (page + 24));
        }
        operations += "drain\n";
        let (report, trace) = history(&format!("config preset:{preset}\n"), &operations);
        assert_eq!(report.counters.responses_compared, 48);
        assert_eq!(lines(&trace, &["response", "2m"]), 48);
        assert!(report.counters.miss_queue_full > 0);
    }
}

/// Row 23: the response is held up in every cycle of a walk, memory answers after every number of cycles.
#[test]
fn no_cycle_of_a_response_freezes_anything() {
    for latency in [1, 2, 5] {
        for gap in 0..40 {
            let operations = format!(
                "boot s PCIDE PGE\nread 0x401000 user\nfetch 0x401000 user\nread 0x601000 user\n+{gap} hold response1 6\n\
                 hold memory 3\nread 0x401008 user\nread 0x402000 user\ndrain\nread 0x601000 user\ndrain\n"
            );
            let header = format!("config preset:tiny\nset memory.latency_cycles={latency}\n");
            let (report, _) = history(&header, &operations);
            assert_eq!(report.counters.responses_compared, 6);
        }
    }
}
