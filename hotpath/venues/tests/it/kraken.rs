//! Kraken against its recording, and against messages and REST answers that other projects keep.

use crate::replay::{Replay, entries, fixture, received, run};
use domain::event::{Allowed, Event, Level};
use domain::{Increment, Instrument, InstrumentId, Lots, Side, Ticks};
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};
use venues::adapter::{Adapter, Endpoints, Said, adapter};
use venues::kraken::{Kraken, VENUE};
use venues::wire::SymbolTable;

pub(crate) const RULES: &str = r#"{"error":[],"result":{
    "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD","pair_decimals":1,"lot_decimals":8,"cost_decimals":5,"ordermin":"0.00005","costmin":"0.5","tick_size":"0.1","status":"online"},
    "XDGUSD":{"altname":"XDGUSD","wsname":"XDG/USD","base":"XXDG","quote":"ZUSD","pair_decimals":7,"lot_decimals":8,"ordermin":"50"},
    "XETHXXBT.d":{"altname":"ETHXBT.d","base":"XETH","quote":"XXBT","pair_decimals":5,"lot_decimals":8}}}"#;

pub(crate) fn instruments() -> Vec<Instrument> {
    Kraken.read_rules(&[RULES], &["BTC/USD", "DOGE/USD"]).unwrap()
}
pub(crate) fn replay() -> Replay {
    Replay::new(&Kraken, &instruments())
}
pub(crate) fn level(price: i64, qty: u64) -> Level {
    Level { price: Ticks::new(price), qty: Lots::new(qty) }
}
fn event(mut said: Vec<Said>) -> Event {
    assert_eq!(said.len(), 1, "{said:?}");
    if let Said::Event(e) = said.remove(0) { e } else { panic!("no event") }
}

#[test]
fn the_recording_has_2595_checksums_and_all_are_equal() {
    let test = "the_recording_has_2595_checksums_and_all_are_equal";
    let Some(entries) = entries(test, "ws/KRAKEN_a.jsonl.zst") else { return };
    let replay = run(&Kraken, &entries);
    let s = replay.stats;
    assert_eq!((s.checksums, s.checksums_equal), (2595, 2595));
    assert_eq!((s.snapshots, s.diffs_applied), (5, 2595));
    assert_eq!((s.crossed, s.sequence_breaks, s.gaps, s.diffs_ignored), (0, 0, 0, 0));
    let live: Vec<_> = replay.books.values().filter(|book| book.is_live()).collect();
    assert_eq!(live.len(), 5, "five of the ten pairs got their book");
    assert!(live.iter().all(|book| book.bids().len() <= 1000 && book.asks().len() <= 1000));
    // Counted in the file.
    let said = ["quote", "trade", "reply", "alive", "status"].map(|kind| replay.said[kind]);
    assert_eq!(said[0], 13, "tickers");
    assert_eq!((said[2], said[3], said[4]), (15, 92, 3), "answers, heartbeats, system statuses");
    assert_eq!(replay.said.len(), 7, "{:?}", replay.said);
}

#[test]
fn recorded_trades_are_told_with_their_takers_side() {
    let test = "recorded_trades_are_told_with_their_takers_side";
    let Some(entries) = entries(test, "ws/KRAKEN_a.jsonl.zst") else { return };
    // A second reading of the same lines, by hand.
    let mut want = Vec::new();
    for entry in received(&entries) {
        let Ok(serde_json::Value::Array(items)) = serde_json::from_str(&entry.text) else { continue };
        if items[2] == "trade" {
            want.extend(items[1].as_array().unwrap().iter().map(|row| row[3] == "b"));
        }
    }
    let (symbols, answers): (Vec<String>, Vec<&str>) = (
        entries.iter().flat_map(|e| Kraken.symbols_in(&e.text)).filter(|s| s.contains('/')).collect(),
        entries.iter().map(|e| e.text.as_str()).collect(),
    );
    let symbols: std::collections::BTreeSet<&str> = symbols.iter().map(String::as_str).collect();
    assert_eq!(symbols.len(), 10, "the pairs that were asked for");
    let instruments = Kraken.read_rules(&answers, &symbols.into_iter().collect::<Vec<_>>()).unwrap();
    let mut replay = Replay::new(&Kraken, &instruments);
    let said = received(&entries).flat_map(|e| replay.frame(&e.text)).collect::<Vec<_>>();
    let trades = said.iter().filter_map(|s| if let Said::Event(Event::Trade(t)) = s { Some(t) } else { None });
    assert_eq!(trades.map(|t| t.aggressor == Side::Buy).collect::<Vec<_>>(), want);
    assert!(!want.is_empty());
}

#[test]
fn rules_are_read_under_any_name_of_a_pair() {
    for name in ["BTC/USD", "XBT/USD", "XBTUSD", "XXBTZUSD"] {
        let i = Kraken.read_rules(&[RULES], &[name]).unwrap().remove(0);
        assert_eq!((i.symbol.as_str(), i.base.as_str(), i.quote.as_str()), ("BTC/USD", "BTC", "USD"), "{name}");
        assert_eq!(
            (i.venue, i.tick, i.lot),
            (VENUE, Increment { units: 1, scale: 1 }, Increment { units: 1, scale: 8 })
        );
        assert_eq!((i.qty_min, i.value_min.get()), (Lots::new(5000), 500_000_000));
        assert_eq!(i.book.depth, 1000);
    }
    let doge = Kraken.read_rules(&[RULES], &["BTC/USD", "DOGE/USD"]).unwrap().remove(1);
    assert_eq!((doge.symbol.as_str(), doge.id, doge.tick.scale), ("DOGE/USD", InstrumentId(1), 7));
    let error = |name| Kraken.read_rules(&[RULES], &[name]).unwrap_err().to_string();
    assert!(error("BTC/XYZ").contains("not among them"));
    assert!(error("ETHXBT.d").contains("not among them"), "dark pools have no stream");
    let refused = Kraken.read_rules(&[r#"{"error":["EQuery:Unknown asset pair"]}"#], &["BTC/USD"]);
    assert!(refused.unwrap_err().to_string().contains("EQuery:Unknown asset pair"));
}

#[test]
fn a_tick_coarser_than_the_digits_keeps_the_digits() {
    let rules = RULES
        .replace(r#""pair_decimals":1"#, r#""pair_decimals":2"#)
        .replace(r#""tick_size":"0.1""#, r#""tick_size":"0.5""#);
    let i = Kraken.read_rules(&[&rules], &["BTC/USD"]).unwrap().remove(0);
    assert_eq!(i.tick, Increment { units: 50, scale: 2 });
    assert_eq!(i.price(Ticks::new(3)).to_string(), "1.50");
}

#[test]
fn rules_of_the_fixtures_are_read() {
    for (file, name, tick, lot, least) in [
        ("nautilus/kraken/http_asset_pairs.json", "BTC/USDT", "0.1", "0.00000001", 5000),
        ("nautilus/kraken/http_asset_pairs_tokenized.json", "AAPLx/USD", "0.01", "0.00000001", 1),
        (
            "xchange/kraken/org/knowm/xchange/kraken/dto/marketdata/example-assetpairs-data.json",
            "ADA/CAD",
            "0.000001",
            "0.00000001",
            // No least order: one lot.
            1,
        ),
    ] {
        let Some(text) = fixture("rules_of_the_fixtures_are_read", file) else { return };
        let i = Kraken.read_rules(&[&text], &[name]).unwrap().remove(0);
        assert_eq!((i.tick.to_string().as_str(), i.lot.to_string().as_str()), (tick, lot), "{file}");
        assert_eq!(i.qty_min, Lots::new(least), "{file}");
    }
}

#[test]
fn rest_answers_of_the_fixtures_are_read() {
    let test = "rest_answers_of_the_fixtures_are_read";
    let read = |file: &str| fixture(test, &format!("nautilus/kraken/{file}"));
    let i = &instruments()[0];
    let Some(text) = read("http_order_book.json") else { return };
    let book = Kraken.read_book(&text, i).unwrap();
    assert_eq!((book.bids.len(), book.asks.len(), book.last_id), (5, 5, 0));
    assert_eq!((book.bids[0], book.asks[0]), (level(1_059_442, 200_000), level(1_059_443, 13_600_000)));
    assert_eq!(Kraken.read_time(&read("http_server_time.json").unwrap()).unwrap(), 1_762_820_224_000_000_000);

    let text = read("http_ohlc.json").unwrap();
    let bars = Kraken.read_bars(&text, i, 60).unwrap();
    let reply: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(bars.len(), reply["result"]["XBTUSDT"].as_array().unwrap().len());
    assert!(
        bars.windows(2).all(|w| w[0].open_ns + 60_000_000_000 == w[1].open_ns),
        "a bar for each minute, oldest first"
    );
    let last = bars.last().unwrap();
    assert_eq!(
        (last.open_ns, last.close, last.volume, last.last),
        (1_762_820_220_000_000_000, Ticks::new(1_058_994), Lots::ZERO, false)
    );
    assert_eq!(bars.iter().filter(|b| !b.last).count(), 1, "only the newest may still change");

    // Answers of 2014 to 2017, under pairs with three and five decimals.
    let old = |file: &str| fixture(test, &format!("xchange/kraken/org/knowm/xchange/kraken/dto/marketdata/{file}"));
    let fine = Instrument { tick: Increment { units: 1, scale: 5 }, ..i.clone() };
    let book = Kraken.read_book(&old("example-depth-data.json").unwrap(), &fine).unwrap();
    assert_eq!((book.asks[0], book.bids[0]), (level(53_075_513, 24_800_000), level(52_626_000, 50_000_000)));
    assert_eq!(Kraken.read_time(&old("example-servertime-data.json").unwrap()).unwrap(), 1_391_835_876_000_000_000);
    let bars = Kraken.read_bars(&old("example-ohlc-data.json").unwrap(), &fine, 60).unwrap();
    assert_eq!((bars[1].high.get(), bars[1].volume.get()), (345_000_000, 736_749_998));
}

#[test]
fn messages_of_the_fixtures_are_read() {
    let test = "messages_of_the_fixtures_are_read";
    let read = |file: &str| fixture(test, &format!("nautilus/kraken/{file}"));
    let mut replay = replay();
    let Some(text) = read("ws_book_snapshot.json") else { return };
    let Event::BookSnapshot(book) = event(replay.frame(&text)) else { panic!() };
    assert_eq!((book.bids[0], book.asks[2]), (level(1_059_442, 13_600_000), level(1_059_558, 300_000)));
    assert_eq!((book.checksum, book.ts_venue_ns), (Some(2_439_117_997), 1_696_613_755_440_295_000));
    let Event::BookDelta(change) = event(replay.frame(&read("ws_book_update.json").unwrap())) else { panic!() };
    assert_eq!(
        (change.bids.as_slice(), change.asks.as_slice()),
        ([level(1_059_442, 25_000_000)].as_slice(), [].as_slice())
    );
    assert_eq!(
        (change.first_id, change.last_id, change.checksum),
        (book.last_id + 1, book.last_id + 1, Some(2_114_181_697))
    );

    let trades = replay.frame(&read("ws_trade_update.json").unwrap());
    let [Said::Event(Event::Trade(a)), Said::Event(Event::Trade(b))] = trades.as_slice() else { panic!("{trades:?}") };
    assert_eq!(
        (a.trade_id, a.price, a.qty, a.aggressor),
        (10_218_208, Ticks::new(1_059_442), Lots::new(27_625), Side::Buy)
    );
    assert_eq!(
        (b.trade_id, b.price, b.qty, b.aggressor),
        (10_218_209, Ticks::new(1_059_105), Lots::new(12_460), Side::Sell)
    );
    assert_eq!(a.ts_venue_ns, 1_696_613_755_440_295_000);

    let Event::Quote(q) = event(replay.frame(&read("ws_ticker_snapshot.json").unwrap())) else { panic!() };
    assert_eq!((q.bid, q.ask), (level(1_059_442, 250_000_000), level(1_059_443, 320_000_000)));
    let Event::Bar(bar) = event(replay.frame(&read("ws_ohlc_update.json").unwrap())) else { panic!() };
    assert_eq!([bar.open, bar.high, bar.low, bar.close].map(Ticks::get), [1_060_382, 1_060_443, 1_060_381, 1_060_401]);
    assert_eq!((bar.seconds, bar.volume.get(), bar.last), (60, 3_092_768_066_226, false));

    assert_eq!(replay.frame(&read("ws_pong.json").unwrap()), [Said::Alive]);
    assert_eq!(replay.frame(&read("ws_subscribe_response.json").unwrap()), [Said::Reply(None)]);
    assert_eq!(replay.frame(&read("ws_l3_snapshot.json").unwrap()), [Said::Other("channel")]);
    let refused = replay.frame(&read("ws_add_order_response_failure.json").unwrap());
    assert_eq!(refused, [Said::Reply(Some("EOrder:Insufficient funds".to_owned()))]);
}

#[test]
fn messages_of_version_1_of_the_fixtures_are_read() {
    let test = "messages_of_version_1_of_the_fixtures_are_read";
    let read = |file: &str| fixture(test, &format!("xchange/stream-kraken/{file}"));
    let Some(snapshot) = read("orderBookMessageSnapshot.json") else { return };
    // Five digits in the book, one in the rules.
    let all = Kraken.read_rules(&[RULES, &snapshot], &["BTC/USD"]).unwrap();
    assert_eq!((all[0].tick, all[0].book.depth), (Increment { units: 10_000, scale: 5 }, 100));
    let mut replay = Replay::new(&Kraken, &all);
    let Event::BookSnapshot(book) = event(replay.frame(&snapshot)) else { panic!() };
    assert_eq!((book.asks[0], book.bids[2]), (level(55_413, 250_700_000), level(55_395, 500_000_000)));
    assert_eq!((book.ts_venue_ns, book.checksum), (1_534_614_248_765_567_000, None));
    let Event::BookDelta(both) = event(replay.frame(&read("orderBookMessageUpdate02.json").unwrap())) else { panic!() };
    assert_eq!((both.asks.len(), both.bids.len(), both.checksum), (2, 1, Some(3_647_725_291)));
    let Event::BookDelta(one) = event(replay.frame(&read("orderBookMessageUpdate00.json").unwrap())) else { panic!() };
    assert_eq!(
        (one.asks.len(), one.bids.as_slice(), one.checksum),
        (0, [level(55_413, 0)].as_slice(), Some(417_079_492))
    );
    let trades = replay.frame(&read("trades.json").unwrap());
    let [Said::Event(Event::Trade(a)), Said::Event(Event::Trade(b))] = trades.as_slice() else { panic!("{trades:?}") };
    assert_eq!(
        (a.price, a.qty, a.aggressor, a.ts_venue_ns),
        (Ticks::new(55_412), Lots::new(15_850_568), Side::Sell, 1_534_614_057_321_597_000)
    );
    assert_eq!((b.price, b.aggressor, b.trade_id), (Ticks::new(60_600), Side::Buy, 0));
    assert_eq!(replay.frame(&read("ticker.json").unwrap()), [Said::Other("symbol")], "of another pair");
    let ticker = read("ticker.json").unwrap().replace("XBT/EUR", "XBT/USD");
    let Event::Quote(q) = event(replay.frame(&ticker)) else { panic!() };
    assert_eq!((q.bid, q.ask), (level(99_709, 1_057_957_134), level(99_710, 283_251_755)), "sizes are the third part");
    assert_eq!(replay.frame(&read("subscriptionConfirmation.json").unwrap()), [Said::Reply(None)]);
    let Event::Status(s) = event(replay.frame(&read("connectionDetails.json").unwrap())) else { panic!() };
    assert_eq!((s.venue, s.instrument, s.allowed), (VENUE, None, Allowed::All));
}

/// The examples of the documentation of version 1.
#[test]
fn spreads_and_bars_of_version_1_are_read() {
    let mut replay = replay();
    let spread = r#"[0,["5698.40000","5700.00000","1542057299.545897","1.01234567","0.98765432"],"spread","XBT/USD"]"#;
    let Event::Quote(q) = event(replay.frame(spread)) else { panic!() };
    assert_eq!(
        (q.bid, q.ask, q.ts_venue_ns),
        (level(56_984, 101_234_567), level(57_000, 98_765_432), 1_542_057_299_545_897_000)
    );
    let ohlc = r#"[42,["1542057314.748456","1542057360.435743","3586.70000","3586.70000","3586.60000","3586.60000","3586.68894","0.03373000",2],"ohlc-5","XBT/USD"]"#;
    let Event::Bar(b) = event(replay.frame(ohlc)) else { panic!() };
    assert_eq!(
        (b.open.get(), b.close.get(), b.volume.get(), b.seconds, b.last),
        (35_867, 35_866, 3_373_000, 300, false)
    );
    assert_eq!(b.open_ns, 1_542_057_060_435_743_000, "the end less five minutes");
}

#[test]
fn one_connection_subscribes_to_everything_and_renewing_touches_one_book() {
    let all = Kraken.connections(&Endpoints::at("http://127.0.0.1:1"), &instruments());
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].url.as_str(), all[0].instruments.len()), ("ws://127.0.0.1:1/v2", 2));
    for channel in ["book", "trade", "ticker", "ohlc", "instrument"] {
        let named = all[0].first.iter().filter(|m| m.contains(&format!(r#""channel":"{channel}""#)));
        assert_eq!(named.count(), 1, "{channel}");
    }
    assert_eq!(Kraken.symbols_in(&all[0].first[0]), ["BTC/USD", "DOGE/USD"]);
    let renew = Kraken.renew(&instruments()[1]);
    assert!(renew[0].contains("unsubscribe") && renew[1].contains(r#""subscribe""#) && renew.len() == 2);
    assert!(renew.iter().all(|m| m.contains(r#""channel":"book""#) && Kraken.symbols_in(m) == ["DOGE/USD"]));
    assert_eq!(adapter(VENUE).map(|a| a.venue().name().to_owned()).as_deref(), Some("kraken"));
}

/// Short recorded frames of version 1, and some of version 2.
fn corpus() -> &'static [String] {
    static CORPUS: OnceLock<Vec<String>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut all: Vec<String> = crate::kraken_pitfalls::FRAMES.iter().map(|&f| f.to_owned()).collect();
        if let Some(entries) = entries("kraken corpus", "ws/KRAKEN_a.jsonl.zst") {
            all.extend(received(&entries).map(|e| e.text.clone()).filter(|t| t.len() < 4000).take(200));
        }
        for file in ["ws_book_snapshot", "ws_book_update", "ws_trade_update", "ws_ticker_snapshot", "ws_ohlc_update"] {
            all.extend(fixture("kraken corpus", &format!("nautilus/kraken/{file}.json")));
        }
        all
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), end in any::<bool>()) {
        let mut feed = Kraken.feed(Arc::new(SymbolTable::new(instruments())));
        let mut text = at.get(corpus()).clone().into_bytes();
        for (place, byte) in bytes {
            let place = place.index(text.len());
            text[place] = byte;
        }
        if end {
            text.truncate(cut.index(text.len() + 1));
        }
        let text = String::from_utf8_lossy(&text);
        let mut out = Vec::new();
        drop(feed.frame(&text, &mut out));
        drop(feed.frame(crate::kraken_pitfalls::FRAMES[0], &mut out));
        prop_assert!(matches!(out.last(), Some(Said::Event(Event::BookSnapshot(_)))), "the frame after it can be read");
        drop(Kraken.symbols_in(&text));
        drop(Kraken.read_rules(&[RULES, &text], &["BTC/USD"]));
        drop((Kraken.read_book(&text, &instruments()[0]), Kraken.read_bars(&text, &instruments()[0], 60), Kraken.read_time(&text)));
    }
}
