//! Reads what a day's report is made of: the ledger's rows from Postgres, candles and the validation's findings from
//! the lake. Nothing is computed here but a hash of what was read.

use super::model::{Input, RefusedRun};
use super::money::in_day;
use super::{ReportError, sha256};
use crate::Amount;
use domain::{Decimal, Side};
use lake::{CandleRow, Day, Lake, Partition, Row as _};
use serde::Serialize;
use spec::facts::{FillFact, OrderFact};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use store::StoreError;

/// Everything a report is computed from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The day.
    pub day: Day,
    /// Books that traded, wanted to, or held something.
    pub portfolios: Vec<PortfolioInput>,
    /// Per (venue, symbol).
    pub markets: BTreeMap<(String, String), Market>,
    /// Runs that may have had a part in the day and whose journals prove nothing.
    pub refused: Vec<RefusedRun>,
    /// True when the lake or the ledger has anything of the day itself.
    pub recorded: bool,
    /// What was read, by hash.
    pub read: Vec<Input>,
}

/// One set of books.
#[derive(Clone, Debug)]
pub struct PortfolioInput {
    /// Its name.
    pub name: String,
    /// Its runs: id and mode.
    pub runs: Vec<(String, String)>,
    /// Every fill up to the end of the day, with its run.
    pub fills: Vec<(String, FillFact)>,
    /// Orders decided in the day, with their run.
    pub orders: Vec<(String, OrderFact)>,
    /// Last price of the journals per symbol, unless it is of a later day.
    pub marks: BTreeMap<String, LastPrice>,
}

/// A price and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastPrice {
    /// Quote per base.
    pub price: Amount,
    /// Our clock when it was seen, ns.
    pub ts_ns: i64,
}

/// What the lake knows of a symbol.
#[derive(Clone, Debug, Default)]
pub struct Market {
    /// Closes of the day's minutes: ns of the close, price.
    pub closes: Vec<(i64, Amount)>,
    /// Last close of the day before.
    pub close_before: Option<Amount>,
    /// Findings of the validation, if it ran.
    pub quality: Option<serde_json::Value>,
}

/// Reads a day.
///
/// * `refused` - runs that may have had a part in it and whose journals prove nothing.
///
/// # Errors
/// [`ReportError`].
pub async fn collect(pool: &PgPool, lake_dir: &Path, day: Day, refused: &[RefusedRun]) -> Result<Inputs, ReportError> {
    let (start, last) = (day.start_ns(), day.end_ns() - 1);
    let names: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/ledger/report_portfolios.sql"))
        .bind(start)
        .bind(last)
        .fetch_all(pool)
        .await
        .map_err(StoreError::sql("find the day's portfolios"))?;
    let mut inputs = Inputs {
        day,
        portfolios: Vec::new(),
        markets: BTreeMap::new(),
        refused: refused.to_vec(),
        recorded: false,
        read: refused.iter().map(refusal).collect(),
    };
    inputs.refused.sort();
    for name in names {
        let portfolio = portfolio(pool, name, start, last).await?;
        inputs.read.push(Input { asset: format!("ledger/{}", portfolio.name), version: version(&portfolio, last) });
        inputs.portfolios.push(portfolio);
    }
    let symbols: BTreeSet<(String, String)> = inputs
        .portfolios
        .iter()
        .flat_map(|p| {
            let fills = p.fills.iter().map(|(_, f)| (f.venue.clone(), f.symbol.clone()));
            fills.chain(p.orders.iter().map(|(_, o)| (o.venue.clone(), o.symbol.clone())))
        })
        .collect();
    if lake_dir.is_dir() {
        let lake = Lake::local(lake_dir)?;
        inputs.recorded = lake.list().await?.iter().any(|(partition, _)| partition.day() == day);
        for (venue, symbol) in symbols {
            let market = market(&lake, &venue, &symbol, day, &mut inputs.read).await?;
            inputs.markets.insert((venue, symbol), market);
        }
    }
    let told = |p: &PortfolioInput| !p.orders.is_empty() || p.fills.iter().any(|(_, f)| in_day(f, day));
    inputs.recorded |= inputs.portfolios.iter().any(told);
    inputs.read.sort();
    Ok(inputs)
}

/// What was read of a refused run is what is wrong with it.
fn refusal(refused: &RefusedRun) -> Input {
    Input { asset: format!("journal/{}", refused.run_id), version: sha256(refused.reason.as_bytes()) }
}

async fn portfolio(pool: &PgPool, name: String, start: i64, last: i64) -> Result<PortfolioInput, ReportError> {
    let runs = sqlx::query_as(include_str!("../../../../sql/queries/ledger/report_runs.sql"))
        .bind(&name)
        .fetch_all(pool)
        .await
        .map_err(StoreError::sql("read runs"))?;
    let fills = sqlx::query(include_str!("../../../../sql/queries/ledger/report_fills.sql"))
        .bind(&name)
        .bind(last)
        .fetch_all(pool)
        .await
        .map_err(StoreError::sql("read fills"))?;
    let orders = sqlx::query(include_str!("../../../../sql/queries/ledger/report_orders.sql"))
        .bind(&name)
        .bind(start)
        .bind(last)
        .fetch_all(pool)
        .await
        .map_err(StoreError::sql("read orders"))?;
    let marks: Vec<(String, String, i64)> =
        sqlx::query_as(include_str!("../../../../sql/queries/ledger/report_marks.sql"))
            .bind(&name)
            .bind(last)
            .fetch_all(pool)
            .await
            .map_err(StoreError::sql("read marks"))?;
    Ok(PortfolioInput {
        name,
        runs,
        fills: fills.iter().map(fill).collect::<Result<_, _>>()?,
        orders: orders.iter().map(order).collect::<Result<_, _>>()?,
        marks: marks.iter().map(last_price).collect::<Result<_, _>>()?,
    })
}

/// Hash of what the day knows of a portfolio. What becomes of an order later is left out, so that the report of a day
/// that is over stays the same while the run goes on; what was filled in the day stands in the fills.
fn version(portfolio: &PortfolioInput, last: i64) -> String {
    let as_of_the_day = |(run, order): &(String, OrderFact)| {
        let later = i64::try_from(order.updated_ns).is_ok_and(|ts| ts > last);
        let (state, reason) = if later { ("live", "") } else { (&*order.state, &*order.reason) };
        let (state, reason) = (state.to_owned(), reason.to_owned());
        let seen = OrderFact { state, reason, filled: Decimal::ZERO, updated_seq: 0, updated_ns: 0, ..order.clone() };
        (run.clone(), seen)
    };
    let orders: Vec<_> = portfolio.orders.iter().map(as_of_the_day).collect();
    let told = (&portfolio.runs, &portfolio.fills, orders, &portfolio.marks);
    sha256(&serde_json::to_vec(&told).expect("facts are always JSON"))
}

async fn market(
    lake: &Lake,
    venue: &str,
    symbol: &str,
    day: Day,
    read: &mut Vec<Input>,
) -> Result<Market, ReportError> {
    let closes = closes(lake, venue, symbol, day, read).await?;
    let before = closes_before(lake, venue, symbol, day, read).await?;
    let partition = Partition::new("quality", venue, symbol, day)?;
    let quality = match lake.manifest(&partition).await? {
        None => None,
        Some(manifest) => {
            read.push(Input { asset: partition.asset(), version: manifest.content_hash() });
            Some(lake.read_json(&partition).await?.1)
        }
    };
    Ok(Market { closes, close_before: before, quality })
}

async fn closes_before(
    lake: &Lake,
    venue: &str,
    symbol: &str,
    day: Day,
    read: &mut Vec<Input>,
) -> Result<Option<Amount>, ReportError> {
    let yesterday = Day::of_ns(day.start_ns() - 1);
    Ok(closes(lake, venue, symbol, yesterday, read).await?.last().map(|(_, close)| *close))
}

async fn closes(
    lake: &Lake,
    venue: &str,
    symbol: &str,
    day: Day,
    read: &mut Vec<Input>,
) -> Result<Vec<(i64, Amount)>, ReportError> {
    const MINUTE_NS: i64 = 60_000_000_000;
    let partition = Partition::new(CandleRow::DATASET, venue, symbol, day)?;
    let Some(manifest) = lake.manifest(&partition).await? else { return Ok(Vec::new()) };
    read.push(Input { asset: partition.asset(), version: manifest.content_hash() });
    // A price with a guessed point would be wrong by powers of ten.
    let scale =
        *manifest.scales.get("close").ok_or_else(|| bad("partition with a scale for `close`", &partition.asset()))?;
    let (_, rows) = lake.read_rows::<CandleRow>(&partition).await?;
    let close = |row: &CandleRow| {
        let price = Decimal::new(i128::from(row.close), scale);
        let amount = Amount::from_decimal(price);
        amount.map(|a| (row.ts_open_ns + MINUTE_NS, a)).map_err(|_| bad("price", &price.to_string()))
    };
    rows.iter().map(close).collect()
}

fn bad(what: &'static str, text: &str) -> ReportError {
    ReportError::Row { what, text: text.to_owned() }
}

fn amount(text: &str) -> Result<Amount, ReportError> {
    Amount::parse(text).map_err(|_| bad("number", text))
}

fn last_price((symbol, price, ts_ns): &(String, String, i64)) -> Result<(String, LastPrice), ReportError> {
    Ok((symbol.clone(), LastPrice { price: amount(price)?, ts_ns: *ts_ns }))
}

fn decimal(row: &PgRow, name: &str) -> Result<Decimal, ReportError> {
    let text: String = get(row, name)?;
    Decimal::parse(&text).map_err(|_| bad("number", &text))
}

fn get<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    name: &str,
) -> Result<T, ReportError> {
    row.try_get(name).map_err(|e| ReportError::Store(StoreError::from(e)))
}

fn whole(row: &PgRow, name: &str) -> Result<u64, ReportError> {
    let n: i64 = get(row, name)?;
    u64::try_from(n).map_err(|_| bad("count", &n.to_string()))
}

fn side(row: &PgRow) -> Result<Side, ReportError> {
    match get::<String>(row, "side")?.as_str() {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => Err(bad("side", other)),
    }
}

fn fill(row: &PgRow) -> Result<(String, FillFact), ReportError> {
    let fact = FillFact {
        venue: get(row, "venue")?,
        symbol: get(row, "symbol")?,
        fill_id: get(row, "fill_id")?,
        order_id: get(row, "order_id")?,
        strategy: get(row, "strategy")?,
        base: get(row, "base")?,
        quote: get(row, "quote")?,
        side: side(row)?,
        price: decimal(row, "price")?,
        qty: decimal(row, "qty")?,
        fee_asset: get(row, "fee_asset")?,
        fee_amount: decimal(row, "fee_amount")?,
        maker: get(row, "maker")?,
        seq: whole(row, "seq")?,
        ts_venue_ns: whole(row, "ts_venue_ns")?,
        ts_recv_ns: whole(row, "ts_recv_ns")?,
    };
    Ok((get(row, "run_id")?, fact))
}

fn order(row: &PgRow) -> Result<(String, OrderFact), ReportError> {
    let fact = OrderFact {
        order_id: get(row, "order_id")?,
        venue: get(row, "venue")?,
        symbol: get(row, "symbol")?,
        strategy: get(row, "strategy")?,
        signal: whole(row, "signal")?,
        side: side(row)?,
        kind: get(row, "kind")?,
        tif: get(row, "tif")?,
        price: decimal(row, "price")?,
        qty: decimal(row, "qty")?,
        filled: decimal(row, "filled")?,
        state: get(row, "state")?,
        reason: get(row, "reason")?,
        created_seq: whole(row, "created_seq")?,
        created_ns: whole(row, "created_ns")?,
        updated_seq: whole(row, "updated_seq")?,
        updated_ns: whole(row, "updated_ns")?,
    };
    Ok((get(row, "run_id")?, fact))
}
