//! Recordings and fixtures, against figures of another program and a naive book.

use super::*;
use domain::event::{Bar, Level};
use domain::instrument::{BookRule, Contract};
use domain::{Event, InstrumentId, Lots, TickLots, Ticks};
use std::collections::BTreeMap;
use venues::adapter::Said;

#[test]
fn the_recorded_connection_gives_the_stated_books() {
    let Some(path) = recorded::find("the_recorded_connection_gives_the_stated_books", RECORDED) else { return };
    let entries = entries(path);
    let instruments = coinbase().read_rules(&[answer(&entries)], &["BTC-USD", "ETH-USD"]).unwrap();
    let run = run(coinbase(), &instruments, &entries);
    assert_eq!(run.frames, 1030);
    let books = |e: &&Event| matches!(e, Event::BookSnapshot(_) | Event::BookDelta(_));
    assert_eq!(run.events().filter(books).count(), 775);
    // Two whole books, so 773 changes.
    let s = run.stats;
    assert_eq!((s.snapshots, s.diffs_applied, s.gaps, s.sequence_breaks, s.crossed), (2, 773, 0, 0, 0));
    assert!(run.others().is_empty(), "{:?}", run.others());
    let book = &run.books[&InstrumentId(0)];
    assert_eq!((book.bids().iter().count(), book.asks().iter().count()), (18_769, 27_238));

    let mut naive: BTreeMap<String, Naive> = BTreeMap::new();
    for entry in received(&entries) {
        let m: Value = serde_json::from_str(&entry.text).unwrap();
        for event in m["events"].as_array().unwrap().iter().filter(|_| m["channel"] == "l2_data") {
            let book = naive.entry(event["product_id"].as_str().unwrap().to_owned()).or_default();
            for u in event["updates"].as_array().unwrap() {
                book.set(usize::from(u["side"] == "offer"), &u["price_level"], &u["new_quantity"]);
            }
        }
    }
    instruments.iter().for_each(|i| naive[i.symbol.as_str()].check(&run.books[&i.id], i));
}

#[test]
fn whichever_recorded_message_is_lost_both_books_stop() {
    let Some(path) = recorded::find("whichever_recorded_message_is_lost_both_books_stop", RECORDED) else { return };
    let all = entries(path);
    // Some after both whole books, of several channels.
    for lost in [60, 300, 555, 1000] {
        let mut entries = all.clone();
        entries.remove(lost);
        let run = run(coinbase(), &[btc(), eth()], &entries);
        assert_eq!((run.stats.gaps, run.stats.sequence_breaks), (2, 0), "without {lost}");
        assert!(run.books.values().all(|b| !b.is_live()), "and no whole book follows in the recording");
    }
}

#[test]
fn recorded_trades_come_once_in_order_and_aggressors_stand_on_their_side_of_the_spread() {
    let name = "recorded_trades_come_once_in_order_and_aggressors_stand_on_their_side_of_the_spread";
    let Some(path) = recorded::find(name, RECORDED) else { return };
    let run = run(coinbase(), &[btc(), eth()], &entries(path));
    for id in [0, 1].map(InstrumentId) {
        let ids = run.events().filter_map(|e| if let Event::Trade(t) = e { Some(t) } else { None });
        let ids: Vec<u64> = ids.filter(|t| t.instrument == id).map(|t| t.trade_id).collect();
        assert!(ids.len() > 100 && ids.windows(2).all(|two| two[1] == two[0] + 1));
    }
    // By another program: of the 79 trades after the snapshots 77 lie on the side that the opposite of `side` trades on.
    // Those of the snapshots are older than the first best price, which comes after them.
    assert_eq!(run.aggressors(), (77, 2));
}

#[test]
fn the_recorded_bars_are_all_finished_but_the_newest() {
    let Some(path) = recorded::find("the_recorded_bars_are_all_finished_but_the_newest", RECORDED) else { return };
    let run = run(coinbase(), &[btc(), eth()], &entries(path));
    let bars: Vec<&Bar> = run.events().filter_map(|e| if let Event::Bar(b) = e { Some(b) } else { None }).collect();
    // Two snapshots of 100 and four updates of the newest.
    assert_eq!(bars.len(), 204);
    let newest_ns = 1_786_309_500_000_000_000;
    assert!(bars.iter().all(|b| b.seconds == 300 && b.low <= b.open && b.open <= b.high && b.close <= b.high));
    assert!(bars.iter().all(|b| b.last == (b.open_ns < newest_ns)));
    assert_eq!(bars.iter().filter(|b| !b.last).count(), 6);
}

#[test]
fn the_old_exchange_feed_gives_books_that_never_cross() {
    let name = "the_old_exchange_feed_gives_books_that_never_cross";
    let Some(path) = recorded::find(name, "ws/COINBASE_EXCHANGE_2021_a.txt.zst") else { return };
    // By another program: levels at the end.
    let want = [
        ("SKL-BTC", 225, 407),
        ("CRV-EUR", 389, 297),
        ("BAND-BTC", 323, 825),
        ("NMR-EUR", 633, 310),
        ("SKL-USD", 816, 1341),
    ];
    let all =
        want.iter().zip(0..).map(|((symbol, ..), id)| instrument(id, "coinbase", symbol, "0.00000001", "0.00000001"));
    let all: Vec<Instrument> = all.collect();
    let run = run(coinbase(), &all, &entries(path));
    // 3 subscriptions, 5 whole books, 6471 changes, 81 tickers, 76 + 5 trades.
    assert_eq!(run.frames, 6641);
    let s = run.stats;
    assert_eq!((s.snapshots, s.diffs_applied, s.sequence_breaks, s.crossed), (5, 6471, 0, 0));
    assert_eq!(run.events().filter(|e| matches!(e, Event::Trade(_))).count(), 81);
    assert_eq!(run.others(), vec!["ticker without best prices"; 81], "it says no sizes");
    for (i, (symbol, bids, asks)) in all.iter().zip(want) {
        let book = &run.books[&i.id];
        assert_eq!((book.bids().iter().count(), book.asks().iter().count()), (bids, asks), "{symbol}");
    }
}

#[test]
fn rules_of_every_recorded_product_can_be_read() {
    let Some(path) = recorded::find("rules_of_every_recorded_product_can_be_read", RECORDED) else { return };
    let entries = entries(path);
    let list: Value = serde_json::from_str(answer(&entries)).unwrap();
    let symbols: Vec<&str> =
        list["products"].as_array().unwrap().iter().map(|p| p["product_id"].as_str().unwrap()).collect();
    let all = coinbase().read_rules(&[answer(&entries)], &symbols).unwrap();
    assert_eq!(all.len(), 920);
    for (i, p) in all.iter().zip(list["products"].as_array().unwrap()) {
        assert_eq!(i.tick.to_string().parse::<domain::Decimal>(), p["price_increment"].as_str().unwrap().parse());
        assert!(i.qty_min <= i.qty_max && i.qty_min.get() > 0, "{}", i.symbol);
    }
}

#[test]
fn the_price_step_is_coarser_than_the_digits_of_quote_and_both_limits_hold() {
    let name = "the_price_step_is_coarser_than_the_digits_of_quote_and_both_limits_hold";
    let Some(one) = fixture(name, "coinbase/http_product.json") else { return };
    let i = coinbase().read_rules(&[&one], &["BTC-USD"]).unwrap().remove(0);
    assert_eq!((i.base.as_str(), i.quote.as_str()), ("BTC", "USD"));
    assert_eq!((i.tick.to_string(), i.lot.to_string()), ("0.01".to_owned(), "0.00000001".to_owned()));
    // base_min_size 0.00000001, base_max_size 3400, quote_min_size 1 in units of 0.01 * 0.00000001.
    assert_eq!((i.qty_min, i.qty_max), (Lots::new(1), Lots::new(340_000_000_000)));
    assert_eq!(i.value_min, TickLots::new(10_000_000_000));
    assert_eq!((i.contract, i.trade, i.book), (Contract::Spot, true, BookRule::PUSHED));
    let coarse = one.replace(r#""price_increment":"0.01""#, r#""price_increment":"0.5""#);
    let i = coinbase().read_rules(&[&coarse], &["BTC-USD"]).unwrap().remove(0);
    assert_eq!(i.tick.to_string(), "0.5", "and not quote_increment");
    assert!(coinbase().read_rules(&[&one], &["ETH-USD"]).unwrap_err().to_string().contains("lacks ETH-USD"));
}

#[test]
fn a_future_is_not_taken_for_spot() {
    let Some(list) = fixture("a_future_is_not_taken_for_spot", "coinbase/http_products_future.json") else { return };
    let error = coinbase().read_rules(&[&list], &["BIP-20DEC30-CDE"]).unwrap_err();
    assert!(error.to_string().contains("not spot"), "{error}");
}

#[test]
fn documented_messages_are_read() {
    let read = |file: &str| {
        let text = fixture("documented_messages_are_read", &format!("coinbase/{file}"))?;
        Some(said(&mut *feed(coinbase(), &[btc()]), &text))
    };
    let Some(book) = read("ws_l2_data_snapshot.json") else { return };
    let [Said::Event(Event::BookSnapshot(book))] = &book[..] else { panic!("{book:?}") };
    assert_eq!((book.bids.len(), book.asks.len()), (3, 3));
    assert_eq!(book.bids[0], Level { price: Ticks::new(6_890_000), qty: Lots::new(150_000_000) });
    assert_eq!(book.ts_venue_ns, 1_775_572_200_123_456_000);
    let Some(delta) = read("ws_l2_data_update.json") else { return };
    let [Said::Event(Event::BookDelta(delta))] = &delta[..] else { panic!("{delta:?}") };
    assert_eq!(delta.asks, [Level { price: Ticks::new(6_890_100), qty: Lots::ZERO }]);
    let Some(quote) = read("ws_ticker.json") else { return };
    let [Said::Event(Event::Quote(quote))] = &quote[..] else { panic!("{quote:?}") };
    assert_eq!((quote.bid.price, quote.ask.qty), (Ticks::new(6_890_000), Lots::new(50_000_000)));
    assert_eq!(read("ws_heartbeats.json"), Some(vec![Said::Alive]));
    assert_eq!(read("ws_subscriptions.json"), Some(vec![Said::Reply(None)]));
    assert_eq!(read("ws_user.json"), Some(vec![Said::Other("unknown channel")]));
    let Some(bars) = read("ws_candles.json") else { return };
    let [Said::Event(Event::Bar(bar))] = &bars[..] else { panic!("{bars:?}") };
    let prices = [bar.open, bar.high, bar.low, bar.close].map(Ticks::get);
    assert_eq!(prices, [6_890_000, 6_895_000, 6_885_000, 6_892_050]);
    assert_eq!((bar.open_ns, bar.last), (1_775_521_800_000_000_000, false));
}
