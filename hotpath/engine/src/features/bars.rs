//! Bars from trades, by the venue's trade time. A bar closes when a trade of a later bar comes, or when our clock says
//! that it must have ended, with a grace for what is still on its way. No bar is invented for a time without trades.

use domain::event::Trade;
use domain::{Lots, Side, TickLots, Ticks};
use serde::Serialize;

/// How long past its end a bar waits for trades still on their way, ns of receive time. Covers half a second of path
/// and a venue clock up to 1.5 s away from ours.
pub const GRACE_NS: u64 = 2_000_000_000;

/// One closed or open bar, `[open_ns, open_ns + length)` of venue time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// Start, venue clock, ns.
    pub open_ns: u64,
    /// First price.
    pub open: Ticks,
    /// Highest price.
    pub high: Ticks,
    /// Lowest price.
    pub low: Ticks,
    /// Last price.
    pub close: Ticks,
    /// Size traded.
    pub volume: Lots,
    /// Size traded by buyers who took.
    pub volume_buy: Lots,
    /// Value traded.
    pub value: TickLots,
    /// Number of trades.
    pub trades: u32,
}

/// Builds the bars of one length.
#[derive(Clone, Debug)]
pub struct Bars {
    length_ns: u64,
    bar: Option<Bar>,
    /// Trades that start before this come too late.
    closed_to_ns: u64,
    late: u64,
}

impl Bars {
    /// Bars of `length_ns` nanoseconds, aligned to the epoch.
    ///
    /// # Panics
    /// When the length is zero.
    pub fn new(length_ns: u64) -> Self {
        assert!(length_ns > 0, "a bar needs a length");
        Self { length_ns, bar: None, closed_to_ns: 0, late: 0 }
    }

    /// Takes the next trade; returns the bar it closed.
    pub fn on_trade(&mut self, trade: &Trade) -> Option<Bar> {
        let open_ns = trade.ts_venue_ns - trade.ts_venue_ns % self.length_ns;
        let running = self.bar.as_ref().map_or(self.closed_to_ns, |b| b.open_ns);
        if open_ns < running {
            self.late += 1;
            return None;
        }
        let closed = if open_ns > running { self.close() } else { None };
        match &mut self.bar {
            Some(bar) => bar.add(trade),
            None => self.bar = Some(Bar::first(open_ns, trade)),
        }
        closed
    }

    /// Time went on; returns the bar that ended without a later trade. `now_ns` is receive time.
    pub fn on_time(&mut self, now_ns: u64) -> Option<Bar> {
        let ended = self
            .bar
            .as_ref()
            .is_some_and(|b| now_ns >= b.open_ns.saturating_add(self.length_ns).saturating_add(GRACE_NS));
        if ended { self.close() } else { None }
    }

    /// The running bar.
    pub const fn running(&self) -> Option<&Bar> {
        self.bar.as_ref()
    }

    /// Trades that came after their bar was closed.
    pub const fn late(&self) -> u64 {
        self.late
    }

    fn close(&mut self) -> Option<Bar> {
        let bar = self.bar.take()?;
        assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close), "a bar holds its prices");
        assert!(bar.open_ns >= self.closed_to_ns, "bars close in order");
        assert!(bar.volume_buy <= bar.volume && bar.trades > 0, "no bar is invented");
        self.closed_to_ns = bar.open_ns.saturating_add(self.length_ns);
        Some(bar)
    }
}

impl Bar {
    fn first(open_ns: u64, trade: &Trade) -> Self {
        let (price, none) = (trade.price, Lots::ZERO);
        let mut bar = Bar {
            open_ns,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: none,
            volume_buy: none,
            value: TickLots::ZERO,
            trades: 0,
        };
        bar.add(trade);
        bar
    }

    fn add(&mut self, trade: &Trade) {
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume = Lots::new(self.volume.get().saturating_add(trade.qty.get()));
        if trade.aggressor == Side::Buy {
            self.volume_buy = Lots::new(self.volume_buy.get().saturating_add(trade.qty.get()));
        }
        self.value = TickLots::new(self.value.get().saturating_add(domain::num::value(trade.price, trade.qty).get()));
        self.trades = self.trades.saturating_add(1);
    }
}
