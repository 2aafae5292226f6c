//! Brings the journals of the home into the lake: trades, quotes, book changes and one-minute candles of one UTC day.
//!
//! What is the same fact is kept once, however many runs recorded it: trades by id, quotes by update id, book messages by their
//! ids. When two runs tell a fact differently the older run is believed, and the conflict is counted. A trade belongs
//! to the day of the venue's clock, a quote (which has none) to the day it was received. Made-up markets go to a venue
//! of their own name (`binance-demo`).
//!
//! An hour ([`hour`]) brings the day so far: everything that was received before the hour's end. Only complete records
//! count, the torn end of a growing journal is left for the next hour. Its version says until when it reaches, so that
//! it never takes the place of a later hour's, nor of the whole day's.
//!
//! The whole day of one home is held in memory while it is put in order; [`collect::ROWS_MAX`] bounds it.

pub mod candles;
pub mod collect;

use crate::step::{Scope, code, output_of};
use crate::{DataError, runs};
use collect::{Day, Series};
use lake::{CandleRow, Lake, LevelRow, Lineage, Manifest, Partition, QuoteRow, Row, TableMeta, TradeRow};
use serde_json::{Value, json};
use settings::Home;
use spec::JobSpec;
use spec::jobs::{IngestHour, IngestJournal};
use store::{AssetVersion, StepContext, StepError, StepOutcome};

/// An hour, ns.
const HOUR_NS: i64 = 3_600_000_000_000;
/// The fact of a version that reaches only so far: ns since 1970 UTC, by our clock. A whole day's has none.
const UNTIL: &str = "until_ns";

/// What one ingest did.
#[derive(Debug, Default)]
pub struct Ingested {
    /// Runs read, with a version each.
    pub inputs: Vec<(String, String)>,
    /// Partitions, new or as they were.
    pub outputs: Vec<AssetVersion>,
    /// Numbers for people.
    pub summary: Value,
}

/// The step `ingest-journal`.
///
/// # Errors
/// [`StepError`].
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: IngestJournal = ctx.input()?;
    let cancel = ctx.cancel.clone();
    let done = ingest(&ctx.home, &job, move || cancel.is_cancelled()).await?;
    Ok(told(&ctx, done))
}

/// The step `ingest-hour`.
///
/// # Errors
/// [`StepError`].
pub async fn run_hour(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: IngestHour = ctx.input()?;
    let cancel = ctx.cancel.clone();
    let done = hour(&ctx.home, &job, move || cancel.is_cancelled()).await?;
    Ok(told(&ctx, done))
}

fn told(ctx: &StepContext, done: Ingested) -> StepOutcome {
    ctx.log.info(&format!("{} partitions from {} runs", done.outputs.len(), done.inputs.len()));
    if done.summary["conflicts"] != 0 {
        ctx.log
            .warn(&format!("{} facts were told differently by two runs; the older is kept", done.summary["conflicts"]));
    }
    for damage in done.summary["damaged"].as_array().into_iter().flatten() {
        ctx.log.warn(&format!("a journal was read only up to its damage: {damage}"));
    }
    StepOutcome { inputs: done.inputs, outputs: done.outputs, summary: done.summary, writes: Vec::new() }
}

/// Ingests the day of `job` out of the home's journals; `stop` ends it early.
///
/// # Errors
/// [`DataError`]; a damaged journal is read up to its damage and named in the summary.
pub async fn ingest(
    home: &Home,
    job: &IngestJournal,
    stop: impl Fn() -> bool + Send + 'static,
) -> Result<Ingested, DataError> {
    let scope = Scope::new(&job.day, job.venue.as_deref(), &job.symbols)?;
    bring(home, scope, stop).await
}

/// Ingests the day of the hour as it was at the hour's end; `stop` ends it early.
///
/// # Errors
/// As [`ingest`].
pub async fn hour(
    home: &Home,
    job: &IngestHour,
    stop: impl Fn() -> bool + Send + 'static,
) -> Result<Ingested, DataError> {
    let wrong = || DataError::Usage(format!("`{}` is not an hour; write it like 2026-11-20T07", job.hour));
    let (day, of_day) = job.hour.split_once('T').ok_or_else(wrong)?;
    let of_day: i64 = of_day.parse().map_err(|_| wrong())?;
    let mut scope = Scope::new(day, job.venue.as_deref(), &job.symbols)?;
    scope.until_ns = Some(scope.day.start_ns() + (of_day + 1) * HOUR_NS);
    bring(home, scope, stop).await
}

async fn bring(home: &Home, scope: Scope, stop: impl Fn() -> bool + Send + 'static) -> Result<Ingested, DataError> {
    let mut runs = runs::all(home)?;
    // Oldest first: the first to tell a fact is believed.
    runs.sort_by_key(|r| (r.manifest.created_ns, r.manifest.run_id.clone()));
    let day_scope = scope.clone();
    let read = tokio::task::spawn_blocking(move || collect::collect(&runs, &day_scope, &stop));
    let day = read.await.map_err(|e| DataError::Value(format!("reading the journals failed: {e}")))??;
    publish(home, &scope, day).await
}

async fn publish(home: &Home, scope: &Scope, day: Day) -> Result<Ingested, DataError> {
    let lake = Lake::local(&home.lake())?;
    let mut done = Ingested::default();
    let (mut new, mut kept, mut conflicts) = (0u64, 0u64, 0u64);
    let step = if scope.until_ns.is_some() { IngestHour::NAME } else { IngestJournal::NAME };
    for ((venue, symbol), series) in &day.series {
        conflicts += series.conflicts;
        let (price, qty) = series.scales;
        let partition = Partition::new("trades", venue, symbol, scope.day)?;
        let lineage = Lineage { parents: series.runs.iter().cloned().collect(), code: code(step) };
        let trades = series.trades()?;
        let candles = candles::candles(&trades, scope.day, series.before, series.after)?;
        let mut put = Put {
            home,
            lake: &lake,
            partition: &partition,
            series,
            lineage: &lineage,
            scales: (price, qty),
            until_ns: scope.until_ns,
            kept: 0,
        };
        let published = [
            put.rows::<TradeRow>(&trades).await?,
            put.rows::<CandleRow>(&candles).await?,
            put.rows::<QuoteRow>(&series.quotes()?).await?,
            put.rows::<LevelRow>(&series.levels()?).await?,
        ];
        kept += put.kept;
        for (version, is_new) in published.into_iter().flatten() {
            new += u64::from(is_new);
            done.outputs.push(version);
        }
    }
    done.inputs = day.runs;
    done.summary = json!({
        "day": scope.day, "instruments": day.series.len(), "runs": done.inputs.len(),
        "partitions": done.outputs.len(), "partitions_new": new, "conflicts": conflicts,
        "damaged": day.damaged,
    });
    if scope.until_ns.is_some() {
        done.summary["partitions_kept"] = json!(kept);
    }
    Ok(done)
}

struct Put<'a> {
    home: &'a Home,
    lake: &'a Lake,
    partition: &'a Partition,
    series: &'a Series,
    lineage: &'a Lineage,
    scales: (u8, u8),
    until_ns: Option<i64>,
    /// Partitions whose newest version reaches further.
    kept: u64,
}

impl Put<'_> {
    async fn rows<R: Row>(&mut self, rows: &[R]) -> Result<Option<(AssetVersion, bool)>, DataError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let partition = self.partition.of_dataset(R::DATASET)?;
        let mut meta = TableMeta::of::<R>(self.scales.0, self.scales.1);
        meta.facts.insert("tick".to_owned(), self.series.tick.clone());
        meta.facts.insert("lot".to_owned(), self.series.lot.clone());
        meta.facts.extend(self.until_ns.map(|until| (UNTIL.to_owned(), until.to_string())));
        let reaches_further = |newest: &Manifest| {
            self.until_ns.is_some_and(|mine| {
                newest.facts.get(UNTIL).and_then(|ns| ns.parse().ok()).is_none_or(|theirs: i64| theirs > mine)
            })
        };
        let published = self.lake.publish_rows_unless(&partition, rows, &meta, self.lineage, &reaches_further).await?;
        let Some(published) = published else {
            self.kept += 1;
            return Ok(None);
        };
        Ok(Some((output_of(self.home, &partition, &published.manifest), published.new)))
    }
}
