//! Real workers, real apalis, a real Postgres: one server for all cases, each on its own workflow.

#![expect(clippy::unwrap_used, reason = "tests")]

mod backfill;
mod campaigns;
mod cases;
mod children;
mod crash;
mod handlers;
mod poison;
mod schedule;
mod stories;
mod timed;
mod twice;

use handlers::Row;
use settings::Home;
use spec::plan::Backoff;
use spec::{Queue, Retry, StepPlan};
use std::time::{Duration, Instant};
use store::control::{self, Trigger};
use store::testing::TestHome;
use store::view::{self, RunDetail};
use store::{CancelToken, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use worker::messenger::Channels;
use worker::{Options, Tuning};

/// Short, so that a lost worker is noticed within the test.
const TUNING: Tuning = Tuning { lease: Duration::from_secs(3), io: 8 };

#[test]
fn worker_suite() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        Row::table(&store).await;
        let bench = Bench { store, home: home.home.clone() };
        cases::all(&bench).await;
        crash::all(&bench, &home).await;
        bench.store.close().await;
    });
}

/// The other side of [`children`]: a worker in a process of its own, to be killed. Does nothing in a normal test run.
#[test]
fn child_worker() {
    let said = |name: &str| std::env::var(name).ok();
    let Some(home) = said("TRAIDER_TEST_WORKER") else { return };
    let home = Home::locate(Some(std::path::Path::new(&home)));
    let lease = |seconds: String| Duration::from_secs_f64(seconds.parse().unwrap());
    let lease = said("TRAIDER_TEST_LEASE").map_or(Tuning::default().lease, lease);
    let tuning = Tuning { lease, ..Tuning::default() };
    let file = Some(home.root().join("alerts.jsonl"));
    let alerts = said("TRAIDER_TEST_WEBHOOK").map(|url| Channels { webhook: Some(url), file, ..Channels::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stop = CancelToken::default();
        let (mut term, told) = (signal(SignalKind::terminate()).unwrap(), stop.clone());
        tokio::spawn(async move {
            term.recv().await;
            told.cancel();
        });
        tokio::spawn(end_without(said("TRAIDER_TEST_PARENT").unwrap().parse().unwrap()));
        let store = Store::attach(&home).await.unwrap();
        let options = Options { tuning, once: false, stop, alerts };
        worker::run(store, home, handlers::table(), options, || {}).await.unwrap();
    });
}

/// A test that is killed leaves no worker behind.
async fn end_without(parent: i32) {
    while nix::unistd::getppid().as_raw() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    std::process::exit(1);
}

struct Bench {
    store: Store,
    home: Home,
}

/// A worker in this process.
struct Running {
    stop: CancelToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

impl Bench {
    fn worker(&self) -> Running {
        self.worker_with(TUNING, false)
    }
    fn worker_with(&self, tuning: Tuning, once: bool) -> Running {
        let stop = CancelToken::default();
        let options = Options { tuning, once, stop: stop.clone(), alerts: None };
        let (store, home) = (self.store.clone(), self.home.clone());
        let task =
            tokio::spawn(async move { worker::run(store, home, handlers::table(), options, || {}).await.unwrap() });
        Running { stop, task }
    }
    async fn start(&self, workflow: &str, steps: Vec<StepPlan>) -> String {
        let plan = children::plan(workflow, steps);
        control::start_run(&self.store, &plan, Trigger::Manual).await.unwrap().run
    }
    async fn show(&self, run: &str) -> RunDetail {
        view::show_run(&self.store, run).await.unwrap()
    }
    /// Looks until the run is as wanted; a run that never gets there fails the test with what it is.
    async fn until(&self, run: &str, what: &str, wanted: impl Fn(&RunDetail) -> bool) -> RunDetail {
        let asked = Instant::now();
        loop {
            // The server may be away for a moment.
            let shown = view::show_run(&self.store, run).await;
            if let Ok(shown) = &shown
                && wanted(shown)
            {
                return shown.clone();
            }
            assert!(asked.elapsed() < Duration::from_secs(40), "waited for {what}, got {shown:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    async fn ended(&self, run: &str) -> RunDetail {
        self.until(run, "the end", |r| matches!(r.run.state.as_str(), "done" | "failed" | "cancelled")).await
    }
    async fn step_running(&self, run: &str, step: &str) -> RunDetail {
        let running = |r: &RunDetail| r.steps_detail.iter().any(|s| s.name == step && s.state == "running");
        self.until(run, "a running step", running).await
    }
}

fn step(name: &str, job: &str, needs: &[&str]) -> StepPlan {
    StepPlan {
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        retry: Retry { max: 3, backoff: Backoff::Fixed, base_ms: 0, cap_ms: 0, jitter: false },
        timeout_s: 60,
        grace_s: 1,
        ..StepPlan::of(name, job, Queue::Io, serde_json::json!({}))
    }
}

fn states(run: &RunDetail) -> Vec<&str> {
    run.attempts.iter().map(|a| a.state.as_str()).collect()
}
