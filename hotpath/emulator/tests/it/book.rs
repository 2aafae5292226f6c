//! Books by hand, from what the venues' documentation says, and the true one to compare with.

use crate::support::*;
use emulator::{Config, SourceSpec, Speed};
use serde_json::Value;
use std::collections::BTreeMap;

/// A server of one venue with a synthetic market of some seconds, held until it is started.
pub fn venue(dialect: &str, symbol: &str, seconds: u64, change: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::new(SourceSpec::Synthetic { seed: 11 }, Speed::Max);
    config.dialect = dialect.to_owned();
    config.symbols = vec![symbol.to_owned()];
    (config.seconds, config.hold) = (Some(seconds), true);
    change(&mut config);
    Server::start(config)
}

/// Digits of a number at eight places after the point: text to text, no float.
pub fn units(text: &str) -> u128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<8}").parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// A book by hand: prices and sizes, and how they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    pub bids: BTreeMap<u128, (u128, String)>,
    pub asks: BTreeMap<u128, (u128, String)>,
}

impl Book {
    pub fn set(&mut self, bid: bool, price: &str, size: &str) {
        let side = if bid { &mut self.bids } else { &mut self.asks };
        if units(size) == 0 {
            side.remove(&units(price));
        } else {
            side.insert(units(price), (units(size), format!("{price} {size}")));
        }
    }
    pub fn pairs(&mut self, bids: &Value, asks: &Value) {
        for (bid, rows) in [(true, bids), (false, asks)] {
            for row in rows.as_array().unwrap() {
                self.set(bid, row[0].as_str().unwrap(), row[1].as_str().unwrap());
            }
        }
    }
    pub fn cut(&mut self, depth: usize) {
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }
    pub fn is_crossed(&self) -> bool {
        let (bid, ask) = (self.bids.last_key_value(), self.asks.first_key_value());
        bid.zip(ask).is_some_and(|(b, a)| b.0 >= a.0)
    }
    /// Price and size of the best levels.
    pub fn best(&self, most: usize) -> Vec<[u128; 2]> {
        let level = |(p, (q, _)): (&u128, &(u128, String))| [*p, *q];
        self.bids.iter().rev().take(most).map(level).chain(self.asks.iter().take(most).map(level)).collect()
    }
}

/// The true book.
pub fn oracle(server: &Server, symbol: &str) -> (Book, u64) {
    let value = server.json(&format!("/emulator/book?symbol={symbol}"));
    let mut book = Book::default();
    book.pairs(&value["bids"], &value["asks"]);
    (book, value["id"].as_u64().unwrap())
}

/// What a number was written as, in a text that some JSON reader would have rounded.
pub fn raw<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let key = format!("\"{name}\":");
    let end = |rest: &str| rest.find([',', '}', ']']).unwrap();
    text.match_indices(&key).map(|(at, _)| &text[at + key.len()..]).map(|rest| &rest[..end(rest)]).collect()
}

/// Kraken's levels, numbers as they were written.
pub fn kraken_levels(text: &str, book: &mut Book) {
    let (bids, asks) = text.split_once("\"bids\":").unwrap().1.split_once("\"asks\":").unwrap();
    for (bid, rows) in [(true, bids), (false, asks.split(']').next().unwrap())] {
        for (price, qty) in raw(rows, "price").into_iter().zip(raw(rows, "qty")) {
            book.set(bid, price, qty);
        }
    }
}

/// CRC32 by its definition, bit by bit.
fn crc32(text: &str) -> u32 {
    !text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Kraken's checksum of the best ten levels.
pub fn kraken_sum(book: &Book) -> u32 {
    let mut text = String::new();
    let asks = book.asks.values().take(10);
    for (_, written) in asks.chain(book.bids.values().rev().take(10)) {
        for number in written.split(' ') {
            text.push_str(number.replace('.', "").trim_start_matches('0'));
        }
    }
    crc32(&text)
}

pub fn coinbase_apply(event: &Value, book: &mut Book) {
    for row in event["updates"].as_array().unwrap() {
        let side = row["side"].as_str().unwrap();
        assert!(["bid", "offer"].contains(&side));
        book.set(side == "bid", row["price_level"].as_str().unwrap(), row["new_quantity"].as_str().unwrap());
    }
}

pub fn bybit_apply(message: &Value, book: &mut Book) {
    if message["type"] == "snapshot" {
        *book = Book::default();
    }
    book.pairs(&message["data"]["b"], &message["data"]["a"]);
}

/// OKX's checksum of the best 25 levels, from what was written.
pub fn okx_sum(book: &Book) -> i64 {
    let (mut bids, mut asks) = (book.bids.values().rev(), book.asks.values());
    let mut parts = Vec::new();
    for _ in 0..25 {
        for (_, written) in [bids.next(), asks.next()].into_iter().flatten() {
            parts.push(written.replace(' ', ":"));
        }
    }
    i64::from(crc32(&parts.join(":")).cast_signed())
}
