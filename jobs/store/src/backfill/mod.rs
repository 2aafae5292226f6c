//! Backfills: runs over a list of partitions, a few at a time, behind everything a person or a schedule waits for.
//!
//! A backfill is pinned to the version of its workflow that it began with. Any process may call [`tick`]: the backfill's
//! row is locked while parts of it are started, so each part is started once. In flow order: [`plan()`] says what would
//! happen, [`start`] writes it down, [`tick`] carries it out, [`pause`], [`resume`] and [`cancel`] are what people do.
//!
//! **Absent on purpose:** which keys a range holds (the workflow's partitions say), and a clock.

mod show;
mod tick;

pub use show::{BackfillDetail, BackfillView, PartView, find, list, show};
pub use tick::{Pinned, Ticked, tick};

use crate::control::{self, start::pin_version};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use spec::RunPlan;
use std::collections::{BTreeMap, BTreeSet};

/// Which end of the range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Direction {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// Which partitions are run, beside those that are being run anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Reprocess {
    /// Those never run.
    Missing,
    /// Those, and those whose newest run failed or was cancelled.
    Failed,
    /// All of them.
    All,
}

/// How a partition's newest run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It has none.
    Missing,
    /// It failed or was cancelled.
    Failed,
    /// It is queued or runs.
    Active,
    /// It got done.
    Done,
}

impl Found {
    /// * `state` - of the newest run, if there is one.
    fn of(state: Option<&str>) -> Found {
        match state {
            None => Found::Missing,
            Some("done") => Found::Done,
            Some("queued" | "running") => Found::Active,
            Some(_) => Found::Failed,
        }
    }
}

impl Reprocess {
    /// True when a partition that stands so is left as it is.
    const fn keeps(self, found: Found) -> bool {
        match (self, found) {
            (_, Found::Missing | Found::Active) | (Reprocess::Failed, Found::Failed) | (Reprocess::All, _) => false,
            (Reprocess::Missing, Found::Failed) | (Reprocess::Missing | Reprocess::Failed, Found::Done) => true,
        }
    }
}

/// What to fill.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBackfill {
    /// The workflow.
    pub workflow: String,
    /// Its partitions, each once, oldest first; at least one.
    pub keys: Vec<String>,
    /// Parameters of the runs, as their plans use them.
    pub params: Value,
    /// Where to begin.
    pub direction: Direction,
    /// What to run again.
    pub reprocess: Reprocess,
    /// Runs at the same time, at least 1.
    pub max_active: u32,
}

/// One partition of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartPlan {
    /// The partition.
    pub partition: String,
    /// How its newest run stands.
    pub found: Found,
    /// That run.
    pub run: Option<String>,
    /// It is left as it is.
    pub kept: bool,
}

/// What a backfill would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackfillPlan {
    /// Its partitions, in the order they would be run.
    pub parts: Vec<PartPlan>,
    /// Runs it would wait for: those it makes, and those under way already.
    pub runs: usize,
    /// Median time of the workflow's runs so far, seconds.
    pub typical_s: Option<f64>,
    /// How long it would take, seconds.
    pub estimate_s: Option<f64>,
}

/// What the backfill would do if it were started now. Writes nothing.
///
/// # Errors
/// [`StoreError::Conflict`] when it has no keys, one twice, or no room for a run.
pub async fn plan(store: &Store, new: &NewBackfill) -> Result<BackfillPlan, StoreError> {
    check(new)?;
    let newest: Vec<(String, String, String)> =
        sqlx::query_as(include_str!("../../../../sql/queries/backfill/newest_runs.sql"))
            .bind(&new.workflow)
            .bind(&new.keys)
            .fetch_all(&store.pool)
            .await
            .map_err(StoreError::sql("look for runs"))?;
    let newest: BTreeMap<String, (String, String)> =
        newest.into_iter().map(|(partition, run, state)| (partition, (run, state))).collect();
    let part = |key: &String| {
        let run = newest.get(key);
        let found = Found::of(run.map(|(_, state)| state.as_str()));
        let kept = new.reprocess.keeps(found);
        PartPlan { partition: key.clone(), found, run: run.map(|(id, _)| id.clone()), kept }
    };
    let mut parts: Vec<PartPlan> = new.keys.iter().map(part).collect();
    if new.direction == Direction::Newest {
        parts.reverse();
    }
    let typical_s: Option<f64> = sqlx::query_scalar(include_str!("../../../../sql/queries/backfill/typical.sql"))
        .bind(&new.workflow)
        .fetch_one(&store.pool)
        .await
        .map_err(StoreError::sql("look how long runs take"))?;
    let runs = parts.iter().filter(|part| !part.kept).count();
    let rounds = u32::try_from(runs).unwrap_or(u32::MAX).div_ceil(new.max_active);
    Ok(BackfillPlan { parts, runs, typical_s, estimate_s: typical_s.map(|s| s * f64::from(rounds)) })
}

/// Starts a backfill: it is written down, and any process that ticks carries it out. Returns its id.
///
/// * `planner` - the run of one of its keys, by the definition to pin. Every key is tried before anything is written.
///
/// # Errors
/// [`StoreError::Conflict`] when a key cannot be planned; see also [`plan()`].
pub async fn start(
    store: &Store,
    new: &NewBackfill,
    now: DateTime<Utc>,
    planner: impl Fn(&str) -> Result<RunPlan, String>,
) -> Result<String, StoreError> {
    let parts = plan(store, new).await?.parts;
    let mut pinned = None;
    for key in &new.keys {
        pinned = Some(planner(key).map_err(|what| StoreError::Conflict { what })?);
    }
    let (Some(pinned), Some(first), Some(last)) = (pinned, new.keys.first(), new.keys.last()) else {
        return Err(StoreError::Conflict { what: "a backfill needs at least one partition".to_owned() });
    };
    let doing = || StoreError::sql("start a backfill");
    let mut tx = store.pool.begin().await.map_err(doing())?;
    sqlx::query(include_str!("../../../../sql/queries/run/lock_workflow.sql"))
        .bind(&new.workflow)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    let version = pin_version(&mut tx, &pinned).await?;
    let id = ulid::Ulid::generate().to_string();
    sqlx::query(include_str!("../../../../sql/queries/backfill/insert.sql"))
        .bind(&id)
        .bind(&new.workflow)
        .bind(version)
        .bind(first)
        .bind(last)
        .bind(&new.params)
        .bind(new.direction)
        .bind(new.reprocess)
        .bind(i32::try_from(new.max_active).unwrap_or(i32::MAX))
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    let column = |of: fn(&PartPlan) -> &str| parts.iter().map(|part| of(part).to_owned()).collect::<Vec<_>>();
    sqlx::query(include_str!("../../../../sql/queries/backfill/insert_parts.sql"))
        .bind(&id)
        .bind((1i32..).take(parts.len()).collect::<Vec<_>>())
        .bind(column(|part| &part.partition))
        .bind(column(|part| if part.kept { "kept" } else { "pending" }))
        .bind(parts.iter().map(|part| part.run.clone().filter(|_| part.kept)).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(id)
}

fn check(new: &NewBackfill) -> Result<(), StoreError> {
    let refuse = |what: &str| Err(StoreError::Conflict { what: what.to_owned() });
    if new.keys.is_empty() {
        return refuse("a backfill needs at least one partition");
    }
    if new.keys.iter().collect::<BTreeSet<_>>().len() != new.keys.len() {
        return refuse("a backfill has each partition once");
    }
    if new.max_active == 0 {
        return refuse("a backfill needs room for at least one run at a time");
    }
    Ok(())
}

/// Starts no further run until [`resume`]; those under way go on.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when it has ended. Doing it twice is harmless.
pub async fn pause(store: &Store, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    steer(store, id, "paused", &["running", "paused"], now).await
}

/// Goes on after [`pause`].
///
/// # Errors
/// As [`pause`].
pub async fn resume(store: &Store, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    steer(store, id, "running", &["running", "paused"], now).await
}

/// Ends a backfill: what has not begun never will, and its own runs are cancelled; runs of others that it only waited for go
/// on. Returns the runs told to stop. Doing it again tells those that were missed if the first time was cut short.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when it is done.
pub async fn cancel(store: &Store, id: &str, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
    steer(store, id, "cancelled", &["running", "paused", "cancelled"], now).await?;
    sqlx::query(include_str!("../../../../sql/queries/backfill/cancel_parts.sql"))
        .bind(id)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("cancel a backfill"))?;
    let runs: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/backfill/own_active_runs.sql"))
        .bind(id)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for a backfill's runs"))?;
    for run in &runs {
        control::cancel(store, run).await?;
    }
    Ok(runs)
}

async fn steer(store: &Store, id: &str, to: &str, from: &[&str], now: DateTime<Utc>) -> Result<(), StoreError> {
    // Waits for a tick that has it: what that tick starts is there when this returns.
    let steered = sqlx::query(include_str!("../../../../sql/queries/backfill/steer.sql"))
        .bind(id)
        .bind(to)
        .bind(from)
        .bind(now)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql(format!("make a backfill {to}")))?;
    if steered.rows_affected() > 0 {
        return Ok(());
    }
    let state = show::view(store, id).await?.state;
    Err(StoreError::Conflict { what: format!("backfill {id} is {state}") })
}
