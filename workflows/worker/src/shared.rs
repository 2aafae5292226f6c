//! What the parts of one worker process share, and the list of the steps it runs now.

use crate::batch::Batches;
use crate::handlers::Handlers;
use crate::tuning::Tuning;
use settings::Home;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::control::Claimed;
use store::{CancelToken, Store};

/// How long apalis waits for a connection before it gives up and is started again.
const HINT_WAIT: Duration = Duration::from_secs(10);

/// Shared by all parts of a worker process.
pub(crate) struct Shared {
    pub(crate) store: Store,
    /// Connections for apalis. Its rows are hints: what a crash of the server undoes is found again by the sweep, so its
    /// commits do not wait for the disk.
    pub(crate) hints: PgPool,
    pub(crate) batches: Batches,
    pub(crate) home: Home,
    pub(crate) handlers: Handlers,
    pub(crate) tuning: Tuning,
    /// Fires when the process is to stop.
    pub(crate) stop: CancelToken,
    running: Mutex<HashMap<(String, String, i64), Stopper>>,
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
        let options = (*store.pool.connect_options()).clone().options([("synchronous_commit", "off")]);
        let hints = PgPoolOptions::new().max_connections(6).acquire_timeout(HINT_WAIT).connect_lazy_with(options);
        Shared { store, hints, batches, home, handlers, tuning, stop, running: Mutex::default() }
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
