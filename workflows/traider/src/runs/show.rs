//! How a run is written: a line about it, a line per step, and what to do next.

use crate::{out, words};
use chrono::{DateTime, Utc};
use store::view::{AttemptRow, EventRow, OutputRow, RunDetail, RunRow, StepRow};

/// What a step reported is for `--json`; here it gets as many characters.
const SUMMARY_WIDTH: usize = 60;

/// Prints the run.
pub fn say(detail: &RunDetail) {
    for line in lines(detail, Utc::now()) {
        say!("{line}");
    }
}

/// The lines about a run at `now`.
pub fn lines(detail: &RunDetail, now: DateTime<Utc>) -> Vec<String> {
    let mut lines = vec![head(&detail.run, now)];
    let rows = detail.steps_detail.iter().map(|step| {
        vec![
            step.name.clone(),
            step.state.clone(),
            tries(step),
            words::or_dash(took(step, now), words::span),
            made(detail, step, now),
            note(detail, step, now),
        ]
    });
    lines.extend(out::lines(&["STEP", "STATE", "TRY", "TIME", "IN -> OUT", "NOTE"], &[], rows.collect()));
    lines.extend(next(detail));
    lines
}

/// What is shown of a job's name: `job:report-daily` is one of a kind, everything else a workflow.
pub fn job_kind(workflow: &str) -> Option<&str> {
    workflow.strip_prefix("job:")
}

fn head(run: &RunRow, now: DateTime<Utc>) -> String {
    let mut parts = match job_kind(&run.workflow) {
        Some(kind) => vec![format!("job {}", run.id), kind.to_owned()],
        None => vec![
            format!("run {}", run.id),
            format!("{} v{}", run.workflow, run.version),
            format!("partition {}", run.partition),
        ],
    };
    parts.push(out::state(&run.state.to_uppercase()));
    if run.cancel_requested && !super::ended(&run.state) {
        parts.push("cancelling".to_owned());
    }
    parts.push(match (&run.slot, &run.backfill) {
        (Some(slot), _) => format!("trigger {} {}", run.trigger, words::minute(*slot)),
        (None, Some(backfill)) => format!("trigger backfill {backfill}"),
        (None, None) => format!("trigger {}", run.trigger),
    });
    if run.generation > 1 {
        parts.push(format!("generation {}", run.generation));
    }
    if let Some(began) = run.started_at {
        parts.push(words::span(words::seconds(began, run.ended_at.unwrap_or(now))));
    }
    parts.join("  ")
}

fn tries(step: &StepRow) -> String {
    match step.state.as_str() {
        "waiting" | "skipped" => "-".to_owned(),
        _ => step.attempt.to_string(),
    }
}

fn took(step: &StepRow, now: DateTime<Utc>) -> Option<f64> {
    step.started_at.map(|began| words::seconds(began, step.ended_at.unwrap_or(now)))
}

/// What the step read and made; how far it is while it runs.
fn made(detail: &RunDetail, step: &StepRow, now: DateTime<Utc>) -> String {
    if step.state == "running" {
        let said = step.progress.as_ref().and_then(|p| words::progress(p, step.started_at, now, out::styled()));
        return said.unwrap_or_else(|| "-".to_owned());
    }
    let read: Vec<&str> = detail.inputs.iter().filter(|i| i.step == step.name).map(|i| i.asset.as_str()).collect();
    let made: Vec<&OutputRow> = detail.outputs.iter().filter(|o| o.step == step.name).collect();
    let rows: i64 = made.iter().map(|o| o.version.rows).sum();
    let from = match read.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        many => words::many(many.len(), "input"),
    };
    // A report has no rows to count.
    let rows = if rows == 0 { String::new() } else { format!(" {} rows", words::count(rows)) };
    let to = match made.as_slice() {
        [] if read.is_empty() => return "-".to_owned(),
        [] => "-".to_owned(),
        [one] => format!("{}{rows}", one.version.asset),
        many => format!("{}{rows}", words::many(many.len(), "output")),
    };
    format!("{from} -> {to}").trim_start().to_owned()
}

/// What is worth knowing about the step as it stands.
fn note(detail: &RunDetail, step: &StepRow, now: DateTime<Utc>) -> String {
    match step.state.as_str() {
        "waiting" => format!("waits for {}", undone(detail, step).join(", ")),
        "ready" if step.held => "held: a limit it shares is used up".to_owned(),
        "ready" if step.run_at.is_some_and(|at| at > now) => {
            let at = words::or_dash(step.run_at, |at| at.format("%T").to_string());
            format!("again at {at} UTC, after {}", words::first_line(&error(step)))
        }
        "ready" => format!("in queue {}", step.queue),
        "running" => words::or_dash(step.worker.as_deref(), |worker| format!("by {}", worker_words(worker))),
        "failed" | "dead" | "cancelled" if step.error.is_some() => words::first_line(&error(step)),
        "done" => done(detail, step),
        _ => "-".to_owned(),
    }
}

/// The needs of a step that are not done yet.
pub fn undone<'a>(detail: &'a RunDetail, step: &'a StepRow) -> Vec<&'a str> {
    let undone = |need: &&String| detail.steps_detail.iter().any(|s| s.name == **need && s.state != "done");
    step.needs.iter().filter(undone).map(String::as_str).collect()
}

/// Host and process of a worker's name.
pub fn worker_words(name: &str) -> String {
    store::control::WorkerId::parse(name).map_or_else(|| name.to_owned(), |(host, pid, _)| format!("{host}, pid {pid}"))
}

/// The step's last error in a line: its class and its words.
pub fn error(step: &StepRow) -> String {
    let what = step.error.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned();
    match &step.error_kind {
        Some(kind) if what.is_empty() => kind.clone(),
        Some(kind) => format!("{kind}: {what}"),
        None if what.is_empty() => "-".to_owned(),
        None => what,
    }
}

fn done(detail: &RunDetail, step: &StepRow) -> String {
    let bad = |a: &&AttemptRow| a.step == step.name && a.state != "done" && a.state != "running";
    let bad: Vec<String> =
        detail.attempts.iter().filter(bad).map(|a| a.error_kind.clone().unwrap_or_else(|| a.state.clone())).collect();
    if !bad.is_empty() {
        let retries = if bad.len() == 1 { "1 retry".to_owned() } else { format!("{} retries", bad.len()) };
        return format!("{retries}: {}", bad.join(", "));
    }
    let mut made = detail.outputs.iter().filter(|output| output.step == step.name);
    match (made.next(), made.next()) {
        (Some(one), None) => format!("sha {}", words::short(&one.version.sha256)),
        _ => words::or_dash(step.summary.as_ref(), |summary| words::cut(&out::brief(summary), SUMMARY_WIDTH)),
    }
}

/// What somebody may want to do about it.
fn next(detail: &RunDetail) -> Vec<String> {
    let (id, noun) = (&detail.run.id, if job_kind(&detail.run.workflow).is_some() { "job" } else { "run" });
    let failed = detail.steps_detail.iter().find(|s| matches!(s.state.as_str(), "failed" | "dead"));
    match (detail.run.state.as_str(), failed) {
        ("failed", Some(step)) => {
            let retry = if noun == "run" { " --failed-only" } else { "" };
            vec![
                format!("why:  traider run logs {id} --step {}", shell_word(&step.name)),
                format!("next: traider {noun} retry {id}{retry}"),
            ]
        }
        ("failed" | "cancelled", _) => vec![format!("next: traider {noun} retry {id}")],
        ("queued" | "running", _) => {
            vec![format!("next: traider run watch {id}, or why it waits: traider run explain {id}")]
        }
        _ => Vec::new(),
    }
}

/// In quotes where a shell would take it for a pattern.
pub fn shell_word(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '='));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// Prints the history of a run and whether it is whole.
pub fn history(events: &[EventRow], holds: bool) {
    let row = |event: &EventRow| {
        let step = if event.step.is_empty() { "-" } else { &event.step };
        let kind = event.kind.replace('_', " ");
        vec![
            words::moment(event.at),
            step.to_owned(),
            kind,
            words::first_line(&event.detail),
            words::short(&event.hash).to_owned(),
        ]
    };
    out::grid(&["AT (UTC)", "STEP", "WHAT", "DETAIL", "HASH"], &[], events.iter().map(row).collect());
    let events = words::many(events.len(), "event");
    if holds {
        say!("history: {events}, every hash holds: none was changed, removed or put in later");
    } else {
        say!("history: {events}, NOT what was written: an event was changed, removed or put in later");
    }
}
