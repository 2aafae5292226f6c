//! Bybit: the recorded connection of 2026, documented messages, each known pitfall of public data, and text that is none
//! of these.

mod pitfalls;
mod recorded_data;

use crate::drive::*;
use domain::{Event, Instrument};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use venues::adapter::Adapter;

const RECORDED: &str = "ws/BYBIT_linear.jsonl.zst";

fn spot() -> &'static dyn Adapter {
    venue("bybit")
}
fn linear() -> &'static dyn Adapter {
    venue("bybit-linear")
}
fn btc() -> Instrument {
    instrument(0, "bybit-linear", "BTCUSDT", "0.01", "0.001")
}

fn book(topic: &str, kind: &str, u: u64, bids: &[[&str; 2]], asks: &[[&str; 2]]) -> String {
    let data = json!({"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 7});
    json!({"topic": format!("{topic}.BTCUSDT"), "type": kind, "ts": 1_782_000_000_466_u64, "data": data, "cts": 1_782_000_000_464_u64})
        .to_string()
}
fn ticker(kind: &str, fields: &Value) -> String {
    json!({"topic": "tickers.BTCUSDT", "type": kind, "data": fields, "cs": 1, "ts": 1000}).to_string()
}
fn list(topic: &str, items: &Value) -> String {
    json!({"topic": topic, "type": "snapshot", "ts": 1000, "data": items}).to_string()
}
fn trade(id: &str, side: &str) -> Value {
    json!({"T": 1_709_891_679_000_u64, "s": "BTCUSDT", "S": side, "v": "0.010", "p": "27451.00", "i": id, "BT": false})
}
fn kline(interval: &str, confirm: bool) -> Value {
    json!({"start": 60_000, "end": 119_999, "interval": interval, "open": "2", "close": "3", "high": "4", "low": "1",
        "volume": "5.001", "turnover": "9", "confirm": confirm, "timestamp": 1})
}

/// Documented messages, and recorded ones where the recording is.
static FRAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut frames = short_frames("no_text_makes_a_reader_panic", RECORDED);
    frames.extend(documented());
    frames
});

fn documented() -> Vec<String> {
    vec![
        book("orderbook.200", "snapshot", 5, &[["100.00", "1"]], &[["101.00", "1"]]),
        book("orderbook.200", "delta", 6, &[["100.00", "0"]], &[["101.50", "0.5"]]),
        book("orderbook.1", "delta", 6, &[["100.00", "0"]], &[["101.50", "0.5"]]),
        ticker("delta", &json!({"symbol": "BTCUSDT", "openInterest": "59891.732", "fundingRate": "-0.000212", "nextFundingTime": "1673280000000"})),
        ticker("snapshot", &json!({"bid1Price": "1", "bid1Size": "2", "ask1Price": "3", "ask1Size": "4", "markPrice": "2"})),
        list("publicTrade.BTCUSDT", &json!([trade("a9188a0a-82bc-50de-be60-03eedbe3cdd7", "Sell")])),
        list("kline.1.BTCUSDT", &json!([kline("1", true)])),
        list("allLiquidation.BTCUSDT", &json!([{"T": 1, "s": "BTCUSDT", "S": "Buy", "v": "0.003", "p": "43511.70"}])),
        r#"{"success":true,"ret_msg":"pong","conn_id":"x","op":"ping"}"#.to_owned(),
        r#"{"retCode":0,"retMsg":"OK","result":{"category":"linear","symbol":"BTCUSDT","list":[["60000","2","4","1","3","5","9"]]},"time":120000}"#.to_owned(),
        r#"{"retCode":0,"result":{"list":[{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading","priceFilter":{"tickSize":"0.1"},"lotSizeFilter":{"qtyStep":"0.001","minOrderQty":"0.001","maxOrderQty":"100.0"}}]}}"#.to_owned(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(
        script in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec((0usize..400, any::<u8>(), any::<u8>()), 0..4)), 1..12),
    ) {
        let mut feed = feed(linear(), &[btc()]);
        let mut out = Vec::new();
        for (which, changes) in &script {
            let text = mutate(&FRAMES[which.index(FRAMES.len())], changes);
            feed.frame(&text, &mut out).ok();
            linear().read_rules(&[&text], &["BTCUSDT"]).ok();
            linear().read_bars(&text, &btc(), 60).ok();
            linear().read_book(&text, &btc()).ok();
            linear().read_time(&text).ok();
            linear().symbols_in(&text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        feed(linear(), &[btc()]).frame(&text, &mut Vec::new()).ok();
    }
}
