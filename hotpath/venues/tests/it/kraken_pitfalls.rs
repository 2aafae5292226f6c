//! Mistakes that other programs made with Kraken's public data; each test is one of them.

use crate::kraken::{instruments, level, replay};
use crate::replay::Replay;
use domain::event::{Allowed, Bar, Event};
use domain::{Increment, Instrument, InstrumentId, Lots, Side, Ticks};
use venues::adapter::{Adapter, Said};
use venues::kraken::Kraken;

/// One of each kind of version 2.
pub(crate) const FRAMES: [&str; 7] = [
    r#"{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":100.0,"qty":1.00000000}],"asks":[{"price":101.0,"qty":2.00000000}],"timestamp":"2026-11-20T10:00:00.123456Z"}]}"#,
    r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":99.5,"qty":0.25000000}],"asks":[{"price":101.0,"qty":0}],"timestamp":"2026-11-20T10:00:01.123456Z"}]}"#,
    r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":100.5,"qty":1e-8,"ord_type":"market","trade_id":7,"timestamp":"2026-11-20T10:00:01.123456Z"}]}"#,
    r#"{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USD","interval":1,"interval_begin":"2026-11-20T10:00:00.000000000Z","open":1.5,"high":2.5,"low":1.0,"close":2.0,"volume":3.5,"vwap":1,"trades":1}]}"#,
    r#"{"channel":"status","type":"update","data":[{"api_version":"v2","connection_id":1,"system":"online","version":"2.0.8"}]}"#,
    r#"{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"USD"}],"pairs":[{"symbol":"BTC/USD","status":"cancel_only"},{"symbol":"XRP/USD","status":"online"}]}}"#,
    r#"{"channel":"heartbeat"}"#,
];

fn frame(kind: &str, bids: &str, asks: &str, checksum: &str) -> String {
    let rest = r#""timestamp":"2026-11-20T10:00:00.123456Z""#;
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],{checksum}{rest}}}]}}"#
    )
}

fn with_depth(depth: u16) -> Replay {
    let mut i: Instrument = instruments().remove(0);
    i.book.depth = depth;
    Replay::new(&Kraken, &[i])
}

#[test]
fn a_level_pushed_out_of_the_depth_does_not_come_back() {
    let mut replay = with_depth(2);
    let bids = r#"{"price":100.0,"qty":1},{"price":99.0,"qty":1}"#;
    replay.frame(&frame("snapshot", bids, r#"{"price":101.0,"qty":1}"#, ""));
    // A third level pushes 99 out, without a word.
    replay.frame(&frame("update", r#"{"price":99.5,"qty":2}"#, "", ""));
    replay.frame(&frame("update", r#"{"price":100.0,"qty":0}"#, "", ""));
    let left: Vec<_> = replay.book(0).bids().iter().collect();
    assert_eq!(left, [level(995, 200_000_000)], "99 is gone");
}

#[test]
fn both_sides_of_a_message_are_applied() {
    let mut replay = replay();
    replay.frame(FRAMES[0]);
    replay.frame(&frame("update", r#"{"price":100.1,"qty":3}"#, r#"{"price":100.9,"qty":4}"#, ""));
    assert_eq!(replay.book(0).top(), Some((level(1001, 300_000_000), level(1009, 400_000_000))));
    let v1 = r#"[1,{"a":[["100.80000","5.00000000","1534614248.456738"]]},{"b":[["100.20000","6.00000000","1534614335.345903"]]},"book-1000","XBT/USD"]"#;
    replay.frame(v1);
    assert_eq!(replay.book(0).top(), Some((level(1002, 600_000_000), level(1008, 500_000_000))));
}

#[test]
fn trailing_zeros_that_json_drops_are_back_in_the_checksum() {
    // Digits are those of the rules: 8750.0 and 1 are written 87500 and 100000000. By Python:
    // zlib.crc32(b"87510" b"50000000" b"87500" b"100000000") is 3461254719.
    for (bid, ask) in [
        (r#"{"price":8750.0,"qty":1.00000000}"#, r#"{"price":8751.0,"qty":0.50000000}"#),
        (r#"{"price":8750,"qty":1}"#, r#"{"price":8751,"qty":0.5}"#),
        (r#"{"price":8.75e3,"qty":1e0}"#, r#"{"price":8.751E+3,"qty":5e-1}"#),
        (r#"{"price":"8750.0","qty":"1.0"}"#, r#"{"price":"8751.0","qty":"0.5"}"#),
    ] {
        let mut replay = replay();
        replay.frame(&frame("snapshot", bid, ask, r#""checksum":3461254719,"#));
        assert!(replay.book(0).is_live(), "{bid}");
        assert_eq!(replay.stats.checksums_equal, 1, "{bid}");
    }
}

#[test]
fn very_small_prices_and_fewer_than_ten_levels_have_a_checksum() {
    // DOGE/USD has 7 digits. By Python: zlib.crc32(b"3" b"1" b"2" b"150000000") is 1224764637.
    let text = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"DOGE/USD","bids":[{"price":2e-7,"qty":1.5}],"asks":[{"price":0.0000003,"qty":0.00000001}],"checksum":1224764637}]}"#;
    let mut replay = replay();
    replay.frame(text);
    assert!(replay.book(1).is_live());
    assert_eq!(replay.book(1).top(), Some((level(2, 150_000_000), level(3, 1))));
    // An empty side is no reason to fail: zlib.crc32(b"2" b"150000000") is 1527558892.
    replay.frame(&text.replace(r#"{"price":0.0000003,"qty":0.00000001}"#, "").replace("1224764637", "1527558892"));
    assert!(replay.book(1).is_live());
}

#[test]
fn a_wrong_checksum_costs_one_book_and_renews_it_alone() {
    let mut replay = replay();
    replay.frame(FRAMES[0]);
    replay.frame(&FRAMES[0].replace("BTC/USD", "DOGE/USD"));
    replay.frame(&frame("update", r#"{"price":99.0,"qty":1}"#, "", r#""checksum":1,"#));
    assert!(!replay.book(0).is_live() && replay.book(1).is_live());
    assert_eq!(replay.asked, [InstrumentId(0)]);
    // What still comes of the old subscription is not applied, the new snapshot is.
    replay.frame(FRAMES[1]);
    assert!(!replay.book(0).is_live());
    replay.frame(FRAMES[0]);
    replay.frame(&frame("update", r#"{"price":99.0,"qty":1}"#, "", ""));
    assert!(replay.book(0).is_live());
    assert_eq!(replay.stats.sequence_breaks, 0);
}

#[test]
fn the_last_of_two_changes_of_one_price_wins_whatever_their_times() {
    let mut replay = replay();
    replay.frame(FRAMES[0]);
    replay.frame(&frame(
        "update",
        r#"{"price":100.3,"qty":1},{"price":100.3,"qty":0},{"price":100.2,"qty":0},{"price":100.2,"qty":5}"#,
        "",
        "",
    ));
    assert_eq!(replay.book(0).top().map(|(bid, _)| bid), Some(level(1002, 500_000_000)));
    // Version 1 states times; the later one stands first here.
    replay.frame(r#"[1,{"b":[["100.40000","7.00000000","1534614249.0"],["100.40000","8.00000000","1534614248.0"]]},"book-1000","XBT/USD"]"#);
    assert_eq!(replay.book(0).top().map(|(bid, _)| bid), Some(level(1004, 800_000_000)));
}

#[test]
fn a_level_that_is_published_again_is_read() {
    let mut replay = replay();
    replay.frame(FRAMES[0]);
    replay.frame(r#"[1,{"b":[["99.00000","7.00000000","1534614249.0","r"]]},"book-1000","XBT/USD"]"#);
    assert_eq!(replay.book(0).bids().len(), 2);
}

#[test]
fn xbt_and_xdg_are_the_same_markets_as_btc_and_doge() {
    let mut replay = replay();
    let trade = |pair: &str| format!(r#"[1,[["0.05","1.00000000","1534614057.0","b","l",""]],"trade","{pair}"]"#);
    let Some(Said::Event(Event::Trade(t))) = replay.frame(&trade("XDG/USD")).pop() else { panic!() };
    assert_eq!((t.instrument, t.price, t.aggressor), (InstrumentId(1), Ticks::new(500_000), Side::Buy));
    assert_eq!(replay.frame(&trade("XDG/EUR")), [Said::Other("symbol")]);
    let paths: Vec<String> = instruments().iter().map(|i| Kraken.book_request(i).path).collect();
    assert_eq!(paths, ["/0/public/Depth?pair=XBTUSD&count=500", "/0/public/Depth?pair=XDGUSD&count=500"]);
}

#[test]
fn the_key_of_a_rest_answer_may_differ_from_the_name_that_was_asked_for() {
    for key in ["XXBTZUSD", "XBTUSD", "BTC/USD"] {
        let text = format!(
            r#"{{"error":[],"result":{{"{key}":{{"asks":[["101.00000","0.136",1]],"bids":[["100.00000","0.002",1]]}}}}}}"#
        );
        assert_eq!(Kraken.read_book(&text, &instruments()[0]).unwrap().bids, [level(1000, 200_000)], "{key}");
    }
}

#[test]
fn an_error_comes_with_status_200_and_a_warning_comes_with_a_result() {
    let read = |text: &str| Kraken.read_time(text).map_err(|e| e.to_string());
    let busy = read(r#"{"error":["EService:Busy"]}"#).unwrap_err();
    assert!(busy.contains("EService:Busy"), "{busy}");
    assert_eq!(read(r#"{"error":["WGeneral:Odd"],"result":{"unixtime":5,"rfc1123":""}}"#), Ok(5_000_000_000));
    assert!(read("<html>520</html>").unwrap_err().contains("<html>520"));
    assert!(read(r#"{"error":[]}"#).unwrap_err().contains("no result"));
}

#[test]
fn a_bar_is_final_when_the_next_one_begins() {
    let mut replay = replay();
    let bar = |minute: u32, close: &str| {
        FRAMES[3]
            .replace("10:00:00.000000000Z", &format!("10:{minute:02}:00.000000000Z"))
            .replace(r#""close":2.0"#, &format!(r#""close":{close}"#))
    };
    let told = |said: Vec<Said>| -> Vec<(u64, i64, bool)> {
        let one = |s: Said| {
            if let Said::Event(Event::Bar(Bar { open_ns, close, last, .. })) = s {
                (open_ns / 60_000_000_000 % 60, close.get(), last)
            } else {
                panic!("{s:?}")
            }
        };
        said.into_iter().map(one).collect()
    };
    assert_eq!(told(replay.frame(&bar(0, "2.0"))), [(0, 20, false)]);
    assert_eq!(told(replay.frame(&bar(0, "2.5"))), [(0, 25, false)]);
    // A minute without trades has no bar at all.
    assert_eq!(told(replay.frame(&bar(2, "2.2"))), [(0, 25, true), (2, 22, false)]);
    assert_eq!(replay.frame(&bar(0, "9.9")), [Said::Other("bar that is over")]);
}

#[test]
fn more_than_720_bars_do_not_come_and_the_answer_shows_where_it_begins() {
    const MINUTE: u64 = 60_000_000_000;
    let i = &instruments()[0];
    let path = Kraken.bars_request(i, 300, 1000 * MINUTE, 9000 * MINUTE).unwrap().path;
    assert_eq!(path, "/0/public/OHLC?pair=XBTUSD&interval=5&since=59999");
    assert_eq!(Kraken.bars_request(i, 1, 0, MINUTE), None, "no bars of a second");
    let row = |begin: u64| format!(r#"[{begin},"1.0","2.0","1.0","1.5","1.2","0.50000000",3]"#);
    let rows: Vec<String> = (8280..9000).map(|n| row(n * 60)).collect();
    let text = format!(r#"{{"error":[],"result":{{"XXBTZUSD":[{}],"last":{}}}}}"#, rows.join(","), 8998 * 60);
    let bars = Kraken.read_bars(&text, i, 60).unwrap();
    assert_eq!(
        (bars.len(), bars[0].open_ns),
        (720, 8280 * MINUTE),
        "later than 1000: the caller sees that bars are missing"
    );
    assert_eq!(bars.iter().filter(|b| b.last).count(), 719);
}

#[test]
fn trades_from_before_the_subscription_are_not_told_again() {
    let mut replay = replay();
    assert_eq!(replay.frame(&FRAMES[2].replace("update", "snapshot")), [Said::Other("trade snapshot")]);
    let Some(Said::Event(Event::Trade(t))) = replay.frame(FRAMES[2]).pop() else { panic!() };
    assert_eq!((t.trade_id, t.qty, t.aggressor), (7, Lots::new(1), Side::Sell));
}

#[test]
fn what_the_venue_and_its_markets_allow_is_told_and_unknown_words_are_no_guess() {
    let mut replay = replay();
    let allowed = |said: Vec<Said>| -> Vec<_> {
        let one = |s| if let Said::Event(Event::Status(s)) = s { (s.instrument, s.allowed) } else { panic!("{s:?}") };
        said.into_iter().map(one).collect()
    };
    for (word, want) in [
        ("online", Allowed::All),
        ("post_only", Allowed::PostOnly),
        ("cancel_only", Allowed::CancelOnly),
        ("maintenance", Allowed::Nothing),
    ] {
        assert_eq!(allowed(replay.frame(&FRAMES[4].replace("online", word))), [(None, want)], "{word}");
        let v1 = format!(r#"{{"connectionID":1,"event":"systemStatus","status":"{word}","version":"1.8.3"}}"#);
        assert_eq!(allowed(replay.frame(&v1)), [(None, want)], "{word}");
    }
    assert_eq!(allowed(replay.frame(FRAMES[5])), [(Some(InstrumentId(0)), Allowed::CancelOnly)]);
    assert_eq!(replay.frame(&FRAMES[4].replace("online", "halted_by_aliens")), [Said::Other("status")]);
}

#[test]
fn refusals_name_their_reason_and_heartbeats_are_life() {
    let mut replay = replay();
    let refused = r#"{"error":"Currency pair not supported BTC/XYZ","method":"subscribe","req_id":7,"success":false,"symbol":"BTC/XYZ","time_in":"","time_out":""}"#;
    assert_eq!(replay.frame(refused), [Said::Reply(Some("Currency pair not supported BTC/XYZ".to_owned()))]);
    let old = r#"{"errorMessage":"Currency pair not supported","event":"subscriptionStatus","status":"error"}"#;
    assert_eq!(replay.frame(old), [Said::Reply(Some("Currency pair not supported".to_owned()))]);
    assert_eq!(replay.frame(FRAMES[6]), [Said::Alive]);
    assert_eq!(replay.frame(r#"{"event":"heartbeat"}"#), [Said::Alive]);
    assert!(Kraken.discipline().silence.as_secs() >= 5, "heartbeats come about once a second");
}

#[test]
fn a_change_that_cannot_be_read_costs_its_book_and_nothing_else() {
    for bad in [FRAMES[1].replace("99.5", "99.55"), FRAMES[1].replace("0.25000000", "-1"), FRAMES[1][..150].to_owned()]
    {
        let mut replay = replay();
        replay.frame(FRAMES[0]);
        replay.frame(&FRAMES[0].replace("BTC/USD", "DOGE/USD"));
        let (said, _) = replay.bad_frame(&bad);
        assert!(
            matches!(said.as_slice(), [Said::Event(Event::BookGap { instrument: InstrumentId(0), .. })]),
            "{said:?}"
        );
        assert!(!replay.book(0).is_live() && replay.book(1).is_live());
        assert_eq!(replay.asked, [InstrumentId(0)]);
    }
    let mut replay = replay();
    assert_eq!(replay.bad_frame("<html>520</html>").0, [], "no book came on this connection");
    replay.frame(FRAMES[0]);
    assert_eq!(replay.bad_frame("<html>520</html>").0.len(), 1);
    replay.frame(&FRAMES[0].replace("BTC/USD", "DOGE/USD"));
    assert_eq!(replay.bad_frame("<html>520</html>").0.len(), 2, "any of the books may have been meant");
}

#[test]
fn unknown_words_and_fields_are_counted_or_left_and_never_an_error() {
    let mut replay = replay();
    let more = FRAMES[2].replace(r#""trade_id":7"#, r#""trade_id":7,"new":{"deep":[1,{}]}"#);
    assert!(matches!(replay.frame(&more).as_slice(), [Said::Event(Event::Trade(_))]));
    for (text, want) in [
        (FRAMES[2].replace("sell", "cross"), "trade side"),
        (FRAMES[2].replace("BTC/USD", "XRP/USD"), "symbol"),
        (FRAMES[0].replace("snapshot", "resync"), "book type"),
        (FRAMES[6].replace("heartbeat", "weather"), "channel"),
        (r#"{"method":"whistle"}"#.to_owned(), "method"),
        (r#"{"event":"whistle"}"#.to_owned(), "event"),
        ("{}".to_owned(), "message"),
        ("[1,2]".to_owned(), "array"),
    ] {
        assert_eq!(replay.frame(&text), [Said::Other(want)], "{text}");
    }
}

#[test]
fn a_market_with_one_side_only_has_no_best_prices() {
    let text = r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1.5,"bid_qty":1,"ask":null,"ask_qty":null}]}"#;
    assert_eq!(replay().frame(text), [Said::Other("one side only")]);
}

#[test]
fn a_book_from_rest_is_never_followed_by_the_stream() {
    let mut replay = replay();
    let first = replay.frame(FRAMES[1]);
    let Some(Said::Event(Event::BookDelta(d))) = first.first() else { panic!("{first:?}") };
    assert!(d.first_id > 1, "a book from REST has id 0");
}

#[test]
fn prices_with_more_digits_than_the_rules_are_whole_ticks_when_the_rest_is_zeros() {
    let i = Instrument { tick: Increment { units: 1, scale: 1 }, ..instruments().remove(0) };
    let text = r#"{"error":[],"result":{"XXBTZUSD":{"asks":[["105944.30000","0.136",1762820248]],"bids":[]}}}"#;
    assert_eq!(Kraken.read_book(text, &i).unwrap().asks, [level(1_059_443, 13_600_000)]);
}
