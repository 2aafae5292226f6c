//! Strategies: what the features say, turned into a wish. One file per strategy. A strategy sees the live book, closed
//! bars and what it holds; it never sees other strategies and never decides size, price or permission.
//!
//! Shared rules: entries only on a live book, never while an order of the strategy is open or something is held; an
//! exit, once wanted, is asked for again until nothing is left.

mod ema_cross;
mod flow_imbalance;

use crate::features::{Bar, FeatureValue, OfiStep, SECOND_NS, float};
use domain::config::StrategyRule;
use domain::event::{Level, note};
use domain::{Decimal, Lots, Side, TickLots};
use ema_cross::EmaCross;
use flow_imbalance::FlowImbalance;
use serde::Serialize;
use thiserror::Error;

/// Pause between two tries of the same wish, so that a refused or unfilled order does not come back with every change
/// of the book.
pub const RETRY_PAUSE_NS: u64 = SECOND_NS;

/// What a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Opens a position.
    Enter,
    /// Closes it.
    Exit,
}

impl Intent {
    /// `enter` or `exit`.
    pub const fn name(self) -> &'static str {
        match self {
            Intent::Enter => "enter",
            Intent::Exit => "exit",
        }
    }
}

/// A strategy's wish.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Which way.
    pub side: Side,
    /// What for.
    pub intent: Intent,
    /// Rule that fired, in words.
    pub reason: &'static str,
    /// What it saw.
    pub features: Vec<FeatureValue>,
    /// Value wanted, in quote; exits close what is held instead.
    pub order_value: Decimal,
    /// How far past the best price the order may trade, basis points.
    pub slippage_max_bps: u32,
}

/// What a strategy sees when it is woken.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Receive time, ns.
    pub now_ns: u64,
    /// Best bid and ask of the live book; `None` when the book is not live.
    pub top: Option<(Level, Level)>,
    /// What the strategy holds and could sell, in lots; less than the venue's smallest order counts as nothing.
    pub held: Lots,
    /// What that cost, fees aside.
    pub cost: TickLots,
    /// Size that cost was paid for (`held` and what is too little to sell).
    pub cost_qty: Lots,
    /// Receive time at which it began to hold, ns.
    pub since_ns: u64,
    /// True while an order of the strategy on this instrument is open.
    pub busy: bool,
}

impl Look {
    fn entry_price(&self) -> Option<f64> {
        (!self.cost_qty.is_zero()).then(|| float(self.cost.get()) / float(i128::from(self.cost_qty.get())))
    }
}

/// Why a strategy cannot be built from its parameters.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum RuleError {
    /// A number that must not be zero is.
    #[error("`{0}` must be above zero")]
    Zero(&'static str),
    /// Two numbers in the wrong order.
    #[error("`{small}` must be below `{large}`")]
    Order {
        /// The one that must be smaller.
        small: &'static str,
        /// The other.
        large: &'static str,
    },
    /// A number past its range.
    #[error("`{0}` must be at most {1}")]
    TooLarge(&'static str, i64),
}

/// One strategy on one instrument.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// See [`StrategyRule::EmaCross`].
    EmaCross(EmaCross),
    /// See [`StrategyRule::FlowImbalance`].
    FlowImbalance(FlowImbalance),
}

impl Strategy {
    /// A strategy in its first moment.
    ///
    /// # Errors
    /// [`RuleError`] when the parameters make no sense.
    pub fn new(rule: &StrategyRule) -> Result<Self, RuleError> {
        match rule {
            StrategyRule::EmaCross { .. } => EmaCross::new(rule).map(Strategy::EmaCross),
            StrategyRule::FlowImbalance { .. } => FlowImbalance::new(rule).map(Strategy::FlowImbalance),
        }
    }

    /// The live book changed.
    pub fn on_book(&mut self, step: Option<OfiStep>, look: &Look) -> Option<Signal> {
        match self {
            Strategy::EmaCross(s) => s.on_book(look),
            Strategy::FlowImbalance(s) => s.on_book(step, look),
        }
    }

    /// A 1m bar closed.
    pub fn on_bar_1m(&mut self, bar: &Bar, look: &Look) -> Option<Signal> {
        match self {
            Strategy::EmaCross(s) => s.on_bar(bar, look),
            Strategy::FlowImbalance(_) => None,
        }
    }

    /// The book is not live any more.
    pub fn on_book_lost(&mut self) {
        match self {
            Strategy::EmaCross(_) => {}
            Strategy::FlowImbalance(s) => s.on_book_lost(),
        }
    }

    /// Its own features now, for views.
    pub fn features(&self) -> Vec<FeatureValue> {
        match self {
            Strategy::EmaCross(s) => s.features(),
            Strategy::FlowImbalance(s) => s.features(),
        }
    }
}

/// When a wish may be uttered: not twice within the pause, and an exit again and again until nothing is held.
#[derive(Clone, Debug, Default)]
struct Pace {
    next_try_ns: u64,
    leaving: Option<&'static str>,
    held_before: bool,
}

impl Pace {
    /// Notes what is held now; true at the moment a position has become flat. An open order of ours hides what it may
    /// sell, and the position is not gone before that order has told its end.
    fn became_flat(&mut self, look: &Look) -> bool {
        if look.busy {
            return false;
        }
        let flat = look.held.is_zero();
        let became = self.held_before && flat;
        self.held_before = !flat;
        if flat {
            self.leaving = None;
        }
        became
    }
    fn may_try(&self, look: &Look) -> bool {
        !look.busy && look.now_ns >= self.next_try_ns
    }
    fn tried(&mut self, now_ns: u64) {
        self.next_try_ns = now_ns.saturating_add(RETRY_PAUSE_NS);
    }
}

fn feature(id: &str, value: Option<f64>) -> FeatureValue {
    FeatureValue { id: note(id), value }
}

fn positive(name: &'static str, n: u32) -> Result<usize, RuleError> {
    if n == 0 { Err(RuleError::Zero(name)) } else { Ok(n as usize) }
}

fn order_value(value: Decimal) -> Result<Decimal, RuleError> {
    if value.mantissa > 0 { Ok(value) } else { Err(RuleError::Zero("order_value")) }
}

fn slippage(bps: u32) -> Result<u32, RuleError> {
    if bps < 10_000 { Ok(bps) } else { Err(RuleError::TooLarge("slippage_max_bps", 9_999)) }
}

#[cfg(test)]
mod tests;
