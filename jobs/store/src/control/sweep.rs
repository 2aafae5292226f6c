//! Healing: steps whose worker died get a new attempt or are given up; ready steps whose task got lost get a new task;
//! old tasks are deleted. Any process may sweep at any time, many at once.

use super::changes::Changes;
use super::finish::{Budget, Held};
use super::lease::{WorkerId, this_host, this_instance};
use crate::{Store, StoreError, queue};
use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;
use sqlx::PgConnection;
use std::time::Duration;

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Steps that got a new attempt.
    pub revived: usize,
    /// Steps given up: no attempt left, or their run is cancelled.
    pub ended: usize,
    /// Ready steps that got a new task.
    pub pushed: usize,
}

#[derive(sqlx::FromRow)]
struct Lease {
    run: String,
    name: String,
    epoch: i64,
    owner: Option<String>,
    expired: bool,
}

#[derive(sqlx::FromRow)]
struct Stray {
    run: String,
    name: String,
    task_id: Option<String>,
}

/// Sweeps once.
///
/// * `grace` - how long a ready step may look lost before it gets a new task; zero at the start of a worker.
///
/// # Errors
/// When the database cannot be reached.
pub async fn sweep(store: &Store, grace: Duration) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    let host = this_host();
    let leases: Vec<Lease> = sqlx::query_as(include_str!("../../../../sql/queries/step/leases.sql"))
        .bind(&host)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for expired leases"))?;
    for held in leases {
        let dead = held.owner.as_deref().is_some_and(|owner| is_dead(owner, &host));
        if held.expired || dead {
            expire(store, &held, dead, &mut swept).await?;
        }
    }
    let strays: Vec<Stray> = sqlx::query_as(include_str!("../../../../sql/queries/step/strays.sql"))
        .bind(grace.as_secs_f64())
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for lost tasks"))?;
    for stray in strays {
        swept.pushed += usize::from(push_stray(store, &stray).await?);
    }
    Ok(swept)
}

/// Deletes apalis' rows of tasks and workers that ended longer ago than `age`; our own history stays.
///
/// # Errors
/// When the database cannot be reached.
pub async fn prune(store: &Store, age: Duration) -> Result<u64, StoreError> {
    let jobs = sqlx::query(include_str!("../../../../sql/queries/queue/prune_jobs.sql"))
        .bind(age.as_secs_f64())
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("delete old tasks"))?;
    let workers = sqlx::query(include_str!("../../../../sql/queries/queue/prune_workers.sql"))
        .bind(age.as_secs_f64())
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("delete old workers"))?;
    Ok(jobs.rows_affected() + workers.rows_affected())
}

/// True when the worker ran on this host in a process that is gone.
fn is_dead(worker: &str, host: &str) -> bool {
    match WorkerId::parse(worker) {
        Some((at, pid, of)) if at == host => {
            // Our own pid with another instance: the pid was given to us anew.
            let own_pid = u32::try_from(pid).is_ok_and(|pid| pid == std::process::id());
            if own_pid {
                of != this_instance().to_string()
            } else {
                signal::kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
            }
        }
        _ => false,
    }
}

async fn lock_if_free(tx: &mut PgConnection, run: &str) -> Result<Option<bool>, StoreError> {
    let row: Option<(String, bool)> = sqlx::query_as(include_str!("../../../../sql/queries/run/lock_if_free.sql"))
        .bind(run)
        .fetch_optional(tx)
        .await
        .map_err(StoreError::sql("lock a run"))?;
    Ok(row.map(|(_, cancel_requested)| cancel_requested))
}

/// Takes the step from a holder that is dead or silent.
async fn expire(store: &Store, held: &Lease, dead: bool, swept: &mut Swept) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("expire a lease"))?;
    // A run that is locked is being worked on right now; the next sweep looks again.
    let Some(cancel_requested) = lock_if_free(&mut tx, &held.run).await? else { return Ok(()) };
    let budget: Option<Budget> = sqlx::query_as(include_str!("../../../../sql/queries/step/fence_expired.sql"))
        .bind(&held.run)
        .bind(&held.name)
        .bind(held.epoch)
        .bind(dead)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sql("check a lease"))?;
    let Some(budget) = budget else { return Ok(()) };
    let owner = held.owner.as_deref().unwrap_or("its worker");
    let why = if dead { format!("{owner} is gone") } else { format!("{owner} fell silent") };
    let told = ("lost".to_owned(), why);
    let mut changes = Changes::of_locked(&held.run, cancel_requested);
    let step = Held { run: &held.run, step: &held.name, epoch: held.epoch };
    if cancel_requested || budget.spent() {
        let state = if cancel_requested { "cancelled" } else { "dead" };
        step.over(&mut tx, &mut changes, state, "lost", Some(told)).await?;
        swept.ended += 1;
    } else {
        step.try_again(&mut tx, &mut changes, budget, "lost", &told, 0, (0, 0)).await?;
        swept.revived += 1;
    }
    changes.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::sql("expire a lease"))
}

/// Pushes another task; the old one, should it come back, finds its epoch used.
async fn push_stray(store: &Store, stray: &Stray) -> Result<bool, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("push a lost task"))?;
    if lock_if_free(&mut tx, &stray.run).await?.is_none() {
        return Ok(false);
    }
    let still: bool = sqlx::query_scalar(include_str!("../../../../sql/queries/step/still_stray.sql"))
        .bind(&stray.run)
        .bind(&stray.name)
        .bind(&stray.task_id)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::sql("look at a ready step"))?;
    if still {
        queue::push_again(&mut tx, vec![(stray.run.clone(), stray.name.clone())]).await?;
        tx.commit().await.map_err(StoreError::sql("push a lost task"))?;
    }
    Ok(still)
}
