//! Wilder's smoothing and what is built on it. Source: Wilder, New Concepts in Technical Trading Systems (1978).

use super::average::Seed;
use super::count;

/// Wilder's moving average: `(previous * (p - 1) + x) / p`, seeded with the mean of the first `p` values.
#[derive(Clone, Debug)]
pub struct Rma {
    period: f64,
    seed: Seed,
    value: Option<f64>,
}

impl Rma {
    /// Over `period` values.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn new(period: usize) -> Self {
        Self { period: count(period), seed: Seed::new(period), value: None }
    }

    /// Takes the next value. Not-a-number and infinities are refused and change nothing.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if !x.is_finite() {
            return self.value;
        }
        self.value = match self.value {
            Some(r) => Some((r * (self.period - 1.0) + x) / self.period),
            None => self.seed.update(x),
        };
        self.value
    }

    /// The average now; `None` while it warms up.
    pub const fn value(&self) -> Option<f64> {
        self.value
    }
}

/// Relative strength index, `0.0..=100.0`: `100 (G / (G + L))` over Wilder's averages of gains and losses; 0 when
/// nothing moved at all (as TA-Lib), which is a sign of a dead feed and not of weakness.
///
/// First value with input `p + 1`, because a gain needs a value before it.
#[derive(Clone, Debug)]
pub struct Rsi {
    last: Option<f64>,
    gains: Rma,
    losses: Rma,
}

impl Rsi {
    /// Over `period` changes.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn new(period: usize) -> Self {
        Self { last: None, gains: Rma::new(period), losses: Rma::new(period) }
    }

    /// Takes the next close. Not-a-number and infinities are refused and change nothing.
    pub fn update(&mut self, close: f64) -> Option<f64> {
        if !close.is_finite() {
            return None;
        }
        let change = close - self.last.replace(close)?;
        // Both are fed before either is asked: they warm up together.
        let (gain, loss) = (self.gains.update(change.max(0.0)), self.losses.update((-change).max(0.0)));
        let (gain, loss) = gain.zip(loss)?;
        assert!(gain >= 0.0 && loss >= 0.0, "averages of sizes are sizes");
        let moved = gain + loss;
        Some(if moved > 0.0 { 100.0 * (gain / moved) } else { 0.0 })
    }
}

/// Average true range: Wilder's average of `max(h - l, |h - c1|, |l - c1|)`, in the unit of the prices.
///
/// The first bar has no true range, so the first value comes with bar `p + 1`.
#[derive(Clone, Debug)]
pub struct Atr {
    close: Option<f64>,
    ranges: Rma,
}

impl Atr {
    /// Over `period` true ranges.
    ///
    /// # Panics
    /// When `period` is zero.
    pub fn new(period: usize) -> Self {
        Self { close: None, ranges: Rma::new(period) }
    }

    /// Takes the next bar. Not-a-number and infinities are refused and change nothing.
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        if !(high.is_finite() && low.is_finite() && close.is_finite()) {
            return self.value();
        }
        let before = self.close.replace(close)?;
        self.ranges.update((high - low).max((high - before).abs()).max((low - before).abs()))
    }

    /// The value now; `None` while it warms up.
    pub const fn value(&self) -> Option<f64> {
        self.ranges.value()
    }
}
