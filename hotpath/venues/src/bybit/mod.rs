//! Bybit v5: public market data and questions for spot, and for linear contracts (read only: open interest, funding and
//! liquidations tell about spot too). Orders are not sent there.
//!
//! Books come from `orderbook.200`: ten changes a second, as Binance sends them, against fifty of `orderbook.50`, and deep
//! enough to price an order that walks the book; it is the one that was recorded, always with exactly 200 levels a side.
//! Spot says its best prices nowhere but in `orderbook.1`, linear in its ticker. Facts: `docs/venues.md`.
//!
//! Start reading at `feed.rs`.

mod feed;
mod rest;
mod ticker;

use crate::adapter::{Adapter, Budget, Connection, Discipline, Endpoints, Feed, Request, Said};
use crate::poll::{Poll, Polled, pace};
use crate::trades::TradeIds;
use crate::wire::{DecodeError, SymbolTable};
use domain::event::{Bar, BookSnapshot};
use domain::{Instrument, Venue};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// One product line of Bybit.
#[derive(Clone, Copy, Debug)]
pub struct Bybit {
    venue: Venue,
    category: &'static str,
    /// Topics of one instrument, before the dot and its symbol.
    topics: &'static [&'static str],
}

/// Spot.
pub const SPOT: Bybit = Bybit {
    venue: Venue::named("bybit"),
    category: "spot",
    topics: &[BOOK_TOPIC, "orderbook.1", "publicTrade", "kline.1"],
};

/// Contracts settled in quote; only watched.
pub const LINEAR: Bybit = Bybit {
    venue: Venue::named("bybit-linear"),
    category: "linear",
    topics: &[BOOK_TOPIC, "publicTrade", "tickers", "kline.1", "allLiquidation"],
};

/// The stream books come from.
const BOOK_TOPIC: &str = "orderbook.200";

/// How often the status of an instrument is asked for.
const STATUS_EVERY: Duration = Duration::from_secs(60);

/// Most topics in one message; spot refuses a longer one as a whole.
const TOPICS_MAX: usize = 10;

/// Instruments on one connection. 21 000 characters of topics are the venue's limit; these have at most 4000. A gap costs
/// one book only, so more connections would save nothing.
const INSTRUMENTS_MAX: usize = 20;

impl Bybit {
    fn is_spot(&self) -> bool {
        self.category == SPOT.category
    }
}

fn say(op: &str, topics: &[String]) -> String {
    json!({"op": op, "args": topics}).to_string()
}

impl Adapter for Bybit {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { rest: "https://api.bybit.com".to_owned(), streams: "wss://stream.bybit.com".to_owned() }
    }

    fn discipline(&self) -> Discipline {
        Discipline {
            ping: Some((Duration::from_secs(20), json!({"op": "ping"}).to_string())),
            lifetime: None,
            // A ping of ours is answered every 20 s, whatever else is silent.
            silence: Duration::from_secs(30),
            // Not documented; more than we ever say.
            messages: Budget { most: 10, window: Duration::from_secs(1) },
            connects: Budget { most: 500, window: Duration::from_secs(300) },
            requests: Budget { most: 600, window: Duration::from_secs(5) },
        }
    }

    fn connections(&self, endpoints: &Endpoints, instruments: &[Instrument]) -> Vec<Connection> {
        let connection = |some: &[Instrument]| {
            let topics = some.iter().flat_map(|i| self.topics.iter().map(move |topic| format!("{topic}.{}", i.symbol)));
            let topics: Vec<String> = topics.collect();
            Connection {
                url: format!("{}/v5/public/{}", endpoints.streams, self.category),
                first: topics.chunks(TOPICS_MAX).map(|some| say("subscribe", some)).collect(),
                instruments: some.iter().map(|i| i.id).collect(),
                books: some.iter().map(|i| i.id).collect(),
            }
        };
        instruments.chunks(INSTRUMENTS_MAX).map(connection).collect()
    }

    fn feed(&self, table: Arc<SymbolTable>) -> Box<dyn Feed> {
        Box::new(feed::BybitFeed::new(table))
    }

    /// UUIDs on linear. On spot they are numbers that several symbols share, and nothing is said about their order.
    fn trade_ids(&self) -> TradeIds {
        TradeIds::Unordered
    }

    fn renew(&self, instrument: &Instrument) -> Vec<String> {
        let topic = [format!("{BOOK_TOPIC}.{}", instrument.symbol)];
        ["unsubscribe", "subscribe"].map(|op| say(op, &topic)).to_vec()
    }

    fn rules_requests(&self, symbols: &[&str]) -> Vec<Request> {
        // One symbol each: a list of all linear contracts has pages.
        let path = |symbol| format!("/v5/market/instruments-info?category={}&symbol={symbol}", self.category);
        symbols.iter().map(|symbol| Request { path: path(symbol), weight: 1 }).collect()
    }

    fn read_rules(&self, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
        rest::rules(self, answers, symbols)
    }

    fn book_request(&self, instrument: &Instrument) -> Request {
        let (category, symbol) = (self.category, instrument.symbol);
        Request { path: format!("/v5/market/orderbook?category={category}&symbol={symbol}&limit=1000"), weight: 1 }
    }

    fn read_book(&self, answer: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError> {
        rest::book(answer, instrument)
    }

    fn polls(&self, instruments: &[Instrument]) -> Vec<Poll> {
        let every = pace(STATUS_EVERY, instruments.len(), self.discipline().requests);
        let poll = |i: &Instrument| {
            let (what, instruments) = (Polled::Status, vec![i.id]);
            let requests = self.rules_requests(&[&i.symbol]).into_iter();
            requests.map(move |request| Poll { what, instruments: instruments.clone(), request, every })
        };
        instruments.iter().flat_map(poll).collect()
    }

    fn read_poll(
        &self,
        poll: &Poll,
        answer: &str,
        table: &SymbolTable,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        rest::statuses(self, poll, answer, table, out)
    }

    fn time_request(&self) -> Request {
        Request { path: "/v5/market/time".to_owned(), weight: 1 }
    }

    fn read_time(&self, answer: &str) -> Result<u64, DecodeError> {
        rest::time(answer)
    }

    fn bars_request(&self, instrument: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request> {
        rest::bars_request(self, instrument, seconds, from_ns, to_ns)
    }

    fn read_bars(&self, answer: &str, instrument: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
        rest::bars(self, answer, instrument, seconds)
    }

    fn symbols_in(&self, text: &str) -> Vec<String> {
        let named = match serde_json::from_str::<Value>(text) {
            Ok(message) => {
                let topic = message.get("topic").and_then(Value::as_str).unwrap_or_default();
                topic.rsplit_once('.').map(|(_, symbol)| symbol.to_owned())
            }
            Err(_) => text.split_once("symbol=").map(|(_, rest)| rest.split('&').next().unwrap_or(rest).to_owned()),
        };
        named.filter(|symbol| !symbol.is_empty()).into_iter().collect()
    }
}
