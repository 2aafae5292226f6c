//! Binance Spot: REST, streams, and the WebSocket API with orders.

pub mod candles;
pub mod encode;
pub mod ids;
pub mod rest;
pub mod streams;
pub mod text;
pub mod wsapi;

use super::{Dialect, Offer, View};
use crate::source::Wire;
use crate::state::{Shared, Symbol};
use crate::traffic::{Limit, Limits};
use axum::Router;
use axum::routing::get;
use domain::{Event, Instrument, InstrumentId};
use sim::rules::{self, Steps};
use std::sync::Arc;

/// The dialect.
#[derive(Debug)]
pub struct Binance;

const fn offer([symbol, base]: [&'static str; 2], [price, top, trade]: [&'static str; 3]) -> Offer {
    // Steps are those of `sim::rules`.
    Offer { symbol, base, quote: "USDT", tick: "", lot: "", price, top, trade }
}

const MARKETS: [Offer; 4] = [
    offer(["BTCUSDT", "BTC"], ["60000", "2", "0.0015"]),
    offer(["ETHUSDT", "ETH"], ["2600", "30", "0.03"]),
    offer(["BNBUSDT", "BNB"], ["580", "80", "0.1"]),
    offer(["SOLUSDT", "SOL"], ["150", "300", "0.4"]),
];

impl Dialect for Binance {
    fn name(&self) -> &'static str {
        "binance"
    }
    fn markets(&self) -> &'static [Offer] {
        &MARKETS
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        rules::instrument(id, offer.symbol, &Steps::default()).ok()
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        Router::new()
            .route("/api/v3/ping", get(rest::ping))
            .route("/api/v3/time", get(rest::time))
            .route("/api/v3/exchangeInfo", get(rest::exchange_info))
            .route("/api/v3/depth", get(rest::depth))
            .route("/api/v3/klines", get(rest::klines))
            .route("/stream", get(streams::combined))
            .route("/ws", get(streams::bare))
            .route("/ws/{*streams}", get(streams::raw))
            .route("/ws-api/v3", get(wsapi::connect))
    }
    fn limits(&self) -> Limits {
        Limits {
            connects: Limit { most: 300, seconds: 300 },
            messages: Limit { most: 5, seconds: 1 },
            requests: Limit { most: 6000, seconds: 60 },
        }
    }
    fn wires(&self, view: &View<'_>, event: &Event) -> Vec<Wire> {
        let id = match event {
            Event::BookDelta(d) => d.instrument,
            Event::Trade(t) => t.instrument,
            Event::Quote(q) => q.instrument,
            _ => return Vec::new(),
        };
        let Some(symbol) = view.symbols.get(usize::from(id.0)) else { return Vec::new() };
        let mut wires = Vec::from_iter(encode::wire(&symbol.listed.instrument, view.now_ns, view.shift_ns, event));
        if let Event::Trade(trade) = event {
            wires.extend(encode::derived(view, symbol, trade));
        }
        wires
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        symbol.truth.last_id
    }
}
