//! Trace files are written whole or not at all, and what is wrong with one is said with file and place.
//!
//! Contract: none. SDM: none. Counterpart: `src/trace/file.rs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;
use twinwalk::trace::{
    MemoryReference, OpenOptions, References, TraceError, TraceFormat, import, open,
};

const TEXT: &str = "==7== Lackey\nI  04001000,3\n L 1ffeffe7e8,8\n M 04002ffc,8\n==7== \n";

fn read(path: &Path) -> Result<Vec<MemoryReference>, TraceError> {
    References::new(open::open(path, OpenOptions::default())?).collect()
}

fn import_text(text: &[u8], to: &Path, directory: &TempDir) -> Result<(), TraceError> {
    let from = directory.path().join("text");
    fs::write(&from, text).expect("writes");
    let options = OpenOptions {
        format: Some(TraceFormat::Lackey),
        ..OpenOptions::default()
    };
    import(&mut open::open(&from, options)?, to, None).map(|_| ())
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("lists");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("lists")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn an_imported_trace_is_the_same_trace_however_the_file_is_compressed() {
    let directory = TempDir::new().expect("a directory");
    let text = directory.path().join("text");
    fs::write(&text, TEXT).expect("writes");
    let expected = read(&text).expect("reads");
    assert_eq!(expected.len(), 4);
    for name in ["t.twt", "t.twt.gz", "t.twt.xz", "t.twt.zst"] {
        let path = directory.path().join(name);
        import_text(TEXT.as_bytes(), &path, &directory).expect("imports");
        assert_eq!(read(&path).expect("reads"), expected, "{name}");
        let reader = open::open(&path, OpenOptions::default()).expect("opens");
        let suffix = reader.compression().map_or("twt", |c| c.extension());
        assert!(name.ends_with(suffix), "{name} is {suffix}");
        assert_eq!(reader.metadata().source, Some(TraceFormat::Lackey));
    }
    assert_eq!(
        names(&directory),
        ["t.twt", "t.twt.gz", "t.twt.xz", "t.twt.zst", "text"]
    );
}

#[test]
fn importing_a_binary_trace_again_gives_the_same_bytes() {
    let directory = TempDir::new().expect("a directory");
    let [first, second] = ["1.twt", "2.twt"].map(|name| directory.path().join(name));
    import_text(TEXT.as_bytes(), &first, &directory).expect("imports");
    let mut reader = open::open(&first, OpenOptions::default()).expect("opens");
    import(&mut reader, &second, None).expect("imports");
    assert_eq!(
        fs::read(first).expect("reads"),
        fs::read(second).expect("reads")
    );
}

#[test]
fn a_limit_cuts_an_import_to_so_many_references() {
    let directory = TempDir::new().expect("a directory");
    let (text, path) = (
        directory.path().join("text"),
        directory.path().join("t.twt"),
    );
    fs::write(&text, TEXT).expect("writes");
    let mut reader = open::open(&text, OpenOptions::default()).expect("opens");
    let written = import(&mut reader, &path, Some(3)).expect("imports");
    assert_eq!(written.counts.total(), 3);
    assert_eq!(
        read(&path).expect("reads"),
        read(&text).expect("reads")[..3]
    );
}

#[test]
fn a_failed_import_leaves_the_old_file_and_nothing_else() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("t.twt");
    fs::write(&path, "precious").expect("writes");
    let error = import_text(b"I  04001000,3\nhello\n", &path, &directory).expect_err("not lackey");
    assert!(
        matches!(
            error,
            TraceError::Line {
                line: 2,
                offset: 14,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read(&path).expect("reads"), b"precious");
    assert_eq!(names(&directory), ["t.twt", "text"]);
}

#[test]
fn a_path_that_cannot_be_written_is_refused_with_its_name_and_a_remedy() {
    let directory = TempDir::new().expect("a directory");
    fs::create_dir(directory.path().join("folder")).expect("creates");
    for name in ["missing/t.twt", "folder", "text/t.twt"] {
        let path = directory.path().join(name);
        let error = import_text(TEXT.as_bytes(), &path, &directory).expect_err("refused");
        assert!(matches!(error, TraceError::Unwritable { .. }), "{error}");
        assert!(
            error.to_string().starts_with(&path.display().to_string()),
            "{error}"
        );
        assert!(
            error.remedy().contains("existing directory"),
            "{}",
            error.remedy()
        );
    }
    assert_eq!(names(&directory), ["folder", "text"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_never_replaced_by_a_file() {
    let directory = TempDir::new().expect("a directory");
    let error =
        import_text(TEXT.as_bytes(), Path::new("/dev/null"), &directory).expect_err("a device");
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_trace_is_written_through_a_symbolic_link_and_readable_by_others() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = TempDir::new().expect("a directory");
    let (target, link) = (
        directory.path().join("target.twt"),
        directory.path().join("link.twt"),
    );
    fs::write(&target, "old").expect("writes");
    symlink(&target, &link).expect("links");
    import_text(TEXT.as_bytes(), &link, &directory).expect("imports");
    assert!(fs::symlink_metadata(&link).expect("is there").is_symlink());
    assert_eq!(read(&target).expect("reads").len(), 4);
    let plain = directory.path().join("plain");
    fs::write(&plain, "x").expect("writes");
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode();
    assert_eq!(mode(&target), mode(&plain), "as any other new file");
}

#[test]
fn progress_counts_the_bytes_of_the_file_up_to_its_length() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("t.twt.zst");
    import_text(TEXT.repeat(1000).as_bytes(), &path, &directory).expect("imports");
    let seen = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&seen);
    let options = OpenOptions {
        format: None,
        progress: Some(Box::new(move |bytes| told.store(bytes, Ordering::Relaxed))),
    };
    let reader = open::open(&path, options).expect("opens");
    assert_eq!(References::new(reader).count(), 4000);
    assert_eq!(
        seen.load(Ordering::Relaxed),
        fs::metadata(&path).expect("is there").len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Behind each magic number, and behind none.
    #[test]
    fn a_file_of_arbitrary_bytes_is_refused_or_read_and_never_panics(
        magic in prop::sample::select(vec![
            b"".as_slice(), b"\x89TWT\r\n\x1a\n", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"I  0",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        format in prop::sample::select(vec![None, Some(TraceFormat::Lackey), Some(TraceFormat::Binary)]),
    ) {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("t");
        fs::write(&path, [magic, &bytes].concat()).expect("writes");
        let options = OpenOptions { format, progress: None };
        let outcome = open::open(&path, options)
            .and_then(|reader| References::new(reader).collect::<Result<Vec<_>, _>>());
        if let Err(error) = outcome {
            prop_assert!(error.to_string().starts_with(&path.display().to_string()), "{}", error);
            prop_assert!(!error.remedy().is_empty());
        }
    }

    #[test]
    fn a_compressed_trace_with_a_flipped_bit_is_refused_or_the_same_trace(
        name in prop::sample::select(vec!["t.twt.gz", "t.twt.xz", "t.twt.zst"]), bit in any::<prop::sample::Index>(),
    ) {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join(name);
        import_text(TEXT.as_bytes(), &path, &directory).expect("imports");
        let expected = read(&path).expect("reads");
        let mut bytes = fs::read(&path).expect("reads");
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).expect("writes");
        if let Ok(references) = read(&path) {
            prop_assert_eq!(references, expected);
        }
    }
}
