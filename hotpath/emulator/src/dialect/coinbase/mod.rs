//! Coinbase Advanced Trade: one sequence over all messages of a connection, whole books of any depth in the stream, and
//! the maker's side on trades.

mod rest;

use super::words::{plain, rfc3339, rules};
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
use domain::event::{Allowed, Level, Quote, Trade};
use domain::instrument::Contract;
use domain::{Event, Instrument, InstrumentId, Side};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The dialect.
#[derive(Debug)]
pub struct Coinbase;

const MARKETS: [Offer; 3] = [
    Offer {
        symbol: "BTC-USD",
        base: "BTC",
        quote: "USD",
        tick: "0.01",
        lot: "0.00000001",
        price: "60000",
        top: "2",
        trade: "0.0015",
    },
    Offer {
        symbol: "ETH-USD",
        base: "ETH",
        quote: "USD",
        tick: "0.01",
        lot: "0.00000001",
        price: "2600",
        top: "30",
        trade: "0.03",
    },
    Offer {
        symbol: "SOL-USD",
        base: "SOL",
        quote: "USD",
        tick: "0.01",
        lot: "0.00000001",
        price: "150",
        top: "300",
        trade: "0.4",
    },
];
/// How often the state of all products is told although nothing changed.
const STATUS_SECONDS: u64 = 5;
const CHANNELS: [&str; 7] = ["level2", "market_trades", "ticker", "ticker_batch", "candles", "heartbeats", "status"];

impl Dialect for Coinbase {
    fn name(&self) -> &'static str {
        "coinbase"
    }
    fn markets(&self) -> &'static [Offer] {
        &MARKETS
    }
    fn instrument(&self, id: InstrumentId, offer: &Offer) -> Option<Instrument> {
        offer.watched(id, "coinbase", Contract::Spot)
    }
    fn routes(&self) -> Router<Arc<Shared>> {
        rest::routes().route("/", get(connect))
    }
    fn limits(&self) -> Limits {
        Limits {
            connects: Limit { most: 8, seconds: 1 },
            messages: Limit { most: 8, seconds: 1 },
            requests: Limit { most: 10, seconds: 1 },
        }
    }
    fn book_id(&self, symbol: &Symbol) -> u64 {
        symbol.truth.changes
    }
}

async fn connect(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, CoinbaseSession::default())
}

/// The venue's word for a product that does something or nothing.
const fn status(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::Nothing => "offline",
        Allowed::All | Allowed::PostOnly | Allowed::CancelOnly => "online",
    }
}

/// One connection.
#[derive(Debug, Default)]
struct CoinbaseSession {
    /// By channel: whose.
    wanted: BTreeMap<String, BTreeSet<usize>>,
    sequence: u64,
    heartbeats: u64,
    seconds: u64,
}

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    channel: String,
}

impl Session for CoinbaseSession {
    fn hear(&mut self, view: &View<'_>, text: &str) -> Vec<Frame> {
        let error = |message: &str| vec![view.reply(json!({"type": "error", "message": message}))];
        let Ok(request) = serde_json::from_str::<Request>(text) else { return error("failed to parse message") };
        if !CHANNELS.contains(&request.channel.as_str()) {
            return error(&format!("channel {} does not exist", request.channel));
        }
        let on = match request.kind.as_str() {
            "subscribe" => true,
            "unsubscribe" => false,
            _ => return error("invalid message type"),
        };
        let mut symbols = BTreeSet::new();
        for name in &request.product_ids {
            // The dollar coin's pairs are the dollar's.
            let canonical = name.strip_suffix("-USDC").map_or_else(|| name.clone(), |base| format!("{base}-USD"));
            match view.find(&canonical) {
                Some((at, _)) => symbols.insert(at),
                None => return error(&format!("{name} is not a valid product")),
            };
        }
        let mut frames = Vec::new();
        let known = self.wanted.entry(request.channel.clone()).or_default();
        if on {
            known.extend(&symbols);
            for at in &symbols {
                frames.extend(self.first(view, &request.channel, *at));
            }
            if request.channel == "status" {
                frames.push(self.status(view, "snapshot", &symbols));
            }
        } else {
            known.retain(|at| !symbols.contains(at));
            if symbols.is_empty() || known.is_empty() {
                self.wanted.remove(&request.channel);
            }
        }
        frames.push(self.subscriptions(view));
        frames
    }

    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let at = news.symbol;
        match news.event {
            Event::BookDelta(d) if self.has("level2", at) => vec![self.book(view, at, "update", (&d.bids, &d.asks))],
            Event::Trade(t) if self.has("market_trades", at) || self.has("candles", at) => {
                let mut frames = Vec::new();
                if self.has("market_trades", at) {
                    frames.push(self.trades(view, at, "update", &[*t]));
                }
                if self.has("candles", at) {
                    frames.extend(self.candle(view, at, news.ts_ns));
                }
                frames
            }
            Event::Quote(q) if self.has("ticker", at) => vec![self.ticker(view, at, q)],
            Event::Status(_) if self.has("status", at) => vec![self.status(view, "update", &BTreeSet::from([at]))],
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, view: &View<'_>) -> Vec<Frame> {
        self.seconds += 1;
        let due = self.wanted.get("status").filter(|_| self.seconds.is_multiple_of(STATUS_SECONDS)).cloned();
        let mut frames: Vec<Frame> = due.map(|symbols| self.status(view, "update", &symbols)).into_iter().collect();
        if !self.wanted.contains_key("heartbeats") {
            return frames;
        }
        self.heartbeats += 1;
        let seconds = view.now_ns / 1_000_000_000;
        // As the service writes it, Go's own form of a time.
        let time = rfc3339(view.now_ns).replace('T', " ").replace('Z', " +0000 UTC");
        let event = json!({"current_time": format!("{time} m=+{seconds}.0"), "heartbeat_counter": self.heartbeats});
        frames.push(self.frame(view, Kind::Other, 0, "heartbeats", &event.to_string()));
        frames
    }

    fn listens(&self) -> bool {
        self.wanted.values().any(|symbols| !symbols.is_empty())
    }

    fn wants_book(&self, _view: &View<'_>, symbol: usize) -> bool {
        self.has("level2", symbol)
    }

    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame {
        let i = rules(&view.symbols[symbol]);
        let (price, size) = (i.tick.times(1), i.lot.times(1));
        let time = rfc3339(view.now_ns);
        let event = format!(
            r#"{{"type":"update","trades":[{{"product_id":"{}","trade_id":"1","price":"{price}","size":"{size}","time":"{time}","side":"NEITHER"}}]}}"#,
            i.symbol
        );
        self.frame(view, Kind::Other, symbol, "market_trades", &event)
    }
}

impl CoinbaseSession {
    fn has(&self, channel: &str, at: usize) -> bool {
        self.wanted.get(channel).is_some_and(|symbols| symbols.contains(&at))
    }

    fn frame(&mut self, view: &View<'_>, kind: Kind, at: usize, channel: &str, event: &str) -> Frame {
        let (time, n) = (rfc3339(view.now_ns), self.sequence);
        self.sequence += 1;
        let head = format!(r#"{{"channel":"{channel}","client_id":"","timestamp":"{time}","sequence_num":{n}"#);
        view.frame(kind, at, format!(r#"{head},"events":[{event}]}}"#))
    }

    /// What a subscription brings at once.
    fn first(&mut self, view: &View<'_>, channel: &str, at: usize) -> Option<Frame> {
        match channel {
            "level2" => {
                let book = view.whole_book(at);
                let (bids, asks) = (book.side(Side::Buy, usize::MAX), book.side(Side::Sell, usize::MAX));
                let frame = self.book(view, at, "snapshot", (&bids, &asks));
                Some(Frame { kind: Kind::Snapshot, ..frame })
            }
            "market_trades" => Some(self.trades(view, at, "snapshot", &[])),
            _ => None,
        }
    }

    fn subscriptions(&mut self, view: &View<'_>) -> Frame {
        let mut all = Map::new();
        for (channel, symbols) in &self.wanted {
            let names: Vec<Value> = symbols.iter().map(|at| json!(rules(&view.symbols[*at]).symbol)).collect();
            let names = if channel == "heartbeats" { vec![json!("heartbeats")] } else { names };
            all.insert(channel.clone(), Value::Array(names));
        }
        let event = json!({"subscriptions": all}).to_string();
        let frame = self.frame(view, Kind::Other, 0, "subscriptions", &event);
        Frame { symbol: None, ..frame }
    }

    fn book(&mut self, view: &View<'_>, at: usize, word: &str, (bids, asks): (&[Level], &[Level])) -> Frame {
        let i = rules(&view.symbols[at]);
        let time = rfc3339(view.now_ns);
        let row = |side: &str, l: &Level| {
            let (price, size) = (plain(i.price(l.price)), plain(i.qty(l.qty)));
            format!(r#"{{"side":"{side}","event_time":"{time}","price_level":"{price}","new_quantity":"{size}"}}"#)
        };
        let rows: Vec<String> =
            bids.iter().map(|l| row("bid", l)).chain(asks.iter().map(|l| row("offer", l))).collect();
        let rows = rows.join(",");
        let event = format!(r#"{{"type":"{word}","product_id":"{}","updates":[{rows}]}}"#, i.symbol);
        self.frame(view, Kind::Book, at, "l2_data", &event)
    }

    fn trades(&mut self, view: &View<'_>, at: usize, word: &str, trades: &[Trade]) -> Frame {
        let i = rules(&view.symbols[at]);
        let row = |t: &Trade| {
            // The side told is the maker's.
            let side = match t.aggressor {
                Side::Buy => "SELL",
                Side::Sell => "BUY",
            };
            let (price, size) = (plain(i.price(t.price)), plain(i.qty(t.qty)));
            json!({"product_id": i.symbol, "trade_id": t.trade_id.to_string(), "price": price, "size": size,
                "time": rfc3339(view.venue_ns(t.ts_venue_ns)), "side": side})
        };
        let rows: Vec<Value> = trades.iter().map(row).collect();
        let event = json!({"type": word, "trades": rows}).to_string();
        self.frame(view, Kind::Trade, at, "market_trades", &event)
    }

    /// What products let be done, as far as this channel tells: its only words are `online` and not, without the flags
    /// that a product has over REST.
    fn status(&mut self, view: &View<'_>, word: &str, symbols: &BTreeSet<usize>) -> Frame {
        let row = |at: &usize| {
            let symbol = &view.symbols[*at];
            let i = rules(symbol);
            let (tick, lot) = (plain(i.tick.times(1)), plain(i.lot.times(1)));
            let name = format!("{}/{}", i.base, i.quote);
            json!({"product_type": "SPOT", "id": i.symbol, "base_currency": i.base, "quote_currency": i.quote,
                "base_increment": lot, "quote_increment": tick, "display_name": name,
                "status": status(symbol.allowed), "status_message": "", "min_market_funds": "1"})
        };
        let rows: Vec<Value> = symbols.iter().map(row).collect();
        let event = json!({"type": word, "products": rows}).to_string();
        let frame = self.frame(view, Kind::Other, 0, "status", &event);
        Frame { symbol: symbols.first().copied().filter(|_| symbols.len() == 1), ..frame }
    }

    fn ticker(&mut self, view: &View<'_>, at: usize, q: &Quote) -> Frame {
        let i = rules(&view.symbols[at]);
        let (bid, ask) = (plain(i.price(q.bid.price)), plain(i.price(q.ask.price)));
        let ticker = json!({"type": "ticker", "product_id": i.symbol, "price": bid, "volume_24_h": "0",
            "low_24_h": bid, "high_24_h": ask, "low_52_w": bid, "high_52_w": ask, "price_percent_chg_24_h": "0",
            "best_bid": bid, "best_bid_quantity": plain(i.qty(q.bid.qty)), "best_ask": ask,
            "best_ask_quantity": plain(i.qty(q.ask.qty))});
        let event = json!({"type": "update", "tickers": [ticker]}).to_string();
        self.frame(view, Kind::Quote, at, "ticker", &event)
    }

    /// The bar of five minutes that is open.
    fn candle(&mut self, view: &View<'_>, at: usize, ts_ns: u64) -> Option<Frame> {
        let symbol = &view.symbols[at];
        let i = rules(symbol);
        let (open_ms, bar) = symbol.klines.newest(5 * MINUTE_MS, ts_ns)?;
        let [o, h, l, c] = bar.ohlc.map(|p| plain(i.price(p)));
        let row = json!({"start": (open_ms / 1000).to_string(), "high": h, "low": l, "open": o, "close": c,
            "volume": plain(i.qty(bar.volume)), "product_id": i.symbol});
        let event = json!({"type": "update", "candles": [row]}).to_string();
        Some(self.frame(view, Kind::Bar, at, "candles", &event))
    }
}
