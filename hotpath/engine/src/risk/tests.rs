//! One order that passes, and for every refusal the one change that brings it about.

use super::*;
use crate::testing::{ID, btcusdt, decimal, limits};
use domain::event::Allowed;
use domain::order::{OrderKind, TimeInForce};
use domain::{ClientOrderId, Side, StrategyId};
use proptest::prelude::*;

/// Buys 0.008 BTC at 60000.05; mid is 60000.00.
fn buy() -> OrderRequest {
    OrderRequest {
        id: ClientOrderId { home: 1, epoch: 1, sequence: 1 },
        instrument: ID,
        instrument_version: 1,
        strategy: StrategyId(0),
        side: Side::Buy,
        kind: OrderKind::Limit,
        tif: TimeInForce::Ioc,
        price: Ticks::new(6_000_005),
        qty: Lots::new(800),
    }
}

fn sell() -> OrderRequest {
    OrderRequest { side: Side::Sell, ..buy() }
}

/// 0.01 BTC held, nothing out, all is well.
fn facts(instrument: &Instrument) -> Facts<'_> {
    Facts {
        instrument,
        halted: false,
        loss_halted: false,
        allowed: Allowed::All,
        link_up: true,
        book_live: true,
        book_age_ms: 100,
        top: Some((Ticks::new(5_999_995), Ticks::new(6_000_005))),
        position: Position::new(1000),
        sellable: Lots::new(1000),
        open_buys: Lots::ZERO,
        open_sells: Lots::ZERO,
        day_net: decimal("-199.99"),
        loss_base: Decimal::ZERO,
        sent_1s: 0,
        sent_60s: 0,
        open_orders: 0,
        duplicate: false,
    }
}

#[track_caller]
fn check(request: OrderRequest, change: impl Fn(&mut Facts<'_>), want: Option<Refusal>) -> Vec<Check> {
    let rules = btcusdt();
    let mut facts = facts(&rules);
    change(&mut facts);
    let mut checks = Vec::new();
    let got = review(request, &facts, &limits(), &mut checks);
    assert_eq!(got.as_ref().err(), want.as_ref());
    assert_eq!(checks.iter().filter(|c| !c.ok).count(), usize::from(want.is_some()), "one check says no: {checks:?}");
    assert!(want.is_none() || !checks.last().unwrap().ok, "and it is the last one looked at");
    checks
}

#[test]
fn an_order_within_every_limit_is_approved_and_every_number_is_reported() {
    let names: Vec<&str> = check(buy(), |_| {}, None).iter().map(|c| c.name).collect();
    let want = [
        "book_age_ms",
        "qty_least",
        "qty_most",
        "value_least",
        "price_off_mid_bps",
        "order_value",
        "position_value",
        "day_net",
        "orders_1s",
        "orders_60s",
        "orders_open",
    ];
    assert_eq!(names, want);
    check(sell(), |_| {}, None);
}

#[test]
fn halted() {
    check(buy(), |f| f.halted = true, Some(Refusal::Halted));
    check(sell(), |f| f.halted = true, None);
}

#[test]
fn link_down() {
    check(buy(), |f| f.link_up = false, Some(Refusal::LinkDown));
    check(sell(), |f| f.link_up = false, Some(Refusal::LinkDown));
    let watched = Instrument { trade: false, ..btcusdt() };
    for request in [buy(), sell()] {
        let verdict = review(request, &facts(&watched), &limits(), &mut Vec::new());
        assert_eq!(verdict, Err(Refusal::WatchOnly));
    }
    for less in [Allowed::PostOnly, Allowed::CancelOnly, Allowed::Nothing] {
        check(buy(), |f| f.allowed = less, Some(Refusal::VenueClosed));
        check(sell(), |f| f.allowed = less, Some(Refusal::VenueClosed));
    }
}

#[test]
fn book_not_live() {
    check(buy(), |f| f.book_live = false, Some(Refusal::BookNotLive));
    check(sell(), |f| f.book_live = false, Some(Refusal::BookNotLive));
}

#[test]
fn book_stale() {
    check(buy(), |f| f.book_age_ms = 1500, None);
    check(buy(), |f| f.book_age_ms = 1501, Some(Refusal::BookStale { age_ms: 1501 }));
    check(sell(), |f| f.book_age_ms = 9999, Some(Refusal::BookStale { age_ms: 9999 }));
}

#[test]
fn book_crossed() {
    let same = Ticks::new(6_000_000);
    check(buy(), |f| f.top = Some((same, same)), Some(Refusal::BookCrossed));
    check(sell(), |f| f.top = None, Some(Refusal::BookCrossed));
}

#[test]
fn instrument_version() {
    check(OrderRequest { instrument_version: 2, ..buy() }, |_| {}, Some(Refusal::InstrumentVersion));
    check(OrderRequest { instrument: domain::InstrumentId(1), ..buy() }, |_| {}, Some(Refusal::InstrumentVersion));
}

#[test]
fn off_rules() {
    let of = |qty| OrderRequest { qty: Lots::new(qty), ..buy() };
    check(of(0), |_| {}, Some(Refusal::OffRules));
    check(of(900_000_001), |_| {}, Some(Refusal::OffRules));
    // 5 USDT at 60000.05 are 8.33 lots.
    check(of(8), |_| {}, Some(Refusal::OffRules));
    check(of(9), |_| {}, None);
}

#[test]
fn price_collar() {
    // Mid 60000.00, 50 bps are 300.00.
    let at = |price| OrderRequest { price: Ticks::new(price), ..buy() };
    check(at(6_030_000), |_| {}, None);
    check(at(6_030_001), |_| {}, Some(Refusal::PriceCollar));
    check(OrderRequest { price: Ticks::new(5_969_999), ..sell() }, |_| {}, Some(Refusal::PriceCollar));
}

#[test]
fn order_value() {
    // 1000 USDT at 60000.05 are 1666.66 lots.
    let of = |qty| OrderRequest { qty: Lots::new(qty), ..buy() };
    check(of(1666), |_| {}, None);
    check(of(1667), |_| {}, Some(Refusal::OrderValue));
    check(OrderRequest { qty: Lots::new(1667), ..sell() }, |f| f.sellable = Lots::new(9999), Some(Refusal::OrderValue));
}

#[test]
fn position_value() {
    // 5000 USDT at 60000.05 are 8333.3 lots: what is held, what is out and what is wanted together.
    check(buy(), |f| f.position = Position::new(7533), None);
    check(buy(), |f| f.position = Position::new(7534), Some(Refusal::PositionValue));
    check(buy(), |f| f.open_buys = Lots::new(6533), None);
    check(buy(), |f| f.open_buys = Lots::new(6534), Some(Refusal::PositionValue));
    let sold = |f: &mut Facts<'_>| (f.position, f.open_sells) = (Position::new(7534), Lots::new(7534));
    check(buy(), sold, Some(Refusal::PositionValue));
}

#[test]
fn oversell() {
    check(sell(), |f| f.sellable = Lots::new(799), Some(Refusal::Oversell));
    check(sell(), |f| f.open_sells = Lots::new(200), None);
    check(sell(), |f| f.open_sells = Lots::new(201), Some(Refusal::Oversell));
    check(sell(), |f| f.open_buys = Lots::new(9999), None);
    let bought = |f: &mut Facts<'_>| (f.sellable, f.open_buys) = (Lots::new(0), Lots::new(9999));
    check(sell(), bought, Some(Refusal::Oversell));
}

#[test]
fn daily_loss() {
    check(buy(), |f| f.day_net = decimal("-200"), Some(Refusal::DailyLoss));
    let granted = |f: &mut Facts<'_>, net| (f.day_net, f.loss_base) = (decimal(net), decimal("-201"));
    let checks = check(buy(), |f| granted(f, "-400.99"), None);
    let limit = checks.iter().find(|c| c.name == "day_net").map(|c| c.limit.clone());
    assert_eq!(limit.as_deref(), Some("-401"), "one more allowance below where it was granted");
    check(buy(), |f| granted(f, "-401"), Some(Refusal::DailyLoss));
    check(buy(), |f| f.loss_halted = true, Some(Refusal::DailyLoss));
    check(sell(), |f| (f.day_net, f.loss_halted) = (decimal("-999"), true), None);
}

#[test]
fn order_rate_per_second() {
    // Of 5 a second entries may use 4.
    check(buy(), |f| f.sent_1s = 3, None);
    check(buy(), |f| f.sent_1s = 4, Some(Refusal::OrderRatePerSecond));
    check(sell(), |f| f.sent_1s = 4, None);
    check(sell(), |f| f.sent_1s = 5, Some(Refusal::OrderRatePerSecond));
}

#[test]
fn order_rate_per_minute() {
    check(buy(), |f| f.sent_60s = 47, None);
    check(buy(), |f| f.sent_60s = 48, Some(Refusal::OrderRatePerMinute));
    check(sell(), |f| f.sent_60s = 59, None);
    check(sell(), |f| f.sent_60s = 60, Some(Refusal::OrderRatePerMinute));
}

#[test]
fn open_orders() {
    check(buy(), |f| f.open_orders = 7, None);
    check(buy(), |f| f.open_orders = 8, Some(Refusal::OpenOrders));
    check(sell(), |f| f.open_orders = 9, None);
    check(sell(), |f| f.open_orders = 10, Some(Refusal::OpenOrders));
}

#[test]
fn duplicate_intent() {
    check(buy(), |f| f.duplicate = true, Some(Refusal::DuplicateIntent));
    check(sell(), |f| f.duplicate = true, Some(Refusal::DuplicateIntent));
}

#[test]
fn the_first_refusal_that_applies_is_the_answer() {
    let everything = |f: &mut Facts<'_>| {
        (f.halted, f.link_up, f.book_live, f.book_age_ms, f.top) = (true, false, false, 9999, None);
        (f.sent_1s, f.sent_60s, f.open_orders, f.duplicate) = (99, 99, 99, true);
    };
    check(buy(), everything, Some(Refusal::Halted));
    check(sell(), everything, Some(Refusal::LinkDown));
    let rate = |f: &mut Facts<'_>| (f.sent_1s, f.open_orders, f.duplicate) = (99, 99, true);
    check(buy(), rate, Some(Refusal::OrderRatePerSecond));
}

#[test]
fn a_budget_of_one_is_not_kept_for_exits_alone() {
    assert_eq!([0, 1, 2, 5, 6, 10].map(checks::entry_share), [0, 1, 1, 4, 4, 8]);
}

#[test]
fn the_size_is_the_smallest_limit_and_names_it() {
    let rules = btcusdt();
    let price = Ticks::new(6_000_000);
    let at = |wanted: &str, change: fn(&mut Facts<'_>)| {
        let mut facts = facts(&rules);
        change(&mut facts);
        let size = entry(decimal(wanted), &facts, &limits(), price);
        (size.qty.get(), size.by)
    };
    // 500 / 60000 = 0.008333 BTC, cut to whole lots.
    assert_eq!(at("500", |_| {}), (833, "order_value"));
    assert_eq!(at("2000", |_| {}), (1666, "order_value_max"));
    // 5000 / 60000 = 8333 lots, less 8000 held.
    assert_eq!(at("500", |f| f.position = Position::new(8000)), (333, "position_value_max"));
    assert_eq!(at("500", |f| f.open_buys = Lots::new(9000)), (0, "position_value_max"));

    let mut facts = facts(&rules);
    let out = |facts: &Facts<'_>, held| exit(Lots::new(held), facts, &limits(), price);
    assert_eq!(out(&facts, 900), Size { qty: Lots::new(900), by: "held" });
    facts.open_sells = Lots::new(500);
    assert_eq!(out(&facts, 900), Size { qty: Lots::new(500), by: "free_to_sell" });
    facts.sellable = Lots::new(9000);
    assert_eq!(out(&facts, 9000), Size { qty: Lots::new(1666), by: "order_value_max" });
}

proptest! {
    #[test]
    fn what_sizing_gives_passes_the_value_limits(
        wanted in 1i128..5_000_000, price in 1i64..20_000_000, position in 0i64..20_000, open in 0u64..5_000,
    ) {
        let rules = btcusdt();
        let mut facts = facts(&rules);
        (facts.position, facts.open_buys) = (Position::new(position), Lots::new(open));
        facts.top = Some((Ticks::new(price.max(2) - 1), Ticks::new(price.max(2))));
        let price = Ticks::new(price.max(2));
        let size = entry(Decimal::new(wanted, 2), &facts, &limits(), price);
        let mut checks = Vec::new();
        let got = review(OrderRequest { price, qty: size.qty, ..buy() }, &facts, &limits(), &mut checks);
        let fine = matches!(got, Ok(_) | Err(Refusal::OffRules | Refusal::PriceCollar));
        prop_assert!(fine, "{got:?} {checks:?}");
    }
}
