//! `traider asset`: what steps made, from what, and what is older than it should be.

use crate::cli::{AssetVerb, Context};
use crate::database::{Database, with_database};
use crate::fail::Fail;
use crate::{out, queues, words};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::assets::{self, AssetRow, LineageRow};
use store::view;

/// Alerts looked through for stale ones.
const ALERTS_MAX: i64 = 10_000;

/// Runs the verb.
pub fn asset(ctx: &Context<'_>, verb: &AssetVerb) -> Result<u8, Fail> {
    with_database(ctx, |db, _| match verb {
        AssetVerb::List { prefix, limit } => {
            let prefix = prefix.as_deref().map(|prefix| prefix.trim_end_matches('/'));
            let rows = db.ask(assets::list(&db.store, prefix, *limit))?;
            ctx.out.value(&json!({"assets": rows}), |_| list(&rows));
            Ok(0)
        }
        AssetVerb::Show { asset, partition } => show(ctx, db, asset, partition.as_deref()),
        AssetVerb::Lineage { asset, partition } => lineage(ctx, db, asset, partition),
        AssetVerb::Stale => {
            let all = db.ask(store::alert::list(&db.store, false, ALERTS_MAX))?;
            let stale: Vec<_> = all.into_iter().filter(|alert| alert.kind == "stale").collect();
            ctx.out.value(&json!({"stale": stale}), |_| {
                if stale.is_empty() {
                    say!("nothing is stale");
                } else {
                    queues::alerts(&stale);
                }
            });
            Ok(0)
        }
    })
}

fn list(rows: &[AssetRow]) {
    let row = |row: &AssetRow| {
        vec![
            row.version.asset.clone(),
            row.version.partition.clone(),
            words::count(row.version.rows),
            words::count(row.version.bytes),
            words::short(&row.version.sha256).to_owned(),
            words::moment(row.made_at),
            row.step.clone(),
            row.run.clone(),
        ]
    };
    let titles = ["ASSET", "PARTITION", "ROWS", "BYTES", "SHA", "MADE (UTC)", "BY STEP", "OF RUN"];
    out::grid(&titles, &["ROWS", "BYTES"], rows.iter().map(row).collect());
}

fn show(ctx: &Context<'_>, db: &Database, asset: &str, partition: Option<&str>) -> Result<u8, Fail> {
    let rows = match partition {
        Some(partition) => db.ask(assets::versions(&db.store, asset, partition))?,
        None => {
            let mut rows = db.ask(assets::list(&db.store, Some(asset), i64::from(i32::MAX)))?;
            rows.retain(|row| row.version.asset == asset);
            rows
        }
    };
    if rows.is_empty() {
        return Err(none(asset, partition));
    }
    let what = if partition.is_some() { "versions" } else { "partitions" };
    ctx.out.value(&json!({"asset": asset, "partition": partition, what: rows}), |_| {
        list(&rows);
        if let Some(first) = rows.first() {
            say!("newest: {}", first.version.uri);
        }
    });
    Ok(0)
}

fn none(asset: &str, partition: Option<&str>) -> Fail {
    let of = partition.map_or_else(String::new, |partition| format!(" for partition {partition}"));
    Fail::plain(format!("there is no asset `{asset}`{of}; see: traider asset list"))
}

fn lineage(ctx: &Context<'_>, db: &Database, asset: &str, partition: &str) -> Result<u8, Fail> {
    let up = db.ask(assets::upstream(&db.store, asset, partition))?;
    let down = db.ask(assets::downstream(&db.store, asset, partition))?;
    let Some(root) = up.first() else { return Err(none(asset, Some(partition))) };
    let made_by = |row: &LineageRow| row.run.clone().zip(row.step.clone());
    let steps: BTreeSet<(String, String)> = up.iter().chain(&down).filter_map(made_by).collect();
    let asked: Vec<(&str, &str)> = steps.iter().map(|(run, step)| (run.as_str(), step.as_str())).collect();
    let mut read: BTreeMap<(String, String), Vec<Version>> = BTreeMap::new();
    for row in db.ask(view::inputs_of_steps(&db.store, &asked))? {
        read.entry((row.run, row.input.step)).or_default().push((row.input.asset, row.input.sha256));
    }
    let said = json!({
        "asset": asset, "partition": partition, "sha256": root.sha256,
        "upstream": rows(&up), "downstream": rows(&down),
    });
    ctx.out.value(&said, |_| {
        say!("{}", words_of(root));
        say!("made from:");
        Tree { rows: &up, below: &|row| upstream_of(&up, &read, row) }.say(root);
        say!("used for:");
        let used = |row: &LineageRow| downstream_of(&down, &read, row);
        Tree { rows: &down, below: &used }.say(root);
    });
    Ok(0)
}

/// Without the version asked about itself.
fn rows(lineage: &[LineageRow]) -> Vec<Value> {
    lineage.iter().filter(|row| row.depth > 0).map(|row| json!(row)).collect()
}

/// Asset and version.
type Version = (String, String);

/// True when a step that read this read that row: steps name what they read by its asset, or by `asset/partition`.
fn is((asset, sha): &Version, row: &LineageRow) -> bool {
    *sha == row.sha256 && (*asset == row.asset || *asset == format!("{}/{}", row.asset, row.partition))
}

fn upstream_of(all: &[LineageRow], read: &BTreeMap<Version, Vec<Version>>, row: &LineageRow) -> Vec<usize> {
    let step = row.run.clone().zip(row.step.clone());
    let inputs = step.and_then(|step| read.get(&step)).map_or(&[][..], Vec::as_slice);
    let is_input = |other: &LineageRow| inputs.iter().any(|input| is(input, other));
    (0..all.len()).filter(|n| is_input(&all[*n])).collect()
}

fn downstream_of(all: &[LineageRow], read: &BTreeMap<Version, Vec<Version>>, row: &LineageRow) -> Vec<usize> {
    let reads = |other: &LineageRow| {
        let step = other.run.clone().zip(other.step.clone());
        let inputs = step.and_then(|step| read.get(&step)).map_or(&[][..], Vec::as_slice);
        inputs.iter().any(|input| is(input, row))
    };
    (0..all.len()).filter(|n| all[*n].depth > 0 && reads(&all[*n])).collect()
}

/// A lineage as a tree; a version that was told already is not told again.
struct Tree<'a> {
    rows: &'a [LineageRow],
    below: &'a dyn Fn(&LineageRow) -> Vec<usize>,
}

impl Tree<'_> {
    fn say(&self, root: &LineageRow) {
        let mut told = BTreeSet::new();
        let first = (self.below)(root);
        if first.is_empty() {
            say!("  nothing that is on record");
        }
        self.branch(first, "  ", &mut told);
    }

    fn branch(&self, rows: Vec<usize>, indent: &str, told: &mut BTreeSet<usize>) {
        let last = rows.len().saturating_sub(1);
        for (at, n) in rows.into_iter().enumerate() {
            let (mark, deeper) = if at == last { ("`- ", "   ") } else { ("|- ", "|  ") };
            let below = (self.below)(&self.rows[n]);
            let again = !told.insert(n) && !below.is_empty();
            say!("{indent}{mark}{}{}", words_of(&self.rows[n]), if again { "  (see above)" } else { "" });
            if !again {
                self.branch(below, &format!("{indent}{deeper}"), told);
            }
        }
    }
}

fn words_of(row: &LineageRow) -> String {
    let by = match (&row.step, &row.run) {
        (Some(step), Some(run)) => format!("  by {step} of run {run}"),
        _ => "  from outside".to_owned(),
    };
    if row.asset.is_empty() {
        // A step that read it and made nothing.
        return by.trim_start().to_owned();
    }
    let partition = if row.partition.is_empty() { String::new() } else { format!(" {}", row.partition) };
    format!("{}{partition}  sha {}{by}", row.asset, words::short(&row.sha256))
}
