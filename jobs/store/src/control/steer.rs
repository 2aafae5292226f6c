//! What people do to runs: cancel, retry, and give up what is dead.

use super::changes::{Changes, Counted, End};
use crate::{Store, StoreError, alert};

/// Cancels a run: steps that have not begun never will, running ones are told to stop. Returns false when the run had
/// ended already.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn cancel(store: &Store, run: &str) -> Result<bool, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("cancel a run"))?;
    let changes = Changes::lock(&mut tx, &[run.to_owned()]).await?;
    if !changes.run(run)?.active {
        return Ok(false);
    }
    sqlx::query(include_str!("../../../../sql/queries/run/request_cancel.sql"))
        .bind(run)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("cancel a run"))?;
    let idle: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/step/idle.sql"))
        .bind(run)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("look for steps that have not begun"))?;
    let mut changes = Changes::of_locked(run, true);
    changes.event(run, "", "cancel_requested", "");
    changes.end(&mut tx, idle.iter().map(|step| End::idle(run, step, "cancelled")).collect()).await?;
    changes.write(&mut tx).await?;
    // Workers listen; who misses this hears it with the next heartbeat.
    sqlx::query(include_str!("../../../../sql/queries/run/notify_cancel.sql"))
        .bind(run)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("tell the workers"))?;
    tx.commit().await.map_err(StoreError::sql("cancel a run"))?;
    Ok(true)
}

/// Which steps of a run are run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried<'a> {
    /// Those that did not get done.
    Failed,
    /// All.
    All,
    /// This one and everything that needs it.
    From(&'a str),
}

/// Runs an ended run again under its own id. Every earlier attempt is kept. Returns the number of steps that will run.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when the run is still active, or nothing of it would run.
pub async fn retry(store: &Store, run: &str, which: Retried<'_>) -> Result<usize, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("retry a run"))?;
    if Changes::lock(&mut tx, &[run.to_owned()]).await?.run(run)?.active {
        return Err(StoreError::Conflict { what: format!("run {run} is still active; cancel it first") });
    }
    let (mode, from, told) = match which {
        Retried::Failed => ("failed", None, "what is not done".to_owned()),
        Retried::All => ("all", None, "all steps".to_owned()),
        Retried::From(step) => {
            known(&mut tx, run, step).await?;
            ("from", Some(step), format!("from {step}"))
        }
    };
    let again: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/step/reset.sql"))
        .bind(run)
        .bind(mode)
        .bind(from)
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
    let counted: Vec<Counted> = sqlx::query_as(include_str!("../../../../sql/queries/step/recount.sql"))
        .bind(run)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("count a run's needs"))?;
    let mut changes = Changes::of_locked(run, false);
    changes.event(run, "", "run_retried", told);
    changes.decide(&mut tx, counted).await?;
    // Every step was skipped once more, as a clean-up is after a success: the run stays as it was.
    if !changes.write(&mut tx).await?.is_empty() {
        return Err(nothing());
    }
    tx.commit().await.map_err(StoreError::sql("retry a run"))?;
    Ok(again.len())
}

async fn known(tx: &mut sqlx::PgConnection, run: &str, step: &str) -> Result<(), StoreError> {
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM traider.step WHERE run = $1 ORDER BY ordinal")
        .bind(run)
        .fetch_all(tx)
        .await
        .map_err(StoreError::sql("list a run's steps"))?;
    if names.iter().any(|name| name == step) {
        return Ok(());
    }
    Err(StoreError::NotFound { what: format!("step `{step}` in run {run}; it has: {}", names.join(", ")) })
}

/// Takes a dead step off the list of dead letters: it counts as failed, and nobody is asked about it again.
///
/// # Errors
/// [`StoreError::NotFound`] when the run has no such dead step.
pub async fn discard(store: &Store, run: &str, step: &str, why: &str) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("discard a step"))?;
    let mut changes = Changes::lock(&mut tx, &[run.to_owned()]).await?;
    let done = sqlx::query(include_str!("../../../../sql/queries/step/discard.sql"))
        .bind(run)
        .bind(step)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("discard a step"))?;
    if done.rows_affected() == 0 {
        return Err(StoreError::NotFound { what: format!("dead step `{step}` in run {run}; see: traider dead list") });
    }
    changes.event(run, step, "step_discarded", why);
    let (workflow, partition): (String, String) =
        sqlx::query_as("SELECT workflow, partition_key FROM traider.run WHERE id = $1")
            .bind(run)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::sql("look at a run"))?;
    alert::recover(&mut tx, &[alert::failed_key(&workflow, &partition)]).await?;
    changes.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::sql("discard a step"))
}
