//! Binance futures, public data: diffs chained by `pu` and by nothing else, valuations, liquidations.
//!
//! Two markets. On USD-M sizes are in base, and streams are routed to `/public` and `/market`: what belongs to the other
//! one is accepted there and silent. COIN-M counts contracts worth so much of quote, names the pair beside the symbol, and
//! has all streams at one address. Where an answer differs, the instrument's contract says which market it is.

mod encode;
mod rest;

use super::binance::encode::envelope;
use super::binance::streams::{StreamSession, Streams};
use super::market::LINEAR;
use super::words::rules;
use super::{Dialect, Frame, Kind, News, Offer, Session, View};
use crate::line::Peer;
use crate::source::Wire;
use crate::state::{Shared, Symbol};
use crate::traffic::{Limit, Limits};
use crate::ws;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use domain::instrument::Contract;
use domain::{Decimal, Event, Instrument, InstrumentId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The dialect of one market.
#[derive(Debug)]
pub struct Futures {
    name: &'static str,
    /// What its REST paths begin with.
    api: &'static str,
    /// What its stream addresses begin with, and which streams are there.
    tiers: &'static [(&'static str, Tier)],
    markets: &'static [Offer],
    contract: fn(&Offer) -> Contract,
}

/// Settled in quote.
pub const USD_M: Futures = Futures {
    name: "binance-usdm",
    api: "/fapi/v1",
    tiers: &[("", Tier::Public), ("/public", Tier::Public), ("/market", Tier::Market)],
    markets: &USD_M_MARKETS,
    contract: |_| LINEAR,
};

/// Settled in base.
pub const COIN_M: Futures = Futures {
    name: "binance-coinm",
    api: "/dapi/v1",
    tiers: &[("", Tier::Whole)],
    markets: &COIN_M_MARKETS,
    // A contract is worth 100 dollars of bitcoin, and 10 of anything else.
    contract: |offer| Contract::Inverse(Decimal::new(if offer.base == "BTC" { 100 } else { 10 }, 0)),
};

const fn offer(
    [symbol, base, quote]: [&'static str; 3],
    [tick, lot]: [&'static str; 2],
    [price, top, trade]: [&'static str; 3],
) -> Offer {
    Offer { symbol, base, quote, tick, lot, price, top, trade }
}

const USD_M_MARKETS: [Offer; 3] = [
    offer(["BTCUSDT", "BTC", "USDT"], ["0.10", "0.001"], ["60000", "6", "0.004"]),
    offer(["ETHUSDT", "ETH", "USDT"], ["0.01", "0.001"], ["2600", "60", "0.04"]),
    offer(["SOLUSDT", "SOL", "USDT"], ["0.010", "0.01"], ["150", "500", "0.5"]),
];

const COIN_M_MARKETS: [Offer; 3] = [
    offer(["BTCUSD_PERP", "BTC", "USD"], ["0.1", "1"], ["60000", "1500", "3"]),
    offer(["ETHUSD_PERP", "ETH", "USD"], ["0.01", "1"], ["2600", "4000", "5"]),
    offer(["SOLUSD_PERP", "SOL", "USD"], ["0.01", "1"], ["150", "2500", "4"]),
];

impl Dialect for Futures {
    fn name(&self) -> &'static str {
        self.name
    }
    fn markets(&self) -> &'static [Offer] {
        self.markets
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        offer.watched(id, self.name, (self.contract)(offer))
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        let mut router = Router::new().nest(self.api, rest::routes());
        for (base, tier) in self.tiers.iter().copied() {
            let combined = move |State(shared): State<Arc<Shared>>,
                                 ConnectInfo(peer): ConnectInfo<Peer>,
                                 Query(query): Query<Streams>,
                                 upgrade: WebSocketUpgrade| async move {
                let streams = query.streams.unwrap_or_default();
                let response: Response = ws::open(upgrade, shared, peer, FuturesSession::new(tier, &streams, true));
                response
            };
            let bare = move |State(shared): State<Arc<Shared>>,
                             ConnectInfo(peer): ConnectInfo<Peer>,
                             upgrade: WebSocketUpgrade| async move {
                let response: Response = ws::open(upgrade, shared, peer, FuturesSession::new(tier, "", false));
                response
            };
            let raw = move |State(shared): State<Arc<Shared>>,
                            ConnectInfo(peer): ConnectInfo<Peer>,
                            Path(streams): Path<String>,
                            upgrade: WebSocketUpgrade| async move {
                let response: Response = ws::open(upgrade, shared, peer, FuturesSession::new(tier, &streams, false));
                response
            };
            router = router
                .route(&format!("{base}/stream"), get(combined))
                .route(&format!("{base}/ws"), get(bare))
                .route(&format!("{base}/ws/{{*streams}}"), get(raw));
        }
        router
    }
    fn limits(&self) -> Limits {
        Limits {
            connects: Limit { most: 300, seconds: 300 },
            messages: Limit { most: 10, seconds: 1 },
            requests: Limit { most: 2400, seconds: 60 },
        }
    }
    fn wires(&self, view: &View<'_>, event: &Event) -> Vec<Wire> {
        encode::wires(view, event)
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        encode::id(symbol.truth.last_id)
    }
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Public,
    Market,
    /// All there is.
    Whole,
}

impl Tier {
    fn carries(self, stream: &str) -> bool {
        let channel = stream.split_once('@').map_or("", |(_, channel)| channel);
        let public = channel.starts_with("depth") || channel == "bookTicker";
        // Where single trades belong is not stated, so both have them.
        self == Tier::Whole || channel == "trade" || public == (self == Tier::Public)
    }
}

/// One connection.
#[derive(Debug)]
struct FuturesSession {
    tier: Tier,
    streams: StreamSession,
    /// The second of the newest valuation told.
    marked: BTreeMap<usize, u64>,
}

impl FuturesSession {
    fn new(tier: Tier, streams: &str, combined: bool) -> FuturesSession {
        FuturesSession { tier, streams: StreamSession::new(streams, combined), marked: BTreeMap::new() }
    }

    /// The valuation, once a second of market time.
    fn mark(&mut self, view: &View<'_>, news: &News<'_>) -> Option<Frame> {
        let symbol = &view.symbols[news.symbol];
        let i = rules(symbol);
        let lower = i.symbol.to_lowercase();
        let stream = ["@markPrice@1s", "@markPrice"].map(|end| format!("{lower}{end}"));
        let stream = stream.into_iter().find(|s| self.tier.carries(s) && self.streams.has(s))?;
        let second = news.ts_ns / 1_000_000_000;
        if self.marked.insert(news.symbol, second) == Some(second) {
            return None;
        }
        let wire = envelope(&stream, &encode::valuation(view, symbol)?);
        let text = self.streams.text(&wire, view);
        Some(Frame { kind: Kind::Quote, symbol: Some(news.symbol), text })
    }
}

impl Session for FuturesSession {
    fn hear(&mut self, view: &View<'_>, text: &str) -> Vec<Frame> {
        self.streams.hear(view, text)
    }
    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let carried: Vec<Wire> = news.wires.iter().filter(|w| self.tier.carries(&w.stream)).cloned().collect();
        let mut frames = self.streams.tell(view, &News { wires: &carried, ..*news });
        frames.extend(self.mark(view, news));
        frames
    }
    fn listens(&self) -> bool {
        self.streams.listens()
    }
    fn wants_book(&self, view: &View<'_>, symbol: usize) -> bool {
        self.streams.wants_book(view, symbol)
    }
    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame {
        self.streams.odd(view, symbol)
    }
    fn notice(&mut self, view: &View<'_>) -> Option<Frame> {
        self.streams.notice(view)
    }
}
