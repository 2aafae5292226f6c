//! What is traded, under which rules. A rule change at the venue makes a new version; orders name the version they
//! were made under (I-08).

use crate::{Asset, Decimal, Increment, InstrumentId, Lots, Position, TickLots, Ticks, Venue, num};
use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// One tradable pair at one venue and the trading rules in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Index inside the run.
    pub id: InstrumentId,
    /// Counts up with every rule change, from 1.
    pub version: u32,
    /// Where it trades.
    pub venue: Venue,
    /// The venue's own symbol, `BTCUSDT`.
    pub symbol: ArrayString<24>,
    /// What is bought and sold.
    pub base: Asset,
    /// What it is paid in.
    pub quote: Asset,
    /// Smallest price step, in quote per base.
    pub tick: Increment,
    /// Smallest size step, in base.
    pub lot: Increment,
    /// Smallest order.
    pub qty_min: Lots,
    /// Largest order.
    pub qty_max: Lots,
    /// Smallest order value.
    pub value_min: TickLots,
}

impl Instrument {
    /// A price as an exact decimal in quote per base.
    pub fn price(&self, price: Ticks) -> Decimal {
        self.tick.times(price.get())
    }
    /// A size as an exact decimal in base.
    pub fn qty(&self, qty: Lots) -> Decimal {
        Decimal::new(i128::from(qty.get()) * i128::from(self.lot.units), self.lot.scale)
    }
    /// A holding as an exact decimal in base.
    pub fn position(&self, position: Position) -> Decimal {
        self.lot.times(position.get())
    }
    /// A value as an exact decimal in quote.
    pub fn value(&self, value: TickLots) -> Decimal {
        let unit = i128::from(self.tick.units) * i128::from(self.lot.units);
        Decimal::new(value.get() * unit, self.tick.scale + self.lot.scale)
    }
    /// The largest whole value in tick·lots that is not above `amount` of quote; zero for negative amounts.
    pub fn value_floor(&self, amount: Decimal) -> TickLots {
        let scale = self.tick.scale + self.lot.scale;
        let unit = i128::from(self.tick.units) * i128::from(self.lot.units);
        let mantissa = match amount.at_scale(scale) {
            Some(m) => m,
            // More digits than the instrument has: cut them, which rounds towards the smaller limit.
            None => amount.mantissa / 10i128.pow(u32::from(amount.scale - scale.min(amount.scale))),
        };
        TickLots::new((mantissa / unit).max(0))
    }
    /// Value of `qty` at `price` as an exact decimal in quote.
    pub fn notional(&self, price: Ticks, qty: Lots) -> Decimal {
        self.value(num::value(price, qty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btcusdt() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            version: 1,
            venue: Venue::Binance,
            symbol: ArrayString::from("BTCUSDT").unwrap(),
            base: Asset::from("BTC").unwrap(),
            quote: Asset::from("USDT").unwrap(),
            tick: Increment::parse("0.01").unwrap(),
            lot: Increment::parse("0.00001").unwrap(),
            qty_min: Lots::new(1),
            qty_max: Lots::new(900_000_000),
            value_min: TickLots::new(50_000_000),
        }
    }

    #[test]
    fn values_are_exact_quote_amounts() {
        let i = btcusdt();
        assert_eq!(i.price(Ticks::new(6_183_763)).to_string(), "61837.63");
        assert_eq!(i.qty(Lots::new(2000)).to_string(), "0.02000");
        assert_eq!(i.notional(Ticks::new(6_183_763), Lots::new(2000)).to_string(), "1236.7526000");
        assert_eq!(i.value_floor(Decimal::parse("5").unwrap()), TickLots::new(50_000_000));
        assert_eq!(i.value_floor(Decimal::parse("0.00000019").unwrap()), TickLots::new(1));
        assert_eq!(i.value_floor(Decimal::parse("-1").unwrap()), TickLots::ZERO);
    }
}
