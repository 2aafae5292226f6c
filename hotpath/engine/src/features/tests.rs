//! Values by hand, a second naive implementation, and another crate where its definition agrees.

use super::*;
use crate::testing::{level, trade};
use domain::{Lots, Side, Ticks};
use proptest::prelude::*;

fn naive_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Wilder over a whole series: mean of the first `p`, then the recursion, written as a loop over indices.
fn naive_wilder(values: &[f64], p: usize) -> Vec<Option<f64>> {
    let mut out = vec![None; values.len()];
    for i in 0..values.len() {
        if i + 1 == p {
            out[i] = Some(naive_mean(&values[..p]));
        } else if i + 1 > p {
            out[i] = Some((out[i - 1].unwrap() * (p as f64 - 1.0) + values[i]) / p as f64);
        }
    }
    out
}

fn bits(values: &[Option<f64>]) -> Vec<Option<u64>> {
    values.iter().map(|v| v.map(f64::to_bits)).collect()
}

#[track_caller]
fn near(got: Option<f64>, want: f64) {
    let got = got.unwrap();
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1.0), "{got} is not {want}");
}

#[test]
fn averages_by_hand() {
    let mut sma = Sma::new(3);
    assert_eq!([1.0, 2.0, 6.0, 4.0].map(|x| sma.update(x)), [None, None, Some(3.0), Some(4.0)]);
    // Seed 2; then k = 1/2: 2 + (6 - 2) / 2 = 4; 4 + (4 - 4) / 2 = 4.
    let mut ema = Ema::new(3);
    assert_eq!([1.0, 2.0, 3.0, 6.0, 4.0].map(|x| ema.update(x)), [None, None, Some(2.0), Some(4.0), Some(4.0)]);
    // Seed 2; then (2 * 2 + 5) / 3 = 3.
    let mut rma = Rma::new(3);
    assert_eq!([1.0, 2.0, 3.0, 5.0].map(|x| rma.update(x)), [None, None, Some(2.0), Some(3.0)]);
}

#[test]
fn rsi_and_atr_by_hand() {
    // Changes +2 -1 +3: gains 2 0 3, losses 0 1 0. p = 2: G 1, L 0.5 -> 66.67; then G 2, L 0.25 -> 88.89.
    let mut rsi = Rsi::new(2);
    assert_eq!([10.0, 12.0].map(|x| rsi.update(x)), [None, None]);
    near(rsi.update(11.0), 100.0 / 1.5);
    near(rsi.update(14.0), 200.0 / 2.25);
    let mut still = Rsi::new(2);
    assert_eq!([5.0, 5.0, 5.0].map(|x| still.update(x)), [None, None, Some(0.0)], "as TA-Lib");
    // True ranges: -, max(3, |12-9|, |9-9|) = 3, max(1, |15-11|, |14-11|) = 4; p = 2: 3.5; then max(2, 1, 1) = 2: 2.75.
    let mut atr = Atr::new(2);
    assert_eq!(atr.update(10.0, 8.0, 9.0), None);
    assert_eq!(atr.update(12.0, 9.0, 11.0), None);
    assert_eq!(atr.update(15.0, 14.0, 14.0), Some(3.5));
    assert_eq!(atr.update(15.0, 13.0, 14.0), Some(2.75));
}

#[test]
fn what_is_not_a_number_changes_nothing() {
    let (mut sma, mut ema, mut rsi, mut atr) = (Sma::new(2), Ema::new(2), Rsi::new(2), Atr::new(1));
    for x in [1.0, f64::NAN, f64::INFINITY, 3.0] {
        sma.update(x);
        ema.update(x);
        rsi.update(x);
        atr.update(x, x, x);
    }
    assert_eq!((sma.value(), ema.value(), atr.value()), (Some(2.0), Some(2.0), Some(2.0)));
    assert_eq!(rsi.update(5.0), Some(100.0), "only gains were seen");
}

#[test]
fn ema_agrees_with_the_ta_crate_once_its_other_seed_has_faded() {
    // `ta` seeds with the first value and we, as TA-Lib, with the mean of the first p; the recursion is the same, so the
    // difference is the seeds' times (1 - k)^n. Its RSI and ATR smooth with 2 / (p + 1) and not 1 / p (Wilder): they are
    // other indicators under the same name and are not compared.
    use ta::Next;
    let p = 12;
    let mut theirs = ta::indicators::ExponentialMovingAverage::new(p).unwrap();
    let mut ours = Ema::new(p);
    for i in 0..20 * (p + 1) + 200 {
        let x = 100.0 + 10.0 * libm::sin(i as f64 / 7.0) + (i % 13) as f64;
        let (t, o) = (theirs.next(x), ours.update(x));
        if i >= 20 * (p + 1) {
            near(o, t);
        }
    }
}

#[test]
fn vwap_is_exact_and_starts_anew_at_midnight_utc() {
    const DAY: u64 = 86_400_000_000_000;
    let mut vwap = SessionVwap::default();
    let mut at = |ts, p, q| vwap.update(ts, Ticks::new(p), Lots::new(q));
    assert_eq!(at(10, 100, 1), Some(100.0));
    assert_eq!(at(20, 103, 2), Some(102.0));
    assert_eq!(at(DAY, 200, 5), Some(200.0), "a new day");
    assert_eq!(at(DAY - 1, 1, 1000), Some(200.0), "yesterday's straggler is left out");
    assert_eq!(vwap.late(), 1);
}

#[test]
fn queue_imbalance_by_hand() {
    assert_eq!(queue_imbalance(level(99, 3), level(100, 1)), 0.5);
    assert_eq!(queue_imbalance(level(99, 1), level(100, 1)), 0.0);
}

#[test]
fn order_flow_imbalance_of_every_kind_of_change_by_hand() {
    // From bid 99 x 5, ask 101 x 7.
    let cases = [
        ("more bid at the same price", (99, 8), (101, 7), Some(3)),
        ("a better bid counts whole", (100, 4), (101, 7), Some(4)),
        ("a worse bid takes the old one away", (98, 9), (101, 7), Some(-5)),
        ("more ask at the same price", (99, 5), (101, 9), Some(-2)),
        ("a better ask counts whole", (99, 5), (100, 2), Some(-2)),
        ("a worse ask takes the old one away", (99, 5), (102, 3), Some(7)),
        ("both move up", (100, 4), (102, 3), Some(11)),
        ("nothing", (99, 5), (101, 7), None),
    ];
    for (name, bid, ask, want) in cases {
        let mut ofi = Ofi::default();
        assert_eq!(ofi.update(level(99, 5), level(101, 7)), None, "the first top has no predecessor");
        let got = ofi.update(level(bid.0, bid.1), level(ask.0, ask.1));
        assert_eq!(got.map(|s| s.flow), want, "{name}");
        assert!(got.is_none_or(|s| s.depth2 == i128::from(bid.1 + ask.1)));
        ofi.reset();
        assert_eq!(ofi.update(level(1, 1), level(2, 1)), None, "a gap starts anew");
    }
}

#[test]
fn flow_over_a_window_by_hand() {
    let mut window = FlowWindow::new(3);
    let step = |flow, depth2| OfiStep { flow, depth2 };
    assert_eq!(window.update(10 * SECOND_NS, step(6, 8)), None, "warming");
    assert_eq!(window.update(11 * SECOND_NS, step(2, 4)), None);
    // Seconds 11..=13 hold flows 2 and 4, depths 2 and 4, mean 3: 6 / 3.
    assert_eq!(window.update(13 * SECOND_NS + 5, step(4, 8)), Some(2.0));
    assert_eq!(window.value(14 * SECOND_NS), Some(1.0), "second 11 has gone: 4 / 4");
    assert_eq!(window.value(20 * SECOND_NS), None, "an empty window says nothing");
    window.reset();
    assert_eq!(window.update(21 * SECOND_NS, step(1, 2)), None, "warms up again");
}

#[test]
fn bars_by_hand() {
    let mut bars = Bars::new(SECOND_NS);
    let mut at = |ms: u64, p, q, side| bars.on_trade(&trade(ms * 1_000_000, p, q, side));
    assert_eq!(at(1_100, 10, 1, Side::Buy), None);
    assert_eq!(at(1_900, 13, 2, Side::Sell), None);
    assert_eq!(at(1_500, 9, 3, Side::Buy), None, "out of order inside the bar is fine");
    let bar = at(3_000, 11, 1, Side::Buy).unwrap();
    let want = (SECOND_NS, [10, 13, 9, 9], 6, 4, 3);
    let prices = [bar.open, bar.high, bar.low, bar.close].map(Ticks::get);
    assert_eq!((bar.open_ns, prices, bar.volume.get(), bar.volume_buy.get(), bar.trades), want);
    assert_eq!(bar.value.get(), 10 + 26 + 27);
    assert_eq!(at(2_500, 1, 1, Side::Buy), None);
    assert_eq!(bars.late(), 1, "second 2 was passed without trades; it is not invented afterwards");
    assert_eq!(bars.on_time(4 * SECOND_NS + GRACE_NS - 1), None);
    assert_eq!(bars.on_time(4 * SECOND_NS + GRACE_NS).unwrap().open_ns, 3 * SECOND_NS);
    assert_eq!(bars.on_trade(&trade(3_999_000_000, 1, 1, Side::Buy)), None);
    assert_eq!(bars.late(), 2, "closed by the clock, and then a trade of it came");
}

proptest! {
    #[test]
    fn recursive_averages_equal_the_loop_over_indices_to_the_bit(xs in prop::collection::vec(-1e6f64..1e6, 1..120), p in 1usize..20) {
        let (mut sma, mut ema, mut rma) = (Sma::new(p), Ema::new(p), Rma::new(p));
        let got_sma: Vec<_> = xs.iter().map(|&x| sma.update(x)).collect();
        let want_sma: Vec<_> = (0..xs.len()).map(|i| (i + 1 >= p).then(|| naive_mean(&xs[i + 1 - p..=i]))).collect();
        prop_assert_eq!(bits(&got_sma), bits(&want_sma));
        let got_rma: Vec<_> = xs.iter().map(|&x| rma.update(x)).collect();
        prop_assert_eq!(bits(&got_rma), bits(&naive_wilder(&xs, p)));
        let got_ema: Vec<_> = xs.iter().map(|&x| ema.update(x)).collect();
        let k = 2.0 / (p as f64 + 1.0);
        let mut want = vec![None; xs.len()];
        for i in 0..xs.len() {
            if i + 1 == p { want[i] = Some(naive_mean(&xs[..p])); }
            if i + 1 > p { let e: f64 = want[i - 1].unwrap(); want[i] = Some(e + (xs[i] - e) * k); }
        }
        prop_assert_eq!(bits(&got_ema), bits(&want));
    }

    #[test]
    fn rsi_and_atr_equal_the_loop_over_indices(closes in prop::collection::vec(1.0f64..1e5, 2..100), p in 1usize..15) {
        let mut rsi = Rsi::new(p);
        let got: Vec<_> = closes.iter().map(|&x| rsi.update(x)).collect();
        let changes: Vec<f64> = closes.windows(2).map(|w| w[1] - w[0]).collect();
        let gains = naive_wilder(&changes.iter().map(|c| c.max(0.0)).collect::<Vec<_>>(), p);
        let losses = naive_wilder(&changes.iter().map(|c| (-c).max(0.0)).collect::<Vec<_>>(), p);
        prop_assert_eq!(got[0], None);
        for i in 0..changes.len() {
            let want = gains[i].zip(losses[i]).map(|(g, l)| if g + l > 0.0 { 100.0 * (g / (g + l)) } else { 0.0 });
            prop_assert_eq!(got[i + 1].map(f64::to_bits), want.map(f64::to_bits));
            prop_assert!(want.is_none_or(|v| (0.0..=100.0).contains(&v)));
        }
        let mut atr = Atr::new(p);
        let got: Vec<_> = closes.iter().map(|&c| atr.update(c + 2.0, c - 1.0, c)).collect();
        let ranges: Vec<f64> = closes.windows(2)
            .map(|w| ((w[1] + 2.0) - (w[1] - 1.0)).max(((w[1] + 2.0) - w[0]).abs()).max(((w[1] - 1.0) - w[0]).abs()))
            .collect();
        prop_assert_eq!(bits(&got[1..]), bits(&naive_wilder(&ranges, p)));
    }

    #[test]
    fn a_long_average_stays_true_through_jumps_of_size(seed in 0u64..1000) {
        // Longer than what is added up anew every time, with values that would ruin a bare running sum.
        let (p, mut sma, mut xs) = (300, Sma::new(300), Vec::new());
        for i in 0..2_000u64 {
            let x = if (i + seed) % 97 == 0 { 1e12 } else { ((i * 7919 + seed) % 1000) as f64 / 7.0 };
            xs.push(x);
            let got = sma.update(x);
            if xs.len() >= p {
                let want = naive_mean(&xs[xs.len() - p..]);
                prop_assert!((got.unwrap() - want).abs() <= 1e-9 * want.abs().max(1.0), "{got:?} {want}");
            }
        }
    }

    #[test]
    fn operators_cloned_anywhere_go_on_bit_for_bit(
        steps in prop::collection::vec((0u64..3_000, 90i64..110, 1u64..9, 1u64..9, any::<bool>()), 1..150), cut in 0usize..150,
    ) {
        #[derive(Clone)]
        struct All(Common, FlowWindow, Sma, Ema, Rsi, Atr);
        let feed = |all: &mut All, ts: u64, &(_, price, bid, ask, buy): &(u64, i64, u64, u64, bool)| {
            let x = price as f64;
            let bars = all.0.on_trade(&trade(ts, price, bid, if buy { Side::Buy } else { Side::Sell }));
            let flow = all.0.on_top(level(price - 1, bid), level(price + 1, ask)).and_then(|s| all.1.update(ts, s));
            let values = [flow, all.0.vwap.value(), all.2.update(x), all.3.update(x), all.4.update(x), all.5.update(x + 1.0, x - 1.0, x)];
            (bars, bits(&values))
        };
        let mut one = All(Common::default(), FlowWindow::new(4), Sma::new(5), Ema::new(5), Rsi::new(5), Atr::new(5));
        let (mut two, mut ts) = (None, 0);
        for (at, step) in steps.iter().enumerate() {
            if at == cut { two = Some(one.clone()); }
            ts += step.0 * 1_000_000;
            let got = feed(&mut one, ts, step);
            if let Some(two) = &mut two { prop_assert_eq!(&got, &feed(two, ts, step)); }
        }
    }

    #[test]
    fn bars_equal_grouping_the_trades_by_their_second(steps in prop::collection::vec((0u64..900, 1i64..100, 1u64..9), 1..200)) {
        let mut bars = Bars::new(SECOND_NS);
        let (mut ts, mut got, mut all) = (5 * SECOND_NS, Vec::new(), Vec::new());
        for (ms, price, qty) in steps {
            ts += ms * 1_000_000;
            let t = trade(ts, price, qty, Side::Buy);
            got.extend(bars.on_trade(&t));
            all.push(t);
        }
        got.extend(bars.on_time(u64::MAX));
        let mut want: std::collections::BTreeMap<u64, Vec<domain::event::Trade>> = Default::default();
        for t in all { want.entry(t.ts_venue_ns / SECOND_NS).or_default().push(t); }
        prop_assert_eq!(got.len(), want.len(), "no bar is invented and none is lost");
        for (bar, (second, trades)) in got.iter().zip(&want) {
            prop_assert_eq!(bar.open_ns, second * SECOND_NS);
            prop_assert_eq!((bar.open, bar.close), (trades[0].price, trades[trades.len() - 1].price));
            prop_assert_eq!(bar.high, trades.iter().map(|t| t.price).max().unwrap());
            prop_assert_eq!(bar.low, trades.iter().map(|t| t.price).min().unwrap());
            prop_assert_eq!(bar.volume.get(), trades.iter().map(|t| t.qty.get()).sum::<u64>());
            prop_assert_eq!(bar.trades as usize, trades.len());
        }
    }

    #[test]
    fn flow_over_a_window_equals_adding_up_what_lies_in_it(steps in prop::collection::vec((0u64..2_500, -50i64..50, 1u64..90), 1..150), n in 1u32..8) {
        let mut window = FlowWindow::new(n);
        let (mut ts, mut all) = (1_000 * SECOND_NS, Vec::new());
        for (ms, flow, depth2) in steps {
            ts += ms * 1_000_000;
            let step = OfiStep { flow: flow.into(), depth2: depth2.into() };
            all.push((ts / SECOND_NS, step));
            let got = window.update(ts, step);
            let inside: Vec<_> = all.iter().filter(|(s, _)| s + u64::from(n) > ts / SECOND_NS).map(|(_, s)| s).collect();
            let flow: i128 = inside.iter().map(|s| s.flow).sum();
            let depth: i128 = inside.iter().map(|s| s.depth2).sum();
            let want = (all[0].0 + u64::from(n) <= ts / SECOND_NS)
                .then(|| float(flow) / (float(depth) / float(2 * inside.len() as i128)));
            prop_assert_eq!(got.map(f64::to_bits), want.map(f64::to_bits));
        }
    }
}
