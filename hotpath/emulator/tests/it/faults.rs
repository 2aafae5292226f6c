//! What goes wrong on command: each kind of fault does what it says, and is counted.

use crate::book::{Book, bybit_apply, kraken_levels, kraken_sum, oracle, raw, venue};
use crate::support::*;
use emulator::Config;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

fn with(faults: &[&str]) -> impl FnOnce(&mut Config) {
    let script = faults.iter().map(|f| f.parse().unwrap()).collect();
    move |c| c.script = script
}

/// What the script's faults have become: kind and how often.
fn happened(server: &Server) -> Vec<(String, u64)> {
    let status = server.json("/emulator/status");
    let row = |f: &Value| (f["kind"].as_str().unwrap().to_owned(), f["times"].as_u64().unwrap());
    status["faults"].as_array().unwrap().iter().map(row).collect()
}

/// Bybit's book of 1000 levels under faults: every text after the acknowledgement, and the server.
fn bybit(seconds: u64, faults: &[&str]) -> (Vec<String>, Server) {
    let server = venue("bybit", "BTCUSDT", seconds, with(faults));
    let mut client = server.connect("/v5/public/spot");
    client.send(&json!({"op": "subscribe", "args": ["orderbook.1000.BTCUSDT", "publicTrade.BTCUSDT"]}));
    client.text();
    server.post("/emulator/start");
    (client.rest().0, server)
}

fn ids(texts: &[String]) -> Vec<i64> {
    let book = texts.iter().filter(|t| t.contains("orderbook.1000"));
    book.map(|t| raw(t, "u")[0].parse().unwrap()).collect()
}

fn steps(texts: &[String]) -> Vec<i64> {
    ids(texts).windows(2).map(|w| w[1] - w[0]).filter(|step| *step != 1).collect()
}

#[test]
fn a_gap_loses_one_change() {
    let (texts, server) = bybit(5, &["at=2s gap symbol=BTCUSDT"]);
    assert_eq!(steps(&texts), [2]);
    assert_eq!(happened(&server), [("gap".to_owned(), 1)]);
    let row = &server.json("/emulator/status")["faults"][0];
    assert_eq!((&row["symbol"], &row["at_ms"]), (&json!("BTCUSDT"), &json!(2000)));
    assert!((2000..2200).contains(&row["happened_ms"].as_u64().unwrap()), "{row}");
}

#[test]
fn a_duplicate_comes_twice_and_a_reordered_pair_the_other_way_round() {
    let (texts, _) = bybit(5, &["at=2s duplicate"]);
    assert_eq!(steps(&texts), [0]);
    let (texts, _) = bybit(5, &["at=2s reorder"]);
    assert_eq!(steps(&texts), [2, -1, 2]);
}

#[test]
fn an_old_change_comes_again() {
    let (texts, server) = bybit(5, &["at=2s replay"]);
    // Eight are remembered, the newest among them.
    assert_eq!(steps(&texts), [-8, 9]);
    assert_eq!(happened(&server), [("replay".to_owned(), 1)]);
}

#[test]
fn a_crossed_book_is_crossed_on_every_venue() {
    let (texts, _) = bybit(5, &["at=2s crossed"]);
    assert!(steps(&texts).is_empty());
    let mut book = Book::default();
    let mut crossed = 0;
    for text in texts.iter().filter(|t| t.contains("orderbook.1000")) {
        bybit_apply(&serde_json::from_str(text).unwrap(), &mut book);
        crossed += usize::from(book.is_crossed());
    }
    assert!(crossed > 0);
    let server = venue("binance", "BTCUSDT", 5, with(&["at=2s crossed"]));
    let mut client = server.connect("/stream?streams=btcusdt@depth@100ms");
    let mut book = Book::default();
    let start = server.json("/api/v3/depth?symbol=BTCUSDT&limit=5000");
    book.pairs(&start["bids"], &start["asks"]);
    server.post("/emulator/start");
    let texts = client.rest().0;
    let mut crossed = 0;
    for text in &texts {
        let message: Value = serde_json::from_str(text).unwrap();
        book.pairs(&message["data"]["b"], &message["data"]["a"]);
        crossed += usize::from(book.is_crossed());
    }
    assert!(crossed > 0 && happened(&server) == [("crossed".to_owned(), 1)]);
}

#[test]
fn a_wrong_checksum_is_wrong_once_and_the_book_is_right() {
    let server = venue("kraken", "BTC/USD", 5, with(&["at=2s checksum symbol=BTC/USD"]));
    let mut client = server.connect("/v2");
    client.text();
    client.send(&json!({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 100}}));
    client.text();
    server.post("/emulator/start");
    let mut book = Book::default();
    let mut wrong = 0;
    for text in client.rest().0.iter().filter(|t| t.contains("\"channel\":\"book\"")) {
        kraken_levels(text, &mut book);
        book.cut(100);
        wrong += usize::from(raw(text, "checksum") != [kraken_sum(&book).to_string()]);
    }
    assert_eq!((wrong, happened(&server)), (1, vec![("checksum".to_owned(), 1)]));
    assert_eq!(book.best(100), oracle(&server, "BTC/USD").0.best(100));
    let config = |c: &mut Config| with(&["checksum"])(c);
    let refused = std::panic::catch_unwind(|| venue("coinbase", "BTC-USD", 1, config));
    assert!(refused.is_err(), "Coinbase sends no checksums");
}

#[test]
fn a_stale_whole_book_is_the_one_of_the_start() {
    let server = venue("binance", "BTCUSDT", 5, with(&["at=1s stale-snapshot symbol=BTCUSDT"]));
    let id = |server: &Server| server.json("/api/v3/depth?symbol=BTCUSDT")["lastUpdateId"].as_u64().unwrap();
    let first = id(&server);
    let mut client = server.connect("/ws/btcusdt@depth@100ms");
    server.post("/emulator/start");
    client.rest();
    let (stale, fresh) = (id(&server), id(&server));
    assert!(stale == first && fresh > first, "{first} {stale} {fresh}");
    // Where it is pushed, whoever comes now gets the old one.
    let server = venue("bybit", "BTCUSDT", 60, with(&["at=1s stale-snapshot"]));
    let mut client = server.connect("/v5/public/spot");
    client.send(&json!({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}));
    client.text();
    let update = |client: &mut Client| client.value()["data"]["u"].as_u64().unwrap();
    let first = update(&mut client);
    server.post("/emulator/start");
    while update(&mut client) < first + 20 {}
    server.post("/emulator/hold");
    let mut other = server.connect("/v5/public/spot");
    let mut ask = || {
        other.send(&json!({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}));
        other.text();
        update(&mut other)
    };
    assert_eq!((ask(), ask()), (first, oracle(&server, "BTCUSDT").1));
}

#[test]
fn a_slow_whole_book_is_overtaken_by_changes() {
    let (texts, _) = bybit(5, &["at=0s slow-snapshot"]);
    let books: Vec<&String> = texts.iter().filter(|t| t.contains("orderbook.1000")).collect();
    let kinds: Vec<bool> = books.iter().take(5).map(|t| t.contains("\"type\":\"snapshot\"")).collect();
    assert_eq!(kinds, [false, false, false, true, false]);
    let server = venue("okx", "BTC-USDT", 1, with(&["at=0s slow-snapshot for=300ms"]));
    let asked = std::time::Instant::now();
    server.json("/api/v5/market/books?instId=BTC-USDT");
    assert!(asked.elapsed().as_millis() >= 300);
}

#[test]
fn one_channel_falls_silent_while_the_others_go_on() {
    let (texts, server) = bybit(12, &["at=2s silence channel=book for=5s"]);
    let [lost] = steps(&texts)[..] else { panic!("one hole: {:?}", steps(&texts)) };
    assert!((40..=51).contains(&lost), "five seconds of ten changes: {lost}");
    assert_eq!(happened(&server)[0].1, u64::try_from(lost - 1).unwrap());
    let time = |text: &String| raw(text, "ts_recv_ns")[0].parse::<u64>().unwrap() / 1_000_000_000;
    let hole: Vec<u64> = texts.iter().filter(|t| t.contains("publicTrade")).map(time).collect();
    assert!(hole.windows(2).all(|w| w[1] - w[0] < 5), "trades go on");
}

#[test]
fn a_text_is_cut_in_half_or_blown_up_to_ten_megabytes() {
    let (texts, _) = bybit(5, &["at=1s truncated", "at=2s huge"]);
    let broken: Vec<&String> = texts.iter().filter(|t| serde_json::from_str::<Value>(t).is_err()).collect();
    assert_eq!(broken.len(), 1);
    let huge: Vec<&String> = texts.iter().filter(|t| t.len() > 10 << 20).collect();
    assert_eq!(huge.len(), 1);
    let message: Value = serde_json::from_str(huge[0]).unwrap();
    assert_eq!(message["topic"], "orderbook.1000.BTCUSDT", "it is a good message besides");
}

#[test]
fn an_unknown_value_of_a_closed_set_comes_on_every_venue() {
    for (dialect, symbol, path, subscribe) in [
        ("binance", "BTCUSDT", "/ws", json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})),
        (
            "kraken",
            "BTC/USD",
            "/v2",
            json!({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}}),
        ),
        (
            "coinbase",
            "BTC-USD",
            "/",
            json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"}),
        ),
        ("bybit", "BTCUSDT", "/v5/public/spot", json!({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})),
        (
            "okx",
            "BTC-USDT",
            "/ws/v5/public",
            json!({"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}),
        ),
    ] {
        let server = venue(dialect, symbol, 3, with(&["at=1s unknown-enum"]));
        let mut client = server.connect(path);
        client.send(&subscribe);
        client.text();
        server.post("/emulator/start");
        let odd = |t: &&String| t.to_lowercase().contains("\"neither\"") || t.contains("auctionUpdate");
        assert_eq!(client.rest().0.iter().filter(odd).count(), 1, "{dialect}");
    }
}

/// A WebSocket by hand, to see bytes.
fn by_hand(server: &Server) -> TcpStream {
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    tcp.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let hello = "GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tcp.write_all(hello.as_bytes()).unwrap();
    server.until(|s| s["market_clients"] == 1);
    server.post("/emulator/start");
    tcp
}

fn paced(faults: &[&str]) -> impl FnOnce(&mut Config) {
    let set = with(faults);
    move |c| {
        set(c);
        c.speed = emulator::Speed::Times(20.0);
    }
}

#[test]
fn a_reset_ends_the_connection_in_the_middle_of_a_frame() {
    let server = venue("binance", "BTCUSDT", 600, paced(&["at=2s reset"]));
    let mut tcp = by_hand(&server);
    let mut bytes = Vec::new();
    let error = tcp.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // A frame of 2000 bytes was announced; not half of it came.
    let head = bytes.windows(4).rposition(|w| w == [0x81, 126, 7, 208]).unwrap();
    assert!(bytes.len() - head < 1010);
    server.until(|s| s["market_clients"] == 0);
}

#[test]
fn a_text_that_is_not_utf_8_is_refused_by_an_ordinary_client() {
    let server = venue("binance", "BTCUSDT", 600, paced(&["at=2s utf8"]));
    let mut tcp = by_hand(&server);
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(3).any(|w| w == [0xc3, 0x28, 0xff]) {
        let n = tcp.read(&mut chunk).unwrap();
        assert!(n > 0);
        bytes.extend_from_slice(&chunk[..n]);
    }
    assert_eq!(happened(&server), [("utf8".to_owned(), 1)]);
}

#[test]
fn a_half_open_connection_carries_nothing_and_is_not_closed() {
    let server = venue("binance", "BTCUSDT", 600, paced(&["at=2s half-open"]));
    let mut tcp = by_hand(&server);
    tcp.set_read_timeout(Some(std::time::Duration::from_millis(1500))).unwrap();
    let mut chunk = [0; 4096];
    let error = loop {
        match tcp.read(&mut chunk) {
            Ok(0) => panic!("closed"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    assert_eq!(happened(&server), [("half-open".to_owned(), 1)]);
    // Another connection is as good as ever.
    assert!(matches!(server.connect("/ws/btcusdt@bookTicker").next(), In::Text(_)));
}

#[test]
fn a_venue_that_stops_reading_reads_again() {
    let server = venue("binance", "BTCUSDT", 600, paced(&["at=2s slow-consumer for=10s"]));
    let mut client = server.connect("/ws/btcusdt@bookTicker");
    server.post("/emulator/start");
    server.until(|s| s["faults_happened"] == 1);
    let struck = server.json("/emulator/status")["virtual_ns"].as_u64().unwrap();
    client.send(&json!({"method": "LIST_SUBSCRIPTIONS", "id": 9}));
    while client.value()["id"] != 9 {}
    let answered = server.json("/emulator/status")["virtual_ns"].as_u64().unwrap();
    assert!(answered - struck > 5_000_000_000, "{}", answered - struck);
}

#[test]
fn a_planned_close_is_announced_where_the_venue_announces_it() {
    for (dialect, symbol, path, subscribe, notice) in [
        (
            "binance",
            "BTCUSDT",
            "/ws",
            json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}),
            "serverShutdown",
        ),
        (
            "okx",
            "BTC-USDT",
            "/ws/v5/public",
            json!({"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}),
            "64008",
        ),
        ("bybit", "BTCUSDT", "/v5/public/spot", json!({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}), ""),
    ] {
        let server = venue(dialect, symbol, 3, with(&["at=1s close"]));
        let mut client = server.connect(path);
        client.send(&subscribe);
        client.text();
        server.post("/emulator/start");
        let (texts, close) = client.rest();
        assert_eq!(close, In::Close(1001, "going away".to_owned()));
        assert!(texts.last().unwrap().contains(notice), "{dialect}");
    }
}

#[test]
fn questions_are_answered_with_refusals_pages_and_errors_and_then_as_usual() {
    let script = ["429 retry-after=7", "418", "5xx status=504 count=2", "html"];
    let server = venue("kraken", "BTC/USD", 1, with(&script));
    let ask = || {
        let mut reply = server.reply("/0/public/Time");
        let wait = reply.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        (reply.status().as_u16(), wait, reply.body_mut().read_to_string().unwrap())
    };
    let first = ask();
    assert_eq!((first.0, first.1.as_deref()), (429, Some("7")));
    assert_eq!((ask().0, ask().0, ask().0), (418, 504, 504));
    let page = ask();
    assert!(page.0 == 502 && page.2.starts_with("<!DOCTYPE html>"));
    assert_eq!(ask().0, 200);
    let traffic = server.json("/emulator/status")["traffic"]["requests"].clone();
    assert_eq!((&traffic["total"], &traffic["most"]), (&json!(6), &json!(15)), "our own addresses are not counted");
}

#[test]
fn the_venues_clock_is_off_for_a_while_or_for_good() {
    let (texts, server) = bybit(10, &["at=2s clock-skew ms=5000 for=2s", "at=6s clock-step ms=-700"]);
    let off = |text: &String| {
        let number = |name| raw(text, name)[0].parse::<i64>().unwrap();
        number("ts") - number("ts_recv_ns") / 1_000_000
    };
    let books = texts.iter().filter(|t| t.contains("\"type\":\"delta\""));
    let mut offs: Vec<i64> = books.map(off).collect();
    offs.dedup();
    assert_eq!(offs, [0, 5000, 0, -700]);
    let status = server.json("/emulator/status");
    assert_eq!(status["virtual_ns"].as_i64().unwrap() - status["venue_ns"].as_i64().unwrap(), 700_000_000);
}

#[test]
fn connections_and_messages_are_counted_against_the_venues_limits() {
    let server = venue("coinbase", "BTC-USD", 1, |_| {});
    let mut clients: Vec<Client> = (0..9).map(|_| server.connect("/")).collect();
    for _ in 0..10 {
        clients[0].send(&json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "ticker"}));
        clients[0].text();
    }
    let traffic = server.json("/emulator/status")["traffic"].clone();
    assert_eq!((&traffic["connects"]["total"], &traffic["connects"]["most"]), (&json!(9), &json!(8)));
    assert_eq!((&traffic["messages"]["total"], &traffic["messages"]["most"]), (&json!(10), &json!(8)));
}

#[test]
fn a_market_on_hold_stands_still_and_the_true_book_can_be_read_at_leisure() {
    let server = venue("bybit", "BTCUSDT", 600, |_| {});
    let mut client = server.connect("/v5/public/spot");
    client.send(&json!({"op": "subscribe", "args": ["orderbook.200.BTCUSDT"]}));
    client.text();
    let mut book = Book::default();
    server.post("/emulator/start");
    let mut take = |client: &mut Client| {
        let message = client.value();
        bybit_apply(&message, &mut book);
        message["data"]["u"].as_u64().unwrap()
    };
    for _ in 0..50 {
        take(&mut client);
    }
    server.post("/emulator/hold");
    let (truth, id) = oracle(&server, "BTCUSDT");
    assert_eq!(oracle(&server, "BTCUSDT").1, id);
    while take(&mut client) < id {}
    assert_eq!(book.best(200), truth.best(200));
}
