//! `traider job` and `traider dead`: single jobs, which are runs of one step, and steps that failed for good.

use crate::cli::{Context, DeadStep, DeadVerb, JobVerb};
use crate::database::{Database, with_database};
use crate::fail::{Fail, code};
use crate::runs::{self, show, start};
use crate::{out, words};
use serde_json::{Value, json};
use store::control::{self, Retried};
use store::view::{self, DeadRow, RunDetail, RunRow, StepRow};
use store::{StoreError, error};

/// Runs the verb.
pub fn job(ctx: &Context<'_>, verb: &JobVerb) -> Result<u8, Fail> {
    match verb {
        JobVerb::Enqueue { kind, args, wait } => enqueue(ctx, kind, args, *wait),
        JobVerb::List { limit } => with_database(ctx, |db, _| {
            let rows = db.ask(view::list_jobs(&db.store, *limit))?;
            ctx.out.value(&json!({"jobs": rows}), |_| list(&rows));
            Ok(0)
        }),
        JobVerb::Show { job } => with_database(ctx, |db, _| {
            let detail = find(db, job)?;
            ctx.out.value(&runs::to_json(&detail), |_| show::say(&detail));
            Ok(0)
        }),
        JobVerb::Retry { job } => with_database(ctx, |db, _| {
            let id = find(db, job)?.run.id;
            runs::retry(ctx, db, &id, Retried::Failed)
        }),
        JobVerb::Cancel { job } => with_database(ctx, |db, _| {
            let id = find(db, job)?.run.id;
            runs::cancel(ctx, db, &id)
        }),
    }
}

fn enqueue(ctx: &Context<'_>, kind: &str, args: &str, wait: bool) -> Result<u8, Fail> {
    // What cannot be a job is refused before a database is started for it.
    let input = job_input(kind, args)?;
    with_database(ctx, |db, stop| {
        let started = db.ask(control::enqueue_job(&db.store, kind, &input))?;
        if wait {
            return start::wait_for_run(ctx, db, stop, &started.run);
        }
        ctx.out.value(&json!({"job_id": started.run, "created": started.created}), |_| {
            say!("job {}{}", started.run, if started.created { "" } else { " (was queued already)" });
        });
        start::note_without_worker(ctx, db)?;
        Ok(0)
    })
}

fn job_input(kind: &str, args: &str) -> Result<Value, Fail> {
    let input: Value = serde_json::from_str(args)
        .map_err(|e| Fail::new(code::USAGE, format!("the arguments `{args}` are not a JSON object: {e}")))?;
    let checked = spec::jobs::kind(kind).and_then(|kind| kind.check(&input));
    checked.map(|_| input).map_err(|e| Fail::new(code::USAGE, e.to_string()))
}

/// The job of this id; a run of a workflow is none.
fn find(db: &Database, job: &str) -> Result<RunDetail, Fail> {
    let none = |why: &str| Fail::plain(format!("there is no job {job}{why}; see: traider job list"));
    let asked = db.ask(async { Ok(view::show_run(&db.store, job).await) })?;
    match asked {
        Ok(detail) if show::job_kind(&detail.run.workflow).is_some() => Ok(detail),
        Ok(detail) => Err(none(&format!(" (it is a run of {})", detail.run.workflow))),
        Err(StoreError::NotFound { .. }) => Err(none("")),
        Err(other) => Err(Fail::new(other.exit_code(), error::chain(&other))),
    }
}

fn list(rows: &[RunRow]) {
    let row = |job: &RunRow| {
        let took = job.started_at.map(|at| words::seconds(at, job.ended_at.unwrap_or_else(chrono::Utc::now)));
        vec![
            job.id.clone(),
            show::job_kind(&job.workflow).unwrap_or(&job.workflow).to_owned(),
            job.state.clone(),
            words::moment(job.queued_at),
            words::or_dash(took, words::span),
            words::or_dash(job.error.as_deref(), words::first_line),
        ]
    };
    let titles = ["JOB", "KIND", "STATE", "QUEUED (UTC)", "TIME", "ERROR"];
    out::grid(&titles, &["TIME"], rows.iter().map(row).collect());
}

/// Runs the verb.
pub fn dead(ctx: &Context<'_>, verb: &DeadVerb) -> Result<u8, Fail> {
    if let DeadVerb::Discard { reason, .. } = verb {
        needed(reason)?;
    }
    with_database(ctx, |db, _| match verb {
        DeadVerb::List { limit } => {
            let rows = db.ask(view::dead(&db.store, *limit))?;
            ctx.out.value(&json!({"dead": rows}), |_| dead_list(&rows));
            Ok(0)
        }
        DeadVerb::Show(named) => {
            let (detail, step) = dead_step(db, named)?;
            show_dead(ctx, &detail, &step);
            Ok(0)
        }
        DeadVerb::Requeue(named) => {
            let (detail, step) = dead_step(db, named)?;
            runs::retry(ctx, db, &detail.run.id, Retried::From(&step.name))
        }
        DeadVerb::Discard { step, reason } => {
            let (detail, step) = dead_step(db, step)?;
            let run = &detail.run.id;
            db.ask(control::discard(&db.store, run, &step.name, reason))?;
            ctx.out.value(&json!({"run_id": run, "step": step.name, "discarded": true}), |_| {
                say!("{} of run {run} is given up; it counts as failed", step.name);
            });
            Ok(0)
        }
    })
}

/// Refuses an empty reason.
pub fn needed(reason: &str) -> Result<(), Fail> {
    if reason.trim().is_empty() {
        return Err(Fail::new(code::USAGE, "--reason must say something: it is all that the next one will know"));
    }
    Ok(())
}

fn dead_step(db: &Database, named: &DeadStep) -> Result<(RunDetail, StepRow), Fail> {
    let (run, step) = match (&named.step, named.run.split_once('/')) {
        (Some(step), _) => (named.run.as_str(), step.as_str()),
        (None, Some((run, step))) => (run, step),
        (None, None) => {
            let what =
                format!("which step of run {}? Name it: RUN STEP, or RUN/STEP; see: traider dead list", named.run);
            return Err(Fail::new(code::USAGE, what));
        }
    };
    let detail = db.ask(view::show_run(&db.store, run))?;
    let Some(found) = detail.steps_detail.iter().find(|s| s.name == step).cloned() else {
        let names: Vec<&str> = detail.steps_detail.iter().map(|s| s.name.as_str()).collect();
        let what = format!("there is no step `{step}` in run {}; it has: {}", detail.run.id, names.join(", "));
        return Err(Fail::plain(what));
    };
    if found.state != "dead" {
        let what =
            format!("step `{step}` of run {} is {}, not dead; see: traider dead list", detail.run.id, found.state);
        return Err(Fail::new(code::CONFLICT, what));
    }
    Ok((detail, found))
}

fn dead_list(rows: &[DeadRow]) {
    let row = |dead: &DeadRow| {
        vec![
            dead.run.clone(),
            dead.step.clone(),
            format!("{} {}", dead.workflow, dead.partition),
            dead.job.clone(),
            dead.attempts.to_string(),
            words::or_dash(dead.ended_at, words::moment),
            words::or_dash(dead.error.as_deref(), words::first_line),
        ]
    };
    out::grid(
        &["RUN", "STEP", "OF", "JOB", "TRIES", "SINCE (UTC)", "ERROR"],
        &["TRIES"],
        rows.iter().map(row).collect(),
    );
    if let Some(first) = rows.first() {
        say!("next: traider dead show {} {}", first.run, show::shell_word(&first.step));
    }
}

fn show_dead(ctx: &Context<'_>, detail: &RunDetail, step: &StepRow) {
    let attempts: Vec<_> = detail.attempts.iter().filter(|attempt| attempt.step == step.name).collect();
    let run = &detail.run;
    let said = json!({
        "run_id": run.id, "workflow": run.workflow, "partition": run.partition, "step": step, "attempts": attempts,
    });
    ctx.out.value(&said, |_| {
        say!("{} of run {}  {} {}  {}", step.name, run.id, run.workflow, run.partition, out::state("DEAD"));
        say!("job    {} {}", step.job, step.params);
        say!("error  {}", show::error(step));
        let row = |attempt: &&view::AttemptRow| {
            vec![
                attempt.attempt.to_string(),
                attempt.state.clone(),
                words::moment(attempt.started_at),
                words::or_dash(attempt.ended_at, |at| words::span(words::seconds(attempt.started_at, at))),
                show::worker_words(&attempt.worker),
                words::or_dash(attempt.error.as_deref(), words::first_line),
            ]
        };
        let titles = ["TRY", "STATE", "BEGAN (UTC)", "TIME", "WORKER", "ERROR"];
        out::grid(&titles, &["TRY", "TIME"], attempts.iter().map(row).collect());
        let name = show::shell_word(&step.name);
        say!("next: traider dead requeue {0} {name}, or traider dead discard {0} {name} --reason ...", run.id);
    });
}
