//! Where our order stands in the queue at its price, estimated from what the public feed shows.
//!
//! An order joins behind everything displayed. Trades at the price move it forward. When the displayed size falls
//! by more than was traded, somebody cancelled: ahead of us or behind us? That is what the models disagree on. The
//! result that counts is the pessimistic one; the others give the optimistic end of an interval.
//!
//! Source: the queue models of hftbacktest (Pessimistic is its `RiskAdverseQueueModel`, the others its
//! `ProbQueueModel` with power and log functions).

use domain::Lots;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Who cancelled when the displayed size falls without a trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueModel {
    /// Everybody behind us: only trades advance us.
    #[default]
    Pessimistic,
    /// Behind us with probability `back^n / (back^n + front^n)`.
    Power {
        /// Exponent, 1 or more; 3 is usual.
        n: u8,
    },
    /// Behind us with probability `ln(1+back) / (ln(1+back) + ln(1+front))`.
    Log,
}

/// The text names no queue model.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("`{0}` is not a queue model; use pessimistic, power:3 or log")]
pub struct UnknownQueueModel(String);

impl FromStr for QueueModel {
    type Err = UnknownQueueModel;
    fn from_str(text: &str) -> Result<Self, UnknownQueueModel> {
        let power = |n: &str| n.parse().ok().filter(|n| (1..=9).contains(n)).map(|n| QueueModel::Power { n });
        match text {
            "pessimistic" => Some(QueueModel::Pessimistic),
            "log" => Some(QueueModel::Log),
            "power" => Some(QueueModel::Power { n: 3 }),
            other => other.strip_prefix("power:").and_then(power),
        }
        .ok_or_else(|| UnknownQueueModel(text.to_owned()))
    }
}

impl fmt::Display for QueueModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueModel::Pessimistic => f.write_str("pessimistic"),
            QueueModel::Power { n } => write!(f, "power:{n}"),
            QueueModel::Log => f.write_str("log"),
        }
    }
}

impl QueueModel {
    /// Probability that a cancelled lot stood behind us, with `front` lots ahead and `back` lots behind.
    /// Nothing on either side is undefined and counts as 1.
    pub fn behind(self, front: f64, back: f64) -> f64 {
        let f = |x: f64| match self {
            QueueModel::Pessimistic => 0.0,
            QueueModel::Power { n } => (0..n).fold(1.0, |product, _| product * x),
            QueueModel::Log => libm::log1p(x),
        };
        let (front, back) = (f(front), f(back));
        let total = front + back;
        if total > 0.0 { back / total } else { 1.0 }
    }
}

/// One order's place in the queue at its price. Lots as floats: estimates are fractions; whole numbers stay exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueuePosition {
    /// Market size ahead of us; infinite while nobody knows.
    pub front: f64,
    /// Traded at the price since the last change of the displayed size: that part of a decrease is explained.
    traded: f64,
}

fn float(qty: Lots) -> f64 {
    qty.get() as f64
}

impl QueuePosition {
    /// Behind all of `displayed`; `None` when the book is not known.
    pub fn behind_all(displayed: Option<Lots>) -> Self {
        Self { front: displayed.map_or(f64::INFINITY, float), traded: 0.0 }
    }

    /// `qty` traded at the price, of which `advance` came out of the queue ahead of us.
    pub fn on_trade(&mut self, qty: Lots, advance: f64) {
        self.front = (self.front - advance).max(0.0);
        self.traded += float(qty);
    }

    /// The displayed size at the price became `new`, and what it was before is not known.
    pub fn cap(&mut self, new: Lots) {
        self.front = self.front.min(float(new));
        self.traded = 0.0;
    }

    /// The displayed size at the price went from `prev` to `new`.
    pub fn on_depth(&mut self, model: QueueModel, prev: Lots, new: Lots) {
        let (prev, new) = (float(prev), float(new));
        let unexplained = prev - new - self.traded;
        self.traded = 0.0;
        if model == QueueModel::Pessimistic || unexplained <= 0.0 || !self.front.is_finite() {
            self.front = self.front.min(new);
            return;
        }
        let back = (prev - self.front).max(0.0);
        let p = model.behind(self.front, back);
        // More cancelled behind us than stood there: the rest was ahead.
        let overflow = (back - p * unexplained).min(0.0);
        self.front = (self.front - (1.0 - p) * unexplained + overflow).min(new).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(front: f64) -> QueuePosition {
        QueuePosition { front, traded: 0.0 }
    }

    #[test]
    fn pessimistic_advances_on_trades_alone() {
        let mut q = QueuePosition::behind_all(Some(Lots::new(30)));
        q.on_depth(QueueModel::Pessimistic, Lots::new(100), Lots::new(90));
        assert_eq!(q.front, 30.0, "cancels count as behind us");
        q.on_trade(Lots::new(4), 4.0);
        assert_eq!(q.front, 26.0);
        q.on_depth(QueueModel::Pessimistic, Lots::new(90), Lots::new(20));
        assert_eq!(q.front, 20.0, "no more can be ahead of us than is there");
    }

    #[test]
    fn power_of_three_by_hand() {
        // front 30, back 70: p = 343000 / (343000 + 27000) = 0.927027...; 10 cancelled, so 0.72973 of them ahead.
        let mut q = at(30.0);
        q.on_depth(QueueModel::Power { n: 3 }, Lots::new(100), Lots::new(90));
        assert!((q.front - 29.270_270_27).abs() < 1e-8, "{}", q.front);
    }

    #[test]
    fn log_by_hand() {
        // front 9, back 99: ln(100) / (ln(100) + ln(10)) = 2/3; 30 cancelled, so 10 ahead would leave -1: floor 0.
        let mut q = at(9.0);
        q.on_depth(QueueModel::Log, Lots::new(108), Lots::new(78));
        assert!(q.front.abs() < 1e-9, "{}", q.front);
        // 3 cancelled, so 1 ahead.
        let mut q = at(9.0);
        q.on_depth(QueueModel::Log, Lots::new(108), Lots::new(105));
        assert!((q.front - 8.0).abs() < 1e-9, "{}", q.front);
    }

    #[test]
    fn what_was_traded_is_not_counted_again_as_cancelled() {
        let mut q = at(30.0);
        q.on_trade(Lots::new(10), 10.0);
        q.on_depth(QueueModel::Power { n: 3 }, Lots::new(100), Lots::new(90));
        assert_eq!(q.front, 20.0, "the fall by 10 is the trade of 10");
    }

    #[test]
    fn cancels_beyond_what_is_behind_us_came_from_ahead() {
        // front 90, back 10, 50 cancelled: p = 1000 / 730000, so 49.93 ahead: front 40.068, nothing overflows.
        let mut q = at(90.0);
        q.on_depth(QueueModel::Power { n: 3 }, Lots::new(100), Lots::new(50));
        assert!((q.front - (90.0 - 50.0 * (1.0 - 1000.0 / 730_000.0))).abs() < 1e-9, "{}", q.front);
        // n = 1, front 10, back 90, 95 gone: p = 0.9 says 85.5 behind and 9.5 ahead: front 0.5, within the 5 left.
        let mut q = at(10.0);
        q.on_depth(QueueModel::Power { n: 1 }, Lots::new(100), Lots::new(5));
        assert!((q.front - 0.5).abs() < 1e-9, "{}", q.front);
    }

    #[test]
    fn nothing_on_either_side_counts_as_behind() {
        assert_eq!(QueueModel::Power { n: 3 }.behind(0.0, 0.0), 1.0);
        assert_eq!(QueueModel::Log.behind(0.0, 0.0), 1.0);
    }

    #[test]
    fn models_are_named_in_text() {
        for text in ["pessimistic", "power:3", "log", "power:1"] {
            assert_eq!(text.parse::<QueueModel>().map(|m| m.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "power:0", "power:x", "fifo"] {
            assert!(wrong.parse::<QueueModel>().is_err(), "{wrong}");
        }
    }
}
