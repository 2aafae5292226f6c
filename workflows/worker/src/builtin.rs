//! The real handlers: each job kind of `spec::jobs` joined to the code in `data` and `ledger`.

use crate::Handlers;
use data::DataError;
use data::facts::{Refused, Told};
use ledger::prove::{self, Unproven};
use ledger::report::model::RefusedRun;
use serde_json::json;
use spec::{JobSpec, jobs};
use store::{StepContext, StepError, StepOutcome};

/// The mode of runs that have no part in reports.
const BACKTEST: &str = settings::Mode::Backtest.name();

/// A handler for every kind there is.
pub fn handlers() -> Handlers {
    Handlers::default()
        .with(jobs::IngestJournal::NAME, data::ingest::run)
        .with(jobs::IngestHour::NAME, data::ingest::run_hour)
        .with(jobs::ValidateDay::NAME, data::validate::run)
        .with(jobs::BuildFeatures::NAME, data::features::run)
        .with(jobs::ProjectLedger::NAME, |ctx| async move { project_ledger(&ctx).await })
        .with(jobs::ReportDaily::NAME, |ctx| async move { report_daily(&ctx).await })
        .with(jobs::VerifyJournals::NAME, data::verify::run)
        .with(jobs::CheckLedger::NAME, |ctx| async move { check_ledger(&ctx).await })
        .with(jobs::CleanUp::NAME, data::archive::run)
        .with(jobs::BackupPostgres::NAME, store::backup::run)
        .with(jobs::CheckBackup::NAME, store::backup::run_check)
        .with(jobs::ReferencePrices::NAME, data::reference::run)
}

/// Books the facts of every run. All of them, not the day's alone: the books are a projection of everything that is
/// known, and telling a fact twice changes nothing. A run whose journal proves nothing is left out and named: its rows, if
/// an earlier build booked any, stay as they are.
async fn project_ledger(ctx: &StepContext) -> Result<StepOutcome, StepError> {
    let told = told(ctx).await?;
    for refused in &told.refused {
        ctx.log.warn(&format!("run {} is left out of the books: {}", refused.run, refused.reason));
    }
    let mut outcome = ledger::project::run_with(ctx, told.facts).await?;
    if let Some(summary) = outcome.summary.as_object_mut() {
        summary.insert("refused".to_owned(), json!(told.refused));
    }
    Ok(outcome)
}

/// Reports the day. Which runs are missing in the books is asked of the journals again: what the ledger's step found is
/// not on record, and a report may be made without it.
async fn report_daily(ctx: &StepContext) -> Result<StepOutcome, StepError> {
    let job: jobs::ReportDaily = ctx.input()?;
    let day: lake::Day = job.day.parse().map_err(|e: lake::LakeError| StepError::Permanent(e.to_string()))?;
    // Backtests have no part in the report, so a bad one is none of its reasons.
    let has_part = |run: &Refused| run.mode.as_deref() != Some(BACKTEST) && run.concerns(day.start_ns(), day.end_ns());
    let refused = told(ctx).await?.refused.into_iter().filter(has_part);
    let refused: Vec<RefusedRun> = refused.map(|r| RefusedRun { run_id: r.run, reason: r.reason }).collect();
    ledger::report::run(ctx, &refused).await
}

/// Proves the ledger against the journals, each read to where it is booked: what came later is the next booking's.
async fn check_ledger(ctx: &StepContext) -> Result<StepOutcome, StepError> {
    let booked = prove::booked(&ctx.store).await?;
    let (home, cancel, to) = (ctx.home.clone(), ctx.cancel.clone(), booked.clone());
    let told = blocking(move || data::facts::of_booked(&home, &to, || cancel.is_cancelled())).await?;
    let unproven: Vec<Unproven> =
        told.refused.into_iter().map(|r| Unproven { run_id: r.run, reason: r.reason }).collect();
    prove::run_with(ctx, &booked, told.facts, &unproven).await
}

/// What the journals of the home prove.
async fn told(ctx: &StepContext) -> Result<Told, StepError> {
    let (home, cancel) = (ctx.home.clone(), ctx.cancel.clone());
    blocking(move || data::facts::of_all(&home, || cancel.is_cancelled())).await
}

async fn blocking(work: impl FnOnce() -> Result<Told, DataError> + Send + 'static) -> Result<Told, StepError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StepError::Permanent(format!("reading the journals failed: {e}")))?
        .map_err(StepError::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use store::testing::TestHome;
    use store::{CancelToken, StepLog};

    /// A run with the built-in limits, whose journal folder holds `files`.
    fn run(home: &settings::Home, name: &str, files: &[(&str, &[u8])]) {
        let dir = home.journal_of(name);
        std::fs::create_dir_all(&dir).unwrap();
        let manifest = json!({
            "run_id": name, "mode": "demo", "created_ns": 1, "build": "", "seed": 0, "config": config(),
            "config_hash": "", "source": "", "sealed": false, "records": 0, "effects_hash": "",
        });
        std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
        for (file, bytes) in files {
            std::fs::write(dir.join(file), bytes).unwrap();
        }
    }

    fn config() -> Value {
        let text = include_str!("../../../config/default.toml");
        serde_json::to_value(&text.parse::<toml::Table>().unwrap()["engine"]).unwrap()
    }

    fn context(store: store::Store, home: &TestHome, log: StepLog) -> StepContext {
        StepContext {
            store,
            home: home.home.clone(),
            run_id: "run".into(),
            step: "ledger".into(),
            attempt: 1,
            epoch: 1,
            partition: "2024-08-08".into(),
            params: json!({"day": "2024-08-08"}),
            log,
            cancel: CancelToken::default(),
        }
    }

    #[test]
    fn a_run_that_proves_nothing_is_named_and_the_ledger_goes_on() {
        let server = TestHome::start().unwrap();
        server.home.prepare().unwrap();
        run(&server.home, "01SOUND", &[("seg-000001.trj", b"")]);
        run(&server.home, "01BROKEN", &[("seg-000002.trj", b"the first segment is missing")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (log, mut lines) = StepLog::channel();
            let ctx = context(server.store().await.unwrap(), &server, log);
            let outcome = project_ledger(&ctx).await.unwrap();
            assert_eq!(outcome.inputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["journal/01SOUND"]);
            let refused = &outcome.summary["refused"];
            assert_eq!((refused.as_array().map(Vec::len), &refused[0]["run"]), (Some(1), &json!("01BROKEN")));
            assert!(refused[0]["reason"].as_str().is_some_and(|reason| reason.contains("journal")), "{refused}");
            let mut warned = Vec::new();
            while let Ok(line) = lines.try_recv() {
                warned.extend((line.level == "warn").then_some(line.message));
            }
            assert!(warned.iter().any(|w| w.contains("01BROKEN")), "{warned:?}");
            ctx.store.close().await;
        });
    }

    #[test]
    fn every_job_kind_has_a_handler_and_no_handler_is_without_a_kind() {
        let table = handlers();
        let mut kinds = jobs::names();
        kinds.sort_unstable();
        assert_eq!(table.kinds().collect::<Vec<_>>(), kinds);
    }
}
