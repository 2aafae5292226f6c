//! REST and streams.

use crate::support::*;
use emulator::{Config, SourceSpec, Speed};
use serde_json::{Value, json};

const ALL: &str = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker";

fn messages(lines: &[String]) -> Vec<String> {
    let message = |line: &String| line.split_once(' ').unwrap().1.to_owned();
    lines.iter().map(message).filter(|m| m.contains("\"stream\"")).collect()
}

fn end() -> In {
    In::Close(1000, "end of capture".to_owned())
}

#[test]
fn in_real_time_a_capture_is_forwarded_byte_for_byte() {
    let lines = small(&[line(4, &trade(4, 502, "101.00000000", "0.20000000", false))]);
    let (server, _dir) = serve(&lines, |c| c.speed = Speed::Times(1.0));
    let mut client = server.connect(ALL);
    assert_eq!(client.text(), messages(&lines)[0]);
    assert_eq!(server.json("/api/v3/depth?symbol=BTCUSDT&limit=1000")["lastUpdateId"], 10);
    let (texts, close) = client.rest();
    assert_eq!(texts, messages(&lines)[1..]);
    assert_eq!(close, end());
}

#[test]
fn at_other_speeds_only_the_receive_time_is_added() {
    let lines = small(&[]);
    let (server, _dir) = serve(&lines, |_| {});
    let mut client = server.connect(ALL);
    let first = client.text();
    server.json("/api/v3/depth?symbol=BTCUSDT");
    let (mut texts, _) = client.rest();
    texts.insert(0, first);
    let times = [START_NS, START_NS + 1_000_000, START_NS + 3_000_000];
    assert_eq!(texts.len(), times.len());
    for ((text, message), ns) in texts.iter().zip(messages(&lines)).zip(times) {
        let rest = message.strip_prefix('{').unwrap();
        assert_eq!(*text, format!("{{\"ts_recv_ns\":{ns},{rest}"));
    }
}

#[test]
fn a_raw_stream_carries_the_bare_message() {
    let lines = small(&[]);
    let (server, _dir) = serve(&lines, |_| {});
    let mut client = server.connect("/ws/btcusdt@trade");
    let (texts, close) = client.rest();
    let bare: Value = serde_json::from_str(&messages(&lines)[1]).unwrap();
    assert_eq!(texts, [bare["data"].to_string()]);
    assert_eq!(close, end());
}

#[test]
fn nothing_moves_until_somebody_listens_and_after_the_end_newcomers_are_told() {
    let (server, _dir) = serve(&small(&[]), |_| {});
    for _ in 0..20 {
        let status = server.json("/emulator/status");
        assert_eq!((&status["frames"], &status["virtual_ns"]), (&json!(0), &json!(START_NS)));
    }
    assert_eq!(server.json("/api/v3/time"), json!({"serverTime": START_NS / 1_000_000}));
    let mut quiet = server.connect("/ws");
    quiet.send(&json!({"method": "LIST_SUBSCRIPTIONS", "id": 1}));
    assert_eq!(quiet.value(), json!({"result": [], "id": 1}));
    assert_eq!(server.json("/emulator/status")["frames"], 0, "a connection without a stream does not listen");
    quiet.send(&json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 2}));
    assert_eq!(quiet.value(), json!({"result": null, "id": 2}));
    assert_eq!(quiet.value()["t"], 501);
    assert_eq!(quiet.next(), end());
    let status = server.json("/emulator/status");
    assert_eq!((&status["frames"], &status["finished"]), (&json!(3), &json!(true)));
    assert!(matches!(server.connect(ALL).next(), In::Close(1000, _)));
}

#[test]
fn control_messages_answer_as_the_venue_does() {
    let (server, _dir) = serve(&small(&[]), |c| c.hold = true);
    let mut client = server.connect("/stream?streams=btcusdt@trade");
    let mut ask = |message: Value| {
        client.send(&message);
        client.value()
    };
    assert_eq!(ask(json!({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": "a"}))["result"], json!(null));
    let list = ask(json!({"method": "LIST_SUBSCRIPTIONS", "id": 3}));
    assert_eq!(list, json!({"result": ["btcusdt@bookTicker", "btcusdt@trade"], "id": 3}));
    ask(json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 4}));
    assert_eq!(ask(json!({"method": "LIST_SUBSCRIPTIONS", "id": 5}))["result"], json!(["btcusdt@bookTicker"]));
    assert_eq!(ask(json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 6}))["result"], json!(true));
    assert_eq!(ask(json!({"method": "NONSENSE", "id": 7}))["error"]["code"], 2);
}

#[test]
fn a_client_that_answers_no_ping_is_never_more_than_eight_frames_behind() {
    let many: Vec<String> =
        (0..500).map(|n| line(5 + n, &trade(5 + n, 600 + n, "100.50000000", "0.10000000", false))).collect();
    let (server, _dir) = serve(&small(&many), |_| {});
    // Does not read, so it answers nothing.
    let mut client = server.connect("/stream?streams=btcusdt@trade");
    let sent = |status: &Value| status["frames"].as_u64().unwrap();
    // Two pings of four trades each, and the two diffs nobody asked for.
    server.until(|status| sent(status) >= 10);
    for _ in 0..50 {
        assert_eq!(sent(&server.json("/emulator/status")), 10);
    }
    let (texts, close) = client.rest();
    assert_eq!(texts.len(), 501, "once it reads, it gets everything");
    assert_eq!(close, end());
}

#[test]
fn the_snapshot_is_the_recorded_one_until_its_place_and_then_the_current_book() {
    let lines = small(&[]);
    let (server, _dir) = serve(&lines, |_| {});
    let recorded = lines[2].split_once(' ').unwrap().1;
    let mut client = server.connect(ALL);
    // The market waits at the snapshot's place for the first request.
    server.until(|status| status["frames"] == 2);
    assert_eq!(server.get("/api/v3/depth?symbol=BTCUSDT&limit=1000").1, recorded);
    client.rest();
    let now = server.json("/api/v3/depth?symbol=BTCUSDT&limit=2");
    let want = json!({"lastUpdateId": 12, "bids": [["100.00000000", "1.00000000"], ["99.00000000", "5.00000000"]],
        "asks": [["101.00000000", "2.00000000"], ["101.50000000", "1.00000000"]]});
    assert_eq!(now, want);
}

#[test]
fn exchange_info_tells_the_rules() {
    let (server, _dir) = serve(&small(&[]), |_| {});
    let info = server.json("/api/v3/exchangeInfo?symbol=BTCUSDT");
    let symbol = &info["symbols"][0];
    assert_eq!((&symbol["baseAsset"], &symbol["quoteAsset"]), (&json!("BTC"), &json!("USDT")));
    let filter = |kind: &str| {
        let filters = symbol["filters"].as_array().unwrap();
        filters.iter().find(|f| f["filterType"] == kind).unwrap().clone()
    };
    assert_eq!(filter("PRICE_FILTER")["tickSize"], "0.01000000");
    assert_eq!(filter("LOT_SIZE")["stepSize"], "0.00001000");
    assert_eq!(filter("NOTIONAL")["minNotional"], "5.00000000");
    assert_eq!(info["rateLimits"][0]["limit"], 6000);
    let error = |path: &str| {
        let (status, body) = server.get(path);
        (status, serde_json::from_str::<Value>(&body).unwrap()["code"].clone())
    };
    assert_eq!(error("/api/v3/exchangeInfo?symbol=NOPE"), (400, json!(-1121)));
    assert_eq!(error("/api/v3/depth?symbol=NOPE"), (400, json!(-1121)));
    assert_eq!(error("/api/v3/depth"), (400, json!(-1102)));
    assert_eq!(error("/api/v3/klines?symbol=BTCUSDT&interval=7m"), (400, json!(-1120)));
    assert_eq!(server.get("/api/v3/ping"), (200, "{}".to_owned()));
    assert_eq!(server.get("/nowhere").0, 404);
}

#[test]
fn klines_sum_the_trades_emitted() {
    let lines = small(&[line(1500, &trade(1500, 502, "101.00000000", "0.20000000", true))]);
    let (server, _dir) = serve(&lines, |_| {});
    assert_eq!(server.json("/api/v3/klines?symbol=BTCUSDT&interval=1m"), json!([]));
    server.connect("/ws/btcusdt@trade").rest();
    // 1700000000 s is 20 s into a minute; 0.1 x 100.5 + 0.2 x 101 = 30.25.
    let minute = json!([[
        1_699_999_980_000u64,
        "100.50000000",
        "101.00000000",
        "100.50000000",
        "101.00000000",
        "0.30000000",
        1_700_000_039_999u64,
        "30.25000000",
        2,
        "0.10000000",
        "10.05000000",
        "0"
    ]]);
    assert_eq!(server.json("/api/v3/klines?symbol=BTCUSDT&interval=1m"), minute);
    assert_eq!(server.json("/api/v3/klines?symbol=BTCUSDT&interval=1s").as_array().unwrap().len(), 2);
}

#[test]
fn a_capture_that_cannot_be_used_is_refused_before_anything_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| {
        let config = Config::new(SourceSpec::Capture { path: path.to_owned() }, Speed::Max);
        Server::try_start(config).err().unwrap().to_string()
    };
    assert!(error(&dir.path().join("none.gz")).contains("could not open the capture"));
    let plain = dir.path().join("plain.gz");
    std::fs::write(&plain, "1 {}\n").unwrap();
    assert!(error(&plain).contains("is not gzip"));
    let many: Vec<String> = (0..5000)
        .map(|n| line(5 + n, &trade(5 + n, n * n, &format!("{}.00000000", 100 + n % 7), "0.10000000", false)))
        .collect();
    let whole = capture(dir.path(), &small(&many));
    let bytes = std::fs::read(&whole).unwrap();
    let cut = dir.path().join("cut.gz");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let message = error(&cut);
    let at: u64 = message.split("truncated at line ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
    assert!((2..5004).contains(&at), "{message}");
    let bad = capture(dir.path(), &[line(0, &json!({"stream": "btcusdt@kline_1m", "data": {}}))]);
    assert!(error(&bad).starts_with("line 1 of the capture"), "{}", error(&bad));
    let empty = capture(dir.path(), &[]);
    assert!(error(&empty).contains("holds no stream message"));
}

#[test]
fn a_port_in_use_is_said_to_be_in_use() {
    let (server, dir) = serve(&small(&[]), |_| {});
    let mut config = Config::new(SourceSpec::Capture { path: dir.path().join("capture.gz") }, Speed::Max);
    config.port = server.port();
    assert!(Server::try_start(config).err().unwrap().to_string().contains("could not listen"));
}

#[test]
fn a_synthetic_market_of_ten_seconds_runs_at_full_speed_and_ends() {
    let mut config = Config::new(SourceSpec::Synthetic { seed: 7 }, Speed::Max);
    config.seconds = Some(10);
    let server = Server::start(config);
    let mut client = server.connect(ALL);
    let mut texts = vec![client.text()];
    let (rest, close) = client.rest();
    texts.extend(rest);
    assert_eq!(close, In::Close(1000, "end of synthetic market".to_owned()));
    let values: Vec<Value> = texts.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    let diffs: Vec<&Value> =
        values.iter().filter(|v| v["stream"] == "btcusdt@depth@100ms").map(|v| &v["data"]).collect();
    assert!(diffs.len() > 90, "{}", diffs.len());
    let broken = diffs.windows(2).filter(|d| d[1]["U"].as_u64() != d[0]["u"].as_u64().map(|u| u + 1)).count();
    assert_eq!(broken, 0);
    assert_eq!(server.json("/api/v3/depth?symbol=BTCUSDT")["lastUpdateId"], diffs[diffs.len() - 1]["u"]);
    let unknown =
        Config { symbols: vec!["DOGEUSDT".to_owned()], ..Config::new(SourceSpec::Synthetic { seed: 7 }, Speed::Max) };
    assert!(Server::try_start(unknown).err().unwrap().to_string().contains("no symbol `DOGEUSDT`"));
}

#[test]
fn a_client_too_slow_for_a_paced_market_is_disconnected_and_the_market_stands_still() {
    // About 20 MB at one instant: more than the queue and the socket buffers hold.
    let level = |n: u64| json!([format!("{}.00000000", 100_000 + n), "1.00000000"]);
    let asks: Vec<Value> = (0..30).map(level).collect();
    let many: Vec<String> = (0..20_000).map(|n| line(4, &diff(13 + n, 13 + n, &json!([]), &json!(asks)))).collect();
    let (server, _dir) = serve(&small(&many), |c| c.speed = Speed::Times(1.0));
    let mut client = server.connect(ALL);
    client.text();
    server.json("/api/v3/depth?symbol=BTCUSDT");
    let status = server.until(|status| status["market_clients"] == 0);
    assert_eq!(status["finished"], false);
    let (texts, close) = client.rest();
    assert!(texts.len() > 1000, "what was queued still arrives: {}", texts.len());
    assert_eq!(close, In::Close(1008, "too slow".to_owned()));
}
