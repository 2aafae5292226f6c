//! The archive of runs' logs, `<home>/logs-archive`: a lake of its own with one partition per UTC day, so that a day is
//! written once, proven by hash, and read by whatever reads Parquet. And the step `clean-up`, which fills it.
//!
//! A day's table is dropped in the transaction that marks the step done, and only while it holds just what was archived.
//! Lines that come into a day that was archived before are added to what is there.

use crate::DataError;
use crate::step::code;
use chrono::{DateTime, Days, NaiveDate};
use lake::{Lake, LakeError, LineRow, Lineage, Manifest, Partition, Row, TableMeta};
use serde_json::json;
use settings::Home;
use spec::JobSpec;
use spec::jobs::CleanUp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use store::logs::LogRow;
use store::retention::{self, DropDay, Line};
use store::{AssetVersion, StepContext, StepError, StepOutcome, TxWrite, control};

/// The fact of a version that names the runs in it, with a space between.
const RUNS: &str = "runs";
/// Days ahead that have a table before anything is said on them.
const DAYS_AHEAD: u64 = 7;
const DAY: Duration = Duration::from_secs(86_400);

/// Where the archive is.
pub fn folder(home: &Home) -> PathBuf {
    home.root().join("logs-archive")
}

/// The step `clean-up`.
///
/// # Errors
/// [`StepError`].
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: CleanUp = ctx.input()?;
    let wrong = |e: chrono::ParseError| StepError::Permanent(format!("`{}` is not a day: {e}", job.day));
    let today: NaiveDate = job.day.parse().map_err(wrong)?;
    let ahead = (0..=DAYS_AHEAD).filter_map(|n| today.checked_add_days(Days::new(n))).collect::<Vec<_>>();
    let made = retention::make_days(&ctx.store, &ahead).await?;
    let first_kept = today.checked_sub_days(Days::new(u64::from(job.log_days))).unwrap_or(today);
    let (mut outcome, mut lines, mut days) = (StepOutcome::default(), 0, 0);
    for day in retention::days(&ctx.store).await?.into_iter().filter(|day| *day < first_kept) {
        ctx.cancel.check()?;
        let said = retention::lines(&ctx.store, day).await?;
        outcome.outputs.extend(archive(&ctx.home, day, &said).await?);
        outcome.writes.push(Box::new(DropDay::of(day, &said)) as Box<dyn TxWrite>);
        (lines, days) = (lines + said.len(), days + 1);
    }
    ctx.cancel.check()?;
    let messages = retention::forget_sent(&ctx.store, DAY * job.sent_days).await?;
    let tasks = forget_tasks(&ctx, DAY * job.task_days).await?;
    ctx.log.info(&format!(
        "{made} tables made; {lines} log lines of {days} days archived; {messages} messages, {tasks} tasks deleted"
    ));
    outcome.summary = json!({
        "day": job.day, "tables_made": made, "days_archived": days, "lines_archived": lines, "messages_deleted": messages,
        "tasks_deleted": tasks,
    });
    Ok(outcome)
}

/// Tasks go in batches.
async fn forget_tasks(ctx: &StepContext, age: Duration) -> Result<u64, StepError> {
    let mut deleted = 0;
    loop {
        ctx.cancel.check()?;
        match control::prune(&ctx.store, age).await? {
            0 => return Ok(deleted),
            some => deleted += some,
        }
    }
}

/// Adds the lines of a day to the archive; `None` when there is nothing to add to nothing.
async fn archive(home: &Home, day: NaiveDate, said: &[Line]) -> Result<Option<AssetVersion>, DataError> {
    let lake = Lake::local(&folder(home))?;
    let partition = Partition::new(LineRow::DATASET, "traider", "steps", day.to_string().parse()?)?;
    let mut all: BTreeMap<i64, LineRow> = BTreeMap::new();
    match lake.read_rows::<LineRow>(&partition).await {
        Ok((_, rows)) => all.extend(rows.into_iter().map(|row| (row.id, row))),
        Err(LakeError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    for line in said {
        let row = row_of(line)?;
        // A number is given once; another line under it would be lost without a word.
        if all.insert(line.id, row.clone()).is_some_and(|known| known != row) {
            return Err(DataError::Value(format!("line {} of {day} is archived with another content", line.id)));
        }
    }
    if all.is_empty() {
        return Ok(None);
    }
    let rows: Vec<LineRow> = all.into_values().collect();
    let runs: BTreeSet<&str> = rows.iter().map(|row| row.run.as_str()).collect();
    let facts = BTreeMap::from([(RUNS.to_owned(), runs.into_iter().collect::<Vec<_>>().join(" "))]);
    let meta = TableMeta { scales: BTreeMap::new(), facts };
    let lineage = Lineage { parents: Vec::new(), code: code(CleanUp::NAME) };
    let published = lake.publish_rows(&partition, &rows, &meta, &lineage).await?;
    Ok(Some(version(home, &partition, &published.manifest)))
}

fn row_of(line: &Line) -> Result<LineRow, DataError> {
    let ts_ns = line.ts.timestamp_nanos_opt();
    Ok(LineRow {
        id: line.id,
        run: line.run.clone(),
        step: line.step.clone(),
        attempt: line.attempt,
        ts_ns: ts_ns.ok_or_else(|| DataError::Value(format!("the time of line {} does not fit", line.id)))?,
        level: line.level.clone(),
        message: line.message.clone(),
    })
}

fn version(home: &Home, partition: &Partition, manifest: &Manifest) -> AssetVersion {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    AssetVersion {
        asset: "log/runs".to_owned(),
        partition: partition.day().to_string(),
        sha256: manifest.content_hash(),
        uri: folder(home).join(partition.folder()).display().to_string(),
        rows: signed(manifest.rows),
        bytes: signed(manifest.bytes()),
        min_ts_ns: manifest.min_ts_ns,
        max_ts_ns: manifest.max_ts_ns,
        schema_hash: manifest.schema_hash.clone(),
    }
}

/// The lines of a run that are in the archive, in order. Those of younger days are in the database
/// ([`store::logs::read`]); a run that is just being archived may be in both, by the same numbers.
///
/// # Errors
/// [`DataError`] when the archive cannot be read or a file is not what its manifest says.
pub async fn archived_log(home: &Home, run: &str) -> Result<Vec<LogRow>, DataError> {
    let root = folder(home);
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let lake = Lake::local(&root)?;
    let holds = |manifest: &Manifest| manifest.facts.get(RUNS).is_some_and(|runs| runs.split(' ').any(|r| r == run));
    let mut lines = Vec::new();
    for (partition, _) in lake.list().await?.into_iter().filter(|(_, manifest)| holds(manifest)) {
        let (_, rows) = lake.read_rows::<LineRow>(&partition).await?;
        lines.extend(rows.into_iter().filter(|row| row.run == run).map(|row| LogRow {
            id: row.id,
            step: row.step,
            attempt: row.attempt,
            ts: DateTime::from_timestamp_nanos(row.ts_ns),
            level: row.level,
            message: row.message,
        }));
    }
    lines.sort_by_key(|line| line.id);
    Ok(lines)
}
