//! OKX against its recording, and against messages of the documentation and of other programs.

use crate::replay::{Replay, entries, received, run};
use domain::event::{Event, Level};
use domain::instrument::Contract;
use domain::{Decimal, Instrument, InstrumentId, Lots, Side, Ticks};
use venues::adapter::{Adapter, Endpoints, Said, adapter};
use venues::okx::{Okx, VENUE};

/// The rules of BTC-USDT, and of an inverse swap of 10 USD, as `public/instruments` wrote them in 2022.
const RULES: &str = r#"{"code":"0","msg":"","data":[
    {"instId":"BTC-USDT","instType":"SPOT","baseCcy":"BTC","quoteCcy":"USDT","ctMult":"","ctType":"","ctVal":"","lotSz":"0.00000001","minSz":"0.00001","maxLmtSz":"9999999999","tickSz":"0.1","state":"live"},
    {"instId":"UNI-USD-SWAP","instType":"SWAP","baseCcy":"","quoteCcy":"","ctMult":"1","ctType":"inverse","ctVal":"10","ctValCcy":"USD","lotSz":"1","minSz":"1","maxLmtSz":"100000000","tickSz":"0.001","state":"live"},
    {"instId":"OLD-USDT","instType":"SPOT","tickSz":"","lotSz":"","minSz":"","state":"preopen"}]}"#;

pub(crate) fn instruments() -> Vec<Instrument> {
    Okx.read_rules(&[RULES], &["BTC-USDT", "UNI-USD-SWAP"]).unwrap()
}
pub(crate) fn replay() -> Replay {
    Replay::new(&Okx, &instruments())
}
fn level(price: i64, qty: u64) -> Level {
    Level { price: Ticks::new(price), qty: Lots::new(qty) }
}
fn events(said: Vec<Said>) -> Vec<Event> {
    said.into_iter().map(|s| if let Said::Event(e) = s { e } else { panic!("{s:?}") }).collect()
}
/// A message of the books channel; `ids` are `prevSeqId` and `seqId`.
pub(crate) fn books(action: &str, ts: u64, ids: (i64, u64), asks: &str, bids: &str) -> String {
    let (prev, seq) = ids;
    format!(
        r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{ts}","checksum":0,"seqId":{seq},"prevSeqId":{prev}}}]}}"#
    )
}
pub(crate) const ASK: &str = r#"["101.0","2","0","1"]"#;
pub(crate) const BID: &str = r#"["100.0","1","0","1"]"#;

#[test]
fn the_recording_has_290_checksums_and_all_are_equal() {
    let Some(entries) = entries("the_recording_has_290_checksums_and_all_are_equal", "ws/OKX.jsonl.zst") else {
        return;
    };
    let replay = run(&Okx, &entries);
    let s = replay.stats;
    assert_eq!((s.checksums, s.checksums_equal), (290, 290));
    assert_eq!((s.snapshots, s.diffs_applied), (3, 287));
    assert_eq!((s.crossed, s.sequence_breaks, s.gaps, s.diffs_ignored), (0, 0, 0, 0));
    assert!(replay.books.values().all(|book| book.is_live()));
    // Counted in the file: 28 tickers, 74 messages with one trade each, 18 answers to subscriptions.
    let said = ["quote", "trade", "reply", "snapshot", "delta"].map(|kind| replay.said[kind]);
    assert_eq!(said, [28, 74, 18, 3, 287]);
    assert_eq!(replay.said.len(), 5, "{:?}", replay.said);
}

#[test]
fn every_change_of_the_recording_that_is_left_out_is_noticed() {
    let test = "every_change_of_the_recording_that_is_left_out_is_noticed";
    let Some(entries) = entries(test, "ws/OKX.jsonl.zst") else { return };
    // The 2022 recording has no ids, so the checksums are all there is: leaving out a change of the best 25 levels shows
    // at the next message of that book.
    let at =
        entries.iter().position(|e| e.text.contains(r#""action":"update""#) && e.text.contains("BTC-USDT")).unwrap();
    let mut torn = entries.clone();
    torn.remove(at);
    let replay = run(&Okx, &torn);
    assert_eq!(replay.stats.checksums - replay.stats.checksums_equal, 1);
    let [first, again @ ..] = replay.asked.as_slice() else { panic!("nothing was asked for") };
    assert!(again.iter().all(|id| id == first), "one book, again and again: nobody answers here");
    assert_eq!(replay.books.values().filter(|book| book.is_live()).count(), 2);
}

#[test]
fn rules_are_read_of_spot_and_of_inverse_contracts() {
    let all = instruments();
    let spot = &all[0];
    assert_eq!((spot.venue, spot.symbol.as_str(), spot.id), (VENUE, "BTC-USDT", InstrumentId(0)));
    assert_eq!((spot.base.as_str(), spot.quote.as_str(), spot.contract), ("BTC", "USDT", Contract::Spot));
    assert_eq!((spot.tick.to_string(), spot.lot.to_string()), ("0.1".to_owned(), "0.00000001".to_owned()));
    assert_eq!((spot.qty_min, spot.qty_max), (Lots::new(1000), Lots::new(999_999_999_900_000_000)));
    let swap = &all[1];
    assert_eq!(swap.contract, Contract::Inverse(Decimal::parse("10").unwrap()));
    assert_eq!((swap.base.as_str(), swap.quote.as_str(), swap.trade), ("UNI", "USD", false));
    let error = |symbol| Okx.read_rules(&[RULES], &[symbol]).unwrap_err().to_string();
    assert!(error("XRP-USDT").contains("not among them"), "{}", error("XRP-USDT"));
    assert!(error("OLD-USDT").contains("tickSz"), "an instrument before its opening has no tick");
    let refused = Okx.read_rules(&[r#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#], &["A-B"]);
    assert!(refused.unwrap_err().to_string().contains("51001 Instrument ID does not exist"));
}

#[test]
fn questions_name_the_kind_of_each_symbol_once() {
    let paths = |symbols: &[&str]| Okx.rules_requests(symbols).into_iter().map(|r| r.path).collect::<Vec<_>>();
    let path = |kind| format!("/api/v5/public/instruments?instType={kind}");
    assert_eq!(paths(&["BTC-USDT", "ETH-USDT"]), [path("SPOT")]);
    assert_eq!(paths(&["BTC-USD-220527", "BTC-USDT", "BTC-USD-SWAP"]), [path("FUTURES"), path("SPOT"), path("SWAP")]);
    assert_eq!(Okx.symbols_in(&Okx.book_request(&instruments()[0]).path), ["BTC-USDT"]);
}

#[test]
fn candles_have_a_connection_of_their_own() {
    let all = Okx.connections(&Endpoints::at("http://127.0.0.1:1"), &instruments());
    let urls: Vec<&str> = all.iter().map(|c| c.url.as_str()).collect();
    assert_eq!(urls, ["ws://127.0.0.1:1/ws/v5/public", "ws://127.0.0.1:1/ws/v5/business"]);
    assert!(all[1].first[0].contains("candle1m") && !all[0].first[0].contains("candle1m"));
    assert!(all.iter().all(|c| c.instruments == [InstrumentId(0), InstrumentId(1)]));
    assert_eq!(Okx.symbols_in(&all[0].first[0]), ["BTC-USDT", "UNI-USD-SWAP"]);
    let many: Vec<Instrument> =
        (0..120).map(|n| Instrument { id: InstrumentId(n), ..instruments()[0].clone() }).collect();
    let all = Okx.connections(&Okx.endpoints(), &many);
    assert_eq!(all.len(), 6);
    assert!(all.iter().flat_map(|c| &c.first).all(|m| m.len() < 64 << 10), "the venue takes no longer message");
}

#[test]
fn renewing_a_book_leaves_the_others_alone() {
    let messages = Okx.renew(&instruments()[0]);
    assert_eq!(messages.len(), 2);
    assert!(messages[0].contains("unsubscribe") && !messages[1].contains("unsubscribe"));
    for message in &messages {
        assert_eq!(Okx.symbols_in(message), ["BTC-USDT"]);
        assert!(message.contains(r#""books""#) && !message.contains("trades"));
    }
}

#[test]
fn the_connection_is_kept_by_a_ping_in_text_before_30_seconds() {
    let (every, what) = Okx.discipline().ping.unwrap();
    assert!(every.as_secs() < 30 && what == "ping");
    assert_eq!(replay().frame("pong"), [Said::Alive]);
}

/// Since 2026-06-23 the venue sends 0 for every checksum (ccxt pull request 30299).
#[test]
fn a_checksum_of_zero_is_none() {
    let mut replay = replay();
    replay.frame(&books("snapshot", 1, (-1, 10), ASK, BID));
    replay.frame(&books("update", 2, (10, 12), r#"["101.0","3","0","1"]"#, ""));
    assert!(replay.book(0).is_live());
    assert_eq!((replay.stats.checksums, replay.book(0).last_id()), (0, 12));
}

#[test]
fn a_checksum_is_a_signed_number() {
    // By Python: `zlib.crc32(b"100:1:101:2")` is 3756313483, which is -538653813 in 32 signed bits.
    for (sum, live) in [(-538_653_813, true), (-538_653_812, false)] {
        let mut replay = replay();
        let text = books("snapshot", 1, (-1, 10), ASK, BID).replace(r#""checksum":0"#, &format!(r#""checksum":{sum}"#));
        replay.frame(&text);
        assert_eq!((replay.book(0).is_live(), replay.stats.checksums), (live, 1));
    }
}

#[test]
fn a_lost_change_is_a_gap_of_one_book() {
    let mut replay = replay();
    replay.frame(&books("snapshot", 1, (-1, 10), ASK, BID));
    replay.frame(&books("update", 3, (12, 13), "", r#"["99.0","1","0","1"]"#));
    assert!(!replay.book(0).is_live());
    assert_eq!((replay.stats.sequence_breaks, replay.asked.as_slice()), (1, [InstrumentId(0)].as_slice()));
    replay.frame(&books("snapshot", 4, (-1, 14), ASK, BID));
    assert!(replay.book(0).is_live());
}

#[test]
fn a_message_that_comes_again_changes_nothing() {
    let mut replay = replay();
    let change = books("update", 2, (10, 12), "", r#"["99.0","1","0","1"]"#);
    replay.frame(&books("snapshot", 1, (-1, 10), ASK, BID));
    replay.frame(&change);
    replay.frame(&books("update", 3, (12, 15), "", r#"["99.0","0","0","0"]"#));
    replay.frame(&change);
    assert_eq!((replay.stats.diffs_applied, replay.stats.diffs_ignored), (2, 1));
    assert_eq!((replay.book(0).bids().len(), replay.book(0).last_id()), (1, 15));
}

#[test]
fn ids_that_stay_or_fall_after_maintenance_are_followed() {
    let mut replay = replay();
    replay.frame(&books("snapshot", 1, (-1, 10), ASK, BID));
    assert_eq!(replay.frame(&books("update", 60_001, (10, 10), "", "")), [Said::Alive]);
    replay.frame(&books("update", 60_002, (10, 3), "", r#"["99.0","4","0","1"]"#));
    replay.frame(&books("update", 60_003, (3, 5), "", r#"["99.0","5","0","1"]"#));
    assert!(replay.book(0).is_live());
    assert_eq!((replay.stats.diffs_applied, replay.stats.sequence_breaks), (2, 0));
    assert_eq!(replay.book(0).bids().iter().nth(1), Some(level(990, 500_000_000)));
}

#[test]
fn a_fall_of_the_ids_that_was_lost_does_not_freeze_the_book() {
    let mut replay = replay();
    replay.frame(&books("snapshot", 1, (-1, 1000), ASK, BID));
    replay.frame(&books("update", 3, (3, 5), "", r#"["99.0","5","0","1"]"#));
    assert!(!replay.book(0).is_live());
    assert_eq!((replay.said["gap"], replay.asked.len()), (1, 1));
}

#[test]
fn an_unreadable_change_costs_its_book_and_nothing_else() {
    let mut replay = replay();
    let other = books("snapshot", 1, (-1, 10), r#"["10.5","3","0","1"]"#, r#"["10.4","3","0","1"]"#);
    replay.frame(&other.replace("BTC-USDT", "UNI-USD-SWAP"));
    replay.frame(&books("snapshot", 1, (-1, 10), ASK, BID));
    let change = books("update", 2, (10, 12), "", BID);
    for bad in [change.replace("100.0", "100.05"), change.replace("[[", "[[["), change[..change.len() - 9].to_owned()] {
        replay.frame(&books("snapshot", 1, (-1, 10), ASK, BID));
        assert!(replay.book(0).is_live());
        let (said, _) = replay.bad_frame(&bad);
        assert!(
            matches!(said.as_slice(), [Said::Event(Event::BookGap { instrument: InstrumentId(0), .. })]),
            "{said:?}"
        );
        assert!(!replay.book(0).is_live() && replay.book(1).is_live());
    }
    let (said, error) = replay.bad_frame("<html>502 Bad Gateway</html>");
    assert_eq!(said.len(), 2, "any of the books may have been meant");
    assert!(error.contains("<html>502"));
}

#[test]
fn the_side_of_a_trade_is_the_takers() {
    let text = r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"338476375","px":"30227.6","sz":"0.00000088","side":"buy","ts":"1652459235576","count":"3","source":"0"}]}"#;
    let Event::Trade(t) = events(replay().frame(text)).remove(0) else { panic!() };
    assert_eq!((t.trade_id, t.price, t.qty), (338_476_375, Ticks::new(302_276), Lots::new(88)));
    assert_eq!((t.aggressor, t.ts_venue_ns), (Side::Buy, 1_652_459_235_576_000_000));
    let Event::Trade(t) = events(replay().frame(&text.replace("buy", "sell"))).remove(0) else { panic!() };
    assert_eq!(t.aggressor, Side::Sell);
    assert_eq!(replay().frame(&text.replace("buy", "none")), [Said::Other("trade side")]);
}

/// In the recording, whoever takes lifts the ask or hits the bid: a trade of a buyer is never under the last best bid.
#[test]
fn recorded_trades_lie_on_the_side_of_their_taker() {
    let Some(entries) = entries("recorded_trades_lie_on_the_side_of_their_taker", "ws/OKX.jsonl.zst") else { return };
    let (mut replay, mut judged) = (Replay::new(&Okx, &recorded_rules(&entries)), 0);
    for entry in received(&entries) {
        for said in replay.frame(&entry.text) {
            let Said::Event(Event::Trade(t)) = said else { continue };
            let Some((bid, ask)) = replay.books[&t.instrument].top() else { continue };
            // Trades are told before the change they made: a few ticks of either side are already gone.
            let (to_bid, to_ask) = (t.price.get() - bid.price.get(), ask.price.get() - t.price.get());
            judged += 1;
            assert!(if t.aggressor == Side::Buy { to_bid > 0 } else { to_ask > 0 }, "{t:?} {bid:?} {ask:?}");
        }
    }
    assert!(judged > 50, "{judged}");
}

fn recorded_rules(entries: &[venues::recording::Entry]) -> Vec<Instrument> {
    let answers: Vec<&str> = entries.iter().map(|e| e.text.as_str()).collect();
    Okx.read_rules(&answers, &["BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527"]).unwrap()
}

#[test]
fn best_prices_come_from_both_channels_and_one_side_alone_is_none() {
    let best = r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8476.9","415","0","13"]],"bids":[["8476.8","256","0","12"]],"ts":"1597026383085","seqId":123456}]}"#;
    let Event::Quote(q) = events(replay().frame(best)).remove(0) else { panic!() };
    assert_eq!((q.bid, q.ask), (level(84_768, 25_600_000_000), level(84_769, 41_500_000_000)));
    assert_eq!((q.update_id, q.ts_venue_ns), (0, 1_597_026_383_085_000_000));
    assert_eq!(replay().frame(&best.replace(r#"["8476.8","256","0","12"]"#, "")), [Said::Other("one side only")]);
    let ticker = r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":"30227.6","lastSz":"0.1","askPx":"30230.3","askSz":"1.92174778","bidPx":"30230.2","bidSz":"0.4112","ts":"1652459235637"}]}"#;
    let Event::Quote(q) = events(replay().frame(ticker)).remove(0) else { panic!() };
    assert_eq!((q.bid, q.ask), (level(302_302, 41_120_000), level(302_303, 192_174_778)));
    assert_eq!(replay().frame(&ticker.replace("30230.2", "")), [Said::Other("one side only")]);
}

#[test]
fn a_candle_is_final_when_it_says_so() {
    // The documentation's example, its channel and prices fitted to this tick.
    let text = r#"{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1597026360000","8533.0","8553.7","8527.1","8548.2","45247","529.5858061","5529.5858061","0"]]}"#;
    let Event::Bar(b) = events(replay().frame(text)).remove(0) else { panic!() };
    assert_eq!((b.seconds, b.open_ns, b.last), (60, 1_597_026_360_000_000_000, false));
    assert_eq!([b.open, b.high, b.low, b.close].map(Ticks::get), [85_330, 85_537, 85_271, 85_482]);
    assert_eq!(b.volume, Lots::new(4_524_700_000_000));
    let Event::Bar(b) = events(replay().frame(&text.replace(r#","0"]"#, r#","1"]"#))).remove(0) else { panic!() };
    assert!(b.last);
    assert_eq!(replay().frame(&text.replace("candle1m", "candle1M")), [Said::Other("channel")], "months differ");
}

#[test]
fn candles_are_asked_for_in_spans_that_one_answer_holds() {
    const MINUTE: u64 = 60_000_000_000;
    let i = &instruments()[0];
    let path = |seconds, from, to| Okx.bars_request(i, seconds, from, to).map(|r| r.path);
    let want = "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&after=180000&before=59999&limit=100";
    assert_eq!(path(60, MINUTE, 3 * MINUTE).as_deref(), Some(want));
    // The newest of a longer span would come, and its beginning would be missing.
    assert!(path(60, MINUTE, 5000 * MINUTE).unwrap().contains("&after=6060000&before=59999&"));
    assert!(path(86_400, 0, MINUTE).unwrap().contains("bar=1Dutc"));
    assert_eq!(path(61, 0, MINUTE), None);
    let answer = r#"{"code":"0","msg":"","data":[["1625097660000","33783.9","33783.9","33782.1","33782.1","0.123","0","0","0"],["1625097600000","33528.6","33870.0","33528.6","33783.9","778.838","0","0","1"]]}"#;
    let bars = Okx.read_bars(answer, i, 60).unwrap();
    let told: Vec<_> = bars.iter().map(|b| (b.open_ns / MINUTE, b.close.get(), b.volume.get(), b.last)).collect();
    assert_eq!(told, [(27_084_960, 337_839, 77_883_800_000, true), (27_084_961, 337_821, 12_300_000, false)]);
}

#[test]
fn a_book_from_rest_is_shown_and_not_followed() {
    let answer = r#"{"code":"0","msg":"","data":[{"asks":[["41006.8","0.60038921","0","1"]],"bids":[["41006.7","0.48792100","0","1"]],"ts":"1704067200000","seqId":9}]}"#;
    let book = Okx.read_book(answer, &instruments()[0]).unwrap();
    assert_eq!((book.last_id, book.ts_venue_ns, book.checksum), (0, 1_704_067_200_000_000_000, None));
    assert_eq!((book.bids, book.asks), (vec![level(410_067, 48_792_100)], vec![level(410_068, 60_038_921)]));
    let limited = r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#;
    assert!(Okx.read_book(limited, &instruments()[0]).unwrap_err().to_string().contains("50011 Too Many Requests"));
    assert_eq!(Okx.read_time(r#"{"code":"0","data":[{"ts":"1597026383085"}]}"#).unwrap(), 1_597_026_383_085_000_000);
}

#[test]
fn control_messages_are_told_apart() {
    let mut replay = replay();
    let mut said = |text: &str| replay.frame(text).remove(0);
    assert_eq!(
        said(r#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#),
        Said::Reply(None)
    );
    let refused = r#"{"event":"error","code":"60012","msg":"Invalid request","connId":"a4d3ae55"}"#;
    assert_eq!(said(refused), Said::Reply(Some("60012 Invalid request".to_owned())));
    let notice = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;
    assert_eq!(said(notice), Said::Shutdown);
    assert_eq!(said(r#"{"event":"channel-conn-count","channel":"books","connCount":"2"}"#), Said::Other("event"));
    assert_eq!(
        said(r#"{"arg":{"channel":"funding-rate","instId":"UNI-USD-SWAP"},"data":[{}]}"#),
        Said::Other("channel")
    );
    assert_eq!(said(r#"{"arg":{"channel":"books","instId":"XRP-USDT"},"data":[{}]}"#), Said::Other("symbol"));
    assert_eq!(
        said(r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"patch","data":[]}"#),
        Said::Other("book action")
    );
    assert_eq!(said("{}"), Said::Other("message"));
}

#[test]
fn it_is_registered() {
    assert_eq!(adapter(VENUE).map(|a| a.venue().name().to_owned()).as_deref(), Some("okx"));
}
