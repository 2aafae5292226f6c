//! One apalis worker per queue. Its backend is ours: tasks are taken out of apalis' table and their steps claimed in one
//! transaction, as many as handlers are free. A database that is away is waited for; steps that run go on meanwhile.

use crate::shared::Shared;
use crate::step;
use crate::wake::Wakers;
use apalis::prelude::{BoxDynError, Data, WorkerBuilder, WorkerContext};
use futures::StreamExt;
use futures::stream::BoxStream;
use spec::Queue;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::CancelToken;
use store::control::{self, Claimed, WorkerId};
use store::error::chain;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Wait before a restart or another try: first and longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Times the other tasks of the process get their turn before free handlers are counted; some microseconds.
const GATHER: usize = 16;

/// Starts so far in this process, all queues together.
static STARTS: AtomicU64 = AtomicU64::new(1);

/// Keeps the queue's worker running until the process stops.
pub(crate) async fn supervise(shared: Arc<Shared>, queue: Queue, wakers: Wakers) {
    let mut wait = WAIT.0;
    loop {
        let began = Instant::now();
        // A name is used once: a worker that comes back is never taken for one that died.
        let id = WorkerId::here(&format!("{}-{}", queue.name(), STARTS.fetch_add(1, Ordering::Relaxed)));
        // A task of its own: a panic inside apalis is one more reason to restart.
        let ended = tokio::spawn(run(Arc::clone(&shared), queue, id, wakers.of(queue))).await;
        if shared.stop.is_cancelled() {
            return;
        }
        let why = match ended {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error,
            Err(panic) => panic.to_string(),
        };
        if began.elapsed() > Duration::from_secs(30) {
            wait = WAIT.0;
        }
        tracing::warn!(queue = queue.name(), why, "the queue's worker is restarted");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.stop.cancelled() => return,
        }
        wait = (wait * 2).min(WAIT.1);
    }
}

/// A claimed step on its way to its handler.
struct Delivery {
    claimed: Claimed,
    /// A free handler, taken before the step was claimed.
    slot: OwnedSemaphorePermit,
}

async fn run(shared: Arc<Shared>, queue: Queue, id: WorkerId, wake: Arc<Notify>) -> Result<(), String> {
    let handlers = shared.tuning.handlers(queue);
    // Never full: each delivery has a slot.
    let (deliveries, delivered) = mpsc::channel(handlers);
    let context = WorkerContext::new(&id.name);
    shared.register(queue, &id);
    let over = CancelToken::default();
    let pull = tokio::spawn(pull(Arc::clone(&shared), queue, id.clone(), wake, deliveries, over.clone()));
    // Shared, so that what apalis has not asked for when it stops can be given back.
    let delivered = Arc::new(Mutex::new(delivered));
    let stream = futures::stream::unfold(Arc::clone(&delivered), |from| async move {
        let next = from.lock().await.recv().await;
        next.map(|delivery| (Ok::<_, Infallible>(delivery), from))
    });
    let backend: BoxStream<'static, Result<Delivery, Infallible>> = stream.boxed();
    let worker = WorkerBuilder::new(&context).backend(backend).data(Arc::clone(&shared)).build(receive);
    let ended = serve(worker.run(), &context, &shared.stop).await;
    shared.unregister(&id);
    over.cancel();
    wait_for(pull).await;
    let mut left = delivered.lock().await;
    while let Some(delivery) = left.recv().await {
        give_back(&shared, &delivery.claimed).await;
    }
    ended
}

/// Runs the apalis worker until it ends or the process stops; then it waits for what it runs.
async fn serve<F, E>(worker: F, context: &WorkerContext, stop: &CancelToken) -> Result<(), String>
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut running = std::pin::pin!(worker);
    tokio::select! {
        ended = &mut running => return ended.map_err(|e| e.to_string()),
        () = stop.cancelled() => {}
    }
    match context.stop() {
        Ok(()) => running.await.map_err(|e| e.to_string()),
        // It had not begun.
        Err(_) => Ok(()),
    }
}

async fn wait_for(pull: JoinHandle<()>) {
    if let Err(error) = pull.await {
        tracing::warn!(%error, "taking steps ended badly; what was claimed is left to the sweep");
    }
}

async fn give_back(shared: &Shared, claimed: &Claimed) {
    if let Err(error) = control::hand_back(&shared.store, claimed, "the worker stopped").await {
        tracing::warn!(run = claimed.run, step = claimed.step, error = chain(&error), "left to the sweep");
    }
}

/// Claims steps as handlers become free, until nobody wants them any more.
async fn pull(
    shared: Arc<Shared>,
    queue: Queue,
    id: WorkerId,
    wake: Arc<Notify>,
    deliveries: mpsc::Sender<Delivery>,
    over: CancelToken,
) {
    let slots = Arc::new(Semaphore::new(shared.tuning.handlers(queue)));
    let mut wait = WAIT.0;
    loop {
        let first = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = over.cancelled() => return,
        };
        // Handlers that end at this very moment may free theirs too: one question for all of them.
        for _ in 0..GATHER {
            tokio::task::yield_now().await;
        }
        // The semaphore is never closed.
        let mut free: Vec<OwnedSemaphorePermit> = first.into_iter().collect();
        while let Ok(more) = Arc::clone(&slots).try_acquire_owned() {
            free.push(more);
        }
        if shared.stop.is_cancelled() || over.is_cancelled() {
            return;
        }
        match control::take(&shared.store, queue, &id, free.len(), shared.tuning.lease).await {
            Ok(taken) => {
                wait = WAIT.0;
                let all = taken.tasks == free.len();
                for (claimed, slot) in taken.claimed.into_iter().zip(free) {
                    if let Err(unsent) = deliveries.send(Delivery { claimed, slot }).await {
                        return give_back(&shared, &unsent.0.claimed).await;
                    }
                }
                if !all {
                    // A wake-up since the question was asked is remembered.
                    tokio::select! {
                        () = wake.notified() => {}
                        () = shared.stop.cancelled() => return,
                        () = over.cancelled() => return,
                    }
                }
            }
            Err(error) => {
                tracing::warn!(queue = queue.name(), error = chain(&error), "cannot take steps; trying again");
                drop(free);
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT.1);
            }
        }
    }
}

async fn receive(delivery: Delivery, shared: Data<Arc<Shared>>) -> Result<(), BoxDynError> {
    let Delivery { claimed, slot } = delivery;
    let shared = Arc::clone(&shared);
    // A task of its own: when apalis drops its worker, the step goes on.
    tokio::spawn(step::deliver(shared, claimed, slot)).await.map_err(BoxDynError::from)
}
