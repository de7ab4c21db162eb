//! Accessed and dirty bits that are set when they must not be, or never, or over a newer entry.
//!
//! Contract: 8.3, 8.4. SDM vol. 3A, 4.8. Counterpart: `rights.rs`, what makes a walk fault.

use crate::lockstep_support::history::{after, answers, last_request, lines, run, walks};

/// Row 17: nothing of the entry that maps the page is touched by a walk that ends in a fault.
#[test]
fn a_walk_that_must_fault_sets_neither_accessed_nor_dirty() {
    for preset in ["default", "tiny", "no-psc"] {
        for (page, access, code) in [
            ("4k absent", "write 0x401000", "0x2"),
            ("4k rw user bits=0x8000000000000", "write 0x401000", "0xb"),
            ("4k user", "write 0x401000 user", "0x7"),
            ("4k", "write 0x401000", "0x3"),
            ("4k rw", "read 0x401000 user", "0x5"),
            ("4k rw user xd", "fetch 0x401000 user", "0x15"),
            ("4k rw user", "fetch 0x401000", "0x11"),
            ("4k rw user", "write 0x401000", "0x3"),
            ("4k rw user key=2", "write 0x401000 user pkru=0x20", "0x27"),
            ("2m user", "write 0x401000 user", "0x7"),
            ("1g user", "write 0x401000 user", "0x7"),
        ] {
            let base = match &page[..2] {
                "4k" => "0x401000",
                "2m" => "0x400000",
                _ => "0x0",
            };
            let trace = run(&format!(
                "config preset:{preset}\nset memory.latency_cycles=2\ntables 0x1000 accessed\nspace s 4\nmap {base} -> 0x0 {page}\n\
                 boot s WP NXE SMEP SMAP PKE\n{access}\ndrain\n"
            ))
            .trace;
            answers(
                &trace,
                &[&format!("page fault at 0x401000, error code {code}")],
            );
            assert_eq!(lines(&trace, &["compare-and-set 0x"]), 0, "{page}: {trace}");
            assert!(after(&trace, "entries changed").contains("none"), "{trace}");
        }
    }
}

/// Row 17: no entry that refers to a table ever gets D, and a read gives none.
#[test]
fn dirty_is_set_by_writes_alone_and_in_the_leaf_alone() {
    for (access, leaf) in [
        ("read", "0x9027 (P RW US A)"),
        ("fetch", "0x9027 (P RW US A)"),
        ("write", "0x9067 (P RW US A D)"),
    ] {
        let trace = run(&format!(
            "tables 0x1000\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user\nboot s\n{access} 0x401000 user\ndrain\n"
        ))
        .trace;
        let changed = after(&trace, "entries changed");
        assert_eq!(
            lines(changed, &["to 0x", "D)"]),
            usize::from(access == "write"),
            "{trace}"
        );
        assert_eq!(lines(changed, &["to 0x", "(P RW US A"]), 4, "{trace}");
        assert_eq!(lines(changed, &[leaf]), 1, "{trace}");
    }
}

/// Row 18: in each level of TLB, and where the write waits for the read's walk.
#[test]
fn a_write_after_a_read_sets_dirty_once() {
    for preset in ["default", "tiny", "l1-only"] {
        for (size, page, between) in [
            ("4k", "0x401000", "drain\n"),
            ("2m", "0x400000", "drain\n"),
            ("1g", "0x0", "drain\n"),
            ("4k", "0x401000", "+2 "),
            ("2m", "0x400000", "+9 "),
        ] {
            let trace = run(&format!(
                "config preset:{preset}\nset memory.latency_cycles=3\ntables 0x1000 accessed\nspace s 4\nmap {page} -> 0x40000000 {size} rw user\n\
                 boot s\nread 0x401000\n{between}write 0x401000\ndrain\nwrite 0x401008\ndrain\nread 0x401010\ndrain\n"
            ))
            .trace;
            assert_eq!(lines(&trace, &["compare-and-set 0x", "A D"]), 1, "{trace}");
            let changed = after(&trace, "entries changed");
            assert_eq!(lines(changed, &["to 0x", " A D"]), 1, "{trace}");
            assert_eq!(lines(&trace, &["hit, write with D clear"]), 1, "{trace}");
            // What was dirty once is not walked for again.
            assert_eq!(walks(&trace), 2, "{trace}");
            assert_eq!(lines(last_request(&trace), &["data1 hit"]), 1, "{trace}");
        }
    }
}

/// Row 18, where the read was through the other port and the write finds the entry in the second level.
#[test]
fn a_write_that_finds_the_page_in_the_second_level_sets_dirty() {
    let trace = run(
        "tables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user\nboot s\nfetch 0x401000\ndrain\nwrite 0x401000\ndrain\n",
    )
    .trace;
    assert_eq!(
        lines(&trace, &[" stlb ", "hit, write with D clear"]),
        1,
        "{trace}"
    );
    assert_eq!(
        lines(
            after(&trace, "entries changed"),
            &["to 0x9067 (P RW US A D)"]
        ),
        1,
        "{trace}"
    );
}

/// Row 19: the store falls into each cycle of the walk; the page that it names is the one that memory holds in the end.
#[test]
fn an_entry_that_changes_between_its_read_and_its_update_is_not_brought_back() {
    for (preset, every) in [("default", 2), ("tiny", 1)] {
        for (what, kept) in [
            ("page 4k 0xb000 rw user", "(P RW US A D)"),
            ("page 4k 0xb000 rw user absent", ""),
            ("page 4k 0xb000 user", "(P US"),
            ("page 4k 0xb000 rw user bits=0x8000000000000", "(P RW US"),
        ] {
            let mut lost = 0;
            for gap in (0..60).step_by(every) {
                let ran = run(&format!(
                    "config preset:{preset}\nset memory.latency_cycles=2\ntables 0x1000\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user\nboot s\n\
                     write 0x401000 user\n+{gap} store pte@0x401000 = {what}\ndrain\n"
                ));
                lost += ran.report.counters.ad_races_lost;
                let changed = after(&ran.trace, "entries changed");
                // The page table is the fourth table: 0x4000, and the page its second.
                let leaf: Vec<&str> = changed
                    .lines()
                    .filter(|line| line.contains("  0x4008: "))
                    .collect();
                let [leaf] = leaf[..] else {
                    panic!("the store shows once:\n{}", ran.trace)
                };
                let (_, now) = leaf.split_once(" to ").expect("what it holds now");
                let frame = now.contains("0xb0") || now.contains("00b0");
                assert!(frame, "gap {gap}: {leaf}\n{}", ran.trace);
                // A race that was lost is decoded anew: nobody is answered from the entry that is gone.
                let lost_now = lines(&ran.trace, &["memory", " gives ", "b0"]) > 0;
                let old = lines(&ran.trace, &["response", "pa 0x9000"]);
                assert!(!(lost_now && old > 0), "gap {gap}:\n{}", ran.trace);
                // A store that came too late for the walk leaves it as stored, one before it may have been marked.
                let bare = kept.trim_end_matches(" A D)");
                assert!(now.contains(bare), "gap {gap}: {leaf}");
            }
            assert!(lost > 0, "no store fell between: {preset}, {what}");
        }
    }
}

/// Row 19, of a race that is lost twice: the second value is decoded, and the third stays.
#[test]
fn a_race_that_is_lost_twice_ends_with_the_last_value() {
    for second in 1..12 {
        let ran = run(&format!(
            "set memory.latency_cycles=2\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user\nboot s\n\
             write 0x401000 user\n+27 store pte@0x401000 = page 4k 0xb000 rw user\n\
             +{second} store pte@0x401000 = page 4k 0xd000 rw user\ndrain\nwrite 0x401000 user\ndrain\n"
        ));
        let changed = after(&ran.trace, "entries changed");
        assert_eq!(
            lines(changed, &["0x4008: ", " to 0xd0"]),
            1,
            "{}",
            ran.trace
        );
        assert_eq!(
            lines(&ran.trace, &["to 0x9"]),
            lines(&ran.trace, &["from 0x9", "to 0x9"]),
            "{}",
            ran.trace
        );
    }
}
