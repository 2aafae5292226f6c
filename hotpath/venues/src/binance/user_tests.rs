//! Tests of [`super`], against messages of the venue's documentation and recorded ones.

use super::*;
use crate::binance::fixtures::{btcusdt, instrument};
use domain::Ticks;

const OURS: &str = "trd-0000beef-3-17";

fn table() -> SymbolTable {
    SymbolTable::new([btcusdt(), instrument(1, "ETHUSDT", "ETH", "0.00010000")])
}

/// Sample of user-data-stream.md with our id and symbol; `change` swaps text in it.
fn report(change: &[(&str, &str)]) -> String {
    let sample = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1709654401000,"s":"ETHUSDT",
        "c":"trd-0000beef-3-17","S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"2500.00000000","P":"0.00000000",
        "F":"0.00000000","g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":12345678,"l":"0.00000000","z":"0.00000000",
        "L":"0.00000000","n":"0","N":null,"T":1709654401000,"t":-1,"I":8641984,"w":true,"m":false,"M":false}}"#;
    change.iter().fold(sample.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the sample");
        text.replace(from, to)
    })
}
fn exec(text: &str) -> ExecReport {
    match message(text, &table()).unwrap().body {
        Body::Exec(report) => report,
        other => panic!("{other:?}"),
    }
}
fn check_reply<T>(text: &str, read: impl FnOnce(&Reply<'_>) -> T) -> T {
    match message(text, &table()).unwrap().body {
        Body::Reply(reply) => read(&reply),
        other => panic!("{other:?}"),
    }
}
fn unknown(event: &ExecEvent) -> bool {
    matches!(event, ExecEvent::OutcomeUnknown { .. })
}

#[test]
fn a_report_of_a_new_order_is_an_acceptance() {
    let got = exec(&report(&[]));
    assert_eq!((got.id.to_string().as_str(), got.ts_venue_ns), (OURS, 1_709_654_401_000_000_000));
    assert_eq!(got.event, ExecEvent::Accepted { venue_order_id: "12345678".parse().unwrap() });
}

#[test]
fn a_trade_report_is_a_fill_with_its_fee() {
    let got = exec(&report(&[
        ("\"x\":\"NEW\"", "\"x\":\"TRADE\""),
        ("\"l\":\"0.00000000\"", "\"l\":\"0.40000000\""),
        ("\"L\":\"0.00000000\"", "\"L\":\"2499.99000000\""),
        ("\"n\":\"0\",\"N\":null", "\"n\":\"0.00040000\",\"N\":\"ETH\""),
        ("\"t\":-1", "\"t\":98765432"),
        ("\"m\":false", "\"m\":true"),
    ]));
    let want = Fill {
        id: FillId::from("98765432").unwrap(),
        price: Ticks::new(249_999),
        qty: Lots::new(4000),
        fee: Fee { asset: Asset::from("ETH").unwrap(), amount: Decimal::new(4, 4) },
        maker: true,
    };
    assert_eq!(got.event, ExecEvent::Filled(want));
}

#[test]
fn on_a_cancel_the_orders_own_id_stands_in_the_other_field() {
    let got = exec(&report(&[
        ("\"c\":\"trd-0000beef-3-17\"", "\"c\":\"cancelOfIt\""),
        ("\"C\":\"\"", "\"C\":\"trd-0000beef-3-17\""),
        ("\"x\":\"NEW\"", "\"x\":\"CANCELED\""),
    ]));
    let none = ExecEvent::Found { status: VenueOrderStatus::Cancelled, filled: Lots::ZERO };
    assert_eq!((got.id.to_string().as_str(), got.event), (OURS, none));
}

#[test]
fn the_end_of_an_order_says_how_much_the_venue_counts_as_filled() {
    let part = [("\"x\":\"NEW\"", "\"x\":\"EXPIRED\""), ("\"z\":\"0.00000000\"", "\"z\":\"0.40000000\"")];
    let want = ExecEvent::Found { status: VenueOrderStatus::Expired, filled: Lots::new(4000) };
    assert_eq!(exec(&report(&part)).event, want);
    let odd = report(&[("\"x\":\"NEW\"", "\"x\":\"EXPIRED\""), ("\"z\":\"0.00000000\",", "")]);
    assert!(message(&odd, &table()).unwrap_err().to_string().contains("missing field `z`"));
    // Of an order in a symbol that this run does not trade, only the end is known.
    let elsewhere = report(&[("\"x\":\"NEW\"", "\"x\":\"EXPIRED\""), ("ETHUSDT", "XRPUSDT")]);
    assert_eq!(exec(&elsewhere).event, ExecEvent::Expired);
}

#[test]
fn only_what_is_certainly_an_answer_counts_as_one() {
    assert!(is_reply(r#"{"id":7,"status":200,"result":{}}"#));
    assert!(is_reply(r#"{"id":7,"status":"odd"}"#));
    for other in [r#"{"event":{"e":"executionReport"}}"#, r#"{"id":7,"status":1,"event":{}}"#, "{not json", "{}"] {
        assert!(!is_reply(other), "{other}");
    }
}

#[test]
fn the_other_ends_of_an_order_are_told_apart_and_strangers_are_left_alone() {
    let none_filled = ExecEvent::Found { status: VenueOrderStatus::Expired, filled: Lots::ZERO };
    assert_eq!(exec(&report(&[("\"x\":\"NEW\"", "\"x\":\"EXPIRED\"")])).event, none_filled);
    let rejected = exec(&report(&[("\"x\":\"NEW\"", "\"x\":\"REJECTED\""), ("NONE", "INSUFFICIENT_BALANCES")])).event;
    assert_eq!(rejected, ExecEvent::Rejected { reason: note("INSUFFICIENT_BALANCES") });
    let prevented = report(&[("\"x\":\"NEW\"", "\"x\":\"TRADE_PREVENTION\"")]);
    assert!(matches!(message(&prevented, &table()).unwrap().body, Body::Other));
    let external = report(&[("trd-0000beef-3-17", "web_1")]);
    assert!(matches!(message(&external, &table()).unwrap().body, Body::External(id) if id == "web_1"));
}

#[test]
fn the_answer_to_an_order_says_no_more_than_it_proves() {
    let accepted = r#"{"id":"7","status":200,"result":{"symbol":"BTCUSDT","orderId":12569099453,"clientOrderId":"x"}}"#;
    assert_eq!(check_reply(accepted, placed), ExecEvent::Accepted { venue_order_id: "12569099453".parse().unwrap() });
    assert_eq!(check_reply(accepted, |r| r.id), Some(7));

    let refused = |status, code, msg: &str| {
        let text = format!(r#"{{"id":7,"status":{status},"error":{{"code":{code},"msg":"{msg}"}}}}"#);
        check_reply(&text, placed)
    };
    let balance = "Account has insufficient balance for requested action.";
    assert_eq!(refused(400, -2010, balance), ExecEvent::Rejected { reason: note(&format!("-2010 {balance}")) });
    let filter = "Filter failure: LOT_SIZE";
    assert_eq!(refused(400, -1013, filter), ExecEvent::Rejected { reason: note(&format!("-1013 {filter}")) });
    assert!(matches!(refused(429, -1015, "Too many new orders."), ExecEvent::Rejected { .. }));
    assert!(unknown(&refused(500, -1000, "An unknown error occurred")));
    assert!(unknown(&refused(400, -1007, "Timeout waiting for response from backend server.")));
    assert!(unknown(&refused(400, -1006, "An unexpected response was received from the message bus.")));
    assert!(unknown(&refused(503, -1008, "Server is currently overloaded")));
    assert!(unknown(&refused(400, -2010, "Duplicate order sent.")), "the first one may be live");
    assert!(unknown(&check_reply(r#"{"id":7,"status":200,"result":{"symbol":1}}"#, placed)));
    assert!(unknown(&check_reply(r#"{"id":7,"status":403}"#, placed)), "no reason, no proof");
}

#[test]
fn a_cancel_that_was_taken_waits_for_its_report() {
    assert_eq!(check_reply(r#"{"id":8,"status":200,"result":{"orderId":1,"status":"CANCELED"}}"#, cancelled), None);
    let gone = r#"{"id":8,"status":400,"error":{"code":-2011,"msg":"Unknown order sent."}}"#;
    let want = ExecEvent::CancelRejected { reason: note("-2011 Unknown order sent.") };
    assert_eq!(check_reply(gone, cancelled), Some(want));
    assert!(unknown(&check_reply(r#"{"id":8,"status":502,"error":{"code":-1000,"msg":""}}"#, cancelled).unwrap()));
}

#[test]
fn a_status_answer_gives_state_and_filled_size() {
    let of = |state: &str| {
        let text = format!(
            r#"{{"id":9,"status":200,"result":{{"symbol":"BTCUSDT","orderId":5,"status":"{state}","executedQty":"0.00847000"}}}}"#
        );
        check_reply(&text, |r| status(r, &btcusdt()))
    };
    let found = |status| Status::Found { venue_order_id: 5, status, filled: Lots::new(847) };
    assert_eq!(of("PARTIALLY_FILLED"), found(VenueOrderStatus::Open));
    assert_eq!(of("EXPIRED_IN_MATCH"), found(VenueOrderStatus::Expired));
    assert_eq!(of("FILLED"), found(VenueOrderStatus::Filled));
    assert!(matches!(of("SOMETHING_NEW"), Status::Unclear(_)));
    let missing = r#"{"id":9,"status":400,"error":{"code":-2013,"msg":"Order does not exist."}}"#;
    assert_eq!(check_reply(missing, |r| status(r, &btcusdt())), Status::NotFound);
    let broken = r#"{"id":9,"status":500,"error":{"code":-1000,"msg":"x"}}"#;
    assert!(matches!(check_reply(broken, |r| status(r, &btcusdt())), Status::Unclear(_)));
}

#[test]
fn the_venues_list_of_fills_is_read() {
    // Sample of web-socket-api.md, myTrades.
    let text = r#"{"id":1,"status":200,"result":[{"symbol":"BTCUSDT","id":1650422481,"orderId":12569099453,"orderListId":-1,
        "price":"23416.10000000","qty":"0.00635000","quoteQty":"148.69223500","commission":"0.00000000",
        "commissionAsset":"BNB","time":1660801715793,"isBuyer":false,"isMaker":true,"isBestMatch":true}]}"#;
    let fills = check_reply(text, |r| trades(r, &btcusdt())).unwrap();
    assert_eq!(fills.len(), 1);
    let (ts, fill) = fills[0];
    assert_eq!((ts, fill.id.as_str(), fill.maker), (1_660_801_715_793_000_000, "1650422481", true));
    assert_eq!((fill.price, fill.qty), (Ticks::new(2_341_610), Lots::new(635)));
}

#[test]
fn balances_come_from_events_and_answers_alike() {
    let event = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"ETH","f":"10000.000000","l":"0.5"}]}}"#;
    let Body::Balances(from_event) = message(event, &table()).unwrap().body else { panic!() };
    let reply = r#"{"id":1,"status":200,"result":{"balances":[{"asset":"ETH","free":"10000","locked":"0.50"}]}}"#;
    assert_eq!(check_reply(reply, balances).unwrap(), from_event);
    assert_eq!(from_event[0].locked, Decimal::new(5, 1));
}

#[test]
fn every_collected_private_message_is_read_without_error() {
    let test = "every_collected_private_message_is_read_without_error";
    let Some(dir) = recorded::find(test, "rest/nautilus/binance/spot/user_data_json") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let wrapped = if value.get("event").is_some() { text } else { format!("{{\"event\":{text}}}") };
        let body = message(&wrapped, &table()).unwrap_or_else(|e| panic!("{}: {e}", path.display())).body;
        let expect_external = wrapped.contains("executionReport");
        assert_eq!(matches!(body, Body::External(_)), expect_external, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 8, "{seen} messages");
}
