//! What is asked of each venue: its adapter, some instruments of it, and a frame that it reads whatever came before.

use domain::instrument::{BookFeed, BookRule, Checksum, ChecksumText, Contract};
use domain::{Increment, Instrument, InstrumentId, Lots, TickLots, Venue};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use venues::adapter::{Adapter, Feed, adapters};
use venues::wire::SymbolTable;

/// One venue under test.
pub(crate) struct Market {
    pub(crate) adapter: &'static dyn Adapter,
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) table: Arc<SymbolTable>,
    /// Best prices of the first instrument; no venue counts these messages.
    pub(crate) good: &'static str,
}

static MARKETS: LazyLock<BTreeMap<&'static str, Market>> =
    LazyLock::new(|| adapters().iter().map(|a| (a.venue().name().to_owned().leak() as &str, market(*a))).collect());

impl Market {
    /// The venue of that name.
    pub(crate) fn of(venue: &str) -> &'static Market {
        MARKETS.get(venue).unwrap_or_else(|| panic!("there is no venue `{venue}`"))
    }
    /// A reader for a new connection.
    pub(crate) fn feed(&self) -> Box<dyn Feed> {
        self.adapter.feed(Arc::clone(&self.table))
    }
}

fn market(adapter: &'static dyn Adapter) -> Market {
    let (symbols, good) = known(adapter.venue().name());
    let all = (0..).zip(symbols).map(|(id, (symbol, tick, lot))| instrument(adapter.venue(), id, symbol, tick, lot));
    let instruments: Vec<Instrument> = all.collect();
    let table = Arc::new(SymbolTable::new(instruments.iter().cloned()));
    Market { adapter, instruments, table, good }
}

type Symbol = (&'static str, &'static str, &'static str);

/// Symbols with tick and lot, as in the recordings, and the frame that is always read.
fn known(venue: &str) -> (&'static [Symbol], &'static str) {
    match venue {
        "binance" => (
            &[("BTCUSDT", "0.01", "0.00001"), ("ETHUSDT", "0.01", "0.0001")],
            r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}}"#,
        ),
        "binance-usdm" => (
            &[("BTCUSDT", "0.1", "0.001"), ("ETHUSDT", "0.01", "0.001")],
            r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BTCUSDT","b":"25.3","B":"31.21","a":"25.4","A":"40.66"}}"#,
        ),
        "binance-coinm" => (
            &[("BTCUSD_PERP", "0.1", "1")],
            r#"{"stream":"btcusd_perp@bookTicker","data":{"e":"bookTicker","u":17242169,"s":"BTCUSD_PERP","ps":"BTCUSD","b":"9548.1","B":"52","a":"9548.5","A":"11","T":1591268628155,"E":1591268628166}}"#,
        ),
        "kraken" => (
            &[
                ("BTC/USD", "0.01", "0.00000001"),
                ("XMR/USD", "0.01", "0.00000001"),
                ("SC/EUR", "0.00001", "0.00000001"),
            ],
            r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":105944.20,"bid_qty":2.5,"ask":105944.30,"ask_qty":3.2,"last":105899.40,"volume":163.28908096,"timestamp":"2022-12-25T09:30:59.123456Z"}]}"#,
        ),
        "coinbase" => (
            &[("BTC-USD", "0.01", "0.00000001"), ("ETH-USD", "0.01", "0.00000001")],
            r#"{"channel":"ticker","timestamp":"2026-04-07T14:30:03.000000Z","events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"68900.50","best_bid":"68900.00","best_bid_quantity":"1.50000000","best_ask":"68901.00","best_ask_quantity":"0.50000000"}]}]}"#,
        ),
        "bybit" | "bybit-linear" => (
            &[("BTCUSDT", "0.1", "0.001"), ("ETHUSDT", "0.01", "0.01"), ("SOLUSDT", "0.01", "0.1")],
            r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.5","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false}]}"#,
        ),
        "okx" => (
            &[("BTC-USDT", "0.1", "0.00000001"), ("UNI-USD-SWAP", "0.001", "1"), ("BTC-USD-220527", "0.1", "1")],
            r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":"9999.9","lastSz":"0.1","askPx":"9999.9","askSz":"11","bidPx":"8888.8","bidSz":"5","ts":"1597026383085"}]}"#,
        ),
        other => panic!("say here what is asked of `{other}`"),
    }
}

fn instrument(venue: Venue, id: u16, symbol: &str, tick: &str, lot: &str) -> Instrument {
    let short = "names written here fit";
    let step = |text| Increment::parse(text).expect("steps written here are steps");
    Instrument {
        id: InstrumentId(id),
        version: 1,
        venue,
        symbol: symbol.parse().expect(short),
        base: "BASE".parse().expect(short),
        quote: "QUOTE".parse().expect(short),
        tick: step(tick),
        lot: step(lot),
        qty_min: Lots::new(1),
        qty_max: Lots::new(1_000_000_000),
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: false,
        book: rule(venue.name()),
    }
}

fn rule(venue: &str) -> BookRule {
    let proven =
        |depth, levels, text| BookRule { feed: BookFeed::Pushed, depth, checksum: Some(Checksum { levels, text }) };
    match venue {
        "kraken" => proven(1000, 10, ChecksumText::Digits),
        "okx" => proven(400, 25, ChecksumText::Decimals),
        name if name.starts_with("binance") => BookRule::ASKED,
        _ => BookRule::PUSHED,
    }
}
