//! Profit and loss of a day, per strategy and symbol, from fills and two prices. Pure.
//!
//! `net = realised + unrealised`, where realised is the gain of lots closed in the day (FIFO within the strategy) and
//! unrealised the change of the gain of what is open. The same number is what went in and out as money plus the change
//! of the position's worth; a test holds the two against each other.

use super::model::MoneyLine;
use crate::amount::{Amount, AmountError, sum};
use crate::book;
use crate::check;
use crate::lots::{Lots, Movement};
use domain::Side;
use lake::Day;
use spec::facts::FillFact;
use std::collections::BTreeMap;

/// Prices a position is valued at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// At the start of the day.
    pub start: Option<Amount>,
    /// At its end.
    pub end: Option<Amount>,
    /// Where the price at the end is from.
    pub source: String,
}

/// True when the fill belongs to the day.
pub fn in_day(fill: &FillFact, day: Day) -> bool {
    i64::try_from(book::fill_time(fill)).is_ok_and(|ts| day.contains(ts))
}

/// One line per (venue, symbol, strategy), sorted.
///
/// * `fills` - of one portfolio, up to the end of the day.
///
/// # Errors
/// [`AmountError`] when a number leaves the range of the ledger.
pub fn lines(
    portfolio: &str,
    fills: &[FillFact],
    day: Day,
    marks: impl Fn(&str, &str) -> Marks,
) -> Result<Vec<MoneyLine>, AmountError> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&FillFact>> = BTreeMap::new();
    for fill in fills {
        groups.entry((&fill.venue, &fill.symbol, &fill.strategy)).or_default().push(fill);
    }
    let line = |((venue, symbol, _), fills): (_, Vec<&FillFact>)| line(portfolio, &fills, day, marks(venue, symbol));
    groups.into_iter().map(line).collect()
}

fn line(portfolio: &str, fills: &[&FillFact], day: Day, marks: Marks) -> Result<MoneyLine, AmountError> {
    let first = fills[0];
    let (today, before): (Vec<&FillFact>, Vec<&FillFact>) = fills.iter().copied().partition(|f| in_day(f, day));
    let value_of = |side: Side| sum_of(&today, |f| (f.side == side).then(|| Amount::product(f.price, f.qty)));
    let fees = sum_of(&today, |f| (f.fee_asset == f.quote).then(|| Amount::from_decimal(f.fee_amount)))?;
    let all = Lots::of(base_movements(portfolio, fills)?)?;
    let closed_today = all.matches().iter().filter(|m| i64::try_from(m.closed_ns).is_ok_and(|ts| day.contains(ts)));
    let realized = sum(closed_today.map(|m| m.gain))?;
    let (end_gain, position) = open_gain(&all, marks.end)?;
    let (start_gain, _) = open_gain(&Lots::of(base_movements(portfolio, &before)?)?, marks.start)?;
    let unrealized = end_gain.minus(start_gain)?;
    Ok(MoneyLine {
        portfolio: portfolio.to_owned(),
        venue: first.venue.clone(),
        symbol: first.symbol.clone(),
        strategy: first.strategy.clone(),
        currency: first.quote.clone(),
        fills: today.len(),
        bought: value_of(Side::Buy)?,
        sold: value_of(Side::Sell)?,
        fees,
        fees_other: fees_other(&today)?,
        realized,
        unrealized,
        net: realized.plus(unrealized)?,
        position,
        mark: if position.is_zero() { None } else { marks.end },
        mark_source: if position.is_zero() { String::new() } else { marks.source },
    })
}

fn sum_of(
    fills: &[&FillFact],
    of: impl Fn(&FillFact) -> Option<Result<Amount, AmountError>>,
) -> Result<Amount, AmountError> {
    let amounts: Vec<Amount> = fills.iter().filter_map(|f| of(f)).collect::<Result<_, _>>()?;
    sum(amounts)
}

/// What fills do to the base asset; a fee in a third asset is listed, not valued.
fn base_movements(portfolio: &str, fills: &[&FillFact]) -> Result<Vec<Movement>, AmountError> {
    let mut movements = Vec::new();
    for fill in fills {
        let of_fill = check::movements(portfolio, fill, &book::fill_key(portfolio, fill))?;
        movements.extend(of_fill.into_iter().filter(|m| m.queue.asset == fill.base));
    }
    Ok(movements)
}

/// Gain of what is open at a price, and how much is open. Without a price the gain counts as zero.
fn open_gain(lots: &Lots, mark: Option<Amount>) -> Result<(Amount, Amount), AmountError> {
    let Some(queue) = lots.queues().next() else { return Ok((Amount::ZERO, Amount::ZERO)) };
    let (qty, cost) = lots.held(queue);
    match mark {
        Some(mark) if !qty.is_zero() => Ok((qty.times(mark)?.minus(cost)?, qty)),
        _ => Ok((Amount::ZERO, qty)),
    }
}

fn fees_other(fills: &[&FillFact]) -> Result<Vec<String>, AmountError> {
    let mut fees: BTreeMap<&str, Amount> = BTreeMap::new();
    for fill in fills.iter().filter(|f| f.fee_asset != f.quote) {
        let fee = fees.entry(&fill.fee_asset).or_default();
        *fee = fee.plus(Amount::from_decimal(fill.fee_amount)?)?;
    }
    Ok(fees.into_iter().filter(|(_, fee)| !fee.is_zero()).map(|(asset, fee)| format!("{fee} {asset}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::tests::fill;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000_000_000;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn marks(start: &str, end: &str) -> Marks {
        Marks { start: Some(amount(start)), end: Some(amount(end)), source: "test".into() }
    }

    #[test]
    fn a_position_carried_into_the_day_earns_only_the_days_move() {
        // Bought 1 at 100 yesterday (seq 1 s), marked 110 at midnight; today sold 0.4 at 120, the rest marked 115:
        // 0.4 * (120 - 110) + 0.6 * (115 - 110) = 7.
        let mut sale = fill("2", Side::Sell, "120", "0.4", ("0", "USDT"), 2);
        sale.ts_venue_ns = u64::try_from(DAY).unwrap() + 5;
        let fills = [fill("1", Side::Buy, "100", "1", ("0", "USDT"), 1), sale];
        let lines = lines("p", &fills, Day::of_ns(DAY), |_, _| marks("110", "115")).unwrap();
        assert_eq!(lines[0].net, amount("7"));
        assert_eq!((lines[0].realized, lines[0].unrealized), (amount("8"), amount("-1")));
        assert_eq!((lines[0].fills, lines[0].position), (1, amount("0.6")));
    }

    proptest! {
        /// Net = sold - bought - fees + worth at the end - worth at the start, as long as nothing was assumed.
        #[test]
        fn net_is_money_in_minus_money_out_plus_the_change_of_worth(
            list in prop::collection::vec((0u64..2, 1i64..1_000_000, 1i64..1000, 0i64..500, any::<bool>()), 1..40),
            start in 1i64..1_000_000, end in 1i64..1_000_000,
        ) {
            let text = |n: i64, scale| domain::Decimal::new(i128::from(n), scale).to_string();
            // A buy of the largest size first, then sales of less than what is held.
            let (mut held, mut fills) = (0i64, Vec::new());
            for (i, (day, price, qty, fee, sell)) in list.into_iter().enumerate() {
                let side = if sell && held >= qty { Side::Sell } else { Side::Buy };
                held += if side == Side::Buy { qty } else { -qty };
                let mut f = fill(&i.to_string(), side, &text(price, 2), &text(qty, 5), (&text(fee, 4), "USDT"), i as u64);
                // Days never go back, so that no sale stands before its buy.
                let day = fills.last().map_or(day, |last: &FillFact| day.max(last.ts_venue_ns / DAY as u64));
                f.ts_venue_ns = day * DAY as u64 + 1 + i as u64;
                fills.push(f);
            }
            let day = Day::of_ns(DAY);
            let (start, end) = (text(start, 2), text(end, 2));
            let line = &lines("p", &fills, day, |_, _| marks(&start, &end)).unwrap()[0];
            // The other way, in plain integers at 1e-7: price has 2 digits, size 5, fee 4.
            let (mut cash, mut before, mut after) = (0i128, 0i128, 0i128);
            for f in &fills {
                let sign = if f.side == Side::Buy { 1 } else { -1 };
                let qty = f.qty.at_scale(5).unwrap() * sign;
                after += qty;
                if in_day(f, day) {
                    cash -= qty * f.price.at_scale(2).unwrap() + f.fee_amount.at_scale(7).unwrap();
                } else {
                    before += qty;
                }
            }
            let cents = |t: &str| domain::Decimal::parse(t).unwrap().at_scale(2).unwrap();
            let want = cash + after * cents(&end) - before * cents(&start);
            prop_assert_eq!(line.net.decimal(), domain::Decimal::new(want, 7));
            prop_assert_eq!(line.position.decimal(), domain::Decimal::new(after, 5));
        }
    }
}
