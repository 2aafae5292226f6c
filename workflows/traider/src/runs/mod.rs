//! `traider run`: starting runs and looking at them. In flow order: [`start`] plans and waits, [`show`] is how a run is
//! written, [`follow`] reads its log and watches it, [`explain`] says what it waits for.

mod explain;
mod follow;
pub mod show;
pub mod start;

use crate::cli::{Context, RunState, RunVerb, Which};
use crate::database::{Database, with_database};
use crate::fail::{Fail, code};
use crate::{out, words};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};
use store::control::{self, Retried};
use store::view::{self, RunDetail, RunFilter, RunRow};

/// True once nothing of it will run by itself any more.
pub fn ended(state: &str) -> bool {
    matches!(state, "done" | "failed" | "cancelled")
}

/// A row as JSON.
pub fn value<T: Serialize>(row: &T) -> Value {
    serde_json::to_value(row).unwrap_or(Value::Null)
}

/// Runs the verb.
pub fn run(ctx: &Context<'_>, verb: &RunVerb) -> Result<u8, Fail> {
    match verb {
        RunVerb::Start { workflow, partition, params, wait } => {
            start::start(ctx, workflow, partition.as_deref(), params, *wait)
        }
        RunVerb::List { workflow, state, partition, limit } => {
            let filter = RunFilter {
                workflow: workflow.clone(),
                state: state.map(state_name),
                partition: partition.clone(),
                jobs_only: false,
                limit: *limit,
            };
            with_database(ctx, |db, _| {
                let rows = db.ask(view::list_runs(&db.store, &filter))?;
                ctx.out.value(&json!({"runs": rows}), |_| list(&rows));
                Ok(0)
            })
        }
        RunVerb::Show { run, events } => with_database(ctx, |db, _| show_one(ctx, db, run, *events)),
        RunVerb::Logs { run, step, follow } => {
            with_database(ctx, |db, stop| follow::logs(ctx, db, stop, run, step.as_deref(), *follow))
        }
        RunVerb::Retry { run, which } => with_database(ctx, |db, _| {
            let run = db.ask(view::find_run(&db.store, run))?;
            retry(ctx, db, &run, retried(which))
        }),
        RunVerb::Cancel { run } => with_database(ctx, |db, _| {
            let run = db.ask(view::find_run(&db.store, run))?;
            cancel(ctx, db, &run)
        }),
        RunVerb::Watch { run } => with_database(ctx, |db, stop| follow::watch(ctx, db, stop, run)),
        RunVerb::Explain { run } => with_database(ctx, |db, _| explain::explain(ctx, db, run)),
    }
}

fn state_name(state: RunState) -> String {
    state.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs at a glance, as a table.
fn list(rows: &[RunRow]) {
    let row = |run: &RunRow| {
        let took = run.started_at.map(|at| words::seconds(at, run.ended_at.unwrap_or_else(chrono::Utc::now)));
        vec![
            run.id.clone(),
            format!("{} v{}", run.workflow, run.version),
            run.partition.clone(),
            run.state.clone(),
            format!("{}/{}", run.steps_done, run.steps),
            run.trigger.clone(),
            words::moment(run.queued_at),
            words::or_dash(took, words::span),
        ]
    };
    let titles = ["RUN", "WORKFLOW", "PARTITION", "STATE", "DONE", "TRIGGER", "QUEUED (UTC)", "TIME"];
    out::grid(&titles, &["DONE", "TIME"], rows.iter().map(row).collect());
}

fn show_one(ctx: &Context<'_>, db: &Database, run: &str, events: bool) -> Result<u8, Fail> {
    let detail = db.ask(view::show_run(&db.store, run))?;
    let mut shown = to_json(&detail);
    if !events {
        ctx.out.value(&shown, |_| show::say(&detail));
        return Ok(0);
    }
    let history = db.ask(view::events(&db.store, &detail.run.id))?;
    let holds = db.ask(view::history_holds(&db.store, &detail.run.id))?;
    (shown["events"], shown["history_holds"]) = (json!(history), json!(holds));
    ctx.out.value(&shown, |_| {
        show::say(&detail);
        say!();
        show::history(&history, holds);
    });
    Ok(if holds { 0 } else { code::VERIFICATION })
}

/// Everything about a run as one object; `steps` are the steps themselves.
pub fn to_json(detail: &RunDetail) -> Value {
    let mut shown = value(detail);
    shown["run_id"] = shown["id"].clone();
    shown["steps"] = shown["steps_detail"].take();
    if let Some(map) = shown.as_object_mut() {
        map.remove("steps_detail");
    }
    shown
}

fn retried(which: &Which) -> Retried<'_> {
    match (&which.from, which.all) {
        (Some(step), _) => Retried::From(step),
        (None, true) => Retried::All,
        (None, false) => Retried::Failed,
    }
}

/// Runs steps of an ended run again and says how many.
pub fn retry(ctx: &Context<'_>, db: &Database, run: &str, which: Retried<'_>) -> Result<u8, Fail> {
    let steps = db.ask(control::retry(&db.store, run, which))?;
    ctx.out.value(&json!({"run_id": run, "steps": steps}), |_| {
        say!("{} of {run} will run again", words::many(steps, "step"));
    });
    start::note_without_worker(ctx, db)?;
    Ok(0)
}

/// Cancels a run and says whether there was anything to cancel.
pub fn cancel(ctx: &Context<'_>, db: &Database, run: &str) -> Result<u8, Fail> {
    let asked = db.ask(control::cancel(&db.store, run))?;
    ctx.out.value(&json!({"run_id": run, "cancelled": asked}), |_| {
        say!("{run}: {}", if asked { "told to stop; nothing new of it begins" } else { "it had ended already" });
    });
    Ok(0)
}
