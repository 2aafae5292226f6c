//! The daemon's clock and the stamps it gives: never going back, whatever the source. The engine never sees a clock,
//! only these stamps.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// Now by the machine's clock, ns since 1970 UTC.
pub fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Gives stamps that never go back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    kind: ClockKind,
    last_ns: u64,
}

impl Clock {
    /// A clock that goes on from `last_ns` (0 at the start of a run).
    pub const fn new(kind: ClockKind, last_ns: u64) -> Clock {
        Clock { kind, last_ns }
    }
    /// What it follows.
    pub const fn kind(&self) -> ClockKind {
        self.kind
    }
    /// The last stamp given; 0 before the first.
    pub const fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// The time to move to for something received at `wall_ns` for which the source states `source_ns`.
    pub fn target(&self, wall_ns: u64, source_ns: Option<u64>) -> u64 {
        let now = match self.kind {
            ClockKind::Wall => wall_ns,
            ClockKind::Source => source_ns.unwrap_or(0),
        };
        now.max(self.last_ns)
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
        let mut clock = Clock::new(ClockKind::Source, 0);
        assert!(ticks(&mut clock, 250_000_000).is_empty(), "the first stamp starts the clock");
        assert_eq!(ticks(&mut clock, 500_000_000), [3, 4, 5]);
        assert!(ticks(&mut clock, 500_000_001).is_empty());
        assert_eq!(clock.last_ns(), 500_000_001);
    }

    #[test]
    fn stamps_never_go_back_and_jumps_are_bounded() {
        let mut clock = Clock::new(ClockKind::Wall, 1_000);
        assert_eq!(clock.target(900, Some(5_000)), 1_000, "the wall clock does not listen to the source");
        let seen = ticks(&mut clock, 3600 * 1_000_000_000);
        assert_eq!((seen.len(), seen.last()), (600, Some(&36_000)));
        assert_eq!(Clock::new(ClockKind::Source, 7).target(900, None), 7);
        assert_eq!(Clock::new(ClockKind::Source, 7).target(900, Some(8)), 8);
    }
}
