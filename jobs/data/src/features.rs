//! Features of a day on one-minute bars: a fold of the engine's own operators, so there is no second version of any of
//! them. Averages run over the candles, the session's volume-weighted price over the trades.
//!
//! The fold starts with the day's first candle; what is still warming up is null. Prices are in quote per base.

use crate::DataError;
use crate::ingest::candles::MINUTE_NS;
use crate::step::{Scope, code, input_of, output_of, partitions};
use domain::{Lots, Ticks};
use engine::features::{Atr, Ema, Rsi, SessionVwap, Sma};
use lake::{CandleRow, FeatureTable, Lake, LakeError, Lineage, Partition, Row, TableMeta, TradeRow};
use serde_json::json;
use settings::Home;
use spec::jobs::BuildFeatures;
use std::collections::BTreeMap;
use store::{StepContext, StepError, StepOutcome};

/// Periods of the moving averages, bars.
pub const EMA_BARS: [usize; 4] = [9, 12, 21, 26];
/// Period of RSI and ATR, bars.
pub const WILDER_BARS: usize = 14;
/// Bars over which volume is averaged.
pub const VOLUME_BARS: usize = 20;

/// The step `build-features`.
///
/// # Errors
/// [`StepError`].
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: BuildFeatures = ctx.input()?;
    let cancel = ctx.cancel.clone();
    let outcome = build(&ctx.home, &job, move || cancel.is_cancelled()).await?;
    ctx.log.info(&format!("{} partitions", outcome.outputs.len()));
    Ok(outcome)
}

/// Builds the features of the day of `job` from the home's lake; `stop`, asked before each partition, ends it early.
///
/// # Errors
/// [`DataError`] when the lake cannot be read or written, or it was asked to stop.
pub async fn build(home: &Home, job: &BuildFeatures, stop: impl Fn() -> bool + Send) -> Result<StepOutcome, DataError> {
    let scope = Scope::new(&job.day, job.venue.as_deref(), &job.symbols)?;
    let lake = Lake::local(&home.lake())?;
    let mut outcome = StepOutcome::default();
    let mut bars = 0;
    for partition in partitions(&lake, &scope, CandleRow::DATASET).await? {
        if stop() {
            return Err(DataError::Cancelled);
        }
        let (candle_manifest, candles) = lake.read_rows::<CandleRow>(&partition).await?;
        let trades_at = partition.of_dataset(TradeRow::DATASET)?;
        let (trade_manifest, trades) = match lake.read_rows::<TradeRow>(&trades_at).await {
            Ok((manifest, rows)) => (Some(manifest), rows),
            Err(LakeError::Missing(_)) => (None, Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut inputs = vec![input_of(&partition, &candle_manifest)];
        inputs.extend(trade_manifest.map(|m| input_of(&trades_at, &m)));
        let scale = |column: &str| candle_manifest.scales.get(column).copied().unwrap_or(0);
        let table = fold(&candles, &trades, scale("close"), scale("volume"));
        bars += candles.len();
        let published = publish(&lake, &partition, &table, &inputs).await?;
        outcome.outputs.push(output_of(home, &published.0, &published.1));
        outcome.inputs.extend(inputs);
    }
    outcome.summary = json!({ "day": job.day, "instruments": outcome.outputs.len(), "bars": bars });
    Ok(outcome)
}

async fn publish(
    lake: &Lake,
    candles: &Partition,
    table: &FeatureTable,
    inputs: &[(String, String)],
) -> Result<(Partition, lake::Manifest), DataError> {
    let partition = candles.of_dataset(FeatureTable::DATASET)?;
    let batch = table.batch()?;
    let span = table.ts_open_ns.first().copied().zip(table.ts_open_ns.last().copied());
    // Columns have plain names for SQL; the metadata say which feature each one is.
    let facts: BTreeMap<String, String> = ids().into_iter().map(|(c, id)| (format!("feature.{c}"), id)).collect();
    let meta = TableMeta { scales: BTreeMap::new(), facts };
    let parents = inputs.iter().map(|(asset, version)| format!("{asset}@{version}")).collect();
    let lineage = Lineage { parents, code: code("build-features") };
    let published = lake.publish(&partition, batch.schema(), &[batch], span, &meta, &lineage).await?;
    Ok((partition, published.manifest))
}

/// Column and feature id of each feature, in column order.
fn ids() -> Vec<(String, String)> {
    let mut ids: Vec<(String, String)> =
        EMA_BARS.iter().map(|n| (format!("ema_{n}"), format!("trend.ema({n})@1m"))).collect();
    ids.push((format!("rsi_{WILDER_BARS}"), format!("momentum.rsi({WILDER_BARS})@1m")));
    ids.push((format!("atr_{WILDER_BARS}"), format!("range.atr({WILDER_BARS})@1m")));
    ids.push((format!("volume_ratio_{VOLUME_BARS}"), format!("volume.ratio({VOLUME_BARS})@1m")));
    ids.push(("vwap_session".to_owned(), "vwap.session()@trade".to_owned()));
    ids
}

/// The features of each candle, with everything up to its end.
///
/// * `price_scale`, `qty_scale` - digits after the point of the candles' integers.
pub fn fold(candles: &[CandleRow], trades: &[TradeRow], price_scale: u8, qty_scale: u8) -> FeatureTable {
    let unit = 10f64.powi(i32::from(price_scale));
    let price = |n: i64| to_float(n) / unit;
    let mut emas = EMA_BARS.map(Ema::new);
    let (mut rsi, mut atr) = (Rsi::new(WILDER_BARS), Atr::new(WILDER_BARS));
    let mut volumes = Sma::new(VOLUME_BARS);
    let (mut vwap, mut session, mut next) = (SessionVwap::default(), None, 0);
    let mut rows: Vec<Vec<Option<f64>>> = Vec::with_capacity(candles.len());
    for candle in candles {
        let (high, low, close) = (price(candle.high), price(candle.low), price(candle.close));
        let mut row: Vec<Option<f64>> = emas.iter_mut().map(|ema| ema.update(close)).collect();
        row.push(rsi.update(close));
        row.push(atr.update(high, low, close));
        let volume = to_float(candle.volume) / 10f64.powi(i32::from(qty_scale));
        row.push(volumes.update(volume).filter(|mean| *mean > 0.0).map(|mean| volume / mean));
        let end_ns = candle.ts_open_ns + MINUTE_NS;
        while let Some(trade) = trades.get(next).filter(|t| t.ts_venue_ns < end_ns) {
            session = in_session(&mut vwap, trade).map(|ticks| ticks / unit);
            next += 1;
        }
        row.push(session);
        rows.push(row);
    }
    let column = |(at, (name, _)): (usize, (String, String))| (name, rows.iter().map(|row| row[at]).collect());
    FeatureTable {
        ts_open_ns: candles.iter().map(|c| c.ts_open_ns).collect(),
        columns: ids().into_iter().enumerate().map(column).collect(),
    }
}

/// The lake's integers are whole multiples of a unit as well, so the engine's operator takes them as its ticks and lots.
fn in_session(vwap: &mut SessionVwap, trade: &TradeRow) -> Option<f64> {
    let ts_venue_ns = u64::try_from(trade.ts_venue_ns).ok()?;
    vwap.update(ts_venue_ns, Ticks::new(trade.price), Lots::new(u64::try_from(trade.qty).ok()?))
}

fn to_float(n: i64) -> f64 {
    engine::features::float(i128::from(n))
}
