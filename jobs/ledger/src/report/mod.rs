//! The daily report: one folder per UTC day with a self-contained page, its numbers as JSON, and tables as CSV.
//!
//! ```text
//! reports/day=2026-11-20/report.html    one file, no outside references, prints, dark and light, phone width
//!                        report.json    the same numbers; the page is made from it
//!                        trades.csv orders.csv
//!                        manifest.json  SHA-256 of each file, and what it was made from; written last
//! ```
//!
//! The report says what the day's partition says and nothing else: no clock, no state of the job that writes it, fixed
//! order. So writing it again from the same inputs gives the same bytes. Lots are as of the end of the day, not as of
//! now. Backtests have no part in it.
//!
//! Flow: [`collect`] reads, [`compose`] computes (pure), [`html`] and [`csv`] draw (pure), this module publishes.

mod charts;
pub mod collect;
pub mod compose;
pub mod csv;
pub mod html;
pub mod model;
pub mod money;
mod svg;

use crate::check::LedgerError;
use lake::Day;
use model::{FileNote, Manifest, RefusedRun, Report};
use settings::home::write_durably;
use sha2::{Digest, Sha256};
use spec::jobs::ReportDaily;
use std::path::{Path, PathBuf};
use store::{AssetVersion, StepContext, StepError, StepOutcome, StoreError};
use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The books of a portfolio do not hold.
    #[error("portfolio {portfolio}: {source}")]
    Books {
        /// Which.
        portfolio: String,
        /// The cause.
        source: LedgerError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lake failed.
    #[error("the day's data cannot be read from the lake: {0}")]
    Lake(#[from] lake::LakeError),
    /// Something read is not what it should be.
    #[error("`{text}` stands where a {what} should be; did another version, or somebody by hand, write it?")]
    Row {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
    },
    /// A file cannot be written.
    #[error("the report cannot be written to `{}`: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl From<ReportError> for StepError {
    fn from(error: ReportError) -> StepError {
        match error {
            ReportError::Store(error) => StepError::from(error),
            // A disk can be full for a while; everything else stays wrong until somebody mends it.
            error @ (ReportError::Write { .. } | ReportError::Lake(_)) => StepError::Transient(error.to_string()),
            error => StepError::Permanent(error.to_string()),
        }
    }
}

/// A report as files, manifest last.
pub struct Rendered {
    /// Name and content.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What stands in `manifest.json`.
    pub manifest: Manifest,
}

/// Handler of `report-daily`. The worker tells which runs are `refused`, found in the journals through `data`.
///
/// # Errors
/// [`StepError::Permanent`] when the day or the books are wrong, else transient.
pub async fn run(ctx: &StepContext, refused: &[RefusedRun]) -> Result<StepOutcome, StepError> {
    let spec: ReportDaily = ctx.input()?;
    let day: Day = spec.day.parse().map_err(|e: lake::LakeError| StepError::Permanent(e.to_string()))?;
    let (report, published) = daily(&ctx.store.pool, &ctx.home, day, refused).await?;
    ctx.cancel.check()?;
    ctx.log.info(&format!(
        "{}: {} trades, {} orders, state {}",
        day,
        report.trades.len(),
        report.orders.total,
        report.state
    ));
    Ok(StepOutcome {
        inputs: report.inputs.iter().map(|i| (i.asset.clone(), i.version.clone())).collect(),
        outputs: vec![published],
        summary: serde_json::json!({
            "state": report.state, "reasons": report.reasons, "trades": report.trades.len(),
            "orders": report.orders.total, "net": report.money.totals,
        }),
        writes: Vec::new(),
    })
}

/// Makes and publishes the report of a day.
///
/// * `refused` - runs that may have had a part in it and whose journals prove nothing.
///
/// # Errors
/// [`ReportError`].
pub async fn daily(
    pool: &sqlx::PgPool,
    home: &settings::Home,
    day: Day,
    refused: &[RefusedRun],
) -> Result<(Report, AssetVersion), ReportError> {
    let inputs = collect::collect(pool, &home.lake(), day, refused).await?;
    let report = compose::compose(&inputs)?;
    let rendered = render(&report);
    let folder = home.reports().join(format!("day={day}"));
    let version = publish(&folder, day, &report, &rendered)?;
    Ok((report, version))
}

/// Draws a report. Pure: the same report gives the same bytes.
pub fn render(report: &Report) -> Rendered {
    let files = vec![
        ("orders.csv", csv::orders(report).into_bytes()),
        ("report.html", html::page(report).into_bytes()),
        ("report.json", pretty(report)),
        ("trades.csv", csv::trades(report).into_bytes()),
    ];
    let note = |(name, bytes): &(&'static str, Vec<u8>)| FileNote {
        name: (*name).to_owned(),
        sha256: sha256(bytes),
        bytes: bytes.len() as u64,
    };
    let manifest = Manifest {
        schema: "traider.report.manifest/1".to_owned(),
        day: report.day.clone(),
        files: files.iter().map(note).collect(),
        inputs: report.inputs.clone(),
        code: report.code.clone(),
    };
    Rendered { files, manifest }
}

/// Writes the files, each whole or not at all, the manifest last: who goes by the manifest never sees half a report.
fn publish(folder: &Path, day: Day, report: &Report, rendered: &Rendered) -> Result<AssetVersion, ReportError> {
    let fail = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ReportError::Write { path, source }
    };
    std::fs::create_dir_all(folder).map_err(fail(folder))?;
    let manifest = pretty(&rendered.manifest);
    let files = rendered.files.iter().map(|(name, bytes)| (*name, bytes)).chain([("manifest.json", &manifest)]);
    for (name, bytes) in files {
        let path = folder.join(name);
        // Nothing to do is not written again, so a second run leaves even the modification times alone.
        if std::fs::read(&path).ok().as_ref() != Some(bytes) {
            write_durably(&path, bytes).map_err(fail(&path))?;
        }
    }
    let int = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(AssetVersion {
        asset: "report/daily".to_owned(),
        partition: day.to_string(),
        sha256: sha256(&manifest),
        uri: folder.join("report.html").display().to_string(),
        rows: int(report.trades.len()),
        bytes: int(rendered.files.iter().map(|(_, bytes)| bytes.len()).sum()),
        min_ts_ns: Some(day.start_ns()),
        max_ts_ns: Some(day.end_ns() - 1),
        schema_hash: sha256(report.schema.as_bytes()),
    })
}

fn pretty<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain values are always JSON");
    bytes.push(b'\n');
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
