//! What the parts of one worker process share, and the list of the steps it runs now.

use crate::batch::Batches;
use crate::handlers::Handlers;
use crate::tuning::Tuning;
use settings::Home;
use spec::Queue;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::control::{Claimed, WorkerId};
use store::{CancelToken, Store};
use tokio::sync::Notify;

/// Shared by all parts of a worker process.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) batches: Batches,
    pub(crate) home: Home,
    pub(crate) handlers: Handlers,
    pub(crate) tuning: Tuning,
    /// Fires when the process is to stop.
    pub(crate) stop: CancelToken,
    running: Mutex<HashMap<(String, String, i64), Stopper>>,
    /// The queues' workers: name and queue.
    workers: Mutex<BTreeMap<String, Queue>>,
    anew: Notify,
}

/// Why a running step was told to stop; the first reason counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its run is cancelled.
    Cancelled,
    /// Somebody else holds the step now.
    Lost,
    /// It took too long.
    TimedOut,
    /// The worker stops.
    Stopping,
}

/// Tells one running step to stop.
#[derive(Clone, Default)]
pub(crate) struct Stopper {
    pub(crate) token: CancelToken,
    why: Arc<Mutex<Option<Why>>>,
}

impl Stopper {
    pub(crate) fn stop(&self, why: Why) {
        held(&self.why).get_or_insert(why);
        self.token.cancel();
    }
    pub(crate) fn why(&self) -> Option<Why> {
        *held(&self.why)
    }
}

/// A panic while one of these small locks is held leaves nothing half done.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        batches: Batches,
        home: Home,
        handlers: Handlers,
        tuning: Tuning,
        stop: CancelToken,
    ) -> Shared {
        Shared {
            store,
            batches,
            home,
            handlers,
            tuning,
            stop,
            running: Mutex::default(),
            workers: Mutex::default(),
            anew: Notify::new(),
        }
    }

    /// Lists a step as running until the guard is dropped.
    pub(crate) fn list(self: &Arc<Self>, claimed: &Claimed, stopper: Stopper) -> Listed {
        let key = (claimed.run.clone(), claimed.step.clone(), claimed.epoch);
        held(&self.running).insert(key.clone(), stopper.clone());
        // The stop may have fired between the claim and now.
        if self.stop.is_cancelled() {
            stopper.stop(Why::Stopping);
        }
        Listed { shared: Arc::clone(self), key }
    }

    pub(crate) fn cancel_run(&self, run: &str) {
        for (_, stopper) in held(&self.running).iter().filter(|((of, _, _), _)| of == run) {
            stopper.stop(Why::Cancelled);
        }
    }

    pub(crate) fn stop_all(&self) {
        for stopper in held(&self.running).values() {
            stopper.stop(Why::Stopping);
        }
    }

    /// A queue's worker begins.
    pub(crate) fn register(&self, queue: Queue, worker: &WorkerId) {
        held(&self.workers).insert(worker.name.clone(), queue);
        self.anew.notify_one();
    }

    /// It has ended.
    pub(crate) fn unregister(&self, worker: &WorkerId) {
        held(&self.workers).remove(&worker.name);
    }

    pub(crate) fn registered(&self) -> Vec<(String, Queue)> {
        held(&self.workers).iter().map(|(name, queue)| (name.clone(), *queue)).collect()
    }

    /// Waits for the next worker that begins.
    pub(crate) async fn registered_anew(&self) {
        self.anew.notified().await;
    }

    pub(crate) fn running_count(&self) -> usize {
        held(&self.running).len()
    }
}

/// A step's place in the list.
pub(crate) struct Listed {
    shared: Arc<Shared>,
    key: (String, String, i64),
}

impl Drop for Listed {
    fn drop(&mut self) {
        held(&self.shared.running).remove(&self.key);
    }
}
