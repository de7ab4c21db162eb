//! Recording: runs a program under valgrind's tool lackey and writes what it references as a binary trace.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! Valgrind writes its text into a pipe of ours, which it opens by its name under `/proc`: so the program keeps its own standard input
//! and error, its output cannot get between the lines, and the text (eight times as long as the trace) never reaches a disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::TraceError;
use super::file::Written;
use super::input::Progress;

/// What the recorded program's standard output becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgramOutput {
    /// That of this process.
    #[default]
    Inherited,
    /// The standard error of this process: for a caller whose own standard output is data.
    ToStandardError,
}

/// How to record.
#[derive(Default)]
pub struct RecordOptions {
    /// The valgrind to call; by default `valgrind` in the search path.
    pub valgrind: Option<PathBuf>,
    /// References after which the program is ended; by default it runs to its own end.
    pub limit: Option<u64>,
    /// What the program's standard output becomes.
    pub output: ProgramOutput,
    /// Is told how many bytes of text valgrind has written.
    pub progress: Option<Progress>,
}

impl std::fmt::Debug for RecordOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordOptions")
            .field("valgrind", &self.valgrind)
            .field("limit", &self.limit)
            .field("output", &self.output)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The trace.
    #[serde(flatten)]
    pub written: Written,
    /// How the program ended, such as `exit status: 0`.
    pub status: String,
    /// Whether it was ended at the limit.
    pub stopped: bool,
}

/// Runs `program` with `arguments` under valgrind, and writes its references to a binary trace at `path`.
///
/// One process is recorded: children that it forks are silent, programs that it executes are not followed.
///
/// # Errors
/// [`TraceError::ValgrindMissing`], [`TraceError::Record`] (always on systems other than Linux), [`TraceError::NothingRecorded`],
/// [`TraceError::Unwritable`], and what is wrong with the text. The file at `path` is then as it was.
pub fn record(
    program: &OsString,
    arguments: &[OsString],
    path: &Path,
    options: RecordOptions,
) -> Result<Recorded, TraceError> {
    imp::record(program, arguments, path, options)
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::*;

    pub(super) fn record(
        _program: &OsString,
        _arguments: &[OsString],
        _path: &Path,
        _options: RecordOptions,
    ) -> Result<Recorded, TraceError> {
        Err(TraceError::Record {
            program: "valgrind".to_owned(),
            doing: "recording",
            error: std::io::Error::new(std::io::ErrorKind::Unsupported, "this works on Linux only"),
        })
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::{self, PipeReader, PipeWriter};
    use std::os::fd::AsRawFd;
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use super::super::file::{self, TraceFile};
    use super::super::input::Input;
    use super::super::lackey::{self, LackeyReader};
    use super::*;

    /// How often the end of the program is looked for. It delays nothing but the end.
    const POLL: Duration = Duration::from_millis(5);

    pub(super) fn record(
        program: &OsString,
        arguments: &[OsString],
        path: &Path,
        options: RecordOptions,
    ) -> Result<Recorded, TraceError> {
        // Before the program runs: it may run for hours.
        let mut trace = TraceFile::create(path, lackey::METADATA)?;
        let valgrind = options.valgrind.unwrap_or_else(|| "valgrind".into());
        let (text, running) = Running::start(&valgrind, program, arguments, options.output)?;
        let input = Input::new("the output of valgrind", text, options.progress)?;
        let mut reader = LackeyReader::new(input);
        let stopped = file::copy(&mut reader, &mut trace, options.limit)?;
        // The reader's end of the pipe stays open until the program has ended, so that it is not ended by a signal instead.
        let status = running.end(stopped)?;
        drop(reader);
        if trace.counts().total() == 0 {
            return Err(TraceError::NothingRecorded {
                command: program.display().to_string(),
                status: status.to_string(),
            });
        }
        Ok(Recorded {
            written: trace.finish()?,
            status: status.to_string(),
            stopped,
        })
    }

    /// A program under valgrind. Dropped, it is ended.
    struct Running {
        valgrind: String,
        child: Arc<Mutex<Child>>,
        waiter: Option<JoinHandle<io::Result<ExitStatus>>>,
    }

    impl Running {
        fn start(
            valgrind: &Path,
            program: &OsString,
            arguments: &[OsString],
            output: ProgramOutput,
        ) -> Result<(PipeReader, Self), TraceError> {
            let name = valgrind.display().to_string();
            let failed = |error| TraceError::Record {
                program: name.clone(),
                doing: "cannot be started",
                error,
            };
            let (text, log) = io::pipe().map_err(failed)?;
            let mut command = Command::new(valgrind);
            command
                .args(["--tool=lackey", "--trace-mem=yes", "--basic-counts=no"])
                .args(["--trace-children=no", "--child-silent-after-fork=yes"])
                .arg(format!("--log-file={}", path_of(&log)))
                .arg(program)
                .args(arguments);
            if output == ProgramOutput::ToStandardError {
                command.stdout(Stdio::from(io::stderr()));
            }
            let child = match command.spawn() {
                Ok(child) => Arc::new(Mutex::new(child)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(TraceError::ValgrindMissing { program: name });
                }
                Err(error) => return Err(failed(error)),
            };
            let waiter = Some(thread::spawn({
                let child = Arc::clone(&child);
                move || wait(&child, log)
            }));
            let valgrind = name;
            Ok((
                text,
                Self {
                    valgrind,
                    child,
                    waiter,
                },
            ))
        }

        /// Waits for the program to end, after ending it if that is asked for.
        fn end(mut self, kill: bool) -> Result<ExitStatus, TraceError> {
            if kill {
                self.kill();
            }
            let waited = match self.waiter.take().map(JoinHandle::join) {
                Some(Ok(waited)) => waited,
                Some(Err(_)) | None => Err(io::Error::other("it cannot be waited for")),
            };
            waited.map_err(|error| TraceError::Record {
                program: self.valgrind.clone(),
                doing: "its end cannot be seen",
                error,
            })
        }

        fn kill(&self) {
            // An error means that it has ended already.
            let _ = lock(&self.child).kill();
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            if let Some(waiter) = self.waiter.take() {
                self.kill();
                // What it says matters to nobody any more.
                let _ = waiter.join();
            }
        }
    }

    /// The name by which another process of the same user opens the writing end of a pipe of this one.
    fn path_of(log: &PipeWriter) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), log.as_raw_fd())
    }

    /// Waits for the program, and only then closes our own writing end, so that the reader comes to the end of the text.
    fn wait(child: &Mutex<Child>, log: PipeWriter) -> io::Result<ExitStatus> {
        let status = loop {
            match lock(child).try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            thread::sleep(POLL);
        };
        drop(log);
        status
    }

    /// A panic in the other thread leaves a child that can still be waited for.
    fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
        child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
