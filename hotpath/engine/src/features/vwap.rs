//! Volume-weighted average price of a UTC day, from trades.

use super::float;
use domain::{Lots, Ticks};

/// One UTC day in nanoseconds.
const DAY_NS: u64 = 86_400_000_000_000;

/// `vwap.session()@trade`: sum of price times size over sum of size since 00:00 UTC of the trades' own time, in ticks.
/// Exact until the division. Off-day stragglers (a trade of yesterday after one of today) are left out and counted.
#[derive(Clone, Debug, Default)]
pub struct SessionVwap {
    day: u64,
    value: i128,
    volume: i128,
    late: u64,
}

impl SessionVwap {
    /// Takes the next trade.
    pub fn update(&mut self, ts_venue_ns: u64, price: Ticks, qty: Lots) -> Option<f64> {
        let day = ts_venue_ns / DAY_NS;
        if day < self.day {
            self.late += 1;
            return self.value();
        }
        if day > self.day {
            *self = Self { day, value: 0, volume: 0, late: self.late };
        }
        self.value = self.value.saturating_add(domain::num::value(price, qty).get());
        self.volume += i128::from(qty.get());
        self.value()
    }

    /// The value now, in ticks; `None` before the day's first trade.
    pub fn value(&self) -> Option<f64> {
        (self.volume > 0).then(|| float(self.value) / float(self.volume))
    }

    /// Trades left out because their day was over.
    pub const fn late(&self) -> u64 {
        self.late
    }
}
