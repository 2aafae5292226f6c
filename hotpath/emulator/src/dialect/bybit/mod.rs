//! Bybit v5 public data, spot and linear: books by topic and depth with an id that goes up by one, whole ones in the
//! stream and whenever the venue likes; the linear ticker as deltas of what changed.

mod rest;
mod text;

use super::market::LINEAR as LINEAR_CONTRACT;
use super::window::Window;
use super::words::{ms, rules};
use super::{Dialect, Frame, Kind, News, Offer, Session, View};
use crate::klines::MINUTE_MS;
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
use domain::event::Quote;
use domain::instrument::Contract;
use domain::{Event, Instrument, InstrumentId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use text::{book, liquidation, trade};

/// One category of the venue.
#[derive(Debug)]
pub struct Bybit {
    name: &'static str,
    category: &'static str,
    contract: Contract,
    markets: &'static [Offer],
}

/// Spot.
pub const SPOT: Bybit = Bybit { name: "bybit", category: "spot", contract: Contract::Spot, markets: &SPOT_MARKETS };
/// Perpetuals settled in quote.
pub const LINEAR: Bybit =
    Bybit { name: "bybit-linear", category: "linear", contract: LINEAR_CONTRACT, markets: &LINEAR_MARKETS };

const fn offer(
    [symbol, base]: [&'static str; 2],
    [tick, lot]: [&'static str; 2],
    [price, top, trade]: [&'static str; 3],
) -> Offer {
    Offer { symbol, base, quote: "USDT", tick, lot, price, top, trade }
}

const SPOT_MARKETS: [Offer; 3] = [
    offer(["BTCUSDT", "BTC"], ["0.1", "0.000001"], ["60000", "2", "0.0015"]),
    offer(["ETHUSDT", "ETH"], ["0.01", "0.00001"], ["2600", "30", "0.03"]),
    offer(["SOLUSDT", "SOL"], ["0.01", "0.001"], ["150", "300", "0.4"]),
];
const LINEAR_MARKETS: [Offer; 3] = [
    offer(["BTCUSDT", "BTC"], ["0.10", "0.001"], ["60000", "6", "0.004"]),
    offer(["ETHUSDT", "ETH"], ["0.01", "0.01"], ["2600", "60", "0.04"]),
    offer(["SOLUSDT", "SOL"], ["0.010", "0.1"], ["150", "500", "0.5"]),
];

const DEPTHS: [usize; 4] = [1, 50, 200, 1000];
const INTERVALS: [(&str, u64); 11] = [
    ("1", 1),
    ("3", 3),
    ("5", 5),
    ("15", 15),
    ("30", 30),
    ("60", 60),
    ("120", 120),
    ("240", 240),
    ("360", 360),
    ("720", 720),
    ("D", 1440),
];
/// Most topics of one subscription on spot.
const ARGS_SPOT: usize = 10;
/// Every so many trades, one closes somebody's position by force.
const LIQUIDATION_EVERY: u64 = 40;
/// Length of all topics of one connection.
const ARGS_CHARS: usize = 21_000;

impl Dialect for Bybit {
    fn name(&self) -> &'static str {
        self.name
    }
    fn markets(&self) -> &'static [Offer] {
        self.markets
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        offer.watched(id, self.name, self.contract)
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        let spot = self.category == "spot";
        let connect = move |State(shared): State<Arc<Shared>>,
                            ConnectInfo(peer): ConnectInfo<Peer>,
                            upgrade: WebSocketUpgrade| async move {
            let response: Response = ws::open(upgrade, shared, peer, BybitSession::new(spot));
            response
        };
        rest::routes(self.category).route(&format!("/v5/public/{}", self.category), get(connect))
    }
    fn limits(&self) -> Limits {
        Limits {
            connects: Limit { most: 500, seconds: 300 },
            // None is stated.
            messages: Limit { most: 100, seconds: 1 },
            requests: Limit { most: 600, seconds: 5 },
        }
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        update_id(symbol.truth.changes)
    }
}

/// The id of a book after so many changes, the same for every depth: 1 is kept for restarts.
const fn update_id(changes: u64) -> u64 {
    1000 + changes
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Book(usize),
    Trade,
    Ticker,
    Bar(&'static str, u64),
    Liquidation,
}

/// One connection.
#[derive(Debug)]
struct BybitSession {
    spot: bool,
    topics: BTreeSet<(usize, Topic)>,
    windows: BTreeMap<(usize, usize), Window>,
    /// Best prices last told, for deltas.
    quoted: BTreeMap<usize, Quote>,
    chars: usize,
}

impl BybitSession {
    const fn new(spot: bool) -> BybitSession {
        BybitSession { spot, topics: BTreeSet::new(), windows: BTreeMap::new(), quoted: BTreeMap::new(), chars: 0 }
    }
}

#[derive(Debug, Deserialize)]
struct Request {
    op: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    req_id: String,
}

impl Session for BybitSession {
    fn hear(&mut self, view: &View<'_>, text: &str) -> Vec<Frame> {
        let ack = |ok: bool, message: &str, op: &str, id: &str| {
            view.reply(json!({"success": ok, "ret_msg": message, "conn_id": "emulated", "req_id": id, "op": op}))
        };
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            return vec![ack(false, "Request JSON unmarshal failed", "", "")];
        };
        let Request { op, args, req_id } = &request;
        match op.as_str() {
            "ping" => return vec![ack(true, "pong", "ping", req_id)],
            "subscribe" | "unsubscribe" => {}
            _ => return vec![ack(false, &format!("unknown op {op}"), op, req_id)],
        }
        if self.spot && args.len() > ARGS_SPOT {
            return vec![ack(false, "args size >10", op, req_id)];
        }
        let mut topics = Vec::new();
        for arg in args {
            match topic(view, arg, self.spot) {
                Some(topic) => topics.push(topic),
                None => return vec![ack(false, &format!("Invalid topic: {arg}"), op, req_id)],
            }
        }
        if op == "unsubscribe" {
            for (at, topic) in topics {
                if let Topic::Book(depth) = topic {
                    self.windows.remove(&(at, depth));
                }
                self.topics.remove(&(at, topic));
            }
            return vec![ack(true, "", op, req_id)];
        }
        self.chars += args.iter().map(String::len).sum::<usize>();
        if self.chars > ARGS_CHARS {
            return vec![ack(false, "args are too long", op, req_id)];
        }
        let mut frames = vec![ack(true, "", op, req_id)];
        for (at, topic) in topics {
            frames.extend(self.first(view, at, &topic));
            self.topics.insert((at, topic));
        }
        frames
    }

    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let at = news.symbol;
        let symbol = &view.symbols[at];
        match news.event {
            Event::BookDelta(_) => {
                let mut frames = Vec::new();
                for ((_, depth), window) in self.windows.range_mut((at, 0)..=(at, usize::MAX)) {
                    let levels = news.levels(window.changes(&symbol.truth));
                    // The best level alone comes whole every time.
                    if *depth == 1 {
                        let whole = window.whole(&symbol.truth);
                        frames.push(book(view, at, 1, Kind::Quote, "snapshot", &whole, symbol.truth.changes));
                    } else {
                        frames.push(book(view, at, *depth, Kind::Book, "delta", &levels, symbol.truth.changes));
                    }
                }
                frames
            }
            Event::Trade(t) => {
                let mut frames = Vec::new();
                if self.topics.contains(&(at, Topic::Trade)) {
                    frames.push(trade(view, at, t, self.spot));
                }
                if self.topics.contains(&(at, Topic::Liquidation)) && t.trade_id.is_multiple_of(LIQUIDATION_EVERY) {
                    frames.push(liquidation(view, at, t));
                }
                frames.extend(self.bars(view, at, news.ts_ns));
                frames
            }
            Event::Quote(q) if self.topics.contains(&(at, Topic::Ticker)) => {
                self.ticker(view, at, q).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn listens(&self) -> bool {
        !self.topics.is_empty()
    }

    fn wants_book(&self, _view: &View<'_>, symbol: usize) -> bool {
        self.windows.range((symbol, 0)..=(symbol, usize::MAX)).next().is_some()
    }

    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame {
        let i = rules(&view.symbols[symbol]);
        let (price, qty, now) = (i.tick.times(1), i.lot.times(1), ms(view.now_ns));
        let row = json!({"T": now, "s": i.symbol, "S": "Neither", "v": qty.to_string(), "p": price.to_string(),
            "L": "PlusTick", "i": "0", "BT": false});
        let text = json!({"topic": format!("publicTrade.{}", i.symbol), "type": "snapshot", "ts": now, "data": [row]});
        view.frame(Kind::Other, symbol, text.to_string())
    }
}

/// `orderbook.50.BTCUSDT` and its like.
fn topic(view: &View<'_>, arg: &str, spot: bool) -> Option<(usize, Topic)> {
    let (head, name) = arg.rsplit_once('.')?;
    let (at, _) = view.find(name)?;
    let topic = match head.split_once('.') {
        Some(("orderbook", depth)) => Topic::Book(depth.parse().ok().filter(|d| DEPTHS.contains(d))?),
        Some(("kline", name)) => {
            let (name, minutes) = INTERVALS.iter().find(|(known, _)| *known == name)?;
            Topic::Bar(name, *minutes)
        }
        None if head == "publicTrade" => Topic::Trade,
        None if head == "tickers" => Topic::Ticker,
        None if head == "allLiquidation" && !spot => Topic::Liquidation,
        _ => return None,
    };
    Some((at, topic))
}

impl BybitSession {
    /// What a subscription brings at once.
    fn first(&mut self, view: &View<'_>, at: usize, topic: &Topic) -> Option<Frame> {
        match topic {
            Topic::Book(depth) => {
                let mut window = Window::new(*depth, true);
                let whole = window.whole(view.whole_book(at));
                window.whole(&view.symbols[at].truth);
                self.windows.insert((at, *depth), window);
                Some(book(view, at, *depth, Kind::Snapshot, "snapshot", &whole, view.whole_book(at).changes))
            }
            Topic::Ticker => self.quoted.remove(&at).and(None),
            Topic::Trade | Topic::Bar(..) | Topic::Liquidation => None,
        }
    }

    fn ticker(&mut self, view: &View<'_>, at: usize, q: &Quote) -> Option<Frame> {
        let i = rules(&view.symbols[at]);
        let (bid, ask) = (i.price(q.bid.price).to_string(), i.price(q.ask.price).to_string());
        let (topic, now) = (format!("tickers.{}", i.symbol), ms(view.now_ns));
        if self.spot {
            let data = json!({"symbol": i.symbol, "lastPrice": bid, "highPrice24h": ask, "lowPrice24h": bid,
                "prevPrice24h": bid, "volume24h": "0", "turnover24h": "0", "price24hPcnt": "0", "usdIndexPrice": ""});
            let text = json!({"topic": topic, "ts": now, "type": "snapshot", "cs": q.update_id, "data": data});
            return Some(view.frame(Kind::Quote, at, text.to_string()));
        }
        let mut data = json!({"symbol": i.symbol});
        let old = self.quoted.insert(at, *q);
        if old.is_none() {
            let day_ms = 8 * 3_600_000;
            data = json!({"symbol": i.symbol, "tickDirection": "PlusTick", "lastPrice": bid, "openInterest": "1000.000",
                "singleOpenInterest": "500.000", "fundingIntervalHour": "8", "markPrice": bid, "indexPrice": ask,
                "nextFundingTime": ((now / day_ms + 1) * day_ms).to_string(), "fundingRate": "0.0001"});
        }
        if old.is_none_or(|o| o.bid != q.bid) {
            (data["bid1Price"], data["bid1Size"]) = (json!(bid), json!(i.qty(q.bid.qty).to_string()));
        }
        if old.is_none_or(|o| o.ask != q.ask) {
            (data["ask1Price"], data["ask1Size"]) = (json!(ask), json!(i.qty(q.ask.qty).to_string()));
        }
        let word = if old.is_none() { "snapshot" } else { "delta" };
        let text = json!({"topic": topic, "type": word, "data": data, "cs": q.update_id, "ts": now});
        Some(view.frame(Kind::Quote, at, text.to_string()))
    }

    /// The open bars; and one that is over, when its successor begins.
    fn bars(&self, view: &View<'_>, at: usize, ts_ns: u64) -> Vec<Frame> {
        let symbol = &view.symbols[at];
        let i = rules(symbol);
        let mut frames = Vec::new();
        for (_, topic) in self.topics.range((at, Topic::Bar("", 0))..).take_while(|(a, _)| *a == at) {
            let Topic::Bar(name, minutes) = topic else { continue };
            let length_ms = minutes * MINUTE_MS;
            let Some((open_ms, bar)) = symbol.klines.newest(length_ms, ts_ns) else { continue };
            let over = symbol.klines.ended(length_ms, ts_ns);
            for (open_ms, bar, confirm) in over.map(|(o, b)| (o, b, true)).into_iter().chain([(open_ms, bar, false)]) {
                let [o, h, l, c] = bar.ohlc.map(|p| i.price(p).to_string());
                let row: Value = json!({"start": open_ms, "end": open_ms + length_ms - 1, "interval": name, "open": o,
                    "close": c, "high": h, "low": l, "volume": i.qty(bar.volume).to_string(),
                    "turnover": i.value(bar.value).to_string(), "confirm": confirm, "timestamp": ms(view.now_ns)});
                let topic = format!("kline.{name}.{}", i.symbol);
                let text = json!({"topic": topic, "data": [row], "ts": ms(view.now_ns), "type": "snapshot"});
                frames.push(view.frame(Kind::Bar, at, text.to_string()));
            }
        }
        frames
    }
}
