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

/// What a `.jsonl.zst` file holds: texts of `recv` by connection, and the addresses and bodies of replies.
fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    String::from_utf8(text).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn recordings_of_any_venue_are_served_as_they_are() {
    let name = "recordings_of_any_venue_are_served_as_they_are";
    for (file, connections) in [("COINBASE", 1), ("BYBIT_linear", 1), ("KRAKEN_a", 3), ("OKX", 1)] {
        let Some(path) = recorded::find(name, &format!("ws/{file}.jsonl.zst")) else { return };
        let lines = lines(&path);
        let server = Server::start(Config::new(SourceSpec::Recording { path }, Speed::Max));
        let mut opened = Vec::new();
        for line in lines.iter().filter(|l| l["t"] == "connect") {
            let name = line["conn"].as_str().unwrap().to_owned();
            if opened.contains(&name) {
                continue;
            }
            let path = line["addr"].as_str().unwrap().splitn(4, '/').nth(3).unwrap_or_default();
            let mut client = server.connect(&format!("/{path}"));
            let (texts, close) = client.rest();
            assert_eq!(close, In::Close(1000, "end of recording".to_owned()));
            let of = |l: &&Value| l["t"] == "recv" && l["conn"] == name;
            let want: Vec<&str> = lines.iter().filter(of).map(|l| l["data"].as_str().unwrap()).collect();
            // At this speed an object has the receive time before its own members, and nothing else is changed.
            let told: Vec<String> = texts.iter().map(|t| without_time(t)).collect();
            assert_eq!(told, want, "{file} {name}");
            opened.push(name);
        }
        assert_eq!(opened.len(), connections, "{file}");
        for line in lines.iter().filter(|l| l["t"] == "http").take(3) {
            let url = line["url"].as_str().unwrap().splitn(4, '/').nth(3).unwrap();
            assert_eq!(server.get(&format!("/{url}")).1, line["data"].as_str().unwrap());
        }
        assert_eq!(server.get("/no/such/path").0, 404);
    }
}

fn without_time(text: &str) -> String {
    match text.strip_prefix("{\"ts_recv_ns\":") {
        Some(rest) => format!("{{{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(',')),
        None => text.to_owned(),
    }
}

#[test]
fn a_tape_is_served_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let messages = [r#"{"channel":"heartbeat"}"#, "[1,\"text\"]", "pong"];
    let tape: Vec<String> = messages.iter().zip(17..).map(|(m, ns)| format!("{ns} {m}")).collect();
    let path = capture(dir.path(), &tape);
    let server = Server::start(Config::new(SourceSpec::Recording { path }, Speed::Times(1.0)));
    let mut client = server.connect("/v2");
    client.send(&json!({"method": "ping"}));
    assert_eq!(client.rest().0, messages);
    server.until(|s| s["heard"] == 1 && s["frames"] == 3);
    let path = capture(dir.path(), &["no time".to_owned()]);
    let refused = Server::try_start(Config::new(SourceSpec::Recording { path }, Speed::Max)).err().unwrap();
    assert!(refused.to_string().contains("line 1"), "{refused}");
}
