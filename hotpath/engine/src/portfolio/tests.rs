//! Hand-computed accounts, and lots counted one by one as a second implementation.

use super::*;
use crate::testing::{ID, btcusdt, decimal, fill};
use domain::Ticks;
use proptest::prelude::*;

const S0: StrategyId = StrategyId(0);

fn portfolio() -> Portfolio {
    let mut p = Portfolio::new(2);
    p.open(btcusdt());
    p
}

fn book(p: &mut Portfolio, n: u32, side: Side, price: i64, qty: u64, asset: &str, fee: &str) -> Booked {
    p.fill(u64::from(n), ID, S0, side, &fill(&n.to_string(), price, qty, asset, fee), 10).unwrap()
}

#[test]
fn profit_is_realised_at_average_cost_and_no_unit_is_lost() {
    let mut p = portfolio();
    book(&mut p, 1, Side::Buy, 100, 2, "USDT", "0");
    book(&mut p, 2, Side::Buy, 103, 1, "USDT", "0");
    // Cost 303 for 3; one lot takes 101, and 110 - 101 = 9.
    assert_eq!(book(&mut p, 3, Side::Sell, 110, 1, "USDT", "0").realized, TickLots::new(9));
    let account = p.account(ID).unwrap();
    assert_eq!((account.position(), account.cost()), (Position::new(2), TickLots::new(202)));
    book(&mut p, 4, Side::Buy, 101, 5, "USDT", "0");
    // Cost 707 for 7; four lots take 404 exactly, the rest stays.
    assert_eq!(book(&mut p, 5, Side::Sell, 100, 4, "USDT", "0").realized, TickLots::new(-4));
    assert_eq!(book(&mut p, 6, Side::Sell, 100, 3, "USDT", "0").realized, TickLots::new(-3));
    assert_eq!(p.account(ID).unwrap().cost(), TickLots::ZERO);
}

#[test]
fn the_remainder_of_a_cost_share_stays_with_what_is_left() {
    let mut holding = Holding::default();
    holding.trade(Side::Buy, Ticks::new(10), Lots::new(2));
    holding.trade(Side::Buy, Ticks::new(11), Lots::new(1));
    // 31 for 3: one lot takes 10, two keep 21; then 10 of 21, then 11.
    let left: Vec<i128> = (0..3)
        .map(|_| {
            holding.trade(Side::Sell, Ticks::new(10), Lots::new(1));
            holding.cost.get()
        })
        .collect();
    assert_eq!(left, [21, 11, 0]);
}

#[test]
fn fees_in_quote_in_base_and_in_a_third_asset_are_valued_in_quote() {
    let mut p = portfolio();
    // 0.01 BTC at 60000.00 is 600 USDT.
    book(&mut p, 1, Side::Buy, 6_000_000, 1000, "USDT", "0.6");
    assert_eq!(p.account(ID).unwrap().fees(), decimal("0.6"));
    book(&mut p, 2, Side::Buy, 6_000_000, 1000, "BTC", "0.00001");
    assert_eq!(p.account(ID).unwrap().fees(), decimal("1.2"), "0.00001 BTC at 60000");
    book(&mut p, 3, Side::Buy, 6_000_000, 1000, "BNB", "0.001");
    assert_eq!(p.account(ID).unwrap().fees(), decimal("1.8"), "10 bps of 600, because BNB has no price here");
    let assets: Vec<(String, String)> = p.fees().iter().map(|(a, f)| (a.to_string(), f.to_string())).collect();
    let want = [("BNB", "0.001"), ("BTC", "0.00001"), ("USDT", "0.6")].map(|(a, f)| (a.to_owned(), f.to_owned()));
    assert_eq!(assets, want);
}

#[test]
fn what_the_venue_took_out_of_a_purchase_cannot_be_sold() {
    let mut p = portfolio();
    book(&mut p, 1, Side::Buy, 6_000_000, 800, "BTC", "0.000008");
    let account = p.account(ID).unwrap();
    assert_eq!((account.position(), account.sellable()), (Position::new(800), Lots::new(799)));
    book(&mut p, 2, Side::Sell, 6_000_000, 799, "USDT", "0");
    let account = p.account(ID).unwrap();
    assert_eq!((account.position(), account.sellable()), (Position::new(1), Lots::ZERO));
    assert!(account.is_dust(Lots::ZERO));
}

#[test]
fn a_fee_that_cannot_be_added_is_reported_and_the_fill_is_booked_all_the_same() {
    let mut p = portfolio();
    let odd = book(&mut p, 1, Side::Buy, 100, 2, "USDT", "0.0000000000000000000000001");
    assert!(odd.fee_odd);
    assert_eq!(odd.position, Position::new(2));
}

#[test]
fn open_profit_is_marked_at_mid_and_net_subtracts_fees() {
    let mut p = portfolio();
    book(&mut p, 1, Side::Buy, 6_000_000, 1000, "USDT", "0.6");
    assert_eq!(p.account(ID).unwrap().unrealized(), Decimal::ZERO, "nothing is known before a live book");
    p.mark(ID, 6_010_000 + 6_010_001);
    let account = p.account(ID).unwrap();
    assert_eq!(account.unrealized(), decimal("1.00005"), "100.005 a coin on 0.01");
    assert_eq!(account.net(), decimal("0.40005"));
    assert_eq!(account.worth(), Some(decimal("601.00005")));
}

#[test]
fn the_day_starts_at_midnight_utc_and_only_then_and_a_granted_loss_counts_from_its_own_base() {
    const DAY: u64 = 86_400_000_000_000;
    let usdt = Asset::from("USDT").unwrap();
    let mut p = portfolio();
    p.roll_day(DAY - 1);
    book(&mut p, 1, Side::Buy, 6_000_000, 1000, "USDT", "0.6");
    assert_eq!(p.day_net(usdt), decimal("-0.6"));
    p.roll_day(DAY - 1);
    assert_eq!(p.day_net(usdt), decimal("-0.6"), "the same day goes on");
    p.roll_day(DAY);
    assert_eq!(p.day_net(usdt), Decimal::ZERO);
    p.mark(ID, 2 * 5_900_000);
    assert_eq!((p.day_net(usdt), p.net(usdt)), (decimal("-10"), decimal("-10.6")));
    assert_eq!(p.loss_base(usdt), Decimal::ZERO, "nothing was granted yet");
    p.grant_loss(usdt);
    assert_eq!((p.day_net(usdt), p.loss_base(usdt)), (decimal("-10"), decimal("-10")), "the day's net stays");
    p.mark(ID, 2 * 5_800_000);
    assert_eq!((p.day_net(usdt), p.loss_base(usdt)), (decimal("-20"), decimal("-10")));
    p.roll_day(2 * DAY);
    assert_eq!((p.day_net(usdt), p.loss_base(usdt)), (Decimal::ZERO, Decimal::ZERO), "a new day, a new allowance");
}

#[test]
fn rules_change_in_place_and_holdings_know_since_when() {
    let mut p = portfolio();
    book(&mut p, 7, Side::Buy, 6_000_000, 1000, "USDT", "0");
    book(&mut p, 9, Side::Buy, 6_000_000, 1000, "USDT", "0");
    assert_eq!(p.account(ID).unwrap().of(S0).since_ns, 7, "adding does not start it anew");
    p.open(Instrument { version: 2, ..btcusdt() });
    assert_eq!(p.account(ID).unwrap().position(), Position::new(2000));
    assert_eq!(p.account(ID).unwrap().instrument().version, 2);
}

#[test]
#[should_panic(expected = "tick and lot stay")]
fn ticks_cannot_change_their_size_under_fills() {
    let mut p = portfolio();
    book(&mut p, 1, Side::Buy, 6_000_000, 1000, "USDT", "0");
    p.open(Instrument { tick: domain::Increment::parse("0.1").unwrap(), ..btcusdt() });
}

proptest! {
    /// Cash, counted by hand, must explain everything: whatever is realised plus what is still paid for.
    #[test]
    fn realised_profit_is_cash_flow_plus_cost_for_any_trades(
        trades in prop::collection::vec((any::<bool>(), 1i64..1000, 1u64..50, 0u8..2), 1..100),
    ) {
        let mut p = portfolio();
        let (mut position, mut cash, mut realized) = (0i64, 0i128, 0i128);
        for (n, (buy, price, qty, strategy)) in trades.into_iter().enumerate() {
            let side = if buy { Side::Buy } else { Side::Sell };
            let sign = if buy { 1 } else { -1 };
            position += sign * i64::try_from(qty).unwrap();
            cash -= i128::from(sign) * i128::from(price) * i128::from(qty);
            let f = fill(&n.to_string(), price, qty, "USDT", "0");
            let booked = p.fill(0, ID, StrategyId(strategy), side, &f, 10).unwrap();
            realized += booked.realized.get();
            let account = p.account(ID).unwrap();
            prop_assert_eq!(account.position().get(), position);
            prop_assert_eq!(account.realized().get(), realized);
            prop_assert_eq!(realized, cash + account.cost().get());
            prop_assert!(position != 0 || account.cost().get() == 0);
            prop_assert!(i128::from(position).signum() * account.cost().get().signum() >= 0);
        }
    }

    /// Long only, the cost left per lot never leaves the range of prices paid.
    #[test]
    fn average_cost_lies_between_the_prices_paid(trades in prop::collection::vec((any::<bool>(), 10i64..1000, 1u64..50), 1..60)) {
        let mut holding = Holding::default();
        let (mut low, mut high) = (i64::MAX, 0);
        for (buy, price, qty) in trades {
            if buy {
                (low, high) = (low.min(price), high.max(price));
                holding.trade(Side::Buy, Ticks::new(price), Lots::new(qty));
            } else {
                let qty = Lots::new(qty).min(holding.position.size());
                holding.trade(Side::Sell, Ticks::new(price), qty);
            }
            let lots = i128::from(holding.position.get());
            prop_assert!(lots == 0 || (holding.cost.get() >= lots * i128::from(low)));
            // Remainders stay behind: less than one unit per sale.
            prop_assert!(lots == 0 || holding.cost.get() <= lots * i128::from(high) + 60);
        }
    }
}
