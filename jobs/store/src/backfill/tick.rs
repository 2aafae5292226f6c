//! Parts become runs.

use super::{Found, Reprocess};
use crate::control::Trigger;
use crate::control::start::{Origin, start_run_in};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::Value;
use spec::RunPlan;
use sqlx::PgConnection;

/// The run of one part, by the definition the backfill is pinned to.
#[derive(Clone, Copy, Debug)]
pub struct Pinned<'a> {
    /// The workflow.
    pub workflow: &'a str,
    /// Hash of its definition; the plan must have it.
    pub sha256: &'a str,
    /// The definition; the plan must have it.
    pub definition: &'a Value,
    /// Parameters in place of the defaults.
    pub params: &'a Value,
    /// The partition.
    pub partition: &'a str,
}

/// What a tick did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Runs started, in order.
    pub started: Vec<String>,
    /// Backfills of which every part has ended.
    pub ended: Vec<String>,
    /// What could not be planned; tried again with every tick.
    pub problems: Vec<String>,
}

/// Starts what there is room for in every running backfill, and ends those that are over.
///
/// # Errors
/// When the database cannot be reached. What was committed before, one backfill at a time, stays.
pub async fn tick(
    store: &Store,
    now: DateTime<Utc>,
    planner: &(dyn Fn(&Pinned<'_>) -> Result<RunPlan, String> + Sync),
) -> Result<Ticked, StoreError> {
    let running: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/backfill/running.sql"))
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for backfills"))?;
    let mut ticked = Ticked::default();
    for id in running {
        let done = one(store, &id, now, planner).await?;
        ticked.started.extend(done.started);
        ticked.ended.extend(done.ended);
        ticked.problems.extend(done.problems);
    }
    Ok(ticked)
}

/// A running backfill, locked.
#[derive(sqlx::FromRow)]
struct Backfill {
    id: String,
    workflow: String,
    sha256: String,
    definition: Value,
    params: Value,
    reprocess: Reprocess,
    max_active: i32,
}

/// A part that has not begun, and its partition's newest run.
#[derive(sqlx::FromRow)]
struct Part {
    seq: i32,
    partition: String,
    newest: Option<String>,
    newest_state: Option<String>,
}

async fn one(
    store: &Store,
    id: &str,
    now: DateTime<Utc>,
    planner: &(dyn Fn(&Pinned<'_>) -> Result<RunPlan, String> + Sync),
) -> Result<Ticked, StoreError> {
    let doing = || StoreError::sql("tick a backfill");
    let mut done = Ticked::default();
    let mut tx = store.pool.begin().await.map_err(doing())?;
    let backfill: Option<Backfill> = sqlx::query_as(include_str!("../../../../sql/queries/backfill/lock.sql"))
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(doing())?;
    let Some(backfill) = backfill else { return Ok(done) };
    let active: i64 = sqlx::query_scalar(include_str!("../../../../sql/queries/backfill/count_active.sql"))
        .bind(id)
        .fetch_one(&mut *tx)
        .await
        .map_err(doing())?;
    let mut room = i64::from(backfill.max_active) - active;
    while room > 0 {
        let parts: Vec<Part> = sqlx::query_as(include_str!("../../../../sql/queries/backfill/pending.sql"))
            .bind(id)
            .bind(&backfill.workflow)
            .bind(backfill.reprocess == Reprocess::All)
            .bind(room)
            .fetch_all(&mut *tx)
            .await
            .map_err(doing())?;
        let (before, found) = (room, parts.len());
        for part in parts {
            match backfill.settle(&mut tx, &part, planner).await? {
                Settled::Kept => {}
                Settled::Joined => room -= 1,
                Settled::Started(run) => {
                    room -= 1;
                    done.started.push(run);
                }
                Settled::Refused(what) => {
                    done.problems.push(format!("backfill {id}, {}: {what}", part.partition));
                    room = 0;
                    break;
                }
            }
        }
        // Kept parts take no room: look further.
        if (found as u64) < before.unsigned_abs() {
            break;
        }
    }
    let ended = sqlx::query(include_str!("../../../../sql/queries/backfill/end_if_over.sql"))
        .bind(id)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    if ended.rows_affected() > 0 {
        done.ended.push(id.to_owned());
    }
    tx.commit().await.map_err(doing())?;
    Ok(done)
}

enum Settled {
    /// Somebody got it done since the backfill was planned.
    Kept,
    /// Somebody is at it; the part waits for that run.
    Joined,
    Started(String),
    Refused(String),
}

impl Backfill {
    async fn settle(
        &self,
        tx: &mut PgConnection,
        part: &Part,
        planner: &(dyn Fn(&Pinned<'_>) -> Result<RunPlan, String> + Sync),
    ) -> Result<Settled, StoreError> {
        if self.reprocess.keeps(Found::of(part.newest_state.as_deref())) {
            self.write(tx, part, "kept", part.newest.as_deref()).await?;
            return Ok(Settled::Kept);
        }
        let plan = planner(&Pinned {
            workflow: &self.workflow,
            sha256: &self.sha256,
            definition: &self.definition,
            params: &self.params,
            partition: &part.partition,
        });
        let plan = match plan {
            Ok(plan) => plan,
            Err(what) => return Ok(Settled::Refused(what)),
        };
        let started = start_run_in(tx, &plan, Trigger::Backfill, Origin::Backfill(self.id.clone())).await?;
        self.write(tx, part, "started", Some(&started.run)).await?;
        Ok(if started.created { Settled::Started(started.run) } else { Settled::Joined })
    }

    async fn write(
        &self,
        tx: &mut PgConnection,
        part: &Part,
        state: &str,
        run: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(include_str!("../../../../sql/queries/backfill/settle_part.sql"))
            .bind(&self.id)
            .bind(part.seq)
            .bind(state)
            .bind(run)
            .execute(tx)
            .await
            .map(drop)
            .map_err(StoreError::sql("settle a part of a backfill"))
    }
}
