//! Books of hand-computed fills, refusals, and the invariants under any fills.

use super::*;
use crate::book::tests::fill;
use proptest::prelude::*;

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn a_round_trip_books_the_gain_after_fees_both_ways() {
    // Buy 0.02 at 60 000 (1200) with fee 0.9; sell 0.02 at 61 000 (1220) with fee 0.915: 20 - 1.815 = 18.185.
    let fills = [
        fill("1", Side::Buy, "60000", "0.02", ("0.9", "USDT"), 1),
        fill("2", Side::Sell, "61000", "0.02", ("0.915", "USDT"), 2),
    ];
    let books = Books::of("p", &[], &fills).unwrap();
    assert_eq!(books.lots.matches()[0].gain, amount("18.185"));
    assert_eq!(books.balances.get("asset:binance:USDT", "USDT"), amount("18.185"));
    assert_eq!(books.balances.get("fee:binance", "USDT"), amount("1.815"));
    assert_eq!(books.balances.get("asset:binance:BTC", "BTC"), Amount::ZERO);
}

#[test]
fn a_fee_in_base_makes_the_lot_smaller_at_the_same_cost() {
    let fills = [fill("1", Side::Buy, "60000", "0.02", ("0.00002", "BTC"), 1)];
    let books = Books::of("p", &[], &fills).unwrap();
    let lot = books.lots.lots().next().unwrap();
    assert_eq!((lot.qty, lot.cost), (amount("0.01998"), amount("1200")));
    assert_eq!(books.balances.get("fee:binance", "BTC"), amount("0.00002"));
}

#[test]
fn selling_all_that_was_bought_after_a_fee_in_base_assumes_the_difference_was_held() {
    let fills = [
        fill("1", Side::Buy, "60000", "0.02", ("0.00002", "BTC"), 1),
        fill("2", Side::Sell, "60000", "0.02", ("1.2", "USDT"), 2),
    ];
    let books = Books::of("p", &[], &fills).unwrap();
    let assumed: Vec<_> = books.lots.lots().filter(|l| l.assumed).map(|l| l.qty.to_string()).collect();
    assert_eq!(assumed, ["0.00002"]);
    assert_eq!(books.balances.get("equity:opening", "BTC"), amount("-0.00002"));
    // 1200 - 1.2 came in for 0.02; 0.01998 of it had cost 1200: 1198.8 * 0.999 - 1200 = -2.3988.
    assert_eq!(sum(books.lots.matches().iter().map(|m| m.gain)), Ok(amount("-2.3988")));
}

#[test]
fn a_fee_in_a_third_asset_disposes_of_it() {
    let bnb = Opening {
        name: "snapshot".into(),
        venue: "binance".into(),
        asset: "BNB".into(),
        amount: amount("1"),
        cost: amount("500"),
        currency: "USDT".into(),
        ts_ns: 0,
    };
    let money = Opening {
        name: "cash".into(),
        asset: "USDT".into(),
        amount: amount("10000"),
        cost: Amount::ZERO,
        ..bnb.clone()
    };
    let fills = [fill("1", Side::Buy, "60000", "0.02", ("0.001", "BNB"), 1)];
    let books = Books::of("p", &[bnb, money], &fills).unwrap();
    // 0.001 BNB had cost 0.5 USDT and brings nothing.
    assert_eq!(books.lots.matches()[0].gain, amount("-0.5"));
    assert_eq!(books.balances.get("asset:binance:BNB", "BNB"), amount("0.999"));
    assert_eq!(books.balances.get("asset:binance:USDT", "USDT"), amount("8800"));
}

#[test]
fn a_fill_told_twice_is_booked_once_and_a_changed_story_is_refused() {
    let one = fill("1", Side::Buy, "60000", "0.02", ("0", "USDT"), 1);
    let books = Books::of("p", &[], &[one.clone(), one.clone()]).unwrap();
    assert_eq!(books.entries.len(), 1);
    let mut other = one.clone();
    other.price = domain::Decimal::parse("1").unwrap();
    assert!(matches!(Books::of("p", &[], &[one, other]), Err(LedgerError::Conflict { .. })));
}

#[test]
fn roles_that_need_a_cross_price_are_refused_with_the_reason() {
    let btc = fill("1", Side::Buy, "60000", "0.02", ("0", "USDT"), 1);
    let mut euro = fill("2", Side::Sell, "60000", "0.02", ("0", "EUR"), 2);
    (euro.symbol, euro.quote) = ("BTCEUR".into(), "EUR".into());
    assert!(matches!(Books::of("p", &[], &[btc.clone(), euro]), Err(LedgerError::TwoCurrencies { .. })));
    let mut eth = fill("2", Side::Buy, "0.05", "1", ("0", "BTC"), 2);
    (eth.symbol, eth.base, eth.quote) = ("ETHBTC".into(), "ETH".into(), "BTC".into());
    assert!(matches!(Books::of("p", &[], &[btc, eth]), Err(LedgerError::TwoRoles { .. })));
}

proptest! {
    #[test]
    fn the_invariants_hold_for_any_fills_in_any_order(
        list in prop::collection::vec((any::<bool>(), 1i64..10_000_000, 1i64..100_000, 0i64..1000, 0usize..3, 0u64..20), 1..60),
        seed in any::<u32>(),
    ) {
        let make = |(i, (is_buy, price, qty, fee, asset, ts)): (usize, (bool, i64, i64, i64, usize, u64))| {
            let text = |n: i64, scale| domain::Decimal::new(i128::from(n), scale).to_string();
            let side = if is_buy { Side::Buy } else { Side::Sell };
            // A fee in base is far below the smallest size.
            let fee = (text(fee, [4, 11, 6][asset]), ["USDT", "BTC", "BNB"][asset]);
            let mut f = fill(&format!("{i:03}"), side, &text(price, 2), &text(qty, 5), (&fee.0, fee.1), i as u64);
            f.ts_venue_ns = ts;
            f
        };
        let fills: Vec<_> = list.into_iter().enumerate().map(make).collect();
        let books = Books::of("p", &[], &fills).unwrap();
        let mut shuffled = fills.clone();
        shuffled.sort_by_key(|f| book::fact_id(&[&f.fill_id, &seed.to_string()]));
        let again = Books::of("p", &[], &shuffled).unwrap();
        prop_assert_eq!(&books.entries, &again.entries);
        prop_assert_eq!(books.lots.matches(), again.lots.matches());
        // All postings together sum to zero in every asset.
        let mut total: BTreeMap<&str, Amount> = BTreeMap::new();
        for (_, asset, amount) in books.balances.iter() {
            let sum = total.entry(asset).or_default();
            *sum = sum.plus(amount).unwrap();
        }
        prop_assert!(total.values().all(|a| a.is_zero()));
    }
}
