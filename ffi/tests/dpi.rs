//! The bench of `examples/dpi` under Verilator: the design passes, and a bug that is seeded in it is caught.
//!
//! Contract: 3 (ports). SDM vol. 3A, 4.10. Counterpart: `examples/dpi/tb.sv`.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{ended, here, library};

/// Builds and runs the bench of the design in a folder.
fn bench(design: &Path, out: &Path, code: i32) -> String {
    let mut run = Command::new(here().join("../examples/dpi/run"));
    run.arg("--design").arg(design).arg("--out").arg(out);
    run.arg("--library").arg(library()).arg("+steps=20000");
    let output = ended(&mut run, code);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_design_passes_and_a_purge_that_overtakes_the_walk_is_caught() {
    let out = tempfile::tempdir().expect("a folder can be made");
    let design = here().join("../examples/byo-mmu");
    let text = bench(&design, out.path(), 0);
    for (step, verdict) in [
        ("first access", "verdict 0: legal"),
        ("remapped, not invalidated", "verdict 1: legal, and stale"),
        ("after INVLPG", "verdict 0: legal"),
    ] {
        let line = text.lines().find(|line| line.starts_with(step));
        assert!(
            line.is_some_and(|line| line.contains(verdict)),
            "{step}: {text}"
        );
    }
    assert!(
        text.contains("\nPASS: ") && text.contains(" 0 not judged"),
        "{text}"
    );

    // As `examples/byo-mmu/bugs/invlpg-overtakes-the-walk.toml` has it.
    let broken = tempfile::tempdir().expect("a folder can be made");
    fs::create_dir(broken.path().join("rtl")).expect("a folder can be made");
    let parts = ["bmmu_pkg", "bmmu_tlb", "bmmu_regs", "bmmu_walker", "bmmu"];
    let parts = parts.map(|part| format!("rtl/{part}.sv"));
    for file in parts.iter().map(String::as_str).chain(["adapter.sv"]) {
        let text = fs::read_to_string(design.join(file)).expect("the design is there");
        let (right, wrong) = (
            "assign op_ack_o = state_q == Idle && op_req;",
            "assign op_ack_o = (state_q == Idle && op_req) || (state_q == Walk && inval_req_i && !walk_done);",
        );
        let assertion = "state_q == Walk |-> !purge);";
        if file == "rtl/bmmu.sv" {
            assert!(text.contains(right) && text.contains(assertion));
        }
        let text = text.replace(right, wrong).replace(assertion, "1'b1);");
        fs::write(broken.path().join(file), text).expect("a file can be written");
    }
    let text = bench(broken.path(), out.path(), 1);
    assert!(
        text.contains("is not legal: it follows from the value"),
        "{text}"
    );
    assert!(text.contains("\nFAIL: "), "{text}");
}
