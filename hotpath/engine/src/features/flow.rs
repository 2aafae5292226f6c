//! Order flow at the best prices of the live book.

use super::{SECOND_NS, float};
use domain::event::Level;
use std::collections::VecDeque;

/// `book.queue_imbalance(1)@change`: `(bid size - ask size) / (bid size + ask size)` at the best prices, in
/// `-1.0..=1.0`.
pub fn queue_imbalance(bid: Level, ask: Level) -> f64 {
    let (bid, ask) = (i128::from(bid.qty.get()), i128::from(ask.qty.get()));
    assert!(bid + ask > 0, "a book level is never empty");
    float(bid - ask) / float(bid + ask)
}

/// What one change of the best prices contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfiStep {
    /// Net size added at the bid and taken from the ask, in lots.
    pub flow: i128,
    /// Bid plus ask size, in lots: twice the depth.
    pub depth2: i128,
}

/// Order-flow imbalance of Cont, Kukanov and Stoikov (The price impact of order book events, 2014), one step per
/// change of the best prices:
///
/// `e = [b >= b'] qb - [b <= b'] qb' - [a <= a'] qa + [a >= a'] qa'` (primes: before).
#[derive(Clone, Debug, Default)]
pub struct Ofi {
    last: Option<(Level, Level)>,
}

impl Ofi {
    /// Takes the best bid and ask; `None` for the first top after a reset and when nothing changed.
    pub fn update(&mut self, bid: Level, ask: Level) -> Option<OfiStep> {
        let (bid0, ask0) = self.last.replace((bid, ask))?;
        if (bid0, ask0) == (bid, ask) {
            return None;
        }
        let size = |level: Level, counts: bool| if counts { i128::from(level.qty.get()) } else { 0 };
        let flow = size(bid, bid.price >= bid0.price)
            - size(bid0, bid.price <= bid0.price)
            - size(ask, ask.price <= ask0.price)
            + size(ask0, ask.price >= ask0.price);
        Some(OfiStep { flow, depth2: i128::from(bid.qty.get()) + i128::from(ask.qty.get()) })
    }

    /// The book had a gap: the next top has no predecessor.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

/// `flow.ofi(Ns)@1s`: flow over the last `n` seconds divided by the mean depth over them; +1.0 means that one mean
/// depth was net bought. Seconds are buckets of receive time, the running one included.
///
/// Warm once `n` seconds have passed since the first step; `None` too when no step lies in the window.
#[derive(Clone, Debug)]
pub struct FlowWindow {
    seconds: u64,
    /// Buckets (second, flow, depth2, steps) inside the window, oldest first; empty seconds have none.
    buckets: VecDeque<Bucket>,
    total: Bucket,
    first_second: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    second: u64,
    flow: i128,
    depth2: i128,
    steps: i128,
}

impl FlowWindow {
    /// Over `seconds` seconds.
    ///
    /// # Panics
    /// When `seconds` is zero.
    pub fn new(seconds: u32) -> Self {
        assert!(seconds > 0, "a window needs a length");
        let buckets = VecDeque::with_capacity(seconds as usize + 1);
        Self { seconds: u64::from(seconds), buckets, total: Bucket::default(), first_second: None }
    }

    /// Takes a step at receive time `now_ns`; time never goes back.
    pub fn update(&mut self, now_ns: u64, step: OfiStep) -> Option<f64> {
        let second = now_ns / SECOND_NS;
        self.first_second.get_or_insert(second);
        if self.buckets.back().is_none_or(|b| b.second != second) {
            assert!(self.buckets.back().is_none_or(|b| b.second < second), "receive time never goes back");
            self.buckets.push_back(Bucket { second, ..Bucket::default() });
        }
        let last = self.buckets.back_mut().expect("just pushed");
        for bucket in [last, &mut self.total] {
            bucket.flow += step.flow;
            bucket.depth2 += step.depth2;
            bucket.steps += 1;
        }
        self.value(now_ns)
    }

    /// The value at receive time `now_ns`.
    pub fn value(&mut self, now_ns: u64) -> Option<f64> {
        let second = now_ns / SECOND_NS;
        while let Some(old) = self.buckets.front().filter(|b| b.second + self.seconds <= second).copied() {
            self.buckets.pop_front();
            self.total.flow -= old.flow;
            self.total.depth2 -= old.depth2;
            self.total.steps -= old.steps;
        }
        assert!(self.buckets.len() as u64 <= self.seconds, "one bucket per second of the window");
        assert!(!self.buckets.is_empty() || self.total.steps == 0, "an empty window adds up to nothing");
        let warm = self.first_second.is_some_and(|first| first + self.seconds <= second);
        if !warm || self.total.depth2 == 0 {
            return None;
        }
        Some(float(self.total.flow) / (float(self.total.depth2) / float(2 * self.total.steps)))
    }

    /// The book had a gap: warms up again.
    pub fn reset(&mut self) {
        self.buckets.clear();
        self.total = Bucket::default();
        self.first_second = None;
    }
}
