//! Ids of recorded trades: what each adapter says of them holds, by figures counted with another program.

use crate::drive::{answer, entries, feed, received};
use crate::samples::instrument;
use domain::{Event, Instrument, InstrumentId, Venue};
use std::collections::{BTreeMap, BTreeSet};
use venues::adapter::{Adapter, Said, adapter};
use venues::recording::Entry;
use venues::trades::{TradeCounts, TradeIds, TradeWatch};

fn venue(name: &str) -> &'static dyn Adapter {
    adapter(Venue::named(name)).unwrap()
}

/// Instruments of all symbols that the messages speak of.
fn instruments(a: &dyn Adapter, entries: &[Entry]) -> Vec<Instrument> {
    let symbols: BTreeSet<String> = received(entries).flat_map(|e| a.symbols_in(&e.text)).collect();
    if a.venue().name() == "okx" {
        // Contracts have other steps than samples have.
        let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let http = entries.iter().filter(|e| matches!(&e.what, venues::recording::What::Http(_)));
        let answers: Vec<&str> = http.map(|e| e.text.as_str()).collect();
        return a.read_rules(&answers, &symbols).unwrap();
    }
    (0u16..).zip(&symbols).map(|(id, symbol)| instrument(a.venue(), id, symbol)).collect()
}

/// Ids of the trades that one new connection tells, in order.
fn told(a: &dyn Adapter, all: &[Instrument], entries: &[Entry]) -> Vec<(InstrumentId, u64)> {
    let (mut feed, mut said) = (feed(a, all), Vec::new());
    received(entries).for_each(|e| feed.frame(&e.text, &mut said).unwrap());
    let trade = |said| if let Said::Event(Event::Trade(t)) = said { Some((t.instrument, t.trade_id)) } else { None };
    said.into_iter().filter_map(trade).collect()
}

type Watches = BTreeMap<InstrumentId, TradeWatch>;

fn watch(ids: TradeIds, watches: &mut Watches, told: &[(InstrumentId, u64)]) {
    for (instrument, id) in told {
        watches.entry(*instrument).or_insert_with(|| TradeWatch::new(ids)).on(*id);
    }
}

fn sum(watches: &Watches) -> TradeCounts {
    watches.values().map(TradeWatch::counts).fold(TradeCounts::default(), |a, b| TradeCounts {
        trades: a.trades + b.trades,
        gaps: a.gaps + b.gaps,
        missing: a.missing + b.missing,
        repeated: a.repeated + b.repeated,
    })
}

/// Venue, file, trades, instruments with any. No recording has a gap or tells a trade twice.
const RECORDED: [(&str, &str, u64, usize); 10] = [
    ("binance", "l2/binance_raw/spot_btcusdt_20240808.gz", 9757, 1),
    ("binance", "l2/binance_raw/spot_ethusdt_20240808.gz", 6106, 1),
    ("binance-usdm", "l2/binance_raw/usdm_btcusdt_20240808.gz", 21_313, 1),
    ("binance-coinm", "l2/binance_raw/cm_btcusd_perp_20240808.gz", 2286, 1),
    ("binance", "ws/BINANCE.jsonl.zst", 2, 2),
    ("binance-usdm", "ws/BINANCE_FUTURES.jsonl.zst", 91, 4),
    ("coinbase", "ws/COINBASE.jsonl.zst", 279, 2),
    ("coinbase", "ws/COINBASE_EXCHANGE_2021_a.txt.zst", 81, 5),
    ("bybit-linear", "ws/BYBIT_linear.jsonl.zst", 327, 4),
    ("okx", "ws/OKX.jsonl.zst", 74, 3),
];

#[test]
fn ids_in_recordings_go_as_the_adapters_say() {
    for (name, file, trades, instruments_with_trades) in RECORDED {
        let Some(path) = recorded::find("ids_in_recordings_go_as_the_adapters_say", file) else { continue };
        let (a, entries) = (venue(name), entries(path));
        let all = instruments(a, &entries);
        let told = told(a, &all, &entries);
        let mut watches = Watches::new();
        watch(a.trade_ids(), &mut watches, &told);
        assert_eq!(sum(&watches), TradeCounts { trades, ..TradeCounts::default() }, "{file}");
        assert_eq!(watches.len(), instruments_with_trades, "{file}");
        assert!(told.iter().all(|(_, id)| *id > 0), "{file}");

        // Told again by a second connection, all of them are known.
        watch(a.trade_ids(), &mut watches, &told);
        assert_eq!(sum(&watches), TradeCounts { trades, repeated: trades, ..TradeCounts::default() }, "{file}");
    }
}

#[test]
fn any_recorded_trade_that_is_lost_is_missing_where_ids_are_contiguous() {
    for (name, file, trades, _) in RECORDED {
        let test = "any_recorded_trade_that_is_lost_is_missing_where_ids_are_contiguous";
        let Some(path) = recorded::find(test, file) else { continue };
        let (a, entries) = (venue(name), entries(path));
        let told = told(a, &instruments(a, &entries), &entries);
        let step = (told.len() / 50).max(1);
        for lost in (0..told.len()).step_by(step) {
            let mut rest = told.clone();
            let (instrument, id) = rest.remove(lost);
            let between = |ids: &[(InstrumentId, u64)]| ids.iter().any(|(i, _)| *i == instrument);
            // The first of an instrument and the last are not between two others.
            let noticed = between(&told[..lost]) && between(&told[lost + 1..]);
            let missing = u64::from(noticed && a.trade_ids() == TradeIds::Contiguous);
            let mut watches = Watches::new();
            watch(a.trade_ids(), &mut watches, &rest);
            let want = TradeCounts { trades: trades - 1, gaps: missing, missing, repeated: 0 };
            assert_eq!(sum(&watches), want, "{file}: {id} is lost");
            // A reconnect tells all of it again.
            watch(a.trade_ids(), &mut watches, &told);
            if a.trade_ids() == TradeIds::Contiguous {
                assert_eq!((sum(&watches).trades, sum(&watches).missing), (trades, 0), "{file}: {id} comes late");
            }
        }
    }
}

/// Every subscription to `market_trades` brings the last hundred of each product again.
#[test]
fn what_coinbase_repeats_after_a_reconnect_is_repeated() {
    let test = "what_coinbase_repeats_after_a_reconnect_is_repeated";
    let Some(path) = recorded::find(test, "ws/COINBASE.jsonl.zst") else { return };
    let entries = entries(path);
    let a = venue("coinbase");
    let all = a.read_rules(&[answer(&entries)], &["BTC-USD", "ETH-USD"]).unwrap();
    let is_snapshot = |e: &&Entry| {
        let message: serde_json::Value = serde_json::from_str(&e.text).unwrap_or_default();
        message["channel"] == "market_trades" && message["events"][0]["type"] == "snapshot"
    };
    let snapshots: Vec<Entry> = received(&entries).filter(is_snapshot).cloned().collect();
    let mut watches = Watches::new();
    watch(a.trade_ids(), &mut watches, &told(a, &all, &entries));
    watch(a.trade_ids(), &mut watches, &told(a, &all, &snapshots));
    assert_eq!(sum(&watches), TradeCounts { trades: 279, gaps: 0, missing: 0, repeated: 200 });
}

/// Other programs' fixture of version 2: two trades of one message.
#[test]
fn ids_of_kraken_count_up() {
    let Some(text) = crate::drive::fixture("ids_of_kraken_count_up", "kraken/ws_trade_update.json") else { return };
    let a = venue("kraken");
    let mut feed = feed(a, &[instrument(a.venue(), 0, "BTC/USD")]);
    let mut watch = TradeWatch::new(a.trade_ids());
    for event in crate::drive::events(&mut *feed, &text) {
        let Event::Trade(trade) = event else { panic!("{event:?}") };
        watch.on(trade.trade_id);
    }
    assert_eq!(watch.counts(), TradeCounts { trades: 2, gaps: 0, missing: 0, repeated: 0 });
}
