//! Coinbase: the recorded connections of 2026 and 2021, documented messages, each known pitfall of public data, and text
//! that is none of these.

mod pitfalls;
mod recorded_data;

use crate::drive::*;
use domain::Instrument;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use venues::adapter::Adapter;

const RECORDED: &str = "ws/COINBASE.jsonl.zst";

fn coinbase() -> &'static dyn Adapter {
    venue("coinbase")
}
fn btc() -> Instrument {
    instrument(0, "coinbase", "BTC-USD", "0.01", "0.00000001")
}
fn eth() -> Instrument {
    instrument(1, "coinbase", "ETH-USD", "0.01", "0.00000001")
}

/// A message of the documented shape.
fn message(channel: &str, sequence: u64, events: &Value) -> String {
    let time = "2026-11-20T10:00:00.123456Z";
    json!({"channel": channel, "client_id": "", "timestamp": time, "sequence_num": sequence, "events": events})
        .to_string()
}
fn l2(sequence: u64, kind: &str, product: &str, updates: &[(&str, &str, &str)]) -> String {
    let time = "2026-11-20T10:00:00Z";
    let update = |(side, price, qty): &(&str, &str, &str)| json!({"side": side, "event_time": time, "price_level": price, "new_quantity": qty});
    let updates: Vec<Value> = updates.iter().map(update).collect();
    message("l2_data", sequence, &json!([{"type": kind, "product_id": product, "updates": updates}]))
}
fn trade(id: &str, side: &str) -> Value {
    let time = "2026-11-20T10:00:00.5Z";
    json!({"trade_id": id, "product_id": "BTC-USD", "price": "64000.01", "size": "0.5", "side": side, "time": time})
}
fn trades(sequence: u64, kind: &str, trades: &[Value]) -> String {
    message("market_trades", sequence, &json!([{"type": kind, "trades": trades}]))
}
fn candle(start: &str, close: &str) -> Value {
    json!({"start": start, "low": "1.00", "high": "9.00", "open": "2.00", "close": close, "volume": "3", "product_id": "BTC-USD"})
}
const BOOK: [(&str, &str, &str); 2] = [("bid", "100.00", "1"), ("offer", "101.00", "2")];

/// Documented messages, and recorded ones where the recording is.
static FRAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut frames = short_frames("no_text_makes_a_reader_panic", RECORDED);
    frames.extend(documented());
    frames
});

fn documented() -> Vec<String> {
    let status = json!([{"products": [{"id": "BTC-USD", "status": "online"}]}]);
    vec![
        l2(0, "snapshot", "BTC-USD", &BOOK),
        l2(1, "update", "BTC-USD", &[("bid", "0.01", "0")]),
        trades(2, "update", &[trade("7", "BUY"), trade("8", "SELL")]),
        message("candles", 3, &json!([{"candles": [candle("300", "5.00"), candle("600", "5.00")]}])),
        message("status", 4, &status),
        r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1.00","0"]],"time":"2021-04-17T16:43:37.067586Z"}"#.into(),
        r#"{"type":"match","trade_id":1,"side":"sell","size":"0.4","price":"0.13","product_id":"BTC-USD","time":"2021-04-17T16:43:37Z"}"#.into(),
        r#"{"channel":"ticker","timestamp":"2026-08-09T21:05:48.229198328Z","sequence_num":6,"events":[{"type":"snapshot","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18","best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215","best_ask_quantity":"0.24290402"}]}]}"#.into(),
        r#"{"products":[{"product_id":"BTC-USD","product_type":"SPOT","base_currency_id":"BTC","quote_currency_id":"USD","price_increment":"0.01","base_increment":"0.01","base_min_size":"1","base_max_size":"3.456","quote_min_size":"1"}]}"#.into(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(
        script in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec((0usize..600, any::<u8>(), any::<u8>()), 0..4)), 1..12),
    ) {
        let mut feed = feed(coinbase(), &[btc(), eth()]);
        let mut out = Vec::new();
        for (which, changes) in &script {
            let text = mutate(&FRAMES[which.index(FRAMES.len())], changes);
            feed.frame(&text, &mut out).ok();
            coinbase().read_rules(&[&text], &["BTC-USD"]).ok();
            coinbase().read_bars(&text, &btc(), 60).ok();
            coinbase().read_book(&text, &btc()).ok();
            coinbase().read_time(&text).ok();
            coinbase().symbols_in(&text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        feed(coinbase(), &[btc()]).frame(&text, &mut Vec::new()).ok();
    }
}
