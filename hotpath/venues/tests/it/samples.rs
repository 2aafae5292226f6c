//! What the conformance suite has to know of a venue that no adapter says: how its symbols look, where a recording of it
//! is, how it writes bars, and what it allows on a connection. A new venue adds an arm to each function.

use domain::instrument::{BookRule, Contract};
use domain::{Asset, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};
use venues::adapter::{Adapter, Connection};

/// A symbol of the venue's form; a new one for each `n`.
pub fn symbol(venue: Venue, n: usize) -> String {
    match venue.name() {
        "binance-coinm" => format!("A{n}USD_PERP"),
        name if name.starts_with("kraken") => format!("A{n}/USD"),
        name if name.starts_with("coinbase") => format!("A{n}-USD"),
        name if name.starts_with("okx") => format!("A{n}-USDT"),
        _ => format!("A{n}USDT"),
    }
}

/// An instrument of that symbol with steps finer than any venue's.
pub fn instrument(venue: Venue, id: u16, symbol: &str) -> Instrument {
    let step = Increment { units: 1, scale: 8 };
    Instrument {
        id: InstrumentId(id),
        version: 1,
        venue,
        symbol: symbol.parse().unwrap(),
        base: Asset::from("BTC").unwrap(),
        quote: Asset::from("USD").unwrap(),
        tick: step,
        lot: step,
        qty_min: Lots::new(1),
        qty_max: Lots::new(u64::MAX),
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: false,
        book: BookRule::ASKED,
    }
}

/// So many instruments.
pub fn instruments(adapter: &dyn Adapter, n: u16) -> Vec<Instrument> {
    let venue = adapter.venue();
    (0..n).map(|id| instrument(venue, id, &symbol(venue, usize::from(id)))).collect()
}

/// A recording of the venue, below the recorded data.
pub fn recording(venue: Venue) -> Option<&'static str> {
    Some(match venue.name() {
        "binance" => "l2/binance_raw/spot_btcusdt_20240808.gz",
        "binance-usdm" => "l2/binance_raw/usdm_btcusdt_20240808.gz",
        "binance-coinm" => "l2/binance_raw/cm_btcusd_perp_20240808.gz",
        "bybit-linear" => "ws/BYBIT_linear.jsonl.zst",
        name if name.starts_with("kraken") => "ws/KRAKEN_a.jsonl.zst",
        name if name.starts_with("okx") => "ws/OKX.jsonl.zst",
        name if name.starts_with("coinbase") => "ws/COINBASE.jsonl.zst",
        _ => return None,
    })
}

/// A minute's start, seconds since 1970.
pub const MINUTE: u64 = 1_712_192_400;

/// The answer to a question for bars of `symbol`: three minutes from [`MINUTE`] on, which open at 1, 2 and 3 and close a
/// half higher, in the order and form the venue's documentation shows.
pub fn bars(venue: Venue, symbol: &str) -> String {
    let row = |form: fn(u64, u64) -> String, order: [u64; 3]| order.map(|n| form(MINUTE + 60 * n, n + 1)).join(",");
    let (oldest_first, newest_first) = ([0, 1, 2], [2, 1, 0]);
    match venue.name() {
        name if name.starts_with("binance") => {
            let form = |s, p| format!(r#"[{s}000,"{p}","{p}.6","{p}","{p}.5","7",{s}999,"9",3,"1","2","0"]"#);
            format!("[{}]", row(form, oldest_first))
        }
        name if name.starts_with("kraken") => {
            let form = |s, p| format!(r#"[{s},"{p}","{p}.6","{p}","{p}.5","{p}.2","7",3]"#);
            let rows = row(form, oldest_first);
            // The newest finished one: the row after it still changes.
            let last = MINUTE + 60;
            format!(r#"{{"error":[],"result":{{"{symbol}":[{rows}],"last":{last}}}}}"#)
        }
        name if name.starts_with("coinbase") => {
            let form = |s, p| {
                format!(r#"{{"start":"{s}","low":"{p}","high":"{p}.6","open":"{p}","close":"{p}.5","volume":"7"}}"#)
            };
            format!(r#"{{"candles":[{}]}}"#, row(form, newest_first))
        }
        name if name.starts_with("bybit") => {
            let form = |s, p| format!(r#"["{s}000","{p}","{p}.6","{p}","{p}.5","7","9"]"#);
            let rows = row(form, newest_first);
            let now = MINUTE + 121;
            format!(r#"{{"retCode":0,"retMsg":"OK","result":{{"symbol":"{symbol}","list":[{rows}]}},"time":{now}000}}"#)
        }
        name if name.starts_with("okx") => {
            let form = |s, p| format!(r#"["{s}000","{p}","{p}.6","{p}","{p}.5","7","9","9","1"]"#);
            format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, row(form, newest_first))
        }
        other => panic!("say here how `{other}` writes bars"),
    }
}

/// Frames of the venue's documented form that tell of a bar of `symbol` which opens at 1 and closes at 1.5, until it is
/// over: where nothing says so, the next one begins.
pub fn finished_bar(venue: Venue, symbol: &str) -> Vec<String> {
    match venue.name() {
        name if name.starts_with("binance") => [false, true]
            .map(|over| {
                format!(
                    r#"{{"stream":"{}@kline_1m","data":{{"e":"kline","E":{MINUTE}136,"s":"{symbol}","k":{{"t":{MINUTE}000,"T":{MINUTE}999,"s":"{symbol}","i":"1m","f":100,"L":200,"o":"1","c":"1.5","h":"1.6","l":"1","v":"7","n":100,"x":{over},"q":"9","V":"5","Q":"6","B":"0"}}}}}}"#,
                    symbol.to_lowercase()
                )
            })
            .into(),
        name if name.starts_with("kraken") => ["10:00", "10:01"]
            .map(|begin| {
                format!(
                    r#"{{"channel":"ohlc","type":"update","timestamp":"2024-10-04T{begin}:30.524394914Z","data":[{{"symbol":"{symbol}","open":1.0,"high":1.6,"low":1.0,"close":1.5,"trades":3,"volume":7.0,"vwap":1.2,"interval_begin":"2024-10-04T{begin}:00.000000000Z","interval":1,"timestamp":"2024-10-04T{begin}:59.000000Z"}}]}}"#
                )
            })
            .into(),
        name if name.starts_with("coinbase") => [0, 300]
            .map(|after| {
                format!(
                    r#"{{"channel":"candles","client_id":"","timestamp":"2023-06-09T20:19:35.39625135Z","sequence_num":{},"events":[{{"type":"update","candles":[{{"start":"{}","high":"1.6","low":"1","open":"1","close":"1.5","volume":"7","product_id":"{symbol}"}}]}}]}}"#,
                    after / 300,
                    MINUTE + after
                )
            })
            .into(),
        name if name.starts_with("bybit") => [false, true]
            .map(|over| {
                format!(
                    r#"{{"topic":"kline.1.{symbol}","data":[{{"start":{MINUTE}000,"end":{MINUTE}999,"interval":"1","open":"1","close":"1.5","high":"1.6","low":"1","volume":"7","turnover":"9","confirm":{over},"timestamp":{MINUTE}404}}],"ts":{MINUTE}404,"type":"snapshot"}}"#
                )
            })
            .into(),
        name if name.starts_with("okx") => ["0", "1"]
            .map(|over| {
                format!(
                    r#"{{"arg":{{"channel":"candle1m","instId":"{symbol}"}},"data":[["{MINUTE}000","1","1.6","1","1.5","7","9","9","{over}"]]}}"#
                )
            })
            .into(),
        other => panic!("say here how `{other}` tells that a bar is over"),
    }
}

/// A frame of the venue's documented form that says of `symbol` that only cancels are taken, or nothing; `None` where no
/// stream tells.
pub fn halted(venue: Venue, symbol: &str) -> Option<String> {
    Some(match venue.name() {
        "kraken" => format!(
            r#"{{"channel":"instrument","type":"update","data":{{"assets":[],"pairs":[{{"symbol":"{symbol}","base":"EUR","quote":"USD","status":"cancel_only","qty_precision":8,"qty_increment":0.00000001,"price_precision":5,"cost_precision":5,"marginable":true,"has_index":true,"cost_min":0.50,"margin_initial":0.20,"position_limit_long":500000,"position_limit_short":400000,"tick_size":0.00001,"price_increment":0.00001,"qty_min":0.50}}]}}}}"#
        ),
        "coinbase" => format!(
            r#"{{"channel":"status","client_id":"","timestamp":"2023-02-09T20:29:49.753424311Z","sequence_num":0,"events":[{{"type":"snapshot","products":[{{"product_type":"SPOT","id":"{symbol}","base_currency":"BTC","quote_currency":"USD","base_increment":"0.00000001","quote_increment":"0.01","display_name":"BTC/USD","status":"offline","status_message":"","min_market_funds":"1"}}]}}]}}"#
        ),
        _ => return None,
    })
}

/// The venue's limits on one connection, as its documentation states them.
pub fn check_limits(venue: Venue, connection: &Connection) {
    let args: Vec<Vec<String>> = connection.first.iter().map(|text| args(text)).collect();
    match venue.name() {
        name if name.starts_with("binance") => {
            assert!(connection.url.matches('@').count() <= 1024, "1024 streams on a connection");
            assert!(connection.url.len() <= 8000, "servers take a first line of 8 KiB");
        }
        name if name.starts_with("bybit") => {
            let characters: usize = args.iter().flatten().map(String::len).sum();
            assert!(characters <= 21_000, "{characters} characters of args, 21000 are allowed");
            let most = args.iter().map(Vec::len).max().unwrap_or(0);
            assert!(name != "bybit" || most <= 10, "{most} args in one request, Spot allows 10");
        }
        name if name.starts_with("okx") => {
            let longest = connection.first.iter().map(String::len).max().unwrap_or(0);
            assert!(longest <= 65_536, "{longest} bytes in one request, 64 KiB are allowed");
        }
        _ => {}
    }
}

fn args(text: &str) -> Vec<String> {
    let message: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let args = message["args"].as_array().cloned().unwrap_or_default();
    args.iter().map(|arg| arg.as_str().unwrap_or_default().to_owned()).collect()
}
