//! Ending an attempt: done with everything it wrote, failed, or handed back.

use super::changes::{Changes, End};
use super::lease::Claimed;
use crate::queue::{self, Ready};
use crate::{AssetVersion, StepError, StepOutcome, Store, StoreError, assets};
use serde_json::Value;
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

fn done(claimed: &Claimed, summary: Value) -> End {
    End {
        run: claimed.run.clone(),
        step: claimed.step.clone(),
        fence: Some(claimed.epoch),
        state: "done",
        attempt: "done",
        error: None,
        summary,
    }
}

/// Marks the step done and commits everything that belongs to that in one transaction: its own writes, its effect, its
/// assets and lineage, its children, and the end of the run.
///
/// # Errors
/// [`StoreError::Stale`] when the lease was lost: nothing was written. Any error of the step's own writes.
pub async fn complete(store: &Store, claimed: &Claimed, outcome: StepOutcome) -> Result<(), StoreError> {
    let StepOutcome { inputs, outputs, summary, writes } = outcome;
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("complete a step"))?;
    let mut changes = Changes::lock(&mut tx, std::slice::from_ref(&claimed.run)).await?;
    changes.run(&claimed.run)?;
    if changes.end(&mut tx, vec![done(claimed, summary.clone())]).await?.is_empty() {
        return Err(stale(claimed));
    }
    if has_effect(&mut tx, claimed, &summary).await? {
        for write in writes {
            write.apply(&mut tx).await?;
        }
        write_assets(&mut tx, claimed, &inputs, &outputs).await?;
    }
    changes.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::sql("complete a step"))
}

/// Marks steps done that have nothing to write but a summary, all in one transaction. Says of each, in order, whether it
/// still was its holder's; of the others nothing is written.
///
/// # Errors
/// When the database cannot be reached: then none is done.
pub async fn complete_many(store: &Store, steps: &[(Claimed, Value)]) -> Result<Vec<bool>, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("complete steps"))?;
    let runs: Vec<String> = steps.iter().map(|(claimed, _)| claimed.run.clone()).collect();
    let mut changes = Changes::lock(&mut tx, &runs).await?;
    let ends = steps.iter().map(|(claimed, summary)| done(claimed, summary.clone())).collect();
    let ended = changes.end(&mut tx, ends).await?;
    changes.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::sql("complete steps"))?;
    Ok(steps.iter().map(|(claimed, _)| ended.contains(&(claimed.run.clone(), claimed.step.clone()))).collect())
}

/// False when the same attempt has had its effect before and only the step's state was set back by hand.
async fn has_effect(tx: &mut PgConnection, claimed: &Claimed, summary: &Value) -> Result<bool, StoreError> {
    let written = sqlx::query(include_str!("../../../../sql/queries/step/effect.sql"))
        .bind(&claimed.run)
        .bind(&claimed.step)
        .bind(claimed.attempt)
        .bind(claimed.epoch)
        .bind(summary)
        .execute(tx)
        .await
        .map_err(StoreError::sql("note an effect"))?;
    Ok(written.rows_affected() == 1)
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
    let mut changes = Changes::lock(&mut tx, std::slice::from_ref(&claimed.run)).await?;
    let cancelled = changes.run(&claimed.run)?.cancel_requested;
    let budget = fence(&mut tx, claimed).await?;
    let held = Held { run: &claimed.run, step: &claimed.step, epoch: claimed.epoch };
    let attempt = if matches!(error, StepError::Cancelled) { "cancelled" } else { "failed" };
    let told = (error.kind().to_owned(), error.to_string());
    let wait = match error {
        _ if cancelled || budget.spent() => None,
        StepError::Transient(_) => Some(budget.wait_ms()),
        StepError::RateLimited { retry_after } => {
            // Never sooner than asked, and spread so that all who were refused do not return together.
            Some((u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1), budget.retry.base_ms))
        }
        StepError::Permanent(_) | StepError::Cancelled => None,
    };
    let result = if let Some(wait) = wait {
        Failed::RetryAt(held.try_again(&mut tx, &mut changes, budget, attempt, &told, 0, wait).await?)
    } else {
        let state = match error {
            _ if cancelled => "cancelled",
            StepError::Cancelled => "cancelled",
            StepError::Permanent(_) => "failed",
            StepError::Transient(_) | StepError::RateLimited { .. } => "dead",
        };
        held.over(&mut tx, &mut changes, state, attempt, Some(told)).await?;
        Failed::Over
    };
    changes.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::sql("fail a step"))?;
    Ok(result)
}

/// Gives a step back unfinished, as when the worker stops: it is ready again at once and the attempt does not count.
///
/// # Errors
/// [`StoreError::Stale`] when the lease was lost.
pub async fn hand_back(store: &Store, claimed: &Claimed, why: &str) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("hand back a step"))?;
    let mut changes = Changes::lock(&mut tx, std::slice::from_ref(&claimed.run)).await?;
    let cancelled = changes.run(&claimed.run)?.cancel_requested;
    let budget = fence(&mut tx, claimed).await?;
    let held = Held { run: &claimed.run, step: &claimed.step, epoch: claimed.epoch };
    if cancelled {
        held.over(&mut tx, &mut changes, "cancelled", "cancelled", None).await?;
    } else {
        let told = ("handed_back".to_owned(), why.to_owned());
        held.try_again(&mut tx, &mut changes, budget, "cancelled", &told, 1, (0, 0)).await?;
    }
    changes.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::sql("hand back a step"))
}

/// A step's attempts, used and allowed.
#[derive(sqlx::FromRow)]
pub(super) struct Budget {
    attempt: i32,
    attempts_max: i32,
    #[sqlx(json)]
    retry: Retry,
    shared: Option<String>,
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

async fn fence(tx: &mut PgConnection, claimed: &Claimed) -> Result<Budget, StoreError> {
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

/// A running step whose fence was checked in this transaction.
pub(super) struct Held<'a> {
    pub(super) run: &'a str,
    pub(super) step: &'a str,
    pub(super) epoch: i64,
}

impl Held<'_> {
    /// The step is over.
    pub(super) async fn over(
        &self,
        tx: &mut PgConnection,
        changes: &mut Changes,
        state: &'static str,
        attempt: &'static str,
        error: Option<(String, String)>,
    ) -> Result<(), StoreError> {
        let (run, step) = (self.run.to_owned(), self.step.to_owned());
        let end = End { run, step, fence: Some(self.epoch), state, attempt, error, summary: Value::Null };
        changes.end(tx, vec![end]).await.map(drop)
    }

    /// The attempt is over and the step is made ready for the next; returns when, in whole seconds since 1970 UTC.
    ///
    /// * `attempt` - what the attempt was.
    /// * `extra` - attempts granted on top.
    /// * `wait` - fixed and random part, milliseconds.
    #[expect(clippy::too_many_arguments, reason = "one call says everything about the end of an attempt")]
    pub(super) async fn try_again(
        &self,
        tx: &mut PgConnection,
        changes: &mut Changes,
        budget: Budget,
        attempt: &str,
        (kind, text): &(String, String),
        extra: i32,
        (fixed_ms, random_ms): (u64, u64),
    ) -> Result<i64, StoreError> {
        sqlx::query(include_str!("../../../../sql/queries/step/end_attempt.sql"))
            .bind(self.run)
            .bind(self.step)
            .bind(self.epoch)
            .bind(attempt)
            .bind(kind)
            .bind(text)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::sql("end an attempt"))?;
        let at: i64 = sqlx::query_scalar(include_str!("../../../../sql/queries/step/retry_at.sql"))
            .bind(self.run)
            .bind(self.step)
            .bind(self.epoch)
            .bind(kind)
            .bind(text)
            .bind(extra)
            .bind(fixed_ms as f64)
            .bind(random_ms as f64)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::sql("plan the next attempt"))?;
        queue::make_ready(tx, vec![Ready { run: self.run.to_owned(), step: self.step.to_owned(), at: Some(at) }])
            .await?;
        changes.event(self.run, self.step, "step_retry", format!("{kind}: {text}"));
        changes.free(budget.shared);
        Ok(at)
    }
}
