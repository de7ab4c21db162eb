//! Other programs, with a bound on how long they take.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a program left.
pub struct Ran {
    pub succeeded: bool,
    /// It was ended, because its time was up.
    pub timed_out: bool,
    pub stdout: String,
    pub stderr: String,
    pub seconds: f64,
}

const POLL: Duration = Duration::from_millis(5);

/// Runs a program to its end, or to the end of its time.
pub fn run(command: &mut Command, limit: Duration) -> Result<Ran, String> {
    let begin = Instant::now();
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{name}` does not run: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        // Both pipes are read at a time, so that the program waits for neither.
        let stdout = scope.spawn(|| text_of(stdout));
        let stderr = scope.spawn(|| text_of(stderr));
        let mut timed_out = false;
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if !timed_out && begin.elapsed() > limit => {
                    timed_out = true;
                    child.kill().map_err(|error| error.to_string())?;
                }
                None => std::thread::sleep(POLL),
            }
        };
        Ok(Ran {
            succeeded: status.success(),
            timed_out,
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
            seconds: begin.elapsed().as_secs_f64(),
        })
    })
}

fn text_of(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read up to an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
