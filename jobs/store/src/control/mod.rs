//! The control plane. One run is one workflow version for one partition; its steps go
//!
//! ```text
//! waiting -> ready -> running -> done
//!    |         ^          |----> ready (again, later)        an attempt failed or its lease ran out
//!    |         '----------'----> failed | dead               no attempt left, or trying again cannot help
//!    '-> skipped | cancelled
//! ```
//!
//! Every arrow is one transaction that holds the run's row, so that the arrows of one run take turns: the step's state,
//! its data, the counters of its children, the tasks of those that became ready, and the run's own state change together
//! or not at all. A claim raises the step's epoch; a result that carries an older one is refused (fencing).
//!
//! In flow order: [`start`] makes runs, [`lease`] claims and keeps steps, [`finish`] ends attempts, [`steer`] is what
//! people do to runs, [`sweep`] heals what died.

pub mod finish;
pub mod lease;
mod settle;
pub mod start;
pub mod steer;
pub mod sweep;

pub use finish::{Failed, complete, fail, hand_back};
pub use lease::{Beat, Claimed, WorkerId, claim, heartbeat};
pub use start::{Started, Trigger, enqueue_job, start_run};
pub use steer::{cancel, retry};
pub use sweep::{Swept, prune, sweep};

use crate::StoreError;
use sqlx::PgConnection;

/// A run's row, locked until the transaction ends.
struct LockedRun {
    active: bool,
    cancel_requested: bool,
}

/// Locks the run, so that its transitions take turns.
async fn lock_run(tx: &mut PgConnection, run: &str) -> Result<LockedRun, StoreError> {
    let row: Option<(String, bool)> = sqlx::query_as(include_str!("../../../../sql/queries/run/lock.sql"))
        .bind(run)
        .fetch_optional(tx)
        .await
        .map_err(StoreError::sql("lock a run"))?;
    let (state, cancel_requested) = row.ok_or_else(|| StoreError::NotFound { what: format!("run {run}") })?;
    Ok(LockedRun { active: matches!(state.as_str(), "queued" | "running"), cancel_requested })
}

/// Appends to the run's hash-chained history; the run must be locked.
async fn event(tx: &mut PgConnection, run: &str, step: &str, kind: &str, detail: &str) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../../sql/queries/run/event.sql"))
        .bind(run)
        .bind(step)
        .bind(kind)
        .bind(detail)
        .execute(tx)
        .await
        .map_err(StoreError::sql("write a run event"))?;
    Ok(())
}
