//! `traider queue`, `traider worker` and `traider alert`: where steps wait, who does them, what is wrong.

use crate::cli::{AlertVerb, Context, QueueVerb, WorkerVerb};
use crate::database::{Database, with_database};
use crate::fail::{Fail, code};
use crate::runs::start::{LOOK, WORKER_ALIVE_S};
use crate::supervise::Stop;
use crate::{jobs, out, words};
use chrono::Utc;
use serde_json::{Value, json};
use spec::Queue;
use store::alert::{self, AlertRow};
use store::control::WorkerId;
use store::queue as store_queue;
use store::view::{self, QueueRow, WorkerRow};

/// Runs the verb.
pub fn queue(ctx: &Context<'_>, verb: &QueueVerb) -> Result<u8, Fail> {
    match verb {
        QueueVerb::List => with_database(ctx, |db, _| {
            let rows = db.ask(view::queues(&db.store))?;
            ctx.out.value(&json!({"queues": rows}), |_| list(&rows));
            Ok(0)
        }),
        QueueVerb::Pause { queue, reason } => {
            let queue = parse(queue)?;
            jobs::needed(reason)?;
            with_database(ctx, |db, _| {
                let paused = db.ask(store_queue::pause(&db.store, queue, reason))?;
                let name = queue.name();
                ctx.out.value(&json!({"queue": name, "paused": true, "changed": paused}), |_| {
                    let already = if paused { "is paused" } else { "was paused already; its reason stays" };
                    say!("queue {name} {already}; what runs goes on. next: traider queue resume {name}");
                });
                Ok(0)
            })
        }
        QueueVerb::Resume { queue } => {
            let queue = parse(queue)?;
            with_database(ctx, |db, _| {
                let resumed = db.ask(store_queue::resume(&db.store, queue))?;
                ctx.out.value(&json!({"queue": queue.name(), "paused": false, "changed": resumed}), |_| {
                    say!("queue {} {}", queue.name(), if resumed { "is open again" } else { "was not paused" });
                });
                Ok(0)
            })
        }
        QueueVerb::Drain { queue, reason } => {
            let queue = parse(queue)?;
            jobs::needed(reason)?;
            with_database(ctx, |db, stop| drain(ctx, db, stop, queue, reason))
        }
    }
}

fn parse(name: &str) -> Result<Queue, Fail> {
    let known = Queue::ALL.map(Queue::name).join(", ");
    Queue::parse(name).ok_or_else(|| Fail::new(code::USAGE, format!("there is no queue `{name}`; there are: {known}")))
}

fn drain(ctx: &Context<'_>, db: &Database, stop: &Stop, queue: Queue, reason: &str) -> Result<u8, Fail> {
    let name = queue.name();
    db.ask(store_queue::pause(&db.store, queue, reason))?;
    let mut told = None;
    loop {
        let running =
            db.ask(view::queues(&db.store))?.into_iter().find(|row| row.queue == name).map_or(0, |q| q.running);
        if running == 0 {
            ctx.out.value(&json!({"queue": name, "paused": true, "running": 0}), |_| {
                say!("queue {name} is paused and nothing of it runs; next: traider queue resume {name}");
            });
            return Ok(0);
        }
        if told != Some(running) {
            let steps = words::many(usize::try_from(running).unwrap_or_default(), "step");
            ctx.out.note(&format!("queue {name} is paused; {steps} still running"));
            told = Some(running);
        }
        if stop.asked() {
            let what = format!("stopped waiting; queue {name} stays paused until `traider queue resume {name}`");
            return Err(Fail::new(code::INTERRUPTED, what));
        }
        std::thread::sleep(LOOK);
    }
}

fn list(rows: &[QueueRow]) {
    let row = |queue: &QueueRow| {
        vec![
            queue.queue.clone(),
            if queue.paused_at.is_some() { "paused" } else { "open" }.to_owned(),
            queue.ready.to_string(),
            queue.held.to_string(),
            queue.delayed.to_string(),
            queue.running.to_string(),
            words::or_dash(queue.oldest_s, words::span),
            words::or_dash(queue.paused_at, |at| {
                format!("since {} UTC: {}", words::minute(at), queue.paused_why.as_deref().unwrap_or("-"))
            }),
        ]
    };
    let titles = ["QUEUE", "STATE", "READY", "HELD", "LATER", "RUNNING", "OLDEST", "PAUSED"];
    out::grid(&titles, &["READY", "HELD", "LATER", "RUNNING", "OLDEST"], rows.iter().map(row).collect());
}

/// Runs the verb.
pub fn worker(ctx: &Context<'_>, verb: &WorkerVerb) -> Result<u8, Fail> {
    let WorkerVerb::List = verb;
    with_database(ctx, |db, _| {
        let rows = db.ask(view::workers(&db.store, WORKER_ALIVE_S))?;
        let with_place = |row: &WorkerRow| {
            let mut shown = json!(row);
            if let Some((host, pid, _)) = WorkerId::parse(&row.name) {
                (shown["host"], shown["pid"]) = (json!(host), json!(pid));
            }
            shown
        };
        let shown: Vec<Value> = rows.iter().map(with_place).collect();
        ctx.out.value(&json!({"workers": shown}), |_| workers(&rows, &shown));
        if rows.is_empty() {
            ctx.out.note("no worker is at work here; `traider up` starts one");
        }
        Ok(0)
    })
}

fn workers(rows: &[WorkerRow], shown: &[Value]) {
    let row = |(row, shown): (&WorkerRow, &Value)| {
        vec![
            row.name.split('.').next().unwrap_or_default().to_owned(),
            row.queue.clone(),
            out::text(&shown["host"]),
            out::text(&shown["pid"]),
            row.steps.to_string(),
            words::or_dash(row.started_at, words::moment),
            format!("{} ago", words::span(words::seconds(row.last_seen, Utc::now()))),
        ]
    };
    let titles = ["WORKER", "QUEUE", "HOST", "PID", "RUNNING", "SINCE (UTC)", "LAST SEEN"];
    out::grid(&titles, &["PID", "RUNNING"], rows.iter().zip(shown).map(row).collect());
}

/// Runs the verb.
pub fn alert(ctx: &Context<'_>, verb: &AlertVerb) -> Result<u8, Fail> {
    let AlertVerb::List { all, limit } = verb;
    with_database(ctx, |db, _| {
        let rows = db.ask(alert::list(&db.store, *all, *limit))?;
        ctx.out.value(&json!({"alerts": rows}), |_| alerts(&rows));
        Ok(0)
    })
}

/// Alerts as a table.
pub fn alerts(rows: &[AlertRow]) {
    let row = |alert: &AlertRow| {
        vec![
            alert.kind.clone(),
            if alert.recovered_at.is_some() { "over" } else { "open" }.to_owned(),
            format!("{} {}", alert.workflow, alert.partition).trim_end().to_owned(),
            alert.step.clone().unwrap_or_else(|| "-".to_owned()),
            words::moment(alert.opened_at),
            words::or_dash(alert.recovered_at, words::moment),
            alert.seen.to_string(),
            words::first_line(&alert.detail),
        ]
    };
    let titles = ["ALERT", "STATE", "ABOUT", "STEP", "SINCE (UTC)", "OVER (UTC)", "SEEN", "WHAT"];
    out::grid(&titles, &["SEEN"], rows.iter().map(row).collect());
    if let Some(run) = rows.iter().find_map(|alert| alert.run.as_ref().filter(|_| alert.recovered_at.is_none())) {
        say!("next: traider run show {run}");
    }
}
