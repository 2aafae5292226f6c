//! The order table on its own.

use super::*;
use crate::testing::{ID, accepted, fill};
use domain::Ticks;
use domain::event::note;
use domain::order::{OrderKind, TimeInForce};

const S: u64 = 1_000_000_000;
const FIVE: Lots = Lots::new(5);

fn id(sequence: u32) -> ClientOrderId {
    ClientOrderId { home: 1, epoch: 1, sequence }
}

fn request(sequence: u32) -> OrderRequest {
    OrderRequest {
        id: id(sequence),
        instrument: ID,
        instrument_version: 1,
        strategy: StrategyId(0),
        side: Side::Buy,
        kind: OrderKind::Limit,
        tif: TimeInForce::Ioc,
        price: Ticks::new(100),
        qty: FIVE,
    }
}

/// A table with one order, sent at second 1.
fn one() -> Orders {
    let mut orders = Orders::default();
    orders.insert(S, request(1), 1);
    orders
}

fn filled(name: &str, qty: u64) -> ExecEvent {
    ExecEvent::Filled(fill(name, 100, qty, "USDT", "0"))
}
fn found(status: VenueOrderStatus, filled: u64) -> ExecEvent {
    ExecEvent::Found { status, filled: Lots::new(filled) }
}
fn unknown() -> ExecEvent {
    ExecEvent::OutcomeUnknown { reason: note("timeout") }
}
/// Whether the venue is asked at this time.
fn asks(orders: &mut Orders, now_ns: u64) -> bool {
    let mut n = 0;
    orders.due(now_ns, |_| n += 1);
    assert!(n <= 1, "one order is asked about once");
    n == 1
}
fn state(orders: &Orders) -> OrderState {
    orders.get(id(1)).unwrap().state
}

#[test]
fn a_fill_said_twice_is_booked_once() {
    let mut orders = one();
    assert!(orders.on_exec(S, id(1), &filled("a", 2)).unwrap().fill.is_some());
    let again = orders.on_exec(S, id(1), &filled("a", 2)).unwrap();
    assert!(again.duplicate && again.fill.is_none() && again.from == again.to);
    assert_eq!(orders.get(id(1)).unwrap().filled, Lots::new(2));
    orders.on_exec(S, id(1), &filled("b", 3)).unwrap();
    assert_eq!(state(&orders), OrderState::Closed(Closed::Filled));
    let again = orders.on_exec(S, id(1), &filled("b", 3)).unwrap();
    assert!(again.duplicate && again.error.is_none(), "also after the end");
}

#[test]
fn a_fill_after_the_end_is_booked_and_the_venue_is_asked() {
    let mut orders = one();
    orders.on_exec(S, id(1), &ExecEvent::Expired).unwrap();
    assert_eq!(orders.open_count(), 0);
    let late = orders.on_exec(2 * S, id(1), &filled("a", 2)).unwrap();
    assert!(late.fill.is_some());
    assert_eq!(late.error.unwrap(), "filled after the order was closed as Expired");
    assert!(asks(&mut orders, 2 * S));
    assert!(!asks(&mut orders, 2 * S), "not twice at once");
    orders.on_exec(3 * S, id(1), &found(VenueOrderStatus::Expired, 2)).unwrap();
    assert!(!asks(&mut orders, 900 * S), "the answer agrees, and the question is closed");
}

#[test]
fn an_end_that_counts_more_than_was_seen_waits_for_the_fill_that_was_lost() {
    let mut orders = one();
    orders.on_exec(S, id(1), &accepted(1)).unwrap();
    let end = orders.on_exec(2 * S, id(1), &found(VenueOrderStatus::Cancelled, 2)).unwrap();
    assert!(end.error.is_some() && matches!(end.to, OrderState::Unknown { .. }), "{end:?}");
    assert!(!asks(&mut orders, 3 * S - 1) && asks(&mut orders, 3 * S));
    // The answer to the question: first the fills, then the state.
    assert!(orders.on_exec(4 * S, id(1), &filled("a", 2)).unwrap().fill.is_some());
    orders.on_exec(4 * S, id(1), &found(VenueOrderStatus::Cancelled, 2)).unwrap();
    assert_eq!(state(&orders), OrderState::Closed(Closed::Cancelled));
    assert!(!asks(&mut orders, 900 * S));
}

#[test]
fn more_filled_than_ordered_is_booked_and_ends_the_order() {
    let mut orders = one();
    let over = orders.on_exec(S, id(1), &filled("a", 7)).unwrap();
    assert!(over.fill.is_some() && over.error.is_some());
    assert_eq!((state(&orders), orders.open_leaves(ID, Side::Buy)), (OrderState::Closed(Closed::Filled), Lots::ZERO));
    assert!(asks(&mut orders, S));
}

#[test]
fn an_unknown_order_is_asked_about_at_once_and_then_less_and_less_often() {
    let mut orders = one();
    orders.on_exec(10 * S, id(1), &unknown()).unwrap();
    assert!(asks(&mut orders, 10 * S));
    let mut now = 10 * S;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert!(!asks(&mut orders, now + pause * S - 1), "before {pause} s");
        now += pause * S;
        assert!(asks(&mut orders, now), "after {pause} s");
    }
    orders.on_exec(now, id(1), &accepted(1)).unwrap();
    assert!(!asks(&mut orders, now + 900 * S), "a known order is not asked about");
}

#[test]
fn not_found_proves_nothing_before_the_order_could_have_arrived_and_nothing_twice_in_a_breath() {
    let mut orders = one();
    orders.on_exec(S, id(1), &unknown()).unwrap();
    orders.on_exec(2 * S, id(1), &ExecEvent::NotFound).unwrap();
    orders.on_exec(5 * S, id(1), &ExecEvent::NotFound).unwrap();
    assert_eq!(state(&orders), OrderState::Unknown { leaves: FIVE, not_found: 0 }, "sent 4 s ago, may still arrive");
    orders.on_exec(6 * S, id(1), &ExecEvent::NotFound).unwrap();
    orders.on_exec(8 * S - 1, id(1), &ExecEvent::NotFound).unwrap();
    assert_eq!(state(&orders), OrderState::Unknown { leaves: FIVE, not_found: 1 }, "1.999 s apart is one answer");
    assert!(asks(&mut orders, 8 * S), "the next question is put where its answer counts");
    orders.on_exec(8 * S, id(1), &ExecEvent::NotFound).unwrap();
    assert_eq!(state(&orders), OrderState::Closed(Closed::NeverArrived));
    assert_eq!(orders.open_count(), 0);
}

#[test]
fn not_found_is_no_proof_for_an_order_that_has_traded() {
    let mut orders = one();
    orders.on_exec(S, id(1), &filled("a", 1)).unwrap();
    for second in [10, 20, 30] {
        let answer = orders.on_exec(second * S, id(1), &ExecEvent::NotFound).unwrap();
        assert!(answer.error.is_some() && state(&orders).is_open());
    }
}

#[test]
fn an_order_does_not_end_while_the_venue_counts_fills_we_have_not_seen() {
    let mut orders = one();
    orders.on_exec(S, id(1), &unknown()).unwrap();
    assert!(asks(&mut orders, S));
    let answer = orders.on_exec(S, id(1), &found(VenueOrderStatus::Expired, 3)).unwrap();
    assert_eq!(answer.error.unwrap(), "the venue counts 3 lots filled, we saw 0");
    assert_eq!(state(&orders), OrderState::Unknown { leaves: FIVE, not_found: 0 });
    assert!(asks(&mut orders, 3 * S));
    orders.on_exec(3 * S, id(1), &filled("a", 3)).unwrap();
    orders.on_exec(3 * S, id(1), &found(VenueOrderStatus::Expired, 3)).unwrap();
    assert_eq!(state(&orders), OrderState::Closed(Closed::Expired));
}

#[test]
fn silence_for_five_seconds_makes_an_order_unknown() {
    let mut orders = one();
    let mut moved = Vec::new();
    orders.on_time(6 * S - 1, |o, from| moved.push((o.request.id, from)));
    assert!(moved.is_empty());
    orders.on_time(6 * S, |o, from| moved.push((o.request.id, from)));
    assert_eq!(moved, [(id(1), OrderState::InFlight { leaves: FIVE })]);
    assert!(asks(&mut orders, 6 * S));
}

#[test]
fn a_resting_order_may_be_silent_and_one_that_cannot_rest_may_not() {
    for (tif, want) in [(TimeInForce::Gtc, 0), (TimeInForce::Ioc, 1), (TimeInForce::Fok, 1)] {
        let mut orders = Orders::default();
        orders.insert(S, OrderRequest { tif, ..request(1) }, 1);
        orders.on_exec(2 * S, id(1), &accepted(1)).unwrap();
        let mut lost = 0;
        orders.on_time(7 * S - 1, |_, _| panic!("five seconds have not passed"));
        orders.on_time(7 * S, |_, _| lost += 1);
        assert_eq!(lost, want, "{tif:?}");
    }
}

#[test]
fn an_unanswered_cancel_makes_an_order_unknown_too() {
    let mut orders = one();
    orders.on_exec(S, id(1), &accepted(1)).unwrap();
    orders.cancel_sent(10 * S, id(1)).unwrap();
    let mut moved = 0;
    orders.on_time(15 * S, |_, _| moved += 1);
    assert_eq!(moved, 1);
    assert!(asks(&mut orders, 15 * S));
}

#[test]
fn when_sight_is_lost_every_open_order_is_unknown_and_asked_about_on_return() {
    let mut orders = one();
    orders.insert(S, request(2), 2);
    orders.on_exec(S, id(2), &ExecEvent::Expired).unwrap();
    let mut lost = Vec::new();
    orders.lose_sight(|o, _| lost.push(o.request.id));
    assert_eq!(lost, [id(1)]);
    assert!(asks(&mut orders, 2 * S) && !asks(&mut orders, 2 * S));
    orders.ask_all();
    assert!(asks(&mut orders, 2 * S));
    assert_eq!(orders.open_leaves(ID, Side::Buy), FIVE, "I-04: it counts as live until proven");
}

#[test]
fn rates_count_what_was_sent_inside_the_span() {
    let mut orders = Orders::default();
    for n in 1..=4 {
        orders.insert(u64::from(n) * S / 2, request(n), 1);
    }
    // Sent at 0.5, 1, 1.5 and 2 s; the span is open at its old end.
    assert_eq!(orders.sent_within(2 * S, S), 2);
    assert_eq!(orders.sent_within(2 * S, 60 * S), 4);
    assert_eq!(orders.sent_within(61 * S, 60 * S), 2);
}

#[test]
fn news_of_a_stranger_is_nobodys() {
    assert_eq!(one().on_exec(S, id(99), &ExecEvent::Expired), None);
}

#[test]
fn closed_orders_are_kept_up_to_a_bound() {
    let mut orders = Orders::default();
    let many = u32::try_from(CLOSED_KEPT).unwrap() + 5;
    for n in 1..=many {
        orders.insert(S, request(n), 1);
        orders.on_exec(S, id(n), &ExecEvent::Expired).unwrap();
    }
    assert!(orders.get(id(5)).is_none() && orders.get(id(6)).is_some());
}

#[test]
#[should_panic(expected = "I-02")]
fn an_order_id_is_never_used_twice() {
    let mut orders = one();
    orders.insert(S, request(1), 2);
}
