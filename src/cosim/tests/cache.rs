//! Tests of the cache directory: one build a key, nothing broken ever found, private, bounded.
//!
//! What other processes do is done here by the test program itself, started again with `--exact` on the test
//! [`another_process`] and told what to do by environment variables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Cache, CacheError, CacheEvent, Key, MANIFEST};

const CONTENT: &str = "content";

fn key(name: &str) -> Key {
    let mut builder = Key::builder("test");
    builder.add("name", name.as_bytes());
    builder.finish()
}

fn cache(directory: &Path) -> Cache {
    Cache::open(&directory.join("cache"), 1 << 20).expect("the directory can be used")
}

/// A key's content, as it was found or as `build` now makes it; and whether it was built.
fn get(cache: &Cache, name: &str, content: &str) -> Result<(String, bool), CacheError> {
    let mut built = false;
    let found = cache.get_or_build(
        key(name),
        &mut |_| {},
        |work| {
            built = true;
            fs::write(work.join(CONTENT), content).expect("writable");
            Ok(())
        },
        |directory| {
            Ok::<_, CacheError>(fs::read_to_string(directory.join(CONTENT)).expect("readable"))
        },
    );
    found.map(|found| (found, built))
}

fn found(content: &str) -> (String, bool) {
    (content.to_owned(), false)
}

fn built(content: &str) -> (String, bool) {
    (content.to_owned(), true)
}

/// Everything below the directory that is not a lock file, relative to it.
fn leftovers(cache: &Cache) -> Vec<PathBuf> {
    let list = |name: &str| {
        fs::read_dir(cache.directory().join(name))
            .expect("readable")
            .flatten()
            .map(|entry| entry.path())
    };
    list("entries").chain(list("build")).collect()
}

#[test]
fn what_was_built_once_is_found_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = cache(directory.path());
    assert_eq!(get(&cache, "a", "one").expect("works"), built("one"));
    assert_eq!(get(&cache, "a", "two").expect("works"), found("one"));
    assert_eq!(get(&cache, "b", "two").expect("works"), built("two"));
}

#[test]
fn values_that_run_together_alike_have_different_keys() {
    let key = |values: &[(&str, &str)]| {
        let mut builder = Key::builder("test");
        values
            .iter()
            .for_each(|(name, value)| builder.add(name, value.as_bytes()));
        builder.finish()
    };
    assert_eq!(
        key(&[("a", "b"), ("c", "d")]),
        key(&[("a", "b"), ("c", "d")])
    );
    assert_ne!(
        key(&[("a", "bc"), ("", "d")]),
        key(&[("a", "b"), ("c", "d")])
    );
    assert_ne!(key(&[("a", "b")]), key(&[("a", "b"), ("", "")]));
}

#[test]
fn a_failed_build_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = cache(directory.path());
    let result = cache.get_or_build(
        key("a"),
        &mut |_| {},
        |work| {
            fs::write(work.join(CONTENT), "half").expect("writable");
            Err(CacheError::Io {
                action: "fail",
                path: work.to_owned(),
                source: std::io::Error::other("on purpose"),
            })
        },
        |_| Ok(()),
    );
    assert!(result.is_err());
    assert_eq!(leftovers(&cache), Vec::<PathBuf>::new());
    assert_eq!(get(&cache, "a", "whole").expect("works"), built("whole"));
}

#[test]
fn a_build_that_cannot_be_loaded_is_not_published() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = cache(directory.path());
    let refuse = |path: &Path| {
        Err::<(), _>(CacheError::Io {
            action: "load",
            path: path.to_owned(),
            source: std::io::Error::other("on purpose"),
        })
    };
    let result = cache.get_or_build(
        key("a"),
        &mut |_| {},
        |work| {
            fs::write(work.join(CONTENT), "x").expect("writable");
            Ok(())
        },
        refuse,
    );
    assert!(result.is_err());
    assert_eq!(leftovers(&cache), Vec::<PathBuf>::new());
}

#[test]
fn an_entry_that_was_cut_short_or_changed_is_built_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = cache(directory.path());
    let entry = cache.entry_path(key("a"));
    let damages: [fn(&Path); 5] = [
        |entry| fs::write(entry.join(CONTENT), "on").expect("writable"),
        |entry| fs::write(entry.join(CONTENT), "onE").expect("writable"),
        |entry| fs::remove_file(entry.join(CONTENT)).expect("removable"),
        |entry| fs::remove_file(entry.join(MANIFEST)).expect("removable"),
        |entry| fs::write(entry.join(MANIFEST), "").expect("writable"),
    ];
    for damage in damages {
        get(&cache, "a", "one").expect("works");
        damage(&entry);
        assert_eq!(get(&cache, "a", "one").expect("works"), built("one"));
        assert_eq!(get(&cache, "a", "two").expect("works"), found("one"));
    }
}

#[test]
fn the_least_recently_used_entries_go_first_and_the_newest_stays() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let big = "x".repeat(300_000);
    let cache = cache(directory.path());
    for name in ["a", "b", "c"] {
        get(&cache, name, &big).expect("works");
        std::thread::sleep(Duration::from_millis(20));
    }
    // "a" is the oldest, but is used; so "b" goes when the fourth comes.
    assert_eq!(get(&cache, "a", &big).expect("works"), found(&big));
    get(&cache, "d", &big).expect("works");
    let is_there = |name| cache.entry_path(key(name)).exists();
    assert_eq!(
        ["a", "b", "c", "d"].map(is_there),
        [true, false, true, true]
    );
    let huge = "x".repeat(3_000_000);
    assert_eq!(get(&cache, "e", &huge).expect("works"), built(&huge));
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(is_there),
        [false, false, false, false, true]
    );
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_may_enter_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("cache");
    Cache::open(&path, 1).expect("made private");
    assert_eq!(
        fs::metadata(&path).expect("there").permissions().mode() & 0o777,
        0o700
    );
    for mode in [0o755, 0o770, 0o701] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        let error = Cache::open(&path, 1).expect_err("open to others");
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_directory_of_another_user_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("cache");
    Cache::open(&path, 1).expect("made private");
    // Only root can give a directory away; for anybody else there is nothing to try.
    if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
        let error = Cache::open(&path, 1).expect_err("not ours");
        assert!(
            matches!(error, CacheError::NotOwned { owner: 12345, .. }),
            "{error}"
        );
    }
}

#[test]
fn a_place_that_cannot_be_a_directory_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writable");
    let error = Cache::open(&file.join("cache"), 1).expect_err("a file is in the way");
    assert!(
        error.to_string().contains(&file.display().to_string()),
        "{error}"
    );
}

// ---- other processes -------------------------------------------------------------------------------------------------

/// What [`another_process`] does in its build: its name, from the environment.
const ROLE: &str = "TWINWALK_TEST_ROLE";
const DIRECTORY: &str = "TWINWALK_TEST_DIRECTORY";

fn test_program() -> String {
    let program = std::env::current_exe().expect("the test program");
    format!(
        "'{}' --exact cosim::cache::tests::another_process",
        program.display()
    )
}

fn start(role: &str, directory: &Path, before: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{before} exec {}", test_program())])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be started")
}

fn wait_for(path: &Path) {
    for _ in 0..1000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} did not appear", path.display());
}

/// Run only as another process of the tests below; without its environment it does nothing.
#[test]
fn another_process() {
    let (Ok(role), Some(directory)) = (std::env::var(ROLE), std::env::var_os(DIRECTORY)) else {
        return;
    };
    let directory = PathBuf::from(directory);
    let cache = cache(&directory);
    let result = cache.get_or_build(
        key("shared"),
        &mut |_| {},
        |work| {
            let log = directory.join(format!("built-by-{}", std::process::id()));
            fs::write(&log, "").expect("writable");
            let content = match role.as_str() {
                "hang" => {
                    fs::write(work.join(CONTENT), "half").expect("writable");
                    fs::write(directory.join("hanging"), "").expect("writable");
                    std::thread::sleep(Duration::from_secs(600));
                    String::new()
                }
                "big" => "x".repeat(1 << 20),
                _ => {
                    std::thread::sleep(Duration::from_millis(300));
                    "whole".to_owned()
                }
            };
            let path = work.join(CONTENT);
            fs::write(&path, content).map_err(|source| CacheError::Io {
                action: "write",
                path,
                source,
            })
        },
        |directory| {
            Ok::<_, CacheError>(
                fs::metadata(directory.join(CONTENT))
                    .expect("readable")
                    .len(),
            )
        },
    );
    if let Err(error) = result {
        fs::write(directory.join("error"), error.to_string()).expect("writable");
        std::process::exit(3);
    }
}

#[cfg(unix)]
#[test]
fn two_processes_at_once_build_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let children: Vec<Child> = (0..4)
        .map(|_| start("build", directory.path(), ""))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it was started").success());
    }
    let names = fs::read_dir(directory.path())
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name());
    assert_eq!(
        names
            .filter(|name| name.to_string_lossy().starts_with("built-by-"))
            .count(),
        1
    );
    assert_eq!(
        get(&cache(directory.path()), "shared", "other").expect("works"),
        found("whole")
    );
}

#[cfg(unix)]
#[test]
fn a_build_that_was_killed_leaves_no_entry_and_is_cleared_away() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut child = start("hang", directory.path(), "");
    wait_for(&directory.path().join("hanging"));
    let cache = cache(directory.path());
    assert!(!cache.entry_path(key("shared")).exists());
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    assert_eq!(leftovers(&cache).len(), 1, "the abandoned build is there");
    assert_eq!(
        get(&cache, "shared", "whole").expect("works"),
        built("whole")
    );
    assert_eq!(leftovers(&cache), vec![cache.entry_path(key("shared"))]);
}

#[cfg(unix)]
#[test]
fn a_second_process_waits_and_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut child = start("hang", directory.path(), "");
    wait_for(&directory.path().join("hanging"));
    let cache = cache(directory.path());
    let waiter = std::thread::spawn(move || {
        let mut events = Vec::new();
        let build = |work: &Path| {
            fs::write(work.join(CONTENT), "mine").expect("writable");
            Ok::<_, CacheError>(())
        };
        cache
            .get_or_build(
                key("shared"),
                &mut |event| events.push(event),
                build,
                |_| Ok(()),
            )
            .expect("works");
        events
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiter.is_finished());
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    assert_eq!(waiter.join().expect("no panic"), vec![CacheEvent::Waiting]);
}

/// A limit on the size of files stands for a full disk: the write fails in the same place. (The signal that would end the process
/// is ignored, as the system sends none for a full disk.)
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_entry_and_an_error_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut child = start("big", directory.path(), "trap '' XFSZ; ulimit -f 512;");
    assert_eq!(child.wait().expect("it was started").code(), Some(3));
    let error = fs::read_to_string(directory.path().join("error")).expect("it said why");
    assert!(
        error.contains(CONTENT) && error.contains("free some space"),
        "{error}"
    );
    let cache = cache(directory.path());
    assert_eq!(leftovers(&cache), Vec::<PathBuf>::new());
    assert_eq!(
        get(&cache, "shared", "whole").expect("works"),
        built("whole")
    );
}
