//! Facts for tests: one small demo run on 2024-08-08 whose numbers are computed by hand in the tests.

use crate::book::tests::fill;
use domain::{Decimal, Side};
use spec::facts::{Facts, FillFact, Mark, OrderFact};

/// 2024-08-08 12:00:00 UTC.
pub(crate) const NOON_NS: u64 = 1_723_118_400_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

pub(crate) fn at(mut fill: FillFact, seconds: u64) -> FillFact {
    fill.ts_venue_ns = NOON_NS + seconds * SECOND_NS;
    fill.ts_recv_ns = fill.ts_venue_ns + 1;
    fill
}

pub(crate) fn order(n: u64, side: Side, state: &str, reason: &str) -> OrderFact {
    OrderFact {
        order_id: format!("trd-0000beef-1-{n}"),
        venue: "binance".into(),
        symbol: "BTCUSDT".into(),
        strategy: "ema".into(),
        signal: n,
        side,
        kind: "limit".into(),
        tif: "ioc".into(),
        price: Decimal::parse("60000").unwrap(),
        qty: Decimal::parse("0.02").unwrap(),
        filled: Decimal::parse(if state == "filled" { "0.02" } else { "0" }).unwrap(),
        state: state.into(),
        reason: reason.into(),
        created_seq: n,
        created_ns: NOON_NS + n * SECOND_NS,
        updated_seq: n + 1,
        updated_ns: NOON_NS + n * SECOND_NS + 5,
    }
}

pub(crate) fn mark(price: &str, ts_ns: u64) -> Mark {
    Mark { symbol: "BTCUSDT".into(), price: Decimal::parse(price).unwrap(), ts_ns }
}

/// Bought 0.02 at 60 000 (fee 0.9), sold 0.01 at 61 000 (fee 0.4575), last price 62 000; one order refused.
///
/// Realised 0.01 * 61 000 - 0.4575 - 1200.9 / 2 = 9.0925; open 0.01 * 62 000 - 600.45 = 19.55; net 28.6425.
pub(crate) fn facts(run: &str) -> Facts {
    Facts {
        run_id: run.into(),
        mode: "demo".into(),
        last_seq: 100,
        instruments: Vec::new(),
        orders: vec![
            order(1, Side::Buy, "filled", ""),
            order(5, Side::Sell, "filled", ""),
            order(9, Side::Buy, "denied", "StaleBook { age_ms: 1700 }"),
        ],
        fills: vec![
            at(fill("1", Side::Buy, "60000.00", "0.02000", ("0.90000000", "USDT"), 1), 1),
            at(fill("2", Side::Sell, "61000.00", "0.01000", ("0.45750000", "USDT"), 5), 300),
        ],
        marks: vec![mark("62000", NOON_NS + 400 * SECOND_NS)],
    }
}
