//! What people do to runs: cancel and retry.

use super::settle::{self, Counted};
use super::{event, lock_run};
use crate::{Store, StoreError};

/// Cancels a run: steps that have not begun never will, running ones are told to stop. Returns false when the run had
/// ended already.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn cancel(store: &Store, run: &str) -> Result<bool, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("cancel a run"))?;
    if !lock_run(&mut tx, run).await?.active {
        return Ok(false);
    }
    sqlx::query(include_str!("../../../../sql/queries/run/request_cancel.sql"))
        .bind(run)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("cancel a run"))?;
    event(&mut tx, run, "", "cancel_requested", "").await?;
    let idle: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/step/cancel_idle.sql"))
        .bind(run)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("cancel a run's steps"))?;
    for step in idle {
        event(&mut tx, run, &step, "step_cancelled", "").await?;
    }
    settle::end_run(&mut tx, run).await?;
    // Workers listen; who misses this hears it with the next heartbeat.
    sqlx::query(include_str!("../../../../sql/queries/run/notify_cancel.sql"))
        .bind(run)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("tell the workers"))?;
    tx.commit().await.map_err(StoreError::sql("cancel a run"))?;
    Ok(true)
}

/// Runs an ended run again under its own id: only the steps that did not get done, or all. Every earlier attempt is kept.
/// Returns the number of steps that will run.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when the run is still active, or nothing in it failed.
pub async fn retry(store: &Store, run: &str, failed_only: bool) -> Result<usize, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("retry a run"))?;
    if lock_run(&mut tx, run).await?.active {
        return Err(StoreError::Conflict { what: format!("run {run} is still active; cancel it first") });
    }
    let again: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/step/reset.sql"))
        .bind(run)
        .bind(failed_only)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("reset a run's steps"))?;
    let nothing = || StoreError::Conflict { what: format!("no step of run {run} is left to do; nothing to retry") };
    if again.is_empty() {
        return Err(nothing());
    }
    sqlx::query(include_str!("../../../../sql/queries/run/reopen.sql"))
        .bind(run)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("reopen a run"))?;
    let which = if failed_only { "what is not done" } else { "all steps" };
    event(&mut tx, run, "", "run_retried", which).await?;
    let counted: Vec<Counted> = sqlx::query_as(include_str!("../../../../sql/queries/step/recount.sql"))
        .bind(run)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("count a run's needs"))?;
    settle::decide(&mut tx, run, counted, false).await?;
    // Every step was skipped once more, as a clean-up is after a success: the run stays as it was.
    if settle::end_run(&mut tx, run).await? {
        return Err(nothing());
    }
    tx.commit().await.map_err(StoreError::sql("retry a run"))?;
    Ok(again.len())
}
