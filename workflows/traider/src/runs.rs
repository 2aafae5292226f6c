//! `traider run` and `traider job`: asking the control plane. Where no worker is at work, `--wait` brings one along for
//! as long as it waits.

use crate::cli::{Context, JobVerb, RunVerb};
use crate::fail::{Fail, code};
use crate::supervise::{Process, Stop, WORKER_STOPPING};
use crate::trading::array;
use crate::{exec, out};
use flows::catalogue::CatalogueError;
use serde::Serialize;
use serde_json::{Map, Value, json};
use settings::Home;
use std::process::Command;
use std::time::Duration;
use store::control::{Retried, Trigger};
use store::embedded::Cluster;
use store::view::RunFilter;
use store::{Store, StoreError, view};
use tokio::runtime::Runtime;

/// A worker that beat within this time is at work, seconds.
const WORKER_ALIVE_S: f64 = 20.0;

/// Turns a failure of the store into one of the command, with its causes.
pub fn store_fail(error: StoreError) -> Fail {
    Fail::new(error.exit_code(), store::error::chain(&error))
}

/// The database for the length of a command: found running, or started and stopped again.
pub struct Database {
    runtime: Runtime,
    store: Store,
    cluster: Option<Cluster>,
}

impl Database {
    /// Opens it, tables up to date.
    pub fn open(home: &Home) -> Result<Database, Fail> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fail::doing("cannot start the runtime"))?;
        let (store, cluster) = runtime.block_on(Store::open_migrated(home)).map_err(store_fail)?;
        Ok(Database { runtime, store, cluster })
    }

    /// Ends our use of it; its last user stops it.
    pub fn close(self) -> Result<(), Fail> {
        self.runtime.block_on(store::release(self.store, self.cluster)).map_err(store_fail)
    }

    fn ask<T>(&self, question: impl Future<Output = Result<T, StoreError>>) -> Result<T, Fail> {
        self.runtime.block_on(question).map_err(store_fail)
    }
}

/// Runs `verb` with the database open, and closes it however the verb ends. Ctrl-C does not kill us meanwhile, so that
/// a database started here is always stopped; a verb that takes long asks `Stop`.
fn with_database(ctx: &Context<'_>, verb: impl FnOnce(&Database, &Stop) -> Result<u8, Fail>) -> Result<u8, Fail> {
    ctx.home.prepare()?;
    let stop = Stop::listen()?;
    let opened = Database::open(&ctx.home);
    if stop.asked() {
        if let Ok(database) = opened {
            database.close()?;
        }
        return Err(stop.interrupted());
    }
    let database = opened?;
    let done = verb(&database, &stop);
    let closed = database.close();
    let done = done?;
    closed.map(|()| done)
}

fn value<T: Serialize>(row: &T) -> Value {
    serde_json::to_value(row).unwrap_or(Value::Null)
}

/// A name that is not there is the command line's fault, a file that is wrong the configuration's.
fn catalogue_fail(error: &CatalogueError) -> Fail {
    let exit = if matches!(error, CatalogueError::Unknown { .. }) { code::USAGE } else { code::CONFIG };
    Fail::new(exit, error.to_string())
}

/// `traider run`.
pub fn run(ctx: &Context<'_>, verb: &RunVerb) -> Result<u8, Fail> {
    with_database(ctx, |db, stop| match verb {
        RunVerb::Start { workflow, partition, params, wait } => {
            let params = parse_params(params)?;
            let flow = flows::find(&ctx.home.config().join("workflows"), workflow).map_err(|e| catalogue_fail(&e))?;
            let plan = flow.plan(partition, &params).map_err(|e| Fail::new(code::USAGE, e.to_string()))?;
            let started = db.ask(store::control::start_run(&db.store, &plan, Trigger::Manual))?;
            if !wait {
                ctx.out.value(&json!({"run_id": started.run, "created": started.created}), |_| {
                    say!("run {} started; `traider run show {}` follows it", started.run, started.run);
                });
                if !worker_at_work(db)? {
                    ctx.out.note("no worker is at work here; the run waits until `traider up` (or use --wait)");
                }
                return Ok(0);
            }
            let shown = wait_for(ctx, db, &started.run, stop)?;
            say_run(ctx, &shown);
            Ok(u8::from(shown["state"] != "done"))
        }
        RunVerb::List { workflow, limit } => {
            let filter = RunFilter { workflow: workflow.clone(), limit: *limit, ..RunFilter::default() };
            let rows: Vec<Value> = db.ask(view::list_runs(&db.store, &filter))?.iter().map(value).collect();
            say_list(ctx, "runs", rows);
            Ok(0)
        }
        RunVerb::Show { run } => {
            say_run(ctx, &show(db, run)?);
            Ok(0)
        }
        RunVerb::Logs { run, step } => logs(ctx, db, run, step.as_deref()),
        RunVerb::Retry { run } => {
            let run = db.ask(view::find_run(&db.store, run))?;
            let steps = db.ask(store::control::retry(&db.store, &run, Retried::Failed))?;
            ctx.out.value(&json!({"run_id": run, "steps": steps}), |_| say!("{steps} steps of {run} run again"));
            Ok(0)
        }
        RunVerb::Cancel { run } => {
            let run = db.ask(view::find_run(&db.store, run))?;
            let asked = db.ask(store::control::cancel(&db.store, &run))?;
            ctx.out.value(&json!({"run_id": run, "cancelled": asked}), |_| {
                say!("{}", if asked { "cancelling" } else { "it had ended already" });
            });
            Ok(0)
        }
    })
}

/// `traider job`.
pub fn job(ctx: &Context<'_>, verb: &JobVerb) -> Result<u8, Fail> {
    // What cannot be a job is refused before a database is started for it.
    let input = match verb {
        JobVerb::Enqueue { kind, args } => job_input(kind, args)?,
        JobVerb::List { .. } | JobVerb::Show { .. } => Value::Null,
    };
    with_database(ctx, |db, _| match verb {
        JobVerb::Enqueue { kind, .. } => {
            let started = db.ask(store::control::enqueue_job(&db.store, kind, &input))?;
            ctx.out.value(&json!({"job_id": started.run, "created": started.created}), |_| {
                say!("job {}{}", started.run, if started.created { "" } else { " (was queued already)" });
            });
            Ok(0)
        }
        JobVerb::List { limit } => {
            let rows: Vec<Value> = db.ask(view::list_jobs(&db.store, *limit))?.iter().map(value).collect();
            say_list(ctx, "jobs", rows);
            Ok(0)
        }
        JobVerb::Show { job } => {
            say_run(ctx, &show(db, job)?);
            Ok(0)
        }
    })
}

fn job_input(kind: &str, args: &str) -> Result<Value, Fail> {
    let input: Value = serde_json::from_str(args)
        .map_err(|e| Fail::new(code::USAGE, format!("--args `{args}` is not a JSON object: {e}")))?;
    let checked = spec::jobs::kind(kind).and_then(|kind| kind.check(&input));
    checked.map(|_| input).map_err(|e| Fail::new(code::USAGE, e.to_string()))
}

fn parse_params(params: &[String]) -> Result<Map<String, Value>, Fail> {
    let mut parsed = Map::new();
    for text in params {
        let (key, value) =
            text.split_once('=').ok_or_else(|| Fail::new(code::USAGE, format!("--param `{text}` is not KEY=VALUE")))?;
        // A value that is JSON is taken as such (numbers, lists), anything else is text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        parsed.insert(key.to_owned(), value);
    }
    Ok(parsed)
}

fn worker_at_work(db: &Database) -> Result<bool, Fail> {
    Ok(!db.ask(view::workers(&db.store, WORKER_ALIVE_S))?.is_empty())
}

fn show(db: &Database, run: &str) -> Result<Value, Fail> {
    let mut shown = value(&db.ask(view::show_run(&db.store, run))?);
    shown["run_id"] = shown["id"].clone();
    shown["steps"] = shown["steps_detail"].take();
    if let Some(map) = shown.as_object_mut() {
        map.remove("steps_detail");
    }
    Ok(shown)
}

/// Waits until the run has ended. Without a supervisor here, a worker is started for as long, and started again if it
/// is killed.
fn wait_for(ctx: &Context<'_>, db: &Database, run: &str, stop: &Stop) -> Result<Value, Fail> {
    // Only a supervisor with a page has a worker beside it.
    let own_worker = crate::up::running(&ctx.home).is_none_or(|up| up["dashboard"].is_null());
    let mut worker: Option<Process> = None;
    loop {
        if own_worker && worker.as_mut().is_none_or(|w| w.ended().is_some()) {
            if let Some(status) = worker.as_mut().and_then(Process::ended) {
                if status.code().is_some() {
                    return Err(worker.as_mut().map_or_else(|| Fail::plain("the worker ended"), Process::died));
                }
                ctx.out.note("the worker was killed; starting another one");
            }
            worker = Some(start_worker(ctx, stop)?);
        }
        let shown = show(db, run)?;
        if matches!(shown["state"].as_str(), Some("done" | "failed" | "dead" | "cancelled")) {
            if let Some(mut worker) = worker {
                worker.stop(WORKER_STOPPING);
            }
            return Ok(shown);
        }
        if stop.asked() {
            ctx.out.note(&format!("the run stays queued; `traider run cancel {run}` ends it"));
            return Err(Fail::new(code::INTERRUPTED, "interrupted; the worker was stopped"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn start_worker(ctx: &Context<'_>, stop: &Stop) -> Result<Process, Fail> {
    let mut command = Command::new(exec::sibling("traider-worker")?);
    command.arg("run").arg("--home").arg(ctx.home.root()).args(["--parent-pid", &std::process::id().to_string()]);
    let mut worker = Process::start("traider-worker", command, &ctx.home.logs())?;
    worker.ready(Duration::from_secs(60), stop)?;
    Ok(worker)
}

fn logs(ctx: &Context<'_>, db: &Database, run: &str, step: Option<&str>) -> Result<u8, Fail> {
    let run = db.ask(view::find_run(&db.store, run))?;
    let (mut lines, mut after) = (Vec::new(), 0);
    loop {
        let page = db.ask(store::logs::read(&db.store, &run, step, after, 1000))?;
        let Some(last) = page.last() else { break };
        after = last.id;
        lines.extend(page.iter().map(value));
    }
    ctx.out.value(&json!({"run_id": run, "lines": lines}), |v| {
        for line in array(&v["lines"]) {
            say!(
                "{}  {:<5} {}#{}  {}",
                out::text(&line["ts"]),
                out::text(&line["level"]),
                out::text(&line["step"]),
                line["attempt"],
                out::text(&line["message"])
            );
        }
    });
    Ok(0)
}

fn say_list(ctx: &Context<'_>, name: &str, rows: Vec<Value>) {
    ctx.out.value(&json!({name: rows}), |v| {
        let columns = [
            ("ID", "id"),
            ("WORKFLOW", "workflow"),
            ("PARTITION", "partition"),
            ("STATE", "state"),
            ("DONE", "steps_done"),
            ("OF", "steps"),
            ("TRIGGER", "trigger"),
            ("QUEUED", "queued_at"),
        ];
        out::table(&columns, &["DONE", "OF"], array(&v[name]));
    });
}

fn say_run(ctx: &Context<'_>, shown: &Value) {
    ctx.out.value(shown, |v| {
        say!(
            "run {}  {}  partition {}  {}",
            out::text(&v["id"]),
            out::text(&v["workflow"]),
            out::text(&v["partition"]),
            out::text(&v["state"]).to_uppercase()
        );
        let columns =
            [("STEP", "name"), ("STATE", "state"), ("TRY", "attempt"), ("WHAT IT SAID", "summary"), ("ERROR", "error")];
        let mut steps = array(&v["steps"]).to_vec();
        for step in &mut steps {
            step["summary"] = out::brief(&step["summary"]).into();
        }
        out::table(&columns, &["TRY"], &steps);
        if v["state"] == "failed" {
            say!("next: traider run logs {0}; traider run retry {0}", out::text(&v["id"]));
        }
    });
}
