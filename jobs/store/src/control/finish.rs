//! Ending an attempt: done with everything it wrote, failed, or handed back.

use super::lease::Claimed;
use super::{event, lock_run, settle};
use crate::{AssetVersion, StepError, StepOutcome, Store, StoreError, assets, queue};
use spec::Retry;
use sqlx::PgConnection;

/// What became of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again at this time, whole seconds since 1970 UTC.
    RetryAt(i64),
    /// The step is over.
    Over,
}

/// Marks the step done and commits everything that belongs to that in one transaction: its own writes, its effect, its
/// assets and lineage, its children, and the end of the run.
///
/// # Errors
/// [`StoreError::Stale`] when the lease was lost: nothing was written. Any error of the step's own writes.
pub async fn complete(store: &Store, claimed: &Claimed, outcome: StepOutcome) -> Result<(), StoreError> {
    let StepOutcome { inputs, outputs, summary, writes } = outcome;
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("complete a step"))?;
    let run = lock_run(&mut tx, &claimed.run).await?;
    let fresh: Option<bool> = sqlx::query_scalar(include_str!("../../../../sql/queries/step/done.sql"))
        .bind(&claimed.run)
        .bind(&claimed.step)
        .bind(claimed.epoch)
        .bind(&summary)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sql("mark a step done"))?;
    // Not fresh: the same attempt has had its effect before, only the state was set back by hand.
    if fresh.ok_or_else(|| stale(claimed))? {
        for write in writes {
            write.apply(&mut tx).await?;
        }
        write_assets(&mut tx, claimed, &inputs, &outputs).await?;
    }
    settle::after(&mut tx, &claimed.run, &claimed.step, true, run.cancel_requested).await?;
    tx.commit().await.map_err(StoreError::sql("complete a step"))
}

async fn write_assets(
    tx: &mut PgConnection,
    claimed: &Claimed,
    inputs: &[(String, String)],
    outputs: &[AssetVersion],
) -> Result<(), StoreError> {
    for version in outputs {
        assets::add_output(tx, &claimed.run, &claimed.step, version).await?;
    }
    for (asset, sha256) in inputs {
        assets::add_input(tx, &claimed.run, &claimed.step, asset, sha256).await?;
    }
    Ok(())
}

/// Ends a failed attempt: tried again after a wait if its class and the budget allow, else the step is over.
///
/// # Errors
/// [`StoreError::Stale`] when the lease was lost: somebody else decides about this step now.
pub async fn fail(store: &Store, claimed: &Claimed, error: &StepError) -> Result<Failed, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("fail a step"))?;
    let run = lock_run(&mut tx, &claimed.run).await?;
    let budget = fence(&mut tx, claimed).await?;
    let text = error.to_string();
    let state = if matches!(error, StepError::Cancelled) { "cancelled" } else { "failed" };
    end_attempt(&mut tx, claimed, state, (error.kind(), &text)).await?;
    let wait = match error {
        _ if run.cancel_requested || budget.spent() => None,
        StepError::Transient(_) => Some(budget.wait_ms()),
        StepError::RateLimited { retry_after } => {
            // Never sooner than asked, and spread so that all who were refused do not return together.
            Some((u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1), budget.retry.base_ms))
        }
        StepError::Permanent(_) | StepError::Cancelled => None,
    };
    let result = match wait {
        Some(wait) => Failed::RetryAt(try_again(&mut tx, claimed, (error.kind(), &text), 0, wait).await?),
        None => {
            let state = match error {
                _ if run.cancel_requested => "cancelled",
                StepError::Cancelled => "cancelled",
                StepError::Permanent(_) => "failed",
                StepError::Transient(_) | StepError::RateLimited { .. } => "dead",
            };
            settle::end_step(&mut tx, &claimed.run, &claimed.step, state, Some((error.kind(), &text))).await?;
            settle::after(&mut tx, &claimed.run, &claimed.step, false, run.cancel_requested).await?;
            Failed::Over
        }
    };
    tx.commit().await.map_err(StoreError::sql("fail a step"))?;
    Ok(result)
}

/// Gives a step back unfinished, as when the worker stops: it is ready again at once and the attempt does not count.
///
/// # Errors
/// [`StoreError::Stale`] when the lease was lost.
pub async fn hand_back(store: &Store, claimed: &Claimed, why: &str) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("hand back a step"))?;
    let run = lock_run(&mut tx, &claimed.run).await?;
    fence(&mut tx, claimed).await?;
    end_attempt(&mut tx, claimed, "cancelled", ("handed_back", why)).await?;
    if run.cancel_requested {
        settle::end_step(&mut tx, &claimed.run, &claimed.step, "cancelled", None).await?;
        settle::after(&mut tx, &claimed.run, &claimed.step, false, true).await?;
    } else {
        try_again(&mut tx, claimed, ("handed_back", why), 1, (0, 0)).await?;
    }
    tx.commit().await.map_err(StoreError::sql("hand back a step"))
}

/// A step's attempts, used and allowed.
#[derive(sqlx::FromRow)]
pub(super) struct Budget {
    attempt: i32,
    attempts_max: i32,
    #[sqlx(json)]
    retry: Retry,
}

impl Budget {
    /// True when no attempt is left.
    pub(super) fn spent(&self) -> bool {
        self.attempt >= self.attempts_max
    }
    /// Fixed and random part of the wait before the next attempt, milliseconds.
    fn wait_ms(&self) -> (u64, u64) {
        let left = u32::try_from(self.attempts_max - self.attempt).unwrap_or(0);
        let wait = self.retry.wait_ms(self.retry.max.saturating_sub(left).max(1));
        if self.retry.jitter { (0, wait) } else { (wait, 0) }
    }
}

pub(super) async fn fence(tx: &mut PgConnection, claimed: &Claimed) -> Result<Budget, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/step/fence.sql"))
        .bind(&claimed.run)
        .bind(&claimed.step)
        .bind(claimed.epoch)
        .fetch_optional(tx)
        .await
        .map_err(StoreError::sql("check a lease"))?
        .ok_or_else(|| stale(claimed))
}

fn stale(claimed: &Claimed) -> StoreError {
    StoreError::Stale { run: claimed.run.clone(), step: claimed.step.clone(), epoch: claimed.epoch }
}

/// Makes the step ready for its next attempt; returns when, in whole seconds since 1970 UTC.
async fn try_again(
    tx: &mut PgConnection,
    claimed: &Claimed,
    error: (&str, &str),
    extra_attempts: i32,
    (fixed_ms, random_ms): (u64, u64),
) -> Result<i64, StoreError> {
    let (run, step) = (&claimed.run, &claimed.step);
    next_attempt(tx, run, step, claimed.epoch, error, extra_attempts, (fixed_ms, random_ms)).await
}

/// [`try_again`] for a step that is known by its key only.
pub(super) async fn next_attempt(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    epoch: i64,
    (kind, text): (&str, &str),
    extra_attempts: i32,
    (fixed_ms, random_ms): (u64, u64),
) -> Result<i64, StoreError> {
    let at: i64 = sqlx::query_scalar(include_str!("../../../../sql/queries/step/retry_at.sql"))
        .bind(run)
        .bind(step)
        .bind(epoch)
        .bind(kind)
        .bind(text)
        .bind(extra_attempts)
        .bind(fixed_ms as f64)
        .bind(random_ms as f64)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::sql("plan the next attempt"))?;
    queue::make_ready(tx, run, step, Some(at)).await?;
    event(tx, run, step, "step_retry", &format!("{kind}: {text}")).await?;
    Ok(at)
}

async fn end_attempt(
    tx: &mut PgConnection,
    claimed: &Claimed,
    state: &str,
    error: (&str, &str),
) -> Result<(), StoreError> {
    end_attempt_of(tx, &claimed.run, &claimed.step, claimed.epoch, state, error).await
}

/// [`end_attempt`] for a claim that is known by its key only.
pub(super) async fn end_attempt_of(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    epoch: i64,
    state: &str,
    (kind, text): (&str, &str),
) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../../sql/queries/step/end_attempt.sql"))
        .bind(run)
        .bind(step)
        .bind(epoch)
        .bind(state)
        .bind(kind)
        .bind(text)
        .execute(tx)
        .await
        .map_err(StoreError::sql("end an attempt"))?;
    Ok(())
}
