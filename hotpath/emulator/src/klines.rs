//! Candles from the trades emitted so far. Kept as seconds for a day and as minutes
//! for two weeks; longer intervals are sums of minutes. An interval without trades repeats the last close.

use domain::event::Trade;
use domain::{Lots, Side, TickLots, Ticks, num};
use std::collections::BTreeMap;

/// A second, ms.
pub const SECOND_MS: u64 = 1000;
/// A minute, ms.
pub const MINUTE_MS: u64 = 60 * SECOND_MS;
const SECONDS_MAX: usize = 86_400;
const MINUTES_MAX: usize = 14 * 1440;
/// Parts of a lot per tick. A trade of all lots there are fits, and a small one at a high price keeps ten digits.
pub const PER_TICK: u128 = 1_000_000_000_000_000_000;

/// One candle.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Open, high, low, close.
    pub ohlc: [Ticks; 4],
    /// Traded size.
    pub volume: Lots,
    /// Traded value.
    pub value: TickLots,
    /// What takers bought of it.
    pub taker_buy: Lots,
    /// The value of that.
    pub taker_buy_value: TickLots,
    /// The sum of size over price of each trade, [`PER_TICK`] parts of a lot per tick: what contracts that are worth so
    /// much of quote were worth in base, which the value does not tell.
    pub per_tick: u128,
    /// The same of what takers bought.
    pub taker_buy_per_tick: u128,
    /// Number of trades; 0 = nothing happened.
    pub trades: u64,
}

impl Bar {
    const fn flat(price: Ticks) -> Self {
        Self {
            ohlc: [price; 4],
            volume: Lots::ZERO,
            value: TickLots::ZERO,
            taker_buy: Lots::ZERO,
            taker_buy_value: TickLots::ZERO,
            per_tick: 0,
            taker_buy_per_tick: 0,
            trades: 0,
        }
    }
    fn of(trade: &Trade) -> Self {
        let value = num::value(trade.price, trade.qty);
        let bought = trade.aggressor == Side::Buy;
        let ticks = u128::from(trade.price.get().unsigned_abs());
        let per_tick = (u128::from(trade.qty.get()) * PER_TICK).checked_div(ticks).unwrap_or(0);
        Self {
            ohlc: [trade.price; 4],
            volume: trade.qty,
            value,
            taker_buy: if bought { trade.qty } else { Lots::ZERO },
            taker_buy_value: if bought { value } else { TickLots::ZERO },
            per_tick,
            taker_buy_per_tick: if bought { per_tick } else { 0 },
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
        self.per_tick = self.per_tick.saturating_add(later.per_tick);
        self.taker_buy_per_tick = self.taker_buy_per_tick.saturating_add(later.taker_buy_per_tick);
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

    /// The candles with their open times, ms, oldest first; the last one may still grow. An interval without trades
    /// repeats the last close.
    pub fn bars(&self, wanted: &Wanted) -> Vec<(u64, Bar)> {
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
            rows.push((open(n), bar));
        }
        rows
    }
    /// The candle of `length_ms` that is open at market time `ts_ns`, with its open time, ms.
    pub fn newest(&self, length_ms: u64, ts_ns: u64) -> Option<(u64, Bar)> {
        let ms = ts_ns / 1_000_000;
        let start_ms = ms - ms % length_ms;
        let source = if length_ms < MINUTE_MS { &self.seconds } else { &self.minutes };
        let mut parts = source.range(start_ms..=ms).map(|(_, bar)| bar);
        let mut whole = *parts.next()?;
        parts.for_each(|part| whole.add(part));
        Some((start_ms, whole))
    }
    /// The candle of `length_ms` that the trade at market time `ts_ns` ended by being the first after it, with its open
    /// time, ms. Of quiet times between them nothing is told.
    pub fn ended(&self, length_ms: u64, ts_ns: u64) -> Option<(u64, Bar)> {
        let (start_ms, open) = self.newest(length_ms, ts_ns)?;
        let source = if length_ms < MINUTE_MS { &self.seconds } else { &self.minutes };
        let (last_ms, _) = source.range(..start_ms).next_back().filter(|_| open.trades == 1)?;
        self.newest(length_ms, (last_ms - last_ms % length_ms + length_ms - 1) * 1_000_000)
    }
}
