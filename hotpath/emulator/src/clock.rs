//! The virtual clock: market time at a speed. It stands still while it is paused, and never goes back.

use std::str::FromStr;
use std::time::Duration;
use tokio::time::Instant;

/// How fast market time runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many market seconds per second.
    Times(f64),
    /// As fast as the clients take it.
    Max,
}

impl Speed {
    /// True at one market second per second.
    pub fn is_real_time(self) -> bool {
        self == Speed::Times(1.0)
    }
}

impl FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.trim_end_matches('x').parse::<f64>() {
            Ok(n) if n.is_finite() && (0.001..=100_000.0).contains(&n) => Ok(Speed::Times(n)),
            _ => Err(format!("`{text}` is not a speed; use 1, a number from 0.001 to 100000, or max")),
        }
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Speed::Times(n) => write!(f, "{n}"),
            Speed::Max => f.write_str("max"),
        }
    }
}

/// Market time.
#[derive(Clone, Debug)]
pub struct Clock {
    speed: Speed,
    /// Newest time given out or reached, ns since 1970.
    newest_ns: u64,
    /// While running at a finite speed: this wall instant is this market time.
    anchor: Option<(Instant, u64)>,
}

impl Clock {
    /// A paused clock at `start_ns`.
    pub const fn new(speed: Speed, start_ns: u64) -> Self {
        Self { speed, newest_ns: start_ns, anchor: None }
    }
    /// Its speed.
    pub const fn speed(&self) -> Speed {
        self.speed
    }

    /// Market time now, ns since 1970.
    pub fn now_ns(&mut self, wall: Instant) -> u64 {
        if let (Some((at, start_ns)), Speed::Times(n)) = (self.anchor, self.speed) {
            let elapsed = wall.saturating_duration_since(at).as_secs_f64() * n * 1e9;
            // Years of market time stay far below 2^63 ns.
            self.newest_ns = self.newest_ns.max(start_ns.saturating_add(elapsed as u64));
        }
        self.newest_ns
    }

    /// An item of market time `ts_ns` went out.
    pub fn reached(&mut self, ts_ns: u64) {
        self.newest_ns = self.newest_ns.max(ts_ns);
    }

    /// Lets time run from where it stands.
    pub fn run(&mut self, wall: Instant) {
        if self.anchor.is_none() {
            self.anchor = Some((wall, self.newest_ns));
        }
    }

    /// Stops time where it stands.
    pub fn pause(&mut self, wall: Instant) {
        self.now_ns(wall);
        self.anchor = None;
    }

    /// How long until market time `ts_ns`; zero at maximal speed. The clock must run.
    pub fn until(&self, ts_ns: u64, wall: Instant) -> Duration {
        match (self.anchor, self.speed) {
            (Some((at, start_ns)), Speed::Times(n)) => {
                let ahead = Duration::from_secs_f64(ts_ns.saturating_sub(start_ns) as f64 / 1e9 / n);
                ahead.saturating_sub(wall.saturating_duration_since(at))
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_at_its_speed_and_stands_while_paused() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut clock = Clock::new(Speed::Times(10.0), 1_000);
        assert_eq!(clock.now_ns(at(5)), 1_000, "not running yet");
        clock.run(at(5));
        assert_eq!(clock.now_ns(at(7)), 1_000 + 20_000_000_000);
        assert_eq!(clock.until(1_000 + 50_000_000_000, at(7)), Duration::from_secs(3));
        clock.pause(at(8));
        assert_eq!(clock.now_ns(at(100)), 1_000 + 30_000_000_000);
        clock.run(at(100));
        assert_eq!(clock.now_ns(at(101)), 1_000 + 40_000_000_000);
    }

    #[test]
    fn at_maximal_speed_time_is_what_was_emitted() {
        let mut clock = Clock::new(Speed::Max, 5);
        clock.run(Instant::now());
        assert_eq!(clock.until(1_000_000, Instant::now()), Duration::ZERO);
        clock.reached(77);
        clock.reached(40);
        assert_eq!(clock.now_ns(Instant::now()), 77);
    }

    #[test]
    fn speeds_are_read_from_text() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("60".parse(), Ok(Speed::Times(60.0)));
        assert!("0".parse::<Speed>().is_err() && "fast".parse::<Speed>().is_err() && "inf".parse::<Speed>().is_err());
    }
}
