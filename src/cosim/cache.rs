//! A private directory of finished builds: found again by key, never seen half done, the least recently used go first.
//!
//! Contract: none. Counterpart: none; the users are [`super::library`]'s libraries and runtime archives.
//!
//! # What is on disk
//!
//! ```text
//! DIR/                     0700, owned by the user who runs
//!   entries/KEY/...        one finished build: its files and MANIFEST (their sizes and checksums)
//!   build/SHARD-PID-N/     a build in progress
//!   locks/SHARD            256 lock files; a key's shard is its first two digits
//! ```
//!
//! * An entry appears by the rename of a finished build directory, all files synced: it is whole or it is not there. A build that
//!   was killed leaves a directory below `build/`, which the next build of the same shard removes; it holds the shard's lock, so nobody
//!   can be at work in there.
//! * Whoever builds or loads an entry holds the lock of its shard. The second of two processes that want the same key waits and
//!   finds it done. The system drops the lock of a process that dies.
//! * Each use compares the files with the checksums in MANIFEST, so that a file cut short by a full disk or a crash is rebuilt and not
//!   loaded: mapping a truncated library would end the process.
//! * The directory holds code that is loaded into the process, therefore nobody else may write there, and this is checked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use thiserror::Error;

/// Why the cache cannot be used. Every message names the path and the remedy.
#[derive(Debug, Error)]
pub enum CacheError {
    /// An operation of the file system failed.
    #[error("cache: cannot {action} `{}`: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read or write the directory.
    #[error(
        "cache: `{}` has mode {mode:04o}, but code is loaded from there and only its owner may have access; \
         run `chmod 700 {}`, or choose another cache directory", path.display(), path.display()
    )]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The directory belongs to another user.
    #[error(
        "cache: `{}` belongs to user {owner}, not to user {user} who runs; code is loaded from there: \
         choose another cache directory", path.display()
    )]
    NotOwned {
        /// The directory.
        path: PathBuf,
        /// Number of the user who owns it.
        owner: u32,
        /// Number of the user who runs.
        user: u32,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "; free some space, or choose another cache directory (XDG_CACHE_HOME)"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a cache directory that can be written (XDG_CACHE_HOME)"
        }
        io::ErrorKind::Unsupported => {
            "; this file system has no file locks: choose another cache directory (XDG_CACHE_HOME)"
        }
        _ => "",
    }
}

trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, CacheError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, CacheError> {
        self.map_err(|source| CacheError::Io {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

/// Name of an entry: a digest of everything that its content depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// Starts a key; `kind` keeps apart what is built from equal inputs in different ways.
    pub fn builder(kind: &str) -> KeyBuilder {
        let mut builder = KeyBuilder(blake3::Hasher::new());
        builder.add("kind", kind.as_bytes());
        builder
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

/// Collects what a [`Key`] covers.
#[derive(Debug)]
pub struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// Adds one named value. Lengths are part of the digest, so no two sequences of values look alike.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// The key of all that was added.
    pub fn finish(self) -> Key {
        Key(*self.0.finalize().as_bytes())
    }
}

/// What a caller may want to tell its user while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheEvent {
    /// Another thread or process holds the entry, most likely to build it.
    Waiting,
    /// An entry did not match its checksums, or could not be loaded, and is built again.
    Damaged,
}

/// A cache directory that was found to be private. Cheap to clone; any number may be open on one directory, in any processes.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    limit_bytes: u64,
}

const MANIFEST: &str = "MANIFEST";

impl Cache {
    /// A limit for callers that have no wish of their own: some hundred machines.
    pub const DEFAULT_LIMIT_BYTES: u64 = 1 << 30;

    /// Opens the directory, or makes it with mode 0700.
    ///
    /// `limit_bytes` bounds what entries may take together; the newest one is kept whatever its size.
    ///
    /// # Errors
    /// If it cannot be made or written, belongs to somebody else, or is open to others.
    pub fn open(directory: &Path, limit_bytes: u64) -> Result<Self, CacheError> {
        if let Some(parent) = directory.parent() {
            fs::create_dir_all(parent).context("make the directory", parent)?;
        }
        make_private_dir(directory).context("make the directory", directory)?;
        for name in ["entries", "build", "locks"] {
            let path = directory.join(name);
            make_private_dir(&path).context("make the directory", &path)?;
        }
        let cache = Self {
            directory: directory.to_owned(),
            limit_bytes,
        };
        cache.check_private()?;
        Ok(cache)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    #[cfg(unix)]
    fn check_private(&self) -> Result<(), CacheError> {
        use std::os::unix::fs::MetadataExt as _;
        // The owner of a file that we make is the user who runs; the standard library has no other way to say it.
        let (_, lock_path) = self.lock_file("00")?;
        let user = fs::metadata(&lock_path)
            .context("look at", &lock_path)?
            .uid();
        for path in [
            self.directory.clone(),
            self.directory.join("entries"),
            self.directory.join("build"),
        ] {
            let metadata = fs::metadata(&path).context("look at", &path)?;
            if metadata.uid() != user {
                return Err(CacheError::NotOwned {
                    path,
                    owner: metadata.uid(),
                    user,
                });
            }
            let mode = metadata.mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(CacheError::NotPrivate { path, mode });
            }
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_private(&self) -> Result<(), CacheError> {
        Ok(())
    }

    fn entry_path(&self, key: Key) -> PathBuf {
        self.directory.join("entries").join(key.to_hex())
    }

    fn lock_file(&self, shard: &str) -> Result<(File, PathBuf), CacheError> {
        let path = self.directory.join("locks").join(shard);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .context("open the lock", &path)?;
        Ok((file, path))
    }

    /// Takes a key from the cache, or builds it.
    ///
    /// `build` is given an empty directory and leaves there the files of the entry; what it returns as an error leaves no trace.
    /// `load` is given the directory of the files, possibly before it has its final name, and is called with the entry's lock held, so
    /// nobody evicts it meanwhile. An entry that is damaged or that `load` refuses is built anew once.
    ///
    /// # Errors
    /// Those of the cache itself, of `build`, and of `load` on a fresh build.
    pub fn get_or_build<T, E: From<CacheError>>(
        &self,
        key: Key,
        notify: &mut dyn FnMut(CacheEvent),
        build: impl FnOnce(&Path) -> Result<(), E>,
        load: impl Fn(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let hex = key.to_hex();
        let shard = &hex[..2];
        let (lock, lock_path) = self.lock_file(shard)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                notify(CacheEvent::Waiting);
                lock.lock().context("lock", &lock_path)?;
            }
            Err(TryLockError::Error(source)) => {
                return Err(CacheError::Io {
                    action: "lock",
                    path: lock_path,
                    source,
                }
                .into());
            }
        }
        let entry = self.entry_path(key);
        if entry.exists() {
            if is_whole(&entry)
                && let Ok(loaded) = load(&entry)
            {
                touch(&entry);
                return Ok(loaded);
            }
            notify(CacheEvent::Damaged);
            fs::remove_dir_all(&entry).context("remove the damaged entry", &entry)?;
        }
        self.remove_abandoned(shard);
        let work = self.work_dir(shard)?;
        build(&work.0)?;
        seal(&work.0)?;
        // Loaded before it is published: an entry that cannot be loaded never gets its name.
        let loaded = load(&work.0)?;
        fs::rename(&work.0, &entry).context("publish the entry", &entry)?;
        self.evict(key);
        Ok(loaded)
    }

    /// A fresh directory below `build/`, removed again unless it was renamed away.
    fn work_dir(&self, shard: &str) -> Result<WorkDir, CacheError> {
        // Only to tell apart the builds of this process.
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = self
            .directory
            .join("build")
            .join(format!("{shard}-{}-{number}", std::process::id()));
        make_private_dir(&path).context("make the directory", &path)?;
        Ok(WorkDir(path))
    }

    /// Removes what builds that were killed have left. The caller holds the shard's lock, so none of these is at work.
    fn remove_abandoned(&self, shard: &str) {
        let prefix = format!("{shard}-");
        let Ok(entries) = fs::read_dir(self.directory.join("build")) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                // Best effort: a compiler that outlived its parent may still be writing in there.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Removes the least recently used entries until the rest fits the limit. Entries in use are left alone, and so is `keep`.
    fn evict(&self, keep: Key) {
        let Ok(directory) = fs::read_dir(self.directory.join("entries")) else {
            return;
        };
        let mut entries: Vec<(SystemTime, PathBuf, u64)> = directory
            .flatten()
            .map(|entry| entry.path())
            .map(|path| (last_use(&path), size_bytes(&path), path))
            .map(|(time, size, path)| (time, path, size))
            .collect();
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, _, size)| size).sum();
        let keep_hex = keep.to_hex();
        for (_, path, size) in entries {
            if total <= self.limit_bytes {
                return;
            }
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if name == keep_hex {
                continue;
            }
            if self.remove_unless_in_use(&path, &name, &keep_hex) {
                total = total.saturating_sub(size);
            }
        }
    }

    fn remove_unless_in_use(&self, path: &Path, name: &str, held: &str) -> bool {
        let shard = name.get(..2).unwrap_or("00");
        if held.starts_with(shard) {
            // This thread holds that lock already.
            return fs::remove_dir_all(path).is_ok();
        }
        let Ok((lock, _)) = self.lock_file(shard) else {
            return false;
        };
        lock.try_lock().is_ok() && fs::remove_dir_all(path).is_ok()
    }
}

struct WorkDir(PathBuf);

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Size and checksum of each file of a directory, as lines sorted by name; files only, [`MANIFEST`] left out.
fn describe(directory: &Path) -> io::Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != MANIFEST && entry.file_type()?.is_file() {
            let content = fs::read(entry.path())?;
            lines.push(format!(
                "{} {} {name}\n",
                blake3::hash(&content).to_hex(),
                content.len()
            ));
        }
    }
    lines.sort();
    Ok(lines.concat())
}

/// Writes the manifest and brings everything to the disk, so that the rename cannot overtake the content.
fn seal(directory: &Path) -> Result<(), CacheError> {
    let manifest = describe(directory).context("read", directory)?;
    let path = directory.join(MANIFEST);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(manifest.as_bytes())?;
        file.sync_all()?;
        for entry in fs::read_dir(directory)? {
            File::open(entry?.path())?.sync_all()?;
        }
        File::open(directory)?.sync_all()
    };
    write().context("write", &path)
}

fn is_whole(entry: &Path) -> bool {
    match (fs::read_to_string(entry.join(MANIFEST)), describe(entry)) {
        (Ok(expected), Ok(found)) => expected == found && !found.is_empty(),
        _ => false,
    }
}

/// Notes the use, for the order of eviction. An entry that cannot be touched merely looks older.
fn touch(entry: &Path) {
    if let Ok(file) = OpenOptions::new().append(true).open(entry.join(MANIFEST)) {
        let _ = file.set_modified(SystemTime::now());
    }
}

fn last_use(entry: &Path) -> SystemTime {
    fs::metadata(entry.join(MANIFEST))
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn size_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
#[path = "tests/cache.rs"]
mod tests;
