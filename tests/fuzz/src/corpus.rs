//! What mutations start from, found when it is asked for: recorded frames and answers where the recorded data is, and a few
//! examples by hand, so that no target is without. Where the data is not there, that is said.

use crate::market::Market;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use venues::recording::{Recording, What};

/// Longest recorded message that is taken: larger ones are many times the same, and slow.
const LENGTH_MAX: usize = 9000;
/// Of each kind of message so many.
const EACH_MAX: usize = 12;
/// Lines of a recording that are looked at.
const LOOKED_AT: usize = 6000;

/// Frames of a venue: single ones, and some that follow each other.
pub fn feed(venue: &str) -> Vec<Vec<u8>> {
    // Several targets begin with frames.
    static FOUND: Mutex<BTreeMap<String, Vec<Vec<u8>>>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.entry(venue.to_owned()).or_insert_with(|| frames(venue)).clone()
}

fn frames(venue: &str) -> Vec<Vec<u8>> {
    let mut all = vec![Market::of(venue).good.as_bytes().to_vec()];
    all.extend(examples(venue).iter().map(|text| text.as_bytes().to_vec()));
    let name = format!("recorded part of the corpus of feed_{}", venue.replace('-', "_"));
    let of_others = folders(venue).iter().flat_map(|folder| fixtures(&name, folder));
    all.extend(of_others.map(String::into_bytes));
    let Some((file, _)) = recordings(venue) else { return all };
    let entries = recorded_entries(&name, file, &|what| *what == What::Receive);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for text in &entries {
        let seen = kinds.entry(kind(text)).or_default();
        *seen += 1;
        if *seen <= EACH_MAX {
            all.push(text.clone().into_bytes());
        }
    }
    // Some that follow each other; a book needs its whole first.
    let runs = entries.chunks(6).map(|run| run.join("\n").into_bytes());
    all.extend(runs.filter(|run| run.len() <= 2 * LENGTH_MAX).step_by(7).take(24));
    all
}

/// Answers of a venue.
pub fn answers(venue: &str) -> Vec<Vec<u8>> {
    let name = format!("recorded part of the corpus of answers_{}", venue.replace('-', "_"));
    let mut all: Vec<Vec<u8>> = answers_by_hand(venue).iter().map(|text| text.as_bytes().to_vec()).collect();
    let of_others = folders(venue).iter().flat_map(|folder| fixtures(&name, folder));
    all.extend(of_others.map(String::into_bytes));
    if let Some((file, true)) = recordings(venue) {
        let bodies = recorded_entries(&name, file, &|what| matches!(what, What::Http(_)));
        all.extend(bodies.into_iter().map(String::into_bytes));
    }
    all
}

/// A recording of the venue, and whether answers stand in it.
fn recordings(venue: &str) -> Option<(&'static str, bool)> {
    Some(match venue {
        "binance" => ("l2/binance_raw/spot_btcusdt_20240808.gz", false),
        "binance-usdm" => ("l2/binance_raw/usdm_btcusdt_20240808.gz", false),
        "binance-coinm" => ("l2/binance_raw/cm_btcusd_perp_20240808.gz", false),
        "kraken" => ("ws/KRAKEN_a.jsonl.zst", true),
        "coinbase" => ("ws/COINBASE.jsonl.zst", true),
        "bybit-linear" => ("ws/BYBIT_linear.jsonl.zst", true),
        "okx" => ("ws/OKX.jsonl.zst", true),
        _ => return None,
    })
}

/// Folders with answers and messages of the venue that other projects keep.
fn folders(venue: &str) -> &'static [&'static str] {
    match venue {
        "binance" => &["rest/nautilus/binance/spot/http_json", "rest/xchange/binance/__files"],
        "binance-usdm" | "binance-coinm" => &["rest/nautilus/binance/futures/market_data_json"],
        "kraken" => &["rest/nautilus/kraken"],
        "coinbase" => &["rest/nautilus/coinbase"],
        "bybit" | "bybit-linear" => &["rest/nautilus/bybit"],
        _ => &[],
    }
}

fn recorded_entries(name: &str, file: &str, wanted: &dyn Fn(&What) -> bool) -> Vec<String> {
    let Some(path) = recorded::find(name, file) else { return Vec::new() };
    let mut recording = Recording::open(&path).unwrap_or_else(|e| panic!("{e}"));
    let mut found = Vec::new();
    for _ in 0..LOOKED_AT {
        let Some(entry) = recording.next_entry().unwrap_or_else(|e| panic!("{e}")) else { break };
        if wanted(&entry.what) && entry.text.len() <= LENGTH_MAX {
            found.push(entry.text);
        }
    }
    found
}

/// Names of streams and channels without numbers: what makes messages of one kind alike.
fn kind(text: &str) -> String {
    text.chars().take(90).filter(|c| c.is_ascii_alphabetic()).collect()
}

/// JSON files in a folder of the recorded data, each on one line.
pub fn fixtures(name: &str, folder: &str) -> Vec<String> {
    let Some(folder) = recorded::find(name, folder) else { return Vec::new() };
    let texts = files(&folder, "json").into_iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| one_line(&text)).filter(|text| text.len() <= LENGTH_MAX).collect()
}

/// Without what stands between the parts of JSON, so that a message is a line.
fn one_line(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let mut keep = |c: char| {
        let keep = quoted || !c.is_ascii_whitespace();
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        keep
    };
    text.chars().filter(|c| keep(*c)).collect()
}

/// Files of the checkout with this ending.
pub fn checkout_files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    files(&recorded::checkout().join(folder), ending).iter().filter_map(|path| fs::read(path).ok()).collect()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().map(|e| e.path()).collect::<Vec<_>>());
    let mut all = entries.unwrap_or_default();
    all.retain(|path| path.extension().is_some_and(|e| e == ending));
    all.sort();
    all
}

/// Books and trades as the venues' documentation writes them.
fn examples(venue: &str) -> &'static [&'static str] {
    match venue {
        "binance" => &[
            "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"b\":[[\"0.24\",\"10\"]],\"a\":[[\"0.26\",\"100\"]]}}\n{\"lastUpdateId\":158,\"bids\":[[\"0.23\",\"431\"]],\"asks\":[[\"0.27\",\"12\"]]}\n{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\",\"U\":161,\"u\":162,\"b\":[[\"0.24\",\"0\"]],\"a\":[]}}",
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":12345,"p":"0.01","q":"100","T":1672515782136,"m":true,"M":true}}"#,
            r#"{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,"p":"0.01","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true}"#,
            r#"{"e":"kline","E":1672515782136,"s":"BTCUSDT","k":{"t":1672515780000,"T":1672515839999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"0.10","c":"0.20","h":"0.25","l":"0.15","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#,
        ],
        "binance-usdm" => &[
            "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":123456789,\"T\":123456788,\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"pu\":149,\"b\":[[\"0.2\",\"10\"]],\"a\":[[\"0.3\",\"100\"]]}}\n{\"lastUpdateId\":158,\"E\":1,\"T\":1,\"bids\":[[\"0.2\",\"9\"]],\"asks\":[[\"0.4\",\"1\"]]}\n{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":123456789,\"T\":123456788,\"s\":\"BTCUSDT\",\"U\":163,\"u\":164,\"pu\":160,\"b\":[[\"0.2\",\"0\"]],\"a\":[]}}",
            r#"{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","i":"11784.62","P":"11784.25","r":"0.00038167","T":1562306400000}"#,
            r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"14","p":"9910","ap":"9910","X":"FILLED","l":"14","z":"14","T":1568014460893}}"#,
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":123456789,"T":123456785,"s":"BTCUSDT","t":5933014,"p":"0.1","q":"100","X":"MARKET","m":true}}"#,
        ],
        "binance-coinm" => &[
            "{\"stream\":\"btcusd_perp@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":123456789,\"T\":123456788,\"s\":\"BTCUSD_PERP\",\"U\":157,\"u\":160,\"pu\":149,\"b\":[[\"0.2\",\"10\"]],\"a\":[[\"0.3\",\"100\"]]}}\n{\"lastUpdateId\":158,\"E\":1,\"T\":1,\"bids\":[[\"0.2\",\"9\"]],\"asks\":[[\"0.4\",\"1\"]]}\n{\"stream\":\"btcusd_perp@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":123456789,\"T\":123456788,\"s\":\"BTCUSD_PERP\",\"U\":163,\"u\":164,\"pu\":160,\"b\":[[\"0.2\",\"0\"]],\"a\":[]}}",
            r#"{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSD_PERP","p":"11794.15","i":"11784.62","P":"11784.25","r":"0.00038167","T":1562306400000}"#,
            r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSD_PERP","S":"SELL","o":"LIMIT","f":"IOC","q":"14","p":"9910","ap":"9910","X":"FILLED","l":"14","z":"14","T":1568014460893}}"#,
            r#"{"stream":"btcusd_perp@trade","data":{"e":"trade","E":123456789,"T":123456785,"s":"BTCUSD_PERP","t":5933014,"p":"0.1","q":"100","X":"MARKET","m":true}}"#,
        ],
        "kraken" => &[
            "{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[{\"price\":45283.50,\"qty\":0.10000000}],\"asks\":[{\"price\":45285.20,\"qty\":0.00100000}]}]}\n{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\",\"bids\":[{\"price\":45283.50,\"qty\":0}],\"asks\":[]}]}",
            r#"{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USD","open":0.5,"high":0.6,"low":0.5,"close":0.6,"trades":1,"volume":2.0,"vwap":0.5,"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":5}]}"#,
            r#"{"channel":"status","type":"update","data":[{"version":"2.0.0","system":"cancel_only","api_version":"v2","connection_id":1}]}"#,
            r#"[0,{"a":[["5541.30","2.50700000","1534614248.456738"]],"b":[["5541.20","1.52900000","1534614248.765567"]],"c":"974942666"},"book-10","XBT/USD"]"#,
            r#"[0,[["5541.20","0.15850568","1534614057.321597","s","l",""]],"trade","XBT/USD"]"#,
        ],
        "coinbase" => &[
            "{\"channel\":\"l2_data\",\"timestamp\":\"2023-02-09T20:32:50.714964855Z\",\"sequence_num\":0,\"events\":[{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"updates\":[{\"side\":\"bid\",\"event_time\":\"1970-01-01T00:00:00Z\",\"price_level\":\"21921.73\",\"new_quantity\":\"0.06317902\"},{\"side\":\"offer\",\"event_time\":\"1970-01-01T00:00:00Z\",\"price_level\":\"21921.80\",\"new_quantity\":\"0.02\"}]}]}\n{\"channel\":\"l2_data\",\"timestamp\":\"2023-02-09T20:32:51Z\",\"sequence_num\":1,\"events\":[{\"type\":\"update\",\"product_id\":\"BTC-USD\",\"updates\":[{\"side\":\"bid\",\"event_time\":\"1970-01-01T00:00:00Z\",\"price_level\":\"21921.73\",\"new_quantity\":\"0\"}]}]}",
            r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","22356.27","0.00000000"]],"time":"2022-08-04T15:25:05.010758Z"}"#,
            r#"{"channel":"status","timestamp":"2023-02-09T20:29:49.753424311Z","sequence_num":0,"events":[{"type":"snapshot","products":[{"product_type":"SPOT","id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","status":"online","status_message":""}]}]}"#,
        ],
        "bybit" | "bybit-linear" => &[
            "{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1672304484978,\"data\":{\"s\":\"BTCUSDT\",\"b\":[[\"16493.5\",\"0.006\"]],\"a\":[[\"16611.0\",\"0.029\"]],\"u\":18521288,\"seq\":7961638724},\"cts\":1672304484976}\n{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1672304484978,\"data\":{\"s\":\"BTCUSDT\",\"b\":[[\"16493.5\",\"0\"]],\"a\":[],\"u\":18521289,\"seq\":7961638725}}",
            r#"{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"BTCUSDT","S":"Sell","v":"20.000","p":"0.1"}]}"#,
            r#"{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}"#,
        ],
        "okx" => &[
            "{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"snapshot\",\"data\":[{\"asks\":[[\"8476.9\",\"415\",\"0\",\"13\"]],\"bids\":[[\"8476.8\",\"256\",\"0\",\"12\"]],\"ts\":\"1597026383085\",\"seqId\":100,\"prevSeqId\":-1}]}\n{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"asks\":[],\"bids\":[[\"8476.8\",\"0\",\"0\",\"0\"]],\"ts\":\"1597026383085\",\"seqId\":101,\"prevSeqId\":100}]}",
            r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3"}]}"#,
            r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["111.0","55154","0","2"]],"bids":[["111.1","57745","0","2"]],"ts":"1670324386802","seqId":363996337}]}"#,
            "pong",
        ],
        _ => &[],
    }
}

/// Answers as the venues' documentation writes them: rules, books, times, bars.
fn answers_by_hand(venue: &str) -> &'static [&'static str] {
    match venue {
        "binance" | "binance-usdm" | "binance-coinm" => &[
            r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT","marginAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000","tickSize":"0.01000000"},{"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000","stepSize":"0.00001000"},{"filterType":"NOTIONAL","minNotional":"5.00000000"},{"filterType":"MIN_NOTIONAL","notional":"5"}]},{"symbol":"BTCUSD_PERP","contractStatus":"TRADING","contractType":"PERPETUAL","contractSize":100,"baseAsset":"BTC","quoteAsset":"USD","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.1"},{"filterType":"LOT_SIZE","minQty":"1","maxQty":"1000000","stepSize":"1"}]}]}"#,
            r#"{"lastUpdateId":1027024,"bids":[["4.00","431"]],"asks":[["4.01","12"]]}"#,
            r#"{"serverTime":1499827319559}"#,
            r#"[[1499040000000,"0.01","0.80","0.01","0.02","148976",1499644799999,"2434.19",308,"1756.8","28.46","0"],[1499040060000,"0.01","0.80","0.01","0.02","148976",1499644799999,"2434.19",308,"1756.8","28.46","0"]]"#,
            r#"{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}"#,
        ],
        "kraken" => &[
            r#"{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD","pair_decimals":1,"lot_decimals":8,"cost_decimals":5,"ordermin":"0.00005","costmin":"0.5","tick_size":"0.1","status":"online"}}}"#,
            r#"{"error":[],"result":{"XXBTZUSD":{"asks":[["52523.00","1.199",1616663113]],"bids":[["52522.90","0.753",1616663112]]}}}"#,
            r#"{"error":[],"result":{"unixtime":1616336594,"rfc1123":"Sun, 21 Mar 21 14:23:14 +0000"}}"#,
            r#"{"error":[],"result":{"XXBTZUSD":[[1616662740,"52591.90","52599.90","52591.80","52599.90","52599.10","0.11091626",5],[1616662800,"52600.00","52674.90","52599.90","52665.20","52643.30","2.49035996",30]],"last":1616662740}}"#,
        ],
        "coinbase" => &[
            r#"{"products":[{"product_id":"BTC-USD","price":"1","quote_increment":"0.01","price_increment":"0.01","base_increment":"0.00000001","base_min_size":"0.00000001","base_max_size":"3400","quote_min_size":"1","base_currency_id":"BTC","quote_currency_id":"USD","status":"online","product_type":"SPOT","trading_disabled":false}]}"#,
            r#"{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"43000.00","size":"0.1"}],"asks":[{"price":"43000.01","size":"0.2"}],"time":"2023-07-11T22:34:09+00:00"}}"#,
            r#"{"iso":"2023-07-11T22:34:09Z","epochSeconds":"1639508050","epochMillis":"1639508050123"}"#,
            r#"{"candles":[{"start":"1639508110","low":"140.21","high":"140.21","open":"140.21","close":"140.21","volume":"56437345"},{"start":"1639508050","low":"140.21","high":"140.21","open":"140.21","close":"140.21","volume":"56437345"}]}"#,
        ],
        "bybit" | "bybit-linear" => &[
            r#"{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","settleCoin":"USDT","priceFilter":{"minPrice":"0.10","maxPrice":"1999999.80","tickSize":"0.10"},"lotSizeFilter":{"maxOrderQty":"1190.000","minOrderQty":"0.001","qtyStep":"0.001","basePrecision":"0.000001","minNotionalValue":"5","minOrderAmt":"1"}}]},"time":1707186451514}"#,
            r#"{"retCode":0,"retMsg":"OK","result":{"s":"BTCUSDT","a":[["65557.7","16.606"]],"b":[["65485.4","47.081"]],"ts":1716863719031,"u":230704,"seq":1432604333,"cts":1716863718905},"time":1716863719382}"#,
            r#"{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"time":1688639403423}"#,
            r#"{"retCode":0,"retMsg":"OK","result":{"symbol":"BTCUSDT","list":[["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"],["1670605200000","17071.5","17071.5","17061","17071","4177","0.24469757"]]},"time":1672025956592}"#,
        ],
        "okx" => &[
            r#"{"code":"0","msg":"","data":[{"instId":"BTC-USDT","instType":"SPOT","baseCcy":"BTC","quoteCcy":"USDT","ctMult":"","ctType":"","ctVal":"","lotSz":"0.00000001","minSz":"0.00001","maxLmtSz":"9999999999","tickSz":"0.1","state":"live"},{"instId":"UNI-USD-SWAP","instType":"SWAP","ctMult":"1","ctType":"inverse","ctVal":"10","ctValCcy":"USD","lotSz":"1","minSz":"1","maxLmtSz":"100000000","tickSz":"0.001","state":"live"}]}"#,
            r#"{"code":"0","msg":"","data":[{"asks":[["41006.8","0.60038921","0","1"]],"bids":[["41006.3","0.30178218","0","2"]],"ts":"1629966436396","seqId":3235851742}]}"#,
            r#"{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}"#,
            r#"{"code":"0","msg":"","data":[["1597026443085","3.7","3.9","3.6","3.8","8422410","22698348","12698348","0"],["1597026383085","3.7","3.9","3.6","3.8","8422410","22698348","12698348","1"]]}"#,
        ],
        _ => &[],
    }
}
