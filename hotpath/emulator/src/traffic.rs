//! What clients ask of the venue, counted against its limits in sliding windows of wall time. Counted and shown, never
//! enforced: whoever looks can tell whether there was a storm.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// So many in any window of so many seconds.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// How many.
    pub most: u32,
    /// In how many seconds.
    pub seconds: u64,
}

/// A venue's limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections from one address.
    pub connects: Limit,
    /// Messages on one connection.
    pub messages: Limit,
    /// Questions over HTTP from one address.
    pub requests: Limit,
}

/// Counts in a sliding window.
#[derive(Debug)]
pub struct Window {
    limit: Limit,
    recent: VecDeque<Instant>,
    total: u64,
    peak: usize,
}

impl Window {
    const fn new(limit: Limit) -> Window {
        Window { limit, recent: VecDeque::new(), total: 0, peak: 0 }
    }
    fn count(&mut self, now: Instant) {
        let window = Duration::from_secs(self.limit.seconds);
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= window) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.total += 1;
        self.peak = self.peak.max(self.recent.len());
    }
    fn shown(&self) -> Value {
        let over = self.peak > usize::try_from(self.limit.most).unwrap_or(usize::MAX);
        json!({"total": self.total, "peak": self.peak, "most": self.limit.most, "window_s": self.limit.seconds,
            "over": over})
    }
}

/// All counts of one venue.
#[derive(Debug)]
pub struct Traffic {
    limits: Limits,
    connects: Window,
    requests: Window,
    messages: BTreeMap<u64, Window>,
    /// What connections that are gone had.
    gone: (u64, usize),
}

impl Traffic {
    /// Nothing counted yet.
    pub fn new(limits: Limits) -> Traffic {
        let (connects, requests) = (Window::new(limits.connects), Window::new(limits.requests));
        Traffic { limits, connects, requests, messages: BTreeMap::new(), gone: (0, 0) }
    }
    /// Somebody opened a WebSocket.
    pub fn connect(&mut self) {
        self.connects.count(Instant::now());
    }
    /// Somebody asked over HTTP.
    pub fn request(&mut self) {
        self.requests.count(Instant::now());
    }
    /// Something came in on a connection: a text, a ping, a pong.
    pub fn message(&mut self, client: u64) {
        self.messages.entry(client).or_insert_with(|| Window::new(self.limits.messages)).count(Instant::now());
    }
    /// The connection is gone.
    pub fn left(&mut self, client: u64) {
        if let Some(window) = self.messages.remove(&client) {
            self.gone = (self.gone.0 + window.total, self.gone.1.max(window.peak));
        }
    }
    /// For the status page. `peak` is the most there ever was in one window; of messages, on one connection.
    pub fn shown(&self) -> Value {
        let mut all = Window::new(self.limits.messages);
        (all.total, all.peak) = self.gone;
        for window in self.messages.values() {
            all.total += window.total;
            all.peak = all.peak.max(window.peak);
        }
        json!({"connects": self.connects.shown(), "messages": all.shown(), "requests": self.requests.shown()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_fullest_window_and_not_the_total() {
        let mut window = Window::new(Limit { most: 2, seconds: 10 });
        let start = Instant::now();
        for second in [0, 1, 12, 13, 14, 40] {
            window.count(start + Duration::from_secs(second));
        }
        let want = json!({"total": 6, "peak": 3, "most": 2, "window_s": 10, "over": true});
        assert_eq!(window.shown(), want);
    }
}
