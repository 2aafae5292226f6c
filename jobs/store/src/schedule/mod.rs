//! Schedules and their slots. A slot is a moment at which a schedule is due; each gets one row, once, whoever looks, and
//! that row says what became of it.
//!
//! Any process may call [`tick`] at any time: the schedule's row is locked while its slots are made and started, its
//! `last_slot` moves in the same transaction and only forward, and a process that finds it locked leaves it to the other.
//! So a clock that steps back makes no slot twice, and one that leaps makes slots early, but once.
//!
//! In flow order: [`sync`] takes over what the workflow files say, [`tick`] makes slots and starts runs, [`pause`] and
//! [`resume`] are what people do. The choices and their reasons: `docs/decisions/0006-slots-in-postgres.md`.
//!
//! **Absent on purpose:** a clock (`now` is handed in), and cron: which moments are slots is the [`Planner`]'s to say.

mod show;
mod sync;
mod tick;

pub use show::{ScheduleDetail, ScheduleView, SlotView, list, show};
pub use sync::sync;
pub use tick::{Ticked, tick};

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use spec::RunPlan;
use std::time::Duration;

/// What to do about slots that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Catchup {
    /// Nothing.
    None,
    /// Run the newest.
    Latest,
    /// Run them all, oldest first.
    All,
}

/// What to do when a slot comes and the last run is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Overlap {
    /// Let the slot go.
    Skip,
    /// Remember one.
    BufferOne,
    /// Remember all.
    BufferAll,
    /// Run both.
    Allow,
    /// Cancel the other.
    CancelOther,
}

/// A schedule as its workflow has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ScheduleRow {
    /// Its name: its workflow's.
    pub name: String,
    /// What it runs.
    pub workflow: String,
    /// Five fields, as in crontab.
    pub cron: String,
    /// IANA name of its time zone.
    pub tz: String,
    /// What to do about missed slots.
    pub catchup: Catchup,
    /// What to do when the last run is not over.
    pub overlap: Overlap,
    /// How far back missed slots are made up, seconds; without it, all the way.
    pub catchup_window_s: Option<i64>,
    /// Slots begin up to this much later, seconds.
    pub jitter_s: i64,
    /// No slot before it.
    pub start_at: Option<DateTime<Utc>>,
    /// A slot waits until the newest run of the partition before it is done.
    pub depends_on_past: bool,
}

/// A schedule as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ScheduleState {
    /// What the workflow says.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub row: ScheduleRow,
    /// False once its workflow is gone or has lost its schedule.
    pub active: bool,
    /// True while people hold it.
    pub paused: bool,
    /// The newest slot that has a row, or where the schedule began; no slot up to here is made any more.
    pub last_slot: Option<DateTime<Utc>>,
    /// The first slot after it.
    pub next_slot: Option<DateTime<Utc>>,
    /// When it was first seen.
    pub first_at: DateTime<Utc>,
}

/// What workflows and patterns mean: pure answers from the definitions at hand. An error is for people; the slot or
/// schedule it is about is left as it is and asked about again.
pub trait Planner: Send + Sync {
    /// The first `limit` slots after `after`, up to and with `until`, oldest first.
    ///
    /// # Errors
    /// When the pattern or the zone is unknown.
    fn slots(
        &self,
        schedule: &ScheduleRow,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DateTime<Utc>>, String>;

    /// How much later than due the slot begins.
    fn jitter(&self, schedule: &ScheduleRow, slot: DateTime<Utc>) -> Duration;

    /// The partition that the workflow's run for this moment is about.
    ///
    /// # Errors
    /// When there is no such workflow, or only a person can know.
    fn partition(&self, workflow: &str, at: DateTime<Utc>) -> Result<String, String>;

    /// The run.
    ///
    /// * `slot` - the moment it was due, from which its deadlines count; `None` when somebody asks for it.
    ///
    /// # Errors
    /// When there is no such workflow, or it cannot run.
    fn plan(&self, workflow: &str, partition: &str, slot: Option<DateTime<Utc>>) -> Result<RunPlan, String>;
}

/// The database's clock, and whether [`tick`] or [`crate::backfill::tick`] would find anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Look {
    /// The clock that counts for schedules.
    pub now: DateTime<Utc>,
    /// A slot is due or waits.
    pub slots: bool,
    /// A backfill is under way.
    pub backfills: bool,
}

/// One round trip; all that an idle scheduler costs.
///
/// # Errors
/// When the database cannot be reached.
pub async fn look(store: &Store) -> Result<Look, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/schedule/look.sql"))
        .fetch_one(&store.pool)
        .await
        .map_err(StoreError::sql("look for due schedules"))
}

/// Holds a schedule: no slot is made or started until [`resume`]. False when it was held already.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn pause(store: &Store, name: &str, why: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    show::find(store, name, now).await?;
    let paused = sqlx::query(include_str!("../../../../sql/queries/schedule/pause.sql"))
        .bind(name)
        .bind(now)
        .bind(why)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("pause a schedule"))?;
    Ok(paused.rows_affected() > 0)
}

/// Lets a schedule go on. Slots of the time in between are treated like any that were missed: by its rule of catching up.
/// False when it was not held.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn resume(store: &Store, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    show::find(store, name, now).await?;
    let resumed = sqlx::query(include_str!("../../../../sql/queries/schedule/resume.sql"))
        .bind(name)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("resume a schedule"))?;
    Ok(resumed.rows_affected() > 0)
}
