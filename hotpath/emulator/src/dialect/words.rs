//! How venues write numbers and times, as far as several do it alike.

use crate::state::Symbol;
use domain::event::Level;
use domain::{Decimal, Instrument};
use jiff::Timestamp;

/// Milliseconds of a time in ns.
pub const fn ms(ts_ns: u64) -> u64 {
    ts_ns / 1_000_000
}

/// `2026-11-20T10:00:00.123456Z`.
pub fn rfc3339(ts_ns: u64) -> String {
    let at = Timestamp::from_nanosecond(i128::from(ts_ns)).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Without zeros at the end: `68923`, `0.5`.
pub fn plain(number: Decimal) -> String {
    number.normalized().to_string()
}

/// Price and size with all digits of tick and lot.
pub fn full(i: &Instrument, level: &Level) -> (String, String) {
    (i.price(level.price).to_string(), i.qty(level.qty).to_string())
}

/// `["64250.10","0.25"]`, and so on, with commas between.
pub fn pairs(i: &Instrument, levels: &[Level]) -> String {
    let pair = |l: &Level| {
        let (price, qty) = full(i, l);
        format!("[\"{price}\",\"{}\"]", if l.qty.is_zero() { "0" } else { &qty })
    };
    format!("[{}]", levels.iter().map(pair).collect::<Vec<_>>().join(","))
}

/// The rules of a symbol.
pub const fn rules(symbol: &Symbol) -> &Instrument {
    &symbol.listed.instrument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_after_the_second() {
        assert_eq!(rfc3339(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123456Z");
        assert_eq!(rfc3339(1_700_000_000_000_000_000), "2023-11-14T22:13:20.000000Z");
    }
}
