//! OKX, version 5, public side: books, trades, best prices and candles of spot; swaps and futures are read too.
//!
//! - Books come whole, then as changes with `seqId` and `prevSeqId`; what becomes of those is told in [`chain`]. Until
//!   2026-06-23 each carried a checksum; since then it is 0, which is none.
//! - Candles come over a connection of their own (`business`), everything else over `public`.
//! - A connection on which nothing is pushed for 30 s is closed; the text `ping` is answered `pong`.
//! - The venue writes size in contracts for swaps and futures, in base for spot.
//!
//! Left out: funding, mark price, open interest, liquidations, orders, options.

mod chain;
mod feed;
mod rest;
mod rules;

use crate::adapter::{Adapter, Budget, Connection, Discipline, Endpoints, Feed, Request, Said};
use crate::poll::{Poll, Polled, pace};
use crate::trades::TradeIds;
use crate::wire::{DecodeError, SymbolTable};
use domain::event::{Bar, BookSnapshot};
use domain::{Instrument, Venue};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Its name.
pub const VENUE: Venue = Venue::named("okx");

/// Levels a side that the venue tells about.
const DEPTH: u16 = 400;
/// Instruments on one connection, which keeps a subscription far below the 64 KiB allowed.
const INSTRUMENTS_MAX: usize = 50;
/// How often the status of an instrument is asked for.
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// Most candles in one answer.
const BARS_MAX: u64 = 100;
/// Candles by length in seconds. From six hours on, those that begin at midnight UTC and not in Hong Kong.
const BARS: [(u32, &str); 11] = [
    (60, "1m"),
    (180, "3m"),
    (300, "5m"),
    (900, "15m"),
    (1800, "30m"),
    (3600, "1H"),
    (7200, "2H"),
    (14_400, "4H"),
    (21_600, "6Hutc"),
    (43_200, "12Hutc"),
    (86_400, "1Dutc"),
];

/// The adapter.
#[derive(Clone, Copy, Debug)]
pub struct Okx;

impl Adapter for Okx {
    fn venue(&self) -> Venue {
        VENUE
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { rest: "https://www.okx.com".to_owned(), streams: "wss://ws.okx.com:8443".to_owned() }
    }

    fn discipline(&self) -> Discipline {
        let budget = |most, seconds| Budget { most, window: Duration::from_secs(seconds) };
        Discipline {
            ping: Some((Duration::from_secs(20), "ping".to_owned())),
            lifetime: None,
            silence: Duration::from_secs(30),
            messages: budget(480, 3600),
            connects: budget(3, 1),
            requests: budget(20, 2),
        }
    }

    fn connections(&self, endpoints: &Endpoints, instruments: &[Instrument]) -> Vec<Connection> {
        let connection = |part: &[Instrument], service: &str, channels: &[&str]| Connection {
            url: format!("{}/ws/v5/{service}", endpoints.streams),
            first: vec![say("subscribe", part, channels)],
            instruments: part.iter().map(|i| i.id).collect(),
            books: part.iter().filter(|_| channels.contains(&"books")).map(|i| i.id).collect(),
        };
        let both = |part| {
            [connection(part, "public", &["books", "trades", "bbo-tbt"]), connection(part, "business", &["candle1m"])]
        };
        instruments.chunks(INSTRUMENTS_MAX).flat_map(both).collect()
    }

    fn feed(&self, table: Arc<SymbolTable>) -> Box<dyn Feed> {
        Box::new(feed::OkxFeed::new(table))
    }

    /// A message may stand for several trades and has the id of the last, so ids in between are not missing.
    fn trade_ids(&self) -> TradeIds {
        TradeIds::Rising
    }

    fn renew(&self, instrument: &Instrument) -> Vec<String> {
        let one = std::slice::from_ref(instrument);
        vec![say("unsubscribe", one, &["books"]), say("subscribe", one, &["books"])]
    }

    fn rules_requests(&self, symbols: &[&str]) -> Vec<Request> {
        // All of a kind: with an unknown name among them a question by name would fail.
        let kinds: BTreeSet<&str> = symbols.iter().map(|s| kind(s)).collect();
        let request = |kind| Request { path: format!("/api/v5/public/instruments?instType={kind}"), weight: 1 };
        kinds.into_iter().map(request).collect()
    }

    fn read_rules(&self, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
        rules::instruments(answers, symbols)
    }

    fn book_request(&self, instrument: &Instrument) -> Request {
        Request { path: format!("/api/v5/market/books?instId={}&sz={DEPTH}", instrument.symbol), weight: 1 }
    }

    fn read_book(&self, answer: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError> {
        rest::book(answer, instrument)
    }

    fn polls(&self, instruments: &[Instrument]) -> Vec<Poll> {
        let every = pace(STATUS_EVERY, instruments.len(), self.discipline().requests);
        let poll = |i: &Instrument| {
            let path = format!("/api/v5/public/instruments?instType={}&instId={}", kind(&i.symbol), i.symbol);
            let request = Request { path, weight: 1 };
            Poll { what: Polled::Status, instruments: vec![i.id], request, every }
        };
        instruments.iter().map(poll).collect()
    }

    fn read_poll(
        &self,
        poll: &Poll,
        answer: &str,
        table: &SymbolTable,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        rules::statuses(poll, answer, table, out)
    }

    fn time_request(&self) -> Request {
        Request { path: "/api/v5/public/time".to_owned(), weight: 1 }
    }

    fn read_time(&self, answer: &str) -> Result<u64, DecodeError> {
        rest::time(answer)
    }

    /// The venue answers with the newest in the span, so the span is cut to what one answer holds.
    fn bars_request(&self, instrument: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request> {
        let (_, bar) = BARS.iter().find(|(length, _)| *length == seconds)?;
        let (from_ms, to_ms) = (from_ns.div_ceil(1_000_000), to_ns.div_ceil(1_000_000));
        let to_ms = to_ms.min(from_ms.saturating_add(BARS_MAX * u64::from(seconds) * 1000));
        // `after` means earlier than, `before` later than; both leave out the time itself.
        let (symbol, before) = (&instrument.symbol, from_ms.saturating_sub(1));
        let path = format!("/api/v5/market/history-candles?instId={symbol}&bar={bar}&after={to_ms}&before={before}");
        Some(Request { path: format!("{path}&limit={BARS_MAX}"), weight: 1 })
    }

    fn read_bars(&self, answer: &str, instrument: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
        rest::bars(answer, instrument, seconds)
    }

    fn symbols_in(&self, text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        match serde_json::from_str::<Value>(text) {
            Ok(value) => symbols_of(&value, &mut found),
            Err(_) => {
                let query = text.split_once("instId=").map_or("", |(_, rest)| rest);
                let symbol = query.split(['&', '#']).next().unwrap_or("");
                found.extend((!symbol.is_empty()).then(|| symbol.to_owned()));
            }
        }
        found.into_iter().collect()
    }
}

fn say(what: &str, instruments: &[Instrument], channels: &[&str]) -> String {
    let arg = |channel: &&str, i: &Instrument| json!({"channel": channel, "instId": i.symbol.as_str()});
    let args: Vec<Value> = instruments.iter().flat_map(|i| channels.iter().map(move |c| arg(c, i))).collect();
    json!({"op": what, "args": args}).to_string()
}

/// The kind of instrument that `symbol` names, by its form: `BTC-USDT`, `BTC-USD-SWAP`, `BTC-USD-220527`.
fn kind(symbol: &str) -> &'static str {
    match symbol.split('-').count() {
        3 if symbol.ends_with("-SWAP") => "SWAP",
        3 => "FUTURES",
        _ => "SPOT",
    }
}

fn symbols_of(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(symbol) if key == "instId" => drop(found.insert(symbol.clone())),
                    _ => symbols_of(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| symbols_of(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
