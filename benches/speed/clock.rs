//! The clock of the bench: processor time of this thread, where the system tells it, so that other programs do not count.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::time::Instant;

/// Processor time of this thread (Linux), else time of day.
pub struct Clock {
    began: Instant,
    ran: Option<f64>,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            ran: Self::processor_seconds(),
            began: Instant::now(),
        }
    }

    pub fn seconds(&self) -> f64 {
        match (self.ran, Self::processor_seconds()) {
            (Some(before), Some(now)) => now - before,
            _ => self.began.elapsed().as_secs_f64(),
        }
    }

    /// The first figure of schedstat: nanoseconds on a processor. The scheduler brings it up to date when it is called, as by a yield.
    fn processor_seconds() -> Option<f64> {
        std::thread::yield_now();
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
        (nanoseconds > 0.0).then_some(nanoseconds / 1e9)
    }

    pub fn name() -> &'static str {
        match Self::processor_seconds() {
            Some(_) => "processor time",
            None => "time of day",
        }
    }
}
