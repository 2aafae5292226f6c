//! How many handlers of a queue run at once. A slot is taken before apalis hands a task out and is free again when the
//! handler has ended: the next step begins while the end of the last one is still being committed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower_layer::Layer;
use tower_service::Service;

/// The slots of one queue.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// One per task that was handed out and has not asked for its slot yet.
    taken: Arc<Mutex<VecDeque<OwnedSemaphorePermit>>>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Slots {
        Slots { free: Arc::new(Semaphore::new(count)), taken: Arc::default() }
    }

    /// The slot of a task that has just been handed out; dropping it frees it.
    pub(crate) fn taken(&self) -> Option<OwnedSemaphorePermit> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl<S> Layer<S> for Slots {
    type Service = Slotted<S>;
    fn layer(&self, inner: S) -> Slotted<S> {
        Slotted { slots: self.clone(), free: PollSemaphore::new(Arc::clone(&self.free)), permit: None, inner }
    }
}

/// A service that is ready when a slot is free.
pub(crate) struct Slotted<S> {
    slots: Slots,
    free: PollSemaphore,
    permit: Option<OwnedSemaphorePermit>,
    inner: S,
}

impl<S: Clone> Clone for Slotted<S> {
    fn clone(&self) -> Slotted<S> {
        // A permit belongs to who waited for it.
        Slotted { slots: self.slots.clone(), free: self.free.clone(), permit: None, inner: self.inner.clone() }
    }
}

impl<R, S: Service<R>> Service<R> for Slotted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.permit.is_none() {
            // The semaphore is never closed, so there is always an answer.
            self.permit = ready!(self.free.poll_acquire(cx));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(self.permit.take());
        self.inner.call(request)
    }
}
