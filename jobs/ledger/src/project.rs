//! The projection: facts of journals to rows of Postgres. Everything is computed and proven before the first row is
//! written; rows are upserted by the keys of their facts, so applying the same facts twice changes nothing, and
//! emptying the tables and applying again gives the same [`content_hash`] (I-22).
//!
//! Facts come from outside, because deriving them means replaying a journal with the engine, which is `data`'s work:
//! the worker calls `data` for every journal in the home folder and hands the result to [`run_with`].
//!
//! Numbers cross into Postgres as text cast to `numeric`: exact at any size, where the driver's own decimal type has
//! 28 digits.

use crate::amount::AmountError;
use crate::book;
use crate::check::{Books, LedgerError};
use crate::rows::{self, Tables};
use async_trait::async_trait;
use serde::Serialize;
use spec::facts::{Facts, FillFact, OrderFact};
use sqlx::{PgConnection, PgPool, Row};
use std::collections::BTreeMap;
use store::{StepContext, StepError, StepOutcome, StoreError, TxWrite};
use thiserror::Error;

/// Why facts were not projected.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// The facts of a portfolio do not make books.
    #[error("portfolio {portfolio}: {source}")]
    Books {
        /// Which.
        portfolio: String,
        /// The cause.
        source: LedgerError,
    },
    /// The database holds what the journals do not tell.
    #[error(
        "portfolio {portfolio}: the database has fills that the journals do not tell, or tell otherwise: {}. If the \
         journals are right, empty the projection (sql/queries/ledger/clear.sql) and start the workflow again: every \
         row is made anew", fills.join(", ")
    )]
    Diverged {
        /// Which.
        portfolio: String,
        /// The first few of them.
        fills: Vec<String>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ProjectError> for StoreError {
    fn from(error: ProjectError) -> StoreError {
        match error {
            ProjectError::Store(error) => error,
            other => StoreError::Write(other.to_string()),
        }
    }
}

impl From<ProjectError> for StepError {
    fn from(error: ProjectError) -> StepError {
        StepError::from(StoreError::from(error))
    }
}

/// What a projection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Journals told.
    pub runs: usize,
    /// Portfolios they belong to.
    pub portfolios: usize,
    /// Orders told, refused ones included.
    pub orders: usize,
    /// Fills booked.
    pub fills: usize,
    /// Ledger entries, opening balances included.
    pub entries: usize,
    /// Lots, open and closed.
    pub lots: usize,
    /// Matches of lots with disposals.
    pub matches: usize,
    /// Lots whose acquisition no journal tells.
    pub assumed_lots: usize,
    /// Portfolios left alone because the database already knows later records of their journals.
    pub older: usize,
    /// Rows inserted, updated or deleted; 0 when nothing was new.
    pub rows_changed: u64,
}

/// One set of books and the facts it is made of.
pub struct Portfolio {
    /// Its name; see [`portfolio_of`].
    pub name: String,
    /// The journals.
    pub facts: Vec<Facts>,
    /// Orders, each once, with the run that tells it.
    pub orders: Vec<(String, OrderFact)>,
    /// Fills, each once, with the run that tells it.
    pub fills: Vec<(String, FillFact)>,
    /// Postings and lots.
    pub books: Books,
}

/// Whose books a run belongs to: real accounts share one, a run against a simulated venue has its own, because such a
/// venue starts its fill ids again with every run.
pub fn portfolio_of(facts: &Facts) -> &str {
    if facts.mode == "live" { "live" } else { &facts.run_id }
}

/// Makes and proves the books of all facts. Pure.
///
/// # Errors
/// [`ProjectError::Books`].
pub fn books(facts: Vec<Facts>) -> Result<Vec<Portfolio>, ProjectError> {
    let mut grouped: BTreeMap<String, Vec<Facts>> = BTreeMap::new();
    for told in facts {
        grouped.entry(portfolio_of(&told).to_owned()).or_default().push(told);
    }
    grouped.into_iter().map(|(name, facts)| portfolio(name, facts)).collect()
}

fn portfolio(name: String, mut facts: Vec<Facts>) -> Result<Portfolio, ProjectError> {
    // The same run told twice: the longer story contains the shorter one.
    facts.sort_by(|a, b| (&a.run_id, b.last_seq).cmp(&(&b.run_id, a.last_seq)));
    facts.dedup_by(|b, a| a.run_id == b.run_id);
    let mut orders = BTreeMap::new();
    let mut fills = BTreeMap::new();
    let mut all = Vec::new();
    for told in &facts {
        for order in &told.orders {
            orders.insert(order.order_id.clone(), (told.run_id.clone(), order.clone()));
        }
        for fill in &told.fills {
            all.push(fill.clone());
            fills.entry(book::fill_key(&name, fill)).or_insert((told.run_id.clone(), fill.clone()));
        }
    }
    match Books::of(&name, &[], &all) {
        Ok(books) => Ok(Portfolio {
            name,
            facts,
            orders: orders.into_values().collect(),
            fills: fills.into_values().collect(),
            books,
        }),
        Err(source) => Err(ProjectError::Books { portfolio: name, source }),
    }
}

/// Writes the facts inside the caller's transaction.
///
/// # Errors
/// [`ProjectError`]; the caller must roll back.
pub async fn apply(tx: &mut PgConnection, facts: Vec<Facts>) -> Result<Summary, ProjectError> {
    write_books(tx, &books(facts)?).await
}

async fn write_books(tx: &mut PgConnection, portfolios: &[Portfolio]) -> Result<Summary, ProjectError> {
    let lock = sqlx::query(include_str!("../../../sql/queries/ledger/lock.sql"));
    lock.execute(&mut *tx).await.map_err(StoreError::sql("lock the ledger"))?;
    let mut summary = summarize(portfolios);
    for portfolio in portfolios {
        if is_older(tx, portfolio).await? {
            summary.older += 1;
            continue;
        }
        summary.rows_changed += write_portfolio(tx, portfolio, Tables::Ledger).await?;
    }
    Ok(summary)
}

pub(crate) fn summarize(portfolios: &[Portfolio]) -> Summary {
    let count = |f: fn(&Portfolio) -> usize| portfolios.iter().map(f).sum();
    Summary {
        runs: count(|p| p.facts.len()),
        portfolios: portfolios.len(),
        orders: count(|p| p.orders.len()),
        fills: count(|p| p.fills.len()),
        entries: count(|p| p.books.entries.len()),
        lots: count(|p| p.books.lots.lots().count()),
        matches: count(|p| p.books.lots.matches().len()),
        assumed_lots: count(|p| p.books.lots.lots().filter(|l| l.assumed).count()),
        older: 0,
        rows_changed: 0,
    }
}

/// True when another projection has already told more of a journal: this one read it earlier and must not turn back.
async fn is_older(tx: &mut PgConnection, portfolio: &Portfolio) -> Result<bool, StoreError> {
    for told in &portfolio.facts {
        let known: Option<i64> = sqlx::query_scalar(include_str!("../../../sql/queries/ledger/run_seq.sql"))
            .bind(&told.run_id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::sql("read how far a journal was booked"))?;
        if known.is_some_and(|known| known > rows::int(told.last_seq)) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) async fn write_portfolio(
    tx: &mut PgConnection,
    portfolio: &Portfolio,
    to: Tables,
) -> Result<u64, ProjectError> {
    let mut changed = rows::orders(tx, portfolio, to).await?;
    changed += rows::fills(tx, portfolio, to).await?;
    let diverged = rows::changed_fills(tx, portfolio, to).await?;
    if !diverged.is_empty() {
        return Err(ProjectError::Diverged { portfolio: portfolio.name.clone(), fills: diverged });
    }
    changed += rows::entries(tx, portfolio, to).await?;
    changed += rows::lots(tx, portfolio, to).await?;
    changed += rows::marks(tx, portfolio, to).await?;
    Ok(changed + rows::runs(tx, portfolio, to).await?)
}

struct Projection(Vec<Portfolio>);

#[async_trait]
impl TxWrite for Projection {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        write_books(tx, &self.0).await?;
        Ok(())
    }
}

/// The projection as a write of a step's result.
///
/// # Errors
/// [`ProjectError::Books`] when the facts do not make books; found here, before any transaction.
pub fn write(facts: Vec<Facts>) -> Result<Box<dyn TxWrite>, ProjectError> {
    Ok(Box::new(Projection(books(facts)?)))
}

/// Handler of `project-ledger`: books what the journals prove. The worker supplies the facts of every run journal in
/// the home folder, derived by `data` through replay.
///
/// # Errors
/// [`StepError::Permanent`] when an invariant does not hold: trying again cannot mend the books.
pub async fn run_with(ctx: &StepContext, facts: Vec<Facts>) -> Result<StepOutcome, StepError> {
    ctx.cancel.check()?;
    let inputs = facts.iter().map(|f| (format!("journal/{}", f.run_id), format!("seq-{}", f.last_seq))).collect();
    let portfolios = books(facts)?;
    let summary = summarize(&portfolios);
    ctx.log.info(&format!(
        "{} journals, {} orders, {} fills: {} entries balance, {} lots, {} matches",
        summary.runs, summary.orders, summary.fills, summary.entries, summary.lots, summary.matches
    ));
    if summary.assumed_lots > 0 {
        ctx.log.warn(&format!("{} lots were held before the first fill; their cost is assumed", summary.assumed_lots));
    }
    let mut summary = serde_json::to_value(&summary).map_err(|e| StepError::Permanent(e.to_string()))?;
    // What changes is known only when the step's transaction writes it, after this report.
    for later in ["older", "rows_changed"] {
        summary.as_object_mut().map(|fields| fields.remove(later));
    }
    Ok(StepOutcome { inputs, outputs: Vec::new(), summary, writes: vec![Box::new(Projection(portfolios))] })
}

/// SHA-256 over all rows of the projection, hex; equal content gives an equal hash, however it came about.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn content_hash(pool: &PgPool) -> Result<String, StoreError> {
    let mut connection = pool.acquire().await?;
    content_of(&mut connection, Tables::Ledger).await
}

/// [`content_hash`] of these tables, as the connection sees them.
pub(crate) async fn content_of(connection: &mut PgConnection, of: Tables) -> Result<String, StoreError> {
    let tables = of
        .query(include_str!("../../../sql/queries/ledger/content.sql"))
        .fetch_all(connection)
        .await
        .map_err(StoreError::sql("hash the ledger"))?;
    let mut parts = Vec::new();
    for row in &tables {
        parts.push(row.try_get::<String, _>("name")?);
        parts.push(row.try_get::<String, _>("hash")?);
    }
    Ok(book::fact_id(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Empties the projection inside the caller's transaction; the next [`apply`] of all facts fills it again.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn clear(tx: &mut PgConnection) -> Result<(), StoreError> {
    let truncate = sqlx::query(include_str!("../../../sql/queries/ledger/clear.sql"));
    truncate.execute(tx).await.map(drop).map_err(StoreError::sql("empty the ledger"))
}

impl From<AmountError> for ProjectError {
    fn from(error: AmountError) -> ProjectError {
        ProjectError::Store(StoreError::Write(error.to_string()))
    }
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
