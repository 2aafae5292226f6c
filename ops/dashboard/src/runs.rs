//! Workflow runs for the front page, from Postgres. Without a database the page says so and shows the rest.

use crate::database::{Database, LOOK};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::view::{RunFilter, list_runs, show_run, workers};
use store::{Store, StoreError};
use tokio::sync::Mutex;

/// Runs shown.
const RUNS: i64 = 12;
/// Runs shown with their steps.
const RUNS_WITH_STEPS: usize = 6;
/// An answer is good for this long, whoever asks.
const FRESH: Duration = Duration::from_secs(1);
/// A worker that was seen within this time lives, seconds.
pub const WORKER_SEEN_S: f64 = 60.0;

/// The newest runs.
pub struct Runs {
    database: Arc<Database>,
    last: Mutex<Option<(Instant, Value)>>,
}

impl Runs {
    /// Nothing read yet.
    pub fn new(database: Arc<Database>) -> Runs {
        Runs { database, last: Mutex::default() }
    }

    /// The newest runs, the newest of them with steps; or why there are none.
    pub async fn newest(&self) -> Value {
        let mut last = self.last.lock().await;
        if let Some((at, value)) = &*last
            && at.elapsed() < FRESH
        {
            return value.clone();
        }
        let value = match self.database.ask(LOOK, read).await {
            Ok(value) => value,
            Err(problem) => json!({"store": "down", "why": problem.what, "runs": []}),
        };
        *last = Some((Instant::now(), value.clone()));
        value
    }
}

async fn read(store: Store) -> Result<Value, StoreError> {
    let list = list_runs(&store, &RunFilter { limit: RUNS, ..RunFilter::default() }).await?;
    let mut runs = Vec::new();
    for (i, run) in list.iter().enumerate() {
        let mut shown = json!(run);
        if i < RUNS_WITH_STEPS {
            let detail = show_run(&store, &run.id).await?;
            let step = |s: &store::view::StepRow| {
                json!({"name": s.name, "job": s.job, "state": s.state, "attempt": s.attempt, "error": s.error,
                       "summary": s.summary, "started_at": s.started_at, "ended_at": s.ended_at})
            };
            shown["step_list"] = detail.steps_detail.iter().map(step).collect();
        }
        runs.push(shown);
    }
    let alive = workers(&store, WORKER_SEEN_S).await?.len();
    Ok(json!({"store": "up", "workers": alive, "runs": runs}))
}
