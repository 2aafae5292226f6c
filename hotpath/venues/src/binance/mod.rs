//! Binance Spot. In the order a message travels: [`ws`] names the streams, [`decode`] reads public messages,
//! [`user`] reads answers and private news, [`encode`] writes requests, [`sign`] signs them, [`rest`] asks over HTTP.
//!
//! Left out: order types the engine never sends (market, stop, lists), futures, SBE.

pub mod decode;
pub mod encode;
pub mod info;
pub mod rest;
pub mod sign;
pub mod user;
pub mod ws;

use domain::{Instrument, InstrumentId, num::NumError};
use thiserror::Error;

/// A message that is not what the venue documents.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape.
    #[error("unreadable {what}: {cause}; it starts `{excerpt}`")]
    Shape {
        /// What it should have been.
        what: &'static str,
        /// What the parser says.
        cause: String,
        /// The first characters.
        excerpt: String,
    },
    /// A number that is none, or not on the instrument's grid.
    #[error("bad {field} in {what} of {symbol}: {source}")]
    Number {
        /// In which message.
        what: &'static str,
        /// Of which symbol.
        symbol: String,
        /// Which field.
        field: &'static str,
        /// Why.
        #[source]
        source: NumError,
    },
}

impl DecodeError {
    pub(crate) fn shape(what: &'static str, cause: impl ToString, text: &str) -> DecodeError {
        let excerpt = text.chars().take(120).collect();
        DecodeError::Shape { what, cause: cause.to_string(), excerpt }
    }
    pub(crate) fn number(
        what: &'static str,
        symbol: &str,
        field: &'static str,
    ) -> impl FnOnce(NumError) -> DecodeError {
        let symbol = symbol.to_owned();
        move |source| DecodeError::Number { what, symbol, field, source }
    }
}

/// Finds instruments by the venue's symbol. Few entries, so a scan beats a tree.
#[derive(Clone, Debug, Default)]
pub struct SymbolTable {
    instruments: Vec<Instrument>,
}

impl SymbolTable {
    /// A table of these instruments; a later one with the same symbol replaces an earlier one.
    pub fn new(instruments: impl IntoIterator<Item = Instrument>) -> SymbolTable {
        let mut table = SymbolTable::default();
        for instrument in instruments {
            match table.instruments.iter_mut().find(|i| i.symbol == instrument.symbol) {
                Some(old) => *old = instrument,
                None => table.instruments.push(instrument),
            }
        }
        table
    }
    /// The instrument traded under `symbol` (upper case, as in messages).
    pub fn get(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|i| i.symbol.as_str() == symbol)
    }
    /// The instrument with this id.
    pub fn by_id(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.iter().find(|i| i.id == id)
    }
    /// All of them, in the order given.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }
}

/// The venue's milliseconds as our nanoseconds; saturates.
pub(crate) const fn ms_to_ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

#[cfg(test)]
pub(crate) mod fixtures {
    use domain::{Asset, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};

    /// BTCUSDT as in the venue's exchangeInfo of 2024.
    pub(crate) fn instrument(id: u16, symbol: &str, base: &str, lot: &str) -> Instrument {
        Instrument {
            id: InstrumentId(id),
            version: 1,
            venue: Venue::BINANCE,
            symbol: symbol.parse().unwrap(),
            base: Asset::from(base).unwrap(),
            quote: Asset::from("USDT").unwrap(),
            tick: Increment::parse("0.01000000").unwrap(),
            lot: Increment::parse(lot).unwrap(),
            qty_min: Lots::new(1),
            qty_max: Lots::new(900_000_000),
            value_min: TickLots::new(50_000_000),
            contract: domain::instrument::Contract::Spot,
            trade: true,
            book: domain::instrument::BookRule::ASKED,
        }
    }
    pub(crate) fn btcusdt() -> Instrument {
        instrument(0, "BTCUSDT", "BTC", "0.00001000")
    }
}
