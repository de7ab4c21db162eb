//! Progress on standard error: a bar on a terminal, elsewhere a line every ten seconds.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::grouped;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of one piece of work, which several threads may report. It disappears when it is dropped.
#[derive(Debug)]
pub struct Progress {
    total: u64,
    unit: &'static str,
    done: AtomicU64,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Bar(ProgressBar),
    /// When the last line was written, or the work began.
    Lines(Mutex<Instant>),
}

impl Progress {
    pub(super) fn new(total: u64, unit: &'static str, is_terminal: bool) -> Self {
        let shape = if is_terminal {
            Shape::Bar(bar(total, unit))
        } else {
            Shape::Lines(Mutex::new(Instant::now()))
        };
        Self {
            total,
            unit,
            done: AtomicU64::new(0),
            shape,
        }
    }

    /// Reports `count` more.
    pub fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        self.show(done);
    }

    /// Reports that `done` are done in all.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.show(done);
    }

    /// Says beside the bar what is going on; without a bar nothing.
    pub fn message(&self, message: String) {
        if let Shape::Bar(bar) = &self.shape {
            bar.set_message(message);
        }
    }

    fn show(&self, done: u64) {
        match &self.shape {
            Shape::Bar(bar) => bar.set_position(done),
            Shape::Lines(last) => {
                // Another thread that holds the lock is writing the line already.
                let Ok(mut last) = last.try_lock() else {
                    return;
                };
                if last.elapsed() < LINE_INTERVAL {
                    return;
                }
                *last = Instant::now();
                let of = match self.total {
                    0 => String::new(),
                    total => format!("of {} ", grouped(total)),
                };
                let line = format!("{} {of}{}", grouped(done), self.unit);
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shape::Bar(bar) = &self.shape {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64, unit: &'static str) -> ProgressBar {
    let (bar, template) = if total == 0 {
        let template = format!("{{spinner}} {{human_pos}} {unit} {{msg}}");
        (ProgressBar::no_length(), template)
    } else {
        let template =
            format!("{{bar:40}} {{human_pos}} of {{human_len}} {unit}, {{eta}} left {{msg}}");
        (ProgressBar::new(total), template)
    };
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        // A unit with braces in it would spoil the template; the plain style shows the same figures.
        Err(_) => bar,
    }
}
