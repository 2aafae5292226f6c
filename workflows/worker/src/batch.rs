//! Plain completions of one process, gathered: whatever ended while the last batch was under way goes to the database
//! together. Nothing waits for a batch to fill.

use serde_json::Value;
use store::control::{self, Claimed};
use store::error::chain;
use store::{StepOutcome, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Steps in one transaction at most.
const BATCH_MAX: usize = 128;

type Completing = ((Claimed, Value), oneshot::Sender<Option<bool>>);

/// Where steps are completed.
pub(crate) struct Batches {
    store: Store,
    completions: mpsc::UnboundedSender<Completing>,
}

impl Batches {
    /// Starts the task that gathers; it ends with the set.
    pub(crate) fn start(store: &Store, tasks: &mut JoinSet<()>) -> Batches {
        let (completions, completing) = mpsc::unbounded_channel();
        tasks.spawn(complete(store.clone(), completing));
        Batches { store: store.clone(), completions }
    }

    /// See [`control::complete`].
    pub(crate) async fn complete(&self, claimed: &Claimed, outcome: StepOutcome) -> Result<(), StoreError> {
        let plain = outcome.writes.is_empty() && outcome.inputs.is_empty() && outcome.outputs.is_empty();
        if plain {
            let (answer, answered) = oneshot::channel();
            let asked = self.completions.send(((claimed.clone(), outcome.summary.clone()), answer));
            if asked.is_ok() && answered.await == Ok(Some(true)) {
                return Ok(());
            }
            // The batch failed, or it is not ours any more: asked alone, the answer says which.
        }
        Box::pin(control::complete(&self.store, claimed, outcome)).await
    }
}

async fn complete(store: Store, mut asked: mpsc::UnboundedReceiver<Completing>) {
    let mut batch = Vec::new();
    while asked.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (steps, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let done = match control::complete_many(&store, &steps).await {
            Ok(done) => done.into_iter().map(Some).collect(),
            Err(error) => {
                tracing::debug!(error = chain(&error), steps = steps.len(), "a batch of completions failed");
                vec![None; steps.len()]
            }
        };
        for (answer, done) in answers.into_iter().zip(done) {
            answer.send(done).ok();
        }
    }
}
