//! The true book of one symbol: what a perfect client would hold. Clients' books are compared with it.

use domain::event::{BookDelta, BookSnapshot, Level};
use domain::{Lots, Side, Ticks};
use std::collections::BTreeMap;

/// Both sides, all levels.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    bids: BTreeMap<Ticks, Lots>,
    asks: BTreeMap<Ticks, Lots>,
    /// Id of the newest change in it.
    pub last_id: u64,
    /// Changes since the market began.
    pub changes: u64,
    /// Market time of the newest change, ns.
    pub ts_ns: u64,
}

impl Truth {
    /// The book a market starts with.
    pub fn of(start: &BookSnapshot) -> Truth {
        let side = |levels: &[Level]| levels.iter().map(|l| (l.price, l.qty)).collect();
        Truth {
            bids: side(&start.bids),
            asks: side(&start.asks),
            last_id: start.last_id,
            changes: 0,
            ts_ns: start.ts_venue_ns,
        }
    }

    /// Takes one change; old ones change nothing.
    pub fn apply(&mut self, ts_ns: u64, delta: &BookDelta) {
        if delta.last_id <= self.last_id {
            return;
        }
        for (side, levels) in [(&mut self.bids, &delta.bids), (&mut self.asks, &delta.asks)] {
            for level in levels {
                if level.qty.is_zero() {
                    side.remove(&level.price);
                } else {
                    side.insert(level.price, level.qty);
                }
            }
        }
        (self.last_id, self.ts_ns) = (delta.last_id, ts_ns);
        self.changes += 1;
    }

    /// The best `most` levels of a side, best first.
    pub fn side(&self, side: Side, most: usize) -> Vec<Level> {
        let level = |(price, qty): (&Ticks, &Lots)| Level { price: *price, qty: *qty };
        match side {
            Side::Buy => self.bids.iter().rev().take(most).map(level).collect(),
            Side::Sell => self.asks.iter().take(most).map(level).collect(),
        }
    }

    /// Size at a price; zero if nothing is there.
    pub fn at(&self, side: Side, price: Ticks) -> Lots {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        levels.get(&price).copied().unwrap_or(Lots::ZERO)
    }
}
