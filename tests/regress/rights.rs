//! Faults that depend on where the translation came from, and rights that were frozen when it was cached.
//!
//! Contract: 6, 11. SDM vol. 3A, 4.6, 4.7, 4.10.2.2. Counterpart: `walk.rs`, the faults that the entries give.

use crate::lockstep_support::history::{answers, lines, responses, run, walks};

/// A page, the mode, an access that it denies, one that it allows and that caches it, and the error code.
struct Denial {
    page: &'static str,
    flags: &'static str,
    denied: &'static str,
    allowed: &'static str,
    code: &'static str,
}

const fn denial(
    page: &'static str,
    flags: &'static str,
    denied: &'static str,
    allowed: &'static str,
    code: &'static str,
) -> Denial {
    Denial {
        page,
        flags,
        denied,
        allowed,
        code,
    }
}

/// Ports differ only where fetches are denied: the access that fills goes through the port that is denied, or fills the second level.
const DENIALS: [Denial; 14] = [
    denial(
        "rw A D",
        "NXE",
        "read 0x401000 user",
        "read 0x401000",
        "0x5",
    ),
    denial(
        "rw A D",
        "NXE",
        "write 0x401000 user",
        "read 0x401000",
        "0x7",
    ),
    denial(
        "rw A D",
        "NXE",
        "fetch 0x401000 user",
        "fetch 0x401000",
        "0x15",
    ),
    denial("rw A D", "", "fetch 0x401000 user", "fetch 0x401000", "0x5"),
    denial(
        "user A D",
        "NXE",
        "write 0x401000 user",
        "read 0x401000 user",
        "0x7",
    ),
    denial("user A", "WP", "write 0x401000", "read 0x401000", "0x3"),
    denial(
        "rw user A D xd",
        "NXE",
        "fetch 0x401000 user",
        "read 0x401000",
        "0x15",
    ),
    denial(
        "rw user A D",
        "SMEP",
        "fetch 0x401000",
        "fetch 0x401000 user",
        "0x11",
    ),
    denial(
        "rw user A D",
        "SMAP",
        "read 0x401000",
        "read 0x401000 ac",
        "0x1",
    ),
    denial(
        "rw user A D",
        "SMAP",
        "write 0x401000 implicit ac",
        "write 0x401000 ac",
        "0x3",
    ),
    denial(
        "rw user A D",
        "SMAP",
        "write 0x401000 user implicit",
        "write 0x401000 user",
        "0x3",
    ),
    denial(
        "rw user A D key=3",
        "PKE",
        "read 0x401000 user pkru=0x40",
        "read 0x401000 user",
        "0x25",
    ),
    denial(
        "rw user A D key=3",
        "PKE WP",
        "write 0x401000 pkru=0x80",
        "write 0x401000",
        "0x23",
    ),
    denial(
        "user A D key=3",
        "PKE",
        "write 0x401000 user pkru=0x80",
        "read 0x401000 user",
        "0x27",
    ),
];

/// Row 14.
#[test]
fn the_fault_is_the_same_whether_a_tlb_holds_the_page_or_not() {
    for preset in ["default", "tiny"] {
        for Denial {
            page,
            flags,
            denied,
            allowed,
            code,
        } in DENIALS
        {
            let text = format!(
                "config preset:{preset}\nset memory.latency_cycles=3\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k {page}\n\
                 boot s {flags}\n{denied}\ndrain\n{allowed}\ndrain\n{denied}\ndrain\n{allowed}\ndrain\n"
            );
            let trace = run(&text).trace;
            let fault = format!("page fault at 0x401000, error code {code}");
            answers(&trace, &[&fault, "pa 0x9000 4k", &fault, "pa 0x9000 4k"]);
            // Cold it is a walk's, warm it begins as a hit that is denied.
            assert_eq!(lines(&trace, &["hit, denied"]), 1, "{denied}: {trace}");
            assert_eq!(walks(&trace), 4, "{denied}: {trace}");
        }
    }
}

/// Row 14, where the entry lies in the second level alone.
#[test]
fn the_fault_of_a_second_level_hit_is_that_of_a_walk() {
    let text = "config preset:default\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw A D\nboot s NXE\n\
                read 0x401000\ndrain\nfetch 0x401000 user\ndrain\nread 0x401000\ndrain\nfetch 0x401000\ndrain\n";
    let trace = run(text).trace;
    answers(
        &trace,
        &[
            "pa 0x9000 4k",
            "page fault at 0x401000, error code 0x15",
            "pa 0x9000 4k",
            "pa 0x9000 4k",
        ],
    );
    assert_eq!(lines(&trace, &[" stlb ", "hit, denied"]), 1, "{trace}");
}

/// A page and accesses and register writes, each access with its outcome: `-` is translated.
type Changes = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// What was cached under one right is judged by what is in force at each access. Nothing is invalidated here but what SMEP takes along.
const CHANGES: [Changes; 7] = [
    (
        "rw A D",
        "",
        &[
            ("read 0x401000", "-"),
            ("read 0x401000 user", "0x5"),
            ("read 0x401000 cpl=2", "-"),
            ("read 0x401000 user implicit", "-"),
        ],
    ),
    (
        "user A D",
        "",
        &[
            ("write 0x401000", "-"),
            ("cr0 PE|PG|WP", ""),
            ("write 0x401000", "0x3"),
            ("read 0x401000", "-"),
            ("cr0 PE|PG", ""),
            ("write 0x401000", "-"),
            ("write 0x401000 user", "0x7"),
        ],
    ),
    (
        "rw user A D",
        "",
        &[
            ("fetch 0x401000", "-"),
            ("cr4 PAE|SMEP", ""),
            ("fetch 0x401000", "0x11"),
            ("fetch 0x401000 user", "-"),
            ("cr4 PAE", ""),
            ("fetch 0x401000", "-"),
        ],
    ),
    (
        "rw user A D",
        "",
        &[
            ("read 0x401000", "-"),
            ("cr4 PAE|SMAP", ""),
            ("read 0x401000", "0x1"),
            ("read 0x401000 ac", "-"),
            ("read 0x401000 ac implicit", "0x1"),
            ("cr4 PAE", ""),
            ("read 0x401000", "-"),
        ],
    ),
    (
        "rw user A D",
        "SMAP",
        &[
            ("read 0x401000 ac", "-"),
            ("read 0x401000", "0x1"),
            ("read 0x401000 user", "-"),
            ("write 0x401000", "0x3"),
            ("write 0x401000 ac", "-"),
        ],
    ),
    (
        "rw user A D key=15",
        "PKE",
        &[
            ("write 0x401000 user", "-"),
            ("write 0x401000 user pkru=0x80000000", "0x27"),
            ("read 0x401000 user pkru=0x80000000", "-"),
            ("read 0x401000 user pkru=0x40000000", "0x25"),
            ("fetch 0x401000 user pkru=0xffffffff", "-"),
            ("read 0x401000 user pkru=0x3fffffff", "-"),
        ],
    ),
    (
        "rw user A D key=15",
        "",
        &[
            ("read 0x401000 user pkru=0xffffffff", "-"),
            ("cr4 PAE|PKE", ""),
            ("read 0x401000 user pkru=0x40000000", "0x25"),
            ("read 0x401000 pkru=0x80000000", "-"),
            ("write 0x401000 pkru=0x80000000", "-"),
            ("cr0 PE|PG|WP", ""),
            ("write 0x401000 pkru=0x80000000", "0x23"),
        ],
    ),
];

/// Row 15.
#[test]
fn rights_that_change_after_the_fill_bind_the_next_hit() {
    for preset in ["default", "tiny"] {
        for (page, flags, steps) in CHANGES {
            let mut text = format!(
                "config preset:{preset}\nset memory.latency_cycles=3\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k {page}\nboot s {flags}\n"
            );
            let mut expected = Vec::new();
            for (step, outcome) in steps {
                text += &format!("{step}\ndrain\n");
                match *outcome {
                    "" => {}
                    "-" => expected.push("pa 0x9000 4k".to_owned()),
                    code => expected.push(format!("page fault at 0x401000, error code {code}")),
                }
            }
            let trace = run(&text).trace;
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            answers(&trace, &expected);
        }
    }
}

/// Row 15: what needs no flush needs no walk either.
#[test]
fn a_right_that_is_given_back_needs_no_walk() {
    let trace = run(
        "tables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k user A D\nboot s WP SMAP PKE\n\
         read 0x401000 ac\ndrain\ncr0 PE|PG\ncr4 PAE|PKE\ndrain\nwrite 0x401000\ndrain\nread 0x401000 user pkru=0xc\ndrain\n",
    )
    .trace;
    assert_eq!(walks(&trace), 1, "{trace}");
    assert_eq!(responses(&trace).len(), 3);
    assert_eq!(lines(&trace, &["data1 hit 4k"]), 2, "{trace}");
}
