//! What the tests of the command line have in common: the binary run as a user runs it, and one answer to whatever arguments.
//!
//! Contract: none. SDM: none. Counterpart: none.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use twinwalk::cli::{self, Context};

/// Runs `twinwalk COMMAND ARGUMENTS...` in the root of the repository, with that on standard input.
pub fn command(command: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .arg(command)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that refuses its arguments does not read, and that is no failure here.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

/// What was printed.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The object that `--json` prints.
pub fn object_of(name: &str, arguments: &[&str], input: &[u8]) -> Json {
    let output = command(name, &[arguments, &["--json"]].concat(), input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

/// Writes into memory that the test keeps a hold of.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `twinwalk COMMAND ARGUMENTS...` in this process: it must give one answer, good or bad, and not panic.
pub fn assert_one_answer(command: &str, arguments: &[String], json: bool) {
    let head = ["twinwalk"].into_iter().chain(json.then_some("--json"));
    let all = head.chain([command]).map(OsString::from);
    let all: Vec<_> = all.chain(arguments.iter().map(OsString::from)).collect();
    let (stdout, stderr) = (Shared::default(), Shared::default());
    let context = Context::on(json, Box::new(stdout.clone()), Box::new(stderr.clone()));
    let code = cli::run(&all, context);
    let stdout = stdout.0.lock().expect("no panic");
    let stderr = stderr.0.lock().expect("no panic");
    match code {
        0 => assert!(!stdout.is_empty() && stderr.is_empty()),
        2 => {
            assert!(text(&stderr).starts_with("error: "), "{}", text(&stderr));
            assert!(json || stdout.is_empty());
        }
        other => panic!("exit code {other}"),
    }
    let is_help = text(&stdout).contains("Usage:");
    if json && !is_help {
        let object: Json = serde_json::from_slice(&stdout).expect("one JSON value");
        assert!(object.is_object());
        assert_eq!(code == 2, object["error"].is_string());
    }
}
