//! The limit price of an order that is to trade at once.

use domain::{Side, Ticks};

/// Best price of the other side, moved by at most `slippage_bps`, and never farther than `collar_bps` from mid. Rounded
/// to the smaller risk: a buy never pays, and a sell never gives away, a tick more than that.
///
/// `None` when the book has no sound prices.
pub fn limit_price(side: Side, bid: Ticks, ask: Ticks, slippage_bps: u32, collar_bps: u32) -> Option<Ticks> {
    const UNIT: i128 = 10_000;
    let (bid, ask) = (i128::from(bid.get()), i128::from(ask.get()));
    if bid <= 0 || bid >= ask {
        return None;
    }
    let mid2 = bid + ask;
    let (slippage, collar) = (i128::from(slippage_bps), i128::from(collar_bps));
    let price = match side {
        Side::Buy => (ask * (UNIT + slippage) / UNIT).min(mid2 * (UNIT + collar) / (2 * UNIT)),
        Side::Sell => ceil(bid * (UNIT - slippage), UNIT).max(ceil(mid2 * (UNIT - collar), 2 * UNIT)),
    };
    let off = (2 * price - mid2).abs() * UNIT;
    assert!(off <= collar * mid2 + 2 * UNIT, "the limit stays inside the collar, to within a tick");
    i64::try_from(price).ok().filter(|&p| p > 0).map(Ticks::new)
}

fn ceil(n: i128, d: i128) -> i128 {
    n.div_euclid(d) + i128::from(n.rem_euclid(d) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_limit_is_never_worse_than_slippage_and_collar_allow(
            bid in 1i64..i64::MAX / 4, spread in 1i64..1_000_000, slippage in 0u32..10_000, collar in 0u32..10_000,
        ) {
            let ask = bid + spread;
            let (b, a) = (i128::from(bid), i128::from(ask));
            let at = |side| limit_price(side, Ticks::new(bid), Ticks::new(ask), slippage, collar);
            if let Some(buy) = at(Side::Buy) {
                let price = i128::from(buy.get());
                prop_assert!(price * 10_000 <= a * i128::from(10_000 + slippage));
                prop_assert!(price * 20_000 <= (a + b) * i128::from(10_000 + collar));
            }
            if let Some(sell) = at(Side::Sell) {
                let price = i128::from(sell.get());
                prop_assert!(price * 10_000 >= b * i128::from(10_000 - slippage));
                prop_assert!(price * 20_000 >= (a + b) * i128::from(10_000 - collar));
            }
        }
    }

    #[track_caller]
    fn check(side: Side, slippage: u32, collar: u32, want: i64) {
        assert_eq!(limit_price(side, Ticks::new(9_995), Ticks::new(10_005), slippage, collar), Some(Ticks::new(want)));
    }

    #[test]
    fn the_limit_lies_past_the_best_price_and_is_rounded_to_the_smaller_risk() {
        // 10005 * 1.0010 = 10015.005, cut; 9995 * 0.9990 = 9985.005, lifted.
        check(Side::Buy, 10, 100, 10_015);
        check(Side::Sell, 10, 100, 9_986);
        check(Side::Buy, 0, 100, 10_005);
        check(Side::Sell, 0, 100, 9_995);
    }

    #[test]
    fn the_limit_never_leaves_the_collar() {
        // Mid 10000, collar 5 bp: 10005 and 9995.
        check(Side::Buy, 50, 5, 10_005);
        check(Side::Sell, 50, 5, 9_995);
    }

    #[test]
    fn without_sound_prices_there_is_no_limit() {
        for (bid, ask) in [(0, 10), (10, 10), (11, 10), (-5, 3)] {
            assert_eq!(limit_price(Side::Buy, Ticks::new(bid), Ticks::new(ask), 5, 50), None);
        }
    }
}
