//! What people ask about a single workflow, run or step.

use super::InputRow;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// The newest run of a workflow and the version it was a run of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LastRunRow {
    /// The workflow.
    pub workflow: String,
    /// Its newest run.
    pub run: String,
    /// Version of the definition.
    pub version: i32,
    /// Hash of the definition, hex.
    pub sha256: String,
    /// Partition.
    pub partition: String,
    /// The run's state.
    pub state: String,
    /// When it was asked for.
    pub queued_at: DateTime<Utc>,
}

/// The newest runs of these workflows; one that was never run has no row.
///
/// # Errors
/// When the database cannot be reached.
pub async fn last_runs(store: &Store, workflows: &[String]) -> Result<Vec<LastRunRow>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/run/last_of_workflows.sql"))
        .bind(workflows)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for the newest runs"))
}

/// A version of a workflow that was run.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct VersionRow {
    /// Its number.
    pub version: i32,
    /// Hash of the definition, hex.
    pub sha256: String,
    /// The definition.
    pub definition: Value,
    /// When it was run for the first time.
    pub loaded_at: DateTime<Utc>,
}

/// The versions of a workflow that were run, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn versions(store: &Store, workflow: &str) -> Result<Vec<VersionRow>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/run/versions.sql"))
        .bind(workflow)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list versions of a workflow"))
}

/// Who uses a limit that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct SharerRow {
    /// The step that waits.
    pub step: String,
    /// The limit.
    pub key: String,
    /// How many may use it at once.
    pub max: i32,
    /// The run that uses it.
    pub by_run: String,
    /// Its step.
    pub by_step: String,
}

/// Who uses up the shared limits that steps of the run are held by.
///
/// # Errors
/// When the database cannot be reached.
pub async fn sharers(store: &Store, run: &str) -> Result<Vec<SharerRow>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/step/sharers.sql"))
        .bind(run)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look who uses a shared limit"))
}

/// Something a step of some run read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ReadRow {
    /// The run.
    pub run: String,
    /// What and by which step.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub input: InputRow,
}

/// What these steps, each a run and a step's name, read.
///
/// # Errors
/// When the database cannot be reached.
pub async fn inputs_of_steps(store: &Store, steps: &[(&str, &str)]) -> Result<Vec<ReadRow>, StoreError> {
    sqlx::query_as(include_str!("../../../../sql/queries/asset/inputs_of_steps.sql"))
        .bind(steps.iter().map(|(run, _)| *run).collect::<Vec<_>>())
        .bind(steps.iter().map(|(_, step)| *step).collect::<Vec<_>>())
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look what steps read"))
}
