//! Every field must reach the hash.

use super::*;
use crate::testing::{ID, fill};
use domain::event::note;
use domain::{ClientOrderId, ExecEvent, Lots, Position, Side, StrategyId, TickLots, Ticks};

fn bytes(effect: &Effect) -> Vec<u8> {
    let mut out = Vec::new();
    effect.put(&mut out);
    out
}

fn signal(value: Option<f64>) -> Effect {
    Effect::Audit(AuditRecord::Signal {
        signal: 1,
        strategy: StrategyId(0),
        instrument: ID,
        side: Side::Buy,
        intent: "enter",
        reason: "because",
        features: vec![FeatureValue { id: note("a.b()@c"), value }],
        book_id: 9,
        top: Some([Ticks::new(1), Ticks::new(2)]),
    })
}

fn order(from: OrderState, to: OrderState, error: Option<&str>) -> Effect {
    let (id, news, note) = (ClientOrderId::default(), "x", note("y"));
    Effect::Audit(AuditRecord::Order { id, from, to, news, note, error: error.map(str::to_owned) })
}

/// Effects of which each differs from every other in one thing.
fn different() -> Vec<Effect> {
    let id = ClientOrderId { home: 1, epoch: 2, sequence: 3 };
    let five = Lots::new(5);
    let live = OrderState::Live { leaves: five };
    let mut all = vec![
        Effect::Cancel { id, instrument: ID },
        Effect::Query { id, instrument: ID },
        Effect::RequestSnapshot { instrument: ID },
        Effect::RequestSnapshot { instrument: domain::InstrumentId(1) },
        signal(None),
        signal(Some(0.0)),
        signal(Some(-0.0)),
        signal(Some(f64::NAN)),
        order(live, live, None),
        order(live, live, Some("")),
        order(live, OrderState::InFlight { leaves: five }, None),
        order(live, OrderState::Cancelling { leaves: five }, None),
        order(live, OrderState::Unknown { leaves: five, not_found: 0 }, None),
        order(live, OrderState::Unknown { leaves: five, not_found: 1 }, None),
        Effect::Audit(AuditRecord::Halt { halted: true, reason: note("a") }),
        Effect::Audit(AuditRecord::Halt { halted: false, reason: note("a") }),
        Effect::Audit(AuditRecord::Halt { halted: true, reason: note("b") }),
        Effect::Audit(AuditRecord::Stranger { id, news: ExecEvent::Expired }),
        Effect::Audit(AuditRecord::Book { instrument: ID, state: "live", reason: "x", last_id: 1 }),
        Effect::Audit(AuditRecord::Book { instrument: ID, state: "liv", reason: "ex", last_id: 1 }),
        Effect::Audit(AuditRecord::Fill {
            id,
            instrument: ID,
            side: Side::Sell,
            fill: fill("1", 100, 2, "USDT", "0.1"),
            position: Position::new(-1),
            realized: TickLots::new(-7),
        }),
    ];
    let closed = [Closed::Filled, Closed::Cancelled, Closed::Expired, Closed::Rejected, Closed::NeverArrived];
    all.extend(closed.map(|c| order(live, OrderState::Closed(c), None)));
    all
}

#[test]
fn effects_that_differ_have_different_bytes() {
    let all = different();
    for (a, x) in all.iter().enumerate() {
        for y in &all[a + 1..] {
            assert_ne!(bytes(x), bytes(y), "{x:?} and {y:?}");
        }
    }
}

#[test]
fn the_layout_of_a_record_by_hand() {
    let halt = Effect::Audit(AuditRecord::Halt { halted: true, reason: note("ab") });
    assert_eq!(bytes(&halt), [5, 8, 1, 2, 0, 0, 0, b'a', b'b']);
    let cancel =
        Effect::Cancel { id: ClientOrderId { home: 1, epoch: 2, sequence: 3 }, instrument: domain::InstrumentId(4) };
    assert_eq!(bytes(&cancel), [2, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0]);
}

#[test]
fn the_running_hash_is_a_chain_over_the_steps_that_had_effects() {
    let all = different();
    let (mut by_step, mut at_once, mut none) = (Running::default(), Running::default(), Running::default());
    by_step.update(&all[..3]);
    by_step.update(&[]);
    by_step.update(&all[3..]);
    at_once.update(&all);
    none.update(&[]);
    assert_eq!((by_step.count(), at_once.count()), (all.len() as u64, all.len() as u64));
    assert_ne!(by_step.hash(), at_once.hash(), "where the steps end is part of it");
    assert_eq!(none.hash(), [0; 32]);
    let first: Vec<u8> = all[..3].iter().flat_map(bytes).collect();
    let want = Sha256::digest([&[0u8; 32][..], &first].concat());
    let mut one = Running::default();
    one.update(&all[..3]);
    assert_eq!(one.hash(), <[u8; 32]>::from(want));
}
