//! What holds whatever the market does and whatever we send.

use crate::support::*;
use domain::order::TimeInForce;
use domain::{Decimal, Event, Lots, Side, Ticks};
use proptest::prelude::*;
use sim::{NewOrder, OwnTrade, QueueModel, SimKind, SimOutput, SimVenue};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// A new book around a mid price: sizes at distance 1, 2, 3.
    Book {
        mid: i64,
        bids: [u64; 3],
        asks: [u64; 3],
    },
    /// New best prices around a mid price.
    Quote {
        mid: i64,
        bid: u64,
        ask: u64,
    },
    Trade {
        buy: bool,
        price: i64,
        qty: u64,
    },
    Submit {
        buy: bool,
        kind: u8,
        tif: u8,
        price: i64,
        qty: u64,
    },
    Cancel {
        nth: usize,
    },
    Wait {
        ns: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let price = 90i64..110;
    prop_oneof![
        (price.clone(), any::<[u8; 3]>(), any::<[u8; 3]>()).prop_map(|(mid, b, a)| Step::Book {
            mid,
            bids: b.map(|q| 1 + u64::from(q % 12)),
            asks: a.map(|q| 1 + u64::from(q % 12)),
        }),
        (price.clone(), 1u64..12, 1u64..12).prop_map(|(mid, bid, ask)| Step::Quote { mid, bid, ask }),
        (any::<bool>(), price.clone(), 1u64..15).prop_map(|(buy, price, qty)| Step::Trade { buy, price, qty }),
        (any::<bool>(), 0u8..3, 0u8..3, price, 1u64..20).prop_map(|(buy, kind, tif, price, qty)| Step::Submit {
            buy,
            kind,
            tif,
            price,
            qty
        }),
        (0usize..20).prop_map(|nth| Step::Cancel { nth }),
        (0u64..REFILL_NS).prop_map(|ns| Step::Wait { ns }),
    ]
}

const fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

struct Run {
    venue: SimVenue,
    ts_ns: u64,
    book_id: u64,
    sent: u32,
}

impl Run {
    fn order(&mut self, buy: bool, kind: u8, tif: u8, price: i64, qty: u64) -> NewOrder {
        self.sent += 1;
        NewOrder {
            kind: [SimKind::Limit, SimKind::PostOnly, SimKind::Market][usize::from(kind)],
            tif: [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok][usize::from(tif)],
            ..limit(self.sent, side(buy), price, qty)
        }
    }

    fn step(&mut self, step: &Step) -> Vec<SimOutput> {
        let mut out = Vec::new();
        self.book_id += 1;
        let market = match *step {
            Step::Book { mid, bids: b, asks: a } => {
                let bids = [(mid - 1, b[0]), (mid - 2, b[1]), (mid - 3, b[2])];
                let asks = [(mid + 1, a[0]), (mid + 2, a[1]), (mid + 3, a[2])];
                snapshot(self.book_id, &bids, &asks)
            }
            Step::Quote { mid, bid, ask } => quote(self.book_id, (mid - 1, bid), (mid + 1, ask)),
            Step::Trade { buy, price, qty } => trade(side(buy), price, qty),
            Step::Submit { buy, kind, tif, price, qty } => {
                let new = self.order(buy, kind, tif, price, qty);
                self.venue.submit(self.ts_ns, &new, &mut out).ok();
                return out;
            }
            Step::Cancel { nth } => {
                let open = self.venue.open_orders().nth(nth).map(|o| o.request.id);
                if let Some(id) = open {
                    self.venue.cancel(self.ts_ns, &id, &mut out).ok();
                }
                return out;
            }
            Step::Wait { ns } => {
                self.ts_ns += ns;
                Event::Timer
            }
        };
        self.venue.on_market(self.ts_ns, &market, &mut out);
        out
    }

    fn seen(&self) -> Seen {
        let Some(book) = self.venue.book(ABC) else { return Seen::default() };
        let mut levels = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            book.walk(side, |l| {
                levels.push(l.price);
                true
            });
        }
        let top = book.best(Side::Buy).zip(book.best(Side::Sell)).map(|(b, a)| (b.price, a.price));
        Seen { top, levels }
    }
}

/// What the book shows.
#[derive(Default)]
struct Seen {
    top: Option<(Ticks, Ticks)>,
    levels: Vec<Ticks>,
}

fn start(queue: QueueModel) -> Run {
    Run { venue: venue(queue), ts_ns: 1, book_id: 0, sent: 0 }
}

fn total(venue: &SimVenue, asset: &str) -> Decimal {
    let b = venue.balances().into_iter().find(|b| b.asset.as_str() == asset).unwrap();
    assert!(b.free.mantissa >= 0 && b.locked.mantissa >= 0, "{asset}: {b:?}");
    b.free.checked_add(b.locked).unwrap()
}

/// Balances are the start plus what was traded; what is locked is what open orders hold.
fn check_money(venue: &SimVenue) {
    let (mut base, mut quote) = (1000i128, Decimal::new(100_000, 0));
    for OwnTrade { side, price, qty, fee, .. } in venue.fills_since(0) {
        let value = Decimal::new(i128::from(price.get()) * i128::from(qty.get()), 0);
        let size = i128::from(qty.get());
        (base, quote) = match side {
            Side::Buy => (base + size, quote.checked_sub(value).unwrap()),
            Side::Sell => (base - size, quote.checked_add(value).unwrap()),
        };
        quote = quote.checked_sub(*fee).unwrap();
    }
    assert_eq!(total(venue, "ABC"), Decimal::new(base, 0));
    assert_eq!(total(venue, "USD"), quote);
    for (side, asset) in [(Side::Buy, "USD"), (Side::Sell, "ABC")] {
        let held = venue.open_orders().filter(|o| o.request.side == side);
        let held = held.fold(Decimal::ZERO, |sum, o| sum.checked_add(o.locked).unwrap());
        let locked = venue.balances().into_iter().find(|b| b.asset.as_str() == asset).unwrap().locked;
        assert_eq!(locked, held, "{asset}");
    }
}

/// The fills of every order sum to what it says, and never to more than it asked for.
fn check_orders(venue: &SimVenue) {
    let mut filled: BTreeMap<u64, u64> = BTreeMap::new();
    for t in venue.fills_since(0) {
        *filled.entry(t.venue_id).or_default() += t.qty.get();
    }
    for o in venue.orders() {
        assert_eq!(o.filled.get(), filled.get(&o.venue_id).copied().unwrap_or(0));
        assert!(o.filled <= o.request.qty);
        assert_eq!(o.status == sim::SimStatus::Filled, o.filled == o.request.qty, "{o:?}");
    }
    let ids: Vec<u64> = venue.fills_since(0).map(|t| t.trade_id).collect();
    assert!(ids.iter().copied().eq(1..=ids.len() as u64));
}

/// Takers trade at prices that were displayed. Resting orders trade at their limit, and only where the market really
/// went: never at a price better for us than any shown or traded around the fill.
fn check_path(venue: &SimVenue, step: &Step, before: &Seen, after: &Seen, out: &[SimOutput]) {
    let mut prices: Vec<Ticks> = [before.top, after.top].into_iter().flatten().flat_map(|(b, a)| [b, a]).collect();
    if let Step::Trade { price, .. } = step {
        prices.push(Ticks::new(*price));
    }
    for (n, price, _, maker) in fills(out) {
        let price = Ticks::new(price);
        if maker {
            let order = venue.order(&id(n)).unwrap().request;
            let reached = match order.side {
                Side::Buy => prices.iter().any(|p| *p <= price),
                Side::Sell => prices.iter().any(|p| *p >= price),
            };
            assert!(reached && price == order.price, "order {n} at {price:?} by {step:?}, seen {prices:?}");
        } else {
            // After: an order sent before the first book takes from it.
            let shown = before.levels.contains(&price) || (before.top.is_none() && after.levels.contains(&price));
            assert!(shown, "order {n} took at {price:?} by {step:?}: {:?}", before.levels);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn money_orders_and_prices_stay_right(
        steps in prop::collection::vec(step(), 1..120),
        model in prop_oneof![Just(QueueModel::Pessimistic), Just(QueueModel::Power { n: 3 }), Just(QueueModel::Log)],
    ) {
        let mut run = start(model);
        for step in &steps {
            let before = run.seen();
            let out = run.step(step);
            if let Step::Trade { qty, .. } = step {
                let got: u64 = fills(&out).iter().map(|f| f.2).sum();
                prop_assert!(got <= *qty, "{got} filled by a trade of {qty}");
            }
            check_path(&run.venue, step, &before, &run.seen(), &out);
            check_money(&run.venue);
            check_orders(&run.venue);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 1..80)) {
        let play = || {
            let mut run = start(QueueModel::Power { n: 3 });
            steps.iter().flat_map(|s| run.step(s)).collect::<Vec<_>>()
        };
        prop_assert_eq!(play(), play());
    }

    #[test]
    fn the_pessimistic_queue_is_never_ahead_of_the_others(
        changes in prop::collection::vec((0u64..60, any::<bool>()), 1..60),
    ) {
        let mut fronts = [QueueModel::Pessimistic, QueueModel::Power { n: 3 }, QueueModel::Log].map(|model| {
            let mut desk = Desk::new(model, &[(100, 40)], &[(101, 5)]);
            desk.send(limit(1, Side::Buy, 100, 900));
            desk
        });
        for (i, (n, traded)) in changes.iter().enumerate() {
            let event = match traded {
                true => trade(Side::Sell, 100, n % 7 + 1),
                false => delta(2 + i as u64, &[(100, n + 1)], &[]),
            };
            // Ids must follow each other: every step is a delta, a trade goes with an empty one.
            for desk in &mut fronts {
                desk.market(&event);
                if *traded {
                    desk.market(&delta(2 + i as u64, &[], &[]));
                }
            }
            let front: Vec<f64> = fronts.iter().map(|d| d.front(1)).collect();
            prop_assert!(front[0] + 1e-9 >= front[1] && front[0] + 1e-9 >= front[2], "{front:?}");
            let filled = |d: &Desk| d.venue.order(&id(1)).map_or(Lots::ZERO, |o| o.filled);
            prop_assert!(filled(&fronts[0]) <= filled(&fronts[1]));
        }
    }
}
