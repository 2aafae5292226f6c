//! A worker process: queues, listener, sweeper; from the first sweep to the last step handed back.

use crate::batch::Batches;
use crate::handlers::Handlers;
use crate::messenger::{self, Channels};
use crate::shared::Shared;
use crate::tuning::Tuning;
use crate::wake::Wakers;
use crate::{pump, scheduler, wake};
use settings::Home;
use spec::Queue;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::error::chain;
use store::{CancelToken, Store, StoreError, control, queue, view};
use tokio::task::JoinSet;

/// apalis' own rows are deleted this long after their end; our history stays.
const KEEP_TASKS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time between two deletions.
const PRUNE: Duration = Duration::from_secs(3600);
/// How long stopping may take beyond a step's own grace.
const DRAIN: Duration = Duration::from_secs(30);

/// How a worker runs.
#[derive(Clone)]
pub struct Options {
    /// Intervals.
    pub tuning: Tuning,
    /// Stop once no run is active.
    pub once: bool,
    /// Fires when the worker is to stop.
    pub stop: CancelToken,
    /// Where alerts go; without any, this worker sends none.
    pub alerts: Option<Channels>,
}

/// Runs a worker until it is told to stop, or, with `once`, until no run is active. Steps that run then are told to
/// stop and handed back if they do. A database that goes away and comes back is waited for.
///
/// * `ready` - called once, when what a dead worker left behind has been taken over and the queues are open.
///
/// # Errors
/// When the database cannot be reached at the start.
pub async fn run(
    store: Store,
    home: Home,
    handlers: Handlers,
    options: Options,
    ready: impl FnOnce(),
) -> Result<(), StoreError> {
    let tuning = options.tuning;
    let mut helpers = JoinSet::new();
    let batches = Batches::start(&store, &mut helpers);
    let shared = Arc::new(Shared::new(store, batches, home, handlers, tuning, options.stop));
    control::sweep(&shared.store, Duration::ZERO).await?;
    let wakers = Wakers::new();
    let mut queues = JoinSet::new();
    for queue in Queue::ALL {
        queues.spawn(pump::supervise(Arc::clone(&shared), queue, wakers.clone()));
    }
    helpers.spawn(wake::listen(Arc::clone(&shared), wakers.clone()));
    helpers.spawn(wake::find_due(Arc::clone(&shared), wakers));
    helpers.spawn(stay_alive(Arc::clone(&shared)));
    helpers.spawn(sweep_for_ever(Arc::clone(&shared)));
    if let Some(channels) = options.alerts {
        helpers.spawn(messenger::send(Arc::clone(&shared), channels));
    }
    if options.once {
        helpers.spawn(stop_when_idle(Arc::clone(&shared)));
    } else {
        // A worker that is to end when nothing is left takes on nothing new.
        helpers.spawn(scheduler::follow(shared.store.clone(), shared.home.clone()));
    }
    ready();
    shared.stop.cancelled().await;
    shared.stop_all();
    let drained = async { while queues.join_next().await.is_some() {} };
    let began = Instant::now();
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("a queue did not stop in time");
    }
    // Steps that outlived their queue's restart.
    while shared.running_count() > 0 && began.elapsed() < DRAIN {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    helpers.shutdown().await;
    Ok(())
}

/// Shows that the queues' workers are alive.
async fn stay_alive(shared: Arc<Shared>) {
    loop {
        let workers = shared.registered();
        if let Err(error) = queue::alive(&shared.store, &workers).await {
            tracing::debug!(error = chain(&error), "cannot show a sign of life");
        }
        tokio::select! {
            () = tokio::time::sleep(shared.tuning.heartbeat()) => {}
            () = shared.registered_anew() => {}
        }
    }
}

async fn sweep_for_ever(shared: Arc<Shared>) {
    let mut pruned: Option<Instant> = None;
    loop {
        tokio::time::sleep(shared.tuning.sweep()).await;
        match control::sweep(&shared.store, shared.tuning.grace()).await {
            Ok(swept) if swept != control::Swept::default() => tracing::info!(?swept, "swept"),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = chain(&error), "sweep failed"),
        }
        if pruned.is_none_or(|at| at.elapsed() > PRUNE) {
            match control::prune(&shared.store, KEEP_TASKS).await {
                Ok(_) => pruned = Some(Instant::now()),
                Err(error) => tracing::warn!(error = chain(&error), "deleting old tasks failed"),
            }
        }
    }
}

async fn stop_when_idle(shared: Arc<Shared>) {
    loop {
        match view::any_active(&shared.store).await {
            Ok(false) => return shared.stop.cancel(),
            Ok(true) => {}
            Err(error) => tracing::warn!(error = chain(&error), "cannot look for active runs"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
