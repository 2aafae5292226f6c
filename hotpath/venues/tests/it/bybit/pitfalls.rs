//! What programs that read this venue fell into.

use super::*;
use domain::event::{Bar, Level, OpenInterest};
use domain::{Decimal, InstrumentId, Lots, Side, Ticks};
use engine::book::Book;
use engine::stats::BookStats;
use venues::adapter::{Feed, Said};

const BOOK: &str = "orderbook.200";
const BID: [[&str; 2]; 1] = [["100.00", "1"]];
const ASK: [[&str; 2]; 1] = [["101.00", "1"]];

struct Line {
    feed: Box<dyn Feed>,
    book: Book,
    stats: BookStats,
}

impl Line {
    fn new() -> Line {
        Line { feed: feed(linear(), &[btc()]), book: Book::new(&btc()), stats: BookStats::default() }
    }
    fn hear(&mut self, text: &str) {
        for event in events(&mut *self.feed, text) {
            let _news = match event {
                Event::BookSnapshot(b) => self.book.on_snapshot(1, &b, &mut self.stats),
                Event::BookDelta(d) => self.book.on_delta(1, &d, &mut self.stats),
                other => panic!("{other:?}"),
            };
        }
    }
    fn bids(&self) -> Vec<(i64, u64)> {
        self.book.bids().iter().map(|l| (l.price.get(), l.qty.get())).collect()
    }
}

#[test]
fn a_whole_book_in_mid_stream_replaces_all_and_may_count_anew() {
    let mut line = Line::new();
    line.hear(&book(BOOK, "snapshot", 500, &[["100.00", "1"], ["99.00", "2"]], &ASK));
    line.hear(&book(BOOK, "delta", 501, &[["98.00", "3"]], &[]));
    line.hear(&book(BOOK, "snapshot", 1, &[["90.00", "4"]], &ASK));
    assert_eq!(line.bids(), [(9000, 4000)], "no ghosts");
    line.hear(&book(BOOK, "delta", 2, &[["91.00", "5"]], &[]));
    assert!(line.book.is_live() && line.book.last_id() == 2);
}

#[test]
fn changes_in_any_order_leave_a_sorted_book_and_unknown_levels_can_go() {
    let mut line = Line::new();
    line.hear(&book(BOOK, "snapshot", 5, &BID, &ASK));
    line.hear(&book(BOOK, "delta", 6, &[["99.00", "2"], ["100.50", "3"], ["97.00", "4"], ["12.00", "0"]], &[]));
    assert_eq!(line.bids(), [(10_050, 3000), (10_000, 1000), (9900, 2000), (9700, 4000)]);
    assert!(line.book.is_live());
}

#[test]
fn a_missing_change_is_a_gap_and_a_repeated_one_is_none() {
    let mut line = Line::new();
    line.hear(&book(BOOK, "snapshot", 5, &BID, &ASK));
    line.hear(&book(BOOK, "delta", 6, &[["99.00", "2"]], &[]));
    line.hear(&book(BOOK, "delta", 6, &[["99.00", "9"]], &[]));
    assert_eq!((line.bids()[1], line.stats.diffs_ignored, line.stats.sequence_breaks), ((9900, 2000), 1, 0));
    line.hear(&book(BOOK, "delta", 8, &[], &[]));
    assert!(!line.book.is_live() && line.stats.sequence_breaks == 1);
    let renewed = linear().renew(&btc());
    assert_eq!(renewed[0], r#"{"args":["orderbook.200.BTCUSDT"],"op":"unsubscribe"}"#);
    assert_eq!(renewed[1], r#"{"args":["orderbook.200.BTCUSDT"],"op":"subscribe"}"#);
    line.hear(&book(BOOK, "snapshot", 9, &BID, &ASK));
    assert!(line.book.is_live());
}

#[test]
fn best_prices_with_the_same_number_again_are_no_gap_and_two_depths_do_not_mix() {
    let mut feed = feed(spot(), &[btc()]);
    for _ in 0..2 {
        let got = events(&mut *feed, &book("orderbook.1", "snapshot", 7, &BID, &ASK));
        let Event::Quote(q) = &got[0] else { panic!("{got:?}") };
        assert_eq!((q.bid.price, q.ask.price), (Ticks::new(10_000), Ticks::new(10_100)));
    }
    assert_eq!(events(&mut *feed, &book("orderbook.200", "snapshot", 900, &BID, &ASK)).len(), 1);
    let got = said(&mut *feed, &book("orderbook.50", "delta", 31, &BID, &ASK));
    assert_eq!(got, [Said::Other("another depth of book")]);
    let got = said(&mut *feed, &book("orderbook.full", "delta", 31, &BID, &ASK));
    assert_eq!(got, [Said::Other("unknown depth of book")]);
}

#[test]
fn a_book_that_cannot_be_read_does_not_decide_which_depth_counts() {
    let mut feed = feed(spot(), &[btc()]);
    let broken = book("orderbook.50", "snapshot", 7, &BID, &ASK).replace("\"u\"", "\"w\"");
    assert!(feed.frame(&broken, &mut Vec::new()).is_err());
    assert_eq!(events(&mut *feed, &book("orderbook.200", "snapshot", 900, &BID, &ASK)).len(), 1);
}

#[test]
fn best_prices_follow_changes_of_the_one_level_stream() {
    let mut feed = feed(spot(), &[btc()]);
    events(&mut *feed, &book("orderbook.1", "snapshot", 7, &BID, &ASK));
    let got = events(&mut *feed, &book("orderbook.1", "delta", 8, &[["100.00", "0"], ["99.50", "2"]], &[]));
    let Event::Quote(q) = &got[0] else { panic!("{got:?}") };
    assert_eq!((q.bid.price, q.bid.qty, q.ask.price), (Ticks::new(9950), Lots::new(2000), Ticks::new(10_100)));
    let got = said(&mut *feed, &book("orderbook.1", "delta", 9, &[["99.50", "0"]], &[]));
    assert_eq!(got, [Said::Other("best prices of one side only")]);
}

#[test]
fn a_book_is_dated_by_its_matching_and_members_may_stand_in_any_order() {
    let mut feed = feed(linear(), &[btc()]);
    let texts = [
        r#"{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":9,"data":{"s":"BTCUSDT","b":[],"a":[],"u":3,"seq":1},"cts":7}"#,
        r#"{"topic":"orderbook.200.BTCUSDT","ts":"9","type":"delta","data":{"s":"BTCUSDT","b":[],"a":[],"u":3,"seq":1},"cts":"7"}"#,
        r#"{"cts":7,"data":{"seq":1,"u":3,"a":[],"b":[],"s":"BTCUSDT"},"ts":9,"type":"delta","topic":"orderbook.200.BTCUSDT"}"#,
    ];
    for text in texts {
        let got = events(&mut *feed, text);
        assert!(
            matches!(&got[..], [Event::BookDelta(d)] if d.ts_venue_ns == 7_000_000 && d.first_id == 3 && d.last_id == 3)
        );
    }
}

#[test]
fn what_a_ticker_leaves_out_stays_as_it_was() {
    let mut feed = feed(linear(), &[btc()]);
    let all = json!({"markPrice": "10.5", "indexPrice": "10.4", "openInterest": "100", "singleOpenInterest": "50",
        "fundingRate": "0.0001", "nextFundingTime": "1673280000000", "bid1Price": "10", "bid1Size": "1",
        "ask1Price": "11", "ask1Size": "2", "preOpenPrice": ""});
    assert_eq!(events(&mut *feed, &ticker("snapshot", &all)).len(), 4);
    let got = events(&mut *feed, &ticker("delta", &json!({"bid1Size": "3"})));
    let Event::Quote(q) = &got[0] else { panic!("{got:?}") };
    assert_eq!(got.len(), 1, "open interest is not said, so it is no event");
    assert_eq!((q.bid, q.ask.price), (Level { price: Ticks::new(1000), qty: Lots::new(3000) }, Ticks::new(1100)));
    let got = events(&mut *feed, &ticker("delta", &json!({"indexPrice": "10.6", "markPrice": ""})));
    let Event::Mark(m) = &got[0] else { panic!("{got:?}") };
    assert_eq!((m.mark, m.index), (Decimal::parse("10.5").ok(), Decimal::parse("10.6").ok()));
    let got = events(&mut *feed, &ticker("delta", &json!({"nextFundingTime": "1673308800000"})));
    let Event::Funding(f) = &got[0] else { panic!("{got:?}") };
    assert_eq!((f.rate, f.next_ns), (Decimal::parse("0.0001").unwrap(), 1_673_308_800_000_000_000));
    let got = said(&mut *feed, &ticker("delta", &json!({"turnover24h": "5"})));
    assert_eq!(got, [Said::Other("ticker of nothing we follow")]);
    // A whole ticker forgets what was before.
    let got = said(&mut *feed, &ticker("snapshot", &json!({"bid1Size": "3"})));
    assert_eq!(got, [Said::Other("ticker of nothing we follow")]);
}

#[test]
fn a_liquidation_that_says_buy_closed_a_long() {
    let mut feed = feed(linear(), &[btc()]);
    let item = |side| json!({"T": 5, "s": "BTCUSDT", "S": side, "v": "0.003", "p": "43511.70"});
    let text = list("allLiquidation.BTCUSDT", &json!([item("Buy"), item("Sell")]));
    let got = events(&mut *feed, &text);
    let held = got.iter().map(|e| if let Event::Liquidation(l) = e { (l.liquidated, l.qty) } else { panic!("{e:?}") });
    assert_eq!(held.collect::<Vec<_>>(), [(Side::Buy, Lots::new(3)), (Side::Sell, Lots::new(3))]);
}

#[test]
fn open_interest_counts_each_position_once() {
    let mut feed = feed(linear(), &[btc()]);
    let mut size = |fields: Value| match &events(&mut *feed, &ticker("delta", &fields))[..] {
        [Event::OpenInterest(OpenInterest { size, .. })] => size.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(size(json!({"openInterest": "59891.732", "singleOpenInterest": "29945.866"})), "29945.866");
    assert_eq!(size(json!({"singleOpenInterest": "29945.9"})), "29945.9");
    assert_eq!(size(json!({"openInterest": "59891.731"})), "29945.8655");
}

#[test]
fn bars_are_put_in_order_and_those_of_another_line_are_refused() {
    let row = |start: u64| json!([start.to_string(), "27450", "27460", "27440", "27455", "123.45", "3390000"]);
    let answer = |category: &str| {
        let result =
            json!({"category": category, "symbol": "BTCUSDT", "list": [row(180_000), row(120_000), row(60_000)]});
        json!({"retCode": 0, "retMsg": "OK", "result": result, "time": 239_999}).to_string()
    };
    let bars = linear().read_bars(&answer("linear"), &btc(), 60).unwrap();
    let got: Vec<(u64, bool)> = bars.iter().map(|b| (b.open_ns / 1_000_000_000, b.last)).collect();
    assert_eq!(got, [(60, true), (120, true), (180, false)], "the newest ends a millisecond later");
    assert_eq!(
        [bars[0].open, bars[0].high, bars[0].low, bars[0].close].map(Ticks::get),
        [2_745_000, 2_746_000, 2_744_000, 2_745_500]
    );
    assert!(spot().read_bars(&answer("linear"), &btc(), 60).is_err());
    let request =
        |adapter: &dyn Adapter, seconds| adapter.bars_request(&btc(), seconds, 60_000_000_000, 180_000_000_000);
    let want = "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&start=60000&end=179999&limit=1000";
    assert_eq!(request(spot(), 60).unwrap().path, want);
    assert!(request(linear(), 86_400).unwrap().path.contains("category=linear&symbol=BTCUSDT&interval=D&"));
    assert_eq!(request(spot(), 1), None, "there are no bars of a second");
}

#[test]
fn bars_of_the_stream_end_when_they_are_confirmed() {
    let mut feed = feed(linear(), &[btc()]);
    for (interval, seconds) in [("1", 60), ("240", 14_400), ("D", 86_400), ("W", 604_800)] {
        for confirm in [false, true] {
            let text = list(&format!("kline.{interval}.BTCUSDT"), &json!([kline(interval, confirm)]));
            let got = events(&mut *feed, &text);
            assert!(
                matches!(&got[..], [Event::Bar(Bar { seconds: s, last, .. })] if *s == seconds && *last == confirm)
            );
        }
    }
    let got = said(&mut *feed, &list("kline.M.BTCUSDT", &json!([kline("M", true)])));
    assert_eq!(got, [Said::Other("unknown length of bar")]);
}

#[test]
fn no_subscription_has_more_than_ten_topics_and_each_is_there_once() {
    let symbols = (0..45).map(|n| instrument(n, "bybit", &format!("C{n}USDT"), "0.01", "0.01"));
    let all: Vec<Instrument> = symbols.collect();
    for (adapter, path, per_symbol) in [(spot(), "spot", 4), (linear(), "linear", 5)] {
        let (mut topics, mut ids) = (Vec::new(), Vec::new());
        for c in adapter.connections(&adapter.endpoints(), &all) {
            assert_eq!(c.url, format!("wss://stream.bybit.com/v5/public/{path}"));
            ids.extend(c.instruments);
            let before = topics.len();
            for text in c.first {
                let message: Value = serde_json::from_str(&text).unwrap();
                let args = message["args"].as_array().unwrap();
                assert!(message["op"] == "subscribe" && args.len() <= 10);
                topics.extend(args.iter().map(|a| a.as_str().unwrap().to_owned()));
            }
            assert!(topics[before..].iter().map(|t| t.len() + 3).sum::<usize>() <= 21_000);
        }
        assert_eq!(ids, all.iter().map(|i| i.id).collect::<Vec<_>>());
        topics.sort();
        topics.dedup();
        assert_eq!(topics.len(), 45 * per_symbol);
    }
}

#[test]
fn we_ping_and_both_shapes_of_the_answer_are_understood() {
    let (every, text) = linear().discipline().ping.unwrap();
    assert_eq!((every.as_secs(), text.as_str()), (20, r#"{"op":"ping"}"#));
    assert!(linear().discipline().silence > every, "an answer is due by then");
    let mut feed = feed(linear(), &[btc()]);
    let pongs = [
        r#"{"success":true,"ret_msg":"pong","conn_id":"0970e817","op":"ping"}"#,
        r#"{"op":"pong","args":["1675418560633"]}"#,
        r#"{"req_id":"1","op":"pong","args":["1675418560633"],"conn_id":"cfcb4ocsvfriu23r3er0-1b"}"#,
    ];
    for pong in pongs {
        assert_eq!(said(&mut *feed, pong), [Said::Alive], "{pong}");
    }
    assert_eq!(said(&mut *feed, "{}"), [Said::Other("unknown message")]);
}

#[test]
fn new_values_of_closed_sets_are_counted_and_never_guessed() {
    let mut feed = feed(linear(), &[btc()]);
    let mut say = |text: String| said(&mut *feed, &text).remove(0);
    assert_eq!(say(list("publicTrade.BTCUSDT", &json!([trade("1", "Both")]))), Said::Other("unknown trade side"));
    let mut block = trade("1", "Buy");
    block["BT"] = json!(true);
    assert_eq!(say(list("publicTrade.BTCUSDT", &json!([block]))), Said::Other("block trade"));
    let odd = json!([{"T": 5, "s": "BTCUSDT", "S": "Flat", "v": "0.003", "p": "43511.70"}]);
    assert_eq!(say(list("allLiquidation.BTCUSDT", &odd)), Said::Other("unknown liquidation side"));
    assert_eq!(say(book(BOOK, "rebuild", 5, &BID, &ASK)), Said::Other("unknown type of book"));
    assert_eq!(say(list("adlAlert.BTCUSDT", &json!([]))), Said::Other("unknown topic"));
    assert_eq!(say(list("publicTrade.XYZUSDT", &json!([]))), Said::Other("unknown symbol"));
}

#[test]
fn ids_of_trades_are_their_numbers_or_the_first_bits_of_their_uuids() {
    let mut feed = feed(linear(), &[btc()]);
    let mut id = |text: &str| match &events(&mut *feed, &list("publicTrade.BTCUSDT", &json!([trade(text, "Buy")])))[..]
    {
        [Event::Trade(t)] => t.trade_id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id("2290000000061666327"), 2_290_000_000_061_666_327);
    assert_eq!(id("a9188a0a-82bc-50de-be60-03eedbe3cdd7"), 0xa918_8a0a_82bc_50de >> 1);
    assert_eq!(id("no number"), 0);
}

#[test]
fn a_refusal_with_http_status_200_is_an_error() {
    let text = r#"{"retCode":10001,"retMsg":"params error","result":{},"time":1}"#;
    let error = spot().read_rules(&[text], &["BTCUSDT"]).unwrap_err().to_string();
    assert!(error.contains("10001") && error.contains("params error"), "{error}");
    assert!(spot().read_time(text).is_err() && spot().read_book(text, &btc()).is_err());
    let time = r#"{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"time":1688639403423}"#;
    assert_eq!(spot().read_time(time).unwrap(), 1_688_639_403_423_213_947);
}

#[test]
fn symbols_are_found_in_frames_and_addresses() {
    let of = |text: &str| linear().symbols_in(text);
    assert_eq!(of(&book(BOOK, "delta", 5, &BID, &ASK)), ["BTCUSDT"]);
    assert_eq!(of("https://api.bybit.com/v5/market/orderbook?category=linear&symbol=ETHUSDT&limit=9"), ["ETHUSDT"]);
    assert!(of(r#"{"op":"pong"}"#).is_empty());
    assert!(of("https://api.bybit.com/v5/market/instruments-info?&category=linear&status=Trading").is_empty());
}

#[test]
fn three_venues_are_registered_under_their_names() {
    for name in ["coinbase", "bybit", "bybit-linear"] {
        assert_eq!(venue(name).venue().name(), name);
    }
    let id = InstrumentId(0);
    assert_eq!(spot().connections(&spot().endpoints(), &[btc()])[0].instruments, [id]);
}
