//! Flushes, faults and answers that meet at one moment: rows that depend on the cycle.
//!
//! Contract: 6 to 9. SDM vol. 3A, 4.10. Counterpart: `../races.rs`, the same at every offset.

use twinwalk::cosim::lockstep::Report;

use crate::lockstep_support::history::{self, lines};

/// Two pages in one table, one in another, and a 2 MiB page.
const TABLES: &str = "\
tables 0x1000 accessed
space s 4
map 0x401000 -> 0x9000 4k rw user A D
map 0x402000 -> 0xa000 4k rw user A D
map 0x601000 -> 0xb000 4k rw user A D
map 0x800000 -> 0xc00000 2m rw user A D
";

/// Runs a history on both twins; its report, and the trace, which is the same of both.
fn history(header: &str, operations: &str) -> (Report, String) {
    let ran = history::run(&format!("{header}{TABLES}{operations}"));
    (ran.report, ran.trace)
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
         read 0x402000 user\ninvpcid 0 pcid=5 va=0x402000\ndrain\nread 0x402000 user\ndrain\n\
         invpcid 1 pcid=5\ndrain\nread 0x402000 user\ndrain\n\
         cr3 s|pcid=5\ndrain\ncr3 s|keep\ndrain\nread 0x402000 user\ndrain\n";
    let (_, trace) = history("", operations);
    // The page that was named is walked again, and no other; the other context's flushes, of which MOV CR3 is one, remove nothing.
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
