//! Candles in Binance's intervals and rows.

use super::text::{price, qty, worth};
use crate::klines::{Bar, Klines, MINUTE_MS, SECOND_MS, Wanted};
use domain::Instrument;
use serde_json::{Value, json};

/// The intervals served and their length, ms. Weeks and months are left out: no run is that long.
const INTERVALS: [(&str, u64); 13] = [
    ("1s", SECOND_MS),
    ("1m", MINUTE_MS),
    ("3m", 3 * MINUTE_MS),
    ("5m", 5 * MINUTE_MS),
    ("15m", 15 * MINUTE_MS),
    ("30m", 30 * MINUTE_MS),
    ("1h", 60 * MINUTE_MS),
    ("2h", 120 * MINUTE_MS),
    ("4h", 240 * MINUTE_MS),
    ("6h", 360 * MINUTE_MS),
    ("8h", 480 * MINUTE_MS),
    ("12h", 720 * MINUTE_MS),
    ("1d", 1440 * MINUTE_MS),
];

/// Length of an interval, ms; `None` if it is not served.
pub fn interval_ms(name: &str) -> Option<u64> {
    INTERVALS.iter().find(|(known, _)| *known == name).map(|(_, ms)| *ms)
}

/// The candles as rows, oldest first.
pub fn rows(klines: &Klines, i: &Instrument, wanted: &Wanted) -> Vec<Value> {
    klines.bars(wanted).iter().map(|(open_ms, bar)| row(i, *open_ms, wanted.interval_ms, bar)).collect()
}

fn row(i: &Instrument, open_ms: u64, length_ms: u64, bar: &Bar) -> Value {
    let [o, h, l, c] = bar.ohlc.map(|p| price(i, p));
    json!([
        open_ms,
        o,
        h,
        l,
        c,
        qty(i, bar.volume),
        open_ms + length_ms - 1,
        worth(i, bar.value, bar.per_tick),
        bar.trades,
        qty(i, bar.taker_buy),
        worth(i, bar.taker_buy_value, bar.taker_buy_per_tick),
        "0"
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Side;
    use domain::event::Trade;
    use domain::{InstrumentId, Lots, Ticks};
    use sim::rules;

    fn trade(ms: u64, price: i64, qty: u64, aggressor: Side) -> Trade {
        Trade {
            instrument: InstrumentId(0),
            ts_venue_ns: ms * 1_000_000,
            trade_id: 1,
            price: Ticks::new(price),
            qty: Lots::new(qty),
            aggressor,
        }
    }

    #[test]
    fn candles_by_hand_with_a_quiet_minute_between() {
        let btc = rules::instrument(InstrumentId(0), "BTCUSDT", &rules::Steps::default()).unwrap();
        let mut klines = Klines::default();
        klines.on_trade(&trade(60_000, 10_000, 100_000, Side::Buy));
        klines.on_trade(&trade(61_500, 10_300, 200_000, Side::Sell));
        klines.on_trade(&trade(119_999, 10_100, 100_000, Side::Buy));
        klines.on_trade(&trade(180_000, 9900, 100_000, Side::Sell));
        let rows = |wanted| super::rows(&klines, &btc, &wanted);
        let minutes = Wanted { interval_ms: MINUTE_MS, start_ms: None, end_ms: None, limit: 500 };
        let want = json!([
            60_000,
            "100.00000000",
            "103.00000000",
            "100.00000000",
            "101.00000000",
            "4.00000000",
            119_999,
            "407.00000000",
            3,
            "2.00000000",
            "201.00000000",
            "0"
        ]);
        assert_eq!(rows(minutes)[0], want);
        let flat = json!([
            120_000,
            "101.00000000",
            "101.00000000",
            "101.00000000",
            "101.00000000",
            "0.00000000",
            179_999,
            "0.00000000",
            0,
            "0.00000000",
            "0.00000000",
            "0"
        ]);
        assert_eq!(rows(minutes)[1], flat);
        assert_eq!(rows(minutes).len(), 3);
        let open = |rows: Vec<Value>| rows.iter().map(|r| r[0].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!(open(rows(Wanted { limit: 2, ..minutes })), [120_000, 180_000], "the newest");
        assert_eq!(open(rows(Wanted { limit: 2, start_ms: Some(60_000), ..minutes })), [60_000, 120_000]);
        assert_eq!(open(rows(Wanted { end_ms: Some(179_999), ..minutes })), [60_000, 120_000]);
        let seconds = Wanted { interval_ms: SECOND_MS, start_ms: Some(61_000), end_ms: Some(61_000), limit: 10 };
        assert_eq!(rows(seconds)[0][8], 1);
    }
}
