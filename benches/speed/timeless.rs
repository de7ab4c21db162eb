//! The simulator without time (`timeless.cpp`), as a program beside this one.
//!
//! Contract: none. SDM: none. Counterpart: `timeless.cpp`.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Outcome;
use twinwalk::trace::{MemoryReference, ReferenceKind};

/// Its compiler and the flags.
pub const COMPILER: &str = "g++ -O3 -march=native";

/// What it counts: look-ups of the first levels, their misses, and misses of the second.
pub type Misses = [u64; 5];

/// Seconds of one pass, by the ways of feeding it, with the textbook's LRU (time stamps) and with ways in order of use.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    pub references: f64,
    pub runs: f64,
    pub ordered_references: f64,
    pub ordered_runs: f64,
}

/// Compiles it.
pub fn build(root: &Path, work: &Path) -> Outcome<PathBuf> {
    let program = work.join("timeless");
    let mut words = COMPILER.split(' ');
    let output = Command::new(words.next().unwrap_or("g++"))
        .args(words)
        .args(["-std=c++17", "-Wall", "-o"])
        .arg(&program)
        .arg(root.join("benches/speed/timeless.cpp"))
        .output()
        .map_err(|error| format!("g++: {error}; install it (Debian: apt-get install g++)"))?;
    if output.status.success() {
        return Ok(program);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("g++ refused timeless.cpp: {said}").into())
}

/// The program with a trace in its memory, which makes a pass when asked.
pub struct Timeless {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Timeless {
    /// Starts it with `references`, which it reads from a file at `path`.
    pub fn start(program: &Path, path: &Path, references: &[MemoryReference]) -> Outcome<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        for reference in references {
            let (first, second) = reference.split();
            for part in [Some(first), second].into_iter().flatten() {
                let data = part.kind() != ReferenceKind::Fetch;
                file.write_all(&(part.page() << 1 | u64::from(data)).to_le_bytes())?;
            }
        }
        file.flush()?;
        let mut child = Command::new(program)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (ask, answers) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            ask: ask.ok_or("no pipe")?,
            answers: BufReader::new(answers.ok_or("no pipe")?),
            child,
        })
    }

    /// A pass, fed references, then runs; both ways of both simulators must have counted the same.
    pub fn pass(&mut self) -> Outcome<(Pass, Misses)> {
        self.ask.write_all(b"\n")?;
        self.ask.flush()?;
        let mut seconds = [0.0; 4];
        let mut misses: Option<Misses> = None;
        for seconds in &mut seconds {
            let mut line = String::new();
            self.answers.read_line(&mut line)?;
            let (time, counts) = line
                .trim()
                .split_once(' ')
                .ok_or("the simulator without time printed no figures")?;
            *seconds = time.parse()?;
            let counts: Vec<u64> = counts
                .split(' ')
                .map(str::parse)
                .collect::<Result<_, _>>()?;
            let counts: Misses = counts
                .try_into()
                .map_err(|_| "other figures than expected")?;
            if *misses.get_or_insert(counts) != counts {
                return Err("the simulators without time differ".into());
            }
        }
        let [references, runs, ordered_references, ordered_runs] = seconds;
        let pass = Pass {
            references,
            runs,
            ordered_references,
            ordered_runs,
        };
        Ok((pass, misses.unwrap_or_default()))
    }
}

impl Drop for Timeless {
    fn drop(&mut self) {
        // It waits for the next line; what becomes of it matters to nobody any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
