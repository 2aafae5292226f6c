//! The daemon's clock and the stamps it gives: never going back, whatever the source, and never standing still when the
//! machine's clock is set back. The engine never sees a clock, only these stamps.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time between two [`domain::Event::Timer`]s, ns.
pub const TICK_NS: u64 = 100_000_000;
/// Most timers made up for one jump of the source's time; the rest of the jump has none.
const TICKS_MAX: u64 = 600;

/// What the stamps follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// The machine's clock.
    Wall,
    /// The receive times a replayed capture states.
    Source,
}

/// Now by the machine's clock, ns since 1970 UTC. It can be set back and forth: only for what others compare with
/// their own clocks (request timestamps) and for names.
pub fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    nanos(since)
}

/// Now for stamps, ns since 1970 UTC: the machine's clock when this was first called, and what has passed since by a
/// clock that nobody sets.
pub fn stamp_ns() -> u64 {
    static BASE: OnceLock<(u64, Instant)> = OnceLock::new();
    let (base_ns, start) = BASE.get_or_init(|| (wall_ns(), Instant::now()));
    base_ns.saturating_add(nanos(start.elapsed()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Gives stamps that never go back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    kind: ClockKind,
    last_ns: u64,
    /// How far the machine's clock was set back since an earlier session of the run, ns: added, so that time goes on.
    behind_ns: u64,
}

impl Clock {
    /// A clock that goes on from `last_ns` (0 at the start of a run), at `now_ns` by [`stamp_ns`].
    pub const fn new(kind: ClockKind, last_ns: u64, now_ns: u64) -> Clock {
        Clock { kind, last_ns, behind_ns: last_ns.saturating_sub(now_ns) }
    }
    /// What it follows.
    pub const fn kind(&self) -> ClockKind {
        self.kind
    }
    /// The last stamp given; 0 before the first.
    pub const fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// The time to move to for something received at stamp `wall_ns` for which the source states `source_ns`.
    pub fn target(&self, wall_ns: u64, source_ns: Option<u64>) -> u64 {
        let now = match self.kind {
            ClockKind::Wall => wall_ns.saturating_add(self.behind_ns),
            ClockKind::Source => source_ns.unwrap_or(0),
        };
        now.max(self.last_ns)
    }

    /// Moves to `target_ns` without a tick on the way.
    pub const fn skip(&mut self, target_ns: u64) {
        if self.last_ns < target_ns {
            self.last_ns = target_ns;
        }
    }

    /// Moves to `target_ns`, calling `tick` for every boundary on the way.
    ///
    /// # Errors
    /// Whatever `tick` says; the clock then stands at the boundary.
    pub fn advance<E>(&mut self, target_ns: u64, mut tick: impl FnMut(u64) -> Result<(), E>) -> Result<(), E> {
        let started = self.last_ns > 0;
        if started && target_ns / TICK_NS > self.last_ns / TICK_NS {
            let last = target_ns / TICK_NS;
            let first = (self.last_ns / TICK_NS + 1).max((last + 1).saturating_sub(TICKS_MAX));
            for n in first..=last {
                self.last_ns = n * TICK_NS;
                tick(self.last_ns)?;
            }
        }
        self.last_ns = self.last_ns.max(target_ns);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn ticks(clock: &mut Clock, target: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        let Ok(()) = clock.advance(target, |ns| {
            seen.push(ns / TICK_NS);
            Ok::<(), Infallible>(())
        });
        seen
    }

    #[test]
    fn every_boundary_on_the_way_ticks_once() {
        let mut clock = Clock::new(ClockKind::Source, 0, 0);
        assert!(ticks(&mut clock, 250_000_000).is_empty(), "the first stamp starts the clock");
        assert_eq!(ticks(&mut clock, 500_000_000), [3, 4, 5]);
        assert!(ticks(&mut clock, 500_000_001).is_empty());
        assert_eq!(clock.last_ns(), 500_000_001);
    }

    #[test]
    fn stamps_never_go_back_and_jumps_are_bounded() {
        let mut clock = Clock::new(ClockKind::Wall, 1_000, 1_000);
        assert_eq!(clock.target(900, Some(5_000)), 1_000, "the wall clock does not listen to the source");
        let seen = ticks(&mut clock, 3600 * 1_000_000_000);
        assert_eq!((seen.len(), seen.last()), (600, Some(&36_000)));
        assert_eq!(Clock::new(ClockKind::Source, 7, 0).target(900, None), 7);
        assert_eq!(Clock::new(ClockKind::Source, 7, 0).target(900, Some(8)), 8);
    }

    #[test]
    fn time_goes_on_at_once_when_the_machines_clock_was_set_back_between_two_sessions() {
        let clock = Clock::new(ClockKind::Wall, 5_000, 2_000);
        assert_eq!([clock.target(2_000, None), clock.target(2_001, None)], [5_000, 5_001]);
        let clock = Clock::new(ClockKind::Wall, 5_000, 7_000);
        assert_eq!(clock.target(7_001, None), 7_001);
    }

    #[test]
    fn stamps_begin_at_the_machines_clock_and_count_what_passes() {
        let (wall, first) = (wall_ns(), stamp_ns());
        assert!(first.abs_diff(wall) < 60_000_000_000, "{first} and {wall}");
        let start = Instant::now();
        let (before, end) = (stamp_ns(), Duration::from_millis(2));
        while start.elapsed() < end {
            std::hint::spin_loop();
        }
        assert!(stamp_ns() - before >= 2_000_000);
    }
}
