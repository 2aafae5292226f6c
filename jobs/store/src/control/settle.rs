//! What follows when a step has ended: its children count down, those with nothing missing become ready or are skipped,
//! and a run with nothing left to do ends.

use super::event;
use crate::{StoreError, queue};
use serde_json::json;
use sqlx::PgConnection;

/// A waiting step after one of its needs ended.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) missing: i32,
    pub(super) needs_failed: i32,
    pub(super) when_needs: String,
}

/// Makes the counted steps that miss nothing ready, or skips them, and so on down the graph.
pub(super) async fn decide(
    tx: &mut PgConnection,
    run: &str,
    mut open: Vec<Counted>,
    cancel_requested: bool,
) -> Result<(), StoreError> {
    while let Some(step) = open.pop() {
        if step.missing > 0 {
            continue;
        }
        let wanted = match step.when_needs.as_str() {
            "success" => step.needs_failed == 0,
            "failure" => step.needs_failed > 0,
            _ => true,
        };
        if wanted && !cancel_requested {
            queue::make_ready(tx, run, &step.name, None).await?;
            event(tx, run, &step.name, "step_ready", "").await?;
            continue;
        }
        let state = if cancel_requested { "cancelled" } else { "skipped" };
        end_step(tx, run, &step.name, state, None).await?;
        open.extend(count_down(tx, run, &step.name, false).await?);
    }
    Ok(())
}

/// A step has ended as `state` with this error, if any: kind and text.
pub(super) async fn end_step(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    state: &str,
    error: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../../sql/queries/step/end.sql"))
        .bind(run)
        .bind(step)
        .bind(state)
        .bind(error.map(|e| e.0))
        .bind(error.map(|e| e.1))
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("end a step"))?;
    let detail = error.map(|(kind, text)| format!("{kind}: {text}")).unwrap_or_default();
    event(tx, run, step, &format!("step_{state}"), &detail).await
}

/// Settles everything that follows from the end of `step`, the end of the run included.
pub(super) async fn after(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    done: bool,
    cancel_requested: bool,
) -> Result<(), StoreError> {
    let children = count_down(tx, run, step, done).await?;
    decide(tx, run, children, cancel_requested).await?;
    end_run(tx, run).await.map(drop)
}

async fn count_down(tx: &mut PgConnection, run: &str, step: &str, done: bool) -> Result<Vec<Counted>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/step/settle_children.sql"))
        .bind(run)
        .bind(step)
        .bind(i32::from(!done))
        .fetch_all(tx)
        .await
        .map_err(StoreError::sql("count down a step's children"))
}

/// Ends the run if none of its steps has anything left to do; true when it did. A failed run leaves an alert in the
/// outbox.
pub(super) async fn end_run(tx: &mut PgConnection, run: &str) -> Result<bool, StoreError> {
    let ended: Option<(String, Option<String>)> =
        sqlx::query_as(include_str!("../../../../sql/queries/run/end_if_over.sql"))
            .bind(run)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::sql("end a run"))?;
    let Some((state, errors)) = ended else { return Ok(false) };
    if state == "failed" {
        // One alert per end of the run: a retry that fails again alerts again.
        let key = format!("run-failed/{run}/{}", ulid::Ulid::generate());
        sqlx::query(include_str!("../../../../sql/queries/run/outbox.sql"))
            .bind(key)
            .bind("alert")
            .bind(json!({"run": run, "what": "run failed", "why": errors}))
            .execute(tx)
            .await
            .map_err(StoreError::sql("write an alert"))?;
    }
    Ok(true)
}
