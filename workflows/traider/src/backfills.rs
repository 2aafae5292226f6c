//! `traider backfill`: a workflow over a range of partitions.

use crate::cli::{Again, BackfillArgs, BackfillVerb, Context, Order};
use crate::database::{Database, find_workflow, with_database};
use crate::fail::{Fail, code};
use crate::runs::start;
use crate::supervise::Stop;
use crate::{out, words};
use chrono::Utc;
use flows::Workflow;
use serde_json::{Map, Value, json};
use store::backfill::{
    self, BackfillDetail, BackfillPlan, BackfillView, Direction, Found, NewBackfill, PartView, Reprocess,
};
use store::view;

/// Runs the verb.
pub fn backfill(ctx: &Context<'_>, verb: &BackfillVerb) -> Result<u8, Fail> {
    match verb {
        BackfillVerb::Plan(args) => plan(ctx, args),
        BackfillVerb::Start { args, dry_run: true, .. } => plan(ctx, args),
        BackfillVerb::Start { args, wait, .. } => begin(ctx, args, *wait),
        BackfillVerb::List { limit } => with_database(ctx, |db, _| {
            let rows = db.ask(backfill::list(&db.store, *limit))?;
            ctx.out.value(&json!({"backfills": rows}), |_| list(&rows));
            Ok(0)
        }),
        BackfillVerb::Show { backfill } => with_database(ctx, |db, _| {
            let detail = db.ask(backfill::show(&db.store, backfill))?;
            ctx.out.value(&json!(detail), |_| show(&detail));
            Ok(0)
        }),
        BackfillVerb::Pause { backfill } => {
            steer(ctx, backfill, "paused", async |db, id| backfill::pause(&db.store, id, Utc::now()).await.map(|()| 0))
        }
        BackfillVerb::Resume { backfill } => steer(ctx, backfill, "running", async |db, id| {
            backfill::resume(&db.store, id, Utc::now()).await.map(|()| 0)
        }),
        BackfillVerb::Cancel { backfill } => steer(ctx, backfill, "cancelled", async |db, id| {
            backfill::cancel(&db.store, id, Utc::now()).await.map(|runs| runs.len())
        }),
    }
}

/// What is to be filled, checked as far as that goes without a database.
fn asked(ctx: &Context<'_>, args: &BackfillArgs) -> Result<(Workflow, NewBackfill, Map<String, Value>), Fail> {
    let usage = |what: String| Fail::new(code::USAGE, what);
    let flow = find_workflow(ctx, &args.workflow)?;
    let params = start::parse_params(&flow, &args.params)?;
    let keys = flow.file().partition.between(&args.from, &args.to).map_err(usage)?;
    for key in &keys {
        flow.plan(key, &params).map_err(|e| usage(e.to_string()))?;
    }
    let new = NewBackfill {
        workflow: args.workflow.clone(),
        keys,
        params: Value::Object(params.clone()),
        direction: match args.order {
            Order::Oldest => Direction::Oldest,
            Order::Newest => Direction::Newest,
        },
        reprocess: match args.reprocess {
            Again::Missing => Reprocess::Missing,
            Again::Failed => Reprocess::Failed,
            Again::All => Reprocess::All,
        },
        max_active: args.max_active,
    };
    Ok((flow, new, params))
}

fn plan(ctx: &Context<'_>, args: &BackfillArgs) -> Result<u8, Fail> {
    let (flow, new, _) = asked(ctx, args)?;
    with_database(ctx, |db, _| {
        let plan = db.ask(backfill::plan(&db.store, &new))?;
        let versions = db.ask(view::versions(&db.store, &new.workflow))?;
        let version = versions.iter().find(|version| version.sha256 == flow.sha256()).map(|version| version.version);
        let mut said = json!(plan);
        (said["workflow"], said["version"], said["sha256"]) =
            (json!(new.workflow), json!(version), json!(flow.sha256()));
        (said["dry_run"], said["max_active"]) = (json!(true), json!(new.max_active));
        ctx.out.value(&said, |_| say_plan(&flow, version, &new, &plan));
        Ok(0)
    })
}

fn say_plan(flow: &Workflow, version: Option<i32>, new: &NewBackfill, plan: &BackfillPlan) {
    let version = version.map_or_else(|| "new".to_owned(), |version| format!("v{version}"));
    let parts = words::many(plan.parts.len(), "partition");
    say!("{} {version} (sha {})   {parts} in range", flow.name(), words::short(flow.sha256()));
    let kinds =
        [(Found::Done, "done"), (Found::Failed, "failed"), (Found::Active, "under way"), (Found::Missing, "missing")];
    let counted = kinds.iter().filter_map(|(found, name)| {
        let of_kind = || plan.parts.iter().filter(|part| part.found == *found);
        let kept = if of_kind().any(|part| part.kept) { " (kept)" } else { "" };
        let count = of_kind().count();
        (count > 0).then(|| format!("{name} {count}{kept}"))
    });
    let counted: Vec<String> = counted.collect();
    let new_runs = plan.parts.iter().filter(|part| !part.kept && part.found != Found::Active).count();
    let failed_kept = plan.parts.iter().any(|part| part.kept && part.found == Found::Failed);
    let hint = if failed_kept { " (failed kept: use --reprocess failed)" } else { "" };
    say!("  {}   ->  {} to create{hint}", counted.join("   "), words::many(new_runs, "run"));
    let keys: Vec<&str> = plan.parts.iter().filter(|part| !part.kept).map(|part| part.partition.as_str()).collect();
    for line in keys.chunks(8).take(5) {
        say!("  {}", line.join("  "));
    }
    if keys.len() > 40 {
        say!("  ... and {} more", keys.len() - 40);
    }
    let estimate = match (plan.typical_s, plan.estimate_s) {
        (Some(typical), Some(all)) => {
            let runs = format!("{} x p50 {}", plan.runs, words::span(typical));
            format!("estimate {runs} / {} = {}", new.max_active, words::span(all))
        }
        _ => "no estimate: no run of it was done before".to_owned(),
    };
    say!("  {estimate}        nothing written (dry run)");
}

fn begin(ctx: &Context<'_>, args: &BackfillArgs, wait: bool) -> Result<u8, Fail> {
    let (flow, new, params) = asked(ctx, args)?;
    with_database(ctx, |db, stop| {
        let planner = |key: &str| flow.plan(key, &params).map_err(|e| e.to_string());
        let id = db.ask(backfill::start(&db.store, &new, Utc::now(), planner))?;
        if wait {
            return wait_for(ctx, db, stop, &id);
        }
        let detail = db.ask(backfill::show(&db.store, &id))?;
        let mut said = json!(detail);
        said["backfill_id"] = json!(id);
        ctx.out.value(&said, |_| {
            let (todo, kept) = (detail.backfill.pending, detail.backfill.kept);
            say!("backfill {id} of {}: {todo} to run, {kept} kept", new.workflow);
            say!("next: traider backfill show {id}");
        });
        start::note_without_worker(ctx, db)?;
        Ok(0)
    })
}

fn wait_for(ctx: &Context<'_>, db: &Database, stop: &Stop, id: &str) -> Result<u8, Fail> {
    let goes_on = format!("the backfill goes on when a worker is there; `traider backfill cancel {id}` ends it");
    let over = || {
        let detail = db.ask(backfill::show(&db.store, id))?;
        Ok(matches!(detail.backfill.state.as_str(), "done" | "cancelled").then_some(detail))
    };
    let detail = start::wait_until(ctx, stop, &goes_on, over)?;
    let mut said = json!(detail);
    said["backfill_id"] = json!(id);
    ctx.out.value(&said, |_| show(&detail));
    Ok(u8::from(detail.backfill.failed > 0 || detail.backfill.state != "done"))
}

/// Does something to a backfill and says how it stands.
fn steer(
    ctx: &Context<'_>,
    backfill: &str,
    to: &str,
    act: impl AsyncFnOnce(&Database, &str) -> Result<usize, store::StoreError>,
) -> Result<u8, Fail> {
    with_database(ctx, |db, _| {
        let id = db.ask(backfill::find(&db.store, backfill))?;
        let cancelled = db.ask(act(db, &id))?;
        let view = db.ask(backfill::show(&db.store, &id))?.backfill;
        ctx.out.value(&json!({"backfill_id": id, "state": view.state, "runs_told_to_stop": cancelled}), |_| {
            say!("backfill {id} is {to}: {}", counts(&view));
            match to {
                "paused" if view.active > 0 => say!("runs under way go on; next: traider backfill resume {id}"),
                "paused" => say!("next: traider backfill resume {id}"),
                "cancelled" => say!("{} told to stop", words::many(cancelled, "run")),
                _ => {}
            }
        });
        if to == "running" {
            start::note_without_worker(ctx, db)?;
        }
        Ok(0)
    })
}

/// Parts that have ended, kept ones not counted, of those there are to run.
fn share(view: &BackfillView) -> f64 {
    let ended = view.done + view.failed + view.cancelled;
    let all = ended + view.active + view.pending;
    #[expect(clippy::cast_precision_loss, reason = "at most a hundred thousand parts")]
    if all == 0 { 1.0 } else { ended as f64 / all as f64 }
}

fn counts(view: &BackfillView) -> String {
    let counted = [
        (view.done, "done"),
        (view.failed, "failed"),
        (view.cancelled, "cancelled"),
        (view.active, "under way"),
        (view.pending, "to do"),
        (view.kept, "kept"),
    ];
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = counted.map(|(count, name)| format!("{count} {name}")).collect();
    if words.is_empty() { "nothing to do".to_owned() } else { words.join(", ") }
}

fn list(rows: &[BackfillView]) {
    let row = |view: &BackfillView| {
        vec![
            view.id.clone(),
            format!("{} v{}", view.workflow, view.version),
            format!("{} .. {}", view.first_key, view.last_key),
            view.state.clone(),
            words::bar(share(view), out::styled()),
            counts(view),
            words::or_dash(view.eta_s.filter(|_| view.state == "running"), words::span),
        ]
    };
    let titles = ["BACKFILL", "WORKFLOW", "PARTITIONS", "STATE", "PROGRESS", "PARTS", "LEFT"];
    out::grid(&titles, &["LEFT"], rows.iter().map(row).collect());
}

fn show(detail: &BackfillDetail) {
    let view = &detail.backfill;
    let took = words::span(words::seconds(view.created_at, view.ended_at.unwrap_or_else(Utc::now)));
    say!(
        "backfill {}  {} v{}  {} .. {}  {}  {took}",
        view.id,
        view.workflow,
        view.version,
        view.first_key,
        view.last_key,
        out::state(&view.state.to_uppercase())
    );
    let left = view.eta_s.filter(|_| view.state == "running");
    let left = left.map_or_else(String::new, |left| format!(", about {} left", words::span(left)));
    say!("{}  {}{left}; {} at a time", words::bar(share(view), out::styled()), counts(view), view.max_active);
    let row = |part: &PartView| {
        let state = match (part.state.as_str(), &part.run_state) {
            ("started", Some(state)) => state.clone(),
            (state, _) => state.to_owned(),
        };
        vec![part.partition.clone(), state, part.run.clone().unwrap_or_else(|| "-".to_owned())]
    };
    out::grid(&["PARTITION", "STATE", "RUN"], &[], detail.parts.iter().map(row).collect());
    if view.failed > 0 {
        let failed = detail.parts.iter().find(|part| part.run_state.as_deref() == Some("failed"));
        if let Some(run) = failed.and_then(|part| part.run.as_ref()) {
            say!("next: traider run show {run}");
        }
    }
}
