//! A synthetic market: one instrument's order book, trades and best prices out of a seed, as a venue would publish
//! them. It is made up. It is there so that the system can be shown, tested and taught offline; nothing learnt on it
//! says anything about a real market.
//!
//! What it has, because traders know it from real books: a spread of one tick that widens in a shock and fills
//! again, levels with gaps and more size further out, trades in bursts (each makes the next more likely), small
//! trades with a heavy tail, trends that change, a slow pull back to a base price, rare jumps. And one property on
//! purpose: a hidden *pressure* shows in the queues and in who takes first, and only a moment later in the price,
//! so that order-flow imbalance has something to predict.
//!
//! Ids of trades and of book updates count from the start time in milliseconds. A venue never gives an id twice, and
//! the lake relies on that: were they to start at the same number every time, a second run on the same day would name
//! other trades by the ids of the first one and be taken for a contradiction. A market has fewer trades and fewer
//! updates than milliseconds, so one that starts where another has ended never meets its ids.
//!
//! [`SyntheticMarket::step`] makes 100 ms at a time. Start reading there; `process` holds the hidden state, `ladder`
//! the visible book.

mod ladder;
mod process;

use crate::rng::Rng;
use domain::event::{BookDelta, BookSnapshot, Level, Quote, Trade};
use domain::{Event, InstrumentId, Lots, Side, Ticks};
use ladder::Ladder;
use process::Process;

/// Length of one step, ns: a diff every 100 ms, as Binance sends them.
pub const STEP_NS: u64 = 100_000_000;
/// The step is made of so many moments.
const MOMENTS: u64 = 10;
const MOMENT_NS: u64 = STEP_NS / MOMENTS;
const MOMENT_S: f64 = 0.01;
const NS_PER_MS: u64 = 1_000_000;

/// What the market looks like; everything else is fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketConfig {
    /// Id in the events.
    pub instrument: InstrumentId,
    /// Same seed, same market.
    pub seed: u64,
    /// When it starts, ns since 1970.
    pub start_ns: u64,
    /// Price at the start. Moves are in proportion to it.
    pub price: Ticks,
    /// Size that usually rests at the best prices.
    pub top_qty: Lots,
    /// Smallest trade; the mean is about four times that.
    pub trade_qty_min: Lots,
}

/// The market.
#[derive(Clone, Debug)]
pub struct SyntheticMarket {
    config: MarketConfig,
    rng: Rng,
    process: Process,
    book: Ladder,
    now_ns: u64,
    /// Update id of the newest diff sent.
    sent_id: u64,
    /// Id of the newest trade.
    trade_id: u64,
    quoted: Option<(Level, Level)>,
}

impl SyntheticMarket {
    /// The market at its start, with a full book.
    pub fn new(config: MarketConfig) -> Self {
        let mut rng = Rng::new(config.seed);
        let process = Process::new(config.price);
        let start_id = config.start_ns / NS_PER_MS;
        let book = Ladder::new(config.price, config.top_qty, start_id, &mut rng);
        Self {
            now_ns: config.start_ns,
            rng,
            process,
            book,
            sent_id: start_id,
            trade_id: start_id,
            quoted: None,
            config,
        }
    }

    /// The market's time, ns: everything before it has been made.
    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The whole book as of the last diff; call it between steps.
    pub fn snapshot(&self) -> BookSnapshot {
        BookSnapshot {
            instrument: self.config.instrument,
            ts_venue_ns: self.now_ns,
            last_id: self.sent_id,
            bids: self.book.levels(Side::Buy),
            asks: self.book.levels(Side::Sell),
            checksum: None,
        }
    }

    /// Makes the next 100 ms: appends events with their receive times, in order, a diff last if anything changed.
    pub fn step(&mut self, out: &mut Vec<(u64, Event)>) {
        for _ in 0..MOMENTS {
            self.moment(out);
            self.now_ns += MOMENT_NS;
        }
        let (bids, asks) = self.book.take_changes();
        let last_id = self.book.last_id();
        if last_id > self.sent_id {
            let delta = BookDelta {
                instrument: self.config.instrument,
                ts_venue_ns: self.now_ns - self.now_ns % NS_PER_MS,
                first_id: self.sent_id + 1,
                last_id,
                bids,
                asks,
                checksum: None,
            };
            self.sent_id = last_id;
            out.push((self.now_ns, Event::BookDelta(delta)));
        }
    }

    /// 10 ms: the hidden state moves, somebody trades, quotes follow, queues churn.
    fn moment(&mut self, out: &mut Vec<(u64, Event)>) {
        let shocked = self.process.advance(&mut self.rng, MOMENT_S);
        let mut clock = self.now_ns + self.rng.below(MOMENT_NS / 20);
        for _ in 0..self.process.trades_now(&mut self.rng, MOMENT_S) {
            let side = if self.rng.chance(self.process.buy_probability()) { Side::Buy } else { Side::Sell };
            let qty = self.trade_qty();
            self.take(side, qty, None, &mut clock, out);
            self.process.on_trade();
        }
        self.follow_price(&mut clock, out);
        if shocked {
            self.book.thin_out(&mut self.rng);
        }
        let spread = self.process.spread();
        self.book.keep_spread(spread, self.process.fair(), self.process.stress(), &mut self.rng);
        self.book.churn(self.process.visible_pressure(), self.process.stress(), &mut self.rng);
        self.quote(clock, out);
    }

    /// Pareto with exponent 4/3, in whole lots, capped so that one trade never empties the market.
    fn trade_qty(&mut self) -> u64 {
        let u = self.rng.unit().max(1e-6).sqrt();
        let factor = 1.0 / (u * u.sqrt());
        let qty = (self.config.trade_qty_min.get() as f64 * factor) as u64;
        qty.clamp(1, self.config.top_qty.get().max(1) * 3)
    }

    /// When the fair price has left the book behind, takers sweep the stale side, up to the fair price.
    fn follow_price(&mut self, clock: &mut u64, out: &mut Vec<(u64, Event)>) {
        let (fair, band) = (self.process.fair(), self.process.band());
        let (Some(bid), Some(ask)) = (self.book.best(Side::Buy), self.book.best(Side::Sell)) else { return };
        let (side, limit) = if fair > ask.price.get() + band {
            (Side::Buy, fair)
        } else if fair < bid.price.get() - band {
            (Side::Sell, fair)
        } else {
            return;
        };
        // A third of what stands in the way trades; the rest saw it coming and is pulled.
        let reach = self.book.size_within(side.opposite(), limit, 3);
        self.take(side, (reach / 3).max(1), Some(limit), clock, out);
        self.book.pull(side.opposite(), limit);
    }

    /// A taker: one trade per level it eats into, all at one time.
    fn take(&mut self, side: Side, qty: u64, limit: Option<i64>, clock: &mut u64, out: &mut Vec<(u64, Event)>) {
        let mut left = qty;
        while left > 0 {
            let Some(level) = self.book.best(side.opposite()) else { return };
            let within = limit.is_none_or(|limit| match side {
                Side::Buy => level.price.get() <= limit,
                Side::Sell => level.price.get() >= limit,
            });
            // The last level of a side is never emptied.
            let most = if self.book.depth(side.opposite()) == 1 { level.qty.get() / 2 } else { level.qty.get() };
            let n = left.min(most);
            if !within || n == 0 {
                return;
            }
            left -= n;
            self.book.set(side.opposite(), level.price.get(), level.qty.get() - n);
            self.trade_id += 1;
            *clock += 20_000 + self.rng.below(60_000);
            let trade = Trade {
                instrument: self.config.instrument,
                ts_venue_ns: *clock - *clock % NS_PER_MS,
                trade_id: self.trade_id,
                price: level.price,
                qty: Lots::new(n),
                aggressor: side,
            };
            out.push((*clock, Event::Trade(trade)));
            self.quote(*clock, out);
        }
    }

    /// The best prices, if they changed.
    fn quote(&mut self, ts_ns: u64, out: &mut Vec<(u64, Event)>) {
        let (Some(bid), Some(ask)) = (self.book.best(Side::Buy), self.book.best(Side::Sell)) else { return };
        if self.quoted == Some((bid, ask)) {
            return;
        }
        self.quoted = Some((bid, ask));
        let quote =
            Quote { instrument: self.config.instrument, ts_venue_ns: 0, update_id: self.book.last_id(), bid, ask };
        out.push((ts_ns, Event::Quote(quote)));
    }
}

#[cfg(test)]
mod tests;
