//! Fetches by blocks: what they change in the figures of a real trace, and what they leave alone.
//!
//! Contract: 13.1 (what is presented). SDM: none. Counterpart: `docs/front-end.md`; that the RTL sees the same is held by `tests/run_agrees.rs`.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use twinwalk::trace::{OpenOptions, ReferenceKind, References, open};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");
const REFERENCES: usize = 400_000;

fn figures(command: &[&str], count: usize, block_bytes: u64) -> Json {
    let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(command)
        .args(["--json", "--trace", SHIPPED])
        .args([
            "--set",
            &format!("front_end.fetch_block_bytes={block_bytes}"),
        ])
        .args([
            if command[0] == "run" {
                "--count"
            } else {
                "--ops"
            },
            &count.to_string(),
        ])
        .output()
        .expect("the binary runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

/// The blocks that the instructions of the trace's beginning read, one after the other, without those that repeat the one before.
fn look_ups(count: usize, block_bytes: u64) -> usize {
    let reader = open::open(Path::new(SHIPPED), OpenOptions::default()).expect("opens");
    let references = References::new(reader).take(count);
    let mut blocks = Vec::new();
    for reference in references {
        let reference = reference.expect("reads");
        if reference.kind() == ReferenceKind::Fetch {
            let bytes = 0..u64::from(reference.size_bytes());
            blocks.extend(bytes.map(|byte| (reference.address() + byte) / block_bytes));
            blocks.dedup();
        }
    }
    blocks.len()
}

#[test]
fn blocks_change_the_look_ups_of_instructions_as_predicted_and_nothing_of_data() {
    let each = figures(&["run"], REFERENCES, 0);
    let mut last = each["itlb"]["lookups"].as_u64().expect("a number");
    assert_eq!(each["front_end"], "one-at-a-time");
    for block_bytes in [16, 32, 64] {
        let found = figures(&["run"], REFERENCES, block_bytes);
        let predicted = look_ups(REFERENCES, block_bytes);
        assert_eq!(found["itlb"]["lookups"], predicted, "{block_bytes}");
        assert!((predicted as u64) < last);
        last = predicted as u64;
        // A repeated look-up of the page looked up last changes nothing in a TLB: the misses are the same ones.
        assert_eq!(found["itlb"]["misses"], each["itlb"]["misses"]);
        for same in [
            "dtlb",
            "stlb",
            "psc",
            "references",
            "fetches",
            "instructions",
            "pages",
            "mpki",
        ] {
            assert_eq!(found[same], each[same], "{same}");
        }
        let data = each["dtlb"]["lookups"].as_u64().expect("a number");
        assert_eq!(found["translations"], data + last);
        assert_eq!(found["front_end"]["fetch_block_bytes"], block_bytes);
    }
}

#[test]
fn a_size_that_is_no_block_is_refused() {
    for bytes in ["8", "24", "128"] {
        let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(["run", "--trace", SHIPPED, "--set"])
            .arg(format!("front_end.fetch_block_bytes={bytes}"))
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("fetch_block_bytes"), "{text}");
    }
}

/// `check` feeds its machines by another path than `run`.
#[test]
fn check_asks_for_the_same_translations() {
    let run = figures(&["run"], 20_000, 32);
    let check = figures(&["check", "--on", "model"], 20_000, 32);
    assert_eq!(check["references"], run["references"]);
    assert_eq!(check["translations"], run["translations"]);
}
