//! Backfills for people and pages.

use super::{Direction, Reprocess};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// A backfill at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct BackfillView {
    /// ULID: ids sort by time.
    pub id: String,
    /// The workflow.
    pub workflow: String,
    /// The version it is pinned to.
    pub version: i32,
    /// Oldest partition.
    pub first_key: String,
    /// Newest partition.
    pub last_key: String,
    /// Parameters of its runs.
    pub params: Value,
    /// Where it began.
    pub direction: Direction,
    /// What it runs again.
    pub reprocess: Reprocess,
    /// Runs at the same time.
    pub max_active: i32,
    /// `running`, `paused`, `cancelled` or `done`.
    pub state: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Parts that have not begun.
    pub pending: i64,
    /// Parts whose run is queued or runs.
    pub active: i64,
    /// Parts whose run got done.
    pub done: i64,
    /// Parts whose run failed.
    pub failed: i64,
    /// Parts left as they were.
    pub kept: i64,
    /// Parts that never began or whose run was cancelled.
    pub cancelled: i64,
    /// How long it will take from here, by the median of the workflow's runs, seconds.
    pub eta_s: Option<f64>,
}

/// One part of a backfill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct PartView {
    /// Its place in the order, from 1.
    pub seq: i32,
    /// The partition.
    pub partition: String,
    /// `pending`, `started`, `kept` or `cancelled`.
    pub state: String,
    /// Its run.
    pub run: Option<String>,
    /// State of that run.
    pub run_state: Option<String>,
}

/// A backfill with its parts, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackfillDetail {
    /// The backfill.
    #[serde(flatten)]
    pub backfill: BackfillView,
    /// Its parts.
    pub parts: Vec<PartView>,
}

/// Backfills, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(store: &Store, limit: i64) -> Result<Vec<BackfillView>, StoreError> {
    views(store, None, limit).await
}

/// The backfill whose id is `id` or begins with it.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when more than one begins so.
pub async fn find(store: &Store, id: &str) -> Result<String, StoreError> {
    // Ids hold letters and digits; anything else would be a pattern.
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let mut found: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/backfill/by_prefix.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for a backfill"))?;
    match found.len() {
        0 => Err(StoreError::NotFound { what: format!("backfill {id}; see: traider backfill list") }),
        1 => Ok(found.remove(0)),
        _ => {
            Err(StoreError::Conflict { what: format!("more than one backfill begins with {id}; give more of its id") })
        }
    }
}

/// Everything about the backfill whose id is `id` or begins with it.
///
/// # Errors
/// See [`find`].
pub async fn show(store: &Store, id: &str) -> Result<BackfillDetail, StoreError> {
    let id = find(store, id).await?;
    let backfill = view(store, &id).await?;
    let parts = sqlx::query_as(include_str!("../../../../sql/queries/backfill/parts.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("show a backfill's parts"))?;
    Ok(BackfillDetail { backfill, parts })
}

pub(super) async fn view(store: &Store, id: &str) -> Result<BackfillView, StoreError> {
    let found = views(store, Some(id), 1).await?.pop();
    found.ok_or_else(|| StoreError::NotFound { what: format!("backfill {id}; see: traider backfill list") })
}

async fn views(store: &Store, id: Option<&str>, limit: i64) -> Result<Vec<BackfillView>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/backfill/list.sql"))
        .bind(id)
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list backfills"))
}
