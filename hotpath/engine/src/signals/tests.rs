//! Each rule by itself, woken by hand.

use super::*;
use crate::features::Bar;
use crate::testing::{decimal, level, shipped};
use domain::Ticks;

const S: u64 = SECOND_NS;

fn look(now_ns: u64, held: u64) -> Look {
    Look {
        now_ns,
        top: Some((level(1000, 9), level(1001, 3))),
        held: Lots::new(held),
        cost: TickLots::new(i128::from(held) * 1000),
        cost_qty: Lots::new(held),
        since_ns: 0,
        busy: false,
    }
}

fn flow_rule() -> StrategyRule {
    StrategyRule::FlowImbalance {
        symbols: vec![],
        order_value: decimal("500"),
        window_s: 2,
        enter_bps: 20_000,
        exit_bps: 0,
        queue_imbalance_min_bps: 5_000,
        hold_s_max: 30,
        cooldown_s: 10,
        slippage_max_bps: 5,
    }
}

fn ema_rule() -> StrategyRule {
    StrategyRule::EmaCross {
        symbols: vec![],
        order_value: decimal("500"),
        fast_bars: 1,
        slow_bars: 3,
        volume_bars: 3,
        volume_ratio_min_bps: 12_000,
        atr_bars: 2,
        stop_atr_bps: 20_000,
        slippage_max_bps: 5,
    }
}

/// Mean depth is 6, so a flow of 12 is two mean depths: the entry level exactly.
fn step(flow: i128) -> Option<OfiStep> {
    Some(OfiStep { flow, depth2: 12 })
}

/// A flow strategy whose window is warm and empty at second 10.
fn warm() -> Strategy {
    let mut s = Strategy::new(&flow_rule()).unwrap();
    assert_eq!(s.on_book(step(0), &look(5 * S, 0)), None);
    assert_eq!(s.on_book(step(0), &look(10 * S, 0)), None);
    s
}

#[test]
fn flow_enters_at_its_level_with_the_queue_behind_it_and_says_what_it_saw() {
    // Two steps in the window (seconds 9 and 10): 24 over a mean depth of 6 is 4.
    let signal = warm().on_book(step(24), &look(10 * S, 0)).unwrap();
    assert_eq!((signal.side, signal.intent), (Side::Buy, Intent::Enter));
    let seen: Vec<_> = signal.features.iter().map(|f| (f.id.to_string(), f.value)).collect();
    let want = [("flow.ofi(2s)@1s", Some(4.0)), ("book.queue_imbalance(1)@change", Some(0.5))];
    assert_eq!(seen, want.map(|(id, v)| (id.to_owned(), v)));
    assert_eq!(warm().on_book(step(11), &look(10 * S, 0)), None, "11 / 6 is below 2");
    assert!(warm().on_book(step(12), &look(10 * S, 0)).is_some(), "12 / 6 is 2");
    let thin = Look { top: Some((level(1000, 5), level(1001, 3))), ..look(10 * S, 0) };
    assert_eq!(warm().on_book(step(24), &thin), None, "queue imbalance 0.25 is below 0.5");
}

#[test]
fn flow_never_enters_while_an_order_is_open_or_while_it_warms_up() {
    assert_eq!(warm().on_book(step(24), &Look { busy: true, ..look(10 * S, 0) }), None);
    let mut cold = Strategy::new(&flow_rule()).unwrap();
    assert_eq!(cold.on_book(step(99), &look(10 * S, 0)), None);
    let mut lost = warm();
    lost.on_book_lost();
    assert_eq!(lost.on_book(step(99), &look(10 * S, 0)), None, "after a gap it warms up again");
}

#[test]
fn a_wish_that_came_to_nothing_is_repeated_after_a_pause_and_not_with_every_change() {
    let mut s = warm();
    assert!(s.on_book(step(24), &look(10 * S, 0)).is_some());
    assert_eq!(s.on_book(step(24), &look(10 * S + S / 2, 0)), None);
    assert!(s.on_book(step(24), &look(11 * S, 0)).is_some());
}

#[test]
fn flow_leaves_when_buying_ends_and_keeps_asking_until_it_is_out() {
    let mut s = warm();
    assert_eq!(s.on_book(step(6), &look(11 * S, 5)), None, "still buying");
    let exit = s.on_book(step(-12), &look(11 * S, 5)).unwrap();
    assert_eq!((exit.side, exit.intent, exit.reason), (Side::Sell, Intent::Exit, "net buying has ended"));
    assert_eq!(s.on_book(step(99), &Look { busy: true, ..look(13 * S, 5) }), None, "its order is out");
    assert!(s.on_book(step(99), &look(14 * S, 2)).is_some(), "flow is back, but half an exit is no exit");
    assert_eq!(s.on_book(step(99), &look(15 * S, 0)), None, "out, and pausing");
    assert_eq!(s.on_book(step(99), &look(25 * S - 1, 0)), None);
    assert_eq!(s.on_book(step(99), &look(25 * S, 0)).unwrap().intent, Intent::Enter);
}

#[test]
fn flow_leaves_after_its_longest_time_whatever_the_flow_says() {
    let mut s = warm();
    assert_eq!(s.on_book(step(50), &Look { since_ns: 10 * S, ..look(40 * S - 1, 5) }), None);
    let exit = s.on_book(step(50), &Look { since_ns: 10 * S, ..look(40 * S, 5) }).unwrap();
    assert_eq!(exit.reason, "held for the longest time allowed");
}

fn bar(close: i64, volume: u64) -> Bar {
    Bar {
        open_ns: 0,
        open: Ticks::new(close),
        high: Ticks::new(close + 1),
        low: Ticks::new(close - 1),
        close: Ticks::new(close),
        volume: Lots::new(volume),
        volume_buy: Lots::ZERO,
        value: TickLots::ZERO,
        trades: 1,
    }
}

/// Fast is the close itself, slow the EMA(3): falling first, then a bar that jumps above it.
fn crossing(last_volume: u64, last: Look) -> (Strategy, Option<Signal>) {
    let mut s = Strategy::new(&ema_rule()).unwrap();
    for close in [110, 108, 106, 104] {
        assert_eq!(s.on_bar_1m(&bar(close, 10), &look(S, 0)), None);
    }
    let got = s.on_bar_1m(&bar(120, last_volume), &last);
    (s, got)
}

#[test]
fn ema_cross_enters_on_the_cross_with_volume_behind_it() {
    // Volumes 10 10 20: average 13.33, ratio 1.5. Slow: 108, then 106, then 113.
    let (_, signal) = crossing(20, look(S, 0));
    let signal = signal.unwrap();
    assert_eq!((signal.side, signal.intent), (Side::Buy, Intent::Enter));
    let seen: Vec<_> = signal.features.iter().map(|f| (f.id.to_string(), f.value)).collect();
    // True ranges 3 3 3 17: seed (3 + 3) / 2, then 3, then (3 + 17) / 2.
    let want = [
        ("trend.ema(1)@1m", Some(120.0)),
        ("trend.ema(3)@1m", Some(113.0)),
        ("volume.ratio(3)@1m", Some(1.5)),
        ("range.atr(2)@1m", Some(10.0)),
    ];
    assert_eq!(seen, want.map(|(id, v)| (id.to_owned(), v)));
}

#[test]
fn ema_cross_stays_out_without_volume_without_a_live_book_and_while_busy() {
    assert_eq!(crossing(11, look(S, 0)).1, None, "ratio 1.06");
    assert_eq!(crossing(20, Look { top: None, ..look(S, 0) }).1, None);
    assert_eq!(crossing(20, Look { busy: true, ..look(S, 0) }).1, None);
}

#[test]
fn ema_cross_does_not_enter_late_a_cross_that_has_passed() {
    let (mut s, none) = crossing(11, look(S, 0));
    assert_eq!(none, None);
    assert_eq!(s.on_bar_1m(&bar(125, 90), &look(99 * S, 0)), None, "above, but not crossing");
}

#[test]
fn ema_cross_leaves_at_the_stop_on_the_live_book() {
    // Entry price 1000, ATR 10, two of them: the stop is 980.
    let (mut s, _) = crossing(20, look(S, 0));
    let at = |bid| Look { top: Some((level(bid, 1), level(bid + 1, 1))), ..look(60 * S, 5) };
    assert_eq!(s.on_book(None, &at(981)), None);
    assert_eq!(s.on_book(None, &at(980)).unwrap().reason, "best bid reached the stop");
    let again = Look { now_ns: 62 * S, ..at(990) };
    assert!(s.on_book(None, &again).is_some(), "a stop that was reached stays reached until it is out");
    assert_eq!(s.on_book(None, &look(64 * S, 0)), None);
    assert_eq!(s.on_book(None, &at(10)), None, "the stop went with the position");
}

/// What is seen while an order that sells everything is on its way: nothing is left to sell.
fn selling(look: Look) -> Look {
    Look { held: Lots::ZERO, busy: true, ..look }
}

#[test]
fn an_exit_that_expires_unfilled_leaves_the_stop_armed() {
    let (mut s, _) = crossing(20, look(S, 0));
    let at = |bid, second| Look { top: Some((level(bid, 1), level(bid + 1, 1))), ..look(second * S, 5) };
    assert!(s.on_book(None, &at(980, 60)).is_some());
    assert_eq!(s.on_book(None, &selling(at(979, 61))), None);
    let again = s.on_book(None, &at(990, 62)).expect("a stop that was reached stays reached");
    assert_eq!((again.intent, again.reason), (Intent::Exit, "best bid reached the stop"));

    // Also when the exit had another cause: the stop itself is still there.
    let (mut s, _) = crossing(20, look(S, 0));
    assert_eq!(s.on_book(None, &at(985, 60)), None);
    assert_eq!(s.on_book(None, &selling(at(985, 61))), None);
    assert_eq!(s.on_book(None, &at(980, 62)).unwrap().reason, "best bid reached the stop");
}

#[test]
fn an_exit_that_expires_unfilled_starts_no_pause_of_the_flow_rule() {
    let mut s = warm();
    assert_eq!(s.on_book(step(6), &look(11 * S, 5)), None);
    assert!(s.on_book(step(-12), &look(11 * S, 5)).is_some());
    assert_eq!(s.on_book(step(0), &selling(look(11 * S + S / 2, 5))), None);
    let again = s.on_book(step(99), &look(12 * S, 5)).expect("asked again after the pause between two tries");
    assert_eq!((again.intent, again.reason), (Intent::Exit, "net buying has ended"));
}

#[test]
fn ema_cross_leaves_when_the_fast_one_falls_below_also_without_a_live_book() {
    let (mut s, _) = crossing(20, look(S, 0));
    let blind = Look { top: None, ..look(60 * S, 5) };
    let exit = s.on_bar_1m(&bar(90, 10), &blind).unwrap();
    assert_eq!((exit.intent, exit.reason), (Intent::Exit, "fast EMA fell below the slow one"));
}

#[test]
fn parameters_that_make_no_sense_are_refused_by_name() {
    let error = |rule: &StrategyRule| Strategy::new(rule).unwrap_err().to_string();
    let mut rule = ema_rule();
    if let StrategyRule::EmaCross { fast_bars, .. } = &mut rule {
        *fast_bars = 3;
    }
    assert_eq!(error(&rule), "`fast_bars` must be below `slow_bars`");
    let mut rule = flow_rule();
    if let StrategyRule::FlowImbalance { window_s, .. } = &mut rule {
        *window_s = 0;
    }
    assert_eq!(error(&rule), "`window_s` must be above zero");
    let mut rule = flow_rule();
    if let StrategyRule::FlowImbalance { exit_bps, .. } = &mut rule {
        *exit_bps = 20_000;
    }
    assert_eq!(error(&rule), "`exit_bps` must be below `enter_bps`");
    let mut rule = flow_rule();
    if let StrategyRule::FlowImbalance { slippage_max_bps, .. } = &mut rule {
        *slippage_max_bps = 10_000;
    }
    assert_eq!(error(&rule), "`slippage_max_bps` must be at most 9999");
}

#[test]
fn the_shipped_strategies_can_be_built() {
    for name in ["ema-cross.toml", "flow-imbalance.toml"] {
        let rule = shipped(name);
        assert_eq!(format!("{}.toml", rule.kind()), name);
        Strategy::new(&rule).unwrap();
    }
}
