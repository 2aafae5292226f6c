//! Making runs.

use super::event;
use super::settle::{self, Counted};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spec::jobs;
use spec::{Retry, RunPlan, StepPlan};
use sqlx::PgConnection;

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A person: joins the partition's active run, else makes a new generation.
    Manual,
    /// The schedule: a partition that has ever been run is left alone.
    Schedule,
    /// A backfill: likewise.
    Backfill,
    /// Something that happened: likewise.
    Event,
}

impl Trigger {
    const fn name(self) -> &'static str {
        match self {
            Trigger::Manual => "manual",
            Trigger::Schedule => "schedule",
            Trigger::Backfill => "backfill",
            Trigger::Event => "event",
        }
    }
}

/// What a run belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// Nothing; see [`Trigger`].
    #[default]
    None,
    /// A slot: always gets a run of its own, the partition's next generation.
    Slot { schedule: &'a str, slot: DateTime<Utc> },
    /// A backfill: joins the partition's active run, else makes a new generation.
    Backfill(&'a str),
}

/// Who waits for a run decides how it ranks against others.
const PRIORITY: i32 = 100;
const PRIORITY_BACKFILL: i32 = 50;

/// The answer to a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The run.
    pub run: String,
    /// False when it was there already.
    pub created: bool,
}

/// Starts a run of the plan. Its ready steps are in the queue when this returns, or nothing has happened.
/// Starting twice is harmless; see [`Trigger`] for what counts as the same.
///
/// # Errors
/// When the plan is not a plan (a step needs one that is not there), or the database cannot be reached.
pub async fn start_run(store: &Store, plan: &RunPlan, trigger: Trigger) -> Result<Started, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("start a run"))?;
    let started = start_run_in(&mut tx, plan, trigger, Origin::None).await?;
    tx.commit().await.map_err(StoreError::sql("start a run"))?;
    Ok(started)
}

/// [`start_run`] within a transaction of the caller, who commits.
pub(crate) async fn start_run_in(
    tx: &mut PgConnection,
    plan: &RunPlan,
    trigger: Trigger,
    origin: Origin<'_>,
) -> Result<Started, StoreError> {
    check(plan)?;
    sqlx::query(include_str!("../../../../sql/queries/run/lock_workflow.sql"))
        .bind(&plan.workflow)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("lock a workflow"))?;
    let newest: Option<(String, i32, bool)> =
        sqlx::query_as(include_str!("../../../../sql/queries/run/newest_generation.sql"))
            .bind(&plan.workflow)
            .bind(&plan.partition)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::sql("look for a run"))?;
    let joins = |active: bool| match origin {
        Origin::None => active || trigger != Trigger::Manual,
        Origin::Slot { .. } => false,
        Origin::Backfill(_) => active,
    };
    let generation = match newest {
        Some((run, _, active)) if joins(active) => return Ok(Started { run, created: false }),
        Some((_, generation, _)) => generation + 1,
        None => 1,
    };
    let version = pin_version(tx, plan).await?;
    let (schedule, slot, backfill) = match origin {
        Origin::None => (None, None, None),
        Origin::Slot { schedule, slot } => (Some(schedule), Some(slot), None),
        Origin::Backfill(id) => (None, None, Some(id)),
    };
    let run = ulid::Ulid::generate().to_string();
    sqlx::query(include_str!("../../../../sql/queries/run/insert.sql"))
        .bind(&run)
        .bind(&plan.workflow)
        .bind(version)
        .bind(&plan.partition)
        .bind(generation)
        .bind(trigger.name())
        .bind(&plan.params)
        .bind(if trigger == Trigger::Backfill { PRIORITY_BACKFILL } else { PRIORITY })
        .bind(schedule)
        .bind(slot)
        .bind(backfill)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("insert a run"))?;
    event(tx, &run, "", "run_queued", trigger.name()).await?;
    insert_steps(tx, &run, &plan.steps).await?;
    Ok(Started { run, created: true })
}

/// Starts one job by itself, as a run with one step. The same work asked for while it is under way is joined.
///
/// # Errors
/// [`StoreError::Conflict`] when the kind or its input is wrong.
pub async fn enqueue_job(store: &Store, kind: &str, input: &Value) -> Result<Started, StoreError> {
    let refused = |e: jobs::SpecError| StoreError::Conflict { what: e.to_string() };
    let kind = jobs::kind(kind).map_err(refused)?;
    let partition = kind.check(input).map_err(refused)?;
    let step = StepPlan {
        retry: Retry { max: kind.attempts_max, ..Retry::default() },
        ..StepPlan::of(kind.name, kind.name, kind.queue, input.clone())
    };
    let plan = RunPlan {
        workflow: format!("job:{}", kind.name),
        sha256: format!("job:{}", kind.name),
        definition: json!({"job": kind.name}),
        partition,
        params: input.clone(),
        steps: vec![step],
        alert: Vec::new(),
    };
    start_run(store, &plan, Trigger::Manual).await
}

/// A plan's needs must come before what needs them; that also rules out cycles.
fn check(plan: &RunPlan) -> Result<(), StoreError> {
    for (at, step) in plan.steps.iter().enumerate() {
        let before = &plan.steps[..at];
        if before.iter().any(|s| s.name == step.name) {
            return Err(StoreError::Conflict { what: format!("the plan has two steps `{}`", step.name) });
        }
        if let Some(need) = step.needs.iter().find(|need| before.iter().all(|s| s.name != **need)) {
            return Err(StoreError::Conflict {
                what: format!("step `{}` needs `{need}`, which does not come before it", step.name),
            });
        }
    }
    if plan.steps.is_empty() {
        return Err(StoreError::Conflict { what: format!("workflow `{}` has no steps", plan.workflow) });
    }
    Ok(())
}

/// The number of this version of the definition, a new one if it was never seen.
pub(crate) async fn pin_version(tx: &mut PgConnection, plan: &RunPlan) -> Result<i32, StoreError> {
    let known = sqlx::query_scalar(include_str!("../../../../sql/queries/run/find_version.sql"))
        .bind(&plan.workflow)
        .bind(&plan.sha256)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sql("look for a workflow version"))?;
    if let Some(version) = known {
        return Ok(version);
    }
    sqlx::query_scalar(include_str!("../../../../sql/queries/run/add_version.sql"))
        .bind(&plan.workflow)
        .bind(&plan.sha256)
        .bind(&plan.definition)
        .fetch_one(tx)
        .await
        .map_err(StoreError::sql("add a workflow version"))
}

async fn insert_steps(tx: &mut PgConnection, run: &str, steps: &[StepPlan]) -> Result<(), StoreError> {
    for (ordinal, step) in (0i32..).zip(steps) {
        let retry = serde_json::to_value(step.retry).map_err(|e| StoreError::Write(e.to_string()))?;
        sqlx::query(include_str!("../../../../sql/queries/step/insert.sql"))
            .bind(run)
            .bind(&step.name)
            .bind(ordinal)
            .bind(&step.job)
            .bind(step.queue.name())
            .bind(&step.params)
            .bind(step.when.name())
            .bind(retry)
            .bind(i64::try_from(step.timeout_s).unwrap_or(i64::MAX))
            .bind(i64::try_from(step.grace_s).unwrap_or(i64::MAX))
            .bind(i32::try_from(step.needs.len()).unwrap_or(i32::MAX))
            .bind(i32::try_from(step.retry.max.max(1)).unwrap_or(i32::MAX))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::sql("insert a step"))?;
        for need in &step.needs {
            sqlx::query(include_str!("../../../../sql/queries/step/insert_need.sql"))
                .bind(run)
                .bind(&step.name)
                .bind(need)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::sql("insert a need"))?;
        }
    }
    let roots = steps.iter().filter(|s| s.needs.is_empty()).map(|s| Counted {
        name: s.name.clone(),
        missing: 0,
        needs_failed: 0,
        when_needs: s.when.name().to_owned(),
    });
    settle::decide(tx, run, roots.collect(), false).await?;
    // A run whose steps are all skipped is over before it began.
    settle::end_run(tx, run).await.map(drop)
}
