//! The public venues: subscribe, take the whole book, apply changes as the venue's documentation says, and the book is
//! the true one; with nothing of the daemon's code.

use crate::book::*;
use crate::support::*;
use serde_json::{Value, json};

#[test]
fn kraken_books_are_true_and_every_checksum_holds() {
    for depth in [10, 25, 1000] {
        let server = venue("kraken", "BTC/USD", 30, |_| {});
        let mut client = server.connect("/v2");
        assert_eq!(client.value()["data"][0]["system"], "online", "the status comes first");
        let params = json!({"channel": "book", "symbol": ["BTC/USD", "BTC/XYZ"], "depth": depth});
        client.send(&json!({"method": "subscribe", "params": params, "req_id": 7}));
        let ack = client.value();
        assert_eq!((&ack["success"], &ack["req_id"]), (&json!(true), &json!(7)));
        assert_eq!(ack["result"]["depth"], depth);
        let mut book = Book::default();
        let snapshot = client.text();
        assert!(snapshot.contains("\"type\":\"snapshot\""), "{snapshot}");
        kraken_levels(&snapshot, &mut book);
        assert_eq!(raw(&snapshot, "checksum"), [kraken_sum(&book).to_string()]);
        let refused = client.value();
        assert_eq!(
            (&refused["success"], &refused["error"]),
            (&json!(false), &json!("Currency pair not supported BTC/XYZ"))
        );
        server.post("/emulator/start");
        let (texts, close) = client.rest();
        assert_eq!(close, In::Close(1000, "end of synthetic market".to_owned()));
        let updates: Vec<&String> = texts.iter().filter(|t| t.contains("\"channel\":\"book\"")).collect();
        assert!(updates.len() > 100, "{}", updates.len());
        for text in updates {
            kraken_levels(text, &mut book);
            book.cut(depth);
            assert_eq!(raw(text, "checksum"), [kraken_sum(&book).to_string()]);
            assert!(!book.is_crossed());
        }
        let truth = oracle(&server, "BTC/USD").0;
        assert_eq!(book.best(depth), truth.best(depth), "depth {depth}");
    }
}

#[test]
fn kraken_trades_count_up_and_tell_the_taker() {
    let server = venue("kraken", "ETH/USD", 60, |_| {});
    let mut client = server.connect("/v2");
    client.text();
    for channel in ["trade", "ticker", "ohlc"] {
        client.send(&json!({"method": "subscribe", "params": {"channel": channel, "symbol": ["ETH/USD"]}}));
        assert_eq!(client.value()["result"]["channel"], channel);
    }
    client.send(&json!({"method": "ping", "req_id": 3}));
    assert_eq!(client.value()["method"], "pong");
    server.post("/emulator/start");
    let texts = client.rest().0;
    let of =
        |channel: &str| texts.iter().filter(|t| t.contains(&format!("\"channel\":\"{channel}\""))).collect::<Vec<_>>();
    let ids: Vec<u64> = of("trade").iter().map(|t| raw(t, "trade_id")[0].parse().unwrap()).collect();
    assert!(ids.len() > 20 && ids.windows(2).all(|w| w[0] + 1 == w[1]));
    // Who buys takes what was offered: the ticker before tells at what.
    let (mut ask, mut seen) = (None, 0);
    for text in &texts {
        if text.contains("\"channel\":\"ticker\"") {
            ask = Some(units(raw(text, "ask")[0]));
        } else if text.contains("\"side\":\"buy\"") && ask.is_some() {
            assert!(Some(units(raw(text, "price")[0])) >= ask, "{text}");
            seen += 1;
        }
    }
    assert!(seen > 5 && !of("ohlc").is_empty());
    let rows = server.json("/0/public/OHLC?pair=ETHUSD&interval=1");
    let rows = rows["result"]["XETHZUSD"].as_array().unwrap().clone();
    let last: Value = serde_json::from_str(of("ohlc").last().unwrap()).unwrap();
    assert_eq!(rows.last().unwrap()[7], last["data"][0]["trades"]);
    let pairs = server.json("/0/public/AssetPairs?pair=ETHUSD");
    assert_eq!(pairs["result"]["XETHZUSD"]["wsname"], "ETH/USD");
    assert_eq!(server.json("/0/public/Depth?pair=NOPE")["error"][0], "EQuery:Unknown asset pair");
}

#[test]
fn coinbase_counts_every_message_of_a_connection_and_its_book_is_true() {
    let server = venue("coinbase", "BTC-USD", 30, |_| {});
    let mut client = server.connect("/");
    let mut messages = Vec::new();
    for channel in ["heartbeats", "market_trades", "level2"] {
        client.send(&json!({"type": "subscribe", "product_ids": ["BTC-USDC"], "channel": channel}));
        loop {
            let message = client.value();
            let done = message["channel"] == "subscriptions";
            messages.push(message);
            if done {
                break;
            }
        }
    }
    client.send(&json!({"type": "subscribe", "product_ids": ["NO-PE"], "channel": "level2"}));
    let refused = client.value();
    assert_eq!(refused["type"], "error");
    server.post("/emulator/start");
    messages.extend(client.rest().0.iter().map(|t| serde_json::from_str(t).unwrap()));
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(message["sequence_num"], n, "{message}");
    }
    let mut book = Book::default();
    let books: Vec<&Value> = messages.iter().filter(|m| m["channel"] == "l2_data").collect();
    assert_eq!(books[0]["events"][0]["type"], "snapshot");
    for message in &books {
        assert_eq!(message["events"][0]["product_id"], "BTC-USD", "the dollar coin's book is the dollar's");
        coinbase_apply(&message["events"][0], &mut book);
        assert!(!book.is_crossed());
    }
    assert!(books.len() > 100);
    assert_eq!(book.best(usize::MAX), oracle(&server, "BTC-USD").0.best(usize::MAX));
    let rest = server.json("/api/v3/brokerage/market/product_book?product_id=BTC-USD");
    assert_eq!(rest["pricebook"]["bids"].as_array().unwrap().len(), book.bids.len());
    let product = server.json("/api/v3/brokerage/market/products/BTC-USD");
    assert_eq!((&product["price_increment"], &product["alias_to"][0]), (&json!("0.01"), &json!("BTC-USDC")));
}

#[test]
fn bybit_books_are_true_at_every_depth_and_ids_go_up_by_one() {
    for (dialect, path) in [("bybit", "/v5/public/spot"), ("bybit-linear", "/v5/public/linear")] {
        let server = venue(dialect, "BTCUSDT", 30, |_| {});
        let mut client = server.connect(path);
        client.send(
            &json!({"op": "subscribe", "req_id": "a", "args": ["orderbook.50.BTCUSDT", "orderbook.1000.BTCUSDT"]}),
        );
        let ack = client.value();
        assert_eq!((&ack["success"], &ack["req_id"]), (&json!(true), &json!("a")));
        client.send(&json!({"op": "ping", "req_id": "p"}));
        server.post("/emulator/start");
        let texts = client.rest().0;
        let messages: Vec<Value> = texts.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
        assert!(messages.iter().any(|m| m["op"] == "ping" && m["ret_msg"] == "pong"));
        for depth in [50, 1000] {
            let topic = format!("orderbook.{depth}.BTCUSDT");
            let mine: Vec<&Value> = messages.iter().filter(|m| m["topic"] == topic).collect();
            assert!(mine.len() > 100 && mine[0]["type"] == "snapshot");
            let mut book = Book::default();
            let mut newest = mine[0]["data"]["u"].as_u64().unwrap() - 1;
            for message in mine {
                assert_eq!(message["data"]["u"], newest + 1);
                newest += 1;
                bybit_apply(message, &mut book);
                assert!(book.bids.len() <= depth && book.asks.len() <= depth && !book.is_crossed());
            }
            let (truth, id) = oracle(&server, "BTCUSDT");
            assert_eq!((newest, book.best(depth)), (id, truth.best(depth)), "{dialect} {depth}");
        }
        let category = path.rsplit('/').next().unwrap();
        let rest = server.json(&format!("/v5/market/orderbook?category={category}&symbol=BTCUSDT&limit=50"));
        assert_eq!(rest["result"]["u"], oracle(&server, "BTCUSDT").1);
        let other = if category == "spot" { "" } else { "&category=spot" };
        assert_ne!(server.json(&format!("/v5/market/kline?symbol=BTCUSDT&interval=1{other}"))["retCode"], 0);
    }
}

#[test]
fn bybit_refuses_what_it_does_not_serve_and_more_than_ten_topics_on_spot() {
    let server = venue("bybit", "BTCUSDT", 1, |_| {});
    let mut client = server.connect("/v5/public/spot");
    let mut ask = |args: Vec<&str>| {
        client.send(&json!({"op": "subscribe", "args": args}));
        client.value()["success"].clone()
    };
    assert_eq!(ask(vec!["tickers.BTCUSDT"; 10]), true);
    assert_eq!(ask(vec!["tickers.BTCUSDT"; 11]), false);
    assert_eq!(ask(vec!["orderbook.51.BTCUSDT"]), false);
    assert_eq!(ask(vec!["publicTrade.NOPE"]), false);
    assert_eq!(ask(vec!["allLiquidation.BTCUSDT"]), false, "liquidations are of derivatives");
}

#[test]
fn bybit_bars_are_confirmed_when_they_are_over_and_the_linear_ticker_tells_changes_only() {
    let server = venue("bybit-linear", "BTCUSDT", 150, |_| {});
    let mut client = server.connect("/v5/public/linear");
    client.send(&json!({"op": "subscribe", "args": ["kline.1.BTCUSDT", "tickers.BTCUSDT"]}));
    server.post("/emulator/start");
    let messages: Vec<Value> = client.rest().0.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    let bars: Vec<&Value> =
        messages.iter().filter(|m| m["topic"] == "kline.1.BTCUSDT").map(|m| &m["data"][0]).collect();
    let over: Vec<&&Value> = bars.iter().filter(|b| b["confirm"] == true).collect();
    assert!(over.len() >= 2, "{}", over.len());
    let rows = server.json("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1");
    let rows = rows["result"]["list"].as_array().unwrap().clone();
    assert!(rows[0][0].as_str() > rows[1][0].as_str(), "newest first");
    for bar in over {
        let row = rows.iter().find(|r| r[0].as_str().unwrap().parse().ok() == bar["start"].as_u64()).unwrap();
        assert_eq!(
            *row,
            json!([
                bar["start"].to_string(),
                bar["open"],
                bar["high"],
                bar["low"],
                bar["close"],
                bar["volume"],
                bar["turnover"]
            ])
        );
    }
    let tickers: Vec<&Value> = messages.iter().filter(|m| m["topic"] == "tickers.BTCUSDT").collect();
    assert!(tickers[0]["type"] == "snapshot" && tickers[0]["data"]["singleOpenInterest"].is_string());
    assert!(tickers[1..].iter().all(|t| t["type"] == "delta" && t["data"].get("openInterest").is_none()));
}

#[test]
fn bybit_trade_ids_are_numbers_on_spot_and_uuids_that_differ_early_on_linear() {
    for (dialect, path) in [("bybit", "/v5/public/spot"), ("bybit-linear", "/v5/public/linear")] {
        let server = venue(dialect, "BTCUSDT", 60, |_| {});
        let mut client = server.connect(path);
        client.send(&json!({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}));
        server.post("/emulator/start");
        let messages: Vec<Value> = client.rest().0.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
        let trades = messages.iter().filter_map(|m| m["data"].as_array()).flatten();
        let ids: Vec<&str> = trades.map(|t| t["i"].as_str().unwrap()).collect();
        assert!(ids.len() > 100);
        if dialect == "bybit" {
            let numbers: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
            assert!(numbers.windows(2).all(|w| w[0] < w[1]));
            continue;
        }
        let heads: std::collections::BTreeSet<&str> = ids.iter().map(|id| &id[..16]).collect();
        assert_eq!(heads.len(), ids.len());
        let lengths = |id: &&str| id.split('-').map(str::len).collect::<Vec<_>>() == [8, 4, 4, 4, 12];
        assert!(ids.iter().all(lengths), "{}", ids[0]);
    }
}

#[test]
fn every_venue_has_a_clock_of_its_own() {
    for (dialect, symbol, path, pointer) in [
        ("binance", "BTCUSDT", "/api/v3/time", "/serverTime"),
        ("binance-coinm", "BTCUSD_PERP", "/dapi/v1/time", "/serverTime"),
        ("kraken", "BTC/USD", "/0/public/Time", "/result/unixtime"),
        ("coinbase", "BTC-USD", "/api/v3/brokerage/time", "/epochSeconds"),
        ("bybit", "BTCUSDT", "/v5/market/time", "/result/timeSecond"),
    ] {
        let server = venue(dialect, symbol, 1, |c| c.clock_offset_ms = -90_000);
        let status = server.json("/emulator/status");
        let of = |name: &str| status[name].as_u64().unwrap();
        assert_eq!(of("virtual_ns") - of("venue_ns"), 90_000_000_000);
        let said = server.json(path).pointer(pointer).unwrap().to_string();
        let said: u64 = said.trim_matches('"').parse().unwrap();
        let seconds = if said > 1_000_000_000_000 { said / 1000 } else { said };
        assert_eq!(seconds, of("venue_ns") / 1_000_000_000, "{dialect}");
    }
}

#[test]
fn okx_books_are_true_every_checksum_holds_and_the_ids_are_a_chain() {
    let server = venue("okx", "BTC-USDT", 30, |_| {});
    let mut client = server.connect("/ws/v5/public");
    let arg = |channel: &str, name: &str| json!({"channel": channel, "instId": name});
    client.send(&json!({"op": "subscribe", "args": [arg("books", "BTC-USDT"), arg("trades", "NO-PE")]}));
    assert_eq!(client.value()["event"], "subscribe");
    let mut book = Book::default();
    let mut newest = -1;
    let mut take = |message: &Value| {
        let data = &message["data"][0];
        assert_eq!(data["prevSeqId"], newest);
        newest = data["seqId"].as_i64().unwrap();
        book.pairs(&data["bids"], &data["asks"]);
        assert_eq!(data["checksum"], okx_sum(&book));
        assert!(!book.is_crossed());
    };
    let snapshot = client.value();
    assert_eq!(snapshot["action"], "snapshot");
    take(&snapshot);
    assert_eq!(client.value()["code"], "60018");
    server.post("/emulator/start");
    let messages: Vec<Value> = client.rest().0.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    let updates: Vec<&Value> = messages.iter().filter(|m| m["action"] == "update").collect();
    assert!(updates.len() > 100);
    updates.into_iter().for_each(take);
    let (truth, id) = oracle(&server, "BTC-USDT");
    assert_eq!((newest, book.best(400)), (i64::try_from(id).unwrap(), truth.best(400)));
    let rest = server.json("/api/v5/market/books?instId=BTC-USDT&sz=400");
    assert_eq!(rest["data"][0]["seqId"], id);
    assert_eq!(server.json("/api/v5/public/instruments?instType=SPOT")["data"][0]["tickSz"], "0.1");
}

#[test]
fn okx_bars_come_from_an_address_of_their_own() {
    let server = venue("okx", "ETH-USDT", 90, |_| {});
    let subscribe = json!({"op": "subscribe", "args": [{"channel": "candle1m", "instId": "ETH-USDT"}]});
    let mut public = server.connect("/ws/v5/public");
    public.send(&subscribe);
    assert_eq!(public.value()["event"], "error");
    let mut client = server.connect("/ws/v5/business");
    client.send(&subscribe);
    server.post("/emulator/start");
    let texts = client.rest().0;
    let last: Value = serde_json::from_str(texts.last().unwrap()).unwrap();
    let rows = server.json("/api/v5/market/candles?instId=ETH-USDT&bar=1m");
    assert_eq!(rows["data"][0], last["data"][0], "newest first");
}

#[test]
fn bybit_names_the_side_that_was_held_and_binance_the_order() {
    let server = venue("bybit-linear", "BTCUSDT", 60, |_| {});
    let mut client = server.connect("/v5/public/linear");
    client.send(&json!({"op": "subscribe", "args": ["publicTrade.BTCUSDT", "allLiquidation.BTCUSDT"]}));
    server.post("/emulator/start");
    let messages: Vec<Value> = client.rest().0.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    let mut seen = 0;
    for pair in messages.windows(2).filter(|w| w[1]["topic"] == "allLiquidation.BTCUSDT") {
        let (trade, closed) = (&pair[0]["data"][0], &pair[1]["data"][0]);
        assert_eq!((&trade["p"], &trade["v"]), (&closed["p"], &closed["v"]));
        assert_ne!(trade["S"], closed["S"], "a taker who sells out was long");
        seen += 1;
    }
    assert!(seen > 0);
}
