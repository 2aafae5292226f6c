//! Public Spot messages: by hand, and all that were recorded.

use super::*;
use crate::binance::fixtures::{btcusdt, instrument};
use crate::capture::Capture;
use crate::wire::LEVELS_MAX;
use domain::{InstrumentId, Lots, Ticks};

fn table() -> SymbolTable {
    SymbolTable::new([btcusdt(), instrument(1, "ETHUSDT", "ETH", "0.00010000")])
}
fn body(text: &str) -> Body {
    message(text, &table()).unwrap()
}

// Lines 1 to 4 of the recorded capture spot_btcusdt_20240808, the first one shortened.
const DEPTH: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,"u":50093239202,"b":[["61737.63000000","0.00000000"]],"a":[["61837.64000000","1.54698000"]]}}"#;
const TICKER: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#;
const TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;

#[test]
fn a_depth_update_becomes_a_delta_in_ticks_and_lots() {
    let want = BookDelta {
        instrument: InstrumentId(0),
        ts_venue_ns: 1_723_161_255_208_000_000,
        first_id: 50_093_239_189,
        last_id: 50_093_239_202,
        bids: vec![Level { price: Ticks::new(6_173_763), qty: Lots::ZERO }],
        asks: vec![Level { price: Ticks::new(6_183_764), qty: Lots::new(154_698) }],
        checksum: None,
    };
    assert_eq!(body(DEPTH), Body::Event(Event::BookDelta(want)));
}

#[test]
fn the_seller_took_when_the_buyer_was_resting() {
    let Body::Event(Event::Trade(t)) = body(TRADE) else { panic!("not a trade") };
    assert_eq!((t.trade_id, t.price, t.qty), (3_735_683_259, Ticks::new(6_183_763), Lots::new(2000)));
    assert_eq!((t.aggressor, t.ts_venue_ns), (Side::Sell, 1_723_161_255_342_000_000));
    let Body::Event(Event::Trade(t)) = body(&TRADE.replace("\"m\":true", "\"m\":false")) else { panic!() };
    assert_eq!(t.aggressor, Side::Buy);
}

#[test]
fn the_same_message_reads_the_same_with_and_without_its_envelope() {
    for text in [DEPTH, TICKER, TRADE] {
        let envelope: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(body(&envelope["data"].to_string()), body(text));
    }
}

#[test]
fn the_receive_time_of_a_replay_stands_before_the_event() {
    let stamped = TICKER.replacen('{', "{\"ts_recv_ns\":1723161254087891268,", 1);
    assert_eq!(crate::wire::source_time(&stamped), Some(1_723_161_254_087_891_268));
    assert_eq!(crate::wire::source_time(TICKER), None);
    assert_eq!(message(&stamped, &table()).unwrap(), message(TICKER, &table()).unwrap());
}

#[test]
fn what_we_do_not_know_is_named_other_and_control_messages_by_their_kind() {
    assert_eq!(body(&TRADE.replace("BTCUSDT", "XRPUSDT")), Body::Other("unknown symbol"));
    assert_eq!(body(r#"{"stream":"btcusdt@avgPrice","data":{"e":"avgPrice"}}"#), Body::Other("avgPrice"));
    assert_eq!(body(r#"{"e":"dance","k":{}}"#), Body::Other("unknown stream"));
    assert_eq!(body(r#"{"result":null,"id":1}"#), Body::Reply(None));
    assert_eq!(body(r#"{"code":2,"msg":"Invalid request"}"#), Body::Reply(Some("Invalid request".to_owned())));
    assert_eq!(body(r#"{"e":"serverShutdown","E":1}"#), Body::Shutdown);
    assert_eq!(body(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#), Body::Shutdown);
}

#[test]
fn sizes_finer_than_the_rules_are_cut_to_whole_lots_but_never_to_nothing() {
    let of = |text: &str| public_qty(text, &btcusdt(), "test").map(Lots::get);
    assert_eq!(of("25.42618900").unwrap(), 2_542_618);
    assert_eq!(of("0.00000300").unwrap(), 1);
    assert_eq!(of("0.00000000").unwrap(), 0);
    assert!(of("-0.000003").is_err() && of("1e-7").is_err());
}

#[test]
fn orders_at_prices_that_are_none_any_more_do_not_spoil_the_whole_book() {
    // As in the recorded NKNUSDT book of 2021-10-12, whose tick had become coarser.
    let text = r#"{"lastUpdateId":7,"bids":[["0.26","1"],["0.255","2"],["0.25","3"]],"asks":[["0.27","x"]]}"#;
    assert!(snapshot(text, &btcusdt()).is_err(), "what is no number stays an error");
    let book = snapshot(&text.replace('x', "1"), &btcusdt()).unwrap();
    assert_eq!(book.bids.iter().map(|l| l.price.get()).collect::<Vec<_>>(), [26, 25]);
}

#[test]
fn more_levels_than_a_book_has_are_refused() {
    let with = |n: usize| {
        let side = vec![r#"["61737.63","1"]"#; n].join(",");
        DEPTH.replace(r#"["61737.63000000","0.00000000"]"#, &side)
    };
    assert!(matches!(body(&with(LEVELS_MAX)), Body::Event(Event::BookDelta(d)) if d.bids.len() == LEVELS_MAX));
    let error = message(&with(LEVELS_MAX + 1), &table()).unwrap_err().to_string();
    assert!(error.contains("65537 levels on one side"), "{error}");
}

#[test]
fn damaged_messages_are_errors_that_show_what_came() {
    let fails = |text: &str| message(text, &table()).unwrap_err().to_string();
    assert!(fails("{\"stream\":").contains("unreadable market message"));
    assert!(fails(&DEPTH.replace("\"U\":50093239189,", "")).contains("missing field `U`"));
    assert!(fails(&DEPTH.replace("61737.63000000", "61737.635")).contains("not a multiple of 0.01"));
    assert!(fails(&TRADE.replace("0.02000000", "-0.02")).contains("bad quantity in trade of BTCUSDT"));
    assert!(fails(&TRADE.replace("\"e\":\"trade\"", "\"e\":\"depthUpdate\"")).contains("its type is"));
    assert!(fails("<html>403</html>").contains("<html>403"));
}

#[test]
fn every_recorded_spot_message_decodes_and_the_counts_agree_with_a_plain_text_search() {
    for (file, snapshots) in [("spot_btcusdt_20240808", 1), ("spot_ethusdt_20240808", 1)] {
        let test = "every_recorded_spot_message_decodes_and_the_counts_agree_with_a_plain_text_search";
        let Some(path) = recorded::find(test, &format!("l2/binance_raw/{file}.gz")) else { return };
        let table = table();
        let (mut decoded, mut naive) = ([0u64; 4], [0u64; 4]);
        let mut capture = Capture::open(&path).unwrap();
        while let Some((_, text)) = capture.next_line().unwrap() {
            match message(text, &table).unwrap() {
                Body::Event(Event::BookDelta(_)) => decoded[0] += 1,
                Body::Event(Event::Trade(_)) => decoded[1] += 1,
                Body::Event(Event::Quote(_)) => decoded[2] += 1,
                Body::Snapshot => {
                    let i = if file.contains("btc") { "BTCUSDT" } else { "ETHUSDT" };
                    let book = snapshot(text, table.get(i).unwrap()).unwrap();
                    assert_eq!((book.bids.len(), book.asks.len()), (1000, 1000));
                    assert!(book.bids[0].price < book.asks[0].price);
                    decoded[3] += 1;
                }
                other => panic!("{other:?} in {text}"),
            }
            let kinds = ["@depth@100ms\"", "@trade\"", "@bookTicker\"", "{\"lastUpdateId\""];
            for (count, kind) in naive.iter_mut().zip(kinds) {
                *count += u64::from(text.contains(kind));
            }
        }
        assert_eq!(decoded, naive, "{file}");
        assert_eq!(decoded[3], snapshots);
    }
}
