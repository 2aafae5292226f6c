//! Tests of the synthetic market, on the events alone.

use super::*;
use crate::book::Book;

fn config(seed: u64) -> MarketConfig {
    MarketConfig {
        instrument: InstrumentId(0),
        seed,
        start_ns: 1_700_000_000_000_000_000,
        price: Ticks::new(6_000_000),
        top_qty: Lots::new(200_000),
        trade_qty_min: Lots::new(150),
    }
}

fn run(seed: u64, seconds: u64) -> (BookSnapshot, Vec<(u64, Event)>) {
    let mut market = SyntheticMarket::new(config(seed));
    let snapshot = market.snapshot();
    let mut events = Vec::new();
    for _ in 0..seconds * 10 {
        market.step(&mut events);
    }
    (snapshot, events)
}

#[test]
fn one_seed_is_one_market_and_another_seed_another() {
    assert_eq!(run(7, 20), run(7, 20));
    assert_ne!(run(7, 20).1, run(8, 20).1);
}

#[test]
fn ids_are_contiguous_times_never_go_back_and_the_book_never_crosses() {
    for seed in 0..5 {
        let (snapshot, events) = run(seed, 120);
        let mut book = Book::new(1);
        book.on_snapshot(&snapshot);
        let (mut last_ns, mut last_id) = (0, snapshot.last_id);
        let mut trade_id = config(seed).start_ns / 1_000_000;
        assert_eq!(last_id, trade_id, "both count from the start, in ms");
        for (ts_ns, event) in &events {
            assert!(*ts_ns >= last_ns, "seed {seed}: {event:?} goes back in time");
            last_ns = *ts_ns;
            match event {
                Event::BookDelta(d) => {
                    assert_eq!(d.first_id, last_id + 1, "seed {seed}");
                    last_id = d.last_id;
                    book.on_delta(d);
                    let (bid, ask) = (book.levels(Side::Buy, 1)[0], book.levels(Side::Sell, 1)[0]);
                    assert!(bid.price < ask.price, "seed {seed}: crossed {bid:?} {ask:?}");
                    assert!(book.levels(Side::Buy, 1000).len() >= 40, "seed {seed}: thin bids");
                    assert!(book.levels(Side::Sell, 1000).len() >= 40, "seed {seed}: thin asks");
                }
                Event::Trade(t) => {
                    assert_eq!(t.trade_id, trade_id + 1);
                    trade_id = t.trade_id;
                    assert!(!t.qty.is_zero());
                }
                Event::Quote(q) => assert!(q.bid.price < q.ask.price && !q.bid.qty.is_zero() && !q.ask.qty.is_zero()),
                other => panic!("{other:?} is not market data"),
            }
        }
    }
}

/// Newest trade id and newest update id.
fn newest_ids(events: &[(u64, Event)]) -> (u64, u64) {
    events.iter().fold((0, 0), |(trade, update), (_, event)| match event {
        Event::Trade(t) => (trade.max(t.trade_id), update),
        Event::BookDelta(d) => (trade, update.max(d.last_id)),
        Event::Quote(q) => (trade, update.max(q.update_id)),
        _ => (trade, update),
    })
}

#[test]
fn a_market_started_where_another_ended_never_meets_its_ids() {
    for seed in 0..5 {
        // Long markets meet shocks; short ones end while the book still fills.
        for seconds in [1, 2, 10, 600] {
            let (_, events) = run(seed, seconds);
            let (trade, update) = newest_ids(&events);
            let start_ns = config(seed).start_ns + seconds * 1_000_000_000;
            let mut next = SyntheticMarket::new(MarketConfig { start_ns, ..config(seed) });
            assert!(next.snapshot().last_id > update, "seed {seed}, {seconds} s: {update} updates");
            let mut later = Vec::new();
            while newest_ids(&later).0 == 0 {
                next.step(&mut later);
            }
            let first = later.iter().find_map(|(_, event)| match event {
                Event::Trade(t) => Some(t.trade_id),
                _ => None,
            });
            assert!(first > Some(trade), "seed {seed}, {seconds} s: {trade} trades, then {first:?}");
        }
    }
}

#[test]
fn a_diff_and_a_quote_with_the_same_id_show_the_same_top() {
    let (snapshot, events) = run(3, 60);
    let mut book = Book::new(1);
    book.on_snapshot(&snapshot);
    let mut quote = None;
    let mut compared = 0;
    for (_, event) in &events {
        match event {
            Event::Quote(q) => quote = Some(*q),
            Event::BookDelta(d) => {
                book.on_delta(d);
                if let Some(q) = quote.filter(|q| q.update_id == d.last_id) {
                    assert_eq!(book.levels(Side::Buy, 1), [q.bid]);
                    assert_eq!(book.levels(Side::Sell, 1), [q.ask]);
                    compared += 1;
                }
            }
            _ => {}
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn trades_come_at_a_plausible_rate_in_bursts() {
    let (_, events) = run(11, 600);
    let mut per_second = vec![0u32; 601];
    for (ts_ns, event) in &events {
        if matches!(event, Event::Trade(_)) {
            let second = (ts_ns - config(11).start_ns) / 1_000_000_000;
            per_second[usize::try_from(second).unwrap()] += 1;
        }
    }
    let n = f64::from(600);
    let mean = per_second.iter().map(|c| f64::from(*c)).sum::<f64>() / n;
    let var = per_second.iter().map(|c| (f64::from(*c) - mean) * (f64::from(*c) - mean)).sum::<f64>() / n;
    assert!((5.0..60.0).contains(&mean), "{mean} trades per second");
    assert!(var > 2.0 * mean, "variance {var} against mean {mean}: not bursty");
}

#[test]
fn flow_of_the_last_seconds_predicts_the_next_move() {
    // Correlation of signed trade volume over 3 s with the mid's move over the following 3 s.
    let (_, events) = run(5, 1800);
    let start = config(5).start_ns;
    let slots = 600;
    let (mut flow, mut mid) = (vec![0.0; slots + 1], vec![0.0f64; slots + 1]);
    for (ts_ns, event) in &events {
        let slot = usize::try_from((ts_ns - start) / 3_000_000_000).unwrap();
        match event {
            Event::Trade(t) if t.aggressor == Side::Buy => flow[slot] += 1.0,
            Event::Trade(_) => flow[slot] -= 1.0,
            Event::Quote(q) => mid[slot] = (q.bid.price.get() + q.ask.price.get()) as f64 / 2.0,
            _ => {}
        }
    }
    let pairs: Vec<(f64, f64)> = (0..slots - 1).map(|i| (flow[i], mid[i + 1] - mid[i])).collect();
    let n = pairs.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>() / n;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let cov = mean(&|p| (p.0 - mx) * (p.1 - my));
    let (vx, vy) = (mean(&|p| (p.0 - mx) * (p.0 - mx)), mean(&|p| (p.1 - my) * (p.1 - my)));
    let correlation = cov / (vx * vy).sqrt();
    assert!(correlation > 0.1, "{correlation}");
    assert!(correlation < 0.9, "{correlation}: nobody would believe it");
}

#[test]
fn the_price_stays_plausible_for_an_hour() {
    let (_, events) = run(21, 3600);
    let mids = events.iter().filter_map(|(_, e)| match e {
        Event::Quote(q) => Some((q.bid.price.get(), q.ask.price.get() - q.bid.price.get())),
        _ => None,
    });
    let (mut narrow, mut all) = (0u32, 0u32);
    for (bid, spread) in mids {
        assert!((5_400_000..6_600_000).contains(&bid), "{bid}");
        assert!(spread < 30_000, "{spread}");
        all += 1;
        narrow += u32::from(spread == 1);
    }
    assert!(f64::from(narrow) > 0.5 * f64::from(all), "{narrow} of {all} quotes one tick wide");
}
