//! Tests of [`super`]: every way a request can end.

use super::*;
use domain::order::VenueOrderStatus;
use domain::{Asset, Increment, Lots, TickLots, Venue};
use venues::wire::SymbolTable;

const ID: ClientOrderId = ClientOrderId { home: 1, epoch: 2, sequence: 3 };

fn btcusdt() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        venue: Venue::BINANCE,
        symbol: "BTCUSDT".parse().unwrap(),
        base: Asset::from("BTC").unwrap(),
        quote: Asset::from("USDT").unwrap(),
        tick: Increment::parse("0.01").unwrap(),
        lot: Increment::parse("0.00001").unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(900_000_000),
        value_min: TickLots::ZERO,
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    }
}
fn answer(request: &Request, text: &str) -> Outcome {
    let i = btcusdt();
    let table = SymbolTable::new([i.clone()]);
    match user::message(text, &table).unwrap().body {
        user::Body::Reply(reply) => request.answered(&reply, &i),
        other => panic!("{other:?}"),
    }
}
fn status(state: &str, filled: &str) -> String {
    format!(r#"{{"id":1,"status":200,"result":{{"orderId":77,"status":"{state}","executedQty":"{filled}"}}}}"#)
}
fn trades(quantities: &[&str]) -> String {
    let one = |(n, qty): (usize, &&str)| {
        format!(
            r#"{{"id":{n},"price":"100.00","qty":"{qty}","commission":"0","commissionAsset":"USDT","time":5,"isMaker":false}}"#
        )
    };
    let rows: Vec<String> = quantities.iter().enumerate().map(one).collect();
    format!(r#"{{"id":1,"status":200,"result":[{}]}}"#, rows.join(","))
}
fn kinds(events: &[Event]) -> Vec<&'static str> {
    let name = |e: &Event| match e {
        Event::Exec(report) => report.event.name(),
        other => panic!("{other:?}"),
    };
    events.iter().map(name).collect()
}

#[test]
fn a_question_reads_the_fills_before_it_believes_the_status() {
    let first = Request::question(ID, InstrumentId(0), None);
    let second = answer(&first, &status("FILLED", "0.00003")).next.unwrap();
    assert_eq!(second.asked, Asked::Fills { venue_id: 77, round: 0 });
    let third = answer(&second, &trades(&["0.00001", "0.00002"])).next.unwrap();
    let end = answer(&third, &status("FILLED", "0.00003"));
    assert_eq!(kinds(&end.events), ["filled", "filled", "found"]);
    assert_eq!(end.next, None);
    let Event::Exec(last) = &end.events[2] else { panic!() };
    assert_eq!(last.event, ExecEvent::Found { status: VenueOrderStatus::Filled, filled: Lots::new(3) });
}

#[test]
fn fills_that_do_not_add_up_are_read_again_but_not_for_ever() {
    let mut request = Request::question(ID, InstrumentId(0), Some(77));
    let mut reads = 0;
    let end = loop {
        reads += 1;
        let then = answer(&request, &trades(&["0.00001"])).next.unwrap();
        let outcome = answer(&then, &status("PARTIALLY_FILLED", "0.00002"));
        match outcome.next {
            Some(next) => request = next,
            None => break outcome,
        }
    };
    assert_eq!((reads, kinds(&end.events)), (3, vec!["filled", "found"]));
}

#[test]
fn an_order_the_venue_does_not_know_is_not_found() {
    let missing = r#"{"id":1,"status":400,"error":{"code":-2013,"msg":"Order does not exist."}}"#;
    assert_eq!(kinds(&answer(&Request::question(ID, InstrumentId(0), None), missing).events), ["not_found"]);
}

#[test]
fn unusable_answers_leave_the_outcome_unknown() {
    let broken = r#"{"id":1,"status":500,"error":{"code":-1000,"msg":"x"}}"#;
    let questions = [
        Request::question(ID, InstrumentId(0), None),
        Request::question(ID, InstrumentId(0), Some(7)),
        Request { id: ID, instrument: InstrumentId(0), asked: Asked::Cancel },
    ];
    for request in questions {
        assert_eq!(kinds(&answer(&request, broken).events), ["outcome_unknown"], "{request:?}");
        assert_eq!(kinds(&[request.unanswered("timeout").unwrap()]), ["outcome_unknown"]);
    }
}

#[test]
fn a_request_that_never_left_is_known_not_to_have_happened() {
    let cancel = Request { id: ID, instrument: InstrumentId(0), asked: Asked::Cancel };
    assert_eq!(kinds(&[cancel.not_sent("down").unwrap()]), ["cancel_rejected"]);
    let question = Request::question(ID, InstrumentId(0), None);
    assert_eq!(kinds(&[question.not_sent("down").unwrap()]), ["outcome_unknown"]);
}

#[test]
fn answers_are_taken_once_and_late_ones_expire_in_order() {
    let (start, mut pending) = (Instant::now(), Pending::default());
    for n in 0..4 {
        let id = ClientOrderId { sequence: n, ..ID };
        pending.insert(
            u64::from(n),
            Request::question(id, InstrumentId(0), None),
            start + Duration::from_secs(n.into()),
        );
    }
    assert!(pending.take(2).is_some() && pending.take(2).is_none());
    let late = pending.expired(start + ANSWER_WAIT + Duration::from_secs(1));
    assert_eq!(late.iter().map(|r| r.id.sequence).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(pending.drain().len(), 1);
    assert!(pending.drain().is_empty());
}
