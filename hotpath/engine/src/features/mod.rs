//! Features: state machines `update(input) -> Option<value>`. A batch is a fold of the same machine; there is no second
//! version. `None` means warming up, never zero. Each one can be cloned at any event and goes on bit for bit.
//!
//! Sums over events are whole numbers and become floats in the last division; what has to be float (averages) adds in
//! one fixed order. Feature ids are `family.name(params)@resolution`.

mod average;
mod bars;
mod flow;
mod vwap;
mod wilder;

pub use average::{Ema, Sma};
pub use bars::{Bar, Bars, GRACE_NS};
pub use flow::{FlowWindow, Ofi, OfiStep, queue_imbalance};
pub use vwap::SessionVwap;
pub use wilder::{Atr, Rma, Rsi};

use domain::event::{Level, Note, Trade};
use serde::Serialize;

/// One second in nanoseconds.
pub const SECOND_NS: u64 = 1_000_000_000;

/// A number that went into a decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FeatureValue {
    /// Feature id, `family.name(params)@resolution`.
    pub id: Note,
    /// Its value; `None` while it warms up. Hashed by its bits.
    pub value: Option<f64>,
}

/// The features every instrument has, whatever strategies run on it.
#[derive(Clone, Debug)]
pub struct Common {
    /// 1 second bars.
    pub bars_1s: Bars,
    /// 1 minute bars.
    pub bars_1m: Bars,
    /// Volume-weighted price since 00:00 UTC.
    pub vwap: SessionVwap,
    /// Order-flow imbalance of the live book's best prices.
    pub ofi: Ofi,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            bars_1s: Bars::new(SECOND_NS),
            bars_1m: Bars::new(60 * SECOND_NS),
            vwap: SessionVwap::default(),
            ofi: Ofi::default(),
        }
    }
}

impl Common {
    /// A public trade: returns the 1s and the 1m bar it closed.
    pub fn on_trade(&mut self, trade: &Trade) -> [Option<Bar>; 2] {
        self.vwap.update(trade.ts_venue_ns, trade.price, trade.qty);
        [self.bars_1s.on_trade(trade), self.bars_1m.on_trade(trade)]
    }

    /// Time went on: returns the 1s and the 1m bar that ended without a later trade.
    pub fn on_time(&mut self, now_ns: u64) -> [Option<Bar>; 2] {
        [self.bars_1s.on_time(now_ns), self.bars_1m.on_time(now_ns)]
    }

    /// The live book changed.
    pub fn on_top(&mut self, bid: Level, ask: Level) -> Option<OfiStep> {
        self.ofi.update(bid, ask)
    }

    /// Trades that came too late for their bar, all lengths.
    pub const fn late(&self) -> u64 {
        self.bars_1s.late() + self.bars_1m.late()
    }

    /// The book is not to be believed any more: the next top starts anew.
    pub fn on_book_lost(&mut self) {
        self.ofi.reset();
    }
}

/// A whole number as a float; exact up to 2^53, else rounded to nearest, the same on every machine.
#[expect(clippy::cast_precision_loss, reason = "rounding to nearest is what a feature wants")]
pub fn float(n: i128) -> f64 {
    n as f64
}

/// A count or a period as a float; exact up to 2^53.
pub fn count(n: usize) -> f64 {
    float(i128::try_from(n).unwrap_or(i128::MAX))
}

/// Basis points as a fraction.
pub fn fraction(bps: impl Into<i64>) -> f64 {
    float(i128::from(bps.into())) / 10_000.0
}

#[cfg(test)]
mod tests;
