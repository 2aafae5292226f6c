//! Why a run is not done: what each of its steps waits for, and what to do about it.

use super::show;
use super::start::WORKER_ALIVE_S;
use crate::cli::Context;
use crate::database::Database;
use crate::fail::Fail;
use crate::{out, words};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use store::view::{self, QueueRow, RunDetail, SharerRow, StepRow, WorkerRow};

/// What stands between a step and its end.
#[derive(Debug, Serialize)]
struct Reason {
    /// The step; empty for the run itself.
    step: String,
    /// Its state.
    state: String,
    /// What it waits for.
    why: String,
    /// What somebody can do.
    #[serde(rename = "do")]
    act: Option<String>,
}

/// Everything that is asked.
struct Facts {
    detail: RunDetail,
    queues: Vec<QueueRow>,
    workers: Vec<WorkerRow>,
    sharers: Vec<SharerRow>,
    now: DateTime<Utc>,
}

/// `traider run explain`.
pub fn explain(ctx: &Context<'_>, db: &Database, run: &str) -> Result<u8, Fail> {
    let detail = db.ask(view::show_run(&db.store, run))?;
    let sharers = db.ask(view::sharers(&db.store, &detail.run.id))?;
    let queues = db.ask(view::queues(&db.store))?;
    let workers = db.ask(view::workers(&db.store, WORKER_ALIVE_S))?;
    let facts = Facts { detail, queues, workers, sharers, now: Utc::now() };
    let reasons = facts.reasons();
    let run = &facts.detail.run;
    ctx.out.value(&json!({"run_id": run.id, "state": run.state, "reasons": reasons}), |_| {
        say!(
            "run {}  {}  partition {}  {}",
            run.id,
            run.workflow,
            run.partition,
            out::state(&run.state.to_uppercase())
        );
        for reason in &reasons {
            let step =
                if reason.step.is_empty() { String::new() } else { format!("{} is {}: ", reason.step, reason.state) };
            say!("  {step}{}", reason.why);
            if let Some(act) = &reason.act {
                say!("    -> {act}");
            }
        }
    });
    Ok(0)
}

impl Facts {
    fn reasons(&self) -> Vec<Reason> {
        let run = &self.detail.run;
        let mut reasons = Vec::new();
        let mut whole = |why: &str, act: Option<String>| {
            reasons.push(Reason { step: String::new(), state: run.state.clone(), why: why.to_owned(), act });
        };
        match run.state.as_str() {
            "done" => whole("it is done: it waits for nothing", None),
            "cancelled" => {
                whole("somebody cancelled it: nothing of it will run", Some(format!("traider run retry {}", run.id)));
            }
            "failed" => whole("it failed: nothing of it will run", Some(format!("traider run retry {}", run.id))),
            _ if run.cancel_requested => {
                whole("it is being cancelled: it ends when its running steps have stopped", None)
            }
            _ => {}
        }
        let active = !super::ended(&run.state);
        reasons.extend(self.detail.steps_detail.iter().filter_map(|step| self.reason(step, active)));
        reasons
    }

    fn reason(&self, step: &StepRow, active: bool) -> Option<Reason> {
        let (why, act) = match step.state.as_str() {
            "running" => (self.running(step), None),
            "ready" if active => self.ready(step),
            "waiting" if active => (self.waiting(step), None),
            "failed" | "dead" => {
                let logs = format!("traider run logs {} --step {}", self.detail.run.id, show::shell_word(&step.name));
                (format!("{} after {} of {} tries", show::error(step), step.attempt, step.attempts_max), Some(logs))
            }
            _ => return None,
        };
        Some(Reason { step: step.name.clone(), state: step.state.clone(), why, act })
    }

    fn running(&self, step: &StepRow) -> String {
        let mut parts = Vec::new();
        if let Some(worker) = &step.worker {
            parts.push(format!("by {}", show::worker_words(worker)));
        }
        if let Some(began) = step.started_at {
            parts.push(format!("for {}", words::span(words::seconds(began, self.now))));
        }
        parts.push(format!("try {} of {}", step.attempt, step.attempts_max));
        if let Some(said) = step.progress.as_ref().and_then(|p| words::progress(p, step.started_at, self.now, false)) {
            parts.push(said);
        }
        if let Some(beat) = step.heartbeat_at {
            parts.push(format!("last sign of life {} ago", words::span(words::seconds(beat, self.now))));
        }
        parts.join(", ")
    }

    fn waiting(&self, step: &StepRow) -> String {
        let state = |need: &str| {
            let found = self.detail.steps_detail.iter().find(|s| s.name == need);
            found.map_or_else(|| need.to_owned(), |s| format!("{need} ({})", s.state))
        };
        let needs: Vec<String> = show::undone(&self.detail, step).into_iter().map(state).collect();
        format!("it needs {}", needs.join(", "))
    }

    /// A step that could run: the first thing that holds it.
    fn ready(&self, step: &StepRow) -> (String, Option<String>) {
        let queue = self.queues.iter().find(|queue| queue.queue == step.queue);
        if let Some((queue, since)) = queue.and_then(|queue| Some((queue, queue.paused_at?))) {
            let why = queue.paused_why.as_deref().unwrap_or("no reason given");
            return (
                format!("queue {} is paused since {} UTC: {why}", queue.queue, words::minute(since)),
                Some(format!("traider queue resume {}", queue.queue)),
            );
        }
        if let Some(at) = step.run_at.filter(|at| *at > self.now) {
            let wait = words::span(words::seconds(self.now, at));
            let (at, attempt) = (words::moment(at), step.attempt);
            return (
                format!(
                    "try {attempt} of {} begins at {at} UTC, in {wait}, after {}",
                    step.attempts_max,
                    show::error(step)
                ),
                None,
            );
        }
        if !self.workers.iter().any(|worker| worker.queue == step.queue) {
            return (
                format!("no worker is at work on queue {}", step.queue),
                Some("traider up starts one; traider worker list shows those there are".to_owned()),
            );
        }
        if step.held {
            return (self.held(step), None);
        }
        let ahead = queue.map_or(0, |queue| queue.ready + queue.running);
        (format!("in queue {}, in which {ahead} steps wait or run; it begins when a worker is free", step.queue), None)
    }

    fn held(&self, step: &StepRow) -> String {
        let users: Vec<&SharerRow> = self.sharers.iter().filter(|sharer| sharer.step == step.name).collect();
        let Some(limit) = users.first() else {
            return "the limit it shares has just become free; it begins within a minute".to_owned();
        };
        let by: Vec<String> = users.iter().map(|user| format!("{} of run {}", user.by_step, user.by_run)).collect();
        format!("the shared limit `{}` of {} is used up by {}", limit.key, limit.max, by.join(", "))
    }
}
