//! The hidden state of the synthetic market: fair price, pressure, trading intensity, stress. Floats, but only the
//! exact operations (`+ - * /`, square root), so every machine gets the same numbers.

use crate::rng::Rng;
use domain::Ticks;

/// The numbers below are ticks at this price and scale with the real one: BTCUSDT near 60000.00.
const REFERENCE_TICKS: f64 = 6_000_000.0;

/// Noise of the fair price, ticks per square root of a second.
const NOISE: f64 = 220.0;
/// Drift of the fair price per unit of delayed pressure, ticks per second.
const PUSH: f64 = 90.0;
/// How long pressure lasts, seconds; its standard deviation is 1.
const PRESSURE_S: f64 = 4.0;
/// How far the price lags behind what the queues show, seconds.
const LAG_S: f64 = 1.5;
/// Trends: standard deviation in ticks per second, mean length in seconds.
const TREND: f64 = 25.0;
const TREND_S: f64 = 90.0;
/// Pull back to the base price, seconds.
const REVERSION_S: f64 = 3600.0;
/// Mean time between shocks, seconds; their size in parts of the price; how long stress lasts.
const SHOCK_S: f64 = 240.0;
const SHOCK_MIN: f64 = 0.0004;
const SHOCK_RANGE: f64 = 0.0016;
const STRESS_S: f64 = 8.0;
/// Trades: base rate per second, memory in seconds, children per trade. The mean rate is base / (1 - children).
const RATE: f64 = 6.0;
const MEMORY_S: f64 = 0.8;
const CHILDREN: f64 = 0.7;
const RATE_MAX: f64 = 300.0;
/// How far the fair price may leave the best prices before they follow, ticks.
const BAND: f64 = 150.0;
/// Spread at full stress, ticks.
const SPREAD_STRESSED: f64 = 900.0;

#[derive(Clone, Debug)]
pub(super) struct Process {
    scale: f64,
    base: f64,
    fair: f64,
    pressure: f64,
    delayed: f64,
    trend: f64,
    excitement: f64,
    stress: f64,
}

/// A smooth step from -1 to 1 without transcendental functions.
fn squash(x: f64) -> f64 {
    x / (1.0 + x.abs())
}

impl Process {
    pub(super) fn new(price: Ticks) -> Self {
        let fair = price.get() as f64;
        let scale = fair / REFERENCE_TICKS;
        Self { scale, base: fair, fair, pressure: 0.0, delayed: 0.0, trend: 0.0, excitement: 0.0, stress: 0.0 }
    }

    /// Moves on by `dt` seconds. True when a shock struck.
    pub(super) fn advance(&mut self, rng: &mut Rng, dt: f64) -> bool {
        let root = dt.sqrt();
        self.pressure += -self.pressure * dt / PRESSURE_S + (2.0 / PRESSURE_S).sqrt() * root * rng.normal();
        self.delayed += (self.pressure - self.delayed) * dt / LAG_S;
        if rng.chance(dt / TREND_S) {
            self.trend = TREND * rng.normal();
        }
        let drift = (self.trend + PUSH * self.delayed) * self.scale;
        let pull = (self.base - self.fair) / REVERSION_S;
        let noise = NOISE * self.scale * (1.0 + 2.0 * self.stress) * root * rng.normal();
        self.fair += (drift + pull) * dt + noise;
        self.excitement -= self.excitement * dt / MEMORY_S;
        self.stress -= self.stress * dt / STRESS_S;
        let shocked = rng.chance(dt / SHOCK_S);
        if shocked {
            let size = self.fair * (SHOCK_MIN + SHOCK_RANGE * rng.unit() * rng.unit());
            let direction = if rng.chance(0.5) { 1.0 } else { -1.0 };
            self.fair += direction * size;
            self.pressure += 2.0 * direction;
            self.excitement += 40.0;
            self.stress = 1.0;
        }
        self.fair = self.fair.clamp(self.base * 0.5, self.base * 2.0);
        shocked
    }

    /// How many takers come within `dt` seconds: binomial out of four, close to Poisson at these rates.
    pub(super) fn trades_now(&self, rng: &mut Rng, dt: f64) -> u32 {
        let rate = (RATE + self.excitement).min(RATE_MAX);
        (0..4).map(|_| u32::from(rng.chance(rate * dt / 4.0))).sum()
    }

    /// One trade makes others more likely.
    pub(super) fn on_trade(&mut self) {
        self.excitement += CHILDREN / MEMORY_S;
    }

    /// Probability that the next taker buys.
    pub(super) fn buy_probability(&self) -> f64 {
        0.5 + 0.35 * squash(self.pressure)
    }
    /// What the queues show of the pressure, -1 to 1.
    pub(super) fn visible_pressure(&self) -> f64 {
        squash(1.5 * self.pressure)
    }
    /// 0 is calm, 1 is just after a shock.
    pub(super) const fn stress(&self) -> f64 {
        self.stress
    }
    /// Fair price, whole ticks.
    pub(super) fn fair(&self) -> i64 {
        self.fair.round() as i64
    }
    /// How far the fair price may leave the best prices, ticks.
    pub(super) fn band(&self) -> i64 {
        ((BAND * self.scale) as i64).max(1)
    }
    /// The spread makers want now, ticks.
    pub(super) fn spread(&self) -> i64 {
        1 + (SPREAD_STRESSED * self.scale * self.stress * self.stress) as i64
    }
}
