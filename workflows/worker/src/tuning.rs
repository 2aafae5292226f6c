//! Intervals and limits of a worker, all derived from the length of a lease.

use spec::Queue;
use std::time::Duration;

/// Intervals of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// Handlers of the io queue that run at the same time.
    pub io: usize,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning { lease: Duration::from_secs(30), io: 8 }
    }
}

impl Tuning {
    /// The default, or a lease of `TRAIDER_LEASE_SECONDS` (at least 1).
    ///
    /// # Errors
    /// When the variable does not hold a number.
    pub fn from_env() -> Result<Tuning, String> {
        match std::env::var("TRAIDER_LEASE_SECONDS") {
            Err(_) => Ok(Tuning::default()),
            Ok(text) => match text.parse::<f64>() {
                Ok(seconds) if (1.0..=3600.0).contains(&seconds) => {
                    Ok(Tuning { lease: Duration::from_secs_f64(seconds), ..Tuning::default() })
                }
                _ => Err(format!("TRAIDER_LEASE_SECONDS = `{text}` is not a number of seconds between 1 and 3600")),
            },
        }
    }

    /// Time between two heartbeats: six may go missing.
    pub fn heartbeat(&self) -> Duration {
        self.lease / 6
    }

    /// Time between two sweeps.
    pub fn sweep(&self) -> Duration {
        self.lease / 6
    }

    /// How long a ready step may look lost before it gets a new task.
    pub fn grace(&self) -> Duration {
        self.lease / 6
    }

    /// Handlers of a queue that run at the same time in one process.
    pub const fn handlers(&self, queue: Queue) -> usize {
        match queue {
            Queue::Io => self.io,
            Queue::Cpu => 1,
            Queue::Report => 2,
            Queue::Critical => 4,
        }
    }
}
