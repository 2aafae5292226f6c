//! `traider workflow`: definitions, looked at and checked. `check`, `fmt`, `schema` and `graph` need no database.

use crate::cli::{Context, GraphFormat, WorkflowVerb};
use crate::database::{Database, catalogue_fail, find_workflow, with_database, workflows};
use crate::fail::{Fail, code};
use crate::{out, words};
use flows::catalogue::{self, CatalogueError};
use flows::{Workflow, format, problem::Problem};
use serde_json::{Value, json};
use settings::home::write_durably;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use store::view::{self, LastRunRow};

/// Runs the verb.
pub fn workflow(ctx: &Context<'_>, verb: &WorkflowVerb) -> Result<u8, Fail> {
    match verb {
        WorkflowVerb::List => list(ctx),
        WorkflowVerb::Show { workflow } => show(ctx, workflow),
        WorkflowVerb::Check { files } => check(ctx, files),
        WorkflowVerb::Fmt { check, files } => fmt(ctx, *check, files),
        WorkflowVerb::Schema => {
            say!("{:#}", flows::json_schema());
            Ok(0)
        }
        WorkflowVerb::Graph { workflow, format } => graph(ctx, workflow, *format),
        WorkflowVerb::Diff { workflow, from } => diff(ctx, workflow, *from),
    }
}

fn list(ctx: &Context<'_>) -> Result<u8, Fail> {
    let (all, wrong) = flows::load_all(&workflows(ctx));
    let last = with_last_runs(ctx, all.keys().cloned().collect())?;
    let rows: Vec<Value> = all.values().map(|flow| brief(flow, last.get(flow.name()))).collect();
    let wrong: Vec<Value> =
        wrong.iter().map(|(path, error)| json!({"file": path, "error": store::error::chain(error)})).collect();
    ctx.out.value(&json!({"workflows": rows, "wrong": wrong}), |_| {
        let row = |flow: &Workflow| {
            let run = last.get(flow.name());
            vec![
                flow.name().to_owned(),
                words::or_dash(run, |run| format!("v{}", run.version)),
                words::or_dash(run, |run| format!("{} {}", run.partition, run.state)),
                schedule(flow).unwrap_or_else(|| "-".to_owned()),
                kind(flow),
                flow.file().step.len().to_string(),
                flow.origin().to_string().replace('_', "-"),
            ]
        };
        let titles = ["WORKFLOW", "VERSION", "LAST RUN", "SCHEDULE", "PARTITION", "STEPS", "FROM"];
        out::grid(&titles, &["STEPS"], all.values().map(row).collect());
    });
    if !wrong.is_empty() {
        let files = words::many(wrong.len(), "file");
        ctx.out.note(&format!("{files} left out because wrong; `traider workflow check` names each place"));
    }
    Ok(0)
}

/// The newest runs by workflow.
fn with_last_runs(ctx: &Context<'_>, names: Vec<String>) -> Result<BTreeMap<String, LastRunRow>, Fail> {
    let mut rows = Vec::new();
    with_database(ctx, |db, _| {
        rows = db.ask(view::last_runs(&db.store, &names))?;
        Ok(0)
    })?;
    Ok(rows.into_iter().map(|row| (row.workflow.clone(), row)).collect())
}

fn brief(flow: &Workflow, last: Option<&LastRunRow>) -> Value {
    json!({
        "workflow": flow.name(), "description": flow.file().description, "sha256": flow.sha256(),
        "schedule": flow.definition()["schedule"], "partition": flow.definition()["partition"],
        "steps": flow.file().step.len(), "origin": flow.origin().to_string(), "last_run": last,
    })
}

fn schedule(flow: &Workflow) -> Option<String> {
    let schedule = flow.file().schedule.as_ref()?;
    Some(format!("{} {}", schedule.cron.get_ref(), schedule.timezone.get_ref()))
}

/// The kind of its partitions, as it is written in the file.
fn kind(flow: &Workflow) -> String {
    out::text(&flow.definition()["partition"]["kind"])
}

fn show(ctx: &Context<'_>, name: &str) -> Result<u8, Fail> {
    let flow = find_workflow(ctx, name)?;
    let last = with_last_runs(ctx, vec![name.to_owned()])?.remove(name);
    let mut shown = brief(&flow, last.as_ref());
    shown["definition"] = flow.definition().clone();
    ctx.out.value(&shown, |_| {
        say!("{}  {}", flow.name(), flow.file().description);
        let line = |title: &str, words: String| say!("{title:<10} {words}");
        line("from", format!("{} (sha {})", flow.origin().to_string().replace('_', "-"), words::short(flow.sha256())));
        if !flow.file().owner.is_empty() {
            line("owner", flow.file().owner.clone());
        }
        line("schedule", schedule(&flow).map_or_else(|| "none: it runs when asked to".to_owned(), rules(&flow)));
        let newest = flow.newest_partition(chrono::Utc::now());
        line(
            "partition",
            newest.map_or_else(|| kind(&flow), |newest| format!("{}, newest complete {newest}", kind(&flow))),
        );
        let params = flow.definition()["params"].as_object().cloned().unwrap_or_default();
        for (name, default) in &params {
            line("param", format!("{name} = {default}"));
        }
        let ran = |run: LastRunRow| {
            let same = if run.sha256 == flow.sha256() { "" } else { "; the file changed since: see `workflow diff`" };
            format!("v{} {} {} (run {}){same}", run.version, run.partition, run.state, run.run)
        };
        line("last run", last.map_or_else(|| "never".to_owned(), ran));
        say!();
        steps(&flow);
    });
    Ok(0)
}

/// Adds the rules of catching up to the words of a schedule.
fn rules(flow: &Workflow) -> impl Fn(String) -> String {
    let rules = &flow.definition()["schedule"];
    let rules = format!("catch-up {}, overlap {}", out::text(&rules["catchup"]), out::text(&rules["overlap"]));
    move |cron| format!("{cron}  ({rules})")
}

fn steps(flow: &Workflow) {
    let span = |span: Option<flows::file::Span>| span.or(flow.file().defaults.timeout);
    let rows = flow.graph().into_iter().filter_map(|(name, needs)| {
        let step = flow.file().step.iter().find(|step| step.name.get_ref() == name)?;
        let own = spec::jobs::kind(step.job.get_ref()).ok().map(|kind| kind.queue);
        let queue = step.queue.or(flow.file().defaults.queue).or(own);
        let each = step.for_each.as_ref().map_or_else(String::new, |each| format!("[{}]", each.get_ref()));
        let retry = step.retry.as_ref().or(flow.file().defaults.retry.as_ref()).and_then(|retry| retry.max);
        Some(vec![
            format!("{name}{each}"),
            step.job.get_ref().clone(),
            words::or_dash(queue, |queue| queue.name().to_owned()),
            words::or_dash(span(step.timeout), |span| span.to_string()),
            words::or_dash(retry, |max| max.to_string()),
            if needs.is_empty() { "-".to_owned() } else { needs.join(", ") },
        ])
    });
    out::grid(&["STEP", "JOB", "QUEUE", "TIMEOUT", "TRIES", "NEEDS"], &["TRIES"], rows.collect());
}

/// One file that was checked: its name as shown, the workflow in it or what is wrong.
type Checked = (String, Result<String, Vec<Problem>>);

fn check(ctx: &Context<'_>, files: &[PathBuf]) -> Result<u8, Fail> {
    let checked: Vec<Checked> =
        if files.is_empty() { check_all(ctx) } else { files.iter().map(|f| check_file(f)).collect() };
    let wrong: usize = checked.iter().filter(|(_, found)| found.is_err()).count();
    let row = |(file, found): &Checked| match found {
        Ok(workflow) => json!({"file": file, "workflow": workflow, "problems": []}),
        Err(problems) => {
            let problems = problems.iter().map(|p| json!({"line": p.line, "column": p.column, "what": p.what}));
            json!({"file": file, "workflow": null, "problems": problems.collect::<Vec<_>>()})
        }
    };
    let rows: Vec<Value> = checked.iter().map(row).collect();
    ctx.out.value(&json!({"ok": wrong == 0, "files": rows}), |_| {
        for (_, found) in &checked {
            for problem in found.as_ref().err().into_iter().flatten() {
                // A file that cannot be read has no place in it.
                if problem.line == 0 { say!("{}: {}", problem.file, problem.what) } else { say!("{problem}") }
            }
        }
        let right = words::many(checked.len() - wrong, "workflow");
        if wrong == 0 {
            say!("{right} checked, nothing wrong");
        } else {
            say!("{} wrong, {right} right", words::many(wrong, "file"));
        }
    });
    Ok(if wrong == 0 { 0 } else { code::CONFIG })
}

/// The home's files and the built-in ones they do not replace.
fn check_all(ctx: &Context<'_>) -> Vec<Checked> {
    let (all, wrong) = flows::load_all(&workflows(ctx));
    let fine = all.into_values().map(|flow| (flow.origin().to_string().replace('_', "-"), Ok(flow.name().to_owned())));
    let wrong = wrong.into_iter().map(|(path, error)| {
        let file = path.display().to_string();
        (file.clone(), Err(problems(&file, error)))
    });
    fine.chain(wrong).collect()
}

fn check_file(path: &Path) -> Checked {
    let file = path.display().to_string();
    let found = catalogue::read(path).map(|flow| flow.name().to_owned()).map_err(|error| problems(&file, error));
    (file, found)
}

fn problems(file: &str, error: CatalogueError) -> Vec<Problem> {
    match error {
        CatalogueError::Wrong(problems) => problems.0,
        // A read error names the file already.
        CatalogueError::Read { source, .. } => {
            vec![Problem { file: file.to_owned(), line: 0, column: 0, what: format!("cannot be read: {source}") }]
        }
        other => vec![Problem { file: file.to_owned(), line: 1, column: 1, what: other.to_string() }],
    }
}

fn fmt(ctx: &Context<'_>, check: bool, files: &[PathBuf]) -> Result<u8, Fail> {
    // All are read before any is written, so that a wrong one leaves all as they are.
    let mut laid_out = Vec::new();
    for path in files {
        let shown = path.display().to_string();
        if path.extension().is_some_and(|ext| ext == "json") {
            return Err(Fail::new(code::USAGE, format!("`{shown}` is JSON; only TOML files are laid out")));
        }
        let text = fs::read_to_string(path).map_err(Fail::doing(format!("cannot read `{shown}`")))?;
        let new = format(&text).map_err(|e| Fail::new(code::CONFIG, e.in_file(&shown).to_string()))?;
        laid_out.push((path, shown, text != new, new));
    }
    let changed: Vec<&str> = laid_out.iter().filter(|(_, _, changed, _)| *changed).map(|f| f.1.as_str()).collect();
    if !check {
        for (path, shown, _, new) in laid_out.iter().filter(|(_, _, changed, _)| *changed) {
            // A link stays one: what it points to is written.
            let target = fs::canonicalize(path).map_err(Fail::doing(format!("cannot write `{shown}`")))?;
            write_durably(&target, new.as_bytes()).map_err(Fail::doing(format!("cannot write `{shown}`")))?;
        }
    }
    let said = json!({"checked_only": check, "files": files.len(), "changed": changed});
    ctx.out.value(&said, |_| {
        for file in &changed {
            say!("{} {file}", if check { "would change" } else { "changed" });
        }
        if changed.is_empty() {
            say!("{} in the canonical layout already", words::many(files.len(), "file"));
        }
    });
    Ok(if check && !changed.is_empty() { code::FAILURE } else { 0 })
}

fn graph(ctx: &Context<'_>, name: &str, format: GraphFormat) -> Result<u8, Fail> {
    let flow = find_workflow(ctx, name)?;
    let (kind, picture) = match format {
        GraphFormat::Text => ("text", flow.graph_text()),
        GraphFormat::Dot => ("dot", flow.graph_dot()),
        GraphFormat::Mermaid => ("mermaid", flow.graph_mermaid()),
    };
    let edges: Vec<Value> =
        flow.graph().into_iter().map(|(step, needs)| json!({"step": step, "needs": needs})).collect();
    let said = json!({"workflow": name, "format": kind, "picture": picture, "steps": edges});
    ctx.out.value(&said, |_| say!("{}", picture.trim_end()));
    Ok(0)
}

fn diff(ctx: &Context<'_>, name: &str, from: Option<i32>) -> Result<u8, Fail> {
    let new = find_workflow(ctx, name)?;
    with_database(ctx, |db, _| {
        let (version, old) = old_version(db, name, from)?;
        let changes = flows::diff(&old, &new);
        let rows: Vec<Value> = changes.iter().map(|c| json!({"at": c.at, "old": c.old, "new": c.new})).collect();
        let said = json!({
            "workflow": name, "from": version, "from_sha256": old.sha256(), "to_sha256": new.sha256(), "changes": rows,
        });
        ctx.out.value(&said, |_| {
            let file = new.origin().to_string().replace('_', "-");
            say!(
                "{name} v{version} (sha {}) -> {file} (sha {})",
                words::short(old.sha256()),
                words::short(new.sha256())
            );
            for change in &changes {
                say!("  {change}");
            }
            if changes.is_empty() {
                say!("  no change of meaning");
            }
        });
        Ok(0)
    })
}

/// The version asked for, or the one that was run last.
fn old_version(db: &Database, name: &str, from: Option<i32>) -> Result<(i32, Workflow), Fail> {
    let versions = db.ask(view::versions(&db.store, name))?;
    let last = db.ask(view::last_runs(&db.store, &[name.to_owned()]))?.pop();
    let Some(wanted) = from.or(last.map(|run| run.version)) else {
        return Err(Fail::plain(format!("`{name}` was never run, so there is no version to compare with")));
    };
    let Some(version) = versions.iter().find(|version| version.version == wanted) else {
        let known: Vec<String> = versions.iter().map(|version| version.version.to_string()).collect();
        let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        return Err(Fail::plain(format!("`{name}` has no version {wanted}; versions that were run: {known}")));
    };
    let old = Workflow::from_definition(&version.definition)
        .map_err(|e| catalogue_fail(&CatalogueError::Wrong(e.in_file(&format!("{name} v{wanted}")))))?;
    Ok((wanted, old))
}
