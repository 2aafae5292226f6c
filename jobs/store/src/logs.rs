//! The log of runs: what steps said.

use crate::context::LogLine;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LogRow {
    /// Its number; later lines have larger ones.
    pub id: i64,
    /// The step.
    pub step: String,
    /// Its attempt.
    pub attempt: i32,
    /// When it was said.
    pub ts: DateTime<Utc>,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What was said.
    pub message: String,
}

/// Appends lines of one attempt, in order.
///
/// # Errors
/// When the database cannot be reached.
pub async fn append(store: &Store, run: &str, step: &str, attempt: i32, lines: &[LogLine]) -> Result<(), StoreError> {
    if lines.is_empty() {
        return Ok(());
    }
    let times: Vec<DateTime<Utc>> = lines.iter().map(|l| l.ts).collect();
    let levels: Vec<&str> = lines.iter().map(|l| l.level).collect();
    let messages: Vec<&str> = lines.iter().map(|l| l.message.as_str()).collect();
    sqlx::query(include_str!("../../../sql/queries/log/append.sql"))
        .bind(run)
        .bind(step)
        .bind(attempt)
        .bind(times)
        .bind(levels)
        .bind(messages)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("write a run's log"))?;
    Ok(())
}

/// Lines of a run after line number `after` (0 for all), oldest first; ask again with the last number to follow it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn read(
    store: &Store,
    run: &str,
    step: Option<&str>,
    after: i64,
    limit: i64,
) -> Result<Vec<LogRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/log/read.sql"))
        .bind(run)
        .bind(after)
        .bind(step)
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("read a run's log"))
}
