//! Pauses between attempts: doubling from 100 ms to 10 s, with jitter, so that a venue coming back is not met by all
//! at once. Waiting ends early when the daemon stops.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait before the stop flag is looked at.
const SLICE: Duration = Duration::from_millis(50);
/// Pauses never exceed this.
const LONGEST: Duration = Duration::from_secs(10);

/// A series of growing pauses.
#[derive(Debug)]
pub struct Backoff {
    pauses: ExponentialBackoff,
}

fn builder() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { pauses: builder().build() }
    }
}

impl Backoff {
    /// The series of a seed: the same each time.
    pub fn of_seed(seed: u64) -> Backoff {
        Backoff { pauses: builder().with_jitter_seed(seed).build() }
    }
    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(LONGEST).min(LONGEST)
    }
    /// Waits for the next pause; `false` when `stop` was set meanwhile.
    pub fn wait(&mut self, stop: &AtomicBool) -> bool {
        let pause = self.next_pause();
        sleep(pause, stop)
    }
}

/// Sleeps for `pause`; `false` when `stop` was set meanwhile.
pub fn sleep(pause: Duration, stop: &AtomicBool) -> bool {
    let end = Instant::now() + pause;
    while !stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(SLICE));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_seconds_and_stay_there() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] >= Duration::from_millis(100) && pauses[0] <= Duration::from_millis(200), "{pauses:?}");
        assert!(pauses.iter().all(|p| *p <= LONGEST));
        assert_eq!(pauses[19], LONGEST);
    }

    #[test]
    fn stopping_ends_the_wait() {
        assert!(!Backoff::default().wait(&AtomicBool::new(true)));
    }
}
