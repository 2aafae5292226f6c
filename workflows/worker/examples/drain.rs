//! How fast no-op steps go through, beside plain apalis on the same server, which flushes every commit.
//!
//! `cargo run -p worker --example drain -- 2000` prints one JSON object: steps per second of both and their ratio.

use apalis::prelude::{BackendExt, BoxDynError, Data, TaskBuilder, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_postgres::{Config, PostgresStorage, queries};
use serde_json::json;
use spec::{Queue, RunPlan, StepPlan};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::control::{self, Trigger};
use store::embedded::Durability;
use store::testing::TestHome;
use store::{CancelToken, StepOutcome, Store};
use worker::{Handlers, Options, Tuning};

fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(2000), |text| text.parse())?;
    let home = TestHome::start_with(Durability::Full)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = home.store().await?;
        let mut best = [0.0f64; 2];
        // Taking turns, so that a busy moment of the machine hits both.
        for _ in 0..3 {
            best[0] = best[0].max(count as f64 / ours(&store, &home, count).await?.as_secs_f64());
            best[1] = best[1].max(count as f64 / apalis(&store, count).await?.as_secs_f64());
        }
        let [ours, plain] = best;
        println!("{}", json!({"steps": count, "ours_per_s": ours, "apalis_per_s": plain, "ratio": ours / plain}));
        store.close().await;
        Ok(())
    })
}

/// Single-step runs, enqueued before the clock starts.
async fn ours(store: &Store, home: &TestHome, count: u64) -> Result<Duration, Box<dyn Error>> {
    for n in 0..count {
        let step = StepPlan::of("noop", "noop", Queue::Io, json!({}));
        let plan = RunPlan {
            workflow: "drain".to_owned(),
            sha256: "drain".to_owned(),
            definition: json!({}),
            partition: format!("{n}"),
            params: json!({}),
            steps: vec![step],
            alert: Vec::new(),
        };
        control::start_run(store, &plan, Trigger::Manual).await?;
    }
    let handlers = Handlers::default().with("noop", |_| async { Ok(StepOutcome::default()) });
    let options = Options { tuning: Tuning::default(), once: true, stop: CancelToken::default() };
    let began = Instant::now();
    worker::run(store.clone(), home.home.clone(), handlers, options, || {}).await?;
    Ok(began.elapsed())
}

/// The same number of plain tasks, with the same batch and concurrency.
async fn apalis(store: &Store, count: u64) -> Result<Duration, Box<dyn Error>> {
    let mut connection = store.pool.acquire().await?.detach();
    for n in 0..count {
        let task = TaskBuilder::new(serde_json::to_vec(&n)?).max_attempts(1).build();
        queries::push_tasks(&mut connection, "plain", vec![task]).await?;
    }
    let concurrency = Tuning::concurrency(Queue::Io);
    let backend = PostgresStorage::<u64>::new(&store.pool)
        .with_config(Config::default().queue("plain").batch_size(concurrency))
        .poll_with_interval(Duration::from_millis(10));
    let left = Arc::new(AtomicU64::new(count));
    let name = format!("plain-{}-{:?}", std::process::id(), Instant::now());
    let worker = WorkerBuilder::new(name.as_str()).backend(backend).concurrency(concurrency).data(left).build(noop);
    let began = Instant::now();
    worker.run().await?;
    Ok(began.elapsed())
}

async fn noop(_: u64, left: Data<Arc<AtomicU64>>, context: WorkerContext) -> Result<(), BoxDynError> {
    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
        context.stop()?;
    }
    Ok(())
}
