//! Lines of the charts: the market around the day's fills, and the P&L they made. Pure.

use super::collect::{Inputs, PortfolioInput};
use super::compose::int;
use super::model::Chart;
use super::money::{Marks, in_day};
use crate::amount::{Amount, AmountError, sum};
use crate::book::fill_time;
use crate::check::Books;
use crate::lots::Lot;
use domain::Side;
use spec::facts::FillFact;
use std::collections::BTreeMap;

/// Longest price line in a chart.
const CHART_POINTS: usize = 1_500;
/// How much of the market a chart shows before and after what happened in it.
const CHART_MARGIN_NS: i64 = 600_000_000_000;

/// What moves money in a chart: time, base, money.
type Flow = (i64, Amount, Amount);

/// One chart per symbol with a fill in the day.
pub(super) fn charts(
    inputs: &Inputs,
    portfolio: &PortfolioInput,
    books: &Books,
    marks: impl Fn(&str, &str) -> Marks,
) -> Result<Vec<Chart>, AmountError> {
    let mut symbols: BTreeMap<(&str, &str), Vec<&FillFact>> = BTreeMap::new();
    for (_, fill) in &portfolio.fills {
        symbols.entry((&fill.venue, &fill.symbol)).or_default().push(fill);
    }
    let mut charts = Vec::new();
    for ((venue, symbol), fills) in symbols {
        let today: Vec<&&FillFact> = fills.iter().filter(|f| in_day(f, inputs.day)).collect();
        if today.is_empty() {
            continue;
        }
        let closes = inputs.markets.get(&(venue.to_owned(), symbol.to_owned())).map_or(&[][..], |m| &m.closes);
        let marks = marks(venue, symbol);
        let mut prices = price_line(&today, closes)?;
        // Both lines end at the price that the day's profit is counted with.
        if let (Some((ts, _)), Some(end)) = (prices.last().copied(), marks.end) {
            prices.push((ts + 1, end));
        }
        let flows = flows(&fills, books)?;
        charts.push(Chart {
            portfolio: portfolio.name.clone(),
            symbol: symbol.to_owned(),
            currency: fills[0].quote.clone(),
            pnl: pnl_line(&prices, &flows, inputs.day.start_ns(), marks.start)?,
            prices,
            fills: fill_points(&today)?,
        });
    }
    Ok(charts)
}

fn fill_points(fills: &[&&FillFact]) -> Result<Vec<(i64, Amount, String)>, AmountError> {
    let mut points = Vec::new();
    for f in fills {
        points.push((int(fill_time(f)), Amount::from_decimal(f.price)?, f.side.name().to_owned()));
    }
    points.sort();
    Ok(points)
}

/// Minutes of the market around the fills, and the fills themselves.
fn price_line(fills: &[&&FillFact], closes: &[(i64, Amount)]) -> Result<Vec<(i64, Amount)>, AmountError> {
    let times = fills.iter().map(|f| int(fill_time(f)));
    let (first, last) = (times.clone().min().unwrap_or(0), times.max().unwrap_or(0));
    let around = first.saturating_sub(CHART_MARGIN_NS)..=last.saturating_add(CHART_MARGIN_NS);
    let mut points: Vec<(i64, Amount)> = closes.iter().copied().filter(|(ts, _)| around.contains(ts)).collect();
    for f in fills {
        points.push((int(fill_time(f)), Amount::from_decimal(f.price)?));
    }
    points.sort();
    points.dedup_by_key(|(ts, _)| *ts);
    let step = points.len().div_ceil(CHART_POINTS).max(1);
    let end = points.len().saturating_sub(1);
    Ok(points.into_iter().enumerate().filter(|(i, _)| i % step == 0 || *i == end).map(|(_, p)| p).collect())
}

fn flows(fills: &[&FillFact], books: &Books) -> Result<Vec<Flow>, AmountError> {
    let mut flows = Vec::new();
    for f in fills {
        let (qty, value) = (Amount::from_decimal(f.qty)?, Amount::product(f.price, f.qty)?);
        let fee = Amount::from_decimal(f.fee_amount)?;
        let (mut base, mut money) = if f.side == Side::Buy { (qty, value.negated()) } else { (qty.negated(), value) };
        if f.fee_asset == f.quote {
            money = money.minus(fee)?;
        } else if f.fee_asset == f.base {
            base = base.minus(fee)?;
        }
        flows.push((int(fill_time(f)), base, money));
    }
    // What was held before all fills came in at its assumed cost.
    let of = |l: &&Lot| l.assumed && fills.first().is_some_and(|f| l.queue.venue == f.venue && l.queue.asset == f.base);
    flows.extend(books.lots.lots().filter(of).map(|l| (int(l.opened_ns), l.qty, l.cost.negated())));
    flows.sort();
    Ok(flows)
}

fn pnl_line(
    prices: &[(i64, Amount)],
    flows: &[Flow],
    start_ns: i64,
    start: Option<Amount>,
) -> Result<Vec<(i64, Amount)>, AmountError> {
    let base_before = sum(flows.iter().filter(|f| f.0 < start_ns).map(|f| f.1))?;
    let worth_before = base_before.times(start.unwrap_or_default())?;
    let (mut base, mut money, mut line) = (base_before, Amount::ZERO, Vec::new());
    let mut flows = flows.iter().filter(|f| f.0 >= start_ns).peekable();
    for (ts, price) in prices {
        while let Some((_, b, m)) = flows.next_if(|f| f.0 <= *ts) {
            base = base.plus(*b)?;
            money = money.plus(*m)?;
        }
        line.push((*ts, money.plus(base.times(*price)?)?.minus(worth_before)?));
    }
    Ok(line)
}
