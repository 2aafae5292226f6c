//! Claims and plain completions of one process, gathered: whatever was asked while the last batch was under way goes to
//! the database together. Nothing waits for a batch to fill.

use crate::tuning::Tuning;
use serde_json::Value;
use store::control::{self, Claimed, WorkerId};
use store::error::chain;
use store::{StepOutcome, StepPointer, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Steps in one transaction at most.
const BATCH_MAX: usize = 128;

type Asked<Q, A> = (Q, oneshot::Sender<A>);
type Claiming = Asked<(StepPointer, WorkerId), Result<Option<Claimed>, String>>;
type Completing = Asked<(Claimed, Value), Option<bool>>;

/// Where steps are claimed and completed.
pub(crate) struct Batches {
    store: Store,
    claims: mpsc::UnboundedSender<Claiming>,
    completions: mpsc::UnboundedSender<Completing>,
}

impl Batches {
    /// Starts the two that gather; they end with the set.
    pub(crate) fn start(store: &Store, tuning: Tuning, tasks: &mut JoinSet<()>) -> Batches {
        let (claims, claiming) = mpsc::unbounded_channel();
        let (completions, completing) = mpsc::unbounded_channel();
        tasks.spawn(claim(store.clone(), tuning, claiming));
        tasks.spawn(complete(store.clone(), completing));
        Batches { store: store.clone(), claims, completions }
    }

    /// See [`control::claim`].
    pub(crate) async fn claim(&self, pointer: StepPointer, worker: WorkerId) -> Result<Option<Claimed>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Write("the worker stops".to_owned());
        self.claims.send(((pointer, worker), answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?.map_err(StoreError::Write)
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
        control::complete(&self.store, claimed, outcome).await
    }
}

async fn claim(store: Store, tuning: Tuning, mut asked: mpsc::UnboundedReceiver<Claiming>) {
    let mut batch = Vec::new();
    while asked.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (questions, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let claimed = control::claim_many(&store, &questions, tuning.lease).await;
        let told: Vec<Result<Option<Claimed>, String>> = match claimed {
            Ok(claimed) => claimed.into_iter().map(Ok).collect(),
            Err(error) => questions.iter().map(|_| Err(chain(&error))).collect(),
        };
        for (answer, told) in answers.into_iter().zip(told) {
            // Who asked may be gone; its claim is found by the sweep.
            answer.send(told).ok();
        }
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
