//! Binance's two futures markets: what they say alike, what only one of them says, and both beside recorded messages.

use crate::book::*;
use crate::support::*;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};

const STREAMS: [&str; 7] = ["depth@100ms", "bookTicker", "trade", "aggTrade", "markPrice@1s", "forceOrder", "kline_1m"];

/// What a connection of each of `addresses` that asks for every stream is told.
fn told(server: &Server, symbol: &str, addresses: &[&str]) -> Vec<Vec<Value>> {
    let lower = symbol.to_lowercase();
    let names = STREAMS.map(|stream| format!("{lower}@{stream}")).join("/");
    let clients = addresses.iter().map(|address| server.connect(&format!("{address}/stream?streams={names}")));
    let clients: Vec<Client> = clients.collect();
    server.post("/emulator/start");
    let read = |mut client: Client| {
        std::thread::spawn(move || {
            client.rest().0.iter().map(|t| serde_json::from_str(t).unwrap()).collect::<Vec<Value>>()
        })
    };
    let threads: Vec<_> = clients.into_iter().map(read).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn kinds(messages: &[Value]) -> Vec<&str> {
    let kinds: BTreeSet<&str> = messages.iter().map(|m| m["data"]["e"].as_str().unwrap()).collect();
    kinds.into_iter().collect()
}

fn of<'a>(messages: &'a [Value], kind: &str) -> Vec<&'a Value> {
    messages.iter().map(|m| &m["data"]).filter(|data| data["e"] == kind).collect()
}

/// The book by the venue's description is the true one; bids and asks of `start` and of every change.
fn follow(server: &Server, symbol: &str, start: &Value, messages: &[Value]) {
    let mut book = Book::default();
    book.pairs(&start["bids"], &start["asks"]);
    let (mut newest, mut follows) = (start["lastUpdateId"].as_u64().unwrap(), 0);
    for d in of(messages, "depthUpdate") {
        assert_eq!(d["pu"], newest, "the chain");
        follows += usize::from(d["U"] == newest + 1);
        newest = d["u"].as_u64().unwrap();
        book.pairs(&d["b"], &d["a"]);
        assert!(!book.is_crossed());
    }
    let (truth, id) = oracle(server, symbol);
    assert_eq!((newest, book.best(1000), follows), (id, truth.best(1000), 0), "U says nothing");
}

/// Valuations come once a second; a taker who sells out was long: SELL.
fn closed_by_force(messages: &[Value]) {
    let marks = of(messages, "markPriceUpdate").len();
    assert!((25..=31).contains(&marks), "one a second: {marks}");
    let (mut trade, mut seen) = (&Value::Null, 0);
    for data in messages.iter().map(|m| &m["data"]) {
        if data["e"] == "aggTrade" {
            trade = data;
        } else if data["e"] == "forceOrder" {
            assert_eq!((&trade["p"], &trade["q"]), (&data["o"]["p"], &data["o"]["q"]));
            assert_eq!(trade["m"], data["o"]["S"] == "SELL");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn usdm_diffs_are_chained_by_pu_alone_and_each_address_carries_its_own_streams() {
    let server = venue("binance-usdm", "BTCUSDT", 30, |_| {});
    let start = server.json("/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    let told = told(&server, "BTCUSDT", &["/public", "/market"]);
    follow(&server, "BTCUSDT", &start, &told[0]);
    assert_eq!(kinds(&told[0]), ["bookTicker", "depthUpdate", "trade"]);
    assert_eq!(kinds(&told[1]), ["aggTrade", "forceOrder", "kline", "markPriceUpdate", "trade"]);
    closed_by_force(&told[1]);
    assert!(start.get("symbol").is_none() && of(&told[0], "depthUpdate")[0].get("ps").is_none());
    assert_eq!(server.json("/fapi/v1/exchangeInfo")["symbols"][0]["contractType"], "PERPETUAL");
    assert!(server.json("/fapi/v1/premiumIndex?symbol=BTCUSDT")["markPrice"].is_string());
    assert!(server.json("/fapi/v1/openInterest?symbol=BTCUSDT")["openInterest"].is_string());
    assert_eq!(server.get("/dapi/v1/time").0, 404);
}

#[test]
fn coinm_has_one_address_names_the_pair_and_counts_contracts() {
    let server = venue("binance-coinm", "ETHUSD_PERP", 30, |_| {});
    let start = server.json("/dapi/v1/depth?symbol=ETHUSD_PERP&limit=1000");
    assert_eq!((&start["symbol"], &start["pair"]), (&json!("ETHUSD_PERP"), &json!("ETHUSD")));
    let told = told(&server, "ETHUSD_PERP", &[""]).remove(0);
    follow(&server, "ETHUSD_PERP", &start, &told);
    let all = ["aggTrade", "bookTicker", "depthUpdate", "forceOrder", "kline", "markPriceUpdate", "trade"];
    assert_eq!(kinds(&told), all);
    closed_by_force(&told);
    for kind in ["depthUpdate", "bookTicker"] {
        assert!(of(&told, kind).iter().all(|data| data["ps"] == "ETHUSD"), "{kind}");
    }
    assert!(of(&told, "forceOrder").iter().all(|data| data["o"]["ps"] == "ETHUSD"));
    for trade in of(&told, "aggTrade") {
        assert!(trade["q"].as_str().unwrap().parse::<u64>().unwrap() > 0, "whole contracts: {trade}");
    }
    let info = &server.json("/dapi/v1/exchangeInfo")["symbols"][0];
    let want = json!({"symbol": "ETHUSD_PERP", "pair": "ETHUSD", "contractType": "PERPETUAL", "contractStatus": "TRADING",
        "contractSize": 10, "baseAsset": "ETH", "quoteAsset": "USD", "marginAsset": "ETH", "quantityPrecision": 0,
        "equalQtyPrecision": 4});
    for (name, value) in want.as_object().unwrap() {
        assert_eq!(info[name], *value, "{name}");
    }
    assert!(info.get("status").is_none() && info["filters"][1]["stepSize"] == "1");
    let held = server.json("/dapi/v1/openInterest?symbol=ETHUSD_PERP");
    assert_eq!((&held["pair"], &held["contractType"]), (&json!("ETHUSD"), &json!("PERPETUAL")));
    assert!(held["openInterest"].as_str().unwrap().parse::<u64>().is_ok(), "{held}");
    let premium = server.json("/dapi/v1/premiumIndex?symbol=ETHUSD_PERP");
    assert_eq!((&premium[0]["pair"], premium.as_array().unwrap().len()), (&json!("ETHUSD"), 1));
    assert_eq!((server.get("/fapi/v1/time").0, server.get("/public/ws").0), (404, 404));
}

/// A contract is worth 100 dollars: of bitcoin at a price it is 100 over that price. Parts of 10^-18 are counted here.
#[test]
fn coinm_bars_count_contracts_and_bitcoin() {
    let server = venue("binance-coinm", "BTCUSD_PERP", 200, |_| {});
    let told = told(&server, "BTCUSD_PERP", &[""]).remove(0);
    let mut minutes = BTreeMap::<u64, [u128; 4]>::new();
    for trade in of(&told, "aggTrade") {
        let ms = trade["T"].as_u64().unwrap();
        let (cents, contracts) = (units(trade["p"].as_str().unwrap()) / 1_000_000, units(trade["q"].as_str().unwrap()));
        let bitcoin = contracts * 100 * 10_u128.pow(12) / cents;
        let sums = minutes.entry(ms - ms % 60_000).or_default();
        let bought = u128::from(trade["m"] == false);
        for (sum, part) in sums.iter_mut().zip([contracts, bitcoin, contracts * bought, bitcoin * bought]) {
            *sum += part;
        }
    }
    let rows = server.json("/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1m");
    let rows = rows.as_array().unwrap();
    assert!(rows.len() == minutes.len() && rows.len() >= 3);
    for row in rows {
        let sums = minutes[&row[0].as_u64().unwrap()];
        let [contracts, bitcoin, bought, bitcoin_bought] = [5, 7, 9, 10].map(|n| units(row[n].as_str().unwrap()));
        assert_eq!((contracts, bought), (sums[0], sums[2]));
        for (told, sum) in [(bitcoin, sums[1]), (bitcoin_bought, sums[3])] {
            // Eight digits; the last one may be one less, since a little is cut off for each trade.
            assert!((told..=told + 1).contains(&(sum / 10_u128.pow(10))), "{told} for {sum}");
        }
        assert!(!row[5].as_str().unwrap().contains('.') && bitcoin > 0);
    }
    let day_ms = 86_400_000_u64;
    let span = |market: &Server, path: &str, days: u64| {
        let (start, end) = (1_700_000_000_000_u64, 1_700_000_000_000 + days * day_ms);
        market.get(&format!("{path}&interval=1m&startTime={start}&endTime={end}"))
    };
    let path = "/dapi/v1/klines?symbol=BTCUSD_PERP";
    assert_eq!(span(&server, path, 200).0, 200);
    let (status, body) = span(&server, path, 201);
    assert!(status == 400 && body.contains("-1127"), "not over more than 200 days: {body}");
    let linear = venue("binance-usdm", "BTCUSDT", 1, |_| {});
    assert_eq!(span(&linear, "/fapi/v1/klines?symbol=BTCUSDT", 201).0, 200);
}

/// Names of the members in the order they stand in, and what numbers in text are like: whole or with a point.
fn shape(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("\":") {
        let name = &text[text[..at].rfind('"').unwrap() + 1..at];
        let value = text[at + 2..].split([',', '}']).next().unwrap();
        let number = value.trim_matches(['"', '[', ']']);
        let is_text = value.contains('"') && number.starts_with(|c: char| c.is_ascii_digit());
        let digits = if is_text && !number.contains('.') { " whole" } else { "" };
        names.push(format!("{name}{digits}"));
    }
    names
}

/// The first message of each type with levels, as text, by type.
fn examples<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for text in texts {
        let kind = match text.split_once("\"e\":\"") {
            Some((_, rest)) => rest.split('"').next().unwrap(),
            None => "whole book",
        };
        // A side without levels has no number to look at.
        if !text.contains(":[]") && !found.contains_key(kind) {
            found.insert(kind.to_owned(), shape(text));
        }
    }
    found
}

#[test]
fn coinm_messages_have_the_members_of_recorded_ones_in_their_order() {
    let name = "coinm_messages_have_the_members_of_recorded_ones_in_their_order";
    let Some(path) = recorded::find(name, "l2/binance_raw/cm_btcusd_perp_20240808.gz") else { return };
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap())).lines().take(2000);
    let lines: Vec<String> = lines.map(|line| line.unwrap().split_once(' ').unwrap().1.to_owned()).collect();
    let recorded = examples(lines.iter().map(String::as_str));
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ["bookTicker", "depthUpdate", "trade", "whole book"]);
    // At ordinary speed no receive times are added.
    let server = venue("binance-coinm", "BTCUSD_PERP", 3, |c| c.speed = emulator::Speed::Times(1.0));
    let mut texts = vec![server.get("/dapi/v1/depth?symbol=BTCUSD_PERP").1];
    let names = ["depth@100ms", "bookTicker", "trade"].map(|stream| format!("btcusd_perp@{stream}")).join("/");
    let mut client = server.connect(&format!("/stream?streams={names}"));
    server.post("/emulator/start");
    texts.extend(client.rest().0);
    assert_eq!(examples(texts.iter().map(String::as_str)), recorded);
}
