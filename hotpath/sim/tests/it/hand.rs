//! Cases worked out by hand.

use crate::support::*;
use domain::order::TimeInForce;
use domain::{Event, InstrumentId, Lots, Side, Ticks};
use sim::{NewOrder, QueueModel, Reject, SimKind, SimOutput, SimStatus};

const BIDS: &[(i64, u64)] = &[(100, 10), (99, 20)];
const ASKS: &[(i64, u64)] = &[(101, 2), (102, 3), (103, 50)];

fn desk() -> Desk {
    Desk::new(QueueModel::Pessimistic, BIDS, ASKS)
}

#[test]
fn trades_at_our_price_fill_us_after_the_queue_before_us() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 100, 5));
    assert_eq!(desk.front(1), 10.0);
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 4))), []);
    assert_eq!(fills(&desk.market(&trade(Side::Buy, 101, 4))), [], "the other side is none of ours");
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 8))), [(1, 100, 2, true)], "6 ahead, 2 for us");
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 9))), [(1, 100, 3, true)], "no more than we asked for");
    assert_eq!(desk.venue.order(&id(1)).unwrap().status, SimStatus::Filled);
}

#[test]
fn one_trade_is_shared_once_over_our_orders_in_time_order() {
    let mut desk = Desk::new(QueueModel::Pessimistic, &[(100, 5)], ASKS);
    desk.send(limit(1, Side::Buy, 100, 4));
    desk.market(&delta(2, &[(100, 8)], &[]));
    desk.send(limit(2, Side::Buy, 100, 9));
    // 7: five before the first order, two for it; the second still has 3 of its 8 before it.
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 7))), [(1, 100, 2, true)]);
    assert_eq!((desk.front(1), desk.front(2)), (0.0, 3.0));
    // 4: two for the first order, then two of the three before the second.
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 4))), [(1, 100, 2, true)]);
    assert_eq!(desk.front(2), 1.0);
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 2))), [(2, 100, 1, true)]);
}

#[test]
fn a_trade_through_our_price_fills_the_better_order_first() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 98, 5));
    desk.send(limit(2, Side::Buy, 99, 5));
    let got = fills(&desk.market(&trade(Side::Sell, 97, 7)));
    assert_eq!(got, [(2, 99, 5, true), (1, 98, 2, true)], "at our prices, seven in all");
}

#[test]
fn a_crossing_quote_fills_us_up_to_the_size_seen_and_not_twice() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 100, 20));
    assert_eq!(fills(&desk.market(&quote(2, (98, 5), (100, 3)))), [(1, 100, 3, true)]);
    assert_eq!(fills(&desk.market(&quote(3, (98, 6), (100, 3)))), [], "the same three again");
    assert_eq!(fills(&desk.market(&quote(4, (98, 6), (100, 5)))), [(1, 100, 2, true)], "two more came");
    assert_eq!(fills(&desk.market(&quote(5, (98, 6), (99, 4)))), [(1, 100, 4, true)], "a better level of its own");
}

#[test]
fn what_we_took_stays_taken_and_grows_back_in_time() {
    let mut desk = desk();
    let buy = |n, qty| NewOrder { tif: TimeInForce::Ioc, ..limit(n, Side::Buy, 101, qty) };
    assert_eq!(fills(&desk.send(buy(1, 2))), [(1, 101, 2, false)]);
    assert_eq!(news(&desk.send(buy(2, 1))), [(2, "accepted"), (2, "expired")], "nothing left at 101");
    desk.ts_ns += REFILL_NS / 2;
    assert_eq!(fills(&desk.send(buy(3, 2))), [(3, 101, 1, false)], "half of it has grown back");
    desk.ts_ns += REFILL_NS;
    assert_eq!(fills(&desk.send(buy(4, 5))), [(4, 101, 2, false)]);
}

#[test]
fn a_marketable_order_walks_the_book_and_rests_with_the_rest() {
    let mut desk = desk();
    let out = desk.send(limit(1, Side::Buy, 102, 9));
    assert_eq!(fills(&out), [(1, 101, 2, false), (1, 102, 3, false)]);
    assert_eq!(desk.venue.order(&id(1)).unwrap().status, SimStatus::PartiallyFilled);
    // 2 x 101 + 3 x 102 = 508, fee 20 bps = 1.016; 4 x 102 = 408 and 0.816 held.
    assert_eq!(balance(&desk.venue, "USD"), ("99082.168".to_owned(), "408.816".to_owned()));
    assert_eq!(balance(&desk.venue, "ABC").0, "1005");
    assert_eq!(fills(&desk.market(&delta(2, &[(90, 1)], &[]))), [], "what it took does not cross it again");
    desk.cancel(1);
    assert_eq!(balance(&desk.venue, "USD"), ("99490.984".to_owned(), "0".to_owned()));
}

#[test]
fn a_sale_gives_base_and_gets_quote_less_the_fee() {
    let mut desk = desk();
    desk.send(limit(1, Side::Sell, 101, 4));
    assert_eq!(balance(&desk.venue, "ABC"), ("996".to_owned(), "4".to_owned()));
    desk.market(&trade(Side::Buy, 101, 6));
    // 2 before us, 4 ours: 404 less 10 bps.
    assert_eq!(balance(&desk.venue, "ABC"), ("996".to_owned(), "0".to_owned()));
    assert_eq!(balance(&desk.venue, "USD").0, "100403.596");
}

#[test]
fn market_orders_take_whatever_is_there_and_the_rest_expires() {
    let mut desk = Desk::new(QueueModel::Pessimistic, &[(100, 10)], &[(101, 2)]);
    let buy = NewOrder { kind: SimKind::Market, ..limit(1, Side::Buy, 0, 5) };
    assert_eq!(news(&desk.send(buy)), [(1, "accepted"), (1, "filled"), (1, "expired")]);
    assert_eq!(balance(&desk.venue, "USD").1, "0");
}

#[test]
fn our_own_order_in_the_way_expires_instead_of_trading_with_us() {
    let mut desk = desk();
    desk.send(limit(1, Side::Sell, 102, 5));
    let out = desk.send(limit(2, Side::Buy, 103, 8));
    assert_eq!(fills(&out), [(2, 101, 2, false), (2, 102, 3, false), (2, 103, 3, false)]);
    assert_eq!(desk.venue.order(&id(1)).unwrap().status, SimStatus::ExpiredInMatch);
    assert_eq!(balance(&desk.venue, "ABC"), ("1008".to_owned(), "0".to_owned()));
}

#[test]
fn every_refusal_has_its_code_and_changes_nothing() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 90, 1));
    let before = desk.venue.balances();
    let post_only = |n, side, price| NewOrder { kind: SimKind::PostOnly, ..limit(n, side, price, 5) };
    let cases = [
        (NewOrder { instrument: InstrumentId(9), ..limit(2, Side::Buy, 90, 1) }, Reject::UnknownInstrument, -1121),
        (limit(2, Side::Buy, 0, 1), Reject::PriceFilter, -1013),
        (limit(2, Side::Buy, 90, 0), Reject::LotSize, -1013),
        (limit(2, Side::Buy, 90, 1001), Reject::LotSize, -1013),
        (limit(2, Side::Buy, 49, 1), Reject::Notional, -1013),
        (limit(1, Side::Buy, 90, 1), Reject::DuplicateOrder, -2010),
        (post_only(2, Side::Buy, 101), Reject::WouldTake, -2010),
        (post_only(2, Side::Sell, 90), Reject::WouldTake, -2010),
        // 1000 x 100 needs 100000 and its fee: 99909.82 are free.
        (limit(2, Side::Buy, 100, 1000), Reject::InsufficientBalance, -2010),
        (NewOrder { kind: SimKind::Market, ..limit(2, Side::Sell, 0, 1001) }, Reject::LotSize, -1013),
    ];
    for (order, want, code) in cases {
        let out = desk.send(order);
        assert!(matches!(&out[..], [SimOutput::Refused { reason, .. }] if *reason == want), "{want:?}: {out:?}");
        assert_eq!(want.code(), code);
    }
    assert_eq!(desk.venue.balances(), before);
    assert!(matches!(&desk.cancel(7)[..], [SimOutput::Refused { reason: Reject::UnknownOrder, .. }]));
    assert_eq!(Reject::UnknownOrder.code(), -2011);
    assert_eq!(Reject::WouldTake.to_string(), "Order would immediately match and take.");
}

#[test]
fn no_more_orders_than_the_venue_allows() {
    let mut config = config(QueueModel::Pessimistic);
    config.open_orders_max = 2;
    let mut venue = sim::SimVenue::new(config);
    let mut out = Vec::new();
    venue.on_market(0, &Event::Instrument(instrument()), &mut out);
    for n in 1..=2 {
        venue.submit(0, &limit(n, Side::Buy, 90, 1), &mut out).unwrap();
    }
    assert_eq!(venue.submit(0, &limit(3, Side::Buy, 90, 1), &mut out), Err(Reject::MaxOrders));
}

#[test]
fn a_client_id_may_be_used_again_once_its_order_has_ended() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 90, 1));
    desk.cancel(1);
    assert_eq!(news(&desk.send(limit(1, Side::Buy, 91, 1))), [(1, "accepted")]);
    assert_eq!(desk.venue.order(&id(1)).unwrap().venue_id, 2);
    assert_eq!(desk.venue.order_by_venue_id(1).unwrap().status, SimStatus::Cancelled);
}

#[test]
fn after_a_gap_nothing_is_believed_until_the_next_snapshot() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 100, 5));
    assert_eq!(fills(&desk.market(&delta(5, &[], &[(95, 9)]))), [], "ids 2 to 4 are missing");
    assert_eq!(desk.front(1), 10.0, "an unknown book moves nobody");
    let buy = NewOrder { tif: TimeInForce::Ioc, ..limit(2, Side::Buy, 200, 5) };
    assert_eq!(news(&desk.send(buy)), [(2, "accepted"), (2, "expired")]);
    // The snapshot contains id 4; the waiting delta 5 follows and crosses us.
    assert_eq!(fills(&desk.market(&snapshot(4, &[(94, 7)], ASKS))), [(1, 100, 5, true)]);
}

#[test]
fn an_order_sent_before_the_first_book_waits_behind_all_of_it() {
    let mut desk = Desk { venue: venue(QueueModel::Pessimistic), ts_ns: 0 };
    desk.send(limit(1, Side::Buy, 100, 5));
    assert_eq!(fills(&desk.market(&trade(Side::Sell, 100, 50))), []);
    desk.send(limit(2, Side::Buy, 101, 5));
    let out = desk.market(&snapshot(1, BIDS, ASKS));
    assert_eq!(desk.front(1), 10.0);
    assert_eq!(fills(&out), [(2, 101, 2, false)], "what can trade takes, as if it came now");
}

#[test]
fn a_newer_quote_lies_over_the_book_until_the_deltas_catch_up() {
    let mut desk = desk();
    desk.market(&quote(5, (98, 5), (99, 1)));
    let book = desk.venue.book(domain::InstrumentId(0)).unwrap();
    let shown = |side, price| book.displayed(side, Ticks::new(price)).unwrap();
    assert_eq!(shown(Side::Buy, 100), Lots::ZERO, "above the best bid there is nothing");
    assert_eq!(shown(Side::Buy, 98), Lots::new(5));
    assert_eq!(shown(Side::Sell, 101), Lots::new(2), "behind the best ask the book holds");
    let mut levels = Vec::new();
    book.walk(Side::Sell, |l| {
        levels.push((l.price.get(), l.qty.get()));
        true
    });
    assert_eq!(levels, [(99, 1), (101, 2), (102, 3), (103, 50)]);
    for last in 2..=5 {
        desk.market(&delta(last, &[(100, 0)], &[(99, 4)]));
    }
    let book = desk.venue.book(domain::InstrumentId(0)).unwrap();
    assert_eq!(book.best(Side::Sell).unwrap().qty, Lots::new(4), "the deltas have caught up");
    assert_eq!(book.best(Side::Buy).unwrap().price, Ticks::new(99));
}

#[test]
fn cancels_before_us_help_only_in_the_optimistic_models() {
    // 30 before us, 70 behind, 10 of the 100 cancelled: by the power model 0.7297 of them stood before us.
    let front = |model| {
        let mut desk = Desk::new(model, &[(100, 30)], ASKS);
        desk.send(limit(1, Side::Buy, 100, 5));
        desk.market(&delta(2, &[(100, 100)], &[]));
        desk.market(&delta(3, &[(100, 90)], &[]));
        desk.front(1)
    };
    assert_eq!(front(QueueModel::Pessimistic), 30.0);
    assert!((front(QueueModel::Power { n: 3 }) - 29.270_270_27).abs() < 1e-8);
}

#[test]
fn cancel_replace_sends_the_second_only_if_the_first_worked_or_it_may_go_on() {
    let mut desk = desk();
    desk.send(limit(1, Side::Buy, 90, 1));
    let mut out = Vec::new();
    let (cancelled, sent) = desk.venue.cancel_replace(0, &id(1), &limit(2, Side::Buy, 91, 1), false, &mut out);
    assert!(cancelled.is_ok() && sent == Some(Ok(2)));
    let (cancelled, sent) = desk.venue.cancel_replace(0, &id(1), &limit(3, Side::Buy, 92, 1), false, &mut out);
    assert!(cancelled == Err(Reject::UnknownOrder) && sent.is_none());
    let (_, sent) = desk.venue.cancel_replace(0, &id(1), &limit(3, Side::Buy, 92, 1), true, &mut out);
    assert_eq!(sent, Some(Ok(3)));
}

#[test]
fn what_is_remembered_is_bounded_and_open_orders_are_never_forgotten() {
    let mut config = config(QueueModel::Pessimistic);
    config.history_max = 2;
    let mut venue = sim::SimVenue::new(config);
    let mut out = Vec::new();
    venue.on_market(0, &Event::Instrument(instrument()), &mut out);
    venue.on_market(0, &snapshot(1, BIDS, ASKS), &mut out);
    venue.submit(0, &limit(1, Side::Buy, 90, 1), &mut out).unwrap();
    for n in 2..=6 {
        venue.submit(0, &limit(n, Side::Buy, 103, 1), &mut out).unwrap();
    }
    assert_eq!(venue.orders().map(|o| o.venue_id).collect::<Vec<_>>(), [1, 5, 6]);
    assert_eq!(venue.fills_since(0).map(|t| t.trade_id).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(venue.fills_since(5).map(|t| t.venue_id).collect::<Vec<_>>(), [6]);
    assert_eq!(venue.fills_of(6).len(), 1);
    assert_eq!(venue.order(&id(2)), None);
    assert_eq!(venue.open_orders().map(|o| o.venue_id).collect::<Vec<_>>(), [1]);
}
