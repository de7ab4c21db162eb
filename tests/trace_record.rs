//! Recording: what valgrind writes becomes a trace; what goes wrong is said, and leaves nothing behind.
//!
//! Contract: none. SDM: none. Counterpart: `src/trace/record.rs`. Most tests run a script in valgrind's place, so that they need none;
//! where a real one is installed, it is used too.

#![cfg(target_os = "linux")]

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use twinwalk::trace::record::ProgramOutput;
use twinwalk::trace::{
    MemoryReference, OpenOptions, RecordOptions, Recorded, References, TraceError, open, record,
};

/// A program that is called as valgrind is and runs `body` with its log as descriptor 3.
fn fake_valgrind(directory: &TempDir, body: &str) -> PathBuf {
    let path = directory.path().join("valgrind");
    let script = format!(
        "#!/bin/sh\nfor argument; do case $argument in --log-file=*) log=${{argument#--log-file=}};; esac; done\nexec 3>\"$log\"\n{body}\n"
    );
    fs::write(&path, script).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("sets the mode");
    path
}

fn record_with(valgrind: PathBuf, to: &Path, limit: Option<u64>) -> Result<Recorded, TraceError> {
    loop {
        let options = RecordOptions {
            valgrind: Some(valgrind.clone()),
            limit,
            output: ProgramOutput::ToStandardError,
            progress: None,
        };
        match record(&OsString::from("program"), &[], to, options) {
            // The script was written a moment ago, and a child that another test is just starting still has it open.
            Err(TraceError::Record { error, .. })
                if error.kind() == ErrorKind::ExecutableFileBusy =>
            {
                sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

fn read(path: &Path) -> Vec<MemoryReference> {
    let reader = open::open(path, OpenOptions::default()).expect("opens");
    References::new(reader)
        .collect::<Result<_, _>>()
        .expect("reads")
}

#[test]
fn what_valgrind_writes_becomes_the_trace_and_how_the_program_ended_is_said() {
    let directory = TempDir::new().expect("a directory");
    let valgrind = fake_valgrind(
        &directory,
        "printf '==1== x\\nI  04001000,3\\n M 04002000,8\\n' >&3; echo to standard error; exit 7",
    );
    let path = directory.path().join("t.twt");
    let recorded = record_with(valgrind, &path, None).expect("records");
    assert_eq!(recorded.status, "exit status: 7");
    assert!(!recorded.stopped);
    assert_eq!(recorded.written.counts.total(), 3);
    assert_eq!(
        recorded.written.file_bytes,
        fs::metadata(&path).expect("is there").len()
    );
    assert_eq!(read(&path).len(), 3);
}

#[test]
fn a_program_without_an_end_is_ended_at_the_limit() {
    let directory = TempDir::new().expect("a directory");
    let valgrind = fake_valgrind(&directory, "while :; do echo 'I  04001000,3' >&3; done");
    let path = directory.path().join("t.twt.zst");
    let recorded = record_with(valgrind, &path, Some(100)).expect("records");
    assert!(recorded.stopped);
    assert_eq!(read(&path).len(), 100);
}

#[test]
fn a_program_that_references_nothing_leaves_no_file() {
    let directory = TempDir::new().expect("a directory");
    let valgrind = fake_valgrind(&directory, "echo '==1== not found' >&3; exit 127");
    let path = directory.path().join("t.twt");
    let error = record_with(valgrind, &path, None).expect_err("nothing");
    assert!(
        matches!(error, TraceError::NothingRecorded { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("exit status: 127"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).expect("lists").count(), 1);
}

#[test]
fn text_that_is_not_lackey_s_ends_the_program_and_leaves_no_file() {
    let directory = TempDir::new().expect("a directory");
    let valgrind = fake_valgrind(
        &directory,
        "echo hello >&3; while :; do echo 'I  04001000,3' >&3; done",
    );
    let path = directory.path().join("t.twt");
    let error = record_with(valgrind, &path, None).expect_err("not lackey");
    assert!(matches!(error, TraceError::Line { line: 1, .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_missing_valgrind_is_said_with_how_to_get_it() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("valgrind");
    let error = record_with(missing, &directory.path().join("t.twt"), None).expect_err("missing");
    assert!(
        matches!(error, TraceError::ValgrindMissing { .. }),
        "{error}"
    );
    assert!(
        error.remedy().contains("apt-get install -y valgrind"),
        "{}",
        error.remedy()
    );
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_the_program_runs() {
    let directory = TempDir::new().expect("a directory");
    let ran = directory.path().join("ran");
    let valgrind = fake_valgrind(&directory, &format!("touch {}", ran.display()));
    let error = record_with(valgrind, &directory.path().join("missing/t.twt"), None)
        .expect_err("no directory");
    assert!(matches!(error, TraceError::Unwritable { .. }), "{error}");
    assert!(!ran.exists());
}

#[test]
fn a_real_program_is_recorded_where_valgrind_is_installed() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("true.twt");
    let options = RecordOptions {
        output: ProgramOutput::ToStandardError,
        ..RecordOptions::default()
    };
    match record(&OsString::from("/bin/true"), &[], &path, options) {
        Err(TraceError::ValgrindMissing { .. }) => {
            eprintln!("no valgrind here: nothing was recorded")
        }
        outcome => {
            let recorded = outcome.expect("records");
            assert_eq!(recorded.status, "exit status: 0");
            let counts = recorded.written.counts;
            assert!(counts.fetches > 10_000 && counts.loads > 1000 && counts.stores > 1000);
            assert_eq!(read(&path).len() as u64, counts.total());
        }
    }
}
