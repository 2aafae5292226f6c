//! What the engine is told before it starts: limits, sizing, strategies. Plain data; reading files is `settings`'
//! work. Amounts are decimals in the quote asset, ratios are whole basis points (1/10000), so that the same file
//! gives the same numbers, and the same hash, everywhere.

use crate::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Everything the engine needs to know; part of a run's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Limits no order passes.
    pub risk: RiskLimits,
    /// Fees assumed when an order's worth is judged.
    pub fees: Fees,
    /// The strategies that run, in name order.
    #[serde(default)]
    pub strategies: Vec<StrategyConfig>,
}

/// Limits no order passes. Amounts are in the instrument's quote asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskLimits {
    /// Largest value of one order.
    pub order_value_max: Decimal,
    /// Largest value of the position in one instrument, open orders counted as filled.
    pub position_value_max: Decimal,
    /// Loss since 00:00 UTC, realised and open, after which entries stop until the operator resumes; resuming then
    /// allows as much again.
    pub daily_loss_max: Decimal,
    /// Oldest book an order may be priced off, ms since its last valid change.
    pub book_age_ms_max: u64,
    /// How far a limit price may lie from mid, basis points.
    pub price_collar_bps: u32,
    /// Orders in any one second.
    pub orders_per_second_max: u32,
    /// Orders in any one minute.
    pub orders_per_minute_max: u32,
    /// Orders open at once.
    pub open_orders_max: u32,
}

/// A limit outside of what makes sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{name}` is {value}; allowed is {allowed}")]
pub struct LimitError {
    /// Which limit, as it is called in [`RiskLimits`].
    pub name: &'static str,
    /// What it is.
    pub value: String,
    /// What it may be, in words.
    pub allowed: &'static str,
}

impl RiskLimits {
    /// Says which limit makes no sense by itself, the first if there are several. Each must let something pass, and
    /// none may mean "no limit".
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn check(&self) -> Result<(), LimitError> {
        let amounts = [
            ("order_value_max", self.order_value_max),
            ("position_value_max", self.position_value_max),
            ("daily_loss_max", self.daily_loss_max),
        ];
        for (name, amount) in amounts {
            demand(amount.mantissa > 0, name, amount, "an amount above 0")?;
        }
        let counts = [
            ("book_age_ms_max", self.book_age_ms_max),
            ("orders_per_second_max", self.orders_per_second_max.into()),
            ("orders_per_minute_max", self.orders_per_minute_max.into()),
            ("open_orders_max", self.open_orders_max.into()),
        ];
        for (name, count) in counts {
            demand(count > 0, name, count, "a whole number above 0")?;
        }
        // At 10000 a buy limit could be twice mid and a sell limit zero.
        let collar = self.price_collar_bps;
        demand((1..10_000).contains(&collar), "price_collar_bps", collar, "a whole number from 1 to 9999")
    }
}

fn demand(ok: bool, name: &'static str, value: impl ToString, allowed: &'static str) -> Result<(), LimitError> {
    if ok { Ok(()) } else { Err(LimitError { name, value: value.to_string(), allowed }) }
}

/// Fees assumed when an order's worth is judged, basis points of value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// When our order rests.
    pub maker_bps: u32,
    /// When our order takes.
    pub taker_bps: u32,
}

/// One strategy, one file in `config/strategies/`; its name is the file's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyConfig {
    /// Name, unique in the run.
    pub name: String,
    /// Kind and parameters.
    pub rule: StrategyRule,
}

/// Kind and parameters of a strategy; the content of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StrategyRule {
    /// Long while the fast EMA stands above the slow one; entries want volume behind them, a stop follows the ATR.
    EmaCross {
        /// Venue symbols it trades; empty means all of the run.
        #[serde(default)]
        symbols: Vec<String>,
        /// Value of one entry, in quote.
        order_value: Decimal,
        /// Bars of the fast EMA (1m bars).
        fast_bars: u32,
        /// Bars of the slow EMA.
        slow_bars: u32,
        /// Bars over which volume is averaged for confirmation.
        volume_bars: u32,
        /// Bar volume must be at least this share of its average, basis points (15000 = 1.5x).
        volume_ratio_min_bps: u32,
        /// Bars of the ATR.
        atr_bars: u32,
        /// Stop distance in ATRs, basis points (20000 = 2 ATR).
        stop_atr_bps: u32,
        /// How far past the best price an order may trade, basis points.
        slippage_max_bps: u32,
    },
    /// Long after strong net buying at the best prices (order-flow imbalance, Cont-Kukanov-Stoikov) over a few
    /// seconds, out when it turns or after a time.
    FlowImbalance {
        /// Venue symbols it trades; empty means all of the run.
        #[serde(default)]
        symbols: Vec<String>,
        /// Value of one entry, in quote.
        order_value: Decimal,
        /// Window of flow, seconds (1s bars of flow).
        window_s: u32,
        /// Normalised flow that opens a position, basis points of mean depth (10000 = one mean depth of net buying).
        enter_bps: u32,
        /// Normalised flow below which a position is closed; may be negative.
        exit_bps: i32,
        /// Queue imbalance at the best prices must be at least this, basis points in -10000..=10000.
        queue_imbalance_min_bps: i32,
        /// Longest time in a position, seconds.
        hold_s_max: u32,
        /// Pause after an exit, seconds.
        cooldown_s: u32,
        /// How far past the best price an order may trade, basis points.
        slippage_max_bps: u32,
    },
}

impl StrategyRule {
    /// The kind's name as it stands in the file.
    pub const fn kind(&self) -> &'static str {
        match self {
            StrategyRule::EmaCross { .. } => "ema-cross",
            StrategyRule::FlowImbalance { .. } => "flow-imbalance",
        }
    }
    /// Venue symbols it trades; empty means all of the run.
    pub fn symbols(&self) -> &[String] {
        match self {
            StrategyRule::EmaCross { symbols, .. } | StrategyRule::FlowImbalance { symbols, .. } => symbols,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RiskLimits {
        let amount = |text| Decimal::parse(text).unwrap();
        RiskLimits {
            order_value_max: amount("0.1"),
            position_value_max: amount("5000"),
            daily_loss_max: amount("200"),
            book_age_ms_max: 1,
            price_collar_bps: 9999,
            orders_per_second_max: 1,
            orders_per_minute_max: 1,
            open_orders_max: 1,
        }
    }

    #[test]
    fn every_limit_that_lets_nothing_pass_or_limits_nothing_is_named_with_what_is_allowed() {
        assert_eq!(limits().check(), Ok(()));
        let minus = Decimal::new(-5, 0);
        type Change = fn(&mut RiskLimits, Decimal);
        let changes: [(&str, Change); 8] = [
            ("order_value_max", |l, minus| l.order_value_max = minus),
            ("position_value_max", |l, minus| l.position_value_max = minus),
            ("daily_loss_max", |l, _| l.daily_loss_max = Decimal::ZERO),
            ("book_age_ms_max", |l, _| l.book_age_ms_max = 0),
            ("price_collar_bps", |l, _| l.price_collar_bps = 10_000),
            ("orders_per_second_max", |l, _| l.orders_per_second_max = 0),
            ("orders_per_minute_max", |l, _| l.orders_per_minute_max = 0),
            ("open_orders_max", |l, _| l.open_orders_max = 0),
        ];
        for (name, change) in changes {
            let mut limits = limits();
            change(&mut limits, minus);
            assert_eq!(limits.check().unwrap_err().name, name);
        }
        let text = RiskLimits { daily_loss_max: minus, ..limits() }.check().unwrap_err().to_string();
        assert_eq!(text, "`daily_loss_max` is -5; allowed is an amount above 0");
    }
}
