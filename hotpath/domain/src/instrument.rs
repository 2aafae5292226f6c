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
    /// What one unit of size is.
    pub contract: Contract,
    /// We may trade it; what we may not is only watched. Never true of anything but spot.
    pub trade: bool,
    /// How its book is kept in step with the venue's.
    pub book: BookRule,
}

/// What one unit of size is. Only [`Contract::Spot`] is traded; the others are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// One of the base asset, which changes hands.
    Spot,
    /// A derivative settled in quote, worth so much of base.
    Linear(Decimal),
    /// A derivative settled in base, worth so much of quote.
    Inverse(Decimal),
}

/// How a book is kept in step with the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookRule {
    /// Where whole books come from.
    pub feed: BookFeed,
    /// Levels a side keeps: what is pushed past them is gone without a word. 0 = as many as there are.
    pub depth: u16,
    /// What changes of the book are proven by, besides their ids.
    pub checksum: Option<Checksum>,
}

impl BookRule {
    /// Changes are streamed, the whole book is asked for; nothing is cut, ids are all the proof.
    pub const ASKED: BookRule = BookRule { feed: BookFeed::Asked, depth: 0, checksum: None };
    /// Whole books come in the stream.
    pub const PUSHED: BookRule = BookRule { feed: BookFeed::Pushed, depth: 0, checksum: None };
}

/// Where whole books come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookFeed {
    /// From a question beside the stream: changes are kept until its answer bridges them.
    Asked,
    /// From the stream itself, before the changes that build on it, and anew whenever the venue likes.
    Pushed,
}

/// CRC32 (IEEE) over the text of a book's best levels, as some venues send it with every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// Levels of each side that go in; fewer when there are fewer.
    pub levels: u8,
    /// How they are written.
    pub text: ChecksumText,
}

/// How levels are written for a [`Checksum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumText {
    /// Asks, then bids, best first; price and size without point and leading zeros, nothing between them. The digits
    /// after the point are those of tick and lot (Kraken).
    Digits,
    /// Bid, ask, bid, ask, best first; price and size as plain decimals without trailing zeros, `:` between all (OKX).
    Decimals,
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
            venue: Venue::BINANCE,
            symbol: ArrayString::from("BTCUSDT").unwrap(),
            base: Asset::from("BTC").unwrap(),
            quote: Asset::from("USDT").unwrap(),
            tick: Increment::parse("0.01").unwrap(),
            lot: Increment::parse("0.00001").unwrap(),
            qty_min: Lots::new(1),
            qty_max: Lots::new(900_000_000),
            value_min: TickLots::new(50_000_000),
            contract: Contract::Spot,
            trade: true,
            book: BookRule::ASKED,
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
