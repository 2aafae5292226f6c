//! Coinbase Advanced Trade: public market data and questions. Orders are not sent there.
//!
//! Its `sequence_num` counts all messages of a connection, whatever their channel, so a loss cannot be put down to one
//! book: all books of that connection are then to be renewed. That is why books are spread over several connections, and
//! everything else has one of its own. Facts: `docs/venues.md`.
//!
//! Start reading at `feed.rs`. The `Exchange` feed of before Advanced Trade is read too, because recordings of it exist.

mod exchange;
mod feed;
mod l2;
mod rest;
mod status;

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

/// Coinbase Advanced Trade.
#[derive(Clone, Copy, Debug)]
pub struct Coinbase;

/// Its name.
pub const VENUE: Venue = Venue::named("coinbase");

/// Connections for books. With the one for all the rest they are as many as may be opened in one second.
const BOOK_CONNECTIONS: usize = 7;

/// How often the flags of a product are asked for.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// What one market is called in answers: pairs with USDC share the book of the pair with USD and answer under its name.
///
/// The exceptions are all pairs with USDC that are not such an alias in the list of products of 2026-08-09.
fn canonical(symbol: &str) -> &str {
    const OWN: [&str; 5] = ["USDT-USDC", "EURC-USDC", "XSGD-USDC", "TGBP-USDC", "AUDD-USDC"];
    match symbol.strip_suffix('C') {
        Some(usd) if usd.ends_with("-USD") && !OWN.contains(&symbol) => usd,
        _ => symbol,
    }
}

/// The instruments a product of a message stands for: its own, and the pair with USDC that shares its book.
fn instruments<'t>(table: &'t SymbolTable, product: &str) -> impl Iterator<Item = &'t Instrument> {
    let alias = product.ends_with("-USD").then(|| format!("{product}C")).filter(|alias| canonical(alias) == product);
    table.get(product).into_iter().chain(alias.and_then(|alias| table.get(&alias)))
}

/// Markets out of instruments: those with the same book are one, called by the name to subscribe to.
fn markets(all: &[Instrument]) -> Vec<(String, Vec<&Instrument>)> {
    let mut out: Vec<(String, Vec<&Instrument>)> = Vec::new();
    for i in all {
        match out.iter_mut().find(|(name, _)| canonical(name) == canonical(&i.symbol)) {
            Some((name, same)) => {
                canonical(&i.symbol).clone_into(name);
                same.push(i);
            }
            None => out.push((i.symbol.to_string(), vec![i])),
        }
    }
    out
}

fn say(kind: &str, channel: &str, products: &[&str]) -> String {
    json!({"type": kind, "product_ids": products, "channel": channel}).to_string()
}

fn connection(endpoints: &Endpoints, channels: &[&str], markets: &[(String, Vec<&Instrument>)]) -> Connection {
    let products: Vec<&str> = markets.iter().map(|(name, _)| name.as_str()).collect();
    // One channel a message is all the venue takes; without heartbeats it closes connections that fall silent.
    let mut first: Vec<String> = channels.iter().map(|channel| say("subscribe", channel, &products)).collect();
    first.push(say("subscribe", "heartbeats", &products));
    let instruments: Vec<_> = markets.iter().flat_map(|(_, same)| same.iter().map(|i| i.id)).collect();
    let books = if channels.contains(&"level2") { instruments.clone() } else { Vec::new() };
    Connection { url: endpoints.streams.clone(), first, instruments, books }
}

impl Adapter for Coinbase {
    fn venue(&self) -> Venue {
        VENUE
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            rest: "https://api.coinbase.com".to_owned(),
            streams: "wss://advanced-trade-ws.coinbase.com".to_owned(),
        }
    }

    fn discipline(&self) -> Discipline {
        let second = Duration::from_secs(1);
        Discipline {
            ping: None,
            lifetime: None,
            // Heartbeats come once a second, but nothing else gets through while a whole book of several MB is on its way.
            silence: Duration::from_secs(15),
            messages: Budget { most: 8, window: second },
            connects: Budget { most: 8, window: second },
            requests: Budget { most: 10, window: second },
        }
    }

    fn connections(&self, endpoints: &Endpoints, instruments: &[Instrument]) -> Vec<Connection> {
        let markets = markets(instruments);
        if markets.is_empty() {
            return Vec::new();
        }
        let per_connection = markets.len().div_ceil(BOOK_CONNECTIONS);
        let books = markets.chunks(per_connection).map(|some| connection(endpoints, &["level2"], some));
        let rest = connection(endpoints, &["market_trades", "ticker", "candles", "status"], &markets);
        books.chain([rest]).collect()
    }

    fn feed(&self, table: Arc<SymbolTable>) -> Box<dyn Feed> {
        Box::new(feed::CoinbaseFeed::new(table))
    }

    fn trade_ids(&self) -> TradeIds {
        TradeIds::Contiguous
    }

    fn renew(&self, instrument: &Instrument) -> Vec<String> {
        // Answers come under the canonical name, and so does what is subscribed.
        let product = [canonical(&instrument.symbol)];
        ["unsubscribe", "subscribe"].map(|kind| say(kind, "level2", &product)).to_vec()
    }

    fn rules_requests(&self, symbols: &[&str]) -> Vec<Request> {
        symbols.iter().map(|symbol| rest::product_request(symbol)).collect()
    }

    fn read_rules(&self, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
        rest::rules(answers, symbols)
    }

    fn book_request(&self, instrument: &Instrument) -> Request {
        rest::book_request(instrument)
    }

    fn read_book(&self, answer: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError> {
        rest::book(answer, instrument)
    }

    fn polls(&self, instruments: &[Instrument]) -> Vec<Poll> {
        let every = pace(STATUS_EVERY, instruments.len(), self.discipline().requests);
        let poll = |i: &Instrument| Poll {
            what: Polled::Status,
            instruments: vec![i.id],
            request: rest::product_request(&i.symbol),
            every,
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
        status::answer(poll, answer, table, out)
    }

    fn time_request(&self) -> Request {
        Request { path: "/api/v3/brokerage/time".to_owned(), weight: 1 }
    }

    fn read_time(&self, answer: &str) -> Result<u64, DecodeError> {
        rest::time(answer)
    }

    fn bars_request(&self, instrument: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request> {
        rest::bars_request(instrument, seconds, from_ns, to_ns)
    }

    fn read_bars(&self, answer: &str, instrument: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
        rest::bars(answer, instrument, seconds)
    }

    fn symbols_in(&self, text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        if let Ok(message) = serde_json::from_str::<Value>(text) {
            products(&message, &mut found);
        } else {
            let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
            let named = after("product_id=").or_else(|| after("/products/")).unwrap_or_default();
            let end = named.find(['&', '/', '?']).unwrap_or(named.len());
            if !named[..end].is_empty() {
                found.insert(named[..end].to_owned());
            }
        }
        found.into_iter().collect()
    }
}

/// Every `product_id` anywhere in a message.
fn products(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("product_id").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|v| products(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| products(v, found)),
        _ => {}
    }
}
