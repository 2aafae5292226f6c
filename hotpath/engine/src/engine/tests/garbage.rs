//! A venue that talks nonsense must not stop the engine: what cannot be is counted, refused or makes a book stale.

use crate::engine::Engine;
use crate::testing::*;
use domain::event::{BookDelta, BookSnapshot, Quote, Trade};
use domain::{Event, InstrumentId, Lots, Side, Ticks};
use proptest::prelude::*;

/// Small numbers, so that things fit together by chance, and the ends of the range.
fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![4 => 0u64..40, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}
fn price() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![6 => -3i64..40, 1 => Just(i64::MAX), 1 => Just(i64::MIN), 1 => any::<i64>()]
}
fn side() -> impl Strategy<Value = Vec<(i64, u64)>> + Clone {
    prop::collection::vec((price(), number()), 0..4)
}

fn event() -> impl Strategy<Value = Event> {
    let id = prop_oneof![9 => Just(ID), 1 => any::<u16>().prop_map(InstrumentId)];
    let book = (id.clone(), number(), number(), number(), side(), side());
    let deltas = book.clone().prop_map(|(instrument, ts_venue_ns, first_id, last_id, bids, asks)| {
        let (bids, asks) = (levels(&bids), levels(&asks));
        Event::BookDelta(BookDelta { instrument, ts_venue_ns, first_id, last_id, bids, asks, checksum: None })
    });
    let snapshots = book.prop_map(|(instrument, ts_venue_ns, _, last_id, bids, asks)| {
        let (bids, asks) = (levels(&bids), levels(&asks));
        Event::BookSnapshot(BookSnapshot { instrument, ts_venue_ns, last_id, bids, asks, checksum: None })
    });
    let trades = (id.clone(), number(), price(), number()).prop_map(|(instrument, ts_venue_ns, price, qty)| {
        let (price, qty) = (Ticks::new(price), Lots::new(qty));
        Event::Trade(Trade { instrument, ts_venue_ns, trade_id: 0, price, qty, aggressor: Side::Buy })
    });
    let quotes = (id, number(), price(), number()).prop_map(|(instrument, update_id, price, qty)| {
        let (bid, ask) = (level(price, qty), level(price, qty));
        Event::Quote(Quote { instrument, ts_venue_ns: 0, update_id, bid, ask })
    });
    prop_oneof![5 => deltas, 3 => snapshots, 1 => trades, 1 => quotes, 1 => Just(Event::Timer)]
}

proptest! {
    #[test]
    fn nonsense_about_the_market_never_stops_the_engine_and_never_crosses_a_live_book(
        script in prop::collection::vec((prop_oneof![20 => 0u64..2_000_000_000, 1 => Just(u64::MAX)], event()), 1..120),
    ) {
        let mut engine = Engine::new(&config(&[shipped("ema-cross.toml"), shipped("flow-imbalance.toml")])).unwrap();
        let (mut now, mut out) = (0u64, Vec::new());
        engine.step(now, &session(1), &mut out);
        engine.step(now, &Event::Instrument(btcusdt()), &mut out);
        for (later, event) in script {
            now = now.saturating_add(later);
            engine.step(now, &event, &mut out);
            let book = &engine.markets[0].as_ref().unwrap().book;
            prop_assert!(!book.is_live() || book.top().is_none_or(|(bid, ask)| bid.price < ask.price));
            serde_json::to_string(&engine.view()).unwrap();
        }
    }
}
