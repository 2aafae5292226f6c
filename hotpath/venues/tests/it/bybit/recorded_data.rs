//! The recording and fixtures, against figures of another program and a naive book.

use super::*;
use domain::event::{Level, OpenInterest};
use domain::instrument::{BookRule, Contract};
use domain::{Decimal, InstrumentId, Lots, TickLots, Ticks};
use std::collections::BTreeMap;
use venues::adapter::Said;

const SYMBOLS: [&str; 4] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"];

/// The recording and its four instruments under the recorded rules.
fn recording(test: &str) -> Option<(Vec<Instrument>, Vec<venues::recording::Entry>)> {
    let entries = entries(recorded::find(test, RECORDED)?);
    let instruments = linear().read_rules(&[answer(&entries)], &SYMBOLS).unwrap();
    Some((instruments, entries))
}

#[test]
fn the_recorded_connection_gives_the_stated_books() {
    let Some((all, entries)) = recording("the_recorded_connection_gives_the_stated_books") else { return };
    let run = run(linear(), &all, &entries);
    let books = |e: &&Event| matches!(e, Event::BookSnapshot(_) | Event::BookDelta(_));
    assert_eq!(run.events().filter(books).count(), 1598);
    let s = run.stats;
    assert_eq!((s.snapshots, s.diffs_applied), (4, 1594));
    assert_eq!((s.sequence_breaks, s.diffs_ignored, s.gaps, s.crossed), (0, 0, 0, 0));
    assert_eq!(run.said.iter().filter(|s| **s == Said::Reply(None)).count(), 17);

    let mut naive: BTreeMap<String, Naive> = BTreeMap::new();
    for entry in received(&entries) {
        let m: Value = serde_json::from_str(&entry.text).unwrap();
        if !m["topic"].as_str().is_some_and(|t| t.starts_with("orderbook.200.")) {
            continue;
        }
        let book = naive.entry(m["data"]["s"].as_str().unwrap().to_owned()).or_default();
        for (side, name) in ["b", "a"].into_iter().enumerate() {
            m["data"][name].as_array().unwrap().iter().for_each(|l| book.set(side, &l[0], &l[1]));
            // The venue itself takes out what falls off the end: nothing is to be cut here.
            assert_eq!(book.sides[side].len(), 200);
        }
    }
    all.iter().for_each(|i| naive[i.symbol.as_str()].check(&run.books[&i.id], i));
}

#[test]
fn a_lost_change_stops_its_own_book_and_no_other() {
    let Some((all, entries)) = recording("a_lost_change_stops_its_own_book_and_no_other") else { return };
    let is_change = |e: &&venues::recording::Entry| e.text.contains("\"delta\"") && e.text.contains("orderbook.200");
    let changes: Vec<usize> = (0..entries.len()).filter(|n| is_change(&&entries[*n])).collect();
    for lost in [changes[0], changes[200], changes[777], changes[1500]] {
        let mut rest = entries.clone();
        let gone = rest.remove(lost);
        let run = run(linear(), &all, &rest);
        assert_eq!(run.stats.sequence_breaks, 1);
        for i in &all {
            let hit = gone.text.contains(&format!("orderbook.200.{}", i.symbol));
            assert_eq!(run.books[&i.id].is_live(), !hit, "{} without line {lost}", i.symbol);
        }
    }
}

#[test]
fn recorded_trades_all_stand_on_their_takers_side_of_the_spread() {
    let name = "recorded_trades_all_stand_on_their_takers_side_of_the_spread";
    let Some((all, entries)) = recording(name) else { return };
    let run = run(linear(), &all, &entries);
    assert_eq!(run.aggressors(), (327, 0));
    let ids = run.events().filter_map(|e| if let Event::Trade(t) = e { Some(t.trade_id) } else { None });
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 327, "UUIDs stay apart as numbers");
    assert!(ids.iter().all(|id| *id > 0 && i64::try_from(*id).is_ok()));
}

#[test]
fn recorded_tickers_say_only_what_they_carry_and_lose_nothing() {
    let name = "recorded_tickers_say_only_what_they_carry_and_lose_nothing";
    let Some((all, entries)) = recording(name) else { return };
    let run = run(linear(), &all, &entries);
    let count = |is: fn(&Event) -> bool| run.events().filter(|e| is(e)).count();
    // By another program: messages that carry `openInterest`; `fundingRate` or `nextFundingTime`; bars, and finished ones.
    assert_eq!(count(|e| matches!(e, Event::OpenInterest(_))), 20);
    assert_eq!(count(|e| matches!(e, Event::Funding(_))), 6);
    assert_eq!(count(|e| matches!(e, Event::Bar(_))), 75);
    assert_eq!(count(|e| matches!(e, Event::Bar(b) if b.last && b.seconds == 60)), 4);
    for event in run.events() {
        match event {
            Event::OpenInterest(o) => assert!(o.size > Decimal::new(1000, 0), "never jumps to nothing: {o:?}"),
            Event::Mark(m) => assert!(m.mark.is_some() && m.index.is_some(), "{m:?}"),
            Event::Funding(f) => assert!(f.next_ns == 1_786_320_000_000_000_000 && !f.rate.is_zero(), "{f:?}"),
            Event::Quote(q) => assert!(q.bid.price < q.ask.price && q.update_id == 0, "{q:?}"),
            _ => {}
        }
    }
}

#[test]
fn recorded_open_interest_of_both_sides_is_twice_that_of_one_up_to_a_lot() {
    let name = "recorded_open_interest_of_both_sides_is_twice_that_of_one_up_to_a_lot";
    let Some((all, entries)) = recording(name) else { return };
    let old = |text: &str| text.replace("\"singleOpenInterest\"", "\"somethingNew\"");
    let sizes = |rewrite: &dyn Fn(&str) -> String| {
        let mut feed = feed(linear(), &all);
        let mut out = Vec::new();
        received(&entries).for_each(|e| feed.frame(&rewrite(&e.text), &mut out).unwrap());
        let open = |s| if let Said::Event(Event::OpenInterest(o)) = s { Some(o) } else { None };
        out.into_iter().filter_map(open).collect::<Vec<OpenInterest>>()
    };
    // What was said before 2026-06-11 means the same, but the venue rounds the newer field up to a whole lot.
    let (halves, singles) = (sizes(&old), sizes(&str::to_owned));
    assert_eq!((halves.len(), singles.len()), (20, 20));
    for (half, single) in halves.iter().zip(&singles) {
        let i = all.iter().find(|i| i.id == single.instrument).unwrap();
        let rounded = single.size.checked_sub(half.size).unwrap();
        assert!(rounded >= Decimal::ZERO && rounded < i.qty(Lots::new(1)), "{half:?} {single:?}");
    }
}

#[test]
fn recorded_rules_of_linear_contracts_can_all_be_read_and_none_is_traded() {
    let name = "recorded_rules_of_linear_contracts_can_all_be_read_and_none_is_traded";
    let Some((four, entries)) = recording(name) else { return };
    let list: Value = serde_json::from_str(answer(&entries)).unwrap();
    let list = list["result"]["list"].as_array().unwrap();
    let symbols: Vec<&str> = list.iter().map(|i| i["symbol"].as_str().unwrap()).collect();
    let all = linear().read_rules(&[answer(&entries)], &symbols).unwrap();
    assert_eq!(all.len(), 800);
    assert!(all.iter().all(|i| !i.trade && i.qty_min.get() > 0 && i.qty_min < i.qty_max));
    let btc = &four[0];
    // tickSize 0.10, qtyStep 0.001, maxOrderQty 1500.000, minNotionalValue 5 in units of 0.1 * 0.001.
    assert_eq!((btc.tick.to_string(), btc.lot.to_string()), ("0.1".to_owned(), "0.001".to_owned()));
    assert_eq!((btc.qty_min, btc.qty_max), (Lots::new(1), Lots::new(1_500_000)));
    assert_eq!(btc.value_min, TickLots::new(50_000));
    assert_eq!((btc.contract, btc.book), (Contract::Linear(Decimal::new(1, 0)), BookRule::PUSHED));
    assert!(spot().read_rules(&[answer(&entries)], &SYMBOLS).is_err(), "the same symbols trade on spot");
}

#[test]
fn documented_messages_are_read() {
    let read = |file: &str| {
        let text = fixture("documented_messages_are_read", &format!("bybit/{file}"))?;
        Some(said(&mut *feed(linear(), &[btc()]), &text))
    };
    let Some(got) = read("ws_orderbook_snapshot.json") else { return };
    let [Said::Event(Event::Quote(quote))] = &got[..] else { panic!("{got:?}") };
    assert_eq!(quote.bid, Level { price: Ticks::new(2_745_000), qty: Lots::new(500) });
    assert_eq!((quote.ask.price, quote.update_id), (Ticks::new(2_745_100), 0));
    assert_eq!(read("ws_orderbook_delta.json"), Some(vec![Said::Other("best prices of one side only")]));
    assert_eq!(read("ws_public_trade.json"), Some(vec![Said::Other("unknown topic")]), "of an older version");
    assert_eq!(read("ws_ticker_option.json"), Some(vec![Said::Other("unknown symbol")]));
    assert_eq!(read("ws_subscription_ack.json"), Some(vec![Said::Reply(None)]));
    let complaint = "Invalid topic: invalid.topic.BTCUSDT".to_owned();
    assert_eq!(read("ws_subscription_failure.json"), Some(vec![Said::Reply(Some(complaint))]));
    let Some(got) = read("ws_kline.json") else { return };
    let [Said::Event(Event::Bar(bar))] = &got[..] else { panic!("{got:?}") };
    assert_eq!((bar.seconds, bar.open_ns, bar.last), (300, 1_672_324_800_000_000_000, false));
    assert_eq!([bar.open, bar.high, bar.low, bar.close].map(Ticks::get), [1_664_950, 1_667_700, 1_660_800, 1_667_700]);
    let Some(got) = read("ws_ticker_linear.json") else { return };
    let size = got.iter().find_map(|s| if let Said::Event(Event::OpenInterest(o)) = s { Some(o.size) } else { None });
    assert_eq!(size, Some(Decimal::parse("34372.3805").unwrap()), "half of 68744.761");
    assert_eq!(got.len(), 4, "best prices, mark, funding, open interest: {got:?}");
}

#[test]
fn spot_rules_go_by_value_and_not_by_the_old_least_size() {
    let name = "spot_rules_go_by_value_and_not_by_the_old_least_size";
    let Some(text) = fixture(name, "bybit/http_get_instruments_spot.json") else { return };
    let i = spot().read_rules(&[&text], &["ETHUSDT", "BTCUSDT"]).unwrap().remove(1);
    assert_eq!((i.id, i.base.as_str(), i.quote.as_str()), (InstrumentId(1), "BTC", "USDT"));
    assert_eq!((i.tick.to_string(), i.lot.to_string()), ("0.1".to_owned(), "0.0001".to_owned()));
    // minOrderAmt 10 in units of 0.1 * 0.0001; minOrderQty 0.001 is no longer in force.
    assert_eq!((i.value_min, i.qty_min), (TickLots::new(1_000_000), Lots::new(1)));
    assert_eq!(i.qty_max, Lots::new(1_000_000), "maxOrderQty, where the newer limit is not said");
    assert_eq!((i.contract, i.trade), (Contract::Spot, true));
    let newer = text.replace(r#""maxOrderQty": "100.0""#, r#""maxOrderQty": "100.0", "maxLimitOrderQty": "83""#);
    assert_eq!(spot().read_rules(&[&newer], &["BTCUSDT"]).unwrap()[0].qty_max, Lots::new(830_000));
    let halted = text.replace("\"Trading\"", "\"PreLaunch\"");
    assert!(!spot().read_rules(&[&halted], &["BTCUSDT"]).unwrap()[0].trade);
}

#[test]
fn a_book_that_was_asked_for_has_no_number_that_a_change_fits_on() {
    let name = "a_book_that_was_asked_for_has_no_number_that_a_change_fits_on";
    let Some(text) = fixture(name, "bybit/http_get_orderbook.json") else { return };
    let book = linear().read_book(&text, &btc()).unwrap();
    assert_eq!((book.last_id, book.bids.len(), book.asks.len()), (0, 3, 3));
    assert_eq!(book.bids[0], Level { price: Ticks::new(2_745_050), qty: Lots::new(1500) });
    assert_eq!(book.ts_venue_ns, 1_709_891_679_000_000_000);
    let other = instrument(0, "bybit-linear", "ETHUSDT", "0.01", "0.001");
    assert!(linear().read_book(&text, &other).is_err());
}
