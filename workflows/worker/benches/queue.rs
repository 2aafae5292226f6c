//! What the control plane costs, beside plain apalis on the same server in the same run. The server flushes every commit.
//!
//! `make bench-queue` prints a table; `-- --json` one object. `-- --steps 2000 --rounds 1` is a quick look.

use apalis::prelude::{BoxDynError, Data, TaskBuilder, WorkerBuilder, WorkerBuilderExt, WorkerContext};
use apalis_postgres::{Config, PostgresStorage, queries};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use spec::{Queue, RunPlan, StepPlan};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::control::{self, Trigger};
use store::embedded::Durability;
use store::testing::TestHome;
use store::view::{self, RunFilter};
use store::{CancelToken, StepContext, StepError, StepOutcome, Store};
use tokio::task::JoinHandle;
use worker::messenger::Channels;
use worker::{Handlers, Options, Tuning};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Handlers at once, ours and theirs.
const AT_ONCE: usize = 16;
/// Tasks a second when latency is measured.
const PACE: Duration = Duration::from_millis(50);

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, usual: u64| -> Outcome<u64> {
        args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).map_or(Ok(usual), |n| Ok(n.parse()?))
    };
    let sizes = Sizes {
        steps: number("--steps", 20_000)?,
        rounds: number("--rounds", 3)?,
        pickups: number("--pickups", 200)?,
        chain: number("--chain", 100)?,
        history: number("--history", 1_000_000)?,
        idle_s: number("--idle", 60)?,
    };
    let home = TestHome::start_with(Durability::Full)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&home, &sizes))?;
    if args.iter().any(|a| a == "--json") {
        println!("{measured}");
    } else {
        table(&measured);
    }
    Ok(())
}

struct Sizes {
    steps: u64,
    rounds: u64,
    pickups: u64,
    chain: u64,
    history: u64,
    idle_s: u64,
}

async fn measure(home: &TestHome, sizes: &Sizes) -> Outcome<Value> {
    let store = home.store().await?;
    // Plain apalis runs as its users run it, without the settings of our own connections.
    let plain = PgPoolOptions::new().max_connections(16).connect_with(home.cluster().connect_options()).await?;
    let bench = Bench { store, plain, home, picked: Arc::default() };
    let (mut enqueue, mut drain) = (Paired::default(), Paired::default());
    // Taking turns, so that a busy moment of the machine hits both.
    for round in 0..sizes.rounds {
        let (pushed, drained) = bench.ours(round, sizes.steps, 1).await?;
        let (plain_pushed, plain_drained) = bench.plain(sizes.steps).await?;
        enqueue.add(pushed, plain_pushed);
        drain.add(drained, plain_drained);
    }
    let wide = bench.ours(sizes.rounds, sizes.steps, 100).await?.1;
    let ours = bench.pick_up(sizes.pickups).await?;
    let plain = bench.plain_pick_up(sizes.pickups).await?;
    let hand_over = bench.hand_over(sizes.chain).await?;
    let idle = bench.idle(sizes.idle_s).await?;
    let list = bench.history(sizes.history).await?;
    bench.store.close().await;
    Ok(json!({
        "steps": sizes.steps, "at_once": AT_ONCE,
        "enqueue_per_s": enqueue.value(), "drain_per_s": drain.value(), "drain_runs_of_100_per_s": wide,
        "pick_up_ms": {"ours": quantiles(&ours), "apalis": quantiles(&plain)},
        "hand_over_ms": hand_over, "idle": idle, "run_list_ms": list, "history_runs": sizes.history,
    }))
}

/// Rates of ours and of plain apalis, round by round.
#[derive(Default)]
struct Paired(Vec<(f64, f64)>);

impl Paired {
    fn add(&mut self, ours: f64, plain: f64) {
        self.0.push((ours, plain));
    }
    fn value(&self) -> Value {
        let ours = median(self.0.iter().map(|p| p.0).collect());
        let plain = median(self.0.iter().map(|p| p.1).collect());
        let ratio = median(self.0.iter().map(|p| p.0 / p.1).collect());
        json!({"ours": ours, "apalis": plain, "ratio": ratio})
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn quantiles(ms: &Histogram<u64>) -> Value {
    let at = |q: f64| ms.value_at_quantile(q) as f64 / 1000.0;
    json!({"p50": at(0.5), "p99": at(0.99), "max": ms.max() as f64 / 1000.0})
}

fn microseconds() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// When a handler began, by the partition or task it was for.
type Picked = Arc<Mutex<Vec<(u64, Instant)>>>;

struct Bench<'a> {
    store: Store,
    plain: PgPool,
    home: &'a TestHome,
    picked: Picked,
}

fn plan(workflow: &str, partition: &str, steps: Vec<StepPlan>) -> RunPlan {
    RunPlan {
        workflow: workflow.to_owned(),
        sha256: workflow.to_owned(),
        definition: json!({}),
        partition: partition.to_owned(),
        params: json!({}),
        steps,
        alert: Vec::new(),
    }
}

fn noop(name: &str) -> StepPlan {
    StepPlan::of(name, "noop", Queue::Io, json!({}))
}

fn per_second(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// A worker of ours in this process.
struct Running {
    stop: CancelToken,
    task: JoinHandle<Result<(), store::StoreError>>,
}

impl Running {
    async fn stop(self) -> Outcome<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

impl Bench<'_> {
    fn worker(&self, once: bool) -> Running {
        let picked = Arc::clone(&self.picked);
        let note = move |ctx: StepContext| {
            let picked = Arc::clone(&picked);
            async move {
                let seen = (ctx.partition.parse().unwrap_or(0), Instant::now());
                picked.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
                Ok::<_, StepError>(StepOutcome::default())
            }
        };
        let handlers = Handlers::default().with("noop", |_| async { Ok(StepOutcome::default()) }).with("note", note);
        let stop = CancelToken::default();
        let tuning = Tuning { io: AT_ONCE, ..Tuning::default() };
        let options = Options { tuning, once, stop: stop.clone(), alerts: Some(Channels::default()) };
        let (store, home) = (self.store.clone(), self.home.home.clone());
        Running { stop, task: tokio::spawn(async move { worker::run(store, home, handlers, options, || {}).await }) }
    }

    /// Enqueues runs, then drains them; steps a second of both.
    async fn ours(&self, round: u64, steps: u64, steps_per_run: u64) -> Outcome<(f64, f64)> {
        let workflow = format!("drain-{round}-{steps_per_run}");
        let names: Vec<String> = (0..steps_per_run).map(|n| format!("s{n}")).collect();
        let plans: Vec<RunPlan> = (0..steps / steps_per_run)
            .map(|n| plan(&workflow, &n.to_string(), names.iter().map(|name| noop(name)).collect()))
            .collect();
        let began = Instant::now();
        for chunk in plans.chunks(usize::try_from((1000 / steps_per_run).max(1))?) {
            control::start_runs(&self.store, chunk, Trigger::Backfill).await?;
        }
        let enqueued = per_second(steps, began);
        let began = Instant::now();
        self.worker(true).task.await??;
        Ok((enqueued, per_second(steps, began)))
    }

    /// The same with plain tasks.
    async fn plain(&self, count: u64) -> Outcome<(f64, f64)> {
        let mut connection = self.plain.acquire().await?.detach();
        let tasks: Vec<u64> = (0..count).collect();
        let began = Instant::now();
        for chunk in tasks.chunks(1000) {
            queries::push_tasks(&mut connection, "plain", tasks_of(chunk)?).await?;
        }
        let enqueued = per_second(count, began);
        let began = Instant::now();
        plain_worker(&self.plain, Arc::new(AtomicU64::new(count)), Arc::default()).await?;
        Ok((enqueued, per_second(count, began)))
    }

    /// From the commit of a single-step run to the start of its handler.
    async fn pick_up(&self, count: u64) -> Outcome<Histogram<u64>> {
        let worker = self.worker(false);
        let mut pace = tokio::time::interval(PACE);
        let mut committed = Vec::new();
        for n in 0..count {
            pace.tick().await;
            let step = StepPlan::of("s", "note", Queue::Io, json!({}));
            control::start_run(&self.store, &plan("pick-up", &n.to_string(), vec![step]), Trigger::Manual).await?;
            committed.push(Instant::now());
        }
        self.latencies(worker, &committed).await
    }

    async fn latencies(&self, worker: Running, committed: &[Instant]) -> Outcome<Histogram<u64>> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        worker.stop().await?;
        collect(&self.picked, committed)
    }

    async fn plain_pick_up(&self, count: u64) -> Outcome<Histogram<u64>> {
        let picked = Picked::default();
        let (pool, told) = (self.plain.clone(), Arc::clone(&picked));
        let left = Arc::new(AtomicU64::new(count));
        let worker = tokio::spawn(async move { plain_worker(&pool, left, told).await.map_err(|e| e.to_string()) });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut connection = self.plain.acquire().await?.detach();
        let mut pace = tokio::time::interval(PACE);
        let mut committed = Vec::new();
        for n in 0..count {
            pace.tick().await;
            queries::push_tasks(&mut connection, "plain", tasks_of(&[n])?).await?;
            committed.push(Instant::now());
        }
        worker.await??;
        collect(&picked, &committed)
    }

    /// Milliseconds from the end of one step to the start of the next, over a chain of steps.
    async fn hand_over(&self, length: u64) -> Outcome<f64> {
        let names: Vec<String> = (0..length).map(|n| format!("s{n}")).collect();
        let step = |n: usize| StepPlan {
            needs: n.checked_sub(1).map(|before| names[before].clone()).into_iter().collect(),
            ..noop(&names[n])
        };
        let chain = (0..names.len()).map(step).collect();
        control::start_run(&self.store, &plan("chain", "all", chain), Trigger::Manual).await?;
        let began = Instant::now();
        self.worker(true).task.await??;
        // The worker looks three times a second whether anything is left.
        Ok((began.elapsed().as_secs_f64() - 0.15) * 1000.0 / length as f64)
    }

    /// Processor time of a worker with nothing to do and twenty schedules, and its transactions; the server's time is not in it.
    async fn idle(&self, seconds: u64) -> Outcome<Value> {
        let folder = self.home.home.config().join("workflows");
        std::fs::create_dir_all(&folder)?;
        for n in flows::catalogue::BUILT_IN.len()..20 {
            let text = format!(
                "schema = 1\nname = \"rare-{n}\"\n[schedule]\ncron = \"0 0 29 2 *\"\n[[step]]\nname = \"a\"\njob = \"report-daily\"\n\
                 with = {{ day = \"2026-11-20\" }}\n"
            );
            std::fs::write(folder.join(format!("rare-{n}.toml")), text)?;
        }
        let worker = self.worker(false);
        // Connections that have gone quiet tell what they did within ten seconds or so.
        tokio::time::sleep(Duration::from_secs(15)).await;
        let commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        let before: i64 = sqlx::query_scalar(commits).fetch_one(&self.store.pool).await?;
        let (cpu, server) = (cpu_seconds()?, server_seconds(self.home)?);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let used = cpu_seconds()? - cpu;
        let server = server.zip(server_seconds(self.home)?).map(|(before, after)| after - before);
        // Statistics of other connections arrive when those end or idle for a while.
        worker.stop().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after: i64 = sqlx::query_scalar(commits).fetch_one(&self.store.pool).await?;
        let seconds = seconds as f64;
        let schedules: i64 = sqlx::query_scalar("SELECT count(*) FROM traider.schedule WHERE active")
            .fetch_one(&self.store.pool)
            .await?;
        Ok(
            json!({"schedules": schedules, "cpu_percent": used / seconds * 100.0, "server_cpu_percent": server.map(|used| used / seconds * 100.0), "transactions_per_s": (after - before) as f64 / seconds}),
        )
    }

    /// Milliseconds of `run list` with this many finished runs kept: the slowest of all kinds of questions.
    async fn history(&self, runs: u64) -> Outcome<Value> {
        sqlx::query(include_str!("history.sql")).bind(i64::try_from(runs)?).execute(&self.store.pool).await?;
        sqlx::query("ANALYZE traider.run, traider.step").execute(&self.store.pool).await?;
        let text = |s: &str| Some(s.to_owned());
        let asked = [
            ("newest", RunFilter::default()),
            ("failed", RunFilter { state: text("failed"), ..RunFilter::default() }),
            ("workflow", RunFilter { workflow: text("history-3"), ..RunFilter::default() }),
            ("partition", RunFilter { partition: text("p-1000"), ..RunFilter::default() }),
            ("jobs", RunFilter { jobs_only: true, ..RunFilter::default() }),
        ];
        let mut slowest = serde_json::Map::new();
        for (name, filter) in asked {
            let mut all = Vec::new();
            // More than five: from then on Postgres may keep one plan for all.
            for _ in 0..12 {
                let began = Instant::now();
                view::list_runs(&self.store, &filter).await?;
                all.push(began.elapsed().as_secs_f64() * 1000.0);
            }
            slowest.insert(name.to_owned(), json!(all.into_iter().fold(0.0, f64::max)));
        }
        Ok(Value::Object(slowest))
    }
}

fn collect(picked: &Picked, committed: &[Instant]) -> Outcome<Histogram<u64>> {
    let mut latencies = microseconds()?;
    let seen = std::mem::take(&mut *picked.lock().unwrap_or_else(PoisonError::into_inner));
    if seen.len() != committed.len() {
        return Err(format!("{} of {} were picked up", seen.len(), committed.len()).into());
    }
    for (n, at) in seen {
        // A handler may begin before the one who committed is told.
        let waited = at.saturating_duration_since(committed[usize::try_from(n)?]);
        latencies.record(u64::try_from(waited.as_micros())?.max(1))?;
    }
    Ok(latencies)
}

fn tasks_of(numbers: &[u64]) -> Outcome<Vec<apalis_postgres::PgTask>> {
    numbers.iter().map(|n| Ok(TaskBuilder::new(serde_json::to_vec(n)?).max_attempts(1).build())).collect()
}

/// Plain apalis as its users run it: woken by notifications, a hundred tasks a fetch.
async fn plain_worker(pool: &PgPool, left: Arc<AtomicU64>, picked: Picked) -> Outcome<()> {
    let config = Config::default().queue("plain").batch_size(100);
    let backend = PostgresStorage::<u64>::new(pool).with_config(config).with_pubsub();
    let name = format!("plain-{}-{:?}", std::process::id(), Instant::now());
    let worker =
        WorkerBuilder::new(name.as_str()).backend(backend).concurrency(AT_ONCE).data((left, picked)).build(plain_task);
    Ok(worker.run().await?)
}

async fn plain_task(n: u64, shared: Data<(Arc<AtomicU64>, Picked)>, context: WorkerContext) -> Result<(), BoxDynError> {
    let (left, picked) = &*shared;
    picked.lock().unwrap_or_else(PoisonError::into_inner).push((n, Instant::now()));
    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
        context.stop()?;
    }
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> Outcome<f64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// User and system time of the home's database server and all its processes; only Linux tells.
fn server_seconds(home: &TestHome) -> Outcome<Option<f64>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let file = std::fs::read_to_string(home.cluster().path().join("data/postmaster.pid"))?;
    let server: u32 = file.lines().next().unwrap_or_default().trim().parse()?;
    let mut ticks = 0;
    for process in std::fs::read_dir("/proc")? {
        // A process that ends meanwhile has told its time to its parent.
        let Ok(stat) = std::fs::read_to_string(process?.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let own = number(11) + number(12);
        if head.starts_with(&format!("{server} (")) {
            ticks += own + number(13) + number(14);
        } else if number(1) == u64::from(server) {
            ticks += own;
        }
    }
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.unwrap_or(100);
    Ok(Some(ticks as f64 / per_second as f64))
}

fn table(measured: &Value) {
    fn rows(prefix: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    rows(&format!("{prefix}{}{name}", if prefix.is_empty() { "" } else { "." }), inner);
                }
            }
            Value::Number(n) => println!("{prefix:<32} {:>14.3}", n.as_f64().unwrap_or(f64::NAN)),
            other => println!("{prefix:<32} {other:>14}"),
        }
    }
    rows("", measured);
}
