//! How Binance writes numbers, rate limits and errors.

use crate::klines::PER_TICK;
use domain::instrument::Contract;
use domain::{Decimal, Instrument, Lots, TickLots, Ticks};
use serde_json::{Value, json};
use sim::rules::SCALE;

/// A number with eight digits after the point; more digits are kept, so that amounts stay exact.
pub fn fixed(amount: Decimal) -> String {
    let amount = amount.normalized();
    match amount.at_scale(SCALE.max(amount.scale)) {
        Some(mantissa) => Decimal::new(mantissa, SCALE.max(amount.scale)).to_string(),
        None => amount.to_string(),
    }
}

/// A price: with eight digits, on COIN-M with those of the tick.
pub fn price(i: &Instrument, price: Ticks) -> String {
    let price = i.price(price);
    if matches!(i.contract, Contract::Inverse(_)) { price.to_string() } else { fixed(price) }
}

/// A size: with eight digits, on COIN-M in whole contracts.
pub fn qty(i: &Instrument, qty: Lots) -> String {
    let qty = i.qty(qty);
    if matches!(i.contract, Contract::Inverse(_)) { qty.to_string() } else { fixed(qty) }
}

/// What trades of this value were worth in quote; on COIN-M in base, which takes the sum of their sizes over their
/// prices. Cut to eight digits there.
pub fn worth(i: &Instrument, value: TickLots, per_tick: u128) -> String {
    let Contract::Inverse(size) = i.contract else { return fixed(i.value(value)) };
    let power = |scale: u8| 10_u128.checked_pow(u32::from(scale));
    let over = |scale| {
        per_tick
            .checked_mul(u128::from(i.lot.units))?
            .checked_mul(size.mantissa.unsigned_abs())?
            .checked_mul(power(scale)?)
    };
    let under = |scale| PER_TICK.checked_mul(u128::from(i.tick.units))?.checked_mul(power(scale)?);
    let base = over(i.tick.scale + SCALE).zip(under(i.lot.scale + size.scale)).map(|(over, under)| over / under);
    Decimal::new(base.and_then(|base| i128::try_from(base).ok()).unwrap_or(i128::MAX), SCALE).to_string()
}

/// An error as the venue words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Binance's code.
    pub code: i32,
    /// Binance's text.
    pub msg: String,
    /// More about it (cancel-replace).
    pub data: Option<Value>,
}

impl ApiError {
    /// A refusal with status 400.
    pub fn new(code: i32, msg: impl Into<String>) -> Self {
        Self { status: 400, code, msg: msg.into(), data: None }
    }
    /// A parameter that is missing or empty.
    pub fn missing(name: &str) -> Self {
        Self::new(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }
    /// A parameter that is not what it should be.
    pub fn illegal(name: &str) -> Self {
        let range = r"^([0-9]{1,20})(\.[0-9]{1,20})?$";
        Self::new(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{range}'."))
    }
    /// A symbol nobody trades here.
    pub fn symbol() -> Self {
        Self::new(-1121, "Invalid symbol.")
    }
    /// `{"code":..,"msg":..}`.
    pub fn body(&self) -> Value {
        match &self.data {
            None => json!({"code": self.code, "msg": self.msg}),
            Some(data) => json!({"code": self.code, "msg": self.msg, "data": data}),
        }
    }
}

impl From<sim::Reject> for ApiError {
    fn from(reject: sim::Reject) -> Self {
        Self::new(reject.code(), reject.to_string())
    }
}

/// Requests counted in fixed minutes, as Binance does. Counted and reported, never enforced: tests and demos ask more
/// often than people do.
#[derive(Clone, Debug, Default)]
pub struct Weight {
    minute: u64,
    used: u64,
}

impl Weight {
    /// Adds `weight` at wall second `second`; returns what the minute has used.
    pub fn add(&mut self, second: u64, weight: u64) -> u64 {
        if self.minute != second / 60 {
            *self = Weight { minute: second / 60, used: 0 };
        }
        self.used += weight;
        self.used
    }
}

/// The limits in force.
pub fn limits() -> Value {
    json!([
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000}
    ])
}

/// `rateLimits` of a WebSocket API reply.
pub fn used_limits(used: u64) -> Value {
    json!([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": used}])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn amounts_have_eight_digits_unless_they_need_more() {
        let text = |s: &str| fixed(Decimal::parse(s).unwrap());
        assert_eq!(text("61837.63"), "61837.63000000");
        assert_eq!(text("0.000000001230"), "0.00000000123");
        assert_eq!(text("0"), "0.00000000");
        assert_eq!(text("-5"), "-5.00000000");
    }

    #[test]
    fn contracts_are_worth_their_dollars_over_each_price() {
        let offer = crate::dialect::binance_futures::COIN_M.markets()[0];
        let i = crate::dialect::binance_futures::COIN_M.instrument(domain::InstrumentId(0), &offer).unwrap();
        // 3 of 100 USD at 50000.0 are 0.006 BTC, 5 at 40000.0 are 0.0125 BTC.
        let per_tick = 3 * PER_TICK / 500_000 + 5 * PER_TICK / 400_000;
        assert_eq!(worth(&i, TickLots::ZERO, per_tick), "0.01850000");
        assert_eq!((price(&i, Ticks::new(500_000)), qty(&i, Lots::new(3))), ("50000.0".to_owned(), "3".to_owned()));
    }

    #[test]
    fn weight_starts_over_with_the_minute() {
        let mut weight = Weight::default();
        assert_eq!(weight.add(119, 5), 5);
        assert_eq!(weight.add(119, 20), 25);
        assert_eq!(weight.add(120, 1), 1);
    }
}
