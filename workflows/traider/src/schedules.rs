//! `traider schedule`: workflows that run by themselves. The schedules are in the workflow files; a worker takes them over
//! into the database, where their slots are. A schedule that no worker has seen yet has not begun, and is shown so.

use crate::cli::{Context, ScheduleVerb};
use crate::database::{Database, find_workflow, with_database, workflows};
use crate::fail::{Fail, code};
use crate::runs::start;
use crate::{exec, jobs, out, words};
use chrono::{DateTime, Utc};
use flows::Workflow;
use flows::slots::Slots;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use store::control::Trigger;
use store::schedule::{self, ScheduleDetail, ScheduleView, SlotView};

/// Runs the verb.
pub fn schedule(ctx: &Context<'_>, verb: &ScheduleVerb) -> Result<u8, Fail> {
    match verb {
        ScheduleVerb::List => with_database(ctx, |db, _| list(ctx, db)),
        ScheduleVerb::Show { schedule } => with_database(ctx, |db, _| show(ctx, db, schedule)),
        ScheduleVerb::Pause { schedule, reason } => {
            jobs::needed(reason)?;
            with_database(ctx, |db, _| {
                begun(ctx, db, schedule)?;
                let changed = db.ask(schedule::pause(&db.store, schedule, reason, Utc::now()))?;
                ctx.out.value(&json!({"schedule": schedule, "paused": true, "changed": changed}), |_| {
                    let words = if changed { "is paused" } else { "was paused already; its reason stays" };
                    say!("schedule {schedule} {words}. next: traider schedule resume {schedule}");
                });
                Ok(0)
            })
        }
        ScheduleVerb::Resume { schedule } => with_database(ctx, |db, _| {
            begun(ctx, db, schedule)?;
            let changed = db.ask(schedule::resume(&db.store, schedule, Utc::now()))?;
            let view = db.ask(schedule::show(&db.store, schedule, Utc::now()))?.schedule;
            let said = json!({"schedule": schedule, "paused": false, "changed": changed, "next": view.state.next_slot});
            ctx.out.value(&said, |_| {
                let words = if changed { "goes on" } else { "was not paused" };
                let next = words::or_dash(view.state.next_slot, words::minute);
                say!("schedule {schedule} {words}; next slot {next} UTC");
            });
            Ok(0)
        }),
        ScheduleVerb::Trigger { schedule } => trigger(ctx, schedule),
        ScheduleVerb::Next { schedule, count, after } => next(ctx, schedule, *count, after.as_deref()),
    }
}

/// The workflows with a schedule, by name, as their files are now.
fn planned(ctx: &Context<'_>) -> BTreeMap<String, Workflow> {
    let (all, wrong) = flows::load_all(&workflows(ctx));
    if !wrong.is_empty() {
        let files = words::many(wrong.len(), "workflow file");
        ctx.out.note(&format!("{files} left out because wrong; `traider workflow check` names each place"));
    }
    all.into_iter().filter(|(_, flow)| flow.file().schedule.is_some()).collect()
}

/// The workflow of that name and its slots.
fn slots_of(ctx: &Context<'_>, name: &str) -> Result<(Workflow, Slots), Fail> {
    let flow = find_workflow(ctx, name)?;
    let Some(schedule) = flow.file().schedule.as_ref() else {
        let what = format!("workflow `{name}` has no schedule: it runs when asked to, with `traider run start {name}`");
        return Err(Fail::plain(what));
    };
    let slots = Slots::of(schedule.cron.get_ref(), schedule.timezone.get_ref());
    let slots = slots.map_err(|e| Fail::new(code::CONFIG, e.to_string()))?;
    Ok((flow, slots))
}

/// Sees to it that the schedule is in the database. Where no worker has been yet, one is asked to take the files over.
fn begun(ctx: &Context<'_>, db: &Database, name: &str) -> Result<(), Fail> {
    let known = db.ask(schedule::list(&db.store, Utc::now()))?;
    if !known.iter().any(|view| view.state.row.name == name) {
        slots_of(ctx, name)?;
        exec::worker(ctx, "sync-schedules", &json!({}))?;
    }
    Ok(())
}

fn list(ctx: &Context<'_>, db: &Database) -> Result<u8, Fail> {
    let now = Utc::now();
    let known = db.ask(schedule::list(&db.store, now))?;
    let mut new = planned(ctx);
    for view in &known {
        new.remove(&view.state.row.name);
    }
    let mut rows: Vec<(Value, Vec<String>)> = known.iter().map(|view| (to_json(view), row(view))).collect();
    rows.extend(new.values().map(|flow| not_begun(flow, now)));
    rows.sort_by(|(_, a), (_, b)| a[0].cmp(&b[0]));
    let (shown, lines): (Vec<Value>, Vec<Vec<String>>) = rows.into_iter().unzip();
    ctx.out.value(&json!({"schedules": shown}), |_| {
        let titles = ["WORKFLOW", "CRON", "TZ", "LAST SLOT", "STATE", "LATE", "NEXT (UTC)", "CATCH-UP"];
        out::grid(&titles, &["LATE"], lines);
    });
    if !new.is_empty() {
        ctx.out.note("new: no worker has seen it yet; it begins with the first one, `traider up` brings one");
    }
    Ok(0)
}

fn to_json(view: &ScheduleView) -> Value {
    let mut shown = json!(view);
    shown["state"] = json!(state(view));
    shown
}

/// One word for how it stands; of one that runs, how its newest run ended.
fn state(view: &ScheduleView) -> &'static str {
    match view.last_state.as_deref() {
        _ if !view.state.active => "gone",
        _ if view.state.paused => "paused",
        Some("failed") => "failed",
        Some("cancelled") => "cancelled",
        Some("running") => "running",
        Some("queued") => "queued",
        _ => "ok",
    }
}

fn row(view: &ScheduleView) -> Vec<String> {
    let (row, state_of) = (&view.state.row, state(view));
    let held = view.state.paused || !view.state.active;
    vec![
        row.name.clone(),
        row.cron.clone(),
        row.tz.clone(),
        words::or_dash(last_slot(view), words::minute),
        state_of.to_owned(),
        words::or_dash(view.late_s.filter(|late| *late >= 60.0), words::span),
        words::or_dash(view.state.next_slot.filter(|_| !held), words::minute),
        format!("{} pending", view.pending),
    ]
}

/// Its newest slot; where it began is none.
fn last_slot(view: &ScheduleView) -> Option<DateTime<Utc>> {
    view.state.last_slot.filter(|slot| *slot != view.state.first_at)
}

/// A schedule that no worker has taken over yet.
fn not_begun(flow: &Workflow, now: DateTime<Utc>) -> (Value, Vec<String>) {
    let (cron, tz) = flow.file().schedule.as_ref().map_or_else(Default::default, |schedule| {
        (schedule.cron.get_ref().clone(), schedule.timezone.get_ref().clone())
    });
    let next = Slots::of(&cron, &tz).ok().and_then(|slots| slots.next_after(now));
    let shown = json!({
        "name": flow.name(), "workflow": flow.name(), "cron": cron, "tz": tz, "state": "new", "next_slot": next,
        "last_slot": null, "paused": false, "active": false, "pending": 0, "late_s": null,
    });
    let dash = || "-".to_owned();
    let next = words::or_dash(next, words::minute);
    (shown, vec![flow.name().to_owned(), cron, tz, dash(), "new".to_owned(), dash(), next, "0 pending".to_owned()])
}

fn show(ctx: &Context<'_>, db: &Database, name: &str) -> Result<u8, Fail> {
    let now = Utc::now();
    let known = db.ask(schedule::list(&db.store, now))?;
    if !known.iter().any(|view| view.state.row.name == name) {
        let (flow, _) = slots_of(ctx, name)?;
        let (shown, line) = not_begun(&flow, now);
        ctx.out.value(&shown, |_| {
            say!("schedule {name}  {} {}  NEW", line[1], line[2]);
            say!("no worker has seen it yet; it begins with the first one. Next slot {} UTC", line[6]);
        });
        return Ok(0);
    }
    let detail = db.ask(schedule::show(&db.store, name, now))?;
    let mut shown = to_json(&detail.schedule);
    shown["slots"] = json!(detail.slots);
    ctx.out.value(&shown, |_| say_detail(&detail));
    Ok(0)
}

fn say_detail(detail: &ScheduleDetail) {
    let view = &detail.schedule;
    let row = &view.state.row;
    say!("schedule {}  {} {}  {}", row.name, row.cron, row.tz, out::state(&state(view).to_uppercase()));
    if let Some(at) = view.paused_at.filter(|_| view.state.paused) {
        say!("paused since {} UTC: {}", words::minute(at), view.paused_why.as_deref().unwrap_or("no reason given"));
    }
    let (catchup, overlap) = (out::text(&json!(row.catchup)), out::text(&json!(row.overlap)));
    let window = row.catchup_window_s.map_or_else(String::new, |s| {
        #[expect(clippy::cast_precision_loss, reason = "a window of some days")]
        let span = words::span(s as f64);
        format!(" of the last {span}")
    });
    say!("catch-up {catchup}{window}, overlap {overlap}; {} pending", view.pending);
    let late =
        view.late_s.filter(|late| *late >= 60.0).map_or_else(String::new, |s| format!(", late {}", words::span(s)));
    let next = words::or_dash(view.state.next_slot.filter(|_| !view.state.paused), words::minute);
    say!("next slot {next} UTC{late}");
    let slot = |slot: &SlotView| {
        vec![
            words::minute(slot.slot),
            slot.partition.clone(),
            slot.state.clone(),
            slot.run_state.clone().unwrap_or_else(|| "-".to_owned()),
            slot.run.clone().unwrap_or_else(|| "-".to_owned()),
            if slot.detail.is_empty() { "-".to_owned() } else { words::first_line(&slot.detail) },
        ]
    };
    if detail.slots.is_empty() {
        say!("it has had no slot yet");
        return;
    }
    let titles = ["SLOT (UTC)", "PARTITION", "SLOT IS", "STATE", "RUN", "WHY"];
    out::grid(&titles, &[], detail.slots.iter().map(slot).collect());
}

fn trigger(ctx: &Context<'_>, name: &str) -> Result<u8, Fail> {
    let (flow, _) = slots_of(ctx, name)?;
    let plan = start::plan(&flow, None, &Map::new())?;
    with_database(ctx, |db, _| {
        let started = db.ask(store::control::start_run(&db.store, &plan, Trigger::Manual))?;
        start::say_started(ctx, db, &plan, &started)
    })
}

fn next(ctx: &Context<'_>, name: &str, count: u16, after: Option<&str>) -> Result<u8, Fail> {
    let (flow, slots) = slots_of(ctx, name)?;
    let parse = |text: &str| {
        let wrong = |_| Fail::new(code::USAGE, format!("`{text}` is not a moment; write it like 2026-03-29T00:00:00Z"));
        DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(wrong)
    };
    let after = after.map_or_else(|| Ok(Utc::now()), parse)?;
    let due: Vec<DateTime<Utc>> = slots.between(after, DateTime::<Utc>::MAX_UTC).take(usize::from(count)).collect();
    let partition = |at: &DateTime<Utc>| flow.newest_partition(*at);
    let rows: Vec<Value> = due.iter().map(|at| json!({"slot": at, "partition": partition(at)})).collect();
    let zone = flow.file().schedule.as_ref().map_or_else(String::new, |s| s.timezone.get_ref().clone());
    ctx.out.value(&json!({"schedule": name, "timezone": zone, "next": rows}), |_| {
        let row = |at: &DateTime<Utc>| {
            let left = words::span(words::seconds(after, *at));
            vec![words::minute(*at), partition(at).unwrap_or_else(|| "-".to_owned()), left]
        };
        out::grid(&["SLOT (UTC)", "PARTITION", "IN"], &["IN"], due.iter().map(row).collect());
        if zone != "UTC" {
            say!("the pattern counts in {zone}; the times above are UTC");
        }
    });
    Ok(0)
}
