//! The bytes of a trace: a file, standard input or any reader, decompressed, with progress, and with errors that name the place.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::error::TraceError;
use super::file::Compression;

/// Is told, after each read, how many bytes of the file have been consumed (compressed bytes, so that they compare with its length).
pub type Progress = Box<dyn FnMut(u64) + Send>;

/// How messages call standard input.
const STANDARD_INPUT: &str = "standard input";
/// Bytes that are asked of the file at a time.
const CHUNK_BYTES: usize = 128 << 10;
/// Bytes that decide how a file is compressed.
const MAGIC_BYTES: usize = 6;
/// The largest window that a zstd stream may ask for, as log2: what the format's own documentation tells every decoder to allow.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// The most memory that an xz stream may ask for. Its highest preset needs 65 MiB.
const XZ_MEMORY_LIMIT_BYTES: u64 = 256 << 20;

/// The decompressed bytes of a trace, read once from front to back.
pub struct Input {
    file: String,
    compression: Option<Compression>,
    bytes: Box<dyn Read + Send>,
    meter: Arc<Meter>,
    peeked: Vec<u8>,
    taken: usize,
}

impl Input {
    /// Opens the file at `path`; `-` is standard input.
    ///
    /// # Errors
    /// [`TraceError::Unreadable`] if it cannot be opened, and what [`Input::new`] says.
    pub fn open(path: &Path, progress: Option<Progress>) -> Result<Self, TraceError> {
        if path.as_os_str() == "-" {
            return Self::new(STANDARD_INPUT, io::stdin(), progress);
        }
        let name = path.display().to_string();
        match open_file(path) {
            Ok(file) => Self::new(&name, file, progress),
            Err(error) => Err(TraceError::Unreadable { file: name, error }),
        }
    }

    /// The bytes of `reader`, which messages call `name`; decompressed if they begin as gzip, xz or zstd do.
    ///
    /// # Errors
    /// [`TraceError::Read`] if not even the beginning can be read.
    pub fn new(
        name: &str,
        reader: impl Read + Send + 'static,
        progress: Option<Progress>,
    ) -> Result<Self, TraceError> {
        let meter = Arc::new(Meter::default());
        let mut metered = Metered {
            reader,
            meter: Arc::clone(&meter),
            progress,
        };
        let mut input = Self {
            file: name.to_owned(),
            compression: None,
            bytes: Box::new(io::empty()),
            meter,
            peeked: Vec::new(),
            taken: 0,
        };
        let mut start = Vec::with_capacity(MAGIC_BYTES);
        (&mut metered)
            .take(MAGIC_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(|error| input.error(error))?;
        let compression = Compression::of_bytes(&start);
        let whole = Cursor::new(start).chain(metered);
        input.bytes = decoder(whole, compression).map_err(|error| input.error(error))?;
        input.compression = compression;
        Ok(input)
    }

    /// How messages call it: the path as it was given, or `standard input`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How it is compressed, if it is.
    pub const fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// Bytes of the file consumed so far; compressed ones, where it is compressed.
    pub fn consumed_bytes(&self) -> u64 {
        self.meter.bytes.load(Ordering::Relaxed)
    }

    /// The next `count` decompressed bytes, or what there is of them, without taking them away.
    ///
    /// # Errors
    /// [`TraceError::Read`], [`TraceError::Damaged`].
    pub fn peek(&mut self, count: usize) -> Result<&[u8], TraceError> {
        self.peeked.drain(..self.taken);
        self.taken = 0;
        let have = self.peeked.len();
        if have < count {
            self.peeked.resize(count, 0);
            let mut peeked = std::mem::take(&mut self.peeked);
            let got = self.fill(&mut peeked[have..]);
            peeked.truncate(have + got.as_ref().map_or(0, |&got| got));
            self.peeked = peeked;
            got?;
        }
        Ok(&self.peeked[..count.min(self.peeked.len())])
    }

    /// Reads some of the next decompressed bytes into `buffer` and says how many; 0 at the end, or if `buffer` is empty.
    ///
    /// # Errors
    /// [`TraceError::Read`], [`TraceError::Damaged`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TraceError> {
        let waiting = &self.peeked[self.taken..];
        if !waiting.is_empty() {
            let count = waiting.len().min(buffer.len());
            buffer[..count].copy_from_slice(&waiting[..count]);
            self.taken += count;
            return Ok(count);
        }
        loop {
            match self.bytes.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// Fills `buffer` with the next decompressed bytes and says how many there were: fewer than fit only at the end.
    ///
    /// # Errors
    /// [`TraceError::Read`], [`TraceError::Damaged`].
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TraceError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Tells a failing disk from a damaged compression.
    fn error(&self, error: io::Error) -> TraceError {
        let file = self.file.clone();
        let offset = self.consumed_bytes();
        match self.compression {
            Some(compression) if !self.meter.failed.load(Ordering::Relaxed) => {
                TraceError::Damaged {
                    file,
                    compression,
                    offset,
                    error,
                }
            }
            _ => TraceError::Read {
                file,
                offset,
                error,
            },
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("file", &self.file)
            .field("compression", &self.compression)
            .field("consumed_bytes", &self.consumed_bytes())
            .finish_non_exhaustive()
    }
}

/// Opens a file, or a pipe with a name; a directory opens too, but cannot be read.
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// What lies below the decoder and is asked about from above it.
#[derive(Debug, Default)]
struct Meter {
    bytes: AtomicU64,
    failed: AtomicBool,
}

struct Metered<R> {
    reader: R,
    meter: Arc<Meter>,
    progress: Option<Progress>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Ok(count) => {
                let total = self.meter.bytes.load(Ordering::Relaxed) + count as u64;
                self.meter.bytes.store(total, Ordering::Relaxed);
                if let Some(progress) = &mut self.progress {
                    progress(total);
                }
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.meter.failed.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}

/// A reader of what `compressed` decompresses to. Files of several gzip members, xz streams or zstd frames are read to the last.
fn decoder(
    compressed: impl Read + Send + 'static,
    compression: Option<Compression>,
) -> io::Result<Box<dyn Read + Send>> {
    let buffered = BufReader::with_capacity(CHUNK_BYTES, compressed);
    Ok(match compression {
        None => Box::new(buffered),
        Some(Compression::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        Some(Compression::Xz) => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY_LIMIT_BYTES,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(buffered, stream))
        }
        Some(Compression::Zstd) => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct FailsAfter(usize);

    impl Read for FailsAfter {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.0);
            if count == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            buffer[..count].fill(b'x');
            self.0 -= count;
            Ok(count)
        }
    }

    fn read_all(input: &mut Input) -> Result<Vec<u8>, TraceError> {
        let mut all = vec![0; 1 << 20];
        let count = input.fill(&mut all)?;
        all.truncate(count);
        Ok(all)
    }

    #[test]
    fn what_was_peeked_is_read_again() {
        let mut input = Input::new("t", Cursor::new(b"0123456789".to_vec()), None).expect("opens");
        assert_eq!(input.peek(4).expect("reads"), b"0123");
        let mut two = [0; 2];
        assert_eq!(input.fill(&mut two).expect("reads"), 2);
        assert_eq!(input.peek(3).expect("reads"), b"234");
        assert_eq!(input.peek(100).expect("reads"), b"23456789");
        assert_eq!(read_all(&mut input).expect("reads"), b"23456789");
    }

    #[test]
    fn progress_ends_at_the_length_of_the_file() {
        let packed = zstd::encode_all(vec![7u8; 1 << 18].as_slice(), 3).expect("encodes");
        let length = packed.len() as u64;
        let seen = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&seen);
        let progress: Progress = Box::new(move |bytes| told.store(bytes, Ordering::Relaxed));
        let mut input = Input::new("t", Cursor::new(packed), Some(progress)).expect("opens");
        assert_eq!(read_all(&mut input).expect("reads").len(), 1 << 18);
        assert_eq!(seen.load(Ordering::Relaxed), length);
        assert_eq!(input.consumed_bytes(), length);
    }

    #[test]
    fn a_failing_disk_is_not_called_a_damaged_file() {
        let mut input = Input::new("t", FailsAfter(100), None).expect("opens");
        let error = read_all(&mut input).expect_err("fails");
        assert!(
            matches!(error, TraceError::Read { offset: 100, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_compressed_stream_cut_anywhere_is_called_damaged() {
        let text: Vec<u8> = (0..5000u32).flat_map(u32::to_le_bytes).collect();
        for (compression, packed) in Compression::ALL.map(|c| (c, c.pack(&text))) {
            let mut whole = Input::new("t", Cursor::new(packed.clone()), None).expect("opens");
            assert_eq!(whole.compression(), Some(compression));
            assert_eq!(read_all(&mut whole).expect("reads"), text);
            for length in [6, 30, packed.len() / 2, packed.len() - 1] {
                let cut = packed[..length].to_vec();
                let error = Input::new("t", Cursor::new(cut), None)
                    .and_then(|mut input| read_all(&mut input))
                    .expect_err("a cut stream");
                assert!(matches!(error, TraceError::Damaged { .. }), "{error}");
            }
        }
    }
}
