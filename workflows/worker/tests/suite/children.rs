//! Workers in processes of their own, to be killed, stopped and started again; work to give them; and what the database
//! tells of how it went.

use crate::{Bench, step};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use spec::plan::Backoff;
use spec::{Retry, RunPlan, StepPlan};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use store::control::{self, Trigger};
use store::{Store, view};

/// How long anything here may take before the test is given up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// True when the long campaigns run in full.
pub fn soak() -> bool {
    std::env::var_os("TRAIDER_SOAK").is_some()
}

/// A small generator, so that a seed names the moments.
pub struct Moments(u64);

impl Moments {
    pub fn of(seed: u64) -> Moments {
        Moments(seed.wrapping_mul(2_654_435_761) | 1)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A worker in a process of its own: this test binary once more, as `child_worker`. Killed when dropped.
pub struct Worker {
    child: Child,
}

impl Worker {
    /// With the intervals of the real one.
    pub fn start(bench: &Bench) -> Worker {
        Worker::start_with(bench, &[])
    }
    /// * `settings` - `TRAIDER_TEST_LEASE`, seconds; `TRAIDER_TEST_WEBHOOK`, where alerts go.
    pub fn start_with(bench: &Bench, settings: &[(&str, &str)]) -> Worker {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["child_worker", "--exact", "--nocapture"])
            .env_remove("DATABASE_URL")
            .env("TRAIDER_TEST_WORKER", bench.home.root())
            .env("TRAIDER_TEST_PARENT", std::process::id().to_string())
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Worker { child }
    }
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }
    /// SIGKILL: when this returns nothing of it runs any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
    pub async fn wait(mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(asked.elapsed() < PATIENCE, "worker {} does not end", self.pid());
            a_moment().await;
        }
    }
    /// Steps it has done.
    pub async fn done(&self, store: &Store) -> i64 {
        // The server may be away for a moment.
        sqlx::query_scalar("SELECT count(*) FROM traider.attempts WHERE state = 'done' AND worker LIKE $1")
            .bind(format!("%-{}-%", self.pid()))
            .fetch_one(&store.pool)
            .await
            .unwrap_or(0)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Time between two looks at something.
pub async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(3)).await;
}

/// Looks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let asked = Instant::now();
    while !so().await {
        assert!(asked.elapsed() < PATIENCE, "waited in vain for {what}");
        a_moment().await;
    }
}

/// True when no such process runs. One that was killed and that nobody has waited for is a zombie: dead all the same.
pub fn gone(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) || state.contains(") Z ")
}

/// A budget that no number of kills uses up.
pub const TIRELESS: u32 = 10_000;

/// The step with so many attempts.
pub fn tries(max: u32, step: StepPlan) -> StepPlan {
    StepPlan { retry: Retry { max, backoff: Backoff::Fixed, base_ms: 0, cap_ms: 0, jitter: false }, ..step }
}

/// A plan of its own workflow.
pub fn plan(workflow: &str, steps: Vec<StepPlan>) -> RunPlan {
    RunPlan {
        workflow: workflow.to_owned(),
        sha256: format!("{workflow}-1"),
        definition: serde_json::json!({"name": workflow}),
        partition: "2026-11-20".to_owned(),
        params: serde_json::json!({}),
        steps,
        alert: Vec::new(),
    }
}

/// Runs of three steps in a row, each of which writes a row and a file; more whenever few are left.
pub struct Load {
    name: &'static str,
    steps: Vec<StepPlan>,
    pub runs: Vec<String>,
}

impl Load {
    /// * `max` - attempts each step has.
    pub fn of(name: &'static str, job: &str, max: u32) -> Load {
        let steps = [step("a", job, &[]), step("b", job, &["a"]), step("c", job, &["b"])];
        Load { name, steps: steps.map(|step| tries(max, step)).to_vec(), runs: Vec::new() }
    }
    /// Leaves at least `count` runs to work on.
    pub async fn top_up(&mut self, bench: &Bench, count: usize) {
        let active = usize::try_from(self.count(&bench.store, "state IN ('queued', 'running')").await).unwrap();
        let first = self.runs.len();
        let plans: Vec<RunPlan> = (active..count)
            .map(|n| plan(&format!("{}-{}", self.name, first + n - active), self.steps.clone()))
            .collect();
        let started = control::start_runs(&bench.store, &plans, Trigger::Manual).await.unwrap();
        self.runs.extend(started.into_iter().map(|started| started.run));
    }
    async fn count(&self, store: &Store, which: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM traider.run WHERE workflow LIKE $1 AND {which}");
        let counted = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(format!("{}-%", self.name));
        // Also while the server is away.
        counted.fetch_one(&store.pool).await.unwrap_or(-1)
    }
    /// Waits until nothing is left to do.
    pub async fn finished(&self, store: &Store) {
        let all = i64::try_from(self.runs.len()).unwrap();
        until("the end of all runs", async || self.count(store, "state NOT IN ('queued', 'running')").await == all)
            .await;
    }
    /// Nothing lost, nothing doubled. Returns how many attempts were lost on the way.
    pub async fn check(&self, bench: &Bench) -> i64 {
        let store = &bench.store;
        let all = i64::try_from(self.runs.len()).unwrap();
        assert_eq!(self.count(store, "state = 'done'").await, all, "every run is done");
        let (rows, steps): (i64, i64) =
            sqlx::query_as("SELECT count(*), count(DISTINCT (run, step)) FROM public.counted WHERE run = ANY ($1)")
                .bind(&self.runs)
                .fetch_one(&store.pool)
                .await
                .unwrap();
        assert_eq!((rows, steps), (3 * all, 3 * all), "each step's row is written once");
        let (done, lost): (i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'lost')
             FROM traider.attempts WHERE run = ANY ($1)",
        )
        .bind(&self.runs)
        .fetch_one(&store.pool)
        .await
        .unwrap();
        assert_eq!(done, 3 * all, "each step is done once");
        for run in &self.runs {
            assert!(view::history_holds(store, run).await.unwrap(), "{run}");
            for step in ["a", "b", "c"] {
                let file: PathBuf = bench.home.root().join(format!("{run}-{step}.txt"));
                assert_eq!(std::fs::read_to_string(file).unwrap(), format!("{step} of 2026-11-20"));
            }
        }
        lost
    }
}

/// The longest of the times between a blow and the next completed step.
#[derive(Default)]
pub struct Recovery {
    since: Option<Instant>,
    pub longest: Duration,
}

impl Recovery {
    /// Something died. Blows before anything was completed count from the first.
    pub fn blow(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }
    /// A step was completed.
    pub fn completed(&mut self) {
        if let Some(since) = self.since.take() {
            self.longest = self.longest.max(since.elapsed());
        }
    }
}
