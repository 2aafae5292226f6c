//! Binance: Spot, and the public data of its futures markets. In the order a message travels: [`ws`] names the streams,
//! [`decode`] and [`futures`] read public messages, the commonest of them with [`scan`], [`user`] reads answers and private news, [`encode`] writes requests,
//! [`sign`] signs them, [`rest`] asks over HTTP. [`adapter`] puts the public side together.
//!
//! Left out: order types the engine never sends (market, stop, lists), orders on futures, SBE.

pub mod adapter;
pub mod decode;
pub mod encode;
mod feed;
pub mod futures;
pub mod info;
mod polls;
pub mod rest;
mod scan;
pub mod sign;
mod symbols;
pub mod user;
pub mod ws;

pub use adapter::{BINANCE, COIN_M, USD_M};

pub(crate) use crate::wire::{DecodeError, SymbolTable, ms_to_ns};

use domain::Venue;

/// One of its markets. They share ways and words, but no addresses, ids, or budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// Spot.
    Spot,
    /// Futures settled in quote.
    UsdM,
    /// Futures settled in base.
    CoinM,
}

impl Market {
    /// Its name as a venue.
    pub const fn venue(self) -> Venue {
        match self {
            Market::Spot => Venue::BINANCE,
            Market::UsdM => Venue::named("binance-usdm"),
            Market::CoinM => Venue::named("binance-coinm"),
        }
    }

    /// What its REST paths begin with.
    pub(crate) const fn api(self) -> &'static str {
        match self {
            Market::Spot => "/api/v3",
            Market::UsdM => "/fapi/v1",
            Market::CoinM => "/dapi/v1",
        }
    }
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
