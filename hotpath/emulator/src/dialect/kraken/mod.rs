//! Kraken Spot, WebSocket v2 and REST. Numbers are JSON numbers with all their digits, books are proven by a checksum
//! and by nothing else, and what falls out of the subscribed depth is gone without a word.

mod markets;
mod rest;
mod text;

use super::window::Window;
use super::words::{rfc3339, rules};
use super::{Dialect, Frame, Kind, News, Offer, Session, View};
use crate::line::Peer;
use crate::state::{Shared, Symbol};
use crate::traffic::{Limit, Limits};
use crate::ws;
use axum::Router;
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use domain::instrument::Contract;
use domain::{Event, Instrument, InstrumentId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use text::{bar, book, checksum, ticker, trade};

/// The dialect.
#[derive(Debug)]
pub struct Kraken;

const MARKETS: [Offer; 3] = [
    Offer {
        symbol: "BTC/USD",
        base: "BTC",
        quote: "USD",
        tick: "0.1",
        lot: "0.00000001",
        price: "60000",
        top: "2",
        trade: "0.0015",
    },
    Offer {
        symbol: "ETH/USD",
        base: "ETH",
        quote: "USD",
        tick: "0.01",
        lot: "0.00000001",
        price: "2600",
        top: "30",
        trade: "0.03",
    },
    Offer {
        symbol: "SOL/USD",
        base: "SOL",
        quote: "USD",
        tick: "0.01",
        lot: "0.00000001",
        price: "150",
        top: "300",
        trade: "0.4",
    },
];
const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1000];
/// Levels of each side that go into a checksum, whatever the depth.
const CHECKED: usize = 10;
const INTERVALS: [u64; 9] = [1, 5, 15, 30, 60, 240, 1440, 10080, 21600];

impl Dialect for Kraken {
    fn name(&self) -> &'static str {
        "kraken"
    }
    fn markets(&self) -> &'static [Offer] {
        &MARKETS
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        offer.watched(id, "kraken", Contract::Spot)
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        rest::routes().route("/v2", get(connect))
    }
    fn limits(&self) -> Limits {
        Limits {
            connects: Limit { most: 150, seconds: 600 },
            messages: Limit { most: 20, seconds: 1 },
            requests: Limit { most: 15, seconds: 15 },
        }
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        symbol.truth.changes
    }
    fn has_checksums(&self) -> bool {
        true
    }
}

async fn connect(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, KrakenSession::default())
}

/// One connection.
#[derive(Debug, Default)]
struct KrakenSession {
    books: BTreeMap<usize, Window>,
    trades: BTreeSet<usize>,
    tickers: BTreeSet<usize>,
    /// Minutes of the bars wanted.
    bars: BTreeMap<usize, u64>,
    /// What every market lets be done.
    markets: bool,
    /// Something went out since the last heartbeat was due.
    spoke: bool,
}

#[derive(Debug, Deserialize)]
struct Request {
    method: String,
    #[serde(default)]
    params: Params,
    #[serde(default)]
    req_id: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    symbol: Vec<String>,
    depth: Option<usize>,
    interval: Option<u64>,
    snapshot: Option<bool>,
}

impl Session for KrakenSession {
    fn hello(&mut self, view: &View<'_>) -> Vec<Frame> {
        let data = json!([{"version": "2.0.10", "system": "online", "api_version": "v2",
            "connection_id": 12_893_734_012_345_u64}]);
        vec![view.reply(json!({"channel": "status", "type": "update", "data": data}))]
    }

    fn hear(&mut self, view: &View<'_>, text: &str) -> Vec<Frame> {
        let time = rfc3339(view.now_ns);
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            let error = json!({"error": "Malformed request", "success": false, "time_in": time, "time_out": time});
            return vec![view.reply(error)];
        };
        let mut frames = Vec::new();
        match request.method.as_str() {
            "ping" => {
                let pong = json!({"method": "pong", "time_in": time, "time_out": time});
                frames.push(view.reply(with_id(pong, &request)));
            }
            "subscribe" | "unsubscribe" if request.params.channel == "instrument" => {
                frames.extend(self.instruments(view, &request));
            }
            "subscribe" | "unsubscribe" => {
                for name in &request.params.symbol {
                    let result = self.subscribe(view, &request, name, &mut frames);
                    let mut ack = match result {
                        Ok(result) => json!({"method": request.method, "result": result, "success": true}),
                        Err(error) => {
                            json!({"method": request.method, "error": error, "symbol": name, "success": false})
                        }
                    };
                    (ack["time_in"], ack["time_out"]) = (json!(time), json!(time));
                    // The acknowledgement goes before the data.
                    let at = frames.iter().position(|f| {
                        f.kind != Kind::Other
                            && f.symbol.is_some_and(|s| rules(&view.symbols[s]).symbol.as_str() == name)
                    });
                    frames.insert(at.unwrap_or(frames.len()), view.reply(with_id(ack, &request)));
                }
            }
            other => {
                let error = json!({"method": other, "error": "Unknown method", "success": false});
                frames.push(view.reply(with_id(error, &request)));
            }
        }
        self.spoke = true;
        frames
    }

    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let frames = self.news(view, news);
        self.spoke |= !frames.is_empty();
        frames
    }

    fn tick(&mut self, view: &View<'_>) -> Vec<Frame> {
        if std::mem::take(&mut self.spoke) || !self.listens() {
            return Vec::new();
        }
        vec![view.reply(json!({"channel": "heartbeat"}))]
    }

    fn listens(&self) -> bool {
        let none = self.books.is_empty() && self.trades.is_empty() && self.tickers.is_empty() && self.bars.is_empty();
        !none || self.markets
    }

    fn wants_book(&self, _view: &View<'_>, symbol: usize) -> bool {
        self.books.contains_key(&symbol)
    }

    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame {
        let i = rules(&view.symbols[symbol]);
        let (price, qty) = (i.tick.times(1), i.lot.times(1));
        let time = rfc3339(view.now_ns);
        let row = format!(
            r#"{{"symbol":"{}","side":"neither","price":{price},"qty":{qty},"ord_type":"limit","trade_id":1,"timestamp":"{time}"}}"#,
            i.symbol
        );
        view.frame(Kind::Other, symbol, format!(r#"{{"channel":"trade","type":"update","data":[{row}]}}"#))
    }

    fn notice(&mut self, view: &View<'_>) -> Option<Frame> {
        let data = json!([{"version": "2.0.10", "system": "maintenance", "api_version": "v2",
            "connection_id": 12_893_734_012_345_u64}]);
        Some(view.reply(json!({"channel": "status", "type": "update", "data": data})))
    }
}

fn with_id(mut answer: Value, request: &Request) -> Value {
    if let Some(id) = &request.req_id {
        answer["req_id"] = id.clone();
    }
    answer
}

impl KrakenSession {
    /// Takes the subscription to all markets, which names no symbols.
    fn instruments(&mut self, view: &View<'_>, request: &Request) -> Vec<Frame> {
        let (on, whole) = (request.method == "subscribe", request.params.snapshot.unwrap_or(true));
        self.markets = on;
        let (time, result) = (rfc3339(view.now_ns), json!({"channel": "instrument", "snapshot": whole}));
        let ack =
            json!({"method": request.method, "result": result, "success": true, "time_in": time, "time_out": time});
        let snapshot = (on && whole).then(|| markets::snapshot(view));
        [view.reply(with_id(ack, request))].into_iter().chain(snapshot).collect()
    }

    /// Takes one symbol of a subscription; what it brings at once goes to `frames`.
    fn subscribe(
        &mut self,
        view: &View<'_>,
        request: &Request,
        name: &str,
        frames: &mut Vec<Frame>,
    ) -> Result<Value, String> {
        let (at, symbol) = view.find(name).ok_or_else(|| format!("Currency pair not supported {name}"))?;
        let Params { channel, depth, interval, snapshot, .. } = &request.params;
        let (on, whole) = (request.method == "subscribe", snapshot.unwrap_or(true));
        let mut result = json!({"channel": channel, "symbol": name, "snapshot": whole});
        match channel.as_str() {
            "book" => {
                let depth = depth.unwrap_or(10);
                if !DEPTHS.contains(&depth) {
                    return Err("Subscription depth not supported".to_owned());
                }
                if on && self.books.contains_key(&at) {
                    return Err("Already subscribed".to_owned());
                }
                result["depth"] = json!(depth);
                self.books.remove(&at);
                if on {
                    let mut window = Window::new(depth, false);
                    let levels = window.whole(view.whole_book(at));
                    window.whole(&symbol.truth);
                    self.books.insert(at, window);
                    if whole {
                        let sum = checksum(rules(symbol), view.whole_book(at));
                        frames.push(book(view, at, Kind::Snapshot, &levels, sum));
                    }
                }
            }
            "trade" => turn(&mut self.trades, at, on),
            "ticker" => turn(&mut self.tickers, at, on),
            "ohlc" => {
                let minutes = interval.unwrap_or(1);
                if !INTERVALS.contains(&minutes) {
                    return Err("Subscription ohlc interval not supported".to_owned());
                }
                result["interval"] = json!(minutes);
                self.bars.remove(&at);
                if on {
                    self.bars.insert(at, minutes);
                }
            }
            _ => return Err(format!("Unknown channel {channel}")),
        }
        Ok(result)
    }

    fn news(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let at = news.symbol;
        let symbol = &view.symbols[at];
        match news.event {
            Event::BookDelta(_) => {
                let Some(window) = self.books.get_mut(&at) else { return Vec::new() };
                let levels = news.levels(window.changes(&symbol.truth));
                if levels.0.is_empty() && levels.1.is_empty() {
                    return Vec::new();
                }
                let sum = checksum(rules(symbol), &symbol.truth) ^ u32::from(news.wrong_checksum);
                vec![book(view, at, Kind::Book, &levels, sum)]
            }
            Event::Trade(t) => {
                let mut frames = Vec::new();
                if self.trades.contains(&at) {
                    frames.push(trade(view, at, t));
                }
                frames.extend(self.bars.get(&at).and_then(|minutes| bar(view, at, *minutes, news.ts_ns)));
                frames
            }
            Event::Quote(q) if self.tickers.contains(&at) => vec![ticker(view, at, q)],
            Event::Status(_) if self.markets => vec![markets::update(view, at)],
            _ => Vec::new(),
        }
    }
}

fn turn(set: &mut BTreeSet<usize>, at: usize, on: bool) {
    if on {
        set.insert(at);
    } else {
        set.remove(&at);
    }
}
