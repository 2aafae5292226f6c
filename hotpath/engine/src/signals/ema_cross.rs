//! Long while the fast EMA of 1m closes stands above the slow one. The entry wants volume behind the cross; the way out
//! is the cross back, or a stop that lies a number of ATRs under the entry price and is watched on the live book.

use super::{Intent, Look, Pace, RuleError, Signal, feature, order_value, positive, slippage};
use crate::features::{Atr, Bar, Ema, FeatureValue, Sma, float, fraction};
use domain::config::StrategyRule;
use domain::{Decimal, Side};

/// State of the rule on one instrument.
#[derive(Clone, Debug)]
pub struct EmaCross {
    order_value: Decimal,
    slippage_max_bps: u32,
    volume_ratio_min: f64,
    stop_atr: f64,
    fast: Ema,
    slow: Ema,
    volume: Sma,
    atr: Atr,
    /// Volume of the last bar over its average.
    volume_ratio: Option<f64>,
    /// True when the fast EMA stood above the slow one at the last bar.
    above: Option<bool>,
    /// ATR when the entry was signalled, in ticks.
    atr_at_entry: Option<f64>,
    names: Names,
    pace: Pace,
}

/// Feature ids, made once.
#[derive(Clone, Debug)]
struct Names {
    fast: String,
    slow: String,
    volume: String,
    atr: String,
}

impl EmaCross {
    pub(super) fn new(rule: &StrategyRule) -> Result<Self, RuleError> {
        let &StrategyRule::EmaCross {
            order_value: value,
            fast_bars,
            slow_bars,
            volume_bars,
            volume_ratio_min_bps,
            atr_bars,
            stop_atr_bps,
            slippage_max_bps,
            ..
        } = rule
        else {
            unreachable!("built from its own rule only");
        };
        if fast_bars >= slow_bars {
            return Err(RuleError::Order { small: "fast_bars", large: "slow_bars" });
        }
        Ok(Self {
            order_value: order_value(value)?,
            slippage_max_bps: slippage(slippage_max_bps)?,
            volume_ratio_min: fraction(volume_ratio_min_bps),
            stop_atr: fraction(stop_atr_bps),
            fast: Ema::new(positive("fast_bars", fast_bars)?),
            slow: Ema::new(positive("slow_bars", slow_bars)?),
            volume: Sma::new(positive("volume_bars", volume_bars)?),
            atr: Atr::new(positive("atr_bars", atr_bars)?),
            volume_ratio: None,
            above: None,
            atr_at_entry: None,
            names: Names {
                fast: format!("trend.ema({fast_bars})@1m"),
                slow: format!("trend.ema({slow_bars})@1m"),
                volume: format!("volume.ratio({volume_bars})@1m"),
                atr: format!("range.atr({atr_bars})@1m"),
            },
            pace: Pace::default(),
        })
    }

    pub(super) fn on_bar(&mut self, bar: &Bar, look: &Look) -> Option<Signal> {
        self.forget_if_flat(look);
        let price = |ticks: domain::Ticks| float(i128::from(ticks.get()));
        let close = price(bar.close);
        let volume = float(i128::from(bar.volume.get()));
        self.atr.update(price(bar.high), price(bar.low), close);
        self.volume_ratio = self.volume.update(volume).filter(|&v| v > 0.0).map(|average| volume / average);
        let (fast, slow) = (self.fast.update(close), self.slow.update(close));
        let above = fast? > slow?;
        let crossed_up = self.above.replace(above) == Some(false) && above;
        if !look.held.is_zero() && !above {
            self.pace.leaving.get_or_insert("fast EMA fell below the slow one");
        }
        if let Some(exit) = self.exit(look) {
            return Some(exit);
        }
        let flat = look.held.is_zero() && self.pace.may_try(look) && look.top.is_some();
        let loud = self.volume_ratio.is_some_and(|ratio| ratio >= self.volume_ratio_min);
        if !(flat && crossed_up && loud) {
            return None;
        }
        // Without an ATR there would be no stop, and without a stop no entry.
        self.atr_at_entry = Some(self.atr.value()?);
        assert!(look.held.is_zero() && !look.busy, "an entry starts from nothing");
        self.pace.tried(look.now_ns);
        Some(self.signal(Side::Buy, Intent::Enter, "fast EMA crossed above the slow one on volume"))
    }

    pub(super) fn on_book(&mut self, look: &Look) -> Option<Signal> {
        self.forget_if_flat(look);
        if !look.held.is_zero()
            && let (Some((bid, _)), Some(stop)) = (look.top, self.stop(look))
            && float(i128::from(bid.price.get())) <= stop
        {
            self.pace.leaving.get_or_insert("best bid reached the stop");
        }
        self.exit(look)
    }

    pub(super) fn features(&self) -> Vec<FeatureValue> {
        vec![
            feature(&self.names.fast, self.fast.value()),
            feature(&self.names.slow, self.slow.value()),
            feature(&self.names.volume, self.volume_ratio),
            feature(&self.names.atr, self.atr.value()),
        ]
    }

    /// The stop goes with the position.
    fn forget_if_flat(&mut self, look: &Look) {
        if self.pace.became_flat(look) {
            self.atr_at_entry = None;
        }
    }

    /// Stop price in ticks.
    fn stop(&self, look: &Look) -> Option<f64> {
        Some(look.entry_price()? - self.stop_atr * self.atr_at_entry?)
    }

    fn exit(&mut self, look: &Look) -> Option<Signal> {
        let reason = self.pace.leaving?;
        if look.held.is_zero() || !self.pace.may_try(look) {
            return None;
        }
        assert!(!look.held.is_zero() && !look.busy, "an exit has something to sell");
        self.pace.tried(look.now_ns);
        Some(self.signal(Side::Sell, Intent::Exit, reason))
    }

    fn signal(&self, side: Side, intent: Intent, reason: &'static str) -> Signal {
        Signal {
            side,
            intent,
            reason,
            features: self.features(),
            order_value: self.order_value,
            slippage_max_bps: self.slippage_max_bps,
        }
    }
}
