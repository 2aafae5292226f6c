//! Handlers for the tests, behind the same table as the real ones.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nix::sys::signal::{Signal, raise};
use serde_json::json;
use sqlx::PgConnection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{AssetVersion, CancelToken, StepContext, StepError, StepOutcome, Store, StoreError, TxWrite, child};
use worker::Handlers;

pub fn table() -> Handlers {
    Handlers::default()
        .with("test-write", write)
        .with("test-hang-once", hang_once)
        .with("test-fail-once", fail_once)
        .with("test-deaf", deaf)
        .with("test-panic", panic)
        .with("test-slow", slow)
        .with("test-inside", inside)
        .with("test-script", script)
        .with("test-gate-once", gate_once)
        .with("test-stop-in-commit", stop_in_commit)
        .with("test-abort", abort)
        .with("test-stubborn", stubborn)
        .with("test-spin", spin)
        // Two kinds that a workflow file may name.
        .with("validate-day", gate)
        .with("ingest-journal", write)
}

/// A row that counts completions.
pub struct Row {
    run: String,
    step: String,
}

impl Row {
    pub async fn table(store: &Store) {
        for table in ["CREATE TABLE public.counted (run text, step text)", "CREATE TABLE public.flag (name text)"] {
            sqlx::query(table).execute(&store.pool).await.unwrap();
        }
    }
    pub fn of(run: &str, step: &str) -> Row {
        Row { run: run.to_owned(), step: step.to_owned() }
    }
    pub async fn count(store: &Store, run: &str) -> i64 {
        let count = "SELECT count(*) FROM public.counted WHERE run = $1";
        sqlx::query_scalar(count).bind(run).fetch_one(&store.pool).await.unwrap()
    }
    pub async fn steps(store: &Store, run: &str) -> Vec<String> {
        let steps = "SELECT step FROM public.counted WHERE run = $1 ORDER BY step";
        sqlx::query_scalar(steps).bind(run).fetch_all(&store.pool).await.unwrap()
    }
}

/// A word between a test and a handler in another process.
pub struct Flag;

impl Flag {
    pub async fn raise(store: &Store, name: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO public.flag VALUES ($1)").bind(name).execute(&store.pool).await?;
        Ok(())
    }
    pub async fn count(store: &Store, name: &str) -> Result<i64, StoreError> {
        let count = "SELECT count(*) FROM public.flag WHERE name = $1";
        Ok(sqlx::query_scalar(count).bind(name).fetch_one(&store.pool).await?)
    }
}

/// Who was inside when, by the database's clock.
pub struct Inside;

impl Inside {
    pub async fn table(store: &Store) {
        let table = "CREATE TABLE public.inside (run text, step text, epoch bigint, pid integer,
            entered timestamptz DEFAULT clock_timestamp(), gone timestamptz)";
        sqlx::query(table).execute(&store.pool).await.unwrap();
    }
    pub async fn now(store: &Store) -> DateTime<Utc> {
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&store.pool).await.unwrap()
    }
    /// The process was alive `until` then and has ended since.
    pub async fn died(store: &Store, pid: i32, until: DateTime<Utc>) {
        let gone = "UPDATE public.inside SET gone = $2 WHERE pid = $1 AND gone IS NULL";
        sqlx::query(gone).bind(pid).bind(until).execute(&store.pool).await.unwrap();
    }
    /// How many entered, and how many were inside at the same time at most.
    pub async fn most(store: &Store) -> (i64, i64) {
        let most = "SELECT count(*), max(n) FROM public.inside AS a, LATERAL (
            SELECT count(*) AS n FROM public.inside AS b
            WHERE b.entered <= a.entered AND (b.gone > a.entered OR (b.run, b.step, b.epoch) = (a.run, a.step, a.epoch))
        ) AS n";
        sqlx::query_as(most).fetch_one(&store.pool).await.unwrap()
    }
}

#[async_trait]
impl TxWrite for Row {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO public.counted VALUES ($1, $2)").bind(self.run).bind(self.step).execute(tx).await?;
        Ok(())
    }
}

/// Writes a file, a row, an asset and a log line.
async fn write(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let path = ctx.home.root().join(format!("{}-{}.txt", ctx.run_id, ctx.step));
    let text = format!("{} of {}", ctx.step, ctx.partition);
    std::fs::write(&path, &text).map_err(|e| StepError::Transient(e.to_string()))?;
    ctx.log.info(&format!("wrote {}", ctx.step));
    let version = AssetVersion {
        asset: format!("test/{}", ctx.step),
        partition: ctx.partition.clone(),
        sha256: format!("{}-{}", ctx.step, ctx.partition),
        uri: path.display().to_string(),
        rows: 1,
        bytes: i64::try_from(text.len()).unwrap_or(0),
        min_ts_ns: None,
        max_ts_ns: None,
        schema_hash: "text".to_owned(),
    };
    Ok(StepOutcome {
        outputs: vec![version],
        summary: json!({"bytes": text.len()}),
        writes: vec![Box::new(Row { run: ctx.run_id, step: ctx.step })],
        ..StepOutcome::default()
    })
}

/// The first attempt waits until it is told to stop; the next ones write.
async fn hang_once(ctx: StepContext) -> Result<StepOutcome, StepError> {
    if ctx.attempt == 1 {
        ctx.log.info("hanging");
        ctx.cancel.cancelled().await;
        return Err(StepError::Cancelled);
    }
    write(ctx).await
}

async fn fail_once(ctx: StepContext) -> Result<StepOutcome, StepError> {
    if ctx.attempt == 1 {
        return Err(StepError::Transient("the first time".to_owned()));
    }
    write(ctx).await
}

/// Never ends and never listens.
async fn deaf(_: StepContext) -> Result<StepOutcome, StepError> {
    std::future::pending().await
}

async fn panic(_: StepContext) -> Result<StepOutcome, StepError> {
    panic!("as the test asks")
}

/// Works for a moment and stops when told to.
async fn slow(ctx: StepContext) -> Result<StepOutcome, StepError> {
    tokio::select! {
        () = ctx.cancel.cancelled() => Err(StepError::Cancelled),
        () = tokio::time::sleep(Duration::from_millis(20)) => write(ctx).await,
    }
}

/// Says when it is inside.
async fn inside(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let pool = ctx.store.pool.clone();
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    let enter = "INSERT INTO public.inside (run, step, epoch, pid) VALUES ($1, $2, $3, $4)";
    let entered = sqlx::query(enter).bind(&ctx.run_id).bind(&ctx.step).bind(ctx.epoch).bind(pid).execute(&pool).await;
    entered.map_err(StoreError::from)?;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let leave = "UPDATE public.inside SET gone = clock_timestamp() WHERE run = $1 AND step = $2 AND epoch = $3";
    let left = sqlx::query(leave).bind(&ctx.run_id).bind(&ctx.step).bind(ctx.epoch).execute(&pool).await;
    left.map_err(StoreError::from)?;
    write(ctx).await
}

/// Ends as its input says.
async fn script(ctx: StepContext) -> Result<StepOutcome, StepError> {
    match ctx.params["end"].as_str().unwrap_or_default() {
        "transient" if ctx.attempt == 1 => Err(StepError::Transient("the first time".to_owned())),
        "permanent" => Err(StepError::Permanent("for ever".to_owned())),
        "panic" => panic!("as the graph asks"),
        _ => write(ctx).await,
    }
}

/// True when the run's gate is open.
async fn is_open(ctx: &StepContext) -> Result<bool, StepError> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(Flag::count(&ctx.store, &format!("go-{}", ctx.run_id)).await? > 0)
}

/// Waits at its run's gate.
async fn gate(ctx: StepContext) -> Result<StepOutcome, StepError> {
    while !is_open(&ctx).await? {
        ctx.cancel.check()?;
    }
    write(ctx).await
}

/// The first attempt waits at the gate, deaf to all else, and says when it is through; the next ones write.
async fn gate_once(ctx: StepContext) -> Result<StepOutcome, StepError> {
    if ctx.attempt == 1 {
        while !is_open(&ctx).await? {}
        Flag::raise(&ctx.store, &format!("through-{}", ctx.run_id)).await?;
    }
    write(ctx).await
}

/// Stops its process in the middle of the transaction that completes the step.
struct StopInside;

#[async_trait]
impl TxWrite for StopInside {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&mut *tx).await?;
        raise(Signal::SIGSTOP).map_err(|e| StoreError::Write(e.to_string()))?;
        sqlx::query("SELECT 1").execute(tx).await?;
        Ok(())
    }
}

/// The first attempt stops its process while it holds its run's row.
async fn stop_in_commit(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let first = ctx.attempt == 1;
    let mut outcome = write(ctx).await?;
    if first {
        outcome.writes.push(Box::new(StopInside));
    }
    Ok(outcome)
}

/// Says that it was tried, and takes its process with it.
async fn abort(ctx: StepContext) -> Result<StepOutcome, StepError> {
    Flag::raise(&ctx.store, &format!("tried-{}", ctx.run_id)).await?;
    std::process::abort()
}

/// Runs a program that will not end when asked, of which part has its output elsewhere; `listens` is whether it is told
/// of a cancel at all.
async fn stubborn(ctx: StepContext) -> Result<StepOutcome, StepError> {
    const SCRIPT: &str = "trap '' TERM
        sleep 1000 >/dev/null 2>&1 & pids=\"$$ $!\"
        if [ \"$1\" = polite ]; then trap - TERM; else sleep 1000 & pids=\"$pids $!\"; fi
        echo \"$pids\" > \"$2.part\" && mv \"$2.part\" \"$2\"
        wait";
    let pids = ctx.home.root().join(format!("{}.pids", ctx.run_id));
    let mut program = tokio::process::Command::new("/bin/sh");
    program.args(["-c", SCRIPT, "sh", ctx.params["manner"].as_str().unwrap_or_default()]).arg(pids);
    let never = CancelToken::default();
    let cancel = if ctx.params["listens"] == true { &ctx.cancel } else { &never };
    child::run(program, cancel, Duration::from_millis(100)).await?;
    Ok(StepOutcome::default())
}

/// Ends the spinning.
pub static SPUN: AtomicBool = AtomicBool::new(false);

/// Keeps a core busy on the blocking pool until it is told that it is enough.
async fn spin(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let spinning = tokio::task::spawn_blocking(|| {
        while !SPUN.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    spinning.await.map_err(|e| StepError::Permanent(e.to_string()))?;
    write(ctx).await
}
