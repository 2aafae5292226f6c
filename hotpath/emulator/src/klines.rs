//! Candles from the trades emitted so far, in Binance's intervals and rows. Kept as seconds for a day and as minutes
//! for two weeks; longer intervals are sums of minutes. An interval without trades repeats the last close.

use crate::text::fixed;
use domain::event::Trade;
use domain::{Instrument, Lots, Side, TickLots, Ticks, num};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const SECONDS_MAX: usize = 86_400;
const MINUTES_MAX: usize = 14 * 1440;

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

#[derive(Clone, Copy, Debug)]
struct Bar {
    ohlc: [Ticks; 4],
    volume: Lots,
    value: TickLots,
    taker_buy: Lots,
    taker_buy_value: TickLots,
    trades: u64,
}

impl Bar {
    const fn flat(price: Ticks) -> Self {
        Self {
            ohlc: [price; 4],
            volume: Lots::ZERO,
            value: TickLots::ZERO,
            taker_buy: Lots::ZERO,
            taker_buy_value: TickLots::ZERO,
            trades: 0,
        }
    }
    fn of(trade: &Trade) -> Self {
        let value = num::value(trade.price, trade.qty);
        let bought = trade.aggressor == Side::Buy;
        Self {
            ohlc: [trade.price; 4],
            volume: trade.qty,
            value,
            taker_buy: if bought { trade.qty } else { Lots::ZERO },
            taker_buy_value: if bought { value } else { TickLots::ZERO },
            trades: 1,
        }
    }
    fn add(&mut self, later: &Bar) {
        let [_, high, low, close] = &mut self.ohlc;
        *high = (*high).max(later.ohlc[1]);
        *low = (*low).min(later.ohlc[2]);
        *close = later.ohlc[3];
        let lots = |a: Lots, b: Lots| Lots::new(a.get().saturating_add(b.get()));
        self.volume = lots(self.volume, later.volume);
        self.taker_buy = lots(self.taker_buy, later.taker_buy);
        self.value = TickLots::new(self.value.get() + later.value.get());
        self.taker_buy_value = TickLots::new(self.taker_buy_value.get() + later.taker_buy_value.get());
        self.trades += later.trades;
    }
}

/// Candles of one instrument.
#[derive(Clone, Debug, Default)]
pub struct Klines {
    seconds: BTreeMap<u64, Bar>,
    minutes: BTreeMap<u64, Bar>,
}

/// Which candles are wanted; times in ms, both ends inclusive on the open time.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Length, ms: one of the served intervals.
    pub interval_ms: u64,
    /// From here on.
    pub start_ms: Option<u64>,
    /// Up to here.
    pub end_ms: Option<u64>,
    /// At most so many: the oldest after `start_ms`, else the newest.
    pub limit: usize,
}

impl Klines {
    /// Counts a trade.
    pub fn on_trade(&mut self, trade: &Trade) {
        let ms = trade.ts_venue_ns / 1_000_000;
        let bar = Bar::of(trade);
        for (bars, length, max) in
            [(&mut self.seconds, SECOND_MS, SECONDS_MAX), (&mut self.minutes, MINUTE_MS, MINUTES_MAX)]
        {
            bars.entry(ms - ms % length).and_modify(|b| b.add(&bar)).or_insert(bar);
            if bars.len() > max {
                bars.pop_first();
            }
        }
    }

    /// The candles as Binance's rows, oldest first; the last one may still grow.
    pub fn rows(&self, instrument: &Instrument, wanted: &Wanted) -> Vec<Value> {
        let length = wanted.interval_ms;
        let source = if length < MINUTE_MS { &self.seconds } else { &self.minutes };
        let mut bars: BTreeMap<u64, Bar> = BTreeMap::new();
        for (open, bar) in source {
            bars.entry(open - open % length).and_modify(|b| b.add(bar)).or_insert(*bar);
        }
        let (Some((first, _)), Some((last, _))) = (bars.first_key_value(), bars.last_key_value()) else {
            return Vec::new();
        };
        let end = wanted.end_ms.map_or(*last, |end| end.min(*last));
        let start = wanted.start_ms.map_or(*first, |start| start.max(*first)).div_ceil(length) * length;
        if start > end {
            return Vec::new();
        }
        let count = usize::try_from((end - start) / length + 1).unwrap_or(usize::MAX);
        let skip = if wanted.start_ms.is_some() { 0 } else { count.saturating_sub(wanted.limit) };
        let open = |n: usize| start + length * n as u64;
        let mut close = bars.range(..open(skip)).next_back().map(|(_, b)| b.ohlc[3]);
        let mut rows = Vec::new();
        for n in skip..count.min(skip + wanted.limit) {
            let bar = match (bars.get(&open(n)), close) {
                (Some(bar), _) => *bar,
                (None, Some(close)) => Bar::flat(close),
                (None, None) => continue,
            };
            close = Some(bar.ohlc[3]);
            rows.push(row(instrument, open(n), length, &bar));
        }
        rows
    }
}

fn row(i: &Instrument, open_ms: u64, length_ms: u64, bar: &Bar) -> Value {
    let [o, h, l, c] = bar.ohlc.map(|p| fixed(i.price(p)));
    json!([
        open_ms,
        o,
        h,
        l,
        c,
        fixed(i.qty(bar.volume)),
        open_ms + length_ms - 1,
        fixed(i.value(bar.value)),
        bar.trades,
        fixed(i.qty(bar.taker_buy)),
        fixed(i.value(bar.taker_buy_value)),
        "0"
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::InstrumentId;
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
        let rows = |wanted| klines.rows(&btc, &wanted);
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
