//! What the engine is told before it starts: limits, sizing, strategies. Plain data; reading files is `settings`'
//! work. Amounts are decimals in the quote asset, ratios are whole basis points (1/10000), so that the same file
//! gives the same numbers, and the same hash, everywhere.

use crate::Decimal;
use serde::{Deserialize, Serialize};

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
    /// Loss since 00:00 UTC, realised and open, after which entries stop until the operator resumes.
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
