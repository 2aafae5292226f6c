//! One connection that listens: new tasks wake the queue they are for, a cancel reaches the step at once. Missing a
//! message costs a second or a heartbeat, never work.

use crate::shared::Shared;
use serde::Deserialize;
use spec::Queue;
use sqlx::postgres::PgListener;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::error::chain;
use store::queue::{self, apalis_name};
use tokio::sync::Notify;

/// Time between two looks for tasks whose time has come, for which nobody is told.
const DUE: Duration = Duration::from_secs(1);

/// Wakes the queues of one process. A wake-up that comes while its queue is busy is kept.
#[derive(Clone)]
pub(crate) struct Wakers {
    ends: Arc<BTreeMap<&'static str, Arc<Notify>>>,
}

impl Wakers {
    pub(crate) fn new() -> Wakers {
        Wakers { ends: Arc::new(Queue::ALL.into_iter().map(|queue| (apalis_name(queue), Arc::default())).collect()) }
    }

    /// Notified whenever the queue should look for tasks.
    pub(crate) fn of(&self, queue: Queue) -> Arc<Notify> {
        self.ends.get(apalis_name(queue)).map(Arc::clone).unwrap_or_default()
    }

    fn wake(&self, queue: Option<&str>) {
        for (_, end) in self.ends.iter().filter(|(name, _)| queue.is_none_or(|q| q == **name)) {
            end.notify_one();
        }
    }
}

#[derive(Deserialize)]
struct Inserted {
    job_type: String,
}

/// Listens for ever; comes back by itself when the database does.
pub(crate) async fn listen(shared: Arc<Shared>, wakers: Wakers) {
    let mut told = false;
    loop {
        match listen_once(&shared, &wakers).await {
            // A connection that was there and is gone.
            Ok(()) => told = false,
            Err(error) if !told => {
                tracing::warn!(%error, "nobody listens for new tasks; they are found by polling meanwhile");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn listen_once(shared: &Shared, wakers: &Wakers) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&shared.store.pool).await?;
    listener.listen_all(["apalis::job::insert", "traider::cancel"]).await?;
    // Whatever was said while nobody listened.
    wakers.wake(None);
    // `None` is a lost connection.
    while let Some(said) = listener.try_recv().await? {
        if said.channel() == "traider::cancel" {
            shared.cancel_run(said.payload());
        } else if let Ok(inserted) = serde_json::from_str::<Inserted>(said.payload()) {
            wakers.wake(Some(&inserted.job_type));
        }
    }
    Ok(())
}

/// Wakes queues with tasks that were put off and are due now; for ever.
pub(crate) async fn find_due(shared: Arc<Shared>, wakers: Wakers) {
    loop {
        tokio::time::sleep(DUE).await;
        match queue::due(&shared.store).await {
            Ok(due) => due.iter().for_each(|name| wakers.wake(Some(name))),
            Err(error) => tracing::debug!(error = chain(&error), "cannot look for tasks that are due"),
        }
    }
}
