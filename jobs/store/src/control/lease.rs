//! Claiming a step and keeping it. The lease is held by a heartbeat of the worker's own, not by apalis' poll loop, and
//! its epoch is the fence: whoever claims next raises it, and what carries the old one is refused.

use crate::error::chain;
use crate::queue::apalis_name;
use crate::{Progress, StepPointer, Store, StoreError};
use serde::Deserialize;
use serde_json::Value;
use spec::Queue;
use sqlx::types::Json;
use std::sync::OnceLock;
use std::time::Duration;

/// Who claims: unique per start of a process, so that a worker that comes back is never taken for the one that died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerId {
    /// `label.host-pid-ulid`.
    pub name: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: i32,
}

impl WorkerId {
    /// A worker of this process. `label` begins with the queue, holds no `.`, and is used once per process.
    pub fn here(label: &str) -> WorkerId {
        let host = this_host();
        let instance = this_instance();
        let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        WorkerId { name: format!("{label}.{host}-{pid}-{instance}"), host, pid }
    }

    /// Host, pid and instance in a worker's name.
    pub fn parse(name: &str) -> Option<(&str, i32, &str)> {
        let (_, name) = name.split_once('.')?;
        let mut parts = name.rsplitn(3, '-');
        let (instance, pid, host) = (parts.next()?, parts.next()?, parts.next()?);
        Some((host, pid.parse().ok()?, instance))
    }
}

/// Drawn once per process: tells it from an earlier one that had the same pid, as happens in containers.
pub(super) fn this_instance() -> ulid::Ulid {
    static INSTANCE: OnceLock<ulid::Ulid> = OnceLock::new();
    *INSTANCE.get_or_init(ulid::Ulid::generate)
}

/// This machine's name.
pub fn this_host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}

/// A claimed step: all a worker needs to run it.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct Claimed {
    /// The run.
    pub run: String,
    /// The step's name.
    pub step: String,
    /// Attempt, counted from 1.
    pub attempt: i32,
    /// The fence.
    pub epoch: i64,
    /// Job kind.
    pub job: String,
    /// Queue name.
    pub queue: String,
    /// The job's input.
    pub params: Value,
    /// Longest time the attempt may take, seconds.
    pub timeout_s: i64,
    /// Time to stop by itself after a cancel, seconds.
    pub grace_s: i64,
    /// The run's partition.
    pub partition: String,
    /// The run's workflow.
    pub workflow: String,
}

/// Claims the step a task points to. `None` when it is not to be run: claimed already, cancelled, or the pointer is old.
///
/// # Errors
/// When the database cannot be reached.
pub async fn claim(
    store: &Store,
    pointer: &StepPointer,
    worker: &WorkerId,
    lease: Duration,
) -> Result<Option<Claimed>, StoreError> {
    Ok(claim_many(store, &[(pointer.clone(), worker.clone())], lease).await?.pop().flatten())
}

/// [`claim`] for many at once, all workers of one process. The answers are in the order of the questions.
///
/// # Errors
/// When the database cannot be reached; some may be claimed then, and are found by the sweep.
pub async fn claim_many(
    store: &Store,
    asked: &[(StepPointer, WorkerId)],
    lease: Duration,
) -> Result<Vec<Option<Claimed>>, StoreError> {
    let mut answers: Vec<Option<Claimed>> = vec![None; asked.len()];
    let (alone, plain): (Vec<usize>, Vec<usize>) = (0..asked.len()).partition(|n| asked[*n].0.shared);
    if !plain.is_empty() {
        let pointers: Vec<(&StepPointer, &WorkerId)> = plain.iter().map(|n| (&asked[*n].0, &asked[*n].1)).collect();
        for (n, claimed) in claim_in(&store.pool, &pointers, lease, false).await? {
            answers[plain[n]] = Some(claimed);
        }
    }
    for n in alone {
        answers[n] = super::share::claim(store, &asked[n].0, &asked[n].1, lease).await?;
    }
    Ok(answers)
}

/// What was taken from a queue.
#[derive(Debug, Default)]
pub struct Taken {
    /// How many tasks; fewer than asked for when the queue has no more.
    pub tasks: usize,
    /// The steps among them that are to be run, claimed.
    pub claimed: Vec<Claimed>,
}

/// A row of `queue/take.sql`; there is always one.
#[derive(sqlx::FromRow)]
struct TakenRow {
    tasks: i64,
    /// Not yet pointers: the statement is committed, so what else it took must not be lost over one that is none.
    shared: Option<Json<Vec<Value>>>,
    claimed: Option<Json<Claimed>>,
}

/// Takes up to `count` tasks out of the queue and claims their steps, in one statement. It does not wait for the disk:
/// what a crash of the server undoes is in the queue again.
///
/// # Errors
/// When the database cannot be reached; what was claimed in spite of it is found by the sweep.
pub async fn take(
    store: &Store,
    queue: Queue,
    worker: &WorkerId,
    count: usize,
    lease: Duration,
) -> Result<Taken, StoreError> {
    let rows: Result<Vec<TakenRow>, sqlx::Error> =
        sqlx::query_as(include_str!("../../../../sql/queries/queue/take.sql"))
            .bind(apalis_name(queue))
            .bind(i64::try_from(count).unwrap_or(i64::MAX))
            .bind(queue.name())
            .bind(&worker.name)
            .bind(&worker.host)
            .bind(worker.pid)
            .bind(lease.as_secs_f64())
            .fetch_all(&store.pool)
            .await;
    let rows = match rows {
        // Class 22: somebody put a task there that is no pointer.
        Err(sqlx::Error::Database(e)) if e.code().is_some_and(|code| code.starts_with("22")) => {
            return take_raw(store, queue, worker, count, lease).await;
        }
        rows => rows.map_err(StoreError::sql("take tasks"))?,
    };
    let (mut taken, mut shared) = (Taken::default(), Vec::new());
    for row in rows {
        taken.tasks = usize::try_from(row.tasks).unwrap_or(0);
        taken.claimed.extend(row.claimed.map(|claimed| claimed.0));
        // The same in every row.
        shared = row.shared.map(|tasks| tasks.0).unwrap_or_default();
    }
    let pointer = |task: Value| {
        let dropped = |error| tracing::warn!(%error, "a task that points to no step is dropped");
        serde_json::from_value(task).map_err(dropped).ok()
    };
    let shared: Vec<StepPointer> = shared.into_iter().filter_map(pointer).collect();
    claim_shared(store, &shared, worker, lease, &mut taken.claimed).await;
    Ok(taken)
}

/// Claims steps that share a limit with others, one by one.
async fn claim_shared(
    store: &Store,
    pointers: &[StepPointer],
    worker: &WorkerId,
    lease: Duration,
    claimed: &mut Vec<Claimed>,
) {
    for pointer in pointers {
        match super::share::claim(store, pointer, worker, lease).await {
            Ok(more) => claimed.extend(more),
            // Its step has no task now, which the sweep notices. What is claimed is to be run all the same.
            Err(error) => tracing::warn!(error = chain(&error), step = pointer.step, "left to the sweep"),
        }
    }
}

/// [`take`] for tasks of which some are no pointers: those are dropped.
async fn take_raw(
    store: &Store,
    queue: Queue,
    worker: &WorkerId,
    count: usize,
    lease: Duration,
) -> Result<Taken, StoreError> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(include_str!("../../../../sql/queries/queue/take_raw.sql"))
        .bind(apalis_name(queue))
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(queue.name())
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("take tasks"))?;
    let mut pointers: Vec<StepPointer> = Vec::with_capacity(rows.len());
    for (task, bytes) in &rows {
        match serde_json::from_slice::<StepPointer>(bytes) {
            // Postgres text holds no NUL: to ask for it would fail, and the task would come back for ever.
            Ok(pointer) if pointer.run.contains('\0') || pointer.step.contains('\0') => {
                tracing::warn!(task, ?pointer, "a task that points to no step is dropped");
            }
            Ok(pointer) => pointers.push(pointer),
            Err(error) => tracing::warn!(task, %error, "a task that points to no step is dropped"),
        }
    }
    let (shared, plain): (Vec<StepPointer>, Vec<StepPointer>) = pointers.into_iter().partition(|p| p.shared);
    let plain: Vec<(&StepPointer, &WorkerId)> = plain.iter().map(|pointer| (pointer, worker)).collect();
    let mut claimed: Vec<Claimed> =
        claim_in(&store.pool, &plain, lease, false).await?.into_iter().map(|(_, claimed)| claimed).collect();
    claim_shared(store, &shared, worker, lease, &mut claimed).await;
    Ok(Taken { tasks: rows.len(), claimed })
}

/// A claimed step and which of the pointers it is, counted from 1.
#[derive(sqlx::FromRow)]
struct Numbered {
    n: i64,
    #[sqlx(flatten)]
    claimed: Claimed,
}

/// Claims in one statement; returns the index of each pointer that was good, and its step.
pub(super) async fn claim_in(
    on: impl sqlx::PgExecutor<'_>,
    asked: &[(&StepPointer, &WorkerId)],
    lease: Duration,
    shared: bool,
) -> Result<Vec<(usize, Claimed)>, StoreError> {
    let Some((_, worker)) = asked.first() else { return Ok(Vec::new()) };
    let rows: Vec<Numbered> = sqlx::query_as(include_str!("../../../../sql/queries/step/claim.sql"))
        .bind(asked.iter().map(|(p, _)| p.run.as_str()).collect::<Vec<_>>())
        .bind(asked.iter().map(|(p, _)| p.step.as_str()).collect::<Vec<_>>())
        .bind(asked.iter().map(|(p, _)| p.attempt).collect::<Vec<_>>())
        .bind(asked.iter().map(|(p, _)| p.epoch).collect::<Vec<_>>())
        .bind(asked.iter().map(|(_, w)| w.name.as_str()).collect::<Vec<_>>())
        .bind(&worker.host)
        .bind(worker.pid)
        .bind(lease.as_secs_f64())
        .bind(shared)
        .fetch_all(on)
        .await
        .map_err(StoreError::sql("claim steps"))?;
    let indexed = |row: Numbered| (usize::try_from(row.n - 1).unwrap_or(usize::MAX), row.claimed);
    Ok(rows.into_iter().map(indexed).collect())
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Go on.
    Held,
    /// Still ours, but the run is to be cancelled.
    Cancel,
    /// No longer ours: stop, the result will be refused.
    Lost,
}

/// Keeps the lease for another `lease`.
///
/// * `progress` - how far the step is, if it said so.
///
/// # Errors
/// When the database cannot be reached; the lease may still be ours, so go on and try again.
pub async fn heartbeat(
    store: &Store,
    claimed: &Claimed,
    lease: Duration,
    progress: Option<&Progress>,
) -> Result<Beat, StoreError> {
    let cancel: Option<bool> = sqlx::query_scalar(include_str!("../../../../sql/queries/step/heartbeat.sql"))
        .bind(&claimed.run)
        .bind(&claimed.step)
        .bind(claimed.epoch)
        .bind(lease.as_secs_f64())
        .bind(progress.map(sqlx::types::Json))
        .fetch_optional(&store.pool)
        .await
        .map_err(StoreError::sql("keep a lease"))?;
    Ok(match cancel {
        None => Beat::Lost,
        Some(true) => Beat::Cancel,
        Some(false) => Beat::Held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_name_gives_back_host_and_pid_even_when_the_host_has_dashes_and_dots() {
        let name = "io-7.my-mac-1.local-4711-01K9ZC3W5T0000000000000000";
        assert_eq!(WorkerId::parse(name), Some(("my-mac-1.local", 4711, "01K9ZC3W5T0000000000000000")));
        let here = WorkerId::here("cpu-1");
        let (host, pid, _) = WorkerId::parse(&here.name).unwrap();
        assert_eq!((host, pid), (here.host.as_str(), here.pid));
    }
}
