//! Judges a day in the lake and writes what it found as a `quality` artefact per instrument.
//!
//! What can happen to good recordings (gaps, late trades, a recorder's wrong clock) is reported. What cannot be true
//! (a trade id twice, a price of nothing, a bid above its ask, candles that are not those of their trades) fails the
//! step, because whatever is built on it would be wrong.

use crate::DataError;
use crate::ingest::candles::{MINUTE_NS, candles};
use crate::step::{Scope, code, input_of, output_of, partitions};
use lake::{CandleRow, Day, Lake, LakeError, LevelRow, Lineage, Manifest, Partition, QuoteRow, Row, TradeRow};
use serde_json::{Value, json};
use settings::Home;
use spec::jobs::ValidateDay;
use store::{AssetVersion, StepContext, StepError, StepOutcome};

/// Examples listed of each kind of finding.
const SHOWN: usize = 20;

/// The verdict on one day.
#[derive(Debug, Default)]
pub struct Validated {
    /// What was looked at.
    pub inputs: Vec<(String, String)>,
    /// The artefacts.
    pub outputs: Vec<AssetVersion>,
    /// Findings per instrument.
    pub reports: Vec<(String, Value)>,
    /// What cannot be true, in words.
    pub contradictions: Vec<String>,
}

/// The step `validate-day`.
///
/// # Errors
/// [`StepError::Permanent`] when the data contradict themselves, else as reading the lake fails.
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: ValidateDay = ctx.input()?;
    let cancel = ctx.cancel.clone();
    let done = validate(&ctx.home, &job, move || cancel.is_cancelled()).await?;
    for (instrument, report) in &done.reports {
        ctx.log.info(&format!("{instrument}: {report}"));
    }
    if !done.contradictions.is_empty() {
        return Err(StepError::Permanent(format!("the day contradicts itself: {}", done.contradictions.join("; "))));
    }
    let reports: serde_json::Map<String, Value> = done.reports.into_iter().collect();
    let summary = json!({ "day": job.day, "instruments": reports });
    Ok(StepOutcome { inputs: done.inputs, outputs: done.outputs, summary, writes: Vec::new() })
}

/// Judges the day of `job` in the home's lake; `stop`, asked before each instrument, ends it early.
///
/// # Errors
/// [`DataError`] when the lake cannot be read, a file is not what its manifest says, or it was asked to stop.
pub async fn validate(home: &Home, job: &ValidateDay, stop: impl Fn() -> bool + Send) -> Result<Validated, DataError> {
    let scope = Scope::new(&job.day, job.venue.as_deref(), &job.symbols)?;
    let lake = Lake::local(&home.lake())?;
    let mut done = Validated::default();
    for partition in partitions(&lake, &scope, TradeRow::DATASET).await? {
        if stop() {
            return Err(DataError::Cancelled);
        }
        let from = done.inputs.len();
        let report = judge(&lake, &partition, &mut done).await?;
        let quality = partition.of_dataset("quality")?;
        let parents = done.inputs[from..].iter().map(|(asset, version)| format!("{asset}@{version}")).collect();
        let lineage = Lineage { parents, code: code("validate-day") };
        let published = lake.publish_json(&quality, &report, &lineage).await?;
        done.outputs.push(output_of(home, &quality, &published.manifest));
        done.reports.push((format!("{}/{}", partition.venue(), partition.instrument()), report));
    }
    Ok(done)
}

async fn judge(lake: &Lake, partition: &Partition, done: &mut Validated) -> Result<Value, DataError> {
    let before = done.contradictions.len();
    let trades: Vec<TradeRow> = read(lake, partition, done).await?;
    let stored: Vec<CandleRow> = read(lake, partition, done).await?;
    let quotes: Vec<QuoteRow> = read(lake, partition, done).await?;
    let levels: Vec<LevelRow> = read(lake, partition, done).await?;
    let mut wrong = Vec::new();
    let mut report = json!({
        "day": partition.day(), "venue": partition.venue(), "instrument": partition.instrument(),
        "trades": judge_trades(&trades, &mut wrong),
        "quotes": judge_quotes(&quotes, &mut wrong),
        "book": judge_book(&levels),
        "candles": judge_candles(&stored, &trades, partition.day(), &mut wrong)?,
        "clock_offset_ms": clock_offset(&trades, &levels),
    });
    let name = format!("{}/{}", partition.venue(), partition.instrument());
    done.contradictions.extend(wrong.into_iter().map(|what| format!("{name}: {what}")));
    report["contradictions"] = json!(done.contradictions[before..]);
    Ok(report)
}

async fn read<R: Row>(lake: &Lake, partition: &Partition, done: &mut Validated) -> Result<Vec<R>, DataError> {
    let partition = partition.of_dataset(R::DATASET)?;
    let read: Result<(Manifest, Vec<R>), LakeError> = lake.read_rows(&partition).await;
    match read {
        Ok((manifest, rows)) => {
            done.inputs.push(input_of(&partition, &manifest));
            Ok(rows)
        }
        Err(LakeError::Missing(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn judge_trades(trades: &[TradeRow], wrong: &mut Vec<String>) -> Value {
    let pairs = || trades.windows(2).map(|w| (&w[0], &w[1]));
    let gaps: Vec<Value> = pairs()
        .filter(|(a, b)| b.trade_id > a.trade_id + 1)
        .map(|(a, b)| json!({ "after": a.trade_id, "missing": b.trade_id - a.trade_id - 1 }))
        .collect();
    let missing: i64 = pairs().map(|(a, b)| (b.trade_id - a.trade_id - 1).max(0)).sum();
    let twice = pairs().filter(|(a, b)| b.trade_id <= a.trade_id).count();
    let back = pairs().filter(|(a, b)| b.ts_venue_ns < a.ts_venue_ns).count();
    let nothing = trades.iter().filter(|t| t.price <= 0 || t.qty <= 0).count();
    if twice > 0 {
        wrong.push(format!("{twice} trade ids do not count up"));
    }
    if nothing > 0 {
        wrong.push(format!("{nothing} trades without price or size"));
    }
    json!({
        "rows": trades.len(), "first_id": trades.first().map(|t| t.trade_id), "last_id": trades.last().map(|t| t.trade_id),
        "gaps": gaps.len(), "missing": missing, "gaps_shown": gaps.iter().take(SHOWN).collect::<Vec<_>>(),
        "times_back": back,
    })
}

fn judge_quotes(quotes: &[QuoteRow], wrong: &mut Vec<String>) -> Value {
    let crossed = quotes.iter().filter(|q| q.bid_price >= q.ask_price && q.bid_qty > 0 && q.ask_qty > 0).count();
    let back = quotes.windows(2).filter(|w| w[1].ts_recv_ns < w[0].ts_recv_ns).count();
    if crossed > 0 {
        wrong.push(format!("{crossed} quotes with the bid at or above the ask"));
    }
    json!({ "rows": quotes.len(), "crossed": crossed, "times_back": back })
}

fn judge_book(levels: &[LevelRow]) -> Value {
    let (mut messages, mut breaks, mut snapshots) = (0u64, Vec::new(), 0u64);
    let mut last: Option<(i64, i64)> = None;
    let mut last_snapshot = None;
    for row in levels {
        if row.snapshot {
            snapshots += u64::from(last_snapshot.replace(row.last_id) != Some(row.last_id));
            continue;
        }
        if last == Some((row.first_id, row.last_id)) {
            continue;
        }
        messages += 1;
        if let Some((_, last_id)) = last.filter(|(_, last_id)| row.first_id != last_id + 1) {
            breaks.push(json!({ "after": last_id, "first_id": row.first_id }));
        }
        last = Some((row.first_id, row.last_id));
    }
    json!({
        "rows": levels.len(), "messages": messages, "snapshots": snapshots, "sequence_breaks": breaks.len(),
        "breaks_shown": breaks.iter().take(SHOWN).collect::<Vec<_>>(),
    })
}

/// Builds the candles again and compares; only the marks at the ends of the day can differ, because the trades next to
/// the day are not in the partition.
fn judge_candles(
    stored: &[CandleRow],
    trades: &[TradeRow],
    day: Day,
    wrong: &mut Vec<String>,
) -> Result<Value, DataError> {
    let built = candles(trades, day, None, None)?;
    let plain = |c: &CandleRow| CandleRow { complete: true, ..c.clone() };
    let differ = built.iter().map(plain).zip(stored.iter().map(plain)).filter(|(a, b)| a != b).count();
    let differ = differ + built.len().abs_diff(stored.len());
    if differ > 0 {
        wrong.push(format!("{differ} candles are not those of the trades"));
    }
    let empty: i64 = stored.windows(2).map(|w| (w[1].ts_open_ns - w[0].ts_open_ns) / MINUTE_NS - 1).sum();
    let incomplete: Vec<i64> = stored.iter().filter(|c| !c.complete).map(|c| c.ts_open_ns).collect();
    Ok(json!({
        "rows": stored.len(), "differ": differ, "minutes_without_trades": empty, "incomplete": incomplete.len(),
        "incomplete_shown": incomplete.iter().take(SHOWN).collect::<Vec<_>>(),
    }))
}

/// Our clock less the venue's, ms. Negative means that ours was behind: no message arrives before it is sent.
fn clock_offset(trades: &[TradeRow], levels: &[LevelRow]) -> Value {
    let of_trades = trades.iter().map(|t| t.ts_recv_ns - t.ts_venue_ns);
    let of_book = levels.iter().filter_map(|l| Some(l.ts_recv_ns - l.ts_venue_ns?));
    let mut offsets: Vec<i64> = of_trades.chain(of_book).map(|ns| ns.div_euclid(1_000_000)).collect();
    offsets.sort_unstable();
    match (offsets.first(), offsets.last()) {
        (Some(min), Some(max)) => json!({ "min": min, "median": offsets[offsets.len() / 2], "max": max }),
        _ => Value::Null,
    }
}
