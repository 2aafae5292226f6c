//! The step `check-ledger`: the ledger as it stands, against itself and against the journals. Three proofs:
//!
//! * every entry sums to zero in every asset;
//! * position = sum of fills = postings = open lots;
//! * the tables are those that the journals prove, by content hash: the projection is built again in temporary tables,
//!   from the same journals up to the record to which each was booked (I-22).
//!
//! Nothing is written: the temporary tables go with the transaction, which is rolled back.

use crate::project::{self, Portfolio};
use crate::rows::Tables;
use serde_json::json;
use spec::facts::Facts;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use store::{StepContext, StepError, StepOutcome, Store, StoreError};

/// Breaches that an error names at most.
const SHOWN: usize = 10;

/// A run that is booked and whose journal does not prove it, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// The run.
    pub run_id: String,
    /// Why.
    pub reason: String,
}

/// What was looked at, and what does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Positions compared.
    pub positions: usize,
    /// SHA-256 of the ledger's tables.
    pub content: String,
    /// Breaches, in words.
    pub breaches: Vec<String>,
}

/// Run and the record to which its journal is booked.
pub type Booked = BTreeMap<String, i64>;

/// How far each run is booked.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn booked(store: &Store) -> Result<Booked, StoreError> {
    let mut connection = store.pool.acquire().await?;
    booked_now(&mut connection).await
}

async fn booked_now(connection: &mut PgConnection) -> Result<Booked, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(include_str!("../../../sql/queries/ledger/booked.sql"))
        .fetch_all(connection)
        .await
        .map_err(StoreError::sql("read how far journals are booked"))?;
    Ok(rows.into_iter().collect())
}

/// Handler of `check-ledger`. The worker supplies the facts of every booked run up to the record in `booked`, derived by
/// `data` through replay, and names the runs that could not be told.
///
/// # Errors
/// [`StepError::Permanent`] naming every breach; [`StepError::Transient`] when something was booked meanwhile.
pub async fn run_with(
    ctx: &StepContext,
    booked: &Booked,
    facts: Vec<Facts>,
    unproven: &[Unproven],
) -> Result<StepOutcome, StepError> {
    ctx.cancel.check()?;
    let inputs = facts.iter().map(|f| (format!("journal/{}", f.run_id), format!("seq-{}", f.last_seq))).collect();
    let portfolios = tokio::task::spawn_blocking(move || project::books(facts))
        .await
        .map_err(|e| StepError::Permanent(format!("making the books failed: {e}")))??;
    ctx.cancel.check()?;
    let Some(mut proof) = prove(&ctx.store, booked, &portfolios).await? else {
        return Err(StepError::Transient("the ledger was booked while it was checked".to_owned()));
    };
    let unproven = unproven.iter().map(|u| format!("run {} is booked and not proven: {}", u.run_id, u.reason));
    proof.breaches.extend(unproven);
    let told = project::summarize(&portfolios);
    ctx.log.info(&format!(
        "{} runs, {} fills, {} entries, {} lots, {} positions; content {}",
        told.runs, told.fills, told.entries, told.lots, proof.positions, proof.content
    ));
    if !proof.breaches.is_empty() {
        let (all, shown) = (proof.breaches.len(), proof.breaches.iter().take(SHOWN).cloned().collect::<Vec<_>>());
        return Err(StepError::Permanent(format!("the ledger is not proven, {all} breaches: {}", shown.join("; "))));
    }
    let summary = json!({
        "runs": told.runs, "portfolios": told.portfolios, "orders": told.orders, "fills": told.fills,
        "entries": told.entries, "lots": told.lots, "matches": told.matches, "positions": proof.positions,
        "content": proof.content,
    });
    Ok(StepOutcome { inputs, outputs: Vec::new(), summary, writes: Vec::new() })
}

/// Compares the ledger with itself and with `portfolios`, which are made of the journals as far as `booked` says.
///
/// Returns `None` when the ledger is no longer booked to there.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn prove(store: &Store, booked: &Booked, portfolios: &[Portfolio]) -> Result<Option<Proof>, StoreError> {
    let mut tx = store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.map_err(looking())?;
    if booked_now(&mut tx).await? != *booked {
        return Ok(None);
    }
    let mut proof = Proof::default();
    unbalanced(&mut tx, &mut proof).await?;
    positions(&mut tx, &mut proof).await?;
    sqlx::raw_sql(include_str!("../../../sql/queries/ledger/scratch.sql")).execute(&mut *tx).await.map_err(looking())?;
    for portfolio in portfolios {
        project::write_portfolio(&mut tx, portfolio, Tables::Scratch).await?;
    }
    proof.content = project::content_of(&mut tx, Tables::Ledger).await?;
    if proof.content != project::content_of(&mut tx, Tables::Scratch).await? {
        differences(&mut tx, &mut proof).await?;
    }
    tx.rollback().await.map_err(looking())?;
    Ok(Some(proof))
}

fn looking() -> impl FnOnce(sqlx::Error) -> StoreError {
    StoreError::sql("check the ledger")
}

async fn unbalanced(tx: &mut PgConnection, proof: &mut Proof) -> Result<(), StoreError> {
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(include_str!("../../../sql/queries/ledger/unbalanced.sql"))
            .fetch_all(tx)
            .await
            .map_err(looking())?;
    proof.breaches.extend(rows.into_iter().map(|(portfolio, entry, asset, total)| {
        format!("I-20: entry {entry} of portfolio {portfolio} sums to {total} {asset}, not to zero")
    }));
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Position {
    portfolio: String,
    venue: String,
    asset: String,
    fills: String,
    postings: String,
    lots: String,
    agree: bool,
}

async fn positions(tx: &mut PgConnection, proof: &mut Proof) -> Result<(), StoreError> {
    let rows: Vec<Position> = sqlx::query_as(include_str!("../../../sql/queries/ledger/positions.sql"))
        .fetch_all(tx)
        .await
        .map_err(looking())?;
    proof.positions = rows.len();
    proof.breaches.extend(rows.iter().filter(|p| !p.agree).map(|p| {
        format!(
            "I-20, I-24: {} at {} of portfolio {}: fills say {}, postings {}, open lots {}",
            p.asset, p.venue, p.portfolio, p.fills, p.postings, p.lots
        )
    }));
    Ok(())
}

async fn differences(tx: &mut PgConnection, proof: &mut Proof) -> Result<(), StoreError> {
    let rows: Vec<(String, Option<String>, Option<String>)> =
        sqlx::query_as(include_str!("../../../sql/queries/ledger/differs.sql"))
            .fetch_all(tx)
            .await
            .map_err(looking())?;
    for (table, ledger, journals) in rows {
        let told = [("only the table has", ledger), ("only the journals tell", journals)];
        let told: Vec<String> = told.into_iter().filter_map(|(who, rows)| Some(format!("{who} {}", rows?))).collect();
        if !told.is_empty() {
            proof.breaches.push(format!("I-22: table {table}: {}", told.join(", ")));
        }
    }
    if proof.breaches.is_empty() {
        proof.breaches.push("I-22: the tables are not those that the journals prove".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[path = "prove_tests.rs"]
mod tests;
