//! A strict sliding window over so many slices. Pure: the time is the caller's.

use super::Leave;
use crate::adapter::Budget;
use std::time::Duration;

/// Slices a window is cut into. What was granted counts until the whole slice it fell into has left the window, so a
/// budget comes back in steps of a sixtieth.
const SLICES: usize = 60;
/// Marks the file's layout.
const MAGIC: u64 = 0x7472_6169_6465_7231;

/// What was granted lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    budget: Budget,
    /// Number of the newest slice since the beginning of time.
    newest: u64,
    /// Granted in the newest `SLICES + 1` slices, the place of slice n being n modulo their number.
    granted: [u32; SLICES + 1],
    banned_until_ns: u64,
}

impl Window {
    /// Nothing used.
    pub const fn new(budget: Budget) -> Window {
        Window { budget, newest: 0, granted: [0; SLICES + 1], banned_until_ns: 0 }
    }

    /// All of it used, now.
    pub fn full(budget: Budget, now_ns: u64) -> Window {
        let mut window = Window::new(budget);
        window.turn(now_ns);
        window.put(budget.most);
        window
    }

    /// Spends `weight` if, with it, no more than `share` is used.
    pub fn take(&mut self, now_ns: u64, weight: u32, share: u32) -> Leave {
        let now_ns = self.turn(now_ns);
        if let Some(rest) = self.banned(now_ns) {
            return Leave::Wait(rest);
        }
        let used = self.sum();
        if used.saturating_add(weight) <= share {
            self.put(weight);
            return Leave::Granted;
        }
        Leave::Wait(self.free_in(now_ns, used.saturating_add(weight).saturating_sub(share)))
    }

    /// What was granted at `since_ns` has ended only now: it counts from now on.
    pub fn ended(&mut self, since_ns: u64, now_ns: u64, weight: u32) {
        self.turn(now_ns);
        let slice = (since_ns / self.slice_ns()).min(self.newest);
        if slice + SLICES as u64 >= self.newest {
            let place = self.place(slice);
            *place = place.saturating_sub(weight);
        }
        self.put(weight);
    }

    /// The venue counted so much.
    pub fn told(&mut self, now_ns: u64, used: u32) {
        self.turn(now_ns);
        self.put(used.saturating_sub(self.sum()));
    }

    /// The venue said to stay away.
    pub fn ban(&mut self, now_ns: u64, length: Duration) {
        let now_ns = self.turn(now_ns);
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        self.banned_until_ns = self.banned_until_ns.max(now_ns.saturating_add(length));
    }

    /// Used in the window that ends now.
    pub fn used(&mut self, now_ns: u64) -> u32 {
        self.turn(now_ns);
        self.sum()
    }

    /// How long to stay away yet.
    pub fn banned(&self, now_ns: u64) -> Option<Duration> {
        let rest = self.banned_until_ns.saturating_sub(now_ns);
        (rest > 0).then(|| Duration::from_nanos(rest))
    }

    fn slice_ns(&self) -> u64 {
        let window = u64::try_from(self.budget.window.as_nanos()).unwrap_or(u64::MAX);
        (window / SLICES as u64).max(1)
    }

    /// Turns to the slice of `now_ns` and forgets those that have left the window. A clock that went back stands still;
    /// one that went back by more than a window is believed, with the budget used up.
    fn turn(&mut self, now_ns: u64) -> u64 {
        let slice_ns = self.slice_ns();
        let now = now_ns / slice_ns;
        let places = self.granted.len() as u64;
        if now + places < self.newest {
            (self.granted, self.newest) = ([0; SLICES + 1], now);
            self.banned_until_ns = self.banned_until_ns.min(now_ns.saturating_add(slice_ns * places));
            self.put(self.budget.most);
            return now_ns;
        }
        if now <= self.newest {
            return now_ns.max(self.newest * slice_ns);
        }
        for slice in (self.newest + 1..=now).take(self.granted.len()) {
            *self.place(slice) = 0;
        }
        // After a jump of more than a window nothing old is left.
        if now - self.newest >= places {
            self.granted = [0; SLICES + 1];
        }
        self.newest = now;
        now_ns
    }

    fn place(&mut self, slice: u64) -> &mut u32 {
        let places = self.granted.len() as u64;
        // Less than 61.
        &mut self.granted[usize::try_from(slice % places).unwrap_or(0)]
    }

    fn put(&mut self, weight: u32) {
        let place = self.place(self.newest);
        *place = place.saturating_add(weight);
    }

    fn sum(&self) -> u32 {
        self.granted.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Time until at least `enough` of what is used has left the window.
    fn free_in(&mut self, now_ns: u64, enough: u32) -> Duration {
        let slice_ns = self.slice_ns();
        let oldest = self.newest.saturating_sub(SLICES as u64);
        let mut freed = 0u32;
        for slice in oldest..=self.newest {
            freed = freed.saturating_add(*self.place(slice));
            if freed >= enough {
                let left_at = (slice + SLICES as u64 + 1).saturating_mul(slice_ns);
                return Duration::from_nanos(left_at.saturating_sub(now_ns).max(1));
            }
        }
        // More than the whole share: it will never do, and a window is a fair time to say so again.
        self.budget.window
    }

    /// As a file holds it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [MAGIC, u64::from(self.budget.most), self.slice_ns(), self.newest, self.banned_until_ns];
        let mut bytes: Vec<u8> = head.iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.extend(self.granted.iter().flat_map(|n| n.to_le_bytes()));
        bytes
    }

    /// Back from a file; `None` when it is something else, or of another budget.
    pub fn from_bytes(bytes: &[u8], budget: Budget) -> Option<Window> {
        let mut window = Window::new(budget);
        let (head, rest) = bytes.split_at_checked(5 * 8)?;
        let mut numbers = head.chunks_exact(8).map(|b| b.try_into().map(u64::from_le_bytes));
        let mut number = || numbers.next()?.ok();
        let known = number()? == MAGIC && number()? == u64::from(budget.most) && number()? == window.slice_ns();
        if !known || rest.len() != 4 * window.granted.len() {
            return None;
        }
        (window.newest, window.banned_until_ns) = (number()?, number()?);
        for (place, bytes) in window.granted.iter_mut().zip(rest.chunks_exact(4)) {
            *place = u32::from_le_bytes(bytes.try_into().ok()?);
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;
    const BUDGET: Budget = Budget { most: 20, window: Duration::from_secs(60) };

    proptest! {
        /// Each action reaches the venue at some moment between its grant and its end, drawn; the venue's own count, a plain
        /// list, never sees more than the budget in any window.
        #[test]
        fn whenever_on_its_way_the_venue_counts_an_action_its_limit_holds(
            acts in prop::collection::vec((0u64..3_000, 1u32..6, 0u64..20_000, 0u64..=100), 1..200)
        ) {
            let mut window = Window::new(BUDGET);
            let (mut now, mut log): (u64, Vec<(u64, u32)>) = (1_700_000_000 * S, Vec::new());
            for (pause_ms, weight, lasts_ms, arrives) in acts {
                now += pause_ms * 1_000_000;
                while let Leave::Wait(wait) = window.take(now, weight, BUDGET.most) {
                    now += u64::try_from(wait.as_nanos()).unwrap();
                }
                let since = now;
                now += lasts_ms * 1_000_000;
                window.ended(since, now, weight);
                log.push((since + (now - since) / 100 * arrives, weight));
            }
            for (from, _) in &log {
                let sum: u32 = log.iter().filter(|(at, _)| (*from..*from + 60 * S).contains(at)).map(|(_, w)| w).sum();
                prop_assert!(sum <= BUDGET.most, "{sum} in the window from {from}");
            }
        }

        /// The naive truth: a list of all that was granted.
        #[test]
        fn no_window_anywhere_holds_more_than_the_budget_and_waiting_as_told_is_enough(
            asks in prop::collection::vec((0u64..8_000, 1u32..6), 1..200)
        ) {
            let mut window = Window::new(BUDGET);
            let (mut now, mut log): (u64, Vec<(u64, u32)>) = (1_700_000_000 * S, Vec::new());
            for (pause_ms, weight) in asks {
                now += pause_ms * 1_000_000;
                let mut tries = 0;
                while let Leave::Wait(wait) = window.take(now, weight, BUDGET.most) {
                    now += u64::try_from(wait.as_nanos()).unwrap();
                    tries += 1;
                    prop_assert!(tries < 3, "the wait that was told is about enough");
                }
                log.push((now, weight));
            }
            for (from, _) in &log {
                let sum: u32 = log.iter().filter(|(at, _)| (*from..*from + 60 * S).contains(at)).map(|(_, w)| w).sum();
                prop_assert!(sum <= BUDGET.most, "{sum} in the window from {from}");
            }
        }

        #[test]
        fn it_survives_its_file(takes in prop::collection::vec((0u64..10_000, 1u32..9), 0..50), junk in any::<Vec<u8>>()) {
            let (mut window, mut now) = (Window::new(BUDGET), 5 * S);
            for (ms, weight) in takes {
                now += ms * 1_000_000;
                let _granted = window.take(now, weight, 20);
            }
            let back = Window::from_bytes(&window.to_bytes(), BUDGET);
            prop_assert_eq!(back, Some(window));
            prop_assert!(Window::from_bytes(&junk, BUDGET).is_none());
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let mut window = Window::new(BUDGET);
        assert_eq!(window.take(1000 * S, 20, 20), Leave::Granted);
        assert!(matches!(window.take(970 * S, 1, 20), Leave::Wait(_)), "half a window back");
        assert!(matches!(window.take(10 * S, 1, 20), Leave::Wait(_)), "a day back, as it were");
        assert_eq!(window.take(72 * S, 20, 20), Leave::Granted, "a window later all is well");
    }

    #[test]
    fn more_than_the_share_is_never_granted_and_a_ban_ends() {
        let mut window = Window::new(BUDGET);
        assert_eq!(window.take(S, 11, 10), Leave::Wait(BUDGET.window));
        window.ban(S, Duration::from_secs(5));
        assert_eq!(window.take(2 * S, 1, 10), Leave::Wait(Duration::from_secs(4)));
        assert_eq!(window.take(6 * S, 1, 10), Leave::Granted);
    }
}
