//! What programs that read this venue fell into.

use super::*;
use domain::event::{Allowed, Level};
use domain::{Event, InstrumentId, Lots, Side, Ticks};
use engine::book::Book;
use engine::stats::BookStats;
use venues::adapter::Said;

#[test]
fn the_largest_recorded_book_fits_our_frames() {
    let Some(path) = recorded::find("the_largest_recorded_book_fits_our_frames", RECORDED) else { return };
    let largest = received(&entries(path)).map(|e| e.text.len()).max().unwrap();
    assert!(largest > 5_000_000 && 10 * largest < venues::transport::FRAME_MAX, "{largest}");
}

#[test]
fn offers_are_asks_and_the_channel_level2_is_called_l2_data_in_messages() {
    let subscribed = coinbase().connections(&coinbase().endpoints(), &[btc()]);
    assert!(subscribed[0].first[0].contains(r#""channel":"level2""#));
    let mut feed = feed(coinbase(), &[btc()]);
    let got = events(&mut *feed, &l2(0, "snapshot", "BTC-USD", &BOOK));
    let Event::BookSnapshot(book) = &got[0] else { panic!("{got:?}") };
    assert_eq!(book.asks, [Level { price: Ticks::new(10_100), qty: Lots::new(200_000_000) }]);
    assert_eq!(
        said(&mut *feed, &l2(1, "update", "BTC-USD", &[("ask", "101.00", "2")])),
        [
            Said::Event(Event::BookGap {
                instrument: InstrumentId(0),
                reason: domain::event::note("unreadable change")
            }),
            Said::Other("unknown book side")
        ],
        "a side we do not know is no guess, and the book has lost something"
    );
}

fn is_gap(said: &Said, id: u16) -> bool {
    matches!(said, Said::Event(Event::BookGap { instrument, .. }) if *instrument == InstrumentId(id))
}

#[test]
fn a_gap_in_the_count_is_one_of_every_book_of_the_connection_and_of_no_other() {
    let sol = instrument(2, "coinbase", "SOL-USD", "0.01", "0.00000001");
    let mut feed = feed(coinbase(), &[btc(), eth(), sol]);
    events(&mut *feed, &l2(0, "snapshot", "BTC-USD", &BOOK));
    events(&mut *feed, &l2(1, "snapshot", "ETH-USD", &BOOK));
    // 2 is lost; what shows it is of another channel.
    let got = said(&mut *feed, &message("heartbeats", 3, &json!([{"heartbeat_counter": "7"}])));
    assert_eq!(got.len(), 3);
    assert!(is_gap(&got[0], 0) && is_gap(&got[1], 1) && got[2] == Said::Alive, "{got:?}");
    // It goes on from the new number, and the whole book that follows heals.
    assert_eq!(events(&mut *feed, &l2(4, "snapshot", "BTC-USD", &BOOK)).len(), 1);
}

#[test]
fn a_message_that_comes_again_or_late_is_dropped_and_counted() {
    let mut feed = feed(coinbase(), &[btc()]);
    for n in [5, 6, 7] {
        events(&mut *feed, &l2(n, "snapshot", "BTC-USD", &BOOK));
    }
    for old in [7, 5] {
        let text = l2(old, "update", "BTC-USD", &[("bid", "100.00", "9")]);
        assert_eq!(said(&mut *feed, &text), [Said::Other("old message")]);
    }
    assert_eq!(events(&mut *feed, &l2(8, "update", "BTC-USD", &BOOK)).len(), 1);
    assert!(is_gap(&said(&mut *feed, &l2(0, "snapshot", "BTC-USD", &BOOK))[0], 0), "a count that starts anew");
}

#[test]
fn a_gap_where_no_book_was_is_counted() {
    let mut feed = feed(coinbase(), &[btc()]);
    events(&mut *feed, &trades(0, "snapshot", &[trade("7", "BUY")]));
    assert_eq!(said(&mut *feed, &trades(2, "update", &[trade("8", "BUY")]))[0], Said::Other("lost messages"));
}

#[test]
fn a_change_that_cannot_be_read_costs_its_book_only() {
    let mut feed = feed(coinbase(), &[btc(), eth()]);
    let (mut book, mut stats) = (Book::new(&eth()), BookStats::default());
    events(&mut *feed, &l2(0, "snapshot", "BTC-USD", &BOOK));
    let got = events(&mut *feed, &l2(1, "snapshot", "ETH-USD", &BOOK));
    let Event::BookSnapshot(whole) = &got[0] else { panic!("{got:?}") };
    assert!(book.on_snapshot(1, whole, &mut stats).applied);
    let update = |product, price| json!({"type": "update", "product_id": product, "updates": [{"side": "bid", "price_level": price, "new_quantity": "1"}]});
    let mut out = Vec::new();
    let both = message("l2_data", 2, &json!([update("BTC-USD", "0.001"), update("ETH-USD", "99.00")]));
    assert!(feed.frame(&both, &mut out).is_err());
    assert!(is_gap(&out[0], 0) && out.len() == 2, "{out:?}");
    let Said::Event(Event::BookDelta(delta)) = &out[1] else { panic!("{out:?}") };
    assert!(book.on_delta(2, delta, &mut stats).applied, "the other book goes on");
    // A message cut short has no number; the next one shows that it is missing.
    assert!(feed.frame(&both[..both.len() / 2], &mut Vec::new()).is_err());
    let got = said(&mut *feed, &message("heartbeats", 4, &json!([])));
    assert!(is_gap(&got[0], 0) && is_gap(&got[1], 1), "{got:?}");
}

#[test]
fn ids_of_a_book_are_contiguous_whatever_lies_between_its_messages() {
    let mut feed = feed(coinbase(), &[btc(), eth()]);
    let mut ids = Vec::new();
    let mut keep = |got: Vec<Event>| match &got[0] {
        Event::BookSnapshot(b) => ids.push((b.last_id, b.last_id)),
        Event::BookDelta(d) => ids.push((d.first_id, d.last_id)),
        other => panic!("{other:?}"),
    };
    keep(events(&mut *feed, &l2(100, "snapshot", "BTC-USD", &BOOK)));
    events(&mut *feed, &l2(101, "snapshot", "ETH-USD", &BOOK));
    keep(events(&mut *feed, &l2(102, "update", "BTC-USD", &BOOK)));
    events(&mut *feed, &trades(103, "update", &[trade("1", "BUY")]));
    keep(events(&mut *feed, &l2(104, "update", "BTC-USD", &BOOK)));
    assert!(ids.windows(2).all(|two| two[1].0 == two[0].1 + 1), "{ids:?}");
    assert!(ids[0].0 > 1, "no first change fits on a book that was asked for, which has number 0");
}

#[test]
fn every_connection_hears_heartbeats_and_renewing_a_book_subscribes_it_anew() {
    let all: Vec<Instrument> =
        (0..20).map(|n| instrument(n, "coinbase", &format!("C{n}-USD"), "0.01", "0.01")).collect();
    let connections = coinbase().connections(&coinbase().endpoints(), &all);
    assert!(connections.len() <= 8, "so many may be opened in one second");
    let mut books = Vec::new();
    for c in &connections {
        let said: Vec<Value> = c.first.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert!(said.iter().all(|m| m["type"] == "subscribe" && m["channel"].is_string()), "one channel a message");
        assert!(said.iter().any(|m| m["channel"] == "heartbeats"));
        let of_books = said.iter().filter(|m| m["channel"] == "level2");
        books.extend(of_books.flat_map(|m| m["product_ids"].as_array().unwrap().clone()));
        assert!(said.len() <= 8, "messages in one second");
    }
    assert_eq!(books.len(), 20, "each book once");
    let renewed: Vec<Value> = coinbase().renew(&btc()).iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    assert_eq!(renewed[0], json!({"type": "unsubscribe", "product_ids": ["BTC-USD"], "channel": "level2"}));
    assert_eq!(renewed[1], json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "level2"}));
}

#[test]
fn trades_that_are_missing_are_noticed_and_repeated_ones_dropped() {
    let mut feed = feed(coinbase(), &[btc()]);
    // Newest first, as in recorded snapshots.
    let got = events(&mut *feed, &trades(0, "snapshot", &[trade("12", "BUY"), trade("11", "SELL")]));
    let read = got.iter().map(|e| if let Event::Trade(t) = e { (t.trade_id, t.aggressor) } else { panic!("{e:?}") });
    assert_eq!(read.collect::<Vec<_>>(), [(11, Side::Buy), (12, Side::Sell)], "`side` is who was resting");
    let got = said(&mut *feed, &trades(1, "snapshot", &[trade("13", "BUY"), trade("12", "BUY")]));
    assert_eq!(got[0], Said::Other("repeated trade"));
    assert!(matches!(got[1], Said::Event(Event::Trade(_))) && got.len() == 2);
    let got = said(&mut *feed, &trades(2, "update", &[trade("15", "BUY")]));
    assert_eq!(got[0], Said::Other("trades missing"));
    assert!(matches!(got[1], Said::Event(Event::Trade(t)) if t.trade_id == 15));
    let got = said(&mut *feed, &trades(3, "update", &[trade("16", "UNKNOWN_ORDER_SIDE")]));
    assert_eq!(got, [Said::Other("unknown trade side")]);
}

#[test]
fn bars_are_put_in_order_asked_for_in_seconds_and_no_more_than_350() {
    let name = "bars_are_put_in_order_asked_for_in_seconds_and_no_more_than_350";
    let Some(text) = fixture(name, "coinbase/http_candles.json") else { return };
    let bars = coinbase().read_bars(&text, &btc(), 3600).unwrap();
    let got: Vec<_> = bars.iter().map(|b| (b.open_ns / 1_000_000_000, b.open.get(), b.low.get(), b.last)).collect();
    assert_eq!(got, [(1_712_188_800, 6_598_418, 6_585_735, true), (1_712_192_400, 6_631_240, 6_605_514, false)]);
    assert_eq!(bars[1].volume, Lots::new(35_582_896_243));
    let s = 1_000_000_000;
    let path = |seconds, from: u64, to: u64| coinbase().bars_request(&btc(), seconds, from * s, to * s).map(|r| r.path);
    let base = "/api/v3/brokerage/market/products/BTC-USD/candles";
    let want = format!("{base}?start=1712188800&end=1712195999&granularity=ONE_HOUR&limit=350");
    assert_eq!(path(3600, 1_712_188_800, 1_712_196_000), Some(want));
    // 350 minutes from 61 rounded up to a whole minute.
    let want = format!("{base}?start=120&end=21119&granularity=ONE_MINUTE&limit=350");
    assert_eq!(path(60, 61, 1_000_000), Some(want));
    assert_eq!(path(10, 0, 100), None);
}

#[test]
fn a_bar_of_the_stream_has_ended_once_a_later_one_is_there() {
    let mut feed = feed(coinbase(), &[btc()]);
    let mut say = |n, candles: &[Value]| {
        let got = events(&mut *feed, &message("candles", n, &json!([{"type": "update", "candles": candles}])));
        let bar = |e| {
            if let Event::Bar(b) = e { (b.open_ns / 1_000_000_000, b.close.get(), b.last) } else { panic!("{e:?}") }
        };
        got.into_iter().map(bar).collect::<Vec<_>>()
    };
    assert_eq!(say(0, &[candle("300", "5.00")]), [(300, 500, false)]);
    assert_eq!(say(1, &[candle("300", "6.00")]), [(300, 600, false)]);
    assert_eq!(say(2, &[candle("600", "7.00")]), [(300, 600, true), (600, 700, false)]);
    assert_eq!(say(3, &[candle("900", "8.00"), candle("600", "7.50")]), [(600, 750, true), (900, 800, false)]);
    assert_eq!(say(4, &[candle("300", "6.50")]), [(300, 650, true)], "an old one that changes late");
}

#[test]
fn what_a_market_allows_is_followed_and_new_words_are_counted() {
    let mut feed = feed(coinbase(), &[btc()]);
    let mut sequence = 0;
    let mut say = |product: Value| {
        let text = message("status", sequence, &json!([{"type": "snapshot", "products": [product]}]));
        sequence += 1;
        said(&mut *feed, &text).into_iter().next()
    };
    let cases = [
        (json!({"id": "BTC-USD", "status": "online", "cancel_only": false, "post_only": false}), Allowed::All),
        (json!({"id": "BTC-USD", "status": "online", "post_only": true}), Allowed::PostOnly),
        (json!({"id": "BTC-USD", "status": "online", "limit_only": true}), Allowed::PostOnly),
        (json!({"id": "BTC-USD", "status": "online", "auction_mode": true}), Allowed::CancelOnly),
        (json!({"id": "BTC-USD", "status": "online", "cancel_only": true, "post_only": true}), Allowed::CancelOnly),
        (json!({"id": "BTC-USD", "status": "online", "trading_disabled": true}), Allowed::Nothing),
        (json!({"id": "BTC-USD", "status": "delisted"}), Allowed::Nothing),
    ];
    for (product, allowed) in cases {
        let Some(Said::Event(Event::Status(got))) = say(product.clone()) else { panic!("{product}") };
        assert_eq!((got.instrument, got.allowed), (Some(InstrumentId(0)), allowed), "{product}");
    }
    let bare = json!({"id": "BTC-USD", "status": "online"});
    assert_eq!(say(bare), Some(Said::Alive), "it must not undo what the flags said elsewhere");
    assert_eq!(say(json!({"id": "BTC-USD", "status": "dreaming"})), Some(Said::Other("unknown product status")));
    assert_eq!(say(json!({"id": "XYZ-USD", "status": "online"})), None, "of products we do not follow");
}

#[test]
fn a_pair_with_usdc_gets_the_data_of_the_pair_with_usd() {
    let usdc = instrument(3, "coinbase", "BTC-USDC", "0.01", "0.00000001");
    let got = events(&mut *feed(coinbase(), std::slice::from_ref(&usdc)), &l2(0, "snapshot", "BTC-USD", &BOOK));
    assert!(matches!(&got[..], [Event::BookSnapshot(b)] if b.instrument == InstrumentId(3)), "{got:?}");
    assert!(coinbase().renew(&usdc)[0].contains(r#"["BTC-USD"]"#));
    // Both at once share one subscription, and each gets all.
    let both = [usdc, btc()];
    let got = events(&mut *feed(coinbase(), &both), &l2(0, "snapshot", "BTC-USD", &BOOK));
    assert_eq!(got.len(), 2);
    let connections = coinbase().connections(&coinbase().endpoints(), &both);
    assert_eq!(connections.len(), 2, "one of books and one of all the rest");
    assert!(connections[0].first[0].contains(r#"["BTC-USD"]"#));
    assert_eq!(connections[0].instruments.len(), 2);
    let own = instrument(4, "coinbase", "USDT-USDC", "0.0001", "0.01");
    let got = said(&mut *feed(coinbase(), &[own]), &l2(0, "snapshot", "USDT-USD", &BOOK));
    assert_eq!(got, [Said::Other("unknown symbol")], "a book of its own");
}

#[test]
fn the_recorded_aliases_are_those_we_assume() {
    let Some(path) = recorded::find("the_recorded_aliases_are_those_we_assume", RECORDED) else { return };
    let entries = entries(path);
    let list: Value = serde_json::from_str(answer(&entries)).unwrap();
    for p in list["products"].as_array().unwrap() {
        let symbol = p["product_id"].as_str().unwrap();
        let alias = p["alias"].as_str().filter(|a| !a.is_empty()).unwrap_or(symbol);
        let i = instrument(0, "coinbase", symbol, "0.01", "0.01");
        assert!(coinbase().renew(&i)[1].contains(&format!("[\"{alias}\"]")), "{symbol} is {alias}");
    }
}

#[test]
fn a_book_and_the_time_are_read_from_answers() {
    let Some(text) = fixture("a_book_and_the_time_are_read_from_answers", "coinbase/http_product_book.json") else {
        return;
    };
    let book = coinbase().read_book(&text, &btc()).unwrap();
    assert_eq!((book.last_id, book.bids.len(), book.asks.len()), (0, 5, 5));
    assert_eq!(book.bids[1], Level { price: Ticks::new(6_892_300), qty: Lots::new(5_795_895) });
    assert!(coinbase().read_book(&text, &eth()).is_err(), "of another product");
    let time = r#"{"iso":"2026-11-20T10:00:00Z","epochSeconds":"1795168800","epochMillis":"1795168800123"}"#;
    assert_eq!(coinbase().read_time(time).unwrap(), 1_795_168_800_123_000_000);
}

#[test]
fn complaints_and_strange_messages_are_told_apart() {
    let mut feed = feed(coinbase(), &[btc()]);
    let error = r#"{"type":"error","message":"authentication failure"}"#;
    assert_eq!(said(&mut *feed, error), [Said::Reply(Some("authentication failure".to_owned()))]);
    assert_eq!(said(&mut *feed, "{}"), [Said::Other("message without channel")]);
    assert_eq!(said(&mut *feed, r#"{"type":"received"}"#), [Said::Other("unknown message")]);
    assert_eq!(said(&mut *feed, &message("futures", 0, &json!([]))), [Said::Other("unknown channel")]);
    let batch = json!([{"tickers": [{"type": "ticker", "product_id": "BTC-USD", "price": "1"}]}]);
    assert_eq!(said(&mut *feed, &message("ticker_batch", 1, &batch)), [Said::Other("ticker without best prices")]);
    assert!(feed.frame("<html>503</html>", &mut Vec::new()).is_err());
}

#[test]
fn symbols_are_found_in_frames_and_addresses() {
    let of = |text: &str| coinbase().symbols_in(text);
    assert_eq!(of(&l2(0, "update", "BTC-USD", &BOOK)), ["BTC-USD"]);
    assert_eq!(of("https://api.coinbase.com/api/v3/brokerage/market/products/ETH-USD/candles?start=1"), ["ETH-USD"]);
    assert_eq!(of("/api/v3/brokerage/market/product_book?product_id=ETH-USD&limit=9"), ["ETH-USD"]);
    assert!(of(&message("heartbeats", 0, &json!([]))).is_empty());
}
