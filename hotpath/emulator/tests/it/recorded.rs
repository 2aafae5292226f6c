//! Whole recorded captures at full speed, read by a client that knows nothing of our code: it buffers diffs, fetches
//! the snapshot as the venue's documentation says, and builds its own book and candles.

use crate::support::*;
use emulator::{Config, SourceSpec, Speed};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A price or size in units of 10^-8.
fn units(text: &Value) -> u64 {
    let (whole, fraction) = text.as_str().unwrap().split_once('.').unwrap();
    assert_eq!(fraction.len(), 8);
    format!("{whole}{fraction}").parse().unwrap()
}

#[derive(Default)]
struct Naive {
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
    last_id: u64,
    applied: u64,
    after_snapshot: u64,
    breaks: u64,
    tops: BTreeMap<u64, [u64; 4]>,
    tickers: BTreeMap<u64, [u64; 4]>,
    /// By minute, ms: open, high, low, close, volume.
    candles: BTreeMap<u64, [u64; 5]>,
}

impl Naive {
    fn set(&mut self, bids: &Value, asks: &Value) {
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in levels.as_array().unwrap() {
                match (units(&level[0]), units(&level[1])) {
                    (price, 0) => drop(side.remove(&price)),
                    (price, qty) => drop(side.insert(price, qty)),
                }
            }
        }
    }
    fn diff(&mut self, d: &Value) {
        let (first, last) = (d["U"].as_u64().unwrap(), d["u"].as_u64().unwrap());
        if last <= self.last_id {
            return;
        }
        self.breaks += u64::from(first > self.last_id + 1);
        self.set(&d["b"], &d["a"]);
        self.last_id = last;
        self.applied += 1;
        let (bid, ask) = (self.bids.last_key_value().unwrap(), self.asks.first_key_value().unwrap());
        assert!(bid.0 < ask.0, "crossed at {last}");
        self.tops.insert(last, [*bid.0, *bid.1, *ask.0, *ask.1]);
    }
    fn other(&mut self, d: &Value) {
        if d["e"] == "trade" {
            let (price, qty, ms) = (units(&d["p"]), units(&d["q"]), d["T"].as_u64().unwrap());
            let c = self.candles.entry(ms - ms % 60_000).or_insert([price, price, price, price, 0]);
            *c = [c[0], c[1].max(price), c[2].min(price), price, c[4] + qty];
        } else {
            let top = ["b", "B", "a", "A"].map(|k| units(&d[k]));
            self.tickers.insert(d["u"].as_u64().unwrap(), top);
        }
    }
}

/// Diffs after the snapshot, tops with an update id in common with a best price: from the data's own description.
fn check(name: &str, symbol: &str, after_snapshot: u64, tops: usize) {
    let Some(path) = recorded::find(name, &format!("l2/binance_raw/spot_{symbol}_20240808.gz")) else { return };
    let server = Server::start(Config::new(SourceSpec::Capture { path }, Speed::Max));
    let upper = symbol.to_uppercase();
    let streams = format!("/stream?streams={symbol}@depth@100ms/{symbol}@trade/{symbol}@bookTicker");
    let mut client = server.connect(&streams);
    let mut naive = Naive::default();
    let mut buffered: Option<Vec<Value>> = Some(Vec::new());
    let mut frames = 0;
    let mut newest_ns = 0;
    let close = loop {
        let text = match client.next() {
            In::Text(text) => text,
            close @ In::Close(..) => break close,
        };
        frames += 1;
        let mut message: Value = serde_json::from_str(&text).unwrap();
        let ts_ns = message["ts_recv_ns"].as_u64().unwrap();
        assert!(ts_ns >= newest_ns);
        newest_ns = ts_ns;
        let d = message["data"].take();
        if d["e"] != "depthUpdate" {
            naive.other(&d);
        } else if let Some(waiting) = &mut buffered {
            waiting.push(d);
        } else {
            naive.after_snapshot += 1;
            naive.diff(&d);
        }
        // Asked for once the market stands at the place of the recorded snapshot, as late as a client can be.
        let held = buffered.as_ref().is_some_and(|b| !b.is_empty()) && frames == recorded_before(symbol);
        if held && let Some(waiting) = buffered.take() {
            let snapshot = server.json(&format!("/api/v3/depth?symbol={upper}&limit=5000"));
            naive.set(&snapshot["bids"], &snapshot["asks"]);
            naive.last_id = snapshot["lastUpdateId"].as_u64().unwrap();
            waiting.iter().for_each(|d| naive.diff(d));
        }
    };
    assert_eq!(close, In::Close(1000, "end of capture".to_owned()));
    assert_eq!(server.json("/emulator/status")["frames"], frames);
    assert_eq!((naive.after_snapshot, naive.breaks), (after_snapshot, 0));
    let common: Vec<bool> =
        naive.tops.iter().filter_map(|(id, top)| naive.tickers.get(id).map(|ticker| ticker == top)).collect();
    assert_eq!((common.len(), common.iter().filter(|equal| **equal).count()), (tops, tops));
    check_candles(&server, &upper, &naive);
}

/// Stream messages before the snapshot's line.
fn recorded_before(symbol: &str) -> u64 {
    if symbol == "btcusdt" { 7 } else { 5 }
}

fn check_candles(server: &Server, symbol: &str, naive: &Naive) {
    let rows = server.json(&format!("/api/v3/klines?symbol={symbol}&interval=1m"));
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), naive.candles.len());
    for (row, (open_ms, candle)) in rows.iter().zip(&naive.candles) {
        assert_eq!(row[0], json!(open_ms));
        assert_eq!([1, 2, 3, 4, 5].map(|i| units(&row[i])), *candle, "minute {open_ms}");
    }
    // 23:54 is cut at its start, 23:55 to 23:59 are whole, and the venue's clock is 1.27 s ahead of the recorder's, so
    // a few trades of 00:00 are there too.
    let minutes: Vec<u64> = naive.candles.keys().map(|ms| (ms - 1_723_161_240_000) / 60_000).collect();
    assert_eq!(minutes, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_recorded_bitcoin_capture_arrives_whole() {
    check("the_recorded_bitcoin_capture_arrives_whole", "btcusdt", 3448, 564);
}

#[test]
fn the_recorded_ether_capture_arrives_whole() {
    check("the_recorded_ether_capture_arrives_whole", "ethusdt", 3432, 577);
}
