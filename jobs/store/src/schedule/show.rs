//! Schedules for people and pages.

use super::ScheduleState;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Slots shown with a schedule.
const SLOTS_SHOWN: i64 = 20;

/// A schedule at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct ScheduleView {
    /// The schedule.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub state: ScheduleState,
    /// Since when it is held.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why.
    pub paused_why: Option<String>,
    /// Slots that wait for their turn.
    pub pending: i64,
    /// State of the run of its newest slot that has one.
    pub last_state: Option<String>,
    /// How long its oldest slot that should have begun has waited, seconds.
    pub late_s: Option<f64>,
}

/// A slot and its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct SlotView {
    /// When it was due.
    pub slot: DateTime<Utc>,
    /// `waiting`, `started`, `skipped`, `missed` or `cancelled`.
    pub state: String,
    /// Made up after the time it was due.
    pub late: bool,
    /// What its run is about.
    pub partition: String,
    /// When it may begin.
    pub not_before: DateTime<Utc>,
    /// Its run.
    pub run: Option<String>,
    /// State of that run.
    pub run_state: Option<String>,
    /// Why it is as it is.
    pub detail: String,
    /// When that was decided.
    pub at: DateTime<Utc>,
}

/// A schedule and its last slots, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScheduleDetail {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: ScheduleView,
    /// Its slots.
    pub slots: Vec<SlotView>,
}

/// All schedules by name, those that are no longer active too.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(store: &Store, now: DateTime<Utc>) -> Result<Vec<ScheduleView>, StoreError> {
    named(store, now, None).await
}

/// One schedule with its last slots.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn show(store: &Store, name: &str, now: DateTime<Utc>) -> Result<ScheduleDetail, StoreError> {
    let schedule = find(store, name, now).await?;
    let slots = sqlx::query_as(include_str!("../../../../sql/queries/schedule/slots.sql"))
        .bind(name)
        .bind(SLOTS_SHOWN)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("show a schedule's slots"))?;
    Ok(ScheduleDetail { schedule, slots })
}

pub(super) async fn find(store: &Store, name: &str, now: DateTime<Utc>) -> Result<ScheduleView, StoreError> {
    let found = named(store, now, Some(name)).await?.pop();
    found.ok_or_else(|| StoreError::NotFound { what: format!("schedule {name}; see: traider schedule list") })
}

async fn named(store: &Store, now: DateTime<Utc>, name: Option<&str>) -> Result<Vec<ScheduleView>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/schedule/list.sql"))
        .bind(now)
        .bind(name)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list schedules"))
}
