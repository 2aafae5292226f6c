//! One apalis worker per queue, each under a supervisor: apalis ends a worker on the first database error, so it is
//! started again, under a new name, until the process stops. Steps that were running go on meanwhile.

use crate::shared::Shared;
use crate::slots::Slots;
use crate::step;
use crate::wake::Wakers;
use apalis::prelude::{BackendExt, BoxDynError, Data, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_postgres::{Config, PostgresStorage};
use spec::Queue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::StepPointer;
use store::control::WorkerId;
use store::queue::apalis_name;

/// Finds delayed tasks, for which nobody is told.
const POLL: Duration = Duration::from_secs(1);
/// Wait before a restart: first and longest.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Starts so far in this process, all queues together.
static STARTS: AtomicU64 = AtomicU64::new(1);

/// Keeps the queue's worker running until the process stops.
pub(crate) async fn supervise(shared: Arc<Shared>, queue: Queue, wakers: Wakers) {
    let mut wait = RESTART.0;
    loop {
        let began = Instant::now();
        // A name is used once: apalis takes a worker that comes back under its name for one that never left.
        let id = WorkerId::here(&format!("{}-{}", queue.name(), STARTS.fetch_add(1, Ordering::Relaxed)));
        // A task of its own: a panic inside apalis is one more reason to restart.
        let ended = tokio::spawn(run(Arc::clone(&shared), queue, id, wakers.clone())).await;
        if shared.stop.is_cancelled() {
            return;
        }
        let why = match ended {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        if began.elapsed() > Duration::from_secs(30) {
            wait = RESTART.0;
        }
        tracing::warn!(queue = queue.name(), why, "the queue's worker is restarted");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.stop.cancelled() => return,
        }
        wait = (wait * 2).min(RESTART.1);
    }
}

/// What a delivery needs beside the task.
#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
    id: WorkerId,
    slots: Slots,
}

async fn run(shared: Arc<Shared>, queue: Queue, id: WorkerId, wakers: Wakers) -> Result<(), String> {
    let handlers = shared.tuning.handlers(queue);
    let config = Config::default()
        .queue(apalis_name(queue))
        // No more than can run: a task that is fetched is out of reach for other workers.
        .batch_size(handlers)
        // Whether a task runs is told by its step.
        .lock_tasks(false)
        .heartbeat_interval(shared.tuning.heartbeat())
        .missed_heartbeats(6);
    let backend = PostgresStorage::<StepPointer>::new(&shared.hints)
        .with_config(config)
        .poll_with_stream(wakers.of(queue))
        .poll_with_interval(POLL);
    let context = WorkerContext::new(&id.name);
    let slots = Slots::new(handlers);
    let desk = Desk { shared: Arc::clone(&shared), id, slots: slots.clone() };
    let worker = WorkerBuilder::new(&context)
        .backend(backend)
        .layer(slots)
        // Steps whose handler has ended and whose end is being committed.
        .concurrency(handlers * 4)
        .data(desk)
        .build(receive);
    let mut running = std::pin::pin!(worker.run());
    tokio::select! {
        ended = &mut running => return ended.map_err(|e| e.to_string()),
        () = shared.stop.cancelled() => {}
    }
    match context.stop() {
        // It gives back what it fetched and waits for what it runs.
        Ok(()) => running.await.map_err(|e| e.to_string()),
        // It had not begun.
        Err(_) => Ok(()),
    }
}

async fn receive(pointer: StepPointer, desk: Data<Desk>) -> Result<(), BoxDynError> {
    let Desk { shared, id, slots } = (*desk).clone();
    // A task of its own: when apalis drops its worker, the step goes on.
    let delivered = tokio::spawn(step::deliver(shared, id, slots.taken(), pointer)).await;
    delivered.map_err(BoxDynError::from)?.map_err(BoxDynError::from)
}
