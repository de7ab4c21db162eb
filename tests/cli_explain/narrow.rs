//! 32-bit paging: against walks by hand, and shown as it is there.
//!
//! Contract: 1.5, 8.3, 8.4. SDM vol. 3A, 4.3. Counterpart: none.

use super::{explain, object, text};

#[test]
fn a_narrow_address_is_split_by_ten_ten_and_twelve_bits() {
    let split = object(&["0xc0de1234", "--mode", "32"])["split"].take();
    assert_eq!(split["indices"][0]["index"], 0x303);
    assert_eq!(split["indices"][1]["entry_bytes"], 4);
    assert_eq!(split["pages"][1]["size"], "4m");
    let wide = object(&["0xffffffffc0de1234", "--mode", "32"])["split"].take();
    assert_eq!(wide["indices"], split["indices"]);
    assert_eq!(wide["extended"], "0xc0de1234");
    let because = wide["because"].as_str().expect("a reason");
    assert!(because.contains("0xffffffff, and are ignored"), "{because}");
}

/// A situation of 32-bit paging: maps and control bits as options, the entries that are read, the outcome.
type Narrow<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

/// What a hand finds with the manual's figures 4-2 to 4-4: each entry with where it stands, and the physical address or the error code.
const BY_HAND: [Narrow; 9] = [
    // 0x40abcd: PDE 1, PTE 0xa, offset 0xbcd; of a 4 MiB page offset 0xabcd.
    (
        &["--map", "0x40a000=0x5000"],
        &[("0x1004", "0x2027"), ("0x2028", "0x5067")],
        "0x5bcd",
    ),
    (
        &["--map", "0x400000=0x1400000,4m"],
        &[("0x1004", "0x14000e7")],
        "0x140abcd",
    ),
    // Bits 39:32, 0x12, stand in bits 20:13.
    (
        &["--map", "0x400000=0x1280000000,4m"],
        &[("0x1004", "0x800240e7")],
        "0x128000abcd",
    ),
    (
        &["--map", "0x400000=0x1400000,4m,bit21=1"],
        &[("0x1004", "0x16000e7")],
        "0xd",
    ),
    // Bits 39:38 of the address are reserved on a machine with 38.
    (
        &[
            "--map",
            "0x400000=0x4080000000,4m",
            "--set",
            "capabilities.maxphyaddr_bits=38",
        ],
        &[("0x1004", "0x800800e7")],
        "0xd",
    ),
    // PS is ignored: the page at 12 MiB is a table, and its entry 0xa is 0.
    (
        &["--map", "0x400000=0xc00000,4m", "--cr", "pse=0"],
        &[("0x1004", "0xc000e7"), ("0xc00028", "0x0")],
        "0x4",
    ),
    (
        &[
            "--map",
            "0x40a000=0x5000",
            "--cr",
            "smep=1",
            "--cpl",
            "0",
            "--access",
            "fetch",
        ],
        &[("0x1004", "0x2027"), ("0x2028", "0x5067")],
        "0x11",
    ),
    (
        &["--map", "0x40a000=0x5000,pde.absent"],
        &[("0x1004", "0x2026")],
        "0x4",
    ),
    // No SMEP: bit 4 stays 0 for a fetch, whatever EFER.NXE is.
    (
        &["--map", "0x40a000=0x5000,absent", "--access", "fetch"],
        &[("0x1004", "0x2027"), ("0x2028", "0x5066")],
        "0x4",
    ),
];

#[test]
fn in_32_bit_paging_the_walk_is_the_one_that_a_hand_finds() {
    for (options, entries, end) in BY_HAND {
        let arguments = [&["0x40abcd", "--mode", "32"], options].concat();
        let found = object(&arguments);
        let walk = &found["access"]["walks"][0];
        let read = walk["entries"].as_array().expect("entries").iter();
        let read: Vec<_> = read
            .map(|entry| (entry["address"].as_str(), entry["value"].as_str()))
            .collect();
        let expected: Vec<_> = entries
            .iter()
            .map(|(at, value)| (Some(*at), Some(*value)))
            .collect();
        assert_eq!(read, expected, "{options:?}");
        let outcome = &walk["outcome"];
        let code = outcome["error_code"]
            .as_u64()
            .map(|code| format!("{code:#x}"));
        let address = outcome["physical_address"].as_str().map(str::to_owned);
        assert_eq!(code.or(address).as_deref(), Some(end), "{options:?}");
        let response = found["access"]["runs"][0]["response"].as_str();
        assert!(
            response.is_some_and(|text| text.contains(end)),
            "{options:?}: {response:?}"
        );
    }
}

#[test]
fn in_32_bit_paging_entries_and_arrays_are_shown_as_they_are_there() {
    let arguments = ["0x401abc", "--mode", "32", "--map"];
    let output = explain(
        &[
            &arguments[..],
            &["0x400000=0x1280000000,4m,d=0", "--access", "write"],
        ]
        .concat(),
    );
    let page = text(&output.stdout);
    for line in [
        " = 0x1004 holds 0x800240a7: maps the page of 4 MiB at 0x1280000000",
        "20:13  addr high  0x1200000000",
        "D set by compare-and-set: 0x800240a7 becomes 0x800240e7",
        "the PDE at 0x1004, the upper half of 8 bytes",
        "gives 0x800240a7 (P RW US A PS)",
        "with a page of 4m: va 0x400000 pa",
        "hit in the array of 4M pages",
        "32-bit paging has no protection keys",
        "page of 4m",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(!page.contains("2M") && !page.contains("not set"), "{page}");
}
