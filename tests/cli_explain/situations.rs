//! Situations that a student meets: readable, and with figures that add up.
//!
//! Contract: 12. SDM vol. 3A, 4.5 to 4.8. Counterpart: none.

use super::{explain, object, text};

/// Situations that a student meets.
const SITUATIONS: [&[&str]; 16] = [
    &["0x401abc", "--map", "0x401000=0x1234000"],
    &[
        "0x40abcd",
        "--map",
        "0x400000=0x1200000,2m",
        "--access",
        "write",
    ],
    &[
        "0x12345678",
        "--map",
        "0=0x40000000,1g",
        "--access",
        "fetch",
    ],
    &["0x401abc", "--map", "0x401000=0x1234000,pml4e.absent"],
    &["0x401abc", "--map", "0x401000=0x1234000,absent"],
    &["0x40abcd", "--map", "0x400000=0x1200000,2m,bit13=1"],
    &[
        "0x401abc",
        "--map",
        "0x401000=0x1234000",
        "--cpl",
        "0",
        "--cr",
        "smap=1",
    ],
    &[
        "0x401abc",
        "--map",
        "0x401000=0x1234000,nx",
        "--access",
        "fetch",
    ],
    &[
        "0x401abc",
        "--map",
        "0x401000=0x1234000,key=2",
        "--cr",
        "pkru=0x10",
    ],
    &["0x800000000000", "--access", "read"],
    &["0x401abc", "--cr", "pg=0"],
    &[
        "0xff7fffff12340abc",
        "--mode",
        "57",
        "--map",
        "0xff7fffff12340000=0x5000",
    ],
    &[
        "0xffffffffc0de1234",
        "--mode",
        "32",
        "--map",
        "0xc0de1000=0x1234000,a=0,d=0",
        "--access",
        "write",
    ],
    &[
        "0xff00401abc",
        "--mode",
        "32",
        "--map",
        "0x400000=0x1280000000,4m",
        "--cpl",
        "0",
        "--cr",
        "smep=1",
        "--access",
        "fetch",
    ],
    &[
        "0x401abc",
        "--mode",
        "32",
        "--map",
        "0x400000=0xff80000000,4m,bit21=1",
        "--set",
        "capabilities.maxphyaddr_bits=38",
    ],
    &[
        "0x401abc",
        "--mode",
        "32",
        "--map",
        "0x400000=0xc00000,4m",
        "--cr",
        "pse=0",
        "--access",
        "fetch",
    ],
];

#[test]
fn it_is_readable_in_a_terminal_of_100_columns_and_has_no_colour() {
    for arguments in SITUATIONS {
        let output = explain(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
        for line in text(&output.stdout).lines() {
            assert!(line.chars().count() <= 100, "{arguments:?}: {line}");
            assert!(
                !line.contains('\u{1b}') && line.trim_end() == line,
                "{line:?}"
            );
        }
    }
}

#[test]
fn in_json_causes_add_up_to_the_latency_and_the_formula_agrees() {
    for arguments in SITUATIONS {
        let found = object(arguments);
        let access = &found["access"];
        let runs = access["runs"].as_array().expect("runs");
        assert_eq!(runs.len(), 2, "cold, and again");
        for run in runs {
            let causes = run["causes"].as_array().expect("causes");
            let sum: u64 = causes
                .iter()
                .filter_map(|cause| cause["cycles"].as_u64())
                .sum();
            assert_eq!(run["latency_cycles"], sum);
            assert_eq!(run["formula"]["cycles"], sum);
            assert_eq!(run["formula"]["difference_cycles"], 0);
        }
    }
}

#[test]
fn a_denied_access_names_every_rule_and_the_error_code_bit_by_bit() {
    let found = object(&[
        "0x40abcd",
        "--map",
        "0x400000=0x1200000,2m,ro,key=1",
        "--access",
        "write",
        "--cpl",
        "0",
        "--cr",
        "smap=1,pkru=8",
    ]);
    let walk = &found["access"]["walks"][0];
    let rules = walk["rules"].as_array().expect("rules");
    let denying: Vec<_> = rules.iter().filter(|rule| rule["denies"] == true).collect();
    let names: Vec<_> = denying.iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["write", "SMAP", "key"]);
    assert_eq!(walk["outcome"]["error_code"], 0x23);
    assert_eq!(walk["outcome"]["cr2"], "0x40abcd");
    assert_eq!(walk["outcome"]["bits"].as_array().map(Vec::len), Some(6));
    let response = found["access"]["runs"][0]["response"].as_str();
    assert!(
        response.is_some_and(|text| text.contains("error code 0x23")),
        "{response:?}"
    );
}

#[test]
fn a_write_to_a_clean_page_sets_d_by_compare_and_set_and_walks_once_more() {
    let found = object(&[
        "0x401000",
        "--map",
        "0x401000=0x1234000,d=0",
        "--access",
        "read,write,write",
    ]);
    let access = &found["access"];
    assert!(access["walks"][0]["entries"][3]["update"].is_null());
    assert_eq!(access["walks"][1]["entries"][3]["update"]["sets"], "D");
    let first_levels: Vec<_> = (0..3)
        .map(|run| &access["runs"][run]["first_level"])
        .collect();
    assert_eq!(first_levels, ["miss", "hit, write with D clear", "hit 4k"]);
    assert_eq!(access["runs"][1]["psc"], "PDE");
    assert_eq!(access["runs"][1]["compare_and_sets"], 1);
}
