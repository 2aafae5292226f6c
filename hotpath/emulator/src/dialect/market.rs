//! The markets a dialect offers: symbol, rules, and what the synthetic market of it looks like.

use domain::instrument::{BookRule, Contract};
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots, Ticks, Venue};

/// One market, numbers as text.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The venue's symbol.
    pub symbol: &'static str,
    /// What is traded.
    pub base: &'static str,
    /// What it is paid in.
    pub quote: &'static str,
    /// Smallest price step.
    pub tick: &'static str,
    /// Smallest size step.
    pub lot: &'static str,
    /// Price at the start.
    pub price: &'static str,
    /// Usual size at the best prices.
    pub top: &'static str,
    /// Smallest trade.
    pub trade: &'static str,
}

/// The names of `offers`.
pub fn names(offers: &[Offer]) -> String {
    offers.iter().map(|o| o.symbol).collect::<Vec<_>>().join(", ")
}

impl Offer {
    /// Price at the start, usual size at the top, smallest trade, in ticks and lots of `i`.
    pub fn numbers(&self, i: &Instrument) -> Option<(Ticks, Lots, Lots)> {
        let lots = |text| u64::try_from(i.lot.count(text).ok()?).ok().map(Lots::new);
        Some((Ticks::new(i.tick.count(self.price).ok()?), lots(self.top)?, lots(self.trade)?))
    }

    /// The market as an instrument that is only watched; `contract` says what its sizes count.
    pub fn watched(&self, id: InstrumentId, venue: &str, contract: Contract) -> Option<Instrument> {
        Some(Instrument {
            id,
            version: 1,
            venue: Venue::parse(venue)?,
            symbol: self.symbol.try_into().ok()?,
            base: Asset::from(self.base).ok()?,
            quote: Asset::from(self.quote).ok()?,
            tick: Increment::parse(self.tick).ok()?,
            lot: Increment::parse(self.lot).ok()?,
            qty_min: Lots::new(1),
            qty_max: Lots::new(u64::MAX),
            value_min: TickLots::ZERO,
            contract,
            trade: false,
            book: BookRule::ASKED,
        })
    }
}

/// One base per contract, settled in quote.
pub const LINEAR: Contract = Contract::Linear(Decimal::new(1, 0));
