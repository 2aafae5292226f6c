//! Inputs to report: the whole day computed at once, in a fixed order. Pure.

use super::ReportError;
use super::charts;
use super::collect::{Inputs, Market, PortfolioInput};
use super::model::*;
use super::money::{self, Marks, in_day};
use crate::amount::{Amount, AmountError, sum};
use crate::book::{fill_key, fill_time};
use crate::check::{Books, LedgerError};
use crate::lots::{Lot, Match};
use chrono::{DateTime, Months};
use lake::Day;
use spec::facts::{FillFact, OrderFact};
use std::collections::BTreeMap;

/// States in which an order has not ended; an order in one of them at the end of the day wants a look.
const OPEN: [&str; 4] = ["in_flight", "live", "cancelling", "unknown"];

/// Computes a report.
///
/// # Errors
/// [`ReportError::Books`] when the books of a portfolio do not hold; there is no report on books that are wrong.
pub fn compose(inputs: &Inputs) -> Result<Report, ReportError> {
    let day = inputs.day;
    let mut parts = Vec::new();
    for portfolio in &inputs.portfolios {
        let fail = |source| ReportError::Books { portfolio: portfolio.name.clone(), source };
        parts.push(part(inputs, portfolio).map_err(fail)?);
    }
    let gather = |of: fn(&Part) -> &[MoneyLine]| parts.iter().flat_map(|p| of(p).to_vec()).collect::<Vec<_>>();
    let lines = gather(|p| &p.lines);
    let totals = totals(&lines).map_err(|source| ReportError::Books {
        portfolio: "all".to_owned(),
        source: LedgerError::Amount { fill: "all".to_owned(), source },
    })?;
    let orders: Vec<OrderLine> = parts.iter().flat_map(|p| p.orders.clone()).collect();
    let trades: Vec<Trade> = parts.iter().flat_map(|p| p.trades.clone()).collect();
    let quality = quality(inputs);
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        day: day.to_string(),
        generated_at: time(day.end_ns()),
        code: format!("ledger@{}", env!("CARGO_PKG_VERSION")),
        state: String::new(),
        reasons: Vec::new(),
        refused: inputs.refused.clone(),
        runs: parts.iter().flat_map(|p| p.runs.clone()).collect(),
        money: Money { totals, lines, equity: None },
        execution: execution(&orders, &trades),
        risk: risk(&orders),
        orders: Orders { total: orders.len(), by_state: counts(orders.iter().map(|o| o.state.clone())), rows: orders },
        trades,
        quality,
        compliance: Compliance {
            method: "fifo, per account, fees added to cost".to_owned(),
            lines: parts.iter().flat_map(|p| p.lots.clone()).collect(),
            books_proven: inputs.refused.is_empty(),
        },
        charts: parts.into_iter().flat_map(|p| p.charts).collect(),
        inputs: inputs.read.clone(),
    };
    report.reasons = reasons(&report, inputs.recorded);
    report.state = if report.reasons.is_empty() { "OK" } else { "ATTENTION" }.to_owned();
    Ok(report)
}

/// What one portfolio adds.
struct Part {
    runs: Vec<RunNote>,
    lines: Vec<MoneyLine>,
    trades: Vec<Trade>,
    orders: Vec<OrderLine>,
    lots: Vec<LotLine>,
    charts: Vec<Chart>,
}

fn part(inputs: &Inputs, portfolio: &PortfolioInput) -> Result<Part, LedgerError> {
    let fail = |source| LedgerError::Amount { fill: "all".to_owned(), source };
    let fills: Vec<FillFact> = portfolio.fills.iter().map(|(_, f)| f.clone()).collect();
    let books = Books::of(&portfolio.name, &[], &fills)?;
    let marks = |venue: &str, symbol: &str| marks(inputs, portfolio, venue, symbol);
    let note = |(run_id, mode): &(String, String)| RunNote {
        run_id: run_id.clone(),
        mode: mode.clone(),
        portfolio: portfolio.name.clone(),
    };
    Ok(Part {
        runs: portfolio.runs.iter().map(note).collect(),
        lines: money::lines(&portfolio.name, &fills, inputs.day, marks).map_err(fail)?,
        trades: trades(portfolio, &books, inputs.day).map_err(fail)?,
        orders: orders(portfolio, &fills, inputs.day).map_err(fail)?,
        lots: lot_lines(&books, inputs.day).map_err(fail)?,
        charts: charts::charts(inputs, portfolio, &books, marks).map_err(fail)?,
    })
}

/// The journal's last price if it is not of a later day, else the lake's last minute, else the last fill. The price a
/// day starts with is found the same way as the one the day before ended with, so that days sum to the whole.
fn marks(inputs: &Inputs, portfolio: &PortfolioInput, venue: &str, symbol: &str) -> Marks {
    let market = inputs.markets.get(&(venue.to_owned(), symbol.to_owned()));
    let start_ns = inputs.day.start_ns();
    let last_fill = |before: Option<i64>| {
        let mine = portfolio.fills.iter().map(|(_, f)| f).filter(|f| f.venue == venue && f.symbol == symbol);
        let mine = mine.filter(|f| before.is_none_or(|ns| int(fill_time(f)) < ns));
        mine.max_by_key(|f| (fill_time(f), f.seq)).and_then(|f| Amount::from_decimal(f.price).ok())
    };
    let close = market.and_then(|m| m.closes.last().map(|(_, close)| *close));
    let mark = portfolio.marks.get(symbol);
    let (end, source) = if let Some(mark) = mark {
        (Some(mark.price), "last price in the journal")
    } else if close.is_some() {
        (close, "last minute of the day")
    } else {
        (last_fill(None), "last fill")
    };
    let start = mark.filter(|mark| mark.ts_ns < start_ns).map(|mark| mark.price);
    let start = start.or_else(|| market.and_then(|m| m.close_before)).or_else(|| last_fill(Some(start_ns)));
    Marks { start, end, source: source.to_owned() }
}

fn totals(lines: &[MoneyLine]) -> Result<Vec<Total>, AmountError> {
    let mut currencies: BTreeMap<&str, Vec<&MoneyLine>> = BTreeMap::new();
    for line in lines {
        currencies.entry(&line.currency).or_default().push(line);
    }
    let total = |(currency, lines): (&str, Vec<&MoneyLine>)| {
        let all = |of: fn(&MoneyLine) -> Amount| sum(lines.iter().map(|l| of(l)));
        Ok(Total {
            currency: currency.to_owned(),
            realized: all(|l| l.realized)?,
            unrealized: all(|l| l.unrealized)?,
            fees: all(|l| l.fees)?,
            net: all(|l| l.net)?,
        })
    };
    currencies.into_iter().map(total).collect()
}

fn trades(portfolio: &PortfolioInput, books: &Books, day: Day) -> Result<Vec<Trade>, AmountError> {
    let mut gains: BTreeMap<&str, Amount> = BTreeMap::new();
    for m in books.lots.matches() {
        let gain = gains.entry(&m.disposal_id).or_default();
        *gain = gain.plus(m.gain)?;
    }
    let mut today: Vec<&(String, FillFact)> = portfolio.fills.iter().filter(|(_, f)| in_day(f, day)).collect();
    today.sort_by_key(|(_, f)| (fill_time(f), f.seq, f.fill_id.clone()));
    let trade = |(run_id, f): &(String, FillFact)| {
        Ok(Trade {
            at: time(int(fill_time(f))),
            run_id: run_id.clone(),
            seq: f.seq,
            venue: f.venue.clone(),
            symbol: f.symbol.clone(),
            strategy: f.strategy.clone(),
            side: f.side.name().to_owned(),
            price: Amount::from_decimal(f.price)?,
            qty: Amount::from_decimal(f.qty)?,
            value: Amount::product(f.price, f.qty)?,
            fee: Amount::from_decimal(f.fee_amount)?,
            fee_asset: f.fee_asset.clone(),
            liquidity: if f.maker { "maker" } else { "taker" }.to_owned(),
            order_id: f.order_id.clone(),
            fill_id: f.fill_id.clone(),
            gain: gains.get(fill_key(&portfolio.name, f).as_str()).copied(),
        })
    };
    today.into_iter().map(trade).collect()
}

/// Orders as they stood at the end of the day: what was filled later is not filled yet.
fn orders(portfolio: &PortfolioInput, fills: &[FillFact], day: Day) -> Result<Vec<OrderLine>, AmountError> {
    let mut filled: BTreeMap<&str, Amount> = BTreeMap::new();
    for fill in fills {
        let sum = filled.entry(&fill.order_id).or_default();
        *sum = sum.plus(Amount::from_decimal(fill.qty)?)?;
    }
    let line = |(run_id, o): &(String, OrderFact)| {
        let later = int(o.updated_ns) >= day.end_ns();
        Ok(OrderLine {
            at: time(int(o.created_ns)),
            run_id: run_id.clone(),
            order_id: o.order_id.clone(),
            symbol: o.symbol.clone(),
            strategy: o.strategy.clone(),
            signal: o.signal,
            side: o.side.name().to_owned(),
            kind: o.kind.clone(),
            tif: o.tif.clone(),
            price: Amount::from_decimal(o.price)?,
            qty: Amount::from_decimal(o.qty)?,
            filled: filled.get(o.order_id.as_str()).copied().unwrap_or_default(),
            state: if later { "live".to_owned() } else { o.state.clone() },
            reason: if later { String::new() } else { o.reason.clone() },
        })
    };
    portfolio.orders.iter().map(line).collect()
}

fn counts(names: impl Iterator<Item = String>) -> Vec<Count> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().map(|(name, count)| Count { name, count }).collect()
}

/// Refusals by reason; the numbers that differ from case to case stand behind the reason's name.
fn risk(orders: &[OrderLine]) -> Risk {
    let refused: Vec<&OrderLine> = orders.iter().filter(|o| o.state == "denied").collect();
    let name = |o: &&OrderLine| o.reason.split([':', '(', '{']).next().unwrap_or_default().trim().to_owned();
    let mut reasons = counts(refused.iter().map(name));
    reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    Risk { wanted: orders.len(), refused: refused.len(), reasons }
}

fn execution(orders: &[OrderLine], trades: &[Trade]) -> Execution {
    let sent: Vec<&OrderLine> = orders.iter().filter(|o| o.state != "denied").collect();
    let filled = sent.iter().filter(|o| !o.filled.is_zero()).count();
    let maker = trades.iter().filter(|t| t.liquidity == "maker").count();
    Execution {
        sent: sent.len(),
        filled,
        fill_ratio_pct: percent(filled, sent.len()),
        fills: trades.len(),
        maker,
        maker_share_pct: percent(maker, trades.len()),
    }
}

/// Percent with one digit, rounded half up; nothing for a sample that says nothing.
fn percent(part: usize, whole: usize) -> Option<String> {
    (whole >= SAMPLE_MIN).then(|| {
        let per_mille = (part * 2000 + whole) / (whole * 2);
        format!("{}.{}", per_mille / 10, per_mille % 10)
    })
}

/// What the validation says of every market that somebody dealt with in the day or that the lake has the day of. A
/// position that was merely held needs no data.
fn quality(inputs: &Inputs) -> Vec<Quality> {
    let dealt = |venue: &str, symbol: &str| {
        inputs.portfolios.iter().any(|p| {
            p.fills.iter().any(|(_, f)| in_day(f, inputs.day) && f.venue == venue && f.symbol == symbol)
                || p.orders.iter().any(|(_, o)| o.venue == venue && o.symbol == symbol)
        })
    };
    let counts = |((venue, symbol), market): &(&(String, String), &Market)| {
        market.quality.is_some() || !market.closes.is_empty() || dealt(venue, symbol)
    };
    let line = |((venue, symbol), market): (&(String, String), &Market)| {
        let value = market.quality.as_ref();
        let (state, findings) = match value {
            None => ("not validated".to_owned(), Vec::new()),
            Some(value) => quality_of(value),
        };
        Quality { venue: venue.clone(), symbol: symbol.clone(), state, findings }
    };
    inputs.markets.iter().filter(counts).map(line).collect()
}

/// What the validation found: contradictions make the data wrong, gaps make them incomplete. Its artefact belongs to
/// another part and may say more or less, so it is read loosely.
fn quality_of(value: &serde_json::Value) -> (String, Vec<String>) {
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let count = |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let Some(wrong) = value["contradictions"].as_array() else { return ("no verdict".to_owned(), Vec::new()) };
    let mut findings: Vec<String> = wrong.iter().map(text).collect();
    let gaps = [
        (count("/trades/missing"), "trades missing"),
        (count("/book/sequence_breaks"), "breaks in the book's sequence"),
    ];
    findings.extend(gaps.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    let state = match () {
        () if !wrong.is_empty() => "wrong",
        () if !findings.is_empty() => "incomplete",
        () => "ok",
    };
    (state.to_owned(), findings)
}

fn lot_lines(books: &Books, day: Day) -> Result<Vec<LotLine>, AmountError> {
    let today = |ns: u64| day.contains(int(ns));
    let line = |queue: &crate::lots::Queue| {
        let lots: Vec<&Lot> = books.lots.lots().filter(|l| l.queue == *queue).collect();
        let matches: Vec<&Match> =
            books.lots.matches().iter().filter(|m| m.queue == *queue && today(m.closed_ns)).collect();
        let open: Vec<&&Lot> = lots.iter().filter(|l| l.left_qty.is_positive()).collect();
        let gain = |long: bool| sum(matches.iter().filter(|m| is_long(m) == long).map(|m| m.gain));
        let mut closed: Vec<&str> = matches.iter().map(|m| m.lot_id.as_str()).collect();
        closed.sort_unstable();
        closed.dedup();
        closed.retain(|id| !open.iter().any(|l| l.id == *id));
        Ok(LotLine {
            portfolio: queue.portfolio.clone(),
            venue: queue.venue.clone(),
            asset: queue.asset.clone(),
            currency: queue.currency.clone(),
            open: open.len(),
            open_qty: sum(open.iter().map(|l| l.left_qty))?,
            open_cost: sum(open.iter().map(|l| l.left_cost))?,
            closed: closed.len(),
            realized_short: gain(false)?,
            realized_long: gain(true)?,
            assumed: lots.iter().filter(|l| l.assumed && today(l.opened_ns)).count(),
        })
    };
    books.lots.queues().map(line).collect()
}

/// Held more than one year: the period begins the day after the acquisition, so the anniversary itself is short.
fn is_long(m: &Match) -> bool {
    let date = |ns: u64| DateTime::from_timestamp_nanos(int(ns)).date_naive();
    date(m.opened_ns).checked_add_months(Months::new(12)).is_some_and(|anniversary| date(m.closed_ns) > anniversary)
}

fn reasons(report: &Report, recorded: bool) -> Vec<String> {
    let mut reasons: Vec<String> = report
        .refused
        .iter()
        .map(|r| format!("run {} is left out, its journal proves nothing: {}", r.run_id, r.reason))
        .collect();
    if !recorded {
        reasons.push("nothing was recorded on this day".to_owned());
    }
    let open = report.orders.rows.iter().filter(|o| OPEN.contains(&o.state.as_str())).count();
    let unknown = report.orders.rows.iter().filter(|o| o.state == "unknown").count();
    if unknown > 0 {
        reasons.push(format!("{unknown} orders without proof of their fate"));
    }
    if open > unknown {
        reasons.push(format!("{} orders open at the end of the day", open - unknown));
    }
    let assumed: usize = report.compliance.lines.iter().map(|l| l.assumed).sum();
    if assumed > 0 {
        reasons.push(format!("{assumed} lots with assumed cost: sold more than the journals tell was bought"));
    }
    for quality in report.quality.iter().filter(|q| q.state != "ok") {
        reasons.push(format!("data of {} {}: {}", quality.venue, quality.symbol, quality.state));
    }
    reasons
}

/// RFC 3339, UTC, milliseconds.
fn time(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
