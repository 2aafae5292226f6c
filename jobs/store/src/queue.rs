//! The task pump: apalis rows that carry pointers to steps, pushed in the caller's transaction.

use crate::{Store, StoreError};
use apalis::prelude::{TaskBuilder, TaskId};
use apalis_postgres::PgTask;
use apalis_postgres::queries::push_tasks;
use serde::{Deserialize, Serialize};
use spec::Queue;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// What an apalis task carries. A delivery whose attempt or epoch is not the step's own any more is dropped, so
/// delivering twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPointer {
    /// The run.
    pub run: String,
    /// The step's name within it.
    pub step: String,
    /// The attempt this task is for.
    pub attempt: i32,
    /// The step's fence when the task was pushed; the claim raises it.
    pub epoch: i64,
    /// True when it shares a limit with other steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// apalis' name of a queue.
pub const fn apalis_name(queue: Queue) -> &'static str {
    match queue {
        Queue::Io => "traider-io",
        Queue::Cpu => "traider-cpu",
        Queue::Report => "traider-report",
        Queue::Critical => "traider-critical",
    }
}

/// A step to be made ready.
pub(crate) struct Ready {
    pub(crate) run: String,
    pub(crate) step: String,
    /// When it may run, whole seconds since 1970 UTC; `None` is now.
    pub(crate) at: Option<i64>,
}

/// Makes waiting or running steps ready and pushes their tasks. apalis tries each once: retries are ours, each a task of
/// its own.
pub(crate) async fn make_ready(tx: &mut PgConnection, steps: Vec<Ready>) -> Result<(), StoreError> {
    push(tx, include_str!("../../../sql/queries/step/make_ready.sql"), steps).await
}

/// Pushes another task for steps that are ready already.
pub(crate) async fn push_again(tx: &mut PgConnection, steps: Vec<(String, String)>) -> Result<(), StoreError> {
    let steps = steps.into_iter().map(|(run, step)| Ready { run, step, at: None }).collect();
    push(tx, include_str!("../../../sql/queries/step/push_again.sql"), steps).await
}

/// A step as its task needs it.
#[derive(sqlx::FromRow)]
struct Row {
    run: String,
    name: String,
    queue: String,
    attempt: i32,
    epoch: i64,
    shared: bool,
    priority: i32,
    at: i64,
    task: String,
}

async fn push(tx: &mut PgConnection, mark: &'static str, steps: Vec<Ready>) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let now = chrono::Utc::now().timestamp();
    let rows: Vec<Row> = sqlx::query_as(mark)
        .bind(steps.iter().map(|s| s.run.as_str()).collect::<Vec<_>>())
        .bind(steps.iter().map(|s| s.step.as_str()).collect::<Vec<_>>())
        .bind(steps.iter().map(|s| s.at.unwrap_or(now)).collect::<Vec<_>>())
        .bind(steps.iter().map(|_| ulid::Ulid::generate().to_string()).collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("make steps ready"))?;
    let mut tasks: BTreeMap<Queue, Vec<PgTask>> = BTreeMap::new();
    for row in rows {
        let unknown = || StoreError::Write(format!("step {} has no queue `{}`", row.name, row.queue));
        let queue = Queue::parse(&row.queue).ok_or_else(unknown)?;
        tasks.entry(queue).or_default().push(task(row)?);
    }
    for (queue, tasks) in tasks {
        push_tasks(&mut *tx, apalis_name(queue), tasks).await.map_err(|error| match error {
            apalis_postgres::Error::Database(source) => StoreError::sql("push tasks")(source),
            other => StoreError::Write(format!("apalis refused a task: {other}")),
        })?;
    }
    Ok(())
}

fn task(row: Row) -> Result<PgTask, StoreError> {
    let id: ulid::Ulid =
        row.task.parse().map_err(|e| StoreError::Write(format!("`{}` is no task id: {e}", row.task)))?;
    let Row { run, name: step, attempt, epoch, shared, priority, at, .. } = row;
    let pointer = StepPointer { run, step, attempt, epoch, shared };
    let bytes = serde_json::to_vec(&pointer).map_err(|e| StoreError::Write(e.to_string()))?;
    Ok(TaskBuilder::new(bytes)
        .task_id(TaskId::from_ulid(id))
        .max_attempts(1)
        .priority(usize::try_from(priority).unwrap_or(0))
        .run_at_timestamp(u64::try_from(at).unwrap_or(0))
        .build())
}

/// Stops the queue: what runs goes on, nothing new is begun. Returns false when it was paused already.
///
/// # Errors
/// When the database cannot be reached.
pub async fn pause(store: &Store, queue: Queue, why: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("INSERT INTO traider.queue_pause (queue, why) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(queue.name())
        .bind(why)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("pause a queue"))?;
    Ok(done.rows_affected() == 1)
}

/// Opens a paused queue again. Returns false when it was not paused.
///
/// # Errors
/// When the database cannot be reached.
pub async fn resume(store: &Store, queue: Queue) -> Result<bool, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("resume a queue"))?;
    let done = sqlx::query("DELETE FROM traider.queue_pause WHERE queue = $1")
        .bind(queue.name())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::sql("resume a queue"))?;
    // Tasks that were delivered meanwhile are used up.
    let ready: Vec<(String, String)> = sqlx::query_as(include_str!("../../../sql/queries/queue/taskless.sql"))
        .bind(queue.name())
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("look for ready steps"))?;
    push_again(&mut tx, ready).await?;
    tx.commit().await.map_err(StoreError::sql("resume a queue"))?;
    Ok(done.rows_affected() == 1)
}

/// apalis' names of the queues with a task whose time has come.
///
/// # Errors
/// When the database cannot be reached.
pub async fn due(store: &Store) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(include_str!("../../../sql/queries/queue/due.sql"))
        .bind(Queue::ALL.map(apalis_name).as_slice())
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for tasks that are due"))
}

/// Shows that these workers are alive; one that was never seen is entered.
///
/// # Errors
/// When the database cannot be reached.
pub async fn alive(store: &Store, workers: &[(String, Queue)]) -> Result<(), StoreError> {
    let names: Vec<&str> = workers.iter().map(|(name, _)| name.as_str()).collect();
    let showing = || StoreError::sql("show a sign of life");
    let seen = sqlx::query(include_str!("../../../sql/queries/queue/alive.sql"))
        .bind(&names)
        .execute(&store.pool)
        .await
        .map_err(showing())?;
    if seen.rows_affected() == u64::try_from(names.len()).unwrap_or(u64::MAX) {
        return Ok(());
    }
    for (name, queue) in workers {
        sqlx::query(include_str!("../../../sql/queries/queue/register.sql"))
            .bind(name)
            .bind(apalis_name(*queue))
            .execute(&store.pool)
            .await
            .map_err(showing())?;
    }
    Ok(())
}
