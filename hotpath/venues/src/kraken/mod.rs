//! Kraken Spot, public side: WebSocket version 2, and the array messages of version 1 so that old recordings can be
//! read. Facts from `docs.kraken.com` (2025 and 2026).
//!
//! - A book has no sequence number: the [`feed`] counts each symbol's messages itself, and the checksum is the proof.
//!   What is pushed past the subscribed depth is never removed by a message, so the book is cut after each.
//! - Version 2 writes JSON numbers; their digits go to ticks and lots as text.
//! - Version 2 says `BTC` and `DOGE` where everything older says `XBT` and `XDG`. An [`Instrument`] carries version 2's
//!   symbol, `BTC/USD`.
//! - A bar has no closed flag: it is final when the next one begins.
//!
//! Left out: `level3` (needs a key), orders, futures.

mod feed;
mod rest;
mod rules;
mod text;
mod v1;

use crate::adapter::{Adapter, Budget, Connection, Discipline, Endpoints, Feed, Request};
use crate::trades::TradeIds;
use crate::wire::{DecodeError, SymbolTable};
use domain::event::{Bar, BookSnapshot};
use domain::{Instrument, Venue};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Its name.
pub const VENUE: Venue = Venue::named("kraken");

/// Levels a side that are subscribed: the deepest there is.
const DEPTH: u16 = 1000;
/// Symbols in one subscription, so that its messages stay short.
const SYMBOLS_MAX: usize = 50;
/// Instruments on one connection. The venue names no limit; a thousand levels of each have to come through.
const INSTRUMENTS_MAX: usize = 100;
/// Lengths of bars, minutes.
const BAR_MINUTES: [u32; 9] = [1, 5, 15, 30, 60, 240, 1440, 10080, 21600];

/// The adapter.
#[derive(Clone, Copy, Debug)]
pub struct Kraken;

impl Adapter for Kraken {
    fn venue(&self) -> Venue {
        VENUE
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { rest: "https://api.kraken.com".to_owned(), streams: "wss://ws.kraken.com".to_owned() }
    }

    fn discipline(&self) -> Discipline {
        let budget = |most, seconds| Budget { most, window: Duration::from_secs(seconds) };
        Discipline {
            // A heartbeat comes by itself with any subscription, about once a second.
            ping: None,
            lifetime: None,
            silence: Duration::from_secs(5),
            messages: budget(20, 1),
            // Past some 150 in ten minutes the address is banned for ten.
            connects: budget(150, 600),
            requests: budget(1, 1),
        }
    }

    fn connections(&self, endpoints: &Endpoints, instruments: &[Instrument]) -> Vec<Connection> {
        let connection = |part: &[Instrument]| Connection {
            url: format!("{}/v2", endpoints.streams),
            first: part.chunks(SYMBOLS_MAX).flat_map(subscriptions).chain([instrument_subscription()]).collect(),
            instruments: part.iter().map(|i| i.id).collect(),
            books: part.iter().map(|i| i.id).collect(),
        };
        instruments.chunks(INSTRUMENTS_MAX).map(connection).collect()
    }

    fn feed(&self, table: Arc<SymbolTable>) -> Box<dyn Feed> {
        Box::new(feed::KrakenFeed::new(table))
    }

    /// Of version 2; version 1 has none.
    fn trade_ids(&self) -> TradeIds {
        TradeIds::Contiguous
    }

    fn renew(&self, instrument: &Instrument) -> Vec<String> {
        let symbols = [instrument.symbol.as_str()];
        let leave = json!({"method": "unsubscribe", "params": {"channel": "book", "symbol": symbols, "depth": DEPTH}});
        vec![leave.to_string(), book_subscription(&symbols)]
    }

    fn rules_requests(&self, _symbols: &[&str]) -> Vec<Request> {
        // All pairs: an unknown name among those asked for would fail the whole question, and the answer's keys are not
        // the names that were asked for.
        vec![Request { path: "/0/public/AssetPairs".to_owned(), weight: 1 }]
    }

    /// Besides the rules, `answers` may hold book snapshots of version 1 out of a recording: they write more digits
    /// than the rules say, and the checksum is over what they write.
    fn read_rules(&self, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
        rules::instruments(answers, symbols)
    }

    fn book_request(&self, instrument: &Instrument) -> Request {
        Request { path: format!("/0/public/Depth?pair={}&count=500", text::rest_pair(&instrument.symbol)), weight: 1 }
    }

    fn read_book(&self, answer: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError> {
        rest::book(answer, instrument)
    }

    fn time_request(&self) -> Request {
        Request { path: "/0/public/Time".to_owned(), weight: 1 }
    }

    /// Whole seconds: the answer is up to one second behind.
    fn read_time(&self, answer: &str) -> Result<u64, DecodeError> {
        rest::time(answer)
    }

    /// The venue has the last 720 bars of each length and answers with those, whatever is asked for: a first bar later
    /// than `from_ns` means that the older ones have to be built from trades.
    fn bars_request(&self, instrument: &Instrument, seconds: u32, from_ns: u64, _to_ns: u64) -> Option<Request> {
        let minutes = BAR_MINUTES.into_iter().find(|m| m * 60 == seconds)?;
        let pair = text::rest_pair(&instrument.symbol);
        // `since` is itself left out.
        let since = (from_ns / 1_000_000_000).saturating_sub(1);
        Some(Request { path: format!("/0/public/OHLC?pair={pair}&interval={minutes}&since={since}"), weight: 1 })
    }

    fn read_bars(&self, answer: &str, instrument: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
        rest::bars(answer, instrument, seconds)
    }

    fn symbols_in(&self, text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        match serde_json::from_str::<Value>(text) {
            Ok(value) => symbols_of(&value, &mut found),
            Err(_) => {
                let query = text.split_once("pair=").map_or("", |(_, rest)| rest);
                let pairs = query.split(['&', '#']).next().unwrap_or("");
                found.extend(pairs.split(',').filter(|p| !p.is_empty()).map(|p| text::symbol(p).into_owned()));
            }
        }
        found.into_iter().collect()
    }
}

fn subscriptions(part: &[Instrument]) -> Vec<String> {
    let symbols: Vec<&str> = part.iter().map(|i| i.symbol.as_str()).collect();
    let subscribe = |params: Value| json!({"method": "subscribe", "params": params}).to_string();
    vec![
        book_subscription(&symbols),
        // Snapshots of trades and bars repeat what an earlier connection told already.
        subscribe(json!({"channel": "trade", "symbol": symbols, "snapshot": false})),
        subscribe(json!({"channel": "ticker", "symbol": symbols, "event_trigger": "bbo"})),
        subscribe(json!({"channel": "ohlc", "symbol": symbols, "interval": 1, "snapshot": false})),
    ]
}

fn book_subscription(symbols: &[&str]) -> String {
    let params = json!({"channel": "book", "symbol": symbols, "depth": DEPTH, "snapshot": true});
    json!({"method": "subscribe", "params": params}).to_string()
}

/// What each market lets be done, for all of them at once: the channel takes no symbols.
fn instrument_subscription() -> String {
    json!({"method": "subscribe", "params": {"channel": "instrument", "snapshot": true}}).to_string()
}

/// Symbols in a message of either version, or in what a client sent.
fn symbols_of(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("symbol" | "pair", Value::String(s)) => drop(found.insert(text::symbol(s).into_owned())),
                    ("symbol" | "pair", Value::Array(all)) => {
                        found.extend(all.iter().filter_map(Value::as_str).map(|s| text::symbol(s).into_owned()));
                    }
                    _ => symbols_of(value, found),
                }
            }
        }
        Value::Array(items) => match items.as_slice() {
            [.., Value::String(_), Value::String(pair)] if pair.contains('/') => {
                found.insert(text::symbol(pair).into_owned());
            }
            items => items.iter().for_each(|item| symbols_of(item, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
