//! Where things are, and how programs are compiled and run.
//!
//! Contract: none. SDM: none. Counterpart: none.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of this crate.
pub fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The static library that was built with this test.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let deps = test.parent().expect("a test is in a folder");
    let name = "libtwinwalk_reference.a";
    // Beside the tests, or where `cargo build` puts it; the newer one is of this build.
    let places = [deps.join(name), deps.with_file_name(name)];
    let newest = places
        .iter()
        .filter(|path| path.exists())
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.expect("the library was built").clone()
}

/// What came of a command that must end with `code`.
pub fn ended(command: &mut Command, code: i32) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}:\n{text}{errors}"
    );
    output
}

/// Compiles a C program, runs it, and returns what it prints.
pub fn c_prints(source: &Path) -> String {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = folder.path().join("program");
    let mut compile = Command::new("cc");
    compile
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-I",
        ])
        .arg(here().join("include"))
        .arg(source)
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program);
    ended(&mut compile, 0);
    let output = ended(&mut Command::new(&program), 0);
    String::from_utf8(output.stdout).expect("programs print UTF-8")
}
