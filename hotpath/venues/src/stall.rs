//! Whether a stream still brings what it should. A socket that answers pings may carry a dead channel, so every stream is
//! watched by its own pace: it has stalled when nothing came for many times as long as usual. Pure: the time is the
//! caller's.

use std::time::Duration;

/// When a silence is a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A shorter silence never is, whatever the pace.
    pub least: Duration,
    /// It is so many usual pauses.
    pub pauses: u64,
    /// A longer silence always is, and the one to wait for while the pace is not known.
    pub most: Duration,
}

impl Patience {
    /// Of one book: its silence makes it stale. Over 34 minutes of recorded books at five venues, most of them of thinly
    /// traded instruments, one pause was longer.
    pub const BOOK: Patience = Patience { least: Duration::from_secs(2), pauses: 50, most: Duration::from_secs(60) };
    /// Of a whole connection: its silence has books asked for over HTTP. Over 28 minutes of recorded connections four
    /// pauses were longer.
    pub const CONNECTION: Patience =
        Patience { least: Duration::from_secs(1), pauses: 10, most: Duration::from_secs(60) };
}

/// Watches one stream.
#[derive(Clone, Debug)]
pub struct Stall {
    patience: Patience,
    heard_ns: u64,
    /// Mean pause between messages, smoothed; 0 before the second message.
    pause_ns: u64,
    /// Rises with each stall and falls with each pause that was none.
    stalls: u32,
}

/// What a stall adds to that count, and where it says that the stream has become slower, and nothing is wrong with it.
const STALLS: (u32, u32) = (4, 12);

impl Stall {
    /// A stream that starts at `now_ns`.
    pub const fn new(now_ns: u64, patience: Patience) -> Stall {
        Stall { patience, heard_ns: now_ns, pause_ns: 0, stalls: 0 }
    }

    /// A message came.
    pub fn heard(&mut self, now_ns: u64) {
        let pause = self.silent_ns(now_ns);
        let stalled = self.pause_ns > 0 && pause > self.limit_ns();
        self.heard_ns = now_ns;
        self.stalls = if stalled { self.stalls + STALLS.0 } else { self.stalls.saturating_sub(1) };
        // An outage says nothing about the pace; several in a short while are the pace.
        if stalled && self.stalls < STALLS.1 {
            return;
        }
        self.stalls = self.stalls.min(STALLS.1);
        // A sixteenth of the way to the newest pause; the first one counts whole.
        self.pause_ns = if self.pause_ns == 0 { pause } else { self.pause_ns - self.pause_ns / 16 + pause / 16 };
    }

    /// The silence that counts as a stall, ns.
    pub fn limit_ns(&self) -> u64 {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (least, most) = (ns(self.patience.least), ns(self.patience.most.max(self.patience.least)));
        // Nothing is known about its pace yet.
        if self.pause_ns == 0 {
            return most;
        }
        self.pause_ns.saturating_mul(self.patience.pauses).clamp(least, most)
    }

    /// True when it has been silent for too long.
    pub fn is_stalled(&self, now_ns: u64) -> bool {
        self.silent_ns(now_ns) > self.limit_ns()
    }

    /// How long it has been silent, ns.
    pub const fn silent_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.heard_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_busy_stream_stalls_sooner_than_a_slow_one() {
        let watch = |pause_ms: u64| {
            let mut stall = Stall::new(0, Patience::BOOK);
            (1..=200).for_each(|n| stall.heard(n * pause_ms * MS));
            stall.limit_ns() / MS
        };
        assert_eq!(watch(10), 2_000, "never below the least");
        assert!((4_500..5_500).contains(&watch(100)));
        assert_eq!(watch(5_000), 60_000, "never above the most");
    }

    #[test]
    fn a_burst_does_not_make_a_slow_stream_look_dead() {
        let mut stall = Stall::new(0, Patience::BOOK);
        let mut now = 0;
        for _ in 0..50 {
            // Five at once, then a second of nothing.
            (0..5).for_each(|_| stall.heard(now));
            now += 1_000 * MS;
            assert!(!stall.is_stalled(now));
        }
        assert!(stall.is_stalled(now + 60_000 * MS));
    }

    #[test]
    fn an_outage_does_not_make_the_watch_patient_and_a_slower_pace_does() {
        let mut stall = Stall::new(0, Patience::BOOK);
        (1..=100).for_each(|n| stall.heard(n * 100 * MS));
        let usual = stall.limit_ns();
        stall.heard(10_000 * MS + 60_000 * MS);
        assert_eq!(stall.limit_ns(), usual);
        // From here on a message every six seconds.
        let mut now = 70_000 * MS;
        let mut stalls = 0;
        for _ in 0..20 {
            now += 6_000 * MS;
            stalls += u64::from(stall.is_stalled(now));
            stall.heard(now);
        }
        assert!(stalls <= 4, "{stalls}");
        assert!(!stall.is_stalled(now + 10_000 * MS));
    }

    #[test]
    fn what_never_began_stalls_after_the_most() {
        let stall = Stall::new(7, Patience::BOOK);
        assert!(!stall.is_stalled(59_000 * MS) && stall.is_stalled(60_001 * MS));
        assert_eq!(stall.silent_ns(0), 0);
    }
}
