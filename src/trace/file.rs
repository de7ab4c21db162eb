//! Writing a trace file: compression by its name, a temporary file beside it, and a rename once it is whole; and import into one.
//!
//! Contract: none. SDM: none. Counterpart: `input.rs` reads what this writes.

use std::fmt;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::binary::{BinaryWriter, RunWriter};
use super::error::TraceError;
use super::open::{Metadata, TraceReader};
use super::reference::{Counts, MemoryReference};

/// Bytes that are collected before they go to the file.
const CHUNK_BYTES: usize = 256 << 10;
/// zstd's level: a second for a hundred million references. (Level 19 takes seventy times as long for 15 % less.)
const ZSTD_LEVEL: i32 = 9;
/// The usual level of gzip and xz.
const USUAL_LEVEL: u32 = 6;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip, one or more members.
    Gzip,
    /// xz, one or more streams.
    Xz,
    /// zstd, one or more frames.
    Zstd,
}

impl Compression {
    /// Every compression.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Xz, Self::Zstd];

    /// How the beginning of a file says that it is compressed; `None` if it does not.
    pub fn of_bytes(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            // A frame of data, or one to be skipped in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// How a file of that name is to be written: `.gz`, `.xz`, `.zst`; `None` for any other.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Self::ALL
            .into_iter()
            .find(|compression| compression.extension() == extension)
    }

    /// The end of the names of such files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Xz => "xz",
            Self::Zstd => "zst",
        }
    }

    /// Its name, which is also that of the program that tests such a file.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// `bytes` compressed.
    #[cfg(test)]
    pub(super) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new(), Some(self)).expect("starts in memory");
        packer.write_all(bytes).expect("writes to memory");
        packer.finish().expect("writes to memory")
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// A sink that compresses, or not.
enum Packer<W: Write> {
    Plain(W),
    Gzip(flate2::write::GzEncoder<W>),
    Xz(liblzma::write::XzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Packer<W> {
    fn new(sink: W, compression: Option<Compression>) -> io::Result<Self> {
        Ok(match compression {
            None => Self::Plain(sink),
            Some(Compression::Gzip) => {
                let level = flate2::Compression::new(USUAL_LEVEL);
                Self::Gzip(flate2::write::GzEncoder::new(sink, level))
            }
            Some(Compression::Xz) => Self::Xz(liblzma::write::XzEncoder::new(sink, USUAL_LEVEL)),
            Some(Compression::Zstd) => {
                let mut encoder = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Xz(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Xz(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Written {
    /// References by kind.
    pub counts: Counts,
    /// Length of the file.
    pub file_bytes: u64,
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// Runs, if it has these in place of references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
}

/// What a binary trace file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// The references.
    #[default]
    References,
    /// Runs on a page (`docs/traces.md`).
    Runs,
}

/// A writer of either content.
enum Writer<W> {
    References(BinaryWriter<W>),
    Runs(RunWriter<W>),
}

impl<W: Write> Writer<W> {
    fn new(sink: W, metadata: Metadata, content: Content) -> io::Result<Self> {
        Ok(match content {
            Content::References => Self::References(BinaryWriter::new(sink, metadata)?),
            Content::Runs => Self::Runs(RunWriter::new(sink, metadata)?),
        })
    }

    fn finish(self) -> io::Result<(W, Counts, Option<u64>)> {
        match self {
            Self::References(writer) => {
                let (sink, counts) = writer.finish()?;
                Ok((sink, counts, None))
            }
            Self::Runs(writer) => {
                let (sink, counts, runs) = writer.finish()?;
                Ok((sink, counts, Some(runs)))
            }
        }
    }
}

/// A binary trace file in the making.
///
/// It stands under a temporary name in the same directory until [`TraceFile::finish`] renames it; dropped before, it leaves no trace,
/// and whatever stood at the path is as it was.
pub struct TraceFile {
    name: String,
    target: PathBuf,
    compression: Option<Compression>,
    writer: Writer<Packer<BufWriter<NamedTempFile>>>,
}

impl TraceFile {
    /// Begins a file that is to stand at `path`, compressed as the end of its name says: `.zst`, `.xz`, `.gz`, or not at all.
    ///
    /// # Errors
    /// [`TraceError::Unwritable`] if the directory is missing or may not be written, or if `path` is something else than a file.
    pub fn create(path: &Path, metadata: Metadata) -> Result<Self, TraceError> {
        Self::create_with(path, metadata, Content::References)
    }

    /// The same of that content.
    ///
    /// # Errors
    /// As [`TraceFile::create`].
    pub fn create_with(
        path: &Path,
        metadata: Metadata,
        content: Content,
    ) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let unwritable = |doing| {
            let file = name.clone();
            move |error| TraceError::Unwritable { file, doing, error }
        };
        let target = resolve(path).map_err(unwritable("cannot be written"))?;
        let compression = Compression::of_path(path);
        let temporary = temporary_beside(&target)
            .map_err(unwritable("no file can be created in its directory"))?;
        let sink = BufWriter::with_capacity(CHUNK_BYTES, temporary);
        let writer = Packer::new(sink, compression)
            .and_then(|packer| Writer::new(packer, metadata, content))
            .map_err(unwritable("writing failed"))?;
        Ok(Self {
            name,
            target,
            compression,
            writer,
        })
    }

    /// References written so far.
    pub const fn counts(&self) -> Counts {
        match &self.writer {
            Writer::References(writer) => writer.counts(),
            Writer::Runs(writer) => writer.counts(),
        }
    }

    /// Writes the next reference of the program.
    ///
    /// # Errors
    /// [`TraceError::Unwritable`], such as on a full disk.
    #[inline]
    pub fn push(&mut self, reference: MemoryReference) -> Result<(), TraceError> {
        let pushed = match &mut self.writer {
            Writer::References(writer) => writer.push(reference),
            Writer::Runs(writer) => writer.push(reference),
        };
        match pushed {
            Ok(()) => Ok(()),
            Err(error) => Err(unwritable(&self.name, "writing failed", error)),
        }
    }

    /// Completes the file, and puts it in its place.
    ///
    /// # Errors
    /// [`TraceError::Unwritable`].
    pub fn finish(self) -> Result<Written, TraceError> {
        let (counts, runs, temporary) = self
            .writer
            .finish()
            .and_then(|(packer, counts, runs)| Ok((counts, runs, packer.finish()?)))
            .and_then(|(counts, runs, sink)| Ok((counts, runs, sink.into_inner()?)))
            .map_err(|error| unwritable(&self.name, "writing failed", error))?;
        let file_bytes = temporary
            .as_file()
            .sync_all()
            .and_then(|()| temporary.as_file().metadata())
            .map_err(|error| unwritable(&self.name, "writing failed", error))?
            .len();
        temporary
            .persist(&self.target)
            .map_err(|failed| unwritable(&self.name, "cannot be replaced", failed.error))?;
        Ok(Written {
            counts,
            file_bytes,
            compression: self.compression,
            runs,
        })
    }
}

impl fmt::Debug for TraceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceFile")
            .field("name", &self.name)
            .field("compression", &self.compression)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// [`import_as`] references.
///
/// # Errors
/// As [`import_as`].
pub fn import(
    reader: &mut dyn TraceReader,
    path: &Path,
    limit: Option<u64>,
) -> Result<Written, TraceError> {
    import_as(Content::References, reader, path, limit)
}

/// Writes what `reader` still has to a binary trace of that content at `path`; at most `limit` references of it, where one is given.
///
/// # Errors
/// What is wrong with the trace that is read, or [`TraceError::Unwritable`]. Either way the file at `path` is as it was.
pub fn import_as(
    content: Content,
    reader: &mut dyn TraceReader,
    path: &Path,
    limit: Option<u64>,
) -> Result<Written, TraceError> {
    let mut file = TraceFile::create_with(path, reader.metadata(), content)?;
    copy(reader, &mut file, limit)?;
    file.finish()
}

/// Writes references to `file`, to the end of `reader` or to `limit`. Says whether the limit was reached.
pub(super) fn copy(
    reader: &mut dyn TraceReader,
    file: &mut TraceFile,
    limit: Option<u64>,
) -> Result<bool, TraceError> {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut batch = Vec::new();
    loop {
        if left == 0 {
            return Ok(true);
        }
        reader.read_batch(&mut batch)?;
        if batch.is_empty() {
            return Ok(false);
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(batch.len());
        for &reference in &batch[..count] {
            file.push(reference)?;
        }
        left -= count as u64;
    }
}

fn unwritable(name: &str, doing: &'static str, error: io::Error) -> TraceError {
    TraceError::Unwritable {
        file: name.to_owned(),
        doing,
        error,
    }
}

/// The path to replace: behind a symbolic link, the file that it leads to. A device or a directory is never replaced.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it exists and is not a regular file",
        )),
        Ok(_) => fs::canonicalize(path),
        Err(_) => Ok(path.to_owned()),
    }
}

/// A file in the directory of `target`, to be renamed to it.
pub(crate) fn temporary_beside(target: &Path) -> io::Result<NamedTempFile> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".twinwalk-").suffix(".partial");
    // As other files are created, not readable by the owner alone: the file keeps its mode when it is renamed.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}
