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

pub(crate) use crate::wire::{DecodeError, SymbolTable, ms_to_ns};

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
