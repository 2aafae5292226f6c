//! One function per table: columns of a portfolio's facts as arrays, one statement each. Returns rows changed.

use crate::amount::Amount;
use crate::book::{self, Entry};
use crate::lots::{Lot, Match};
use crate::project::Portfolio;
use domain::Decimal;
use spec::facts::{FillFact, OrderFact};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;
use store::StoreError;

/// Which tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// The ledger.
    Ledger,
    /// Temporary tables of the same names, to compare the ledger with.
    Scratch,
}

impl Tables {
    /// The statement, told about these tables. Ours name their tables in full.
    pub(crate) fn query<'q>(self, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        match self {
            Tables::Ledger => sqlx::query(sql),
            // Not kept prepared: the tables are others every time.
            Tables::Scratch => sqlx::query(AssertSqlSafe(sql.replace("traider.", "pg_temp."))).persistent(false),
        }
    }
}

/// Journal positions and clocks fit 63 bits until the year 2262.
pub(crate) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn number(d: Decimal) -> String {
    d.normalized().to_string()
}

fn column<T, C>(rows: &[T], of: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(of).collect()
}

async fn changed(
    tx: &mut PgConnection,
    doing: &str,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<u64, StoreError> {
    query.execute(tx).await.map(|done| done.rows_affected()).map_err(StoreError::sql(doing))
}

pub(crate) async fn orders(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<u64, StoreError> {
    let text = |of: fn(&OrderFact) -> String| column(&p.orders, |(_, o)| of(o));
    let ints = |of: fn(&OrderFact) -> u64| column(&p.orders, |(_, o)| int(of(o)));
    let query = to
        .query(include_str!("../../../sql/queries/ledger/upsert_orders.sql"))
        .bind(&p.name)
        .bind(text(|o| o.order_id.clone()))
        .bind(column(&p.orders, |(run, _)| run.clone()))
        .bind(text(|o| o.venue.clone()))
        .bind(text(|o| o.symbol.clone()))
        .bind(text(|o| o.strategy.clone()))
        .bind(ints(|o| o.signal))
        .bind(text(|o| o.side.name().to_owned()))
        .bind(text(|o| o.kind.clone()))
        .bind(text(|o| o.tif.clone()))
        .bind(text(|o| number(o.price)))
        .bind(text(|o| number(o.qty)))
        .bind(text(|o| number(o.filled)))
        .bind(text(|o| o.state.clone()))
        .bind(text(|o| o.reason.clone()))
        .bind(ints(|o| o.created_seq))
        .bind(ints(|o| o.created_ns))
        .bind(ints(|o| o.updated_seq))
        .bind(ints(|o| o.updated_ns));
    changed(tx, "write orders", query).await
}

fn fill_columns<'q>(sql: &'static str, p: &'q Portfolio, to: Tables) -> Query<'q, Postgres, PgArguments> {
    let text = |of: fn(&FillFact) -> String| column(&p.fills, |(_, f)| of(f));
    let ints = |of: fn(&FillFact) -> u64| column(&p.fills, |(_, f)| int(of(f)));
    to.query(sql)
        .bind(&p.name)
        .bind(text(|f| f.venue.clone()))
        .bind(text(|f| f.symbol.clone()))
        .bind(text(|f| f.fill_id.clone()))
        .bind(column(&p.fills, |(run, _)| run.clone()))
        .bind(text(|f| f.order_id.clone()))
        .bind(text(|f| f.strategy.clone()))
        .bind(text(|f| f.base.clone()))
        .bind(text(|f| f.quote.clone()))
        .bind(text(|f| f.side.name().to_owned()))
        .bind(text(|f| number(f.price)))
        .bind(text(|f| number(f.qty)))
        .bind(text(|f| f.fee_asset.clone()))
        .bind(text(|f| number(f.fee_amount)))
        .bind(column(&p.fills, |(_, f)| f.maker))
        .bind(ints(|f| f.seq))
        .bind(ints(|f| f.ts_venue_ns))
        .bind(ints(|f| f.ts_recv_ns))
}

pub(crate) async fn fills(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<u64, StoreError> {
    changed(tx, "write fills", fill_columns(include_str!("../../../sql/queries/ledger/insert_fills.sql"), p, to)).await
}

/// Fills that the database holds otherwise than the journals tell them.
pub(crate) async fn changed_fills(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<Vec<String>, StoreError> {
    let rows = fill_columns(include_str!("../../../sql/queries/ledger/changed_fills.sql"), p, to)
        .fetch_all(tx)
        .await
        .map_err(StoreError::sql("compare fills with the journals"))?;
    rows.iter().map(|row| sqlx::Row::try_get(row, 0).map_err(StoreError::from)).collect()
}

pub(crate) async fn entries(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<u64, StoreError> {
    let runs = runs_by_fact(p);
    let entries = &p.books.entries;
    let ids = column(entries, |e| e.id.clone());
    let delete = to.query(include_str!("../../../sql/queries/ledger/delete_entries.sql")).bind(&p.name).bind(&ids);
    let mut count = changed(tx, "drop entries", delete).await?;
    let upsert = to
        .query(include_str!("../../../sql/queries/ledger/upsert_entries.sql"))
        .bind(&p.name)
        .bind(&ids)
        .bind(column(entries, |e| run_of(&runs, &p.name, e.seq, &e.id)))
        .bind(column(entries, |e| e.kind.name().to_owned()))
        .bind(column(entries, |e| int(e.ts_ns)))
        .bind(column(entries, |e| int(e.seq)));
    count += changed(tx, "write entries", upsert).await?;
    let lines: Vec<(&Entry, usize)> = entries.iter().flat_map(|e| (0..e.postings.len()).map(move |i| (e, i))).collect();
    let upsert = to
        .query(include_str!("../../../sql/queries/ledger/upsert_postings.sql"))
        .bind(column(&lines, |(e, _)| e.id.clone()))
        .bind(column(&lines, |(_, i)| i16::try_from(i + 1).unwrap_or(i16::MAX)))
        .bind(column(&lines, |(e, i)| e.postings[*i].account.clone()))
        .bind(column(&lines, |(e, i)| e.postings[*i].asset.clone()))
        .bind(column(&lines, |(e, i)| e.postings[*i].amount.to_string()));
    Ok(count + changed(tx, "write postings", upsert).await?)
}

pub(crate) async fn lots(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<u64, StoreError> {
    let runs = runs_by_fact(p);
    let lots: Vec<&Lot> = p.books.lots.lots().collect();
    let matches = p.books.lots.matches();
    let (lot_ids, match_ids) = (column(&lots, |l| l.id.clone()), column(matches, |m| m.id.clone()));
    let delete = include_str!("../../../sql/queries/ledger/delete_matches.sql");
    let mut count = changed(tx, "drop matches", to.query(delete).bind(&p.name).bind(&match_ids)).await?;
    let delete = include_str!("../../../sql/queries/ledger/delete_lots.sql");
    count += changed(tx, "drop lots", to.query(delete).bind(&p.name).bind(&lot_ids)).await?;
    let money = |of: fn(&Lot) -> Amount| column(&lots, |l| of(l).to_string());
    let upsert = to
        .query(include_str!("../../../sql/queries/ledger/upsert_lots.sql"))
        .bind(&p.name)
        .bind(&lot_ids)
        .bind(column(&lots, |l| run_of(&runs, &p.name, l.seq, &l.id)))
        .bind(column(&lots, |l| l.queue.venue.clone()))
        .bind(column(&lots, |l| l.queue.asset.clone()))
        .bind(column(&lots, |l| l.queue.currency.clone()))
        .bind(column(&lots, |l| int(l.opened_ns)))
        .bind(column(&lots, |l| int(l.seq)))
        .bind(money(|l| l.qty))
        .bind(money(|l| l.cost))
        .bind(money(|l| l.left_qty))
        .bind(money(|l| l.left_cost))
        .bind(column(&lots, |l| l.assumed));
    count += changed(tx, "write lots", upsert).await?;
    let money = |of: fn(&Match) -> Amount| column(matches, |m| of(m).to_string());
    let upsert = to
        .query(include_str!("../../../sql/queries/ledger/upsert_matches.sql"))
        .bind(&p.name)
        .bind(&match_ids)
        .bind(column(matches, |m| m.lot_id.clone()))
        .bind(column(matches, |m| m.disposal_id.clone()))
        .bind(column(matches, |m| run_of(&runs, &p.name, m.seq, &m.disposal_id)))
        .bind(column(matches, |m| m.queue.venue.clone()))
        .bind(column(matches, |m| m.queue.asset.clone()))
        .bind(column(matches, |m| m.queue.currency.clone()))
        .bind(column(matches, |m| int(m.opened_ns)))
        .bind(column(matches, |m| int(m.closed_ns)))
        .bind(column(matches, |m| int(m.seq)))
        .bind(money(|m| m.qty))
        .bind(money(|m| m.cost))
        .bind(money(|m| m.proceeds))
        .bind(money(|m| m.gain))
        .bind(column(matches, |m| m.assumed));
    Ok(count + changed(tx, "write matches", upsert).await?)
}

pub(crate) async fn marks(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<u64, StoreError> {
    let marks: Vec<_> = p.facts.iter().flat_map(|f| f.marks.iter().map(move |mark| (f, mark))).collect();
    let query = to
        .query(include_str!("../../../sql/queries/ledger/upsert_marks.sql"))
        .bind(&p.name)
        .bind(column(&marks, |(f, _)| f.run_id.clone()))
        .bind(column(&marks, |(_, mark)| mark.symbol.clone()))
        .bind(column(&marks, |(f, _)| int(f.last_seq)))
        .bind(column(&marks, |(_, mark)| number(mark.price)))
        .bind(column(&marks, |(_, mark)| int(mark.ts_ns)));
    changed(tx, "write marks", query).await
}

pub(crate) async fn runs(tx: &mut PgConnection, p: &Portfolio, to: Tables) -> Result<u64, StoreError> {
    let mut count = 0;
    for told in &p.facts {
        let query = to
            .query(include_str!("../../../sql/queries/ledger/upsert_run.sql"))
            .bind(&told.run_id)
            .bind(&p.name)
            .bind(&told.mode)
            .bind(int(told.last_seq));
        count += changed(tx, "note how far a journal was booked", query).await?;
    }
    Ok(count)
}

/// Which run tells a fact: by the ids that a fill gives rise to, else by its journal position.
struct Runs {
    by_id: BTreeMap<String, String>,
    by_seq: BTreeMap<u64, String>,
}

fn runs_by_fact(p: &Portfolio) -> Runs {
    let mut runs = Runs { by_id: BTreeMap::new(), by_seq: BTreeMap::new() };
    for (run, fill) in &p.fills {
        let key = book::fill_key(&p.name, fill);
        let fee = book::fact_id(&["fee", &key]);
        for id in [book::fact_id(&["assumed", &key]), book::fact_id(&["assumed", &fee]), fee, key] {
            runs.by_id.insert(id, run.clone());
        }
        runs.by_seq.insert(fill.seq, run.clone());
    }
    runs
}

fn run_of(runs: &Runs, portfolio: &str, seq: u64, id: &str) -> String {
    runs.by_id.get(id).or_else(|| runs.by_seq.get(&seq)).map_or_else(|| portfolio.to_owned(), String::clone)
}
