//! Binance USDⓈ-M futures, public data: diffs chained by `pu` and by nothing else, valuations, liquidations; streams are
//! routed to `/public` and `/market`, and what belongs to the other one is accepted there and silent.

mod rest;

use super::binance::encode::{derived, envelope, pairs};
use super::binance::streams::{StreamSession, Streams};
use super::binance::text::fixed;
use super::market::LINEAR;
use super::words::{ms, rules};
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
use domain::event::Trade;
use domain::{Event, Instrument, InstrumentId, Side};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The dialect.
#[derive(Debug)]
pub struct Usdm;

const fn offer(
    [symbol, base]: [&'static str; 2],
    [tick, lot]: [&'static str; 2],
    [price, top, trade]: [&'static str; 3],
) -> Offer {
    Offer { symbol, base, quote: "USDT", tick, lot, price, top, trade }
}

const MARKETS: [Offer; 3] = [
    offer(["BTCUSDT", "BTC"], ["0.10", "0.001"], ["60000", "6", "0.004"]),
    offer(["ETHUSDT", "ETH"], ["0.01", "0.001"], ["2600", "60", "0.04"]),
    offer(["SOLUSDT", "SOL"], ["0.010", "0.01"], ["150", "500", "0.5"]),
];

/// Ids here have holes: three for each change there was, so that `U` does not follow the `u` before it.
const IDS: u64 = 3;
/// Every so many trades, one closes somebody's position by force.
const LIQUIDATION_EVERY: u64 = 40;

const fn id(last_id: u64) -> u64 {
    last_id * IDS
}

impl Dialect for Usdm {
    fn name(&self) -> &'static str {
        "binance-usdm"
    }
    fn markets(&self) -> &'static [Offer] {
        &MARKETS
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        offer.watched(id, "binance-usdm", LINEAR)
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        let mut router = rest::routes();
        for (base, tier) in [("", Tier::Public), ("/public", Tier::Public), ("/market", Tier::Market)] {
            let combined = move |State(shared): State<Arc<Shared>>,
                                 ConnectInfo(peer): ConnectInfo<Peer>,
                                 Query(query): Query<Streams>,
                                 upgrade: WebSocketUpgrade| async move {
                let streams = query.streams.unwrap_or_default();
                let response: Response = ws::open(upgrade, shared, peer, UsdmSession::new(tier, &streams, true));
                response
            };
            let bare = move |State(shared): State<Arc<Shared>>,
                             ConnectInfo(peer): ConnectInfo<Peer>,
                             upgrade: WebSocketUpgrade| async move {
                let response: Response = ws::open(upgrade, shared, peer, UsdmSession::new(tier, "", false));
                response
            };
            let raw = move |State(shared): State<Arc<Shared>>,
                            ConnectInfo(peer): ConnectInfo<Peer>,
                            Path(streams): Path<String>,
                            upgrade: WebSocketUpgrade| async move {
                let response: Response = ws::open(upgrade, shared, peer, UsdmSession::new(tier, &streams, false));
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
        match event {
            Event::BookDelta(_) | Event::Quote(_) => Vec::from_iter(wire(view, event)),
            Event::Trade(t) => {
                let Some(symbol) = view.symbols.get(usize::from(t.instrument.0)) else { return Vec::new() };
                let mut wires = Vec::from_iter(wire(view, event));
                wires.extend(derived(view, symbol, t));
                if t.trade_id.is_multiple_of(LIQUIDATION_EVERY) {
                    wires.push(liquidation(view, rules(symbol), t));
                }
                wires
            }
            _ => Vec::new(),
        }
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        id(symbol.truth.last_id)
    }
}

fn wire(view: &View<'_>, event: &Event) -> Option<Wire> {
    let now = ms(view.now_ns);
    let rules_of = |id: InstrumentId| view.symbols.get(usize::from(id.0)).map(rules);
    let (i, channel, data) = match event {
        Event::BookDelta(d) => {
            let i = rules_of(d.instrument)?;
            let (bids, asks) = (pairs(i, &d.bids), pairs(i, &d.asks));
            let before = id(d.first_id - 1);
            let (first, last) = (before + IDS - 1, id(d.last_id));
            let head = format!(r#"{{"e":"depthUpdate","E":{now},"T":{now},"s":"{}","U":{first},"u":{last}"#, i.symbol);
            (i, "depth@100ms", format!(r#"{head},"pu":{before},"b":{bids},"a":{asks}}}"#))
        }
        Event::Trade(t) => {
            let i = rules_of(t.instrument)?;
            let (p, q, maker) = (fixed(i.price(t.price)), fixed(i.qty(t.qty)), t.aggressor == Side::Sell);
            let at = ms(view.venue_ns(t.ts_venue_ns));
            let head = format!(r#"{{"e":"trade","E":{now},"T":{at},"s":"{}","t":{}"#, i.symbol, t.trade_id);
            (i, "trade", format!(r#"{head},"p":"{p}","q":"{q}","X":"MARKET","m":{maker}}}"#))
        }
        Event::Quote(q) => {
            let i = rules_of(q.instrument)?;
            let (b, bq) = (fixed(i.price(q.bid.price)), fixed(i.qty(q.bid.qty)));
            let (a, aq) = (fixed(i.price(q.ask.price)), fixed(i.qty(q.ask.qty)));
            let head = format!(r#"{{"e":"bookTicker","u":{},"s":"{}""#, id(q.update_id), i.symbol);
            let rest = format!(r#""b":"{b}","B":"{bq}","a":"{a}","A":"{aq}","T":{now},"E":{now}"#);
            (i, "bookTicker", format!("{head},{rest}}}"))
        }
        _ => return None,
    };
    Some(envelope(&format!("{}@{channel}", i.symbol.to_lowercase()), &data))
}

/// A taker who sells out was long.
fn liquidation(view: &View<'_>, i: &Instrument, t: &Trade) -> Wire {
    let (p, q, now) = (fixed(i.price(t.price)), fixed(i.qty(t.qty)), ms(view.now_ns));
    let side = match t.aggressor {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let order = format!(
        r#"{{"s":"{}","S":"{side}","o":"LIMIT","f":"IOC","q":"{q}","p":"{p}","ap":"{p}","X":"FILLED","l":"{q}","z":"{q}","T":{now}}}"#,
        i.symbol
    );
    let data = format!(r#"{{"e":"forceOrder","E":{now},"o":{order}}}"#);
    envelope(&format!("{}@forceOrder", i.symbol.to_lowercase()), &data)
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Public,
    Market,
}

impl Tier {
    fn carries(self, stream: &str) -> bool {
        let channel = stream.split_once('@').map_or("", |(_, channel)| channel);
        let public = channel.starts_with("depth") || channel == "bookTicker";
        // Where single trades belong is not stated, so both have them.
        channel == "trade" || public == (self == Tier::Public)
    }
}

/// One connection.
#[derive(Debug)]
struct UsdmSession {
    tier: Tier,
    streams: StreamSession,
    /// The second of the newest valuation told.
    marked: BTreeMap<usize, u64>,
}

impl UsdmSession {
    fn new(tier: Tier, streams: &str, combined: bool) -> UsdmSession {
        UsdmSession { tier, streams: StreamSession::new(streams, combined), marked: BTreeMap::new() }
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
        let wire = envelope(&stream, &valuation(view, symbol)?);
        let text = self.streams.text(&wire, view);
        Some(Frame { kind: Kind::Quote, symbol: Some(news.symbol), text })
    }
}

/// `markPriceUpdate`: the middle of the best prices stands for both mark and index.
fn valuation(view: &View<'_>, symbol: &Symbol) -> Option<String> {
    let (i, now) = (rules(symbol), ms(view.now_ns));
    let (price, next) = (mark_price(symbol)?, next_funding_ms(now));
    let head = format!(r#"{{"e":"markPriceUpdate","E":{now},"s":"{}","p":"{price}","i":"{price}""#, i.symbol);
    Some(format!(r#"{head},"P":"{price}","r":"0.00010000","T":{next}}}"#))
}

fn mark_price(symbol: &Symbol) -> Option<String> {
    let best = |side| symbol.truth.side(side, 1).first().map(|l| l.price.get());
    let (bid, ask) = (best(Side::Buy)?, best(Side::Sell)?);
    Some(fixed(rules(symbol).tick.times(i64::midpoint(bid, ask))))
}

/// Funding is paid every eight hours.
const fn next_funding_ms(now_ms: u64) -> u64 {
    const EVERY_MS: u64 = 8 * 3_600_000;
    (now_ms / EVERY_MS + 1) * EVERY_MS
}

impl Session for UsdmSession {
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
