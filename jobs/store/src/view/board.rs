//! What the board shows at a glance.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// A workflow and its newest run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct WorkflowRow {
    /// Its name.
    pub name: String,
    /// Newest version.
    pub version: i32,
    /// What it says of itself.
    pub description: Option<String>,
    /// When that version was first run.
    pub loaded_at: DateTime<Utc>,
    /// Its newest run.
    pub run: Option<String>,
    /// That run's partition.
    pub partition: Option<String>,
    /// That run's state.
    pub state: Option<String>,
    /// When that run was asked for.
    pub queued_at: Option<DateTime<Utc>>,
    /// When that run ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Runs queued or running.
    pub active: i64,
}

/// The workflows that have had a run, by name.
///
/// # Errors
/// When the database cannot be reached.
pub async fn workflows(store: &Store) -> Result<Vec<WorkflowRow>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/run/workflows.sql"))
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list workflows"))
}

/// How much there is to look after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Attention {
    /// Runs queued or running.
    pub active: i64,
    /// Dead letters.
    pub dead: i64,
    /// Open alerts.
    pub alerts: i64,
    /// Schedules held by people.
    pub schedules_paused: i64,
    /// Queues held by people.
    pub queues_paused: i64,
    /// Backfills that have not ended.
    pub backfills: i64,
    /// Workers seen a short time ago.
    pub workers: i64,
}

/// Counts of what is under way and of what is wrong.
///
/// * `seconds` - a worker seen within this time lives.
///
/// # Errors
/// When the database cannot be reached.
pub async fn attention(store: &Store, seconds: f64) -> Result<Attention, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/run/attention.sql"))
        .bind(seconds)
        .fetch_one(&store.pool)
        .await
        .map_err(StoreError::sql("count what is under way"))
}

/// A step that runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct RunningRow {
    /// Its run.
    pub run: String,
    /// The run's workflow.
    pub workflow: String,
    /// The run's partition.
    pub partition: String,
    /// The step.
    pub step: String,
    /// Job kind.
    pub job: String,
    /// Its queue.
    pub queue: String,
    /// Attempt, from 1.
    pub attempt: i32,
    /// Who holds it.
    pub worker: Option<String>,
    /// How far it is: `{"done", "total", "unit"}`, if it says so.
    pub progress: Option<Value>,
    /// Its last sign of life.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// When its attempt began.
    pub started_at: Option<DateTime<Utc>>,
}

/// The steps that run now, oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn running(store: &Store, limit: i64) -> Result<Vec<RunningRow>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/step/running.sql"))
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list running steps"))
}

/// An asset at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct AssetOverview {
    /// Its name.
    pub asset: String,
    /// Its newest partition.
    pub partition: String,
    /// The newest version of that.
    pub sha256: String,
    /// Rows of that version.
    pub rows: i64,
    /// Bytes of that version.
    pub bytes: i64,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The run that made it last.
    pub run: String,
    /// Its step.
    pub step: String,
    /// Partitions in all.
    pub partitions: i64,
    /// What an open alert says is missing.
    pub stale: Option<String>,
}

/// Every asset with its newest partition, by name.
///
/// # Errors
/// When the database cannot be reached.
pub async fn asset_overview(store: &Store, limit: i64) -> Result<Vec<AssetOverview>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/asset/overview.sql"))
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list assets"))
}

/// The partition that a version of an asset is of; `None` when no step made it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn partition_of(store: &Store, asset: &str, sha256: &str) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar(include_str!("../../../../sql/queries/asset/partition_of.sql"))
        .bind(asset)
        .bind(sha256)
        .fetch_optional(&store.pool)
        .await
        .map_err(StoreError::sql("look up a version"))
}

/// The number after which the last `lines` of a run's log stand, for [`crate::logs::read`]; 0 when there are not so many.
///
/// # Errors
/// When the database cannot be reached.
pub async fn log_before_last(store: &Store, run: &str, step: Option<&str>, lines: i64) -> Result<i64, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(include_str!("../../../../sql/queries/log/before_last.sql"))
        .bind(run)
        .bind(step)
        .bind(lines)
        .fetch_optional(&store.pool)
        .await
        .map_err(StoreError::sql("look for the end of a run's log"))?;
    Ok(id.unwrap_or(0))
}
