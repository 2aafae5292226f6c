//! Reading the control plane: runs, steps, queues, workers. For people and pages; nothing here changes anything.

use crate::{AssetVersion, Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// A run at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct RunRow {
    /// ULID: ids sort by time.
    pub id: String,
    /// Workflow; `job:<kind>` for a job started by itself.
    pub workflow: String,
    /// Version of its definition.
    pub version: i32,
    /// Partition.
    pub partition: String,
    /// How many runs this partition has had, this one included.
    pub generation: i32,
    /// `manual`, `schedule`, `backfill` or `event`.
    pub trigger: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// True from the moment somebody asked for it.
    pub cancel_requested: bool,
    /// What failed and why.
    pub error: Option<String>,
    /// The slot of its schedule.
    pub slot: Option<DateTime<Utc>>,
    /// The backfill it is part of.
    pub backfill: Option<String>,
    /// When it was asked for.
    pub queued_at: DateTime<Utc>,
    /// When its first step began.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last step ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Steps in all.
    pub steps: i64,
    /// Steps done.
    pub steps_done: i64,
}

/// A step as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct StepRow {
    /// Name within the run.
    pub name: String,
    /// Job kind.
    pub job: String,
    /// Queue name.
    pub queue: String,
    /// `waiting`, `ready`, `running`, `done`, `failed`, `dead`, `cancelled` or `skipped`.
    pub state: String,
    /// Current or last attempt, from 1.
    pub attempt: i32,
    /// Attempts allowed.
    pub attempts_max: i32,
    /// The job's input.
    pub params: Value,
    /// Who holds or held it.
    pub worker: Option<String>,
    /// Its last sign of life.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// When it may run.
    pub run_at: Option<DateTime<Utc>>,
    /// Class of its last error.
    pub error_kind: Option<String>,
    /// Its last error.
    pub error: Option<String>,
    /// What it reported.
    pub summary: Option<Value>,
    /// How far it is: `{"done", "total", "unit"}`, if it says so.
    pub progress: Option<Value>,
    /// When it is late if it has not ended.
    pub deadline: Option<DateTime<Utc>>,
    /// It could run, but a limit it shares with others is used up.
    pub held: bool,
    /// When its last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The steps it needs.
    pub needs: Vec<String>,
}

/// One attempt at a step.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct AttemptRow {
    /// The step.
    pub step: String,
    /// Attempt, from 1.
    pub attempt: i32,
    /// Its fence.
    pub epoch: i64,
    /// Who tried.
    pub worker: String,
    /// `running`, `done`, `failed`, `lost` or `cancelled`.
    pub state: String,
    /// Class of its error.
    pub error_kind: Option<String>,
    /// Its error.
    pub error: Option<String>,
    /// What it reported.
    pub summary: Option<Value>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Something a step made.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct OutputRow {
    /// The step.
    pub step: String,
    /// What.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub version: AssetVersion,
}

/// Something a step read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct InputRow {
    /// The step.
    pub step: String,
    /// Asset name.
    pub asset: String,
    /// Version.
    pub sha256: String,
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct EventRow {
    /// The step; empty for the run itself.
    pub step: String,
    /// When.
    pub at: DateTime<Utc>,
    /// `step_ready`, `run_failed`, ...
    pub kind: String,
    /// More about it.
    pub detail: String,
    /// Hash over this and all events before it, hex.
    pub hash: String,
}

/// Everything about one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: RunRow,
    /// Its steps, in order.
    pub steps_detail: Vec<StepRow>,
    /// All attempts ever.
    pub attempts: Vec<AttemptRow>,
    /// What was made.
    pub outputs: Vec<OutputRow>,
    /// What was read.
    pub inputs: Vec<InputRow>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only this workflow.
    pub workflow: Option<String>,
    /// Only this state.
    pub state: Option<String>,
    /// Only this partition.
    pub partition: Option<String>,
    /// Only jobs started by themselves.
    pub jobs_only: bool,
    /// Rows at most; 0 means 50.
    pub limit: i64,
}

/// Runs, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list_runs(store: &Store, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
    // Only the conditions that are asked for: a plan that must serve all of them serves none quickly.
    let mut query = sqlx::QueryBuilder::new(include_str!("../../../sql/queries/run/list.sql"));
    query.push(" WHERE true");
    if let Some(workflow) = &filter.workflow {
        query.push(" AND r.workflow = ").push_bind(workflow);
    }
    if let Some(partition) = &filter.partition {
        query.push(" AND r.partition_key = ").push_bind(partition);
    }
    if let Some(state) = &filter.state {
        query.push(" AND r.state = ").push_bind(state);
        if state != "done" {
            query.push(" AND r.id IN (SELECT run FROM traider.open_run)");
        }
    }
    if filter.jobs_only {
        query.push(" AND r.workflow LIKE 'job:%'");
    }
    query.push(" ORDER BY r.queued_at DESC, r.id DESC LIMIT ");
    query.push_bind(if filter.limit > 0 { filter.limit } else { 50 });
    query.build_query_as().fetch_all(&store.pool).await.map_err(StoreError::sql("list runs"))
}

/// Jobs that were started by themselves, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list_jobs(store: &Store, limit: i64) -> Result<Vec<RunRow>, StoreError> {
    list_runs(store, &RunFilter { jobs_only: true, limit, ..RunFilter::default() }).await
}

/// The run whose id is `id` or begins with it.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when more than one run's id begins so.
pub async fn find_run(store: &Store, id: &str) -> Result<String, StoreError> {
    // Ids hold letters and digits; anything else would be a pattern.
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let mut found: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/queries/run/by_prefix.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for a run"))?;
    match found.len() {
        0 => Err(StoreError::NotFound { what: format!("run {id}; see: traider run list") }),
        1 => Ok(found.remove(0)),
        _ => Err(StoreError::Conflict { what: format!("more than one run begins with {id}; give more of its id") }),
    }
}

/// Everything about the run whose id is `id` or begins with it. Jobs are runs: the same call shows them.
///
/// # Errors
/// See [`find_run`].
pub async fn show_run(store: &Store, id: &str) -> Result<RunDetail, StoreError> {
    let id = find_run(store, id).await?;
    let reading = || StoreError::sql("show a run");
    let run = sqlx::query_as(include_str!("../../../sql/queries/run/show.sql"))
        .bind(&id)
        .fetch_one(&store.pool)
        .await
        .map_err(reading())?;
    let steps_detail = sqlx::query_as(include_str!("../../../sql/queries/step/of_run.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(reading())?;
    let attempts = sqlx::query_as(include_str!("../../../sql/queries/step/attempts_of_run.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(reading())?;
    let outputs = sqlx::query_as(include_str!("../../../sql/queries/asset/outputs_of_run.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(reading())?;
    let inputs = sqlx::query_as(include_str!("../../../sql/queries/asset/inputs_of_run.sql"))
        .bind(&id)
        .fetch_all(&store.pool)
        .await
        .map_err(reading())?;
    Ok(RunDetail { run, steps_detail, attempts, outputs, inputs })
}

/// The history of a run, oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn events(store: &Store, run: &str) -> Result<Vec<EventRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/run/events.sql"))
        .bind(run)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("read a run's history"))
}

/// True when no event of the run was changed, removed or put in later.
///
/// # Errors
/// When the database cannot be reached.
pub async fn history_holds(store: &Store, run: &str) -> Result<bool, StoreError> {
    let broken: Option<i64> = sqlx::query_scalar(include_str!("../../../sql/queries/run/broken_event.sql"))
        .bind(run)
        .fetch_optional(&store.pool)
        .await
        .map_err(StoreError::sql("check a run's history"))?;
    Ok(broken.is_none())
}

/// True while a run is queued or running.
///
/// # Errors
/// When the database cannot be reached.
pub async fn any_active(store: &Store) -> Result<bool, StoreError> {
    sqlx::query_scalar(include_str!("../../../sql/queries/run/any_active.sql"))
        .fetch_one(&store.pool)
        .await
        .map_err(StoreError::sql("look for active runs"))
}

/// A step without an attempt left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct DeadRow {
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
    /// Attempts made.
    pub attempts: i32,
    /// Class of its last error.
    pub error_kind: Option<String>,
    /// Its last error.
    pub error: Option<String>,
    /// Since when.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Dead letters, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn dead(store: &Store, limit: i64) -> Result<Vec<DeadRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/step/dead.sql"))
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list dead letters"))
}

/// The newest run of a partition with the states of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct GridRow {
    /// Partition.
    pub partition: String,
    /// Its newest run.
    pub run: String,
    /// The run's state.
    pub state: String,
    /// How many runs the partition has had.
    pub generation: i32,
    /// What started it.
    pub trigger: String,
    /// When its last step ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Step name and state, in order: `[{"name", "state"}]`.
    pub steps: Value,
}

/// The newest partitions of a workflow, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn grid(store: &Store, workflow: &str, limit: i64) -> Result<Vec<GridRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/run/grid.sql"))
        .bind(workflow)
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list a workflow's partitions"))
}

/// What waits and runs in one queue.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct QueueRow {
    /// Queue name.
    pub queue: String,
    /// Steps that could run now.
    pub ready: i64,
    /// Steps that wait for their time.
    pub delayed: i64,
    /// Steps that run.
    pub running: i64,
    /// Ready steps that wait for a limit they share.
    pub held: i64,
    /// How long the oldest ready step has waited, seconds.
    pub oldest_s: Option<f64>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why it is paused.
    pub paused_why: Option<String>,
}

/// The queues, empty ones too.
///
/// # Errors
/// When the database cannot be reached.
pub async fn queues(store: &Store) -> Result<Vec<QueueRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/queue/depths.sql"))
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look at the queues"))
}

/// A worker that was alive a short time ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct WorkerRow {
    /// `queue.host-pid-ulid`.
    pub name: String,
    /// Its queue.
    pub queue: String,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// Its last sign of life.
    pub last_seen: DateTime<Utc>,
    /// Steps it runs now.
    pub steps: i64,
}

/// The workers seen within the last `seconds`.
///
/// # Errors
/// When the database cannot be reached.
pub async fn workers(store: &Store, seconds: f64) -> Result<Vec<WorkerRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/queue/workers.sql"))
        .bind(seconds)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list workers"))
}
