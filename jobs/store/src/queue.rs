//! The task pump: apalis rows that carry pointers to steps, pushed in the caller's transaction.

use crate::StoreError;
use apalis::prelude::{TaskBuilder, TaskId};
use apalis_postgres::queries::push_tasks;
use serde::{Deserialize, Serialize};
use spec::Queue;
use sqlx::PgConnection;

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

/// Makes a waiting or running step ready at `run_at` (whole seconds since 1970 UTC; `None` is now) and pushes its task.
/// apalis tries it once: retries are ours, each a task of its own.
pub(crate) async fn make_ready(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    run_at: Option<i64>,
) -> Result<(), StoreError> {
    let at = run_at.unwrap_or_else(|| chrono::Utc::now().timestamp());
    let task = push(tx, run, step, at).await?;
    sqlx::query(include_str!("../../../sql/queries/step/set_ready.sql"))
        .bind(run)
        .bind(step)
        .bind(at as f64)
        .bind(task)
        .execute(tx)
        .await
        .map_err(StoreError::sql("make a step ready"))?;
    Ok(())
}

/// Pushes another task for a step that is ready already.
pub(crate) async fn push_again(tx: &mut PgConnection, run: &str, step: &str) -> Result<(), StoreError> {
    let task = push(tx, run, step, chrono::Utc::now().timestamp()).await?;
    sqlx::query(include_str!("../../../sql/queries/step/set_task.sql"))
        .bind(run)
        .bind(step)
        .bind(task)
        .execute(tx)
        .await
        .map_err(StoreError::sql("note a step's task"))?;
    Ok(())
}

async fn push(tx: &mut PgConnection, run: &str, step: &str, at: i64) -> Result<String, StoreError> {
    let (queue, attempt, epoch): (String, i32, i64) =
        sqlx::query_as(include_str!("../../../sql/queries/step/pointer.sql"))
            .bind(run)
            .bind(step)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::sql("read a step"))?;
    let queue = Queue::parse(&queue).ok_or_else(|| StoreError::Write(format!("step {step} has no queue `{queue}`")))?;
    let pointer = StepPointer { run: run.to_owned(), step: step.to_owned(), attempt, epoch };
    let bytes = serde_json::to_vec(&pointer).map_err(|e| StoreError::Write(e.to_string()))?;
    let id = ulid::Ulid::generate();
    let task = TaskBuilder::new(bytes)
        .task_id(TaskId::from_ulid(id))
        .max_attempts(1)
        .run_at_timestamp(u64::try_from(at).unwrap_or(0))
        .build();
    push_tasks(tx, apalis_name(queue), vec![task]).await.map_err(|error| match error {
        apalis_postgres::Error::Database(source) => StoreError::sql("push a task")(source),
        other => StoreError::Write(format!("apalis refused a task: {other}")),
    })?;
    Ok(id.to_string())
}
