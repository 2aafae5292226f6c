//! OKX v5 spot: books of 400 levels with a signed checksum over 25 and a chain of sequence ids; trades, tickers, bars.

mod rest;

use super::window::Window;
use super::words::{ms, plain, rules};
use super::{Dialect, Frame, Kind, News, Offer, Session, View};
use crate::klines::{Bar, MINUTE_MS};
use crate::line::Peer;
use crate::state::{Shared, Symbol};
use crate::traffic::{Limit, Limits};
use crate::truth::Truth;
use crate::ws;
use axum::Router;
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use domain::event::{Level, Quote, Trade};
use domain::instrument::Contract;
use domain::{Event, Instrument, InstrumentId, Side};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The dialect.
#[derive(Debug)]
pub struct Okx;

const fn offer(
    [symbol, base]: [&'static str; 2],
    [tick, lot]: [&'static str; 2],
    [price, top, trade]: [&'static str; 3],
) -> Offer {
    Offer { symbol, base, quote: "USDT", tick, lot, price, top, trade }
}

const MARKETS: [Offer; 3] = [
    offer(["BTC-USDT", "BTC"], ["0.1", "0.00000001"], ["60000", "2", "0.0015"]),
    offer(["ETH-USDT", "ETH"], ["0.01", "0.000001"], ["2600", "30", "0.03"]),
    offer(["SOL-USDT", "SOL"], ["0.01", "0.000001"], ["150", "300", "0.4"]),
];
const DEPTH: usize = 400;
const CHECKED: usize = 25;
const BARS: [(&str, u64); 8] =
    [("1m", 1), ("3m", 3), ("5m", 5), ("15m", 15), ("30m", 30), ("1H", 60), ("4H", 240), ("1D", 1440)];

impl Dialect for Okx {
    fn name(&self) -> &'static str {
        "okx"
    }
    fn markets(&self) -> &'static [Offer] {
        &MARKETS
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        offer.watched(id, "okx", Contract::Spot)
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        // Bars come from another address.
        rest::routes().route("/ws/v5/public", get(public)).route("/ws/v5/business", get(business))
    }
    fn limits(&self) -> Limits {
        Limits {
            connects: Limit { most: 3, seconds: 1 },
            messages: Limit { most: 480, seconds: 3600 },
            requests: Limit { most: 20, seconds: 2 },
        }
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        symbol.truth.last_id
    }
    fn has_checksums(&self) -> bool {
        true
    }
}

async fn public(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, OkxSession::new(false))
}

async fn business(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, OkxSession::new(true))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Book,
    Trade,
    Ticker,
    Best,
    Bar(u64),
}

/// One connection.
#[derive(Debug)]
struct OkxSession {
    /// The address with the bars, and nothing else.
    business: bool,
    topics: BTreeSet<(usize, Topic)>,
    /// What is shown of each book, and the id of the message before.
    books: BTreeMap<usize, (Window, u64)>,
}

#[derive(Debug, Deserialize)]
struct Request {
    op: String,
    #[serde(default)]
    args: Vec<Arg>,
}

#[derive(Debug, Deserialize)]
struct Arg {
    #[serde(default)]
    channel: String,
    #[serde(default, rename = "instId")]
    inst_id: String,
}

impl OkxSession {
    const fn new(business: bool) -> OkxSession {
        OkxSession { business, topics: BTreeSet::new(), books: BTreeMap::new() }
    }

    fn topic(&self, channel: &str) -> Option<Topic> {
        match channel {
            _ if self.business => {
                let name = channel.strip_prefix("candle")?;
                BARS.iter().find(|(known, _)| *known == name).map(|(_, minutes)| Topic::Bar(*minutes))
            }
            "books" => Some(Topic::Book),
            "trades" => Some(Topic::Trade),
            "tickers" => Some(Topic::Ticker),
            "bbo-tbt" => Some(Topic::Best),
            _ => None,
        }
    }
}

impl Session for OkxSession {
    fn hear(&mut self, view: &View<'_>, text: &str) -> Vec<Frame> {
        if text == "ping" {
            return vec![view.reply("pong")];
        }
        let error = |code: &str, msg: String| {
            view.reply(json!({"event": "error", "code": code, "msg": msg, "connId": "emulated"}))
        };
        let Ok(Request { op, args }) = serde_json::from_str::<Request>(text) else {
            return vec![error("60012", format!("Invalid request: {text}"))];
        };
        if op != "subscribe" && op != "unsubscribe" {
            return vec![error("60012", format!("Invalid request: {text}"))];
        }
        let mut frames = Vec::new();
        for Arg { channel, inst_id } in args {
            let arg = json!({"channel": channel, "instId": inst_id});
            let (Some(topic), Some((at, symbol))) = (self.topic(&channel), view.find(&inst_id)) else {
                let msg = format!("Wrong URL or channel:{channel},instId:{inst_id} doesn't exist.");
                frames.push(error("60018", msg));
                continue;
            };
            frames.push(view.reply(json!({"event": op, "arg": arg, "connId": "emulated"})));
            if topic == Topic::Book {
                self.books.remove(&at);
            }
            if op == "unsubscribe" {
                self.topics.remove(&(at, topic));
                continue;
            }
            self.topics.insert((at, topic));
            if topic == Topic::Book {
                let mut window = Window::new(DEPTH, true);
                let shown = view.whole_book(at);
                let levels = window.whole(shown);
                window.whole(&symbol.truth);
                self.books.insert(at, (window, symbol.truth.last_id));
                frames.push(book(
                    view,
                    at,
                    Kind::Snapshot,
                    &levels,
                    checksum(rules(symbol), shown),
                    [shown.last_id, 0],
                ));
            }
        }
        frames
    }

    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let at = news.symbol;
        let symbol = &view.symbols[at];
        match news.event {
            Event::BookDelta(_) => {
                let Some((window, before)) = self.books.get_mut(&at) else { return Vec::new() };
                let levels = news.levels(window.changes(&symbol.truth));
                let ids = [symbol.truth.last_id, std::mem::replace(before, symbol.truth.last_id)];
                let sum = checksum(rules(symbol), &symbol.truth) ^ i32::from(news.wrong_checksum);
                vec![book(view, at, Kind::Book, &levels, sum, ids)]
            }
            Event::Trade(t) => {
                let mut frames = Vec::new();
                if self.topics.contains(&(at, Topic::Trade)) {
                    frames.push(trade(view, at, t));
                }
                let minutes = BARS.iter().filter(|(_, minutes)| self.topics.contains(&(at, Topic::Bar(*minutes))));
                frames.extend(minutes.flat_map(|(name, minutes)| bars(view, at, name, *minutes, news.ts_ns)));
                frames
            }
            Event::Quote(q) => {
                let mut frames = Vec::new();
                if self.topics.contains(&(at, Topic::Ticker)) {
                    frames.push(ticker(view, at, q));
                }
                if self.topics.contains(&(at, Topic::Best)) {
                    frames.push(best(view, at, q));
                }
                frames
            }
            _ => Vec::new(),
        }
    }

    fn listens(&self) -> bool {
        !self.topics.is_empty()
    }

    fn wants_book(&self, _view: &View<'_>, symbol: usize) -> bool {
        self.books.contains_key(&symbol)
    }

    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame {
        let i = rules(&view.symbols[symbol]);
        let row = json!({"instId": i.symbol, "tradeId": "1", "px": i.tick.times(1).to_string(),
            "sz": i.lot.times(1).to_string(), "side": "neither", "ts": ms(view.now_ns).to_string()});
        let text = json!({"arg": {"channel": "trades", "instId": i.symbol}, "data": [row]});
        view.frame(Kind::Other, symbol, text.to_string())
    }

    fn notice(&mut self, view: &View<'_>) -> Option<Frame> {
        let msg = "The connection will soon be closed for a service upgrade. Please reconnect.";
        Some(view.reply(json!({"event": "notice", "code": "64008", "msg": msg, "connId": "emulated"})))
    }
}

fn rows(i: &Instrument, levels: &[Level]) -> Vec<Value> {
    let row = |l: &Level| {
        let orders = if l.qty.is_zero() { "0" } else { "1" };
        json!([plain(i.price(l.price)), plain(i.qty(l.qty)), "0", orders])
    };
    levels.iter().map(row).collect()
}

fn book(
    view: &View<'_>,
    at: usize,
    kind: Kind,
    (bids, asks): &(Vec<Level>, Vec<Level>),
    sum: i32,
    [id, before]: [u64; 2],
) -> Frame {
    let i = rules(&view.symbols[at]);
    let (word, before) = if kind == Kind::Snapshot { ("snapshot", json!(-1)) } else { ("update", json!(before)) };
    let data = json!({"asks": rows(i, asks), "bids": rows(i, bids), "ts": ms(view.now_ns).to_string(), "checksum": sum,
        "seqId": id, "prevSeqId": before});
    let arg = json!({"channel": "books", "instId": i.symbol});
    view.frame(kind, at, json!({"arg": arg, "action": word, "data": [data]}).to_string())
}

/// CRC32 of the best 25 levels, bid and ask in turn, price and size as they are written, as a signed number.
fn checksum(i: &Instrument, book: &Truth) -> i32 {
    let (bids, asks) = (book.side(Side::Buy, CHECKED), book.side(Side::Sell, CHECKED));
    let mut parts = Vec::new();
    for at in 0..CHECKED {
        for level in [bids.get(at), asks.get(at)].into_iter().flatten() {
            parts.extend([plain(i.price(level.price)), plain(i.qty(level.qty))]);
        }
    }
    crc32fast::hash(parts.join(":").as_bytes()).cast_signed()
}

fn trade(view: &View<'_>, at: usize, t: &Trade) -> Frame {
    let i = rules(&view.symbols[at]);
    let side = match t.aggressor {
        Side::Buy => "buy",
        Side::Sell => "sell",
    };
    let row = json!({"instId": i.symbol, "tradeId": t.trade_id.to_string(), "px": plain(i.price(t.price)),
        "sz": plain(i.qty(t.qty)), "side": side, "ts": ms(view.venue_ns(t.ts_venue_ns)).to_string(), "count": "1"});
    let text = json!({"arg": {"channel": "trades", "instId": i.symbol}, "data": [row]});
    view.frame(Kind::Trade, at, text.to_string())
}

/// The best level of each side, whole each time.
fn best(view: &View<'_>, at: usize, q: &Quote) -> Frame {
    let symbol = &view.symbols[at];
    let i = rules(symbol);
    let data = json!({"asks": rows(i, &[q.ask]), "bids": rows(i, &[q.bid]), "ts": ms(view.now_ns).to_string(),
        "seqId": symbol.truth.last_id});
    let text = json!({"arg": {"channel": "bbo-tbt", "instId": i.symbol}, "data": [data]});
    view.frame(Kind::Quote, at, text.to_string())
}

fn ticker(view: &View<'_>, at: usize, q: &Quote) -> Frame {
    let i = rules(&view.symbols[at]);
    let (bid, ask) = (plain(i.price(q.bid.price)), plain(i.price(q.ask.price)));
    let row = json!({"instType": "SPOT", "instId": i.symbol, "last": bid, "lastSz": "0", "askPx": ask,
        "askSz": plain(i.qty(q.ask.qty)), "bidPx": bid, "bidSz": plain(i.qty(q.bid.qty)), "open24h": bid,
        "high24h": ask, "low24h": bid, "sodUtc0": bid, "sodUtc8": bid, "volCcy24h": "0", "vol24h": "0",
        "ts": ms(view.now_ns).to_string()});
    let text = json!({"arg": {"channel": "tickers", "instId": i.symbol}, "data": [row]});
    view.frame(Kind::Quote, at, text.to_string())
}

/// The open bar, and before it the one that is over, when it is.
fn bars(view: &View<'_>, at: usize, name: &str, minutes: u64, ts_ns: u64) -> Vec<Frame> {
    let symbol = &view.symbols[at];
    let i = rules(symbol);
    let over = symbol.klines.ended(minutes * MINUTE_MS, ts_ns).map(|bar| (bar, true));
    let open = symbol.klines.newest(minutes * MINUTE_MS, ts_ns).map(|bar| (bar, false));
    let frame = |((open_ms, bar), is_over): ((u64, Bar), bool)| {
        let arg = json!({"channel": format!("candle{name}"), "instId": i.symbol});
        let text = json!({"arg": arg, "data": [rest::row(i, open_ms, &bar, is_over)]});
        view.frame(Kind::Bar, at, text.to_string())
    };
    over.into_iter().chain(open).map(frame).collect()
}
