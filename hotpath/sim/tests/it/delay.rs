//! The venue behind a wire.

use crate::support::*;
use domain::Side;
use sim::{DelayedVenue, LatencyModel, QueueModel, SimOutput};

fn wire(entry_ns: u64, response_ns: u64) -> DelayedVenue {
    let mut venue = DelayedVenue::new(venue(QueueModel::Pessimistic), LatencyModel::Constant { entry_ns, response_ns });
    venue.on_market(0, &snapshot(1, &[(100, 10)], &[(101, 5)]));
    drain(&mut venue, 1000);
    venue
}

/// Everything seen up to `until_ns`: time, order, news.
fn drain(venue: &mut DelayedVenue, until_ns: u64) -> Vec<(u64, u32, &'static str)> {
    let mut seen = Vec::new();
    while let Some((at_ns, output)) = venue.poll(until_ns) {
        if !matches!(output, SimOutput::Balance(_)) {
            let (n, name) = news(&[output])[0];
            seen.push((at_ns, n, name));
        }
    }
    seen
}

#[test]
fn orders_arrive_late_and_their_news_comes_back_later() {
    let mut venue = wire(10, 7);
    venue.submit(1000, limit(1, Side::Buy, 101, 2));
    assert_eq!(drain(&mut venue, 1009), []);
    assert_eq!(venue.venue().orders().count(), 0, "still on its way");
    assert_eq!(drain(&mut venue, 1016), []);
    assert_eq!(venue.venue().orders().count(), 1, "there, but we do not know yet");
    assert_eq!(drain(&mut venue, 1017), [(1017, 1, "accepted"), (1017, 1, "filled")]);
    assert_eq!(venue.next_due_ns(), None);
}

#[test]
fn an_order_meets_the_book_of_its_arrival_not_of_its_sending() {
    let mut venue = wire(10, 0);
    venue.submit(1000, limit(1, Side::Buy, 101, 5));
    drain(&mut venue, 1005);
    venue.on_market(1005, &quote(2, (101, 1), (102, 1)));
    assert_eq!(drain(&mut venue, 1010), [(1010, 1, "accepted")], "the ask it wanted is gone");
}

#[test]
fn a_fill_can_overtake_a_cancel() {
    let mut venue = wire(10, 10);
    venue.submit(1000, limit(1, Side::Buy, 100, 3));
    drain(&mut venue, 1050);
    venue.cancel(1050, id(1));
    drain(&mut venue, 1055);
    // The trade prints while the cancel is under way: 10 were before us.
    venue.on_market(1055, &trade(Side::Sell, 100, 13));
    assert_eq!(drain(&mut venue, 2000), [(1065, 1, "filled"), (1070, 1, "cancel_rejected")]);
}

#[test]
#[should_panic(expected = "poll up to")]
fn the_market_may_not_move_past_what_is_due() {
    let mut venue = wire(10, 10);
    venue.submit(1000, limit(1, Side::Buy, 100, 3));
    venue.on_market(1011, &trade(Side::Sell, 100, 13));
}
