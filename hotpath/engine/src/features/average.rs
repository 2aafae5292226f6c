//! Moving averages.

use super::count;
use std::collections::VecDeque;

/// Longest window that is added up anew on every update; longer ones use a compensated running sum.
const RESUM_MAX: usize = 256;

/// Simple moving average of the last `p` values.
///
/// First value with the `p`-th input. Windows up to 256 are added up oldest first on every update, so they carry no
/// rounding history; longer ones use Neumaier's compensated sum and are added up anew every `p` updates.
#[derive(Clone, Debug)]
pub struct Sma {
    window: usize,
    values: VecDeque<f64>,
    sum: f64,
    compensation: f64,
    updates: usize,
}

impl Sma {
    /// Over `window` values.
    ///
    /// # Panics
    /// When `window` is zero.
    pub fn new(window: usize) -> Self {
        assert!(window > 0, "an average needs a window");
        Self { window, values: VecDeque::with_capacity(window + 1), sum: 0.0, compensation: 0.0, updates: 0 }
    }

    /// Takes the next value. Not-a-number and infinities are refused and change nothing.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if !x.is_finite() {
            return self.value();
        }
        self.values.push_back(x);
        let gone = if self.values.len() > self.window { self.values.pop_front() } else { None };
        assert!(self.values.len() <= self.window, "the window is bounded");
        self.updates += 1;
        if self.window <= RESUM_MAX || self.updates.is_multiple_of(self.window) {
            self.sum = self.values.iter().sum();
            self.compensation = 0.0;
        } else {
            self.add(x);
            if let Some(gone) = gone {
                self.add(-gone);
            }
        }
        self.value()
    }

    /// The average now; `None` while it warms up.
    pub fn value(&self) -> Option<f64> {
        (self.values.len() == self.window).then(|| (self.sum + self.compensation) / count(self.window))
    }

    fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        self.compensation += if self.sum.abs() >= x.abs() { (self.sum - sum) + x } else { (x - sum) + self.sum };
        self.sum = sum;
    }
}

/// Mean of the first `p` values, added left to right: the seed of the recursive averages.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    wanted: usize,
    seen: usize,
    sum: f64,
}

impl Seed {
    pub(super) fn new(wanted: usize) -> Self {
        assert!(wanted > 0, "an average needs a window");
        Self { wanted, seen: 0, sum: 0.0 }
    }
    pub(super) fn update(&mut self, x: f64) -> Option<f64> {
        assert!(self.seen < self.wanted, "a seed is used once");
        self.seen += 1;
        self.sum += x;
        (self.seen == self.wanted).then(|| self.sum / count(self.wanted))
    }
}

/// Exponential moving average: `e += (x - e) * 2 / (p + 1)`, seeded with the mean of the first `p` values (as TA-Lib).
///
/// First value with the `p`-th input; the weight of the seed falls below 1e-17 after `20 (p + 1)` inputs.
#[derive(Clone, Debug)]
pub struct Ema {
    weight: f64,
    seed: Seed,
    value: Option<f64>,
}

impl Ema {
    /// Over `period` values.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn new(period: usize) -> Self {
        Self { weight: 2.0 / (count(period) + 1.0), seed: Seed::new(period), value: None }
    }

    /// Takes the next value. Not-a-number and infinities are refused and change nothing.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if !x.is_finite() {
            return self.value;
        }
        self.value = match self.value {
            Some(e) => Some(e + (x - e) * self.weight),
            None => self.seed.update(x),
        };
        self.value
    }

    /// The average now; `None` while it warms up.
    pub const fn value(&self) -> Option<f64> {
        self.value
    }
}
