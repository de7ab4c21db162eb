//! Runs `tests/qemu/run`, the driver of the observer.
//!
//! Contract: none. SDM: none. Counterpart: `tests/qemu`.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The driver, which leaves its vectors in `directory`.
pub fn oracle(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qemu/run"));
    command.arg("--out").arg(directory).args(arguments);
    command
}

/// Vectors of one machine (`"4:46"`: levels and MAXPHYADDR), made now. QEMU must be there.
pub fn fresh(directory: &Path, seed: &str, machine: &str, cases: u32) -> PathBuf {
    let cases = cases.to_string();
    let output = oracle(directory, &[seed, "--machines", machine, "--cases", &cases])
        .arg("--no-conform")
        .output()
        .expect("the driver runs");
    assert!(
        output.status.success(),
        "no vectors: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut made = std::fs::read_dir(directory).expect("a directory");
    let file = made.next().expect("a file").expect("an entry").path();
    assert!(made.next().is_none(), "more than one file");
    file
}
