//! Making runs.

use super::changes::{Changes, Counted};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spec::jobs;
use spec::plan::fill_run_id;
use spec::{Retry, RunPlan, StepPlan};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

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

    /// Larger goes first: what a person waits for, then what is due, then what was missed long ago.
    const fn priority(self) -> i32 {
        match self {
            Trigger::Manual => 150,
            Trigger::Schedule | Trigger::Event => 100,
            Trigger::Backfill => 50,
        }
    }
}

/// The answer to a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The run.
    pub run: String,
    /// False when it was there already.
    pub created: bool,
}

/// What a run belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: somebody asked for it.
    #[default]
    Alone,
    /// A slot of a schedule; it gets a run of its own, whatever ran before.
    Slot {
        /// The schedule.
        schedule: String,
        /// The slot.
        slot: DateTime<Utc>,
    },
    /// A backfill, which has looked at what ran before.
    Backfill(String),
}

impl Origin {
    fn slot(&self) -> (Option<&str>, Option<DateTime<Utc>>) {
        match self {
            Origin::Slot { schedule, slot } => (Some(schedule), Some(*slot)),
            Origin::Alone | Origin::Backfill(_) => (None, None),
        }
    }
    fn backfill(&self) -> Option<&str> {
        match self {
            Origin::Backfill(id) => Some(id),
            Origin::Alone | Origin::Slot { .. } => None,
        }
    }
}

/// Starts a run of the plan. Its ready steps are in the queue when this returns, or nothing has happened.
/// Starting twice is harmless; see [`Trigger`] for what counts as the same.
///
/// # Errors
/// When the plan is not a plan (a step needs one that is not there), or the database cannot be reached.
pub async fn start_run(store: &Store, plan: &RunPlan, trigger: Trigger) -> Result<Started, StoreError> {
    let mut started = start_runs(store, std::slice::from_ref(plan), trigger).await?;
    started.pop().ok_or_else(|| StoreError::Write("a start without an answer".to_owned()))
}

/// [`start_run`] for many in one transaction; the answers are in the order of the plans. Hundreds at a time: each new task
/// is a notification.
///
/// # Errors
/// See [`start_run`]; then none is started.
pub async fn start_runs(store: &Store, plans: &[RunPlan], trigger: Trigger) -> Result<Vec<Started>, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("start runs"))?;
    let asked: Vec<(&RunPlan, Origin)> = plans.iter().map(|plan| (plan, Origin::Alone)).collect();
    let started = start_runs_in(&mut tx, &asked, trigger).await?;
    tx.commit().await.map_err(StoreError::sql("start runs"))?;
    Ok(started)
}

/// The newest run of a partition.
#[derive(sqlx::FromRow)]
struct Newest {
    workflow: String,
    partition: String,
    id: String,
    generation: i32,
    active: bool,
}

/// [`start_run`] inside the caller's transaction, who commits.
pub(crate) async fn start_run_in(
    tx: &mut PgConnection,
    plan: &RunPlan,
    trigger: Trigger,
    origin: Origin,
) -> Result<Started, StoreError> {
    let mut started = start_runs_in(tx, &[(plan, origin)], trigger).await?;
    started.pop().ok_or_else(|| StoreError::Write("a start without an answer".to_owned()))
}

/// [`start_runs`] inside the caller's transaction.
async fn start_runs_in(
    tx: &mut PgConnection,
    asked: &[(&RunPlan, Origin)],
    trigger: Trigger,
) -> Result<Vec<Started>, StoreError> {
    for (plan, _) in asked {
        check(plan)?;
    }
    let workflows: BTreeSet<&str> = asked.iter().map(|(plan, _)| plan.workflow.as_str()).collect();
    for workflow in &workflows {
        sqlx::query(include_str!("../../../../sql/queries/run/lock_workflow.sql"))
            .bind(workflow)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::sql("lock a workflow"))?;
    }
    let mut newest = newest_of(tx, asked).await?;
    let mut versions: BTreeMap<(&str, &str), i32> = BTreeMap::new();
    let (mut started, mut new) = (Vec::with_capacity(asked.len()), Vec::new());
    for (plan, origin) in asked {
        let before = newest.get(&(plan.workflow.clone(), plan.partition.clone()));
        let joins = |run: &Newest| match origin {
            Origin::Slot { .. } => false,
            Origin::Backfill(_) => run.active,
            Origin::Alone => run.active || trigger != Trigger::Manual,
        };
        if let Some(run) = before.filter(|run| joins(run)) {
            started.push(Started { run: run.id.clone(), created: false });
            continue;
        }
        let key = (plan.workflow.as_str(), plan.sha256.as_str());
        let version = match versions.get(&key) {
            Some(version) => *version,
            None => pin_version(tx, plan).await?,
        };
        versions.insert(key, version);
        let (id, generation) = (ulid::Ulid::generate().to_string(), before.map_or(0, |run| run.generation) + 1);
        started.push(Started { run: id.clone(), created: true });
        new.push(NewRun { id: id.clone(), version, generation, plan, origin });
        let (workflow, partition) = (plan.workflow.clone(), plan.partition.clone());
        let run = Newest { workflow: workflow.clone(), partition: partition.clone(), id, generation, active: true };
        newest.insert((workflow, partition), run);
    }
    if !new.is_empty() {
        insert(tx, &new, trigger).await?;
    }
    Ok(started)
}

async fn newest_of(
    tx: &mut PgConnection,
    asked: &[(&RunPlan, Origin)],
) -> Result<BTreeMap<(String, String), Newest>, StoreError> {
    let rows: Vec<Newest> = sqlx::query_as(include_str!("../../../../sql/queries/run/newest_generation.sql"))
        .bind(asked.iter().map(|(plan, _)| plan.workflow.as_str()).collect::<Vec<_>>())
        .bind(asked.iter().map(|(plan, _)| plan.partition.as_str()).collect::<Vec<_>>())
        .fetch_all(tx)
        .await
        .map_err(StoreError::sql("look for runs"))?;
    Ok(rows.into_iter().map(|run| ((run.workflow.clone(), run.partition.clone()), run)).collect())
}

struct NewRun<'a> {
    id: String,
    version: i32,
    generation: i32,
    plan: &'a RunPlan,
    origin: &'a Origin,
}

/// Inserts the runs with their steps and makes the first steps ready.
async fn insert(tx: &mut PgConnection, new: &[NewRun<'_>], trigger: Trigger) -> Result<(), StoreError> {
    let mut changes = Changes::of_new(new.iter().map(|run| run.id.clone()));
    sqlx::query(include_str!("../../../../sql/queries/run/insert.sql"))
        .bind(new.iter().map(|run| run.id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.plan.workflow.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.version).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.plan.partition.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.generation).collect::<Vec<_>>())
        .bind(trigger.name())
        .bind(new.iter().map(|run| run.plan.params.clone()).collect::<Vec<_>>())
        .bind(trigger.priority())
        .bind(new.iter().map(|run| run.origin.slot().0).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.origin.slot().1).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.origin.backfill()).collect::<Vec<_>>())
        .bind(new.iter().map(|run| run.plan.alert.join(",")).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("insert runs"))?;
    insert_steps(tx, new).await?;
    let mut first = Vec::new();
    for run in new {
        changes.event(&run.id, "", "run_queued", trigger.name());
        first.extend(run.plan.steps.iter().filter(|step| step.needs.is_empty()).map(|step| Counted {
            run: run.id.clone(),
            name: step.name.clone(),
            missing: 0,
            needs_ok: 0,
            needs_failed: 0,
            when_needs: step.when.name().to_owned(),
            min_ok: None,
        }));
    }
    changes.decide(&mut *tx, first).await?;
    // A run whose steps are all skipped is over before it began.
    changes.write(tx).await.map(drop)
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

async fn insert_steps(tx: &mut PgConnection, new: &[NewRun<'_>]) -> Result<(), StoreError> {
    let steps: Vec<(&str, i32, &StepPlan)> =
        new.iter().flat_map(|run| (0i32..).zip(&run.plan.steps).map(|(n, step)| (run.id.as_str(), n, step))).collect();
    let long = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let retry = |step: &StepPlan| {
        let rules = Retry { max: step.retry.max.clamp(1, 1_000_000), ..step.retry };
        serde_json::to_value(rules).map_err(|e| StoreError::Write(e.to_string()))
    };
    let retries: Vec<Value> = steps.iter().map(|(_, _, step)| retry(step)).collect::<Result<_, _>>()?;
    sqlx::query(include_str!("../../../../sql/queries/step/add.sql"))
        .bind(steps.iter().map(|(run, _, _)| *run).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.name.as_str()).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, n, _)| *n).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.job.as_str()).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.queue.name()).collect::<Vec<_>>())
        .bind(steps.iter().map(|(run, _, s)| with_run_id(&s.params, run)).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.when.name()).collect::<Vec<_>>())
        .bind(retries)
        .bind(steps.iter().map(|(_, _, s)| long(s.timeout_s)).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| long(s.grace_s)).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| i32::try_from(s.needs.len()).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.min_ok.map(int)).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.concurrency.as_ref().map(|c| c.key.as_str())).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.concurrency.as_ref().map(|c| int(c.max.max(1)))).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, _, s)| s.deadline_s).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("insert steps"))?;
    let needs: Vec<(&str, &str, &str)> = steps
        .iter()
        .flat_map(|(run, _, step)| step.needs.iter().map(|need| (*run, step.name.as_str(), need.as_str())))
        .collect();
    if needs.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../../../sql/queries/step/add_needs.sql"))
        .bind(needs.iter().map(|n| n.0).collect::<Vec<_>>())
        .bind(needs.iter().map(|n| n.1).collect::<Vec<_>>())
        .bind(needs.iter().map(|n| n.2).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(StoreError::sql("insert needs"))?;
    Ok(())
}

/// The plan's `{run.id}` is known only now.
fn with_run_id(params: &Value, run: &str) -> Value {
    let mut params = params.clone();
    fill_run_id(&mut params, run);
    params
}
