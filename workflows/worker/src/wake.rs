//! One connection that listens: new tasks wake the queue they are for, a cancel reaches the step at once. Missing a
//! message costs a poll interval or a heartbeat, never work.

use crate::shared::Shared;
use futures::Stream;
use serde::Deserialize;
use spec::Queue;
use sqlx::postgres::PgListener;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use store::queue::apalis_name;
use tokio::sync::mpsc;

/// Wakes the queues of one process. A queue that is restarted takes its end over by asking for a new one.
#[derive(Clone, Default)]
pub(crate) struct Wakers {
    ends: Arc<std::sync::Mutex<BTreeMap<&'static str, mpsc::Sender<()>>>>,
}

impl Wakers {
    /// A stream that has an item whenever the queue should look for tasks.
    ///
    /// apalis consumes an item while its last fetch may still be under way and then goes to sleep, so every item also
    /// wakes the task once more.
    pub(crate) fn of(&self, queue: Queue) -> impl Stream<Item = ()> + Unpin + Send + 'static {
        // One waiting wake-up says as much as a hundred.
        let (end, mut wakes) = mpsc::channel(1);
        self.held().insert(apalis_name(queue), end);
        futures::stream::poll_fn(move |cx| match wakes.poll_recv(cx) {
            Poll::Ready(Some(())) => {
                cx.waker().wake_by_ref();
                Poll::Ready(Some(()))
            }
            // Replaced: nothing comes here any more, but the stream does not end.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
    }

    fn wake(&self, queue: Option<&str>) {
        for (_, end) in self.held().iter().filter(|(name, _)| queue.is_none_or(|q| q == **name)) {
            if end.try_send(()).is_err() {
                tracing::trace!("a wake-up waits already, or the queue is being restarted");
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, mpsc::Sender<()>>> {
        self.ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
