//! `twinwalk config show --timing`: the cycles of each isolated case, in both twins.
//!
//! Contract: 12. SDM: none. Counterpart: none.

use std::process::{Command, Output};

use serde_json::Value as Json;

/// The binary, with verilated machines kept beside the build.
fn show(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["config", "show", "--timing"])
        .args(arguments)
        .env("XDG_CACHE_HOME", crate::machines_support::CACHE_HOME)
        .output()
        .expect("the binary runs")
}

fn rows(arguments: &[&str]) -> Vec<Json> {
    let output = show(&[arguments, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let object: Json = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert!(object["parameters"].is_array());
    object["timing"].as_array().expect("rows").clone()
}

#[test]
fn each_case_has_its_formula_and_the_cycles_of_the_model() {
    let rows = rows(&["--on", "model", "--set", "memory.latency_cycles=20"]);
    let cycles = |case: &str| {
        let row = rows.iter().find(|row| row["case"] == case).expect(case);
        assert_eq!(row["formula_cycles"], row["model_cycles"]);
        assert_eq!(row["rtl_cycles"], Json::Null);
        row["model_cycles"].as_u64().expect("cycles")
    };
    // H = 1, S = 7, M = 20, by hand.
    assert_eq!(cycles("dtlb-hit"), 1 + 1);
    assert_eq!(cycles("stlb-hit"), 1 + 7 + 2);
    assert_eq!(cycles("walk-cr3"), 1 + 7 + 5 + 4 * 22);
    assert_eq!(cycles("walk-pde"), 1 + 7 + 5 + 22);
    assert_eq!(cycles("set-accessed-path"), 1 + 7 + 5 + 8 * 22);
    assert_eq!(cycles("dirty-clear-hit"), 1 + 4 + 2 * 22);
    assert_eq!(cycles("denied-hit"), 1 + 4 + 4 * 22);
    assert_eq!(cycles("fault-pdpte"), 1 + 7 + 5 + 2 * 22);
    assert_eq!(cycles("fault-cached"), 1 + 7 + 5 + 4 * 22 + 1 + 22);
}

#[test]
fn a_person_reads_a_table_the_letters_and_what_does_not_hold() {
    let output = show(&[
        "--on",
        "model",
        "--config",
        "preset:l1-only",
        "--set",
        "memory.jitter_cycles=9",
    ]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for part in [
        "Machine: preset:l1-only",
        "H + S + 5 + (n + c)(M + 2)",
        "does not hold",
        "memory.jitter_cycles: up to 9 more an access",
        "Not on this machine: fetch that hits in the STLB",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("DIFFERENCE"), "{text}");
    let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["config", "show", "--on", "model"])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "--on is of --timing");
}

#[cfg(feature = "rtl")]
#[test]
fn the_rtl_takes_as_many_cycles_as_the_model() {
    for arguments in [
        &[][..],
        &["--config", "preset:tiny"],
        &["--config", "preset:tiny", "--set", "memory.jitter_cycles=9"],
        &[
            "--config",
            "preset:tiny",
            "--set",
            "prefetch.next_page=true",
        ],
        &["--config", "preset:stlb-only"],
    ] {
        let rows = rows(arguments);
        assert!(rows.len() > 15, "{arguments:?}");
        for row in rows {
            assert!(row["rtl_cycles"].is_u64(), "{arguments:?}: {row}");
            assert_eq!(
                row["rtl_cycles"], row["model_cycles"],
                "{arguments:?}: {row}"
            );
        }
    }
}
