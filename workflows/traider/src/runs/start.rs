//! Starting a run, and waiting for it. Where no worker is at work, waiting brings one along for as long as it lasts.

use super::{ended, show, to_json};
use crate::cli::Context;
use crate::database::{Database, find_workflow, with_database};
use crate::exec;
use crate::fail::{Fail, code};
use crate::supervise::{Process, Stop, WORKER_STOPPING};
use flows::Workflow;
use serde_json::{Map, Value, json};
use spec::RunPlan;
use std::process::Command;
use std::time::Duration;
use store::control::{Started, Trigger};
use store::view::{self, RunDetail};

/// A worker that beat within this time is at work, seconds.
pub const WORKER_ALIVE_S: f64 = 20.0;
/// Time between two looks at what is waited for.
pub const LOOK: Duration = Duration::from_millis(100);

/// `traider run start`. What cannot run is refused before the database is opened.
pub fn start(
    ctx: &Context<'_>,
    workflow: &str,
    partition: Option<&str>,
    params: &[String],
    wait: bool,
) -> Result<u8, Fail> {
    let flow = find_workflow(ctx, workflow)?;
    let plan = plan(&flow, partition, &parse_params(&flow, params)?)?;
    with_database(ctx, |db, stop| {
        let started = db.ask(store::control::start_run(&db.store, &plan, Trigger::Manual))?;
        if !wait {
            return say_started(ctx, db, &plan, &started);
        }
        joined(ctx, &started);
        wait_for_run(ctx, db, stop, &started.run)
    })
}

/// The run for this partition, or the newest complete one.
pub fn plan(flow: &Workflow, partition: Option<&str>, params: &Map<String, Value>) -> Result<RunPlan, Fail> {
    let newest = || flow.newest_partition(chrono::Utc::now());
    let Some(partition) = partition.map(str::to_owned).or_else(newest) else {
        let what = format!("which partition of `{}` to run only you can know; give --partition KEY", flow.name());
        return Err(Fail::new(code::USAGE, what));
    };
    flow.plan(&partition, params).map_err(|e| Fail::new(code::USAGE, e.to_string()))
}

/// Parameters of the command line, by the types of their defaults.
pub fn parse_params(flow: &Workflow, params: &[String]) -> Result<Map<String, Value>, Fail> {
    let usage = |what: String| Fail::new(code::USAGE, what);
    let mut parsed = Map::new();
    for text in params {
        let (key, given) =
            text.split_once('=').ok_or_else(|| usage(format!("--param `{text}` is not KEY=VALUE, such as keep=7")))?;
        let value = flow.param_from_text(key, given).map_err(|e| usage(e.to_string()))?;
        if parsed.insert(key.to_owned(), value).is_some() {
            return Err(usage(format!("--param `{key}` is given twice")));
        }
    }
    Ok(parsed)
}

/// Says what was started.
pub fn say_started(ctx: &Context<'_>, db: &Database, plan: &RunPlan, started: &Started) -> Result<u8, Fail> {
    let said = json!({
        "run_id": started.run, "created": started.created, "workflow": plan.workflow, "partition": plan.partition,
    });
    ctx.out.value(&said, |_| {
        let what = if started.created { "started" } else { "is under way already" };
        say!("run {} of {} {} {what}", started.run, plan.workflow, plan.partition);
        say!("next: traider run watch {}", started.run);
    });
    note_without_worker(ctx, db)?;
    Ok(0)
}

fn joined(ctx: &Context<'_>, started: &Started) {
    if !started.created {
        ctx.out.note(&format!("run {} is under way already; waiting for it", started.run));
    }
}

/// Says so when nobody will do the work.
pub fn note_without_worker(ctx: &Context<'_>, db: &Database) -> Result<(), Fail> {
    if !worker_at_work(db)? {
        ctx.out.note("no worker is at work here: it waits until `traider up` (or `run start ... --wait`) brings one");
    }
    Ok(())
}

/// True when a worker showed a sign of life a short time ago.
pub fn worker_at_work(db: &Database) -> Result<bool, Fail> {
    Ok(!db.ask(view::workers(&db.store, WORKER_ALIVE_S))?.is_empty())
}

/// Waits for the end of a run, shows it, and fails if it did.
pub fn wait_for_run(ctx: &Context<'_>, db: &Database, stop: &Stop, run: &str) -> Result<u8, Fail> {
    let goes_on = format!("the run stays as it is; `traider run cancel {run}` ends it");
    let over = || -> Result<Option<RunDetail>, Fail> {
        let detail = db.ask(view::show_run(&db.store, run))?;
        Ok(ended(&detail.run.state).then_some(detail))
    };
    let detail = wait_until(ctx, stop, &goes_on, over)?;
    ctx.out.value(&to_json(&detail), |_| show::say(&detail));
    Ok(u8::from(detail.run.state != "done"))
}

/// Waits until `over` answers. Without a supervisor here, a worker is started for as long, and started again if it is
/// killed.
///
/// * `goes_on` - what to tell who interrupts it.
pub fn wait_until<T>(
    ctx: &Context<'_>,
    stop: &Stop,
    goes_on: &str,
    mut over: impl FnMut() -> Result<Option<T>, Fail>,
) -> Result<T, Fail> {
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
        if let Some(answer) = over()? {
            if let Some(mut worker) = worker {
                worker.stop(WORKER_STOPPING);
                worker.pass_on(ctx.out);
            }
            return Ok(answer);
        }
        if stop.asked() {
            ctx.out.note(goes_on);
            return Err(Fail::new(code::INTERRUPTED, "interrupted"));
        }
        if let Some(worker) = &worker {
            worker.pass_on(ctx.out);
        }
        std::thread::sleep(LOOK);
    }
}

fn start_worker(ctx: &Context<'_>, stop: &Stop) -> Result<Process, Fail> {
    let mut command = Command::new(exec::sibling("traider-worker")?);
    command.arg("run").arg("--home").arg(ctx.home.root()).args(["--parent-pid", &std::process::id().to_string()]);
    if let Some(file) = &ctx.global.config {
        command.arg("--config").arg(file);
    }
    let mut worker = Process::start("traider-worker", command, &ctx.home.logs())?;
    worker.ready(Duration::from_secs(60), stop)?;
    Ok(worker)
}
