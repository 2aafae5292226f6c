//! What markets let be done, and bars that are over: told as each venue's documentation says.

use crate::book::*;
use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn allow(server: &Server, symbol: &str, what: &str) {
    server.post(&format!("/emulator/allow?symbol={symbol}&what={what}"));
}

#[test]
fn kraken_tells_all_markets_at_once_and_then_the_one_that_changes() {
    let server = venue("kraken", "BTC/USD", 1, |_| {});
    let mut client = server.connect("/v2");
    client.text();
    client.send(&json!({"method": "subscribe", "params": {"channel": "instrument"}, "req_id": 4}));
    let ack = client.value();
    assert_eq!((&ack["success"], &ack["req_id"]), (&json!(true), &json!(4)));
    assert_eq!(ack["result"], json!({"channel": "instrument", "snapshot": true}));
    let text = client.text();
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&snapshot["channel"], &snapshot["type"]), (&json!("instrument"), &json!("snapshot")));
    let ids: Vec<&str> =
        snapshot["data"]["assets"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["BTC", "USD"]);
    assert_eq!(snapshot["data"]["pairs"][0]["status"], "online");
    assert_eq!((raw(&text, "price_increment"), raw(&text, "qty_increment")), (vec!["0.1"], vec!["0.00000001"]));
    for (what, word) in
        [("post_only", "post_only"), ("cancel_only", "cancel_only"), ("nothing", "maintenance"), ("all", "online")]
    {
        allow(&server, "BTC/USD", what);
        let update = client.value();
        assert_eq!(update["type"], "update");
        assert_eq!(update["data"]["pairs"][0]["symbol"], "BTC/USD");
        assert_eq!(update["data"]["pairs"][0]["status"], word);
        let pairs = server.json("/0/public/AssetPairs?pair=XBTUSD");
        assert_eq!(pairs["result"]["XXBTZUSD"]["status"], word);
    }
    client.send(&json!({"method": "unsubscribe", "params": {"channel": "instrument"}}));
    assert_eq!(client.value()["success"], true);
    allow(&server, "BTC/USD", "nothing");
    client.send(&json!({"method": "ping"}));
    assert_eq!(client.value()["method"], "pong", "nobody listens to it any more");
}

#[test]
fn coinbase_tells_products_on_status_and_their_flags_over_rest_only() {
    let server = venue("coinbase", "BTC-USD", 1, |_| {});
    let mut client = server.connect("/");
    client.send(&json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "status"}));
    let snapshot = client.value();
    assert_eq!((&snapshot["channel"], &snapshot["sequence_num"]), (&json!("status"), &json!(0)));
    let product = &snapshot["events"][0]["products"][0];
    assert_eq!(snapshot["events"][0]["type"], "snapshot");
    assert_eq!((&product["id"], &product["status"]), (&json!("BTC-USD"), &json!("online")));
    assert_eq!(client.value()["channel"], "subscriptions");
    for (what, word, flag) in [
        ("cancel_only", "online", Some("cancel_only")),
        ("post_only", "online", Some("post_only")),
        ("nothing", "offline", Some("trading_disabled")),
        ("all", "online", None),
    ] {
        allow(&server, "BTC-USD", what);
        let update = client.value();
        let product = &update["events"][0]["products"][0];
        assert_eq!((&product["status"], product.get("cancel_only")), (&json!(word), None));
        let rest = server.json("/api/v3/brokerage/market/products/BTC-USD");
        for name in ["cancel_only", "post_only", "limit_only", "trading_disabled"] {
            assert_eq!(rest[name], Some(name) == flag, "{what}: {name}");
        }
    }
}

#[test]
fn what_is_allowed_shows_in_every_venues_list_of_symbols() {
    for (dialect, symbol, path, pointer, word) in [
        ("binance", "BTCUSDT", "/api/v3/exchangeInfo?symbol=BTCUSDT", "/symbols/0/status", "HALT"),
        ("binance-usdm", "BTCUSDT", "/fapi/v1/exchangeInfo", "/symbols/0/status", "SETTLING"),
        ("binance-coinm", "BTCUSD_PERP", "/dapi/v1/exchangeInfo", "/symbols/0/contractStatus", "DELIVERING"),
        (
            "bybit",
            "BTCUSDT",
            "/v5/market/instruments-info?category=spot&symbol=BTCUSDT",
            "/result/list/0/status",
            "Closed",
        ),
        ("okx", "BTC-USDT", "/api/v5/public/instruments?instType=SPOT&instId=BTC-USDT", "/data/0/state", "suspend"),
    ] {
        let server = venue(dialect, symbol, 1, |_| {});
        let before = server.json(path).pointer(pointer).unwrap().clone();
        allow(&server, symbol, "nothing");
        assert_eq!(server.json(path).pointer(pointer).unwrap(), word, "{dialect}");
        allow(&server, symbol, "all");
        assert_eq!(*server.json(path).pointer(pointer).unwrap(), before, "{dialect}");
    }
}

#[test]
fn binance_bars_are_final_once_and_equal_to_those_asked_for() {
    for (dialect, symbol, path, rest) in [
        ("binance", "BTCUSDT", "/stream?streams=btcusdt@kline_1m", "/api/v3/klines"),
        ("binance-usdm", "BTCUSDT", "/market/stream?streams=btcusdt@kline_1m", "/fapi/v1/klines"),
        ("binance-coinm", "BTCUSD_PERP", "/stream?streams=btcusd_perp@kline_1m", "/dapi/v1/klines"),
    ] {
        let server = venue(dialect, symbol, 200, |_| {});
        let mut client = server.connect(path);
        server.post("/emulator/start");
        let bars: Vec<Value> =
            client.rest().0.iter().map(|t| serde_json::from_str::<Value>(t).unwrap()["data"]["k"].clone()).collect();
        let over: Vec<&Value> = bars.iter().filter(|k| k["x"] == true).collect();
        let begun: BTreeSet<u64> = bars.iter().map(|k| k["t"].as_u64().unwrap()).collect();
        assert!(over.len() >= 2 && over.len() == begun.len() - 1, "{dialect}: all but the last, each once");
        let rows = server.json(&format!("{rest}?symbol={symbol}&interval=1m"));
        for k in &over {
            let row = rows.as_array().unwrap().iter().find(|r| r[0] == k["t"]).unwrap();
            let told =
                json!([k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], k["B"]]);
            assert_eq!(told, *row);
            let last = bars.iter().rposition(|b| b["t"] == k["t"]).unwrap();
            assert_eq!(bars[last]["x"], true, "nothing comes after the end");
            assert!(bars[last + 1]["t"].as_u64() > k["t"].as_u64(), "the next one begins");
        }
    }
}

#[test]
fn okx_bars_are_confirmed_when_they_are_over() {
    let server = venue("okx", "ETH-USDT", 200, |_| {});
    let mut client = server.connect("/ws/v5/business");
    client.send(&json!({"op": "subscribe", "args": [{"channel": "candle1m", "instId": "ETH-USDT"}]}));
    assert_eq!(client.value()["event"], "subscribe");
    server.post("/emulator/start");
    let bars: Vec<Value> =
        client.rest().0.iter().map(|t| serde_json::from_str::<Value>(t).unwrap()["data"][0].clone()).collect();
    let over: Vec<&Value> = bars.iter().filter(|row| row[8] == "1").collect();
    let begun: BTreeSet<&str> = bars.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert!(over.len() >= 2 && over.len() == begun.len() - 1, "all but the last, each once");
    let rows = server.json("/api/v5/market/candles?instId=ETH-USDT&bar=1m");
    for row in over {
        assert!(rows["data"].as_array().unwrap().contains(row), "{row}");
        let last = bars.iter().rposition(|b| b[0] == row[0]).unwrap();
        assert_eq!(bars[last], *row, "nothing comes after the end");
    }
}
