//! Results of a walk that are wrong: reserved bits, bus errors, fills by walks that faulted, frames merged wrongly.
//!
//! Contract: 6, 8.4, 8.5, 11. SDM vol. 3A, 4.5, 4.7. Counterpart: `rights.rs`, the faults that rights give.

use std::fmt::Write as _;

use crate::lockstep_support::history::{after, answers, lines, responses, run, walks};

/// Row 9: every low bit of both sizes faults, and bit 12 is PAT.
#[test]
fn a_huge_page_whose_frame_is_not_aligned_is_not_taken() {
    for (size, base, step, top) in [
        ("2m", 0x4000_0000u64, 0x20_0000u64, 21),
        ("1g", 0x40_0000_0000, 0x4000_0000, 30),
    ] {
        let (mut image, mut operations, mut expected) = (String::new(), String::new(), vec![]);
        for (number, bit) in (12..=top).enumerate() {
            let va = base + step * number as u64;
            // Behind the last reserved bit stands the first of the frame.
            let frame = if bit == top { 1u64 << top } else { 0 };
            let flag = match bit {
                12 => "pat".to_owned(),
                _ if bit == top => String::new(),
                _ => format!("bits={:#x}", 1u64 << bit),
            };
            let _ = writeln!(image, "map {va:#x} -> {frame:#x} {size} rw user A D {flag}");
            for access in ["read", "write", "fetch"] {
                let _ = write!(operations, "{access} {:#x} user\ndrain\n", va + 0x1240);
                let code = match access {
                    "read" => 0xd,
                    "write" => 0xf,
                    _ => 0x1d,
                };
                expected.push(match bit {
                    12 => format!("pa 0x1240 {size} pat"),
                    _ if bit == top => format!("pa {:#x} {size}", frame + 0x1240),
                    _ => format!("page fault at {:#x}, error code {code:#x}", va + 0x1240),
                });
            }
        }
        let trace = run(&format!(
            "tables 0x1000 accessed\nspace s 4\n{image}boot s NXE\n{operations}"
        ))
        .trace;
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        answers(&trace, &expected);
        // What faulted was never cached.
        assert_eq!(lines(&trace, &["fill", &format!("stlb.{size}")]), 2);
    }
}

/// Sets `bits` in an entry of each level in turn; what a read and a fetch of the address say.
fn at_each_level(bits: u64, five_level: bool, flags: &str) -> Vec<(&'static str, String)> {
    let va = if five_level {
        0x12_3456_7890_1000u64
    } else {
        0x3456_7890_1000
    };
    let levels = ["pte", "pde", "pdpte", "pml4e", "pml5e"];
    let mut found = Vec::new();
    let depth = if five_level { 5 } else { 4 };
    for (below, level) in levels[..depth].iter().enumerate() {
        // The tables stand in order from the root at 0x1000 on.
        let value = match below {
            0 => "page 4k 0x9000".to_owned(),
            _ => format!("table {:#x}", 0x1000 * (depth - below + 1)),
        };
        let text = format!(
            "set memory.latency_cycles=2\ntables 0x1000 accessed\nspace s {depth}\nmap {va:#x} -> 0x9000 4k rw user A D\nboot s {flags}\n\
             store {level}@{va:#x} = {value} rw user A bits={bits:#x}\nread {va:#x}\ndrain\nfetch {va:#x}\ndrain\n"
        );
        let trace = run(&text).trace;
        let both: Vec<&str> = responses(&trace);
        assert_eq!(both.len(), 2, "{trace}");
        for answer in both {
            let what = answer.split_once(" at ").map_or(answer, |(_, what)| what);
            found.push((*level, what.to_owned()));
        }
        if both_fault(&found) {
            // The walk ends at the entry: nothing is read below it, and nothing is filled.
            assert_eq!(lines(&trace, &["  fill  "]), 0, "{trace}");
            let reads = lines(&trace, &["memory", " read "]);
            assert_eq!(reads, 2 * (depth - below), "{level}: {trace}");
        }
    }
    found
}

fn both_fault(found: &[(&str, String)]) -> bool {
    found
        .iter()
        .rev()
        .take(2)
        .all(|(_, what)| what.contains("error code"))
}

#[track_caller]
fn all_reserved(found: &[(&str, String)], codes: [&str; 2]) {
    for (index, (level, what)) in found.iter().enumerate() {
        let code = format!("error code {} (", codes[index % 2]);
        assert!(what.contains(&code), "{level}: {what}, not {code}");
    }
}

/// Row 10: the bits above the machine's physical addresses, at every level, for fetches as for data.
#[test]
fn a_reserved_bit_is_seen_by_fetches_and_by_data_at_every_level() {
    for bit in [46, 49, 51] {
        for five_level in [false, true] {
            let found = at_each_level(1 << bit, five_level, "NXE");
            all_reserved(&found, ["0x9", "0x19"]);
            let found = at_each_level(1 << bit, five_level, "");
            all_reserved(&found, ["0x9", "0x9"]);
        }
    }
    // Bits 62:52 are ignored, and so is G above the leaf.
    let found = at_each_level(0x7ff0_0000_0000_0000, true, "NXE");
    let ignored = |what: &String| what.contains("pa 0x9000 4k");
    assert!(found.iter().all(|(_, what)| ignored(what)), "{found:?}");
}

/// Row 10: bit 7 is PAT in a PTE, the page size in PDE and PDPTE, and reserved above.
#[test]
fn bit_7_means_something_else_at_each_level() {
    let found = at_each_level(1 << 7, true, "NXE");
    for (index, (level, what)) in found.iter().enumerate() {
        let code = ["0x9", "0x19"][index % 2];
        let due = match *level {
            "pte" => "pa 0x9000 4k pat".to_owned(),
            // The table is no aligned frame: its bit 14 is reserved in a large page.
            _ => format!("error code {code} ("),
        };
        assert!(what.contains(&due), "{level}: {what}, not {due}");
    }
    let text = "tables 0x1000 accessed\nspace s 4\nmap 0x40000000 -> 0x80000000 1g rw user A D\n\
                map 0x80200000 -> 0xc00000 2m rw user A D pat\nboot s\nread 0x40001000\nread 0x80201000\ndrain\n";
    answers(
        &run(text).trace,
        &["pa 0x80001000 1g", "pa 0xc01000 2m pat"],
    );
}

/// Row 11.
#[test]
fn execute_disable_without_nxe_is_a_reserved_bit_and_the_fetch_bit_of_the_code_follows_nxe_and_smep()
 {
    let xd = 1u64 << 63;
    all_reserved(&at_each_level(xd, false, ""), ["0x9", "0x9"]);
    all_reserved(&at_each_level(xd, false, "SMEP"), ["0x9", "0x19"]);
    let xd_means_no_fetch = at_each_level(xd, true, "NXE");
    for (index, (level, what)) in xd_means_no_fetch.iter().enumerate() {
        let due = ["pa 0x9000 4k", "error code 0x11 ("][index % 2];
        assert!(what.contains(due), "{level}: {what}");
    }
    for (flags, code) in [
        ("", "0x0"),
        ("NXE", "0x10"),
        ("SMEP", "0x10"),
        ("NXE SMEP", "0x10"),
    ] {
        let text = format!(
            "tables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw A D\nboot s {flags}\nfetch 0x402000\ndrain\nread 0x402000\ndrain\n"
        );
        let fetch = format!("page fault at 0x402000, error code {code}");
        answers(
            &run(&text).trace,
            &[&fetch, "page fault at 0x402000, error code 0x0"],
        );
    }
}

/// Row 12: whatever the fault, nothing of the walk stays; once the entry is mended, the next access is translated.
#[test]
fn a_walk_that_faults_fills_no_tlb() {
    for preset in ["default", "tiny", "no-psc"] {
        for (entry, access, code) in [
            (
                "page 4k 0x9000 rw user A D absent",
                "read 0x401000 user",
                "0x4",
            ),
            (
                "page 4k 0x9000 rw user A D bits=0x8000000000000",
                "write 0x401000 user",
                "0xf",
            ),
            ("page 4k 0x9000 rw A D", "read 0x401000 user", "0x5"),
            ("page 4k 0x9000 user A D", "write 0x401000 user", "0x7"),
            (
                "page 4k 0x9000 rw user A D xd",
                "fetch 0x401000 user",
                "0x15",
            ),
            (
                "page 4k 0x9000 rw user A D key=1",
                "write 0x401000 user pkru=0xc",
                "0x27",
            ),
        ] {
            let again = access
                .split_once(" pkru")
                .map_or(access, |(access, _)| access);
            let trace = run(&format!(
                "config preset:{preset}\ntables 0x1000 accessed\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user A D\nboot s NXE PKE\n\
                 store pte@0x401000 = {entry}\n{access}\ndrain\n\
                 store pte@0x401000 = page 4k 0xb000 rw user A D\n{again}\ndrain\n"
            ))
            .trace;
            let fault = format!("page fault at 0x401000, error code {code}");
            answers(&trace, &[&fault, "pa 0xb000 4k"]);
            let until = trace.find(" response ").expect("an answer");
            assert_eq!(lines(&trace[..until], &["fill  "]), 0, "{trace}");
            assert_eq!(walks(&trace), 2, "{trace}");
        }
    }
}

/// Row 13: at every level, for each kind of access; and the machine goes on.
#[test]
fn a_table_outside_memory_is_a_bus_error_and_no_page_fault() {
    for preset in ["default", "tiny"] {
        for level in ["pde", "pdpte", "pml4e"] {
            for access in ["read", "write", "fetch"] {
                let trace = run(&format!(
                    "config preset:{preset}\nset memory.size_bytes=0x100000\ntables 0x1000 accessed\nspace s 4\n\
                     map 0x401000 -> 0x9000 4k rw user A D\nmap 0x8000601000 -> 0x7f000000 4k rw user A D\nboot s\n\
                     store {level}@0x401000 = table 0x100000 rw user A\n{access} 0x401000 user\ndrain\n{access} 0x8000601000 user\ndrain\n"
                ))
                .trace;
                // A page outside memory is none of the walker's business.
                answers(&trace, &["bus error", "pa 0x7f000000 4k"]);
                let until = trace.find(" response ").expect("an answer");
                assert_eq!(lines(&trace[..until], &["fill  "]), 0, "{trace}");
            }
        }
        let trace = run(&format!(
            "config preset:{preset}\nset memory.size_bytes=0x100000\nspace s 4\nmap 0x401000 -> 0x9000 4k rw user A D\n\
             boot s\ncr3 0x100000\ndrain\nread 0x401000\ndrain\ncr3 s\ndrain\nread 0x401000\ndrain\n"
        ))
        .trace;
        answers(&trace, &["bus error", "pa 0x9000 4k"]);
    }
}

/// Row 16: the bits of the address that belong to the page, from the walk, from a first-level hit and from a second-level hit.
#[test]
fn the_frame_of_a_huge_page_is_merged_at_its_own_size_on_every_path() {
    for preset in ["default", "tiny", "l1-only"] {
        for (size, frame, bytes) in [
            ("4k", 0x3f_ffff_f000u64, 0x1000u64),
            ("2m", 0x3f_ffe0_0000, 0x20_0000),
            ("1g", 0x3f_c000_0000, 0x4000_0000),
        ] {
            let mut text = format!(
                "config preset:{preset}\nset memory.latency_cycles=2\ntables 0x1000 accessed\nspace s 4\n\
                 map 0x40000000 -> {frame:#x} {size} rw user A D\nboot s\n"
            );
            let mut expected = Vec::new();
            let mut offset = 1;
            while offset <= bytes {
                let at = if offset == bytes { bytes - 1 } else { offset };
                // The first of all walks, the first fetch finds it in the second level, the others in the first.
                for access in ["read", "fetch"] {
                    let _ = write!(text, "{access} {:#x} size=1\ndrain\n", 0x4000_0000 + at);
                    expected.push(format!("pa {:#x} {size}", frame + at));
                }
                offset *= 2;
            }
            let trace = run(&text).trace;
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            answers(&trace, &expected);
            assert!(walks(&trace) <= 2, "{trace}");
        }
    }
}

/// Row 16: a machine that has no such pages, and one that has no place to keep them.
#[test]
fn a_page_size_that_is_not_supported_faults_and_one_that_no_array_holds_is_walked() {
    let map = "tables 0x1000 accessed\nspace s 4\nmap 0x40000000 -> 0x80000000 1g rw A D\nboot s\n";
    let reads = "read 0x40000000\ndrain\nread 0x7ffff000\ndrain\n";
    let trace = run(&format!("config preset:narrow\n{map}{reads}")).trace;
    let faults = [
        "page fault at 0x40000000, error code 0x9",
        "page fault at 0x7ffff000, error code 0x9",
    ];
    answers(&trace, &faults);
    // Its DTLB has no array for them, its STLB has; its ITLB has none for 2 MiB pages.
    let trace = run(&format!(
        "config preset:patchwork\n{map}{reads}store pdpte@0x40000000 = page 1g 0xc0000000 rw A D\ninvlpg 0x5555_5000\ndrain\nread 0x40000010\ndrain\n"
    ))
    .trace;
    answers(
        &trace,
        &["pa 0x80000000 1g", "pa 0xbffff000 1g", "pa 0xc0000010 1g"],
    );
    assert_eq!(lines(&trace, &["fill", "dtlb.1g"]), 0, "{trace}");
    let behind = after(&trace, "control   invlpg");
    assert_eq!(lines(behind, &["remove", "stlb.1g"]), 1, "{trace}");
}
