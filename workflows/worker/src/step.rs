//! Running one step: claim, run the handler beside a heartbeat, a log writer and a clock, then say how it ended.
//!
//! Questions to the database are boxed where most steps never ask them: their futures are kilobytes, and a task is as big as
//! the biggest it might hold.

use crate::shared::{Shared, Stopper, Why};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::context::LogLine;
use store::control::{self, Beat, Claimed};
use store::error::chain;
use store::{Progress, StepContext, StepError, StepLog, StepOutcome, Store, StoreError, logs};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

/// Runs a claimed step to its end.
///
/// * `slot` - held until the handler has ended: the next step begins while the end of this one is still being committed.
pub(crate) async fn deliver(shared: Arc<Shared>, claimed: Claimed, slot: OwnedSemaphorePermit) {
    tracing::info!(run = claimed.run, step = claimed.step, attempt = claimed.attempt, "step begins");
    let stopper = Stopper::default();
    let _listed = shared.list(&claimed, stopper.clone());
    let (log, lines) = StepLog::channel();
    let heart = tokio::spawn(keep(Arc::clone(&shared), claimed.clone(), stopper.clone(), log.follow()));
    let (end_log, log_ends) = oneshot::channel();
    let scribe = tokio::spawn(write_log(shared.store.clone(), claimed.clone(), lines, log_ends));
    let context = StepContext {
        store: shared.store.clone(),
        home: shared.home.clone(),
        run_id: claimed.run.clone(),
        step: claimed.step.clone(),
        attempt: claimed.attempt,
        epoch: claimed.epoch,
        partition: claimed.partition.clone(),
        params: claimed.params.clone(),
        log: log.clone(),
        cancel: stopper.token.clone(),
    };
    let result = run_handler(&shared, &claimed, context, &stopper).await;
    drop(slot);
    if let Err(error) = &result {
        log.error(&error.to_string());
    }
    // The log is complete before the step ends, so that who waits for the end finds all of it.
    if end_log.send(()).is_err() || scribe.await.is_err() {
        tracing::warn!(run = claimed.run, step = claimed.step, "the end of the step's log was not written");
    }
    conclude(&shared, &claimed, result, stopper.why()).await;
    heart.abort();
}

/// Runs the handler until it ends, is out of time, or has not stopped within its grace after being told to.
async fn run_handler(
    shared: &Shared,
    claimed: &Claimed,
    context: StepContext,
    stopper: &Stopper,
) -> Result<StepOutcome, StepError> {
    let Some(handler) = shared.handlers.get(&claimed.job) else {
        let kinds: Vec<&str> = shared.handlers.kinds().collect();
        let known = kinds.join(", ");
        return Err(StepError::Permanent(format!("this worker does not know job `{}`; it knows {known}", claimed.job)));
    };
    // A task of its own: a panic ends the step, not the worker.
    let mut work: JoinHandle<Result<StepOutcome, StepError>> = tokio::spawn(handler(context));
    let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
    tokio::select! {
        ended = &mut work => return flatten(ended),
        () = stopper.token.cancelled() => {}
        () = tokio::time::sleep(seconds(claimed.timeout_s)) => stopper.stop(Why::TimedOut),
    }
    match tokio::time::timeout(seconds(claimed.grace_s), &mut work).await {
        Ok(ended) => flatten(ended),
        Err(_) => {
            work.abort();
            Err(StepError::Cancelled)
        }
    }
}

fn flatten(ended: Result<Result<StepOutcome, StepError>, JoinError>) -> Result<StepOutcome, StepError> {
    let error = match ended {
        Ok(result) => return result,
        Err(error) => error,
    };
    // Without a panic the runtime itself is going down.
    let Ok(panic) = error.try_into_panic() else { return Err(StepError::Cancelled) };
    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    // A panic is a mistake in the program: the same input will find it again.
    Err(StepError::Permanent(format!("the handler panicked: {said}")))
}

/// Tells the control plane how the attempt ended. What cannot be told in time is found by a sweep.
async fn conclude(shared: &Shared, claimed: &Claimed, result: Result<StepOutcome, StepError>, why: Option<Why>) {
    let error = match result {
        Ok(outcome) => match shared.batches.complete(claimed, outcome).await {
            Ok(()) => {
                tracing::info!(run = claimed.run, step = claimed.step, "step done");
                return;
            }
            Err(error) => {
                tracing::warn!(run = claimed.run, step = claimed.step, error = chain(&error), "step not completed");
                if matches!(error, StoreError::Stale { .. }) {
                    return;
                }
                // Should it have been committed after all, then what follows is refused as stale.
                StepError::from(error)
            }
        },
        Err(error) => error,
    };
    let asked = Instant::now();
    while let Err(trouble) = Box::pin(tell(shared, claimed, &error, why)).await {
        let stale = matches!(trouble, StoreError::Stale { .. });
        if stale || asked.elapsed() > shared.tuning.lease {
            tracing::warn!(run = claimed.run, step = claimed.step, error = chain(&trouble), "left to the sweep");
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn tell(shared: &Shared, claimed: &Claimed, error: &StepError, why: Option<Why>) -> Result<(), StoreError> {
    let store = &shared.store;
    let timed_out = || StepError::Transient(format!("did not end within {} s", claimed.timeout_s));
    match (error, why) {
        (_, Some(Why::Lost)) => return Ok(()),
        (StepError::Cancelled, Some(Why::Stopping)) => {
            return control::hand_back(store, claimed, "the worker stopped").await;
        }
        (StepError::Cancelled, Some(Why::TimedOut)) => control::fail(store, claimed, &timed_out()).await?,
        (error, _) => control::fail(store, claimed, error).await?,
    };
    tracing::warn!(run = claimed.run, step = claimed.step, error = error.to_string(), "step failed");
    Ok(())
}

/// No more than one word about progress in this time.
const PROGRESS: Duration = Duration::from_secs(1);

/// Keeps the lease until told to end, and tells how far the step is. A lease that could not be kept for its whole length
/// counts as lost.
async fn keep(
    shared: Arc<Shared>,
    claimed: Claimed,
    stopper: Stopper,
    mut progress: watch::Receiver<Option<Progress>>,
) {
    let mut kept = Instant::now();
    loop {
        let beat = tokio::time::sleep(shared.tuning.heartbeat());
        tokio::select! {
            () = beat => {}
            // The step's end drops the other side; then the next beat is waited for.
            Ok(()) = progress.changed() => tokio::time::sleep(PROGRESS.min(shared.tuning.heartbeat())).await,
        }
        let far = progress.borrow_and_update().clone();
        let asked = Instant::now();
        match Box::pin(control::heartbeat(&shared.store, &claimed, shared.tuning.lease, far.as_ref())).await {
            Ok(Beat::Held) => kept = asked,
            Ok(Beat::Cancel) => {
                kept = asked;
                stopper.stop(Why::Cancelled);
            }
            Ok(Beat::Lost) => return stopper.stop(Why::Lost),
            Err(_) if kept.elapsed() > shared.tuning.lease => return stopper.stop(Why::Lost),
            Err(error) => tracing::warn!(step = claimed.step, error = chain(&error), "heartbeat failed"),
        }
    }
}

/// Writes the step's log in batches until told to end, then what is left.
async fn write_log(
    store: Store,
    claimed: Claimed,
    mut lines: mpsc::UnboundedReceiver<LogLine>,
    mut ends: oneshot::Receiver<()>,
) {
    let mut batch = Vec::new();
    let mut ending = false;
    loop {
        if ending {
            lines.close();
            if lines.recv_many(&mut batch, 500).await == 0 {
                return;
            }
        } else {
            tokio::select! {
                got = lines.recv_many(&mut batch, 500) => ending = got == 0,
                _ = &mut ends => ending = true,
            }
        }
        if let Err(error) = Box::pin(logs::append(&store, &claimed.run, &claimed.step, claimed.attempt, &batch)).await {
            tracing::warn!(step = claimed.step, error = chain(&error), lines = batch.len(), "log lines not written");
        }
        batch.clear();
    }
}
