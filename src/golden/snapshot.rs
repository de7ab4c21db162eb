//! Snapshot files: the text format of the crate `insta`, read and written by our own code, since it compares to the byte.
//!
//! Contract: none. SDM: none. Counterpart: `tests/golden.rs`, where `insta` reads the same files.

use std::io;
use std::path::Path;

use crate::cosim::divergence::write_atomically;

/// What every snapshot begins with: the metadata that `insta` wants, and nothing that changes.
const HEADER: &str = "---\nsource: tests/golden.rs\n---\n";

/// The whole file for a trace.
pub fn file_text(trace: &str) -> String {
    format!("{HEADER}{trace}")
}

/// The trace in a file's text; `None` if the file does not begin as a snapshot does.
pub fn trace_in(file_text: &str) -> Option<&str> {
    file_text.strip_prefix(HEADER)
}

/// Reads a snapshot file as it is; `None` if there is none.
///
/// # Errors
/// It is there and cannot be read, or is not UTF-8.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the snapshot of a trace, under a temporary name first.
///
/// # Errors
/// Those of the file system; then the old file is as it was.
pub fn write(path: &Path, trace: &str) -> io::Result<()> {
    write_atomically(path, |out| out.write_all(file_text(trace).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reads_back_to_the_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.snap");
        assert!(read(&path).unwrap().is_none());
        write(&path, "one\n\ntwo\n").unwrap();
        let text = read(&path).unwrap().unwrap();
        assert_eq!(trace_in(&text), Some("one\n\ntwo\n"));
        assert_eq!(trace_in("one"), None);
    }

    #[test]
    fn a_directory_that_is_not_there_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("a.snap");
        assert!(write(&path, "one\n").is_err());
        assert!(!path.exists());
    }
}
