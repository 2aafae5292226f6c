//! Reading a run's log and watching its steps, once or until it ends.

use super::{ended, show, to_json, value};
use crate::cli::Context;
use crate::database::Database;
use crate::exec;
use crate::fail::{Fail, code};
use crate::out;
use crate::supervise::Stop;
use crate::trading::array;
use chrono::Utc;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::view::{self, RunDetail};

/// Time between two looks at a run that is followed.
const LOOK: Duration = Duration::from_millis(250);
/// Lines read at once.
const PAGE: i64 = 1000;
/// Lines get their numbers before they are committed, so that one may turn up behind those that were read already: the
/// last ones are read again.
const REREAD: usize = 200;

/// `traider run logs`.
pub fn logs(
    ctx: &Context<'_>,
    db: &Database,
    stop: &Stop,
    run: &str,
    step: Option<&str>,
    follow: bool,
) -> Result<u8, Fail> {
    let detail = db.ask(view::show_run(&db.store, run))?;
    if let Some(step) = step {
        known(&detail, step)?;
    }
    let run = &detail.run.id;
    let archived = archived(ctx, &detail, step)?;
    if follow {
        archived.values().for_each(|line| say_line(ctx, line));
        return follow_lines(ctx, db, stop, run, step, archived.into_keys().collect());
    }
    let mut lines = archived;
    let mut after = 0;
    loop {
        let page = db.ask(store::logs::read(&db.store, run, step, after, PAGE))?;
        let Some(last) = page.last() else { break };
        after = last.id;
        lines.extend(page.iter().map(|row| (row.id, value(row))));
    }
    let lines: Vec<Value> = lines.into_values().collect();
    ctx.out.value(&json!({"run_id": run, "lines": lines}), |v| {
        array(&v["lines"]).iter().for_each(say_text);
    });
    if lines.is_empty() {
        ctx.out.note(if ended(&detail.run.state) { "its steps said nothing" } else { "its steps said nothing so far" });
    }
    Ok(0)
}

/// Refuses a step that the run does not have.
pub fn known(detail: &RunDetail, step: &str) -> Result<(), Fail> {
    if detail.steps_detail.iter().any(|s| s.name == step) {
        return Ok(());
    }
    let names: Vec<&str> = detail.steps_detail.iter().map(|s| s.name.as_str()).collect();
    Err(Fail::plain(format!("there is no step `{step}` in run {}; it has: {}", detail.run.id, names.join(", "))))
}

/// Lines that are no longer in the database, by number.
fn archived(ctx: &Context<'_>, detail: &RunDetail, step: Option<&str>) -> Result<BTreeMap<i64, Value>, Fail> {
    if !ended(&detail.run.state) || !ctx.home.root().join("logs-archive").is_dir() {
        return Ok(BTreeMap::new());
    }
    let (_, answer) = exec::worker(ctx, "archived-log", &json!({"run": detail.run.id, "step": step}))?;
    Ok(array(&answer["lines"]).iter().filter_map(|line| Some((line["id"].as_i64()?, line.clone()))).collect())
}

fn follow_lines(
    ctx: &Context<'_>,
    db: &Database,
    stop: &Stop,
    run: &str,
    step: Option<&str>,
    mut said: BTreeSet<i64>,
) -> Result<u8, Fail> {
    loop {
        // Asked before the lines are read: what was said before the end is there then.
        let over = ended(&db.ask(view::show_run(&db.store, run))?.run.state);
        loop {
            let after = said.iter().rev().nth(REREAD).copied().unwrap_or(0);
            let page = db.ask(store::logs::read(&db.store, run, step, after, PAGE))?;
            let mut new = 0;
            for row in page.iter().filter(|row| said.insert(row.id)) {
                say_line(ctx, &value(row));
                new += 1;
            }
            if new == 0 {
                break;
            }
        }
        if over || out::gone() {
            return Ok(0);
        }
        pause(stop, "stopped reading; the run goes on")?;
    }
}

/// Waits a moment; a stop ends the verb, not the run.
fn pause(stop: &Stop, words: &str) -> Result<(), Fail> {
    if stop.asked() {
        return Err(Fail::new(code::INTERRUPTED, words));
    }
    std::thread::sleep(LOOK);
    Ok(())
}

fn say_line(ctx: &Context<'_>, line: &Value) {
    if ctx.out.json() {
        say!("{line}");
    } else {
        say_text(line);
    }
}

fn say_text(line: &Value) {
    let time = out::text(&line["ts"]);
    say!(
        "{}  {:<5} {}#{}  {}",
        time.get(..23).map_or(time.clone(), |cut| format!("{cut}Z")),
        out::text(&line["level"]),
        out::text(&line["step"]),
        line["attempt"],
        out::text(&line["message"])
    );
}

/// `traider run watch`: on a terminal the run as it stands, drawn again and again; else a line per change.
pub fn watch(ctx: &Context<'_>, db: &Database, stop: &Stop, run: &str) -> Result<u8, Fail> {
    let run = db.ask(view::find_run(&db.store, run))?;
    super::start::note_without_worker(ctx, db)?;
    let drawn = out::styled() && !ctx.out.json();
    let (mut before, mut shown) = (BTreeMap::new(), Vec::new());
    loop {
        let detail = db.ask(view::show_run(&db.store, &run))?;
        let over = ended(&detail.run.state);
        if drawn {
            let lines = show::lines(&detail, Utc::now());
            if lines != shown {
                // Clears the screen and begins at its top.
                say!("\x1b[2J\x1b[H{}", lines.join("\n"));
            }
            shown = lines;
        } else if !ctx.out.json() {
            say_changes(&detail, &mut before);
        }
        if over {
            ctx.out.value(&to_json(&detail), |_| {
                if !drawn {
                    show::say(&detail);
                }
            });
            return Ok(u8::from(detail.run.state != "done"));
        }
        if out::gone() {
            return Ok(0);
        }
        pause(stop, "stopped watching; the run goes on")?;
    }
}

/// A line for every step that is not as it was.
fn say_changes(detail: &RunDetail, before: &mut BTreeMap<String, (String, i32)>) {
    for step in &detail.steps_detail {
        let now = (step.state.clone(), step.attempt);
        if before.get(&step.name) == Some(&now) {
            continue;
        }
        let first = before.insert(step.name.clone(), now).is_none();
        if first && step.state == "waiting" {
            continue;
        }
        let error = if step.error.is_some() { format!("  {}", show::error(step)) } else { String::new() };
        let attempt = if step.attempt > 1 { format!(" (try {})", step.attempt) } else { String::new() };
        say!("{}  {}  {}{attempt}{error}", Utc::now().format("%FT%TZ"), step.name, step.state);
    }
}
